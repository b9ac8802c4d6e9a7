"""An interrupt is held to the end of a step, and never lost."""

import os
import signal

import pytest

from aulib.interrupts import HeldInterrupt


def test_an_interrupt_waits_until_it_is_asked_for():
    reached = []
    with pytest.raises(KeyboardInterrupt), HeldInterrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("the rest of the step")
        interrupt.raise_if_any()
        reached.append("the next step")
    assert reached == ["the rest of the step"]


def test_a_second_interrupt_is_not_held():
    reached = []
    with pytest.raises(KeyboardInterrupt), HeldInterrupt():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after two")
    assert not reached


def test_the_former_handler_is_back_afterwards():
    before = signal.getsignal(signal.SIGINT)
    with HeldInterrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
