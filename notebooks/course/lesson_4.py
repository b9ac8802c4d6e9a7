"""Lesson 4, Can a face be taken apart?: its figures and the checks of its exercises; `halves` measures."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from aubench.inspection.shown_faces import ShownFaces
from aubench.plots.style import DOMAIN_COLOURS, face_grid, in_house_style, name_row, show_face
from aulib.linear_probes import fit_probe, probe_auc
from aulib.losses import landmark_loss
from aulib.model import AUModel
from aulib.networks import log_attention
from exercises import Verdict, exercise, number, right, wrong
from halves import ADVERSARY, HIDDEN_BY, NOBODY, PROBE, READERS, state_of, take_apart

RUN_LOOKS = (("o", "#117733"), ("D", "#CC6677"), ("s", "#88CCEE"))  # a mark and a colour for each run


@in_house_style
def draw_halves(model: AUModel, faces: dict[str, ShownFaces]) -> Figure:
    """Each face beside its halves: S summed, Z's mean strength, and what D_lm and A_lm read of landmarks."""
    titles = (
        "face",
        "shape S:\nall maps, summed",
        "texture Z:\nmean strength",
        "D_lm reads F:\nits landmarks",
        "A_lm reads Z:\nits landmarks",
        "A_lm reads Z:\nall maps, summed",
    )
    total = sum(map(len, faces.values()))
    figure, axes = face_grid(total, len(titles), side=1.15, left=0.6, top=0.42)
    rows = iter(axes)
    for domain, shown in faces.items():
        halves = take_apart(model, shown.pictures)
        for place, row in zip(range(len(shown)), rows, strict=False):
            picture = shown.pictures[place].permute(1, 2, 0).numpy()
            if not place:
                name_row(row[0], domain, DOMAIN_COLOURS[domain])
            show_face(row[0], picture)
            row[1].imshow(halves.shape[place].sum(0).sqrt().numpy(), cmap="inferno")
            row[2].imshow(halves.texture[place].abs().mean(0).numpy(), cmap="inferno")
            show_face(row[3], picture, halves.from_rich[place])
            show_face(row[4], picture, halves.from_texture[place], "#E69F00")
            row[5].imshow(halves.hidden[place].sqrt().numpy(), cmap="inferno", vmin=0)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=7.5, fontweight="normal", loc="center")
    return figure


@in_house_style
def draw_found(tables: dict[str, pd.DataFrame]) -> Figure:
    """`halves.landmarks_found` of each run: who finds the landmarks how well, in both domains."""
    figure = Figure(figsize=(7.4, 2.5), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    heights = np.arange(len(READERS))[::-1]
    for axis, domain in zip(axes, ("source", "target"), strict=True):
        for offset, (name, table), (mark, colour) in zip(
            _offsets(tables), tables.items(), RUN_LOOKS, strict=False
        ):
            axis.plot(table[domain], heights + offset, mark, color=colour, label=name, ms=5)
        axis.axvline(next(iter(tables.values()))[domain].iloc[0], color="#444444", lw=0.8, ls="--")
        axis.set_title(f"{domain} test faces", color=DOMAIN_COLOURS[domain])
        axis.set_xscale("log")
        axis.set_xlabel("landmark error, % of the eye distance")
        axis.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axis.xaxis.set_minor_formatter(lambda value, place: f"{value:g}" if f"{value:g}"[0] in "25" else "")
    axes[0].set_yticks(heights, READERS)
    axes[0].set_ylim(-0.5, len(READERS) - 0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(tables))
    return figure


@in_house_style
def draw_leaks(tables: dict[str, pd.DataFrame]) -> Figure:
    """`halves.what_leaks` of each run: AUC of linear probes on F, S and Z; dashed is chance."""
    first = next(iter(tables.values()))
    figure = Figure(figsize=(7.4, 1.9), layout="constrained")
    axes = figure.subplots(1, len(first), sharex=True, sharey=True)
    heights = np.arange(len(first.columns))[::-1]
    for axis, row in zip(axes, first.index, strict=True):
        for offset, (name, table), (mark, colour) in zip(
            _offsets(tables), tables.items(), RUN_LOOKS, strict=False
        ):
            axis.plot(table.loc[row], heights + offset, mark, color=colour, label=name, ms=5)
        axis.axvline(0.5, color="#444444", lw=0.8, ls="--")
        axis.set_title(f"probe for {row}")
        axis.set_xlabel("ROC AUC")
    names = {"F": "F rich feature", "S": "S shape", "Z": "Z texture"}
    axes[0].set_yticks(heights, [names[symbol] for symbol in first.columns])
    axes[0].set_ylim(-0.5, len(heights) - 0.5)
    axes[0].set_xlim(min(0.4, *(float(table.min().min()) - 0.03 for table in tables.values())), 1.02)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(tables))
    return figure


def _offsets(tables: dict) -> tuple[float, ...]:
    """Where in its row each run's mark stands."""
    return (0.0,) if len(tables) == 1 else (0.14, -0.14)


# checks of the exercises


