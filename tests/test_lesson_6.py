"""Points on a circle do what the lesson says, and its checks have a fitting word for each mistake."""

import math
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest

import circle
import circle_figures
import lesson_6
from aulib.methods import SUPERVISORS
from circle_instrument import Circle

EVEN = [0, 90, 180, 270]
RIVALS = (90, 115, [150, 200, 300])


def test_the_loss_of_a_collapse_is_guessing_at_every_temperature():
    for temperature in (0.05, 1.0):
        assert circle.pulled([90] * 4, [90] * 4, temperature).loss == pytest.approx(math.log(4))
    assert circle.pulled([90] * 4, [90] * 4, loss="pull only").loss == pytest.approx(0)


def test_infonce_of_two_faces_is_worked_by_hand():
    # dots 0° and 180°, rings 0° and 90°: cosines (1, 0) and (-1, 0)
    rows = -math.log(math.e / (math.e + 1)), -math.log(1 / (math.exp(-1) + 1))
    columns = -math.log(math.e / (math.e + math.exp(-1))), -math.log(1 / 2)
    assert circle.pulled([0, 180], [0, 90], 1.0).loss == pytest.approx((sum(rows) + sum(columns)) / 4)


def test_the_pull_is_minus_the_slope_of_the_loss():
    first, second, small = np.array([10.0, 100, 250]), np.array([40.0, 90, 200]), 1e-4
    now = circle.pulled(first, second, 0.4)
    ahead = circle.pulled(first + np.rad2deg([small, 0, 0]), second, 0.4).loss
    behind = circle.pulled(first - np.rad2deg([small, 0, 0]), second, 0.4).loss
    assert now.pull_first[0] == pytest.approx((behind - ahead) / (2 * small), abs=1e-6)
    assert now.taken_for.sum(1) == pytest.approx(np.ones(3))


def test_free_points_meet_where_they_stand_and_infonce_spreads_them():
    start = [20, 110, 200, 290], [65, 80, 235, 340]
    together = circle.moved(*start, loss="pull only", steps=60)
    assert np.cos(np.deg2rad(together[0] - together[1])).min() > 0.99
    assert np.ptp(together[0]) > 90
    spread = circle.moved(*start, temperature=0.3, steps=60)
    assert circle.pulled(*spread, 0.3).loss < circle.pulled(*together, 0.3).loss


def test_an_unknown_loss_is_named():
    with pytest.raises(ValueError, match="'tug' is none of InfoNCE, pull only"):
        circle.pulled([0], [0], loss="tug")


def test_shares_of_the_push_sharpen_as_it_gets_colder():
    hot, cold = (circle.share_of_push(np.array([0.9, 0.5]), one) for one in (10.0, 0.1))
    assert hot == pytest.approx([0.5, 0.5], abs=0.02) and cold[0] > 0.97
    assert circle.share_of_push(np.array([1.0, -1.0]), 1e-3).tolist() == [1, 0]


def encoder(degrees) -> circle.SmallEncoder:
    angles = np.deg2rad(degrees)
    points = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    return circle.SmallEncoder(points, points, np.arange(len(points)) % 2 == 0)


def test_spread_tells_one_point_from_a_full_circle():
    assert encoder([30] * 6).spread == pytest.approx(0, abs=1e-6)
    assert encoder(np.arange(6) * 60).spread == pytest.approx(1, abs=1e-6)
    assert encoder([30] * 6).nats == pytest.approx(math.log(6))


def test_a_small_encoder_is_a_function_of_its_seed():
    one, same, other = (circle.train_small_encoder("InfoNCE", seed=s, steps=2, number=8) for s in (0, 0, 1))
    assert (one.first == same.first).all() and (one.first != other.first).any()


@pytest.mark.parametrize(
    "against, words",
    [(np.arange(6) * 60, "as was said beforehand"), ([30] * 6, "does **not** show")],
)
def test_the_sentence_about_the_encoders_follows_their_spread(against, words):
    full, point = encoder(np.arange(6) * 60), encoder([30] * 6)
    named = {"not trained": full, "pull only": point, "pull only, and a task": point}
    said = lesson_6.said_of_encoders(named | {"InfoNCE": encoder(against)})
    assert words in said and "**pull only** collapsed" in said
    assert "**not trained** scatters" in said


