"""Frames of a video by their exact index; needs the extra `datasets` (PyAV, with wheels of LGPL FFmpeg).

PyAV rather than OpenCV, which seeks to the nearest key frame without saying so, and rather than
imageio-ffmpeg, which pipes raw frames through a GPL binary. Decoding is sequential: frame n is the n-th
picture that comes out.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

TURNS = {  # where a display matrix takes the axes x and y, both to the right and down
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,  # by a quarter, clockwise
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}
INSTALL = "pip install 'aulib[datasets]'"


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
        stream.thread_type = "AUTO"
        for index, frame in enumerate(container.decode(stream)):
            if index > last:
                return
            if index in left:
                yield index, _upright(frame)


def _upright(frame) -> Image.Image:
    picture = frame.to_image()
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
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} has no video stream")
            yield container, container.streams.video[0]
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path} cannot be decoded: {' '.join(str(error).split())}") from error
