"""One run: step, evaluation on source validation, checkpoint, resume.

A step is a function of (seed, step) and the state, so a resumed run equals an uninterrupted one
bit for bit on the CPU.
"""

import json
import math
import signal
import threading
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from aulib import distributed, warm_start
from aulib.batches import Faces, take_batch
from aulib.evaluate import predict_batches, score_predictions
from aulib.files import atomic_file
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

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SELECT_FROM = 0.7  # the best of the evaluations in the last 30 % of the steps is kept
EVALUATIONS = 4
DECODED_FACES = 1  # of each domain and step; the image decoder is only there to look at
LOG_EVERY = 10
PROGRESS = ("step", "log", "spent", "best", "best_score", "best_step")  # of a TrainState
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
class TrainState:
    """One training run: its players, and how far it has come.

    spent: seconds of training when it was saved.  best: weights of the best evaluation so far.
    """

    fabric: "Fabric"
    model: torch.nn.Module
    average: AveragedModel | None
    optimizers: dict[str, torch.optim.Optimizer]
    objective: Objective
    preset: Preset
    schedule: Schedule
    step: int = 0
    log: list[dict] = field(default_factory=list)
    spent: float = 0.0
    best: dict | None = None
    best_score: float = float("-inf")
    best_step: int = -1

    @property
    def networks(self) -> AUModel:
        return self.model.module if hasattr(self.model, "module") else self.model

    def keep_best(self, model: AUModel, score: float) -> None:
        """Keep the weights if the score is the best so far; NaN (no F1 is defined) is below every score."""
        score = float("-inf") if math.isnan(score) else score
        if score > self.best_score or self.best is None:
            self.best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
            self.best_score, self.best_step = score, self.step

    def state_dict(self) -> dict:
        return {name: getattr(self, name) for name in PROGRESS} | {
            "model": self.networks.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict) -> None:
        for name in PROGRESS:
            setattr(self, name, state[name])
        self.networks.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def train_step(
    state: TrainState, source: dict, target: dict | None, step: int, measure: bool = False
) -> dict[str, float]:
    """Update every player once; return the unweighted terms and the objective, for the log.

    measure: each term's share of the gradient as well (`share.NAME`).
    """
    model, objective, preset = state.networks, state.objective, state.preset
    # dropout: a function of (seed, step), and another in each process
    torch.manual_seed(
        (state.schedule.seed * 1_000_003 + step) * distributed.world_size() + distributed.rank()
    )
    factor = state.schedule.rate_factor(step, preset.schedule)
    for optimizer in state.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak_rate"] * factor
    ramp = ramp_at(step, state.schedule.steps, preset) if model.config.separates else 0.0

    # 1. the networks, adversaries frozen
    _freeze(model, ADVERSARIES, True)
    images = source["image"] if target is None else torch.cat([source["image"], target["image"]])
    # what Fabric's wrapper returns refuses torch.autograd.grad where precision is mixed
    forward = state.networks if measure else state.model
    with state.fabric.autocast():
        outputs = forward(images, len(source["image"]), ramp > 0, finds_landmarks(objective.weights))
        terms = loss_terms(model, objective, outputs, source, target, separate=ramp > 0)
    weighted = weigh(terms, objective.weights, ramp, step)
    shares = gradient_shares(model, weighted) if measure else {}
    total = sum(weighted.values())
    _update(state, "networks", total)
    _freeze(model, ADVERSARIES, False)

    # 2. the adversaries, on stopped gradients
    if ramp > 0:
        with state.fabric.autocast():
            loss = adversary_loss(model, outputs, source, target)
        _update(state, "adversaries", loss)
        terms["adversaries"] = loss

    # 3. the image decoder, on stopped gradients
    few = slice(0, DECODED_FACES)
    features = torch.cat([outputs["rich_s"][few], outputs["rich_t"][few]]).detach()
    pictures = torch.cat(
        [outputs["inputs"][: len(source["image"])][few], outputs["inputs"][len(source["image"]) :][few]]
    )
    with state.fabric.autocast():
        terms["decoder"] = (model.decoder(features) - pictures).abs().mean()
    _update(state, "decoder", terms["decoder"])

    if state.average is not None:
        state.average.update_parameters(model)
    terms["total"] = total
    values = distributed.mean(torch.stack([term.detach().float() for term in terms.values()])).tolist()
    return dict(zip(terms, values, strict=True)) | shares


