"""The run browser: choose runs of a folder; their curves, their AUs against one of them, the same faces."""

import io
from pathlib import Path

import ipywidgets as widgets
from matplotlib.figure import Figure

from aubench.inspection.side_by_side import (
    finished_below,
    per_au_of_runs,
    run_names,
    same_faces,
    shared_curves,
)
from aubench.plots.side_by_side import draw_au_differences, draw_run_curves, draw_same_faces
from aubench.report.results import scores_of_runs, with_intervals
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message
from aulib.labels import AU_NAMES
from aulib.metrics import AU_MEASURES
from aulib.run import Run

STYLE = """<style>
.au-scores { border-collapse: collapse; font-size: 13px; margin: 6px 0; }
.au-scores th, .au-scores td { padding: 1px 14px 1px 0; border: none; }
.au-scores th, .au-scores td { text-align: right; white-space: nowrap; }
.au-scores th:first-child, .au-scores td:first-child { text-align: left; }
</style>"""


class RunBrowser(widgets.VBox):
    """Runs below a folder, side by side. Finding the runs is done again with "look again".

    Args:
        folder: a study's folder, or any folder with run folders in it.
    """

    def __init__(self, folder: str | Path):
        self.state = widgets.HTML().add_class("runs-state")
        self.newest = NewestWins(self._work, self._show, self._fail)
        style, layout = {"description_width": "80px"}, widgets.Layout(width="330px")
        self.folder = widgets.Text(
            value=str(folder), description="folder", layout=layout, style=style, continuous_update=False
        )
        self.again = widgets.Button(description="look again", tooltip="find the runs of the folder anew")
        self.chosen = widgets.SelectMultiple(
            description="runs", layout=widgets.Layout(width="330px", height="150px"), style=style,
            tooltip="Ctrl or Shift chooses several",
        ).add_class("runs-chosen")  # fmt: skip
        self.against = widgets.Dropdown(description="against", layout=layout, style=style)
        self.measure = widgets.Dropdown(
            options=list(AU_MEASURES), description="score", layout=layout, style=style
        )
        self.curve = widgets.Dropdown(description="curve", layout=layout, style=style)
        self.au = widgets.Dropdown(description="faces for", layout=layout, style=style)
        figure = {"max_width": "100%", "object_fit": "contain", "margin": "0"}
        self.figures = {
            name: widgets.Image(layout=widgets.Layout(**figure)).add_class(f"runs-{name}")
            for name in ("curves", "differences", "faces")
        }
        self.table = widgets.HTML().add_class("runs-table")
        wrap = widgets.Layout(flex_flow="row wrap", display="flex", align_items="flex-start")
        controls = widgets.Box(
            [
                widgets.VBox([widgets.HBox([self.folder, self.again]), self.chosen]),
                widgets.VBox([self.against, self.measure, self.curve, self.au]),
            ],
            layout=wrap,
        )
        super().__init__(
            [self.state, controls, self.table, widgets.Box(list(self.figures.values()), layout=wrap)]
        )
        self.add_class("run-browser")
        self._held = True
        for control in (self.chosen, self.against, self.measure, self.curve, self.au):
            control.observe(lambda change: self._ask(), "value")
        self.folder.observe(lambda change: self._look(), "value")
        self.again.on_click(lambda button: self._look())
        self._look(now=True)

    def _look(self, now: bool = False) -> None:
        """Find the runs; all of the first target set are chosen at first, five at most."""
        runs = finished_below(self.folder.value)
        self._held = True
        names = run_names(runs)
        self.chosen.options = [(name, run) for run, name in names.items()]
        self.chosen.value = tuple(_comparable(runs)[:5])
        self._held = False
        if not runs:
            text = f"There is no finished run in {self.folder.value} or below. This command makes one:"
            command = f"aulib run 02_train -p method full --out {Path(self.folder.value) / 'full'}"
            self.state.value = message("No runs yet.", text, command)
            self._clear()
        else:
            self._ask(now)

    def _ask(self, now: bool = False) -> None:
        if self._held:
            return
        runs = list(self.chosen.value)
        if not runs:
            self.state.value = message("No run is chosen.", "Choose one or more in the list.")
            self._clear()
            return
        self._held = True
        _offer(self.against, {run: run_names(runs)[run] for run in runs})
        shared = shared_curves([Run(run).history for run in runs])
        _offer(self.curve, {name: name for name in shared})
        known = [au for au in AU_NAMES if au in set(_aus(runs[0]))]
        _offer(self.au, {au: au for au in known}, "AU12")
        self._held = False
        request = (runs, self.against.value, self.measure.value, self.curve.value, self.au.value)
        if now:
            self._show(self._work(request))
        else:
            self.newest.ask(request)

    def _work(self, request):
        runs, against, measure, curve, au = request
        table = scores_of_runs(runs)
        shown = with_intervals(table)[["method", "f1", "auc", "nme", "seconds"]]
        names = run_names(runs)
        shown["method"] = list(names.values())
        drawn, said = {}, []
        for name, draw in (
            ("curves", lambda: draw_run_curves({names[run]: Run(run).history for run in runs}, curve)),
            ("differences", lambda: self._differences(names, against, measure)),
            ("faces", lambda: draw_same_faces(same_faces(runs, au), names, au)),
        ):
            try:
                drawn[name] = _png(draw())
            except ValueError as error:  # only one run, no labels, no faces in common
                drawn[name] = b""
                said.append(message(f"No {name}.", str(error)))
        return STYLE + shown.to_html(index=False, border=0, classes="au-scores"), drawn, "".join(said)

    @staticmethod
    def _differences(names: dict[str, str], against: str, measure: str) -> Figure:
        table = per_au_of_runs(list(names), measure).rename(columns=names)
        return draw_au_differences(table, names[against], measure)

    def _show(self, answer) -> None:
        self.table.value, drawn, self.state.value = answer
        for name, picture in drawn.items():
            self.figures[name].layout.display = None if picture else "none"
            self.figures[name].value = picture

    def _clear(self) -> None:
        self.table.value = ""
        for picture in self.figures.values():
            picture.layout.display = "none"

    def _fail(self, error: Exception) -> None:
        cause = " ".join(str(error).split())[:300]
        self.state.value = message("These runs cannot be compared.", cause, kind="fault")
        self._clear()


def _comparable(runs: list[str]) -> list[str]:
    """Those tested on the same target as the first."""
    versions = [Run(run).settings["data_versions"]["target"] for run in runs]
    return [run for run, version in zip(runs, versions, strict=True) if version == versions[0]]


def _aus(run: str) -> list[str]:
    return list(Run(run).aus)


def _offer(control: widgets.Dropdown, options: dict[str, str], wanted: str = "") -> None:
    """New options, value -> name; the value stays if it is among them."""
    value = (
        control.value
        if control.value in options
        else wanted
        if wanted in options
        else next(iter(options), None)
    )
    control.options = [(name, option) for option, name in options.items()]
    control.value = value


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()
