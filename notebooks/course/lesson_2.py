"""Lesson 2, what goes wrong in the wild: a run read under one factor at a time, F1 under skew, the checks."""

import inspect
import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.inspection.factor_faces import SEED, Answers, answers_under, drop, scores_of
from aubench.plots.style import au_label
from aufaces.factors import FACTORS
from exercises import Verdict, exercise, right, wrong

SCORES = ("f1", "auc", "f1_norm", "base_rate")
HARDLY = 0.02  # change of mean AUC that is called small
CHANCE = 0.02  # between changes of AUC that so few faces do not tell apart
TOLD = 0.005  # an interval of F1 lost that starts lower is seen to start at 0
KEPT = (1.0, 0.5, 0.25, 0.125)  # shares of the faces with an AU that are kept


def domains_per_au(run: str | Path) -> pd.DataFrame:
    """Test scores of a finished run, one row a domain and AU: domain, au, f1, auc, f1_norm, base_rate."""
    metrics = json.loads((Path(run) / "metrics.json").read_text())
    aus = json.loads((Path(run) / "config.json").read_text())["model"]["aus"]
    rows = []
    for domain in ("source", "target"):
        for au in aus:
            found = {name: metrics[f"{domain}.per_au.{au}.{name}"] for name in SCORES}
            rows.append({"domain": domain, "au": au} | found)
    return pd.DataFrame(rows).astype(dict.fromkeys(SCORES, float))


def answers_of_test(run: str | Path, domain: str) -> Answers:
    """A finished run's answers about a domain's test faces, as it kept them."""
    table = pd.read_csv(Path(run) / f"predictions_{domain}_test.csv")
    aus = [column.removesuffix("_true") for column in table if column.endswith("_true")]
    return Answers(*(table[[f"{au}_{kind}" for au in aus]].to_numpy(float) for kind in ("p", "true")))


def f1_expected(true_positive_rate: float, false_positive_rate: float, base_rate) -> np.ndarray:
    """F1 of a detector whose two rates stay, where an AU is on a share `base_rate` of the frames."""
    hit = base_rate * true_positive_rate
    return 2 * hit / (base_rate + hit + (1 - base_rate) * false_positive_rate)


def thinned(answers: Answers, seed: int = 0) -> pd.DataFrame:
    """Scores where each AU keeps only a share of the faces that have it, drawn by chance, and all others.

    The detector and its answers stay as they are.

    Returns:
        one row a share of KEPT: kept, base_rate, f1, f1_norm, auc (means over the AUs that have them).
    """
    rng = np.random.default_rng([seed, 2])  # of its own: what is taken away must not follow other draws
    order = rng.random(answers.occurrence.shape)
    rows = []
    for share in KEPT:
        dropped = (answers.occurrence == 1) & (order > share)
        left = np.where(dropped, np.nan, answers.occurrence)
        aus = [str(column) for column in range(left.shape[1])]
        scores = scores_of(Answers(answers.probability, left), aus)
        rates = [scores[f"per_au.{au}.base_rate"] for au in aus]
        means = {name: scores[f"mean.{name}"] for name in ("f1", "f1_norm", "auc")}
        rows.append({"kept": share, "base_rate": float(np.nanmean(rates))} | means)
    return pd.DataFrame(rows)


# what the numbers of this run say


def domains_said(table: pd.DataFrame) -> str:
    """What the run loses between the domains, AU by AU (`domains_per_au`)."""
    f1 = table.pivot(index="au", columns="domain", values="f1").dropna()
    if not len(f1):
        return "No AU has a score in both domains."
    lost = f1["source"] - f1["target"]
    said = (
        f"Mean F1-frame is {100 * f1['source'].mean():.0f} on the source's test faces and "
        f"{100 * f1['target'].mean():.0f} on the target's; nobody of either was in training."
    )
    if lost.mean() <= 0:
        return f"{said} This run loses nothing on the way: what follows has nothing to explain."
    target = table[table["domain"] == "target"].set_index("au").loc[f1.index]
    always = 2 * target["base_rate"] / (1 + target["base_rate"])
    below = list(f1.index[target["f1"] < always])
    beaten = f" Worse than always saying present on the target: {', '.join(below)}." if below else ""
    return (
        f"{said} {au_label(lost.idxmax())} loses most, {_points(lost.max())}, and "
        f"{int((lost > 0.1).sum())} of {len(lost)} AUs lose more than ten.{beaten}"
    )


