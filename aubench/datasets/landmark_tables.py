"""Faces in tables of other tools: the one way to pair rows with pictures, the one rule for several faces.

Pairing. A name and a picture belong together if, in `aulib.tables.normal_form`, one path is the end of the
other; the name may lack the suffix. What fits several pictures is refused with them; nothing is paired by its
position.

Several faces. Of a picture the largest face is used. In a recording whose faces have numbers (`face_id`),
faces are compared by their size over the whole recording, so that one person is followed; a frame without
that person has the next one. What was chosen is in `reason` and `note` of `read_faces`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from aubench.datasets.face_finding import GivenFace, note_of_faces
from aubench.datasets.interchange.tables import LANDMARKS, NAME_COLUMNS, read_rows
from aubench.datasets.picture_files import frame_number, is_video, walk
from aulib.images import is_picture_name
from aulib.landmarks import points_of
from aulib.manifest import layout_fault
from aulib.tables import normal_form, shown


def read_landmarks(
    path: str | Path, pictures: list[str], report: Callable[[str], None] = lambda text: None
) -> dict[str, GivenFace]:
    """The face of each picture, from tables with landmarks.

    Args:
        path: a CSV, or a folder of CSVs, with x_0..x_67, y_0..y_67 (or both to 48) and one row for each face;
            see `read_faces`.
        pictures: relative paths.
        report: called with the names that fit no picture.

    Returns:
        picture -> its face, or why it has none; pictures that no row names are absent.

    Raises:
        FileNotFoundError, ValueError: as `read_faces`, or columns missing.
    """
    table, rows = read_faces(
        path, pictures, lambda file: read_rows(file, LANDMARKS, "x_0", "landmarks x_0 ...")
    )
    if why := layout_fault(table.columns):
        raise ValueError(f"{path}: {why}")
    points, given = points_of(table), {}
    ids = table["face_id"] if "face_id" in table else pd.Series("", table.index)
    for row in rows.itertuples():
        if not row.reason:
            given[row.image] = GivenFace(points[row.Index], row.note, ids[row.Index], row.clip, row.face)
        else:
            given.setdefault(row.image, GivenFace(None, row.reason))
    known = set(pictures)
    if others := {image: face.note for image, face in given.items() if image not in known}:
        report(unpaired(path, others))
    return {image: given[image] for image in pictures if image in given}


def unpaired(table: str | Path, names: dict[str, str]) -> str:
    """A sentence about names of a table that fit no picture, each with the reason; "" if there is none."""
    if not names:
        return ""
    name, why = next(iter(names.items()))
    return f"{table}: {len(names)} names fit no picture, such as {shown(name)}: {why}"


def few_frames(tables: str | Path, rows: pd.DataFrame, pictures: Collection[str]) -> str:
    """A sentence about the first recording of `read_faces` most of whose rows find no picture, "" if there is
    none. Picture 5 may then show frame 25, and be paired with frame 5."""
    for clip, images in rows.loc[rows["clip"] != "", "image"].groupby(rows["clip"]):
        if (lost := (~images.isin(pictures)).sum()) > len(images) / 2:
            return (
                f"{tables}: {lost} of {len(images)} rows of {shown(clip)} found no picture; were pictures "
                "extracted at another rate? Then number them as the frames"
            )
    return ""


def read_faces(
    tables: str | Path, pictures: list[str], read: Callable[[Path], pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every row of the tables of other tools, with its picture and whether it is the face that is used.

    Args:
        tables: a CSV, or a folder of CSVs, hidden files left out.
        pictures: relative paths.
        read: reads one CSV, with the row in the file as index.

    Returns:
        the rows of the CSVs, and a table of the same index 0..N-1: `image` (the picture, else what the row
        names), `place` ("clip.csv line 3"), `clip` (the recording that the row is a frame of, or ""), `face`
        ("-face-1" in a recording of several faces, or ""), `reason` (why the row is not used, "" for one row
        of each picture), `note` ("2 faces, the largest is used", or "").

    Raises:
        FileNotFoundError: no CSV.
        ValueError: damaged tables, names that fit several pictures, or no row that fits any.
    """
    files, folder, parts, claimed = csv_files(tables), Pictures(pictures), [], {}
    known = set(pictures)
    for file in files:
        part = read(file)
        if part.empty and len(files) > 1:  # a picture without a face
            continue
        if part.empty:
            raise ValueError(f"{file} has a header and no rows, expected one row per face")
        below = file.relative_to(tables) if file != Path(tables) else Path(file.name)
        images, clips = folder.of_rows(part, file, below.with_suffix("").as_posix())
        for image in sorted(known.intersection(images)):
            if (other := claimed.setdefault(image, file)) != file:
                raise ValueError(f"{other} and {file} both describe {image}, expected one of them")
        place = [f"{file} line {row + 2}" for row in part.index]
        parts.append((part, pd.DataFrame({"image": images, "place": place, "clip": clips})))
    if not claimed:
        found = (
            f"found {shown(parts[0][1]['image'][0])}, they are" if parts else "no table has a row; they are"
        )
        raise ValueError(
            f"{tables} names none of the pictures: {found} {pictures[0]!r} ...; expected a column "
            f"{', '.join(NAME_COLUMNS)}, or CSVs called as their pictures"
        )
    table = pd.concat([part for part, _ in parts], ignore_index=True)
    rows = pd.concat([row for _, row in parts], ignore_index=True)
    missing = {image: folder.why_missing(image) for image in set(rows["image"]) - known}
    return table, _choose(table, rows, rows["image"].map(lambda image: missing.get(image, "")))


