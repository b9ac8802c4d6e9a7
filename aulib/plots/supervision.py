"""Figures of a study: the ladder with intervals, differences per AU, what supervisors do, costs."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FormatStrFormatter

from aulib.answers import SIGNIFICANT
from aulib.plots.looks import MEASURE_NAMES, au_label, in_house_style
from aulib.run_values import MEAN
from aulib.summaries import Summary
from aulib.supervisors import SUPERVISORS

# Paul Tol's muted scheme: source and target of a pair in one hue each, then what rows are added.
MUTED = ("#332288", "#88CCEE", "#117733", "#44AA99", "#882255", "#CC6677", "#999933", "#AA4499")
SUPERVISOR_COLOURS = dict(zip(SUPERVISORS, cycle(MUTED), strict=False))  # any number of rows
TERM_GROUPS = {
    "AU terms": (("au_source", "au_swapped", "au_self"), "#666666"),
    "landmark terms": (("landmarks_source", "landmarks_target", "landmarks_swapped"), "#999999"),
    "reconstruction, cycle": (("self_reconstruction", "cycle"), "#C4C4C4"),
    "adversaries": (("texture_flatness", "feature_adversary", "domain"), "#E6E6E6"),
}
STANDS_OUT = 4  # times the median of a supervisor's last losses: such a variant is named
ABOVE, BELOW, UNSURE = "#0072B2", "#D55E00", "#666666"  # Okabe & Ito


@in_house_style
def draw_ladder(summary: Summary, differences: pd.DataFrame, measure: str = "f1") -> Figure:
    """Each variant's seeds and mean, and its paired difference from the reference with the 95 % interval.

    Filled marks are differences that survive Holm's correction.

    Args:
        differences: `comparisons.paired_differences` against one reference.

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
        right.hlines(place, 100 * row["low"], 100 * row["high"], color=colour, linewidth=1.5)
        right.scatter(
            100 * row["difference"], place, s=22, zorder=3, edgecolors=colour, linewidths=1.2,
            facecolors=colour if sure else "white",
        )  # fmt: skip
    right.axvline(0, color="black", linewidth=0.9)
    left.set_yticks(range(len(variants)), variants)
    left.set_ylim(len(variants) - 0.5, -0.5)
    left.set_xlabel(f"{MEASURE_NAMES.get(measure, measure)} x 100\na dot a seed, bar their mean")
    right.set_xlabel("paired difference, 95 % interval over seeds\nfilled: p < 0.05 after Holm")
    left.set_title("target test")
    right.set_title(f"minus {reference}")
    means = seeds[variants].mean()
    _narrow(left, variants, means, seeds[variants].min(), seeds[variants].max(), means.median())
    rows = 100 * rows[["difference", "low", "high"]].reindex(variants)
    _narrow(right, variants, rows["difference"], rows["low"], rows["high"], 0.0)
    return figure


def _narrow(
    axis: Axes, variants: list[str], values: pd.Series, low: pd.Series, high: pd.Series, centre: float
) -> None:
    """Zoom on the bulk around `centre`; a variant far outside is named by its value at the edge."""
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
    for name, value in values[outside & ~values.between(left, right)].items():
        edge, side = (0.01, "left") if value < centre else (0.99, "right")
        text = f"{value:.1f}" if centre else f"{value:+.1f}"
        text = f"← {text}" if value < centre else f"{text} →"
        beside = axis.get_yaxis_transform()
        axis.text(edge, variants.index(name), text, transform=beside, ha=side, va="center", fontsize=7)


