"""Bad input on every reader, by hand and at random, ends in a named error or in the skipped list."""

import gzip
import io
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from test_interchange import jaanet_lists, megraphau_lists, openface_csv, pyfeat_csv
from test_landmark_tables import landmark_csv

import raw_trees
from aubench.datasets.converters import CONVERTERS
from aubench.datasets.converters.convert import convert
from aubench.datasets.converters.mat_files import read_points, read_tracks
from aubench.datasets.converters.raw_session import Session
from aubench.datasets.converters.raw_tree import Tree
from aubench.datasets.doctor.check import check
from aubench.datasets.face_finding import UnusablePicture, read_upright
from aubench.datasets.interchange.lists import read_jaanet, read_megraphau
from aubench.datasets.interchange.tables import read_openface, read_pyfeat
from aubench.datasets.landmark_tables import read_landmarks
from aubench.datasets.photographs import prepare
from aubench.datasets.videos import read_frames
from aulib.dataset import read_dataset
from conftest import write_tiny_set

NAMED = (ValueError, FileNotFoundError, FileExistsError, OSError, Image.DecompressionBombError)


def ends_well(call, *names: str):
    """The result of a case, or None after a named error whose message says which file, one of `names`."""
    try:
        return call()
    except NAMED as error:
        text = str(error)
        assert any(name in text for name in names), f"{type(error).__name__}: {text} does not name {names}"
        assert len(text) < 4000, "a message of more than a screen"
        return None


def _lines(data: bytes) -> list[bytes]:
    return data.split(b"\n")


def _cell(data: bytes, value: bytes) -> bytes:
    """The last cell of the second line replaced, whatever separates cells."""
    lines = _lines(data)
    at = 1 if len(lines) > 2 else 0
    for separator in (b"\t", b",", b" "):
        if separator in lines[at].strip():
            head = lines[at].rstrip().rpartition(separator)[0]
            lines[at] = head + separator + value
            break
    else:
        lines[at] = value
    return b"\n".join(lines)


