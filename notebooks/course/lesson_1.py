"""Lesson 1, What is an action unit?: faces that show chosen AUs, counts over labels, figures, exercises.

Levels are intensities from 0 to 5, the grades A to E of FACS. Between two pictures of one person nothing but
the named AUs changes, so a difference between them is the movement.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.datasets import label_statistics
from aubench.plots.style import (
    DOMAIN_COLOURS,
    au_label,
    face_grid,
    in_house_style,
    name_row,
    row_panels,
    show_face,
    write_on,
)
from aufaces.actions import AUS, OCCURS_AT, OPPOSED, PROTOTYPES, Expression
from aufaces.domains import STUDIO, sample_face
from aufaces.moved_regions import SurfaceMotion, region
from aufaces.renderer import Face, FaceRenderer, Shot
from aulib.dataset import DatasetFolder
from aulib.labels import binarise
from aulib.landmarks import LAYOUT_68
from exercises import Verdict, exercise, right, wrong

SIDE = 160  # pixels of a rendered picture
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 36, 45  # outer
CUTS = (1, 2, 3, 4, 5)
RISEN = 4.0  # % of the eye distance that both ends of the brows must rise in exercise 1
STILL = 1.0  # % of the eye distance that no other landmark may move
PRESENT, ABSENT, OUTLINE = "#0072B2", "#B8B8B8", "#F0E442"


# faces with chosen AUs


@lru_cache(maxsize=1)
def _renderer() -> FaceRenderer:
    return FaceRenderer(SIDE)


def face_with_aus(levels: dict[str, float], person: int = 10) -> Face:
    """A studio person (any number from 0), frontal, with these AUs; an AU not named is at 0."""
    return Face(sample_face(STUDIO, person, 0, 1).face.person, Expression.of(**levels), Shot(zoom=0.86))


def render(levels: dict[str, float], person: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Picture (SIDE, SIDE, 3) uint8 and landmarks (68, 2) pixels."""
    pictures, landmarks = _renderer().render([face_with_aus(levels, person)])
    return pictures[0], landmarks[0]


def movement(levels: dict[str, float], person: int = 10) -> np.ndarray:
    """(68, 2) shift of each landmark to the right and up, in % of the eye distance."""
    _, rest = render({}, person)
    _, moved = render(levels, person)
    eyes = np.linalg.norm(rest[RIGHT_EYE_CORNER] - rest[LEFT_EYE_CORNER])
    return (moved - rest) * (100 / eyes) * (1, -1)


def largest_movement(levels: dict[str, float], person: int = 10) -> tuple[str, float]:
    """Part of the face and shift (% of the eye distance) of the landmark that moves most."""
    shift = np.linalg.norm(movement(levels, person), axis=1)
    part = next(part for part, points in LAYOUT_68.parts.items() if int(shift.argmax()) in points)
    return part, float(shift.max())


def movements(person: int = 10, grades: tuple[float, ...] = (2, 5)) -> pd.DataFrame:
    """`largest_movement` of each AU at each grade: columns au, grade, part, moved."""
    rows = [(au, grade, *largest_movement({au: grade}, person)) for au in AUS for grade in grades]
    return pd.DataFrame(rows, columns=["au", "grade", "part", "moved"])


def letter(level: float) -> str:
    """The FACS grade that an intensity reaches, A (1) to E (5); "" below A."""
    return "ABCDE"[int(level) - 1] if level >= 1 else ""


def facs_code(levels: dict[str, float]) -> str:
    """What a FACS coder writes: "AU06C + AU12D", or "AU00" for a neutral face."""
    graded = [f"{au}{letter(level)}" for au, level in sorted(levels.items()) if letter(level)]
    return " + ".join(graded) or "AU00 (neutral)"


def complete_lists(levels: dict[str, float]) -> list[str]:
    """The textbook lists (`PROTOTYPES`) whose AUs are all present."""
    present = {au for au, level in levels.items() if level >= OCCURS_AT}
    return [word for word, aus in PROTOTYPES.items() if present.issuperset(aus)]


def opposed_pairs(levels: dict[str, float]) -> list[tuple[str, str]]:
    """Present pairs of AUs that pull the same tissue against each other."""
    present = {au for au, level in levels.items() if level >= OCCURS_AT}
    return [pair for pair in OPPOSED if present.issuperset(pair)]


