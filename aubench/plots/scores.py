"""Figures of scores: learning curves, per AU, methods side by side."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.plots.style import MEASURE_NAMES, au_label, in_house_style, method_colour
from aulib.labels import AU_NAMES
from aulib.methods import SUPERVISORS

# Which panel of the learning curves a term belongs to; what is not named here goes to the rounds.
TASK_PANELS = {
    "AU terms": ("au_source", "au_swapped", "au_self"),
    "landmark terms": ("landmarks_source", "landmarks_target", "landmarks_swapped"),
}
NOT_TERMS = ("step", "seconds", "total", "validation_f1")
LINE_COLOURS = ("#332288", "#117733", "#CC6677", "#DDAA33", "#88CCEE", "#AA4499", "#882255")


@in_house_style
def draw_history(history: pd.DataFrame, chance: dict[str, float] | None = None) -> Figure:
    """Unweighted terms over the steps, by kind; supervisors against guessing; F1 on source validation.

    Args:
        history: `Run.history`.
        chance: `results.chance_of_supervisors`, log N of each supervisor in nats.
    """
    terms = [
        name
        for name in history.columns
        if name not in NOT_TERMS and not name.startswith("share.") and history[name].notna().any()
    ]
    panels = {title: [name for name in names if name in terms] for title, names in TASK_PANELS.items()}
    panels["supervisors"] = [name for name in terms if name in SUPERVISORS]
    placed = {name for names in panels.values() for name in names}
    panels["rounds, adversaries, decoder"] = [name for name in terms if name not in placed]
    panels["F1-frame, source validation"] = ["validation_f1"] if "validation_f1" in history else []
    panels = {title: names for title, names in panels.items() if names}
    figure = Figure(figsize=(2.7 * len(panels), 3.1), layout="constrained")
    for axis, (title, names) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for number, name in enumerate(names):
            curve = history[["step", name]].dropna()
            colour = LINE_COLOURS[number % len(LINE_COLOURS)]
            points = {"marker": "o", "markersize": 3} if len(curve) < 12 else {}
            axis.plot(curve["step"], curve[name], color=colour, linewidth=1.2, label=name, **points)
        if title == "supervisors" and chance:
            levels = sorted(set(chance.values()))
            label = "guessing: " + ", ".join(f"log {np.exp(level):.0f}" for level in levels)
            for level in levels:
                axis.axhline(level, color="black", linestyle="--", linewidth=0.9, label=label)
                label = None
            axis.set_ylim(bottom=0)
        axis.set_title(title)
        axis.set_xlabel("step")
        is_score = names == ["validation_f1"]
        axis.set_ylabel("F1" if is_score else "unweighted term")
        if not is_score:
            axis.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    return figure


@in_house_style
def draw_per_au(table: pd.DataFrame, measure: str = "f1") -> Figure:
    """A score of each AU for several methods, with intervals (`_low`, `_high`), in FACS order.

    The chance line is 0.5 for AUC, and for F1 what always answering "present" scores at that AU's base rate,
    2 r / (1 + r); at equal numbers of both (skew-normalised) that is 2/3.

    Args:
        table: `results.table_per_au`.
        measure: f1, auc or f1_norm.

    Raises:
        ValueError: nothing has been scored.
    """
    if not table[measure].notna().any():
        raise ValueError(f"no method has {measure} for any AU: the test split has no AU labels")
    aus = [au for au in AU_NAMES if au in set(table["au"])]
    methods = list(dict.fromkeys(table["method"]))
    figure = Figure(
        figsize=(6.2, 0.9 + max(0.3, 0.09 * len(methods)) * max(len(aus), 2)), layout="constrained"
    )
    axis = figure.subplots()
    for number, method in enumerate(methods):
        rows = table[table["method"] == method].set_index("au").reindex(aus)
        places = np.arange(len(aus)) + 0.8 * ((number + 0.5) / len(methods) - 0.5)
        colour = method_colour(method, methods)
        axis.hlines(
            places, rows[f"{measure}_low"], rows[f"{measure}_high"], color=colour, linewidth=1.4, alpha=0.6
        )
        axis.scatter(rows[measure], places, s=14, color=colour, label=method, zorder=3)
    rates = table.groupby("au")["base_rate"].first().reindex(aus).to_numpy(dtype=float)
    chance = {"auc": np.full(len(aus), 0.5), "f1_norm": np.full(len(aus), 2 / 3)}.get(
        measure, 2 * rates / (1 + rates)
    )
    label = "guessing" if measure == "auc" else 'always "present"'
    for place, level in enumerate(chance):
        axis.plot(
            [level, level],
            [place - 0.45, place + 0.45],
            color="black",
            linewidth=1,
            linestyle=":",
            label=label if not place else None,
        )
    axis.set_yticks(range(len(aus)), [au_label(au) for au in aus])
    axis.set_ylim(len(aus) - 0.5, -0.5)
    axis.set_xlim(-0.02, 1.02)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel(f"{MEASURE_NAMES[measure]} on the test split; bars: {_spread(table)}")
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def draw_methods(table: pd.DataFrame, measures: tuple[str, ...] = ("f1", "auc", "f1_norm", "nme")) -> Figure:
    """Methods side by side, one panel a score, with their intervals; lines mark source-only and oracle.

    Args:
        table: `results.table_of_methods`.
    """
    measures = [measure for measure in measures if table[measure].notna().any()]
    if not measures:
        raise ValueError(
            "none of the methods has a score: the test split has neither AU labels nor landmarks"
        )
    methods = list(table["method"])
    figure = Figure(
        figsize=(1.1 + 2.1 * len(measures), 0.8 + 0.28 * max(len(methods), 2)), layout="constrained"
    )
    axes = figure.subplots(1, len(measures), squeeze=False, sharey=True)[0]
    places = np.arange(len(methods))
    for axis, measure in zip(axes, measures, strict=True):
        values = 100 * table[measure].to_numpy(dtype=float)
        low, high = (
            100 * table[f"{measure}_low"].to_numpy(dtype=float),
            100 * table[f"{measure}_high"].to_numpy(dtype=float),
        )
        axis.barh(places, values, height=0.7, color=[method_colour(method, methods) for method in methods])
        axis.hlines(places, low, high, color="black", linewidth=1.2)
        for method, line in (("source-only", "--"), ("oracle", ":")):
            if method in methods and measure != "nme":
                axis.axvline(
                    values[methods.index(method)], color="black", linewidth=0.9, linestyle=line, label=method
                )
        for place, value, end in zip(places, values, high, strict=True):
            if np.isfinite(value):
                box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the reference lines
                where = np.nanmax([value, end]) + 0.8
                axis.text(where, place, f"{value:.1f}", va="center", fontsize=7, bbox=box, zorder=5)
        axis.set_title(MEASURE_NAMES[measure] + (", lower is better" if measure == "nme" else ""))
        axis.set_xlabel("% of the eye distance" if measure == "nme" else "x 100")
        axis.grid(axis="y", visible=False)
        axis.margins(x=0.16)
    axes[0].set_yticks(places, methods)
    axes[0].set_ylim(len(methods) - 0.4, -0.6)
    figure.supxlabel(f"black bars: {_spread(table)}", fontsize=7)
    if (drawn := axes[0].get_legend_handles_labels())[0]:
        figure.legend(*drawn, fontsize=7, loc="outside lower right", ncols=2)
    return figure


def _spread(table: pd.DataFrame) -> str:
    several = table["seeds"].max() > 1
    return "lowest to highest seed" if several else "95 % interval over subjects, one seed"
