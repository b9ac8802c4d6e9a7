"""A study: one question, one notebook, many runs, written as a small YAML file.

    question: Do the supervisors help in the wild?
    notebook: 02_train
    fixed: {source: "synthetic:studio", target: "synthetic:wild", steps: 400}
    variants:  # named sets of parameters, over the fixed ones; or grid: {steps: [200, 400], ...}
      adld: {method: adld}
      full: {method: full}
    seeds: [0, 1, 2]
    folds: bp4d-3fold  # optional: one run for each fold of the protocol; a seed's score is their mean
    most_runs: 20000  # optional: a file that asks for more runs is refused, by default MOST_RUNS

What a file does not say is the library's default, not that of the notebook's parameters cell: Jupyter saves
an edited cell by itself. Every run has an id, `<variant>-seed<n>-<first digits of its key>` (in a fold
`<variant>-seed<n>.<fold>-...`), and a folder of that name. The key is a hash of what the run resolves to
(`resolved.py`): with other code or values it is another run, a finished run is never computed again, and two
variants that resolve to the same are an error.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, model_validator

from aubench.study.folds import parameters_in_fold
from aubench.study.notebook_runner import notebook_path
from aubench.study.parameters import SHORT, ParameterError, effective_parameters, with_library_defaults
from aubench.study.resolved import headlines, resolve, run_key
from aubench.study.strict_yaml import read_yaml
from aulib.files import code_version
from aulib.protocols import PROTOCOLS, folds_of


class StudyError(ParameterError):
    """An error in a study file; the message names file and key."""


def _found(notebook: str, info: ValidationInfo) -> Path:
    """A name such as "02_train", or a file next to the study."""
    own = info.context.parent / notebook
    try:
        return notebook_path(own if own.is_file() else notebook)
    except FileNotFoundError as error:
        raise ValueError(str(error)) from None


MOST_RUNS = 10_000  # of a study that does not say how many it means
LONGEST_NAME = 150  # bytes; it is part of a folder's name
VariantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.+-]*$")]


class Study(BaseModel):
    """The keys of a study file, in the order in which errors list them.

    variants: the parameters of each, by name; a grid is one variant for each combination.
    folds: protocol; every variant and seed runs once in each of its folds. "" without one.
    most_runs: a study of more is an error, before a grid is multiplied out.
    """

    model_config = {"strict": True, "extra": "forbid"}

    question: str = Field(min_length=1)
    notebook: Annotated[str, Field(min_length=1), AfterValidator(_found)]  # its file, once validated
    fixed: dict[str, Any] = {}
    variants: dict[VariantName, dict[str, Any] | None] = {}
    grid: dict[str, Annotated[list, Field(min_length=1)]] = {}
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(min_length=1)  # what NumPy takes
    folds: str = ""
    most_runs: Annotated[int, Field(ge=1)] = MOST_RUNS
    _file: Path
    _fold_names: list[str]

    @model_validator(mode="after")
    def _resolve(self, info: ValidationInfo) -> "Study":
        if bool(self.variants) == bool(self.grid):
            raise ValueError("give either 'variants' or 'grid'")
        self._fold_names = folds_of(self.folds) if self.folds else [""]
        several = math.prod(map(len, self.grid.values())) if self.grid else len(self.variants)
        if (runs := several * len(self.seeds) * len(self._fold_names)) > self.most_runs:
            found = f"{runs:,} runs: {several:,} variants, {len(self.seeds):,} seeds"
            found += f", {len(self._fold_names)} folds" if self.folds else ""
            raise ValueError(
                f"{found}; expected at most {self.most_runs:,}, or `most_runs: {runs}` if they are meant"
            )
        variants = _combinations(self.grid) if self.grid else self.variants
        if long := next((name for name in variants if len(name.encode()) > LONGEST_NAME), ""):
            raise ValueError(f"the name of a variant has more than {LONGEST_NAME} bytes: {long[:60]}...")
        self.variants = {name: values or {} for name, values in variants.items()}
        self._file = info.context
        return self


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study.

    index: its position in the whole study, from 0.  parameters: all but `out_dir`.  resolved: from
    `resolved.resolve`.  fold: "" without folds.
    """

    index: int
    id: str
    variant: str
    seed: int
    notebook: Path
    parameters: dict[str, Any]
    folder: Path
    key: str
    resolved: dict[str, Any]
    fold: str = ""


def read_study(file: str | Path) -> Study:
    """Read and check a study file.

    Raises:
        FileNotFoundError: no such file.
        StudyError: another encoding, no YAML, an unknown, missing or repeated key, a wrong type, or
            parameters that the notebook cannot take.
    """
    file = Path(file)
    try:
        study = Study.model_validate(read_yaml(file), context=file)
    except ValidationError as error:
        raise StudyError(f"{file}: {_first_problem(error)}") from None
    except ValueError as error:  # no YAML
        raise StudyError(str(error)) from None
    for name in study.variants:
        _parameters(study, name, study.seeds[0], study._fold_names[0])
    return study


