"""Tables of attention hold the measures of the maps and curves; figures draw those tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from aubench import plots
from aubench.inspection.attention import FRACTIONS, landmark_maps, mass_inside
from aubench.inspection.attention_study import (
    curve_areas,
    curve_table,
    explain,
    faces_and_regions,
    landmark_table,
    map_table,
    region_means,
    rollout_table,
    true_regions,
)
from aubench.inspection.shown_faces import faces_from, faces_to_show, kept_faces
from aulib.run import Run
from conftest import write_tiny_set

AUS = ["AU01", "AU12"]  # of the tiny sets' labels


@pytest.fixture(scope="module")
def config(finished):
    return Run(finished.full).model.config


@pytest.fixture(scope="module")
def faces(finished, config):
    """Eight faces; the first four are labelled with every AU."""
    faces = faces_from(finished.target, config, 8)
    labels = faces.occurrence.copy()
    labels[:4, :] = 1.0
    return replace(faces, occurrence=labels)


@pytest.fixture(scope="module")
def regions(config):
    """The upper half for AU01, the lower for AU12."""
    regions = np.zeros((8, 2, config.image_size, config.image_size), bool)
    regions[:, 0, : config.image_size // 2] = True
    regions[:, 1, config.image_size // 2 :] = True
    return regions


@pytest.fixture(scope="module")
def explained(finished, faces):
    return explain(Run(finished.full), faces, AUS, 3)


@pytest.fixture(scope="module")
def curves(explained, faces, regions):
    """With all AUs found on all faces."""
    return curve_table(replace(explained, logits=torch.ones_like(explained.logits)), faces, regions)


def test_shares_are_those_of_each_map_on_labelled_faces(explained, faces, regions):
    table = map_table(explained, faces, regions).query("au == 'AU12' and map == 'evidence'")
    shown, index = explained.places["AU12"], explained.index("AU12")
    assert table["name"].tolist() == faces.names[shown].tolist() and len(shown) == 3
    assert (faces.occurrence[shown, index] == 1).all()
    maps = explained.evidence[shown, index].numpy()
    np.testing.assert_allclose(table["inside"], mass_inside(maps, regions[shown, 1]))
    assert table["area"].tolist() == [0.5] * 3
    assert (table["best"] > 0.8).all() and (table["inside"].dropna() <= table["best"] + 1e-6).all()


def test_the_strongest_faces_and_what_their_maps_miss_of_the_logit(finished, faces, regions):
    strongest = explain(Run(finished.full), faces, AUS, 3, strongest=True)
    table = map_table(strongest, faces, regions)
    assert len(table) == 2 * 2 * 3
    found = table.query("au == 'AU12' and map == 'evidence'")["probability"]
    assert found.is_monotonic_decreasing
    assert found.iloc[0] == pytest.approx(float(strongest.logits[:, strongest.index("AU12")].max().sigmoid()))
    np.testing.assert_allclose(1 / (1 + np.exp(-table["logit"])), table["probability"], rtol=1e-4)
    gap = table["gap"].abs().groupby(table["map"]).max()
    assert gap["evidence"] < 1e-5 < gap["gradients"]  # one is exact, the other an integral in steps
    assert len(plots.draw_evidence_and_gradients(strongest, table, faces, regions).axes) == 4 * 3
    with pytest.raises(ValueError, match="AU45"):
        explain(Run(finished.full), faces, ["AU45"], 3)


def test_means_and_their_interval_by_hand():
    table = pd.DataFrame(
        {"run": "r", "map": "evidence", "au": "AU12", "inside": [0.2, 0.4, 0.6], "area": 0.1}
    )
    row = region_means(table.assign(best=0.9, others=0.3)).iloc[0]
    assert row["inside"] == pytest.approx(0.4) and row["n"] == 3
    assert row["high"] - row["inside"] == pytest.approx(1.96 * 0.2 / np.sqrt(3))
    assert row["inside"] - row["low"] == pytest.approx(1.96 * 0.2 / np.sqrt(3))


def test_the_area_of_curves_by_hand():
    flat = {"run": "r", "au": "AU12", "curve": "deletion", "map": "random", "fraction": FRACTIONS}
    heights = {"x": 0.3, "y": 0.5}
    curves = pd.concat(pd.DataFrame(flat | {"name": n, "probability": p}) for n, p in heights.items())
    assert curve_areas(curves).to_dict("records") == [
        {"run": "r", "curve": "deletion", "map": "random", "area": pytest.approx(0.4), "n": 2}
    ]


def test_curves_start_and_end_at_the_face_and_the_blur_whatever_the_map(curves):
    assert len(curves) == 2 * 3 * 2 * 4 * len(FRACTIONS)  # AUs, faces, curves, maps
    ends = curves[curves["fraction"].isin((0.0, 1.0))]
    spread = ends.groupby(["au", "name", "curve", "fraction"])["probability"].agg(np.ptp)
    assert spread.max() < 1e-5
    back = ends.assign(curve=ends["curve"].map({"deletion": "insertion", "insertion": "deletion"}))
    back["fraction"] = 1 - back["fraction"]
    both = ends.merge(back, on=["au", "name", "map", "curve", "fraction"], suffixes=("", "_back"))
    np.testing.assert_allclose(both["probability"], both["probability_back"], atol=1e-5)


def test_shares_and_curves_are_drawn(explained, faces, regions, curves):
    means = region_means(map_table(explained, faces, regions))
    assert len(means) == 4 and len(plots.draw_mass_inside(means).axes) == 2
    figure = plots.draw_deletion_curves(curves)
    for axis, kind in zip(figure.axes, ("deletion", "insertion"), strict=True):
        lines = [line for line in axis.lines if len(line.get_xdata())]
        shown = curves[curves["curve"] == kind].groupby(["map", "fraction"], sort=False)["probability"].mean()
        assert len(lines) == 4
        for line, name in zip(lines, curves["map"].unique(), strict=True):
            np.testing.assert_allclose(line.get_ydata(), shown[name], rtol=1e-5)


def test_faces_without_true_regions_are_shown_and_not_measured(finished, config, tmp_path):
    assert faces_and_regions(Run(finished.full), "", AUS, 3)[1] is None
    shown, regions = faces_and_regions(Run(finished.full), str(finished.target), AUS, 3)
    assert regions is None and (shown.occurrence[:, [0, 2]] == 1).any(1).all()
    unlabelled = write_tiny_set(tmp_path / "unlabelled", labelled=False)
    shown, regions = faces_and_regions(Run(finished.full), str(unlabelled), AUS, 3)
    assert regions is None and np.isnan(shown.occurrence).all()
    with pytest.raises(ValueError, match="rendered"):
        true_regions(kept_faces(Run(finished.full), count=2), AUS, config)


def test_kept_faces_and_those_of_the_dataset_are_cut_alike(finished, config):
    kept = kept_faces(Run(finished.full), "target", 4)
    again = faces_to_show(Run(finished.full), str(finished.target), "target", 100)
    places = [again.names.tolist().index(name) for name in kept.names]
    assert (again[places].pictures == kept.pictures).all()
    np.testing.assert_allclose(again[places].landmarks, kept.landmarks, atol=1e-4)
    np.testing.assert_array_equal(again[places].occurrence, kept.occurrence)


def test_landmark_responses(finished, faces):
    maps, points = landmark_maps(Run(finished.full).model, faces[:2].pictures)
    table = landmark_table(faces[:2], maps, points)
    assert len(table) == 2 * 68 and table["error"].notna().all()
    assert table["peak"].iloc[70] == maps[1, 2].max()
    assert len(plots.draw_landmark_responses(faces[:2], maps, points).axes) == 2 * 6


def test_rollout_of_a_uniform_map(faces):
    uniform = torch.full((2, 4, 4), 1 / 16)
    table = rollout_table(faces[:2], uniform)
    np.testing.assert_allclose(table["entropy"], np.log(16), rtol=1e-5)
    assert table["peak"].tolist() == [1, 1]
    assert len(plots.draw_rollout(faces[:2], uniform, "vit").axes) == 2


def test_an_au_that_the_run_does_not_know_is_named(finished):
    with pytest.raises(ValueError, match=r"does not detect AU99; choose from AU01, AU06, AU12, AU26"):
        faces_and_regions(Run(finished.full), "", ["AU12", "AU99"], 3)
