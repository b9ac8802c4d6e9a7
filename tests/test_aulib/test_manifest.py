"""Every fault of a manifest is refused with its row, column and value."""

import os
import unicodedata

import numpy as np
import pandas as pd
import pytest

from aulib.dataset import read_dataset
from conftest import face_outline


def make_set(folder, n=6, landmarks=68, **columns):
    """A folder of empty image files (reading does not open them) with a manifest; columns override."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    table = {
        "image": [f"images/{i}.jpg" for i in range(n)],
        "subject": [f"{i:02d}" for i in range(n)],
        "split": (["train", "val", "test"] * n)[:n],
    }
    for i in range(n):
        (folder / "images" / f"{i}.jpg").touch()
    points = face_outline(100)[:landmarks]
    table |= {f"x_{k}": [float(points[k, 0])] * n for k in range(landmarks)}
    table |= {f"y_{k}": [float(points[k, 1])] * n for k in range(landmarks)}
    table |= columns
    pd.DataFrame({name: values for name, values in table.items() if values is not None}).to_csv(
        folder / "manifest.csv", index=False
    )
    return folder


def refused(folder) -> str:
    with pytest.raises(ValueError) as caught:
        read_dataset(folder)
    assert "manifest.csv" in str(caught.value)
    return str(caught.value)


IN_SHARES = {f"{axis}_{k}": [0.001 * k] * 6 for k in range(68) for axis in "xy"}
FAULTS = {  # columns -> what the message must name
    "no split column": ({"split": None}, ["`split`"]),
    "misspelt occurrence": ({"AU1_c": [0] * 6}, ["`AU1_c`", "`AU01_c`"]),
    "occurrence without suffix": ({"au12": [0] * 6}, ["`au12`", "`AU12_c`"]),
    "misspelt subject": ({"Subject": [0] * 6}, ["`Subject`", "`subject`"]),
    "a landmark without y": ({"y_5": None}, ["y_5"]),
    "66 landmarks": ({"landmarks": 66}, ["x_66, x_67, y_66, y_67"]),
    "69 landmarks": ({"x_68": [1.0] * 6, "y_68": [1.0] * 6}, ["69 x and 69 y", "point 68"]),
    "unknown splits": (
        {"split": ["train", "Train", "val", "test", "dev", "val"]},
        ["row 3: split is 'Train'", "row 6: split is 'dev'"],
    ),
    "code -1": ({"AU12_c": [0, 1, 0, -1, 0, 0]}, ["row 5: AU12_c is -1", "leave the cell empty"]),
    "half an occurrence": ({"AU12_c": [0.5] + [0] * 5}, ["row 2: AU12_c is 0.5"]),
    "intensity below 0": ({"AU12_r": [0, 5, -0.5, 0, 0, 0]}, ["row 4: AU12_r is -0.5"]),
    "intensity above 5": ({"AU12_r": [0, 5, 5.5, 0, 0, 0]}, ["row 4: AU12_r is 5.5"]),
    "infinite intensity": ({"AU12_r": [0, 5, np.inf, 0, 0, 0]}, ["row 4: AU12_r is inf"]),
    "words": (
        {"AU12_c": ["0", "1", "yes", "", "0", "no"]}, ["row 4: AU12_c is 'yes'", "row 7: AU12_c is 'no'"],
    ),
    "some landmarks empty": ({"x_7": [None, 20.0, None, 20.0, 20.0, 20.0]}, ["row 2: 1 of 136", "row 4: "]),
    "infinite landmark": ({"x_3": [20.0] * 5 + [-np.inf]}, ["row 7: ", "inf"]),
    "landmark beyond any picture": ({"x_3": [20.0] * 5 + [1e6]}, ["row 7: ", "1e+06"]),
    "landmarks as shares": (IN_SHARES, ["row 2: ", "not shares of its width"]),
    "subject in two splits": (
        {"subject": ["a", "b", "c", "d", "a", "e"]}, ["row 6: subject 'a'", "'val'", "'train' in row 2"],
    ),
    "empty subject": ({"subject": ["a", "", "b", "c", "d", "e"]}, ["row 3: subject is empty"]),
    "missing subject": (
        {"subject": ["a", "NA", "nan", "#N/A", "d", "<NA>"]}, [f"row {n}: subject is" for n in (3, 4, 5, 7)],
    ),
    "repeated image": (
        {"n": 3, "image": ["images/0.jpg", "images/1.jpg", "images/0.jpg"]},
        ["row 4: image 'images/0.jpg'", "row 2"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_with_row_and_value(fault, tmp_path):
    columns, named = FAULTS[fault]
    message = refused(make_set(tmp_path / "set", **columns))
    for words in named:
        assert words in message


def test_hints_and_rows_of_correct_cells_are_left_out(tmp_path):
    assert "leave the cell empty" not in refused(make_set(tmp_path, AU12_c=[0.5] + [0] * 5))
    message = refused(make_set(tmp_path, x_7=[None, 20.0, None, 20.0, 20.0, 20.0]))
    assert "row 3:" not in message


def test_a_manifest_without_rows_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,subject,split\n")
    assert "no rows" in refused(tmp_path)


def test_columns_of_openface_and_meta_columns_are_allowed(tmp_path):
    extra = ["frame", "face_id", "timestamp", "confidence", "success", "pose_Tx", "gaze_0_x", "AU12_p"]
    dataset = read_dataset(make_set(tmp_path, meta_camera=["left"] * 6, **{name: [1] * 6 for name in extra}))
    assert dataset.table["meta_camera"].iloc[0] == "left"
    assert dataset.aus == []


def test_at_most_ten_faults_are_shown(tmp_path):
    message = refused(make_set(tmp_path, n=30, AU12_c=[7] * 30))
    assert message.count("AU12_c is 7") == 10 and "row 2:" in message


APART, WHOLE = (unicodedata.normalize(form, "Jos\u00e9") for form in ("NFD", "NFC"))


@pytest.mark.parametrize("on_disk, listed", [(APART, WHOLE), (WHOLE, APART)])
def test_unicode_forms_of_the_disk_and_the_manifest_may_differ(tmp_path, on_disk, listed):
    file = tmp_path / on_disk / f"{on_disk}.jpg"
    file.parent.mkdir()
    file.touch()
    rows = f"{listed}/{listed}.jpg,{listed},train\n./{listed}//{listed}.jpg,{listed},train"
    (tmp_path / "manifest.csv").write_text(f"image,subject,split\n{rows}\n")
    assert "row 3" in refused(tmp_path) and "also in row 2" in refused(tmp_path)
    (tmp_path / "manifest.csv").write_text(f"image,subject,split\n{rows.splitlines()[0]}\n")
    (path,) = read_dataset(tmp_path).image_paths
    assert path.is_file()


def test_one_person_in_two_unicode_forms_is_in_two_splits(tmp_path):
    message = refused(make_set(tmp_path, n=2, subject=[APART, WHOLE], split=["train", "test"]))
    assert "row 3: subject" in message and "in row 2" in message


def test_a_picture_in_other_capitals_is_named(tmp_path):
    make_set(tmp_path, n=1, image=["IMAGES/0.JPG"])
    assert "'images/0.jpg' is there" in refused(tmp_path)


def test_a_folder_that_cannot_be_read_is_named_and_not_said_to_be_empty(tmp_path, monkeypatch):
    make_set(tmp_path)
    scan = os.scandir

    def forbidden(path):
        if str(path).endswith("images"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(PermissionError, match="Permission denied.*images"):
        read_dataset(tmp_path)
