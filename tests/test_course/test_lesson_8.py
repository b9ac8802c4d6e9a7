"""Lesson 8: photographs and stand-ins, equal heads, and a hint for each mistake."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import lesson_8
import lesson_8_heads
from aufaces.people import sample_person, skin_tone
from conftest import write_tiny_set
from lesson_8_heads import LEVELS, REFERENCE, HeadPredictions, at_age, at_tone, crossed_interval
from tried_exercises import TriedExercises

PERSON = sample_person(5, (0.62, 0.85))
AGES = LEVELS["age"]


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Six stand-ins, prepared with the renderer's landmarks."""
    out = tmp_path_factory.mktemp("photographs")
    album = lesson_8.photographs("", out, 6, 1)
    album = replace(album, landmarks=album.folder.parent / "landmarks.csv")
    return album, lesson_8.prepared(album, out / "faces")


class TestPhotographs:
    def test_stand_ins_have_no_labels_and_files_without_a_face_are_skipped(self, few):
        album, faces = few
        assert len(faces) == 6 and not faces.aus
        assert set(faces.table["meta_source"]) == set(album.truth["image"])
        skipped = lesson_8.skipped(faces)
        assert skipped["count"].tolist() == [1, 1] and "unreadable" in set(skipped["reason"])

    def test_without_the_extra_the_renderer_gives_landmarks_and_photographs_are_refused(
        self, monkeypatch, tmp_path, few
    ):
        def missing():
            raise ModuleNotFoundError("no detector")

        monkeypatch.setattr(lesson_8, "require_detector", missing)
        assert lesson_8.photographs("", few[0].folder.parents[1], 6, 1).landmarks.is_file()
        with pytest.raises(ModuleNotFoundError):
            lesson_8.photographs(str(tmp_path), tmp_path, 6)

    def test_own_photographs_have_no_truth(self, monkeypatch, tmp_path):
        monkeypatch.setattr(lesson_8, "require_detector", lambda: None)
        assert lesson_8.photographs(str(tmp_path), tmp_path, 6).truth is None

    def test_every_place_with_faces_is_listed(self, few, tmp_path):
        (tmp_path / "samples.npz").write_bytes(b"faces")
        table = lesson_8.where_faces_are(few[1].root, tmp_path).set_index("holds")
        assert table.loc["stored pictures", "files"] == 6
        assert table.loc["faces that a run keeps", ["place", "files"]].tolist() == [str(tmp_path), 1]

    def test_found_faces_are_counted_by_the_turn_of_the_head(self, few):
        album, faces = few
        truth = album.truth.assign(yaw=[0, 0, 14.9, 15, 30, 40.0])
        lost = truth["image"].iloc[-2:]
        kept = replace(faces, table=faces.table[~faces.table["meta_source"].isin(lost)])
        table = lesson_8.found_by_turn(replace(album, truth=truth), kept)
        assert table[["faces", "found"]].to_numpy().tolist() == [[3, 3], [1, 1], [2, 0]]

    def test_strongest_faces_are_compared_with_the_truth_if_there_is_one(self, few):
        album, faces = few
        table = pd.DataFrame({"image": faces.table["image"], "status": "ok"})
        truth = faces.table.merge(album.truth, left_on="meta_source", right_on="image")["AU12"]
        table["AU12_p"] = truth * 0.5 + 0.2
        row = lesson_8.strongest(table, album, faces).iloc[0]
        assert row.tolist() == ["AU12", truth.mean(), truth.mean(), truth.sum()]
        own = lesson_8.strongest(table, replace(album, truth=None), faces)
        assert own.to_numpy().tolist() == [["AU12", truth.mean()]]


def test_a_variant_differs_in_nothing_else():
    assert at_tone(PERSON, 0.9).skin == skin_tone(0.9)
    assert replace(at_tone(PERSON, 0.9), skin=PERSON.skin, lips=PERSON.lips) == PERSON
    old = at_age(PERSON, 1.0)
    assert old.folds > PERSON.folds and replace(old, age=PERSON.age, folds=PERSON.folds) == PERSON
    young = at_age(PERSON, 0.5)
    assert at_age(young, PERSON.age).folds == pytest.approx(PERSON.folds)


