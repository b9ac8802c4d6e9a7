"""Sessions that an earlier call converted, reused where nothing they depend on has changed.

A session is reused if every picture it gave is still in place, its folders are unchanged, and so are the
files that could not be read. Otherwise it is converted again, but faces already detected in pictures that are
still in place are kept.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.datasets.converters.raw_session import Session, Source
from aulib.files import atomic_file

# Reasons that a changed picture can take away; others are of the labels.
OF_THE_PICTURE = ("unreadable", "no face found", "landmark")


@dataclass(frozen=True)
class ConvertedSession:
    """Rows of an earlier call; `in_place` (N,): usable and the picture still there; `complete`: reuse all."""

    rows: pd.DataFrame
    in_place: np.ndarray
    notes: tuple[str, ...]
    complete: bool

    def detected(self, session: Session) -> dict[int, tuple[str, str, str, np.ndarray, str]]:
        """Row -> (image, source, "", (K, 2) landmarks, note) of the faces that need no detection."""
        faces = self.rows.filter(regex=r"^[xy]_\d+$")
        if len(self.rows) != len(session.frames) or faces.empty:
            return {}
        faces = np.stack([faces.filter(regex=axis).to_numpy(np.float32) for axis in ("x_", "y_")], axis=-1)
        rows = np.flatnonzero(self.in_place & np.isfinite(faces).all(axis=(1, 2))).tolist()
        images, sources, notes = self.rows["image"], self.rows["source"], self.rows["note"]
        return {
            row: (images[row], sources[row], "", faces[row], notes[row])
            for row in rows
            if sources[row] == session.origin(row)
        }


def read_converted(path: Path, source: Source, out: Path) -> ConvertedSession | None:
    """What `write_converted` kept at `path`; None if there is nothing, or it cannot be read."""
    try:
        rows = pd.read_parquet(path)
        kept = rows.attrs
        used = (rows["reason"] == "").to_numpy()
        in_place = used & np.array([(out / image).is_file() for image in rows["image"]], dtype=bool)
        unchanged = kept["listing"] == _listing(source) and all(
            list(stamp(Path(name))) == found for name, found in kept["unreadable"].items()
        )
        complete = unchanged and bool((in_place == used).all())
        return ConvertedSession(rows, in_place, tuple(kept["notes"]), complete)
    except (OSError, ValueError, KeyError):  # nothing, half a file, an older form
        return None


def write_converted(
    path: Path, source: Source, session: Session, rows: pd.DataFrame, notes: tuple[str, ...]
) -> None:
    """Keep the rows of a session, and what they depend on."""
    failed = rows["reason"].str.startswith(OF_THE_PICTURE)
    pictures = [p for p, bad in zip(session.pictures, failed, strict=True) if bad and p is not None]
    unreadable = {str(file): stamp(file) for file in [*session.unreadable, *pictures]}
    rows.attrs = {"notes": notes, "listing": _listing(source), "unreadable": unreadable}
    with atomic_file(path) as partial:
        rows.to_parquet(partial, index=False)


def stamp(path: Path) -> tuple[int, int]:
    """(size, time of the last change in ns) of a file, (0, time) of a folder, (-1, 0) if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return -1, 0
    return 0 if path.is_dir() else found.st_size, found.st_mtime_ns


def _listing(source: Source) -> str:
    """Hash of the folders and pictures that a session was found with."""
    folders = [[str(path), *stamp(path)] for path in source.files.values() if path.is_dir()]
    pictures = source.session.pictures if source.session is not None else []
    seen = json.dumps([folders, [str(picture) for picture in pictures]])
    return hashlib.blake2b(seen.encode(), digest_size=8).hexdigest()
