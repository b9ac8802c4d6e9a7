"""Lesson 3, Where is the face?: places read from landmark maps, two runs compared, exercises."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aubench.inspection.factor_faces import mean_f1
from aubench.inspection.shown_faces import ShownFaces
from aulib.landmarks import LAYOUT_68
from aulib.losses import landmark_loss
from aulib.metrics import resampled_subjects
from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.run import Run
from exercises import Verdict, exercise, hint_for, right, wrong
from lesson_2 import answers_of_test

POINTS = {  # five of the 68 landmarks, "right" being the person's
    "outer corner,\nright eye": 36,
    "tip of\nthe nose": 30,
    "left corner\nof the mouth": 54,
    "chin": 8,
    "left side\nof the jaw": 12,
}
CORNERS = (36, 39, 42, 45, 48, 54)  # of the eyes and of the mouth
PARTS = LAYOUT_68.parts
WAYS = ("highest cell", "mean of the whole map", "mean around the highest cell")
RESAMPLES = 1000
BETWEEN = (10.25, 7.5)  # cells, x then y: where the landmark of exercise 4 is


@torch.no_grad()
def read_maps(model: AUModel, faces: ShownFaces, size: int = 32) -> Tensor:
    """Landmark logits of D_lm for each face, (n, 68, h, w).

    Raises:
        ValueError: the model does not know 68 landmarks, which this lesson names.
    """
    if model.config.num_landmarks != 68:
        raise ValueError(f"this lesson names 68 landmarks, the model knows {model.config.num_landmarks}")
    batches = faces.pictures.split(size)
    return torch.cat([model.read(batch, "features")["landmark_logits"] for batch in batches])


def places(logits: Tensor, way: str, sharpness: float = 1.0) -> Tensor:
    """One place per map, read in one of WAYS: (n, K, h, w) logits -> (n, K, 2) cells, x then y.

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
    """Number of cells that a map covers: exp of its entropy, 1 to h * w. (..., h, w) -> (...)."""
    log_share = (sharpness * logits).flatten(-2).log_softmax(-1)
    return (-(log_share.exp() * log_share).sum(-1)).exp()


