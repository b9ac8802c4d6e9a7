"""One picture file as RGB pixels, the way a viewer would show it."""

import numpy as np
import pytest
from PIL import Image

from aulib.images import read_picture
from two_colours import BLUE, save, turned_by_exif, two_colours


def test_a_picture_turned_by_exif_is_read_upright(tmp_path):
    picture = read_picture(turned_by_exif(two_colours(), tmp_path / "a.jpg"))
    assert picture.size == (100, 80)
    assert picture.getpixel((10, 40))[0] > 200 and picture.getpixel((90, 40))[2] > 200


def test_transparent_pixels_become_mid_grey_and_half_transparent_ones_mix(tmp_path):
    picture = two_colours(mode="RGBA")
    alpha = Image.new("L", picture.size, 255)
    alpha.paste(0, (0, 0, 50, 40))
    alpha.paste(128, (0, 40, 50, 80))
    picture.putalpha(alpha)
    shown = read_picture(save(picture, tmp_path / "a.png"))
    assert shown.mode == "RGB"
    assert shown.getpixel((10, 10)) == (128, 128, 128)
    assert shown.getpixel((10, 60)) == pytest.approx((189, 69, 69), abs=2)
    assert shown.getpixel((90, 10)) == BLUE


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = save(two_colours(mode=mode), tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    assert read_picture(path).mode == "RGB"


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    values = np.linspace(0, 65535, 100).astype(np.uint16).reshape(10, 10)
    Image.fromarray(values).save(tmp_path / "a.png")
    grey = np.asarray(read_picture(tmp_path / "a.png"))[..., 0].ravel()
    assert grey == pytest.approx(np.linspace(0, 255, 100), abs=1)


def test_a_large_jpeg_is_reduced_to_the_asked_size_turned_or_not(tmp_path):
    save(two_colours(1000, 800), tmp_path / "a.jpg")
    turned_by_exif(two_colours(1000, 800), tmp_path / "b.jpg")
    for name in ("a.jpg", "b.jpg"):
        picture = read_picture(tmp_path / name, at_most=200)
        assert picture.size == (200, 160)
        assert picture.getpixel((20, 80))[0] > 200 and picture.getpixel((180, 80))[2] > 200


@pytest.mark.parametrize("size", [(10_001, 10_000), (20_000, 10_000)])
def test_pictures_of_more_than_100_megapixels_are_refused_with_the_limit(tmp_path, size):
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(Image.DecompressionBombError, match="limit of"):
        read_picture(tmp_path / "a.png", at_most=100)
