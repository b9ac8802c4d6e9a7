"""The state of a study as a table, in the terminal and as HTML."""

import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import mean

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from aubench.study.plan import PlannedRun
from aubench.study.resume import STATES, metrics_of, states_of, why_failed

MARKS = {"done": "●", "running": "◐", "failed": "✗", "missing": "·"}
COLOURS = {"done": "green", "running": "yellow", "failed": "red", "missing": "bright_black"}
SCORE = "target.mean.f1"  # shown if the runs have it
ROWS = 40  # of variants, or failures; a grid of hundreds does not fit the screen
HTML_WIDTH = 250  # characters; the notebook scrolls
REFRESH = 1.0  # seconds
SILENCE = 600.0  # seconds without a running or changed run, after which watching ends


def summary_of(runs: list[PlannedRun], states: dict[str, str]) -> list[dict]:
    """One row a variant: the state of each run, and mean score and seconds over finished seeds.

    Returns:
        [{"variant", "states": [...], "score": mean of SCORE or None, "seconds": mean or None}, ...]
    """
    unfinished = {(run.variant, run.seed) for run in runs if states[run.id] != "done"}  # in any of its folds
    rows: dict[str, dict] = {}
    for run in runs:
        row = rows.setdefault(run.variant, {"variant": run.variant, "states": [], "score": [], "seconds": []})
        row["states"].append(states[run.id])
        if (run.variant, run.seed) not in unfinished:
            row["score"].append(metrics_of(run).get(SCORE))
            row["seconds"].append(metrics_of(run).get("seconds"))
    for row in rows.values():
        for name in ("score", "seconds"):
            known = [value for value in row[name] if value is not None]
            row[name] = mean(known) if known else None
    return list(rows.values())


def counts_of(states: dict[str, str]) -> dict[str, int]:
    return {state: list(states.values()).count(state) for state in STATES}


def study_table(runs: list[PlannedRun], states: dict[str, str], note: str = "") -> Group:
    """Counts and a row a variant, with the cause of a failure; if not all fit, unfinished ones come first."""
    counts = [f"[{COLOURS[state]}]{count} {state}[/]" for state, count in counts_of(states).items()]
    causes = {run.variant: why_failed(run) for run in runs if states[run.id] == "failed"}
    table = Table("variant", "seeds", box=None, pad_edge=False)
    table.add_column("F1 x 100", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("", no_wrap=True)
    rows = summary_of(runs, states)
    if len(rows) > ROWS:
        rows.sort(key=lambda row: set(row["states"]) <= {"done"})
    for row in rows[:ROWS]:
        marks = " ".join(f"[{COLOURS[state]}]{MARKS[state]}[/]" for state in row["states"])
        score = "" if row["score"] is None else f"{100 * row['score']:.1f}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
        table.add_row(row["variant"], marks, score, seconds, escape(causes.get(row["variant"], "")))
    if len(rows) > ROWS:
        table.add_row(f"... and {len(rows) - ROWS} more")
    return Group(", ".join([*counts, *filter(None, [note])]), table)


def html_table(runs: list[PlannedRun], states: dict[str, str], note: str = "") -> str:
    """`study_table` for a notebook."""
    console = Console(  # rich would print into the cell as well
        file=io.StringIO(), record=True, width=HTML_WIDTH, highlight=False, force_jupyter=False
    )
    console.print(study_table(runs, states, note))
    return console.export_html(inline_styles=True, code_format='<pre style="overflow-x: auto">{code}</pre>')


@contextmanager
def live_table(runs: list[PlannedRun]) -> Iterator[Callable[[dict[str, str], str], None]]:
    """The `report` of `run_study`: a live table in a terminal, else a line for each run that ends."""
    if sys.stderr.isatty():
        with Live(console=Console(stderr=True), auto_refresh=False) as live:
            yield lambda states, note: live.update(study_table(runs, states, note), refresh=True)
        return
    before, noted = states_of(runs), [""]

    def report(states: dict[str, str], note: str) -> None:
        done = counts_of(states)["done"]
        for run_id, state in states.items():
            if state in ("done", "failed") and before[run_id] != state:
                print(f"[{done}/{len(states)}] {state}: {run_id}", file=sys.stderr, flush=True)
        before.update(states)
        if note not in ("", noted[-1]):
            print(note, file=sys.stderr, flush=True)
        noted.append(note)

    yield report


def watched_states(runs: list[PlannedRun]) -> Iterator[dict[str, str]]:
    """The states of the runs about once a second, until all have ended or after SILENCE."""
    before, since = None, time.monotonic()
    while True:
        states = states_of(runs)
        yield states
        if not unfinished(states):
            return
        if states != before or "running" in states.values():
            before, since = states, time.monotonic()
        if time.monotonic() - since > SILENCE:
            return
        time.sleep(REFRESH)


def unfinished(states: dict[str, str]) -> bool:
    return bool({"running", "missing"} & set(states.values()))


def failures(runs: list[PlannedRun], states: dict[str, str]) -> list[str]:
    """A line for each failed run with its cause, at most ROWS of them."""
    failed = [run for run in runs if states[run.id] == "failed"]
    lines = [f"failed: {run.id}: {why_failed(run)}" for run in failed[:ROWS]]
    return lines + [f"... and {len(failed) - ROWS} more failed"] * (len(failed) > ROWS)


def watch_states(runs: list[PlannedRun]) -> None:
    """Print the table; in a terminal, keep it up to date as `watched_states` does, or until Ctrl-C."""
    console, states = Console(), states_of(runs)
    if console.is_terminal:
        why = f"nothing ran or changed for {SILENCE / 60:g} minutes"
        with Live(console=console, auto_refresh=False) as live:
            try:
                for states in watched_states(runs):
                    live.update(study_table(runs, states), refresh=True)
            except KeyboardInterrupt:
                why = "interrupted"
        if unfinished(states):
            console.print(f"no longer watching: {why}")
    else:
        console.print(study_table(runs, states))
    for line in failures(runs, states):
        console.print(line, markup=False, highlight=False)
