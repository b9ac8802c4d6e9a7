"""Nuisances of the wild domain: shade, backgrounds, occluders and image degradations."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from aufaces.people import Person

OCCLUDED_SHARE = 0.25
OCCLUDERS = {"glasses": 0.5, "hand": 0.18, "bar": 0.14, "microphone": 0.1, "scarf": 0.08}  # probabilities
SHADED_SHARE = 0.4


def patchy_shade(rng: np.random.Generator, rgba: np.ndarray) -> np.ndarray:
    """Patchy shade, as under leaves or blinds, on SHADED_SHARE of the faces; (S, S, 4) display values."""
    if rng.random() >= SHADED_SHARE:
        return rgba
    patches = int(rng.integers(3, 9))
    coarse = Image.fromarray(rng.standard_normal((patches, patches)).astype(np.float32))
    field = np.asarray(coarse.resize(rgba.shape[1::-1], Image.Resampling.BICUBIC))
    shade = 1 / (1 + np.exp(-rng.uniform(2, 8) * (field - rng.uniform(-0.3, 0.5))))
    light = (1 - rng.uniform(0.35, 0.8) * shade) ** (1 / 2.2)  # of linear light, in display values
    return np.concatenate([rgba[..., :3] * light[..., None], rgba[..., 3:]], -1).astype(np.float32)


def cluttered_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """(S, S, 3) float32 in [0, 1]: a gradient, shapes in or out of focus, and texture."""
    vivid = rng.uniform(0.1, 0.8)
    grey = rng.uniform(0.08, 0.9, (2, 1))
    colours = grey * (1 - vivid) + rng.uniform(0.05, 0.95, (2, 3)) * vivid
    angle = rng.uniform(0, 2 * np.pi)
    along = np.arange(size, dtype=np.float32) / size - np.float32(0.5)
    ramp = 0.5 + (np.sin(angle) * along)[:, None] + np.cos(angle) * along
    shades = np.rint(np.linspace(*colours, 256) * 255).astype(np.uint8)
    picture = Image.fromarray(shades.take((np.clip(ramp, 0, 1) * 255).astype(np.uint8), axis=0))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 14)):
        fill = tuple(int(v) for v in rng.uniform(10, 245) * (1 - vivid) + rng.uniform(0, 255, 3) * vivid)
        cx, cy = rng.uniform(-0.1, 1.1, 2) * size
        w, h = rng.uniform(0.03, 0.4, 2) * size
        kind = rng.integers(4)
        if kind == 0:
            draw.rectangle([cx - w, cy - h, cx + w, cy + h], fill=fill)
        elif kind == 1:
            draw.ellipse([cx - w, cy - h, cx + w, cy + h], fill=fill)
        elif kind == 2:
            corners = [(cx, cy) + rng.uniform(-1, 1, 2) * (w, h) * 1.5 for _ in range(4)]
            draw.polygon(np.ravel(corners).tolist(), fill=fill)
        else:
            thickness = int(rng.integers(1, max(3, size // 14)))
            draw.line([cx - 2 * w, cy - h, cx + 2 * w, cy + h], fill=fill, width=thickness)
    if rng.random() < 0.75:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 4.5) * size / 112)))
    out = np.asarray(picture) * np.float32(1 / 255)
    grain = Image.fromarray(rng.standard_normal((size // 5 + 2, size // 5 + 2), np.float32))
    grain = np.asarray(grain.resize((size, size), Image.Resampling.BICUBIC))
    out += (grain * np.float32(rng.uniform(0, 0.035)))[..., None]
    return np.clip(out, 0, 1, out=out)


def occlude(rng: np.random.Generator, image: np.ndarray, rendering, person: Person) -> np.ndarray:
    """Put glasses, a hand, a bar, a microphone or a scarf in front of OCCLUDED_SHARE of the faces."""
    if rng.random() >= OCCLUDED_SHARE:
        return image
    size = len(image)
    scale = 3
    layer = Image.new("RGBA", (size * scale, size * scale), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    kind = rng.choice(list(OCCLUDERS), p=list(OCCLUDERS.values()))
    points = (rendering.landmarks + 0.5) * scale
    width = float(np.linalg.norm(points[16] - points[0]))
    if kind == "glasses":
        _glasses(rng, draw, rendering, scale)
    elif kind == "hand":
        _hand(rng, draw, points, width, person)
    elif kind == "bar":
        _bar(rng, draw, points, width, size * scale)
    elif kind == "microphone":
        _microphone(rng, draw, points, width, size * scale)
    else:
        _scarf(rng, draw, points, width, size * scale)
    layer = layer.resize((size, size), Image.Resampling.BOX)
    over = np.asarray(layer, np.float32)
    alpha = over[..., 3:] / 255
    return np.rint(image * (1 - alpha) + over[..., :3] * alpha).astype(np.uint8)


def _glasses(rng, draw, rendering, scale) -> None:
    """Frames fixed to the head: two rims, a bridge, the temples; sometimes dark lenses."""
    eyes = rendering.eye_centres
    frame = tuple(int(v) for v in rng.integers(0, 110, 3)) + (255,)
    dark = rng.random() < 0.12
    lens = (15, 15, 20, 235) if dark else (210, 225, 235, int(rng.integers(8, 45)))
    rx, ry, power = rng.uniform(0.20, 0.235), rng.uniform(0.13, 0.18), rng.uniform(2, 4)
    line = max(2, int(rng.uniform(0.012, 0.03) * rendering.pixels_per_dm * scale))
    t = np.linspace(0, 2 * np.pi, 40)
    bridge = []
    for centre, side in zip(eyes, (1, -1), strict=True):
        unit = np.stack([np.cos(t), np.sin(t)], 1)
        unit = np.sign(unit) * np.abs(unit) ** (2 / power)
        rim = np.stack([
            centre[0] + side * 0.01 + rx * unit[:, 0],
            centre[1] - 0.035 + ry * unit[:, 1],
            np.full(40, centre[2] + 0.30) - 0.10 * (np.abs(unit[:, 0] * rx + centre[0]) - 0.1),
        ], 1)  # fmt: skip
        corners = [tuple(map(float, p)) for p in (rendering.project(rim) + 0.5) * scale]
        draw.polygon(corners, fill=lens)
        draw.line(corners + corners[:2], fill=frame, width=line, joint="curve")
        bridge.append(rim[np.argmin(np.abs(rim[:, 0]) + 0.2 * np.abs(rim[:, 1] - 0.02))])
        temple = np.array([rim[np.argmax(rim[:, 0] * side)], [side * 0.68, 0.03, -0.45]])
        ends = (rendering.project(temple) + 0.5) * scale
        if (ends[1, 0] - ends[0, 0]) * side > 0:  # the temple on the far side is behind the face
            draw.line([tuple(map(float, p)) for p in ends], fill=frame, width=line)
    ends = (rendering.project(np.array(bridge)) + 0.5) * scale
    draw.line([tuple(map(float, p)) for p in ends], fill=frame, width=line)


def _hand(rng, draw, points, width, person) -> None:
    """Fingers and a palm on chin, cheek or brow."""
    tone = np.clip(np.array(person.skin) * rng.uniform(0.6, 1.0), 0, 1) ** (1 / 2.2) * 255
    place = points[[8, 4, 12, 2, 14, 19, 24][int(rng.integers(7))]] + rng.normal(0, 0.05, 2) * width
    centre = points[30]
    inward = (centre - place) / max(1.0, float(np.linalg.norm(centre - place)))
    across = np.array([-inward[1], inward[0]])
    finger = 0.085 * width
    for k in range(4):
        shade = tuple(int(v) for v in tone * (0.82 + 0.06 * k)) + (255,)
        start = place - inward * 0.35 * width + across * (k - 1.5) * finger * 1.25
        stop = place + inward * (0.12 + 0.05 * np.sin(k)) * width + across * (k - 1.5) * finger * 1.1
        draw.line([*map(float, start), *map(float, stop)], fill=shade, width=int(finger * 1.2))
        _ellipse(draw, stop, finger * 0.58, shade)
    palm = place - inward * 0.45 * width
    _ellipse(draw, palm, 0.30 * width, tuple(int(v) for v in tone * 0.9) + (255,))


def _ellipse(draw, centre: np.ndarray, radius: float | np.ndarray, fill: tuple) -> None:
    draw.ellipse([*(centre - radius).tolist(), *(centre + radius).tolist()], fill=fill)


def _bar(rng, draw, points, width, side) -> None:
    """A post, a rail or the edge of a leaf across the picture."""
    fill = tuple(int(v) for v in rng.integers(0, 230, 3)) + (255,)
    where = points[30] + rng.normal(0, 0.33, 2) * width
    angle = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.3)
    along = np.array([np.cos(angle), np.sin(angle)]) * 2 * side
    draw.line(
        [*map(float, where - along), *map(float, where + along)],
        fill=fill,
        width=int(width * rng.uniform(0.06, 0.16)),
    )


def _microphone(rng, draw, points, width, side) -> None:
    grey = int(rng.integers(10, 70))
    head = points[8] + rng.normal(0, 0.08, 2) * width + np.array([0, -0.06 * width])
    foot = head + np.array([rng.uniform(-0.6, 0.6) * width, 1.2 * side])
    draw.line([*map(float, head), *map(float, foot)], fill=(grey + 25,) * 3 + (255,), width=int(0.09 * width))
    _ellipse(draw, head, np.array([0.12, 0.15]) * width, (grey,) * 3 + (255,))


def _scarf(rng, draw, points, width, side) -> None:
    """Cloth over chin and neck, up to the lower lip at most."""
    fill = tuple(int(v) for v in rng.integers(10, 240, 3)) + (255,)
    edge = points[57] * (1 - (t := rng.uniform(0.3, 0.9))) + points[8] * t
    left, right = points[4], points[12]
    out = (right - left) / max(1.0, float(np.linalg.norm(right - left))) * width
    corners = [left - out, edge, right + out, (2 * side, 2 * side), (-side, 2 * side)]
    draw.polygon(np.ravel(corners).tolist(), fill=fill)


def degrade(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Exposure, white balance, low resolution, blur, noise, grey pictures, JPEG."""
    # exposure, contrast, white balance and gamma: one lookup table per channel
    level = np.linspace(0, 1, 256) * np.exp(rng.normal(0, 0.08, (3, 1)))
    level = np.clip(0.5 + (level - 0.5) * rng.uniform(0.6, 1.3) + rng.normal(0, 0.06), 0, 1)
    level = level ** np.exp(rng.normal(0, 0.2))
    size = len(image)
    picture = Image.fromarray(image).point(np.rint(level * 255).astype(np.uint8).ravel().tolist())
    if rng.random() < 0.35:
        small = int(size * rng.uniform(0.35, 0.8))
        picture = picture.resize((small, small), Image.Resampling.BILINEAR).resize(
            (size, size), Image.Resampling.BICUBIC
        )
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.3) * size / 112)))
    if rng.random() < 0.12:
        picture = picture.convert("L").convert("RGB")
    noise = float(rng.uniform(2, 12)) if rng.random() < 0.5 else 1.0
    return sensor_noise(rng, np.asarray(picture), noise, int(rng.integers(20, 93)))


def sensor_noise(rng: np.random.Generator, image: np.ndarray, noise: float, quality: int) -> np.ndarray:
    """Sensor noise (deviation in grey levels) and one JPEG round trip."""
    noisy = rng.standard_normal(image.shape, np.float32)
    noisy *= noise
    noisy += image
    noisy += 0.5  # rounds, since the cast cuts off
    noisy = np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
