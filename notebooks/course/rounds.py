"""Both rounds measured: whose AUs a swapped face wears, whether the second comes home, what G notices."""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces
from aubench.inspection.swaps import refuse_without_separation
from aulib.linear_probes import probe_auc
from aulib.model import AUModel


@torch.no_grad()
def both_rounds(model: AUModel, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Every named output of both rounds for n pairs of faces, (n, 3, H, H) each.

    Raises:
        ValueError: the model does not separate, or not as many sources as targets.
    """
    refuse_without_separation(model)
    return model(torch.cat([source, target]), len(source), separate=True)


def worn(
    model: AUModel, source: ShownFaces, target: ShownFaces, resamples: int = 300, seed: int = 0
) -> pd.DataFrame:
    """Whose AUs does a swapped face wear? AUC, mean over AUs, of D_au on features of target faces.

    Returns:
        a row each reading: F^t judged by the target's labels; F~^t, which has the source's shape, by the
        labels of who gave the shape, of who gave the texture, and of a source face that gave nothing
        (chance). Columns reading, labels of, auc, low, high
        (95 % over pairs drawn anew); NaN where no AU can be judged.
    """
    count = min(len(source), len(target))
    outputs = [
        both_rounds(model, s, t)
        for s, t in zip(source.pictures[:count].split(32), target.pictures[:count].split(32), strict=True)
    ]
    rich, swapped = (torch.cat([one[key] for one in outputs]) for key in ("rich_t", "swapped_t"))
    with torch.no_grad():
        logits = {name: model.au_head(part)[0].numpy() for name, part in (("F^t", rich), ("F~^t", swapped))}
    labels = {"shape": source.occurrence[:count], "texture": target.occurrence[:count]}
    labels["stranger"] = np.roll(labels["shape"], count // 2, 0)
    draws = np.random.default_rng(seed).integers(0, count, (resamples, count))
    rows = []
    for reading, whose in (("F^t", "texture"), ("F~^t", "shape"), ("F~^t", "texture"), ("F~^t", "stranger")):
        auc = mean_auc(logits[reading], labels[whose])
        drawn = [mean_auc(logits[reading][some], labels[whose][some]) for some in draws]
        low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (np.nan, np.nan)
        name = (
            "itself" if reading == "F^t" else f"who gave the {whose}" if whose != "stranger" else "a stranger"
        )
        rows.append({"reading": reading, "labels of": name, "auc": auc, "low": low, "high": high})
    return pd.DataFrame(rows)


def mean_auc(scores: np.ndarray, occurrence: np.ndarray) -> float:
    """Mean over AUs of the AUC of (n, A) scores; AUs that lack one of the two classes are left out."""
    aucs = [probe_auc(lambda one: one, *pair) for pair in zip(scores.T, occurrence.T, strict=True)]
    known = [auc for auc in aucs if not np.isnan(auc)]
    return float(np.mean(known)) if known else float("nan")


def say_worn(table: pd.DataFrame) -> str:
    """The answer in words, from `worn`."""
    own, shape, texture, stranger = table.itertuples()
    if shape.low > texture.high:
        answer = "A swapped face wears the AUs of the face that gave the **shape**"
    elif texture.low > shape.high:
        answer = "A swapped face keeps the AUs of the face that gave the **texture**: the swap failed"
    else:
        answer = "Whose AUs a swapped face wears **cannot be told** from these pairs"
    return (
        f"{answer}: AUC {shape.auc:.2f} ({shape.low:.2f} to {shape.high:.2f}) by the shape's labels, "
        f"{texture.auc:.2f} ({texture.low:.2f} to {texture.high:.2f}) by the texture's, "
        f"{stranger.auc:.2f} by a stranger's. Before the swap it is {own.auc:.2f}."
    )


def homecoming(outputs: dict[str, Tensor]) -> pd.DataFrame:
    """How near features are to their face's own F; a row each feature, two columns each domain.

    `source distance`: L1, over the distance of F from a stranger's F (1: as far as a stranger). `source own
    face`: share of the faces whose own F is the nearest of all n by cosine (chance 1 / n). Needs n >= 2.
    """
    table: dict[str, dict[str, float]] = {}
    for domain, half in (("source", "s"), ("target", "t")):
        rich = outputs[f"rich_{half}"]
        stranger = (rich - rich.roll(1, 0)).abs().mean()
        units = F.normalize(rich.flatten(1), dim=1)
        far, own = {}, {}
        for name, key in (("self", "self"), ("swapped", "swapped"), ("second round", "rich2")):
            feature = outputs[f"{key}_{half}"]
            far[name] = float((feature - rich).abs().mean() / stranger)
            nearest = (F.normalize(feature.flatten(1), dim=1) @ units.T).argmax(1)
            own[name] = float((nearest == torch.arange(len(rich))).float().mean())
        table |= {f"{domain} distance": far, f"{domain} own face": own}
    return pd.DataFrame(table)


def say_home(table: pd.DataFrame, count: int) -> str:
    """The answer in words, Markdown, from `homecoming` of `count` pairs."""
    lines = []
    for domain in ("source", "target"):
        far, own = table[f"{domain} distance"], table[f"{domain} own face"]
        nearer = "nearer" if far["second round"] < far["swapped"] - 0.02 else "no nearer"
        lines.append(
            f"- {domain}: the second round is {nearer} home than the swap (distance "
            f"{far['second round']:.2f} against {far['swapped']:.2f}); it is nearest to its own face's F "
            f"for {own['second round']:.0%} of {count} faces, the swap for {own['swapped']:.0%} (chance "
            f"{1 / count:.0%})."
        )
    swapped = table.loc["swapped", ["source own face", "target own face"]]
    if swapped.min() > 0.5:
        lines.append(
            "- Even a swapped feature knows whose it is: that lies in the texture, which never left."
        )
    return "\n".join(lines)


CHANGES = {  # of S (n, K, h, w): what G might notice; 30 is the tip of the nose, 48 to 67 are the mouth
    "landmarks renumbered": lambda shape: shape.flip(1),
    "face moved down": lambda shape: shape.roll(2, -2),
    "mouth on the nose": lambda shape: torch.cat([shape[:, :48], shape[:, 30:31].expand(-1, 20, -1, -1)], 1),
    "maps blurred": lambda shape: F.avg_pool2d(shape, 5, 1, 2),
}


@torch.no_grad()
def noticed(model: AUModel, picture: Tensor) -> dict[str, float]:
    """By how much each of CHANGES of its S moves G(S, Z) of a face (1, 3, H, H), in standard deviations."""
    _, shape, texture = model.separate(model.encoder(model.standardise(picture)))
    as_it_is = model.reconstruction(shape, texture)
    return {
        name: float((model.reconstruction(change(shape), texture) - as_it_is).abs().mean() / as_it_is.std())
        for name, change in CHANGES.items()
    }
