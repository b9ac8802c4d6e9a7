"""Lesson 6: from points on a circle to the six supervisors; its sentences and the checks of its exercises."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aulib.contrastive import info_nce
from aulib.methods import SUPERVISORS
from circle import SmallEncoder, pulled, share_of_push, train_small_encoder
from exercises import Verdict, exercise, hint_for, number, right, wrong

COLLAPSED = 0.1  # spread below which all faces are called one point
SPREAD = 0.5  # and above which they are called spread
PRESENT, NEAREST, STILL_PULLS = 4, 0.9, 0.05

SYMBOLS = {
    "rich": "F", "rich2": r"\hat F", "shape": "S", "shape2": r"\tilde S", "texture": "Z",
    "texture2": r"\tilde Z", "swapped": r"\tilde F", "self": r"F'",
}  # fmt: skip


def symbol(output: str) -> str:
    """ "shape2_s" -> its symbol, as LaTeX."""
    name, _, domain = output.rpartition("_")
    return f"${SYMBOLS[name]}^{domain}$"


def table_of_supervisors() -> str:
    """SUPERVISORS as Markdown: what each pulls together, against which rivals of the same face."""
    lines = ["| supervisor | pulled together | pushed away, of the same face |", "|---|---|---|"]
    for name, one in SUPERVISORS.items():
        rivals = ", ".join(map(symbol, one.rivals))
        lines.append(f"| `{name}` | {symbol(one.first)} and {symbol(one.second)} | {rivals} |")
    return "\n".join(lines)


def small_encoders(seed: int) -> dict[str, SmallEncoder]:
    """The four networks of the lesson, judged on faces they have not seen."""
    return {
        "not trained": train_small_encoder(None, seed=seed),
        "pull only": train_small_encoder("pull only", seed=seed),
        "pull only, and a task": train_small_encoder("pull only", task=True, seed=seed),
        "InfoNCE": train_small_encoder("InfoNCE", seed=seed),
    }


def said_of_encoders(encoders: dict[str, SmallEncoder]) -> str:
    """What the four networks show, decided by their spreads."""
    said = []
    for name, encoder in encoders.items():
        how = (
            "scatters the faces by chance"
            if name == "not trained"
            else "collapsed: all faces nearly in one point"
            if encoder.spread < COLLAPSED
            else "did not collapse"
            if encoder.spread > SPREAD
            else "drew the faces together, not into one point"
        )
        said.append(f"- **{name}** {how} (spread {encoder.spread:.2f}, InfoNCE {encoder.nats:.2f} nats).")
    only, task, against = (encoders[name] for name in ("pull only", "pull only, and a task", "InfoNCE"))
    if only.spread < COLLAPSED and against.spread > SPREAD:
        said.append("\nRivals prevented the collapse, as was said beforehand.")
    else:
        said.append("\nThis run does **not** show what was said beforehand: that is a result too.")
    if task.spread > only.spread + COLLAPSED and task.nats > against.nats:
        said.append("The task kept apart what it needs apart: present from absent, less so who is who.")
    return "\n".join(said)


def rounds_of(run: str | Path, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What a run's supervisors did: (curves, alignment) for `circle_figures.draw_six`.

    Args:
        count: pairs of kept test faces that the alignment is the mean of, at most.
    """
    from aubench.inspection.playground import open_run
    from aubench.inspection.swaps import alignment_of
    from aubench.report import results
    from aubench.report.run_values import curves_of
    from aulib.batches import centre_crop

    chance = results.chance_of_supervisors(results.read_settings(run))
    rows = curves_of(results.history_of(run), list(chance))
    curves = pd.DataFrame(rows, columns=["supervisor", "step", "value"])
    curves["chance"] = curves["supervisor"].map(chance)
    opened = open_run(run)
    crops = [results.read_samples(run, domain).images[:count] for domain in ("source", "target")]
    pairs = min(map(len, crops))
    crops = np.concatenate([some[:pairs] for some in crops])
    pictures, _ = centre_crop(crops, np.zeros((len(crops), 1, 2)), opened.model.config.image_size)
    with torch.inference_mode():
        alignment = alignment_of(opened, opened.model(pictures, pairs, separate=True))
    return curves, alignment


