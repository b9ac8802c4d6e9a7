"""Linear probes find what is linear; distances of the two rounds are worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from aulib import linear_probes
from aulib.metrics import landmark_scores
from aulib.run import Run
from aulib.supervisors import SUPERVISORS
from tiny import tiny_faces, tiny_model

RNG = np.random.default_rng(0)
LABELS = np.tile([0.0, 1.0], 30)


def four_sets(**changes) -> dict:
    places = [(domain, split) for domain in ("source", "target") for split in ("val", "test")]
    return {place: tiny_faces(8, seed) for seed, place in enumerate(places)} | changes


class TestProbe:
    def test_finds_what_is_linear_and_only_that(self):
        noise = RNG.normal(size=(60, 20))
        holds = np.concatenate([noise, 3 * LABELS[:, None]], axis=1)
        assert linear_probes.probe_auc(linear_probes.fit_probe(holds, LABELS), holds, LABELS) == 1
        read = linear_probes.fit_probe(noise, LABELS)
        fresh = RNG.normal(size=(400, 20))
        assert linear_probes.probe_auc(read, fresh, np.tile([0.0, 1.0], 200)) == pytest.approx(0.5, abs=0.1)

    def test_unknown_labels_are_left_out_of_fitting_and_of_scoring(self):
        features = np.concatenate([LABELS[:, None], RNG.normal(size=(60, 3))], axis=1)
        with_unknown = np.concatenate([LABELS, [np.nan, np.nan]])
        wild = np.concatenate([features, np.full((2, 4), 1e6)])
        read, read_plain = (
            linear_probes.fit_probe(wild, with_unknown),
            linear_probes.fit_probe(features, LABELS),
        )
        np.testing.assert_allclose(read(features), read_plain(features))
        assert linear_probes.probe_auc(read, wild, with_unknown) == linear_probes.probe_auc(
            read, features, LABELS
        )

    def test_one_class_alone_gives_nan(self):
        features = RNG.normal(size=(60, 3))
        assert linear_probes.fit_probe(features, np.ones(60)) is None
        read = linear_probes.fit_probe(features, LABELS)
        assert np.isnan(linear_probes.probe_auc(read, features, np.zeros(60)))
        assert np.isnan(linear_probes.probe_auc(None, features, LABELS))

    def test_domain_probe_separates_shifted_features(self):
        near, far = RNG.normal(size=(4, 30, 5)), RNG.normal(size=(4, 30, 5))
        places = [(domain, split) for domain in ("source", "target") for split in ("val", "test")]
        apart = {place: some + 9 * (place[0] == "target") for place, some in zip(places, near, strict=True)}
        assert linear_probes.domain_probe(apart) == 1
        assert linear_probes.domain_probe(dict(zip(places, far, strict=True))) < 0.75
        assert np.isnan(linear_probes.domain_probe(apart | {("target", "val"): np.empty((0, 0))}))


class TestLandmarkProbe:
    def test_reads_what_is_linear_and_no_more_than_the_mean_face_otherwise(self):
        sets = {place: tiny_faces(200, seed) for seed, place in enumerate(four_sets())}
        points = {place: some.landmarks.reshape(len(some), -1) for place, some in sets.items()}
        noise = {place: RNG.normal(size=(200, 30)) for place in sets}
        found, blind = (linear_probes.landmark_probe("rich", some, sets) for some in (points, noise))
        mean = np.concatenate([sets[domain, "val"].landmarks for domain in ("source", "target")]).mean(0)
        for domain in ("source", "target"):
            true = sets[domain, "test"].landmarks
            expected = landmark_scores(np.broadcast_to(mean, true.shape), true)["landmarks.nme"]
            assert found[f"insides.landmark_probe.mean_face.{domain}"] == pytest.approx(expected)
            assert found[f"insides.landmark_probe.rich.{domain}"] < 0.3 * expected
            assert blind[f"insides.landmark_probe.rich.{domain}"] > 0.9 * expected

    def test_faces_without_all_landmarks_are_left_out(self):
        sets = four_sets()
        points = {place: some.landmarks.reshape(len(some), -1) for place, some in sets.items()}
        whole = linear_probes.landmark_probe("rich", points, sets)
        for place, some in sets.items():
            lacking = some.landmarks[:1].copy()
            lacking[0, 3] = np.nan
            landmarks = np.concatenate([some.landmarks, lacking])
            sets[place] = replace(some, landmarks=landmarks, rows=np.arange(9))
            points[place] = np.concatenate([points[place], np.full((1, 136), 1e6)])
        assert linear_probes.landmark_probe("rich", points, sets) == pytest.approx(whole)
        for place, some in sets.items():
            sets[place] = replace(some, landmarks=np.full_like(some.landmarks, np.nan))
        assert all(np.isnan(value) for value in linear_probes.landmark_probe("rich", points, sets).values())


class TestSeparationSoFar:
    def test_probes_learn_from_other_faces_than_they_are_scored_on(self, monkeypatch):
        probed = []

        def remember(name, features, faces, aus):
            probed.append(({place[0] for place in features}, faces["source", "val"], faces["source", "test"]))
            return {}

        monkeypatch.setattr(linear_probes, "au_probe", remember)
        source, target = tiny_faces(11), tiny_faces(9, seed=1).without_labels()
        linear_probes.separation_so_far(tiny_model("full"), source, target)
        assert len(probed) == 2  # F and Z
        for domains, fitted, scored in probed:
            assert domains == {"source"}
            assert sorted([*fitted.rows, *scored.rows]) == list(range(11))

    @pytest.mark.parametrize("training", [True, False])
    def test_needs_no_target_label_and_leaves_the_mode_of_the_model(self, training):
        model = tiny_model("full").train(training)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        found = linear_probes.separation_so_far(model, tiny_faces(), tiny_faces(seed=1).without_labels())
        assert model.training == training
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert {key for key in found if "au_probe" in key} == {
            "insides.au_probe.rich.source", "insides.au_probe.texture.source",
        }  # fmt: skip
        assert {f"insides.{name}" for name in linear_probes.SO_FAR} < found.keys()
        assert np.isfinite(list(found.values())).all()


class TestAgreement:
    @pytest.fixture
    def outputs(self, monkeypatch):
        """Two faces, features of one channel on the grid; both rounds equal until a test changes that."""
        first = torch.zeros(2, 1, linear_probes.GRID, linear_probes.GRID)
        first[0, 0, 0, 0] = first[1, 0, 1, 1] = 1.0  # orthogonal faces
        keys = {key for row in SUPERVISORS.values() for key in (row.first, row.second)}
        keys |= {f"{name}_{domain}" for name in ("self", "swapped") for domain in "st"}
        made = {key: first.clone() for key in keys}
        monkeypatch.setattr(linear_probes, "paired_outputs", lambda *_: made)
        return made

    def measured(self) -> dict:
        return linear_probes.round_agreement(None, tiny_faces(2), tiny_faces(2))

    def test_equal_rounds_have_distance_zero_and_find_their_face(self, outputs):
        found = self.measured()
        for name in SUPERVISORS:
            assert found[f"insides.distance.{name}"] == pytest.approx(0, abs=1e-6)
            assert found[f"insides.own_face.{name}"] == 1
        assert found["insides.reconstruction.second"] == found["insides.moves.shape"] == 0

    def test_exchanged_faces_have_distance_one_and_find_each_other(self, outputs):
        outputs["texture2_t"] = outputs["texture2_t"].flip(0)
        found = self.measured()
        assert found["insides.distance.texture_target"] == pytest.approx(1)
        assert found["insides.own_face.texture_target"] == 0
        assert found["insides.distance.texture_source"] == pytest.approx(0, abs=1e-6)

    def test_errors_are_in_units_of_the_spread_of_faces(self, outputs):
        # each face is 1/2 away from the mean face in its own cell and in the other's: mean |.| = 2 (1/2) / 49
        spread = 1 / linear_probes.GRID**2
        outputs["rich2_s"] = outputs["rich2_s"] + 0.1
        assert self.measured()["insides.reconstruction.second"] == pytest.approx(0.05 / spread, rel=1e-4)
        assert self.measured()["insides.reconstruction.self"] == 0

    def test_a_swap_that_only_the_shape_decides_moves_g_with_the_shape(self, outputs):
        # G gives 1 for the source's shape and 0 for the target's, whatever the texture
        for domain, given in (("s", 1.0), ("t", 0.0)):
            outputs[f"self_{domain}"] = torch.full((2, 1, 7, 7), given)
            outputs[f"swapped_{domain}"] = torch.full((2, 1, 7, 7), 1 - given)
        found = self.measured()
        assert found["insides.moves.texture"] == 0 and found["insides.moves.shape"] == pytest.approx(49)

    def test_all_values_are_nan_without_faces(self):
        none = replace(tiny_faces(2), rows=np.arange(0))
        assert all(
            np.isnan(value) for value in linear_probes.round_agreement(None, none, tiny_faces(2)).values()
        )


class TestLookInside:
    def test_target_labels_only_score(self):
        model = tiny_model("full").eval()
        sets = four_sets()
        found = linear_probes.probe_model(model, sets)
        for split in ("val", "test"):
            faces = sets["target", split]
            sets["target", split] = replace(faces, occurrence=1 - faces.occurrence)
        turned = linear_probes.probe_model(model, sets)
        for key in found:
            if key.endswith(".target") and "landmark" not in key:  # AUC of turned labels is what is left to 1
                assert turned[key] == pytest.approx(1 - found[key], nan_ok=True), key
            else:
                assert turned[key] == pytest.approx(found[key], nan_ok=True), key

    def test_probes_are_nan_without_validation_faces(self):
        empty = replace(tiny_faces(4), rows=np.arange(0))
        found = linear_probes.probe_model(tiny_model("full").eval(), four_sets() | {("source", "val"): empty})
        assert np.isnan(found["insides.au_probe.rich.source"])
        assert np.isnan(found["insides.domain_probe.rich"])

    def test_paired_outputs_are_the_models_own(self):
        model, faces = tiny_model("full").eval(), tiny_faces(3)
        made = linear_probes.paired_outputs(model, faces, faces, size=2)  # a batch of two and one of one
        image = torch.cat(list(linear_probes.crops_of(model, faces)))
        with torch.no_grad():
            whole = model(torch.cat([image, image]), 3, separate=True)
        torch.testing.assert_close(made["rich2_t"], whole["rich2_t"], rtol=1e-4, atol=1e-5)

    def test_probes_are_in_the_metrics_of_a_run(self, finished):
        full, plain = Run(finished.full).metrics, Run(finished.source_only).metrics
        assert {"insides.domain_probe.texture", "insides.moves.shape"} <= full.keys()
        assert "insides.domain_probe.rich" in plain
        assert not [key for key in plain if "texture" in key or "shape" in key]
