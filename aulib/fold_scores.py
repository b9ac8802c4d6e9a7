"""Runs of a protocol's folds -> their mean, as the field reports it."""

import json
from pathlib import Path

import numpy as np

from aulib.protocols import PROTOCOLS, split_name


def mean_over_folds(scores: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation (n - 1) of every score that all folds have.

    Args:
        scores: fold -> the metrics of its run. An AU that one fold cannot score (NaN) has no mean.

    Returns:
        key -> {"mean", "sd", "folds"}.
    """
    shared = set.intersection(*(set(one) for one in scores.values())) if scores else set()
    table = {}
    for key in sorted(shared):
        values = [one[key] for one in scores.values()]
        if all(isinstance(value, (int, float)) and value == value for value in values):
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
            table[key] = {"mean": float(np.mean(values)), "sd": spread, "folds": len(values)}
    return table


def fold_table(name: str, runs: list[Path]) -> str:
    """Scores of the runs of a protocol's folds and their mean, as text.

    Raises:
        FileNotFoundError: a folder is no finished run.
        ValueError: a run is not of this protocol, or two are of one fold.
    """
    scores = {}
    for run in runs:
        settings, metrics = run / "config.json", run / "metrics.json"
        if not (settings.is_file() and metrics.is_file()):
            raise FileNotFoundError(f"{run} is no finished run: no config.json and metrics.json")
        fold = _fold_of(name, json.loads(settings.read_text(encoding="utf-8")), run)
        if fold in scores:
            raise ValueError(f"{run} is a second run of fold {fold}, expected one of each")
        scores[fold] = json.loads(metrics.read_text(encoding="utf-8"))
    table = mean_over_folds(scores)
    measures = [key for key in ("source.mean.f1", "target.mean.f1", "target.mean.auc") if key in table]
    measures += [key for key in table if key.startswith("target.per_au.") and key.endswith(".f1")]
    lines = [f"{'':26s}" + "".join(f"{fold:>9s}" for fold in scores) + f"{'mean':>9s}{'sd':>9s}"]
    for key in measures:
        cells = "".join(f"{100 * one[key]:9.1f}" for one in scores.values())
        lines.append(f"{key:26s}{cells}{100 * table[key]['mean']:9.1f}{100 * table[key]['sd']:9.1f}")
    expected = [fold for fold in PROTOCOLS[name].folds if fold != "source"]
    if missing := [fold for fold in expected if fold not in scores]:
        lines.append(f"INCOMPLETE: no run of fold {', '.join(missing)}; the mean is over {len(scores)} folds")
    return "\n".join(lines)


def _fold_of(name: str, config: dict, run: Path) -> str:
    """The fold whose people a run tests: that of its target, else that of its source."""
    settings = config["settings"]
    for domain in ("target", "source"):
        _, chosen = split_name(str(settings.get(domain, "")))
        if chosen.startswith(f"{name}/") and chosen != f"{name}/source":
            return chosen.partition("/")[2]
    raise ValueError(
        f"{run} is not of protocol {name}: its data sets are {settings.get('source')}, "
        f"{settings.get('target')}"
    )
