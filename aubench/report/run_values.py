"""What one finished run measured, as values that a study can set side by side, and words for their keys."""

import numpy as np
import pandas as pd

from aulib.metrics import AU_MEASURES, MEASURES
from aulib.run import Run

MEAN = "mean"  # in place of an AU, where a value is not of one AU
OF_THE_RUN = ("seconds", "peak_memory_mb", "selected_step", "validation_f1")
CURVE_POINTS = 60

# Words for keys: parts of a face, steps of both rounds, terms of a run, what is measured inside a model.
PART_NAMES = {"rich": "feature F", "shape": "shape S", "texture": "texture Z"}
STEP_NAMES = {
    "rich": "feature F",
    "self": "self-reconstruction",
    "swapped": "shapes exchanged",
    "rich2": "second round",
}
PAIR_NAMES = {  # of a supervisor: what it aligns
    f"{part}_{domain}": f"{words}, {domain}"
    for part, words in PART_NAMES.items()
    for domain in ("source", "target")
}
TERM_NAMES = PAIR_NAMES | {
    "au_source": "AUs, labelled faces", "au_swapped": "AUs, exchanged shape", "au_self": "AUs, own shape",
    "au_teacher": "AUs, mean teacher",
    "landmarks_source": "landmarks, source", "landmarks_target": "landmarks, target",
    "landmarks_swapped": "landmarks, exchanged", "texture_flatness": "landmarks in texture",
    "feature_adversary": "domain of features", "domain": "domain",
    "self_reconstruction": "self-reconstruction", "cycle": "second round", "adversaries": "adversaries",
    "decoder": "picture decoder", "total": "weighted sum of terms", "validation_f1": "F1-frame, validation",
}  # fmt: skip
TERM_GROUPS = {  # of the loss; the other terms are the supervisors
    "AU terms": ("au_source", "au_swapped", "au_self", "au_teacher"),
    "landmark terms": ("landmarks_source", "landmarks_target", "landmarks_swapped"),
    "reconstruction, cycle": ("self_reconstruction", "cycle"),
    "adversaries": ("texture_flatness", "feature_adversary", "domain"),
}
INSIDE_NAMES = {
    "insides.reconstruction.self": "error of the self-reconstruction",
    "insides.reconstruction.second": "error of the second round",
    "insides.moves.shape": "change of G with the shape",
    "insides.moves.texture": "change of G with the texture",
    "insides.landmark_probe.mean_face.source": "landmarks from no face, the mean one, source (NME)",
    "insides.landmark_probe.mean_face.target": "landmarks from no face, the mean one, target (NME)",
}
for _part, _words in PART_NAMES.items():
    INSIDE_NAMES[f"insides.domain_probe.{_part}"] = f"domain from {_words} (AUC)"
for _pair, _words in PAIR_NAMES.items():
    INSIDE_NAMES |= {
        f"insides.au_probe.{_pair.replace('_', '.')}": f"AUs from {_words} (AUC)",
        f"insides.landmark_probe.{_pair.replace('_', '.')}": f"landmarks from {_words} (NME)",
        f"insides.distance.{_pair}": f"distance of the rounds, {_words}",
        f"insides.own_face.{_pair}": f"own face is the nearest, {_words}",
    }

COLUMN_NAMES = {name: measure.short for name, measure in MEASURES.items()} | {
    "au": "AU", "aus": "AUs", "base_rate": "base rate", "support": "faces that show it",
    "peak_memory_mb": "peak memory, MiB", "about": "effect of", "p_holm": "p, Holm's correction",
    "features_other": "features, other face", "projected_other": "projected, other face",
    "psnr": "PSNR", "ssim": "SSIM", "gmsd": "GMSD",
    "moves_with_shape": "change of G with the shape", "moves_with_texture": "change of G with the texture",
    "nme_to_shape": "NME to who gave the shape", "nme_to_texture": "NME to who gave the texture",
    "rises": "people in whom it rises", "pairs": "people with both", "found": "called present",
    "saw_it": "adapted to them", "own": "own part, mean AUC", "false_alarm": "false alarms, worst AU",
    "inside": "inside the AU's region", "others": "in other AUs' regions", "area": "the region's area",
    "best": "best possible map",
    "gap": "their gap between groups", "au12_auc": "AU12: AUC", "au12_rises": "AU12 rises",
    "au12_found": "AU12 found", "au12_alarms": "AU12: false alarms",
    "au_of_shape": "AUs off who gave the shape", "au_of_texture": "AUs off who gave the texture",
}  # fmt: skip


