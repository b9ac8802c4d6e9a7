"""Reading and writing the dataset folder; every fault must name its row, what was found and what is right."""

import sys
import types

import numpy as np
import pandas as pd
import pytest

from aulib.dataset import DatasetFolder, read_dataset, write_manifest
from conftest import TINY_AUS, face_outline, write_tiny_set


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


def test_a_set_is_read_with_its_labels_landmarks_and_splits(tmp_path):
    folder = make_set(
        tmp_path, AU12_c=[0, 1, None, 0, 1, 1], AU01_c=[1] * 6, AU12_r=[0, 2.5, None, 0, 5, 3], frame=range(6)
    )
    dataset = read_dataset(folder)
    assert dataset.aus == ["AU01", "AU12"]  # FACS order, whatever the columns'
    assert dataset.intensity_aus == ["AU12"]
    assert dataset.occurrence.shape == (6, 2) and dataset.occurrence.dtype == np.float32
    assert np.isnan(dataset.occurrence[2, 1]) and dataset.occurrence[1].tolist() == [1, 1]
    assert dataset.intensity[1, 0] == 2.5
    assert dataset.num_landmarks == 68
    assert dataset.landmarks[3] == pytest.approx(face_outline(100), abs=1e-3)
    assert dataset.subjects.tolist() == ["00", "01", "02", "03", "04", "05"]  # text, not the numbers 0, 1
    assert dataset.image_paths[4] == folder / "images" / "4.jpg"
    assert len(dataset) == 6


def test_selecting_a_split_keeps_its_rows_and_their_order(tmp_path):
    dataset = read_dataset(make_set(tmp_path))
    validation = dataset.select("val")
    assert validation.table["image"].tolist() == ["images/1.jpg", "images/4.jpg"]
    assert validation.table.index.tolist() == [0, 1]
    assert dataset.rows("val").tolist() == [1, 4]
    assert validation.version == dataset.version
    with pytest.raises(ValueError, match="'validation'"):
        dataset.select("validation")


def test_intensity_alone_gives_occurrence_from_two_up(tmp_path):
    dataset = read_dataset(make_set(tmp_path, AU04_r=[0, 1, 2, 3, None, 1.9]))
    assert dataset.aus == ["AU04"]
    assert dataset.occurrence[:4, 0].tolist() == [0, 0, 1, 1]
    assert np.isnan(dataset.occurrence[4, 0]) and dataset.occurrence[5, 0] == 0


def test_changing_a_returned_array_does_not_change_the_set(tmp_path):
    dataset = read_dataset(make_set(tmp_path, AU04_c=[0] * 6))
    dataset.landmarks[:] = 0
    dataset.occurrence[:] = 1
    assert dataset.landmarks.max() > 0
    assert dataset.occurrence.max() == 0


def test_the_version_follows_the_bytes_of_the_manifest(tmp_path):
    first = read_dataset(make_set(tmp_path, AU04_c=[0] * 6)).version
    assert first == read_dataset(tmp_path).version
    assert first != read_dataset(make_set(tmp_path, AU04_c=[0] * 5 + [1])).version


@pytest.mark.parametrize("num_landmarks", [0, 49, 68])
def test_sets_may_have_no_landmarks_or_49_or_68(tmp_path, num_landmarks):
    dataset = read_dataset(make_set(tmp_path, landmarks=num_landmarks))
    assert dataset.num_landmarks == num_landmarks
    assert dataset.landmarks.shape == (6, num_landmarks, 2)
    assert dataset.aus == [] and dataset.occurrence.shape == (6, 0)


def test_spaces_after_commas_as_openface_writes_them_are_no_obstacle(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "manifest.csv").write_text(
        "image, subject, split, success, AU01_r, AU01_c\na.jpg, 007, train, 1, 0.25, 1.00\n"
    )
    dataset = read_dataset(tmp_path)
    assert dataset.subjects.tolist() == ["007"]
    assert dataset.occurrence.tolist() == [[1]] and dataset.intensity.tolist() == [[0.25]]


