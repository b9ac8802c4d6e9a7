"""A study: one question, one notebook, many runs, written as a small YAML file.

    question: Do the supervisors help in the wild?
    notebook: 02_train
    fixed: {source: "synthetic:studio", target: "synthetic:wild", steps: 400}
    variants:  # named sets of parameters, over the fixed ones; or grid: {steps: [200, 400], ...}
      adld: {method: adld}
      full: {method: full}
    seeds: [0, 1, 2]
    folds: bp4d-3fold  # optional: one run for each fold of the protocol; a seed's score is their mean

Every run has an id, `<variant>-seed<n>-<first digits of its key>` (in a fold `<variant>-seed<n>.<fold>-...`),
and a folder of that name. The key is a hash of everything that shapes the run (`notebook_runner.run_key`):
with other code or values it is another run, and a finished run is never computed again.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from aubench.report.fold_scores import folds_of
from aubench.study.folds import parameters_in_fold
from aubench.study.notebook_runner import effective_parameters, notebook_path, run_key
from aubench.study.parameters import ParameterError, declared_parameters
from aubench.study.run_lock import is_held
from aulib.files import code_version

STATES = ("done", "running", "failed", "missing")


class StudyError(ParameterError):
    """An error in a study file; the message names file and key."""


def _each_once(seeds: list[int]) -> list[int]:
    if repeated := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise ValueError(f"each seed may be given once, repeated: {repeated}")
    return seeds


VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*$")]


class _StudyFile(BaseModel):
    """The keys of a study file, in the order in which errors list them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: str = Field(min_length=1)
    notebook: str = Field(min_length=1)
    fixed: dict[str, Any] = {}
    variants: dict[VariantName, dict[str, Any] | None] = {}
    grid: dict[str, Annotated[list, Field(min_length=1)]] = {}
    seeds: Annotated[list[int], Field(min_length=1), AfterValidator(_each_once)]
    folds: str = ""


@dataclass(frozen=True)
class Study:
    """A checked study file.

    variants: the parameters of each, by name; a grid is one variant for each combination.
    folds: protocol; every variant and seed runs once in each of its folds. "" without one.
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
    """One run of a study. index: its position in the whole study, from 0. fold: "" without folds."""

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
        StudyError: an unknown, missing or repeated key, a wrong type, or a parameter that the notebook does
            not declare.
    """
    file = Path(file)
    content = _read_yaml(file)
    try:
        read = _StudyFile.model_validate(content)
    except ValidationError as error:
        raise StudyError(f"{file}: {_first_problem(error)}") from None
    if bool(read.variants) == bool(read.grid):
        raise StudyError(
            f"{file}: give either 'variants' or 'grid', found {'both' if read.grid else 'neither'}"
        )
    variants = (
        _combinations(read.grid, file)
        if read.grid
        else {name: values or {} for name, values in read.variants.items()}
    )
    beside = file.parent / read.notebook
    try:
        notebook = notebook_path(beside if beside.is_file() else read.notebook)
    except FileNotFoundError as error:
        raise StudyError(f"{file}: notebook: {error}") from None
    study = Study(file, read.question, notebook, read.fixed, variants, read.seeds, read.folds)
    _check_parameters(study)
    _check_folds(study)
    return study


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    key = ": ".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "model_type":
            return f"expected the keys {list(_StudyFile.model_fields)}, found {problem['input']!r}"
        case "extra_forbidden":
            return f"unknown key {key!r}; choose from {list(_StudyFile.model_fields)}"
        case "string_pattern_mismatch":
            return f"variants: {problem['input']!r} is not a name; use letters, digits and . _ + -"
        case "missing":
            return f"key {key!r} is missing"
        case _:
            return f"{key}: {problem['msg'].removeprefix('Value error, ')}, found {problem['input']!r}"


def expand(study: Study, out: str | Path | None = None, only: Iterable[str] = ()) -> list[PlannedRun]:
    """All runs of a study, ordered by variant, seed and fold.

    Args:
        out: the study's folder; results/<study> if not given.
        only: names of variants; empty for all.

    Raises:
        StudyError: an unknown name in `only`, a value that does not fit its parameter, or two equal variants.
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
    """One of STATES, read from the run's folder. An interrupted run is missing; it resumes when started."""
    if is_done(run):
        return "done"
    if (run.folder / "error.txt").is_file():  # a runner removes it first; `is_held` of an observer locks too
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
    """{id: contents of metrics.json} of the finished runs, in the order of `runs`."""
    metrics = {}
    for run in runs:
        if is_done(run):
            file = run.folder / "metrics.json"
            metrics[run.id] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return metrics


class _OnceEach(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a warning; here they are an error."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise StudyError(f"{self.name}, line {key_node.start_mark.line + 1}: {key!r} is given twice")
            seen.add(key if isinstance(key, str) else id(key))
        return super().construct_mapping(node, deep)


def _read_yaml(file: Path) -> Any:
    with open(file, encoding="utf-8") as text:
        loader = _OnceEach(text)
        loader.name = str(file)
        try:
            return loader.get_single_data()
        except yaml.YAMLError as error:
            raise StudyError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from None
        finally:
            loader.dispose()


def _combinations(grid: dict, file: Path) -> dict[str, dict]:
    """Every combination, named after its values: method "full" with 200 steps is "full-steps200"."""
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
    """The protocol must exist, and every variant needs a source and a target that can take a fold."""
    if not study.folds:
        for name, values in study.variants.items():
            protocol = (study.fixed | values).get("protocol", "")
            if protocol and "/" not in str(protocol):
                raise StudyError(
                    f"{study.file}: variant {name!r}: protocol {protocol!r} trains all folds in one run; "
                    f"write `folds: {protocol}` next to the seeds, or name one fold"
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
