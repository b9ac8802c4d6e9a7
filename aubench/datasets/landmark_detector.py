"""Sixty-eight landmarks on a picture: faces found by YuNet, then our own points or dlib's.

- YuNet finds faces, each with five points (Wu, Peng and Yu 2023). Its weights are in the package (Apache-2.0,
  https://github.com/ShiqiYu/libfacedetection.train), and ONNX Runtime computes it: the extra `faces`.
- "own": the points that a network of the package finds (`aulib/weights/landmarks`), in passes, until they
  stay where they are. Each pass cuts the face by the points of the one before, and takes the mean of what is
  found there and in the mirror image; the first has the mean face, laid over the five points.
- "dlib": the points that dlib's predictor finds. Its weights (iBUG 300-W, in the package
  face_recognition_models, extra `landmarks`) are for non-commercial use.

"own" is taken, unless the environment variable AULIB_LANDMARKS says "dlib". How the two compare is in
docs/real-faces.md.
"""

import importlib.util
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.landmarks import layout_of

LARGE = 640  # pixels of a picture's longer side
SMALL_SIDES, LARGE_SIDES = (320, 160), (640, 320, 160)  # at which faces are looked for, until there is one
STRIDE = 32  # YuNet's coarsest; it wants pictures of whole strides
FACE = 0.75  # its score from which there is a face
SURE = 0.9  # and from which the face is certainly upright
AROUND = 2.0  # of the distance of its farthest points, on each side of a face, to see whether it is turned
SAME_FACE = 0.3  # overlap of two boxes from which they are one face
INSTALL = "pip install 'aulib[faces]'"
CHOICE = "AULIB_LANDMARKS"
DLIB_POINTS = "face_recognition_models"
PASSES = 6  # at most
STILL = 0.01  # of the face's size: points that move less stay where they are
NETWORK = "landmarks"  # a run's folder beside the package's weights, with YuNet and two tables
YUNET = "yunet_s.onnx"
MEAN_FACE = "face_in_box.csv"  # 68 points, 0 the centre of the box that dlib's detector draws and 1 its width
OFFSETS = "photograph_offsets.csv"  # from the 68 points to where people mark them; 1 is a crop's side


def require_detector() -> None:
    """ModuleNotFoundError with the command to install it, unless faces and their landmarks can be found."""
    needed = ["onnxruntime"] + ["dlib", DLIB_POINTS] * (os.environ.get(CHOICE) == "dlib")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        install = INSTALL if missing == ["onnxruntime"] else INSTALL.replace("faces", "landmarks")
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


def detect_landmarks(image: np.ndarray, least: float = FACE) -> tuple[np.ndarray | None, int]:
    """Landmarks of the largest face, and how many faces there are. Same picture, same answer.

    Args:
        image: (H, W, 3) uint8 RGB.
        least: YuNet's score, 0 to 1, from which there is a face.

    Returns:
        (68, 2) float32 pixels, x then y, or None if no face is found; and the number of faces.

    Raises:
        ModuleNotFoundError: neither the extra `faces` nor `landmarks` is installed.
        ValueError: not an RGB uint8 picture.
    """
    faces = find_faces(image, least)
    return (points_in(image, faces[0]), len(faces)) if faces else (None, 0)


