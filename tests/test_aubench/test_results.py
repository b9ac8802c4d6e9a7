"""Runs become tables: means and spreads worked by hand, and nothing compared that cannot be."""

import json
from pathlib import Path

import numpy as np
import pytest

from aubench.report import results
from aulib.expressions import contrast_scores
from aulib.networks import Projector
from aulib.run import Run
from fabricated import write_run


@pytest.fixture
def a_run(tmp_path):
    """Writes a run of which AU01 alone is scored, if `f1` is given, and only by F1."""

    def write(method, seed, f1, low=None, high=None, **settings):
        metrics = {"target.mean.f1": f1, "target.mean.f1_low": low, "target.mean.f1_high": high}
        metrics |= {"target.landmarks.nme": 0.05, "target.mean.auc": None, "seconds": 10.0 + seed}
        metrics["source.per_au.AU01.f1"] = None
        for au, value in (("AU01", f1), ("AU12", None)):
            own = {"f1": value, "f1_low": low, "f1_high": high, "base_rate": 0.25, "support": 10}
            metrics |= {f"target.per_au.{au}.{name}": value for name, value in own.items()}
        settings.setdefault("read_target_from", "reconstruction" if method == "full" else "features")
        return str(write_run(tmp_path, method, seed, {"AU01": 0.5}, method, metrics=metrics, **settings))

    return write


class TestMethods:
    def test_one_seed_shows_its_interval_over_subjects(self, a_run):
        row = results.table_of_methods([a_run("full", 0, 0.5, 0.4, 0.7)]).iloc[0]
        assert (row["f1"], row["f1_low"], row["f1_high"]) == (0.5, 0.4, 0.7)
        assert row["seeds"] == 1 and "subjects" in row["spread"]
        assert np.isnan(row["auc"])

    def test_several_seeds_show_lowest_and_highest_seed(self, a_run):
        runs = [a_run("full", seed, f1, 0.0, 1.0) for seed, f1 in enumerate((0.4, 0.6, 0.8))]
        row = results.table_of_methods(runs).iloc[0]
        assert row[["f1", "f1_low", "f1_high", "seconds"]].tolist() == pytest.approx([0.6, 0.4, 0.8, 11.0])
        assert row["seeds"] == 3 and row["spread"] == "seeds"

    def test_methods_keep_the_order_they_were_given_in(self, a_run):
        runs = [a_run(method, 0, 0.5) for method in ("oracle", "full", "adld")]
        assert results.table_of_methods(runs)["method"].tolist() == ["oracle", "full", "adld"]

    def test_runs_of_one_method_that_were_trained_differently_are_not_pooled(self, a_run):
        runs = [a_run("full", seed, 0.5, supervisors=["rich_source"]) for seed in (0, 1)]
        runs += [a_run("full", seed, 0.6, supervisors=[], weights={"cycle": 1.0}) for seed in (2, 3)]
        table = results.table_of_methods(runs)
        assert table["method"].tolist() == ["full", "full, supervisors none"]
        assert table["seeds"].tolist() == [2, 2]
        assert set(results.table_per_au(runs)["method"]) == set(table["method"])

    def test_runs_tested_on_different_sets_are_not_compared(self, a_run):
        with pytest.raises(ValueError, match="different target sets"):
            results.table_of_methods([a_run("full", 0, 0.5), a_run("adld", 0, 0.5, version="v2")])

    def test_no_runs_is_an_error(self):
        with pytest.raises(ValueError, match="no runs"):
            results.table_of_methods([])

    def test_shares_of_the_way_to_the_oracle(self, a_run):
        scores = {"source-only": 0.4, "full": 0.7, "oracle": 0.8}
        table = results.table_of_methods([a_run(method, 0, f1) for method, f1 in scores.items()])
        assert results.recovered(table) == pytest.approx(0.75)
        assert results.recovered(table, "source-only") == 0
        assert np.isnan(results.recovered(table, "adld"))

    def test_an_undefined_score_is_a_dash_in_text(self, a_run):
        shown = results.with_intervals(results.table_of_methods([a_run("full", 0, 0.5, 0.4, 0.7)])).iloc[0]
        assert shown["f1"] == "50.0 [40.0, 70.0]" and shown["auc"] == "–" and shown["nme"] == "5.0"


