"""One run: step, evaluation on source validation, checkpoint, resume.

A step is a function of (seed, step) and the state, so a resumed run equals an uninterrupted one
bit for bit on the CPU.
"""

import json
import math
import signal
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from aulib import distributed
from aulib.batches import Faces, take_batch
from aulib.evaluate import predict_batches, score_predictions
from aulib.methods import Method, Preset
from aulib.model import ADVERSARIES, GENERATING, AUModel
from aulib.objective import (
    Objective,
    adversary_loss,
    finds_landmarks,
    gradient_shares,
    loss_terms,
    weigh,
)
from aulib.warm_start import WarmStart

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SELECT_FROM = 0.7  # the best of the evaluations in the last 30 % of the steps is kept
EVALUATIONS = 4
DECODED_FACES = 1  # of each domain and step; the image decoder is only there to look at
LOG_EVERY = 10
MEASUREMENTS = 3  # of the gradient's shares, evenly over the steps with all terms; one costs about two steps


@dataclass(frozen=True)
class Schedule:
    steps: int
    batch_size: int
    seed: int

    def rate_factor(self, step: int, shape: str) -> float:
        """Factor on the learning rates: ADLD's linear decay in the second half [A] or warm-up, cosine [C]."""
        if shape == "linear":
            return min(1.0, 2 * (1 - step / self.steps))
        warm = max(1, round(0.05 * self.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (
            1 + torch.cos(torch.tensor(torch.pi * (step - warm) / max(1, self.steps - warm))).item()
        )


def ramp_at(step: int, steps: int, preset: Preset) -> float:
    """Share of their weight that the two rounds' terms have: 0 before they start, then a linear rise to 1."""
    start = preset.separation_starts * steps
    if step < start:
        return 0.0
    return min(1.0, (step - start + 1) / max(1.0, preset.ramp * steps))


def measured_at(steps: int, first: int) -> set[int]:
    """The MEASUREMENTS steps at which gradient shares are measured, from step `first` to the last."""
    last = steps - 1
    return {round(step) for step in np.linspace(min(first, last), last, MEASUREMENTS)}


def make_optimizers(model: AUModel, preset: Preset) -> dict[str, torch.optim.Optimizer]:
    """Adam for the networks (task and generating rates), for the adversaries, and for the image decoder."""
    parts = dict(model.named_children())
    task = [
        p
        for name, part in parts.items()
        if name not in (*ADVERSARIES, *GENERATING, "decoder")
        for p in part.parameters()
    ]
    generating = [p for name in GENERATING if name in parts for p in parts[name].parameters()]
    groups = [{"params": task, "lr": preset.task_rate, "betas": preset.task_betas}]
    if generating:
        groups.append({"params": generating, "lr": preset.generator_rate, "betas": preset.generator_betas})
    optimizers = {
        "networks": torch.optim.Adam(groups, fused=True),
        "decoder": torch.optim.Adam(model.decoder.parameters(), lr=preset.task_rate, fused=True),
    }
    if model.config.separates:
        players = [p for name in ADVERSARIES for p in parts[name].parameters()]
        optimizers["adversaries"] = torch.optim.Adam(
            players, lr=preset.adversary_rate, betas=preset.generator_betas, fused=True
        )
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak_rate"] = group["lr"]
    return optimizers


@dataclass
class Run:
    """The moving parts of one training run."""

    fabric: "Fabric"
    model: torch.nn.Module
    average: AveragedModel | None
    optimizers: dict[str, torch.optim.Optimizer]
    objective: Objective
    preset: Preset
    schedule: Schedule

    @property
    def networks(self) -> AUModel:
        return self.model.module if hasattr(self.model, "module") else self.model


def train_step(
    run: Run, source: dict, target: dict | None, step: int, measure: bool = False
) -> dict[str, float]:
    """Update every player once; return the unweighted terms and the objective, for the log.

    measure: each term's share of the gradient as well (`share.NAME`).
    """
    model, objective, preset = run.networks, run.objective, run.preset
    # dropout: a function of (seed, step), and another in each process
    torch.manual_seed((run.schedule.seed * 1_000_003 + step) * distributed.world_size() + distributed.rank())
    factor = run.schedule.rate_factor(step, preset.schedule)
    for optimizer in run.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak_rate"] * factor
    ramp = ramp_at(step, run.schedule.steps, preset) if model.config.separates else 0.0

    # 1. the networks, adversaries frozen
    _freeze(model, ADVERSARIES, True)
    images = source["image"] if target is None else torch.cat([source["image"], target["image"]])
    # what Fabric's wrapper returns refuses torch.autograd.grad where precision is mixed
    forward = run.networks if measure else run.model
    with run.fabric.autocast():
        outputs = forward(images, len(source["image"]), ramp > 0, finds_landmarks(objective.weights))
        terms = loss_terms(model, objective, outputs, source, target, separate=ramp > 0)
    weighted = weigh(terms, objective.weights, ramp, step)
    shares = gradient_shares(model, weighted) if measure else {}
    total = sum(weighted.values())
    _update(run, "networks", total)
    _freeze(model, ADVERSARIES, False)

    # 2. the adversaries, on stopped gradients
    if ramp > 0:
        with run.fabric.autocast():
            loss = adversary_loss(model, outputs, source, target)
        _update(run, "adversaries", loss)
        terms["adversaries"] = loss

    # 3. the image decoder, on stopped gradients
    few = slice(0, DECODED_FACES)
    features = torch.cat([outputs["rich_s"][few], outputs["rich_t"][few]]).detach()
    pictures = torch.cat(
        [outputs["inputs"][: len(source["image"])][few], outputs["inputs"][len(source["image"]) :][few]]
    )
    with run.fabric.autocast():
        terms["decoder"] = (model.decoder(features) - pictures).abs().mean()
    _update(run, "decoder", terms["decoder"])

    if run.average is not None:
        run.average.update_parameters(model)
    terms["total"] = total
    values = distributed.mean(torch.stack([term.detach().float() for term in terms.values()])).tolist()
    return dict(zip(terms, values, strict=True)) | shares


def _freeze(model: AUModel, names: tuple[str, ...], frozen: bool) -> None:
    if model.config.separates:
        for name in names:
            getattr(model, name).requires_grad_(not frozen)


def _update(run: Run, player: str, loss: torch.Tensor) -> None:
    optimizer = run.optimizers[player]
    optimizer.zero_grad()
    run.fabric.backward(loss)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    distributed.average_gradients(parameters)
    if player == "networks":
        torch.nn.utils.clip_grad_norm_(parameters, run.preset.gradient_clip)
    optimizer.step()


def fit(
    model: AUModel,
    method: Method,
    preset: Preset,
    objective: Objective,
    schedule: Schedule,
    source: Faces,
    target: Faces | None,
    validation: tuple[Faces, object],
    out_dir: Path,
    precision: str,
    progress: bool = True,
    stop_after: int | None = None,
    shared_starts: Path | None = None,
) -> tuple[AUModel, list[dict], dict]:
    """Train to the end of the schedule, from `out_dir`/fit/last.ckpt if there is one of the same settings.

    Args:
        source: labelled faces (of the target domain for an oracle).  target: unlabelled faces, or None.
        validation: labelled faces with their subjects; the best evaluation of the last 30 % of the steps is
            kept.
        stop_after: stop (and save) after that many steps of this call, as an interrupt would.
        shared_starts: folder in which runs find the steps that they share (shared_start.py), or None.

    Returns:
        the selected model, the log (a row each LOG_EVERY steps and at evaluations), and {"selected_step",
        "validation_f1"}.

    Raises:
        FloatingPointError: a term is not finite.  KeyError: target faces carry AU labels.
    """
    if target is not None and target.occurrence is not None:
        raise KeyError("target faces carry AU labels; training must not see them")
    fabric = distributed.start(precision)
    average = (
        AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(preset.average)) if preset.average else None
    )
    optimizers = make_optimizers(model, preset)
    if distributed.world_size() == 1:
        wrapped, *_ = fabric.setup(model, *optimizers.values(), move_to_device=True)
    else:  # DistributedDataParallel knows of one backward pass a step and one forward, we have three players
        wrapped = fabric.to_device(model)
        distributed.share_statistics(model)
        shared_starts = None  # another run could make one between two processes' looks
    if average is not None:
        average.to(fabric.device)
    objective = Objective(
        **{
            **objective.__dict__,
            "au_weight": objective.au_weight.to(fabric.device),
            "pos_weight": objective.pos_weight.to(fabric.device),
        }
    )
    run = Run(fabric, wrapped, average, optimizers, objective, preset, schedule)
    state = Progress(out_dir / "fit", fingerprint(run, method, source, target, precision))
    evaluate_at = {
        round(schedule.steps * (SELECT_FROM + (1 - SELECT_FROM) * i / (EVALUATIONS - 1)))
        for i in range(EVALUATIONS)
    }
    begin = math.ceil(preset.separation_starts * schedule.steps) if method.separates else 0
    complete = (preset.separation_starts + preset.ramp) * schedule.steps if method.separates else 0
    measured = measured_at(schedule.steps, math.ceil(complete))
    shared = WarmStart(
        run, state.settings, [source, target], shared_starts, begin if begin < min(evaluate_at) else 0
    )
    state.load(run)
    shared.take_up(run, state)
    epoch = max(1, round(len(source) / schedule.batch_size))
    progress = progress and distributed.rank() == 0
    bar = tqdm(total=schedule.steps, initial=state.step, desc="training", disable=not progress, mininterval=1)
    wrapped.train()
    started = time.perf_counter()
    first, whole = state.step, True
    try:
        with HeldInterrupt() as interrupt:
            while state.step < schedule.steps and (stop_after is None or state.step - first < stop_after):
                step, whole = state.step, False
                batches = [
                    None if faces is None else _take(faces, preset, schedule, step, salt, fabric.device)
                    for salt, faces in enumerate((source, target))
                ]
                logged = train_step(run, *batches, step, step in measured)
                state.step += 1
                bar.update()
                if step % LOG_EVERY == 0 or step in measured:
                    seconds = time.perf_counter() - started + state.spent
                    state.log.append({"step": step, "seconds": seconds} | logged)
                if state.step in evaluate_at:
                    selected = average.module if average is not None else run.networks
                    score = validation_f1(selected, validation, method)
                    state.log.append({"step": step, "validation_f1": score})
                    state.keep_best(selected, score)
                    wrapped.train()
                whole = True
                shared.keep(run, state, time.perf_counter() - started)
                interrupt.raise_if_any()
                if state.step % epoch == 0:
                    state.save(run, time.perf_counter() - started)
    finally:
        if whole:  # else some players are a step ahead of others; the last epoch's checkpoint stands
            state.save(run, time.perf_counter() - started)
        bar.close()
    if state.best is not None:
        model.load_state_dict(state.best)
    return (
        model.cpu().eval(),
        state.log,
        {"selected_step": state.best_step, "validation_f1": state.best_score},
    )


def _take(faces: Faces, preset: Preset, schedule: Schedule, step: int, salt: int, device) -> dict:
    seed = 2 * schedule.seed + salt  # source and target draw differently
    grey = preset.colour == "luminance"
    batch = take_batch(faces, preset.image_size, schedule.batch_size, seed, step, preset.augment, grey)
    return {name: value.to(device) for name, value in batch.items()}


def fingerprint(run: Run, method: Method, source: Faces, target: Faces | None, precision: str) -> str:
    """Everything that makes a run this run and no other, as JSON; what a resumed run is compared by."""
    objective = run.objective
    settings = {
        "schedule": asdict(run.schedule), "preset": asdict(run.preset), "precision": precision,
        "config": run.networks.config.as_dict(), "read_target_from": method.read_target_from,
        "faces": [None if faces is None else faces.fingerprint() for faces in (source, target)],
        "objective": {
            "weights": objective.weights, "alignment": objective.alignment, "negatives": objective.negatives,
            "temperature": objective.temperature, "au_weight": objective.au_weight.tolist(),
            "pos_weight": objective.pos_weight.tolist(),
        },
    }  # fmt: skip
    return json.dumps(settings, sort_keys=True)


def validation_f1(model: AUModel, validation: tuple[Faces, object], method: Method) -> float:
    """Mean F1-frame on the validation faces, read the way the target will be read."""
    faces, subjects = validation
    model.eval()
    return score_predictions(
        predict_batches(model, faces, method.read_target_from), faces, subjects, model.config.aus, resamples=1
    )["mean.f1"]


class Progress:
    """What an interrupted run needs to go on: step, log, best weights so far, and every player's state."""

    def __init__(self, folder: Path, settings: str):
        self.file, self.settings = folder / "last.ckpt", settings
        self.step, self.log, self.spent = 0, [], 0.0
        self.best: dict | None = None
        self.best_score, self.best_step = float("-inf"), -1

    def keep_best(self, model: AUModel, score: float) -> None:
        """Keep the weights if the score is the best so far; NaN (no F1 is defined) is below every score."""
        score = float("-inf") if math.isnan(score) else score
        if score > self.best_score or self.best is None:
            self.best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
            self.best_score, self.best_step = score, self.step

    def save(self, run: Run, seconds: float) -> None:
        """Atomic: a killed save leaves the previous checkpoint whole. The first process saves for all."""
        if distributed.rank():
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "settings": self.settings, "step": self.step, "log": self.log, "spent": self.spent + seconds,
            "best": self.best, "best_score": self.best_score, "best_step": self.best_step,
            "model": run.networks.state_dict(),
            "average": None if run.average is None else run.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in run.optimizers.items()},
        }  # fmt: skip
        partial = self.file.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.file)

    def load(self, run: Run) -> None:
        """Take up a saved run of the same settings; one of other settings is refused.

        Raises:
            ValueError: the folder holds a run of other settings.
        """
        if not self.file.exists():
            return
        state = torch.load(self.file, weights_only=True, map_location=run.fabric.device)
        if state["settings"] != self.settings:
            raise ValueError(
                f"{self.file} belongs to a run with other settings; choose another out_dir or delete it"
            )
        for name in ("step", "log", "spent", "best", "best_score", "best_step"):
            setattr(self, name, state[name])
        run.networks.load_state_dict(state["model"])
        if run.average is not None:
            run.average.load_state_dict(state["average"])
        for name, optimizer in run.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


class HeldInterrupt:
    """Delays Ctrl-C to the end of a training step, so that a checkpoint never holds half a step.

    The first interrupt is noted, and `raise_if_any` raises it. A second interrupt is raised at once. Outside
    the main thread, where Python delivers no signals, this does nothing.
    """

    def __enter__(self) -> "HeldInterrupt":
        self.noted = False
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number, frame) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True

    def raise_if_any(self) -> None:
        """Raises KeyboardInterrupt if an interrupt was noted."""
        if self.noted:
            raise KeyboardInterrupt

    def __exit__(self, error, *_) -> None:
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)
        if error is None:  # one that came after the last check
            self.raise_if_any()
