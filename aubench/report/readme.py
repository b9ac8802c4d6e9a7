"""Writes the generated blocks of README.md, results/ and docs/: `python -m aubench.report.readme`.

Blocks stand between two markers of a page. results/supervisors.md is rendered as a whole from its template.
"""

from dataclasses import replace
from pathlib import Path

import jinja2
import pandas as pd

from aubench.inference.predict import SUREST
from aubench.report import comparisons, statistics, tables
from aubench.report.results import recovered, score_text
from aubench.report.run_values import MEAN
from aubench.report.summaries import Summary, read_summary
from aulib import pretrained
from aulib.files import read_json
from aulib.methods import METHODS
from aulib.metrics import MEASURES, REPORTED

LADDER = ("landmarks-only", "source-only", "multitask", "dann", "adld", "full", "oracle")  # README's rows


def results_table(study: Summary) -> str:
    """A row per method of LADDER: mean x 100 with the range over seeds, and the share of the shift won back.

    `of the shift` is the share of the way from source-only to oracle in F1. The last rows are full minus its
    rivals with an interval over seeds. Only seeds that every row has count.
    """
    f1 = study.seeds_of("f1")[list(LADDER)].dropna()
    study = replace(study, values=study.values[study.values["seed"].isin(f1.index)])
    columns = {tables.TITLES[name]: tables.score_column(study, name) for name in REPORTED}
    table = pd.DataFrame(columns).loc[list(LADDER)].reset_index(names="method")
    means = f1.mean().rename_axis("method").reset_index(name="f1")
    table["of the shift"] = [f"{recovered(means, name):.0%}" for name in LADDER]
    rivals = [statistics.Contrast("full", name) for name in ("adld", "dann", "multitask")]
    for rival, rows in statistics.one_family(study, rivals, list(REPORTED)).groupby("reference", sort=False):
        differences = {tables.TITLES[row["measure"]]: tables.with_interval(row) for _, row in rows.iterrows()}
        table.loc[len(table)] = {"method": f"full minus {rival}", **differences, "of the shift": ""}
    note = f"Target test faces, x 100: mean of {len(f1)} seeds, lowest to highest seed in brackets; "
    note += "below, differences with their 95 % interval."
    return f"{tables.as_markdown(table)}\n\n{note}"


READ = {  # from the features F and the texture Z of a variant that separates
    "AUs from F": "au_probe.rich.{}",
    "AUs from Z": "au_probe.texture.{}",
    "landmarks, F": "landmark_probe.rich.{}",
    "landmarks, Z": "landmark_probe.texture.{}",
    "landmarks, mean face": "landmark_probe.mean_face.{}",
}
FOUND_AGAIN = {
    "by F": "own_face.rich_{}",
    "by the shape": "own_face.shape_{}",
    "by the texture": "own_face.texture_{}",
}
REAL_METHODS = ("source-only", "landmarks-only", "multitask", "dann", "adld", "full")  # in README
REAL_FACES = (  # set, heading, value of `results.real_faces_row`
    ("london", "AU12, AUC", "au12_auc"),
    ("london", "rises", "au12_rises"),
    ("london", "found", "au12_found"),
    ("london", "false alarms, worst AU", "false_alarm"),
    ("london", "gap between groups", "gap"),
    ("press", "14 contrasts, AUC", "auc"),
    ("press", "own part", "own"),
)


def real_faces_table(rows: list[dict]) -> str:
    """Real photographs: a row per detector, London's faces to the left, press photographs to the right.

    Mean x 100 over seeds, lowest to highest in brackets. Of what the detectors learned from, what differs is
    named.

    Args:
        rows: of `results.real_faces_row`, for every seed and set.
    """
    table = pd.DataFrame(rows)
    for name in ("source", "target"):
        table[name] = table[name].str.replace("synthetic:", "rendered, ")
    table.loc[table["method"] == "source-only", "target"] = "–"
    table = table.sort_values("method", key=lambda names: names.map(list(METHODS).index), kind="stable")
    about = table.reindex(columns=["method", "encoder", "source", "target"])  # of earlier results no encoder
    differing = list(about.columns[about.nunique() > 1])
    found = []
    for key, own in table.groupby(differing, sort=False):
        row = dict(zip(differing, key, strict=True))
        for name, heading, value in REAL_FACES:
            values = own.loc[own["set"] == name, value]
            row[f"{name}: {heading}"] = score_text(values.mean(), values.min(), values.max())
        found.append(row)
    shown = pd.DataFrame(found).rename(columns={"source": "labelled source", "target": "unlabelled target"})
    seeds = table.groupby(differing)["seed"].nunique()
    note = f"Mean of {seeds.min()} seeds, x 100, lowest to highest in brackets."
    return f"{tables.as_markdown(shown)}\n\n{note}"


