"""One head to touch: sliders change its skin, age and one AU, and a run's answers follow."""

import io
from dataclasses import replace

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from aubench.inspection.playground import open_run, read_crop
from aubench.plots.style import HOUSE, au_label
from aubench.widgets.newest import NewestWins
from aufaces.actions import AUS, Expression
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.run import Run
from equal_heads import SAME_AGE, SAME_TONE, SIZE, rendered, scene

LEFT, RIGHT = "#8C8C8C", "#D55E00"  # the head compared with, the head as the sliders say


class SameHead(widgets.VBox):
    """The same head twice: as compared with, and in the tone and at the age that the sliders say.

    Args:
        run: a finished run.  au: the AU that its slider moves.
    """

    def __init__(self, run, au: str = "AU12", melanin: float = 0.9, age: float = SAME_AGE, seed: int = 0):
        self.run: Run = open_run(run)
        self.seed, self.aus = seed, [name for name in self.run.aus if name in AUS]
        style, layout = {"description_width": "120px"}, widgets.Layout(width="420px")
        how = {"style": style, "layout": layout}
        self.melanin = widgets.FloatSlider(
            value=melanin, min=0, max=1, step=0.05, description="melanin", **how
        )
        self.age = widgets.FloatSlider(value=age, min=0.4, max=1, step=0.05, description="age", **how)
        self.au = widgets.Dropdown(
            options=[(au_label(name), name) for name in AUS], value=au if au in AUS else AUS[0],
            description="moved AU", **how,
        )  # fmt: skip
        self.intensity = widgets.FloatSlider(
            value=0, min=0, max=5, step=0.25, description="its intensity", **how
        )
        self.head = widgets.IntSlider(value=0, min=0, max=39, description="head and light", **how)
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="720px", height="330px"))
        self.said = widgets.HTML()
        self._lay_out()
        self.newest = NewestWins(lambda asked: self._drawn(*asked), self._show, self._fail)
        controls = [self.melanin, self.age, self.au, self.intensity, self.head]
        for control in controls:
            control.observe(lambda change: self.newest.ask(self._request()), "value")
        super().__init__([self.picture, self.said, *controls])
        self._show(self._drawn(*self._request()))  # the first picture is there when the cell ends

    def _lay_out(self) -> None:
        """The figure is made once; a slider changes only what moves."""
        with mpl.rc_context(HOUSE):
            self.figure = Figure(figsize=(7.2, 3.3), dpi=100)
            FigureCanvasAgg(self.figure)
            blank, self._faces = np.zeros((SIZE, SIZE, 3), np.uint8), []
            for place, (title, colour) in enumerate((("compared with", LEFT), ("changed", RIGHT))):
                axis = self.figure.add_axes((0.005 + 0.25 * place, 0.2, 0.24, 0.6))
                axis.set_axis_off()
                axis.set_title(title, color=colour, loc="center")
                self._faces.append(axis.imshow(blank))
            axis = self.figure.add_axes((0.745, 0.13, 0.245, 0.85))
            places = np.arange(len(self.aus))
            self._lines = axis.hlines(places, 0, 1, color="#C4C4C4", linewidth=1.2)
            start = np.column_stack([np.full(len(places), 0.5), places])
            self._dots = [
                axis.scatter(*start.T, s=size, color=colour, marker=mark, zorder=3)
                for size, colour, mark in ((26, LEFT, "D"), (30, RIGHT, "o"))
            ]
            axis.axvline(0.5, color="black", linestyle="--", linewidth=0.9)
            axis.set_yticks(places, [au_label(name) for name in self.aus], fontsize=7)
            axis.set_ylim(len(places) - 0.4, -0.6)
            axis.set_xlim(-0.03, 1.03)
            axis.set_xlabel("probability, raised from 0.5")

    def _request(self) -> tuple:
        return self.melanin.value, self.age.value, self.au.value, self.intensity.value, self.head.value

    def read(self, melanin: float, age: float, au: str, intensity: float, head: int):
        """The picture and the probabilities of `aus`; only that AU moves."""
        sample = scene(head, 0, self.seed)
        face = replace(sample.face, expression=Expression.of(**{au: intensity}))
        image, points = rendered(replace(sample, face=face), melanin, age)
        spec = crop_of(self.run.model.config)
        crop = crop_face(Image.fromarray(image), crop_matrix(points, spec), spec.size)
        probability = read_crop(self.run, crop, self.run.settings["read_target_from"]).probability
        return image, np.array([probability[self.run.aus.index(name)] for name in self.aus])

    def _drawn(self, melanin, age, au, intensity, head) -> tuple[bytes, str]:
        before = self.read(SAME_TONE, SAME_AGE, au, intensity, head)
        after = self.read(melanin, age, au, intensity, head)
        places = np.arange(len(self.aus))
        for face, dots, (image, probability) in zip(self._faces, self._dots, (before, after), strict=True):
            face.set_data(image)
            dots.set_offsets(np.column_stack([probability, places]))
        ends = np.sort(np.column_stack([before[1], after[1]]), axis=1)
        self._lines.set_segments(
            [[(low, place), (high, place)] for place, (low, high) in zip(places, ends, strict=True)]
        )
        stream = io.BytesIO()
        with mpl.rc_context(HOUSE):
            self.figure.canvas.print_png(stream)
        crossed = [
            f"{name} {'raised' if new >= 0.5 else 'lost'}"
            for name, old, new in zip(self.aus, before[1], after[1], strict=True)
            if (old >= 0.5) != (new >= 0.5)
        ]
        return stream.getvalue(), (
            f"The face moves {au_label(au)} at intensity {intensity:.1f}, on both sides. Crossing 0.5 by "
            f"tone and age alone: <b>{', '.join(crossed) or 'none'}</b>."
        )

    def _show(self, drawn: tuple[bytes, str]) -> None:
        self.picture.value, self.said.value = drawn

    def _fail(self, error: Exception) -> None:
        self.said.value = f"{type(error).__name__}: {error}"
