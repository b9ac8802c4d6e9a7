"""One picture file as RGB pixels, the way a viewer would show it."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from aulib.images import open_picture, read_picture, too_dark_or_bright, upright_size
from two_colours import BLUE, RED, save, turned_by_exif, two_colours


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


SHADES = (
    np.add.outer(np.arange(0, 192, 16), np.arange(0, 64, 4)).astype(np.float64) / 236
)  # (12, 16) of [0, 1]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_any_depth_is_read_as_the_same_picture_of_8_bits(bits, suffix, tmp_path):
    Image.fromarray((SHADES * (2**bits - 1)).round().astype(np.uint16)).save(tmp_path / f"a{suffix}")
    grey = np.asarray(read_picture(tmp_path / f"a{suffix}"))
    assert np.abs(grey - (SHADES * 255)[..., None]).max() <= 2


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0, 255), (0, 65535), (-1, 1), (0, 0.01), (0, 3e5), (900, 990)]
)
@pytest.mark.parametrize("gaps", [(), (np.nan,), (np.nan, np.inf, -np.inf)])
def test_floats_of_any_range_with_gaps_keep_their_shades(low, high, gaps, tmp_path):
    values = (low + SHADES * (high - low)).astype(np.float32)
    for row, gap in enumerate(gaps):
        values[row, 5] = gap
    Image.fromarray(values).save(tmp_path / "a.tif")
    grey = np.asarray(read_picture(tmp_path / "a.tif"))[..., 0]
    assert np.abs(grey[3:] - SHADES[3:] * 255).max() <= 2
    assert grey[: len(gaps), 5].tolist() == [0, 255, 0][: len(gaps)]


def test_a_picture_without_any_number_or_contrast_is_read_all_the_same(tmp_path):
    for value in (np.nan, 0, 0.5, -3, 7e9):
        Image.fromarray(np.full((4, 4), value, np.float32)).save(tmp_path / "a.tif")
        assert np.ptp(np.asarray(read_picture(tmp_path / "a.tif"))) == 0


def test_deep_grey_whose_zero_is_white_is_read_so(tmp_path):
    Image.fromarray((SHADES * 65535).astype(np.uint16)).save(tmp_path / "a.tif", tiffinfo={262: 0})
    grey = np.asarray(read_picture(tmp_path / "a.tif"))[..., 0]
    assert np.abs(grey - (1 - SHADES) * 255).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png", ".webp"])
def test_every_orientation_of_every_container_is_applied_once(orientation, suffix, tmp_path):
    lying = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> the transposition that it undoes
    upright = two_colours(60, 40)
    upright.paste((10, 250, 10), (0, 0, 60, 12))
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(lying[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a{suffix}", exif=exif)
    with open_picture(tmp_path / f"a{suffix}") as opened:
        assert upright_size(opened) == (60, 40)
    for at_most in (None, 30):
        picture = read_picture(tmp_path / f"a{suffix}", at_most)
        assert picture.size == ((60, 40) if at_most is None else (30, 20))
        apart = np.asarray(picture.resize((6, 4), 4), float) - np.asarray(upright.resize((6, 4), 4), float)
        assert np.abs(apart).mean() < 8


def test_colours_are_those_of_the_pictures_own_profile(tmp_path):
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    odd = plain.replace(b"rXYZ", b"oXYZ").replace(b"gXYZ", b"rXYZ").replace(b"oXYZ", b"gXYZ")  # red is green
    odd = odd.replace(b"s\0R\0G\0B", b"o\0d\0d\0!")
    two_colours().save(tmp_path / "odd.png", icc_profile=odd)
    two_colours().save(tmp_path / "plain.png", icc_profile=plain)
    two_colours().save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    red, green, blue = read_picture(tmp_path / "odd.png").getpixel((10, 10))
    assert green > 200 and red < 60 and blue < 60
    for name in ("plain.png", "broken.png"):
        assert read_picture(tmp_path / name).getpixel((10, 10)) == RED


def test_lab_is_read_in_its_colours(tmp_path):
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    ImageCms.applyTransform(two_colours(), to_lab).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").getpixel((10, 10)) == pytest.approx(RED, abs=12)


@pytest.mark.parametrize(("shade", "said"), [(14, "nearly black"), (128, ""), (252, "nearly white")])
def test_a_picture_nearly_black_or_white_is_told(shade, said):
    picture = Image.new("RGB", (50, 50), (shade,) * 3)
    picture.putpixel((3, 3), (200, 100, 0))  # a hot pixel
    assert too_dark_or_bright(picture).startswith(said) and bool(too_dark_or_bright(picture)) == bool(said)


@pytest.mark.parametrize("tag", [0, 9, 300])
def test_an_orientation_of_no_meaning_turns_nothing(tag, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = tag
    two_colours(60, 40).save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg").size == (60, 40)


def test_broken_metadata_lose_no_picture(tmp_path):
    two_colours(60, 40).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xff" + b"\xff" * 40)
    two_colours(60, 40).save(tmp_path / "b.jpg", exif=b"Exif\0\0no metadata at all")
    for name in "ab":
        assert read_picture(tmp_path / f"{name}.jpg").size == (60, 40)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".gif", ".bmp"])
def test_a_picture_that_was_cut_off_is_refused_at_any_size(suffix, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = save(Image.fromarray(noise), tmp_path / f"a{suffix}").read_bytes()
    for share in (0.3, 0.6, 0.95):
        (tmp_path / f"a{suffix}").write_bytes(data[: int(share * len(data))])
        for at_most in (None, 40):
            with pytest.raises(OSError):
                read_picture(tmp_path / f"a{suffix}", at_most)


def test_a_png_with_flipped_bytes_is_refused_as_other_viewers_do(tmp_path):
    path = save(two_colours(), tmp_path / "a.png", compress_level=0)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(OSError, match="checksum in b'IDAT'.*: damaged or cut off since it was written"):
        read_picture(path)


@pytest.mark.parametrize("bits", [12, 16])
def test_colour_of_16_bits_is_read_or_refused_and_never_black(bits, tmp_path):
    values = (np.asarray(two_colours(8, 8), np.uint16) * (2**bits // 256)).astype(">u2")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    if bits == 16:
        assert read_picture(tmp_path / "a.png").getpixel((1, 1)) == RED
    else:
        with pytest.raises(OSError, match="16-bit colours that reach 15 of 255"):
            read_picture(tmp_path / "a.png")
