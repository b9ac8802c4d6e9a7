"""Studies simulated: how much the luck of a seed moves a difference, and how many seeds show an effect.

A seed's difference is drawn from a normal distribution around the true effect. That is all that Student's t
assumes of real ones.
"""

import io

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from aubench.plots.style import HOUSE, in_house_style
from aubench.plots.supervision import ABOVE, BELOW, UNSURE
from aubench.report.statistics import LEVEL, t_interval
from aubench.widgets.newest import NewestWins

STUDIES = 30  # that the instrument shows


def simulate(effect: float, spread: float, seeds: int, studies: int, seed: int = 0) -> pd.DataFrame:
    """Studies of one and the same effect, each with seeds of its own.

    Args:
        effect: true difference.  spread: standard deviation of one seed's difference; the same unit.

    Returns:
        a row a study: first (its first seed alone), mean, low, high (95 % interval).
    """
    drawn = np.random.default_rng(seed).normal(effect, spread, (studies, seeds))
    rows = [(study[0], *t_interval(study)[:3]) for study in drawn]
    return pd.DataFrame(rows, columns=["first", "mean", "low", "high"])


def power(effect: float, spread: float, seeds: int) -> float:
    """Share of studies with so many seeds whose interval leaves zero out.

    Of the non-central t distribution; with an effect of zero it is 0.05, the share of false finds.

    Raises:
        ValueError: fewer than two seeds, which have no interval.
    """
    if seeds < 2:
        raise ValueError(f"{seeds} seed has no spread, so no interval: expected 2 or more")
    limit, shift = stats.t.ppf(0.5 + LEVEL / 2, seeds - 1), effect * np.sqrt(seeds) / spread
    return float(stats.nct.sf(limit, seeds - 1, shift) + stats.nct.cdf(-limit, seeds - 1, shift))


def relative_width(few: int, many: int, spread: float = 1.0) -> float:
    """Width of the interval of `many` seeds over that of `few`, of the same spread."""

    def half(seeds: int) -> float:
        return stats.t.ppf(0.5 + LEVEL / 2, seeds - 1) * spread / np.sqrt(seeds)

    return float(half(many) / half(few))


def put_studies(axis: Axes, studies: pd.DataFrame, effect: float) -> None:
    """A row a study: its first seed as a cross, its interval coloured by what it says."""
    for place, row in enumerate(studies.itertuples()):
        colour = ABOVE if row.low > 0 else BELOW if row.high < 0 else UNSURE
        axis.hlines(place, row.low, row.high, color=colour, linewidth=1.3)
        axis.scatter(row.mean, place, s=12, color=colour, zorder=3)
    axis.scatter(studies["first"], range(len(studies)), marker="x", s=14, color="black", linewidths=0.8)
    axis.axvline(0, color="black", linewidth=0.9)
    axis.axvline(effect, color="#009E73", linestyle="--", linewidth=1.1)
    axis.set_ylim(len(studies), -1)
    axis.set_yticks([])
    axis.set_xlabel("difference, points (score x 100)")


@in_house_style
def draw_luck(differences: pd.Series, simulated: pd.DataFrame, spread: float) -> Figure:
    """Measured differences of single seeds in a world without any effect, and means of as many seeds.

    Args:
        differences: of the real runs, a value a seed, points.  simulated: of `simulate`, effect 0.
    """
    figure = Figure(figsize=(7.4, 2.5), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True)
    wide = 1.1 * max(simulated["first"].abs().quantile(0.999), differences.abs().max(), 1e-3)
    bins = np.linspace(-wide, wide, 41)
    for axis, column, title in (
        (axes[0], "first", "one seed"),
        (axes[1], "mean", f"mean of {len(differences)} seeds"),
    ):
        axis.hist(simulated[column], bins=bins, color="#CCCCCC")
        axis.axvline(0, color="black", linewidth=0.9)
        axis.set_yticks([])
        axis.set_xlabel("difference, points (score x 100)")
        axis.set_title(f"{title}, where nothing helps")
    low = 0.06 * axes[0].get_ylim()[1]
    axes[0].scatter(differences, np.full(len(differences), low), s=30, color=ABOVE, zorder=3)
    axes[1].scatter(differences.mean(), 0.06 * axes[1].get_ylim()[1], s=30, color=ABOVE, zorder=3)
    figure.supxlabel(f"grey: simulated, spread {spread:.2f} points; dots: the real runs", fontsize=8)
    return figure


class StudySimulator(widgets.VBox):
    """Sliders for the true effect, the spread of seeds and their number; thirty studies follow."""

    def __init__(self, effect: float = 0.5, spread: float = 1.5, seeds: int = 3):
        style, layout = {"description_width": "150px"}, widgets.Layout(width="440px")
        how = {"style": style, "layout": layout}
        self.effect = widgets.FloatSlider(
            value=effect,
            min=-3,
            max=3,
            step=0.1,
            description="true effect, points",
            readout_format=".1f",
            **how,
        )
        self.spread = widgets.FloatSlider(
            value=spread,
            min=0.1,
            max=4,
            step=0.1,
            description="spread of one seed",
            readout_format=".1f",
            **how,
        )
        self.seeds = widgets.IntSlider(value=seeds, min=2, max=30, description="seeds a study", **how)
        self.again = widgets.Button(description="other luck")
        self.picture = widgets.Image(format="png", layout=widgets.Layout(width="620px", height="340px"))
        self.said, self._luck = widgets.HTML(), 0
        with mpl.rc_context(HOUSE):
            self.figure = Figure(figsize=(6.2, 3.4), dpi=100)
            FigureCanvasAgg(self.figure)
            self._axis = self.figure.add_axes((0.03, 0.14, 0.94, 0.83))
        self.newest = NewestWins(lambda asked: self._drawn(*asked), self._show, self._fail)
        for control in (self.effect, self.spread, self.seeds):
            control.observe(lambda change: self._ask(), "value")
        self.again.on_click(lambda button: self._reroll())
        super().__init__([self.picture, self.said, self.effect, self.spread, self.seeds, self.again])
        self._show(self._drawn(*self._request()))  # the first picture is there when the cell ends

    def _reroll(self) -> None:
        self._luck += 1
        self._ask()

    def _request(self) -> tuple:
        return self.effect.value, self.spread.value, self.seeds.value, self._luck

    def _ask(self) -> None:
        self.newest.ask(self._request())

    def _drawn(self, effect: float, spread: float, seeds: int, luck: int) -> tuple[bytes, str]:
        studies = simulate(effect, spread, seeds, STUDIES, luck)
        with mpl.rc_context(HOUSE):
            self._axis.clear()
            put_studies(self._axis, studies, effect)
            wide = max(3.0, float(studies[["low", "high"]].abs().quantile(0.9).max()))
            self._axis.set_xlim(-wide, wide)
            stream = io.BytesIO()
            self.figure.canvas.print_png(stream)
        found = int(((studies["low"] > 0) | (studies["high"] < 0)).sum())
        right = int((np.sign(studies["first"]) == np.sign(effect)).sum())
        said = (
            f"<b>{found} of {STUDIES}</b> intervals leave zero out; in the long run "
            f"{100 * power(effect, spread, seeds):.0f} %. "
        )
        if effect:
            said += f"The first seed alone (cross) has the right sign in {right} of {STUDIES}."
        else:
            said += "Nothing is there to be found: each of them is a false alarm."
        return stream.getvalue(), said

    def _show(self, drawn: tuple[bytes, str]) -> None:
        self.picture.value, self.said.value = drawn

    def _fail(self, error: Exception) -> None:
        self.said.value = f"{type(error).__name__}: {error}"
