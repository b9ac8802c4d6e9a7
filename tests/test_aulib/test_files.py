"""A file that cannot be read is named, with what it is and what was expected."""

import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save

from aulib.files import decoded, read_json, read_text, reading, refuse_edited, remembered_file

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
WHAT_IT_IS = {
    "git lfs pull": POINTER,
    "git annex get": b"/annex/objects/SHA256E-s9--0.bin\n",
    "a web page": b"\n<!DOCTYPE html><title>404</title>",
    "an empty file": b"",
    "of zeros": bytes(4096),
    "damaged or cut off": b"\x07noise",
}


def _packed(write) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


LIBRARIES = {
    "x.safetensors": (load_file, save({"a": np.ones(9, np.float32)})),
    "x.npz": (lambda path: dict(np.load(path)), _packed(lambda to: np.savez(to, a=np.arange(9)))),
    "x.parquet": (pd.read_parquet, _packed(pd.DataFrame({"a": range(9)}).to_parquet)),
    "x.json": (lambda path: json.loads(path.read_bytes()), b'{"a": [1, 2, 3, 4, 5, 6]}'),
    "x.zip": (
        lambda path: zipfile.ZipFile(path).testzip(),
        _packed(lambda to: zipfile.ZipFile(to, "w").close()),
    ),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_a_library_cannot_read_leaves_with_the_file_and_what_it_is(name, tmp_path):
    read, good = LIBRARIES[name]
    path = tmp_path / name
    cut = {"that are damaged or cut off; ": good[: len(good) // 2]} if name != "x.zip" else {}
    for what, content in (WHAT_IT_IS | cut).items():
        path.write_bytes(content)
        with pytest.raises(ValueError) as error, reading(path, "a thing"):
            read(path)
        text = str(error.value)
        assert text.startswith(f"{path}: expected a thing, found ") and what in text and "\n" not in text
        assert "again" in text or "git" in text, "no word of what to do"
    path.write_bytes(good)
    with reading(path, "a thing"):
        read(path)
    path.unlink()
    with pytest.raises(FileNotFoundError), reading(path, "a thing"):
        read(path)


def test_the_encoding_is_named_with_the_line(tmp_path):
    path = tmp_path / "x.yml"
    faults = {
        "line 2 is not UTF-8 (byte 0xfc)": "a\nf\xfcr".encode("latin-1"),
        "is UTF-16": "a".encode("utf-16"),
        "is UTF-32": "a".encode("utf-32"),
        "holds NUL bytes": "a".encode("utf-16-le"),
        "is empty": b"",
    }
    for what, content in faults.items():
        path.write_bytes(content)
        with pytest.raises(ValueError) as error:
            read_text(path)
        assert str(path) in str(error.value) and what in str(error.value)
    assert decoded(b"\xef\xbb\xbfa\r\n", path) == "a\r\n"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert read_text(path) == "a\nb\nc"


@pytest.mark.parametrize("content", ["[1]", "null", '"a"', "3", "", "{", "[" * 100_000, '{"a": 1} 2'])
def test_json_is_one_object_or_refused_by_name(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="config.json: expected (a )?JSON"):
        read_json(path)
    path.write_text('\ufeff{"a": null}', encoding="utf-8")
    assert read_json(path) == {"a": None}


def test_a_key_that_json_has_twice_is_named(tmp_path):
    path = tmp_path / "summary.json"
    path.write_text('{"variants": {"full": 1, "full": 2}}')
    with pytest.raises(ValueError, match="summary.json: key 'full' is given twice$"):
        read_json(path)


def test_a_folder_or_another_file_in_place_of_a_written_one_is_named(tmp_path):
    with remembered_file(tmp_path, "manifest.csv.bak") as partial:
        partial.write_text("a")
    manifest = tmp_path / "manifest.csv"
    manifest.mkdir()
    with pytest.raises(FileExistsError, match="manifest.csv was edited since"):
        refuse_edited(tmp_path, "manifest.csv")
    manifest.rmdir()
    manifest.write_text("a")  # as the other file has
    with pytest.raises(FileExistsError, match="manifest.csv was edited since"):
        refuse_edited(tmp_path, "manifest.csv")