def curve_name(column: str) -> str:
    """Words for a column of a run's history; a term that this module does not know keeps its name."""
    term = column.removeprefix("share.")
    words = (TERM_NAMES | INSIDE_NAMES).get(term, term)
    return words if term == column else f"share of the gradient: {words}"


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """A table as a reader sees it: keys among its columns, in its index and in `measure` become words.

    Names that are typed as parameters, such as a supervisor's, stay; Markdown's marks around them go.
    """
    words = COLUMN_NAMES | STEP_NAMES | INSIDE_NAMES
    if "measure" in table:
        table = table.replace({"measure": words})
    if "comparison" in table:
        table = table.assign(comparison=table["comparison"].str.replace("`", ""))
    return table.rename(columns=words, index=words)


def values_of_run(run: Run, chance: dict[str, float]) -> dict[tuple[str, str], float]:
    """All that a run measured, (measure, AU or "mean") -> value; without intervals over subjects.

    Args:
        chance: loss of each supervisor at guessing, nats.
    """
    cost = {("seconds_per_step", MEAN): seconds_per_step(run.history)}
    return values_of_metrics(run.metrics) | values_of_history(run.history, chance) | cost


def values_of_metrics(metrics: dict) -> dict[tuple[str, str], float]:
    """`metrics.json` by measure and AU."""
    found = {(name, MEAN): metrics.get(name, np.nan) for name in OF_THE_RUN}
    for name in AU_MEASURES:
        found[name, MEAN] = metrics.get(f"target.mean.{name}", np.nan)
        found[f"source_{name}", MEAN] = metrics.get(f"source.mean.{name}", np.nan)
    for name in ("nme", "failure_rate"):
        found[name, MEAN] = metrics.get(f"target.landmarks.{name}", np.nan)
    for key, value in metrics.items():
        if key.startswith("target.per_au.") and key.endswith(AU_MEASURES):
            _, _, au, name = key.split(".")
            found[name, au] = value
        elif key.startswith("insides.per_au."):
            _, _, au, feature, domain = key.split(".")
            found[f"insides.au_probe.{feature}.{domain}", au] = value
        elif key.startswith("insides."):
            found[key, MEAN] = value
    return found


def values_of_history(history: pd.DataFrame, chance: dict[str, float]) -> dict[tuple[str, str], float]:
    """Shares of the gradient (mean of the measured steps), and how far below chance each supervisor ends."""
    shares = [name for name in history if name.startswith("share.")]
    found = {(name, MEAN): float(history[name].mean()) for name in shares}
    for name, level in chance.items():
        curve = history[name].dropna() if name in history else []
        if len(curve):
            found[f"saturation.{name}", MEAN] = float(curve.iloc[-max(1, len(curve) // 10) :].mean() / level)
    return found


def seconds_per_step(history: pd.DataFrame) -> float:
    """Median seconds of a step, over the steps before and within the two rounds in their proportion.

    Medians leave out evaluations, pauses and other work on the machine. NaN with fewer than two logged rows.
    """
    rows = history.dropna(subset="seconds") if "seconds" in history else history.iloc[:0]
    steps = np.diff(rows["step"])
    if not len(steps):
        return float("nan")
    cost = np.diff(rows["seconds"]) / steps
    rounds = rows.reindex(columns=["adversaries"]).notna().to_numpy()[1:, 0]
    phases = [(np.median(cost[part]), steps[part].sum()) for part in (rounds, ~rounds) if part.any()]
    return float(sum(median * count for median, count in phases) / steps.sum())


def curves_of(history: pd.DataFrame, supervisors: list[str]) -> list[tuple[str, int, float]]:
    """(supervisor, step, nats) at CURVE_POINTS of the logged steps, evenly spaced."""
    found = []
    for name in (name for name in supervisors if name in history):
        curve = history[["step", name]].dropna()
        if len(curve) > CURVE_POINTS:
            curve = curve.iloc[np.linspace(0, len(curve) - 1, CURVE_POINTS).astype(int)]
        found += [(name, int(step), value) for step, value in zip(curve["step"], curve[name], strict=True)]
    return found
