"""Lesson 8: the checks of its exercises, and the numbers they ask about."""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import PurePosixPath

import numpy as np

from aubench.datasets.photographs import subjects_of
from aufaces.people import Person, sample_person, skin_tone
from equal_heads import AGES, Read, shares
from exercises import Verdict, exercise, number, right, wrong

LIMIT = 0.10  # alarms that exercise 4 allows
PICTURES = ("anna1.jpg", "anna2.jpg", "ben1.jpg", "ben2.jpg", "carla1.jpg")  # of exercise 1


def rates(read: Read) -> tuple[float, float]:
    """Hits and alarms on the heads compared with, over AUs and runs, kept within [0.01, 0.99]."""
    table = shares(read)
    own = table[table["factor"] == ""][["hits", "alarms"]].mean().clip(0.01, 0.99)
    return float(own["hits"]), float(own["alarms"])


def by_age(read: Read, present: bool) -> dict[float, np.ndarray]:
    """Probabilities at each age of the AUs that are present (or absent), all runs and AUs in one array."""
    wanted = read.occurrence == float(present)
    return {age: read.probability[:, read.at("age", age)[:, None] & wanted].ravel() for age in AGES}


@exercise('a list of five paths, such as ["album/anna1.jpg", "album/anna2.jpg", ...]')
def check_folders(answer: list[str]) -> Verdict:
    """Where pictures lie decides who is taken for one person."""
    paths = [str(PurePosixPath(path)) for path in answer]
    if isinstance(answer, (str, dict)) or not all(isinstance(path, str) for path in answer):
        raise TypeError("expected a list of paths")
    if any(path.startswith("/") or ".." in PurePosixPath(path).parts for path in paths):
        return wrong("Paths are relative to the folder of photographs: no leading slash, no `..`.")
    if sorted(PurePosixPath(path).name for path in paths) != sorted(PICTURES):
        return wrong(f"Each of {', '.join(PICTURES)} once; only their folders are yours to choose.")
    subjects = subjects_of(paths)
    owners: dict[str, set[str]] = {}
    for path, subject in zip(paths, subjects, strict=True):
        owners.setdefault(re.sub(r"\d+\.jpg$", "", PurePosixPath(path).name), set()).add(subject)
    cut = [person for person, names in owners.items() if len(names) > 1]
    if cut and len(set(subjects)) == len(PICTURES):
        return wrong(
            "Pictures directly in the folder that all share count as a person each: Anna would be trained on "
            "*and* tested on. A folder in between is needed."
        )
    if cut:
        return wrong(
            f"{' and '.join(cut)} would count as two people: the folder "
            f"just below what all pictures share is "
            "taken for the person, not the occasion or the year."
        )
    if len(set(subjects)) < len(owners):
        return wrong(f"`prepare` would find {len(set(subjects))} people here: some share a folder.")
    return right("Three people, each in one split. No face of the test is then known from training.")


@exercise(
    "a function of a Person and a melanin that returns a Person, such as lambda person, melanin: person"
)
def check_same_person(answer: Callable[[Person, float], Person]) -> Verdict:
    """Another tone, and nothing else."""
    for who, melanin in ((3, 0.9), (8, 0.1), (21, 0.6)):
        before = sample_person(who, (0.62, 0.85))
        after = answer(before, melanin)
        if not isinstance(after, Person):
            raise TypeError(f"expected a Person, found {type(after).__name__}")
        changed = {
            one.name for one in fields(Person) if getattr(before, one.name) != getattr(after, one.name)
        }
        if not changed:
            return wrong("Nothing changes: the person that comes out is the one that went in.")
        if changed & {"seed", "changes", "gender"}:
            return wrong("That is another person: head and features changed as well. Start from `person`.")
        if "ancestry" in changed:
            return wrong(
                "`ancestry` forms the head: bones would change with the tone, and who knows which mattered?"
            )
        if more := changed - {"skin", "lips"}:
            return wrong(f"More than the tone changes: {', '.join(sorted(more))}.")
        if not np.allclose(after.skin, skin_tone(melanin), atol=1e-6):
            return wrong("`skin` is not `skin_tone(melanin)` of the melanin that was asked for.")
        kept = np.clip(np.array(before.lips) / before.skin * after.skin, 0.02, 1)
        if "lips" not in changed:
            return wrong(
                "The lips keep the colour that went with the old skin: on "
                "another tone they would be a lipstick "
                "or a pallor, and a mouth that is easier or harder to see."
            )
        if np.allclose(after.lips, after.skin, atol=1e-6):
            return wrong("Lips in the very colour of the skin: the mouth loses its outline at every tone.")
        if not np.allclose(after.lips, kept, rtol=0.02, atol=1e-3):
            return wrong(
                "The ratio of lips to skin should stay what it is for this person, channel by channel."
            )
    return right(
        "Only the tone differs. That is the whole art: what is not held "
        "equal can be the cause. (Hair and brows "
        "stay too, which is why the lesson gives every head black ones.)"
    )


