"""Equal steps or equal time, and the second study that a first one becomes."""

import pytest
import yaml

from aubench.report import equal_time
from aubench.report.summaries import summarise_runs, write_summary
from fabricated import write_run


@pytest.fixture
def summary(tmp_path):
    """400 steps each of 0.05, 0.2 and 0.4 s; one of adld ran on a busy machine."""
    for variant, seed, cost in (
        ("source-only", 0, 0.05), ("adld", 0, 0.2), ("adld", 1, 0.9), ("full", 0, 0.4), ("oracle", 0, 5.0),
    ):  # fmt: skip
        write_run(tmp_path / "s", variant, seed, {"AU01": 0.5}, variant, None, cost)
    return summarise_runs(tmp_path / "s")


class TestSteps:
    def test_an_expensive_step_buys_fewer_steps_and_the_bound_keeps_its_own(self, summary):
        steps = {"source-only": 1600, "adld": 400, "full": 200, "oracle": 400}
        assert equal_time.steps_at_equal_time(summary, "adld") == steps

    def test_an_unknown_reference_is_an_error(self, summary):
        with pytest.raises(ValueError, match="dann"):
            equal_time.steps_at_equal_time(summary, "dann")


@pytest.mark.parametrize(
    ("steps", "cost", "expected"),
    [(400, 0.3, "equal steps"), (200, 0.2, "equal time"), (200, 0.3, "unequal steps and time")],
)
def test_comparison_terms(tmp_path, steps, cost, expected):
    write_run(tmp_path, "adld", 0, {"AU01": 0.5}, "adld", None, 0.1, steps=400)
    write_run(tmp_path, "full", 0, {"AU01": 0.5}, "full", None, cost, steps=steps)
    assert equal_time.comparison_terms(summarise_runs(tmp_path), {"adld", "full"}) == expected


class TestFinding:
    def test_the_second_study_is_next_to_the_first(self, tmp_path, monkeypatch):
        write_run(tmp_path / "results" / "a", "full", 0, {"AU01": 0.5})
        write_run(tmp_path / "other" / "a", "full", 0, {"AU01": 0.5})
        monkeypatch.chdir(tmp_path)
        assert equal_time.find_equal_time("a") is None
        write_summary(summarise_runs("results/a"), tmp_path / "results" / "a_equal_time.json")
        for study in ("a", "experiments/a.yml", "results/a"):
            assert equal_time.find_equal_time(study).variants == ["full"]
        assert equal_time.find_equal_time("other/a") is None

    def test_a_study_given_by_name_must_exist(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(FileNotFoundError, match="'b'"):
            equal_time.find_equal_time("a", "b")


class TestPlan:
    PLAN = {
        "question": "why?", "notebook": "02_train", "fixed": {"steps": 400, "preset": "fast"},
        "seeds": [0, 1],
    }  # fmt: skip

    def test_differs_in_steps_only_and_omits_variants_without_a_run(self, summary, tmp_path):
        variants = {name: {"method": name} for name in ("full", "adld", "dann")}
        (tmp_path / "first.yml").write_text(yaml.safe_dump(self.PLAN | {"variants": variants}))
        second = yaml.safe_load(equal_time.equal_time_plan(tmp_path / "first.yml", summary, "adld"))
        assert second["variants"] == {
            "full": {"method": "full", "steps": 200}, "adld": {"method": "adld", "steps": 400},
        }  # fmt: skip
        assert second["fixed"] == {"preset": "fast"} and second["seeds"] == [0, 1]

    def test_needs_a_variant_with_a_run(self, summary, tmp_path):
        (tmp_path / "first.yml").write_text(yaml.safe_dump(self.PLAN | {"variants": {"dann": {}}}))
        with pytest.raises(ValueError, match=r"first\.yml: .*\['dann'\]"):
            equal_time.equal_time_plan(tmp_path / "first.yml", summary, "adld")
