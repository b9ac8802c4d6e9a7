"""The frame agrees with itself: what pyproject.toml, environment.yml, Makefile, README and the map say."""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from aubench.report.readme import (
    RESULTS,
    conversion_block,
    cycle_block,
    factors_block,
    insides_block,
    pages,
    results_block,
    steps_block,
    with_block,
)

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PACKAGES = ("aulib", "aufaces", "aubench")


def listed(key: str) -> list[str]:
    """A list of strings in pyproject.toml (tomllib is not in Python 3.10)."""
    block = re.search(rf"^{re.escape(key)} = \[(.*?)^\]", PYPROJECT, re.M | re.S)[1]
    return re.findall(r'^    "([^"]+)"', block, re.M)


def test_the_environment_installs_the_package_with_extras_that_exist_and_nothing_else():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in wanted if isinstance(entry, dict))
    plain = [entry for entry in wanted if isinstance(entry, str)]
    assert plain == ["python" + re.search(r'requires-python = "(.+)"', PYPROJECT)[1], "pip"]
    package = [line for line in pip if not line.startswith("-c ")]
    assert len(package) == 1
    extras = re.fullmatch(r"-e \.\[(.+)\]", package[0])[1].split(",")
    assert all(listed(extra) for extra in extras)
    constraints = [line.removeprefix("-c ") for line in pip if line.startswith("-c ")]
    assert all((ROOT / file).is_file() for file in constraints)


def test_every_requirement_has_a_pinned_version_that_satisfies_it():
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        if line and not line.startswith("#"):
            pin = Requirement(line)
            assert len(pin.specifier) == 1 and str(pin.specifier).startswith("=="), line
            pins[pin.name.lower().replace("_", "-")] = str(pin.specifier).removeprefix("==")
    extras = ("dependencies", "landmarks", "app", "datasets", "slurm", "book", "dev")
    for text in [need for name in extras for need in listed(name)]:
        need = Requirement(text)
        assert need.specifier.contains(pins[need.name.lower().replace("_", "-")]), text


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: page.name)
def test_pages_show_what_the_committed_results_say(page):
    for name, block in pages(ROOT)[page].items():
        assert page.read_text() == with_block(page.read_text(), name, block), "run `make readme`"


def test_the_results_table_shows_mean_and_range_times_100(tmp_path):
    file = tmp_path / "results.json"
    f1 = {"mean": 0.5, "low": 0.4567, "high": 0.55, "seeds": [0.4567, 0.5, 0.55]}
    file.write_text(json.dumps({"methods": {"full": {"f1": f1}, "oracle": {}}}))
    lines = results_block(file).splitlines()
    assert lines[0] == "| method | F1-frame |"
    assert lines[2:4] == ["| full | 50.0 [45.7, 55.0] |", "| oracle | – |"]
    assert "3 seeds" in lines[-1]


def test_the_readmes_results_are_of_the_study_it_names():
    from aubench.study.plan import read_study

    study = read_study(ROOT / "experiments" / "studio_to_wild.yml")
    settings = json.loads((ROOT / RESULTS).read_text())["settings"]
    assert settings["steps"] == {name: values["steps"] for name, values in study.variants.items()}
    assert settings["seeds"] == study.seeds


def test_what_the_shift_costs_and_who_wins_it_back_is_said(tmp_path):
    file = tmp_path / "results.json"
    means = {"source-only": 0.5, "adld": 0.6, "full": 0.55, "oracle": 0.75}
    scores = {name: {"f1": {"mean": f1, "low": f1, "high": f1, "seeds": [f1]}} for name, f1 in means.items()}
    file.write_text(json.dumps({"methods": scores}))
    shift, by_seed = results_block(file).splitlines()[-2:]
    assert shift.startswith("The shift costs *source-only* 25.0 points of F1 against *oracle*")
    assert shift.endswith("*adld* 40% and *full* 20% of them are won back.")
    assert by_seed == "By seed, *full* minus *adld*: F1-frame -5.0."
    del scores["oracle"]
    file.write_text(json.dumps({"methods": scores}))
    assert "shift" not in results_block(file)


def test_each_factor_of_the_shift_stands_beside_the_studio_face(tmp_path):
    file = tmp_path / "factors.json"
    f1 = {"full": {"none": [0.8, 0.6], "pose": [0.5, 0.7], "all": [0.25, 0.25]}}
    file.write_text(json.dumps({"f1": f1, "factors": {"pose": "head turned"}, "faces": 9}))
    lines = factors_block(file).splitlines()
    assert lines[2:5] == [
        "| nothing | 70.0 |",
        "| head turned | 60.0 (-10.0) |",
        "| all of these | 25.0 (-45.0) |",
    ]
    assert "2 runs a method, 9 faces" in lines[-1]


def test_evidence_inside_its_region_stands_beside_chance(tmp_path):
    file, latency = tmp_path / "attention.json", tmp_path / "latency.json"
    mean = {"inside": 0.4, "area": 0.1, "best": 0.8}
    maps = {"evidence": {"mean": mean, "aus_above_chance": 1, "per_au": {"AU01": {}, "AU12": {}}}}
    file.write_text(json.dumps({"inside": {"full": maps}}))
    latency.write_text(json.dumps({"browser": {"wall_ms": {"median": 96.3}}}))
    inside, slider = insides_block(file, latency).splitlines()
    assert inside.startswith("`full` has 40% of") and "(chance 10%" in inside and "1 of 2 AUs" in inside
    assert "in 96 ms" in slider
    assert insides_block(tmp_path / "none.json", tmp_path / "none.json") == "Not measured yet."


