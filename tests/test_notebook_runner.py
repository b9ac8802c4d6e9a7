"""A run is finished or it is not, says truly why not, and never loses what an earlier one computed."""

import json
from pathlib import Path

import nbformat
import papermill
import pytest

from aubench.study import kernels
from aubench.study.notebook_runner import (
    NotebookFailed,
    notebook_path,
    run_key,
    run_notebook,
    start_notebook,
    write_json,
)
from aubench.study.parameters import ParameterError

PARAMETERS = (
    'steps: int = 2  # steps\nfaces: str = ""  # folder\nseed: int = 0  # seed\nout_dir: str = "x"  # folder'
)
METRICS = """import json, pathlib
out = pathlib.Path(out_dir)
count = len((out / "tries").read_text()) + 1 if (out / "tries").exists() else 1
(out / "tries").write_text("x" * count)
(out / "metrics.json").write_text(json.dumps({"steps": steps, "tries": count}))"""


def write_notebook(path: Path, *cells: str) -> Path:
    code = [nbformat.v4.new_code_cell(cell) for cell in (PARAMETERS, *cells)]
    code[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    return path


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture
def no_kernel(monkeypatch):
    """Stands in for papermill: writes the copy and metrics, or raises what it was given."""

    class Papermill:
        errors: list = []
        calls = 0

        def execute(self, notebook, copy, values, **options):
            self.calls += 1
            Path(copy).write_text(Path(notebook).read_text())
            if self.errors:
                raise self.errors.pop(0)
            out = Path(values["out_dir"])
            write_json(out / "metrics.json", {"steps": values["steps"]})

    fake = Papermill()
    fake.errors = []
    monkeypatch.setattr(papermill, "execute_notebook", fake.execute)
    return fake


def test_a_run_returns_its_metrics_and_records_how_it_came_about(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "print('hello')", METRICS)
    out = tmp_path / "run"
    assert run_notebook(notebook, out, {"steps": 5, "seed": 3}) == {"steps": 5, "tries": 1}
    params = read(out / "params.json")
    assert params["parameters"] == {"steps": 5, "faces": "", "seed": 3, "out_dir": out.as_posix()}
    assert params["seeds"] == {"seed": 3} and params["versions"]["papermill"] == papermill.__version__
    assert read(out / "result.json")["key"] == params["key"]
    executed = nbformat.read(out / "notebook.ipynb", as_version=4)
    assert any("hello" in output.get("text", "") for cell in executed.cells for output in cell.outputs)
    assert not (out / "error.txt").exists()
    # the same call again is answered from the folder, without a kernel
    assert run_notebook(notebook, out, {"steps": 5, "seed": 3}, kernel_name="none") == {
        "steps": 5,
        "tries": 1,
    }


def test_a_raising_cell_fails_with_its_own_error_on_one_line_and_the_next_try_goes_on_in_the_folder(tmp_path):
    cells = METRICS, "raise ValueError('no faces\\nin ' + repr(faces))", "print('unreached')"
    notebook = write_notebook(tmp_path / "n.ipynb", *cells)
    out = tmp_path / "run"
    with pytest.raises(NotebookFailed) as failure:
        run_notebook(notebook, out)
    assert "ValueError: no faces in ''" in str(failure.value) and "\n" not in str(failure.value)
    assert not (out / "result.json").exists()
    told = (out / "error.txt").read_text()
    assert "no faces" in told and "Traceback" in told and "\x1b" not in told
    write_notebook(notebook, METRICS)  # mended
    assert run_notebook(notebook, out)["tries"] == 2
    assert not (out / "error.txt").exists()


def test_a_killed_kernel_is_told_apart_and_the_copy_does_not_claim_to_be_complete(tmp_path):
    killed = "import os, signal; os.write(2, b'last words'); os.kill(os.getpid(), signal.SIGKILL)"
    notebook = write_notebook(tmp_path / "n.ipynb", METRICS, killed, "print('unreached')")
    out = tmp_path / "run"
    with pytest.raises(NotebookFailed, match="the kernel died in cell 4"):  # after the injected parameters
        run_notebook(notebook, out)
    assert not (out / "result.json").exists() and "last words" in (out / "error.txt").read_text()
    statuses = [cell["metadata"]["papermill"]["status"] for cell in read(out / "notebook.ipynb")["cells"]]
    assert statuses == ["completed", "completed", "completed", "failed", "pending"]
    assert (out / "tries").read_text() == "x"  # a cell that began is not run again


def test_a_cell_that_takes_too_long_is_stopped(tmp_path):
    notebook = write_notebook(tmp_path / "n.ipynb", "import time; time.sleep(60)")
    with pytest.raises(NotebookFailed, match="CellTimeoutError in cell 3"):
        run_notebook(notebook, tmp_path / "run", timeout=1)


@pytest.mark.parametrize(
    "parameters, complaint",
    [
        ({"stpes": 3}, r"declares no parameter \['stpes'\]; it has \['steps', 'faces', 'seed', 'out_dir'\]"),
        ({"steps": "3"}, "parameter steps: expected int, found '3' of type str"),
        ({"faces": Path("x")}, "parameter faces: expected str"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, parameters, complaint):
    notebook = write_notebook(tmp_path / "n.ipynb", METRICS)
    with pytest.raises(ParameterError, match=complaint):
        run_notebook(notebook, tmp_path / "run", parameters)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_of_other_settings_is_kept_from_being_overwritten(tmp_path, no_kernel):
    notebook, out = write_notebook(tmp_path / "n.ipynb", METRICS), tmp_path / "run"
    run_notebook(notebook, out, {"steps": 1})
    with pytest.raises(FileExistsError, match=r"steps 1 \(now 2\)"):
        run_notebook(notebook, out, {"steps": 2})
    assert run_notebook(notebook, out, {"steps": 2}, replace=True) == {"steps": 2}
    assert read(tmp_path / "run.before-1" / "metrics.json")["steps"] == 1
    run_notebook(notebook, out, {"steps": 2}, reuse=False, replace=True)
    assert (tmp_path / "run.before-2").is_dir() and no_kernel.calls == 3


def test_an_unfinished_run_of_other_settings_is_set_aside(tmp_path, no_kernel):
    notebook, out = write_notebook(tmp_path / "n.ipynb", METRICS), tmp_path / "run"
    no_kernel.errors = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run_notebook(notebook, out, {"steps": 1})
    assert "interrupted" in (out / "error.txt").read_text()
    (out / "checkpoint").touch()
    run_notebook(notebook, out, {"steps": 2})
    assert (tmp_path / "run.before-1" / "checkpoint").exists() and not (out / "checkpoint").exists()


def test_a_kernel_that_does_not_start_is_tried_three_times(tmp_path, no_kernel):
    notebook = write_notebook(tmp_path / "n.ipynb", METRICS)
    no_kernel.errors = [RuntimeError("Kernel died before replying")] * 2
    assert run_notebook(notebook, tmp_path / "a")["steps"] == 2
    no_kernel.errors = [RuntimeError("Kernel died before replying")] * 3
    with pytest.raises(NotebookFailed, match="before the first cell: Kernel died"):
        run_notebook(notebook, tmp_path / "b")
    assert no_kernel.calls == 6


def test_each_run_gets_a_socket_path_of_its_own_short_enough_for_the_system():
    with kernels._kernel_settings() as first, kernels._kernel_settings() as second:
        paths = [settings["config"]["KernelManager"]["ip"] for settings in (first, second)]
        assert paths[0] != paths[1] and all(len(path) < 95 for path in paths)
    assert not Path(paths[0]).parent.exists()


def test_the_key_follows_code_cells_parameters_and_inputs_but_not_prose_or_place(tmp_path):
    def key(*cells, **values):
        return run_key(write_notebook(tmp_path / "n.ipynb", *cells), values)

    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "manifest.csv").write_text("image\n")
    before = key("a", seed=0, faces=str(faces))
    assert key("a", seed=0, faces=str(faces), out_dir="elsewhere") == before
    others = [key("b", seed=0, faces=str(faces)), key("a", seed=1, faces=str(faces))]
    (faces / "manifest.csv").write_text("image\nx.png\n")
    others.append(key("a", seed=0, faces=str(faces)))
    assert len({before, *others}) == 4


def test_what_json_lacks_is_written_as_null_and_a_broken_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "scores.json"
    write_json(file, {"f1": float("nan"), "per": [1.0, float("inf")]})
    assert read(file) == {"f1": None, "per": [1.0, None]}
    with pytest.raises(TypeError):
        write_json(file, {"f1": object()})
    assert read(file)["per"] == [1.0, None] and list(tmp_path.iterdir()) == [file]


def test_an_unknown_notebook_is_named_beside_those_there_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="no notebook '99_absent'"):
        notebook_path("99_absent")
    assert notebook_path(write_notebook(tmp_path / "own.ipynb")) == tmp_path / "own.ipynb"


@pytest.mark.parametrize("place", ["", "notebooks", "notebooks/course"])
def test_a_notebook_stands_at_the_checkouts_root_wherever_jupyter_started_it(tmp_path, monkeypatch, place):
    (tmp_path / "notebooks" / "course").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / place)
    assert "seed 5" in start_notebook(5)
    assert Path.cwd() == tmp_path


def test_a_folder_that_is_no_checkout_is_not_left(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    start_notebook(0)
    assert Path.cwd() == tmp_path / "notebooks"
