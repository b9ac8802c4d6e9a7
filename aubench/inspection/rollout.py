"""Attention rollout of a transformer: which patches of the face the tokens have mixed in by the last layer.

Abnar & Zuidema 2020: with every layer's attention A, averaged over heads, and the shortcut around it,
rollout = product over layers of (A + I) / 2. It follows the encoder only: it is the same for all AUs.
"""

from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from aubench.inspection.attention_maps import enlarged
from aulib.model import AUModel


def rollout_maps(model: AUModel, pictures: Tensor) -> Tensor:
    """How much each place reaches the patches' mean at the last layer: (n, H, H), each map summing to 1.

    Raises:
        ValueError: the encoder is no transformer, or one whose layers attend within windows or over maps of
            several sizes, where the product is not defined.
    """
    with seen_attention(model.encoder) as layers, torch.no_grad():
        model.read(pictures, "features")
    name = model.config.backbone or "the own encoder"
    if not layers:
        raise ValueError(
            f"{name} has no attention layers to roll out; train with a timm vision transformer, "
            "for example backbone='vit_tiny_patch16_224'"
        )
    tokens = layers[0].shape[-1]
    if any(layer.shape != layers[0].shape for layer in layers) or len(layers[0]) != len(pictures):
        raise ValueError(
            f"{name} attends within windows or at several sizes; rollout needs the same tokens throughout"
        )
    side = int(tokens**0.5)
    prefix = tokens - side * side  # class and register tokens come first
    flow = rollout(layers)[:, prefix:, prefix:].mean(1)  # (n, patches)
    maps = enlarged(flow.view(len(pictures), 1, side, side), pictures.shape[-1])[:, 0]
    return maps / maps.sum((1, 2), keepdim=True)


def above_even(maps: Tensor) -> tuple[Tensor, Tensor]:
    """What to show of maps that sum to 1: each place's excess over an even map, and how large it is at most.

    The shortcuts keep rollout near an even map, so that its values themselves would all look bright.

    Args:
        maps: (n, H, W).

    Returns:
        excess (n, H, W) in [0, 1], 1 at the highest place and 0 wherever a map is not above even; peak (n,),
        the highest value over the even one, at least 1.
    """
    times = maps * maps[0].numel()
    peak = times.amax((1, 2))
    excess = (times - 1).clamp(min=0) / (peak - 1).clamp(min=1e-6)[:, None, None]
    return excess, peak


def rollout(layers: list[Tensor]) -> Tensor:
    """Attention of all layers, first to last, each (n, heads, N, N), rows summing to 1 -> (n, N, N), same."""
    flow = torch.eye(layers[0].shape[-1]).expand(len(layers[0]), -1, -1)
    for layer in layers:
        mixed = 0.5 * layer.mean(1) + 0.5 * torch.eye(layer.shape[-1])
        flow = mixed @ flow
    return flow


@contextmanager
def seen_attention(encoder: torch.nn.Module):
    """While it lasts, every timm attention layer leaves its softmax in the list given.

    The fused kernel never forms the matrix, so the layers take timm's plain way for as long.
    """
    seen: list[Tensor] = []
    with ExitStack() as undo:
        for module in encoder.modules():
            if hasattr(module, "fused_attn") and hasattr(module, "attn_drop"):
                undo.callback(setattr, module, "fused_attn", module.fused_attn)
                module.fused_attn = False
                hook = module.attn_drop.register_forward_pre_hook(
                    lambda _, inputs: seen.append(inputs[0].detach())
                )
                undo.callback(hook.remove)
        yield seen
