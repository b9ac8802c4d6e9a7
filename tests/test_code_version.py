"""A run is out of date exactly when code that it computes with was changed."""

from pathlib import Path

import nbformat
import pytest

from aulib import code_version as versions

MODULES = {
    "__init__": '"""The map."""',
    "runs": "from aulib.losses import loss\nimport aulib.running\ndef train():\n    from aulib import lazy\n",
    "losses": '"""Losses."""\nimport json\n\ndef loss(x):\n    """Square."""\n    return x * x  # why\n',
    "lazy": "from aulib.deep.inner import y",
    "deep/__init__": "",
    "deep/inner": "y = 1",
    "running": "from aulib import kernels",
    "kernels": "",
    "plots": "from aulib import losses, colours",
    "colours": "red = 1",
    "unused": "z = 1",
}


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "aulib"
    for name, source in MODULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(source)
    monkeypatch.setattr(versions, "PACKAGE", folder)
    return folder


def notebook(tmp_path, *cells) -> Path:
    path = tmp_path / "n.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    return path


def changed(library, name, source, book) -> bool:
    before = versions.code_version(book)
    old = (library / name).read_text()
    (library / name).write_text(source(old))
    after = versions.code_version(book)
    (library / name).write_text(old)
    assert versions.code_version(book) == before
    return after != before


@pytest.fixture
def training(library, tmp_path) -> Path:
    return notebook(tmp_path, "%matplotlib inline\nfrom aulib import plots\nfrom aulib.runs import train_run")


def test_training_counts_what_runs_imports_in_functions_too_and_not_its_figures(training):
    assert versions.shaping_modules(training) == [
        "aulib.deep",
        "aulib.deep.inner",
        "aulib.lazy",
        "aulib.losses",
        "aulib.runs",
    ]


def test_another_notebook_counts_all_it_imports(library, tmp_path):
    book = notebook(tmp_path, "import numpy", "!ls\nfrom aulib.plots import draw")
    assert versions.shaping_modules(book) == ["aulib.colours", "aulib.losses", "aulib.plots"]
    assert versions.imports_of_notebook(book) == ["numpy", "aulib", "aulib.plots", "aulib.plots.draw"]


@pytest.mark.parametrize("name", ["losses.py", "deep/inner.py", "runs.py"])
def test_an_edit_of_what_training_computes_with_changes_the_version(library, training, name):
    assert changed(library, name, lambda text: text + "\nextra = 2\n", training)


@pytest.mark.parametrize("name", ["plots.py", "unused.py", "running.py", "kernels.py", "__init__.py"])
def test_an_edit_of_anything_else_does_not(library, training, name):
    assert not changed(library, name, lambda text: text + "\nextra = 2\n", training)


def test_comments_and_docstrings_do_not_count_and_a_sign_does(library, training):
    assert not changed(library, "losses.py", lambda text: text.replace("# why", "# because"), training)
    assert not changed(library, "losses.py", lambda text: text.replace("Square", "The square"), training)
    assert changed(library, "losses.py", lambda text: text.replace("x * x", "x + x"), training)


def test_of_the_real_library_training_counts_the_losses_and_not_the_command_line():
    real = Path(__file__).parent.parent / "notebooks" / "02_train.ipynb"
    counted = {name.removeprefix("aulib.") for name in versions.shaping_modules(real)}
    core = {"datasets", "cropping", "loaders", "networks", "model", "losses", "supervisors", "objective"}
    assert core | {"methods", "training", "metrics", "runs"} <= counted
    assert not counted & {"cli", "plots", "results", "study", "demo", "running", "kernels"}
