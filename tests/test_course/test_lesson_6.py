"""Lesson 6: losses on a circle against hand values, the instrument, and a hint for each mistake."""

import math
from base64 import b64decode

import numpy as np
import pytest
import torch

import lesson_6
import lesson_6_circle
from aulib.contrastive import info_nce
from aulib.networks import Projector
from aulib.supervisors import SUPERVISORS
from lesson_6_circle import Circle
from tried_exercises import TriedExercises

EVEN = [0, 90, 180, 270]
RIVALS = (90, 115, [150, 200, 300])
LOG = math.log


def test_the_loss_of_a_collapse_is_guessing_at_every_temperature():
    for temperature in (0.05, 1.0):
        assert lesson_6.pulled([90] * 4, [90] * 4, temperature).loss == pytest.approx(LOG(4))
    assert lesson_6.pulled([90] * 4, [90] * 4, loss="pull only").loss == pytest.approx(0)


def test_infonce_of_two_faces_by_hand():
    # dots 0° and 180°, rings 0° and 90°: cosines (1, 0) and (-1, 0)
    rows = -LOG(math.e / (math.e + 1)), -LOG(1 / (math.exp(-1) + 1))
    columns = -LOG(math.e / (math.e + math.exp(-1))), -LOG(1 / 2)
    assert lesson_6.pulled([0, 180], [0, 90], 1.0).loss == pytest.approx((sum(rows) + sum(columns)) / 4)


def test_the_pull_is_minus_the_slope_of_the_loss():
    first, second, small = np.array([10.0, 100, 250]), np.array([40.0, 90, 200]), 1e-4
    now = lesson_6.pulled(first, second, 0.4)
    ahead = lesson_6.pulled(first + np.rad2deg([small, 0, 0]), second, 0.4).loss
    behind = lesson_6.pulled(first - np.rad2deg([small, 0, 0]), second, 0.4).loss
    assert now.pull_first[0] == pytest.approx((behind - ahead) / (2 * small), abs=1e-6)
    assert now.taken_for.sum(1) == pytest.approx(np.ones(3))


def test_points_without_a_network_do_not_collapse_and_infonce_spreads_them():
    start = [20, 110, 200, 290], [65, 80, 235, 340]
    together = lesson_6.moved(*start, loss="pull only", steps=60)
    assert np.cos(np.deg2rad(together[0] - together[1])).min() > 0.99
    assert np.ptp(together[0]) > 90
    spread = lesson_6.moved(*start, temperature=0.3, steps=60)
    assert lesson_6.pulled(*spread, 0.3).loss < lesson_6.pulled(*together, 0.3).loss


def encoder(degrees) -> lesson_6.SmallEncoder:
    angles = np.deg2rad(degrees)
    points = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    return lesson_6.SmallEncoder(points, points, np.arange(len(points)) % 2 == 0)


def test_spread_of_one_point_and_of_a_full_circle():
    assert encoder([30] * 6).spread == pytest.approx(0, abs=1e-6)
    assert encoder(np.arange(6) * 60).spread == pytest.approx(1, abs=1e-6)
    assert encoder([30] * 6).nats == pytest.approx(LOG(6))


def test_the_loss_of_an_encoder_is_a_mean_over_batches_of_unseen_faces():
    one = lesson_6.train_small_encoder(None, count=8)
    assert len(one.first) == 8 * lesson_6.BATCHES and one.batch == 8
    views = [torch.tensor(view).reshape(-1, 8, 2) for view in (one.first, one.second)]
    each = [float(info_nce(*batch)) for batch in zip(*views, strict=True)]
    assert one.nats == pytest.approx(np.mean(each), abs=1e-5) and np.std(each) > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_training_with_infonce_lowers_it_and_no_further_than_the_circle_has_room(seed):
    trained, by_chance = (lesson_6.train_small_encoder(loss, seed=seed).nats for loss in ("InfoNCE", None))
    assert lesson_6.lowest_nats() < trained < by_chance < LOG(lesson_6.FACES)


def test_the_lowest_loss_of_a_circle_by_hand():
    # two faces opposite each other: cosines 1 and -1 over 0.1
    assert lesson_6.lowest_nats(2) == pytest.approx(LOG(1 + math.exp(-20)), abs=1e-12)


def test_a_small_encoder_is_a_function_of_its_seed():
    one, same, other = (
        lesson_6.train_small_encoder("InfoNCE", seed=seed, steps=2, count=8) for seed in (0, 0, 1)
    )
    assert (one.first == same.first).all() and (one.first != other.first).any()


