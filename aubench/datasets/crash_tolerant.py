"""A parallel map that survives the death of a worker: one bad file must not stop ten thousand good ones."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

Task = TypeVar("Task")
Result = TypeVar("Result")

CRASHED = "the process that read it died (a crash or out of memory)"  # the reason in skipped.csv
FEW = 64  # tasks; starting processes takes longer than doing fewer tasks here


def crash_tolerant_map(
    work: Callable[[Task], Result], tasks: list[Task], workers: int | None, crashed: Callable[[Task], Result]
) -> Iterator[Result]:
    """Yield `work(task)` for each task, in the order they finish.

    A task that kills its worker twice (a crash in a decoder, out of memory) yields `crashed(task)`; once may
    be somebody else's doing. Workers are spawned, so `work` and the tasks must be picklable. An exception
    raised by `work` is raised here.

    Args:
        workers: number of processes; 1 works in this one; None takes one per core, or this one for few tasks.

    Raises:
        RuntimeError: no worker can start, as in a script without `if __name__ == "__main__"`.
    """
    if workers is None:
        workers = 1 if len(tasks) < FEW else os.cpu_count() or 1
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    context = get_context("spawn")
    _require_workers_start(context)
    waiting = iter(tasks)
    with ProcessPool(min(workers, len(tasks)), initializer=_ignore_interrupts, context=context) as pool:
        try:
            running = {pool.schedule(work, (task,)): (task, False) for task in islice(waiting, 2 * workers)}
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task, died = running.pop(future)
                    running |= {pool.schedule(work, (one,)): (one, False) for one in islice(waiting, 1)}
                    try:
                        yield future.result()
                    except ProcessExpired:
                        if died:
                            yield crashed(task)
                        else:
                            running[pool.schedule(work, (task,))] = task, True
        except BaseException:
            pool.stop()  # leaving the block would wait for the tasks that are still running
            raise


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops its workers


def _require_workers_start(context) -> None:
    """Start one process to see that it can: Pebble would restart a worker that fails to start for ever."""
    probe = context.Process(target=_ignore_interrupts)
    probe.start()
    probe.join()
    if probe.exitcode:
        raise RuntimeError(
            'worker processes cannot start; in a script, call this below `if __name__ == "__main__":`, '
            "or pass workers=1"
        )
