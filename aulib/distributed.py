"""Several processes train as one: each takes its share of every batch [C].

    torchrun --standalone --nproc-per-node 2 my_run.py      # which calls aulib.train_run.train_run

BatchNorm's statistics, contrastive candidates, the number of known labels and gradients are those of the
whole batch. So losses equal those of one process up to rounding, except for dropout, which each process
draws, and the image decoder, which learns from some faces of each. In a single process these functions
return their argument.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def world_size() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0; number 0 writes files and shows progress."""
    return distributed.get_rank() if world_size() > 1 else 0


def start(precision: str) -> "Fabric":
    """Fabric on this process's device; processes started by torchrun are connected."""
    from lightning_fabric import Fabric  # takes seconds to import, and reading a run does not need it

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # else it tells notebooks the precision
    here, everywhere = (int(os.environ.get(name, 1)) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    if everywhere == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    fabric = Fabric(
        accelerator="auto", strategy="ddp", devices=here, num_nodes=everywhere // here, precision=precision
    )
    fabric.launch()
    return fabric


@contextmanager
def rank_zero_first() -> Iterator[None]:
    """Rank 0 runs the block first, then the others, which find what it made."""
    if rank():
        distributed.barrier()
    yield
    if world_size() > 1 and not rank():
        distributed.barrier()


def share_of(batch: int) -> slice:
    """This process's rows of a batch; all processes have as many, in the order of their ranks.

    Raises:
        ValueError: the batch cannot be divided evenly.
    """
    if batch % world_size():
        raise ValueError(f"batch_size {batch} cannot be divided evenly among {world_size()} processes")
    each = batch // world_size()
    return slice(rank() * each, (rank() + 1) * each)


class _AllReduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor: Tensor) -> Tensor:
        tensor = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(tensor)
        return tensor

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _AllReduce.apply(gradient)


def all_reduce(tensor: Tensor) -> Tensor:
    """Sum over the processes, known to each; gradients flow back to all."""
    return tensor if world_size() == 1 else _AllReduce.apply(tensor)


def mean(tensor: Tensor) -> Tensor:
    """Mean over the processes; gradients flow back to all."""
    return tensor if world_size() == 1 else all_reduce(tensor) / world_size()


def gather(tensor: Tensor) -> Tensor:
    """(B, ...) of every process -> (world_size * B, ...), by rank; gradients flow back to all."""
    if world_size() == 1:
        return tensor
    before, after = rank() * len(tensor), (world_size() - rank() - 1) * len(tensor)
    rest = tensor.shape[1:]
    return all_reduce(torch.cat([tensor.new_zeros(before, *rest), tensor, tensor.new_zeros(after, *rest)]))


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each process's gradients by their mean, after a backward pass."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    means = mean(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, values in zip(gradients, means.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(values.view(gradient.shape))


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the faces of all processes; torch's SyncBatchNorm needs CUDA."""

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return super().forward(features)
        values = features.to(torch.promote_types(features.dtype, torch.float32))
        centre = mean(values.mean((0, 2, 3)))
        offset = values - centre[:, None, None]
        variance = mean(offset.square().mean((0, 2, 3)))
        with torch.no_grad():
            faces = world_size() * features.numel() // features.shape[1]
            self.num_batches_tracked += 1
            self.running_mean.lerp_(centre, self.momentum)
            self.running_var.lerp_(variance * faces / (faces - 1), self.momentum)
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        normed = offset * scale[:, None, None]
        return (normed if not self.affine else normed + self.bias[:, None, None]).to(features.dtype)


def share_statistics(model: nn.Module) -> None:
    """Turn the model's BatchNorm layers into SharedBatchNorm; weights and names stay."""
    if world_size() == 1:
        return
    for part in model.modules():
        if type(part) is nn.BatchNorm2d:
            part.__class__ = SharedBatchNorm
