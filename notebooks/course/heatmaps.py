"""Landmark maps measured: a place read from a map in three ways, its errors, one extraction against two."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aubench.inspection.shown_faces import ShownFaces
from aulib.metrics import f1_frame
from aulib.model import AUModel, cells_to_pixels, expected_cells
from aulib.run import load_run

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


def say_spread(logits: dict[str, Tensor]) -> str:
    """Whether the maps of a smooth edge are wider than those of corners, over all faces; domain -> maps."""
    cells = {domain: spread(maps).mean(0) for domain, maps in logits.items()}
    corner = {domain: float(one[list(CORNERS)].mean()) for domain, one in cells.items()}
    jaw = {domain: float(one[list(PARTS["jaw line"])].mean()) for domain, one in cells.items()}
    said = "; ".join(f"{jaw[domain]:.0f} against {corner[domain]:.0f} on {domain} faces" for domain in cells)
    text = f"Over all faces, maps of the jaw line spread over more cells than maps of corners: {said}."
    if all(jaw[domain] > 1.5 * corner[domain] for domain in cells):
        return f"{text} A single face may be an exception, but the maps do tell how sure they are."
    return (
        f"Cells that a map of the jaw line spreads over, against one of a corner: {said}. That is no smear."
    )


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

    model, _ = load_run(run)
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


def index_frames(low: float, high: float) -> str:
    """What an interval of a gain says: "better", "worse" or "cannot tell" (NaN too)."""
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def _why(table: pd.DataFrame) -> str:
    """What F1 means for the expected reason, that the shared E has seen wild faces; "" if it is open."""
    found = {(row.measure, row.domain): index_frames(row.low, row.high) for row in table.itertuples()}
    source, target = (found.get(("F1-frame", domain)) for domain in ("source", "target"))
    if target == "worse":
        return "So the two tasks seem to fight over F."
    if target == "better" and source == "better":
        return (
            "Source faces gain in F1 as well, so that E has seen wild faces is not the whole reason: "
            "landmarks seem to teach it about any face what AU labels alone have not yet, in so few steps."
        )
    if target == "better":
        return "Only target faces gain in F1, as expected if what helps is that E has seen wild faces."
    return ""


def _give_way(table: pd.DataFrame) -> str:
    """On whose landmarks the copies win; "" if on none that can be told."""
    nme = table[table["measure"] == "landmark NME"]
    paid = [row.domain for row in nme.itertuples() if index_frames(row.low, row.high) == "worse"]
    if not paid:
        return ""
    return (
        f"On the landmarks of {' and '.join(paid)} faces the copies win: there the two tasks do seem to "
        "fight over F, and landmarks give way."
    )


def _side_by_side(row) -> str:
    """A row of `gains` as what is seen: sharing's F1 higher or lower, sharing's error lower or higher."""
    words = {
        "better": "sharing is better",
        "worse": "two copies are better",
        "cannot tell": "the two cannot be told apart",
    }
    if row.measure == "landmark NME":
        what, (gain, low, high), places = "error", (-row.gain, -row.high, -row.low), 2
    else:
        what, (gain, low, high), places = "F1", (row.gain, row.low, row.high), 1
    more = f"{abs(gain):.{places}f} points {'higher' if gain > 0 else 'lower'}"
    return (
        f"{words[index_frames(row.low, row.high)]} (sharing's {what} is {more}; "
        f"the interval is {low:+.{places}f} to {high:+.{places}f})"
    )


def say_gains(table: pd.DataFrame, costs: dict[str, dict]) -> str:
    """The answer in words, Markdown, from this run's numbers alone."""
    lines = [f"- {row.measure}, {row.domain}: {_side_by_side(row)}." for row in table.itertuples()]
    lines += [f"- {said}" for said in (_why(table), _give_way(table)) if said]
    one, two = costs["one extraction"], costs["two copies"]
    times = two["multiply_adds"] / one["multiply_adds"]
    more = two["parameters"] - one["parameters"]
    return "\n".join([*lines, f"- Two copies cost {times:.2f} times the work and {more:,} more parameters."])
