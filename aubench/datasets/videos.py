"""Frames of a video by their exact index or one after the other, and a video written; needs the extra `video`
(PyAV, with wheels of LGPL FFmpeg).

PyAV rather than OpenCV, which seeks to the nearest key frame without saying so, and rather than
imageio-ffmpeg, which pipes raw frames through a GPL binary. Decoding is sequential: frame n is the n-th
picture that comes out.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from math import gcd
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from aubench.datasets.face_finding import UnusablePicture, read_upright
from aubench.datasets.picture_files import list_pictures
from aulib.files import refuse_other, result_file, what_it_is
from aulib.landmarks import point_columns

TURNS = {  # where a display matrix takes the axes x and y, both to the right and down
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,  # by a quarter, clockwise
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
INSTALL = "pip install 'aulib[video]'"
CONDITIONS = ("hidden", "covered", "yaw", "light", "skin")
PLAYLISTS = {"concat", "hls", "dash"}  # formats that read other files
MISSING = 1.5  # seconds that a file may say to be longer than its last frame, as its sound may be
LAST = 0.5  # the same where the file tells of the pictures alone: how long the last may be shown
SPARSE = 0.05  # share of a sequence's numbers that have a picture; with fewer these are times
ENCODERS = ("libx264", "libopenh264", "mpeg4")  # the first that this FFmpeg has; browsers play the first two


class Clip(NamedTuple):
    """A video, or a folder whose pictures are frames, at the places of their numbers.

    every: take each n-th frame. fps: of a video, take at most so many a second; of a folder, how many there
    are (25 if None).
    """

    path: Path
    every: int = 1
    fps: float | None = None


class Frame(NamedTuple):
    """number: place in the clip, from 0. time: seconds after the first frame. picture: RGB, upright; None if
    it cannot be read."""

    number: int
    time: float
    picture: Image.Image | None


def num_frames(path: Path) -> int | None:
    """Frames of a video by its header; None where that is silent or cannot be read."""
    try:
        with _open(path) as (_, stream):
            return stream.frames or None
    except (ModuleNotFoundError, ValueError):  # read_frames raises these, too
        return None


def read_frames(path: Path, wanted: Iterable[int]) -> Iterator[tuple[int, Image.Image]]:
    """(index, RGB picture) of the wanted frames in ascending order, one in memory at a time; turned and
    mirrored as players do, by the display matrix that phones write.

    Indices past the end are not yielded.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        ValueError: the file is no video, or breaks off in the middle.
    """
    left = set(wanted)
    last = max(left, default=-1)
    with _open(path) as (container, stream):
        for index, frame in enumerate(container.decode(stream)):
            if index > last:
                return
            if index in left:
                yield index, _upright(frame, stream)


def clip_frames(clip: Clip, note: Callable[[str], None] = lambda text: None) -> Iterator[Frame]:
    """The frames of a clip, one in memory at a time, at their own time stamps and upright.

    Args:
        note: called if the video breaks off; its frames until there are taken. And of pictures that are
            missing or cannot be read.

    Raises:
        FileNotFoundError: a folder without pictures.
        ModuleNotFoundError: PyAV is not installed.
        ValueError: no video in the file, or not one frame of it can be read; or pictures in several folders.
    """
    path, every, fps = clip
    if fps is not None and not 0 < fps < np.inf:
        raise ValueError(f"{path}: {fps:g} frames a second, expected a finite number above 0")
    if path.is_dir():
        yield from _frames_of_folder(clip, note)
        return
    number, first, due, last, step = -1, None, 0, 0.0, 0.0
    try:
        with _open(path) as (container, stream):
            rate = float(stream.average_rate or 25)
            for number, frame in enumerate(container.decode(stream)):
                time = number / rate if frame.time is None else frame.time
                first = time if first is None else first
                time -= first
                last, step = time, max(step, time - last)
                if number % every or (fps and time < due / fps - 1e-6):
                    continue
                due = int(time * (fps or 0) + 1e-6) + 1
                yield Frame(number, time, _upright(frame, stream))
            expected = stream.frames or 0
            length, unsure = (container.duration or 0) / 1_000_000, MISSING
            if of_stream := re.fullmatch(r"(\d+):(\d+):([\d.]+)", stream.metadata.get("DURATION", "")):
                hours, minutes, seconds = map(float, of_stream.groups())  # Matroska
                length, unsure = hours * 3600 + minutes * 60 + seconds, max(LAST, 2.5 * step)
    except ValueError as error:
        if number < 0:
            raise
        note(f"{path} breaks off after frame {number + 1}: {error}")
        return
    if number < 0:
        raise ValueError(f"{path} has no frame that can be read; copy it again")
    if number + 1 < expected:
        note(f"{path} breaks off: {number + 1} of {expected} frames can be read")
    elif (seen := max(number / rate, time)) + unsure < length - first:
        note(f"{path} breaks off: {seen:.1f} of {length - first:.1f} seconds can be read")


def _frames_of_folder(clip: Clip, note: Callable[[str], None]) -> Iterator[Frame]:
    read, why = 0, ""
    for number, name in _sequence(clip.path, note):
        if number % clip.every == 0:
            try:
                picture, *_ = read_upright(clip.path / name, at_most=None)
                read += 1
            except UnusablePicture as error:
                picture, why = None, f"{clip.path / name}: {error}"
                note(why)
            yield Frame(number, number / (clip.fps or 25), picture)
    if not read:
        raise ValueError(f"{clip.path} has no frame that can be read, such as {why}")


def _sequence(folder: Path, note: Callable[[str], None]) -> list[tuple[int, str]]:
    """Place, from 0, and name of each picture that is a frame.

    Places are the numbers that the names end with, from the first on, in the steps that all keep (10, 20, 30
    follow each other); or, with a note, the order of the names, where these are no numbers of one series.
    """
    names = list_pictures(folder)[0]
    if len(inside := sorted({name.rpartition("/")[0] for name in names})) > 1:
        where = " and ".join(repr(one) if one else "no subfolder" for one in inside[:2])
        raise ValueError(f"{folder} has pictures in {where}, expected the frames of one clip in one folder")
    parts = [re.fullmatch(r"(.*?)(\d*)", PurePosixPath(name).stem, re.DOTALL).groups() for name in names]
    numbers = [int(number) for _, number in parts if number]
    if len({start for start, _ in parts}) == 1 and len(set(numbers)) == len(names):
        first, steps = min(numbers), gcd(*(b - a for a, b in pairwise(sorted(numbers)))) or 1
        total = (max(numbers) - first) // steps + 1
        if len(names) >= SPARSE * total:
            if missing := total - len(names):
                note(f"{folder}: {missing} of {total} frames from {first} to {max(numbers)} are missing")
            return sorted(
                ((number - first) // steps, name) for number, name in zip(numbers, names, strict=True)
            )
    pieces = {name: re.split(r"(\d+)", name) for name in names}  # f2.jpg comes before f10.jpg
    ordered = sorted(names, key=lambda name: [int(one) if one.isdecimal() else one for one in pieces[name]])
    if len(names) > 1:
        some = " and ".join(ordered[:2])
        note(f"{folder}: frames are counted by their order, since {some} ... are not numbered as one clip")
    return list(enumerate(ordered))


def length_of(clip: Path) -> int | None:
    """About how many frames a clip has; None where its header does not say."""
    return len(list_pictures(clip)[0]) if clip.is_dir() else num_frames(clip)


def extent(place: Path) -> tuple[int | None, float | None]:
    """Frames from the first to the last of a clip, or of a folder of frames, and how many a second; None
    where the header is silent, and of a folder's rate.

    Raises:
        as `clip_frames`.
    """
    if place.is_dir():
        return _sequence(place, lambda text: None)[-1][0] + 1, None
    with _open(place) as (_, stream):
        return stream.frames or None, float(stream.average_rate or 0) or None


def write_video(path: Path, frames: Iterable[tuple[float, np.ndarray]]) -> None:
    """Encode (seconds, picture (H, W, 3) uint8) as MP4 at their time stamps; of odd sides a pixel goes.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"writing {path.name} needs PyAV: {INSTALL}") from error
    encoder = next(name for name in ENCODERS if name in av.codecs_available)
    with av.open(str(path), "w", format="mp4") as container:
        stream, last = None, -1
        for time, picture in frames:
            height, width = (side - side % 2 for side in picture.shape[:2])
            if stream is None:
                stream = container.add_stream(encoder, rate=25)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.bit_rate = 4_000_000
                stream.codec_context.time_base = Fraction(1, 1000)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
            frame.pts, frame.time_base = max(round(time * 1000), last + 1), Fraction(1, 1000)
            last = frame.pts
            container.mux(stream.encode(frame))
        if stream:
            container.mux(stream.encode(None))