def real_differences(rows: list[dict]) -> str:
    """Real photographs: `full` minus each other method with the same unlabelled target, paired by seed.

    Args:
        rows: of `results.real_faces_row`, for every seed and set.
    """
    found, whole = [], pd.DataFrame(rows)
    whole["target"] = whole["target"].str.replace("synthetic:", "rendered, ")
    others = whole.loc[whole["method"] != "full", ["target", "method"]].drop_duplicates()
    for target, method in sorted(others.itertuples(index=False), key=lambda row: list(METHODS).index(row[1])):
        table = whole[whole["target"] == target]
        row = {"comparison": f"`full` minus `{method}`", "unlabelled target": target}
        for name, heading, value in REAL_FACES:
            seeds = table[table["set"] == name].pivot(index="seed", columns="method", values=value)
            mean, low, high, _ = statistics.t_interval((seeds["full"] - seeds[method]).dropna())
            difference = {"measure": value, "difference": mean, "low": low, "high": high}
            row[f"{name}: {heading}"] = tables.with_interval(difference)
        found.append(row)
    note = "x 100, with a 95 % interval over seeds, uncorrected."
    return f"{tables.as_markdown(pd.DataFrame(found))}\n\n{note}"


def own_landmarks_table(measured: dict) -> str:
    """Our landmarks beside dlib's: error against points set by hand, AUC of AUs in smiles, time.

    Args:
        measured: "dlib", "dlib_on_yunet", "own": {"nme", "found", "seconds", "auc.AU12" ...}, "dlib" without
            AUC; "faces", "points".
    """
    titles = {"nme": "NME", "found": "faces found"} | {f"auc.{au}": au for au in ("AU06", "AU12", "AU25")}
    detectors = pd.DataFrame([measured["dlib"], measured["dlib_on_yunet"], measured["own"]])
    rows = {"faces": ("dlib", "YuNet", "YuNet"), "landmarks": ("dlib", "dlib", "own")}
    rows |= {title: tables.in_percent(detectors[key]) for key, title in titles.items()}
    rows["ms a picture"] = (1000 * detectors["seconds"]).map("{:.0f}".format)
    note = f"x 100; NME of {measured['points']} points on {measured['faces']} faces, AUC of AUs in smiles."
    return f"{tables.as_markdown(pd.DataFrame(rows))}\n\n{note}"


def weights_table(press: dict, london: dict) -> str:
    """The package's detector on real faces: a row per contrast, with the AU's false alarms on neutral faces.

    Args:
        press, london: `ContrastScores.as_json`.
    """
    table, smiles = (pd.DataFrame(found["contrasts"]).query("group == 'all'") for found in (press, london))
    table = table.merge(smiles, how="left", on=["expression", "au"], suffixes=("", "_london"))
    rows = {
        "expression": table["expression"],
        "AU": table["au"],
        "AUC": [score_text(*row) for row in table[["auc", "auc_low", "auc_high"]].to_numpy()],
        "AUC, London": tables.in_percent(table["auc_london"]),
        "own part": [score_text(*row) for row in table[["own", "own_low", "own_high"]].to_numpy()],
        "found": tables.in_percent(table["found"].astype(float), 0),
        "found, London": tables.in_percent(table["found_london"], 0),
    }
    for name, found in (("press", press), ("London", london)):
        rates = pd.DataFrame(found["false_alarms"]).query("group == 'all'").set_index("au")["rate"]
        rows[f"false alarms, {name}"] = tables.in_percent(table["au"].map(rates), 0)
    note = "x 100, in brackets 95 % over people; where nothing else is said, of the press photographs."
    return f"{tables.as_markdown(pd.DataFrame(rows))}\n\n{note}"


