"""Any folder of pictures -> dataset folder. The detector is replaced, but for the tests at the end."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import face_outline
from PIL import Image

import aulib.photographs as photographs
import aulib.prepared_pictures as prepared_pictures
from aulib.cropping import CropSpec, crop_dataset
from aulib.datasets import read_dataset
from aulib.detector import detect_landmarks, require_detector
from aulib.landmark_tables import read_landmarks
from aulib.photographs import find_pictures, prepare, split_subjects, subjects_of
from aulib.pictures import read_picture
from aulib.surviving_pool import map_surviving

RED, BLUE = (250, 10, 10), (10, 10, 250)


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

    monkeypatch.setattr(prepared_pictures, "detect_landmarks", detect)
    monkeypatch.setattr(photographs, "require_detector", lambda: None)
    return shown


def two_colours(width=100, height=80, mode="RGB"):
    """Left half red, right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture.convert(mode)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def turned_by_exif(picture, path):
    """A file whose pixels lie on their side and whose EXIF tag says so, as phones write."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    return save(picture.transpose(Image.Transpose.ROTATE_90), path, exif=exif, quality=95)


def test_a_picture_turned_by_exif_is_read_upright(tmp_path):
    picture = read_picture(turned_by_exif(two_colours(), tmp_path / "a.jpg"))
    assert picture.size == (100, 80)
    assert picture.getpixel((10, 40))[0] > 200 and picture.getpixel((90, 40))[2] > 200


def test_transparent_pixels_become_mid_grey_and_half_transparent_ones_mix(tmp_path):
    picture = two_colours(mode="RGBA")
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(0, (0, 0, 50, 40))
    alpha.paste(128, (0, 40, 50, 80))
    picture.putalpha(alpha)
    shown = read_picture(save(picture, tmp_path / "a.png"))
    assert shown.mode == "RGB"
    assert shown.getpixel((10, 10)) == (128, 128, 128)
    assert shown.getpixel((10, 60)) == pytest.approx((189, 69, 69), abs=2)
    assert shown.getpixel((90, 10)) == BLUE


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = save(two_colours(mode=mode), tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    assert read_picture(path).mode == "RGB"


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    values = np.linspace(0, 65535, 100).astype(np.uint16).reshape(10, 10)
    Image.fromarray(values).save(tmp_path / "a.png")
    grey = np.asarray(read_picture(tmp_path / "a.png"))[..., 0].ravel()
    assert grey == pytest.approx(np.linspace(0, 255, 100), abs=1)


def test_a_large_jpeg_is_reduced_to_the_asked_size_turned_or_not(tmp_path):
    save(two_colours(1000, 800), tmp_path / "a.jpg")
    turned_by_exif(two_colours(1000, 800), tmp_path / "b.jpg")
    for name in ("a.jpg", "b.jpg"):
        picture = read_picture(tmp_path / name, at_most=200)
        assert picture.size == (200, 160)
        assert picture.getpixel((20, 80))[0] > 200 and picture.getpixel((180, 80))[2] > 200


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
    monkeypatch.setattr(prepared_pictures, "MAX_SIDE", 200)
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
    store = prepared_pictures._store

    def interrupted(picture, copy_of, path):
        if path.name == "3.jpg":
            raise KeyboardInterrupt
        store(picture, copy_of, path)

    monkeypatch.setattr(prepared_pictures, "_store", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(photos, out, progress=False)
    monkeypatch.setattr(prepared_pictures, "_store", store)
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
    for name in (" space .jpg", "new\nline.jpg", 'quote",comma.jpg', "y.png", "x.webp", "x.webp.jpg"):
        save(two_colours(), photos / name)
    os.rename(photos / "y.png", os.fsencode(photos) + b"/\xff.png")
    dataset = prepare(photos, tmp_path / "out", progress=False)
    assert len(dataset) == 6
    assert dataset.table["image"].nunique() == 6
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
    monkeypatch.setattr(prepared_pictures, "MAX_SIDE", 200)
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


def test_a_csv_that_cannot_be_matched_says_why(tmp_path):
    with pytest.raises(ValueError, match="names none of the pictures: found 'other.jpg', they are 'a.jpg'"):
        read_landmarks(landmark_csv(tmp_path / "f.csv", [("other.jpg", 50)]), ["a.jpg"])
    with pytest.raises(ValueError, match="does not say which picture"):
        read_landmarks(landmark_csv(tmp_path / "f.csv", [("a.jpg", 50)], column="clip"), ["a.jpg"])
    (tmp_path / "f.csv").write_text("image,x_0,y_0\na.jpg,1,2\n")
    with pytest.raises(ValueError, match="has 1 columns x_0"):
        read_landmarks(tmp_path / "f.csv", ["a.jpg"])
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_landmarks(tmp_path / "nowhere.csv", ["a.jpg"])


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    save(two_colours(), tmp_path / "photos" / "a.jpg")
    monkeypatch.setattr("aulib.detector.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aulib\[landmarks\]'.*--landmarks FILE"):
        prepare(tmp_path / "photos", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def times_ten_or_die(task: int) -> int:
    if task == 7:
        os._exit(9)  # as a crash in a decoder would
    return 10 * task


@pytest.mark.slow
def test_a_picture_that_kills_its_process_costs_only_itself():
    results = sorted(map_surviving(times_ten_or_die, list(range(12)), workers=2, crashed=lambda task: -task))
    assert results == [-7, 0, 10, 20, 30, 40, 50, 60, 80, 90, 100, 110]


@pytest.fixture
def portrait():
    """A face that comes with scikit-image."""
    pytest.importorskip("dlib")
    pytest.importorskip("skimage")
    from skimage.data import astronaut

    return astronaut()


def test_the_detector_finds_a_face_and_its_68_landmarks(portrait):
    landmarks, num_faces = detect_landmarks(portrait)
    assert num_faces == 1 and landmarks.shape == (68, 2) and landmarks.dtype == np.float32
    right_eye, left_eye, mouth = landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[48:68].mean(0)
    assert right_eye[0] < left_eye[0]
    assert mouth[1] > max(right_eye[1], left_eye[1]) + 20
    assert (landmarks > (150, 40)).all() and (landmarks < (300, 220)).all()


def test_the_detector_finds_small_faces_and_takes_the_largest(portrait):
    small = np.asarray(Image.fromarray(portrait[:220, 130:320]).resize((64, 74)))
    assert detect_landmarks(small)[1] == 1
    head = portrait[:220, 130:320]
    both = np.full((440, 590, 3), 128, dtype=np.uint8)
    both[:220, :190] = head  # the small face comes first
    both[:, 210:] = np.asarray(Image.fromarray(head).resize((380, 440)))
    landmarks, num_faces = detect_landmarks(both)
    assert num_faces == 2
    assert landmarks[:, 0].min() > 210


def test_no_face_is_found_in_noise_and_bad_arrays_are_refused(portrait):
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    assert detect_landmarks(noise) == (None, 0)
    with pytest.raises(ValueError, match=r"\(512, 512\) uint8"):
        detect_landmarks(portrait[..., 0])
    require_detector()


@pytest.mark.slow
def test_processes_and_this_process_prepare_the_same(tmp_path, portrait):
    for i in range(4):
        save(Image.fromarray(portrait[:, i * 10 :]), tmp_path / "photos" / f"{i}.png")
    one = prepare(tmp_path / "photos", tmp_path / "one", workers=1, progress=False)
    two = prepare(tmp_path / "photos", tmp_path / "two", workers=2, progress=False)
    assert one.version == two.version
    assert read_dataset(tmp_path / "two").landmarks.shape == (4, 68, 2)
    log = (tmp_path / "two" / ".prepare.jsonl").read_text().splitlines()
    assert len(log) == 5 and json.loads(log[1])["image"].startswith("images/")
