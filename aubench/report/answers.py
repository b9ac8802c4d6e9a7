"""The study's question answered in words, every word of it decided by numbers (`aubench.report.verdicts`).

The claim under test [P]: four additional intermediate supervisors help reconstruction and AU detection.
"""

import numpy as np
import pandas as pd

from aubench.report.equal_time import footing
from aubench.report.idleness_in_words import how_long, what_they_still_do
from aubench.report.rivals_in_words import the_choices, the_rivals
from aubench.report.rounds_in_words import probes, reconstruction
from aubench.report.run_values import MEAN
from aubench.report.statistics import detectable, effects_of_supervisors, paired_differences, the_four
from aubench.report.summaries import Summary
from aubench.report.verdicts import NAMES, SIGNIFICANT, points, verdict
from aulib.methods import SUPERVISORS


def answer(summary: Summary, equal_time: Summary | None = None) -> str:
    """The answer as Markdown: the claim first, then reconstruction, rivals, each supervisor, choices.

    Args:
        equal_time: the same variants run for equal time, if that was done.
    """
    parts = [the_claim(summary)]
    if equal_time is not None:
        parts.append(the_claim(equal_time, at_equal_steps=False))
    parts += [reconstruction(summary), the_rivals(summary, equal_time)]
    parts += [each_supervisor(summary), their_aus(summary)]
    parts += [what_they_still_do(summary), the_choices(summary), probes(summary)]
    parts.append(
        "Differences are paired by seed, in points (x 100), with 95 % intervals over seeds by Student's t; "
        r"*helps*, *hurts* and \* survive Holm's correction. The intervals speak of other seeds on these "
        "faces, not of other people."
    )
    return "\n\n".join(part for part in parts if part)


def in_words(summary: Summary, variants: set[str]) -> str:
    """`footing` with its numbers."""
    found = footing(summary, variants)
    if found == "equal steps":
        return f"At equal steps ({summary.settings[min(variants)]['steps']} each)"
    seconds = summary.seeds_of("seconds").mean().reindex(sorted(variants))
    return f"At {found} ({seconds.min():.0f} to {seconds.max():.0f} s a run)"


def the_claim(summary: Summary, at_equal_steps: bool = True) -> str:
    """Do the four intermediate supervisors together help?

    Args:
        at_equal_steps: say so of variants with equal steps too, which a study at equal time only repeats.
    """
    table = paired_differences(summary, the_four(summary), ["f1", "auc"])
    table = table[table["au"] == MEAN]
    if table.empty:
        return "The claim is untested: no two variants differ in the four intermediate supervisors alone."
    said = {
        "helps": "**the four intermediate supervisors together help**",
        "hurts": "**the four intermediate supervisors together hurt**",
        "no difference": "**the four intermediate supervisors together make no difference of a point**",
        "not enough evidence": "**whether the four intermediate supervisors together help is not decided**",
    }
    sentences = []
    for (variant, reference), rows in table.groupby(["variant", "reference"], sort=False):
        if not at_equal_steps and footing(summary, {variant, reference}) == "equal steps":
            continue
        row = rows[rows["measure"] == "f1"].iloc[0]
        values = ", ".join(f"{NAMES[one['measure']]} {points(one)}" for _, one in rows.iterrows())
        seeds = f"{row['seeds']} seed{'' if row['seeds'] == 1 else 's'}"
        sentences.append(
            f"{in_words(summary, {variant, reference})}, {said[verdict(row)]}: `{variant}` minus "
            f"`{reference}` {values} ({seeds}). {how_long(summary.settings[variant])}".strip()
        )
    return "\n\n".join(sentences)


def each_supervisor(summary: Summary) -> str:
    """A line a supervisor: its verdict in F1, and how far the evidence reaches."""
    table = effects_of_supervisors(summary, ["f1", "auc"])
    table = table[table["au"] == MEAN]
    if table.empty:
        return "No two variants differ in one supervisor alone, so nothing can be said of single ones."
    said = {
        "helps": "**helps**",
        "hurts": "**hurts**",
        "no difference": "makes no difference of a point either way",
        "not enough evidence": "not enough evidence",
    }
    lines = ["What each supervisor adds, the others being the same:", ""]
    for name, rows in table.groupby("about", sort=False):
        rows = rows.set_index("measure")
        row = rows.loc["f1"]
        scores = ", ".join(f"{NAMES[measure]} {points(one)}" for measure, one in rows.iterrows())
        how = "one comparison" if row["contrasts"] == 1 else f"mean of {row['contrasts']} comparisons"
        lines.append(f"- `{name}`: {said[verdict(row)]}; {scores} ({how}, {row['seeds']} seeds)")
    return "\n".join([*lines, *_how_small(summary, table[table["measure"] == "f1"])])


def _how_small(summary: Summary, rows: pd.DataFrame) -> list[str]:
    """Which effects on F1 these seeds would have found, of single supervisors and of the four together."""
    singles = [detectable(row["low"], row["high"], row["seeds"], len(rows)) for _, row in rows.iterrows()]
    if not np.isfinite(singles).any():
        return []
    text = (
        f"With this spread over seeds, a supervisor that really adds {100 * np.nanmedian(singles):.1f} "
        f"points of F1 would be found with a probability of 80 % (noncentral t, p < 0.05 / {len(rows)})"
    )
    table = paired_differences(summary, the_four(summary), ["f1"])
    together = [
        detectable(row["low"], row["high"], row["seeds"]) for _, row in table[table["au"] == MEAN].iterrows()
    ]
    if np.isfinite(together).any():
        text += f", the four together if they add {100 * np.nanmedian(together):.1f}"
    return ["", f"{text}; smaller effects may go unseen."]


def their_aus(summary: Summary) -> str:
    """For which AUs a supervisor, or the four together, matter after correction."""
    families = [
        effects_of_supervisors(summary, ["f1"]),
        paired_differences(summary, the_four(summary), ["f1"]),
    ]
    families = [one[one["au"] != MEAN] for one in families if (one["au"] != MEAN).any()]
    if not families:
        return ""
    table = pd.concat(families)
    counts = " and ".join(str(len(one)) for one in families)
    corrected = f"Holm over {counts} comparisons of F1" + (
        ", single ones and the four" if len(families) > 1 else ""
    )
    lines = []
    for name, rows in table.groupby("about", sort=False):
        sure = rows[rows["p_holm"] < SIGNIFICANT].sort_values("difference", ascending=False)
        shown = f"`{name}`" if name in SUPERVISORS else name
        if len(sure):
            lines.append(
                f"- {shown}: " + ", ".join(f"{row['au']} {points(row)}" for _, row in sure.iterrows())
            )
    if not lines:
        return f"No single AU's difference survives the correction ({corrected})."
    return f"AUs whose F1 differs after correction ({corrected}):\n\n" + "\n".join(lines)
