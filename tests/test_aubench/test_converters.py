"""Raw trees to dataset folders: the quirks of each set, errors by file and row, resuming, the report."""

import json
import os
import shutil
import struct

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import raw_trees
import sample_report
from aubench.datasets import face_finding, videos
from aubench.datasets.converters import CONVERTERS, frames
from aubench.datasets.converters.bp4d import BP4D
from aubench.datasets.converters.convert import convert
from aubench.datasets.converters.disfa import DISFA
from aubench.datasets.converters.raw_tree import Tree
from aubench.datasets.converters.report import compare_rates, report_text, what_is_missing
from aulib.dataset import DatasetFolder
from aulib.landmarks import to_49
from conftest import face_outline
from tiny import TINY_VALUES

NO_LANDMARKS = "no landmarks in the set"
NO_PICTURE = "no picture"


@pytest.fixture
def detector(monkeypatch):
    """Finds the outline of a face in every picture; noise pictures hold none."""
    monkeypatch.setattr(
        face_finding, "detect_landmarks", lambda pixels: (face_outline(len(pixels)).astype(np.float32), 1)
    )
    monkeypatch.setattr("aubench.datasets.converters.convert.require_detector", lambda: None)


@pytest.fixture
def tree(tmp_path):
    """Writes the miniature tree of a set."""
    return lambda name, **options: getattr(raw_trees, f"write_{name}")(tmp_path / "raw", **options)


@pytest.fixture
def again(tmp_path):
    """Converts the tree that was written."""
    return lambda name, out="out", **options: convert(
        name, tmp_path / "raw", tmp_path / out, **{"workers": 1, "progress": False} | options
    )


@pytest.fixture
def converted(tree, again):
    return lambda name: (tree(name), again(name))[1]


@pytest.fixture
def skipped(tmp_path):
    """Frame -> why it was skipped, each reason cut to one of the known beginnings."""

    def read() -> dict[str, str]:
        table = pd.read_csv(tmp_path / "out" / "skipped.csv", keep_default_na=False)
        known = (NO_LANDMARKS, NO_PICTURE, "not coded", "unreadable", "two pictures")
        reasons = [next((k for k in known if why.startswith(k)), why) for why in table["reason"]]
        return dict(zip(table["frame"], reasons, strict=True))

    return read


def row_of(data, end: str) -> int:
    (row,) = [i for i, image in enumerate(data.table["image"]) if image.endswith(end)]
    return row


def labels_of(data, end: str) -> list[int | None]:
    """Occurrence of a frame, None where unknown."""
    return [None if np.isnan(v) else int(v) for v in data.occurrence[row_of(data, end)]]


def brightness(data, end: str) -> float:
    """Of a frame of a miniature video: 10 + 8 n for frame n."""
    return np.asarray(Image.open(data.image_paths[row_of(data, end)])).mean()


def first_session(name, raw):
    converter = CONVERTERS[name]
    return converter.read(converter.find(Tree(raw))[0])


# Each set's quirks.


def test_bp4d_labels_pictures_and_landmarks_belong_to_the_same_frame(converted, skipped, tmp_path):
    data, report = converted("bp4d")
    row = row_of(data, "F001/T1/644.jpg")
    moved = to_49(face_outline(64)) + 644 % 40 / 10  # MATLAB counts pixels from 1
    assert data.landmarks[row] == pytest.approx(moved, abs=1e-3)
    given = (tmp_path / "raw/AUCoding/AU_OCC/F001_T1.csv").read_text().splitlines()[2].split(",")
    assert given[0] == "644" and given[12] == "9"
    codes = [given[int(au[2:])] for au in data.aus]
    assert labels_of(data, "F001/T1/644.jpg") == [None if code == "9" else int(code) for code in codes]
    assert data.image_paths[row].resolve() == (tmp_path / "raw/2D+3D/F001/T1/0644.jpg").resolve()
    assert data.intensity_aus == ["AU06", "AU12"]
    assert data.intensity[row].tolist() == [(644 + 6) % 6, (644 + 12) % 6]
    assert np.isnan(data.intensity[row_of(data, "F001/T1/643.jpg")]).all()  # 9
    assert set(data.subjects) == {"F001", "F002", "F003", "M001", "M002"}
    gaps = {"F003/T1/644": NO_PICTURE, "F003/T2/2441": NO_PICTURE}
    assert skipped() == gaps | {"F001/T1/645": NO_LANDMARKS}
    assert report["subjects"] == 5 and report["frames"] == len(data) == 5 * 2 * 4 - 3


def test_bp4dplus_reads_columns_by_name_and_frame_n_is_picture_n_minus_1(converted, skipped, tmp_path):
    data, _ = converted("bp4dplus")
    row = row_of(data, "F082/T1/3.jpg")
    assert data.image_paths[row].resolve().name == "0002.jpg"
    lines = (tmp_path / "raw/AUCoding/AU_OCC/F082_T1.csv").read_text().split()
    given = dict(zip(lines[0].split(","), lines[3].split(","), strict=True))
    found = dict(zip(data.aus, labels_of(data, "F082/T1/3.jpg"), strict=True))
    assert found["AU23"] == int(given["23"]) and found["AU24"] is None and found["AU01"] == int(given["1"])
    assert data.landmarks[row] == pytest.approx(to_49(face_outline(64)) + 3 / 10, abs=1e-3)
    assert skipped() == {"F001/T1/4": NO_LANDMARKS}


