"""From names to a run folder: data in, one method trained, everything needed later written beside it.

A run folder is self-contained: it can be moved and read without the data. It holds `config.json` and
`model.safetensors` (the model), `metrics.json`, `history.csv`, `samples.npz` (a fixed few faces of each
domain), the test predictions of both domains, and `fit/` (what an interrupted run resumes from).
"""

import resource
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from aulib import distributed
from aulib.batches import Faces, with_landmarks
from aulib.crops import crop_dataset, crop_named, crop_of
from aulib.dataset import DatasetFolder, read_dataset
from aulib.evaluate import Predictions, predict_batches, score_predictions
from aulib.files import cache_root, write_json
from aulib.labels import au_weights
from aulib.landmark_classifier import fit_landmark_head
from aulib.linear_probes import probe_model
from aulib.methods import CONTRASTIVE_WEIGHT, METHODS, PRESETS, Method, Preset, check_alignment
from aulib.model import AUModel, ModelConfig
from aulib.objective import ROUND_TERMS, Objective, check_weights, finds_landmarks
from aulib.run import save_model
from aulib.training import Schedule, fit

SAMPLES = 16  # faces of each domain kept in the run, evenly spaced over its test rows
PRECISIONS = ("auto", "32-true", "bf16-mixed")


def chosen_method(name: str, supervisors: list[str], weights: dict[str, float]) -> Method:
    """A rung of METHODS with another list of supervisors (empty: its own) and other weights by term.

    Raises:
        ValueError: unknown method or supervisor.  KeyError: unknown term.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; there are {list(METHODS)}")
    method = METHODS[name]
    if supervisors:
        method = method.with_supervisors(supervisors, CONTRASTIVE_WEIGHT)
    check_weights(weights)
    method = replace(method, weights=method.weights | weights)
    if impossible := sorted(
        name for name, value in weights.items() if value and not can_compute(name, method)
    ):
        raise ValueError(f"method {name!r} has no parts for the terms {impossible} that weights name")
    return method


def can_compute(term: str, method: Method) -> bool:
    """Whether the method has the parts and the faces that a term reads."""
    if term in ROUND_TERMS:
        return method.separates
    if term == "domain":
        return method.adapts_by_domain
    return method.uses_target or term != "landmarks_target"


def default_precision() -> str:
    """bf16 autocast where the machine multiplies it natively (a CUDA device, AMX units), else fp32.

    On a CPU without such units bf16 convolutions are emulated and many times slower than fp32.
    """
    if torch.cuda.is_available():
        return "bf16-mixed"
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bf16-mixed" if has_amx() else "32-true"


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def train_run(
    source: str,
    target: str,
    method: str = "full",
    preset: str = "fast",
    backbone: str = "",
    supervisors: list[str] | tuple[str, ...] = (),
    steps: int = 0,
    batch_size: int = 0,
    seed: int = 0,
    precision: str = "auto",
    out_dir: str = "results/scratch",
    weights: dict[str, float] | None = None,
    alignment: str = "global",
    negatives: str = "rivals",
    temperature: float = 0.1,
    share_extraction: bool = True,
    progress: bool = True,
    insides: bool = True,
    **preset_changes,
) -> dict:
    """Train one method on source -> target and write its run folder.

    Called by every process that torchrun started, they train as one (distributed.py).

    Args:
        source, target: dataset folders or `synthetic:...`. Target AU labels are read by `oracle` only,
            and to score the finished run on its test split.
        steps, batch_size: 0 takes the preset's. batch_size is per domain.
        supervisors: empty for the method's own.  weights: factor of a term, in place of the method's own.
        precision: "auto", "32-true" or "bf16-mixed". (float16 would need its gradients scaled.)
        insides: probe the finished model as well (`linear_probes.probe_model`, some seconds).
        preset_changes: any field of `Preset`, for studies.

    Returns:
        the metrics also written to `metrics.json`: `source.mean.f1`, `target.mean.f1`, ... with the keys of
        `aulib evaluate` behind the domain, `insides.…`, and `seconds`, `peak_memory_mb`, `selected_step`.
        Of several processes the first one writes and returns them, the others return {}.

    Raises:
        ValueError: unknown method, preset, supervisor or precision, an empty split, domains that do not
            fit together, a batch that cannot be dealt out to the processes evenly.
    """
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    rung = chosen_method(method, list(supervisors), weights or {})
    if steps < 0 or batch_size < 0:
        raise ValueError(f"steps {steps} and batch_size {batch_size}: expected 0 (the preset's) or more")
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; there are {list(PRESETS)}")
    values = replace(PRESETS[preset], **preset_changes)
    check_alignment(alignment, negatives)
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    schedule = Schedule(steps or values.steps, batch_size or values.batch_size, seed)

    precision = default_precision() if precision == "auto" else precision
    distributed.start(precision)
    distributed.share_of(schedule.batch_size)
    with distributed.rank_zero_first():  # it renders and crops for all
        sets = {"source": read_dataset(source), "target": read_dataset(target)}
    domain = "target" if rung.labels_from_target else "source"
    labelled = sets[domain]
    if not labelled.aus:
        raise ValueError(
            f"{labelled.root} has no AU labels (columns AU01_c, ...), which method {method!r} learns from"
        )
    config = model_config(values, rung, labelled, sets, backbone, share_extraction, alignment, negatives)
    spec = crop_of(config)
    with distributed.rank_zero_first():
        crops = {name: crop_dataset(data, spec) for name, data in sets.items()}
    faces = {}
    for name, data in sets.items():
        train = faces_of(data, crops[name], "train", config)  # labels and landmarks of all rows, made once
        for split in ("train", "val", "test"):
            faces[name, split] = replace(train, rows=data.rows(split))
    needed = [(domain, "train"), (domain, "val")] + [("target", "train")] * rung.uses_target
    for name, split in needed:
        if not len(faces[name, split]):
            raise ValueError(
                f"{sets[name].root} has no row of split {split!r}, which {method!r} needs as {name}"
            )
    samples = {name: faces[name, "test"] for name in sets}

    torch.manual_seed(seed)
    model = AUModel(config).to(memory_format=torch.channels_last)
    train, validation = faces[domain, "train"], faces[domain, "val"]
    objective = Objective(rung.weights, *label_weights(train, values), alignment, negatives, temperature)
    started = time.perf_counter()
    if rung.au_from_landmarks:
        fit_landmark_head(model.au_head, train, objective, seed)
    before_the_steps = time.perf_counter() - started
    model, log, selected = fit(
        model, rung, values, objective, schedule, train,
        faces["target", "train"].without_labels() if rung.uses_target else None,
        (validation, labelled.subjects[validation.rows]),
        out, precision, progress,
        warm_starts=cache_root() / "starts",
    )  # fmt: skip
    if distributed.rank():
        return {}
    elapsed = time.perf_counter() - started - before_the_steps
    seconds = before_the_steps + log_seconds(log, elapsed)

    settings = {
        "method": method, "supervisors": list(rung.supervisors), "weights": rung.weights, "preset": preset,
        "preset_values": asdict(values), "steps": schedule.steps,
        "batch_size": schedule.batch_size, "seed": seed,
        "alignment": alignment, "negatives": negatives, "temperature": temperature,
        "read_target_from": rung.read_target_from,
        "read_source_from": rung.read_source_from, "source": str(source), "target": str(target),
        "data_versions": {name: data.version for name, data in sets.items()},
    }  # fmt: skip
    save_model(out, model, settings)
    pd.DataFrame(log).to_csv(out / "history.csv", index=False)
    metrics = {"seconds": seconds, "peak_memory_mb": peak_memory_mb(), **selected}
    for name, data in sets.items():
        test = faces[name, "test"]
        if not len(test):
            continue
        read_from = rung.read_target_from if name == "target" else rung.read_source_from
        reading = predict_batches(model, test, read_from)
        scores = score_predictions(reading, test, data.subjects[test.rows], config.aus)
        if not finds_landmarks(rung.weights):
            scores |= dict.fromkeys(("landmarks.nme", "landmarks.failure_rate"), float("nan"))
        metrics |= {f"{name}.{key}": value for key, value in scores.items()}
        predictions(reading, test, data, config).to_csv(out / f"predictions_{name}_test.csv", index=False)
    save_samples(out / "samples.npz", samples, sets)
    if insides:
        metrics |= probe_model(model, faces, finds_landmarks(rung.weights))
    write_json(out / "metrics.json", metrics)
    return metrics


def model_config(
    preset: Preset,
    method: Method,
    labelled: DatasetFolder,
    sets: dict,
    backbone: str,
    share: bool,
    alignment: str,
    negatives: str,
) -> ModelConfig:
    """Sizes from the preset, AUs from the labelled set, as many landmarks as every set has."""
    available = min(data.num_landmarks for data in sets.values())
    if not available:
        missing = [str(data.root) for data in sets.values() if not data.num_landmarks]
        raise ValueError(f"no landmarks in {missing}; run `aulib prepare` or add columns x_0, y_0, ...")
    crop = crop_named(preset.crop, preset.margin_size)
    return ModelConfig(
        aus=tuple(labelled.aus), num_landmarks=min(available, preset.num_landmarks),
        image_size=preset.image_size, margin_size=preset.margin_size, box_enlarge=crop.box_enlarge,
        smooth_crops=crop.smooth, channels=preset.channels,
        colour=preset.colour, backbone=backbone, pretrained=False, separates=method.separates,
        adapts_by_domain=method.adapts_by_domain, au_from_landmarks=method.au_from_landmarks,
        share_extraction=share, au_centres=preset.au_centres, alignment_dense=alignment == "dense",
        queues=negatives == "queue" and bool(method.supervisors),
    )  # fmt: skip


def faces_of(data: DatasetFolder, crops, split: str, config: ModelConfig) -> Faces:
    """One split of a cropped set, with the model's landmarks and AUs (NaN for AUs the set does not label)."""
    occurrence = np.full((len(data), len(config.aus)), np.nan, dtype=np.float32)
    labels = data.occurrence if data.aus else occurrence
    for index, au in enumerate(config.aus):
        if au in data.aus:
            occurrence[:, index] = labels[:, data.aus.index(au)]
    landmarks = with_landmarks(crops.landmarks, config.num_landmarks, config.au_centres)
    return Faces(crops.images, data.rows(split), landmarks, occurrence)


