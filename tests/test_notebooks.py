"""Notebooks are code: each one runs on tiny parameters, and each keeps the house rules.

They run as in Jupyter, without the runner: a kernel in the notebook's own folder, in a copy of the checkout
in which nothing has run yet.
"""

import ast
import json
import re
import shutil
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from traitlets.config import Config

from aubench.datasets.converters import CONVERTERS
from aubench.study.notebook_runner import run_notebook
from aubench.study.parameters import declared_parameters
from aulib.crops import CROPS
from aulib.methods import METHODS, PRESETS
from aulib.metrics import AU_MEASURES
from aulib.run_config import PRECISIONS
from aulib.supervisors import ALIGNMENTS, ALL_SIX, NEGATIVES, SUPERVISORS
from conftest import write_tiny_set
from exercises import MARKS, RIGHT
from fabricated import write_small_study

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COURSE = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
OTHERS = sorted((ROOT / "experiments").glob("*.ipynb"))
TRAINING = "02_train"

# Parameters that make each notebook finish in seconds. {source} and {target} are two dataset folders of a few
# noise pictures, {run} is the run folder that 02_train left on them, {study} a fabricated study.
# A new notebook needs its line here.
TINY = {
    "00_playground": {"run": "{run}", "runs_folder": "{run}", "faces": "{target}"},
    "01_faces": {"source": "{source}", "target": "{target}"},
    "02_train": {"source": "{source}", "target": "{target}", "method": "full", "steps": 2, "batch_size": 4},
    "03_report": {"runs": ["{run}"]},
    "04_ablation": {"study": "{study}", "equal_time": "{study}"},
    "05_reconstructions": {"runs": ["{run}"], "decoder_steps": 2, "count": 2},
    "06_attention": {"runs": ["{run}"], "faces": "{target}", "aus": ["AU01", "AU12"], "per_au": 2},
    "07_dataset_check": {"data": "{source}", "published": "bp4d"},
    "08_real_faces": {"runs": ["{run}"]},
    "09_compare": {"clips": 2, "seconds": 0.9},
    "tiny": {"seconds": 0.0},
    # the course
    "1_action_units": {"source": "{source}", "target": "{target}"},
    "2_in_the_wild": {
        "source": "{source}", "target": "{target}", "steps": 2, "batch_size": 4, "faces": 8,
        "runs_folder": "{source}_runs",
    },
    "3_where_is_the_face": {
        "source": "{source}", "target": "{target}", "steps": 2, "count": 3, "runs_folder": "{source}_runs",
    },
    "4_taking_apart": {
        "source": "{source}", "target": "{target}", "steps": 2, "runs_folder": "{source}_runs",
    },
    "5_putting_together": {
        "source": "{source}", "target": "{target}", "steps": 2, "decoder_steps": 2, "count": 4,
        "runs_folder": "{source}_runs",
    },
    "6_pulling_together": {
        "source": "{source}", "target": "{target}", "steps": 2, "runs_folder": "{source}_runs",
    },
    "7_does_it_help": {"source": "{source}", "target": "{target}", "steps": 2, "seeds": [0, 1]},
    "8_your_photographs": {
        "stand_ins": 12, "source": "{source}", "steps": 2, "seeds": [0], "heads": 2, "shots": 2,
        "runs_folder": "{source}_runs",
    },
}  # fmt: skip

# Parameters that choose from a list, with what they accept.
CHOICES = {
    "method": METHODS, "preset": PRESETS, "alignment": ALIGNMENTS, "negatives": NEGATIVES,
    "crop": ["smooth", *CROPS], "precision": PRECISIONS, "measure": AU_MEASURES, "published": CONVERTERS,
    "supervisors": ALL_SIX,
}  # fmt: skip

# What a notebook says at its end on tiny parameters: after two steps on noise nothing was learned.
CLOSING = {
    "00_playground": r"^Here the face shows no AU, and `.*run` reads .* \*\*Careful:\*\* .* did not learn ",
    "01_faces": r"^Base rates differ by more than 5 points for \*\*\d of 4\*\* AUs",
    "02_train": r"did \*\*not\*\* learn .* [34] of 4 are below .* after 2 steps",
    "03_report": r"^Fewer than two methods",
    "04_ablation": r"^Of 3 variants, \d are better than `contrastive` and \d are worse.*The four additional",
    "05_reconstructions": r"run did not learn the AUs of its target: .* [34] of 4 are below always ",
    "06_attention": r"^These faces have no true regions",
    "07_dataset_check": r"^\*\*Not fit for training\*\*: fix the \d+ errors|^Nothing ",
    "08_real_faces": r"^\*\*.+\*\* on .+ called present on neutral faces is AU\d\d",
    "09_compare": r"^Over 2 clips the mean AUC of the common AUs is [01]\.\d\d for \*\*aulib\*\*",
}