def strength(shape: Tensor) -> Tensor:
    """How visible each cell of a map is: its share above that of a flat map, over the highest share.

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
    """Landmark NME x 100 of the test faces of each domain: one row per way, one column per domain."""
    return pd.DataFrame(
        {domain: {way: errors(logits[domain], faces[domain], way).mean() for way in WAYS} for domain in faces}
    )


def errors_by_part(errors_of: dict[str, np.ndarray]) -> pd.DataFrame:
    """Mean error of each of PARTS, in % of the eye distance: one row per part, one column per domain."""
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
    """By how much `run` is better than `other`, with 95 % intervals over test subjects, resampled for both.

    Args:
        logits: domain -> landmark maps of the same faces, of run and of other.

    Returns:
        measure, domain, gain, low, high: a row for F1-frame x 100 and one for landmark NME x 100 with its
        sign turned, so that above 0 is always better.
    """
    rows = []
    for domain, shown in faces.items():
        subjects = Run(run).predictions(domain)["subject"].astype(str)
        draws, owner = resampled_subjects(subjects, RESAMPLES)
        f1 = [100 * mean_f1(answers_of_test(one, domain), draws[:, owner]) for one in (run, other)]
        rows.append(("F1-frame", domain, *_interval(f1[0] - f1[1])))
        draws, owner = resampled_subjects(shown.data.subjects[shown.rows], RESAMPLES)
        weights = draws[:, owner]
        nme = [weights @ errors(maps, shown).mean(1) / weights.sum(1) for maps in logits[domain]]
        rows.append(("landmark NME", domain, *_interval(nme[1] - nme[0])))
    table = pd.DataFrame(rows, columns=["measure", "domain", "gain", "low", "high"])
    return table.sort_values(["measure", "domain"], ignore_index=True)


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    return values[0], *np.quantile(values[1:], [0.025, 0.975])


def verdict_of(low: float, high: float) -> str:
    """What an interval of a gain says: "better", "worse" or "cannot tell" (NaN too)."""
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


# checks of the exercises


@exercise("two numbers, x and y in cells, such as `(3, 20.5)`")
def check_flat(answer, logits: Tensor) -> Verdict:
    """Where the mean of the whole map is if all logits are equal. logits: (..., h, w) of any map."""
    x, y = (float(one) for one in answer)
    side = logits.shape[-1]
    middle = (side - 1) / 2
    mistakes = (
        (middle + 0.5, f"Nearly: cells are counted from 0 to {side - 1}."),
        (middle - 0.5, f"Nearly: cells are counted from 0 to {side - 1}."),
        (0, "A logit of 0 is not a share of 0: exp(0) is 1 in every cell."),
        (4 * middle + 1.5, "Those are pixels, and a cell is 4 pixels wide. In cells?"),
    )
    if np.allclose((x, y), middle, atol=0.01):
        return right(f"Every cell weighs the same: the mean of 0 to {side - 1} is {middle:g}, in x and in y.")
    if abs(x - y) > 0.01:
        return wrong("Nothing distinguishes x from y here. Move the slider to its lowest end and look.")
    return hint_for(x, mistakes, "Move the slider to its lowest end: where is the mean of equal cells?")


@exercise(f"the name of a part, one of {', '.join(PARTS)}")
def check_hardest(answer, table: pd.DataFrame) -> Verdict:
    """The part of the face with the largest error on target faces (`errors_by_part`)."""
    if answer not in table.index:
        return wrong(f"{answer!r} is not in the table; choose from {', '.join(table.index)}.")
    errors, worst = table["target"], table["target"].idxmax()
    said = f"The error of the {answer} is {errors[answer]:.1f} %"
    if answer == worst:
        return right(f"{said}, of the best part {errors.min():.1f} %.")
    if answer == errors.idxmin():
        return wrong(f"{said}, the smallest. Large means wrong.")
    if answer == table["source"].idxmax():
        return wrong(f"{said}. It is the worst on source faces; the question is about target faces.")
    return wrong(f"{said}; another part has a larger one.")


@exercise("a function from logits (K, h, w) to shares (K, h, w), of the form `lambda logits: ...`")
def check_soft_max(answer: Callable) -> Verdict:
    """A soft-max over positions, tried on maps of random logits and on very large ones."""
    logits = 2 * torch.randn(3, 6, 7, generator=torch.Generator().manual_seed(0))
    truth = logits.flatten(1).softmax(1).view_as(logits)

    def given(values: Tensor) -> Tensor:
        return torch.as_tensor(answer(values.clone())).float()

    found = given(logits)
    if found.shape != logits.shape:
        return wrong(f"{tuple(logits.shape)} became {tuple(found.shape)}; shares have the shape of logits.")
    if torch.allclose(found, truth, atol=1e-4):
        if not torch.allclose(given(logits + 200), truth, atol=1e-4):
            return wrong("Right for small logits, but exp(200) overflows: subtract the map's maximum first.")
        return right("Every map sums to 1 over its cells, and a constant added to its logits has no effect.")
    competitors = ("The landmarks of one cell", "The cells of a column", "The cells of a row")
    for dim, who in enumerate(competitors):
        if torch.allclose(found, logits.softmax(dim), atol=1e-4):
            return wrong(f"{who} compete here. All cells of one map should: flatten h and w first.")
    if torch.allclose(found, logits.sigmoid(), atol=1e-4):
        return wrong("A sigmoid treats cells separately. A landmark is in one place, so cells must compete.")
    if (found < 0).any():
        return wrong("Some shares are negative. What makes any number positive and keeps the order?")
    if abs(found.sum() - 1) < 1e-3:
        return wrong("All maps together sum to 1. Each map should.")
    sums = ", ".join(f"{one:.2f}" for one in found.flatten(1).sum(1))
    return wrong(f"The maps sum to {sums}. Each should sum to 1: exp(logit) over the sum of its map.")


@exercise(
    "four shares as `[[upper left, upper right], [lower left, lower right]]`, such as `[[1, 0], [0, 0]]`"
)
def check_shares(answer) -> Verdict:
    """The map of least loss for a landmark at BETWEEN: the shares of the four cells around it."""
    share = torch.tensor(answer, dtype=torch.float32)
    if share.shape != (2, 2):
        return wrong(f"Expected two rows of two shares, found {tuple(share.shape)}.")
    if (share < 0).any() or abs(share.sum() - 1) > 0.01:
        return wrong(f"Shares are 0 or more and sum to 1; yours sum to {share.sum():.2f}.")
    x0, y0 = map(int, BETWEEN)
    x, y = BETWEEN[0] - x0, BETWEEN[1] - y0
    best = torch.tensor([[(1 - x) * (1 - y), x * (1 - y)], [(1 - x) * y, x * y]])
    loss = _loss_of_shares(share)
    if loss < _loss_of_shares(best) + 2e-3:
        return right(f"The loss is {loss:.2f}, the least possible, and the mean is on the landmark.")
    if torch.allclose(share, best.flip(1), atol=0.01):
        return wrong(f"Mirrored: x = {BETWEEN[0]} is nearer to column {x0}, so the left cells get more.")
    if torch.allclose(share, best.T, atol=0.01):
        return wrong("Transposed: x runs along a row of the list, y from row to row.")
    if share.max() > 0.99:
        return wrong("ADLD's target is one cell: the place can be off by half a cell, 2 pixels. Share it.")
    mean = (x0 + float(share[:, 1].sum()), y0 + float(share[1].sum()))
    if np.allclose(mean, BETWEEN, atol=0.01):
        return wrong("The mean is right, but a cell's share is nearness in x times nearness in y.")
    return wrong(f"The mean of your map is at ({mean[0]:.2f}, {mean[1]:.2f}), the landmark at {BETWEEN}.")


def _loss_of_shares(share: Tensor, side: int = 28) -> float:
    """`landmark_loss` of a map with these four shares around a landmark at BETWEEN."""
    x, y = map(int, BETWEEN)
    maps = torch.zeros(1, 1, side, side)
    maps[0, 0, y : y + 2, x : x + 2] = share
    maps = maps.clamp(min=1e-9)
    return float(landmark_loss((maps / maps.sum()).log(), torch.tensor([[BETWEEN]]), side))


@exercise("a function from `low, high` to 'better', 'worse' or 'cannot tell'")
def check_verdict(answer: Callable, table: pd.DataFrame) -> Verdict:
    """What an interval of a gain says, tried on made-up intervals and on those of `gains`."""
    words = ("better", "worse", "cannot tell")
    measured = [(row.low, row.high) for row in table.dropna().itertuples()]
    for low, high in [(0.5, 2.0), (-3.0, -1.0), (-1.0, 4.0), (-4.0, 1.0), *measured]:
        said, truth = answer(low, high), verdict_of(low, high)
        if said not in words:
            return wrong(f"({low:g}, {high:g}) gave {said!r}; use one of {', '.join(map(repr, words))}.")
        if said == truth:
            continue
        if truth == "cannot tell":
            return wrong(f"({low:.1f}, {high:.1f}) contains 0: these subjects fit a gain and a loss.")
        if said == "cannot tell":
            return wrong(f"({low:.1f}, {high:.1f}) is on one side of 0, so it is significant.")
        return wrong(f"({low:.1f}, {high:.1f}) was called {said!r}. Above 0 is a gain of sharing.")
    return right("The question is whether it contains 0. It is about subjects, not about training seeds.")
