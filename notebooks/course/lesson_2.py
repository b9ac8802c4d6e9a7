"""Lesson 2, What goes wrong in the wild?: F1 per domain and under skew, figures, exercises.

A run read under one factor at a time is `aubench.inspection.factor_faces`.
"""

import inspect
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aubench.inspection.factor_faces import (
    CONDITIONS,
    SEED,
    LabelledPredictions,
    answers_under,
    drop,
    people_of,
    scores_of,
)
from aubench.plots.style import (
    DOMAIN_COLOURS,
    au_label,
    face_grid,
    in_house_style,
    name_columns,
    row_panels,
    show_faces,
)
from aufaces.factors import FACTORS, face_with
from aufaces.renderer import FaceRenderer
from aulib.labels import AU_NAMES
from aulib.run import Run
from exercises import Verdict, exercise, hint_for, number, right, wrong

SCORES = {"f1": ("F1-frame", "#D55E00", "o"), "f1_norm": ("F1, skew-normalised", "#0072B2", "s"),
          "auc": ("ROC AUC", "#117733", "^")}  # fmt: skip
SAME_AUC = 0.02  # changes of AUC closer than this do not differ on so few faces
NO_LOSS = 0.005  # an interval of lost F1 that starts below this includes no loss
KEPT = (1.0, 0.5, 0.25, 0.125)  # shares of the faces with an AU that are kept
VISIBLE = 5.0  # mean change of a pixel, of 255, far above the camera's noise
GREY, COST, WHOLE = "#B8B8B8", "#E69F00", "#8C8C8C"


# scores


def f1_per_domain(run: str | Path) -> pd.DataFrame:
    """Test scores of a finished run: domain, au, f1, base_rate."""
    metrics = Run(run).metrics
    rows = [
        (domain, name.split(".")[2], value, metrics[name.removesuffix("f1") + "base_rate"])
        for name, value in metrics.items()
        for domain in ("source", "target")
        if name.startswith(f"{domain}.per_au.") and name.endswith(".f1")
    ]
    table = pd.DataFrame(rows, columns=["domain", "au", "f1", "base_rate"])
    return table.astype({"f1": float, "base_rate": float})


def answers_of_test(run: str | Path, domain: str) -> LabelledPredictions:
    """A finished run's saved answers on the test faces of a domain."""
    table = Run(run).predictions(domain)
    aus = [column.removesuffix("_true") for column in table if column.endswith("_true")]
    return LabelledPredictions(
        *(table[[f"{au}_{kind}" for au in aus]].to_numpy(float) for kind in ("p", "true"))
    )


def f1_expected(true_positive_rate: float, false_positive_rate: float, base_rate) -> np.ndarray:
    """F1 of a detector with these two rates, for an AU on a share `base_rate` of the frames."""
    hit = base_rate * true_positive_rate
    return 2 * hit / (base_rate + hit + (1 - base_rate) * false_positive_rate)


def thinned(answers: LabelledPredictions, seed: int = 0) -> pd.DataFrame:
    """Scores when each AU keeps only a random share of the faces that have it; answers do not change.

    Returns:
        one row per share of KEPT: kept, base_rate, f1, f1_norm, auc (means over the AUs that have them).
    """
    order = np.random.default_rng([seed, 2]).random(answers.occurrence.shape)
    aus, rows = [str(column) for column in range(answers.occurrence.shape[1])], []
    for share in KEPT:
        dropped = (answers.occurrence == 1) & (order > share)
        scores = scores_of(
            LabelledPredictions(answers.probability, np.where(dropped, np.nan, answers.occurrence)), aus
        )
        rate = float(np.nanmean([scores[f"per_au.{au}.base_rate"] for au in aus]))
        means = {name: scores[f"mean.{name}"] for name in ("f1", "f1_norm", "auc")}
        rows.append({"kept": share, "base_rate": rate} | means)
    return pd.DataFrame(rows)


