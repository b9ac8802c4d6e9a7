"""Domains: pose, base rates, occlusion, and subjects in one split only."""

import numpy as np
import pytest

from aufaces import clutter
from aufaces.actions import AUS, PROTOTYPES, VARIANTS
from aufaces.domains import (
    STUDIO,
    VARIED,
    WILD,
    domain_called,
    number_of_subjects,
    sample_face,
    split_of_subjects,
)


@pytest.mark.parametrize("domain", [STUDIO, WILD, VARIED])
@pytest.mark.parametrize("n", [4, 64, 5000])
def test_every_split_has_its_own_subjects(domain, n):
    count = number_of_subjects(domain, n)
    splits = split_of_subjects(domain, 3, count)
    assert len(splits) == count and set(splits) == {"train", "val", "test"}
    if n == 5000:
        assert splits.count("test") / count == pytest.approx(0.25, abs=0.03)
        assert splits.count("train") / count == pytest.approx(0.60, abs=0.05)


def test_a_subject_is_one_person_and_subjects_differ():
    samples = [sample_face(WILD, 0, k, 200) for k in range(200)]
    seeds = {}
    for sample in samples:
        assert seeds.setdefault(sample.subject, sample.face.person) == sample.face.person
    assert len({person.seed for person in seeds.values()}) == len(seeds) == number_of_subjects(WILD, 200)


def test_varied_people_rest_differently_and_their_labels_do_not_tell():
    """The person carries the offsets, alike in all faces; what an expression adds is labelled as in wild."""
    samples = [sample_face(VARIED, 0, k, 1600) for k in range(0, 1600, 4)]
    people = {sample.subject: sample.face.person for sample in samples}
    lifts = {who: dict(person.changes).get("browInnerUp", 0.0) for who, person in people.items()}
    assert np.std(list(lifts.values())) > 0.15 and abs(np.mean(list(lifts.values()))) < 0.05
    assert len({person.lines for person in people.values()}) > 0.8 * len(people)
    raised = [sample.face.expression.intensity[0] >= 2 for sample in samples]
    lift = [lifts[sample.subject] for sample in samples]
    assert abs(np.corrcoef(raised, lift)[0, 1]) < 0.12
    assert not sample_face(WILD, 0, 0, 50).face.person.lines


def test_varied_expressions_are_those_of_the_variants():
    """Mouths of angry faces are open or shut, and AU05 is there beside AU07, which `wild` never shows."""
    present = {}
    for domain in (WILD, VARIED):
        level = np.array([sample_face(domain, 0, k, 4500).face.expression.intensity for k in range(1500)])
        present[domain.name] = dict(zip(AUS, (level >= 2).T, strict=True))
    together = {name: (aus["AU05"] & aus["AU07"]).mean() for name, aus in present.items()}
    assert together["wild"] == 0 and together["varied"] > 0.02
    angry = present["varied"]["AU04"] & present["varied"]["AU07"]
    assert 0.3 < present["varied"]["AU25"][angry].mean() < 0.8
    assert {au for lists in VARIANTS.values() for aus in lists for au in aus} <= set(AUS)
    assert list(VARIANTS) == list(PROTOTYPES)


def test_a_face_depends_on_seed_and_index_alone():
    late = sample_face(WILD, 4, 17, 50).face
    [sample_face(WILD, 4, k, 50) for k in range(17)]
    assert sample_face(WILD, 4, 17, 50).face == late != sample_face(WILD, 5, 17, 50).face


def test_studio_is_frontal_and_wild_is_not():
    yaw = {
        d.name: np.degrees([abs(sample_face(d, 0, k, 300).face.shot.yaw) for k in range(300)])
        for d in (STUDIO, WILD)
    }
    assert yaw["studio"].max() <= 10 and 30 < yaw["wild"].max() <= 45
    assert len({sample_face(STUDIO, 0, k, 5000).subject for k in range(0, 5000, 20)}) <= 28


def test_domains_differ_in_base_rates_and_strength():
    present, strength = {}, {}
    for domain in (STUDIO, WILD):
        level = np.array([sample_face(domain, 0, k, 400).face.expression.intensity for k in range(400)])
        present[domain.name] = (level >= 2).mean(0)
        strength[domain.name] = level[level >= 2].mean()
    assert np.abs(present["studio"] - present["wild"]).max() > 0.05
    assert strength["wild"] < strength["studio"]
    assert min(p.min() for p in present.values()) > 0.03


def test_the_occluded_share_is_as_declared():
    class Rendering:
        landmarks = np.random.default_rng(0).uniform(20, 44, (68, 2)).astype(np.float32)
        eye_centres = np.array([[0.3, 0, 0], [-0.3, 0, 0]])
        pixels_per_dm = 20.0

        @staticmethod
        def project(points):
            return points[:, :2] * 20 + 32

    person = sample_face(WILD, 0, 0, 50).face.person
    blank = np.full((64, 64, 3), 128, np.uint8)
    changed = [
        not np.array_equal(clutter.occlude(np.random.default_rng(k), blank, Rendering, person), blank)
        for k in range(400)
    ]
    assert abs(np.mean(changed) - clutter.OCCLUDED_SHARE) < 0.07


def test_an_unknown_domain_is_refused():
    with pytest.raises(ValueError, match="'moon'.*studio, wild"):
        domain_called("moon")
