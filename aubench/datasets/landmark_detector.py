"""Sixty-eight landmarks on a picture: dlib's box, then dlib's points or our own.

- "dlib": the points that dlib's predictor finds. Its weights (iBUG 300-W, in the package
  face_recognition_models, extra `landmarks`) are for non-commercial use.
- "own": the points that a network of the package finds (`aulib/weights/landmarks`), in passes, until they
  stay where they are. Each pass cuts the face by the points of the one before, and takes the mean of what is
  found there and in the mirror image; the first has the mean face in the box. It needs the extra `faces`
  only, which anybody may use for any purpose.

"own" is taken, unless the environment variable AULIB_LANDMARKS says "dlib". How the two compare is in
docs/real-faces.md.

Where dlib's detector of frontal faces finds none, its network looks as well, which knows turned heads and
odd light (King 2015; weights in the public domain, also in face_recognition_models). It takes longer.
"""

import importlib.util
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.landmarks import layout_of

UPSAMPLED_SIDE = 1600  # pixels; a picture is enlarged in search of small faces up to this side
MAX_UPSAMPLE = 2  # the detector sees faces from about 80 pixels; each doubling halves that
INSTALL = "pip install 'aulib[faces]'"
CHOICE = "AULIB_LANDMARKS"
DLIB_POINTS = "face_recognition_models"
PASSES = 6  # at most
STILL = 0.01  # of the face's size: points that move less stay where they are
NETWORK_SIDE = 360  # longer side of a picture for dlib's network; it sees faces from about 80 pixels
THINNEST = 40  # shorter side for it, which holds no face; below 7 the network fails
BOX_IN_NETWORKS = (0.03, 0.06, 1.13)  # the detector's box: shift of its middle, and size, in network's widths
NETWORK = "landmarks"  # a run's folder beside the package's weights, with two tables
MEAN_FACE = "face_in_box.csv"  # 68 points, 0 the box's centre and 1 its width
OFFSETS = "photograph_offsets.csv"  # from the 68 points to where people mark them; 1 is a crop's side


def require_detector() -> None:
    """ModuleNotFoundError with the command to install it, unless faces and their landmarks can be found."""
    needed = ["dlib"] + [DLIB_POINTS] * (os.environ.get(CHOICE) == "dlib")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        install = INSTALL.replace("faces", "landmarks") if DLIB_POINTS in missing else INSTALL
        raise ModuleNotFoundError(
            f"finding landmarks needs {' and '.join(missing)}: {install}; "
            "or bring landmarks of your own with `aulib prepare PHOTOS OUT --landmarks FILE`"
        )


def landmarks_by() -> str:
    """Whose points `detect_landmarks` finds, "dlib" or "own".

    Raises:
        ValueError: AULIB_LANDMARKS is something else.
    """
    chosen = os.environ.get(CHOICE) or "own"
    if chosen not in ("dlib", "own"):
        raise ValueError(f"{CHOICE} is {chosen!r}; choose dlib or own")
    return chosen


def detect_landmarks(
    image: np.ndarray, max_upsample: int = MAX_UPSAMPLE, by_network: bool = True
) -> tuple[np.ndarray | None, int]:
    """Landmarks of the largest face, and how many faces there are.

    Faces are looked for at the picture's own size first, then, while none is found, at twice and four times
    the size as long as the longer side stays within UPSAMPLED_SIDE, then by the network. Same picture, same
    answer.

    Args:
        image: (H, W, 3) uint8 RGB.
        max_upsample: how often the picture is doubled at most.
        by_network: ask dlib's network where there is none.

    Returns:
        (68, 2) float32 pixels, x then y, or None if no face is found; and the number of faces.

    Raises:
        ModuleNotFoundError: neither the extra `faces` nor `landmarks` is installed.
        ValueError: not an RGB uint8 picture.
    """
    boxes = find_boxes(image, max_upsample, by_network)
    return (points_in(image, boxes[0]), len(boxes)) if boxes else (None, 0)


def find_boxes(
    image: np.ndarray, max_upsample: int = MAX_UPSAMPLE, by_network: bool = True
) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of all faces, the largest first; for the rest as `detect_landmarks`."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB")
    find = box_finder()
    image = np.ascontiguousarray(image)
    for upsample in range(max_upsample + 1):
        if upsample and max(image.shape[:2]) * 2**upsample > UPSAMPLED_SIDE:
            break
        if faces := find(image, upsample):
            faces = sorted(faces, key=lambda face: -face.area())  # stable: of two alike the first
            return [(face.left(), face.top(), face.right(), face.bottom()) for face in faces]
    return boxes_by_network(image) if by_network else []


