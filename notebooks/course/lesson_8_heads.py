"""Lesson 8: the same heads in other skin tones and at other ages, rendered, read by runs, drawn and compared.

Every head has black hair and brows, no beard and no freckles, since these go with tone and age in the people
that are drawn at random. Expression, pose, light, background, occluder and camera are those of a wild face.
"""

import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from aubench.inspection.playground import open_run, read_crop
from aubench.plots.style import PAGE, au_label, face_grid, in_house_style, show_faces
from aubench.report.statistics import SIGNIFICANT, holm, student_interval
from aufaces.actions import AUS, OCCURS_AT, Expression
from aufaces.domains import STUDIO, WILD, Sample, picture, sample_face
from aufaces.people import HAIR_COLOURS, Person, skin_tone
from aufaces.renderer import FaceRenderer
from aulib.batches import Faces
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.evaluate import predict_batches
from aulib.metrics import au_scores
from instrument import Instrument, png

SIZE = 128  # pixels, as in the rendered sets
SHOTS = 8  # scenes of a head
LEVELS = {
    "melanin": (0.0, 0.25, 0.5, 0.75, 1.0),  # very light to very dark; see people.skin_tone
    "age": (0.45, 0.67, 0.85, 1.0),  # anny's scale: 0.33 child, 0.67 young adult, 1 old
}
REFERENCE = {"melanin": 0.25, "age": 0.67}
FIRST_SEED = 3_000_000  # above the seeds of all sets, so these people are in none of them
FOLDED_FROM, FOLDED_BY = 0.67, 0.25  # how people.sample_person deepens folds with age
MEASURES = ("hits", "alarms")
ENOUGH_HEADS, ENOUGH_RUNS, GOOD_AUC = 12, 3, 0.85
CHANGED, UNSURE = "#0072B2", "#8C8C8C"
BEFORE, AFTER = ("#8C8C8C", "D"), ("#D55E00", "o")  # colour and marker


# rendering


def at_tone(person: Person, melanin: float) -> Person:
    """The same person with another skin; lips keep their ratio to it."""
    skin = skin_tone(melanin)
    lips = np.clip(np.array(person.lips) / person.skin * skin, 0.02, 1)
    return replace(person, skin=skin, lips=tuple(map(float, lips)))


def at_age(person: Person, age: float) -> Person:
    """The same person at another age: form of the head, painted lines, depth of folds."""
    deeper = FOLDED_BY * (max(0.0, age - FOLDED_FROM) - max(0.0, person.age - FOLDED_FROM))
    return replace(person, age=age, folds=person.folds + deeper)


def variants() -> dict[tuple[str, float], dict[str, float]]:
    """(factor, level) -> melanin and age; the reference is ("", 0)."""
    others = {
        (factor, level): REFERENCE | {factor: level}
        for factor, levels in LEVELS.items()
        for level in levels
        if level != REFERENCE[factor]
    }
    return {("", 0.0): REFERENCE} | others


def scene(head: int, shot: int, seed: int) -> Sample:
    """A wild scene of a head, without hair colour, beard and freckles that go with tone and age."""
    sample = sample_face(WILD, FIRST_SEED + seed, SHOTS * head + shot, SHOTS * WILD.subjects)
    black = HAIR_COLOURS["black"]
    plain = {"hair": black, "brow": black, "beard": 0.0, "freckles": 0.0, "hair_line": 0.0}
    return replace(sample, face=replace(sample.face, person=replace(sample.face.person, **plain)))


def rendered(sample: Sample, melanin: float, age: float) -> tuple[np.ndarray, np.ndarray]:
    """A scene with its head in this tone and age: picture (SIZE, SIZE, 3) uint8, landmarks (68, 2)."""
    person = at_age(at_tone(sample.face.person, melanin), age)
    face = replace(sample.face, person=person)
    return picture(WILD, replace(sample, face=face, rng=copy.deepcopy(sample.rng)), _renderer())


@lru_cache(maxsize=1)
def _renderer() -> FaceRenderer:
    return FaceRenderer(SIZE)


@dataclass(frozen=True)
class EqualHeads:
    """Every variant of every scene.

    crops: (N, S, S, 3) uint8, as a run reads them.  about: N rows of head, shot, factor, level.
    occurrence: (N, 16) in {0, 1} of aufaces.actions.AUS.
    """

    crops: np.ndarray
    about: pd.DataFrame
    occurrence: np.ndarray