def test_what_more_steps_do_is_a_row_each(tmp_path):
    file = tmp_path / "steps.json"
    file.write_text(json.dumps({"f1": {"oracle": {"16": {"0": 0.5, "1": 0.7}, "32": {"0": 0.8}}}}))
    assert steps_block(file).splitlines()[2:] == [
        "| oracle | 16 | 60.0 [50.0, 70.0] |",
        "| oracle | 32 | 80.0 [80.0, 80.0] |",
    ]


def test_weights_of_the_cycle_stand_with_their_source_validation(tmp_path):
    settings = {"method": "adld"}
    one = {
        "settings": settings,
        "seeds": [7, 8],
        "scores": {"validation_f1": {"mean": [0.8, 0.7]}},
        "curves": {},
    }
    file = tmp_path / "cycle.json"
    file.write_text(json.dumps({"study": "cycle", "variants": {"cycle-2.5": one}}))
    assert cycle_block(file).splitlines()[2:] == ["| 2.5 | 75.0 (80.0, 70.0) |"]


def test_what_a_conversion_takes_is_a_row_each_number_of_frames(tmp_path):
    run = {"frames": 15000, "seconds": 19.6, "peak_mb": 218.7, "peak_mb_with_workers": 413.8}
    file = tmp_path / "conversion.json"
    file.write_text(json.dumps({"cores": 3, "runs": [run]}))
    lines = conversion_block(file).splitlines()
    assert lines[2] == "| 15,000 | 20 | 219 | 414 |" and lines[-1].startswith("3 cores")


def test_a_readme_without_its_markers_is_an_error():
    with pytest.raises(ValueError, match="found 0 and 0"):
        with_block("# aulib", "results", "table")


def test_links_and_files_named_in_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+?)(?:#.*?)?\)", readme) if "://" not in link]
    assert sum(link.endswith(".png") for link in links) >= 3
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing
    named = re.findall(r"`((?:aulib|aubench|aufaces|notebooks)/[\w/]+(?:\.py)?)/?`", readme)
    assert named and not [name for name in named if not (ROOT / name).exists()]


def test_the_map_names_every_module():
    for package in PACKAGES:
        named = set(re.findall(r"^ *(\w+)  +\S", importlib.import_module(package).__doc__, re.M))
        there = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__", "__main__"}
        there |= {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert there == named, f"{package}/__init__.py: {sorted(there ^ named)}"


def test_imports_go_one_way():
    allowed = {"aulib": {"aulib"}, "aufaces": {"aufaces"}, "aubench": {"aulib", "aufaces", "aubench"}}
    upward = set()
    for package, below in allowed.items():
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    if name.split(".")[0] in {*PACKAGES, "notebooks"} - below:
                        upward.add((path.relative_to(ROOT).as_posix(), name))
    assert upward == {("aulib/dataset.py", "aufaces.sets")}  # opens synthetic:...


def test_importing_the_package_or_the_command_line_imports_nothing_heavy():
    code = "import sys, aulib, aubench.cli.main; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "torch",
        "numpy",
        "pandas",
        "matplotlib",
        "papermill",
        "warp",
        "anny",
        "IPython",
        "yaml",
        "distributed",
    }
    assert not heavy & set(loaded.stdout.split())


def test_no_file_is_called_after_nothing():
    names = {"utils", "helpers", "common", "misc"}
    assert not [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.stem in names]


@pytest.mark.parametrize("marker", ["slow", "gpu", "browser"])
def test_markers_that_make_leaves_out_are_declared(marker):
    assert f"not {marker}" in (ROOT / "Makefile").read_text()
    assert f'"{marker}: ' in PYPROJECT


def test_make_help_names_every_target_that_a_person_calls():
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "test-all", "lab", "size", "help"):
        assert f"make {target} " in told


def test_every_folder_of_the_library_is_packaged():
    packaged = set(re.findall(r'"([\w.]+)"', re.search(r"^packages = \[(.+?)\]", PYPROJECT, re.M | re.S)[1]))
    folders = {
        path.parent.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    assert packaged == {folder.replace("/", ".") for folder in folders} | {"aubench.notebooks"}


def test_the_demo_installs_no_developer_tools():
    for words, extras in (["demo"], []), (["demo", "TARGET=faces"], ["landmarks"]):
        steps = subprocess.run(["make", "-nB", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        assert re.findall(r"-e '?\.\[([^]]*)\]", steps.stdout) == extras


@pytest.mark.slow
def test_a_built_wheel_carries_the_notebooks_it_runs(tmp_path):
    pytest.importorskip("setuptools", minversion="77", reason="builds without network")
    source = tmp_path / "source"
    source.mkdir()
    for name in (*PACKAGES, "notebooks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", str(tmp_path), str(source)], check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    missing = {f"aubench/{path.relative_to(ROOT)}" for path in (ROOT / "notebooks").rglob("*.ipynb")} - names
    modules = {path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")}
    assert not missing | (modules - names)


def test_the_command_can_be_imported_without_being_run():
    importlib.import_module("aubench.__main__")  # as the book does with every module
