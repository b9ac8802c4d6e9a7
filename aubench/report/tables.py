"""A study's scores as the table of a paper: Markdown, LaTeX (booktabs) or CSV; its outcome as text.

Means over seeds with the lowest and the highest seed; the best of a column bold, the second
underlined. Bounds that use target labels (oracle) are shown but not ranked.
"""

import re

import numpy as np
import pandas as pd

from aubench.report.results import score_text
from aubench.report.run_values import MEAN
from aubench.report.statistics import DISTANCES, ERRORS, LOWER_IS_BETTER, PROBES, SIGNIFICANT
from aubench.report.summaries import Summary, is_bound, short
from aulib.metrics import MEASURES, REPORTED
from aulib.protocols import folds_of

FORMATS = ("md", "latex", "csv")
BEST_AND_SECOND = {"md": ("**{}**", "<ins>{}</ins>"), "latex": (r"\textbf{{{}}}", r"\underline{{{}}}")}
TITLES = {name: measure.title for name, measure in MEASURES.items()} | {"source_f1": "F1-frame, source"}
MEAN_DIGITS = 6  # significant, of a mean in the CSV
WIDE = 8  # columns; a LaTeX table of more goes over both columns of a page
SHORT_TITLES = {name: MEASURES[name].short for name in REPORTED} | ERRORS | DISTANCES | PROBES
FINER = {"nme": 2}  # decimals of a difference x 100; others have 1
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def study_table(summary: Summary, format: str = "md", per_au: str = "") -> str:
    """The table as text.

    Args:
        format: md, latex or csv.
        per_au: a measure, for one column per AU and their mean (md, latex); "" for the means of all REPORTED
            measures that the study has.

    Raises:
        ValueError: unknown format, or a measure that the study does not have.
    """
    if format not in FORMATS:
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    if format == "csv":
        return long_table(summary).to_csv(index=False, lineterminator="\n")
    known, wanted = set(summary.values["measure"]), per_au or list(REPORTED)
    if known.isdisjoint([per_au] if per_au else REPORTED):
        raise ValueError(f"study {summary.study!r} has no measure {wanted}; it has {sorted(known)}")
    marks = BEST_AND_SECOND[format]
    if per_au:
        columns = {au: score_column(summary, per_au, au, False, marks) for au in (*summary.aus, MEAN)}
    else:
        shown = [name for name in REPORTED if name in known]
        columns = {TITLES[name]: score_column(summary, name, marks=marks) for name in shown}
    table, note = pd.DataFrame(columns).reset_index(names="variant"), caption(summary, per_au)
    if format == "md":
        return f"{as_markdown(table)}\n\n{note}\n"
    return as_latex(table, note, "-".join(filter(None, ("tab:" + summary.study, per_au))))


def score_column(
    summary: Summary, measure: str, au: str = MEAN, spread: bool = True, marks: tuple[str, ...] = ()
) -> pd.Series:
    """The mean x 100 as text by variant, a dash without a value.

    Args:
        spread: with the lowest and the highest seed in brackets.
        marks: formats of the best and the second. Equal to the digit shown is equal: several may be best.
    """
    seeds = summary.seeds_of(measure, au).reindex(columns=summary.variants)
    several = (seeds.count() > 1) & spread
    low, high = seeds.min().where(several), seeds.max().where(several)
    bounds = [name for name in summary.variants if is_bound(summary.settings[name])]
    means = (100 * seeds).mean().round(1).drop(bounds)
    places = means.rank(method="dense", ascending=measure in LOWER_IS_BETTER)
    mark = dict(enumerate(marks, start=1)) if means.count() > 1 else {}
    rows = zip(seeds, seeds.mean(), low, high, strict=True)
    return pd.Series({name: mark.get(places.get(name), "{}").format(score_text(*one)) for name, *one in rows})


def readable(outcome: pd.DataFrame) -> pd.DataFrame:
    """A study's outcome (`comparisons.outcome`) with values x 100 as text, intervals in brackets."""
    names = outcome["measure"].replace(SHORT_TITLES)
    effects = zip(outcome["detectable"], outcome["measure"], strict=True)
    table = {
        "comparison": outcome["comparison"],
        "measure": names.where(outcome["au"] == MEAN, names + ", " + outcome["au"]),
        "difference": [with_interval(row) for row in outcome.to_dict("records")],
        "p": outcome["p_holm"].map(p_text),
        "seeds": outcome["seeds"],
        "verdict": outcome["verdict"],
        "80 % found": [
            "–" if np.isnan(one) else f"{100 * one:.{FINER.get(name, 1)}f}" for one, name in effects
        ],
    }
    return pd.DataFrame(table, index=outcome.index)


