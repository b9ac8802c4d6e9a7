"""Lesson 5, Can a face be put together again?: measures, figures and checks of the exercises."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from torch import Tensor

from aubench.inspection.decoding import FaceDecoder, decode_faces, side_of
from aubench.inspection.shown_faces import ShownFaces, as_pictures
from aubench.inspection.swaps import both_rounds, size_of
from aubench.plots.style import (
    DOMAIN_COLOURS,
    face_grid,
    in_house_style,
    name_columns,
    name_row,
    row_panels,
    show_face,
    write_on,
)
from aulib.metrics import au_scores
from aulib.model import AUModel
from exercises import Verdict, exercise, right, wrong

# output of the model, without its domain -> title of its column
COLUMNS = {
    "face": "the face", "rich": "$F$, decoded", "shape": "shape $S$", "texture": "texture $Z$",
    "swapped": "$\\tilde{F}$: swapped,\nthe other's $S$",
    "shape2": "$\\tilde{S}$, read from\nthe other's $\\tilde{F}$",
    "texture2": "$\\tilde{Z}$, read from\nits own $\\tilde{F}$",
    "rich2": "$\\hat{F}$: second round,\nswapped back",
}  # fmt: skip
WORN = {  # whose labels an AU score is compared with -> colour of its row
    "F^t: itself": "#444444",
    "F~^t: who gave the shape": DOMAIN_COLOURS["source"],
    "F~^t: who gave the texture": DOMAIN_COLOURS["target"],
    "F~^t: a source face that gave nothing": "#999999",
}
CHANGES = {  # of S (n, K, h, w); landmark 30 is the tip of the nose, 48 to 67 are the mouth
    "landmarks renumbered": lambda shape: shape.flip(1),
    "face moved down": lambda shape: shape.roll(2, -2),
    "mouth on the nose": lambda shape: torch.cat([shape[:, :48], shape[:, 30:31].expand(-1, 20, -1, -1)], 1),
    "maps blurred": lambda shape: F.avg_pool2d(shape, 5, 1, 2),
}


@in_house_style
def draw_trace(outputs: dict[str, Tensor], pictures: dict[str, Tensor], decoder: FaceDecoder) -> Figure:
    """One pair of faces through both rounds, source above target; arrows show where shapes are swapped.

    Args:
        outputs: of `both_rounds` for one pair.  pictures: domain -> (1, 3, H, H).
    """
    figure, axes = face_grid(2, len(COLUMNS), side=1.12, left=0.6, top=0.4)
    figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + 0.4)
    figure.subplots_adjust(hspace=0.4)
    for row, domain in zip(axes, ("source", "target"), strict=True):
        name_row(row[0], domain, DOMAIN_COLOURS[domain])
        side = side_of(pictures[domain])
        for axis, column in zip(row, COLUMNS, strict=True):
            tensor = pictures[domain] if column == "face" else outputs[f"{column}_{domain[0]}"]
            if column.startswith("shape"):
                axis.imshow(tensor[0].sum(0).sqrt().numpy(), cmap="inferno")
            elif column.startswith("texture"):
                axis.imshow(tensor[0].abs().mean(0).numpy(), cmap="inferno")
            else:
                seen = tensor if column == "face" else decode_faces(decoder, tensor, side)
                show_face(axis, as_pictures(seen)[0])
            write_on(axis, size_of(tensor))
    name_columns(axes[0], COLUMNS.values())
    for row, domain in enumerate(("source", "target")):
        _arrow(figure, axes[row, 2], axes[1 - row, 4], DOMAIN_COLOURS[domain])
        _arrow(figure, axes[row, 4], axes[1 - row, 5], "#666666")
    return figure


def _arrow(figure: Figure, start, end, colour: str) -> None:
    """From a picture to one in the other row, through the gap between the rows."""
    down = start.get_position().y0 > end.get_position().y0
    leave, reach = (0.85, 0 if down else 1), (0.15, 1 if down else 0)
    places = {"coordsA": "axes fraction", "coordsB": "axes fraction", "axesA": start, "axesB": end}
    figure.add_artist(ConnectionPatch(leave, reach, arrowstyle="-|>", color=colour, lw=1.4, **places))


@torch.no_grad()
def aus_of_swapped(
    model: AUModel, source: ShownFaces, target: ShownFaces, resamples: int = 300, seed: int = 0
) -> pd.DataFrame:
    """Whose AUs does D_au read from a swapped target face F~^t?

    Returns:
        one row per entry of WORN: auc (mean over AUs), low, high (95 % interval over pairs); NaN where no
        AU has both classes.
    """
    count = min(len(source), len(target))
    batches = zip(source.pictures[:count].split(32), target.pictures[:count].split(32), strict=True)
    outputs = [both_rounds(model, *batch) for batch in batches]
    rich, swapped = (
        model.au_head(torch.cat([one[key] for one in outputs]))[0].sigmoid().numpy()
        for key in ("rich_t", "swapped_t")
    )
    shape, texture = source.occurrence[:count], target.occurrence[:count]
    stranger = np.roll(shape, count // 2, 0)
    compared = ((rich, texture), (swapped, shape), (swapped, texture), (swapped, stranger))
    names = [str(au) for au in range(shape.shape[1])]
    rows = []
    for probability, labels in compared:
        scores = au_scores(probability, labels, np.arange(count), names, resamples, seed)
        rows.append([scores["mean.auc"], scores["mean.auc_low"], scores["mean.auc_high"]])
    return pd.DataFrame(rows, index=pd.Index(WORN, name="AUs of"), columns=["auc", "low", "high"])


@in_house_style
def draw_worn(table: pd.DataFrame) -> Figure:
    """The table of `aus_of_swapped`; dashed: chance."""
    names = [name.replace("F~^t", "$\\tilde{F}^t$").replace("F^t", "$F^t$") for name in WORN]
    figure, (axis,) = row_panels(names, width=6.4)
    for place, (row, colour) in enumerate(zip(table.itertuples(), WORN.values(), strict=True)):
        axis.plot([row.low, row.high], [place, place], color=colour, lw=2)
        axis.plot(row.auc, place, "o", color=colour)
    axis.axvline(0.5, color="#444444", lw=0.8, ls="--")
    axis.set_xlabel("ROC AUC of D_au, mean over AUs, with 95 % intervals over pairs")
    return figure


def who_gave_the_aus(table: pd.DataFrame) -> str:
    """ "shape", "texture" or "undecided", from the intervals of `aus_of_swapped`."""
    _, shape, texture, _ = table.itertuples()
    if shape.low > texture.high:
        return "shape"
    return "texture" if texture.low > shape.high else "undecided"


def distance_from_own_face(outputs: dict[str, Tensor]) -> pd.DataFrame:
    """How close features are to their own face's F, n >= 2 pairs: one row per feature.

    `source distance`: L1 distance from F, over the distance between two faces' F (1: as far as a stranger).
    `source own face`: share of the faces whose own F is the nearest of all n by cosine (chance 1 / n).
    """
    table: dict[str, dict[str, float]] = {}
    for domain, half in (("source", "s"), ("target", "t")):
        rich = outputs[f"rich_{half}"]
        stranger = (rich - rich.roll(1, 0)).abs().mean()
        units = F.normalize(rich.flatten(1), dim=1)
        far, own = {}, {}
        for name, key in (("self", "self"), ("swapped", "swapped"), ("second round", "rich2")):
            feature = outputs[f"{key}_{half}"]
            far[name] = float((feature - rich).abs().mean() / stranger)
            nearest = (F.normalize(feature.flatten(1), dim=1) @ units.T).argmax(1)
            own[name] = float((nearest == torch.arange(len(rich))).float().mean())
        table |= {f"{domain} distance": far, f"{domain} own face": own}
    return pd.DataFrame(table)


@torch.no_grad()
def change_of_shape(model: AUModel, picture: Tensor) -> pd.DataFrame:
    """What each of CHANGES to S does to a face (1, 3, H, H): a row for each.

    Columns: drawing, the sum of the maps, and G, G(S, Z): mean change, in standard deviations.
    """
    _, shape, texture = model.separate(model.encoder(model.standardise(picture)))

    def seen(shape: Tensor) -> dict[str, Tensor]:
        return {"drawing": shape.sum(1), "G": model.reconstruction(shape, texture)}

    unchanged = seen(shape)
    return pd.DataFrame(
        {
            name: {
                what: float((one - unchanged[what]).abs().mean() / unchanged[what].std())
                for what, one in seen(change(shape)).items()
            }
            for name, change in CHANGES.items()
        }
    ).T


@exercise("a shape with the batch in front, such as `(1, 3, 112, 112)`")
def check_seen_by_g(answer, model: AUModel) -> Verdict:
    """The shape of the input of G's first convolution for one face, recorded by a hook."""
    answer = tuple(int(one) for one in answer)
    size, seen = model.config.image_size, []
    hook = model.generator.layers.register_forward_pre_hook(lambda part, given: seen.append(given[0].shape))
    try:
        both_rounds(model, *torch.zeros(2, 1, 3, size, size))
    finally:
        hook.remove()
    truth = (1, *seen[-1][1:])
    channels, landmarks = model.config.channels, model.config.num_landmarks
    if answer == truth:
        added = "" if model.erasure is None else ", plus what is expected of the shape,"
        return right(
            f"{channels} channels of Z{added} and one drawing, the sum of all {landmarks} maps of S."
        )
    if len(answer) != 4:
        return wrong("Four numbers: faces, channels, rows, columns.")
    if answer[2:] != truth[2:]:
        return wrong("Rows and columns: features have a quarter of the picture's side.")
    if answer[1] == channels + landmarks:
        return wrong("That would be S as it is. G gets the *sum* of the maps.")
    if answer[1] == channels:
        return wrong("That is Z alone. The drawing of the shape is appended.")
    if answer[1] == 2 * channels + 1:
        return wrong("What is expected of the shape is *added* to Z, channel by channel.")
    if answer[0] != 1:
        return wrong("One face: the batch is 1.")
    return wrong(f"Z has {channels} channels. How many has the sum of the {landmarks} maps?")


