"""What the closed-form separation promises: nothing linear is left, and G gets the shape's part back."""

import pytest
import torch

from aulib.erasure import (
    SHAPE_PARAMETERS,
    Erasure,
    RunningCovariances,
    covariance,
    expected_points,
    orthonormal,
    ridge,
)
from tiny import AUS

K, A, C, SIDE, FACES = 68, len(AUS), 4, 6, 400


def points(faces: int = FACES, seed: int = 0) -> torch.Tensor:
    """Landmarks that vary in place, size and one mode of their own, (M, K, 2)."""
    rng = torch.Generator().manual_seed(seed)
    mean, mode = 0.5 * torch.randn(2, K, 2, generator=torch.Generator().manual_seed(9))
    place, size, own = (torch.randn(faces, 1, n, generator=rng) for n in (2, 1, 1))
    return mean * (1 + 0.1 * size) + 0.1 * place + 0.1 * own * mode


def maps(where: torch.Tensor) -> torch.Tensor:
    """(B, K, 2) in [-1, 1] -> S (B, K, h, w) whose mean positions they are."""
    grid = torch.linspace(-1, 1, SIDE)
    x, y = ((-((grid - one[..., None]) ** 2) * 8).softmax(-1) for one in where.unbind(-1))
    return y[..., :, None] * x[..., None, :]


@pytest.fixture
def learned():
    """A fitted erasure, and the batch it has seen: S, T(F), which depends linearly on both, and AUs."""
    rng = torch.Generator().manual_seed(1)
    erasure = Erasure(K, A, C, SIDE)
    erasure.fit_points(points())
    shape = maps(points(seed=2).clamp(-0.9, 0.9))
    aus = (torch.rand(FACES, A, generator=rng) < 0.4).float()
    of_shape, of_aus = (torch.randn(n, C * SIDE * SIDE, generator=rng) for n in (SHAPE_PARAMETERS, A))
    texture = erasure.parameters_of(shape) @ of_shape + aus @ of_aus
    texture = texture + 0.3 * torch.randn(texture.shape, generator=rng) + 2
    texture = texture.view(FACES, C, SIDE, SIDE)
    running = RunningCovariances(erasure)
    running.update(shape, texture, aus)
    running.renew()
    return erasure, shape, texture, aus


def test_expected_points_worked_by_hand():
    shape = torch.zeros(1, 2, 3, 5)
    shape[0, 0, 0, 4] = 1  # first row, last column
    shape[0, 1, 1, 2] = shape[0, 1, 2, 3] = 0.5
    expected = torch.tensor([[1.0, -1.0], [0.25, 0.5]])
    torch.testing.assert_close(expected_points(shape)[0], expected)


def test_the_axes_are_orthonormal_and_the_first_four_are_place_size_and_roll():
    erasure = Erasure(K, A, C, SIDE)
    erasure.fit_points(points())
    used = erasure.axes[:, erasure.axes.any(0)]
    torch.testing.assert_close(used.T @ used, torch.eye(used.shape[1]), atol=1e-4, rtol=0)
    mean = erasure.mean_points.view(K, 2)
    turned = mean @ torch.tensor([[1.0, 0.01], [-0.01, 1.0]])  # to first order
    for moved in (mean + torch.tensor([0.2, -0.1]), 1.3 * mean, turned):
        change = (moved - mean).flatten()
        pose = erasure.axes[:, :4]
        torch.testing.assert_close(pose @ (pose.T @ change), change, atol=1e-4, rtol=0)


def test_texture_covaries_neither_with_the_shape_nor_with_aus(learned):
    erasure, shape, texture, aus = learned
    left = erasure.erase(texture, shape).flatten(1)
    codes = erasure.parameters_of(shape)
    for known, most in ((codes, 0.05), (aus, 1e-3)):  # the ridge leaves a little of the shape
        before, after = (covariance(known, one).norm() for one in (texture.flatten(1), left))
        assert after < most * before


