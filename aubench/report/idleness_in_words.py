"""Do the supervisors still supervise: for how many steps they are on, and how far from guessing they end."""

import math

import pandas as pd

from aubench.report.rivals_in_words import changed_choices
from aubench.report.run_values import MEAN
from aubench.report.summaries import Summary
from aubench.report.verdicts import SIGNIFICANT, listed
from aulib.methods import SUPERVISORS

GUESSING = 0.9  # of log N: a supervisor whose loss ends above it has learned nothing
SATURATED = 0.1  # of log N: a supervisor whose loss ends below it has next to nothing left to teach


def steps_on(settings: dict) -> tuple[int, int] | None:
    """For how many of a variant's steps its supervisors are on, and over how many their weight grows.

    None where that is not known: `training.ramp_at` goes by the preset's values.
    """
    preset = settings.get("preset_values", {})
    if not {"separation_starts", "ramp"} <= preset.keys():
        return None
    steps = settings["steps"]
    return steps - math.ceil(preset["separation_starts"] * steps), round(preset["ramp"] * steps)


def how_long(settings: dict) -> str:
    """`steps_on` in words."""
    found = steps_on(settings)
    if found is None:
        return ""
    on, growing = found
    text = f"The supervisors are on in the last {on} of the {settings['steps']} steps"
    return f"{text}, growing to full weight over {growing} of them." if growing else f"{text}."


def what_they_still_do(summary: Summary) -> str:
    """How far below guessing the supervisors of `full` and of its variants end, and whether that matters."""
    values = summary.values[summary.values["au"] == MEAN]
    ends = values[values["measure"].str.startswith("saturation.")]
    if ends.empty:
        return ""
    means = ends.pivot_table(index="variant", columns="measure", values="value")
    means = means.reindex([name for name in summary.variants if name in means.index])
    main = "full" if "full" in means.index else means.index[-1]
    lowest, highest = means.loc[main].min(), means.loc[main].max()
    text = f"In `{main}` the supervisors' losses end at {_range(means.loc[main])} of guessing (log N)"
    if lowest > GUESSING:
        text += ": they tell no face from another"
    elif highest < SATURATED:
        text += f", all below {100 * SATURATED:.0f} %: their task is solved"
    if share := _share(values, main):
        text += f"; they make {100 * share:.0f} % of the gradient in E and G"
    table = changed_choices(summary).set_index("reference")
    others = [name for name in table.index if name in means.index]
    return " ".join([f"**Do they still pull?** {text}.", *_of_others(means, others, table)])


def _of_others(means: pd.DataFrame, others: list[str], table: pd.DataFrame) -> list[str]:
    """Which variants of `full` are as idle, which less so, and whether those differ from it in F1."""
    idle = [name for name in others if means.loc[name].max() < SATURATED]
    less = [name for name in others if name not in idle]
    said = []
    if idle:
        said.append(f"Likewise in {_ends(means, idle)}.")
    if less:
        sure = [name for name in less if table.loc[name, "p_holm"] < SIGNIFICANT]
        verdicts = (
            f"in F1 {listed([f'`{name}`' for name in sure])} differ from `full`"
            if sure
            else "in F1 none of them is told from `full`"
        )
        said.append(f"More is left to do in {_ends(means, less)}; {verdicts}.")
    return said


def _ends(means: pd.DataFrame, names: list[str]) -> str:
    return listed([f"`{name}` ({_range(means.loc[name])})" for name in names])


def _range(ends: pd.Series) -> str:
    """ "1.3 to 9.5 %"."""
    low, high = (f"{100 * value:.1f}" for value in (ends.min(), ends.max()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _share(values: pd.DataFrame, variant: str) -> float:
    """Of the gradient, all supervisors of a variant together, mean over seeds; 0 where it was not logged."""
    own = values[
        values["measure"].isin([f"share.{name}" for name in SUPERVISORS]) & (values["variant"] == variant)
    ]
    return float(own.groupby("seed")["value"].sum().mean()) if len(own) else 0.0
