"""Lesson 1, what an action unit is: counts over labelled faces, what they say, checks of its exercises."""

import numpy as np
import pandas as pd

import acting
from aubench.datasets import label_statistics
from aubench.plots.style import au_label
from aufaces.actions import AUS, OPPOSED, PROTOTYPES
from aulib.dataset import DatasetFolder
from aulib.labels import binarise
from exercises import Verdict, exercise, right, wrong

CUTS = (1, 2, 3, 4, 5)
RISEN = 4.0  # % of the eye distance by which a brow has been raised for exercise 1
STILL = 1.0  # and by which nothing else may move


# counts


def rates_by_cut(domains: dict[str, DatasetFolder]) -> pd.DataFrame:
    """Mean base rate over AUs if presence begins at each grade: domain, at_least, base_rate. Sets without
    intensity give no rows: from occurrence no grade can be had back."""
    rows = []
    for domain, data in domains.items():
        for cut in CUTS if data.intensity_aus else ():
            rate = float(np.nanmean(binarise(data.intensity, at_least=cut)))
            rows.append({"domain": domain, "at_least": cut, "base_rate": rate})
    return pd.DataFrame(rows, columns=["domain", "at_least", "base_rate"])


def lifts(data: DatasetFolder) -> pd.DataFrame:
    """How many times its base rate an AU (`also`) has where another (`given`) is present; highest first."""
    table = label_statistics.cooccurrence(data)
    rates = label_statistics.base_rates({"": data}).set_index("au")["base_rate"]
    table["base_rate"] = table["also"].map(rates)
    table["lift"] = table["rate"] / table["base_rate"]
    return table[table["given"] != table["also"]].sort_values("lift", ascending=False, ignore_index=True)


def lists_met(data: DatasetFolder) -> pd.DataFrame:
    """Of each textbook list (`PROTOTYPES`): faces with any of its AUs, faces with all of them, their ratio.

    `complete` is NaN where the set does not label all its AUs or none is ever there.
    """
    present = data.occurrence == 1
    rows = []
    for word, aus in PROTOTYPES.items():
        columns = [data.aus.index(au) for au in aus if au in data.aus]
        of_list = present[:, columns]
        labelled = len(columns) == len(aus)
        some, whole = int(of_list.any(1).sum()), int(of_list.all(1).sum()) if labelled else np.nan
        rows.append({"word": word, "some": some, "all": whole, "complete": whole / some if some else np.nan})
    return pd.DataFrame(rows)


def coding_hours(frames: int, frames_per_second: float, minutes_per_minute: float) -> float:
    """Hours one coder needs for a video of so many frames."""
    return frames / frames_per_second / 60 * minutes_per_minute / 60


# what the numbers of this run say


def cuts_said(table: pd.DataFrame) -> str:
    """What the cut from B to C costs each domain (`rates_by_cut`)."""
    if table.empty:
        return (
            "These sets keep occurrence only: from which grade on, they do not say, and nobody can cut again."
        )
    rates = table.pivot(index="domain", columns="at_least", values="base_rate")
    lost = 1 - rates[3] / rates[2]
    costs = " and ".join(f"{100 * share:.0f} % of the {domain}'s" for domain, share in lost.items())
    text = f"From C instead of B takes away {costs} occurrences."
    if len(lost) > 1:
        most, least = lost.idxmax(), lost.idxmin()
        uneven = lost[most] > 1.2 * lost[least]
        text += (
            f" The {most} has more weak expressions, so the same rule changes its labels more: a shift "
            "between domains that somebody made with a number."
            if uneven
            else " Both lose about as much, so this cut by itself would not set the domains apart."
        )
    return text


def movements_said(table: pd.DataFrame, detector_error: float) -> str:
    """Which AUs a detector's error hides at the lowest grade (`acting.movements`)."""
    low = table[table["grade"] == table["grade"].min()].set_index("au")["moved"]
    hidden, near = list(low.index[low < detector_error]), int((low < 2 * detector_error).sum())
    grade = acting.letter(table["grade"].min())
    if not near:
        return (
            f"At grade {grade} every AU moves a landmark by more than twice {detector_error:g} % of the eye "
            "distance: landmarks alone would do for this person."
        )
    first = (
        f"{', '.join(hidden)} move no landmark by more than {detector_error:g} % of the eye distance"
        if hidden
        else f"Every AU moves some landmark by more than {detector_error:g} % of the eye distance"
    )
    return (
        f"{first} at grade {grade}, and {near} of {len(low)} AUs none by more than twice as much. The rest "
        "has to come from what the skin looks like."
    )


