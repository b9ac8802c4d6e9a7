"""Pictures for widgets, drawn with Pillow: some milliseconds each, where a matplotlib figure takes tens."""

import base64
import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

# Okabe & Ito 2008, told apart by colour-blind readers; the black rim keeps both legible on any skin.
FOUND, TRUE = "#56B4E9", "#E69F00"
SIDE = 320  # pixels of a picture drawn for a widget


def jpeg(picture: Image.Image) -> bytes:
    """JPEG bytes with full colour resolution, for live pictures: a tenth of PNG's time."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92, subsampling=0)
    return stream.getvalue()


def data_uri(picture: Image.Image) -> str:
    """The picture inside an HTML page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture)).decode()}"


def enlarged(picture: np.ndarray, side: int = SIDE) -> tuple[Image.Image, float]:
    """(H, W, 3) or grey (H, W), uint8 or [0, 1] -> RGB whose longer side is `side`, and the factor."""
    if picture.dtype != np.uint8:
        picture = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    drawn = Image.fromarray(picture).convert("RGB")
    factor = side / max(drawn.size)
    size = tuple(max(1, round(length * factor)) for length in drawn.size)
    return drawn.resize(size, Image.Resampling.BICUBIC), factor


def with_landmarks(
    picture: np.ndarray, found: np.ndarray | None, true: np.ndarray | None = None, side: int = SIDE
) -> Image.Image:
    """The picture enlarged: landmarks found as dots, true ones as rings; (K, 2) pixels of `picture`."""
    drawn, factor = enlarged(picture, side)
    draw = ImageDraw.Draw(drawn)
    for x, y in _placed(true, factor):
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), outline=TRUE, width=2)
    for x, y in _placed(found, factor):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=FOUND, outline="black")
    return drawn


def with_evidence(crop: np.ndarray, strength: np.ndarray | None, side: int = SIDE) -> Image.Image:
    """A map (h, w) in [0, 1] over the crop in grey: bright where it is strong, nothing where it is weak."""
    drawn, _ = enlarged(crop, side)
    if strength is None:
        return drawn
    level = np.rint(strength.clip(0, 1) * 255).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(level).resize(drawn.size, Image.Resampling.BILINEAR))
    grey = np.asarray(drawn.convert("L"), np.float32)[..., None]
    share = 0.8 * smooth[..., None] / 255
    return Image.fromarray(np.rint(grey * (1 - share) + _colours()[smooth] * share).astype(np.uint8))


def heat(values: np.ndarray, side: int = SIDE) -> Image.Image:
    """A map (h, w), its lowest value dark and its highest bright."""
    spread = max(float(values.max() - values.min()), 1e-12)
    level = np.rint((values - values.min()) / spread * 255).astype(np.uint8)
    coloured = Image.fromarray(np.rint(_colours()[level]).astype(np.uint8))
    return coloured.resize((side, side), Image.Resampling.NEAREST)


def _placed(points: np.ndarray | None, factor: float) -> np.ndarray:
    return np.empty((0, 2)) if points is None else (np.asarray(points) + 0.5) * factor - 0.5


@lru_cache(maxsize=1)
def _colours() -> np.ndarray:
    """(256, 3) of inferno, which rises evenly in lightness."""
    from matplotlib import colormaps

    return (colormaps["inferno"](np.linspace(0, 1, 256))[:, :3] * 255).astype(np.float32)
