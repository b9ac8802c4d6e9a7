"""The generated blocks of README and docs, from small measurements."""

import re
from pathlib import Path

import pytest
import typer

from aubench.cli.main import app
from aubench.report import readme
from aubench.report.summaries import summarise_runs
from fabricated import write_run, write_small_study

ROOT = Path(__file__).resolve().parent.parent


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def test_results_have_mean_range_share_of_the_shift_and_differences(tmp_path):
    means = {"landmarks-only": 0.5, "source-only": 0.5, "multitask": 0.6, "dann": 0.65, "adld": 0.6}
    means |= {"full": 0.55, "oracle": 0.75}
    for seed in (0, 1, 2):
        for method, mean in means.items():
            f1 = mean + 0.01 * seed * (1 if method == "full" else -1)
            if (method, seed) != ("oracle", 2):  # a seed that one row lacks counts for none
                write_run(tmp_path, method, seed, {"AU01": f1}, method, metrics={"target.mean.f1": f1})
    lines = readme.results_table(summarise_runs(tmp_path)).splitlines()
    assert cells(lines[0])[1] == "F1-frame"
    rows = {cells(line)[0]: cells(line) for line in lines[2:12]}
    assert rows["full"][1] == "55.5 [55.0, 56.0]" and rows["adld"][1] == "59.5 [59.0, 60.0]"
    assert {name: rows[name][-1] for name in means} == {
        "landmarks-only": "0%", "source-only": "0%", "multitask": "40%", "dann": "60%", "adld": "40%",
        "full": "24%", "oracle": "100%",
    }  # fmt: skip
    assert rows["full minus adld"][1].startswith("-4.0 [") and "full minus multitask" in rows
    assert "mean of 2 seeds" in lines[-1]


def test_the_package_s_detector_on_rendered_faces_is_a_row_per_au():
    scores = {f"per_au.AU12.{name}": value for name, value in (("f1", 0.8), ("auc", 0.9), ("icc", 0.7))}
    scores |= {key.replace("AU12", "AU04"): value / 2 for key, value in scores.items()}
    scores |= {"errors.all": 0.1, "errors.expected": 0.2, "errors.surest": 0.05, "errors.surest_faces": 0.08}
    lines = readme.rendered_table(scores, ("AU04",)).splitlines()
    assert [cells(line) for line in lines[2:4]] == [
        ["AU04", "no", "40.0", "45.0", "35.0"], ["AU12", "yes", "80.0", "90.0", "70.0"],
    ]  # fmt: skip
    assert "10.0% are wrong, 20.0% expected" in lines[-1] and "calls 5.0%, of the faces 8.0%" in lines[-1]


def test_sides_are_a_row_per_au_and_domain():
    found = {"faces": 9, "r": 0.944, "error": 0.5, "error_of_none": 1.2, "clear": 4, "right_side": 0.75}
    lines = readme.sides_table({"domains": {"wild": {"AU12": found | {"where_alike": 0.3}}}}).splitlines()
    assert [cells(line) for line in lines[2:-2]] == [
        ["AU12", "wild", "9", "0.94", "0.50 (1.20)", "75% of 4", "0.30"],
    ]


def test_landmark_errors_are_a_row_per_variant(tmp_path):
    for seed, nme in ((0, 0.04), (1, 0.03)):
        for name, steps in (("full", 10), ("longer", 20)):
            error = {"target.landmarks.nme": nme * 10 / steps}
            write_run(tmp_path, name, seed, {"AU12": 0.5 + 0.1 * seed}, metrics=error, steps=steps)
    lines = readme.landmark_error_table(summarise_runs(tmp_path)).splitlines()
    assert [cells(line) for line in lines[2:4]] == [
        ["full", "10", "3.5", "4.0, 3.0", "55.0"], ["longer", "20", "1.8", "2.0, 1.5", "55.0"],
    ]  # fmt: skip


def test_each_factor_of_the_shift_is_compared_with_the_studio_face():
    f1 = {"full": {"none": [0.8, 0.6], "pose": [0.5, 0.7], "all": [0.25, 0.25]}}
    lines = readme.factors_table({"f1": f1, "factors": {"pose": "head turned"}, "faces": 9}).splitlines()
    assert [cells(line) for line in lines[2:5]] == [
        ["nothing", "70.0"],
        ["head turned", "60.0 (-10.0)"],
        ["all of these", "25.0 (-45.0)"],
    ]


def test_evidence_inside_its_region_is_compared_with_chance():
    mean = {"inside": 0.4, "area": 0.1, "best": 0.8}
    maps = {"evidence": {"mean": mean, "aus_above_chance": 1, "per_au": {"AU01": {}, "AU12": {}}}}
    block = readme.insides_block({"full": maps}, {"browser": {"wall_ms": {"median": 96.3}}})
    assert cells(block.splitlines()[2]) == ["`full`", "40%", "10%", "80%", "1 of 2"] and " 96 ms" in block


def test_more_steps_are_a_row_each():
    lines = readme.steps_table({"oracle": {"16": {"0": 0.5, "1": 0.7}, "32": {"0": 0.8}}}).splitlines()
    assert [cells(line) for line in lines[2:]] == [
        ["oracle", "16", "60.0 [50.0, 70.0]"],
        ["oracle", "32", "80.0 [80.0, 80.0]"],
    ]


