"""The book: links of the checkout become links of pages, names in prose become links to the API."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BOOK = Path(__file__).parent.parent / "docs" / "book"


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(f"book_{name}", BOOK / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build, conf = loaded("build"), loaded("conf")


@pytest.fixture
def source(tmp_path):
    for name in ("index.md", "experiments.md", "docs/method.md", "docs/datasets/README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    "page, written, meant",
    [
        ("index.md", "[m](docs/method.md)", "[m](docs/method.md)"),
        ("index.md", "[s](docs/datasets)", "[s](docs/datasets/README.md)"),
        ("index.md", "[n](notebooks/04_ablation.ipynb)", "[n](notebooks/04_ablation.ipynb)"),
        ("index.md", "[LICENSE](LICENSE)", "LICENSE"),
        ("index.md", "[a](https://arxiv.org/abs/1)", "[a](https://arxiv.org/abs/1)"),
        ("index.md", "[d](#data)", "[d](#data)"),
        ("index.md", "![p](results/figures/a.png)", "![p](results/figures/a.png)"),
        ("docs/method.md", "[e](../experiments/README.md#ids)", "[e](../experiments.md#ids)"),
        ("docs/method.md", "[r](../README.md)", "[r](../index.md)"),
        ("experiments.md", "[m](../docs/method.md)", "[m](docs/method.md)"),
    ],
)
def test_a_link_leads_to_the_page_that_its_file_became(source, page, written, meant):
    assert build.with_book_links(f"see {written}.", source / page, source) == f"see {meant}."


def test_a_lessons_links_are_meant_from_where_it_lies_in_the_checkout(source):
    text, page = "[m](../../docs/method.md)", source / "notebooks" / "1_lesson.ipynb"
    moved = build.with_book_links(text, page, source, "notebooks/course/1_lesson.ipynb")
    assert moved == "[m](../docs/method.md)"


@pytest.mark.parametrize(
    "text, name",
    [
        ("losses.landmark_loss", "aulib.losses.landmark_loss"),
        ("objective", "aulib.objective"),
        ("Preset.ramp", "aulib.methods.Preset"),  # an attribute stands for its class
        ("Preset", "aulib.methods.Preset"),
        ("weigh", None),  # a plain word may be anything
        ("Twice", None),
    ],
)
def test_a_name_in_prose_finds_its_symbol(text, name):
    names = ["losses.landmark_loss", "methods.Preset", "objective.weigh", "a.Twice", "b.Twice"]
    objects = {f"aulib.{name}": None for name in names}
    domain = SimpleNamespace(objects=objects, modules={"aulib.objective": None})
    assert conf.symbol_called(text, domain) == name


def test_plain_docstrings_keep_their_lists_tables_and_examples():
    lines = [
        "First.",
        "",
        "mean: (B,)",
        "    of it.  size: 2.",
        "spread: (B,)",
        "",
        "    key: value",
        "",
        "one  a thing",
        "two  b",
    ]
    lines += ["", "Args:", "    x: (B,) kept.", "", "    y: kept too.", "", "End: nothing."]
    conf.lay_out(None, "class", "X", None, None, lines)
    text = "\n".join(lines)
    assert "- mean: (B,) of it.\n- size: 2.\n- spread: (B,)\n" in text
    assert "::\n\n        key: value\n" in text and "::\n\n    one  a thing\n    two  b\n" in text
    assert "Args:\n    x: (B,) kept.\n\n    y: kept too.\n\nEnd: nothing." in text


@pytest.mark.slow
def test_the_book_is_built_without_a_warning(tmp_path):
    pytest.importorskip("furo", reason="`make book` installs the extra")
    pytest.importorskip("myst_nb")
    command = [sys.executable, str(BOOK / "build.py"), "--as-they-are", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    method = (tmp_path / "html" / "docs" / "method.html").read_text()
    assert 'href="../api/aulib.networks.html#aulib.networks.AUHead"' in method
