"""Dask workers for a study: a local cluster, a standing one, or SLURM.

Where there are GPUs, each is a dask resource and one run holds one.
"""

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from aubench.study.plan import StudyError
from aubench.study.strict_yaml import read_yaml

# Ctrl-C in a terminal reaches every process; workers ignore it and end when their driver does.
IGNORE_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
WORKER_DEATHS = 10  # a run is given up after this many; the death of its kernel alone is an ordinary failure


class SchedulerLost(ConnectionError):
    """The scheduler is gone, and the states of its runs with it; the run folders keep what was done."""

    def __init__(self, address: str):
        super().__init__(f"lost the scheduler at {address}; start the study again, finished runs are kept")


def free_places(client, address: str) -> tuple[int, dict[str, int]]:
    """How many runs the present workers can do at once, and the resources that each run needs.

    Raises:
        SchedulerLost: the scheduler does not answer.
    """
    if client.status != "running":
        raise SchedulerLost(address)
    try:
        workers = client.scheduler_info(n_workers=-1).get("workers", {}).values()
    except (OSError, RuntimeError, CancelledError):  # the connection closes while it is used
        raise SchedulerLost(address) from None
    gpus = int(sum(worker["resources"].get("GPU", 0) for worker in workers))
    return (gpus, {"GPU": 1}) if gpus else (sum(worker["nthreads"] for worker in workers), {})


@contextmanager
def connected(
    most: int,
    workers: int | None = None,
    scheduler: str | None = None,
    slurm: str | Path | None = None,
) -> Iterator[Any]:
    """A distributed.Client with workers; those it started end with it.

    Args:
        most: number of runs to do; more workers would be idle.
        workers: size of a local cluster; one for each GPU, else one for each core, if not given; at most one
            for each GPU. The cores are divided evenly among them.
        scheduler: address of a standing cluster, "tcp://host:8786"; its workers should have one thread each.
        slurm: YAML file with `jobs` (how many) and arguments of dask_jobqueue.SLURMCluster.
    """
    from distributed import Client

    if scheduler is not None:
        with Client(scheduler, timeout=30) as client:
            yield client
        return
    cluster = _slurm_cluster(slurm) if slurm is not None else _local_cluster(most, workers)
    with cluster, Client(cluster) as client:
        yield client


def _local_cluster(most: int, workers: int | None):
    """Worker processes on this machine. They end with this process, even if it is killed."""
    import dask
    from dask.system import CPU_COUNT
    from distributed import Nanny, Scheduler, SpecCluster

    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": WORKER_DEATHS,
            "distributed.comm.timeouts.connect": "60s",  # a busy machine is slow to answer
            "distributed.admin.tick.limit": "10m",
            # dask's monitoring of itself would take a tenth of two cores from the runs
            "distributed.worker.profile.enabled": False,
            "distributed.admin.tick.interval": "1s",
            "distributed.admin.system-monitor.interval": "5s",
        }
    )
    gpus = visible_gpus()
    number_of_workers = max(1, min(workers or len(gpus) or CPU_COUNT, len(gpus) or most, most))
    threads = str(max(1, CPU_COUNT // number_of_workers))
    options = {"nthreads": 1, "memory_limit": 0, "silence_logs": logging.CRITICAL, "dashboard": False}
    specs = {}
    for number in range(number_of_workers):
        env = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        env |= {"CUDA_VISIBLE_DEVICES": gpus[number]} if gpus else {}
        own = {"env": env, "resources": {"GPU": 1} if gpus else {}, "preload": [IGNORE_INTERRUPTS]}
        specs[number] = {"cls": Nanny, "options": options | own}
    here = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": Scheduler, "options": here}
    return SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.CRITICAL)


def _slurm_cluster(file: str | Path):
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError:
        raise ImportError("--slurm needs dask-jobqueue: pip install 'aulib[slurm]'") from None
    options = read_yaml(file)
    jobs = options.pop("jobs", None) if isinstance(options, dict) else None
    if type(jobs) is not int or jobs < 1:
        raise StudyError(
            f"{file}: expected `jobs: <how many>`, at least 1, and arguments of dask_jobqueue.SLURMCluster"
        )
    try:
        usual = {"cores": 1, "processes": 1, "scheduler_options": {"dashboard_address": ":0"}}
        cluster = SLURMCluster(**(usual | options))
    except (TypeError, ValueError) as error:
        raise StudyError(f"{file}: {error}") from None
    cluster.scale(jobs=jobs)
    return cluster


def visible_gpus() -> list[str]:
    """The devices this process may use, named as in CUDA_VISIBLE_DEVICES; found without importing torch."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        named = [name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",")]
        return list(takewhile(lambda name: name not in ("", "-1"), named))  # CUDA stops there as well
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True)
    return answer.stdout.split() if answer.returncode == 0 else []
