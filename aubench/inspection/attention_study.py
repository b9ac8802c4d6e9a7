"""The measurement of attention on rendered faces: which share of it lies where the AU moves the surface."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from aubench.inspection.attention import (
    FRACTIONS,
    above_even,
    answers,
    area_under,
    attribution_maps,
    best_mass,
    blurred,
    curve,
    evidence_maps,
    mass_inside,
    random_maps,
    smoothed,
)
from aubench.inspection.shown_faces import ShownFaces, faces_from, kept_faces
from aulib.dataset import read_dataset
from aulib.model import AUModel, ModelConfig
from aulib.run import Run

RANDOM_DRAWS = 3


def faces_and_regions(
    run: str | Path, config: ModelConfig, faces: str, aus: list[str], per_au: int
) -> tuple[ShownFaces, np.ndarray | None]:
    """What a notebook's parameter `faces` means here: faces that show the AUs, and their regions where known.

    Regions are None for faces that a run keeps (`faces` is "") and for sets that were not rendered; of a set
    without labels of the AUs, evenly spaced test faces are taken.
    """
    if not faces:
        return kept_faces(run, config, "target", per_au), None
    if not set(aus) <= set(read_dataset(faces).aus):
        return faces_from(faces, config, per_au), None
    chosen = present_faces(faces, config, aus, per_au)
    rendered = (chosen.data.root / "set.json").is_file()
    return chosen, true_regions(chosen, aus, config) if rendered else None


def present_faces(dataset: str | Path, config: ModelConfig, aus: list[str], per_au: int) -> ShownFaces:
    """Test faces that show each AU at least `per_au` times, or as often as it occurs; no face twice.

    Raises:
        ValueError: no test face shows any of the AUs.
    """
    data = read_dataset(dataset)
    order = np.random.default_rng(0).permutation(data.rows("test"))
    labels = data.occurrence[order]
    rows = [order[labels[:, data.aus.index(au)] == 1][:per_au] for au in aus]
    if not sum(map(len, rows)):
        raise ValueError(f"no face of split 'test' of {data.root} shows any of {', '.join(aus)}")
    return faces_from(dataset, config, rows=np.unique(np.concatenate(rows)))


def true_regions(faces: ShownFaces, aus: list[str], config: ModelConfig, progress: bool = True) -> np.ndarray:
    """(n, A, H, H) bool: where each AU moves what each face shows.

    Raises:
        ValueError: the faces are not of a rendered set, or an AU is never rendered.
    """
    from aufaces.moved_regions import SurfaceMotion, region, rendered_faces

    if faces.data is None:
        raise ValueError("faces that a run keeps have no ground truth regions; give a rendered set")
    people = rendered_faces(faces.data.root, faces.data.table["image"].iloc[faces.rows].tolist())
    motion = SurfaceMotion(json.loads((faces.data.root / "set.json").read_text())["size"])
    pairs = tqdm(zip(people, faces.matrices, strict=True), "true regions", len(people), disable=not progress)
    return np.stack([region(motion(face, aus, matrix, config.image_size)) for face, matrix in pairs])


@dataclass(frozen=True)
class StrongestFaces:
    """Both maps of each AU on the faces where a run finds it most.

    faces: AU -> places of its faces, strongest first.  maps: (AU, "evidence" or "gradients") -> (m, H, H), at
    least 0.  table: one row per AU, map and face: au, name, map, probability, logit, gap (what the map's mean
    misses of the logit, or its sum of the logit's rise over a flat face), and with regions: inside, area.
    """

    faces: dict[str, list[int]]
    maps: dict[tuple[str, str], np.ndarray]
    table: pd.DataFrame


def strongest_faces(
    model: AUModel,
    read_from: str,
    faces: ShownFaces,
    aus: list[str],
    regions: np.ndarray | None = None,
    count: int = 6,
) -> StrongestFaces:
    """Evidence maps and integrated gradients of each AU on the `count` faces with its highest probability.

    Args:
        read_from: see `AUModel.read`.  regions: (n, A', H, H) bool of these faces and AUs, if known.

    Raises:
        ValueError: the run reads AUs from landmark coordinates, or does not know an AU.
    """
    refuse_unknown_aus(model, aus)
    evidence, probability = evidence_maps(model, faces.pictures, read_from)
    strongest, maps, rows = {}, {}, []
    for place, au in enumerate(aus):
        index = model.config.aus.index(au)
        chosen = probability[:, index].argsort(descending=True)[: min(count, len(faces))].tolist()
        gradients, gap = attribution_maps(model, faces.pictures[chosen], index, read_from)
        with torch.no_grad():
            logits = model.read(faces.pictures[chosen], read_from)["au_logits"][:, index]
        gaps = {"evidence": logits - evidence[chosen, index].mean((1, 2)), "gradients": gap}
        strongest[au] = chosen
        maps[au, "evidence"] = evidence[chosen, index].clamp(min=0).numpy()
        maps[au, "gradients"] = smoothed(gradients).clamp(min=0).numpy()
        for kind, missing in gaps.items():
            columns = {"au": au, "name": faces.names[chosen], "map": kind}
            columns |= {"probability": probability[chosen, index], "logit": logits, "gap": missing}
            if regions is not None:
                inside = mass_inside(maps[au, kind], regions[chosen, place])
                columns |= {"inside": inside, "area": regions[chosen, place].mean((1, 2))}
            rows.append(pd.DataFrame(columns))
    return StrongestFaces(strongest, maps, pd.concat(rows, ignore_index=True))


def landmark_table(faces: ShownFaces, maps: Tensor, points: Tensor) -> pd.DataFrame:
    """One row per face and landmark: name, landmark, peak (highest value of its map), error (pixels).

    Args:
        maps, points: (n, K, H, H) and (n, K, 2), from `attention.landmark_maps`.

    Returns:
        error is NaN where no landmark is given.
    """
    count = maps.shape[1]
    return pd.DataFrame(
        {
            "name": np.repeat(faces.names, count),
            "landmark": np.tile(np.arange(count), len(faces)),
            "peak": maps.flatten(2).amax(-1).flatten().numpy(),
            "error": (points - faces.landmarks).norm(dim=-1).flatten().numpy(),
        }
    )


def rollout_table(faces: ShownFaces, maps: Tensor) -> pd.DataFrame:
    """One row per face: name, peak (highest value relative to a uniform map), entropy of the map (nats)."""
    entropy = -(maps * maps.clamp(min=1e-12).log()).sum((1, 2))
    return pd.DataFrame(
        {"name": faces.names, "peak": above_even(maps)[1].numpy(), "entropy": entropy.numpy()}
    )


def refuse_unknown_aus(model: AUModel, aus: list[str]) -> None:
    if unknown := [au for au in aus if au not in model.config.aus]:
        raise ValueError(f"unknown AUs {unknown}; the run knows {list(model.config.aus)}")


@dataclass(frozen=True)
class Explained:
    """A run's maps of the faces that show each AU.

    name: of the run, for tables.  shown: for each AU the places of its faces (m,) among the n.
    evidence: (n, A, H, H), of all AUs of the model.  probability: (n, A).
    gradients: for each AU that a face shows, (m, H, H), positive part.
    """

    name: str
    model: AUModel
    read_from: str
    shown: dict[str, np.ndarray]
    evidence: Tensor
    probability: Tensor
    gradients: dict[str, Tensor]

    def index(self, au: str) -> int:
        return self.model.config.aus.index(au)

    @property
    def cells(self) -> int:
        """Side of the evidence maps before they are enlarged."""
        return self.model.au_head.weight.shape[-1]


def explain(
    name: str, run: str | Path, faces: ShownFaces, aus: list[str], per_au: int, progress: bool = True
) -> Explained:
    """Both kinds of maps, the gradients only for the first `per_au` faces that show the AU.

    Raises:
        ValueError: the run reads AUs from landmark coordinates, or does not know an AU.
    """
    opened = Run(run)
    model, read_from = opened.model, opened.settings["read_target_from"]
    refuse_unknown_aus(model, aus)
    evidence, probability = evidence_maps(model, faces.pictures, read_from)
    shown, gradients = {}, {}
    for au in tqdm(aus, f"gradients of {name}", unit="AU", disable=not progress):
        index = model.config.aus.index(au)
        shown[au] = np.flatnonzero(faces.occurrence[:, index] == 1)[:per_au]
        if len(shown[au]):
            maps, _ = attribution_maps(model, faces.pictures[shown[au]], index, read_from)
            gradients[au] = smoothed(maps).clamp(min=0)
    return Explained(name, model, read_from, shown, evidence, probability, gradients)


def region_table(explained: Explained, faces: ShownFaces, regions: np.ndarray) -> pd.DataFrame:
    """Share of attention inside the true region: a row for each AU, face that shows it, and kind of map.

    Args:
        regions: (n, A, H, H) of `true_regions`, for the AUs explained, in their order.

    Returns:
        run, map ("evidence", "gradients"), au, name, inside; area: the region's share of the picture, which
        is chance; best: the most a map of the branch's cells could have; others: what the evidence of the
        other AUs has in this region of the same face. The last two for evidence only.
    """
    tables = []
    for place, au in enumerate(explained.shown):
        shown, index = explained.shown[au], explained.index(au)
        if not len(shown):
            continue
        true, evidence = regions[shown, place], explained.evidence[shown].numpy()
        about = {"run": explained.name, "au": au, "name": faces.names[shown], "area": true.mean((1, 2))}
        others = mass_inside(np.delete(evidence, index, axis=1), true[:, None])
        columns = {"map": "evidence", "inside": mass_inside(evidence[:, index], true)}
        columns |= {"best": best_mass(true, explained.cells), "others": np.nanmean(others, axis=1)}
        tables.append(pd.DataFrame(about | columns))
        inside = mass_inside(explained.gradients[au].numpy(), true)
        tables.append(pd.DataFrame(about | {"map": "gradients", "inside": inside}))
    return pd.concat(tables, ignore_index=True)


def region_means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over faces of `region_table`: run, map, au, n, inside, low, high, area, best, others.

    low and high: 95 % interval of the mean, by normal approximation; NaN from one face.
    """
    rows = []
    for (run, kind, au), group in table.groupby(["run", "map", "au"], sort=False):
        inside = group["inside"].dropna()
        half = 1.96 * inside.std(ddof=1) / np.sqrt(len(inside)) if len(inside) > 1 else np.nan
        row = {"run": run, "map": kind, "au": au, "n": len(inside), "inside": inside.mean()}
        row |= {"low": inside.mean() - half, "high": inside.mean() + half}
        rows.append(row | {name: group[name].mean() for name in ("area", "best", "others")})
    return pd.DataFrame(rows)


def curve_table(explained: Explained, faces: ShownFaces, regions: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """Deletion and insertion on faces that show an AU and where the run finds it (probability at least 0.5).

    The chance line, "random", is the mean of RANDOM_DRAWS maps of noise as coarse as the branch's; "region"
    takes the true region first.

    Returns:
        run, au, name, curve ("deletion", "insertion"), map, fraction, probability; empty if nothing is found.
    """
    tables = []
    for place, au in enumerate(explained.shown):
        index = explained.index(au)
        found = (explained.probability[explained.shown[au], index] >= 0.5).numpy()
        shown = explained.shown[au][found]
        if not len(shown):
            continue
        pictures = faces.pictures[shown]
        answer, empty = answers(explained.model, index, explained.read_from), blurred(pictures)
        size = pictures.shape[-1]
        orders = {
            "evidence": [explained.evidence[shown, index]],
            "gradients": [explained.gradients[au][torch.from_numpy(found)]],
            "region": [torch.from_numpy(regions[shown, place]).float()],
            "random": [random_maps(len(shown), size, explained.cells, seed + k) for k in range(RANDOM_DRAWS)],
        }
        for kind, ends in {"deletion": (pictures, empty), "insertion": (empty, pictures)}.items():
            for map_name, maps in orders.items():
                values = torch.stack([curve(answer, *ends, one) for one in maps]).mean(0)
                columns = {
                    "run": explained.name,
                    "au": au,
                    "name": np.repeat(faces.names[shown], len(FRACTIONS)),
                }
                columns |= {"curve": kind, "map": map_name, "fraction": np.tile(FRACTIONS, len(shown))}
                tables.append(pd.DataFrame(columns | {"probability": values.flatten().numpy()}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def curve_areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Area under each curve of `curve_table`, mean over faces and AUs: run, curve, map, area, n (curves)."""
    rows = []
    for (run, kind, name), group in curves.groupby(["run", "curve", "map"], sort=False):
        height = group.pivot(index=["au", "name"], columns="fraction", values="probability").to_numpy()
        under = area_under(height)
        rows.append({"run": run, "curve": kind, "map": name, "area": under.mean(), "n": len(under)})
    return pd.DataFrame(rows)
