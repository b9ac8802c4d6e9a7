"""Files of other code <-> dataset folders, pictures included."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from aubench.datasets.converters.frames import link_picture
from aubench.datasets.interchange import FORMATS
from aubench.datasets.interchange.left_out import as_it_was, keep_left_out, kept_note, with_left_out
from aubench.datasets.interchange.lists import read_jaanet, read_megraphau, write_jaanet, write_megraphau
from aubench.datasets.interchange.tables import (
    csv_files,
    read_openface,
    read_pyfeat,
    write_openface,
    write_pyfeat,
)
from aubench.datasets.landmark_tables import Pictures
from aubench.datasets.photographs import find_pictures, split_subjects, subjects_of
from aulib.crops import CropSpec, crop_face, crop_matrix
from aulib.dataset import DatasetFolder, manifest_path, read_dataset, write_manifest
from aulib.images import read_picture

AT_LEAST = 2  # intensity that counts as present where a format holds occurrence only
PEOPLE = re.compile(r"[FM]\d{3}|SN\d{3}|S\d{3}", re.IGNORECASE)  # folders of BP4D, DISFA, CK+


@dataclass(frozen=True)
class Lists:
    """Where lists lie: JAA-Net's prefix of each split, or ME-GraphAU's folder, set and fold.

    Attributes:
        aus: what the label columns are; None tells it from their number.
        first_pixel: 1 if landmarks count pixels from 1.
    """

    prefixes: dict[str, str] | None = None
    folder: Path | None = None
    dataset: str = ""
    fold: int = 1
    aus: list[str] | None = None
    first_pixel: int = 0


def import_lists(lists: Lists, pictures: str | Path, out: str | Path, keep: str = "link") -> DatasetFolder:
    """A dataset folder of JAA-Net's, ADLD's or ME-GraphAU's lists and the pictures they name, below
    `pictures`.

    People are told from the folders of the paths (F001, SN001); pictures that are missing are listed in
    skipped.csv.

    Raises:
        FileNotFoundError: a list is missing.  FileExistsError: `out` is not empty.
        ValueError: damaged lists, or none of the pictures is there.
    """
    if lists.prefixes:
        parts = [
            read_jaanet(prefix, lists.aus, lists.first_pixel).assign(split=split)
            for split, prefix in lists.prefixes.items()
        ]
        table = pd.concat(parts, ignore_index=True)
    else:
        table = read_megraphau(lists.folder, lists.dataset, lists.fold, lists.aus)
    names = table["image"].tolist()
    folders = [next((p for p in PurePosixPath(name).parts[:-1] if PEOPLE.fullmatch(p)), "") for name in names]
    guessed = subjects_of(names)
    table["subject"] = [folder.upper() or guess for folder, guess in zip(folders, guessed, strict=True)]
    kind, columns = ("jaanet" if lists.prefixes else "megraphau"), list(table.columns)
    return _write_folder(table, Path(pictures), Path(out), keep, (kind, lists.dataset, columns))


def import_table(
    kind: str, tables: str | Path, pictures: str | Path, out: str | Path, keep: str = "link"
) -> DatasetFolder:
    """A dataset folder of OpenFace's or py-feat's CSV files and the pictures they describe, below `pictures`.

    A row's picture is named by a column (image, filename, file, input, name); else by the name of the CSV
    (one row a file); else by `frame` among the numbered pictures of `pictures`/<name of the CSV> or of
    `pictures`. Rows with `success` 0 are listed in skipped.csv. AU columns are what that code predicted, not
    labels a person gave.

    Raises:
        FileNotFoundError: no CSV.  FileExistsError: `out` is not empty.
        ValueError: damaged tables, rows that name no picture, or none of the pictures is there.
    """
    files, folder = csv_files(tables), Pictures(find_pictures(pictures))
    read = {"openface": read_openface, "pyfeat": read_pyfeat}[kind]
    parts = [read(path) for path in files]
    columns = list(parts[0].columns)
    parts = [part.assign(image=folder.of_rows(part, path)) for part, path in zip(parts, files, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    table["subject"] = subjects_of(table["image"].tolist())
    shared = split_subjects(table["subject"].tolist())
    table["split"] = [shared[subject] for subject in table["subject"]]
    name = files[0].stem if len(files) == 1 else ""
    return _write_folder(table, Path(pictures), Path(out), keep, (kind, name, columns))


def export(
    data: DatasetFolder | str | Path,
    kind: str,
    out: str | Path,
    unknown: int = 9,
    name: str = "",
    crop: CropSpec | None = None,
    first_pixel: int = 0,
    fold: int = 1,
    aus: list[str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Write a dataset folder as files of other code into `out`, every number as the manifest has it.

    A folder that was imported from a file of the same kind gives back its rows that the manifest cannot hold
    (no face, no picture), its columns in their order, and its name.

    Args:
        kind: one of FORMATS.  unknown: code for unknown labels in JAA-Net's lists (999 in ADLD's).
        name: start of the files' names; by default that of the imported file, else the folder's.
        first_pixel: 1 for landmarks that count from 1 as those of raw pictures do (jaanet).
        fold: number in the lists' names (megraphau).  aus: labels to write, by default all.
        tell: called with what a user should know: that occurrence was made of intensities, say.
        crop: also cut the faces (`ADLD_CROP`, `JAANET_CROP`) into out/imgs, and write landmarks of those
            crops
            (jaanet only).

    Raises:
        ValueError: unknown `kind`, or what that format cannot hold (see its writer).
    """
    data = data if isinstance(data, DatasetFolder) else read_dataset(data)
    if kind not in FORMATS:
        raise ValueError(f"unknown format {kind!r}; there are {', '.join(FORMATS)}")
    if crop and first_pixel:
        raise ValueError("landmarks of crops count from 0, expected first_pixel 0 with a crop")
    note, table = kept_note(data.root, kind), _only(_full(data), aus, data.root)
    out, name = Path(out), name or note.get("name") or data.root.name
    if kind in ("openface", "pyfeat"):
        table = as_it_was(with_left_out(table, data, kind), note)
        if kind == "openface":
            numbers = {"frame": np.arange(1, len(table) + 1), "success": 1}
            numbered = table if "frame" in table or note else table.assign(**numbers)
            return [write_openface(numbered, out / f"{name}.csv")]
        return [write_pyfeat(table.drop(columns=["subject", "split"], errors="ignore"), out / f"{name}.csv")]
    table["image"] = [image.removeprefix("images/") for image in table["image"]]
    table = _with_occurrence(table, tell)
    table = table if crop else with_left_out(table, data, kind)
    if kind == "megraphau":
        return write_megraphau(table, out, name, fold)
    if crop:
        table = _cut(data, table, out / "imgs", crop)
    written = []
    for split in ("train", "val", "test"):
        if (rows := table["split"] == split).any():
            written += write_jaanet(table[rows], out / f"{name}_{split}", unknown, first_pixel)
    return written


