"""A protocol by its name for a whole run: its folds, and what source and target are in each.

    bp4d-3fold      source and target `data/bp4d`: both `data/bp4d#bp4d-3fold/part1`, then part2, part3
    bp4d-to-disfa   source `data/bp4d`: `data/bp4d#bp4d-to-disfa/source` in every fold;
                    target `data/disfa`: `data/disfa#bp4d-to-disfa/part1`, then part2, part3

Rendered sets (`synthetic:...`) have none of a protocol's people and stay as they are.
"""

from collections.abc import Callable
from pathlib import Path

from aubench.report.fold_scores import folds_of, mean_over_folds
from aulib.files import write_json
from aulib.protocols import PROTOCOLS, find_fold, split_name

NO_MEAN = ("_low", "_high")  # ends of an interval over the people of one fold
SUMMED = ("seconds",)


def sets_of_fold(source: str, target: str, fold: str) -> tuple[str, str]:
    """Source and target with the fold `bp4d-3fold/part1` behind them.

    Raises:
        ValueError: no such fold, a fold that tests nobody, or a data set that names a fold already.
    """
    find_fold(fold)
    protocol, _, part = fold.partition("/")
    if part not in folds_of(protocol):
        raise ValueError(f"{fold} tests nobody; write {protocol}/{' or '.join(folds_of(protocol))}")
    of_source = "source" if "source" in PROTOCOLS[protocol].folds else part
    return _with(source, f"{protocol}/{of_source}"), _with(target, fold)


def _with(name: str, fold: str) -> str:
    if name.startswith("synthetic:"):
        return name
    if not Path(name).is_dir() and (given := split_name(name)[1]):
        raise ValueError(f"{name} names {given} already, where {fold} belongs: write the folder alone")
    return f"{name}#{fold}"


def parameters_in_fold(values: dict, protocol: str, fold: str) -> dict:
    """A run's parameters with the fold behind its source and its target.

    Raises:
        ValueError: parameters that lack a data set, have a protocol of their own, or name rendered sets only.
    """
    if missing := [name for name in ("source", "target") if not isinstance(values.get(name), str)]:
        raise ValueError(f"folds: {protocol} needs {' and '.join(missing)}, the folder of a data set")
    if own := values.get("protocol"):
        raise ValueError(f"protocol {own!r} stands beside folds: {protocol}, expected one of them")
    source, target = sets_of_fold(values["source"], values["target"], f"{protocol}/{fold}")
    if (source, target) == (values["source"], values["target"]):
        raise ValueError(f"folds: {protocol} is for folders, and {source} and {target} are rendered")
    return values | {"source": source, "target": target}


def train_folds(
    train: Callable[..., dict], protocol: str, source: str, target: str, out_dir: str, **settings
) -> tuple[dict, dict[str, str]]:
    """One run, or one for each fold of a protocol and their mean.

    Args:
        train: `runs.train_run`.
        protocol: "" trains on the sets as they are, `bp4d-3fold/part1` in that fold, both into `out_dir`;
            `bp4d-3fold` trains every fold into `out_dir`/<fold>.
        settings: what else `train` takes.

    Returns:
        metrics: of the run; of a whole protocol the mean over its folds of every score that all have, NaN of
        others, `seconds` summed, `folds` their number: also written to `out_dir`/metrics.json, and each
        fold's to folds.csv.
        folders: the run folder of each fold; {"": out_dir} without one.
    """
    if not protocol or "/" in protocol:
        if protocol:
            source, target = sets_of_fold(source, target, protocol)
        metrics = train(source=source, target=target, out_dir=out_dir, **settings)
        return metrics, {protocol.partition("/")[2]: out_dir}
    folders = {fold: str(Path(out_dir, fold)) for fold in folds_of(protocol)}
    scores = {}
    for fold, folder in folders.items():
        one, other = sets_of_fold(source, target, f"{protocol}/{fold}")
        scores[fold] = train(source=one, target=other, out_dir=folder, **settings)
    if not all(scores.values()):
        return {}, folders  # another process of several writes
    metrics = mean_metrics(scores)
    import pandas as pd

    table = pd.DataFrame(scores | {"mean": metrics}).reindex([key for key in metrics if key != "folds"])
    table.to_csv(Path(out_dir, "folds.csv"), index_label="score")
    write_json(Path(out_dir, "metrics.json"), metrics)
    return metrics, folders


def mean_metrics(scores: dict[str, dict]) -> dict[str, float]:
    """The mean over folds of their metrics, see `train_folds`."""
    keys = dict.fromkeys(key for one in scores.values() for key in one if not key.endswith(NO_MEAN))
    means = mean_over_folds(scores)
    metrics = {key: means[key]["mean"] if key in means else float("nan") for key in keys}
    metrics |= {key: sum(one[key] for one in scores.values()) for key in SUMMED if key in means}
    return metrics | {"folds": len(scores)}
