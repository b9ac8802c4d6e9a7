"""A lesson's small run is trained once."""

from aulib.run import Run
from conftest import write_tiny_set
from practice import practice_run


def test_a_run_is_found_again_and_another_question_makes_another(tmp_path):
    sets = {name: str(write_tiny_set(tmp_path / name, seed=i)) for i, name in enumerate(("source", "target"))}
    how = {"steps": 1, "batch_size": 4, "progress": False} | sets
    first = practice_run(tmp_path / "runs", "source-only", **how)
    written = (first / "metrics.json").stat().st_mtime_ns
    assert practice_run(tmp_path / "runs", "source-only", **how) == first
    assert (first / "metrics.json").stat().st_mtime_ns == written
    other = practice_run(tmp_path / "runs", "source-only", **how | {"seed": 1})
    assert other != first and Run(other).settings["seed"] == 1
