"""Six commands under faults, each repeated until it ends well: `python benchmarks/faults.py`.

A training, a study with two workers, a prepare, an import, a prediction and one of a clip: a process of
theirs is killed at a random moment (kill -9), their files may grow no further than to a point (as on a full
disk), or two of them start at once. What they leave is compared with what an undisturbed one makes, byte by
byte. Writes results/faults.json: one row a fault. Exit status 1 if a result differs, a message names no
remedy, or a process survives.
"""

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from record import parser_of

from aulib.files import read_json, write_json

STUDY = Path(__file__).parent.parent / "experiments" / "tiny.yml"
AULIB = [sys.executable, "-m", "aubench.cli.main"]
MARK = "AULIB_FAULTS"  # in the environment of all that descends from a command
LEFTOVERS_AFTER = 15.0  # seconds that what a killed process started has to be gone
TRIES = 12  # repetitions until a command must have ended well
VARIES = (
    *("*.jsonl", ".written", "conversion.json", "params.json", "notebook.ipynb", ".crops/*"),
    *("fit/*", "history.csv"),
)


@dataclass(frozen=True)
class Job:
    """A command that writes `out`, and the files below it whose bytes are promised."""

    command: list[str]
    promised: Callable[[Path], list[Path]]


def jobs(data: Path, steps: int) -> dict[str, Job]:
    faces, table = data / "faces", data / "tables"
    train = ["-p", "steps", str(steps), "-p", "source", str(faces), "-p", "target", str(faces)]
    openface = str(next(table.glob("*.csv")))
    prepare = ["prepare", str(faces), "OUT", "--landmarks", openface, "--workers", "2"]
    folders = ["--table", openface, "--pictures", str(faces), "--out", "OUT"]
    return {
        "training": Job(["run", "02_train", *train, "--out", "OUT"], results_of_run),
        "study": Job(["study", str(STUDY), "--workers", "2", "--out", "OUT"], numbers_of_study),
        "prepare": Job(prepare, whole_folder),
        "import": Job(["import", "openface", *folders, "--keep", "copy"], whole_folder),
        "prediction": Job(["predict", str(data / "run"), str(faces), "--out", "OUT"], lambda out: [out]),
        "clip": Job(["predict", str(data / "clip.mp4"), "--out", "OUT"], lambda out: [out]),
    }


def results_of_run(out: Path) -> list[Path]:
    return [out / "model.safetensors", *sorted(out.glob("predictions_*.csv"))]


def numbers_of_study(out: Path) -> list[Path]:
    """Each run's numbers; a run that was begun after it had finished, or overlapped with itself, has none."""
    runs = sorted(path.parent for path in out.glob("*/result.json"))
    for run in runs:
        finished = (run / "result.json").stat().st_mtime
        began = [float(line) for line in (run / "began.txt").read_text().split()]
        if (run / "overlapped").exists() or any(moment > finished for moment in began):
            return []
    return [run / "metrics.json" for run in runs]


def whole_folder(out: Path) -> list[Path]:
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    return [path for path in files if not any(path.match(pattern) for pattern in VARIES)]


