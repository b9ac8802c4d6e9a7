"""A picture file as RGB pixels, as a viewer shows it: the one place that decodes. Luminance of a batch."""

import io
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from torch import Tensor

# What Pillow reads by itself; for the others it starts a program (EPS), or they hold no photographs.
FORMATS = (
    "JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "AVIF", "JPEG2000", "PPM", "TGA", "PCX", "SGI", "SUN",
    "PSD", "QOI",
)  # fmt: skip
PAGED = ("TIFF", "GIF", "WEBP", "PNG", "AVIF")  # that may hold several pictures, one to be seen at a time
BACKGROUND = (128, 128, 128)  # behind transparent pixels and outside the picture
MAX_PIXELS = 100_000_000  # width x height; a forged header could ask for gigabytes
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
ORIENTATION = 0x0112  # EXIF tag
TURNS = {  # its value -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PHOTOMETRIC = 0x0106  # TIFF tag; 0 says that white is 0
FULL_SCALES = (255, 1023, 4095, 16383, 65535)  # of 8 to 16 bits
DEEP_COLOUR = "colours of 16 bits"  # in `Image.info`; once pixels are loaded, Pillow has forgotten it
NEARLY = 20  # grey levels from black or white


def read_picture(path: str | Path, at_most: int | None = None) -> Image.Image:
    """The picture as shown: turned by its orientation tag, transparency over mid grey, 8-bit sRGB.

    Grey, palette, CMYK, Lab and other colour spaces are converted, by their ICC profile where there is one.
    Grey of more than 8 bits, whole numbers or floats, is scaled by `_from_deep_grey`. Of an animation the
    first frame is taken.

    Args:
        at_most: longest side in pixels; a larger JPEG is decoded at a fraction of its size, which is faster.

    Raises:
        OSError: missing, empty, truncated, no picture, or no file (a pipe, a folder); a PNG that was damaged
            since it was written. Other kinds have no checksum of their pixels.
        Image.DecompressionBombError: more than MAX_PIXELS pixels.
    """
    with open_picture(path) as opened:
        return decode(opened, at_most)


def open_picture(path: str | Path) -> Image.Image:
    """The opened file: its header is read, its pixels are not; close it by `with`.

    Raises:
        OSError: as `read_picture`; opening a pipe would block.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is no file (a pipe or a folder), expected a picture")
    opened = Image.open(path, formats=_formats())
    deep = any(";16" in str(part[3]) for part in opened.tile)
    opened.info[DEEP_COLOUR] = deep and not _is_deep_grey(opened)
    return opened


def is_picture_name(path: str | Path) -> bool:
    """Whether a name has the suffix of a kind of picture that is read."""
    return os.path.splitext(path)[1].lower() in _suffixes()


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(kind for kind in FORMATS if kind in Image.ID)


@lru_cache(maxsize=1)
def _suffixes() -> frozenset[str]:
    _formats()
    return frozenset(suffix for suffix, kind in Image.EXTENSION.items() if kind in (*FORMATS, "MPO"))


def decode(opened: Image.Image, at_most: int | None = None) -> Image.Image:
    """`read_picture` of an opened picture."""
    size = upright_size(opened)
    if size[0] * size[1] > MAX_PIXELS:
        raise Image.DecompressionBombError(
            f"{size[0]} x {size[1]} pixels, more than the limit of {MAX_PIXELS // 10**6} megapixels"
        )
    if at_most and max(size) > at_most:
        size = tuple(max(1, round(side * at_most / max(size))) for side in size)
        opened.draft(None, (max(size), max(size)))
    turn = TURNS.get(orientation(opened))
    white_is_zero = opened.format == "TIFF" and opened.tag_v2.get(PHOTOMETRIC) == 0
    if opened.format == "PNG":
        _refuse_damaged(opened.filename)
    opened.load()
    shown = _to_rgb(opened if turn is None else opened.transpose(turn), white_is_zero)
    if opened.info.get(DEEP_COLOUR) and (brightest := max(high for _, high in shown.getextrema())) < 64:
        raise OSError(
            f"16-bit colours that reach {brightest} of 255 only (Pillow reads the upper 8 bits), save 8 bits"
        )
    return shown if shown.size == size else shown.resize(size, Image.Resampling.BICUBIC)


def _refuse_damaged(path: str) -> None:
    """Raises OSError if a checksum of a PNG is wrong; Pillow decodes its pixels without a look at it."""
    with Image.open(path, formats=["PNG"]) as again:
        try:
            again.verify()
        except (OSError, SyntaxError) as error:  # so Pillow calls it
            raise OSError(f"{error}: damaged or cut off since it was written, copy it again") from error


def pages_note(opened: Image.Image) -> str:
    """ "the first of 3 pages is read" of an opened TIFF or animation, "" of a single picture.

    A JPEG that holds more, as those of many phones do, holds previews.
    """
    with suppress(Exception):  # pages that nobody reads may be broken
        if opened.format in PAGED and (pages := opened.n_frames) > 1:
            return f"the first of {pages} pages is read"
    return ""


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened picture once its orientation tag is applied."""
    return picture.size[::-1] if orientation(picture) >= 5 else picture.size


def orientation(picture: Image.Image) -> int:
    """What the tag of an opened picture says, 1 to 8; 1 is upright, 5 and more swap width and height.

    It is 1 for TIFF, which Pillow turns itself, and where the tag is missing, broken or of no meaning.
    """
    try:
        tag = 1 if picture.format == "TIFF" else picture.getexif().get(ORIENTATION)
    except Exception:  # broken metadata make Pillow raise many kinds, and stop no viewer
        return 1
    return tag if tag in range(1, 9) else 1


def too_dark_or_bright(picture: Image.Image) -> str:
    """ "nearly black (99 % of its pixels are below 21 of 255)" or the same of white; "" for other pictures.

    Such a picture may be a lens cap, or its file holds fewer bits than it says, which 16-bit colour cannot
    tell.
    """
    counts = picture.convert("L").histogram()
    most = 0.99 * sum(counts)
    if sum(counts[: NEARLY + 1]) >= most:
        return f"nearly black (99 % of its pixels are at most {NEARLY} of 255)"
    if sum(counts[255 - NEARLY :]) >= most:
        return f"nearly white (99 % of its pixels are at least {255 - NEARLY} of 255)"
    return ""


def luminance(image: "Tensor") -> "Tensor":
    """RGB (B, 3, H, W) of any range -> float (B, 1, H, W), weighted by LUMINANCE; grey is kept."""
    if image.shape[1] == 1:
        return image.float()
    red, green, blue = image.split(1, 1)
    return (red * LUMINANCE[0]).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])


