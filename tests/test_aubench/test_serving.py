"""The app listens on this machine only, asks for a token, and runs a copy of the notebook."""

import re
import socket

import nbformat
import pytest

from aubench import app
from aubench.cli import main
from aubench.study.notebook_runner import notebook_path
from aubench.study.parameters import ParameterError


def test_voila_listens_on_this_machine_with_a_token_and_one_port(tmp_path):
    told = app.voila_arguments(tmp_path / "n.ipynb", 8123, "secret", open_browser=False)
    assert "--Voila.ip=127.0.0.1" in told and "--Voila.token=secret" in told
    assert "--Voila.port=8123" in told and "--Voila.port_retries=0" in told


def test_the_notebook_is_a_copy_with_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = notebook_path("00_playground")
    before = source.read_bytes()
    values = {"run": "some/run", "faces": "synthetic:wild?n=8"}
    copy = app.write_app_notebook(tmp_path, values, tmp_path / "kept")
    cells = [cell.source for cell in nbformat.read(copy, as_version=4).cells]
    injected = next(source for source in cells if source.startswith("# Parameters"))
    assert (
        f'run = "{tmp_path / "some" / "run"}"' in injected and f'out_dir = "{tmp_path / "kept"}"' in injected
    )
    assert 'faces = "synthetic:wild?n=8"' in injected
    assert source.read_bytes() == before


def test_an_unknown_parameter_is_named(tmp_path):
    with pytest.raises(ParameterError, match="glasses"):
        app.write_app_notebook(tmp_path, {"glasses": "on"}, tmp_path)


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind((app.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            app.free_port(port)
    assert app.free_port(0) > 0


def test_every_call_has_its_own_token_and_prints_the_address(tmp_path, monkeypatch, capsys):
    voila = pytest.importorskip("voila.app", reason="the app extra is not installed")
    launched = []
    monkeypatch.setattr(voila.Voila, "launch_instance", lambda argv, config: launched.append(argv))
    for _ in range(2):
        app.serve({"run": str(tmp_path)}, tmp_path, open_browser=False)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("http://127.0.0.1:")]
    tokens = [next(word for word in argv if "token" in word).split("=")[1] for argv in launched]
    assert len(set(tokens)) == 2 and all(len(token) >= 32 for token in tokens)
    assert [line.split("token=")[1] for line in printed] == tokens


def test_the_command_passes_the_run_and_its_folder(monkeypatch):
    called = {}
    monkeypatch.setattr(
        app, "serve", lambda values, out, **options: called.update(values, out=out, **options)
    )
    with pytest.raises(SystemExit) as end:
        main.main(["app", "study/full-seed1", "--port", "8123", "--no-browser"])
    assert not end.value.code
    assert (called["run"], called["runs_folder"]) == ("study/full-seed1", "study")
    assert (called["port"], called["open_browser"]) == (8123, False)


def test_the_bar_names_what_each_cell_of_the_playground_loads():
    cells = nbformat.read(notebook_path("00_playground"), as_version=4).cells
    ids = [cell.id for cell in cells if cell.cell_type == "code" and cell.id != "parameters"]
    page = (app.PAGES / "index.html.j2").read_text()
    assert re.findall(r'^  "(.*)": ".+",$', page, re.M) == ids
