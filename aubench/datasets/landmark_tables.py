"""Rows of tables that other tools wrote, paired with pictures; and the landmarks in such tables."""

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_tree import choose_frame_offset, frame_number
from aubench.datasets.interchange.tables import FRAME, PIXELS, SUCCESS, csv_files, read_table

NAME_COLUMNS = ("image", "filename", "file", "input", "name")


def read_landmarks(path: str | Path, pictures: list[str]) -> dict[str, tuple[np.ndarray, int]]:
    """Landmarks of the largest face of each picture.

    Args:
        path: a CSV, or a folder of CSVs, with x_0..x_67, y_0..y_67 (or both to 48) and one row for each face.
            Rows with `success` 0 or empty points are no faces. `Pictures.of_rows` says which picture a row
            belongs to.
        pictures: relative paths.

    Returns:
        picture -> ((K, 2) float32 pixels of the picture as shown, number of faces); pictures without a face
        are absent.

    Raises:
        FileNotFoundError: no such file or folder, or no CSV in it.
        ValueError: damaged tables, columns missing, a name that fits several pictures, or no row that fits
            any.
    """
    folder, parts = Pictures(pictures), []
    for file in csv_files(path):
        table = read_table(file, (PIXELS, FRAME, SUCCESS), "x_0", "landmarks x_0 ...")
        parts.append(table.assign(image=folder.of_rows(table, file)))
    table = pd.concat(parts, ignore_index=True)
    points, is_face = _points(table, path), table.get("success", pd.Series(1, table.index)) != 0
    is_face &= np.isfinite(points).all(axis=(1, 2)) & table["image"].isin(pictures)
    if not table["image"].isin(pictures).any():
        raise ValueError(
            f"{path} names none of the pictures: found {table['image'].iloc[0]!r}, they are {pictures[0]!r} "
            f"...; expected a column {', '.join(NAME_COLUMNS)}, or CSVs called as their pictures"
        )

    def extent(row: int) -> float:
        return float(np.ptp(points[row], axis=0).prod())

    faces = table[is_face].groupby("image", sort=False).groups
    return {picture: (points[max(rows, key=extent)], len(rows)) for picture, rows in faces.items()}


def _points(table: pd.DataFrame, path: str | Path) -> np.ndarray:
    """(N, K, 2) float32."""
    num_points = sum(re.fullmatch(r"x_\d+", column) is not None for column in table.columns)
    columns = [f"{axis}_{point}" for point in range(num_points) for axis in "xy"]
    if num_points not in (49, 68) or not set(columns) <= set(table.columns):
        raise ValueError(
            f"{path} has {num_points} columns x_0 ..., expected x_0..x_67 and y_0..y_67 (or both to 48)"
        )
    return table[columns].to_numpy(np.float32).reshape(-1, num_points, 2)


class Pictures:
    """The pictures below a folder, looked up by the names that other tools write."""

    def __init__(self, pictures: list[str]):
        self.pictures = pictures
        self.by_name = defaultdict(list)  # file name -> [(the path with / before it, picture)]
        self.by_stem = defaultdict(list)  # the same without suffixes
        self.by_folder = defaultdict(list)  # name of the folder, "" for the top -> pictures
        for picture in pictures:
            path = PurePosixPath(picture)
            self.by_name[path.name].append((f"/{path}", picture))
            self.by_stem[path.stem].append((f"/{path.with_suffix('')}", picture))
            self.by_folder[path.parent.name].append(picture)

    def of_rows(self, table: pd.DataFrame, path: Path) -> list[str]:
        """The picture of each row of the table read from `path`; the name looked for where there is none.

        A column of file names decides (NAME_COLUMNS): a name stands for the picture whose path it is or ends
        with, else for the only picture of that file name. Without such a column it is `frame` among the
        numbered pictures of a folder called as the CSV, the picture called as the CSV, or `frame` among the
        numbered pictures that lie in no folder.

        Raises:
            ValueError: a name fits several pictures, two names fit one, or two pictures have one number.
        """
        for column in NAME_COLUMNS:
            if (
                column in table
                and (names := table[column].astype(str).str.strip()).str.contains(r"\.\w+$").all()
            ):
                found = self._find(names.unique(), self.by_name, path)
                return [found.get(name, PurePosixPath(name.replace("\\", "/")).name) for name in names]
        if "frame" in table and path.stem in self.by_folder:
            return self._by_frame(table["frame"], path.stem)
        if path.stem in self.by_stem or "frame" not in table:
            return [self._find([path.stem], self.by_stem, path).get(path.stem, path.stem)] * len(table)
        return self._by_frame(table["frame"], "")

    def _find(self, names, known: dict, path: Path) -> dict[str, str]:
        """name -> picture, without names that fit none."""
        by_path, by_name = {}, {}
        for name in names:
            slashed = "/" + name.replace("\\", "/")
            candidates = known.get(PurePosixPath(slashed).name, [])
            fitting = [(key, picture) for key, picture in candidates if slashed.endswith(key)]
            if fitting:
                by_path[name] = max(fitting, key=lambda fit: len(fit[0]))[1]
            elif len(candidates) == 1:
                by_name[name] = candidates[0][1]
            elif candidates:
                some = ", ".join(picture for _, picture in candidates[:3])
                raise ValueError(f"{path}: {name!r} fits several pictures ({some}), expected a path to one")
        settled, first_name = set(by_path.values()), {}
        by_name = {name: picture for name, picture in by_name.items() if picture not in settled}
        for name, picture in by_name.items():
            if (other := first_name.setdefault(picture, name)) != name:
                raise ValueError(f"{path}: {other!r} and {name!r} both fit {picture!r}, expected one")
        return by_path | by_name

    def _by_frame(self, frames: pd.Series, folder: str) -> list[str]:
        """Pictures by their number; frames may count from 0 or from 1, see `choose_frame_offset`."""
        numbered: dict[int, str] = {}
        for picture in self.by_folder[folder]:
            number = frame_number(PurePosixPath(picture).stem)
            if number is not None and (other := numbered.setdefault(number, picture)) != picture:
                raise ValueError(f"{other} and {picture} are both frame {number}")
        frames = frames.fillna(-1).astype(int).tolist()
        offset, _ = choose_frame_offset(frames, list(numbered), 0)
        return [numbered.get(frame + offset, f"{folder}/frame {frame}".lstrip("/")) for frame in frames]
