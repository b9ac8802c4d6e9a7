"""The same head, face and light once more, in another skin tone or at another age: what only that changes.

Every head has black hair and brows, no beard and no freckles at any tone and age, since in the drawn people
these go with tone and age. Expression, pose, light, background, occluder and camera are those of a wild face.
"""

import copy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from aubench.inspection.playground import open_run
from aubench.report.statistics import holm, student_interval
from aufaces.actions import AUS, OCCURS_AT
from aufaces.domains import WILD, Sample, picture, sample_face
from aufaces.people import HAIR_COLOURS, Person, skin_tone
from aufaces.renderer import FaceRenderer
from aulib.batches import Faces
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.evaluate import predict_batches
from aulib.metrics import au_scores, f1_normalised

SIZE = 128  # pixels, as in the rendered sets
TONES = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of melanin, very light to very dark; see people.skin_tone
AGES = (0.45, 0.67, 0.85, 1.0)  # anny's scale
SAME_TONE, SAME_AGE = 0.25, 0.67  # what the others are compared with
BESIDE = 3_000_000  # seeds of these heads: no person of a set has them
MEASURES = ("hits", "alarms", "f1_norm")
REFERENCES = {"skin": SAME_TONE, "age": SAME_AGE}
SHOTS = 8  # scenes that a head has
FOLDED_FROM, FOLDED_BY = 0.67, 0.25  # how people.sample_person deepens folds with age


def at_tone(person: Person, melanin: float) -> Person:
    """The same person with another skin: lips keep their ratio to it, nothing else changes."""
    skin = skin_tone(melanin)
    lips = np.clip(np.array(person.lips) / person.skin * skin, 0.02, 1)
    return replace(person, skin=skin, lips=tuple(map(float, lips)))


def at_age(person: Person, age: float) -> Person:
    """The same person at another age: form of the head, painted lines, depth of folds."""
    deeper = FOLDED_BY * (max(0.0, age - FOLDED_FROM) - max(0.0, person.age - FOLDED_FROM))
    return replace(person, age=age, folds=person.folds + deeper)


def plain(person: Person) -> Person:
    """Without what goes with tone or age in drawn people, at the tone and age of the reference."""
    black = HAIR_COLOURS["black"]
    bare = replace(person, hair=black, brow=black, beard=0.0, freckles=0.0, hair_line=0.0)
    return at_age(at_tone(bare, SAME_TONE), SAME_AGE)


def variants() -> dict[tuple[str, float], tuple[float, float]]:
    """(factor, level) -> (melanin, age) of all that is rendered; the reference is ("", 0)."""
    tones = {("skin", tone): (tone, SAME_AGE) for tone in TONES if tone != SAME_TONE}
    ages = {("age", age): (SAME_TONE, age) for age in AGES if age != SAME_AGE}
    return {("", 0.0): (SAME_TONE, SAME_AGE)} | tones | ages


def scene(head: int, shot: int, seed: int) -> Sample:
    """One of the wild scenes of a head; the same numbers, the same scene."""
    sample = sample_face(WILD, BESIDE + seed, SHOTS * head + shot, SHOTS * WILD.subjects)
    return replace(sample, face=replace(sample.face, person=plain(sample.face.person)))


def rendered(sample: Sample, melanin: float, age: float) -> tuple[np.ndarray, np.ndarray]:
    """A scene with its head in another tone and age: picture (S, S, 3) uint8, landmarks (68, 2)."""
    person = at_age(at_tone(sample.face.person, melanin), age)
    face = replace(sample.face, person=person)
    return picture(WILD, replace(sample, face=face, rng=copy.deepcopy(sample.rng)), renderer())


@lru_cache(maxsize=1)
def renderer() -> FaceRenderer:
    return FaceRenderer(SIZE)


@dataclass(frozen=True)
class EqualHeads:
    """Every variant of every scene.

    crops: (N, S, S, 3) uint8, as a run wants them.  about: N rows of head, shot, factor, level.
    occurrence: (N, 16) in {0, 1} of synthetic.actions.AUS.
    """

    crops: np.ndarray
    about: pd.DataFrame
    occurrence: np.ndarray


def render_heads(run: str | Path, heads: int, shots: int, seed: int = 0) -> EqualHeads:
    """All variants of so many heads in so many scenes each, cropped by their true landmarks for a run.

    Raises:
        ValueError: more scenes than a head has, or more heads than there are.
    """
    if not (1 <= shots <= SHOTS and 1 <= heads <= WILD.subjects):
        raise ValueError(f"found {heads} heads and {shots} shots, expected 1-{WILD.subjects} and 1-{SHOTS}")
    spec = crop_of(open_run(run).model.config)
    crops, about, occurrence = [], [], []
    for head in range(heads):
        scenes = [scene(head, shot, seed) for shot in range(shots)]
        for (factor, level), tone_and_age in variants().items():  # dressed once for all scenes
            for shot, sample in enumerate(scenes):
                image, points = rendered(sample, *tone_and_age)
                crops.append(crop_face(Image.fromarray(image), crop_matrix(points, spec), spec.size))
                about.append((head, shot, factor, level))
                occurrence.append(sample.face.expression.intensity >= OCCURS_AT)
    table = pd.DataFrame(about, columns=["head", "shot", "factor", "level"])
    return EqualHeads(np.stack(crops), table, np.array(occurrence, dtype=np.float32))