def render_heads(run: str | Path, heads: int, shots: int, seed: int = 0) -> EqualHeads:
    """All variants of `heads` heads in `shots` scenes each, cropped for a run by their true landmarks.

    Raises:
        ValueError: more scenes than a head has, or more heads than there are.
    """
    if not (1 <= shots <= SHOTS and 1 <= heads <= WILD.subjects):
        raise ValueError(f"{heads} heads and {shots} shots; use 1 to {WILD.subjects} and 1 to {SHOTS}")
    spec = crop_of(open_run(run).model.config)
    crops, about, occurrence = [], [], []
    for number in range(heads):
        scenes = [scene(number, shot, seed) for shot in range(shots)]
        for (factor, level), tone_and_age in variants().items():  # one head form for all scenes
            for shot, sample in enumerate(scenes):
                image, points = rendered(sample, **tone_and_age)
                crops.append(crop_face(Image.fromarray(image), crop_matrix(points, spec), spec))
                about.append((number, shot, factor, level))
                occurrence.append(sample.face.expression.intensity >= OCCURS_AT)
    table = pd.DataFrame(about, columns=["head", "shot", "factor", "level"])
    return EqualHeads(np.stack(crops), table, np.array(occurrence, dtype=np.float32))


# reading and comparing


@dataclass(frozen=True)
class HeadPredictions:
    """What runs predict for equal heads: probability (R, N, A), occurrence (N, A), about as in EqualHeads."""

    aus: tuple[str, ...]
    probability: np.ndarray
    occurrence: np.ndarray
    about: pd.DataFrame

    def at(self, factor: str, level: float) -> np.ndarray:
        """(N,) which faces are this variant; the reference belongs to both factors."""
        if level == REFERENCE.get(factor):
            factor, level = "", 0.0
        return ((self.about["factor"] == factor) & (self.about["level"] == level)).to_numpy()

    def by_age(self, present: bool) -> dict[float, np.ndarray]:
        """Age -> probabilities of the AUs that are present (or absent), of all runs and AUs."""
        chosen = self.occurrence == float(present)
        return {
            age: self.probability[:, self.at("age", age)[:, None] & chosen].ravel() for age in LEVELS["age"]
        }

    @property
    def auc(self) -> float:
        """Mean ROC AUC on the reference, over AUs and runs; 0.5 is chance."""
        chosen = self.at("", 0.0)
        people = self.about["head"].to_numpy()[chosen]
        scores = [
            au_scores(one[chosen], self.occurrence[chosen], people, list(self.aus), resamples=0)["mean.auc"]
            for one in self.probability
        ]
        return float(np.nanmean(scores))

    @property
    def is_enough(self) -> bool:
        """Whether these are enough heads and runs, and good enough runs, to say much about others."""
        heads, runs = self.about["head"].nunique(), len(self.probability)
        return heads >= ENOUGH_HEADS and runs >= ENOUGH_RUNS and self.auc >= GOOD_AUC


def read_heads(runs: list[str | Path], faces: EqualHeads) -> HeadPredictions:
    """Predictions of every run for the AUs that it knows and that are rendered."""
    opened = [open_run(run) for run in runs]
    aus = [au for au in opened[0].aus if au in AUS]
    count = len(faces.crops)
    unknown = np.full((count, opened[0].model.config.num_landmarks, 2), np.nan, dtype=np.float32)
    given = Faces(faces.crops, np.arange(count), unknown, None)
    probability = []
    for run in opened:
        found = predict_batches(run.model, given, run.settings["read_target_from"]).probability
        probability.append(found[:, [run.aus.index(au) for au in aus]])
    occurrence = faces.occurrence[:, [AUS.index(au) for au in aus]]
    return HeadPredictions(tuple(aus), np.stack(probability), occurrence, faces.about)


