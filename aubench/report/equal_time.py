"""Equal steps or equal wall-clock time: on which terms a study was run, and how to get the other.

A schedule is cut to its number of steps (warm-up, ramps, decay), so equal time wants runs of their own: a
long run's state in the middle is not what a short run ends with. The second study is the first with steps of
each variant's own.
"""

from pathlib import Path

import yaml

from aubench.report.summaries import Summary, find_summary, is_bound

UNEQUAL = "unequal steps and time"


def footing(summary: Summary, variants: set[str]) -> str:
    """On which terms variants are compared, from what was run: "equal steps", "equal time" or neither.

    Times are equal if no mean over seeds is more than a tenth above another.
    """
    if len({summary.settings[name]["steps"] for name in variants}) == 1:
        return "equal steps"
    seconds = summary.seeds_of("seconds").mean().reindex(sorted(variants))
    return "equal time" if seconds.max() <= 1.1 * seconds.min() else UNEQUAL


def find_equal_time(study: str | Path, said: str = "") -> Summary | None:
    """The summary of a study's variants run for equal time, if there is one.

    Args:
        study: as in `summaries.find_summary`.
        said: where it is, likewise; if not said, <study>_equal_time is looked for beside the study.

    Raises:
        FileNotFoundError: said, and not there.
    """
    if said:
        return find_summary(said)
    study = Path(study)
    runs_or_summary = study.is_dir() or study.suffix == ".json"
    name = study.name if study.is_dir() else study.stem
    try:
        return find_summary(f"{name}_equal_time", study.parent if runs_or_summary else "results")
    except FileNotFoundError:
        return None


def steps_at_equal_time(summary: Summary, reference: str) -> dict[str, int]:
    """Steps that give every variant the time that the reference's steps took it.

    A schedule is cut to its number of steps (warm-up, ramps, decay), so equal time wants runs of their own:
    a long run's state in the middle is not what a short run ends with. A step's cost is the least of a
    variant's seeds, measured on one machine: what else ran there only ever adds. A bound that saw target
    labels keeps the steps it needs.

    Raises:
        ValueError: no such variant, or no cost known of one.
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

    Variants that have no run yet are left out: what a step of theirs costs is not known.

    Args:
        plan: the first study's YAML, with named variants.

    Raises:
        ValueError: none of the plan's variants has a run.
    """
    said = yaml.safe_load(Path(plan).read_text(encoding="utf-8"))
    steps = steps_at_equal_time(summary, reference)
    known = {name: own or {} for name, own in (said.get("variants") or {}).items() if name in steps}
    if not known:
        found = list(said.get("variants") or {}) or "no named variants"
        raise ValueError(f"{plan}: {found}, expected variants among {list(steps)}")
    fixed = {name: value for name, value in said.get("fixed", {}).items() if name != "steps"}
    variants = {name: own | {"steps": steps[name]} for name, own in known.items()}
    question = f"At equal time, the seconds of {reference}: {said['question']}"
    second = said | {"question": question, "fixed": fixed, "variants": variants}
    return yaml.safe_dump(second, sort_keys=False, default_flow_style=None, width=110)
