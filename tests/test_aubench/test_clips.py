"""Clips: frames at their times, who is who, tables that other readers open, work that goes on."""

import json
import os
import shutil
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import raw_trees
from aubench.cli.main import app
from aubench.datasets.interchange.tables import read_openface, read_pyfeat
from aubench.datasets.videos import Clip, clip_frames, synthetic_clip, write_video
from aubench.inference import clips, tracking
from aubench.inference.clips import ABOUT, clips_in, confidence_of, predict_clip, tables_of
from aubench.plots import clips as plots
from aubench.plots.clips import draw_timeline, preview_frames
from aubench.report.agreement import read_tool
from aulib import pretrained
from aulib.run import Run

pytest.importorskip("onnxruntime")
RUN = pretrained().path


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> SimpleNamespace:
    """One person smiling, 20 frames a second, and two who cross; with exact labels."""
    folder = tmp_path_factory.mktemp("clips")
    one = folder / "one.mp4"
    two = folder / "two.mp4"
    labels = {
        one: synthetic_clip(one, "studio", 2.2, 20, people=1, seed=3, size=240),
        two: synthetic_clip(two, "studio", 4, 8, people=2, seed=3, size=320),
    }
    read = {path: predict_clip(RUN, Clip(path)) for path in (one, two)}
    return SimpleNamespace(
        folder=folder,
        one=one,
        two=two,
        labels={path: pd.read_csv(file) for path, file in labels.items()},
        read=read,
    )


def grey(shade: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), shade, np.uint8)


def test_frames_come_at_their_own_times_and_every_or_fps_thins_them(tmp_path):
    times = [0.0, 0.04, 0.2, 0.24, 0.5, 1.0]
    write_video(tmp_path / "a.mp4", [(time, grey(40 * k)) for k, time in enumerate(times)])
    frames = list(clip_frames(Clip(tmp_path / "a.mp4")))
    assert [frame.number for frame in frames] == list(range(6))
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)
    assert [np.asarray(frame.picture).mean() for frame in frames] == pytest.approx(
        [40 * k for k in range(6)], abs=6
    )
    assert [frame.number for frame in clip_frames(Clip(tmp_path / "a.mp4", every=4))] == [0, 4]
    assert [frame.number for frame in clip_frames(Clip(tmp_path / "a.mp4", fps=5))] == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("names", "places", "said"),
    [
        (["f2", "f10", "f1", "f4"], [0, 1, 3, 9], "6 of 10 frames from 1 to 10 are missing"),
        (
            ["f005", "f010", "f020"],
            [0, 1, 3],
            "1 of 4 frames from 5 to 20 are missing",
        ),  # each fifth was kept
        (["b", "a"], [0, 1], "a.png and b.png ... are not numbered as one clip"),
        (["f1", "f01", "f2"], [0, 1, 2], "f01.png and f1.png ... are not numbered as one clip"),
        (["a1", "a2", "b1"], [0, 1, 2], "a1.png and a2.png ... are not numbered as one clip"),
        (["t1000", "t2001"], [0, 1], ""),
        (
            ["t1000", "t1033", "t1067"],
            [0, 1, 2],
            "t1000.png and t1033.png ... are not numbered",
        ),  # milliseconds
    ],
)
def test_frames_of_a_folder_are_at_the_places_of_their_numbers(names, places, said, tmp_path):
    for name in names:
        Image.fromarray(grey(90)).save(tmp_path / f"{name}.png")
    notes = []
    frames = list(clip_frames(Clip(tmp_path, fps=10), notes.append))
    assert [frame.number for frame in frames] == places
    assert [frame.time for frame in frames] == pytest.approx([place / 10 for place in places])
    assert len(notes) == bool(said) and all(said in note for note in notes)


def test_pictures_of_two_folders_are_not_taken_for_one_clip(tmp_path):
    for folder in ("anna", "bert"):
        (tmp_path / folder).mkdir()
        Image.fromarray(grey(90)).save(tmp_path / folder / "f1.png")
    with pytest.raises(ValueError, match="pictures in 'anna' and 'bert', expected the frames of one clip"):
        list(clip_frames(Clip(tmp_path)))


def test_a_matroska_clip_that_breaks_off_early_is_noted(tmp_path):
    av = pytest.importorskip("av")
    write_video(tmp_path / "a.mp4", [(k / 20, grey(k)) for k in range(40)])
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "a.mkv"), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    whole, notes = (tmp_path / "a.mkv").read_bytes(), []
    assert len(list(clip_frames(Clip(tmp_path / "a.mkv"), notes.append))) == 40 and not notes
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    assert 0 < len(list(clip_frames(Clip(tmp_path / "cut.mkv"), notes.append))) < 38
    assert len(notes) == 1 and "of 2.0 seconds can be read" in notes[0]


