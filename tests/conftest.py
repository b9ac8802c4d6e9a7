"""Fixtures that several tests share."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat import v4
from PIL import Image

pytest.register_assert_rewrite("tried_exercises")

# Tensors here are tiny: several threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY_AUS = ("AU01", "AU06", "AU12", "AU26")


def face_outline(size: int) -> np.ndarray:
    """(68, 2) pixels: a frontal face drawn with arcs in iBUG order, filling about half of a picture."""

    def arc(cx, cy, rx, ry, start, stop, count):
        angle = np.linspace(np.pi * start, np.pi * stop, count)
        return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)

    parts = [
        arc(0.50, 0.45, 0.28, 0.36, 1.0, 0.0, 17),  # jaw line, from the face's right ear to its left
        arc(0.38, 0.36, 0.09, 0.04, 1.0, 2.0, 5),  # brows
        arc(0.62, 0.36, 0.09, 0.04, 1.0, 2.0, 5),
        np.stack([np.full(4, 0.5), np.linspace(0.42, 0.54, 4)], axis=1),  # ridge of the nose
        np.stack([np.linspace(0.45, 0.55, 5), [0.56, 0.57, 0.575, 0.57, 0.56]], axis=1),
        arc(0.39, 0.43, 0.05, 0.02, 1.0, 2.667, 6),  # eyes
        arc(0.61, 0.43, 0.05, 0.02, 1.0, 2.667, 6),
        arc(0.50, 0.67, 0.10, 0.04, 1.0, 2.833, 12),  # mouth
        arc(0.50, 0.67, 0.06, 0.015, 1.0, 2.75, 8),
    ]
    return np.concatenate(parts) * size


def write_tiny_set(folder: Path, n: int = 24, size: int = 64, seed: int = 0, labelled: bool = True) -> Path:
    """A dataset folder of noise pictures with plausible landmarks and random labels; twelve subjects."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(n):
        picture = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{i:03d}.png")
        subject = i % 12
        points = face_outline(size) + rng.normal(0, size / 200, (68, 2))
        row = {"image": f"images/{i:03d}.png", "subject": f"s{subject:02d}"}
        row["split"] = "train" if subject < 6 else "val" if subject < 9 else "test"
        if labelled:
            row |= {f"{au}_c": int(rng.random() < 0.4) for au in TINY_AUS}
        row |= {f"x_{k}": round(x, 2) for k, x in enumerate(points[:, 0])}
        row |= {f"y_{k}": round(y, 2) for k, y in enumerate(points[:, 1])}
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def write_notebook(path: Path, parameters: str, *cells: str) -> Path:
    """A notebook of a parameters cell and further code cells."""
    first = v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    code = [first, *map(v4.new_code_cell, cells)]
    nbformat.write(v4.new_notebook(cells=code), path)
    return path


@pytest.fixture
def tiny_set(tmp_path) -> Path:
    """A labelled dataset folder of 24 noise pictures, 64 px, with 68 landmarks; no renderer involved."""
    return write_tiny_set(tmp_path / "tiny_set")


@pytest.fixture
def tiny_target(tmp_path) -> Path:
    """A second such folder with other pictures and labels."""
    return write_tiny_set(tmp_path / "tiny_target", seed=1)


def pytest_runtest_setup(item):
    """Tests marked gpu are part of `make test-all` and skip where there is no device."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> SimpleNamespace:
    """Two tiny sets, `source` and `target`, and tiny finished runs on them: `full` and `source_only`.

    Shared by all tests: read them, and copy them before you change anything.
    """
    from aulib.train_run import train_run
    from tiny import TINY_VALUES

    root = tmp_path_factory.mktemp("finished")
    sets = {name: write_tiny_set(root / name, seed=seed) for seed, name in enumerate(("source", "target"))}
    runs = {}
    for method in ("full", "source-only"):
        runs[method.replace("-", "_")] = root / method
        train_run(
            str(sets["source"]), str(sets["target"]), method, steps=2, batch_size=3, precision="32-true",
            out_dir=str(root / method), progress=False, **TINY_VALUES,
        )  # fmt: skip
    return SimpleNamespace(**sets, **runs)


SHOWN_LESSON = "5_putting_together"  # figures, a wide table and an instrument


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> SimpleNamespace:
    """The book in `html`, as `make book` builds it but with one executed lesson only, on tiny parameters.

    `status` and `said` are those of the build.
    """
    for name in ("furo", "myst_nb"):
        pytest.importorskip(name, reason="the extra book is not installed: pip install -e '.[book]'")
    from aubench.study.notebook_runner import run_notebook
    from test_notebooks import COURSE, tiny_parameters

    out = tmp_path_factory.mktemp("book")
    sets = {name: str(write_tiny_set(out / name, seed=i)) for i, name in enumerate(("source", "target"))}
    (lesson,) = [path for path in COURSE if path.stem == SHOWN_LESSON]
    values = tiny_parameters(lesson.stem, sets)
    run_notebook(lesson, out / "notebooks" / lesson.stem, values)
    command = [sys.executable, "docs/book/build.py", "--as-they-are", "--out", str(out)]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    return SimpleNamespace(html=out / "html", status=done.returncode, said=done.stdout + done.stderr)
