"""What a model's features hold: AUs, landmarks and domain in F, S and Z, and how well the rounds agree [C].

Linear probes of a finished model are fitted on validation subjects, whom it never saw, and scored on test
subjects. AU labels of the target are used only to score. In training, `separation_so_far` reads validation
faces alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from aulib.batches import Faces, centre_crops
from aulib.metrics import auc_weighted, landmark_scores
from aulib.model import AUModel
from aulib.networks import GRID
from aulib.supervisors import SUPERVISORS

FACES = 256  # of each domain and split, evenly spaced over its rows
PAIRS = 128  # of a source and a target face
ALPHAS = np.logspace(-3, 1, 5)  # of the ridge, for features of mean squared length 1
FEATURES = {"rich": "F", "shape": "S", "texture": "Z"}
SO_FAR = ("reconstruction.self", "reconstruction.second", "moves.shape", "moves.texture")


def probe_model(
    model: AUModel, faces: dict[tuple[str, str], Faces], knows_landmarks: bool = True
) -> dict[str, float]:
    """All measures of this module, under flat keys `insides.…`.

    Args:
        faces: (domain, split) -> faces, "val" and "test" of "source" and "target"; a split may be empty.
        knows_landmarks: whether the model learned landmarks; if not, S is left out.

    Returns:
        `insides.au_probe.texture.source` (AUC on source test, mean over AUs; `.target` by the same probe;
        `insides.per_au.AU01.…` for one AU), `insides.domain_probe.shape` (AUC of source against target), and
        for a model that separates, the keys of `round_agreement`. NaN where faces or labels are missing.
    """
    few = {place: evenly_spaced(some, FACES) for place, some in faces.items() if place[1] in ("val", "test")}
    names = [name for name in FEATURES if hasattr(model, "texture_encoder") or name != "texture"]
    names = [name for name in names if knows_landmarks or name != "shape"]
    pooled = {place: pooled_features(model, some, names) for place, some in few.items()}
    found: dict[str, float] = {}
    for name in names:
        parts = {place: features[name] for place, features in pooled.items()}
        found |= au_probe(name, parts, few, model.config.aus)
        found[f"insides.domain_probe.{name}"] = domain_probe(parts)
        if name != "shape":
            found |= landmark_probe(name, parts, few)
    if model.config.separates:
        found |= round_agreement(model, few["source", "test"], few["target", "test"])
    return found


def separation_so_far(model: AUModel, source: Faces, target: Faces) -> dict[str, float]:
    """How well a model in training separates and reconstructs; its mode is left as it was.

    Probes learn from the first half of the faces and are scored on the second, other people.

    Args:
        source, target: validation faces, the source's labelled; the target's AU labels are not read.

    Returns:
        of the keys of `probe_model`, `.source` and both domains' landmarks: reconstruction, how far G moves,
        AUs and landmarks in F and Z.
    """
    training = model.training
    model.eval()
    few = {}
    for domain, faces in (("source", source), ("target", target)):
        for split, rows in zip(("val", "test"), np.array_split(faces.rows, 2), strict=True):
            few[domain, split] = evenly_spaced(replace(faces, rows=rows), FACES // 2)
    names = ["rich", "texture"]
    pooled = {place: pooled_features(model, some, names) for place, some in few.items()}
    found = {}
    for name in names:
        parts = {place: features[name] for place, features in pooled.items()}
        of_source = {place: part for place, part in parts.items() if place[0] == "source"}
        aus = au_probe(name, of_source, few, model.config.aus)
        found |= {key: value for key, value in aus.items() if ".per_au." not in key}
        found |= landmark_probe(name, parts, few)
    agreement = round_agreement(model, few["source", "test"], few["target", "test"])
    model.train(training)
    return found | {f"insides.{name}": agreement[f"insides.{name}"] for name in SO_FAR}


def evenly_spaced(faces: Faces, limit: int) -> Faces:
    """At most `limit` faces, evenly spaced over the rows, so that all subjects stay in."""
    if len(faces) <= limit:
        return faces
    return replace(faces, rows=faces.rows[np.linspace(0, len(faces) - 1, limit).astype(int)])


@torch.no_grad()
def pooled_features(model: AUModel, faces: Faces, names: list[str]) -> dict[str, np.ndarray]:
    """F, S, Z of each face, (M, C * GRID * GRID) float32 each, as the test path makes them."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for image in crops_of(model, faces):
        outputs = {"rich": model.encoder(model.standardise(image))}
        if "texture" in names:
            _, outputs["shape"], outputs["texture"] = model.separate(outputs["rich"])
        elif "shape" in names:
            outputs["shape"] = model.landmark_attention(model.landmark_head(outputs["rich"]))
        for name in names:
            found[name].append(F.adaptive_avg_pool2d(outputs[name], GRID).flatten(1).cpu().numpy())
    return {name: np.concatenate(parts) if parts else np.empty((0, 0)) for name, parts in found.items()}


