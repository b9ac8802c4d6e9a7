"""Work outside the kernel's thread: the newest request is answered, overtaken ones are dropped."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class NewestWins:
    """Answers requests in its own thread, so the kernel stays free.

    A slider asks faster than a face is rendered. A new request replaces the one that waits, so the last
    position is always answered.

    Args:
        work: request -> answer; runs in the thread.
        show: displays an answer; runs in the thread, as ipywidgets may be set from any.
        failed: displays an exception of either.
    """

    def __init__(
        self, work: Callable[[Any], Any], show: Callable[[Any], None], failed: Callable[[Exception], None]
    ):
        self._work, self._show, self._failed = work, show, failed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="newest")
        self._newest: Future | None = None

    def ask(self, request: Any) -> None:
        """Submit a request; returns at once."""
        if self._newest:
            self._newest.cancel()  # has no effect once it runs
        self._newest = self._thread.submit(self._answer, request)

    def wait(self, seconds: float) -> bool:
        """Wait until the newest request is answered; False after a timeout."""
        newest = self._newest
        if newest is None:
            return True
        finished = not wait([newest], seconds).not_done
        return finished and (newest is self._newest or self.wait(seconds))

    def _answer(self, request: Any) -> None:
        try:
            self._show(self._work(request))
        except Exception as error:
            self._failed(error)
