"""Small trainings whose logs are compared, by one process or by two that torchrun starts."""

import json
import sys
from pathlib import Path

import numpy as np
import torch

from aulib import distributed
from aulib.methods import METHODS
from aulib.objective import Objective
from aulib.training import Recipe, fit
from tiny import AUS, tiny_faces, tiny_model, tiny_preset

CASES = {
    "multitask": ("multitask", "global", "rivals"),
    "dann": ("dann", "global", "rivals"),
    "rivals": ("full", "global", "rivals"),
    "dense": ("full", "dense", "batch"),
    "queue": ("full", "global", "queue"),
    "vicreg": ("full", "vicreg", "batch"),
    "mean-teacher": ("mean-teacher", "global", "rivals"),
}
STEPS, BATCH = 8, 4


def train(case: str, folder: Path) -> tuple[list[dict], dict]:
    """The log of a small run, and the weights it ends with."""
    name, alignment, negatives = CASES[case]
    method = METHODS[name]
    model = tiny_model(name, alignment=alignment, queues=negatives == "queue")
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # each process draws its own
    ones = torch.ones(len(AUS))
    # low rates: Adam's first steps are as long for a gradient of rounding errors as for any other
    rates = dict.fromkeys(("task_rate", "generator_rate", "adversary_rate"), 1e-5)
    preset = tiny_preset(separation_starts=0.25, ramp=0.25, average=0.9, augment="slight", **rates)
    objective = Objective(method.weights, ones, ones, alignment, negatives, 0.1)
    recipe = Recipe(method, preset, objective, STEPS, BATCH, seed=0)
    faces, validation = tiny_faces(), (tiny_faces(seed=2), np.arange(12))
    target = tiny_faces(seed=1).without_labels()
    model, log, _ = fit(model, recipe, faces, target, validation, folder / case, progress=False)
    return log, model.state_dict()


if __name__ == "__main__":
    out = Path(sys.argv[1])
    for case in CASES:
        log, weights = train(case, out)
        torch.save(weights, out / f"{case}-{distributed.rank()}.pt")
        if distributed.rank() == 0:
            (out / f"{case}.json").write_text(json.dumps(log))
