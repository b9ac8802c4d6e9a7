"""What a dataset folder cannot hold of an imported file, kept next to the manifest so that an export gives
the file back.

    interchange.json    kind, name, columns (header of the file), rows (how many it had), first_pixel of lists
    left_out.csv        rows that are not in the manifest (no face, no picture), and their `position` from 0
"""

from pathlib import Path

import pandas as pd

from aulib.dataset import DatasetFolder
from aulib.files import read_json, write_json
from aulib.manifest import RULES
from aulib.tables import Rule, read_table

POSITION = Rule("position", 0, 1e9, "a row", whole=True)
NOTE, ROWS = "interchange.json", "left_out.csv"


def keep_left_out(folder: Path, about: dict, table: pd.DataFrame, used: pd.Series) -> None:
    """Write both files.

    Args:
        about: what the first holds, but for `rows`.
        used: (N,) bool, which rows of `table` are in the manifest.
    """
    write_json(folder / NOTE, about | {"rows": len(table)})
    left = table[~used]
    left.assign(position=left.index).to_csv(folder / ROWS, index=False)


def read_note(folder: Path, kind: str) -> dict:
    """interchange.json; {} if the folder was not imported, or from a file of another kind; or if the file is
    damaged, as a name that leads out of a folder is."""
    try:
        note = read_json(folder / NOTE)
        name, columns = note["name"], note["columns"]
        sound = Path(name).name == name and {type(one) for one in columns} <= {str}
        sound = sound and isinstance(note["rows"], int) and note.get("first_pixel", 0) in (0, 1)
        return note if note["kind"] == kind and sound else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def with_left_out(table: pd.DataFrame, data: DatasetFolder, note: dict) -> pd.DataFrame:
    """Rows and columns of the manifest and of what was left out, in the order of the imported file.

    Rows come back only to a whole folder: a protocol chooses people, and if a user removed rows from the
    manifest, the positions no longer hold.
    """
    if not note:
        return table
    file = data.root / ROWS
    if file.is_file() and "#" not in data.version:
        left, _ = read_table(file, (*RULES, POSITION), keep_text=True)
        places = sorted(set(range(note["rows"])) - set(left.get("position", ())))
        if len(places) == len(table) == note["rows"] - len(left):
            both = pd.concat([table.assign(position=places), left], ignore_index=True)
            table = both.sort_values("position", ignore_index=True).drop(columns="position")
    columns = [name for name in note["columns"] if name in table]
    added = [name for name in table if name not in (*columns, "image", "subject", "split")]
    return table[columns + added]
