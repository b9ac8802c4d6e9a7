"""Every notebook as it is committed, with its default parameters, in its time: some minutes each.

They run as in Jupyter. Each module folder begins as a fresh clone, with an empty cache of rendered faces.
benchmarks/notebook_times.py has the limits, which are those of two cores without other work.
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

pytestmark = pytest.mark.slow


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


def takes_its_time(notebook: Path, folder: Path) -> None:
    took = seconds_of(notebook, folder)
    outputs = [
        one
        for cell in nbformat.read(executed(notebook, folder), as_version=4).cells
        for one in cell.get("outputs", [])
    ]
    assert outputs and not [one for one in outputs if one.get("name") == "stderr"]  # shown in pink
    assert min(took) <= limit_of(notebook)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_takes_three_minutes_at_most(lesson, learner):
    takes_its_time(lesson, learner)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_as_long_as_it_says(notebook, reader):
    takes_its_time(notebook, reader)
