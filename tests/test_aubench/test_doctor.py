"""The doctor: a sound set is found sound, and each of thirty planted faults is found by itself."""

import importlib.util
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aubench.datasets.doctor import diagnosis as reports
from aubench.datasets.doctor.check import check, worst_faces
from aubench.datasets.doctor.duplicates import SAME, find_duplicates
from aubench.datasets.doctor.landmarks import check_crops, likeness_to_mean
from aubench.datasets.doctor.pictures import FACE, Fingerprints
from aufaces.domains import STUDIO, picture, sample_face
from aufaces.renderer import FaceRenderer
from aulib.landmarks import layout_of
from conftest import face_outline, write_tiny_set
from planted_faults import EACH, PEOPLE, SIDE, Clinic


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return Clinic(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def clinic(sound, tmp_path):
    """A copy of the sound set to plant faults in."""
    copy = Clinic.__new__(Clinic)
    copy.root, copy.table = tmp_path / "set", sound.table.copy()
    shutil.copytree(sound.root, copy.root)
    return copy


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    clinic = Clinic(tmp_path_factory.mktemp("damaged"))
    return clinic.plant_all(), check(clinic.root, progress=False)


def findings(folder, kind, words="", pictures=0, **options):
    """Findings of one check whose text holds some words; pictures are not opened unless asked for."""
    found = check(folder, pictures=pictures, progress=False, **options).findings
    return [finding for finding in found if finding.check == kind and words in finding.text]


def test_a_sound_set_has_no_errors_and_no_warnings(sound):
    diagnosis = check(sound.root, progress=False)
    assert [finding.line() for finding in diagnosis.findings if finding.level != "note"] == []
    assert diagnosis.count("error") == 0 and str(sound.root) in diagnosis.text()


def test_thirty_planted_faults_are_all_found(damaged):
    faults, diagnosis = damaged
    assert len(faults) == 30
    assert [fault for fault in faults if not fault.found_in(diagnosis.findings)] == []


def test_rows_without_a_fault_are_left_alone(damaged):
    faults, diagnosis = damaged
    partners = {3 * EACH, 4 * EACH, 7 * EACH, 7 * EACH + 1}
    person_1 = set(range(EACH, 2 * EACH))  # one row of them is in a split of its own
    named = {row for f in diagnosis.findings if f.level != "note" and len(f.rows) <= 3 for row in f.rows}
    assert named <= {fault.row for fault in faults} | partners | person_1


def test_the_report_counts_rows_as_a_spreadsheet_and_is_kept_as_json(damaged, tmp_path):
    _, diagnosis = damaged
    assert f"row {1 * EACH + 2 + 2}: AU01_c is 9" in diagnosis.text()
    assert diagnosis.count("error") > 20 and f"{diagnosis.count('error')} errors" in diagnosis.text()
    diagnosis.write(tmp_path / "found.json")
    kept = json.loads((tmp_path / "found.json").read_text())["findings"]
    assert len(kept) == len(diagnosis.findings) == len(diagnosis.table())
    assert diagnosis.table()["level"].iloc[0] == "error"


def test_the_worst_crops_are_those_that_miss_the_face(damaged):
    _, diagnosis = damaged
    faces = worst_faces(diagnosis)
    table, row = faces["table"], 9 * EACH + 2
    assert row in set(table["row"]) and faces["images"].shape == (24, 128, 128, 3)
    assert table["likeness"].is_monotonic_increasing and table["likeness"].iloc[0] < 0.3
    assert f"row {row} · {table.set_index('row')['likeness'][row]:.2f}" in faces["captions"]


def test_a_long_report_is_cut_unless_all_is_asked_for(damaged, monkeypatch):
    _, diagnosis = damaged
    assert "more: --all" not in diagnosis.text()  # thirteen errors of one check fit
    monkeypatch.setattr(reports, "SHOWN", {"error": 2, "warning": 2, "note": 2})
    assert "and 11 more: --all" in diagnosis.text()
    assert "more: --all" not in diagnosis.text(everything=True)


def test_a_pair_of_pictures_is_reported_once(damaged):
    _, diagnosis = damaged
    pairs = [f.rows for f in diagnosis.findings if f.check == "duplicates"]
    assert len(pairs) == len(set(pairs)) == 2


def test_landmarks_in_another_order_throughout_are_one_finding(clinic):
    points = clinic.table.filter(regex=r"^y_")
    clinic.table[points.columns] = SIDE - points.astype(float)
    clinic.write()
    (found,) = findings(clinic.root, "landmarks")
    assert "the mouth is above the nose" in found.text and found.rows == ()


def test_base_rates_are_compared_with_the_published_ones(clinic):
    spread = np.arange(len(clinic.table)) / len(clinic.table)
    for au in ("AU10", "AU12", "AU23"):  # published: 59.4, 56.2 and 16.5 %
        clinic.table[f"{au}_c"] = (spread < 0.57).astype(int)
    clinic.write()
    named = {finding.text[:4] for finding in findings(clinic.root, "base rate", published="bp4d")}
    assert "AU23" in named and named.isdisjoint({"AU10", "AU12"})
    assert not findings(clinic.root, "base rate")
    (clinic.root / "conversion.json").write_text('{"dataset": "bp4d"}')  # as `aulib convert` leaves it
    assert {finding.text[:4] for finding in findings(clinic.root, "base rate")} == named
    with pytest.raises(ValueError, match="'casme'"):
        check(clinic.root, "casme", progress=False)


def test_probabilities_and_confidences_that_import_would_refuse(clinic):
    clinic.table = clinic.table.assign(AU12_p="0.55", AU25_p="", confidence="1")
    clinic.write()
    assert findings(clinic.root, "rows") == []
    clinic.table.loc[[3, 5], ["AU12_p", "confidence"]] = [["55", "95"], ["high", "1"]]
    clinic.write()
    found = [(one.level, one.line()) for one in findings(clinic.root, "rows")]
    assert sorted(found) == [
        ("warning", "row 5: AU12_p is 55, expected a probability from 0 to 1"),
        ("warning", "row 5: confidence is 95, expected a number from 0 to 1"),
        ("warning", "row 7: AU12_p is 'high', expected a probability from 0 to 1"),
    ]


def test_aus_that_val_or_test_never_or_always_has(clinic):
    test = clinic.table["split"] == "test"
    clinic.table.loc[test, "AU25_c"] = 0
    clinic.table.loc[test, "AU06_c"] = 1
    clinic.write()
    never, always = findings(clinic.root, "labels", "of train")
    if "AU06" in never.text:
        never, always = always, never
    assert never.level == "warning" and "AU25" in never.text and "test" in never.text
    assert always.level == "error" and "AU06" in always.text and "25 rows" in always.text


@pytest.mark.parametrize(
    "column, cell, said", [("meta_expression", "grin", "'grin', expected one of"), ("meta_age", 300, "300")]
)
def test_expressions_and_groups_that_contrast_would_refuse(column, cell, said, clinic):
    clinic.table = clinic.table.assign(meta_expression="happy", meta_age=30)
    clinic.write()
    assert findings(clinic.root, "expressions") == []
    clinic.table.loc[3, column] = cell
    clinic.write()
    (found,) = findings(clinic.root, "expressions", "row 5")
    assert found.level == "warning" and said in found.text and found.text.endswith("refuses it)")


def test_a_folder_with_people_of_two_splits(clinic):
    clinic.set(clinic.row(29), subject="P29b", split="val")
    clinic.write()
    (found,) = findings(clinic.root, "splits", "folder images/P29")
    assert set(found.rows) == {clinic.row(29), clinic.row(29, 1)}


def test_a_manifest_that_breaks_the_rules_of_csv_is_still_checked(clinic):
    file = clinic.root / "manifest.csv"
    text = file.read_text().splitlines()
    text[3] += ",1,2,3"
    text.insert(2, "")
    clinic.set(clinic.row(2), AU12_c=1, AU12_r=0)
    text[clinic.row(2) + 2] = clinic.table.loc[clinic.row(2)].to_frame().T.to_csv(index=False).splitlines()[1]
    file.write_text("\r\n".join(text))
    (contradiction,) = findings(clinic.root, "contradiction")
    assert contradiction.rows == (clinic.row(2) + 1,), "the row in the file, below a blank line"
    (found,) = findings(clinic.root, "rows", "cells")
    assert found.level == "error" and found.rows == (3,)
    assert len(check(clinic.root, pictures=0, progress=False).data) == PEOPLE * EACH - 1
    clinic.table = clinic.table.rename(columns={"AU01_c": "AU1"})
    clinic.write()
    assert findings(clinic.root, "columns", "did you mean `AU01_c`")


def test_half_a_layout_of_landmarks_is_one_finding(tmp_path):
    folder = write_tiny_set(tmp_path / "set", n=12)
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace(",x_5,", ",x5,", 1))
    (found,) = findings(folder, "columns", "missing x_5", pictures=12)
    assert found.level == "error"


