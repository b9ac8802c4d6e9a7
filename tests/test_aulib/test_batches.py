"""Batches as a function of (seed, step), and warps that move picture and landmarks together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aulib import distributed
from aulib.batches import (
    Draws,
    affine_grid,
    batch_rows,
    centre_crop,
    change_light,
    disturb,
    take_batch,
    warp,
    with_landmarks,
)
from aulib.images import luminance
from aulib.landmarks import LAYOUT_68, move_to_au_centres, to_49
from conftest import face_outline
from tiny import MARGIN, SIZE, tiny_faces

BIG, BIG_OUT = 120, 96  # sizes at which a dot can be found again to a fraction of a pixel


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn_dots(landmarks: torch.Tensor, size: int) -> torch.Tensor:
    """(K, 2) -> (K, 3, size, size): one soft dot in a picture of its own per landmark."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    distance = (x - landmarks[:, 0, None, None]) ** 2 + (y - landmarks[:, 1, None, None]) ** 2
    return torch.exp(-distance / (2 * 2.0**2))[:, None].expand(-1, 3, -1, -1).contiguous()


def found_dots(image: torch.Tensor) -> torch.Tensor:
    """(K, 3, H, H) -> (K, 2): centres of mass."""
    mass = image[:, 0] / image[:, 0].sum((1, 2), keepdim=True)
    pixel = torch.arange(image.shape[-1]).float()
    return torch.stack([(mass.sum(1) * pixel).sum(1), (mass.sum(2) * pixel).sum(1)], 1)


def test_affine_grid_equals_torch_s():
    theta = torch.randn(3, 2, 3, generator=generator())
    expected = torch.nn.functional.affine_grid(theta, [3, 1, 7, 7], align_corners=False)
    torch.testing.assert_close(affine_grid(theta, 7), expected)


