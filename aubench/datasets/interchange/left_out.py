"""What a dataset folder cannot hold of a file it was imported from: rows without a face or a picture, the
order of columns, the name. Kept beside the manifest, so that an export gives the file back.

    interchange.json    kind, name, columns (header of the file), rows (how many it had)
    left_out.csv        the rows that are not in the manifest, all their columns, and `position`, from 0
"""

import json
from pathlib import Path

import pandas as pd

from aulib.dataset import DatasetFolder

NOTE, ROWS = "interchange.json", "left_out.csv"


def keep_left_out(folder: Path, kind: str, name: str, columns: list[str], table: pd.DataFrame, used) -> None:
    """Write both files. `used`: (N,) bool, which rows of `table` are in the manifest."""
    note = {"kind": kind, "name": name, "columns": columns, "rows": len(table)}
    (folder / NOTE).write_text(json.dumps(note, indent=1, ensure_ascii=False), encoding="utf-8")
    left = table[[not one for one in used]]
    left.assign(position=left.index).to_csv(folder / ROWS, index=False)


def kept_note(folder: Path, kind: str) -> dict:
    """What `keep_left_out` noted of a file of this kind; {} of another kind, or of a folder not imported."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return note if note.get("kind") == kind else {}
    except (OSError, ValueError, AttributeError):
        return {}


def with_left_out(table: pd.DataFrame, data: DatasetFolder, kind: str) -> pd.DataFrame:
    """The manifest's rows and those left out, in the order of the file that was imported.

    Only of a whole folder of the same kind: a protocol chooses people, and rows that a user took out of the
    manifest would stand in the wrong place; then the table as it is.
    """
    note, file = kept_note(data.root, kind), data.root / ROWS
    if not note or not file.is_file() or "#" in data.version:
        return table
    left = pd.read_csv(file, dtype={"image": str, "subject": str, "split": str})
    if len(table) + len(left) != note["rows"]:
        return table
    places = sorted(set(range(note["rows"])) - set(left["position"]))
    both = pd.concat([table.assign(position=places), left], ignore_index=True)
    return both.sort_values("position", ignore_index=True).drop(columns="position")


def as_it_was(table: pd.DataFrame, note: dict) -> pd.DataFrame:
    """The columns of the imported file in their order, then what was added to the manifest since."""
    columns = [name for name in note.get("columns", ()) if name in table]
    if not columns:
        return table
    own = ("image", "subject", "split")
    return table[columns + [name for name in table.columns if name not in (*columns, *own)]]
