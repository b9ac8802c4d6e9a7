"""Landmarks that others found: CSV files of OpenFace, py-feat and the like, matched to pictures."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

NAME_COLUMNS = ("image", "filename", "file", "input", "name")


def read_landmarks(path: str | Path, pictures: list[str]) -> dict[str, tuple[np.ndarray, int]]:
    """Landmarks of the largest face of each picture.

    Args:
        path: a CSV with a column image, filename, file, input or name and x_0..x_67, y_0..y_67 (or both to
            48), one row for each face; or a folder of CSVs without such a column, each named as its picture
            is (OpenFace's FaceLandmarkImg writes those). Rows with `success` 0 or empty points are no faces.
        pictures: relative paths. A name in the CSV stands for the picture whose relative path it is or ends
            with, else for the only picture of that file name.

    Returns:
        picture -> ((K, 2) float32 pixels of the picture as shown, number of faces); pictures without a face
        are absent.

    Raises:
        FileNotFoundError: no such file or folder, or no CSV in it.
        ValueError: columns missing, a name that fits several pictures, or no name that fits any.
    """
    path = Path(path)
    if path.is_dir():
        tables = [_read(file).assign(image=file.stem) for file in sorted(path.glob("*.csv"))]
        if not tables:
            raise FileNotFoundError(f"{path} holds no .csv file, expected one for each picture")
        table = pd.concat(tables, ignore_index=True)
        names = _Names(pictures, with_suffix=False)
    elif path.is_file():
        table = _read(path)
        named = [name for name in NAME_COLUMNS if name in table.columns]
        if not named:
            raise ValueError(
                f"{path} does not say which picture a row belongs to, expected a column "
                f"{', '.join(NAME_COLUMNS)}, or a folder of CSVs named as their pictures"
            )
        table["image"] = table[named[0]].astype(str).str.strip()
        names = _Names(pictures, with_suffix=True)
    else:
        raise FileNotFoundError(f"{path} does not exist, expected a CSV of landmarks or a folder of them")
    return _largest_faces(table, names, path)


def _largest_faces(table, names: "_Names", path: Path) -> dict[str, tuple[np.ndarray, int]]:
    num_landmarks = 68 if "x_67" in table.columns else 49
    columns = [f"{axis}_{point}" for point in range(num_landmarks) for axis in "xy"]
    points = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
    points = points.reshape(-1, num_landmarks, 2)
    is_face = np.isfinite(points).all(axis=(1, 2))
    if "success" in table.columns:
        is_face &= table["success"].to_numpy() != 0
    picture_of = names.resolve(table["image"].unique(), path)
    faces = defaultdict(list)
    for row in np.flatnonzero(is_face):
        if (picture := picture_of.get(table["image"].iloc[row])) is not None:
            faces[picture].append(points[row])

    def extent(face: np.ndarray) -> float:
        return float(np.ptp(face, axis=0).prod())

    return {picture: (max(found, key=extent), len(found)) for picture, found in faces.items()}


class _Names:
    """From names as a tool wrote them to pictures."""

    def __init__(self, pictures: list[str], with_suffix: bool):
        self.pictures = pictures
        self.by_name = defaultdict(list)  # file name -> [(path to look for, picture)]
        for picture in pictures:
            key = PurePosixPath(picture) if with_suffix else PurePosixPath(picture).with_suffix("")
            self.by_name[key.name].append((str(key), picture))

    def resolve(self, names, path: Path) -> dict[str, str]:
        """name -> picture; a name that fits none is left out, one that is ambiguous is an error."""
        by_path, by_name = {}, {}
        for name in names:
            slashed = "/" + name.replace("\\", "/")
            candidates = self.by_name[PurePosixPath(slashed).name]
            fitting = [(key, picture) for key, picture in candidates if slashed.endswith(f"/{key}")]
            if fitting:
                by_path[name] = max(fitting, key=lambda fit: len(fit[0]))[1]
            elif len(candidates) == 1:
                by_name[name] = candidates[0][1]
            elif candidates:
                shown = ", ".join(picture for _, picture in candidates[:3])
                raise ValueError(f"{path}: {name!r} fits several pictures ({shown}), expected a path to one")
        settled = set(by_path.values())
        by_name = {name: picture for name, picture in by_name.items() if picture not in settled}
        first_name = {}
        for name, picture in by_name.items():
            if (other := first_name.setdefault(picture, name)) != name:
                raise ValueError(f"{path}: {other!r} and {name!r} both fit {picture!r}, expected one")
        if not by_path and not by_name:
            raise ValueError(
                f"{path} names none of the pictures: found {names[0]!r}, they are {self.pictures[0]!r} ..."
            )
        return by_path | by_name


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, skipinitialspace=True)
    except (ValueError, OverflowError) as error:  # what pandas makes of damaged files
        raise ValueError(f"{path} is no readable CSV: {' '.join(str(error).split())[:150]}") from error
    table.columns = [str(column).strip() for column in table.columns]
    points = sum(re.fullmatch(r"x_\d+", column) is not None for column in table.columns)
    expected = {f"{axis}_{point}" for point in range(points) for axis in "xy"}
    if points not in (49, 68) or not expected <= set(table.columns):
        raise ValueError(
            f"{path} has {points} columns x_0 ..., expected x_0..x_67 and y_0..y_67 (or both to 48)"
        )
    if table.empty:
        raise ValueError(f"{path} has a header and no rows, expected one row for each face")
    return table.copy()  # in one piece; pandas warns of a wide table read in many
