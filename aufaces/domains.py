"""The domains `studio` (a laboratory recording) and `wild` (everywhere else): how their faces are sampled.

Each face has its own random stream, seeded with (seed, domain, index): rendering order does not matter.
"""

from dataclasses import dataclass, replace

import numpy as np

from aufaces import actions, clutter
from aufaces.actions import AUS, Expression
from aufaces.people import sample_person
from aufaces.renderer import Face, FaceRenderer, Shot, composite

SHARES = {"train": 0.60, "val": 0.15, "test": 0.25}


@dataclass(frozen=True)
class Domain:
    """The parameters of a domain.

    code: part of every random seed. subjects: largest number of people. ages: anny's scale (1/3 child, 2/3
    young adult, 1 old). mix: shares of the kinds of expression. prototypes: their weights, in the order of
    actions.PROTOTYPES. strong: intensity range of active AUs. asymmetry: standard deviation of the relative
    left-right difference. hard: with pose, light, clutter and degradations of the wild. resting: how far
    people's faces at rest are from neutral, see `people.with_resting_face`. variants: shows
    actions.VARIANTS in place of the prototypes.
    """

    name: str
    code: int
    subjects: int
    ages: tuple[float, float]
    mix: dict[str, float]
    prototypes: tuple[float, ...]
    strong: tuple[float, float]
    asymmetry: float
    hard: bool
    resting: float = 0.0
    variants: bool = False


STUDIO = Domain(
    "studio", 1, 28, (0.62, 0.85),
    {"neutral": 0.12, "prototype": 0.40, "single": 0.20, "free": 0.28},
    (1, 1, 1, 1, 1, 1), (2.5, 5.0), 0.05, False,
)  # fmt: skip
WILD = Domain(
    "wild", 2, 400, (0.42, 1.0),
    {"neutral": 0.16, "prototype": 0.38, "single": 0.16, "free": 0.30},
    (3, 1.2, 1, 1, 1, 0.7), (2.3, 4.4), 0.10, True,
)  # fmt: skip
VARIED = replace(
    WILD, name="varied", code=3, subjects=1200, strong=(2.3, 5.0), resting=0.8, variants=True,
    mix={"neutral": 0.22, "prototype": 0.56, "single": 0.08, "free": 0.14},
    prototypes=(3, 1.2, 1.2, 1, 1.2, 0.7),
)  # fmt: skip
DOMAINS = {domain.name: domain for domain in (STUDIO, WILD, VARIED)}


@dataclass(frozen=True)
class Sample:
    """One face before rendering; `rng` continues its random stream for background, occluders and camera."""

    face: Face
    subject: int
    rng: np.random.Generator


def domain_called(name: str) -> Domain:
    if name not in DOMAINS:
        raise ValueError(f"unknown domain {name!r}; known: {', '.join(DOMAINS)}")
    return DOMAINS[name]