def rates(read: HeadPredictions, aus: list[str] | None = None) -> pd.DataFrame:
    """Per run, head and variant, pooled over scenes and AUs: hits (share of present AUs predicted at 0.5),
    alarms (share of absent ones); NaN where there are none."""
    columns = [read.aus.index(au) for au in aus or read.aus]
    present = read.occurrence[:, columns]
    tables = []
    for run, probability in enumerate(read.probability[:, :, columns]):
        found = probability >= 0.5
        counts = read.about.assign(
            run=run, hit=(found * present).sum(1), present=present.sum(1),
            alarm=(found * (1 - present)).sum(1), absent=(1 - present).sum(1),
        )  # fmt: skip
        tables.append(counts.drop(columns="shot").groupby(["run", "head", "factor", "level"]).sum())
    table = pd.concat(tables).reset_index()
    table["hits"] = table["hit"] / table["present"].replace(0, np.nan)
    table["alarms"] = table["alarm"] / table["absent"].replace(0, np.nan)
    return table.drop(columns=["hit", "present", "alarm", "absent"])


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Each variant minus the reference on the same heads, from `rates`.

    Returns:
        factor, level, measure, difference, low, high (95 %, over runs and heads), p, p_holm (over the
        variants of a measure), heads, runs, verdict ("more", "fewer" or "undecided").
    """
    rows = []
    for measure in MEASURES:
        grid = table.pivot(index="run", columns=["factor", "level", "head"], values=measure)
        for factor, level in [key for key in variants() if key[0]]:
            change = (grid[factor][level] - grid[""][0.0]).dropna(axis=1).to_numpy()
            rows.append((factor, level, measure, *crossed_interval(change), change.shape[1], len(change)))
    columns = ["factor", "level", "measure", "difference", "low", "high", "p", "heads", "runs"]
    found = pd.DataFrame(rows, columns=columns)
    found["p_holm"] = found.groupby("measure")["p"].transform(lambda p: holm(p.to_numpy(dtype=float)))
    sign = np.where(found["difference"] > 0, "more", "fewer")
    found["verdict"] = np.where(found["p_holm"] < SIGNIFICANT, sign, "undecided")
    return found


def crossed_interval(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean of (R, H), runs by heads, its 95 % interval for other runs and other heads, and p of "it is 0".

    The variance of the mean is that over heads' means plus that over runs' means, which counts the remainder
    twice and so errs on the wide side; degrees of freedom after Satterthwaite (1946). With a single run the
    interval is over heads only. NaN with fewer than two heads.
    """
    runs, heads = values.shape
    if heads < 2:
        return (float(values.mean()) if heads else np.nan), np.nan, np.nan, np.nan
    parts = [(values.mean(0).var(ddof=1) / heads, heads - 1)]
    if runs > 1:
        parts.append((values.mean(1).var(ddof=1) / runs, runs - 1))
    mean, variance = float(values.mean()), sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts) if variance else np.nan
    return student_interval(mean, float(np.sqrt(variance)), freedom)


def alarms_per_au(read: HeadPredictions) -> pd.DataFrame:
    """`differences` of alarms for each AU and for their mean, as `plots.draw_differences_per_au` reads them.

    The column `variant` names factor and level; p_holm is over the AUs of a variant.
    """
    tables = [differences(rates(read)).assign(au="mean")]
    tables += [differences(rates(read, [au])).assign(au=au) for au in read.aus]
    table = pd.concat(tables, ignore_index=True)
    table = table[table["measure"] == "alarms"].drop(columns="verdict")
    table["variant"] = table["factor"] + " " + table["level"].map("{:g}".format)
    family = table[table["au"] != "mean"].groupby("variant")["p"]
    table["p_holm"] = family.transform(lambda p: holm(p.to_numpy(dtype=float))).combine_first(table["p_holm"])
    return table


# figures


@in_house_style
def draw_same_heads(heads: tuple[int, ...], seed: int = 0) -> Figure:
    """A scene of each head in every tone and at every age."""
    shown = [(factor, level) for factor, levels in LEVELS.items() for level in levels]
    title = "each row one head, one expression, one light: only tone (left) or age (right) differs"
    figure, axes = face_grid(len(heads), len(shown), side=0.95, left=0.5, title=title)
    for row, number in zip(axes, heads, strict=True):
        sample = scene(number, 0, seed)
        pictures = [rendered(sample, **REFERENCE | {factor: level})[0] for factor, level in shown]
        show_faces(row, pictures, [f"{factor} {level:g}" for factor, level in shown], f"head {number}")
    return figure


