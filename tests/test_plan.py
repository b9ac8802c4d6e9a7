"""A study file says what it means, and its runs are told apart by what shapes them."""

import subprocess
import sys
import time
from contextlib import nullcontext
from io import StringIO
from pathlib import Path

import nbformat
import pytest

from aubench.report.fold_scores import folds_of
from aubench.study import notebook_runner
from aubench.study.plan import StudyError, collect, expand, read_study, state_of, why_failed
from aubench.study.run_lock import run_lock
from aubench.study.status import list_of_runs, summary_of, terminal_table
from aulib.files import write_json
from aulib.methods import ALIGNMENTS, NEGATIVES

ROOT = Path(__file__).parent.parent
PARAMETERS = (
    'method: str = "full"  # method\nsteps: int = 2  # steps\nrate: float = 1.0  # rate\n'
    'seed: int = 0  # seed\nout_dir: str = "x"  # folder'
)
GOOD = """question: why?
notebook: n.ipynb
fixed: {steps: 5}
variants:
  plain: {method: adld}
  long: {method: adld, steps: 9}
seeds: [3, 1]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    cells = [nbformat.v4.new_code_cell(cell) for cell in (PARAMETERS, "print(steps)")]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "why.yml").write_text(text)
    return folder / "why.yml"


def finish(run, **metrics) -> None:
    write_json(run.folder / "metrics.json", metrics)
    write_json(run.folder / "result.json", {"key": run.key})


def test_a_study_expands_to_variants_by_seeds_with_ids_folders_and_values(folder):
    runs = expand(read_study(written(folder, GOOD)))
    assert [(run.index, run.variant, run.seed) for run in runs] == [
        (0, "plain", 3),
        (1, "plain", 1),
        (2, "long", 3),
        (3, "long", 1),
    ]
    assert runs[0].parameters == {"steps": 5, "method": "adld", "seed": 3}
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


def test_an_id_follows_values_and_code_and_nothing_else(folder):
    study = written(folder, GOOD)
    before = [run.id for run in expand(read_study(study))]
    written(
        folder, GOOD.replace("why?", "why not?").replace("fixed: {steps: 5}", "fixed: {steps: 5, rate: 1}")
    )
    assert [run.id for run in expand(read_study(study), "elsewhere")] == before
    written(folder, GOOD.replace("steps: 5", "steps: 6"))
    changed = [run.id for run in expand(read_study(study))]
    assert changed[0] != before[0] and changed[2:] == before[2:]  # `long` has its own steps
    written(folder, GOOD)
    (folder / "n.ipynb").write_text(
        (folder / "n.ipynb").read_text().replace("print(steps)", "print(2 * steps)")
    )
    assert not set(before) & {run.id for run in expand(read_study(study))}


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("seeds: [3, 1]", "seed: [3, 1]", r"unknown key 'seed'; choose from \['question'"),
        ("seeds: [3, 1]", "seeds: 3", "seeds: .*found 3"),
        ("seeds: [3, 1]", "seeds: [3, 3]", "seeds: .*repeated: \[3\]"),
        ("seeds: [3, 1]", "seeds: ['3']", "seeds: 0: .*found '3'"),
        ("question: why?\n", "", "'question' is missing"),
        ("fixed: {steps: 5}", "fixed: [steps]", r"fixed: .*found \['steps'\]"),
        ("{steps: 5}", "{stepz: 5}", r"fixed: n.ipynb declares no parameter 'stepz'; it has \['method'"),
        ("{method: adld}", "{mehtod: adld}", "variant 'plain': n.ipynb declares no parameter 'mehtod'"),
        ("{method: adld}", "adld", "variants: plain: .*found 'adld'"),
        ("{method: adld}", "{method: adld, seed: 1}", "variant 'plain': 'seed' is set by the study itself"),
        ("  long:", "  plain:", "line 6: 'plain' is given twice"),
        ("  long:", "  a/b:", "variants: 'a/b'"),
        ("steps: 5", "steps: 5, steps: 6", "line 3: 'steps' is given twice"),
        ("n.ipynb", "absent", "notebook: no notebook 'absent'"),
        ("variants:", "grid: {steps: [1]}\nvariants:", "'grid', found both"),
        ("seeds: [3, 1]", "seeds: [3, 1", "not valid YAML"),
        (GOOD, "- a list", "expected the keys .*found \\['a list'\\]"),
    ],
)  # fmt: skip
def test_a_file_that_says_something_impossible_is_refused_by_file_and_key(folder, old, new, complaint):
    assert old in GOOD
    with pytest.raises(StudyError, match=complaint) as refusal:
        read_study(written(folder, GOOD.replace(old, new, 1)))
    assert str(folder / "why.yml") in str(refusal.value) and refusal.value.exit_status == 2


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("steps: 9", "steps: nine", "variant 'long': parameter steps: expected int, found 'nine'"),
        ("steps: 9", "steps: 5", "variants 'plain' and 'long' are the same run"),
    ],
)
def test_values_that_do_not_fit_and_variants_that_are_one_are_refused(folder, old, new, complaint):
    with pytest.raises(StudyError, match=complaint):
        expand(read_study(written(folder, GOOD.replace(old, new))))


def test_an_unknown_variant_is_refused_with_those_there_are(folder):
    with pytest.raises(StudyError, match=r"no variant \['short'\]; there are \['plain', 'long'\]"):
        expand(read_study(written(folder, GOOD)), only=["short"])


def test_the_folder_says_whether_a_run_is_done_running_failed_or_missing(folder):
    runs = expand(read_study(written(folder, GOOD)))
    assert {state_of(run) for run in runs} == {"missing"}
    finish(runs[0], **{"target.mean.f1": 0.5, "seconds": 10.0})
    runs[1].folder.mkdir(parents=True)
    (runs[1].folder / "error.txt").write_text("n.ipynb: In [2] ValueError: no\n\nTraceback")
    write_json(runs[2].folder / "result.json", {"key": "of other code"})
    with run_lock(runs[3].folder):
        states = {run.id: state_of(run) for run in runs}
        assert list(states.values()) == ["done", "failed", "missing", "running"]
        with run_lock(runs[1].folder):
            assert state_of(runs[1]) == "failed"  # somebody looks at it; who tries it again removes the error
    assert why_failed(runs[1]) == "n.ipynb: In [2] ValueError: no" and why_failed(runs[0]) == ""
    assert collect(runs) == {runs[0].id: {"target.mean.f1": 0.5, "seconds": 10.0}}
    assert list_of_runs(runs).splitlines()[1] == f"   1  failed  {runs[1].id}"
    assert summary_of(runs, states) == [
        {"variant": "plain", "states": ["done", "failed"], "score": 0.5, "seconds": 10.0},
        {"variant": "long", "states": ["missing", "running"], "score": None, "seconds": None},
    ]
    from rich.console import Console

    console = Console(width=100, file=StringIO())
    console.print(terminal_table(runs, states))
    assert console.file.getvalue().splitlines()[0].strip() == "1 done, 1 running, 1 failed, 1 missing"


def test_a_thousand_finished_runs_are_expanded_and_collected_in_five_seconds(folder):
    text = GOOD.replace("[3, 1]", str(list(range(500))))
    runs = expand(read_study(written(folder, text)))
    for run in runs:
        finish(run, **{f"target.per_au.AU{i:02d}.f1": i / 100 for i in range(100)})
    start = time.process_time()
    found = collect(expand(read_study(folder / "why.yml")))
    assert len(found) == 1000 and len(found[runs[7].id]) == 100
    assert time.process_time() - start < 5


def test_the_committed_studies_are_sound():
    files = sorted((ROOT / "experiments").glob("*.yml"))
    assert {"supervisors.yml", "tiny.yml"} <= {file.name for file in files}
    for file in files:
        study = read_study(file)
        times = len(study.seeds) * (len(folds_of(study.folds)) if study.folds else 1)
        assert study.question.endswith("?") and len(expand(study)) == len(study.variants) * times


def test_the_readmes_study_is_the_demo_with_more_steps():
    from aubench.cli.demo import PRESET, SOURCE, STEPS, TARGET

    study = read_study(ROOT / "experiments" / "studio_to_wild.yml")
    assert study.fixed == {"source": SOURCE, "target": TARGET, "preset": PRESET}
    assert {name: values["method"] for name, values in study.variants.items()} == {
        name: name for name in STEPS
    }
    assert all(study.variants[name]["steps"] > steps for name, steps in STEPS.items())


def test_the_ladder_has_every_rung_that_the_question_needs():
    study = read_study(ROOT / "experiments" / "supervisors.yml")
    four = ["shape-source", "shape-target", "texture-source", "texture-target"]
    from aulib.methods import ALL_SIX, RICH_TWO

    for name in four:
        alone, left_out = study.variants[f"plus-{name}"], study.variants[f"without-{name}"]
        assert alone["supervisors"] == [*RICH_TWO, name.replace("-", "_")]
        assert left_out["supervisors"] == [one for one in ALL_SIX if one != name.replace("-", "_")]
    assert study.seeds == [0, 1, 2, 3, 4] and len(study.variants) == 21


def test_a_study_is_listed_and_watched_without_importing_torch_or_the_renderer(tmp_path):
    """What a value may name is checked all the same, see the next test."""
    file = Path(__file__).parents[1] / "experiments" / "supervisors.yml"
    code = (
        "import sys; from aubench.cli.main import app\n"
        f"for how in ('--dry-run', '--status'): app(['study', {str(file)!r}, how], standalone_mode=False)\n"
        "print('\\nslow:', sorted({'torch', 'warp', 'distributed', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "slow: []", done.stderr


def test_unknown_alignments_and_a_queue_of_positions_are_refused():
    for alignment in (*ALIGNMENTS, "none"):
        for negatives in (*NEGATIVES, "none"):
            known = alignment in ALIGNMENTS and negatives in NEGATIVES
            fits = known and (negatives != "queue" or alignment == "global")
            with nullcontext() if fits else pytest.raises(notebook_runner.ParameterError):
                notebook_runner._check_names({"alignment": alignment, "negatives": negatives})
