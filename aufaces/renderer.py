"""From face parameters to pixels and landmarks.

A `Face` is a person (people.Person), an expression (actions.Expression) and a `Shot`. The renderer keeps one
head mesh, moves its vertices, rasterises it from the camera and from the key light, and shades each pixel.
"""

import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import warp as wp

from aufaces import actions, painting, shading, visibility
from aufaces.appearance import Appearance, AppearanceModel
from aufaces.files import cache_root
from aufaces.heads import EYE_LEFT, EYE_RIGHT, Head, load_head
from aufaces.people import Person

MIDDLE = np.array([0.0, -0.28, -0.1])  # the head turns about a point inside it
LIT_MIDDLE, LIT_RADIUS = np.array([0.0, 0.0, -0.3]), 1.7  # the ball whose shadows are seen, decimetres
PERSONAL = ("skin", "lips", "hair", "cloth", "iris", "teeth", "gloss", "pupil", "iris_size", "strands")
SCENE = np.dtype(shading.Scene.numpy_dtype())
LIGHT_SIDE = 144  # texels of the shadow map: as fine as pixels at 112 px
PEOPLE_KEPT = 64  # appearances in memory
NO_CARD = b"Could not find or load the NVIDIA CUDA driver"
STARTING = threading.Lock()  # only one thread at a time may redirect standard error


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
    (cos_y, cos_p, cos_r), (sin_y, sin_p, sin_r) = (f([yaw, pitch, roll]) for f in (np.cos, np.sin))
    turn = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    nod = np.array([[1, 0, 0], [0, cos_p, -sin_p], [0, sin_p, cos_p]])
    tilt = np.array([[cos_r, sin_r, 0], [-sin_r, cos_r, 0], [0, 0, 1]])
    return tilt @ turn @ nod


@lru_cache(maxsize=1)
def start_warp() -> None:
    """Initialise warp once, without its warning that there is no CUDA driver.

    Warp writes that line straight to file descriptor 2 (`cuda_util.cpp`), out of reach of log levels and
    `sys.stderr`, and a notebook shows it in red. So the descriptor points to a file while warp starts; all
    other lines are written to standard error afterwards.
    """
    with STARTING, tempfile.TemporaryFile() as log:
        stderr = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            wp.init()
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            log.seek(0)
            os.write(2, b"".join(line for line in log if NO_CARD not in line))