def test_a_set_without_columns_or_rows_says_so(tmp_path):
    (tmp_path / "manifest.csv").write_text("image;subject;split\na.jpg;s;train\n")
    assert findings(tmp_path, "file", "separated by ';'")
    (tmp_path / "manifest.csv").write_text("image,subject\na.jpg,s\n")
    assert findings(tmp_path, "columns", "`split`")
    (tmp_path / "manifest.csv").write_text("image,subject,split\n")
    assert findings(tmp_path, "columns", "no rows")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check(tmp_path / "nowhere")


def test_duplicates_agree_with_comparing_all_pairs():
    rng = np.random.default_rng(0)
    thumbs = rng.integers(20, 236, (200, 32, 32), dtype=np.uint8)
    for copy in range(20):  # noise of growing size, until it is another picture
        noise = rng.normal(0, 1, (32, 32)) * copy
        thumbs[180 + copy] = (thumbs[copy] + noise).round().clip(0, 255).astype(np.uint8)
    prints = Fingerprints(np.arange(200), thumbs, np.zeros((200, 24, 24), np.uint8))
    groups = np.array(["train"] * 180 + ["test"] * 20)

    def alike(a, b):
        return float(np.corrcoef(thumbs[a].ravel(), thumbs[b].ravel())[0, 1])

    slow = [(a, b) for a in range(180) for b in range(180, 200) if alike(a, b) >= SAME]
    assert find_duplicates(prints, groups) == slow and 14 <= len(slow) < 20
    assert find_duplicates(prints, np.array(["train"] * 200)) == []  # frames of one video look alike