def test_disfa_frames_from_videos_and_from_pictures_counted_from_0_or_1(converted, skipped):
    data, report = converted("disfa")
    assert skipped() == {"SN002/2": NO_LANDMARKS} and len(data) == 5 * 6 - 1
    for subject in ("SN001", "SN004"):  # label frame n is video frame n - 1
        assert brightness(data, f"{subject}/5.jpg") == pytest.approx(10 + 8 * 4, abs=2)
        landmarks = data.landmarks[row_of(data, f"{subject}/5.jpg")]
        assert landmarks == pytest.approx(to_49(face_outline(64)) + 5 / 10, abs=1e-3)
    assert data.image_paths[row_of(data, "SN002/3.png")].resolve().name == "2.png"
    row = row_of(data, "SN003/3.jpg")
    assert data.image_paths[row].resolve().name == "frame-3.jpg"
    assert data.intensity[row].tolist() == [(3 * au + 2) % 6 for au in raw_trees.DISFA_AUS]
    assert data.occurrence[row].tolist() == [float((3 * au + 2) % 6 >= 2) for au in raw_trees.DISFA_AUS]
    offset, *dark = report["notes"].items()
    assert "-1" in offset[0] and offset[1] == 2
    assert dark and all(note.startswith("nearly black") for note, _ in dark)
    assert data.table.loc[row_of(data, "SN001/5.jpg"), "meta_source"].endswith("LeftVideoSN001_comp.avi#4")


@pytest.mark.parametrize(
    "name, folder, pictures, offset, rival",
    [
        ("disfa", "images/SN002", [0, 1, 3, 4, 5], -1, None),  # labels 1 to 6
        ("disfa", "images/SN002", [0, 1, 2, 3, 4], -1, None),
        ("disfa", "images/SN002", [0, 1, 2, 3], -1, None),
        ("disfa", "images/SN002", [1, 2, 4, 5, 6], 0, None),
        ("disfa", "images/SN002", [1, 2, 3, 4, 5], 0, -1),  # the last is missing, or a picture 0
        ("disfa", "images/SN002", [2, 3, 4, 5, 6], 0, 1),
        ("disfa", "images/SN002", [0, 1, 2, 3, 4, 5, 6], -1, 0),
        ("disfa", "images/SN002", [0, 1, 2, 3, 4, 5, 6, 7], 0, -1),
        ("bp4d", "2D+3D/F001/T1", [642, 643, 644], 0, -1),  # labels 643 to 646
        ("bp4d", "2D+3D/F001/T1", [642, 643, 644, 645], -1, 0),
        ("bp4d", "2D+3D/F001/T1", [642, 643, 644, 645, 646], 0, -1),
        ("bp4d", "2D+3D/F001/T1", [644, 645, 646, 647, 648], 1, 0),
        ("bp4d", "2D+3D/F001/T1", [643, 644, 646], 0, None),
        ("bp4d", "2D+3D/F001/T1", [641, 642, 644, 645, 646, 647, 648], 0, None),
        ("bp4d", "2D+3D/F001/T1", [641, 642, 643, 645, 646], 0, None),
        ("bp4d", "2D+3D/F001/T1", [641, 642, 643, 644, 645], 0, -1),
        ("bp4dplus", "2D+3D/F001/T1", [1, 2, 3, 5, 6], 0, None),  # labels 1 to 6, usually -1
        ("bp4dplus", "2D+3D/F001/T1", [1, 2, 3, 4, 5], -1, 0),
        ("bp4dplus", "2D+3D/F001/T1", [0, 1, 2, 4], -1, None),
        ("bp4dplus", "2D+3D/F001/T1", [1, 2, 3, 4, 5, 6, 7], -1, (0, 1)),
        ("gft", "frames/001A", [0, 1, 2], -1, None),  # labels 1 to 4
        ("gft", "frames/001A", [0, 2, 3], -1, None),
    ],
)
def test_missing_pictures_shift_no_label_without_a_word(name, folder, pictures, offset, rival, tree):
    raw = tree(name)
    shutil.rmtree(raw / folder)
    for number in pictures:
        raw_trees.picture(raw / folder / f"{number}.jpg", number)
    converter = CONVERTERS[name]
    (source,) = [one for one in converter.find(Tree(raw)) if one.files.get("pictures") == raw / folder]
    session = converter.read(source)
    found = {int(n): int(path.stem) for n, path in zip(session.frames, session.pictures, strict=True) if path}
    coded = session.labels.index.tolist()
    assert found == {frame: frame + offset for frame in coded if frame + offset in pictures}
    usual = converter.picture_offset
    shifted = [f"picture number = label frame {offset:+d} here, usually {usual:+d}"] * (offset != usual)
    assert session.notes[: len(shifted)] == shifted
    unclear = session.notes[len(shifted) :]
    assert len(unclear) == (rival is not None)
    for note in unclear:
        assert note.startswith(f"{source.name}: {len(coded)} labels ({coded[0]} to {coded[-1]}) and ")
        assert f"{len(pictures)} pictures ({pictures[0]} to {pictures[-1]})" in note
        rivals = " or ".join(f"{other:+d}" for other in np.atleast_1d(rival))
        assert f"label frame {offset:+d} is used, {rivals} is possible" in note


def test_bp4d_counts_from_a_picture_0_that_has_no_label_though_the_last_is_missing(tree):
    raw = tree("bp4d")
    raw_trees.text(raw / OCC, raw_trees.bp4d_labels(range(1, 9)))
    shutil.rmtree(raw / "AUCoding/AU_INT")
    shutil.rmtree(raw / "2D+3D/F001/T1")
    for number in range(7):
        raw_trees.picture(raw / f"2D+3D/F001/T1/{number}.jpg", number)
    session = first_session("bp4d", raw)
    assert [path and path.stem for path in session.pictures] == [*"0123456", None]
    assert session.notes == ["picture number = label frame -1 here, usually +0"]


