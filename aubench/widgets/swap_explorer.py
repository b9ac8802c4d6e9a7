"""Two faces exchange shape and texture; every step of both rounds is shown."""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets
import pandas as pd

from aubench.inspection.decoding import STEPS, about_decoder, fit_decoder
from aubench.inspection.swaps import Step, Swap, can_exchange, swap_faces
from aubench.report.run_values import in_words
from aubench.widgets import drawing
from aubench.widgets.face_picker import FacePicker
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import failure, message, opened
from aulib.run import Run

FIRST_S = 60  # seconds to wait for the first pictures
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
    "Decoded by the run's own small R, blurred and without colour. The button below, or "
    "<code>05_reconstructions</code>, fits a sharper decoder and saves it in the run folder."
)
ALIGNMENT = (
    "Cosine similarity of first and second round. <i>Other face</i> is the similarity of two different "
    "faces; an alignment means something only above it. <i>Projected</i>: through the projector that the "
    "supervisor trained; a dash if the run did not train with it."
)


class SwapExplorer(widgets.VBox):
    """Pick a source and a target face; see S and Z exchanged and decoded in both rounds, and the alignments.

    Args:
        run: a run folder; a message says so if its method does not separate shape and texture.
        faces: a dataset folder offered besides the run's own faces.
    """

    def __init__(self, run: str | Path, faces: str = ""):
        self.run, problem = opened(run)
        if self.run and not can_exchange(self.run.model):
            why = "has no separation: there is no texture Z and no reconstruction G"
            text = f"{self.run.settings['method']} {why}. Choose a run of adld, contrastive or full."
            problem = message("Nothing to swap.", text)
        self.state = widgets.HTML(problem).add_class("swap-state")
        self.shown, self.swap = widgets.HTML().add_class("swap-shown"), None
        super().__init__([self.state])
        self.add_class("swap-explorer")
        if problem:
            return
        self.newest = NewestWins(lambda crops: swap_faces(self.run, *crops), self._show, self._fail)
        self.source = FacePicker(self.run, "source face", "source", faces, self._ask).add_class("swap-source")
        self.target = FacePicker(self.run, "target face", "target", faces, self._ask).add_class("swap-target")
        pickers = widgets.Box([self.source, self.target], layout={"flex_flow": "row wrap", "display": "flex"})
        self.fitting = DecoderFitting(self.run, self._ask)
        self.children = [self.state, pickers, self.shown, self.fitting]
        self._ask()
        self.newest.wait(FIRST_S)  # the first pictures are there when the cell ends

    def _ask(self) -> None:
        if self.source.crop is None or self.target.crop is None:
            self.shown.value = ""
        else:
            self.newest.ask((self.source.crop, self.target.crop))

    def _show(self, swap: Swap) -> None:
        self.swap, self.state.value = swap, ""
        rows = "".join(_row(name, getattr(swap, name)) for name in ("source", "target"))
        blurred = "" if swap.fitted else f"<p>{BLURRED}</p>"
        self.shown.value = STYLE + rows + blurred + trace_table(swap.trace) + alignment_table(swap.alignment)

    def _fail(self, error: Exception) -> None:
        self.state.value = failure("These faces could not be swapped.", error)


def _row(name: str, steps: list[Step]) -> str:
    figures = "".join(map(_figure, steps))
    return f'<b>{name}</b><div class="au-face-row"><div class="au-steps">{figures}</div></div>'


def _figure(step: Step) -> str:
    picture = drawing.heat(step.picture, 236) if step.is_map else drawing.enlarged(step.picture, 236)
    found = ""
    if step.aus is not None:
        present = [au[2:] for au, probability in step.aus.items() if probability >= 0.5]
        found = f"<br>AUs {' '.join(present) or 'none'}"
    alt = escape(f"{step.name}: {step.caption}")
    caption = f"<b>{typeset(step.name)}</b> {typeset(step.caption)}<br><i>{step.size}</i>{found}"
    uri = drawing.data_uri(picture)
    return f'<figure><img alt="{alt}" src="{uri}"><figcaption>{caption}</figcaption></figure>'


def typeset(symbols: str) -> str:
    """HTML of the method's symbols: F~^t with a tilde over the F and t above the line, F^^t with a hat."""
    marked = re.sub(r"([A-Z])~\^([st])", "\\1\u0303<sup>\\2</sup>", escape(symbols))
    marked = re.sub(r"([A-Z])\^\^([st])", "\\1\u0302<sup>\\2</sup>", marked)
    return re.sub(r"([A-Z])\^([st])", r"\1<sup>\2</sup>", marked)


def trace_table(trace: pd.DataFrame) -> str:
    """HTML of `swaps.trace_both`, unfolded."""
    table = trace.astype(str).style.format(typeset).hide(axis="index")
    table = table.set_table_attributes('class="au-alignment au-trace"')
    return (
        "<details open><summary><b>every tensor of these two faces</b>, without the batch axis</summary>"
        f'<div class="au-trace-box">{table.to_html()}</div></details>'
    )


def alignment_table(alignment: pd.DataFrame) -> str:
    """HTML of `swaps.alignment_of`."""
    table = in_words(alignment.rename(columns={"pair": "rounds"}))
    table = table.style.format(precision=3, na_rep="–").format(typeset, subset=["rounds"]).hide(axis="index")
    return f"{table.set_table_attributes('class=au-alignment').to_html()}<p>{ALIGNMENT}</p>"


class DecoderFitting(widgets.HBox):
    """A button that fits `decoding.fit_decoder`'s decoder, with progress; hidden once the run has one.

    Args:
        done: called in the fitting's thread when the decoder is in the run folder.
    """

    def __init__(self, run: Run, done: Callable[[], None]):
        self._run, self._done = run, done
        self.newest = NewestWins(self._fit, self._show, self._fail)
        self.button = widgets.Button(
            description="fit a sharper decoder", layout={"width": "200px"},
            tooltip="takes a minute or two; saved in the run folder",
        ).add_class("fit-decoder")  # fmt: skip
        self.button.on_click(self._pressed)
        self.said = widgets.HTML()
        super().__init__([self.button, self.said])
        self.layout.display = "none" if about_decoder(run.path) else None

    def _pressed(self, button: widgets.Button) -> None:
        self.button.disabled = True
        self._progress(0)
        self.newest.ask(None)

    def _progress(self, step: int) -> None:
        if step % 5 == 0:
            text = f"step {step} of {STEPS}. Everything else can be used meanwhile."
            self.said.value = message("Fitting:", text)

    def _fit(self, request: None) -> None:
        fit_decoder(self._run.path, progress=False, on_step=self._progress)

    def _show(self, answer: None) -> None:
        self.layout.display = "none"
        self._done()

    def _fail(self, error: Exception) -> None:
        self.button.disabled = False
        self.said.value = failure("No decoder could be fitted.", error)
