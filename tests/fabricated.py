"""Fabricated run folders of a study: the files that summaries read, with scores that tests choose."""

import json
from pathlib import Path

import pandas as pd

from aulib.methods import METHODS
from aulib.supervisors import RICH_TWO, SUPERVISORS


def write_run(
    folder: Path,
    variant: str,
    seed: int,
    f1: dict[str, float],
    method: str = "full",
    supervisors: tuple[str, ...] | None = None,
    seconds_per_step: float = 0.1,
    metrics: dict | None = None,
    losses: dict[str, list[float]] | None = None,
    shares: dict[str, float] | None = None,
    version: str = "v1",
    suffix: str = "",
    started: str = "2026-01-01T00:00:00Z",
    **settings,
) -> Path:
    """One finished run below `folder`, named <variant>-seed<n>.

    f1: AU -> F1 on target test; AUC is (1 + F1) / 2, the skew-normalised F1 the same as F1.
    losses: supervisor -> loss at each logged step (0, 10, ...).  shares: term -> share at the last step.
    """
    run = folder / f"{variant}-seed{seed}{suffix}"
    run.mkdir(parents=True)
    supervisors = METHODS[method].supervisors if supervisors is None else supervisors
    mean = sum(f1.values()) / len(f1)
    seconds = settings.get("steps", 400) * seconds_per_step
    scores = {"seconds": seconds, "peak_memory_mb": 900.0, "target.landmarks.nme": 0.04}
    for key, value in [("mean", mean), *((f"per_au.{au}", value) for au, value in f1.items())]:
        scores |= {f"target.{key}.f1": value, f"target.{key}.f1_norm": value}
        scores |= {f"target.{key}.auc": (1 + value) / 2, f"source.{key}.f1": value}
    (run / "metrics.json").write_text(json.dumps(scores | (metrics or {})))
    plain = {k: v for k, v in METHODS[method].weights.items() if k not in SUPERVISORS}
    made = {
        "method": method, "seed": seed, "steps": 400, "batch_size": 14, "supervisors": list(supervisors),
        "weights": plain | dict.fromkeys(supervisors, 0.2), "alignment": "global", "negatives": "rivals",
        "data_versions": {"source": "s", "target": version},
    } | settings  # fmt: skip
    config = {"settings": made, "model": {"share_extraction": True}}
    (run / "config.json").write_text(json.dumps(config))
    (run / "params.json").write_text(json.dumps({"started": started}))
    steps = 10 * pd.RangeIndex(max([2, *(len(values) for values in (losses or {}).values())]))
    history = pd.DataFrame({"step": steps, "seconds": seconds_per_step * steps, "total": 1.0})
    for name, values in (losses or {}).items():
        history[name] = values
    for name, value in (shares or {}).items():
        history.loc[history.index[-1], f"share.{name}"] = value
    history.to_csv(run / "history.csv", index=False)
    (run / "result.json").write_text(json.dumps({"key": "k"}))
    return run


def write_small_study(folder: Path) -> Path:
    """Two seeds of source-only, contrastive, one and all four supervisors on top of it, and oracle."""
    one = (*RICH_TWO, "shape_source")
    for seed in (0, 1):
        for place, (variant, method, supervisors) in enumerate(
            [
                ("source-only", "source-only", None),
                ("contrastive", "contrastive", None),
                ("contrastive+shape_source", "contrastive", one),
                ("full", "full", None),
                ("oracle", "oracle", None),
            ]
        ):
            chosen = METHODS[method].supervisors if supervisors is None else supervisors
            f1 = {
                "AU01": 0.5 + 0.01 * place + 0.003 * seed,
                "AU12": 0.6 + 0.02 * place - 0.002 * seed * place,
            }
            write_run(
                folder, variant, seed, f1, method, supervisors,
                losses={name: [2.7, 1.0, 0.3] for name in chosen},
                shares={"au_source": 0.75} | dict.fromkeys(chosen, 0.05),
                metrics={"insides.domain_probe.rich": 0.9 + 0.01 * seed * place},
            )  # fmt: skip
    return folder