def lists_said(table: pd.DataFrame) -> str:
    """How far one AU is from its list (`lists_met`)."""
    shared = {au: sum(au in aus for aus in PROTOTYPES.values()) for au in AUS}
    several = [au for au, words in shared.items() if words > 1]
    known = table.dropna(subset="complete")
    text = f"{', '.join(several)} stand in more than one list. "
    for word in known.loc[known["complete"] == 0, "word"]:
        for one, other in (pair for pair in OPPOSED if set(PROTOTYPES[word]).issuperset(pair)):
            text += (
                f"*{word}* lists both {one} and {other}, which this renderer never does together (real faces "
                "can): of rendered faces its bar is at 0 by construction, and says nothing about people. "
            )
    if known.empty:
        return text + "No list is labelled whole here, so the bars stay empty."
    best = known.loc[known["complete"].idxmax()]
    if best["complete"] > 0.9:
        return (
            text + f"But who has one AU of *{best['word']}* nearly always has all: here it would be a code."
        )
    return text + (
        f"Even the list that is most often complete, *{best['word']}*, is so in "
        f"{100 * best['complete']:.0f} % of the faces that have an AU of it: "
        "reading the word off one AU would be wrong for all others."
    )


def cost_said(data: DatasetFolder, frames: int, frames_per_second: float, minutes_per_minute: float) -> str:
    """What coding costs, and how many faces are needed for a hundred of the rarest AU."""
    hours = coding_hours(frames, frames_per_second, minutes_per_minute)
    rates = label_statistics.base_rates({"": data}).set_index("au")["base_rate"]
    rates = rates[rates > 0]
    return (
        f"{frames:,} frames are {frames / frames_per_second / 60:.0f} minutes of video: "
        f"**{hours:.0f} hours** of one coder, "
        "and as much again for each part that a second one checks. In the source the rarest AU is "
        f"{rates.idxmin()}, on {100 * rates.min():.1f} % of faces: a hundred of it take about "
        f"**{100 / rates.min():,.0f} coded faces** drawn by chance."
    )


# exercises


@exercise('AUs with grades from 0 to 5, such as `{"AU12": 3}`')
def check_brows(levels: dict[str, float], person: int = 10) -> Verdict:
    """Exercise 1: the whole brow goes up and nothing else moves. The face is acted and measured."""
    if fault := acting.fault_of(levels):
        return wrong(fault)
    rise = acting.movement(levels, person)[:, 1]
    inner, outer = rise[[21, 22]].min(), rise[[17, 26]].min()
    for au in levels.keys() - {"AU01", "AU02"}:
        far = np.linalg.norm(acting.movement({au: levels[au]}, person), axis=1)
        if far.max() > STILL and (inner < RISEN or outer < RISEN or au != "AU04"):
            part = acting.part_of(int(far.argmax()))
            how = "lowers them and pulls them together" if au == "AU04" else f"moves the {part}"
            what = f"by {far.max():.1f} % of the eye distance; the brows are to go up, and nothing else"
            return wrong(f"{au_label(au)} {how} {what}.")
        if far.max() > STILL:
            return wrong("AU04 pulls down what the others lift: the brows are higher without it.")
    if inner < RISEN and outer < RISEN:
        return wrong(
            f"The brows rise by {max(inner, outer):.1f} % of the eye distance at most; the sheet of AUs "
            f"shows who lifts them, and {RISEN:.0f} % is wanted at both ends."
        )
    if inner < RISEN or outer < RISEN:
        end, rose, au = ("inner", inner, "AU01") if inner < RISEN else ("outer", outer, "AU02")
        return wrong(
            f"The {end} ends rise by {rose:.1f} % of the eye distance only, of {RISEN:.0f} % wanted. "
            f"{'Make' if au in levels else 'There is a muscle for each end: find'} the AU of the {end} ends"
            f"{' stronger' if au in levels else ''}."
        )
    return right(
        f"Inner ends {inner:.1f} %, outer ends {outer:.1f} % up. One muscle, the frontalis, does both, but "
        "its inner and outer parts move by themselves, so FACS counts two units."
    )