def _first_problem(error: ValidationError) -> str:
    problems = error.errors()
    problem = next((one for one in problems if one["type"] == "extra_forbidden"), problems[0])
    key = ": ".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "model_type" | "extra_forbidden":
            found = SHORT.repr(key or problem["input"])
            return f"expected the keys {list(Study.model_fields)}, found {found}"
        case "missing":
            return f"key {key!r} is missing"
    if problem["loc"][-1:] == ("[key]",):
        where, found = ": ".join(map(str, problem["loc"][:-2])), problem["input"]
        if isinstance(found, str):
            return f"{where}: {SHORT.repr(found)} is no name, expected letters, digits and . _ + -"
        return f"{where}: the key {found!r} is no name ({{a: 0,1}} has two keys; write 0.1)"
    found = f", found {SHORT.repr(problem['input'])}" if key else ""
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}{found}".removeprefix(": ")


def expand(study: Study, out: str | Path | None = None, only: Iterable[str] = ()) -> list[PlannedRun]:
    """All runs of a study, ordered by variant, seed and fold.

    Args:
        out: the study's folder; results/<study> if not given.
        only: names of variants; empty for all.

    Raises:
        StudyError: an unknown name in `only`, a rendered set that there is not, two variants or seeds that
            resolve to the same run, or variants of which one leaves the precision to the machine and another
            does not.
    """
    if unknown := sorted(set(only) - study.variants.keys()):
        raise StudyError(f"{study._file}: no variant {unknown}; there are {SHORT.repr(list(study.variants))}")
    root = Path(out) if out is not None else Path("results", study._file.stem)
    runs: dict[str, PlannedRun] = {}  # by key
    library = code_version()
    for index, (name, seed, fold) in enumerate(product(study.variants, study.seeds, study._fold_names)):
        given, values = _parameters(study, name, seed, fold)
        try:
            resolved = resolve(study.notebook, values, library)
        except ValueError as error:  # a rendered set that there is not
            raise StudyError(f"{study._file}: variant {name!r}: {error}") from None
        key = run_key(resolved)
        if twin := runs.get(key):
            raise StudyError(f"{study._file}: {_same(twin, name, seed, resolved)}")
        run_id = f"{name}-seed{seed}{f'.{fold}' if fold else ''}-{key[:8]}"
        folder = root / run_id
        runs[key] = PlannedRun(index, run_id, name, seed, study.notebook, given, folder, key, resolved, fold)
    precisions = {run.resolved["training"].get("precision") for run in runs.values()}
    if "auto" in precisions and len(precisions) > 1:
        raise StudyError(f"{study._file}: precision {sorted(precisions)}: auto is one of the others; name it")
    return [run for run in runs.values() if not only or run.variant in only]


def _same(twin: PlannedRun, name: str, seed: int, resolved: dict) -> str:
    if twin.variant == name:
        return f"variant {name!r} with seed {seed} is given twice"
    lines = headlines(resolved)
    parts = [part for part in ("supervisors", "alignment", "schedule") if part in lines] or list(lines)
    found = "; ".join(f"{part}: {lines[part]}" for part in parts)
    return (
        f"variants {twin.variant!r} and {name!r} resolve to the same run ({found}), so a model would be "
        "compared with itself; take one out, or give it the difference that you meant"
    )


def _parameters(study: Study, variant: str, seed: int, fold: str) -> tuple[dict, dict]:
    """Parameters of one run, without and with `out_dir`."""
    given = study.fixed | study.variants[variant]
    try:
        if own := sorted(given.keys() & {"seed", "out_dir"}):
            raise ParameterError(f"{own} are set by the study itself")
        if fold:
            given = parameters_in_fold(given, study.folds, fold)
        given = with_library_defaults(study.notebook, given) | {"seed": seed}
        values = effective_parameters(study.notebook, given, Path())
        if (protocol := str(values.get("protocol"))) in PROTOCOLS:
            raise ParameterError(
                f"protocol {protocol!r} trains all folds in one run; "
                f"write `folds: {protocol}` next to the seeds, or name one fold"
            )
        return given, values
    except ValueError as error:
        raise StudyError(f"{study._file}: variant {variant!r}: {error}") from None


def _word(key: str, value) -> str:
    """A value in the name of a grid's variant."""
    if isinstance(value, str) and value:
        return value
    return f"{key}-own" if value is None else f"{key}{value}" if value or value == 0 else f"{key}-none"


def _combinations(grid: dict[str, list]) -> dict[str, dict]:
    """Every combination, named after its values: method "full" with 200 steps is "full-steps200"."""
    variants: dict[str, dict] = {}
    for values in product(*grid.values()):
        combination = dict(zip(grid, values, strict=True))
        words = [_word(key, value) for key, value in combination.items()]
        name = "-".join(re.sub(r"[^\w.+-]+", "_", word).strip("_.") for word in words)
        if not name:
            raise ValueError(f"grid: {combination} gives no name; write it as a variant")
        if name in variants:
            raise ValueError(f"grid: two combinations would both be named {name!r}")
        variants[name] = combination
    return variants