def test_the_report_says_which_pictures_may_be_shifted(tree, again):
    (tree("disfa") / "Images/Left/LeftVideoSN003_comp.avi/frame-6.jpg").unlink()
    assert "\nSN003: 6 labels (1 to 6) and 5 pictures (1 to 5) leave their pairing unclear" in report_text(
        again("disfa")[1]
    )


def test_disfa_plus_leaves_unlisted_frames_unknown(converted, detector):
    data, _ = converted("disfaplus")
    assert len(data) == 12 and set(data.subjects) == {"SN001", "SN003", "SN004"}
    row = row_of(data, "SN004/Y_Surprise_TrailNo_1/003.jpg")
    strengths = dict(zip(data.intensity_aus, data.intensity[row], strict=True))
    assert strengths["AU12"] == (3 + 12 + 2) % 6 and np.isnan(strengths["AU26"])
    assert data.num_landmarks == 68


def test_emotionet_finds_pictures_by_url_and_takes_adlds_splits(converted, skipped, detector, tmp_path):
    data, report = converted("emotionet")
    assert skipped() == {"dataFile_0001/N_0000000001_00005": NO_PICTURE} and len(data) == 11 + 6
    cells = (tmp_path / "raw/dataFile_0001.txt").read_text().split("\n")[2].split("\t")
    codes = [cells[int(au[2:]) + 1] for au in data.aus]
    assert labels_of(data, "_00003.jpg") == [None if code == "999" else int(code) for code in codes]
    splits = dict(zip(data.subjects, data.splits, strict=True))
    found = [splits[f"N_0000000001_{n:05d}"] for n in (1, 2, 3, 4, 6, 7)]
    assert found == ["val", "val", "test", "test", "test", "train"]
    assert "N_0000000002_00020" in splits  # its URL ends in a quote
    assert not report["expected"]["rates"]  # labels by hand alone have published rates
    (tmp_path / "raw/dataFile_0001.txt").unlink()
    assert CONVERTERS["emotionet"].expected_of(CONVERTERS["emotionet"].find(Tree(tmp_path / "raw"))).rates


def test_emotionet_skips_rows_of_one_picture_or_of_none(tree, again, detector, tmp_path):
    path = tree("emotionet") / "dataFile_0001.txt"
    rows = path.read_text().splitlines()
    other = rows[2].split("\t")
    other[3] = "1" if other[3] != "1" else "0"  # AU 2
    page = ["http://host/index.php", *rows[3].split("\t")[1:]]
    path.write_text("\n".join([*rows, rows[0], "\t".join(other), "\t".join(page)]) + "\n")
    faults = first_session("emotionet", tmp_path / "raw").faults
    named = {2: ("row 3", "row 14"), 12: ("row 13", "row 1"), 13: ("row 14", "row 3"), 14: ("index.php",)}
    assert faults.keys() == named.keys()
    assert all(name in faults[row] for row, names in named.items() for name in names)
    data, _ = again("emotionet")
    assert len(data) == 11 + 6 - 1
    assert set(faults.values()) <= set(pd.read_csv(tmp_path / "out/skipped.csv")["reason"])


def test_emotionet_reads_empty_cells_of_the_workbook_as_unknown_and_refuses_words(tree):
    raw = tree("emotionet")
    (raw / "dataFile_0001.txt").unlink()
    path = raw / "emotionet_facs_24600.xlsx"
    table = pd.read_excel(path).astype(object)
    table.loc[2, "'AU 4'"] = None
    table.to_excel(path, index=False)
    assert np.isnan(first_session("emotionet", raw).labels["AU04_c"].iloc[2])
    table.loc[3, "'AU 4'"] = "yes"
    table.to_excel(path, index=False)
    with pytest.raises(ValueError, match="24600.xlsx row 5: AU 4 is 'yes'"):
        first_session("emotionet", raw)


def test_gft_takes_pictures_or_videos(converted, skipped, detector):
    data, _ = converted("gft")
    assert set(data.subjects) == {"001A", "001B", "002C"}
    assert brightness(data, "001B/3.jpg") == pytest.approx(10 + 8 * 2, abs=3)
    assert labels_of(data, "001B/3.jpg") == [None if (3 + k) % 7 == 0 else (3 + k + 1) % 2 for k in range(10)]
    assert skipped() == {f"003A/{n}": NO_PICTURE for n in range(1, 5)}


def test_affwild2_line_j_is_picture_j_and_the_validation_set_is_our_test(converted, skipped, detector):
    data, _ = converted("affwild2")
    splits = dict(zip(data.subjects, data.splits, strict=True))
    assert splits["video1"] == "test" and set(splits.values()) == {"train", "val", "test"}
    left_out = skipped()
    assert left_out["video 3/00002"] == "not coded" and left_out["video 3/00004"] == NO_PICTURE
    assert labels_of(data, "video 3/00003.jpg") == [None if k == 3 else (2 + k + 2) % 2 for k in range(12)]
    assert brightness(data, "/46/00003.jpg") == pytest.approx(26, abs=3)


