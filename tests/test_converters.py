"""Raw trees to dataset folders: every quirk of the nine sets, resuming, and the report."""

import json
import os
import shutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import raw_trees
import sample_report
from aubench.datasets.converters import CONVERTERS, frames
from aubench.datasets.converters.convert import convert
from aubench.datasets.converters.raw_tree import Tree
from aubench.report.fold_scores import fold_table
from aulib.dataset import read_dataset
from aulib.landmarks import to_49
from conftest import face_outline
from tiny import TINY_VALUES

NO_LANDMARKS = "no landmarks in the set for it (landmarks by detector: --landmarks detect)"


@pytest.fixture
def detector(monkeypatch):
    """Finds the outline of a face in every picture; noise pictures hold none."""
    monkeypatch.setattr(
        frames, "detect_landmarks", lambda pixels: (face_outline(len(pixels)).astype(np.float32), 1)
    )
    monkeypatch.setattr("aubench.datasets.converters.convert.require_detector", lambda: None)


def converted(name, tmp_path, **options):
    raw = getattr(raw_trees, f"write_{name}")(tmp_path / "raw")
    return convert(name, raw, tmp_path / "out", workers=1, progress=False, **options)


def skipped(tmp_path) -> dict[str, str]:
    table = pd.read_csv(tmp_path / "out" / "skipped.csv", keep_default_na=False)
    return dict(zip(table["frame"], table["reason"], strict=True))


def row_of(data, end: str) -> int:
    (row,) = [i for i, image in enumerate(data.table["image"]) if image.endswith(end)]
    return row


def test_bp4d_labels_pictures_and_landmarks_belong_to_the_same_frame(tmp_path):
    data, report = converted("bp4d", tmp_path)
    assert len(data) == 5 * 2 * 4 - 2 - 1  # two gaps, one lost track
    row = row_of(data, "F001/T1/644.jpg")
    assert data.landmarks[row] == pytest.approx(
        to_49(face_outline(64)) + 644 % 40 / 10, abs=1e-3
    )  # MATLAB's 1 is 0
    given = (tmp_path / "raw/AUCoding/AU_OCC/F001_T1.csv").read_text().splitlines()[2].split(",")
    assert given[0] == "644" and given[12] == "9"
    for au, value in zip(data.aus, data.occurrence[row], strict=True):
        want = given[int(au[2:])]
        assert np.isnan(value) if want == "9" else value == int(want), au
    assert data.image_paths[row].resolve() == (tmp_path / "raw/2D+3D/F001/T1/0644.jpg").resolve()
    assert data.intensity_aus == ["AU06", "AU12"]
    assert data.intensity[row].tolist() == [(644 + 6) % 6, (644 + 12) % 6]
    assert np.isnan(data.intensity[row_of(data, "F001/T1/643.jpg")]).all()  # 9
    assert set(data.subjects) == {"F001", "F002", "F003", "M001", "M002"}
    assert report.subjects == 5 and report.frames == 37


def test_bp4d_what_is_left_out_is_listed_with_its_reason(tmp_path):
    _, report = converted("bp4d", tmp_path)
    assert skipped(tmp_path) == {
        "F001/T1/645": NO_LANDMARKS,
        "F003/T1/644": "no picture of it in the raw tree",
        "F003/T2/2441": "no picture of it in the raw tree",
    }
    told = report.text()
    assert "subjects          5  expected 41" in told and "fewer than the 41" in told
    assert "AU25" not in [au for au, row in report.aus.items() if row["expected"]]
    kept = json.loads((tmp_path / "out/conversion.json").read_text())
    assert kept["frames"] == 37 and kept["skipped"]["no picture of it in the raw tree"] == 2


def test_bp4dplus_reads_columns_by_name_and_frame_n_is_picture_n_minus_1(tmp_path):
    data, _ = converted("bp4dplus", tmp_path)
    row = row_of(data, "F082/T1/3.jpg")
    assert data.image_paths[row].resolve().name == "0002.jpg"
    header, *rows = (
        line.split(",") for line in (tmp_path / "raw/AUCoding/AU_OCC/F082_T1.csv").read_text().split()
    )
    given = dict(zip(header, rows[2], strict=True))
    values = dict(zip(data.aus, data.occurrence[row], strict=True))
    assert (
        values["AU23"] == int(given["23"]) and np.isnan(values["AU24"]) and values["AU01"] == int(given["1"])
    )
    assert data.landmarks[row] == pytest.approx(to_49(face_outline(64)) + 3 / 10, abs=1e-3)
    assert skipped(tmp_path) == {"F001/T1/4": NO_LANDMARKS}


