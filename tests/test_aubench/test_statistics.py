"""Paired differences, intervals and corrections, worked by hand or against SciPy."""

import json

import numpy as np
import pytest
from scipy import stats

from aubench.report import comparisons, statistics
from aubench.report.run_values import MEAN
from aubench.report.statistics import Contrast
from aubench.report.summaries import summarise_runs
from aulib.supervisors import ALL_SIX, RICH_TWO, SUPERVISORS
from fabricated import write_run

FOUR = [name for name in SUPERVISORS if name not in RICH_TWO]


def differences_of(folder, scores: dict[str, list[float]], **settings) -> dict:
    for variant, values in scores.items():
        for seed, value in enumerate(values):
            write_run(folder, variant, seed, {"AU01": value}, variant, **settings)
    return summarise_runs(folder)


class TestInterval:
    def test_worked_by_hand(self):
        # mean 2, s 1, standard error 1 / sqrt(3); t with 2 degrees of freedom: 4.303
        mean, low, high, p = statistics.t_interval(np.array([1.0, 2.0, 3.0]))
        assert (mean, low, high) == pytest.approx((2, 2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), abs=1e-3)
        assert p == pytest.approx(stats.ttest_1samp([1, 2, 3], 0).pvalue)

    def test_covers_the_truth_in_95_of_100_studies(self):
        rng = np.random.default_rng(0)
        intervals = [statistics.t_interval(values) for values in rng.normal(0.3, 1, (2000, 5))]
        hits = [low <= 0.3 <= high for _, low, high, _ in intervals]
        assert np.mean(hits) == pytest.approx(0.95, abs=0.015)

    def test_one_seed_has_no_interval_and_no_seed_no_mean(self):
        mean, *rest = statistics.t_interval(np.array([0.4]))
        assert mean == 0.4 and np.isnan(rest).all()
        assert np.isnan(statistics.t_interval(np.array([]))).all()

    def test_differences_without_spread_are_certain(self):
        assert statistics.t_interval(np.full(3, 0.2)) == pytest.approx((0.2, 0.2, 0.2, 0))
        assert statistics.t_interval(np.zeros(3)) == (0, 0, 0, 1)


class TestDetectable:
    def test_is_found_with_its_power(self):
        low, high = statistics.student_interval(0.0, 0.5, 4)[1:3]
        for tests in (1, 4):
            effect = statistics.detectable(low, high, 5, tests)
            power = stats.nct.sf(stats.t.isf(0.025 / tests, 4), 4, effect / 0.5)  # SciPy's own noncentral t
            assert power == pytest.approx(0.8, abs=0.002)

    def test_needs_an_interval(self):
        assert np.isnan(statistics.detectable(np.nan, np.nan, 1))
        assert statistics.detectable(0.2, 0.2, 3) == 0


class TestHolm:
    def test_worked_by_hand(self):
        # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, never below the one before
        p = np.array([0.04, 0.01, 0.03, 0.02])
        assert statistics.holm(p) == pytest.approx([0.06, 0.04, 0.06, 0.06])

    def test_is_at_most_one_and_ignores_nan(self):
        corrected = statistics.holm(np.array([0.6, np.nan, 0.02, 0.9]))
        assert corrected[[0, 2, 3]] == pytest.approx([1, 0.06, 1]) and np.isnan(corrected[1])

    def test_one_family_corrects_over_all_measures(self, tmp_path):
        summary = differences_of(tmp_path, {"full": [0.6, 0.7, 0.65], "contrastive": [0.5, 0.55, 0.53]})
        table = statistics.one_family(summary, comparisons.the_four(summary), ["f1", "auc"])
        assert set(table["au"]) == {MEAN} and len(table) == 2
        assert list(table["p_holm"]) == pytest.approx(statistics.holm(table["p"].to_numpy()))
        assert table["p_holm"].min() == pytest.approx(2 * table["p"].min())

    def test_means_and_aus_are_families_of_their_own(self, tmp_path):
        summary = differences_of(tmp_path, {"full": [0.6, 0.7, 0.65], "adld": [0.5, 0.55, 0.53]})
        table = statistics.paired_differences(summary, [Contrast("full", "adld")], ["f1", "auc"])
        assert len(table) == 4  # mean and AU01 of both measures
        np.testing.assert_allclose(table["p_holm"], table["p"])


