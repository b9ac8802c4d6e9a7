"""Photographs and what stands in for them, heads held equal, and checks with a word for each mistake."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import equal_figures
import equal_heads
import equal_words
import lesson_8
import stand_ins
from aufaces.people import sample_person, skin_tone
from conftest import write_tiny_set
from equal_heads import AGES, SAME_AGE, SAME_TONE, Read, at_age, at_tone, crossed_interval

PERSON = sample_person(5, (0.62, 0.85))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Six stand-ins, prepared by the renderer's landmarks."""
    out = tmp_path_factory.mktemp("photographs")
    album = stand_ins.photographs("", out, 6, 1)
    album = replace(album, landmarks=album.folder.parent / "landmarks.csv")
    return album, stand_ins.prepared(album, out / "faces")


def test_stand_ins_are_plain_pictures_and_those_without_a_face_are_skipped_with_a_reason(few):
    album, faces = few
    assert len(faces) == 6 and not faces.aus  # no label goes along
    skipped = pd.read_csv(faces.root / "skipped.csv")
    assert len(skipped) == 2 and skipped["reason"].str.contains("unreadable|no landmarks").all()
    assert set(faces.table["meta_source"]) == set(album.truth["image"])
    said = stand_ins.said_of_prepared(album, faces)
    assert "6 faces of 4 people" in said and "unreadable" in said
    assert "the renderer itself gave the landmarks" in album.said


def test_without_the_extra_the_renderer_gives_landmarks_and_photographs_are_refused(
    monkeypatch, tmp_path, few
):
    def missing():
        raise ModuleNotFoundError("no detector")

    monkeypatch.setattr(stand_ins, "require_detector", missing)
    album = stand_ins.photographs("", few[0].folder.parents[1], 6, 1)
    assert album.landmarks.is_file()
    with pytest.raises(ModuleNotFoundError):
        stand_ins.photographs(str(tmp_path), tmp_path, 6)


def test_photographs_of_ones_own_have_no_truth(monkeypatch, tmp_path):
    monkeypatch.setattr(stand_ins, "require_detector", lambda: None)
    album = stand_ins.photographs(str(tmp_path), tmp_path, 6)
    assert album.truth is None and "your photographs" in album.said


def test_every_place_with_faces_is_listed(few, tmp_path):
    (tmp_path / "samples.npz").write_bytes(b"faces")
    table = stand_ins.where_faces_lie(few[1].root, tmp_path)
    assert {"stored pictures", "faces that a run keeps"} <= set(table["holds"])
    assert table.set_index("holds").loc["stored pictures", "files"] == 6
    assert f"| `{tmp_path.as_posix()}` | faces that a run keeps | 1 |" in stand_ins.said_of_places(table)


def test_who_is_missing_is_said_by_the_numbers(tmp_path):
    faces = stand_ins.DatasetFolder(tmp_path, pd.DataFrame({"meta_source": [f"{k}" for k in range(20)]}), "v")
    (tmp_path / "skipped.csv").write_text("image,reason\n")
    truth = pd.DataFrame({"image": [f"{k}" for k in range(40)], "yaw": [0.0] * 20 + [40.0] * 20})
    faces.table["subject"], faces.table["split"] = "a", "train"
    said = stand_ins.said_of_prepared(stand_ins.Photographs(tmp_path, None, truth), faces)
    assert "no accident" in said
    truth["yaw"] = [0.0, 40.0] * 20
    said = stand_ins.said_of_prepared(stand_ins.Photographs(tmp_path, None, truth), faces)
    assert "cannot tell" in said


def test_a_variant_differs_in_nothing_else():
    assert at_tone(PERSON, 0.9).skin == skin_tone(0.9)
    assert replace(at_tone(PERSON, 0.9), skin=PERSON.skin, lips=PERSON.lips) == PERSON
    old = at_age(PERSON, 1.0)
    assert old.folds > PERSON.folds and replace(old, age=PERSON.age, folds=PERSON.folds) == PERSON
    young = at_age(PERSON, 0.5)
    assert at_age(young, PERSON.age).folds == pytest.approx(PERSON.folds)


def test_the_same_scene_is_rendered_and_only_the_head_changes():
    scene = equal_heads.scene(0, 1, 0)
    light, again, dark = (equal_heads.rendered(scene, tone, SAME_AGE) for tone in (0.0, 0.0, 1.0))
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


def fabricated(change: float = 0.0, heads: int = 14, runs: int = 3, good: bool = True) -> Read:
    """Runs that read two AUs; at age 1, `change` is added to every probability."""
    rng = np.random.default_rng(0)
    about = [
        (head, shot, *variant)
        for head in range(heads)
        for variant in equal_heads.variants()
        for shot in range(4)
    ]
    about = pd.DataFrame(about, columns=["head", "shot", "factor", "level"])
    truth = rng.random((heads, 4, 2)) < 0.4
    occurrence = truth[about["head"], about["shot"]].astype(np.float32)
    middle = 0.3 + 0.4 * occurrence if good else np.full(occurrence.shape, 0.5)
    probability = middle + rng.normal(0, 0.12, (runs, *occurrence.shape))
    old = ((about["factor"] == "age") & (about["level"] == 1.0)).to_numpy()
    probability[:, old] += change
    return Read(("AU06", "AU12"), probability.clip(0.001, 0.999), occurrence, about)


