"""Any folder of pictures -> a dataset folder with landmarks.

One picture that cannot be used never stops the others: it is listed in skipped.csv with the reason.
"""

import hashlib
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from aubench.datasets.crash_tolerant import CRASHED, crash_tolerant_map
from aubench.datasets.doctor.landmarks import refuse_no_face
from aubench.datasets.face_finding import (
    CODE_VERSION,
    MAX_SIDE,
    GivenFace,
    StoredPicture,
    store_picture,
    unused,
)
from aubench.datasets.interchange.tables import NAME_COLUMNS
from aubench.datasets.kept_outcomes import kept_outcomes, stamp
from aubench.datasets.landmark_detector import landmarks_by, require_detector
from aubench.datasets.landmark_tables import Pictures, read_landmarks, unpaired
from aubench.datasets.picture_files import (
    PROGRESS,
    by_stored_name,
    list_pictures,
    printable,
    shortened,
    stored_name,
    write_listed,
)
from aubench.study.run_lock import run_lock
from aulib.dataset import DatasetFolder, read_dataset, write_manifest
from aulib.files import edited, refuse_edited, refuse_used
from aulib.landmarks import point_columns
from aulib.manifest import SPLITS
from aulib.tables import normal_form, person_name, read_table, refuse

FEW_FRAMES = 5  # as many pictures numbered in a row may be a recording
NOT_GIVEN = GivenFace(None, "no landmarks given for it")


def prepare(
    photos: str | Path,
    out: str | Path,
    landmarks: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    split: str = "auto",
    subject: str = "",
    about: str | Path | pd.DataFrame | None = None,
    only: str = "",
    report: Callable[[str], None] = lambda text: None,
) -> DatasetFolder:
    """Turn a folder of pictures, nested or not, into a dataset folder.

    `out` gets copies (upright, RGB, at most MAX_SIDE pixels), manifest.csv, skipped.csv (image, reason) and
    notes.csv (image, note). Repeat an interrupted call to continue it, and a finished one after the pictures
    changed.

    Args:
        landmarks: a CSV (or folder of CSVs) with landmarks instead of the detector; see `read_landmarks`.
        workers: processes; by default one for each core.
        split: "auto" divides the subjects 80/10/10 by a hash of their names; train, val or test gets all.
        subject: the person on all pictures, as on the frames of a recording; "" goes by `about`, or by
            `subjects_of`.
        about: what is known of the pictures, a CSV or its content: see `read_about`. Pictures that it does
            not name have empty cells.
        only: a regular expression; pictures whose path does not match it are not looked at.
        report: called with notes for the user: which rows of `landmarks` and `about` name no picture.

    Raises:
        FileNotFoundError: no such folder, or no pictures in it.
        FileExistsError: `out` holds files that this function did not write, or one that would be written was
            edited.
        ModuleNotFoundError: no `landmarks` given and the `landmarks` extra is not installed.
        RunIsHeld: another process is writing `out`.
        ValueError: no picture could be used, faults in `landmarks` or `about`, or a `subject` beside those
            of `about`.
    """
    if split not in ("auto", *SPLITS):
        raise ValueError(f"unknown split {split!r}; choose auto, {', '.join(SPLITS)}")
    photos, out = Path(photos), Path(out)
    if subject and not (subject := printable(person_name(subject))):
        raise ValueError("subject is blank (or nan, NA, null), expected a name")
    if os.path.realpath(out) == os.path.realpath(photos):
        raise FileExistsError(f"{out} is the folder of photographs itself, expected another one")
    if not (out / PROGRESS).is_file():
        refuse_used(out)
    refuse_edited(out, "manifest.csv", "skipped.csv", "notes.csv")
    with run_lock(out, patience=0, work="written"):
        sources, left = list_pictures(photos, out)
        sources = [source for source in sources if re.search(only, source)]
        left = {path: why for path, why in left.items() if re.search(only, path)}
        known = pd.DataFrame() if about is None else read_about(about, sources, report)
        known = known.reindex(pd.Index(sources, dtype=object), fill_value="")  # names may be no UTF-8
        if subject and "subject" in known and known["subject"].ne("").any():
            where = "the table" if isinstance(about, pd.DataFrame) else about
            raise ValueError(
                f"--subject is {subject!r}, and {where} names people, too: leave one of them out"
            )
        if subject:
            known["subject"] = subject
        faces: dict[str, GivenFace | None] = dict.fromkeys(sources)  # None asks the detector
        finder = "given"
        if landmarks is None:
            finder = landmarks_by()
            require_detector()
        else:
            named = by_stored_name(sources)
            given = read_landmarks(landmarks, list(named), report)
            faces = dict.fromkeys(sources, NOT_GIVEN) | {named[name]: face for name, face in given.items()}
        out.mkdir(parents=True, exist_ok=True)
        stamps = {source: stamp(photos / source, faces[source]) for source in sources}
        settings = {"code_version": CODE_VERSION, "max_side": MAX_SIDE, "landmarks": finder}
        names = _stored_names(sources)
        work = partial(store_picture, photos=photos, out=out)
        with kept_outcomes(out / PROGRESS, out, settings) as (before, keep):
            if before and not before.keys() & set(sources):
                raise FileExistsError(
                    f"{out} was made of other pictures, as {next(iter(before))}; choose another folder"
                )
            done = {source: kept for source, kept in before.items() if stamps.get(source) == kept.stamp}
            refuse_edited(out, *(kept.image for kept in done.values() if kept.image))
            left_to_do = [source for source in sources if source not in done]
            tasks = [(StoredPicture(name, stamps[name], names[name]), faces[name]) for name in left_to_do]
            found = crash_tolerant_map(work, tasks, workers, lambda task: unused(task[0], CRASHED))
            for outcome in tqdm(
                found, "preparing", len(sources), initial=len(done), unit="picture", disable=not progress
            ):
                keep(outcome)
                done[outcome.source] = outcome
        outcomes = [done[source] for source in sources]
        outcomes += [StoredPicture(path, "", reason=why) for path, why in sorted(left.items())]
        data = _write_dataset(out, outcomes, split, faces, known, landmarks)
        gone = {outcome.image for outcome in before.values()} - {"", *data.table["image"]}
        for image in (stays := edited(out, sorted(gone))):
            report(f"{out / image} was edited and stays; the picture that it was made of is gone")
        for image in gone - set(stays):
            (out / image).unlink(missing_ok=True)
        return data


