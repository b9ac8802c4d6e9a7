"""What a study found: paired differences between its variants, and a verdict on each.

Two runs are paired if they have the same seed and data and differ in one thing. Assumptions: seeds are
independent and their differences are about normal, so Student's t with n - 1 degrees of freedom holds for n
seeds. Five seeds cannot check this. The intervals are about other seeds on the same test faces, not about
other people. p-values are two-sided and corrected within a family (Holm 1979).
"""

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
ROUNDS = [(name, "separation") for name in ("contrastive", "full", "adld")] + [("full", "adld")]
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
COLUMNS = (
    "about", "variant", "reference", "measure", "au", "difference", "low", "high", "p", "seeds", "pairs",
)  # fmt: skip
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
    return [pair for name in SUPERVISORS for pair in _differing_by(summary, {name}, name)]


def the_four(summary: Summary) -> list[Contrast]:
    """The paper's claim as a contrast: the four intermediate supervisors together, six against two."""
    return _differing_by(summary, set(INTERMEDIATE), "the four together")


def _differing_by(summary: Summary, supervisors: set[str], about: str) -> list[Contrast]:
    own = {name: set(settings.get("supervisors", ())) for name, settings in summary.settings.items()}
    rest = {name: _without_supervisors(settings) for name, settings in summary.settings.items()}
    return [
        Contrast(variant, reference, about)
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


def changed_choices(summary: Summary) -> list[Contrast]:
    """`full` minus itself with another alignment, negatives or extraction."""
    own = summary.settings.get("full")
    return [
        Contrast("full", name)
        for name, other in summary.settings.items()
        if own and name != "full" and other.get("supervisors") == own.get("supervisors")
    ]


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
    """All comparisons of a study, one per row.

    Returns:
        question ("the four together", "each supervisor", "rivals", "choices", "reconstruction" or "probes"),
        variant, reference, comparison, terms (`footing`, "" for a mean of several pairs), measure, au,
        difference, low, high, p_holm, seeds, verdict, and detectable: the effect that this many seeds would
        find with a probability of 80 %. A question that the study's variants cannot answer has no rows.
    """
    known = set(summary.variants)
    four = the_four(summary)
    rounds = four + [Contrast(*pair) for pair in ROUNDS if known.issuperset(pair)]
    rivals = [Contrast("full", name) for name in RIVALS if {"full", name} <= known]
    each = effects_of_supervisors(summary, ["f1", "auc"])
    tables = {
        "the four together": paired_differences(summary, four, ["f1", "auc"]),
        "each supervisor": each.assign(comparison="with minus without `" + each["about"] + "`"),
        "rivals": one_family(summary, rivals, list(REPORTED)),
        "choices": one_family(summary, changed_choices(summary), ["f1"]),
        "reconstruction": one_family(summary, rounds, [*ERRORS, *DISTANCES]),
        "probes": one_family(summary, four, list(PROBES)),
    }
    table = pd.concat([rows.assign(question=name) for name, rows in tables.items()], ignore_index=True)
    pairs = "`" + table["variant"] + "` minus `" + table["reference"] + "`"
    table["comparison"] = table["comparison"].fillna(pairs)
    table["terms"] = [
        footing(summary, {variant, reference}) if {variant, reference} <= known else ""
        for variant, reference in zip(table["variant"], table["reference"], strict=True)
    ]
    table["detectable"] = [
        detectable(row["low"], row["high"], row["seeds"], row["family"]) for _, row in table.iterrows()
    ]
    return table[list(OUTCOME)]


def idleness(summary: Summary) -> pd.DataFrame:
    """Whether the supervisors still pull at the end of training, a row per variant that has some.

    Returns:
        variant; lowest, highest: final loss over log N among the supervisors; share: of the gradient in E and
        G, in [0, 1], NaN if not logged; state: "guessing", "solved" or "at work".
    """
    values = summary.values[summary.values["au"] == MEAN]
    ends = values[values["measure"].str.startswith("saturation.")]
    means = ends.groupby(["variant", "measure"])["value"].mean().groupby("variant")
    shares = values[values["measure"].isin([f"share.{name}" for name in SUPERVISORS])]
    share = shares.groupby(["variant", "seed"])["value"].sum().groupby("variant").mean()
    table = pd.DataFrame({"lowest": means.min(), "highest": means.max(), "share": share}).dropna(
        subset="lowest"
    )
    table["state"] = "at work"
    table.loc[table["highest"] < SOLVED, "state"] = "solved"
    table.loc[table["lowest"] > GUESSING, "state"] = "guessing"
    order = [name for name in summary.variants if name in table.index]
    return table.loc[order].reset_index(names="variant")


def learning_curves(summary: Summary) -> pd.DataFrame:
    """`full` minus `contrastive` after different numbers of steps.

    Returns:
        steps, variant, reference, F1 of both as `<method>, source` and `<method>, target` (mean over seeds),
        measure, difference, low, high, p_holm, seeds, verdict. Variants are recognised by their method and
        steps; steps that lack one of the two methods have no row.
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
            rows.append(row | one_family(summary, [contrast], ["f1"]).iloc[0].to_dict())
    return pd.DataFrame(rows)


def paired_differences(summary: Summary, contrasts: list[Contrast], measures: list[str]) -> pd.DataFrame:
    """Each contrast on each measure, mean and per AU, over the seeds that both variants have.

    Returns:
        about, variant, reference, measure, au, difference (in the measure's unit), low, high (95 % interval,
        not corrected), p, seeds (how many), pairs (averaged, here 1), p_holm, family (its size), verdict.
        All contrasts on the mean of a measure are one family of p_holm, all contrasts on its AUs another.
        With fewer than two common seeds low, high and p are NaN.
    """
    table = _differences(summary, [(contrast, [contrast]) for contrast in contrasts], measures)
    return _corrected(table, [table["measure"], table["au"] == MEAN])


def effects_of_supervisors(summary: Summary, measures: list[str]) -> pd.DataFrame:
    """What each supervisor adds, averaged over the contrasts that differ in it alone, seed by seed.

    Averaging "added to the two" with "left out of the six" uses every run that is informative about the
    supervisor. The interval is over seeds.

    Returns:
        the columns of `paired_differences`, with the supervisor as `about`.
    """
    effects = {name: Contrast(f"with {name}", f"without {name}", name) for name in SUPERVISORS}
    pairs = {name: [] for name in SUPERVISORS}
    for contrast in supervisor_contrasts(summary):
        pairs[contrast.about].append(contrast)
    table = _differences(summary, [(effects[name], pairs[name]) for name in SUPERVISORS], measures)
    return _corrected(table, [table["measure"], table["au"] == MEAN])


def one_family(summary: Summary, contrasts: list[Contrast], measures: list[str]) -> pd.DataFrame:
    """`paired_differences` of means over AUs; all contrasts on all measures are one family."""
    table = _differences(summary, [(contrast, [contrast]) for contrast in contrasts], measures)
    return _corrected(table[table["au"] == MEAN], lambda _: 0)


def _differences(
    summary: Summary, groups: list[tuple[Contrast, list[Contrast]]], measures: list[str]
) -> pd.DataFrame:
    """Per measure, AU and group: the mean of the group's pairs, seed by seed, and its interval."""
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
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _corrected(table: pd.DataFrame, families) -> pd.DataFrame:
    """The table with p_holm, the size of the family and the verdict; `families` is what to group by."""
    p = table["p"].astype(float).groupby(families)
    table = table.assign(p_holm=p.transform(lambda own: holm(own.to_numpy())), family=p.transform("count"))
    return table.assign(verdict=[verdict(row) for _, row in table.iterrows()])


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down correction (1979): (M,) p-values, NaN kept and not counted -> corrected, at most 1."""
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return corrected


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
    """A mean of this standard error, its interval by Student's t, and p of "it is 0"; no error, no width."""
    if error == 0:
        return mean, mean, mean, float(mean == 0)
    half = stats.t.ppf(0.5 + level / 2, freedom) * error
    return mean, float(mean - half), float(mean + half), float(2 * stats.t.sf(abs(mean) / error, freedom))


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
