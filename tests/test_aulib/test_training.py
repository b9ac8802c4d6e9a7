"""A run's step, its players, and that an interrupted run ends as an uninterrupted one does."""

import math
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch.optim.swa_utils import AveragedModel

from aulib import training
from aulib.batches import take_batch
from aulib.erasure import covariance
from aulib.methods import METHODS
from aulib.metrics import landmark_nme
from aulib.model import cells_to_pixels, expected_cells
from aulib.objective import Objective
from aulib.train_run import start_file, training_points
from aulib.training import (
    ADVERSARIES,
    MEASUREMENTS,
    REFIT_BATCHES,
    HeldInterrupt,
    Recipe,
    TrainState,
    fit,
    make_optimizers,
    teacher_labels,
    train_step,
    validation_f1,
)
from tiny import AUS, SIZE, tiny_faces, tiny_model, tiny_preset

STEPS = 8


def make_objective(method: str, **weights: float) -> Objective:
    return Objective(METHODS[method].weights | weights, torch.ones(len(AUS)), torch.ones(len(AUS)))


def tiny_recipe(steps: int, method: str = "full", **preset) -> Recipe:
    return Recipe(METHODS[method], tiny_preset(**preset), make_objective(method), steps, 3, 0)


def make_run(
    method: str = "full", weights: dict | None = None, steps: int = STEPS, model=None, **preset
) -> TrainState:
    model = model or tiny_model(method)
    values = tiny_preset(**preset)
    optimizers = make_optimizers(model, values)
    objective = make_objective(method, **(weights or {}))
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    wrapped, *_ = fabric.setup(model, *optimizers.values())
    recipe = Recipe(METHODS[method], values, objective, steps, 3, 0)
    average = AveragedModel(model) if METHODS[method].teaches else None
    return TrainState(fabric, wrapped, average, optimizers, recipe)


def batch(seed: int = 0, labelled: bool = True, size: int = 3) -> dict:
    return take_batch(tiny_faces(seed=seed, labelled=labelled), SIZE, size, seed, 0, "none")


def step_once(run: TrainState, step: int = 0) -> dict[str, float]:
    return train_step(run, batch(), batch(seed=1, labelled=False), step)


def moved_parts(before: dict, model) -> set[str]:
    return {
        name.split(".")[0] for name, value in model.named_parameters() if not torch.equal(value, before[name])
    }


def copy_of(model) -> dict:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def train(out_dir, method: str = "full", seed: int = 0, model_seed: int = 0, **options):
    preset = options.pop("preset", None) or tiny_preset(
        separation_starts=0.3, ramp=0.2, average=0.9, augment="slight"
    )
    faces = tiny_faces()
    target = tiny_faces(seed=1).without_labels() if METHODS[method].uses_target else None
    validation = tiny_faces(seed=2), np.arange(12)
    separation = options.pop("separation", "adversary")
    weights = {"texture_flatness": 0.0} if separation == "erasure" else {}
    recipe = Recipe(
        METHODS[method], preset, options.pop("objective", make_objective(method, **weights)),
        options.pop("steps", STEPS), 3, seed,
    )  # fmt: skip
    shared = options.pop("share_extraction", True)
    model = tiny_model(method, model_seed, separation=separation, share_extraction=shared)
    source = options.pop("source", faces)
    if separation == "erasure":
        model.erasure.fit_points(training_points([source, faces], SIZE))
    target = options.pop("target", target)
    if starts := options.pop("starts", None):
        options["init_from"] = start_file(starts, recipe, model, source, target, "cpu")
    return fit(model, recipe, source, target, validation, out_dir, progress=False, **options)


