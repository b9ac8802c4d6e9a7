"""Controls with a picture and a text that follow them."""

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


class Instrument(widgets.Box):
    """A picture, a text and controls; the newest position of the controls wins.

    Args:
        answer: values of the controls, by name -> picture and HTML.
        controls: name -> widget with a `value`.
        width: pixels of the picture.
        format: of the picture, "png" or "jpeg".
        aside: "text" or "controls" stand next to the rest, where the page is wide enough; else all is in one
            column.
    """

    def __init__(
        self,
        answer: Callable[..., tuple[bytes, str]],
        controls: dict[str, widgets.Widget],
        width: int,
        format: str = "png",
        aside: str = "",
    ):
        self.controls = controls
        self.picture = widgets.Image(format=format, layout=widgets.Layout(width=f"{width}px"))
        beside = {"text": "378px", "controls": f"{width}px"}  # a long line must not push a column below
        self.text = widgets.HTML(layout=widgets.Layout(width=beside.get(aside, "auto")))
        self.newest = NewestWins(lambda values: answer(**values), self._show, self._fail)
        for control in controls.values():
            control.layout.width = control.layout.width or "420px"
            control.style.description_width = "150px"
            control.observe(lambda change: self.newest.ask(self._values()), "value")
        parts = {"picture": [self.picture], "text": [self.text], "controls": list(controls.values())}
        columns = [parts.pop(aside)] if aside else []
        columns.insert(0, [widget for part in parts.values() for widget in part])
        gap = widgets.Layout(margin="0 12px 0 0")
        wrap = widgets.Layout(display="flex", flex_flow="row wrap", overflow="visible")
        super().__init__([widgets.VBox(column, layout=gap) for column in columns], layout=wrap)
        self.add_class("instrument")
        self.picture.add_class("instrument-picture")
        self.text.add_class("instrument-text")
        self._show(answer(**self._values()))  # the first picture is there when the cell ends

    def _values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _show(self, answer: tuple[bytes, str]) -> None:
        self.picture.value, self.text.value = answer

    def _fail(self, error: Exception) -> None:
        self.text.value = f"{type(error).__name__}: {error}"