def read_about(
    table: str | Path | pd.DataFrame, pictures: list[str], report: Callable[[str], None] = lambda text: None
) -> pd.DataFrame:
    """What a table says of the pictures, text: `subject` and `meta_...`, indexed by picture.

    Args:
        table: a CSV with a column `image` (or another of NAME_COLUMNS), paired as in `landmark_tables`, and
            `subject`, `meta_...` or both; or the same as a DataFrame.
        report: called with the rows that name no picture.

    Raises:
        ValueError: other columns, an empty name, a picture in two rows, or no row that names a picture.
    """
    where = "the table" if isinstance(table, pd.DataFrame) else str(table)
    if not isinstance(table, pd.DataFrame):
        table, faults = read_table(table, (), keep_text=True)
        refuse(faults, where)
    names = next((name for name in NAME_COLUMNS if name in table), None)
    others = [name for name in table if not re.fullmatch(rf"{names}|subject|(?!meta_source$)meta_\w+", name)]
    if names is None or others:
        found = f"column {others[0]}" if names else f"no column {', '.join(NAME_COLUMNS)}"
        raise ValueError(f"{where} has {found}, expected image, subject and columns such as meta_expression")
    if len(empty := table.index[table[names] == ""]):
        raise ValueError(f"{where} line {empty[0] + 2}: {names} is empty, expected a picture's name")
    folder = Pictures(pictures)
    found = folder.find(table[names].tolist(), where)
    missing = {name: folder.why_missing(name) for name in table[names] if name not in found}
    table = table.assign(**{names: table[names].map(found)}).dropna(subset=[names])
    if not len(table):
        told = unpaired(where, missing) or f"{where} has no row"
        raise ValueError(f"{told}; the pictures are {pictures[0]!r} ...")
    if missing:
        report(unpaired(where, missing))
    if (twice := table[names].duplicated()).any():
        raise ValueError(
            f"{where}: {table.loc[twice, names].iloc[0]!r} occurs twice, expected each picture once"
        )
    table = table.set_index(names).fillna("").astype(str)
    if "subject" in table:
        table["subject"] = table["subject"].map(person_name).map(printable)
    return table


def subjects_of(sources: list[str], clips: list[str] | None = None) -> list[str]:
    """The person on each picture, by its folder.

    That is the top folder below what all pictures share, so that nobody is in two; a picture directly in the
    shared folder is its own subject, named by its stem.

    Args:
        clips: the recording that each picture is a frame of (a path), or ""; it is the subject instead of the
            stem.
    """
    parts = [PurePosixPath(source).parts for source in sources]
    shared = len(os.path.commonprefix([part[:-1] for part in parts]))
    people = []
    for source, part, clip in zip(sources, parts, clips or [""] * len(parts), strict=True):
        alone = PurePosixPath(clip).name or PurePosixPath(source).stem
        name = part[shared] if len(part) > shared + 1 else alone
        people.append(printable(person_name(name)) or f"unnamed {name}".strip())
    return people