class TestMeanTeacher:
    def taught(self, logits: list[float]) -> tuple[dict, dict]:
        """A target batch, and the same with what a teacher of these logits (one per AU) teaches."""
        run, target = make_run("mean-teacher"), batch(seed=1, labelled=False)
        told = torch.tensor(logits).expand(3, -1)
        run.average.module.forward = lambda *args, **how: seen.append((*args, how)) or {"au_s": told}
        seen: list = []
        changed = teacher_labels(run, target, 0)
        assert len(seen) == 1 and seen[0][0] is target["image"]
        assert seen[0][1:] == (3, {"separate": False, "landmarks": False})  # from the features alone
        return target, changed

    def test_confident_probabilities_are_taught_and_others_unknown(self):
        edge, of_three = math.log(0.8 / 0.2), 1 / (1 + math.exp(-3))
        _, changed = self.taught([-3.0, -edge + 0.01, 0.0, edge - 0.01, 3.0])
        expected = torch.tensor([1 - of_three, torch.nan, torch.nan, torch.nan, of_three]).expand(3, -1)
        torch.testing.assert_close(changed["taught"], expected, equal_nan=True)

    def test_the_student_sees_the_same_faces_disturbed(self):
        target, changed = self.taught([0.0] * 5)
        assert changed.keys() == target.keys() | {"taught"} and changed["landmarks"] is target["landmarks"]
        assert (changed["image"] - target["image"]).flatten(1).abs().mean(1).min() > 0.005

    def test_the_teacher_is_the_average_and_learns_nothing_itself(self):
        run = make_run("mean-teacher")
        with torch.no_grad():
            run.average.module.au_head.bias.fill_(50.0)  # an untrained one is never confident
        assert step_once(run)["au_teacher"] > 0.1 and step_once(make_run("mean-teacher"))["au_teacher"] == 0
        assert all(value.grad is None for value in run.average.parameters())

    def test_without_confidence_there_is_nothing_to_learn(self, monkeypatch):
        monkeypatch.setattr(training, "CONFIDENT", 1.1)
        run = make_run("mean-teacher")
        assert step_once(run)["au_teacher"] == 0

    def test_begins_when_the_teacher_knows_something(self):
        run = make_run("mean-teacher", separation_starts=0.5)
        assert "au_teacher" not in step_once(run, STEPS // 2 - 1)
        assert "au_teacher" in step_once(run, STEPS // 2)

    @pytest.mark.parametrize("method", ["mean-teacher", "full-mean-teacher"])
    def test_refuses_target_faces_with_labels(self, method, tmp_path):
        with pytest.raises(KeyError, match="target faces carry AU labels"):
            train(tmp_path, method, target=tiny_faces(seed=1))


class TestRates:
    def test_linear_worked_by_hand(self):
        recipe = tiny_recipe(8, schedule="linear")
        factors = [recipe.rate_factor(step) for step in range(8)]
        assert factors == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])

    def test_one_cycle_warms_up_and_falls_along_a_cosine(self):
        recipe = tiny_recipe(100, schedule="one-cycle")
        factors = np.array([recipe.rate_factor(step) for step in range(100)])
        assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
        assert (np.diff(factors[5:]) < 0).all() and 0 < factors[-1] < 0.01
        assert factors[52] == pytest.approx(0.5, abs=0.02)  # half-way down half-way along

    def test_rates_reach_the_optimizers(self):
        run = make_run(schedule="linear", task_rate=8.0, generator_rate=4.0, adversary_rate=2.0)
        step_once(run, step=STEPS - 2)  # a factor of one half
        rates = {
            name: [group["lr"] for group in value.param_groups] for name, value in run.optimizers.items()
        }
        assert rates == {"networks": [4.0, 2.0], "decoder": [4.0], "adversaries": [1.0]}


class TestRamp:
    def test_worked_by_hand(self):
        recipe = tiny_recipe(10, separation_starts=0.4, ramp=0.2)
        values = [recipe.ramp(step) for step in range(10)]
        assert values == pytest.approx([0, 0, 0, 0, 0.5, 1, 1, 1, 1, 1])

    def test_no_delay_and_no_ramp_is_full_weight_from_the_first_step(self):
        assert [tiny_recipe(10).ramp(step) for step in range(10)] == [1.0] * 10

    def test_is_zero_without_rounds(self):
        assert [tiny_recipe(10, "multitask").ramp(step) for step in range(10)] == [0.0] * 10