def _freeze(model: AUModel, names: tuple[str, ...], frozen: bool) -> None:
    if model.config.separates:
        for name in names:
            getattr(model, name).requires_grad_(not frozen)


def _update(state: TrainState, player: str, loss: torch.Tensor) -> None:
    optimizer = state.optimizers[player]
    optimizer.zero_grad()
    state.fabric.backward(loss)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    distributed.average_gradients(parameters)
    if player == "networks":
        torch.nn.utils.clip_grad_norm_(parameters, state.preset.gradient_clip)
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
    warm_starts: Path | None = None,
) -> tuple[AUModel, list[dict], dict]:
    """Train to the end of the schedule; resume from `out_dir`/fit/last.ckpt if it exists.

    Args:
        source: labelled faces (of the target domain for an oracle).  target: unlabelled faces, or None.
        validation: labelled faces with their subjects; the best evaluation of the last 30 % of the steps is
            kept.
        stop_after: stop and save after that many steps of this call, as an interrupt would.
        warm_starts: folder with the states that runs share before their rounds begin (warm_start.py), or
            None.

    Returns:
        the selected model, the log (a row each LOG_EVERY steps and at evaluations), and {"selected_step",
        "validation_f1"}.

    Raises:
        FloatingPointError: a term is not finite.  KeyError: target faces carry AU labels.
        ValueError: the checkpoint in `out_dir` is of other settings.
    """
    if target is not None and target.occurrence is not None:
        raise KeyError("target faces carry AU labels; training must not see them")
    state = start_state(model, preset, objective, schedule, precision)
    device = state.fabric.device
    settings = fingerprint(state, method, source, target, precision)
    checkpoint = out_dir / "fit" / "last.ckpt"
    evaluate_at = evaluation_steps(schedule.steps)
    rounds_begin = math.ceil(preset.separation_starts * schedule.steps) if method.separates else 0
    all_terms = (
        math.ceil((preset.separation_starts + preset.ramp) * schedule.steps) if method.separates else 0
    )
    measured = measured_at(schedule.steps, all_terms)

    shared = None  # the file of the state at `rounds_begin`; several processes would race for it
    if warm_starts is not None and 0 < rounds_begin < min(evaluate_at) and distributed.world_size() == 1:
        key = warm_start.key_of(settings, [source, target], state.networks.state_dict(), device.type)
        shared = warm_starts / f"{key}.ckpt"
    if checkpoint.exists():
        state.load_state_dict(read_checkpoint(checkpoint, settings, device))
    if shared is not None and state.step == 0 and shared.exists():
        state.load_state_dict(warm_start.load(shared, state.state_dict(), device))

    epoch = max(1, round(len(source) / schedule.batch_size))
    last = schedule.steps if stop_after is None else min(schedule.steps, state.step + stop_after)
    started = time.perf_counter() - state.spent

    def save() -> None:
        state.spent = time.perf_counter() - started
        if distributed.rank() == 0:
            write_checkpoint(checkpoint, settings, state.state_dict())

    hidden = not progress or distributed.rank() > 0
    bar = tqdm(total=schedule.steps, initial=state.step, desc="training", disable=hidden, mininterval=1)
    state.model.train()
    step_done = True
    try:
        with HeldInterrupt() as interrupt:
            while state.step < last:
                step, step_done = state.step, False
                batches = [
                    None if faces is None else _take(faces, preset, schedule, step, salt, device)
                    for salt, faces in enumerate((source, target))
                ]
                logged = train_step(state, *batches, step, step in measured)
                state.step += 1
                bar.update()
                if step % LOG_EVERY == 0 or step in measured:
                    state.log.append({"step": step, "seconds": time.perf_counter() - started} | logged)
                if state.step in evaluate_at:
                    evaluate(state, validation, method)
                step_done = True
                if shared is not None and state.step == rounds_begin and not shared.exists():
                    state.spent = time.perf_counter() - started
                    warm_start.save(shared, state.state_dict())
                interrupt.raise_if_any()
                if state.step % epoch == 0:
                    save()
    finally:
        if step_done:  # else some players are a step ahead of others, and the last checkpoint stays
            save()
        bar.close()
    if state.best is not None:
        model.load_state_dict(state.best)
    selected = {"selected_step": state.best_step, "validation_f1": state.best_score}
    return model.cpu().eval(), state.log, selected


