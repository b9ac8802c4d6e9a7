"""How long each lesson takes a learner who begins from nothing: `python benchmarks/course_times.py`.

Runs the lessons in order with their default parameters in an empty folder, with an empty cache of rendered
faces, so that the first lesson that needs a set or a small run pays for it; with `--alone` each lesson starts
from nothing. Writes results/course_times.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aulib.running import write_json

ROOT = Path(__file__).parent.parent
LIMIT = 180  # seconds a lesson may take


def seconds_of(lesson: Path, folder: Path) -> float:
    """Seconds of one lesson, run as a learner would; its runs and sets stay in `folder` for the next one."""
    environment = os.environ | {"AULIB_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "aulib.cli",
        "run",
        str(lesson),
        "--out",
        f"results/course/{lesson.stem}",
    ]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{lesson.stem} failed: {done.stderr.strip().splitlines()[-1]}")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alone", action="store_true", help="each lesson from nothing")
    parser.add_argument("--json", type=Path, default=Path("results/course_times.json"))
    arguments = parser.parse_args()
    lessons = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
    seconds, load = {}, {}
    with tempfile.TemporaryDirectory(prefix="course-") as name:
        for lesson in lessons:
            folder = Path(name, lesson.stem if arguments.alone else "learner")
            folder.mkdir(exist_ok=True)
            load[lesson.stem] = round(os.getloadavg()[0], 1)
            seconds[lesson.stem] = round(seconds_of(lesson, folder))
            print(lesson.stem, seconds[lesson.stem], "s", flush=True)
    found = {"seconds": seconds, "limit": LIMIT, "met": max(seconds.values()) <= LIMIT}
    about = {"from": "nothing each" if arguments.alone else "nothing, in order", "cores": os.cpu_count()}
    write_json(arguments.json, found | about | {"load_before": load})


if __name__ == "__main__":
    main()
