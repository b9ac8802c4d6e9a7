"""Run folders -> tables: scores of methods with their spread, per AU, and the faces a run keeps.

Nothing here needs the data the runs were trained on.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from aulib.contrastive import chance_level
from aulib.methods import SUPERVISORS
from aulib.metrics import AU_MEASURES, MEASURES, REPORTED
from aulib.networks import GRID
from aulib.run import Run

SCORES = {name: MEASURES[name].key for name in REPORTED}


def scores_of_runs(runs: list[str | Path], domain: str = "target") -> pd.DataFrame:
    """One row a run: run, method, seed, each of SCORES (`_low`, `_high`: its 95 % interval), seconds, ...

    Raises:
        ValueError: no runs, or runs whose test sets differ.
    """
    if not runs:
        raise ValueError("no runs given, expected run folders")
    rows, tested_on = [], {}
    for run in runs:
        opened = Run(run)
        metrics, settings = opened.metrics, opened.settings
        tested_on.setdefault(settings["data_versions"][domain], []).append(str(run))
        row = {"run": str(run), "method": settings["method"], "seed": settings["seed"]}
        for name, key in SCORES.items():
            for suffix in ("", "_low", "_high"):
                row[name + suffix] = metrics.get(f"{domain}.{key}{suffix}", np.nan)
        row |= {"n": metrics.get(f"{domain}.n", np.nan), "steps": settings["steps"]}
        rows.append(row | {name: metrics.get(name, np.nan) for name in ("seconds", "peak_memory_mb")})
    if len(tested_on) > 1:
        first = {version: names[0] for version, names in tested_on.items()}
        raise ValueError(f"the runs were tested on different {domain} sets and cannot be compared: {first}")
    return pd.DataFrame(rows)


def finished_runs(runs: list[str | Path]) -> tuple[list[str], list[str]]:
    """Those of the folders that hold a finished run, and those that do not; order kept."""
    done = [str(run) for run in runs if (Path(run) / "metrics.json").is_file()]
    return done, [str(run) for run in runs if str(run) not in done]


def table_of_domains(run: str | Path) -> pd.DataFrame:
    """One run on its two domains: a row each for source and target test, with SCORES and their intervals."""
    metrics, rows = Run(run).metrics, []
    for domain in ("source", "target"):
        row = {"domain": domain, "n": metrics.get(f"{domain}.n", np.nan)}
        for name, key in SCORES.items():
            for suffix in ("", "_low", "_high"):
                row[name + suffix] = metrics.get(f"{domain}.{key}{suffix}", np.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """A table of scores for the eye: x 100, "61.2 [58.0, 64.1]" a score, a dash where undefined."""
    shown = table[[name for name in ("method", "domain", "seeds") if name in table]].copy()
    for name in SCORES:
        ends = [table[f"{name}{suffix}"] for suffix in ("", "_low", "_high")]
        shown[name] = [_cell(*values) for values in zip(*ends, strict=True)]
    for name in ("seconds", "peak_memory_mb"):
        if name in table:
            shown[name] = [f"{value:.0f}" if np.isfinite(value) else "–" for value in table[name]]
    return shown


def recovered(table: pd.DataFrame, method: str = "full", score: str = "f1") -> float:
    """Share of the way from source-only to oracle that a method goes; NaN if one of the three is missing.

    Args:
        table: `table_of_methods`.
    """
    scores = table.set_index("method")[score]
    if not {"source-only", "oracle", method} <= set(scores.index):
        return float("nan")
    way = scores["oracle"] - scores["source-only"]
    return float((scores[method] - scores["source-only"]) / way) if way else float("nan")


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


def table_of_methods(runs: list[str | Path], domain: str = "target") -> pd.DataFrame:
    """One row a method: mean score over its seeds, with what varies as `_low` and `_high`.

    With several seeds `_low` and `_high` are the lowest and the highest seed; with one seed they are the
    run's own 95 % interval over subjects. `spread` says which.

    Returns:
        method, seeds (how many), spread, f1, f1_low, f1_high, auc ..., f1_norm ..., nme ..., steps, seconds,
        peak_memory_mb; methods in the order of `runs`.
    """
    rows = []
    for method, table in scores_of_runs(runs, domain).groupby("method", sort=False):
        several = len(table) > 1
        row = {"method": method, "seeds": len(table), "spread": "seeds" if several else "subjects, 95 %"}
        for name in SCORES:
            row[name] = table[name].mean()
            row[f"{name}_low"] = table[name].min() if several else table[f"{name}_low"].iloc[0]
            row[f"{name}_high"] = table[name].max() if several else table[f"{name}_high"].iloc[0]
        rows.append(row | {name: table[name].mean() for name in ("steps", "seconds", "peak_memory_mb")})
    return pd.DataFrame(rows)


def table_per_au(runs: list[str | Path], domain: str = "target") -> pd.DataFrame:
    """One row a method and AU: f1, auc, f1_norm, and the test split's base_rate and support.

    Means over seeds; `_low` and `_high` as in `table_of_methods`.
    """
    settings = [Run(run).settings for run in runs]
    metrics = [Run(run).metrics for run in runs]
    rows = []
    for method in dict.fromkeys(setting["method"] for setting in settings):
        own = [m for m, setting in zip(metrics, settings, strict=True) if setting["method"] == method]
        prefix = f"{domain}.per_au."
        aus = [
            key.removeprefix(prefix).split(".")[0]
            for key in own[0]
            if key.startswith(prefix) and key.endswith(".f1")
        ]
        for au in aus:
            row = {"method": method, "au": au, "seeds": len(own)}
            for measure in AU_MEASURES:
                values = np.array([m[f"{prefix}{au}.{measure}"] for m in own], dtype=float)
                ends = [values, values] if len(own) > 1 else [
                    np.array([own[0].get(f"{prefix}{au}.{measure}_{end}", np.nan)]) for end in ("low", "high")
                ]  # fmt: skip
                row[measure] = _or_nan(np.nanmean, values)
                row[f"{measure}_low"], row[f"{measure}_high"] = (
                    _or_nan(np.nanmin, ends[0]),
                    _or_nan(np.nanmax, ends[1]),
                )
            row["base_rate"], row["support"] = (
                own[0][f"{prefix}{au}.base_rate"],
                own[0][f"{prefix}{au}.support"],
            )
            rows.append(row)
    return pd.DataFrame(rows)


def summarise_seeds(runs: list[str | Path], domain: str = "target") -> dict:
    """Per method and score: mean, low and high (lowest and highest seed) and the value of each seed.

    Returns:
        {method: {"f1": {"mean", "low", "high", "seeds": [...]}, "auc": ..., "f1_norm": ..., "nme": ...}},
        as `aubench.report.readme` prints it. A score that no seed has is left out.
    """
    summary: dict = {}
    for method, table in scores_of_runs(runs, domain).groupby("method", sort=False):
        table = table.sort_values("seed")
        if (repeated := table["seed"].duplicated()).any():
            raise ValueError(f"method {method!r} has seed {table['seed'][repeated].iloc[0]} twice")
        summary[method] = {}
        for name in SCORES:
            values = [float(value) for value in table[name].dropna()]
            if values:
                mean = float(np.mean(values))
                summary[method][name] = {
                    "mean": mean,
                    "low": min(values),
                    "high": max(values),
                    "seeds": values,
                }
    return summary


def faces_by_loss(run: str | Path) -> pd.DataFrame:
    """Labelled target test faces of a run, lowest `loss` first: cross-entropy, mean over their known AUs."""
    table = Run(run).predictions("target")
    aus = [column.removesuffix("_true") for column in table if column.endswith("_true")]
    truth = table[[f"{au}_true" for au in aus]].to_numpy(dtype=float)
    probability = table[[f"{au}_p" for au in aus]].to_numpy(dtype=float).clip(1e-4, 1 - 1e-4)
    loss = -np.where(truth == 1, np.log(probability), np.log(1 - probability))
    known = ~np.isnan(truth)
    mean = np.where(known, loss, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    return table.assign(loss=mean).dropna(subset="loss").sort_values("loss", kind="stable")


def chance_of_supervisors(settings: dict) -> dict[str, float]:
    """What each supervisor of a run scores by guessing: log N of its N candidates, nats; empty for L1."""
    if settings["alignment"] == "l1":
        return {}
    how = settings["alignment"], settings["negatives"]
    return {
        name: chance_level(*how, SUPERVISORS[name], settings["batch_size"], GRID**2)
        for name in settings["supervisors"]
    }


def _cell(value: float, low: float, high: float) -> str:
    if not np.isfinite(value):
        return "–"
    interval = f" [{100 * low:.1f}, {100 * high:.1f}]" if np.isfinite(low) and np.isfinite(high) else ""
    return f"{100 * value:.1f}{interval}"


def _or_nan(reduce, values: np.ndarray) -> float:
    return float(reduce(values)) if (~np.isnan(values)).any() else float("nan")
