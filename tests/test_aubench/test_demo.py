"""The demo starts the right runs and reports their scores on the target."""

import json
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest

from aubench.cli import demo
from aubench.study.notebook_runner import NotebookFailed
from aubench.study.resume import is_done
from aulib.files import write_json

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(monkeypatch):
    """Instead of notebooks: each run is recorded and writes scores of both domains."""
    seen = []

    def train(wanted):
        for out, parameters in wanted.items():
            seen.append(("02_train", out, parameters))
            f1 = float("nan") if parameters["method"] == "adld" else 0.25
            scores = {"target.mean.f1": f1, "target.mean.f1_low": 0.2, "target.mean.f1_high": 0.3}
            scores |= {"source.mean.f1": 0.9, "target.landmarks.nme": 0.04}
            write_json(out / "metrics.json", scores | {"seconds": 12.6})
            settings = {"weights": {}, "data_versions": {"source": "s", "target": "t"}}
            write_json(out / "config.json", {"settings": parameters | settings})

    monkeypatch.setattr(demo, "train", train)
    monkeypatch.setattr(demo, "run_notebook", lambda *a, **options: seen.append(a))
    monkeypatch.setattr(demo, "notebook_path", lambda name: name)
    return seen


def test_the_demo_runs_five_methods_then_reports_on_all(runs, tmp_path, monkeypatch, capsys):
    read = []
    monkeypatch.setattr(demo, "read_dataset", read.append)
    demo.main(out=tmp_path / "demo", steps=3, seed=7)
    assert read == [demo.SOURCE, demo.TARGET]
    methods = ["landmarks-only", "source-only", "adld", "full", "oracle"]
    assert [parameters["method"] for name, _, parameters in runs if name == "02_train"] == methods
    for _, out, parameters in runs[:5]:
        assert out == tmp_path / "demo" / parameters["method"]
        assert (parameters["steps"], parameters["seed"], parameters["preset"]) == (3, 7, "fast")
        assert (parameters["source"], parameters["target"]) == ("synthetic:studio", "synthetic:wild")
    assert runs[5][0] == "03_report"
    folders = [(tmp_path / "demo" / method).as_posix() for method in methods]
    assert runs[5][2] == {"runs": folders, "faces": "synthetic:wild"}
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert list(summary["methods"]) == methods
    assert summary["methods"]["full"] == {  # of the target alone
        "mean.f1": 0.25, "mean.f1_low": 0.2, "mean.f1_high": 0.3, "landmarks.nme": 0.04, "seconds": 12.6,
    }  # fmt: skip
    assert summary["methods"]["adld"]["mean.f1"] is None
    assert summary["settings"]["steps"] == dict.fromkeys(methods, 3)
    out = capsys.readouterr().out
    assert "summary.json" in out and str(tmp_path / "demo/report") in out and "nan" not in out
    head, *rows = out.split("\n\n")[1].splitlines()
    assert head.split() == ["F1", "AUC", "skew-normalised", "F1", "NME", "seconds", "MB"]
    assert rows[2].split() == ["adld", "–", "–", "–", "4.0", "13", "–"]
    assert rows[3].split() == ["full", "25.0", "[20.0,", "30.0]", "–", "–", "4.0", "13", "–"]


def test_training_starts_the_slowest_runs_first_and_names_a_failed_one(tmp_path, monkeypatch, capsys):
    given = []  # to a study that fails `adld`

    def run_study(planned, client, report):
        given.append([run.id for run in planned])
        for run in planned:
            if run.id != "adld":
                write_json(run.folder / "result.json", {"key": run.key})
        return {run.id: "done" if is_done(run) else "failed" for run in planned}

    monkeypatch.setattr(demo, "run_study", run_study)
    monkeypatch.setattr(demo, "connected", lambda most: nullcontext())
    shared = {"source": "synthetic:studio", "target": "synthetic:wild", "steps": 3, "seed": 0}
    wanted = {tmp_path / m: shared | {"method": m} for m in ("oracle", "adld", "full")}
    for expected in (["oracle", "full", "adld"], ["adld"]):
        with pytest.raises(NotebookFailed, match="adld"):
            demo.train(wanted)
        assert given.pop() == expected
    out = capsys.readouterr().out
    assert "[1/3] oracle: 3 steps" in out and "[3/3] full: finished before" in out
    del wanted[tmp_path / "adld"]
    demo.train(wanted)
    assert given == []


def test_photographs_are_read_by_the_package_s_detector(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    demo.read_photographs(ROOT / "docs/london/images", tmp_path)
    sheet = tmp_path / "photographs/strongest_faces.png"
    table = pd.read_csv(tmp_path / "photographs/predictions.csv")
    assert (table["status"] == "ok").all() and len(table) == 12 and sheet.is_file()
    smiles = table["image"].str.contains("smiling")
    assert table["AU12_p"][smiles].mean() > table["AU12_p"][~smiles].mean() + 0.3
    assert str(sheet) in capsys.readouterr().out
