"""The study's question answered in words, every word of it decided by numbers.

The claim under test [P]: four additional intermediate supervisors help. A supervisor is said to help or
to hurt where Holm's correction leaves p below 0.05; to make no difference where the whole interval lies
within NEGLIGIBLE of none; otherwise the evidence is said not to be enough.
"""

import numpy as np
import pandas as pd

from aulib.comparisons import (
    Contrast,
    changes_inside,
    effects_of_supervisors,
    paired_differences,
    the_four,
)
from aulib.equal_time import footing
from aulib.run_values import MEAN
from aulib.summaries import Summary
from aulib.supervisors import SUPERVISORS

SIGNIFICANT = 0.05
NEGLIGIBLE = 0.01  # one point of F1 or AUC
GUESSING = 0.9  # of log N: a supervisor whose loss ends above it has learned nothing
NAMES = {"f1": "F1", "auc": "AUC", "f1_norm": "skew-normalised F1"}
RIVALS = ("separation", "adld", "multitask", "dann", "source-only")


def verdict(row) -> str:
    """helps, hurts, no difference, not enough evidence; for a row of a comparison whose measure counts up."""
    if row["p_holm"] < SIGNIFICANT:
        return "helps" if row["difference"] > 0 else "hurts"
    if -NEGLIGIBLE < row["low"] and row["high"] < NEGLIGIBLE:
        return "no difference"
    return "not enough evidence"


def points(row) -> str:
    """ "+0.8 [-0.2, +1.8]", x 100; without brackets where one seed gives no interval."""
    difference, low, high = (
        f"{round(100 * row[name], 1) + 0.0:+.1f}" for name in ("difference", "low", "high")
    )
    return f"{difference} [{low}, {high}]" if np.isfinite(row["low"]) else difference


def answer(summary: Summary, equal_time: Summary | None = None) -> str:
    """The answer as Markdown: the claim, each supervisor, the AUs, what they still do, the rivals, choices.

    Args:
        equal_time: the same variants run for equal time, if that was done.
    """
    both = [summary] if equal_time is None else [summary, equal_time]
    parts = [the_claim(summary)] + [the_claim(each, at_equal_steps=False) for each in both[1:]]
    parts += [each_supervisor(summary), their_aus(summary), what_they_still_do(summary), inside(summary)]
    parts += [the_rivals(each) for each in both] + [the_choices(summary)]
    parts.append(
        "Differences are paired by seed, in points (x 100), with 95 % intervals over seeds by Student's t; "
        "*helps* and *hurts* survive Holm's correction. The intervals speak of other seeds on these faces, "
        "not of other people."
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
            f"`{reference}` {values} ({seeds})."
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
    half = 100 * ((table["high"] - table["low"]) / 2)[table["measure"] == "f1"].median()
    if np.isfinite(half):
        lines += ["", f"Effects smaller than about {half:.1f} points of F1 cannot be told from none here."]
    return "\n".join(lines)


def their_aus(summary: Summary) -> str:
    """For which AUs a supervisor, or the four together, matter after correction."""
    table = pd.concat(
        [effects_of_supervisors(summary, ["f1"]), paired_differences(summary, the_four(summary), ["f1"])]
    )
    table = table[table["au"] != MEAN]
    if table.empty:
        return ""
    lines = []
    for name, rows in table.groupby("about", sort=False):
        sure = rows[rows["p_holm"] < SIGNIFICANT].sort_values("difference", ascending=False)
        shown = f"`{name}`" if name in SUPERVISORS else name
        if len(sure):
            lines.append(
                f"- {shown}: " + ", ".join(f"{row['au']} {points(row)}" for _, row in sure.iterrows())
            )
    if not lines:
        return f"No single AU's difference survives the correction ({len(table)} comparisons of F1)."
    return "AUs whose F1 differs after correction:\n\n" + "\n".join(lines)


def what_they_still_do(summary: Summary) -> str:
    """How far below guessing the supervisors' losses end, and what share of the gradient is theirs."""
    values = summary.values[summary.values["au"] == MEAN]
    ends = values[values["measure"].str.startswith("saturation.")]
    if ends.empty:
        return ""
    of_variant = ends.groupby("variant")["value"].mean()
    guessing = of_variant[of_variant > GUESSING]
    text = "At the end of training the supervisors' losses stand at "
    learned = ends[~ends["variant"].isin(guessing.index)].groupby("measure")["value"].mean()
    if len(learned):
        text += f"{100 * learned.min():.0f} to {100 * learned.max():.0f} % of guessing (log N)"
    if len(guessing):
        told = ", ".join(f"{100 * value:.0f} % in `{name}`" for name, value in guessing.items())
        text += f"{', but at ' if len(learned) else ''}{told}: there they tell no face from another"
    shares = values[values["measure"].isin([f"share.{name}" for name in SUPERVISORS])]
    if len(shares):
        whole = shares.groupby(["variant", "seed"])["value"].sum().groupby("variant").mean()
        most = whole.idxmax()
        text += f"; they make at most {100 * whole[most]:.0f} % of the gradient in E and G (`{most}`)"
    return text + "."


def inside(summary: Summary) -> str:
    """What the four change in the reconstruction and in what the texture still knows."""
    keys = {
        "insides.reconstruction.second": "error of the second round",
        "insides.au_probe.texture.source": "AUC of AUs read from the texture",
        "insides.domain_probe.shape": "AUC of the domain read from the shape",
    }
    table = changes_inside(summary, list(keys))
    if table.empty:
        return ""
    parts = []
    for _, row in table.iterrows():
        level = 100 * summary.seeds_of(row["measure"])[row["reference"]].mean()
        sure = "" if row["p_holm"] < SIGNIFICANT else ", not decided"
        parts.append(f"{keys[row['measure']]} {points(row)} from {level:.1f}{sure}")
    return "Inside, the four together change (x 100): " + "; ".join(parts) + "."


def the_rivals(summary: Summary) -> str:
    """`full` against each rival, one family."""
    variants = [name for name in RIVALS if name in summary.variants]
    compared = _full_over(summary, variants)
    return compared and f"{in_words(summary, {'full', *variants})}, `full` in F1: {compared}."


def the_choices(summary: Summary) -> str:
    """`full` against itself with another alignment, other negatives or two extractions, one family."""
    own = summary.settings.get("full", {})
    variants = [
        name
        for name, other in summary.settings.items()
        if name != "full" and other.get("supervisors") == own.get("supervisors")
    ]
    compared = _full_over(summary, variants)
    return compared and f"`full` in F1 over itself with one choice changed: {compared}."


def _full_over(summary: Summary, variants: list[str]) -> str:
    """ "+0.8 [-0.1, +1.7] over `multitask` (undecided), ..."; empty if there is nothing to compare."""
    if "full" not in summary.variants or not variants:
        return ""
    table = paired_differences(summary, [Contrast("full", name, name) for name in variants], ["f1"])
    decided = {
        "helps": "ahead",
        "hurts": "behind",
        "no difference": "level",
        "not enough evidence": "undecided",
    }
    return ", ".join(
        f"{points(row)} over `{row['reference']}` ({decided[verdict(row)]})"
        for _, row in table[table["au"] == MEAN].iterrows()
    )