def synthetic_clip(
    path: str | Path, domain: str, seconds: float, fps: float, people: int, seed: int, size: int
) -> Path:
    """Write a clip of `aufaces.clips` and, beside it, a CSV with its labels; returns the CSV.

    Columns: frame (from 1), face_id, timestamp, CONDITIONS (see `aufaces.clips.Shown`), AU01_r (0 to 5),
    AU01_c (1 where the intensity is at least OCCURS_AT), x_0 ..., y_0 ....

    Raises:
        FileExistsError: one of the two is another file.
        ValueError: as `render_clip`.
    """
    from aufaces.actions import AUS, OCCURS_AT
    from aufaces.clips import render_clip

    path, rows = Path(path), []
    if path.suffix.lower() != ".mp4":
        raise ValueError(f"{path}: a clip is an MP4; call it {path.stem}.mp4")
    table = path.with_suffix(".csv")
    refuse_other(path, "rendered")
    refuse_other(table, "rendered")

    def frames() -> Iterator[tuple[float, np.ndarray]]:
        drawn = render_clip(domain, seconds, fps, people, seed, size)
        for number, (picture, shown) in enumerate(
            tqdm(drawn, path.name, max(1, round(seconds * fps)), unit="frame")
        ):
            for face, one in enumerate(shown):
                level = one.expression.intensity
                labels = {f"{au}_r": round(float(value), 2) for au, value in zip(AUS, level, strict=True)}
                labels |= {f"{au}_c": int(value >= OCCURS_AT) for au, value in zip(AUS, level, strict=True)}
                about = {"frame": number + 1, "face_id": face, "timestamp": round(number / fps, 4)}
                points = point_columns(one.landmarks[None].round(2))
                points = {name: float(values[0]) for name, values in points.items()}
                about |= {name: round(getattr(one, name), 3) for name in CONDITIONS}
                rows.append(about | labels | points)
            yield number / fps, picture

    with result_file(path, "rendered") as temporary:
        write_video(temporary, frames())
    with result_file(table, "rendered") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return table


def _upright(frame, stream) -> Image.Image:
    """As players show it: square pixels, turned by the display matrix."""
    picture = frame.to_image()
    if (aspect := stream.sample_aspect_ratio or 1) != 1:
        picture = picture.resize((max(1, round(picture.width * aspect)), picture.height))
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":  # 3 x 3 in 16.16 fixed point
            axes = np.frombuffer(data, dtype="=i4").reshape(3, 3)[:2, :2] / 65536
            turn = TURNS.get(tuple(axes.round().astype(int).ravel().tolist()))
            return picture if turn is None else picture.transpose(turn)
    return picture


@contextmanager
def _open(path: Path) -> Iterator[tuple]:
    """Container and video stream."""
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"reading {path.name} needs PyAV: {INSTALL}") from error
    try:
        with av.open(os.path.abspath(path)) as container:  # `c:l.mp4` is no address
            if PLAYLISTS & set(container.format.name.split(",")):
                raise ValueError(f"{path} is a list of other files, no video")
            if not container.streams.video:
                raise ValueError(f"{path} has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path} cannot be decoded ({error.strerror}): {what_it_is(path)}") from error
