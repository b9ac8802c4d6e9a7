"""From names to a run folder: load both domains, train one method, write all that is needed later.

A run folder can be moved and read without the data (`run.Run`). It holds `config.json` and
`model.safetensors` (the model), `metrics.json`, `history.csv`, `samples.npz` (a few faces of each domain),
the test predictions of both domains, and `fit/` (what an interrupted run resumes from).
"""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from aulib import distributed, warm_start
from aulib.batches import Faces
from aulib.dataset import DatasetFolder
from aulib.evaluate import Predictions, intensity_curves, predict_batches, score_predictions
from aulib.files import atomic_file, cache_root, code_version, write_json
from aulib.labels import au_weights
from aulib.landmarks import layout_of
from aulib.linear_probes import evenly_spaced, probe_model, separation_so_far
from aulib.methods import Preset
from aulib.model import AUModel
from aulib.networks import STRIDE, LandmarkAUHead
from aulib.objective import Objective, finds_landmarks
from aulib.run import HISTORY, METRICS, PREDICTIONS, SAMPLES, Run, save_model
from aulib.run_config import RunConfig
from aulib.source_and_target import Domains, load_domains
from aulib.training import Recipe, checkpoint_settings, fit

KEPT_FACES = 16  # of each domain, evenly spaced over its test rows
EPOCHS, BATCH, RATE = 100, 64, 3e-3  # of the landmarks-only rival's head
JITTER = 0.03  # of the face's spread: about a detector's error


def default_precision() -> str:
    """bf16 autocast if the machine multiplies it natively (CUDA device, AMX units), else fp32.

    On a CPU without such units bf16 convolutions are emulated and many times slower than fp32.
    """
    if torch.cuda.is_available():
        return "bf16-mixed"
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "bf16-mixed" if has_amx() else "32-true"


def train_run(
    source: str,
    target: str,
    method: str = "full",
    preset: str = "fast",
    *,
    out_dir: str = "results/scratch",
    progress: bool = True,
    insides: bool = True,
    on_log: Callable[[list[dict]], None] | None = None,
    begins_with: str | Path = "",
    **settings,
) -> dict:
    """Train one method on source -> target and write its run folder.

    Every process that torchrun started calls this; they train as one (distributed.py).

    Args:
        settings: other fields of `RunConfig`, and fields of `Preset`.
        insides: probe the finished model as well (`linear_probes.probe_model`, some seconds).
        on_log: called with the log so far when it has a new row; see `fit`.
        begins_with: a finished run of the same network, whose weights are the first ones.

    Returns:
        the metrics also written to `metrics.json`: `source.mean.f1`, `target.mean.f1`, ... with the keys of
        `aulib evaluate` after the domain, `insides.…`, and `seconds`, `peak_memory_mb`, `selected_step`.
        Of several processes the first one writes and returns them, the others return {}.

    Raises:
        ValueError: what `RunConfig` refuses, an empty split, domains that do not fit together, a batch that
            the processes cannot share evenly, or `begins_with` is another network.
        FileNotFoundError: no such file of `backbone_weights`.
    """
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    config = RunConfig.of(source, target, method=method, preset=preset, **settings)
    precision = default_precision() if config.precision == "auto" else config.precision
    device = distributed.start(precision).device.type
    distributed.share_of(config.schedule[1])
    learned = config.backbone_weights
    if learned not in ("", "timm") and not Path(learned).is_file():
        raise FileNotFoundError(
            f"backbone_weights: no file {learned}, expected one of weights under timm's names (.safetensors, "
            ".pth), or timm to download them"
        )
    domains = load_domains(config)
    first = Run(begins_with).model if begins_with else None
    model, log, measured = train(config, domains, precision, device, out, progress, on_log, first)
    if distributed.rank():
        return {}
    return write_run(out, config, domains, precision, model, log, measured, insides)


