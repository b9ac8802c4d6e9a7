"""A protocol by name: its folds for one run, for a notebook and for a study, and their mean before seeds."""

import json
from pathlib import Path

import pandas as pd
import pytest

import raw_trees
from aubench.datasets.converters.convert import convert
from aubench.report import summaries
from aubench.report.tables import study_table
from aubench.study.folds import parameters_in_fold, sets_of_fold, train_folds
from aubench.study.notebook_runner import notebook_path
from aubench.study.parameters import ParameterError, effective_parameters
from aubench.study.plan import StudyError, expand, read_study
from aubench.study.resolved import resolve, run_key
from aubench.study.status import summary_of
from aulib.protocols import PROTOCOLS, folds_of
from fabricated import write_run
from tiny import TINY_VALUES

STUDY = """question: why?
notebook: 02_train
fixed: {source: data/bp4d, target: data/bp4d, steps: 2, batch_size: 3, precision: 32-true}
variants:
  plain: {method: source-only}
  more: {method: multitask}
seeds: [3, 1]
folds: bp4d-3fold
"""


def study(folder: Path, text: str = STUDY) -> Path:
    (folder / "why.yml").write_text(text)
    return folder / "why.yml"


class TestSetsOfAFold:
    def test_within_one_set_both_are_the_same_fold(self):
        both = ("data/bp4d#bp4d-3fold/part2", "data/bp4d#bp4d-3fold/part2")
        assert sets_of_fold("data/bp4d", "data/bp4d", "bp4d-3fold/part2") == both

    def test_between_sets_the_source_has_all_people(self):
        source, target = sets_of_fold("b", "d", "bp4d-to-disfa/part3")
        assert (source, target) == ("b#bp4d-to-disfa/source", "d#bp4d-to-disfa/part3")
        assert folds_of("bp4d-to-disfa") == ["part1", "part2", "part3"] and folds_of("adld") == ["target"]

    def test_rendered_faces_have_no_people_of_a_protocol(self):
        sets = sets_of_fold("synthetic:studio", "data/bp4d", "bp4d-3fold/part1")
        assert sets == ("synthetic:studio", "data/bp4d#bp4d-3fold/part1")

    @pytest.mark.parametrize(
        "source, fold, why",
        [
            ("b#bp4d-3fold/part1", "bp4d-3fold/part2", "already names bp4d-3fold/part1; .*bp4d-3fold/part2"),
            ("data/bp4d", "bp4d-3fold/part9", "no fold 'part9'"),
            ("data/bp4d", "bp4d-9fold/part1", "no protocol 'bp4d-9fold'"),
            ("data/bp4d", "bp4d-to-disfa/source", "no test subjects; write bp4d-to-disfa/part1 or"),
        ],
    )  # fmt: skip
    def test_unusable_folds_are_refused(self, source, fold, why):
        with pytest.raises(ValueError, match=why):
            sets_of_fold(source, "data/other", fold)


def test_every_fold_has_its_folder_and_the_mean_is_written(tmp_path):
    seen = []

    def train(source, target, out_dir, **settings):
        seen.append((source, target, out_dir, settings))
        f1 = {"part1": 0.5, "part2": 0.6, "part3": 0.85}[target.rpartition("/")[2]]
        return {"target.mean.f1": f1, "target.mean.f1_low": 0.1, "seconds": 10.0, "x": float("nan")}

    metrics, folders = train_folds(train, "bp4d-3fold", "b", "b", str(tmp_path), seed=4)
    assert folders == {fold: str(tmp_path / fold) for fold in ("part1", "part2", "part3")}
    assert seen[1] == ("b#bp4d-3fold/part2", "b#bp4d-3fold/part2", folders["part2"], {"seed": 4})
    assert metrics.pop("x") != metrics.get("x")  # NaN
    assert metrics == {"target.mean.f1": pytest.approx(0.65), "seconds": 30.0, "folds": 3}
    kept = json.loads((tmp_path / "metrics.json").read_text())
    assert kept["target.mean.f1"] == pytest.approx(0.65) and kept["x"] is None
    table = pd.read_csv(tmp_path / "folds.csv", index_col="score")
    assert table.loc["target.mean.f1"].tolist() == pytest.approx([0.5, 0.6, 0.85, 0.65])

    one, folders = train_folds(train, "bp4d-3fold/part3", "b", "b", "out")
    assert one["target.mean.f1"] == 0.85 and folders == {"part3": "out"} and seen[-1][2] == "out"


