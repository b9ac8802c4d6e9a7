"""A finished run used: scores by labels of AUs or expressions; predictions in OpenFace's columns."""

import hashlib
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from aubench.datasets.crash_tolerant import CRASHED, crash_tolerant_map
from aubench.datasets.face_finding import CODE_VERSION, OK, FoundFace, find_face
from aubench.datasets.kept_outcomes import stamp
from aubench.datasets.landmark_detector import landmarks_by
from aubench.datasets.picture_files import list_pictures, printable
from aubench.study.run_lock import run_lock
from aulib.batches import faces_of
from aulib.crops import CropSpec, crop_dataset, crop_of
from aulib.dataset import DatasetFolder, manifest_path, read_dataset
from aulib.evaluate import (
    Predictions,
    intensity_of,
    predict_batches,
    predict_crops,
    score_predictions,
    side_evidence,
)
from aulib.expressions import CONTRASTS, ContrastScores, contrast_scores, expressions_of, groups_of
from aulib.files import atomic_file, cache_root, code_version, digest_of, refuse_other, result_file
from aulib.landmarks import move_to_au_centres, point_columns, to_49
from aulib.metrics import icc
from aulib.model import AUModel
from aulib.protocols import split_name
from aulib.run import CONFIG, WEIGHTS, Run
from aulib.tables import read_table, refuse

NO_FACE = "no face is seen in the crop"
SQUARE = ("face_x", "face_y", "face_size", "face_roll")
SUREST = 0.8  # share of the calls that `errors.surest` is of
AT_ONCE = 256  # rows that are read together and kept


def evaluate(run: str | Path, dataset: str | Path, split: str = "test", read_from: str | None = None) -> dict:
    """Scores of a run on a labelled split, with 95 % intervals by bootstrap over subjects.

    If the set labels other AUs than the run knows, those that both have are scored. The run's other AUs are
    NaN (null in JSON); means are over the scored AUs (`mean.aus` counts them).

    Args:
        dataset: dataset folder or `synthetic:...`.
        read_from: "features", "reconstruction" or "both". None takes the run's own way of reading its source,
            if `dataset` is what it was trained on, and else its way of reading a target.

    Returns:
        `mean.f1`, `mean.auc`, `mean.f1_norm` (each with `_low`, `_high`), `per_au.AU01.f1`, ...; where set
        and run have intensities `mean.icc` (ICC(3,1)), `mean.intensity_error` (mean absolute error, of 5)
        and `per_au.AU01.icc`, ...; of the AUs that the run does not withhold `errors.all`, the share of wrong
        calls, `errors.expected`, the mean of min(p, 1 - p), and the share of wrong calls where that is
        smallest, `errors.surest` of SUREST of the calls, `errors.surest_faces` of SUREST of the faces by
        their means; `landmarks.nme`, `landmarks.failure_rate` (NaN for a run trained without landmarks), `n`
        (frames), `read_from`.

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
    found = predict_batches(opened.model, faces, read_from)
    if points != config.num_landmarks:
        found = Predictions(found.probability, to_49(found.landmarks))
    scores = score_predictions(found, faces, data.subjects[rows], config.aus)
    scores |= _intensity_scores(found.probability, data, rows, opened)
    given = [config.aus.index(au) for au in common if au not in opened.withheld]
    scores |= _errors(found.probability[:, given], faces.occurrence[faces.rows][:, given])
    if not opened.finds_landmarks:
        scores |= dict.fromkeys(("landmarks.nme", "landmarks.failure_rate"), float("nan"))
    return scores | {"read_from": read_from}


def _errors(probability: np.ndarray, occurrence: np.ndarray) -> dict[str, float]:
    """Wrong calls, expected and real, of (N, A) probabilities; NaN labels do not count; or nothing."""
    known = ~np.isnan(occurrence)
    if not known.any():  # only AUs that the run withholds are labelled
        return {}
    wrong = np.where(known, (probability >= 0.5) != occurrence, np.nan)
    expected = np.where(known, np.minimum(probability, 1 - probability), np.nan)
    surest = expected <= np.nanquantile(expected, SUREST)
    of_faces = np.nanmean(expected[known.any(1)], 1)
    faces = wrong[known.any(1)][of_faces <= np.quantile(of_faces, SUREST)]
    found = {"all": wrong, "expected": expected, "surest": wrong[surest], "surest_faces": faces}
    return {f"errors.{name}": float(np.nanmean(values)) for name, values in found.items()}


def _intensity_scores(probability: np.ndarray, data: DatasetFolder, rows: np.ndarray, run: Run) -> dict:
    scores, shown = {}, data.intensity[rows]
    for au in [au for au in run.aus if au in run.intensity_curves and au in data.intensity_aus]:
        true = shown[:, data.intensity_aus.index(au)]
        read = intensity_of(probability[:, run.aus.index(au)], run.intensity_curves[au])
        known = ~np.isnan(true)
        if not known.any():
            continue
        scores[f"per_au.{au}.icc"] = icc(read[known], true[known])
        scores[f"per_au.{au}.intensity_error"] = float(np.abs(read - true)[known].mean())
    names = ("icc", "intensity_error") if scores else ()
    return scores | {
        f"mean.{name}": float(np.nanmean([value for key, value in scores.items() if key.endswith(name)]))
        for name in names
    }


def contrast(run: str | Path, dataset: str | Path) -> ContrastScores:
    """A run's AUs scored by expressions, where no AU is labelled; see `contrasts_of`."""
    _expressions(read_dataset(dataset))  # refused before anything is read
    return contrasts_of(predict(run, dataset, all_aus=True), dataset, Run(run).withheld)