class TestPairedDifferences:
    def test_are_taken_seed_by_seed(self, tmp_path):
        # +.10 in every seed, whatever the seeds do to both
        summary = differences_of(tmp_path, {"full": [0.4, 0.6, 0.8], "adld": [0.3, 0.5, 0.7]})
        row = statistics.paired_differences(summary, [Contrast("full", "adld", "x")], ["f1"]).iloc[0]
        assert row[["difference", "low", "high"]].tolist() == pytest.approx([0.1] * 3)
        assert row["au"] == MEAN and row["seeds"] == 3 and row["about"] == "x"

    def test_seeds_that_only_one_variant_has_do_not_count(self, tmp_path):
        summary = differences_of(tmp_path, {"full": [0.4, 0.6, 0.9], "adld": [0.3, 0.4]})
        row = statistics.paired_differences(summary, [Contrast("full", "adld")], ["f1"]).iloc[0]
        assert row["seeds"] == 2 and row["difference"] == pytest.approx(0.15)

    def test_against_leaves_the_oracle_and_the_reference_out(self, tmp_path):
        summary = differences_of(tmp_path, {name: [0.5] for name in ("source-only", "adld", "oracle")})
        assert [c.variant for c in comparisons.against(summary, "source-only")] == ["adld"]
        with pytest.raises(ValueError, match="'nobody'"):
            comparisons.against(summary, "nobody")

    def test_the_usual_reference_is_the_two_plain_supervisors_or_the_first_variant(self, tmp_path):
        names = ["source-only", "adld", "contrastive"]
        for last in ("contrastive", "source-only", "adld"):
            summary = differences_of(tmp_path / last, {name: [0.5] for name in names})
            assert comparisons.usual_reference(summary) == last
            names.remove(last)


class TestSupervisors:
    @pytest.fixture
    def ladder(self, tmp_path):
        """Two seeds: shape_source adds .02 then .04 on top of the two, and .06, .08 to the other five."""
        sets = {
            "contrastive": (RICH_TWO, [0.50, 0.60]),
            "plus": ((*RICH_TWO, "shape_source"), [0.52, 0.64]),
            "full": (ALL_SIX, [0.70, 0.80]),
            "without": (tuple(s for s in ALL_SIX if s != "shape_source"), [0.64, 0.72]),
        }
        for variant, (supervisors, values) in sets.items():
            for seed, value in enumerate(values):
                method = "full" if len(supervisors) > 3 else "contrastive"
                write_run(tmp_path, variant, seed, {"AU01": value}, method, supervisors)
        return tmp_path

    def test_are_compared_where_variants_differ_in_one_of_them(self, ladder):
        pairs = comparisons.supervisor_contrasts(summarise_runs(ladder))
        assert {c.about for c in pairs} == {"shape_source"}
        assert {(c.variant, c.reference) for c in pairs} == {("plus", "contrastive"), ("full", "without")}
        four = comparisons.the_four(summarise_runs(ladder))
        assert [(c.variant, c.reference) for c in four] == [("full", "contrastive")]

    def test_variants_with_another_difference_are_not_compared(self, ladder):
        write_run(ladder, "longer", 0, {"AU01": 0.5}, "contrastive", (*RICH_TWO, "shape_target"), steps=800)
        write_run(ladder, "heavier", 0, {"AU01": 0.5}, "contrastive", (*RICH_TWO, "texture_target"),
                  weights={"au_source": 2.0})  # fmt: skip
        write_run(ladder, "dense", 0, {"AU01": 0.5}, "contrastive", (*RICH_TWO, "texture_source"),
                  alignment="dense")  # fmt: skip
        about = {c.about for c in comparisons.supervisor_contrasts(summarise_runs(ladder))}
        assert about == {"shape_source"}

    def test_one_supervisor_is_compared_with_none_however_it_aligns(self, tmp_path):
        nothing = {"alignment": None, "negatives": None}
        write_run(tmp_path, "without", 0, {"AU01": 0.5}, "separation", (), **nothing)
        for how in ("dense", "global"):
            write_run(tmp_path, how, 0, {"AU01": 0.5}, "full", ("rich_source",), alignment=how)
        pairs = comparisons.supervisor_contrasts(summarise_runs(tmp_path))
        assert {pair.variant for pair in pairs if pair.reference == "without"} == {"dense", "global"}

    def test_the_variants_are_shown_as_what_they_resolved_to(self, ladder):
        write_run(ladder, "heavier", 0, {"AU01": 0.5}, "full", temperature=0.5)
        table = comparisons.variants_compared(summarise_runs(ladder)).set_index("variant")
        assert table.loc["plus", "supervisors"] == "rich_source, rich_target, shape_source"
        assert table.loc["plus", "method"] == "contrastive" and table.loc["plus", "seeds"] == 2
        assert table.loc["heavier", "other"] == "full: temperature none -> 0.5"
        assert table.loc["full", "other"] == ""
        assert set(table["code"]) == {"unknown"} and set(table["alignment"]) == {"global, rivals"}

    def test_an_effect_is_the_mean_of_its_contrasts_seed_by_seed(self, ladder):
        row = comparisons.effects_of_supervisors(summarise_runs(ladder), ["f1"]).iloc[0]
        # seed 0: (.02 + .06) / 2 = .04, seed 1: (.04 + .08) / 2 = .06
        expected = statistics.t_interval(np.array([0.04, 0.06]))
        assert row[["difference", "low", "high", "p"]].tolist() == pytest.approx(expected)
        assert row["pairs"] == 2 and row["seeds"] == 2