class TestStudy:
    def test_a_study_runs_each_variant_and_seed_in_each_fold(self, tmp_path):
        runs = expand(read_study(study(tmp_path)))
        assert [(run.index, run.variant, run.seed, run.fold) for run in runs[:4]] == [
            (0, "plain", 3, "part1"),
            (1, "plain", 3, "part2"),
            (2, "plain", 3, "part3"),
            (3, "plain", 1, "part1"),
        ]
        assert len(runs) == 12 and runs[1].id == f"plain-seed3.part2-{runs[1].key[:8]}"
        assert runs[1].parameters["source"] == runs[1].parameters["target"] == "data/bp4d#bp4d-3fold/part2"
        assert summaries.variant_and_fold(runs[1].folder) == ("plain", "part2")
        assert summaries.variant_and_fold(Path("plain-seed3-deadbeef")) == ("plain", "")

    @pytest.mark.parametrize(
        "old, new, complaint",
        [
            ("folds: bp4d-3fold", "folds: bp4d-4fold", "'bp4d-4fold'"),
            ("source: data/bp4d", "source: b#adld/source", "variant 'plain': b#adld/source .* adld"),
            ("source: data/bp4d, target: data/bp4d, ", "", "variant 'plain': .* needs source and target"),
            ("steps: 2", "steps: 2, protocol: adld/target", "protocol 'adld/target' and folds"),
            ("folds: bp4d-3fold", "", "no complaint"),
            ("seeds: [3, 1]\nfolds: bp4d-3fold", "seeds: [3]", "no complaint"),
        ],
    )  # fmt: skip
    def test_unusable_folds_of_a_study_are_refused_with_file_and_key(self, tmp_path, old, new, complaint):
        assert old in STUDY
        file = study(tmp_path, STUDY.replace(old, new))
        if complaint == "no complaint":
            assert not read_study(file).folds
            return
        with pytest.raises(StudyError, match=complaint) as refusal:
            read_study(file)
        assert str(file) in str(refusal.value)

    def test_a_protocol_as_a_parameter_of_a_study_is_refused(self, tmp_path):
        text = STUDY.replace("folds: bp4d-3fold\n", "").replace("steps: 2", "steps: 2, protocol: bp4d-3fold")
        with pytest.raises(StudyError, match="folds: bp4d-3fold"):
            read_study(study(tmp_path, text))

    def test_an_edited_manifest_changes_the_key_of_a_run_in_a_fold(self, tmp_path):
        (tmp_path / "manifest.csv").write_text("image,subject,split\n")
        notebook, name = notebook_path("02_train"), f"{tmp_path}#bp4d-3fold/part1"
        values = effective_parameters(notebook, {"source": name}, tmp_path / "out")
        before = run_key(resolve(notebook, values))
        (tmp_path / "manifest.csv").write_text("image,subject,split\na,b,train\n")
        assert run_key(resolve(notebook, values)) != before
        with pytest.raises(ParameterError, match="protocol .* 'p'"):
            effective_parameters(notebook, {"protocol": "bp4d-3fold/p"}, tmp_path / "out")


def runs_of_folds(folder: Path, scores: dict[tuple[str, int], list[float | None]]) -> Path:
    for (variant, seed), of_folds in scores.items():
        for number, f1 in enumerate(of_folds, 1):
            if f1 is not None:
                fold = f"bp4d-3fold/part{number}"
                write_run(
                    folder, variant, seed, {"AU01": f1}, "source-only", suffix=f".part{number}-0a1b",
                    source=f"b#{fold}", target=f"b#{fold}", version=f"v1#{fold}",
                )  # fmt: skip
    return folder


class TestSummary:
    def test_folds_are_averaged_before_seeds(self, tmp_path):
        scores = {("plain", 0): [0.5, 0.6, 0.7], ("plain", 1): [0.8, 0.8, 0.5]}
        summary = summaries.summarise_runs(runs_of_folds(tmp_path / "s", scores))
        assert summary.seeds_of("f1")["plain"].tolist() == pytest.approx([0.6, 0.7])
        assert summary.folds == "bp4d-3fold" and summary.missing == []
        assert summary.settings["plain"]["target"] == "b#bp4d-3fold"
        table = study_table(summary)
        row = next(line for line in table.splitlines() if "plain" in line)
        assert row.split("|")[2].strip() == "65.0 [60.0, 70.0]"  # two seeds, not six runs
        assert "Seeds: 2." in table and "Folds: 3 of bp4d-3fold." in table
        summaries.write_summary(summary, tmp_path / "s.json")
        assert summaries.read_summary(tmp_path / "s.json").folds == "bp4d-3fold"

    def test_a_seed_without_all_folds_is_left_out_and_named(self, tmp_path):
        scores = {("plain", 0): [0.5, 0.6, 0.7], ("plain", 1): [0.9, None, 0.9]}
        summary = summaries.summarise_runs(runs_of_folds(tmp_path / "s", scores))
        assert summary.seeds_of("f1")["plain"].to_dict() == {0: pytest.approx(0.6)}
        assert summary.missing == ["plain-seed1: no run of fold part2"]
        assert "Left out: plain-seed1: no run of fold part2." in study_table(summary)

    def test_no_complete_seed_and_folds_of_two_protocols_are_errors(self, tmp_path):
        folder = runs_of_folds(tmp_path / "s", {("plain", 0): [0.5, None, 0.7]})
        with pytest.raises(ValueError, match="plain-seed0.*part2"):
            summaries.summarise_runs(folder)
        in_disfa = {"target": "b#disfa-3fold/part1", "suffix": ".part1"}
        write_run(folder, "other", 0, {"AU01": 0.5}, "source-only", **in_disfa)
        with pytest.raises(ValueError, match="different folds"):
            summaries.summarise_runs(folder)

    def test_the_status_of_a_running_study_counts_complete_seeds_only(self, tmp_path):
        runs = [run for run in expand(read_study(study(tmp_path)), tmp_path) if run.variant == "plain"]
        for run, f1 in zip(runs, (0.1, 0.2, 0.6, 0.9), strict=False):
            run.folder.mkdir()
            (run.folder / "metrics.json").write_text(json.dumps({"target.mean.f1": f1}))
            (run.folder / "result.json").write_text(json.dumps({"key": run.key}))
        states = {run.id: "done" if run.folder.is_dir() else "missing" for run in runs}
        assert summary_of(runs, states)[0]["score"] == pytest.approx(0.3)