def csv_files(path: str | Path) -> list[Path]:
    """The CSV itself, or all CSVs below a folder but hidden ones (macOS adds `._x.csv`), sorted; links to
    folders are followed as by `walk`.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    inside = (path / folder / name for folder, names in walk(path, {}) for name in names)
    tables = (file for file in inside if file.suffix.lower() == ".csv")
    if files := sorted(file for file in tables if file.is_file() or file.is_symlink()):  # no pipes
        return files
    raise FileNotFoundError(
        f"{path} does not exist or holds no .csv file, expected a CSV or a folder of them"
    )


def _choose(table: pd.DataFrame, rows: pd.DataFrame, missing: pd.Series) -> pd.DataFrame:
    """`rows` with `face`, `reason` and `note`; `missing`: why there is no such picture, or ""."""
    has = table.reindex(columns=["success", "face_id"]).assign(clip=rows["clip"], image=rows["image"])
    numbers = has["face_id"].astype("string").str.removesuffix(".0")
    has["face_id"] = numbers.mask(numbers == "")
    has["size"], empty = _sizes(table)
    faceless = has["success"].fillna(0).eq(0) if "success" in table else pd.Series(False, table.index)
    why = ["success is 0 or missing: no face was tracked", "no face in it"]
    rows["reason"] = missing.where(missing != "", np.select([faceless, empty == 1], why, default=""))
    if len(partial := rows.index[(rows["reason"] == "") & (empty > 0)]):
        share = f"{empty[partial[0]]:.0%} of the landmark cells are empty, expected all or none"
        raise ValueError(f"{rows['place'][partial[0]]}: {share}")
    faces = has[rows["reason"] == ""]
    in_clip = faces["clip"].ne("") & faces["face_id"].notna()
    tracked = faces.groupby("clip")["face_id"].transform("nunique").gt(1) & in_clip
    over_clip = faces.groupby(["clip", "face_id"], dropna=False)["size"].transform("sum")
    faces = faces.assign(size=faces["size"].mask(tracked, over_clip))
    num = faces.groupby("image")["size"].transform("size")
    unsized = faces.index[(num > 1) & faces["size"].isna()]
    rows.loc[unsized, "reason"] = "several faces, and no column tells which is the largest"
    by_size = faces.drop(unsized).sort_values("size", ascending=False, kind="stable")
    others = by_size.index[by_size["image"].duplicated()]
    used = by_size.index.difference(others)
    rows.loc[others, "reason"] = np.where(
        tracked[others], "another face is larger in this recording", "another face is larger in this picture"
    )
    rows["face"] = ("-face-" + faces["face_id"].astype(str)).where(tracked).reindex(rows.index).fillna("")
    rows["note"] = num.reindex(used).map(note_of_faces).reindex(rows.index, fill_value="")
    return rows


def _sizes(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Pixels² of the box around each row's landmarks, else of py-feat's box, NaN without; and the share of
    its landmark cells that are empty."""
    x, y = ([name for name in table if re.fullmatch(rf"{axis}_\d+", name)] for axis in "xy")
    if x and y:
        sizes = [np.ptp(table[names].to_numpy(np.float64), axis=1) for names in (x, y)]
        return pd.Series(np.prod(sizes, axis=0), table.index), table[x + y].isna().mean(axis=1)
    box = table.reindex(columns=["FaceRectWidth", "FaceRectHeight"]).apply(pd.to_numeric, errors="coerce")
    return box.prod(axis=1, skipna=False), pd.Series(0.0, table.index)


