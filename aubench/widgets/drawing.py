"""Pictures and probability bars for widgets. Pillow draws in milliseconds; matplotlib takes tens."""

import base64
import io
import math
from functools import lru_cache
from html import escape

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageOps

from aulib.labels import AU_NAMES

# Okabe & Ito 2008, safe for colour-blind readers; the black rim shows on any skin.
FOUND, TRUE = "#56B4E9", "#E69F00"
SIDE = 320  # pixels of a picture drawn for a widget


def jpeg(picture: Image.Image) -> bytes:
    """JPEG bytes with full colour resolution; PNG would take ten times as long."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=92, subsampling=0)
    return stream.getvalue()


def data_uri(picture: Image.Image) -> str:
    """The picture inside an HTML page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture)).decode()}"


def enlarged(picture: np.ndarray, side: int = SIDE) -> Image.Image:
    """(H, W, 3) or grey (H, W), uint8 or [0, 1] -> RGB whose longer side is `side`."""
    if picture.dtype != np.uint8:
        picture = np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
    return ImageOps.contain(Image.fromarray(picture).convert("RGB"), (side, side), Image.Resampling.BICUBIC)


def with_landmarks(
    picture: np.ndarray, found: np.ndarray | None, true: np.ndarray | None = None, side: int = SIDE
) -> Image.Image:
    """The picture enlarged: landmarks found as dots, true ones as rings; (K, 2) pixels of `picture`."""
    drawn, factor = enlarged(picture, side), side / max(picture.shape[:2])
    draw = ImageDraw.Draw(drawn)
    for x, y in _placed(true, factor):
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), outline=TRUE, width=2)
    for x, y in _placed(found, factor):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=FOUND, outline="black")
    return drawn


def with_evidence(crop: np.ndarray, strength: np.ndarray | None, side: int = SIDE) -> Image.Image:
    """A map (h, w) in [0, 1] over the crop in grey, more opaque where it is strong."""
    drawn = enlarged(crop, side)
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
    return (colormaps["inferno"](np.linspace(0, 1, 256))[:, :3] * 255).astype(np.float32)


ROW = 28  # pixels: the height of an ipywidgets slider
SEEN, WRONG, QUIET = "#0072B2", "#D55E00", "#8C8C8C"  # Okabe & Ito 2008, and grey
VERDICTS = {  # (occurs, detected) -> word, colour
    (True, True): ("seen", SEEN),
    (True, False): ("missed", WRONG),
    (False, True): ("false alarm", WRONG),
    (False, False): ("", QUIET),
}

STYLE = f"""<style>
.au-row {{ height: {ROW}px; display: flex; align-items: center; gap: 8px; font-size: 13px; color: #222; }}
.au-row .name {{ flex: 0 0 178px; white-space: nowrap; }}
.au-row .track {{ position: relative; flex: 1 1 90px; min-width: 70px; height: 14px; background: #EDEDED; }}
.au-row .fill {{ height: 100%; }}
.au-row .half {{ position: absolute; left: 50%; top: -3px; height: 20px; border-left: 1px dashed #555; }}
.au-row .number {{ width: 30px; text-align: right; font-variant-numeric: tabular-nums; }}
.au-row .verdict {{ width: 74px; white-space: nowrap; }}
</style>"""


def bars(
    probability: dict[str, float], occurrence: dict[str, bool] | None = None, aus=None, names: bool = False
) -> str:
    """HTML of one bar per AU, with a mark at 0.5. Words, not only colours, say what a bar means.

    Args:
        probability: AU -> [0, 1], of the AUs that the run knows.
        occurrence: AU -> present, where known; adds "seen", "missed" or "false alarm".
        aus: the rows in order, by default those of `probability`.
        names: write the AU before its bar.
    """
    aus, occurrence = probability if aus is None else aus, occurrence or {}
    return STYLE + "".join(_row(au, probability.get(au), occurrence.get(au), names) for au in aus)


def _row(au: str, probability: float | None, occurs: bool | None, names: bool) -> str:
    label = escape(f"{au} {AU_NAMES.get(au, '')}".strip())
    name = f'<span class="name">{label}</span>' if names else ""
    if probability is None or math.isnan(probability):
        return f'<div class="au-row" data-au="{au}">{name}<span>the run does not know {au}</span></div>'
    word, colour = VERDICTS[bool(occurs), probability >= 0.5] if occurs is not None else ("", "")
    colour = colour or (SEEN if probability >= 0.5 else QUIET)
    read_out = f"{probability:.2f}{', ' + word if word else ''}"
    return (
        f'<div class="au-row" data-au="{au}" role="meter" aria-label="{label}, probability"'
        f' aria-valuemin="0" aria-valuemax="1" aria-valuenow="{probability:.4f}" aria-valuetext="{read_out}">'
        f'{name}<span class="track"><div class="fill" style="width:{100 * probability:.1f}%;'
        f'background:{colour}"></div><span class="half"></span></span>'
        f'<span class="number">{probability:.2f}</span><span class="verdict">{word}</span></div>'
    )