@pytest.mark.parametrize("a, b, c, d", [(1, 0, 0, 1), *videos.TURNS])
def test_videos_are_turned_and_mirrored_by_their_display_matrix(a, b, c, d, tmp_path):
    shown = np.full((48, 32, 3), 120, np.uint8)  # the upper left corner is white, the upper right one black
    shown[:16, :16], shown[:16, 16:] = 255, 0
    rows, columns = np.mgrid[: 48 if a else 32, : 32 if a else 48]
    x, y = a * columns + c * rows, b * columns + d * rows  # where the stored pixels are shown
    stored = shown[y - y.min(), x - x.min()]
    path = raw_trees.video_of(tmp_path / "a.mp4", [stored])
    content = path.read_bytes()
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    place = content.index(matrix, content.index(b"tkhd"))
    path.write_bytes(content[:place] + turned + content[place + len(matrix) :])
    ((_, picture),) = videos.read_frames(path, [0])
    assert picture.size == (32, 48)
    corners = [picture.convert("L").getpixel(place) for place in ((4, 4), (27, 4), (4, 43), (27, 43))]
    assert corners == pytest.approx([255, 0, 120, 120], abs=12)


def test_affwild2_counts_label_rows_against_frames_and_takes_either_header(tree):
    converter = CONVERTERS["affwild2"]
    sources = {source.name: source for source in converter.find(Tree(tree("affwild2")))}
    path, good = sources["46"].files["labels"], sources["46"].files["labels"].read_text()
    assert converter.read(sources["46"]).notes == []
    path.write_text(good + good.splitlines()[-1] + "\n")
    (note,) = converter.read(sources["46"]).notes
    assert "labels up to frame 6" in note and "5 frames" in note
    path = sources["video 3"].files["labels"]
    path.write_text("".join(good.splitlines(keepends=True)[:4]))
    (note,) = converter.read(sources["video 3"]).notes
    assert "labels up to frame 3" in note and "pictures up to frame 5" in note
    path.write_text(good.replace("\n", "\n\n", 1))  # the first frame has no label, and the others keep theirs
    labels = converter.read(sources["video 3"]).labels
    assert labels.index.tolist() == [2, 3, 4, 5, 6]
    path.write_text("\n \n" + good)  # frames count from the header
    assert converter.read(sources["video 3"]).labels.index.tolist() == [1, 2, 3, 4, 5]
    path.write_text("AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n" + "0,0,1,0,0,0,0,1\n" * 5)
    assert converter.read(sources["video 3"]).labels["AU20_c"].tolist() == [0] * 5
    picture = next(sources["video 3"].files["pictures"].iterdir())
    picture.rename(picture.with_name("00000.jpg"))
    with pytest.raises(ValueError, match="video 3 has a picture 0, expected the first frame to be 1"):
        converter.read(sources["video 3"])


def test_names_that_are_no_utf8_are_converted(tree, again, detector, tmp_path):
    raw = tree("affwild2")
    for folder, suffix in (("annotations/AU_Detection_Challenge/Train_Set", ".txt"), ("cropped_aligned", "")):
        (raw / folder / f"video 3{suffix}").rename(
            os.fsdecode(os.fsencode(raw / folder) + b"/caf\xe9" + suffix.encode())
        )
    data, _ = again("affwild2")
    assert "caf/udce9" in set(data.subjects)
    assert "caf\\udce9/00002" in set(pd.read_csv(tmp_path / "out/skipped.csv")["frame"])


def test_rafau_counts_either_side_and_prefers_originals(converted, skipped, detector):
    data, _ = converted("rafau")
    present = {
        subject: {au for au, value in zip(data.aus, row, strict=True) if value == 1}
        for subject, row in zip(data.subjects, data.occurrence, strict=True)
    }
    assert present["0001"] == {"AU01", "AU04", "AU25"} and present["0002"] == {"AU10", "AU12"}
    assert present["0004"] == {"AU12"} and "0003" not in present
    assert skipped() == {"RAFAU_label/0003": "not coded", "RAFAU_label/0013": NO_PICTURE}
    assert data.image_paths[row_of(data, "0001.jpg")].resolve().parent.name == "original"
    assert data.image_paths[row_of(data, "0002.jpg")].resolve().parent.name == "aligned"


def test_a_picture_may_be_called_as_a_missing_cell_is(tree):
    raw = tree("rafau")
    (raw / "RAFAU_label.txt").write_text("0002.jpg 6\nnone.jpg 1\n")
    assert first_session("rafau", raw).subjects == ["0002", "unnamed none"]


def test_rafau_pairs_in_any_capitals_and_refuses_two_that_differ_in_nothing_else(tree):
    raw = tree("rafau")
    (raw / "original/0001.jpg").rename(raw / "original/0001.JPG")
    assert first_session("rafau", raw).pictures[0] == raw / "original/0001.JPG"
    shutil.copy(raw / "original/0001.JPG", raw / "original/0001.jpg")
    with pytest.raises(ValueError, match="two pictures of one name, .*/0001.JPG and .*/0001.jpg; move"):
        first_session("rafau", raw)
    (raw / "original/0001.jpg").unlink()
    (raw / "RAFAU_label.txt").write_text("0001.jpg 1\n0002.jpg 6\n0001.JPG 2\n")
    with pytest.raises(ValueError, match="0001.jpg and 0001.JPG occurs twice, expected each picture once"):
        first_session("rafau", raw)


@pytest.mark.parametrize("end, cut", [("1+4+25\n", False), ("1+4+25 ", False), ("1+4+2", True)])
def test_rafau_skips_a_last_line_that_may_be_cut(end, cut, tree):
    raw = tree("rafau")
    (raw / "RAFAU_label.txt").write_text(f"0002.jpg 6\n0001.jpg {end}")
    assert list(first_session("rafau", raw).faults) == ([1] if cut else [])


