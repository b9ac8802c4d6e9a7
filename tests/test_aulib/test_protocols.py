"""The frozen lists against their sources; sets that do not fit a protocol are refused."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from aubench.datasets.protocol_counts import LISTED, count_frames
from aubench.report.fold_scores import fold_table, mean_over_folds
from aulib.dataset import read_dataset
from aulib.protocols import BP4D_PARTS, DISFA_PARTS, PROTOCOLS, apply_protocol, find_fold, split_name
from conftest import write_tiny_set


def table_of(people, aus=("AU01",), split="train", kind="c") -> pd.DataFrame:
    table = {"image": [f"{p}.jpg" for p in people], "subject": people, "split": [split] * len(people)}
    return pd.DataFrame(table | {f"{au}_{kind}": [2.0 if kind == "r" else 1.0] * len(people) for au in aus})


ALL_BP4D = [name for part in BP4D_PARTS.values() for name in part]
ALL_DISFA = [name for part in DISFA_PARTS.values() for name in part]


def test_bp4d_has_41_people_and_disfa_27_each_in_one_part():
    expected = {f"F{n:03d}" for n in range(1, 24)} | {f"M{n:03d}" for n in range(1, 19)}
    assert Counter(ALL_BP4D) == Counter(expected)
    missing = {14, 15, 19, 20, 22}  # numbers that DISFA does not use
    assert Counter(ALL_DISFA) == Counter(f"SN{n:03d}" for n in range(1, 33) if n not in missing)
    assert [len(part) for part in BP4D_PARTS.values()] == [14, 14, 13]
    assert [len(part) for part in DISFA_PARTS.values()] == [9, 9, 9]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_fold_has_a_person_twice_and_rotating_folds_test_everyone_once(name):
    protocol = PROTOCOLS[name]
    tested = Counter()
    for fold in protocol.folds.values():
        people = Counter([*fold.train, *fold.val, *fold.test])
        assert not people or max(people.values()) == 1
        tested.update(fold.test)
    if "3fold" in name:
        assert tested == Counter(ALL_BP4D if name.startswith("bp4d") else ALL_DISFA)
        assert all(fold.val for fold in protocol.folds.values())


def test_adlds_split_and_the_aus_it_shares():
    protocol, fold = find_fold("adld/source")
    assert protocol.aus == ("AU01", "AU02", "AU04", "AU06", "AU12", "AU17")
    assert set(fold.test) == {"F007", "F015", "F006", "F019", "M006", "M009"}
    assert set(fold.val) == {"F012", "M003", "F004", "F021", "F017", "M015", "F014"} and len(fold.train) == 28
    assert PROTOCOLS["bp4d-to-disfa"].aus == ("AU01", "AU02", "AU04", "AU06", "AU12", "AU15", "AU17")
    assert PROTOCOLS["bp4d-to-gft-hashed"].aus == tuple(
        "AU01 AU02 AU04 AU06 AU10 AU12 AU14 AU15 AU23 AU24".split()
    )


def test_applying_a_fold_sets_splits_drops_other_people_and_other_aus():
    aus = [*PROTOCOLS["bp4d-3fold"].aus, "AU25"]
    table = apply_protocol(table_of([*ALL_BP4D, "X999"], aus), "bp4d-3fold/part3")
    by_split = table.groupby("split")["subject"].apply(set)
    assert by_split["test"] == set(BP4D_PARTS["part3"]) and "X999" not in set(table["subject"])
    train = BP4D_PARTS["part1"] + BP4D_PARTS["part2"]
    assert by_split["val"] == set(train[4::5]) and by_split["train"] == set(train) - set(train[4::5])
    assert "AU25_c" not in table and f"{aus[0]}_c" in table


def test_intensity_counts_from_two_up_and_lower_case_names_fit():
    table = table_of([name.lower() for name in ALL_DISFA], PROTOCOLS["disfa-3fold"].aus, kind="r")
    table.loc[0, "AU01_r"], table.loc[1, "AU01_r"] = 1.0, np.nan
    chosen = apply_protocol(table, "disfa-3fold/part1")
    assert (
        chosen["AU01_c"].iloc[0] == 0 and np.isnan(chosen["AU01_c"].iloc[1]) and chosen["AU01_c"].iloc[2] == 1
    )
    assert not [column for column in chosen if column.endswith("_r")]


def gft_splits(people: list[str], fold: str) -> dict[str, str]:
    table = table_of(people, PROTOCOLS["bp4d-to-gft-hashed"].aus).sample(frac=1, random_state=3)
    chosen = apply_protocol(table, f"bp4d-to-gft-hashed/{fold}")
    return dict(zip(chosen["subject"], chosen["split"], strict=True))


GFT_PEOPLE = [f"{n:03d}{letter}" for n in range(1, 33) for letter in "ABC"]


def test_thirds_test_everyone_once_and_have_all_splits():
    tested = Counter()
    for fold in ("third1", "third2", "third3"):
        splits = gft_splits(GFT_PEOPLE, fold)
        tested.update(name for name, split in splits.items() if split == "test")
        sizes = Counter(splits.values())
        assert 22 <= sizes["test"] <= 42 and 7 <= sizes["val"] <= 20 and len(splits) == 96
    assert tested == Counter(GFT_PEOPLE)


@pytest.mark.parametrize("gone", GFT_PEOPLE[::17])
def test_a_person_who_is_missing_changes_nobody_elses_split(gone):
    whole = gft_splits(GFT_PEOPLE, "third2")
    assert gft_splits([name for name in GFT_PEOPLE if name != gone], "third2") == {
        name: split for name, split in whole.items() if name != gone
    }


def test_the_thirds_of_gft_are_frozen():
    """By hand: sha256 of the name as a number, % 3 the third, // 3 % 5 == 0 validates where it trains."""
    splits = gft_splits(GFT_PEOPLE, "third1")
    frozen = "train test test train train test val train train test train val test val test train"
    assert [splits[name] for name in GFT_PEOPLE[:16]] == frozen.split()


