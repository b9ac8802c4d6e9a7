"""The next step's batches are made while this step computes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")


class MadeAhead(Generic[Made]):
    """`make(step)` for one step after another, the next one begun in a thread of its own.

    What is made may depend on the step alone: then a run that is resumed, or asks for steps in another order,
    gets what it would have got without this. An error of `make` is raised where its step is asked for.

    Args:
        make: called from one thread at a time.
        stop: nothing is made ahead from this step on.
    """

    def __init__(self, make: Callable[[int], Made], stop: int):
        self.make, self.stop = make, stop
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self.begun: dict[int, Future[Made]] = {}

    def __call__(self, step: int) -> Made:
        begun = self.begun.pop(step, None)
        made = self.make(step) if begun is None else begun.result()
        self.begun = {} if step + 1 >= self.stop else {step + 1: self.thread.submit(self.make, step + 1)}
        return made

    def __enter__(self) -> "MadeAhead[Made]":
        return self

    def __exit__(self, *_) -> None:
        self.thread.shutdown(wait=True, cancel_futures=True)
