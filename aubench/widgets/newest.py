"""Work beside the kernel: the newest request is answered, those overtaken are dropped."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

NOTHING = object()


class NewestWins:
    """Answers requests in a thread of its own, so that cells and typing go on meanwhile.

    A slider asks faster than a face is rendered; whatever is asked while one answer is being made replaces
    what was waiting, so the last position is always answered and the way there costs nothing.

    Args:
        work: request -> answer; runs in the thread.
        show: what to do with an answer; in the thread too (ipywidgets may be set from any).
        failed: what to do with an exception of either.
    """

    def __init__(
        self, work: Callable[[Any], Any], show: Callable[[Any], None], failed: Callable[[Exception], None]
    ):
        self._work, self._show, self._failed = work, show, failed
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="newest")
        self._lock = threading.Lock()
        self._waiting: Any = NOTHING
        self._idle = threading.Event()
        self._idle.set()

    def ask(self, request: Any) -> None:
        """Have `request` answered soon; returns at once."""
        with self._lock:
            self._waiting = request
            if not self._idle.is_set():
                return
            self._idle.clear()
        self._pool.submit(self._serve)

    def wait(self, seconds: float) -> bool:
        """Whether everything asked is answered, after waiting so long at most."""
        return self._idle.wait(seconds)

    def _serve(self) -> None:
        while True:
            with self._lock:
                request, self._waiting = self._waiting, NOTHING
                if request is NOTHING:
                    self._idle.set()
                    return
            try:
                self._show(self._work(request))
            except Exception as error:
                self._failed(error)