def test_disfa_frames_from_videos_and_from_pictures_counted_from_0_or_1(tmp_path):
    data, report = converted("disfa", tmp_path)
    assert len(data) == 5 * 6 - 1
    assert skipped(tmp_path) == {"SN002/2": NO_LANDMARKS}
    for subject in ("SN001", "SN004"):  # label frame n is video frame n - 1, of brightness 10 + 8 (n - 1)
        row = row_of(data, f"{subject}/5.jpg")
        assert np.asarray(Image.open(data.image_paths[row])).mean() == pytest.approx(10 + 8 * 4, abs=2)
        assert data.landmarks[row] == pytest.approx(to_49(face_outline(64)) + 5 / 10, abs=1e-3)
    assert data.image_paths[row_of(data, "SN002/3.png")].resolve().name == "2.png"
    assert data.image_paths[row_of(data, "SN003/3.jpg")].resolve().name == "frame-3.jpg"
    row = row_of(data, "SN003/3.jpg")
    assert data.intensity[row].tolist() == [(3 * au + 2) % 6 for au in raw_trees.DISFA_AUS]
    assert data.occurrence[row].tolist() == [float((3 * au + 2) % 6 >= 2) for au in raw_trees.DISFA_AUS]
    assert "2 sessions: frame n of the labels is picture n - 1 here, usually n" in report.text()


def test_disfa_plus(tmp_path, detector):
    data, _ = converted("disfaplus", tmp_path)
    assert len(data) == 12 and set(data.subjects) == {"SN001", "SN003", "SN004"}
    row = row_of(data, "SN004/Y_Surprise_TrailNo_1/003.jpg")
    strengths = dict(zip(data.intensity_aus, data.intensity[row], strict=True))
    assert strengths["AU12"] == (3 + 12 + 2) % 6 and np.isnan(strengths["AU26"])
    assert data.num_landmarks == 68


def test_emotionet_finds_pictures_by_url_reads_both_kinds_of_file_and_adlds_splits(tmp_path, detector):
    data, _ = converted("emotionet", tmp_path)
    assert len(data) == 11 + 6
    assert skipped(tmp_path) == {"dataFile_0001/N_0000000001_00005": "no picture of it in the raw tree"}
    row = row_of(data, "N_0000000001_00003.jpg")
    cells = (tmp_path / "raw/dataFile_0001.txt").read_text().split("\n")[2].split("\t")
    for au, value in zip(data.aus, data.occurrence[row], strict=True):
        want = cells[int(au[2:]) + 1]
        assert np.isnan(value) if want == "999" else value == int(want), au
    splits = dict(zip(data.subjects, data.splits, strict=True))
    assert [splits[f"N_0000000001_{n:05d}"] for n in (1, 2, 3, 4, 6, 7)] == ["val", "val"] + ["test"] * 3 + [
        "train"
    ]
    assert "N_0000000002_00020" in splits  # its URL ends in a quote


def test_gft_pictures_and_videos(tmp_path, detector):
    data, _ = converted("gft", tmp_path)
    assert set(data.subjects) == {"001A", "001B", "002C"}
    row = row_of(data, "001B/3.jpg")
    assert np.asarray(Image.open(data.image_paths[row])).mean() == pytest.approx(10 + 8 * 2, abs=3)
    codes = [None if (3 + k) % 7 == 0 else (3 + k + 1) % 2 for k in range(10)]
    assert [None if np.isnan(v) else int(v) for v in data.occurrence[row]] == codes
    assert set(skipped(tmp_path)) == {f"003A/{n}" for n in range(1, 5)}


def test_affwild2_line_j_is_picture_j_and_the_sets_own_validation_is_the_test(tmp_path, detector):
    data, _ = converted("affwild2", tmp_path)
    splits = dict(zip(data.subjects, data.splits, strict=True))
    assert splits["video1"] == "test" and set(splits.values()) == {"train", "val", "test"}
    left_out = skipped(tmp_path)
    assert left_out["video 3/00002"].startswith("not coded") and left_out["video 3/00004"].startswith(
        "no picture"
    )
    row = row_of(data, "video 3/00003.jpg")  # the third line, one AU of it unknown
    codes = [None if k == 3 else (2 + k + 2) % 2 for k in range(12)]
    assert [None if np.isnan(v) else int(v) for v in data.occurrence[row]] == codes
    assert np.asarray(Image.open(data.image_paths[row_of(data, "/46/00003.jpg")])).mean() == pytest.approx(
        26, abs=3
    )


def test_rafau_sides_count_null_is_skipped_and_originals_are_preferred(tmp_path, detector):
    data, _ = converted("rafau", tmp_path)
    present = {
        s: {au for au, v in zip(data.aus, row, strict=True) if v == 1}
        for s, row in zip(data.subjects, data.occurrence, strict=True)
    }
    assert present["0001"] == {"AU01", "AU04", "AU25"} and present["0002"] == {"AU10", "AU12"}
    assert present["0004"] == {"AU12"} and "0003" not in present
    assert skipped(tmp_path) == {
        "rows-0000/0003": "not coded: every AU is unknown",
        "rows-0000/0013": "no picture of it in the raw tree",
    }
    assert data.image_paths[row_of(data, "0001.jpg")].resolve().parent.name == "original"
    assert data.image_paths[row_of(data, "0002.jpg")].resolve().parent.name == "aligned"