def rendered_table(scores: dict[str, float], withheld: tuple[str, ...]) -> str:
    """The package's detector on labelled rendered faces: a row per AU, and how well it knows its errors.

    Args:
        scores: of `predict.evaluate`.
    """
    aus = sorted({key.split(".")[1] for key in scores if key.startswith("per_au.")})
    measures = {name: MEASURES[name].title for name in ("f1", "auc")} | {"icc": "intensity, ICC(3,1)"}
    table = pd.DataFrame({"AU": aus, "given": ["no" if au in withheld else "yes" for au in aus]})
    for name, title in measures.items():
        table[title] = [f"{100 * scores[f'per_au.{au}.{name}']:.1f}" for au in aus]
    share = {key.removeprefix("errors."): f"{value:.1%}" for key, value in scores.items() if "errors." in key}
    note = f"x 100. Of the calls of the given AUs {share['all']} are wrong, {share['expected']} expected; "
    note += f"of the surest {SUREST:.0%} of the calls {share['surest']}, "
    note += f"of the faces {share['surest_faces']}."
    return f"{tables.as_markdown(table)}\n\n{note}"


def clips_table(measured: dict) -> str:
    """The package's detector on rendered clips: a row per domain.

    Args:
        measured: {"clips", "domains": {domain: what benchmarks/clips.py summarises}}.
    """
    rows = [
        {
            "domain": domain,
            "AU12_r, r": f"{found['r']:.2f} (least {found['least_r']:.2f})",
            "AU12_r, error": f"{found['error']:.2f}",
            "onsets within two frames": f"{found['within_two']:.0%} of {found['onsets']}",
            "frames with a face": f"{found['seen']:.0%}",
            "numbers kept": f"{found['kept']} of {found['crossings']}",
            "frames a second": f"{found['frames_a_second']:.0f} (least {found['least_frames_a_second']:.0f})",
        }
        for domain, found in measured["domains"].items()
    ]
    note = f"{measured['clips']} clips of one person and {measured['clips']} of two, of each domain; "
    note += f"{measured['size']} pixels wide, {measured['fps']} frames a second; two CPU cores."
    return f"{tables.as_markdown(pd.DataFrame(rows))}\n\n{note}"


def sides_table(measured: dict) -> str:
    """Which side of a rendered face shows more of an AU, as the package's detector reads it: a row per AU and
    domain.

    Args:
        measured: {"domains": {domain: {AU: `scores` of benchmarks/sides.py}}}.
    """
    rows = [
        {
            "AU": au,
            "domain": domain,
            "faces": found["faces"],
            "r": f"{found['r']:.2f}",
            "error": f"{found['error']:.2f} ({found['error_of_none']:.2f})",
            "side told rightly": f"{found['right_side']:.0%} of {found['clear']}",
            "where both are alike": f"{found['where_alike']:.2f}",
        }
        for domain, aus in measured["domains"].items()
        for au, found in aus.items()
    ]
    note = "Faces on which the AU is called present; *error* of left minus right, of 5, in brackets that of "
    note += "saying 0; *side told rightly* where one side has at least 2 more."
    return f"{tables.as_markdown(pd.DataFrame(rows))}\n\n{note}"


def faults_table(faults: list[dict]) -> str:
    """Commands under faults: a row per command, and how many of its faults of each kind ended well.

    Args:
        faults: rows of benchmarks/faults.py: job, fault, sound.
    """
    table = pd.DataFrame(faults)
    kinds = {"kill": "killed", "files": "disk full", "two": "two at once"}
    table["kind"] = table["fault"].str.split().str[0].map(kinds)
    counts = table.groupby(["job", "kind"], sort=False)["sound"].agg(["sum", "size"]).astype(int)
    texts = counts["sum"].astype(str) + " of " + counts["size"].astype(str)
    shown = texts.unstack("kind")[list(kinds.values())].fillna("–").rename_axis(index="command", columns=None)
    return tables.as_markdown(shown.reset_index())


