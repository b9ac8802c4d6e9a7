"""Ground truth regions agree with the stored pictures and with the AUs."""

import numpy as np
import pytest

from aufaces.actions import AUS, Expression
from aufaces.moved_regions import (
    OVERSAMPLING,
    SurfaceMotion,
    front_triangles,
    region,
    rendered_faces,
    with_au,
)  # fmt: skip
from aufaces.people import Person
from aufaces.renderer import Face, FaceRenderer, Shot
from aufaces.sets import generate_set
from aulib.dataset import read_dataset
from conftest import write_tiny_set

SIZE = 64
AS_STORED = np.array([[1.0, 0, 0], [0, 1, 0]])


@pytest.fixture(scope="module")
def motion():
    return SurfaceMotion(SIZE)


@pytest.fixture(scope="module")
def frontal(motion):
    """Every AU's displacement on one frontal face, and its 68 landmarks."""
    face = Face(Person(), Expression(), Shot())
    rendering = motion.renderer.render_one(face)
    return motion(face, list(AUS), AS_STORED, SIZE), motion.to_crop(rendering.landmarks, AS_STORED)


def test_the_nearer_triangle_is_in_front():
    points = np.array([[0, 0], [8, 0], [0, 8], [1, 1], [4, 1], [1, 4]], float)
    triangles = np.array([[3, 4, 5], [0, 1, 2]])  # the small one first, so that only depth can decide
    depth = np.array([0, 0, 0, 1, 1, 1], float)
    front = front_triangles(points, depth, triangles, 9)
    assert front[2 * OVERSAMPLING, 2 * OVERSAMPLING] == 0
    assert front[0, 6 * OVERSAMPLING] == 1
    assert front[-1, -1] == -1
    assert front_triangles(points, -depth, triangles, 9)[2 * OVERSAMPLING, 2 * OVERSAMPLING] == 1


def test_the_region_is_a_share_of_the_peak():
    moved = np.array([[0.0, 0.5], [0.2, 1.0]])
    assert region(moved, 0.25).tolist() == [[False, True], [False, True]]
    assert not region(np.zeros((2, 2))).any()


def test_one_au_is_set_and_the_others_are_kept():
    changed = with_au(Expression.of(AU12=3, AU06=2), "AU12", 0.0)
    assert changed == Expression.of(AU06=2)


@pytest.mark.parametrize(
    "au, inside, outside",
    [
        ("AU01", [20, 23], [8, 48, 54, 57]),
        ("AU02", [18, 25], [27, 8, 48]),
        ("AU12", [48, 54], [19, 24, 37, 44]),
        ("AU26", [57, 8], [19, 24, 27, 37]),
        ("AU05", [37, 44], [48, 54, 8]),
    ],
)
def test_a_region_covers_what_the_au_moves_and_not_the_rest(frontal, au, inside, outside):
    moved, landmarks = frontal
    mask = region(moved[AUS.index(au)])
    columns, rows = landmarks.round().astype(int).T
    near = [mask[rows[k] - 1 : rows[k] + 2, columns[k] - 1 : columns[k] + 2].any() for k in inside + outside]
    assert near == [True] * len(inside) + [False] * len(outside)


def test_regions_of_a_frontal_face_are_as_symmetric_as_its_aus(frontal):
    moved, _ = frontal
    mirrored = moved[:, :, ::-1]
    assert np.corrcoef(moved.ravel(), mirrored.ravel())[0, 1] > 0.95


def test_a_region_follows_the_head_and_leaves_the_background(motion):
    face = Face(Person(), Expression(), Shot(yaw=0.5, shift=(0.1, 0.0)))
    seen = FaceRenderer(SIZE, samples=1).render_one(face).rgba[..., 3] > 0
    moved = motion(face, ["AU12", "AU26"], AS_STORED, SIZE)
    assert (moved[:, ~seen] > 0.02 * moved.max()).mean() < 0.02  # the border's own pixels may differ
    assert moved[:, seen].max() == moved.max() > 0


def test_a_region_is_in_pixels_of_the_crop(motion):
    face, zoomed = Face(Person(), Expression(), Shot()), np.array([[2.0, 0, -32], [0, 2.0, -40]])
    whole, cut = motion(face, ["AU12"], AS_STORED, SIZE)[0], motion(face, ["AU12"], zoomed, SIZE)[0]
    y, x = np.unravel_index(whole.argmax(), whole.shape)
    y2, x2 = np.unravel_index(cut.argmax(), cut.shape)
    assert np.hypot(2 * x - 32 - x2, 2 * y - 40 - y2) < 6


def test_only_a_rendered_set_has_regions(tmp_path, motion):
    data = read_dataset(write_tiny_set(tmp_path / "noise"))
    with pytest.raises(ValueError, match="not a rendered set"):
        rendered_faces(data.root, list(data.table["image"][:2]))
    with pytest.raises(ValueError, match="AU45"):
        motion(Face(Person(), Expression(), Shot()), ["AU45"], AS_STORED, SIZE)


@pytest.mark.slow
def test_the_parameters_of_a_stored_picture_are_recovered(motion, tmp_path):
    folder = generate_set("wild", n=4, seed=5, size=96, out=tmp_path / "wild", workers=1, progress=False)
    data = read_dataset(folder)
    rows = np.array([0, 3])
    for row, face in zip(
        rows, rendered_faces(data.root, data.table["image"].iloc[rows].tolist()), strict=True
    ):
        landmarks = SurfaceMotion(96).to_crop(motion.renderer.render_one(face).landmarks, AS_STORED)
        np.testing.assert_allclose(landmarks, data.landmarks[row], atol=0.01)