def test_ckplus_named_aus_are_present_and_intensity_0_is_unknown(tmp_path):
    data, _ = converted("ckplus", tmp_path)
    assert len(data) == 7 and data.num_landmarks == 68
    labels = dict(zip(data.aus, data.occurrence[0], strict=True))
    strengths = dict(zip(data.intensity_aus, data.intensity[0], strict=True))
    assert [labels[au] for au in ("AU01", "AU12", "AU25", "AU04")] == [1, 1, 1, 0]
    assert strengths["AU01"] == 3 and np.isnan(strengths["AU12"]) and strengths["AU04"] == 0
    assert skipped(tmp_path) == {"S010/001/00000013": NO_LANDMARKS}
    row = row_of(data, "S010/002/00000014.png")
    assert not data.occurrence[row].any()  # a blank line: coded, no AU


def _train(source, target, out):
    from aulib.train_run import train_run

    metrics = train_run(
        str(source), str(target), "full", steps=2, batch_size=3, precision="32-true", out_dir=str(out),
        progress=False, **(TINY_VALUES | {"num_landmarks": 49}),
    )  # fmt: skip
    assert metrics["selected_step"] in (1, 2) and (out / "predictions_target_test.csv").is_file()


def test_a_raw_tree_ends_in_runs_of_a_protocols_folds_and_their_mean(tmp_path):
    """One set by default; `make test-all` runs them all, with the splits that the converters give."""
    people = ("F001", "F002", "F003", "F005", "F007", "M011")  # of parts 1, 1, 2, 2, 3 and 2
    raw = raw_trees.write_bp4d(tmp_path / "raw", people)
    convert("bp4d", raw, tmp_path / "out", workers=1, progress=False)
    runs = []
    for part, tested in (("part1", {"F001", "F002"}), ("part2", {"F003", "F005", "M011"})):
        fold = f"{tmp_path / 'out'}#bp4d-3fold/{part}"
        runs.append(tmp_path / part)
        _train(fold, fold, runs[-1])
        predicted = pd.read_csv(runs[-1] / "predictions_target_test.csv")
        assert set(predicted["image"].str.split("/").str[1]) == tested
    told = fold_table("bp4d-3fold", runs)
    assert "target.mean.f1" in told and "INCOMPLETE: no run of fold part3" in told


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERTERS)
def test_each_set_ends_in_a_run(name, tmp_path, detector):
    data, _ = converted(name, tmp_path)
    assert set(data.splits) == {"train", "val", "test"}
    _train(data.root, data.root, tmp_path / "run")


def test_a_second_call_does_nothing_and_changed_labels_are_read_again(tmp_path, monkeypatch):
    converted("bp4d", tmp_path)
    before = (tmp_path / "out/manifest.csv").read_bytes()
    seen = []
    take = frames._convert
    monkeypatch.setattr(
        frames,
        "_convert",
        lambda session, task, before: seen.append(task.source.name) or take(session, task, before),
    )
    again = lambda: convert("bp4d", tmp_path / "raw", tmp_path / "out", workers=1, progress=False)  # noqa: E731
    again()
    assert seen == [] and (tmp_path / "out/manifest.csv").read_bytes() == before
    labels = tmp_path / "raw/AUCoding/AU_OCC/M002_T1.csv"
    raw_trees.text(labels, raw_trees.bp4d_labels([643, 644], seed=7))
    data, _ = again()
    assert seen == ["M002/T1"] and len(data) == 35


@pytest.mark.slow
def test_processes_give_what_one_process_gives(tmp_path):
    one, _ = converted("bp4d", tmp_path)
    two, _ = convert("bp4d", tmp_path / "raw", tmp_path / "two", workers=2, progress=False)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_pictures_are_linked_or_copied_as_asked(tmp_path):
    linked, _ = converted("ckplus", tmp_path)
    assert all(path.is_symlink() for path in linked.image_paths)
    copied, _ = convert("ckplus", tmp_path / "raw", tmp_path / "c", keep="copy", workers=1, progress=False)
    assert not any(path.is_symlink() for path in copied.image_paths)
    assert copied.image_paths[0].read_bytes() == linked.image_paths[0].read_bytes()