TEXT_FAULTS = {
    "empty": lambda d: b"",
    "blank": lambda d: b"  \n\n \n",
    "half of it": lambda d: d[: len(d) // 2],
    "last line cut": lambda d: d.rstrip()[:-3],
    "header alone": lambda d: _lines(d)[0] + b"\n",
    "no header": lambda d: b"\n".join(_lines(d)[1:]),
    "header twice": lambda d: _lines(d)[0] + b"\n" + d,
    "semicolons": lambda d: d.replace(b",", b";").replace(b"\t", b";"),
    "pipes for spaces": lambda d: d.replace(b" ", b"|").replace(b",", b"|"),
    "byte order mark": lambda d: b"\xef\xbb\xbf" + d,
    "CRLF": lambda d: d.replace(b"\n", b"\r\n"),
    "CR alone": lambda d: d.replace(b"\n", b"\r"),
    "UTF-16": lambda d: d.decode().encode("utf-16"),
    "Latin-1": lambda d: _cell(d, "né".encode("latin-1")),
    "NUL bytes": lambda d: d[:20] + bytes(8) + d[20:],
    "NaN": lambda d: _cell(d, b"nan"),
    "infinity": lambda d: _cell(d, b"inf"),
    "huge number": lambda d: _cell(d, b"1e308"),
    "hundred digits": lambda d: _cell(d, b"9" * 100),
    "negative": lambda d: _cell(d, b"-7"),
    "text for a number": lambda d: _cell(d, b"present"),
    "Arabic digits": lambda d: _cell(d, "٣".encode()),
    "half": lambda d: _cell(d, b"0.5"),
    "cell too many": lambda d: _cell(d, b"1,1,1 1\t1"),
    "first column gone": lambda d: b"\n".join(line.partition(b",")[2] for line in _lines(d)),
    "a row twice": lambda d: d + (_lines(d)[-2] if len(_lines(d)) > 1 else b"") + b"\n",
    "megabyte cell": lambda d: _cell(d, b"x" * 1_000_000),
    "open quote": lambda d: b'"' + d,
    "gzip": gzip.compress,
    "noise": lambda d: np.random.default_rng(0).bytes(500),
}


class Reader:
    """A reader and the file it reads: `file` is damaged, `read` must then end well, naming one of `names`."""

    def __init__(self, file: Path, read, names: tuple[str, ...] = ()):
        self.file, self.read, self.names = file, read, names or (file.name,)
        self.good = file.read_bytes()


def _converter(name: str, root: Path) -> Reader:
    raw = getattr(raw_trees, f"write_{name}")(root)
    converter = CONVERTERS[name]
    source = converter.find(Tree(raw))[0]
    file = next(path for kind, path in source.files.items() if kind.startswith("labels"))

    def read() -> pd.DataFrame:
        found = [converter.read(one) for one in converter.find(Tree(raw)) if file in one.files.values()]
        assert found, "the damaged file is looked for no more"
        return pd.concat([_usable(session) for session in found], ignore_index=True)

    return Reader(file, read, (file.name, str(root)))


def _usable(session: Session) -> pd.DataFrame:
    """Rows that a conversion would take; the others land in skipped.csv, each with its reason."""
    rows = session.labels.assign(frame=session.frames, picture=[str(p or "") for p in session.pictures])
    if session.video and not any(session.pictures):
        there = dict.fromkeys(index for index, _ in read_frames(session.video, session.video_frames))
        rows["picture"] = [f"#{index}" if index in there else "" for index in session.video_frames]
    sound = ~np.isin(np.arange(len(rows)), list(session.faults))
    return rows[sound & (rows["picture"] != "") & session.labels.notna().any(axis=1)]


READERS = [*CONVERTERS, "manifest", "doctor", "jaanet", "jaanet landmarks", "megraphau", "openface", "pyfeat",
           "landmark table"]  # fmt: skip


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> dict[str, Reader]:
    root = tmp_path_factory.mktemp("readers")
    made = {name: _converter(name, root / name) for name in CONVERTERS}
    folder, checked = (write_tiny_set(root / name, n=12) for name in ("manifest", "doctor"))
    made["manifest"] = Reader(folder / "manifest.csv", lambda: read_dataset(folder))
    check_folder = partial(check, checked, pictures=0, progress=False)
    made["doctor"] = Reader(checked / "manifest.csv", check_folder)
    prefix, *_ = jaanet_lists(root / "jaanet")
    for name, kind in {"jaanet": "AUoccur", "jaanet landmarks": "land"}.items():
        made[name] = Reader(Path(f"{prefix}_{kind}.txt"), lambda: read_jaanet(prefix), ("BP4D_part1",))
    lists = megraphau_lists(root / "megraphau")
    label_file = lists / "DISFA_train_label_fold3.txt"
    made["megraphau"] = Reader(label_file, lambda: read_megraphau(lists, "DISFA", 3), ("DISFA_train",))
    clip = openface_csv(root / "clip.csv")
    made["openface"] = Reader(clip, lambda: read_openface(clip))
    faces = pyfeat_csv(root / "faces.csv", ["a.jpg", "b.jpg"])
    table = pd.read_csv(faces)
    table[[*table.columns.drop("AU12"), "AU12"]].to_csv(faces, index=False)  # a number last
    made["pyfeat"] = Reader(faces, lambda: read_pyfeat(faces))
    points = landmark_csv(root / "points.csv", [("a.jpg", 50), ("b.jpg", 60), ("b.jpg", 40)])
    made["landmark table"] = Reader(points, lambda: read_landmarks(points, ["a.jpg", "b.jpg"]))
    return made


# Faults after which a file is sound and holds something else: it must be read as it stands.
OTHER_VALUE = {"negative", "half", "Arabic digits", "last line cut"}  # another number, within bounds
SAYS_OTHERWISE = {
    "manifest": OTHER_VALUE - {"Arabic digits"}, "jaanet landmarks": OTHER_VALUE,
    # A header alone is a picture without a face.
    "openface": {"NaN", "first column gone", "header alone"}, "landmark table": {"half", "negative"},
    "pyfeat": {"NaN", "half", "last line cut", "first column gone", "header alone"},
    # Cut at a line's end, without a header or a number of rows. The report finds it in gft and rafau, whose
    # published size it compares, and not in emotionet.
    "gft": {"half of it"}, "rafau": {"half of it", "header alone", "no header"},
    "emotionet": {"header alone", "no header"},
    # A file of no lines says that no AU is there, one of fewer lines that fewer are.
    "ckplus": {"blank", "first column gone", "half of it", "header alone", "no header"},
}  # fmt: skip
REFUSED = {"empty", "UTF-16", "gzip", "noise", "NUL bytes"}
READ_ALIKE = {"CRLF", "byte order mark"}
ANY_LINE_END = {"bp4d", "disfa", "affwild2", "jaanet", "megraphau", "openface", "manifest"}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_refused_or_read_as_the_clean_one_and_never_otherwise(name, readers):
    """The doctor is no reader: it reports, and is only asked to end well."""
    reader, otherwise = readers[name], set()
    try:
        clean = reader.read()
        for fault, damage in TEXT_FAULTS.items():
            reader.file.write_bytes(damage(reader.good))
            found = ends_well(reader.read, *reader.names)
            if name == "doctor":
                continue
            assert found is None or fault not in REFUSED, f"{fault} was read as if nothing were wrong"
            assert found is not None or fault not in READ_ALIKE or name not in ANY_LINE_END, fault
            otherwise |= set() if found is None or _same(found, clean) else {fault}
        assert otherwise == SAYS_OTHERWISE.get(name, set())
    finally:
        reader.file.write_bytes(reader.good)


def _same(found, clean) -> bool:
    if isinstance(clean, dict):  # picture -> (landmarks, number of faces)
        return found.keys() == clean.keys() and all(
            np.array_equal(found[key][0], clean[key][0]) and found[key][1] == clean[key][1] for key in clean
        )
    found, clean = (getattr(one, "table", one).reset_index(drop=True) for one in (found, clean))
    return found.shape == clean.shape and (found.columns == clean.columns).all() and found.equals(clean)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_text_damaged_at_random_ends_the_same_way(name, readers, data):
    reader = readers[name]
    good = reader.good
    at = data.draw(st.integers(0, max(len(good) - 1, 0)))
    gone = data.draw(st.sampled_from([0, 1, 3, 50, len(good)]))
    new = data.draw(
        st.one_of(st.binary(max_size=12), st.sampled_from([b",", b"\n", b'"', b"-1", b"1e999", b"\xff"]))
    )
    try:
        reader.file.write_bytes(good[:at] + new + good[at + gone :])
        ends_well(reader.read, *reader.names)
    finally:
        reader.file.write_bytes(good)


BINARY_FAULTS = {
    "empty": lambda d: b"",
    "ten bytes": lambda d: d[:10],
    "header alone": lambda d: d[:128],
    "half of it": lambda d: d[: len(d) // 2],
    "all but the end": lambda d: d[:-20],
    "noise": lambda d: np.random.default_rng(1).bytes(len(d)),
    "noise inside": lambda d: d[: len(d) // 3] + np.random.default_rng(2).bytes(200) + d[len(d) // 3 + 200 :],
    "text": lambda d: b"this is no such file\n" * 30,
}


@pytest.mark.parametrize("fault", BINARY_FAULTS)
def test_damaged_matlab_files_and_videos(fault, tmp_path):
    damage = BINARY_FAULTS[fault]
    frames = list(range(1, 6))
    for modern in (False, True):
        path = raw_trees.tracks(tmp_path / f"{modern}.mat", frames, [], "pred", modern)
        path.write_bytes(damage(path.read_bytes()))
        ends_well(lambda path=path: read_tracks(path), path.name)
        ends_well(lambda path=path: read_points(path), path.name)
    for suffix in (".avi", ".mp4"):
        path = raw_trees.video(tmp_path / f"clip{suffix}", 8)
        path.write_bytes(damage(path.read_bytes()))
        ends_well(lambda path=path: list(read_frames(path, range(8))), path.name)


@pytest.mark.parametrize(
    "content",
    [
        {"x": np.zeros((49, 2))}, {"pts": "no points"}, {"pts": 3.0}, {"pts": np.zeros((2, 2, 2))},
        {"fit": np.zeros((49, 2))}, {"fit": {"shape": np.zeros((49, 2))}},
    ],
)  # fmt: skip
def test_matlab_files_that_hold_something_else(content, tmp_path):
    savemat(tmp_path / "other.mat", content)
    for read in (read_points, read_tracks):
        assert ends_well(lambda read=read: read(tmp_path / "other.mat"), "other.mat") is None


def _usable_pictures() -> dict[str, Image.Image]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    plain = Image.fromarray(noise)
    names = [
        "with space.jpg",
        "qu'ote\".png",
        "ünïcödé.jpg",
        "照片.png",
        "😀.jpg",
        "-rf.jpg",
        "a" * 200 + ".jpg",
    ]
    names += ["a,b;c.png", "100%.jpg", "$(id).png", "a..b.jpg"]
    modes = {"cmyk.jpg": "CMYK", "grey.jpg": "L", "bits.png": "1", "palette.gif": "P", "alpha.webp": "RGBA"}
    return dict.fromkeys(names, plain) | {name: plain.convert(mode) for name, mode in modes.items()} | {
        "sixteen.png": Image.fromarray(noise[..., 0].astype(np.uint16) * 256),
        "float.tif": Image.fromarray(noise[..., 0].astype(np.float32)),
    }  # fmt: skip


def _encoded(picture: Image.Image, suffix: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, Image.registered_extensions()[suffix])
    return stream.getvalue()


def _unusable_pictures() -> dict[str, bytes]:
    plain = _usable_pictures()["100%.jpg"]
    whole = {suffix: _encoded(plain, suffix) for suffix in (".jpg", ".png", ".webp", ".gif", ".tif", ".bmp")}
    size = (9000).to_bytes(4, "big")
    return {f"cut{suffix}": data[:300] for suffix, data in whole.items()} | {
        "empty.jpg": b"", "text.png": b"no picture", "html.jpg": b"<html>404</html>", "two.HEIC": b"ftypheic",
        "README.md": b"no picture",
        "hundred_megapixels.png": _encoded(Image.new("1", (10_500, 10_000)), ".png"),
        "two_hundred.png": _encoded(Image.new("1", (20_000, 10_000)), ".png"),
        "forged.png": whole[".png"][:16] + size + size + whole[".png"][24:],  # the header says 9,000 x 9,000
        "one_pixel.png": _encoded(Image.new("RGB", (1, 1)), ".png"),
    }  # fmt: skip


def test_pictures_of_every_kind_are_used_or_listed_with_a_reason(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    good, bad = _usable_pictures(), _unusable_pictures()
    for name, picture in good.items():
        picture.save(photos / name)
    for name, data in bad.items():
        (photos / name).write_bytes(data)
    good["100%.jpg"].save(photos / "line\nbreak.png")  # that a CSV of OpenFace could not name
    os.symlink("nowhere.jpg", photos / "dangling.jpg")
    os.symlink("loop.jpg", photos / "loop.jpg")
    os.mkfifo(photos / "pipe.jpg")  # opening it would wait for ever
    (photos / "folder.jpg").mkdir()
    os.symlink(photos, photos / "folder.jpg/up")
    special = ["dangling.jpg", "loop.jpg", "pipe.jpg"]
    file = landmark_csv(tmp_path / "faces.csv", [(name, 64) for name in [*good, *bad, *special]])
    data = prepare(photos, tmp_path / "out", landmarks=file, workers=1, progress=False)
    assert set(data.table["meta_source"]) == set(good)
    reasons = pd.read_csv(tmp_path / "out/skipped.csv", keep_default_na=False, index_col="image")["reason"]
    assert sorted(reasons.index) == sorted([*bad, *special, "line\\x0abreak.png", "folder.jpg/up/"])
    assert reasons.str.len().min() > 5 and not reasons.str.contains(str(photos), regex=False).any()
    for name, why in {
        "hundred_megapixels.png": "100 megapixels", "pipe.jpg": "pipe", "two.HEIC": "JPEG",
        "cut.jpg": "Truncated", "README.md": "no picture",
    }.items():  # fmt: skip
        assert why in reasons[name]


@pytest.mark.parametrize("name", ["clip.csv", "voice.mp3", "video"])
def test_what_is_no_picture_is_not_called_damaged(name, tmp_path):
    (tmp_path / name).write_bytes(b"frame,success\n1,1\n\xff")
    with pytest.raises(UnusablePicture, match="neither a picture nor called as a video"):
        read_upright(tmp_path / name, at_most=None)


PATHS = (
    *("../secret.png", "images/../../secret.png", "/etc/hostname", "C:\\x.png", "images\\000.png", "", " "),
    *("images", "images/", "//host/share/x.png", "~/x.png", "file:///etc/hostname", "images/000.png\x00"),
    *("a" * 5000 + ".png", "images/%2e%2e/secret.png", "images/nowhere.png"),
)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: repr(p[:30]))
def test_a_manifest_names_pictures_inside_the_folder_only(path, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    folder = write_tiny_set(tmp_path / "set", n=12)
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table.loc[3, "image"] = path
    table.to_csv(folder / "manifest.csv", index=False)
    with pytest.raises(ValueError, match=r"manifest.csv (row 5: image |holds NUL)"):
        read_dataset(folder)
    assert check(folder, pictures=20, progress=False).count("error")


@pytest.mark.parametrize("name", ["F 001", "Müller", "田中", "O'Neil", 'quo"te', "a,b", "😀"])
def test_people_and_folders_with_any_name(name, tmp_path):
    folder = write_tiny_set(tmp_path / name.replace("/", "_"), n=12)
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table["subject"] = table["subject"] + name
    os.rename(folder / "images", folder / name)
    table["image"] = table["image"].str.replace("images", name, regex=False)
    table.to_csv(folder / "manifest.csv", index=False)
    data = read_dataset(folder)
    assert len(data) == 12 and data.image_paths[0].is_file()
    assert check(folder, pictures=4, progress=False).count("error") == 0


def test_raw_trees_below_folders_with_any_name(tmp_path):
    for name in ("my data (copy)", "Загрузки", "it's"):
        raw = raw_trees.write_disfa(
            tmp_path / name / "DISFA [v2]", subjects=("SN002", "SN005", "SN008"), num=2
        )
        data, _ = convert("disfa", raw, tmp_path / f"out {name}", workers=1, progress=False)
        assert len(data) == 5
