"""A warm start gives the weights of a run without one, and runs that differ share none."""

from dataclasses import replace

import pytest
import torch
from test_training import STEPS, copy_of, make_objective, moved_parts, train, without_clock

from aulib import training, warm_start
from tiny import tiny_faces, tiny_preset

BEGIN = 4  # of STEPS: separation_starts 0.5


def sharing(out, starts, method="full", **options):
    separation = options.get("separation", "adversary")
    preset = tiny_preset(
        separation_starts=0.5, ramp=0.2, average=0.9, augment="slight", separation=separation
    )
    return train(out, method, preset=preset, starts=starts, **options)


def count_steps(monkeypatch):
    taken, step = [], training.train_step
    monkeypatch.setattr(training, "train_step", lambda *args: taken.append(args[3]) or step(*args))
    return taken


def same(run, expected):
    (model, log, selected), (model2, log2, selected2) = run, expected
    return (
        not moved_parts(copy_of(model), model2)
        and all(
            torch.equal(value, dict(model2.named_buffers())[name]) for name, value in model.named_buffers()
        )
        and without_clock(log) == without_clock(log2)
        and selected == selected2
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A first run of `full`: its log, and the folder in which it left its start."""
    folder = tmp_path_factory.mktemp("first")
    _, log, _ = sharing(folder / "run", folder / "starts", "full")
    return log, folder / "starts"


@pytest.mark.parametrize(
    ("method", "options"),
    [
        *(
            (name, {})
            for name in ("separation", "adld", "contrastive", "full", "full-mean-teacher", "mean-teacher")
        ),
        ("full", {"separation": "erasure"}),
    ],
)
def test_warm_start_gives_the_same_weights_bit_for_bit(method, options, first, tmp_path, monkeypatch):
    expected = sharing(tmp_path / "alone", None, method, **options)
    taken = count_steps(monkeypatch)
    run = sharing(tmp_path / "second", first[1], method, **options)
    assert taken == list(range(BEGIN, STEPS))
    assert same(run, expected)


def test_a_start_of_a_method_without_adversaries_serves_one_that_has_them(tmp_path, monkeypatch):
    expected = sharing(tmp_path / "alone", None, "full")
    sharing(tmp_path / "first", tmp_path / "starts", "mean-teacher")
    taken = count_steps(monkeypatch)
    assert same(sharing(tmp_path / "second", tmp_path / "starts", "full"), expected)
    assert taken == list(range(BEGIN, STEPS))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b""])
def test_a_damaged_start_is_named_and_trained_anew(damage, tmp_path):
    expected = sharing(tmp_path / "first", tmp_path / "starts")
    (kept,) = (tmp_path / "starts").glob("*.ckpt")
    good = kept.read_bytes()
    kept.write_bytes(damage(good))
    with pytest.warns(UserWarning, match=f"{kept}: .*trained anew"):
        assert same(sharing(tmp_path / "second", tmp_path / "starts"), expected)
    assert kept.stat().st_size > len(good) / 2


def test_a_resumed_run_writes_the_same_warm_start(tmp_path):
    expected = sharing(tmp_path / "alone", None)
    sharing(tmp_path / "run", tmp_path / "starts", stop_after=2)
    assert not list((tmp_path / "starts").glob("*.ckpt"))
    assert same(sharing(tmp_path / "run", tmp_path / "starts"), expected)
    (kept,) = (tmp_path / "starts").glob("*.ckpt")
    sharing(tmp_path / "other", tmp_path / "starts")
    assert list((tmp_path / "starts").glob("*.ckpt")) == [kept]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"model_seed": 1},
        {"source": tiny_faces(seed=5)},
        {"target": tiny_faces(seed=5).without_labels()},
        {"source": replace(tiny_faces(), images=255 - tiny_faces().images)},
        {"steps": STEPS + 2},
        {"objective": make_objective("full", au_source=2.0)},
    ],
    ids=lambda other: next(iter(other)),
)
def test_runs_that_differ_before_the_rounds_share_nothing(other, tmp_path, monkeypatch):
    sharing(tmp_path / "first", tmp_path / "starts")
    taken = count_steps(monkeypatch)
    sharing(tmp_path / "second", tmp_path / "starts", **other)
    assert taken[0] == 0


def test_methods_without_rounds_and_late_rounds_share_nothing(tmp_path):
    sharing(tmp_path / "plain", tmp_path / "starts", "multitask")
    late = tiny_preset(separation_starts=0.9, ramp=0.1, average=0.9)  # after the first evaluation
    train(tmp_path / "late", preset=late, starts=tmp_path / "starts")
    assert not (tmp_path / "starts").exists()


def test_old_warm_starts_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(warm_start, "KEPT", 2)
    for seed in range(4):
        sharing(tmp_path / str(seed), tmp_path / "starts", seed=seed)
    assert len(list((tmp_path / "starts").glob("*.ckpt"))) == 2


def test_resting_parts_do_not_change_before_the_rounds(tmp_path):
    """Steps before the rounds leave exactly RESTING where it was (projectors, say, have no gradient)."""
    before = sharing(tmp_path / "none", None, stop_after=0)[0].state_dict()
    model = sharing(tmp_path / "some", None, stop_after=BEGIN)[0]
    moved = {
        name.partition(".")[0]
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved and not moved & set(warm_start.RESTING)
    assert {name for name, _ in model.named_children()} - moved <= set(warm_start.RESTING)
