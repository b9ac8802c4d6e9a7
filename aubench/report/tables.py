"""A study's scores as the table of a paper: Markdown, LaTeX (booktabs) or CSV.

Means over seeds with the lowest and the highest seed; the best of a column bold, the second
underlined. Bounds that use target labels (oracle) are shown but not ranked.
"""

import re

import numpy as np
import pandas as pd

from aubench.report.equal_time import footing
from aubench.report.fold_scores import folds_of
from aubench.report.run_values import MEAN
from aubench.report.statistics import (
    DISTANCES,
    ERRORS,
    PROBES,
    SIGNIFICANT,
    against,
    paired_differences,
)
from aubench.report.summaries import Summary, is_bound, short
from aulib.metrics import MEASURES, REPORTED

FORMATS = ("md", "latex", "csv")
TITLES = {name: measure.title for name, measure in MEASURES.items()} | {"source_f1": "F1-frame, source"}
MEANT_DIGITS = 6  # significant, of a mean in the CSV
WIDE = 8  # columns; a LaTeX table of more goes over both columns of a page
SHORT_TITLES = {"f1": "F1", "auc": "AUC", "f1_norm": "skew-normalised F1", "nme": "NME"}
SHORT_TITLES |= ERRORS | DISTANCES | PROBES
FINER = {"nme": 2}  # decimals of a value x 100; others have 1
SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


def study_table(
    summary: Summary, format: str = "md", measures: tuple[str, ...] = REPORTED, per_au: str = ""
) -> str:
    """The table as text.

    Args:
        format: md, latex or csv.
        measures: columns (md, latex): means over AUs. Those that no variant has are left out.
        per_au: a measure, for a column an AU and their mean instead.

    Raises:
        ValueError: unknown format, or a measure that the study does not have.
    """
    if format not in FORMATS:
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    if format == "csv":
        return long_table(summary).to_csv(index=False, lineterminator="\n")
    known = set(summary.values["measure"])
    if per_au:
        if per_au not in known:
            raise ValueError(f"study {summary.study!r} has no measure {per_au!r}; it has {sorted(known)}")
        columns = [(per_au, au, au) for au in summary.aus] + [(per_au, MEAN, "mean")]
    else:
        columns = [(name, MEAN, TITLES.get(name, name)) for name in measures if name in known]
    if not columns:
        raise ValueError(f"study {summary.study!r} has none of {measures}; it has {sorted(known)}")
    cells = [column_cells(summary, measure, au, spread=not per_au) for measure, au, _ in columns]
    rows = [[variant, *(cell[variant] for cell in cells)] for variant in summary.variants]
    head, note = ["variant", *(title for _, _, title in columns)], caption(summary, per_au)
    if format == "md":
        return markdown(head, rows, note)
    return latex(head, rows, note, "-".join(["tab:" + summary.study, *([per_au] if per_au else [])]))


def ladder(summary: Summary, reference: str, equal_time: Summary | None = None) -> str:
    """Every variant with its F1 and its paired difference from the reference, as Markdown.

    The difference has its 95 % interval over seeds, and a star if it is significant after Holm's correction;
    the next column is the difference at equal wall-clock time, if that was run.

    Raises:
        ValueError: the study has no such variant.
    """
    f1 = column_cells(summary, "f1", MEAN, True)
    columns = {"F1-frame": {name: text for name, (text, _) in f1.items()}}
    for each in (summary, equal_time):
        if each is None:
            continue
        contrasts = against(each, reference)
        rows = paired_differences(each, contrasts, ["f1"])
        rows = rows[rows["au"] == MEAN].set_index("variant")
        title = f"minus {reference}, {footing(each, {reference, *(c.variant for c in contrasts)})}"
        columns[title] = {name: starred(row) for name, row in rows.iterrows()}
    for measure in ("auc", "nme"):
        cells = column_cells(summary, measure, MEAN, False)
        columns[TITLES[measure]] = {name: text for name, (text, _) in cells.items()}
    rows = [[name, *((cells.get(name, "–"), "") for cells in columns.values())] for name in summary.variants]
    note = (
        f"{caption(summary).split('. ')[0]}. Differences are paired by seed, with 95 % intervals over seeds "
        "(Student's t); \\* p < 0.05 after Holm's correction."
    )
    return markdown(["variant", *columns], rows, note)


