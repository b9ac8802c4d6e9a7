"""A button that fits the run's decoder beside the kernel, for pictures worth looking at."""

from collections.abc import Callable

import ipywidgets as widgets

from aubench.inspection.decoding import STEPS, about_decoder, fit_decoder
from aubench.inspection.playground import OpenRun
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message


class DecoderFitting(widgets.HBox):
    """Fits `decoding.fit_decoder`'s decoder when pressed, says how far it is, and goes when there is one.

    Args:
        done: called in the fitting's thread once the decoder lies in the run folder.
    """

    def __init__(self, run: OpenRun, done: Callable[[], None], steps: int = STEPS):
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
        fit_decoder(self._run.path, steps=self._steps, progress=False, told=self._tell)

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
