"""Lesson 3, Where is the face?: places read from landmark maps, two runs compared, exercises."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces
from aulib.losses import landmark_loss
from aulib.metrics import f1_frame
from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.run import Run
from exercises import Verdict, exercise, right, wrong

POINTS = {  # five of the 68 landmarks, "right" being the person's
    "outer corner,\nright eye": 36,
    "tip of\nthe nose": 30,
    "left corner\nof the mouth": 54,
    "chin": 8,
    "left side\nof the jaw": 12,
}
CORNERS = (36, 39, 42, 45, 48, 54)  # of the eyes and of the mouth
PARTS = {
    "jaw line": range(0, 17),
    "brows": range(17, 27),
    "nose": range(27, 36),
    "eyes": range(36, 48),
    "mouth": range(48, 68),
}
WAYS = ("highest cell", "mean of the whole map", "mean around the highest cell")
RESAMPLES = 1000
BETWEEN = (10.25, 7.5)  # cells, x then y: where the landmark of exercise 4 is


@torch.no_grad()
def read_maps(model: AUModel, faces: ShownFaces, size: int = 32) -> Tensor:
    """D_lm's answer to each face, before the soft-max: (n, 68, h, w) logits.

    Raises:
        ValueError: the model does not know 68 landmarks, which this lesson names.
    """
    if model.config.num_landmarks != 68:
        raise ValueError(f"this lesson names 68 landmarks, the model knows {model.config.num_landmarks}")
    batches = faces.pictures.split(size)
    return torch.cat([model.read(batch, "features")["landmark_logits"] for batch in batches])


def places(logits: Tensor, way: str, sharpness: float = 1.0) -> Tensor:
    """One place a map, three WAYS to read it: (n, K, h, w) logits -> (n, K, 2) cells, x then y.

    sharpness: factor on the logits before the soft-max.
    """
    shape = (sharpness * logits).flatten(2).softmax(-1).view_as(logits)
    if way == "mean around the highest cell":
        return expected_cells(shape)
    h, w = logits.shape[-2:]
    if way == "highest cell":
        peak = shape.flatten(2).argmax(-1)
        return torch.stack([peak % w, peak // w], -1).float()
    xs, ys = torch.arange(w, dtype=shape.dtype), torch.arange(h, dtype=shape.dtype)
    return torch.stack([(shape.sum(2) * xs).sum(-1), (shape.sum(3) * ys).sum(-1)], -1)


def spread(logits: Tensor, sharpness: float = 1.0) -> Tensor:
    """Over how many cells a map lies: exp of its entropy, 1 to h * w. (..., h, w) -> (...)."""
    log_share = (sharpness * logits).flatten(-2).log_softmax(-1)
    return (-(log_share.exp() * log_share).sum(-1)).exp()


def strength(shape: Tensor) -> Tensor:
    """How strongly each cell of a map is drawn: its share above that of a flat map, by the highest share.

    shape: (h, w) shares that sum to 1. Returns: (h, w) in [0, 1), 0 everywhere if the map is flat.
    """
    return (shape - 1 / shape.numel()).clamp(min=0) / shape.max()


def errors(logits: Tensor, faces: ShownFaces, way: str = WAYS[-1]) -> np.ndarray:
    """(n, 68) distances of the place read from the true landmark, in % of the outer eye corners' distance."""
    true = faces.landmarks.numpy()
    found = cells_to_pixels(places(logits, way), logits.shape[-1], faces.pictures.shape[-1]).numpy()
    eyes = np.linalg.norm(true[:, 36] - true[:, 45], axis=-1)
    return 100 * np.linalg.norm(found - true, axis=-1) / eyes[:, None]


def errors_by_way(logits: dict[str, Tensor], faces: dict[str, ShownFaces]) -> pd.DataFrame:
    """Landmark NME x 100 of the test faces of each domain: a row each of WAYS, a column each domain."""
    return pd.DataFrame(
        {domain: {way: errors(logits[domain], faces[domain], way).mean() for way in WAYS} for domain in faces}
    )


def errors_by_part(errors_of: dict[str, np.ndarray]) -> pd.DataFrame:
    """Mean error of each of PARTS, in % of the eye distance: a row each part, a column each domain."""
    return pd.DataFrame(
        {
            domain: {part: values[:, list(points)].mean() for part, points in PARTS.items()}
            for domain, values in errors_of.items()
        }
    )


