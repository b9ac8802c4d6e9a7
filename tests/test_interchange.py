"""Files of other code, read and written: nothing is lost on the way, and what cannot be held is refused."""

import numpy as np
import pandas as pd
import pytest
from conftest import face_outline
from PIL import Image

from aulib.cropping import ADLD_CROP, crop_matrix
from aulib.datasets import read_dataset
from aulib.interchange.folders import Lists, export, import_lists, import_table
from aulib.interchange.lists import read_jaanet, read_megraphau, write_jaanet, write_megraphau
from aulib.interchange.tables import read_openface, read_pyfeat, write_openface, write_pyfeat
from aulib.landmarks import to_49
from aulib.protocols import BP4D_AUS, DISFA_8

OPENFACE_AUS = "01 02 04 05 06 07 09 10 12 14 15 17 20 23 25 26 45".split()


def pictures(folder, names, size=64):
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def openface_csv(path, num=5, lost=()):
    """What FeatureExtraction writes: spaces after commas, six digits, 3-D points and parameters too."""
    rng = np.random.default_rng(0)
    names = ["frame", "face_id", "timestamp", "confidence", "success", "gaze_0_x", "pose_Tx"]
    names += [f"{axis}_{k}" for axis in "xyXYZ" for k in range(68)] + ["p_scale", "p_0"]
    names += [f"AU{au}_r" for au in OPENFACE_AUS] + [f"AU{au}_c" for au in [*OPENFACE_AUS[:-1], "28", "45"]]
    lines = [", ".join(names)]
    for n in range(1, num + 1):
        points = face_outline(64) + n / 7
        row = [n, 0, f"{(n - 1) / 30:.3f}", "0.98", 0 if n in lost else 1, "-0.109059", f"{rng.normal():.4f}"]
        row += [f"{v:.6g}" for v in (*points[:, 0], *points[:, 1], *rng.normal(0, 50, 204))] + [
            "0.724588",
            "1e-05",
        ]
        row += [f"{v:.2f}" for v in rng.random(len(OPENFACE_AUS)) * 5]
        row += [f"{v:.2f}" for v in rng.integers(0, 2, 18)]
        lines.append(", ".join(map(str, row)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def pyfeat_csv(path, names):
    rows = []
    for n, name in enumerate(names):
        row = {"FaceRectX": 1.25, "FaceScore": 0.9993259}
        row |= {
            f"{a}_{k}": v + n / 3 for i, a in enumerate("xy") for k, v in enumerate(face_outline(64)[:, i])
        }
        row |= {"Pitch": -3.541830833753086, "AU01": 0.5463019, "AU12": 1.0, "anger": 0.0179592}
        rows.append(row | {"input": f"/data/someone/{name}", "frame": 0, "Identity": "Person_0"})
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def cells(path) -> list[list]:
    """Every cell of a CSV, numbers as numbers."""
    lines = [[cell.strip() for cell in line.split(",")] for line in path.read_text().splitlines()]

    def value(cell):
        try:
            return float(cell)
        except ValueError:
            return cell

    return [lines[0], *[[value(cell) for cell in line] for line in lines[1:]]]


def test_openface_there_and_back_is_the_same_cell_by_cell(tmp_path):
    path = openface_csv(tmp_path / "clip.csv", lost=(3,))
    again = write_openface(read_openface(path), tmp_path / "again.csv")
    assert cells(again) == cells(path)
    assert again.read_text().splitlines()[0] == path.read_text().splitlines()[0]  # `, ` between names


def test_pyfeat_there_and_back_is_the_same_cell_by_cell(tmp_path):
    path = pyfeat_csv(tmp_path / "faces.csv", ["a.jpg", "b.jpg"])
    table = read_pyfeat(path)
    assert "AU01_p" in table and "meta_pyfeat_anger" in table and "AU01" not in table
    assert cells(write_pyfeat(table, tmp_path / "again.csv")) == cells(path)


def jaanet_lists(folder, num=6, unknown=9, aus=12, people=("F001", "F002", "F003")):
    rng = np.random.default_rng(1)
    names = [f"BP4D/{people[n % len(people)]}/T1/{2440 + n}.jpg" for n in range(num)]
    codes = rng.integers(0, 2, (num, aus))
    codes[1, 0] = unknown
    points = to_49(face_outline(64)) + rng.normal(0, 1, (num, 49, 2))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "BP4D_part1_path.txt").write_text("\n".join(names) + "\n")
    (folder / "BP4D_part1_AUoccur.txt").write_text("\n".join(" ".join(map(str, row)) for row in codes) + "\n")
    land = "\n".join("\t".join(f"{v:f}" for v in row) for row in points.reshape(num, 98))
    (folder / "BP4D_part1_land.txt").write_text(land + "\n")
    return folder / "BP4D_part1", names, codes, points


@pytest.mark.parametrize("unknown", [9, 999])
def test_jaanet_and_adld_lists_there_and_back(tmp_path, unknown):
    prefix, names, codes, points = jaanet_lists(tmp_path / "list", unknown=unknown)
    table = read_jaanet(prefix)
    assert [c for c in table if c.endswith("_c")] == [f"{au}_c" for au in BP4D_AUS]
    assert np.isnan(table["AU01_c"][1]) and table["AU02_c"].tolist() == codes[:, 1].tolist()
    write_jaanet(table, tmp_path / "again" / "BP4D_part1", unknown)
    for kind in ("path", "AUoccur"):
        again = tmp_path / f"again/BP4D_part1_{kind}.txt"
        assert again.read_text() == (tmp_path / f"list/BP4D_part1_{kind}.txt").read_text()
    land = [np.loadtxt(tmp_path / where / "BP4D_part1_land.txt") for where in ("list", "again")]
    assert (land[0] == land[1]).all()


def test_what_jaanet_makes_of_its_lists_is_made_the_same(tmp_path):
    prefix, _, codes, points = jaanet_lists(
        tmp_path / "list", unknown=1
    )  # no unknown: its formula counts them
    write_jaanet(read_jaanet(prefix), tmp_path / "BP4D")
    rate = (codes > 0).mean(axis=0)
    weight = 1 / rate / (1 / rate).sum() * 12  # write_AU_weight.py
    assert np.loadtxt(tmp_path / "BP4D_weight.txt") == pytest.approx(weight, abs=1e-6)
    rounded = np.loadtxt(f"{prefix}_land.txt").reshape(-1, 49, 2)
    eyes = rounded[:, 19:25].mean(axis=1) - rounded[:, 25:31].mean(axis=1)
    assert np.loadtxt(tmp_path / "BP4D_biocular.txt") == pytest.approx((eyes**2).sum(axis=1), abs=1e-5)


def test_landmarks_of_raw_pictures_count_from_1(tmp_path):
    prefix, *_, points = jaanet_lists(tmp_path / "list")
    raw = read_jaanet(prefix, first_pixel=1)
    assert raw["x_0"].to_numpy() == pytest.approx(points[:, 0, 0] - 1, abs=1e-6)
    write_jaanet(raw, tmp_path / "X", first_pixel=1)
    assert np.loadtxt(tmp_path / "X_land.txt") == pytest.approx(np.loadtxt(f"{prefix}_land.txt"), abs=1e-9)


def megraphau_lists(folder, num=6):
    rng = np.random.default_rng(2)
    folder.mkdir(parents=True)
    for split, people in (("train", ("SN001", "SN002")), ("test", ("SN003",))):
        names = [f"{people[n % len(people)]}/{n}.png" for n in range(num)]
        codes = rng.integers(0, 2, (num, 8))
        codes[0] = 1
        (folder / f"DISFA_{split}_img_path_fold3.txt").write_text("\n".join(names) + "\n")
        np.savetxt(folder / f"DISFA_{split}_label_fold3.txt", codes, fmt="%d")
    return folder


@pytest.mark.filterwarnings("error")
def test_an_au_that_is_never_present_has_no_weight_and_spoils_no_other(tmp_path):
    table = read_jaanet(jaanet_lists(tmp_path / "list", unknown=9)[0]).assign(AU01_c=0.0)
    write_jaanet(table, tmp_path / "BP4D")
    weight = np.loadtxt(tmp_path / "BP4D_weight.txt")
    assert weight[0] == 0 and (weight[1:] > 0).all() and weight.sum() == pytest.approx(12, abs=1e-4)


def test_megraphau_lists_there_and_back_with_relation_and_weight(tmp_path):
    folder = megraphau_lists(tmp_path / "list")
    table = read_megraphau(folder, "DISFA", 3)
    assert [c for c in table if c.endswith("_c")] == [f"{au}_c" for au in DISFA_8]
    write_megraphau(table, tmp_path / "again", "DISFA", 3)
    for path in sorted(folder.iterdir()):
        assert (tmp_path / "again" / path.name).read_text() == path.read_text()
    codes = np.loadtxt(folder / "DISFA_train_label_fold3.txt")
    relation = np.loadtxt(tmp_path / "again/DISFA_train_AU_relation_fold3.txt")
    by_loops = [
        [2 * row[j] + row[k] for j in range(8) for k in range(8)] for row in codes
    ]  # BP4D_deal_AU_relation.py
    assert relation.tolist() == by_loops
    weight = 1 / codes.mean(axis=0) / (1 / codes.mean(axis=0)).sum() * 8
    assert np.loadtxt(tmp_path / "again/DISFA_weight_fold3.txt") == pytest.approx(weight, abs=1e-6)


def test_jaanet_lists_become_a_dataset_folder_and_lists_again(tmp_path):
    prefix, names, codes, _ = jaanet_lists(tmp_path / "list")
    pictures(tmp_path / "imgs", names[:-1])
    data = import_lists(Lists({"train": str(prefix)}), tmp_path / "imgs", tmp_path / "set")
    assert len(data) == 5 and data.num_landmarks == 49 and set(data.subjects) == {"F001", "F002", "F003"}
    assert pd.read_csv(tmp_path / "set/skipped.csv").to_numpy().tolist() == [[names[-1], "no such picture"]]
    assert np.isnan(data.occurrence[1, 0]) and data.occurrence[2].tolist() == codes[2].tolist()
    export(tmp_path / "set", "jaanet", tmp_path / "out", name="BP4D")
    for kind in ("path", "land", "AUoccur"):
        given = (tmp_path / f"list/BP4D_part1_{kind}.txt").read_text().splitlines()[:-1]
        written = (tmp_path / f"out/BP4D_train_{kind}.txt").read_text().splitlines()
        if kind == "land":
            given, written = (
                [[float(c) for c in line.split()] for line in lines] for lines in (given, written)
            )
        assert written == given


def test_exported_crops_have_adlds_coordinates(tmp_path):
    prefix, names, _, points = jaanet_lists(tmp_path / "list")
    pictures(tmp_path / "imgs", names)
    import_lists(Lists({"train": str(prefix)}), tmp_path / "imgs", tmp_path / "set")
    export(tmp_path / "set", "jaanet", tmp_path / "out", name="BP4D", crop=ADLD_CROP)
    moved = np.loadtxt(tmp_path / "out/BP4D_train_land.txt").reshape(-1, 49, 2)
    for row in range(len(names)):
        matrix = crop_matrix(points[row], ADLD_CROP)
        assert moved[row] == pytest.approx(points[row] @ matrix[:, :2].T + matrix[:, 2], abs=1e-3)
        eyes = moved[row, 19:25].mean(axis=0), moved[row, 25:31].mean(axis=0)
        assert eyes[0][1] == pytest.approx(eyes[1][1], abs=1e-4)  # level
        with Image.open(tmp_path / "out/imgs" / names[row]) as crop:
            assert crop.size == (200, 200)


def test_openface_frames_become_a_dataset_folder_and_openface_again(tmp_path):
    path = openface_csv(tmp_path / "clip.csv", lost=(3,))
    pictures(tmp_path / "pictures", [f"clip/{n:05d}.png" for n in range(1, 6)])
    data = import_table("openface", path, tmp_path / "pictures", tmp_path / "set")
    assert len(data) == 4 and data.num_landmarks == 68
    assert pd.read_csv(tmp_path / "set/skipped.csv")["reason"].tolist() == [
        "success is 0: no face was tracked"
    ]
    (written,) = export(tmp_path / "set", "openface", tmp_path / "out", name="clip")
    given = read_openface(path)
    again = read_openface(written)
    kept = given[given["success"] == 1].reset_index(drop=True)
    assert set(given.columns) <= set(again.columns)
    pd.testing.assert_frame_equal(again[given.columns], kept, check_dtype=False)


def test_pyfeat_becomes_a_dataset_folder_and_pyfeat_again(tmp_path):
    path = pyfeat_csv(tmp_path / "faces.csv", ["x/a.jpg", "y/b.jpg"])
    pictures(tmp_path / "pictures", ["x/a.jpg", "y/b.jpg"])
    data = import_table("pyfeat", path, tmp_path / "pictures", tmp_path / "set")
    assert data.table["image"].tolist() == ["images/x/a.jpg", "images/y/b.jpg"] and data.aus == []
    (written,) = export(tmp_path / "set", "pyfeat", tmp_path / "out")
    given, again = pd.read_csv(path), pd.read_csv(written)
    pd.testing.assert_frame_equal(again[given.columns], given, check_dtype=False)


@pytest.mark.parametrize("columns", [1, 8])
def test_lists_that_do_not_belong_together_are_refused(tmp_path, columns):
    prefix, *_ = jaanet_lists(tmp_path / "list")
    file = tmp_path / "list/BP4D_part1_AUoccur.txt"
    lines = file.read_text().splitlines()
    cases = {
        "has 5 lines, the list of paths 6": lines[:-1],
        "line 2: 11 numbers, expected 12": [lines[0], lines[1][2:], *lines[2:]],
        "line 3: AU01 is 7, expected": [*lines[:2], "7" + lines[2][1:], *lines[3:]],
        "line 4: could not convert": [*lines[:3], "x" + lines[3][1:], *lines[4:]],
        "both 9 and 999": [*lines[:3], "999" + lines[3][1:], *lines[4:]],
        "line 4: not all numbers are finite": [*lines[:3], "nan" + lines[3][1:], *lines[4:]],
        "line 3 is blank": [*lines[:2], "", *lines[3:]],
    }
    for why, content in cases.items():
        file.write_text("\n".join(content) + "\n")
        with pytest.raises(ValueError, match=why):
            read_jaanet(prefix)
    file.write_text("\n".join(" ".join("1" * 5) for _ in lines) + "\n")
    with pytest.raises(ValueError, match="5 columns; say which AUs"):
        read_jaanet(prefix)
    assert len(read_jaanet(prefix, aus=list(BP4D_AUS[:5]))) == 6


def test_what_a_format_cannot_hold_is_refused(tmp_path, tiny_set):
    table = read_dataset(tiny_set).table
    with pytest.raises(ValueError, match="both|unknown labels"):
        write_megraphau(table.assign(AU01_c=np.nan), tmp_path, "X", 1)
    with pytest.raises(ValueError, match="24 of 24 rows have no landmarks"):
        write_jaanet(table.assign(x_3=np.nan), tmp_path / "X")
    with pytest.raises(ValueError, match="no column for intensities"):
        write_pyfeat(table.assign(AU01_r=1.0), tmp_path / "x.csv")
    with pytest.raises(ValueError, match="AU12 would be written twice"):
        write_pyfeat(table.assign(AU12_p=1.0), tmp_path / "x.csv")
    with pytest.raises(ValueError, match="does not fit on a line"):
        write_jaanet(table.assign(image="a\nb.jpg"), tmp_path / "X")


def test_paths_that_leave_the_pictures_are_skipped(tmp_path):
    prefix, names, *_ = jaanet_lists(tmp_path / "list", num=3)
    pictures(tmp_path / "imgs", names)
    (tmp_path / "list/BP4D_part1_path.txt").write_text(
        "\n".join(["../list/secret.jpg", "/etc/passwd", names[2]]) + "\n"
    )
    data = import_lists(Lists({"train": str(prefix)}), tmp_path / "imgs", tmp_path / "set")
    assert data.table["image"].tolist() == [f"images/{names[2]}"]
    assert set(pd.read_csv(tmp_path / "set/skipped.csv")["reason"]) == {
        "its path leaves the folder of pictures"
    }
