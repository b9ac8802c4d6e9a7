"""Run a whole protocol: its folds, and the source and target of each.

    bp4d-3fold      source and target `data/bp4d`: both `data/bp4d#bp4d-3fold/part1`, then part2, part3
    bp4d-to-disfa   source `data/bp4d`: `data/bp4d#bp4d-to-disfa/source` in every fold;
                    target `data/disfa`: `data/disfa#bp4d-to-disfa/part1`, then part2, part3

Rendered sets (`synthetic:...`) have no subjects of a protocol and stay as they are.
"""

from collections.abc import Callable
from pathlib import Path

from aulib.files import atomic_file, write_json
from aulib.protocols import PROTOCOLS, find_fold, folds_of, split_name


def sets_of_fold(source: str, target: str, fold: str) -> tuple[str, str]:
    """Source and target, each with its part of the fold `bp4d-3fold/part1` appended.

    Raises:
        ValueError: no such fold, a fold without test subjects, or a dataset that already names a fold.
    """
    find_fold(fold)
    protocol, _, part = fold.partition("/")
    if part not in folds_of(protocol):
        raise ValueError(f"{fold} has no test subjects; write {protocol}/{' or '.join(folds_of(protocol))}")
    of_source = "source" if "source" in PROTOCOLS[protocol].folds else part
    return _with(source, f"{protocol}/{of_source}"), _with(target, fold)


def _with(name: str, fold: str) -> str:
    if name.startswith("synthetic:"):
        return name
    if not Path(name).is_dir() and (given := split_name(name)[1]):
        raise ValueError(f"{name} already names {given}; write the folder alone, {fold} is appended to it")
    return f"{name}#{fold}"


def parameters_in_fold(values: dict, protocol: str, fold: str) -> dict:
    """A run's parameters with the fold appended to source and target.

    Raises:
        ValueError: source or target is missing, `protocol` is given too, or both sets are rendered.
    """
    if missing := [name for name in ("source", "target") if not isinstance(values.get(name), str)]:
        raise ValueError(f"folds: {protocol} needs {' and '.join(missing)}, a dataset folder")
    if own := values.get("protocol"):
        raise ValueError(f"both protocol {own!r} and folds: {protocol} are given; choose one")
    source, target = sets_of_fold(values["source"], values["target"], f"{protocol}/{fold}")
    if (source, target) == (values["source"], values["target"]):
        raise ValueError(f"folds: {protocol} is for folders, but {source} and {target} are rendered")
    return values | {"source": source, "target": target}


def train_folds(
    train: Callable[..., dict], protocol: str, source: str, target: str, out_dir: str, **settings
) -> tuple[dict, dict[str, str]]:
    """One run, or one for each fold of a protocol and their mean.

    Args:
        train: `aulib.train_run.train_run`.
        protocol: "" trains on the sets as they are, `bp4d-3fold/part1` in that fold, both into `out_dir`;
            `bp4d-3fold` trains every fold into `out_dir`/<fold>.
        settings: other arguments of `train`.

    Returns:
        metrics: of the run, or of a whole protocol the mean over folds of every score (NaN if a fold lacks
        it), the sum of `seconds` and the number of `folds`. These are also written to `out_dir`/metrics.json,
        and the scores of each fold to folds.csv.
        folders: the run folder of each fold; {"": out_dir} without one.
    """
    if "/" in protocol:
        source, target = sets_of_fold(source, target, protocol)
    if not protocol or "/" in protocol:
        metrics = train(source=source, target=target, out_dir=out_dir, **settings)
        return metrics, {protocol.partition("/")[2]: out_dir}
    folders = {fold: str(Path(out_dir, fold)) for fold in folds_of(protocol)}
    scores = {}
    for fold, folder in folders.items():
        one, other = sets_of_fold(source, target, f"{protocol}/{fold}")
        scores[fold] = train(source=one, target=other, out_dir=folder, **settings)
    if not all(scores.values()):
        return {}, folders  # rank 0 writes
    import pandas as pd  # planning does without

    table = pd.DataFrame(scores, dtype=float)
    ends = table.index.str.endswith(("_low", "_high"))  # of intervals over the subjects of one fold
    table = table[~ends].copy()
    table["mean"] = table.mean(axis="columns", skipna=False)
    if "seconds" in table.index:
        table.loc["seconds", "mean"] = table.loc["seconds", list(folders)].sum()
    with atomic_file(Path(out_dir, "folds.csv")) as partial:
        table.to_csv(partial, index_label="score")
    metrics = table["mean"].to_dict() | {"folds": len(folders)}
    write_json(Path(out_dir, "metrics.json"), metrics)
    return metrics, folders
