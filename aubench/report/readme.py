"""Writes the generated tables of README.md, results/ and docs/: `python -m aubench.report.readme`.

Blocks stand between two markers of a page. results/supervisors.md is rendered as a whole from its template.
"""

import json
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from aubench.report import statistics, tables
from aubench.report.summaries import Summary, read_summary
from aulib.metrics import REPORTED

RESULTS = Path("results/studio_to_wild.json")
STUDY, EQUAL_TIME = Path("results/supervisors.json"), Path("results/supervisors_equal_time.json")
DENSE, CURVES = Path("results/supervisors_dense.json"), Path("results/learning_curves.json")
SUPERVISORS_PAGE = Path("results/supervisors.md")
FACTORS = Path("results/shift_factors.json")
ATTENTION, LATENCY = Path("results/attention.json"), Path("results/playground_latency.json")
MORE_STEPS, CYCLE = Path("results/more_steps.json"), Path("results/cycle_weight.json")
CONVERSION = Path("results/convert_memory.json")


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def results_block(results: Path) -> str:
    """The main table: a row per method, mean x 100 with the range over seeds.

    `of the shift` is the share of the way from source-only to oracle in F1. A last row has full minus adld,
    seed by seed.

    Args:
        results: JSON {"methods": {method: {measure: {"mean", "low", "high", "seeds": [one value a seed]}}}}.
            `low` and `high` are the lowest and highest seed; measures that no method has get no column.
    """
    if not results.is_file():
        return "No results are committed yet; `make demo` makes some on your machine."
    methods = read(results)["methods"]
    measures = [name for name in REPORTED if any(name in scores for scores in methods.values())]
    f1 = {name: scores["f1"]["mean"] for name, scores in methods.items() if "f1" in scores}
    bounds = {"source-only", "oracle"} <= f1.keys()
    rows = []
    for method, scores in methods.items():
        row = {"method": method}
        row |= {tables.TITLES[name]: with_range(scores.get(name)) for name in measures}
        if bounds:
            way = f1["oracle"] - f1["source-only"]
            row["of the shift"] = f"{(f1[method] - f1['source-only']) / way:.0%}" if way else "–"
        rows.append(row)
    if {"adld", "full"} <= f1.keys():
        by_seed = {"method": "full minus adld, by seed"}
        for name in measures:
            full, adld = (methods[method].get(name, {"seeds": []})["seeds"] for method in ("full", "adld"))
            differences = [f"{round(100 * (a - b), 1) + 0.0:+.1f}" for a, b in zip(full, adld, strict=True)]
            by_seed[tables.TITLES[name]] = ", ".join(differences)
        rows.append(by_seed)
    seeds = {len(scores[name]["seeds"]) for scores in methods.values() for name in measures if name in scores}
    count = " or ".join(str(number) for number in sorted(seeds))
    note = f"Target test faces, x 100: mean of {count} seeds, lowest to highest seed in brackets."
    return f"{tables.as_markdown(pd.DataFrame(rows).fillna(''))}\n\n{note}"


def with_range(score: dict | None) -> str:
    """ "66.2 [65.7, 66.7]", x 100; a dash for a score that is missing or undefined."""
    if score is None or score["mean"] is None:
        return "–"
    return f"{100 * score['mean']:.1f} [{100 * score['low']:.1f}, {100 * score['high']:.1f}]"


def factors_block(factors: Path) -> str:
    """What each difference between the domains costs by itself: a row per factor, a column per method.

    Args:
        factors: JSON {"f1": {method: {factor: [one value a seed]}}, "factors": {factor: what it is},
            "faces": number}; the factor "none" is a studio face, "all" a wild one.
    """
    if not factors.is_file():
        return "Not measured yet; `python benchmarks/shift_factors.py RUN ...` measures it."
    found = read(factors)
    names = {"none": "nothing", **found["factors"], "all": "all of these"}
    table = pd.DataFrame({"added to a studio face": names})
    for method, of_factors in found["f1"].items():
        means = 100 * pd.Series({key: np.mean(seeds) for key, seeds in of_factors.items()})
        table[method] = [
            f"{means[key]:.1f}" + ("" if key == "none" else f" ({means[key] - means['none']:+.1f})")
            for key in names
        ]
    seeds = max(len(own) for f1 in found["f1"].values() for own in f1.values())
    note = (
        f"Mean F1 x 100 of {seeds} runs a method, {found['faces']} faces; in brackets against the first row."
    )
    return f"{tables.as_markdown(table)}\n\n{note}"


def steps_block(steps: Path) -> str:
    """What more steps do: a row per method and number of steps.

    Args:
        steps: JSON {"f1": {method: {steps: {seed: value}}}}.
    """
    if not steps.is_file():
        return "Not measured yet; `python benchmarks/more_steps.py RUN ...` measures it."
    rows = []
    for method, by_steps in read(steps)["f1"].items():
        for number, seeds in by_steps.items():
            values = pd.Series(seeds)
            score = {"mean": values.mean(), "low": values.min(), "high": values.max()}
            rows.append({"method": method, "steps": number, "F1-frame": with_range(score)})
    return tables.as_markdown(pd.DataFrame(rows))


