"""What is made ahead is what would have been made, and no more than that."""

import threading

import pytest

from aulib.prefetching import MadeAhead


def test_every_step_gets_its_own_and_each_is_made_once():
    made = []
    with MadeAhead(lambda step: made.append(step) or 10 * step, stop=5) as ahead:
        assert [ahead(step) for step in range(5)] == [0, 10, 20, 30, 40]
    assert made == [0, 1, 2, 3, 4]


def test_the_next_step_is_made_while_this_one_computes():
    begun, seen = threading.Event(), []

    def make(step):
        seen.append((step, threading.current_thread() is threading.main_thread()))
        if step == 1:
            begun.set()
        return step

    with MadeAhead(make, stop=2) as ahead:
        ahead(0)
        assert begun.wait(5)  # nobody has asked for step 1 yet
        ahead(1)
    assert seen == [(0, True), (1, False)]


def test_a_run_that_goes_on_at_another_step_gets_that_step():
    with MadeAhead(lambda step: step, stop=100) as ahead:
        ahead(3)
        assert ahead(50) == 50 and ahead(51) == 51


def test_an_error_is_raised_where_its_step_is_asked_for():
    def make(step):
        if step == 1:
            raise ValueError("step 1 has no faces")
        return step

    with MadeAhead(make, stop=3) as ahead:
        assert ahead(0) == 0
        with pytest.raises(ValueError, match="step 1 has no faces"):
            ahead(1)


def test_no_thread_is_left_after_an_interrupt():
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), MadeAhead(lambda step: step, stop=100) as ahead:
        ahead(0)
        raise KeyboardInterrupt
    assert threading.active_count() == before