def test_ckplus_named_aus_are_present_and_intensity_0_is_unknown(converted, skipped, tmp_path):
    data, _ = converted("ckplus")
    assert len(data) == 7 and data.num_landmarks == 68
    labels = dict(zip(data.aus, data.occurrence[0], strict=True))
    strengths = dict(zip(data.intensity_aus, data.intensity[0], strict=True))
    assert [labels[au] for au in ("AU01", "AU12", "AU25", "AU04")] == [1, 1, 1, 0]
    assert strengths["AU01"] == 3 and np.isnan(strengths["AU12"]) and strengths["AU04"] == 0
    assert skipped() == {"S010/001/00000013": NO_LANDMARKS}
    assert not any(labels_of(data, "S010/002/00000014.png"))  # a blank line: coded, no AU
    next((tmp_path / "raw/FACS/S005/001").iterdir()).write_text("\n")
    assert first_session("ckplus", tmp_path / "raw").notes


# Errors name the file, the line and what is wrong.

FACS = "FACS/S005/001/S005_001_00000011_facs.txt"
OCC, INT = "AUCoding/AU_OCC/F001_T1.csv", "AUCoding/AU_INT/AU06/F001_T1_AU06.csv"
AFFWILD = "annotations/AU_Detection_Challenge/Train_Set/1-30-1280x720.txt"
AU4 = "ActionUnit_Labels/SN001/SN001_au4.txt"


def _with_index(name: str, text: str) -> str:
    """A table with the index that pandas writes."""
    header, *lines = text.splitlines()
    return "\n".join([f"{name},{header}", *(f"{row},{line}" for row, line in enumerate(lines))])


DAMAGED_LABELS = [
    ("ckplus", FACS, lambda text: "1 3\n12 2\n1 4\n", ["line 3", "AU 1", "4", "3"]),
    ("ckplus", FACS, lambda text: "\n".join(text.split("\n")[:2])[:-6], ["line 2", "'0.00000'"]),
    ("affwild2", AFFWILD, lambda text: "AU1,AU1\n0,1\n", ["line 1", "AU1,AU1"]),
    ("bp4d", OCC, lambda text: raw_trees.bp4d_labels([-1, 643]), ["line 2", "frame is -1"]),
    ("bp4d", OCC, lambda text: "0,1,2\n643,0,7\n", ["line 2", "AU02 is 7", "0, 1, 9"]),
    ("bp4d", OCC, lambda text: _with_index("", text), ["line 1", "first column is ''", "index=False"]),
    ("bp4d", OCC, lambda text: _with_index("index", text), ["line 1", "first column is 'index'"]),
    ("gft", "annotations/001A.csv", lambda text: _with_index("Unnamed: 0", text), ["line 1", "'Unnamed: 0'"]),
    ("disfa", AU4, lambda text: "1,1\n2,\n", ["line 2", "1 cells"]),
    ("bp4d", INT, lambda text: "\u0666" + text, ["line 1", "frame"]),  # no header
    ("bp4d", INT, lambda text: text.split("\n")[1] + "\n" + text, ["frame 644"]),
    ("disfa", AU4, lambda text: text.rsplit("\n", 2)[0], ["frame 6"]),
    ("disfa", AU4, lambda text: "1,1\n2,\uff11\n", ["line 2", "\uff11"]),
    ("rafau", "RAFAU_label.txt", lambda text: "0001.jpg 1+\u0662\n", ["line 1", "\u0662"]),
    ("rafau", "RAFAU_label.txt", lambda text: "0002.jpg 1\n0001.jpg 0\n", ["line 2", "'0' is no AU"]),
    ("rafau", "RAFAU_label.txt", lambda text: "0001.jpg 4+L99\n", ["line 1", "'L99' is no AU"]),
]


@pytest.mark.parametrize("name, file, damage, named", DAMAGED_LABELS)
def test_damaged_labels_are_errors_that_name_file_and_row(name, file, damage, named, tree):
    path = tree(name) / file
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError) as raised:
        first_session(name, path.parents[len(file.split("/")) - 1])
    assert all(part in str(raised.value) for part in [path.name, *named]), raised.value


def test_rows_of_a_label_file_may_be_in_any_order(tree):
    raw = tree("disfa")
    before = first_session("disfa", raw).labels
    lines = (raw / AU4).read_text().splitlines()
    (raw / AU4).write_text("\n".join(lines[::-1]))
    pd.testing.assert_frame_equal(first_session("disfa", raw).labels, before)


# A wrong tree, or one with too much.


@pytest.mark.parametrize("name", CONVERTERS)
def test_a_wrong_tree_is_refused_with_what_was_found(name, again, tmp_path, detector):
    with pytest.raises(FileNotFoundError, match="raw"):
        again(name)
    (tmp_path / "raw" / "holiday").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="found holiday"):
        again(name)
    (tmp_path / "raw" / "F001.zip").touch()
    with pytest.raises(FileNotFoundError, match="unpack F001.zip"):
        again(name)


def test_what_convert_did_not_make_is_not_overwritten(tree, tmp_path):
    raw = tree("ckplus")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for out in (tmp_path / "mine", tmp_path / "mine/thesis.txt", raw, raw / "out"):
        with pytest.raises(FileExistsError):
            convert("ckplus", raw, out, progress=False)
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


