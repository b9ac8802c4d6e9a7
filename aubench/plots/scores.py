"""Figures of labels and scores: base rates, learning curves, per AU, methods and runs side by side."""

from itertools import cycle, product

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from aubench.plots.style import (
    DOMAIN_COLOURS,
    LINE_COLOURS,
    MEASURE_NAMES,
    PAGE,
    SPARE,
    au_label,
    in_house_style,
    method_colour,
    offsets,
    row_panels,
)
from aubench.report.run_values import TERM_GROUPS, TERM_NAMES, curve_name
from aulib.metrics import MEASURES, REPORTED
from aulib.supervisors import SUPERVISORS

# Panels of the learning curves for their own terms; other terms go to the last panel of terms.
TASK_PANELS = ("AU terms", "landmark terms")
OF_LABELLED_FACES = ("validation_f1", "au_source")  # of the source, or of what the oracle learns from
# panel of `draw_separation` -> label of each of its lines, by what is measured (`insides.…`)
SEPARATION_PANELS = {
    "reconstruction error\n(1: the mean face)": {
        "reconstruction.self": "own: G(S, Z)",
        "reconstruction.second": "second round",
    },
    "landmarks read by a linear probe\n(NME x 100, both domains)": {
        "landmark_probe.rich": "from F",
        "landmark_probe.texture": "from Z",
        "landmark_probe.mean_face": "mean face",
    },
    "AUs read by a linear probe\n(AUC, source)": {"au_probe.rich": "from F", "au_probe.texture": "from Z"},
    "how far G moves\n(1: from a face to the mean face)": {
        "moves.shape": "with another S",
        "moves.texture": "with another Z",
    },
}
SEPARATION_LINES = ((LINE_COLOURS[0], "-"), (LINE_COLOURS[1], "-"), ("black", "--"))
CHANCE_LINES = {"reconstruction": 1.0, "AUs": 0.5}
NOT_TERMS = ("step", "seconds", "total", "validation_f1")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX*<"