@exercise(f"a list of names out of {', '.join(map(repr, CHANGES))}")
def check_noticed(answer, model: AUModel, picture: Tensor) -> Verdict:
    """Which changes of S change its drawing: each is tried."""
    chosen = {answer} if isinstance(answer, str) else set(answer)
    if unknown := sorted(map(str, chosen - CHANGES.keys())):
        return wrong(f"Unknown change {', '.join(unknown)}; choose from {', '.join(CHANGES)}.")
    moved = change_of_shape(model, picture)
    truth = set(moved.index[moved["drawing"] > 1e-4])
    if chosen == truth:
        by_number = moved.loc["landmarks renumbered", "G"]
        rest = "So G cannot know which map was whose."
        if by_number > 1e-4:
            rest = f"Renumbered landmarks still move G, by {by_number:.2f} of its spread: by the regression."
        return right(f"A sum does not depend on the order of the maps. {rest}")
    if extra := sorted(chosen - truth):
        return wrong(f"{', '.join(extra)}: the drawing stays the same. What does a sum not depend on?")
    return wrong(f"{min(truth - chosen)}: this changes the sum of the maps.")


@exercise("a function `(model, source, target)` that returns the swapped feature F̃ᵗ")
def check_swap(answer: Callable, model: AUModel, source: Tensor, target: Tensor) -> Verdict:
    """F~^t = G(S^s, Z^t), compared with the model's own first round."""
    outputs = both_rounds(model, source, target)
    with torch.no_grad():
        found = answer(model, source, target)
    if not isinstance(found, Tensor) or found.shape != outputs["swapped_t"].shape:
        kind = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        return wrong(f"Expected a feature of shape {tuple(outputs['swapped_t'].shape)}, found {kind}.")
    if _same(found, outputs["swapped_t"]):
        return right("The target's texture with the source's shape: D_au trains on it with source labels.")
    for key, hint in (
        ("swapped_s", "That is F̃ˢ, the source's texture with the target's shape: s and t are mixed up."),
        ("self_t", "That is G(Sᵗ, Zᵗ): nothing was swapped."),
        ("self_s", "That is G(Sˢ, Zˢ): nothing was swapped."),
        ("rich_t", "That is Fᵗ itself. Separate it, then let G put it together."),
        ("rich2_t", "That is the second round. One swap is enough."),
    ):
        if _same(found, outputs[key]):
            return wrong(hint)
    return wrong("No feature of either round. E reads `model.standardise(picture)`, then `model.separate`.")