def cycle_block(study: Path) -> str:
    """What the source's validation says of each weight of the cycle.

    Args:
        study: summary of experiments/cycle_weight.yml.
    """
    if not study.is_file():
        return f"Not measured yet; `aulib study experiments/{study.stem}.yml` measures it."
    rows = []
    for variant, seeds in (100 * read_summary(study).seeds_of("validation_f1")).items():
        each = ", ".join(f"{value:.1f}" for value in seeds.dropna())
        score = f"{seeds.mean():.1f} ({each})"
        rows.append({"weight": variant.removeprefix("cycle-"), "source validation F1 x 100": score})
    return tables.as_markdown(pd.DataFrame(rows))


def conversion_block(conversion: Path) -> str:
    """What it takes to convert a set: a row per number of frames.

    Args:
        conversion: JSON {"cores", "runs": [{"frames", "seconds", "peak_mb", "peak_mb_with_workers"}]}.
    """
    if not conversion.is_file():
        return "Not measured yet; `python benchmarks/convert_memory.py` measures it."
    found = read(conversion)
    table = pd.DataFrame(found["runs"])
    titles = {
        "frames": "frames", "seconds": "seconds", "peak_mb": "MB", "peak_mb_with_workers": "MB, workers too",
    }  # fmt: skip
    shown = table[list(titles)].rename(columns=titles).map("{:,.0f}".format)
    note = f"{found['cores']} cores, landmarks of the set, pictures of noise in BP4D's tree."
    return f"{tables.as_markdown(shown)}\n\n{note}"


def insides_block(attention: Path, latency: Path) -> str:
    """How much of an AU's evidence lies where the AU is, and how fast the playground answers."""
    parts = []
    if attention.is_file():
        rows = []
        for run, maps in read(attention)["inside"].items():
            mean, evidence = maps["evidence"]["mean"], maps["evidence"]
            shares = {"inside": mean["inside"], "chance": mean["area"], "best possible": mean["best"]}
            above = f"{evidence['aus_above_chance']} of {len(evidence['per_au'])}"
            row = {"run": f"`{run}`", **{name: f"{share:.0%}" for name, share in shares.items()}}
            rows.append(row | {"AUs above chance": above})
        parts.append(tables.as_markdown(pd.DataFrame(rows)))
    if latency.is_file() and (found := read(latency).get("browser")):
        median = found["wall_ms"]["median"]
        parts.append(f"Playground, from the slider to the picture: {median:.0f} ms (median).")
    return "\n\n".join(parts) or "Not measured yet."


def study_block(study: Path, dense: Path) -> str:
    """README's table of the study: the four supervisors together and each alone, with verdicts.

    Args:
        study, dense: summaries, see `summaries`; the second, of the study with positions as samples, may be
            missing.
    """
    if not study.is_file():
        return f"The study has not been run yet; `aulib study experiments/{study.stem}.yml` does it."
    found = statistics.outcome(read_summary(study)).query("au == 'mean'")
    second = found[found["measure"] == "insides.reconstruction.second"].head(1)  # `full` minus `contrastive`
    each = found[(found["question"] == "each supervisor") & (found["measure"] == "f1")]
    parts = [found[found["question"] == "the four together"], second, each]
    if dense.is_file():
        found = statistics.outcome(read_summary(dense)).query(
            "question == 'the four together' and measure == 'f1'"
        )
        parts.insert(2, found[found["au"] == "mean"])
    table = tables.readable(pd.concat(parts))[
        ["comparison", "measure", "difference", "p", "seeds", "verdict"]
    ]
    note = "Target test faces, x 100; in brackets the 95 % interval over seeds; p after Holm's correction."
    return f"{tables.as_markdown(table)}\n\n{note}"


