"""Files of other code, read and written: nothing is lost, and what a format cannot hold is refused."""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import raw_trees
from aubench.datasets.interchange.folders import export, import_jaanet, import_megraphau, import_table
from aubench.datasets.interchange.lists import read_jaanet, read_megraphau, write_jaanet, write_megraphau
from aubench.datasets.interchange.tables import read_openface, write_openface, write_pyfeat
from aubench.datasets.photographs import prepare
from aulib.crops import ADLD_CROP, crop_matrix
from aulib.dataset import read_dataset
from aulib.landmarks import to_49
from aulib.protocols import BP4D_AUS, DISFA_8
from conftest import face_outline, write_tiny_set

NUMBER = re.compile(r"-?[\d.]+(e-?\d+)?")
OPENFACE_AUS = "01 02 04 05 06 07 09 10 12 14 15 17 20 23 25 26 45".split()


def pictures(folder, names):
    for seed, name in enumerate(names):
        raw_trees.picture(folder / name, seed)


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
        row += [f"{v:.6g}" for v in (*points[:, 0], *points[:, 1], *rng.normal(0, 50, 204))]
        row += ["0.724588", "1e-05"] + [f"{v:.2f}" for v in rng.random(len(OPENFACE_AUS)) * 5]
        row += [f"{v:.2f}" for v in rng.integers(0, 2, 18)]
        lines.append(", ".join(map(str, row)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def clip(tmp_path):
    """A table of OpenFace; its frames are in `pictures`."""
    pictures(tmp_path / "pictures", [f"clip/{n:05d}.png" for n in range(1, 6)])
    return openface_csv(tmp_path / "clip.csv")


def pyfeat_csv(path, names):
    rows = []
    for n, name in enumerate(names):
        points = face_outline(64) + n / 3
        row = {"FaceRectX": 1.25, "FaceScore": 0.9993259}
        row |= {f"{axis}_{k}": points[k, i] for i, axis in enumerate("xy") for k in range(68)}
        row |= {"Pitch": -3.541830833753086, "AU01": 0.5463019, "AU12": 1.0, "anger": 0.0179592}
        rows.append(row | {"input": f"/data/someone/{name}", "frame": 0, "Identity": "Person_0"})
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def cells(path) -> list[list]:
    """Every cell of a CSV, numbers as numbers."""
    header, *lines = [[cell.strip() for cell in line.split(",")] for line in path.read_text().splitlines()]
    return [header, *[[float(cell) if NUMBER.fullmatch(cell) else cell for cell in row] for row in lines]]


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


def test_what_jaanet_makes_of_its_lists_is_made_the_same(tmp_path):
    prefix, _, codes, _ = jaanet_lists(tmp_path / "list", unknown=1)  # no unknown: its formula counts them
    write_jaanet(read_jaanet(prefix), tmp_path / "BP4D")
    rate = (codes > 0).mean(axis=0)
    weight = 1 / rate / (1 / rate).sum() * 12  # write_AU_weight.py
    assert np.loadtxt(tmp_path / "BP4D_weight.txt") == pytest.approx(weight, abs=1e-6)
    rounded = np.loadtxt(f"{prefix}_land.txt").reshape(-1, 49, 2)
    eyes = rounded[:, 19:25].mean(axis=1) - rounded[:, 25:31].mean(axis=1)
    assert np.loadtxt(tmp_path / "BP4D_biocular.txt") == pytest.approx((eyes**2).sum(axis=1), abs=1e-5)


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
def test_an_au_that_is_never_present_has_no_weight_and_changes_no_other(tmp_path):
    table = read_jaanet(jaanet_lists(tmp_path / "list", unknown=9)[0]).assign(AU01_c=0.0)
    write_jaanet(table, tmp_path / "BP4D")
    weight = np.loadtxt(tmp_path / "BP4D_weight.txt")
    assert weight[0] == 0 and (weight[1:] > 0).all() and weight.sum() == pytest.approx(12, abs=1e-4)


def test_megraphau_lists_become_a_dataset_folder_and_lists_again(tmp_path):
    folder = megraphau_lists(tmp_path / "list")
    names = [line for path in folder.glob("*path*") for line in path.read_text().split()]
    pictures(tmp_path / "imgs", names)
    data = import_megraphau(folder, "DISFA", 3, tmp_path / "imgs", tmp_path / "set")
    assert data.aus == list(DISFA_8)
    notes = []
    export(tmp_path / "set", "megraphau", tmp_path / "out", fold=3, report=notes.append)
    assert notes == []
    for path in folder.iterdir():
        assert (tmp_path / "out" / path.name).read_text() == path.read_text()
    codes = np.loadtxt(folder / "DISFA_train_label_fold3.txt")
    relation = np.loadtxt(tmp_path / "out/DISFA_train_AU_relation_fold3.txt")
    by_loops = [[2 * row[j] + row[k] for j in range(8) for k in range(8)] for row in codes]
    assert relation.tolist() == by_loops  # BP4D_deal_AU_relation.py
    weight = 1 / codes.mean(axis=0) / (1 / codes.mean(axis=0)).sum() * 8
    assert np.loadtxt(tmp_path / "out/DISFA_weight_fold3.txt") == pytest.approx(weight, abs=1e-6)


@pytest.mark.parametrize("first_pixel, unknown", [(0, 9), (1, 9), (0, 999)])
def test_jaanet_and_adld_lists_become_a_dataset_folder_and_lists_again(tmp_path, first_pixel, unknown):
    prefix, names, codes, points = jaanet_lists(tmp_path / "list", unknown=unknown)
    pictures(tmp_path / "imgs", names[:-1])
    data = import_jaanet({"train": prefix}, tmp_path / "imgs", tmp_path / "set", first_pixel=first_pixel)
    assert data.aus == list(BP4D_AUS)
    assert len(data) == 5 and data.num_landmarks == 49 and set(data.subjects) == {"F001", "F002", "F003"}
    assert pd.read_csv(tmp_path / "set/skipped.csv")["image"].tolist() == [names[-1]]
    assert np.isnan(data.occurrence[1, 0]) and data.occurrence[2].tolist() == codes[2].tolist()
    assert data.landmarks[0] == pytest.approx(points[0] - first_pixel, abs=1e-5)
    export(tmp_path / "set", "jaanet", tmp_path / "out", unknown, "BP4D", first_pixel=first_pixel)
    for kind in ("path", "AUoccur"):  # all six rows
        assert (tmp_path / f"out/BP4D_train_{kind}.txt").read_text() == open(f"{prefix}_{kind}.txt").read()
    land = np.loadtxt(f"{prefix}_land.txt")  # numbers may be written otherwise
    assert np.loadtxt(tmp_path / "out/BP4D_train_land.txt") == pytest.approx(land, rel=0, abs=1e-9)
    with pytest.raises(ValueError, match="first_pixel"):
        export(tmp_path / "set", "jaanet", tmp_path / "no", crop=ADLD_CROP, first_pixel=1)


def test_lists_that_count_pixels_from_1_do_so_again_under_their_name(tmp_path):
    prefix, names, *_ = jaanet_lists(tmp_path / "list")
    pictures(tmp_path / "imgs", names)
    import_jaanet({"train": prefix}, tmp_path / "imgs", tmp_path / "set", first_pixel=1)
    export(tmp_path / "set", "jaanet", tmp_path / "out")
    land = np.loadtxt(f"{prefix}_land.txt")
    assert np.loadtxt(tmp_path / "out/BP4D_part1_train_land.txt") == pytest.approx(land, rel=0, abs=1e-9)


def test_a_picture_in_lists_of_two_splits_is_refused(tmp_path):
    prefix, names, *_ = jaanet_lists(tmp_path / "list")
    pictures(tmp_path / "imgs", names)
    with pytest.raises(
        ValueError, match=r"2440.jpg is in train .*_path.txt line 1\) and in test .*one split"
    ):
        import_jaanet({"train": prefix, "test": prefix}, tmp_path / "imgs", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_aus_that_contradict_the_lists_own_are_refused(tmp_path):
    prefix, *_ = jaanet_lists(tmp_path / "list")
    (tmp_path / "list/BP4D_part1_AUs.txt").write_text(" ".join(BP4D_AUS))
    assert f"{BP4D_AUS[0]}_c" in read_jaanet(prefix, list(BP4D_AUS))
    with pytest.raises(ValueError, match="BP4D_part1_AUs.txt names AU01, .* was asked for"):
        read_jaanet(prefix, list(BP4D_AUS[::-1]))


def test_an_export_that_would_leave_lists_of_people_elsewhere_is_refused(tmp_path, tiny_set):
    export(tiny_set, "jaanet", tmp_path / "out", name="n", aus=["AU01"])
    table = pd.read_csv(tiny_set / "manifest.csv").assign(split="train")
    table.to_csv(tiny_set / "manifest.csv", index=False)
    with pytest.raises(FileExistsError, match="n_val_path.txt is there, and .* has no row of val"):
        export(tiny_set, "jaanet", tmp_path / "out", name="n", aus=["AU01"])
    with pytest.raises(ValueError, match="without folders"):
        export(tiny_set, "jaanet", tmp_path / "out", name="../n")


def test_lists_call_no_two_pictures_alike(tmp_path, tiny_set):
    table = pd.read_csv(tiny_set / "manifest.csv")
    (tiny_set / "0.png").write_bytes((tiny_set / table["image"][1]).read_bytes())
    inside = tiny_set / table["image"][0]
    inside.rename(inside.with_name("0.png"))
    table.loc[:1, "image"] = "images/0.png", "0.png"
    table.to_csv(tiny_set / "manifest.csv", index=False)
    with pytest.raises(ValueError, match="lists call both images/0.png and 0.png 0.png"):
        export(tiny_set, "jaanet", tmp_path / "out", aus=["AU01"])


def test_exported_crops_have_adlds_coordinates(tmp_path):
    prefix, names, _, points = jaanet_lists(tmp_path / "list")
    pictures(tmp_path / "imgs", names)
    import_jaanet({"train": prefix}, tmp_path / "imgs", tmp_path / "set")
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
    assert pd.read_csv(tmp_path / "set/skipped.csv")["image"].tolist() == ["clip/00003.png"]
    (written,) = export(tmp_path / "set", "openface", tmp_path / "out", name="clip")
    assert cells(written) == cells(path)  # the row without a face too
    assert written.read_text().splitlines()[0] == path.read_text().splitlines()[0]  # `, ` between names


@pytest.mark.parametrize("many", [1, 100])  # each byte becomes six characters
def test_frames_whose_names_are_no_utf8_are_imported_and_prepared(many, tmp_path):
    path = openface_csv(tmp_path / "clip.csv")
    pictures(tmp_path / "frames", [f"clip/{n:05d}.png" for n in range(1, 6)])
    for file in (tmp_path / "frames/clip").iterdir():
        file.rename(
            os.fsdecode(os.fsencode(file.parent) + b"/caf" + many * b"\xe9" + b"_" + os.fsencode(file.name))
        )
    data = import_table("openface", path, tmp_path / "frames", tmp_path / "set")
    assert len(data) == 5 and data.table["image"][0].startswith("images/clip/caf_udce9_")
    assert len(prepare(tmp_path / "frames", tmp_path / "out", landmarks=path, progress=False)) == 5


def test_the_index_that_pandas_writes_is_left_out(clip, tmp_path):
    pd.read_csv(clip, skipinitialspace=True).to_csv(clip)
    assert clip.read_text().startswith(",")
    data = import_table("openface", clip, tmp_path / "pictures", tmp_path / "set")
    assert len(data) == 5 and not [name for name in data.table if "Unnamed" in name]
    clip.write_text(clip.read_text().replace("AU12_c", "", 1))
    with pytest.raises(ValueError, match=r"clip.csv line 1: column \d+ has no name"):
        import_table("openface", clip, tmp_path / "pictures", tmp_path / "again")


FAULTS = {  # a damaged table, and what the message says
    "an unknown column": (lambda t: t.assign(happiness=1), "clip.csv"),
    "half the landmarks": (lambda t: t.assign(y_40=t["y_40"].mask(t.index == 2)), "clip.csv line 4"),
    "half a layout": (lambda t: t.drop(columns="y_40"), "clip.csv .*landmarks"),
    "a point far outside": (lambda t: t.assign(x_30=[20, 20, 1e6, 20, 20]), "clip.csv line 4: x_30 is 1e"),
    "y upwards": (
        lambda t: t.assign(**{f"y_{k}": 64 - t[f"y_{k}"] for k in range(68)}),
        "clip.csv line 2 ...: .*y up",
    ),
    "no intensity": (lambda t: t.assign(AU01_r=[1, 1, 99, 1, 1]), "clip.csv line 4: AU01_r is 99"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_refusal_names_the_file_that_was_given_and_leaves_nothing(fault, clip, tmp_path):
    damage, place = FAULTS[fault]
    damaged = write_openface(damage(read_openface(clip)), tmp_path / "damaged/clip.csv")
    with pytest.raises(ValueError, match=place) as caught:
        import_table("openface", damaged, tmp_path / "pictures", tmp_path / "set")
    assert "manifest.csv" not in str(caught.value) and ".part" not in str(caught.value)
    assert not list(tmp_path.glob("set*"))


def people_of(folder):
    table = read_dataset(folder).table
    return {name.removeprefix("images/"): pair for name, *pair in table[["image", "subject", "split"]].values}


def test_frames_of_one_recording_are_one_person_in_one_split(tmp_path):
    path = openface_csv(tmp_path / "clip.csv")
    for name in ("inside", "at the top"):
        below = "clip/" if name == "inside" else ""
        pictures(tmp_path / name, [f"{below}{n:05d}.png" for n in range(1, 6)])
        import_table("openface", path, tmp_path / name, tmp_path / f"{name} set")
        people = people_of(tmp_path / f"{name} set").values()
        assert len(people) == 5 and len(set(map(tuple, people))) == 1 and next(iter(people))[0] == "clip"


def test_tracked_faces_of_a_recording_are_people_in_one_split(tmp_path):
    (tmp_path / "tables").mkdir()
    for clip in ("a", "b", "c", "d", "e"):
        table = read_openface(openface_csv(tmp_path / f"{clip}.csv"))
        path = tmp_path / f"tables/{clip}.csv"
        write_openface(table.assign(face_id=["0", "0", "1", "1", "0"] if clip == "c" else "0"), path)
        pictures(tmp_path / "frames", [f"{clip}/{n:05d}.png" for n in range(1, 6)])
    import_table("openface", tmp_path / "tables", tmp_path / "frames", tmp_path / "set")
    people = people_of(tmp_path / "set")
    assert {subject for subject, _ in people.values()} == {"a", "b", "c-face-0", "c-face-1", "d", "e"}
    for clip in "abcde":
        assert len({split for name, (_, split) in people.items() if name.startswith(clip)}) == 1


def test_pictures_that_a_table_names_are_people_by_folder(tmp_path):
    path = pyfeat_csv(tmp_path / "faces.csv", ["a.jpg", "b.jpg", "c.jpg"])
    table = pd.read_csv(path).assign(frame=[0, 1, 2])
    table.to_csv(path, index=False)
    pictures(tmp_path / "pictures", ["a.jpg", "b.jpg", "c.jpg"])
    import_table("pyfeat", path, tmp_path / "pictures", tmp_path / "set")
    assert {subject for subject, _ in people_of(tmp_path / "set").values()} == {"a", "b", "c"}


def test_codes_that_are_read_as_unknown_and_columns_that_are_not_used_are_told(clip, tmp_path):
    table = read_openface(clip).assign(AU01_c=[0, 9, 1, 9, 0], AU02_c=999, subject="someone", split="test")
    write_openface(table, tmp_path / "own/clip.csv")
    told = []
    import_table("openface", clip, tmp_path / "pictures", tmp_path / "plain", report=told.append)
    assert told == []
    import_table(
        "openface", tmp_path / "own/clip.csv", tmp_path / "pictures", tmp_path / "set", "copy", told.append
    )
    codes, columns = told
    assert "clip.csv line 3: AU01_c is 9 in 2 rows" in codes and "1 columns more" in codes
    assert "subject and split" in columns


def test_pictures_that_were_extracted_at_another_rate_are_warned_of(tmp_path):
    openface_csv(tmp_path / "clip.csv", num=12)
    told = []
    for num in (5, 6):  # of 12 frames
        pictures(tmp_path / "clip", [f"{n:04d}.png" for n in range(1, num + 1)])
        out = tmp_path / f"set {num}"
        import_table("openface", tmp_path / "clip.csv", tmp_path / "clip", out, report=told.append)
    assert len(told) == 1 and "7 of 12 rows of 'clip' found no picture" in told[0]


def test_an_import_touches_no_other_folder_and_of_two_the_later_is_told(clip, tmp_path):
    for name in ("set.partial", ".set.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("mine")

    def import_it(_) -> str:
        try:
            return str(len(import_table("openface", clip, tmp_path / "pictures", tmp_path / "set")))
        except FileExistsError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(import_it, range(2))) == {
            "5",
            f"{tmp_path}/set is not empty, expected a new folder",
        }
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"clip.csv", "pictures", "set.partial", ".set.part", "set"}
    assert all((tmp_path / name / "notes.txt").exists() for name in ("set.partial", ".set.part"))


@pytest.mark.parametrize("kind", ["openface", "pyfeat", "jaanet"])
def test_an_export_replaces_no_file(kind, tmp_path):
    path = openface_csv(tmp_path / "clip.csv")
    pictures(tmp_path / "imgs", [f"clip/{n:05d}.png" for n in range(1, 6)])
    table = pd.read_csv(path, skipinitialspace=True)
    labels = [name for name in table if name.endswith("_r")]
    table.drop(columns=labels).to_csv(path, index=False)
    import_table("openface", path, tmp_path / "imgs", tmp_path / "set")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()}
    options = {"crop": ADLD_CROP, "unknown": 9} if kind == "jaanet" else {}
    with pytest.raises(FileExistsError, match=r"(clip\.csv|imgs.clip.00001\.png) exists"):
        export(tmp_path / "set", kind, tmp_path, name="clip", **options)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*") if file.is_file()} == before


def test_pyfeat_becomes_a_dataset_folder_and_pyfeat_again(tmp_path):
    path = pyfeat_csv(tmp_path / "faces.csv", ["x/a.jpg", "x/a.jpg", "y/b.jpg", "gone.jpg"])
    pictures(tmp_path / "pictures", ["x/a.jpg", "y/b.jpg"])
    data = import_table("pyfeat", path, tmp_path / "pictures", tmp_path / "set")
    assert data.table["image"].tolist() == ["images/x/a.jpg", "images/y/b.jpg"] and data.aus == []
    assert {"AU01_p", "meta_pyfeat_anger"} < set(data.table)
    (written,) = export(tmp_path / "set", "pyfeat", tmp_path / "out")
    assert written.name == "faces.csv" and cells(written) == cells(path)  # all rows
    table = pd.read_csv(tmp_path / "set/manifest.csv")
    table.iloc[:1].to_csv(tmp_path / "set/manifest.csv", index=False)  # rows were removed since
    (written,) = export(tmp_path / "set", "pyfeat", tmp_path / "less")
    assert len(cells(written)) == 2


@pytest.mark.parametrize("au", ["AU01_p", "AU01_c"])
def test_pyfeat_gets_no_probability_outside_0_to_1(tmp_path, au):
    table = pd.DataFrame({"input": ["a.png", "b.png"], au: [0.25, 37.5]})
    with pytest.raises(ValueError, match=f"{au} holds 37.5, expected 0 to 1"):
        write_pyfeat(table, tmp_path / "faces.csv")
    assert not (tmp_path / "faces.csv").exists()
    write_pyfeat(table.head(1), tmp_path / "faces.csv")


def test_rows_of_val_go_to_megraphaus_train_with_a_note(tmp_path):
    notes = []
    export(write_tiny_set(tmp_path / "set", n=12), "megraphau", tmp_path / "out", report=notes.append)
    table = read_dataset(tmp_path / "set").table
    of_val = int((table["split"] == "val").sum())
    assert of_val and [
        f"{of_val} rows of val are written among those of train" in note for note in notes
    ] == [True]
    written = (tmp_path / "out/set_train_img_path_fold1.txt").read_text().split()
    assert len(written) == (table["split"] != "test").sum()


def test_our_own_table_for_pyfeat_is_read_again(tmp_path, tiny_set):
    (path,) = export(tiny_set, "pyfeat", tmp_path / "out")
    again = import_table("pyfeat", path, tiny_set / "images", tmp_path / "set")
    assert np.allclose(again.landmarks, read_dataset(tiny_set).landmarks, atol=0.01)


def test_a_folder_with_other_aus_goes_to_lists_and_back(tmp_path):
    folder = write_tiny_set(tmp_path / "set", n=12)  # as many AUs as no protocol has
    data = read_dataset(folder)
    written = export(folder, "jaanet", tmp_path / "out", name="X")
    assert tmp_path / "out/X_train_AUs.txt" in written
    assert [c[:4] for c in read_jaanet(tmp_path / "out/X_train") if c.endswith("_c")] == data.aus
    export(folder, "jaanet", tmp_path / "two", name="X", aus=data.aus[:2])
    assert [c[:4] for c in read_jaanet(tmp_path / "two/X_train") if c.endswith("_c")] == data.aus[:2]
    with pytest.raises(ValueError, match="no labels of AU43"):
        export(folder, "jaanet", tmp_path / "no", aus=["AU43"])


def aus_of_lists(table):
    return [name[:4] for name in table if name.endswith("_c")]


def test_lists_are_read_with_the_aus_of_their_last_export(tmp_path):
    table = read_dataset(write_tiny_set(tmp_path / "set", n=12)).table
    table = table[[name for name in table if not name.startswith("AU")]]
    others = ["AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10"]  # as many as DISFA's
    other, disfa = (table.assign(**{f"{au}_c": 0.0 for au in aus}) for aus in (others, DISFA_8))
    for lists, aus in ((other, others), (disfa, list(DISFA_8))):
        write_jaanet(lists, tmp_path / "X")
        assert aus_of_lists(read_jaanet(tmp_path / "X")) == aus
    write_megraphau(disfa, tmp_path / "lists", "X", 1)
    (tmp_path / "lists/X_AUs_fold1.txt").rename(tmp_path / "lists/X_AUs.txt")  # as earlier exports
    write_megraphau(other, tmp_path / "lists", "X", 2)
    for fold, aus in ((1, list(DISFA_8)), (2, others)):
        assert aus_of_lists(read_megraphau(tmp_path / "lists", "X", fold)) == aus


def test_lists_of_which_one_was_edited_are_all_left_as_they_are(tmp_path):
    table = read_dataset(write_tiny_set(tmp_path / "set", n=12)).table
    write_jaanet(table, tmp_path / "X")
    (tmp_path / "X_AUs.txt").write_text("AU01 AU02 AU04 AU06\n")
    before = (tmp_path / "X_AUoccur.txt").read_text()
    with pytest.raises(FileExistsError, match="X_AUs.txt exists and .* was edited since"):
        write_jaanet(table.assign(AU01_c=1 - table["AU01_c"]), tmp_path / "X")
    assert (tmp_path / "X_AUoccur.txt").read_text() == before


def test_intensities_alone_become_occurrence_from_2_up_and_the_user_is_told(tmp_path):
    folder = write_tiny_set(tmp_path / "set", n=12)
    table = pd.read_csv(folder / "manifest.csv")
    aus = [name for name in table if name.startswith("AU")]
    strength = pd.Series([0, 1, 2, 5, np.nan, 1] * 2)
    strengths = pd.DataFrame({"AU01_r": strength, "AU12_r": strength[::-1].to_numpy()})
    table = pd.concat([table.drop(columns=aus).assign(split="train"), strengths], axis=1)
    table.to_csv(folder / "manifest.csv", index=False)
    notes = []
    export(folder, "jaanet", tmp_path / "out", name="X", report=notes.append)
    assert len(notes) == 1 and "AU01, AU12" in notes[0] and ">= 2" in notes[0]
    found = read_jaanet(tmp_path / "out/X_train")["AU01_c"].to_numpy()[:6]
    assert np.array_equal(found, [0, 0, 1, 1, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize("aus, wrong", [("x,y", "x"), ("1,99", "99"), ("1,,2", "")])
def test_aus_that_are_none_are_refused_by_name(aus, wrong):
    import typer

    from aubench.cli.data import _named_aus

    assert _named_aus("1,AU12, 4") == ["AU01", "AU12", "AU04"] and _named_aus("") is None
    with pytest.raises(typer.BadParameter, match=f"'{wrong}' is no AU"):
        _named_aus(aus)


ZEROS = " 0" * 11


@pytest.mark.parametrize(
    "line, content, why",
    [
        (6, None, "5 lines, .* 6"),
        (2, "0 1", "line 2: 2 numbers, expected 12"),
        (3, "7" + ZEROS, "line 3: AU01 is 7"),
        (4, "x" + ZEROS, "line 4: .*'x'"),
        (4, "999" + ZEROS, "9 and 999"),
        (4, "nan" + ZEROS, "line 4"),
        (3, "", "line 3 is blank"),
    ],
)
def test_lists_that_do_not_belong_together_are_refused(tmp_path, line, content, why):
    prefix, *_ = jaanet_lists(tmp_path / "list")
    file = tmp_path / "list/BP4D_part1_AUoccur.txt"
    lines = file.read_text().splitlines()
    lines[line - 1 : line] = [] if content is None else [content]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=f"BP4D_part1_AUoccur.txt.*{why}"):
        read_jaanet(prefix)


def test_an_au_that_is_named_twice_is_refused(tmp_path):
    prefix, *_ = jaanet_lists(tmp_path / "list")
    with pytest.raises(ValueError, match="AUoccur.txt: the AUs are AU01, AU01, .*each once"):
        read_jaanet(prefix, ["AU01", "AU01", *BP4D_AUS[2:]])


def test_pictures_that_are_none_are_listed_and_stop_no_import(tmp_path):
    path = openface_csv(tmp_path / "tables/clip.csv")
    pictures(frames := tmp_path / "frames", [f"{n}.png" for n in range(1, 6)])
    (frames / "2.png").unlink()
    os.symlink("nowhere", frames / "2.png")
    (frames / "3.png").rename(frames / "3.heic")
    os.mkfifo(frames / "6.csv")  # no table
    assert len(import_table("openface", path, frames, tmp_path / "set")) == 3
    skipped = pd.read_csv(tmp_path / "set/skipped.csv").set_index("image")["reason"]
    assert "a link to nothing" in skipped["2.png"] and "convert it" in skipped["3.heic"]
    os.mkfifo(tmp_path / "tables/pipe.csv")
    (tmp_path / "tables/folder.csv").mkdir()
    assert len(import_table("openface", tmp_path / "tables", frames, tmp_path / "again")) == 3


def test_pictures_that_cannot_be_decoded_are_listed_and_dark_ones_noted(clip, tmp_path):
    frames = tmp_path / "pictures/clip"
    (frames / "00002.png").write_bytes(b"")
    whole = (frames / "00003.png").read_bytes()
    (frames / "00003.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (64, 64)).save(frames / "00004.png")
    data = import_table("openface", clip, tmp_path / "pictures", tmp_path / "set")
    assert [name[-5] for name in data.table["image"]] == ["1", "4", "5"]
    skipped = pd.read_csv(tmp_path / "set/skipped.csv").set_index("image")["reason"]
    assert list(skipped.index) == ["clip/00002.png", "clip/00003.png"]
    assert "empty file" in skipped.iloc[0] and skipped.iloc[1].startswith("unreadable: ")
    notes = pd.read_csv(tmp_path / "set/notes.csv").set_index("image")["note"]
    assert notes.index.tolist() == ["clip/00004.png"] and "nearly black" in notes.iloc[0]


def test_pictures_that_are_no_frames_go_to_openface_and_back_as_they_are(tiny_set, tmp_path):
    (file,) = export(tiny_set, "openface", tmp_path / "out", name="faces")
    written = read_openface(file)
    assert not {"frame", "timestamp", "face_id"} & set(written) and set(written["success"]) == {1}
    written["image"] = written["image"].str.removeprefix("images/")
    write_openface(written.drop(columns=["subject", "split"]), tmp_path / "in/faces.csv")
    data = import_table("openface", tmp_path / "in/faces.csv", tiny_set / "images", tmp_path / "set")
    assert len(data) == 24 and len(set(data.subjects)) == 24  # not one recording of one person


def test_a_face_that_is_too_small_is_listed_and_stops_no_import(tmp_path):
    prefix, names, _, points = jaanet_lists(tmp_path / "list")
    points[2] /= 100
    land = "\n".join("\t".join(f"{v:f}" for v in row) for row in points.reshape(len(names), 98))
    (tmp_path / "list/BP4D_part1_land.txt").write_text(land)
    pictures(tmp_path / "imgs", names)
    assert len(import_jaanet({"train": prefix}, tmp_path / "imgs", tmp_path / "set")) == len(names) - 1
    skipped = pd.read_csv(tmp_path / "set/skipped.csv")
    assert skipped["image"].tolist() == [names[2]] and "span" in skipped["reason"][0]


def test_as_many_columns_as_no_set_has_need_names(tmp_path):
    prefix, *_ = jaanet_lists(tmp_path / "list", aus=5)
    with pytest.raises(ValueError, match="5 columns"):
        read_jaanet(prefix)
    assert len(read_jaanet(prefix, aus=list(BP4D_AUS[:5]))) == 6


@pytest.mark.parametrize("unknown", [0, 1, -1])
def test_a_label_is_no_code_for_unknown(unknown, tmp_path, tiny_set):
    with pytest.raises(ValueError, match=f"code for unknown is {unknown}, expected 9 or 999"):
        export(tiny_set, "jaanet", tmp_path / "out", unknown=unknown)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes",
    [{"name": "../evil"}, {"name": 3}, {"columns": 4}, {"columns": [[]]}, {"rows": "x"}, {"rows": 27}],
)
def test_a_damaged_note_of_an_import_is_none_and_leads_nowhere(changes, tmp_path, tiny_set):
    note = {"kind": "openface", "name": "clip", "columns": ["x_0"], "rows": 26} | changes
    (tiny_set / "interchange.json").write_text(json.dumps(note))
    (tiny_set / "left_out.csv").write_text("image,position\na.png,3\nb.png,3\n")
    (file,) = export(tiny_set, "openface", tmp_path / "out/deep")
    assert file.parent == tmp_path / "out/deep" and len(cells(file)) == 25


def test_what_a_format_cannot_hold_is_refused(tmp_path, tiny_set):
    table = read_dataset(tiny_set).table
    with pytest.raises(ValueError, match="unknown labels"):
        write_megraphau(table.assign(AU01_c=np.nan), tmp_path, "X", 1)
    with pytest.raises(ValueError, match="24 of 24 rows have no landmarks"):
        write_jaanet(table.assign(x_3=np.nan), tmp_path / "X")
    with pytest.raises(ValueError, match="intensities.*AU01_r"):
        write_pyfeat(table.assign(AU01_r=1.0), tmp_path / "x.csv")
    with pytest.raises(ValueError, match="AU12"):
        write_pyfeat(table.assign(AU12_p=1.0), tmp_path / "x.csv")
    with pytest.raises(ValueError, match=r"'a\\nb.jpg'"):
        write_jaanet(table.assign(image="a\nb.jpg"), tmp_path / "X")


@pytest.mark.parametrize("kind", ["openface", "pyfeat"])
@pytest.mark.parametrize("frame", ["f2", "2.5"])
def test_a_frame_that_is_no_whole_number_is_named(kind, frame, tmp_path, tiny_set):
    table = pd.read_csv(tiny_set / "manifest.csv").copy()
    frames = ["1", "", frame, *map(str, range(4, len(table) + 1))]
    table.assign(frame=frames).to_csv(tiny_set / "manifest.csv", index=False)
    with pytest.raises(ValueError, match=f"column frame holds '?{frame}'?, expected whole numbers"):
        export(tiny_set, kind, tmp_path / "out")
    frames[2] = "3.0"
    table.assign(frame=frames).to_csv(tiny_set / "manifest.csv", index=False)
    (file,) = export(tiny_set, kind, tmp_path / "out")
    written = pd.read_csv(file, skipinitialspace=True)["frame"]
    np.testing.assert_array_equal(written, [1, np.nan, *range(3, len(table) + 1)])


def test_paths_that_leave_the_pictures_are_skipped(tmp_path):
    prefix, names, *_ = jaanet_lists(tmp_path / "list", num=3)
    pictures(tmp_path / "imgs", names)
    outside = ["../list/secret.jpg", "/etc/passwd"]
    (tmp_path / "list/BP4D_part1_path.txt").write_text("\n".join([*outside, names[2]]) + "\n")
    data = import_jaanet({"train": prefix}, tmp_path / "imgs", tmp_path / "set")
    assert data.table["image"].tolist() == [f"images/{names[2]}"]
    skipped = pd.read_csv(tmp_path / "set/skipped.csv")
    assert skipped["image"].tolist() == outside and set(skipped["reason"]) == {"no such picture"}
