"""A study started and watched from a notebook cell.

    from aubench.study.watch import watch
    watch("../experiments/supervisors.yml", only=["full", "adld"], workers=2)

The cell returns at once; bar and table update as runs finish. Stop, or the end of the notebook's kernel,
ends the runs in progress; finished runs stay, and the same cell resumes the study. With `start=False` the cell only
watches; Stop, or ten minutes without a running run, ends that.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from threading import Event, Thread

import ipywidgets

from aubench.study.grid import render_sets, run_study
from aubench.study.plan import PlannedRun, expand, read_study, state_of, why_failed
from aubench.study.status import MARKS, SILENCE, counts_of, summary_of, watched_states
from aubench.study.workers import connected


class StudyWatch(ipywidgets.VBox):
    """A progress bar, a button to stop, the counts of states, and a table with a row a variant.

    Args:
        runs: from `plan.expand`.
        options: for `workers.connected` (workers, scheduler, slurm); None only watches.
    """

    def __init__(self, runs: list[PlannedRun], options: dict | None):
        self.runs = runs
        self.states = {run.id: state_of(run) for run in runs}
        self.note = ""
        self.bar = ipywidgets.IntProgress(max=len(runs), bar_style="info")
        self.status = ipywidgets.HTML()
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop")
        self.stop_button.on_click(lambda _: self.stop())
        self.table = ipywidgets.HTML()
        super().__init__([ipywidgets.HBox([self.bar, self.stop_button, self.status]), self.table])
        self._stopped = Event()
        self._thread = Thread(target=self._watch if options is None else self._work, daemon=True)
        self._options = options
        self._show(self.states)
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs and end those in progress, or end watching."""
        self._stopped.set()
        self.stop_button.disabled = True

    def wait(self, seconds: float | None = None) -> dict[str, str]:
        """Block until the study has ended; the state of each run by id."""
        self._thread.join(seconds)
        return self.states

    def _work(self) -> None:
        missing = [run for run in self.runs if self.states[run.id] != "done"]
        try:
            if missing:
                self._say("starting workers")
                render_sets(missing)
                with connected(len(missing), **self._options) as client:
                    run_study(self.runs, client, self._show, self._stopped, self._note)
                self._show({run.id: state_of(run) for run in self.runs})
        except Exception as error:  # nobody would see the error of a thread
            self.bar.bar_style = "danger"
            self._say(f"{type(error).__name__}: {error}")
        self.stop_button.disabled = True

    def _watch(self) -> None:
        for states in watched_states(self.runs, self._stopped.wait):
            self._show(states)
        if {"running", "missing"} & set(self.states.values()):
            why = "stopped" if self._stopped.is_set() else f"nothing ran for {SILENCE / 60:g} minutes"
            self._note(f"no longer watching ({why}): run the cell again")
        self.stop_button.disabled = True

    def _note(self, text: str) -> None:
        """Show a sentence after the counts; "" removes it."""
        self.note = text
        self._show(self.states)

    def _say(self, text: str) -> None:
        self.status.value = escape(text)

    def _show(self, states: dict[str, str]) -> None:
        self.states = states
        counts = counts_of(states)
        self.bar.value = counts["done"]
        self.bar.bar_style = (
            "danger" if counts["failed"] else "success" if counts["done"] == len(states) else "info"
        )
        text = ", ".join(f"{count} {state}" for state, count in counts.items())
        self._say(f"{text}; {self.note}" if self.note else text)
        self.table.value = table_as_html(self.runs, states)


def watch(
    file: str | Path,
    out: str | Path | None = None,
    only: Iterable[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: str | Path | None = None,
    start: bool = True,
) -> StudyWatch:
    """Start the missing runs of a study and return the widgets that show them.

    Args:
        out, only: as in `plan.expand`.  workers, scheduler, slurm: as in `workers.connected`.
        start: False only watches while another process runs the study.

    Raises:
        StudyError: an error in the file.
    """
    options = {"workers": workers, "scheduler": scheduler, "slurm": slurm}
    return StudyWatch(expand(read_study(file), out, only), options if start else None)


def table_as_html(runs: list[PlannedRun], states: dict[str, str]) -> str:
    """One row a variant: a mark for each run, mean score and seconds, the cause of a failure."""
    causes = {run.variant: why_failed(run) for run in runs if states[run.id] == "failed"}
    lines = ["<table><tr><th>variant</th><th>seeds</th><th>F1 × 100</th><th>seconds</th><th></th></tr>"]
    for row in summary_of(runs, states):
        marks = " ".join(f'<span title="{state}">{MARKS[state]}</span>' for state in row["states"])
        score = "" if row["score"] is None else f"{100 * row['score']:.1f}"
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
        cells = [escape(row["variant"]), marks, score, seconds, escape(causes.get(row["variant"], ""))]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table>"])
