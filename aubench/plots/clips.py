"""AUs of a clip to look at: a time line of each person, and the clip with faces, AU bars and time line."""

from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from aubench.datasets.videos import Clip, clip_frames
from aubench.plots.style import MUTED, PAGE, au_label, in_house_style
from aulib.labels import AU_NAMES

MOST_PEOPLE = 4  # in one figure or preview: those with most frames
TALLEST = 720  # pixels of a preview's frames
BAR, ROW, STRIP = 190, 17, 11  # pixels: width of a person's bars, height of a bar and of a time line's row
LABEL = 14  # pixels above a time line, for whose it is


def people_of(table: pd.DataFrame) -> list[int]:
    """face_ids of a table of `predict_clip`, at most MOST_PEOPLE: those with most frames, in their order."""
    seen = table.loc[table["success"] == 1, "face_id"].value_counts()
    return sorted(seen.index[:MOST_PEOPLE].tolist())


def aus_of(table: pd.DataFrame) -> list[str]:
    """AUs with probabilities, in the order of the columns."""
    return [name.removesuffix("_p") for name in table if name.endswith("_p")]


@in_house_style
def draw_timeline(table: pd.DataFrame) -> Figure:
    """Probability of each AU over a clip's time, a panel for each person; white where no face is seen.

    Args:
        table: of `clips.predict_clip`.
    """
    people, aus = people_of(table), aus_of(table)
    heights = [0.16 * max(1, len(aus)) + 0.55] * max(1, len(people))
    figure = Figure(figsize=(PAGE, sum(heights) + 0.4), layout="constrained")
    panels = figure.subplots(max(1, len(people)), squeeze=False, sharex=True)[:, 0]
    shades = mpl.colormaps["viridis"].with_extremes(bad="white")
    times = np.unique(table["timestamp"].to_numpy(float))
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.04
    edges = np.append(times, times[-1] + step)
    for axis, face in zip(panels, people, strict=False):
        cells = np.ma.masked_invalid(_over_time(table, face, aus, times).T)
        image = axis.pcolormesh(edges, np.arange(len(aus) + 1), cells, vmin=0, vmax=1, cmap=shades)
        axis.set_yticks(np.arange(len(aus)) + 0.5, [au_label(au) for au in aus], fontsize=7)
        axis.invert_yaxis()
        axis.grid(visible=False)
        axis.set_title(f"face {face}")
    panels[-1].set_xlabel("seconds")
    if people:
        figure.colorbar(image, ax=list(panels), label="probability", shrink=0.8, pad=0.01)
    else:
        panels[0].set(title="no face is seen", xlim=edges[[0, -1]], yticks=[])
    return figure


def preview_frames(
    clip: Clip, table: pd.DataFrame, shown: set[int] | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds and picture (H, W, 3) uint8 of each frame: every face in its square, a bar for each of its AUs,
    and below the time line of each person.

    Args:
        table: what `predict_clip` made of `clip`.
        shown: frames to draw, all if None.
    """
    people, aus = people_of(table), aus_of(table)
    times = np.unique(table["timestamp"].to_numpy(float))
    first, last = times[0], max(times[-1], times[0] + 1e-6)
    frames = dict(list(table.groupby("frame")))
    strips = None
    for frame in clip_frames(clip):
        rows = frames.get(frame.number + 1)
        if frame.picture is None or rows is None or (shown is not None and frame.number + 1 not in shown):
            continue
        picture = frame.picture
        room = 16 + ROW * (len(aus) + 1)
        factor = min(max(1.0, room / picture.height), TALLEST / picture.height)
        size = (round(picture.width * factor), round(picture.height * factor))
        per_column = max(1, size[1] // room)  # people whose bars stand one below the other
        columns = max(1, -(-len(people) // per_column))
        width = size[0] + columns * BAR
        height = size[1] + 2 + max(LABEL, len(people) * (STRIP * len(aus) + LABEL))
        if strips is None:
            strips = [_strip(table, face, aus, times, width) for face in people]
        canvas = Image.new("RGB", (width, height), "white")
        canvas.paste(picture.resize(size, Image.Resampling.BILINEAR))
        draw = ImageDraw.Draw(canvas)
        for row in rows[rows["success"] == 1].itertuples():
            if row.face_id in people:
                place = people.index(row.face_id)
                _square(draw, row, factor, MUTED[place])
                corner = (size[0] + (place // per_column) * BAR + 8, (place % per_column) * room + 4)
                _bars(draw, row, aus, corner, MUTED[place])
        top, x = size[1], (frame.time - first) / (last - first) * (width - 1)
        draw.text((width - 60, top), f"{frame.time:.2f} s", fill="black")
        for face, strip in zip(people, strips, strict=True):
            draw.text((4, top), f"face {face}", fill="black")
            canvas.paste(strip, (0, top + LABEL))
            top += LABEL + strip.height
        if people:
            draw.line([x, size[1] + LABEL, x, top], fill="#D55E00", width=2)
        yield frame.time, np.asarray(canvas)


def _square(draw: ImageDraw.ImageDraw, row, factor: float, colour: str) -> None:
    half, roll = row.face_size / 2 * 0.72, np.radians(row.face_roll)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]]) @ turn.T
    corners = (corners + (row.face_x, row.face_y)) * factor
    draw.polygon([tuple(corner) for corner in corners.tolist()], outline=colour, width=3)
    draw.text(tuple(corners[0] + 4), f"face {row.face_id}", fill="white", stroke_width=2, stroke_fill="black")


def _bars(draw: ImageDraw.ImageDraw, row, aus: list[str], corner: tuple[int, int], colour: str) -> None:
    x, y = corner
    draw.text((x, y), f"face {row.face_id}", fill=colour)
    for number, au in enumerate(aus, 1):
        value, top = getattr(row, f"{au}_p"), y + number * ROW
        draw.text((x, top + 1), f"{au} {AU_NAMES.get(au, '')}"[:22], fill="black")
        draw.rectangle([x + 118, top + 2, x + 172, top + ROW - 4], fill="#EEEEEE")
        if value == value and value * 54 >= 1:
            draw.rectangle([x + 118, top + 2, x + 118 + 54 * value, top + ROW - 4], fill=colour)


def _over_time(table: pd.DataFrame, face: int, aus: list[str], times: np.ndarray) -> np.ndarray:
    """A person's AUs at the seconds (T,) of a clip's frames, (T, A); NaN where the face is not seen."""
    rows = table[table["face_id"] == face].drop_duplicates("timestamp").set_index("timestamp")
    return rows.reindex(times)[[f"{au}_p" for au in aus]].to_numpy(float)


def _strip(table: pd.DataFrame, face: int, aus: list[str], times: np.ndarray, width: int) -> Image.Image:
    """A person's AUs over the whole clip, `width` pixels for all its time, each frame's until the next; grey
    where the face is not seen."""
    values = _over_time(table, face, aus, times)
    frames = np.searchsorted(times, np.linspace(times[0], times[-1], width), "right") - 1
    colours = mpl.colormaps["viridis"].with_extremes(bad="#DDDDDD")(np.ma.masked_invalid(values[frames].T))
    picture = np.rint(colours[..., :3] * 255).astype(np.uint8)
    strip = Image.fromarray(picture.repeat(STRIP, axis=0))
    for row, au in enumerate(aus):
        ImageDraw.Draw(strip).text(
            (3, row * STRIP - 1), au, fill="white", stroke_width=1, stroke_fill="black"
        )
    return strip
