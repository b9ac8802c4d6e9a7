"""Landmarks from CSV files of other tools, matched to pictures."""

from pathlib import Path

import pandas as pd
import pytest

from aubench.datasets.landmark_tables import read_landmarks
from conftest import face_outline


def landmark_csv(path: Path, named: list[tuple[str, float]], column="image", **columns) -> Path:
    """An OpenFace-like CSV, ", " between cells; each (name, size) is a face outline of that size."""
    rows = []
    for name, size in named:
        points = face_outline(size)
        row = {column: name} if column else {}
        row |= {f" x_{k}": x for k, x in enumerate(points[:, 0])}
        rows.append(row | {f" y_{k}": y for k, y in enumerate(points[:, 1])})
    pd.DataFrame(rows).assign(**columns).to_csv(path, index=False)
    return path


def test_of_several_rows_the_largest_face_is_taken_and_failures_are_none(tmp_path):
    named = [("a.jpg", 30), ("a.jpg", 70), ("a.jpg", 99), ("b.jpg", 50)]
    file = landmark_csv(tmp_path / "faces.csv", named, success=[1, 1, 0, 0])
    found = read_landmarks(file, ["a.jpg", "b.jpg"])
    assert set(found) == {"a.jpg"}
    landmarks, num_faces = found["a.jpg"]
    assert num_faces == 2
    assert landmarks == pytest.approx(face_outline(70), abs=0.01)


def test_a_folder_of_csvs_as_openface_writes_for_single_pictures(tmp_path):
    (tmp_path / "processed").mkdir()
    landmark_csv(tmp_path / "processed" / "a.csv", [("", 40)], column=None)
    landmark_csv(tmp_path / "processed" / "b.csv", [("", 60)], column=None)
    found = read_landmarks(tmp_path / "processed", ["x/a.jpg", "x/b.png", "x/c.png"])
    assert set(found) == {"x/a.jpg", "x/b.png"}
    assert found["x/b.png"][0] == pytest.approx(face_outline(60), abs=0.01)


def test_names_in_a_csv_that_could_mean_several_pictures_are_refused(tmp_path):
    file = landmark_csv(tmp_path / "faces.csv", [("1.jpg", 50)])
    with pytest.raises(ValueError, match="'1.jpg' fits several pictures"):
        read_landmarks(file, ["a/1.jpg", "b/1.jpg"])
    file = landmark_csv(tmp_path / "faces.csv", [("q/1.jpg", 50), ("z/1.jpg", 50)])
    with pytest.raises(ValueError, match="'q/1.jpg' and 'z/1.jpg' both fit"):
        read_landmarks(file, ["b/1.jpg"])
    file = landmark_csv(tmp_path / "faces.csv", [("b/1.jpg", 50), ("z/1.jpg", 90)])
    found = read_landmarks(file, ["b/1.jpg"])  # the full path settles it
    assert found["b/1.jpg"][0] == pytest.approx(face_outline(50), abs=0.01)


def test_frames_of_a_video_are_the_numbered_pictures_of_its_folder(tmp_path):
    file = landmark_csv(tmp_path / "clip.csv", [("", 40), ("", 60)], column=None, frame=[1, 2])
    found = read_landmarks(file, ["clip/0001.jpg", "clip/0002.jpg", "other/0001.jpg"])
    assert set(found) == {"clip/0001.jpg", "clip/0002.jpg"}
    assert found["clip/0002.jpg"][0] == pytest.approx(face_outline(60), abs=0.01)
    from_0 = read_landmarks(file, ["0000.jpg", "0001.jpg"])  # as ffmpeg counts with -start_number 0
    assert from_0["0001.jpg"][0] == pytest.approx(face_outline(60), abs=0.01)
    with pytest.raises(ValueError, match="clip/01.jpg and clip/1.jpg are both frame 1"):
        read_landmarks(file, ["clip/01.jpg", "clip/1.jpg"])


def test_a_csv_that_cannot_be_matched_says_why(tmp_path):
    for column in ("image", "clip"):
        file = landmark_csv(tmp_path / "f.csv", [("other.jpg", 50)], column=column)
        with pytest.raises(ValueError, match="f.csv names none of the pictures"):
            read_landmarks(file, ["a.jpg"])
    (tmp_path / "f.csv").write_text("image,x_0,y_0\na.jpg,1,2\n")
    with pytest.raises(ValueError, match="f.csv has 1 columns x_0"):
        read_landmarks(tmp_path / "f.csv", ["a.jpg"])
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        read_landmarks(tmp_path / "nowhere.csv", ["a.jpg"])
