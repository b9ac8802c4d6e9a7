"""Every run of a study is done once, whatever happens to a run, a worker or a driver."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from threading import Event, Thread

import psutil
import pytest
from dask.system import CPU_COUNT

from aubench.study import watch
from aubench.study.grid import do_run, fail_lost_run, run_study
from aubench.study.notebook_runner import NotebookFailed, write_error
from aubench.study.plan import PlannedRun, expand, read_study
from aubench.study.resume import states_of, why_failed
from aubench.study.run_lock import run_lock
from aubench.study.workers import SchedulerLost, connected, visible_gpus
from conftest import write_notebook

GPUS = ["7", "9"]  # names that no machine has to have: nothing here computes
CELLS = (
    'number: int = 0  # number\nseconds: float = 0.0  # to wait\nseed: int = 0  # seed\nout_dir: str = "x"',
    """import json, os, time
from pathlib import Path
with open(Path(out_dir, "began.txt"), "a") as began: began.write(f"{os.getpid()}\\n")
if number < 0: raise ValueError(f"below zero: {number}")
if number == 99 and seed == 0 and not Path(out_dir, "again").exists():
    Path(out_dir, "again").touch(); os.kill(int(os.environ["WORKER_PID"]), 9); time.sleep(9)
start = time.time(); time.sleep(seconds)
names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")
values = {name: os.environ.get(name) for name in names} | {"start": start, "end": time.time()}
Path(out_dir, "metrics.json").write_text(json.dumps(values))""",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working folder of driver and workers, with a notebook in it."""
    folder = tmp_path_factory.mktemp("study")
    write_notebook(folder / "n.ipynb", *CELLS)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def client(folder):
    """Two local workers, each with a GPU."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CUDA_VISIBLE_DEVICES", ",".join(GPUS))
        with connected(9, workers=3) as client:
            client.run(lambda: os.environ.update(WORKER_PID=str(os.getpid())))
            yield client


def planned(folder: Path, name: str, numbers: list, seeds=(0,), seconds: float = 0.0) -> list[PlannedRun]:
    grid = f"fixed: {{seconds: {seconds}}}\ngrid: {{number: {numbers}}}\nseeds: {list(seeds)}\n"
    (folder / f"{name}.yml").write_text(f"question: which?\nnotebook: n.ipynb\n{grid}")
    return expand(read_study(folder / f"{name}.yml"))


def state(run: PlannedRun) -> str:
    return states_of([run])[run.id]


def measured(run: PlannedRun) -> dict:
    return json.loads((run.folder / "metrics.json").read_text())


def times_begun(run: PlannedRun) -> int:
    return len((run.folder / "began.txt").read_text().split())


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_failing_run_keeps_its_error_and_does_not_stop_the_others(folder, client):
    runs, seen = planned(folder, "failing", [1, -1, 2]), []
    states = run_study(runs, client, lambda states, note: seen.append(states))
    assert [states[run.id] for run in runs] == ["done", "failed", "done"]
    assert seen[0] == dict.fromkeys(states, "missing") and seen[-1] == states
    assert why_failed(runs[1]) == "n.ipynb: In [3] ValueError: below zero: -1"
    assert "Traceback" in (runs[1].folder / "error.txt").read_text()
    # the next call does only what is missing, and tries again what failed
    assert run_study(runs, client) == states
    assert [times_begun(run) for run in runs] == [1, 2, 1]


@pytest.mark.slow
def test_runs_go_seed_by_seed_and_each_holds_one_gpu(folder, client):
    runs = planned(folder, "gpus", [1, 2], seeds=(6, 5, 4), seconds=0.3)
    assert set(run_study(runs, client).values()) == {"done"}
    found = [measured(run) for run in runs]
    assert {one["OMP_NUM_THREADS"] for one in found} == {str(max(1, CPU_COUNT // 2))}
    assert {one["MALLOC_TRIM_THRESHOLD_"] for one in found} == {str(2**30)}  # not dask's
    assert {one["CUDA_VISIBLE_DEVICES"] for one in found} == set(GPUS)
    for gpu in GPUS:
        spans = sorted((o["start"], o["end"]) for o in found if o["CUDA_VISIBLE_DEVICES"] == gpu)
        assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
    start = {(run.seed, run.variant): one["start"] for run, one in zip(runs, found, strict=True)}
    first, last = ([start[seed, f"number{number}"] for number in (1, 2)] for seed in (6, 4))
    assert max(first) < min(last)


@pytest.mark.slow
def test_two_drivers_share_a_study_and_run_nothing_twice(folder, client):
    runs = planned(folder, "shared", [1, 2, -3, 4], seconds=0.2)
    states: list[dict] = []
    drivers = [Thread(target=lambda: states.append(run_study(runs, client))) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(timeout=120)
    assert states[0] == states[1] and list(states[0].values()) == ["done", "done", "failed", "done"]
    assert [times_begun(run) for run in runs] == [1, 1, 1, 1]


def test_a_run_whose_holder_dies_is_taken_over(folder, client):
    runs, seen = planned(folder, "taken", [1]), []
    code = (
        "import sys, time; from aubench.study.run_lock import run_lock\n"
        "with run_lock(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(runs[0].folder)], stdout=subprocess.PIPE)
    other.stdout.readline()
    driver = Thread(target=lambda: seen.append(run_study(runs, client)))
    driver.start()
    driver.join(timeout=3)
    assert driver.is_alive() and state(runs[0]) == "running"
    other.kill()
    other.wait()
    driver.join(timeout=60)
    assert seen == [{runs[0].id: "done"}] and times_begun(runs[0]) == 1


def test_a_killed_worker_is_replaced_and_its_run_begun_again(folder, client):
    runs = planned(folder, "killed", [99, 1], seeds=(0,))
    assert set(run_study(runs, client).values()) == {"done"}
    assert times_begun(runs[0]) == 2


@pytest.mark.slow
def test_stopping_leaves_the_rest_missing(folder, client):
    runs, stop = planned(folder, "stopped", [1, 2, 3, 4, 5, 6], seconds=0.5), Event()
    states = run_study(runs, client, lambda states, note: "done" in states.values() and stop.set(), stop)
    assert "done" in states.values() and "missing" in states.values()
    wait_until(lambda: "running" not in states_of(runs).values())


def test_a_study_is_started_and_watched_from_a_notebook_cell(folder, client, monkeypatch):
    monkeypatch.setattr(watch, "connected", lambda most, **options: nullcontext(client))
    planned(folder, "watched", [1, -1])
    shown = watch.watch("watched.yml", workers=2)
    assert list(shown.wait(120).values()) == ["done", "failed"]
    assert (shown.bar.value, shown.bar.max, shown.bar.bar_style) == (1, 2, "danger")
    assert all(text in shown.table.value for text in ("1 done", "1 failed", "number1", "below zero: -1"))
    assert shown.stop_button.disabled


def test_a_run_believed_lost_keeps_no_error_while_it_runs_or_when_it_is_done(folder):
    (run,) = planned(folder, "outlived", [1])
    with run_lock(run.folder):
        assert not fail_lost_run(run, "the worker failed", patience=0.1)
    assert fail_lost_run(run, "the worker failed") and state(run) == "failed"
    assert do_run(run, 0.0, os.getcwd()) == "failed"  # it failed since the driver began
    thread = Thread(target=do_run, args=(run, time.time() + 1, os.getcwd()))
    thread.start()
    wait_until(lambda: (run.folder / "began.txt").is_file())
    write_error(run.folder, run.notebook, "the worker failed")
    thread.join(60)
    assert state(run) == "done" and not (run.folder / "error.txt").exists()
    assert fail_lost_run(run, "the worker failed") and not (run.folder / "error.txt").exists()


@pytest.mark.slow
def test_a_lost_scheduler_is_named_and_nothing_done_is_lost(folder, client):
    """A standing scheduler waits for a worker and is killed during a run; another cluster resumes."""
    runs, file, notes = planned(folder, "schedulers", [1, 2], seconds=1.0), folder / "schedulers.json", []
    processes = [start_dask("scheduler", file, "--host", "127.0.0.1", "--port", "0")]
    wait_until(file.is_file)
    address = json.loads(file.read_text())["address"]

    def kill(states: dict, note: str) -> None:
        if len(processes) == 1:
            processes.append(start_dask("worker", file, "--nthreads", "1", "--nworkers", "1"))
        if "running" in states.values():
            processes[0].kill()
        notes.append(note)

    try:
        with connected(2, scheduler=address) as standing, pytest.raises(SchedulerLost, match=address):
            run_study(runs, standing, kill)
    finally:
        for process in processes:
            process.terminate()
            process.wait(60)
    assert address in notes[0] and notes[-1] == ""
    assert not [run for run in runs if (run.folder / "error.txt").exists()]
    assert set(run_study(runs, client).values()) == {"done"}


def start_dask(what: str, file: Path, *words: str) -> subprocess.Popen:
    """A scheduler that writes where it is to `file`, or a worker that reads it there."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(file), *words]
    command += ["--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_run_planned_before_the_notebook_was_edited_fails(folder):
    (run,) = planned(folder, "edited", [1])
    notebook = folder / "n.ipynb"
    before = notebook.read_text()
    notebook.write_text(before.replace("below zero", "under zero"))
    assert do_run(run, time.time(), os.getcwd()) == "failed"
    notebook.write_text(before)
    assert "changed since" in why_failed(run) and not (run.folder / "began.txt").exists()


def test_a_worker_in_another_folder_names_both(folder):
    (run,) = planned(folder, "elsewhere", [1])
    with pytest.raises(NotebookFailed, match=f"{folder}.*/somewhere/else"):
        do_run(run, time.time(), "/somewhere/else")


def test_a_held_run_is_not_begun(folder):
    (run,) = planned(folder, "held", [1])
    with run_lock(run.folder):
        assert do_run(run, time.time(), os.getcwd()) == "held"
    assert not (run.folder / "began.txt").exists()


@pytest.mark.parametrize(
    "allowed, used",
    [("2,5", ["2", "5"]), ("GPU-ab12,-1,3", ["GPU-ab12"]), ("", []), ("-1", []), (" -1,0", []), (",3", [])],
)
def test_only_gpus_that_the_environment_allows_are_used(monkeypatch, allowed, used):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert visible_gpus() == used


def test_slurm_without_its_package_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(ImportError, match=r"aulib\[slurm\]"), connected(1, slurm="x.yml"):
        pass


SBATCH = """#!/bin/bash
setsid bash "$1" > "$1.log" 2>&1 &
echo $! >> {folder}/jobs
echo "Submitted batch job $!"
"""


@pytest.mark.slow
def test_runs_go_through_slurm_where_sbatch_is_one(folder, tmp_path, monkeypatch):
    """A stand-in for SLURM: sbatch runs the job's script here, scancel kills it."""
    pytest.importorskip("dask_jobqueue")
    for name, text in {
        "sbatch": SBATCH.format(folder=tmp_path),
        "scancel": '#!/bin/bash\nkill -- "-$1"\n',
    }.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    file = tmp_path / "cluster.yml"
    file.write_text("jobs: 1\nqueue: gpu\nmemory: 1GB\nworker_extra_args: ['--resources', 'GPU=1']\n")
    runs = planned(folder, "slurm", [1, 2])
    with connected(2, slurm=file) as client:
        assert "#SBATCH -p gpu" in client.cluster.job_script()
        assert set(run_study(runs, client).values()) == {"done"}
    file.write_text("queue: gpu\n")
    with pytest.raises(ValueError, match="cluster.yml: expected `jobs"), connected(2, slurm=file):
        pass


@pytest.mark.slow
def test_a_study_from_the_command_line_interrupted_and_resumed(folder):
    """Ctrl-C ends all processes within seconds, the same command resumes, a failed run is exit status 1."""
    planned(folder, "command", [1, 2, 3, 4, -5], seconds=4.0)  # none is to end before the interrupt
    command = [sys.executable, "-m", "aubench.cli.main", "study", "command.yml", "--workers", "2"]
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background ignores it
    driver = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed
    )
    assert re.match(r"\[\d/5\] done: number", driver.stderr.readline())
    family = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert psutil.wait_procs(family, timeout=15)[1] == []
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "4 of 5 runs done" in done.stdout
    assert "failed: number-5-seed0" in done.stderr and "below zero: -5" in done.stderr
    for index, status in ((1, 0), (4, 1)):
        one = [sys.executable, "-m", "aubench.cli.main", "run-one", "command.yml", "--index", str(index)]
        assert subprocess.run(one, capture_output=True, timeout=300).returncode == status