def contrasts_of(
    predictions: pd.DataFrame, dataset: str | Path, withheld: tuple[str, ...] = ()
) -> ContrastScores:
    """Predictions scored by expressions; see `aulib.expressions`.

    Args:
        predictions: the table that `predict` made of all of `dataset`, with all AUs.
        withheld: `Run.withheld`. These have contrasts, but are never called present: neither found nor a
            false alarm.
        dataset: dataset folder with a column `meta_expression`. Its columns `meta_age`, `meta_gender` and
            `meta_ethnicity` give groups.

    Raises:
        ValueError: no such column, a word in it that is no expression, or no neutral face.
    """
    data = read_dataset(dataset)
    expression = _expressions(data)
    read = predictions.iloc[: len(data)]  # pictures without a face follow
    ok = (read["status"] == OK).to_numpy()
    aus = [name.removesuffix("_p") for name in read if name.endswith("_p")]
    scores = contrast_scores(
        read.loc[ok, [f"{au}_p" for au in aus]].to_numpy(float),
        read.loc[ok, [f"{au}_c" for au in aus]].to_numpy(float) == 1,
        aus,
        expression[ok],
        data.subjects[ok],
        {name: members[ok] for name, members in groups_of(data.table).items()},
    )
    found = scores.contrasts["found"].mask(scores.contrasts["au"].isin(withheld))
    alarms = scores.false_alarms[~scores.false_alarms["au"].isin(withheld)]
    unread = int((~ok & (expression != "")).sum())
    return replace(scores, contrasts=scores.contrasts.assign(found=found), false_alarms=alarms, unread=unread)


def _expressions(data: DatasetFolder) -> np.ndarray:
    if "meta_expression" not in data.table:
        raise ValueError(f"{data.root} has no column meta_expression (neutral, {', '.join(CONTRASTS)})")
    try:
        return expressions_of(data.table["meta_expression"])
    except ValueError as error:
        raise ValueError(f"{data.root}: {error}") from None