@dataclass(frozen=True)
class Read:
    """What runs say of equal heads: probability (R, N, A), occurrence (N, A), about as in EqualHeads."""

    aus: tuple[str, ...]
    probability: np.ndarray
    occurrence: np.ndarray
    about: pd.DataFrame

    def at(self, factor: str, level: float) -> np.ndarray:
        """(N,) which faces are this variant; the reference stands in both factors."""
        if level == REFERENCES.get(factor):
            factor, level = "", 0.0
        return ((self.about["factor"] == factor) & (self.about["level"] == level)).to_numpy()


def read_heads(runs: list[str | Path], faces: EqualHeads) -> Read:
    """Probabilities by every run, of the AUs that are both known to it and rendered."""
    opened = [open_run(run) for run in runs]
    aus = [au for au in opened[0].aus if au in AUS]
    nowhere = np.full((len(faces.crops), opened[0].model.config.num_landmarks, 2), np.nan, dtype=np.float32)
    given = Faces(faces.crops, np.arange(len(faces.crops)), nowhere, None)
    read = [
        predict_batches(run.model, given, run.settings["read_target_from"])
        .probability[:, [run.aus.index(au) for au in aus]]
        for run in opened
    ]  # fmt: skip
    return Read(tuple(aus), np.stack(read), faces.occurrence[:, [AUS.index(au) for au in aus]], faces.about)


def shares(read: Read, aus: list[str] | None = None) -> pd.DataFrame:
    """Of each run, head and variant: hits (share of present AUs that are raised at 0.5), alarms (of absent
    ones) and f1_norm, pooled over its scenes and the AUs; NaN where nothing is present."""
    columns = [read.aus.index(au) for au in aus or read.aus]
    present = read.occurrence[:, columns]
    tables = []
    for number, probability in enumerate(read.probability[:, :, columns]):
        raised = probability >= 0.5
        counts = read.about.assign(
            run=number, hit=(raised * present).sum(1), present=present.sum(1),
            alarm=(raised * (1 - present)).sum(1), absent=(1 - present).sum(1),
        )  # fmt: skip
        tables.append(counts.drop(columns="shot").groupby(["run", "head", "factor", "level"]).sum())
    table = pd.concat(tables).reset_index()
    table["hits"] = table["hit"] / table["present"].replace(0, np.nan)
    table["alarms"] = table["alarm"] / table["absent"].replace(0, np.nan)
    table["f1_norm"] = f1_normalised(table["hits"], table["alarms"])
    return table.drop(columns=["hit", "present", "alarm", "absent"])


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """Each variant minus the reference on the same heads, in points (times 100), over runs and heads.

    Returns:
        factor, level, measure, difference, low, high (95 %), p, p_holm (over all rows of a measure), heads,
        runs.
    """
    rows = []
    for measure in MEASURES:
        grid = table.pivot(index="run", columns=["factor", "level", "head"], values=measure)
        for factor, level in [key for key in variants() if key[0]]:
            change = 100 * (grid[factor][level] - grid[""][0.0]).dropna(axis=1).to_numpy()
            rows.append((factor, level, measure, *crossed_interval(change), change.shape[1], len(change)))
    columns = ["factor", "level", "measure", "difference", "low", "high", "p", "heads", "runs"]
    found = pd.DataFrame(rows, columns=columns)
    found["p_holm"] = found.groupby("measure")["p"].transform(lambda p: holm(p.to_numpy(dtype=float)))
    return found


def crossed_interval(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean of (R, H), runs by heads, its 95 % interval for other runs and other heads, and p of "it is 0".

    The variance of the mean is that over heads' means plus that over runs' means, which counts what is left
    twice and so errs on the wide side; degrees of freedom after Satterthwaite (1946). A single run speaks of
    itself only: its interval is over heads. NaN with fewer than two heads.
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


def quality(read: Read) -> float:
    """Mean ROC AUC on the reference, over AUs and runs: how good a detector this is at all; 0.5 is chance."""
    chosen = read.at("skin", SAME_TONE)
    people = read.about["head"].to_numpy()[chosen]
    scores = [
        au_scores(probability[chosen], read.occurrence[chosen], people, list(read.aus), resamples=0)
        for probability in read.probability
    ]
    return float(np.nanmean([one["mean.auc"] for one in scores]))
