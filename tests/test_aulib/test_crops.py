"""The similarity transform against hand values, the warp against SciPy, and the stored crops."""

import errno
import os
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

import aulib.crops as cropping
from aulib.crops import ADLD_CROP, JAANET_CROP, CropSpec, crop_dataset, crop_face, crop_matrix
from aulib.dataset import read_dataset, write_manifest
from aulib.landmarks import LAYOUT_49, LAYOUT_68, to_49
from conftest import face_outline


def face_of_five(right_eye, left_eye, nose, right_mouth, left_mouth, layout=LAYOUT_68):
    """Landmarks where only the five places that the crop reads are set (all others are at 0, 0)."""
    face = np.zeros((layout.num_landmarks, 2))
    face[list(layout.right_eye)], face[list(layout.left_eye)] = right_eye, left_eye
    face[layout.nose_tip] = nose
    face[list(layout.mouth_corners)] = right_mouth, left_mouth
    return face


UPRIGHT = ((100, 100), (140, 100), (120, 120), (105, 150), (135, 150))


def test_an_upright_face_by_hand():
    # Box of the five points: x 100-140, y 100-150, so centre (120, 125) and longer side 50.
    # half = .5 * 2.8 * 50 = 70; scale = 63.5 / 70; the centre goes to (63.5, 63.5).
    matrix = crop_matrix(face_of_five(*UPRIGHT), CropSpec(size=128, box_enlarge=2.8))
    scale = 63.5 / 70
    assert matrix == pytest.approx(
        np.array([[scale, 0, 63.5 - 120 * scale], [0, scale, 63.5 - 125 * scale]]), abs=1e-9
    )


def test_the_crop_of_adld_is_reproduced():  # its face_transform.m written out: rotate, box, 200 pixels
    face = face_outline(300) @ np.array([[0.96, 0.28], [-0.28, 0.96]]) + (40, 25)
    points = to_49(face)
    eyes = points[19:25].mean(0), points[25:31].mean(0)
    angle = np.arctan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0])
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    rotated = points @ rotation.T
    x, y = np.array([rotated[19:25].mean(0), rotated[25:31].mean(0), *rotated[[13, 31, 37]]]).T
    centre = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    half = 0.5 * 2.8 * max(x.max() - x.min(), y.max() - y.min())
    expected = (rotated - centre) * ((200 - 1) / 2 / half) + (200 - 1) / 2
    for landmarks, kept in ((face, to_49), (points, lambda same: same)):
        matrix = crop_matrix(landmarks, CropSpec(size=200, box_enlarge=2.8))
        assert kept(landmarks @ matrix[:, :2].T + matrix[:, 2]) == pytest.approx(expected)


def test_adlds_and_jaanets_crops_of_a_turned_face_by_hand():
    # The eye line goes (60, 80), so cos = .6, sin = .8; turned level, the five points are (140, -20),
    # (240, -20), (190, 40), (150, 80), (230, 80): box 100 x 100 around (190, 30), half = 1.4 * 100,
    # scale = 99.5 / 140.
    face = face_of_five((100, 100), (160, 180), (82, 176), (26, 168), (74, 232), layout=LAYOUT_49)
    corners = face[
        [LAYOUT_49.right_eye[0], LAYOUT_49.left_eye[0], LAYOUT_49.nose_tip, *LAYOUT_49.mouth_corners]
    ]
    by_hand = [(63.964, 63.964), (135.036, 63.964), (99.5, 106.607), (71.071, 135.036), (127.929, 135.036)]
    matrix = crop_matrix(face, ADLD_CROP)
    assert corners @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(np.array(by_hand), abs=1e-3)
    # JAA-Net: half = 1.45 * 100, scale = 99.5 / 145, so the eyes are 50 * .686 = 34.310 from the middle.
    matrix = crop_matrix(face, JAANET_CROP)
    assert matrix[:, :2] @ (100, 100) + matrix[:, 2] == pytest.approx((65.190, 65.190), abs=1e-3)


def hand_face(side):
    """49 points, level eyes; the box of eyes, nose and mouth is `side` wide and high around (60, 40)."""
    points = np.full((49, 2), (60.0, 40.0))
    points[19:25], points[25:31] = (60 - side / 2, 40 - side / 2), (60 + side / 2, 40 - side / 2)
    points[31], points[37] = (60 - side / 4, 40 + side / 2), (60 + side / 4, 40 + side / 2)
    return points


