"""What the halves of a face hold, measured: landmarks read from Z by its adversary and by a fresh probe; AUs
and domain read from F, S and Z.

Probes are fitted on validation subjects and judged on test subjects, so nothing is counted as held that was
only learned by heart.
"""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aubench.inspection.swaps import refuse_without_separation
from aulib import linear_probes
from aulib.batches import Faces, centre_crop
from aulib.crops import crop_dataset, crop_of
from aulib.dataset import read_dataset
from aulib.losses import landmark_loss
from aulib.metrics import landmark_nme
from aulib.model import AUModel, ModelConfig, cells_to_pixels, expected_cells
from aulib.networks import LandmarkHead, log_attention
from aulib.run import load_run
from aulib.train_run import faces_of

NOBODY, ADVERSARY, TRAINED_ON, PROBE, PROBE_OF_F, D_LM = (
    READERS
) = (  # who is asked where the landmarks are, from the worst informed on
    "nobody: the mean face",
    "its adversary, from Z",
    "its adversary, trained on",
    "a fresh probe, from Z",
    "a fresh probe, from F",
    "D_lm, from F",
)
READING_RATE = 4e-3  # of Adam; D_lm itself learns at it
PLACES = (("source", "val"), ("source", "test"), ("target", "val"), ("target", "test"))


@dataclass(frozen=True)
class Halves:
    """A face model's outputs for n faces: shape S (n, K, h, w), texture Z (n, C, h, w), and two readings of
    landmarks, (n, K, 2) pixels: by D_lm from F, by the adversary A_lm from Z; hidden: A_lm's maps, summed.
    """

    shape: Tensor
    texture: Tensor
    from_rich: np.ndarray
    from_texture: np.ndarray
    hidden: Tensor


@torch.no_grad()
def take_apart(model: AUModel, pictures: Tensor) -> Halves:
    """Both halves of faces (n, 3, H, H) in [0, 1].

    Raises:
        ValueError: the model does not separate.
    """
    refuse_without_separation(model)
    _, shape, texture = model.separate(model.encoder(model.standardise(pictures)))
    hidden = model.landmark_attention(model.landmark_adversary(texture))

    def pixels(maps: Tensor) -> np.ndarray:
        return cells_to_pixels(expected_cells(maps), maps.shape[-1], pictures.shape[-1]).numpy()

    return Halves(shape, texture, pixels(shape), pixels(hidden), hidden.sum(1))


def faces_by_split(source: str, target: str, config: ModelConfig, limit: int) -> dict[tuple[str, str], Faces]:
    """At most `limit` faces of each of PLACES, evenly spaced, as a run of this configuration reads them."""
    found = {}
    for domain, name in (("source", source), ("target", target)):
        data = read_dataset(name)
        crops = crop_dataset(data, crop_of(config), progress=False)
        every = faces_of(data, crops, "val", config)
        for split in ("val", "test"):
            found[domain, split] = linear_probes.evenly_spaced(replace(every, rows=data.rows(split)), limit)
    return found


@torch.no_grad()
def landmarks_found(run: str, faces: dict[tuple[str, str], Faces]) -> pd.DataFrame:
    """Landmark NME x 100 of each of READERS (rows) on the test faces of each domain (columns).

    The fresh probes are ridge regressions from pooled features to coordinates, fitted to validation faces of
    both domains; the mean face is that of the same faces, and on them the adversary is trained on.
    """
    from sklearn.linear_model import RidgeCV

    model, _ = load_run(run)
    names = ["rich", "texture"]
    features = {place: linear_probes.pooled_features(model, some, names) for place, some in faces.items()}
    points = {place: _points(model, some) for place, some in faces.items()}
    fitted = [place for place in faces if place[1] == "val" and len(faces[place])]
    known = np.concatenate([points[place] for place in fitted])
    mean = known.mean(0)
    probes = {}
    for name in names:
        inputs = np.concatenate([features[place][name] for place in fitted]).astype(float)
        centre, scale = inputs.mean(0), np.maximum(inputs.std(0), 1e-6) * np.sqrt(inputs.shape[1])
        ridge = RidgeCV(linear_probes.ALPHAS).fit(
            (inputs - centre) / scale, (known - mean).reshape(len(known), -1)
        )
        probes[name] = (ridge, centre, scale)
    rich = {place: _rich(model, some) for place, some in faces.items()}
    still = torch.cat([model.texture_encoder(rich[place]) for place in fitted])
    reader = trained_on(model, still, torch.tensor(known, dtype=torch.float32))
    table = {}
    for domain in ("source", "target"):
        place = domain, "test"
        true, size = points[place], model.config.image_size
        texture = model.texture_encoder(rich[place])
        heads = {ADVERSARY: (model.landmark_adversary, texture), TRAINED_ON: (reader, texture)}
        heads[D_LM] = (model.landmark_head, rich[place])
        read = {name: _pixels(model, head(seen)) for name, (head, seen) in heads.items()}
        read[NOBODY] = np.broadcast_to(mean, true.shape)
        for who, name in ((PROBE, "texture"), (PROBE_OF_F, "rich")):
            ridge, centre, scale = probes[name]
            shifts = ridge.predict((features[place][name] - centre) / scale)
            read[who] = (mean + shifts.reshape(true.shape)).clip(-size, 2 * size)
        table[domain] = {who: 100 * landmark_nme(read[who], true).mean() for who in READERS}
    return pd.DataFrame(table)