class Pictures:
    """The pictures below a folder, and their folders, looked up by the names that other tools write."""

    def __init__(self, pictures: list[str]):
        # Last part of a path, in lower case -> pairs: a whole path in its normal form, what it stands for.
        self.by_name, self.by_stem = defaultdict(list), defaultdict(list)
        self.folders = defaultdict(list)  # the same of folders
        self.inside = defaultdict(list)  # folder, "" for the top -> pictures
        for picture in pictures:
            path = PurePosixPath(normal_form(picture))
            self.by_name[path.name.casefold()].append((str(path), picture))
            if is_picture_name(path.name):
                self.by_stem[path.stem.casefold()].append((str(path.with_suffix("")), picture))
            folder = picture.rpartition("/")[0]
            if folder and folder not in self.inside:
                self.folders[path.parent.name.casefold()].append((str(path.parent), folder))
            self.inside[folder].append(picture)

    def find(self, names: list[str], path: str | Path) -> dict[str, str]:
        """name -> picture, without names that fit none.

        Raises:
            ValueError: a name of the file `path` fits several pictures, or two names fit one.
        """
        found, first = {}, {}
        for name in names:
            form = normal_form(name)
            picture = _fitting(form, self.by_name, path) or _fitting(form, self.by_stem, path)
            if picture and first.setdefault(picture, form) != form:
                raise ValueError(
                    f"{path}: {first[picture]!r} and {form!r} both fit {picture!r}, expected one"
                )
            if picture:
                found[name] = picture
        return found

    def why_missing(self, name: str) -> str:
        """Why no picture is paired with a name."""
        alike = normal_form(name).casefold()
        for form, picture in self.by_name[alike.rpartition("/")[2]]:
            if _is_end(alike, form.casefold()):
                return f"no such picture; {picture!r} is there, in other capitals"
        return "no such picture"

    def of_rows(self, table: pd.DataFrame, path: Path, own_name: str) -> tuple[list[str], list[str]]:
        """The picture of each row of the table read from `path`, the name looked for where there is none; and
        the recording that the row is a frame of, or "".

        A column of names (NAME_COLUMNS) decides, else the name of the table, `own_name`. Where it names a
        video or a folder, `frame` chooses among the numbered pictures of the folder of that name, else among
        those that lie in no folder.

        Raises:
            ValueError: see `find`; an empty name or frame; or frames that could be counted in two ways.
        """
        given = [name for name in table if table[name].dtype == "str" and (table[name] != "").any()]
        column = next((name for known in NAME_COLUMNS for name in given if name.lower() == known), None)
        unread = next((name for name in given if table[name].map(is_picture_name).any()), None)
        if unread and not column:
            raise ValueError(f"{path}: column {unread} holds names of pictures; call it {NAME_COLUMNS[0]}")
        names = table[column] if column else pd.Series(own_name, table.index)
        if len(empty := names.index[names == ""]):
            raise ValueError(f"{path} line {empty[0] + 2}: {column} is empty, expected a picture's name")
        forms = {name: normal_form(name) for name in names.unique()}
        videos = {name for name, form in forms.items() if is_video(form)}
        found = self.find([name for name in forms if name not in videos], path)
        images, clips = names.map(forms | found), pd.Series("", table.index)
        if "frame" not in table:
            if videos:
                raise ValueError(
                    f"{path}: {column} is {min(videos)!r}, a video; expected a column `frame`, too"
                )
            return images.tolist(), clips.tolist()
        of_pyfeat = bool({"FaceScore", "FaceRectX"} & set(table))
        recorded: dict[str, str] = {}  # folder -> whose frames it holds
        for name, rows in table.groupby(names, sort=False):
            stem = str(PurePosixPath(forms[name]).with_suffix("")) if name in videos else forms[name]
            folder = _fitting(stem, self.folders, path)
            if name in videos and not folder:  # it may lie anywhere
                folder = _fitting(PurePosixPath(stem).name, self.folders, path)
            several = rows["frame"].nunique() > 1
            if not column and not several and name in found and folder:
                raise ValueError(f"{path} fits {found[name]} and the folder {folder}, expected one of them")
            if name in videos or (not column and several) or (name not in found and (folder or not column)):
                own = forms[name]
                if (first := recorded.setdefault(folder, own)) != own:
                    where = folder or "no folder"
                    raise ValueError(f"{path}: {first!r} and {own!r} both fit the pictures in {where}")
                images[rows.index] = self._by_frame(rows["frame"], folder, path, of_pyfeat)
                clips[rows.index] = folder or own_name
        if column and not of_pyfeat:  # which numbers any pictures
            for folder, rows in table.groupby(images.map(lambda image: image.rpartition("/")[0])):
                frames = rows.groupby(images[rows.index])["frame"].first()
                if len(frames) > 1 and frames.is_unique:
                    clips[rows.index] = folder or own_name
        return images.tolist(), clips.tolist()

    def _by_frame(self, frames: pd.Series, folder: str, path: Path, from_zero: bool) -> list[str]:
        """Pictures of the folder by their number.

        Tools count frames from 0 or 1, and so do those that extract pictures. Where one counts from 0 and the
        other from 1, the numbers are shifted if each frame then has its picture and each picture its frame.

        from_zero: the tool does, even if the frame 0 is missing.
        """
        if len(empty := frames.index[frames.isna()]):
            raise ValueError(f"{path} line {empty[0] + 2}: frame is empty, expected a frame number")
        numbered: dict[int, str] = {}
        for picture in self.inside[folder]:
            number = frame_number(PurePosixPath(picture).stem)
            if number is not None and (other := numbered.setdefault(number, picture)) != picture:
                raise ValueError(f"{other} and {picture} are both frame {number}")
        frames, there, shift = frames.astype(int), sorted(numbered), 0
        from_zero = from_zero or frames.min() == 0
        as_they_are = frames.min() > 0 and sorted(set(frames)) == there
        if there and from_zero != (there[0] == 0) and not as_they_are:
            first, shift = frames.min(), 1 if from_zero else -1
            if sorted(set(frames + shift)) != there:
                either = " or ".join(
                    numbered[number] for number in (first, first + shift) if number in numbered
                )
                raise ValueError(
                    f"{path}: frame {first} may be {either}, as either the {frames.nunique()} frames or the "
                    f"{len(there)} pictures count from 0; expected pictures numbered as the frames"
                )
        return [numbered.get(frame + shift, f"{folder}/frame {frame}".lstrip("/")) for frame in frames]


