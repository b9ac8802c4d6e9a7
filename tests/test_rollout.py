"""Attention rollout by hand, and on a vision transformer of timm."""

import pytest
import torch

from aubench.inspection.attention import above_even, rollout, rollout_maps, seen_attention
from aulib.model import AUModel
from tiny import tiny_config, tiny_model

VIT = "vit_tiny_patch16_224"  # made for 224 px: the model must tell it of 112


def test_rollout_by_hand():
    """Two tokens; layer 1: the second looks at the first; layer 2: the first looks at the second."""
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]])[None, None]
    second = torch.tensor([[0.0, 1.0], [0.0, 1.0]])[None, None]
    expected = torch.tensor([[0.5, 0.5], [0.0, 1.0]]) @ torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    torch.testing.assert_close(rollout([first, second])[0], expected)


def test_heads_are_averaged_and_rows_still_sum_to_one():
    layers = [
        torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(k)).softmax(-1) for k in range(3)
    ]
    flow = rollout(layers)
    torch.testing.assert_close(flow.sum(-1), torch.ones(2, 5))
    one_head = [layer.mean(1, keepdim=True) for layer in layers]
    torch.testing.assert_close(rollout(one_head), flow)


def test_only_what_is_above_an_even_map_is_shown():
    """Four places: an even map, and one whose last place has twice its share."""
    maps = torch.tensor([[[0.25, 0.25], [0.25, 0.25]], [[0.1, 0.15], [0.25, 0.5]]])
    excess, peak = above_even(maps)
    torch.testing.assert_close(peak, torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(excess, torch.tensor([[[0.0, 0], [0, 0]], [[0, 0], [0, 1]]]))


def test_the_own_encoder_has_none():
    with pytest.raises(ValueError, match="no attention layers.*vit_tiny_patch16_224"):
        rollout_maps(tiny_model("full").eval(), torch.rand(1, 3, 32, 32))


@pytest.mark.slow
def test_a_vision_transformer_is_rolled_out():
    torch.manual_seed(0)
    model = AUModel(tiny_config("source-only", backbone=VIT, image_size=112, margin_size=128)).eval()
    faces = torch.rand(2, 3, 112, 112)
    maps = rollout_maps(model, faces)
    assert maps.shape == (2, 112, 112) and (maps >= 0).all()
    torch.testing.assert_close(maps.sum((1, 2)), torch.ones(2))
    assert not torch.allclose(maps[0], maps[1])
    with torch.no_grad(), seen_attention(model.encoder) as layers:
        plain = model.read(faces, "features")["au_logits"]
    torch.testing.assert_close(layers[0].sum(-1), torch.ones(layers[0].shape[:-1]))
    with torch.no_grad():  # the fused way is back, and says the same
        fused = model.read(faces, "features")["au_logits"]
        with seen_attention(model.encoder) as later:
            pass
    assert not later
    torch.testing.assert_close(fused, plain, atol=1e-4, rtol=1e-4)