def crops_of(model: AUModel, faces: Faces, size: int = 64) -> Iterator[Tensor]:
    """The test-time crops, (B, 3, H, H) in [0, 1], on the model's device."""
    device = next(model.parameters()).device
    return (image.to(device) for image in centre_crops(faces, model.config.image_size, size))


def au_probe(name: str, features: dict, faces: dict[tuple[str, str], Faces], aus) -> dict[str, float]:
    """One probe per AU, fitted on source validation; AUC on the test faces of each domain, and means.

    Args:
        features: (domain, split) -> (M, D); a domain without an entry is left out.
    """
    labels = {place: some.occurrence[some.rows] for place, some in faces.items() if place in features}
    scores: dict[str, list[float]] = {domain: [] for domain, split in features if split == "test"}
    for index in range(len(aus)):
        read = fit_probe(features["source", "val"], labels["source", "val"][:, index])
        for domain, found in scores.items():
            test = domain, "test"
            found.append(probe_auc(read, features[test], labels[test][:, index]))
    found = {f"insides.au_probe.{name}.{domain}": _mean(aucs) for domain, aucs in scores.items()}
    for domain, aucs in scores.items():
        found |= {f"insides.per_au.{au}.{name}.{domain}": auc for au, auc in zip(aus, aucs, strict=True)}
    return found


def landmark_probe(name: str, features: dict, faces: dict[tuple[str, str], Faces]) -> dict[str, float]:
    """Landmarks read by one ridge regression, fitted on the validation faces of both domains.

    Returns:
        `insides.landmark_probe.NAME.DOMAIN`: NME on test faces (as `landmarks.nme`), and the mean face's,
        `insides.landmark_probe.mean_face.DOMAIN`. NaN without complete landmarks.
    """
    known = {place: faces[place].landmarks[faces[place].rows] for place in features}  # (M, K, 2)
    whole = {place: ~np.isnan(points).any((1, 2)) for place, points in known.items()}
    fitted = [place for place in features if place[1] == "val" and whole[place].any()]
    tests = [place for place in features if place[1] == "test"]
    found = {
        f"insides.landmark_probe.{who}.{domain}": float("nan")
        for who in (name, "mean_face")
        for domain, _ in tests
    }
    if not fitted:
        return found
    points = np.concatenate([known[place][whole[place]] for place in fitted])
    read = ridge_reader(
        np.concatenate([features[place][whole[place]] for place in fitted]), points.reshape(len(points), -1)
    )
    for test in tests:
        if whole[test].any():
            true = known[test][whole[test]]
            guesses = {name: read(features[test][whole[test]]).reshape(true.shape)}
            guesses["mean_face"] = np.broadcast_to(points.mean(0), true.shape)
            for who, guess in guesses.items():
                nme = landmark_scores(guess, true)["landmarks.nme"]
                found[f"insides.landmark_probe.{who}.{test[0]}"] = nme
    return found


def domain_probe(features: dict[tuple[str, str], np.ndarray]) -> float:
    """AUC of target against source test faces, by a probe fitted on the validation faces of both."""
    sets = []
    for split in ("val", "test"):
        parts = [features[domain, split] for domain in ("source", "target")]
        if not all(len(part) for part in parts):
            return float("nan")
        sets.append((np.concatenate(parts), np.repeat([0.0, 1.0], [len(part) for part in parts])))
    return probe_auc(fit_probe(*sets[0]), *sets[1])


def fit_probe(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray] | None:
    """`ridge_reader` of labels -1 and 1.

    Args:
        features: (M, D).  labels: (M,) in {0, 1}, NaN unknown (left out).

    Returns:
        features (N, D) -> scores (N,), unbounded; None if the labels lack a class.
    """
    known = ~np.isnan(labels)
    if len(np.unique(labels[known])) < 2:
        return None
    return ridge_reader(features[known], 2 * labels[known] - 1)