def pair_names(names: Iterable[str], others: Iterable[str], where: str | Path) -> dict[str, str]:
    """name -> the other name of the same picture or clip, as two tools write them; without names of none.

    As `Pictures.find`; what is left is paired without suffixes, since tools store pictures anew.

    Raises:
        ValueError: as `Pictures.find`, with `where` they come from.
    """
    names, others = list(names), list(others)
    found = Pictures(others).find(names, where)
    left = {name: without_suffix(name) for name in names if name not in found}
    rest = [(without_suffix(name), name) for name in set(others) - set(found.values())]
    bare, whole = Pictures([short for short, _ in rest]).find(list(left.values()), where), dict(rest)
    return found | {name: whole[bare[short]] for name, short in left.items() if short in bare}


def without_suffix(name: str) -> str:
    """A path in its normal form, without the suffix of a picture or clip."""
    path = PurePosixPath(normal_form(name))
    return str(path.with_suffix("") if is_picture_name(path.name) or is_video(path) else path)


def _fitting(form: str, known: dict[str, list[tuple[str, str]]], path: str | Path) -> str:
    """The target whose path is the end of `form` or the other way round, by as many parts as possible."""
    by_parts = defaultdict(list)  # (the very path, how many parts are alike) -> targets
    for other, target in known.get(form.rpartition("/")[2].casefold(), ()):
        if _is_end(form, other):
            by_parts[other == form, min(form.count("/"), other.count("/"))].append(target)
    if not by_parts:
        return ""
    targets = by_parts[max(by_parts)]
    if len(targets) > 1:
        alike = len({normal_form(target) for target in targets}) < len(targets)
        some = ", ".join(ascii(target) if alike else target for target in targets[:3])
        raise ValueError(f"{path}: {form!r} fits several pictures ({some}), expected a path to one")
    return targets[0]


def _is_end(one: str, other: str) -> bool:
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")