# exercises


@exercise("a number between 0 and 1, such as `0.3`")
def check_always(f1: float, base_rate: float) -> Verdict:
    """Exercise 1: F1 of a detector that always says "present"."""
    truth = 2 * base_rate / (1 + base_rate)
    if abs(number(f1) - truth) < 0.005:
        return right(f"{truth:.3f} without looking at the face. Compare every F1 with this number.")
    mistakes = (
        (100 * truth, "That is in percent. Write it between 0 and 1."),
        (base_rate, "That is its precision, the share of its alarms that are true. F1 has recall too."),
        (1, "That is its recall: it misses nothing. But most of its alarms are false."),
        ((1 + base_rate) / 2, "That is the plain mean of precision and recall; F1 is the harmonic mean."),
        (2 / 3, "That is F1 at a base rate of one half. This AU is rarer."),
    )
    return hint_for(f1, mistakes, "Count 1000 faces: F1 is 2 TP / (2 TP + FP + FN).")


@exercise("a function of three numbers, true positive rate, false positive rate and base rate")
def check_skew(answer) -> Verdict:
    """Exercise 2: F1 as a function of the base rate. The function is called at several places."""
    if not callable(answer) or len(inspect.signature(answer).parameters) != 3:
        return wrong("Write a function of three numbers: `def answer_2(tpr, fpr, base_rate): ...`.")
    grid = np.meshgrid([0.5, 0.8, 0.95], [0.02, 0.1, 0.3], [0.05, 0.2, 0.6])
    tpr, fpr, rate = (values.ravel() for values in grid)
    found = np.array([float(answer(*place)) for place in zip(tpr, fpr, rate, strict=True)])
    if np.allclose(found, f1_expected(tpr, fpr, rate), atol=1e-6):
        rare, frequent = (float(f1_expected(0.8, 0.1, rate)) for rate in (0.05, 0.5))
        return right(
            f"With rates of 80 % and 10 %, F1 is {rare:.2f} at a base rate of 5 %, {frequent:.2f} at 50 %."
        )
    precision = rate * tpr / (rate * tpr + (1 - rate) * fpr)
    mistakes = {
        "This divides hits by hits, false alarms and misses. F1 counts hits twice, above and below.":
            rate * tpr / (rate + (1 - rate) * fpr),
        "The base rate has no effect here: this is F1 at a base rate of 50 %.": f1_expected(tpr, fpr, 0.5),
        "That is precision. What about the misses?": precision,
        "That is recall. What about the false alarms?": tpr,
        "That is accuracy: high for a rare AU even if none is found.": rate * tpr + (1 - rate) * (1 - fpr),
        "That is the plain mean of precision and recall; F1 is the harmonic mean.": (precision + tpr) / 2,
        "False alarms occur on a share 1 - base rate of the frames, not on all.":
            2 * rate * tpr / (rate + rate * tpr + fpr),
    }  # fmt: skip
    for hint, values in mistakes.items():
        if np.allclose(found, values, atol=1e-6):
            return wrong(hint)
    if any(np.allclose(found, f1_expected(*order), atol=1e-6) for order in permutations((tpr, fpr, rate))):
        return wrong("The arguments are in another order: first `tpr`, then `fpr`, then `base_rate`.")
    return wrong("Count hits, false alarms and misses of 1000 frames first.")