def row(difference, low, high, p_holm, measure="f1") -> dict:
    return {"difference": difference, "low": low, "high": high, "p_holm": p_holm, "measure": measure}


class TestVerdict:
    def test_is_decided_by_correction_sign_and_width(self):
        assert statistics.verdict(row(0.02, 0.01, 0.03, 0.001)) == "helps"
        assert statistics.verdict(row(-0.02, -0.03, -0.01, 0.049)) == "hurts"
        assert statistics.verdict(row(0.02, 0.001, 0.039, 0.05)) == "undecided"
        assert statistics.verdict(row(0.001, -0.004, 0.006, 0.8)) == "no difference"
        assert statistics.verdict(row(0.001, -0.004, 0.011, 0.8)) == "undecided"

    def test_lower_is_better_for_errors_and_none_of_them_is_negligible(self):
        assert statistics.verdict(row(0.02, 0.01, 0.03, 0.001, "nme")) == "hurts"
        assert statistics.verdict(row(-0.2, -0.3, -0.1, 0.01, "insides.reconstruction.self")) == "helps"
        assert statistics.verdict(row(0.001, -0.004, 0.006, 0.8, "nme")) == "undecided"

    def test_one_seed_is_never_enough(self):
        assert statistics.verdict(row(0.3, np.nan, np.nan, np.nan)) == "undecided"


@pytest.fixture
def study(tmp_path):
    """Five seeds; each supervisor has the effect on F1 that a test chooses, AU12 may have one of its own."""

    def write(effects: dict[str, float], noise: float = 0.001, on_au12: dict | None = None):
        rng = np.random.default_rng(0)
        sets = {"contrastive": RICH_TWO, "full": ALL_SIX}
        for name in effects:
            sets[f"contrastive+{name}"] = (*RICH_TWO, name)
            sets[f"full-{name}"] = tuple(one for one in ALL_SIX if one != name)
        for variant, supervisors in sets.items():
            for seed in range(5):
                lift = sum(effects.get(name, 0) for name in supervisors)
                aus = {au: 0.5 + 0.02 * seed + lift + rng.normal(0, noise) for au in ("AU01", "AU04", "AU12")}
                aus["AU12"] += sum((on_au12 or {}).get(name, 0) for name in supervisors)
                method = "full" if len(supervisors) > 3 else "contrastive"
                write_run(tmp_path / "s", variant, seed, aus, method, supervisors)
        return comparisons.outcome(summarise_runs(tmp_path / "s"))

    return write


