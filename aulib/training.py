"""One run: step, evaluation on source validation, checkpoint, resume.

A step is a function of (seed, step) and the state, so a resumed run equals an uninterrupted one, on the CPU
bit for bit.
"""

import json
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from aulib import distributed, warm_start
from aulib.batches import Draws, Faces, disturb, take_batch
from aulib.erasure import RunningCovariances
from aulib.evaluate import predict_batches, score_predictions
from aulib.files import atomic_file, reading
from aulib.methods import Method, Preset
from aulib.model import ADVERSARIES, GENERATING, AUModel, ModelConfig
from aulib.objective import (
    Objective,
    adversary_loss,
    finds_landmarks,
    gradient_shares,
    loss_terms,
    swaps_back,
    weigh,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SELECT_FROM = 0.7  # the best of the evaluations in the last 30 % of the steps is kept
EVALUATIONS = 4
REFIT_BATCHES = 128  # that the erasure of the selected weights is fitted to
DECODED_FACES = 1  # of each domain and step; the image decoder only makes pictures of features
LOG_EVERY = 10
PROGRESS = ("step", "log", "spent", "best", "best_score", "best_step")  # of a TrainState
CONFIDENT = 0.8  # a mean teacher's label counts from this probability on, or below one minus it [C]
STUDENT = 2  # its random numbers, beside those of the source (0) and the target (1)
MEASUREMENTS = 4  # of gradient shares and of the separation; one costs about a dozen steps


@dataclass(frozen=True)
class Recipe:
    """How one run is trained.

    steps: optimiser steps.  batch_size: faces of each domain in a step.  seed: of batches and dropout.
    precision: "32-true" or "bf16-mixed".
    """

    method: Method
    preset: Preset
    objective: Objective
    steps: int
    batch_size: int
    seed: int
    precision: str = "32-true"

    def rate_factor(self, step: int) -> float:
        """Factor on the rates: ADLD's linear decay in the second half [A], or warm-up and cosine [C]."""
        if self.preset.schedule == "linear":
            return min(1.0, 2 * (1 - step / self.steps))
        warm = max(1, round(0.05 * self.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (
            1 + torch.cos(torch.tensor(torch.pi * (step - warm) / max(1, self.steps - warm))).item()
        )

    def ramp(self, step: int) -> float:
        """Share of their weight that the terms of the rounds and of the teacher have: 0, then rising to 1."""
        start = self.preset.separation_starts * self.steps
        if not self.method.adapts or step < start:
            return 0.0
        return min(1.0, (step - start + 1) / max(1.0, self.preset.ramp * self.steps))

    @property
    def adaptation_begins(self) -> int:
        """The first step with two rounds or a mean teacher; 0 for a method without both."""
        return math.ceil(self.preset.separation_starts * self.steps) if self.method.adapts else 0

    @property
    def evaluation_steps(self) -> set[int]:
        """EVALUATIONS steps, evenly over the last 30 % (SELECT_FROM to 1) of the run."""
        shares = (SELECT_FROM + (1 - SELECT_FROM) * i / (EVALUATIONS - 1) for i in range(EVALUATIONS))
        return {round(self.steps * share) for share in shares}

    @property
    def measured_steps(self) -> set[int]:
        """MEASUREMENTS steps whose gradient shares are logged, evenly over those with all terms."""
        first, last = 0, self.steps - 1
        if self.method.adapts:
            first = math.ceil((self.preset.separation_starts + self.preset.ramp) * self.steps)
        return {round(step) for step in np.linspace(min(first, last), last, MEASUREMENTS)}


def make_optimizers(model: AUModel, preset: Preset) -> dict[str, torch.optim.Optimizer]:
    """Adam for the networks (task and generating rates), for the adversaries, and for the image decoder."""
    parts = dict(model.named_children())
    others = (*ADVERSARIES, *GENERATING, "decoder")
    named = [(name, p) for name, p in model.named_parameters() if name.partition(".")[0] not in others]
    task = [p for name, p in named if ".backbone." not in name]
    backbone = [p for name, p in named if ".backbone." in name]
    generating = [p for name in GENERATING if name in parts for p in parts[name].parameters()]
    groups = [{"params": task, "lr": preset.task_rate, "betas": preset.task_betas}]
    if backbone:
        groups.append(groups[0] | {"params": backbone, "lr": preset.task_rate * preset.backbone_rate})
    if generating:
        groups.append({"params": generating, "lr": preset.generator_rate, "betas": preset.generator_betas})
    optimizers = {
        "networks": torch.optim.Adam(groups, fused=True),
        "decoder": torch.optim.Adam(model.decoder.parameters(), lr=preset.task_rate, fused=True),
    }
    if model.config.separates:
        players = [p for name in ADVERSARIES if name in parts for p in parts[name].parameters()]
        optimizers["adversaries"] = torch.optim.Adam(
            players, lr=preset.adversary_rate, betas=preset.generator_betas, fused=True
        )
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak_rate"] = group["lr"]
    return optimizers


@dataclass
class TrainState:
    """The players of a run, and how far it has come.

    spent: seconds of training until the last save.  best: weights of the best evaluation so far.
    """

    fabric: "Fabric"
    model: torch.nn.Module
    average: AveragedModel | None
    optimizers: dict[str, torch.optim.Optimizer]
    recipe: Recipe
    covariances: RunningCovariances | None = None
    step: int = 0
    log: list[dict] = field(default_factory=list)
    spent: float = 0.0
    best: dict | None = None
    best_score: float = float("-inf")
    best_step: int = -1

    @classmethod
    def first(cls, model: AUModel, recipe: Recipe) -> "TrainState":
        """The state before the first step, on this process's device."""
        fabric = distributed.start(recipe.precision)
        average = None
        if recipe.preset.average:
            average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.preset.average))
        optimizers = make_optimizers(model, recipe.preset)
        if distributed.world_size() == 1:
            wrapped, *_ = fabric.setup(model, *optimizers.values(), move_to_device=True)
        else:  # DistributedDataParallel expects one forward and backward pass a step; here are three players
            wrapped = fabric.to_device(model)
            distributed.share_statistics(model)
        if average is not None:
            average.to(fabric.device)
        recipe = replace(recipe, objective=recipe.objective.to(fabric.device))
        covariances = None if model.erasure is None else RunningCovariances(model.erasure)
        return cls(fabric, wrapped, average, optimizers, recipe, covariances)

    @property
    def networks(self) -> AUModel:
        return self.model.module if hasattr(self.model, "module") else self.model

    @property
    def candidate(self) -> AUModel:
        """The weights that are evaluated: the averaged ones, or the current ones without an average."""
        return self.average.module if self.average is not None else self.networks

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
            "covariances": None if self.covariances is None else self.covariances.values,
        }

    def load_state_dict(self, state: dict) -> None:
        for name in PROGRESS:
            setattr(self, name, state[name])
        self.networks.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.covariances is not None:
            self.covariances.values |= state["covariances"]


