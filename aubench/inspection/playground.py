"""A rendered face and a run's reading of it: controls -> picture -> reading. No widgets here.

A rendered face is cropped by its true landmarks, as in the sets that runs are trained on; a photograph by the
detector's. The run sees pixels only.
"""

import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from aubench.inference.predict import to_picture
from aubench.inspection.shown_faces import kept_faces
from aufaces.actions import AUS, OCCURS_AT, Expression
from aufaces.domains import Sample, domain_called, picture, sample_face
from aufaces.renderer import FaceRenderer
from aulib.batches import centre_crop
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.model import cells_to_pixels, expected_cells
from aulib.run import WEIGHTS, Run

PICTURE_SIZE = 128  # pixels; what `synthetic:studio` and `synthetic:wild` are rendered at
BRIGHT = 0.995  # quantile of an AU's evidence over a run's own faces that is drawn at full strength


@dataclass(frozen=True)
class Controls:
    """Everything that can be changed about a rendered face.

    intensity: (16,) of aufaces.actions.AUS, 0-5.  yaw, pitch, roll: degrees, signs as in renderer.Shot.
    light_side, light_height: direction of the main light, degrees; side > 0 is the picture's right, 0 and 0
    the camera.  soft_light: all other light, as a share of the domain's.  domain: of aufaces.domains; decides
    background, occluders, camera and colours.  seed: of the person and of the domain's random choices.
    """

    intensity: tuple[float, ...] = (0.0,) * len(AUS)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    light_side: float = -33.0
    light_height: float = 33.0
    soft_light: float = 1.0
    domain: str = "studio"
    seed: int = 1

    @property
    def occurrence(self) -> dict[str, bool]:
        """Which AUs count as present, by the rule the rendered sets are labelled with."""
        return {au: level >= OCCURS_AT for au, level in zip(AUS, self.intensity, strict=True)}


@dataclass(frozen=True)
class Reading:
    """A run's reading of one margin crop.

    crop: (H, H, 3) uint8, the pixels it sees.  probability: AU -> [0, 1].  landmarks: (K, 2) pixels of the
    margin crop, None if the run learned none.  evidence: (A, h, w), an AU's logit is its mean; None if the
    run reads AUs from landmark coordinates.
    """

    crop: np.ndarray
    probability: dict[str, float]
    landmarks: np.ndarray | None
    evidence: np.ndarray | None
    read_from: str


@dataclass(frozen=True)
class Played:
    """One position of the controls.

    picture: (S, S, 3) uint8.  true_landmarks, landmarks: (K, 2) pixels of the picture; the run's are None
    without a run that finds some.  reading: None without a run.
    """

    picture: np.ndarray
    true_landmarks: np.ndarray
    landmarks: np.ndarray | None = None
    reading: Reading | None = None


def open_run(path: str | Path) -> Run:
    """A finished run with its model loaded; opened again only if its weights changed on disk.

    Raises: what `Run` raises.
    """
    weights = Path(path) / WEIGHTS
    return _open(str(path), weights.stat().st_mtime_ns if weights.is_file() else 0)


@lru_cache(maxsize=16)
def _open(path: str, written: int) -> Run:
    run = Run(path)
    run.model.requires_grad_(False)
    return run


@lru_cache(maxsize=16)
def brightest(run: Run) -> np.ndarray | None:
    """(A,) evidence drawn at full strength, from the faces the run keeps; None without evidence maps."""
    if run.config.au_from_landmarks:
        return None
    scale = np.full(len(run.aus), 1e-6)
    for domain in run.domains_with_samples:
        pictures = kept_faces(run, domain, count=None).pictures
        with torch.inference_mode():
            maps = run.model.read(pictures, run.settings[f"read_{domain}_from"])["evidence"].numpy()
        scale = np.maximum(scale, np.quantile(maps.clip(min=0), BRIGHT, axis=(0, 2, 3)))
    return scale


def evidence_strength(run: Run, reading: Reading, au: str) -> np.ndarray | None:
    """An AU's evidence (h, w) in [0, 1], on the run's own scale for it; None if the run has no map of it."""
    if reading.evidence is None or au not in run.aus:
        return None
    index = run.aus.index(au)
    return (reading.evidence[index] / brightest(run)[index]).clip(0, 1)


