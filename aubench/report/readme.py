"""Writes the results in README.md and docs/ from the committed ones: `python -m aubench.report.readme`."""

import json
from pathlib import Path

from aulib.metrics import MEASURES, REPORTED

RESULTS = Path("results/studio_to_wild.json")
STUDY, EQUAL_TIME = Path("results/supervisors.json"), Path("results/supervisors_equal_time.json")
DENSE, CURVES = Path("results/supervisors_dense.json"), Path("results/learning_curves.json")
FACTORS = Path("results/shift_factors.json")
ATTENTION, LATENCY = Path("results/attention.json"), Path("results/playground_latency.json")
MORE_STEPS, CYCLE = Path("results/more_steps.json"), Path("results/cycle_weight.json")
CONVERSION = Path("results/convert_memory.json")


def results_block(results: Path) -> str:
    """The Markdown between the markers: one row a method, mean x 100 with the range over seeds.

    Args:
        results: JSON {"methods": {method: {measure: {"mean", "low", "high", "seeds": [one value a seed]}}}}.
            `low` and `high` are the lowest and highest seed; measures that no method has get no column.
    """
    if not results.is_file():
        return "No results are committed yet; `make demo` makes some on your machine."
    methods = json.loads(results.read_text(encoding="utf-8"))["methods"]
    measures = [name for name in REPORTED if any(name in scores for scores in methods.values())]
    seeds = sorted(
        {len(scores[name]["seeds"]) for scores in methods.values() for name in measures if name in scores}
    )
    lines = [
        "| method | " + " | ".join(MEASURES[name].title for name in measures) + " |",
        "|---|" + "---:|" * len(measures),
    ]
    for method, scores in methods.items():
        cells = [_cell(scores[name]) if name in scores else "–" for name in measures]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    count = " or ".join(str(number) for number in seeds)
    lines += ["", f"Target test faces, x 100: mean of {count} seeds, lowest to highest seed in brackets."]
    return "\n".join(lines + what_the_shift_costs(methods))


def what_the_shift_costs(methods: dict) -> list[str]:
    """In words: points of F1 between source-only and oracle, and what share of them others win back."""
    f1 = {name: 100 * scores["f1"]["mean"] for name, scores in methods.items() if "f1" in scores}
    if not {"source-only", "oracle"} <= f1.keys():
        return []
    cost = f1["oracle"] - f1["source-only"]
    text = f"The shift costs *source-only* {cost:.1f} points of F1 against *oracle*"
    back = [
        f"*{name}* {(f1[name] - f1['source-only']) / cost:.0%}" for name in ("adld", "full") if name in f1
    ]
    said = [text + (f"; {' and '.join(back)} of them are won back." if back and cost > 0 else ".")]
    if {"adld", "full"} <= f1.keys():
        said.append(f"By seed, *full* minus *adld*: {_by_seed(methods['full'], methods['adld'])}.")
    return said


def _by_seed(scores: dict, others: dict) -> str:
    """Differences of every measure that both have and that counts up, x 100, seed by seed."""
    parts = []
    for name in [name for name in REPORTED if name != "nme" and name in scores and name in others]:
        pairs = zip(scores[name]["seeds"], others[name]["seeds"], strict=True)
        parts.append(f"{MEASURES[name].title} " + ", ".join(f"{100 * (a - b):+.1f}" for a, b in pairs))
    return "; ".join(parts)


def factors_block(factors: Path) -> str:
    """What each difference between the domains costs by itself: one row a factor, one column a method.

    Args:
        factors: JSON {"f1": {method: {factor: [one value a seed]}}, "factors": {factor: what it is},
            "faces": number}; the factor "none" is a studio face, "all" a wild one.
    """
    if not factors.is_file():
        return "Not measured yet; `python benchmarks/shift_factors.py RUN ...` does."
    said = json.loads(factors.read_text(encoding="utf-8"))
    methods = {name: {key: sum(own) / len(own) for key, own in f1.items()} for name, f1 in said["f1"].items()}
    lines = ["| added to a studio face | " + " | ".join(methods) + " |", "|---|" + "---:|" * len(methods)]
    rows = {"none": "nothing", **said["factors"], "all": "all of these"}
    for key, words in rows.items():
        cells = [f"{100 * f1[key]:.1f}" + _beside(f1[key] - f1["none"], key) for f1 in methods.values()]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    seeds = max(len(own) for f1 in said["f1"].values() for own in f1.values())
    lines += [
        "",
        f"Mean F1 x 100 of {seeds} runs a method, {said['faces']} faces; in brackets against the first row.",
    ]
    return "\n".join(lines)


def steps_block(steps: Path) -> str:
    """What more steps do: one row a method and number of steps.

    Args:
        steps: JSON {"f1": {method: {steps: {seed: value}}}}.
    """
    if not steps.is_file():
        return "Not measured yet; `python benchmarks/more_steps.py RUN ...` does."
    lines = ["| method | steps | F1-frame |", "|---|---:|---:|"]
    for method, by_steps in json.loads(steps.read_text(encoding="utf-8"))["f1"].items():
        for number, seeds in by_steps.items():
            values = list(seeds.values())
            score = {"mean": sum(values) / len(values), "low": min(values), "high": max(values)}
            lines.append(f"| {method} | {number} | {_cell(score)} |")
    return "\n".join(lines)


