"""Each term's share of the gradient that reaches the parts which all terms train: the end of E, and G.

A supervisor whose loss still has a value may pull at nothing any more; its share says so.
"""

import numpy as np
import torch
from torch import Tensor

from aulib import distributed
from aulib.model import AUModel

MEASUREMENTS = 3  # of a run, evenly over the steps in which all its terms count; one costs two steps or so


def measured_at(steps: int, first: int) -> set[int]:
    """Which of `steps` steps are measured, the terms being complete from step `first` on to the last."""
    last = steps - 1
    return {round(step) for step in np.linspace(min(first, last), last, MEASUREMENTS)}


def shared_parameters(model: AUModel) -> list[Tensor]:
    """The weights of E's last layer and of G (if there is one).

    The last layer that all tasks share stands for the encoder, as in GradNorm (Chen et al. 2018): the whole
    of E would cost a full backward pass a term.
    """
    parts = [model.encoder.out] + ([model.reconstruction] if model.config.separates else [])
    return [parameter for part in parts for parameter in part.parameters()]


def gradient_shares(model: AUModel, weighted: dict[str, Tensor]) -> dict[str, float]:
    """`share.NAME`: norm of the gradient of each weighted term over the sum of these norms, in [0, 1].

    Norms, not the sum's parts: terms that pull against each other both count. All 0 if no term reaches the
    shared parameters. The graph is kept, no gradient is stored, so training goes on as if nothing had been
    measured.

    Args:
        weighted: name -> () term times the factor it has in the objective.
    """
    parameters = shared_parameters(model)
    norms = {}
    for name, term in weighted.items():
        gradients = [None]
        if term.requires_grad:
            gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        squares = [distributed.mean(g).float().square().sum() for g in gradients if g is not None]
        norms[name] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    total = sum(norms.values())
    return {f"share.{name}": norm / total if total else 0.0 for name, norm in norms.items()}
