"""A run is finished or names the cause, and never overwrites an earlier one."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

import aulib
from aubench.study import kernels, notebook_runner
from aubench.study.notebook_runner import (
    NotebookFailed,
    edits_of,
    notebook_path,
    run_notebook,
    start_notebook,
)
from aubench.study.parameters import ParameterError, effective_parameters
from aubench.study.resolved import resolve, run_key
from aulib.files import code_version, write_json
from conftest import write_notebook
from tiny import TINY_VALUES

PARAMETERS = (
    'steps: int = 2  # steps\nfaces: str = ""  # folder\nseed: int = 0  # seed\nout_dir: str = "x"  # folder'
)
METRICS = """import json, pathlib
out = pathlib.Path(out_dir)
count = len((out / "tries").read_text()) + 1 if (out / "tries").exists() else 1
(out / "tries").write_text("x" * count)
(out / "metrics.json").write_text(json.dumps({"steps": steps, "tries": count}))"""


def notebook_of(folder: Path, *cells: str) -> Path:
    return write_notebook(folder / "n.ipynb", PARAMETERS, *cells)


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture
def no_kernel(monkeypatch) -> list[BaseException]:
    """papermill without a kernel: writes the copy, then metrics, or raises the next error of this list."""
    errors: list[BaseException] = []

    def execute_notebook(notebook, copy, values, **options):
        Path(copy).write_text(Path(notebook).read_text())
        if errors:
            raise errors.pop(0)
        write_json(Path(values["out_dir"], "metrics.json"), {"steps": values["steps"]})

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    return errors


@pytest.mark.parametrize("name", ["notebook.ipynb", "metrics.json", "result.json", "config.json"])
def test_a_folder_that_is_no_run_loses_nothing(name, tmp_path, no_kernel):
    mine = tmp_path / "mine" / name
    mine.parent.mkdir()
    mine.write_text("years of work")
    with pytest.raises(FileExistsError, match="mine is not empty, expected a new folder"):
        run_notebook(notebook_of(tmp_path), mine.parent)
    assert mine.read_text() == "years of work" and os.listdir(mine.parent) == [name]
    with pytest.raises(FileExistsError, match=f"{name} is a file, expected a new folder"):
        run_notebook(notebook_of(tmp_path), mine)


def test_what_a_kill_leaves_before_a_run_begins_is_in_nobody_s_way(tmp_path, no_kernel):
    (tmp_path / "run/.params.json.part").mkdir(parents=True)
    (tmp_path / "run/error.txt").write_text("the worker failed")
    assert run_notebook(notebook_of(tmp_path), tmp_path / "run")["steps"]


def test_a_run_returns_its_metrics_and_records_how_it_was_made(tmp_path):
    notebook = notebook_of(tmp_path, "print('hello')", METRICS)
    out = tmp_path / "run"
    assert run_notebook(notebook, out, {"steps": 5, "seed": 3}) == {"steps": 5, "tries": 1}
    params = read(out / "params.json")
    assert params["parameters"] == {"steps": 5, "faces": "", "seed": 3, "out_dir": out.as_posix()}
    resolved = params["resolved"]
    assert resolved["parameters"] == {"steps": 5, "faces": "", "seed": 3} and resolved["training"] == {}
    assert resolved["code"] == code_version() and run_key(resolved) == params["key"]
    assert params["seeds"] == {"seed": 3} and params["versions"]["papermill"] == papermill.__version__
    assert read(out / "result.json")["key"] == params["key"]
    executed = nbformat.read(out / "notebook.ipynb", as_version=4)
    assert any("hello" in output.get("text", "") for cell in executed.cells for output in cell.outputs)
    assert not (out / "error.txt").exists()
    # the same call again is answered from the folder
    assert run_notebook(notebook, out, {"steps": 5, "seed": 3})["tries"] == 1
    assert run_notebook(notebook, out, {"steps": 5, "seed": 3}, reuse=False, replace=True)["tries"] == 1
    assert (tmp_path / "run.before-1" / "tries").is_file()


@pytest.mark.slow
def test_a_raising_cell_is_the_cause_and_the_next_try_resumes_in_the_folder(tmp_path):
    cells = METRICS, "raise ValueError('no faces\\nin ' + repr(faces))", "print('unreached')"
    notebook = notebook_of(tmp_path, *cells)
    out = tmp_path / "run"
    with pytest.raises(NotebookFailed) as failure:
        run_notebook(notebook, out)
    assert "ValueError: no faces in ''" in str(failure.value) and "\n" not in str(failure.value)
    assert not (out / "result.json").exists()
    error = (out / "error.txt").read_text()
    assert "no faces" in error and "Traceback" in error and "\x1b" not in error
    notebook_of(tmp_path, METRICS)  # corrected
    assert run_notebook(notebook, out)["tries"] == 2
    assert not (out / "error.txt").exists()


def test_a_killed_kernel_is_the_cause_and_its_cell_is_marked_as_failed(tmp_path):
    killed = "import os, signal; os.write(2, b'last words'); os.kill(os.getpid(), signal.SIGKILL)"
    notebook = notebook_of(tmp_path, METRICS, killed, "print('unreached')")
    out = tmp_path / "run"
    with pytest.raises(NotebookFailed, match="died in cell 4"):  # after the injected parameters
        run_notebook(notebook, out)
    assert not (out / "result.json").exists() and "last words" in (out / "error.txt").read_text()
    statuses = [cell["metadata"]["papermill"]["status"] for cell in read(out / "notebook.ipynb")["cells"]]
    assert statuses == ["completed", "completed", "completed", "failed", "pending"]


@pytest.mark.parametrize(
    "parameters, named",
    [
        ({"stpes": 3}, ["'stpes'", "'steps'", "'faces'"]),
        ({"steps": "3"}, ["steps", "int", "'3'"]),
        ({"faces": Path("x")}, ["faces", "str", "Path"]),
    ],
)
def test_a_parameter_that_does_not_fit_is_an_error_before_anything_is_written(tmp_path, parameters, named):
    notebook = notebook_of(tmp_path, METRICS)
    with pytest.raises(ParameterError) as error:
        run_notebook(notebook, tmp_path / "run", parameters)
    assert all(part in str(error.value) for part in named)
    assert not (tmp_path / "run").exists()


def test_a_finished_run_with_other_settings_is_never_overwritten(tmp_path, no_kernel):
    notebook, out = notebook_of(tmp_path, METRICS), tmp_path / "run"
    run_notebook(notebook, out, {"steps": 1})
    with pytest.raises(FileExistsError, match=r"steps 1 \(now 2\)"):
        run_notebook(notebook, out, {"steps": 2})
    assert run_notebook(notebook, out, {"steps": 2}, replace=True) == {"steps": 2}
    assert read(tmp_path / "run.before-1" / "metrics.json")["steps"] == 1


def test_an_unfinished_run_with_other_settings_is_set_aside(tmp_path, no_kernel):
    notebook, out = notebook_of(tmp_path, METRICS), tmp_path / "run"
    no_kernel.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run_notebook(notebook, out, {"steps": 1})
    assert "interrupted" in (out / "error.txt").read_text()
    (out / "checkpoint").touch()
    run_notebook(notebook, out, {"steps": 2})
    assert (tmp_path / "run.before-1" / "checkpoint").exists() and not (out / "checkpoint").exists()


def test_a_kernel_that_does_not_start_is_the_cause(tmp_path, no_kernel):
    no_kernel.append(RuntimeError("Kernel died before replying"))
    with pytest.raises(NotebookFailed, match="before the first cell: Kernel died"):
        run_notebook(notebook_of(tmp_path, METRICS), tmp_path / "run")


def test_each_kernel_has_sockets_of_its_own_with_short_paths(tmp_path, monkeypatch):
    paths = []

    def execute_notebook(*arguments, config, **options):
        paths.append(Path(config["KernelManager"]["ip"]))
        assert paths[-1].parent.is_dir()

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    for _ in range(2):
        kernels.execute(tmp_path / "n.ipynb", tmp_path / "copy.ipynb", {}, lock=0)
    assert paths[0] != paths[1] and all(len(str(path)) < 95 for path in paths)
    assert not any(path.parent.exists() for path in paths)


def test_the_key_covers_code_cells_parameters_and_inputs_but_not_the_folder(tmp_path):
    def key(*cells, **values):
        return run_key(resolve(notebook_of(tmp_path, *cells), values))

    faces = tmp_path / "faces"
    faces.mkdir()
    (faces / "manifest.csv").write_text("image\n")
    before = key("a", seed=0, faces=str(faces))
    assert key("a", seed=0, faces=str(faces), out_dir="elsewhere") == before
    others = [key("b", seed=0, faces=str(faces)), key("a", seed=1, faces=str(faces))]
    (faces / "manifest.csv").write_text("image\nx.png\n")
    others.append(key("a", seed=0, faces=str(faces)))
    assert len({before, *others}) == 4


def test_the_key_of_a_run_that_trains_is_that_of_what_it_resolves_to(tmp_path):
    """The stored parameters differ in words, and the folders of the data in their name."""
    keys, notebook = set(), notebook_path("02_train")
    for values in (
        {"method": "separation", "source": str(tmp_path)},
        {"supervisors": [], "alignment": "dense", "source": f"{tmp_path}/."},
    ):
        resolved = resolve(notebook, effective_parameters(notebook, values, Path("x")))
        assert resolved["training"]["supervisors"] == [] and resolved["training"]["alignment"] is None
        assert resolved["parameters"] == {"protocol": ""} and "out_dir" not in json.dumps(resolved)
        (tmp_path / "manifest.csv").touch()
        keys.add(run_key(resolve(notebook, effective_parameters(notebook, values, Path("x")))))
    assert len(keys) == 1


class TestEdits:
    """Whoever runs a notebook that differs from the committed one is told."""

    @pytest.fixture
    def committed(self, tmp_path) -> Path:
        notebook = notebook_of(tmp_path, "print(steps)")
        for command in (
            ["init", "-q"], ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "one"],
        ):  # fmt: skip
            subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
        return notebook

    def test_a_saved_parameter_and_edited_code_are_named(self, committed):
        assert edits_of(committed) == ""
        write_notebook(committed, PARAMETERS.replace("steps: int = 2", "steps: int = 40"), "print(steps)")
        assert edits_of(committed) == "n.ipynb differs from the committed one: steps is 40, not 2"
        assert "a study uses its file and the library's defaults" in edits_of(committed, in_study=True)
        write_notebook(committed, PARAMETERS, "print(2 * steps)")
        assert edits_of(committed) == "n.ipynb differs from the committed one: its code"

    def test_edits_are_recorded_in_words_and_the_code_as_a_hash(self, committed, tmp_path, no_kernel):
        run_notebook(committed, tmp_path / "one")
        write_notebook(committed, PARAMETERS, "print(2 * steps)")
        run_notebook(committed, tmp_path / "two")
        one, two = (read(tmp_path / name / "params.json") for name in ("one", "two"))
        assert (one["edits"], two["edits"]) == ("", "n.ipynb differs from the committed one: its code")
        assert one["resolved"]["notebook"] != two["resolved"]["notebook"]

    def test_outputs_are_no_edit(self, committed):
        notebook = nbformat.read(committed, as_version=4)
        notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="2")]
        nbformat.write(notebook, committed)
        assert edits_of(committed) == ""

    def test_an_installed_notebook_is_compared_with_the_library_s_defaults(self, tmp_path, monkeypatch):
        monkeypatch.setattr(notebook_runner, "NOTEBOOKS", (tmp_path / "notebooks",))
        (tmp_path / "notebooks").mkdir()
        installed = tmp_path / "notebooks" / "02_train.ipynb"
        text = notebook_path(Path(aulib.__file__).parents[1] / "notebooks" / "02_train.ipynb").read_text()
        installed.write_text(text)
        assert edits_of(installed) == ""
        installed.write_text(text.replace('method: str = \\"full\\"', 'method: str = \\"adld\\"'))
        edit = "02_train.ipynb differs from the library's defaults: method is 'adld', not 'full'"
        assert edits_of(installed) == edit
        elsewhere = Path(shutil.copy(installed, tmp_path))
        assert edits_of(elsewhere) == ""  # a notebook of one's own has defaults of its own

    def test_the_command_tells(self, committed, capsys, monkeypatch):
        from aubench.cli.main import main

        write_notebook(committed, PARAMETERS.replace("steps: int = 2", "steps: int = 40"), "print(steps)")
        monkeypatch.setattr(notebook_runner, "run_notebook", lambda *arguments, **options: {})
        with pytest.raises(SystemExit):
            main(["run", str(committed), "--out", "x"])
        assert "note: n.ipynb differs from the committed one: steps is 40, not 2" in capsys.readouterr().err


def test_json_has_null_for_nan_and_a_failed_write_leaves_the_old_file(tmp_path):
    file = tmp_path / "scores.json"
    write_json(file, {"f1": float("nan"), "per": [1.0, float("inf")]})
    assert read(file) == {"f1": None, "per": [1.0, None]}
    with pytest.raises(TypeError):
        write_json(file, {"f1": object()})
    assert read(file)["per"] == [1.0, None] and list(tmp_path.iterdir()) == [file]


def test_an_unknown_notebook_is_an_error_that_lists_the_known_ones(tmp_path):
    for name in ("99_absent", "", ".", "/"):
        with pytest.raises(FileNotFoundError, match=f"no notebook {name!r}.*'02_train'"):
            notebook_path(name)
    assert notebook_path(notebook_of(tmp_path)) == tmp_path / "n.ipynb"


@pytest.mark.parametrize("place", ["", "notebooks", "notebooks/course"])
@pytest.mark.parametrize("checkout", [True, False])
def test_a_notebook_works_at_the_root_of_its_checkout(tmp_path, monkeypatch, place, checkout):
    (tmp_path / "notebooks" / "course").mkdir(parents=True)
    if checkout:
        (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / place)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", sys.path.copy())
    assert "seed 5" in start_notebook(5, "results/new")
    assert Path.cwd() == (tmp_path if checkout else tmp_path / place) and Path("results/new").is_dir()
    if checkout and place:  # so that processes of the kernel find the lesson's module
        assert os.environ["PYTHONPATH"] == sys.path[0] == str(tmp_path / place)


START = "from aubench.study.notebook_runner import start_notebook\nprint(start_notebook(0, 'out'))"

# What is interrupted: a cell, and a file of its work that is kept.
LONG_CELLS = {
    "training": (
        "from aulib.train_run import train_run\n"
        "train_run('tiny_set', 'tiny_target', steps=100_000, batch_size=2, out_dir='run', **{values})",
        "run/fit/last.ckpt",
    ),
    "rendering": (
        "from aufaces.sets import generate_set\ngenerate_set('studio', 4000, 0, 64, 'faces')",
        ".faces.*.part/chunks/*.csv",
    ),
}
STOP = """
import os, pathlib, signal, threading, time
def stop_it_at_work():
    while not any(pathlib.Path().glob({kept!r})):
        time.sleep(0.2)
    os.killpg(os.getpgid(0), signal.SIGINT)  # as JupyterLab's button does, children too