def trained_on(
    model: AUModel, texture: Tensor, points: Tensor, steps: int = 100, seed: int = 0
) -> LandmarkHead:
    """A copy of A_lm that goes on learning to read landmarks, now that T stands still.

    Args:
        texture: (M, C, h, w) Z of M faces.  points: (M, K, 2) their landmarks, pixels.
    """
    reader = deepcopy(model.landmark_adversary).requires_grad_().train()
    optimizer = torch.optim.Adam(reader.parameters(), lr=READING_RATE)
    drawn = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in range(steps):
            some = torch.randint(len(texture), (min(16, len(texture)),), generator=drawn)
            loss = landmark_loss(log_attention(reader(texture[some])), points[some], model.config.image_size)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return reader.eval()


def _rich(model: AUModel, faces: Faces) -> Tensor:
    """(M, C, h, w) F of every face."""
    rich = [model.encoder(model.standardise(image)) for image in linear_probes.batches(model, faces)]
    return torch.cat(rich)


def _pixels(model: AUModel, logits: Tensor) -> np.ndarray:
    """(M, K, 2) where landmark maps point, pixels."""
    maps = model.landmark_attention(logits)
    return cells_to_pixels(expected_cells(maps), maps.shape[-1], model.config.image_size).numpy()


def _points(model: AUModel, faces: Faces) -> np.ndarray:
    """(M, K, 2) true landmarks in pixels of the test-time crop."""
    rows = faces.rows
    return centre_crop(faces.images[rows], faces.landmarks[rows], model.config.image_size)[1].numpy()


def what_leaks(run: str, faces: dict[tuple[str, str], Faces]) -> pd.DataFrame:
    """AUC of linear probes: columns F, S, Z; rows AUs on source, AUs on target (mean over AUs), domain."""
    model, _ = load_run(run)
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


HIDDEN_BY = 0.1  # a reading counts from an error a tenth below that of the mean face


def state_of(adversary: float, probe: float, mean_face: float) -> str:
    """Are landmarks in Z? "open": its own adversary reads them; "hidden": only a fresh probe; "gone"."""
    at_most = (1 - HIDDEN_BY) * mean_face
    return "open" if adversary < at_most else "hidden" if probe < at_most else "gone"


def say_found(tables: dict[str, pd.DataFrame], domain: str = "target") -> str:
    """Which of the three it is in each run, in words, Markdown: from the numbers alone."""
    words = {
        "open": "landmarks lie **open** in Z: its adversary reads them",
        "hidden": "landmarks are **hidden** in Z: its adversary does not read them, a fresh probe does",
        "gone": "landmarks are **gone** from Z as far as a linear probe can tell",
    }
    lines = []
    for name, table in tables.items():
        error = table[domain]
        lines.append(
            f"- {name}: {words[state_of(error[ADVERSARY], error[PROBE], error[NOBODY])]} (errors on {domain} "
            f"faces: mean face {error[NOBODY]:.1f} %, adversary {error[ADVERSARY]:.1f} %, fresh probe "
            f"{error[PROBE]:.1f} %)."
        )
        reads, beside_it = error[[TRAINED_ON, ADVERSARY]] < (1 - HIDDEN_BY) * error[NOBODY]
        trained = (
            f"- {name}: the same adversary, trained on while Z stands still, errs by "
            f"{error[TRAINED_ON]:.1f} % (D_lm, from F, by {error[D_LM]:.1f} %)"
        )
        if reads and not beside_it:
            lines.append(
                f"{trained}. So it was not fooled: **it had not learned to read**. A loss that such an "
                "opponent satisfies says nothing about Z."
            )
        elif reads:
            lines.append(f"{trained}: it reads, beside the others and alone.")
        else:
            lines.append(f"{trained}: to a reader of its form they stay hidden.")
    return "\n".join(lines)


def beside(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several runs as one, for a file: the run's name behind each column's."""
    return pd.concat([table.add_suffix(f", {name}") for name, table in tables.items()], axis=1).reset_index()


def say_leaks(table: pd.DataFrame) -> str:
    """What the halves still tell, in words, from `what_leaks`."""

    def told(auc: float) -> str:
        if np.isnan(auc):
            return "what these few faces cannot show"
        return "nothing to speak of" if auc < 0.55 else "a little" if auc < 0.65 else "a good deal"

    aus, domain = table.loc["AUs, target faces"], table.loc["which domain"]
    return (
        f"Of AUs on target faces the texture tells {told(aus.Z)} (AUC {aus.Z:.2f}, F itself {aus.F:.2f}, "
        f"chance 0.50). Of the domain the shape tells {told(domain.S)} (AUC {domain.S:.2f}, F itself "
        f"{domain.F:.2f})."
    )
