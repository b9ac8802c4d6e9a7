"""A process pool that outlives what kills its workers: one bad file must not stop ten thousand good ones."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

FEW = 64  # tasks; fewer are done sooner here than new processes start


def map_surviving(
    work: Callable[[Task], Result], tasks: list[Task], workers: int | None, crashed: Callable[[Task], Result]
) -> Iterator[Result]:
    """Results of `work` over `tasks`, in the order they are finished.

    Processes are spawned, so `work` and tasks must be picklable. If a worker dies (a crash in a decoder, out
    of memory), the tasks in flight are repeated one by one in processes of their own, and one that kills its
    own process again yields `crashed(task)`.

    Args:
        workers: processes; 1 works in this one; None takes one for each core, or this one for few tasks.

    Raises:
        RuntimeError: no worker can start at all, as in a script without `if __name__ == "__main__"`.
    """
    if workers is None:
        workers = 1 if len(tasks) < FEW else os.cpu_count() or 1
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    waiting = tasks[::-1]
    while waiting:
        running = {}
        with _pool(min(workers, len(waiting))) as pool:
            try:
                while waiting or running:
                    while waiting and len(running) < 2 * workers:
                        running[pool.submit(work, waiting[-1])] = waiting[-1]
                        waiting.pop()
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        result = future.result()
                        del running[future]
                        yield result
            except BrokenProcessPool:
                pass
        if running:
            _refuse_unstartable()
        for task in running.values():
            yield _alone(work, task, crashed)


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_leave_interrupts)


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers


def _alone(work, task, crashed):
    with _pool(1) as pool:
        try:
            return pool.submit(work, task).result()
        except BrokenProcessPool:
            return crashed(task)


def _refuse_unstartable() -> None:
    with _pool(1) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                'worker processes cannot start; in a script, call this below `if __name__ == "__main__":`, '
                "or pass workers=1"
            ) from error
