"""RAF-AU: pictures from the web, AUs by hand. Tree and source of each fact: docs/datasets/rafau.md."""

import re
from pathlib import Path

import pandas as pd

from aubench.datasets.converters.converter import PictureList, any_capitals
from aubench.datasets.converters.label_tables import SPACES, au_name
from aubench.datasets.converters.raw_session import Expected
from aulib.files import read_text
from aulib.tables import read_columns

# Those of OpenGraphAU's list that aulib names.
CODED = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27)
AUS = tuple(map(au_name, CODED))
HIGHEST = 98  # code of FACS, head and eyes included


class RAFAU(PictureList):
    """Pictures by hand; `null` lines have no labels and are skipped later as not coded."""

    expected = Expected(
        subjects=4_348,
        frames=4_348,
        aus=AUS,
        sources="4,601 lines of which 253 null: counted in a public repository; AUs: OpenGraphAU; no "
        "base rates are known to us",
    )
    files = {"labels": r"RAF-?AU_label\.txt"}
    example = "RAFAU_label.txt"
    second_choice = "aligned"

    def read_table(self, path: Path) -> pd.DataFrame:
        """Raises ValueError for a line that is not a picture and AUs, and for a picture named twice."""
        cells = read_columns(path, ["image", "aus"], [], SPACES)
        table = pd.DataFrame(
            [_read_line(f"{path} line {row + 2}", *pair) for row, *pair in cells.itertuples()]
        )
        table.index += 1
        names = table["image"].map(any_capitals)
        for twice in names[names.duplicated()][:1]:
            both = " and ".join(dict.fromkeys(table["image"][names == twice]))
            raise ValueError(f"{path}: {both} occurs twice, expected each picture once")
        if not read_text(path)[-1].isspace():
            table.loc[len(table), "fault"] = f"{path.name} ends within its line: AUs may be cut off"
        return table


def _read_line(place: str, image: str, text: str) -> dict:
    if not re.fullmatch(r"\w[\w.()-]*\.(jpg|jpeg|png|bmp)", image, re.IGNORECASE):
        raise ValueError(f"{place}: {image[:40]!r} is no picture, expected 0001.jpg")
    row = {"image": image, "fault": ""}
    if text.lower() == "null":
        return row | {f"{au}_c": float("nan") for au in AUS}
    named = set()
    for part in text.split("+"):
        if not re.fullmatch(r"[LR]?[0-9]{1,2}[A-E]?", part, re.IGNORECASE):
            raise ValueError(f"{place}: {part[:20]!r} is no AU, expected 12, L12 or R12")
        number = re.sub(r"[A-Za-z]", "", part)
        if not 1 <= int(number) <= HIGHEST:
            raise ValueError(f"{place}: {part!r} is no AU, expected 1 to {HIGHEST}, or null without labels")
        named.add(au_name(number))
    return row | {f"{au}_c": float(au in named) for au in AUS}
