"""What a study found: paired differences between its variants, and a verdict on each.

Two runs are paired if they have the same seed and data and differ in one thing. Assumptions: seeds are
independent and their differences are about normal, so Student's t with n - 1 degrees of freedom holds for n
seeds. Five seeds cannot check this. The intervals are about other seeds on the same test faces, not about
other people. p-values are two-sided and corrected within a family (Holm 1979).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from aubench.report.equal_time import UNEQUAL, footing
from aubench.report.run_values import MEAN
from aubench.report.summaries import Summary, is_bound
from aulib.methods import RICH_TWO, SUPERVISORS
from aulib.metrics import MEASURES, REPORTED

LEVEL = 0.95
SIGNIFICANT = 0.05  # of a p-value after Holm's correction
NEGLIGIBLE = 0.01  # one point of an F1 or AUC
GUESSING = 0.9  # of log N: a supervisor whose loss ends above it has learned nothing
SOLVED = 0.1  # of log N: a supervisor whose loss ends below it has little left to teach
RIVALS = ("separation", "adld", "multitask", "dann", "source-only")
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
WITHOUT_NEGLIGIBLE = {"nme", *ERRORS, *DISTANCES}  # nothing says which difference of these is negligible
COLUMNS = ("variant", "reference", "measure", "au", "difference", "low", "high", "p", "seeds")
OUTCOME = (
    "question", "variant", "reference", "comparison", "terms", "measure", "au", "difference", "low", "high",
    "p_holm", "seeds", "verdict", "detectable",
)  # fmt: skip
INTERMEDIATE = tuple(name for name in SUPERVISORS if name not in RICH_TWO)  # the four additional ones [P]


@dataclass(frozen=True)
class Contrast:
    """variant minus reference; about: what the difference is the effect of."""

    variant: str
    reference: str
    about: str = ""


def against(summary: Summary, reference: str) -> list[Contrast]:
    """Every variant minus one reference, without the bounds that use target labels (oracle).

    Raises:
        ValueError: the study has no such variant.
    """
    if reference not in summary.variants:
        raise ValueError(f"study {summary.study!r} has no variant {reference!r}; it has {summary.variants}")
    return [
        Contrast(name, reference, name)
        for name in summary.variants
        if name != reference and not is_bound(summary.settings[name])
    ]


def usual_reference(summary: Summary) -> str:
    """The default reference: the two plain supervisors, else the lower bound.

    Raises:
        ValueError: the study has none of them.
    """
    for name in ("contrastive", "source-only"):
        if name in summary.variants:
            return name
    raise ValueError(
        f"study {summary.study!r} has neither variant contrastive nor source-only; "
        f"choose a reference: one of {summary.variants}"
    )


def supervisor_contrasts(summary: Summary) -> list[Contrast]:
    """Pairs of variants, at equal steps or time, that differ in one supervisor only: with it minus without.

    In the ladder: each of the four added to the two, and all six minus those that leave one out.
    """
    found = []
    for name in SUPERVISORS:
        for variant, reference in _differing_by(summary, {name}):
            found.append(Contrast(variant, reference, name))
    return found


def the_four(summary: Summary) -> list[Contrast]:
    """The paper's claim as a contrast: the four intermediate supervisors together, six against two."""
    return [
        Contrast(variant, reference, "the four together")
        for variant, reference in _differing_by(summary, set(INTERMEDIATE))
    ]


def _differing_by(summary: Summary, supervisors: set[str]) -> list[tuple[str, str]]:
    own = {name: set(settings.get("supervisors", ())) for name, settings in summary.settings.items()}
    rest = {name: _without_supervisors(settings) for name, settings in summary.settings.items()}
    return [
        (variant, reference)
        for variant in own
        for reference in own
        if own[variant] - own[reference] == supervisors
        and own[reference] <= own[variant]
        and rest[variant] == rest[reference]
        and footing(summary, {variant, reference}) != UNEQUAL
    ]