def test_a_byte_order_mark_and_windows_line_ends_are_no_obstacle(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbfimage,subject,split,AU01_c\r\na.jpg,s,test,\r\n")
    assert np.isnan(read_dataset(tmp_path).occurrence).all()


def test_parquet_reads_the_same(tmp_path):
    from_csv = read_dataset(write_tiny_set(tmp_path / "set"))
    from_csv.table.to_parquet(tmp_path / "set" / "manifest.parquet")
    (tmp_path / "set" / "manifest.csv").unlink()
    from_parquet = read_dataset(tmp_path / "set")
    pd.testing.assert_frame_equal(from_csv.table, from_parquet.table)
    assert from_parquet.aus == list(TINY_AUS)


def test_parquet_with_text_for_labels_is_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    table = pd.DataFrame({"image": ["a.jpg"], "subject": ["s"], "split": ["train"], "AU01_c": ["yes"]})
    table.to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(ValueError, match="`AU01_c` holds .*, expected numbers"):
        read_dataset(tmp_path)


def test_what_is_written_is_read_back(tmp_path):
    dataset = read_dataset(write_tiny_set(tmp_path / "set"))
    table = dataset.table.copy()
    table.loc[3, "AU06_c"] = np.nan
    write_manifest(dataset.root, table)
    again = read_dataset(dataset.root)
    pd.testing.assert_frame_equal(again.table, table)
    assert [path.name for path in dataset.root.iterdir() if path.name.startswith(".")] == []


def test_a_failed_write_leaves_the_old_manifest(tmp_path):
    folder = make_set(tmp_path)
    before = (folder / "manifest.csv").read_bytes()
    with pytest.raises(Exception, match="object|convert|type"):
        write_manifest(folder, pd.DataFrame({"image": [object()]}))
    assert (folder / "manifest.csv").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["images", "manifest.csv"]


def test_a_missing_folder_or_manifest_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="aulib prepare"):
        read_dataset(tmp_path)


def test_two_manifests_are_refused(tmp_path):
    make_set(tmp_path)
    (tmp_path / "manifest.parquet").touch()
    with pytest.raises(ValueError, match="both manifest.csv and manifest.parquet"):
        read_dataset(tmp_path)


def test_a_manifest_without_rows_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("image,subject,split\n")
    assert "no rows" in refused(tmp_path)


def test_a_missing_required_column_is_named(tmp_path):
    assert "column `split` is missing" in refused(make_set(tmp_path, split=None))


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_separator_is_named(tmp_path, mark):
    folder = make_set(tmp_path)
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",", mark))
    assert f"columns are separated by {mark!r}, expected ','" in refused(folder)


@pytest.mark.parametrize("wrong, right", [("AU1_c", "AU01_c"), ("au12", "AU12_c"), ("Subject", "subject")])
def test_a_misspelt_column_is_an_error_with_a_hint(tmp_path, wrong, right):
    message = refused(make_set(tmp_path, **{wrong: [0] * 6}))
    assert f"column `{wrong}` is unknown; did you mean `{right}`?" in message


def test_columns_of_openface_and_columns_of_ones_own_are_tolerated(tmp_path):
    extra = ["frame", "face_id", "timestamp", "confidence", "success", "pose_Tx", "gaze_0_x", "AU12_p"]
    dataset = read_dataset(make_set(tmp_path, meta_camera=["left"] * 6, **{name: [1] * 6 for name in extra}))
    assert dataset.table["meta_camera"].iloc[0] == "left"
    assert dataset.aus == []


def test_half_a_landmark_layout_is_refused(tmp_path):
    assert "missing y_5" in refused(make_set(tmp_path, y_5=None))
    assert "missing x_66, x_67, y_66, y_67" in refused(make_set(tmp_path, landmarks=66))
    message = refused(make_set(tmp_path, x_68=[1.0] * 6, y_68=[1.0] * 6))
    assert "69 x and 69 y columns (too many, from point 68)" in message


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path):
    message = refused(make_set(tmp_path, split=["train", "Train", "val", "test", "dev", "val"]))
    assert "the header is row 1" in message
    assert "row 3: split is 'Train', expected train, val or test" in message
    assert "row 6: split is 'dev'" in message


@pytest.mark.parametrize("code", [9, 999, -1])
def test_codes_for_unknown_are_refused_with_the_advice_to_leave_the_cell_empty(tmp_path, code):
    message = refused(make_set(tmp_path, AU12_c=[0, 1, 0, code, 0, 0]))
    assert f"row 5: AU12_c is {code}, expected 0, 1 or an empty cell" in message
    assert "leave the cell empty" in message


def test_occurrence_between_zero_and_one_is_refused(tmp_path):
    message = refused(make_set(tmp_path, AU12_c=[0.5] + [0] * 5))
    assert "row 2: AU12_c is 0.5, expected 0, 1" in message
    assert "leave the cell empty" not in message


@pytest.mark.parametrize("value", [-0.5, 5.5, np.inf])
def test_intensity_outside_zero_to_five_is_refused(tmp_path, value):
    assert f"row 4: AU12_r is {value:g}" in refused(make_set(tmp_path, AU12_r=[0, 5, value, 0, 0, 0]))


def test_words_for_numbers_are_named_with_their_row(tmp_path):
    message = refused(make_set(tmp_path, AU12_c=["0", "1", "yes", "", "0", "no"]))
    assert "row 4: AU12_c is 'yes', expected a number or an empty cell" in message
    assert "row 7: AU12_c is 'no'" in message


