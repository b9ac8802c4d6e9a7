"""Commands that read finished runs: scores, predictions, tables."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from aubench.cli.cli_errors import FILE, FOLDER, argument, flag, option, print_scores

SUMMARY = {
    "contrasts": "contrasts in the means",
    "auc": "mean AUC",
    "own": "mean AUC of the own parts",
    "false_alarm": "false alarms on neutral faces, worst AU",
    "gap": "largest gap of false alarms between groups",
}
CALLS = {1: "present", 0: ""}
# Of 5; less is read of rendered faces that show an AU alike on both sides (aulib/weights/README.md).
A_SIDE = 1.0

commands = typer.Typer()

_ReadFrom = Annotated[
    Literal["features", "reconstruction", "both"] | None,
    typer.Option(help="What the AU head sees; the run's own way if not given."),
]


@commands.command(short_help="Score a run on a labelled data set.")
def evaluate(
    run: Annotated[Path, argument("RUN", "A finished run's folder.", **FOLDER)],
    dataset: Annotated[str, argument("DATASET", "Dataset folder or synthetic:...")],
    split: Annotated[Literal["train", "val", "test"], typer.Option(help="Which rows.")] = "test",
    json: Annotated[Path | None, option("FILE", "Write all scores here.", "--json")] = None,
    read_from: _ReadFrom = None,
):
    """Score a run on a labelled data set, with 95 % intervals over subjects.

    Example: aulib evaluate results/demo/full synthetic:wild --split test --json scores.json
    """
    from aubench.inference import predict
    from aulib.files import refuse_other, result_file, write_json

    if json:
        refuse_other(json, "scores")
    scores = predict.evaluate(run, dataset, split, read_from=read_from)
    print_scores(scores)
    if "mean.icc" in scores:
        of_five = f"mean absolute error {scores['mean.intensity_error']:.2f} of 5"
        typer.echo(f"{'intensity, ICC(3,1)':29s} {scores['mean.icc']:.3f}; {of_five}")
    if "errors.all" in scores:
        wrong, expected, surest = (scores[f"errors.{name}"] for name in ("all", "expected", "surest"))
        about = f"{expected:.3f} expected; {surest:.3f} of the surest {predict.SUREST:.0%}"
        typer.echo(f"{'wrong calls':29s} {wrong:.3f}; {about}")
    if json:
        with result_file(json, "scores") as partial:
            write_json(partial, scores)


@commands.command(short_help="Score a run on faces whose expressions are labelled.")
def contrast(
    run_or_dataset: Annotated[
        str, argument("[RUN]", "A finished run's folder; the package's own detector if only DATASET.")
    ],
    dataset: Annotated[str, argument("DATASET", "Dataset folder with a column meta_expression.")] = "",
    json: Annotated[Path | None, option("FILE", "Write all scores here, of all groups.", "--json")] = None,
):
    """Score a run without AU labels: is an AU more probable on faces of its expression than on neutral?

    AUC of an AU for the expression against neutral faces, with intervals over people; its own part, what is
    left after the expression's other AUs; in how many people it rises; false alarms on neutral faces.
    A contrast is no AU label: not every happy face has AU06.

    Example: aulib contrast faces/london --json london.json

    Example: aulib contrast results/demo/full faces/london
    """
    from tabulate import tabulate

    from aubench.inference import predict
    from aulib.expressions import MIN_FACES
    from aulib.files import refuse_other, result_file, write_json

    if json:
        refuse_other(json, "contrasts")
    scores = predict.contrast(*run_and_input(run_or_dataset, dataset))
    typer.echo(tabulate(scores.everyone, "keys", "simple", floatfmt=".2f", showindex=False))
    summary = scores.summary()
    for name, value in summary.items():
        typer.echo(f"{SUMMARY[name]}: {round(value, 2)}")
    if not summary["contrasts"]:
        typer.echo(f"note: no contrast has {MIN_FACES} faces, so there is no mean", err=True)
    if scores.left_out:
        typer.echo(f"too few people: {', '.join(scores.left_out)}")
    if scores.unread:
        typer.echo(f"note: labelled faces that were not read, and count nowhere: {scores.unread}", err=True)
    if json:
        with result_file(json, "contrasts") as partial:
            write_json(partial, scores.as_json())


@commands.command(short_help="AU probabilities of a photograph, a clip, or a table of many.")
def predict(
    run_or_photos: Annotated[
        str, argument("[RUN]", "A finished run's folder; the package's own detector if only PHOTOS is given.")
    ],
    photos: Annotated[
        str, argument("PHOTOS", "A picture or a clip, a folder of them, a pattern, or a dataset folder.")
    ] = "",
    out: Annotated[
        Path | None, option("FILE", "Table to write, for a folder or a clip; of several clips a folder.")
    ] = None,
    all_aus: Annotated[
        bool, flag("--all-aus", "With AUs that did not work on real faces, where a run withholds some.")
    ] = False,
    max_error: Annotated[
        float,
        option(
            "E",
            "Leave AUxx_c empty where it is expected to be wrong with a higher probability.",
            min=0.001,
            max=0.5,
        ),
    ] = 0.5,
    sides: Annotated[
        bool, flag("--sides", "AUxx_side: how much stronger an AU is on the person's left than on the right.")
    ] = False,
    every: Annotated[int, option("N", "Take each N-th frame.", min=1)] = 1,
    fps: Annotated[float | None, option("F", "Take at most F frames a second.", min=0.001)] = None,
    sequence: Annotated[
        float | None, option("FPS", "PHOTOS is a folder of frames, so many a second.", min=0.001)
    ] = None,
    format: Annotated[
        Literal["openface", "pyfeat", "long", "parquet"], typer.Option(help="Of the table.")
    ] = "openface",
    neutral: Annotated[
        str, option("FRAMES", "Frames of a neutral face (1-30), auto, or a file of --save-neutral.")
    ] = "",
    save_neutral: Annotated[
        Path | None, option("FILE.json", "Keep the neutral face for other clips of this person.")
    ] = None,
    smooth: Annotated[float, option("SECONDS", "Moving average of the probabilities.", min=0)] = 0.0,
    timeline: Annotated[Path | None, option("FILE.png", "Draw each person's AUs over time.")] = None,
    preview: Annotated[
        Path | None, option("FILE.mp4", "Write the clip with faces, AU bars and time line.")
    ] = None,
):
    """Print the AU probabilities of a picture, or write those of a folder or a clip, with landmarks, in
    OpenFace's columns.

    Example: aulib predict me.jpg

    Example: aulib predict results/demo/full holiday_pictures --out holiday.csv

    Example: aulib predict me.mp4 --out me.csv --timeline me.png --preview me_aus.mp4
    """
    from aubench.datasets.picture_files import is_video
    from aubench.datasets.videos import Clip
    from aubench.inference import clips, predict
    from aubench.report.results import not_learned

    run, photos = run_and_input(run_or_photos, photos)
    found = [Path(photos)] if sequence else clips.clips_in(photos)
    options = {
        "--every": every != 1, "--fps": fps, "--format": format != "openface", "--neutral": neutral,
        "--save-neutral": save_neutral, "--smooth": smooth, "--timeline": timeline, "--preview": preview,
    }  # fmt: skip
    given = [name for name, value in options.items() if value]
    of_one = [name for name in given if name in ("--save-neutral", "--timeline", "--preview")]
    single, folder = Path(photos).is_file(), Path(photos).is_dir()
    several = len(found) > 1 or bool(found) and not (sequence or single)
    if given and not found:
        if not (Path(photos).exists() or photos.startswith("synthetic:")):
            raise typer.BadParameter(f"{photos} does not exist", param_hint="PHOTOS")
        raise typer.BadParameter(f"{given[0]} is for clips; {photos} is none", param_hint=given[0])
    if sequence and not folder:
        raise typer.BadParameter(f"{photos} is no folder of frames", param_hint="--sequence")
    if sequence and fps:
        raise typer.BadParameter("--sequence says how many frames a second there are", param_hint="--fps")
    if several and of_one:
        raise typer.BadParameter(f"{of_one[0]} is of one clip, found {len(found)}", param_hint=of_one[0])
    if out is None and (found or folder or photos.startswith("synthetic:")):
        raise typer.BadParameter(f"{photos} is no single picture: name a table to write", param_hint="--out")
    if out and out.is_dir() and not several:
        raise typer.BadParameter(f"{out} is a folder; name a table to write", param_hint="--out")
    if found:
        how = {
            "form": format, "neutral": neutral, "save_neutral": save_neutral, "smooth": smooth,
            "all_aus": all_aus, "max_error": max_error, "sides": sides,
        }  # fmt: skip
        failed, asked = [], []
        tables = clips.tables_of(found, out, format) if several else [out]
        for path, table in zip(found, tables, strict=True):
            try:
                if several:
                    clips.refuse_no_file(path)
                asked.append(clip := Clip(path, every, sequence or fps))
                read_clip(run, clip, table, timeline, preview, **how)
            except ValueError as error:
                if not several:
                    raise
                typer.echo(f"aulib: {error}", err=True)
                failed.append(path)
        for clip in asked:  # a repeated command finds what was read until all is done
            clips.forget(run, clip, sides)
        if failed:
            raise ValueError(f"{len(failed)} of {len(found)} clips cannot be read, such as {failed[0]}")
    else:
        table = predict.predict(run, photos, out, all_aus=all_aus, max_error=max_error, sides=sides)
        if single:
            print_reading(table.iloc[0], run)
        else:
            left_out = [f"{n} {why}" for why, n in table["status"].value_counts().items() if why != "ok"]
            typer.echo(", ".join([f"{(table['status'] == 'ok').sum()} faces read", *left_out]))
            if clips_left := [name for name in table["image"] if is_video(name)]:
                some = Path(photos, clips_left[0])
                typer.echo(f"note: clips are left ({len(clips_left)}), such as {some}; name them", err=True)
        if out:
            typer.echo(f"predictions: {out}")
    if note := not_learned(run):
        typer.echo(f"note: {note}; do not rely on these probabilities", err=True)


def read_clip(run, clip, out: Path, timeline: Path | None, preview: Path | None, **how) -> None:
    """One clip: its table, time line and preview written, and what was seen printed.

    how: of `predict_clip`.
    """
    from aubench.datasets.videos import write_video
    from aubench.inference.clips import predict_clip
    from aulib.files import read_json, refuse_other, result_file

    for path, kind in ((timeline, "timeline"), (preview, "preview")):
        if path:
            refuse_other(path, kind)
    named = (clip.path, out, timeline, preview, how["save_neutral"])
    written = [Path(path).resolve() for path in named if path]
    if twice := [path for path in written if written.count(path) > 1]:
        raise ValueError(f"{twice[0]} is named for two results, or is the clip itself")
    for path, suffix in ((timeline, ".png"), (preview, ".mp4")):
        if path and path.suffix.lower() != suffix:
            raise ValueError(f"{path}: expected a name that ends in {suffix}")
    notes: list[str] = []
    table = predict_clip(run, clip, out, keep=True, note=notes.append, **how)
    seen = table[table["success"] == 1]
    counts = seen["face_id"].value_counts().sort_index()
    faces = ", ".join(f"face {face} in {count}" for face, count in counts.items()) or "no face"
    frames, without = table["frame"].nunique(), table["frame"].nunique() - seen["frame"].nunique()
    typer.echo(f"{clip.path}: {frames} frames, {faces}; {without} without a face")
    for text in notes:
        typer.echo(f"note: {text}", err=True)
    typer.echo(f"predictions: {out}")
    if saved := how["save_neutral"]:
        typer.echo(f"neutral face of {read_json(saved)['face_id']}: {saved}")
    if timeline or preview:
        from tqdm.auto import tqdm

        from aubench.plots.clips import draw_timeline, preview_frames
    if timeline:
        with result_file(timeline, "timeline") as partial:
            draw_timeline(table).savefig(partial, dpi=150, format="png")
        typer.echo(f"time line: {timeline}")
    if preview:
        with result_file(preview, "preview") as partial:
            write_video(partial, tqdm(preview_frames(clip, table), preview.name, frames, unit="frame"))
        typer.echo(f"preview: {preview}")


@commands.command(short_help="Tables of several tools laid against each other.")
def compare(
    tables: Annotated[
        list[Path],
        argument(
            "TABLE...",
            "Two or more tables of OpenFace, py-feat, LibreFace, pyfaceau or `aulib predict`.",
            **FILE,
        ),
    ],
    out: Annotated[Path, option("DIR", "New folder for the results.", file_okay=False)],
    labels: Annotated[
        Path | None,
        option("CSV", "AU labels of these faces: of `aulib synth --clip`, or a manifest.csv.", **FILE),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            exists=True, help="The clip, or the folder of pictures, to show where they differ most."
        ),
    ] = None,
):
    """How far several tools agree about the same faces, and how right each is where labels exist.

    Writes agreement.csv (kappa of 0/1, Pearson's r, ICC(3,1) where scales are the same), tools.csv (what each
    wrote, on which scale) and, if asked, scores.csv and a figure of disagreements.

    Example: aulib compare ours.csv openface.csv --faces me.mp4 --out compared
    """
    from itertools import combinations

    from tabulate import tabulate

    from aubench.report import agreement
    from aubench.report.run_values import in_words
    from aulib.files import new_folder, refuse_used

    refuse_used(out)
    if len(tables) < (1 if labels else 2):
        raise typer.BadParameter("name two tables or more, or one and --labels", param_hint="TABLE...")
    readings = [agreement.read_tool(path) for path in tables]
    truth = agreement.read_tool(labels) if labels else None
    if doubled := {one.name for one in readings if [other.name for other in readings].count(one.name) > 1}:
        raise typer.BadParameter(f"two tables are called {min(doubled)}; rename one", param_hint="TABLE...")
    for a, b in combinations([*readings, truth] if truth else readings, 2):
        if asked := agreement.apart_in_time(a, b):
            typer.echo(f"note: frame {asked}", err=True)
    doubts = [agreement.doubts_about_labels(one, truth) for one in readings] if truth else []
    doubts += [text for one in readings for text in agreement.doubts_about_faces(one, faces)] if faces else []
    for text in filter(None, doubts):
        typer.echo(f"note: {text}", err=True)
    written = {"tools": agreement.scales_of(readings)}
    if len(readings) > 1:
        written["agreement"] = agreement.agreement(readings)
    if labels:
        written["scores"] = agreement.scores_of_all(readings, truth)
    with new_folder(out) as partial:
        if faces:
            from aubench.plots.agreement import draw_disagreements
            from aubench.plots.style import save_figure

            for a, b in combinations(readings, 2):
                worst = agreement.disagreements(a, b)
                if worst.empty:
                    typer.echo(f"note: {a.name} and {b.name} have no values of one face to show", err=True)
                    continue
                figure = draw_disagreements(worst, faces, (a.name, b.name))
                save_figure(figure, partial, f"disagreements_{a.name}_{b.name}", worst)
        for name, table in written.items():
            table.to_csv(partial / f"{name}.csv", index=False)
    if labels:
        written["scores"] = agreement.readable(written["scores"])
    for tool in written["tools"].itertuples():
        if tool.scale == agreement.SCALES["r"] and tool.most <= 1:
            typer.echo(f"note: no intensity of {tool.table} is above 1; is its scale 0 to 5?", err=True)
    for table in written.values():
        shown = in_words(table).astype(object).where(table.notna().to_numpy(), None)
        typer.echo(tabulate(shown, "keys", "simple", floatfmt=".2f", showindex=False, missingval="–") + "\n")
    typer.echo(f"written: {out}")


@commands.command(short_help="Adapt a detector to your own photographs, without labels.")
def adapt(
    photos: Annotated[Path, argument("PHOTOS", "Any folder of pictures, or a dataset folder.", **FOLDER)],
    out: Annotated[Path, option("RUN", "Folder of the new run.", file_okay=False)],
    run: Annotated[Path | None, option("RUN", "Fit this one, not the package's own.", **FOLDER)] = None,
    steps: Annotated[
        int, typer.Option(min=0, help="Train on with the photographs as unlabelled target, before that.")
    ] = 0,
    rate: Annotated[
        list[str] | None,
        option("AU=SHARE", "Share of the faces that show an AU, where you know better; repeatable."),
    ] = None,
):
    """Fit how often each AU is called present on your photographs, from a few seconds to some minutes.

    No label is needed, but at least 50 faces. An AU is then called present as often as its base rate says:
    that of pictures from the web, labelled by hand (EmotioNet), or yours. Give yours where it differs: of
    pictures with many smiles and of pictures with none the same share would be called AU12. The order of the
    faces stays, and so does every AUC.

    Example: aulib adapt holiday_pictures --out results/holiday --rate AU12=0.6
    """
    from tabulate import tabulate

    from aubench.inference import adapt as fitting
    from aulib import pretrained
    from aulib.run import Run

    rates = {}
    for text in rate or []:
        au, found, share = text.partition("=")
        try:
            rates[au] = float(share)
        except ValueError:
            raise typer.BadParameter(f"{text!r}, expected as in AU12=0.3", param_hint="--rate") from None
    if len(rates) < len(rate or []):
        raise typer.BadParameter("an AU is given twice, expected each once", param_hint="--rate")
    found = fitting.adapt(run or pretrained().path, photos, out, rates, steps)
    words = {"au": "AU", "base_rate": "base rate", "before": "called present before", "after": "after"}
    shown = found["rates"][~found["rates"]["au"].isin(Run(out).withheld)].rename(columns=words)
    typer.echo(tabulate(shown, "keys", "simple", floatfmt=".2f", showindex=False))
    if "contrasts" in found:
        rows = [
            {"": name} | {SUMMARY[key]: value for key, value in scores.items()}
            for name, scores in found["contrasts"].items()
        ]
        typer.echo(tabulate(rows, "keys", "simple", floatfmt=".2f"))
    typer.echo(f"run folder: {out}; read with it: aulib predict {out} {photos} --out FILE.csv")


def run_and_input(first: str, second: str) -> tuple[Path, str]:
    """The arguments of `predict` and `contrast`: without a run the package's own detector, and what it reads.

    Raises:
        typer.BadParameter: two files, or a run and nothing that it shall read.
    """
    from aulib import pretrained
    from aulib.run import CONFIG

    if second:
        if Path(first).is_file():
            raise typer.BadParameter(f"{first} is a file and no run; give one picture, or a folder of them")
        return Path(first), second
    if (Path(first) / CONFIG).is_file():
        raise typer.BadParameter(f"{first} is a run; name what it shall read after it")
    return pretrained().path, first


def print_reading(row, run: Path) -> None:
    """One row of `predict`'s table: each AU of a picture.

    Raises:
        ValueError: no face was read.
    """
    from tabulate import tabulate

    from aulib.labels import AU_NAMES

    if row["status"] != "ok":
        raise ValueError(f"{row['image']}: {row['status']}")
    typer.echo(f"{row['image']}, read by {run}" + (f"; {row['note']}" if row["note"] else ""))
    aus = [name.removesuffix("_p") for name in row.index if name.endswith("_p")]
    rows = [
        (au, AU_NAMES[au], row[f"{au}_p"], CALLS.get(row[f"{au}_c"], "unsure"), row.get(f"{au}_r"))
        for au in aus
    ]
    heads = ("AU", "", "probability", "0.5 or more", "intensity, 0 to 5")
    typer.echo(tabulate(rows, heads, "plain", floatfmt=("", "", ".2f", "", ".1f"), missingval="–"))
    sides = row.filter(regex="_side$")
    for name, more in sides.dropna().items():
        side = f"is stronger on the person's {'left' if more > 0 else 'right'}, by {abs(more):.1f} of 5"
        typer.echo(f"{name[:4]} {side if abs(more) >= A_SIDE else 'is about as strong on both sides'}")
    if len(sides) and sides.isna().all():
        typer.echo(f"no AU is present of those with a side, {', '.join(name[:4] for name in sides.index)}")
    typer.echo(f"expected to be right: {row['trust']:.0%} of the calls")


@commands.command(short_help="Write a run's detector as an ONNX file.")
def onnx(
    out: Annotated[Path, option("FILE.onnx", "File to write.", dir_okay=False)],
    run: Annotated[
        Path | None, argument("[RUN]", "A finished run's folder; else the package's own detector.", **FOLDER)
    ] = None,
    read_from: _ReadFrom = None,
):
    """Write a run's detector as one ONNX file, checked against torch on the faces that the run keeps.

    Crops in, AU probabilities and landmarks out; needs the extra `onnx`.

    Example: aulib onnx --out detector.onnx
    """
    from aubench.inference.onnx_export import export_onnx
    from aulib import pretrained

    apart = export_onnx(run or pretrained().path, out, read_from)
    found = f"within {apart['probability']:.1g} of torch's probabilities"
    typer.echo(f"{out}: {found} and {apart['landmarks']:.1g} pixels of its landmarks")


@commands.command(short_help="A study's scores as a table.")
def table(
    study: Annotated[str, argument("STUDY", "A study's name, YAML, folder of runs, or summary.json.")],
    format: Annotated[
        Literal["md", "latex", "csv", "json"], typer.Option(help="latex needs booktabs; json is all of it.")
    ] = "md",
    per_au: Annotated[str, option("MEASURE", "One column per AU: f1, auc or f1_norm (md, latex).")] = "",
    out: Annotated[Path | None, option("FILE", "Write it here, not to the terminal.", dir_okay=False)] = None,
):
    """A study's scores as the table of a paper: means over seeds, best bold, second underlined.

    Without the study's runs on this machine it reads the committed summary results/NAME.json, which
    `--format json` writes.

    Example: aulib table supervisors --format latex --out table.tex
    """
    from aubench.report.summaries import find_summary, summary_text
    from aubench.report.tables import study_table
    from aulib.files import result_file

    summary = find_summary(study)
    text = summary_text(summary) if format == "json" else study_table(summary, format, per_au=per_au)
    if out is None:
        typer.echo(text, nl=False)
    else:
        with result_file(out, "table") as partial:
            partial.write_text(text, encoding="utf-8")
        typer.echo(f"table: {out}")
