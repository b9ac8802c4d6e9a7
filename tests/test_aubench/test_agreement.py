"""Tables of several tools: read on their own scales, paired face by face, compared and scored."""

import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import cohen_kappa_score
from typer.testing import CliRunner

from aubench.cli.main import app
from aubench.datasets.videos import write_video
from aubench.plots.agreement import draw_conditions, draw_disagreements
from aubench.report import agreement
from aubench.report.agreement import joined, matched, read_tool, scores
from aulib.metrics import icc

FRAMES = 12


def openface(folder, name="openface", faces=1, first=1, **columns):
    """A table as OpenFace writes it: several faces next to each other, 25 frames a second."""
    rows = []
    for frame in range(FRAMES):
        for face in range(faces):
            about = {"frame": frame + first, "face_id": face, "timestamp": round(frame / 25, 3), "success": 1}
            points = {f"x_{k}": 100 * face + k for k in range(3)} | {f"y_{k}": 50 + k for k in range(3)}
            rows.append(about | points | {au: values[frame] for au, values in columns.items()})
    path = folder / f"{name}.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def pyfeat(folder, values, name="pyfeat"):
    rows = {"frame": range(FRAMES), "FaceRectX": 0, "FaceRectY": 49, "FaceRectWidth": 3, "FaceRectHeight": 4}
    pd.DataFrame(rows | {"AU12": values, "input": "clip.mp4"}).to_csv(folder / f"{name}.csv", index=False)
    return folder / f"{name}.csv"


def libreface(folder, values, calls):
    rows = {"frame_idx": range(FRAMES), "frame_time_in_ms": np.arange(FRAMES) * 40.0}
    table = pd.DataFrame(rows | {"au_12_intensity": values, "au_7": calls, "facial_expression": "Happiness"})
    table.to_csv(folder / "libreface.csv", index=False)
    return folder / "libreface.csv"


SMILE = np.array([0, 0, 0, 1, 2, 3, 4, 4, 3, 2, 1, 0], float)


def test_each_tool_is_known_by_its_columns_and_keeps_its_scale(tmp_path):
    read = [
        read_tool(openface(tmp_path, AU12_r=SMILE, AU12_c=(SMILE > 1).astype(int))),
        read_tool(pyfeat(tmp_path, SMILE / 4)),
        read_tool(libreface(tmp_path, SMILE, (SMILE > 2).astype(int))),
    ]
    assert [one.tool for one in read] == ["OpenFace", "py-feat", "LibreFace"]
    assert [one.columns for one in read] == [["AU12_r", "AU12_c"], ["AU12_p"], ["AU12_r", "AU07_c"]]
    assert all(one.table["key"].tolist() == list(range(1, FRAMES + 1)) for one in read)
    assert read[2].table["time"].tolist() == pytest.approx((np.arange(FRAMES) / 25).tolist())
    scales = agreement.scales_of(read)
    assert scales[["table", "scale", "most"]].to_numpy().tolist() == [
        ["openface", "0/1", 1], ["openface", "0-5", 4], ["pyfeat", "0-1", 1], ["libreface", "0/1", 1],
        ["libreface", "0-5", 4],
    ]  # fmt: skip


def test_a_value_outside_of_its_scale_is_refused_with_its_line(tmp_path):
    with pytest.raises(ValueError, match=r"pyfeat\.csv.*line 3.*AU12.*2\.5"):
        read_tool(pyfeat(tmp_path, [0, 2.5, *[0] * 10]))
    (tmp_path / "other.csv").write_text("frame,smile\n1,0\n")
    with pytest.raises(ValueError, match=r"other\.csv"):
        read_tool(tmp_path / "other.csv")


def long(folder, values, **columns):
    """Our table with a row for each AU, as `aulib predict clip.mp4 --format long` writes it."""
    rows = {"frame": np.arange(FRAMES) + 1, "face_id": 0, "timestamp": np.arange(FRAMES) / 25}
    both = [pd.DataFrame(rows | {"au": au, "probability": values} | columns) for au in ("AU06", "AU12")]
    pd.concat(both).sort_values("frame", kind="stable").to_csv(folder / "long.csv", index=False)
    return folder / "long.csv"


