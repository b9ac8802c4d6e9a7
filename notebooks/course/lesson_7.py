"""Lesson 7: a small study, what single seeds of it would have shown, and the checks of exercises 1-3."""

from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import nbformat
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nbformat import v4
from scipy import stats

from aubench.plots.style import ABOVE, BELOW, MEASURE_NAMES, PAGE, UNSURE, in_house_style
from aubench.report import statistics
from aubench.report.comparisons import against
from aubench.report.statistics import LEVEL, POWER, paired_differences, t_interval
from aubench.report.summaries import Summary, summarise_runs
from aubench.study.plan import expand, read_study
from exercises import Verdict, exercise, hint_for, number, right, wrong
from instrument import Instrument, png
from lesson_7_supervisor import source_of

REFERENCE = "without"
STUDIES = 30  # that the simulator shows
UNIT = "difference, points (score x 100)"
SIZES = {"image_size": 56, "margin_size": 64, "channels": 16, "batch_size": 8}
QUESTION = "Do contrastive supervisors help to detect AUs in the wild: the plain two, and one of my own?"
PARAMETERS = """
source: str = "synthetic:studio"  # labelled faces
target: str = "synthetic:wild"  # faces adapted to
method: str = "contrastive"  # key of aulib.methods.METHODS
own: list[str] = []  # source lines of your own supervisor; empty for none
steps: int = 100  # optimiser steps
sizes: dict[str, int] = {}  # fields of Preset, and batch_size, instead of the preset's
seed: int = 0  # one run, one seed
out_dir: str = "results/scratch"  # the run folder
"""
TRAIN = """
from lesson_7_supervisor import enter_supervisor
from aulib.methods import CONTRASTIVE_WEIGHT
from aubench.study.notebook_runner import start_notebook
from aulib.train_run import train_run

print(start_notebook(seed, out_dir))
weights = {enter_supervisor(own): CONTRASTIVE_WEIGHT} if own else None
given = {"weights": weights, "steps": steps, "seed": seed, "out_dir": out_dir} | sizes
metrics = train_run(source, target, method, insides=False, progress=False, **given)
"""


# the study