def test_a_folder_of_frames_is_a_clip_of_the_given_rate(tmp_path):
    for number, shade in ((9, 10), (10, 200), (11, 30)):
        Image.fromarray(grey(shade)).save(tmp_path / f"f{number}.png")
    (tmp_path / "f11.png").write_bytes(b"no picture")
    notes: list[str] = []
    frames = list(clip_frames(Clip(tmp_path, fps=4), notes.append))
    assert [(frame.number, frame.time) for frame in frames] == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert np.asarray(frames[0].picture).mean() == 10 and np.asarray(frames[1].picture).mean() == 200
    assert frames[2].picture is None and len(notes) == 1 and "f11.png" in notes[0]


def test_a_folder_of_frames_that_cannot_be_read_is_refused(tmp_path):
    for number in (1, 2):
        (tmp_path / f"f{number}.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match="has no frame that can be read, such as .*f2.jpg: unreadable"):
        list(clip_frames(Clip(tmp_path)))
    with pytest.raises(ValueError, match="has no frame that can be read"):
        predict_clip(RUN, Clip(tmp_path), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_pixels_that_are_not_square_are_shown_as_players_do(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(90, (48, 48)), "rgb24")))
        container.mux(stream.encode(None))
    (frame,) = clip_frames(Clip(tmp_path / "a.mp4"))
    assert frame.picture.size == (64, 48)