def _only(table: pd.DataFrame, aus: list[str] | None, root: Path) -> pd.DataFrame:
    """The table with labels of these AUs alone, in FACS order; all of them if None."""
    if aus is None:
        return table
    if missing := [au for au in aus if not {f"{au}_c", f"{au}_r", f"{au}_p"} & set(table.columns)]:
        raise ValueError(f"{root} has no labels of {', '.join(missing)}, which the export asks for")
    return table[
        [name for name in table if not re.fullmatch(r"AU\d\d_[crp]", name) or name[:4] in aus]
    ].copy()


def _with_occurrence(table: pd.DataFrame, tell: Callable[[str], None]) -> pd.DataFrame:
    """Occurrence of AUs that have an intensity only, as the field counts it: present from 2 up."""
    strengths = [name for name in table if re.fullmatch(r"AU\d\d_r", name) and f"{name[:4]}_c" not in table]
    if strengths:
        tell(f"occurrence of {', '.join(name[:4] for name in strengths)} is intensity >= {AT_LEAST}")
    for name in strengths:
        known = table[name].notna()
        table[f"{name[:4]}_c"] = (table[name] >= AT_LEAST).astype(float).where(known)
    return table


def _full(data: DatasetFolder) -> pd.DataFrame:
    """The manifest's own numbers in float64 (reading it for training rounds to float32), in the rows of
    `data`."""
    path = manifest_path(data.root)
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
    else:
        text = dict.fromkeys(("image", "subject", "split"), str)
        table = pd.read_csv(path, dtype=text, skipinitialspace=True)
    table.columns = [str(column).strip() for column in table.columns]
    table = (
        table.set_index(table["image"].astype(str).str.strip())
        .loc[data.table["image"]]
        .reset_index(drop=True)
    )
    labels = [c for c in data.table.columns if re.fullmatch(r"AU\d\d_c", c)]
    others = [c for c in table.columns if not re.fullmatch(r"AU\d\d_[cr]", c) or c in data.table.columns]
    table = table[others].copy()
    for column in [*labels, "image", "subject", "split"]:  # as a protocol set them
        table[column] = data.table[column].to_numpy()
    return table