class TestOutcome:
    def test_supervisors_that_help_hurt_or_make_no_difference(self, study):
        table = study({"texture_target": 0.03, "shape_source": -0.02, "shape_target": 0.0})
        each = table.query("question == 'each supervisor' and measure == 'f1' and au == 'mean'")
        verdicts = each.set_index("comparison")["verdict"]
        assert verdicts["with minus without `texture_target`"] == "helps"
        assert verdicts["with minus without `shape_source`"] == "hurts"
        assert verdicts["with minus without `shape_target`"] == "no difference"
        four = table.query("question == 'the four together' and measure == 'f1' and au == 'mean'").iloc[0]
        assert four["verdict"] == "helps" and four["terms"] == "equal steps" and four["seeds"] == 5

    def test_noise_is_undecided_with_the_detectable_effect(self, study):
        table = study({"texture_target": 0.001}, noise=0.05).query("measure == 'f1'")
        assert set(table["verdict"]) == {"undecided"} and (table["detectable"] > 0.001).all()

    def test_finds_the_one_au_that_changes(self, study):
        table = study({"texture_target": 0.0}, on_au12={"texture_target": 0.05})
        changed = table[(table["verdict"] == "helps") & (table["au"] != MEAN)]
        assert set(changed["au"]) == {"AU12"}
        assert set(changed["question"]) == {"each supervisor", "the four together"}

    def test_rivals_and_choices_are_compared_with_full(self, tmp_path):
        for seed in range(5):
            values = ("full", 0.6, 0.05), ("multitask", 0.5, 0.04), ("full-batch", 0.5, 0.05)
            for variant, f1, nme in values:
                metrics = {"target.landmarks.nme": nme + 1e-4 * seed}
                method, how = ("full", {"negatives": "batch"}) if "-" in variant else (variant, {})
                write_run(tmp_path, variant, seed, {"AU01": f1 + 0.01 * seed}, method, metrics=metrics, **how)
        table = comparisons.outcome(summarise_runs(tmp_path))
        rivals = table[table["question"] == "rivals"].set_index("measure")["verdict"]
        assert rivals.to_dict() == {"f1": "helps", "auc": "helps", "f1_norm": "helps", "nme": "hurts"}
        choice = table[table["question"] == "choices"].iloc[0]
        assert choice["reference"] == "full-batch" and choice["verdict"] == "helps"

    def test_all_six_are_compared_with_none_where_all_else_is_the_same(self, tmp_path):
        sets = dict.fromkeys(("separation", "adld"), ()) | {"contrastive": RICH_TWO}
        sets |= dict.fromkeys(("full", "full-vicreg", "adld-supervised"), ALL_SIX)
        for variant, supervisors in sets.items():
            for seed in range(5):
                f1 = 0.5 + 0.01 * seed + 0.05 * (variant == "adld-supervised")
                how = {"alignment": "vicreg"} if variant == "full-vicreg" else {}
                method = "full" if variant.startswith("full") else variant.partition("-")[0]
                write_run(tmp_path, variant, seed, {"AU01": f1}, method, supervisors, **how)
        table = comparisons.outcome(summarise_runs(tmp_path)).query("question == 'all six'")
        found = table[table["measure"] == "f1"].set_index("comparison")["verdict"]
        assert found.to_dict() == {
            "`full` minus `separation`": "no difference",
            "`full-vicreg` minus `separation`": "no difference",
            "`adld-supervised` minus `adld`": "helps",
        }

    def test_errors_and_distances_of_the_rounds_are_one_family_where_lower_is_better(self, tmp_path):
        errors = {"separation": 1.1, "contrastive": 1.2, "full": 1.3, "adld": 0.9}
        for variant, error in errors.items():
            for seed in range(5):
                value = error + 0.01 * seed
                metrics = dict.fromkeys(statistics.ERRORS, value)
                metrics |= {f"insides.distance.{name}": value / 10 for name in ALL_SIX}
                write_run(tmp_path, variant, seed, {"AU01": 0.5}, variant, metrics=metrics)
        table = comparisons.outcome(summarise_runs(tmp_path)).query("question == 'reconstruction'")
        second = table[table["measure"] == "insides.reconstruction.second"].set_index("comparison")
        assert len(table) == 5 * (2 + 6)
        assert second.loc["`full` minus `contrastive`", "verdict"] == "hurts"
        assert second.loc["`adld` minus `separation`", "difference"] == pytest.approx(-0.2)
        assert second.loc["`adld` minus `separation`", "verdict"] == "helps"

    def test_rounds_of_another_separation_are_not_compared(self, tmp_path):
        for variant, separation in (("full", "erasure"), ("adld-erasure", "erasure"), ("adld", "adversary")):
            for seed in (0, 1):
                metrics = {"insides.reconstruction.self": 0.5 + 0.1 * seed}
                run = write_run(tmp_path, variant, seed, {"AU01": 0.5}, variant[:4], metrics=metrics)
                config = json.loads((run / "config.json").read_text())
                config["model"]["separation"] = separation
                (run / "config.json").write_text(json.dumps(config))
        table = comparisons.outcome(summarise_runs(tmp_path)).query("question == 'reconstruction'")
        assert set(table["comparison"]) == {"`full` minus `adld-erasure`"}

    def test_a_study_without_such_variants_has_no_rows(self, tmp_path):
        write_run(tmp_path, "adld", 0, {"AU01": 0.5}, "adld")
        table = comparisons.outcome(summarise_runs(tmp_path))
        assert table.empty and list(table) == list(comparisons.OUTCOME)


