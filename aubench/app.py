"""The playground as an app: voila serves the notebook's widgets, without code, on this machine only."""

import os
import secrets
import socket
import tempfile
from pathlib import Path

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from traitlets.config import Config

from aubench.study.notebook_runner import APP_FOLDERS, notebook_path
from aubench.study.parameters import effective_parameters

HOST = "127.0.0.1"
NOTEBOOK = "00_playground"
PAGES = Path(__file__).parent / "app_pages"
LARGEST_UPLOAD = 100 * 2**20  # bytes of one websocket message, ten times tornado's default


def serve(values: dict, out_dir: str | Path, port: int = 0, open_browser: bool = True) -> None:
    """Serve the playground until it is interrupted; prints its address.

    Args:
        values: parameters of the notebook.
        port: 0 takes a free one.

    Raises:
        ModuleNotFoundError: voila is not installed.
        OSError: the port is taken.
    """
    server = server_class()
    port, token = free_port(port), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="aulib-app-") as folder:
        notebook = write_app_notebook(Path(folder), values, Path(out_dir))
        print(f"http://{HOST}:{port}/?token={token}\nCtrl-C ends it.", flush=True)
        os.environ[APP_FOLDERS] = os.pathsep.join(
            str(Path(values[name]).absolute()) for name in ("runs_folder", "faces") if values.get(name)
        )
        limits = {
            "Voila": {"tornado_settings": {"websocket_max_message_size": LARGEST_UPLOAD}},
            "VoilaConfiguration": {"file_allowlist": []},
        }
        server.launch_instance(
            argv=voila_arguments(notebook, port, token, open_browser), config=Config(limits)
        )


def server_class() -> type:
    """voila with our pages: a bar that tells what is loaded, and what to do without the token.

    Raises:
        ModuleNotFoundError: voila is not installed.
    """
    try:
        from voila.app import Voila
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the app needs voila: pip install 'aulib[app]'") from error

    class PlaygroundServer(Voila):
        def setup_template_dirs(self):
            super().setup_template_dirs()
            self.template_paths.insert(0, str(PAGES))

        def init_settings(self):
            settings = super().init_settings()
            settings["jinja2_env"].loader.searchpath.insert(0, str(PAGES))
            settings["jinja2_env"].globals["host"] = f"{HOST}:{self.port}"
            return settings

    return PlaygroundServer


def voila_arguments(notebook: Path, port: int, token: str, open_browser: bool) -> list[str]:
    """Arguments for a voila that listens on this machine only and asks for the token."""
    return [
        str(notebook),
        f"--Voila.ip={HOST}",
        f"--Voila.port={port}",
        "--Voila.port_retries=0",
        "--VoilaConfiguration.kernel_spec_manager_class=aubench.study.kernels.OwnInterpreter",
        f"--Voila.token={token}",
        f"--Voila.open_browser={open_browser}",
        "--Voila.log_level=WARN",
        "--VoilaConfiguration.allow_template_override=NO",  # of an address, which fails without an answer
        "--VoilaConfiguration.allow_theme_override=NO",
        "--VoilaConfiguration.progressive_rendering=True",  # the page is there before the cells have run
    ]


def write_app_notebook(folder: Path, values: dict, out_dir: Path) -> Path:
    """A copy of the playground with its parameters filled in and paths made absolute."""
    path = notebook_path(NOTEBOOK)
    absolute = dict(values)
    for name in ("run", "runs_folder", "faces"):
        if absolute.get(name) and not absolute[name].startswith("synthetic:"):
            absolute[name] = str(Path(absolute[name]).absolute())
    values = effective_parameters(path, absolute, out_dir.absolute())
    notebook = parameterize_notebook(load_notebook_node(str(path)), values)
    notebook.metadata["title"] = "aulib playground"
    copy = folder / "playground.ipynb"
    nbformat.write(notebook, copy)
    return copy


def free_port(port: int = 0) -> int:
    """`port` if it is free, or any free port for 0.

    Raises:
        OSError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise OSError(f"port {port} of {HOST} cannot be used: {error.strerror}; choose another") from None
        return probe.getsockname()[1]