def said_of_six(curves: pd.DataFrame, alignment: pd.DataFrame) -> str:
    """What became of the six in this run, decided by its numbers."""
    end = curves.assign(share=curves["value"] / curves["chance"]).groupby("supervisor", sort=False)["share"]
    end = end.apply(lambda share: share.iloc[-max(1, len(share) // 5) :].mean())
    easy, idle = end[end < 0.1], end[end > 0.9]
    said = [f"At the end the six losses stand at {end.min():.2f} to {end.max():.2f} of guessing."]
    if len(easy):
        said.append(f"{len(easy)} of {len(end)} are below a tenth: little is left for them to pull at.")
    if len(idle):
        said.append(f"Hardly learned yet: {', '.join(f'`{name}`' for name in idle.index)}.")
    gap = alignment["projected"] - alignment["projected_other"]
    said.append(
        f"After the projectors a face's two rounds agree by {alignment['projected'].mean():.2f} on average, "
        f"two different faces by {alignment['projected_other'].mean():.2f}."
    )
    if alignment["projected_other"].min() > 0.9:
        said.append("That would be a collapse: all faces are projected to one point.")
    elif (gap > 0.2).all():
        said.append("No supervisor has collapsed: each tells a face from another.")
    else:
        said.append(f"`{alignment['supervisor'][gap.idxmin()]}` tells them apart least ({gap.min():+.2f}).")
    return " ".join(said)


@exercise("a number in nats, such as 1.5")
def check_collapsed_loss(answer, faces: int) -> Verdict:
    """InfoNCE of `faces` faces whose views all stand at one point."""
    said, truth = number(answer), pulled(np.zeros(faces), np.zeros(faces)).loss
    if abs(said - truth) < 0.01:
        return right(
            f"All {faces} candidates look alike, so the own one is taken with probability 1/{faces}: "
            f"log {faces} = {truth:.3f} nats, at every temperature. Collapse is as bad as guessing."
        )
    mistakes = (
        (0, "That is what *pull only* says. InfoNCE also asks whether a face can be told from the others."),
        (np.log2(faces), "That is in bits; the library's logarithm is the natural one."),
        (np.log10(faces), "That is the logarithm to base 10; the library's is the natural one."),
        (np.log(faces - 1), "The own second view is a candidate as well: count it."),
        (1 / faces, "That is the probability of the own view. The loss is minus its logarithm."),
        (-truth, "A loss is *minus* the logarithm of a probability: it is not below zero."),
        (
            faces,
            "That is how many candidates there are; what is -log of one chance in as many?",
        ),
    )
    return hint_for(
        said,
        mistakes,
        "All candidates look alike: with which probability is the own one taken? Then take -log.",
    )


@exercise(f"a list of {PRESENT} angles in degrees, such as [0, 10, 20, 30]")
def check_spread(answer, temperature: float) -> Verdict:
    """Four angles, each of both views of a face, with about the lowest InfoNCE that there is."""
    angles = np.asarray(answer, float)
    if angles.shape != (PRESENT,):
        return wrong(f"Wanted are {PRESENT} angles, one a face; found shape {angles.shape}.")
    if not np.isfinite(angles).all():
        return wrong("An angle is not a finite number.")
    even = np.arange(PRESENT) * 360 / PRESENT
    loss, best = (pulled(views, views, temperature).loss for views in (angles, even))
    if loss < 1.15 * best + 1e-9:
        return right(
            f"The loss is {loss:.3f}: with own views together, rivals push everybody as far from everybody "
            "as the circle lets them. Aligned *and* uniform is where InfoNCE rests."
        )
    if np.ptp(angles) > 1 and np.abs(angles).max() < 2 * np.pi + 0.01:
        within = f"All angles lie within {np.ptp(angles):.1f}°"
        return wrong(f"{within}. Were they meant as radians? Degrees, please.")
    apart = np.abs((angles[:, None] - angles + 180) % 360 - 180)
    if apart.max() < 1:
        return wrong(f"Everything at one point is guessing, loss {loss:.2f}: own views are not enough.")
    apart[np.tril_indices(PRESENT)] = np.inf
    one, other = np.unravel_index(apart.argmin(), apart.shape)
    near = f"Faces {one + 1} and {other + 1} are only {apart[one, other]:.0f}° apart"
    return wrong(f"{near} and taken for each other: {loss:.3f} nats; about {best:.3f} is possible.")


@exercise("a temperature above 0, such as 1.5")
def check_temperature(answer, anchor: float, own: float, rivals: list[float]) -> Verdict:
    """A temperature at which the nearest rival pushes nearly alone, and the push has not died."""
    temperature = number(answer)
    if not (np.isfinite(temperature) and temperature > 0):
        return wrong("A temperature is above zero: cosines are divided by it.")
    cosines = np.cos(np.deg2rad(np.array([own, *rivals]) - anchor))
    nearest = share_of_push(cosines[1:], temperature).max()
    missed = 1 - share_of_push(cosines, temperature)[0]
    if nearest < NEAREST:
        return wrong(
            f"At {temperature:g} the nearest rival has {100 * nearest:.0f} % of the push: the far "
            "ones are still heard. A higher temperature levels differences, a lower one sharpens them."
        )
    if missed < STILL_PULLS:
        return wrong(
            f"At {temperature:g} the anchor is taken for itself with {100 * (1 - missed):.1f} %: nothing "
            "is left to pull. Too cold, only a rival nearer than the own view would be felt."
        )
    return right(
        f"At {temperature:g} the nearest rival has {100 * nearest:.0f} % of the push, and "
        f"{100 * missed:.0f} % of the anchor is in doubt. Temperature decides which rivals count as rivals."
    )


@exercise("a number in nats, such as 1.5")
def check_pooled_shape(answer, faces: int, rivals: int) -> Verdict:
    """What a shape supervisor says for ever if its projector reads each landmark map's mean."""
    said, truth = number(answer), loss_of_pooled_shapes(faces, rivals)
    if abs(said - truth) < 0.01:
        return right(
            f"Each map of S sums to 1, so its mean is the same for every face: all {faces + rivals} "
            "candidates look alike. No training leaves a collapse that is built in: hence 7 × 7 cells."
        )
    mistakes = (
        (np.log(faces), f"Close: {rivals} rival of the same face joins the batch's {faces} candidates."),
        (0, "Agreement is perfect, but InfoNCE also asks whether a face can be told from the others."),
        (np.log(2 * faces), "A rival is of the anchor's own face; others' rivals are not its candidates."),
        (np.log2(faces + rivals), "That is in bits; the library's logarithm is the natural one."),
    )
    return hint_for(
        said, mistakes, "What is the mean of a map that sums to 1? Then count how many candidates look alike."
    )


def loss_of_pooled_shapes(faces: int, rivals: int, landmarks: int = 68, side: int = 28) -> float:
    """InfoNCE of random shapes through a projector that pools each map to one number."""
    from aulib.networks import Projector

    generator = torch.Generator().manual_seed(0)

    def shape() -> Tensor:
        maps = torch.randn(faces, landmarks, side * side, generator=generator) * 3
        return maps.softmax(-1).view(faces, landmarks, side, side)

    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        project = Projector(landmarks, grid=1)
        hard = torch.stack([project(shape()) for _ in range(rivals)], 1)
        return float(info_nce(project(shape()), project(shape()), hard))
