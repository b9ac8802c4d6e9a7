"""Figures of a study: ladder, differences per AU, costs, losses and gradients of the supervisors."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter
from scipy.optimize import isotonic_regression

from aubench.plots.style import (
    ABOVE,
    BELOW,
    MEASURE_NAMES,
    PAGE,
    SUPERVISOR_COLOURS,
    UNSURE,
    au_label,
    in_house_style,
    row_panels,
)
from aubench.report.run_values import MEAN, TERM_GROUPS
from aubench.report.statistics import SIGNIFICANT
from aubench.report.summaries import Summary
from aulib.supervisors import SUPERVISORS

TERM_COLOURS = dict(zip(TERM_GROUPS, ("#666666", "#999999", "#C4C4C4", "#E6E6E6"), strict=True))
LEADER = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 1}
FLOOR = 1e-4  # share of log N below which a curve on the log scale is cut off


@in_house_style
def draw_ladder(summary: Summary, differences: pd.DataFrame, measure: str = "f1") -> Figure:
    """Each variant's seeds and mean, and its paired difference from the reference with the 95 % interval.

    Filled marks are significant after Holm's correction. A value far outside the range is written at the
    edge, with the lowest and highest seed or the interval.

    Args:
        differences: `statistics.paired_differences` against one reference.

    Raises:
        ValueError: no differences of this measure.
    """
    rows = _of_measure(differences, measure)
    rows = rows[rows["au"] == MEAN].set_index("variant")
    reference = rows["reference"].iloc[0]
    seeds = 100 * summary.seeds_of(measure)
    variants, places = list(seeds), np.arange(seeds.shape[1])
    rows = rows.reindex(variants)
    figure, (left, right) = row_panels(variants, 2)
    left.scatter(seeds, np.tile(places, (len(seeds), 1)), s=9, color="#AAAAAA", linewidths=0, zorder=2)
    left.scatter(seeds.mean(), places, s=34, marker="|", color="black", linewidths=1.8, zorder=3)
    if reference in variants:
        style = {"va": "center", "fontsize": 7, "color": UNSURE}
        right.text(0, variants.index(reference), " reference", **style)
    sure = rows["p_holm"] < SIGNIFICANT
    colours = np.where(sure, np.where(rows["difference"] > 0, ABOVE, BELOW), UNSURE)
    value, low, high = 100 * rows[["difference", "low", "high"]].to_numpy(float).T
    right.hlines(places, low, high, colors=colours, linewidth=1.5)
    fill = np.where(sure, colours, "white")
    right.scatter(value, places, s=22, zorder=3, edgecolors=colours, linewidths=1.2, facecolors=fill)
    right.axvline(0, color="black", linewidth=0.9)
    left.set_xlabel(f"{MEASURE_NAMES.get(measure, measure)} x 100\none dot per seed, bar: their mean")
    right.set_xlabel("paired difference, 95 % interval over seeds\nfilled: p < 0.05 after Holm")
    left.set_title("target test")
    right.set_title(f"minus {reference}")
    means = pd.DataFrame({"value": seeds.mean(), "low": seeds.min(), "high": seeds.max()})
    _zoom(left, means.assign(mark="", colour="black"), means["value"].median())
    marks = {"mark": np.where(sure, "● ", "○ "), "colour": colours}
    _zoom(right, pd.DataFrame({"value": value, "low": low, "high": high} | marks), 0.0)
    return figure


def _zoom(axis: Axes, rows: pd.DataFrame, centre: float) -> None:
    """Limit the axis to the bulk around `centre`; write the numbers of rows far outside at its edge.

    Args:
        rows: from the top: value, low, high, mark, colour.
    """
    away = (rows["value"] - centre).abs()
    outside = away > max(4 * away.median(), 3.0)
    if not outside.any():
        return
    bulk = rows[~outside & rows["value"].notna()]
    start = min(centre, bulk[["value", "low"]].min(axis=None))
    end = max(centre, bulk[["value", "high"]].max(axis=None))
    room = 0.25 * (end - start)
    axis.set_xlim(start - room, end + room)
    sign = "+" if centre == 0 else ""
    for place, row in enumerate(rows.itertuples()):
        if not outside.iloc[place] or start - room <= row.value <= end + room:
            continue
        text = f"{row.mark}{row.value:{sign}.1f}"
        if np.isfinite(row.low):  # one seed has no interval
            text += f" [{row.low:{sign}.1f}, {row.high:{sign}.1f}]"
        below = row.value < centre
        axis.text(
            0.01 if below else 0.99, place, f"← {text}" if below else f"{text} →", va="center", fontsize=6.5,
            transform=axis.get_yaxis_transform(), ha="left" if below else "right", color=row.colour,
        )  # fmt: skip


@in_house_style
def draw_differences_per_au(differences: pd.DataFrame, measure: str = "f1", label: str = "variant") -> Figure:
    """A heat map of paired differences, AUs across; a dot survives Holm's correction, a ring does not.

    The mean's column has numbers, bold where they survive it.

    Args:
        differences: of `statistics`.  label: the column that names the rows, "variant" or "about".

    Raises:
        ValueError: no differences of this measure.
    """
    rows = _of_measure(differences, measure)
    table = 100 * rows.pivot_table(index=label, columns="au", values="difference", sort=False)
    table = table[[*sorted(set(table) - {MEAN}), MEAN]]
    names, aus = list(table.index), list(table)
    limit = max(4 * float(np.nanmedian(np.abs(table))), 1.0)  # one hopeless variant leaves the others visible
    size = min(PAGE, 1.9 + 0.32 * len(aus)), 2.2 + 0.24 * len(names)
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    picture = axis.imshow(table, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for row in rows.itertuples():
        name, sure = getattr(row, label), row.p_holm < SIGNIFICANT
        place, value = (aus.index(row.au), names.index(name)), table.loc[name, row.au]
        ink = "white" if abs(value) > 0.6 * limit else "black"
        if row.au == MEAN:
            text, weight = f"{round(value, 1) + 0.0:+.1f}", "bold" if sure else "normal"
            axis.text(*place, text, color=ink, fontsize=7, weight=weight, ha="center", va="center")
        elif sure:
            axis.scatter(*place, s=16, color=ink)
        elif row.low > 0 or row.high < 0:
            axis.scatter(*place, s=16, facecolors="none", edgecolors=ink, linewidths=0.8)
    axis.axvline(len(aus) - 1.5, color="black", linewidth=1)
    labels = [au_label(au) for au in aus]
    axis.set_xticks(range(len(aus)), labels, rotation=60, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    axis.grid(visible=False)
    axis.tick_params(length=0)
    bar = figure.colorbar(picture, ax=axis, extend="both", location="bottom", shrink=0.4, aspect=25)
    bar.set_label(f"{MEASURE_NAMES.get(measure, measure)}, points")
    dot = {"marker": "o", "linestyle": "", "color": "black", "markersize": 4}
    marks = [
        Line2D([], [], label="p < 0.05 after Holm", **dot),
        Line2D([], [], label="its own 95 % interval excludes 0", markerfacecolor="none", **dot),
        Line2D([], [], label="mean: points, bold if p < 0.05 after Holm", linestyle=""),
    ]
    figure.legend(handles=marks, loc="outside upper left", ncols=3, fontsize=7)
    return figure


def _of_measure(differences: pd.DataFrame, measure: str) -> pd.DataFrame:
    rows = differences[differences["measure"] == measure]
    if rows.empty:
        raise ValueError(f"no differences of {measure!r} to draw, only of {set(differences['measure'])}")
    return rows


@in_house_style
def draw_costs(summary: Summary) -> Figure:
    """What a variant costs: seconds, seconds of a step, peak memory; the least of its seeds, and their range.

    Other work on a machine only ever adds, so that the least says most (`equal_time.steps_at_equal_time`).
    """
    panels = {
        "seconds": ("a run", "seconds", 1),
        "seconds_per_step": ("a step", "milliseconds", 1000),
        "peak_memory_mb": ("memory", "MiB at most", 1),
    }
    variants = summary.variants
    figure, axes = row_panels(variants, len(panels), row=0.22)
    for axis, (measure, (title, unit, factor)) in zip(axes, panels.items(), strict=True):
        seeds = factor * summary.seeds_of(measure).reindex(columns=variants)
        axis.barh(range(len(variants)), seeds.min(), color="#88AACC", height=0.7)
        axis.hlines(range(len(variants)), seeds.min(), seeds.max(), color="black", linewidth=1.2)
        axis.set_title(title)
        axis.set_xlabel(unit)
    text = "bar: the least of the seeds; line: to the highest (other work on the machine only adds)"
    figure.supxlabel(text, fontsize=8)
    return figure


@in_house_style
def draw_supervisor_losses(summary: Summary) -> Figure:
    """Each supervisor's loss as a share of log N (1 is guessing), one line per variant, on a log scale.

    Variants that are "full" with one choice changed (alignment, negatives, extraction) are named at the
    ends of their lines.

    Raises:
        ValueError: no variant of the study has a contrastive supervisor.
    """
    curves = summary.curves.assign(share=summary.curves["value"] / summary.curves["chance"])
    present = [name for name in SUPERVISORS if name in set(curves["supervisor"])]
    if not present:
        raise ValueError(f"no variant of study {summary.study!r} has a contrastive supervisor")
    columns = min(3, len(present))
    rows = -(-len(present) // columns)
    figure = Figure(figsize=(PAGE * columns / 3, 0.4 + 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis, name in zip(axes.flat, present, strict=False):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_title(name, color=SUPERVISOR_COLOURS[name])
        axis.axhline(1, color="black", linestyle="--", linewidth=0.9)
        _draw_loss(axis, curves[curves["supervisor"] == name], SUPERVISOR_COLOURS[name])
    for axis in axes.flat[len(present) :]:
        axis.set_axis_off()
    text = "step; colour: full; grey: variants that have it, full's own choices by name"
    figure.supxlabel(text, fontsize=8)
    figure.supylabel("loss / log N (dashed: guessing)", fontsize=8)
    return figure


def _draw_loss(axis: Axes, curves: pd.DataFrame, colour: str) -> None:
    ends: dict[str, float] = {}
    for variant, curve in curves.groupby("variant", sort=False):
        first, choice = variant == "full", variant.startswith("full-")
        line = {"color": "#777777" if choice else "#BBBBBB", "linewidth": 0.8, "zorder": 2}
        line = {"color": colour, "linewidth": 1.6, "zorder": 3} if first else line
        axis.plot(curve["step"], curve["share"].clip(lower=FLOOR), **line)
        if first or choice:
            ends[variant] = max(curve["share"].iloc[-1], FLOOR)
    start, last = curves["step"].min(), curves["step"].max()
    for variant, height in _apart(ends).items():
        axis.annotate(
            variant.removeprefix("full-"), (last, ends[variant]), (1.06 * last, height), va="center",
            fontsize=6, annotation_clip=False, textcoords="data", arrowprops=LEADER,
            color=colour if variant == "full" else "#444444",
        )  # fmt: skip
    if len(ends) > 1:
        axis.set_xlim(right=last + 0.55 * (last - start))
        axis.set_xticks([step for step in axis.get_xticks() if start <= step <= last])


def _apart(ends: dict[str, float]) -> dict[str, float]:
    """The heights nearest to these ends, on a log scale, that are each 1.3 times the one below or more."""
    names = sorted(ends, key=ends.get)
    gaps = np.log(1.3) * np.arange(len(names))
    heights = isotonic_regression(np.log([ends[name] for name in names]) - gaps).x + gaps
    return dict(zip(names, np.exp(heights), strict=True))


@in_house_style
def draw_gradient_shares(shares: pd.DataFrame) -> Figure:
    """Which terms pull at E and G: shares of the gradient's norm, stacked, one bar per variant.

    Args:
        shares: `summaries.shares_of_terms`.
    """
    table = 100 * shares.pivot(index="variant", columns="part", values="share")
    table = table.reindex(shares["variant"].unique()).fillna(0)
    figure, (axis,) = row_panels(list(table.index), room=1.2)
    colours = TERM_COLOURS | SUPERVISOR_COLOURS
    left = np.zeros(len(table))
    for name in [name for name in colours if name in table]:
        axis.barh(range(len(table)), table[name], left=left, color=colours[name], label=name, height=0.75)
        left += table[name].to_numpy()
    axis.set_xlim(0, 100)
    text = "share of the gradient's norm in E's last layer and G, %, mean of the steps measured and of seeds"
    axis.set_xlabel(text)
    figure.legend(loc="outside upper center", ncols=5, fontsize=7)
    return figure
