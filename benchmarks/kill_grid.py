"""Twenty tiny runs, killed at random moments and resumed until done: `python benchmarks/kill_grid.py`.

Driver, worker and kernel are killed in turn with SIGKILL. Writes
results/kill_grid.json: what was killed and when, how often each run was begun, and what was left behind.
Exit status 1 if a run was finished twice, begun again after it was finished, overlapped with itself, or if a
process survived.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from record import parser_of

from aubench.study.plan import expand, read_study
from aubench.study.resume import is_done
from aulib.files import write_json

STUDY = Path(__file__).parent.parent / "experiments" / "tiny.yml"
VICTIMS = ("driver", "worker", "kernel")
LEFTOVERS_AFTER = 15.0  # seconds that what a killed driver started has to be gone


def role_of(process: psutil.Process) -> str:
    """What a process below the driver is for: driver, worker, kernel or other."""
    try:
        command = " ".join(process.cmdline())
        if "study" in process.cmdline() and "aubench.cli.main" in command:
            return "driver"
        if "ipykernel_launcher" in command:
            return "kernel"
        return "worker" if "spawn_main" in command else "other"
    except (psutil.Error, AttributeError):
        return "other"


def descendants(driver: psutil.Process) -> list[psutil.Process]:
    try:
        return [driver, *driver.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def marked(mark: str) -> list[psutil.Process]:
    """Every process of this machine that descends from one of our drivers, whatever its parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("KILL_GRID") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def start(out: Path, workers: int, mark: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "aubench.cli.main", "study", str(STUDY), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        env=os.environ | {"KILL_GRID": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_one(driver: subprocess.Popen, wanted: str, within: float) -> str | None:
    """Kill a process of the wanted role at a random moment; None if the driver ended first."""
    time.sleep(random.uniform(0, within))
    while driver.poll() is None:
        candidates = [p for p in descendants(psutil.Process(driver.pid)) if role_of(p) == wanted]
        if candidates:
            victim = random.choice(candidates)
            try:
                os.kill(victim.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return f"{wanted} {victim.pid}"
        time.sleep(0.05)
    return None


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--within", type=float, default=8.0, help="longest wait before a kill, seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=Path("results/kill_grid.json"))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="kill-grid-") as folder:
        report = kill_and_finish(Path(folder), arguments)
    write_json(arguments.json, report)
    print(json.dumps({name: value for name, value in report.items() if name != "runs"}, indent=1))
    sys.exit(0 if report["sound"] else 1)


def kill_and_finish(out: Path, arguments: argparse.Namespace) -> dict:
    runs = expand(read_study(STUDY), out)
    mark, began, killed, drivers, leftovers = f"{os.getpid()}", time.monotonic(), [], 0, []
    while True:
        driver = start(out, arguments.workers, mark)
        drivers += 1
        while len(killed) < arguments.kills and driver.poll() is None:
            victim = kill_one(driver, VICTIMS[len(killed) % len(VICTIMS)], arguments.within)
            if victim is None:
                break
            done = sum(is_done(run) for run in runs)
            killed.append({"at": round(time.monotonic() - began, 1), "what": victim, "done": done})
            print(killed[-1], flush=True)
        status = driver.wait()
        deadline = time.monotonic() + LEFTOVERS_AFTER
        while (left := marked(mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        leftovers += [" ".join(process.cmdline()) for process in left]
        if all(is_done(run) for run in runs):
            break
        if len(killed) == arguments.kills and status == 0:
            raise RuntimeError("a driver ended with status 0, but some runs are not done")
    table = [history_of(run) for run in runs]
    return {
        "sound": all(row["finished"] == 1 and row["begun_after_finish"] == 0 for row in table)
        and not any(row["overlapped"] for row in table)
        and not leftovers,
        "kills": len(killed),
        "killed": killed,
        "drivers": drivers,
        "last_status": status,
        "workers": arguments.workers,
        "longest_wait_before_a_kill": arguments.within,
        "load_average": os.getloadavg()[0],
        "runs_done": sum(row["finished"] for row in table),
        "executions": sum(row["begun"] for row in table),
        "leftover_processes": leftovers,
        "seconds": round(time.monotonic() - began, 1),
        "runs": table,
    }


def history_of(run) -> dict:
    """How often a run was begun and finished, and whether anything happened that must not."""
    began = [float(line) for line in (run.folder / "began.txt").read_text().split()]
    finished = (run.folder / "result.json").stat().st_mtime
    return {
        "id": run.id,
        "begun": len(began),
        "finished": len(list(run.folder.glob("result.json"))),
        "begun_after_finish": sum(moment > finished for moment in began),
        "overlapped": (run.folder / "overlapped").exists(),
    }


if __name__ == "__main__":
    main()
