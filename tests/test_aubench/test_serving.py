"""The app listens on this machine only, asks for a token, and runs a copy of the notebook."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
import uuid
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from PIL import Image
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from aubench import app
from aubench.cli import main
from aubench.study.notebook_runner import notebook_path
from aubench.study.parameters import ParameterError


def test_voila_listens_on_this_machine_with_a_token_and_one_port(tmp_path):
    told = app.voila_arguments(tmp_path / "n.ipynb", 8123, "secret", open_browser=False)
    assert "--Voila.ip=127.0.0.1" in told and "--Voila.token=secret" in told
    assert {f"--VoilaConfiguration.allow_{what}_override=NO" for what in ("template", "theme")} <= set(told)
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
    monkeypatch.setenv(app.APP_FOLDERS, "")  # set by it
    for _ in range(2):
        app.serve({"run": str(tmp_path)}, tmp_path, open_browser=False)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("http://127.0.0.1:")]
    tokens = [next(word for word in argv if "token" in word).split("=")[1] for argv in launched]
    assert len(set(tokens)) == 2 and all(len(token) >= 32 for token in tokens)
    assert [line.split("token=")[1] for line in printed] == tokens


def test_the_command_passes_the_run_and_its_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study" / "full-seed1").mkdir(parents=True)
    called = {}
    monkeypatch.setattr(
        app, "serve", lambda values, out, **options: called.update(values, out=out, **options)
    )
    with pytest.raises(SystemExit) as end:
        main.main(["app", "study/full-seed1", "--port", "8123", "--no-browser"])
    assert not end.value.code
    assert (called["run"], called["runs_folder"]) == ("study/full-seed1", "study")
    assert (called["port"], called["open_browser"]) == (8123, False)
    for wrong in (__file__, "study/full-seed2"):
        with pytest.raises(SystemExit) as end:
            main.main(["app", wrong, "--no-browser"])
        assert end.value.code == 2


def test_the_bar_names_what_each_cell_of_the_playground_loads():
    cells = nbformat.read(notebook_path("00_playground"), as_version=4).cells
    ids = [cell.id for cell in cells if cell.cell_type == "code" and cell.id != "parameters"]
    page = (app.PAGES / "index.html.j2").read_text()
    assert re.findall(r'^  "(.*)": ".+",$', page, re.M) == ids


@pytest.fixture(scope="module")
def served(finished, tmp_path_factory) -> SimpleNamespace:
    """The app as the command starts it, in a folder with a picture of the user's."""
    pytest.importorskip("voila", reason="the app extra is not installed")
    home = tmp_path_factory.mktemp("home")
    Image.new("RGB", (8, 8)).save(home / "mine.png")
    (home / "mine.json").write_text("{}")
    command = [sys.executable, "-m", "aubench.cli.main", "app", str(finished.full), "--no-browser"]
    server = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True)
    try:
        address, token = server.stdout.readline().strip().split("/?token=")
        port = int(address.rpartition(":")[2])
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                socket.create_connection((app.HOST, port), 1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield SimpleNamespace(address=address, port=port, token=token, pid=server.pid, home=home)
    finally:
        server.terminate()
        server.wait(30)


def asked(url: str) -> tuple[int, bytes]:
    """Status and body of a GET whose path is sent as it is."""

    async def ask():
        request = HTTPRequest(url, follow_redirects=False, request_timeout=120)
        return await AsyncHTTPClient().fetch(request, raise_error=False)

    answer = asyncio.run(ask())
    return answer.code, answer.body or b""


def test_the_server_listens_on_this_machine_alone(served):
    places = {one.laddr for one in psutil.Process(served.pid).net_connections() if one.status == "LISTEN"}
    assert {place.ip for place in places} == {"127.0.0.1"} and served.port in {place.port for place in places}


@pytest.mark.parametrize(
    "path", ["", "?token=", "?token=wrong", "playground.ipynb", "voila/render/playground.ipynb", "voila/tree",
             "voila/api/contents/", "api/kernels", "api/contents", "files/mine.png", "tree"],
)  # fmt: skip
def test_without_the_token_no_page_and_no_kernel_is_given(served, path):
    status, body = asked(f"{served.address}/{path}")
    assert status in (302, 403, 404) and not body.strip()


UP = "../" * 12
ELSEWHERE = (
    "voila/files", "voila/static", "voila/templates", "voila/templates/lab/static", "voila/labextensions",
    "voila/api/themes", "voila/render", "files", "static",
)  # fmt: skip


@pytest.mark.parametrize("place", ELSEWHERE)
def test_no_file_of_the_user_s_is_sent_even_with_the_token(served, place):
    for name in (served.home / "mine.png", served.home / "mine.json", "/etc/passwd"):
        content = open(name, "rb").read()
        for path in (
            f"{name}",
            f"/{name}",
            f"{UP}{name}",
            f"{UP}{name}".replace("/", "%2f"),
            f"%2e%2e/{name}",
        ):
            for token in ("", f"?token={served.token}"):
                status, body = asked(f"{served.address}/{place}/{path.lstrip('/')}{token}")
                assert content not in body, f"{place}/{path} is sent"
    assert asked(f"{served.address}/voila/files/mine.png")[0] in (403, 404)


def test_a_page_can_move_widgets_and_cannot_run_code(served, tmp_path):
    """With the token; without it, no channel to a kernel opens."""

    async def try_it():
        for channel in ("api/kernels/{}/channels", "voila/execution/{}"):
            url = f"ws://{app.HOST}:{served.port}/{channel.format(uuid.uuid4())}"
            with pytest.raises(HTTPClientError, match="403"):
                await websocket_connect(url)
        page = await AsyncHTTPClient().fetch(f"{served.address}/?token={served.token}", request_timeout=120)
        (kernel,) = set(re.findall(rb'"kernelId": ?"([0-9a-f-]{36})"', page.body))
        channels = f"{app.HOST}:{served.port}/api/kernels/{kernel.decode()}/channels"
        with pytest.raises(HTTPClientError, match="403"):
            await websocket_connect(f"ws://{channels}")
        opened = await websocket_connect(f"ws://{channels}?token={served.token}")
        code = {"code": f"open({str(tmp_path / 'made')!r}, 'w')", "silent": False}
        for kind, content in {"execute_request": code, "kernel_info_request": {}}.items():
            header = {"msg_id": kind, "msg_type": kind, "session": "1", "username": "", "version": "5.3"}
            message = {"header": header, "content": content, "channel": "shell"}
            await opened.write_message(json.dumps(message | {"parent_header": {}, "metadata": {}}))
        answer = ""
        while "kernel_info_reply" not in answer:  # the second is answered, after the first
            answer = str(await asyncio.wait_for(opened.read_message(), 120))
            assert answer != "None", "the channel is closed"
        assert not (tmp_path / "made").exists()

    asyncio.run(try_it())