def test_landmarks_are_all_given_or_none(tmp_path):
    x = [None, 20.0, None, 20.0, 20.0, 20.0]
    message = refused(make_set(tmp_path, x_7=x))
    assert "row 2: 1 of 136 landmark cells are empty, expected all or none" in message
    assert "row 4" in message and "row 3" not in message


def test_a_row_without_landmarks_is_read_as_nan(tmp_path):
    values = {f"{axis}_{k}": [None] + [50.0 + k] * 5 for k in range(68) for axis in "xy"}
    dataset = read_dataset(make_set(tmp_path, **values))
    assert np.isnan(dataset.landmarks[0]).all()
    assert np.isfinite(dataset.landmarks[1:]).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e6])
def test_landmarks_no_picture_can_hold_are_refused(tmp_path, value):
    message = refused(make_set(tmp_path, x_3=[20.0] * 5 + [value]))
    assert "row 7: a landmark coordinate is" in message


def test_landmarks_as_shares_of_the_width_are_refused(tmp_path):
    shares = {f"{axis}_{k}": [0.001 * k] * 6 for k in range(68) for axis in "xy"}
    assert "not shares of its width" in refused(make_set(tmp_path, **shares))


def test_a_subject_in_two_splits_is_refused_with_both_rows(tmp_path):
    message = refused(make_set(tmp_path, subject=["a", "b", "c", "d", "a", "e"]))
    assert "row 6: subject 'a' is in split 'val' here and in 'train' in row 2" in message


def test_an_empty_subject_is_refused(tmp_path):
    assert "row 3: subject is empty" in refused(make_set(tmp_path, subject=["a", "", "b", "c", "d", "e"]))


def test_a_missing_image_is_named(tmp_path):
    folder = make_set(tmp_path)
    (folder / "images" / "3.jpg").unlink()
    assert "row 5: image 'images/3.jpg' does not exist" in refused(folder)


def test_a_folder_is_no_image(tmp_path):
    assert "row 2: image 'images' does not exist" in refused(make_set(tmp_path, n=1, image=["images"]))


def test_a_doubled_image_is_refused_with_both_rows(tmp_path):
    images = ["images/0.jpg", "images/1.jpg", "images/0.jpg"]
    assert "row 4: image 'images/0.jpg' is also in row 2" in refused(make_set(tmp_path, n=3, image=images))


@pytest.mark.parametrize("image", ["/etc/hosts", "../outside.jpg", "images/../../outside.jpg"])
def test_images_outside_the_folder_are_refused(tmp_path, image):
    (tmp_path / "outside.jpg").touch()
    message = refused(make_set(tmp_path / "set", n=1, image=[image]))
    assert "expected a path relative to the dataset folder and inside it" in message


def test_a_ragged_row_is_refused(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "manifest.csv").write_text("image,subject,split\na.jpg,s,train\na.jpg,s\n")
    assert "Expected 3 columns, got 2" in refused(tmp_path)


def test_at_most_ten_faults_are_shown_and_the_rest_is_announced(tmp_path):
    message = refused(make_set(tmp_path, n=30, AU12_c=[7] * 30))
    assert message.count("AU12_c is 7") == 10
    assert "row 2:" in message


def test_a_set_made_in_memory_has_no_version(tmp_path):
    table = read_dataset(make_set(tmp_path)).table
    assert DatasetFolder(tmp_path, table).version == ""


def test_a_synthetic_name_is_resolved_to_the_folder_of_that_set(tmp_path, monkeypatch):
    asked = []
    sets = types.ModuleType("aufaces.sets")  # stands in for the renderer
    sets.resolve = lambda name: asked.append(name) or write_tiny_set(tmp_path / "rendered")
    monkeypatch.setitem(sys.modules, "aufaces.sets", sets)
    assert len(read_dataset("synthetic:wild?n=24&seed=3")) == 24
    assert asked == ["synthetic:wild?n=24&seed=3"]


def test_a_column_that_changes_its_kind_after_thousands_of_rows_is_read(tmp_path):
    """Columns that aulib does not name are taken for what the first block of the file says, if that lasts."""
    num = 30_000  # rows of 60 bytes: two blocks of 1 MiB
    for row in range(num):
        (tmp_path / f"{row:05d}.png").touch()
    rows = [f"{row:05d}.png,{'someone':>40s},train,{row if row < num - 1 else 'late'}" for row in range(num)]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,subject,split,meta_note", *rows]) + "\n")
    notes = read_dataset(tmp_path).table["meta_note"]
    assert notes.iloc[-1] == "late" and notes.iloc[5] == "5"