@in_house_style
def draw_base_rates(table: pd.DataFrame) -> Figure:
    """Share of frames with each AU, the domains side by side.

    Args:
        table: `label_statistics.base_rates`; domains called source and target take their house colours.
            Published rates, if the table has them, are ticks across the bars.
    """
    aus, domains = sorted(set(table["au"])), list(dict.fromkeys(table["domain"]))
    figure, (axis,) = row_panels([au_label(au) for au in aus], width=5.6, room=0.6, row=0.3)
    for number, (domain, offset) in enumerate(zip(domains, offsets(len(domains)), strict=True)):
        rates = table[table["domain"] == domain].set_index("au")["base_rate"].reindex(aus)
        colour = DOMAIN_COLOURS.get(domain, SPARE[number % len(SPARE)])
        places = np.arange(len(aus)) + offset
        axis.barh(places, 100 * rates, height=0.72 / len(domains), color=colour, label=domain)
    if "published" in table:
        rates = 100 * table.groupby("au")["published"].first().reindex(aus)
        ticks = {"marker": "|", "s": 160, "linewidths": 2, "color": "black", "zorder": 3}
        axis.scatter(rates, range(len(aus)), label="published", **ticks)
    axis.set_xlabel("base rate (% of annotated frames)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@in_house_style
def draw_cooccurrence(tables: dict[str, pd.DataFrame]) -> Figure:
    """How often an AU (column) is there in frames that have another (row), one panel per domain.

    Args:
        tables: domain -> `label_statistics.cooccurrence`.
    """
    aus = sorted(set(pd.concat(tables.values())["given"]))
    labels = [au_label(au) for au in aus]
    side = min(0.4 + 0.2 * len(aus), (PAGE - 2.6) / len(tables))  # of a panel, inches
    figure = Figure(figsize=(2.6 + side * len(tables), 1.2 + side), layout="constrained")
    axes = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    for axis, (domain, table) in zip(axes, tables.items(), strict=True):
        grid = 100 * table.pivot(index="given", columns="also", values="rate").reindex(index=aus, columns=aus)
        style = {"cmap": "cividis", "vmin": 0, "vmax": 100, "cbar": False, "square": True}
        seaborn.heatmap(grid, xticklabels=aus, yticklabels=labels, ax=axis, **style)
        axis.set_title(domain, color=DOMAIN_COLOURS.get(domain, "black"))
        axis.set(xlabel="is there as well", ylabel="")
        axis.tick_params(axis="x", rotation=90)
    axes[0].set_ylabel("frames with")
    figure.colorbar(axes[0].collections[0], ax=axes, shrink=0.8, label="% of those frames")
    return figure


@in_house_style
def draw_history(
    history: pd.DataFrame, chance: dict[str, float] | None = None, labelled: str = "source"
) -> Figure:
    """Unweighted terms over the steps, by kind; supervisors against guessing; each kind's share of the
    gradient in E and G where it was measured; F1 on validation.

    Args:
        history: `Run.history`.  labelled: `Run.labelled_domain`, whose validation people are scored.
        chance: `results.chance_of_supervisors`, log N of each supervisor in nats.
    """
    terms = history.drop(columns=[*NOT_TERMS, *history.filter(regex=r"^(share|insides)\.")], errors="ignore")
    terms = list(terms.dropna(axis=1, how="all"))
    panels = {title: [name for name in TERM_GROUPS[title] if name in terms] for title in TASK_PANELS}
    panels["supervisors"] = [name for name in terms if name in SUPERVISORS]
    placed = sum(panels.values(), [])
    panels["rounds, adversaries, decoder"] = [name for name in terms if name not in placed]
    shares = {
        kind: history.filter([f"share.{name}" for name in names]).sum(axis=1, min_count=1)
        for kind, names in zip(("AUs", "landmarks", "supervisors", "others"), panels.values(), strict=True)
    }
    history = history.join(pd.DataFrame(shares))
    panels["share of the gradient"] = [kind for kind in shares if history[kind].any()]
    panels[f"F1-frame, {labelled} validation"] = ["validation_f1"] if "validation_f1" in history else []
    panels = {title: names for title, names in panels.items() if names}
    rows = 1 if len(panels) < 4 else 2
    columns = -(-len(panels) // rows)
    figure = Figure(figsize=(PAGE * columns / 3, 3.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, (title, names) in zip(axes, panels.items(), strict=False):
        for name, colour in zip(names, cycle(LINE_COLOURS), strict=False):
            label = TERM_NAMES.get(name, name)
            _draw_curve(axis, history, name, color=colour, linewidth=1.2, label=label)
        if title == "supervisors" and chance:
            levels = sorted(set(chance.values()))
            for level in levels:
                axis.axhline(level, color="black", linestyle="--", linewidth=0.9)
            axis.lines[-1].set_label("guessing: " + ", ".join(f"log {np.exp(level):.0f}" for level in levels))
            axis.set_ylim(bottom=0)
        axis.set_title(title, fontsize=8)
        axis.set_xlabel("step")
        axis.set_ylabel(
            "F1" if names == ["validation_f1"] else "share" if names[0] in shares else "unweighted term"
        )
        if names != ["validation_f1"]:
            tight = {"handlelength": 1.2, "handletextpad": 0.4, "columnspacing": 0.8}
            tight["ncols"] = 2 if len(names) > 3 else 1
            axis.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.45, -0.24), **tight)
    return figure


@in_house_style
def draw_separation(history: pd.DataFrame) -> Figure:
    """Separation and reconstruction on validation faces at the steps that measured them.

    Args:
        history: `Run.history` of a method that separates; see `linear_probes.separation_so_far`.

    Raises:
        ValueError: the run measured none.
    """
    if "insides.reconstruction.self" not in history:
        raise ValueError("this run has no measures of the separation: its method does not separate")
    measured = history.dropna(subset="insides.reconstruction.self")
    figure = Figure(figsize=(0.7 * PAGE, 4.6), layout="constrained")
    for axis, (title, lines) in zip(figure.subplots(2, 2).flat, SEPARATION_PANELS.items(), strict=True):
        for (name, label), (colour, dashes) in zip(lines.items(), SEPARATION_LINES, strict=False):
            values = measured.filter(regex=rf"^insides\.{name}(\.|$)").mean(axis=1)
            values = 100 * values if name.startswith("landmark") else values
            axis.plot(measured["step"], values, dashes, color=colour, marker="o", markersize=3, label=label)
        for start, level in CHANCE_LINES.items():
            if title.startswith(start):
                axis.axhline(level, color="black", linestyle=":", linewidth=0.9)
        axis.set_title(title, fontsize=8)
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0.45 if title.startswith("AUs") else 0)
        axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@in_house_style
def draw_run_curves(
    histories: dict[str, pd.DataFrame], name: str = "validation_f1", labelled: dict[str, str] | None = None
) -> Figure:
    """One term, or F1 on validation, over the steps of several runs; the legend names runs that have none.

    Args:
        histories: run's name -> `Run.history`.  name: a column of one of them.
        labelled: run's name -> `Run.labelled_domain`, added to what is of that domain; else the source.
    """
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axis = figure.subplots()
    styles = cycle(product(DASHES, LINE_COLOURS))
    for (run, history), (dashes, colour) in zip(histories.items(), styles, strict=False):
        of = f", {(labelled or {}).get(run, 'source')} faces" if name in OF_LABELLED_FACES else ""
        if name not in history or history[name].isna().all():
            axis.plot([], [], color=colour, linestyle=dashes, label=f"{run}: has no such curve")
            continue
        _draw_curve(axis, history, name, color=colour, linestyle=dashes, linewidth=1.3, label=run + of)
    axis.set_xlabel("step")
    is_term = name not in NOT_TERMS and not name.startswith(("share.", "insides."))
    axis.set_title(curve_name(name) + (", unweighted" if is_term else ""))
    figure.legend(loc="outside right upper", fontsize=7)
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
    aus, methods = sorted(set(table["au"])), list(dict.fromkeys(table["method"]))
    row = max(0.3, 0.09 * len(methods))
    figure, (axis,) = row_panels([au_label(au) for au in aus], width=6.2, row=row)
    for method, offset in zip(methods, offsets(len(methods)), strict=True):
        rows = table[table["method"] == method].set_index("au").reindex(aus)
        places, colour = np.arange(len(aus)) + offset, method_colour(method, methods)
        ends = rows[f"{measure}_low"], rows[f"{measure}_high"]
        axis.hlines(places, *ends, color=colour, linewidth=1.4, alpha=0.6)
        axis.scatter(rows[measure], places, s=14, color=colour, label=method, zorder=3)
    rates = table.groupby("au")["base_rate"].first().reindex(aus).to_numpy(dtype=float)
    chance = {"auc": 0.5, "f1_norm": 2 / 3}.get(measure, 2 * rates / (1 + rates))
    label = "guessing" if measure == "auc" else 'always "present"'
    places = np.arange(len(aus))
    ends = np.full(len(aus), chance), places - 0.45, places + 0.45
    axis.vlines(*ends, "black", "dotted", linewidth=1, label=label)
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel(f"{MEASURE_NAMES[measure]} on the test split; bars: {_spread(table)}")
    figure.legend(loc="outside right upper")
    return figure


@in_house_style
def draw_methods(table: pd.DataFrame) -> Figure:
    """Methods side by side, one panel per score, with their intervals; lines mark source-only and oracle.

    Args:
        table: `results.table_of_methods`.
    """
    measures = [measure for measure in REPORTED if table[measure].notna().any()]
    if not measures:
        raise ValueError("no method has a score: the test split has neither AU labels nor landmarks")
    methods, places = list(table["method"]), np.arange(len(table))
    colours = [method_colour(method, methods) for method in methods]
    width = min(PAGE, 1.1 + 2.1 * len(measures))
    figure, axes = row_panels(methods, len(measures), width, room=0.8, row=0.28)
    for axis, measure in zip(axes, measures, strict=True):
        columns = [measure, f"{measure}_low", f"{measure}_high"]
        values, low, high = 100 * table[columns].to_numpy(dtype=float).T
        spread = np.nan_to_num([values - low, high - values]).clip(min=0)
        bars = axis.barh(places, values, xerr=spread, height=0.7, color=colours, error_kw={"elinewidth": 1.2})
        for method, line in (("source-only", "--"), ("oracle", ":")):
            if method in methods and not MEASURES[measure].lower_is_better:
                value = values[methods.index(method)]
                axis.axvline(value, color="black", linewidth=0.9, linestyle=line, label=method)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the reference lines
        axis.bar_label(bars, fmt="%.1f", padding=3, fontsize=7, bbox=box, zorder=5)
        lower = MEASURES[measure].lower_is_better
        axis.set_title(MEASURE_NAMES[measure], fontsize=8)
        axis.set_xlabel(MEASURES[measure].unit + ("\nlower is better" if lower else ""))
        axis.margins(x=0.16)
    figure.supxlabel(f"black bars: {_spread(table)}", fontsize=7)
    if (drawn := axes[0].get_legend_handles_labels())[0]:
        figure.legend(*drawn, fontsize=7, loc="outside lower right", ncols=2)
    return figure


@in_house_style
def draw_au_differences(table: pd.DataFrame, against: str, measure: str) -> Figure:
    """Each run's score on the target minus that of the run `against`, per AU, x 100; right is better.

    Args:
        table: `side_by_side.per_au_of_runs`, its columns being the runs' names.  measure: what it holds.

    Raises:
        ValueError: no other run with a score.
    """
    gain = 100 * table.drop(columns=against).sub(table[against], axis=0)
    if not gain.notna().any(axis=None):
        raise ValueError(f"nothing to compare with {against}; choose another run that has {measure}")
    row = max(0.24, 0.1 * len(gain.columns))
    figure, (axis,) = row_panels([au_label(au) for au in gain.index], width=6.4, row=row)
    for run, offset in zip(gain, offsets(len(gain.columns), 0.7), strict=True):
        places, number = np.arange(len(gain)) + offset, list(table).index(run)
        colour, marker = LINE_COLOURS[number % len(LINE_COLOURS)], MARKERS[number % len(MARKERS)]
        axis.hlines(places, 0, gain[run], color=colour, linewidth=1.2, alpha=0.6)
        label = f"{run}: mean {gain[run].mean():+.1f}"
        axis.scatter(gain[run], places, s=16, color=colour, marker=marker, label=label, zorder=3)
    axis.axvline(0, color="black", linewidth=0.9)
    axis.set_xlabel(f"{MEASURE_NAMES[measure]} x 100 on target test, minus {against}")
    figure.legend(loc="outside upper center", fontsize=7, ncols=2)
    return figure


def _draw_curve(axis, history: pd.DataFrame, name: str, **line) -> None:
    """A column over the steps where it was logged; few values get markers."""
    curve = history[["step", name]].dropna()
    points = {"marker": "o", "markersize": 3} if len(curve) < 12 else {}
    axis.plot(curve["step"], curve[name], **line, **points)


def _spread(table: pd.DataFrame) -> str:
    several = table["seeds"].max() > 1
    return "lowest to highest seed" if several else "95 % interval over subjects, one seed"
