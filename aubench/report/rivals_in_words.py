"""The whole method against its rivals, and against itself with one choice changed."""

import pandas as pd

from aubench.report.equal_time import footing
from aubench.report.run_values import MEAN
from aubench.report.statistics import Contrast, one_family, paired_differences
from aubench.report.summaries import Summary, is_bound
from aubench.report.verdicts import NAMES, SIGNIFICANT, listed, points, starred, verdict
from aulib.methods import METHODS
from aulib.metrics import MEASURES, REPORTED

RIVALS = ("separation", "adld", "multitask", "dann", "source-only")
DIGITS = {"nme": 2}  # else 1
LOWER_IS_BETTER = [name for name in REPORTED if MEASURES[name].lower_is_better]


def the_rivals(summary: Summary, equal_time: Summary | None = None) -> str:
    """`full` minus each rival in every measure: a table, what of it is told from chance, and who is best.

    Rivals at equal time have a row more; each study's comparisons are a family of their own.
    """
    table = _against_rivals(summary)
    if table.empty:
        return ""
    lines = [
        "| `full` minus | " + " | ".join(NAMES[name] for name in REPORTED) + " |",
        "|---|" + "---:|" * len(REPORTED),
    ]
    lines += _rows(table, "")
    families = f"{table['p'].notna().sum()} comparisons"
    if equal_time is not None and len(then := _against_rivals(equal_time, at_equal_steps=False)):
        lines += _rows(then, ", equal time")
        families += f", and over the {then['p'].notna().sum()} at equal time ({then['seeds'].max()} seeds)"
    note = f"Points; of NME below 0 is better. Holm over these {families}."
    return "\n".join([f"**Against its rivals**, {_told(table)} {best_rungs(summary)}", "", *lines, "", note])


def _against_rivals(summary: Summary, at_equal_steps: bool = True) -> pd.DataFrame:
    contrasts = [
        Contrast("full", name, name)
        for name in RIVALS
        if {"full", name} <= set(summary.variants)
        and (at_equal_steps or footing(summary, {"full", name}) != "equal steps")
    ]
    known = set(summary.measures())
    return one_family(summary, contrasts, [name for name in REPORTED if name in known])


def _rows(table: pd.DataFrame, on_what: str) -> list[str]:
    lines = []
    for reference, rows in table.groupby("reference", sort=False):
        rows = rows.set_index("measure")
        cells = [starred(rows.loc[m], DIGITS.get(m, 1)) if m in rows.index else "–" for m in REPORTED]
        lines.append(f"| `{reference}`{on_what} | {' | '.join(cells)} |")
    return lines


def _told(table: pd.DataFrame) -> str:
    """ "`full` is behind `separation` in NME; ahead of `source-only` in F1": what survives the correction."""
    said = []
    for reference, rows in table[table["p_holm"] < SIGNIFICANT].groupby("reference", sort=False):
        better = (rows["difference"] > 0) != rows["measure"].isin(LOWER_IS_BETTER)
        for way, own in (("behind", rows[~better]), ("ahead of", rows[better])):
            if len(own):
                said.append(f"{way} `{reference}` in {listed([NAMES[name] for name in own['measure']])}")
    return f"`full` is {'; '.join(said)}; the rest is undecided." if said else "nothing is told from chance."


def best_rungs(summary: Summary) -> str:
    """Which rung of the ladder has the best mean in each measure; bounds that saw target labels apart."""
    rungs = [name for name in METHODS if name in summary.variants and not is_bound(summary.settings[name])]
    best: dict[str, list[str]] = {}
    for measure in REPORTED:
        means = summary.seeds_of(measure).mean().reindex(rungs).dropna()
        if len(means) > 1:
            name = means.idxmin() if measure in LOWER_IS_BETTER else means.idxmax()
            best.setdefault(name, []).append(f"{NAMES[measure]} ({100 * means[name]:.1f})")
    found = [f"`{name}` in {listed(measures)}" for name, measures in best.items()]
    return f"Best mean of all rungs: {'; '.join(found)}." if found else ""


def changed_choices(summary: Summary) -> pd.DataFrame:
    """`full` minus itself with another alignment, negatives or extraction, in mean F1; one family."""
    own = summary.settings.get("full", {})
    contrasts = [
        Contrast("full", name, name)
        for name, other in summary.settings.items()
        if name != "full"
        and "full" in summary.settings
        and other.get("supervisors") == own.get("supervisors")
    ]
    table = paired_differences(summary, contrasts, ["f1"])
    return table[table["au"] == MEAN]


def the_choices(summary: Summary) -> str:
    """ "+0.8 [-0.1, +1.7] over `full-queue` (undecided), ..."; empty if there is no such variant."""
    decided = {
        "helps": "ahead",
        "hurts": "behind",
        "no difference": "level",
        "not enough evidence": "undecided",
    }
    compared = [
        f"{points(row)} over `{row['reference']}` ({decided[verdict(row)]})"
        for _, row in changed_choices(summary).iterrows()
    ]
    return f"`full` in F1 over itself with one choice changed: {', '.join(compared)}." if compared else ""