def test_pixels_of_adlds_crop_by_hand():
    """box 40: half = 0.5 * 2.8 * 40 = 56, scale = 199 / 2 / 56; pixel (c, r) of the crop shows the picture at
    60 + (c - 99.5) * 112 / 199, 40 + (r - 99.5) * 112 / 199, bilinear; grey 128 outside."""
    column, row = np.meshgrid(np.arange(130), np.arange(110))
    pixels = np.stack([column, row, np.where(column < 60, 0, 200)], axis=-1).astype(np.uint8)
    matrix = crop_matrix(hand_face(40), ADLD_CROP)
    crop = crop_face(Image.fromarray(pixels), matrix, ADLD_CROP).astype(int)
    # (0, 99): x = 60 - 56 = 4, y = 40 - 0.5 * 112 / 199 = 39.72
    assert abs(crop[99, 0] - (4, 39.72, 0)).max() <= 1
    # (199, 120): x = 116, y = 40 + 20.5 * 112 / 199 = 51.54
    assert abs(crop[120, 199] - (116, 51.54, 200)).max() <= 1
    # (99, 99): x = 59.72 lies between columns 59 (0) and 60 (200): 0.72 * 200 = 143.7
    assert abs(crop[99, 99] - (59.72, 39.72, 143.7)).max() <= 1
    # (50, 0): y = 40 - 56 = -16, above the picture
    assert crop[0, 50].tolist() == [128, 128, 128]


@pytest.mark.parametrize("spec", [ADLD_CROP, JAANET_CROP])
def test_their_crops_sample_a_large_picture_without_averaging(spec):
    pixels = np.random.default_rng(0).integers(
        0, 256, (900, 900, 3), dtype=np.uint8
    )  # noise: averaging would grey it
    picture = Image.fromarray(pixels)
    matrix = crop_matrix(face_outline(900), spec)
    assert 1 / np.hypot(*matrix[:, 0]) > 2  # shrinks
    expected, inside = warp_with_scipy(picture, matrix, spec.size)
    sampled = crop_face(picture, matrix, spec)
    assert np.abs(sampled - expected)[inside].max() < 3
    assert crop_face(picture, matrix, CropSpec(spec.size)).std() < 0.7 * sampled.std()


def test_the_crop_does_not_depend_on_where_how_large_and_how_turned_the_face_is():
    face = face_outline(100)
    angle = np.deg2rad(33)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = 2.7 * face @ rotation + (70, -20)
    for spec in (CropSpec(112), CropSpec(176, 2.9)):
        matrices = crop_matrix(face, spec), crop_matrix(turned, spec)
        first, second = (p @ m[:, :2].T + m[:, 2] for p, m in zip((face, turned), matrices, strict=True))
        assert first == pytest.approx(second, abs=1e-6)


def test_landmarks_that_give_no_direction_are_refused():
    with pytest.raises(ValueError, match="both eye centres"):
        crop_matrix(face_of_five((5, 5), (5, 5), *UPRIGHT[2:]))
    with pytest.raises(ValueError, match="missing"):
        crop_matrix(np.full((68, 2), np.nan))


