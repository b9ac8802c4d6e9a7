"""A study: one question, one notebook, many runs, written as a small YAML file.

    question: Do the supervisors help in the wild?
    notebook: 02_train
    fixed: {source: "synthetic:studio", target: "synthetic:wild", steps: 400}
    variants:  # named sets of parameters, over the fixed ones; or grid: {steps: [200, 400], ...}
      adld: {method: adld}
      full: {method: full}
    seeds: [0, 1, 2]
    folds: bp4d-3fold  # if given, every run is one for each fold of the protocol, and their mean counts

Every run has an id, `<variant>-seed<n>-<first digits of its key>` (in a fold `<variant>-seed<n>.<fold>-...`),
and its folder below the study's. The key is a hash of all that shapes the run (`running.run_key`), so a run
of other code or values is another run, and what is finished is never computed twice.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from aubench.report.fold_scores import folds_of
from aubench.study.folds import parameters_in_fold
from aubench.study.notebook_runner import effective_parameters, notebook_path, run_key
from aubench.study.parameters import ParameterError
from aubench.study.run_lock import is_held
from aulib.files import code_version

KEYS = {
    "question": str, "notebook": str, "fixed": dict, "variants": dict, "grid": dict, "seeds": list,
    "folds": str,
}  # fmt: skip
STATES = ("done", "running", "failed", "missing")
NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


class StudyError(ParameterError):
    """A study file that says something impossible; the message names file and key."""


@dataclass(frozen=True)
class Study:
    """A checked study file.

    variants: parameters by name; a grid has become one variant per combination.
    folds: the protocol in whose folds every variant and seed runs; "" without one.
    """

    file: Path
    question: str
    notebook: Path
    fixed: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    seeds: list[int]
    folds: str = ""

    @property
    def name(self) -> str:
        return self.file.stem


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study. index: its place among all runs of the study, from 0. fold: "" without folds."""

    index: int
    id: str
    variant: str
    seed: int
    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    key: str
    fold: str = ""


