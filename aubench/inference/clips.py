"""AUs of a clip: a row for each face of each frame, as OpenFace and py-feat write them.

A clip of any length takes the same memory, but for its table of AUs: frames are read one after the other, and
what was read is kept in parts, from which the same call goes on.
"""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit, logit
from tqdm.auto import tqdm

from aubench.datasets.kept_outcomes import stamp
from aubench.datasets.landmark_detector import landmarks_by
from aubench.datasets.picture_files import begins_as_video, is_video, list_pictures, walk
from aubench.datasets.videos import Clip, clip_frames, length_of
from aubench.inference.predict import (
    SQUARE,
    abstain,
    intensities,
    kept_parts,
    predict_faces,
    refuse_max_error,
    refuse_suffix,
    side_weights,
    trust,
)
from aubench.inference.tracking import CODE_VERSION, Tracker
from aubench.study.run_lock import run_lock
from aulib.crops import crop_of
from aulib.files import atomic_file, digest_of, read_json, refuse_other, result_file, write_json
from aulib.landmarks import point_columns
from aulib.run import CONFIG, WEIGHTS, Run

ABOUT = ["frame", "face_id", "timestamp", "confidence", "success"]
FIRST = [*ABOUT, *SQUARE]
AT_REST = 0.05  # the probability of an AU on a person's neutral frames, at most, once they are given
LONGEST_MEAN = 3600.0  # seconds of a moving average
CALMEST = 0.1  # share of a person's frames that count as neutral if none are named
AT_ONCE = 64  # frames that are read together and kept
FRAMES = re.compile(r"(\d+)(?:-(\d+))?")  # 12, or 1-30


def clips_in(place: str | Path) -> list[Path]:
    """The video itself, whatever its name, all videos below a folder that holds no picture, or all that a
    pattern names (`clips/*.mp4`); none if it is something else."""
    path = Path(place)
    if any(sign in str(place) for sign in "*?[") and not path.exists():
        start = Path(path.anchor or ".")
        return sorted(one for one in start.glob(str(path.relative_to(path.anchor))) if is_video(one))
    if path.is_dir():
        found = [path / folder / name for folder, names in walk(path, {}) for name in names]
        found = [file for file in found if is_video(file)]
        try:
            return [] if not found or list_pictures(path)[0] else sorted(found)
        except FileNotFoundError:
            return sorted(found)
    return [path] if path.is_file() and (is_video(path) or begins_as_video(path)) else []


def refuse_no_file(path: Path) -> None:
    """Raises ValueError for what a pattern or folder names that is no file; to open a pipe waits for ever."""
    if not path.is_file():
        raise ValueError(f"{path} is no file, but a folder, a pipe or a link to nothing; expected a video")


def tables_of(clips: list[Path], folder: Path, form: str) -> list[Path]:
    """Where the tables of several clips go: below a folder as the clips lie below their common one.

    Raises:
        ValueError: two clips would get the same name.
    """
    suffix = ".parquet" if form == "parquet" else ".csv"
    common = Path(os.path.commonpath([clip.parent for clip in clips]))
    tables = [(folder / clip.relative_to(common)).with_suffix(suffix) for clip in clips]
    if twice := [clip for clip, table in zip(clips, tables, strict=True) if tables.count(table) > 1]:
        raise ValueError(f"{twice[0]} and {twice[1]} would be written to one table; rename one of them")
    return tables


