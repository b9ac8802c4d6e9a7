"""From face parameters to pixels and landmarks.

A `Face` is a person (people.Person), an expression (actions.Expression) and a `Shot`. The
renderer keeps one head mesh and its ray-casting tree, moves the vertices, and casts.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import warp as wp

from aulib.synthetic import actions, appearance, painting, shading
from aulib.synthetic.heads import EYE_LEFT, EYE_RIGHT, Head, load_head
from aulib.synthetic.landmark_vertices import landmark_table
from aulib.synthetic.people import Person
from aulib.synthetic.storage import cache_root

EYE_RADIUS = 0.143


@dataclass(frozen=True)
class Shot:
    """Where the camera and the lights are.

    yaw, pitch, roll: head rotation in radians (yaw > 0 turns to the subject's left, pitch > 0 nods down,
    roll > 0 tilts towards the subject's left shoulder). zoom: face height (2.0 dm) as a share of the
    picture. shift: (x, y) of the face centre from the picture's centre, as shares of its side. distance:
    camera distance in decimetres. Directions are in the camera frame (x right, y up, z towards the camera);
    colours are linear RGB.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    zoom: float = 0.66
    shift: tuple[float, float] = (0.0, 0.0)
    distance: float = 14.0
    key_direction: tuple[float, float, float] = (-0.45, 0.55, 0.7)
    key: tuple[float, float, float] = (0.78, 0.75, 0.71)
    fill_direction: tuple[float, float, float] = (0.6, 0.15, 0.75)
    fill: tuple[float, float, float] = (0.26, 0.27, 0.29)
    rim_direction: tuple[float, float, float] = (0.5, 0.5, -0.7)
    rim: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sky: tuple[float, float, float] = (0.26, 0.27, 0.29)
    ground: tuple[float, float, float] = (0.15, 0.14, 0.13)
    shadow: float = 0.45


@dataclass(frozen=True)
class Face:
    """One picture's parameters."""

    person: Person
    expression: actions.Expression
    shot: Shot


@dataclass(frozen=True)
class Rendering:
    """rgba (H, W, 4) float32, colour in [0, 1] display values (not multiplied by alpha); landmarks (68, 2)
    pixels (the centre of pixel (0, 0) is (0, 0)); vertices (V, 3) head frame; `project` maps (M, 3) points
    of the head frame to (M, 2) pixels; eye_centres (2, 3) left, right; pixels_per_dm at the middle of the
    head."""

    rgba: np.ndarray
    landmarks: np.ndarray
    vertices: np.ndarray
    project: Callable[[np.ndarray], np.ndarray]
    eye_centres: np.ndarray
    pixels_per_dm: float


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """(3, 3) head frame -> camera frame: pitch first, then yaw, then roll."""
    cy, sy, cp, sn, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sn], [0, sn, cp]])
    tilt = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return tilt @ turn @ nod