def _without_supervisors(settings: dict) -> dict:
    """All other settings of the runs; `footing` compares steps, and the method's name is only a name."""
    rest = {key: value for key, value in settings.items() if key not in ("method", "supervisors", "steps")}
    rest["weights"] = {key: value for key, value in rest.get("weights", {}).items() if key not in SUPERVISORS}
    return rest


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


def outcome(summary: Summary) -> pd.DataFrame:
    """All that a study can say about the supervisors, a row per comparison.

    Returns:
        question ("the four together", "each supervisor", "rivals", "choices", "reconstruction" or "probes"),
        variant, reference, comparison, terms (`footing`, "" for a mean of several pairs), measure, au,
        difference, low, high, p_holm, seeds, verdict, and detectable: the effect that this many seeds would
        find with a probability of 80 %. A question that the study's variants cannot answer has no rows.
    """
    six = the_four(summary)
    pairs = [(one.variant, one.reference) for one in six]
    pairs += [("contrastive", "separation"), ("full", "separation"), ("adld", "separation"), ("full", "adld")]
    known = set(summary.variants)
    rounds = [Contrast(*pair) for pair in dict.fromkeys(pairs) if known.issuperset(pair)]
    rivals = [Contrast("full", name) for name in RIVALS if {"full", name} <= known]
    errors = [*ERRORS, *DISTANCES]
    tables = {
        "the four together": paired_differences(summary, six, ["f1", "auc"]),
        "each supervisor": effects_of_supervisors(summary, ["f1", "auc"]),
        "rivals": one_family(summary, rivals, list(REPORTED)),
        "choices": one_family(summary, changed_choices(summary), ["f1"]),
        "reconstruction": one_family(summary, rounds, errors),
        "probes": one_family(summary, six, list(PROBES)),
    }
    table = pd.concat([rows.assign(question=name) for name, rows in tables.items()], ignore_index=True)
    table["comparison"] = [_comparison(row) for _, row in table.iterrows()]
    table["terms"] = [
        footing(summary, pair) if (pair := {row["variant"], row["reference"]}) <= known else ""
        for _, row in table.iterrows()
    ]
    table["verdict"] = [verdict(row) for _, row in table.iterrows()]
    table["detectable"] = [
        detectable(row["low"], row["high"], row["seeds"], row["family"]) for _, row in table.iterrows()
    ]
    return table[list(OUTCOME)]


def _comparison(row) -> str:
    if row["question"] == "each supervisor":
        return f"with minus without `{row['about']}`"
    return f"`{row['variant']}` minus `{row['reference']}`"


def changed_choices(summary: Summary) -> list[Contrast]:
    """`full` minus itself with another alignment, negatives or extraction."""
    own = summary.settings.get("full")
    return [
        Contrast("full", name)
        for name, other in summary.settings.items()
        if own and name != "full" and other.get("supervisors") == own.get("supervisors")
    ]


def idleness(summary: Summary) -> pd.DataFrame:
    """Whether the supervisors still pull at the end of training, a row per variant that has some.

    Returns:
        variant; on, growing: steps with the supervisors, and steps over which their weight grows (NaN if the
        settings do not say); lowest, highest: final loss over log N among the supervisors; share of the
        gradient in E and G in [0, 1], NaN if not logged; state: "guessing", "solved" or "at work".
    """
    values = summary.values[summary.values["au"] == MEAN]
    ends = values[values["measure"].str.startswith("saturation.")]
    means = ends.pivot_table(index="variant", columns="measure", values="value")
    shares = values[values["measure"].isin([f"share.{name}" for name in SUPERVISORS])]
    share = shares.groupby(["variant", "seed"])["value"].sum().groupby("variant").mean()
    rows = []
    for name in [name for name in summary.variants if name in means.index]:
        lowest, highest = means.loc[name].min(), means.loc[name].max()
        on, growing = steps_on(summary.settings[name])
        state = "guessing" if lowest > GUESSING else "solved" if highest < SOLVED else "at work"
        rows.append((name, on, growing, lowest, highest, share.get(name, np.nan), state))
    return pd.DataFrame(rows, columns=["variant", "on", "growing", "lowest", "highest", "share", "state"])


