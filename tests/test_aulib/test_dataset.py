"""Reading and writing the dataset folder."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from test_manifest import make_set

from aulib.dataset import read_dataset, write_manifest
from conftest import TINY_AUS, face_outline, write_tiny_set


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


def test_the_rows_of_a_split_are_in_order(tmp_path):
    dataset = read_dataset(make_set(tmp_path))
    assert dataset.rows("val").tolist() == [1, 4]
    with pytest.raises(ValueError, match="'validation'"):
        dataset.rows("validation")


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


def test_parquet_reads_the_same(tmp_path):
    from_csv = read_dataset(write_tiny_set(tmp_path / "set"))
    from_csv.table.to_parquet(tmp_path / "set" / "manifest.parquet")
    (tmp_path / "set" / "manifest.csv").unlink()
    from_parquet = read_dataset(tmp_path / "set")
    pd.testing.assert_frame_equal(from_csv.table, from_parquet.table)
    assert from_parquet.aus == list(TINY_AUS)


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


def test_a_row_without_landmarks_is_read_as_nan(tmp_path):
    values = {f"{axis}_{k}": [None] + [50.0 + k] * 5 for k in range(68) for axis in "xy"}
    dataset = read_dataset(make_set(tmp_path, **values))
    assert np.isnan(dataset.landmarks[0]).all()
    assert np.isfinite(dataset.landmarks[1:]).all()


def test_a_synthetic_name_is_resolved_to_the_folder_of_that_set(tmp_path, monkeypatch):
    asked = []
    sets = types.ModuleType("aufaces.sets")  # stands in for the renderer
    sets.resolve = lambda name: asked.append(name) or write_tiny_set(tmp_path / "rendered")
    monkeypatch.setitem(sys.modules, "aufaces.sets", sets)
    assert len(read_dataset("synthetic:wild?n=24&seed=3")) == 24
    assert asked == ["synthetic:wild?n=24&seed=3"]


def test_a_column_whose_type_changes_after_thousands_of_rows_is_read(tmp_path):
    """Columns that aulib does not name are taken for what the first block of the file says, if that lasts."""
    num = 30_000  # rows of 60 bytes: two blocks of 1 MiB
    for row in range(num):
        (tmp_path / f"{row:05d}.png").touch()
    rows = [f"{row:05d}.png,{'someone':>40s},train,{row if row < num - 1 else 'late'}" for row in range(num)]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,subject,split,meta_note", *rows]) + "\n")
    notes = read_dataset(tmp_path).table["meta_note"]
    assert notes.iloc[-1] == "late" and notes.iloc[5] == "5"