@pytest.mark.parametrize(
    "name, folder, elsewhere",
    [
        ("bp4d", "2D+3D/F001/T1", "aligned/F001/T1"),
        ("disfa", "images/SN002", "aligned/SN002"),
        ("disfaplus", "Images/SN001", "Aligned/SN001"),
        ("rafau", "original", "small"),
        ("bp4d", "AUCoding/AU_OCC", "old/AU_OCC"),
    ],
)
def test_files_of_a_session_in_two_folders_are_refused(name, folder, elsewhere, tree, again, detector):
    raw = tree(name)
    shutil.copytree(raw / folder, raw / elsewhere)
    with pytest.raises(ValueError) as raised:
        again(name)
    assert str(raw / folder) in str(raised.value) and str(raw / elsewhere) in str(raised.value)


def test_affwild2_reads_names_in_any_capitals_and_refuses_two_that_differ_in_nothing_else(tree):
    raw, converter = tree("affwild2"), CONVERTERS["affwild2"]
    plain = converter.find(Tree(raw))
    labels = raw / "annotations/AU_Detection_Challenge"
    labels.rename(labels.with_name("au_detection_challenge"))
    labels = labels.with_name("au_detection_challenge")
    for path in (labels / "Train_Set", labels / "Validation_Set", raw / "cropped_aligned/video1"):
        path.rename(path.with_name(path.name.swapcase()))
    (raw / "batch1/46.mp4").rename(raw / "batch1/46.MP4")
    found = converter.find(Tree(raw))
    assert [(one.name, one.split, [*one.files]) for one in found] == [
        (one.name, one.split, [*one.files]) for one in plain
    ]
    for path in ("cropped_aligned/VIDEO1", "au_detection_challenge/vALIDATION_sET", "batch1"):
        path = next(raw.rglob(path))
        twin = path.with_name(path.name.upper() if path.name.islower() else path.name.lower())
        shutil.copytree(path, twin)
        with pytest.raises(ValueError, match="has two .* and .*; move the one that does not count"):
            converter.find(Tree(raw))
        shutil.rmtree(twin)


def test_disfa_uses_the_right_camera_where_there_is_no_left(tree):
    raw = tree("disfa")
    shutil.rmtree(raw / "Videos_LeftCamera")
    assert first_session("disfa", raw).video.name == "RightVideoSN001_comp.avi"


@pytest.mark.parametrize(
    "name, used, elsewhere",
    [
        ("gft", "frames/001A", "small/001A"),
        ("affwild2", "cropped_aligned/video1", "cropped/video1"),
        ("emotionet", "optimization_set/N_0000000002", "small/N_0000000002"),
    ],
)
def test_where_two_folders_are_common_the_choice_is_noted(name, used, elsewhere, tree, again, detector):
    raw = tree(name)
    shutil.copytree(raw / used, raw / elsewhere)
    data, report = again(name)
    (note,) = [note for note in report["notes"] if used in note]
    assert note.index(used) < note.index(elsewhere)
    assert not any(elsewhere in str(path.resolve()) for path in data.image_paths)


# One bad file loses one frame or one session.


def test_a_damaged_session_is_listed_and_the_others_go_on(tree, again, skipped, tmp_path):
    raw = tree("bp4d")
    raw_trees.text(raw / OCC, "0,1,2\n643,0\n")
    (raw / "2DFeatures/M001_T1.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut off")
    (raw / "2D+3D/M002/T1/643.JPG").write_bytes(b"")
    data, report = again("bp4d")
    reasons = skipped()
    assert "F001_T1.csv line 2" in reasons["F001/T1"] and "M001_T1.mat" in reasons["M001/T1"]
    assert reasons["M002/T1/643"] == "unreadable"
    assert {"F001", "M001", "M002"} <= set(data.subjects)
    assert report["skipped_sources"].keys() == {"F001/T1", "M001/T1"} and report["unread_frames"] == 5
    assert json.loads((tmp_path / "out/conversion.json").read_text())["missing"] == report["missing"] != []
    assert sum(report["skipped"].values()) == 3
    table = pd.read_csv(tmp_path / "out" / "skipped.csv").set_index("frame")
    assert table.loc["F001/T1", "frames"] == 1 and table.loc["M001/T1", "frames"] == 4


@pytest.mark.parametrize(
    "name, file, content, number",
    [
        ("bp4d", OCC, "0,1,2\n643,0,0\n644,0,0\n", 2),
        ("bp4d", OCC, "\0", None),
        ("disfa", "ActionUnit_Labels/SN001/SN001_au1.txt", "\0", 6),
        ("gft", "annotations/001A.csv", "frame,AU1\n1,1\n", 1),
        ("ckplus", FACS, "", 1),
    ],
)
def test_label_rows_of_a_session_that_cannot_be_read_are_counted(name, file, content, number, tree):
    raw = tree(name)
    (raw / file).write_text(content)
    converter = CONVERTERS[name]
    assert converter.num_label_rows(converter.find(Tree(raw))[0]) == number


def test_a_bad_landmark_file_loses_its_frame_and_is_read_again_once_repaired(tree, again, skipped):
    bad = tree("disfa") / "Landmark_Points/SN002/tmp_frame_lm/SN002_0003_lm.mat"
    good = bad.read_bytes()
    bad.write_bytes(good[:100])
    _, report = again("disfa")
    assert skipped() == {"SN002/2": NO_LANDMARKS, "SN002/4": NO_LANDMARKS}
    assert any(bad.name in note for note in report["notes"])
    bad.write_bytes(good)
    _, report = again("disfa")
    assert skipped() == {"SN002/2": NO_LANDMARKS} and not any(bad.name in note for note in report["notes"])


