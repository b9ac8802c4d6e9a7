"""What is exchanged is exchanged with the right one, and the numbers of a grid say who it takes after."""

import pytest
import torch

from aubench.inspection.reconstructions import OCCLUDER, ood_inputs
from aubench.inspection.swaps import each_exchange, exchange, grid_of, read_grid, what_follows
from tiny import SIZE, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model("full").eval()


@pytest.fixture(scope="module")
def faces():
    return torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_exchange_gives_each_texture_the_other_faces_shape(model, faces):
    found = exchange(model, faces[:2], faces[2:])
    with torch.no_grad():
        rich = model.encoder(model.standardise(faces))
        _, shape, texture = model.separate(rich)
        torch.testing.assert_close(found["target.rich"], rich[2:])
        torch.testing.assert_close(found["target.swapped"], model.reconstruction(shape[:2], texture[2:]))
        torch.testing.assert_close(found["source.self"], model.reconstruction(shape[:2], texture[:2]))
        _, shape_of_source, _ = model.separate(found["target.swapped"])  # it wears the source's shape
        _, _, texture_of_source = model.separate(found["source.swapped"])
        back = model.reconstruction(shape_of_source, texture_of_source)
    torch.testing.assert_close(found["source.rich2"], back)


def test_the_grid_has_textures_in_rows_and_shapes_in_columns(model, faces):
    grid = grid_of(model, faces[:2], faces[2:])
    found = exchange(model, faces[:2], faces[2:])
    for pair in range(2):  # source texture, target shape
        torch.testing.assert_close(grid[pair, pair], found["source.swapped"][pair])
    probability, points = read_grid(model, grid)
    assert probability.shape == (2, 2, 5) and points.shape == (2, 2, 68, 2)


def test_a_world_where_all_follows_the_shape():
    """Column j of every row is the same: the texture changes nothing."""
    draw = torch.Generator().manual_seed(0)
    columns = torch.rand(3, 4, 7, 7, generator=draw), torch.rand(3, 68, 2, generator=draw) * 20
    probability = torch.rand(3, 5, generator=draw)
    by_shape = [part.expand(3, *part.shape) for part in (*columns, probability)]
    follows = what_follows(*by_shape)
    assert follows["moves_with_texture"] == follows["nme_to_shape"] == follows["au_of_shape"] == 0
    assert min(follows[name] for name in ("moves_with_shape", "nme_to_texture", "au_of_texture")) > 0
    turned = what_follows(*(part.transpose(0, 1) for part in by_shape))
    for name in ("moves_with_{}", "nme_to_{}", "au_of_{}"):
        assert turned[name.format("shape")] == pytest.approx(follows[name.format("texture")])


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
    assert what_follows(grid, points, probability) == pytest.approx(
        {name: sum(values) / 2 for name, values in expected.items()}, abs=1e-6
    )


def test_what_cannot_be_exchanged_says_so(model, faces):
    with pytest.raises(ValueError, match="no separation"):
        exchange(tiny_model("source-only").eval(), faces[:2], faces[2:])
    with pytest.raises(ValueError, match="1 source and 3 target"):
        exchange(model, faces[:1], faces[1:])


def test_ood_inputs_change_what_their_names_say():
    face = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    probes = ood_inputs(face)
    assert torch.equal(probes["upside down"][:, 0], face[:, -1])
    assert torch.equal(probes["lower half\noccluded"][:, :4], face[:, :4])
    assert (probes["lower half\noccluded"][:, 4:] == OCCLUDER).all()
    assert torch.equal(probes["one side\noccluded"][..., :4], face[..., :4])
    assert probes["flat colour"].std((1, 2)).max() == 0
    assert torch.equal(probes["noise"], ood_inputs(face)["noise"])
    assert not torch.equal(probes["noise"], ood_inputs(face, seed=1)["noise"])
