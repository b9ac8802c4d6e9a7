"""Files and folders appear whole or not at all, and nothing of the user's is touched."""

import os
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from aufaces.files import RESULTS, atomic_file, cache_root, new_folder, refuse_other, result_file


def everything(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else "a folder"
        for path in sorted(folder.rglob("*"))
    }


def test_what_lies_next_to_a_new_folder_or_file_stays_whatever_its_name(tmp_path):
    for name in ("X.partial", ".X.part", "X.part", ".X", "X.tmp", "X.partial-1234abcd", ".part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("mine")
    before = everything(tmp_path)
    with new_folder(tmp_path / "X") as folder:
        (folder / "made").write_text("ours")
    with atomic_file(tmp_path / "Y.csv") as partial:
        partial.write_text("ours")
    assert everything(tmp_path) == before | {"X": "a folder", "X/made": "ours", "Y.csv": "ours"}


def test_an_error_leaves_what_was_there(tmp_path):
    (tmp_path / "a.csv").write_text("earlier")
    (tmp_path / "empty").mkdir()
    before = everything(tmp_path)
    for path in (tmp_path / "empty", tmp_path / "new"):
        with pytest.raises(KeyboardInterrupt), new_folder(path) as folder:
            (folder / "half").touch()
            raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a.csv") as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert everything(tmp_path) == before


@pytest.mark.parametrize("there", ["a file", "a folder with a file", "a folder with a hidden file"])
def test_a_folder_that_holds_something_is_refused(there, tmp_path):
    used = tmp_path / "used"
    if there == "a file":
        used.write_text("mine")
    else:
        used.mkdir()
        (used / (".mine" if "hidden" in there else "mine")).write_text("mine")
    before = everything(tmp_path)
    with pytest.raises(FileExistsError, match="used is .*, expected a new folder"), new_folder(used):
        raise AssertionError("began to work")
    assert everything(tmp_path) == before


def test_of_two_that_make_one_folder_the_later_is_told(tmp_path):
    both, target = Barrier(2), tmp_path / "target"

    def make(text: str) -> str:
        try:
            with new_folder(target) as folder:
                (folder / "who").write_text(text)
                both.wait(10)
            return "made"
        except FileExistsError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(make, ("first", "second")))
    assert sorted(outcomes) == [f"{target} is not empty, expected a new folder", "made"]
    assert everything(tmp_path).keys() == {"target", "target/who"}


def test_a_link_to_an_empty_folder_stays_a_link(tmp_path):
    (tmp_path / "large_disk").mkdir()
    (tmp_path / "link").symlink_to("large_disk")
    with new_folder(tmp_path / "link") as folder:
        (folder / "made").touch()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "large_disk/made").exists()


def test_a_file_may_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic_file(tmp_path / "a") as partial:
            partial.touch()
        with new_folder(tmp_path / "b"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o755


@contextmanager
def files_of_at_most(size: int):
    """As on a disk that is full: what would grow beyond `size` bytes fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOISE = np.random.default_rng(0).random(100_000)
WRITERS = {
    "text": lambda path: path.write_text("x" * 100_000),
    "numpy": lambda path: np.save(path.open("wb"), NOISE),
    "torch": lambda path: torch.save({"a": torch.ones(100_000)}, path),
    "safetensors": lambda path: save_file({"a": torch.ones(100_000)}, path),
    "csv": lambda path: pd.DataFrame({"a": NOISE}).to_csv(path),
    "parquet": lambda path: pd.DataFrame({"a": NOISE}).to_parquet(path),
    "png": lambda path: Image.fromarray((NOISE.reshape(250, 400) * 255).astype(np.uint8)).save(path, "PNG"),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_full_disk_is_one_sentence_with_the_file_and_what_to_do_whoever_writes(what, tmp_path):
    path = tmp_path / "made.bin"
    path.write_text("earlier")
    with pytest.raises(OSError) as error, files_of_at_most(8192), atomic_file(path) as partial:
        WRITERS[what](partial)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and "make room and repeat the command" in text and "\n" not in text
    assert everything(tmp_path) == {"made.bin": "earlier"}


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere", ""])
def test_a_home_without_a_cache_is_one_sentence_that_says_what_to_set(home, tmp_path, monkeypatch):
    monkeypatch.delenv("AULIB_CACHE", raising=False)
    monkeypatch.setenv("HOME", home)
    if not home:  # nor has the user one in /etc/passwd, as in a container
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(
        OSError, match="cache folder .* cannot be made .*set AULIB_CACHE to a folder"
    ) as error:
        cache_root()
    assert "\n" not in str(error.value)
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own" and cache_root().is_dir()


def test_a_result_replaces_an_earlier_one_and_no_other_file(tmp_path, monkeypatch):
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))

    def write(name: str, text: str, kind: str = "table") -> None:
        with result_file(tmp_path / name, kind) as partial:
            partial.write_text(text)

    write("new/out.csv", "image,status\n1")
    write("new/out.csv", "image,status\n2")
    assert (tmp_path / "new/out.csv").read_text() == "image,status\n2"
    (tmp_path / "mine").mkdir()
    for name in ("mine.csv", "new/out.csv"):  # the second one was edited
        (tmp_path / name).write_text("image,status,mine\n")
    before = everything(tmp_path)
    for name in ("mine.csv", "mine", "new/out.csv"):
        with pytest.raises(
            FileExistsError, match=f"{name} exists and is no earlier result of this, or was edited"
        ):
            write(name, "image,status")
        with pytest.raises(
            FileExistsError, match=f"{name} exists and is no earlier result of this, or was edited"
        ):
            refuse_other(tmp_path / name, "table")
    assert everything(tmp_path) == before
    write("new/made.csv", "image,labels\n", kind="labels")
    shutil.copy(tmp_path / "new/made.csv", tmp_path / "copy.csv")
    for name, kind in (("new/made.csv", "table"), ("copy.csv", "labels")):  # another kind, another place
        with pytest.raises(FileExistsError, match="no earlier result of this"):
            write(name, "image,status\n", kind)
    for lines in (tmp_path / "cache" / RESULTS).iterdir():
        with open(lines, "ab") as remembered:
            remembered.write(b"\xff not ours\n")
    write("new/made.csv", "image,labels\n2\n", kind="labels")
    write("mine.csv", "image,status,mine\n")  # the same content
    (tmp_path / "to_mine.csv").symlink_to("mine.csv")
    write("to_mine.csv", "image,status\n")
    assert (tmp_path / "to_mine.csv").is_symlink() and (tmp_path / "mine.csv").read_text() == "image,status\n"
    (tmp_path / "link.csv").symlink_to("elsewhere.csv")  # not there now, as on a disk that is not mounted
    with pytest.raises(FileExistsError, match="link.csv exists"):
        write("link.csv", "image,status")
    assert os.readlink(tmp_path / "link.csv") == "elsewhere.csv"


def test_a_result_written_again_is_remembered_once_and_by_few_lines_of_others(tmp_path, monkeypatch):
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        for number in range(500):
            with result_file(tmp_path / f"{number}.jpg", "crop") as partial:
                partial.write_text(f"the face {number}")
    lines = [len(file.read_bytes().splitlines()) for file in (tmp_path / "cache" / RESULTS).iterdir()]
    assert sum(lines) == 500 and max(lines) < 20  # each is read in full for one result