@in_house_style
def draw_differences(table: pd.DataFrame) -> Figure:
    """Changes of hits and alarms at each tone and age (`rates`): heads as dots, 95 % intervals."""
    found = differences(table).set_index(["factor", "level", "measure"])
    numbers = 100 * found[["difference", "low", "high"]]
    figure = Figure(figsize=(PAGE, 4.8), layout="constrained")
    axes = figure.subplots(2, 2, sharey="row", sharex="col")
    for row, measure in zip(axes, MEASURES, strict=True):
        grid = 100 * table.pivot(index="run", columns=["factor", "level", "head"], values=measure)
        for axis, (factor, levels) in zip(row, LEVELS.items(), strict=True):
            if factor == "age":
                axis.axvspan(*STUDIO.ages, color="#F0E442", alpha=0.25, linewidth=0)
            axis.axhline(0, color="black", linewidth=0.9)
            axis.scatter(REFERENCE[factor], 0, marker="D", s=26, color="black", zorder=3)
            for level in levels:
                if level == REFERENCE[factor]:
                    continue
                heads = (grid[factor][level] - grid[""][0.0]).mean(axis=0).dropna()
                jitter = np.random.default_rng(0).uniform(-0.012, 0.012, len(heads))
                axis.scatter(level + jitter, heads, s=5, color="#C4C4C4", linewidths=0)
                one = numbers.loc[(factor, level, measure)]
                unsure = found.loc[(factor, level, measure), "verdict"] == "undecided"
                style = {"color": UNSURE if unsure else CHANGED, "zorder": 3}
                axis.vlines(level, one["low"], one["high"], linewidth=2.2, **style)
                axis.scatter(level, one["difference"], s=38, marker="s" if unsure else "o", **style)
            axis.set_xticks(levels, [f"{level:g}" for level in levels])
            axis.grid(axis="x", visible=False)
        row[0].set_ylabel(f"{measure}, points more or less")
        reach = numbers.xs(measure, level="measure").abs().max().max()
        if np.isfinite(reach):
            row[0].set_ylim(-2.2 * max(reach, 1.0), 2.2 * max(reach, 1.0))
    axes[0, 0].set_title("same heads, other skin", fontsize=8)
    axes[0, 1].set_title("same heads, other age (yellow: ages with labels)", fontsize=8)
    axes[1, 0].set_xlabel("melanin: 0 very light, 1 very dark")
    axes[1, 1].set_xlabel("age: 0.33 child, 0.67 young adult, 1 old")
    figure.supxlabel(
        "small dots: heads, mean over runs (those far out are cut off); diamond: the reference; "
        "line: 95 % interval;\nblue dot: p < 0.05 after Holm's correction; grey square: not",
        fontsize=8,
    )
    return figure


# the instrument


def same_head(run: str | Path, seed: int = 0) -> Instrument:
    """One head as the reference and as the sliders say, and what a run predicts for both."""
    opened = open_run(run)
    aus = [name for name in opened.aus if name in AUS]
    spec = crop_of(opened.model.config)

    def read(sample: Sample, melanin: float, age: float) -> tuple[np.ndarray, np.ndarray]:
        image, points = rendered(sample, melanin, age)
        crop = crop_face(Image.fromarray(image), crop_matrix(points, spec), spec)
        probability = read_crop(opened, crop, opened.settings["read_target_from"]).probability
        return image, np.array([probability[name] for name in aus])

    def answer(melanin: float, age: float, au: str, intensity: float, head: int) -> tuple[bytes, str]:
        sample = scene(head, 0, seed)
        expression = Expression.of(**{au: intensity})
        sample = replace(sample, face=replace(sample.face, expression=expression))
        before, after = read(sample, **REFERENCE), read(sample, melanin, age)
        crossed = np.flatnonzero((before[1] >= 0.5) != (after[1] >= 0.5))
        text = f"Crossed 0.5 by tone and age alone: <b>{', '.join(aus[i] for i in crossed) or 'no AU'}</b>."
        return png(_draw_pair, aus, before, after), text

    slider = widgets.FloatSlider
    controls = {
        "melanin": slider(value=0.9, min=0, max=1, step=0.05, description="melanin"),
        "age": slider(value=REFERENCE["age"], min=0.4, max=1, step=0.05, description="age"),
        "au": widgets.Dropdown(
            options=[(au_label(name), name) for name in AUS], value="AU12", description="moved AU"
        ),
        "intensity": slider(value=0, min=0, max=5, step=0.25, description="its intensity"),
        "head": widgets.IntSlider(value=0, min=0, max=39, description="head and light"),
    }
    return Instrument(answer, controls, 720)


def _draw_pair(aus: list[str], before: tuple, after: tuple) -> Figure:
    """Two faces and their probabilities; before, after: picture and (A,) probabilities."""
    figure = Figure(figsize=(7.2, 3.3))
    places = np.arange(len(aus))
    scores = figure.add_axes((0.745, 0.13, 0.245, 0.85))
    scores.hlines(places, before[1], after[1], color="#C4C4C4", linewidth=1.2)
    titled = (("reference", before, BEFORE), ("changed", after, AFTER))
    for place, (title, (image, probability), (colour, marker)) in enumerate(titled):
        axis = figure.add_axes((0.005 + 0.25 * place, 0.2, 0.24, 0.6))
        axis.set_axis_off()
        axis.set_title(title, color=colour, loc="center")
        axis.imshow(image)
        scores.scatter(probability, places, s=28, color=colour, marker=marker, zorder=3)
    scores.axvline(0.5, color="black", linestyle="--", linewidth=0.9)
    scores.set_yticks(places, [au_label(name) for name in aus], fontsize=7)
    scores.set_ylim(len(places) - 0.4, -0.6)
    scores.set_xlim(-0.03, 1.03)
    scores.set_xlabel("probability")
    return figure
