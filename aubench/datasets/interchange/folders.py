"""Files of other code <-> dataset folders, pictures included."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from aubench.datasets.converters.frames import link_picture
from aubench.datasets.doctor.landmarks import refuse_no_face
from aubench.datasets.face_finding import MAX_SIDE, UnusablePicture, joined, read_upright
from aubench.datasets.interchange import FORMATS
from aubench.datasets.interchange.left_out import keep_left_out, read_note, with_left_out
from aubench.datasets.interchange.lists import read_jaanet, read_megraphau, write_jaanet, write_megraphau
from aubench.datasets.interchange.tables import read_openface, read_pyfeat, write_openface, write_pyfeat
from aubench.datasets.landmark_tables import Pictures, few_frames, read_faces
from aubench.datasets.photographs import split_subjects, subjects_of
from aubench.datasets.picture_files import by_stored_name, list_pictures, shortened, write_listed
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder, read_dataset, write_manifest
from aulib.files import new_folder, refuse_used, result_file
from aulib.images import read_picture, too_dark_or_bright
from aulib.labels import binarise
from aulib.landmarks import count_points, point_columns, points_of
from aulib.manifest import SPLITS, column_faults, row_faults, why_tiny
from aulib.tables import SHOWN, Fault, refuse

AT_LEAST = 2  # intensity that counts as present where a format holds occurrence only
PEOPLE = r"(?i)(?:^|/)([FM]\d{3}|SN\d{3}|S\d{3})/"  # folders of BP4D, DISFA, CK+
TEXT = ("image", "subject", "split")


def import_jaanet(
    prefixes: dict[str, str | Path],
    pictures: str | Path,
    out: str | Path,
    aus: list[str] | None = None,
    first_pixel: int = 0,
    keep: str = "link",
) -> DatasetFolder:
    """A dataset folder of JAA-Net's or ADLD's lists and the pictures they name, below `pictures`.

    Subjects are the folders that BP4D, DISFA and CK+ name people by (F001, SN001), else those of
    `subjects_of`. Pictures that are missing are listed in skipped.csv.

    Args:
        prefixes: split -> what the names of its lists start with; see `read_jaanet`, also for `aus` and
            `first_pixel`.
        keep: link or copy the pictures.

    Raises:
        FileNotFoundError: a list is missing.  FileExistsError: `out` is not empty.
        ValueError: damaged lists, or none of the pictures is there.
    """
    parts, places = [], []
    for split, prefix in prefixes.items():
        parts.append(read_jaanet(prefix, aus, first_pixel).assign(split=split))
        places += [f"{prefix}_path.txt line {row + 1}" for row in parts[-1].index]
    names = {Path(prefix).name.removesuffix(f"_{split}") for split, prefix in prefixes.items()}
    name = names.pop() if len(names) == 1 and not names & set(prefixes) else ""
    about = {"kind": "jaanet", "name": name, "first_pixel": first_pixel}
    return _import_lists(parts, places, pictures, out, keep, about)


def import_megraphau(
    folder: str | Path,
    dataset: str,
    fold: int,
    pictures: str | Path,
    out: str | Path,
    aus: list[str] | None = None,
    keep: str = "link",
) -> DatasetFolder:
    """The same of ME-GraphAU's lists in `folder`; `dataset` and `fold` are those of the lists' names."""
    table = read_megraphau(folder, dataset, fold, aus)
    places = [f"{folder} row {row + 1}" for row in table.index]
    return _import_lists([table], places, pictures, out, keep, {"kind": "megraphau", "name": dataset})


def import_table(
    kind: str,
    tables: str | Path,
    pictures: str | Path,
    out: str | Path,
    keep: str = "link",
    report: Callable[[str], None] = lambda text: None,
) -> DatasetFolder:
    """A dataset folder of OpenFace's or py-feat's CSV files and the pictures they describe, below `pictures`.

    `read_faces` says which picture a row belongs to, and which face of a picture is used; rows that are not
    used are listed in skipped.csv, pictures of several faces in notes.csv. AU columns are what that code
    predicted, not labels a person gave.

    Args:
        kind: openface or pyfeat.  tables: a CSV or a folder of CSVs.  keep: link or copy the pictures.
        report: called with notes for the user: codes that are read as unknown, columns that are not used,
            a recording most of whose rows find no picture.

    Raises:
        FileNotFoundError: no CSV, or no pictures.  FileExistsError: `out` is not empty.
        ValueError: damaged tables, names that fit several pictures, or none of the pictures is there.
    """
    read = {"openface": read_openface, "pyfeat": read_pyfeat}[kind]
    files, codes = _files(pictures), []
    table, rows = read_faces(tables, list(files), partial(read, note=codes.append))
    if codes:
        report(codes[0] + (f"; and {len(codes) - 1} columns more" if len(codes) > 1 else ""))
    if few := few_frames(tables, rows, files):
        report(few)
    if own := [name for name in ("subject", "split") if name in table]:
        report(f"{tables}: not used, as people go by folders and recordings: column {' and '.join(own)}")
    columns = list(table.columns)
    unknown = column_faults([*TEXT, *(name for name in columns if name not in TEXT)])
    refuse([Fault(-1, text) for text in unknown], tables)
    used = rows[rows["reason"] == ""]
    people = pd.Series(subjects_of(used["image"].tolist(), used["clip"].tolist()), used.index)
    table = table.assign(image=rows["image"], subject="", split="")
    table.loc[used.index, "subject"] = people + used["face"]
    table.loc[used.index, "split"] = people.map(split_subjects(people.tolist()))
    name = Path(tables).stem if Path(tables).is_file() else ""
    about = {"kind": kind, "name": name, "columns": columns}
    return _write_folder(table, rows, files, out, keep, about)


def _files(pictures: str | Path) -> dict[str, Path]:
    """The pictures below a folder, by names that a table can hold."""
    return {name: Path(pictures, path) for name, path in by_stored_name(list_pictures(pictures)[0]).items()}


def _looked_at(path: Path) -> tuple[str, str]:
    """Why a picture cannot be used, or a note about what it shows; "" for nothing."""
    try:
        picture, *_, pages = read_upright(path, MAX_SIDE)
    except UnusablePicture as error:
        return str(error), ""
    return "", joined(too_dark_or_bright(picture), pages)


def _import_lists(
    parts: list[pd.DataFrame], places: list[str], pictures, out, keep: str, about: dict
) -> DatasetFolder:
    """The folder of lists, with the place of each row."""
    table, files = pd.concat(parts, ignore_index=True).copy(), _files(pictures)
    folder, names = Pictures(list(files)), table["image"].unique().tolist()
    found = folder.find(names, places[0])
    missing = {name: folder.why_missing(name) for name in names if name not in found}
    images = table["image"].map(lambda name: found.get(name, name))
    reasons = table["image"].map(lambda name: missing.get(name, ""))
    of_split = pd.DataFrame({"image": images, "split": table["split"]}).drop_duplicates()
    for image, rows in of_split[of_split["image"].duplicated(keep=False)].groupby("image"):
        (first, second), splits = rows.index[:2], rows["split"].iloc[:2]
        raise ValueError(
            f"{image} is in {splits[first]} ({places[first]}) and in {splits[second]} ({places[second]}), "
            "expected each picture in one split"
        )
    reasons = reasons.mask((reasons == "") & images.duplicated(), "an earlier row has this picture")
    rows = pd.DataFrame({"place": places, "reason": reasons, "note": ""})
    by_folder = pd.Series(subjects_of(images.tolist()))
    people = images.str.extract(PEOPLE, expand=False).str.upper().fillna(by_folder)
    table = table.assign(image=images, subject=people)
    return _write_folder(table, rows, files, out, keep, about | {"columns": list(table.columns)})


def _write_folder(
    table: pd.DataFrame,
    rows: pd.DataFrame,
    files: dict[str, Path],
    out,
    keep: str,
    about: dict,
) -> DatasetFolder:
    """Write a folder that becomes `out` when it can be read; `about` is for `keep_left_out`.

    rows: `place`, `reason` and `note` of each row; see `read_faces`.
    """
    out = Path(out) if Path(out).parts else Path.cwd()  # the folder "." is another one afterwards
    refuse_used(out)
    wanted = table["image"][rows["reason"] == ""]
    seen = tqdm(wanted, "reading", unit="picture", disable=len(wanted) < 1000)
    looks = pd.DataFrame([_looked_at(files[image]) for image in seen], wanted.index, ["reason", "note"])
    rows.loc[wanted.index, "reason"] = looks["reason"]
    rows.loc[wanted.index, "note"] = rows["note"][wanted.index].combine(looks["note"], joined)
    if count_points(table.columns):
        tiny = [why_tiny(points) for points in points_of(table)]
        rows = rows.assign(reason=rows["reason"].mask(rows["reason"] == "", tiny))
    used = rows["reason"] == ""
    if not used.any():
        raise ValueError(f"none of {len(table)} rows can be used: {table['image'][0]}: {rows['reason'][0]}")
    if count_points(table.columns):
        refuse_no_face(DatasetFolder(out, table[used]), f"{rows['place'][used].iloc[0]} ...")
    with new_folder(out) as folder:
        for column, file in (("reason", "skipped.csv"), ("note", "notes.csv")):
            write_listed(folder / file, table[["image"]].join(rows[column])[rows[column] != ""])
        keep_left_out(folder, about, table, used)
        manifest = table[used].reset_index(drop=True)
        stored = manifest["image"].map(lambda image: f"images/{shortened(image)}")
        for image, name in zip(manifest["image"], stored, strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            link_picture(files[image], folder / name, keep)
        manifest["image"] = stored
        places = rows["place"][used].tolist()
        if faults := sorted(row_faults(manifest, folder)):
            shown = [f"{places[fault.row]}: {fault.text}" for fault in faults[:SHOWN]]
            raise ValueError("\n  ".join(["a dataset folder cannot hold these rows:", *shown]))
        manifest = manifest[[*TEXT, *manifest.columns.drop(list(TEXT))]]
        write_manifest(folder, manifest)
    return DatasetFolder(out, manifest)


def export(
    dataset: str | Path,
    kind: str,
    out: str | Path,
    unknown: int = 9,
    name: str = "",
    crop: CropSpec | None = None,
    first_pixel: int | None = None,
    fold: int = 1,
    aus: list[str] | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write a dataset folder as files of other code into `out`, every number as the manifest has it.

    A folder imported from a file of the same kind gives back the rows that its manifest lacks (no face,
    no picture), the columns in their order, and the name.

    Args:
        dataset: as of `read_dataset`.  kind: one of FORMATS.
        unknown: code for unknown labels in JAA-Net's lists (999 in ADLD's).
        name: start of the files' names; by default that of the imported file, else the folder's.
        crop: also cut the faces (`ADLD_CROP`, `JAANET_CROP`) into out/imgs, and write landmarks of the crops
            (jaanet only).
        first_pixel: 1 for landmarks that count from 1 as those of raw pictures do (jaanet); None as in the
            imported lists, 0 for crops.
        fold: number in the lists' names (megraphau).  aus: labels to write, by default all.
        report: called with notes for the user, for example that occurrence was made of intensities.

    Raises:
        ValueError: unknown `kind`, or what that format cannot hold (see its writer).
    """
    if kind not in FORMATS:
        raise ValueError(f"unknown format {kind!r}; choose {', '.join(FORMATS)}")
    if name and Path(name).name != name:
        raise ValueError(f"name is {name!r}, expected the beginning of a file's name, without folders")
    if crop and first_pixel:
        raise ValueError("landmarks of crops count from 0, expected first_pixel 0 with a crop")
    data = read_dataset(dataset, exact=True)
    note = read_note(data.root, kind)
    out, name = Path(out), name or note.get("name") or data.root.name
    if first_pixel is None:
        first_pixel = 0 if crop else note.get("first_pixel", 0)
    table = _with_aus(data.table, aus, data.root)
    if kind == "openface":
        table = with_left_out(table, data, note)
        if not note and "success" not in table:
            table = table.assign(success=1)
        return [write_openface(table, out / f"{name}.csv")]
    if kind == "pyfeat":
        table = with_left_out(table, data, note).drop(columns=["subject", "split"], errors="ignore")
        return [write_pyfeat(table, out / f"{name}.csv")]
    table = _with_occurrence(table.assign(image=_listed_names(table["image"])), report)
    if crop:
        table = _cut(data, table, out / "imgs", crop)
    elif note:
        table = with_left_out(table, data, note)
    if kind == "megraphau":
        if val := int((table["split"] == "val").sum()):
            report(f"ME-GraphAU has no validation split: {val} rows of val are written among those of train")
        return write_megraphau(table, out, name, fold)
    parts = {split: table[table["split"] == split] for split in SPLITS}
    for split, rows in parts.items():
        earlier = out / f"{name}_{split}_path.txt"
        if rows.empty and earlier.exists():
            raise FileExistsError(f"{earlier} is there, and {data.root} has no row of {split}; remove it")
    return [
        path
        for split, rows in parts.items()
        if len(rows)
        for path in write_jaanet(rows, out / f"{name}_{split}", unknown, first_pixel)
    ]


