"""Which variants of a study are compared, and what came out: one row per comparison, with a verdict."""

import pandas as pd

from aubench.report.equal_time import UNEQUAL, comparison_terms
from aubench.report.run_values import MEAN
from aubench.report.statistics import (
    DISTANCES,
    ERRORS,
    PROBES,
    Contrast,
    detectable,
    mean_differences,
    one_family,
    paired_differences,
)
from aubench.report.summaries import Summary, is_bound
from aubench.study.resolved import differences
from aulib.metrics import REPORTED
from aulib.run_config import what_counts
from aulib.supervisors import ALL_SIX, RICH_TWO, SUPERVISORS

GUESSING = 0.9  # of log N: a supervisor whose loss ends above it has learned nothing
SOLVED = 0.1  # of log N: a supervisor whose loss ends below it tells nearly all faces apart
IDLE = 0.01  # of the gradient: supervisors with a smaller share of it move nothing
RIVALS = (
    "separation", "adld", "adld-erasure",
    "multitask", "dann", "mean-teacher", "landmarks-only", "source-only",
)  # fmt: skip
ROUNDS = [(name, "separation") for name in ("contrastive", "full", "adld", "adld-erasure")] + [
    ("full", "adld"), ("full", "adld-erasure"), ("full-adversary", "adld"),
]  # fmt: skip
OUTCOME = (
    "question", "variant", "reference", "comparison", "terms", "measure", "au", "difference", "low", "high",
    "p_holm", "seeds", "verdict", "detectable",
)  # fmt: skip
INTERMEDIATE = tuple(name for name in ALL_SIX if name not in RICH_TWO)  # the four additional ones [P]


def against(summary: Summary, reference: str) -> list[Contrast]:
    """Every variant minus one reference, without the bounds that use target labels (oracle).

    Raises:
        ValueError: the study has no such variant.
    """
    if reference not in summary.variants:
        raise ValueError(f"study {summary.study!r} has no variant {reference!r}; it has {summary.variants}")
    ranked = [name for name, settings in summary.settings.items() if not is_bound(settings)]
    return [Contrast(name, reference, name) for name in ranked if name != reference]


def usual_reference(summary: Summary) -> str:
    """The default reference: the two plain supervisors, else the lower bound, else the first variant."""
    usual = (name for name in ("contrastive", "source-only") if name in summary.variants)
    return next(usual, summary.variants[0])


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
    aligned = ("alignment", "negatives", "temperature")  # which a variant without supervisors does not say
    how = {name: {key: values[key] for key in aligned if key in values} for name, values in rest.items()}
    return [
        Contrast(variant, reference, about)
        for variant in own
        for reference in own
        if own[variant] - own[reference] == supervisors
        and own[reference] <= own[variant]
        and rest[variant] == (rest[reference] if own[reference] else rest[reference] | how[variant])
        and comparison_terms(summary, {variant, reference}) != UNEQUAL
    ]


def _without_supervisors(settings: dict) -> dict:
    """All else that makes the training; `comparison_terms` compares steps."""
    rest = what_counts(settings)
    for name in ("supervisors", "steps", "code"):
        rest.pop(name, None)
    for name, of_supervisors in (("weights", SUPERVISORS), ("model", ("alignment", "queues"))):
        rest[name] = {key: value for key, value in rest.get(name, {}).items() if key not in of_supervisors}
    return rest


def variants_compared(summary: Summary) -> pd.DataFrame:
    """What the runs of each variant resolved to.

    Returns:
        variant, method, supervisors, alignment, steps; other: where these are those of an earlier row, how
        the variant differs from it, "full: share_extraction True -> False"; seeds (how many), code (version
        of aulib's files, several if they were edited between the runs). Without columns that are all empty.
    """
    seeds = summary.values.groupby("variant")["seed"].nunique()
    rows, earlier = [], {}
    for variant, settings in summary.settings.items():
        how = ("alignment", "negatives") if settings.get("supervisors") else ()
        row = {
            "method": settings["method"],
            "supervisors": ", ".join(settings.get("supervisors", ())),
            "alignment": ", ".join(settings[name] for name in how if settings.get(name)),
            "steps": settings["steps"],
        }
        like = earlier.setdefault(tuple(row.values()), variant)
        found = differences(summary.settings[like], settings)  # none from itself
        texts = [f"{name} {one} -> {two}" for name, (one, two) in found.items()]
        row |= {"other": f"{like}: {', '.join(texts)}" if like != variant else ""}
        row |= {"seeds": seeds.get(variant, 0), "code": ", ".join(settings.get("code", []))}
        rows.append({"variant": variant} | row)
    table = pd.DataFrame(rows)
    return table.loc[:, (table != "").any()]


