"""Shape and texture are exchanged with the right face; each number says which parent a feature follows."""

import copy
import shutil

import numpy as np
import pytest
import torch

from aubench.inspection.decoding import decode, fit_decoder
from aubench.inspection.playground import open_run
from aubench.inspection.swaps import (
    ERASED,
    TENSORS,
    alignment_of,
    both_rounds,
    each_exchange,
    grid_of,
    read_grid,
    swap_faces,
    trace_both,
)
from aulib.run import Run
from aulib.supervisors import SUPERVISORS
from tiny import SIZE, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model("full").eval()


@pytest.fixture(scope="module")
def faces():
    return torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_both_rounds_give_each_texture_the_other_faces_shape(model, faces):
    found = both_rounds(model, faces[:2], faces[2:])
    with torch.no_grad():
        rich = model.encoder(model.standardise(faces))
        _, shape, texture = model.separate(rich)
        torch.testing.assert_close(found["rich_t"], rich[2:])
        torch.testing.assert_close(found["swapped_t"], model.reconstruction(shape[:2], texture[2:]))
        torch.testing.assert_close(found["self_s"], model.reconstruction(shape[:2], texture[:2]))
        _, shape_of_source, _ = model.separate(found["swapped_t"])  # it wears the source's shape
        _, _, texture_of_source = model.separate(found["swapped_s"])
        back = model.reconstruction(shape_of_source, texture_of_source)
    torch.testing.assert_close(found["rich2_s"], back)


def test_the_grid_has_textures_in_rows_and_shapes_in_columns(model, faces):
    grid = grid_of(model, faces[:2], faces[2:])
    found = both_rounds(model, faces[:2], faces[2:])
    for pair in range(2):  # source texture, target shape
        torch.testing.assert_close(grid[pair, pair], found["swapped_s"][pair])
    probability, points = read_grid(model, grid)
    assert probability.shape == (2, 2, 5) and points.shape == (2, 2, 68, 2)


def test_each_exchange_by_hand():
    """Two faces; G is 0 and 4 on the diagonal, 1 with texture 0 and shape 1, 6 the other way round."""
    grid = torch.tensor([[0.0, 1.0], [6.0, 4.0]])[..., None, None, None].expand(2, 2, 3, 7, 7)
    points = torch.zeros(2, 2, 68, 2)
    points[..., 45, 0] = 10.0  # the outer eye corners are 10 apart
    points[0, 1, :, 1] = 5.0  # all of one exchange are half an eye distance lower
    probability = torch.tensor([[0.0, 0.2], [0.9, 1.0]])[..., None].expand(2, 2, 5)
    table = each_exchange(grid, points, probability).set_index(["texture", "shape"])
    spread = float(grid.std())
    expected = {
        "moves_with_shape": (1 / spread, 2 / spread),
        "moves_with_texture": (3 / spread, 6 / spread),
        "nme_to_shape": (0.5, 0),
        "nme_to_texture": (0.5, 0),
        "au_of_texture": (0.2, 0.1),
        "au_of_shape": (0.8, 0.9),
    }
    for name, values in expected.items():
        assert table[name].loc[[(0, 1), (1, 0)]].tolist() == pytest.approx(values, abs=1e-6), name


def test_what_cannot_be_exchanged_is_refused(model, faces, finished):
    with pytest.raises(ValueError, match="no separation"):
        both_rounds(tiny_model("source-only").eval(), faces[:2], faces[2:])
    with pytest.raises(ValueError, match="1 source and 3 target"):
        both_rounds(model, faces[:1], faces[1:])
    run = open_run(finished.source_only)
    with pytest.raises(ValueError, match="no separation"):
        swap_faces(run, crop(0), crop(1))


@pytest.fixture(scope="module")
def full(finished):
    return open_run(finished.full)


def trained_with(run: Run, **settings) -> Run:
    """The run, as if it had been trained with other settings."""
    changed = copy.copy(run)
    changed.settings = run.settings | settings
    return changed


def crop(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def pictures() -> torch.Tensor:
    """What a model of 32 pixels sees of crops 0 and 1."""
    images = np.stack([crop(seed)[4:36, 4:36] for seed in (0, 1)])
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope="module")
def swap(full):
    return swap_faces(full, crop(0), crop(1))