def test_a_damaged_session_is_listed_and_the_others_go_on(tmp_path):
    raw = raw_trees.write_bp4d(tmp_path / "raw")
    raw_trees.text(raw / "AUCoding/AU_OCC/F001_T1.csv", "0,1,2\n643,0\n")
    (raw / "2DFeatures/M001_T1.mat").write_bytes(b"MATLAB 5.0 MAT-file, cut off")
    (raw / "2D+3D/M002/T1/643.JPG").write_bytes(b"")
    data, report = convert("bp4d", raw, tmp_path / "out", workers=1, progress=False)
    reasons = skipped(tmp_path)
    assert "line 2: 2 cells, the header has 3" in reasons["F001/T1"]
    assert "no readable .mat file" in reasons["M001/T1"]
    assert reasons["M002/T1/643"].startswith("unreadable: ")
    assert {"F001", "M001", "M002"} <= set(data.subjects)
    told = "2 sessions that could not be read at all, 5 frames"
    assert any(told in warning for warning in report.warnings) and told[2:] in report.text()
    assert report.skipped_sources.keys() == {"F001/T1", "M001/T1"} and sum(report.skipped.values()) == 3
    table = pd.read_csv(tmp_path / "out" / "skipped.csv").set_index("frame")
    assert table.loc["F001/T1", "frames"] == 1 and table.loc["M001/T1", "frames"] == 4


@pytest.mark.parametrize("name", CONVERTERS)
def test_a_wrong_tree_is_named_with_what_was_found(name, tmp_path, detector):
    (tmp_path / "raw" / "holiday").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="found holiday"):
        convert(name, tmp_path / "raw", tmp_path / "out", workers=1, progress=False)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        convert(name, tmp_path / "nowhere", tmp_path / "out", workers=1, progress=False)


def test_what_must_not_be_overwritten_is_not(tmp_path):
    raw = raw_trees.write_ckplus(tmp_path / "raw")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for out, why in ((tmp_path / "mine", "not made by"), (raw, "itself"), (raw / "out", "lies in the raw")):
        with pytest.raises(FileExistsError, match=why):
            convert("ckplus", raw, out, progress=False)
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_base_rates_far_from_the_published_ones_are_marked(tmp_path):
    from aubench.datasets.converters.bp4d import EXPECTED
    from aubench.datasets.converters.report import compare_rates
    from aulib.dataset import DatasetFolder

    rng = np.random.default_rng(0)
    rates = EXPECTED.rates | {"AU15": 0.5}
    n = 2000
    table = {"image": [f"{i}.jpg" for i in range(n)], "subject": ["F001"] * n, "split": ["train"] * n}
    table |= {f"{au}_c": (rng.random(n) < rate).astype(float) for au, rate in rates.items()}
    found = compare_rates(DatasetFolder(tmp_path, pd.DataFrame(table)), EXPECTED)
    assert [au for au, row in found.items() if row["odd"]] == ["AU15"]
    assert found["AU12"]["expected"] == 0.562  # a figure of its own, not the one that was found


@pytest.mark.parametrize("name", CONVERTERS)
def test_expected_figures_agree_among_themselves(name):
    expected = import_module(f"aubench.datasets.converters.{name}").EXPECTED
    assert all(0 < rate < 1 for rate in expected.rates.values()) and set(expected.rates) <= set(expected.aus)
    assert expected.sources
    if expected.frames_of:
        assert sum(expected.frames_of.values()) == expected.frames
        assert len(expected.frames_of) == expected.subjects
    if not expected.rates:
        assert "no base rates are known to us" in expected.sources or name == "emotionet"


def test_the_manifest_reads_back_and_carries_where_each_picture_is_from(tmp_path):
    converted("disfa", tmp_path)
    table = read_dataset(tmp_path / "out").table
    source = table.loc[table["image"] == "images/SN001/5.jpg", "meta_source"].item()
    assert source.endswith("LeftVideoSN001_comp.avi#4")


# One bad file loses one frame.


def test_a_bad_landmark_file_loses_its_frame_and_is_read_again_once_repaired(tmp_path):
    raw = raw_trees.write_disfa(tmp_path / "raw")
    bad = raw / "Landmark_Points/SN002/tmp_frame_lm/SN002_0003_lm.mat"
    good = bad.read_bytes()
    bad.write_bytes(good[:100])
    again = lambda: convert("disfa", raw, tmp_path / "out", workers=1, progress=False)  # noqa: E731
    data, report = again()
    assert skipped(tmp_path) == {"SN002/2": NO_LANDMARKS, "SN002/4": NO_LANDMARKS} and len(data) == 28
    assert "1 session: 1 landmark file unreadable: SN002_0003_lm.mat" in report.text()
    bad.write_bytes(good)
    data, report = again()
    assert skipped(tmp_path) == {"SN002/2": NO_LANDMARKS} and "unreadable" not in report.text()