def test_our_long_table_is_read_as_the_wide_one(tmp_path):
    calls = np.where(SMILE > 1, 1.0, 0.0)
    calls[3] = np.nan  # a frame without a face
    values = np.where(np.isnan(calls), np.nan, SMILE / 4)
    read = read_tool(long(tmp_path, values, present=calls, intensity=SMILE))
    assert read.tool == "aulib"
    assert set(read.columns) == {f"AU{n}_{end}" for n in ("06", "12") for end in "cpr"}
    wide = read_tool(openface(tmp_path, AU12_c=calls, AU12_p=values, AU12_r=SMILE))
    columns = ["key", "time", "AU12_c", "AU12_p", "AU12_r"]
    seen = read.table["AU12_p"].notna()
    assert seen.sum() == FRAMES - 1
    pd.testing.assert_frame_equal(read.table.loc[seen, columns], wide.table.loc[seen, columns])
    assert agreement.agreement([read, wide]).iloc[0]["kappa"] == 1


@pytest.mark.parametrize("change, said", [
    (lambda table: pd.concat([table, table.tail(1).assign(probability=1)]), "line 26: AU12.*frame 12 twice"),
    (lambda table: table.drop(columns="timestamp"), "column `au` and no timestamp"),
    (lambda table: table.assign(probability=table["probability"] + 1), "probability"),
    (lambda table: table.assign(au=["AU1", *table["au"][1:]]), "line 2: au is 'AU1', expected as AU01"),
    (lambda table: table.assign(au=["", *table["au"][1:]]), "line 2: au is '', expected as AU01"),
])  # fmt: skip
def test_a_long_table_that_is_none_is_refused(change, said, tmp_path):
    path = long(tmp_path, SMILE / 4)
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(ValueError, match=rf"long\.csv.*{said}"):
        read_tool(path)


def test_ties_of_an_intensity_cost_no_auc(tmp_path):
    """The intensity is flat where the probability still tells faces apart."""
    truth = (SMILE > 1).astype(int)
    labels = read_tool(openface(tmp_path, "labels", AU12_c=truth, AU12_r=SMILE))
    probability = SMILE / 10
    flat = read_tool(openface(tmp_path, "flat", AU12_p=probability, AU12_r=np.minimum(SMILE, 1)))
    scored = scores(flat, labels).set_index("au").loc["AU12"]
    assert scored["auc"] == 1 and scored["r"] == pytest.approx(np.corrcoef(SMILE, np.minimum(SMILE, 1))[0, 1])


def named(folder, name, pictures):
    """A table of pictures, each of which smiles more than the one before."""
    points = {f"{axis}_{k}": 50.0 + k for axis in "xy" for k in range(3)}
    rows = [{"image": one, "AU12_r": level} | points for level, one in enumerate(pictures)]
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    return read_tool(folder / f"{name}.csv")


def test_pictures_of_one_name_in_two_folders_are_different_pictures(tmp_path):
    a = named(tmp_path, "a", ["s0/0.jpg", "s1/0.jpg", "s1/clip.0001"])
    b = named(tmp_path, "b", ["/data/faces/s1/clip.0001", "/data/faces/s1/0.png", "/data/faces/s0/0.jpg"])
    assert matched(a, b).to_numpy().tolist() == [[0, 2], [1, 1], [2, 0]]
    with pytest.raises(ValueError, match="no face in common"):
        matched(named(tmp_path, "c", ["s0/0.jpg"]), named(tmp_path, "d", ["s1/0.jpg"]))
    bare = named(tmp_path, "bare", ["0.jpg", "clip.0001.jpg"])
    with pytest.raises(ValueError, match="'s0/0.jpg' and 's1/0.jpg' both fit '0.jpg'"):
        matched(a, bare)
    assert len(matched(named(tmp_path, "e", ["s1/0.jpg"]), bare)) == 1