def read_crop(run: Run, crop: np.ndarray, read_from: str) -> Reading:
    """A run's reading of one margin crop (S, S, 3) uint8."""
    size, landmarks = run.config.image_size, None
    image, _ = centre_crop(crop[None], np.zeros((1, 1, 2)), size)
    with torch.inference_mode():
        outputs = run.model.read(image, read_from)
    probability = dict(zip(run.aus, outputs["au_logits"].sigmoid()[0].tolist(), strict=True))
    evidence = outputs["evidence"][0].numpy() if "evidence" in outputs else None
    if run.finds_landmarks:
        shape = outputs["shape"]
        points = cells_to_pixels(expected_cells(shape), shape.shape[-1], size)
        landmarks = points[0].numpy() + (len(crop) - size) // 2
    pixels = np.rint(image[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    return Reading(pixels, probability, landmarks, evidence, read_from)


def render(controls: Controls, size: int = PICTURE_SIZE) -> tuple[np.ndarray, np.ndarray]:
    """The picture (S, S, 3) uint8 and its true landmarks (68, 2); the same controls, the same bytes."""
    scene = _scene(controls.domain, controls.seed)
    level = tuple(map(float, controls.intensity))
    face = replace(scene.face, expression=Expression(level, level), shot=_shot(scene, controls))
    moved = replace(scene, face=face, rng=copy.deepcopy(scene.rng))  # the same random choices every time
    return picture(domain_called(controls.domain), moved, renderer_of(size))


def render_and_read(run: Run | None, controls: Controls, size: int = PICTURE_SIZE) -> Played:
    """The face of these controls, and the run's reading of it (None without a run)."""
    image, truth = render(controls, size)
    if run is None:
        return Played(image, truth)
    spec = crop_of(run.model.config)
    matrix = crop_matrix(truth, spec)
    crop = crop_face(Image.fromarray(image), matrix, spec)
    reading = read_crop(run, crop, run.way_of_reading(f"synthetic:{controls.domain}"))
    return Played(image, truth, in_picture(run, reading, matrix), reading)


def in_picture(run: Run, reading: Reading, matrix: np.ndarray) -> np.ndarray | None:
    """A reading's landmarks, (K, 2), in pixels of the picture that `matrix` (2, 3) cropped."""
    if reading.landmarks is None:
        return None
    return to_picture(reading.landmarks[None], matrix[None], run.model.config.au_centres)[0]


def drawn_controls(domain: str, seed: int) -> Controls:
    """The controls of a face as the domain samples it: its AUs, pose and light."""
    scene = _scene(domain, seed)
    shot, degrees = scene.face.shot, 180 / np.pi
    x, y, z = np.array(shot.key_direction) / np.linalg.norm(shot.key_direction)
    return Controls(
        intensity=tuple(round(float(level), 1) for level in scene.face.expression.intensity),
        yaw=shot.yaw * degrees, pitch=shot.pitch * degrees, roll=shot.roll * degrees,
        light_side=float(np.arctan2(x, z)) * degrees, light_height=float(np.arcsin(y)) * degrees,
        domain=domain, seed=seed,
    )  # fmt: skip


def _shot(scene: Sample, controls: Controls):
    shot, radians, soft = scene.face.shot, np.pi / 180, controls.soft_light
    side, height = controls.light_side * radians, controls.light_height * radians
    dimmed = {name: tuple(soft * np.array(getattr(shot, name))) for name in ("fill", "sky", "ground")}
    return replace(
        shot,
        yaw=controls.yaw * radians, pitch=controls.pitch * radians, roll=controls.roll * radians,
        key_direction=(np.sin(side) * np.cos(height), np.sin(height), np.cos(side) * np.cos(height)),
        **dimmed,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _scene(domain: str, seed: int) -> Sample:
    return sample_face(domain_called(domain), seed, 0, 1)


renderer_of = lru_cache(maxsize=2)(FaceRenderer)  # building one takes as long as dozens of faces
