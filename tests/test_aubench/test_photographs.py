"""Any folder of pictures -> dataset folder. The detector is replaced, except in the last test."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_landmark_tables import landmark_csv

from aubench.datasets import face_finding, photographs
from aubench.datasets.photographs import in_a_row, prepare, split_subjects, subject_summary, subjects_of
from aubench.datasets.picture_files import list_pictures
from aubench.study.run_lock import RunIsHeld, run_lock
from aulib.crops import CropSpec, crop_dataset
from aulib.dataset import read_dataset
from conftest import face_outline
from two_colours import save, turned_by_exif, two_colours


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


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


@pytest.fixture
def made(photos, tmp_path):
    """Prepare `photos` into a folder of tmp_path."""
    return lambda out="out", **options: prepare(photos, tmp_path / out, progress=False, **options)


def rows_of(path):
    """Rows of skipped.csv or notes.csv as image -> reason or note."""
    with open(path, encoding="utf-8", newline="") as file:
        return dict(list(csv.reader(file))[1:])


def test_pictures_of_every_kind_become_one_dataset(photos, made, seen):
    sources = ["a.jpg", "ann/b.PNG", "ann/c.webp", "bob/deep/d.bmp", "bob/e.jpeg"]
    save(two_colours(), photos / "a.jpg")
    save(two_colours(mode="RGBA"), photos / "ann/b.PNG")
    save(two_colours(), photos / "ann/c.webp")
    save(two_colours(mode="L"), photos / "bob/deep/d.bmp")
    turned_by_exif(two_colours(), photos / "bob/e.jpeg")
    dataset = made()
    assert dataset.table["meta_source"].tolist() == sources
    assert dataset.subjects.tolist() == ["a", "ann", "ann", "bob", "bob"]
    assert dataset.num_landmarks == 68 and rows_of(dataset.root / "skipped.csv") == {}
    for path, landmarks in zip(dataset.image_paths, dataset.landmarks, strict=True):
        with Image.open(path) as picture:
            assert picture.size == (100, 80)
            assert picture.getexif().get(0x0112, 1) == 1
        assert landmarks == pytest.approx(face_outline(100) * (1, 0.8), abs=0.01)
    assert len(crop_dataset(dataset, CropSpec(48), progress=False).images) == 5  # what it writes can be used


def test_a_plain_picture_is_copied_byte_for_byte_and_others_are_not(photos, made, seen):
    save(two_colours(), photos / "plain.jpg", quality=70)
    turned_by_exif(two_colours(), photos / "turned.jpg")
    save(two_colours(), photos / "lying.png", format="JPEG")
    paths = made().image_paths
    same = {path.name: path.read_bytes() == (photos / path.name).read_bytes() for path in paths}
    assert same == {"plain.jpg": True, "turned.jpg": False, "lying.png": False}


def test_several_faces_and_pictures_nearly_black_or_white_are_noted(photos, made, seen):
    for name, shade in {"dark": 12, "plain": 120, "bright": 250}.items():
        pixels = np.random.default_rng(0).integers(shade - 2, shade + 3, (80, 80, 3)).astype(np.uint8)
        save(Image.fromarray(pixels), photos / f"{name}.png")
    save(two_colours(100, 77), photos / "group.jpg")
    notes = rows_of(made().root / "notes.csv")
    assert list(notes) == ["bright.png", "dark.png", "group.jpg"] and notes["group.jpg"].startswith("3 faces")
    assert "nearly white" in notes["bright.png"] and "nearly black" in notes["dark.png"]


@pytest.mark.parametrize("suffix", ["tif", "gif", "webp", "png"])
def test_of_several_pages_the_first_is_read_and_a_note_says_so(suffix, photos, made, seen):
    save(two_colours(), photos / f"one.{suffix}")
    others = [two_colours().transpose(Image.Transpose.ROTATE_180), Image.new("RGB", (100, 80), "white")]
    save(two_colours(), photos / f"pages.{suffix}", save_all=True, append_images=others)
    assert rows_of(made().root / "notes.csv") == {f"pages.{suffix}": "the first of 3 pages is read"}


def test_a_large_picture_is_stored_reduced_with_landmarks_in_its_pixels(photos, made, seen, monkeypatch):
    monkeypatch.setattr(face_finding, "MAX_SIDE", 200)
    save(two_colours(1000, 800), photos / "a.jpg")
    dataset = made()
    with Image.open(dataset.image_paths[0]) as picture:
        assert picture.size == (200, 160)
    assert seen == [(160, 200)]
    assert dataset.landmarks[0] == pytest.approx(face_outline(100) * (2, 1.6), abs=0.01)
    note = rows_of(dataset.root / "notes.csv")["a.jpg"]
    assert "1000 x 800" in note and "200 x 160" in note


def test_when_no_picture_can_be_used_the_error_names_the_reasons(photos, made, seen, tmp_path):
    save(Image.new("RGB", (50, 50)), photos / "black.jpg")
    with pytest.raises(ValueError, match=r"none of 1 .*no face found.*skipped.csv"):
        made()
    assert rows_of(tmp_path / "out/skipped.csv")["black.jpg"].startswith("no face found; it is nearly black")


def test_a_folder_someone_else_filled_is_left_alone(photos, made, seen, tmp_path):
    save(two_colours(), photos / "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.txt").write_text("years of work")
    for out in ("out", "photos", "out/thesis.txt"):
        with pytest.raises(FileExistsError, match=str(tmp_path / out)):
            made(out)
    assert os.listdir(tmp_path / "out") == ["thesis.txt"]


def test_the_output_inside_the_photographs_is_not_read_again(tmp_path, seen):
    save(two_colours(), tmp_path / "a.jpg")
    save(two_colours(), tmp_path / ".thumbnails/a.jpg")
    for _ in range(2):
        assert len(prepare(tmp_path, tmp_path / "out", progress=False)) == 1
    assert list_pictures(tmp_path, tmp_path / "out") == (["a.jpg"], {})


def test_an_interrupted_call_goes_on_where_it_stopped(photos, made, seen, tmp_path, monkeypatch):
    for i in range(5):
        save(two_colours(), photos / f"{i}.jpg")
    store = face_finding._store

    def interrupted(picture, copy_of, path):
        if path.name == "3.jpg":
            raise KeyboardInterrupt
        store(picture, copy_of, path)

    monkeypatch.setattr(face_finding, "_store", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made()
    monkeypatch.setattr(face_finding, "_store", store)
    assert not (tmp_path / "out/manifest.csv").exists()
    with open(tmp_path / "out/.prepare.jsonl", "a", encoding="utf-8") as log:
        log.write('{"source": "3.jpg", "sta')  # killed while writing
    seen.clear()
    dataset = made()
    assert len(dataset) == 5 and len(seen) == 2  # 3 and 4; the others were done
    seen.clear()
    assert made().version == dataset.version == made("uninterrupted").version
    assert len(seen) == 5  # all of the second folder


def test_an_added_a_changed_and_a_removed_picture_are_noticed(photos, made, seen, tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        save(two_colours(), photos / name)
    made()
    save(two_colours(60, 60), photos / "a.jpg")
    (photos / "b.jpg").rename(photos / "d.jpg")
    seen.clear()
    dataset = made()
    assert dataset.table["image"].tolist() == ["images/a.jpg", "images/c.jpg", "images/d.jpg"]
    assert seen == [(60, 60), (80, 100)]
    assert sorted(os.listdir(tmp_path / "out/images")) == ["a.jpg", "c.jpg", "d.jpg"]
    assert dataset.version == made("anew").version


@pytest.mark.parametrize(
    "names",
    [
        ["jos\u00e9.jpg", "jose\u0301.jpg"],  # one name in two Unicode forms
        ["A.jpg", "a.jpg", "a-2.jpg"],
        [" space .jpg", "new\nline.jpg", 'quote",comma.jpg', "x.webp", "x.webp.jpg", b"y\xff.png.jpg"],
        ["x" * 250 + ".webp", "x" * 249 + "y.webp"],
        [b"\xff" * 100 + b".jpg", b"\xff" * 101 + b".jpg"],
    ],
)
def test_names_that_a_manifest_holds_as_one_or_a_disk_not_at_all_are_told_apart(names, photos, made, seen):
    for name in map(os.fsdecode, names):
        save(two_colours(), photos / "own.jpg").rename(photos / name)
    dataset = made()
    assert dataset.table["image"].nunique() == len(names)
    assert {Path(image).suffix for image in dataset.table["image"]} == {".jpg"}


def test_the_top_folder_is_the_subject_and_a_lone_folder_is_not():
    assert subjects_of(["ann/1.jpg", "ann/x/2.jpg", "bob/1.jpg", "c.jpg"]) == ["ann", "ann", "bob", "c"]
    assert subjects_of(["images/1.jpg", "images/2.jpg"]) == ["1", "2"]
    assert subjects_of(["lfw/ann/1.jpg", "lfw/bob/1.jpg"]) == ["ann", "bob"]
    assert subjects_of(["only.jpg"]) == ["only"]


def test_the_split_takes_a_tenth_each_and_never_cuts_a_subject():
    names = [f"person {i}" for i in range(200)]
    splits = split_subjects(names * 2)
    assert len(splits) == 200
    assert pd.Series(splits).value_counts().to_dict() == {"train": 160, "val": 20, "test": 20}
    assert splits == split_subjects(names[::-1])
    assert sorted(split_subjects(["a", "b", "c"]).values()) == ["test", "train", "val"]
    assert set(split_subjects(["a", "b"]).values()) == {"train"}


def test_all_pictures_can_go_to_one_split(photos, made, seen):
    for i in range(4):
        save(two_colours(), photos / f"{i}.jpg")
    assert set(made(split="test").splits) == {"test"}
    assert set(made().splits) == {"train", "val", "test"}
    with pytest.raises(ValueError, match="'all'"):
        made(split="all")


def test_a_folder_that_counts_as_one_person_with_most_faces_is_warned_of(photos, made, seen):
    for i in range(4):
        save(two_colours(), photos / f"many/{i}.jpg")
        save(two_colours(), photos / f"{i}.jpg")
    half = subject_summary(made(split="train"))
    assert half.startswith("8 faces of 5 people") and half.endswith("train 8, val 0, test 0")
    (photos / "3.jpg").unlink()
    most = subject_summary(made(split="train"))
    assert "warning: 4 of" in most and "'many'" in most


def test_landmarks_from_a_csv_need_no_detector(photos, made, tmp_path, monkeypatch):
    monkeypatch.setattr(photographs, "require_detector", lambda: pytest.fail("the detector was asked for"))
    for name in ("a/1.jpg", "b/1.jpg", "b/2.jpg"):
        save(two_colours(100, 100), photos / name)
    file = landmark_csv(tmp_path / "openface.csv", [("a/1.jpg", 90), ("C:\\data\\b\\1.jpg", 80)])
    dataset = made(landmarks=file)
    assert dataset.table["meta_source"].tolist() == ["a/1.jpg", "b/1.jpg"]
    for landmarks, size in zip(dataset.landmarks, (90, 80), strict=True):
        assert landmarks == pytest.approx(face_outline(size), abs=0.01)
    assert list(rows_of(dataset.root / "skipped.csv")) == ["b/2.jpg"]
    landmark_csv(file, [("a/1.jpg", 60)])  # changed landmarks start over
    assert made(landmarks=file).landmarks[0] == pytest.approx(face_outline(60), abs=0.01)


def test_landmarks_whose_y_grows_upwards_are_refused_before_a_manifest_is_written(photos, made, tmp_path):
    save(two_colours(100, 100), photos / "a.jpg")
    file = landmark_csv(tmp_path / "points.csv", [("a.jpg", 90)])
    table = pd.read_csv(file, skipinitialspace=True)
    upwards = {f"y_{k}": 90 - table[f"y_{k}"] for k in range(68)}
    table.assign(**upwards).to_csv(file, index=False)
    with pytest.raises(ValueError, match=r"points.csv: in the median face .* y upwards"):
        made(landmarks=file)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_landmarks_from_a_csv_follow_the_reduced_picture(photos, made, tmp_path, monkeypatch):
    monkeypatch.setattr(face_finding, "MAX_SIDE", 200)
    save(two_colours(1000, 1000), photos / "a.jpg")
    dataset = made(landmarks=landmark_csv(tmp_path / "openface.csv", [("a.jpg", 1000)]))
    expected = (face_outline(1000) + 0.5) / 5 - 0.5  # pixel centres
    assert dataset.landmarks[0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("target", ["out", "nowhere"])  # a link to itself, and one to nothing
def test_an_output_that_is_a_link_to_nothing_is_refused(target, photos, made, seen, tmp_path):
    save(two_colours(), photos / "a.jpg")
    os.symlink(target, tmp_path / "out")
    with pytest.raises(FileExistsError, match="out is a link to nothing"):
        made()


def test_landmarks_outside_their_picture_or_too_small_are_noticed(photos, made, tmp_path):
    sizes = {"a.jpg": 50, "b.jpg": 500, "c.jpg": 1}
    for name in sizes:
        save(two_colours(50, 50), photos / name)
    file = landmark_csv(tmp_path / "openface.csv", list(sizes.items()))
    skipped = rows_of(made(landmarks=file).root / "skipped.csv")
    assert list(skipped) == ["b.jpg", "c.jpg"]
    assert "50 x 50" in skipped["b.jpg"] and "span 0.56 pixels" in skipped["c.jpg"]


def test_without_the_extra_the_error_says_how_to_install_it(photos, made, tmp_path, monkeypatch):
    save(two_colours(), photos / "a.jpg")
    monkeypatch.setattr("aubench.datasets.landmark_detector.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aulib\[faces\]'.*--landmarks FILE"):
        made()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_and_this_process_prepare_the_same(photos, made):
    pytest.importorskip("onnxruntime")
    portrait = pytest.importorskip("skimage.data").astronaut()
    for i in range(4):
        save(Image.fromarray(portrait[:, i * 10 :]), photos / f"{i}.png")
    one, two = made("one", workers=1), made("two", workers=2)
    assert one.version == two.version
    assert read_dataset(two.root).landmarks.shape == (4, 68, 2)
    log = (two.root / ".prepare.jsonl").read_text().splitlines()
    assert len(log) == 5 and json.loads(log[1])["image"].startswith("images/")


def test_only_what_prepare_made_is_removed_from_its_folder(photos, made, seen, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        save(two_colours(), photos / name)
    made()
    mine = tmp_path / "out/images/my_notes.txt"
    mine.write_text("mine")
    (photos / "b.jpg").unlink()
    made()
    assert mine.read_text() == "mine" and sorted(os.listdir(mine.parent)) == ["a.jpg", "my_notes.txt"]
    file = landmark_csv(tmp_path / "faces.csv", [("a.jpg", 100)])
    save(two_colours(), photos / "c.jpg")
    made()
    made(landmarks=file)  # other settings: c has no landmarks now
    assert mine.read_text() == "mine" and sorted(os.listdir(mine.parent)) == ["a.jpg", "my_notes.txt"]


def test_two_processes_do_not_prepare_into_one_folder(photos, made, seen, tmp_path):
    save(two_colours(), photos / "a.jpg")
    with run_lock(tmp_path / "out"), pytest.raises(RunIsHeld, match="out is being written by process"):
        made()
    assert not (tmp_path / "out").exists() and len(made()) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"{n:05d}" for n in range(8)], 8),
        ([f"clip_{n}" for n in range(0, 60, 5)] + ["anna"], 12),
        (["anna", "ben", "carla", "dora", "emil", "1", "2"], 0),
        ([f"IMG_{n}" for n in (1, 7, 20, 21, 90, 300)], 0),
        ([f"a{n}" for n in range(4)], 0),
    ],
)
def test_loose_pictures_numbered_in_a_row_may_be_a_recording(names, expected, photos, made, seen):
    assert len(in_a_row(names)) == expected
    for name in names:
        save(two_colours(), photos / f"{name}.jpg")
    assert ("numbered in a row" in subject_summary(made())) == bool(expected)
    one = made("one", subject="anna")
    assert set(one.subjects) == {"anna"} and len(set(one.splits)) == 1
    assert "warning" not in subject_summary(one)


def test_pictures_of_another_set_stay(photos, made, seen, tmp_path):
    save(two_colours(), photos / "a.jpg")
    first = made()
    (photos / "a.jpg").rename(photos / "b.jpg")
    with pytest.raises(FileExistsError, match="was made of other pictures, as a.jpg; choose another folder"):
        made()
    assert first.image_paths[0].is_file()


def test_files_that_a_table_calls_alike_are_refused(photos, made, seen, tmp_path):
    for name in ("a.jpg", " a.jpg"):
        save(two_colours(), photos / name)
    (tmp_path / "points.csv").write_text("image,x_0,y_0\na.jpg,1,2\n")
    with pytest.raises(ValueError, match="' a.jpg' and 'a.jpg' 'a.jpg'; rename one"):
        made(landmarks=tmp_path / "points.csv")


@pytest.mark.parametrize("name", ["manifest.csv", "skipped.csv", "notes.csv", "images/a.jpg", "images/c.jpg"])
def test_what_the_user_edited_or_put_there_is_not_written_over(name, photos, made, seen, tmp_path):
    for number, stem in enumerate("abc"):
        save(two_colours(100 + number), photos / f"{stem}.jpg")
    (photos / "c.jpg").rename(tmp_path / "c.jpg")
    mine = made().root / name
    mine.write_text("mine")
    save(two_colours(60, 60), photos / "a.jpg")
    (tmp_path / "c.jpg").rename(photos / "c.jpg")
    seen.clear()
    with pytest.raises(FileExistsError, match=f"out/{name} was edited .* or is another file; move it"):
        made()
    assert not seen or name.startswith("images")  # a table is looked at before the work
    assert mine.read_text() == "mine"
    mine.rename(tmp_path / "mine")
    assert made().version == made("anew").version == made().version
    mine.unlink()
    (tmp_path / "mine").rename(mine)
    if name.startswith("images"):
        (photos / mine.name).unlink()
        made()
        assert mine.read_text() == "mine"


def test_a_stored_picture_that_was_replaced_does_not_keep_the_landmarks_of_the_old_one(photos, made, seen):
    for number, stem in enumerate("ab"):
        save(two_colours(100 + number), photos / f"{stem}.jpg")
    images = made().root / "images"
    (images / "a.jpg").write_bytes((images / "b.jpg").read_bytes())  # content that prepare wrote, elsewhere
    with pytest.raises(FileExistsError, match="images/a.jpg was edited"):
        made()


def test_an_edited_picture_without_its_source_is_named_and_stays(photos, made, seen):
    for number, stem in enumerate("ab"):
        save(two_colours(100 + number), photos / f"{stem}.jpg")
    mine = made().root / "images" / "b.jpg"
    mine.write_text("mine")
    (photos / "b.jpg").unlink()
    notes = []
    assert len(made(report=notes.append)) == 1 and mine.read_text() == "mine"
    assert [note for note in notes if "b.jpg was edited and stays" in note]


def test_a_folder_of_an_earlier_version_is_said_to_be_one(photos, made, seen):
    save(two_colours(), photos / "a.jpg")
    root = made().root
    (root / ".written").rename(root / ".manifest_written")
    with pytest.raises(FileExistsError, match="made by an earlier version, which kept another list"):
        made()


class TestAbout:
    """What a table says of the pictures."""

    @pytest.fixture
    def three(self, photos):
        for name in ("a.jpg", "ann/b.png", "c.jpg"):
            save(two_colours(), photos / name)

    def test_columns_are_carried_and_people_named(self, made, seen, three, tmp_path):
        table = tmp_path / "about.csv"
        table.write_text("filename,subject,meta_expression\nann/b,Bea,happy\na.jpg,,neutral\n")
        found = made(about=table).table.set_index("meta_source")
        assert found["subject"].to_dict() == {"a.jpg": "a", "ann/b.png": "Bea", "c.jpg": "c"}
        assert found["meta_expression"].fillna("").to_dict() == {
            "a.jpg": "neutral", "ann/b.png": "happy", "c.jpg": "",
        }  # fmt: skip

    def test_a_picture_whose_name_is_not_utf_8_is_one_that_no_row_names(self, photos, made, seen, three):
        (photos / "c.jpg").rename(photos / os.fsdecode(b"\xff.jpg"))
        found = made(about=pd.DataFrame({"image": ["a.jpg"], "meta_x": ["1"]})).table["meta_x"]
        assert found.notna().tolist() == [True, False, False]

    def test_missing_people_go_by_folders(self, made, seen, three, tmp_path):
        table = tmp_path / "about.csv"
        table.write_text("image,subject\na.jpg,NA\nc.jpg,#N/A\nann/b.png,nan\n")
        assert sorted(made(about=table).subjects) == ["a", "ann", "c"]

    def test_a_folder_may_be_called_as_a_missing_cell_is(self, photos, made, seen):
        for name in ("None/a.jpg", "None/b.jpg", "ann/a.jpg"):
            save(two_colours(), photos / name)
        assert sorted(made().subjects) == ["ann", "unnamed None", "unnamed None"]

    def test_a_person_given_twice_is_refused(self, made, seen, three, tmp_path):
        table = tmp_path / "about.csv"
        table.write_text("image,subject,meta_x\na.jpg,,1\nc.jpg,Bea,2\n")
        with pytest.raises(ValueError, match="--subject is 'ann', and .*about.csv names people, too"):
            made(about=table, subject="ann")
        assert not (tmp_path / "out").exists()
        table.write_text("image,subject,meta_x\na.jpg,,1\nc.jpg,,2\n")
        assert set(made(about=table, subject="ann").subjects) == {"ann"}

    def test_one_person_in_two_folders_and_spellings_is_in_one_split(self, photos, made, seen):
        for number in range(12):
            save(two_colours(), photos / f"{number}/x.jpg")
        spellings = ["jos\u00e9/1", "jose\u0301/1", "./jos\u00e9/1", " jos\u00e9\\1 "]
        about = pd.DataFrame({"image": [f"{n}/x.jpg" for n in range(4)], "subject": spellings})
        found = made(about=about).table
        assert found.loc[found["image"].isin([f"images/{n}/x.jpg" for n in range(4)]), "split"].nunique() == 1
        assert made("again", subject=spellings[2]).subjects.tolist() == ["jos\u00e9/1"] * 12
        for blank in (" ", "NA"):
            with pytest.raises(ValueError, match="subject is blank"):
                made("third", subject=blank)

    def test_names_that_fit_no_picture_are_told(self, made, seen, three, tmp_path):
        told = []
        about = pd.DataFrame({"image": ["a.jpg", "C.jpg", "z.jpg"], "meta_x": ["1", "2", "3"]})
        made(about=about, report=told.append)
        file = landmark_csv(tmp_path / "faces.csv", [("a.jpg", 60), ("z.jpg", 60)])
        made("again", landmarks=file, report=told.append)
        assert told == [
            "the table: 2 names fit no picture, such as 'C.jpg': no such picture; 'c.jpg' is there, in other "
            "capitals",
            f"{file}: 1 names fit no picture, such as 'z.jpg': no such picture",
        ]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (
                "image,expression\na.jpg,happy\n",
                "has column expression, expected image, subject and .* meta_",
            ),
            ("subject,meta_expression\nann,happy\n", "has no column image, filename"),
            ("image,meta_age\nz.jpg,3\n", "1 names fit no picture, such as 'z.jpg': no such picture"),
            ("image,meta_age\nC.jpg,3\n", "no such picture; 'c.jpg' is there, in other capitals"),
            ("image,meta_age\n", " has no row"),
            ("image,meta_age\na.jpg,2\n,3\n", "line 3: image is empty"),
            ("image,meta_source\na.jpg,web\n", "has column meta_source"),
            ("image,meta_my-own\na.jpg,web\n", "has column meta_my-own"),
            ("image,meta_age\na.jpg,3\na.jpg,4\n", "'a.jpg' occurs twice"),
            ("image,meta_age\na.jpg,3,4\n", "line 2"),
        ],
    )
    def test_another_table_is_refused(self, made, seen, three, tmp_path, content, said):
        (tmp_path / "about.csv").write_text(content)
        with pytest.raises(ValueError, match=f"about.csv.*{said}"):
            made(about=tmp_path / "about.csv")