def test_the_same_scene_is_rendered_and_only_the_head_changes():
    scene = lesson_8_heads.scene(0, 1, 0)
    light, again, dark = (lesson_8_heads.rendered(scene, tone, REFERENCE["age"]) for tone in (0.0, 0.0, 1.0))
    assert np.array_equal(light[0], again[0]) and np.allclose(light[1], dark[1])
    assert light[0].mean() > dark[0].mean() + 2
    corner = (slice(0, 12), slice(0, 12))
    assert np.abs(light[0][corner].astype(int) - dark[0][corner]).mean() < 12  # the background stays


def test_intervals_hold_for_other_runs_and_heads():
    rng, covered = np.random.default_rng(0), []
    for _ in range(600):
        runs, heads = rng.normal(0, 1, (4, 1)), rng.normal(0, 2, (1, 15))
        _, low, high, _ = crossed_interval(1.0 + runs + heads + rng.normal(0, 2, (4, 15)))
        covered.append(low <= 1.0 <= high)
    assert 0.93 <= np.mean(covered) <= 1
    one = crossed_interval(rng.normal(0, 1, (1, 9)))
    assert np.isfinite(one).all() and np.isnan(crossed_interval(np.ones((3, 1)))[1])


def fabricated(change: float = 0.0, heads: int = 14, runs: int = 3, good: bool = True) -> HeadPredictions:
    """Runs that read two AUs; at age 1, `change` is added to every probability."""
    rng = np.random.default_rng(0)
    about = [
        (head, shot, *variant)
        for head in range(heads)
        for variant in lesson_8_heads.variants()
        for shot in range(4)
    ]
    about = pd.DataFrame(about, columns=["head", "shot", "factor", "level"])
    truth = rng.random((heads, 4, 2)) < 0.4
    occurrence = truth[about["head"], about["shot"]].astype(np.float32)
    middle = 0.3 + 0.4 * occurrence if good else np.full(occurrence.shape, 0.5)
    probability = middle + rng.normal(0, 0.12, (runs, *occurrence.shape))
    old = ((about["factor"] == "age") & (about["level"] == 1.0)).to_numpy()
    probability[:, old] += change
    return HeadPredictions(("AU06", "AU12"), probability.clip(0.001, 0.999), occurrence, about)


def test_what_was_added_is_found_and_nothing_else():
    found = lesson_8_heads.differences(lesson_8_heads.rates(fabricated(0.3)))
    changed = found[(found["verdict"] != "undecided") & (found["measure"] == "alarms")]
    assert changed[["factor", "level", "verdict"]].to_numpy().tolist() == [["age", 1.0, "more"]]
    assert (changed["difference"] > 0.2).all()
    lost = lesson_8_heads.differences(lesson_8_heads.rates(fabricated(-0.3)))
    assert set(lost[(lost["level"] == 1.0) & (lost["factor"] == "age")]["verdict"]) >= {"fewer"}
    single = lesson_8_heads.differences(lesson_8_heads.rates(fabricated(heads=1)))
    assert set(single["verdict"]) == {"undecided"} and single["low"].isna().all()


def test_alarms_per_au_are_corrected_over_the_aus_():
    table = lesson_8_heads.alarms_per_au(fabricated(0.3))
    assert table["au"].unique().tolist() == ["mean", "AU06", "AU12"]
    oldest = table[(table["variant"] == "age 1") & (table["au"] != "mean")]
    assert (oldest["p_holm"] < 0.05).all() and (oldest["difference"] > 0.2).all()


def test_few_heads_few_runs_or_a_weak_detector_are_not_enough():
    assert fabricated().is_enough and fabricated().auc > 0.9
    assert not fabricated(heads=4).is_enough and not fabricated(runs=2).is_enough
    assert not fabricated(good=False).is_enough


RIGHT_FOLDERS = ["anna/anna1.jpg", "anna/anna2.jpg", "ben/ben1.jpg", "ben/ben2.jpg", "carla/carla1.jpg"]
HITS, ALARMS, RATE = 0.6, 0.15, 0.1
WRONGLY = (1 - RATE) * ALARMS / ((1 - RATE) * ALARMS + RATE * HITS)
ABSENT, PRESENT = (fabricated(0.3).by_age(present) for present in (False, True))