def test_what_was_added_is_found_and_nothing_else():
    found = equal_heads.differences(equal_heads.shares(fabricated(0.3)))
    told = found[(found["p_holm"] < 0.05) & (found["measure"] == "alarms")]
    assert set(zip(told["factor"], told["level"], strict=True)) == {("age", 1.0)}
    assert (told["difference"] > 20).all()


def test_the_words_follow_the_numbers():
    said = equal_words.said_of_differences(fabricated(0.3))
    assert "**Age** 1 against 0.67" in said and "more alarms" in said and "Both go the same way" in said
    assert "old faces are read as moving: found" in said and "hides movements: undecided" in said
    assert "**Skin tone**: no difference" in said and "Warning" not in said
    blind = equal_words.said_of_differences(fabricated(0.0, heads=4, runs=2, good=False))
    assert "only 4 heads" in blind and "2 runs" in blind and "weak detector" in blind
    lost = equal_words.said_of_differences(fabricated(-0.3))
    assert "fewer hits" in lost and "moving: **the opposite**" in lost
    assert "no interval" in equal_words.said_of_differences(fabricated(heads=1))


def test_old_faces_read_as_moving_are_said_only_if_found():
    _, per_au = equal_figures.draw_alarms_per_au(fabricated(0.3))
    assert "where they are absent" in equal_words.said_of_folds(
        per_au
    ) and "AU06" in equal_words.said_of_folds(per_au)
    _, per_au = equal_figures.draw_alarms_per_au(fabricated(0.0))
    assert "**no AU**" in equal_words.said_of_folds(per_au)
    assert len(equal_figures.draw_differences(fabricated(0.3)).axes) == 4


def test_strongest_faces_are_marked_by_the_truth_or_left_to_the_eye(few):
    album, faces = few
    table = pd.DataFrame({"image": faces.table["image"], "status": "ok"})
    truth = faces.table.merge(album.truth, left_on="meta_source", right_on="image")["AU12"]
    table["AU12_p"], table["AU12_c"] = truth * 0.5 + 0.2, truth
    assert "| AU12 lip corner puller |" in equal_words.said_of_strongest(table, album, faces)
    said = equal_words.said_of_strongest(table, replace(album, truth=None), faces)
    assert f"AU12 on {truth.sum()}" in said and "look" in said


RIGHT_FOLDERS = ["anna/anna1.jpg", "anna/anna2.jpg", "ben/ben1.jpg", "ben/ben2.jpg", "carla/carla1.jpg"]


@pytest.mark.parametrize(
    "answer, hint",
    [
        (list(lesson_8.PICTURES), "a person each"),
        ([f"all/{name}" for name in lesson_8.PICTURES], "a person each"),
        (
            ["summer/anna1.jpg", "winter/anna2.jpg", "a/ben1.jpg", "a/ben2.jpg", "b/carla1.jpg"],
            "anna would count as two",
        ),
        (
            ["a/anna1.jpg", "a/anna2.jpg", "a/ben1.jpg", "a/ben2.jpg", "b/carla1.jpg"],
            "would find 2 people",
        ),
        (RIGHT_FOLDERS[:4], "once"),
        ([f"/{path}" for path in RIGHT_FOLDERS], "leading slash"),
        (["x/anna3.jpg", *RIGHT_FOLDERS[1:]], "once"),
        ("anna/anna1.jpg", "Wanted"),
        (5, "Wanted"),
        ([1, 2], "Wanted"),
        (None, "Wanted"),
    ],
)
def test_wrong_folders_get_their_hint(answer, hint):
    verdict = lesson_8.check_folders(answer)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize("shared", ["", "photos/", "photos/2024/"])
def test_right_folders_may_lie_anywhere(shared):
    assert lesson_8.check_folders([shared + path for path in RIGHT_FOLDERS]).state == "right"


def same_person(person, melanin):
    skin = skin_tone(melanin)
    lips = tuple(np.array(person.lips) / person.skin * skin)
    return replace(person, skin=skin, lips=lips)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (lambda person, melanin: person, "Nothing changes"),
        (lambda person, melanin: sample_person(77, (0.62, 0.85)), "another person"),
        (lambda person, melanin: replace(person, skin=skin_tone(melanin)), "lipstick"),
        (
            lambda person, melanin: replace(person, skin=skin_tone(melanin), lips=skin_tone(melanin)),
            "outline",
        ),
        (
            lambda person, melanin: replace(same_person(person, melanin), ancestry=(1.0, 0.0, 0.0)),
            "forms the head",
        ),
        (lambda person, melanin: replace(same_person(person, melanin), hair=(0.0, 0.0, 0.0)), "hair"),
        (lambda person, melanin: same_person(person, 1 - melanin), "was asked for"),
        (
            lambda person, melanin: replace(person, skin=skin_tone(melanin), lips=(0.3, 0.1, 0.1)),
            "channel by channel",
        ),
        (lambda person, melanin: skin_tone(melanin), "Wanted"),
        (PERSON, "Wanted"),
        ("replace", "Wanted"),
        (lambda person: person, "Wanted"),
    ],
)
def test_another_tone_that_changes_too_much_or_too_little_gets_its_hint(answer, hint):
    verdict = lesson_8.check_same_person(answer)
    assert verdict.state == "wrong" and hint in verdict.message