def _is_deep_grey(picture: Image.Image) -> bool:
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def _to_rgb(picture: Image.Image, white_is_zero: bool) -> Image.Image:
    if _is_deep_grey(picture):
        return _from_deep_grey(picture, white_is_zero)
    if picture.mode in ("RGB", "RGBA", "CMYK", "LAB"):
        picture = _to_srgb(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        shown = Image.new("RGB", picture.size, BACKGROUND)
        shown.paste(picture, mask=picture.getchannel("A"))
        return shown
    return picture.convert("RGB")


def _to_srgb(picture: Image.Image) -> Image.Image:
    """The colours of a picture with an ICC profile, or in Lab, as sRGB has them; a broken profile counts as
    none."""
    profile = picture.info.get("icc_profile")
    if picture.mode != "LAB" and not profile:
        return picture
    try:
        if picture.mode == "LAB":
            own = ImageCms.createProfile("LAB")
        else:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "srgb" in ImageCms.getProfileDescription(own).lower():
                return picture
        mode = "RGBA" if picture.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return picture


def _from_deep_grey(picture: Image.Image, white_is_zero: bool) -> Image.Image:
    """Grey of 16 or 32 bits, or floats, as 8 bits; Pillow's own conversion clips at 255.

    The scale is what the values were made for: 0 to 1 of floats, else the fewest of 8, 10, 12, 14 or 16 bits
    that hold them. Values that use less than a quarter of it, or of no such scale, are stretched to their own
    range. NaN is the lowest value.
    """
    values = np.asarray(picture, dtype=np.float64)
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    scales = (1, *FULL_SCALES) if picture.mode == "F" else FULL_SCALES
    bottom, top = min(0.0, low), next((scale for scale in scales if scale >= high), high)
    if low < high < low + (top - bottom) / 4:
        bottom, top = low, high
    values = np.nan_to_num(values, nan=low, neginf=low, posinf=high)
    grey = ((values - bottom) * (255 / (top - bottom))).round().astype(np.uint8)
    return Image.fromarray(255 - grey if white_is_zero else grey).convert("RGB")