def train(
    config: RunConfig,
    domains: Domains,
    precision: str,
    device: str,
    out: Path,
    progress: bool,
    on_log: Callable[[list[dict]], None] | None = None,
    first: AUModel | None = None,
) -> tuple[AUModel, list[dict], dict]:
    """The trained model, its log, and what was measured: seconds, selected_step, validation_f1.

    Args:
        first: its weights are those before the first step.

    Raises:
        ValueError: `first` has other parts or sizes, or `backbone_weights` are of another network.
    """
    preset, method = config.resolved_preset, config.resolved_method
    source = domains.faces[domains.labelled, "train"]
    target = domains.faces["target", "train"] if method.uses_target else None  # without labels
    validation = domains.faces[domains.labelled, "val"]
    torch.manual_seed(config.seed)
    model = AUModel(domains.config).to(memory_format=torch.channels_last)
    if config.backbone_weights:
        for encoder in filter(None, (model.encoder, model.au_encoder)):
            encoder.load_backbone(config.backbone_weights)
    if model.erasure is not None:
        model.erasure.fit_points(training_points([source, target], domains.config.image_size))
    if first is not None:
        if first.config != domains.config:
            raise ValueError(
                f"the first weights are of another network: {first.config}; here {domains.config}"
            )
        model.load_state_dict(first.state_dict())
    objective = Objective(
        method.weights, *label_weights(source, preset), config.alignment, config.negatives, config.temperature
    )
    seen = [domains.faces[name, "val"] for name in ("source", "target")]
    watch = None
    if method.separates and all(map(len, seen)):
        watch = partial(separation_so_far, source=seen[0], target=seen[1].without_labels())
    started = time.perf_counter()
    if method.au_from_landmarks:
        fit_landmark_head(model.au_head, source, objective, config.seed)
    before_the_steps = time.perf_counter() - started
    recipe = Recipe(method, preset, objective, *config.schedule, config.seed, precision)
    model, log, selected = fit(
        model, recipe, source, target, (validation, domains.sets[domains.labelled].subjects[validation.rows]),
        out, progress, init_from=start_file(cache_root() / "starts", recipe, model, source, target, device),
        on_log=on_log,
        watch=watch,
    )  # fmt: skip
    clocks = [row["seconds"] for row in log if "seconds" in row]  # over all interruptions
    return model, log, {"seconds": before_the_steps + clocks[-1]} | selected


