"""Rendered clips: people whose AUs, heads and places move, with exact labels of every frame (ours).

A clip is a camera that stands still. Light, background, occluders and the camera's faults are drawn once, as
for a single face of the domain; what changes from frame to frame is the people. Each shows one expression
after the other, neutral in between: the first with AU12, the others as the domain samples them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from aufaces import actions, clutter
from aufaces.actions import Expression
from aufaces.domains import Domain, domain_called, sample_face
from aufaces.renderer import Face, FaceRenderer, composite

REST, ONSET, APEX, OFFSET = 0.6, 0.4, 0.7, 0.5  # seconds of each part of an expression
SWAY = {"studio": 3.0, "wild": 9.0, "varied": 9.0}  # degrees by which heads turn about their pose
ZOOM = (0.62, 0.42)  # of one person and of two, over the zoom of a single face
GREY = (0.42, 0.45, 0.48)
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear red, green and blue (ITU-R BT.709)


@dataclass(frozen=True)
class Shown:
    """A person in a frame.

    landmarks: (68, 2) pixels of the frame. hidden: share of them that lie behind somebody else. covered:
    share of the face's pixels behind an occluder. yaw: degrees. light: degrees between the key light and the
    camera. skin: its luminance, 0 to 1.
    """

    expression: Expression
    landmarks: np.ndarray
    hidden: float
    covered: float
    yaw: float
    light: float
    skin: float


@dataclass(frozen=True)
class _Actor:
    """A person, and what each does when."""

    face: Face
    levels: np.ndarray  # (E, 16) intensity of each expression at its apex
    phase: np.ndarray  # (3,) of the sway of yaw, pitch and roll
    path: tuple[float, float]  # share of the frame's width from its middle, at the first and last frame


def render_clip(
    domain: str = "studio",
    seconds: float = 8.0,
    fps: float = 25.0,
    people: int = 1,
    seed: int = 0,
    size: int = 640,
) -> Iterator[tuple[np.ndarray, list[Shown]]]:
    """Frames (3/4 `size`, `size`, 3) uint8, each with its people. Two people cross: each goes to the other's
    place, and the first passes in front.

    Args:
        domain: studio, wild or varied.
        people: 1 or 2.
        size: width in pixels, a multiple of 8.

    Raises:
        ValueError: bad parameters.
    """
    chosen = domain_called(domain)
    if people not in (1, 2) or size < 64 or size % 8 or seconds <= 0 or fps <= 0:
        found = f"found people={people}, size={size}, seconds={seconds}, fps={fps}"
        raise ValueError(
            f"need 1 or 2 people, size a multiple of 8 from 64, seconds and fps above 0; {found}"
        )
    cast = [_actor(chosen, seed, number, people, seconds) for number in range(people)]
    renderer = FaceRenderer(size)
    frames = max(1, round(seconds * fps))
    for number in range(frames):
        yield _frame(chosen, seed, cast, renderer, number / fps, number / max(1, frames - 1))


def _actor(domain: Domain, seed: int, number: int, people: int, seconds: float) -> _Actor:
    rng = np.random.default_rng([seed, domain.code, 7, number])
    face = sample_face(domain, seed, number * 8, 8 * max(4, people)).face  # one person for each eight faces
    count = int(np.ceil(seconds / (REST + ONSET + APEX + OFFSET)))
    weights = dict(zip(actions.PROTOTYPES, domain.prototypes, strict=True))
    mix = {"prototype": 0.6, "single": 0.4}
    how = mix, domain.strong, weights, domain.variants
    levels = np.stack([actions.sample_intensities(rng, *how) for _ in range(count)])
    smile = Expression.of(AU06=rng.uniform(*domain.strong), AU12=rng.uniform(*domain.strong))
    levels[0] = smile.intensity
    levels[levels < 1] = 0  # what is quiet stays at rest, so that every onset is one of `levels`
    place = 0.24 * (2 * number - 1) if people == 2 else 0.0
    return _Actor(face, levels, rng.uniform(0, 2 * np.pi, 3), (place, -place))


def intensity_at(levels: np.ndarray, time: float) -> np.ndarray:
    """(16,) intensity at a time in seconds, of expressions (E, 16) one after the other."""
    which, into = divmod(time, REST + ONSET + APEX + OFFSET)
    moments = np.cumsum([0, REST, ONSET, APEX, OFFSET])
    share = np.interp(into, moments, [0, 0, 1, 1, 0])
    return levels[min(int(which), len(levels) - 1)] * (1 - np.cos(np.pi * share)) / 2


def _frame(
    domain: Domain, seed: int, cast: list[_Actor], renderer: FaceRenderer, time: float, progress: float
) -> tuple[np.ndarray, list[Shown]]:
    size, rng = renderer.size, np.random.default_rng([seed, domain.code, 8])  # the same for every frame
    if domain.hard:
        picture = clutter.cluttered_background(rng, size)
    else:
        picture = np.broadcast_to(np.float32(GREY), (size, size, 3))
    renderings = []
    for actor in reversed(cast):  # the first is drawn last, in front
        face = _moved(actor, domain, time, progress, len(cast))
        rendering = renderer.render_one(face)
        rgba = clutter.patchy_shade(rng, rendering.rgba) if domain.hard else rendering.rgba
        bare = image = composite(rgba, picture)
        if domain.hard:
            image = clutter.occlude(rng, bare, rendering, face.person)
        picture = image.astype(np.float32) / 255
        left, top = np.clip(rendering.landmarks.min(0), 0, size - 1).astype(int)
        right, bottom = np.clip(rendering.landmarks.max(0), 0, size - 1).astype(int) + 1
        changed = (image != bare).any(-1)[top:bottom, left:right]
        renderings.insert(0, (face, rendering, float(changed.mean()) if changed.size else 0.0))
    image = clutter.degrade(rng, image) if domain.hard else clutter.sensor_noise(rng, image, 1.2, 95)
    shown, in_front = [], np.zeros((size, size), bool)
    cut = size // 8  # rows above and below
    for face, rendering, covered in renderings:
        column, row = np.clip(rendering.landmarks.round().astype(int), 0, size - 1).T
        hidden = float(in_front[row, column].mean())
        points = rendering.landmarks - np.float32([0, cut])
        towards = np.array(face.shot.key_direction) / np.linalg.norm(face.shot.key_direction)
        light = float(np.degrees(np.arccos(np.clip(towards[2], -1, 1))))
        skin = float(np.dot(LUMINANCE, face.person.skin))
        yaw = float(np.degrees(face.shot.yaw))
        shown.append(Shown(face.expression, points, hidden, covered, yaw, light, skin))
        in_front |= rendering.rgba[..., 3] > 0.5
    return image[cut : size - cut], shown


def _moved(actor: _Actor, domain: Domain, time: float, progress: float, people: int) -> Face:
    levels = tuple(float(level) for level in intensity_at(actor.levels, time))
    sway = np.radians(SWAY[domain.name]) * np.sin(
        2 * np.pi * np.array([0.23, 0.31, 0.17]) * time + actor.phase
    )
    shot = actor.face.shot
    shot = replace(
        shot,
        yaw=shot.yaw + sway[0],
        pitch=shot.pitch + sway[1] / 2,
        roll=shot.roll + sway[2] / 2,
        zoom=shot.zoom * ZOOM[people - 1],
        shift=(shot.shift[0] + float(np.interp(progress, (0, 1), actor.path)), shot.shift[1]),
    )
    return Face(
        actor.face.person, replace(actor.face.expression, left=levels, right=levels, nuisance=()), shot
    )
