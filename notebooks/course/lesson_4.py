"""Lesson 4, Can a face be taken apart?: what F, S and Z still hold, and the checks of the exercises.

Probes are fitted to validation subjects and scored on test subjects, so nothing memorised counts.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from aubench.inspection.swaps import refuse_without_separation
from aulib import linear_probes
from aulib.batches import Faces, centre_crop, faces_of
from aulib.crops import crop_dataset, crop_of
from aulib.dataset import read_dataset
from aulib.losses import landmark_loss
from aulib.metrics import landmark_nme
from aulib.model import AUModel, ModelConfig, cells_to_pixels, expected_cells
from aulib.networks import GRID, LandmarkHead, log_attention
from aulib.run import Run
from exercises import Verdict, exercise, hint_for, number, right, wrong

READERS = MEAN_FACE, ADVERSARY, TRAINED_ON, FRESH, PROBE, PROBE_OF_F, D_LM = (
    "mean face, no picture read",
    "adversary, from Z",
    "adversary trained on, from Z",
    "fresh network, from Z",
    "fresh probe, from Z",
    "fresh probe, from F",
    "D_lm, from F",
)
READS = 0.9  # a reader reads landmarks if its error is below this share of the mean face's
READER_RATE = 4e-3  # Adam's; the rate of D_lm


@dataclass(frozen=True)
class Halves:
    """A model's outputs for n faces.

    shape: S (n, K, h, w).  texture: Z (n, C, h, w).  from_rich, from_texture: landmarks (n, K, 2) in pixels,
    read by D_lm from F and by the adversary A_lm from Z.  maps: (n, h, w) maps of A_lm, summed.  The last two
    are None for a model without A_lm.
    """

    shape: Tensor
    texture: Tensor
    from_rich: np.ndarray
    from_texture: np.ndarray | None = None
    maps: Tensor | None = None


@torch.no_grad()
def take_apart(model: AUModel, pictures: Tensor) -> Halves:
    """Shape and texture of faces (n, 3, H, H) in [0, 1].

    Raises:
        ValueError: the model does not separate.
    """
    refuse_without_separation(model)
    rich = model.encoder(model.standardise(pictures))
    _, shape, texture = model.separate(rich)
    halves = Halves(shape, texture, _pixels(model, model.landmark_head(rich)))
    if not has_adversary(model):
        return halves
    read = model.landmark_adversary(texture)
    return replace(halves, from_texture=_pixels(model, read), maps=model.landmark_attention(read).sum(1))


def has_adversary(model: AUModel) -> bool:
    """Whether the model has A_lm, which is so with `separation="adversary"`."""
    return hasattr(model, "landmark_adversary")


def _pixels(model: AUModel, logits: Tensor) -> np.ndarray:
    """(n, K, 2) landmarks in pixels, from logits (n, K, h, w)."""
    maps = model.landmark_attention(logits)
    return cells_to_pixels(expected_cells(maps), maps.shape[-1], model.config.image_size).numpy()


def faces_by_split(source: str, target: str, config: ModelConfig, limit: int) -> dict[tuple[str, str], Faces]:
    """(domain, "val" or "test") -> at most `limit` faces, evenly spaced, cropped for this model."""
    found = {}
    for domain, name in (("source", source), ("target", target)):
        data = read_dataset(name)
        crops = crop_dataset(data, crop_of(config), progress=False)
        every = faces_of(data, crops, "val", config)
        for split in ("val", "test"):
            found[domain, split] = linear_probes.evenly_spaced(replace(every, rows=data.rows(split)), limit)
    return found


@torch.no_grad()
def landmarks_found(run: str, faces: dict[tuple[str, str], Faces], steps: int = 100) -> pd.DataFrame:
    """Landmark NME x 100 on the test faces: a row for each of READERS, a column for each domain.

    The probes are ridge regressions from pooled features to coordinates; FRESH has A_lm's form and starts
    from random weights. All but D_lm and A_lm learn from the validation faces of both domains, networks in
    `steps` steps. NaN for A_lm, and A_lm trained on, of a model without it.
    """
    model = Run(run).model
    true = {place: _landmarks(model, some) for place, some in faces.items()}
    rich = {place: _rich(model, some) for place, some in faces.items()}
    texture = {place: model.separate(feature)[2] for place, feature in rich.items()}
    fitted = [place for place in faces if place[1] == "val" and len(faces[place])]
    known = np.concatenate([true[place] for place in fitted])
    together = torch.cat([texture[place] for place in fitted])
    lesson = together, torch.tensor(known), model.config.image_size, steps
    networks = {FRESH: trained_on(fresh_reader(model), *lesson)}
    if has_adversary(model):
        networks |= {
            ADVERSARY: model.landmark_adversary,
            TRAINED_ON: trained_on(model.landmark_adversary, *lesson),
        }
    probes = {
        who: _landmark_probe(torch.cat([feature[place] for place in fitted]), known)
        for who, feature in ((PROBE, texture), (PROBE_OF_F, rich))
    }
    table = {}
    for domain in ("source", "target"):
        test = domain, "test"
        read = {
            MEAN_FACE: np.broadcast_to(known.mean(0), true[test].shape),
            PROBE: probes[PROBE](texture[test]),
            PROBE_OF_F: probes[PROBE_OF_F](rich[test]),
            D_LM: _pixels(model, model.landmark_head(rich[test])),
        } | {who: _pixels(model, network(texture[test])) for who, network in networks.items()}
        table[domain] = {who: 100 * landmark_nme(found, true[test]).mean() for who, found in read.items()}
    return pd.DataFrame(table).reindex(list(READERS))


def left_in_texture(errors: pd.DataFrame) -> pd.DataFrame:
    """How much of the landmarks two readers find in Z: 0 no more than the mean face knows, 1 as much as in F.

    Args:
        errors: of `landmarks_found`.

    Returns:
        a row for PROBE, next to the probe of F, and one for FRESH, next to D_lm; a column for each domain.
        Below 0 and above 1 are possible.
    """
    mean_face = errors.loc[MEAN_FACE]
    shares = {
        reader: (mean_face - errors.loc[reader]) / (mean_face - errors.loc[of_f])
        for reader, of_f in ((PROBE, PROBE_OF_F), (FRESH, D_LM))
    }
    return pd.DataFrame(shares).T


def _landmarks(model: AUModel, faces: Faces) -> np.ndarray:
    """(M, K, 2) true landmarks in pixels of the test-time crop."""
    images, landmarks = faces.images[faces.rows], faces.landmarks[faces.rows]
    return centre_crop(images, landmarks, model.config.image_size)[1].numpy()


def _rich(model: AUModel, faces: Faces) -> Tensor:
    """(M, C, h, w) F of every face."""
    return torch.cat(
        [model.encoder(model.standardise(image)) for image in linear_probes.crops_of(model, faces)]
    )


def _landmark_probe(features: Tensor, landmarks: np.ndarray) -> Callable[[Tensor], np.ndarray]:
    """Ridge regression from pooled features (M, C, h, w) to landmarks (M, K, 2)."""

    def pooled(features: Tensor) -> np.ndarray:
        return F.adaptive_avg_pool2d(features, GRID).flatten(1).double().numpy()

    read = linear_probes.ridge_reader(pooled(features), landmarks.reshape(len(landmarks), -1))
    return lambda features: read(pooled(features)).reshape(-1, *landmarks.shape[1:])


def fresh_reader(model: AUModel, seed: int = 0) -> LandmarkHead:
    """A network of A_lm's form that has learned nothing yet."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LandmarkHead(model.config.channels, model.config.num_landmarks)


