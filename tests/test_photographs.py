"""Any folder of pictures -> dataset folder. The detector is replaced, but for the last test."""

import csv
import json
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aubench.datasets import face_finding, photographs
from aubench.datasets.photographs import find_pictures, prepare, split_subjects, subjects_of, what_was_found
from aulib.crops import CropSpec, crop_dataset
from aulib.dataset import read_dataset
from conftest import face_outline
from test_images import save, turned_by_exif, two_colours
from test_landmark_tables import landmark_csv


@pytest.fixture
def seen(monkeypatch):
    """A detector that finds a face in any picture with some colour; lists the sizes it was shown."""
    shown = []

    def detect(image):
        shown.append(image.shape[:2])
        if np.ptp(image) == 0:
            return None, 0
        points = face_outline(100) * (image.shape[1] / 100, image.shape[0] / 100)
        return points.astype(np.float32), 3 if image.shape[0] == 77 else 1

    monkeypatch.setattr(face_finding, "detect_landmarks", detect)
    monkeypatch.setattr(photographs, "require_detector", lambda: None)
    return shown


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_pictures_of_every_kind_become_one_dataset(tmp_path, seen):
    photos, out = tmp_path / "photos", tmp_path / "out"
    sources = ["a.jpg", "ann/b.PNG", "ann/c.webp", "bob/deep/d.bmp", "bob/e.jpeg"]
    save(two_colours(), photos / "a.jpg")
    save(two_colours(mode="RGBA"), photos / "ann" / "b.PNG")
    save(two_colours(), photos / "ann" / "c.webp")
    save(two_colours(mode="L"), photos / "bob" / "deep" / "d.bmp")
    turned_by_exif(two_colours(), photos / "bob" / "e.jpeg")
    dataset = prepare(photos, out, progress=False)
    assert dataset.table["meta_source"].tolist() == sources
    assert dataset.subjects.tolist() == ["a", "ann", "ann", "bob", "bob"]
    assert dataset.num_landmarks == 68
    for path, landmarks in zip(dataset.image_paths, dataset.landmarks, strict=True):
        with Image.open(path) as picture:
            assert picture.size == (100, 80)
            assert picture.getexif().get(0x0112, 1) == 1
        assert landmarks == pytest.approx(face_outline(100) * (1, 0.8), abs=0.01)
    assert rows_of(out / "skipped.csv") == [["image", "reason"]]
    assert len(crop_dataset(dataset, CropSpec(48), progress=False)) == 5  # what it writes can be used


def test_a_plain_picture_is_copied_byte_for_byte_and_others_are_not(tmp_path, seen):
    photos = tmp_path / "photos"
    save(two_colours(), photos / "plain.jpg", quality=70)
    turned_by_exif(two_colours(), photos / "turned.jpg")
    save(two_colours(), photos / "lying.png", format="JPEG")
    dataset = prepare(photos, tmp_path / "out", progress=False)
    same = {path.name: path.read_bytes() == (photos / path.name).read_bytes() for path in dataset.image_paths}
    assert same == {"plain.jpg": True, "turned.jpg": False, "lying.png": False}


