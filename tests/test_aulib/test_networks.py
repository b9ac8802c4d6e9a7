"""The parts: shapes, stated invariants, and a gradient to every parameter."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from aulib.networks import (
    AUHead,
    DomainClassifier,
    FaceEncoder,
    FeatureAdversary,
    ImageDecoder,
    LandmarkAUHead,
    LandmarkHead,
    Projector,
    Reconstruction,
    TextureEncoder,
    TimmEncoder,
    log_attention,
    reverse_gradient,
)
from tiny import AUS, published_weights

B, C, K, A = 3, 8, 68, len(AUS)
SMALL_BACKBONES = ("mobilenetv3_small_050", "resnet10t")


def features(seed: int = 0, size: int = 12) -> torch.Tensor:
    return torch.randn(B, C, size, size, generator=torch.Generator().manual_seed(seed))


def attention(seed: int = 0) -> torch.Tensor:
    maps = torch.randn(B, K, 12, 12, generator=torch.Generator().manual_seed(seed))
    return maps.flatten(2).softmax(-1).view_as(maps)


PARTS = {  # part, inputs, shape of the output
    "encoder": (lambda: FaceEncoder(1, C), lambda: [torch.randn(B, 1, 48, 48)], (B, C, 12, 12)),
    "encoder of colour": (lambda: FaceEncoder(3, C), lambda: [torch.randn(B, 3, 48, 48)], (B, C, 12, 12)),
    "landmark head": (lambda: LandmarkHead(C, K), lambda: [features()], (B, K, 12, 12)),
    "texture encoder": (lambda: TextureEncoder(C), lambda: [features()], (B, C, 12, 12)),
    "residual texture encoder": (lambda: TextureEncoder(C, True), lambda: [features()], (B, C, 12, 12)),
    "reconstruction": (lambda: Reconstruction(C), lambda: [features(1)[:, :1], features()], (B, C, 12, 12)),
    "residual reconstruction": (
        lambda: Reconstruction(C, residual=True),
        lambda: [torch.cat([features(1)[:, :1], features(2)], 1), features()],
        (B, C, 12, 12),
    ),
    "AU head": (lambda: AUHead(C, A, map_size=12), lambda: [features()], (B, A)),
    "AU head of landmarks": (lambda: LandmarkAUHead(K, A), lambda: [torch.randn(B, K, 2)], (B, A)),
    "feature adversary": (lambda: FeatureAdversary(C), lambda: [features()], (B, 1, 3, 3)),
    "projector": (lambda: Projector(C, dim=16), lambda: [features()], (B, 16)),
    "dense projector": (lambda: Projector(C, dim=16, alignment="dense"), lambda: [features()], (B, 49, 16)),
    "domain classifier": (lambda: DomainClassifier(C), lambda: [features()], (B,)),
    "image decoder": (lambda: ImageDecoder(C, 3), lambda: [features()], (B, 3, 48, 48)),
}


def make(name: str, seed: int = 0):
    torch.manual_seed(seed)
    part, inputs, _ = PARTS[name]
    return part(), inputs()


def first_output(part, inputs) -> torch.Tensor:
    output = part(*inputs)
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("name", PARTS)
class TestEveryPart:
    def test_shape_is_the_documented_one(self, name):
        assert first_output(*make(name)).shape == PARTS[name][2]

    def test_gradient_reaches_every_parameter(self, name):
        part, inputs = make(name)
        output = first_output(part, inputs)
        (output * torch.randn(output.shape)).sum().backward()
        without = [
            key for key, value in part.named_parameters() if value.grad is None or not value.grad.any()
        ]
        assert not without

    def test_output_of_a_face_does_not_depend_on_its_batch(self, name):
        part, inputs = make(name)
        part.eval()
        whole, alone = first_output(part, inputs), first_output(part, [value[1:2] for value in inputs])
        torch.testing.assert_close(whole[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["encoder", "texture encoder", "reconstruction"])
def test_each_channel_has_mean_zero_and_variance_one_over_a_batch_before_its_leaky_relu(name):
    part, inputs = make(name)
    output = first_output(part, inputs)
    before = torch.where(output < 0, output / 0.1, output).transpose(0, 1).flatten(1)
    torch.testing.assert_close(before.mean(1), torch.zeros(C), atol=1e-4, rtol=0)
    torch.testing.assert_close(before.var(1, unbiased=False), torch.ones(C), atol=1e-2, rtol=0)


@pytest.mark.parametrize("backbone", SMALL_BACKBONES)
def test_backbone_of_timm_gives_what_the_own_encoder_gives(backbone):
    torch.manual_seed(0)
    encoder = TimmEncoder(backbone, inputs=1, channels=C)
    image = torch.randn(2, 1, 64, 64)
    assert encoder(image).shape == FaceEncoder(1, C)(image).shape == (2, C, 16, 16)
    encoder(image).square().sum().backward()
    assert all(project.weight.grad.any() for project in encoder.project)


def test_a_backbone_begins_with_the_weights_of_a_file_kernels_of_colours_added_up(tmp_path):
    encoder = TimmEncoder("resnet10t", inputs=1, channels=C)
    weights = published_weights("resnet10t", tmp_path / "learned.safetensors")
    encoder.load_backbone(str(tmp_path / "learned.safetensors"))
    own = encoder.backbone.state_dict()
    first = weights["conv1.0.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(own["model.conv1.0.weight"], first)
    inner = "layer2.0.conv1.weight"
    assert torch.equal(own[f"model.{inner}"], weights[inner])
    assert not any("layer4" in name or "fc" in name for name in own), "stages behind stride 16 are left out"


def test_weights_of_other_names_or_shapes_are_refused(tmp_path):
    encoder, file = TimmEncoder("resnet10t", inputs=1, channels=C), tmp_path / "weights.safetensors"
    before = {name: value.clone() for name, value in encoder.state_dict().items()}

    def refused(weights: dict) -> str:
        save_file(weights, file)
        expected = "weights of resnet10t under timm's names, .safetensors or"
        with pytest.raises(ValueError, match=expected) as found:
            encoder.load_backbone(str(file))
        return str(found.value).partition("found ")[2]

    weights = published_weights("resnet10t", file)
    fewer = {name: value for name, value in weights.items() if name != "bn1.weight"}
    assert refused(fewer) == "no bn1.weight"
    deeper = weights | {"layer5.0.bias": torch.ones(2)}
    assert refused(deeper) == "layer5.0.bias as well"
    file.write_text("weights")
    with pytest.raises(ValueError, match=f"{file}: expected weights of resnet10t .*found 7 bytes of text"):
        encoder.load_backbone(str(file))
    save_file(weights | {"bn1.weight": torch.ones(3)}, file)
    with pytest.raises(ValueError, match="for resnet10t: .*size mismatch for bn1.weight"):
        encoder.load_backbone(str(file))
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize(
    ("backbone", "reason"),
    [("no_such_net", "'no_such_net' cannot serve as E.*no_such_net"), ("mixer_s32_224", r"\[32, 32, 32\]")],
)
def test_backbone_that_cannot_serve_is_refused_with_the_reason(backbone, reason):
    with pytest.raises(ValueError, match=reason):
        TimmEncoder(backbone, inputs=1, channels=C)


class TestAUHead:
    def test_logit_is_exactly_the_mean_of_its_evidence(self):
        head, inputs = make("AU head")
        logits, evidence = head(*inputs)
        assert evidence.shape == (B, A, 3, 3)
        assert torch.equal(logits, evidence.mean((-2, -1)))

    def test_each_au_has_a_separate_branch_after_the_first_layer(self):
        head, inputs = make("AU head")
        head.eval()
        first = {id(value) for value in next(head.children())[0].parameters()}
        own = [value for value in head.parameters() if id(value) not in first]
        for au in range(A):
            for gradient in torch.autograd.grad(head(*inputs)[0][:, au].sum(), own):
                reached = gradient.reshape(A, -1).any(1)  # every parameter is a block for each AU
                assert reached.tolist() == [branch == au for branch in range(A)]


class TestLandmarkAUHead:
    def test_position_and_size_of_the_face_do_not_matter(self):
        head, (landmarks,) = make("AU head of landmarks")
        head.eval()
        torch.testing.assert_close(head(3 * landmarks + 20), head(landmarks), rtol=1e-3, atol=1e-4)
        wider = landmarks * torch.tensor([1.3, 1.0])
        assert (head(wider) - head(landmarks)).abs().max() > 1e-3


class TestProjector:
    @pytest.mark.parametrize("name", ["projector", "dense projector"])
    def test_every_vector_has_length_one(self, name):
        part, inputs = make(name)
        length = part(*inputs).norm(dim=-1)
        torch.testing.assert_close(length, torch.ones_like(length))

    def test_predictions_have_length_one_and_vectors_of_vicreg_their_own(self):
        project = Projector(C, dim=16, alignment="simsiam")
        torch.testing.assert_close(project.predict(project(features())).norm(dim=-1), torch.ones(B))
        assert (Projector(C, dim=16, alignment="vicreg")(features()).norm(dim=-1) - 1).abs().min() > 0.01

    def test_simsiam_cannot_project_all_faces_to_one_point(self):
        alike = features()[:1] + 1e-3 * torch.randn_like(features())
        apart = {
            alignment: torch.corrcoef(Projector(C, dim=16, alignment=alignment)(alike))
            for alignment in ("global", "simsiam")
        }
        assert apart["global"].min() > 0.99
        assert (apart["simsiam"].sum() - B) / (B * (B - 1)) < 0.5  # mean of different faces

    def test_dense_vector_reads_its_own_cell_only(self):
        torch.manual_seed(0)
        project = Projector(C, dim=16, grid=4, alignment="dense")
        usual, moved = features(), features()
        moved[:, :, :3, 9:] += 1  # the cell in row 0, column 3 of four by four over twelve
        changed = (project(moved) - project(usual)).abs().amax((0, 2)) > 1e-6
        assert changed.nonzero().flatten().tolist() == [3]


class TestReverseGradient:
    def test_is_identity_forwards_and_minus_one_backwards(self):
        values = torch.randn(4, requires_grad=True)
        same = reverse_gradient(values)
        assert torch.equal(same, values)
        same.backward(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        assert values.grad.tolist() == [-1, -2, -3, -4]


def test_log_attention_is_the_log_of_a_soft_max_over_places_and_copies_no_maps():
    logits = features().to(memory_format=torch.channels_last)  # as a convolution leaves them
    maps = log_attention(logits)
    assert maps.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(maps, logits.flatten(2).log_softmax(2).view(logits.shape))
    assert log_attention(logits.bfloat16()).dtype == torch.float32


def in_fresh_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "package",
    ["torchvision", *(pytest.param(name, marks=pytest.mark.slow) for name in ("timm", "torchmetrics"))],
)
def test_torchvision_packages_import_after_define_missing_operators(package):
    in_fresh_python(
        f"from aulib.networks import define_missing_operators as define\ndefine(); import {package}"
    )


def test_only_what_is_missing_is_defined_and_only_once():
    defined = in_fresh_python(
        "import torch\n"
        "from aulib.networks import define_missing_operators as define\n"
        "own = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "own.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "print('nms' in define(), define(), hasattr(torch.ops.torchvision, 'qnms'))"
    )
    assert defined.split() == ["False", "[]", "True"]
