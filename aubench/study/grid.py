"""Do the runs of a study on dask workers, each run once, even with several drivers at work on it.

A worker does one run at a time. A resumed study needs nothing from memory: the run folders say what is done.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock

from aubench.study.notebook_runner import NotebookFailed, run_notebook
from aubench.study.plan import PlannedRun, is_done, state_of
from aubench.study.run_lock import RunIsHeld, is_held, run_lock
from aubench.study.workers import free_places, scheduler_lost

POLL_EVERY = 0.1  # seconds between checks for finished runs
REPORT_EVERY = 1.0  # seconds between reports of all states
REPORTS_WITHOUT_WORKERS = 10  # before the user is told that the study waits for workers
KERNEL_DIES_WITHIN = 5.0  # seconds after its worker; until then it holds the lock of its run
_one_run_at_a_time = Lock()  # in a worker process: what native code prints goes to one log


def print_note(text: str) -> None:
    if text:
        print(text, file=sys.stderr, flush=True)


def run_study(
    runs: list[PlannedRun],
    client,
    report: Callable[[dict[str, str]], None] = lambda states: None,
    stop: Event | None = None,
    note: Callable[[str], None] = print_note,
) -> dict[str, str]:
    """Do the runs that are not done yet.

    Runs start seed by seed, all variants of a seed first: a study cut short compares all variants on fewer
    seeds, and runs that share a warm start follow each other. A run that another driver holds is skipped
    until it is free; by then it is done or failed, or this driver takes it over.

    Args:
        client: distributed.Client, see `workers.connected`.
        report: called with {id: state} about once a second and at the end.
        stop: set it to cancel the runs that have not started; those in progress end with their workers.
        note: called with a sentence while there are no workers, and with "" once there are some.

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
    places, resources, idle_reports, next_report = 0, {}, 0, 0.0
    while (waiting or started) and not (stop is not None and stop.is_set()):
        for future in completed.next_batch(block=False):
            run = started.pop(future)
            if future.status in ("cancelled", "lost"):  # not by us: the scheduler is gone
                raise scheduler_lost(address)
            if future.status == "error":
                held = not _write_error(run, f"the worker was lost: {future.exception()}", KERNEL_DIES_WITHIN)
            else:
                held = future.result() == "held"
            if held:
                waiting.insert(0, run)
        if time.monotonic() > next_report:
            places, resources = free_places(client, address)
            if places and idle_reports >= REPORTS_WITHOUT_WORKERS:
                note("")
            idle_reports = 0 if places else idle_reports + 1
            if idle_reports == REPORTS_WITHOUT_WORKERS:
                note(f"waiting for workers at {address}")
            report({run.id: state_of(run) for run in runs})
            next_report = time.monotonic() + REPORT_EVERY
        # One run per place: when a worker dies, dask counts that against every run submitted to it.
        while len(started) < places and (run := _next_free(waiting)):
            waiting.remove(run)
            key = f"{run.id}-{time.monotonic_ns()}"
            future = client.submit(
                do_run, run, began, str(Path.cwd()), key=key, pure=False, resources=resources
            )
            started[future] = run
            completed.add(future)
        time.sleep(POLL_EVERY)
    client.cancel(list(started))
    states = {run.id: state_of(run) for run in runs}
    report(states)
    return states


def _next_free(waiting: list[PlannedRun]) -> PlannedRun | None:
    return next((run for run in waiting if not is_held(run.folder)), None)


def do_run(run: PlannedRun, began: float, started_in: str) -> str:
    """Do one run in this process, as a worker does or `aulib run-one`.

    Args:
        began: start of the driver (seconds since 1970); a run that failed later, under another driver, is not
            tried again.
        started_in: working folder of the driver, to which relative paths refer.

    Returns:
        "done", "failed" or "held" (another process is busy with it).
    """
    with _one_run_at_a_time:
        try:
            if Path.cwd() != Path(started_in):
                raise NotebookFailed(
                    f"the worker works in {Path.cwd()}, the study was started in {started_in}: "
                    "start workers there"
                )
            run_notebook(
                run.notebook,
                run.folder,
                run.parameters,
                replace=True,
                progress=False,
                expected_key=run.key,
                failed_since=began,
            )
        except RunIsHeld:
            return "held"
        except NotebookFailed as failure:
            if not (run.folder / "error.txt").is_file():
                _write_error(run, str(failure))
            return "failed"
        except Exception as error:  # one failing run does not stop the others
            _write_error(run, f"{type(error).__name__}: {error}")
            return "failed"
    return "done"


def _write_error(run: PlannedRun, cause: str, patience: float = 2.0) -> bool:
    """Write error.txt unless the run is done after all; False if another process is busy with it."""
    try:
        with run_lock(run.folder, patience):
            if not is_done(run):
                run.folder.mkdir(parents=True, exist_ok=True)
                line = f"{run.notebook.name}: {' '.join(cause.split())}\n"
                (run.folder / "error.txt").write_text(line, encoding="utf-8")
    except RunIsHeld:
        return False
    return True


def render_sets(runs: list[PlannedRun]) -> None:
    """Render the synthetic sets that the runs name once, before many workers ask for them."""
    texts = {value for run in runs for value in run.parameters.values() if isinstance(value, str)}
    for name in sorted(text for text in texts if text.startswith("synthetic:")):
        from aufaces.sets import resolve

        resolve(name)