@pytest.fixture(scope="module")
def bp4d(tmp_path_factory) -> Path:
    """A converted miniature BP4D with people in every split of every fold."""
    base = tmp_path_factory.mktemp("bp4d")
    folds = PROTOCOLS["bp4d-3fold"].folds.values()
    validating = {name for fold in folds for name in fold.val}
    people = []
    for fold in folds:
        people += [*fold.test[:2], *[name for name in fold.test if name in validating][:1]]
    raw_trees.write_bp4d(base / "raw", subjects=tuple(dict.fromkeys(people)), frames_per_session=2)
    convert("bp4d", base / "raw", base / "out", workers=1, progress=False)
    return base / "out"


def test_a_converted_bp4d_is_trained_in_all_its_folds(bp4d, tmp_path):
    from aulib.train_run import train_run

    values = TINY_VALUES | {"num_landmarks": 49}
    metrics, folders = train_folds(
        train_run, "bp4d-3fold", str(bp4d), str(bp4d), str(tmp_path), method="source-only", steps=2,
        batch_size=3, precision="32-true", progress=False, insides=False, **values,
    )  # fmt: skip
    each = {fold: json.loads(Path(folder, "metrics.json").read_text()) for fold, folder in folders.items()}
    f1 = [one["target.mean.f1"] for one in each.values()]
    assert metrics["target.mean.f1"] == pytest.approx(sum(f1) / 3) and metrics["folds"] == 3
    tested = [set(pd.read_csv(Path(f, "predictions_target_test.csv"))["subject"]) for f in folders.values()]
    for fold, people in zip(folders, tested, strict=True):
        assert people and people <= set(PROTOCOLS["bp4d-3fold"].folds[fold].test)


@pytest.mark.slow
def test_a_study_of_a_converted_bp4d_ends_in_a_table_of_fold_means(bp4d, tmp_path, monkeypatch, capsys):
    from aubench.cli.main import main

    monkeypatch.chdir(tmp_path)
    file = study(tmp_path, STUDY.replace("data/bp4d", str(bp4d)).replace("[3, 1]", "[3]"))
    with pytest.raises(SystemExit) as end:
        main(["study", str(file), "--workers", "1"])
    assert not end.value.code
    with pytest.raises(SystemExit):
        main(["table", "why"])
    assert "Folds: 3 of bp4d-3fold." in capsys.readouterr().out


@pytest.mark.slow
def test_02_train_takes_a_whole_protocol_and_reports_its_mean(bp4d, tmp_path):
    from aubench.study.notebook_runner import run_notebook

    values = {"source": str(bp4d), "target": str(bp4d), "protocol": "bp4d-3fold", "method": "source-only"}
    values |= {"steps": 2, "batch_size": 3, "precision": "32-true"}
    metrics = run_notebook("02_train", tmp_path / "run", values)
    assert metrics["folds"] == 3 and (tmp_path / "run/part3/model.safetensors").is_file()
    assert "INCOMPLETE" not in (tmp_path / "run/notebook.ipynb").read_text()


def test_a_missing_folder_is_named_when_the_run_begins(tmp_path, monkeypatch):
    from aulib.train_run import train_run

    monkeypatch.chdir(tmp_path)
    expand(read_study(Path(__file__).parents[2] / "experiments/bp4d_3fold.yml"))  # a plan needs no data
    with pytest.raises(FileNotFoundError, match="data/bp4d is not a folder"):
        train_folds(train_run, "bp4d-3fold", "data/bp4d", "data/bp4d", str(tmp_path / "run"))
    with pytest.raises(ValueError, match="needs source and target"):
        parameters_in_fold({}, "bp4d-3fold", "part1")