def test_a_face_in_two_rows_is_refused_with_both_lines(tmp_path):
    with pytest.raises(ValueError, match="c.csv line 4: the face of b.jpg in line 3 again"):
        named(tmp_path, "c", ["a.jpg", "b.jpg", "b.jpg"])
    table = pd.read_csv(openface(tmp_path, "d", AU12_r=SMILE)).assign(face_id=0)
    pd.concat([table, table[4:5].assign(AU12_r=0.5, x_0=1)]).to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(ValueError, match=f"d.csv line {FRAMES + 2}: the face of 5 in line 6 again"):
        read_tool(tmp_path / "d.csv")


def test_two_pictures_whose_names_differ_by_their_suffix_are_two(tmp_path):
    a, b = named(tmp_path, "a", ["0.jpg", "1.jpg"]), named(tmp_path, "b", ["0.png", "0.jpg", "1.jpg"])
    assert matched(a, b).to_numpy().tolist() == [[0, 1], [1, 2]]
    with pytest.raises(ValueError, match="'0' fits several pictures"):
        matched(named(tmp_path, "c", ["0.bmp"]), b)


def test_frames_from_0_are_seen_without_times(tmp_path):
    times = {"timestamp": [""] * FRAMES}
    a = openface(tmp_path, "a", AU12_r=SMILE)
    b = openface(tmp_path, "b", first=0, AU12_r=SMILE)
    for file in (a, b):
        pd.read_csv(file).assign(**times).to_csv(file, index=False)
    assert matched(read_tool(a), read_tool(b)).to_numpy().tolist() == [[k, k] for k in range(FRAMES)]


def test_a_row_whose_success_is_missing_is_no_face(tmp_path):
    file = openface(tmp_path, AU12_r=SMILE)
    pd.read_csv(file).assign(success=["", "nan"] + ["1"] * (FRAMES - 2)).to_csv(file, index=False)
    assert len(read_tool(file).table) == FRAMES - 2 and read_tool(file).unseen == 2


@pytest.mark.parametrize(
    "columns, said",
    [
        ({"frame": ["1", ""]}, "line 3: frame is empty, expected a frame number"),
        ({"light": ["bright", "0"]}, "line 2: light is 'bright', expected a number"),
        ({"timestamp": ["0,000", "0,040"]}, "line 2: timestamp is '0,000'"),
        ({"au6_c": [0, 1]}, "column 'au6_c' is not read, expected names as AU01_c"),
        ({"AU12": [0, 1]}, "AU12_p in two spellings"),
    ],
)
def test_what_a_tool_would_not_write_is_refused(tmp_path, columns, said):
    table = pd.DataFrame({"frame": [1, 2], "AU12_p": [0.1, 0.9]})
    table.assign(**columns).to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_tool(tmp_path / "odd.csv")


def test_what_does_not_vary_agrees_with_nothing(tmp_path):
    same = [0.1] * FRAMES
    a, b = (read_tool(openface(tmp_path, name, AU12_r=same)) for name in "ab")
    assert agreement.agreement([a, b])[["r", "icc"]].isna().all(axis=None)


def test_an_excerpt_of_a_clip_keeps_its_frames(tmp_path):
    """At a variable rate, from which the first frame cannot be reckoned back."""
    times = np.cumsum([0, 1, 1, 1, 3, 3, 3, 1, 1, 1, 1, 1]) / 30
    table = pd.read_csv(openface(tmp_path, "whole", AU12_r=SMILE)).assign(timestamp=times.round(3))
    table.to_csv(tmp_path / "whole.csv", index=False)
    table[4:].to_csv(tmp_path / "late.csv", index=False)
    pairs = matched(read_tool(tmp_path / "whole.csv"), read_tool(tmp_path / "late.csv"))
    assert pairs.to_numpy().tolist() == [[k + 4, k] for k in range(FRAMES - 4)]