def cycle_block(study: Path) -> str:
    """What the source's validation says of each weight of the cycle.

    Args:
        study: summary of experiments/cycle_weight.yml.
    """
    if not study.is_file():
        return f"Not measured yet; `aulib study experiments/{study.stem}.yml` does."
    from aubench.report.summaries import read_summary

    scores = read_summary(study).seeds_of("validation_f1")
    lines = ["| weight | source validation F1 x 100 |", "|---:|---:|"]
    for variant in scores:
        values = 100 * scores[variant].dropna()
        each = ", ".join(f"{value:.1f}" for value in values)
        lines.append(f"| {variant.removeprefix('cycle-')} | {values.mean():.1f} ({each}) |")
    return "\n".join(lines)


def conversion_block(conversion: Path) -> str:
    """What it takes to convert a set: one row a number of frames.

    Args:
        conversion: JSON {"cores", "runs": [{"frames", "seconds", "peak_mb", "peak_mb_with_workers"}]}.
    """
    if not conversion.is_file():
        return "Not measured yet; `python benchmarks/convert_memory.py` does."
    found = json.loads(conversion.read_text(encoding="utf-8"))
    lines = ["| frames | seconds | MB | MB, workers too |", "|---:|---:|---:|---:|"]
    for run in found["runs"]:
        memory = f"{run['peak_mb']:.0f} | {run['peak_mb_with_workers']:.0f}"
        lines.append(f"| {run['frames']:,} | {run['seconds']:.0f} | {memory} |")
    return "\n".join(
        [*lines, "", f"{found['cores']} cores, landmarks of the set, pictures of noise in BP4D's tree."]
    )


def insides_block(attention: Path, latency: Path) -> str:
    """In words: how much of an AU's evidence lies where the AU is, and how fast the playground answers."""
    said = []
    if attention.is_file():
        for run, maps in json.loads(attention.read_text(encoding="utf-8"))["inside"].items():
            mean, above = maps["evidence"]["mean"], maps["evidence"]["aus_above_chance"]
            said.append(
                f"`{run}` has {mean['inside']:.0%} of an AU's evidence inside the region that the AU moves "
                f"(chance {mean['area']:.0%}, the best of such coarse maps {mean['best']:.0%}); {above} of "
                f"{len(maps['evidence']['per_au'])} AUs are above chance."
            )
    if latency.is_file():
        found = json.loads(latency.read_text(encoding="utf-8")).get("browser")
        if found:
            median = found["wall_ms"]["median"]
            said.append(f"In the playground a picture follows its slider in {median:.0f} ms (median).")
    return "\n".join(said) or "Not measured yet."


def _beside(difference: float, key: str) -> str:
    return "" if key == "none" else f" ({100 * difference:+.1f})"


def study_block(study: Path, equal_time: Path, dense: Path, curves: Path) -> str:
    """The study of the supervisors: its answer in words, what stands beside it, and its ladder as a table.

    Args:
        study, equal_time, dense, curves: summaries, see `summaries`; all but the first may be missing.
    """
    if not study.is_file():
        return f"The study has not been run to its end yet; `aulib study experiments/{study.stem}.yml` does."
    from aubench.report.answers import answer, the_claim
    from aubench.report.side_studies import learning_curves, over_positions
    from aubench.report.statistics import usual_reference
    from aubench.report.summaries import read_summary
    from aubench.report.tables import ladder

    summary = read_summary(study)
    beside = read_summary(equal_time) if equal_time.is_file() else None
    table = ladder(summary, usual_reference(summary), beside).rstrip()
    folded = f"<details><summary>All {len(summary.variants)} variants</summary>\n\n{table}\n\n</details>"
    parts = [answer(summary, beside)]
    if dense.is_file():
        positions = read_summary(dense)
        parts.append(over_positions(positions, the_claim(positions)))
    if curves.is_file():
        parts.append(learning_curves(read_summary(curves)))
    return "\n\n".join([*parts, folded])


def with_block(text: str, name: str, block: str) -> str:
    """`text` with what stands between the markers of `name` replaced.

    Raises:
        ValueError: a marker is missing or stands twice.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(
            f"expected {begin} and {end} once each, found {text.count(begin)} and {text.count(end)}"
        )
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def _cell(score: dict) -> str:
    if score["mean"] is None:
        return "–"
    return f"{100 * score['mean']:.1f} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def write(file: Path, blocks: dict[str, str]) -> None:
    """Put every block between its markers in the file."""
    text = file.read_text(encoding="utf-8")
    for name, block in blocks.items():
        text = with_block(text, name, block)
    file.write_text(text, encoding="utf-8")
    print(f"{file}: {', '.join(blocks)}")


def pages(root: Path) -> dict[Path, dict[str, str]]:
    """Every file with generated blocks below a checkout's root, and its blocks by name."""
    return {
        root / "README.md": {
            "results": results_block(root / RESULTS),
            "study": study_block(root / STUDY, root / EQUAL_TIME, root / DENSE, root / CURVES),
            "insides": insides_block(root / ATTENTION, root / LATENCY),
        },
        root / "docs" / "method.md": {"cycle": cycle_block(root / CYCLE)},
        root / "docs" / "synthetic.md": {
            "factors": factors_block(root / FACTORS),
            "steps": steps_block(root / MORE_STEPS),
        },
        root / "docs" / "datasets" / "README.md": {"conversion": conversion_block(root / CONVERSION)},
    }


if __name__ == "__main__":
    for page, blocks in pages(Path()).items():
        write(page, blocks)