def _cut(data: DatasetFolder, table: pd.DataFrame, folder: Path, crop: CropSpec) -> pd.DataFrame:
    """Crops on disk under the names of the pictures, and the table with landmarks of the crops."""
    landmarks = data.landmarks.astype(np.float64)
    moved = np.empty_like(landmarks)
    for row, path in enumerate(tqdm(data.image_paths, "cropping", unit="face", disable=len(data) < 1000)):
        matrix = crop_matrix(landmarks[row], crop)
        moved[row] = landmarks[row] @ matrix[:, :2].T + matrix[:, 2]
        target = folder / table["image"].iloc[row]
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = crop_face(read_picture(path), matrix, crop.size, crop.smooth)
        options = {} if target.suffix.lower() == ".png" else {"quality": 95}
        Image.fromarray(pixels).save(target, **options)
    for k in range(data.num_landmarks):
        table[f"x_{k}"], table[f"y_{k}"] = moved[:, k, 0], moved[:, k, 1]
    return table


def _write_folder(
    table: pd.DataFrame, pictures: Path, out: Path, keep: str, origin: tuple[str, str, list[str]]
) -> DatasetFolder:
    """The folder, made under another name and renamed when it is whole and has been read.

    origin: kind, name and columns of the file, see `keep_left_out`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not empty, expected a new folder")
    reasons = [_reason(row, pictures) for row in table.itertuples(index=False)]
    usable = table["image"].where([not why for why in reasons])
    reasons = [
        why or ("this picture has several rows" if two else "")
        for why, two in zip(reasons, usable.notna() & usable.duplicated(), strict=True)
    ]
    used = table[[not why for why in reasons]].reset_index(drop=True)
    left_out = pd.DataFrame({"image": table["image"], "reason": reasons})
    if not len(used):
        raise ValueError(f"none of {len(table)} rows can be used: {left_out['reason'].iloc[0]}")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        left_out[left_out["reason"] != ""].to_csv(partial / "skipped.csv", index=False)
        keep_left_out(partial, *origin, table, [not why for why in reasons])
        for name in used["image"]:
            link_picture(pictures / name, partial / "images" / name, keep)
        used["image"] = [f"images/{name}" for name in used["image"]]
        first = ["image", "subject", "split"]
        write_manifest(partial, used[first + [column for column in used.columns if column not in first]])
        read_dataset(partial)
        if out.is_dir():
            out.rmdir()  # it is empty
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read_dataset(out)


def _reason(row, pictures: Path) -> str:
    name = row.image
    if name.startswith("/") or ".." in PurePosixPath(name).parts or re.match(r"[A-Za-z]:", name):
        return "its path leaves the folder of pictures"
    if getattr(row, "success", 1) == 0:
        return "success is 0: no face was tracked"
    if not np.isfinite(getattr(row, "x_0", 0.0)):
        return "no face in it"
    if not (pictures / name).is_file():
        return "no such picture"
    return ""