def label_weights(faces: Faces, preset: Preset) -> tuple[torch.Tensor, torch.Tensor]:
    """AU weights [A] and weights of present labels [C] of the training faces, (A,) each.

    A present label weighs (absent / present) ** `pos_weight_power`.
    """
    labels = faces.occurrence[faces.rows]
    present = np.nansum(labels, 0)
    absent = np.nansum(1 - labels, 0)
    pos_weight = (np.maximum(absent, 1) / np.maximum(present, 1)) ** preset.pos_weight_power
    au_weight = au_weights(labels) if preset.au_weighting else np.ones(labels.shape[1], dtype=np.float32)
    return torch.from_numpy(au_weight), torch.from_numpy(pos_weight.astype(np.float32))


def predictions(reading: Predictions, faces: Faces, data: DatasetFolder, config: ModelConfig) -> pd.DataFrame:
    """One row a face: image, subject, AUxx_c (predicted at 0.5), AUxx_p, and the true AUxx where known."""
    table = data.table.iloc[faces.rows][["image", "subject"]].reset_index(drop=True)
    columns = {}
    for index, au in enumerate(config.aus):
        columns[f"{au}_c"] = (reading.probability[:, index] >= 0.5).astype(int)
        columns[f"{au}_p"] = reading.probability[:, index].round(4)
        columns[f"{au}_true"] = faces.occurrence[faces.rows, index]
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def save_samples(file: Path, samples: dict[str, Faces], sets: dict[str, DatasetFolder]) -> None:
    """Margin crops, landmarks, labels and names of SAMPLES evenly spaced test faces of each domain."""
    arrays = {}
    for name, faces in samples.items():
        rows = (
            faces.rows[np.linspace(0, len(faces) - 1, min(SAMPLES, len(faces))).astype(int)]
            if len(faces)
            else []
        )
        arrays[f"{name}_images"] = faces.images[rows]
        arrays[f"{name}_landmarks"] = faces.landmarks[rows]
        arrays[f"{name}_occurrence"] = faces.occurrence[rows]
        arrays[f"{name}_names"] = sets[name].table["image"].to_numpy(dtype=str)[rows]
    np.savez_compressed(file, **arrays)


def log_seconds(log: list[dict], elapsed: float) -> float:
    """Training seconds over all interruptions: the log's own clock, or what this call took."""
    clocks = [row["seconds"] for row in log if "seconds" in row]
    return clocks[-1] if clocks else elapsed
