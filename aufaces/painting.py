"""Paint and relief of the facial skin, in a frontal chart of the neutral template.

The chart is the template seen from the front: column = (x - PAINT_LEFT) * PAINT_SCALE, row = (PAINT_TOP -
y) * PAINT_SCALE. Paint is fixed to the skin and moves with the vertices. There are two layers: colour (a
factor on the skin's albedo) and relief (slope in x, slope in y, darkening of folds). The folds of an AU are
curves in the chart; their depth follows its intensity, so pictures tell more about AUs than landmarks do.
"""

from functools import lru_cache

import numpy as np
from PIL import Image

PAINT_LEFT, PAINT_TOP, PAINT_SCALE = -0.9, 1.2, 130.0
COLUMNS, ROWS = 234, 325

# Folds on the subject's left side, mirrored for the right: AU -> (points, width dm, depth). Points in
# template x, y.
FOLDS: dict[str, list[tuple[tuple[tuple[float, float], ...], float, float]]] = {
    "AU01": [
        (((0.0, 0.34), (0.10, 0.335), (0.20, 0.30), (0.27, 0.27)), 0.014, 1.0),
        (((0.0, 0.43), (0.12, 0.425), (0.22, 0.40), (0.30, 0.36)), 0.014, 1.0),
        (((0.0, 0.52), (0.12, 0.515), (0.24, 0.49)), 0.014, 0.8),
    ],
    "AU02": [
        (((0.22, 0.30), (0.34, 0.325), (0.46, 0.29), (0.54, 0.22)), 0.014, 1.0),
        (((0.24, 0.39), (0.36, 0.415), (0.48, 0.375), (0.55, 0.31)), 0.014, 1.0),
        (((0.27, 0.48), (0.38, 0.50), (0.48, 0.46)), 0.014, 0.8),
    ],
    "AU04": [
        (((0.050, 0.27), (0.043, 0.19), (0.055, 0.11)), 0.012, 1.6),
        (((0.020, 0.22), (0.016, 0.15)), 0.010, 0.8),
        (((0.07, 0.09), (0.15, 0.10), (0.24, 0.115)), 0.014, 0.7),
    ],
    "AU05": [(((0.22, 0.085), (0.31, 0.105), (0.40, 0.085)), 0.011, 0.8)],
    "AU06": [
        (((0.47, 0.03), (0.55, 0.07), (0.60, 0.11)), 0.011, 1.2),
        (((0.48, 0.0), (0.56, 0.0), (0.62, 0.01)), 0.011, 1.2),
        (((0.47, -0.04), (0.55, -0.08), (0.60, -0.12)), 0.011, 1.1),
        (((0.17, -0.10), (0.25, -0.165), (0.36, -0.18), (0.46, -0.12)), 0.016, 1.0),
    ],
    "AU07": [(((0.20, -0.065), (0.29, -0.095), (0.38, -0.09), (0.44, -0.05)), 0.011, 1.5)],
    "AU09": [
        (((0.0, 0.035), (0.06, 0.045), (0.10, 0.08)), 0.011, 1.3),
        (((0.0, -0.015), (0.06, -0.005), (0.11, 0.03)), 0.011, 1.5),
        (((0.0, -0.07), (0.06, -0.06), (0.10, -0.03)), 0.011, 1.1),
        (((0.085, -0.04), (0.12, -0.10), (0.17, -0.15)), 0.012, 1.3),
        (((0.10, -0.11), (0.14, -0.17), (0.18, -0.21)), 0.012, 1.0),
        (((0.17, -0.31), (0.215, -0.38), (0.25, -0.46)), 0.015, 1.2),
    ],
    "AU10": [(((0.175, -0.33), (0.225, -0.40), (0.28, -0.48), (0.315, -0.57)), 0.018, 1.7)],
    "AU12": [
        (((0.185, -0.36), (0.25, -0.44), (0.32, -0.54), (0.365, -0.64)), 0.017, 1.5),
        (((0.36, -0.58), (0.39, -0.65), (0.385, -0.72)), 0.012, 1.0),
    ],
    "AU14": [
        (((0.315, -0.61), (0.335, -0.665), (0.32, -0.73)), 0.014, 2.2),
        (((0.36, -0.63), (0.372, -0.67), (0.362, -0.71)), 0.010, 1.0),
    ],
    "AU15": [
        (((0.285, -0.70), (0.315, -0.76), (0.325, -0.84)), 0.014, 1.7),
        (((0.10, -0.80), (0.18, -0.815), (0.26, -0.85)), 0.016, 0.5),
    ],
    "AU17": [(((0.0, -0.835), (0.09, -0.838), (0.17, -0.852)), 0.017, 1.6)],
    "AU20": [
        (((0.30, -0.62), (0.335, -0.69), (0.32, -0.77)), 0.012, 1.0),
        (((0.37, -0.64), (0.40, -0.71), (0.385, -0.79)), 0.012, 1.0),
        (((0.12, -0.83), (0.22, -0.80), (0.30, -0.80)), 0.012, 0.8),
    ],
    "AU24": [
        (((0.05, -0.535), (0.055, -0.585)), 0.009, 0.9),
        (((0.11, -0.55), (0.12, -0.60)), 0.009, 0.9),
        (((0.17, -0.585), (0.18, -0.62)), 0.009, 0.8),
        (((0.04, -0.79), (0.045, -0.83)), 0.009, 0.7),
        (((0.28, -0.65), (0.295, -0.69)), 0.010, 1.1),
    ],
}
AGE_FOLDS = {"AU01": 0.35, "AU02": 0.3, "AU04": 0.2, "AU06": 0.3, "AU07": 0.2, "AU12": 0.45, "AU15": 0.25}