def fit_landmark_head(head: LandmarkAUHead, faces: Faces, objective: Objective, seed: int) -> None:
    """The landmarks-only rival [C]: fit its head to given landmarks, mirrored at random and jittered.

    Coordinates are few, so it sees every face a hundred times before the landmark detector's first step. At
    test time it reads the landmarks that the detector finds.

    Args:
        head: changed in place, on its own device.
        faces: labelled; faces with an unknown landmark are left out.

    Raises:
        ValueError: no face has all its landmarks.
    """
    device = head.layers[0].weight.device
    points = torch.from_numpy(faces.landmarks[faces.rows]).float().to(device)  # (M, K, 2)
    labels = torch.from_numpy(faces.occurrence[faces.rows]).float().to(device)
    complete = points.isfinite().all(-1).all(-1)
    points, labels = points[complete], labels[complete]
    if not len(points):
        raise ValueError("no labelled face has all its landmarks; landmarks-only has nothing to learn from")
    points = points - points.mean(1, keepdim=True)
    points = points / points.square().sum(-1).mean(1).sqrt()[:, None, None]
    mirror = points.new_tensor([-1.0, 1.0])
    flip = list(layout_of(points.shape[1]).flip_index)

    generator = torch.Generator(device).manual_seed(seed)
    batches = -(-len(points) // BATCH)
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * batches)
    training = head.training
    head.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # dropout
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(points), generator=generator, device=device).chunk(batches):
                chosen = points[rows]
                mirrored = torch.rand(len(rows), generator=generator, device=device) < 0.5
                chosen = torch.where(mirrored[:, None, None], chosen[:, flip] * mirror, chosen)
                noise = torch.randn(chosen.shape, generator=generator, device=device)
                loss = objective.au_loss(head(chosen + JITTER * noise), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    head.train(training)


def training_points(domains: Sequence[Faces], image_size: int) -> torch.Tensor:
    """Landmarks (M, K, 2) of faces that have all of them, from -1 to 1 over the cells of the feature maps.

    Raises:
        ValueError: no face has all its landmarks.
    """
    points = []
    for faces in domains:
        offset = (faces.images.shape[1] - image_size) / 2
        pixels = torch.from_numpy(faces.landmarks[faces.rows]).float() - offset
        points.append((2 * pixels - (image_size - 1)) / (image_size - STRIDE))
    points = torch.cat(points)
    points = points[points.isfinite().all(-1).all(-1)]
    if not len(points):
        raise ValueError("no training face has all its landmarks; the rounds have no shapes to learn from")
    return points


def start_file(
    folder: Path, recipe: Recipe, model: AUModel, source: Faces, target: Faces | None, device: str
) -> Path | None:
    """Where this run and others that begin alike keep their warm start; None if it shares no steps."""
    if not 0 < recipe.adaptation_begins < min(recipe.evaluation_steps) or distributed.world_size() > 1:
        return None
    settings = checkpoint_settings(recipe, model.config, source, target)
    return warm_start.file_for(folder, settings, [source, target], model.state_dict(), device)


def write_run(
    out: Path,
    config: RunConfig,
    domains: Domains,
    precision: str,
    model: AUModel,
    log: list[dict],
    measured: dict,
    insides: bool,
) -> dict:
    """Write the run folder: model, curves, test predictions, kept faces and scores; returns the metrics.

    The settings in `config.json` are all that the run resolved to.
    """
    method = config.resolved_method
    settings = config.resolved | {
        "precision": precision,
        "data_versions": {name: data.version for name, data in domains.sets.items()},
        "code": code_version(),
        "intensity_curves": fitted_intensities(model, domains, method.read_target_from),
    }
    save_model(out, model, settings)
    with atomic_file(out / HISTORY) as partial:
        pd.DataFrame(log).to_csv(partial, index=False)
    metrics = {"seconds": measured["seconds"], "peak_memory_mb": peak_memory_mb()} | measured
    for name, data in domains.sets.items():
        test = domains.faces[name, "test"]
        if not len(test):
            continue
        read = predict_batches(model, test, settings[f"read_{name}_from"])
        scores = score_predictions(read, test, data.subjects[test.rows], model.config.aus)
        if not finds_landmarks(method.weights):
            scores |= dict.fromkeys(("landmarks.nme", "landmarks.failure_rate"), float("nan"))
        metrics |= {f"{name}.{key}": value for key, value in scores.items()}
        table = prediction_table(read, test, data, model.config.aus)
        with atomic_file(out / PREDICTIONS.format(name)) as partial:
            table.to_csv(partial, index=False)
    save_samples(out / SAMPLES, domains)
    if insides:
        metrics |= probe_model(model, domains.faces, finds_landmarks(method.weights))
    write_json(out / METRICS, metrics)
    return metrics


def fitted_intensities(model: AUModel, domains: Domains, read_from: str) -> dict[str, list[float]]:
    """`evaluate.intensity_curves` of the labelled domain's validation faces; empty without intensities."""
    data, faces = domains.sets[domains.labelled], domains.faces[domains.labelled, "val"]
    aus = [au for au in model.config.aus if au in data.intensity_aus]
    if not aus or not len(faces):
        return {}
    probability = predict_batches(model, faces, read_from).probability
    read = probability[:, [model.config.aus.index(au) for au in aus]]
    shown = data.intensity[np.ix_(faces.rows, [data.intensity_aus.index(au) for au in aus])]
    return intensity_curves(read, shown, aus)


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


def prediction_table(
    read: Predictions, faces: Faces, data: DatasetFolder, aus: Sequence[str]
) -> pd.DataFrame:
    """One row per face: image, subject, AUxx_c (predicted at 0.5), AUxx_p, and the true AUxx where known."""
    table = data.table.iloc[faces.rows][["image", "subject"]].reset_index(drop=True)
    columns = {}
    for index, au in enumerate(aus):
        columns[f"{au}_c"] = (read.probability[:, index] >= 0.5).astype(int)
        columns[f"{au}_p"] = read.probability[:, index].round(4)
        columns[f"{au}_true"] = faces.occurrence[faces.rows, index]
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def save_samples(file: Path, domains: Domains) -> None:
    """Margin crops, landmarks, labels and names of KEPT_FACES evenly spaced test faces of each domain."""
    arrays = {}
    for name, data in domains.sets.items():
        faces = evenly_spaced(domains.faces[name, "test"], KEPT_FACES)
        rows = faces.rows
        arrays[f"{name}_images"] = faces.images[rows]
        arrays[f"{name}_landmarks"] = faces.landmarks[rows]
        arrays[f"{name}_occurrence"] = faces.occurrence[rows]
        arrays[f"{name}_names"] = data.table["image"].to_numpy(dtype=str)[rows]
    with atomic_file(file) as partial, partial.open("wb") as opened:  # a name would get ".npz" appended
        np.savez_compressed(opened, **arrays)


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
