"""Closed-form separation: what is linear in shape and AUs leaves the texture; G gives the shape's part back.

ADLD frees T of the shape by an adversary [A]. `separation="erasure"` [C] does the linear part in closed form,
so that no linear reader finds it (concept erasure: Ravfogel et al. 2020; Belrose et al. 2023), in two steps:

1. shape: T(F) minus its ridge regression on the shape parameters of S, cell by cell. G adds what the
   regression expects of the shape that it is given.
2. AUs: the directions in which the rest covaries with the source's AU labels are projected out.

The shape parameters are those of a point distribution model (Cootes et al. 1995) of the training landmarks.
"""

import torch
from torch import Tensor, nn

from aulib import distributed

SHAPE_PARAMETERS = 24  # pose (4) and the largest modes of the landmarks
MOMENTUM = 0.02  # of the running covariances: a window of some fifty batches, since E and T change
RANK = 1e-5  # of the longest of several directions: what is shorter is rounding
RIDGE = 0.02  # on the correlations of the shape parameters


class Erasure(nn.Module):
    """The regression and the directions in use; all buffers, made by `RunningCovariances` in training.

    Args:
        num_landmarks: K.  num_aus: A.  channels, side: of a texture (C, h, w), h = w = side.
    """

    def __init__(self, num_landmarks: int, num_aus: int, channels: int, side: int):
        super().__init__()
        size = (channels, side, side)
        self.register_buffer("mean_points", torch.zeros(2 * num_landmarks))
        self.register_buffer("axes", torch.zeros(2 * num_landmarks, SHAPE_PARAMETERS))
        self.register_buffer("shape_mean", torch.zeros(SHAPE_PARAMETERS))
        self.register_buffer("texture_of_shape", torch.zeros(SHAPE_PARAMETERS, *size))
        self.register_buffer("au_directions", torch.zeros(num_aus, *size))  # orthonormal, or 0
        self.register_buffer("au_means", torch.zeros(num_aus))  # of the rest along the directions

    def fit_points(self, landmarks: Tensor) -> None:
        """Fit the point distribution model: four axes of pose, then the principal modes of what is left.

        Args:
            landmarks: (M, K, 2) of the training faces in [-1, 1] (see `expected_points`), without NaN.
        """
        mean = landmarks.mean(0)
        x, y = (mean - mean.mean(0)).unbind(-1)
        one, zero = torch.ones_like(x), torch.zeros_like(x)
        pose = [torch.stack(pair, -1).flatten() for pair in ((one, zero), (zero, one), (x, y), (-y, x))]
        pose = torch.linalg.qr(torch.stack(pose, 1)).Q  # (2K, 4)
        rest = (landmarks - mean).flatten(1)
        rest = rest - rest @ pose @ pose.T
        _, size, modes = torch.linalg.svd(rest, full_matrices=False)
        modes = modes[size > 1e-4 * size[0]]  # few faces have few modes; axes without one stay 0
        axes = torch.cat([pose, modes.T], 1)[:, :SHAPE_PARAMETERS]
        self.mean_points.copy_(mean.flatten())
        self.axes[:, : axes.shape[1]] = axes

    def parameters_of(self, shape: Tensor) -> Tensor:
        """S (B, K, h, w) -> shape parameters (B, SHAPE_PARAMETERS); no gradient."""
        points = expected_points(shape.detach().float()).flatten(1)
        return (points - self.mean_points) @ self.axes

    def expected(self, shape: Tensor) -> Tensor:
        """S (B, K, h, w) -> what the regression expects of its texture, less the mean, (B, C, h, w)."""
        return torch.tensordot(self.parameters_of(shape) - self.shape_mean, self.texture_of_shape, 1)

    def erase(self, texture: Tensor, shape: Tensor) -> Tensor:
        """T(F) (B, C, h, w) and S (B, K, h, w) -> Z."""
        rest = texture - self.expected(shape).to(texture.dtype)
        directions = self.au_directions.flatten(1)
        along = rest.flatten(1).float() @ directions.T - self.au_means
        return rest - (along @ directions).view_as(rest).to(rest.dtype)