@lru_cache(maxsize=1)
def chart() -> tuple[np.ndarray, np.ndarray]:
    """Template x and y of every texel, each (ROWS, COLUMNS)."""
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    return PAINT_LEFT + x / PAINT_SCALE, PAINT_TOP - y / PAINT_SCALE


def ramp(low, high, value):
    """Smooth step from 0 at `low` to 1 at `high` (which may be the smaller)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def distance_to_curve(points, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of every texel to a polyline, position along it in [0, 1], and signed distance."""
    points = np.asarray(points, float)
    best = np.full(x.shape, np.inf)
    place, side = np.zeros(x.shape), np.zeros(x.shape)
    pieces = len(points) - 1
    for k, (a, b) in enumerate(zip(points[:-1], points[1:], strict=True)):
        step = b - a
        t = np.clip(((x - a[0]) * step[0] + (y - a[1]) * step[1]) / (step @ step), 0, 1)
        dx, dy = x - a[0] - t * step[0], y - a[1] - t * step[1]
        distance = np.hypot(dx, dy)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        place = np.where(nearer, (k + t) / pieces, place)
        side = np.where(nearer, step[0] * dy - step[1] * dx, side)
    return best, place, np.sign(side) * best


def fold_relief(au: str, side: int) -> np.ndarray:
    """(ROWS, COLUMNS, 3) slopes in x and y, darkening of an AU's folds, full depth; side 1 left, -1 right."""
    x, y = chart()
    own_half = (x + 1e-6) * side > 0
    height, dark = np.zeros(x.shape), np.zeros(x.shape)
    for points, width, depth in FOLDS.get(au, []):
        smooth = _smooth_curve(points)
        distance, place, _ = distance_to_curve(smooth, x * side, y)
        taper = np.clip(np.minimum(place, 1 - place) * 5 + 0.25, 0, 1)
        if abs(smooth[0][0]) < 1e-6:  # begins on the midline: no taper there
            taper = np.clip((1 - place) * 5 + 0.25, 0, 1)
        if abs(points[0][0]) < 1e-6:
            taper = taper * own_half
        groove = np.exp(-0.5 * (distance / width) ** 2)
        bulge = np.exp(-0.5 * (distance / (2.6 * width)) ** 2)
        height += depth * taper * (0.5 * bulge - groove) * width
        dark += depth * taper * groove
    if au == "AU17":  # pebbled chin
        rng = np.random.default_rng(17)
        bumps = _blobs(rng, x, y, 60, (-0.15, 0.15), (-1.03, -0.90), 0.013)
        height += bumps * 0.008 * own_half
        dark += 0.35 * np.clip(-bumps, 0, 1) * own_half
    slope_y, slope_x = np.gradient(height, 1 / PAINT_SCALE)
    return np.stack([slope_x, -slope_y, np.clip(0.34 * dark, 0, 0.75)], -1).astype(np.float32)