def trained_on(
    reader: LandmarkHead, texture: Tensor, landmarks: Tensor, image_size: int, steps: int, seed: int = 0
) -> LandmarkHead:
    """A copy of a reader of landmarks, trained further while T stays fixed.

    Args:
        texture: (M, C, h, w) Z of M faces.  landmarks: (M, K, 2) pixels of pictures of side `image_size`.
    """
    reader = deepcopy(reader).requires_grad_().train()
    optimizer = torch.optim.Adam(reader.parameters(), lr=READER_RATE)
    drawn = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in range(steps):
            some = torch.randint(len(texture), (min(16, len(texture)),), generator=drawn)
            loss = landmark_loss(log_attention(reader(texture[some])), landmarks[some].float(), image_size)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return reader.eval()


def what_leaks(run: str, faces: dict[tuple[str, str], Faces]) -> pd.DataFrame:
    """AUC of linear probes: columns F, S, Z; rows AUs on source, AUs on target (mean over AUs), domain."""
    model = Run(run).model
    features = {
        place: linear_probes.pooled_features(model, some, list(linear_probes.FEATURES))
        for place, some in faces.items()
    }
    table = {}
    for name, symbol in linear_probes.FEATURES.items():
        parts = {place: found[name] for place, found in features.items()}
        aus = linear_probes.au_probe(name, parts, faces, model.config.aus)
        table[symbol] = {
            "AUs, source faces": aus[f"insides.au_probe.{name}.source"],
            "AUs, target faces": aus[f"insides.au_probe.{name}.target"],
            "which domain": linear_probes.domain_probe(parts),
        }
    return pd.DataFrame(table)