@pytest.mark.parametrize(("steps", "begin", "first"), [(400, 0.5, 200), (2, 0, 0), (1, 0, 0), (3, 1, 3)])
def test_shares_are_measured_from_where_terms_are_complete_to_the_last_step(steps, begin, first):
    steps_measured = tiny_recipe(steps, separation_starts=begin).measured_steps
    assert min(steps_measured) == min(first, steps - 1) and max(steps_measured) == steps - 1
    assert len(steps_measured) == min(MEASUREMENTS, steps - min(first, steps - 1))


class TestOptimizers:
    @pytest.mark.parametrize("method", METHODS)
    def test_every_parameter_has_exactly_one_player(self, method):
        model = tiny_model(method, share_extraction=METHODS[method].au_from_landmarks)
        owned = [
            id(value)
            for optimizer in make_optimizers(model, tiny_preset()).values()
            for group in optimizer.param_groups
            for value in group["params"]
        ]
        assert len(owned) == len(set(owned)) and set(owned) == {id(value) for value in model.parameters()}

    def test_a_backbone_has_its_own_rate_and_what_reads_it_has_not(self):
        model = tiny_model("multitask", backbone="resnet10t")
        networks = make_optimizers(model, tiny_preset(task_rate=1.0, backbone_rate=0.1))["networks"]
        rate = {id(value): one["peak_rate"] for one in networks.param_groups for value in one["params"]}
        assert {rate[id(value)] for value in model.encoder.backbone.parameters()} == {0.1}
        assert {rate[id(value)] for value in model.encoder.project.parameters()} == {1.0}

    def test_players_have_the_rates_of_their_parts(self):
        model = tiny_model("full")
        preset = tiny_preset(task_rate=1.0, generator_rate=2.0, adversary_rate=3.0)
        rate = {
            id(value): group["lr"]
            for optimizer in make_optimizers(model, preset).values()
            for group in optimizer.param_groups
            for value in group["params"]
        }
        expected = {
            "encoder": 1.0, "landmark_head": 1.0, "au_head": 1.0, "decoder": 1.0, "texture_encoder": 2.0,
            "generator": 2.0, "projectors": 2.0, **dict.fromkeys(ADVERSARIES, 3.0),
        }  # fmt: skip
        for name, part in model.named_children():
            assert {rate[id(value)] for value in part.parameters()} == {expected[name]}, name


