"""The label doctor: a sound set is found sound, and each of thirty planted faults is found by itself."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aubench.datasets.doctor import diagnosis as reports
from aubench.datasets.doctor.check import check, worst_faces
from aubench.datasets.doctor.duplicates import SAME, find_duplicates
from aubench.datasets.doctor.pictures import Fingerprints
from aufaces.domains import STUDIO, picture, sample_face
from aufaces.renderer import FaceRenderer
from aulib.landmarks import layout_of
from conftest import write_tiny_set
from planted_faults import EACH, PEOPLE, SIDE, Clinic


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return Clinic(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    clinic = Clinic(tmp_path_factory.mktemp("spoilt"))
    faults = clinic.plant_all()
    return faults, check(clinic.root, progress=False)


def matching(diagnosis, says):
    return [f for f in diagnosis.findings if any(words in f.text for words in says.split("|"))]


def test_a_sound_set_has_no_errors_and_no_warnings(sound):
    diagnosis = check(sound.root, progress=False)
    assert [finding.line() for finding in diagnosis.findings if finding.level != "note"] == []
    assert "0 errors, 0 warnings" in diagnosis.text() or "nothing found" in diagnosis.text()


def test_thirty_planted_faults_are_all_found(spoilt):
    faults, diagnosis = spoilt
    assert len(faults) == 30
    missed = [
        fault
        for fault in faults
        if not any(fault.row is None or fault.row in found.rows for found in matching(diagnosis, fault.says))
    ]
    assert missed == []


def test_rows_without_a_fault_are_left_alone(spoilt):
    faults, diagnosis = spoilt
    planted = {fault.row for fault in faults} | {
        3 * EACH,
        4 * EACH,
        7 * EACH,
        7 * EACH + 1,
    }  # and their partners
    blamed = {row for f in diagnosis.findings if f.level != "note" and len(f.rows) <= 3 for row in f.rows}
    assert blamed - planted <= {row for person in (1,) for row in range(person * EACH, person * EACH + EACH)}


def test_the_report_names_rows_as_a_spreadsheet_does_and_is_kept_as_json(spoilt, tmp_path):
    _, diagnosis = spoilt
    assert f"row {1 * EACH + 2 + 2}: AU01_c is 9" in diagnosis.text()
    assert diagnosis.count("error") > 20 and f"{diagnosis.count('error')} errors" in diagnosis.text()
    diagnosis.write(tmp_path / "found.json")
    kept = json.loads((tmp_path / "found.json").read_text())["findings"]
    assert len(kept) == len(diagnosis.findings) == len(diagnosis.table())
    assert diagnosis.table()["level"].iloc[0] == "error"


def test_the_worst_crops_are_those_that_miss_the_face(spoilt):
    _, diagnosis = spoilt
    faces = worst_faces(diagnosis, 6)
    table, row = faces["table"], 9 * EACH + 2
    assert row in set(table["row"]) and faces["images"][0].shape == (128, 128, 3)
    assert table["likeness"].is_monotonic_increasing and table["likeness"].iloc[0] < 0.3
    assert f"row {row} · {table.set_index('row')['likeness'][row]:.2f}" in faces["captions"]


def test_every_error_fits_the_terminal_and_all_findings_can_be_asked_for(spoilt):
    faults, diagnosis = spoilt
    told = [line for line in diagnosis.text().splitlines() if line.startswith("  ")]
    assert sum("... and" in line for line in told) == 0  # fourteen errors of one check
    shown = reports.SHOWN
    try:
        reports.SHOWN = {"error": 2, "warning": 2, "note": 2}
        assert "and 12 more: --all shows them" in diagnosis.text()
        assert "more: --all" not in diagnosis.text(everything=True)
    finally:
        reports.SHOWN = shown


def test_no_name_is_empty_and_a_pair_of_pictures_is_said_once(spoilt):
    _, diagnosis = spoilt
    assert not any(", ," in f.text or ",  " in f.text for f in diagnosis.findings)
    pairs = [f.rows for f in diagnosis.findings if f.check == "duplicates"]
    assert len(pairs) == len(set(pairs)) == 2


def test_landmarks_in_another_order_throughout_are_one_finding(tmp_path, sound):
    clinic = Clinic(tmp_path)
    for row in range(len(clinic.table)):
        points = clinic.points(row)
        points[:, 1] = 128 - points[:, 1]
        clinic.set_points(row, points)
    clinic.write()
    found = matching(check(tmp_path, pictures=0, progress=False), "in the median face")
    assert len(found) == 1 and "the mouth is above the nose" in found[0].text


def test_base_rates_are_compared_with_the_published_ones(tmp_path):
    clinic = Clinic(tmp_path)
    spread = np.arange(len(clinic.table)) / len(clinic.table)
    for au in ("AU10", "AU12", "AU23"):  # published: 59.4, 56.2 and 16.5 %
        clinic.table[f"{au}_c"] = (spread < 0.57).astype(int)
    clinic.write()
    told = [
        f.text for f in check(tmp_path, "bp4d", pictures=0, progress=False).findings if f.check == "base rate"
    ]
    assert any(text.startswith("AU23 is present in") for text in told)
    assert not any(text.startswith(("AU12", "AU10")) for text in told)
    assert not [f for f in check(tmp_path, pictures=0, progress=False).findings if f.check == "base rate"]
    (tmp_path / "conversion.json").write_text('{"dataset": "bp4d"}')  # as `aulib convert` leaves it
    assert [f for f in check(tmp_path, pictures=0, progress=False).findings if f.check == "base rate"]
    with pytest.raises(ValueError, match="no published figures of 'casme'"):
        check(tmp_path, "casme", progress=False)


def test_an_au_that_only_train_has_and_a_folder_with_people_of_two_splits(tmp_path):
    clinic = Clinic(tmp_path)
    test = clinic.table["split"] == "test"
    clinic.table.loc[test, "AU25_c"] = 0
    clinic.set(clinic.row(29), subject="P29b", split="val")
    clinic.write()
    diagnosis = check(tmp_path, pictures=0, progress=False)
    assert matching(diagnosis, "AU25 is never present in test")
    (found,) = matching(diagnosis, "one person, two names?")
    assert set(found.rows) == {clinic.row(29), clinic.row(29, 1)}


def test_a_manifest_that_breaks_the_rules_of_csv_is_still_checked(tmp_path):
    clinic = Clinic(tmp_path)
    text = (tmp_path / "manifest.csv").read_text().splitlines()
    text[3] += ",1,2,3"
    text[5] = text[5].replace("P00", "Jos\udce9", 1)
    (tmp_path / "manifest.csv").write_bytes("\r\n".join(text).encode("utf-8", "surrogateescape"))
    diagnosis = check(tmp_path, pictures=0, progress=False)
    assert matching(diagnosis, "1 rows have more cells") and matching(diagnosis, "line 6 is not UTF-8")
    assert len(diagnosis.data) == PEOPLE * EACH - 1
    clinic.table = clinic.table.rename(columns={"AU01_c": "AU1"})
    clinic.write()
    assert matching(check(tmp_path, pictures=0, progress=False), "did you mean `AU01_c`")


def test_half_a_layout_of_landmarks_is_one_finding(tmp_path):
    folder = write_tiny_set(tmp_path / "set", n=12)
    text = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(text.replace(",x_5,", ",x5,", 1))
    told = matching(check(folder, progress=False), "missing x_5")
    assert len(told) == 1 and told[0].level == "error"


def test_a_set_without_columns_or_rows_says_so(tmp_path):
    (tmp_path / "manifest.csv").write_text("image;subject;split\na.jpg;s;train\n")
    assert matching(check(tmp_path, progress=False), "separated by other than commas")
    (tmp_path / "manifest.csv").write_text("image,subject,split\n")
    assert matching(check(tmp_path, progress=False), "a header and no rows")
    with pytest.raises(FileNotFoundError, match="not a folder"):
        check(tmp_path / "nowhere")


def test_duplicates_agree_with_comparing_all_pairs():
    rng = np.random.default_rng(0)
    thumbs = rng.integers(20, 236, (200, 32, 32), dtype=np.uint8)
    for copy in range(20):  # noise of growing size, until it is another picture
        noise = rng.normal(0, 1, (32, 32)) * copy
        thumbs[180 + copy] = (thumbs[copy] + noise).round().clip(0, 255).astype(np.uint8)
    look = Fingerprints(np.arange(200), thumbs, np.zeros((200, 24, 24), np.uint8))
    groups = np.array(["train"] * 180 + ["test"] * 20)

    def alike(a, b):
        return float(np.corrcoef(thumbs[a].ravel(), thumbs[b].ravel())[0, 1])

    slow = [(a, b) for a in range(180) for b in range(180, 200) if alike(a, b) >= SAME]
    assert find_duplicates(look, groups) == slow and 14 <= len(slow) < 20
    assert find_duplicates(look, np.array(["train"] * 200)) == []  # frames of one video look alike


def altered(picture: Image.Image, how: str) -> Image.Image:
    if how == "mirrored":
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if how == "lighter":
        return picture.point(lambda value: min(255, round(1.25 * value)))
    if how == "cut":
        return picture.crop((5, 5, SIDE - 5, SIDE - 5))
    return picture.resize((60, 60)).resize((SIDE, SIDE))


@pytest.mark.parametrize("how", ["mirrored", "lighter", "cut", "smaller"])
def test_a_copy_is_found_however_it_was_altered(tmp_path, how):
    clinic = Clinic(tmp_path)
    copy, original = clinic.row(26), clinic.row(7)
    with Image.open(clinic.picture(original)) as picture:
        altered(picture.convert("RGB"), how).save(clinic.picture(copy))
    points = clinic.points(original)
    if how == "mirrored":
        order = list(layout_of(68).flip_index)
        points = (points * (-1, 1) + (SIDE - 1, 0))[order]
    clinic.set_points(copy, points - 5 if how == "cut" else points)
    clinic.write()
    found = [f.rows for f in check(tmp_path, progress=False).findings if f.check == "duplicates"]
    assert found == [(original, copy)]


def test_two_people_of_one_studio_are_no_copies(tmp_path):
    shots = [picture(STUDIO, sample_face(STUDIO, 0, index, 3000), FaceRenderer(128)) for index in (275, 936)]
    for number, (pixels, _) in enumerate(shots):
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", quality=95)
    table = {"image": ["0.jpg", "1.jpg"], "subject": ["a", "b"], "split": ["train", "test"]}
    for axis, name in enumerate("xy"):
        table |= {f"{name}_{n}": [landmarks[n, axis] for _, landmarks in shots] for n in range(68)}
    pd.DataFrame(table).to_csv(tmp_path / "manifest.csv", index=False)
    assert not [f for f in check(tmp_path, progress=False).findings if f.check == "duplicates"]


def test_an_au_that_the_whole_test_split_has_is_an_error(tmp_path):
    clinic = Clinic(tmp_path)
    clinic.table.loc[clinic.table["split"] == "test", "AU06_c"] = 1
    clinic.write()
    (found,) = matching(
        check(tmp_path, pictures=0, progress=False), "AU06 is present in every one of 25 rows"
    )
    assert found.level == "error" and "of test, in" in found.text


def test_a_stuck_track_is_one_finding_with_all_its_rows(tmp_path):
    clinic = Clinic(tmp_path)
    stuck = [clinic.row(11, n) for n in range(5)]
    for row in stuck:
        clinic.set_points(row, clinic.points(stuck[0]))
    clinic.write()
    (found,) = matching(check(tmp_path, pictures=0, progress=False), "have the very same landmarks")
    assert list(found.rows) == stuck and found.level == "error"


@pytest.mark.parametrize("move", [(14, 0), (0, -14)])
def test_landmarks_beside_the_face_are_an_error_that_says_where_the_face_is(tmp_path, move, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no detector has to be there
    clinic = Clinic(tmp_path)
    row = clinic.row(12)
    clinic.set_points(row, clinic.points(row) + move)
    clinic.write()
    (found,) = [f for f in check(tmp_path, progress=False).findings if f.check == "crops"]
    assert found.level == "error" and found.rows == (row,)
    assert "pixels next to the face" in found.text and ("to the left" if move[0] else "below") in found.text
    far = int(re.search(r"about (\d+) pixels", found.text)[1])
    assert 9 <= far <= 19


def test_a_set_of_many_pictures_is_sampled_and_says_so(tmp_path):
    diagnosis = check(write_tiny_set(tmp_path / "set", n=24), pictures=6, progress=False)
    assert matching(diagnosis, "6 of 24 pictures were looked at")


def test_the_doctor_reads_parquet_too(tmp_path):
    folder = write_tiny_set(tmp_path / "set")
    table = pd.read_csv(folder / "manifest.csv")
    table.loc[3, "AU01_c"] = 9
    table.to_parquet(folder / "manifest.parquet")
    (folder / "manifest.csv").unlink()
    assert matching(check(folder, pictures=0, progress=False), "AU01_c is 9")
