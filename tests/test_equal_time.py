"""Equal steps and equal time are told apart, and a study of the one becomes a study of the other."""

import pytest
import yaml

from aubench.report import equal_time
from aubench.report.summaries import summarise_runs, write_summary
from fabricated import write_run


@pytest.fixture
def summary(tmp_path):
    """One seed each of 400 steps at 0.05, 0.2 and 0.4 s."""
    for variant, cost in (("adld", 0.2), ("full", 0.4), ("source-only", 0.05)):
        write_run(tmp_path / "s", variant, 0, {"AU01": 0.5}, variant, None, cost)
    return summarise_runs(tmp_path / "s")


def test_a_dearer_step_buys_fewer_steps(summary):
    assert equal_time.steps_at_equal_time(summary, "adld") == {"source-only": 1600, "adld": 400, "full": 200}


def test_a_run_that_met_a_busy_machine_does_not_count(tmp_path):
    for seed, cost in enumerate((0.2, 0.9, 0.7)):
        write_run(tmp_path, "adld", seed, {"AU01": 0.5}, "adld", None, cost)
    write_run(tmp_path, "full", 0, {"AU01": 0.5}, "full", None, 0.4)
    assert equal_time.steps_at_equal_time(summarise_runs(tmp_path), "adld") == {"adld": 400, "full": 200}


def test_a_bound_keeps_the_steps_it_needs(tmp_path):
    write_run(tmp_path, "adld", 0, {"AU01": 0.5}, "adld", None, 0.2, steps=400)
    write_run(tmp_path, "oracle", 0, {"AU01": 0.5}, "oracle", None, 0.1, steps=1600)
    steps = equal_time.steps_at_equal_time(summarise_runs(tmp_path), "adld")
    assert steps == {"adld": 400, "oracle": 1600}


def test_an_unknown_reference_is_an_error(summary):
    with pytest.raises(ValueError, match="no cost of a step for \\['dann'\\]"):
        equal_time.steps_at_equal_time(summary, "dann")


@pytest.mark.parametrize(
    ("steps", "cost", "expected"),
    [(400, 0.3, "equal steps"), (200, 0.2, "equal time"), (200, 0.3, "unequal steps and time")],
)
def test_footing_is_what_was_run(tmp_path, steps, cost, expected):
    write_run(tmp_path, "adld", 0, {"AU01": 0.5}, "adld", None, 0.1, steps=400)
    write_run(tmp_path, "full", 0, {"AU01": 0.5}, "full", None, cost, steps=steps)
    assert equal_time.footing(summarise_runs(tmp_path), {"adld", "full"}) == expected


class TestFinding:
    def test_the_second_study_is_looked_for_beside_the_first(self, tmp_path, monkeypatch):
        write_run(tmp_path / "results" / "a", "full", 0, {"AU01": 0.5})
        write_run(tmp_path / "other" / "a", "full", 0, {"AU01": 0.5})
        monkeypatch.chdir(tmp_path)
        assert equal_time.find_equal_time("a") is None
        write_summary(summarise_runs("results/a"), tmp_path / "results" / "a_equal_time.json")
        for study in ("a", "experiments/a.yml", "results/a"):
            assert equal_time.find_equal_time(study).variants == ["full"]
        assert equal_time.find_equal_time("other/a") is None

    def test_what_is_said_must_be_there(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match="no results of study 'b'"):
            equal_time.find_equal_time("a", "b")


class TestPlan:
    PLAN = {
        "question": "why?", "notebook": "02_train", "fixed": {"steps": 400, "preset": "fast"},
        "variants": {"full": {"method": "full"}, "adld": {"method": "adld"}}, "seeds": [0, 1],
    }  # fmt: skip

    def test_differs_in_steps_alone(self, summary, tmp_path):
        (tmp_path / "first.yml").write_text(yaml.safe_dump(self.PLAN))
        second = yaml.safe_load(equal_time.equal_time_plan(tmp_path / "first.yml", summary, "adld"))
        assert second["variants"] == {
            "full": {"method": "full", "steps": 200}, "adld": {"method": "adld", "steps": 400},
        }  # fmt: skip
        assert second["fixed"] == {"preset": "fast"} and "seconds of adld" in second["question"]
        assert second["seeds"] == [0, 1] and second["notebook"] == "02_train"

    def test_leaves_out_what_was_not_run_yet(self, summary, tmp_path):
        plan = self.PLAN | {"variants": self.PLAN["variants"] | {"dann": {"method": "dann"}}}
        (tmp_path / "first.yml").write_text(yaml.safe_dump(plan))
        second = yaml.safe_load(equal_time.equal_time_plan(tmp_path / "first.yml", summary, "adld"))
        assert set(second["variants"]) == {"full", "adld"}

    def test_of_variants_that_were_not_run_is_refused(self, summary, tmp_path):
        plan = self.PLAN | {"variants": {"dann": {"method": "dann"}}}
        (tmp_path / "first.yml").write_text(yaml.safe_dump(plan))
        with pytest.raises(ValueError, match=r"first\.yml: \['dann'\], expected variants among"):
            equal_time.equal_time_plan(tmp_path / "first.yml", summary, "adld")