def start_state(
    model: AUModel, preset: Preset, objective: Objective, schedule: Schedule, precision: str
) -> TrainState:
    """The state before the first step, on this process's device."""
    fabric = distributed.start(precision)
    average = None
    if preset.average:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(preset.average))
    optimizers = make_optimizers(model, preset)
    if distributed.world_size() == 1:
        wrapped, *_ = fabric.setup(model, *optimizers.values(), move_to_device=True)
    else:  # DistributedDataParallel expects one forward and one backward pass a step; here are three players
        wrapped = fabric.to_device(model)
        distributed.share_statistics(model)
    if average is not None:
        average.to(fabric.device)
    objective = replace(
        objective,
        au_weight=objective.au_weight.to(fabric.device),
        pos_weight=objective.pos_weight.to(fabric.device),
    )
    return TrainState(fabric, wrapped, average, optimizers, objective, preset, schedule)


def evaluation_steps(steps: int) -> set[int]:
    """EVALUATIONS steps, evenly over the last 30 % (SELECT_FROM to 1) of the schedule."""
    shares = (SELECT_FROM + (1 - SELECT_FROM) * i / (EVALUATIONS - 1) for i in range(EVALUATIONS))
    return {round(steps * share) for share in shares}


def evaluate(state: TrainState, validation: tuple[Faces, object], method: Method) -> None:
    """Score the averaged weights (or the current ones) on validation; log the score and keep the best."""
    candidate = state.average.module if state.average is not None else state.networks
    score = validation_f1(candidate, validation, method)
    state.log.append({"step": state.step - 1, "validation_f1": score})
    state.keep_best(candidate, score)
    state.model.train()


def _take(faces: Faces, preset: Preset, schedule: Schedule, step: int, salt: int, device) -> dict:
    seed = 2 * schedule.seed + salt  # source and target draw differently
    grey = preset.colour == "luminance"
    batch = take_batch(faces, preset.image_size, schedule.batch_size, seed, step, preset.augment, grey)
    return {name: value.to(device) for name, value in batch.items()}


def fingerprint(
    state: TrainState, method: Method, source: Faces, target: Faces | None, precision: str
) -> str:
    """All settings of a run as JSON; a checkpoint is resumed only if its fingerprint is the same."""
    objective = state.objective
    settings = {
        "schedule": asdict(state.schedule), "preset": asdict(state.preset), "precision": precision,
        "config": state.networks.config.as_dict(), "read_target_from": method.read_target_from,
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


def write_checkpoint(file: Path, settings: str, state: dict) -> None:
    """Atomic: if the process is killed while it writes, the previous checkpoint stays."""
    with atomic_file(file) as partial:
        torch.save({"settings": settings} | state, partial)


def read_checkpoint(file: Path, settings: str, device: torch.device) -> dict:
    """The state in a checkpoint of the same settings.

    Raises:
        ValueError: it is of other settings.
    """
    state = torch.load(file, weights_only=True, map_location=device)
    if state["settings"] != settings:
        raise ValueError(f"{file} belongs to a run with other settings; choose another out_dir or delete it")
    return state


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
