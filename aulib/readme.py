"""Writes the results of README.md from the committed ones: `python -m aulib.readme`."""

import json
from pathlib import Path

RESULTS = Path("results/studio_to_wild.json")
STUDY, EQUAL_TIME = Path("results/supervisors.json"), Path("results/supervisors_equal_time.json")
MEASURES = {"f1": "F1-frame", "auc": "ROC AUC", "f1_norm": "F1, skew-normalised", "nme": "landmark NME"}


def results_block(results: Path) -> str:
    """The Markdown between the markers: one row a method, mean x 100 with the range over seeds.

    Args:
        results: JSON {"methods": {method: {measure: {"mean", "low", "high", "seeds": [one value a seed]}}}}.
            `low` and `high` are the lowest and highest seed; measures that no method has get no column.
    """
    if not results.is_file():
        return "No results are committed yet; `make demo` makes some on your machine."
    methods = json.loads(results.read_text(encoding="utf-8"))["methods"]
    measures = [name for name in MEASURES if any(name in scores for scores in methods.values())]
    seeds = sorted(
        {len(scores[name]["seeds"]) for scores in methods.values() for name in measures if name in scores}
    )
    lines = [
        "| method | " + " | ".join(MEASURES[name] for name in measures) + " |",
        "|---|" + "---:|" * len(measures),
    ]
    for method, scores in methods.items():
        cells = [_cell(scores[name]) if name in scores else "–" for name in measures]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    count = " or ".join(str(number) for number in seeds)
    lines += ["", f"Target test faces, x 100: mean of {count} seeds, lowest to highest seed in brackets."]
    return "\n".join(lines)


def study_block(study: Path, equal_time: Path) -> str:
    """The study of the supervisors: its answer in words, and its ladder as a table.

    Args:
        study, equal_time: summaries, see `aulib.summaries`; the latter may be missing.
    """
    if not study.is_file():
        return f"The study has not been run to its end yet; `aulib study experiments/{study.stem}.yml` does."
    from aulib.answers import answer
    from aulib.comparisons import usual_reference
    from aulib.summaries import read_summary
    from aulib.tables import ladder

    summary = read_summary(study)
    beside = read_summary(equal_time) if equal_time.is_file() else None
    return f"{answer(summary, beside)}\n\n{ladder(summary, usual_reference(summary), beside).rstrip()}"


def with_block(text: str, name: str, block: str) -> str:
    """`text` with what stands between the markers of `name` replaced.

    Raises:
        ValueError: a marker is missing or stands twice.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(
            f"README needs {begin} and {end} once each, found {text.count(begin)} and {text.count(end)}"
        )
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def _cell(score: dict) -> str:
    if score["mean"] is None:
        return "–"
    return f"{100 * score['mean']:.1f} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


if __name__ == "__main__":
    readme = Path("README.md")
    text = with_block(readme.read_text(encoding="utf-8"), "results", results_block(RESULTS))
    text = with_block(text, "study", study_block(STUDY, EQUAL_TIME))
    readme.write_text(text, encoding="utf-8")
    print(f"{readme}: results from {RESULTS} and {STUDY}")
