"""The command line: help with an example, exit statuses, one line for each failure."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image

import aufaces.sets
import aulib
from aubench.cli import data, main, scores
from aubench.datasets import face_finding
from aubench.datasets.interchange import FORMATS
from aubench.inference import adapt, clips
from aubench.study import notebook_runner
from aulib.run import Run
from conftest import TINY_AUS, face_outline, write_notebook, write_tiny_set

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(main.app).commands


def call(capsys, *arguments) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return end.value.code or 0, printed.out, printed.err


@pytest.mark.parametrize("command, argument, names", [
    (data.synth, "domain", aufaces.sets.DEFAULTS), (scores.predict, "format", clips.LAYOUTS),
    (data.export, "kind", FORMATS),
])  # fmt: skip
def test_a_choice_offers_what_the_library_has(command, argument, names):
    choice = get_args(get_type_hints(command, include_extras=True)[argument])[0]
    assert set(get_args(choice)) == set(names)


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "n.ipynb", "steps: int = 1  # steps")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_listed_and_has_help_with_an_example(capsys, command):
    status, out, _ = call(capsys, command, "--help")
    assert status == 0 and f"Example: aulib {command} " in " ".join(out.split())
    assert f"\n  {command} " in call(capsys, "--help")[1]


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
        ["predict"],
        ["predict", "a_run", "."],
        ["check", ".", "--sheet", "worst"],
    ],
    ids=" ".join,
)
def test_bad_arguments_exit_with_2(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, _, err = call(capsys, *arguments)
    assert status == 2 and err.count("\n") == 1 and "Value error" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["step", "3"], ["steps", "three"], ["steps", "1.5"], ["steps", "3", "-p", "steps", "4"]]
    + [["out_dir", "elsewhere"]],
    ids=" ".join,
)
def test_a_parameter_that_does_not_fit_exits_with_2_and_is_named(capsys, notebook, tmp_path, words):
    command = ["run", notebook, "-p", *words, "--out", tmp_path / "run"]
    status, _, err = call(capsys, *command)
    assert status == 2 and words[0] in err and err.count("\n") == 1 and not (tmp_path / "run").exists()
    status, _, err = call(capsys, *command, "--debug")
    assert status == 2 and "Traceback" in err


def test_parameters_reach_the_runner_with_their_declared_type(capsys, notebook, monkeypatch):
    seen, scores = [], {"source.mean.f1": 0.8, "target.mean.f1": 0.5}  # the keys that 02_train writes
    monkeypatch.setattr(notebook_runner, "run_notebook", lambda *a, **k: seen.append(a[2]) or scores)
    for words in (["-p", "steps", "-3"], ["-p", "steps=4"], ["--parameter", "steps", "5"]):
        status, out, _ = call(capsys, "run", notebook, *words, "--out", "x")
        assert status == 0
        assert "source F1-frame               0.800\ntarget F1-frame               0.500\n" in out
    assert seen == [{"steps": -3}, {"steps": 4}, {"steps": 5}]


@pytest.mark.parametrize(
    "error, status, line",
    [
        (RuntimeError("no faces\nin the folder"), 1, "aulib: RuntimeError: no faces in the folder\n"),
        (ValueError("row 2: no faces"), 1, "aulib: row 2: no faces\n"),  # bad input needs no class name
        (notebook_runner.NotebookFailed("n.ipynb: no faces"), 1, "aulib: n.ipynb: no faces\n"),
        (ValueError(), 1, "aulib: ValueError: "),
        (KeyboardInterrupt(), 130, "aulib: interrupted"),
    ],
)
def test_a_failure_is_one_line_and_debug_shows_where(capsys, notebook, monkeypatch, error, status, line):
    def run_notebook(*arguments, **options):
        raise error

    monkeypatch.setattr(notebook_runner, "run_notebook", run_notebook)
    code, _, err = call(capsys, "run", notebook, "--out", "x")
    assert code == status and err.startswith(line) and err.count("\n") == 1
    code, _, err = call(capsys, "run", notebook, "--out", "x", "--debug")
    assert code == status and ("Traceback" in err) == (code == 1) and line in err


def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path):
    """As in `aulib table supervisors --format csv | head -1`."""
    command = [sys.executable, "-m", "aubench", "table", ROOT / "results/supervisors.json", "--format", "csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as aulib:
        aulib.stdout.close()
        assert aulib.stderr.read() == b""


@pytest.mark.parametrize(
    "name, value, known",
    [
        ("method", "fulll", "adld"),
        ("supervisors", "[rich]", "'rich_source'"),
        ("weights", "{cyc: 1}", "'cycle'"),
        ("negatives", "easy", "rivals"),
    ],
)
def test_an_unknown_method_supervisor_term_or_negative_exits_with_2(capsys, tmp_path, name, value, known):
    status, _, err = call(capsys, "run", "02_train", "-p", name, value, "--out", tmp_path / "run")
    assert status == 2 and name in err and known in err
    assert list(tmp_path.iterdir()) == []


class TestPredictOneOwnFace:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch, finished):
        """A folder with a run that is the package's too, and pictures in which a face is found if white."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "results/demo").mkdir(parents=True)
        (tmp_path / "results/demo/full").symlink_to(finished.full)
        monkeypatch.setattr(aulib, "pretrained", lambda: Run("results/demo/full"))
        for name, grey in (("me", 200), ("wall", 0)):
            Image.new("RGB", (300, 300), (grey,) * 3).save(tmp_path / f"{name}.jpg")

        def detect(image):
            return (face_outline(300).astype(np.float32), 2) if image[0, 0, 0] else (None, 0)

        monkeypatch.setattr(face_finding, "detect_landmarks", detect)
        return tmp_path

    @pytest.mark.parametrize("run", [[], ["results/demo/full"]], ids=["the package's", "named run"])
    def test_every_au_is_printed_as_the_table_of_its_folder_has_it(self, capsys, folder, run):
        status, out, err = call(capsys, "predict", *run, "me.jpg")
        assert status == 0 and err.startswith("note: results/demo/full did not learn the AUs of its target")
        assert re.search(r"faces [234] of [34] are below always .*; do not rely", err)
        assert err.count("\n") == 1
        assert out.startswith("me.jpg, read by results/demo/full; 2 faces, the largest is used\n")
        assert call(capsys, "predict", *run, ".", "--out", "all.csv")[0] == 0
        row = pd.read_csv("all.csv").set_index("image").loc["me.jpg"]
        for au in TINY_AUS:
            (line,) = [line for line in out.splitlines() if line.startswith(au)]
            assert f" {row[f'{au}_p']:.2f}" in line and (" present " in line) == (row[f"{au}_c"] == 1)
            assert line.endswith("–")  # its source had no intensities
        assert out.endswith(f"expected to be right: {row['trust']:.0%} of the calls\n")
        assert not list(folder.glob("me*.csv"))

    def test_a_table_is_written_on_request(self, capsys, folder):
        assert "predictions: me.csv" in call(capsys, "predict", "me.jpg", "--out", "me.csv")[1]
        assert pd.read_csv("me.csv")["image"].tolist() == ["me.jpg"]

    @pytest.mark.parametrize(
        "words, status, said",
        [
            (["wall.jpg"], 1, "wall.jpg: no face found"),
            (["nobody.jpg"], 1, "there is no nobody.jpg"),
            (["."], 2, "--out"),
            (["results/demo/full"], 2, "results/demo/full is a run"),
            (["me.jpg", "wall.jpg"], 2, "me.jpg is a file"),
            (["elsewhere", "me.jpg"], 1, "elsewhere is no finished run"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, capsys, folder, words, status, said):
        code, out, err = call(capsys, "predict", *words)
        assert (code, out) == (status, "") and said in err and err.count("\n") == 1


def test_the_package_s_detector_reads_photographs_and_withholds_what_does_not_work(capsys, tmp_path):
    pytest.importorskip("onnxruntime")
    status, out, err = call(capsys, "predict", ROOT / "docs/london/images/107_smiling.jpg")
    assert (status, err) == (0, "") and len(aulib.pretrained().withheld) > 0
    assert re.search(r"^AU12 .* present +[1-5]\.\d$", out, re.M) and "AU17" not in out
    neutral = call(capsys, "predict", ROOT / "docs/london/images/107_neutral.jpg", "--all-aus")[1]
    assert re.search(r"^AU17 ", neutral, re.M) and not re.search(r"^AU(12|25) .* present", neutral, re.M)


def test_adapting_prints_how_often_each_au_is_called(capsys, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(adapt, "MIN_FACES", 10)
    given = shutil.copytree(finished.full, tmp_path / "given")
    saved = json.loads((given / "config.json").read_text())
    saved["settings"]["withheld"] = ["AU26"]
    (given / "config.json").write_text(json.dumps(saved))
    command = ["adapt", finished.target, "--run", given, "--out", tmp_path / "run", "--rate", "AU12=0.5"]
    status, out, _ = call(capsys, *command)
    assert status == 0 and re.search(r"^AU12 +0\.50 .* 0\.50$", out, re.M)
    assert (tmp_path / "run/config.json").is_file()
    assert re.search(r"^AU06 ", out, re.M) and "AU26" not in out
    status, _, err = call(capsys, "adapt", finished.target, "--out", tmp_path / "b", "--rate", "AU12=often")
    assert status == 2 and "'AU12=often', expected as in AU12=0.3" in err
    twice = ["--rate", "AU12=0.6", "--rate", "AU12=0.1"]
    status, _, err = call(capsys, "adapt", finished.target, "--out", tmp_path / "b", *twice)
    assert status == 2 and "an AU is given twice" in err


def test_contrasts_are_printed_and_written(capsys, tmp_path):
    """The package's detector on six people: AU12 rises in their smiles. A face without
    landmarks is counted."""
    file, faces = tmp_path / "scores.json", ROOT / "docs/london"
    status, out, err = call(capsys, "contrast", aulib.pretrained().path, faces, "--json", file)
    assert "count nowhere" not in err
    lost = shutil.copytree(faces, tmp_path / "lost")
    table = pd.read_csv(lost / "manifest.csv")
    table.loc[0, table.filter(regex=r"^[xy]_").columns] = np.nan
    table.to_csv(lost / "manifest.csv", index=False)
    err = call(capsys, "contrast", aulib.pretrained().path, lost)[2]
    assert "note: labelled faces that were not read, and count nowhere: 1" in err
    assert status == 0 and re.search(r"^happiness +AU12 +[01]\.\d\d ", out, re.M) and "mean AUC:" in out
    rows = json.loads(file.read_text())["contrasts"]
    (smile,) = [row for row in rows if row["au"] == "AU12" and row["group"] == "all"]
    assert smile["pairs"] == 6 and smile["rises"] >= 5 / 6


@pytest.mark.parametrize(
    "command",
    [
        "evaluate {full} {target} --json",
        "contrast {full} {faces} --json",
        "check {target} --json",
        "check {target} --sheet",
        "table {study} --format md --out",
        "table {study} --format latex --out",
        "table {study} --format csv --out",
        "table {study} --format json --out",
    ],
)
def test_a_result_goes_over_an_earlier_one_unless_it_was_edited(command, capsys, finished, tmp_path):
    faces = shutil.copytree(finished.target, tmp_path / "faces")
    table = pd.read_csv(faces / "manifest.csv").copy()
    words = np.where(np.arange(len(table)) < len(table) / 2, "neutral", "happy")
    table.assign(meta_expression=words).to_csv(faces / "manifest.csv", index=False)
    study = ROOT / "results/supervisors.json"
    places = {"full": finished.full, "target": finished.target, "faces": faces, "study": study}
    file = tmp_path / "result.png"
    words = [*(word.format(**places) for word in command.split()), file]
    for _ in range(2):
        assert "no earlier result" not in call(capsys, *words)[2]
    result = file.read_bytes()
    file.write_bytes(result + b"\n")  # edited
    status, _, err = call(capsys, *words)
    assert status == 1 and f"{file} exists and is no earlier result of this, or was edited since" in err
    assert file.read_bytes() == result + b"\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_that_cannot_show_a_character_stops_no_command(encoding, monkeypatch, tmp_path):
    """A dash in a table, and a name that is no UTF-8."""
    folder = write_tiny_set(tmp_path / "f\udcfcr")
    for words, shown in ((["table", "supervisors"], "| full "), (["check", str(folder)], "f?r")):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.chdir(ROOT)
        with pytest.raises(SystemExit):
            main.main(words)
        printed = b""
        for stream in streams:
            stream.flush()
            printed += stream.buffer.getvalue()
        assert shown in printed.decode(encoding, "replace") and b"codec" not in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["predict", "", "--out", "x.csv"], "what follows predict is empty"),
        (["export", "faces", "--as", "openface", "--out", ""], "what follows --out is empty"),
        (["prepare", "faces", "out", "--subject="], "--subject= is empty"),
    ],
)
def test_an_empty_argument_is_not_taken_for_this_folder(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = call(capsys, *words)
    assert status == 2 and told in err and not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 there, whatever the locale")
def test_names_of_files_that_are_not_read_as_utf_8_are_told_at_once():
    run = [sys.executable, "-m", "aubench", "table", "supervisors"]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    ended = subprocess.run(run, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "set LC_ALL=C.UTF-8" in ended.stderr and not ended.stdout