def test_little_else_is_lost(learned):
    erasure, shape, texture, _ = learned
    left = erasure.erase(texture, shape).flatten(1)
    noise_left = left.var(0).mean() / 0.09
    assert 0.8 < noise_left < 1.1
    torch.testing.assert_close(left.mean(), texture.mean(), atol=0.02, rtol=0)


def test_what_is_expected_of_a_shape_is_what_its_erasure_took(learned):
    erasure, shape, texture, _ = learned
    other = texture.flip(0)
    taken = (texture - erasure.erase(texture, shape)) - (other - erasure.erase(other, shape))
    back = erasure.erase(texture, shape) + erasure.expected(shape)
    directions = erasure.au_directions.flatten(1)
    for difference in (taken, texture - back):  # they differ along the AUs' directions only
        flat = difference.flatten(1)
        torch.testing.assert_close(flat @ directions.T @ directions, flat, atol=1e-3, rtol=0)


def test_an_au_or_a_landmark_that_never_varies_does_no_harm():
    erasure = Erasure(K, A, C, SIDE)
    erasure.fit_points(points(1))
    shape, texture = maps(points(1).expand(8, -1, -1)), torch.randn(8, C, SIDE, SIDE)
    running = RunningCovariances(erasure)
    running.update(shape, texture, torch.zeros(8, A))
    running.renew()
    assert erasure.erase(texture, shape).isfinite().all()
    assert not erasure.texture_of_shape.any() and not erasure.au_directions.any()


@pytest.mark.parametrize("second", ["never occurs", "equals the first", "is always there"])
def test_an_au_that_tells_nothing_new_erases_nothing_more(learned, second):
    erasure, shape, texture, aus = learned
    others = {"never occurs": 0, "equals the first": aus[:, :1], "is always there": 1}[second]
    running = RunningCovariances(erasure)
    running.update(shape, texture, torch.cat([aus[:, :1], others + 0 * aus[:, 1:]], 1))
    running.renew()
    lengths = erasure.au_directions.flatten(1).norm(dim=1).sort().values
    torch.testing.assert_close(lengths, torch.tensor([0.0] * (A - 1) + [1.0]), atol=1e-5, rtol=0)


def test_orthonormal_rows_span_what_the_rows_span():
    rows = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    rows = torch.cat([rows, rows[:1] - 3 * rows[2:3], torch.zeros(1, 50)])
    found = orthonormal(rows)
    kept = found[found.any(1)]
    assert len(kept) == 4
    torch.testing.assert_close(kept @ kept.T, torch.eye(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(rows @ kept.T @ kept, rows, atol=1e-4, rtol=0)


def test_gradient_reaches_the_texture_and_not_the_shape(learned):
    erasure, shape, texture, _ = learned
    texture, shape = texture[:2].clone().requires_grad_(), shape[:2].clone().requires_grad_()
    erasure.erase(texture, shape).square().sum().backward()
    assert texture.grad.any() and shape.grad is None


def test_ridge_worked_by_hand():
    predictors = torch.diag(torch.tensor([4.0, 0.0]))  # the second never varies
    found = ridge(predictors, torch.tensor([[8.0], [0.0]]))
    torch.testing.assert_close(found, torch.tensor([[8 / (4 * 1.02)], [0.0]]))


def test_a_window_of_batches_forgets_the_first(learned):
    erasure, shape, texture, aus = learned
    running = RunningCovariances(erasure)
    running.update(shape, 5 * texture, aus)
    first = running.values["shape_texture"].clone()
    for _ in range(300):
        running.update(shape, texture, aus)
    torch.testing.assert_close(running.values["shape_texture"], first / 5, atol=0.05, rtol=0.05)
    left = (running.values["shape_texture"] - first / 5).norm() / first.norm()
    assert left < 1e-3  # of the plain mean of 301 batches it would be 4 / 301 / 5
