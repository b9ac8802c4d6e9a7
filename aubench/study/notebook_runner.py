"""Run a notebook as a strict function of its declared parameters.

A run folder holds `notebook.ipynb` (the executed copy), `params.json` (parameters, what they resolve to,
versions, commit), the files that the notebook wrote (such as `metrics.json`), and at the end either
`result.json`, written last and atomically, or `error.txt` with the true cause. A run is done if and only if
`result.json` has its key.
"""

import contextlib
import dis
import os
import subprocess
import symtable
import sys
import time
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

import aulib
from aubench.study.parameters import code_cells, declared_parameters, effective_parameters, library_defaults
from aubench.study.resolved import data_versions, resolve, run_key
from aubench.study.run_lock import run_lock
from aulib.files import read_json, refuse_used, write_json

RECORDED_LIBRARIES = "torch torchvision timm lightning-fabric numpy pandas anny warp-lang papermill ipykernel"
AS_FUNCTION = "AULIB_RUNS_NOTEBOOK"  # in the environment of the kernels of `run_notebook`
APP_FOLDERS = "AULIB_APP_FOLDERS"  # in that of the app's kernels: the folders that may be read
PACKAGE = Path(__file__).parents[1]
NOTEBOOKS = (PACKAGE.parent / "notebooks", PACKAGE / "notebooks")  # of a checkout, of an installed package
OURS = (PACKAGE, NOTEBOOKS[0], *(PACKAGE.parent / name for name in ("aulib", "aufaces")))


class NotebookFailed(RuntimeError):
    """A notebook failed; the message is the cause on one line, `error.txt` has the details."""

    exit_status = 1


def notebook_path(name: str | Path) -> Path:
    """Find a notebook: a file, or the name of one of ours, such as "02_train" or "course/1_action_units"."""
    if Path(name).is_file():
        return Path(name)
    for folder in NOTEBOOKS if Path(name).name else ():
        for place in ("", "course"):
            candidate = folder / place / Path(name).with_suffix(".ipynb").name
            if candidate.is_file():
                return candidate
    known = sorted({path.stem for folder in NOTEBOOKS for path in folder.glob("**/*.ipynb")})
    raise FileNotFoundError(f"no notebook {str(name)!r}; there are {known} and any .ipynb file")


def run_notebook(
    notebook: str | Path,
    out_dir: str | Path,
    parameters: dict[str, Any] | None = None,
    *,
    reuse: bool = True,
    replace: bool = False,
) -> dict:
    """Execute `notebook` into `out_dir`/notebook.ipynb and return the metrics it wrote.

    An unfinished run of the same parameters resumes in its folder, where the notebook finds its checkpoints.
    Any other run in the folder is renamed to `<out_dir>.before-<n>`, never deleted. The folder is locked
    meanwhile, so no second process runs in it.

    Args:
        notebook: file or name, see `notebook_path`.
        parameters: overrides of the parameters cell; `out_dir` is set if the notebook declares it.
        reuse: return the metrics of a finished run with the same notebook, parameters, inputs and code.
        replace: rename a finished run with other settings instead of raising FileExistsError.

    Returns:
        the contents of `metrics.json`; empty if the notebook writes none.

    Raises:
        ParameterError: unknown parameter or wrong type, before anything is written.
        FileExistsError: `out_dir` holds a finished run with other settings and `replace` is off, or files and
            no run.
        NotebookFailed: a cell raised, or the kernel died or did not start.
        RunIsHeld: another process is busy with the folder.
    """
    notebook, out_dir = notebook_path(notebook), Path(out_dir)
    values = effective_parameters(notebook, parameters or {}, out_dir)
    resolved = resolve(notebook, values)
    key = run_key(resolved)
    _refuse_foreign(out_dir)
    with run_lock(out_dir) as lock:
        finished = _read(out_dir / "result.json").get("key")
        if finished == key and reuse:
            return _read(out_dir / "metrics.json")
        if finished and not replace:
            found = "the same settings" if finished == key else _what_differs(out_dir, values)
            raise FileExistsError(
                f"{out_dir} holds a finished run with {found or 'other code or inputs'}; "
                "choose another folder or replace it"
            )
        execute_run(notebook, out_dir, values, resolved, lock, progress=True)
    return _read(out_dir / "metrics.json")