@exercise('a factor and an AU, such as `("camera", "AU12")`')
def check_broken(pair, changes: pd.DataFrame) -> Verdict:
    """Exercise 3: the factor and AU with the largest fall of AUC (`factor_faces.changes_per_au`)."""
    factor, au = pair
    if factor not in FACTORS:
        return wrong(f"`{str(factor)[:20]}` is not a single factor; choose from {', '.join(FACTORS)}.")
    if au not in set(changes["au"]):
        return wrong(f"`{str(au)[:20]}` is not an AU of this run.")
    single = changes[changes["factor"] != "all"]
    mine = single[(single["factor"] == factor) & (single["au"] == au)].iloc[0]
    if np.isnan(mine["auc"]):
        return wrong("There is no AUC there: the AU is on no face, or on all.")
    worst_auc, worst_f1 = (single.loc[single[name].idxmin()] for name in ("auc", "f1"))
    said = f"{au} under {factor}: AUC changes by {100 * mine['auc']:+.0f} points"
    if mine["auc"] <= worst_auc["auc"] + SAME_AUC:
        return right(f"{said}. No other threshold and no other base rate would repair that.")
    if (factor, au) == (worst_f1["factor"], worst_f1["au"]):
        return wrong(f"{said}. F1 falls most there, but a moved threshold or base rate lowers F1 too.")
    return wrong(f"{said}. Another cell loses more.")


@exercise('a set of one to three factors, such as `{"pose", "camera"}`')
def check_mix(factors, run: str | Path, answers: dict[str, LabelledPredictions], seed: int = SEED) -> Verdict:
    """Exercise 4: at most three factors that cost at least half of what all cost; the faces are rendered."""
    if isinstance(factors, str):
        return wrong('Write a set, even for one factor: `{"light"}`.')
    if unknown := sorted(str(name)[:20] for name in factors if name not in FACTORS):
        return wrong(f"`{unknown[0]}` is not a factor; choose from {', '.join(FACTORS)}.")
    if not 1 <= len(set(factors)) <= 3:
        return wrong(f"Choose one, two or three factors, not {len(set(factors))}.")
    whole, low, _ = drop(answers["none"], answers["all"])
    mixed = answers_under(run, set(factors), len(answers["none"].probability), seed)
    lost = drop(answers["none"], mixed)[0]
    said = f"They cost {100 * lost:.0f} of the {100 * whole:.0f} points that all {len(FACTORS)} factors cost"
    if low <= NO_LOSS:
        return right(f"{said}, which does not differ significantly from 0: on this run any mix is right.")
    if lost >= whole / 2:
        return right(f"{said}. These are the factors to work on first.")
    if len(set(factors)) < 3:
        return wrong(f"{said}: less than half. Add a factor that acts in a different way.")
    least = min(factors, key=lambda name: drop(answers["none"], answers[name])[0])
    return wrong(f"{said}: less than half. Exchange {least}, which costs least alone.")


# figures


def faces_with_shade_and_occlusion(number: int, count: int, seed: int = SEED) -> list[int]:
    """The first faces of different people that both factors change visibly, filled up with others."""
    renderer, people = FaceRenderer(64), people_of(count)

    def changes(index: int, factor: str) -> bool:
        plain, changed = (face_with(on, seed, index, count, renderer)[0] for on in (set(), {factor}))
        return np.abs(changed.astype(float) - plain).mean() > VISIBLE

    chosen = []
    for index in range(count):
        if len(chosen) == number:
            break
        if people[index] not in people[chosen] and changes(index, "occlusion") and changes(index, "shade"):
            chosen.append(index)
    return [*chosen, *(index for index in range(count) if index not in chosen)][:number]


@in_house_style
def draw_one_at_a_time(indices: list[int], count: int, seed: int = SEED) -> Figure:
    """Studio faces (rows) with each factor of the wild alone, and with all."""
    renderer = FaceRenderer(128)
    figure, axes = face_grid(len(indices), len(CONDITIONS), side=1.0, left=0.5, top=0.22)
    name_columns(axes[0], ["studio" if name == "none" else name for name in CONDITIONS])
    for row, index in zip(axes, indices, strict=True):
        pictures = [face_with(factors, seed, index, count, renderer)[0] for factors in CONDITIONS.values()]
        show_faces(row, pictures, name=f"face {index}")
    return figure