def predict(
    run: str | Path,
    photos_or_dataset: str | Path,
    out: str | Path | None = None,
    workers: int | None = None,
    all_aus: bool = False,
    max_error: float = 0.5,
    sides: bool = False,
) -> pd.DataFrame:
    """AU probabilities and landmarks of every picture, as a table and a CSV in OpenFace's column names.

    Columns: `image` (relative to the folder); `status`, "ok" or why there is no prediction (no face found,
    unreadable, no picture, no landmarks; the other cells are then empty); `note`; the square that was read:
    its centre `face_x`, `face_y`, its side `face_size` (pixels) and its rotation `face_roll` (degrees,
    clockwise); `map_entropy`, how spread the landmark maps are (nats): above the run's `largest_entropy` it
    sees no face and gives no prediction; `trust`, the expected share of right calls, see the function; for
    each AU of the run `AU01_c` (0 or 1, probability at least 0.5), `AU01_p` (0 to 1) and `AU01_r` (0 to 5,
    where its source had intensities: how intense the AU is, on average, on labelled faces of this
    probability); with `sides` `AU01_side` (-5 to 5, see `FacesRead`; empty where AU01 is not called
    present); the model's landmarks x_0 ..., y_0 ..., 68 or 49 as the run was trained, empty if it was trained
    without (as `source-only` is). All in pixels of the picture as shown.

    Args:
        photos_or_dataset: a dataset folder (all its splits; pictures that `aulib prepare` skipped keep a
            row), `synthetic:...`, or a picture or any folder of pictures; the extra `faces` or
            `landmarks` then finds the faces.
        out: the CSV, written in one step, over an earlier one but over no other file; None writes none.
            Until it is written, what was read is kept in the cache: the same call goes on there.
        workers: processes that look for faces; by default one for each core.
        all_aus: with the AUs that the run withholds (`Run.withheld`), which did not work on real faces.
        max_error: leave `AU01_c` empty where min(p, 1 - p), its expected error, is above this.
        sides: say on which side an AU is stronger, of the AUs in `Run.side_weights`; takes longer.

    Raises:
        FileNotFoundError: no such picture or folder, no picture in it, or no finished run.
        FileExistsError: `out` is another file.
        RunIsHeld: another process is writing `out`.
        ValueError: a dataset folder of which no row has landmarks, a run without weights of sides, or a
            `max_error` that is none.
        ModuleNotFoundError: photographs are given and neither extra, `faces` or `landmarks`, is installed.
    """
    refuse_max_error(max_error)
    with ExitStack() as stack:
        if out is not None:
            refuse_suffix(out, ".csv")
            refuse_other(out, "predictions")
            stack.enter_context(run_lock(out, patience=0, work="written"))
        opened = Run(run)
        weights = side_weights(opened) if sides else {}
        if str(photos_or_dataset).startswith("synthetic:") or has_manifest(photos_or_dataset):
            data = read_dataset(photos_or_dataset)
            read_from = opened.way_of_reading(photos_or_dataset, data.version)
            count, find, about = _dataset_faces(data, crop_of(opened.config), workers)
        else:
            read_from = opened.settings["read_target_from"]
            photos = Path(photos_or_dataset)
            count, find, about = _photographs(photos, crop_of(opened.config), workers, out)
        model = opened.model  # refuses damaged weights before anything is asked of them
        kept = None if out is None else kept_parts(opened, read_from, f"{about} {sides}")
        table = _read(model, read_from, count, find, kept, weights)
        read = [name for name in table if re.fullmatch(r"AU\d\d_[cp]|[xy]_\d+", name)]
        unseen = table["map_entropy"] > opened.largest_entropy
        table.loc[unseen, "status"], table.loc[unseen, read] = NO_FACE, pd.NA
        if not opened.finds_landmarks:
            table.loc[:, [name for name in read if name[:2] in ("x_", "y_")]] = np.nan
        if not all_aus:
            table = table[[name for name in table if name.partition("_")[0] not in opened.withheld]]
        table = table.copy()  # in one piece
        table.insert(table.columns.get_loc("map_entropy") + 1, "trust", trust(table))
        abstain(table, max_error)
        for name, values in intensities(table, opened).items():
            table.insert(table.columns.get_loc(f"{name[:4]}_p") + 1, name, values)
        if out is not None:
            with result_file(out, "predictions") as partial:
                table.to_csv(partial, index=False)
            if kept:
                shutil.rmtree(kept, ignore_errors=True)
    return table