def factors_said(table: pd.DataFrame) -> str:
    """Which factors can be told from none, and whether the parts make the whole (`drops`)."""
    alone, whole = table[table["factor"] != "all"], table[table["factor"] == "all"].iloc[0]
    sure = alone[alone["low"] > TOLD].sort_values("lost", ascending=False)
    names = ", ".join(f"{row.factor} ({_points(row.lost)})" for row in sure.itertuples())
    text = (
        f"Told from no loss by themselves: {names}." if names else "No factor by itself is told from no loss."
    )
    total = alone["lost"].sum()
    if whole["low"] <= TOLD:
        return f"{text} Nor are all of them together: the run is too weak or the faces too few."
    more = (
        "more than"
        if whole["lost"] > 1.1 * total
        else "less than"
        if whole["lost"] < 0.9 * total
        else "about"
    )
    return (
        f"{text} All together cost {_points(whole['lost'])}, {more} the {100 * total:.0f} that the "
        "single ones add up to."
    )


def changes_said(table: pd.DataFrame) -> str:
    """Which factor breaks rankings, and which lowers F1 without (`factor_faces.changes_per_au`)."""
    single = table[table["factor"] != "all"].groupby("factor", sort=False)[["auc", "f1"]].mean().dropna()
    if single.empty:
        return "No AU has an AUC here: too few faces."
    blind, fell = single["auc"].idxmin(), single[single["auc"] > -HARDLY]["f1"]
    text = (
        f"Rankings suffer most under {blind}: mean AUC changes by {100 * single.loc[blind, 'auc']:+.1f} "
        f"points, F1 by {100 * single.loc[blind, 'f1']:+.1f}."
    )
    rarest = table.loc[table["support"].where(table["auc"].notna()).idxmin()]
    chance = (
        f" Fewest faces have {au_label(rarest['au'])} ({rarest['support']:.0f}): one of them, ranked "
        f"last instead of first, moves its AUC by {_points(1 / rarest['support'])}. Read a cell by that."
    )
    if len(fell) and fell.min() < -2 * HARDLY:
        name = fell.idxmin()
        moved = table.loc[table["factor"] == name, "base_rate"].any()
        return (
            f"{text} Under {name} F1 changes by {100 * fell.min():+.1f}, but AUC by "
            f"{100 * single.loc[name, 'auc']:+.1f} only: answers slid across 0.5"
            f"{', or base rates moved' if moved else ''}, and the detector sees nearly as well as before."
            f"{chance}"
        )
    return f"{text} No factor costs much F1 and leaves the rankings alone.{chance}"


def thinned_said(table: pd.DataFrame) -> str:
    """Which score follows the base rate (`thinned`)."""
    change = table.iloc[-1] - table.iloc[0]
    names = {"f1": "F1-frame", "f1_norm": "skew-normalised F1", "auc": "ROC AUC"}
    said = ", ".join(f"{name} by {100 * change[key]:+.0f}" for key, name in names.items())
    text = (
        f"From a mean base rate of {100 * table['base_rate'].iloc[0]:.0f} % to "
        f"{100 * table['base_rate'].iloc[-1]:.0f} %, scores change (points): {said}."
    )
    if change["f1"] < -0.1 and abs(change["auc"]) < 0.05:
        return f"{text} The detector is the same at every point: F1 fell because the AUs became rare."
    return f"{text} That is not the clean picture: with few faces left, chance moves every score."