# counts over labels


def rates_by_cut(domains: dict[str, DatasetFolder]) -> pd.DataFrame:
    """Mean base rate over AUs when presence begins at each grade: domain, at_least, base_rate.

    A set without intensity gives no rows.
    """
    rows = [
        (domain, cut, float(np.nanmean(binarise(data.intensity, at_least=cut))))
        for domain, data in domains.items()
        if data.intensity_aus
        for cut in CUTS
    ]
    return pd.DataFrame(rows, columns=["domain", "at_least", "base_rate"])


def lifts(data: DatasetFolder) -> pd.DataFrame:
    """How many times its base rate an AU (`also`) has where another (`given`) is present; highest first."""
    table = label_statistics.cooccurrence(data)
    rates = label_statistics.base_rates({"": data}).set_index("au")["base_rate"]
    table["base_rate"] = table["also"].map(rates)
    table["lift"] = table["rate"] / table["base_rate"]
    return table[table["given"] != table["also"]].sort_values("lift", ascending=False, ignore_index=True)


def lists_met(data: DatasetFolder) -> pd.DataFrame:
    """Of each textbook list: faces with any of its AUs, with all of them, and their ratio `complete`.

    `complete` is NaN where the set does not label all AUs of the list, or none of them is ever present.
    """
    present, rows = data.occurrence == 1, []
    for word, aus in PROTOTYPES.items():
        of_list = present[:, [data.aus.index(au) for au in aus if au in data.aus]]
        some = int(of_list.any(1).sum())
        every = int(of_list.all(1).sum()) if of_list.shape[1] == len(aus) else np.nan
        rows.append({"word": word, "some": some, "all": every, "complete": every / some if some else np.nan})
    return pd.DataFrame(rows)


# exercises


def _fault_of(levels) -> str:
    """Why these AUs and levels cannot be rendered; "" if they can."""
    if not isinstance(levels, dict):
        return 'Give each AU a grade from 0 to 5, as in `{"AU12": 3}`.'
    if unknown := [str(au)[:20] for au in levels if au not in AUS]:
        return f"`{unknown[0]}` is not rendered; choose from {', '.join(AUS)}."
    if beyond := [au for au, level in levels.items() if not 0 <= level <= 5]:
        return f"{beyond[0]} has the grade {levels[beyond[0]]}; use 0 to 5 (A is 1, E is 5)."
    return "" if any(levels.values()) else "Nothing moves: every grade is 0."


@exercise('AUs with grades from 0 to 5, such as `{"AU12": 3}`')
def check_brows(levels: dict[str, float], person: int = 10) -> Verdict:
    """Exercise 1: both ends of the brows rise and nothing else moves; the face is rendered and measured."""
    if fault := _fault_of(levels):
        return wrong(fault)
    if levels.get("AU04"):
        return wrong("AU04 pulls the brows down and together. Leave it out.")
    for au in (au for au in levels if au not in ("AU01", "AU02")):
        part, shift = largest_movement({au: levels[au]}, person)
        if shift > STILL:
            return wrong(f"{au_label(au)} moves the {part}; only the brows should move.")
    rise = movement(levels, person)[:, 1]
    ends = {"inner": rise[[21, 22]].min(), "outer": rise[[17, 26]].min()}
    low = [end for end, risen in ends.items() if risen < RISEN]
    if len(low) == 2:
        return wrong(f"The brows rise by less than {RISEN:.0f} % of the eye distance at both ends.")
    if low:
        advice = f"find the AU of the {low[0]} ends, or raise its grade"
        return wrong(f"The {low[0]} ends rise by only {ends[low[0]]:.1f} % of the eye distance: {advice}.")
    return right("One muscle raises both ends, but its parts can move separately: hence two AUs.")


