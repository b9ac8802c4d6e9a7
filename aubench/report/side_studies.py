"""Beside the study of the supervisors: its claim where losses do not vanish, and after other steps."""

from aubench.report.idleness_in_words import what_they_still_do
from aubench.report.rounds_in_words import reconstruction
from aubench.report.statistics import Contrast, one_family
from aubench.report.summaries import Summary
from aubench.report.verdicts import points


def over_positions(summary: Summary, claim: str) -> str:
    """What a study says whose samples are positions of a face.

    Args:
        claim: `answers.the_claim` of it.
    """
    opening = (
        f"**Where more is left to do** (positions as samples, `experiments/{summary.study}.yml`): {claim}"
    )
    said = [opening, what_they_still_do(summary), reconstruction(summary)]
    return "\n\n".join(part for part in said if part)


def learning_curves(summary: Summary) -> str:
    """Scores of two methods after other numbers of steps, and their difference, as a table.

    Variants are told apart by their method and steps; `full` and `contrastive` have to be among them.
    """
    by_steps: dict[int, dict[str, str]] = {}
    for variant, settings in summary.settings.items():
        by_steps.setdefault(settings["steps"], {})[settings["method"]] = variant
    seeds = summary.seeds_of("f1")
    lines = [
        "| steps | `contrastive`: source F1 | target F1 | `full`: source F1 | target F1 "
        "| `full` minus `contrastive` |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for steps, variants in sorted(by_steps.items()):
        if not {"contrastive", "full"} <= variants.keys():
            continue
        cells = [
            f"{100 * summary.seeds_of(measure)[variants[method]].mean():.1f}"
            for method in ("contrastive", "full")
            for measure in ("source_f1", "f1")
        ]
        table = one_family(summary, [Contrast(variants["full"], variants["contrastive"])], ["f1"])
        lines.append(f"| {steps} | {' | '.join(cells)} | {points(table.iloc[0])} |")
    return "\n".join(
        [
            f"**Learning curves** ({len(seeds)} seeds that are reported nowhere else, "
            f"`experiments/{summary.study}.yml`): what the study's steps leave to be learned. F1 x 100; the "
            "last column is the target's, with the 95 % interval that so few seeds give.",
            "",
            *lines,
        ]
    )