class TestPerAU:
    def test_undefined_seeds_are_left_out_of_an_aus_mean(self, a_run):
        runs = [a_run("full", 0, 0.4), a_run("full", 1, None), a_run("full", 2, 0.8)]
        table = results.table_per_au(runs).set_index("au")
        assert table.loc["AU01", ["f1", "f1_low", "f1_high"]].tolist() == pytest.approx([0.6, 0.4, 0.8])
        assert np.isnan(table.loc["AU12", "f1"])
        assert table.loc["AU01", "support"] == 10

    def test_learned_are_half_of_the_aus_above_always_answering_present(self, a_run):
        always = 2 * 0.25 / 1.25
        runs = [a_run("full", 0, always + 0.01), a_run("adld", 0, always - 0.01), a_run("dann", 0, always)]
        runs.append(a_run("multitask", 0, None))  # no AU scored
        counts = results.learned_aus(results.table_per_au(runs))
        assert counts["learned"].to_dict() == {"full": True, "adld": False, "dann": False}
        assert counts["above"].tolist() == [1, 0, 0] and counts["scored"].tolist() == [1, 1, 1]
        more = results.table_per_au(runs[:1]).assign(f1=[always + 0.01, always - 0.01])
        assert results.learned_aus(more).loc["full"].tolist() == [1, 2, True]  # one of two
        assert results.learned_aus(results.table_per_au(runs[3:])).empty
        assert [bool(results.not_learned(run)) for run in runs] == [False, True, True, False]

    def test_whether_it_learned_is_judged_on_the_source_if_the_target_has_no_labels(self, a_run):
        run = a_run("full", 0, None)
        file = Path(run, "metrics.json")
        for f1, said in ((0.39, "did not learn the AUs of its source: on test faces 1 of 1 are"), (0.41, "")):
            scores = {"source.per_au.AU01.f1": f1, "source.per_au.AU01.base_rate": 0.25}
            file.write_text(json.dumps(json.loads(file.read_text()) | scores))
            assert said in results.not_learned(run) and bool(said) == bool(results.not_learned(run))


class TestSeeds:
    def test_are_summed_up_in_their_order(self, a_run):
        runs = [a_run("full", seed, f1) for seed, f1 in ((2, 0.8), (0, 0.4), (1, 0.6))]
        summary = results.summarise_seeds(runs)
        assert summary["full"]["f1"] == {
            "mean": pytest.approx(0.6), "low": 0.4, "high": 0.8, "seeds": [0.4, 0.6, 0.8],
        }  # fmt: skip
        assert "auc" not in summary["full"]

    def test_a_seed_given_twice_is_an_error(self, a_run, tmp_path):
        run = a_run("full", 0, 0.5)
        with pytest.raises(ValueError, match="seed 0 twice"):
            results.summarise_seeds([run, run])


class TestOneRun:
    def test_missing_and_finished_runs(self, a_run, tmp_path):
        run = a_run("full", 0, 0.5)
        assert results.finished_runs([tmp_path / "none", run]) == ([run], [str(tmp_path / "none")])

    def test_the_run_to_show_is_full_or_else_one_that_separates(self, a_run):
        plain, lowest = a_run("source-only", 0, 0.5), a_run("landmarks-only", 0, 0.5)
        adld = a_run("adld", 0, 0.5, read_target_from="reconstruction")
        assert results.run_to_show([plain, adld, lowest]) == adld
        assert results.run_to_show([plain, a_run("full", 0, 0.5), adld]).endswith("full-seed0")
        assert results.run_to_show([plain, lowest]) == plain


class TestChance:
    SETTINGS = {
        "batch_size": 16, "alignment": "global", "negatives": "rivals",
        "supervisors": ["rich_source", "shape_source"],
    }  # fmt: skip

    def test_counts_the_batch_and_the_rivals(self):
        chance = results.chance_of_supervisors(self.SETTINGS)
        assert chance == {"rich_source": pytest.approx(np.log(18)), "shape_source": pytest.approx(np.log(17))}

    def test_counts_the_batch_alone_without_rivals(self):
        chance = results.chance_of_supervisors(self.SETTINGS | {"negatives": "batch"})
        assert list(chance.values()) == pytest.approx([np.log(16)] * 2)

    def test_counts_positions_of_a_dense_alignment(self):
        chance = results.chance_of_supervisors(self.SETTINGS | {"alignment": "dense"})
        cells = Projector(8, alignment="dense").grid ** 2
        others = 15 + 2  # faces of the batch, and rivals, at the same place
        assert np.exp(chance["rich_source"]) == pytest.approx(cells + others)

    def test_an_l1_term_has_none(self):
        assert results.chance_of_supervisors(self.SETTINGS | {"alignment": "l1"}) == {}


def test_a_run_is_said_to_have_seen_the_photographs_it_was_adapted_to_only(finished):
    expression, subjects = np.array(["neutral", "happiness"] * 4), np.repeat(list("abcd"), 2)
    smiling = (expression == "happiness")[:, None]
    scores = contrast_scores(smiling * 0.6 + 0.2, smiling, ["AU12"], expression, subjects)
    row = results.real_faces_row(finished.full, finished.target, scores)
    assert row["saw_it"] and not results.real_faces_row(finished.full, finished.source, scores)["saw_it"]
    assert row["set"] == "target" and row["method"] == "full"
    found = {key: row[f"au12_{key}"] for key in ("auc", "rises", "found", "alarms")}
    assert found == {"auc": 1, "rises": 1, "found": 1, "alarms": 0}


def test_without_the_demos_runs_the_packages_detector_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = ["results/demo/full", "results/demo/source-only"]
    (copy,) = results.runs_or_package(usual, tmp_path / "out")
    assert Run(copy).model and Path(copy).is_relative_to(tmp_path)
    assert results.runs_or_package(["elsewhere/full"], tmp_path / "out") == ["elsewhere/full"]
    Path("results/demo/full").mkdir(parents=True)
    Path("results/demo/full/metrics.json").write_text("{}")
    assert results.runs_or_package(usual, tmp_path / "out") == usual