def number_of_subjects(domain: Domain, n: int) -> int:
    """Number of people in a set of n faces: one per eight faces, but at least four, for three splits."""
    return int(np.clip(n // 8, 4, domain.subjects))


def split_of_subjects(domain: Domain, seed: int, count: int) -> list[str]:
    """Split of each subject; no subject is in two splits and every split has at least one."""
    order = np.random.default_rng([seed, domain.code, 11]).permutation(count)
    val, test = max(1, round(SHARES["val"] * count)), max(1, round(SHARES["test"] * count))
    names = np.array(["train"] * count, dtype=object)
    names[order[:val]], names[order[val : val + test]] = "val", "test"
    return [str(name) for name in names]


def sample_face(domain: Domain, seed: int, index: int, n: int) -> Sample:
    """Face `index` of a set of n."""
    rng = np.random.default_rng([seed, domain.code, 1, index])
    # a person's faces are consecutive, since a new appearance is the slow part
    subject = index * number_of_subjects(domain, n) // n
    person = sample_person(domain.code * 10_000_019 + seed * 10_007 + subject, domain.ages, domain.resting)
    expression = _expression(domain, rng)
    shot = _wild_shot(rng) if domain.hard else _studio_shot(rng)
    return Sample(Face(person, expression, shot), subject, rng)


def _expression(domain: Domain, rng: np.random.Generator) -> Expression:
    weights = dict(zip(actions.PROTOTYPES, domain.prototypes, strict=True))
    level = actions.sample_intensities(rng, domain.mix, domain.strong, weights, domain.variants)
    tilt = rng.normal(0, domain.asymmetry, len(AUS)).clip(-0.3, 0.3)
    left, right = np.clip(level * (1 + tilt), 0, 5), np.clip(level * (1 - tilt), 0, 5)
    nuisance = []
    if rng.random() < 0.06:
        shut = float(rng.uniform(0.6, 1.0))
        nuisance += [("eyeBlinkLeft", shut), ("eyeBlinkRight", shut)]
    for chance, names, most in (
        (0.12, ("jawLeft", "jawRight"), 0.35),
        (0.10, ("mouthLeft", "mouthRight"), 0.35),
        (0.08, ("mouthPucker",), 0.35),
        (0.06, ("cheekPuff",), 0.4),
    ):
        if rng.random() < chance:
            nuisance.append((str(rng.choice(names)), float(rng.uniform(0.05, most))))
    spread = 0.16 if domain.hard else 0.06
    gaze = (_clipped(rng, spread, 0.4), _clipped(rng, spread * 0.6, 0.25))
    return Expression(tuple(map(float, left)), tuple(map(float, right)), gaze, tuple(nuisance))


def _clipped(rng: np.random.Generator, deviation: float, most: float) -> float:
    return float(np.clip(rng.normal(0, deviation), -most, most))


def _studio_shot(rng: np.random.Generator) -> Shot:
    """Nearly frontal, two soft white lights."""
    degrees = np.pi / 180
    level = float(rng.uniform(0.92, 1.08))
    base = Shot()
    return Shot(
        yaw=_clipped(rng, 4.5, 10) * degrees,
        pitch=_clipped(rng, 3, 8) * degrees,
        roll=_clipped(rng, 2.5, 7) * degrees,
        zoom=float(rng.uniform(0.66, 0.74)),
        shift=(float(rng.normal(0, 0.012)), 0.03 + float(rng.normal(0, 0.012))),
        key=tuple(level * np.array(base.key)),
        fill=tuple(level * np.array(base.fill)),
        shadow=0.3,
    )


def _wild_shot(rng: np.random.Generator) -> Shot:
    """Poses that a face detector still finds; one strong coloured light from any side, little other light."""
    degrees = np.pi / 180
    azimuth, height = rng.uniform(-95, 95) * degrees, rng.uniform(-40, 75) * degrees
    key_direction = (np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height))
    key = _tint(rng, 0.22) * rng.uniform(0.75, 1.4)
    ambient = _tint(rng, 0.18) * rng.uniform(0.08, 0.35)
    fill_side = -np.sign(azimuth) * rng.uniform(0.2, 1.0)
    return Shot(
        yaw=_clipped(rng, 17, 45) * degrees,
        pitch=_clipped(rng, 7, 20) * degrees,
        roll=_clipped(rng, 7, 25) * degrees,
        zoom=float(rng.uniform(0.60, 0.82)),
        shift=(float(rng.normal(0, 0.03)), 0.03 + float(rng.normal(0, 0.03))),
        distance=float(rng.uniform(7, 20)),
        key_direction=key_direction,
        key=tuple(key),
        fill_direction=(fill_side, float(rng.uniform(-0.2, 0.5)), 0.6),
        fill=tuple(_tint(rng, 0.2) * rng.uniform(0.0, 0.2)),
        rim_direction=(float(rng.choice([-0.8, 0.8])), 0.4, -0.6),
        rim=tuple(_tint(rng, 0.3) * rng.choice([0.0, rng.uniform(0.2, 0.7)])),
        sky=tuple(ambient * rng.uniform(0.9, 1.3)),
        ground=tuple(ambient * _tint(rng, 0.2) * rng.uniform(0.5, 0.9)),
        shadow=float(rng.uniform(0.5, 0.95)),
    )


def _tint(rng: np.random.Generator, spread: float) -> np.ndarray:
    """(3,) colour of mean 1: warm or cool, with a little green or magenta."""
    warm, green = rng.normal(0, spread), rng.normal(0, spread * 0.35)
    colour = np.exp(np.array([warm, green, -warm]))
    return colour / colour.mean()


def picture(domain: Domain, sample: Sample, renderer: FaceRenderer) -> tuple[np.ndarray, np.ndarray]:
    """The finished picture (S, S, 3) uint8 and its landmarks (68, 2)."""
    rendering = renderer.render_one(sample.face)
    size, rng = renderer.size, sample.rng
    if domain.hard:
        rgba = clutter.patchy_shade(rng, rendering.rgba)
        image = composite(rgba, clutter.cluttered_background(rng, size))
        image = clutter.occlude(rng, image, rendering, sample.face.person)
        image = clutter.degrade(rng, image)
    else:
        shade = np.array([0.42, 0.45, 0.48]) + 0.06 * rng.standard_normal()
        image = composite(rendering.rgba, shade.astype(np.float32))
        image = clutter.sensor_noise(rng, image, noise=1.2, quality=95)
    return image, rendering.landmarks
