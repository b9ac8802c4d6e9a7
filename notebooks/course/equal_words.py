"""What is said of photographs and of equal heads in lesson 8, decided by the numbers of a run."""

import re

import numpy as np
import pandas as pd

from aubench.plots.style import au_label
from aulib.dataset import DatasetFolder
from equal_heads import AGES, REFERENCES, TONES, Read, differences, quality, shares
from stand_ins import Photographs

ENOUGH_HEADS, ENOUGH_RUNS, WEAK = 12, 3, 0.85  # below these the sentences warn; WEAK is a mean AUC
STRONGEST = 8


def said_of_strongest(predictions: pd.DataFrame, pictures: Photographs, faces: DatasetFolder) -> str:
    """How many of each AU's strongest faces have it, where the truth is known; else what to do."""
    aus = [name[:-2] for name in predictions if re.fullmatch(r"AU\d\d_p", name)]
    read = predictions[predictions["status"] == "ok"]
    if pictures.truth is None:
        raised = ", ".join(f"{au} on {int(read[f'{au}_c'].sum())}" for au in aus)
        return f"At 0.5 it raises, of {len(read)} faces: {raised}. No label says where it is right: look."
    known = faces.table[["image", "meta_source"]].merge(
        pictures.truth, left_on="meta_source", right_on="image"
    )
    read = read.merge(known, left_on="image", right_on="image_x")
    lines = [
        f"| AU | of the {STRONGEST} strongest have it | of all {len(read)} | raised at 0.5 |",
        "|---|---:|---:|---:|",
    ]
    trusted = []
    for au in (au for au in aus if au in pictures.truth):
        top = read.nlargest(STRONGEST, f"{au}_p")[au].sum()
        rate, raised = 100 * read[au].mean(), 100 * (read[f"{au}_p"] >= 0.5).mean()
        lines.append(f"| {au_label(au)} | {top} | {rate:.0f} % | {raised:.0f} % |")
        trusted += [au] if top >= 0.75 * min(STRONGEST, len(read)) else []
    end = f"Three of four of the strongest are right for {', '.join(trusted) or 'no AU'}."
    return "\n".join([*lines, "", end + " On photographs nobody can print this table for you."])


def said_of_differences(read: Read) -> str:
    """What tone and age change, in words, with a warning where the evidence is not enough."""
    found, said = differences(shares(read)), []
    known = found[found["measure"] != "f1_norm"]
    for factor, word in (("skin", "Skin tone"), ("age", "Age")):
        own = known[known["factor"] == factor]
        told = own[own["p_holm"] < 0.05]
        widest = (own["high"] - own["low"]).max() / 2
        if told.empty:
            said.append(
                f"- **{word}**: no difference in hits or alarms can be told from zero; one of up to "
                f"{widest:.0f} points might hide in the widest interval."
                if np.isfinite(widest)
                else f"- **{word}**: there is no interval from a single head."
            )
        for level, rows in told.groupby("level"):
            parts = [
                f"{abs(row.difference):.1f} points {'more' if row.difference > 0 else 'fewer'} {row.measure} "
                f"[{row.low:+.1f}, {row.high:+.1f}]"
                for row in rows.itertuples()
            ]
            said.append(f"- **{word}** {level:g} against {REFERENCES[factor]:g}: {' and '.join(parts)}. "
                        + _pattern(own[own["level"] == level]))  # fmt: skip
    return "\n".join([*said, "", _as_foretold(known), "", *warnings_of(read)])


def _as_foretold(found: pd.DataFrame) -> str:
    """What became of the two predictions that stand above the figure."""
    rows = found.set_index(["factor", "level", "measure"])
    said = []
    for place, sign, words in (
        (("age", max(AGES), "alarms"), 1, "old faces are read as moving"),
        (("skin", max(TONES), "hits"), -1, "dark skin hides movements"),
    ):
        row = rows.loc[place]
        told = row["p_holm"] < 0.05
        verdict = "undecided" if not told else "found" if sign * row["difference"] > 0 else "**the opposite**"
        said.append(f"{words}: {verdict} ({row['difference']:+.1f} points of {place[2]})")
    return f"Of what was said beforehand: {'; '.join(said)}."


def _pattern(rows: pd.DataFrame) -> str:
    told = rows[rows["p_holm"] < 0.05].set_index("measure")["difference"]
    if len(told) == 2 and told.prod() > 0:
        return "Both go the same way: for this group 0.5 lies elsewhere on its scale."
    if told.get("hits", 0) < 0 and told.get("alarms", 0) > 0:
        return "It sees less of what is there and more of what is not."
    if told.get("hits", 0) < 0:
        return "It sees less of what is there."
    if told.get("alarms", 0) > 0:
        return "It sees what is not there."
    return "Here it does better."


def warnings_of(read: Read) -> list[str]:
    """What limits the conclusion: few heads, few runs, a weak detector; always what was held equal."""
    heads, runs, auc = read.about["head"].nunique(), len(read.probability), quality(read)
    raised = float((read.probability >= 0.5)[:, read.occurrence == 1].mean())
    said = []
    if heads < ENOUGH_HEADS:
        said.append(
            f"**Warning: only {heads} heads.** Of other people this says little; take {ENOUGH_HEADS}."
        )
    if runs < ENOUGH_RUNS:
        said.append(
            f"**Warning: {runs} run{'s' * (runs > 1)}.** Another seed may favour others; take {ENOUGH_RUNS}."
        )
    if not auc >= WEAK:
        said.append(
            f"**Warning: a weak detector** (mean ROC AUC {auc:.2f} on the heads compared with; 0.5 is "
            f"guessing; {100 * raised:.0f} % of present AUs are raised). One that sees little treats all "
            "alike: no difference here is no sign of fairness, and a better one may show more."
        )
    else:
        said.append(
            f"The detector is small (mean ROC AUC {auc:.2f} on the heads compared with): another may differ "
            "by other amounts, or the other way."
        )
    return ["> " + "\n>\n> ".join([f"{heads} heads, {runs} run{'s' * (runs != 1)}.", *said])]


def said_of_folds(per_au: pd.DataFrame) -> str:
    """Whether old faces raise AUs that are absent, as was said beforehand; Holm over the AUs."""
    old = per_au[(per_au["factor"] == "age") & (per_au["level"] == max(AGES))]
    more = old[(old["p_holm"] < 0.05) & (old["difference"] > 0)].sort_values("difference", ascending=False)
    less = old[(old["p_holm"] < 0.05) & (old["difference"] < 0)]
    if more.empty:
        most = old.loc[old["difference"].idxmax()]
        return (
            f"At age {max(AGES):g} **no AU** is raised wrongly more often than chance allows, taken by itself"
            + (f"; {', '.join(less['au'])} less often." if len(less) else ".")
            + f" The largest is {most.au}, {most.difference:+.0f} points [{most.low:+.0f}, {most.high:+.0f}]."
        )
    named = ", ".join(f"{row.au} ({row.difference:+.0f} points)" for row in more.itertuples())
    return (
        f"At age {max(AGES):g} these are raised more often **where they are absent**: {named}. "
        "Lines of age are read as movements."
        + (f" Less often: {', '.join(less['au'])}." if len(less) else "")
    )
