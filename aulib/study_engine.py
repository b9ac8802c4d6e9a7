"""Runs of a study on workers of dask: a local cluster, a standing one, or SLURM.

One worker does one run at a time. Where there are GPUs each is a dask resource and one run holds one. Nothing
is kept in memory that a resumed study needs: what is done stands in the run folders.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock
from typing import Any

import yaml

from aulib.run_lock import RunIsHeld, is_held
from aulib.running import NotebookFailed, run_notebook
from aulib.study import PlannedRun, StudyError, is_done, state_of

LOOK_EVERY = 0.1  # seconds between looks at what workers finished
TELL_EVERY = 1.0  # seconds between reports of all states
LEAVE_INTERRUPTS = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # to the driver, who ends workers
)
WORKER_DEATHS = 10  # a run whose worker died so often is given up; its kernel's deaths are its own failures
# dask has its workers hand freed memory back at every 64 KiB: each step of a training then asks for all of it
# anew, which took as long as computing. Kernels get glibc's memory kept, up to a gigabyte.
TRIM_OF_DASK = "65536"
MEMORY_OF_KERNELS = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}
_one_run_at_a_time = Lock()  # of a worker process: what a kernel prints below Python goes to one log


def run_study(
    runs: list[PlannedRun],
    client,
    tell: Callable[[dict[str, str]], None] = lambda states: None,
    stop: Event | None = None,
) -> dict[str, str]:
    """Do the runs that are not done, each once, whoever else is at work on the same study.

    They are begun seed by seed, in each all variants: a study cut short compares all variants on fewer seeds,
    and runs that share their first steps (`shared_start`) come one after another. A run that another driver
    holds is waited for: it is then done, or failed, or taken over if that driver died.

    Args:
        client: distributed.Client, see `connected`.
        tell: called with {id: state} about once a second and at the end.
        stop: set it to cancel what has not begun; what runs then ends with its workers.

    Returns:
        {id: state} of all runs; "failed" keeps its cause in the run's error.txt.
    """
    began = time.time()
    seeds = list(dict.fromkeys(run.seed for run in runs))
    waiting = sorted((run for run in runs if not is_done(run)), key=lambda run: seeds.index(run.seed))
    at_work: dict = {}  # future: run
    elsewhere: list[PlannedRun] = []
    places, resources, told = 0, {}, 0.0
    while (waiting or at_work or elsewhere) and not (stop is not None and stop.is_set()):
        for future in [future for future in at_work if future.done()]:
            run = at_work.pop(future)
            if future.status != "finished":
                _keep_error(run, f"the worker was lost: {future.exception()}")
            elif future.result() == "held":
                elsewhere.append(run)
        free = [run for run in elsewhere if is_done(run) or not is_held(run.folder)]
        elsewhere = [run for run in elsewhere if run not in free]
        waiting = free + waiting
        if time.monotonic() - told > TELL_EVERY:
            places, resources = places_of(client)
            tell({run.id: state_of(run) for run in runs})
            told = time.monotonic()
        while (
            waiting and len(at_work) < places
        ):  # no more: dask counts a worker's death against all it was given
            run = waiting.pop(0)
            key = f"{run.id}-{time.monotonic_ns()}"
            future = client.submit(
                do_run, run, began, str(Path.cwd()), key=key, pure=False, resources=resources
            )
            at_work[future] = run
        time.sleep(LOOK_EVERY)
    client.cancel(list(at_work))
    states = {run.id: state_of(run) for run in runs}
    tell(states)
    return states


def places_of(client) -> tuple[int, dict[str, int]]:
    """How many runs the workers there are now can do at once, and what resources each needs."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    gpus = int(sum(worker["resources"].get("GPU", 0) for worker in workers))
    return (gpus, {"GPU": 1}) if gpus else (sum(worker["nthreads"] for worker in workers), {})