def supervisors_page(study: Path, equal_time: Path, dense: Path, curves: Path) -> str:
    """results/supervisors.md: every comparison of the study as tables.

    Args:
        study, equal_time, dense, curves: summaries, see `summaries`; all but the first may be missing.
    """

    def shown(rows: pd.DataFrame) -> str:
        return tables.as_markdown(tables.readable(rows)) if len(rows) else ""

    summary = read_summary(study)
    then = read_summary(equal_time) if equal_time.is_file() else None
    found = statistics.outcome(summary)
    means = found[found["au"] == "mean"]
    about = {name: rows for name, rows in means.groupby("question", sort=False)}
    none = means.iloc[:0]
    aus = found[(found["au"] != "mean") & (found["measure"] == "f1")]
    rounds = about.get("reconstruction", none)
    errors = {title: summary.seeds_of(name).mean() for name, title in statistics.ERRORS.items()}
    errors = pd.DataFrame(errors).reindex(summary.variants).dropna().apply(tables.in_percent)
    weights = {name: summary.settings[name].get("weights", {}) for name in errors.index}
    errors["second round in the objective"] = [
        "yes" if own.get("cycle") else "no" for own in weights.values()
    ]
    side = {}
    if dense.is_file():
        positions = read_summary(dense)
        rows = statistics.outcome(positions).query("au == 'mean' and measure not in @statistics.DISTANCES")
        side[positions.study] = {"outcome": shown(rows), "idleness": idleness_table(positions)}
    unequal = none
    if then is not None:
        rows = statistics.outcome(then)
        unequal = rows[(rows["question"] == "rivals") & (rows["terms"] != "equal steps")]
    page = jinja2.Environment(
        loader=jinja2.PackageLoader("aubench.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("supervisors.md.j2")
    return page.render(
        question=summary.question.strip(),
        study=f"experiments/{summary.study}.yml",
        seeds=len(summary.seeds_of("f1")),
        significant=statistics.SIGNIFICANT,
        negligible=f"{100 * statistics.NEGLIGIBLE:.0f}",
        solved=f"{100 * statistics.SOLVED:.0f}",
        guessing=f"{100 * statistics.GUESSING:.0f}",
        four=shown(about.get("the four together", none)),
        each=shown(about.get("each supervisor", none)),
        aus=shown(aus[aus["verdict"].isin(["helps", "hurts"])]),
        rivals=shown(about.get("rivals", none)),
        equal_time=shown(unequal),
        equal_time_study=f"experiments/{equal_time.stem}.yml",
        choices=shown(about.get("choices", none)),
        errors=tables.as_markdown(errors.reset_index(names="variant")),
        reconstruction=shown(rounds[rounds["measure"].isin(statistics.ERRORS)]),
        distances=tables.as_markdown(
            tables.comparisons_by_measure(rounds[rounds["measure"].isin(statistics.DISTANCES)])
        ),
        probes=shown(about.get("probes", none)),
        idleness=idleness_table(summary),
        side=side,
        curves=curves_table(read_summary(curves)) if curves.is_file() else "",
        curves_study=f"experiments/{curves.stem}.yml",
        ladder=tables.ladder(summary, statistics.usual_reference(summary), then).rstrip(),
    )


def idleness_table(summary: Summary) -> str:
    """`statistics.idleness` as Markdown, shares in %."""
    table = statistics.idleness(summary)
    shares = {name: tables.in_percent(table[name]) for name in ("lowest", "highest", "share")}
    return tables.as_markdown(table.assign(**shares))


def curves_table(summary: Summary) -> str:
    """`statistics.learning_curves` as Markdown."""
    table = statistics.learning_curves(summary)
    scores = [name for name in table if name.endswith((", source", ", target"))]
    shown = table[scores].apply(tables.in_percent)
    shown.insert(0, "steps", table["steps"])
    shown["full minus contrastive"] = [tables.with_interval(row) for row in table.to_dict("records")]
    shown["verdict"] = table["verdict"]
    return tables.as_markdown(shown)


def with_block(text: str, name: str, block: str) -> str:
    """`text` with the part between the markers of `name` replaced.

    Raises:
        ValueError: a marker is missing or occurs twice.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(
            f"expected {begin} and {end} once each, found {text.count(begin)} and {text.count(end)}"
        )
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def blocks_of_pages(root: Path) -> dict[Path, dict[str, str]]:
    """Every file with generated blocks below a checkout's root, and its blocks by name."""
    return {
        root / "README.md": {
            "results": results_block(root / RESULTS),
            "study": study_block(root / STUDY, root / DENSE),
        },
        root / "results" / "README.md": {"insides": insides_block(root / ATTENTION, root / LATENCY)},
        root / "docs" / "method.md": {"cycle": cycle_block(root / CYCLE)},
        root / "docs" / "synthetic.md": {
            "factors": factors_block(root / FACTORS),
            "steps": steps_block(root / MORE_STEPS),
        },
        root / "docs" / "datasets" / "README.md": {"conversion": conversion_block(root / CONVERSION)},
    }


def pages(root: Path) -> dict[Path, str]:
    """Every generated page below a checkout's root, and the text that it should have."""
    texts = {}
    for page, blocks in blocks_of_pages(root).items():
        texts[page] = page.read_text(encoding="utf-8")
        for name, block in blocks.items():
            texts[page] = with_block(texts[page], name, block)
    summaries = (root / name for name in (STUDY, EQUAL_TIME, DENSE, CURVES))
    return texts | {root / SUPERVISORS_PAGE: supervisors_page(*summaries)}


if __name__ == "__main__":
    for page, text in pages(Path()).items():
        page.write_text(text, encoding="utf-8")
        print(page)
