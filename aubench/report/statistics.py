"""Paired differences between variants of a study: interval, p-value, Holm's correction, verdict, power.

Two runs are paired if they have the same seed and data and differ in one thing. Assumptions: seeds are
independent and their differences are about normal, so Student's t with n - 1 degrees of freedom holds for n
seeds. Five seeds cannot check this. The intervals are about other seeds on the same test faces, not about
other people. p-values are two-sided and corrected within a family (Holm 1979).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import optimize, stats

from aubench.report.run_values import MEAN
from aubench.report.summaries import Summary
from aulib.metrics import MEASURES
from aulib.supervisors import SUPERVISORS

LEVEL = 0.95
POWER = 0.8
SIGNIFICANT = 0.05  # of a p-value after Holm's correction
NEGLIGIBLE = 0.01  # one point of an F1 or AUC
ERRORS = {
    "insides.reconstruction.self": "reconstruction",
    "insides.reconstruction.second": "reconstruction, second round",
}
DISTANCES = {f"insides.distance.{name}": f"distance of the rounds, {name}" for name in SUPERVISORS}
PROBES = {
    "insides.au_probe.texture.source": "AUs read from the texture",
    "insides.domain_probe.shape": "domain read from the shape",
}
LOWER_IS_BETTER = {name for name, measure in MEASURES.items() if measure.lower_is_better}
LOWER_IS_BETTER |= {*ERRORS, *DISTANCES, *PROBES}
WITHOUT_NEGLIGIBLE = {"nme", *ERRORS, *DISTANCES}  # no difference of these is known to be negligible
COLUMNS = [
    "about", "variant", "reference", "measure", "au", "difference", "low", "high", "p", "seeds", "pairs",
]  # fmt: skip


@dataclass(frozen=True)
class Contrast:
    """variant minus reference; about: what the difference is the effect of."""

    variant: str
    reference: str
    about: str = ""


def paired_differences(summary: Summary, contrasts: list[Contrast], measures: list[str]) -> pd.DataFrame:
    """Each contrast on each measure, mean and per AU, over the seeds that both variants have.

    Returns:
        about, variant, reference, measure, au, difference (in the measure's unit), low, high (95 % interval,
        not corrected), p, seeds (how many), pairs (averaged, here 1), p_holm, family (its size), verdict.
        All contrasts on the mean of a measure are one family of p_holm, all contrasts on its AUs another.
        With fewer than two common seeds low, high and p are NaN.
    """
    return mean_differences(summary, [(contrast, [contrast]) for contrast in contrasts], measures)


def one_family(summary: Summary, contrasts: list[Contrast], measures: list[str]) -> pd.DataFrame:
    """`paired_differences` of means over AUs; all contrasts on all measures are one family."""
    return with_holm(paired_differences(summary, contrasts, measures).query("au == @MEAN"), lambda _: 0)


def mean_differences(
    summary: Summary, groups: list[tuple[Contrast, list[Contrast]]], measures: list[str]
) -> pd.DataFrame:
    """`paired_differences` of means over the pairs of each group, seed by seed."""
    rows = []
    for measure in measures:
        aus = set(summary.values.loc[summary.values["measure"] == measure, "au"])
        for au in sorted(aus, key=lambda name: (name != MEAN, name)):
            table = summary.seeds_of(measure, au)
            for shown, pairs in groups:
                known = [pair for pair in pairs if {pair.variant, pair.reference} <= set(table.columns)]
                if not known:
                    continue
                each = pd.concat([table[pair.variant] - table[pair.reference] for pair in known], axis=1)
                differences = each.dropna().mean(axis=1).to_numpy(dtype=float)
                names = (shown.about, shown.variant, shown.reference, measure, au)
                rows.append((*names, *t_interval(differences), len(differences), len(known)))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return with_holm(table, [table["measure"], table["au"] == MEAN])


def with_holm(table: pd.DataFrame, families) -> pd.DataFrame:
    """The table with p_holm, the size of the family and the verdict; `families` is what to group by."""
    p = table["p"].astype(float).groupby(families)
    table = table.assign(p_holm=p.transform(lambda own: holm(own.to_numpy())), family=p.transform("count"))
    return table.assign(verdict=[verdict(row) for _, row in table.iterrows()])


def verdict(row) -> str:
    """helps, hurts, no difference or undecided.

    A difference that is significant after Holm's correction helps or hurts. One whose whole interval lies
    within NEGLIGIBLE of 0 is no difference. Everything else is undecided.

    Args:
        row: measure, difference, low, high, p_holm.
    """
    if row["p_holm"] < SIGNIFICANT:
        return "helps" if (row["difference"] > 0) != (row["measure"] in LOWER_IS_BETTER) else "hurts"
    small = -NEGLIGIBLE < row["low"] and row["high"] < NEGLIGIBLE
    return "no difference" if small and row["measure"] not in WITHOUT_NEGLIGIBLE else "undecided"


def t_interval(values: np.ndarray) -> tuple[float, float, float, float]:
    """Mean of (n,) values, its 95 % interval (Student's t, n - 1 degrees of freedom), and p of "it is 0".

    Interval and p are NaN for one value, all are NaN for none. Equal values give an interval of width 0.
    """
    n = len(values)
    if n < 2:
        return (float(values[0]) if n else np.nan), np.nan, np.nan, np.nan
    return student_interval(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)), n - 1)


def student_interval(mean: float, error: float, freedom: float) -> tuple[float, float, float, float]:
    """Mean of this error, its 95 % interval (Student's t), and p of "it is 0". No error, no width."""
    if error == 0:
        return mean, mean, mean, float(mean == 0)
    half = stats.t.ppf(0.5 + LEVEL / 2, freedom) * error
    return mean, float(mean - half), float(mean + half), float(2 * stats.t.sf(abs(mean) / error, freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): (M,) p-values, NaN kept and not counted -> corrected, at most 1."""
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return corrected


def power(effect: float, seeds: int, comparisons: int = 1) -> float:
    """Probability to find an effect, given in standard errors of the mean, with `seeds` >= 2 seeds.

    Found means p < 0.05 / comparisons, two-sided: Holm's threshold for the smallest p-value. With effect 0 it
    is the share of false alarms.
    """
    freedom = seeds - 1
    bound = stats.t.isf((1 - LEVEL) / 2 / comparisons, freedom)
    # a noncentral t is (z + effect) / spread; summed over its spread's quantiles, as SciPy's is NaN far out
    spread = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, freedom) / freedom)
    found = stats.norm.sf(bound * spread - effect) + stats.norm.cdf(-bound * spread - effect)
    return float(found.mean())


def detectable(low: float, high: float, seeds: int, comparisons: int = 1) -> float:
    """The effect that is found with probability POWER, given the spread behind an interval of `t_interval`.

    Found as in `power`; in the interval's unit, NaN without an interval.
    """
    if not high > low:
        return 0.0 if high == low else np.nan
    error = (high - low) / 2 / stats.t.ppf(0.5 + LEVEL / 2, seeds - 1)
    return error * _detectable_errors(seeds, comparisons)


@lru_cache
def _detectable_errors(seeds: int, comparisons: int) -> float:
    """`detectable` in standard errors of the mean."""
    bound = stats.t.isf((1 - LEVEL) / 2 / comparisons, seeds - 1)
    return optimize.brentq(lambda effect: power(effect, seeds, comparisons) - POWER, 0.0, 20 * bound)