threading.Thread(target=stop_it_at_work, daemon=True).start()
"""


def executed(code: list[str], folder: Path, until_it_fails: bool = False) -> nbformat.NotebookNode:
    """A notebook of these cells after each of them was run, or all up to the first that fails."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in code])
    with tempfile.TemporaryDirectory(prefix="au-", ignore_cleanup_errors=True) as sockets:
        config = Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/k"})
        where = {"metadata": {"path": str(folder)}}
        client = NotebookClient(notebook, kernel_name="python3", resources=where, config=config)
        client.allow_errors = not until_it_fails
        with pytest.raises(CellExecutionError) if until_it_fails else contextlib.nullcontext():
            client.execute()
    return notebook


def said(cell: nbformat.NotebookNode) -> list[str]:
    """What a cell shows: its sentences, and the names of errors with a traceback."""
    return [
        one["ename"] if one.output_type == "error" else one["data"]["text/markdown"]
        for one in cell.outputs
        if one.output_type != "stream"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["training", "rendering"])
def test_an_interrupted_cell_says_so_in_one_line_and_keeps_its_work(what, tiny_set, tiny_target, tmp_path):
    cell, kept = LONG_CELLS[what]
    code = [START, STOP.format(kept=kept) + cell.format(values=TINY_VALUES)]
    notebook = executed(code, tmp_path, until_it_fails=True)
    shown = [one for one in notebook.cells[1].outputs if "jupyter.widget" not in str(one)]  # not the bar
    assert [one["data"]["text/markdown"] for one in shown] == ["Interrupted; run this cell again to resume."]
    assert any(tmp_path.glob(kept))


