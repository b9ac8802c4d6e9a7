"""Ctrl-C waits for the end of a training step, so that what is saved is a whole step."""

import signal
import threading


class HeldInterrupt:
    """While open, the first interrupt is only noted; `raise_if_any` raises it where stopping is clean.

    A second interrupt is not held: whoever presses twice means now. Outside the main thread, where
    Python delivers no signals, it does nothing.
    """

    def __enter__(self) -> "HeldInterrupt":
        self.noted = False
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number, frame) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True

    def raise_if_any(self) -> None:
        """Raises KeyboardInterrupt if an interrupt was noted."""
        if self.noted:
            raise KeyboardInterrupt

    def __exit__(self, error, *_) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        if error is None:  # one that came after the last question is not lost
            self.raise_if_any()