@exercise("a function of an array of intensities, NaN where not annotated, that returns occurrence")
def check_cut(answer, data: DatasetFolder | None = None, at_least: float = 3) -> Verdict:
    """Exercise 2: occurrence at another cut. The function is called."""
    if not callable(answer):
        return wrong("Write a function: `def answer_2(intensity): ...` gives back an array of that shape.")
    intensity = np.array([[0.0, 1.0, 2.0, at_least - 0.1], [at_least, 4.0, 5.0, np.nan]], np.float32)
    found, wanted = np.asarray(answer(intensity.copy()), float), binarise(intensity, at_least)
    if found.shape != wanted.shape:
        return wrong(f"Of intensities of shape {wanted.shape} it makes occurrence of shape {found.shape}.")
    if not np.isin(found[~np.isnan(found)], (0, 1)).all():
        return wrong("Occurrence is 1 (present), 0 (absent) or NaN (not annotated), nothing between.")
    if not np.isnan(found[1, 3]):
        said = "present" if found[1, 3] else "absent"
        return wrong(f"Where nobody coded (NaN) it says {said}. Not annotated is not absent: keep the NaN.")
    if np.isnan(found).sum() > 1:
        return wrong("It forgets labels: only what was NaN before may be NaN.")
    if found[1, 0] == 0 and found[1, 1] == 1:
        return wrong(f"Exactly {at_least:g} should be present: the rule is at least, `>=`.")
    if found[0, 2] == 1 and found[0, 1] == 0:
        return wrong("It still cuts at 2.")
    if not np.array_equal(found, wanted, equal_nan=True):
        return wrong(f"Of intensities {intensity.tolist()} it makes {found.tolist()}.")
    if data is None or not data.intensity_aus:
        return right("And it works only where intensity was kept: occurrence cannot be cut again.")
    before, after = (np.nansum(binarise(data.intensity, cut)) for cut in (2, at_least))
    return right(
        f"On the labelled faces {100 * (1 - after / before):.0f} % of all occurrences are gone with it: the "
        "same faces, another base rate, and so another F1 for the same detector."
    )


@exercise('two AUs of the labelled set, such as `("AU01", "AU04")`')
def check_company(pair, data: DatasetFolder) -> Verdict:
    """Exercise 3: the pair whose AUs favour each other most. The truth is counted in the data."""
    first, second = pair
    if unknown := [str(au)[:20] for au in pair if au not in data.aus]:
        return wrong(f"`{unknown[0]}` is not labelled here; {', '.join(data.aus)} are.")
    if first == second:
        return wrong("An AU is always there when it is there. Two different ones are wanted.")
    table = lifts(data).set_index(["given", "also"])
    mine, best = table.loc[(first, second)], table.iloc[0]
    if mine["lift"] >= best["lift"] * (1 - 1e-9):
        return right(
            f"With {first}, {second} is {mine['lift']:.1f} times as frequent as over all faces. A detector "
            "that sees one of them can guess the other, and where a domain pairs them differently, wrongly."
        )
    if mine["lift"] < 1:
        return wrong(f"These two avoid each other: with {first}, {second} is rarer than over all faces.")
    said = (
        f"With {first}, {second} is there in {100 * mine['rate']:.0f} % of faces, over all faces in "
        f"{100 * mine['base_rate']:.0f} %: {mine['lift']:.1f} times."
    )
    if mine["rate"] >= best["rate"] - 1e-9:
        return wrong(f"{said} It is frequent with everything. Compare with the base rate.")
    return wrong(f"{said} Another pair has more.")


@exercise('AUs with grades from 0 to 5, such as `{"AU12": 3, "AU06": 3}`')
def check_two_words(levels: dict[str, float]) -> Verdict:
    """Exercise 4: one face that has all AUs of two textbook lists."""
    if fault := acting.fault_of(levels):
        return wrong(fault)
    words = acting.lists_complete(levels)
    if pulled := acting.opposed_in(levels):
        a, b = pulled[0]
        return wrong(
            f"{au_label(a)} and {au_label(b)} pull the same tissue against each other: this renderer does "
            "not do both (real faces can, with one of them winning)."
        )
    if len(words) >= 2:
        return right(
            f"{acting.code(levels)} has all AUs of {' and of '.join(words)}. Nothing in the movements says "
            "which, or whether either was felt."
        )
    if len(acting.lists_complete(dict.fromkeys(levels, 5.0))) >= 2:
        weak = [au for au, level in levels.items() if level < 2]
        return wrong(f"The right ones, but {weak[0]} is too weak to count as present (from B, 2).")
    if words:
        return wrong(f"It has all AUs of one list, {words[0]}. Add those that a second list lacks.")
    return wrong("No list is complete. Read a column of the figure from top to bottom: all its large dots.")
