"""Warm start: the steps before the two rounds begin, trained once by all runs that share them [C].

Before the rounds and the mean teacher begin, every method that has them is the same multi-task model: T, G,
the adversaries and the projectors are not updated. So the first run saves its state at that step, and later
runs with the same seed, faces and settings load it. Their weights are bit for bit those of a run without warm
start, and their log and `seconds` include these steps.
"""

import hashlib
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor

from aulib.batches import Faces
from aulib.files import atomic_file, code_version, reading
from aulib.model import ADVERSARIES, GENERATING
from aulib.objective import PLAIN_TERMS

RESTING = (*GENERATING, *ADVERSARIES, "erasure", "queues")
OF_THE_ROUNDS = ("separates", "separation", "alignment", "queues")  # fields of ModelConfig and Preset
KEPT = 16  # files in the folder; older ones are deleted
PICTURES = 16  # of each domain, hashed into the key


def file_for(
    folder: Path, settings: dict, faces: list[Faces | None], weights: dict[str, Tensor], device: str
) -> Path:
    """The file in `folder` for runs with these settings, faces and first weights, this code and torch.

    Args:
        settings: the run's `training.checkpoint_settings`; what only the two rounds use is left out.
        weights: the model's state dict before the first step.
        device: "cpu" or "cuda".
    """
    factors = settings["objective"]["weights"]
    shared = {
        **_without(settings, ("read_target_from",)),
        "config": _without(settings["config"], OF_THE_ROUNDS),
        "preset": _without(settings["preset"], OF_THE_ROUNDS),
        "objective": _without(settings["objective"], ("weights", "alignment", "negatives", "temperature")),
        "weights": {name: value for name, value in factors.items() if name in PLAIN_TERMS},
    }
    digest = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())
    digest.update(f"{torch.__version__} {torch.get_num_threads()} {device}".encode())
    digest.update(code_version().encode())
    for some in faces:
        if some is not None:
            digest.update(some.images[some.rows[:: max(1, len(some) // PICTURES)]].tobytes())
    for name, value in weights.items():
        if not _rests(name):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return folder / f"{digest.hexdigest()[:24]}.ckpt"


def save(file: Path, state: dict) -> None:
    """Save what a state (`TrainState.state_dict`) holds of the parts that train before the rounds."""
    kept = {name: state[name] for name in ("step", "log", "spent")}
    for name in ("model", "average"):
        if state[name] is not None:
            kept[name] = {key: value for key, value in state[name].items() if not _rests(key)}
    kept["optimizers"] = {name: saved["state"] for name, saved in state["optimizers"].items()}
    with atomic_file(file) as partial:
        torch.save(kept, partial)
    for old in sorted(file.parent.glob("*.ckpt"), key=_age)[KEPT:]:
        old.unlink(missing_ok=True)


def load(file: Path, state: dict, device: torch.device) -> dict:
    """The file's values in a run's state before its first step; of a damaged file, which is removed, none."""
    try:
        with reading(file, "the first steps of a training"):
            kept = torch.load(file, weights_only=True, map_location=device)
    except ValueError as error:
        warnings.warn(f"{error}; these steps are trained anew", stacklevel=2)
        file.unlink(missing_ok=True)
        return state
    loaded = state | {name: kept[name] for name in ("step", "log", "spent")}
    for name in ("model", "average"):
        if state[name] is not None:
            loaded[name] = state[name] | kept[name]
    loaded["optimizers"] = {
        name: saved | {"state": kept["optimizers"].get(name, {})}  # another method may have more players
        for name, saved in state["optimizers"].items()
    }
    return loaded


def _without(settings: dict, names: tuple[str, ...]) -> dict:
    return {name: value for name, value in settings.items() if name not in names}


def _rests(key: str) -> bool:
    return key.removeprefix("module.").partition(".")[0] in RESTING


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:  # another run deleted it
        return 0.0