class TestStep:
    NETWORKS = {"encoder", "landmark_head", "au_head", "texture_encoder", "generator", "projectors"}

    def test_moves_every_player(self):
        run = make_run()
        before = copy_of(run.networks)
        step_once(run)
        assert moved_parts(before, run.networks) == self.NETWORKS | {*ADVERSARIES, "decoder"}

    @pytest.mark.parametrize("method, times", [("separation", 1), ("adld", 2), ("full", 2)])
    def test_the_second_round_rebuilds_only_where_a_term_reads_it(self, method, times):
        run, calls = make_run(method), []
        run.networks.generator.register_forward_hook(lambda *about: calls.append(about))
        step_once(run)
        assert len(calls) == times

    def test_the_networks_update_does_not_move_the_adversaries(self):
        run = make_run(adversary_rate=0.0)
        before = copy_of(run.networks)
        step_once(run)
        assert moved_parts(before, run.networks) == self.NETWORKS | {"decoder"}

    def test_the_adversaries_update_does_not_move_the_networks(self):
        run = make_run(task_rate=0.0, generator_rate=0.0)
        before = copy_of(run.networks)
        step_once(run)
        assert moved_parts(before, run.networks) == set(ADVERSARIES)

    def test_adversaries_do_not_move_before_the_rounds_begin(self):
        run = make_run(separation_starts=0.5)
        before = copy_of(run.networks)
        logged = step_once(run)
        assert moved_parts(before, run.networks) == {"encoder", "landmark_head", "au_head", "decoder"}
        assert set(logged) == {"au_source", "landmarks_source", "landmarks_target", "decoder", "total"}

    def test_what_the_networks_learn_does_not_depend_on_the_image_decoder(self):
        run, other = make_run(), make_run()
        with torch.no_grad():
            for value in other.networks.decoder.parameters():
                value.mul_(3).add_(0.1)
        for step in range(3):
            step_once(run, step), step_once(other, step)
        assert moved_parts(copy_of(run.networks), other.networks) == {"decoder"}

    @pytest.mark.parametrize(
        ("term", "task_rate", "adversary_rate"),
        [("adversaries", 0.0, 2e-3), ("feature_adversary", 2e-3, 0.0)],
    )
    def test_each_player_improves_while_the_other_is_frozen(self, term, task_rate, adversary_rate):
        run = make_run(
            weights=dict.fromkeys(METHODS["full"].weights, 0.0) | {"feature_adversary": 1.0},
            task_rate=task_rate, generator_rate=task_rate, adversary_rate=adversary_rate, schedule="linear",
            steps=40,
        )  # fmt: skip
        values = [step_once(run, step)[term] for step in range(10)]
        assert values[-1] < values[0] and np.diff(values).mean() < 0

    def test_terms_come_out_unweighted_and_the_total_is_their_weighted_sum(self):
        weights = METHODS["full"].weights
        once = step_once(make_run())
        doubled = step_once(make_run(weights={name: 2 * value for name, value in weights.items()}))
        assert {name: doubled[name] for name in weights} == {name: once[name] for name in weights}
        assert once["total"] == pytest.approx(sum(weights[name] * once[name] for name in weights), rel=1e-5)
        assert doubled["total"] == pytest.approx(2 * once["total"], rel=1e-5)

    @pytest.mark.parametrize("method", METHODS)
    def test_works_for_every_method(self, method):
        run = make_run(method)
        target = batch(seed=1, labelled=False) if METHODS[method].uses_target else None
        logged = train_step(run, batch(), target, 0)
        assert logged.keys() - {"total", "decoder", "adversaries"} == METHODS[method].weights.keys()

    def test_is_a_function_of_seed_and_step(self):
        run, other = make_run(), make_run()
        step_once(run)
        torch.manual_seed(123)  # what other code drew meanwhile has no say, not even over dropout
        step_once(other)
        assert not moved_parts(copy_of(run.networks), other.networks)

    def test_one_batch_can_be_overfitted(self):
        run = make_run(steps=60, task_rate=0.01, generator_rate=0.01)
        source, target = batch(size=2), batch(seed=1, labelled=False, size=2)
        model, known = run.networks, ~source["occurrence"].isnan()

        def error():
            shape = model.eval().read(source["image"], "features")["shape"]
            model.train()
            found = cells_to_pixels(expected_cells(shape), shape.shape[-1], SIZE)
            return landmark_nme(found.detach().numpy(), source["landmarks"].numpy()).mean()

        before = error()
        log = [train_step(run, source, target, step) for step in range(60)]
        for term in ("au_source", "au_swapped", "au_self"):
            assert log[-1][term] < 0.2 < log[0][term], term
        assert error() < before / 2
        for read_from in ("features", "reconstruction"):
            logits = model.eval().read(source["image"], read_from)["au_logits"]
            assert ((logits >= 0) == (source["occurrence"] == 1))[known].all()


class TestFailure:
    def test_a_term_that_is_not_finite_stops_the_run_with_its_name_and_step(self, tmp_path, monkeypatch):
        def broken(step):
            return step.outputs["au_s"].sum() * float("nan")

        monkeypatch.setitem(training.loss_terms.__globals__["TERMS"], "au_swapped", broken)
        first = round(0.3 * STEPS + 0.5)
        with pytest.raises(FloatingPointError, match=f"'au_swapped' is nan at step {first}"):
            train(tmp_path)

    def test_target_faces_with_labels_are_refused(self, tmp_path):
        with pytest.raises(KeyError, match="must not see"):
            train(tmp_path, target=tiny_faces(seed=1))

    def test_a_process_killed_while_saving_keeps_the_last_checkpoint(self, tmp_path, monkeypatch):
        train(tmp_path, stop_after=2)
        whole = (tmp_path / "fit" / "last.ckpt").read_bytes()

        def killed(state, file):
            file.write_bytes(whole[:100])
            raise KeyboardInterrupt

        monkeypatch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, stop_after=2)
        assert (tmp_path / "fit" / "last.ckpt").read_bytes() == whole


def without_clock(log: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in log]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("uninterrupted"))


