"""The walk over a folder: every visible file is a picture or listed with the reason."""

import os
import shutil

import pytest
from PIL import Image

from aubench.datasets.picture_files import list_pictures, printable, stored_name, walk, why_unusable


def tree(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (200, 10, 10)).save(root / file, format="PNG")


def test_links_are_followed_once_and_loops_end(tmp_path):
    tree(tmp_path, "photos/anna/a.jpg", "elsewhere/berta/b.jpg", "elsewhere/c.jpg")
    photos = tmp_path / "photos"
    links = {
        "berta": "../elsewhere/berta",  # a folder outside
        "c.jpg": "../elsewhere/c.jpg",  # a file outside
        "aaa": "anna",  # a folder that is read anyway
        "anna/up": "..",  # the folder around it
        "anna/more": "../../elsewhere",  # a folder whose subfolder is read by another link
        "gone": "nowhere",
        "itself": "itself",
    }
    for link, target in links.items():
        os.symlink(target, photos / link)
    os.symlink(photos, tmp_path / "elsewhere/back")
    pictures, left = list_pictures(photos)
    assert pictures == ["anna/a.jpg", "anna/more/c.jpg", "berta/b.jpg", "c.jpg"]
    assert left.keys() == {"aaa/", "anna/up/", "anna/more/berta/", "anna/more/back/", "gone", "itself"}
    assert "anna/" in left["aaa/"] and "berta/" in left["anna/more/berta/"]


def test_a_raw_download_may_be_entered_by_two_names(tmp_path):
    tree(tmp_path, "one/a.png")
    os.symlink("one", tmp_path / "AU_OCC")
    os.symlink("..", tmp_path / "one/up")
    left = {}
    assert dict(walk(tmp_path, left, again=True)) == {"": [], "one/": ["a.png"], "AU_OCC/": ["a.png"]}
    assert left.keys() == {"one/up/", "AU_OCC/up/"}


@pytest.mark.parametrize("mark", [".written", ".prepare.jsonl"])
def test_a_dataset_folder_among_photographs_is_listed_and_not_entered(mark, tmp_path):
    tree(tmp_path, "a.png", "run/faces/images/a.png", "own/images/b.png")
    (tmp_path / "run/faces" / mark).touch()
    (tmp_path / "own/manifest.csv").touch()  # of a folder made by hand, which may hold no copies
    pictures, left = list_pictures(tmp_path)
    assert pictures == ["a.png", "own/images/b.png"]
    assert left.keys() == {"run/faces/", "own/manifest.csv"} and "copies" in left["run/faces/"]
    assert list_pictures(tmp_path / "run/faces")[0] == ["images/a.png"]
    with pytest.raises(FileNotFoundError, match=r"found faces/ \(a dataset folder"):
        list_pictures(tmp_path / "run")


def test_a_folder_that_cannot_be_read_is_listed(tmp_path, monkeypatch):
    tree(tmp_path, "open/a.png", "closed/b.png")
    scandir = os.scandir

    def refused(path):  # the permissions themselves stop no root
        if str(path).rstrip("/").endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    pictures, left = list_pictures(tmp_path)
    assert pictures == ["open/a.png"] and left == {"closed/": "this folder cannot be read: Permission denied"}


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "PPM", "TGA", "PCX", "SGI"]
)
def test_a_picture_is_known_by_its_suffix_or_its_first_bytes(kind, tmp_path):
    Image.init()
    suffixes = [suffix for suffix, name in Image.EXTENSION.items() if name == kind]
    for name in ["without", "odd.suffix", *(f"a{suffix}" for suffix in suffixes), f"A{suffixes[0].upper()}"]:
        Image.new("L", (8, 8), 200).save(tmp_path / name, format=kind)
    pictures, left = list_pictures(tmp_path)
    assert sorted(pictures) == sorted(os.listdir(tmp_path)) and not left


def test_other_files_are_listed_and_hidden_ones_are_not(tmp_path):
    tree(tmp_path, "a.png", ".hidden.png", "._a.png", ".folder/b.png")
    for name, data in {
        "Thumbs.db": b"\xd0\xcf\x11\xe0" * 99,
        "note": b"text",
        "v.mp4": b"\0\0\0\x18ftyp",
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "raw.CR2").touch()
    os.mkfifo(tmp_path / "pipe")
    pictures, left = list_pictures(tmp_path)
    assert pictures == ["a.png", "raw.CR2"]
    assert left.keys() == {"Thumbs.db", "note", "v.mp4", "empty", "pipe"}
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    (tmp_path / "note").touch()
    for folder, why in {
        tmp_path: "no picture, found note",
        tmp_path / "nowhere": "nowhere is not a folder",
    }.items():
        with pytest.raises(FileNotFoundError, match=why):
            list_pictures(folder)


def test_no_program_is_started_for_a_file(tmp_path):
    tree(tmp_path, "a.png")
    (tmp_path / "b.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    from aulib.images import read_picture

    with pytest.raises(OSError, match="cannot identify"):
        read_picture(tmp_path / "b.jpg")


@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", b"line\nbreak.jpg", b"back\\slash.jpg", b" sp ace .jpg", b"\x7f\xff"]
)
def test_any_name_becomes_text_that_a_manifest_can_hold(name):
    stored = stored_name(os.fsdecode(b"folder /" + name))
    assert (
        stored.encode("utf-8")
        and "\\" not in stored
        and stored == "/".join(p.strip() for p in stored.split("/"))
    )
    assert printable(os.fsdecode(name)).isprintable()


def test_a_file_that_cannot_be_asked_for_is_unusable(tmp_path):
    assert why_unusable(tmp_path / ("x" * 300 + ".jpg")) == "unreadable: File name too long"