class FaceRenderer:
    """Renders faces at one size. Keeps the mesh and the appearance of recent people.

    Args:
        size: side of the square picture, pixels.
        samples: per pixel, averaged.
        device: "cpu" or "cuda"; None takes CUDA where there is a card. Bytes are reproducible on "cpu".
    """

    def __init__(self, size: int = 112, samples: int = 2, device: str | None = "cpu"):
        if size < 16:
            raise ValueError(f"size must be at least 16 pixels, found {size}")
        wp.config.kernel_cache_dir = str(cache_root() / "warp")
        start_warp()
        device = device or ("cuda" if wp.is_cuda_available() else "cpu")
        self.size, self.device = size, device
        self.head: Head = load_head()
        self.appearances = AppearanceModel(self.head, device)
        self.actions = actions.ActionShapes(self.head)
        self._appearance_of = lru_cache(PEOPLE_KEPT)(self.appearances.of)
        head = self.head
        self._eyes = [np.flatnonzero(head.part == eye) for eye in (EYE_LEFT, EYE_RIGHT)]
        on = dict(device=device)
        self._points, self._screen, self._light = (
            visibility.Refilled(head.vertices, wp.vec3, device) for _ in range(3)
        )
        self._scenes = visibility.Refilled(np.zeros(1, SCENE), shading.Scene, device)
        self._mesh = wp.Mesh(self._points.array, wp.array(head.triangles.ravel(), dtype=int, **on))
        self._triangles = wp.array(head.triangles, dtype=int, **on)
        self._canonical = wp.array(head.vertices, dtype=wp.vec3, **on)
        self._part = wp.array(head.part, dtype=int, **on)
        self._nearest = wp.zeros((samples, size, size), dtype=wp.uint64, **on)
        self._light_map = wp.zeros((1, LIGHT_SIDE, LIGHT_SIDE), dtype=wp.uint64, **on)
        self._stride = max(1, round(0.38 * samples))
        self._image = wp.zeros((size, size), dtype=wp.vec4, **on)
        self._shading: wp.Launch | None = None  # recorded with the first face
        self._draw_seen = self._rasteriser(self._screen.array, self._stride, self._nearest)
        self._draw_lit = self._rasteriser(self._light.array, 0, self._light_map)

    def render(self, faces: list[Face]) -> tuple[np.ndarray, np.ndarray]:
        """Pictures (B, S, S, 3) uint8 on mid grey and landmarks (B, 68, 2) float32 pixels."""
        shots = [self.render_one(face) for face in faces]
        images = [composite(shot.rgba, np.full(3, 0.5, np.float32)) for shot in shots]
        return np.stack(images), np.stack([shot.landmarks for shot in shots])

    def render_one(self, face: Face) -> Rendering:
        appearance = self._appearance_of(face.person)
        vertices = appearance.vertices + self.actions.displacement(face.expression)
        return self._draw(face, appearance, vertices.astype(np.float32))

    def _draw(self, face: Face, appearance: Appearance, vertices: np.ndarray) -> Rendering:
        shot, size = face.shot, self.size
        turn = rotation(shot.yaw, shot.pitch, shot.roll)
        focal = shot.zoom * size * shot.distance / 2.0  # pixels: 2 dm of face fill `zoom` of the picture
        middle = (size - 1) / 2

        def seen(points: np.ndarray) -> np.ndarray:
            """Column, row and 1 / depth of points (M, 3)."""
            camera = (points - MIDDLE) @ turn.T
            nearness = 1 / (shot.distance - camera[:, 2])
            x = middle + shot.shift[0] * size + focal * camera[:, 0] * nearness
            y = middle + shot.shift[1] * size - focal * camera[:, 1] * nearness
            return np.stack([x, y, nearness], 1)

        eyes = np.stack([vertices[rows].mean(0) for rows in self._eyes])
        scene = self._scene(face, turn, eyes, float(vertices[self.appearances.lip_front, 2].mean()))
        self._points.fill(vertices)
        self._mesh.refit()
        self._screen.fill(seen(vertices))
        self._nearest.zero_()
        self._draw_seen.launch()
        if shot.shadow > 0:
            axes = np.concatenate([scene["light_right"], -scene["light_up"], scene["key_direction"]])
            light = vertices @ axes.T
            light += np.float32([(LIGHT_SIDE - 1) / 2, (LIGHT_SIDE - 1) / 2, shading.LIGHT_HEIGHT])
            light -= axes @ np.float32(LIT_MIDDLE)
            self._light.fill(light)
            self._light_map.zero_()
            self._draw_lit.launch()
        self._scenes.fill(scene)
        self._shade(appearance, self.appearances.relief(appearance, face.expression))
        return Rendering(
            self._image.numpy().copy(),
            seen(self.appearances.points(vertices))[:, :2].astype(np.float32),
            vertices,
            lambda points: seen(points)[:, :2],
            eyes,
            focal / shot.distance,
        )

    def _rasteriser(self, screen: wp.array, stride: int, nearest: wp.array) -> wp.Launch:
        """A recorded launch that draws what `screen` holds at that time."""
        return wp.launch(
            visibility.rasterise,
            dim=len(self._triangles),
            inputs=[screen, self._triangles, stride],
            outputs=[nearest],
            device=self.device,
            record_cmd=True,
        )

    def _shade(self, appearance: Appearance, relief: wp.array) -> None:
        """Colour every pixel. The launch is recorded once; only person and expression change afterwards."""
        normals = self.appearances.normals(self._points.array)
        marks, colour = (appearance.face_marks, appearance.head_marks), appearance.colour
        if self._shading is None:
            self._shading = wp.launch(
                shading.shade,
                dim=(self.size, self.size),
                inputs=[
                    self._mesh.id, self._scenes.array, self._nearest, self._light_map, self._screen.array,
                    self._points.array, self._triangles, normals, self._canonical, *marks, self._part,
                    colour, relief,
                ],
                outputs=[self._image],
                device=self.device,
                record_cmd=True,
            )  # fmt: skip
        names = ("face_marks", "head_marks", "colour_paint", "relief_paint")
        for name, array in zip(names, (*marks, colour, relief), strict=True):
            self._shading.set_param_by_name(name, array)
        self._shading.launch()

    def _scene(self, face: Face, turn: np.ndarray, eyes: np.ndarray, mouth_front: float) -> np.ndarray:
        """(1,) record of shading.Scene."""
        shot, person = face.shot, face.person

        def to_head(direction) -> np.ndarray:
            direction = np.asarray(direction, float) @ turn
            return direction / max(np.linalg.norm(direction), 1e-9)

        key = to_head(shot.key_direction)
        across = np.cross((0.0, 1.0, 0.0) if abs(key[1]) < 0.9 else (0.0, 0.0, 1.0), key)
        across *= LIGHT_SIDE / (2 * LIT_RADIUS) / np.linalg.norm(across)
        gaze_left, gaze_right = face.expression.gaze_vectors()
        values = dict(
            eye=np.array([0, 0, shot.distance]) @ turn + MIDDLE,
            up=to_head((0, 1, 0.35)),
            key_direction=key,
            fill_direction=to_head(shot.fill_direction),
            rim_direction=to_head(shot.rim_direction),
            lit_middle=LIT_MIDDLE,
            light_right=across,
            light_up=np.cross(key, across),
            gaze_left=gaze_left,
            gaze_right=gaze_right,
            centre_left=eyes[0],
            centre_right=eyes[1],
            mouth_front=mouth_front,
            stride=self._stride,
            paint_left=painting.PAINT_LEFT,
            paint_top=painting.PAINT_TOP,
            paint_scale=painting.PAINT_SCALE,
            **{name: getattr(shot, name) for name in ("key", "fill", "rim", "sky", "ground", "shadow")},
            **{name: getattr(person, name) for name in PERSONAL},
        )
        scene = np.zeros(1, SCENE)
        for name, value in values.items():
            scene[name] = value
        return scene


def composite(rgba: np.ndarray, background: np.ndarray) -> np.ndarray:
    """uint8 picture of a rendering over a background (H, W, 3) or (3,) in [0, 1]."""
    alpha = rgba[..., 3:]
    mixed = background + (rgba[..., :3] - background) * alpha
    mixed *= 255
    mixed += 0.5  # rounds, since the cast cuts off
    return np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)