def six(projected: float, other: float, loss: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [(name, step, loss, 2.0) for name in SUPERVISORS for step in (0, 10)]
    curves = pd.DataFrame(rows, columns=["supervisor", "step", "value", "chance"])
    alignment = pd.DataFrame(
        {"supervisor": list(SUPERVISORS), "projected": projected, "projected_other": other}
    )
    return curves, alignment


@pytest.mark.parametrize(
    "values, words",
    [
        ((0.9, 0.1, 0.1), "6 of 6 are below a tenth"),
        ((0.9, 0.1, 1.0), "No supervisor has collapsed"),
        ((0.99, 0.98, 2.0), "That would be a collapse"),
        ((0.3, 0.2, 1.0), "tells them apart least (+0.10)"),
        ((0.3, 0.2, 2.0), "Hardly learned yet: `rich_source`"),
    ],
)
def test_the_sentence_about_the_six_follows_their_numbers(values, words):
    assert words in lesson_6.said_of_six(*six(*values))


def test_every_supervisor_has_symbols_and_a_row():
    table = lesson_6.table_of_supervisors()
    assert all(f"`{name}`" in table for name in SUPERVISORS)
    assert lesson_6.symbol("shape2_t") == r"$\tilde S^t$"


def test_figures_are_drawn_and_what_is_behind_them_comes_along():
    assert len(circle_figures.draw_arrangements({"a": (EVEN, EVEN), "b": (EVEN, EVEN)}, 0.3).axes) == 2
    figure, table = circle_figures.draw_push(*RIVALS, 0.3)
    assert table[["rival 1", "rival 2", "rival 3"]].sum(axis=1).to_numpy() == pytest.approx(1)
    assert circle_figures.draw_encoders({"a": encoder(EVEN)}).axes
    assert len(circle_figures.draw_six(*six(0.9, 0.1, 1.0)).axes) == 2


def test_the_instrument_follows_its_sliders_and_walks():
    shown = Circle()
    before = bytes(shown.picture.value)
    assert before.startswith(b"\x89PNG") and "log 4" in shown.said.value
    shown.gather.click()
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before
    assert f"{math.log(4):.3f}</b>" in shown.said.value
    shown.back.click()
    shown.loss.value = "pull only"
    assert shown.newest.wait(60)
    value = float(shown.said.value.split("</b>")[0].rpartition(" ")[2])
    shown.walk.click()
    assert shown.newest.wait(60)
    assert float(shown.said.value.split("</b>")[0].rpartition(" ")[2]) < value


def test_a_dragged_point_is_answered_with_pulls_of_the_angles_it_went_to():
    shown = Circle()
    before = bytes(shown.picture.value)
    assert shown.points.pulls["at"] == [shown.points.first, shown.points.second]
    shown.points.first = [180.0, *shown.points.first[1:]]  # what the page sends
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before
    assert shown.points.pulls["at"][0][0] == 180
    lengths = np.array(shown.points.pulls["lengths"])
    assert lengths.shape == (2, 4) and np.abs(lengths).max() == pytest.approx(circle_figures.ARROW)
    now = circle.pulled(shown.points.first, shown.points.second, 0.3)
    assert (np.sign(lengths[0]) * now.pull_first >= 0).all()


def test_a_page_without_controls_gets_a_still_picture():
    bundle = Circle()._repr_mimebundle_()
    assert b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_points_at_rest_have_no_arrows():
    still = circle.pulled([0, 180], [0, 180], 0.01)
    assert not circle_figures.arrow_lengths(still).any()


LOG = math.log


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0, "pull only"),
        (4, "bits"),
        (LOG(16) / LOG(10), "base 10"),
        (LOG(15), "own second view is a candidate"),
        (1 / 16, "minus its logarithm"),
        (-LOG(16), "not below zero"),
        (16, "how many candidates"),
        (7.3, "which probability"),
        ("log 16", "Wanted"),
        (None, "Wanted"),
        (True, "Wanted"),
    ],
)
def test_a_wrong_loss_of_a_collapse_gets_its_hint(answer, hint):
    verdict = lesson_6.check_collapsed_loss(answer, 16)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize(
    "answer, hint",
    [
        ([0, 0, 0, 0], "own views are not enough"),
        ([0, 1.57, 3.14, 4.71], "radians"),
        ([0, 90, 180], "4 angles"),
        ([0, 90, 180, 200], "Faces 3 and 4 are only 20° apart"),
        ([0, 120, 240, 360], "Faces 1 and 4 are only 0° apart"),
        ([0, 90, 180, float("nan")], "finite"),
        (45, "4 angles"),
        ("even", "Wanted"),
        ({}, "Wanted"),
    ],
)
def test_a_wrong_arrangement_gets_its_hint(answer, hint):
    verdict = lesson_6.check_spread(answer, 0.3)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize(
    "answer, hint",
    [(1, "ones are still heard"), (0.03, "is left to pull"), (0, "above zero"), (-1, "above zero"),
     (float("inf"), "above zero"), ("cold", "Wanted"), ([0.2], "Wanted"), (None, "Wanted")],
)  # fmt: skip
def test_a_wrong_temperature_gets_its_hint(answer, hint):
    verdict = lesson_6.check_temperature(answer, *RIVALS)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize(
    "answer, hint",
    [
        (LOG(16), "joins the batch"),
        (0, "told from the others"),
        (LOG(32), "others' rivals"),
        (math.log2(17), "bits"),
        (1.0, "sums to 1"),
        ("17", "Wanted"),
        ([], "Wanted"),
    ],
)
def test_a_wrong_loss_of_pooled_shapes_gets_its_hint(answer, hint):
    verdict = lesson_6.check_pooled_shape(answer, 16, 1)
    assert verdict.state == "wrong" and hint in verdict.message


def test_right_answers_are_right_however_they_are_written():
    assert lesson_6.check_collapsed_loss(LOG(16), 16).state == "right"
    assert lesson_6.check_collapsed_loss(np.float32(2.77), 16).state == "right"
    for answer in (EVEN, (45, 135, 225, 315), np.array([270, 0, 180, 90]) - 720.0, [2, 92, 178, 271]):
        for temperature in (0.1, 0.3, 1.0):
            assert lesson_6.check_spread(answer, temperature).state == "right"
    assert all(lesson_6.check_temperature(one, *RIVALS).state == "right" for one in (0.15, 0.25, 0.3))
    assert lesson_6.check_pooled_shape(LOG(17), 16, 1).state == "right"
    assert lesson_6.loss_of_pooled_shapes(5, 2) == pytest.approx(LOG(7), abs=1e-4)