def test_another_tone_of_the_same_person_is_right():
    assert lesson_8.check_same_person(same_person).state == "right"
    assert lesson_8.check_same_person(at_tone).state == "right"


HITS, ALARMS, RATE = 0.6, 0.15, 0.1
WRONGLY = (1 - RATE) * ALARMS / ((1 - RATE) * ALARMS + RATE * HITS)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (1 - WRONGLY, "*rightly*"),
        (ALARMS, "*without* the AU"),
        (1 - HITS, "misses"),
        (ALARMS / (ALARMS + HITS), "base rate is missing"),
        ((1 - RATE) * ALARMS, "all people"),
        (100 * WRONGLY, "not per cent"),
        (-3, "between 0 and 1"),
        (0.5, "10,000"),
        ("many", "Wanted"),
        (True, "Wanted"),
        ([0.1, 0.2], "Wanted"),
    ],
)
def test_a_wrong_share_of_flags_gets_its_hint(answer, hint):
    verdict = lesson_8.check_wrong_alarms(answer, HITS, ALARMS, RATE)
    assert verdict.state == "wrong" and hint in verdict.message


def test_the_right_share_of_flags():
    assert lesson_8.check_wrong_alarms(np.float64(WRONGLY), HITS, ALARMS, RATE).state == "right"


def sides():
    read = fabricated(0.3)
    return lesson_8.by_age(read, present=False), lesson_8.by_age(read, present=True)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.5, "for all"),
        ({0.45: 0.5}, "No threshold for age"),
        (dict.fromkeys(AGES, 0.3), "too many. The same threshold"),
        ({0.45: 0.46, 0.67: 0.46, 0.85: 0.46, 1.0: 0.5}, "too many."),
        (dict.fromkeys(AGES, 2.0), "nothing is raised"),
        (dict.fromkeys(AGES, 0.9), "given away"),
        (dict.fromkeys(AGES, float("nan")), "a number"),
        ("0.5", "Wanted"),
        ([0.5, 0.5, 0.5, 0.5], "Wanted"),
        (dict.fromkeys(AGES, "high"), "Wanted"),
    ],
)
def test_wrong_thresholds_get_their_hint(answer, hint):
    verdict = lesson_8.check_thresholds(answer, *sides())
    assert verdict.state == "wrong" and hint in verdict.message


def test_levelled_thresholds_are_right_also_on_few_faces():
    for read in (fabricated(0.3), fabricated(0.0, heads=2, runs=1)):
        absent, present = lesson_8.by_age(read, present=False), lesson_8.by_age(read, present=True)
        answer = {age: np.quantile(values, 0.9) for age, values in absent.items()}
        assert lesson_8.check_thresholds(answer, absent, present).state == "right"


def test_the_sentence_about_hits_follows_the_numbers():
    absent = {age: np.linspace(0, 0.5, 50) for age in (0.45, 1.0)}
    limits = dict.fromkeys(absent, 0.455)
    level = lesson_8.check_thresholds(limits, absent, dict.fromkeys(absent, np.array([0.2, 0.9])))
    assert level.state == "right" and "Hits are as well, this time: 50 % at 0.45, 50 % at 1" in level.message
    uneven = lesson_8.check_thresholds(limits, absent, {0.45: np.array([0.9]), 1.0: np.array([0.2])})
    assert "Hits are not: 100 % at 0.45, 0 % at 1" in uneven.message


def test_rates_are_those_of_the_heads_compared_with():
    hits, alarms = lesson_8.rates(fabricated(0.3))
    assert hits > 0.85 and alarms < 0.15


def test_a_run_reads_equal_heads_and_the_instrument_follows_its_sliders(tmp_path):
    from head_instrument import SameHead
    from practice import practice_run

    sets = [str(write_tiny_set(tmp_path / name, seed=k)) for k, name in enumerate("ab")]
    run = practice_run(tmp_path, "multitask", steps=2, source=sets[0], target=sets[1], progress=False)
    faces = equal_heads.render_heads(run, 1, 2)
    read = equal_heads.read_heads([run], faces)
    assert read.probability.shape == (1, 2 * len(equal_heads.variants()), 4)
    assert read.at("skin", SAME_TONE).sum() == read.at("age", SAME_AGE).sum() == 2
    with pytest.raises(ValueError, match="9 shots"):
        equal_heads.render_heads(run, 1, 9)
    shown = SameHead(run)
    before = bytes(shown.picture.value)
    assert before.startswith(b"\x89PNG") and "Crossing 0.5" in shown.said.value
    shown.melanin.value = 0.1
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before