def find_faces(image: np.ndarray, least: float = FACE) -> list[np.ndarray]:
    """The mean face, (68, 2) pixels, laid over each upright face, the largest first; else as
    `detect_landmarks`.

    The picture is made smaller or larger for it: a face of 25 pixels is seen in a picture of 640, one of 80
    in a picture of 1920. YuNet sees faces that are upside down or on their side as well, and takes them for
    upright ones. So where it is not sure it looks at the picture turned by quarters, too, and a face that it
    rather sees in one of those is left out.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image is {image.shape} {image.dtype}, expected (H, W, 3) uint8 RGB")
    for side in SMALL_SIDES if max(image.shape[:2]) <= LARGE else LARGE_SIDES:
        factor = side / max(image.shape[:2])
        size = [max(1, round(length * factor)) for length in image.shape[1::-1]]
        small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2))
        scores, faces = _yunets(small)
        faces = [
            face
            for face, score in zip(faces, scores, strict=True)
            if score >= least and (score >= SURE or score > _score_when_turned(small, face))
        ]
        if faces:
            break
    mean = _table(MEAN_FACE)
    five = np.array([mean[36:42].mean(0), mean[42:48].mean(0), mean[30], mean[48], mean[54]])
    laid = [_similar(five, face / factor, mean) for face in faces]
    return sorted(laid, key=lambda face: -np.ptp(face, axis=0).prod())  # stable: of two alike the first


def _yunets(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N,) of the faces in a picture (H, W, 3) uint8, and (N, 5, 2) pixels of their eyes, nose and
    corners of the mouth, the person's right ones first."""
    height, width = (-(-side // STRIDE) * STRIDE for side in image.shape[:2])
    padded = np.zeros((1, 3, height, width), np.float32)
    padded[0, :, : image.shape[0], : image.shape[1]] = image[..., ::-1].transpose(2, 0, 1)  # BGR
    classes, objects, boxes, points = zip(*[iter(_yunet().run(None, {"input": padded}))] * 3, strict=True)
    found = []
    for stride, is_face, is_there, box, point in zip(
        (8, 16, 32), classes, objects, boxes, points, strict=True
    ):
        scores = np.sqrt(is_face * is_there)[0, :, 0]
        for row in np.flatnonzero(scores >= FACE):
            cell = np.array([row % (width // stride), row // (width // stride)])
            middle, half = cell + box[0, row, :2], np.exp(box[0, row, 2:]) / 2
            edges = stride * np.concatenate([middle - half, middle + half])
            found.append((scores[row], edges, stride * (cell + point[0, row].reshape(5, 2))))
    faces: list[tuple] = []
    for one in sorted(found, key=lambda one: -one[0]):
        if all(overlap(one[1], other[1]) < SAME_FACE for other in faces):
            faces.append(one)
    return np.array([score for score, *_ in faces]), np.array([five for *_, five in faces])


def _score_when_turned(image: np.ndarray, face: np.ndarray) -> float:
    """The best score of what surrounds a face of `_yunets`, turned by one, two and three quarters."""
    middle, reach = face.mean(0), AROUND * np.ptp(face, axis=0).max()
    (left, top), (right, bottom) = (middle + way * reach for way in (-1, 1))
    cut = image[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)]
    return max(_yunets(np.rot90(cut, turns))[0].max(initial=0) for turns in (1, 2, 3))


def _similar(five: np.ndarray, seen: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`points` (N, 2), moved, turned and scaled as takes `five` of them to where they are seen."""
    one, other, all_points = (places @ (1, 1j) for places in (five, seen, points))
    turned = np.polyval(np.polyfit(one, other, 1), all_points)  # of complex numbers a line is a similarity
    return np.stack([turned.real, turned.imag], axis=1)


def overlap(a: tuple, b: tuple) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def points_in(image: np.ndarray, face: np.ndarray) -> np.ndarray:
    """(68, 2) landmarks of a face of `find_faces`."""
    if landmarks_by() == "dlib":
        return _dlibs(image, box_around(face))
    return _own(image, face, PASSES)


def follow_points(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(68, 2) landmarks of the face that was at `points` in the picture before, without looking for a box;
    our own in one pass from there."""
    return _dlibs(image, box_around(points)) if landmarks_by() == "dlib" else _own(image, points, 1)


def box_around(points: np.ndarray) -> tuple[int, int, int, int]:
    """The box in which dlib's detector would see a face of these landmarks (68, 2): where the mean face in a
    box lies as they do."""
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
def _yunet():
    require_detector()
    import onnxruntime

    from aulib import pretrained

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one small picture
    return onnxruntime.InferenceSession(str(pretrained().path / NETWORK / YUNET), options)


@lru_cache(maxsize=1)
def _predictor():
    require_detector()
    import dlib

    name = "shape_predictor_68_face_landmarks.dat"
    # Importing that package needs pkg_resources, which new setuptools lack; its folder is enough.
    weights = Path(importlib.util.find_spec(DLIB_POINTS).origin).parent / "models" / name
    if not weights.is_file():
        raise ModuleNotFoundError(f"{name} is not in {DLIB_POINTS}: pip install 'aulib[landmarks]'")
    return dlib.shape_predictor(str(weights))
