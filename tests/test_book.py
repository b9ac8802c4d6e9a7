"""The book: links between pages, links from prose to the API, docstrings."""

import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from aulib.objective import TERMS

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "docs" / "book"
sys.path.insert(0, str(BOOK))

import links  # noqa: E402


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
def test_a_link_to_a_file_becomes_a_link_to_its_page(source, page, written, meant):
    assert build.with_book_links(f"see {written}.", source / page, source) == f"see {meant}."


def test_links_of_a_lesson_are_relative_to_its_place_in_the_checkout(source):
    text, page = "[m](../../docs/method.md)", source / "notebooks" / "1_lesson.ipynb"
    moved = build.with_book_links(text, page, source, "notebooks/course/1_lesson.ipynb")
    assert moved == "[m](../docs/method.md)"


@pytest.mark.parametrize("target", ["LICENCE", "docs/nothing.md", "results/figures/a.pdf"])
def test_a_link_to_a_missing_file_is_an_error(source, target):
    with pytest.raises(build.DeadLink, match=rf"README.md: \[that\]\({target}\)"):
        build.with_book_links(f"see [that]({target})", source / "index.md", source)


def test_dead_links_of_a_site_are_listed(tmp_path):
    (tmp_path / "api").mkdir()
    good = ["https://nowhere.invalid/x", "api/a%20page.html#there", "#own"]
    bad = ["api/gone.html", "api/a%20page.html#gone"]
    linked = "".join(f'<a href="{link}">x</a>' for link in good + bad)
    (tmp_path / "index.html").write_text(f'<p id="own">{linked}<img src="gone.png">')
    (tmp_path / "api" / "a page.html").write_text('<h1 id="there">x</h1><a href="../index.html#own">good</a>')
    dead = ["api/gone.html", "api/a%20page.html#gone", "gone.png"]
    assert [line.split()[:2] for line in links.dead_links(tmp_path)] == [
        ["index.html:", link] for link in dead
    ]


@pytest.mark.parametrize("failing, status", [("course/1_lesson.ipynb", 1), ("03_report.ipynb", 0)])
def test_a_failing_lesson_fails_the_build(failing, status, tmp_path, monkeypatch, capsys):
    for name in ("course/1_lesson.ipynb", "03_report.ipynb"):
        (tmp_path / "notebooks" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "notebooks" / name).touch()

    def run(notebook, out, **how):
        if notebook == tmp_path / "notebooks" / failing:
            raise build.NotebookFailed(f"{notebook.name} fell over")

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "run_notebook", run)
    monkeypatch.setattr(build, "gather", lambda *of: None)
    monkeypatch.setattr(build, "sphinx", lambda *of: 0)
    monkeypatch.setattr(sys, "argv", ["build.py", "--out", str(tmp_path / "book")])
    with pytest.raises(SystemExit) as end:
        build.main()
    assert bool(end.value.code) == bool(status)
    said = str(end.value.code) if status else capsys.readouterr().out
    assert f"{Path(failing).name} fell over" in said


def rows_of_method(heading: str) -> list[list[str]]:
    """Cells of the table below a heading of the method page."""
    page = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    part = page.split(f"\n## {heading}")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in part.splitlines() if "|" in line
    ]
    return [row for row in rows[2:] if row[0].startswith("`")] or rows[2:]


def test_the_method_page_has_every_term_of_the_objective():
    rows = rows_of_method("Terms of the objective")
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(TERMS)
    assert all(len(row) == 4 and re.search(r"`\w+\.\w+`", row[2]) for row in rows)


@pytest.mark.parametrize("heading", ["Parts", "Terms of the objective"])
def test_every_symbol_on_the_method_page_exists(heading):
    for row in rows_of_method(heading):
        for name in re.findall(r"`([a-z_]+(?:\.\w+)+)`", row[2]):
            module, *rest = name.split(".")
            thing = importlib.import_module(
                f"aubench.report.{module}" if module == "statistics" else f"aulib.{module}"
            )
            for part in rest:  # an attribute that only an instance has ends the walk
                assert hasattr(thing, part) or f"self.{part} =" in inspect.getsource(thing), name
                thing = getattr(thing, part, None)


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
def test_a_name_in_prose_resolves_to_its_symbol(text, name):
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
def test_the_book_builds_without_warnings_and_links_to_the_api(book):
    assert book.status == 0, book.said[-2000:]
    method = (book.html / "docs" / "method.html").read_text()
    assert 'href="../api/aulib.networks.html#aulib.networks.AUHead"' in method
    terms = method.split('id="terms-of-the-objective', 1)[1].split("</section>")[0]
    rows = re.findall(r"<tr.*?</tr>", terms.split("<tbody>")[1], re.S)
    assert len(rows) == len(rows_of_method("Terms of the objective"))
    assert not [row for row in rows if 'href="../api/aulib.' not in row]