def same_person(person, melanin):
    skin = skin_tone(melanin)
    lips = tuple(np.array(person.lips) / person.skin * skin)
    return replace(person, skin=skin, lips=lips)


EXERCISES = {
    "folders": (
        lesson_8.check_folders,
        [[shared + path for path in RIGHT_FOLDERS] for shared in ("", "photos/", "photos/2024/")],
        [
            list(lesson_8.PICTURES),
            ["summer/anna1.jpg", "winter/anna2.jpg", "a/ben1.jpg", "a/ben2.jpg", "b/carla1.jpg"],
            ["a/anna1.jpg", "a/anna2.jpg", "a/ben1.jpg", "a/ben2.jpg", "b/carla1.jpg"],
            RIGHT_FOLDERS[:4],
            [f"/{path}" for path in RIGHT_FOLDERS],
            "anna/anna1.jpg",
        ],
    ),
    "same person": (
        lesson_8.check_same_person,
        [same_person, at_tone],
        [
            lambda person, melanin: person,
            lambda person, melanin: sample_person(77, (0.62, 0.85)),
            lambda person, melanin: replace(person, skin=skin_tone(melanin)),
            lambda person, melanin: replace(person, skin=skin_tone(melanin), lips=skin_tone(melanin)),
            lambda person, melanin: replace(same_person(person, melanin), ancestry=(1.0, 0.0, 0.0)),
            lambda person, melanin: replace(same_person(person, melanin), hair=(0.0, 0.0, 0.0)),
            lambda person, melanin: same_person(person, 1 - melanin),
            lambda person, melanin: replace(person, skin=skin_tone(melanin), lips=(0.3, 0.1, 0.1)),
            lambda person, melanin: skin_tone(melanin),
            lambda person: person,
        ],
    ),
    "wrong alarms": (
        lambda answer: lesson_8.check_wrong_alarms(answer, HITS, ALARMS, RATE),
        [np.float64(WRONGLY)],
        [
            1 - WRONGLY,
            ALARMS,
            1 - HITS,
            ALARMS / (ALARMS + HITS),
            (1 - RATE) * ALARMS,
            100 * WRONGLY,
            0.5,
            True,
        ],
    ),
    "thresholds": (
        lambda answer: lesson_8.check_thresholds(answer, ABSENT, PRESENT),
        [{age: np.quantile(values, 0.9) for age, values in ABSENT.items()}],
        [
            0.5,
            {0.45: 0.5},
            dict.fromkeys(AGES, 0.3),
            {0.45: 0.46, 0.67: 0.46, 0.85: 0.46, 1.0: 0.5},
            dict.fromkeys(AGES, 2.0),
            dict.fromkeys(AGES, 0.9),
            dict.fromkeys(AGES, float("nan")),
            dict.fromkeys(AGES, "high"),
        ],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, ["many", None, [0.1, 0.2], PERSON, object()]


def test_thresholds_are_right_also_on_few_faces():
    read = fabricated(heads=2, runs=1)
    absent, present = read.by_age(present=False), read.by_age(present=True)
    answer = {age: np.quantile(values, 0.9) for age, values in absent.items()}
    assert lesson_8.check_thresholds(answer, absent, present).state == "right"


def test_a_run_reads_equal_heads_and_the_instrument_follows_its_sliders(tmp_path):
    from practice import practice_run

    sets = [str(write_tiny_set(tmp_path / name, seed=k)) for k, name in enumerate("ab")]
    run = practice_run(tmp_path, "multitask", steps=2, source=sets[0], target=sets[1], progress=False)
    faces = lesson_8_heads.render_heads(run, 1, 2)
    read = lesson_8_heads.read_heads([run], faces)
    assert read.probability.shape == (1, 2 * len(lesson_8_heads.variants()), 4)
    assert read.at("melanin", 0.25).sum() == read.at("age", 0.67).sum() == read.at("", 0.0).sum() == 2
    with pytest.raises(ValueError, match="9 shots"):
        lesson_8_heads.render_heads(run, 1, 9)
    shown = lesson_8_heads.same_head(run)
    before = bytes(shown.picture.value)
    assert before.startswith(b"\x89PNG")
    shown.controls["melanin"].value = 0.1
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before