def factors_table(measured: dict) -> str:
    """What each difference between the domains costs by itself: a row per factor, a column per method.

    Args:
        measured: {"f1": {method: {factor: [one value per seed]}}, "factors": {factor: what it is}, "faces":
            number}; the factor "none" is a studio face, "all" a wild one.
    """
    names = {"none": "nothing", **measured["factors"], "all": "all of these"}
    table = pd.DataFrame({"added to a studio face": names})
    for method, seeds in measured["f1"].items():
        means = 100 * pd.DataFrame(seeds).mean()
        changes = (means - means["none"]).map(" ({:+.1f})".format)
        table[method] = [f"{means[key]:.1f}" + (changes[key] if key != "none" else "") for key in names]
    note = f"Mean F1 x 100 of {len(seeds['none'])} runs per method, {measured['faces']} faces; in brackets"
    return f"{tables.as_markdown(table)}\n\n{note} the difference from the first row."


def steps_table(f1: dict[str, dict[str, dict[str, float]]]) -> str:
    """What more steps do: a row per method and number of steps; f1: method -> steps -> seed -> F1."""
    rows = []
    for method, by_steps in f1.items():
        for number, seeds in by_steps.items():
            values = pd.Series(seeds)
            score = score_text(values.mean(), values.min(), values.max())
            rows.append({"method": method, "steps": number, "F1-frame": score})
    return tables.as_markdown(pd.DataFrame(rows))


def cycle_table(study: Summary) -> str:
    """F1 on the source's validation subjects for each weight of the cycle (experiments/cycle_weight.yml)."""
    f1 = study.seeds_of("validation_f1")
    rows = {
        "weight": f1.columns.str.removeprefix("cycle-"),
        "source validation F1 x 100": tables.in_percent(f1.mean()),
        "each seed": [", ".join(tables.in_percent(f1[name].dropna())) for name in f1],
    }
    return tables.as_markdown(pd.DataFrame(rows))


def landmark_error_table(study: Summary) -> str:
    """What makes landmarks less exact: a row per variant of experiments/landmark_error.yml."""
    nme, f1 = study.seeds_of("nme"), study.seeds_of("f1")
    rows = {
        "run": nme.columns,
        "steps": [str(study.settings[name]["steps"]) for name in nme],
        "landmark NME": tables.in_percent(nme.mean()),
        "each seed": [", ".join(tables.in_percent(nme[name].dropna())) for name in nme],
        "F1-frame": tables.in_percent(f1.mean()),
    }
    return f"{tables.as_markdown(pd.DataFrame(rows))}\n\nWild test faces, x 100."


def separation_table(designs: dict[str, dict[str, dict[str, float]]]) -> str:
    """What Z holds and how well G rebuilds, by design: benchmarks/separation_designs.py.

    Args:
        designs: design -> seed -> measure -> value.
    """

    def both(values: pd.Series, kind: str, feature: str) -> str:
        return " / ".join(f"{100 * values[f'{kind}.{feature}.{name}']:.1f}" for name in ("source", "target"))

    rows = []
    for name, seeds in designs.items():
        mean = pd.DataFrame(seeds).mean(axis=1)
        probe, reader = "insides.landmark_probe", "reader"
        rows.append({
            "design": name,
            "seeds": str(len(seeds)),
            "F1, source validation": f"{100 * mean['validation_f1']:.1f}",
            "own reconstruction": f"{mean['insides.reconstruction.self']:.2f}",
            "second round": f"{mean['insides.reconstruction.second']:.2f}",
            "G moves with S / Z": f"{mean['insides.moves.shape']:.2f} / {mean['insides.moves.texture']:.2f}",
            "landmarks, linear, Z (F, mean face)": f"{both(mean, probe, 'texture')} "
            f"({both(mean, probe, 'rich')}, {both(mean, probe, 'mean_face')})",
            "landmarks, convolutional, Z (F)": f"{both(mean, reader, 'texture')} "
            f"({both(mean, reader, 'rich')})",
            "AUs, linear, Z (F)": f"{mean['insides.au_probe.texture.source']:.2f} "
            f"({mean['insides.au_probe.rich.source']:.2f})",
        })  # fmt: skip
    return tables.as_markdown(pd.DataFrame(rows))


