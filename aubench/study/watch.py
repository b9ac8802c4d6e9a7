"""A study started and watched from a notebook cell.

    from aubench.study.watch import watch
    watch("../experiments/supervisors.yml", only=["full", "adld"], workers=2)

The cell returns at once; bar and table update as runs finish. Stop, or the end of the notebook's kernel, ends
the runs in progress; finished runs stay, and the same cell resumes the study.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from threading import Event, Thread

import ipywidgets

from aubench.study.grid import render_sets, run_study
from aubench.study.plan import PlannedRun, expand, read_study
from aubench.study.resume import states_of
from aubench.study.status import counts_of, html_table
from aubench.study.workers import connected


class StudyWatch(ipywidgets.VBox):
    """A progress bar, a button to stop, and the table of the study.

    Args:
        runs: from `plan.expand`.
        options: for `workers.connected` (workers, scheduler, slurm).
    """

    def __init__(self, runs: list[PlannedRun], options: dict):
        self.runs, self.options = runs, options
        self.bar = ipywidgets.IntProgress(max=len(runs), bar_style="info")
        self.stop_button = ipywidgets.Button(description="Stop", icon="stop")
        self.stop_button.on_click(lambda _: self.stop())
        self.table = ipywidgets.HTML()
        super().__init__([ipywidgets.HBox([self.bar, self.stop_button]), self.table])
        self._stopped = Event()
        self._thread = Thread(target=self._work, daemon=True)
        self._show(states_of(runs))
        self._thread.start()

    def stop(self) -> None:
        """Start no more runs and end those in progress."""
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
                self._show(self.states, "starting workers")
                render_sets(missing)
                with connected(len(missing), **self.options) as client:
                    run_study(self.runs, client, self._show, self._stopped)
                self._show(states_of(self.runs))
        except Exception as error:  # a thread's error is not shown
            self.bar.bar_style = "danger"
            self.table.value = escape(f"{type(error).__name__}: {error}")
        self.stop_button.disabled = True

    def _show(self, states: dict[str, str], note: str = "") -> None:
        self.states, counts = states, counts_of(states)
        self.bar.value = counts["done"]
        ended = "success" if counts["done"] == len(states) else "info"
        self.bar.bar_style = "danger" if counts["failed"] else ended
        self.table.value = html_table(self.runs, states, note)


def watch(
    file: str | Path,
    out: str | Path | None = None,
    only: Iterable[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: str | Path | None = None,
) -> StudyWatch:
    """Start the missing runs of a study and return the widgets that show them.

    Args:
        out, only: as in `plan.expand`.  workers, scheduler, slurm: as in `workers.connected`.

    Raises:
        StudyError: an error in the file.
    """
    options = {"workers": workers, "scheduler": scheduler, "slurm": slurm}
    return StudyWatch(expand(read_study(file), out, only), options)