def readable(outcome: pd.DataFrame) -> pd.DataFrame:
    """A study's outcome (`statistics.outcome`) with values x 100 as text, intervals in brackets."""
    rows = []
    for _, row in outcome.iterrows():
        digits = FINER.get(row["measure"], 1)
        au = "" if row["au"] == MEAN else f", {row['au']}"
        rows.append(
            {
                "comparison": row["comparison"],
                "measure": SHORT_TITLES.get(row["measure"], row["measure"]) + au,
                "difference": with_interval(row, digits),
                "p": _p_value(row["p_holm"]),
                "seeds": row["seeds"],
                "verdict": row["verdict"],
                "80 % found": "–" if np.isnan(row["detectable"]) else f"{100 * row['detectable']:.{digits}f}",
            }
        )
    columns = ["comparison", "measure", "difference", "p", "seeds", "verdict", "80 % found"]
    return pd.DataFrame(rows, columns=columns, index=outcome.index)


def _p_value(p: float) -> str:
    return "–" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparisons_by_measure(outcome: pd.DataFrame) -> pd.DataFrame:
    """A row per comparison, a column per measure; a star marks significant differences."""
    cells = outcome.assign(
        text=[starred(row, FINER.get(row["measure"], 1)) for _, row in outcome.iterrows()],
        title=outcome["measure"].map(lambda name: SHORT_TITLES.get(name, name)),
    )
    table = cells.pivot_table(index="comparison", columns="title", values="text", aggfunc="first", sort=False)
    return table.fillna("–").rename_axis(columns=None).reset_index()


def with_interval(row, digits: int = 1) -> str:
    """ "+0.8 [-0.2, +1.8]", x 100; without brackets if a single seed gives no interval."""
    difference, low, high = (
        f"{round(100 * row[name], digits) + 0.0:+.{digits}f}" for name in ("difference", "low", "high")
    )
    return f"{difference} [{low}, {high}]" if np.isfinite(row["low"]) else difference


def starred(row, digits: int = 1) -> str:
    r"""`with_interval`, followed by \* if the difference is significant after Holm's correction."""
    return with_interval(row, digits) + (r"\*" if row["p_holm"] < SIGNIFICANT else "")


def in_percent(values: pd.Series, digits: int = 1) -> pd.Series:
    """Values x 100 as text, a dash for NaN."""
    return values.map(lambda value: "–" if np.isnan(value) else f"{100 * value:.{digits}f}")


def as_markdown(table: pd.DataFrame) -> str:
    """A table of text as Markdown, first column left, others right."""
    align = ["left"] + ["right"] * (len(table.columns) - 1)
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)


def long_table(summary: Summary) -> pd.DataFrame:
    """variant, measure, au ("mean" or AU01, ...), value (mean over seeds), low, high (lowest and highest
    seed), seeds (how many have a value); scores in [0, 1], not x 100.

    The same from run folders and from the committed summary: of values as that keeps them, measures in
    alphabetical order, MEANT_DIGITS of a mean.
    """
    values = summary.values.assign(value=summary.values["value"].map(short))
    grouped = values.groupby(["variant", "measure", "au"])["value"]
    table = grouped.agg(value="mean", low="min", high="max", seeds="count").reset_index()
    table["value"] = table["value"].map(lambda value: short(value, MEANT_DIGITS))
    order = {name: place for place, name in enumerate(summary.variants)}
    return table.sort_values(
        ["variant", "measure", "au"],
        key=lambda column: column.map(order) if column.name == "variant" else column,
        ignore_index=True,
    )


