"""JupyterLab on this checkout, without the outputs of notebooks becoming changes to commit: `make lab`.

git compares notebooks through a filter (.gitattributes) that strips outputs and what JupyterLab notes about
itself; an answer or a parameter that someone changed remains a change. git takes a file of another size for
changed without asking the filter, so after each save its index forgets the size.
"""

import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from aubench.app import LARGEST_UPLOAD

ROOT = Path(__file__).parents[1]
STRIPPED = (  # besides outputs and counts; the commit hook strips the same
    "metadata.papermill metadata.language_info.version metadata.language_info.codemirror_mode "
    "metadata.language_info.file_extension metadata.language_info.mimetype "
    "metadata.language_info.nbconvert_exporter metadata.language_info.pygments_lexer "
    "cell.metadata.papermill cell.metadata.jupyter cell.metadata.editable cell.metadata.slideshow"
)


def main(arguments: list[str] | None = None) -> None:
    """Open JupyterLab at the checkout's root; arguments are JupyterLab's, by default those of the call."""
    from jupyterlab.labapp import LabApp

    set_filter()
    LabApp.launch_instance([*lab_arguments(), *(sys.argv[1:] if arguments is None else arguments)])


def lab_arguments() -> list[str]:
    return [
        f"--ServerApp.root_dir={ROOT}",
        # a photograph is one message, and tornado closes the connection above 10 MiB without saying why
        f"--ServerApp.tornado_settings={{'websocket_max_message_size': {LARGEST_UPLOAD}}}",
        "--ServerApp.kernel_spec_manager_class=aubench.study.kernels.OwnInterpreter",
        "--FileContentsManager.post_save_hook=aubench.lab.forget_size",
    ]


def set_filter(root: Path = ROOT) -> None:
    """Tell git in this checkout which filter .gitattributes means; nothing without git or nbstripout."""
    if (root / ".git").exists() and find_spec("nbstripout"):
        python = shlex.quote(Path(sys.executable).as_posix())
        strip = f"{python} -m nbstripout --keep-id --extra-keys {shlex.quote(STRIPPED)}"
        _git(root, "config", "filter.nbstripout.clean", strip)


def forget_size(os_path: str, model: dict, **_) -> None:
    """After a save in JupyterLab: the notebook's entry in git's index without its size and times."""
    if model["type"] != "notebook":
        return
    folder = Path(os_path).parent
    entry = _git(folder, "ls-files", "--stage", "--full-name", "--", Path(os_path).name)
    if entry.count("\n") == 1:  # tracked, and in no conflict
        about, name = entry.rstrip("\n").split("\t")
        mode, blob, _ = about.split()
        top = _git(folder, "rev-parse", "--show-toplevel").strip()
        _git(top, "update-index", "--cacheinfo", f"{mode},{blob},{name}")


def _git(folder: str | Path, *command: str) -> str:
    """What git prints, "" if it fails or is missing: a notebook is saved all the same."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


if __name__ == "__main__":
    main()