def predict_clip(
    run: str | Path,
    clip: Clip,
    out: str | Path | None = None,
    form: str = "openface",
    neutral: str = "",
    save_neutral: str | Path | None = None,
    smooth: float = 0.0,
    all_aus: bool = False,
    max_error: float = 0.5,
    sides: bool = False,
    keep: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> pd.DataFrame:
    """AU probabilities of every face of a clip, and its landmarks in `out`.

    Columns: `frame` (its place in the clip, from 1), `face_id` (from 0, who is who), `timestamp` (seconds
    after the first frame), `confidence` (0 to 1, ours: see `confidence_of`; empty for a run without a limit),
    `success` (1, or 0 where no face is seen: other cells are then empty; a frame without any face keeps a
    row of face_id 0), the square that was read (SQUARE), `AU01_c` (0 or 1), `AU01_p` (0 to 1), `AU01_r`
    (intensity 0 to 5), `AU01_side` (if asked) and `trust` (0.5 to 1), as in `predict`; in `out` also
    landmarks x_0 ..., y_0 ..., pixels of the upright frame.

    Args:
        out: table to write in one step, over an earlier one but over no other file. Until it is written,
            what was read is kept in the cache: the same call goes on there.
        form: "openface" (the columns above), "pyfeat" (FaceRectX ..., AU01 as probability, frames from
            0), "long" (a row for each AU) or "parquet" (as openface).
        neutral: frames of a neutral face, "1-30"; "auto", of each person the CALMEST share of frames; or a
            file that `save_neutral` wrote, for the person with most frames. An AU that there reads above
            AT_REST is lowered on all frames, in logits, until it does not; none is raised (ours).
        save_neutral: JSON to write, of the person with most frames.
        smooth: seconds of a moving average of probabilities, centred; 0 for none.
        max_error, sides: as in `predict`; "pyfeat" has no columns for sides. These are as read, whatever
            `neutral` and `smooth` say.
        keep: leave what was read in the cache, until `forget` removes it.
        note: called with what is odd about the clip.

    Raises:
        FileExistsError: `out` is another file.
        FileNotFoundError: no such clip or run.
        RunIsHeld: another process is writing `out`.
        ValueError: the file holds no video, or bad parameters.
        ModuleNotFoundError: PyAV or ONNX Runtime is not installed.
    """
    if form not in LAYOUTS:
        raise ValueError(f"unknown format {form!r}; choose one of {', '.join(LAYOUTS)}")
    if not clip.path.exists():
        raise FileNotFoundError(f"there is no {clip.path}; expected a video or a folder of frames")
    numbers = FRAMES.fullmatch(neutral)
    in_order = numbers and 1 <= int(numbers[1]) <= int(numbers[2] or numbers[1])
    if neutral and not (in_order or neutral == "auto" or Path(neutral).is_file()):
        expected = "frames from 1 on as in 1-30, auto, or a file of --save-neutral"
        raise ValueError(f"neutral is {neutral!r}; expected {expected}")
    if not 0 <= smooth <= LONGEST_MEAN:
        raise ValueError(f"smooth is {smooth:g} seconds, expected 0 to {LONGEST_MEAN:g}")
    refuse_max_error(max_error)
    if sides and form == "pyfeat":
        raise ValueError("py-feat's tables have no columns for sides; choose another format")
    if save_neutral is not None and not neutral:
        raise ValueError(f"{save_neutral}: which frames of {clip.path} are neutral? Give them, or auto")
    opened = Run(run)
    in_file = neutral not in ("", "auto") and not numbers
    saved = _saved_neutral(neutral, opened) if in_file else None  # refused before the clip is read
    with ExitStack() as stack:
        if out is not None:
            refuse_suffix(out, ".parquet" if form == "parquet" else ".csv")
            refuse_other(out, form)
            stack.enter_context(run_lock(out, patience=0, work="written"))
        if save_neutral is not None:
            refuse_other(save_neutral, "neutral")
        weights = side_weights(opened) if sides else {}
        kept = _kept(opened, clip, sides) if out is not None or keep else None
        folder = kept or Path(stack.enter_context(TemporaryDirectory()))
        parts = _read(opened, clip, folder, note, weights)
        aus = [au for au in opened.config.aus if all_aus or au not in opened.withheld]
        columns = [*FIRST, *(f"{au}_p" for au in opened.config.aus), *(f"{au}_side" for au in weights)]
        table = pd.concat([pd.read_parquet(part, columns=columns) for part in parts], ignore_index=True)
        baselines = _baselines(table, opened.config.aus, neutral, clip, saved)
        if save_neutral is not None:
            _save_neutral(table, opened, baselines, clip, save_neutral, note)
        if neutral and (without := sorted({face for face, _ in _people(table)} - baselines.keys())):
            note(
                f"no neutral face of {', '.join(f'face {face}' for face in without)}, whose AUs stay as read"
            )
        for face, baseline in baselines.items():
            shown = [
                au for au, value in zip(opened.config.aus, baseline, strict=True) if au in aus and value > 0
            ]
            if shown:
                note(
                    f"face {face} reads {', '.join(shown)} on its neutral frames; did it show nothing there?"
                )
        _lower(table, opened.config.aus, baselines)
        if smooth:
            _smooth(table, opened.config.aus, smooth)
        table = _called(table, aus)
        abstain(table, max_error)
        table = table.assign(**intensities(table, opened), trust=trust(table))
        if out is not None:
            _write(table, parts, Path(out), form, clip)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return table


def forget(run: str | Path, clip: Clip, sides: bool = False) -> None:
    """Remove what `predict_clip` has kept of a clip."""
    if kept := _kept(Run(run), clip, sides):
        shutil.rmtree(kept, ignore_errors=True)


def confidence_of(entropy: np.ndarray, largest: float) -> np.ndarray:
    """How sure the model is that a crop shows a face, 0 to 1 (ours).

    1 - (n / most)^2, where n = exp(entropy) is over how many cells its landmark maps are spread, and `most`
    that from which it sees no face; NaN without such a limit.
    """
    if not np.isfinite(largest):
        return np.full(np.shape(entropy), np.nan)
    return np.clip(1 - np.exp(2 * (np.asarray(entropy) - largest)), 0, 1)


def _kept(opened: Run, clip: Clip, sides: bool) -> Path | None:
    files = [clip.path / name for name in list_pictures(clip.path)[0]] if clip.path.is_dir() else [clip.path]
    stamps = [(file.name, stamp(file)) for file in files]
    way = f"{clip.every} {clip.fps} {landmarks_by()} {sides}"
    about = f"clip {CODE_VERSION} {clip.path.absolute()} {stamps} {way}"
    return kept_parts(opened, opened.settings["read_target_from"], about)


def _read(
    opened: Run, clip: Clip, folder: Path, note: Callable[[str], None], weights: dict[str, np.ndarray]
) -> list[Path]:
    """Parts of the table, of AT_ONCE frames each; those in `folder` are not read again. Beside each lies the
    tracker's state after it."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "whole.json"
    if not whole.is_file():
        done, notes = 0, []
        while (folder / f"{done}.parquet").is_file() and (folder / f"{done}.npz").is_file():
            done += 1
        tracker = Tracker(crop_of(opened.config))
        if done:
            with np.load(folder / f"{done - 1}.npz") as state:
                tracker.restore(state)
        model = opened.model  # refuses damaged weights before the clip is opened
        frames = clip_frames(clip, notes.append)
        length = None if clip.fps and not clip.path.is_dir() else length_of(clip.path)
        with tqdm(frames, clip.path.name, length and -(-length // clip.every), unit="frame") as bar:
            faces, count = [], 0
            for count, frame in enumerate(bar, 1):
                if count <= done * AT_ONCE:
                    continue
                seen = tracker.update(frame.picture, frame.time)
                faces += [(frame.number, frame.time, *face) for face in seen or [(0, None, None)]]
                if count % AT_ONCE == 0:
                    _keep(_table(opened, model, faces, weights), tracker, folder, count // AT_ONCE - 1)
                    faces = []
            if faces:
                _keep(_table(opened, model, faces, weights), tracker, folder, count // AT_ONCE)
        write_json(whole, {"parts": -(-count // AT_ONCE), "notes": notes})
    about = read_json(whole)
    for text in about["notes"]:
        note(text)
    return [folder / f"{number}.parquet" for number in range(about["parts"])]


def _keep(table: pd.DataFrame, tracker: Tracker, folder: Path, number: int) -> None:
    with atomic_file(folder / f"{number}.parquet") as temporary:
        table.to_parquet(temporary)
    with atomic_file(folder / f"{number}.npz") as temporary:
        np.savez(temporary, **tracker.state())  # adds its suffix unless the name has it


def _table(opened: Run, model, faces: list[tuple], weights: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row for each of (frame, time, face_id, crop or None, matrix)."""
    config = opened.config
    crops, matrices = [crop for *_, crop, _ in faces], [matrix for *_, matrix in faces]
    read_from = opened.settings["read_target_from"]
    found = predict_faces(model, read_from, crops, matrices, weights)
    read, entropy, sides = found.read, found.map_entropy, found.sides
    values = found.probability, found.landmarks, found.squares
    probability, points, squares = (value.astype(np.float32) for value in values)
    seen = read & (entropy <= opened.largest_entropy)
    probability[~seen], points[~seen] = np.nan, np.nan
    if not opened.finds_landmarks:
        points[:] = np.nan
    confidence = np.where(read, confidence_of(entropy, opened.largest_entropy), 0.0)
    columns = {
        "frame": [number + 1 for number, *_ in faces],
        "face_id": [face for _, _, face, *_ in faces],
        "timestamp": np.round([time for _, time, *_ in faces], 4),
        "confidence": confidence.astype(np.float32).round(3),
        "success": seen.astype(np.int8),
    }
    columns |= {name: squares[:, index].round(2) for index, name in enumerate(SQUARE)}
    columns |= {f"{au}_p": probability[:, index] for index, au in enumerate(config.aus)}
    return pd.DataFrame(columns | sides | point_columns(points.round(2)))


def _baselines(
    table: pd.DataFrame, aus: tuple[str, ...], neutral: str, clip: Clip, saved: np.ndarray | None = None
) -> dict[int, np.ndarray]:
    """face_id -> (A,) logits on neutral frames; those `saved` are of the face in most frames."""
    if not neutral:
        return {}
    if frames := FRAMES.fullmatch(neutral):
        first, last = int(frames[1]), int(frames[2] or frames[1])
        chosen = table["frame"].between(first, last)
        if not (chosen & (table["success"] == 1)).any():
            last = table["frame"].max()
            raise ValueError(f"{clip.path} has no face in frames {neutral}; its frames are 1 to {last}")
        return {face: _logits(rows, aus).median().to_numpy() for face, rows in _people(table[chosen])}
    if neutral == "auto":
        found = {}
        for face, rows in _people(table):
            shown = rows[[f"{au}_p" for au in aus]].astype(float).sum(axis=1)  # so many AUs are expected
            calm = shown.nsmallest(max(1, round(CALMEST * len(rows)))).index
            found[face] = _logits(rows.loc[calm], aus).median().to_numpy()
        return found
    most = table.loc[table["success"] == 1, "face_id"].mode()
    return {face: saved for face in most[:1]}


def _saved_neutral(file: str | Path, opened: Run) -> np.ndarray:
    """(A,) logits that `save_neutral` wrote, of the same detector."""
    kept, aus = read_json(file), opened.config.aus
    saved = kept.get("neutral")
    if not isinstance(saved, dict) or not set(aus) <= set(saved):
        raise ValueError(f'{file}: expected the logit of each of {", ".join(aus)} under "neutral"')
    for au in aus:
        if type(saved[au]) not in (int, float) or not np.isfinite(saved[au]):
            raise ValueError(f"{file}: {au} is {saved[au]!r}, expected a finite number")
    if kept.get("detector") != _detector(opened):
        whose = "another detector" if "detector" in kept else "an earlier version, which names no detector"
        raise ValueError(f"{file} was saved by {whose}; save it again with {opened.path}")
    return np.array([float(saved[au]) for au in aus])


def _detector(opened: Run) -> str:
    """Digests of a run's settings and weights; the logits of two detectors cannot be compared."""
    return " ".join(digest_of(opened.path / name)[:16] for name in (CONFIG, WEIGHTS))


def _people(table: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    return list(table[table["success"] == 1].groupby("face_id"))


def _logits(rows: pd.DataFrame, aus: tuple[str, ...]) -> pd.DataFrame:
    return rows[[f"{au}_p" for au in aus]].astype(float).clip(1e-6, 1 - 1e-6).apply(logit)


def _save_neutral(
    table: pd.DataFrame,
    opened: Run,
    baselines: dict[int, np.ndarray],
    clip: Clip,
    path: str | Path,
    note: Callable[[str], None],
) -> None:
    if not baselines:
        raise ValueError(f"{path}: {clip.path} has no face")
    if len(baselines) > 1:
        note(f"{path} is of one of {len(baselines)} faces, the one in most frames")
    face = max(baselines, key=lambda face: ((table["face_id"] == face) & (table["success"] == 1)).sum())
    values = dict(zip(opened.config.aus, baselines[face].round(4).tolist(), strict=True))
    about = {"clip": str(clip.path), "face_id": int(face), "detector": _detector(opened)}
    with result_file(path, "neutral") as partial:
        write_json(partial, {"neutral": values, **about})


def _lower(table: pd.DataFrame, aus: tuple[str, ...], baselines: dict[int, np.ndarray]) -> None:
    names = [f"{au}_p" for au in aus]
    for face, baseline in baselines.items():
        rows = table["face_id"] == face
        table.loc[rows, names] = expit(
            _logits(table[rows], aus) - np.maximum(baseline - logit(AT_REST), 0)
        ).astype(np.float32)


def _smooth(table: pd.DataFrame, aus: tuple[str, ...], seconds: float) -> None:
    names = [f"{au}_p" for au in aus]
    for _, rows in _people(table):
        timed = rows[names].set_axis(pd.to_timedelta(rows["timestamp"], unit="s"))
        mean = timed.rolling(pd.Timedelta(seconds=seconds), center=True).mean()
        table.loc[rows.index, names] = mean.to_numpy(np.float32)


def _called(table: pd.DataFrame, aus: list[str]) -> pd.DataFrame:
    """The table with AU01_c ... of the given AUs, in the order of the file."""
    columns = {name: table[name] for name in FIRST}
    seen = table["success"] == 1
    for au in aus:
        columns[f"{au}_c"] = (table[f"{au}_p"] >= 0.5).astype("Int8").mask(~seen)
    columns |= {f"{au}_p": table[f"{au}_p"].round(4) for au in aus}
    return pd.DataFrame(columns | {f"{au}_side": table[f"{au}_side"] for au in aus if f"{au}_side" in table})


def _write(table: pd.DataFrame, parts: list[Path], out: Path, form: str, clip: Clip) -> None:
    start = 0
    with result_file(out, form) as temporary, ExitStack() as stack:
        writer = None
        for part in parts:
            points = pd.read_parquet(part)
            points = points[[name for name in points if re.fullmatch(r"[xy]_\d+", name)]]
            rows = table.iloc[start : start + len(points)].reset_index(drop=True)
            rows = LAYOUTS[form](rows, points, clip)
            if form != "parquet":
                rows.to_csv(temporary, mode="a", header=not start, index=False)
            else:
                arrow = pa.Table.from_pandas(rows, preserve_index=False)
                writer = writer or stack.enter_context(pq.ParquetWriter(temporary, arrow.schema))
                writer.write_table(arrow)
            start += len(points)


def _as_openface(table: pd.DataFrame, points: pd.DataFrame, clip: Clip) -> pd.DataFrame:
    return pd.concat([table[FIRST], points, table.drop(columns=FIRST)], axis=1)


def _as_pyfeat(table: pd.DataFrame, points: pd.DataFrame, clip: Clip) -> pd.DataFrame:
    left, top = (points.filter(regex=rf"^{axis}_").min(axis=1) for axis in "xy")
    right, bottom = (points.filter(regex=rf"^{axis}_").max(axis=1) for axis in "xy")
    columns = {"frame": table["frame"] - 1, "face_id": table["face_id"], "timestamp": table["timestamp"]}
    columns |= {"FaceRectX": left, "FaceRectY": top, "FaceRectWidth": right - left}
    columns |= {"FaceRectHeight": bottom - top, "FaceScore": table["confidence"]}
    aus = {name.removesuffix("_p"): table[name] for name in table if name.endswith("_p")}
    return pd.DataFrame(columns | dict(points.items()) | aus | {"input": str(clip.path)})


def _as_rows(table: pd.DataFrame, points: pd.DataFrame, clip: Clip) -> pd.DataFrame:
    first = table[["frame", "face_id", "timestamp"]]
    aus = [name.removesuffix("_p") for name in table if name.endswith("_p")]
    kinds = {"probability": "p", "present": "c", "intensity": "r"}
    if any(name.endswith("_side") for name in table):
        kinds |= {"side": "side"}
    rows = [
        first.assign(au=au, **{name: table.get(f"{au}_{end}") for name, end in kinds.items()}) for au in aus
    ]
    return pd.concat(rows).sort_index(kind="stable")


LAYOUTS = {"openface": _as_openface, "parquet": _as_openface, "pyfeat": _as_pyfeat, "long": _as_rows}