@pytest.mark.parametrize("name, folder", [("bp4d", "2D+3D/F001/T1"), ("disfa", "images/SN002")])
def test_two_pictures_of_one_frame_lose_that_frame_only(name, folder, tree, again, skipped, tmp_path):
    first = sorted((tree(name) / folder).glob("[0-9]*"))[3]
    twin = raw_trees.picture(first.with_name(f"{int(first.stem):06d}{first.suffix}"), 1)
    data, report = again(name)
    assert list(skipped().values()).count("two pictures") == 1
    (why,) = [why for why in report["skipped"] if why.startswith("two pictures")]
    assert first.name in why and twin.name in why
    assert len(set(data.subjects)) == 5


# Calling again.


@pytest.fixture
def opened(monkeypatch):
    """Pictures and videos that are opened."""
    seen = []
    for name in ("read_upright", "read_frames"):
        read = getattr(frames, name)
        monkeypatch.setattr(
            frames, name, lambda path, *args, read=read: seen.append(path.name) or read(path, *args)
        )
    return seen


@pytest.mark.parametrize("name", ["bp4d", "disfa"])
def test_a_second_call_opens_no_picture_and_changes_nothing(name, converted, again, opened, tmp_path):
    converted(name)
    before = (tmp_path / "out/manifest.csv").read_bytes()
    assert opened
    opened.clear()
    again(name)
    assert opened == [] and (tmp_path / "out/manifest.csv").read_bytes() == before


def test_changed_labels_are_read_again(converted, again, opened, tmp_path):
    before, _ = converted("bp4d")
    labels = tmp_path / "raw/AUCoding/AU_OCC/M002_T1.csv"
    raw_trees.text(labels, raw_trees.bp4d_labels([643, 644], seed=7))
    opened.clear()
    data, _ = again("bp4d")
    assert opened == [] and len(data) == 35
    row = row_of(data, "M002/T1/643.jpg")
    assert not np.array_equal(data.occurrence[row], before.occurrence[row_of(before, "M002/T1/643.jpg")])


def test_an_interrupted_session_goes_on_where_it_stopped(tree, again, opened, monkeypatch):
    tree("bp4d")
    link = frames.link_picture

    def interrupted(picture, path, keep):
        if path.name == "2441.jpg":
            raise KeyboardInterrupt
        link(picture, path, keep)

    monkeypatch.setattr(frames, "link_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again("bp4d")
    monkeypatch.setattr(frames, "link_picture", link)
    done = len(opened) - 1
    data, _ = again("bp4d")
    assert done and len(opened) == len(data) + 1  # the one that was interrupted
    pd.testing.assert_frame_equal(again("bp4d", "uninterrupted")[0].table, data.table)


def test_a_picture_fetched_later_is_found_and_other_faces_are_not_detected_again(
    converted, again, skipped, detector, monkeypatch, tmp_path
):
    data, _ = converted("emotionet")
    raw_trees.picture(tmp_path / "raw/optimization_set/N_0000000001/N_0000000001_00005.jpg", 5)
    detected, find = [], face_finding.detect_landmarks
    monkeypatch.setattr(face_finding, "detect_landmarks", lambda pixels: detected.append(1) or find(pixels))
    more, _ = again("emotionet")
    assert len(more) == len(data) + 1 and skipped() == {} and len(detected) == 1
    before = data.table.set_index("image")
    pd.testing.assert_frame_equal(more.table.set_index("image").loc[before.index], before)


def test_of_several_faces_the_largest_is_used_and_noted_also_when_continued(
    tree, again, detector, monkeypatch, tmp_path
):
    tree("rafau")
    find = face_finding.detect_landmarks
    monkeypatch.setattr(face_finding, "detect_landmarks", lambda pixels: (find(pixels)[0], 3))
    data, report = again("rafau")
    notes = pd.read_csv(tmp_path / "out/notes.csv")
    assert set(notes["image"]) == set(data.table["image"]) and notes["note"].str.startswith("3 faces").all()
    assert any(f"3 faces, the largest is used: {len(data)} pictures" in note for note in report["notes"])
    monkeypatch.setattr(face_finding, "detect_landmarks", find)
    raw_trees.picture(tmp_path / "raw/original/0013.jpg", 13)
    more, _ = again("rafau")
    kept = pd.read_csv(tmp_path / "out/notes.csv")
    assert len(more) == len(data) + 1 and set(kept["image"]) == set(notes["image"])


def test_a_set_without_a_usable_frame_is_refused_with_the_reasons(tree, again, detector, monkeypatch):
    tree("rafau")
    monkeypatch.setattr(face_finding, "detect_landmarks", lambda pixels: (None, 0))
    with pytest.raises(ValueError, match=r"no frame of rafau could be used \(no face found"):
        again("rafau")


def test_a_picture_repaired_in_place_is_read_again(tree, again, skipped):
    path = tree("bp4d") / "2D+3D/M001/T1/644.jpg"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    again("bp4d")
    assert skipped()["M001/T1/644"] == "unreadable"
    path.write_bytes(good)
    again("bp4d")
    assert "M001/T1/644" not in skipped()


@pytest.mark.parametrize("name, image", [("bp4d", "F001/T1/643.jpg"), ("disfa", "SN001/5.jpg")])
def test_a_deleted_image_is_made_again(name, image, converted, again, tmp_path):
    data, _ = converted(name)
    (tmp_path / "out/images" / image).unlink()
    once_more, _ = again(name)
    assert (tmp_path / "out/images" / image).is_file()
    pd.testing.assert_frame_equal(once_more.table, data.table)


@pytest.mark.parametrize(
    "name, edited",
    [
        ("bp4d", "skipped.csv"),
        ("bp4d", "conversion.json"),
        ("bp4d", "images/F001/T1/643.jpg"),
        ("disfa", "images/SN001/5.jpg"),
    ],
)
def test_what_the_user_edited_is_not_written_over(name, edited, converted, again, tmp_path):
    converted(name)
    mine = tmp_path / "out" / edited
    mine.unlink()
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match=f"{edited} was edited"):
        again(name, landmarks="none")  # links and takes every picture again
    assert mine.read_text() == "mine"