def state_of(adversary: float, probe: float, mean_face: float) -> str:
    """Landmarks in Z by three errors: "open" if the adversary reads them, "hidden" if only the probe does,
    "gone" if neither."""
    limit = READS * mean_face
    return "open" if adversary < limit else "hidden" if probe < limit else "gone"


# checks of the exercises


@exercise("a loss in nats, such as `1.5`")
def check_fooled(answer, side: int = 28) -> Verdict:
    """The adversary's cross-entropy when all its maps are flat."""
    given, cells = number(answer), side * side
    truth = math.log(cells)
    if abs(given - truth) < 0.02:
        return right(f"Every cell has 1/{cells}, and -log(1/{cells}) = {truth:.2f}.")
    if abs(given - 1 / cells) < 5e-4:
        return wrong("That is the share of one cell. The loss is minus the logarithm of it.")
    mistakes = (
        (0, "A loss of 0 is an adversary that is always right. This one knows nothing."),
        (cells, "That is the number of cells. The loss is its logarithm."),
        (math.log2(cells), "That is in bits; use the natural logarithm."),
        (math.log10(cells), "That is the logarithm to base 10; use the natural one."),
        (math.log(side), f"A map has {side} rows of {side} cells."),
        (math.log(68), "Landmarks do not compete with each other: each has a map of its own."),
    )
    return hint_for(given, mistakes, f"Each of {cells} cells has the same share: take minus its logarithm.")


@exercise('one of `"F"`, `"S"`, `"Z"`')
def check_domain(answer, table: pd.DataFrame) -> Verdict:
    """Which feature says least about the domain (`what_leaks`)."""
    if answer not in table.columns:
        return wrong(f"{answer!r} is not a column; choose from {', '.join(table.columns)}.")
    aucs = table.loc["which domain"]
    if answer == aucs.idxmin():
        return right(f"Its AUC is {aucs[answer]:.2f}, the nearest to 0.5.")
    if answer == aucs.idxmax():
        return wrong(f"{answer} says most, with an AUC of {aucs[answer]:.2f}. Which says least?")
    return wrong(f"{answer} has an AUC of {aucs[answer]:.2f}; another is nearer to 0.5.")