def train_step(
    state: TrainState, source: dict, target: dict | None, step: int, measure: bool = False
) -> dict[str, float]:
    """Update every player once; return the unweighted terms and the objective, for the log.

    measure: each term's share of the gradient as well (`share.NAME`).
    """
    model, recipe = state.networks, state.recipe
    objective, ramp = recipe.objective, recipe.ramp(step)
    adapts = ramp > 0
    separates, teaches = adapts and recipe.method.separates, adapts and recipe.method.teaches
    # dropout is a function of (seed, step), and another one in each process
    torch.manual_seed((recipe.seed * 1_000_003 + step) * distributed.world_size() + distributed.rank())
    for optimizer in state.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["peak_rate"] * recipe.rate_factor(step)

    if teaches:
        target = teacher_labels(state, target, step)

    # 1. the networks, adversaries frozen
    _freeze(model, ADVERSARIES, True)
    images = source["image"] if target is None else torch.cat([source["image"], target["image"]])
    # outputs of Fabric's wrapper refuse torch.autograd.grad if precision is mixed
    forward = state.networks if measure else state.model
    with state.fabric.autocast():
        outputs = forward(
            images,
            len(source["image"]),
            separates,
            landmarks=finds_landmarks(objective.weights),
            target_aus=teaches,
            swap_back=swaps_back(objective.weights),
        )
        terms = loss_terms(model, objective, outputs, source, target, adapts)
    weighted = weigh(terms, objective.weights, ramp, step)
    shares = gradient_shares(model, weighted) if measure else {}
    total = sum(weighted.values())
    _update(state, "networks", total)
    _freeze(model, ADVERSARIES, False)
    if state.covariances is not None and separates:
        state.covariances.update(outputs["shape"], outputs["unerased"], known_labels(source, outputs["au_s"]))
        state.covariances.renew()

    # 2. the adversaries, on stopped gradients
    if separates:
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