@pytest.mark.parametrize("name, folder", [("bp4d", "2D+3D/F001/T1"), ("disfa", "images/SN002")])
def test_two_pictures_of_one_frame_lose_that_frame_only(name, folder, tmp_path):
    raw = getattr(raw_trees, f"write_{name}")(tmp_path / "raw")
    first = sorted((raw / folder).glob("[0-9]*"))[3]
    number = int(first.stem)
    twin = raw_trees.picture(first.with_name(f"{number:06d}{first.suffix}"), 1)
    data, _ = convert(name, raw, tmp_path / "out", workers=1, progress=False)
    doubled = {frame: why for frame, why in skipped(tmp_path).items() if why.startswith("two pictures")}
    (why,) = doubled.values()
    assert first.name in why and twin.name in why
    assert len(set(data.subjects)) == 5


# Calling again.


def _again(name, tmp_path):
    return convert(name, tmp_path / "raw", tmp_path / "out", workers=1, progress=False)


def test_a_picture_fetched_later_is_found_and_other_faces_are_not_detected_again(
    tmp_path, detector, monkeypatch
):
    data, _ = converted("emotionet", tmp_path)
    assert len(data) == 17
    raw_trees.picture(tmp_path / "raw/optimization_set/N_0000000001/N_0000000001_00005.jpg", 5)
    looked = []
    face = (face_outline(64).astype(np.float32), 1)
    monkeypatch.setattr(frames, "detect_landmarks", lambda pixels: looked.append(1) or face)
    more, _ = _again("emotionet", tmp_path)
    assert len(more) == 18 and skipped(tmp_path) == {} and len(looked) == 1
    before = data.table.set_index("image")
    pd.testing.assert_frame_equal(more.table.set_index("image").loc[before.index], before)


def test_faces_that_appear_where_there_was_none_are_looked_for(tmp_path, detector, monkeypatch):
    find = frames.detect_landmarks
    monkeypatch.setattr(frames, "detect_landmarks", lambda pixels: (None, 0))
    with pytest.raises(ValueError, match="no frame of rafau could be used"):
        converted("rafau", tmp_path)
    monkeypatch.setattr(frames, "detect_landmarks", find)
    raw_trees.picture(tmp_path / "raw/original/0013.jpg", 13)
    data, _ = _again("rafau", tmp_path)
    assert len(data) == 12 and "rows-0000/0013" not in skipped(tmp_path)


def test_a_picture_repaired_in_place_is_read_again(tmp_path):
    raw = raw_trees.write_bp4d(tmp_path / "raw")
    path = raw / "2D+3D/M001/T1/644.jpg"
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    _again("bp4d", tmp_path)
    assert skipped(tmp_path)["M001/T1/644"].startswith("unreadable")
    path.write_bytes(good)
    _again("bp4d", tmp_path)
    assert "M001/T1/644" not in skipped(tmp_path)


@pytest.mark.parametrize("set_, image", [("bp4d", "F001/T1/643.jpg"), ("disfa", "SN001/5.jpg")])
def test_an_image_that_was_deleted_is_made_again(set_, image, tmp_path):
    data, _ = converted(set_, tmp_path)
    lost = tmp_path / "out/images" / image
    lost.unlink()
    again, _ = _again(set_, tmp_path)
    assert lost.is_file()
    pd.testing.assert_frame_equal(again.table, data.table)


def test_a_raw_picture_that_is_gone_is_listed_and_the_call_goes_on(tmp_path):
    converted("bp4d", tmp_path)
    (tmp_path / "raw/2D+3D/F001/T1/0643.jpg").unlink()
    data, _ = _again("bp4d", tmp_path)
    assert skipped(tmp_path)["F001/T1/643"].startswith("no picture") and len(data) == 36


def test_what_was_kept_is_read_before_it_is_believed(tmp_path):
    data, _ = converted("bp4d", tmp_path)
    kept = sorted((tmp_path / "out/.convert").glob("*.parquet"))
    kept[0].write_bytes(kept[0].read_bytes()[:50])
    kept[1].with_suffix(".json").write_text("{")
    pd.testing.assert_frame_equal(_again("bp4d", tmp_path)[0].table, data.table)


# A wrong or half tree.


@pytest.mark.parametrize(
    "set_, folder, elsewhere",
    [
        ("bp4d", "2D+3D/F001/T1", "aligned/F001/T1"),
        ("disfa", "images/SN002", "aligned/SN002"),
        ("disfaplus", "Images/SN001", "Aligned/SN001"),
        ("rafau", "original", "small"),
    ],
)
def test_pictures_of_a_session_in_two_folders_are_refused_with_both_named(
    set_, folder, elsewhere, tmp_path, detector
):
    raw = getattr(raw_trees, f"write_{set_}")(tmp_path / "raw")
    shutil.copytree(raw / folder, raw / elsewhere)
    with pytest.raises(ValueError, match="pictures in 2 folders") as raised:
        convert(set_, raw, tmp_path / "out", workers=1, progress=False)
    assert str(raw / folder) in str(raised.value) and str(raw / elsewhere) in str(raised.value)


