"""Runs of a study on workers of dask, each once, whoever else is at work on it.

One worker does one run at a time. Nothing is kept in memory that a resumed study needs: what is done stands
in the run folders.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock

from aubench.study.notebook_runner import NotebookFailed, run_notebook
from aubench.study.plan import PlannedRun, is_done, state_of
from aubench.study.run_lock import RunIsHeld, is_held, run_lock
from aubench.study.workers import Workers, on_stderr

LOOK_EVERY = 0.1  # seconds between looks at what workers finished
TELL_EVERY = 1.0  # seconds between reports of all states
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
    say: Callable[[str], None] = on_stderr,
) -> dict[str, str]:
    """Do the runs that are not done, each once, whoever else is at work on the same study.

    They are begun seed by seed, in each all variants: a study cut short compares all variants on fewer seeds,
    and runs that share their first steps (`shared_start`) come one after another. A run that another driver
    holds is waited for: it is then done, or failed, or taken over if that driver died.

    Args:
        client: distributed.Client, see `study_workers.connected`.
        tell: called with {id: state} about once a second and at the end.
        stop: set it to cancel what has not begun; what runs then ends with its workers.
        say: called with a sentence while there are no workers, and with "" once there are.

    Returns:
        {id: state} of all runs; "failed" keeps its cause in the run's error.txt.

    Raises:
        SchedulerLost: start the study again; what is done is kept.
    """
    began = time.time()
    seeds = list(dict.fromkeys(run.seed for run in runs))
    waiting = sorted((run for run in runs if not is_done(run)), key=lambda run: seeds.index(run.seed))
    at_work: dict = {}  # future: run
    elsewhere: list[PlannedRun] = []
    lost: list[tuple[PlannedRun, str]] = []  # and why; their kernels may outlive their workers a while
    workers = Workers(client, say)
    places, resources, told = 0, {}, 0.0
    while (waiting or at_work or elsewhere or lost) and not (stop is not None and stop.is_set()):
        for future in [future for future in at_work if future.done()]:
            run = at_work.pop(future)
            if future.status in ("cancelled", "lost"):  # by nobody here: its scheduler cannot tell any more
                raise workers.lost()
            if future.status != "finished":
                lost.append((run, f"the worker was lost: {future.exception()}"))
            elif future.result() == "held":
                elsewhere.append(run)
        lost = [one for one in lost if not _keep_error(*one, patience=LOOK_EVERY)]
        free = [run for run in elsewhere if is_done(run) or not is_held(run.folder)]
        elsewhere = [run for run in elsewhere if run not in free]
        waiting = free + waiting
        if time.monotonic() - told > TELL_EVERY:
            places, resources = workers.places()
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
            how = {"replace": True, "progress": False}
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


def _keep_error(run: PlannedRun, cause: str, patience: float = 2.0) -> bool:
    """Say beside a run why it failed, unless it is done after all; False if somebody is still at it."""
    try:
        with run_lock(run.folder, patience):
            if not is_done(run):
                run.folder.mkdir(parents=True, exist_ok=True)
                told = f"{run.notebook.name}: {' '.join(cause.split())}\n"
                (run.folder / "error.txt").write_text(told, encoding="utf-8")
    except RunIsHeld:
        return False
    return True


def render_sets(runs: list[PlannedRun]) -> None:
    """Render the synthetic sets that the runs name, once, before many workers ask for them."""
    texts = {value for run in runs for value in run.parameters.values() if isinstance(value, str)}
    for name in sorted(text for text in texts if text.startswith("synthetic:")):
        from aufaces.sets import resolve

        resolve(name)
