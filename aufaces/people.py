"""Identities: what makes a person and how people are sampled."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from aufaces.actions import AU_SHAPES, sides_of
from aufaces.painting import FOLDS

Colour = tuple[float, float, float]

# Local changes of the face, each sampled around zero: (shape for positive, shape for negative values).
LOCAL_CHANGES = [
    (f"{stem}-{up}", f"{stem}-{down}")
    for stem, up, down in (
        *((f"{side}-cheek-{kind}", "incr", "decr") for side in "lr" for kind in ("bones", "inner", "volume")),
        *((f"chin-{kind}", "incr", "decr") for kind in ("bones", "height", "jaw-drop", "prominent", "width")),
        *((f"{side}-eye-{kind}", "incr", "decr") for side in "lr" for kind in ("bag", "height2", "scale")),
        *((f"{side}-eye-trans", "out", "in") for side in "lr"),
        *((f"{side}-eye-corner2", "up", "down") for side in "lr"),
        ("eyebrows-trans", "forward", "backward"),
        ("eyebrows-angle", "up", "down"),
        ("forehead-scale-vert", "incr", "decr"),
        ("forehead-trans", "forward", "backward"),
        ("head-fat", "incr", "decr"),
        ("head-scale-horiz", "incr", "decr"),
        ("head-scale-vert", "incr", "decr"),
        ("mouth-scale-horiz", "incr", "decr"),
        ("mouth-lowerlip-volume", "incr", "decr"),
        ("mouth-upperlip-volume", "incr", "decr"),
        ("mouth-trans", "up", "down"),
        ("nose-scale-depth", "incr", "decr"),
        ("nose-scale-horiz", "incr", "decr"),
        ("nose-scale-vert", "incr", "decr"),
        ("nose-curve", "concave", "convex"),
        ("nose-point", "up", "down"),
        ("nose-volume", "incr", "decr"),
        ("nose-base", "up", "down"),
    )
]
# AUs by which resting faces differ; not those of open mouths.
RESTING_AUS = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU12", "AU15", "AU17", "AU20", "AU24",
)  # fmt: skip
HEAD_FORMS = ("head-oval", "head-round", "head-square", "head-rectangular", "head-diamond", "head-triangular")


@dataclass(frozen=True)
class Person:
    """An identity. Colours are linear RGB albedo; age 1/3 child, 2/3 young adult, 1 old; gender 0 male, 1
    female."""

    gender: float = 0.5
    age: float = 0.67
    muscle: float = 0.5
    weight: float = 0.5
    ancestry: tuple[float, float, float] = (0.33, 0.33, 0.34)
    changes: tuple[tuple[str, float], ...] = ()
    skin: Colour = (0.56, 0.36, 0.26)
    lips: Colour = (0.42, 0.18, 0.16)
    hair: Colour = (0.05, 0.03, 0.02)
    brow: Colour = (0.05, 0.03, 0.02)
    cloth: Colour = (0.10, 0.12, 0.20)
    iris: Colour = (0.14, 0.08, 0.04)
    teeth: Colour = (0.74, 0.70, 0.62)
    gloss: float = 0.16
    pupil: float = 0.17
    iris_size: float = 0.44
    strands: float = 22.0
    brow_thickness: float = 0.034
    brow_arch: float = 0.0
    brow_density: float = 0.75
    lashes: float = 0.8
    beard: float = 0.0
    hair_length: float = 0.5  # 0 bald, 0.1 cropped, 1 full
    hair_line: float = 0.0  # decimetres up
    freckles: float = 0.0
    flush: float = 0.6
    folds: float = 1.0  # how deeply expressions fold this skin
    lines: tuple[tuple[str, float], ...] = ()  # folds of these AUs that are there at rest, of full depth
    collar: float = -1.5
    seed: int = 0


def skin_tone(melanin: float, warmth: float = 0.0) -> Colour:
    """Linear albedo of skin; melanin 0 (very light) .. 1 (very dark), interpolated in log space (ours)."""
    anchors = np.log(
        [[0.84, 0.60, 0.49], [0.66, 0.42, 0.30], [0.42, 0.23, 0.14], [0.20, 0.10, 0.06], [0.10, 0.05, 0.032]]
    )
    place = float(np.clip(melanin, 0, 1)) * (len(anchors) - 1)
    low = min(int(place), len(anchors) - 2)
    tone = np.exp(anchors[low] + (anchors[low + 1] - anchors[low]) * (place - low))
    tone = tone * np.array([1 + 0.05 * warmth, 1.0, 1 - 0.10 * warmth])
    return tuple(float(v) for v in tone)


HAIR_COLOURS = {
    "black": (0.012, 0.010, 0.009), "dark brown": (0.035, 0.020, 0.012), "brown": (0.09, 0.048, 0.025),
    "light brown": (0.17, 0.10, 0.055), "blond": (0.36, 0.25, 0.13),
    "red": (0.22, 0.07, 0.025), "grey": (0.32, 0.31, 0.30), "white": (0.62, 0.61, 0.59),
}  # fmt: skip
IRIS_COLOURS = (
    (0.10, 0.05, 0.02), (0.16, 0.09, 0.04), (0.06, 0.03, 0.015),
    (0.14, 0.22, 0.34), (0.12, 0.17, 0.09), (0.20, 0.24, 0.26),
)  # fmt: skip


@lru_cache(maxsize=64)
def sample_person(seed: int, ages: tuple[float, float], resting: float = 0.0) -> Person:
    """A random identity; equal seeds give equal people.

    Args:
        resting: how far faces at rest are from neutral, see `with_resting_face`.
    """
    person = _sample_person(seed, ages)
    return with_resting_face(person, resting) if resting else person


def with_resting_face(person: Person, spread: float) -> Person:
    """The person with brows, lids, lips and chin that lie at rest as if AUs were slightly there, or slightly
    less than not there, and with lines of the skin where AUs fold it (ours).

    Args:
        spread: standard deviation of each AU's offset, on the scale of intensities (0-5).
    """
    rng = np.random.default_rng([person.seed, 2025])
    offsets = dict(zip(RESTING_AUS, np.clip(rng.normal(0, spread, len(RESTING_AUS)), -2, 2), strict=True))
    changes = [
        (name.replace("L/R", side), float(strength * offset / 5))
        for au, offset in offsets.items()
        for name, strength in AU_SHAPES[au].items()
        for side in (sides_of(name) if "L/R" in name else [""])
        if not name.startswith("field-")
    ]
    lines = tuple((au, float(rng.uniform(0.1, 0.8))) for au in FOLDS if rng.random() < spread / 3)
    return replace(person, changes=(*person.changes, *changes), lines=lines)


def _sample_person(seed: int, ages: tuple[float, float]) -> Person:
    rng = np.random.default_rng([seed, 2024])
    ancestry = tuple(float(v) for v in rng.dirichlet([0.45, 0.45, 0.45]))
    gender = float(rng.random() < 0.5) * 0.8 + rng.uniform(0, 0.2)
    male = gender < 0.5
    age = float(rng.uniform(*ages))
    changes = []
    spread = {"eye": 0.22, "nose": 0.32, "mout": 0.28, "chin": 0.35, "head": 0.25, "fore": 0.3, "eyeb": 0.3}
    drawn: dict[str, float] = {}
    for up, down in LOCAL_CHANGES:
        paired = up[2:] if up[:2] in ("l-", "r-") else up
        if paired not in drawn:
            key = paired.split("-")[0][:4].strip("-")
            drawn[paired] = float(np.clip(rng.normal(0, spread.get(key, 0.25)), -0.7, 0.7))
        value = drawn[paired] + (float(rng.normal(0, 0.05)) if up[:2] in ("l-", "r-") else 0.0)
        changes.append((up if value > 0 else down, abs(value)))
    changes.append((str(rng.choice(HEAD_FORMS)), float(rng.uniform(0, 0.5))))
    african, asian, caucasian = ancestry
    melanin = float(np.clip(0.80 * african + 0.30 * asian + 0.12 * caucasian + rng.normal(0, 0.1), 0, 1))
    skin = np.array(skin_tone(melanin, float(rng.normal(0, 0.8))))
    adult = age > 0.55
    dark_hair = african + asian > 0.6
    palette = ["black", "dark brown"]
    if not dark_hair:
        palette = ["dark brown", "brown", "light brown", "blond", "red", "black"]
    hair = HAIR_COLOURS[str(rng.choice(palette))]
    if age > 0.82 and rng.random() < 0.75:
        hair = HAIR_COLOURS[str(rng.choice(["grey", "white", "grey"]))]
    brow = np.array(hair) * (0.75 if max(hair) < 0.3 else 0.55)
    iris = IRIS_COLOURS[int(rng.integers(3 if dark_hair else len(IRIS_COLOURS)))]
    lip_tint = np.array([0.86, 0.55, 0.56]) + rng.normal(0, 0.04, 3)
    if not male and adult and rng.random() < 0.35:
        lip_tint = lip_tint * np.array([0.95, 0.72, 0.76])
    bald = male and adult and rng.random() < 0.15 + 0.3 * (age > 0.85)
    return Person(
        gender=gender,
        age=age,
        muscle=float(rng.uniform(0.3, 0.7)),
        weight=float(np.clip(rng.normal(0.5, 0.18), 0.1, 1)),
        ancestry=ancestry,
        changes=tuple(changes),
        skin=tuple(skin),
        lips=tuple(np.clip(skin * lip_tint, 0.02, 1)),
        hair=hair,
        brow=tuple(np.minimum(brow, skin * 0.75)),
        cloth=tuple(rng.uniform(0.02, 0.6, 3)),
        iris=iris,
        teeth=tuple(np.array([0.80, 0.77, 0.70]) * rng.uniform(0.75, 1.0)),
        gloss=float(rng.uniform(0.08, 0.26)),
        pupil=float(rng.uniform(0.13, 0.22)),
        iris_size=float(rng.uniform(0.41, 0.46)),
        strands=float(rng.uniform(14, 30)),
        brow_thickness=float(rng.uniform(0.028, 0.044) if male else rng.uniform(0.020, 0.034)),
        brow_arch=float(rng.uniform(-0.008, 0.012) if male else rng.uniform(0.0, 0.022)),
        brow_density=float(rng.uniform(0.65, 0.95)),
        lashes=float(rng.uniform(0.5, 0.75) if male else rng.uniform(0.65, 1.0)),
        beard=float(rng.choice([0.0, rng.uniform(0.1, 0.35), rng.uniform(0.5, 0.9)], p=[0.5, 0.3, 0.2]))
        * (male and adult),
        hair_length=0.0 if bald else float(rng.uniform(0.05, 0.8) if male else rng.uniform(0.4, 1.0)),
        hair_line=float(rng.normal(0, 0.05)) + 0.12 * max(0.0, age - 0.7) * male,
        freckles=float(max(0.0, rng.normal(0.0, 0.5)) * (melanin < 0.35)),
        flush=float(rng.uniform(0.3, 1.0) * (1 - 0.5 * melanin)),
        folds=float(rng.uniform(0.75, 1.05) + 0.25 * max(0.0, age - 0.67)),
        collar=float(rng.uniform(-1.65, -1.4)),
        seed=int(seed),
    )