def refuse_suffix(out: str | Path, written: str) -> None:
    """Raises ValueError if a table's name ends as a table of another kind than is written."""
    if (suffix := Path(out).suffix.lower()) in {".csv", ".parquet", ".xlsx"} - {written}:
        raise ValueError(f"{out} ends in {suffix}, and {written} is written; call it so")


def trust(table: pd.DataFrame) -> np.ndarray:
    """(N,) 0.5 to 1: the expected share of right calls of a face, mean of max(p, 1 - p) over AUs (ours).

    It is as true as the probabilities are; `evaluate` compares it with the errors on labelled faces.
    """
    probability = table.filter(regex=r"^AU\d\d_p$").to_numpy(float)
    return np.maximum(probability, 1 - probability).mean(1).round(3)


def refuse_max_error(max_error: float) -> None:
    """Raises ValueError for what is no expected error, before anything is read."""
    if not 0 < max_error <= 0.5:
        raise ValueError(f"max_error is {max_error:g}, expected more than 0 and at most 0.5")


def abstain(table: pd.DataFrame, max_error: float) -> None:
    """Empty `AU01_c`, ... in place where min(p, 1 - p) is above `max_error`, and `AU01_side`, ... where the
    AU is not called present."""
    for name in table.filter(regex=r"^AU\d\d_p$"):
        p = table[name].astype(float)
        table[f"{name[:4]}_c"] = table[f"{name[:4]}_c"].mask(np.minimum(p, 1 - p) > max_error)
    for name in table.filter(regex=r"^AU\d\d_side$"):
        table[name] = table[name].where((table[f"{name[:4]}_c"] == 1).fillna(False))


def intensities(table: pd.DataFrame, run: Run) -> dict[str, np.ndarray]:
    """Columns `AU01_r`, ... (0 to 5) of AUs whose probability is in the table and whose curve is known."""
    return {
        f"{au}_r": intensity_of(table[f"{au}_p"].to_numpy(float), curve).round(2)
        for au, curve in run.intensity_curves.items()
        if f"{au}_p" in table
    }


def side_weights(run: Run) -> dict[str, np.ndarray]:
    """`Run.side_weights`, (h, w) each.

    Raises:
        ValueError: it has none, or some that fit no map of evidence of its AUs.
    """
    weights = run.side_weights
    if not weights:
        raise ValueError(f"{run.path} does not tell left from right; the package's detector does")
    height, width = run.model.au_head.weight.shape[-2:]
    for au, rows in weights.items():
        if au not in run.aus or [len(row) for row in rows] != [width] * height:
            expected = f"{height} rows of {width} numbers, of an AU that the run knows"
            raise ValueError(f"{run.path / CONFIG} is damaged: side_weights of {au}, expected {expected}")
    return {au: np.array(rows) for au, rows in weights.items()}


Find = Callable[[list[int]], Iterator[tuple[int, FoundFace]]]  # rows -> each with its face, in any order


