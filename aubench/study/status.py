"""The state of a study: as a list, and as a table in the terminal that updates itself."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import mean

from aubench.study.plan import STATES, PlannedRun, is_done, state_of, why_failed

MARKS = {"done": "●", "running": "◐", "failed": "✗", "missing": "·"}
COLOURS = {"done": "green", "running": "yellow", "failed": "red", "missing": "bright_black"}
SCORE = "target.mean.f1"  # shown if the runs have it
ROWS = 40  # of variants; a grid of hundreds does not fit the screen
REFRESH = 1.0  # seconds
SILENCE = 600.0  # seconds without a running or changed run, after which watching ends


def list_of_runs(runs: list[PlannedRun]) -> str:
    """One line a run: index, state, id."""
    return "\n".join(f"{run.index:4d}  {state_of(run):8s}{run.id}" for run in runs)


def summary_of(runs: list[PlannedRun], states: dict[str, str]) -> list[dict]:
    """One row a variant: the state of each run, and mean score and seconds over finished seeds.

    Returns:
        [{"variant", "states": [...], "score": mean of SCORE or None, "seconds": mean or None}, ...]
    """
    rows: dict[str, dict] = {}
    unfinished = {
        (run.variant, run.seed) for run in runs if states[run.id] != "done"
    }  # with any of its folds
    for run in runs:
        row = rows.setdefault(run.variant, {"variant": run.variant, "states": [], "score": [], "seconds": []})
        row["states"].append(states[run.id])
        if (run.variant, run.seed) not in unfinished:
            metrics = _metrics(run)
            row["score"].append(metrics.get(SCORE))
            row["seconds"].append(metrics.get("seconds"))
    for row in rows.values():
        for name in ("score", "seconds"):
            known = [value for value in row[name] if value is not None]
            row[name] = mean(known) if known else None
    return list(rows.values())


_known_metrics: dict[tuple, dict] = {}  # of finished runs, which do not change


def _metrics(run: PlannedRun) -> dict:
    where = run.folder, run.key
    if where not in _known_metrics and is_done(run):
        file = run.folder / "metrics.json"
        _known_metrics[where] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return _known_metrics.get(where, {})


def counts_of(states: dict[str, str]) -> dict[str, int]:
    return {state: list(states.values()).count(state) for state in STATES}


def terminal_table(runs: list[PlannedRun], states: dict[str, str]):
    """The study as a rich renderable; if not all variants fit, unfinished ones come first."""
    from rich.console import Group
    from rich.table import Table

    counts = counts_of(states)
    title = ", ".join(f"[{COLOURS[state]}]{count} {state}[/]" for state, count in counts.items())
    table = Table(box=None, pad_edge=False)
    for heading, side in (
        ("variant", "left"),
        ("seeds", "left"),
        ("F1 x 100", "right"),
        ("seconds", "right"),
    ):
        table.add_column(heading, justify=side)
    rows = summary_of(runs, states)
    if len(rows) > ROWS:
        rows.sort(key=lambda row: set(row["states"]) <= {"done"})
    for row in rows[:ROWS]:
        marks = " ".join(f"[{COLOURS[state]}]{MARKS[state]}[/]" for state in row["states"])
        table.add_row(row["variant"], marks, _number(row["score"], 100, 1), _number(row["seconds"], 1, 0))
    if len(rows) > ROWS:
        table.add_row(f"... and {len(rows) - ROWS} more", "", "", "")
    return Group(title, table)


def _number(value: float | None, factor: float, digits: int) -> str:
    return "" if value is None else f"{factor * value:.{digits}f}"


@contextmanager
def live_table(runs: list[PlannedRun]) -> Iterator[Callable[[dict[str, str]], None]]:
    """The `report` of `run_study`: a live table in a terminal, else a line for each run that ends."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.live import Live

        states = {run.id: state_of(run) for run in runs}
        with Live(terminal_table(runs, states), console=Console(stderr=True), auto_refresh=False) as live:
            yield lambda states: live.update(terminal_table(runs, states), refresh=True)
        return
    before: dict[str, str] = {}

    def report(states: dict[str, str]) -> None:
        ended = [
            i for i, state in states.items() if state in ("done", "failed") and before.get(i, state) != state
        ]
        counts = counts_of(states)
        for run_id in ended:
            print(f"[{counts['done']}/{len(states)}] {states[run_id]}: {run_id}", file=sys.stderr, flush=True)
        before.update(states)

    yield report


def watched_states(
    runs: list[PlannedRun], wait: Callable[[float], bool], silence: float = SILENCE
) -> Iterator[dict[str, str]]:
    """The states of the runs about once a second, until all have ended.

    Args:
        wait: called with seconds; waits and returns whether to end, as `threading.Event.wait`.
        silence: seconds without a running or changed run, after which watching ends too.
    """
    before, since = None, time.monotonic()
    while True:
        states = {run.id: state_of(run) for run in runs}
        yield states
        if not {"running", "missing"} & set(states.values()):
            return
        if states != before or "running" in states.values():
            before, since = states, time.monotonic()
        if time.monotonic() - since > silence or wait(REFRESH):
            return


def watch_states(runs: list[PlannedRun], silence: float = SILENCE) -> None:
    """Print the table; in a terminal, keep it up to date as `watched_states` does, or until Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    states = {run.id: state_of(run) for run in runs}
    why = f"nothing ran or changed for {silence / 60:g} minutes"
    with Live(terminal_table(runs, states), console=console, auto_refresh=False) as live:
        try:
            for states in watched_states(runs, _sleep, silence) if console.is_terminal else ():
                live.update(terminal_table(runs, states), refresh=True)
        except KeyboardInterrupt:
            why = "interrupted"
    if console.is_terminal and {"running", "missing"} & set(states.values()):
        console.print(f"no longer watching: {why}")
    for run in runs:
        if states[run.id] == "failed":
            console.print(f"failed: {run.id}: {why_failed(run)}", markup=False, highlight=False)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