def test_bad_pictures_are_listed_with_the_reason_and_stop_nothing(tmp_path, seen):
    photos, out = tmp_path / "photos", tmp_path / "out"
    good = save(two_colours(), photos / "good.jpg")
    (photos / "empty.jpg").touch()
    (photos / "text.png").write_text("hello")
    (photos / "cut.jpg").write_bytes(good.read_bytes()[:700])
    (photos / "phone.HEIC").write_bytes(b"?")
    (photos / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    save(Image.new("RGB", (50, 50)), photos / "black.jpg")
    (photos / "README.md").write_text("not a picture, and nobody would think so")
    dataset = prepare(photos, out, progress=False)
    assert dataset.table["image"].tolist() == ["images/good.jpg"]
    reasons = dict(rows_of(out / "skipped.csv")[1:])
    assert set(reasons) == {"empty.jpg", "text.png", "cut.jpg", "phone.HEIC", "dangling.jpg", "black.jpg"}
    assert reasons["black.jpg"] == "no face found"
    assert "convert it to JPEG" in reasons["phone.HEIC"]
    assert "truncated" in reasons["cut.jpg"]
    assert reasons["empty.jpg"].startswith("unreadable: ") and str(tmp_path) not in reasons["empty.jpg"]


def test_a_decompression_bomb_is_skipped(tmp_path, seen, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 80)
    save(two_colours(), tmp_path / "photos" / "good.jpg")
    save(two_colours(400, 400), tmp_path / "photos" / "bomb.png")
    prepare(tmp_path / "photos", tmp_path / "out", progress=False)
    ((name, reason),) = rows_of(tmp_path / "out" / "skipped.csv")[1:]
    assert name == "bomb.png" and "decompression bomb" in reason


def test_a_picture_with_several_faces_is_noted(tmp_path, seen):
    save(two_colours(100, 77), tmp_path / "photos" / "group.jpg")
    save(two_colours(100, 80), tmp_path / "photos" / "one.jpg")
    prepare(tmp_path / "photos", tmp_path / "out", progress=False)
    assert rows_of(tmp_path / "out" / "notes.csv") == [
        ["image", "note"],
        ["group.jpg", "3 faces, the largest is used"],
    ]


def test_a_large_picture_is_stored_reduced_with_landmarks_in_its_pixels(tmp_path, seen, monkeypatch):
    monkeypatch.setattr(face_finding, "MAX_SIDE", 200)
    save(two_colours(1000, 800), tmp_path / "photos" / "a.jpg")
    dataset = prepare(tmp_path / "photos", tmp_path / "out", progress=False)
    with Image.open(dataset.image_paths[0]) as picture:
        assert picture.size == (200, 160)
    assert seen == [(160, 200)]
    assert dataset.landmarks[0] == pytest.approx(face_outline(100) * (2, 1.6), abs=0.01)
    assert rows_of(tmp_path / "out" / "notes.csv")[1] == ["a.jpg", "reduced from 1000 x 800 to 200 x 160"]


def test_when_no_picture_can_be_used_the_reasons_are_said(tmp_path, seen):
    save(Image.new("RGB", (50, 50)), tmp_path / "photos" / "black.jpg")
    with pytest.raises(ValueError, match=r"none of 1 pictures could be used \(no face found\)"):
        prepare(tmp_path / "photos", tmp_path / "out", progress=False)
    assert len(rows_of(tmp_path / "out" / "skipped.csv")) == 2


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no picture"):
        prepare(tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="not a folder"):
        prepare(tmp_path / "nowhere", tmp_path / "out")


def test_a_folder_someone_else_filled_is_left_alone(tmp_path, seen):
    photos = tmp_path / "photos"
    save(two_colours(), photos / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    for out in (tmp_path / "out", photos, tmp_path / "out" / "thesis.txt"):
        with pytest.raises(FileExistsError):
            prepare(photos, out, progress=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_the_output_inside_the_photographs_is_not_read_again(tmp_path, seen):
    save(two_colours(), tmp_path / "a.jpg")
    save(two_colours(), tmp_path / ".thumbnails" / "a.jpg")
    for _ in range(2):
        assert len(prepare(tmp_path, tmp_path / "out", progress=False)) == 1
    assert find_pictures(tmp_path, tmp_path / "out") == ["a.jpg"]


def test_an_interrupted_call_goes_on_where_it_stopped(tmp_path, seen, monkeypatch):
    photos, out = tmp_path / "photos", tmp_path / "out"
    for i in range(5):
        save(two_colours(), photos / f"{i}.jpg")
    store = face_finding._store

    def interrupted(picture, copy_of, path):
        if path.name == "3.jpg":
            raise KeyboardInterrupt
        store(picture, copy_of, path)

    monkeypatch.setattr(face_finding, "_store", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, out, progress=False)
    monkeypatch.setattr(face_finding, "_store", store)
    assert not (out / "manifest.csv").exists()
    with open(out / ".prepare.jsonl", "a", encoding="utf-8") as log:
        log.write('{"source": "3.jpg", "sta')  # killed while writing
    seen.clear()
    dataset = prepare(photos, out, progress=False)
    assert len(dataset) == 5
    assert len(seen) == 2  # 3 and 4; the others were done
    seen.clear()
    assert prepare(photos, out, progress=False).version == dataset.version
    assert seen == []


def test_interrupted_and_uninterrupted_calls_give_the_same_manifest(tmp_path, seen):
    photos = tmp_path / "photos"
    for i in range(4):
        save(two_colours(), photos / f"{i}.jpg")
    whole = prepare(photos, tmp_path / "whole", progress=False)
    (photos / "3.jpg").rename(tmp_path / "3.jpg")
    prepare(photos, tmp_path / "parts", progress=False)
    (tmp_path / "3.jpg").rename(photos / "3.jpg")
    assert prepare(photos, tmp_path / "parts", progress=False).version == whole.version


def test_a_changed_and_a_removed_picture_are_noticed(tmp_path, seen):
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        save(two_colours(), photos / name)
    prepare(photos, out, progress=False)
    save(two_colours(60, 60), photos / "a.jpg")
    (photos / "b.jpg").unlink()
    seen.clear()
    dataset = prepare(photos, out, progress=False)
    assert dataset.table["image"].tolist() == ["images/a.jpg", "images/c.jpg"]
    assert seen == [(60, 60)]
    assert sorted(os.listdir(out / "images")) == ["a.jpg", "c.jpg"]


def test_odd_file_names_are_stored_under_names_a_manifest_can_hold(tmp_path, seen):
    photos = tmp_path / "photos"
    names = (" space .jpg", "new\nline.jpg", 'quote",comma.jpg', "y.png", "x.webp", "x.webp.jpg")
    for name in (*names, "n" * 250 + ".jpg"):
        save(two_colours(), photos / name)
    os.rename(photos / "y.png", os.fsencode(photos) + b"/\xff.png")
    dataset = prepare(photos, tmp_path / "out", progress=False)
    assert len(dataset) == 7
    assert dataset.table["image"].nunique() == 7
    assert "images/space .jpg" in dataset.table["image"].tolist()


def test_the_top_folder_is_the_subject_and_a_lone_folder_is_not():
    assert subjects_of(["ann/1.jpg", "ann/x/2.jpg", "bob/1.jpg", "c.jpg"]) == ["ann", "ann", "bob", "c"]
    assert subjects_of(["images/1.jpg", "images/2.jpg"]) == ["1", "2"]
    assert subjects_of(["lfw/ann/1.jpg", "lfw/bob/1.jpg"]) == ["ann", "bob"]
    assert subjects_of(["only.jpg"]) == ["only"]


def test_the_split_takes_a_tenth_each_and_never_cuts_a_subject():
    names = [f"person {i}" for i in range(200)]
    splits = split_subjects(names * 2)
    assert len(splits) == 200
    counts = pd.Series(splits).value_counts().to_dict()
    assert counts == {"train": 160, "val": 20, "test": 20}
    assert splits == split_subjects(names[::-1])
    assert sorted(split_subjects(["a", "b", "c"]).values()) == ["test", "train", "val"]
    assert set(split_subjects(["a", "b"]).values()) == {"train"}


def test_all_pictures_can_go_to_one_split(tmp_path, seen):
    for i in range(4):
        save(two_colours(), tmp_path / "photos" / f"{i}.jpg")
    dataset = prepare(tmp_path / "photos", tmp_path / "out", progress=False, split="test")
    assert set(dataset.splits) == {"test"}
    again = prepare(tmp_path / "photos", tmp_path / "out", progress=False)
    assert set(again.splits) == {"train", "val", "test"}
    with pytest.raises(ValueError, match="'all'"):
        prepare(tmp_path / "photos", tmp_path / "out", split="all")


def test_a_folder_taken_for_one_person_with_most_faces_is_said(tmp_path, seen):
    for i in range(4):
        save(two_colours(), tmp_path / "photos" / "many" / f"{i}.jpg")
        save(two_colours(), tmp_path / "photos" / f"{i}.jpg")
    photos = tmp_path / "photos"
    half = what_was_found(prepare(photos, tmp_path / "half", progress=False, split="train"))
    assert half.startswith("8 faces of 5 people") and half.endswith("train 8, val 0, test 0")
    (photos / "3.jpg").unlink()
    most = what_was_found(prepare(photos, tmp_path / "most", progress=False, split="train"))
    assert "warning: 4 of" in most and "'many'" in most


def test_landmarks_from_a_csv_need_no_detector(tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "require_detector", lambda: pytest.fail("the detector was asked for"))
    photos = tmp_path / "photos"
    save(two_colours(100, 100), photos / "a" / "1.jpg")
    save(two_colours(100, 100), photos / "b" / "1.jpg")
    save(two_colours(100, 100), photos / "b" / "2.jpg")
    file = landmark_csv(tmp_path / "openface.csv", [("a/1.jpg", 90), ("C:\\data\\b\\1.jpg", 80)])
    dataset = prepare(photos, tmp_path / "out", landmarks=file, progress=False)
    assert dataset.table["meta_source"].tolist() == ["a/1.jpg", "b/1.jpg"]
    assert dataset.landmarks[0] == pytest.approx(face_outline(90), abs=0.01)
    assert dataset.landmarks[1] == pytest.approx(face_outline(80), abs=0.01)
    assert rows_of(tmp_path / "out" / "skipped.csv")[1] == ["b/2.jpg", "no landmarks given for it"]


def test_landmarks_from_a_csv_follow_the_reduced_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(face_finding, "MAX_SIDE", 200)
    save(two_colours(1000, 1000), tmp_path / "photos" / "a.jpg")
    file = landmark_csv(tmp_path / "openface.csv", [("a.jpg", 1000)])
    dataset = prepare(tmp_path / "photos", tmp_path / "out", landmarks=file, progress=False)
    expected = (face_outline(1000) + 0.5) / 5 - 0.5  # pixel centres
    assert dataset.landmarks[0] == pytest.approx(expected, abs=0.01)


def test_landmarks_of_another_picture_size_are_noticed(tmp_path):
    save(two_colours(50, 50), tmp_path / "photos" / "a.jpg")
    save(two_colours(50, 50), tmp_path / "photos" / "b.jpg")
    file = landmark_csv(tmp_path / "openface.csv", [("a.jpg", 50), ("b.jpg", 500)])
    prepare(tmp_path / "photos", tmp_path / "out", landmarks=file, progress=False)
    ((name, reason),) = rows_of(tmp_path / "out" / "skipped.csv")[1:]
    assert name == "b.jpg" and "expected inside the picture of 50 x 50" in reason


def test_changed_landmarks_start_over(tmp_path):
    save(two_colours(100, 100), tmp_path / "photos" / "a.jpg")
    for size in (90, 60):
        file = landmark_csv(tmp_path / "openface.csv", [("a.jpg", size)])
        dataset = prepare(tmp_path / "photos", tmp_path / "out", landmarks=file, progress=False)
        assert dataset.landmarks[0] == pytest.approx(face_outline(size), abs=0.01)


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    save(two_colours(), tmp_path / "photos" / "a.jpg")
    monkeypatch.setattr("aubench.datasets.landmark_detector.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aulib\[landmarks\]'.*--landmarks FILE"):
        prepare(tmp_path / "photos", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_and_this_process_prepare_the_same(tmp_path):
    pytest.importorskip("dlib")
    portrait = pytest.importorskip("skimage.data").astronaut()
    for i in range(4):
        save(Image.fromarray(portrait[:, i * 10 :]), tmp_path / "photos" / f"{i}.png")
    one = prepare(tmp_path / "photos", tmp_path / "one", workers=1, progress=False)
    two = prepare(tmp_path / "photos", tmp_path / "two", workers=2, progress=False)
    assert one.version == two.version
    assert read_dataset(tmp_path / "two").landmarks.shape == (4, 68, 2)
    log = (tmp_path / "two" / ".prepare.jsonl").read_text().splitlines()
    assert len(log) == 5 and json.loads(log[1])["image"].startswith("images/")