@pytest.mark.parametrize(
    "set_, folder, elsewhere, told",
    [
        ("gft", "frames/001A", "small/001A", "those of frames are taken, not those of small"),
        (
            "affwild2", "cropped_aligned/video1", "cropped/video1",
            "those of cropped_aligned are taken, not those of cropped",
        ),
        ("emotionet", "optimization_set/N_0000000002", "small/N_0000000002", "6 pictures are in two folders"),
    ],
)  # fmt: skip
def test_where_two_folders_are_common_the_choice_is_noted(set_, folder, elsewhere, told, tmp_path, detector):
    raw = getattr(raw_trees, f"write_{set_}")(tmp_path / "raw")
    shutil.copytree(raw / folder, raw / elsewhere)
    _, report = convert(set_, raw, tmp_path / "out", workers=1, progress=False)
    assert told in report.text()


def whole_but(missing_au="", cut=0, without=""):
    """Coverage of a whole DISFA but for what is named, of person SN002."""
    from aubench.datasets.converters.disfa import EXPECTED

    for person, number in EXPECTED.frames_of.items():
        aus = {f"{au}_r" for au in EXPECTED.aus} - ({f"{missing_au}_r"} if person == "SN002" else set())
        if person != without:
            yield {
                "session": person,
                "subject": person,
                "frames": number - cut * (person == "SN002"),
                "aus": aus,
            }


def test_coverage_counts_coded_rows_whatever_became_of_their_pictures():
    from aubench.datasets.converters.report import cover

    rows = {
        "frame": ["A/1", "A/2", "A/3", "A/4"],
        "subject": ["p", "p", "q", "q"],
        "reason": ["", "no picture"] * 2,
    }
    labels = {"AU01_c": [0.0, 1.0, np.nan, 1.0], "AU02_c": [np.nan] * 4}
    found = cover(pd.DataFrame(rows | labels)).set_index("subject")
    assert found["frames"].to_dict() == {"p": 2, "q": 1} and set(found["session"]) == {"A"}
    assert found["aus"].tolist() == [{"AU01_c"}] * 2


@pytest.mark.parametrize(
    "name, file, content, number",
    [
        ("bp4d", "AUCoding/AU_OCC/F001_T1.csv", "0,1,2\n643,0,0\n644,0,0\n", 2),
        ("bp4d", "AUCoding/AU_OCC/F001_T1.csv", "\0", None),
        ("disfa", "ActionUnit_Labels/SN001/SN001_au1.txt", "\0", 6),
        ("gft", "annotations/001A.csv", "frame,AU1\n1,1\n", 1),
        ("ckplus", None, None, 1),
    ],
)
def test_label_rows_of_a_session_that_cannot_be_read_are_counted(name, file, content, number, tmp_path):
    from aubench.datasets.converters.label_tables import count_label_rows

    raw = getattr(raw_trees, f"write_{name}")(tmp_path / "raw")
    if file:
        (raw / file).write_text(content)
    assert count_label_rows(import_module(f"aubench.datasets.converters.{name}").find(Tree(raw))[0]) == number


@pytest.mark.parametrize(
    "faults, told",
    [
        ({}, []),
        (
            {"cut": 1},
            ["(a label file cut off?): SN002 4,844 of 4,845", "130,814 frames, fewer than the 130,815"],
        ),
        (
            {"missing_au": "AU12"},
            ["AU12 is known in 26 of 27 sessions, not in SN002: is a label file missing?"],
        ),
        ({"without": "SN002"}, ["26 subjects, fewer than the 27", "Without labels: SN002"]),
    ],
)
def test_labels_that_are_not_there_are_named_with_their_person(faults, told):
    from aubench.datasets.converters.disfa import EXPECTED
    from aubench.datasets.converters.report import what_is_missing

    warnings = what_is_missing(pd.DataFrame(list(whole_but(**faults))), EXPECTED, "r")
    assert all(any(words in warning for warning in warnings) for words in told)
    assert bool(warnings) == bool(faults)


def test_a_label_file_cut_at_a_line_end_and_a_session_that_is_missing_are_warned_of(tmp_path):
    raw = raw_trees.write_bp4d(tmp_path / "raw")
    (raw / "AUCoding/AU_OCC/M001_T2.csv").unlink()
    labels = raw / "AUCoding/AU_OCC/F002_T1.csv"
    labels.write_bytes(b"\n".join(labels.read_bytes().split(b"\n")[:-2]) + b"\n")
    _, report = convert("bp4d", raw, tmp_path / "out", workers=1, progress=False)
    told = report.text()
    assert "9 sessions, fewer than the 328" in told and "M001 has 1 of 2" in told
    assert "F002 7 of 3,937" in told and "F003 8 of 3,700" in told