def test_a_raw_picture_that_is_gone_is_listed(converted, again, skipped, tmp_path):
    converted("bp4d")
    (tmp_path / "raw/2D+3D/F001/T1/0643.jpg").unlink()
    data, _ = again("bp4d")
    assert skipped()["F001/T1/643"] == NO_PICTURE and len(data) == 36


def test_damaged_files_of_an_earlier_call_are_made_again(converted, again, tmp_path):
    data, _ = converted("bp4d")
    kept = sorted((tmp_path / "out/.convert").iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:-50])
    kept[1].write_bytes(b"\xff\xfe\n{}\n[3]\n")
    pd.testing.assert_frame_equal(again("bp4d")[0].table, data.table)


def test_pictures_are_linked_or_copied(converted, again):
    linked, _ = converted("ckplus")
    assert all(path.is_symlink() for path in linked.image_paths)
    copied, _ = again("ckplus", "copies", keep="copy")
    assert not any(path.is_symlink() for path in copied.image_paths)
    assert copied.image_paths[0].read_bytes() == linked.image_paths[0].read_bytes()


@pytest.mark.slow
def test_several_processes_give_what_one_gives(converted, again):
    one, _ = converted("bp4d")
    two, _ = again("bp4d", "two", workers=2)
    pd.testing.assert_frame_equal(one.table, two.table)


# The report.


def whole_disfa(cut=0, missing_au="") -> pd.DataFrame:
    """Label rows of a whole DISFA but for what is named, of person SN002."""
    subjects = np.repeat(list(DISFA.expected.frames_of), 4845)
    rows = pd.DataFrame(
        {"session": subjects, "subject": subjects} | {f"{au}_r": 0.0 for au in DISFA.expected.aus}
    )
    if missing_au:
        rows.loc[rows["subject"] == "SN002", f"{missing_au}_r"] = np.nan
    return rows.drop(rows.index[rows["subject"] == "SN002"][:cut])


@pytest.mark.parametrize(
    "faults, missing",
    [
        ({}, []),
        ({"cut": 1}, [("coded frames", "", 130_814, 130_815), ("coded frames", "SN002", 4_844, 4_845)]),
        ({"missing_au": "AU12"}, [("labels of AU12", "SN002", 0, 4_845)]),
    ],
)
def test_missing_labels_are_named_with_their_person(faults, missing):
    rows = whole_disfa(**faults)
    found = what_is_missing(rows, len(rows), DISFA.expected)
    assert [tuple(row.values()) for row in found] == missing


def test_coded_rows_count_whatever_became_of_their_pictures():
    rows = pd.DataFrame({"session": "A", "subject": ["p", "p", "q"], "AU01_c": [0, 1, np.nan]})
    expected = CONVERTERS["gft"].expected
    found = {row["what"]: row["found"] for row in what_is_missing(rows, 1, expected)}
    assert found["subjects"] == 1 and found["coded frames"] == 2 and found["usable frames"] == 1
    assert "labels of AU02" in found and "labels of AU01" not in found


def test_base_rates_far_from_the_published_ones_are_marked(tmp_path):
    rng, n = np.random.default_rng(0), 2000
    rates = BP4D.expected.rates | {"AU15": 0.5}
    table = {"image": [f"{i}.jpg" for i in range(n)], "subject": ["F001"] * n, "split": ["train"] * n}
    table |= {f"{au}_c": (rng.random(n) < rate).astype(float) for au, rate in rates.items()}
    found = compare_rates(DatasetFolder(tmp_path, pd.DataFrame(table)), BP4D.expected)
    assert [au for au, row in found.items() if row["odd"]] == ["AU15"]
    assert found["AU12"]["expected"] == 0.562  # a figure of its own, not the one that was found


@pytest.mark.parametrize("name", CONVERTERS)
def test_expected_figures_agree_among_themselves(name):
    expected = CONVERTERS[name].expected
    assert all(0 < rate < 1 for rate in expected.rates.values()) and set(expected.rates) <= set(expected.aus)
    assert expected.sources
    if expected.frames_of:
        assert sum(expected.frames_of.values()) == expected.frames
        assert len(expected.frames_of) == expected.subjects


def test_the_sample_report_in_the_docs_is_what_is_printed(tmp_path):
    assert sample_report.shown() == sample_report.sample(tmp_path), "python tests/sample_report.py writes it"


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERTERS)
def test_each_set_ends_in_a_run(name, converted, tmp_path, detector):
    from aulib.train_run import train_run

    data, _ = converted(name)
    assert set(data.splits) == {"train", "val", "test"}
    metrics = train_run(
        str(data.root), str(data.root), "full", steps=2, batch_size=3, precision="32-true",
        out_dir=str(tmp_path / "run"), progress=False, **(TINY_VALUES | {"num_landmarks": 49}),
    )  # fmt: skip
    assert metrics["selected_step"] in (1, 2)
    assert (tmp_path / "run/predictions_target_test.csv").is_file()


def test_converting_warns_of_nothing(converted, recwarn):
    converted("bp4d")
    assert not [str(one.message) for one in recwarn]
