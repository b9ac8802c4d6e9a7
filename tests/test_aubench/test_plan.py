"""From a study file to its runs, and from run folders to their states."""

import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest

from aubench.study import plan, status
from aubench.study.notebook_runner import write_error
from aubench.study.plan import StudyError, expand, read_study
from aubench.study.resume import earlier_runs, metrics_of, states_of, why_failed
from aubench.study.run_lock import run_lock
from aubench.study.status import html_table, summary_of, watched_states
from aulib.files import write_json
from aulib.methods import PRESETS
from aulib.protocols import folds_of
from aulib.supervisors import ALL_SIX, RICH_TWO
from conftest import write_notebook, write_tiny_set

ROOT = Path(__file__).parents[2]
LADDER = ROOT / "experiments" / "supervisors.yml"
PARAMETERS = (
    'method: str = "full"  # method\nsteps: int = 2  # steps\nrate: float = 1.0  # rate\n'
    'seed: int = 0  # seed\nout_dir: str = "x"  # folder'
)
GOOD = """question: why?
notebook: n.ipynb
fixed: {steps: 5, rate: 1.0}
variants:
  plain: {method: adld}
  long: {method: adld, steps: 9}
seeds: [3, 1]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_notebook(tmp_path / "n.ipynb", PARAMETERS, "print(steps)")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "why.yml").write_text(text, encoding="latin-1")
    return folder / "why.yml"


def finish(run, **metrics) -> None:
    write_json(run.folder / "metrics.json", metrics)
    write_json(run.folder / "result.json", {"key": run.key})


def test_a_study_expands_to_variants_by_seeds_with_ids_folders_and_values(folder):
    runs = expand(read_study(written(folder, GOOD)))
    assert [(run.variant, run.seed) for run in runs] == [("plain", 3), ("plain", 1), ("long", 3), ("long", 1)]
    assert [run.index for run in runs] == [0, 1, 2, 3]
    assert runs[0].parameters == {"steps": 5, "rate": 1.0, "method": "adld", "seed": 3}
    assert runs[2].parameters["steps"] == 9  # a variant has the last word
    assert runs[0].id == f"plain-seed3-{runs[0].key[:8]}" and len({run.id for run in runs}) == 4
    assert runs[0].folder == Path("results/why") / runs[0].id
    only = expand(read_study(folder / "why.yml"), "elsewhere", ["long"])
    assert [(run.index, run.folder) for run in only] == [(i, Path("elsewhere", runs[i].id)) for i in (2, 3)]


def test_a_grid_is_every_combination_named_after_its_values(folder):
    grid = "grid:\n  method: [adld, full]\n  steps: [2, 7]\n"
    text = GOOD.replace(GOOD[GOOD.index("variants") : GOOD.index("seeds")], grid)
    study = read_study(written(folder, text))
    assert list(study.variants) == ["adld-steps2", "adld-steps7", "full-steps2", "full-steps7"]
    assert study.variants["full-steps2"] == {"method": "full", "steps": 2}
    assert len(expand(study)) == 8


def test_none_and_empty_values_have_words_in_the_names_of_a_grid():
    names = list(plan._combinations({"supervisors": [None, [], ["shape_source"]], "steps": [0]}))
    assert names == ["supervisors-own-steps0", "supervisors-none-steps0", "supervisors_shape_source-steps0"]


def test_an_id_follows_values_and_code_and_nothing_else(folder):
    study = written(folder, GOOD)
    before = [run.id for run in expand(read_study(study))]
    written(folder, GOOD.replace("why?", "why not?").replace("rate: 1.0", "rate: 1"))
    write_notebook(folder / "n.ipynb", PARAMETERS.replace("steps: int = 2", "steps: int = 3"), "print(steps)")
    assert [run.id for run in expand(read_study(study), "elsewhere")] == before
    written(folder, GOOD.replace("steps: 5", "steps: 6"))
    changed = [run.id for run in expand(read_study(study))]
    assert changed[0] != before[0] and changed[2:] == before[2:]  # `long` has its own steps
    written(folder, GOOD)
    write_notebook(folder / "n.ipynb", PARAMETERS, "print(2 * steps)")
    assert not set(before) & {run.id for run in expand(read_study(study))}


@pytest.mark.parametrize(
    "old, new, named",
    [
        ("seeds: [3, 1]", "seed: [3, 1]", ["'seed'", "'seeds'"]),
        ("seeds: [3, 1]", "seeds: 3", ["seeds", "3"]),
        ("seeds: [3, 1]", "seeds: [3, 3]", ["'plain' with seed 3 is given twice"]),
        ("seeds: [3, 1]", "seeds: [3, -1]", ["seeds: 1", "-1"]),
        ("n.ipynb", "''", ["notebook", "at least 1 character"]),
        ("{method: adld}", "{method: 'synthetic:nowhere'}", ["'plain'", "unknown domain 'nowhere'"]),
        ("  long:", f"  {'x' * 151}:", ["more than 150 bytes"]),
        ("  long:", '  "x' + 75 * "\\u00e9" + '":', ["more than 150 bytes"]),
        ("seeds: [3, 1]", "seeds: ['3']", ["seeds: 0", "'3'"]),
        ("seeds: [3, 1]", "seeds: [3, 1", ["YAML", "line 8"]),
        ("question: why?\n", "", ["'question'"]),
        ("fixed: {steps: 5, rate: 1.0}", "fixed: [steps]", ["fixed", "['steps']"]),
        ("  long:", "  a/b:", ["variants: 'a/b' is no name, expected letters"]),
        ("rate: 1.0", "rate: 1,0", ["fixed: the key 0 is no name", "write 0.1"]),
        ("{steps: 5", "{stepz: 5", ["n.ipynb", "'stepz'", "'method'"]),
        (", rate: 1.0", "", ["'plain'", "['rate']", "n.ipynb", "under `fixed`", '{"rate": 1.0}']),
        ("{method: adld}", "{mehtod: adld}", ["'plain'", "n.ipynb", "'mehtod'"]),
        ("{method: adld}", "adld", ["variants: plain", "'adld'"]),
        ("{method: adld}", "{method: adld, seed: 1}", ["'plain'", "'seed'"]),
        ("steps: 9", "steps: 5", ["'plain' and 'long' resolve to the same run", "steps: 5", "take one out"]),
        ("steps: 9", "steps: nine", ["'long'", "steps", "int", "'nine'"]),
        ("steps: 9", "steps: 1_000", ["'long'", "steps", "int", "'1_000'"]),
        ("steps: 9", "steps: 1e3", ["'long'", "steps", "int", "1000.0 of type float"]),
        ("steps: 9", "steps: yes", ["'long'", "steps", "int", "'yes'"]),
        ("{method: adld}", "{method: 0100}", ["'plain'", "method", "in quotes", "100 of type int"]),
        ("  long:", "\tlong:", ["line 6", "indent with spaces"]),
        ("why?", "f\xfcr?", ["line 1 is not UTF-8"]),
        ("  long:", "  plain:", ["'plain'", "line 6"]),
        ("steps: 5", "steps: 5, steps: 6", ["'steps'", "line 3"]),
        ("  long:", "  a/b:", ["variants", "'a/b'"]),
        ("n.ipynb", "absent", ["notebook", "'absent'"]),
        ("variants:", "grid: {steps: [1]}\nvariants:", ["'variants'", "'grid'"]),
        (GOOD, "- a list", ["'question'", "['a list']"]),
    ],
)  # fmt: skip
def test_an_error_in_the_file_is_reported_with_file_key_and_value(folder, old, new, named):
    assert old in GOOD
    with pytest.raises(StudyError) as error:
        expand(read_study(written(folder, GOOD.replace(old, new, 1))))
    assert not [part for part in [str(folder / "why.yml"), *named] if part not in str(error.value)]
    assert error.value.exit_status == 2


def test_a_combination_without_a_name_is_an_error(folder):
    grid = GOOD[: GOOD.index("variants:")] + "grid: {method: [//, adld]}\nseeds: [3]\n"
    with pytest.raises(StudyError, match="gives no name"):
        read_study(written(folder, grid))


def test_an_unknown_variant_is_an_error_that_lists_the_known_ones(folder):
    with pytest.raises(StudyError, match=r"\['short'\].*\['plain', 'long'\]"):
        expand(read_study(written(folder, GOOD)), only=["short"])


def test_a_run_folder_says_whether_its_run_is_done_running_failed_or_missing(folder):
    runs = expand(read_study(written(folder, GOOD)))
    assert set(states_of(runs).values()) == {"missing"}
    finish(runs[0], **{"target.mean.f1": 0.5, "seconds": 10.0})
    write_error(runs[1].folder, Path("n.ipynb"), "In [2] ValueError: no", "Traceback")
    write_json(runs[2].folder / "result.json", {"key": "of other code"})
    with run_lock(runs[3].folder):
        states = states_of(runs)
        assert list(states.values()) == ["done", "failed", "missing", "running"]
        with run_lock(runs[1].folder):  # an observer; a runner removes the error
            assert states_of(runs) == states
    assert why_failed(runs[1]) == "n.ipynb: In [2] ValueError: no" and why_failed(runs[0]) == ""
    assert metrics_of(runs[0]) == {"target.mean.f1": 0.5, "seconds": 10.0} and metrics_of(runs[2]) == {}
    assert summary_of(runs, states) == [
        {"variant": "plain", "states": ["done", "failed"], "score": 0.5, "seconds": 10.0},
        {"variant": "long", "states": ["missing", "running"], "score": None, "seconds": None},
    ]
    shown = html_table(runs, states, "a note")
    assert "1 done" in shown and "a note" in shown and "50.0" in shown and "ValueError: no" in shown


def test_the_table_of_a_notebook_is_printed_nowhere_else(folder, monkeypatch):
    printed = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("IPython.display.display", printed.append)
    runs = expand(read_study(written(folder, GOOD)))
    assert "4 missing" in html_table(runs, states_of(runs)) and printed == []


def test_finished_runs_of_earlier_code_or_settings_are_mentioned(folder):
    runs = expand(read_study(written(folder, GOOD)))
    for run in runs:
        finish(run)
    assert earlier_runs(runs) == ""
    later = expand(read_study(written(folder, GOOD.replace("rate: 1.0", "rate: 2.0"))))
    assert earlier_runs(later[:2]).startswith("results/why has 2 finished runs of earlier code or settings")


def test_watching_ends_when_nothing_ran_or_changed_for_long(folder, monkeypatch):
    runs, now = expand(read_study(written(folder, GOOD))), [0]

    def sleep(seconds: float) -> None:
        now[0] += 10

    monkeypatch.setattr(status, "SILENCE", 60)
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    assert len(list(watched_states(runs))) == 8  # at 0, 10, ..., 70
    with run_lock(runs[0].folder):  # it runs
        assert len(list(islice(watched_states(runs), 50))) == 50


def test_a_thousand_finished_runs_are_expanded_and_read_in_five_seconds(folder):
    text = GOOD.replace("[3, 1]", str(list(range(500))))
    runs = expand(read_study(written(folder, text)))
    for run in runs:
        finish(run, **{f"target.per_au.AU{i:02d}.f1": i / 100 for i in range(100)})
    start = time.process_time()
    found = [metrics_of(run) for run in expand(read_study(folder / "why.yml"))]
    assert len(found) == 1000 and len(found[7]) == 100
    assert time.process_time() - start < 5


def test_the_committed_studies_are_sound():
    files = sorted((ROOT / "experiments").glob("*.yml"))
    assert {"supervisors.yml", "tiny.yml"} <= {file.name for file in files}
    for file in files:
        study = read_study(file)
        runs = len(study.variants) * len(study.seeds) * len(folds_of(study.folds) if study.folds else [""])
        assert study.question.endswith("?") and len(expand(study)) == runs


def test_the_readmes_study_is_the_demo_with_more_steps():
    from aubench.cli.demo import PRESET, SOURCE, STEPS, TARGET

    study = read_study(LADDER)
    fixed = dict(study.fixed)
    usual = fixed.pop("steps")
    assert fixed == {"source": SOURCE, "target": TARGET, "preset": PRESET}
    for name, steps in STEPS.items():
        assert study.variants[name]["method"] == name and study.variants[name].get("steps", usual) > steps


def test_each_supervisor_is_added_alone():
    study = read_study(LADDER)
    for name in ("shape-source", "shape-target", "texture-source", "texture-target"):
        assert study.variants[f"plus-{name}"]["supervisors"] == [*RICH_TWO, name.replace("-", "_")]
    assert study.seeds == [0, 1, 2, 3, 4]


def test_listing_and_watching_a_study_imports_neither_torch_nor_the_renderer(tmp_path):
    code = (
        "import sys; from aubench.cli.main import app\n"
        f"for how in ('--dry-run', '--status'): app(['study', {str(LADDER)!r}, how], standalone_mode=False)\n"
        "print('\\nslow:', sorted({'torch', 'warp', 'distributed', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "slow: []", done.stderr


TRAINS = (
    'source: str = ""  # s\ntarget: str = ""  # t\nprotocol: str = ""  # p\nmethod: str = "full"  # m\n'
    "supervisors: list[str] | None = None  # s\nweights: dict[str, float] | None = None  # w\n"
    'alignment: str = "global"  # a\nnegatives: str = "rivals"  # n\nsteps: int = 0  # s\n'
    'crop: str = "smooth"  # c\nprecision: str = "auto"  # p\nseed: int = 0  # s\nout_dir: str = "x"  # o'
)


def study_of(folder: Path, one: str, other: str, cell: str = TRAINS) -> list:
    """The runs of two variants of a notebook that trains."""
    write_notebook(folder / "n.ipynb", cell, "train_run(source, target)")
    text = GOOD.replace("{steps: 5, rate: 1.0}", "{source: 'synthetic:studio', target: 'synthetic:wild'}")
    text = text.replace("{method: adld}", one).replace("{method: adld, steps: 9}", other)
    return expand(read_study(written(folder, text)))


@pytest.mark.parametrize(
    "one, other",
    [
        ("{}", "{method: full}"),
        ("{method: separation}", "{supervisors: []}"),
        ("{method: full}", "{supervisors: null, weights: null}"),
        ("{supervisors: [rich_source, rich_target]}", "{method: contrastive}"),
        ("{supervisors: [rich_source]}", "{method: contrastive, supervisors: [rich_source]}"),
        ("{method: adld}", "{method: adld, alignment: dense}"),
        ("{weights: {cycle: 0.0}}", "{}"),
        ("{steps: 800}", "{}"),
        ("{target: 'synthetic:wild?n=4500'}", "{}"),
        ("{target: data}", "{target: ./data/}"),
        ("{target: data}", "{target: other/../link}"),
    ],
)
def test_two_variants_that_resolve_to_the_same_are_an_error_even_if_one_is_left_out(folder, one, other):
    write_tiny_set(folder / "data", n=4)
    (folder / "other").mkdir()
    (folder / "link").symlink_to("data")
    with pytest.raises(StudyError, match="'plain' and 'long' resolve to the same run .*schedule: .*take one"):
        study_of(folder, one, other)
    with pytest.raises(StudyError, match="resolve to the same run"):
        expand(read_study(folder / "why.yml"), only=["plain"])


def test_a_precision_that_depends_on_the_machine_is_not_compared_with_another(folder):
    with pytest.raises(StudyError, match="auto is one of the others; name it"):
        study_of(folder, "{precision: bf16-mixed}", "{}")
    assert len(study_of(folder, "{precision: bf16-mixed}", "{precision: 32-true}")) == 4


def test_values_saved_in_the_notebook_do_not_reach_a_study(folder):
    runs = study_of(folder, "{method: contrastive}", "{method: full}")
    edited = TRAINS.replace("| None = None  # s", "| None = ['rich_source']  # s")
    edited = edited.replace("steps: int = 0", "steps: int = 40")
    edited = edited.replace('"full"', '"adld"').replace('crop: str = "smooth"', 'crop: str = "adld"')
    assert edited.count("rich_source") and edited.count("40")
    again = study_of(folder, "{method: contrastive}", "{method: full}", edited)
    assert [run.id for run in again] == [run.id for run in runs]
    assert again[0].parameters == runs[0].parameters and runs[0].parameters["supervisors"] is None
    trained = again[2].resolved["training"]
    assert (trained["method"], trained["supervisors"], trained["steps"]) == ("full", list(ALL_SIX), 800)


def test_a_study_s_default_follows_its_preset(folder):
    runs = study_of(folder, "{method: full}", "{method: adld}")
    assert runs[0].parameters["crop"] == PRESETS["fast"].crop


@pytest.mark.parametrize(
    "bad, named",
    [
        ("{method: ful}", ["'ful'", "adld"]),
        ("{alignment: pixel}", ["'pixel'", "dense"]),
        ("{negatives: queue, alignment: dense}", ["'queue'", "'global'"]),
        ("{weights: {}}", ["nothing to train", "the method's own"]),
        ("{method: adld, supervisors: [rich_source, rich]}", ["'rich'", "rich_source"]),
        ("{method: dann, supervisors: [rich_source]}", ["two rounds"]),
        ("{protocol: bp4d}", ["bp4d-3fold"]),
    ],
)
def test_what_the_library_would_refuse_is_an_error_before_anything_runs(folder, bad, named):
    with pytest.raises(StudyError) as error:
        study_of(folder, "{}", bad)
    assert not [part for part in ["variant 'long'", *named] if part not in str(error.value)]


GRID = "grid: {method: [adld, full], steps: [%s]}\nseeds: [%s]\n"


def numbers(count: int) -> str:
    return ", ".join(map(str, range(1, count + 1)))


@pytest.mark.parametrize("more, of", [("", "10,000"), ("most_runs: 30000\n", "30,000")])
def test_a_grid_of_too_many_runs_is_refused_before_it_is_multiplied_out(folder, monkeypatch, more, of):
    monkeypatch.setattr(plan, "_combinations", None)
    text = GOOD.partition("variants:")[0] + GRID % (numbers(5000), numbers(10)) + more
    with pytest.raises(StudyError) as error:
        read_study(written(folder, text))
    told = f"100,000 runs: 10,000 variants, 10 seeds; expected at most {of}, or `most_runs: 100000`"
    assert told in str(error.value) and "why.yml" in str(error.value)


def test_a_study_of_as_many_runs_as_it_says_is_planned(folder):
    text = GOOD.partition("variants:")[0] + GRID % (numbers(3), numbers(2))
    with pytest.raises(StudyError, match="12 runs: 6 variants, 2 seeds; expected at most 11"):
        read_study(written(folder, text + "most_runs: 11\n"))
    assert len(expand(read_study(written(folder, text + "most_runs: 12\n")))) == 12


def test_a_dry_run_and_failures_are_listed_up_to_a_screenful(folder, capsys, monkeypatch):
    from aubench.cli.main import app

    written(folder, GOOD.partition("variants:")[0] + GRID % (numbers(4), numbers(2)))
    monkeypatch.setattr(status, "ROWS", 3)
    app(["study", "why.yml", "--dry-run"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert shown.count(" missing ") == 6 and "adld-steps3" in shown and "adld-steps4" not in shown
    assert shown.endswith("... and 5 more variants (16 runs in all); --only NAME shows one\n")
    runs = expand(read_study("why.yml"))
    for run in runs:
        write_error(run.folder, run.notebook, "ValueError: no")
    lines = status.failures(runs, states_of(runs))
    assert len(lines) == 4 and lines[-1] == "... and 13 more failed"


def indented(text: str) -> dict[str, str]:
    """The lines of a dry run that say what a variant resolves to: name -> value."""
    return dict(line.split(maxsplit=1) for line in text.splitlines() if line.startswith("    "))


def test_a_dry_run_shows_what_each_variant_resolves_to_and_how_it_differs(folder, capsys):
    from aubench.cli.main import app

    study_of(folder, "{method: contrastive}", "{method: full, steps: 9}")
    app(["study", "why.yml", "--dry-run"], standalone_mode=False)
    first, second = capsys.readouterr().out.split("long\n")
    shown = indented(first)
    assert shown["method"] == "contrastive" and shown["supervisors"] == "rich_source, rich_target"
    assert "rich_target 0.2" in shown["weights"] and "steps 800" in shown["schedule"]
    assert shown["data"] == "synthetic-v4-studio-n3000-seed0-128px to synthetic-v4-wild-n4500-seed0-128px"
    told = indented(second.partition("differs from plain in")[2])
    assert told["steps"] == "800 -> 9" and told["weights.shape_source"] == "none -> 0.2"
    assert "weights.au_source" not in told
    assert second.splitlines()[-1].split()[1:] == ["missing", expand(read_study("why.yml"))[-1].id]


def test_a_dry_run_shows_network_crop_precision_and_folds(folder, capsys):
    from aubench.cli.main import app

    cell = TRAINS + "\nbackbone: str = ''  # b\nshare_extraction: bool = True  # e\nramp: float = 0.1  # r"
    write_notebook(folder / "n.ipynb", cell, "train_run(source, target)")
    text = GOOD.replace("{steps: 5, rate: 1.0}", "{source: data/bp4d, target: data/bp4d, precision: 32-true}")
    other = "{share_extraction: false, backbone: resnet18, ramp: 0.2}"
    text = text.replace("{method: adld, steps: 9}", other)
    written(folder, text + "folds: bp4d-3fold\n")
    app(["study", "why.yml", "--dry-run"], standalone_mode=False)
    plain, long = map(indented, capsys.readouterr().out.split("long\n"))
    assert plain["network"] == "backbone own, share_extraction True" and plain["crop"] == "smooth"
    assert long["network"] == "backbone resnet18, share_extraction False"
    assert plain["precision"] == "32-true" and plain["folds"] == "part1, part2, part3"
    assert long["schedule"].endswith("ramp 0.2") and "ramp" not in plain["schedule"]
    assert "protocol" not in plain  # each run names its fold in the data
