"""Exchange of shape and texture between faces: both rounds, their steps, and what each factor changes.

Names as in docs/method.md: `_s` source, `_t` target; F~^t = G(S^s, Z^t) has the target's texture and the
source's shape. The second round separates F~ again and swaps back.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from aubench.inspection.decoding import FaceDecoder, decode, load_decoder
from aulib.batches import centre_crop
from aulib.metrics import landmark_nme
from aulib.model import AUModel, expected_cells
from aulib.run import Run
from aulib.supervisors import SUPERVISORS


def can_exchange(model: AUModel) -> bool:
    """Whether the run separates shape and texture."""
    return model.config.separates and not model.config.au_from_landmarks


def refuse_without_separation(model: AUModel) -> None:
    if not can_exchange(model):
        raise ValueError("this run has no separation of shape and texture, so nothing can be exchanged")


@torch.no_grad()
def both_rounds(model: AUModel, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """All named outputs of both rounds for n pairs of faces, (n, 3, H, H) each in [0, 1].

    Among them, (n, C, h, w) for the source and with `_t` for the target: `rich_s` F, `self_s` G of its own
    shape and texture, `swapped_s` its texture with the other's shape, `rich2_s` the second round, which
    should be F again.

    Raises:
        ValueError: the run does not separate, or there are not as many sources as targets.
    """
    refuse_without_separation(model)
    if len(source) != len(target):
        raise ValueError(f"{len(source)} source and {len(target)} target faces cannot be exchanged pairwise")
    return model(torch.cat([source, target]), len(source), separate=True)


@torch.no_grad()
def grid_of(model: AUModel, textures: Tensor, shapes: Tensor) -> Tensor:
    """G(S of each shape face, Z of each texture face): (T, 3, H, H), (N, 3, H, H) -> (T, N, C, h, w)."""
    refuse_without_separation(model)
    _, shape, _ = model.separate(model.encoder(model.standardise(shapes)))
    _, _, texture = model.separate(model.encoder(model.standardise(textures)))
    rows = [model.reconstruction(shape, one.expand(len(shape), -1, -1, -1)) for one in texture]
    return torch.stack(rows)


@torch.no_grad()
def read_grid(model: AUModel, grid: Tensor) -> tuple[Tensor, Tensor]:
    """What the model's own heads read from a grid: AU probability (T, N, A), points (T, N, K, 2) cells."""
    flat = grid.flatten(0, 1)
    probability = model.au_head(flat)[0].sigmoid()
    points = expected_cells(model.landmark_attention(model.landmark_head(flat)))
    return probability.unflatten(0, grid.shape[:2]), points.unflatten(0, grid.shape[:2])


def each_exchange(grid: Tensor, points: Tensor, probability: Tensor) -> pd.DataFrame:
    """What each exchange of a square grid changes; texture face i and shape face i are the same face.

    Args:
        grid, points, probability: of `grid_of` and `read_grid`, T == N == n, n at least 2.

    Returns:
        a row for each pair of two faces: texture, shape, which of the n each is from;
        `moves_with_shape`, `moves_with_texture`: mean change of G when only that is exchanged, in standard
        deviations of G.  `nme_to_shape`, `nme_to_texture`: the landmarks read from the exchanged feature
        against those read from either parent, over the inter-ocular distance.  `au_of_shape`,
        `au_of_texture`: mean difference of AU probabilities from either parent. What is carried by the
        shape has the smaller number there.
    """
    texture, shape = (~torch.eye(len(grid), dtype=torch.bool)).nonzero(as_tuple=True)
    crossed, read, predicted = (part[texture, shape] for part in (grid, points, probability))
    table = {"texture": texture.numpy(), "shape": shape.numpy()}
    for name, kept in (("shape", texture), ("texture", shape)):  # `name` is exchanged, the other is kept
        change = (crossed - grid[kept, kept]).abs().flatten(1).mean(1)
        table[f"moves_with_{name}"] = (change / grid.std()).numpy()
    for name, parent in (("texture", texture), ("shape", shape)):
        table[f"nme_to_{name}"] = landmark_nme(read.numpy(), points[parent, parent].numpy())
        table[f"au_of_{name}"] = (predicted - probability[parent, parent]).abs().mean(1).numpy()
    return pd.DataFrame(table)


ERASED = ", shape and AUs erased"  # with `separation="erasure"`
TENSORS = (  # key of the model's outputs, {own} and {other} being s and t; symbol; who makes it of what
    ("inputs", "X^{own}", "the face, in grey, with mean 0 and variance 1"),
    ("rich_{own}", "F^{own}", "E of X^{own}"),
    ("landmarks_{own}", "log S^{own}", "log-soft-max over positions of D_lm of F^{own}"),
    ("shape_{own}", "S^{own}", "its exponential: each map sums to 1"),
    ("texture_{own}", "Z^{own}", "T of F^{own}{erased}"),
    ("self_{own}", "G(S^{own}, Z^{own})", "put together again"),
    ("swapped_{own}", "F~^{own}", "G of S^{other} and Z^{own}: swapped"),
    ("shape2_{own}", "S~^{own}", "read from F~^{other}, which wears this face's shape"),
    ("texture2_{own}", "Z~^{own}", "T of F~^{own}{erased}"),
    ("rich2_{own}", "F^^{own}", "G of S~^{own} and Z~^{own}: swapped back"),
)


