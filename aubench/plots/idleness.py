"""Figures of what the supervisors still do: their losses over training, and whose gradient it is."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from aubench.plots.style import in_house_style
from aubench.report.summaries import Summary
from aulib.methods import SUPERVISORS

# Paul Tol's muted scheme: source and target of a pair in one hue each, then what rows are added.
MUTED = ("#332288", "#88CCEE", "#117733", "#44AA99", "#882255", "#CC6677", "#999933", "#AA4499")
SUPERVISOR_COLOURS = dict(zip(SUPERVISORS, cycle(MUTED), strict=False))  # any number of rows
TERM_GROUPS = {
    "AU terms": (("au_source", "au_swapped", "au_self"), "#666666"),
    "landmark terms": (("landmarks_source", "landmarks_target", "landmarks_swapped"), "#999999"),
    "reconstruction, cycle": (("self_reconstruction", "cycle"), "#C4C4C4"),
    "adversaries": (("texture_flatness", "feature_adversary", "domain"), "#E6E6E6"),
}
LEADER = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.4, "shrinkA": 0, "shrinkB": 1}
FLOOR = 1e-4  # of guessing: what a curve on a log scale does not go below


@in_house_style
def draw_supervisor_losses(summary: Summary, highlight: str = "full") -> Figure:
    """Each supervisor's loss as a share of log N (1 is guessing), a line a variant, on a log scale.

    Variants that are `highlight` with one choice changed (alignment, negatives, extraction) are named at the
    ends of their lines.

    Raises:
        ValueError: no variant of the study has a contrastive supervisor.
    """
    curves = summary.curves.assign(share=summary.curves["value"] / summary.curves["chance"])
    present = [name for name in SUPERVISORS if name in set(curves["supervisor"])]
    if not present:
        raise ValueError(f"no variant of study {summary.study!r} has a contrastive supervisor")
    named = [name for name in summary.variants if name.startswith(f"{highlight}-")]
    columns = min(3, len(present))
    rows = -(-len(present) // columns)
    figure = Figure(figsize=(3.0 * columns, 0.4 + 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis, name in zip(axes.flat, present, strict=False):
        own = curves[curves["supervisor"] == name]
        ends: dict[str, float] = {}
        for variant, curve in own.groupby("variant", sort=False):
            first = variant == highlight
            line = "#BBBBBB" if variant not in named else "#777777"
            axis.plot(
                curve["step"], curve["share"].clip(lower=FLOOR), zorder=3 if first else 2,
                color=SUPERVISOR_COLOURS[name] if first else line, linewidth=1.6 if first else 0.8,
            )  # fmt: skip
            if first or variant in named:
                ends[variant] = max(curve["share"].iloc[-1], FLOOR)
        axis.axhline(1, color="black", linestyle="--", linewidth=0.9)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_title(name, color=SUPERVISOR_COLOURS[name])
        last = own["step"].max()
        for variant, height in _apart(ends).items():
            axis.annotate(
                variant.removeprefix(f"{highlight}-"), (last, ends[variant]), (1.06 * last, height),
                va="center", fontsize=6, annotation_clip=False, textcoords="data",
                arrowprops=LEADER,
                color=SUPERVISOR_COLOURS[name] if variant == highlight else "#444444",
            )  # fmt: skip
        if len(ends) > 1:
            axis.set_xlim(right=last + 0.55 * (last - own["step"].min()))
            axis.set_xticks([step for step in axis.get_xticks() if own["step"].min() <= step <= last])
    for axis in axes.flat[len(present) :]:
        axis.set_axis_off()
    figure.supxlabel(
        f"step; colour: {highlight}; grey: variants that have it, {highlight}'s own choices by name",
        fontsize=8,
    )
    figure.supylabel("loss / log N (dashed: guessing)", fontsize=8)
    return figure


def _apart(ends: dict[str, float], factor: float = 1.3) -> dict[str, float]:
    """Heights of labels at these ends, on a log scale: near them, each at least `factor` above the last."""
    names = sorted(ends, key=ends.get)
    heights, gap = np.log([ends[name] for name in names]), np.log(factor)
    for _ in range(100):
        for low in range(len(names) - 1):
            push = (gap - (heights[low + 1] - heights[low])) / 2
            if push > 0:
                heights[low], heights[low + 1] = heights[low] - push, heights[low + 1] + push
    return dict(zip(names, np.exp(heights), strict=True))


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
