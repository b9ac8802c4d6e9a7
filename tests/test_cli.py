"""The command line: help with an example, exit statuses, one line when something fails."""

import json
import subprocess
import sys

import pytest

import aulib
from aubench.cli import main

COMMANDS = [
    "synth", "prepare", "convert", "check", "import", "export", "protocols", "run", "study", "run-one",
    "evaluate", "predict", "table", "demo", "app",
]  # fmt: skip


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main.main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return end.value.code or 0, told.out, told.err


@pytest.fixture
def notebook(tmp_path):
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "steps: int = 1  # steps"}
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def failing_run(monkeypatch):
    """`run` finds a runner that raises what the test puts here."""
    from aubench.study import notebook_runner

    def raising(error):
        def run_notebook(*arguments, **options):
            raise error

        monkeypatch.setattr(notebook_runner, "run_notebook", run_notebook)

    return raising


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(capsys, command):
    status, out, _ = call(capsys, command, "--help")
    assert status == 0 and f"Example: aulib {command} " in " ".join(out.split())


def test_the_help_lists_every_command(capsys):
    status, out, _ = call(capsys, "--help")
    assert status == 0 and all(f"\n  {command} " in out for command in COMMANDS)


def test_the_version_is_the_packages(capsys):
    assert call(capsys, "--version") == (0, f"aulib {aulib.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["synth"],
        ["synth", "--domain", "office", "out"],
        ["synth", "--n", "0", "out"],
        ["prepare", "no_such_folder", "out"],
        ["evaluate", ".", "synthetic:wild", "--split", "all"],
        ["run", "no_such_notebook", "--out", "out"],
        ["run", "n", "--out", "out", "-p"],
        ["run", "n", "--out", "out", "-p", "steps"],
        ["study", "no_such_file.yml"],
        ["run-one", "no_such_file.yml", "--index", "0"],
        ["demo", "--steps", "none"],
    ],
    ids=" ".join,
)
def test_bad_arguments_exit_with_2(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, _, err = call(capsys, *arguments)
    assert status == 2 and err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["step", "3"], ["steps", "three"], ["steps", "1.5"], ["steps", "3", "-p", "steps", "4"]],
    ids=" ".join,
)
def test_a_parameter_that_does_not_fit_exits_with_2_and_says_which(capsys, notebook, tmp_path, words):
    status, _, err = call(capsys, "run", notebook, "-p", *words, "--out", tmp_path / "run")
    assert status == 2 and words[0] in err and not (tmp_path / "run").exists()


def test_parameters_reach_the_runner_with_their_declared_type(capsys, notebook, monkeypatch):
    from aubench.study import notebook_runner

    seen, scores = [], {"source.mean.f1": 0.8, "target.mean.f1": 0.5}  # the keys that 02_train writes
    monkeypatch.setattr(notebook_runner, "run_notebook", lambda *a, **k: seen.append(a[2]) or scores)
    for words in (["-p", "steps", "-3"], ["-p", "steps=4"], ["--parameter", "steps", "5"]):
        status, out, _ = call(capsys, "run", notebook, *words, "--out", "x")
        assert status == 0 and "source.mean.f1        0.800\ntarget.mean.f1        0.500" in out
    assert seen == [{"steps": -3}, {"steps": 4}, {"steps": 5}]


def test_a_failure_exits_with_1_and_one_line_and_debug_shows_where(capsys, notebook, failing_run):
    failing_run(RuntimeError("no faces\nin the folder"))
    status, _, err = call(capsys, "run", notebook, "--out", "x")
    assert status == 1 and err == "aulib: RuntimeError: no faces in the folder\n"
    status, _, err = call(capsys, "run", notebook, "--out", "x", "--debug")
    assert (
        status == 1 and "Traceback" in err and err.endswith("aulib: RuntimeError: no faces in the folder\n")
    )


def test_bad_input_needs_no_class_name_and_an_empty_message_does(capsys, notebook, failing_run):
    failing_run(ValueError("row 2: no faces"))
    assert call(capsys, "run", notebook, "--out", "x")[2] == "aulib: row 2: no faces\n"
    failing_run(ValueError())
    assert "aulib: ValueError: no message" in call(capsys, "run", notebook, "--out", "x")[2]


def test_a_bad_parameter_exits_with_2_under_debug_too(capsys, notebook, tmp_path):
    words = ["-p", "steps", "three", "--out", tmp_path / "run", "--debug"]
    status, _, err = call(capsys, "run", notebook, *words)
    assert status == 2 and "Traceback" in err


@pytest.mark.parametrize(
    "name, value, known",
    [
        ("method", "fulll", "'adld'"),
        ("supervisors", "[rich]", "'rich_source'"),
        ("weights", "{cyc: 1}", "'cycle'"),
        ("negatives", "easy", "rivals"),
    ],
)
def test_a_name_that_no_table_has_exits_with_2_before_a_kernel_starts(capsys, tmp_path, name, value, known):
    status, _, err = call(capsys, "run", "02_train", "-p", name, value, "--out", tmp_path / "run")
    assert status == 2 and name in err and known in err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_exits_with_130_and_a_plain_line(capsys, notebook, failing_run):
    failing_run(KeyboardInterrupt())
    status, _, err = call(capsys, "run", notebook, "--out", "x")
    assert status == 130 and err.startswith("aulib: interrupted") and err.count("\n") == 1


def test_the_installed_command_answers_at_most_six_times_slower_than_python_starts():
    from time import perf_counter

    def best_of_three(*command) -> float:
        times = []
        for _ in range(3):
            start = perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            times.append(perf_counter() - start)
        return min(times)

    bare = best_of_three(sys.executable, "-c", "import json, argparse, inspect, typing")
    told = best_of_three(sys.executable, "-m", "aubench.cli.main", "--help")
    assert told < 6 * bare, f"help took {told:.2f} s, a bare start {bare:.2f} s"
