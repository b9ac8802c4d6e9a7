"""Equal steps or equal wall-clock time: which of the two a study compares at, and a plan for the other.

A schedule (warm-up, ramps, decay) is fitted to its number of steps, so a comparison at equal time needs runs
of its own: the state in the middle of a long run differs from the end of a short one. The second study has
the variants of the first, each with its own number of steps.
"""

from pathlib import Path

import pandas as pd
import yaml

from aubench.report.summaries import Summary, find_summary, is_bound
from aubench.study.strict_yaml import read_yaml

UNEQUAL = "unequal steps and time"


def comparison_terms(summary: Summary, variants: set[str]) -> str:
    """What the variants have in common: "equal steps", "equal time" or UNEQUAL.

    Times are equal if none is more than a tenth above another. A variant's time is its steps times the least
    cost of a step over its seeds: other work on the machine only adds to it.
    """
    steps = pd.Series({name: summary.settings[name]["steps"] for name in variants})
    if steps.nunique() == 1:
        return "equal steps"
    seconds = steps * summary.seeds_of("seconds_per_step").min().reindex(steps.index)
    return "equal time" if seconds.max() <= 1.1 * seconds.min() else UNEQUAL


def find_equal_time(study: str | Path, second: str = "") -> Summary | None:
    """The summary of a study's variants run for equal time; None if there is none.

    Args:
        study, second: as in `summaries.find_summary`. An empty `second` means <study>_equal_time, next to the
            study.

    Raises:
        FileNotFoundError: `second` is given and does not exist.
    """
    if second:
        return find_summary(second)
    study = Path(study)
    runs_or_summary = study.is_dir() or study.suffix == ".json"
    name = study.name if study.is_dir() else study.stem
    try:
        return find_summary(f"{name}_equal_time", study.parent if runs_or_summary else "results")
    except FileNotFoundError:
        return None


def steps_at_equal_time(summary: Summary, reference: str) -> dict[str, int]:
    """Steps that give every variant the time that the reference's steps took it.

    The cost of a step is the minimum over a variant's seeds, measured on one machine: other work there only
    adds to it. A bound that uses target labels keeps its steps.

    Raises:
        ValueError: no such variant, or the cost of a variant's step is unknown.
    """
    cost = summary.seeds_of("seconds_per_step").min()
    if unknown := sorted({reference, *summary.variants} - set(cost.index)):
        raise ValueError(f"study {summary.study!r} has no cost of a step for {unknown}")
    budget = cost[reference] * summary.settings[reference]["steps"]
    return {
        name: own["steps"] if is_bound(own) else max(1, round(budget / cost[name]))
        for name, own in summary.settings.items()
    }


def equal_time_plan(plan: str | Path, summary: Summary, reference: str) -> str:
    """The YAML of the second study: the first one's variants with their steps at equal time.

    Variants without a run are left out, because the cost of their step is unknown.

    Args:
        plan: the first study's YAML, with named variants.

    Raises:
        ValueError: none of the plan's variants has a run.
    """
    first = read_yaml(plan)
    steps = steps_at_equal_time(summary, reference)
    planned = first.get("variants") or {}
    variants = {name: (own or {}) | {"steps": steps[name]} for name, own in planned.items() if name in steps}
    if not variants:
        raise ValueError(f"{plan}: variants {list(planned)} have no runs; {list(steps)} have")
    fixed = {name: value for name, value in first.get("fixed", {}).items() if name != "steps"}
    question = f"At equal time, the seconds of {reference}: {first['question']}"
    second = first | {"question": question, "fixed": fixed, "variants": variants}
    return yaml.safe_dump(second, sort_keys=False, default_flow_style=None, width=110)