@torch.no_grad()
def teacher_labels(state: TrainState, target: dict, step: int) -> dict:
    """Target faces as the student sees them, with the AUs that the mean teacher is confident of.

    The teacher is the running average of the weights (Tarvainen & Valpola 2017) and sees the batch as it is;
    the student sees it disturbed and learns the teacher's probabilities where it is confident, AU by AU.
    (FixMatch, Sohn et al. 2020, teaches labels of 0 and 1 instead.)

    Returns:
        the batch with `image` disturbed and `taught` (B, A), the probabilities, NaN where they are between
        1 - CONFIDENT and CONFIDENT.
    """
    teacher = state.average.module.eval()
    with state.fabric.autocast():
        logits = teacher(target["image"], len(target["image"]), separate=False, landmarks=False)["au_s"]
    probability = logits.float().sigmoid()
    confident = (probability - 0.5).abs() >= CONFIDENT - 0.5
    taught = torch.where(confident, probability, torch.nan)
    draws = Draws((state.recipe.seed, step, STUDENT), state.recipe.batch_size)
    return target | {"image": disturb(target["image"].cpu(), draws).to(taught.device), "taught": taught}


def _freeze(model: AUModel, names: tuple[str, ...], frozen: bool) -> None:
    if model.config.separates:
        for name in set(names) & dict(model.named_children()).keys():
            getattr(model, name).requires_grad_(not frozen)


def _update(state: TrainState, player: str, loss: torch.Tensor) -> None:
    optimizer = state.optimizers[player]
    optimizer.zero_grad()
    state.fabric.backward(loss)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    distributed.average_gradients(parameters)
    if player == "networks":
        torch.nn.utils.clip_grad_norm_(parameters, state.recipe.preset.gradient_clip)
    optimizer.step()


def fit(
    model: AUModel,
    recipe: Recipe,
    source: Faces,
    target: Faces | None,
    validation: tuple[Faces, np.ndarray],
    out_dir: Path,
    progress: bool = True,
    stop_after: int | None = None,
    init_from: Path | None = None,
    on_log: Callable[[list[dict]], None] | None = None,
    watch: Callable[[AUModel], dict[str, float]] | None = None,
) -> tuple[AUModel, list[dict], dict]:
    """Train to the last step; resume from `out_dir`/fit/last.ckpt if it exists.

    Args:
        source: labelled faces (of the target domain for the oracle).  target: unlabelled faces, or None.
        validation: labelled faces with their subjects; the best evaluation of the last 30 % of the steps is
            kept.
        stop_after: stop and save after that many steps of this call, as an interrupt would.
        init_from: file with a state at `Recipe.adaptation_begins` (`warm_start.file_for`). A new run starts
            from it; if it does not exist, the run writes it.
        on_log: called by the first process with the log so far, after each step that added a row to it.
        watch: measures the weights that would be evaluated; logged at the MEASUREMENTS steps.

    Returns:
        the selected model, the log (a row each LOG_EVERY steps and at evaluations), and {"selected_step",
        "validation_f1"}.

    Raises:
        FloatingPointError: a term is not finite.  KeyError: target faces carry AU labels.
        ValueError: the checkpoint in `out_dir` is of other settings.
    """
    if target is not None and target.occurrence is not None:
        raise KeyError("target faces carry AU labels; training must not see them")
    settings = json.dumps(checkpoint_settings(recipe, model.config, source, target), sort_keys=True)
    checkpoint = out_dir / "fit" / "last.ckpt"
    state = TrainState.first(model, recipe)
    if checkpoint.exists():
        state.load_state_dict(read_checkpoint(checkpoint, settings, state.fabric.device))
    elif init_from is not None and init_from.exists():
        state.load_state_dict(warm_start.load(init_from, state.state_dict(), state.fabric.device))
    epoch = max(1, round(len(source) / recipe.batch_size))
    last = recipe.steps if stop_after is None else min(recipe.steps, state.step + stop_after)
    started = time.perf_counter() - state.spent

    def save() -> None:
        if distributed.rank() == 0:
            state.spent = time.perf_counter() - started
            with atomic_file(checkpoint) as partial:  # if the process is killed, the previous one stays
                torch.save({"settings": settings} | state.state_dict(), partial)

    hidden = not progress or distributed.rank() > 0
    bar = tqdm(total=recipe.steps, initial=state.step, desc="training", disable=hidden, mininterval=1)
    state.model.train()
    step_done = True
    try:
        with HeldInterrupt() as interrupt:
            while state.step < last:
                step_done, logged = False, len(state.log)
                take_step(state, source, target, started, watch)
                if state.step in recipe.evaluation_steps:
                    evaluate(state, validation)
                step_done = True
                bar.update()
                if on_log and len(state.log) > logged and distributed.rank() == 0:
                    on_log(state.log)
                begins = state.step == recipe.adaptation_begins
                if begins and init_from is not None and not init_from.exists():
                    state.spent = time.perf_counter() - started
                    warm_start.save(init_from, state.state_dict())
                interrupt.raise_if_any()
                if state.step % epoch == 0:
                    save()
    finally:
        if step_done:  # else some players are a step ahead, and the last checkpoint stays
            save()
        bar.close()
    if state.best is not None:
        model.load_state_dict(state.best)
        if state.covariances is not None:
            refit_erasure(state, source, target)
    selected = {"selected_step": state.best_step, "validation_f1": state.best_score}
    return model.cpu().eval(), state.log, selected