def test_a_clip_that_breaks_off_is_read_until_there_and_says_so(tmp_path):
    path = raw_trees.video(tmp_path / "clip.avi", 24, size=64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    notes: list[str] = []
    frames = list(clip_frames(Clip(path), notes.append))
    assert 5 < len(frames) < 24 and len(notes) == 1 and path.name in notes[0]


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000])
def test_what_is_no_video_is_named(content, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(ValueError, match="clip.mp4"):
        predict_clip(RUN, Clip(tmp_path / "clip.mp4"))


def test_a_name_is_no_address(filmed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c:l.mp4").write_bytes(filmed.one.read_bytes())
    assert next(clip_frames(Clip(Path("c:l.mp4")))).number == 0


def test_a_list_of_other_files_is_no_video(filmed, tmp_path):
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {filmed.one.name}\n")
    (tmp_path / filmed.one.name).write_bytes(filmed.one.read_bytes())
    with pytest.raises(ValueError, match=r"list\.mp4 is a list of other files"):
        list(clip_frames(Clip(tmp_path / "list.mp4")))


def test_stamps_that_start_late_are_no_missing_part(tmp_path):
    write_video(tmp_path / "late.mp4", [(100 + k / 5, grey(9 * k)) for k in range(10)])
    notes: list[str] = []
    assert [frame.time for frame in clip_frames(Clip(tmp_path / "late.mp4"), notes.append)][-1] < 2
    assert notes == []


def test_a_clip_of_a_variable_rate_is_whole_and_nothing_else_is_said(tmp_path):
    """By its usual rate of 25 it would last 2 of its 7 seconds."""
    av = pytest.importorskip("av")
    times = [*(k / 25 for k in range(50)), 3.0, 4.0, 5.0, 6.0, 7.0]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(grey(90), "rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    notes: list[str] = []
    frames = list(clip_frames(Clip(tmp_path / "a.mkv"), notes.append))
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3) and notes == []


@pytest.mark.parametrize("fps", [np.inf, np.nan, 0.0])
def test_a_rate_that_is_none_is_refused(fps, filmed):
    with pytest.raises(ValueError, match="frames a second, expected a finite number"):
        list(clip_frames(Clip(filmed.one, fps=fps)))


def test_a_file_with_sound_alone_is_named(tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "song.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.rate = 44100
        container.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(ValueError, match=r"song\.mp4 has no video stream"):
        predict_clip(RUN, Clip(tmp_path / "song.mp4"))


def test_the_smile_of_a_rendered_clip_is_read_when_it_happens(filmed):
    truth, read = filmed.labels[filmed.one], filmed.read[filmed.one]
    assert read["frame"].tolist() == truth["frame"].tolist()
    assert read["timestamp"].to_numpy() == pytest.approx(truth["timestamp"].to_numpy(), abs=1e-3)
    assert (read["success"] == 1).all() and (read["face_id"] == 0).all()
    assert np.corrcoef(read["AU12_p"], truth["AU12_r"])[0, 1] >= 0.9
    assert abs(read["AU12_c"].idxmax() - truth["AU12_c"].idxmax()) <= 2  # frames


def owner(row, truth: pd.DataFrame) -> int:
    """The person of `truth` whose face a row of a prediction lies on."""
    there = truth[truth["frame"] == row.frame]
    middle = there.filter(regex=r"^x_\d+$").mean(axis=1), there.filter(regex=r"^y_\d+$").mean(axis=1)
    return int(there["face_id"].iloc[np.hypot(middle[0] - row.face_x, middle[1] - row.face_y).argmin()])


def test_two_people_who_cross_keep_their_numbers(filmed):
    read, truth = filmed.read[filmed.two], filmed.labels[filmed.two]
    owners = [{owner(row, truth) for row in read[read["face_id"] == face].itertuples()} for face in (0, 1)]
    assert set(read["face_id"]) == {0, 1}
    assert all(len(one) == 1 for one in owners) and owners[0] != owners[1]
    behind = truth[truth["hidden"] > 0.9]["frame"]
    assert (read[read["frame"].isin(behind)].groupby("frame").size() == 1).all()
    assert (read[read["frame"] == read["frame"].max()]["success"] == 1).sum() == 2  # back again


def squares(places: list[int]) -> list[tuple[int, int, int, int]]:
    return [(x, 20, x + 60, 80) for x in places]


@pytest.fixture
def faces(monkeypatch):
    """A detector that finds what the test says; faces stay where they are until it says otherwise."""
    there = SimpleNamespace(at=[])
    mean = np.random.default_rng(0).uniform(-0.4, 0.4, (68, 2))

    def points_in(image, box):
        return (mean * 60 + ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)).astype(np.float32)

    def follow(image, points):
        near = min(there.at or [1e6], key=lambda x: abs(x + 30 - points[:, 0].mean()))
        return points_in(image, squares([near])[0]) if abs(near + 30 - points[:, 0].mean()) < 40 else points

    def box(points):
        left, top = (points.mean(0) - mean.mean(0) * 60 - 30).round().astype(int)
        return left, top, left + 60, top + 60

    monkeypatch.setattr(tracking, "find_faces", lambda image: squares(there.at))
    monkeypatch.setattr(tracking, "points_in", points_in)
    monkeypatch.setattr(tracking, "follow_points", follow)
    monkeypatch.setattr(tracking, "box_around", box)
    there.tracker = tracking.Tracker(clips.crop_of(Run(RUN).config))
    there.picture = Image.fromarray(grey(90, (100, 600)))
    return there


def seen(faces, times) -> list[list[int]]:
    return [[face for face, *_ in faces.tracker.update(faces.picture, time)] for time in times]


def test_who_comes_back_soon_and_looks_alike_keeps_the_number_and_others_get_a_new_one(faces):
    faces.at = [50]
    assert seen(faces, np.arange(10) / 25) == [[0]] * 10
    faces.at = []
    assert seen(faces, 0.4 + np.arange(20) / 25)[-1] == []  # not found three times
    faces.at = [70]
    assert seen(faces, [2.0])[-1] == [0]
    faces.at = []
    seen(faces, 2.1 + np.arange(20) / 25)
    faces.at = [70]
    assert seen(faces, [60.0])[-1] == [1]  # after GAP seconds
    faces.picture.paste((230, 230, 230), (240, 0, 420, 100))
    faces.at = [70, 300]
    assert seen(faces, 60.1 + np.arange(6) / 25)[-1] == [1, 2]
    faces.picture.paste((230, 230, 230), (0, 0, 240, 100))
    assert seen(faces, 60.4 + np.arange(6) / 25)[-1] == [2, 3]  # where 1 was is somebody else now


def test_who_was_hidden_comes_out_with_the_number_also_in_other_light(faces):
    faces.at = [150, 400]
    assert seen(faces, np.arange(10) / 25)[-1] == [0, 1]
    for step, place in enumerate(range(400, 160, -6)):
        faces.at = [150, place]
        last = seen(faces, [0.4 + step / 25])[-1]
    assert len(last) == 1  # the other is behind
    faces.at = [150, 160]
    assert seen(faces, 2 + np.arange(10) / 25) == [last] * 10  # found, but two cannot be seen at one place
    faces.picture.paste((135, 135, 135), (0, 0, 135, 100))
    faces.at = [150, 70]
    assert seen(faces, 2.4 + np.arange(6) / 25)[-1] == [0, 1]
    faces.picture.paste((160, 160, 160), (330, 0, 430, 100))
    faces.at = [150, 70, 350]
    assert seen(faces, 2.7 + np.arange(6) / 25)[-1] == [0, 1, 2]  # somebody else, whom nobody hid
    faces.at = [150, 350]
    seen(faces, 3 + np.arange(20) / 25)
    faces.picture.paste((170, 170, 170), (0, 0, 135, 100))
    faces.at = [150, 70, 350]
    assert seen(faces, 3.8 + np.arange(6) / 25)[-1] == [1, 2, 3]  # nor hides for a second time


def test_a_cut_to_somebody_else_begins_a_new_number_and_back_again_the_old_one(faces):
    dark, bright = (Image.fromarray(grey(shade, (100, 600))) for shade in (90, 170))
    faces.at = [50]
    found = []
    for start, picture in enumerate((dark, bright, dark)):
        faces.picture = picture
        found.append(seen(faces, start + 0.9 + np.arange(3) / 25)[-1])  # seconds pass between
    assert found == [[0], [1], [0]]
    faces.tracker = tracking.Tracker(faces.tracker.spec)
    alike = Image.fromarray(grey(110, (100, 600)))  # less unlike than one person may be from frame to frame
    for frame in range(20):
        faces.picture = (dark, alike)[frame // 10]
        last = faces.tracker.update(faces.picture, frame / 25)
        assert [face for face, *_ in last] == [frame // 10]


def test_clips_among_pictures_are_left_and_one_is_named(filmed, tmp_path):
    shutil.copy(filmed.one, tmp_path / "c.mov")
    Image.fromarray(grey(90)).save(tmp_path / "a.jpg")
    done = CliRunner().invoke(app, ["predict", str(tmp_path), "--out", str(tmp_path / "out.csv")])
    assert done.exit_code == 0
    assert f"note: clips are left (1), such as {tmp_path / 'c.mov'}; name them" in done.stderr


def test_two_do_not_exchange_faces_because_one_of_them_has_none():
    assert tracking._pairs(np.array([[0.1, 1.2], [1.4, np.inf]])) == [(0, 0)]
    assert tracking._pairs(np.array([[1.9, 0.3], [0.2, 1.8]])) == [(0, 1), (1, 0)]
    assert tracking._pairs(np.array([[np.inf], [1.9]])) == [(1, 0)]


def test_who_is_followed_chooses_before_who_was_lost(faces, monkeypatch):
    """Half a face behind another's is nobody's, and near enough to the one who is followed."""
    apart = {(0, "front"): 0.2, (0, "half"): 1.2, (1, "front"): 0.8, (1, "half"): np.inf}
    monkeypatch.setattr(tracking, "_apart", lambda one, points, *_: apart[one.face_id, points])
    monkeypatch.setattr(tracking, "look_of", lambda crop: crop)
    known = [tracking.Person(number, None, None, 0.0, None, lost=number == 1) for number in (1, 0)]
    found = faces.tracker._whose(known, [("half", None, None), ("front", None, None)], 0.0)
    assert {face: one.face_id for face, one in found.items()} == {1: 0}


def test_a_time_line_is_white_only_where_no_face_is_seen():
    table = made([0.5] * 6).assign(timestamp=[0, 0.1, 0.2, 1.0, 1.1, 3.0])  # a variable frame rate
    table.loc[4, ["success", "AU12_p"]] = 0, np.nan
    cells = draw_timeline(table).axes[0].collections[0].get_array()
    assert np.ma.getmaskarray(cells).ravel().tolist() == [False] * 4 + [True, False]
    empty = table.assign(success=0, AU12_p=np.nan)
    axis = draw_timeline(empty).axes[0]
    assert "no face" in axis.get_title(loc="left") and axis.get_xlim()[1] > 3 and not len(axis.get_yticks())


def test_a_preview_s_time_line_holds_a_reading_until_the_next_frame_and_no_longer():
    long = made([0.5] * 6).assign(timestamp=[0, 0.1, 0.2, 1.0, 1.1, 3.0])
    table = pd.concat([long, long.iloc[:3].assign(face_id=1)], ignore_index=True)
    grey = np.array([0xDD] * 3)
    whole, short = (
        np.asarray(plots._strip(table, face, ["AU12"], long["timestamp"].to_numpy(), 301))[-1]
        for face in (0, 1)
    )
    assert not (whole == grey).all(-1).any()
    assert np.flatnonzero((short == grey).all(-1)).tolist() == list(range(100, 301))  # from 1 s on


def test_the_tracker_goes_on_from_its_state(faces):
    faces.at = [50, 300]
    seen(faces, np.arange(7) / 25)
    other = tracking.Tracker(faces.tracker.spec)
    other.restore({name: value.copy() for name, value in faces.tracker.state().items()})
    faces.at = [60, 310]
    first = [faces.tracker.update(faces.picture, 0.3), faces.tracker.update(faces.picture, 0.34)]
    second = [other.update(faces.picture, 0.3), other.update(faces.picture, 0.34)]
    for a, b in zip(sum(first, []), sum(second, []), strict=True):
        assert a[0] == b[0] and (a[1] == b[1]).all() and (a[2] == b[2]).all()


def test_frames_without_a_face_keep_a_row_and_say_so(filmed, tmp_path):
    pictures = [np.asarray(frame.picture) for frame in clip_frames(Clip(filmed.one))][:6]
    write_video(
        tmp_path / "a.mp4", [(k / 20, x) for k, x in enumerate([grey(90, (240, 320))] * 3 + pictures)]
    )
    table = predict_clip(RUN, Clip(tmp_path / "a.mp4"), tmp_path / "a.csv")
    assert table["frame"].tolist() == list(range(1, 10))
    assert table["success"].tolist() == [0] * 3 + [1] * 6
    blank = read_openface(tmp_path / "a.csv").iloc[:3]
    assert blank[["AU12_c", "x_0", "face_x"]].apply(pd.to_numeric, errors="coerce").isna().all(axis=None)
    assert (blank["confidence"] == 0).all()


def test_an_interrupted_clip_goes_on_with_the_same_bits(filmed, tmp_path, monkeypatch):
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(clips, "AT_ONCE", 16)
    predict_clip(RUN, Clip(filmed.one), tmp_path / "whole.csv")
    update, frames = tracking.Tracker.update, []

    def interrupted(self, picture, time):
        frames.append(time)
        if len(frames) == 40:
            raise KeyboardInterrupt
        return update(self, picture, time)

    monkeypatch.setattr(tracking.Tracker, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_clip(RUN, Clip(filmed.one), tmp_path / "again.csv")
    assert not (tmp_path / "again.csv").exists()
    predict_clip(RUN, Clip(filmed.one), tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(frames) == 40 + 44 - 32  # two parts of 16 were kept
    assert not list((tmp_path / "cache").rglob("*.parquet"))


def test_unsure_calls_are_left_empty_and_trust_is_told(filmed, tmp_path):
    sure = predict_clip(RUN, Clip(filmed.one), tmp_path / "sure.csv", max_error=0.1)
    p = sure["AU12_p"].astype(float)
    unsure = np.minimum(p, 1 - p) > 0.1
    assert 0 < unsure.sum() < len(p) and (sure["AU12_c"].isna() == unsure).all()
    of_all = sure.filter(regex="_p$").astype(float).to_numpy()
    np.testing.assert_allclose(sure["trust"], np.maximum(of_all, 1 - of_all).mean(1), atol=1e-3)


def test_sides_are_told_of_present_aus_and_other_tables_of_ours_are_still_read(filmed, tmp_path):
    table = predict_clip(RUN, Clip(filmed.one), tmp_path / "a.csv", sides=True)
    assert not any("_side" in name for name in filmed.read[filmed.one])
    smiles = (table["AU12_c"] == 1).to_numpy(bool)
    assert 0 < smiles.sum() < len(table) and (table["AU12_side"].notna() == smiles).all()
    long = predict_clip(RUN, Clip(filmed.one), tmp_path / "long.csv", "long", sides=True)
    long = pd.read_csv(tmp_path / "long.csv").set_index("au")["side"]
    assert long["AU12"].notna().to_numpy().tolist() == smiles.tolist() and long["AU25"].isna().all()
    assert "AU12_p" in read_tool(tmp_path / "a.csv").columns
    with pytest.raises(ValueError, match="py-feat's tables have no columns for sides"):
        predict_clip(RUN, Clip(filmed.one), tmp_path / "b.csv", "pyfeat", sides=True)
    plain = predict_clip(RUN, Clip(filmed.one))
    pd.testing.assert_frame_equal(plain, filmed.read[filmed.one])


def test_each_format_opens_and_holds_the_same(filmed, tmp_path):
    for form in clips.LAYOUTS:
        predict_clip(RUN, Clip(filmed.two), tmp_path / form, form)
    table = filmed.read[filmed.two]
    openface, pyfeat = read_openface(tmp_path / "openface"), read_pyfeat(tmp_path / "pyfeat")
    assert list(openface.columns[:5]) == ABOUT
    parquet, long = pd.read_parquet(tmp_path / "parquet"), pd.read_csv(tmp_path / "long")
    for found in (
        openface["AU12_p"],
        pyfeat["AU12_p"],
        parquet["AU12_p"],
        long[long["au"] == "AU12"]["probability"],
    ):
        assert pd.to_numeric(found).to_numpy() == pytest.approx(table["AU12_p"].to_numpy(), abs=1e-4)
    assert (
        pd.to_numeric(openface["AU12_c"]).tolist() == table["AU12_c"].tolist() == parquet["AU12_c"].tolist()
    )
    intensity = long[long["au"] == "AU12"]["intensity"]
    for found in (openface["AU12_r"], parquet["AU12_r"], intensity):
        assert pd.to_numeric(found).to_numpy() == pytest.approx(table["AU12_r"].to_numpy(), nan_ok=True)
    assert table["AU12_r"].between(0, 5).any()
    assert pyfeat["frame"].astype(int).tolist() == (table["frame"] - 1).tolist()
    points = [f"x_{k}" for k in range(68)]
    assert (
        openface[points].min(axis=1)
        == pyfeat["meta_pyfeat_FaceRectX" if "FaceRectX" not in pyfeat else "FaceRectX"].astype(float)
    ).all()


@pytest.mark.parametrize("form", clips.LAYOUTS)
def test_an_earlier_table_of_the_format_is_replaced_and_no_other(form, filmed, tmp_path):
    out = tmp_path / "table"
    for every in (1, 2):
        predict_clip(RUN, Clip(filmed.one, every), out, form)
    read = pd.read_parquet if form == "parquet" else pd.read_csv
    assert read(out)["frame"].nunique() == 22
    several = read(out).copy()
    several.insert(0, "clip", "one")  # tables of several clips, put together by the user
    several.to_parquet(out) if form == "parquet" else several.to_csv(out, index=False)
    mine = out.read_bytes()
    with pytest.raises(FileExistsError, match="table exists and is no earlier result"):
        predict_clip(RUN, Clip(filmed.one), out, form)
    assert out.read_bytes() == mine


def made(probabilities: list[float], face: int = 0) -> pd.DataFrame:
    """A table of one AU."""
    count = len(probabilities)
    about = {"frame": range(1, count + 1), "face_id": face, "timestamp": np.arange(count) / 10, "success": 1}
    return pd.DataFrame(about | {"AU12_p": np.array(probabilities, np.float32)})


def test_a_neutral_face_lowers_what_it_shows_and_raises_nothing():
    table = pd.concat([made([0.3] * 5 + [0.9] * 5), made([0.001] * 5 + [0.4] * 5, face=1)], ignore_index=True)
    before = table["AU12_p"].to_numpy(copy=True)
    baselines = clips._baselines(table, ("AU12",), "1-5", Clip(Path("a.mp4")))
    clips._lower(table, ("AU12",), baselines)
    after = table["AU12_p"].to_numpy()
    assert after[:5] == pytest.approx(clips.AT_REST, abs=1e-4)
    odds = 0.9 / 0.1 * (0.05 / 0.95) / (0.3 / 0.7)
    assert after[5:10] == pytest.approx(odds / (1 + odds), abs=1e-4)
    assert after[10:] == pytest.approx(before[10:], abs=1e-4)


def test_auto_takes_the_calmest_frames_of_each_face():
    table = made([0.9] * 18 + [0.2] * 2)
    assert clips._baselines(table, ("AU12",), "auto", Clip(Path("a.mp4")))[0] == pytest.approx(
        np.log(0.2 / 0.8), abs=1e-4
    )


def test_a_kept_neutral_face_is_used_again(filmed, tmp_path):
    first = predict_clip(
        RUN, Clip(filmed.one), tmp_path / "a.csv", neutral="1-8", save_neutral=tmp_path / "n.json"
    )
    again = predict_clip(RUN, Clip(filmed.one), neutral=str(tmp_path / "n.json"))
    assert again["AU05_p"].to_numpy() == pytest.approx(first["AU05_p"].to_numpy(), abs=2e-4)
    other = shutil.copytree(RUN, tmp_path / "other")
    saved = json.loads((other / "config.json").read_text())
    saved["settings"]["seed"] += 1
    (other / "config.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match=f"n.json was saved by another detector; .* with {other}"):
        predict_clip(other, Clip(filmed.one), neutral=str(tmp_path / "n.json"))
    (tmp_path / "n.json").write_text('{"neutral": {"AU12": 1}}')
    whole = {au: 0.5 for au in Run(RUN).aus}
    for wrong in ("NaN", "1e400", "null", '"x"', "true"):
        text = json.dumps({"neutral": whole | {"AU12": None}}).replace("null", wrong)
        (tmp_path / "wrong.json").write_text(text)
        with pytest.raises(ValueError, match=r"wrong\.json: AU12 is .*, expected a finite number"):
            predict_clip(RUN, Clip(filmed.one), neutral=str(tmp_path / "wrong.json"))
    named = [("900-910", "1 to 44"), ("n.csv", "1-30"), (str(tmp_path / "n.json"), "AU01")]
    for neutral, match in [*named, ("5-1", "from 1 on"), ("0-3", "from 1 on")]:
        with pytest.raises(ValueError, match=match):
            predict_clip(RUN, Clip(filmed.one), neutral=neutral)


def test_frames_of_a_smile_are_not_the_calmest_because_all_else_is_sure_to_be_absent():
    smiles = np.repeat([False, True], 10)
    table = pd.DataFrame({"face_id": 0, "success": 1, "AU12_p": np.where(smiles, 0.9, 0.05)})
    table = table.assign(**{f"AU0{au}_p": np.where(smiles, 0.001, 0.05) for au in (1, 2, 4)})
    found = clips._baselines(table, ("AU01", "AU02", "AU04", "AU12"), "auto", Clip(Path("a.mp4")))
    assert found[0] == pytest.approx(np.log(0.05 / 0.95))


def test_a_note_asks_where_an_au_is_read_on_neutral_frames(filmed):
    strongest = filmed.labels[filmed.one].set_index("frame")["AU12_r"].idxmax()
    notes = []
    predict_clip(RUN, Clip(filmed.one), neutral=str(strongest), note=notes.append)
    assert any("face 0 reads" in note and "AU12" in note for note in notes)


def test_a_neutral_face_a_time_line_and_a_preview_go_over_earlier_ones_unless_edited(filmed, tmp_path):
    files = [tmp_path / name for name in ("face.json", "line.png", "preview.mp4")]
    call = ["predict", filmed.one, "--every", 8, "--out", tmp_path / "t.csv", "--neutral", "auto"]
    for option, file in zip(("--save-neutral", "--timeline", "--preview"), files, strict=True):
        call += [option, file]
    for _ in range(2):
        done = CliRunner().invoke(app, [*map(str, call)])
        assert done.exit_code == 0, done.output
    for file in files:
        written = file.read_bytes()
        file.write_bytes(written + b"\n")
        done = CliRunner().invoke(app, [*map(str, call)])
        assert done.exit_code == 1 and f"{file.name} exists" in done.output.replace("\n", "")
        assert file.read_bytes() == written + b"\n"
        file.write_bytes(written)


def test_smoothing_is_a_centred_mean_over_time_of_each_face():
    table = pd.concat([made([0, 0, 1, 0, 0]), made([0.5] * 5, face=1)], ignore_index=True)
    clips._smooth(table, ("AU12",), 0.3)
    assert table["AU12_p"].to_numpy() == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0] + [0.5] * 5, abs=1e-6)


@pytest.mark.parametrize("seconds", [np.inf, np.nan, -1, 1e12])
def test_smoothing_over_no_time_is_refused(seconds, filmed):
    with pytest.raises(ValueError, match="smooth is .* seconds, expected 0 to 3600"):
        predict_clip(RUN, Clip(filmed.one), smooth=seconds)


def test_confidence_is_zero_where_no_face_is_seen_and_unknown_without_a_limit():
    assert confidence_of(np.array([2.0, 3.0, -9.0]), 2.0) == pytest.approx([0, 0, 1])
    assert np.isnan(confidence_of(np.array([1.0]), np.inf)).all()


def test_a_clip_that_does_not_exist_is_named_and_not_the_option(tmp_path):
    words = ["predict", str(tmp_path / "nothere.mp4"), "--out", str(tmp_path / "a.csv"), "--every", "2"]
    told = CliRunner().invoke(app, words, terminal_width=300)
    assert (
        told.exit_code == 2
        and "nothere.mp4 does not exist" in told.output
        and "--every is" not in told.output
    )


def test_clips_are_told_from_pictures(tmp_path):
    for name in ("a/one.mp4", "a/b/two.MOV", "p/face.png", "p/one.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"not opened")
    names = lambda place: [path.name for path in clips_in(place)]  # noqa: E731
    assert names(tmp_path / "a/one.mp4") == ["one.mp4"] and names(tmp_path / "p/face.png") == []
    assert names(tmp_path / "a") == ["two.MOV", "one.mp4"] and names(tmp_path / "p") == []
    assert names(str(tmp_path / "*" / "*.mp4")) == ["one.mp4"]
    found = tables_of(clips_in(tmp_path / "a"), Path("out"), "openface")
    assert found == [Path("out/b/two.csv"), Path("out/one.csv")]
    with pytest.raises(ValueError, match=r"one\.avi"):
        tables_of([Path("a/one.mp4"), Path("a/one.avi")], Path("out"), "long")


def test_a_clip_that_is_named_is_known_by_how_it_begins(filmed, tmp_path):
    for name in ("clip", "clip.jpg", "clip.txt"):
        shutil.copy(filmed.one, tmp_path / name)
        assert clips_in(tmp_path / name) == [tmp_path / name]
    Image.fromarray(grey(90)).save(tmp_path / "picture", format="PNG")
    (tmp_path / "photo").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (tmp_path / "short").write_bytes(b"R")
    assert not [name for name in ("picture", "photo", "short") if clips_in(tmp_path / name)]


@pytest.mark.parametrize(
    ("suffix", "form", "codec", "size"),
    [
        ("ts", "mpegts", "mpeg2video", (96, 64)),
        ("M2TS", "mpegts", "mpeg2video", (96, 64)),
        ("vob", "vob", "mpeg2video", (96, 64)),
        ("ogv", "ogg", "libvpx", (96, 64)),
        ("asf", "asf", "wmv2", (96, 64)),
        ("dv", "dv", "dvvideo", (720, 576)),
    ],
)
def test_videos_of_other_kinds_are_clips(suffix, form, codec, size, tmp_path):
    import av

    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for shade in 20 * (0, 200):
            frame = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), shade, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert clips_in(tmp_path) == [path]
    shades = [np.asarray(frame.picture).mean() for frame in clip_frames(Clip(path))]
    assert shades == pytest.approx(20 * [0, 200], abs=9)


def test_of_several_clips_one_that_cannot_be_read_does_not_stop_the_others(filmed, tmp_path):
    for name in ("a ä.mp4", "c.mp4"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(filmed.one.read_bytes())
    (tmp_path / "in/b.mp4").write_bytes(b"")
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1 and "b.mp4" in done.output and "1 of 3" in done.output
    assert sorted(path.name for path in (tmp_path / "out").glob("*.csv")) == ["a ä.csv", "c.csv"]


def test_of_several_clips_what_is_no_file_does_not_stop_the_others(filmed, tmp_path):
    (tmp_path / "in/a.mp4").mkdir(parents=True)
    (tmp_path / "in/b.mp4").symlink_to("nowhere.mp4")
    os.mkfifo(tmp_path / "in/c.mp4")  # opening it would wait for ever
    (tmp_path / "in/d.mp4").symlink_to(filmed.one)
    for place, number in ((tmp_path / "in", 3), (tmp_path / "in/*.mp4", 4)):  # the folder is entered
        out = tmp_path / f"out {number}"
        done = CliRunner().invoke(app, ["predict", str(place), "--out", str(out)])
        assert done.exit_code == 1 and f"{number - 1} of {number} clips" in done.output
        assert all(f"{name}.mp4 is no file" in done.output for name in "abc"[4 - number :])
        assert [path.name for path in out.glob("*.csv")] == ["d.csv"]


def test_what_was_read_is_kept_until_it_is_forgotten(filmed, tmp_path, monkeypatch):
    monkeypatch.setenv("AULIB_CACHE", str(tmp_path / "cache"))
    first = predict_clip(RUN, Clip(filmed.one), tmp_path / "a.csv", keep=True)
    monkeypatch.setattr(clips, "clip_frames", None)
    again = predict_clip(RUN, Clip(filmed.one), tmp_path / "b.csv", "long", keep=True)
    pd.testing.assert_frame_equal(first, again)
    clips.forget(RUN, Clip(filmed.one))
    assert not list((tmp_path / "cache").rglob("*.parquet"))


def test_the_command_writes_table_time_line_and_preview(filmed, tmp_path):
    run = CliRunner().invoke
    out = {name: tmp_path / name for name in ("t.csv", "t.png", "p.mp4")}
    made = ["--out", out["t.csv"], "--timeline", out["t.png"], "--preview", out["p.mp4"], "--every", "4"]
    done = run(app, ["predict", str(filmed.one), *map(str, made)])
    assert done.exit_code == 0, done.output
    assert len(pd.read_csv(out["t.csv"])) == 11
    with Image.open(out["t.png"]) as picture:
        assert picture.width > 600
    assert len(list(clip_frames(Clip(out["p.mp4"])))) == 11
    again = run(app, ["predict", str(filmed.one), *map(str, made)])
    assert again.exit_code == 0, again.output
    for wrong, said in ((("n.png", "n.png"), "two results"), (("t.jpg", "q.mp4"), "ends in .png")):
        names = [str(tmp_path / name) for name in wrong]
        given = ["--out", str(tmp_path / "n.csv"), "--timeline", names[0], "--preview", names[1]]
        refused = run(app, ["predict", str(filmed.one), *given])
        assert refused.exit_code == 1 and said in refused.output.replace("\n", " ")
        assert not (tmp_path / "n.csv").exists()
    assert run(app, ["predict", "docs/london", "--out", str(tmp_path / "x.csv"), "--fps", "3"]).exit_code == 2
    assert run(app, ["predict", str(filmed.one)]).exit_code == 2
    own = shutil.copy(filmed.one, tmp_path / "own.mp4")
    for clip, said in ((own, "exists"), (out["p.mp4"], "is the clip itself")):  # the latter is a preview
        before = clip.read_bytes()
        given = ["predict", str(clip), "--out", str(tmp_path / "o.csv"), "--preview", str(clip)]
        refused = run(app, given)
        assert refused.exit_code == 1 and said in refused.output.replace("\n", " ")
        assert clip.read_bytes() == before


def test_two_clips_with_the_same_seed_are_the_same_and_labels_lie_on_the_face(filmed, tmp_path):
    again = pd.read_csv(synthetic_clip(tmp_path / "one.mp4", "studio", 2.2, 20, people=1, seed=3, size=240))
    pd.testing.assert_frame_equal(again, filmed.labels[filmed.one])
    middle = again.filter(regex=r"^x_\d+$").mean(axis=1), again.filter(regex=r"^y_\d+$").mean(axis=1)
    read = filmed.read[filmed.one]
    assert (
        np.hypot(middle[0] - read["face_x"], middle[1] - read["face_y"]).max()
        < 0.25 * read["face_size"].min()
    )


def test_a_time_line_and_a_preview_show_every_person(filmed, tmp_path):
    table = filmed.read[filmed.two]
    figure = draw_timeline(table)
    assert [axis.get_title(loc="left") for axis in figure.axes[:2]] == ["face 0", "face 1"]
    cells = figure.axes[0].collections[0].get_array()
    first = table[table["face_id"] == 0]
    assert cells.compressed().max() == pytest.approx(first.filter(regex="_p$").max(axis=None), abs=1e-6)
    time, picture = next(iter(preview_frames(Clip(filmed.two), table)))
    assert time == 0 and picture.shape[0] > 240 and picture.shape[1] == 320 + 2 * 190
    bars = 16 + plots.ROW * (len(plots.aus_of(table)) + 1)
    tiny = Clip(tmp_path / "tiny.mp4")
    small = (frame.picture.resize((64, 48)) for frame in clip_frames(Clip(filmed.two)))
    write_video(tiny.path, ((number / 25, np.asarray(picture)) for number, picture in enumerate(small)))
    nobody = table.assign(success=0)
    for rows, height in ((table, bars + 2 + 2 * (plots.STRIP * 8 + 14)), (nobody, bars + 2 + 14)):
        assert next(iter(preview_frames(tiny, rows)))[1].shape[0] == height
