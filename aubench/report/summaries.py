"""A study's finished runs -> one small summary: every score of every seed, curves and cost; and back.

Tables, figures and verdicts are made from the summary, which is committed: a fresh clone reads
`results/NAME.json`, the machine that ran the study reads the run folders.
"""

import json
import re
from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.report.fold_scores import in_any_fold, protocol_of, seeds_over_folds
from aubench.report.results import chance_of_supervisors
from aubench.report.run_values import MEAN, TERM_GROUPS, curves_of, values_of_run
from aubench.study.strict_yaml import read_yaml
from aulib.files import atomic_file, read_json, reading
from aulib.methods import METHODS
from aulib.run import METRICS, NoFinishedRun, Run
from aulib.run_config import what_counts

RUN_NAME = re.compile(r"(.+)-seed\d+(?:\.(\w+))?(?:-[0-9a-f]+)?")
DIGITS = 5  # significant, of what is committed
VALUE_COLUMNS = ["variant", "seed", "measure", "au", "value"]
CURVE_COLUMNS = ["variant", "supervisor", "step", "value", "chance"]


@dataclass(frozen=True)
class Summary:
    """What a study measured.

    settings: variant -> what its runs resolved to (method, supervisors, steps, ...; code: versions of aulib),
        variants in reading order.
    values: variant, seed, measure, au, value; au is AU01, ... or "mean". Scores in [0, 1]; measures
        are f1, auc, f1_norm, nme, failure_rate (target test), source_f1, source_auc, the keys of
        `linear_probes.probe_model` (per AU too), share.TERM (of the gradient), saturation.SUPERVISOR (end of
        its curve over chance), seconds, seconds_per_step, peak_memory_mb. What is undefined has no row.
    curves: variant, supervisor, step, value (nats, mean over seeds), chance (nats, log N).
    missing: runs that are unfinished, and seeds that lack a fold, each with what is missing.
    folds: the protocol over whose folds each seed's values are a mean; "" without one.

    Raises:
        ValueError: two variants that resolved to the same, which nothing but chance could tell apart.
    """

    study: str
    settings: dict[str, dict]
    values: pd.DataFrame
    curves: pd.DataFrame
    question: str = ""
    missing: list[str] = field(default_factory=list)
    folds: str = ""

    def __post_init__(self):
        trained: dict[str, str] = {}
        for variant, settings in self.settings.items():
            text = json.dumps(what_counts(settings) | {"code": None}, sort_keys=True)
            if (twin := trained.setdefault(text, variant)) != variant:
                supervisors = ", ".join(settings.get("supervisors", ())) or "none"
                raise ValueError(
                    f"study {self.study!r}: variants {twin!r} and {variant!r} were the same training "
                    f"(supervisors: {supervisors}; steps: {settings.get('steps')}) and are not compared; "
                    "take one out, or give it the difference that you meant and run the study again"
                )

    @property
    def variants(self) -> list[str]:
        return list(self.settings)

    @property
    def aus(self) -> list[str]:
        """AUs that were scored, in FACS order."""
        return sorted(set(self.values["au"]) - {MEAN})

    def measures(self, start: str = "") -> list[str]:
        """Names of the measures that start with `start`."""
        return [name for name in dict.fromkeys(self.values["measure"]) if name.startswith(start)]

    def seeds_of(self, measure: str, au: str = MEAN) -> pd.DataFrame:
        """One measure as a table: one row per seed, one column per variant, NaN without a value."""
        rows = self.values[(self.values["measure"] == measure) & (self.values["au"] == au)]
        table = rows.pivot(index="seed", columns="variant", values="value")
        return table.reindex(columns=[name for name in self.variants if name in table])