def steps_on(settings: dict) -> tuple[float, float]:
    """Steps with the supervisors, and steps over which their weight grows; NaN if the settings do not say."""
    preset = settings.get("preset_values", {})
    if not {"separation_starts", "ramp"} <= preset.keys():
        return np.nan, np.nan
    steps = settings["steps"]
    return steps - math.ceil(preset["separation_starts"] * steps), round(preset["ramp"] * steps)


def learning_curves(summary: Summary) -> pd.DataFrame:
    """`full` minus `contrastive` after different numbers of steps.

    Returns:
        steps, variant, reference, source_f1 and f1 (mean over seeds) of both as `<method>, source` and
        `<method>, target`, measure, difference, low, high, p_holm, seeds, verdict. Variants are recognised by
        their method and steps; steps that lack one of the two methods have no row.
    """
    by_steps: dict[int, dict[str, str]] = {}
    for variant, settings in summary.settings.items():
        by_steps.setdefault(settings["steps"], {})[settings["method"]] = variant
    rows = []
    for steps, variants in sorted(by_steps.items()):
        if {"contrastive", "full"} <= variants.keys():
            row = {"steps": steps}
            for method in ("contrastive", "full"):
                row[f"{method}, source"] = summary.seeds_of("source_f1")[variants[method]].mean()
                row[f"{method}, target"] = summary.seeds_of("f1")[variants[method]].mean()
            contrast = Contrast(variants["full"], variants["contrastive"])
            difference = one_family(summary, [contrast], ["f1"]).iloc[0]
            rows.append(row | difference.to_dict() | {"verdict": verdict(difference)})
    return pd.DataFrame(rows)


def paired_differences(summary: Summary, contrasts: list[Contrast], measures: list[str]) -> pd.DataFrame:
    """Each contrast on each measure, mean and per AU, over the seeds that both variants have.

    Returns:
        variant, reference, about, measure, au, difference (in the measure's unit), low, high (95 %
        interval, not corrected), p, seeds (how many), p_holm. The family of p_holm is all contrasts
        on the mean of one measure, and apart from it all contrasts on all AUs of one measure. With
        fewer than two common seeds low, high and p are NaN.
    """
    rows = []
    for measure in measures:
        own = summary.values[summary.values["measure"] == measure]
        for au in sorted(own["au"].unique(), key=lambda name: (name != MEAN, name)):
            table = summary.seeds_of(measure, au)
            for contrast in contrasts:
                if {contrast.variant, contrast.reference} <= set(table.columns):
                    differences = (table[contrast.variant] - table[contrast.reference]).dropna()
                    row = {"about": contrast.about, **_row(contrast, measure, au, differences)}
                    rows.append(row)
    return with_holm(pd.DataFrame(rows, columns=[*COLUMNS, "about"]))


def effects_of_supervisors(summary: Summary, measures: list[str]) -> pd.DataFrame:
    """What each supervisor adds, averaged over the contrasts that differ in it alone, seed by seed.

    Averaging "added to the two" with "left out of the six" uses every run that is informative about the
    supervisor. The interval is over seeds, as in `paired_differences`.

    Returns:
        the columns of `paired_differences`, with the supervisor as `about`, and `contrasts`,
        the number of averaged pairs.
    """
    rows = []
    by_supervisor: dict[str, list[Contrast]] = {}
    for contrast in supervisor_contrasts(summary):
        by_supervisor.setdefault(contrast.about, []).append(contrast)
    for measure in measures:
        own = summary.values[summary.values["measure"] == measure]
        for au in sorted(own["au"].unique(), key=lambda name: (name != MEAN, name)):
            table = summary.seeds_of(measure, au)
            for name, contrasts in by_supervisor.items():
                known = [c for c in contrasts if {c.variant, c.reference} <= set(table.columns)]
                if known:
                    each = pd.concat([table[c.variant] - table[c.reference] for c in known], axis=1)
                    differences = each.dropna().mean(axis=1)
                    contrast = Contrast(f"with {name}", f"without {name}", name)
                    row = {"about": name, "contrasts": len(known)}
                    rows.append(row | _row(contrast, measure, au, differences))
    return with_holm(pd.DataFrame(rows, columns=[*COLUMNS, "about", "contrasts"]))


