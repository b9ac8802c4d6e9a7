"""A parallel map that survives the death of a worker: one bad file must not stop ten thousand good ones."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from typing import TypeVar

from loky import ProcessPoolExecutor
from loky.process_executor import TerminatedWorkerError

Task = TypeVar("Task")
Result = TypeVar("Result")

CRASHED = "the process that read it died (a crash or out of memory)"  # the reason in skipped.csv
FEW = 64  # tasks; starting processes takes longer than doing fewer tasks here


def crash_tolerant_map(
    work: Callable[[Task], Result], tasks: list[Task], workers: int | None, crashed: Callable[[Task], Result]
) -> Iterator[Result]:
    """Yield `work(task)` for each task, in the order they finish.

    The tasks under way when a worker dies are done again, one at a time. One that kills its worker then, too
    (a crash in a decoder, out of memory), yields `crashed(task)`; once may be somebody else's doing. `work`
    and the tasks must be picklable. An exception raised by `work` is raised here.

    Args:
        workers: number of processes; 1 works in this one; None takes one per core, or this one for few tasks.

    Raises:
        BrokenProcessPool: a task, `work` or what it returns or raises cannot be unpickled.
    """
    if workers is None:
        workers = 1 if len(tasks) < FEW else os.cpu_count() or 1
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    waiting, suspects = deque(tasks), deque()
    while waiting or suspects:
        left, processes, ahead = (suspects, 1, 1) if suspects else (waiting, workers, 2 * workers)
        under_way = {}
        ignored = signal.SIGINT, signal.SIG_IGN  # Ctrl-C is for the parent, which then stops its workers
        pool = ProcessPoolExecutor(min(processes, len(left)), initializer=signal.signal, initargs=ignored)
        try:
            while left or under_way:
                while left and len(under_way) < ahead:
                    future = pool.submit(work, left[0])
                    under_way[future] = left.popleft()
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    found = future.result()
                    del under_way[future]
                    yield found
        except TerminatedWorkerError:
            finished = [future for future in under_way if future.done() and not future.exception()]
            yield from (future.result() for future in finished)
            died = [task for future, task in under_way.items() if future not in finished]
            if left is suspects:
                yield from map(crashed, died)
            else:
                suspects.extend(died)
        finally:
            pool.shutdown(kill_workers=True)  # after an error, too: waiting for them could take minutes
