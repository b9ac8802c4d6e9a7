"""Lesson 3, Where is the face?: its figures and the checks of its exercises; `heatmaps` measures."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces, luminance
from aubench.plots.style import DOMAIN_COLOURS, face_grid, in_house_style, name_row, show_face, write_on
from aulib.losses import landmark_loss
from aulib.model import cells_to_pixels, expected_cells
from exercises import Verdict, exercise, right, wrong
from heatmaps import PARTS, POINTS, WAYS, index_frames, places, spread, strength

MARKS_OF_WAYS = (("s", "#E69F00", 8), ("X", "#CC79A7", 7), ("o", "#56B4E9", 5))  # as WAYS: mark, colour, size
BETWEEN = (10.25, 7.5)  # cells, x then y: where the landmark of exercise 4 lies


@in_house_style
def draw_maps(faces: dict[str, ShownFaces], logits: dict[str, Tensor]) -> Figure:
    """The first face of each domain: landmarks found, all maps summed, and five maps over the face.

    Over each map: its highest share of the mass in one cell.
    """
    figure, axes = face_grid(len(faces), 2 + len(POINTS), side=1.2, left=0.6, top=0.42)
    for row, (domain, shown) in zip(axes, faces.items(), strict=True):
        face = luminance(shown.pictures[:1])[0]
        shape = logits[domain][:1].flatten(2).softmax(-1).view_as(logits[domain][:1])
        found = cells_to_pixels(expected_cells(shape), shape.shape[-1], face.shape[-1])[0].numpy()
        maps = F.interpolate(shape, face.shape, mode="nearest")[0].numpy()
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        show_face(row[0], shown.pictures[0].permute(1, 2, 0).numpy(), found)
        _over(row[1], face, maps.sum(0) / maps.sum(0).max())
        for axis, point in zip(row[2:], POINTS.values(), strict=True):
            _over(axis, face, maps[point] / maps[point].max())
            write_on(axis, f"{maps[point].max():.0%} in one cell", corner="top")
    for axis, title in zip(axes[0], ["landmarks\nfound", "all maps,\nsummed", *POINTS], strict=True):
        axis.set_title(title, fontsize=7.5, fontweight="normal", loc="center")
    return figure


def _over(axis, face: np.ndarray, shown: np.ndarray) -> None:
    show_face(axis, 0.6 * face)
    axis.imshow(shown, cmap="inferno", vmin=0, vmax=1, alpha=np.sqrt(shown.clip(0, 1)))


@in_house_style
def draw_sharpness(face: ShownFaces, logits: Tensor, point: int, factors=(0.0, 0.2, 0.5, 1.0, 3.0)) -> Figure:
    """One map under several factors on its logits, and the places that three WAYS read from it.

    Args:
        face: one face.  logits: (1, K, h, w) of it.  point: which landmark.
    """
    figure, axes = face_grid(1, len(factors), side=1.5, top=0.62)
    size, grey = face.pictures.shape[-1], luminance(face.pictures)[0]
    for axis, factor in zip(axes[0], factors, strict=True):
        shape = (factor * logits[0, point]).flatten().softmax(0).view(logits.shape[-2:])
        _over(
            axis, grey, F.interpolate(strength(shape)[None, None], (size, size), mode="nearest")[0, 0].numpy()
        )
        for way, (mark, colour, large) in zip(WAYS, MARKS_OF_WAYS, strict=True):
            if not factor and way != WAYS[1]:
                continue  # no cell is the highest
            place = cells_to_pixels(places(logits, way, factor), logits.shape[-1], size)[0, point]
            label = way if factor == factors[-1] else None
            axis.plot(*place, mark, color=colour, ms=large, mec="black", mew=0.6, label=label)
        cells = float(spread(logits[0, point], factor))
        axis.set_title(
            f"logits × {factor:g}\nspread over {cells:.0f} cell{'s' if round(cells) != 1 else ''}",
            fontsize=7.5,
            fontweight="normal",
            loc="center",
        )
    figure.legend(loc="upper center", ncols=3, handletextpad=0.2)
    return figure


@in_house_style
def draw_ways(table: pd.DataFrame) -> Figure:
    """`errors_by_way`: the error of each way to read a map, in both domains."""
    figure = Figure(figsize=(5.6, 1.7), layout="constrained")
    axis = figure.subplots()
    for offset, domain in zip((0.12, -0.12), table, strict=True):
        heights = np.arange(len(table))[::-1] + offset
        axis.plot(table[domain], heights, "o", color=DOMAIN_COLOURS[domain], label=domain)
        for value, height in zip(table[domain], heights, strict=True):
            axis.annotate(f"{value:.1f}", (value, height), (6, 0), textcoords="offset points", va="center")
    axis.set_yticks(np.arange(len(table))[::-1], table.index)
    axis.set_ylim(-0.5, len(table) - 0.5)
    axis.set_xlim(0, 1.15 * table.to_numpy().max())
    axis.set_xlabel("landmark NME, % of the distance of the outer eye corners")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@in_house_style
def draw_errors_on_face(errors_of: dict[str, np.ndarray], faces: dict[str, ShownFaces]) -> Figure:
    """The mean face of each domain: each landmark as large and as bright as its mean error."""
    figure = Figure(figsize=(6.2, 2.9), layout="constrained")
    axes = figure.subplots(1, len(faces))
    means = {domain: values.mean(0) for domain, values in errors_of.items()}
    top = max(float(mean.max()) for mean in means.values())
    for axis, (domain, shown) in zip(axes, faces.items(), strict=True):
        points, mean = shown.landmarks.numpy().mean(0), means[domain]
        drawn = axis.scatter(
            *points.T, c=mean, s=4 + 60 * mean / top, cmap="viridis", vmin=0, vmax=top, lw=0.3, ec="black"
        )
        axis.set_title(f"{domain}: mean {mean.mean():.1f} %", color=DOMAIN_COLOURS[domain])
        axis.set_aspect("equal")
        axis.invert_yaxis()
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="mean error, % of the eye distance", shrink=0.85)
    return figure


@in_house_style
def draw_gains(table: pd.DataFrame) -> Figure:
    """`gains`: one extraction against two copies, right of the line where sharing is better."""
    figure = Figure(figsize=(6.4, 1.5), layout="constrained")
    figure.get_layout_engine().set(wspace=0.1)  # or numbers of neighbouring axes touch
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (measure, rows) in zip(axes, table.groupby("measure"), strict=True):
        for height, row in enumerate(rows.sort_values("domain", ascending=False).itertuples()):
            colour = DOMAIN_COLOURS[row.domain]
            axis.plot([row.low, row.high], [height, height], color=colour, lw=2)
            axis.plot(row.gain, height, "o", color=colour)
        axis.axvline(0, color="#444444", lw=0.8, ls="--")
        axis.set_yticks([0, 1], ["target", "source"])
        axis.set_ylim(-0.6, 1.6)
        axis.set_title(measure)
        axis.set_xlabel("gain of sharing, points" if measure == "F1-frame" else "fall of the error, points")
    return figure


# checks of the exercises


@exercise("two numbers, x and y in cells, such as `(3, 20.5)`")
def check_flat(answer, logits: Tensor) -> Verdict:
    """Where the mean of the whole map lands once all logits are equal.

    logits: (..., h, w) of any map.
    """
    x, y = (float(one) for one in answer)
    h, w = logits.shape[-2:]
    truth = places(torch.zeros(1, 1, h, w), WAYS[1])[0, 0].tolist()
    if np.allclose((x, y), truth, atol=0.01):
        return right(f"Every cell weighs 1/{h * w}: the mean of 0 to {w - 1} is {truth[0]:g}, in x and in y.")
    if any(np.allclose((x, y), (w / 2 - off, h / 2 - off), atol=0.01) for off in (0, 1)):
        return wrong(f"Nearly: cells are counted from 0 to {w - 1}, so the middle is not at {x:g}.")
    if np.allclose((x, y), 0, atol=0.01):
        return wrong(
            "Logits of 0 are not shares of 0: exp(0) is 1 in every cell. Which cell weighs most then?"
        )
    if np.allclose((x, y), 2 * w - 0.5, atol=1):
        return wrong("Those are pixels; a cell is 4 pixels wide. In cells?")
    return wrong("Put the slider at its lowest end: all cells weigh nearly the same. Where is their mean?")


@exercise(f"the name of a part, one of {', '.join(PARTS)}")
def check_hardest(answer, table: pd.DataFrame) -> Verdict:
    """Which part of the face is found worst on target faces; table: `heatmaps.errors_by_part`."""
    if answer not in table.index:
        return wrong(f"{answer!r} is no part of this table; it has {', '.join(table.index)}.")
    errors, worst = table["target"], table["target"].idxmax()
    if answer == worst:
        return right(
            f"Landmarks of the {worst} are {errors[worst]:.1f} % off, of the best part {errors.min():.1f} %."
        )
    if answer == errors.idxmin():
        return wrong(
            f"Landmarks of the {answer} are found best of all, {errors[answer]:.1f} % off. Large means wrong."
        )
    if answer == table["source"].idxmax():
        return wrong(
            f"Landmarks of the {answer} are worst on source faces. The question is about the other column."
        )
    return wrong(f"Landmarks of the {answer} are {errors[answer]:.1f} % off; another part is further off.")


@exercise("a function from logits (K, h, w) to shares (K, h, w), of the form `lambda logits: ...`")
def check_soft_max(answer: Callable, side: int = 6) -> Verdict:
    """A soft-max over positions, tried on maps of random logits and on very large ones."""
    logits = 2 * torch.randn(3, side, side + 1, generator=torch.Generator().manual_seed(0))
    truth = logits.flatten(1).softmax(1).view_as(logits)

    def given(values: Tensor) -> Tensor:
        return torch.as_tensor(answer(values.clone())).float()

    found = given(logits)
    if found.shape != logits.shape:
        return wrong(
            f"{tuple(logits.shape)} became {tuple(found.shape)}; a map should keep its place and shape."
        )
    if torch.allclose(found, truth, atol=1e-4):
        if not torch.allclose(given(logits + 200), truth, atol=1e-4):
            return wrong(
                "Right for small logits, but exp(200) is no number: take the map's maximum off first."
            )
        return right(
            "Every map sums to 1 over its cells, and adding a constant to its logits changes nothing."
        )
    for dim, what in (
        (0, "The landmarks of one cell"),
        (1, "The cells of a column"),
        (2, "The cells of a row"),
    ):
        if torch.allclose(found, logits.softmax(dim), atol=1e-4):
            return wrong(
                f"{what} compete here. All cells of one landmark's map should: flatten h and w first."
            )
    if torch.allclose(found, logits.sigmoid(), atol=1e-4):
        return wrong(
            "A sigmoid asks every cell alone; a landmark is in one place, so its cells must compete."
        )
    if (found < 0).any():
        return wrong("Some shares are negative. What makes any number positive and keeps the order?")
    if torch.allclose(found.sum(), torch.tensor(1.0), atol=1e-3):
        return wrong("All maps together sum to 1. Each landmark's map should, by itself.")
    sums = ", ".join(f"{one:.2f}" for one in found.flatten(1).sum(1))
    return wrong(f"The maps sum to {sums}. Each should sum to 1, as exp(logit) over the sum of its map.")


@exercise(
    "four shares as `[[upper left, upper right], [lower left, lower right]]`, such as `[[1, 0], [0, 0]]`"
)
def check_shares(answer) -> Verdict:
    """The map of least loss for a landmark at BETWEEN: the shares of the four cells around it."""
    share = torch.tensor(answer, dtype=torch.float32)
    if share.shape != (2, 2):
        return wrong(f"Two rows of two shares are wanted, not {tuple(share.shape)}.")
    if (share < 0).any() or abs(share.sum() - 1) > 0.01:
        return wrong(f"Shares are 0 or more and sum to 1; yours sum to {share.sum():.2f}.")
    (x0, y0), side = (int(one) for one in BETWEEN), 28
    rest, (x, y) = torch.zeros(1, 1, side, side), (BETWEEN[0] % 1, BETWEEN[1] % 1)

    def loss(four: Tensor) -> float:
        maps = rest.clone()
        maps[0, 0, y0 : y0 + 2, x0 : x0 + 2] = four
        maps = maps.clamp(min=1e-9)
        return float(landmark_loss((maps / maps.sum()).log(), torch.tensor([[BETWEEN]]), side))

    best = torch.tensor([[(1 - x) * (1 - y), x * (1 - y)], [(1 - x) * y, x * y]])
    if loss(share) < loss(best) + 2e-3:
        return right(
            f"The loss is {loss(share):.2f}, the least there is, and the mean lands on the landmark."
        )
    if torch.allclose(share, best.flip(1), atol=0.01):
        return wrong(f"Mirrored: x = {BETWEEN[0]} is nearer to column {x0}, so the left cells get more.")
    if torch.allclose(share, best.T, atol=0.01):
        return wrong("Turned: x runs along a row of the list, y from row to row.")
    if share.max() > 0.99:
        return wrong("ADLD's target, one cell: the place can then be off by half a cell, 2 pixels. Share it.")
    mean = (x0 + float(share[:, 1].sum()), y0 + float(share[1].sum()))
    if np.allclose(mean, BETWEEN, atol=0.01):
        return wrong("The mean is right, but a cell's share is nearness in x times nearness in y.")
    return wrong(f"The mean of your map is at ({mean[0]:.2f}, {mean[1]:.2f}), the landmark at {BETWEEN}.")


@exercise("a function from `low, high` to 'better', 'worse' or 'cannot tell'")
def check_verdict(answer: Callable, table: pd.DataFrame) -> Verdict:
    """What an interval of a gain says, tried on made-up intervals and on this run's (`heatmaps.gains`)."""
    words = ("better", "worse", "cannot tell")
    measured = [(row.low, row.high) for row in table.dropna().itertuples()]
    for low, high in [(0.5, 2.0), (-3.0, -1.0), (-1.0, 4.0), (-4.0, 1.0), *measured]:
        said, truth = answer(low, high), index_frames(low, high)
        if said not in words:
            return wrong(
                f"({low:g}, {high:g}) gave {said!r}; wanted is one of {', '.join(map(repr, words))}."
            )
        if said == truth:
            continue
        if truth == "cannot tell":
            return wrong(f"({low:.1f}, {high:.1f}) has 0 inside: a gain and a loss both fit these subjects.")
        if said == "cannot tell":
            return wrong(f"({low:.1f}, {high:.1f}) lies on one side of 0: that can be told.")
        return wrong(f"({low:.1f}, {high:.1f}) was called {said!r}. Above 0 is a gain of sharing.")
    return right("It asks whether 0 lies inside. It speaks of these subjects, not of other training seeds.")