def one_family(summary: Summary, contrasts: list[Contrast], measures: list[str]) -> pd.DataFrame:
    """`paired_differences` of means over AUs; all contrasts on all measures are one family."""
    table = paired_differences(summary, contrasts, measures)
    table = table[table["au"] == MEAN]
    return table.assign(p_holm=holm(table["p"].to_numpy(dtype=float)), family=table["p"].notna().sum())


def detectable(low: float, high: float, seeds: int, comparisons: int = 1, power: float = 0.8) -> float:
    """The effect that is found with probability `power`, given the spread behind an interval of `t_interval`.

    Found means p < 0.05 / comparisons, two-sided: Holm's threshold for the smallest p-value. Computed by the
    noncentral t with seeds - 1 degrees of freedom, in the interval's unit; NaN without an interval.
    """
    if not high > low:
        return 0.0 if high == low else np.nan
    freedom = seeds - 1
    error = (high - low) / 2 / stats.t.ppf(0.5 + LEVEL / 2, freedom)
    bound = stats.t.isf((1 - LEVEL) / 2 / comparisons, freedom)

    # a noncentral t is (z + effect) / spread; summed over its spread's quantiles, as SciPy's is NaN far out
    spread = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, freedom) / freedom)

    def too_often(effect: float) -> float:
        found = stats.norm.sf(bound * spread - effect) + stats.norm.cdf(-bound * spread - effect)
        return float(found.mean()) - power

    return error * optimize.brentq(too_often, 0.0, 20 * bound)


def _row(contrast: Contrast, measure: str, au: str, differences: pd.Series) -> dict:
    mean, low, high, p = t_interval(differences.to_numpy(dtype=float))
    return {
        "variant": contrast.variant, "reference": contrast.reference, "measure": measure, "au": au,
        "difference": mean, "low": low, "high": high, "p": p, "seeds": len(differences),
    }  # fmt: skip


def t_interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float, float, float]:
    """Mean of (n,) values, its interval by Student's t with n - 1 degrees of freedom, and p of "it is 0".

    Interval and p are NaN for one value, all are NaN for none. Equal values give an interval of width 0.
    """
    n = len(values)
    if n < 2:
        return (float(values[0]) if n else np.nan), np.nan, np.nan, np.nan
    return student_interval(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)), n - 1, level)


def student_interval(
    mean: float, error: float, freedom: float, level: float = LEVEL
) -> tuple[float, float, float, float]:
    """A mean of that standard error, its interval by Student's t, and p of "it is 0"; no error, no width."""
    if error == 0:
        return mean, mean, mean, float(mean == 0)
    half = stats.t.ppf(0.5 + level / 2, freedom) * error
    return mean, float(mean - half), float(mean + half), float(2 * stats.t.sf(abs(mean) / error, freedom))


def with_holm(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `p_holm`, corrected within each measure's means and within each measure's AUs."""
    table = table.assign(p_holm=np.nan, family=0)
    for _, rows in table.groupby(["measure", table["au"] == MEAN]):
        table.loc[rows.index, "p_holm"] = holm(rows["p"].to_numpy(dtype=float))
        table.loc[rows.index, "family"] = rows["p"].notna().sum()
    return table


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): (M,) p-values, NaN kept and not counted -> corrected, at most 1."""
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return corrected