def expected_points(shape: Tensor) -> Tensor:
    """S (B, K, h, w) -> mean position of each map (B, K, 2), x then y, -1 to 1 from first to last cell."""
    xs = torch.linspace(-1, 1, shape.shape[3], device=shape.device, dtype=shape.dtype)
    ys = torch.linspace(-1, 1, shape.shape[2], device=shape.device, dtype=shape.dtype)
    return torch.stack([(shape.sum(2) * xs).sum(-1), (shape.sum(3) * ys).sum(-1)], -1)


class RunningCovariances:
    """Running covariances (within a batch) of shape parameters, AU labels and texture, and their erasure.

    Not part of the model: a run's checkpoint holds them, a finished model needs the erasure alone.
    momentum: weight of a new batch; 0 for the plain mean of all batches.
    """

    def __init__(self, erasure: Erasure, momentum: float = MOMENTUM):
        self.erasure, self.momentum, self.values = erasure, momentum, {"batches": 0}

    @torch.no_grad()
    def update(self, shape: Tensor, texture: Tensor, occurrence: Tensor) -> None:
        """Add a batch; `renew` makes the erasure of what was added.

        Args:
            shape: S (B, K, h, w).  texture: T(F) (B, C, h, w) before erasure.
            occurrence: (B_s, A) AU labels of the first B_s faces, the source's, without NaN.
        """
        shapes, texture = self.erasure.parameters_of(shape), texture.float().flatten(1)
        source = slice(len(occurrence))
        new = {
            "shape_mean": shapes.mean(0), "texture_mean": texture.mean(0),
            "shape_shape": covariance(shapes, shapes), "shape_texture": covariance(shapes, texture),
            "au_shape": covariance(occurrence, shapes[source]),
            "au_texture": covariance(occurrence, texture[source]),
        }  # fmt: skip
        self.values["batches"] += 1
        share = max(self.momentum, 1 / float(self.values["batches"]))
        for name, value in new.items():
            value = distributed.mean(value)
            self.values[name] = self.values.get(name, value).lerp(value, share)

    @torch.no_grad()
    def renew(self) -> None:
        """Solve for the regression and the directions, and put them into the model's erasure."""
        erasure, v = self.erasure, self.values
        texture_of_shape = ridge(v["shape_shape"], v["shape_texture"])
        rest = v["au_texture"] - v["au_shape"] @ texture_of_shape
        directions = orthonormal(rest)  # (A, C * h * w)
        erasure.shape_mean.copy_(v["shape_mean"])
        erasure.texture_of_shape.copy_(texture_of_shape.view_as(erasure.texture_of_shape))
        erasure.au_directions.copy_(directions.view_as(erasure.au_directions))
        erasure.au_means.copy_(directions @ v["texture_mean"])


def orthonormal(rows: Tensor) -> Tensor:
    """(A, N) -> (A, N) orthonormal rows of the same span; as many are 0 as rows are 0 or depend on others."""
    exact = rows.double()  # squares of small rows would drown in float32
    square, turned = torch.linalg.eigh(exact @ exact.T)
    kept = square > RANK**2 * square[-1].clamp(min=1e-30)
    return (turned * torch.where(kept, square, 1.0).rsqrt() * kept).to(rows.dtype).T @ rows


def covariance(first: Tensor, second: Tensor) -> Tensor:
    """(B, P), (B, N) -> (P, N) within the batch."""
    return (first - first.mean(0)).T @ (second - second.mean(0)) / max(1, len(first) - 1)


def ridge(predictors: Tensor, with_targets: Tensor) -> Tensor:
    """Coefficients (P, N) from the covariance of the predictors (P, P) and theirs with the targets (P, N).

    The penalty is RIDGE times each predictor's variance. A predictor that does not vary gets coefficients 0.
    """
    scale = predictors.diagonal().clamp(min=1e-8).sqrt()[:, None]
    penalty = RIDGE * torch.eye(len(predictors), device=predictors.device)
    return torch.linalg.solve(predictors / scale / scale.T + penalty, with_targets / scale) / scale