def trace_both(outputs: dict[str, Tensor]) -> pd.DataFrame:
    """Both faces' way through both rounds.

    Returns:
        a row each of TENSORS: source, source made by, target, target made by (symbols), size, numbers.
    """
    erased = (
        "" if torch.equal(outputs["texture_s"], outputs["unerased"][: len(outputs["texture_s"])]) else ERASED
    )
    rows = []
    for key, symbol, made_by in TENSORS:
        row = {}
        for domain, own, other in (("source", "s", "t"), ("target", "t", "s")):
            letters = {"own": own, "other": other, "erased": erased}
            row[domain] = symbol.format(**letters)
            row[f"{domain} made by"] = made_by.format(**letters)
        tensor = outputs[key.format(own="s")]  # the target's has the same size
        rows.append(row | {"size": size_of(tensor), "numbers": tensor[0].numel()})
    return pd.DataFrame(rows)


def size_of(tensor: Tensor) -> str:
    """ "48 × 28 × 28": channels, rows, columns of the first face."""
    return " × ".join(map(str, tensor.shape[1:]))


@dataclass(frozen=True)
class Step:
    """One step of a face through both rounds.

    name: its symbol.  caption: what it is.  picture: (H, W) or (H, W, 3) in [0, 1]; if is_map, a map (h, w)
    of any range.  aus: AU -> probability, read by D_au; None for maps and for the face itself.  size: of the
    tensor that is pictured, "48 × 28 × 28".
    """

    name: str
    caption: str
    picture: np.ndarray
    is_map: bool = False
    aus: dict[str, float] | None = None
    size: str = ""


@dataclass(frozen=True)
class Swap:
    """source, target: the steps of each face in order.  alignment: `alignment_of`.  trace: `trace_both`.

    fitted: pictures are decoded by the decoder of `decoding.fit_decoder`, else by the run's own R, which is
    small and blurred.
    """

    source: list[Step]
    target: list[Step]
    alignment: pd.DataFrame
    fitted: bool
    trace: pd.DataFrame


@torch.inference_mode()
def swap_faces(run: Run, source: np.ndarray, target: np.ndarray) -> Swap:
    """Exchange the shapes of two margin crops, (S, S, 3) uint8 each.

    Raises:
        ValueError: the run's method does not separate.
    """
    crops = np.stack([source, target])
    pictures, _ = centre_crop(crops, np.zeros((2, 1, 2)), run.model.config.image_size)
    outputs = both_rounds(run.model, *pictures.split(1))
    decoder = load_decoder(run)
    return Swap(
        _steps(run.model, outputs, pictures[:1], "s", decoder),
        _steps(run.model, outputs, pictures[1:], "t", decoder),
        alignment_of(run, outputs),
        decoder is not None,
        trace_both(outputs),
    )


def _steps(
    model: AUModel, outputs: dict[str, Tensor], face: Tensor, own: str, decoder: FaceDecoder | None
) -> list[Step]:
    def decoded(name: str, caption: str, features: Tensor) -> Step:
        probability = model.au_head(features)[0].sigmoid()[0]
        aus = dict(zip(model.config.aus, map(float, probability), strict=True))
        picture = decode(model, features, face, decoder)[0]
        return Step(name, caption, picture, aus=aus, size=size_of(features))

    def summed(name: str, caption: str, maps: Tensor) -> Step:
        return Step(name, caption, maps.abs().sum(1)[0].numpy(), True, size=size_of(maps))

    other = {"s": "t", "t": "s"}[own]
    of = {key.removesuffix(f"_{own}"): value for key, value in outputs.items()}
    return [
        Step(f"I^{own}", "the face", face[0].permute(1, 2, 0).numpy(), size=size_of(face)),
        decoded(f"R(F^{own})", "its features, decoded", of["rich"]),
        summed(f"S^{own}", "its shape: all landmarks", of["shape"]),
        summed(f"Z^{own}", "its texture: strength", of["texture"]),
        decoded(f"R(F~^{own})", f"first round: S^{other} with Z^{own}", of["swapped"]),
        summed(f"S~^{own}", f"its shape again, read from F~^{other}", of["shape2"]),
        summed(f"Z~^{own}", f"its texture again, read from F~^{own}", of["texture2"]),
        decoded(f"R(F^^{own})", f"second round: S~^{own} with Z~^{own}", of["rich2"]),
    ]


def alignment_of(run: Run, outputs: dict[str, Tensor]) -> pd.DataFrame:
    """How well each supervisor's two ends agree on one pair of faces.

    Args:
        outputs: of the model's forward on one source and one target face.

    Returns:
        a row each of SUPERVISORS: supervisor, pair ("S^s, S~^s"), features (cosine of first and second round
        over all channels and positions), projected (the same through the run's projector, NaN if the run did
        not train with this supervisor), and features_other, projected_other (the first round against the
        other face's second round: the agreement of two different faces).
    """
    rows = []
    for name, supervisor in SUPERVISORS.items():
        half = supervisor.second[-1]
        letter = {"rich": "F", "shape": "S", "texture": "Z"}[supervisor.projector]
        again = "^" if letter == "F" else "~"
        row = {"supervisor": name, "pair": f"{letter}^{half}, {letter}{again}^{half}"}
        trained = name in run.settings["supervisors"] and run.settings["alignment"] != "l1"
        project = run.model.projectors[supervisor.projector]
        ends = {"": supervisor.second, "_other": supervisor.second[:-1] + ("t" if half == "s" else "s")}
        for suffix, second in ends.items():
            pair = outputs[supervisor.first], outputs[second]
            row[f"features{suffix}"] = float(F.cosine_similarity(*(one.flatten(1) for one in pair)).mean())
            projected = F.cosine_similarity(*map(project, pair), dim=-1).mean() if trained else np.nan
            row[f"projected{suffix}"] = float(projected)  # over faces (and positions of a dense projector)
        rows.append(row)
    return pd.DataFrame(rows)