def _smooth_curve(points) -> np.ndarray:
    """The polyline smoothed by Chaikin's corner cutting, twice."""
    points = np.asarray(points, float)
    for _ in range(2):
        if len(points) < 3:
            return points
        cut = np.stack(
            [0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], 1
        ).reshape(-1, 2)
        points = np.concatenate([points[:1], cut[1:-1], points[-1:]])
    return points


def _blobs(rng, x, y, count, x_range, y_range, size) -> np.ndarray:
    field = np.zeros(x.shape)
    for _ in range(count):
        cx, cy = rng.uniform(*x_range), rng.uniform(*y_range)
        field += rng.choice([-1, 1]) * np.exp(
            -0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / (size * rng.uniform(0.7, 1.4)) ** 2
        )
    return field


def noise_field(rng: np.random.Generator, cell: float) -> np.ndarray:
    """(ROWS, COLUMNS) smooth random field, mean 0, deviation about 1; `cell`: size of a grain, decimetres."""
    step = max(2, int(cell * PAINT_SCALE))
    rows, columns = ROWS // step + 4, COLUMNS // step + 4
    coarse = Image.fromarray(rng.standard_normal((rows, columns), np.float32))
    return np.asarray(coarse.resize((columns * step, rows * step), Image.Resampling.BILINEAR))[
        :ROWS, :COLUMNS
    ]


BROW = ((0.088, 0.136), (0.13, 0.150), (0.245, 0.168), (0.355, 0.168), (0.455, 0.145), (0.54, 0.096))


def brow_cover(rng: np.random.Generator, thickness: float, arch: float, density: float) -> np.ndarray:
    """(ROWS, COLUMNS) 0..1 cover of both painted brows.

    thickness: half height in decimetres at the body of the brow (0.025-0.05); arch: lift of its peak
    (-0.01..0.02); density 0..1.
    """
    cover = np.zeros((ROWS, COLUMNS), np.float32)
    waver = noise_field(rng, 0.05)
    for side in (1, -1):  # brows live in 0 <= y <= 0.32, 0.03 <= |x| <= 0.62
        edges = sorted((side * 0.03, side * 0.62))
        box = (
            slice(int((PAINT_TOP - 0.32) * PAINT_SCALE), int(PAINT_TOP * PAINT_SCALE) + 1),
            slice(*(int((edge - PAINT_LEFT) * PAINT_SCALE) for edge in edges)),
        )
        x, y = (axis[box] for axis in chart())
        points = [(px + rng.normal(0, 0.004), py + arch * (k in (3, 4))) for k, (px, py) in enumerate(BROW)]
        distance, place, signed = distance_to_curve(_smooth_curve(points), x * side, y)
        half = thickness * np.interp(place, [0, 0.12, 0.45, 0.75, 1], [0.75, 1.0, 0.95, 0.7, 0.2])
        body = 1 - ramp(0.55, 1.15, distance / half)
        grain = np.sin(x * side * 260 + signed * 330 + waver[box] * 1.2)
        cover[box] = body * np.clip(density + 0.22 * grain, 0, 1)
    return cover