ALTERED = {
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "lighter": lambda picture: picture.point(lambda value: min(255, round(1.25 * value))),
    "cropped": lambda picture: picture.crop((5, 5, SIDE - 5, SIDE - 5)),
    "smaller": lambda picture: picture.resize((60, 60)).resize((SIDE, SIDE)),
}


@pytest.mark.parametrize("how", ALTERED)
def test_a_copy_is_found_however_it_was_altered(clinic, how):
    copy, original = clinic.row(26), clinic.row(7)
    with Image.open(clinic.picture(original)) as picture:
        ALTERED[how](picture.convert("RGB")).save(clinic.picture(copy))
    points = clinic.points(original)
    if how == "mirrored":
        points = (points * (-1, 1) + (SIDE - 1, 0))[list(layout_of(68).flip_index)]
    clinic.set_points(copy, points - 5 if how == "cropped" else points)
    clinic.write()
    assert [f.rows for f in findings(clinic.root, "duplicates", pictures=200)] == [(original, copy)]


def test_two_people_of_one_studio_are_no_copies(tmp_path):
    shots = [picture(STUDIO, sample_face(STUDIO, 0, index, 3000), FaceRenderer(128)) for index in (275, 936)]
    for number, (pixels, _) in enumerate(shots):
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", quality=95)
    table = {"image": ["0.jpg", "1.jpg"], "subject": ["a", "b"], "split": ["train", "test"]}
    for axis, name in enumerate("xy"):
        table |= {f"{name}_{n}": [landmarks[n, axis] for _, landmarks in shots] for n in range(68)}
    pd.DataFrame(table).to_csv(tmp_path / "manifest.csv", index=False)
    assert not findings(tmp_path, "duplicates", pictures=2)


def test_a_stuck_track_is_one_finding_with_all_its_rows(clinic):
    stuck = [clinic.row(11, n) for n in range(5)]
    for row in stuck:
        clinic.set_points(row, clinic.points(stuck[0]))
    clinic.write()
    (found,) = findings(clinic.root, "landmarks")
    assert list(found.rows) == stuck and found.level == "error"


@pytest.mark.parametrize("move, side", [((14, 0), "to the left"), ((0, -14), "below")])
def test_landmarks_next_to_the_face_are_an_error_that_says_where_the_face_is(clinic, move, side, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no detector has to be there
    row = clinic.row(12)
    clinic.set_points(row, clinic.points(row) + move)
    clinic.write()
    (found,) = findings(clinic.root, "crops", pictures=200)
    assert found.level == "error" and found.rows == (row,) and side in found.text
    assert 9 <= int(re.search(r"about (\d+) pixels", found.text)[1]) <= 19


def test_a_set_of_many_pictures_is_sampled_and_says_so(tmp_path):
    folder = write_tiny_set(tmp_path / "set", n=24)
    assert findings(folder, "pictures", "6 of 24", pictures=6)


@pytest.mark.parametrize("aside, level", [(1, "warning"), (4, "error")])
def test_a_face_whose_eyes_are_a_pixel_away_is_not_next_to_its_landmarks(aside, level, monkeypatch):
    """An extreme expression moves the eyes and nose of a print by a pixel and changes all around them."""
    rng = np.random.default_rng(0)
    usual = rng.integers(60, 200, (FACE, FACE))
    faces = np.clip(usual + rng.normal(0, 10, (40, FACE, FACE)), 1, 255)
    faces[7] = rng.integers(60, 200, (FACE, FACE))
    faces[7, 6 - aside : 18 - aside, 6:18] = usual[6:18, 6:18]
    prints = Fingerprints(np.arange(40), np.zeros((40, 32, 32), np.uint8), faces.astype(np.uint8))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # no detector is asked
    data = SimpleNamespace(landmarks=np.tile(face_outline(128), (40, 1, 1)))
    (found,) = check_crops(prints, likeness_to_mean(prints), data)
    assert found.rows == (7,) and found.level == level
