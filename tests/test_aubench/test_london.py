"""The London set, as published and in the reduced copy, on drawn pictures."""

import pandas as pd
import pytest
from test_photographs import seen  # noqa: F401

from aubench.datasets.london import convert_london
from aulib.expressions import expressions_of, groups_of
from two_colours import save, two_colours

PUBLISHED = "face_id,face_age,face_gender,face_eth\nX001,24,female,white\nX002,NA,male,east_asian/white\n"
REDUCED = PUBLISHED.replace("X", "")


@pytest.mark.parametrize(
    ("pictures", "table", "content"),
    [
        (
            (
                "neutral_front/001_03.jpg",
                "smiling_front/001_08.jpg",
                "neutral_front/002_03.jpg",
                "side/001_02.jpg",
            ),
            "london_faces_info.csv",
            PUBLISHED,
        ),
        (
            ("images/001_neutral.JPG", "images/001_smiling.jpg", "images/002_neutral.jpg"),
            "people.csv",
            REDUCED,
        ),
    ],
)
def test_both_layouts_give_the_same_people_and_expressions(tmp_path, seen, pictures, table, content):  # noqa: F811
    for picture in pictures:
        save(two_colours(), tmp_path / "raw" / picture)
    (tmp_path / "raw" / table).write_text(content)
    found = convert_london(tmp_path / "raw", tmp_path / "out").table
    assert sorted(zip(found["subject"], expressions_of(found["meta_expression"]), strict=True)) == [
        ("001", "happiness"), ("001", "neutral"), ("002", "neutral"),
    ]  # fmt: skip
    assert set(found["split"]) == {"test"}
    assert len(pd.read_csv(tmp_path / "out/skipped.csv")) == 0  # neither the table nor another view
    assert {"age: under 25", "gender: female", "ethnicity: east_asian/white"} <= set(groups_of(found))


def test_another_folder_is_refused(tmp_path, seen):  # noqa: F811
    save(two_colours(), tmp_path / "raw/holiday.jpg")
    with pytest.raises(FileNotFoundError, match="no picture of the London set.*001_03.jpg"):
        convert_london(tmp_path / "raw", tmp_path / "out")


def test_a_download_without_its_table_is_refused_and_one_without_a_column_too(tmp_path, seen):  # noqa: F811
    save(two_colours(), tmp_path / "raw/001_03.jpg")
    with pytest.raises(FileNotFoundError, match="holds no london_faces_info.csv"):
        convert_london(tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw/people.csv").write_text("face_id,face_age,face_gender\n001,24,female\n")
    with pytest.raises(ValueError, match=r"people.csv has no column face_eth"):
        convert_london(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("001,24,female,white\n001,25,female,white\n", "people.csv: person 001 occurs twice"),
        ("1.0,24,female,white\n", "people.csv: face_id is '1.0', expected a number"),
        ("002,24,female,white\n", "has no 001, who are pictured"),
    ],
)
def test_people_that_are_not_known_once_are_refused(tmp_path, seen, table, said):  # noqa: F811
    save(two_colours(), tmp_path / "raw/001_03.jpg")
    (tmp_path / "raw/people.csv").write_text("face_id,face_age,face_gender,face_eth\n" + table)
    with pytest.raises(ValueError, match=said):
        convert_london(tmp_path / "raw", tmp_path / "out")
