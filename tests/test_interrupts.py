"""An interrupt is held to the end of a step, and never lost."""

import os
import signal
import threading

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


def test_one_that_nobody_asked_for_is_raised_at_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with HeldInterrupt() as interrupt:
            interrupt.raise_if_any()
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the last save")
    assert reached


def test_an_error_is_not_hidden_by_an_interrupt():
    with pytest.raises(FloatingPointError), HeldInterrupt():
        os.kill(os.getpid(), signal.SIGINT)
        raise FloatingPointError


def test_outside_the_main_thread_it_does_nothing():
    before, failures = signal.getsignal(signal.SIGINT), []

    def work():
        try:
            with HeldInterrupt() as interrupt:
                interrupt.raise_if_any()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures and signal.getsignal(signal.SIGINT) == before
