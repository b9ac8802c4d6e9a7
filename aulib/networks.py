"""The parts of the model; `model.py` says how they are wired.

Letters: B batch, A AUs, K landmarks, C channels, H W input, h w feature map, D embedding.
Source and target share a batch, and so BatchNorm's statistics, wherever a part reads both; a run of one
domain has that domain's alone [C; ADLD normalises within a face].
"""

import importlib.util
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aulib.files import reading

EMBEDDING = 128  # D
STRIDE = 4  # pixels of the picture in a cell of the feature maps
GRID = 7  # maps are pooled to GRID x GRID cells before they are projected or probed
DRAWING_SCALE = 4.0  # a landmark covers about four cells: brings the drawing to the range of Z [C]


class ConvBlock(nn.Sequential):
    """Convolution, BatchNorm, LeakyReLU. `affine=False` fixes the scale of what comes out."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, affine: bool = True):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, affine=affine),
            nn.LeakyReLU(0.1, inplace=True),
        )


class FaceEncoder(nn.Module):
    """E: image -> rich feature, a small hourglass: fine where landmarks sit, wide enough to see the face.

    Shapes: image (B, I, H, W) -> (B, C, H/4, W/4); each channel has mean 0 and variance 1 before
    its LeakyReLU, so that an L1 distance of features cannot be won by shrinking them.
    """

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.stem = nn.Sequential(
            ConvBlock(inputs, channels // 2, kernel=5, stride=2),
            ConvBlock(channels // 2, channels, stride=2),
            ConvBlock(channels, channels),
        )
        self.down1 = nn.Sequential(
            ConvBlock(channels, 2 * channels, stride=2), ConvBlock(2 * channels, 2 * channels)
        )
        self.down2 = nn.Sequential(
            ConvBlock(2 * channels, 3 * channels, stride=2), ConvBlock(3 * channels, 3 * channels)
        )
        self.up2 = nn.Conv2d(3 * channels, 2 * channels, 1)
        self.up1 = nn.Conv2d(2 * channels, channels, 1)
        self.out = ConvBlock(channels, channels, affine=False)

    def forward(self, image: Tensor) -> Tensor:
        fine = self.stem(image)  # (B, C, h, w)
        middle = self.down1(fine)  # (B, 2C, h/2, w/2)
        coarse = self.down2(middle)  # (B, 3C, h/4, w/4)
        middle = middle + F.interpolate(self.up2(coarse), size=middle.shape[-2:])
        return self.out(fine + F.interpolate(self.up1(middle), size=fine.shape[-2:]))


class TimmEncoder(nn.Module):
    """E as any timm backbone that offers `features_only`: its maps, projected, resized and added.

    Shapes: image (B, I, H, W) -> (B, C, H/4, W/4).

    Args:
        image_size: side of the pictures, which transformers must know beforehand; None takes their own.

    Raises:
        ValueError: the backbone has no feature maps (timm's own reason is quoted).
    """

    def __init__(self, name: str, inputs: int, channels: int, image_size: int | None = None):
        super().__init__()
        define_missing_operators()
        import timm

        about = timm.get_pretrained_cfg(name)
        fixed = image_size is not None and about is not None and about.fixed_input_size
        size = {"img_size": image_size} if fixed else {}
        how = {"features_only": True, "feature_cls": "getter", "in_chans": inputs}
        self._create = partial(timm.create_model, name, **how, **size)
        try:
            reductions = self._create().feature_info.reduction()
        except RuntimeError as error:
            raise ValueError(f"backbone {name!r} cannot serve as E: {error}") from error
        used = [i for i, reduction in enumerate(reductions) if 4 <= reduction <= 16]
        if not used:
            raise ValueError(f"backbone {name!r} has reductions {reductions}, none between 4 and 16")
        self._create = partial(self._create, out_indices=used)  # leaves out the stages behind them
        self.backbone = self._create()
        maps = self.backbone.feature_info.channels()
        self.project = nn.ModuleList(nn.Conv2d(number, channels, 1) for number in maps)
        self.out = ConvBlock(channels, channels, affine=False)

    def load_backbone(self, weights: str) -> None:
        """Give the backbone weights learned elsewhere; timm sums the kernels of three colours up for one.

        Args:
            weights: "timm", those that timm downloads for it, or a file of them under timm's names.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file holds no weights or those of another network, or timm has none.
        """
        import timm

        name, overlay = self._create.args[0], None
        if weights != "timm":
            expected = f"weights of {name} under timm's names, .safetensors or .pth"
            with reading(weights, expected):
                there = set(timm.models.load_state_dict(weights))
            read = {key.removeprefix("model.") for key in self.backbone.state_dict()}
            lacks = [key for key in sorted(read - there) if not key.endswith("num_batches_tracked")]
            more = sorted(there - set(timm.create_model(name).state_dict()))
            if lacks or more:
                odd = f"no {lacks[0]}" if lacks else f"{more[0]} as well"
                raise ValueError(f"backbone_weights {weights}: expected {expected}, found {odd}")
            overlay = {"file": weights}
        try:
            loaded = self._create(pretrained=True, pretrained_cfg_overlay=overlay)
        except Exception as error:  # of the hub, or of shapes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"backbone_weights {weights} for {name}: {reason}") from error
        self.backbone.load_state_dict(loaded.state_dict())

    def forward(self, image: Tensor) -> Tensor:
        size = (image.shape[-2] // STRIDE, image.shape[-1] // STRIDE)
        merged = 0
        for map_, project in zip(self.backbone(image), self.project, strict=True):
            merged = merged + F.interpolate(project(map_), size=size, mode="bilinear", align_corners=False)
        return self.out(merged)


class LandmarkHead(nn.Module):
    """D_lm (and A_lm, the same structure reading Z): features -> one map of logits per landmark.

    Shapes: (B, C, h, w) -> (B, K, h, w) unbounded; softmax over h x w gives S, landmark attention.
    """

    def __init__(self, channels: int, num_landmarks: int):
        super().__init__()
        self.layers = nn.Sequential(ConvBlock(channels, channels), nn.Conv2d(channels, num_landmarks, 1))

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


def log_attention(logits: Tensor) -> Tensor:
    """log S: (B, K, h, w) logits of D_lm -> log-soft-max over h x w of each map, in float32 at least.

    The channels-last memory layout is kept: a contiguous one would copy all maps, forwards and backwards.
    bfloat16 is too coarse for a log.
    """
    at_least_single = torch.promote_types(logits.dtype, torch.float32)
    places = logits.permute(0, 2, 3, 1).flatten(1, 2)  # (B, h * w, K)
    return places.to(at_least_single).log_softmax(1).transpose(1, 2).unflatten(2, logits.shape[2:])


def _change(channels: int) -> nn.Conv2d:
    """A last layer that starts small, so that input and change add up to about the input."""
    layer = nn.Conv2d(channels, channels, 3, padding=1)
    layer.weight.data *= 0.1
    return layer


class TextureEncoder(nn.Module):
    """T: F (B, C, h, w) -> (B, C, h, w), Z or, with erasure, what Z is the rest of (`erasure.Erasure`).

    residual: T is F and a change that starts small [C], else two blocks [A].
    """

    def __init__(self, channels: int, residual: bool = False):
        super().__init__()
        self.residual = residual
        last = _change(channels) if residual else ConvBlock(channels, channels, affine=False)
        self.layers = nn.Sequential(ConvBlock(channels, channels), last)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.layers(features) if self.residual else self.layers(features)


class Reconstruction(nn.Module):
    """G: a drawing of the shape (its landmark maps summed) and a texture -> features.

    Shapes: drawing (B, 1, h, w) and Z (B, C, h, w) -> F~ (B, C, h, w). With `residual` the drawing has
    C more channels, what is expected of a texture with this shape; G adds them to Z, and a change that starts
    small [C].
    """

    def __init__(self, channels: int, residual: bool = False):
        super().__init__()
        self.residual = residual
        last = _change(channels) if residual else ConvBlock(channels, channels, affine=False)
        self.layers = nn.Sequential(ConvBlock(channels + 1, channels), last)

    def forward(self, drawing: Tensor, texture: Tensor) -> Tensor:
        if not self.residual:
            return self.layers(torch.cat([drawing, texture], 1))
        texture = texture + drawing[:, 1:]
        return texture + self.layers(torch.cat([drawing[:, :1], texture], 1))


class AUHead(nn.Module):
    """D_au: one branch per AU as grouped convolutions, ending in a map of evidence whose mean is the logit.

    Faces are aligned, so evidence has a separate weight at every cell [C; ADLD pools a branch to one vector
    first]. The last step is linear, so the evidence map is the branch's exact class activation map. A branch
    has no normalisation: its activation is the evidence.

    Shapes: F (B, C, h, w) -> logits (B, A), evidence (B, A, h/4, w/4).
    """

    def __init__(self, channels: int, num_aus: int, map_size: int, branch_channels: int = 8):
        super().__init__()
        width, side = num_aus * branch_channels, -(-map_size // 4)
        self.branches = nn.Sequential(
            ConvBlock(channels, width, stride=2),
            nn.Conv2d(width, width, 3, 2, 1, groups=num_aus),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.2),
        )
        fan_in = branch_channels * side * side
        self.weight = nn.Parameter(torch.randn(num_aus, branch_channels, side, side) / fan_in**0.5)
        self.bias = nn.Parameter(torch.zeros(num_aus))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        fired = self.branches(features)  # (B, A * c, h/4, w/4)
        fired = fired.unflatten(1, self.weight.shape[:2])  # (B, A, c, h/4, w/4)
        places = self.weight[0, 0].numel()  # the mean over places is then the plain linear layer's sum
        evidence = (fired * self.weight).sum(2) * places + self.bias[:, None, None]
        return evidence.mean((-2, -1)), evidence


class LandmarkAUHead(nn.Module):
    """The landmarks-only rival: AUs from normalised landmark coordinates, by a small MLP.

    Coordinates are centred and divided by their spread, so that place and size of the face do
    not matter.

    Shapes: landmarks (B, K, 2) -> logits (B, A).
    """

    def __init__(self, num_landmarks: int, num_aus: int, hidden: int = 128):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2 * num_landmarks, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.1), nn.Dropout(0.1),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.1), nn.Dropout(0.1),
            nn.Linear(hidden, num_aus),
        )  # fmt: skip

    def forward(self, landmarks: Tensor) -> Tensor:
        centred = landmarks - landmarks.mean(1, keepdim=True)
        spread = centred.square().sum(-1).mean(1).sqrt().clamp(min=1e-3)
        return self.layers((centred / spread[:, None, None]).flatten(1) * 3)


class FeatureAdversary(nn.Sequential):
    """A_s, A_t: is this a real feature of the domain? (B, C, h, w) -> patch scores (B, 1, h/4, w/4)."""

    def __init__(self, channels: int):
        super().__init__(
            nn.Conv2d(channels, channels, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * channels, 1, 3, 1, 1),
        )  # fmt: skip


class Projector(nn.Module):
    """p_F, p_S, p_Z: pooled to a coarse grid, two layers, unit length [P: simple projectors; C: this form].

    A global pool would make S a constant, since each of its maps sums to 1; so the maps are
    pooled to `grid` x `grid` cells.

    Args:
        alignment: "dense" projects each cell by itself; "vicreg" leaves vectors as long as they are;
            "simsiam" normalises over faces and adds a predictor, see `predict` (Chen & He 2021, table 3c).

    Shapes: (B, C, h, w) -> (B, D), or (B, grid * grid, D) if dense.
    """

    def __init__(self, channels: int, dim: int = EMBEDDING, grid: int = GRID, alignment: str = "global"):
        super().__init__()
        self.alignment, self.grid = alignment, grid
        inputs = channels if alignment == "dense" else channels * grid * grid

        def layer(inputs: int, outputs: int) -> list[nn.Module]:
            if alignment != "simsiam":
                return [nn.Linear(inputs, outputs)]
            maps = nn.Unflatten(1, (outputs, 1, 1))  # `share_statistics` knows BatchNorm2d only
            return [nn.Linear(inputs, outputs, bias=False), maps, nn.BatchNorm2d(outputs), nn.Flatten()]

        self.layers = nn.Sequential(*layer(inputs, dim), nn.LeakyReLU(0.1), *layer(dim, dim))
        if alignment == "simsiam":
            narrow = dim // 4
            self.predictor = nn.Sequential(*layer(dim, narrow), nn.LeakyReLU(0.1), nn.Linear(narrow, dim))

    def forward(self, features: Tensor) -> Tensor:
        pooled = F.adaptive_avg_pool2d(features, self.grid)  # (B, C, grid, grid)
        dense = self.alignment == "dense"
        vectors = self.layers(pooled.flatten(2).transpose(1, 2) if dense else pooled.flatten(1))
        return vectors if self.alignment == "vicreg" else F.normalize(vectors, dim=-1)

    def predict(self, projected: Tensor) -> Tensor:
        """SimSiam's prediction of the other round's projection, (B, D) of length 1."""
        return F.normalize(self.predictor(projected), dim=-1)


class DomainClassifier(nn.Module):
    """DANN's rival part: source or target, from features whose gradient is reversed (Ganin & Lempitsky 2015).

    Shapes: (B, C, h, w) -> (B,) logit of "target".
    """

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            ConvBlock(channels, channels, stride=2), ConvBlock(channels, channels, stride=2),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(reverse_gradient(features)).squeeze(1)


def reverse_gradient(features: Tensor) -> Tensor:
    """Identity forwards, minus one backwards."""
    same = features.view_as(features)
    if same.requires_grad:
        same.register_hook(torch.neg)
    return same


class ImageDecoder(nn.Module):
    """R: features -> picture, only to look at features; it trains on stopped gradients [C].

    Shapes: (B, C, h, w) -> (B, I, 4h, 4w) in the units of the input picture.
    """

    def __init__(self, channels: int, outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            ConvBlock(channels, 2 * channels), ConvBlock(2 * channels, 2 * channels),
            nn.Conv2d(2 * channels, 16 * outputs, 3, padding=1), nn.PixelShuffle(4),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return self.layers(features)


_declared: list[torch.library.Library] = []  # a declaration lives as long as its Library object


def define_missing_operators() -> list[str]:
    """Declare `torchvision::nms` and `torchvision::qnms` if they are missing; returns the names declared.

    Call it before the first import of torchvision, timm or torchmetrics. With a CPU build of torch, the
    operators of torchvision's default wheel, built for CUDA, do not load and its import fails
    (pytorch/vision issues 9077 and 9085). Nothing here uses these operators; declaring them is enough.
    """
    package = importlib.util.find_spec("torchvision")
    if package is not None and package.origin is not None:
        for extension in sorted(Path(package.origin).parent.glob("_C*.*")):
            if extension.suffix in (".so", ".pyd"):
                with suppress(ImportError, OSError):  # built for another torch
                    torch.ops.load_library(str(extension))
    missing = [name for name in ("nms", "qnms") if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in missing:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _declared.append(library)
    return missing
