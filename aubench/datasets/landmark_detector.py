"""Sixty-eight landmarks on a picture, by dlib; needs the `landmarks` extra.

The weights (iBUG 300-W, in the package face_recognition_models) are for non-commercial use.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

UPSAMPLED_SIDE = 1600  # pixels; a picture is enlarged in search of small faces up to this side
MAX_UPSAMPLE = 2  # the detector sees faces from about 80 pixels; each doubling halves that
INSTALL = "pip install 'aulib[landmarks]'"


def require_detector() -> None:
    """ModuleNotFoundError with the command to install it, unless the `landmarks` extra is there."""
    missing = [name for name in ("dlib", "face_recognition_models") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"finding landmarks needs {' and '.join(missing)}: {INSTALL}; "
            "or bring landmarks of your own with `aulib prepare PHOTOS OUT --landmarks FILE`"
        )


def detect_landmarks(image: np.ndarray, max_upsample: int = MAX_UPSAMPLE) -> tuple[np.ndarray | None, int]:
    """Landmarks of the largest face, and how many faces there are.

    Faces are looked for at the picture's own size first, then, while none is found, at twice and four times
    the size as long as the longer side stays within UPSAMPLED_SIDE. Same picture, same answer.

    Args:
        image: (H, W, 3) uint8 RGB.
        max_upsample: how often the picture is doubled at most.

    Returns:
        (68, 2) float32 pixels, x then y, or None if no face is found; and the number of faces.

    Raises:
        ModuleNotFoundError: the `landmarks` extra is not installed.
        ValueError: not an RGB uint8 picture.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB")
    detector, predictor = _models()
    image = np.ascontiguousarray(image)
    faces = []
    for upsample in range(max_upsample + 1):
        if upsample and max(image.shape[:2]) * 2**upsample > UPSAMPLED_SIDE:
            break
        faces = list(detector(image, upsample))
        if faces:
            break
    if not faces:
        return None, 0
    largest = max(faces, key=lambda face: face.area())
    points = predictor(image, largest).parts()
    return np.array([(point.x, point.y) for point in points], dtype=np.float32), len(faces)


@lru_cache(maxsize=1)
def _models():
    require_detector()
    import dlib

    # Importing face_recognition_models needs pkg_resources, which new setuptools lack; its folder is enough.
    package = importlib.util.find_spec("face_recognition_models")
    weights = Path(package.origin).parent / "models" / "shape_predictor_68_face_landmarks.dat"
    if not weights.is_file():
        raise ModuleNotFoundError(f"{weights.name} is not in face_recognition_models: {INSTALL}")
    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(weights))
