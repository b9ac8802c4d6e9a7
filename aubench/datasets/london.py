"""The Face Research Lab London Set: 102 people, neutral and smiling, with age, gender and ethnicity.

DeBruine & Jones 2017, doi 10.6084/m9.figshare.5047666, CC BY 4.0. No AU is coded; `aulib contrast` scores it.
The published archives hold 001_03.jpg (neutral, from the front) and 001_08.jpg (smiling, from the front)
beside other views; a copy whose files are called 001_neutral.jpg and 001_smiling.jpg is read as well.
"""

import re
from pathlib import Path

import pandas as pd

from aubench.datasets.photographs import prepare
from aubench.datasets.picture_files import list_pictures
from aulib.dataset import DatasetFolder
from aulib.tables import read_table, refuse

PICTURE = r"(?:^|/)X?(?P<person>\d{3})_(?P<view>neutral|smiling|03|08)\.(?i:jpe?g|png|tiff?)$"
EXPRESSION = {"neutral": "neutral", "03": "neutral", "smiling": "happiness", "08": "happiness"}
ABOUT = {"face_age": "meta_age", "face_gender": "meta_gender", "face_eth": "meta_ethnicity"}


def convert_london(raw: str | Path, out: str | Path, workers: int | None = None) -> DatasetFolder:
    """Turn the unpacked download into a dataset folder; landmarks are the detector's, all faces are in test.

    Raises:
        FileNotFoundError: `raw` holds no picture of the set, or no table of its people.
        ValueError: the table lacks a column or a person, or has one twice.
        Others as of `prepare`.
    """
    pictures = [found for path in list_pictures(raw)[0] if (found := re.search(PICTURE, path))]
    if not pictures:
        raise FileNotFoundError(
            f"{raw} holds no picture of the London set, expected files such as 001_03.jpg or 001_neutral.jpg"
        )
    people = _people(Path(raw))
    if missing := sorted({found["person"] for found in pictures} - people.keys()):
        raise ValueError(f"{raw}: the table of the people has no {', '.join(missing[:5])}, who are pictured")
    rows = [
        {
            "image": found.string,
            "subject": found["person"],
            "meta_expression": EXPRESSION[found["view"]],
            **people[found["person"]],
        }
        for found in pictures
    ]
    return prepare(raw, out, workers=workers, split="test", about=pd.DataFrame(rows), only=PICTURE)


def _people(raw: Path) -> dict[str, dict[str, str]]:
    """Number of a person -> the columns of ABOUT; "american indian" and such as the people wrote it."""
    tables = [
        path for path in sorted(raw.rglob("*.csv")) if path.name in ("people.csv", "london_faces_info.csv")
    ]
    if not tables:
        raise FileNotFoundError(
            f"{raw} holds no london_faces_info.csv (or people.csv), the table of the people"
        )
    table, faults = read_table(tables[0], (), keep_text=True)
    refuse(faults, tables[0])
    if missing := {"face_id", *ABOUT} - set(table):
        raise ValueError(f"{tables[0]} has no column {', '.join(sorted(missing))}")
    number = table["face_id"].str.removeprefix("X").str.zfill(3)
    if (twice := number.duplicated()).any():
        raise ValueError(f"{tables[0]}: person {number[twice].iloc[0]} occurs twice, expected each once")
    if wrong := [cell for cell in table["face_id"] if not re.fullmatch(r"X?\d{1,3}", cell)]:
        raise ValueError(f"{tables[0]}: face_id is {wrong[0]!r}, expected a number such as 001 or X001")
    return table.set_index(number)[list(ABOUT)].rename(columns=ABOUT).to_dict("index")
