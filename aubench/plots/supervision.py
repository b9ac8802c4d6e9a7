"""Figures of a study: the ladder with intervals, differences per AU, costs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from aubench.plots.style import MEASURE_NAMES, au_label, in_house_style
from aubench.report.run_values import MEAN
from aubench.report.statistics import SIGNIFICANT
from aubench.report.summaries import Summary

ABOVE, BELOW, UNSURE = "#0072B2", "#D55E00", "#666666"  # Okabe & Ito


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
    rows = differences[(differences["measure"] == measure) & (differences["au"] == MEAN)]
    if rows.empty:
        raise ValueError(f"no differences of {measure!r} to draw, only of {set(differences['measure'])}")
    rows = rows.set_index("variant")
    reference = rows["reference"].iloc[0]
    seeds = 100 * summary.seeds_of(measure)
    variants = [name for name in summary.variants if name in seeds]
    figure = Figure(figsize=(7.4, 0.9 + 0.24 * len(variants)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    marks: dict[str, tuple[str, bool]] = {}  # colour, and whether it survives the correction
    for place, name in enumerate(variants):
        left.scatter(seeds[name], np.full(len(seeds), place), s=9, color="#AAAAAA", linewidths=0, zorder=2)
        left.scatter(seeds[name].mean(), place, s=34, marker="|", color="black", linewidths=1.8, zorder=3)
        if name not in rows.index:
            if name == reference:
                right.text(0, place, " reference", va="center", fontsize=7, color="#666666")
            continue
        row = rows.loc[name]
        sure = row["p_holm"] < SIGNIFICANT
        colour = (ABOVE if row["difference"] > 0 else BELOW) if sure else UNSURE
        marks[name] = colour, sure
        right.hlines(place, 100 * row["low"], 100 * row["high"], color=colour, linewidth=1.5)
        right.scatter(
            100 * row["difference"], place, s=22, zorder=3, edgecolors=colour, linewidths=1.2,
            facecolors=colour if sure else "white",
        )  # fmt: skip
    right.axvline(0, color="black", linewidth=0.9)
    left.set_yticks(range(len(variants)), variants)
    left.set_ylim(len(variants) - 0.5, -0.5)
    left.set_xlabel(f"{MEASURE_NAMES.get(measure, measure)} x 100\none dot per seed, bar: their mean")
    right.set_xlabel("paired difference, 95 % interval over seeds\nfilled: p < 0.05 after Holm")
    left.set_title("target test")
    right.set_title(f"minus {reference}")
    means = seeds[variants].mean()
    _narrow(left, variants, means, seeds[variants].min(), seeds[variants].max(), means.median())
    rows = 100 * rows[["difference", "low", "high"]].reindex(variants)
    _narrow(right, variants, rows["difference"], rows["low"], rows["high"], 0.0, marks)
    return figure


def _narrow(
    axis: Axes,
    variants: list[str],
    values: pd.Series,
    low: pd.Series,
    high: pd.Series,
    centre: float,
    marks: dict[str, tuple[str, bool]] | None = None,
) -> None:
    """Zoom on the bulk around `centre`; a variant far outside has its numbers at the edge, and its own mark.

    Args:
        marks: colour of a variant's mark and whether it is filled; without them an arrow alone points there.
    """
    away = (values - centre).abs()
    outside = away > max(4 * away.median(), 3.0)
    if not outside.any():
        return
    bulk = ~outside & values.notna()
    start = min(centre, low[bulk].min(), values[bulk].min())
    end = max(centre, high[bulk].max(), values[bulk].max())
    room = 0.25 * (end - start)
    axis.set_xlim(start - room, end + room)
    left, right = axis.get_xlim()
    sign = "+" if centre == 0 else ""
    for name, value in values[outside & ~values.between(left, right)].items():
        below, place, beside = value < centre, variants.index(name), axis.get_yaxis_transform()
        text = f"{value:{sign}.1f} [{low[name]:{sign}.1f}, {high[name]:{sign}.1f}]"
        text = f"← {text}" if below else f"{text} →"
        colour, filled = (marks or {}).get(name, ("black", None))
        if filled is not None:
            axis.scatter(
                0.025 if below else 0.975, place, s=22, zorder=4, transform=beside, edgecolors=colour,
                linewidths=1.2, facecolors=colour if filled else "white",
            )  # fmt: skip
        edge = (0.01 if filled is None else 0.06) if below else (0.99 if filled is None else 0.94)
        axis.text(
            edge, place, text, transform=beside, ha="left" if below else "right", va="center", fontsize=6.5,
            color=colour,
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
    rows = differences[differences["measure"] == measure]
    if rows.empty:
        raise ValueError(f"no differences of {measure!r} to draw, only of {set(differences['measure'])}")
    table = 100 * rows.pivot_table(index=label, columns="au", values="difference", sort=False)
    aus = [*sorted(name for name in table if name != MEAN), MEAN]
    table = table.reindex(columns=aus)
    sure = rows.pivot_table(index=label, columns="au", values="p_holm", sort=False)
    low, high = (
        rows.pivot_table(index=label, columns="au", values=end, sort=False) for end in ("low", "high")
    )
    limit = max(4 * float(np.nanmedian(np.abs(table))), 1.0)  # one hopeless variant leaves the others visible
    figure = Figure(figsize=(1.9 + 0.34 * len(aus), 1.7 + 0.24 * len(table)), layout="constrained")
    axis = figure.subplots()
    picture = axis.imshow(table, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for place, name in enumerate(table.index):
        for column, au in enumerate(aus):
            dark = abs(table.loc[name, au]) > 0.6 * limit
            ink = "white" if dark else "black"
            if au == MEAN:
                bold = "bold" if _at(sure, name, au) < SIGNIFICANT else "normal"
                text = f"{round(table.loc[name, au], 1) + 0.0:+.1f}"
                axis.text(column, place, text, color=ink, fontsize=6, weight=bold, ha="center", va="center")
            elif _at(sure, name, au) < SIGNIFICANT:
                axis.scatter(column, place, s=16, color=ink)
            elif _at(low, name, au) > 0 or _at(high, name, au) < 0:
                axis.scatter(column, place, s=16, facecolors="none", edgecolors=ink, linewidths=0.8)
    axis.axvline(len(aus) - 1.5, color="black", linewidth=1)
    axis.set_xticks(
        range(len(aus)), [au_label(au) for au in aus], rotation=60, ha="right", rotation_mode="anchor"
    )
    axis.set_yticks(range(len(table)), table.index)
    axis.grid(visible=False)
    axis.tick_params(length=0)
    bar = figure.colorbar(picture, ax=axis, extend="both", fraction=0.03, pad=0.02)
    bar.set_label(f"{MEASURE_NAMES.get(measure, measure)}, points")
    marks = [
        Line2D([], [], marker="o", linestyle="", color="black", markersize=4, label="p < 0.05 after Holm"),
        Line2D([], [], marker="o", linestyle="", markerfacecolor="none", color="black", markersize=4,
               label="its own 95 % interval leaves 0 out"),
        Line2D([], [], linestyle="", label="mean: points, bold if p < 0.05 after Holm"),
    ]  # fmt: skip
    figure.legend(handles=marks, loc="outside upper left", ncols=3, fontsize=7)
    return figure


def _at(table: pd.DataFrame, row: str, column: str) -> float:
    return table.loc[row, column] if row in table.index and column in table else np.nan


@in_house_style
def draw_costs(summary: Summary) -> Figure:
    """What a variant costs: seconds, seconds of a step, peak memory; the least of its seeds, and their range.

    Other work on a machine only ever adds, so that the least says most (`equal_time.steps_at_equal_time`).
    """
    panels = {
        "seconds": ("a run", "seconds"),
        "seconds_per_step": ("a step", "milliseconds"),
        "peak_memory_mb": ("memory", "MiB at most"),
    }
    variants = summary.variants
    figure = Figure(figsize=(7.4, 0.9 + 0.22 * len(variants)), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True)
    for axis, (measure, (title, unit)) in zip(axes, panels.items(), strict=True):
        seeds = summary.seeds_of(measure).reindex(columns=variants)
        seeds = 1000 * seeds if unit == "milliseconds" else seeds
        axis.barh(range(len(variants)), seeds.min(), color="#88AACC", height=0.7)
        axis.hlines(range(len(variants)), seeds.min(), seeds.max(), color="black", linewidth=1.2)
        axis.set_title(title)
        axis.set_xlabel(unit)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(variants)), variants)
    axes[0].set_ylim(len(variants) - 0.5, -0.5)
    figure.supxlabel(
        "bar: the least of the seeds; line: to the highest (other work on the machine only adds)",
        fontsize=8,
    )
    return figure