class TestBatchRows:
    @pytest.mark.parametrize(("num_faces", "batch_size"), [(12, 4), (10, 4), (3, 8), (7, 7)])
    def test_every_face_comes_once_per_epoch(self, num_faces, batch_size):
        epochs = 4
        steps = -(-epochs * num_faces // batch_size)
        rows = np.concatenate([batch_rows(num_faces, batch_size, 5, step) for step in range(steps)])
        for epoch in range(epochs):
            of_epoch = rows[epoch * num_faces : (epoch + 1) * num_faces]
            assert sorted(of_epoch) == list(range(num_faces))

    def test_order_changes_with_the_epoch_and_the_seed_only(self):
        first = batch_rows(20, 20, 0, 0)
        assert (batch_rows(20, 20, 0, 0) == first).all()
        assert (batch_rows(20, 20, 0, 1) != first).any()
        assert (batch_rows(20, 20, 1, 0) != first).any()


class TestTakeBatch:
    def take(self, faces=None, seed=0, step=0, augment="slight"):
        return take_batch(faces or tiny_faces(), SIZE, 5, seed, step, augment)

    def test_is_a_function_of_seed_and_step(self):
        batch = self.take(seed=1, step=3)
        torch.manual_seed(99)  # the global generator has no say
        np.random.seed(99)
        again = self.take(seed=1, step=3)
        assert batch.keys() == again.keys()
        assert all(torch.equal(batch[name].nan_to_num(), again[name].nan_to_num()) for name in batch)
        for seed, step in ((1, 4), (2, 3), (3, 1)):
            assert not torch.equal(self.take(seed=seed, step=step)["image"], batch["image"])

    @pytest.mark.parametrize("augment", ["none", "crop-flip"])
    def test_grey_pictures_are_the_luminance_of_the_coloured_ones(self, augment):
        coloured = self.take(augment=augment)
        grey = take_batch(tiny_faces(), SIZE, 5, 0, 0, augment, grey=True)
        torch.testing.assert_close(grey["image"], luminance(coloured["image"]))
        assert torch.equal(grey["landmarks"], coloured["landmarks"])

    def test_labelled_batch_has_the_documented_shapes_and_ranges(self):
        batch = self.take()
        assert set(batch) == {"image", "landmarks", "occurrence"}
        assert batch["image"].shape == (5, 3, SIZE, SIZE) and batch["landmarks"].shape == (5, 68, 2)
        assert batch["image"].min() >= 0 and batch["image"].max() <= 1
        assert set(batch["occurrence"].nan_to_num(0.5).unique().tolist()) <= {0.0, 0.5, 1.0}

    def test_unlabelled_batch_has_no_occurrence_key(self):
        batch = self.take(tiny_faces().without_labels())
        assert set(batch) == {"image", "landmarks"}

    def test_picture_landmarks_and_labels_of_a_row_belong_to_one_face(self):
        faces = tiny_faces()
        rows = np.array([2, 3, 5, 7, 11])  # a split
        for index, value in enumerate(range(12)):
            faces.images[index] = 20 * value
            faces.landmarks[index] = value
            faces.occurrence[index] = value
        batch = self.take(replace(faces, rows=rows), augment="none")
        value = batch["occurrence"][:, 0]
        assert sorted(value.tolist()) == rows.tolist()
        torch.testing.assert_close(batch["image"].mean((1, 2, 3)) * 255, 20 * value)
        torch.testing.assert_close(batch["landmarks"][:, 0, 0] + (MARGIN - SIZE) / 2, value)


class TestWarp:
    def test_none_is_the_centre_crop_of_the_test_time(self):
        faces = tiny_faces(3)
        image = torch.from_numpy(faces.images).permute(0, 3, 1, 2).float() / 255
        landmarks = torch.from_numpy(faces.landmarks)
        warped, moved = warp(image, landmarks, SIZE, "none", Draws((0,), 3))
        cropped, expected = centre_crop(faces.images, faces.landmarks, SIZE)
        torch.testing.assert_close(warped, cropped, atol=1e-4, rtol=0)
        torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)

    def test_centre_crop_worked_by_hand(self):
        images = np.zeros((1, 10, 10, 3), dtype=np.uint8)
        images[0, 2, 3] = 255
        cropped, landmarks = centre_crop(images, np.array([[[3.0, 2.0]]]), 6)
        assert cropped.shape == (1, 3, 6, 6) and cropped[0, :, 0, 1].tolist() == [1, 1, 1]
        assert cropped.sum() == 3 and landmarks.tolist() == [[[1, 0]]]

    @pytest.mark.parametrize("augment", ["none", "crop-flip", "slight"])
    def test_a_dot_drawn_at_a_landmark_is_found_at_its_moved_landmark(self, augment):
        # picture k shows landmark k alone but carries all 68, so that a mirrored one renames them
        points = torch.from_numpy(face_outline(BIG // 2)).float() + BIG / 4  # far enough from the border
        dots = drawn_dots(points, BIG)
        warped, moved = warp(dots, points.expand(68, -1, -1), BIG_OUT, augment, Draws((3,), 68))
        pictures, partner = torch.arange(68), torch.tensor(LAYOUT_68.flip_index)
        found = found_dots(warped)
        kept = (found - moved[pictures, pictures]).norm(dim=1) < 0.5
        renamed = (found - moved[pictures, partner]).norm(dim=1) < 0.5
        assert (kept | renamed).all()
        of_a_pair = partner != pictures  # the midline keeps its names
        share = (renamed & ~kept)[of_a_pair].float().mean()
        assert share == 0 if augment == "none" else 0.25 < share < 0.75

    def test_mirror_worked_by_hand(self):
        # 12 px cut to 12 px: no margin, so crop-flip only mirrors; x -> 11 - x, eye corner 36 <-> 45
        points = torch.zeros(8, 68, 2)
        points[:, 36], points[:, 45] = torch.tensor([2.0, 5.0]), torch.tensor([7.0, 4.0])
        image = torch.rand(8, 3, 12, 12, generator=generator())
        warped, moved = warp(image, points, 12, "crop-flip", Draws((0,), 8))
        seen = set()
        for face in range(8):
            mirrored = moved[face, 36].tolist() != [2, 5]
            seen.add(mirrored)
            expected = ([11 - 7, 4], [11 - 2, 5]) if mirrored else ([2, 5], [7, 4])
            assert moved[face, 36].tolist() == pytest.approx(expected[0], abs=1e-4)
            assert moved[face, 45].tolist() == pytest.approx(expected[1], abs=1e-4)
            picture = image[face].flip(-1) if mirrored else image[face]
            torch.testing.assert_close(warped[face], picture, atol=1e-4, rtol=0)
        assert seen == {True, False}

    def test_crop_flip_cuts_whole_pixels_all_over_the_margin(self):
        image = torch.rand(1, 3, MARGIN, MARGIN, generator=generator()).expand(200, -1, -1, -1)
        points = torch.zeros(200, 68, 2)
        warped, moved = warp(image, points, SIZE, "crop-flip", Draws((1,), 200))
        upright = moved[:, 0, 0] < 1  # mirrored ones have x at the other end
        offsets = -moved[upright, 0]
        assert (offsets - offsets.round()).abs().max() < 1e-4
        assert offsets.round().unique(dim=0).shape[0] > 30
        assert offsets.min() > -0.01 and offsets.max() < MARGIN - SIZE + 0.01
        for face in range(3):
            x, y = offsets[face].round().int().tolist()
            cut = image[0, :, y : y + SIZE, x : x + SIZE]
            torch.testing.assert_close(warped[upright][face], cut, atol=1e-4, rtol=0)

    def test_slight_turns_and_scales_within_what_is_documented(self):
        points = torch.zeros(300, 68, 2)
        points[:, 27] = torch.tensor([0.0, 10.0])  # 8 and 27 lie on the midline: no renaming
        _, moved = warp(torch.zeros(300, 3, 16, 16), points, 16, "slight", Draws((0,), 300))
        arrow = (moved[:, 27] - moved[:, 8]) / 10
        scale, angle = arrow.norm(dim=1), torch.atan2(arrow[:, 0], arrow[:, 1]).rad2deg()
        assert 0.9499 <= scale.min() < 0.955 and 1.045 < scale.max() <= 1.0501
        assert 3.8 < angle.abs().max() < 4.02 and angle.min() < 0 < angle.max()

    def test_unknown_landmarks_stay_unknown_and_change_no_other(self):
        points = torch.from_numpy(face_outline(MARGIN)).float().expand(4, -1, -1).clone()
        whole = points.clone()
        points[1] = float("nan")
        image = torch.rand(4, 3, MARGIN, MARGIN)
        _, moved = warp(image, points, SIZE, "slight", Draws((0,), 4))
        _, expected = warp(image, whole, SIZE, "slight", Draws((0,), 4))
        assert moved[1].isnan().all()
        torch.testing.assert_close(moved[[0, 2, 3]], expected[[0, 2, 3]])

    def test_unknown_augmentation_is_refused(self):
        with pytest.raises(ValueError, match="'mild'.*none, crop-flip or slight"):
            warp(torch.zeros(1, 3, 8, 8), torch.zeros(1, 68, 2), 8, "mild", Draws((0,), 1))


def test_luminance_weighs_red_green_and_blue_and_leaves_grey():
    primaries = torch.eye(3)[:, :, None, None]  # a red, a green and a blue picture of one pixel
    torch.testing.assert_close(luminance(primaries).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    grey = torch.rand(2, 1, 4, 4)
    assert luminance(grey) is grey


class TestChangeLight:
    def test_noise_of_a_grey_picture_is_that_of_the_luminance_of_a_coloured_one(self):
        def noise(image: torch.Tensor) -> torch.Tensor:
            lit = luminance(change_light(image, Draws((0,), 64)))
            return (lit[..., 1:] - lit[..., :-1]).std((1, 2, 3))  # light and slant differ little next door

        grey, coloured = (noise(torch.full((64, channels, 64, 64), 0.5)) for channels in (1, 3))
        torch.testing.assert_close(grey, coloured, rtol=0.1, atol=2e-4)


class TestDisturb:
    def test_changes_each_face_in_its_own_way_and_stays_a_picture(self):
        image = torch.rand(1, 1, 48, 48, generator=generator(1)).expand(6, -1, -1, -1)
        changed = disturb(image, Draws((0,), 6))
        assert changed.shape == image.shape and 0 <= changed.min() and changed.max() <= 1
        differences = [(one - other).abs().mean() for i, one in enumerate(changed) for other in changed[:i]]
        assert min(differences) > 0.01
        assert torch.equal(changed, disturb(image, Draws((0,), 6)))

    def test_a_process_s_share_is_its_rows_of_the_whole(self, monkeypatch):
        image = torch.rand(4, 1, 32, 32, generator=generator(1))
        whole = disturb(image, Draws((0,), 4))
        monkeypatch.setattr(distributed, "share_of", lambda batch: slice(2, 4))
        part = disturb(image[2:], Draws((0,), 4))
        torch.testing.assert_close(part, whole[2:])

    def test_nothing_moves(self):
        # a bright dot on black: noise and the box aside, light and blur leave it where it was
        image = torch.zeros(32, 1, 33, 33)
        image[..., 14:19, 14:19] = 0.8
        mean = disturb(image, Draws((0,), 32)).mean((0, 1))
        assert mean[14:19, 14:19].mean() > 2 * mean[:9].mean()
        for axis in (0, 1):
            profile = mean.mean(axis)
            assert abs(int(profile.argmax()) - 16) <= 2


class TestWithLandmarks:
    def test_au_centres_move_a_copy(self):
        landmarks = np.stack([face_outline(100)] * 2)
        before = landmarks.copy()
        moved = with_landmarks(landmarks, 49, True)
        assert (landmarks == before).all()
        assert (moved == move_to_au_centres(to_49(before))).all() and (moved != to_49(before)).any()

    def test_sixty_eight_cannot_be_made_of_forty_nine(self):
        with pytest.raises(ValueError, match="has 49 landmarks, the model needs 68"):
            with_landmarks(np.zeros((1, 49, 2)), 68, False)


class TestFingerprint:
    def test_fingerprint_differs_between_sets_of_faces(self):
        faces = tiny_faces()
        others = [
            tiny_faces(seed=1),
            replace(faces, rows=faces.rows[:-1]),
            faces.without_labels(),
            replace(faces, occurrence=1 - faces.occurrence),
        ]
        assert tiny_faces().fingerprint() == faces.fingerprint()
        assert len({value.fingerprint() for value in [faces, *others]}) == 5