def summarise_runs(
    folder: str | Path,
    order: list[str] | None = None,
    question: str = "",
    only: Container[str] | None = None,
) -> Summary:
    """The finished runs directly below a study's folder, each named `<variant>-seed<n>...`.

    Of several finished runs of a variant and seed the one started last counts. Runs of folds,
    `<variant>-seed<n>.<fold>...`, become their mean; a seed that lacks a fold has no values.

    Args:
        order: variants in reading order; if not given, methods go up the ladder.
        only: names of the runs that count; None for all.

    Raises:
        NoFinishedRun: none there.
        ValueError: the runs of a variant differ in more than the seed, runs were tested on different sets, or
            two variants are the same training.
    """
    folder = Path(folder)
    runs, missing = _latest_runs(folder, only)
    settings: dict[str, dict] = {}
    measured: dict[tuple[str, int], dict[str, dict]] = {}  # of each fold
    curves, data, protocols, codes = [], {}, {}, {}
    for (variant, seed, fold), run in sorted(runs.items()):
        own = run.settings | {"model": run.saved.get("model", {})} | _other_parameters(run.path)
        protocols.setdefault(protocol_of(own) if fold else "", run.path.name)
        own = in_any_fold(own) if fold else own
        data.setdefault(json.dumps(own.pop("data_versions"), sort_keys=True), run.path.name)
        del own["seed"]
        own.pop("intensity_curves", None)  # which are fitted, not set
        codes.setdefault(variant, set()).add(own.pop("code", "unknown"))
        if settings.setdefault(variant, own) != own:
            differing = [key for key in own if settings[variant].get(key) != own[key]]
            if len(codes[variant]) > 1 and "unknown" in codes[variant]:
                differing = "that some are of an earlier version of aulib"
            raise ValueError(
                f"runs of variant {variant!r} differ in {differing}: see {run.path.name}; "
                "move the earlier ones out of the folder"
            )
        chance = chance_of_supervisors(own)
        measured.setdefault((variant, seed), {})[fold] = values_of_run(run, chance)
        curves += [(variant, *row, chance[row[0]]) for row in curves_of(run.history, list(chance))]
    for what, found in (("of different folds", protocols), ("trained or tested on different data", data)):
        if len(found) > 1:
            raise ValueError(f"runs of {folder} are {what} and cannot be compared: {found}")
    [protocol] = protocols
    values, incomplete = seeds_over_folds(measured, protocol)
    if not values:
        raise ValueError(f"{folder} has no seed with all folds of {protocol}: {'; '.join(incomplete)}")
    table = pd.DataFrame(curves, columns=CURVE_COLUMNS)
    return Summary(
        folder.name,
        {
            name: settings[name] | {"code": sorted(version[:12] for version in codes[name])}
            for name in sorted(settings, key=lambda name: _place(name, settings[name]["method"], order or []))
        },
        pd.DataFrame(values, columns=VALUE_COLUMNS),
        table.groupby(["variant", "supervisor", "step"], sort=False, as_index=False).mean(),
        question,
        missing + incomplete,
        protocol,
    )


def _latest_runs(
    folder: Path, only: Container[str] | None
) -> tuple[dict[tuple[str, int, str], Run], list[str]]:
    """(variant, seed, fold) -> the finished run that was started last; and the names of unfinished runs."""
    below = sorted(path.parent for path in folder.glob("*/params.json"))
    below = [run for run in below if only is None or run.name in only]
    finished = [run for run in below if (run / METRICS).is_file() and (run / "result.json").is_file()]
    if not finished:
        raise NoFinishedRun(f"{folder} holds no finished run: no folder with params.json and result.json.")
    latest = {}
    finished.sort(key=lambda run: read_json(run / "params.json").get("started", ""))
    for run in map(Run, finished):
        variant, fold = variant_and_fold(run.path)
        latest[variant, run.settings["seed"], fold] = run
    return latest, [run.name for run in below if run not in finished]


def variant_and_fold(run: Path) -> tuple[str, str]:
    """Both from a run folder's name `<variant>-seed<n>.<fold>-<key>`; the fold is "" without one."""
    found = RUN_NAME.fullmatch(run.name)
    return (found[1], found[2] or "") if found else (run.name, "")


def _other_parameters(run: Path) -> dict:
    """{"parameters": what a run's notebook declares besides the settings of `train_run`}; {} if nothing."""
    params = read_json(run / "params.json")
    given = params.get("resolved", {}).get("parameters", {})
    others = {name: value for name, value in given.items() if value and name not in ("seed", "protocol")}
    return {"parameters": others} if others else {}


def is_bound(settings: dict) -> bool:
    """Whether a variant learned from target labels, so that it is a bound and is not ranked."""
    method = METHODS.get(settings.get("method", ""))
    return method is not None and method.labels_from_target


def _place(variant: str, method: str, order: list[str]) -> tuple:
    """Sort key of variants: the given order, else up the ladder of methods, else by name."""
    return [*order, variant].index(variant), [*METHODS, method].index(method), variant != method, variant


def write_summary(summary: Summary, file: str | Path) -> None:
    """Write what `read_summary` reads."""
    with atomic_file(Path(file)) as partial:
        partial.write_text(summary_text(summary), encoding="utf-8")


