"""Commands that read finished runs: scores, predictions, tables."""

from pathlib import Path
from typing import Annotated

import typer

from aubench.cli.cli_errors import one_of, print_scores

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
        write_json(json, scores)


@commands.command(short_help="Write a table of AU probabilities.")
def predict(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="A finished run's folder.")
    ],
    faces: Annotated[
        str, typer.Argument(metavar="PHOTOS_OR_DATASET", help="Folder of pictures, or dataset folder.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.csv", dir_okay=False, help="Table to write.")],
):
    """Write AU probabilities and landmarks of every picture in OpenFace's columns.

    Example: aulib predict results/demo/full holiday_pictures --out holiday.csv
    """
    from aubench.inference import predict

    status = predict.predict(run, faces, out)["status"]
    left_out = [f"{count} {why}" for why, count in status[status != "ok"].value_counts().items()]
    typer.echo(f"{(status == 'ok').sum()} faces read" + "".join(f", {one}" for one in left_out))
    typer.echo(f"predictions: {out}")


@commands.command(short_help="Write a run's detector as an ONNX file.")
def onnx(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", exists=True, file_okay=False, help="A finished run's folder.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE.onnx", dir_okay=False, help="File to write.")],
    read_from: Annotated[
        str | None,
        typer.Option(help="features, reconstruction or both; the run's way with targets if not given."),
    ] = None,
):
    """Write a run's detector as one ONNX file, checked against torch on the faces that the run keeps.

    Crops in, AU probabilities and landmarks out; needs the extra `onnx`.

    Example: aulib onnx results/demo/full --out detector.onnx
    """
    one_of("--read-from", read_from, ("features", "reconstruction", "both", None))
    from aubench.inference.onnx_export import export_onnx

    apart = export_onnx(run, out, read_from)
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

    summary = find_summary(study)
    text = summary_text(summary) if format == "json" else study_table(summary, format, per_au=per_au)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(f"table: {out}")