@exercise("a share between 0 and 1, such as 0.3")
def check_wrong_alarms(answer: float, hits: float, alarms: float, base_rate: float) -> Verdict:
    """What part of those flagged are flagged wrongly, where the AU is rare."""
    said, flagged = number(answer), base_rate * hits + (1 - base_rate) * alarms
    truth = (1 - base_rate) * alarms / flagged
    if abs(said - truth) < 0.005:
        return right(
            f"{100 * truth:.0f} of 100 that it flags do not do it. The "
            f"detector did not get worse: the movement "
            "got rare. And a person behind each flag would have to explain their face."
        )
    for mistake, hint in (
        (1 - truth, "That is the share flagged *rightly*."),
        (
            alarms,
            "That is the share of those *without* the AU that are flagged. Asked is a share of the flagged.",
        ),
        (1 - hits, "That is the share it misses. Nobody is flagged there."),
        (alarms / (alarms + hits), "So it would be if half of the people did it: the base rate is missing."),
        (
            (1 - base_rate) * alarms,
            "A share of all people. Divide by all who are flagged, rightly or wrongly.",
        ),
        (100 * truth, "A share between 0 and 1, not per cent."),
    ):
        if abs(said - mistake) < 0.005 * max(1, abs(mistake)):
            return wrong(hint)
    if not 0 <= said <= 1:
        return wrong("A share lies between 0 and 1.")
    return wrong("Of 10,000 people: how many do it and are flagged, how many do not and are flagged?")


@exercise("a threshold for each age, such as {0.45: 0.5, 0.67: 0.5, 0.85: 0.5, 1.0: 0.5}")
def check_thresholds(answer: dict[float, float], absent: dict, present: dict) -> Verdict:
    """Thresholds that give every age the same alarms, none of them higher than needed."""
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        return wrong("One threshold for all is what there was. Give each age its own, in a dictionary.")
    if not isinstance(answer, dict):
        raise TypeError("expected a dictionary")
    if missing := sorted(set(absent) - set(answer)):
        return wrong(f"No threshold for age {', '.join(map(str, missing))}.")
    limits = {age: float(answer[age]) for age in absent}
    if not all(np.isfinite(limit) for limit in limits.values()):
        return wrong("A threshold is a number between 0 and 1.")
    shared = {age: float((absent[age] >= limit).mean()) for age, limit in limits.items()}
    for age, share in shared.items():
        if share > LIMIT + 1 / len(absent[age]):
            same = " The same threshold for all does not do." if len(set(limits.values())) == 1 else ""
            return wrong(f"At age {age:g}, {100 * share:.0f} % of absent AUs are raised: too many.{same}")
    for age, share in shared.items():
        below = absent[age][absent[age] < limits[age]]
        spare = share < LIMIT - max(0.02, 2 / len(absent[age]))
        if spare and len(below) and (absent[age] >= below.max()).mean() <= LIMIT:
            nothing = not (present[age] >= limits[age]).any()
            return wrong(
                f"At age {age:g} nothing is raised at all: no alarms, and no hits."
                if nothing
                else f"At age {age:g} only {100 * share:.0f} % are raised "
                f"wrongly: lower it, hits are given away."
            )
    hits = {age: 100 * float((present[age] >= limits[age]).mean()) for age in absent}
    told = ", ".join(f"{hit:.0f} % at {age:g}" for age, hit in hits.items())
    apart = max(hits.values()) - min(hits.values()) >= 2
    then = "Both can hardly be levelled at once" if apart else "So few steps see little at any age"
    return right(
        f"Alarms are level, about {100 * LIMIT:.0f} %. Hits are {'not' if apart else 'as well, this time'}: "
        f"{told}. {then}, and somebody must know everybody's age to choose the threshold: one more thing "
        "read off a face."
    )