def _dataset_faces(data: DatasetFolder, spec: CropSpec, workers: int | None) -> tuple[int, Find, str]:
    """How many rows there are, how to get their faces, and what they depend on."""
    has_landmarks = ~np.isnan(data.landmarks).any(axis=(1, 2))
    if not data.num_landmarks or not has_landmarks.any():
        raise ValueError(
            f"{data.root} has no landmarks to cut faces by; `aulib prepare` on its pictures finds them"
        )
    usable = DatasetFolder(data.root, data.table[has_landmarks].reset_index(drop=True), data.version)
    crops = crop_dataset(usable, spec, workers=workers)
    images, place = data.table["image"].tolist(), np.cumsum(has_landmarks) - 1
    left, listed = [], set(images)
    skipped = data.root / "skipped.csv"
    if skipped.is_file() and b"reason" in skipped.read_bytes().partition(b"\n")[0]:  # else it is another list
        table, faults = read_table(skipped, (), keep_text=True)
        refuse(faults, skipped)
        if {"image", "reason"} <= set(table):  # `convert` lists frames there, not pictures
            others = table[~("images/" + table["image"]).isin(listed)]  # not other faces of a picture
            left = [FoundFace(row.image, row.reason) for row in others.itertuples()]

    def find(rows: list[int]) -> Iterator[tuple[int, FoundFace]]:
        for row in rows:
            if row >= len(images):
                yield row, left[row - len(images)]
            elif has_landmarks[row]:
                crop, matrix = crops.images[place[row]], crops.matrices[place[row]]
                yield row, FoundFace(images[row], OK, crop=crop, matrix=matrix)
            else:
                yield row, FoundFace(images[row], "no landmarks")

    return len(images) + len(left), find, f"{crops.folder} {data.version} {len(left)}"


def _photographs(
    photos: Path, spec: CropSpec, workers: int | None, out: str | Path | None
) -> tuple[int, Find, str]:
    """As `_dataset_faces`, of a picture or a folder of pictures, without `out` of an earlier call."""
    one = photos.is_file()
    folder, (images, left) = (photos.parent, ([photos.name], {})) if one else (photos, list_pictures(photos))
    earlier = out and os.path.realpath(out)
    left = {name: why for name, why in left.items() if os.path.realpath(folder / name) != earlier}
    names = sorted([*images, *left], key=printable)

    def find(rows: list[int]) -> Iterator[tuple[int, FoundFace]]:
        row_of = {names[row]: row for row in rows}
        tasks = [name for name in row_of if name not in left]
        work = partial(find_face, photos=folder, spec=spec)
        found = crash_tolerant_map(work, tasks, workers, lambda name: FoundFace(name, CRASHED))
        for face in tqdm(found, "finding faces", len(tasks), unit="picture", disable=one):
            yield row_of[face.image], face
        for name in left.keys() & row_of.keys():
            yield row_of[name], FoundFace(name, left[name])

    stamps = [(name, stamp(folder / name)) for name in images]
    return len(names), find, f"{folder.absolute()} {landmarks_by()} {stamps} {left}"