def conversion_table(measured: dict) -> str:
    """What it takes to convert a set: a row per number of frames.

    Args:
        measured: {"cores", "runs": [{"frames", "seconds", "peak_mb", "peak_mb_with_workers"}]}.
    """
    titles = {"peak_mb": "MB", "peak_mb_with_workers": "MB, workers too"}
    table = pd.DataFrame(measured["runs"])[["frames", "seconds", *titles]].rename(columns=titles)
    note = f"{measured['cores']} cores, landmarks of the set, pictures of noise in BP4D's tree."
    return f"{tables.as_markdown(table.map('{:,.0f}'.format))}\n\n{note}"


def insides_block(inside: dict[str, dict], latency: dict) -> str:
    """How much of an AU's evidence lies where the AU is, and how fast the playground answers.

    Args:
        inside: run -> {"evidence": {"mean", "aus_above_chance", "per_au"}}.
        latency: {"browser": {"wall_ms": {"median"}}}.
    """
    rows = []
    for run, maps in inside.items():
        evidence = maps["evidence"]
        mean, above = evidence["mean"], f"{evidence['aus_above_chance']} of {len(evidence['per_au'])}"
        shares = {"inside": mean["inside"], "chance": mean["area"], "best possible": mean["best"]}
        texts = {title: f"{share:.0%}" for title, share in shares.items()}
        rows.append({"run": f"`{run}`"} | texts | {"AUs above chance": above})
    median = latency["browser"]["wall_ms"]["median"]
    note = f"Playground, from the slider to the picture: {median:.0f} ms (median)."
    return f"{tables.as_markdown(pd.DataFrame(rows))}\n\n{note}"


def study_list(study: Summary) -> str:
    """README's list of the study: F1 of `full` against itself without the four and without any supervisor."""
    found = comparisons.outcome(study).query("au == @MEAN and measure == 'f1'")
    asked = "question == 'the four together' or (question == 'rivals' and reference == 'separation')"
    line = "- {comparison}: {difference}, p {p}, {verdict}"
    rows = tables.readable(found.query(asked)).to_dict("records")
    return "\n".join(line.format(**row) for row in rows)


def insides_table(study: Summary, variants: list[str], measures: dict[str, str]) -> pd.DataFrame:
    """Measures of a run's insides x 100, source / target, mean over seeds: a row per variant.

    Args:
        measures: heading -> name of a measure, with {} in place of the domain.
    """
    table = pd.DataFrame({"variant": variants})
    for heading, name in measures.items():
        both = [study.seeds_of(f"insides.{name.format(domain)}").mean() for domain in ("source", "target")]
        texts = [[f"{100 * one[variant]:.1f}" for one in both] for variant in variants]
        table[heading] = [" / ".join(pair) for pair in texts]
    return table


def idleness_table(study: Summary) -> pd.DataFrame:
    """`comparisons.idleness` in percent."""
    table = comparisons.idleness(study)
    return table.assign(**{name: tables.in_percent(table[name]) for name in ("lowest", "highest", "share")})


