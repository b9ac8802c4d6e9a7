"""One picture file as RGB pixels, the way a viewer would show it."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

BACKGROUND = (128, 128, 128)  # behind transparent pixels and outside the picture


def read_picture(path: str | Path) -> Image.Image:
    """The picture as shown: turned by its EXIF orientation, transparency over mid grey, 8-bit RGB.

    Grey, palette, CMYK and 16-bit pictures are converted; of an animation the first frame is taken.

    Raises:
        OSError: the file is missing, empty, truncated or no picture.
        Image.DecompressionBombError: it has more than twice Pillow's limit of pixels.
    """
    with Image.open(path) as picture:
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
            return _from_deep_grey(picture)
        if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            shown = Image.new("RGB", picture.size, BACKGROUND)
            shown.paste(picture, mask=picture.getchannel("A"))
            return shown
        return picture.convert("RGB")


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """16-bit and float grey: by range, since Pillow's own conversion clips at 255."""
    values = np.asarray(picture, dtype=np.float32)
    top = 65535.0 if values.max(initial=0) > 255 else 255.0
    return Image.fromarray((values.clip(0, top) * (255 / top)).round().astype(np.uint8)).convert("RGB")
