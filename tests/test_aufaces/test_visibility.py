"""The rasteriser against a slow loop over samples and triangles; normals against a hand value."""

import numpy as np
import warp as wp

from aufaces.visibility import Normals, rasterise


def nearest_triangles(screen, triangles, side, offsets):
    """(samples, side, side) index of the triangle facing the viewer that is nearest, -1 for none; slow."""
    found = np.full((len(offsets), side, side), -1)
    for sub, row, column in np.ndindex(found.shape):
        point = np.array([column + offsets[sub][0], row + offsets[sub][1]])
        best = 0.0
        for k, corners in enumerate(screen[triangles]):
            system = np.vstack([corners[:, :2].T, np.ones(3)])
            if np.linalg.det(system) >= 0:  # seen from behind: rows run downwards
                continue
            weights = np.linalg.solve(system, [*point, 1])
            if weights.min() >= 0 and weights @ corners[:, 2] > best:
                best, found[sub, row, column] = weights @ corners[:, 2], k
    return found


def test_every_sample_has_the_nearest_triangle_in_any_drawing_order():
    rng = np.random.default_rng(0)
    screen = np.column_stack([rng.uniform(-3, 15, (60, 2)), rng.uniform(0.05, 2, 60)]).astype(np.float32)
    triangles = np.arange(60).reshape(20, 3).astype(np.int32)
    expected = nearest_triangles(screen.astype(float), triangles, 12, [(-0.25, -0.25), (0.25, 0.25)])
    assert len(np.unique(expected)) > 6  # several are seen, some pixels are empty
    for order in (np.arange(20), rng.permutation(20)):
        nearest = wp.zeros((2, 12, 12), dtype=wp.uint64, device="cpu")
        inputs = [wp.array(screen, dtype=wp.vec3, device="cpu"), wp.array(triangles[order], device="cpu"), 1]
        wp.launch(rasterise, dim=20, inputs=inputs, outputs=[nearest], device="cpu")
        key = nearest.numpy()
        seen = np.where(key == 0, -1, order[(key & np.uint64(0xFFFFFFFF)).astype(int) - 1])
        assert np.array_equal(seen, expected)


def test_a_vertex_normal_is_the_area_weighted_mean_of_its_faces():
    points = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)  # normals (0, 0, 4) and (2, 0, 0), twice the areas
    normals = Normals(triangles, 4, "cpu")(wp.array(points, dtype=wp.vec3, device="cpu")).numpy()
    shared = np.array([2, 0, 4]) / np.sqrt(20)
    np.testing.assert_allclose(normals, [shared, [0, 0, 1], shared, [1, 0, 0]], atol=1e-6)