@exercise("a function of an array of intensities, NaN where not annotated, that returns occurrence")
def check_cut(answer, data: DatasetFolder | None = None, at_least: float = 3) -> Verdict:
    """Exercise 2: occurrence at another cut; the answer is called."""
    if not callable(answer):
        return wrong("Write a function: `def answer_2(intensity): ...` returns an array of the same shape.")
    intensity = np.array([[0.0, 1.0, 2.0, at_least - 0.1], [at_least, 4.0, 5.0, np.nan]], np.float32)
    found, wanted = np.asarray(answer(intensity.copy()), float), binarise(intensity, at_least)
    if found.shape != wanted.shape:
        return wrong(f"Intensities have shape {wanted.shape}, your occurrence has shape {found.shape}.")
    if not np.isnan(found[1, 3]):
        return wrong("Not annotated is not absent: where intensity is NaN, occurrence must be NaN too.")
    if np.isnan(found).sum() > 1:
        return wrong("Some annotated labels became NaN.")
    if not np.isin(found[~np.isnan(found)], (0, 1)).all():
        return wrong("Occurrence is 1 (present), 0 (absent) or NaN (not annotated).")
    if found[1, 0] == 0 and found[1, 1] == 1:
        return wrong(f"Exactly {at_least:g} should be present: use `>=`.")
    if found[0, 2] == 1 and found[0, 1] == 0:
        return wrong("This still cuts at 2.")
    if not np.array_equal(found, wanted, equal_nan=True):
        return wrong(f"{intensity.tolist()} became {found.tolist()}.")
    if data is None or not data.intensity_aus:
        return right("It needs intensity: occurrence cannot be cut again.")
    before, after = (np.nansum(binarise(data.intensity, cut)) for cut in (2, at_least))
    return right(f"The new cut removes {1 - after / before:.0%} of the occurrences of the same faces.")


@exercise('two AUs of the labelled set, such as `("AU01", "AU04")`')
def check_lift(pair, data: DatasetFolder) -> Verdict:
    """Exercise 3: the pair of AUs with the highest lift; counted in the data."""
    first, second = pair
    if unknown := [str(au)[:20] for au in pair if au not in data.aus]:
        return wrong(f"`{unknown[0]}` is not labelled here; choose from {', '.join(data.aus)}.")
    if first == second:
        return wrong("Choose two different AUs.")
    table = lifts(data).set_index(["given", "also"])
    mine, best = table.loc[(first, second)], table.iloc[0]
    if mine["lift"] >= best["lift"] * (1 - 1e-9):
        return right(f"With {first}, {second} is {mine['lift']:.1f} times as frequent as over all faces.")
    if mine["lift"] < 1:
        return wrong(f"These two avoid each other: with {first}, {second} is rarer than over all faces.")
    if mine["rate"] >= best["rate"] - 1e-9:
        return wrong(f"{second} is frequent with every AU. Compare the rate with its base rate.")
    return wrong(f"The lift of this pair is {mine['lift']:.1f}; another pair has more.")


@exercise('AUs with grades from 0 to 5, such as `{"AU12": 3, "AU06": 3}`')
def check_two_words(levels: dict[str, float]) -> Verdict:
    """Exercise 4: one face that has all AUs of two textbook lists."""
    if fault := _fault_of(levels):
        return wrong(fault)
    if pulled := opposed_pairs(levels):
        return wrong(f"{' and '.join(pulled[0])} pull against each other, so the renderer does not do both.")
    words = complete_lists(levels)
    if len(words) >= 2:
        return right(f"{facs_code(levels)} has all AUs of {' and of '.join(words)}; none need be felt.")
    if len(complete_lists(dict.fromkeys(levels, 5.0))) >= 2:
        weak = next(au for au, level in levels.items() if level < OCCURS_AT)
        return wrong(f"These are the right AUs, but {weak} is too weak to count as present (from B, 2).")
    if words:
        return wrong(f"One list is complete, {words[0]}. Add the AUs that a second list lacks.")
    return wrong("No list is complete. Read one column of the figure: you need all its large dots.")


# figures


@in_house_style
def draw_atlas(person: int = 10) -> Figure:
    """The face at rest, then every AU alone at grade E, outlined where it changes the face."""
    figure, axes = face_grid(3, 6, side=1.28)
    unchanged = np.array([[1.0, 0, 0], [0, 1, 0]])
    regions = region(SurfaceMotion(SIDE)(face_with_aus({}, person), list(AUS), unchanged, SIDE))
    show_face(axes.flat[0], render({}, person)[0])
    write_on(axes.flat[0], "at rest")
    for axis, au, changed in zip(axes.flat[1:], AUS, regions, strict=False):
        show_face(axis, render({au: 5.0}, person)[0])
        axis.contour(changed, levels=[0.5], colors=OUTLINE, linewidths=0.8)
        write_on(axis, au_label(au))
    return figure


