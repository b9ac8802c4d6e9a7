"""Where an AU changes the visible surface of a rendered face: ground truth for attention maps.

The same face is built with and without the AU. The displacement of each vertex and the depth of the AU's
folds are projected onto the picture through the triangles in front. So a region follows the pose and excludes
what the head itself hides. It leaves out shadows cast by an AU and ignores glasses or hands before the face.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import maximum_filter

from aufaces import painting
from aufaces.actions import AUS, Expression
from aufaces.domains import domain_called, sample_face
from aufaces.heads import SKIN
from aufaces.renderer import Face, FaceRenderer, rotation
from aufaces.sets import VERSIONS

SHARE_OF_PEAK = 0.25  # a region holds all pixels that change at least this share of the largest change
FOLD_REACH = 7  # pixels of the chart: folds are dilated so that none falls between triangles
BEHIND = -0.75  # dm: skin farther back carries no folds
RENDERED = 32  # side of the pictures made only for their vertices
OVERSAMPLING = 2


class SurfaceMotion:
    """How much each AU changes the surface under every pixel of a crop. Holds a small renderer.

    Args:
        picture_size: side of the stored pictures, pixels.
    """

    def __init__(self, picture_size: int):
        self.picture_size = picture_size
        self.renderer = FaceRenderer(RENDERED, samples=1)
        head = self.renderer.head
        self._centres = head.vertices[head.triangles].mean(1)  # (T, 3)
        self._folds: dict[str, np.ndarray] = {}
        self._skin = (head.part[head.triangles] == SKIN).all(1) & (self._centres[:, 2] > BEHIND)

    def __call__(self, face: Face, aus: list[str], matrix: np.ndarray, size: int) -> np.ndarray:
        """Change between intensity 0 and 5 of each AU, all else equal.

        Args:
            matrix: (2, 3) from pixels of the stored picture to pixels of the crop.  size: side of the crop.

        Returns:
            (A, size, size) in [0, 1]: the larger of displacement and depth of folds, each relative to its
            maximum in the picture; 0 outside the head.

        Raises:
            ValueError: an AU that is not rendered.
        """
        if unknown := [au for au in aus if au not in AUS]:
            raise ValueError(f"no rendered face has {unknown}; choose from {', '.join(AUS)}")
        rendering = self.renderer.render_one(face)
        points = self.to_crop(rendering.project(rendering.vertices), matrix)
        depth = (rendering.vertices @ rotation(face.shot.yaw, face.shot.pitch, face.shot.roll).T)[:, 2]
        triangles = self.renderer.head.triangles
        front = front_triangles(points, depth, triangles, size)
        changed = np.zeros((len(aus), size, size), np.float32)
        for row, au in enumerate(aus):
            without, with_it = (
                self.renderer.render_one(
                    replace(face, expression=with_au(face.expression, au, level))
                ).vertices
                for level in (0.0, 5.0)
            )
            distance = np.linalg.norm(with_it - without, axis=1)[triangles].mean(1)
            for strength in (distance, self.fold_depth(au)):
                seen = np.where(front >= 0, strength[front], 0.0)
                seen = seen.reshape(size, OVERSAMPLING, size, OVERSAMPLING).mean((1, 3))
                changed[row] = np.maximum(changed[row], seen / max(seen.max(), 1e-9))
        return changed

    def fold_depth(self, au: str) -> np.ndarray:
        """(T,) darkening by the AU's folds at each triangle of the skin, at full depth."""
        if au in self._folds:
            return self._folds[au]
        chart = maximum_filter(sum(painting.fold_relief(au, side)[..., 2] for side in (1, -1)), FOLD_REACH)
        column = (self._centres[:, 0] - painting.PAINT_LEFT) * painting.PAINT_SCALE
        row = (painting.PAINT_TOP - self._centres[:, 1]) * painting.PAINT_SCALE
        row = row.round().astype(int).clip(0, len(chart) - 1)
        column = column.round().astype(int).clip(0, chart.shape[1] - 1)
        self._folds[au] = chart[row, column] * self._skin
        return self._folds[au]

    def to_crop(self, points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """(V, 2) pixels of the small rendering -> pixels of the crop."""
        stored = (points + 0.5) * (self.picture_size / RENDERED) - 0.5
        return stored @ matrix[:, :2].T + matrix[:, 2]


def with_au(expression: Expression, au: str, level: float) -> Expression:
    """The expression with one AU at `level` on both sides, all others as they are."""
    place = AUS.index(au)

    def put(levels: tuple[float, ...]) -> tuple[float, ...]:
        return (*levels[:place], level, *levels[place + 1 :])

    return replace(expression, left=put(expression.left), right=put(expression.right))


def front_triangles(points: np.ndarray, depth: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """The triangle in front at each sample of a picture (painter's algorithm).

    Args:
        points: (V, 2) pixels.  depth: (V,) larger is nearer.  triangles: (T, 3).

    Returns:
        (size * OVERSAMPLING, size * OVERSAMPLING) int, row of `triangles`, -1 where there is none.
    """
    side = size * OVERSAMPLING
    canvas = Image.new("I", (side, side), -1)
    draw = ImageDraw.Draw(canvas)
    corners = ((points + 0.5) * OVERSAMPLING - 0.5)[triangles]  # (T, 3, 2)
    inside = ((corners.max(1) > -1) & (corners.min(1) < side)).all(1)
    nearest_last = np.argsort(depth[triangles].mean(1), kind="stable")
    for index in nearest_last[inside[nearest_last]]:
        draw.polygon(corners[index].ravel().tolist(), fill=int(index))
    return np.asarray(canvas)


def region(changed: np.ndarray, share: float = SHARE_OF_PEAK) -> np.ndarray:
    """(..., S, S) changes -> (..., S, S) bool: at least `share` of the picture's maximum."""
    peak = changed.max((-2, -1), keepdims=True)
    return (changed >= share * peak) & (peak > 0)


def rendered_faces(root: Path, images: list[str]) -> list[Face]:
    """The parameters of pictures of a rendered set, named as in the manifest's column `image`.

    Raises:
        ValueError: the folder is no rendered set, or one of another version of the renderer.
    """
    about_file = root / "set.json"
    if not about_file.is_file():
        raise ValueError(f"{root} is not a rendered set: set.json is missing")
    about = json.loads(about_file.read_text())
    domain = domain_called(about["domain"])
    if about.get("version") != (version := VERSIONS[domain.name]):
        raise ValueError(f"{root} was rendered by version {about.get('version')}; expected {version}")
    indices = [int(name.removeprefix("images/").removesuffix(".jpg")) for name in images]
    return [sample_face(domain, about["seed"], index, about["n"]).face for index in indices]
