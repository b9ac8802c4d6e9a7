"""Lesson 5, Can a face be put together again?: figures and checks of exercises; `rounds` measures."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from torch import Tensor

from aubench.inspection.decoding import FaceDecoder, decode_faces, side_of
from aubench.plots.reconstructions import as_pictures
from aubench.plots.style import DOMAIN_COLOURS, face_grid, in_house_style, name_row, show_face, write_on
from aulib.model import AUModel
from exercises import Verdict, exercise, right, wrong
from rounds import CHANGES, both_rounds, noticed

SHOWN = ("I", "F", "S", "Z", "F~", "S~", "Z~", "F^^")
SAYS = {
    "I": "the face", "F": "$F$, decoded", "S": "shape $S$", "Z": "texture $Z$",
    "F~": "$\\tilde{F}$: swapped,\nthe other's $S$",
    "S~": "$\\tilde{S}$, read from\nthe other's $\\tilde{F}$",
    "Z~": "$\\tilde{Z}$, read from\nits own $\\tilde{F}$", "F^^": "$\\hat{F}$: second round,\nswapped back",
}  # fmt: skip


@in_house_style
def draw_trace(outputs: dict[str, Tensor], pictures: dict[str, Tensor], decoder: FaceDecoder) -> Figure:
    """One pair's way through both rounds, source above target; arrows where shapes change rows.

    Args:
        outputs: `rounds.both_rounds` of one pair.  pictures: domain -> (1, 3, H, H).
    """
    figure, axes = face_grid(2, len(SHOWN), side=1.12, left=0.6, top=0.4)
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.4)
    figure.subplots_adjust(hspace=0.4)
    for row, domain in zip(axes, ("source", "target"), strict=True):
        half, side = domain[0], side_of(pictures[domain])
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        keys = {
            "F": f"rich_{half}", "S": f"shape_{half}", "Z": f"texture_{half}", "F~": f"swapped_{half}",
            "S~": f"shape2_{half}", "Z~": f"texture2_{half}", "F^^": f"rich2_{half}",
        }  # fmt: skip
        for axis, step in zip(row, SHOWN, strict=True):
            tensor = pictures[domain] if step == "I" else outputs[keys[step]]
            if step in ("S", "S~"):
                axis.imshow(tensor[0].sum(0).sqrt().numpy(), cmap="inferno")
            elif step in ("Z", "Z~"):
                axis.imshow(tensor[0].abs().mean(0).numpy(), cmap="inferno")
            else:
                seen = tensor if step == "I" else decode_faces(decoder, tensor, side)
                show_face(axis, as_pictures(seen)[0])
            size = " × ".join(map(str, tensor.shape[1:]))
            write_on(axis, size)
    for axis, step in zip(axes[0], SHOWN, strict=True):
        axis.set_title(SAYS[step], fontsize=7.5, fontweight="normal", loc="center")
    for first, then in ((2, 4), (4, 5)):
        for above, colour in ((0, DOMAIN_COLOURS["source"]), (1, DOMAIN_COLOURS["target"])):
            _arrow(figure, axes[above, first], axes[1 - above, then], colour if first == 2 else "#666666")
    return figure


def _arrow(figure: Figure, start, end, colour: str) -> None:
    """From one cell to another in the other row, through the gap between the rows."""
    down = start.get_position().y0 > end.get_position().y0
    figure.add_artist(
        ConnectionPatch(
            (0.85, 0 if down else 1),
            (0.15, 1 if down else 0),
            "axes fraction",
            "axes fraction",
            axesA=start,
            axesB=end,
            arrowstyle="-|>",
            color=colour,
            lw=1.4,
        )  # fmt: skip
    )


@in_house_style
def draw_worn(table: pd.DataFrame) -> Figure:
    """`rounds.worn`: by whose labels the AUs read from a feature are right; dashed is chance."""
    figure = Figure(figsize=(6.4, 1.8), layout="constrained")
    axis = figure.subplots()
    heights = np.arange(len(table))[::-1]
    colours = ["#444444", DOMAIN_COLOURS["source"], DOMAIN_COLOURS["target"], "#999999"]
    for row, height, colour in zip(table.itertuples(), heights, colours, strict=True):
        axis.plot([row.low, row.high], [height, height], color=colour, lw=2)
        axis.plot(row.auc, height, "o", color=colour)
    whose = ("itself", "who gave the shape", "who gave the texture", "a source face that gave nothing")
    features = ("$F^t$, not swapped", *3 * ("$\\tilde{F}^t$, swapped",))
    names = [f"{feature}: AUs of {face}" for feature, face in zip(features, whose, strict=True)]
    axis.set_yticks(heights, names)
    axis.set_ylim(-0.5, len(table) - 0.5)
    axis.axvline(0.5, color="#444444", lw=0.8, ls="--")
    axis.set_xlabel("ROC AUC of D_au, mean over AUs, with 95 % over pairs")
    return figure


# checks of the exercises


@exercise("a shape with the batch in front, such as `(1, 3, 112, 112)`")
def check_seen_by_g(answer, model: AUModel) -> Verdict:
    """The shape of what G's first convolution is given for one face: watched while it runs."""
    answer = tuple(int(one) for one in answer)
    size, seen = model.config.image_size, []
    hook = model.reconstruction.layers.register_forward_pre_hook(
        lambda part, given: seen.append(given[0].shape)
    )
    try:
        both_rounds(model, *(torch.zeros(1, 3, size, size) for _ in range(2)))
    finally:
        hook.remove()
    truth = (1, *seen[-1][1:])
    channels, landmarks = model.config.channels, model.config.num_landmarks
    if answer == truth:
        return right(f"{channels} channels of Z, and one drawing: all {landmarks} maps of S, summed.")
    if len(answer) != 4:
        return wrong("Four numbers: faces, channels, rows, columns.")
    if answer[2:] != truth[2:]:
        return wrong(f"The channels aside: features have a quarter of the picture's side, {truth[2]} cells.")
    if answer[1] == channels + landmarks:
        return wrong("So it would be if S entered as it is. G is given the *sum* of the maps.")
    if answer[1] == channels:
        return wrong("That is Z alone. The drawing of the shape comes with it.")
    if answer[0] != 1:
        return wrong("One face: the batch is 1.")
    return wrong(f"Z has {channels} channels; how many has the sum of the {landmarks} maps?")


