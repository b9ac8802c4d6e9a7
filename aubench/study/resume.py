"""How a study resumes: which of its runs are done, read from their folders alone.

A run is done if its `result.json` holds the run's key; other code or values give another key.
`grid.run_study` starts those that are not done. `notebook_runner.execute_run` keeps the folder of an
interrupted run, and `aulib.training.fit` continues from the checkpoint in it.
"""

from functools import cache
from pathlib import Path

from aubench.study.plan import PlannedRun
from aubench.study.run_lock import is_held
from aulib.files import read_json

STATES = ("done", "running", "failed", "missing")


def states_of(runs: list[PlannedRun]) -> dict[str, str]:
    """{id: one of STATES}, read from the run folders. An interrupted run is missing; it can resume."""
    return {run.id: _state_of(run) for run in runs}


def _state_of(run: PlannedRun) -> str:
    if is_done(run):
        return "done"
    if (run.folder / "error.txt").is_file():  # a runner removes it first; `is_held` of an observer locks too
        return "failed"
    return "running" if is_held(run.folder) else "missing"


def earlier_runs(runs: list[PlannedRun]) -> str:
    """How many finished runs of these variants and seeds are of other code or settings; "" if none."""
    root, planned = runs[0].folder.parent, {run.folder.name for run in runs}
    begins = tuple(run.id.removesuffix(run.key[:8]) for run in runs)
    finished = (file.parent.name for file in root.glob("*/result.json"))
    count = sum(name.startswith(begins) and name not in planned for name in finished)
    return f"{root} has {count} finished runs of earlier code or settings; they stay, unused" if count else ""


def is_done(run: PlannedRun) -> bool:
    try:
        return read_json(run.folder / "result.json")["key"] == run.key
    except (OSError, ValueError, KeyError):
        return False


def metrics_of(run: PlannedRun) -> dict:
    """Contents of the run's metrics.json; empty if it is not done or wrote none."""
    return _metrics(run.folder.absolute()) if is_done(run) else {}


@cache
def _metrics(folder: Path) -> dict:
    """Cached: a finished run does not change."""
    file = folder / "metrics.json"
    return read_json(file) if file.is_file() else {}


def why_failed(run: PlannedRun) -> str:
    """First line of the run's error.txt; "" if there is none."""
    try:
        return (run.folder / "error.txt").read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""
