"""Single factors of the domain shift: studio faces with chosen factors of the wild domain.

They show which part of the shift a detector fails on.
"""

from dataclasses import replace

import numpy as np

from aufaces import clutter
from aufaces.domains import STUDIO, WILD, sample_face
from aufaces.renderer import Face, FaceRenderer, composite

FACTORS = {
    "people": "other people, of all ages",
    "expressions": "subtler and less even expressions, other base rates",
    "pose": "head turned up to 45 degrees, other framing",
    "light": "one strong coloured light from anywhere, dark shadows",
    "shade": "patchy shade over four faces in ten",
    "background": "clutter behind the face",
    "occlusion": "something in front of a quarter of the faces",
    "camera": "exposure, low resolution, blur, noise, JPEG",
}
POSE = ("yaw", "pitch", "roll", "zoom", "shift", "distance")


def face_with(
    factors: set[str], seed: int, index: int, n: int, renderer: FaceRenderer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Studio face `index` of n, with `factors` taken from the wild face of the same index.

    Args:
        factors: names of FACTORS; the empty set is a studio face, all of them a wild one.

    Returns:
        picture (S, S, 3) uint8, landmarks (68, 2) pixels, intensities (16,) from 0 to 5.

    Raises:
        ValueError: unknown factor.
    """
    if unknown := sorted(factors - FACTORS.keys()):
        raise ValueError(f"unknown factors {unknown}; choose from {', '.join(FACTORS)}")
    studio, wild = (sample_face(domain, seed, index, n) for domain in (STUDIO, WILD))
    rng, size = wild.rng, renderer.size

    def chosen(name: str):
        return wild.face if name in factors else studio.face

    turned = {name: getattr(chosen("pose").shot, name) for name in POSE}
    person = chosen("people").person
    face = Face(person, chosen("expressions").expression, replace(chosen("light").shot, **turned))
    rendering = renderer.render_one(face)
    rgba = clutter.patchy_shade(rng, rendering.rgba) if "shade" in factors else rendering.rgba
    behind = np.full(3, 0.44, np.float32)
    if "background" in factors:
        behind = clutter.cluttered_background(rng, size)
    image = composite(rgba, behind)
    if "occlusion" in factors:
        image = clutter.occlude(rng, image, rendering, person)
    if "camera" in factors:
        image = clutter.degrade(rng, image)
    else:
        image = clutter.sensor_noise(rng, image, noise=1.2, quality=95)
    return image, rendering.landmarks, face.expression.intensity
