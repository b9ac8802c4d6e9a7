"""One comparison in words: its verdict and its points.

A variant helps or hurts where Holm's correction leaves p below SIGNIFICANT; makes no difference where the
whole interval lies within NEGLIGIBLE of none; otherwise the evidence is not enough.
"""

import numpy as np

SIGNIFICANT = 0.05
NEGLIGIBLE = 0.01  # one point of F1 or AUC
NAMES = {"f1": "F1", "auc": "AUC", "f1_norm": "skew-normalised F1", "nme": "NME"}
STAR = r"\*"  # beside what survives the correction, in Markdown


def verdict(row) -> str:
    """helps, hurts, no difference, not enough evidence; for a row of a comparison whose measure counts up."""
    if row["p_holm"] < SIGNIFICANT:
        return "helps" if row["difference"] > 0 else "hurts"
    if -NEGLIGIBLE < row["low"] and row["high"] < NEGLIGIBLE:
        return "no difference"
    return "not enough evidence"


def points(row, digits: int = 1) -> str:
    """ "+0.8 [-0.2, +1.8]", x 100; without brackets where one seed gives no interval."""
    difference, low, high = (
        f"{round(100 * row[name], digits) + 0.0:+.{digits}f}" for name in ("difference", "low", "high")
    )
    return f"{difference} [{low}, {high}]" if np.isfinite(row["low"]) else difference


def starred(row, digits: int = 1) -> str:
    """`points`, with a star where they survive the correction."""
    return points(row, digits) + (STAR if row["p_holm"] < SIGNIFICANT else "")


def listed(names: list[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