def test_the_target_of_adld_keeps_its_own_splits():
    table = table_of(["a", "b", "c"], PROTOCOLS["adld"].aus)
    table["split"] = ["train", "val", "test"]
    assert apply_protocol(table, "adld/target")["split"].tolist() == ["train", "val", "test"]


@pytest.mark.parametrize(
    "name, why",
    [
        ("bp4d-5fold/part1", "no protocol 'bp4d-5fold'; there are bp4d-3fold"),
        ("bp4d-3fold/fold1", "no fold 'fold1'; write bp4d-3fold/part1 or part2 or part3"),
        ("bp4d-3fold/part1", "test and train; the set's people are SN001"),
        ("disfa-3fold-12/part1", "needs labels of AU02, AU04"),
    ],
)
def test_what_does_not_fit_is_named(name, why):
    with pytest.raises(ValueError, match=why):
        apply_protocol(table_of(ALL_DISFA, ("AU01",)), name)


def test_a_dataset_name_may_end_in_a_protocol_s_fold(tmp_path):
    folder = write_tiny_set(tmp_path / "disfa")
    table = pd.read_csv(folder / "manifest.csv")
    names = dict(zip(sorted(set(table["subject"])), ALL_DISFA[6:18], strict=True))
    table["subject"] = table["subject"].map(names)
    labels = pd.DataFrame({f"{au}_c": [0] * len(table) for au in PROTOCOLS["disfa-3fold"].aus})
    table = pd.concat([table.drop(columns=[c for c in table if c in labels]), labels], axis=1)
    table.to_csv(folder / "manifest.csv", index=False)
    data = read_dataset(f"{folder}#disfa-3fold/part1")
    assert set(data.subjects[data.rows("test")]) == set(ALL_DISFA[6:9])
    assert data.aus == list(PROTOCOLS["disfa-3fold"].aus)
    assert data.version == f"{read_dataset(folder).version}#disfa-3fold/part1"
    assert split_name("a/b") == ("a/b", "") and split_name("a#b/c#d/e") == ("a#b/c", "d/e")


def finished_run(folder, target, f1):
    folder.mkdir()
    settings = {"source": "bp4d#bp4d-to-disfa/source", "target": target, "data_versions": {}}
    settings |= {"method": "full", "seed": 0, "steps": 4, "weights": {}}
    (folder / "config.json").write_text(json.dumps({"settings": settings}))
    (folder / "metrics.json").write_text(
        json.dumps({"target.mean.f1": f1, "target.per_au.AU01.f1": float("nan")})
    )
    return folder


def test_the_mean_over_folds_by_hand_and_an_incomplete_one_says_so(tmp_path):
    scores = {"a": {"f1": 0.5, "x": 1.0}, "b": {"f1": 0.7}, "c": {"f1": 0.6, "x": float("nan")}}
    means = mean_over_folds(scores)
    assert means.index.tolist() == ["f1"] and means.loc["f1"].tolist() == pytest.approx([0.6, 0.1])
    runs = [finished_run(tmp_path / f"r{n}", f"d#bp4d-to-disfa/part{n}", f) for n, f in ((1, 0.5), (3, 0.6))]
    text = fold_table("bp4d-to-disfa", runs)
    row = next(line.split() for line in text.splitlines() if "target.mean.f1" in line)
    assert row == ["target.mean.f1", "50.0", "60.0", "55.0", "7.1"]
    assert "INCOMPLETE: no run of fold part2" in text and "AU01" not in text
    with pytest.raises(ValueError, match="second run of fold part1"):
        fold_table("bp4d-to-disfa", [runs[0], runs[0]])
    with pytest.raises(ValueError, match="not of protocol disfa-3fold"):
        fold_table("disfa-3fold", runs)


def test_frame_counts_are_compared_with_published_lists(tmp_path):
    counts = dict.fromkeys(BP4D_PARTS["part1"], 3600)
    counts[BP4D_PARTS["part1"][0]] += 50_631 - 14 * 3600  # as in ME-GraphAU's list
    counts[BP4D_PARTS["part2"][0]] = 7
    rows = [name for name, number in counts.items() for _ in range(number)]
    lines = count_frames("bp4d-3fold", pd.DataFrame({"subject": rows, "split": "train"})).splitlines()
    assert lines[0] == (
        "bp4d-3fold/part1: 14 of 14 people test, 50,631 frames; "
        "lists: ME-GraphAU 50,631, JAA-Net 50,601, FG-Net 50,579"
    )
    assert lines[1].startswith("bp4d-3fold/part2: 1 of 14 people test, 7 frames")
    assert lines[1].endswith("<- none of them")
    everyone = pd.DataFrame({"subject": ALL_DISFA * 4845, "split": "train"})
    assert "none of them" not in count_frames("disfa-3fold-12", everyone)


def test_lists_of_frames_agree_with_what_a_conversion_expects():
    from aubench.datasets.converters.bp4d import BP4D

    for part, people in BP4D_PARTS.items():
        assert sum(BP4D.expected.frames_of[name] for name in people) == LISTED["BP4D"][part]["ME-GraphAU"]
