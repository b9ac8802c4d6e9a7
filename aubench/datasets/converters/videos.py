"""Frames of a video by their exact index; needs the extra `datasets` (PyAV, whose wheels carry an LGPL
FFmpeg).

PyAV rather than OpenCV, which seeks to the nearest key frame and does not say so, and rather than
imageio-ffmpeg, which pipes raw frames through a GPL binary. Decoding is sequential: frame n is the n-th
picture that comes out.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

INSTALL = "pip install 'aulib[datasets]'"


def num_frames(path: Path) -> int | None:
    """Frames of a video as its header counts them; None where it does not, or cannot be opened, or without
    PyAV."""
    try:
        import av
    except ModuleNotFoundError:  # read_frames says so
        return None
    try:
        with av.open(str(path)) as container:
            return container.streams.video[0].frames or None if container.streams.video else None
    except (av.FFmpegError, OSError):  # as above
        return None


def read_frames(path: Path, wanted: Iterable[int]) -> Iterator[tuple[int, Image.Image]]:
    """(index, RGB picture) of the wanted frames, in ascending order, one in memory at a time.

    Indices past the end are not yielded; the caller knows which are missing.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
        ValueError: the file is no video, or breaks off in the middle.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"reading {path.name} needs PyAV: {INSTALL}") from error
    left = set(wanted)
    last = max(left, default=-1)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for index, frame in enumerate(container.decode(stream)):
                if index > last:
                    return
                if index in left:
                    yield index, frame.to_image()
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path} cannot be decoded: {' '.join(str(error).split())}") from error
