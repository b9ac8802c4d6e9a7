"""Time and memory to convert a raw set of many frames: `python benchmarks/convert_memory.py`.

Makes trees of BP4D's form with noise pictures (one picture a session, under a name a frame), converts them as
a user would, and looks at the memory of all processes together. Bounded means: not growing with the frames
but for the table itself. Writes results/convert_memory.json, with what a
further frame costs in time and memory. On an idle machine: `--frames 1000 15000 150000`.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image
from record import parser_of
from scipy.io import savemat

from aulib.files import write_json

SUBJECTS, TASKS, SIDE, FIRST = 41, 8, 128, 600
AUS = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
OUTLINE = np.random.default_rng(0).uniform(0.25, 0.75, (49, 2)) * SIDE


def write_tree(root: Path, frames: int) -> int:
    """A BP4D download with about `frames` coded frames; how many it has."""
    rng = np.random.default_rng(0)
    per_session = frames // (SUBJECTS * TASKS)
    numbers = list(range(FIRST, FIRST + per_session))
    for index in range(SUBJECTS):
        subject = f"F{index + 1:03d}" if index < 23 else f"M{index - 22:03d}"
        for task in (f"T{number}" for number in range(1, TASKS + 1)):
            coded = np.column_stack([numbers, rng.random((per_session, len(AUS))) < 0.4])
            labels = root / f"AUCoding/AU_OCC/{subject}_{task}.csv"
            labels.parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(coded, columns=[0, *AUS]).to_csv(labels, index=False)
            pictures = root / f"2D+3D/{subject}/{task}"
            pictures.mkdir(parents=True)
            first = pictures / f"{numbers[0]:04d}.jpg"
            pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(first, quality=90)
            for number in numbers[1:]:
                os.link(first, pictures / f"{number:04d}.jpg")
            track = np.zeros((1, per_session), dtype=[("frame", object), ("pred", object)])
            for row, number in enumerate(numbers):
                track[0, row]["frame"] = np.uint16(number)
                track[0, row]["pred"] = OUTLINE + rng.normal(0, 0.3, (49, 2))
            (root / "2DFeatures").mkdir(exist_ok=True)
            savemat(root / f"2DFeatures/{subject}_{task}.mat", {"fit": track})
    return per_session * SUBJECTS * TASKS


def family_mb(process: psutil.Process) -> tuple[float, float]:
    """Resident MiB of the first process, and of it and all below it (shared pages counted each time)."""
    sizes = []
    for one in [process, *process.children(recursive=True)]:
        try:
            sizes.append(one.memory_info().rss / 2**20)
        except psutil.NoSuchProcess:
            continue
    return (sizes or [0.0])[0], sum(sizes)


def growth(runs: list[dict]) -> list[dict]:
    """From each number of frames to the next: what a further frame costs, and that over the cost in the
    step before (1: linear)."""
    runs = sorted(runs, key=lambda run: run["frames"])
    found, before = [], {}
    for smaller, larger in zip(runs, runs[1:], strict=False):
        more = larger["frames"] - smaller["frames"]
        cost = {
            "ms_per_frame": 1000 * (larger["seconds"] - smaller["seconds"]) / more,
            "cpu_ms_per_frame": 1000 * (larger["cpu_seconds"] - smaller["cpu_seconds"]) / more,
            "kb_per_frame": 1024 * (larger["peak_mb"] - smaller["peak_mb"]) / more,
        }
        ratios = {f"{name}_ratio": cost[name] / before[name] for name in cost if before.get(name)}
        numbers = {name: round(value, 3) for name, value in (cost | ratios).items()}
        found.append({"from": smaller["frames"], "to": larger["frames"]} | numbers)
        before = cost
    return found


def convert(raw: Path, out: Path) -> dict:
    command = [
        sys.executable,
        "-m",
        "aubench.cli.main",
        "convert",
        "bp4d",
        "--raw",
        str(raw),
        "--out",
        str(out),
    ]
    began, most, together = time.perf_counter(), 0.0, 0.0
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (
        open(out.with_suffix(".log"), "w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as child,
    ):
        while child.poll() is None:
            first, all_ = family_mb(psutil.Process(child.pid))
            most, together = max(most, first), max(together, all_)
            time.sleep(0.2)
    if child.returncode:
        raise RuntimeError(
            f"convert ended with {child.returncode}: {out.with_suffix('.log').read_text()[-500:]}"
        )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime, 1),
        "peak_mb": round(most, 1),
        "peak_mb_with_workers": round(together, 1),
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[1_000, 15_000, 150_000])
    parser.add_argument("--json", type=Path, default=Path("results/convert_memory.json"))
    arguments = parser.parse_args()
    found = []
    for frames in arguments.frames:
        with tempfile.TemporaryDirectory(prefix="convert-") as name:
            folder = Path(name)
            began = time.perf_counter()
            frames = write_tree(folder / "raw", frames)
            print(f"{frames} frames written in {time.perf_counter() - began:.0f} s", flush=True)
            found.append({"frames": frames} | convert(folder / "raw", folder / "out"))
            rows = len(pd.read_csv(folder / "out" / "manifest.csv", usecols=["image"]))
            found[-1] |= {"rows": rows, "load": round(os.getloadavg()[0], 1)}
            print(found[-1], flush=True)
    print(growth(found), flush=True)
    write_json(
        arguments.json,
        {"set": "bp4d, invented", "cores": os.cpu_count(), "runs": found, "growth": growth(found)},
    )


if __name__ == "__main__":
    main()