def execute_run(
    notebook: Path, out_dir: Path, values: dict[str, Any], resolved: dict, lock: int, progress: bool = False
) -> None:
    """Execute the notebook in a folder that the caller has locked; resume or set aside what is there.

    Args:
        values: from `effective_parameters`.  resolved: from `resolve`.  lock: from `run_lock`.

    Raises:
        NotebookFailed: see `run_notebook`; error.txt is written.
    """
    from aubench.study.kernels import cause_of, execute  # papermill, which planning does without

    _refuse_foreign(out_dir)
    if (out_dir / "result.json").is_file() or _what_differs(out_dir, values):
        _set_aside(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for stale in ("notebook.ipynb", "error.txt", "metrics.json", "kernel.log"):
        (out_dir / stale).unlink(missing_ok=True)
    record = _record(notebook, values, resolved)
    write_json(out_dir / "params.json", record)
    copy, start = out_dir / "notebook.ipynb", time.monotonic()
    try:
        execute(notebook, copy, values, lock, progress)
    except BaseException as error:
        failure = write_error(out_dir, notebook, *cause_of(error, copy))
        if not isinstance(error, Exception):  # an interrupt stays one
            raise
        raise failure from error
    seconds = round(time.monotonic() - start, 2)
    write_json(out_dir / "params.json", record | {"data_versions": data_versions(values)})  # rendered by now
    finish = {"key": record["key"], "notebook": notebook.name, "notebook_seconds": seconds}
    write_json(out_dir / "result.json", finish)
    (out_dir / "error.txt").unlink(missing_ok=True)  # written by a driver that believed this run lost


def write_error(out_dir: Path, notebook: Path, cause: str, detail: str = "") -> NotebookFailed:
    """Write the cause to error.txt, if the disk has room for it, and return the error to raise."""
    first_line = f"{notebook.name}: {' '.join(cause.split())}"
    text, file = f"{first_line}\n\n{detail}".rstrip() + "\n", out_dir / "error.txt"
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return NotebookFailed(f"{first_line} ({file} cannot be written: {error.strerror})")
    return NotebookFailed(f"{first_line} (more in {file})")


def start_notebook(seed: int, out_dir: str | Path) -> str:
    """First call of every notebook: seed torch and NumPy, change to the checkout's root, make `out_dir`.

    Jupyter starts a kernel in the notebook's folder and `run_notebook` in the caller's; relative paths then
    mean the same in both, and processes that the kernel starts find the modules next to the notebook. In
    Jupyter an interrupt and what our code refuses end a cell with one sentence, without a traceback, which
    `%tb` shows.

    Returns:
        one line with versions, device and commit.
    """
    import numpy
    import torch
    from IPython import get_ipython

    for folder in (Path.cwd(), Path.cwd().parent):  # the course lies one deeper
        if folder.name == "notebooks" and (folder.parent / "pyproject.toml").is_file():
            own, known = os.getcwd(), os.environ.get("PYTHONPATH")
            sys.path.insert(0, own)
            os.environ["PYTHONPATH"] = f"{own}{os.pathsep}{known}" if known else own
            os.chdir(folder.parent)
    Path(out_dir).mkdir(parents=True, exist_ok=True)
    if (shell := get_ipython()) and AS_FUNCTION not in os.environ:
        shell.set_custom_exc((Exception, KeyboardInterrupt), _say_in_one_sentence)
    torch.manual_seed(seed)
    numpy.random.seed(seed)
    code = commit_of_library()
    commit = f", commit {code['commit'][:8]}{' and edits' if code['dirty'] else ''}" if code else ""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return f"aulib {aulib.__version__}, torch {torch.__version__}, {device}, seed {seed}{commit}"


def _say_in_one_sentence(shell, kind, error, traceback, tb_offset=None) -> None:
    """IPython's handler of an exception; the cell counts as failed, so that "Run All" ends there.

    What no code of ours raised itself is a bug, or of the cell's own code, and keeps its traceback.
    """
    from IPython.display import Markdown, display

    last = traceback
    while last.tb_next:
        last = last.tb_next
    code, text = last.tb_frame.f_code, ""
    if issubclass(kind, KeyboardInterrupt):
        text = "Interrupted; run this cell again to resume."
    elif any(Path(code.co_filename).is_relative_to(folder) for folder in OURS):
        if dis.opname[code.co_code[last.tb_lasti]] == "RAISE_VARARGS":
            text = " ".join(str(error.args[0] if len(error.args) == 1 else error).split())
    elif kind is NameError and last.tb_frame.f_globals is shell.user_ns:
        number = _cell_that_makes(shell.user_ns["In"][:-1], error.name)
        why = f"cell [{number}], which makes it, was interrupted or failed" if number else "no cell made it"
        text = f"`{error.name}` is missing: {why}. Run the cells above first; an interrupted one resumes."
    if not text:
        shell.showtraceback((kind, error, traceback), running_compiled_code=True)
        return
    sys.last_type, sys.last_value, sys.last_traceback = kind, error, traceback
    display(Markdown(text))


def _cell_that_makes(cells: list[str], name: str) -> int:
    """Number of the last of the cells that ran and would assign a name; 0 if there is none."""
    for number in reversed(range(len(cells))):
        with contextlib.suppress(SyntaxError, KeyError):  # such a cell assigns nothing, or does not know it
            if symtable.symtable(cells[number], "cell", "exec").lookup(name).is_assigned():
                return number
    return 0


def _what_differs(out_dir: Path, values: dict) -> str:
    """The parameters in which a run in `out_dir` differs from `values`; "" if none do or there is no run."""
    before = _read(out_dir / "params.json").get("parameters", values)
    names = sorted((before.keys() | values.keys()) - {"out_dir"})
    names = [name for name in names if before.get(name) != values.get(name)]
    return ", ".join(f"{name} {before.get(name)!r} (now {values.get(name)!r})" for name in names)


def _refuse_foreign(out_dir: Path) -> None:
    """What a run would overwrite must be of a run, which has a params.json, or of one that never began, which
    has an error.txt alone. Hidden files, as a kill leaves them, are in nobody's way."""
    begun = (out_dir / "params.json").is_file()
    seen = [name for name in os.listdir(out_dir) if name[0] != "."] if out_dir.is_dir() else [""]
    if not begun and seen not in ([], ["error.txt"]):
        refuse_used(out_dir)


def _set_aside(out_dir: Path) -> None:
    out_dir = out_dir.resolve()
    if Path.cwd().is_relative_to(out_dir):
        raise FileExistsError(
            f"{out_dir} holds another run and the working folder is inside it: choose another folder"
        )
    asides = (out_dir.with_name(f"{out_dir.name}.before-{number}") for number in count(1))
    out_dir.rename(next(aside for aside in asides if not aside.exists()))


def _record(notebook: Path, values: dict, resolved: dict) -> dict:
    """What params.json holds while a notebook runs."""
    return {
        "notebook": notebook.name,
        "parameters": values,
        "seeds": {name: value for name, value in values.items() if name == "seed" or name.endswith("_seed")},
        "versions": {"python": sys.version.split()[0], "aulib": aulib.__version__}
        | {library: metadata.version(library) for library in RECORDED_LIBRARIES.split()},
        "code": commit_of_library(),
        "edits": edits_of(notebook),
        "resolved": resolved,
        "key": run_key(resolved),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def commit_of_library() -> dict | None:
    """The checkout's commit and whether files were edited since; None outside a checkout."""
    root = PACKAGE.parent
    if not (root / ".git").exists() or (head := _git(root, "rev-parse", "HEAD")) is None:
        return None
    edited = _git(root, "status", "--porcelain", "--", "aulib", "aufaces", "aubench", "notebooks")
    return {"commit": head, "dirty": bool(edited)}


def edits_of(notebook: Path, in_study: bool = False) -> str:
    """How a notebook differs from the committed one, in a line; "" if it does not, or git does not know it.

    Outputs and text do not count. Without git, as in an installed package, the parameters cell of a notebook
    of ours is compared with the library's defaults.

    Args:
        in_study: the notebook is run by a study, which takes no values from it.
    """
    now = {name: one.default for name, one in declared_parameters(notebook).items()}
    text = _git(notebook.resolve().parent, "show", f"HEAD:./{notebook.name}")  # in the last commit
    if text is not None:
        before = {name: one.default for name, one in declared_parameters(notebook, text).items()}
        other_code = code_cells(notebook) != code_cells(notebook, text)
        reference = "the committed one"
    elif any(notebook.resolve().is_relative_to(folder.resolve()) for folder in NOTEBOOKS):
        before = library_defaults(notebook, now)
        other_code, reference = False, "the library's defaults"
    else:
        return ""
    changed = [name for name in now if name in before and now[name] != before[name]]
    edits = [f"{name} is {now[name]!r}, not {before[name]!r}" for name in changed]
    if edits and in_study:
        edits[-1] += " (a study uses its file and the library's defaults instead)"
    edits += ["its code"] if other_code else []
    return f"{notebook.name} differs from {reference}: {', '.join(edits)}" if edits else ""


def _git(root: Path, *command: str) -> str | None:
    """What a git command prints; None if it fails, or there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _read(path: Path) -> dict:
    return read_json(path) if path.is_file() else {}
