"""One process at a time locks a run folder, and a dead one locks none."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aubench.study import run_lock as locks
from aubench.study.run_lock import RunIsHeld, holder, is_held, run_lock

HOLD = """import sys, time
from aubench.study.run_lock import run_lock
with run_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)"""


def hold(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_locked_folder_names_its_holder_until_that_is_killed(tmp_path):
    folder = tmp_path / "run"
    assert not is_held(folder)
    process = hold(folder)
    assert is_held(folder) and f"process {process.pid} on " in holder(folder)
    with pytest.raises(RunIsHeld, match=f"process {process.pid}"), run_lock(folder, 0):
        pass
    process.kill()
    process.wait()
    assert not is_held(folder)
    with run_lock(folder, 0):
        assert is_held(folder) and str(os.getpid()) in holder(folder)
    assert not is_held(folder) and not list(tmp_path.iterdir())  # nothing is left there


def test_a_waiting_process_gets_the_lock_when_it_is_free(tmp_path):
    process = hold(tmp_path / "run")
    process.kill()
    with run_lock(tmp_path / "run", patience=10):
        assert process.wait() < 0


def test_a_kernel_that_inherited_the_lock_holds_it_after_its_runner_ended(tmp_path):
    with run_lock(tmp_path / "run") as lock:
        kernel = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[lock])
    assert is_held(tmp_path / "run")
    kernel.kill()
    kernel.wait()
    assert not is_held(tmp_path / "run")


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    taken, calls = locks._taken, []

    def after_another_was_done(descriptor):
        if not calls:
            (tmp_path / ".aulib-run.lock").unlink()
        calls.append(descriptor)
        return taken(descriptor)

    monkeypatch.setattr(locks, "_taken", after_another_was_done)
    with run_lock(tmp_path / "run"):
        assert len(calls) == 2 and is_held(tmp_path / "run")


def test_of_many_processes_one_at_a_time_has_the_lock_although_each_removes_it(tmp_path):
    work = """import sys
from pathlib import Path
from aubench.study.run_lock import run_lock
count, inside = Path(sys.argv[1], "count"), Path(sys.argv[1], "inside")
for _ in range(200):
    with run_lock(Path(sys.argv[1], "run"), patience=60):
        inside.mkdir()  # fails if another is inside
        count.write_text(str(int(count.read_text()) + 1))
        inside.rmdir()"""
    (tmp_path / "count").write_text("0")
    workers = [subprocess.Popen([sys.executable, "-c", work, str(tmp_path)]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "600" and len(list(tmp_path.iterdir())) == 1


def test_asking_whether_a_folder_is_locked_does_not_keep_its_runner_out(tmp_path):
    with run_lock(tmp_path / "run"):
        pass
    ask = f"print(1, flush=True)\nwhile True: is_held({str(tmp_path / 'run')!r})"
    ask = f"from aubench.study.run_lock import is_held\n{ask}"
    asking = subprocess.Popen([sys.executable, "-c", ask], stdout=subprocess.PIPE)
    asking.stdout.readline()
    end, times = time.monotonic() + 1, 0
    while time.monotonic() < end:
        with run_lock(tmp_path / "run"):
            times += 1
    assert times > 1 and asking.poll() is None
    asking.kill()
    asking.wait()


def test_a_folder_in_a_place_that_cannot_be_written_is_locked_in_itself(tmp_path, monkeypatch):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with run_lock(mounted):
        assert is_held(mounted) and os.listdir(tmp_path) == ["mounted"]