@exercise("a loss in nats, such as `1.5`")
def check_fooled(answer, side: int = 28) -> Verdict:
    """The adversary's cross-entropy when all its maps are flat."""
    answer = number(answer)
    flat, cells = torch.zeros(1, 1, side, side), side * side
    truth = float(landmark_loss(log_attention(flat), torch.tensor([[[side / 2, side / 2]]]), side))
    if abs(answer - truth) < 0.02:
        return right(f"Every cell has 1/{cells}: -log(1/{cells}) = {truth:.2f}. Above that it is misled.")
    for value, hint in (
        (0, "A loss of 0 is an adversary that is always right. It was meant to know nothing."),
        (1 / cells, f"That is the share of one cell. The loss is minus the logarithm of it: {cells} cells."),
        (cells, "That is the number of cells; the loss is a logarithm of it."),
        (math.log2(cells), "Right in bits. torch's cross-entropy takes the natural logarithm."),
        (math.log10(cells), "That is the logarithm to base 10; the loss takes the natural one."),
        (math.log(side), f"{side} cells make a row; a map has {side} rows of them."),
        (math.log(68), "Landmarks do not compete with each other: each has its own map of cells."),
    ):
        if abs(answer - value) < (0.01 if value > 0.1 else 5e-4):
            return wrong(hint)
    return wrong(f"Each of the {cells} cells has the same share. What is minus the logarithm of it?")


@exercise('one of `"F"`, `"S"`, `"Z"`')
def check_domain(answer, table: pd.DataFrame) -> Verdict:
    """Which feature tells least about the domain; table: `halves.what_leaks`."""
    if answer not in table.columns:
        return wrong(f"{answer!r} is no column; there are {', '.join(table.columns)}.")
    aucs = table.loc["which domain"]
    if answer == aucs.idxmin():
        return right(f"Its AUC is {aucs[answer]:.2f}, nearest to the 0.5 of a probe that knows nothing.")
    if answer == aucs.idxmax():
        return wrong(
            f"{answer} tells the domain best, with an AUC of {aucs[answer]:.2f}. Least was asked for."
        )
    return wrong(f"{answer} has {aucs[answer]:.2f}; another is nearer to 0.5.")


@exercise("an AUC between 0 and 1, such as `0.7`")
def check_noise(answer) -> Verdict:
    """AUC of a linear probe on noise, judged on the very faces it was fitted to: fitted and measured here."""
    answer = number(answer)
    drawn = np.random.default_rng(0)
    noise, labels = drawn.normal(size=(2, 100, 32 * 49)), drawn.integers(0, 2, (2, 100)).astype(float)
    probe = fit_probe(noise[0], labels[0])
    seen, unseen = (probe_auc(probe, noise[i], labels[i]) for i in (0, 1))
    if not 0 <= answer <= 1:
        return wrong("An AUC lies between 0 and 1: the share of pairs that are ranked rightly.")
    if abs(answer - seen) < 0.05:
        return right(
            f"{seen:.2f} on the faces it was fitted to, {unseen:.2f} on others: 1568 numbers can learn 100 "
            "labels by heart. So probes are judged on subjects they never saw."
        )
    if answer < 0.45:
        return wrong("Below 0.5 it would be right more often if one believed the opposite. It was fitted!")
    if abs(answer - 0.5) <= 0.05:
        return wrong(f"On other faces, yes ({unseen:.2f}). But these are the faces it was fitted to.")
    return wrong("More: there are 1568 numbers to fit 100 labels with. What can a line then do?")


@exercise("a function from `adversary, probe, mean_face` to 'open', 'hidden' or 'gone'")
def check_state(answer: Callable, tables: dict[str, pd.DataFrame]) -> Verdict:
    """The rule that tells whether landmarks left Z, on made-up errors and on those measured."""
    measured = [
        tuple(table[domain][[ADVERSARY, PROBE, NOBODY]]) for table in tables.values() for domain in table
    ]
    made_up = [(4.0, 3.0, 10.0), (50.0, 4.0, 10.0), (50.0, 11.0, 10.0), (2.2, 2.0, 2.1), (30.0, 20.0, 40.0)]
    for errors in made_up + measured:
        said, truth = answer(*errors), state_of(*errors)
        if said not in ("open", "hidden", "gone"):
            return wrong(f"{said!r} is none of 'open', 'hidden', 'gone'.")
        if said == truth:
            continue
        shown = "adversary {:.1f} %, probe {:.1f} %, mean face {:.1f} %".format(*errors)
        if truth == "hidden" and said == "gone":
            return wrong(
                f"{shown}: the adversary is fooled, yet a fresh probe reads them. They are not gone."
            )
        if truth == "open":
            return wrong(f"{shown}: the adversary itself beats the mean face. Nothing is hidden.")
        if truth == "gone":
            return wrong(f"{shown}: neither is {HIDDEN_BY:.0%} better than the mean face, who never looked.")
        return wrong(f"{shown}: an error counts as large or small beside the mean face's, not by itself.")
    return right(
        "Whoever says that something is gone has to have asked more than the one it was hidden from."
    )
