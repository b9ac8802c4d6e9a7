"""Workers of dask for a study: a local cluster, a standing one, or SLURM; what to say when there are none.

Where there are GPUs each is a dask resource and one run holds one.
"""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from aubench.study.plan import StudyError

PATIENCE = 10.0  # seconds without any worker before that is said
LEAVE_INTERRUPTS = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # to the driver, who ends workers
)
WORKER_DEATHS = 10  # a run whose worker died so often is given up; its kernel's deaths are its own failures


class SchedulerLost(ConnectionError):
    """The scheduler is gone, and with it what it had to say of runs; the folders keep what was done."""


class Workers:
    """The workers behind a distributed.Client: what they have room for, and what is said when there are none.

    Args:
        say: called with a sentence after PATIENCE seconds without a worker, and with "" once one came.
    """

    def __init__(self, client, say: Callable[[str], None]):
        self.client, self.say = client, say
        self.address = client.scheduler.address
        self.since, self.said = time.monotonic(), False

    def places(self) -> tuple[int, dict[str, int]]:
        """How many runs the workers there are now can do at once, and what resources each needs.

        Raises:
            SchedulerLost: there is nobody to ask.
        """
        if self.client.status != "running":
            raise self.lost()
        try:
            workers = self.client.scheduler_info(n_workers=-1).get("workers", {}).values()
        except (OSError, RuntimeError, CancelledError):  # of a connection that closes while it is used
            raise self.lost() from None
        gpus = int(sum(worker["resources"].get("GPU", 0) for worker in workers))
        places = gpus or sum(worker["nthreads"] for worker in workers)
        self._tell(places)
        return places, {"GPU": 1} if gpus else {}

    def lost(self) -> SchedulerLost:
        return SchedulerLost(
            f"lost the scheduler at {self.address}; start the study again, finished runs are kept"
        )

    def _tell(self, places: int) -> None:
        if places:
            if self.said:
                self.say("")
            self.since, self.said = time.monotonic(), False
        elif not self.said and time.monotonic() - self.since >= PATIENCE:
            self.say(f"waiting for workers at {self.address}")
            self.said = True


def on_stderr(text: str) -> None:
    """What `Workers` says, for a terminal."""
    if text:
        print(text, file=sys.stderr, flush=True)


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
        named = [name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",")]
        return list(takewhile(lambda name: name not in ("", "-1"), named))  # CUDA stops there as well
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True)
    return answer.stdout.split() if answer.returncode == 0 else []