def _listed_names(images: pd.Series) -> pd.Series:
    """The pictures' names in lists: without `images/`, where a dataset folder keeps them."""
    names = images.str.removeprefix("images/")
    for name in names[names.duplicated()][:1]:
        raise ValueError(f"lists call both {' and '.join(images[names == name][:2])} {name}")
    return names


def _with_aus(table: pd.DataFrame, aus: list[str] | None, root: Path) -> pd.DataFrame:
    """The table with labels of these AUs alone, in FACS order; all of them if None."""
    if aus is None:
        return table
    labels = [name for name in table if re.fullmatch(r"AU\d\d_[crp]", name)]
    if missing := sorted(set(aus) - {name[:4] for name in labels}):
        raise ValueError(f"{root} has no labels of {', '.join(missing)}, which the export asks for")
    return table.drop(columns=[name for name in labels if name[:4] not in aus])


def _with_occurrence(table: pd.DataFrame, report: Callable[[str], None]) -> pd.DataFrame:
    """Occurrence of AUs that have an intensity only, as the field counts it: present from 2 up."""
    graded = [name[:4] for name in table if re.fullmatch(r"AU\d\d_r", name) and f"{name[:4]}_c" not in table]
    if graded:
        report(f"occurrence of {', '.join(graded)} is intensity >= {AT_LEAST}")
    occurrence = {f"{au}_c": binarise(table[f"{au}_r"].to_numpy(np.float64), AT_LEAST) for au in graded}
    return table.assign(**occurrence)


def _cut(data: DatasetFolder, table: pd.DataFrame, folder: Path, crop: CropSpec) -> pd.DataFrame:
    """Crops on disk under the names of the pictures, and the table with landmarks of the crops."""
    landmarks = data.landmarks.astype(np.float64)
    moved = np.empty_like(landmarks)
    for row, path in enumerate(tqdm(data.image_paths, "cropping", unit="face", disable=len(data) < 1000)):
        matrix = crop_matrix(landmarks[row], crop)
        moved[row] = landmarks[row] @ matrix[:, :2].T + matrix[:, 2]
        target = folder / table["image"].iloc[row]
        pixels = crop_face(read_picture(path), matrix, crop)
        options = {} if target.suffix.lower() == ".png" else {"quality": 95}
        with result_file(target, "crop") as partial:
            Image.fromarray(pixels).save(partial, **options)
    return table.assign(**point_columns(moved))
