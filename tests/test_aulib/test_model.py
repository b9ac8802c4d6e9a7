"""The wiring of the two rounds, output by output, against formulas worked by hand."""

import itertools

import pytest
import torch
from torch import nn

from aulib.methods import METHODS
from aulib.model import AUModel, ModelConfig, cells_to_pixels, expected_cells
from tiny import AUS, SIZE, tiny_config, tiny_model


class Part(nn.Module):
    """A hand-made part: any function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


# Formulas whose results cannot be mistaken for one another; S, Z and F are all of one shape here.
def extract(image):
    return image + 1


def shape_of(rich):
    return 2 * rich + 3


def texture_of(rich):
    return 5 * rich - 1


def combine(shape, texture):
    return 0.01 * shape * shape + 0.1 * texture


def aus_of(rich):
    return rich.mean((1, 2, 3))[:, None] * 13


@pytest.fixture
def wired(monkeypatch) -> AUModel:
    """A model whose parts are the formulas above, so that every output can be computed by hand."""
    model = tiny_model("full", separation="adversary").double()
    model.encoder = Part(extract)
    model.landmark_head = Part(shape_of)
    model.texture_encoder = Part(texture_of)
    model.generator = Part(combine)
    model.draw = lambda shape: shape
    model.au_head = Part(lambda rich: (aus_of(rich), rich))
    model.standardise = lambda image: image
    monkeypatch.setattr("aulib.model.log_attention", torch.log)  # so that S is what shape_of says
    return model


def by_hand(image_s, image_t) -> dict[str, torch.Tensor]:
    """docs/method.md, "Two rounds", written out."""
    F_s, F_t = extract(image_s), extract(image_t)
    S_s, Z_s, S_t, Z_t = shape_of(F_s), texture_of(F_s), shape_of(F_t), texture_of(F_t)
    swapped_t, swapped_s = combine(S_s, Z_t), combine(S_t, Z_s)
    S2_s, Z2_t = shape_of(swapped_t), texture_of(swapped_t)
    S2_t, Z2_s = shape_of(swapped_s), texture_of(swapped_s)
    return {
        "rich_s": F_s, "rich_t": F_t,
        "shape_s": S_s, "shape_t": S_t, "texture_s": Z_s, "texture_t": Z_t,
        "landmarks_s": S_s.log(), "landmarks_t": S_t.log(),
        "self_s": combine(S_s, Z_s), "self_t": combine(S_t, Z_t),
        "swapped_s": swapped_s, "swapped_t": swapped_t,
        "landmarks_swapped_s": S2_t.log(), "landmarks_swapped_t": S2_s.log(),
        "shape2_s": S2_s, "shape2_t": S2_t, "texture2_s": Z2_s, "texture2_t": Z2_t,
        "rich2_s": combine(S2_s, Z2_s), "rich2_t": combine(S2_t, Z2_t),
        "au_s": aus_of(F_s), "au_swapped_t": aus_of(swapped_t), "au_self_s": aus_of(combine(S_s, Z_s)),
    }  # fmt: skip


def pictures(batch: int = 3, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, 4, 4, generator=rng, dtype=torch.float64)


EXPECTED = by_hand(pictures(), pictures(seed=1))


class TestTwoRounds:
    @pytest.mark.parametrize("name", EXPECTED)
    def test_output_is_what_the_method_says(self, name, wired):
        outputs = wired(torch.cat([pictures(), pictures(seed=1)]), num_source=3, separate=True)
        torch.testing.assert_close(outputs[name], EXPECTED[name], rtol=1e-9, atol=1e-9)

    def test_no_two_outputs_could_be_confused_with_each_other(self):
        means = {name: value.mean().item() for name, value in EXPECTED.items() if value.dim() == 4}
        assert not {(a, b) for a, b in itertools.combinations(means, 2) if abs(means[a] - means[b]) < 1e-3}

    def test_the_rows_of_a_batch_are_pairs(self, wired):
        image = torch.cat([pictures(), pictures(seed=1)])
        other = image.clone()
        other[4] += 1  # the second target face
        outputs, moved = (wired(value, num_source=3, separate=True) for value in (image, other))
        for name in ("swapped_s", "swapped_t", "rich2_s", "rich2_t"):
            changed = (outputs[name] != moved[name]).flatten(1).any(1)
            assert changed.tolist() == [False, True, False], name

    def test_without_swapping_back_the_rest_stays_and_g_runs_once(self, wired):
        calls = []
        wired.generator = Part(lambda *inputs: calls.append(len(inputs[0])) or combine(*inputs))
        wired.texture_encoder = Part(lambda rich: calls.append(len(rich)) or texture_of(rich))
        both = torch.cat([pictures(), pictures(seed=1)])
        outputs = wired(both, num_source=3, separate=True, swap_back=False)
        assert calls == [6, 12]  # T of both domains; G with its own and the other's shapes
        second = {name for name in EXPECTED if name.startswith(("shape2", "texture2", "rich2"))}
        assert len(second) == 6 and not second & outputs.keys()
        for name in EXPECTED.keys() - second:
            torch.testing.assert_close(outputs[name], EXPECTED[name], rtol=1e-9, atol=1e-9)

    def test_unequal_halves_cannot_be_swapped(self):
        with pytest.raises(ValueError, match="2 source and 3 target faces"):
            tiny_model("full")(torch.rand(5, 3, SIZE, SIZE), num_source=2, separate=True)


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_gradient_reaches_every_part_that_the_networks_are_made_of(self, method):
        model = tiny_model(method)
        torch.manual_seed(1)
        separates = METHODS[method].separates
        outputs = model(torch.rand(4, 3, SIZE, SIZE), num_source=2, separate=separates)
        sum((value * torch.randn(value.shape)).sum() for value in outputs.values()).backward()
        silent = {name for name, part in model.named_children() if not _has_gradient(part)}
        others = {"decoder"}  # learns on stopped gradients; adversaries and projectors learn in losses
        if METHODS[method].au_from_landmarks:
            others |= {"au_head"}  # is fitted to given landmarks beforehand
        if separates:
            others |= {"landmark_adversary", "source_adversary", "target_adversary", "projectors"}
        assert silent == others

    def test_both_domains_as_one_batch_are_each_domain_alone(self, method):
        model = tiny_model(method).eval()
        torch.manual_seed(1)
        image = torch.rand(6, 3, SIZE, SIZE)
        together = model(image, num_source=3, separate=False)
        source = model(image[:3], num_source=3, separate=False)
        target = model(image[3:], num_source=0, separate=False)
        assert {name for name in together if name.endswith("_t")} >= {"rich_t", "landmarks_t"}
        for name, value in together.items():
            if name != "inputs":
                alone = (target if name.endswith("_t") else source)[name]
                torch.testing.assert_close(value, alone, rtol=1e-3, atol=1e-4)

    def test_source_faces_alone_are_enough_before_the_rounds(self, method):
        outputs = tiny_model(method)(torch.rand(2, 3, SIZE, SIZE), num_source=2, separate=False)
        if not METHODS[method].au_from_landmarks:
            assert outputs["au_s"].shape == (2, len(AUS))
        assert len(outputs["rich_t"]) == len(outputs["landmarks_t"]) == 0

    def test_reads_faces_at_test_time(self, method):
        rung = METHODS[method]
        model = tiny_model(method).eval()
        outputs = model.read(torch.rand(2, 3, SIZE, SIZE), rung.read_target_from)
        assert outputs["au_logits"].shape == (2, len(AUS))
        torch.testing.assert_close(outputs["shape"].sum((-2, -1)), torch.ones(2, 68))
        if not rung.au_from_landmarks:
            torch.testing.assert_close(outputs["evidence"].mean((-2, -1)), outputs["au_logits"])


def _has_gradient(part: nn.Module) -> bool:
    return any(value.grad is not None and value.grad.any() for value in part.parameters())


class TestReading:
    def test_from_both_is_the_mean_of_the_two_and_so_is_the_evidence(self, wired):
        image = pictures()
        features, reconstruction = (wired.read(image, way) for way in ("features", "reconstruction"))
        both = wired.read(image, "both")
        for name in ("au_logits", "evidence"):
            expected = (features[name] + reconstruction[name]) / 2
            torch.testing.assert_close(both[name], expected, rtol=1e-9, atol=0)

    def test_agrees_with_the_training_pass(self):
        model = tiny_model("full").eval()
        image = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        trained = model(image, num_source=2, separate=True)
        for read_from, name in (("features", "au_s"), ("reconstruction", "au_self_s")):
            read = model.read(image[:2], read_from)
            torch.testing.assert_close(read["au_logits"], trained[name], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(read["self"], trained["self_s"], rtol=1e-3, atol=1e-4)

    def test_a_model_without_reconstruction_refuses_to_read_from_it(self):
        with pytest.raises(ValueError, match="has no G"):
            tiny_model("source-only").read(torch.rand(1, 3, SIZE, SIZE), "reconstruction")
        with pytest.raises(ValueError, match="'pixels'.*reconstruction"):
            tiny_model("full").read(torch.rand(1, 3, SIZE, SIZE), "pixels")


class TestSharedExtraction:
    def test_a_second_encoder_serves_aus_alone(self):
        model = tiny_model("multitask", share_extraction=False)
        outputs = model(torch.rand(2, 3, SIZE, SIZE), num_source=2, separate=False)
        outputs["au_s"].sum().backward(retain_graph=True)
        assert _has_gradient(model.au_encoder) and not _has_gradient(model.encoder)
        outputs["landmarks_s"].square().sum().backward()
        assert _has_gradient(model.encoder)

    def test_training_pass_and_reading_use_the_same_encoder(self):
        model = tiny_model("multitask", share_extraction=False).eval()
        image = torch.rand(2, 3, SIZE, SIZE)
        outputs = model(image, num_source=2, separate=False)
        torch.testing.assert_close(model.read(image, "features")["au_logits"], outputs["au_s"])


class TestStandardise:
    @pytest.mark.parametrize(("colour", "channels"), [("luminance", 1), ("rgb", 3)])
    def test_brightness_and_contrast_of_a_face_do_not_matter(self, colour, channels):
        model = tiny_model("source-only", colour=colour)
        image = 0.2 + 0.6 * torch.rand(2, 3, SIZE, SIZE)
        inputs = model.standardise(image)
        assert inputs.shape == (2, channels, SIZE, SIZE)
        torch.testing.assert_close(model.standardise(0.5 * image + 0.1), inputs, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(inputs.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
        torch.testing.assert_close(inputs.std((1, 2, 3)), torch.ones(2), atol=1e-4, rtol=0)

    def test_luminance_worked_by_hand(self):
        image = torch.zeros(1, 3, 1, 2)
        image[0, 0, 0, 0] = 1  # a red pixel next to a black one: luminance .299 and 0
        expected = torch.tensor([0.1495, -0.1495]) / (0.299 / 2**0.5)
        torch.testing.assert_close(tiny_model("source-only").standardise(image).flatten(), expected)


class TestExpectedCells:
    def test_worked_by_hand(self):
        shape = torch.zeros(1, 1, 5, 5)
        shape[0, 0, 2, 3], shape[0, 0, 2, 4], shape[0, 0, 1, 3], shape[0, 0, 4, 0] = 0.6, 0.2, 0.1, 0.1
        # of the peak's neighbourhood, 0.9 in all: x (0.7 * 3 + 0.2 * 4) / 0.9, y (0.8 * 2 + 0.1 * 1) / 0.9
        torch.testing.assert_close(expected_cells(shape)[0, 0], torch.tensor([2.9 / 0.9, 1.7 / 0.9]))

    @pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 4), (4, 2), (2, 2)])
    def test_a_single_cell_is_found_even_on_the_border(self, row, column):
        shape = torch.zeros(1, 1, 5, 5)
        shape[0, 0, row, column] = 1
        torch.testing.assert_close(expected_cells(shape)[0, 0], torch.tensor([float(column), float(row)]))

    def test_pixels_of_cells_are_their_centres(self):
        cells = torch.tensor([[0.0, 0.0], [1.0, 3.0], [-0.5, 7.5]])
        expected = torch.tensor(
            [[1.5, 1.5], [5.5, 13.5], [-0.5, 31.5]]
        )  # cells of 4 px; edges of the picture
        torch.testing.assert_close(cells_to_pixels(cells, 8, 32), expected)


class TestConfig:
    def test_survives_being_written_and_read(self):
        config = tiny_config("dann", share_extraction=False)
        assert ModelConfig.from_dict(config.as_dict()) == config

    def test_an_unknown_field_is_refused_by_name(self):
        with pytest.raises(TypeError, match="colours"):
            ModelConfig.from_dict(tiny_config().as_dict() | {"colours": 3})