def column_cells(summary: Summary, measure: str, au: str, spread: bool) -> dict[str, tuple[str, str]]:
    """variant -> (text x 100, "best" | "second" | ""); a dash where the variant has no value.

    Equal to the digit shown is equal: several may be best.
    """
    seeds = 100 * summary.seeds_of(measure, au)
    means = seeds.mean().round(1)
    competing = means[[name for name in means.index if not is_bound(summary.settings[name])]].dropna()
    ranked = np.sort(competing.unique())
    ranked = ranked if measure in MEASURES and MEASURES[measure].lower_is_better else ranked[::-1]
    cells = {}
    for variant in summary.variants:
        if variant not in means or np.isnan(means[variant]):
            cells[variant] = ("–", "")
            continue
        text = f"{means[variant]:.1f}"
        if spread and seeds[variant].count() > 1:
            text += f" [{seeds[variant].min():.1f}, {seeds[variant].max():.1f}]"
        place = list(ranked).index(means[variant]) if variant in competing else 2
        cells[variant] = (text, ("best", "second", "")[min(place, 2)] if len(competing) > 1 else "")
    return cells


def caption(summary: Summary, per_au: str = "") -> str:
    """What the numbers are."""
    seeds = sorted(set(summary.seeds_of(per_au or "f1").count())) if len(summary.values) else [0]
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    plural = "" if seeds[-1] == 1 else "s"
    what = f"{TITLES.get(per_au, per_au)} by AU: " if per_au else ""
    text = f"Target test faces, x 100: {what}mean of {count} seed{plural}{of_folds(summary)}"
    text += ", lowest and highest seed in brackets. " if seeds[-1] > 1 and not per_au else ". "
    text += "Best bold, second underlined"
    bounds = [name for name in summary.variants if is_bound(summary.settings[name])]
    return text + (f", {' and '.join(bounds)} apart." if bounds else ".")


def of_folds(summary: Summary) -> str:
    """Says that a seed's score is a mean over folds, and which seeds lack a fold."""
    if not summary.folds:
        return ""
    lacking = [text for text in summary.missing if "no run of fold" in text]
    left_out = f" ({'; '.join(lacking)}: left out)" if lacking else ""
    return f", each the mean of the {len(folds_of(summary.folds))} folds of {summary.folds}{left_out}"


def side_by_side(columns: dict[str, pd.Series], variants: list[str]) -> pd.DataFrame:
    """Values by variant as a table: a row a variant in their order, a column a name, NaN where missing."""
    return pd.DataFrame({name: values.reindex(variants) for name, values in columns.items()}, index=variants)


def markdown(head: list[str], rows: list[list], note: str) -> str:
    """Head, rows of a name and (text, place) cells, and a note, as a Markdown table."""
    marks = {"best": "**{}**", "second": "<ins>{}</ins>", "": "{}"}
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for name, *cells in rows:
        texts = [marks[place].format(text) for text, place in cells]
        lines.append("| " + " | ".join([name.replace("|", r"\|"), *texts]) + " |")
    return "\n".join([*lines, "", note]) + "\n"


def latex(head: list[str], rows: list[list], note: str, label: str) -> str:
    r"""The same as a LaTeX table; needs \usepackage{booktabs}. Many columns span the page."""
    marks = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}
    body = []
    for name, *cells in rows:
        texts = [marks[place] % text.replace("–", "--") for text, place in cells]
        body.append(" & ".join([escaped(name), *texts]) + r" \\")
    wide = len(head) > WIDE
    table = "table*" if wide else "table"
    lines = [
        r"% needs \usepackage{booktabs}",
        rf"\begin{{{table}}}[t]",
        r"\centering",
        r"\small",
        *([r"\setlength{\tabcolsep}{3pt}"] if wide else []),
        r"\caption{" + escaped(note).replace(" x 100", r" $\times$ 100") + "}",
        r"\label{" + re.sub(r"[^\w:.-]|_", "-", label) + "}",
        r"\begin{tabular}{l" + "r" * (len(head) - 1) + "}",
        r"\toprule",
        " & ".join(escaped(title) for title in head) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{table}}}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text with LaTeX's special characters escaped."""
    return "".join(SPECIAL.get(character, character) for character in text)