def test_a_conversion_is_a_row_per_number_of_frames():
    run = {"frames": 15000, "seconds": 19.6, "peak_mb": 218.7, "peak_mb_with_workers": 413.8}
    lines = readme.conversion_table({"cores": 3, "runs": [run]}).splitlines()
    assert cells(lines[2]) == ["15,000", "20", "219", "414"]


def test_the_study_is_a_line_without_the_four_and_one_without_any(tmp_path):
    study = write_small_study(tmp_path / "small")
    for seed in (0, 1):
        write_run(study, "separation", seed, {"AU01": 0.5 + 0.01 * seed}, "separation")
    lines = readme.study_list(summarise_runs(study)).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "- `full` minus `contrastive`",
        "- `full` minus `separation`",
    ]


def test_real_faces_are_a_row_per_method_and_target():
    def row(name, method, seed, value, target="synthetic:wild", source="synthetic:studio"):
        keys = ("au12_auc", "au12_rises", "au12_found", "false_alarm", "gap", "auc", "own")
        trained = {"method": method, "seed": seed, "target": target, "source": source}
        return {"set": name} | trained | dict.fromkeys(keys, value)

    rows = [row("london", "full", 0, 0.9, "press"), row("london", "full", 1, 0.8, "press")]
    rows += [row("london", "source-only", 0, 0.5), row("london", "source-only", 1, 0.7)]
    rows += [row("press", "source-only", 0, 0.6)]
    lines = readme.real_faces_table(rows).splitlines()
    assert cells(lines[0])[:3] == ["method", "unlabelled target", "london: AU12, AUC"]
    assert cells(lines[2])[:3] == ["source-only", "–", "60.0 [50.0, 70.0]"]
    assert cells(lines[2])[-1] == "60.0 [60.0, 60.0]"
    assert cells(lines[3])[:3] == ["full", "press", "85.0 [80.0, 90.0]"] and "2 seeds" in lines[-1]
    rows = [row("london", "full", seed, 0.5, source=f"synthetic:{name}") for seed in (0, 1) for name in "ab"]
    lines = readme.real_faces_table(rows).splitlines()
    assert cells(lines[0])[:2] == ["labelled source", "london: AU12, AUC"]
    assert [cells(line)[0] for line in lines[2:4]] == ["rendered, a", "rendered, b"]
    rows = [row("press", "full", seed, 0.5) | {"encoder": name} for seed in (0, 1) for name in ("own", "net")]
    lines = readme.real_faces_table(rows).splitlines()
    assert [cells(line)[0] for line in (lines[0], *lines[2:4])] == ["encoder", "own", "net"]


def test_differences_on_real_faces_are_paired_by_seed_and_by_what_they_adapted_to():
    keys = ("au12_auc", "au12_rises", "au12_found", "false_alarm", "gap", "auc", "own")
    rows = [
        {"set": name, "method": method, "seed": seed, "target": target} | dict.fromkeys(keys, value)
        for name in ("london", "press")
        for method, target, *values in (
            ("full", "synthetic:wild", 0.5, 0.7, 0.9),
            ("multitask", "synthetic:wild", 0.4, 0.6, 0.8),
            ("full", "press", 0.1, 0.1, 0.1),
            ("multitask", "press", 0.2, 0.2, 0.2),
        )
        for seed, value in enumerate(values)
    ]
    lines = readme.real_differences(rows).splitlines()
    wild, press = (["`full` minus `multitask`", target] for target in ("rendered, wild", "press"))
    assert cells(lines[2])[:3] == [*wild, "+10.0 [+10.0, +10.0]"]
    assert cells(lines[3])[:3] == [*press, "-10.0 [-10.0, -10.0]"] and lines[4] == ""


def test_a_design_shows_the_mean_of_its_seeds():
    measures = ["validation_f1", "insides.reconstruction.self", "insides.reconstruction.second"]
    measures += ["insides.moves.shape", "insides.moves.texture"]
    measures += [f"insides.au_probe.{name}.source" for name in ("rich", "texture")]
    probes = (
        "insides.landmark_probe.rich",
        "insides.landmark_probe.texture",
        "insides.landmark_probe.mean_face",
    )
    measures += [
        f"{probe}.{d}" for probe in (*probes, "reader.rich", "reader.texture") for d in ("source", "target")
    ]
    low, high = dict.fromkeys(measures, 0.25), dict.fromkeys(measures, 0.75)
    line = readme.separation_table({"one": {"100": low, "101": high}, "two": {"100": low}}).splitlines()
    assert cells(line[2])[:4] == ["one", "2", "50.0", "0.50"]
    assert cells(line[3])[-2:] == ["25.0 / 25.0 (25.0 / 25.0)", "0.25 (0.25)"]


def test_readme_has_at_most_thirty_generated_lines():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- ([\w-]+):begin -->\n(.*?)\n<!-- \1:end -->", text, re.S)
    assert len(blocks) == text.count(":begin -->") > 0
    assert sum(len(block.splitlines()) for _, block in blocks) <= 30


def test_a_page_without_its_markers_is_an_error():
    with pytest.raises(ValueError, match="found 0 and 0"):
        readme.with_block("# aulib", "results", "table")


def test_every_command_and_target_named_in_readme_exists():
    text, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    commands = set(re.findall(r"`aulib ([a-z-]+)", text))
    assert len(commands) > 10 and commands <= typer.main.get_command(app).commands.keys()
    targets = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.M))
    assert len(targets) > 3 and targets <= set(re.findall(r"^([a-z-]+):", makefile, re.M))
