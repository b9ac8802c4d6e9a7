"""Commands that read finished runs: scores, predictions, tables."""

from pathlib import Path
from typing import Annotated

import typer

from aubench.cli.cli_errors import one_of, print_scores

SUMMARY = {
    "contrasts": "contrasts in the means",
    "auc": "mean AUC",
    "own": "mean AUC of the own parts",
    "false_alarm": "false alarms on neutral faces, worst AU",
    "gap": "largest gap of false alarms between groups",
}

commands = typer.Typer()


@commands.command(short_help="Score a run on a labelled data set.")
def evaluate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="A finished run's folder.")
    ],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Dataset folder or synthetic:...")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all scores here.")
    ] = None,
    read_from: Annotated[
        str | None, typer.Option(help="features, reconstruction or both; the run's own if not given.")
    ] = None,
):
    """Score a run on a labelled data set, with 95 % intervals over subjects.

    Example: aulib evaluate results/demo/full synthetic:wild --split test --json scores.json
    """
    one_of("--split", split, ("train", "val", "test"))
    one_of("--read-from", read_from, ("features", "reconstruction", "both", None))
    from aubench.inference import predict
    from aulib.files import write_json

    scores = predict.evaluate(run, dataset, split, read_from=read_from)
    print_scores(scores)
    if json:
        write_json(json, scores, ours=b'"mean.f1": ')


@commands.command(short_help="Score a run on faces whose expressions are labelled.")
def contrast(
    run_or_dataset: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="A finished run's folder; the package's own detector if only DATASET.",
        ),
    ],
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Dataset folder with a column meta_expression.")
    ] = "",
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all scores here, of all groups.")
    ] = None,
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
    from aulib.files import write_json

    scores = predict.contrast(*run_and_input(run_or_dataset, dataset))
    typer.echo(tabulate(scores.everyone, "keys", "simple", floatfmt=".2f", showindex=False))
    for name, value in scores.summary().items():
        typer.echo(f"{SUMMARY[name]}: {round(value, 2)}")
    if scores.left_out:
        typer.echo(f"too few people: {', '.join(scores.left_out)}")
    if json:
        write_json(json, scores.as_json(), ours=b'"summary": ')


@commands.command(short_help="AU probabilities of a photograph, or a table of many.")
def predict(
    run_or_photos: Annotated[
        str,
        typer.Argument(
            metavar="[RUN]",
            help="A finished run's folder; the package's own detector if only PHOTOS is given.",
        ),
    ],
    photos: Annotated[
        str, typer.Argument(metavar="PHOTOS", help="A picture, a folder of pictures, or a dataset folder.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", dir_okay=False, help="Table to write, for a folder."),
    ] = None,
    all_aus: Annotated[
        bool,
        typer.Option(
            "--all-aus", help="With AUs that did not work on real faces, where a run withholds some."
        ),
    ] = False,
):
    """Print the AU probabilities of a picture, or write a folder's, with landmarks, in OpenFace's columns.

    Example: aulib predict me.jpg

    Example: aulib predict results/demo/full holiday_pictures --out holiday.csv
    """
    from aubench.inference import predict
    from aubench.report.results import not_learned

    run, photos = run_and_input(run_or_photos, photos)
    single = Path(photos).is_file()
    if out is None and not single and (Path(photos).is_dir() or photos.startswith("synthetic:")):
        raise typer.BadParameter(f"{photos} is no single picture: name a table to write", param_hint="--out")
    note = not_learned(run)
    table = predict.predict(run, photos, out, all_aus=all_aus)
    if single:
        print_reading(table.iloc[0], run)
    else:
        left_out = [f"{count} {why}" for why, count in table["status"].value_counts().items() if why != "ok"]
        typer.echo(", ".join([f"{(table['status'] == 'ok').sum()} faces read", *left_out]))
    if out:
        typer.echo(f"predictions: {out}")
    if note:
        typer.echo(f"note: {note}; do not rely on these probabilities", err=True)


@commands.command(short_help="Adapt a detector to your own photographs, without labels.")
def adapt(
    photos: Annotated[
        Path,
        typer.Argument(
            metavar="PHOTOS",
            exists=True,
            file_okay=False,
            help="Any folder of pictures, or a dataset folder.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", file_okay=False, help="Folder of the new run.")],
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN", exists=True, file_okay=False, help="Fit this one, not the package's own."
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=0, help="Train on with the photographs as unlabelled target, before that.")
    ] = 0,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AU=SHARE", help="Share of the faces that show an AU, where you know better; repeatable."
        ),
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
    found = fitting.adapt(run or pretrained().path, photos, out, rates, steps)
    words = {"au": "AU", "base_rate": "base rate", "before": "called present before", "after": "after"}
    given = [au for au in found["rates"]["au"] if au not in Run(out).withheld]
    shown = found["rates"].set_index("au").loc[given].reset_index().rename(columns=words)
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
    rows = [(au, AU_NAMES[au], row[f"{au}_p"], "present" if row[f"{au}_c"] else "") for au in aus]
    typer.echo(tabulate(rows, ("AU", "", "probability", "0.5 or more"), "plain", floatfmt=".2f"))


@commands.command(short_help="Write a run's detector as an ONNX file.")
def onnx(
    out: Annotated[Path, typer.Option(metavar="FILE.onnx", dir_okay=False, help="File to write.")],
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            exists=True,
            file_okay=False,
            help="A finished run's folder; else the package's own detector.",
        ),
    ] = None,
    read_from: Annotated[
        str | None,
        typer.Option(help="features, reconstruction or both; the run's way with targets if not given."),
    ] = None,
):
    """Write a run's detector as one ONNX file, checked against torch on the faces that the run keeps.

    Crops in, AU probabilities and landmarks out; needs the extra `onnx`.

    Example: aulib onnx --out detector.onnx
    """
    one_of("--read-from", read_from, ("features", "reconstruction", "both", None))
    from aubench.inference.onnx_export import export_onnx
    from aulib import pretrained

    apart = export_onnx(run or pretrained().path, out, read_from)
    typer.echo(
        f"{out}: within {apart['probability']:.1g} of torch's probabilities and "
        f"{apart['landmarks']:.1g} pixels of its landmarks"
    )


@commands.command(short_help="A study's scores as a table.")
def table(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's name, YAML, folder of runs, or summary.json.")
    ],
    format: Annotated[str, typer.Option(help="md, latex (needs booktabs), csv, or json: all of it.")] = "md",
    per_au: Annotated[
        str, typer.Option(metavar="MEASURE", help="One column per AU: f1, auc or f1_norm (md, latex).")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write it here, not to the terminal.")
    ] = None,
):
    """A study's scores as the table of a paper: means over seeds, best bold, second underlined.

    Without the study's runs on this machine it reads the committed summary results/NAME.json, which
    `--format json` writes.

    Example: aulib table supervisors --format latex --out table.tex
    """
    one_of("--format", format, ("md", "latex", "csv", "json"))
    from aubench.report.summaries import find_summary, summary_text
    from aubench.report.tables import study_table
    from aulib.files import result_file

    summary = find_summary(study)
    text = summary_text(summary) if format == "json" else study_table(summary, format, per_au=per_au)
    if out is None:
        typer.echo(text, nl=False)
    else:
        with result_file(out, ours=text.partition("\n")[0].encode()) as partial:
            partial.write_text(text, encoding="utf-8")
        typer.echo(f"table: {out}")
