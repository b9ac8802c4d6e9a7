"""A parallel map that survives the death of a worker."""

import os
import signal
import time

import pytest
from loky.process_executor import BrokenProcessPool

from aubench.datasets.crash_tolerant import crash_tolerant_map


def times_ten_or_die(task: int) -> int:
    if task == 7:
        os._exit(9)  # as a crash in a decoder would
    return 10 * task


@pytest.mark.slow
def test_a_task_that_kills_its_worker_costs_only_itself():
    results = sorted(
        crash_tolerant_map(times_ten_or_die, list(range(12)), workers=2, crashed=lambda task: -task)
    )
    assert results == [-7, 0, 10, 20, 30, 40, 50, 60, 80, 90, 100, 110]


def test_one_worker_or_few_tasks_run_in_this_process():
    for workers in (1, None):
        seen = list(crash_tolerant_map(lambda task: (task, os.getpid()), [1, 2], workers, crashed=None))
        assert seen == [(1, os.getpid()), (2, os.getpid())]
    assert list(crash_tolerant_map(times_ten_or_die, [], 4, crashed=None)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_itself_is_raised(workers):
    with pytest.raises(ZeroDivisionError):
        list(crash_tolerant_map(lambda task: 1 / task, [1, 0], workers, crashed=None))


class CannotReturn(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def raise_what_cannot_return(task):
    raise CannotReturn(task, task)


def test_what_cannot_be_sent_back_is_no_crash():
    with pytest.raises(BrokenProcessPool, match="un-serialize"):
        list(crash_tolerant_map(raise_what_cannot_return, [1, 2], 2, crashed=lambda task: "crashed"))


def count_and_die(task):
    """Note the task in its file; the last one waits for the others and kills its worker."""
    folder, number = task
    (folder / f"{number} {os.getpid()}").touch()
    if number == 3:
        while len({file.name[0] for file in folder.iterdir()}) < 4:
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.slow
def test_what_was_finished_when_a_worker_died_is_not_done_again(tmp_path):
    found = crash_tolerant_map(
        count_and_die, [(tmp_path, n) for n in (3, 0, 1, 2)], 2, lambda task: "crashed"
    )
    first = next(found)
    time.sleep(2)  # the others finish, and the worker dies
    assert sorted(map(str, [first, *found])) == ["0", "1", "2", "crashed"]
    assert sorted(file.name[0] for file in tmp_path.iterdir()) == ["0", "1", "2", "3", "3"]


def dies_once(task):
    """Kill the worker the first time; `task` is a file that says so."""
    if not task.exists():
        task.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task.name


def test_a_worker_that_somebody_kills_is_not_the_task_s_fault(tmp_path):
    tasks = [tmp_path / f"{n}" for n in range(9)]
    for task in tasks[1:]:
        task.touch()
    found = crash_tolerant_map(dies_once, tasks, 2, lambda task: "crashed")
    assert sorted(found) == [task.name for task in tasks]
