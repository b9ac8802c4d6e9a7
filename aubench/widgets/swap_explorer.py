"""The swap explorer: two faces exchange their shapes, and every step of both rounds is looked at."""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd

from aubench.inspection.decoding import STEPS, about_decoder, fit_decoder
from aubench.inspection.swaps import Step, Swap, swap_faces, why_no_swap
from aubench.widgets import drawing
from aubench.widgets.face_picker import FacePicker
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message, opened
from aulib.run import Run

STYLE = """<style>
.au-face-row { container-type: inline-size; margin: 4px 0 12px; }
.au-steps { display: grid; grid-template-columns: repeat(8, minmax(0, 118px)); gap: 10px 7px; }
@container (max-width: 720px) { .au-steps { grid-template-columns: repeat(4, minmax(0, 150px)); } }
.au-steps figure { margin: 0; font-size: 12px; line-height: 1.3; }
.au-steps figcaption { padding-top: 5px; }
.au-steps img { width: 100%; aspect-ratio: 1; display: block; }
.au-alignment { border-collapse: collapse; font-size: 13px; }
.au-alignment th, .au-alignment td { padding: 2px 12px 2px 0; text-align: right; }
.au-alignment td { line-height: 1.5; white-space: nowrap; }
.swap-explorer sup { line-height: 0; }
.au-trace-box { overflow-x: auto; margin: 4px 0 12px; }
.au-trace td { white-space: normal; vertical-align: top; }
.au-trace th, .au-trace td:not(:nth-last-child(-n+1)) { text-align: left; }
.au-trace td:nth-child(odd) { white-space: nowrap; }
.au-alignment th:first-child, .au-alignment td:first-child { text-align: left; }
</style>"""

BLURRED = (
    "Decoded by the run's own small R, blurred and without colour. A sharper decoder is left in the run "
    "folder by the button below, or by <code>05_reconstructions</code>; it is then used here."
)


class SwapExplorer(widgets.VBox):
    """Pick a source and a target face; see S and Z exchanged, decoded, in both rounds, and the alignments.

    Args:
        run: a run folder; a run whose method does not separate says so.
        faces: dataset folder offered beside the run's own faces.
    """

    def __init__(self, run: str | Path, faces: str = ""):
        self.run, state = opened(run)
        if self.run and (reason := why_no_swap(self.run)):
            text = f"{reason}. Choose a run of adld, contrastive or full."
            state = message("Nothing to swap.", text)
        self.state = widgets.HTML(state).add_class("swap-state")
        self.shown, self.swap = widgets.HTML().add_class("swap-shown"), None
        super().__init__([self.state])
        self.add_class("swap-explorer")
        if state:
            return
        self.newest = NewestWins(lambda crops: swap_faces(self.run, *crops), self._show, self._fail)
        self.source = FacePicker(self.run, "source face", "source", faces, self._ask)
        self.target = FacePicker(self.run, "target face", "target", faces, self._ask)
        pickers = widgets.Box(
            [self.source.add_class("swap-source"), self.target.add_class("swap-target")],
            layout=widgets.Layout(flex_flow="row wrap", display="flex"),
        )
        self.fitting = DecoderFitting(self.run, self._ask)
        self.children = [self.state, pickers, self.shown, self.fitting]
        if self._ready():
            self._show(swap_faces(self.run, self.source.crop, self.target.crop))

    def _ready(self) -> bool:
        return self.source.crop is not None and self.target.crop is not None

    def _ask(self) -> None:
        if self._ready():
            self.newest.ask((self.source.crop, self.target.crop))
        else:
            self.shown.value = ""

    def _show(self, swap: Swap) -> None:
        self.swap, self.state.value = swap, ""
        rows = "".join(_row(name, getattr(swap, name)) for name in ("source", "target"))
        said = "" if swap.fitted else f"<p>{BLURRED}</p>"
        self.shown.value = STYLE + rows + said + trace_table(swap.trace) + alignment_table(swap.alignment)

    def _fail(self, error: Exception) -> None:
        cause = " ".join(str(error).split())[:300]
        self.state.value = message(
            "These faces could not be swapped.", f"{type(error).__name__}: {cause}", "", "fault"
        )


def _row(name: str, steps: list[Step]) -> str:
    figures = "".join(map(_figure, steps))
    return f'<b>{name}</b><div class="au-face-row"><div class="au-steps">{figures}</div></div>'


