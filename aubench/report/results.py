"""Run folders -> tables: scores of methods with their spread, per AU, and the faces a run keeps.

Nothing here needs the data the runs were trained on.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.study.resolved import differences
from aulib import pretrained
from aulib.contrastive import chance_level
from aulib.dataset import read_dataset
from aulib.expressions import ContrastScores
from aulib.metrics import AU_MEASURES, MEASURES, REPORTED
from aulib.networks import GRID
from aulib.run import METRICS, NoFinishedRun, Run
from aulib.run_config import what_counts
from aulib.supervisors import CONTRASTS, SUPERVISORS

OF_A_SEED = ("seed", "code", "precision", "data_versions", "intensity_curves")
SCORES = {name: MEASURES[name].key for name in REPORTED}


def finished_runs(runs: list[str | Path]) -> tuple[list[str], list[str]]:
    """The folders with a finished run, and those without; order kept.

    Raises:
        NoFinishedRun: there is none.
    """
    done = [str(run) for run in runs if (Path(run) / METRICS).is_file()]
    if not done:
        raise NoFinishedRun(
            f"There is no finished run yet in {', '.join(map(str, runs))}: `make demo` makes those in "
            "results/demo, `aulib run 02_train --out FOLDER` one in a folder that you then name in `runs`."
        )
    return done, [str(run) for run in runs if str(run) not in done]


def runs_or_package(runs: list[str], out_dir: str | Path) -> list[str]:
    """The runs that a notebook names; while `make demo` has left none, a copy of the package's detector.

    Args:
        out_dir: gets the copy, in which a decoder may be fitted.
    """
    named = [Path(run).parts[:2] == ("results", "demo") for run in runs]
    if not all(named) or any((Path(run) / METRICS).is_file() for run in runs):
        return runs
    copy = Path(out_dir, "package")
    if not (copy / METRICS).is_file():
        shutil.copytree(pretrained().path, copy, dirs_exist_ok=True)
    return [str(copy)]


def run_to_show(runs: list[str | Path]) -> str:
    """The run whose insides are worth a figure: `full`, else the last that separates, else the last."""
    settings = {str(run): Run(run).settings for run in runs}
    for wanted in (
        lambda s: s["method"] == "full",
        lambda s: s["read_target_from"] != "features",
        lambda s: s["method"] != "landmarks-only",
    ):
        if fitting := [run for run, setting in settings.items() if wanted(setting)]:
            return fitting[-1]
    return str(runs[-1])


def names_of_runs(runs: list[str | Path]) -> list[str]:
    """What a report calls each run: its method, and how it differs from the first run of that method.

    Seeds and code versions make no difference: `full` and `full, supervisors rich_source` are two rows.
    """
    first: dict[str, dict] = {}
    names = []
    for run in runs:
        settings = Run(run).settings
        trained = {name: value for name, value in what_counts(settings).items() if name not in OF_A_SEED}
        method = settings["method"]
        found = differences(first.setdefault(method, trained), trained)
        if "supervisors" in found:  # which the weights follow
            found = {name: values for name, values in found.items() if not name.startswith("weights.")}
        names.append(", ".join([method, *(f"{name} {value}" for name, (_, value) in found.items())]))
    return names


def scores_of_runs(runs: list[str | Path]) -> pd.DataFrame:
    """Each run in a row: run, method (`names_of_runs`), seed, `scores_on` the target, steps, seconds ...

    Raises:
        ValueError: no runs, or runs whose test sets differ.
    """
    if not runs:
        raise ValueError("no runs given, expected run folders")
    rows, tested_on = [], {}
    for run, name in zip(runs, names_of_runs(runs), strict=True):
        opened = Run(run)
        metrics, settings = opened.metrics, opened.settings
        tested_on.setdefault(settings["data_versions"]["target"], str(run))
        row = {"run": str(run), "method": name, "seed": settings["seed"]}
        row |= scores_on(metrics, "target") | {"steps": settings["steps"]}
        rows.append(row | {name: metrics.get(name, np.nan) for name in ("seconds", "peak_memory_mb")})
    if len(tested_on) > 1:
        raise ValueError(f"the runs were tested on different target sets and cannot be compared: {tested_on}")
    return pd.DataFrame(rows)


def scores_on(metrics: dict, domain: str) -> dict[str, float]:
    """n (faces), and each of SCORES with its 95 % interval over subjects as `_low` and `_high`."""
    names = {f"{name}{end}": f"{key}{end}" for name, key in SCORES.items() for end in ("", "_low", "_high")}
    return {name: metrics.get(f"{domain}.{key}", np.nan) for name, key in ({"n": "n"} | names).items()}


def table_of_domains(run: str | Path) -> pd.DataFrame:
    """One run on its two domains: a row each for source and target test, with SCORES and their intervals."""
    metrics = Run(run).metrics
    return pd.DataFrame([{"domain": name} | scores_on(metrics, name) for name in ("source", "target")])


def table_of_methods(runs: list[str | Path]) -> pd.DataFrame:
    """One row a method: mean score on the target over its seeds, with what varies as `_low` and `_high`.

    With several seeds `_low` and `_high` are the lowest and the highest seed; with one seed they are the
    run's own 95 % interval over subjects. `spread` says which.

    Returns:
        method, seeds (how many), spread, f1, f1_low, f1_high, auc ..., f1_norm ..., nme ..., steps, seconds,
        peak_memory_mb; methods in the order of `runs`.
    """
    costs = ["steps", "seconds", "peak_memory_mb"]
    table = _over_seeds(scores_of_runs(runs), ["method"], list(SCORES), costs)
    table.insert(2, "spread", np.where(table["seeds"] > 1, "seeds", "subjects, 95 %"))
    return table


def table_per_au(runs: list[str | Path], domain: str = "target") -> pd.DataFrame:
    """One row a method and AU: f1, auc, f1_norm on a domain, and its test split's base_rate and support.

    Means over seeds; `_low` and `_high` as in `table_of_methods`.
    """
    rows, start = [], f"{domain}.per_au."
    for run, method in zip(runs, names_of_runs(runs), strict=True):
        opened, by_au = Run(run), {}
        for key, value in opened.metrics.items():
            if key.startswith(start):
                au, _, name = key.removeprefix(start).partition(".")
                by_au.setdefault(au, {"method": method, "au": au})[name] = value
        rows += by_au.values()
    ends = [f"{name}{end}" for name in AU_MEASURES for end in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["method", "au", *ends, "base_rate", "support"])
    return _over_seeds(table, ["method", "au"], list(AU_MEASURES), ["base_rate", "support"])


def learned_aus(table: pd.DataFrame) -> pd.DataFrame:
    """How many AUs each method detects better than always answering "present", by F1.

    That answer scores 2 r / (1 + r) at base rate r.

    Args:
        table: `table_per_au`.

    Returns:
        index: method, without those that no AU is scored of; above: AUs better than that; scored: of how
        many; learned: whether `above` is at least half of them.
    """
    known = table.dropna(subset=["f1", "base_rate"])
    above = known["f1"] > 2 * known["base_rate"] / (1 + known["base_rate"])
    counts = above.groupby(known["method"], sort=False).agg(above="sum", scored="size")
    return counts.assign(learned=2 * counts["above"] >= counts["scored"])


def not_learned(run: str | Path) -> str:
    """That a run did not learn its AUs, without a full stop; "" if it did, by `learned_aus`.

    By the target's test faces; if none is labelled, as in photographs of one's own, by the source's.
    """
    tables = {domain: table_per_au([run], domain) for domain in ("target", "source")}
    domain = next((name for name, table in tables.items() if table["f1"].notna().any()), "")
    if not domain:
        return ""
    above, scored, learned = learned_aus(tables[domain]).iloc[0]
    text = f"{run} did not learn the AUs of its {domain}: on test faces {scored - above} of {scored} are "
    return "" if learned else text + 'below always answering "present"'


def _over_seeds(table: pd.DataFrame, by: list[str], scores: list[str], others: list[str]) -> pd.DataFrame:
    """Mean, `_low` and `_high` of scores, and the mean of the others; without undefined seeds."""
    rows = []
    for names, own in table.groupby(by, sort=False):
        row = dict(zip(by, names, strict=True)) | {"seeds": len(own)}
        for name in scores:
            low, high = (name, name) if len(own) > 1 else (f"{name}_low", f"{name}_high")
            row |= {name: own[name].mean(), f"{name}_low": own[low].min(), f"{name}_high": own[high].max()}
        rows.append(row | {name: own[name].mean() for name in others})
    ends = [f"{name}{end}" for name in scores for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*by, "seeds", *ends, *others])


def summarise_seeds(runs: list[str | Path]) -> dict:
    """Per method and score on the target: mean, lowest and highest seed, and the value of each seed.

    Returns:
        {method: {"f1": {"mean", "low", "high", "seeds": [...]}, "auc": ..., "f1_norm": ..., "nme": ...}}. A
        score that no seed has is left out.

    Raises:
        ValueError: a method has two runs with one seed.
    """
    summary: dict = {}
    for method, table in scores_of_runs(runs).groupby("method", sort=False):
        table = table.sort_values("seed")
        if (repeated := table["seed"].duplicated()).any():
            seed = table["seed"][repeated].iloc[0]
            same = ", ".join(table["run"][table["seed"] == seed])
            raise ValueError(f"method {method!r} has seed {seed} twice: {same}; name one of these runs")
        seeds = {name: table[name].dropna().tolist() for name in SCORES}
        summary[method] = {
            name: {"mean": float(np.mean(own)), "low": min(own), "high": max(own), "seeds": own}
            for name, own in seeds.items()
            if own
        }
    return summary


def recovered(table: pd.DataFrame, method: str = "full") -> float:
    """Share of the way in F1 from source-only to oracle that a method goes; NaN if a method is missing.

    Args:
        table: `table_of_methods`.
    """
    lower, upper, own = table.set_index("method")["f1"].reindex(["source-only", "oracle", method])
    return float((own - lower) / (upper - lower)) if upper != lower else float("nan")


def real_faces_row(run: str | Path, dataset: str | Path, scores: ContrastScores) -> dict:
    """One run on one set of real faces: what it learned from, `ContrastScores.summary`, AU12 of happy faces.

    `saw_it` says whether these photographs were the run's unlabelled target.
    """
    settings = Run(run).settings
    names = {"method": settings["method"], "seed": settings["seed"], "source": Path(settings["source"]).name}
    row = {"set": Path(dataset).name, **names, "target": Path(settings["target"]).name}
    row["encoder"] = settings["backbone"] or "own"
    row["saw_it"] = read_dataset(dataset).version == settings["data_versions"].get("target")
    row |= scores.summary()
    smiles = scores.everyone.query("expression == 'happiness' and au == 'AU12'")
    if len(smiles):
        row |= {f"au12_{key}": smiles[key].squeeze() for key in ("auc", "rises", "found")}
    alarms = scores.false_alarms.query("group == 'all' and au == 'AU12'")["rate"]
    return row | {"au12_alarms": alarms.squeeze() if len(alarms) else np.nan}


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """A table of scores as text: x 100, "61.2 [58.0, 64.1]" a score, a dash where undefined."""
    shown = table[[name for name in ("method", "domain", "seeds") if name in table]].copy()
    for name in SCORES:
        ends = (table[f"{name}{end}"] for end in ("", "_low", "_high"))
        shown[name] = [score_text(*values) for values in zip(*ends, strict=True)]
    for name in ("seconds", "peak_memory_mb"):
        if name in table:
            shown[name] = [f"{value:.0f}" if np.isfinite(value) else "–" for value in table[name]]
    return shown


def score_text(mean: float, low: float, high: float) -> str:
    """ "66.2 [65.7, 66.7]", x 100; without brackets if there is no range, a dash if there is no score."""
    if np.isnan(mean):
        return "–"
    return f"{100 * mean:.1f}" + ("" if np.isnan(low + high) else f" [{100 * low:.1f}, {100 * high:.1f}]")


def faces_by_loss(run: str | Path) -> pd.DataFrame:
    """Labelled target test faces of a run, lowest `loss` first: cross-entropy, mean over their known AUs."""
    table = Run(run).predictions("target")
    aus = [column.removesuffix("_true") for column in table if column.endswith("_true")]
    truth = table[[f"{au}_true" for au in aus]].to_numpy(dtype=float)
    probability = table[[f"{au}_p" for au in aus]].to_numpy(dtype=float).clip(1e-4, 1 - 1e-4)
    loss = -np.where(truth == 1, np.log(probability), np.log(1 - probability))
    mean = pd.DataFrame(loss, table.index).mask(np.isnan(truth)).mean(axis=1)
    return table.assign(loss=mean).dropna(subset="loss").sort_values("loss", kind="stable")


def chance_of_supervisors(settings: dict) -> dict[str, float]:
    """What each supervisor of a run scores by guessing: log N of its N candidates, nats, if it has any."""
    if settings["alignment"] not in CONTRASTS:
        return {}
    how = settings["alignment"], settings["negatives"]
    return {
        name: chance_level(*how, SUPERVISORS[name], settings["batch_size"], GRID**2)
        for name in settings["supervisors"]
    }