def boxes_by_network(image: np.ndarray) -> list[tuple[int, int, int, int]]:
    """The boxes in which the detector would see the faces that dlib's network finds, the largest first."""
    if (network := _network()) is None:
        return []
    factor = max(image.shape[:2]) / NETWORK_SIDE
    size = [round(side / factor) for side in image.shape[1::-1]]
    if min(size) < THINNEST:
        return []
    picture = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    right, down, scale = BOX_IN_NETWORKS
    boxes, faces = [], [found.rect for found in network(picture, 0)]
    for face in sorted(faces, key=lambda face: -face.area()):
        middle, width = face.center(), face.width()
        x, y = middle.x + right * width, middle.y + down * width
        edges = (x - scale * width / 2, y - scale * width / 2, x + scale * width / 2, y + scale * width / 2)
        boxes.append(tuple(round(edge * factor) for edge in edges))
    return boxes


def points_in(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """(68, 2) landmarks of the face in a box of `find_boxes`."""
    if landmarks_by() == "dlib":
        return _dlibs(image, box)
    left, top, right, bottom = box
    points = _table(MEAN_FACE) * (right - left) + np.array([left + right, top + bottom]) / 2
    return _own(image, points, PASSES)


def follow_points(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(68, 2) landmarks of the face that was at `points` in the picture before, without looking for a box;
    our own in one pass from there."""
    return _dlibs(image, box_around(points)) if landmarks_by() == "dlib" else _own(image, points, 1)


def box_around(points: np.ndarray) -> tuple[int, int, int, int]:
    """The box in which the detector would see a face of these landmarks (68, 2): where the mean face in a box
    lies as they do."""
    mean = _table(MEAN_FACE)
    width = np.linalg.norm(points - points.mean(0)) / np.linalg.norm(mean - mean.mean(0))
    centre = points.mean(0) - width * mean.mean(0)
    left, top = (centre - width / 2).round().astype(int).tolist()
    return left, top, left + round(float(width)), top + round(float(width))


def _dlibs(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    import dlib

    found = _predictor()(np.ascontiguousarray(image), dlib.rectangle(*box))
    return np.array([(point.x, point.y) for point in found.parts()], np.float32)


def _own(image: np.ndarray, points: np.ndarray, passes: int) -> np.ndarray:
    import torch  # which a process that takes dlib's points does without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two faces are soon read; threads that wait for one another are slow
    try:
        return _in_passes(image, points, passes)
    finally:
        torch.set_num_threads(threads)


def _in_passes(image: np.ndarray, points: np.ndarray, passes: int) -> np.ndarray:
    from aubench.inference.predict import to_picture
    from aulib.evaluate import predict_crops

    model = _own_model()
    spec, picture = crop_of(model.config), Image.fromarray(image)
    flip = list(layout_of(68).flip_index)
    for _ in range(passes):
        matrix = crop_matrix(points, spec)
        crop = crop_face(picture, matrix, spec)
        found, mirrored = predict_crops(model, np.stack([crop, crop[:, ::-1]]), "features").landmarks
        found = (found + (mirrored[flip] * (-1, 1) + (spec.size - 1, 0))) / 2
        before, points = points, to_picture(found[None], matrix[None], au_centres=False)[0]
        if np.linalg.norm(points - before, axis=1).mean() < STILL * np.ptp(points, axis=0).max():
            break
    found += spec.size * _table(OFFSETS)
    return to_picture(found[None], matrix[None], au_centres=False)[0].astype(np.float32)


@lru_cache
def _table(name: str) -> np.ndarray:
    """(68, 2) of a table beside the network's weights, MEAN_FACE or OFFSETS."""
    from aulib import pretrained

    return np.loadtxt(pretrained().path / NETWORK / name, delimiter=",")


@lru_cache(maxsize=1)
def _own_model():
    from aulib import pretrained
    from aulib.run import Run

    return Run(pretrained().path / NETWORK).model


@lru_cache(maxsize=1)
def box_finder():
    """dlib's detector of frontal faces: (picture, how often to double it) -> boxes."""
    require_detector()
    import dlib

    return dlib.get_frontal_face_detector()  # Boost licence; its weights are in its code


@lru_cache(maxsize=1)
def _network():
    """dlib's network, looked for once; None without its weights."""
    import dlib

    weights = _weights("mmod_human_face_detector.dat")
    return weights and dlib.cnn_face_detection_model_v1(str(weights))


@lru_cache(maxsize=1)
def _predictor():
    require_detector()
    import dlib

    name = "shape_predictor_68_face_landmarks.dat"
    weights = _weights(name)
    if weights is None:
        raise ModuleNotFoundError(f"{name} is not in {DLIB_POINTS}: pip install 'aulib[landmarks]'")
    return dlib.shape_predictor(str(weights))


def _weights(name: str) -> Path | None:
    """A file of face_recognition_models; None if it is not there.

    Importing that package needs pkg_resources, which new setuptools lack; its folder is enough.
    """
    package = importlib.util.find_spec(DLIB_POINTS)
    path = package and Path(package.origin).parent / "models" / name
    return path if path and path.is_file() else None