def ridge_reader(features: np.ndarray, answers: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Ridge regression on standardised features; its strength by leave-one-out error.

    Args:
        features: (M, D).  answers: (M,) or (M, N).

    Returns:
        features (L, D) -> answers (L,) or (L, N).
    """
    from sklearn.linear_model import RidgeCV

    features = features.astype(float)
    centre, scale = features.mean(0), np.maximum(features.std(0), 1e-6) * np.sqrt(features.shape[1])
    ridge = RidgeCV(ALPHAS).fit((features - centre) / scale, answers)
    return lambda others: ridge.predict((others - centre) / scale)


def probe_auc(read: Callable | None, features: np.ndarray, labels: np.ndarray) -> float:
    """ROC AUC in [0, 1] of a probe on (N, D) features; NaN without a probe, or where a class is missing."""
    known = ~np.isnan(labels)
    if read is None or len(np.unique(labels[known])) < 2:
        return float("nan")
    return float(auc_weighted(read(features[known]), labels[known] == 1, np.ones((1, known.sum())))[0])


@torch.no_grad()
def round_agreement(model: AUModel, source: Faces, target: Faces) -> dict[str, float]:
    """How well the two rounds agree, on pairs of a source and a target face.

    Returns:
        `insides.distance.NAME`: cosine distance of first and second round of supervisor NAME's features,
        pooled (0 the same, 1 unrelated). `insides.own_face.NAME`: share of faces whose second round is nearer
        to their own first round than to any other face's of the domain.
        `insides.reconstruction.self`, `.second`: L1 distance of G(S, Z) and of the second round from F, over
        that of F from the mean face's F (1 is no better than the mean face).
        `insides.moves.shape`, `.texture`: how far G moves when S (or Z) comes from the other domain's face,
        on the same scale. All NaN if a domain has no faces.
    """
    count = min(len(source), len(target), PAIRS)
    if not count:
        names = [f"{kind}.{name}" for kind in ("distance", "own_face") for name in SUPERVISORS] + [*SO_FAR]
        return {f"insides.{name}": float("nan") for name in names}
    outputs = paired_outputs(model, evenly_spaced(source, count), evenly_spaced(target, count))
    found = {}
    for name, supervisor in SUPERVISORS.items():
        pooled = (F.adaptive_avg_pool2d(outputs[key], GRID) for key in (supervisor.first, supervisor.second))
        first, second = (F.normalize(grid.flatten(1), dim=1) for grid in pooled)
        cosines = first @ second.T  # (M, M)
        found[f"distance.{name}"] = 1 - float(cosines.diagonal().mean())
        nearest = cosines.argmax(0) == torch.arange(len(cosines), device=cosines.device)
        found[f"own_face.{name}"] = float(nearest.float().mean())
    spread = _mean([_far(outputs[f"rich_{d}"], outputs[f"rich_{d}"].mean(0)) for d in "st"])
    spread = spread or float("nan")  # of a single face there is none
    for name, key in (("self", "self"), ("second", "rich2")):
        error = _mean([_far(outputs[f"{key}_{d}"], outputs[f"rich_{d}"]) for d in "st"])
        found[f"reconstruction.{name}"] = error / spread
    # swapped_t = G(S^s, Z^t) differs from self_t only in the shape, from self_s only in the texture
    for name, other in (("shape", {"s": "s", "t": "t"}), ("texture", {"s": "t", "t": "s"})):
        moved = _mean([_far(outputs[f"swapped_{d}"], outputs[f"self_{other[d]}"]) for d in "st"])
        found[f"moves.{name}"] = moved / spread
    return {f"insides.{name}": value for name, value in found.items()}


def paired_outputs(model: AUModel, source: Faces, target: Faces, size: int = 32) -> dict[str, Tensor]:
    """The named features of both rounds for as many pairs as both have faces, (M, ., h, w) each."""
    keys = {key for supervisor in SUPERVISORS.values() for key in (supervisor.first, supervisor.second)}
    keys |= {f"{name}_{domain}" for name in ("self", "swapped", "rich", "rich2") for domain in "st"}
    found: dict[str, list[Tensor]] = {key: [] for key in keys}
    for images in zip(crops_of(model, source, size), crops_of(model, target, size), strict=True):
        outputs = model(torch.cat(images), len(images[0]), separate=True)
        for key in keys:
            feature = outputs[key]  # S has many maps, and only their pooled grid is compared
            found[key].append(F.adaptive_avg_pool2d(feature, GRID) if key.startswith("shape") else feature)
    return {key: torch.cat(parts) for key, parts in found.items()}


def _far(features: Tensor, others: Tensor) -> float:
    return float((features - others).abs().mean())


def _mean(values: list[float]) -> float:
    """Mean of those that are defined; NaN if none is."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")
