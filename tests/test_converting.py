"""Raw trees to dataset folders: every quirk of the nine sets, resuming, and the report."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import raw_trees
from conftest import face_outline
from PIL import Image
from tiny import TINY_VALUES

from aulib.converting import CONVERTERS, frames
from aulib.converting.convert import convert
from aulib.datasets import read_dataset
from aulib.landmarks import to_49

NO_LANDMARKS = "no landmarks in the set for it (landmarks by detector: --landmarks detect)"


@pytest.fixture
def detector(monkeypatch):
    """Finds the outline of a face in every picture; noise pictures hold none."""
    monkeypatch.setattr(
        frames, "detect_landmarks", lambda pixels: (face_outline(len(pixels)).astype(np.float32), 1)
    )
    monkeypatch.setattr("aulib.converting.convert.require_detector", lambda: None)


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
    assert "2 sessions: label frame + -1" in report.text()


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


def test_every_set_ends_in_a_run(tmp_path, detector, request):
    """One set by default; `make test-all` runs them all."""
    _train("bp4d", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CONVERTERS if name != "bp4d"])
def test_each_set_ends_in_a_run(name, tmp_path, detector):
    _train(name, tmp_path)


def _train(name, tmp_path):
    from aulib.runs import train_run

    data, _ = converted(name, tmp_path)
    table = pd.read_csv(tmp_path / "out/manifest.csv", dtype={"subject": str})
    people = sorted(set(data.subjects))  # a few people: make sure that each split has one
    turns = ["train", "val", "test"] if len(people) < 9 else ["train", "train", "val", "test"]
    order = {person: turns[position % len(turns)] for position, person in enumerate(people)}
    table["split"] = table["subject"].map(order)
    table.to_csv(tmp_path / "out/manifest.csv", index=False)
    metrics = train_run(
        str(tmp_path / "out"), str(tmp_path / "out"), "full", steps=2, batch_size=3, precision="32-true",
        out_dir=str(tmp_path / "run"), progress=False, **(TINY_VALUES | {"num_landmarks": 49}),
    )  # fmt: skip
    assert metrics["selected_step"] in (1, 2) and (tmp_path / "run/predictions_target_test.csv").is_file()


def test_a_second_call_does_nothing_and_changed_labels_are_read_again(tmp_path, monkeypatch):
    converted("bp4d", tmp_path)
    before = (tmp_path / "out/manifest.csv").read_bytes()
    seen = []
    take = frames._convert
    monkeypatch.setattr(
        frames, "_convert", lambda session, task: seen.append(task.source.name) or take(session, task)
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
    assert any("2 sessions could not be read at all" in warning for warning in report.warnings)


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
    from aulib.converting.bp4d import EXPECTED
    from aulib.converting.report import compare_rates

    rng = np.random.default_rng(0)
    rates = {au: 0.56 * share for au, share in EXPECTED.relative.items()} | {"AU15": 0.5}
    n = 2000
    table = {"image": [f"{i}.jpg" for i in range(n)], "subject": ["F001"] * n, "split": ["train"] * n}
    table |= {f"{au}_c": (rng.random(n) < rate).astype(float) for au, rate in rates.items()}
    from aulib.datasets import DatasetFolder

    found = compare_rates(DatasetFolder(tmp_path, pd.DataFrame(table)), EXPECTED)
    assert [au for au, row in found.items() if row["odd"]] == ["AU15"]
    assert found["AU10"]["expected"] == pytest.approx(found["AU12"]["rate"] * 1.058)


def test_the_manifest_reads_back_and_carries_where_each_picture_is_from(tmp_path):
    converted("disfa", tmp_path)
    table = read_dataset(tmp_path / "out").table
    source = table.loc[table["image"] == "images/SN001/5.jpg", "meta_source"].item()
    assert source.endswith("LeftVideoSN001_comp.avi#4")
