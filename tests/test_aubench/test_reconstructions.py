"""Picture measures against hand values; rounds, several runs and out-of-distribution inputs decoded."""

import shutil

import numpy as np
import pytest
import torch

from aubench import plots
from aubench.inspection.decoding import fit_decoder, load_decoder
from aubench.inspection.reconstructions import (
    GMSD_CONSTANT,
    OCCLUDER,
    compare,
    decode_rounds,
    decode_runs,
    decode_texture_by_shape,
    gmsd,
    gradient_magnitude,
    ood_inputs,
    read_ood_inputs,
)
from aubench.inspection.shown_faces import as_pictures, kept_faces
from aulib.run import Run

RAMP = np.tile(np.arange(32) / 100, (32, 1))


class TestMeasures:
    def test_psnr_by_hand(self):
        grey = np.full((16, 16, 3), 0.5)
        assert compare(grey + 0.1, grey)["psnr"] == pytest.approx(20.0)  # 10 log10(1 / 0.1^2)
        assert compare(grey + 0.01, grey)["psnr"] == pytest.approx(40.0)

    def test_equal_pictures_are_as_good_as_can_be(self):
        assert compare(RAMP, RAMP) == {"psnr": np.inf, "ssim": pytest.approx(1.0), "gmsd": 0.0}

    def test_the_gradient_of_a_ramp_is_twice_its_slope_of_a_halved_picture(self):
        assert gradient_magnitude(RAMP)[1:-1, 1:-1] == pytest.approx(0.04)
        assert gradient_magnitude(RAMP.T)[1:-1, 1:-1] == pytest.approx(0.04)

    def test_gmsd_by_hand(self):
        """A flat picture against one whose right half is a ramp: similarity 1 left, lower right."""
        original = np.zeros((64, 64))
        original[:, 32:] = np.arange(32) / 16
        slope = 2 / 16  # of the halved picture; the magnitude is twice the slope
        low = GMSD_CONSTANT / ((2 * slope) ** 2 + GMSD_CONSTANT)
        half = 0.5 * (1 - low)  # deviation of a half-and-half mixture of 1 and `low`
        assert gmsd(np.zeros((64, 64)), original) == pytest.approx(half, rel=0.05)  # edges of the ramp

    def test_blur_costs_gmsd_more_than_a_change_of_light(self):
        """At about the same PSNR, lost edges are worse than a brighter picture."""
        face = np.kron(np.random.default_rng(0).random((8, 8)), np.ones((8, 8)))
        blurred = face.copy()
        for axis in (0, 1):
            blurred = (np.roll(blurred, 2, axis) + blurred + np.roll(blurred, -2, axis)) / 3
        brighter, blurred = compare(face + 0.1, face), compare(blurred, face)
        assert abs(brighter["psnr"] - blurred["psnr"]) < 3
        assert blurred["gmsd"] > 3 * brighter["gmsd"]

    def test_different_shapes_are_refused(self):
        with pytest.raises(ValueError, match=r"\(4, 4\).*\(5, 4\)"):
            compare(np.zeros((4, 4)), np.zeros((5, 4)))


def test_ood_inputs_change_what_their_names_say():
    face = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    inputs = ood_inputs(face)
    assert torch.equal(inputs["upside down"][:, 0], face[:, -1])
    assert torch.equal(inputs["lower half occluded"][:, :4], face[:, :4])
    assert (inputs["lower half occluded"][:, 4:] == OCCLUDER).all()
    assert torch.equal(inputs["one side occluded"][..., :4], face[..., :4])
    assert inputs["flat colour"].std((1, 2)).max() == 0
    assert torch.equal(inputs["noise"], ood_inputs(face)["noise"])
    assert not torch.equal(inputs["noise"], ood_inputs(face, seed=1)["noise"])


@pytest.fixture(scope="module")
def runs(finished, tmp_path_factory):
    """Copies with decoders."""
    folders = {}
    for name in ("full", "source_only"):
        folder = tmp_path_factory.mktemp("decoded") / name
        folders[name] = shutil.copytree(getattr(finished, name), folder)
        fit_decoder(folders[name], [str(finished.source)], steps=2, progress=False)
    return folders


@pytest.fixture(scope="module")
def pair(finished):
    return [kept_faces(Run(finished.full), domain, 2) for domain in ("source", "target")]


class TestRuns:
    def test_rounds_have_scores_where_there_is_an_original(self, runs, pair):
        model = Run(runs["full"]).model
        pictures, table = decode_rounds(model, *pair, load_decoder(Run(runs["full"])))
        assert table.groupby("feature").size().to_dict() == {"rich": 4, "rich2": 4, "self": 4}
        assert len(plots.draw_rounds(pictures, table).axes) == 4 * (2 + 3 * 2 + 1)
        row = table.query("pair == 1 and domain == 'target' and feature == 'rich2'").iloc[0]
        expected = compare(pictures["target.rich2"][1], as_pictures(pair[1].pictures)[1])
        assert row["psnr"] == expected["psnr"] and row["name"] == pair[1].names[1]

    def test_without_a_fitted_decoder_r_decodes_what_the_network_sees(self, finished, pair):
        pictures, table = decode_rounds(Run(finished.source_only).model, *pair)
        assert set(pictures) == {"source.input", "source.rich", "target.input", "target.rich"}
        assert pictures["source.input"].ndim == 3 and set(table["feature"]) == {"rich"}  # grey
        assert len(plots.draw_rounds(pictures, table).axes) == 4 * 3

    def test_several_runs(self, finished, runs, pair):
        decoded, table = decode_runs(runs, *pair)
        assert set(table["run"]) == set(runs)
        assert {name: feature for name, (feature, _) in decoded.items()} == {
            "full": "swapped", "source_only": "rich",
        }  # fmt: skip
        assert len(plots.draw_runs(decoded, table, *pair).axes) == (2 + 2) * 2

    def test_scores_stand_on_the_pictures_they_are_of(self, runs, pair):
        decoded, table = decode_runs({"full-with-a-long-name": runs["full"]}, *pair, "rich2")
        figure = plots.draw_runs(decoded, table, *pair, "rich2")
        written = [text.get_text() for axis in figure.axes for text in axis.texts]
        again = table[table["feature"] == "rich2"]
        assert [text for text in written if "dB" in text] == [
            f"{one.psnr:.1f} dB  {one.ssim:.2f}" for one in again.itertuples()
        ]

    def test_decoders_fitted_differently_are_not_compared(self, finished, runs, pair, tmp_path):
        other = shutil.copytree(runs["source_only"], tmp_path / "other")
        fit_decoder(other, [str(finished.source)], steps=3, progress=False)
        with pytest.raises(ValueError, match="full.*other"):
            decode_runs({"full": runs["full"], "other": other}, *pair)

    def test_ood_inputs_and_the_grid(self, runs, pair):
        faces, model = pair[1], Run(runs["full"]).model
        decoder = load_decoder(Run(runs["full"]))
        inputs, rebuilt, table = read_ood_inputs(model, decoder, "reconstruction", faces[:1])
        assert len(table) == 6 and table["AU12"].between(0, 1).all()
        assert len(plots.draw_ood_inputs(inputs, rebuilt, table).axes) == 12
        pictures, follows = decode_texture_by_shape(model, decoder, faces)
        assert len(plots.draw_texture_by_shape(pictures, as_pictures(faces.pictures)).axes) == 9
        names = list(faces.names)
        pairs = [[one, other] for one in names for other in names if one != other]
        assert follows[["texture", "shape"]].to_numpy().tolist() == pairs
