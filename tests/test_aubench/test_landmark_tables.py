"""Landmarks from CSV files of other tools, matched to pictures."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aubench.datasets.interchange.tables import LANDMARKS, read_rows
from aubench.datasets.landmark_tables import read_faces, read_landmarks
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
    assert found["a.jpg"].landmarks == pytest.approx(face_outline(70), abs=0.01)
    assert "2 faces" in found["a.jpg"].note
    assert found["b.jpg"].landmarks is None and "success is 0" in found["b.jpg"].note


APART, WHOLE = (unicodedata.normalize(form, "Jos\u00e9") for form in ("NFD", "NFC"))
PAIRS = {  # what the table says -> the picture, of those below
    "a/1.jpg": "a/1.jpg", "./a//1.jpg": "a/1.jpg", "a\\1.jpg": "a/1.jpg", "C:\\x\\a\\1.jpg": "a/1.jpg",
    "/data/photos/b/1.jpg": "b/1.jpg", "b/1": "b/1.jpg", "007": "007.jpg", "007.jpg": "007.jpg", "9": "9.jpg",
    "photos/9.jpg": "9.jpg", WHOLE: f"{APART}.png", f"{WHOLE}.png": f"{APART}.png", "v1.2": "v1.2.jpg",
    "x.jpg": "x.jpg",
}  # fmt: skip
PHOTOS = ["a/1.jpg", "b/1.jpg", "007.jpg", "7.png", "9.jpg", "a/9.jpg", f"{APART}.png", "v1.2.jpg", "x.jpg"]


@pytest.mark.parametrize("name", PAIRS)
def test_a_name_is_paired_with_the_picture_whose_path_ends_alike(tmp_path, name):
    file = landmark_csv(tmp_path / "faces.csv", [(name, 50)])
    assert set(read_landmarks(file, PHOTOS)) == {PAIRS[name]}


@pytest.mark.parametrize("name", ["07", "q/1.jpg", "a/1.png", "A/1.jpg", "jpg", "1.2", "z/a.jpg"])
def test_names_that_only_look_alike_are_no_pair(tmp_path, name):
    file = landmark_csv(tmp_path / "faces.csv", [(name, 50), ("9.jpg", 60)])
    assert set(read_landmarks(file, PHOTOS)) == {"9.jpg"}


def test_why_a_row_has_no_picture_is_said(tmp_path):
    file = landmark_csv(tmp_path / "faces.csv", [("A/1.JPG", 50), ("z/1.jpg", 50), ("9.jpg", 60)])
    _, rows = read_faces(file, PHOTOS, lambda path: read_rows(path, LANDMARKS, "x_0", "x_0"))
    assert rows["reason"].tolist() == [
        "no such picture; 'a/1.jpg' is there, in other capitals", "no such picture", "",
    ]  # fmt: skip


def test_a_column_of_names_is_never_ignored(tmp_path):
    file = landmark_csv(tmp_path / "faces.csv", [("a.jpg", 50), ("b.jpg", 60)], "picture", frame=[2, 1])
    with pytest.raises(ValueError, match="column picture holds names of pictures"):
        read_landmarks(file, ["1.jpg", "2.jpg"])
    file = landmark_csv(tmp_path / "faces.csv", [("2", 50), ("1", 60)], "Filename", frame=[1, 2])
    assert read_landmarks(file, ["1.jpg", "2.jpg"])["2.jpg"].landmarks == pytest.approx(
        face_outline(50), abs=0.01
    )
    table = pd.read_csv(file).assign(Filename=["2.jpg", "1.jpg"])
    table.set_index("Filename").rename_axis(None).to_csv(file)  # as pandas writes an index
    with pytest.raises(ValueError, match="line 1: column 1 has no name, and holds '2.jpg'"):
        read_landmarks(file, ["1.jpg", "2.jpg"])


@pytest.mark.parametrize(
    "names, pictures",
    [(["1.jpg"], ["a/1.jpg", "b/1.jpg"]), (["1"], ["1.jpg", "1.png"]), (["1"], ["a/1.jpg", "b/1.png"])]
    + [(["/q/1.jpg", "/z/1.jpg"], ["1.jpg"]), (["1", "1.jpg"], ["1.jpg"])]
    + [(["c/1.jpg"], ["a/c/1.jpg", "b/c/1.jpg"]), ([WHOLE], [f"{WHOLE}.jpg", f"{APART}.jpg"])]
    + [(["clip.mp4"], ["a/clip/1.jpg", "b/clip/1.jpg"])],
)  # fmt: skip
def test_what_fits_several_is_refused_with_both(tmp_path, names, pictures):
    file = landmark_csv(
        tmp_path / "faces.csv", [(name, 50) for name in names], frame=range(1, len(names) + 1)
    )
    with pytest.raises(ValueError, match=r"faces.csv: .*(fits several|both fit)"):
        read_landmarks(file, pictures)


@pytest.mark.parametrize("name", ["1", APART])
def test_a_csv_called_as_two_pictures_is_refused(tmp_path, name):
    (tmp_path / "processed").mkdir()
    landmark_csv(tmp_path / f"processed/{name}.csv", [("", 50)], column=None)
    pictures = [f"{unicodedata.normalize('NFC', name)}.jpg", f"{name}.png"]
    with pytest.raises(ValueError, match="fits several") as caught:
        read_landmarks(tmp_path / "processed", pictures)
    assert all(picture in str(caught.value) for picture in pictures)


def test_folders_of_csvs_mirror_folders_of_pictures_and_hidden_files_are_none(tmp_path):
    for below in ("a", "b"):
        (tmp_path / "processed" / below).mkdir(parents=True)
        landmark_csv(tmp_path / f"processed/{below}/1.csv", [("", 50 if below == "a" else 60)], column=None)
        (tmp_path / f"processed/{below}/._1.csv").write_bytes(b"\x00\x05\x16\x07 Mac OS X \xb0")
    (tmp_path / "processed/b").rename(tmp_path / "elsewhere")
    (tmp_path / "processed/b").symlink_to("../elsewhere")
    (tmp_path / "processed/c.CSV").write_text("x_0,y_0\n")  # no face was found
    (tmp_path / "processed/.trash").mkdir()
    (tmp_path / "processed/.trash/b.csv").write_bytes(b"\xff")
    found = read_landmarks(tmp_path / "processed", ["x/a/1.jpg", "x/b/1.png", "x/c.jpg", "x/d.jpg"])
    assert found["x/b/1.png"].landmarks == pytest.approx(face_outline(60), abs=0.01)
    assert set(found) == {"x/a/1.jpg", "x/b/1.png"}


def test_two_csvs_of_one_picture_are_refused(tmp_path):
    (tmp_path / "processed").mkdir()
    for name in ("clip", "take"):
        landmark_csv(tmp_path / f"processed/{name}.csv", [("", 50)] * 2, column=None, frame=[1, 2])
    with pytest.raises(ValueError, match=r"clip.csv and .*take.csv both describe 1.jpg"):
        read_landmarks(tmp_path / "processed", ["1.jpg", "2.jpg"])


@pytest.mark.parametrize("column, name", [("input", "/videos/clip.mp4"), ("file", "clip.AVI"), (None, "")])
@pytest.mark.parametrize("below", ["clip/", "x/clip/", ""])
def test_frames_of_a_video_are_the_numbered_pictures_of_its_folder(tmp_path, column, name, below):
    named = [(name, 40), (name, 60)]
    file = landmark_csv(tmp_path / "clip.csv", named, column=column, frame=[1, 2])
    found = read_landmarks(file, [f"{below}0001.jpg", f"{below}0002.jpg", "other/0001.jpg"])
    assert set(found) == {f"{below}0001.jpg", f"{below}0002.jpg"}
    assert found[f"{below}0002.jpg"].landmarks == pytest.approx(face_outline(60), abs=0.01)
    with pytest.raises(ValueError, match=f"{below}01.jpg and {below}1.jpg are both frame 1"):
        read_landmarks(file, [f"{below}01.jpg", f"{below}1.jpg"])


def clip_of(folder, frames, numbers):
    """frame -> number of its picture, for numbered pictures of a clip."""
    sizes = {frame: 40 + 2 * frame for frame in frames}
    file = landmark_csv(folder / "clip.csv", [("", sizes[frame]) for frame in frames], None, frame=frames)
    found = read_landmarks(file, [f"{number:04d}.jpg" for number in numbers])
    widths = {name: np.ptp(face.landmarks[:, 0]) for name, face in found.items()}
    return {
        round((width / np.ptp(face_outline(100)[:, 0]) * 100 - 40) / 2): int(name[:4])
        for name, width in widths.items()
    }


def test_frames_and_pictures_may_count_from_0_or_1_if_each_has_its_own(tmp_path):
    assert clip_of(tmp_path, [0, 1, 2], [0, 1, 2]) == {0: 0, 1: 1, 2: 2}
    assert clip_of(tmp_path, [1, 2, 3], [0, 1, 2]) == {1: 0, 2: 1, 3: 2}
    assert clip_of(tmp_path, [0, 1, 2], [1, 2, 3]) == {0: 1, 1: 2, 2: 3}
    assert clip_of(tmp_path, [2, 3], [1, 2, 3, 4]) == {2: 2, 3: 3}  # the numbers say it
    assert clip_of(tmp_path, [1, 2, 3, 4], [1, 2, 3]) == {1: 1, 2: 2, 3: 3}


@pytest.mark.parametrize(
    "frames, pictures",
    [([0, 1, 2, 3], [1, 2, 3]), ([0, 1], [1, 2, 3]), ([1, 2], [0, 1, 2]), ([1, 2, 3, 4], [0, 1, 2])],
)
def test_a_frame_too_many_or_too_few_is_refused_where_one_counts_from_0(tmp_path, frames, pictures):
    with pytest.raises(ValueError, match=r"clip.csv: frame \d may be 000\d.jpg"):
        clip_of(tmp_path, frames, pictures)


def test_pyfeat_counts_from_0_even_where_frame_0_has_no_face(tmp_path):
    named = [("clip.mp4", 40), ("clip.mp4", 50)]
    file = landmark_csv(tmp_path / "clip.csv", named, "input", frame=[1, 2], FaceScore=0.9)
    assert set(read_landmarks(file, ["clip/1.jpg", "clip/2.jpg"])) == {"clip/1.jpg", "clip/2.jpg"}
    with pytest.raises(ValueError, match="frame 1 may be clip/1.jpg or clip/2.jpg"):
        read_landmarks(file, ["clip/1.jpg", "clip/2.jpg", "clip/3.jpg"])


@pytest.mark.parametrize("frame", ["", "nan", "-nan(ind)", "1.5", "one"])
def test_a_frame_that_is_none_is_refused_with_its_line(tmp_path, frame):
    file = landmark_csv(tmp_path / "clip.csv", [("", 40), ("", 60)], column=None, frame=["1", frame])
    with pytest.raises(ValueError, match=r"clip.csv line 3: frame is "):
        read_landmarks(file, ["1.jpg", "2.jpg"])


def test_frames_of_two_videos_are_never_paired_with_the_same_pictures(tmp_path):
    named = [("a.mp4", 40), ("a.mp4", 40), ("b.mp4", 60), ("b.mp4", 60)]
    file = landmark_csv(tmp_path / "faces.csv", named, "input", frame=[1, 2, 1, 2])
    with pytest.raises(ValueError, match="'a.mp4' and 'b.mp4' both fit"):
        read_landmarks(file, ["1.jpg", "2.jpg"])
    two = landmark_csv(tmp_path / "two.csv", [("a.mp4", 40), ("a.avi", 40)], "input", frame=[1, 1])
    with pytest.raises(ValueError, match="'a.mp4' and 'a.avi' both fit the pictures in a"):
        read_landmarks(two, ["a/1.jpg"])
    found = read_landmarks(file, ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg"])
    assert {face.clip for face in found.values()} == {"a", "b"} and len(found) == 4


def test_an_empty_name_is_refused_with_its_line_and_a_video_needs_frames(tmp_path):
    file = landmark_csv(tmp_path / "faces.csv", [("a.jpg", 40), ("", 60)])
    with pytest.raises(ValueError, match="faces.csv line 3: image is empty"):
        read_landmarks(file, ["a.jpg", "b.jpg"])
    file = landmark_csv(tmp_path / "faces.csv", [("a.mp4", 40)])
    with pytest.raises(ValueError, match="'a.mp4', a video"):
        read_landmarks(file, ["a.jpg"])


@pytest.mark.parametrize("value", ["-nan(ind)", "", "nan"])
def test_a_face_whose_success_is_missing_is_none(tmp_path, value):
    file = landmark_csv(tmp_path / "faces.csv", [("a.jpg", 40), ("b.jpg", 60)], success=["1", value])
    found = read_landmarks(file, ["a.jpg", "b.jpg"])
    assert found["a.jpg"].landmarks is not None and found["b.jpg"].landmarks is None
    file = landmark_csv(tmp_path / "faces.csv", [("a.jpg", 40), ("b.jpg", 60)], success=["1", "maybe"])
    with pytest.raises(ValueError, match="line 3: success is 'maybe'"):
        read_landmarks(file, ["a.jpg", "b.jpg"])


@pytest.mark.parametrize("column", ["image", None])
def test_in_a_recording_one_person_is_followed_by_the_size_over_all_frames(tmp_path, column):
    """Face 1 is the larger one over the clip, though not in frame 2; frame 3 has face 0 alone."""
    rows = [(1, 0, 40), (1, 1, 60), (2, 0, 50), (2, 1, 45), (3, 0, 20)]
    named = [(f"clip/{frame}.jpg", size) for frame, _, size in rows]
    numbers = {"frame": [row[0] for row in rows], "face_id": [row[1] for row in rows]}
    file = landmark_csv(tmp_path / "clip.csv", named, column, **numbers)
    found = read_landmarks(file, ["clip/1.jpg", "clip/2.jpg", "clip/3.jpg"])
    assert [(face.face_id, face.face, face.clip) for face in found.values()] == [
        ("1", "-face-1", "clip"), ("1", "-face-1", "clip"), ("0", "-face-0", "clip"),
    ]  # fmt: skip
    assert ["2 faces" in face.note for face in found.values()] == [True, True, False]


def test_a_face_without_a_number_is_nobody_of_its_own(tmp_path):
    named = [(f"clip/{frame}.jpg", 50) for frame in (1, 2, 3, 4)]
    numbers = {"frame": [1, 2, 3, 4], "face_id": ["0", "", "0", "0.0"]}
    found = read_landmarks(landmark_csv(tmp_path / "clip.csv", named, **numbers), [name for name, _ in named])
    assert {(face.face, face.clip) for face in found.values()} == {("", "clip")}


def test_numbers_of_faces_in_single_pictures_are_no_people(tmp_path):
    named = [("a.jpg", 40), ("a.jpg", 60), ("b.jpg", 60), ("b.jpg", 40)]
    file = landmark_csv(tmp_path / "faces.csv", named, face_id=[0, 1, 0, 1], frame=[1, 1, 1, 1])
    found = read_landmarks(file, ["a.jpg", "b.jpg"])
    assert [face.face_id for face in found.values()] == ["1", "0"]
    assert {(face.face, face.clip) for face in found.values()} == {("", "")}


def test_a_csv_that_cannot_be_matched_says_why(tmp_path):
    for column in ("image", "clip"):
        file = landmark_csv(
            tmp_path / "f.csv", [("other.jpg" if column == "image" else "no name", 50)], column
        )
        with pytest.raises(ValueError, match="f.csv names none of the pictures"):
            read_landmarks(file, ["a.jpg"])
    (tmp_path / "f.csv").write_text("image,x_0,y_0\na.jpg,1,2\n")
    with pytest.raises(ValueError, match="f.csv: landmarks have 1 x and 1 y columns"):
        read_landmarks(tmp_path / "f.csv", ["a.jpg"])
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        read_landmarks(tmp_path / "nowhere.csv", ["a.jpg"])