@exercise("a function `(model, swapped_s, swapped_t)` that returns the pair F̂ˢ, F̂ᵗ")
def check_second_round(answer: Callable, model: AUModel, source: Tensor, target: Tensor) -> Verdict:
    """The second round, compared with the model's own."""
    outputs = both_rounds(model, source, target)
    swapped = outputs["swapped_s"], outputs["swapped_t"]
    with torch.no_grad():
        first, second = answer(model, *swapped)
        not_swapped = model.reconstruction(*model.separate(swapped[0])[1:])
    if _same(first, outputs["rich2_s"]) and _same(second, outputs["rich2_t"]):
        return right("Separated again and swapped back: `cycle` and the supervisors align this with F.")
    if _same(first, outputs["rich2_t"]) and _same(second, outputs["rich2_s"]):
        return wrong("Both are right, in the wrong order: a face is where its *texture* is.")
    if _same(first, not_swapped):
        return wrong("That is F̃ again. Swap the shapes back between the two.")
    if _same(first, swapped[0]):
        return wrong("That is the input. Separate both, swap the shapes, and let G put them together.")
    return wrong("F̃ˢ has the target's shape, so S̃ˢ is read from F̃ᵗ. Which texture belongs to it?")


def _same(found, wanted: Tensor) -> bool:
    near = 1e-3 * float(wanted.abs().max())  # a face alone and one of two are rounded in other ways
    return (
        isinstance(found, Tensor) and found.shape == wanted.shape and torch.allclose(found, wanted, 0, near)
    )