@exercise("a function from features `(N, D)` and shapes `(N, P)` to the rest of the features, `(N, D)`")
def check_erased(answer: Callable) -> Verdict:
    """What is left of invented features when all that is linear in invented shapes is subtracted."""
    drawn = np.random.default_rng(0)
    shapes, noise = 2 + drawn.normal(size=(200, 3)), drawn.normal(size=(200, 8))
    features = 5 + shapes @ drawn.normal(size=(3, 8)) + noise
    centred = shapes - shapes.mean(0)
    expected = centred @ np.linalg.lstsq(centred, features, rcond=None)[0]
    found = np.asarray(answer(features.copy(), shapes.copy()), float)
    if found.shape != features.shape:
        return wrong(f"Expected the shape {features.shape} of the features, found {found.shape}.")
    varies, rest = (one - one.mean(0) for one in (found, features - expected))
    if np.allclose(varies, rest, atol=1e-6):
        return right(
            "No feature correlates with any shape now, so no linear reader finds one in these faces."
        )
    if np.allclose(found, features):
        return wrong("Nothing was taken out.")
    if np.allclose(varies, 0):
        return wrong("Everything was taken out. The rest should keep what has nothing to do with the shape.")
    if np.allclose(varies, expected, atol=1e-6):
        return wrong("That is what the regression expects of the shape. Subtract it.")
    spread = np.maximum(varies.std(0)[:, None] * shapes.std(0), 1e-9)
    highest = np.abs(varies.T @ centred / len(varies) / spread).max()
    if highest > 1e-6:
        return wrong(f"A feature still correlates with a shape, by {highest:.2f}. Were both centred first?")
    return wrong("Nothing correlates with the shape, but more was taken out than had to be.")


@exercise("an AUC between 0 and 1, such as `0.7`")
def check_noise(answer) -> Verdict:
    """AUC of a linear probe on noise, scored on the faces it was fitted to; it is fitted here."""
    given = number(answer)
    drawn = np.random.default_rng(0)
    noise, labels = drawn.normal(size=(2, 100, 32 * 49)), drawn.integers(0, 2, (2, 100)).astype(float)
    probe = linear_probes.fit_probe(noise[0], labels[0])
    seen, unseen = (linear_probes.probe_auc(probe, noise[i], labels[i]) for i in (0, 1))
    if not 0 <= given <= 1:
        return wrong("An AUC lies between 0 and 1: the share of pairs in the right order.")
    if abs(given - seen) < 0.05:
        return right(f"{seen:.2f} on these faces, {unseen:.2f} on others: 1568 numbers memorise 100 labels.")
    if given < 0.45:
        return wrong("Below 0.5 the opposite would be better. But it was fitted to these faces.")
    if abs(given - 0.5) <= 0.05:
        return wrong(f"On other faces, yes ({unseen:.2f}). But these are the faces it was fitted to.")
    return wrong("More: there are 1568 numbers to fit 100 labels with.")


@exercise("a function from `adversary, probe, mean_face` to 'open', 'hidden' or 'gone'")
def check_state(answer: Callable, tables: dict[str, pd.DataFrame]) -> Verdict:
    """The rule of `state_of`, tried on made-up errors and on those measured (`landmarks_found`)."""
    measured = [
        tuple(table[domain][[ADVERSARY, PROBE, MEAN_FACE]])
        for table in tables.values()
        for domain in table
        if not np.isnan(table.loc[ADVERSARY, domain])  # a run without A_lm
    ]
    made_up = [(4.0, 3.0, 10.0), (50.0, 4.0, 10.0), (50.0, 11.0, 10.0), (2.2, 2.0, 2.1), (30.0, 20.0, 40.0)]
    hints = {
        "open": "the adversary itself is better than the mean face, so nothing is hidden",
        "hidden": "the adversary does not read them, but the fresh probe does",
        "gone": f"neither error is below {READS} of the mean face's",
    }
    for errors in made_up + measured:
        said, truth = answer(*errors), state_of(*errors)
        if said not in hints:
            return wrong(f"{said!r} is none of 'open', 'hidden', 'gone'.")
        if said != truth:
            shown = "Adversary {:.1f} %, probe {:.1f} %, mean face {:.1f} %".format(*errors)
            return wrong(f"{shown}: not {said}, as {hints[truth]}.")
    return right("To say that something is gone, ask more readers than the one it was hidden from.")
