"""The tables of attention say what the maps and the curves say; the figures draw those tables."""

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
    region_means,
    region_table,
    rollout_table,
    strongest_faces,
    true_regions,
)  # fmt: skip
from aubench.inspection.shown_faces import faces_from, faces_to_show, kept_faces
from aulib.run import Run
from conftest import write_tiny_set

AUS = ["AU01", "AU12"]  # of the tiny sets' labels


@pytest.fixture(scope="module")
def config(finished):
    return Run(finished.full).config


@pytest.fixture(scope="module")
def studied(finished, config):
    """Faces, invented regions (the upper half for AU01, the lower for AU12) and a run's maps."""
    faces = faces_from(finished.target, config, 8)
    labels = faces.occurrence.copy()
    labels[:4, :] = 1.0  # whatever was drawn: four faces show every AU
    faces = replace(faces, occurrence=labels)
    regions = np.zeros((len(faces), 2, config.image_size, config.image_size), bool)
    regions[:, 0, : config.image_size // 2] = True
    regions[:, 1, config.image_size // 2 :] = True
    return faces, regions, explain("full", finished.full, faces, AUS, 3, progress=False)


def test_the_region_table_has_the_measure_of_each_map(studied):
    faces, regions, explained = studied
    table = region_table(explained, faces, regions)
    own = table[(table["au"] == "AU12") & (table["map"] == "evidence")]
    shown = explained.shown["AU12"]
    assert own["name"].tolist() == faces.names[shown].tolist()
    maps = explained.evidence[shown, explained.index("AU12")].numpy()
    np.testing.assert_allclose(own["inside"], mass_inside(maps, regions[shown, 1]))
    assert len(shown) == 3 and own["area"].tolist() == [0.5] * 3
    assert (own["best"] > 0.8).all() and (own["inside"].dropna() <= own["best"] + 1e-6).all()
    assert (faces.occurrence[shown, explained.index("AU12")] == 1).all()


def test_means_and_their_interval_by_hand():
    inside = [0.2, 0.4, 0.6]
    table = pd.DataFrame({"run": "r", "map": "evidence", "au": "AU12", "inside": inside, "area": 0.1})
    row = region_means(table.assign(best=0.9, others=0.3)).iloc[0]
    assert row["inside"] == pytest.approx(0.4) and row["n"] == 3
    assert row["high"] - row["inside"] == pytest.approx(1.96 * 0.2 / np.sqrt(3))


def test_the_area_of_curves_by_hand():
    flat = {"run": "r", "au": "AU12", "curve": "deletion", "map": "random", "fraction": FRACTIONS}
    heights = {"x": 0.3, "y": 0.5}
    curves = pd.concat(pd.DataFrame(flat | {"name": n, "probability": p}) for n, p in heights.items())
    assert curve_areas(curves).to_dict("records") == [
        {"run": "r", "curve": "deletion", "map": "random", "area": pytest.approx(0.4), "n": 2}
    ]


def test_curves_start_and_end_at_the_face_and_the_blur_whatever_the_map(studied):
    faces, regions, explained = studied
    everywhere = replace(
        explained, probability=torch.ones_like(explained.probability)
    )  # so that all are found
    curves = curve_table(everywhere, faces, regions)
    assert len(curves) == 2 * 3 * 2 * 4 * len(FRACTIONS)  # AUs, faces, curves, maps
    ends = curves[curves["fraction"].isin((0.0, 1.0))]
    spread = ends.groupby(["au", "name", "curve", "fraction"])["probability"].agg(np.ptp)
    assert spread.max() < 1e-5
    swapped = ends.assign(curve=ends["curve"].map({"deletion": "insertion", "insertion": "deletion"}))
    swapped["fraction"] = 1 - swapped["fraction"]
    keys = ["au", "name", "map", "curve", "fraction"]
    both = ends.merge(swapped, on=keys, suffixes=("", "_back"))
    np.testing.assert_allclose(both["probability"], both["probability_back"], atol=1e-5)


def test_faces_without_truth_are_shown_and_not_measured(finished, config, tmp_path):
    assert faces_and_regions(finished.full, config, "", AUS, 3)[1] is None
    shown, regions = faces_and_regions(finished.full, config, str(finished.target), AUS, 3)
    assert regions is None and (shown.occurrence[:, [0, 2]] == 1).any(1).all()
    unlabelled = write_tiny_set(tmp_path / "unlabelled", labelled=False)
    shown, regions = faces_and_regions(finished.full, config, str(unlabelled), AUS, 3)
    assert regions is None and np.isnan(shown.occurrence).all()
    with pytest.raises(ValueError, match="keeps have no ground truth"):
        true_regions(kept_faces(finished.full, config, count=2), AUS, config)


def test_kept_faces_and_those_of_the_dataset_are_cut_alike(finished, config):
    kept = kept_faces(finished.full, config, "target", 4)
    again = faces_to_show(finished.full, config, str(finished.target), "target", 100)
    places = [again.names.tolist().index(name) for name in kept.names]
    assert (again[places].pictures == kept.pictures).all()
    np.testing.assert_allclose(again[places].landmarks, kept.landmarks, atol=1e-4)
    np.testing.assert_array_equal(again[places].occurrence, kept.occurrence)


class TestFigures:
    def test_maps_next_to_regions(self, finished, studied):
        faces, regions, _ = studied
        model = Run(finished.full).model
        strongest = strongest_faces(model, "features", faces, AUS, regions, count=3)
        table = strongest.table
        assert len(table) == 2 * 2 * 3 and set(table["map"]) == {"evidence", "gradients"}
        found = table[(table["au"] == "AU12") & (table["map"] == "evidence")]["probability"]
        assert found.is_monotonic_decreasing
        np.testing.assert_allclose(1 / (1 + np.exp(-table["logit"])), table["probability"], rtol=1e-4)
        gap = table["gap"].abs().groupby(table["map"])  # one map is exact, the other an integral in steps
        assert gap.max()["evidence"] < 1e-5 < gap.max()["gradients"]
        assert len(plots.draw_evidence_and_gradients(strongest, faces, regions).axes) == 4 * 3
        with pytest.raises(ValueError, match="AU45"):
            strongest_faces(model, "features", faces, ["AU45"])

    def test_shares_and_curves(self, studied):
        faces, regions, explained = studied
        explained = replace(explained, probability=torch.ones_like(explained.probability))
        _, means = plots.draw_mass_inside(region_table(explained, faces, regions))
        assert len(means) == 4
        figure = plots.draw_deletion_curves(curve_table(explained, faces, regions))
        assert len(figure.axes) == 2 and all(len(axis.lines) == 4 for axis in figure.axes)

    def test_landmark_responses(self, finished, studied):
        faces = studied[0][:2]
        maps, points = landmark_maps(Run(finished.full).model, faces.pictures)
        table = landmark_table(faces, maps, points)
        assert len(table) == 2 * 68 and table["error"].notna().all()
        assert len(plots.draw_landmark_responses(faces, maps, points).axes) == 2 * 6

    def test_rollout_of_a_uniform_map(self, studied):
        faces = studied[0][:2]
        uniform = torch.full((2, 4, 4), 1 / 16)
        table = rollout_table(faces, uniform)
        np.testing.assert_allclose(table["entropy"], np.log(16), rtol=1e-5)
        assert table["peak"].tolist() == [1, 1]
        assert len(plots.draw_rollout(faces, uniform, "vit").axes) == 2
