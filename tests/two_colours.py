"""Pictures of two colours, to see which way up they are read."""

from PIL import Image

RED, BLUE = (250, 10, 10), (10, 10, 250)


def two_colours(width=100, height=80, mode="RGB"):
    """Left half red, right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture.convert(mode)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def turned_by_exif(picture, path):
    """A file whose pixels lie on their side and whose EXIF tag says so, as phones write."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    return save(picture.transpose(Image.Transpose.ROTATE_90), path, exif=exif, quality=95)