def test_every_supervisor_has_symbols_and_a_row():
    table = lesson_6.table_of_supervisors()
    assert all(f"`{name}`" in table for name in SUPERVISORS)
    assert lesson_6.symbol("shape2_t") == r"$\tilde S^t$"


def test_the_nearest_rival_gets_more_of_the_push_where_it_is_colder():
    _, table = lesson_6_circle.draw_push(*RIVALS, 0.3)
    assert table[["rival 1", "rival 2", "rival 3"]].sum(axis=1).to_numpy() == pytest.approx(1)
    hot, cold = table["rival 1"].iloc[-1], table["rival 1"].iloc[0]
    assert hot < 0.5 and cold > 0.99  # colder is sharper


def test_points_at_rest_have_no_arrows():
    assert not lesson_6_circle.arrow_lengths(lesson_6.pulled([0, 180], [0, 180], 0.01)).any()


class TestInstrument:
    def loss(self, shown: Circle) -> float:
        return float(shown.text.value.split("</b>")[0].rpartition(" ")[2])

    def test_follows_its_buttons(self):
        shown = Circle()
        before = bytes(shown.picture.value)
        assert before.startswith(b"\x89PNG")
        shown.gather.click()
        assert shown.newest.wait(60) and bytes(shown.picture.value) != before
        assert self.loss(shown) == pytest.approx(LOG(4), abs=1e-3)
        shown.back.click()
        shown.loss.value = "pull only"
        assert shown.newest.wait(60)
        value = self.loss(shown)
        shown.walk.click()
        assert shown.newest.wait(60) and self.loss(shown) < value

    def test_answers_a_dragged_point_with_pulls_of_its_new_angle(self):
        shown = Circle()
        before = bytes(shown.picture.value)
        assert shown.points.pulls["at"] == [shown.points.first, shown.points.second]
        shown.points.first = [180.0, *shown.points.first[1:]]  # what the page sends
        assert shown.newest.wait(60) and bytes(shown.picture.value) != before
        assert shown.points.pulls["at"][0][0] == 180
        lengths = np.array(shown.points.pulls["lengths"])
        assert lengths.shape == (2, 4) and np.abs(lengths).max() == pytest.approx(lesson_6_circle.ARROW)
        now = lesson_6.pulled(shown.points.first, shown.points.second, 0.3)
        assert (np.sign(lengths[0]) * now.pull_first >= 0).all()

    def test_has_a_still_picture_for_pages_without_controls(self):
        bundle = Circle()._repr_mimebundle_()
        assert b64decode(bundle["image/png"]).startswith(b"\x89PNG")
        assert "application/vnd.jupyter.widget-view+json" in bundle


EXERCISES = {
    "collapsed loss": (
        lambda answer: lesson_6.check_collapsed_loss(answer, 16),
        [LOG(16), np.float32(2.77)],
        [0, 4, LOG(16) / LOG(10), LOG(15), 1 / 16, -LOG(16), 16, 7.3],
    ),
    "spread": (
        lambda answer: lesson_6.check_spread(answer, 0.3),
        [EVEN, (45, 135, 225, 315), np.array([270, 0, 180, 90]) - 720.0, [2, 92, 178, 271]],
        [
            (0, 0, 0, 0),
            (0, 1.57, 3.14, 4.71),
            (0, 90, 180),
            (0, 90, 180, 200),
            (0, 120, 240, 360),
            (0, 90, 180, math.nan),
        ],
    ),
    "temperature": (
        lambda answer: lesson_6.check_temperature(answer, *RIVALS),
        [0.15, 0.25, 0.3],
        [1, 0.03, 0, "cold"],
    ),
    "pooled shape": (
        lambda answer: lesson_6.check_pooled_shape(answer, 16, 1),
        [LOG(17)],
        [LOG(16), 0, LOG(32), math.log2(17), 1.0],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, [None, "three", {}, [], True, object()]


def test_even_spacing_is_right_at_every_temperature():
    assert all(lesson_6.check_spread(EVEN, one).state == "right" for one in (0.1, 0.3, 1.0))


def test_infonce_of_shapes_pooled_to_one_number_is_the_log_of_the_candidates():
    torch.manual_seed(0)
    project = Projector(68, grid=1)
    shapes = [torch.randn(5, 68, 28 * 28).softmax(-1).view(5, 68, 28, 28) for _ in range(4)]
    with torch.no_grad():
        first, second, *rivals = map(project, shapes)
        loss = info_nce(first, second, torch.stack(rivals, 1))
    assert float(loss) == pytest.approx(LOG(7), abs=1e-4)
    assert lesson_6.check_pooled_shape(float(loss), 5, 2).state == "right"