def write_study(
    folder: str | Path, own: dict[str, Callable], seeds: list[int], steps: int, source: str, target: str
) -> Path:
    """Write a study file and the notebook that its runs execute; returns the study file.

    The source of a function is a parameter of its variant: another function means new runs of that variant.

    Args:
        own: variant -> function added to the two plain supervisors.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells = [
        v4.new_code_cell(PARAMETERS.strip(), metadata={"tags": ["parameters"]}, id="parameters"),
        v4.new_code_cell(TRAIN.strip(), id="train"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=kernel), folder / "small_train.ipynb")
    variants: dict[str, dict] = {REFERENCE: {"method": "separation"}, "two": {"method": "contrastive"}}
    variants |= {name: {"method": "contrastive", "own": source_of(one)} for name, one in own.items()}
    study = {
        "question": QUESTION,
        "notebook": "small_train.ipynb",
        "fixed": {"source": source, "target": target, "steps": steps, "sizes": SIZES, "own": []},
        "variants": variants,
        "seeds": seeds,
    }
    file = folder / "small.yml"
    file.write_text(yaml.safe_dump(study, sort_keys=False, width=100), encoding="utf-8")
    return file


def summary_of(file: Path, out: str | Path) -> Summary:
    """The finished runs of the study file as it is now, without runs of earlier functions."""
    study = read_study(file)
    planned = [run.id for run in expand(study, out)]
    return summarise_runs(out, order=list(study.variants), only=planned)


def points(summary: Summary, measure: str = "f1") -> pd.DataFrame:
    """Each variant minus REFERENCE, times 100: one row per seed, one column per variant."""
    table = 100 * summary.seeds_of(measure)
    return table.drop(columns=REFERENCE).sub(table[REFERENCE], axis=0)


def effects(summary: Summary, measure: str = "f1", reference: str = REFERENCE) -> pd.DataFrame:
    """Each variant against `reference` on the mean over AUs, in points, paired by seed.

    Returns:
        one row per variant: difference, low, high (95 % interval), p_holm, seeds, verdict (see
        `statistics.verdict`); NaN and "undecided" with a single seed.
    """
    table = paired_differences(summary, against(summary, reference), [measure])
    table = table[table["au"] == "mean"].set_index("variant")
    columns = ["difference", "low", "high"]
    table[columns] *= 100
    return table[[*columns, "p_holm", "seeds", "verdict"]]


@in_house_style
def draw_study(summary: Summary, measure: str = "f1") -> Figure:
    """Left: scores of the variants, one line per seed. Right: differences from REFERENCE with intervals."""
    scores, differences = 100 * summary.seeds_of(measure), points(summary, measure)
    figure = Figure(figsize=(PAGE, 3.1), layout="constrained")
    left, right_ = figure.subplots(1, 2)
    places = np.arange(len(scores.columns))
    for place, (seed, row) in enumerate(scores.iterrows()):
        marker = "osD^v<>P"[place % 8]
        left.plot(
            places, row, color="#999999", linewidth=1, marker=marker, markersize=4, label=f"seed {seed}"
        )
    left.scatter(places, scores.mean(), marker="_", s=420, color="black", linewidths=1.8, zorder=3)
    left.set_xticks(places, [name.replace("-and-", "\nand ") for name in scores.columns])
    left.set_xlim(-0.4, places[-1] + 0.4)
    left.set_ylabel(f"{MEASURE_NAMES[measure]} x 100, target test")
    left.set_title("lines: seeds, bars: their means")
    figure.legend(loc="outside upper left", ncols=8, fontsize=7)
    for place, (_, values) in enumerate(differences.items()):
        own = values.dropna().to_numpy()
        mean, low, high, _ = t_interval(own)
        right_.hlines(place, low, high, color="black", linewidth=1.4)
        right_.scatter(mean, place, marker="|", s=130, color="black", linewidths=1.8, zorder=3)
        lanes = place + 0.14 + 0.07 * np.arange(len(own))  # equal seeds do not hide each other
        right_.scatter(own, lanes, s=22, color=np.where(own > 0, ABOVE, BELOW), zorder=3)
    right_.axvline(0, color="black", linewidth=0.9)
    right_.set_yticks(range(differences.shape[1]), differences.columns)
    right_.set_ylim(differences.shape[1] - 0.45, -0.3)
    right_.set_xlabel(f"minus {REFERENCE}, {MEASURE_NAMES[measure]} x 100\ndots: seeds, line: 95 % interval")
    right_.set_title("differences")
    return figure


# simulated studies: a seed's difference is normal around the true effect, as Student's t assumes


def simulate(effect: float, spread: float, seeds: int, studies: int, seed: int = 0) -> pd.DataFrame:
    """Many studies of the same true effect.

    Args:
        effect: true difference.  spread: standard deviation of one seed's difference, in the same unit.

    Returns:
        one row per study: first (its first seed alone), mean, low, high (95 % interval).
    """
    drawn = np.random.default_rng(seed).normal(effect, spread, (studies, seeds))
    rows = [(study[0], *t_interval(study)[:3]) for study in drawn]
    return pd.DataFrame(rows, columns=["first", "mean", "low", "high"])


def power(effect: float, spread: float, seeds: int) -> float:
    """Share of studies whose 95 % interval excludes zero (`statistics.power`).

    With an effect of zero it is 0.05, the share of false alarms.

    Raises:
        ValueError: fewer than two seeds, which have no interval.
    """
    if seeds < 2:
        raise ValueError(f"{seeds} seed has no spread, so no interval; use 2 or more")
    return statistics.power(effect * np.sqrt(seeds) / spread, seeds)


def relative_width(few: int, many: int) -> float:
    """Width of the 95 % interval of `many` seeds over that of `few`, for the same spread."""
    few_wide, many_wide = (stats.t.ppf(0.5 + LEVEL / 2, seeds - 1) / np.sqrt(seeds) for seeds in (few, many))
    return float(many_wide / few_wide)


@in_house_style
def draw_luck(differences: pd.Series, simulated: pd.DataFrame) -> Figure:
    """Measured differences (one per seed, points) over those simulated without any effect."""
    figure = Figure(figsize=(PAGE, 2.5), layout="constrained")
    wide = 1.1 * max(simulated["first"].abs().quantile(0.999), differences.abs().max(), 1e-3)
    shown = (("first", "one seed", differences),
             ("mean", f"mean of {len(differences)} seeds", [differences.mean()]))  # fmt: skip
    for axis, (column, title, measured) in zip(figure.subplots(1, 2, sharex=True), shown, strict=True):
        axis.hist(simulated[column], bins=np.linspace(-wide, wide, 41), color="#CCCCCC")
        axis.scatter(measured, np.full(len(measured), 0.06 * axis.get_ylim()[1]), s=30, color=ABOVE, zorder=3)
        axis.axvline(0, color="black", linewidth=0.9)
        axis.set_yticks([])
        axis.set_xlabel(UNIT)
        axis.set_title(f"{title}, no true effect")
    figure.supxlabel("grey: simulated; dots: the real runs", fontsize=8)
    return figure


def study_simulator(effect: float = 0.5, spread: float = 1.5, seeds: int = 3) -> Instrument:
    """Sliders for the true effect, the spread and the number of seeds; thirty simulated studies follow."""

    def answer(effect: float, spread: float, seeds: int, luck: int) -> tuple[bytes, str]:
        studies = simulate(effect, spread, seeds, STUDIES, luck)
        found = int(((studies["low"] > 0) | (studies["high"] < 0)).sum())
        correct = int((np.sign(studies["first"]) == np.sign(effect)).sum())
        alone = (
            f"The first seed alone has the right sign in {correct}." if effect else "All are false alarms."
        )
        expected = power(effect, spread, seeds)
        text = f"<b>{found} of {STUDIES}</b> intervals exclude zero; on average {expected:.0%}."
        return png(_draw_studies, studies, effect), f"{text} {alone}"

    def slider(kind, value, low, high, step, description):
        return kind(value=value, min=low, max=high, step=step, description=description)

    controls = {
        "effect": slider(widgets.FloatSlider, effect, -3, 3, 0.1, "true effect, points"),
        "spread": slider(widgets.FloatSlider, spread, 0.1, 4, 0.1, "spread of one seed"),
        "seeds": slider(widgets.IntSlider, seeds, 2, 30, 1, "seeds per study"),
        "luck": slider(widgets.IntSlider, 0, 0, 99, 1, "luck"),
    }
    return Instrument(answer, controls, 620)


def _draw_studies(studies: pd.DataFrame, effect: float) -> Figure:
    """One row per study: its first seed as a cross, its interval coloured by its verdict."""
    figure = Figure(figsize=(6.2, 3.4))
    axis: Axes = figure.add_axes((0.03, 0.14, 0.94, 0.83))
    for place, row in enumerate(studies.itertuples()):
        colour = ABOVE if row.low > 0 else BELOW if row.high < 0 else UNSURE
        axis.hlines(place, row.low, row.high, color=colour, linewidth=1.3)
        axis.scatter(row.mean, place, s=12, color=colour, zorder=3)
    axis.scatter(studies["first"], range(len(studies)), marker="x", s=14, color="black", linewidths=0.8)
    axis.axvline(0, color="black", linewidth=0.9)
    axis.axvline(effect, color="#009E73", linestyle="--", linewidth=1.1)
    wide = max(3.0, float(studies[["low", "high"]].abs().quantile(0.9).max()))
    axis.set_xlim(-wide, wide)
    axis.set_ylim(len(studies), -1)
    axis.set_yticks([])
    axis.set_xlabel(UNIT)
    return figure


# checks of the exercises


@exercise("a whole number, such as 2")
def check_lone_seeds(answer, differences: pd.Series) -> Verdict:
    """How many seeds alone would have shown a gain."""
    given, own = number(answer), differences.dropna()
    truth = int((own > 0).sum())
    if given == truth:
        return right(f"{truth} of {len(own)}; they range from {own.min():+.1f} to {own.max():+.1f}.")
    if given != round(given):
        return wrong("A count of seeds, not a share or a difference.")
    if given == len(own) - truth:
        return wrong("These are the seeds that show no gain. A difference above zero is a gain.")
    if given > len(own):
        return wrong(f"There are only {len(own)} seeds, one dot each in the right half of the figure.")
    return wrong("Count the entries of `differences` above zero: the dots to the right of the line.")


@exercise("a factor, such as 0.9")
def check_width(answer, few: int, many: int) -> Verdict:
    """How wide an interval of `many` seeds is compared with one of `few`."""
    given, truth, root = number(answer), relative_width(few, many), np.sqrt(few / many)
    if abs(given - truth) < 0.01:
        return right(f"{truth:.2f}: the root of the number gives {root:.2f}, Student's t the rest.")
    mistakes = (
        (root, "The standard error shrinks so. Its factor, Student's t, shrinks too."),
        (few / many, "Errors shrink with the *root* of the number of seeds."),
        (1, "Then more seeds would be useless. Only the spread of a single seed stays the same."),
        (1 / truth, "The inverse: so many times wider is the interval of few seeds."),
        (1 - truth, "That is by how much it shrinks; the question is what remains."),
    )
    return hint_for(given, mistakes, "Half the width is t × spread / √n, with n - 1 degrees of freedom.")


@exercise("a whole number of seeds, such as 5")
def check_seeds_needed(answer, effect: float, spread: float) -> Verdict:
    """The smallest study that finds the effect with probability POWER."""
    given = number(answer)
    if given != round(given):
        return wrong("Seeds are whole; round up.")
    if given < 2:
        return wrong("One seed has no spread, so it has no interval.")
    found = power(effect, spread, int(given))
    if found < POWER:
        return wrong(f"Too few: {found:.0%} of studies find it. (The normal in place of t is a little low.)")
    if given > 2 and power(effect, spread, int(given) - 1) >= POWER:
        return wrong(f"Enough, {found:.0%} of studies find it, but not the fewest.")
    return right(f"{found:.0%} of such studies find it. Three seeds that find nothing show very little.")
