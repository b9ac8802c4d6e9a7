"""Do the runs of a study on dask workers, each run once, even with several drivers at work on it.

A worker does one run at a time. A resumed study needs nothing from memory: the run folders say what is done.
"""

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from threading import Event, Lock

from aubench.study.notebook_runner import NotebookFailed, execute_run, write_error
from aubench.study.parameters import effective_parameters
from aubench.study.plan import PlannedRun
from aubench.study.resolved import resolve, run_key
from aubench.study.resume import is_done, states_of
from aubench.study.run_lock import RunIsHeld, is_held, run_lock
from aubench.study.workers import SchedulerLost, free_places

POLL_EVERY = 0.1  # seconds between checks for finished runs
REPORT_EVERY = 1.0  # seconds between reports of all states
KERNEL_DIES_WITHIN = 5.0  # seconds after its worker; until then it holds the lock of its run
_one_run_at_a_time = Lock()  # a worker may have several threads, and papermill keeps state in its module


def run_study(
    runs: list[PlannedRun],
    client,
    report: Callable[[dict[str, str], str], None] = lambda states, note: None,
    stop: Event | None = None,
) -> dict[str, str]:
    """Do the runs that are not done yet.

    Runs start seed by seed, all variants of a seed first: a study cut short compares all variants on fewer
    seeds, and runs that share a warm start follow each other. A run that another driver holds is skipped
    until it is free; by then it is done or failed, or this driver takes it over.

    Args:
        client: distributed.Client, see `workers.connected`.
        report: called about once a second and at the end with {id: state} and a note, such as "waiting for
            workers", or "".
        stop: set it to cancel the runs that have not started; those in progress end with their workers.

    Returns:
        {id: state} of all runs; the cause of "failed" is in the run's error.txt.

    Raises:
        SchedulerLost: start the study again; finished runs are kept.
    """
    from distributed import as_completed

    began, address = time.time(), client.scheduler.address
    seeds = list(dict.fromkeys(run.seed for run in runs))
    waiting = sorted((run for run in runs if not is_done(run)), key=lambda run: seeds.index(run.seed))
    started: dict = {}  # future: run
    completed = as_completed(loop=client.loop)
    places, resources, next_report = 0, {}, 0.0
    while (waiting or started) and not (stop is not None and stop.is_set()):
        for future in completed.next_batch(block=False):
            run = started.pop(future)
            if future.status in ("cancelled", "lost"):  # not by us: the scheduler is gone
                raise SchedulerLost(address)
            if future.status == "error":
                held = not fail_lost_run(run, f"the worker failed: {future.exception()}")
            else:
                held = future.result() == "held"
            if held:
                waiting.insert(0, run)
        if time.monotonic() > next_report:
            places, resources = free_places(client, address)
            report(states_of(runs), "" if places else f"waiting for workers at {address}")
            next_report = time.monotonic() + REPORT_EVERY
        # One run per place: when a worker dies, dask counts that against every run submitted to it.
        free = (run for run in waiting if not is_held(run.folder))
        for run in list(islice(free, max(0, places - len(started)))):
            waiting.remove(run)
            how = {"key": f"{run.id}-{time.monotonic_ns()}", "pure": False, "resources": resources}
            future = client.submit(do_run, run, began, str(Path.cwd()), **how)
            started[future] = run
            completed.add(future)
        time.sleep(POLL_EVERY)
    client.cancel(list(started))
    states = states_of(runs)
    report(states, "")
    return states


def do_run(run: PlannedRun, began: float, started_in: str) -> str:
    """Do one run in this process, as a worker does or `aulib run-one`; a failure is written to error.txt.

    Args:
        began: start of the driver (seconds since 1970); a run that failed later, under another driver, is not
            tried again.
        started_in: working folder of the driver, to which relative paths refer.

    Returns:
        "done", "failed" or "held" (another process is busy with it).

    Raises:
        NotebookFailed: this process works in another folder, where the run's files would not be found.
    """
    if Path.cwd() != Path(started_in):
        raise NotebookFailed(f"it runs in {Path.cwd()}, the study in {started_in}: start workers there")
    try:
        with _one_run_at_a_time, run_lock(run.folder) as lock:
            error = run.folder / "error.txt"
            if is_done(run):
                return "done"
            if error.is_file() and error.stat().st_mtime > began:
                return "failed"
            return _do_locked(run, lock)
    except RunIsHeld:
        return "held"


def _do_locked(run: PlannedRun, lock: int) -> str:
    try:
        values = effective_parameters(run.notebook, run.parameters, run.folder)
        resolved = resolve(run.notebook, values)
        if run_key(resolved) == run.key:
            execute_run(run.notebook, run.folder, values, resolved, lock)
            return "done"
        cause = "notebook, library or inputs changed since the run was planned: plan it again"
    except NotebookFailed:  # error.txt is written
        return "failed"
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
    write_error(run.folder, run.notebook, cause)
    return "failed"


def fail_lost_run(run: PlannedRun, cause: str, patience: float = KERNEL_DIES_WITHIN) -> bool:
    """Write error.txt unless the run is done after all; False if another process is busy with it."""
    try:
        with run_lock(run.folder, patience):
            if not is_done(run):
                write_error(run.folder, run.notebook, cause)
    except RunIsHeld:
        return False
    return True


def render_sets(runs: list[PlannedRun]) -> None:
    """Render the synthetic sets that the runs name once, before many workers ask for them."""
    texts = {value for run in runs for value in run.parameters.values() if isinstance(value, str)}
    for name in sorted(text for text in texts if text.startswith("synthetic:")):
        from aufaces.sets import resolve

        resolve(name)