def test_two_tables_without_a_common_value_show_no_faces(tmp_path):
    a = openface(tmp_path, "a", AU12_r=SMILE, AU06_c=[0, 1] * 6)
    b = openface(tmp_path, "b", AU12_r=[np.nan] * FRAMES, AU01_c=[0, 1] * 6)
    for frame in range(FRAMES):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{frame:02d}.png")
    call = ["compare", str(a), str(b), "--faces", str(tmp_path), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0 and "no values of one face" in done.output
    assert (tmp_path / "out/agreement.csv").is_file()


def test_frames_that_a_port_counts_from_0_are_paired_by_their_time(tmp_path):
    ours = read_tool(openface(tmp_path, AU12_r=SMILE))
    port = read_tool(openface(tmp_path, "port", first=0, AU12_r=SMILE))
    assert (matched(ours, port)["a"] == matched(ours, port)["b"]).all()
    row = agreement.agreement([ours, port]).iloc[0]
    assert (row["n"], row["r"], row["icc"]) == (FRAMES, pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_frame_is_known_by_the_times_of_the_others(first, tmp_path):
    frames = np.arange(5, 300)  # no row at 0 s, and times of three decimals
    rows = {"frame": frames + first, "timestamp": (frames / 30).round(3), "success": 1, "AU12_r": frames % 5}
    pd.DataFrame(rows).to_csv(tmp_path / "late.csv", index=False)
    assert read_tool(tmp_path / "late.csv").table["key"].tolist() == (frames + 1).tolist()


def test_frames_of_other_times_are_asked_about(tmp_path):
    paths = [openface(tmp_path, name, AU12_r=SMILE) for name in ("base", "half")]
    assert agreement.apart_in_time(*map(read_tool, paths)) == ""
    every_second = pd.read_csv(paths[1]).iloc[::2]
    every_second.assign(frame=range(1, len(every_second) + 1)).to_csv(paths[1], index=False)
    last = len(every_second)
    said = f"{last} is at {(last - 1) / 25:.2f} s in base and at {2 * (last - 1) / 25:.2f} s in half"
    assert agreement.apart_in_time(*map(read_tool, paths)).startswith(said)
    told = CliRunner().invoke(app, ["compare", *map(str, paths), "--out", str(tmp_path / "out")])
    assert f"note: frame {said}; do both count the same frames?" in told.output


def test_faces_of_a_frame_are_paired_by_where_they_lie(tmp_path):
    both = read_tool(openface(tmp_path, "both", faces=2, AU12_r=SMILE))
    swapped = both.table.assign(face_id=1 - both.table["face_id"]).sort_values(["key", "face_id"])
    other = agreement.Reading("other", "OpenFace", swapped.reset_index(drop=True), 0, False)
    pairs = matched(both, other)
    assert len(pairs) == 2 * FRAMES
    assert (both.table.loc[pairs["a"], "x"].to_numpy() == other.table.loc[pairs["b"], "x"].to_numpy()).all()
    one = read_tool(openface(tmp_path, "one", AU12_r=SMILE))
    assert (both.table.loc[matched(both, one)["a"], "face_id"] == 0).all()
    away = agreement.Reading("away", "OpenFace", one.table.assign(x=one.table["x"] + 40), 0, False)
    with pytest.raises(ValueError, match="no face in common"):
        matched(one, away)
    blind = agreement.Reading("blind", "OpenFace", both.table.assign(x=np.nan), 0, False)
    with pytest.raises(ValueError, match="blind.*frame 1 there are several rows"):
        matched(both, blind)


def test_names_and_frames_and_tables_of_other_clips_are_not_paired(tmp_path):
    named = pd.DataFrame({"image": [f"a/{k}.jpg" for k in range(4)], "AU12_p": [0.1, 0.2, 0.3, 0.9]})
    named.to_csv(tmp_path / "named.csv", index=False)
    moved = named.assign(image=[f"{k}.png" for k in range(4)])
    moved.to_csv(tmp_path / "moved.csv", index=False)
    by_name = read_tool(tmp_path / "named.csv")
    assert len(matched(by_name, read_tool(tmp_path / "moved.csv"))) == 4
    with pytest.raises(ValueError, match="named names its pictures, as a/0.jpg, openface counts frames"):
        matched(by_name, read_tool(openface(tmp_path, AU12_r=SMILE)))
    named.assign(image=list("wxyz")).to_csv(tmp_path / "others.csv", index=False)
    with pytest.raises(ValueError, match="no face in common"):
        matched(by_name, read_tool(tmp_path / "others.csv"))


def test_frames_of_several_clips_in_one_table_are_told_apart(tmp_path):
    path = openface(tmp_path, AU12_r=SMILE)
    clip = pd.read_csv(path)
    both = pd.concat([clip.assign(input="a/one.mp4"), clip.assign(input="a/two.mp4")])
    both.to_csv(tmp_path / "both.csv", index=False)
    read = read_tool(tmp_path / "both.csv")
    assert read.by_name and read.table["key"].nunique() == 2 * FRAMES
    assert read.table["key"][0] == "a/one 1" and len(matched(read, read)) == 2 * FRAMES
    clip.iloc[:1].drop(columns="frame").assign(image="x/me.jpg").to_csv(tmp_path / "me.csv", index=False)
    assert read_tool(tmp_path / "me.csv").table["key"].tolist() == ["x/me.jpg"]


def with_columns(path, **columns):
    table = pd.read_csv(path)
    table.assign(**columns).to_csv(path, index=False)
    return path


def test_names_that_have_several_frames_are_clips_whatever_their_suffix(tmp_path):
    """Paired by the name alone, each frame would get the frame whose face lies nearest."""
    names, places = ["s1"] * 6 + ["s2"] * 6, np.arange(FRAMES) / 10
    a, b = (
        with_columns(openface(tmp_path, name, AU12_r=SMILE), image=names, x_0=x, x_1=x + 1, x_2=x + 2)
        for name, x in (("a", places), ("b", places[::-1]))
    )
    a, b = read_tool(a), read_tool(b)
    assert a.table["key"].tolist()[5:7] == ["s1 6", "s2 7"]
    assert matched(a, b).to_numpy().tolist() == [[k, k] for k in range(FRAMES)]
    pictures = [f"{k // 2}.jpg" for k in range(FRAMES)]
    with pytest.raises(ValueError, match=r"c.csv line 2: 0.jpg has several frames, a picture has one"):
        read_tool(with_columns(openface(tmp_path, "c", AU12_r=SMILE), image=pictures))
    with pytest.raises(ValueError, match=r"d.csv line 4: image is empty, expected a picture's name"):
        read_tool(with_columns(openface(tmp_path, "d", AU12_r=SMILE), image=["x", "y", ""] + ["z"] * 9))


def test_a_table_of_one_picture_is_paired_by_its_name_whatever_frame_it_says(tmp_path):
    with_columns(pyfeat(tmp_path, SMILE / 4), input="a/me.jpg", FaceRectX=50)
    pd.read_csv(tmp_path / "pyfeat.csv")[:1].to_csv(tmp_path / "pyfeat.csv", index=False)
    one, many = read_tool(tmp_path / "pyfeat.csv"), named(tmp_path, "many", ["you.jpg", "me.jpg"])
    assert matched(one, many).to_numpy().tolist() == [[0, 1]]


def test_tables_that_name_two_clips_are_not_paired_by_their_frames(tmp_path):
    a, b = (with_columns(openface(tmp_path, name, AU12_r=SMILE), input=f"x/{name}.mp4") for name in "ab")
    with pytest.raises(ValueError, match="a is of x/a.mp4, b of x/b.mp4; expected tables of one clip"):
        matched(read_tool(a), read_tool(b))
    stored_anew = read_tool(with_columns(b, input="a.avi"))
    assert len(matched(read_tool(a), stored_anew)) == FRAMES


@pytest.fixture
def compare(tmp_path):
    """Runs the command; what it prints on one line."""

    def run(*tables, **options):
        out = ["--out", str(tmp_path / f"out{len(list(tmp_path.iterdir()))}")]
        options = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        done = CliRunner().invoke(app, ["compare", *map(str, tables), *options, *out])
        return " ".join(done.output.split())

    return run


def clip(path, frames, fps=25):
    write_video(path, ((k / fps, np.full((64, 64, 3), 5 * k, np.uint8)) for k in range(frames)))
    return path


def test_a_clip_that_may_not_be_that_of_the_tables_is_asked_about_or_refused(tmp_path, compare):
    tables = [openface(tmp_path, name, AU12_r=values) for name, values in (("a", SMILE), ("b", SMILE / 2))]
    assert "note" not in compare(*tables, faces=clip(tmp_path / "own.mp4", FRAMES))
    short = clip(tmp_path / "short.mp4", FRAMES - 2)
    assert f"{short} ends at frame 10, a has frame 12; name its own clip" in compare(*tables, faces=short)
    last = agreement.disagreements(*map(read_tool, tables)).assign(key=FRAMES)
    with pytest.raises(ValueError, match="short.mp4 ends at frame 10, the tables have frame 12"):
        draw_disagreements(last, short, ("a", "b"))  # as it finds out where a header is silent
    long = clip(tmp_path / "long.mp4", 3 * FRAMES)
    assert f"note: {long} has 36 frames, a ends at 12; is it that clip?" in compare(*tables, faces=long)
    slow = clip(tmp_path / "slow.mp4", FRAMES, fps=10)
    told = rf"note: frame 12 is at 0.44 s in a and at 1.\d\d s in {slow}; is it that clip\?"
    assert re.search(told, compare(*tables, faces=slow))
    with_columns(tables[0], input="other.mp4")
    assert "note: a is of other.mp4, not own.mp4" in compare(*tables, faces=tmp_path / "own.mp4")


def test_a_folder_without_the_pictures_of_the_tables_is_refused_or_what_it_lacks_is_told(tmp_path, compare):
    for name in "ab":
        named(tmp_path, name, ["0.jpg", "1.jpg", "2.jpg"])
    tables, folder = (tmp_path / "a.csv", tmp_path / "b.csv"), tmp_path / "faces"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "9.jpg")
    told = f"{folder} has none of the pictures of a: found 9.jpg ..., expected 0.jpg ..."
    assert told in compare(*tables, faces=folder)
    (folder / "9.jpg").rename(folder / "0.png")
    assert f"note: {folder} lacks 2 of 3 pictures of a, such as 1.jpg" in compare(*tables, faces=folder)
    assert "is a file, expected the folder with 0.jpg" in compare(*tables, faces=folder / "0.png")


def test_labels_of_which_a_part_is_paired_are_told_with_their_number(tmp_path, compare):
    truth = (SMILE >= 2).astype(int)
    tool, labels = openface(tmp_path, AU12_c=truth), openface(tmp_path, "labels", AU12_c=truth)
    assert "note" not in compare(tool, labels=labels)
    pd.read_csv(tool)[:8].to_csv(tool, index=False)
    assert "note: openface and labels share 8 faces, of 8 and 12" in compare(tool, labels=labels)
    named(tmp_path, "pictures", ["0.jpg"])
    told = compare(tool, labels=tmp_path / "pictures.csv")
    assert "pictures names its pictures, as 0.jpg, openface counts frames, as 1" in told


def test_agreement_has_the_figures_of_the_field(tmp_path):
    rng = np.random.default_rng(0)
    noisy = np.clip(SMILE + rng.normal(0, 0.7, FRAMES), 0, 5).round(2)
    calls, other = (SMILE > 1).astype(int), (noisy > 2).astype(int)
    a = read_tool(openface(tmp_path, "a", AU12_r=SMILE, AU12_c=calls))
    b = read_tool(openface(tmp_path, "b", AU12_r=noisy, AU12_c=other))
    row = agreement.agreement([a, b]).iloc[0]
    assert row["kappa"] == pytest.approx(cohen_kappa_score(calls, other))
    assert row["r"] == pytest.approx(np.corrcoef(SMILE, noisy)[0, 1])
    assert row["icc"] == pytest.approx(icc(SMILE, noisy))
    c = read_tool(pyfeat(tmp_path, SMILE / 4))
    mixed = agreement.agreement([a, c]).iloc[0]
    assert np.isnan(mixed["icc"]) and mixed["r"] == pytest.approx(1) and mixed["scales"] == "0-5 and 0-1"
    assert mixed["kappa"] == pytest.approx(cohen_kappa_score(calls, (SMILE / 4 >= 0.5).astype(int)))


def test_scores_against_labels_use_each_tools_own_calls_and_its_finest_value(tmp_path):
    truth = (SMILE >= 2).astype(int)
    labels = read_tool(openface(tmp_path, "labels", AU12_c=truth, AU12_r=SMILE))
    never = read_tool(openface(tmp_path, "never", AU12_c=np.zeros(FRAMES, int), AU12_r=SMILE))
    table = scores(never, labels).set_index("au")
    assert table.loc["AU12", "f1"] == 0 and table.loc["AU12", "auc"] == 1
    assert table.loc["AU12", "r"] == pytest.approx(1) and table.loc["AU12", "present"] == truth.sum()
    rows = labels.table["key"] <= 5
    assert scores(never, labels, rows.to_numpy())["n"].tolist() == [5, 5]
    only_intensity = read_tool(openface(tmp_path, "only", AU12_r=SMILE))
    with pytest.raises(ValueError, match="only and labels"):
        scores(only_intensity, labels)


def test_clips_that_are_joined_keep_their_faces_and_conditions(tmp_path):
    truth = (SMILE >= 2).astype(int)
    rendered = dict(
        hidden=[0] * 12, covered=[0] * 6 + [0.3] * 6, yaw=[40] * 12, light=[90] * 12, skin=[0.1] * 12
    )
    paths = [openface(tmp_path, name, AU12_c=truth, **rendered) for name in ("clip1", "clip2")]
    labels = joined("labels", {path.stem: read_tool(path) for path in paths})
    reading = joined("tool", {path.stem: read_tool(path) for path in paths})
    assert len(matched(reading, labels)) == 2 * FRAMES
    table = agreement.by_condition([reading], labels).set_index(["condition", "stratum"])
    assert table.loc[("cover", "nothing"), "faces"] == 12
    assert set(table.index.get_level_values("stratum")) == {
        "more than 30°", "from the side", "nothing", "glasses, a hand, people", "dark",
    }  # fmt: skip
    assert draw_conditions(table.reset_index()).axes[0].get_xlabel().startswith("ROC AUC")
    shown = len(draw_conditions(table.reset_index()).axes[0].get_yticks())
    first = table.index[0]
    table.loc[[first], "auc"] = np.nan
    assert len(draw_conditions(table.reset_index()).axes[0].get_yticks()) == shown - 1  # no empty row


def test_the_faces_that_differ_most_come_first_and_are_shown(tmp_path):
    off = SMILE / 5
    off[6] = 0
    a = read_tool(openface(tmp_path, "a", AU12_r=SMILE))
    b = read_tool(pyfeat(tmp_path, off, "b"))
    worst = agreement.disagreements(a, b)
    assert worst.iloc[0][["key", "a", "b"]].tolist() == [7, "4.00 of 5", "0.00"]
    (tmp_path / "frames").mkdir()
    for frame in range(FRAMES):
        Image.new("RGB", (64, 64), (20 * frame, 0, 0)).save(tmp_path / "frames" / f"{frame:02d}.png")
    figure = draw_disagreements(worst, tmp_path / "frames", ("a", "b"))
    shown = figure.axes[0].images[0].get_array()
    assert shown[56, 56].tolist() == [120, 0, 0]


def test_faces_on_which_calls_differ_come_before_scales_that_do(tmp_path):
    called = (SMILE >= 2).astype(int)
    a = read_tool(openface(tmp_path, "a", AU12_r=SMILE / 2, AU12_c=called))  # low, and called all the same
    off = SMILE / 4
    off[4] = 0.1
    b = read_tool(pyfeat(tmp_path, off, "b"))
    worst = agreement.disagreements(a, b)
    assert worst.iloc[0][["key", "differ", "a", "b"]].tolist() == [5, 1, "1.00 of 5", "0.10"]
    assert not worst.assign(second=worst["time"] // 1).duplicated(["second", "face_id"]).any()


def test_frames_are_paired_by_their_time_wherever_a_tool_begins_to_count(tmp_path):
    ours = read_tool(openface(tmp_path, AU12_r=SMILE))
    late = read_tool(openface(tmp_path, "late", first=4, AU12_r=SMILE))
    assert late.table["key"].tolist() == list(range(1, 13))
    half = pd.read_csv(openface(tmp_path, "half", AU12_r=SMILE)).iloc[6:]
    half.to_csv(tmp_path / "half.csv", index=False)
    row = agreement.agreement([ours, read_tool(tmp_path / "half.csv")]).iloc[0]
    assert (row["n"], row["of"], row["r"]) == (6, FRAMES, pytest.approx(1))


def test_means_of_several_tools_are_over_the_aus_that_all_have(tmp_path):
    truth = (SMILE >= 2).astype(int)
    labels = read_tool(openface(tmp_path, "labels", AU12_c=truth, AU25_c=1 - truth))
    both = read_tool(openface(tmp_path, "both", AU12_c=truth, AU25_c=truth))
    one = read_tool(openface(tmp_path, "one", AU12_c=truth))
    table = agreement.scores_of_all([both, one], labels)
    means = table[table["au"] == "mean"].set_index("table")["f1"]
    assert means["both"] == means["one"] == 1
    alone = scores(both, labels).set_index("au")["f1"]
    assert alone["mean"] == pytest.approx((1 + alone["AU25"]) / 2)


def test_an_au_that_nobody_shows_is_in_no_mean(tmp_path):
    truth = (SMILE >= 2).astype(int)
    labels = read_tool(openface(tmp_path, "labels", AU12_c=truth, AU25_c=0 * truth))
    tools = [
        openface(tmp_path, name, AU12_c=truth, AU25_c=called)
        for name, called in (("a", truth), ("b", 0 * truth))
    ]
    table = agreement.scores_of_all([read_tool(tool) for tool in tools], labels)
    assert table[table["au"] == "mean"]["f1"].tolist() == [1, 1]


def test_r_is_of_the_intensity_whatever_aus_the_other_tools_have(tmp_path):
    truth = (SMILE >= 2).astype(int)
    labels = read_tool(openface(tmp_path, "labels", AU12_c=truth, AU12_r=SMILE, AU25_c=1 - truth))
    both = openface(tmp_path, "both", AU12_c=truth, AU12_p=0.5 + truth / 4, AU12_r=SMILE / 2, AU25_c=truth)
    one = openface(tmp_path, "one", AU12_c=truth)
    table = agreement.scores_of_all([read_tool(both), read_tool(one)], labels).set_index(["table", "au"])
    assert table.loc[("both", "AU12"), "r"] == pytest.approx(1)


def test_intensities_that_none_is_above_1_are_told(tmp_path):
    tables = [openface(tmp_path, name, AU12_r=SMILE / most) for name, most in (("a", 1), ("b", 5))]
    done = CliRunner().invoke(app, ["compare", *map(str, tables), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0 and done.stderr == "note: no intensity of b is above 1; is its scale 0 to 5?\n"


def test_the_command_writes_its_tables_into_a_new_folder(tmp_path):
    truth = (SMILE >= 2).astype(int)
    a = openface(tmp_path, "a", AU12_r=SMILE, AU12_c=truth)
    b = pyfeat(tmp_path, SMILE / 4, "b")
    labels = openface(tmp_path, "labels", AU12_c=truth)
    call = ["compare", str(a), str(b), "--labels", str(labels), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    written = {file.name for file in (tmp_path / "out").iterdir()}
    assert written == {"agreement.csv", "tools.csv", "scores.csv"}
    assert CliRunner().invoke(app, call).exit_code == 1  # the folder is used
    assert CliRunner().invoke(app, ["compare", str(a), "--out", str(tmp_path / "x")]).exit_code == 2
    assert CliRunner().invoke(app, ["compare", str(a), str(a), "--out", str(tmp_path / "x")]).exit_code == 2