def smooth_picture(height, width, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def warp_with_scipy(picture, matrix, size):
    """Bilinear sampling at the inverse of `matrix`, mid grey outside: an independent slow version."""
    rows, columns = np.mgrid[:size, :size]
    crop_points = np.stack([columns - matrix[0, 2], rows - matrix[1, 2]]).reshape(2, -1)
    x, y = np.linalg.inv(matrix[:, :2]) @ crop_points
    channels = np.asarray(picture, dtype=float).transpose(2, 0, 1)
    warped = [map_coordinates(channel, [y, x], order=1, cval=128).reshape(size, size) for channel in channels]
    far_inside = (x > 1) & (x < picture.width - 2) & (y > 1) & (y < picture.height - 2)
    return np.stack(warped, axis=-1), far_inside.reshape(size, size)


@pytest.mark.parametrize("picture_size, tolerance", [(150, 0.5), (300, 1.0), (900, 1.0)])
def test_crops_agree_with_scipy(picture_size, tolerance):
    """The larger pictures shrink by more than 2, where the crop averages and bilinear sampling does not."""
    picture = smooth_picture(picture_size, picture_size)
    matrix = crop_matrix(face_outline(picture_size), CropSpec(96))
    expected, inside = warp_with_scipy(picture, matrix, 96)
    difference = np.abs(crop_face(picture, matrix, CropSpec(96)) - expected)[inside]
    assert inside.mean() > 0.5
    assert difference.mean() < tolerance
    assert difference.max() < 6 * tolerance


@pytest.mark.parametrize("picture_size", [100, 800])
def test_a_mark_at_a_landmark_is_found_there_in_the_crop(picture_size):
    """Half a pixel of shift between image and landmarks would show here, reduced or not."""
    spec = CropSpec(96)
    face = face_outline(picture_size)
    matrix = crop_matrix(face, spec)
    rows, columns = np.mgrid[:picture_size, :picture_size]
    nose = face[LAYOUT_68.nose_tip]
    width = picture_size / 30
    spot = 255 * np.exp(-((columns - nose[0]) ** 2 + (rows - nose[1]) ** 2) / (2 * width**2))
    picture = Image.fromarray(np.repeat(spot.astype(np.uint8)[..., None], 3, axis=2))
    crop = crop_face(picture, matrix, spec)[..., 0].astype(float)
    crop[crop == 128] = 0  # outside of the picture
    rows, columns = np.mgrid[: spec.size, : spec.size]
    found = (columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum()
    assert found == pytest.approx(matrix[:, :2] @ nose + matrix[:, 2], abs=0.15)


def test_crops_of_a_set_hold_the_faces_and_their_landmarks(tiny_set):
    dataset = read_dataset(tiny_set)
    crops = crop_dataset(dataset, CropSpec(48), progress=False)
    assert crops.images.shape == (len(dataset), 48, 48, 3) and crops.images.dtype == np.uint8
    assert crops.landmarks.dtype == crops.matrices.dtype == np.float32
    for row in (0, 7, len(dataset) - 1):
        matrix = crop_matrix(dataset.landmarks[row], CropSpec(48))
        assert crops.matrices[row] == pytest.approx(matrix, abs=1e-4)
        expected = dataset.landmarks[row] @ matrix[:, :2].T + matrix[:, 2]
        assert crops.landmarks[row] == pytest.approx(expected, abs=1e-3)
        with Image.open(dataset.image_paths[row]) as picture:
            assert (crops.images[row] == crop_face(picture, matrix, CropSpec(48))).all()


def test_crops_are_made_once_and_are_read_only(tiny_set):
    dataset = read_dataset(tiny_set)
    first = crop_dataset(dataset, CropSpec(48), progress=False)
    made = (first.folder / "images.npy").stat().st_mtime_ns
    second = crop_dataset(dataset, CropSpec(48), progress=False)
    assert second.folder == first.folder
    assert (second.folder / "images.npy").stat().st_mtime_ns == made
    with pytest.raises(ValueError, match="read-only"):
        second.images[0] = 0


@pytest.mark.parametrize("name", ["images", "landmarks", "matrices"])
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: b"\0" * len(data)])
def test_damaged_crops_are_named_and_made_anew(name, damage, tiny_set):
    dataset = read_dataset(tiny_set)
    before = crop_dataset(dataset, CropSpec(48), progress=False)
    images, file = before.images.copy(), before.folder / f"{name}.npy"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.warns(UserWarning, match=f"{before.folder} are damaged and made anew"):
        again = crop_dataset(dataset, CropSpec(48), progress=False)
    assert np.array_equal(again.images, images) and np.array_equal(again.landmarks, before.landmarks)


def changed(change, dataset):
    """The dataset after one of the changes below."""
    if change == "an image":
        path = dataset.image_paths[2]
        Image.new("RGB", (64, 64)).save(path)
    elif change == "a time":
        os.utime(dataset.image_paths[2], (time.time() + 5, time.time() + 5))
    elif change == "a landmark":
        table = dataset.table.copy()
        table.loc[2, "x_30"] += 1
        write_manifest(dataset.root, table)
    elif change == "a label":
        table = dataset.table.copy()
        table.loc[2, "AU06_c"] = 1 - table.loc[2, "AU06_c"]
        write_manifest(dataset.root, table)
    return read_dataset(dataset.root)


@pytest.mark.parametrize("change", ["an image", "a time", "a landmark"])
def test_changed_images_or_landmarks_are_cropped_again(tiny_set, change):
    dataset = read_dataset(tiny_set)
    before = crop_dataset(dataset, CropSpec(48), progress=False)
    after = crop_dataset(changed(change, dataset), CropSpec(48), progress=False)
    assert after.folder != before.folder


def test_another_spec_or_code_version_crops_again(tiny_set, monkeypatch):
    dataset = read_dataset(tiny_set)
    folders = {
        crop_dataset(dataset, spec, progress=False).folder for spec in (CropSpec(48), CropSpec(48, 2.9))
    }
    monkeypatch.setattr(cropping, "CODE_VERSION", cropping.CODE_VERSION + 1)
    folders.add(crop_dataset(dataset, CropSpec(48), progress=False).folder)
    assert len(folders) == 3