def _points(share: float, sign: str = "") -> str:
    """In points of a hundred: "12 points", "1 point"; with the sign "+" also "-1 point", "+0 points"."""
    number = round(100 * share)
    return f"{number:{sign}d} point{'' if abs(number) == 1 else 's'}"


# exercises


@exercise("a number between 0 and 1, such as `0.3`")
def check_always(f1: float, base_rate: float) -> Verdict:
    """Exercise 1: F1 of a detector that always says "present"."""
    f1, truth = float(f1), 2 * base_rate / (1 + base_rate)
    if abs(f1 - truth) < 0.005:
        return right(
            f"{truth:.3f}, for looking at nothing. An F1 is good or bad beside this number, which is "
            "another for every AU and every domain."
        )
    if 1 < f1 <= 100 and abs(f1 / 100 - truth) < 0.005:
        return wrong("In percent it is. Write it between 0 and 1.")
    if abs(f1 - base_rate) < 0.005:
        return wrong("That is its precision, the share of true ones among its alarms. F1 has recall too.")
    if abs(f1 - 1) < 0.005:
        return wrong("That is its recall: it misses nothing. But most of its alarms are false.")
    if abs(f1 - (1 + base_rate) / 2) < 0.005:
        return wrong("That is the plain mean of precision and recall; F1 is their harmonic mean.")
    if abs(f1 - 2 / 3) < 0.005:
        return wrong("So it would be at a base rate of one half. This AU is rarer.")
    return wrong("Of 1000 faces, how many hits, false alarms and misses? F1 is 2 TP / (2 TP + FP + FN).")


@exercise("a function of three numbers, true positive rate, false positive rate and base rate")
def check_skew(answer) -> Verdict:
    """Exercise 2: F1 as a function of the base rate. The function is called at several places."""
    if not callable(answer):
        return wrong("Write a function: `def answer_2(tpr, fpr, base_rate): ...` returns F1.")
    if len(inspect.signature(answer).parameters) != 3:
        return wrong("It has to take three numbers: `tpr`, `fpr` and `base_rate`, in this order.")
    tpr, fpr, rate = np.meshgrid([0.5, 0.8, 0.95], [0.02, 0.1, 0.3], [0.05, 0.2, 0.6])
    places = list(zip(tpr.ravel(), fpr.ravel(), rate.ravel(), strict=True))
    found = np.array([float(answer(*place)) for place in places])
    tpr, fpr, rate = (part.ravel() for part in (tpr, fpr, rate))
    precision = rate * tpr / (rate * tpr + (1 - rate) * fpr)
    rivals = {
        "That is hits over hits, false alarms and misses. F1 counts every hit twice, above and below.":
            rate * tpr / (rate + (1 - rate) * fpr),
        "That is F1 as if every second frame had the AU: the base rate does nothing in it.":
            f1_expected(tpr, fpr, 0.5),
        "That is precision. What about the misses?": precision,
        "That is recall. What about the false alarms?": tpr,
        "That is accuracy: high for a rare AU even if none is found.": rate * tpr + (1 - rate) * (1 - fpr),
        "That is the plain mean of precision and recall; F1 is their harmonic mean.": (precision + tpr) / 2,
        "False alarms come from a share 1 - base rate of the frames; here from all.":
            2 * rate * tpr / (rate + rate * tpr + fpr),
    }  # fmt: skip
    if np.allclose(found, f1_expected(tpr, fpr, rate), atol=1e-6):
        few, many = (float(f1_expected(0.8, 0.1, rate)) for rate in (0.05, 0.5))
        return right(
            f"A detector that finds 80 % and raises 10 % wrongly scores {few:.2f} where one frame in "
            f"twenty has the AU and {many:.2f} where every second has."
        )
    for hint, values in rivals.items():
        if np.allclose(found, values, atol=1e-6):
            return wrong(hint)
    if any(np.allclose(found, f1_expected(*order), atol=1e-6) for order in permutations((tpr, fpr, rate))):
        return wrong(
            "That is F1, but of numbers in another order: first `tpr`, then `fpr`, then `base_rate`."
        )
    place = places[0]
    return wrong(
        f"At rates {place[0]:g}, {place[1]:g} and a base rate of {place[2]:g} it gives {found[0]:.3f}. "
        "Count hits, false alarms and misses of 1000 frames first."
    )