@exercise(f"a list of names out of {', '.join(map(repr, CHANGES))}")
def check_noticed(answer, model: AUModel, picture: Tensor) -> Verdict:
    """Which changes of S move G(S, Z): each is made and G is asked."""
    said = {answer} if isinstance(answer, str) else set(answer)
    if unknown := sorted(map(str, said - CHANGES.keys())):
        return wrong(f"{', '.join(unknown)}: no such change. There are {', '.join(CHANGES)}.")
    moved = noticed(model, picture)
    truth = {name for name, size in moved.items() if size > 1e-4}
    if said == truth:
        told = ", ".join(f"{name} {size:.2f}" for name, size in moved.items())
        return right(f"By standard deviations of G: {told}. A sum does not know which map was whose.")
    if extra := sorted(said - truth):
        return wrong(f"{', '.join(extra)}: G's answer stays the same. What does G do to the maps first?")
    missing = sorted(truth - said)[0]
    return wrong(f"{missing}: then the sum of the maps is another, and G sees the sum.")


@exercise("a function `(model, source, target)` that returns the swapped feature F̃ᵗ")
def check_swap(answer: Callable, model: AUModel, source: Tensor, target: Tensor) -> Verdict:
    """F~^t = G(S^s, Z^t), against the model's own first round."""
    outputs = both_rounds(model, source, target)
    with torch.no_grad():
        found = answer(model, source, target)
    if not isinstance(found, Tensor) or found.shape != outputs["swapped_t"].shape:
        return wrong(f"A feature of shape {tuple(outputs['swapped_t'].shape)} is wanted, not {_kind(found)}.")
    if _same(found, outputs["swapped_t"]):
        return right(
            "The target's texture in the source's shape: what D_au is trained on with source labels."
        )
    for key, hint in (
        ("swapped_s", "That is F̃ˢ: the source's texture in the target's shape. The other way round."),
        ("self_t", "That is G(Sᵗ, Zᵗ): the target put together again, nothing was swapped."),
        ("self_s", "That is G(Sˢ, Zˢ): the source put together again, nothing was swapped."),
        ("rich_t", "That is Fᵗ itself. It has to be taken apart, and G has to put it together."),
        ("rich2_t", "That is the second round. One swap is wanted."),
    ):
        if _same(found, outputs[key]):
            return wrong(hint)
    return wrong("No feature of either round. E reads `model.standardise(picture)`, then `model.separate`.")


@exercise("a function `(model, swapped_s, swapped_t)` that returns the pair F̂ˢ, F̂ᵗ")
def check_second_round(answer: Callable, model: AUModel, source: Tensor, target: Tensor) -> Verdict:
    """The second round, against the model's own."""
    outputs = both_rounds(model, source, target)
    swapped = outputs["swapped_s"], outputs["swapped_t"]
    with torch.no_grad():
        first, second = answer(model, *swapped)
        parts = [model.separate(one) for one in swapped]
        kept = [model.reconstruction(shape, texture) for _, shape, texture in parts]
    if _same(first, outputs["rich2_s"]) and _same(second, outputs["rich2_t"]):
        return right(
            "Separated again and swapped back: this is what the cycle and the supervisors align with F."
        )
    if _same(first, outputs["rich2_t"]) and _same(second, outputs["rich2_s"]):
        return wrong("Both are right, in the other order: a face is where its *texture* is.")
    if _same(first, kept[0]) and _same(second, kept[1]):
        return wrong("Separated and put together as it was: F̃ once more. The shapes have to be swapped back.")
    if _same(first, swapped[0]):
        return wrong("That is what went in. Separate both, swap the shapes, and let G work.")
    return wrong("F̃ˢ wears the target's shape, so S̃ˢ is read from F̃ᵗ. Which texture goes with it?")


def _same(found, wanted: Tensor) -> bool:
    near = 2e-5 * float(wanted.abs().max())
    return (
        isinstance(found, Tensor) and found.shape == wanted.shape and torch.allclose(found, wanted, 0, near)
    )


def _kind(found) -> str:
    return str(tuple(found.shape)) if isinstance(found, Tensor) else type(found).__name__