def supervisors_page(study: Summary, harder: Summary) -> str:
    """results/supervisors.md: every comparison of the study as tables.

    Args:
        harder: of experiments/harder_task.yml.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("aubench.report"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["markdown"] = tables.as_markdown
    environment.filters["verdicts"] = lambda outcome: (
        "Not run yet." if outcome.empty else tables.as_markdown(tables.readable(outcome))
    )
    errors = {title: study.seeds_of(name).mean() for name, title in statistics.ERRORS.items()}
    errors = pd.DataFrame(errors).reindex(study.variants).dropna().apply(tables.in_percent)
    own = [study.settings[name] for name in errors.index]
    errors["second round in the objective"] = [
        "L1" if one["weights"].get("cycle") else "aligned" if one["supervisors"] else "no" for one in own
    ]
    outcome = comparisons.outcome(study)
    rivals = outcome[outcome["question"] == "rivals"].drop_duplicates("comparison")
    versions = pd.Series({name: ", ".join(one.get("code", [])) for name, one in study.settings.items()})
    versions = versions.rename_axis("variants").reset_index(name="code").groupby("code", sort=False)
    return environment.get_template("supervisors.md.j2").render(
        study=study,
        statistics=statistics,
        comparisons=comparisons,
        outcome=outcome[outcome["au"] == MEAN],
        aus=outcome[(outcome["au"] != MEAN) & (outcome["measure"] == "f1")],
        errors=errors.reset_index(names="variant"),
        read=insides_table(study, list(errors.index), READ),
        found_again=insides_table(study, list(errors.index), FOUND_AGAIN),
        harder=harder,
        harder_outcome=comparisons.outcome(harder).query("question == 'all six'"),
        harder_found_again=insides_table(harder, harder.variants, FOUND_AGAIN),
        harder_scores=tables.study_table(harder),
        harder_idleness=idleness_table(harder),
        versions=versions["variants"].agg(", ".join).reset_index(),
        terms=rivals.groupby("terms")["comparison"].agg(", ".join).reset_index(),
        distances=tables.comparisons_by_measure(outcome[outcome["measure"].isin(statistics.DISTANCES)]),
        idleness=idleness_table(study),
        scores=tables.study_table(study),
    )


def with_block(text: str, name: str, block: str) -> str:
    """`text` with the part between the markers of `name` replaced.

    Raises:
        ValueError: a marker is missing or occurs twice.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    counts = text.count(begin), text.count(end)
    if counts != (1, 1):
        raise ValueError(f"expected {begin} and {end} once each, found {counts[0]} and {counts[1]}")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{block}\n{end}{rest.split(end)[1]}"


def pages(root: Path) -> dict[Path, str]:
    """Every generated page below a checkout's root, and the text that it should have."""
    results = root / "results"
    studies = ("supervisors", "harder_task", "cycle_weight", "landmark_error")
    study, harder, cycle, landmarks = (read_summary(results / f"{name}.json") for name in studies)

    def kept(name: str) -> dict:
        return read_json(results / f"{name}.json")

    real, inside = kept("real_faces")["runs"], kept("attention")["inside"]
    in_readme = [row for row in real if row["method"] in REAL_METHODS]
    rendered = rendered_table(kept("weights_wild"), pretrained().withheld)
    blocks = [
        ("README.md", "results", results_table(study)),
        ("README.md", "study", study_list(study)),
        ("README.md", "real-faces", real_faces_table(in_readme)),
        ("docs/real-faces.md", "real-faces-all", real_faces_table(real)),
        ("docs/real-faces.md", "real-faces-differences", real_differences(real)),
        ("docs/real-faces.md", "sources", real_faces_table(kept("sources")["runs"])),
        ("docs/real-faces.md", "imagenet", real_faces_table(kept("imagenet")["runs"])),
        ("docs/real-faces.md", "own-landmarks", own_landmarks_table(kept("own_landmarks"))),
        ("aulib/weights/README.md", "measured", weights_table(kept("weights_press"), kept("weights_london"))),
        ("aulib/weights/README.md", "rendered", rendered),
        ("aulib/weights/README.md", "sides", sides_table(kept("sides"))),
        ("results/README.md", "insides", insides_block(inside, kept("playground_latency"))),
        ("docs/video.md", "clips", clips_table(kept("clips"))),
        ("benchmarks/README.md", "faults", faults_table(kept("faults")["faults"])),
        ("docs/method.md", "cycle", cycle_table(cycle)),
        ("docs/method.md", "separation", separation_table(kept("separation_designs"))),
        ("docs/method.md", "landmark-error", landmark_error_table(landmarks)),
        ("docs/synthetic.md", "factors", factors_table(kept("shift_factors"))),
        ("docs/synthetic.md", "steps", steps_table(kept("more_steps")["f1"])),
        ("docs/datasets/README.md", "conversion", conversion_table(kept("convert_memory"))),
    ]
    texts = {root / "results" / "supervisors.md": supervisors_page(study, harder)}
    for page, name, block in blocks:
        text = texts.get(root / page) or (root / page).read_text(encoding="utf-8")
        texts[root / page] = with_block(text, name, block)
    return texts


if __name__ == "__main__":
    for page, text in pages(Path()).items():
        page.write_text(text, encoding="utf-8")
        print(page)