@exercise('a factor and an AU, such as `("camera", "AU12")`')
def check_broken(pair, changes: pd.DataFrame) -> Verdict:
    """Exercise 3: where the ranking of faces breaks most under one factor."""
    factor, au = pair
    if factor not in FACTORS:
        both = (
            "All of them together is no single factor"
            if factor == "all"
            else f"`{str(factor)[:20]}` is no factor"
        )
        return wrong(f"{both}; there are {', '.join(FACTORS)}.")
    if au not in set(changes["au"]):
        return wrong(f"`{str(au)[:20]}` is not among the AUs of this run.")
    single = changes[changes["factor"] != "all"]
    mine = single[(single["factor"] == factor) & (single["au"] == au)].iloc[0]
    if np.isnan(mine["auc"]):
        return wrong("There is no AUC there: the AU is on no face, or on all.")
    worst, in_f1 = (single.loc[single[name].idxmin()] for name in ("auc", "f1"))
    if mine["auc"] <= worst["auc"] + CHANCE:
        near = single[(single["auc"] <= worst["auc"] + CHANCE) & (single.index != mine.name)]
        names = " or ".join(
            f"{row.au} under {row.factor} ({100 * row.auc:+.0f})" for row in near.itertuples()
        )
        return right(
            f"Under {factor} the AUC of {au_label(au)} changes by {_points(mine['auc'], '+')}: more "
            "of the faces with it are ranked below faces without. No threshold and no base rate mends that."
            + (f" So few faces do not tell it from {names}: each is right." if names else "")
        )
    if (factor, au) == (in_f1["factor"], in_f1["au"]):
        why = "Answers that moved across 0.5" + (", or a base rate that moved," if mine["base_rate"] else "")
        return wrong(
            f"There F1 falls most, but AUC changes by {_points(mine['auc'], '+')}. {why} lower F1 too; "
            "another *ranking* is more broken."
        )
    return wrong(f"There AUC changes by {_points(mine['auc'], '+')}. Another cell has lost more.")


@exercise('a set of one to three factors, such as `{"pose", "camera"}`')
def check_mix(factors, run: str | Path, answers: dict[str, Answers], seed: int = SEED) -> Verdict:
    """Exercise 4: at most three factors that cost at least half of what all cost. The faces are rendered."""
    if isinstance(factors, str):
        return wrong('A set is wanted, even of one factor: `{"light"}`.')
    if unknown := sorted(str(name)[:20] for name in factors if name not in FACTORS):
        return wrong(f"`{unknown[0]}` is no factor; there are {', '.join(FACTORS)}.")
    if not 1 <= len(set(factors)) <= 3:
        return wrong(f"{len(set(factors))} factors: one, two or three are asked for.")
    whole = drop(answers["none"], answers["all"])
    mixed = answers_under(run, set(factors), len(answers["none"].probability), seed)
    lost = drop(answers["none"], mixed)[0]
    alone = {name: drop(answers["none"], answers[name])[0] for name in factors}
    bars = f" (their bars add up to {100 * sum(alone.values()):.0f})" if len(alone) > 1 else ""
    cost = "These cost" if len(alone) > 1 else "It costs"
    said = f"{cost} {_points(lost)}{bars} of the {100 * whole[0]:.0f} that all {len(FACTORS)} factors cost"
    if whole[1] <= TOLD:
        return right(f"{said}; but on this run that is not told from nothing, so any mix will do.")
    if lost >= whole[0] / 2:
        return right(f"{said}. Mend these first.")
    if len(alone) < 3:
        return wrong(f"{said}: not half. Add one that attacks in another way.")
    least = min(alone, key=alone.get)
    return wrong(f"{said}: not half. By itself {least} costs {_points(alone[least])}; exchange it.")