def test_a_refusal_of_ours_is_one_line_and_any_other_error_keeps_its_traceback(tmp_path):
    made = "metrics = {}\n".join(["raise KeyboardInterrupt\n", "folders = [None for run in 'ab']"])
    code = [
        START,
        "from aulib.methods import METHODS\nfrom aulib.run_config import RunConfig",
        "RunConfig('a', 'b', method='ful')",
        "RunConfig('a', 'b', weights={'cyc': 1.0})",  # a KeyError
        "RunConfig('a', 'b', method=[])",  # a bug: a list is no key
        "int('x')",
        "raise ValueError('of the cell itself')",
        made,
        "1 +",
        "metrics['seconds']",
        "never_made",
    ]
    shown = [said(cell) for cell in executed(code, tmp_path).cells]
    assert shown[:2] == [[], []] and shown[4:7] == [["TypeError"], ["ValueError"], ["ValueError"]]
    assert "unknown method 'ful'" in shown[2][0] and len(shown[2]) == 1
    assert "'cyc'" in shown[3][0] and not shown[3][0].startswith(("'", '"'))
    assert shown[7] == ["Interrupted; run this cell again to resume."]
    assert shown[8] == ["SyntaxError"]
    assert shown[9][0].startswith("`metrics` is missing: cell [8], which makes it, was interrupted")
    assert shown[10][0].startswith("`never_made` is missing: no cell made it. Run the cells above first")


