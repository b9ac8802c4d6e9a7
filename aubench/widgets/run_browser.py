"""Runs of a folder side by side: their curves, their AUs against one of them, and the same faces."""

import io
from pathlib import Path

import ipywidgets as widgets

from aubench.inspection.side_by_side import (
    curves_of_any,
    finished_below,
    per_au_of_runs,
    run_names,
    same_faces,
)
from aubench.plots import draw_au_differences, draw_run_curves, draw_same_faces
from aubench.report.results import scores_of_runs, with_intervals
from aubench.report.run_values import curve_name, in_words
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import failure, message, readable, training_command
from aulib.labels import AU_NAMES
from aulib.metrics import AU_MEASURES, MEASURES
from aulib.run import Run

FIRST_S = 60  # seconds to wait for the first figures
STYLE = """<style>
.au-scores { border-collapse: collapse; font-size: 13px; margin: 6px 0; }
.au-scores th, .au-scores td { padding: 1px 14px 1px 0; border: none; }
.au-scores th, .au-scores td { text-align: right; white-space: nowrap; }
.au-scores th:first-child, .au-scores td:first-child { text-align: left; }
</style>"""


class RunBrowser(widgets.VBox):
    """Compares the runs below a folder; "look again" updates the list.

    Args:
        folder: a study's folder, or any folder that holds run folders.
    """

    def __init__(self, folder: str | Path):
        self.newest = NewestWins(self._work, self._show, self._fail)
        how = {"style": {"description_width": "80px"}, "layout": {"width": "330px"}}
        self.folder = widgets.Text(str(folder), description="folder", continuous_update=False, **how)
        self.again = widgets.Button(description="look again", tooltip="update the list of runs")
        self.chosen = widgets.SelectMultiple(
            description="runs", rows=8, tooltip="Ctrl or Shift selects several", **how
        ).add_class("runs-chosen")
        self.against = widgets.Dropdown(description="against", **how)
        self.measure = widgets.Dropdown(
            options=[(MEASURES[name].short, name) for name in AU_MEASURES], description="score", **how
        )
        self.curve = widgets.Dropdown(description="curve", **how)
        self.au = widgets.Dropdown(description="faces for", **how)
        self.state = widgets.HTML().add_class("runs-state")
        self.table = widgets.HTML().add_class("runs-table")
        figure = {"max_width": "100%", "object_fit": "contain", "margin": "0"}
        self.figures = {
            name: widgets.Image(layout=figure).add_class(f"runs-{name}")
            for name in ("curves", "differences", "faces")
        }
        wrap = {"flex_flow": "row wrap", "display": "flex", "align_items": "flex-start"}
        left = widgets.VBox([widgets.HBox([self.folder, self.again]), self.chosen])
        right = widgets.VBox([self.against, self.measure, self.curve, self.au])
        figures = widgets.Box(list(self.figures.values()), layout=wrap)
        super().__init__([self.state, widgets.Box([left, right], layout=wrap), self.table, figures])
        self.add_class("run-browser")
        self.folder.observe(lambda change: self._find(), "value")
        self.again.on_click(lambda button: self._find())
        self.chosen.observe(lambda change: self._offer(), "value")
        for control in (self.against, self.measure, self.curve, self.au):
            control.observe(lambda change: self._ask(), "value")
        self._find()
        self.newest.wait(FIRST_S)  # the first figures are there when the cell ends

    def _find(self) -> None:
        """List the runs; select those tested on the same target as the first, five at most."""
        try:
            runs = finished_below(readable(self.folder.value))
            targets = {run: Run(run).settings["data_versions"]["target"] for run in runs}
        except ValueError as error:
            self.chosen.options = []
            self._clear(failure("No such runs.", error))
            return
        self.chosen.options = [(name, run) for run, name in run_names(runs).items()]
        self.chosen.value = tuple(run for run in runs if targets[run] == targets[runs[0]])[:5]
        if not runs:
            text = f"There is no finished run in {self.folder.value} or below. This command trains one:"
            self._clear(message("No runs yet.", text, training_command(Path(self.folder.value) / "full")))

    def _offer(self) -> None:
        """Offer the AUs and curves of the selected runs."""
        runs = list(self.chosen.value)
        if not runs:
            self._clear(message("No run is selected.", "Select one or more in the list."))
            return
        aus = Run(runs[0]).aus
        _set_options(self.against, [(name, run) for run, name in run_names(runs).items()])
        curves = curves_of_any([Run(run).history for run in runs])
        _set_options(self.curve, [(curve_name(name), name) for name in curves])
        _set_options(self.au, [(au, au) for au in AU_NAMES if au in aus], "AU12")
        self._ask()

    def _ask(self) -> None:
        runs, against = list(self.chosen.value), self.against.value
        if against in runs:
            self.newest.ask((runs, against, self.measure.value, self.curve.value, self.au.value))

    def _work(self, request) -> tuple[str, dict[str, bytes], str]:
        runs, against, measure, curve, au = request
        names = run_names(runs)
        scores = with_intervals(scores_of_runs(runs))[["method", "f1", "auc", "nme", "seconds"]]
        scores["method"] = list(names.values())
        drawings = {
            "curves": lambda: draw_run_curves(
                {names[run]: Run(run).history for run in runs},
                curve,
                {names[run]: Run(run).labelled_domain for run in runs},
            ),
            "differences": lambda: draw_au_differences(
                per_au_of_runs(runs, measure).rename(columns=names), names[against], measure
            ),
            "faces": lambda: draw_same_faces(same_faces(runs, au), names, au),
        }
        figures, missing = {}, ""
        for name, draw in drawings.items():
            try:
                figures[name] = _png(draw())
            except ValueError as error:  # a single run, no labels, no faces in common
                figures[name] = b""
                missing += message(f"No {name}.", str(error))
        return STYLE + in_words(scores).to_html(index=False, border=0, classes="au-scores"), figures, missing

    def _show(self, answer: tuple[str, dict[str, bytes], str]) -> None:
        self.table.value, figures, self.state.value = answer
        for name, picture in figures.items():
            self.figures[name].layout.display = None if picture else "none"
            self.figures[name].value = picture

    def _clear(self, state: str) -> None:
        self._show(("", dict.fromkeys(self.figures, b""), state))

    def _fail(self, error: Exception) -> None:
        self._clear(failure("These runs cannot be compared.", error))


def _set_options(control: widgets.Dropdown, options: list[tuple[str, str]], default: str = "") -> None:
    """Replace the options of a dropdown; its value stays if it is still offered."""
    values = [value for _, value in options]
    kept = next((value for value in (control.value, default, *values) if value in values), None)
    control.options = options
    control.value = kept


def _png(figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
