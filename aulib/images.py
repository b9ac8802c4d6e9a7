"""One picture file as RGB pixels, as a viewer shows it; luminance of a batch."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from torch import Tensor

BACKGROUND = (128, 128, 128)  # behind transparent pixels and outside the picture
MAX_PIXELS = 100_000_000  # width x height; a forged header could ask for gigabytes
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
ORIENTATION = 0x0112  # EXIF tag; 1 is upright, 5 and more swap width and height


def read_picture(path: str | Path, at_most: int | None = None) -> Image.Image:
    """The picture as shown: turned by its EXIF orientation, transparency over mid grey, 8-bit RGB.

    Grey, palette, CMYK and 16-bit pictures are converted; of an animation the first frame is taken.

    Args:
        at_most: longest side in pixels; a larger JPEG is decoded at a fraction of its size, which is faster.

    Raises:
        OSError: missing, empty, truncated, no picture, or no file (a pipe, a folder).
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
    return Image.open(path)


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
    opened.load()
    shown = _to_rgb(ImageOps.exif_transpose(opened))
    return shown if shown.size == size else shown.resize(size, Image.Resampling.BICUBIC)


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """(width, height) of an opened picture once its EXIF orientation is applied."""
    width, height = picture.size
    return (height, width) if picture.getexif().get(ORIENTATION, 1) >= 5 else (width, height)


def luminance(image: "Tensor") -> "Tensor":
    """RGB (B, 3, H, W) of any range -> float (B, 1, H, W), weighted by LUMINANCE; grey is kept."""
    if image.shape[1] == 1:
        return image.float()
    red, green, blue = image.split(1, 1)
    return (red * LUMINANCE[0]).add_(green, alpha=LUMINANCE[1]).add_(blue, alpha=LUMINANCE[2])


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        return _from_deep_grey(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        shown = Image.new("RGB", picture.size, BACKGROUND)
        shown.paste(picture, mask=picture.getchannel("A"))
        return shown
    return picture.convert("RGB")


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """16-bit and float grey, by range: Pillow's own conversion clips at 255."""
    values = np.asarray(picture, dtype=np.float32)
    top = 65535.0 if values.max(initial=0) > 255 else 255.0
    return Image.fromarray((values.clip(0, top) * (255 / top)).round().astype(np.uint8)).convert("RGB")