@in_house_style
def draw_domains(table: pd.DataFrame) -> Figure:
    """F1-frame of each AU on the test faces of both domains (`f1_per_domain`).

    Black strokes: what always answering "present" scores on the target.
    """
    parts = {domain: rows.set_index("au") for domain, rows in table.groupby("domain")}
    aus = [au for au in AU_NAMES if au in set(table["au"])]
    figure, (axis,) = row_panels([au_label(au) for au in aus], width=6.2)
    places = np.arange(len(aus))
    f1 = {domain: 100 * part["f1"].reindex(aus) for domain, part in parts.items()}
    axis.hlines(places, f1["source"], f1["target"], color=GREY, linewidth=1.4)
    for domain, marker in (("source", "o"), ("target", "s")):
        style = {"s": 24, "color": DOMAIN_COLOURS[domain], "marker": marker, "zorder": 3}
        axis.scatter(f1[domain], places, label=f"{domain} test", **style)
    rates = parts["target"]["base_rate"].reindex(aus)
    label = 'always "present", target'
    axis.scatter(200 * rates / (1 + rates), places, s=60, color="black", marker="|", label=label)
    axis.set_xlim(-2, 102)
    axis.set_xlabel("F1-frame x 100")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@in_house_style
def draw_drops(table: pd.DataFrame) -> Figure:
    """F1 lost to each factor alone and to all, with intervals (`factor_faces.drops`)."""
    names = ["all of them" if name == "all" else name for name in table["factor"]]
    figure, (axis,) = row_panels(names, width=5.2)
    places = np.arange(len(table))
    colours = [WHOLE if name == "all" else COST for name in table["factor"]]
    axis.barh(places, 100 * table["lost"], height=0.62, color=colours)
    axis.hlines(places, 100 * table["low"], 100 * table["high"], color="black", linewidth=1.4)
    axis.axvline(0, color="black", linewidth=0.8)
    axis.set_xlabel("F1-frame lost, points x 100 (lines: 95 % over people)")
    return figure


@in_house_style
def draw_changes(table: pd.DataFrame) -> Figure:
    """Change of the ROC AUC per AU and factor (`factor_faces.changes_per_au`); a cross where undefined."""
    factors = list(dict.fromkeys(table["factor"]))
    aus = [au for au in AU_NAMES if au in set(table["au"])]
    grid = 100 * table.pivot(index="au", columns="factor", values="auc").reindex(index=aus, columns=factors)
    figure = Figure(figsize=(6.4, 1.0 + 0.23 * max(len(aus), 4)), layout="constrained")
    axis = figure.subplots()
    most = max(10.0, float(np.nanmax(np.abs(grid.to_numpy()), initial=0)))
    shown = axis.imshow(grid, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    for (row, column), value in np.ndenumerate(grid.to_numpy()):
        text = f"{value:+.0f}".replace("-0", "0").replace("+0", "0") if np.isfinite(value) else "×"
        colour = "white" if abs(value) > 0.6 * most else "black"
        axis.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
    axis.set_xticks(range(len(factors)), factors, rotation=30, ha="right")
    axis.set_yticks(range(len(aus)), [au_label(au) for au in aus])
    axis.grid(visible=False)
    figure.colorbar(shown, ax=axis, shrink=0.8, label="change of ROC AUC, points x 100")
    return figure


@in_house_style
def draw_thinned(table: pd.DataFrame) -> Figure:
    """Three scores of one detector as its AUs become rarer (`thinned`)."""
    figure = Figure(figsize=(6.2, 2.7), layout="constrained")
    axis = figure.subplots()
    for name, (label, colour, marker) in SCORES.items():
        axis.plot(100 * table["base_rate"], 100 * table[name], color=colour, marker=marker, label=label)
    axis.invert_xaxis()
    axis.set_ylim(0, 102)
    axis.set_xlabel("mean base rate (% of faces), rarer to the right")
    axis.set_ylabel("score x 100")
    figure.legend(loc="outside right upper")
    return figure