class TestResume:
    def assert_same(self, run, expected):
        (model, log, selected), (model2, log2, selected2) = run, expected
        assert not moved_parts(copy_of(model), model2)
        assert without_clock(log) == without_clock(log2) and selected == selected2

    @pytest.mark.parametrize("stops", [(3,), (2, 3)])
    def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(self, stops, tmp_path, uninterrupted):
        for stop_after in stops:
            train(tmp_path, stop_after=stop_after)
        # another initialisation: nothing but the checkpoint may matter
        self.assert_same(train(tmp_path, model_seed=99), uninterrupted)

    def test_the_erasure_resumes_with_its_covariances(self, tmp_path):
        whole = train(tmp_path / "whole", separation="erasure")
        train(tmp_path / "parts", separation="erasure", stop_after=6)
        resumed = train(tmp_path / "parts", model_seed=99, separation="erasure")
        self.assert_same(resumed, whole)
        erasures = (dict(model.erasure.named_buffers()) for model, *_ in (resumed, whole))
        for first, second in zip(*(erasure.values() for erasure in erasures), strict=True):
            assert torch.equal(first, second)

    def test_the_erasure_is_fitted_to_the_selected_weights(self, tmp_path):
        model, *_ = train(tmp_path, separation="erasure")
        faces = [tiny_faces(), tiny_faces(seed=1)]
        images = [
            take_batch(one, SIZE, 3, salt, step, "slight", True)["image"]
            for step in range(STEPS, STEPS + REFIT_BATCHES)
            for salt, one in enumerate(faces)
        ]
        with torch.no_grad():
            rich = model.encoder(model.standardise(torch.cat(images)))
            _, shape, texture = model.separate(rich)
            codes = model.erasure.parameters_of(shape)
            unerased = model.texture_encoder(rich)
            before, after = (covariance(codes, one.flatten(1)).norm() for one in (unerased, texture))
        assert after < before / 2

    def test_unknown_labels_are_filled_by_what_reads_aus(self, tmp_path, monkeypatch):
        seen, known = [], training.known_labels
        spy = lambda source, logits: seen.append((source["image"], logits)) or known(source, logits)  # noqa: E731
        monkeypatch.setattr(training, "known_labels", spy)
        model, *_ = train(tmp_path, separation="erasure", share_extraction=False)
        image, filled = seen[-1]  # of the refit
        torch.testing.assert_close(filled, model.read(image, "features")["au_logits"])

    def test_ctrl_c_within_a_step_saves_that_step(self, tmp_path, uninterrupted, monkeypatch):
        update, calls = training._update, []

        def pressed(run, who, loss):
            update(run, who, loss)
            calls.append(who)
            if who == "networks" and calls.count(who) == 6:
                os.kill(os.getpid(), signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(training, "_update", pressed)
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path)
        assert torch.load(tmp_path / "fit" / "last.ckpt", weights_only=True)["step"] == 6
        self.assert_same(train(tmp_path, model_seed=99), uninterrupted)

    @pytest.mark.parametrize("player", ["networks", "adversaries", "decoder"])
    def test_resume_after_an_interrupt_within_a_step_gives_the_same_weights(
        self, player, tmp_path, uninterrupted, monkeypatch
    ):
        update, calls = training._update, []

        def interrupted(run, who, loss):
            update(run, who, loss)
            calls.append(who)
            if who == player and calls.count("networks") == 6:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training, "_update", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path)
        self.assert_same(train(tmp_path, model_seed=99), uninterrupted)

    def test_resume_after_an_interrupt_within_an_evaluation_gives_the_same_weights(
        self, tmp_path, uninterrupted, monkeypatch
    ):
        def interrupted(*args):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(training, "validation_f1", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train(tmp_path)
        self.assert_same(train(tmp_path, model_seed=99), uninterrupted)

    def test_a_finished_run_is_not_trained_again(self, tmp_path, monkeypatch):
        finished = train(tmp_path)
        monkeypatch.setattr(training, "train_step", None)
        self.assert_same(train(tmp_path, model_seed=99), finished)

    @pytest.mark.parametrize(
        "other",
        [
            {"seed": 1},
            {"steps": 9},
            {"method": "contrastive"},
            {"objective": make_objective("full", au_swapped=0.3)},
            {"objective": replace(make_objective("full"), negatives="batch")},
            {"objective": replace(make_objective("full"), pos_weight=torch.full((len(AUS),), 2.0))},
            {
                "preset": tiny_preset(
                    separation_starts=0.3, ramp=0.2, average=0.9, augment="slight", task_rate=1e-5
                )
            },
            {"source": tiny_faces(seed=7)},
            {"target": tiny_faces(seed=7).without_labels()},
        ],
        ids=["seed", "steps", "method", "weight", "negatives", "AU weights", "rate", "source", "target"],
    )
    def test_other_settings_are_refused(self, other, tmp_path):
        train(tmp_path, stop_after=1)
        with pytest.raises(ValueError, match="last.ckpt belongs to a run with other settings"):
            train(tmp_path, **other)


class TestSelection:
    def test_keeps_the_weights_of_the_best_late_evaluation(self, tmp_path, monkeypatch):
        scores, seen = iter([0.2, 0.6, 0.4, 0.6]), []

        def scripted(model, validation, method):
            seen.append(copy_of(model))
            return next(scores)

        monkeypatch.setattr(training, "validation_f1", scripted)
        model, log, selected = train(tmp_path, "multitask", steps=20)
        steps = [row["step"] + 1 for row in log if "validation_f1" in row]
        assert steps == [14, 16, 18, 20]  # the last 30 % of the steps, the very last among them
        assert selected == {"selected_step": 16, "validation_f1": 0.6}
        assert not moved_parts(seen[1], model) and moved_parts(seen[3], model)

    def test_an_undefined_score_is_below_every_defined_one(self):
        state = make_run()
        models = [tiny_model("source-only", seed) for seed in range(3)]
        for step, (model, score) in enumerate(zip(models, [float("nan"), 0.1, float("nan")], strict=True)):
            state.step = step
            state.keep_best(model, score)
        assert (state.best_step, state.best_score) == (1, 0.1)
        assert not moved_parts(state.best, models[1])

    def test_validation_uses_the_method_s_read_target_from(self, monkeypatch):
        paths = []
        original = training.predict_batches

        def recorded(model, faces, read_from):
            paths.append(read_from)
            return original(model, faces, read_from)

        monkeypatch.setattr(training, "predict_batches", recorded)
        for read_from in ("features", "reconstruction"):
            validation_f1(
                tiny_model(),
                (tiny_faces(), np.arange(12)),
                replace(METHODS["full"], read_target_from=read_from),
            )
        assert paths == ["features", "reconstruction"]

    def test_the_averaged_weights_are_the_ones_kept(self, tmp_path):
        averaged = train(tmp_path / "averaged", "multitask", preset=tiny_preset(average=0.9))[0]
        last = train(tmp_path / "last", "multitask", preset=tiny_preset(average=0.0))[0]
        assert moved_parts(copy_of(averaged), last) == set(dict(last.named_children()))


class TestHeldInterrupt:
    def test_an_interrupt_is_delayed_to_raise_if_any(self):
        reached = []
        with pytest.raises(KeyboardInterrupt), HeldInterrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the rest of the step")
            interrupt.raise_if_any()
            reached.append("the next step")
        assert reached == ["the rest of the step"]

    def test_a_second_interrupt_is_not_held(self):
        reached = []
        with pytest.raises(KeyboardInterrupt), HeldInterrupt():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after two")
        assert not reached

    def test_an_error_is_not_hidden_by_an_interrupt(self):
        with pytest.raises(FloatingPointError), HeldInterrupt():
            os.kill(os.getpid(), signal.SIGINT)
            raise FloatingPointError

    def test_outside_the_main_thread_it_does_nothing(self):
        before, failures = signal.getsignal(signal.SIGINT), []

        def work():
            try:
                with HeldInterrupt() as interrupt:
                    interrupt.raise_if_any()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert not failures and signal.getsignal(signal.SIGINT) == before


def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path):
    train(tmp_path, stop_after=2)
    file = tmp_path / "fit" / "last.ckpt"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ValueError, match="last.ckpt: expected a checkpoint of this run; delete it"):
        train(tmp_path)
