"""A rendered person who does exactly the AUs asked for, looking straight ahead in even light.

Grades are intensities from 0 to 5, the letters A to E of FACS; nothing but the named AUs changes between two
pictures of a person, so a difference between them is the movement.
"""

from functools import lru_cache

import numpy as np
import pandas as pd

from aufaces.actions import AUS, OCCURS_AT, OPPOSED, PROTOTYPES, Expression
from aufaces.domains import STUDIO, sample_face
from aufaces.moved_regions import SurfaceMotion, region
from aufaces.renderer import Face, FaceRenderer, Shot
from aulib.labels import AU_NAMES

SIDE = 160  # pixels of a picture
PARTS = {"jaw": range(17), "brows": range(17, 27), "nose": range(27, 36), "eyes": range(36, 48),
         "mouth": range(48, 68)}  # fmt: skip
RIGHT_EYE_CORNER, LEFT_EYE_CORNER = 36, 45  # outer


def face_doing(levels: dict[str, float], person: int = 10) -> Face:
    """The parameters of a face. levels: AU -> grade, 0 where not named.  person: who, any number from 0."""
    somebody = sample_face(STUDIO, person, 0, 1).face.person
    return Face(somebody, Expression.of(**levels), Shot(zoom=0.86))


def act(levels: dict[str, float], person: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Picture (SIDE, SIDE, 3) uint8 and landmarks (68, 2) pixels."""
    pictures, landmarks = _renderer().render([face_doing(levels, person)])
    return pictures[0], landmarks[0]


def movement(levels: dict[str, float], person: int = 10) -> np.ndarray:
    """(68, 2) how far each landmark goes to the picture's right and up, in % of the eye distance."""
    _, rest = act({}, person)
    _, moved = act(levels, person)
    eyes = np.linalg.norm(rest[RIGHT_EYE_CORNER] - rest[LEFT_EYE_CORNER])
    return (moved - rest) * (100 / eyes) * (1, -1)


def movements(person: int = 10, grades: tuple[float, ...] = (2, 5)) -> pd.DataFrame:
    """The landmark each AU moves most: one row an AU and grade; part of the face, % of the eye distance."""
    rows = []
    for au in AUS:
        for grade in grades:
            far = np.linalg.norm(movement({au: grade}, person), axis=1)
            rows.append({"au": au, "grade": grade, "part": part_of(int(far.argmax())), "moved": far.max()})
    return pd.DataFrame(rows)


def part_of(landmark: int) -> str:
    return next(part for part, points in PARTS.items() if landmark in points)


@lru_cache(maxsize=8)
def moved_regions(person: int = 10) -> np.ndarray:
    """(16, SIDE, SIDE) bool: where each of AUS changes what is seen, by the renderer's own account."""
    unchanged = np.array([[1.0, 0, 0], [0, 1, 0]])
    return region(SurfaceMotion(SIDE)(face_doing({}, person), list(AUS), unchanged, SIDE))


def code(levels: dict[str, float]) -> str:
    """What a FACS coder would write: "AU06C + AU12D", or "AU00", FACS's code of a neutral face."""
    graded = [f"{au}{letter(level)}" for au, level in sorted(levels.items()) if letter(level)]
    return " + ".join(graded) or "AU00 (neutral)"


def letter(level: float) -> str:
    """The grade of FACS that an intensity reaches, A (1) to E (5); "" below A."""
    grade = int(level)
    return "ABCDE"[grade - 1] if grade else ""


def lists_complete(levels: dict[str, float]) -> list[str]:
    """The textbook lists (`actions.PROTOTYPES`) all of whose AUs are present."""
    present = {au for au, level in levels.items() if level >= OCCURS_AT}
    return [word for word, aus in PROTOTYPES.items() if present.issuperset(aus)]


def opposed_in(levels: dict[str, float]) -> list[tuple[str, str]]:
    """Pairs that pull the same tissue against each other and are both present."""
    present = {au for au, level in levels.items() if level >= OCCURS_AT}
    return [pair for pair in OPPOSED if present.issuperset(pair)]


def fault_of(levels) -> str:
    """What is wrong with somebody's AUs and grades, in words; "" if they can be acted."""
    if isinstance(levels, str):
        return (
            "That is one word. An AU is a movement: say which parts of the face move, and how strongly, "
            'as in `{"AU12": 3}`.'
        )
    if isinstance(levels, list | tuple | set):
        return 'How strongly? Give each AU a grade from 0 to 5, as in `{"AU12": 3}`.'
    if unknown := [au for au in levels if au not in AUS]:
        known = AU_NAMES.get(str(unknown[0]).upper())
        why = "is not rendered here" if known else 'is not how it is spelled: two digits, as in "AU01"'
        return f"`{str(unknown[0])[:20]}` {why}. The rendered ones are {', '.join(AUS)}."
    if beyond := [au for au, level in levels.items() if not 0 <= level <= 5]:
        return f"{beyond[0]} has the grade {levels[beyond[0]]}: grades go from 0 to 5 (A is 1, E is 5)."
    return "" if any(levels.values()) else "Nothing moves: every grade is 0."


@lru_cache(maxsize=1)
def _renderer() -> FaceRenderer:
    return FaceRenderer(SIDE)