def test_changed_labels_keep_the_crops(tiny_set):
    dataset = read_dataset(tiny_set)
    before = crop_dataset(dataset, CropSpec(48), progress=False)
    relabelled = changed("a label", dataset)
    assert relabelled.version != dataset.version
    assert crop_dataset(relabelled, CropSpec(48), progress=False).folder == before.folder


def test_an_interrupted_call_leaves_no_crops(tiny_set, monkeypatch):
    dataset = read_dataset(tiny_set)
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return crop_face(*args)

    monkeypatch.setattr(cropping, "crop_face", interrupted)
    with pytest.raises(KeyboardInterrupt):
        crop_dataset(dataset, CropSpec(48), workers=1, progress=False)
    assert list((tiny_set / ".crops").iterdir()) == []
    monkeypatch.undo()
    assert len(crop_dataset(dataset, CropSpec(48), progress=False).images) == len(dataset)


def test_partial_crops_of_a_killed_process_are_removed_after_a_day(tiny_set):
    old, recent = (tiny_set / ".crops" / f".{name}.part" for name in ("old", "recent"))
    for partial in (old, recent):
        partial.mkdir(parents=True)
        (partial / "images.npy").touch()
    os.utime(old, (time.time() - 200_000,) * 2)
    crop_dataset(read_dataset(tiny_set), CropSpec(48), progress=False)
    assert not old.exists()
    assert recent.exists()  # may be another process at work


def test_crops_another_process_finished_first_are_taken(tiny_set, monkeypatch):
    dataset = read_dataset(tiny_set)
    make = cropping._make_crops

    def late(*args):
        monkeypatch.setattr(cropping, "_make_crops", make)
        crop_dataset(dataset, CropSpec(48), progress=False)  # the other process
        make(*args)

    monkeypatch.setattr(cropping, "_make_crops", late)
    crops = crop_dataset(dataset, CropSpec(48), progress=False)
    assert [path.name for path in (tiny_set / ".crops").iterdir()] == [crops.folder.name]


def test_a_read_only_set_keeps_its_crops_in_the_users_cache(tiny_set, tmp_path, monkeypatch):
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
    (tiny_set / ".crops").touch()  # a file there: no folder can be made, even by root
    crops = crop_dataset(read_dataset(tiny_set), CropSpec(48), progress=False)
    assert crops.folder.parent == tmp_path / "cache" / "crops"
    assert crops.images.shape[1] == 48


def test_rows_without_landmarks_are_refused_with_their_row(tiny_set):
    dataset = read_dataset(tiny_set)
    table = dataset.table.copy()
    table.loc[4, [column for column in table.columns if column[:2] in ("x_", "y_")]] = np.nan
    write_manifest(tiny_set, table)
    with pytest.raises(ValueError, match=r"1 of 24 rows have no landmarks.* 6 \(images/004.png\)"):
        crop_dataset(read_dataset(tiny_set), progress=False)


def test_a_set_without_landmark_columns_is_refused(tiny_set):
    columns = pd.read_csv(tiny_set / "manifest.csv").filter(["image", "subject", "split"])
    write_manifest(tiny_set, columns.astype(str))
    with pytest.raises(ValueError, match="no landmark columns"):
        crop_dataset(read_dataset(tiny_set), progress=False)


def test_unreadable_pictures_and_landmarks_outside_are_named_with_their_rows(tiny_set):
    dataset = read_dataset(tiny_set)
    dataset.image_paths[3].write_bytes(b"no picture")
    Image.new("RGB", (16, 16)).save(dataset.image_paths[9])  # its landmarks are for 64 pixels
    with pytest.raises(ValueError) as caught:
        crop_dataset(dataset, CropSpec(48), progress=False)
    assert "row 5: images/003.png: cannot identify" in str(caught.value)
    assert "row 11: images/009.png: landmarks span" in str(caught.value)
    assert list((tiny_set / ".crops").iterdir()) == []


def test_a_full_disk_is_refused_before_writing(tiny_set, monkeypatch):
    class FullDisk:
        free = 1000

    monkeypatch.setattr(cropping.shutil, "disk_usage", lambda folder: FullDisk)
    with pytest.raises(OSError, match="24 crops need"):
        crop_dataset(read_dataset(tiny_set), CropSpec(48), progress=False)


def test_a_disk_that_another_process_fills_is_told_and_leaves_nothing(tiny_set, monkeypatch):
    """Writing to a memory map without room behind it would kill the process."""

    def no_room(file, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(OSError, match="No space left on device; make room and repeat"):
        crop_dataset(read_dataset(tiny_set), CropSpec(48), progress=False)
    assert not list((tiny_set / ".crops").iterdir())
