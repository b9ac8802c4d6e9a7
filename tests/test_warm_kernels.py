"""Forked kernels: a process each, everything imported, and none outlives who asked for it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aulib import warm_kernels
from aulib.running import NotebookFailed, run_notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
PARAMETERS = 'seconds: float = 0.0  # to wait\nseed: int = 0  # seed\nout_dir: str = "x"  # folder'
TELL = """import json, os, random, sys, time, pathlib
import colorsys  # stands for an import that takes long
import numpy
out = {"pid": os.getpid(), "parent": os.getppid(), "mark": getattr(colorsys, "mark", None)}
out |= {"drawn": [random.random(), numpy.random.rand()], "here": os.getcwd(), "env": os.environ["AULIB_MARK"]}
colorsys.mark = "left by another run"
pathlib.Path(out_dir, "metrics.json").write_text(json.dumps(out))
time.sleep(seconds)"""


@pytest.fixture
def notebook(tmp_path, monkeypatch) -> Path:
    import nbformat

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AULIB_MARK", "of the run")
    cells = [nbformat.v4.new_code_cell(cell) for cell in (PARAMETERS, TELL)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    yield tmp_path / "n.ipynb"
    warm_kernels.close_nursery()


def run(notebook, name: str, **parameters) -> dict:
    return run_notebook(notebook, notebook.parent / name, parameters, progress=False, warm=True)


def test_runs_have_processes_of_their_own_forked_from_one_that_did_the_imports(notebook):
    first, second = run(notebook, "a", seed=1), run(notebook, "b", seed=2)
    nursery = warm_kernels._nursery[2]
    assert first["parent"] == second["parent"] == nursery.process.pid
    assert first["pid"] != second["pid"] and second["mark"] is None
    assert not set(first["drawn"]) & set(second["drawn"])  # unseeded generators do not repeat themselves
    assert first["here"] == str(notebook.parent) and first["env"] == "of the run"
    assert not psutil.pid_exists(first["pid"]) and not psutil.pid_exists(second["pid"])
    warm_kernels.close_nursery()
    assert nursery.process.poll() is not None


def test_an_edited_library_or_another_environment_gets_a_new_nursery(notebook, monkeypatch):
    first = warm_kernels.nursery_for(notebook)
    assert warm_kernels.nursery_for(notebook) is first
    monkeypatch.setattr(warm_kernels, "stamp_of_library", lambda: ("edited",))
    second = warm_kernels.nursery_for(notebook)
    assert second is not first and first.process.poll() is not None
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert warm_kernels.nursery_for(notebook) is not second


def test_a_notebook_that_imports_less_is_served_and_one_that_imports_more_is_not(notebook):
    more = notebook.with_name("more.ipynb")
    more.write_text(notebook.read_text().replace("import colorsys", "import colorsys, this_is_nowhere"))
    of_both = warm_kernels.nursery_for(notebook, more)
    assert warm_kernels.nursery_for(more) is of_both and warm_kernels.nursery_for(notebook) is of_both
    warm_kernels.close_nursery()
    of_one = warm_kernels.nursery_for(notebook)
    assert of_one is not of_both and warm_kernels.nursery_for(more) is not of_one


def test_what_training_imports_within_its_functions_is_imported_beforehand(notebook, monkeypatch):
    asked = []
    monkeypatch.setattr(warm_kernels, "_started", asked.extend)
    warm_kernels.nursery_for(notebook)
    assert "lightning_fabric" not in asked
    notebook.write_text(notebook.read_text().replace("import colorsys", "import aulib.runs, colorsys"))
    warm_kernels.nursery_for(notebook)
    assert {"lightning_fabric", "sklearn.linear_model"} <= set(asked)


@pytest.mark.slow
def test_imports_that_start_threads_are_not_forked_but_run_in_a_fresh_kernel(notebook):
    (notebook.parent / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()"
    )
    text = notebook.read_text().replace(
        "import colorsys", "import sys; sys.path.insert(0, '.'); import threaded, colorsys"
    )
    notebook.write_text(text)
    metrics = run(notebook, "a")
    assert metrics["parent"] == os.getpid() and warm_kernels._nursery[2] is None


@pytest.mark.slow
def test_a_killed_kernel_and_a_killed_nursery_fail_the_run_and_not_the_next_one(notebook):
    text = notebook.read_text()
    notebook.write_text(text.replace("time.sleep(seconds)", "os.kill(os.getpid(), 9)"))
    with pytest.raises(NotebookFailed, match="the kernel died in cell 3"):
        run(notebook, "a")
    notebook.write_text(text.replace("time.sleep(seconds)", "os.kill(os.getppid(), 9); time.sleep(30)"))
    with pytest.raises(NotebookFailed, match="the kernel died in cell 3"):
        run(notebook, "b")
    notebook.write_text(text)
    assert run(notebook, "c")["parent"] != os.getpid()


def test_kernel_and_nursery_end_when_the_process_that_asked_is_killed(notebook):
    code = (
        "import sys; from aulib.running import run_notebook\n"
        "run_notebook(sys.argv[1], 'r', {'seconds': 60.0}, progress=False, warm=True)"
    )
    asking = subprocess.Popen([sys.executable, "-c", code, str(notebook)], stderr=subprocess.DEVNULL)
    metrics = notebook.parent / "r" / "metrics.json"
    end = time.monotonic() + 600  # a busy machine
    while not metrics.is_file() and asking.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.1)
    told = json.loads(metrics.read_text())
    both = [psutil.Process(told["pid"]), psutil.Process(told["parent"])]
    os.kill(asking.pid, signal.SIGKILL)
    asking.wait()
    assert psutil.wait_procs(both, timeout=10)[1] == []
