"""The claim's other half in words: do the supervisors help reconstruction, do the two rounds come nearer?"""

import pandas as pd

from aubench.report.statistics import Contrast, one_family, the_four
from aubench.report.summaries import Summary
from aubench.report.verdicts import SIGNIFICANT, listed, starred
from aulib.methods import SUPERVISORS

ERRORS = {
    "insides.reconstruction.self": "own reconstruction",
    "insides.reconstruction.second": "second round",
}
DISTANCES = tuple(f"insides.distance.{name}" for name in SUPERVISORS)
RUNGS = ("separation", "contrastive", "full", "adld")


def reconstruction(summary: Summary) -> str:
    """Errors of both reconstructions and distances of the rounds, rung against rung; all are one family."""
    pairs = [(one.variant, one.reference) for one in the_four(summary)]
    pairs += [("contrastive", "separation"), ("full", "separation"), ("adld", "separation"), ("full", "adld")]
    contrasts = [Contrast(*pair) for pair in dict.fromkeys(pairs) if set(pair) <= set(summary.variants)]
    known = set(summary.measures("insides."))
    table = one_family(summary, contrasts, [name for name in (*ERRORS, *DISTANCES) if name in known])
    if not set(ERRORS) <= known or table.empty:
        return ""
    lines = [
        f"| error, x 100 | {' | '.join(ERRORS.values())} | rounds nearer, farther |",
        "|---|---:|---:|---:|",
    ]
    for (variant, reference), rows in table.groupby(["variant", "reference"], sort=False):
        rows = rows.set_index("measure")
        cells = [starred(rows.loc[name]) if name in rows.index else "–" for name in ERRORS]
        cells.append(_nearer(rows.loc[[name for name in DISTANCES if name in rows.index]]))
        lines.append(f"| `{variant}` minus `{reference}` | {' | '.join(cells)} |")
    note = (
        f"Below 0 is better; 100 is the error of the mean face's features{_trained_on_it(summary)}. "
        f"Last column: in how many of {len(DISTANCES)} supervised features a face's two rounds are surely "
        f"nearer, or farther apart. Holm over these {table['p'].notna().sum()} comparisons."
    )
    words = filter(None, (_who_reconstructs(table, the_four(summary)), _no_better_than_the_mean(summary)))
    return "\n".join([" ".join(words), "", *lines, "", note])


def _nearer(rows: pd.DataFrame) -> str:
    sure = rows[rows["p_holm"] < SIGNIFICANT]
    return f"{(sure['difference'] < 0).sum()}, {(sure['difference'] > 0).sum()}" if len(rows) else "–"


def _trained_on_it(summary: Summary) -> str:
    """Whose objective has the second round's error as a term."""
    own = [f"`{name}`" for name in RUNGS if summary.settings.get(name, {}).get("weights", {}).get("cycle")]
    return f"; that of the second round is a term of {listed(own)}" if own else ""


def _who_reconstructs(table: pd.DataFrame, claim: list[Contrast]) -> str:
    """In words: the second round's error, which both kinds of alignment are after."""
    rows = table[table["measure"] == "insides.reconstruction.second"]
    said: dict[str, list[str]] = {}
    verdicts = {}
    for _, row in rows.iterrows():
        sure = row["p_holm"] < SIGNIFICANT
        how = ("better than" if row["difference"] < 0 else "worse than") if sure else "not told from"
        said.setdefault(row["variant"], []).append(f"{how} `{row['reference']}`")
        verdicts[row["variant"], row["reference"]] = how
    opening = {
        "better than": "**The four together help reconstruction**",
        "worse than": "**The four together hurt reconstruction**",
        "not told from": "**Whether the four together help reconstruction is not decided**",
    }
    first = [opening[verdicts[pair]] for one in claim if (pair := (one.variant, one.reference)) in verdicts]
    parts = [f"`{variant}` is {listed(found)}" for variant, found in said.items()]
    return f"{' '.join([*first[:1], '(by the second round):'])} {'; '.join(parts)}." if parts else ""


def _no_better_than_the_mean(summary: Summary) -> str:
    """What an error of 100 and more says of the features that the supervisors align."""
    parts = []
    for measure, name in ERRORS.items():
        errors = 100 * summary.seeds_of(measure).mean()
        errors = errors[[rung for rung in RUNGS if rung in errors]].dropna()
        if (poor := errors[errors >= 100]).size:
            fair = errors[errors < 100]
            better = f" (better: {_with_values(fair)})" if len(fair) else ""
            parts.append(f"in the {name} of {_with_values(poor)}{better}")
    if not parts:
        return ""
    return (
        f"At this budget G is no better than the mean face's features {'; and '.join(parts)}: what is "
        "aligned there is hardly a reconstruction yet, which limits what the missing effect of the "
        "supervisors can say."
    )


def _with_values(errors: pd.Series) -> str:
    return listed([f"`{name}` {value:.0f}" for name, value in errors.items()])


def probes(summary: Summary) -> str:
    """What the four change in what the texture still knows of AUs and the shape of the domain."""
    keys = {
        "insides.au_probe.texture.source": "AUs read from the texture",
        "insides.domain_probe.shape": "the domain read from the shape",
    }
    table = one_family(summary, the_four(summary), list(keys))
    parts = []
    for _, row in table.iterrows():
        level = 100 * summary.seeds_of(row["measure"])[row["reference"]].mean()
        parts.append(f"{keys[row['measure']]} {starred(row)} from {level:.1f}")
    return parts and f"Probes (AUC, the four together): {'; '.join(parts)}." or ""