def comparisons_by_measure(outcome: pd.DataFrame) -> pd.DataFrame:
    """A row per comparison, a column per measure; a star marks significant differences."""
    stars = np.where(outcome["p_holm"] < SIGNIFICANT, r"\*", "")
    texts = [with_interval(row) + star for row, star in zip(outcome.to_dict("records"), stars, strict=True)]
    cells = outcome.assign(text=texts)
    table = cells.pivot_table("text", "comparison", "measure", aggfunc="first", sort=False).fillna("–")
    return table.rename(columns=SHORT_TITLES).rename_axis(columns=None).reset_index()


def p_text(p: float) -> str:
    """ "0.031", "< 0.001", or a dash if there is none."""
    return "–" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def with_interval(row: dict) -> str:
    """ "+0.8 [-0.2, +1.8]", x 100; without brackets if a single seed gives no interval."""
    digits = FINER.get(row["measure"], 1)
    difference, low, high = (
        f"{round(100 * row[name], digits) + 0.0:+.{digits}f}" for name in ("difference", "low", "high")
    )
    return f"{difference} [{low}, {high}]" if np.isfinite(row["low"]) else difference


def in_percent(values: pd.Series, digits: int = 1) -> pd.Series:
    """Values x 100 as text, a dash for NaN."""
    return values.map(lambda value: "–" if np.isnan(value) else f"{100 * value:.{digits}f}")


def as_markdown(table: pd.DataFrame) -> str:
    """A table of text as Markdown, first column left, others right."""
    align = ["left"] + ["right"] * (len(table.columns) - 1)
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)


def as_latex(table: pd.DataFrame, note: str, label: str) -> str:
    r"""A table of text, its first column to be escaped, as LaTeX; needs \usepackage{booktabs}."""
    first, *others = table
    shown = table.assign(**{first: table[first].map(escaped)}).rename(columns=escaped)
    text = shown.to_latex(
        index=False,
        column_format="l" + "r" * len(others),
        caption=escaped(note).replace(" x 100", r" $\times$ 100"),
        label=re.sub(r"[^\w:.-]|_", "-", label),
        position="t",
    ).replace("–", "--")
    size = "[t]\n\\centering\n\\small\n"
    if len(table.columns) > WIDE:
        text, size = text.replace("{table}", "{table*}"), size + "\\setlength{\\tabcolsep}{3pt}\n"
    return "% needs \\usepackage{booktabs}\n" + text.replace("[t]\n", size, 1)


def escaped(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return text.translate(str.maketrans(SPECIAL))


def long_table(summary: Summary) -> pd.DataFrame:
    """variant, measure, au ("mean" or AU01, ...), value (mean over seeds), low, high (lowest and highest
    seed), seeds (how many have a value); scores in [0, 1], not x 100.

    The same from run folders and from the committed summary: of values as that keeps them, measures in
    alphabetical order, MEAN_DIGITS of a mean.
    """
    values = summary.values.assign(value=summary.values["value"].map(short))
    values["variant"] = pd.Categorical(values["variant"], summary.variants, ordered=True)
    grouped = values.groupby(["variant", "measure", "au"], observed=True)["value"]
    table = grouped.agg(value="mean", low="min", high="max", seeds="count").reset_index()
    return table.assign(value=[short(value, MEAN_DIGITS) for value in table["value"]])


def caption(summary: Summary, per_au: str = "") -> str:
    """What the numbers are: a fixed note, then measure, seeds, folds, and runs that are left out."""
    counts = summary.seeds_of(per_au or "f1").count()
    fewest, most = (counts.min(), counts.max()) if len(counts) else (0, 0)
    left_out = [text for text in summary.missing if "no run of fold" in text]
    facts = {
        "Measure": TITLES.get(per_au, per_au),
        "Seeds": f"{fewest}" if fewest == most else f"{fewest} to {most}",
        "Folds": f"{len(folds_of(summary.folds))} of {summary.folds}" if summary.folds else "",
        "Left out": "; ".join(left_out),
    }
    spread = "" if per_au else ", lowest and highest in brackets"
    note = f"Target test faces, x 100: mean over seeds{spread}. "
    note += "Best bold, second underlined, bounds not ranked."
    return " ".join([note, *(f"{name}: {fact}." for name, fact in facts.items() if fact)])