def digest(job: Job, out: Path) -> str:
    """Hash of names and bytes of what is promised; "" if there is nothing."""
    found = hashlib.sha256()
    files = [path for path in job.promised(out) if path.is_file()]
    for path in files:
        found.update(str(path.relative_to(out)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16] if files else ""


def start(job: Job, out: Path, mark: str, limit: int | None = None) -> subprocess.Popen:
    """limit: bytes that a file may have."""
    command = [str(out) if word == "OUT" else word for word in job.command]
    return subprocess.Popen(
        [*AULIB, *command],
        env=os.environ | {MARK: mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
    )


def last_line(process: subprocess.Popen) -> str:
    said = process.communicate()[1].strip()
    return said.splitlines()[-1][-400:] if said else ""


def marked(mark: str) -> list[psutil.Process]:
    """Every process of this machine that descends from one of our commands, whatever its parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def finish(job: Job, out: Path, mark: str) -> tuple[int, float]:
    """Repeat a command until it ends well: how often, and the seconds of the last time."""
    for tries in range(1, TRIES + 1):
        began = time.monotonic()
        process = start(job, out, mark)
        last_line(process)
        if process.returncode == 0:
            return tries, round(time.monotonic() - began, 1)
    return 0, 0.0


def kill(job: Job, out: Path, mark: str, seconds: float) -> dict:
    """Kill the command, or a process that it started, at a random moment of its `seconds`."""
    process, moment = start(job, out, mark), random.uniform(0, seconds)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        victim = random.choice(marked(mark) or [process])
        victim.kill()
    said = last_line(process)
    return {"fault": f"kill after {moment:.1f} s", "status": process.returncode, "said": said}


def fill(job: Job, out: Path, mark: str, limit: int) -> dict:
    process = start(job, out, mark, limit)
    said = last_line(process)
    told = process.returncode == 0 or "make room" in said or job.command[0] == "study"
    return {"fault": f"files of {limit} bytes", "status": process.returncode, "said": said, "told": told}


def twice(job: Job, out: Path, mark: str) -> dict:
    both = [start(job, out, mark) for _ in range(2)]
    said = [last_line(process) for process in both]
    status = [process.returncode for process in both]
    return {"fault": "two at once", "status": status, "said": said, "told": 0 in status}


def leftovers(mark: str) -> list[str]:
    deadline = time.monotonic() + LEFTOVERS_AFTER
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [" ".join(process.cmdline()[:6]) for process in left]


def under_faults(name: str, job: Job, folder: Path, kills: int, points: int) -> list[dict]:
    mark = f"{os.getpid()}-{name}"
    whole, began = folder / "whole", time.monotonic()
    if finish(job, whole, mark)[0] != 1:
        raise RuntimeError(f"{name}: the undisturbed command fails")
    seconds, expected = time.monotonic() - began, digest(job, whole)
    files = [whole] if whole.is_file() else [path for path in whole.rglob("*") if path.is_file()]
    largest = max(path.stat().st_size for path in files)
    faults = [lambda out: kill(job, out, mark, seconds)] * kills
    faults += [
        lambda out, share=share: fill(job, out, mark, max(512, int(largest * (share + 0.5) / points)))
        for share in range(points)
    ] + [lambda out: twice(job, out, mark)]
    rows = []
    for number, fault in enumerate(faults):
        out = folder / f"{number}"
        row = {"job": name, "told": True} | fault(out) | {"left": leftovers(mark)}
        if digest(job, out) != expected:  # a finished folder is not made again
            row["repeated"], row["seconds"] = finish(job, out, mark)
        row["equal"] = digest(job, out) == expected
        row["sound"] = row["equal"] and row["told"] and not row["left"]
        rows.append(row | {"undisturbed_seconds": round(seconds, 1)})
        print(rows[-1], flush=True)
    return rows


def make_data(data: Path, pictures: int) -> None:
    """Rendered faces, a CSV of OpenFace that names them, and a run that predicts."""
    faces, run = str(data / "faces"), str(data / "run")
    for command in (
        ["synth", "--n", str(pictures), "--size", "112", faces],
        ["synth", "--clip", str(data / "clip.mp4"), "--seconds", "24", "--size", "240"],
        ["export", faces, "--as", "openface", "--out", str(data / "tables")],
        ["run", "02_train", "-p", "steps", "2", "-p", "source", faces, "-p", "target", faces, "--out", run],
    ):
        subprocess.run([*AULIB, *command], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "jobs", nargs="*", help="training, study, prepare, import, prediction, clip; else all"
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--points", type=int, default=5, help="of a disk that fills")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/faults.json"))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        rows = all_faults(Path(folder), arguments)
    write_json(arguments.json, {"sound": all(row["sound"] for row in rows), "faults": rows})
    sys.exit(0 if read_json(arguments.json)["sound"] else 1)


def all_faults(folder: Path, arguments: argparse.Namespace) -> list[dict]:
    make_data(folder / "data", arguments.pictures)
    known = jobs(folder / "data", arguments.steps)
    rows = []
    for name in arguments.jobs or known:
        (folder / name).mkdir()
        rows += under_faults(name, known[name], folder / name, arguments.kills, arguments.points)
    return rows


if __name__ == "__main__":
    main()