def test_a_missing_au_file_is_warned_of(tmp_path):
    raw = raw_trees.write_disfa(tmp_path / "raw")
    (raw / "ActionUnit_Labels/SN002/SN002_au12.txt").unlink()
    _, report = convert("disfa", raw, tmp_path / "out", workers=1, progress=False)
    assert "AU12 is known in 4 of 5 sessions, not in SN002" in report.text()


# Labels that contradict themselves.


def _first(set_, raw):
    module = import_module(f"aubench.datasets.converters.{set_}")
    return module.read(module.find(Tree(raw))[0])


def test_labels_that_contradict_themselves_are_errors_with_file_and_row(tmp_path):
    raw = raw_trees.write_ckplus(tmp_path / "ckplus")
    path = next((raw / "FACS/S005/001").iterdir())
    path.write_text("1 3\n12 2\n1 4\n")
    with pytest.raises(ValueError, match="_facs.txt line 3: AU 1 has intensity 4, before it had 3"):
        _first("ckplus", raw)

    raw = raw_trees.write_affwild2(tmp_path / "affwild2")
    path = raw / "annotations/AU_Detection_Challenge/Train_Set/1-30-1280x720.txt"
    path.write_text("AU1,AU1\n0,1\n")
    with pytest.raises(ValueError, match="1-30-1280x720.txt line 1: 'AU1,AU1' names an AU twice"):
        _first("affwild2", raw)

    raw = raw_trees.write_bp4d(tmp_path / "bp4d")
    raw_trees.text(raw / "AUCoding/AU_OCC/F001_T1.csv", raw_trees.bp4d_labels([-1, 643]))
    with pytest.raises(ValueError, match="F001_T1.csv line 2: the frame is -1, expected 0 or more"):
        _first("bp4d", raw)

    raw = raw_trees.write_disfa(tmp_path / "disfa")
    path = raw / "ActionUnit_Labels/SN001/SN001_au4.txt"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], rows[2], rows[1], *rows[3:]]))
    with pytest.raises(
        ValueError, match=r"SN001_au4.txt data row 2: frame 3, expected 2 as in .*another order"
    ):
        _first("disfa", raw)
    path.write_text("\n".join(rows[:-1]))
    with pytest.raises(ValueError, match=r"SN001_au4.txt codes 5 frames, SN001_au.* 6; expected the same"):
        _first("disfa", raw)


def test_a_word_for_a_label_in_emotionets_workbook_is_an_error_with_its_row(tmp_path):
    raw = raw_trees.write_emotionet(tmp_path / "raw")
    (raw / "dataFile_0001.txt").unlink()
    path = raw / "emotionet_facs_24600.xlsx"
    table = pd.read_excel(path).astype(object)
    table.loc[2, "'AU 4'"] = None
    table.to_excel(path, index=False)
    assert np.isnan(_first("emotionet", raw).labels["AU04_c"][2])
    table.loc[3, "'AU 4'"] = "yes"
    table.to_excel(path, index=False)
    with pytest.raises(ValueError, match="24600.xlsx row 5: AU 4 is 'yes', expected 0, 1, 999 or nothing"):
        _first("emotionet", raw)


def test_rows_that_are_missing_or_cut_are_told_where_the_format_can_tell(tmp_path):
    raw = raw_trees.write_bp4d(tmp_path / "bp4d")
    raw_trees.text(raw / "AUCoding/AU_OCC/F001_T1.csv", "0,1,2\n")
    with pytest.raises(ValueError, match="F001_T1.csv holds no row below its header in line 1"):
        _first("bp4d", raw)

    raw = raw_trees.write_rafau(tmp_path / "rafau")
    labels = raw / "RAFAU_label.txt"
    for text, cut in (("1+4+25\n", False), ("1+4+25 ", False), ("1+4+2", True)):
        labels.write_text(f"0002.jpg 6\n0001.jpg {text}")
        assert list(_first("rafau", raw).faults) == ([1] if cut else []), text
    for row, told in (
        ('"0001.jpg 1', "line 1: '\"0001.jpg' is no picture"),
        ("0001.jpg 1+\u0662", "is no AU"),
        ("12 1", "line 1: '12' is no picture"),
    ):
        labels.write_text(f"{row}\n")
        with pytest.raises(ValueError, match=told):
            _first("rafau", raw)

    raw = raw_trees.write_ckplus(tmp_path / "ckplus")
    path = next((raw / "FACS/S005/001").iterdir())
    good = path.read_text().split("\n")
    path.write_text(good[0] + "\n" + good[1][:-6])
    with pytest.raises(ValueError, match="line 2: the intensity is '0.00000', expected it written as"):
        _first("ckplus", raw)
    path.write_text("\n")
    assert _first("ckplus", raw).notes == ["no AU is named in the label file: all count as absent"]


