"""How the parts are wired: two rounds of separation and reconstruction (docs/method.md).

Faces of both domains pass every shared part as one batch, source first. Suffixes: `_s` source, `_t` target;
`2` second round; `swapped_t` is F~^t = G(S^s, Z^t): the target's texture with the source's expression.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from aulib.contrastive import FeatureQueue
from aulib.erasure import Erasure
from aulib.images import luminance
from aulib.networks import (
    DRAWING_SCALE,
    EMBEDDING,
    STRIDE,
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
)
from aulib.supervisors import SUPERVISORS

# the parts that only the two rounds use, by who trains them
ADVERSARIES = ("landmark_adversary", "source_adversary", "target_adversary")
GENERATING = ("texture_encoder", "generator", "projectors")
READ_FROM = ("features", "reconstruction", "both")


@dataclass(frozen=True)
class ModelConfig:
    """Everything that shapes the networks; stored with the weights.

    aus: names of the A AUs, in the order of the logits.  num_landmarks: 68 or 49.
    image_size: side of the input picture in pixels; the feature maps have a quarter of it.
    margin_size, box_enlarge, smooth_crops: how faces are cut, see `crops.CropSpec`.
    colour: "luminance" (one channel, standardised per face) or "rgb" (three, standardised per face).
    au_centres: landmarks are moved to AU centres before the maps are made [A].
    backbone: "" for the own encoder, else a timm name.
    separates: has T, G and the adversaries.
    separation: key of SEPARATIONS.  adapts_by_domain: has DANN's classifier.
    au_from_landmarks: the landmarks-only rival.
    share_extraction: one E for landmarks and AUs [P]; False trains two of the same structure [C].
    alignment: key of ALIGNMENTS, which the projectors are made for.
    queues: each supervisor keeps faces of past batches as negatives.
    """

    aus: tuple[str, ...]
    num_landmarks: int
    image_size: int = 112
    margin_size: int = 128
    box_enlarge: float = 2.8
    smooth_crops: bool = True
    colour: str = "luminance"
    au_centres: bool = False
    channels: int = 32
    backbone: str = ""
    separates: bool = True
    separation: str = "erasure"
    adapts_by_domain: bool = False
    au_from_landmarks: bool = False
    share_extraction: bool = True
    alignment: str = "global"
    queues: bool = False

    def as_dict(self) -> dict:
        return asdict(self) | {"aus": list(self.aus)}

    @classmethod
    def from_dict(cls, values: dict) -> "ModelConfig":
        """Raises TypeError naming a key that no field has."""
        return cls(**(values | {"aus": tuple(values["aus"])}))


class AUModel(nn.Module):
    """E, D_lm, D_au and R; if the method separates also T, G, the adversaries and the projectors."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        inputs = 1 if config.colour == "luminance" else 3
        channels, landmarks, aus = config.channels, config.num_landmarks, len(config.aus)

        def encoder() -> nn.Module:
            if config.backbone:
                return TimmEncoder(config.backbone, inputs, channels, config.image_size)
            return FaceEncoder(inputs, channels)

        self.encoder = encoder()
        self.au_encoder = None if config.share_extraction else encoder()
        self.landmark_head = LandmarkHead(channels, landmarks)
        self.au_head = (
            LandmarkAUHead(landmarks, aus)
            if config.au_from_landmarks
            else AUHead(channels, aus, config.image_size // STRIDE)
        )
        self.decoder = ImageDecoder(channels, inputs)
        if config.adapts_by_domain:
            self.domain_classifier = DomainClassifier(channels)
        self.erasure = None
        if config.separates:
            erases = config.separation == "erasure"
            self.texture_encoder = TextureEncoder(channels, residual=erases)
            self.generator = Reconstruction(channels, residual=erases)
            if erases:
                self.erasure = Erasure(landmarks, aus, channels, config.image_size // STRIDE)
            else:
                self.landmark_adversary = LandmarkHead(channels, landmarks)
            self.source_adversary = FeatureAdversary(channels)
            self.target_adversary = FeatureAdversary(channels)
            self.projectors = nn.ModuleDict(
                {
                    "rich": Projector(channels, alignment=config.alignment),
                    "shape": Projector(landmarks, alignment=config.alignment),
                    "texture": Projector(channels, alignment=config.alignment),
                }
            )
            if config.queues:
                self.queues = nn.ModuleDict({name: FeatureQueue(EMBEDDING) for name in SUPERVISORS})

    def standardise(self, image: Tensor) -> Tensor:
        """RGB, or luminance if the model reads only that, (B, 3 or 1, H, W) in [0, 1] -> network input
        (B, I, H, W), mean 0 and variance 1 within each face.
        """
        if self.config.colour == "luminance":
            image = luminance(image)
        mean = image.mean((1, 2, 3), keepdim=True)
        return (image - mean) / image.std((1, 2, 3), keepdim=True).clamp(min=0.02)

    def landmark_attention(self, landmark_logits: Tensor) -> Tensor:
        """S: (B, K, h, w) logits -> attention that sums to 1 over h x w for each landmark."""
        return log_attention(landmark_logits).exp()

    def separate(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F -> landmark logits, shape S, texture Z."""
        logits = self.landmark_head(features)
        shape = self.landmark_attention(logits)
        return logits, shape, self.erased(self.texture_encoder(features), shape)

    def erased(self, texture: Tensor, shape: Tensor) -> Tensor:
        """Z of T(F): T(F) itself [A], or without what is linear in shape and AUs (erasure.py) [C]."""
        return texture if self.erasure is None else self.erasure.erase(texture, shape)

    def reconstruction(self, shape: Tensor, texture: Tensor) -> Tensor:
        """G: shape S (B, K, h, w) and texture Z (B, C, h, w) -> F~ (B, C, h, w)."""
        return self.generator(self.draw(shape), texture)

    def draw(self, shape: Tensor) -> Tensor:
        """S (B, K, h, w) -> what G is given of it: all maps summed, (B, 1, h, w), and what is expected of a
        texture with this shape, (B, 1 + C, h, w), with erasure.
        """
        drawing = shape.sum(1, keepdim=True) * DRAWING_SCALE
        return drawing if self.erasure is None else torch.cat([drawing, self.erasure.expected(shape)], 1)

    def au_features(self, features: Tensor, inputs: Tensor) -> Tensor:
        """What D_au reads: F itself, or the second extraction where extraction is not shared."""
        return features if self.au_encoder is None else self.au_encoder(inputs)

    def read(self, image: Tensor, read_from: str) -> dict[str, Tensor]:
        """Test path of one domain: pictures -> AU logits, landmark logits, features and evidence, by name.

        Args:
            image: (B, 3, H, W) RGB in [0, 1].
            read_from: "features", D_au(F); "reconstruction", D_au(G(S, Z)) [A: ADLD's way with targets]; or
                "both", the mean of their logits [C].

        Raises:
            ValueError: unknown `read_from`, or other than "features" of a model without G.
        """
        if read_from not in READ_FROM:
            raise ValueError(f"unknown read_from {read_from!r}; choose one of {', '.join(READ_FROM)}")
        if read_from != "features" and not self.config.separates:
            raise ValueError(f"read_from={read_from!r} needs a method that separates; this model has no G")
        inputs = self.standardise(image)
        rich = self.encoder(inputs)
        outputs = {"inputs": inputs, "rich": rich}
        if self.config.separates:
            outputs["landmark_logits"], outputs["shape"], outputs["texture"] = self.separate(rich)
            outputs["self"] = self.reconstruction(outputs["shape"], outputs["texture"])
        else:
            outputs["landmark_logits"] = self.landmark_head(rich)
            outputs["shape"] = self.landmark_attention(outputs["landmark_logits"])
        if self.config.au_from_landmarks:
            outputs["au_logits"] = self.au_head(expected_cells(outputs["shape"]))
        elif read_from == "reconstruction":
            outputs["au_logits"], outputs["evidence"] = self.au_head(outputs["self"])
        else:
            outputs["au_logits"], outputs["evidence"] = self.au_head(self.au_features(rich, inputs))
            if read_from == "both":
                logits, evidence = self.au_head(outputs["self"])
                outputs["au_logits"] = 0.5 * (outputs["au_logits"] + logits)
                outputs["evidence"] = 0.5 * (outputs["evidence"] + evidence)
        return outputs

    def forward(
        self,
        image: Tensor,
        num_source: int,
        separate: bool,
        landmarks: bool = True,
        target_aus: bool = False,
        swap_back: bool = True,
    ) -> dict[str, Tensor]:
        """One training pass over both domains as one batch.

        Args:
            image: (B_s + B_t, 3 or 1, H, W) in [0, 1] as `standardise` takes it, source first; B_t may be 0.
            num_source: B_s. With `separate`, B_s == B_t: faces are swapped pairwise.
            separate: run the two rounds of separation and reconstruction.
            landmarks: compute them even without the two rounds, which always do.
            target_aus: read the target's AUs as well, which only a mean teacher's term does.
            swap_back: with `separate`, the second round in full; else only the landmarks of F~ are read
                and `shape2_*`, `texture2_*` and `rich2_*` are missing.

        Returns:
            named outputs, see the module's docstring for the names; `landmarks_*` are log S.
        """
        n = num_source
        inputs = self.standardise(image)
        rich = self.encoder(inputs)
        halves = [n, len(rich) - n]
        rich_s, rich_t = rich.split(halves)  # split, not slices: its backward is one concatenation
        outputs = {"inputs": inputs, "rich_s": rich_s, "rich_t": rich_t}
        if landmarks or separate:
            log_shape = log_attention(self.landmark_head(rich))
            outputs["landmarks_s"], outputs["landmarks_t"] = log_shape.split(halves)
        if self.config.adapts_by_domain:
            outputs["domain_s"], outputs["domain_t"] = self.domain_classifier(rich).split(halves)
        if self.config.au_from_landmarks:
            return outputs  # its head is fitted in train_run.fit_landmark_head
        seen = len(rich) if target_aus else n  # source faces, or all
        au_inputs = self.au_features(rich[:seen] if target_aus else rich_s, inputs[:seen])
        if not separate:
            au_logits, _ = self.au_head(au_inputs)
            return outputs | dict(zip(("au_s", "au_t"), au_logits.split(n), strict=False))
        if len(image) != 2 * n:
            raise ValueError(f"{n} source and {len(image) - n} target faces cannot be swapped pairwise")

        # first round: shapes are swapped by exchanging the halves
        shape, unerased = log_shape.exp(), self.texture_encoder(rich)
        texture = self.erased(unerased, shape)
        shape_s, shape_t = shape.split(n)
        texture_s, texture_t = texture.split(n)
        drawing = self.draw(shape)
        both = self.generator(torch.cat([drawing, drawing.roll(n, 0)]), torch.cat([texture, texture]))
        self_s, self_t, swapped_s, swapped_t = both.split(n)  # F~^s = G(S^t, Z^s), F~^t = G(S^s, Z^t)

        # second round, of (F~^s, F~^t): swapped back
        swapped = torch.cat([swapped_s, swapped_t])
        log_shape2 = log_attention(self.landmark_head(swapped))
        landmarks_swapped_s, landmarks_swapped_t = log_shape2.split(n)
        if swap_back:
            shape2 = log_shape2.exp()
            texture2 = self.erased(self.texture_encoder(swapped), shape2)
            shape2_t, shape2_s = shape2.split(n)  # F~^s has the target's shape
            texture2_s, texture2_t = texture2.split(n)
            rich2_s, rich2_t = self.generator(self.draw(shape2).roll(n, 0), texture2).split(n)
            outputs |= {
                "shape2_s": shape2_s, "shape2_t": shape2_t,
                "texture2_s": texture2_s, "texture2_t": texture2_t,
                "rich2_s": rich2_s, "rich2_t": rich2_t,
            }  # fmt: skip

        au_logits, _ = self.au_head(torch.cat([swapped_t, self_s, au_inputs]))
        names = ("au_swapped_t", "au_self_s", "au_s", "au_t")
        outputs |= dict(zip(names, au_logits.split(n), strict=False))  # au_t only with target_aus
        return outputs | {
            "shape_s": shape_s, "shape_t": shape_t,
            "texture_s": texture_s, "texture_t": texture_t,
            "self_s": self_s, "self_t": self_t,
            "swapped_s": swapped_s, "swapped_t": swapped_t,
            "landmarks_swapped_s": landmarks_swapped_s, "landmarks_swapped_t": landmarks_swapped_t,
            "shape": shape, "unerased": unerased,
        }  # fmt: skip


def expected_cells(shape: Tensor) -> Tensor:
    """Where each landmark map points: the mean position in the 3 x 3 neighbourhood of its peak.

    Args:
        shape: (B, K, h, w), each map summing to 1.

    Returns:
        (B, K, 2) in cells, x then y; 0 is the centre of the first cell. Differentiable in the maps.
    """
    batch, landmarks, h, w = shape.shape
    peak = shape.flatten(2).argmax(-1)  # (B, K)
    y0, x0 = peak // w, peak % w
    offsets = torch.tensor([-1, 0, 1], device=shape.device)
    ys, xs = (y0[..., None] + offsets)[..., :, None], (x0[..., None] + offsets)[..., None, :]
    inside = ((ys >= 0) & (ys < h) & (xs >= 0) & (xs < w)).flatten(2)  # (B, K, 9)
    cells = (ys.clamp(0, h - 1) * w + xs.clamp(0, w - 1)).flatten(2)
    mass = shape.flatten(2).gather(-1, cells).float().clamp(min=1e-12) * inside
    mass = mass / mass.sum(-1, keepdim=True)
    x = (mass * (cells % w)).sum(-1)
    y = (mass * (cells // w)).sum(-1)
    return torch.stack([x, y], -1)


def cells_to_pixels(cells: Tensor, map_size: int, image_size: int) -> Tensor:
    """(…, 2) cells -> pixels of the picture; pixel 0 is the centre of the first pixel."""
    return (cells + 0.5) * (image_size / map_size) - 0.5
