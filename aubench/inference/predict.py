"""Scores of a finished run on a labelled set, and its predictions as a table in OpenFace's columns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from aubench.datasets.crash_tolerant import crash_tolerant_map
from aubench.datasets.face_finding import OK, FoundFace, Picture, find_face, find_face_crashed
from aubench.datasets.picture_files import list_pictures, printable
from aulib.batches import Faces, faces_of
from aulib.crops import crop_dataset, crop_of
from aulib.dataset import DatasetFolder, manifest_path, read_dataset
from aulib.evaluate import Predictions, predict_batches, score_predictions
from aulib.files import refuse_other, result_file
from aulib.landmarks import move_to_au_centres, to_49
from aulib.model import AUModel, ModelConfig
from aulib.run import Run

OURS = b"image,status,note,"  # begins every table of predictions
SQUARE = ("face_x", "face_y", "face_size", "face_roll")
FACES_AT_ONCE = 256  # crops of photographs held in memory


def evaluate(run: str | Path, dataset: str | Path, split: str = "test", read_from: str | None = None) -> dict:
    """Scores of a run on a labelled split, with 95 % intervals by bootstrap over subjects.

    If the set labels other AUs than the run knows, those that both have are scored. The run's other AUs are
    NaN (null in JSON); means are over the scored AUs (`mean.aus` counts them).

    Args:
        dataset: dataset folder or `synthetic:...`.
        read_from: "features", "reconstruction" or "both". None takes the run's own way of reading its source,
            if `dataset` is what it was trained on, and else its way of reading a target.

    Returns:
        `mean.f1`, `mean.auc`, `mean.f1_norm` (each with `_low`, `_high`), `per_au.AU01.f1`, ...,
        `landmarks.nme`, `landmarks.failure_rate` (NaN for a run trained without landmarks), `n` (frames),
        `read_from`.

    Raises:
        ValueError: the split is empty, has no AU the run knows, or none of its frames is labelled.
    """
    opened = Run(run)
    config, data = opened.config, read_dataset(dataset)
    rows = data.rows(split)
    if not len(rows):
        raise ValueError(
            f"{data.root} has no row in split {split!r}; it has {', '.join(sorted(set(data.splits)))}"
        )
    common = [au for au in config.aus if au in data.aus]
    if not common:
        labels = f"labels {', '.join(data.aus)}" if data.aus else "has no AU labels (columns AU01_c, ...)"
        raise ValueError(
            f"{data.root} {labels}; the run knows {', '.join(config.aus)}, so there is nothing to score "
            "(`aulib predict` needs no labels)"
        )
    known = ~np.isnan(data.occurrence[rows][:, [data.aus.index(au) for au in common]])
    if not known.any():
        raise ValueError(f"{data.root}: no row of split {split!r} has a label of {', '.join(common)}")
    read_from = read_from or opened.way_of_reading(dataset, data.version)
    points = min(data.num_landmarks, config.num_landmarks)  # a 68-point run is scored on 49 if the set has 49
    crops = crop_dataset(data, crop_of(config))
    faces = faces_of(data, crops, split, replace(config, num_landmarks=points))
    reading = predict_batches(opened.model, faces, read_from)
    if points != config.num_landmarks:
        reading = Predictions(reading.probability, to_49(reading.landmarks))
    scores = score_predictions(reading, faces, data.subjects[rows], config.aus)
    if not opened.finds_landmarks:
        scores |= dict.fromkeys(("landmarks.nme", "landmarks.failure_rate"), float("nan"))
    return scores | {"read_from": read_from}


def predict(
    run: str | Path, photos_or_dataset: str | Path, out: str | Path | None = None, workers: int | None = None
) -> pd.DataFrame:
    """AU probabilities and landmarks of every picture, as a table and a CSV in OpenFace's column names.

    Columns: `image` (relative to the folder); `status`, "ok" or why there is no prediction (no face found,
    unreadable, no picture, no landmarks; the other cells are then empty); `note`; the square that was read:
    its centre `face_x`, `face_y`, its side `face_size` (pixels) and its rotation `face_roll` (degrees,
    clockwise); for each AU of the run `AU01_c` (0 or 1, probability at least 0.5) and `AU01_p` (0 to 1, not
    an intensity); the model's landmarks x_0 ..., y_0 ..., 68 or 49 as the run was trained, empty if it was
    trained without (as `source-only` is). All in pixels of the picture as shown.

    Args:
        photos_or_dataset: a dataset folder (all its splits; pictures that `aulib prepare` skipped keep a
            row), `synthetic:...`, or a picture or any folder of pictures; the `landmarks` extra then finds
            the faces.
        out: the CSV, written in one step, over an earlier one but over no other file; None writes none.
        workers: processes that look for faces; by default one for each core.

    Raises:
        FileNotFoundError: no such picture or folder, no picture in it, or no finished run.
        FileExistsError: `out` is another file.
        ValueError: a dataset folder of which no row has landmarks.
        ModuleNotFoundError: photographs are given and the `landmarks` extra is not installed.
    """
    if out is not None:
        refuse_other(out, OURS)
    opened = Run(run)
    model = opened.model
    if str(photos_or_dataset).startswith("synthetic:") or _has_manifest(photos_or_dataset):
        data = read_dataset(photos_or_dataset)
        read_from = opened.way_of_reading(photos_or_dataset, data.version)
        table = _predict_dataset(model, data, read_from, workers)
    else:
        read_from = opened.settings["read_target_from"]
        table = _predict_photographs(model, Path(photos_or_dataset), read_from, workers)
    if not opened.finds_landmarks:
        table.loc[:, [name for name in table if name[:2] in ("x_", "y_")]] = np.nan
    if out is not None:
        with result_file(out, OURS) as partial:
            table.to_csv(partial, index=False)
    return table


def _predict_dataset(
    model: AUModel, data: DatasetFolder, read_from: str, workers: int | None
) -> pd.DataFrame:
    has_landmarks = np.zeros(len(data), dtype=bool)
    if data.num_landmarks:
        has_landmarks = ~np.isnan(data.landmarks).any(axis=(1, 2))
    if not has_landmarks.any():
        raise ValueError(
            f"{data.root} has no landmarks to cut faces by; `aulib prepare` on its pictures finds them"
        )
    statuses = np.where(has_landmarks, OK, "no landmarks")
    faces = [FoundFace(*pair) for pair in zip(data.table["image"], statuses, strict=True)]
    usable = DatasetFolder(data.root, data.table[has_landmarks].reset_index(drop=True), data.version)
    crops = crop_dataset(usable, crop_of(model.config), workers=workers)
    skipped = data.root / "skipped.csv"
    if skipped.is_file():  # what `aulib prepare` could not use
        for row in pd.read_csv(skipped, dtype=str).itertuples():
            faces.append(FoundFace(row.image, row.reason))
    return _table(faces, [_read(model, crops.images, read_from)], crops.matrices, model.config)


def _predict_photographs(model: AUModel, photos: Path, read_from: str, workers: int | None) -> pd.DataFrame:
    one = photos.is_file()
    folder, (images, left) = (photos.parent, ([photos.name], {})) if one else (photos, list_pictures(photos))
    tasks = [Picture(folder, image, crop_of(model.config)) for image in images]
    faces, readings, matrices, waiting = [], [], [], []
    found = crash_tolerant_map(find_face, tasks, workers, find_face_crashed)
    for face in tqdm(found, "finding faces", len(tasks), unit="picture", disable=one):
        faces.append(FoundFace(face.image, face.status, face.note))
        if face.crop is not None:
            waiting.append(face)
        if waiting and (len(waiting) == FACES_AT_ONCE or len(faces) == len(tasks)):
            readings.append(_read(model, np.stack([one.crop for one in waiting]), read_from))
            matrices += [one.matrix for one in waiting]
            waiting = []
    faces += [FoundFace(path, why) for path, why in left.items()]
    return _table(faces, readings, np.array(matrices), model.config).sort_values("image", ignore_index=True)


def _read(model: AUModel, crops: np.ndarray, read_from: str) -> Predictions:
    """Predictions of margin crops (N, S, S, 3); no landmarks go in."""
    nowhere = np.full((len(crops), model.config.num_landmarks, 2), np.nan, dtype=np.float32)
    return predict_batches(model, Faces(crops, np.arange(len(crops)), nowhere, None), read_from)


def _table(
    faces: list[FoundFace], readings: list[Predictions], matrices: np.ndarray, config: ModelConfig
) -> pd.DataFrame:
    """One row a picture; readings and matrices belong to those with status "ok", in their order."""
    read = np.array([face.status == OK for face in faces])
    probability = np.full((len(faces), len(config.aus)), np.nan)
    points = np.full((len(faces), config.num_landmarks, 2), np.nan)
    squares = np.full((len(faces), len(SQUARE)), np.nan)
    if readings:
        probability[read] = np.concatenate([reading.probability for reading in readings])
        landmarks = np.concatenate([reading.landmarks for reading in readings])
        points[read] = to_picture(landmarks, matrices, config.au_centres)
        squares[read] = squares_read(matrices, config.margin_size)
    columns = {
        name: [printable(getattr(face, name)) for face in faces] for name in ("image", "status", "note")
    }
    columns |= {name: squares[:, index].round(2) for index, name in enumerate(SQUARE)}
    for index, au in enumerate(config.aus):
        present = pd.array(np.where(read, probability[:, index] >= 0.5, 0), dtype="Int64")
        present[~read] = pd.NA
        columns[f"{au}_c"], columns[f"{au}_p"] = present, probability[:, index].round(4)
    for axis, letter in enumerate("xy"):
        columns |= {f"{letter}_{k}": points[:, k, axis].round(2) for k in range(config.num_landmarks)}
    return pd.DataFrame(columns)


def to_picture(landmarks: np.ndarray, matrices: np.ndarray, au_centres: bool = False) -> np.ndarray:
    """Landmarks of margin crops, (N, K, 2), in pixels of the pictures the crops were cut from.

    Args:
        matrices: (N, 2, 3) from picture to crop.
        au_centres: the model's landmarks are moved to AU centres; they are moved back first, exactly, as the
            inner eye corners that measure the move do not move.
    """
    if au_centres:
        landmarks = 2 * landmarks - move_to_au_centres(landmarks)
    inverse = np.linalg.inv(matrices[:, :, :2])
    return np.einsum("nij,nkj->nki", inverse, landmarks - matrices[:, None, :, 2])


def squares_read(matrices: np.ndarray, size: int) -> np.ndarray:
    """Where crops of `size` pixels lie in their pictures, (N, 4): the columns SQUARE of the table."""
    scale = np.hypot(matrices[:, 0, 0], matrices[:, 0, 1])
    middle = to_picture(np.full((len(matrices), 1, 2), (size - 1) / 2), matrices)[:, 0]
    roll = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    return np.column_stack([middle, (size - 1) / scale, roll])


def _has_manifest(folder: str | Path) -> bool:
    if Path(folder).is_file():
        return False
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"there is no {folder}; expected a picture, a folder of pictures or a dataset folder"
        )
    try:
        return bool(manifest_path(Path(folder)))
    except FileNotFoundError:
        return False