class FaceRenderer:
    """Renders faces at one size. Holds the mesh, its tree, and the paint of recently seen people.

    Args:
        size: side of the square picture, pixels.
        samples: rays per pixel.
        device: "cpu" or "cuda"; bytes are reproducible on "cpu".
    """

    def __init__(self, size: int = 112, samples: int = 2, device: str = "cpu", people_kept: int = 64):
        if size < 16:
            raise ValueError(f"size must be at least 16 pixels, found {size}")
        wp.config.kernel_cache_dir = str(cache_root() / "warp")
        wp.init()
        self.size, self.samples, self.device, self.people_kept = size, samples, device, people_kept
        self.head: Head = load_head()
        self.looks = appearance.Wardrobe(self.head, device)
        self.actions = actions.ActionShapes(self.head)
        self.people: OrderedDict = OrderedDict()
        head = self.head
        corners = head.triangles.ravel()
        faces = np.repeat(np.arange(len(head.triangles)), 3)
        self._faces_to_vertices = sp.csr_matrix(
            (np.ones(len(corners), np.float32), (corners, faces)), (len(head.vertices), len(head.triangles))
        )
        self._landmark_rows, self._landmark_weights = landmark_table(head)
        self._on = dict(device=device)
        self._points = wp.array(head.vertices, dtype=wp.vec3, **self._on)
        self._mesh = wp.Mesh(
            self._points,
            wp.array(head.triangles.ravel(), dtype=int, **self._on),
            bvh_leaf_size=4,  # a tenth faster than the default here; hits do not depend on it
        )
        self._triangles = wp.array(head.triangles, dtype=int, **self._on)
        self._canonical = wp.array(head.vertices, dtype=wp.vec3, **self._on)
        self._part = wp.array(head.part, dtype=int, **self._on)
        self._image = wp.zeros((size, size), dtype=wp.vec4, **self._on)

    def render(self, faces: list[Face]) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (B, S, S, 3) uint8 on mid grey and landmarks (B, 68, 2) float32 pixels."""
        shots = [self.render_one(face) for face in faces]
        images = [composite(shot.rgba, np.full(3, 0.5, np.float32)) for shot in shots]
        return np.stack(images), np.stack([shot.landmarks for shot in shots])

    def render_one(self, face: Face) -> Rendering:
        look = self._look(face.person)
        vertices = look.vertices + self.actions.displacement(face.expression)
        colour_paint, relief_paint = look.paint(face.expression)
        return self._cast(face, look, vertices, colour_paint, relief_paint)

    def _look(self, person: Person) -> appearance.Look:
        if person not in self.people:
            self.people[person] = self.looks.dress(person)
            while len(self.people) > self.people_kept:
                self.people.popitem(last=False)
        self.people.move_to_end(person)
        return self.people[person]

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """(V, 3) unit vertex normals, the area-weighted mean of the adjacent faces'."""
        a, b, c = (vertices[self.head.triangles[:, k]] for k in range(3))
        u, v = b - a, c - a
        cross = u[:, [1, 2, 0]] * v[:, [2, 0, 1]] - u[:, [2, 0, 1]] * v[:, [1, 2, 0]]
        summed = self._faces_to_vertices @ cross.astype(np.float32)
        return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9)

    def _cast(self, face, look, vertices, colour_paint, relief_paint) -> Rendering:
        shot, size = face.shot, self.size
        turn = rotation(shot.yaw, shot.pitch, shot.roll)
        focal = shot.zoom * size * shot.distance / 2.0  # pixels: 2 dm of face fill `zoom` of the picture
        middle = (size - 1) / 2
        centre_head = np.array([0.0, -0.28, -0.1])  # turns about a point inside the head

        def project(points: np.ndarray) -> np.ndarray:
            seen = (points - centre_head) @ turn.T
            depth = shot.distance - seen[:, 2]
            x = middle + shot.shift[0] * size + focal * seen[:, 0] / depth
            y = middle + shot.shift[1] * size - focal * seen[:, 1] / depth
            return np.stack([x, y], 1)

        def to_head(direction) -> wp.vec3:
            direction = np.asarray(direction, float) @ turn
            return wp.vec3(*(direction / max(np.linalg.norm(direction), 1e-9)))

        s = shading.Scene()
        s.eye = wp.vec3(*(np.array([0, 0, shot.distance]) @ turn + centre_head))
        s.right = wp.vec3(*(np.array([1 / focal, 0, 0]) @ turn))
        s.down = wp.vec3(*(np.array([0, -1 / focal, 0]) @ turn))
        offset = np.array([-shot.shift[0] * size / focal, shot.shift[1] * size / focal, -1.0])
        s.forward = wp.vec3(*(offset @ turn))
        for light in ("key", "fill", "rim"):
            setattr(s, light, wp.vec3(*getattr(shot, light)))
            setattr(s, f"{light}_direction", to_head(getattr(shot, f"{light}_direction")))
        s.sky, s.ground, s.up = wp.vec3(*shot.sky), wp.vec3(*shot.ground), to_head((0, 1, 0.35))
        s.shadow = shot.shadow
        person = face.person
        s.gloss = person.gloss
        for name in ("skin", "lips", "hair", "cloth", "iris", "teeth"):
            setattr(s, name, wp.vec3(*getattr(person, name)))
        s.pupil, s.iris_size, s.strands = person.pupil, person.iris_size, person.strands
        gaze_left, gaze_right = face.expression.gaze_vectors()
        s.gaze_left, s.gaze_right = wp.vec3(*gaze_left), wp.vec3(*gaze_right)
        eyes = np.stack([vertices[self.head.part == part].mean(0) for part in (EYE_LEFT, EYE_RIGHT)])
        s.centre_left, s.centre_right = wp.vec3(*eyes[0]), wp.vec3(*eyes[1])
        s.eye_radius = EYE_RADIUS
        s.mouth_front = float(vertices[self.looks.lip_front, 2].mean())
        s.side, s.samples, s.stride = size, self.samples, max(1, round(0.38 * self.samples))
        s.paint_left, s.paint_top, s.paint_scale = (
            painting.PAINT_LEFT,
            painting.PAINT_TOP,
            painting.PAINT_SCALE,
        )

        self._points.assign(vertices.astype(np.float32))
        self._mesh.refit()
        on = self._on
        wp.launch(
            shading.cast,
            dim=(size, size),
            inputs=[
                self._mesh.id,
                s,
                self._triangles,
                wp.array(self.normals(vertices), dtype=wp.vec3, **on),
                self._canonical,
                look.marks,
                look.marks2,
                self._part,
                wp.array(colour_paint, dtype=wp.vec3, **on),
                wp.array(relief_paint, dtype=wp.vec3, **on),
            ],
            outputs=[self._image],
            device=self.device,
        )
        linear = self._image.numpy()
        alpha = linear[..., 3:]
        colour = linear[..., :3] / np.maximum(alpha, 1e-6)
        rgba = np.concatenate([tone_map(colour), alpha], -1).astype(np.float32)
        points = (vertices[self._landmark_rows] * self._landmark_weights[..., None]).sum(1)
        return Rendering(
            rgba, project(points).astype(np.float32), vertices, project, eyes, focal / shot.distance
        )


def tone_map(linear: np.ndarray) -> np.ndarray:
    """Linear light to display values in [0, 1], with a soft shoulder so that highlights keep their hue."""
    soft = np.where(linear > 0.7, 0.7 + 0.3 * (1 - np.exp(-(linear - 0.7) / 0.3)), linear)
    return np.clip(soft, 0, 1) ** (1 / 2.2)


def composite(rgba: np.ndarray, background: np.ndarray) -> np.ndarray:
    """uint8 picture of a rendering over a background (H, W, 3) or (3,) in [0, 1]."""
    alpha = rgba[..., 3:]
    mixed = rgba[..., :3] * alpha + background * (1 - alpha)
    return np.rint(np.clip(mixed, 0, 1) * 255).astype(np.uint8)
