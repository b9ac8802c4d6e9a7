"""The curve below a training cell: drawn again and again, but seldom, and never for a run as a function."""

from types import SimpleNamespace

import IPython.display
import pytest

from aubench.study import live_curve
from aubench.study.notebook_runner import AS_FUNCTION


@pytest.fixture
def drawn(monkeypatch) -> SimpleNamespace:
    """`figures` shown so far, and the `clock`."""
    figures, clock = [], SimpleNamespace(now=100.0)
    handle = SimpleNamespace(update=figures.append)
    monkeypatch.setattr(IPython.display, "display", lambda one, **_: figures.append(one) or handle)
    monkeypatch.setattr(live_curve.time, "monotonic", lambda: clock.now)
    return SimpleNamespace(figures=figures, clock=clock)


def log_of(steps: int) -> list[dict]:
    return [{"step": 10 * step, "seconds": float(step), "total": 5.0 - step} for step in range(steps)]


def test_the_curve_has_all_steps_and_is_drawn_again_after_some_seconds_only(drawn):
    show = live_curve.LiveCurve()
    for second, steps in ((0, 1), (1, 2), (live_curve.EVERY + 1, 3)):
        drawn.clock.now = 100.0 + second
        show(log_of(steps))
    assert [list(one.axes[0].lines[0].get_ydata()) for one in drawn.figures] == [[5.0], [5.0, 4.0, 3.0]]


def test_a_notebook_run_as_a_function_draws_nothing(drawn, monkeypatch):
    monkeypatch.setenv(AS_FUNCTION, "1")
    live_curve.LiveCurve()(log_of(2))
    assert not drawn.figures