def kept_parts(run: Run, read_from: str, about: str) -> Path | None:
    """Where a prediction that is stopped keeps what it has read; None without a cache."""
    weights = digest_of(run.path / WEIGHTS)
    text = f"{weights} {code_version()} {CODE_VERSION} {run.saved['model']} {read_from} {about}"
    try:
        home = cache_root() / "predictions"
        home.mkdir(exist_ok=True)
    except OSError:
        return None
    if not os.access(home, os.W_OK):
        return None
    return home / hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def _read(
    model: AUModel, read_from: str, count: int, find: Find, kept: Path | None, weights: dict[str, np.ndarray]
) -> pd.DataFrame:
    """One row for each of `count`, in parts of always the same rows: each gives the same bits however often
    the prediction was stopped. `kept` is the folder of parts, those of earlier calls among them."""
    rows = [range(start, min(start + AT_ONCE, count)) for start in range(0, count, AT_ONCE)]
    files = {number: kept / f"{number}.parquet" for number in range(len(rows))} if kept else {}
    parts = {number: pd.read_parquet(file) for number, file in files.items() if file.is_file()}
    waiting: dict[int, dict[int, FoundFace]] = defaultdict(dict)
    for row, face in find(
        [row for number in range(len(rows)) if number not in parts for row in rows[number]]
    ):
        faces = waiting[number := row // AT_ONCE]
        faces[row] = face
        if len(faces) == len(rows[number]):
            parts[number] = _table(model, read_from, [faces[row] for row in rows[number]], weights)
            del waiting[number]
            if kept:
                with atomic_file(files[number]) as partial:
                    parts[number].to_parquet(partial)
    return pd.concat([parts[number] for number in sorted(parts)], ignore_index=True)


def _table(
    model: AUModel, read_from: str, faces: list[FoundFace], weights: dict[str, np.ndarray]
) -> pd.DataFrame:
    """One row a face, which are read together; no landmarks go in."""
    config, crops = model.config, [face.crop for face in faces]
    read, probability, points, squares, entropy, sides = predict_faces(
        model, read_from, crops, [face.matrix for face in faces], weights
    )
    columns = {
        name: [printable(getattr(face, name)) for face in faces] for name in ("image", "status", "note")
    }
    columns |= {name: squares[:, index].round(2) for index, name in enumerate(SQUARE)}
    columns["map_entropy"] = entropy.round(3)
    for index, au in enumerate(config.aus):
        present = pd.Series(probability[:, index] >= 0.5, dtype="Int64")
        columns[f"{au}_c"], columns[f"{au}_p"] = present.mask(~read), probability[:, index].round(4)
        if au in weights:
            columns[f"{au}_side"] = sides[f"{au}_side"]
    return pd.DataFrame(columns | point_columns(points.round(2)))


class FacesRead(NamedTuple):
    """N faces; NaN where there is no crop.

    read: (N,) bool, whether there is a crop.  probability: (N, A).  landmarks: (N, K, 2) in pixels of the
    pictures.  squares: (N, 4) as SQUARE.  map_entropy: (N,) nats.
    sides: columns `AU12_side`, ..., (N,) each, how much more intense an AU is on the subject's left than on
    the right, -5 to 5 (ours: a linear reading of `evaluate.side_evidence`).
    """

    read: np.ndarray
    probability: np.ndarray
    landmarks: np.ndarray
    squares: np.ndarray
    map_entropy: np.ndarray
    sides: dict[str, np.ndarray]


def predict_faces(
    model: AUModel,
    read_from: str,
    crops: list[np.ndarray | None],
    matrices: list[np.ndarray | None],
    weights: dict[str, np.ndarray],
) -> FacesRead:
    """Faces read together; a crop or matrix may be None where there is none.

    Args:
        crops: (S, S, 3) uint8 margin crops.  matrices: (2, 3) from picture to crop.
        weights: AU -> (h, w), see `side_weights`.
    """
    config, count = model.config, len(crops)
    read = np.array([crop is not None for crop in crops])
    probability, points = (
        np.full((count, *shape), np.nan) for shape in ((len(config.aus),), (config.num_landmarks, 2))
    )
    squares, entropy = np.full((count, len(SQUARE)), np.nan), np.full(count, np.nan)
    sides = {f"{au}_side": np.full(count, np.nan) for au in weights}
    if read.any():
        there = np.stack([matrix for matrix in matrices if matrix is not None])
        faces = np.stack([crop for crop in crops if crop is not None])
        found = predict_crops(model, faces, read_from)
        probability[read], entropy[read] = found.probability, found.map_entropy
        points[read] = to_picture(found.landmarks, there, config.au_centres)
        squares[read] = squares_read(there, config.margin_size)
        evidence = side_evidence(model, faces) if weights else None
        for au, table in weights.items():
            more = (evidence[:, config.aus.index(au)] * table).sum((-2, -1))
            sides[f"{au}_side"][read] = more.clip(-5, 5).round(2)
    return FacesRead(read, probability, points, squares, entropy, sides)


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


def has_manifest(folder: str | Path) -> bool:
    """Whether it is a dataset folder, and no folder of pictures; False for a picture.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if Path(folder).is_file():
        return False
    if not Path(folder).is_dir():
        place, protocol = split_name(str(folder))
        if protocol and has_manifest(place):
            return True
        raise FileNotFoundError(
            f"there is no {folder}; expected a picture, a clip, a folder of them or a dataset folder"
        )
    try:
        return bool(manifest_path(Path(folder)))
    except FileNotFoundError:
        return False