def do_run(run: PlannedRun, began: float, started_in: str) -> str:
    """One run in this process; what a worker does, and `aulib run-one`.

    Args:
        began: when its driver began (seconds since 1970); a run that failed since then, at another driver's
            hands, is not tried again.
        started_in: where relative paths are meant from.

    Returns:
        "done", "failed" or "held" (another process is at it).
    """
    with _one_run_at_a_time:
        try:
            if Path.cwd() != Path(started_in):
                here = f"the worker works in {Path.cwd()}, the study was started in {started_in}"
                raise NotebookFailed(f"{here}: start workers there")
            if os.environ.get("MALLOC_TRIM_THRESHOLD_") == TRIM_OF_DASK:
                os.environ.update(MEMORY_OF_KERNELS)
            how = {"replace": True, "progress": False, "warm": True}
            how |= {"expected_key": run.key, "failed_since": began}
            run_notebook(run.notebook, run.folder, run.parameters, **how)
        except RunIsHeld:
            return "held"
        except NotebookFailed as failure:
            if not (run.folder / "error.txt").is_file():
                _keep_error(run, str(failure))
            return "failed"
        except Exception as error:  # no run stops the others
            _keep_error(run, f"{type(error).__name__}: {error}")
            return "failed"
    return "done"


def _keep_error(run: PlannedRun, cause: str) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "error.txt").write_text(f"{run.notebook.name}: {' '.join(cause.split())}\n", "utf-8")


def render_sets(runs: list[PlannedRun]) -> None:
    """Render the synthetic sets that the runs name, once, before many workers ask for them."""
    texts = {value for run in runs for value in run.parameters.values() if isinstance(value, str)}
    for name in sorted(text for text in texts if text.startswith("synthetic:")):
        from aulib.synthetic.sets import resolve

        resolve(name)


@contextmanager
def connected(
    most: int,
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: str | Path | None = None,
    gpus: list[str] | None = None,
) -> Iterator[Any]:
    """A distributed.Client with workers behind it; what it started ends with it.

    Args:
        most: how many workers could be of use (runs to do).
        workers: of a local cluster; one for each GPU, else for each core, if not given. The cores are shared
            out evenly, one thread a run if there are as many workers as cores.
        scheduler: address of a standing cluster, "tcp://host:8786"; its workers should have one thread.
        slurm: YAML file with `jobs` (how many) and what dask_jobqueue.SLURMCluster takes.
        gpus: devices of this machine in place of those found.
    """
    from distributed import Client

    if scheduler is not None:
        with Client(scheduler, timeout=30) as client:
            yield client
        return
    if slurm is not None:
        with _slurm_cluster(slurm) as cluster, Client(cluster) as client:
            yield client
        return
    with _local_cluster(most, workers, gpus) as cluster, Client(cluster) as client:
        yield client


def _local_cluster(most: int, workers: int | None, gpus: list[str] | None):
    """Worker processes on this machine; they end when this process does, however it does."""
    import dask
    from distributed import Nanny, Scheduler, SpecCluster

    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": WORKER_DEATHS,
            "distributed.comm.timeouts.connect": "60s",  # a busy machine is slow to answer
            "distributed.admin.tick.limit": "10m",
            # dask's looks at itself would take a tenth of two cores from the runs
            "distributed.worker.profile.enabled": False,
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "5s",
        }
    )
    gpus = visible_gpus() if gpus is None else gpus
    cores = number_of_cores()
    number_of_workers = max(1, min(workers or len(gpus) or cores, most))
    threads = str(max(1, cores // number_of_workers))
    shared = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    options = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, "dashboard": False}
    options["preload"] = [LEAVE_INTERRUPTS]
    specs = {}
    for number in range(number_of_workers):
        env, offers = dict(shared), {}
        if gpus:
            offers = {"GPU": 1} if number < len(gpus) else {}
            env["CUDA_VISIBLE_DEVICES"] = gpus[number] if number < len(gpus) else ""
        specs[number] = {"cls": Nanny, "options": options | {"env": env, "resources": offers}}
    here = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": Scheduler, "options": here}
    return SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.CRITICAL)


def _slurm_cluster(file: str | Path):
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise ImportError("--slurm needs dask-jobqueue: pip install 'aulib[slurm]'") from None
    options = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    if not isinstance(options, dict) or type(options.get("jobs")) is not int:
        raise StudyError(f"{file}: expected `jobs: <how many>` and arguments of dask_jobqueue.SLURMCluster")
    jobs = options.pop("jobs")
    try:
        usual = {"cores": 1, "processes": 1, "scheduler_options": {"dashboard_address": ":0"}}
        cluster = SLURMCluster(**(usual | options))
    except (TypeError, ValueError) as error:
        raise StudyError(f"{file}: {error}") from None
    cluster.scale(jobs=jobs)
    return cluster


def number_of_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Devices that this process may use, by the names CUDA_VISIBLE_DEVICES takes; without importing torch."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True)
    return answer.stdout.split() if answer.returncode == 0 else []
