"""Whatever happens to one run, worker or driver, every run of a study is done once."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Thread, Timer

import nbformat
import psutil
import pytest

from aubench.study.grid import _write_error, do_run, run_study
from aubench.study.plan import expand, read_study, state_of, why_failed
from aubench.study.run_lock import run_lock
from aubench.study.status import watched_states
from aubench.study.workers import SchedulerLost, connected, visible_gpus

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
told = {name: os.environ.get(name) for name in names}
told |= {"start": start, "end": time.time()}
Path(out_dir, "metrics.json").write_text(json.dumps(told))""",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The working folder of driver and workers, with a notebook in it."""
    folder = tmp_path_factory.mktemp("study")
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "n.ipynb")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def client(folder):
    """Three local workers, of which two have a GPU."""
    with connected(9, workers=3, gpus=GPUS) as client:
        client.run(lambda: os.environ.update(WORKER_PID=str(os.getpid())))
        yield client


def planned(folder: Path, name: str, numbers: list, seeds=(0,), seconds: float = 0.0) -> list:
    grid = f"fixed: {{seconds: {seconds}}}\ngrid: {{number: {numbers}}}\nseeds: {list(seeds)}\n"
    (folder / f"{name}.yml").write_text(f"question: which?\nnotebook: n.ipynb\n{grid}")
    return expand(read_study(folder / f"{name}.yml"))


def told(run) -> dict:
    return json.loads((run.folder / "metrics.json").read_text())


def times_begun(run) -> int:
    return len((run.folder / "began.txt").read_text().split())


def test_a_failing_run_is_kept_with_its_error_and_the_rest_is_done(folder, client):
    runs, seen = planned(folder, "failing", [1, -1, 2]), []
    states = run_study(runs, client, seen.append)
    assert [states[run.id] for run in runs] == ["done", "failed", "done"]
    assert seen[0] == dict.fromkeys(states, "missing") and seen[-1] == states
    assert why_failed(runs[1]) == "n.ipynb: In [3] ValueError: below zero: -1"
    assert "Traceback" in (runs[1].folder / "error.txt").read_text()
    # the next call does only what is missing, and tries again what failed
    assert run_study(runs, client) == states
    assert [times_begun(run) for run in runs] == [1, 2, 1]


def test_each_run_holds_one_gpu_and_a_worker_without_gets_none(folder, client):
    runs = planned(folder, "gpus", [1, 2, 3, 4, 5], seconds=0.5)
    assert set(run_study(runs, client).values()) == {"done"}
    found = [told(run) for run in runs]
    assert {one["CUDA_VISIBLE_DEVICES"] for one in found} == set(GPUS)
    assert {one["OMP_NUM_THREADS"] for one in found} == {"1"}
    assert {one["MALLOC_TRIM_THRESHOLD_"] for one in found} == {str(2**30)}  # not dask's
    for gpu in GPUS:
        spans = sorted((o["start"], o["end"]) for o in found if o["CUDA_VISIBLE_DEVICES"] == gpu)
        assert all(end <= start for (_, end), (start, _) in zip(spans, spans[1:], strict=False))


def test_two_drivers_of_one_study_share_it_and_run_nothing_twice(folder, client):
    runs = planned(folder, "shared", [1, 2, -3, 4], seconds=0.2)
    states: list[dict] = []
    drivers = [Thread(target=lambda: states.append(run_study(runs, client))) for _ in range(2)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(timeout=120)
    assert states[0] == states[1] and list(states[0].values()) == ["done", "done", "failed", "done"]
    assert [times_begun(run) for run in runs] == [1, 1, 1, 1]


def test_all_variants_of_a_seed_come_before_the_next_seed(folder, client):
    runs = planned(folder, "seeds", [1, 2], seeds=(6, 5), seconds=0.5)  # two workers have a GPU
    run_study(runs, client)
    start = {(run.seed, run.variant): told(run)["start"] for run in runs}
    first, second = ([start[seed, f"number{number}"] for number in (1, 2)] for seed in (6, 5))
    assert max(first) < min(second)


def test_a_run_whose_holder_dies_is_taken_over(folder, client):
    runs = planned(folder, "taken", [1])
    code = (
        "import sys, time; from aubench.study.run_lock import run_lock\n"
        "with run_lock(sys.argv[1]): print(1, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(runs[0].folder)], stdout=subprocess.PIPE)
    other.stdout.readline()
    seen = []
    driver = Thread(target=lambda: seen.append(run_study(runs, client)))
    driver.start()
    driver.join(timeout=4)
    assert driver.is_alive() and state_of(runs[0]) == "running"
    other.kill()
    other.wait()
    driver.join(timeout=60)
    assert seen == [{runs[0].id: "done"}] and times_begun(runs[0]) == 1


def test_a_killed_worker_is_replaced_and_its_run_begun_again(folder, client):
    runs = planned(folder, "killed", [99, 1], seeds=(0,))
    assert set(run_study(runs, client).values()) == {"done"}
    assert times_begun(runs[0]) == 2


def test_stopping_leaves_the_rest_missing(folder, client):
    runs, stop = planned(folder, "stopped", [1, 2, 3, 4, 5, 6], seconds=0.5), Event()
    states = run_study(runs, client, lambda states: "done" in states.values() and stop.set(), stop)
    assert "done" in states.values() and "missing" in states.values()
    end = time.monotonic() + 30
    while "running" in [state_of(run) for run in runs] and time.monotonic() < end:
        time.sleep(0.1)


def test_a_study_is_started_and_watched_from_a_notebook_cell(folder, client, monkeypatch):
    from aubench.study import watch

    monkeypatch.setattr(watch, "connected", lambda most, **options: nullcontext(client))
    planned(folder, "watched", [1, -1])
    shown = watch.watch("watched.yml", workers=2)
    assert list(shown.wait(120).values()) == ["done", "failed"]
    assert (shown.bar.value, shown.bar.max, shown.bar.bar_style) == (1, 2, "danger")
    assert shown.status.value == "1 done, 0 running, 1 failed, 0 missing"
    assert "<td>number1</td>" in shown.table.value and "below zero: -1" in shown.table.value
    begun = [times_begun(run) for run in shown.runs]
    looking_on = watch.watch("watched.yml", start=False)
    assert looking_on.wait(30) == shown.states and [times_begun(run) for run in shown.runs] == begun


def test_who_looks_on_waits_for_a_driver_that_comes_later_until_told_to_stop(folder):
    from aubench.study import watch

    runs = planned(folder, "later", [1, 2])
    shown = watch.watch("later.yml", start=False)
    assert list(shown.wait(1.5).values()) == ["missing", "missing"] and not shown.stop_button.disabled
    assert do_run(runs[0], time.time(), os.getcwd()) == "done"
    end = time.monotonic() + 20
    while shown.bar.value < 1 and time.monotonic() < end:
        time.sleep(0.1)
    assert shown.status.value == "1 done, 0 running, 0 failed, 1 missing"
    shown.stop()
    assert list(shown.wait(20).values()) == ["done", "missing"]
    assert "no longer watching (stopped)" in shown.status.value


def test_looking_ends_when_nothing_ran_or_changed_for_long(folder, monkeypatch):
    from aubench.study import status

    runs, clock = planned(folder, "silent", [1]), [0.0]
    monkeypatch.setattr(status.time, "monotonic", lambda: clock[0])

    def wait(seconds: float) -> bool:
        clock[0] += 10
        return clock[0] > 500

    assert len(list(watched_states(runs, wait, silence=60))) == 8  # at 0, 10, ..., 70
    clock[0] = 0
    with run_lock(runs[0].folder):  # somebody is at it: no silence
        assert len(list(watched_states(runs, wait, silence=60))) == 51


def test_no_error_is_kept_of_a_run_that_somebody_is_at_or_has_done(folder):
    run = planned(folder, "outlived", [1])[0]
    with run_lock(run.folder):
        assert not _write_error(run, "the worker was lost", patience=0.1)
    assert _write_error(run, "the worker was lost") and state_of(run) == "failed"
    assert do_run(run, 0.0, os.getcwd()) == "failed"  # it failed since the driver began
    assert do_run(run, time.time() + 1, os.getcwd()) == "done"
    assert _write_error(run, "the worker was lost")
    assert state_of(run) == "done" and not (run.folder / "error.txt").exists()


def test_a_run_that_ends_well_takes_back_the_error_of_who_took_it_for_lost(folder):
    (run,) = planned(folder, "back", [1], seconds=2.0)
    thread = Thread(target=do_run, args=(run, time.time(), os.getcwd()))
    thread.start()
    end = time.monotonic() + 60
    while not (run.folder / "began.txt").is_file() and time.monotonic() < end:
        time.sleep(0.05)
    (run.folder / "error.txt").write_text("n.ipynb: the worker was lost\n")
    thread.join(60)
    assert state_of(run) == "done" and not (run.folder / "error.txt").exists()


def test_a_lost_scheduler_is_named_and_nothing_done_is_lost(folder, client):
    """A standing scheduler is killed in the midst of a run; another cluster takes the study to its end."""
    runs, file = planned(folder, "schedulers", [1, 2], seconds=1.5), folder / "schedulers.json"
    scheduler = start_dask("scheduler", file, "--host", "127.0.0.1", "--port", "0")
    worker = start_dask("worker", file, "--nthreads", "1", "--nworkers", "1")

    def kill(states: dict) -> None:
        if "running" in states.values():
            scheduler.kill()

    try:
        said = r"lost the scheduler at tcp://127.0.0.1:\d+; start the study again"
        with connected(2, scheduler=address_in(file)) as standing, pytest.raises(SchedulerLost, match=said):
            run_study(runs, standing, kill)
    finally:
        end(scheduler, worker)
    assert not [run for run in runs if (run.folder / "error.txt").exists()]
    assert set(run_study(runs, client).values()) == {"done"}


def test_says_that_it_waits_for_workers(folder, monkeypatch):
    from aubench.study import grid

    monkeypatch.setattr(grid, "REPORTS_WITHOUT_WORKERS", 2)
    runs, said, stop = planned(folder, "lonely", [1]), [], Event()
    file = folder / "lonely.json"
    scheduler = start_dask("scheduler", file, "--host", "127.0.0.1", "--port", "0")
    try:
        address = address_in(file)  # which the scheduler takes with it
        with connected(1, scheduler=address) as client:
            timer = Timer(60, stop.set)
            timer.start()
            run_study(runs, client, stop=stop, note=lambda text: (said.append(text), stop.set()))
            timer.cancel()
    finally:
        end(scheduler)
    assert said == [f"waiting for workers at {address}"]


def start_dask(what: str, file: Path, *words: str) -> subprocess.Popen:
    """A scheduler that writes where it is to `file`, or a worker that reads it there."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(file), *words]
    command += ["--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def end(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(60)


def address_in(file: Path) -> str:
    """Of a scheduler that is starting, once it has written its file."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            return json.loads(file.read_text())["address"]
        except (OSError, ValueError):
            time.sleep(0.1)
    raise TimeoutError(f"{file} was not written")


def test_a_run_planned_before_the_notebook_was_edited_fails_and_says_so(folder, monkeypatch):
    run = planned(folder, "edited", [1])[0]
    notebook = folder / "n.ipynb"
    before = notebook.read_text()
    notebook.write_text(before.replace("below zero", "under zero"))
    assert do_run(run, time.time(), os.getcwd()) == "failed"
    notebook.write_text(before)
    assert "edited since the run was planned" in why_failed(run) and not (run.folder / "began.txt").exists()


def test_a_worker_elsewhere_says_where_to_start_it(folder):
    run = planned(folder, "elsewhere", [1])[0]
    assert do_run(run, time.time(), "/somewhere/else") == "failed"
    assert "the study was started in /somewhere/else: start workers there" in why_failed(run)


def test_a_held_run_is_not_begun(folder):
    run = planned(folder, "held", [1])[0]
    with run_lock(run.folder):
        assert do_run(run, time.time(), os.getcwd()) == "held"
    assert not (run.folder / "began.txt").exists()


def test_only_gpus_that_the_environment_allows_are_used(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert visible_gpus() == ["2", "5"]
    for hidden in ("-1", " -1,0", ",3"):  # CUDA sees none from there on
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert visible_gpus() == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab12,-1,3")
    assert visible_gpus() == ["GPU-ab12"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_slurm_without_its_package_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(ImportError, match=r"pip install 'aulib\[slurm\]'"), connected(1, slurm="x.yml"):
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
    """Ctrl-C ends everything within seconds, and the same command goes on; a failure is exit status 1."""
    planned(folder, "command", [1, 2, -3], seconds=1.0)
    command = [sys.executable, "-m", "aubench.cli.main", "study", "command.yml", "--workers", "2"]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    told = driver.stderr.readline()
    assert re.match(r"\[\d/3\] done: number", told)
    family = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130 and "interrupted" in err and "Traceback" not in err
    assert psutil.wait_procs(family, timeout=15)[1] == []
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "2 of 3 runs done" in done.stdout
    assert "failed: number-3-seed0" in done.stderr and "below zero: -3" in done.stderr
    for index, status in ((1, 0), (2, 1)):
        one = [sys.executable, "-m", "aubench.cli.main", "run-one", "command.yml", "--index", str(index)]
        assert subprocess.run(one, capture_output=True, timeout=300).returncode == status