@in_house_style
def draw_differences_per_au(differences: pd.DataFrame, measure: str = "f1", label: str = "variant") -> Figure:
    """A heat map of paired differences, AUs across; a dot survives Holm's correction, a ring does not.

    Args:
        differences: of `comparisons`.  label: the column that names the rows, "variant" or "about".

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
            if _at(sure, name, au) < SIGNIFICANT:
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
    ]  # fmt: skip
    figure.legend(handles=marks, loc="outside upper left", ncols=2, fontsize=7)
    return figure


def _at(table: pd.DataFrame, row: str, column: str) -> float:
    return table.loc[row, column] if row in table.index and column in table else np.nan


@in_house_style
def draw_supervisor_losses(summary: Summary, highlight: str = "full") -> Figure:
    """Each supervisor's loss as a share of log N (1 is guessing), a line a variant, on a log scale.

    Variants whose loss ends far above the others' are named at their lines.

    Raises:
        ValueError: no variant of the study has a contrastive supervisor.
    """
    curves = summary.curves.assign(share=summary.curves["value"] / summary.curves["chance"])
    present = [name for name in SUPERVISORS if name in set(curves["supervisor"])]
    if not present:
        raise ValueError(f"no variant of study {summary.study!r} has a contrastive supervisor")
    columns = min(3, len(present))
    rows = -(-len(present) // columns)
    figure = Figure(figsize=(2.5 * columns, 0.4 + 2.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis, name in zip(axes.flat, present, strict=False):
        own = curves[curves["supervisor"] == name]
        for variant, curve in own.groupby("variant", sort=False):
            first = variant == highlight
            axis.plot(
                curve["step"], curve["share"].clip(lower=1e-4), zorder=3 if first else 2,
                color=SUPERVISOR_COLOURS[name] if first else "#BBBBBB", linewidth=1.6 if first else 0.8,
            )  # fmt: skip
            end = curve.iloc[-1]
            if not first and end["share"] > STANDS_OUT * own["share"][own["step"] == end["step"]].median():
                axis.annotate(
                    variant, (end["step"], end["share"]), (0, -2), textcoords="offset points",
                    ha="right", va="top", fontsize=6, color="#666666",
                )  # fmt: skip
        axis.axhline(1, color="black", linestyle="--", linewidth=0.9)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_title(name, color=SUPERVISOR_COLOURS[name])
    for axis in axes.flat[len(present) :]:
        axis.set_axis_off()
    figure.supxlabel(f"step; colour: {highlight}, grey: the other variants that have it", fontsize=8)
    figure.supylabel("loss / log N (dashed: guessing)", fontsize=8)
    return figure


@in_house_style
def draw_gradient_shares(shares: pd.DataFrame) -> Figure:
    """Which terms pull at E and G: shares of the gradient's norm, stacked, a bar a variant.

    Args:
        shares: `shares_of_terms`.
    """
    variants = list(dict.fromkeys(shares["variant"]))
    figure = Figure(figsize=(7.4, 1.2 + 0.24 * len(variants)), layout="constrained")
    axis = figure.subplots()
    left = np.zeros(len(variants))
    colours = {name: colour for name, (_, colour) in TERM_GROUPS.items()} | SUPERVISOR_COLOURS
    table = 100 * shares.pivot(index="variant", columns="part", values="share").reindex(variants)
    for name, colour in colours.items():
        if name in table and table[name].notna().any():
            width = table[name].fillna(0).to_numpy()
            axis.barh(range(len(variants)), width, left=left, color=colour, label=name, height=0.75)
            left += width
    axis.set_yticks(range(len(variants)), variants)
    axis.set_ylim(len(variants) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(
        "share of the gradient's norm in E's last layer and G, %, mean of the steps measured and of seeds"
    )
    figure.legend(loc="outside upper center", ncols=5, fontsize=7)
    return figure


def shares_of_terms(summary: Summary) -> pd.DataFrame:
    """variant, part (a supervisor, or a group of other terms), share in [0, 1]: mean over seeds.

    Raises:
        ValueError: no run of the study has logged shares.
    """
    own = summary.values[summary.values["measure"].str.startswith("share.")]
    if own.empty:
        raise ValueError(f"no run of study {summary.study!r} has logged shares of the gradient")
    group = {term: name for name, (terms, _) in TERM_GROUPS.items() for term in terms}
    term = own["measure"].str.removeprefix("share.")
    own = own.assign(part=term.map(group).fillna(term))
    by_seed = own.groupby(["variant", "seed", "part"])["value"].sum()
    table = by_seed.groupby(["variant", "part"]).mean().rename("share").reset_index()
    place = {name: number for number, name in enumerate(summary.variants)}
    return table.sort_values("variant", key=lambda names: names.map(place), kind="stable", ignore_index=True)


@in_house_style
def draw_costs(summary: Summary) -> Figure:
    """What a variant costs: seconds, seconds of a step, peak memory; medians, and lowest to highest seed."""
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
        axis.barh(range(len(variants)), seeds.median(), color="#88AACC", height=0.7)
        axis.hlines(range(len(variants)), seeds.min(), seeds.max(), color="black", linewidth=1.2)
        axis.set_title(title)
        axis.set_xlabel(unit)
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(variants)), variants)
    axes[0].set_ylim(len(variants) - 0.5, -0.5)
    return figure
