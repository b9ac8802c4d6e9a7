"""Controls with a figure and a line of text that follow them."""

import io
from collections.abc import Callable

import ipywidgets as widgets
import matplotlib as mpl
from matplotlib.figure import Figure

from aubench.plots.style import HOUSE
from aubench.widgets.newest import NewestWins


def png(draw: Callable[..., Figure], *values) -> bytes:
    """The figure that `draw(*values)` returns, in house style, as PNG."""
    stream = io.BytesIO()
    with mpl.rc_context(HOUSE):
        draw(*values).savefig(stream, format="png", dpi=100)
    return stream.getvalue()


class Instrument(widgets.VBox):
    """A figure, a line of text and controls below each other; the newest position of the controls wins.

    Args:
        answer: values of the controls, by name -> PNG and HTML.
        controls: name -> widget with a `value`.
        width: pixels of the picture.
    """

    def __init__(
        self, answer: Callable[..., tuple[bytes, str]], controls: dict[str, widgets.Widget], width: int
    ):
        self.controls = controls
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width=f"{width}px"))
        self.said = widgets.HTML()
        self.newest = NewestWins(lambda values: answer(**values), self._show, self._fail)
        for control in controls.values():
            control.layout.width, control.style.description_width = "440px", "150px"
            control.observe(lambda change: self.newest.ask(self._values()), "value")
        super().__init__([self.picture, self.said, *controls.values()])
        self._show(answer(**self._values()))  # the first picture is there when the cell ends

    def _values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _show(self, answer: tuple[bytes, str]) -> None:
        self.picture.value, self.said.value = answer

    def _fail(self, error: Exception) -> None:
        self.said.value = f"{type(error).__name__}: {error}"
