"""`make lab`: JupyterLab at the root of the checkout, and git blind to what a notebook shows."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

from aubench import app, lab

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A repository with a committed notebook, our attributes and the filter."""
    pytest.importorskip("nbstripout", reason="nbstripout is not installed (extra dev)")
    (tmp_path / "notebooks/course").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks/02_train.ipynb", tmp_path / "notebooks/course/one.ipynb")
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "Add"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    lab.set_filter(tmp_path)
    return tmp_path


def save(file: Path, change) -> None:
    """Change and save a notebook as JupyterLab does."""
    notebook = nbformat.read(file, as_version=4)
    change(notebook)
    nbformat.write(notebook, file)
    lab.forget_size(os_path=str(file), model={"type": "notebook"}, contents_manager=None)


def status(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "status", "--porcelain"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def run_all(notebook) -> None:
    """What JupyterLab writes into a notebook whose cells were run."""
    notebook.metadata["language_info"].update(version="3.12.1", pygments_lexer="ipython3", mimetype="text/x")
    for count, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text="a long line of text\n" * 20)]
    notebook.cells[0].metadata["editable"] = True


def test_a_notebook_that_was_run_is_unchanged_for_git_and_keeps_its_outputs(checkout):
    file = checkout / "notebooks/course/one.ipynb"
    for _ in range(2):  # the size is known again after `git status`
        save(file, run_all)
        assert status(checkout) == ""
    assert "a long line of text" in file.read_text()


def test_an_edited_cell_is_a_change(checkout):
    def edit(notebook):
        notebook.cells[1].source += "\nsteps = 7"

    save(checkout / "notebooks/course/one.ipynb", edit)
    assert status(checkout) == " M notebooks/course/one.ipynb\n"


def test_a_staged_edit_stays_staged(checkout):
    file = checkout / "notebooks/course/one.ipynb"
    save(file, lambda notebook: notebook.cells[1].update(source="steps = 7"))
    subprocess.run(["git", "-C", str(checkout), "add", "notebooks"], check=True)
    save(file, run_all)
    assert status(checkout) == "M  notebooks/course/one.ipynb\n"


def test_a_new_notebook_and_one_outside_any_repository_are_saved_all_the_same(checkout, tmp_path_factory):
    new, outside = checkout / "new.ipynb", tmp_path_factory.mktemp("no_repository") / "one.ipynb"
    for file in (new, outside):
        nbformat.write(nbformat.v4.new_notebook(), file)
        save(file, lambda notebook: None)
    assert status(checkout) == "?? new.ipynb\n"


def test_make_lab_starts_it():
    makefile = (lab.ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^lab:.*\n\t@\$\(BIN\)/python -m aubench\.lab$", makefile, re.M)


def test_committed_notebooks_pass_the_filter_unchanged():
    """Otherwise running them would be a change after all; JupyterLab writes the kernel's own display name."""
    nbstripout = pytest.importorskip("nbstripout._utils", reason="nbstripout is not installed (extra dev)")
    for file in (ROOT / "notebooks").glob("**/[0-9]*.ipynb"):
        notebook = nbformat.read(file, as_version=4)
        stripped = nbstripout.strip_output(notebook, None, False, True, lab.STRIPPED.split())
        assert nbformat.writes(stripped) + "\n" == file.read_text(encoding="utf-8"), file.name
        assert notebook.metadata.kernelspec.display_name == "Python 3 (ipykernel)", file.name


def test_the_commit_hook_strips_what_the_filter_strips():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = [hook for hook in repository["hooks"] if hook["id"] == "nbstripout"]
    assert re.search(r'nbstripout --keep-id --extra-keys "(.*)"$', hook["entry"])[1] == lab.STRIPPED


def test_jupyterlab_opens_at_the_root_and_accepts_uploads_as_large_as_the_app_s():
    from jupyter_server.serverapp import ServerApp
    from jupyter_server.services.contents.largefilemanager import LargeFileManager

    server = ServerApp()
    server.parse_command_line(lab.lab_arguments())
    assert server.root_dir == str(ROOT)
    assert server.tornado_settings["websocket_max_message_size"] == app.LARGEST_UPLOAD
    assert LargeFileManager(parent=server).post_save_hook is lab.forget_size