def summary_text(summary: Summary) -> str:
    """The summary as JSON that is easy to compare: the seeds of a score, or a curve, on one line."""
    variants = {}
    for name in summary.variants:
        own = summary.values[summary.values["variant"] == name]
        table = own.pivot(index=["measure", "au"], columns="seed", values="value")
        scores: dict[str, dict] = {}
        for (measure, au), row in table.iterrows():
            scores.setdefault(measure, {})[au] = [short(value) for value in row]
        curves = {
            supervisor: {
                "chance": short(rows["chance"].iloc[0]),
                "step": rows["step"].astype(int).tolist(),
                "value": [short(value) for value in rows["value"]],
            }
            for supervisor, rows in summary.curves.query("variant == @name").groupby("supervisor", sort=False)
        }
        seeds = [int(seed) for seed in table.columns]
        variants[name] = {
            "settings": summary.settings[name], "seeds": seeds, "scores": scores, "curves": curves,
        }  # fmt: skip
    about = {"study": summary.study, "question": summary.question, "missing": summary.missing}
    about |= {"folds": summary.folds} if summary.folds else {}
    text = json.dumps(about | {"variants": variants}, indent=1, allow_nan=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


def read_summary(file: str | Path) -> Summary:
    """What `write_summary` wrote.

    Raises:
        ValueError: the file is no summary of a study.
    """
    kept = read_json(file)
    if "variants" not in kept:
        raise ValueError(f"{file} is no summary of a study: it has no key 'variants'")
    with reading(file, "a summary of a study"):
        values, curves, odd = [], [], []
        for name, one in kept["variants"].items():
            if len(set(one["seeds"])) < len(one["seeds"]):
                odd.append(f"seeds of {name} are {one['seeds']}, expected each once")
            for measure, by_au in one["scores"].items():
                for au, of_seeds in by_au.items():
                    if not all(value is None or type(value) in (int, float) for value in of_seeds):
                        odd.append(f"{measure} of {au} of {name} is {of_seeds}, expected numbers")
                    pairs = zip(one["seeds"], of_seeds, strict=True)
                    values += [(name, seed, measure, au, value) for seed, value in pairs if value is not None]
            for supervisor, curve in one["curves"].items():
                points = zip(curve["step"], curve["value"], strict=True)
                curves += [(name, supervisor, step, value, curve["chance"]) for step, value in points]
        settings = {name: one["settings"] for name, one in kept["variants"].items()}
        tables = pd.DataFrame(values, columns=VALUE_COLUMNS), pd.DataFrame(curves, columns=CURVE_COLUMNS)
        about = {name: kept[name] for name in ("question", "missing", "folds") if name in kept}
        study = kept["study"]
    if odd:
        raise ValueError(f"{file}: {odd[0]}")
    try:
        return Summary(study, settings, *tables, **about)
    except ValueError as error:  # two variants are the same training
        raise ValueError(f"{file}: {error}") from None


def find_summary(study: str | Path, results: str | Path = "results") -> Summary:
    """A study's summary from its run folders if they exist, else from the committed JSON.

    Args:
        study: a name such as "supervisors", its YAML in experiments/, the folder of its runs, or a summary.

    Raises:
        NoFinishedRun: none of these exists; names both places.
    """
    study, results = Path(study), Path(results)
    if study.suffix == ".json" and study.is_file():
        return read_summary(study)
    name = study.name if study.is_dir() else study.stem
    folder, committed = (study if study.is_dir() else results / name), results / f"{name}.json"
    file = study if study.suffix in (".yml", ".yaml") else Path("experiments", f"{name}.yml")
    if any(folder.glob("*/result.json")):
        plan = read_yaml(file) if file.is_file() else {}
        if not isinstance(plan, dict):
            raise ValueError(f"{file}: expected the keys of a study, found {type(plan).__name__}")
        return summarise_runs(folder, list(plan.get("variants") or ()), plan.get("question", ""))
    if committed.is_file():
        return read_summary(committed)
    raise NoFinishedRun(
        f"There are no results of study {str(study)!r}, neither runs in {folder} nor {committed}: "
        f"`aulib study {file.as_posix()}` makes them."
    )


def short(value: float, digits: int = DIGITS) -> float | None:
    """A value with `digits` significant digits, as in the committed JSON; None if it is not finite."""
    return None if not np.isfinite(value) else float(f"{value:.{digits}g}")


def shares_of_terms(summary: Summary) -> pd.DataFrame:
    """variant, part (a supervisor, or a group of other terms), share in [0, 1]: mean over seeds.

    Raises:
        ValueError: no run of the study has logged shares.
    """
    own = summary.values[summary.values["measure"].str.startswith("share.")]
    if own.empty:
        raise ValueError(f"no run of study {summary.study!r} has logged shares of the gradient")
    group = {term: name for name, terms in TERM_GROUPS.items() for term in terms}
    term = own["measure"].str.removeprefix("share.")
    own = own.assign(part=term.map(group).fillna(term))
    by_seed = own.groupby(["variant", "seed", "part"])["value"].sum()
    table = by_seed.groupby(["variant", "part"]).mean().rename("share").reset_index()
    order = {name: place for place, name in enumerate(summary.variants)}
    return table.sort_values("variant", key=lambda names: names.map(order), kind="stable", ignore_index=True)
