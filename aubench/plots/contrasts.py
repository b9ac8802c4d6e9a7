"""Figures of `aulib.expressions`: contrasts of several detectors, false alarms by group, faces of a pair."""

from itertools import cycle

import pandas as pd
from matplotlib.figure import Figure

from aubench.plots.style import LINE_COLOURS, au_label, in_house_style, offsets, row_panels
from aulib.expressions import MIN_FACES

PANELS = {"auc": "AUC against neutral", "own": "own part, companions taken out"}


@in_house_style
def draw_contrasts(tables: dict[str, pd.DataFrame]) -> Figure:
    """AUC of each contrast and of its own part, with 95 % intervals over people, detectors side by side.

    Args:
        tables: name of a detector -> `ContrastScores.contrasts`; its rows of everyone are drawn. Contrasts of
            fewer than MIN_FACES faces are hollow.
    """
    tables = {name: table[table["group"] == "all"] for name, table in tables.items()}
    first = next(iter(tables.values()))
    labels = [f"{row.expression}: {au_label(row.au)}" for row in first.itertuples()]
    figure, axes = row_panels(labels, panels=2, room=1.0, row=0.16 + 0.08 * len(tables))
    for (name, table), colour, offset in zip(
        tables.items(), cycle(LINE_COLOURS), offsets(len(tables)), strict=False
    ):
        for axis, measure in zip(axes, PANELS, strict=True):
            for place, (_, row) in enumerate(table.iterrows()):
                spread = [[row[measure] - row[f"{measure}_low"]], [row[f"{measure}_high"] - row[measure]]]
                fill = colour if row["faces"] >= MIN_FACES else "white"
                style = {"fmt": "o", "ms": 4, "color": colour, "mfc": fill, "elinewidth": 1.2}
                label = name if place == 0 and measure == "auc" else None
                axis.errorbar(row[measure], place + offset, xerr=spread, label=label, **style)
    for axis, title in zip(axes, PANELS.values(), strict=True):
        axis.axvline(0.5, color="black", linestyle="--", linewidth=0.9)
        axis.set_title(title)
        axis.set_xlabel("ROC AUC; 0.5 is chance")
    figure.legend(loc="outside upper center", ncols=min(4, len(tables)))
    return figure


@in_house_style
def draw_false_alarms(table: pd.DataFrame) -> Figure:
    """How often each AU is called present on neutral faces: everyone, and groups of people side by side.

    Args:
        table: `ContrastScores.false_alarms`.
    """
    kinds = table["group"].str.partition(": ")[0]
    names = [kind for kind in dict.fromkeys(kinds) if kind != "all"]
    aus = list(dict.fromkeys(table["au"]))
    everyone = table[kinds == "all"].set_index("au").reindex(aus)
    figure, axes = row_panels([au_label(au) for au in aus], panels=max(1, len(names)), room=1.5, sharex=True)
    for axis, kind in zip(axes, names or ["all"], strict=True):
        axis.barh(range(len(aus)), 100 * everyone["rate"], color="#DDDDDD", label="everyone")
        groups = dict.fromkeys(table.loc[kinds == kind, "group"]) if names else ()
        for group, colour in zip(groups, cycle(LINE_COLOURS), strict=False):
            rows = table[table["group"] == group].set_index("au").reindex(aus)
            label = f"{group.partition(': ')[2]} ({rows['people'].iloc[0]})"
            axis.scatter(100 * rows["rate"], range(len(aus)), s=16, color=colour, label=label)
        axis.set_xlabel("% of neutral faces")
        axis.set_title(kind if names else "")
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(-0.05, -0.1))
    return figure