@lru_cache(maxsize=16)
def spot(x0: float, y0: float, rx: float, ry: float) -> np.ndarray:
    """(ROWS, COLUMNS) Gaussian spot, mirrored to both sides."""
    x, y = chart()
    return np.exp(-0.5 * (((np.abs(x) - x0) / rx) ** 2 + ((y - y0) / ry) ** 2))


def skin_colour(rng: np.random.Generator, age: float, freckles: float, flush: float) -> np.ndarray:
    """(ROWS, COLUMNS, 3) factor on skin albedo: blush, eye sockets, blotches, freckles, age spots."""
    blush = spot(0.36, -0.30, 0.14, 0.13)
    blush = blush + 0.8 * spot(0.0, -0.33, 0.09, 0.07) + 0.4 * spot(0.0, -0.92, 0.14, 0.08)
    socket = spot(0.30, 0.055, 0.12, 0.045) + (0.5 + 0.7 * age) * spot(0.29, -0.10, 0.10, 0.035)
    socket = np.minimum(socket + 0.7 * spot(0.19, -0.02, 0.03, 0.05), 1.2)
    blotch = 0.05 * np.clip(noise_field(rng, 0.08), -2, 2)
    grain = 1 - 0.035 * np.clip(noise_field(rng, 0.02), -2, 2)
    colour = np.empty((ROWS, COLUMNS, 3), np.float32)
    for k, (red, dark, mottle) in enumerate(((0.02, 0.13, 0.4), (0.22, 0.17, 1.0), (0.20, 0.15, 1.0))):
        channel = (1 - (flush * red) * blush) * (1 - dark * socket)
        colour[..., k] = channel * (1 - mottle * blotch) * grain
    x, y = chart()
    face = ramp(-1.1, -0.9, y) * (1 - ramp(0.6, 0.8, y))
    for chance, size, strength in ((freckles, 0.008, 0.35), (max(0.0, age - 0.6), 0.02, 0.3)):
        for _ in range(int(110 * chance)):
            cx, cy = rng.normal(0, 0.3), rng.normal(-0.15, 0.25)
            spread = size * rng.uniform(0.6, 1.3)
            left, top = int((cx - PAINT_LEFT) * PAINT_SCALE), int((PAINT_TOP - cy) * PAINT_SCALE)
            box = (slice(max(0, top - 8), max(0, top + 9)), slice(max(0, left - 8), max(0, left + 9)))
            blob = np.exp(-0.5 * ((x[box] - cx) ** 2 + (y[box] - cy) ** 2) / spread**2) * face[box]
            colour[box] *= 1 - strength * rng.uniform(0.5, 1) * blob[..., None] * np.array([0.6, 0.9, 1.0])
    return colour


def beard_cover(rng: np.random.Generator, amount: float) -> np.ndarray:
    """(ROWS, COLUMNS) 0..1 cover of stubble or beard on jaw, chin and upper lip, sparing the lips."""
    x, y = chart()
    ax = np.abs(x)
    cheek_line = np.interp(ax, [0, 0.2, 0.35, 0.5, 0.62], [-0.72, -0.62, -0.60, -0.42, 0.0])
    jaw = ramp(0.0, 0.12, cheek_line - y)
    moustache = np.exp(-0.5 * ((y + 0.535 + 0.25 * ax) / 0.035) ** 2) * (1 - ramp(0.24, 0.32, ax))
    goatee = ramp(0.0, 0.1, -0.62 - y) * (1 - ramp(0.24, 0.34, ax))
    lips = np.exp(-((ax / 0.27) ** 4) - ((y + 0.68) / 0.115) ** 4)
    grain = 0.75 + 0.25 * np.sin(noise_field(rng, 0.015) * 2)
    cover = np.clip(np.maximum.reduce([jaw, moustache, goatee]), 0, 1) * (1 - lips)
    return np.clip(amount * cover * grain, 0, 0.92)
