"""Sets on disk: the same bytes for the same seed, resumed after an interruption."""

import hashlib
import json
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from aufaces import sets
from aufaces.actions import AUS, OCCURS_AT
from aulib.dataset import read_dataset


def fingerprint(folder) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return sets.generate_set(
        "wild", 30, 7, 48, tmp_path_factory.mktemp("sets") / "one", workers=1, progress=False
    )


def test_two_workers_write_the_same_bytes_as_one(small_set, tmp_path):
    again = sets.generate_set("wild", 30, 7, 48, tmp_path / "two", workers=2, progress=False)
    assert fingerprint(again) == fingerprint(small_set)
    left = {path.name for path in tmp_path.iterdir() if path.suffix != ".lock"}
    assert left == {"two"}


def test_a_set_is_an_ordinary_dataset_folder(small_set):
    dataset = read_dataset(small_set)
    assert len(dataset) == 30 and tuple(dataset.aus) == AUS and dataset.num_landmarks == 68
    table = pd.read_csv(small_set / "manifest.csv")
    assert set(table.split) == {"train", "val", "test"}
    assert (table.groupby("subject").split.nunique() == 1).all()
    assert ((dataset.landmarks > -12) & (dataset.landmarks < 60)).all()  # on the picture or close to it
    for au in AUS:
        assert ((table[f"{au}_r"] >= OCCURS_AT) == (table[f"{au}_c"] == 1)).all()
    with Image.open(small_set / table.image[0]) as picture:
        assert picture.size == (48, 48)
    assert Image.open(small_set / "contact_sheet.png").size == (1120, 3 * 136)
    assert json.loads((small_set / "set.json").read_text())["seed"] == 7


def test_an_interrupted_set_resumes_with_its_finished_chunks(small_set, tmp_path, monkeypatch):
    rendered = []
    whole = sets.render_chunk

    def breaks_at_the_second(part, about, chunk):
        rendered.append(chunk)
        if rendered == [0, 1]:
            raise KeyboardInterrupt
        whole(part, about, chunk)

    monkeypatch.setattr(sets, "render_chunk", breaks_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sets.generate_set("wild", 30, 7, 48, tmp_path / "broken", workers=1, progress=False)
    assert not (tmp_path / "broken").exists()
    resumed = sets.generate_set("wild", 30, 7, 48, tmp_path / "broken", workers=1, progress=False)
    assert rendered == [0, 1, 1]
    assert fingerprint(resumed) == fingerprint(small_set)


def test_a_finished_set_is_neither_rendered_again_nor_overwritten(small_set, monkeypatch):
    monkeypatch.setattr(sets, "render_chunk", None)
    assert sets.generate_set("wild", 30, 7, 48, small_set, progress=False) == small_set
    with pytest.raises(FileExistsError, match=str(small_set)):
        sets.generate_set("wild", 31, 7, 48, small_set, progress=False)


def test_an_error_in_a_worker_is_raised_and_leaves_no_set(small_set, tmp_path):
    part = sets.unfinished(tmp_path / "never", json.loads((small_set / "set.json").read_text()))
    (part / "images/000026.jpg").mkdir(parents=True)  # no picture can be written there
    with pytest.raises(IsADirectoryError, match="000026.jpg"):
        sets.generate_set("wild", 30, 7, 48, tmp_path / "never", workers=2, progress=False)
    assert not (tmp_path / "never").exists()


def test_a_script_without_a_main_guard_can_use_two_workers(small_set, tmp_path):
    script = tmp_path / "script.py"
    call = f"generate_set('wild', 30, 7, 48, {str(tmp_path / 'two')!r}, workers=2, progress=False)"
    script.write_text(f"from aufaces.sets import generate_set\n{call}\n")
    subprocess.run([sys.executable, script], check=True, timeout=120)
    assert fingerprint(tmp_path / "two") == fingerprint(small_set)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("synthetic:moon", "'moon'.*studio.*wild"),
        ("synthetic:wild?m=3", "'m'"),
        ("synthetic:wild?n=many", "'many'"),
        ("synthetic:wild?n=²", "'²'"),
        ("synthetic:wild?n=1&seed=2&n=3", "n is given twice"),
        ("synthetic:wild?size=8", "size=8"),
        ("studio", "synthetic:studio"),
    ],
)
def test_a_misspelt_name_is_refused(name, message, tmp_path, monkeypatch):
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=message):
        sets.resolve(name)


def test_the_folder_of_a_named_set_has_version_seed_and_size(tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path))
    monkeypatch.setattr(
        sets, "generate_set", lambda domain, **chosen: asked.update(domain=domain, **chosen) or chosen["out"]
    )
    folder = sets.resolve("synthetic:wild?n=64&seed=3&size=112")
    assert folder == tmp_path / f"synthetic-v{sets.VERSIONS['wild']}-wild-n64-seed3-112px"
    assert asked == {"domain": "wild", "n": 64, "seed": 3, "size": 112, "out": folder}
    assert sets.folder_of("synthetic:wild?n=64&seed=3&size=112") == folder