def read_study(file: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        FileNotFoundError: no such file.
        StudyError: unknown, missing or repeated key, wrong type, a parameter that the notebook does not
            declare.
    """
    file = Path(file)
    said = _read_yaml(file)
    if not isinstance(said, dict):
        raise StudyError(f"{file}: expected keys {list(KEYS)}, found {type(said).__name__}")
    for key, value in said.items():
        if key not in KEYS:
            raise StudyError(f"{file}: unknown key {key!r}; there are {list(KEYS)}")
        if not isinstance(value, KEYS[key]):
            found = f"{value!r} of type {type(value).__name__}"
            raise StudyError(f"{file}: {key}: expected {KEYS[key].__name__}, found {found}")
    for key in ("question", "notebook", "seeds"):
        if not said.get(key):
            raise StudyError(f"{file}: key {key!r} is missing or empty")
    if "grid" in said and "variants" in said:
        raise StudyError(f"{file}: has both 'grid' and 'variants', expected one of them")
    fixed, seeds = said.get("fixed", {}), said["seeds"]
    for place, seed in enumerate(seeds):
        if type(seed) is not int or seed in seeds[:place]:
            raise StudyError(f"{file}: seeds: expected whole numbers, each once, found {seed!r}")
    variants = _combinations(said["grid"], file) if "grid" in said else _named(said.get("variants"), file)
    try:
        notebook = notebook_path(file.parent / said["notebook"])
    except FileNotFoundError:
        try:
            notebook = notebook_path(said["notebook"])
        except FileNotFoundError as error:
            raise StudyError(f"{file}: notebook: {error}") from None
    study = Study(file, said["question"], notebook, fixed, variants, seeds, said.get("folds", ""))
    _check_parameters(study)
    _check_folds(study)
    return study


def expand(study: Study, out: str | Path | None = None, only: Iterable[str] = ()) -> list[PlannedRun]:
    """All runs of a study, or those of some variants, variant by variant, in each seed by seed, fold by fold.

    Args:
        out: the study's folder; results/<study> if not given.
        only: names of variants; empty for all.

    Raises:
        StudyError: `only` names no variant, a value does not fit its parameter, or two variants are the same.
    """
    if unknown := sorted(set(only) - study.variants.keys()):
        raise StudyError(f"{study.file}: no variant {unknown}; there are {list(study.variants)}")
    root = Path(out) if out is not None else Path("results", study.name)
    runs: list[PlannedRun] = []
    library = code_version()
    folds = folds_of(study.folds) if study.folds else [""]
    for index, (name, seed, fold) in enumerate(product(study.variants, study.seeds, folds)):
        if only and name not in only:
            continue
        given = study.fixed | study.variants[name] | {"seed": seed}
        if fold:
            given = parameters_in_fold(given, study.folds, fold)
        try:
            key = run_key(study.notebook, effective_parameters(study.notebook, given, root), library)
        except ParameterError as error:
            raise StudyError(f"{study.file}: variant {name!r}: {error}") from None
        run_id = f"{name}-seed{seed}{f'.{fold}' if fold else ''}-{key[:8]}"
        runs.append(PlannedRun(index, run_id, name, seed, study.notebook, given, root / run_id, key, fold))
    _refuse_twins(study, runs)
    return runs


def state_of(run: PlannedRun) -> str:
    """One of STATES, as the run's folder says now. An interrupted run is missing: it goes on when started."""
    if is_done(run):
        return "done"
    if (run.folder / "error.txt").is_file():  # a runner removes it first; who only looks holds the lock too
        return "failed"
    return "running" if is_held(run.folder) else "missing"


def is_done(run: PlannedRun) -> bool:
    try:
        return json.loads((run.folder / "result.json").read_text(encoding="utf-8"))["key"] == run.key
    except (OSError, ValueError, KeyError):
        return False


def why_failed(run: PlannedRun) -> str:
    """First line of the run's error.txt; "" if there is none."""
    try:
        return (run.folder / "error.txt").read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return ""


def collect(runs: list[PlannedRun]) -> dict[str, dict]:
    """What the finished runs measured: {id: the contents of metrics.json}, in the order of `runs`."""
    metrics = {}
    for run in runs:
        if is_done(run):
            file = run.folder / "metrics.json"
            metrics[run.id] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return metrics


class _OnceEach(yaml.SafeLoader):
    """YAML's mapping silently keeps the last of two equal keys; here that is an error."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise StudyError(f"{self.name}, line {key_node.start_mark.line + 1}: {key!r} stands twice")
            seen.add(key if isinstance(key, str) else id(key))
        return super().construct_mapping(node, deep)


def _read_yaml(file: Path) -> Any:
    with open(file, encoding="utf-8") as text:
        loader = _OnceEach(text)
        loader.name = str(file)
        try:
            return loader.get_single_data()
        except yaml.YAMLError as error:
            raise StudyError(f"{file}: no YAML: {' '.join(str(error).split())}") from None
        finally:
            loader.dispose()


def _named(variants: dict | None, file: Path) -> dict[str, dict]:
    if not variants:
        raise StudyError(f"{file}: key 'variants' or 'grid' is missing or empty")
    for name, values in variants.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise StudyError(f"{file}: variants: {name!r} is no name (letters, digits, . _ + -)")
        if values is not None and not isinstance(values, dict):
            raise StudyError(f"{file}: variants: {name}: expected parameters, found {values!r}")
    return {name: values or {} for name, values in variants.items()}


def _combinations(grid: dict, file: Path) -> dict[str, dict]:
    """Every combination, named after its values: method "full" with 200 steps is "full-steps200"."""
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise StudyError(f"{file}: grid: {name}: expected a list of values, found {values!r}")
    variants: dict[str, dict] = {}
    for values in product(*grid.values()):
        pairs = zip(grid, values, strict=True)
        words = [str(value) if isinstance(value, str) and value else f"{key}{value}" for key, value in pairs]
        name = "-".join(re.sub(r"[^\w.+-]+", "_", word).strip("_.") for word in words)
        if name in variants:
            raise StudyError(f"{file}: grid: two combinations would both be named {name!r}")
        variants[name] = dict(zip(grid, values, strict=True))
    return variants


def _check_parameters(study: Study) -> None:
    from aubench.study.parameters import declared_parameters

    declared = declared_parameters(study.notebook)
    places = {"fixed": study.fixed} | {f"variant {name!r}": v for name, v in study.variants.items()}
    for place, values in places.items():
        for name in values:
            if name in ("seed", "out_dir"):
                raise StudyError(f"{study.file}: {place}: {name!r} is set by the study itself")
            if name not in declared:
                raise StudyError(
                    f"{study.file}: {place}: {study.notebook.name} declares no parameter {name!r}; "
                    f"it has {list(declared)}"
                )
    if "seed" not in declared:
        raise StudyError(f"{study.file}: notebook: {study.notebook.name} declares no parameter 'seed'")


def _check_folds(study: Study) -> None:
    """A protocol that there is, and in every variant a source and a target that it can stand behind."""
    if not study.folds:
        for name, values in study.variants.items():
            protocol = (study.fixed | values).get("protocol", "")
            if protocol and "/" not in str(protocol):
                raise StudyError(
                    f"{study.file}: variant {name!r}: protocol {protocol!r} is all folds in one run; write "
                    f"`folds: {protocol}` beside the seeds, or one fold"
                )
        return
    try:
        fold = folds_of(study.folds)[0]
    except ValueError as error:
        raise StudyError(f"{study.file}: folds: {error}") from None
    for name, values in study.variants.items():
        try:
            parameters_in_fold(study.fixed | values, study.folds, fold)
        except ValueError as error:
            raise StudyError(f"{study.file}: variant {name!r}: {error}") from None


def _refuse_twins(study: Study, runs: list[PlannedRun]) -> None:
    first: dict[str, PlannedRun] = {}
    for run in runs:
        twin = first.setdefault(run.key, run)
        if twin is not run:
            raise StudyError(f"{study.file}: variants {twin.variant!r} and {run.variant!r} are the same run")
