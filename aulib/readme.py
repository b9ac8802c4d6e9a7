"""Writes the results table of README.md from the committed results: `python -m aulib.readme`."""

import json
from pathlib import Path

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
RESULTS = Path("results/studio_to_wild.json")
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


def with_results(text: str, block: str) -> str:
    """`text` with what stands between the markers replaced.

    Raises:
        ValueError: a marker is missing or stands twice.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(
            f"README needs {BEGIN} and {END} once each, found {text.count(BEGIN)} and {text.count(END)}"
        )
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}"


def _cell(score: dict) -> str:
    if score["mean"] is None:
        return "–"
    return f"{100 * score['mean']:.1f} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


if __name__ == "__main__":
    readme = Path("README.md")
    text = with_results(readme.read_text(encoding="utf-8"), results_block(RESULTS))
    readme.write_text(text, encoding="utf-8")
    print(f"{readme}: results from {RESULTS}")
