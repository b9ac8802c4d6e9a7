"""A study's runs become one summary, and the summary keeps what they measured."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aubench.report import run_values, summaries
from aubench.report.results import names_of_runs
from aubench.report.run_values import MEAN
from aulib.run import Run
from fabricated import write_run, write_small_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_small_study(tmp_path_factory.mktemp("results") / "small")


class TestOneRun:
    def test_a_step_costs_the_medians_of_both_phases_in_their_proportion(self):
        # twenty steps of 1 s, then ten with rounds of 3 s: (20 * 1 + 10 * 3) / 30
        history = pd.DataFrame({"step": [0, 10, 20, 30], "seconds": [0, 10, 20, 50]})
        history["adversaries"] = [None, None, None, 1.0]
        assert run_values.seconds_per_step(history) == pytest.approx(5 / 3)

    def test_a_pause_does_not_change_the_cost_of_a_step(self):
        history = pd.DataFrame({"step": range(0, 60, 10), "seconds": [0, 5, 10, 15, 500, 505]})
        assert run_values.seconds_per_step(history) == pytest.approx(0.5)
        assert np.isnan(run_values.seconds_per_step(history.iloc[:1]))

    def test_the_end_of_a_loss_is_a_share_of_chance_and_shares_are_means(self):
        history = pd.DataFrame({"step": range(20), "rich_source": [9.0] * 18 + [0.2, 0.4]})
        history["share.cycle"] = [np.nan] * 18 + [0.2, 0.4]
        found = run_values.values_of_history(history, {"rich_source": 3.0})
        assert found["saturation.rich_source", MEAN] == pytest.approx(0.1)
        assert found["share.cycle", MEAN] == pytest.approx(0.3)

    def test_probes_have_a_mean_and_a_value_per_au(self):
        metrics = {"insides.au_probe.texture.source": 0.8, "insides.per_au.AU12.texture.source": 0.9}
        found = run_values.values_of_metrics(metrics)
        assert found["insides.au_probe.texture.source", MEAN] == 0.8
        assert found["insides.au_probe.texture.source", "AU12"] == 0.9

    def test_everything_measured_inside_has_its_words(self, finished):
        keys = [name for name, _ in run_values.values_of_metrics(Run(finished.full).metrics)]
        table = pd.DataFrame({"measure": [key for key in dict.fromkeys(keys) if key.startswith("insides.")]})
        words = run_values.in_words(table)["measure"]
        assert len(words) > 30 and not [name for name in words if "." in name or "_" in name]
        assert run_values.in_words(table.set_index("measure")).index.tolist() == words.tolist()

    def test_long_curves_keep_their_ends(self):
        history = pd.DataFrame({"step": range(1000), "rich_source": np.arange(1000.0)})
        curve = run_values.curves_of(history, ["rich_source", "rich_target"])
        assert len(curve) == run_values.CURVE_POINTS
        assert curve[0] == ("rich_source", 0, 0.0) and curve[-1] == ("rich_source", 999, 999.0)


class TestSummary:
    def test_has_every_seed_of_every_variant_up_the_ladder(self, study):
        summary = summaries.summarise_runs(study)
        added = "contrastive+shape_source"
        assert summary.variants == ["source-only", "contrastive", added, "full", "oracle"]
        assert summary.aus == ["AU01", "AU12"]
        assert summary.seeds_of("f1", "AU01")["contrastive"].tolist() == pytest.approx([0.51, 0.513])
        assert summaries.summarise_runs(study, ["full", "oracle"]).variants[:2] == ["full", "oracle"]

    def test_file_round_trip(self, study, tmp_path):
        summary = summaries.summarise_runs(study, question="why?")
        summaries.write_summary(summary, tmp_path / "small.json")
        again = summaries.read_summary(tmp_path / "small.json")
        assert again.settings == summary.settings and again.question == "why?"
        keys = ["variant", "seed", "measure", "au"]
        first, second = (one.values.sort_values(keys, ignore_index=True) for one in (summary, again))
        pd.testing.assert_frame_equal(first, second, rtol=1e-4)
        keys = ["variant", "supervisor", "step"]
        first, second = (one.curves.sort_values(keys, ignore_index=True) for one in (summary, again))
        pd.testing.assert_frame_equal(first, second, rtol=1e-4)

    def test_an_undefined_score_stays_undefined_in_the_file(self, tmp_path):
        for seed, f1 in ((0, 0.5), (1, float("nan"))):
            write_run(tmp_path / "s", "full", seed, {"AU01": f1})
        summaries.write_summary(summaries.summarise_runs(tmp_path / "s"), tmp_path / "s.json")
        assert "NaN" not in (tmp_path / "s.json").read_text()
        again = summaries.read_summary(tmp_path / "s.json")
        assert again.seeds_of("f1")["full"].dropna().to_dict() == {0: 0.5}
        assert again.seeds_of("seconds")["full"].count() == 2

    def test_of_two_runs_of_a_seed_the_later_counts_if_it_is_asked_for(self, tmp_path):
        write_run(tmp_path, "full", 0, {"AU01": 0.9}, suffix="-0abc", started="2026-01-03T00:00:00Z")
        first = write_run(tmp_path, "full", 0, {"AU01": 0.1}, suffix="-9def", started="2026-01-02T00:00:00Z")
        assert summaries.summarise_runs(tmp_path).seeds_of("f1")["full"].tolist() == [0.9]
        assert summaries.summarise_runs(tmp_path, only=[first.name]).seeds_of("f1")["full"].tolist() == [0.1]

    def test_unfinished_runs_are_named_and_left_out(self, tmp_path):
        write_run(tmp_path, "full", 0, {"AU01": 0.9})
        (write_run(tmp_path, "full", 1, {"AU01": 0.1}) / "result.json").unlink()
        summary = summaries.summarise_runs(tmp_path)
        assert summary.missing == ["full-seed1"] and list(summary.seeds_of("f1").index) == [0]

    def test_what_is_fitted_to_a_run_may_differ_between_its_seeds(self, tmp_path):
        for seed in (0, 1):
            curves = {"AU01": [0.1 * seed] * 25}
            write_run(tmp_path, "full", seed, {"AU01": 0.9}, intensity_curves=curves)
        summary = summaries.summarise_runs(tmp_path)
        assert len(summary.seeds_of("f1")) == 2 and "intensity_curves" not in summary.settings["full"]
        runs = sorted(tmp_path.glob("full-*"))
        assert names_of_runs(runs) == ["full", "full"]

    @pytest.mark.parametrize(
        "other, found",
        [
            ({"method": "full", "steps": 800}, r"'full' differ in \['steps'\]: see full-seed1"),
            ({"method": "adld", "version": "v2"}, "different data.*adld-seed1.*full-seed0"),
        ],
    )
    def test_runs_that_cannot_be_compared_are_refused(self, tmp_path, other, found):
        write_run(tmp_path, "full", 0, {"AU01": 0.9})
        write_run(tmp_path, other["method"], 1, {"AU01": 0.9}, **other)
        with pytest.raises(ValueError, match=found):
            summaries.summarise_runs(tmp_path)


class TestTwins:
    """Two variants that resolved to the same are not compared, whatever their names."""

    @pytest.mark.parametrize(
        "one, other",
        [
            (("contrastive", ("rich_source",), {}), ("full", ("rich_source",), {})),  # saved in a notebook
            (("separation", (), {}), ("full", (), {})),
            (
                ("full", None, {"weights": {"au_source": 1.0, "cycle": 0.0}}),
                ("full", None, {"weights": {"au_source": 1.0}}),
            ),
            (("full", None, {"code": "a" * 64}), ("full", None, {"code": "b" * 64})),
        ],
    )
    def test_are_refused_by_name_with_what_to_do(self, tmp_path, one, other):
        for variant, (method, supervisors, settings) in (("first", one), ("second", other)):
            write_run(tmp_path, variant, 0, {"AU01": 0.5}, method, supervisors, **settings)
        with pytest.raises(ValueError, match="'first' and 'second' were the same training.*take one out"):
            summaries.summarise_runs(tmp_path)

    def test_of_a_committed_summary_are_refused_too(self, study, tmp_path):
        summaries.write_summary(summaries.summarise_runs(study), tmp_path / "s.json")
        kept = json.loads((tmp_path / "s.json").read_text())
        kept["variants"]["again"] = kept["variants"]["full"]
        (tmp_path / "s.json").write_text(json.dumps(kept))
        with pytest.raises(ValueError, match="'full' and 'again'"):
            summaries.read_summary(tmp_path / "s.json")

    def test_labels_of_another_domain_are_another_training(self, tmp_path):
        for method in ("oracle", "source-only"):
            write_run(tmp_path, method, 0, {"AU01": 0.5}, method)
        assert summaries.summarise_runs(tmp_path).variants == ["source-only", "oracle"]

    def test_a_parameter_of_one_s_own_notebook_makes_the_difference(self, tmp_path):
        for variant, lines in (("one", ["def f(): ..."]), ("two", ["def g(): ..."])):
            run = write_run(tmp_path, variant, 0, {"AU01": 0.5}, "contrastive")
            resolved = {"parameters": {"own": lines, "protocol": "", "seed": 0}}
            (run / "params.json").write_text(json.dumps({"started": "", "resolved": resolved}))
        summary = summaries.summarise_runs(tmp_path)
        assert summary.settings["one"]["parameters"] == {"own": ["def f(): ..."]}

    def test_versions_of_the_code_are_kept(self, tmp_path):
        for seed, code in enumerate("ab"):
            write_run(tmp_path, "full", seed, {"AU01": 0.5}, code=code * 64)
        assert summaries.summarise_runs(tmp_path).settings["full"]["code"] == ["a" * 12, "b" * 12]


def test_runs_of_an_earlier_version_are_read_but_not_mixed_with_new_ones(tmp_path):
    write_run(tmp_path, "full", 0, {"AU01": 0.5})
    assert summaries.summarise_runs(tmp_path).settings["full"]["code"] == ["unknown"]
    write_run(tmp_path, "full", 1, {"AU01": 0.5}, code="a" * 64, separates=True)
    with pytest.raises(ValueError, match="of an earlier version of aulib: see full-seed1; move the earlier"):
        summaries.summarise_runs(tmp_path)


def test_no_committed_study_compares_a_training_with_itself():
    files = [file for file in Path("results").glob("*.json") if '"variants"' in file.read_text()]
    assert len(files) > 1 and all(summaries.read_summary(file).variants for file in files)


class TestFinding:
    def test_runs_come_before_the_committed_summary_in_the_plan_s_order(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_small_study(tmp_path / "results" / "small")
        (tmp_path / "experiments").mkdir()
        plan = {"question": "why?", "variants": {"full": None, "contrastive": None}}
        (tmp_path / "experiments" / "small.yml").write_text(json.dumps(plan))
        (tmp_path / "results" / "small.json").write_text("{}")
        for name in ("small", "experiments/small.yml", "results/small"):
            summary = summaries.find_summary(name)
            assert summary.variants[:2] == ["full", "contrastive"] and summary.question == "why?"

    def test_a_fresh_clone_reads_the_committed_summary(self, study, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        summaries.write_summary(summaries.summarise_runs(study), tmp_path / "results" / "small.json")
        for name in ("small", "experiments/small.yml", "results/small.json"):
            assert "full" in summaries.find_summary(name).variants

    def test_nothing_found_names_both_places(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"results/none nor results/none\.json.*aulib study"):
            summaries.find_summary("none")

    @pytest.mark.parametrize("key, value, said", [
        ("seeds", [0, 0], "seeds of full are .0, 0., expected each once"),
        ("scores", {"f1": {"mean": ["0.5", 0.6]}}, "f1 of mean of full is .*, expected numbers"),
    ])  # fmt: skip
    def test_values_that_are_none_are_named_with_file_and_variant(self, study, key, value, said, tmp_path):
        summaries.write_summary(summaries.summarise_runs(study), tmp_path / "s.json")
        kept = json.loads((tmp_path / "s.json").read_text())
        kept["variants"]["full"] |= {"seeds": [0, 1], "curves": {}, key: value}
        (tmp_path / "s.json").write_text(json.dumps(kept))
        with pytest.raises(ValueError, match=rf"s\.json: {said}"):
            summaries.read_summary(tmp_path / "s.json")

    def test_another_json_is_no_summary(self, tmp_path):
        (tmp_path / "other.json").write_text("{}")
        with pytest.raises(ValueError, match=r"other\.json is no summary"):
            summaries.find_summary(tmp_path / "other.json")
