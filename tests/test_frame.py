"""pyproject.toml, environment.yml, Makefile, pages and the maps of the packages agree with the code."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from aubench.report.readme import pages

ROOT = Path(__file__).parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PACKAGES = ("aulib", "aufaces", "aubench")
PAGES = ("README.md", "CONTRIBUTING.md", "experiments/README.md", "results/README.md")


def listed(key: str) -> list[str]:
    """A list of strings in pyproject.toml (tomllib is not in Python 3.10)."""
    block = re.search(rf"^{re.escape(key)} = \[(.*?)^\]", PYPROJECT, re.M | re.S)[1]
    return re.findall(r'^    "([^"]+)"', block, re.M)


def test_the_conda_environment_installs_what_the_demo_needs():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in wanted if isinstance(entry, dict))
    plain = [entry for entry in wanted if isinstance(entry, str)]
    assert plain == ["python" + re.search(r'requires-python = "(.+)"', PYPROJECT)[1], "pip"]
    assert [line for line in pip if not line.startswith("-c ")] == ["-e .[landmarks]"]
    assert listed("landmarks")
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
    extras = re.search(r"^\[project.optional-dependencies\]\n(.+?)^\[", PYPROJECT, re.M | re.S)[1]
    names = ["dependencies", *re.findall(r"^(\w+) = \[$", extras, re.M)]
    for text in [need for name in names for need in listed(name)]:
        need = Requirement(text)
        assert need.specifier.contains(pins[need.name.lower().replace("_", "-")]), text


def test_pages_show_what_the_committed_results_say():
    for page, text in pages(ROOT).items():
        assert page.read_text() == text, f"{page}: run `make readme`"


def test_the_readmes_results_are_of_the_study_it_names():
    from aubench.report.summaries import read_summary
    from aubench.study.plan import read_study

    study = read_study(ROOT / "experiments" / "supervisors.yml")
    summary = read_summary(ROOT / "results" / "supervisors.json")
    assert set(summary.variants) <= set(study.variants)
    for name, own in summary.settings.items():
        assert own["steps"] == study.variants[name].get("steps", study.fixed["steps"])
    assert set(summary.values["seed"]) == set(study.seeds)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_named_on_a_page_exist(page):
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+?)(?:#.*?)?\)", text) if "://" not in link]
    assert not [link for link in links if not ((ROOT / page).parent / link).exists()]
    named = re.findall(r"`((?:aulib|aubench|aufaces|notebooks|tests|benchmarks|docs)/[\w/.]+)`", text)
    named = [name for name in named if not re.search(r"\bN_|_N\b", name)]  # "lesson_N.py"
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_readme_has_at_most_150_lines_and_two_pictures():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150 and len(re.findall(r"\]\([^)]+\.png\)", readme)) >= 2


def test_the_map_names_every_module():
    folders = {path.parent for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")}
    for folder in sorted(folders):
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        named = set(re.findall(r"^ *(\w+)  +\S", docstring, re.M))
        there = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
        there |= {path.parent.name for path in folder.glob("*/__init__.py")}
        assert there == named, f"{folder}/__init__.py: {sorted(there ^ named)}"


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
    opens_synthetic, writes = ("aulib/dataset.py", "aufaces.sets"), ("aulib/files.py", "aufaces.files")
    assert upward == {opens_synthetic, writes}


def test_importing_the_package_or_the_command_line_imports_nothing_heavy():
    code = "import sys, aulib, aubench.cli.main; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = "torch numpy pandas matplotlib papermill warp anny IPython yaml distributed"
    assert not set(heavy.split()) & set(loaded.stdout.split())


def test_no_file_has_a_name_without_a_meaning():
    names = {"utils", "helpers", "common", "misc"}
    assert not [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.stem in names]


@pytest.mark.parametrize("marker", ["slow", "gpu", "browser"])
def test_the_markers_that_make_test_leaves_out_are_declared(marker):
    assert f"not {marker}" in (ROOT / "Makefile").read_text()
    assert f'"{marker}: ' in PYPROJECT


def test_make_help_lists_every_target():
    printed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.search(r"^.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split():
        assert f"make {target} " in printed


def test_every_folder_of_the_library_is_packaged():
    packaged = set(re.findall(r'"([\w.]+)"', re.search(r"^packages = \[(.+?)\]", PYPROJECT, re.M | re.S)[1]))
    folders = {
        path.parent.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    }
    assert packaged == {folder.replace("/", ".") for folder in folders} | {"aubench.notebooks"}


def test_the_demo_installs_no_developer_tools():
    for words, extras in (["demo"], []), (["demo", "TARGET=faces"], ["faces"]):
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
    command = importlib.import_module("aubench.__main__")  # as the book does with every module
    assert command.main is importlib.import_module("aubench.cli.main").main