ANSWER = re.compile(r"^answer_\d+ = \.\.\.", re.M)
SOLUTION = re.compile(r"<summary>Solution</summary>.*?```python\n(.+?)```", re.S)


def filled(value, folders: dict[str, str]):
    if isinstance(value, str):
        return value.format(**folders)
    return [filled(one, folders) for one in value] if isinstance(value, list) else value


def tiny_parameters(name: str, folders: dict[str, str]) -> dict:
    return {key: filled(value, folders) for key, value in TINY[name].items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("tiny")
    sets = {name: str(write_tiny_set(base / name, seed=i)) for i, name in enumerate(("source", "target"))}
    return sets | {"run": str(base / "run"), "study": str(write_small_study(base / "study"))}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What a fresh clone has and notebooks need, besides the packages."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("notebooks", "experiments", "docs/london"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    (folder / "results").mkdir()
    for name in ("pyproject.toml", "results/supervisors.json"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def in_jupyter(notebook: Path, values: dict) -> nbformat.NotebookNode:
    """The notebook after "Run All", with values in place of its parameters; nothing may look like a fault.

    Raises:
        CellExecutionError: a cell failed; the cells so far are in its attribute `notebook`.
    """
    executed = parameterize_notebook(load_notebook_node(str(notebook)), values)
    with tempfile.TemporaryDirectory(prefix="au-", ignore_cleanup_errors=True) as sockets:
        client = NotebookClient(
            executed,
            kernel_name="python3",
            resources={"metadata": {"path": str(notebook.parent)}},
            config=Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/k"}),  # ports can collide
        )
        try:
            client.execute()
        except CellExecutionError as error:
            error.notebook = executed
            raise
    assert not outputs(executed, "stderr")
    return executed


def outputs(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    """Texts of one kind in the order of the cells: "stderr", "error" or a MIME type."""
    found = [one for cell in notebook.cells for one in cell.get("outputs", [])]
    if kind in ("stderr", "error"):
        return [str(one) for one in found if kind in (one.output_type, one.get("name"))]
    return [one["data"][kind] for one in found if kind in one.get("data", {})]


def keys_shown(notebook: nbformat.NotebookNode) -> list[str]:
    """Keys in the tables of a notebook where words should stand; what one types as a parameter is a word."""
    cells = re.findall(r"<t[hd][^>]*>([^<]+)</t[hd]>", "".join(outputs(notebook, "text/html")))
    keys = re.compile(
        r"(?<![\w/])(?:[a-z]+\d?(?:_[a-z0-9]+)+|insides\.[\w.]+|f1|auc|nme|psnr|gmsd|ssim|aus?|rich2?)(?![\w/])"
    )
    found = {key for cell in cells for key in keys.findall(cell)}
    return sorted(found - {*SUPERVISORS, *declared_parameters(ROOT / "notebooks" / f"{TRAINING}.ipynb")})


@pytest.fixture(scope="module")
def tiny_run(folders, clone) -> nbformat.NotebookNode:
    """One tiny 02_train, made once for all that read runs."""
    values = tiny_parameters(TRAINING, folders) | {"out_dir": folders["run"]}
    return in_jupyter(clone / "notebooks" / f"{TRAINING}.ipynb", values)


def read_metrics(folder: str) -> dict:
    return json.loads(Path(folder, "metrics.json").read_text())


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code(path: Path) -> str:
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")


def prose(path: Path) -> str:
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def with_solutions(path: Path, solved: Path) -> int:
    """Write a copy in which each `answer_1 = ...` becomes the solution folded below it; returns how many."""
    notebook, exercises = read(path), 0
    for cell, below in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code" and (asked := ANSWER.search(cell.source)):
            solution = SOLUTION.search(below.source)
            assert solution, f"{asked[0]!r} has no folded solution in the cell below it"
            cell.source = cell.source.replace(asked[0], solution[1].strip())
            exercises += 1
    nbformat.write(notebook, solved)
    return exercises


TAKE_LONG = (
    "2_in_the_wild", "3_where_is_the_face",
    "01_faces", "03_report", "05_reconstructions", "06_attention", "07_dataset_check",
    "4_taking_apart", "5_putting_together", "6_pulling_together", "7_does_it_help",
    "8_your_photographs",  # train several runs
    "09_compare",  # renders clips
)  # fmt: skip


def quick_or_slow(paths: list[Path]) -> list:
    return [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in TAKE_LONG)) for path in paths]


@pytest.mark.parametrize("path", quick_or_slow(COURSE), ids=lambda path: path.stem)
class TestEveryLesson:
    def test_runs_on_tiny_parameters_and_its_solutions_are_right(self, path, clone, folders):
        copy = clone / "notebooks" / "course" / path.name
        exercises = with_solutions(path, copy)
        executed = in_jupyter(copy, tiny_parameters(path.stem, folders))
        assert keys_shown(executed) == []
        shown = outputs(executed, "text/markdown")
        verdicts = [text for text in shown if text.startswith(tuple(f"**{mark}" for mark in MARKS.values()))]
        assert exercises >= 3 and len(verdicts) == exercises
        assert not [text for text in verdicts if not text.startswith(f"**{MARKS[RIGHT]}")]

    def test_has_exercises_with_hints(self, path):
        asked = ANSWER.findall(code(path))
        assert len(asked) >= 3 and prose(path).count("<summary>Hint</summary>") >= len(asked)


@pytest.mark.parametrize("path", quick_or_slow(NOTEBOOKS), ids=lambda path: path.stem)
def test_runs_on_tiny_parameters(path, folders, tiny_run, clone):
    if path.stem == TRAINING:
        executed = tiny_run
        cell = next(cell for cell in executed.cells if cell.id == "train")
        assert any("image/png" in one.get("data", {}) for one in cell.outputs)  # the loss while it trains
        assert read_metrics(folders["run"])["seconds"] > 0
    else:
        executed = in_jupyter(clone / "notebooks" / path.name, tiny_parameters(path.stem, folders))
    assert re.search(CLOSING[path.stem], outputs(executed, "text/markdown")[-1])
    assert keys_shown(executed) == []


LEARNED = {  # what is said last of runs that learned nothing, and of the same runs with a perfect F1
    "03_report": (
        [
            r"^The oracle did \*\*not",
            r"did \*\*not\*\* learn .* do not show which method is better\.$",
        ],
        [r"^Of the way from source-only to oracle", r"^Without target labels .* intervals"],
    ),
    "05_reconstructions": (
        [r"did not learn .* do not show what its method keeps\.$"],
        [r"keep an SSIM of 0\.\d\d, and 0\.\d\d after both rounds.*\*\*, (as|against) "],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", LEARNED)
def test_of_runs_that_learned_nothing_no_conclusion_is_drawn(
    name, learned, folders, tiny_run, clone, tmp_path
):
    runs = []
    for place, method in enumerate(("full", "source-only", "oracle")):
        run = shutil.copytree(folders["run"], tmp_path / method)
        config = json.loads((run / "config.json").read_text())
        config["settings"]["method"] = method
        (run / "config.json").write_text(json.dumps(config))
        scores = read_metrics(run)
        f1 = {key: float(learned) for key in scores if key.endswith(".f1")}
        f1["target.mean.f1"] = (0.5, 0.4, 0.6)[place]
        (run / "metrics.json").write_text(json.dumps(scores | f1))
        runs.append(str(run))
    values = tiny_parameters(name, folders) | {"runs": runs}
    shown = outputs(in_jupyter(clone / "notebooks" / f"{name}.ipynb", values), "text/markdown")
    (said, other) = LEARNED[name][::-1] if learned else LEARNED[name]
    assert all(any(re.search(one, text) for text in shown) for one in said)
    assert not any(re.search(one, text) for one in other for text in shown)


@pytest.mark.slow
def test_without_target_labels_05_judges_a_run_by_its_source(folders, tiny_run, clone, tmp_path):
    run = shutil.copytree(folders["run"], tmp_path / "run")
    scores = {key: None if key.startswith("target.") else value for key, value in read_metrics(run).items()}
    (run / "metrics.json").write_text(json.dumps(scores))
    values = tiny_parameters("05_reconstructions", folders) | {"runs": [str(run)]}
    shown = outputs(in_jupyter(clone / "notebooks" / "05_reconstructions.ipynb", values), "text/markdown")
    assert re.search("did not learn the AUs of its source.* do not show what its method keeps", shown[-1])


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_a_study_s_own_notebook_runs_as_a_function(path, folders, tmp_path):
    run_notebook(path, tmp_path / "out", tiny_parameters(path.stem, folders))
    assert (tmp_path / "out" / "result.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, values, named",
    [
        ("03_report", {"runs": ["results/none/full"]}, ["results/none", "`aulib "]),
        ("04_ablation", {"study": "none"}, ["results/none", "`aulib "]),
        ("05_reconstructions", {"runs": ["results/none/full"]}, ["results/none", "`aulib "]),
        ("06_attention", {"runs": ["results/none/full"]}, ["results/none", "`aulib "]),
        ("02_train", {"method": "ful"}, ["'ful'", "adld"]),
        ("03_report", {"faces": "{source}"}, ["{source}", "not the target"]),
        ("04_ablation", {"reference": "ful"}, ["'ful'", "contrastive"]),
        ("04_ablation", {"measure": "f2"}, ["'f2'", "f1_norm"]),
        ("06_attention", {"aus": ["AU01", "AU99"]}, ["AU99", "AU12"]),
        ("07_dataset_check", {"published": "bp5d"}, ["bp5d", "bp4d"]),
    ],
)
def test_what_a_notebook_refuses_is_said_in_one_sentence(name, values, named, folders, tiny_run, clone):
    values = {key: filled(value, folders) for key, value in values.items()}
    with pytest.raises(CellExecutionError) as stopped:
        in_jupyter(clone / "notebooks" / f"{name}.ipynb", tiny_parameters(name, folders) | values)
    shown = stopped.value.notebook
    last = outputs(shown, "text/markdown")[-1]
    assert [part for part in filled(named, folders) if part not in last] == []
    assert "\n" not in last and not outputs(shown, "stderr") + outputs(shown, "error")


def test_every_notebook_of_the_repository_is_run_on_tiny_parameters():
    ours = {
        path for folder in ("notebooks", "experiments", "docs") for path in (ROOT / folder).rglob("*.ipynb")
    }
    assert ours == {*NOTEBOOKS, *OTHERS, *COURSE} and {path.stem for path in ours} == TINY.keys()


def helps_of(path: Path) -> dict[str, str]:
    """Each parameter's comment, with the lines of comments below it."""
    cell = read(path).cells[1].source
    return dict(re.findall(r"^(\w+)[^#]*# (.*(?:\n#.*)*)", cell, re.MULTILINE))


@pytest.mark.parametrize("path", [*NOTEBOOKS, *COURSE], ids=lambda path: path.stem)
class TestEveryNotebook:
    def test_declares_documented_parameters_with_seed_and_out_dir(self, path):
        declared = declared_parameters(path)  # itself refuses derived values and wrong types
        assert {"seed", "out_dir"} <= declared.keys()
        assert declared.keys() == helps_of(path).keys()

    def test_help_lists_the_accepted_values(self, path):
        helps = helps_of(path)
        missing = {
            name: [value for value in values if not re.search(rf"\b{value}\b", helps[name])]
            for name, values in CHOICES.items()
            if name in helps
        }
        assert not any(missing.values()), missing

    def test_opens_with_a_question_and_what_it_needs(self, path):
        first = read(path).cells[0]
        assert first.cell_type == "markdown" and first.source.startswith("# ")
        assert all(word in first.source for word in ("Needs", "Takes", "Writes"))

    def test_has_its_parameters_second(self, path):
        assert "parameters" in read(path).cells[1].metadata.get("tags", [])

    def test_ends_with_what_was_learned_what_was_not_and_what_to_try(self, path):
        text = prose(path)
        ends = [text.find(f"## {h}") for h in ("What we learned", "What this does not show", "Try it")]
        assert -1 not in ends and ends == sorted(ends)

    def test_shows_every_figure_that_it_saves(self, path):
        for cell in read(path).cells:
            if cell.cell_type == "code" and "save_figure(" in cell.source:
                tree = ast.parse(re.sub(r"^%.*$", "", cell.source, flags=re.M))
                unseen = [ast.unparse(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)]
                if isinstance(tree.body[-1], ast.Expr):
                    unseen.remove(ast.unparse(tree.body[-1].value))
                assert not [
                    one
                    for one in unseen
                    if "save_figure(" in one and "display(" not in one and "keep" not in one
                ]

    def test_says_what_this_run_showed_under_what_we_learned(self, path):
        ids = [cell.id for cell in read(path).cells]
        assert ids[-3:] == ["learned", "learned-said", "end"] and "if" in read(path).cells[-2].source

    def test_holds_no_library_code(self, path):
        lines = code(path).splitlines()
        assert not [line for line in lines if line.startswith(("class ", "!pip", "%pip"))]
        assert "sys.path" not in code(path)

    def test_code_fits_next_to_the_sidebar(self, path):
        """JupyterLab at 1280 pixels shows as many characters; longer lines scroll sideways."""
        assert [line for line in code(path).splitlines() if len(line) > 107] == []

    def test_only_02_train_and_lessons_train(self, path):
        assert ("train_run" in code(path)) == (path.stem == TRAINING) or path in COURSE
        assert ".backward(" not in code(path) and "optimizer" not in code(path)

    def test_is_committed_without_outputs_and_without_traces_of_a_run(self, path):
        notebook = read(path)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in cells)
        assert not any("papermill" in part.metadata for part in [notebook, *notebook.cells])
