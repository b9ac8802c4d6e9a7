"""Face crops by similarity transform, made once into a memory-mapped array.

Pixel (0, 0) is the centre of the top left pixel, in images and crops alike.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from aulib.dataset import DatasetFolder
from aulib.files import PART, cache_root, new_folder
from aulib.images import BACKGROUND, read_picture
from aulib.landmarks import layout_of, refuse_outside

CODE_VERSION = 2  # raise it when the pixels of a crop would change
MAX_FAULTS = 10


@dataclass(frozen=True)
class CropSpec:
    """How faces are cut.

    size: side of the crop in pixels.  box_enlarge: its side over that of the box around eyes, nose and mouth.
    smooth: average the pixels of a picture that shrinks by 2 or more [C]; if not, each pixel of the crop is
        one bilinear sample, as in ADLD and JAA-Net.
    """

    size: int = 128
    box_enlarge: float = 2.8  # ADLD 2.8, JAA-Net 2.9
    smooth: bool = True


# The crops of two code bases, to the pixel except that OpenCV samples at multiples of 1/32 pixel.
ADLD_CROP = CropSpec(size=200, box_enlarge=2.8, smooth=False)
JAANET_CROP = CropSpec(size=200, box_enlarge=2.9, smooth=False)
CROPS = {"adld": ADLD_CROP, "jaanet": JAANET_CROP}


def crop_named(name: str, size: int) -> CropSpec:
    """The crop called "smooth" [C] or a key of CROPS.

    Raises:
        ValueError: unknown name, or `size` is not the size of that code's crops.
    """
    if name == "smooth":
        return CropSpec(size)
    if name not in CROPS:
        raise ValueError(f"unknown crop {name!r}; choose one of smooth, {', '.join(CROPS)}")
    if CROPS[name].size != size:
        raise ValueError(
            f"crop {name!r} is {CROPS[name].size} pixels, the run's margin_size is {size}: take preset "
            f"'paper', or margin_size {CROPS[name].size}"
        )
    return CROPS[name]


def crop_of(config) -> CropSpec:
    """How the faces of a run are cut, from its `model.ModelConfig`."""
    return CropSpec(config.margin_size, config.box_enlarge, config.smooth_crops)


@dataclass(frozen=True)
class Crops:
    """The face crops of a dataset, in its order.

    images: (N, size, size, 3) uint8 RGB, memory-mapped, read-only.
    landmarks: (N, K, 2) float32 pixels of the crop.
    matrices: (N, 2, 3) float32, from pixels of the stored image to pixels of the crop.
    folder: where they are stored.
    """

    images: np.ndarray
    landmarks: np.ndarray
    matrices: np.ndarray
    folder: Path


def crop_matrix(landmarks: np.ndarray, spec: CropSpec = CropSpec()) -> np.ndarray:
    """The similarity transform from image to crop (source: ADLD's face alignment).

    Rotate so that the eye centres are level; box eye centres, nose tip and mouth corners. The box's centre
    goes to the crop's centre, and half = 0.5 * box_enlarge * max(box width, height) fills half the crop:
    scale = (size - 1) / 2 / half.

    Args:
        landmarks: (K, 2) pixels, K = 49 or 68.

    Returns:
        (2, 3) float64: crop = matrix[:, :2] @ image + matrix[:, 2].

    Raises:
        ValueError: NaN in the landmarks, or both eye centres at the same point.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    layout = layout_of(len(landmarks))
    if not np.isfinite(landmarks).all():
        raise ValueError("some landmarks are missing, expected finite numbers")
    right_eye = landmarks[list(layout.right_eye)].mean(axis=0)
    left_eye = landmarks[list(layout.left_eye)].mean(axis=0)
    dx, dy = left_eye - right_eye
    distance = np.hypot(dx, dy)
    if distance < 1e-6:
        raise ValueError(f"both eye centres are at {right_eye.round(2)}, expected two points")
    cos, sin = dx / distance, dy / distance
    rotation = np.array([[cos, sin], [-sin, cos]])
    five = np.stack([right_eye, left_eye, *landmarks[[layout.nose_tip, *layout.mouth_corners]]]) @ rotation.T
    low, high = five.min(axis=0), five.max(axis=0)
    half = 0.5 * spec.box_enlarge * (high - low).max()
    scale = (spec.size - 1) / 2 / half
    offset = (spec.size - 1) / 2 - scale * (low + high) / 2
    return np.concatenate([scale * rotation, offset[:, None]], axis=1)


def crop_face(picture: Image.Image, matrix: np.ndarray, spec: CropSpec) -> np.ndarray:
    """Cut one crop: bilinear, mid grey outside the picture.

    Args:
        picture: RGB.  matrix: (2, 3) from picture to crop.

    Returns:
        (size, size, 3) uint8.
    """
    scale = float(np.hypot(*matrix[:, 0]))
    inverse = np.linalg.inv(matrix[:, :2])  # crop -> picture
    shift = -inverse @ matrix[:, 2]
    if spec.smooth and (factor := int(1 / scale)) >= 2:  # else bilinear sampling skips pixels
        picture = picture.reduce(factor)
        inverse = inverse / factor
        shift = (shift + 0.5) / factor - 0.5
    shift = shift + 0.5 - inverse @ (0.5, 0.5)  # Pillow puts (0, 0) at the corner of the pixel
    coefficients = (*inverse[0], shift[0], *inverse[1], shift[1])
    crop = picture.transform(
        (spec.size, spec.size),
        Image.Transform.AFFINE,
        coefficients,
        resample=Image.Resampling.BILINEAR,
        fillcolor=BACKGROUND,
    )
    return np.asarray(crop)


def crop_dataset(
    dataset: DatasetFolder,
    spec: CropSpec = CropSpec(),
    workers: int | None = None,
    progress: bool = True,
) -> Crops:
    """Crop every face of a dataset once; later calls open the stored crops, unless they are damaged.

    They are stored in `<dataset>/.crops/<key>`, or in the user's cache if that folder is read-only. The key
    covers file names, sizes and times, landmarks, `spec` and CODE_VERSION, but no labels. Crop the whole
    dataset and index with `dataset.rows(split)`.

    Args:
        workers: threads; by default one per core.

    Raises:
        ValueError: rows without landmarks, landmarks far outside their picture, unreadable pictures (up to
            ten in one message; the header is row 1).
        OSError: not enough space on the disk.
    """
    landmarks = dataset.landmarks
    _refuse_missing_landmarks(dataset, landmarks)
    key = _key(dataset, landmarks, spec)
    home = _home(dataset.root)
    folder = home / key
    if folder.is_dir():
        try:
            return _open(folder)
        except (OSError, ValueError, EOFError) as error:
            warnings.warn(f"the crops in {folder} are damaged and made anew ({error})", stacklevel=2)
            shutil.rmtree(folder)
    for stale in home.glob(f".*{PART}"):  # which killed processes left unfinished a day ago or earlier
        if time.time() - stale.stat().st_mtime > 86_400:
            shutil.rmtree(stale, ignore_errors=True)
    with suppress(FileExistsError), new_folder(folder) as partial:  # by another process, and the same
        _make_crops(dataset, landmarks, spec, partial, workers, progress)
    return _open(folder)


def _open(folder: Path) -> Crops:
    images = np.load(folder / "images.npy", mmap_mode="r")
    landmarks, matrices = (np.load(folder / f"{name}.npy") for name in ("landmarks", "matrices"))
    return Crops(images, landmarks, matrices, folder)


def _make_crops(dataset, landmarks, spec, folder, workers, progress) -> None:
    num, size = len(dataset), spec.size
    needed, free = num * size * size * 3, shutil.disk_usage(folder).free
    if needed > free * 0.95:  # a memory map that outgrows the disk kills the process
        raise OSError(
            f"{num} crops need {needed / 1e9:.1f} GB in {folder.parents[1]}, {free / 1e9:.1f} are free"
        )
    shape = (num, size, size, 3)
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # the room is ours now, whoever else writes
        with open(folder / "images.npy", "r+b") as reserved:
            os.posix_fallocate(reserved.fileno(), 0, images.nbytes)
    matrices = np.empty((num, 2, 3), dtype=np.float32)
    names = dataset.table["image"].tolist()

    def crop_row(row: int) -> str | None:
        try:
            picture = read_picture(dataset.root / names[row])
            refuse_outside(landmarks[row], picture.size)
            matrix = crop_matrix(landmarks[row], spec)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            return f"row {row + 2}: {names[row]}: {error}"
        matrices[row] = matrix
        images[row] = crop_face(picture, matrix, spec)
        return None

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:  # Pillow decodes and warps without the GIL
        try:
            bar = tqdm(pool.map(crop_row, range(num)), "cropping", num, unit="face", disable=not progress)
            faults = list(islice(filter(None, bar), MAX_FAULTS))
        finally:
            pool.shutdown(cancel_futures=True)
    if faults:
        shown = "\n  ".join(faults)
        raise ValueError(f"{dataset.root} has rows that cannot be cropped (header is row 1):\n  {shown}")
    images.flush()
    moved = np.einsum("nij,nkj->nki", matrices[:, :, :2], landmarks) + matrices[:, None, :, 2]
    np.save(folder / "landmarks.npy", moved.astype(np.float32))
    np.save(folder / "matrices.npy", matrices)
    (folder / "spec.json").write_text(json.dumps(asdict(spec) | {"code_version": CODE_VERSION, "n": num}))


def _refuse_missing_landmarks(dataset: DatasetFolder, landmarks: np.ndarray) -> None:
    if not dataset.num_landmarks:
        raise ValueError(f"{dataset.root} has no landmark columns (x_0, y_0); `aulib prepare` finds them")
    missing = np.flatnonzero(np.isnan(landmarks).any(axis=(1, 2)))
    if len(missing):
        shown = ", ".join(f"{row + 2} ({dataset.table['image'].iloc[row]})" for row in missing[:3])
        raise ValueError(
            f"{dataset.root}: {len(missing)} of {len(dataset)} rows have no landmarks and cannot be cropped, "
            f"first rows {shown} (header is row 1); remove them or let `aulib prepare` find landmarks"
        )


def _key(dataset: DatasetFolder, landmarks: np.ndarray, spec: CropSpec) -> str:
    names = dataset.table["image"].tolist()
    stats = [(found.st_size, found.st_mtime_ns) for found in map(os.stat, dataset.image_paths)]
    shaped_by = hashlib.blake2b(digest_size=8)
    shaped_by.update(json.dumps([CODE_VERSION, asdict(spec), names]).encode())
    shaped_by.update(np.asarray(stats, dtype=np.int64).tobytes())
    shaped_by.update(np.ascontiguousarray(landmarks).tobytes())
    return f"{spec.size}px-{shaped_by.hexdigest()}"


def _home(root: Path) -> Path:
    """`root`/.crops, or a folder in the user's cache if `root` is read-only."""
    home = root / ".crops"
    try:
        home.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError:
        home = cache_root() / "crops"
        home.mkdir(exist_ok=True)
    return home
