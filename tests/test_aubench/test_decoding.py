"""Light and coarse colour come from the side, all else from features; a decoder is fitted once."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from aubench.inspection.decoding import (
    ABOUT,
    CELLS,
    DECODER,
    FaceDecoder,
    Side,
    about_decoder,
    decode,
    decode_faces,
    fit_decoder,
    join_colour,
    load_decoder,
    shown_input,
    side_alone,
    side_of,
    split_colour,
)  # fmt: skip
from aubench.inspection.shown_faces import faces_from
from aulib.dataset import read_dataset
from aulib.run import Run
from conftest import write_tiny_set
from tiny import tiny_model


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished.full, tmp_path / "run")


def faces(size: int = 28) -> torch.Tensor:
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_colour_is_split_and_joined_again():
    torch.testing.assert_close(join_colour(split_colour(faces())), faces())
    grey = torch.full((1, 3, 2, 2), 0.3)
    torch.testing.assert_close(
        split_colour(grey), torch.tensor([0.3, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    )


def test_the_side_of_a_face_by_hand():
    picture = torch.zeros(1, 3, 14, 14)
    picture[:, 2] = 0.5  # blue
    side = side_of(picture)
    assert side.mean.item() == pytest.approx(0.114 * 0.5)
    assert side.spread.item() == pytest.approx(0.02)  # flat: the floor that standardising has
    assert side.colour.shape == (1, 2, CELLS, CELLS)
    assert side.colour[0, 0] == pytest.approx(0.5 - 0.057) and side.colour[0, 1] == pytest.approx(-0.057)


def test_the_side_holds_no_expression():
    """Two faces that differ within cells only have the same side, up to light."""
    coarse = torch.rand(1, 3, CELLS, CELLS, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.2
    one = coarse.repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = one + 0.1 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(14, 14)
    torch.testing.assert_close(side_of(one).colour, side_of(other).colour)
    torch.testing.assert_close(side_alone(side_of(one), 28), side_alone(side_of(other), 28))


def test_light_of_the_side_is_light_of_the_picture():
    torch.manual_seed(0)
    decoder = FaceDecoder(4, width=16).eval()
    features = torch.randn(1, 4, 7, 7)
    side = Side(torch.full((1, 1, 1, 1), 0.4), torch.full((1, 1, 1, 1), 0.1), torch.zeros(1, 2, CELLS, CELLS))
    brighter = Side(side.mean + 0.2, side.spread * 2, side.colour)
    with torch.no_grad():
        ours, theirs = (split_colour(decoder(features, one))[:, 0] for one in (side, brighter))
    torch.testing.assert_close((theirs - 0.6) / 0.2, (ours - 0.4) / 0.1, atol=1e-4, rtol=1e-4)


def test_fitting_adds_a_decoder_to_the_run_and_leaves_its_weights(run):
    weights = (run / "model.safetensors").read_bytes()
    decoder = fit_decoder(run, steps=10, progress=False)
    assert (run / "model.safetensors").read_bytes() == weights
    assert about_decoder(run)["steps"] == 10
    model = Run(run).model
    features = torch.randn(2, model.config.channels, 8, 8)
    side = side_of(faces(32)[:2])
    first = decode_faces(decoder, features, side)
    assert first.shape == (2, 3, 32, 32) and 0 <= first.min() and first.max() <= 1
    torch.testing.assert_close(decode_faces(load_decoder(Run(run)), features, side), first)


def test_a_decoder_is_fitted_again_only_for_other_weights_or_steps(run):
    fit_decoder(run, steps=2, progress=False)
    stamp = (run / DECODER).stat().st_mtime_ns
    fit_decoder(run, steps=2, progress=False)
    assert (run / DECODER).stat().st_mtime_ns == stamp
    fit_decoder(run, steps=3, progress=False)
    assert (run / DECODER).stat().st_mtime_ns != stamp
    about = json.loads((run / ABOUT).read_text())
    (run / ABOUT).write_text(json.dumps(about | {"run": "of other weights"}))
    stamp = (run / DECODER).stat().st_mtime_ns
    fit_decoder(run, steps=3, progress=False)
    assert (run / DECODER).stat().st_mtime_ns != stamp


@pytest.mark.slow
def test_a_decoder_learns_what_features_hold(run, tmp_path):
    """Pictures of one stripe, in another place each, so that its place is all that there is to learn."""
    stripes = write_tiny_set(tmp_path / "stripes")
    for index, file in enumerate(sorted((stripes / "images").iterdir())):
        picture = np.full((64, 64, 3), 60, np.uint8)
        picture[:, 12 + index : 24 + index] = 200
        Image.fromarray(picture).save(file)
    model = Run(run).model
    shown = faces_from(stripes, model.config, rows=read_dataset(stripes).rows("train")).pictures
    with torch.no_grad():
        features = model.encoder(model.standardise(shown))
    side, errors = side_of(shown), []
    for steps in (1, 80):
        decoder = fit_decoder(run, [str(stripes)], steps=steps, progress=False)
        errors.append((decode_faces(decoder, features, side) - shown).abs().mean().item())
    alone = (side_alone(side, shown.shape[-1]) - shown).abs().mean().item()
    assert errors[1] < 0.7 * errors[0] and errors[1] < 0.7 * alone


def test_a_missing_set_is_named(run):
    with pytest.raises(FileNotFoundError, match="no/such/set"):
        fit_decoder(run, ["no/such/set"], steps=1, progress=False)


def test_a_perfect_decoder_returns_the_face_in_its_own_light():
    model = tiny_model("full").eval()
    faces = torch.rand(3, 3, 32, 32) * 0.4 + 0.2
    model.decoder = torch.nn.Identity()
    grey = decode(model, model.standardise(faces), faces)
    np.testing.assert_allclose(grey, shown_input(model, faces), atol=1e-5)