def split_subjects(subjects: list[str]) -> dict[str, str]:
    """Split of each subject: a tenth (at least one) to test and to val, the rest to train.

    Subjects are taken in the order of a hash of their names, so the split depends on nothing else. With
    fewer than three subjects all are in train.
    """
    order = sorted(set(subjects), key=lambda subject: hashlib.sha256(subject.encode()).hexdigest())
    held_out = max(1, round(len(order) / 10)) if len(order) >= 3 else 0
    kinds = ["test"] * held_out + ["val"] * held_out + ["train"] * (len(order) - 2 * held_out)
    return dict(zip(order, kinds, strict=True))


def subject_summary(faces: DatasetFolder) -> str:
    """Faces and people in all and in each split; and a warning where one person has most of the faces, or
    where people may be frames of one recording."""
    people = pd.Series(faces.subjects).value_counts()
    shares = ", ".join(f"{split} {len(faces.rows(split))}" for split in SPLITS)
    text = f"{len(faces)} faces of {len(people)} people, as far as folders tell: {shares}"
    if len(people) > 1 and people.iloc[0] > len(faces) / 2:
        text += (
            f"\nwarning: {people.iloc[0]} of them count as one person, {people.index[0]!r}, and stay in one "
            "split; if that folder holds many people, prepare it by itself"
        )
    if len(frames := in_a_row(people.index[people == 1].tolist())) > 1:
        text += (
            f"\nwarning: {len(frames)} people of one picture each are numbered in a row, {frames[0]} to "
            f"{frames[-1]}; frames of one recording are one person, `aulib prepare --subject NAME` says so"
        )
    return text


def in_a_row(names: list[str]) -> list[str]:
    """The longest list of names that differ only in a final number that grows in equal steps, as the names of
    frames do, with a tenth of the steps missing; [] if all lists are shorter than FEW_FRAMES."""
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        start, number = re.fullmatch(r"(.*?)(\d*)", name, re.DOTALL).groups()
        if number:
            numbered.setdefault(start, {})[int(number)] = name
    rows: list[list[str]] = [[]]
    for by_number in numbered.values():
        numbers = sorted(by_number)
        steps = np.diff(numbers)
        if len(numbers) >= FEW_FRAMES and (steps == np.median(steps)).mean() >= 0.9:
            rows.append([by_number[number] for number in numbers])
    return max(rows, key=len)


def _write_dataset(
    out: Path,
    outcomes: list[StoredPicture],
    split: str,
    given: dict[str, GivenFace | None],
    known: pd.DataFrame,
    landmarks: str | Path | None,
) -> DatasetFolder:
    used = [outcome for outcome in outcomes if outcome.image]
    table = pd.DataFrame(
        {name: [printable(getattr(one, name)) for one in outcomes] for name in ("source", "reason", "note")}
    )
    table = table.rename(columns={"source": "image"})
    for column, file in (("reason", "skipped.csv"), ("note", "notes.csv")):
        write_listed(out / file, table.loc[table[column] != "", ["image", column]])
    if not used:
        reasons = ", ".join(sorted(set(table["reason"]))[:3])
        raise ValueError(
            f"none of {len(outcomes)} pictures could be used ({reasons}); see {out / 'skipped.csv'}"
        )
    faces = [given[outcome.source] or NOT_GIVEN for outcome in used]
    sources = pd.Index([outcome.source for outcome in used], dtype=object)
    known, people = known.loc[sources], subjects_of(list(sources), [face.clip for face in faces])
    named = known.get("subject", people)
    people = [name or folder for name, folder in zip(named, people, strict=True)]
    splits = split_subjects(people) if split == "auto" else dict.fromkeys(people, split)
    table = {
        "image": [outcome.image for outcome in used],
        "subject": [f"{person}{face.face}" for person, face in zip(people, faces, strict=True)],
        "split": [splits[person] for person in people],
        "meta_source": [printable(source) for source in sources],
    } | {name: known[name].to_numpy() for name in known if name != "subject"}
    if any(face.face_id for face in faces):
        table["face_id"] = [face.face_id for face in faces]
    table |= point_columns(np.array([outcome.landmarks for outcome in used], dtype=np.float32))
    table = pd.DataFrame(table)
    if landmarks is not None:
        refuse_no_face(DatasetFolder(out, table), landmarks)
    write_manifest(out, table, remember=True)
    return read_dataset(out)


def _stored_names(sources: list[str]) -> dict[str, str]:
    """images/<source>, with .jpg appended where a file of another kind is stored as JPEG."""
    names: dict[str, str] = {}
    taken = set()
    for source in sources:
        name = f"images/{shortened(stored_name(source))}"
        if PurePosixPath(name).suffix.lower() not in (".jpg", ".jpeg", ".png"):
            name += ".jpg"
        while (form := normal_form(name).casefold()) in taken:
            name = str(PurePosixPath(name).with_stem(PurePosixPath(name).stem + "-2"))
        taken.add(form)
        names[source] = name
    return names