@in_house_style
def draw_grades(au: str, person: int = 10) -> Figure:
    """One AU from 0 to grade E; below each face, whether it counts as present under three cuts."""
    levels = np.arange(0, 5.01, 0.5)
    figure, axes = face_grid(2, len(levels), side=0.72, left=1.25, top=0.1)
    for (face, dots), level in zip(axes.T, levels, strict=True):
        show_face(face, render({au: float(level)}, person)[0])
        write_on(face, f"{level:.1f} {letter(level)}".rstrip())
        for cut in (1, 2, 3):
            fill, edge = (PRESENT, PRESENT) if level >= cut else ("white", ABSENT)
            dots.scatter(0, 1 - cut, s=46, facecolor=fill, edgecolor=edge, linewidth=1.2)
        dots.set(xlim=(-1, 1), ylim=(-2.7, 0.7))
    name_row(axes[0, 0], f"{au_label(au)}\nintensity and grade".replace(" ", "\n", 1))
    for cut in (1, 2, 3):
        label = f"present from {letter(cut)} ({cut})"
        axes[1, 0].text(-1.1, 1 - cut, label, ha="right", va="center", fontsize=7.5)
    return figure


@in_house_style
def draw_movements(table: pd.DataFrame, detector_error: float) -> Figure:
    """The largest movement of each AU at two grades (`movements`), and the error of a detector."""
    low, high = (part.set_index("au") for _, part in table.groupby("grade"))
    figure, (axis,) = row_panels([au_label(au) for au in low.index], width=6.2)
    places = np.arange(len(low))
    axis.hlines(places, low["moved"], high["moved"], color=ABSENT, linewidth=1.4)
    for rows, fill in ((low, "white"), (high, PRESENT)):
        label = f"at grade {letter(rows['grade'].iloc[0])}"
        axis.scatter(rows["moved"], places, s=26, facecolor=fill, edgecolor=PRESENT, label=label, zorder=3)
    for place, row in zip(places, high.itertuples(), strict=True):
        axis.text(row.moved + 0.5, place, row.part, va="center", fontsize=7, color="#555555")
    axis.axvline(detector_error, color="black", linestyle="--", linewidth=0.9, label="error of a detector")
    axis.set_xlim(0, high["moved"].max() * 1.15)
    axis.set_xlabel("largest movement of a landmark (% of the eye distance)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@in_house_style
def draw_cuts(table: pd.DataFrame) -> Figure:
    """Mean base rate over AUs against the grade at which presence begins (`rates_by_cut`)."""
    figure = Figure(figsize=(4.2, 2.5), layout="constrained")
    axis = figure.subplots()
    for (domain, rows), marker in zip(table.groupby("domain", sort=False), "os", strict=False):
        colour = DOMAIN_COLOURS[domain]
        axis.plot(rows["at_least"], 100 * rows["base_rate"], marker=marker, color=colour, label=domain)
    axis.set_xticks(CUTS, [f"{letter(cut)} ({cut})" for cut in CUTS])
    axis.set_ylim(bottom=0)
    axis.set_xlabel("an AU counts as present from grade")
    axis.set_ylabel("mean base rate (% of faces)")
    if len(table):
        axis.legend(loc="lower left")
    return figure


@in_house_style
def draw_lists(table: pd.DataFrame) -> Figure:
    """Which AUs belong to which textbook list; below, how often a face with any AU has all (`lists_met`)."""
    aus = [au for au in AUS if any(au in listed for listed in PROTOTYPES.values())]
    figure = Figure(figsize=(5.6, 5.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.6, 1])
    for column, word in enumerate(table["word"]):
        listed = [au in PROTOTYPES[word] for au in aus]
        sizes, colours = np.where(listed, 42, 5), np.where(listed, PRESENT, ABSENT)
        above.scatter([column] * len(aus), range(len(aus)), s=sizes, color=colours)
    above.set_yticks(range(len(aus)), [au_label(au) for au in aus])
    above.invert_yaxis()
    above.set_title("which AUs a textbook lists under a word")
    bars = below.bar(table["word"], 100 * table["complete"].fillna(0), width=0.6, color=PRESENT)
    below.bar_label(bars, [f"{100 * x:.0f}" if x == x else "not\nlabelled" for x in table["complete"]])
    below.set_ylim(0, 105)
    below.set_ylabel("have all of them\n(% of faces with any)")
    return figure