def take_step(
    state: TrainState,
    source: Faces,
    target: Faces | None,
    started: float,
    watch: Callable[[AUModel], dict[str, float]] | None = None,
) -> None:
    """Train on the batches of the next step and log it; `started` is when the run began."""
    step, measure = state.step, state.step in state.recipe.measured_steps
    batches = [
        None if faces is None else next_batch(state, faces, salt)
        for salt, faces in enumerate((source, target))
    ]
    logged = train_step(state, *batches, step, measure)
    state.step += 1
    if measure and watch is not None:
        logged |= watch(state.candidate)
    if step % LOG_EVERY == 0 or measure:
        state.log.append({"step": step, "seconds": time.perf_counter() - started} | logged)


@torch.no_grad()
def refit_erasure(state: TrainState, source: Faces, target: Faces) -> None:
    """Fit the erasure to the selected weights, on training batches; in training it lags behind them."""
    model = state.networks.eval()
    covariances = RunningCovariances(model.erasure, momentum=0.0)
    step = state.step
    for batch in range(REFIT_BATCHES):
        state.step = state.recipe.steps + batch
        seen = [next_batch(state, faces, salt) for salt, faces in enumerate((source, target))]
        inputs = model.standardise(torch.cat([faces["image"] for faces in seen]))
        rich, of_source = model.encoder(inputs), slice(len(seen[0]["image"]))
        shape = model.landmark_attention(model.landmark_head(rich))
        au_logits, _ = model.au_head(model.au_features(rich[of_source], inputs[of_source]))
        covariances.update(shape, model.texture_encoder(rich), known_labels(seen[0], au_logits))
    covariances.renew()
    state.step = step


def known_labels(source: dict, au_logits: torch.Tensor) -> torch.Tensor:
    """(B, A) AU labels of source faces, and the predicted probability where one is unknown."""
    labels = source["occurrence"]
    return torch.where(labels.isnan(), au_logits.detach().float().sigmoid(), labels)


def next_batch(state: TrainState, faces: Faces, salt: int) -> dict:
    """The batch of this step, a function of (seed, step); source and target draw with another salt."""
    recipe, preset = state.recipe, state.recipe.preset
    grey, seed = preset.colour == "luminance", 2 * recipe.seed + salt
    batch = take_batch(faces, preset.image_size, recipe.batch_size, seed, state.step, preset.augment, grey)
    return {name: value.to(state.fabric.device) for name, value in batch.items()}


def evaluate(state: TrainState, validation: tuple[Faces, np.ndarray]) -> None:
    """Score the averaged weights (or the current ones) on validation; log the score and keep the best."""
    score = validation_f1(state.candidate, validation, state.recipe.method)
    state.log.append({"step": state.step - 1, "validation_f1": score})
    state.keep_best(state.candidate, score)
    state.model.train()


def checkpoint_settings(recipe: Recipe, config: ModelConfig, source: Faces, target: Faces | None) -> dict:
    """All settings of a run; a checkpoint is resumed only if they are the same."""
    objective = recipe.objective
    return {
        "schedule": {"steps": recipe.steps, "batch_size": recipe.batch_size, "seed": recipe.seed},
        "preset": asdict(recipe.preset), "precision": recipe.precision,
        "config": config.as_dict(), "read_target_from": recipe.method.read_target_from,
        "faces": [None if faces is None else faces.fingerprint() for faces in (source, target)],
        "objective": {
            "weights": objective.weights, "alignment": objective.alignment, "negatives": objective.negatives,
            "temperature": objective.temperature, "au_weight": objective.au_weight.tolist(),
            "pos_weight": objective.pos_weight.tolist(),
        },
    }  # fmt: skip


def validation_f1(model: AUModel, validation: tuple[Faces, np.ndarray], method: Method) -> float:
    """Mean F1-frame on the validation faces, read the way the target will be read."""
    faces, subjects = validation
    model.eval()
    return score_predictions(
        predict_batches(model, faces, method.read_target_from), faces, subjects, model.config.aus, resamples=1
    )["mean.f1"]


def read_checkpoint(file: Path, settings: str, device: torch.device) -> dict:
    """The state in a checkpoint; ValueError if it is damaged or of other settings."""
    with reading(file, "a checkpoint of this run; delete it to begin the run again"):
        state = torch.load(file, weights_only=True, map_location=device)
    if state["settings"] != settings:
        raise ValueError(
            f"{file} belongs to a run with other settings or of an earlier version; "
            "choose another out_dir or delete it"
        )
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
        if error is None:  # an interrupt after the last check
            self.raise_if_any()
