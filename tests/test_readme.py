"""The generated tables of README and docs, each from a small results file."""

import json

import pytest

from aubench.report import readme
from aubench.report.summaries import summarise_runs, write_summary
from fabricated import write_run, write_small_study


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


@pytest.fixture
def results(tmp_path):
    """Writes a results file and returns its path."""

    def write(content: dict):
        file = tmp_path / "results.json"
        file.write_text(json.dumps(content))
        return file

    return write


class TestResults:
    def test_shows_mean_and_range_times_100(self, results):
        f1 = {"mean": 0.5, "low": 0.4567, "high": 0.55, "seeds": [0.4567, 0.5, 0.55]}
        lines = readme.results_block(results({"methods": {"full": {"f1": f1}, "dann": {}}})).splitlines()
        assert cells(lines[0]) == ["method", "F1-frame"]
        assert cells(lines[2]) == ["full", "50.0 [45.7, 55.0]"] and cells(lines[3]) == ["dann", "–"]
        assert "3 seeds" in lines[-1]

    def test_shows_how_much_of_the_shift_a_method_wins_back_and_full_minus_adld_by_seed(self, results):
        means = {"source-only": 0.5, "adld": 0.6, "full": 0.55, "oracle": 0.75}
        scores = {name: {"f1": {"mean": x, "low": x, "high": x, "seeds": [x]}} for name, x in means.items()}
        lines = readme.results_block(results({"methods": scores})).splitlines()
        shares = {cells(line)[0]: cells(line)[-1] for line in lines[2:6]}
        assert shares == {"source-only": "0%", "adld": "40%", "full": "20%", "oracle": "100%"}
        assert cells(lines[6])[:2] == ["full minus adld, by seed", "-5.0"]
        del scores["oracle"]
        assert "shift" not in readme.results_block(results({"methods": scores}))


def test_each_factor_of_the_shift_is_compared_with_the_studio_face(results):
    f1 = {"full": {"none": [0.8, 0.6], "pose": [0.5, 0.7], "all": [0.25, 0.25]}}
    file = results({"f1": f1, "factors": {"pose": "head turned"}, "faces": 9})
    lines = readme.factors_block(file).splitlines()
    assert [cells(line) for line in lines[2:5]] == [
        ["nothing", "70.0"],
        ["head turned", "60.0 (-10.0)"],
        ["all of these", "25.0 (-45.0)"],
    ]
    assert "2 runs a method, 9 faces" in lines[-1]


def test_evidence_inside_its_region_is_compared_with_chance(results, tmp_path):
    mean = {"inside": 0.4, "area": 0.1, "best": 0.8}
    maps = {"evidence": {"mean": mean, "aus_above_chance": 1, "per_au": {"AU01": {}, "AU12": {}}}}
    latency = tmp_path / "latency.json"
    latency.write_text(json.dumps({"browser": {"wall_ms": {"median": 96.3}}}))
    lines = readme.insides_block(results({"inside": {"full": maps}}), latency).splitlines()
    assert cells(lines[2]) == ["`full`", "40%", "10%", "80%", "1 of 2"] and "96 ms" in lines[-1]


def test_more_steps_are_a_row_each(results):
    lines = readme.steps_block(results({"f1": {"oracle": {"16": {"0": 0.5, "1": 0.7}, "32": {"0": 0.8}}}}))
    assert [cells(line) for line in lines.splitlines()[2:]] == [
        ["oracle", "16", "60.0 [50.0, 70.0]"],
        ["oracle", "32", "80.0 [80.0, 80.0]"],
    ]


def test_weights_of_the_cycle_have_their_source_validation(results):
    scores = {"validation_f1": {"mean": [0.8, 0.7]}}
    one = {"settings": {"method": "adld"}, "seeds": [7, 8], "scores": scores, "curves": {}}
    lines = readme.cycle_block(results({"study": "cycle", "variants": {"cycle-2.5": one}})).splitlines()
    assert cells(lines[2]) == ["2.5", "75.0 (80.0, 70.0)"]


def test_a_conversion_is_a_row_per_number_of_frames(results):
    run = {"frames": 15000, "seconds": 19.6, "peak_mb": 218.7, "peak_mb_with_workers": 413.8}
    lines = readme.conversion_block(results({"cores": 3, "runs": [run]})).splitlines()
    assert cells(lines[2]) == ["15,000", "20", "219", "414"] and lines[-1].startswith("3 cores")


class TestStudy:
    def test_readme_has_the_verdicts_in_at_most_fifteen_lines(self, tmp_path):
        write_summary(summarise_runs(write_small_study(tmp_path / "small")), tmp_path / "small.json")
        lines = readme.study_block(tmp_path / "small.json", tmp_path / "none.json").splitlines()
        assert cells(lines[2])[:2] == ["`full` minus `contrastive`", "F1"] and len(lines) <= 15
        assert any(cells(line)[0] == "with minus without `shape_source`" for line in lines)

    def test_the_page_has_every_section_that_the_summaries_allow(self, tmp_path):
        write_summary(summarise_runs(write_small_study(tmp_path / "small")), tmp_path / "small.json")
        none = [tmp_path / "none.json"] * 3
        page = readme.supervisors_page(tmp_path / "small.json", *none)
        assert "| contrastive+shape_source |" in page and "equal time" not in page.split("## All")[1]
        for variant, steps, cost in (("dann", 480, 0.10), ("full", 400, 0.12), ("contrastive", 400, 0.12)):
            for seed, f1 in enumerate((0.50, 0.52, 0.55)):
                write_run(tmp_path / "time", variant, seed, {"AU01": f1}, variant, None, cost, steps=steps)
        write_summary(summarise_runs(tmp_path / "time"), tmp_path / "time.json")
        page = readme.supervisors_page(tmp_path / "small.json", tmp_path / "time.json", *none[:2])
        at_equal_time = page.split("At equal time")[1].split("\n## ")[0]
        assert "`full` minus `dann`" in at_equal_time and "`contrastive`" not in at_equal_time

    def test_a_missing_file_is_answered_with_the_command_that_makes_it(self, tmp_path):
        missing = tmp_path / "none.json"
        assert "aulib study experiments/none.yml" in readme.study_block(missing, missing)
        assert readme.insides_block(missing, missing) == "Not measured yet."


def test_a_page_without_its_markers_is_an_error():
    with pytest.raises(ValueError, match="found 0 and 0"):
        readme.with_block("# aulib", "results", "table")