class TestSteps:
    def test_both_faces_have_every_step_of_both_rounds(self, full, swap):
        names = [step.name for step in swap.target]
        assert names == ["I^t", "R(F^t)", "S^t", "Z^t", "R(F~^t)", "S~^t", "Z~^t", "R(F^^t)"]
        assert [step.name.replace("^s", "^t") for step in swap.source] == names
        assert all(set(step.aus) == set(full.aus) for step in swap.source if step.name.startswith("R("))

    def test_sizes_are_those_of_the_tensors_and_every_tensor_is_traced(self, full, swap):
        size, channels = full.model.config.image_size, full.model.config.channels
        sizes, cells = {step.name: step.size for step in swap.source}, size // 4
        assert sizes["I^s"] == f"3 × {size} × {size}" and sizes["S^s"] == f"68 × {cells} × {cells}"
        assert {sizes[name] for name in ("R(F~^s)", "Z~^s", "R(F^^s)")} == {f"{channels} × {cells} × {cells}"}
        traced = swap.trace.set_index("target")
        assert len(traced) == len(TENSORS) and traced.loc["S~^t", "size"] == sizes["S~^s"]
        assert traced.loc["S~^t", "numbers"] == 68 * cells * cells
        assert traced.loc["F~^t", "target made by"].startswith("G of S^s and Z^t")
        assert traced.loc["F~^t", "source made by"].startswith("G of S^t and Z^s")

    @pytest.mark.parametrize(("separation", "rest"), [("erasure", ERASED), ("adversary", "")])
    def test_the_trace_says_whether_the_texture_is_erased(self, separation, rest):
        model = tiny_model("full", separation=separation).eval()
        if model.erasure is not None:
            model.erasure.au_means.fill_(1.0)
            model.erasure.au_directions.normal_(generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            made_by = trace_both(model(pictures(), 1, separate=True)).set_index("target")["target made by"]
        assert made_by["Z^t"] == f"T of F^t{rest}" and made_by["Z~^t"] == f"T of F~^t{rest}"

    def test_a_row_has_its_own_shape_read_from_the_face_that_wears_it(self, full, swap):
        with torch.no_grad():
            outputs = full.model(pictures(), 1, separate=True)
            own = full.model.separate(outputs["swapped_s"])[1]  # F~^s wears the target's shape
        shown = next(step.picture for step in swap.target if step.name == "S~^t")
        np.testing.assert_allclose(shown, own.sum(1)[0], atol=1e-5)

    def test_aus_of_the_swapped_face_are_read_from_the_other_shape_and_its_own_texture(self, full, swap):
        model = full.model
        with torch.no_grad():
            _, shape, texture = model.separate(model.encoder(model.standardise(pictures())))
            probability = model.au_head(model.reconstruction(shape[:1], texture[1:]))[0].sigmoid()[0]
        step = next(step for step in swap.target if step.name == "R(F~^t)")
        np.testing.assert_allclose(list(step.aus.values()), probability, atol=1e-4)

    def test_a_face_that_swaps_with_itself_changes_nothing_between_the_rows(self, full):
        swap = swap_faces(full, crop(0), crop(0))
        for own, other in zip(swap.source, swap.target, strict=True):
            np.testing.assert_allclose(own.picture, other.picture, atol=1e-4)
        np.testing.assert_allclose(swap.alignment["features"], swap.alignment["features_other"], atol=1e-5)

    def test_a_fitted_decoder_is_used_if_the_run_has_one(self, swap, finished, tmp_path):
        folder = shutil.copytree(finished.full, tmp_path / "run")
        decoder, run = fit_decoder(folder, steps=1, progress=False), open_run(folder)
        fitted = swap_faces(run, crop(0), crop(1))
        with torch.no_grad():
            features = run.model.encoder(run.model.standardise(pictures()[1:]))
        expected = decode(run.model, features, pictures()[1:], decoder)[0]
        shown = next(step.picture for step in fitted.target if step.name == "R(F^t)")
        np.testing.assert_allclose(shown, expected, atol=1e-4)
        assert fitted.fitted and not swap.fitted


def test_alignment_is_the_cosine_worked_by_hand(full):
    """The same one-cell features for every supervisor: one end, its own other end, the other face's."""
    first, own, other = (torch.tensor(pair).view(1, -1, 1, 1) for pair in ([1.0, 0], [1.0, 1], [0.0, 2]))
    outputs = {}
    for supervisor in SUPERVISORS.values():
        values = (own, other) if supervisor.first.endswith("_s") else (other, own)
        outputs[supervisor.first] = first
        for half, value in zip("st", values, strict=True):
            outputs.setdefault(f"{supervisor.second[:-1]}{half}", value)
    table = alignment_of(trained_with(full, supervisors=[]), outputs)
    assert list(table["supervisor"]) == list(SUPERVISORS)
    source = table.set_index("supervisor").loc["rich_source"]
    assert source["features"] == pytest.approx(0.5**0.5) and source["features_other"] == pytest.approx(0.0)


def test_only_supervisors_that_were_trained_have_a_projected_number(full):
    run = trained_with(full, supervisors=["shape_source"], alignment="global")
    table = swap_faces(run, crop(0), crop(1)).alignment.set_index("supervisor")
    assert list(table.index[table["projected"].notna()]) == ["shape_source"]
    assert table["features"].between(-1, 1).all() and -1 <= table.loc["shape_source", "projected"] <= 1
    l1 = swap_faces(trained_with(run, alignment="l1"), crop(0), crop(1)).alignment
    assert l1["projected"].isna().all()
