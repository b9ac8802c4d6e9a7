"""The weighted sum of the terms of a run in training, drawn again and again below the cell that trains."""

import os
import time

import pandas as pd

from aubench.study.notebook_runner import AS_FUNCTION

EVERY = 3.0  # seconds between drawings, or 30 times what a drawing takes: it must not slow the training


class LiveCurve:
    """Called with the growing log of a run, `train_run(..., on_log=LiveCurve())`; draws in Jupyter only.

    `run_notebook` has nobody to look at it, and its runs measure their time.
    """

    def __init__(self):
        self._shown, self._next = None, 0.0

    def __call__(self, log: list[dict]) -> None:
        began = time.monotonic()
        if began < self._next or AS_FUNCTION in os.environ:
            return
        from IPython.display import display

        from aubench.plots import draw_run_curves

        figure = draw_run_curves({f"step {log[-1]['step']}": pd.DataFrame(log)}, "total")
        if self._shown is None:
            self._shown = display(figure, display_id=True)
        else:
            self._shown.update(figure)
        now = time.monotonic()
        self._next = now + max(EVERY, 30 * (now - began))
