"""Figures of a dataset's labels: base rates and co-occurrence."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.plots.style import DOMAIN_COLOURS, SPARE, au_label, in_house_style
from aulib.labels import AU_NAMES


@in_house_style
def draw_base_rates(table: pd.DataFrame) -> Figure:
    """Share of frames with each AU, the domains side by side.

    Args:
        table: `describing.base_rates`; domains called source and target take their house colours. Published
            rates, where the table has them, are ticks across the bars.
    """
    aus = [au for au in AU_NAMES if au in set(table["au"])]
    domains = list(dict.fromkeys(table["domain"]))
    figure = Figure(figsize=(5.6, 0.6 + 0.3 * max(len(aus), 2)), layout="constrained")
    axis = figure.subplots()
    height = 0.8 / max(len(domains), 1)
    for number, domain in enumerate(domains):
        rates = table[table["domain"] == domain].set_index("au")["base_rate"].reindex(aus)
        places = np.arange(len(aus)) + (number - (len(domains) - 1) / 2) * height
        colour = DOMAIN_COLOURS.get(domain, SPARE[number % len(SPARE)])
        axis.barh(places, 100 * rates, height=0.9 * height, color=colour, label=domain)
    if "published" in table:
        rates = 100 * table.groupby("au")["published"].first().reindex(aus)
        axis.scatter(
            rates,
            range(len(aus)),
            marker="|",
            s=160,
            linewidths=2,
            color="black",
            zorder=3,
            label="published",
        )
    axis.set_yticks(range(len(aus)), [au_label(au) for au in aus])
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("base rate (% of annotated frames)")
    axis.legend(loc="lower right")
    return figure


@in_house_style
def draw_cooccurrence(tables: dict[str, pd.DataFrame]) -> Figure:
    """How often an AU (column) is there in frames that have another (row), one panel a domain.

    Args:
        tables: domain -> `describing.cooccurrence`.
    """
    aus = [au for au in AU_NAMES if any(au in set(table["given"]) for table in tables.values())]
    side = 0.9 + 0.2 * len(aus)
    figure = Figure(figsize=(1.5 + side * len(tables), 0.6 + side), layout="constrained")
    axes = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    for axis, (domain, table) in zip(axes, tables.items(), strict=True):
        grid = table.pivot(index="given", columns="also", values="rate").reindex(index=aus, columns=aus)
        shown = axis.imshow(100 * grid, cmap="cividis", vmin=0, vmax=100)
        axis.set_xticks(range(len(aus)), aus, rotation=90)
        axis.set_yticks(range(len(aus)), [au_label(au) for au in aus])
        axis.grid(visible=False)
        axis.set_title(domain, color=DOMAIN_COLOURS.get(domain, "black"))
        axis.set_xlabel("is there as well")
    axes[0].set_ylabel("frames with")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="% of those frames")
    return figure