class TestIdleness:
    def test_a_supervisor_far_below_log_n_has_solved_its_task(self, tmp_path):
        # log 16 at a batch of 14 with two rivals, log 14 without, log (16 + 48) positions
        ends = {"rivals": 0.05 * np.log(16), "batch": 0.05 * np.log(14), "dense": 0.4 * np.log(64)}
        for variant, last in (("full", "rivals"), ("full-in-batch", "batch"), ("full-dense", "dense")):
            how = {"negatives": "batch"} if last == "batch" else {}
            how |= {"alignment": "dense"} if last == "dense" else {}
            losses = dict.fromkeys(RICH_TWO, [3.0, 2.0, ends[last]])
            shares = {"au_source": 0.9, "rich_source": 0.1}
            write_run(tmp_path, variant, 0, {"AU01": 0.5}, losses=losses, shares=shares, **how)
        table = comparisons.idleness(summarise_runs(tmp_path)).set_index("variant")
        table = table.loc[["full", "full-in-batch", "full-dense"]]
        assert table["highest"].tolist() == pytest.approx([0.05, 0.05, 0.4])
        assert table["state"].tolist() == ["solved", "solved", "at work"]
        assert table.loc["full", "share"] == pytest.approx(0.1)

    def test_a_supervisor_without_gradient_is_idle_also_where_there_is_no_log_n(self, tmp_path):
        for variant, share in (("full-simsiam", 0.001), ("full-vicreg", 0.2)):
            how = {"alignment": variant.removeprefix("full-"), "supervisors": list(RICH_TWO)}
            shares = {"au_source": 1 - share, "rich_source": share}
            write_run(tmp_path, variant, 0, {"AU01": 0.5}, shares=shares, **how)
        write_run(tmp_path, "adld", 0, {"AU01": 0.5}, "adld")
        table = comparisons.idleness(summarise_runs(tmp_path)).set_index("variant")
        assert table["state"].to_dict() == {"full-simsiam": "idle", "full-vicreg": "at work"}
        assert table["highest"].isna().all()