def changed_choices(summary: Summary) -> list[Contrast]:
    """`full` minus itself with another alignment, negatives or extraction."""
    own = summary.settings.get("full")
    return [
        Contrast("full", name)
        for name, other in summary.settings.items()
        if own and name != "full" and other.get("supervisors") == own.get("supervisors")
    ]


def effects_of_supervisors(summary: Summary, measures: list[str]) -> pd.DataFrame:
    """What each supervisor adds, averaged over the contrasts that differ in it alone, seed by seed.

    Averaging "added to the two" with "left out of the six" uses every run that is informative about the
    supervisor. The interval is over seeds.

    Returns:
        the columns of `paired_differences`, with the supervisor as `about`.
    """
    groups = [
        (Contrast(f"with {name}", f"without {name}", name), _differing_by(summary, {name}, name))
        for name in SUPERVISORS
    ]
    return mean_differences(summary, groups, measures)


def outcome(summary: Summary) -> pd.DataFrame:
    """All comparisons of a study, one per row.

    Returns:
        question ("the four together", "all six", "each supervisor", "rivals", "choices", "reconstruction" or
        "probes"), variant, reference, comparison, terms (`comparison_terms`, "" for several pairs), measure,
        au, difference, low, high, p_holm, seeds, verdict, and detectable: the effect that this many seeds
        would find with a probability of 80 %. A question that the study's variants cannot answer has no rows.
    """
    known = set(summary.variants)
    four, six = the_four(summary), _differing_by(summary, set(ALL_SIX), "all six")
    separations = {name: own.get("model", {}).get("separation") for name, own in summary.settings.items()}
    pairs = [pair for pair in ROUNDS if known.issuperset(pair)]
    rounds = four + [Contrast(*pair) for pair in pairs if len({separations[name] for name in pair}) == 1]
    rivals = [Contrast("full", name) for name in RIVALS if {"full", name} <= known]
    each = effects_of_supervisors(summary, ["f1", "auc"])
    tables = {
        "the four together": paired_differences(summary, four, ["f1", "auc"]),
        "all six": one_family(summary, six, ["f1", "auc", "f1_norm"]),
        "each supervisor": each.assign(comparison="with minus without `" + each["about"] + "`"),
        "rivals": one_family(summary, rivals, list(REPORTED)),
        "choices": one_family(summary, changed_choices(summary), ["f1"]),
        "reconstruction": one_family(summary, rounds, [*ERRORS, *DISTANCES]),
        "probes": one_family(summary, four, list(PROBES)),
    }
    table = pd.concat([rows.assign(question=name) for name, rows in tables.items()], ignore_index=True)
    pairs = "`" + table["variant"] + "` minus `" + table["reference"] + "`"
    table["comparison"] = table["comparison"].fillna(pairs)
    compared = [set(pair) for pair in zip(table["variant"], table["reference"], strict=True)]
    table["terms"] = [comparison_terms(summary, pair) if pair <= known else "" for pair in compared]
    spreads = table[["low", "high", "seeds", "family"]]
    table["detectable"] = [detectable(*row) for row in spreads.itertuples(index=False)]
    return table[list(OUTCOME)]


def idleness(summary: Summary) -> pd.DataFrame:
    """Whether the supervisors still pull at the end of training, a row per variant that has some.

    Returns:
        variant; lowest, highest: final loss over log N among the supervisors, NaN for an alignment without
        rivals; share: of the gradient in E and G, in [0, 1], NaN if not logged; state: "idle" (by its share),
        else "guessing", "solved" (by the loss) or "at work". A task that is solved may still pull: the share
        says how much.
    """
    values = summary.values[summary.values["au"] == MEAN]
    ends = values[values["measure"].str.startswith("saturation.")]
    means = ends.groupby(["variant", "measure"])["value"].mean().groupby("variant")
    shares = values[values["measure"].isin([f"share.{name}" for name in SUPERVISORS])]
    share = shares.groupby(["variant", "seed"])["value"].sum().groupby("variant").mean()
    own = [name for name in summary.variants if summary.settings[name].get("supervisors")]
    table = pd.DataFrame({"lowest": means.min(), "highest": means.max(), "share": share})
    table = table.reindex(own).dropna(how="all").assign(state="at work")
    table.loc[table["highest"] < SOLVED, "state"] = "solved"
    table.loc[table["lowest"] > GUESSING, "state"] = "guessing"
    table.loc[table["share"] < IDLE, "state"] = "idle"
    return table.reset_index(names="variant")
