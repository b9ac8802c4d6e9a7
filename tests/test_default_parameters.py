"""Every notebook as it is committed, with its default parameters: some minutes each.

They run as in Jupyter. Each module folder begins as a fresh clone, with an empty cache of rendered faces. How
long they take depends on what else runs, so benchmarks/notebook_times.py measures it, and no test.
"""

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from notebook_times import (  # noqa: E402
    LESSONS,
    NOTEBOOKS,
    executed,
    leave_what_is_read,
    limit_of,
    seconds_of,
)


@pytest.fixture(scope="module")
def learner(tmp_path_factory) -> Path:
    """An empty folder in which one learner does all lessons, in order."""
    return tmp_path_factory.mktemp("learner")


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """A folder with what 00 to 07 need: rendered sets, small runs, a study's summary."""
    folder = tmp_path_factory.mktemp("reader")
    leave_what_is_read(folder)
    return folder


def runs_without_a_fault(notebook: Path, folder: Path) -> None:
    seconds_of(notebook, folder)
    outputs = [
        one
        for cell in nbformat.read(executed(notebook, folder), as_version=4).cells
        for one in cell.get("outputs", [])
    ]
    assert outputs and not [one for one in outputs if one.get("name") == "stderr"]  # shown in pink


@pytest.mark.parametrize("notebook", [*LESSONS, *NOTEBOOKS], ids=lambda path: path.stem)
def test_a_notebook_says_how_long_it_takes(notebook):
    assert 0 < limit_of(notebook) <= 360


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_on_its_defaults(lesson, learner):
    runs_without_a_fault(lesson, learner)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_its_defaults(notebook, reader):
    runs_without_a_fault(notebook, reader)
