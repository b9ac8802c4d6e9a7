"""Shares of the gradient, worked by hand on terms whose gradients are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from aulib.gradients import MEASUREMENTS, gradient_shares, measured_at, shared_parameters
from tiny import tiny_model


@pytest.fixture
def model():
    return tiny_model("full")


def test_shares_follow_the_norms_of_the_weighted_gradients(model):
    in_encoder, in_g = next(model.encoder.out.parameters()), next(model.reconstruction.parameters())
    # gradients (3, 4) in one place, norm 5; (15,) in another; a term that pulls the other way counts as much
    terms = {
        "a": 3 * in_encoder.flatten()[0] + 4 * in_g.flatten()[0],
        "b": 15 * in_g.flatten()[1],
        "against": -5 * in_encoder.flatten()[2],
    }
    shares = gradient_shares(model, terms)
    assert shares == pytest.approx({"share.a": 0.2, "share.b": 0.6, "share.against": 0.2})


def test_a_term_that_reaches_nothing_shared_has_no_share(model):
    terms = {
        "own": 2 * model.au_head.bias.sum(),
        "constant": torch.tensor(3.0),
        "shared": model.encoder.out[0].weight.sum(),
    }
    shares = gradient_shares(model, terms)
    assert shares == {"share.own": 0, "share.constant": 0, "share.shared": 1}
    assert gradient_shares(model, {"own": terms["own"]}) == {"share.own": 0}


def test_measuring_leaves_no_gradient_and_keeps_the_graph(model):
    term = model.encoder.out[0].weight.square().sum()
    gradient_shares(model, {"term": term})
    assert all(parameter.grad is None for parameter in model.parameters())
    term.backward()
    assert model.encoder.out[0].weight.grad.abs().sum() > 0


def test_a_model_without_g_shares_its_encoder_only():
    plain, full = tiny_model("source-only"), tiny_model("full")
    assert len(shared_parameters(full)) > len(shared_parameters(plain)) > 0


@pytest.mark.parametrize(("steps", "first"), [(400, 200), (2, 0), (1, 0), (3, 9)])
def test_is_measured_from_where_terms_are_complete_to_the_last_step(steps, first):
    steps_measured = measured_at(steps, first)
    assert min(steps_measured) == min(first, steps - 1) and max(steps_measured) == steps - 1
    assert len(steps_measured) == min(MEASUREMENTS, steps - min(first, steps - 1))


def test_the_shares_of_a_run_stand_in_its_history_and_sum_to_one(finished):
    history = pd.read_csv(finished.full / "history.csv")
    shares = history[[name for name in history if name.startswith("share.")]].dropna()
    assert {"share.au_source", "share.texture_target"} <= set(shares.columns) and len(shares)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