def test_the_kernel_is_this_interpreter_whatever_the_environment_says(tmp_path, monkeypatch):
    """Another kernel named python3 comes first, the home cannot be written, a startup file fails."""
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    write_json(other / "kernel.json", {"argv": ["false"], "display_name": "other", "language": "python"})
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "first.py").write_text("steps = import_of_a_name_that_is_not_there; raise SystemExit")
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file" / "in")  # no folder can be made there
    for name, value in {
        "JUPYTER_PATH": str(tmp_path / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0",
        "JUPYTER_DATA_DIR": nowhere,
        "JUPYTER_RUNTIME_DIR": nowhere, "JUPYTER_CONFIG_DIR": nowhere, "HOME": nowhere,
        "JUPYTER_DEFAULT_PROVISIONER_NAME": "absent", "IPYTHONDIR": str(tmp_path / "ipython"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    cell = (
        "import json, pathlib, sys\n"
        "pathlib.Path(out_dir, 'metrics.json').write_text(json.dumps({'python': sys.executable}))"
    )
    assert run_notebook(notebook_of(tmp_path, cell), tmp_path / "run") == {"python": sys.executable}


def test_a_full_disk_is_the_cause_in_error_txt_although_the_copy_is_cut_off(tmp_path, monkeypatch):
    """As papermill leaves it: half of the notebook, and an error of the save."""

    def execute_notebook(notebook, copy, values, **options):
        Path(copy).write_text(Path(notebook).read_text()[:300])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(papermill, "execute_notebook", execute_notebook)
    notebook, out = notebook_of(tmp_path, METRICS), tmp_path / "run"
    for _ in range(2):  # the same again, as long as it is full
        with pytest.raises(NotebookFailed, match="No space left on device; make room and repeat"):
            run_notebook(notebook, out)
        assert "before the first cell" in (out / "error.txt").read_text()
        assert not (out / "notebook.ipynb").exists()  # it makes room
    write_text = Path.write_text

    def no_error_txt(path, *arguments, **options):
        if path.name == "error.txt":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", no_error_txt)
    with pytest.raises(NotebookFailed, match="make room .*error.txt cannot be written"):
        run_notebook(notebook, out)
