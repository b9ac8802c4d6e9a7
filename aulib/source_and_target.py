"""Both domains of a run, loaded and cropped. The target's AU labels are dropped here, before training.

Only `oracle`, which learns from the target, keeps them. `training.fit` refuses target faces that have labels.
"""

from dataclasses import dataclass, replace

from aulib import distributed
from aulib.batches import Faces, faces_of
from aulib.crops import crop_dataset, crop_named, crop_of
from aulib.dataset import DatasetFolder, read_dataset
from aulib.model import ModelConfig
from aulib.protocols import SPLITS
from aulib.run_config import RunConfig


@dataclass(frozen=True)
class Domains:
    """Both domains of a run.

    sets: "source", "target" -> dataset.  faces: (domain, split) -> faces.  labelled: the domain whose AU
    labels are learned from.  config: the model that fits them.
    """

    sets: dict[str, DatasetFolder]
    faces: dict[tuple[str, str], Faces]
    labelled: str
    config: ModelConfig


def load_domains(config: RunConfig) -> Domains:
    """Read and crop both domains; drop the AU labels of the target's training faces.

    Raises:
        ValueError: no AU labels, no landmarks, or an empty split that the method needs.
    """
    with distributed.rank_zero_first():  # it renders and crops for all
        sets = {"source": read_dataset(config.source), "target": read_dataset(config.target)}
    labelled = "target" if config.resolved_method.labels_from_target else "source"
    if not sets[labelled].aus:
        raise ValueError(
            f"{sets[labelled].root} has no AU labels (columns AU01_c, ...), which method {config.method!r} "
            "learns from"
        )
    built = model_config(config, sets[labelled].aus, sets)
    with distributed.rank_zero_first():
        crops = {name: crop_dataset(data, crop_of(built)) for name, data in sets.items()}
    faces = {}
    for name, data in sets.items():
        train = faces_of(data, crops[name], "train", built)  # labels and landmarks of all rows, made once
        faces |= {(name, split): replace(train, rows=data.rows(split)) for split in SPLITS}
    needed = [(labelled, "train"), (labelled, "val")]
    if config.resolved_method.uses_target:
        needed.append(("target", "train"))
    for name, split in needed:
        if not len(faces[name, split]):
            raise ValueError(
                f"{sets[name].root} has no row of split {split!r}, which {config.method!r} needs as {name}"
            )
    if labelled != "target":
        faces["target", "train"] = faces["target", "train"].without_labels()
    return Domains(sets, faces, labelled, built)


def model_config(config: RunConfig, aus: list[str], sets: dict[str, DatasetFolder]) -> ModelConfig:
    """Sizes from the preset, AUs from the labelled set, as many landmarks as every set has."""
    available = min(data.num_landmarks for data in sets.values())
    if not available:
        missing = [str(data.root) for data in sets.values() if not data.num_landmarks]
        raise ValueError(f"no landmarks in {missing}; run `aulib prepare` or add columns x_0, y_0, ...")
    preset, method, resolved = config.resolved_preset, config.resolved_method, config.resolved
    crop = crop_named(preset.crop, preset.margin_size)
    return ModelConfig(
        aus=tuple(aus), num_landmarks=min(available, preset.num_landmarks),
        image_size=preset.image_size, margin_size=preset.margin_size, box_enlarge=crop.box_enlarge,
        smooth_crops=crop.smooth, channels=preset.channels, colour=preset.colour, backbone=config.backbone,
        separates=method.separates, separation=preset.separation,
        adapts_by_domain=method.adapts_by_domain, au_from_landmarks=method.au_from_landmarks,
        share_extraction=resolved["share_extraction"] is not False,
        au_centres=preset.au_centres, alignment=resolved["alignment"] or "global",
        queues=resolved["negatives"] == "queue",
    )  # fmt: skip
