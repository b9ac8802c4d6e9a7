"""METHODS and PRESETS: every method can be computed, and only the oracle sees target labels."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from aulib.methods import METHODS, PRESETS, Preset
from aulib.objective import ROUND_TERMS, can_compute, check_weights, swaps_back
from aulib.run_config import RunConfig, chosen_method, what_counts
from aulib.supervisors import ALL_SIX, RICH_TWO, SUPERVISORS


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_weighs_known_terms_that_it_can_compute_and_learns_aus_from_labels(self, name):
        method = METHODS[name]
        check_weights(method.weights)
        assert all(can_compute(term, method) and weight > 0 for term, weight in method.weights.items())
        assert ("au_source" in method.weights) != method.au_from_landmarks  # its head is fitted beforehand

    def test_only_the_oracle_learns_from_target_labels(self, name):
        method = METHODS[name]
        assert method.labels_from_target == (name == "oracle")
        assert not (method.labels_from_target and method.uses_target)

    def test_separates_exactly_if_it_has_terms_of_the_two_rounds(self, name):
        method = METHODS[name]
        assert method.separates == bool(method.weights.keys() & ROUND_TERMS.keys())

    def test_swaps_back_only_for_a_cycle_or_a_supervisor(self, name):
        weights = METHODS[name].weights
        assert swaps_back(weights) == bool(weights.keys() & {"cycle", *ALL_SIX})
        assert not swaps_back(dict.fromkeys(weights, 0.0))

    def test_a_teacher_needs_target_faces_without_labels(self, name):
        method = METHODS[name]
        assert method.teaches == (name.endswith("mean-teacher")) and (
            method.uses_target or not method.teaches
        )


class TestLadder:
    def test_each_separating_rung_adds_one_thing(self):
        terms = {name: set(METHODS[name].weights) for name in METHODS}
        assert terms["multitask"] - terms["source-only"] == {"landmarks_source", "landmarks_target"}
        assert terms["adld"] - terms["separation"] == {"cycle"}
        assert terms["contrastive"] - terms["separation"] == set(RICH_TWO)
        assert terms["full"] - terms["contrastive"] == set(ALL_SIX) - set(RICH_TWO)
        assert terms["dann"] - terms["multitask"] == {"domain"}
        assert terms["oracle"] == terms["source-only"]
        assert terms["mean-teacher"] - terms["multitask"] == {"au_teacher"}
        assert terms["full-mean-teacher"] - terms["full"] == {"au_teacher"}
        for more, less in (("adld", "separation"), ("contrastive", "separation"), ("full", "contrastive")):
            shared = METHODS[less].weights
            assert {key: METHODS[more].weights[key] for key in shared} == shared

    def test_oracle_and_source_only_differ_in_nothing_but_the_labels(self):
        source_only, oracle = METHODS["source-only"], METHODS["oracle"]
        different = {
            field.name
            for field in fields(oracle)
            if getattr(oracle, field.name) != getattr(source_only, field.name)
        }
        assert different == {"summary", "labels_from_target"}


@pytest.mark.slow
def test_a_seventh_supervisor_changes_no_method_and_passes_the_tests(tmp_path):
    (tmp_path / "seventh.py").write_text(
        "from aulib.supervisors import SUPERVISORS, Supervisor\n"
        'SUPERVISORS["seventh"] = Supervisor("self_s", "rich2_s", "rich", ("swapped_t", "swapped_s"))\n'
    )
    root = Path(__file__).parents[2]
    files = [
        "tests/test_aulib/test_contrastive.py", "tests/test_aulib/test_methods.py",
        "tests/test_aulib/test_objective.py", "tests/test_aulib/test_linear_probes.py",
        "tests/test_aubench/test_plots_study.py", "tests/test_aubench/test_statistics.py",
        "tests/test_aubench/test_swaps.py", "tests/test_course/test_lesson_6.py",
        "tests/test_course/test_lesson_7.py",
    ]  # fmt: skip
    paths = [str(tmp_path), str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "seventh", *files],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


class TestOtherSupervisors:
    def test_replace_the_method_s_own_and_leave_the_other_terms(self):
        method = METHODS["full"].with_supervisors(["shape_source"], 0.7)
        own = {term: weight for term, weight in METHODS["full"].weights.items() if term not in SUPERVISORS}
        assert method.weights == own | {"shape_source": 0.7}
        assert method.supervisors == ("shape_source",)
        assert METHODS["full"].supervisors == ALL_SIX  # the table stays as it was

    def test_unknown_ones_are_refused_by_name(self):
        with pytest.raises(ValueError, match=r"\['shape_sorce'\].*shape_source"):
            METHODS["full"].with_supervisors(["shape_sorce"], 1.0)

    def test_a_method_without_two_rounds_has_nothing_to_align(self):
        with pytest.raises(ValueError, match="has none"):
            METHODS["source-only"].with_supervisors(["shape_source"], 1.0)


def config(**settings) -> RunConfig:
    return RunConfig.of("synthetic:studio", "synthetic:wild", **settings)


def same(one: dict, other: dict) -> bool:
    return what_counts(config(**one).resolved) == what_counts(config(**other).resolved)


class TestSeparation:
    def test_is_the_preset_s_unless_it_is_given(self):
        assert config().resolved_preset.separation == PRESETS["fast"].separation == "erasure"
        assert config(preset="paper").resolved_preset.separation == "adversary"
        assert config(separation="adversary").resolved["preset_values"]["separation"] == "adversary"
        assert same({}, {"separation": "erasure"}) and not same({}, {"separation": "adversary"})

    def test_erasure_has_no_adversary_to_fool(self):
        assert "texture_flatness" not in config().resolved_method.weights
        assert "texture_flatness" in config(separation="adversary").resolved_method.weights
        with pytest.raises(ValueError, match="texture_flatness needs separation 'adversary'"):
            config(weights={"texture_flatness": 0.3})

    def test_an_unknown_one_is_refused_with_the_choice(self):
        with pytest.raises(ValueError, match="'cut'; choose adversary or erasure"):
            config(separation="cut")


class TestChosenMethod:
    def test_none_is_the_method_s_own_and_empty_is_none(self):
        assert chosen_method("full", None, None) == METHODS["full"]
        assert chosen_method("full", [], None).weights == METHODS["separation"].weights
        assert chosen_method("source-only", [], None) == METHODS["source-only"]

    def test_given_weights_replace_the_method_s_own(self):
        method = chosen_method("full", ["rich_source"], {"rich_source": 3.0, "au_self": 0.0, "cycle": 1.0})
        own = {term: weight for term, weight in METHODS["separation"].weights.items() if term != "au_self"}
        assert method.weights == own | {"rich_source": 3.0, "cycle": 1.0}

    def test_a_weight_makes_a_supervisor_and_a_weight_of_0_switches_it_off(self):
        added = chosen_method("separation", None, {"shape_source": 0.5})
        assert added.supervisors == ("shape_source",)
        assert chosen_method("contrastive", None, {"rich_source": 0.0}).supervisors == ("rich_target",)

    @pytest.mark.parametrize(
        ("supervisors", "weights", "words"),
        [
            (None, {}, "nothing to train; leave them out"),
            (None, {"au_source": 0.0}, "nothing to train"),
            (None, {"au_source": -1.0}, "-1.0.*expected 0"),
            ([], {"rich_source": 0.3}, r"\['rich_source'\], which supervisors \[\] leaves out"),
            (["rich_source", "rich_source"], None, "name one twice"),
        ],
    )
    def test_what_would_be_read_in_two_ways_is_refused(self, supervisors, weights, words):
        method = "full" if supervisors is not None else "source-only"
        with pytest.raises(ValueError, match=words):
            chosen_method(method, supervisors, weights)

    def test_unknown_method_and_unknown_term_are_refused_by_name(self):
        with pytest.raises(ValueError, match="'ful'.*full"):
            chosen_method("ful", None, None)
        with pytest.raises(KeyError, match="cycel"):
            chosen_method("adld", None, {"cycel": 1.0})

    @pytest.mark.parametrize(
        ("method", "term"),
        [
            ("multitask", "cycle"),
            ("source-only", "landmarks_target"),
            ("full", "domain"),
            ("dann", "rich_source"),
        ],
    )
    def test_a_term_the_method_cannot_compute_is_refused_and_not_dropped(self, method, term):
        with pytest.raises(ValueError, match=rf"'{method}'.*{term}"):
            chosen_method(method, None, {term: 1.0})
        assert term not in chosen_method(method, None, {term: 0.0}).weights  # switched off is no error


@pytest.mark.parametrize("temperature", [0, -0.1])
def test_a_temperature_divides_and_so_is_above_zero(temperature):
    with pytest.raises(ValueError, match=f"temperature {temperature}: expected a number above 0"):
        config(temperature=temperature)


def test_a_teacher_needs_the_average_of_the_weights():
    with pytest.raises(ValueError, match="au_teacher needs an average.*'paper'"):
        config(method="mean-teacher", preset="paper")
    assert config(method="mean-teacher", preset="paper", average=0.9).resolved_preset.average == 0.9


class TestResolved:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"supervisors": []}, {"method": "separation"}),
            ({"supervisors": ["rich_target", "rich_source"]}, {"method": "contrastive"}),
            ({"supervisors": None, "weights": None}, {"method": "full"}),
            ({"weights": {"cycle": 0.0}}, {}),
            ({"weights": {"shape_source": 0.2}}, {}),
            (
                {"method": "separation", "weights": {"cycle": 10.0}, "separation": "adversary"},
                {"method": "adld"},
            ),
            ({"method": "adld", "separation": "adversary"}, {"method": "adld"}),
            (
                {"method": "separation", "weights": {"cycle": 10.0}},
                {"method": "adld", "separation": "erasure"},
            ),
            ({"method": "adld", "alignment": "dense"}, {"method": "adld"}),
            ({"method": "dann", "negatives": "queue", "temperature": 1.0}, {"method": "dann"}),
            ({"alignment": "l1", "temperature": 1.0}, {"alignment": "l1"}),
            ({"method": "oracle", "share_extraction": False}, {"method": "oracle"}),
            ({"method": "multitask", "ramp": 0.3}, {"method": "multitask"}),
            ({"method": "mean-teacher", "generator_rate": 0.3}, {"method": "mean-teacher"}),
            ({"alignment": "simsiam", "negatives": "batch"}, {"alignment": "simsiam"}),
            ({"steps": 0, "batch_size": 0}, {"steps": 800, "batch_size": 16}),
            ({"preset": "fast", "channels": 32}, {}),
        ],
    )
    def test_other_words_for_the_same_training_are_the_same(self, one, other):
        assert same(one, other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"method": "oracle"}, {"method": "source-only"}),  # equal weights, other labels
            ({"alignment": "dense"}, {}),
            ({"negatives": "batch"}, {}),
            ({"share_extraction": False}, {}),
            ({"ramp": 0.3}, {}),
            ({"method": "mean-teacher", "ramp": 0.3}, {"method": "mean-teacher"}),
            ({"alignment": "vicreg"}, {"alignment": "simsiam"}),
            ({"seed": 1}, {}),
            ({"steps": 799}, {}),
            ({"weights": {"shape_source": 0.3}}, {}),
            ({"preset": "paper"}, {}),
            ({"precision": "32-true"}, {}),
        ],
    )
    def test_another_training_is_another(self, one, other):
        assert not same(one, other)

    @pytest.mark.parametrize("name", METHODS)
    def test_no_two_methods_are_the_same(self, name):
        others = METHODS.keys() - {name}
        assert not any(same({"method": name}, {"method": other}) for other in others)

    def test_settings_of_an_earlier_version_are_compared_by_what_they_have(self):
        kept = ("method", "seed", "steps", "weights")
        old = [
            {name: config(method=one).resolved[name] for name in kept} for one in ("oracle", "source-only")
        ]
        assert what_counts(old[0]) != what_counts(old[1])
        zero = old[1] | {"weights": old[1]["weights"] | {"cycle": 0.0}}
        assert what_counts(zero) == what_counts(old[1])


class TestPresets:
    def test_paper_has_adld_s_published_sizes_and_rates(self):
        paper = PRESETS["paper"]
        assert (paper.image_size, paper.margin_size, paper.channels, paper.num_landmarks) == (
            176,
            200,
            64,
            49,
        )
        assert (paper.task_rate, paper.generator_rate, paper.batch_size) == (1e-4, 5e-5, 16)
        assert (paper.task_betas, paper.generator_betas) == ((0.95, 0.999), (0.5, 0.9))
        assert paper.au_centres and paper.schedule == "linear" and paper.augment == "crop-flip"

    @pytest.mark.parametrize("name", PRESETS)
    def test_sizes_fit_together(self, name):
        preset = PRESETS[name]
        assert isinstance(preset, Preset)
        assert preset.image_size % 16 == 0  # four times four: the encoder's stride and its two halvings
        assert preset.margin_size >= preset.image_size and (preset.margin_size - preset.image_size) % 2 == 0
        assert 0 <= preset.separation_starts < 1 and 0 <= preset.average < 1
