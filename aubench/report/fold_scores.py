"""Runs of a protocol's folds -> their mean, as the field reports it."""

from pathlib import Path

import pandas as pd

from aulib.protocols import folds_of, split_name
from aulib.run import Run


def mean_over_folds(scores: dict[str, dict]) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) of every score that all folds have.

    Args:
        scores: fold -> the metrics of its run. An AU that one fold cannot score (NaN) has no mean.

    Returns:
        mean and sd by score.
    """
    table = pd.DataFrame({fold: pd.Series(one, dtype=float) for fold, one in scores.items()}).dropna()
    return pd.DataFrame({"mean": table.mean(axis=1), "sd": table.std(axis=1)})


def seeds_over_folds(measured: dict, protocol: str) -> tuple[list[tuple], list[str]]:
    """Each seed's scores as the mean over its folds.

    Args:
        measured: (variant, seed) -> fold -> {(measure, AU): value}; the only fold is "" without a protocol.

    Returns:
        (variant, seed, measure, AU, value) rows of seeds that have all folds; and for each other seed what is
        missing, "full-seed0: no run of fold part2".
    """
    values, incomplete = [], []
    for (variant, seed), by_fold in measured.items():
        if protocol and (missing := [fold for fold in folds_of(protocol) if fold not in by_fold]):
            incomplete.append(f"{variant}-seed{seed}: no run of fold {', '.join(missing)}")
            continue
        values += [(variant, seed, *key, mean) for key, mean in mean_over_folds(by_fold)["mean"].items()]
    return values, incomplete


def protocol_of(settings: dict) -> str:
    """The protocol behind the data sets of a run in a fold."""
    names = [split_name(str(settings.get(name, "")))[1] for name in ("target", "source")]
    return next((name.partition("/")[0] for name in names if name), "")


def in_any_fold(settings: dict) -> dict:
    """A run's settings as the runs of all folds have them: `data/bp4d#bp4d-3fold` for `.../part1`."""
    names = {name: _without_fold(settings[name]) for name in ("source", "target") if name in settings}
    versions = {name: _without_fold(text) for name, text in settings["data_versions"].items()}
    return settings | names | {"data_versions": versions}


def _without_fold(name: str) -> str:
    folder, protocol = split_name(name)
    return f"{folder}#{protocol.partition('/')[0]}" if protocol else name


def fold_table(name: str, runs: list[Path] | list[str]) -> str:
    """Scores of the runs of a protocol's folds and their mean, as text.

    Raises:
        FileNotFoundError: a folder is no finished run.
        ValueError: a run is not of this protocol, or two are of one fold.
    """
    scores = {}
    for opened in map(Run, runs):
        fold = _fold_of(name, opened)
        if fold in scores:
            raise ValueError(f"{opened.path} is a second run of fold {fold}, expected one of each")
        scores[fold] = opened.metrics
    means = mean_over_folds(scores)
    shown = [key for key in ("source.mean.f1", "target.mean.f1", "target.mean.auc") if key in means.index]
    shown += [key for key in means.index if key.startswith("target.per_au.") and key.endswith(".f1")]
    text = (100 * pd.DataFrame(scores).join(means).loc[shown].astype(float)).to_string(float_format="%.1f")
    if missing := [fold for fold in folds_of(name) if fold not in scores]:
        text += f"\nINCOMPLETE: no run of fold {', '.join(missing)}; the mean is over {len(scores)} folds"
    return text


def _fold_of(name: str, run: Run) -> str:
    """The fold whose people a run tests: that of its target, else that of its source."""
    settings = run.settings
    for domain in ("target", "source"):
        _, chosen = split_name(str(settings.get(domain, "")))
        if chosen.startswith(f"{name}/") and chosen != f"{name}/source":
            return chosen.partition("/")[2]
    sets = f"{settings.get('source')}, {settings.get('target')}"
    raise ValueError(f"{run.path} is not of protocol {name}: its data sets are {sets}")