def _figure(step: Step) -> str:
    picture = drawing.heat(step.picture, 236) if step.is_map else drawing.enlarged(step.picture, 236)[0]
    found = ""
    if step.aus is not None:
        present = [f"{au[2:]}" for au, probability in step.aus.items() if probability >= 0.5]
        found = f"<br>AUs {' '.join(present) or 'none'}"
    alt = escape(f"{step.name}: {step.says}")
    uri = drawing.data_uri(picture)
    caption = f"<b>{typeset(step.name)}</b> {typeset(step.says)}<br><i>{step.size}</i>{found}"
    return f'<figure><img alt="{alt}" src="{uri}"><figcaption>{caption}</figcaption></figure>'


def typeset(symbols: str) -> str:
    """HTML of the method's symbols: F~^t with a tilde over the F and t above the line, F^^t with a hat."""
    marked = re.sub(r"([A-Z])~\^([st])", "\\1\u0303<sup>\\2</sup>", escape(symbols))
    marked = re.sub(r"([A-Z])\^\^([st])", "\\1\u0302<sup>\\2</sup>", marked)
    return re.sub(r"([A-Z])\^([st])", r"\1<sup>\2</sup>", marked)


def trace_table(trace: pd.DataFrame) -> str:
    """`swaps.trace_both` as an HTML table that can be folded."""
    heads = "".join(f"<th>{head}</th>" for head in trace.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{typeset(str(value))}</td>" for value in row) + "</tr>"
        for row in trace.itertuples(index=False)
    )
    return (
        "<details open><summary><b>every tensor of these two faces</b>, batch of 1 left out</summary>"
        f'<div class="au-trace-box"><table class="au-alignment au-trace"><tr>{heads}</tr>{body}</table></div>'
        "</details>"
    )


def alignment_table(alignment: pd.DataFrame) -> str:
    """`swaps.alignment_of` as HTML; a dash where the run did not train with a supervisor."""
    heads = ["supervisor", "rounds", "features", "other face's", "projected", "other face's"]
    columns = ["features", "features_other", "projected", "projected_other"]
    body = "".join(
        f"<tr><td>{row.supervisor}</td><td>{typeset(row.pair)}</td>"
        + "".join(f"<td>{_number(getattr(row, column))}</td>" for column in columns)
        + "</tr>"
        for row in alignment.itertuples()
    )
    head = "".join(f"<th>{text}</th>" for text in heads)
    return (
        f'<table class="au-alignment"><tr>{head}</tr>{body}</table>'
        "<p>Cosines of first and second round; 1 is perfect agreement. <i>Other face's</i> is what two "
        "different faces agree by: an alignment says something only where it is above that. "
        "<i>Projected</i>: through the projector that the supervisor trained.</p>"
    )


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


class DecoderFitting(widgets.HBox):
    """Fits `decoding.fit_decoder`'s decoder when pressed, says how far it is, and goes when there is one.

    Args:
        done: called in the fitting's thread once the decoder lies in the run folder.
    """

    def __init__(self, run: Run, done: Callable[[], None], steps: int = STEPS):
        self._run, self._done, self._steps = run, done, steps
        self.newest = NewestWins(self._work, self._show, self._fail)
        self.button = widgets.Button(
            description="fit a sharper decoder", layout=widgets.Layout(width="200px"),
            tooltip="a minute or two; it is left in the run folder",
        ).add_class("fit-decoder")  # fmt: skip
        self.button.on_click(lambda button: self.fit())
        self.said = widgets.HTML()
        super().__init__([self.button, self.said])
        self.layout.display = "none" if about_decoder(run.path) else None

    def fit(self) -> None:
        """Have it fitted; returns at once."""
        self.button.disabled = True
        self.said.value = message("Fitting.", "Everything else may be used meanwhile.")
        self.newest.ask(None)

    def _work(self, _) -> None:
        fit_decoder(self._run.path, steps=self._steps, progress=False, on_step=self._tell)

    def _tell(self, step: int) -> None:
        if step % 5 == 0:
            self.said.value = message(
                "Fitting:", f"step {step} of {self._steps}. Everything else may be used meanwhile."
            )

    def _show(self, _) -> None:
        self.layout.display = "none"
        self._done()

    def _fail(self, error: Exception) -> None:
        self.button.disabled = False
        cause = " ".join(str(error).split())[:300]
        self.said.value = message("No decoder could be fitted.", cause, kind="fault")