# one extraction against two


def cost(run: str | Path) -> dict[str, float]:
    """What a run's networks cost: parameters (R, which only draws, left out), multiply-adds of one face."""
    from torch.utils.flop_counter import FlopCounterMode

    model = Run(run).model
    parts = [part for name, part in model.named_children() if name != "decoder"]
    size = model.config.image_size
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.read(torch.zeros(1, 3, size, size), "features")
    parameters = sum(value.numel() for part in parts for value in part.parameters())
    return {"parameters": parameters, "multiply_adds": counter.get_total_flops() // 2}


def gains(
    run: str | Path, other: str | Path, logits: dict[str, tuple[Tensor, Tensor]], faces: dict[str, ShownFaces]
) -> pd.DataFrame:
    """By how much `run` is better than `other`, with 95 % intervals over the test subjects, who are drawn
    anew and together for both.

    Args:
        logits: domain -> landmark maps of the same faces, of run and of other.

    Returns:
        a row each measure and domain: measure, domain, gain, low, high; F1-frame x 100, and landmark NME x
        100 with its sign turned, so that above 0 is always better. NaN where undefined.
    """
    rows = []
    for domain in faces:
        counts = [_f1_counts(Path(one) / f"predictions_{domain}_test.csv") for one in (run, other)]
        people = np.arange(len(counts[0][0]))
        f1 = [_f1_of_draws(one, _draws(len(people))) for one in counts]
        rows.append({"measure": "F1-frame", "domain": domain} | _interval(100 * (f1[0] - f1[1])))
        _, owner = np.unique(faces[domain].data.subjects[faces[domain].rows], return_inverse=True)
        draws = _draws(owner.max() + 1)[:, owner]
        nme = [draws @ errors(maps, faces[domain]).mean(1) / draws.sum(1) for maps in logits[domain]]
        rows.append({"measure": "landmark NME", "domain": domain} | _interval(nme[1] - nme[0]))
    return pd.DataFrame(rows).sort_values(["measure", "domain"], ignore_index=True)


def _f1_counts(file: Path) -> list[np.ndarray]:
    """Hits, false alarms and misses of each subject and AU, (subjects, A) each."""
    table = pd.read_csv(file)
    aus = [name.removesuffix("_true") for name in table if name.endswith("_true")]
    found = table[[f"{au}_c" for au in aus]].to_numpy() == 1
    truth = table[[f"{au}_true" for au in aus]].to_numpy()
    marks = (found & (truth == 1), found & (truth == 0), ~found & (truth == 1))
    return [pd.DataFrame(mark).groupby(table["subject"].astype(str)).sum().to_numpy() for mark in marks]


def _f1_of_draws(counts: list[np.ndarray], draws: np.ndarray) -> np.ndarray:
    f1 = f1_frame(*(draws @ one for one in counts))  # (R, A)
    defined = ~np.isnan(f1)
    with np.errstate(invalid="ignore"):
        return np.where(defined, f1, 0).sum(1) / defined.sum(1)


def _draws(people: int) -> np.ndarray:
    """How often each subject is drawn, (1 + RESAMPLES, people); row 0 has each once."""
    drawn = np.random.default_rng(0).multinomial(people, np.full(people, 1 / people), RESAMPLES)
    return np.concatenate([np.ones((1, people)), drawn])


def _interval(values: np.ndarray) -> dict[str, float]:
    low, high = np.nanquantile(values[1:], [0.025, 0.975]) if not np.isnan(values).all() else (np.nan,) * 2
    return {"gain": values[0], "low": low, "high": high}


def verdict_of(low: float, high: float) -> str:
    """What an interval of a gain says: "better", "worse" or "cannot tell" (NaN too)."""
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


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
    """Which part of the face is found worst on target faces; table: `errors_by_part`."""
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
    """What an interval of a gain says, tried on made-up intervals and on this run's (`gains`)."""
    words = ("better", "worse", "cannot tell")
    measured = [(row.low, row.high) for row in table.dropna().itertuples()]
    for low, high in [(0.5, 2.0), (-3.0, -1.0), (-1.0, 4.0), (-4.0, 1.0), *measured]:
        said, truth = answer(low, high), verdict_of(low, high)
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
