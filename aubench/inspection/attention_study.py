"""The measurement of attention on rendered faces: which share of it lies where the AU moves the surface."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from aubench.inspection.attention import (
    FRACTIONS,
    above_uniform,
    area_under,
    attribution_maps,
    best_mass,
    blurred,
    curve,
    evidence_maps,
    mass_inside,
    probability_of_au,
    random_maps,
    smoothed,
)
from aubench.inspection.shown_faces import ShownFaces, faces_from, faces_to_show
from aulib.dataset import read_dataset
from aulib.model import AUModel, ModelConfig
from aulib.run import Run

RANDOM_DRAWS = 3


def faces_and_regions(
    run: Run, faces: str, aus: list[str], per_au: int
) -> tuple[ShownFaces, np.ndarray | None]:
    """Faces that show the AUs, and their true regions if the set was rendered, else None.

    Args:
        faces: a notebook's parameter: "" for the faces that the run keeps, else a dataset. Of a set without
            labels of the AUs, evenly spaced test faces are taken.

    Raises:
        ValueError: the run does not know one of the AUs.
    """
    refuse_unknown(aus, run)
    if not faces or not set(aus) <= set(read_dataset(faces).aus):
        return faces_to_show(run, faces, "target", per_au), None
    chosen = present_faces(faces, run.config, aus, per_au)
    rendered = (chosen.data.root / "set.json").is_file()
    return chosen, true_regions(chosen, aus, run.config) if rendered else None


def refuse_unknown(aus: list[str], run: Run) -> None:
    if unknown := [au for au in aus if au not in run.aus]:
        raise ValueError(f"{run.path} does not detect {', '.join(unknown)}; choose from {', '.join(run.aus)}")


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


def true_regions(faces: ShownFaces, aus: list[str], config: ModelConfig) -> np.ndarray:
    """(n, A, H, H) bool: where each AU moves what each face shows.

    Raises:
        ValueError: the faces are not of a rendered set, or an AU is never rendered.
    """
    from aufaces.moved_regions import SurfaceMotion, region, rendered_faces

    if faces.data is None:
        raise ValueError("faces that a run keeps have no ground truth regions; give a rendered set")
    people = rendered_faces(faces.data.root, faces.data.table["image"].iloc[faces.rows].tolist())
    motion = SurfaceMotion(json.loads((faces.data.root / "set.json").read_text())["size"])
    pairs = tqdm(zip(people, faces.matrices, strict=True), "true regions", len(people))
    return np.stack([region(motion(face, aus, matrix, config.image_size)) for face, matrix in pairs])


@dataclass(frozen=True)
class Explained:
    """Both kinds of maps of a run, for each AU on some of n faces.

    name: of the run.  places: AU -> (m,) its faces among the n.  evidence, logits: (n, A, H, H) and (n, A),
    of all AUs of the model.  gradients: AU -> (m, H, H), at least 0.  gaps: AU -> (m,), what the sum of the
    gradients misses of the logit's rise over a flat face.
    """

    name: str
    model: AUModel
    read_from: str
    places: dict[str, np.ndarray]
    evidence: Tensor
    logits: Tensor
    gradients: dict[str, Tensor]
    gaps: dict[str, Tensor]

    def index(self, au: str) -> int:
        return self.model.config.aus.index(au)

    @property
    def cells(self) -> int:
        """Side of the evidence maps before upsampling."""
        return self.model.au_head.weight.shape[-1]


def explain(run: Run, faces: ShownFaces, aus: list[str], count: int, strongest: bool = False) -> Explained:
    """Evidence maps of all faces, and integrated gradients of each AU on `count` of them.

    Args:
        strongest: take the faces with the highest probability of the AU, highest first; otherwise the first
            faces that are labelled with it.

    Raises:
        ValueError: the run reads AUs from landmark coordinates, or does not know an AU.
    """
    model, read_from = run.model, run.settings["read_target_from"]
    refuse_unknown(aus, run)
    evidence, logits = evidence_maps(model, faces.pictures, read_from)
    places, gradients, gaps = {}, {}, {}
    for au in tqdm(aus, f"gradients of {run.path.name}", unit="AU"):
        index = run.aus.index(au)
        if strongest:
            places[au] = logits[:, index].argsort(descending=True)[:count].numpy()
        else:
            places[au] = np.flatnonzero(faces.occurrence[:, index] == 1)[:count]
        if len(places[au]):
            maps, gaps[au] = attribution_maps(model, faces.pictures[places[au]], index, read_from)
            gradients[au] = smoothed(maps).clamp(min=0)
    return Explained(run.path.name, model, read_from, places, evidence, logits, gradients, gaps)


def map_table(explained: Explained, faces: ShownFaces, regions: np.ndarray | None = None) -> pd.DataFrame:
    """One row per AU, kind of map ("evidence", "gradients") and face.

    Args:
        regions: (n, A', H, H) of `true_regions`, for the AUs explained, in their order.

    Returns:
        run, au, name (of the face), map, probability, logit, gap (the logit minus the map's mean for
        evidence, `Explained.gaps` for gradients); with regions also inside, the share of the map's positive
        mass in the region; area, the region's share of the picture, which is chance; and for evidence best,
        the most a map of so few cells could have inside, and others, what the evidence of the other AUs has
        inside this region on the same face.
    """
    tables = []
    for place, (au, shown) in enumerate(explained.places.items()):
        if not len(shown):
            continue
        index = explained.index(au)
        logit, evidence = explained.logits[shown, index], explained.evidence[shown]
        kinds = {
            "evidence": (evidence[:, index].numpy(), logit - evidence[:, index].mean((1, 2))),
            "gradients": (explained.gradients[au].numpy(), explained.gaps[au]),
        }
        for kind, (maps, gap) in kinds.items():
            columns = {"run": explained.name, "au": au, "name": faces.names[shown], "map": kind}
            columns |= {"probability": logit.sigmoid(), "logit": logit, "gap": gap}
            if regions is not None:
                true = regions[shown, place]
                columns |= {"inside": mass_inside(maps, true), "area": true.mean((1, 2))}
                if kind == "evidence":
                    others = mass_inside(np.delete(evidence.numpy(), index, axis=1), true[:, None])
                    columns |= {
                        "best": best_mass(true, explained.cells),
                        "others": np.nanmean(others, axis=1),
                    }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def region_means(table: pd.DataFrame) -> pd.DataFrame:
    """Means over faces of `map_table`: run, map, au, n, inside, low, high, area, best, others.

    low and high: 95 % interval of the mean, by normal approximation; NaN from one face.
    """
    groups = table.groupby(["run", "map", "au"], sort=False)
    means = groups[["inside", "area", "best", "others"]].mean()
    half = 1.96 * groups["inside"].sem()
    means.insert(0, "n", groups["inside"].count())
    means.insert(2, "low", means["inside"] - half)
    means.insert(3, "high", means["inside"] + half)
    return means.reset_index()


def curve_table(explained: Explained, faces: ShownFaces, regions: np.ndarray, seed: int = 0) -> pd.DataFrame:
    """Deletion and insertion on the faces of each AU where the run finds it (probability at least 0.5).

    The chance line, "random", is the mean of RANDOM_DRAWS maps of noise as coarse as the branch's; "region"
    takes the true region first.

    Returns:
        run, au, name, curve ("deletion", "insertion"), map, fraction, probability; empty if nothing is found.
    """
    tables = []
    for place, (au, shown) in enumerate(explained.places.items()):
        index = explained.index(au)
        found = (explained.logits[shown, index] >= 0).numpy()
        shown = shown[found]
        if not len(shown):
            continue
        pictures = faces.pictures[shown]
        answer = partial(probability_of_au, explained.model, index, explained.read_from)
        empty, size, cells = blurred(pictures), pictures.shape[-1], explained.cells
        orders = {
            "evidence": [explained.evidence[shown, index]],
            "gradients": [explained.gradients[au][torch.from_numpy(found)]],
            "region": [torch.from_numpy(regions[shown, place]).float()],
            "random": [random_maps(len(shown), size, cells, seed + draw) for draw in range(RANDOM_DRAWS)],
        }
        names = np.repeat(faces.names[shown], len(FRACTIONS))
        fractions = np.tile(FRACTIONS, len(shown))
        for kind, ends in {"deletion": (pictures, empty), "insertion": (empty, pictures)}.items():
            for name, maps in orders.items():
                values = torch.stack([curve(answer, *ends, one) for one in maps]).mean(0)
                columns = {"run": explained.name, "au": au, "name": names, "curve": kind, "map": name}
                columns |= {"fraction": fractions, "probability": values.flatten()}
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def curve_areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Area under each curve of `curve_table`, mean over faces and AUs: run, curve, map, area, n (curves)."""
    kinds = ["run", "curve", "map"]
    heights = curves.pivot_table("probability", [*kinds, "au", "name"], "fraction", sort=False)
    under = pd.Series(area_under(heights.to_numpy()), heights.index)
    return under.groupby(kinds, sort=False).agg(area="mean", n="size").reset_index()


def landmark_table(faces: ShownFaces, maps: Tensor, points: Tensor) -> pd.DataFrame:
    """One row per face and landmark: name, landmark, peak (highest value of its map), error (pixels).

    Args:
        maps, points: (n, K, H, H) and (n, K, 2), from `attention.landmark_maps`.

    Returns:
        error is NaN for a landmark that is not annotated.
    """
    count = maps.shape[1]
    columns = {"name": np.repeat(faces.names, count), "landmark": np.tile(np.arange(count), len(faces))}
    columns["peak"] = maps.flatten(2).amax(-1).flatten()
    columns["error"] = (points - faces.landmarks).norm(dim=-1).flatten()
    return pd.DataFrame(columns)


def rollout_table(faces: ShownFaces, maps: Tensor) -> pd.DataFrame:
    """One row per face: name, peak (highest value relative to a uniform map), entropy of the map (nats)."""
    entropy = -(maps * maps.clamp(min=1e-12).log()).sum((1, 2))
    return pd.DataFrame({"name": faces.names, "peak": above_uniform(maps)[1], "entropy": entropy})
