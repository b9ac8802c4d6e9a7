"""The steps before the two rounds begin, taken once by all runs that share them [C].

Until the rounds start, every method that separates is the same multi-task model: T, G, the adversaries and
the projectors rest, and no weight of theirs counts. So the first run of a seed keeps its state at that step,
and others of the same seed, faces and settings take it up; they end bit for bit where they would have ended
without it. What these steps cost is in every run's log and `seconds`, whoever took them.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from aulib.batches import Faces
from aulib.files import atomic_file, code_version
from aulib.model import ADVERSARIES, GENERATING
from aulib.objective import PLAIN_TERMS

if TYPE_CHECKING:
    from aulib.training import Progress, Run

RESTING = (*GENERATING, *ADVERSARIES, "queues")
OF_THE_ROUNDS = ("separates", "alignment_dense", "queues")  # fields of ModelConfig
KEPT = 16  # starts in a folder; older ones go
PICTURES = 16  # of each domain, that tell one set's start from another's


class WarmStart:
    """The state of a run at the step at which its rounds begin, in a file that its likes find.

    Args:
        run: as it stands before its first step.  settings: `training.fingerprint` it.
        folder: where starts are kept; None keeps none.
        step: the number of steps taken before the rounds begin; 0 if the run has no rounds.
    """

    def __init__(self, run: "Run", settings: str, faces: list[Faces | None], folder: Path | None, step: int):
        self.step = step
        self.file = folder / f"{key_of(run, settings, faces)}.ckpt" if folder is not None and step else None

    def take_up(self, run: "Run", state: "Progress") -> None:
        """Bring a run that has not begun to the start, if one is kept."""
        if self.file is None or state.step or not self.file.exists():
            return
        kept = torch.load(self.file, weights_only=True, map_location=run.fabric.device)
        for name in ("step", "log", "spent"):
            setattr(state, name, kept[name])
        for name, module in _modules(run).items():
            module.load_state_dict(module.state_dict() | kept[name])
        for name, moments in kept["optimizers"].items():
            optimizer = run.optimizers[name]
            optimizer.load_state_dict(optimizer.state_dict() | {"state": moments})

    def keep(self, run: "Run", state: "Progress", seconds: float) -> None:
        """Keep the state, if the run stands at the start just now and nobody has kept it."""
        if self.file is None or state.step != self.step or self.file.exists():
            return
        kept = {"step": state.step, "log": state.log, "spent": state.spent + seconds}
        for name, module in _modules(run).items():
            kept[name] = {key: value for key, value in module.state_dict().items() if not _rests(key)}
        kept["optimizers"] = {name: made.state_dict()["state"] for name, made in run.optimizers.items()}
        with atomic_file(self.file) as partial:
            torch.save(kept, partial)
        for old in sorted(self.file.parent.glob("*.ckpt"), key=_age)[KEPT:]:
            old.unlink(missing_ok=True)


def key_of(run: "Run", settings: str, faces: list[Faces | None]) -> str:
    """Hash of all that shapes a run until its rounds begin: values, faces, first weights, code, torch."""
    said = json.loads(settings)
    said["config"] = {name: value for name, value in said["config"].items() if name not in OF_THE_ROUNDS}
    objective = said["objective"]
    weights = {name: value for name, value in objective["weights"].items() if name in PLAIN_TERMS}
    said["objective"] = {name: objective[name] for name in ("au_weight", "pos_weight")} | {"weights": weights}
    del said["read_target_from"]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(f"{torch.__version__} {torch.get_num_threads()} {run.fabric.device.type}".encode())
    digest.update(code_version().encode())
    for some in faces:
        if some is not None:
            digest.update(some.images[some.rows[:: max(1, len(some) // PICTURES)]].tobytes())
    for name, value in run.networks.state_dict().items():
        if not _rests(name):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def _modules(run: "Run") -> dict[str, nn.Module]:
    return {"model": run.networks} | ({} if run.average is None else {"average": run.average})


def _rests(key: str) -> bool:
    return key.removeprefix("module.").partition(".")[0] in RESTING


def _age(file: Path) -> float:
    try:
        return -file.stat().st_mtime
    except FileNotFoundError:  # another run's cleaning was first
        return 0.0