def test_affwild2s_header_is_one_of_two_and_its_rows_are_counted_against_the_video(tmp_path):
    raw = raw_trees.write_affwild2(tmp_path / "raw")
    affwild2 = import_module("aubench.datasets.converters.affwild2")
    sources = {source.name: source for source in affwild2.find(Tree(raw))}
    path = sources["46"].files["labels"]
    good = path.read_text()
    assert affwild2.read(sources["46"]).notes == []
    path.write_text(good + good.splitlines()[-1] + "\n")
    assert affwild2.read(sources["46"]).notes == [
        "46 has 6 label rows, its video 5 frames: one may be shifted"
    ]
    path = sources["video 3"].files["labels"]
    path.write_text("".join(good.splitlines(keepends=True)[:4]))
    assert affwild2.read(sources["video 3"]).notes == [
        "video 3 has 3 label rows, pictures up to frame 5: cut off?"
    ]
    path.write_text("\n".join(line.partition(",")[2] for line in good.splitlines()))
    with pytest.raises(ValueError, match="video 3.txt line 1: the header is 'AU2,AU4.*expected AU1,AU2,AU4"):
        affwild2.read(sources["video 3"])
    path.write_text("AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n" + "0,0,1,0,0,0,0,1\n" * 5)
    assert affwild2.read(sources["video 3"]).labels["AU20_c"].tolist() == [0] * 5


def test_emotionets_rows_of_one_picture_or_of_none_are_skipped_with_their_reason(tmp_path, detector):
    raw = raw_trees.write_emotionet(tmp_path / "raw")
    path = raw / "dataFile_0001.txt"
    rows = path.read_text().splitlines()
    other = rows[2].split("\t")
    other[3] = "1" if other[3] != "1" else "0"  # AU 2
    page = ["http://host/index.php", *rows[3].split("\t")[1:]]
    path.write_text("\n".join([*rows, rows[0], "\t".join(other), "\t".join(page)]) + "\n")
    faults = _first("emotionet", raw).faults
    assert faults == {
        2: "row 3 names n_0000000001_00003.jpg, as row 14 does with other labels",
        12: "row 13 names n_0000000001_00001.jpg, as row 1 does with the same labels",
        13: "row 14 names n_0000000001_00003.jpg, as row 3 does with other labels",
        14: "row 15 names no picture: its URL is 'http://host/index.php'",
    }
    data, _ = convert("emotionet", raw, tmp_path / "out", workers=1, progress=False)
    assert len(data) == 11 + 6 - 1 and set(faults.values()) <= set(skipped(tmp_path).values())


@pytest.mark.parametrize("digits", ["\u0661", "\uff11", "1_0"])
def test_numbers_are_written_in_ascii_digits(digits, tmp_path):
    raw = raw_trees.write_disfa(tmp_path / "raw")
    path = raw / "ActionUnit_Labels/SN001/SN001_au4.txt"
    rows = path.read_text().splitlines()
    rows[1] = f"2,{digits}"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(ValueError, match=f"SN001_au4.txt line 2: the intensity is '{digits}"):
        _first("disfa", raw)


def test_a_damaged_first_row_of_an_intensity_file_is_no_header(tmp_path):
    raw = raw_trees.write_bp4d(tmp_path / "raw")
    path = raw / "AUCoding/AU_INT/AU06/F001_T1_AU06.csv"
    rows = path.read_text().splitlines()
    for spoilt, told in (
        ("\u0666" + rows[0], "line 1: the frame is"),
        (rows[1], "line 2: frame 644 occurs twice"),
    ):
        path.write_text("\n".join([spoilt, *rows[1:]]) + "\n")
        with pytest.raises(ValueError, match=f"F001_T1_AU06.csv {told}"):
            _first("bp4d", raw)


# Looking through a tree.


def test_a_tree_is_listed_once_however_many_sessions_it_has(tmp_path, monkeypatch):
    from aubench.datasets.converters import raw_tree

    listed = []
    entries = raw_tree._entries
    monkeypatch.setattr(raw_tree, "_entries", lambda folder: listed.append(folder) or entries(folder))
    for set_ in CONVERTERS:
        listed.clear()
        raw = getattr(raw_trees, f"write_{set_}")(tmp_path / set_)
        assert import_module(f"aubench.datasets.converters.{set_}").find(Tree(raw))
        assert len(listed) == len(set(listed)), set_


def test_converting_warns_of_nothing(tmp_path, recwarn):
    converted("bp4d", tmp_path)
    assert not [str(one.message) for one in recwarn]


def test_the_sample_report_in_the_docs_is_what_is_printed(tmp_path):
    assert sample_report.shown() == sample_report.sample(tmp_path), "python tests/sample_report.py writes it"
