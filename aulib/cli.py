"""The command `aulib`: parses, calls, prints. What is heavy is imported inside the command that needs it.

Exit status: 0 done, 1 failed (one line says why; `--debug` adds the traceback), 2 bad arguments,
130 interrupted.
"""

import sys
import time
import traceback
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

import aulib


class OneLineErrors(TyperGroup):
    """Turns what a command raises into one line on stderr and an exit status."""

    debug = False

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _ended(
                "interrupted; what was finished is kept, the same command goes on from there", 130
            ) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # usage errors print themselves
                raise
            if OneLineErrors.debug:
                traceback.print_exc()
            status = getattr(error, "exit_status", 1)
            cause = " ".join(str(error).split()) or "no message; --debug shows where"
            raise _ended(f"{type(error).__name__}: {cause}", status) from None


def _ended(line: str, status: int) -> typer.Exit:
    typer.echo(f"aulib: {line}", err=True)
    return typer.Exit(status)


app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aulib {aulib.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
):
    """Facial action units in the wild, learnt from labelled faces of another domain.

    `aulib demo` runs everything once. Where a data set is asked for, give a folder with manifest.csv, or
    synthetic:studio or synthetic:wild.
    """
    OneLineErrors.debug = debug


@app.command(short_help="Render faces with AU labels.")
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; becomes a dataset folder.")],
    domain: Annotated[str, typer.Option(help="studio or wild.")] = "studio",
    n: Annotated[int, typer.Option("--n", min=1, help="How many faces.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes (CPU).")] = 0,
    size: Annotated[int, typer.Option(min=16, max=2048, help="Pixels of a side.")] = 112,
):
    """Render faces with AU labels and landmarks.

    Example: aulib synth --domain wild --n 500 --seed 1 --size 128 faces/wild
    """
    if domain not in ("studio", "wild"):
        raise typer.BadParameter(f"{domain!r} is neither studio nor wild", param_hint="--domain")
    from aulib.synthetic.sets import generate_set

    typer.echo(f"{n} faces in {generate_set(domain, n, seed, size, out)}")


@app.command(short_help="Make a dataset folder of pictures.")
def prepare(
    photos: Annotated[
        Path, typer.Argument(metavar="PHOTOS", exists=True, file_okay=False, help="Any folder of pictures.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Dataset folder to write.")],
    landmarks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            help="Landmarks from an OpenFace CSV (or a folder of them), not a detector.",
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="auto (people shared 80/10/10), or train, val, test for every picture.")
    ] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")] = None,
):
    """Make a dataset folder of any folder of pictures; what cannot be used is listed in OUT/skipped.csv.

    Example: aulib prepare holiday_pictures faces/holiday
    """
    _one_of("--split", split, ("auto", "train", "val", "test"))
    from aulib.photographs import prepare as prepare_photographs

    faces = prepare_photographs(photos, out, landmarks=landmarks, workers=workers, split=split)
    typer.echo(f"dataset folder: {out}, {len(faces)} faces; pictures left out are listed in skipped.csv")


@app.command(short_help="Make a dataset folder of a licensed set's raw download.")
def convert(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="bp4d, bp4dplus, disfa, ...; see docs/datasets.")
    ],
    raw: Annotated[
        Path, typer.Option(metavar="DIR", exists=True, file_okay=False, help="The unpacked download.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Dataset folder to write.")],
    keep: Annotated[str, typer.Option(help="link or copy the pictures.")] = "link",
    landmarks: Annotated[
        str, typer.Option(help="set, detect or none; the set's own where it has some, else detect.")
    ] = "",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")] = None,
):
    """Make a dataset folder of the raw download of BP4D, DISFA and others, and report what was found against
    what should be there. What cannot be used is listed in OUT/skipped.csv; repeated, it goes on where it
    stopped.

    Example: aulib convert bp4d --raw downloads/BP4D --out faces/bp4d
    """
    from aulib.converting import CONVERTERS

    if name not in CONVERTERS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(CONVERTERS)}", param_hint="NAME")
    _one_of("--keep", keep, ("link", "copy"))
    _one_of("--landmarks", landmarks, ("set", "detect", "none", ""))
    from aulib.converting.convert import convert as convert_raw

    _, report = convert_raw(name, raw, out, keep=keep, landmarks=landmarks, workers=workers)
    typer.echo(report.text())
    typer.echo(f"dataset folder: {out}")


@app.command(short_help="Find what is wrong with a dataset folder.")
def check(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="A dataset folder.")
    ],
    published: Annotated[
        str,
        typer.Option(
            "--as", metavar="NAME", help="Compare base rates with those published of bp4d, disfa, ..."
        ),
    ] = "",
    pictures: Annotated[int, typer.Option(min=0, help="How many to open at most; 0 opens none.")] = 20_000,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", dir_okay=False, help="Draw the crops least like the others."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", dir_okay=False, help="Write all findings here.")
    ] = None,
):
    """Find what is wrong with a dataset folder: cells, labels, splits, pictures, duplicates, landmarks. Ends
    with status 1 if there are errors. Notebook 07_dataset_check shows the same with pictures.

    Example: aulib check faces/bp4d --sheet worst.png
    """
    from aulib.converting import CONVERTERS

    _one_of("--as", published, (*CONVERTERS, ""))
    from aulib.checking.doctor import check as check_folder
    from aulib.checking.doctor import worst_faces

    diagnosis = check_folder(folder, published, pictures)
    typer.echo(diagnosis.text())
    if json:
        diagnosis.write(json)
    if sheet and len(diagnosis.worst):
        from aulib import plots

        shown = worst_faces(diagnosis)
        title = "crops least like the set's mean crop, worst first"
        figure = plots.draw_faces(shown["images"], shown["landmarks"], shown["captions"], title=title)
        sheet.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(sheet)
        typer.echo(f"contact sheet: {sheet}")
    if errors := diagnosis.count("error"):
        raise _ended(f"{errors} errors in {folder}", 1)


@app.command("import", short_help="Make a dataset folder of other code's files.")
def import_(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="openface, pyfeat, jaanet (ADLD too) or megraphau.")
    ],
    pictures: Annotated[
        Path,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="The pictures that the files name."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Dataset folder to write.")],
    table: Annotated[
        Path | None,
        typer.Option(metavar="CSV", exists=True, help="openface, pyfeat: a CSV, or a folder of them."),
    ] = None,
    train: Annotated[
        str, typer.Option(metavar="PREFIX", help="jaanet: lists of train, without _path.txt.")
    ] = "",
    val: Annotated[str, typer.Option(metavar="PREFIX", help="jaanet: lists of val.")] = "",
    test: Annotated[str, typer.Option(metavar="PREFIX", help="jaanet: lists of test.")] = "",
    lists: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="megraphau: folder of lists."),
    ] = None,
    dataset: Annotated[str, typer.Option(help="megraphau: what the lists' names start with.")] = "BP4D",
    fold: Annotated[int, typer.Option(min=1, help="megraphau: which fold.")] = 1,
    aus: Annotated[
        str, typer.Option(help="What the label columns are, as in 1,2,4; else their number tells.")
    ] = "",
    first_pixel: Annotated[
        int, typer.Option(min=0, max=1, help="jaanet: 1 for landmarks of raw pictures, 0 of aligned ones.")
    ] = 0,
    keep: Annotated[str, typer.Option(help="link or copy the pictures.")] = "link",
):
    """Make a dataset folder of CSV files of OpenFace or py-feat, or of JAA-Net's, ADLD's or ME-GraphAU's
    lists.

    Example: aulib import jaanet --train data/list/BP4D_combine_1_2 --test data/list/BP4D_part3 --pictures
    data/imgs --out faces/bp4d
    """
    from aulib.interchange import FORMATS

    _one_of("KIND", kind, FORMATS)
    _one_of("--keep", keep, ("link", "copy"))
    prefixes = {split: prefix for split, prefix in (("train", train), ("val", val), ("test", test)) if prefix}
    needed = {"jaanet": prefixes, "megraphau": lists}.get(kind, table)
    if not needed:
        option = {"jaanet": "--train, --val or --test", "megraphau": "--lists"}.get(kind, "--table")
        raise typer.BadParameter(f"{kind} needs {option}", param_hint="KIND")
    from aulib.interchange import folders

    if kind in ("openface", "pyfeat"):
        data = folders.import_table(kind, table, pictures, out, keep)
    else:
        named = [f"AU{int(number):02d}" for number in aus.split(",")] if aus else None
        data = folders.import_lists(
            folders.Lists(prefixes, lists, dataset, fold, named, first_pixel), pictures, out, keep
        )
    typer.echo(f"dataset folder: {out}, {len(data)} faces; rows left out are listed in skipped.csv")


@app.command(short_help="Write a dataset folder as other code's files.")
def export(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    kind: Annotated[str, typer.Option("--as", metavar="KIND", help="openface, pyfeat, jaanet or megraphau.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write.")],
    unknown: Annotated[int, typer.Option(help="jaanet: code of unknown labels, 9 there, 999 in ADLD.")] = 9,
    crop: Annotated[
        str, typer.Option(help="jaanet: adld or jaanet also cuts 200-pixel faces as that code does.")
    ] = "",
):
    """Write a dataset folder as a CSV of OpenFace or py-feat, or as JAA-Net's, ADLD's or ME-GraphAU's lists.

    Example: aulib export faces/bp4d#bp4d-3fold/part3 --as jaanet --crop jaanet --out jaanet/data
    """
    from aulib.interchange import FORMATS

    _one_of("--as", kind, FORMATS)
    _one_of("--crop", crop, ("adld", "jaanet", ""))
    if crop and kind != "jaanet":
        raise typer.BadParameter("only jaanet has crops", param_hint="--crop")
    from aulib.cropping import ADLD_CROP, JAANET_CROP
    from aulib.interchange.folders import export as export_folder

    spec = {"adld": ADLD_CROP, "jaanet": JAANET_CROP}.get(crop)
    for path in export_folder(dataset, kind, out, unknown, crop=spec):
        typer.echo(str(path))


@app.command(short_help="List the field's protocols.")
def protocols(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show the people of each fold of this one.")
    ] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option("--run", metavar="RUN", exists=True, file_okay=False, help="A fold's run; repeatable."),
    ] = None,
):
    """List the field's protocols, the folds of one, or the mean over the runs of its folds.

    Example: aulib protocols bp4d-3fold
    """
    from aulib import protocols as module

    if name is not None and name not in module.PROTOCOLS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(module.PROTOCOLS)}", param_hint="NAME")
    if run and name is None:
        raise typer.BadParameter("--run needs the NAME of the protocol", param_hint="NAME")
    if run:
        from aulib.fold_scores import fold_table

        typer.echo(fold_table(name, run))
    else:
        typer.echo(module.describe(name) if name else module.overview())


@app.command(short_help="Execute a notebook strictly.")
def run(
    notebook: Annotated[str, typer.Argument(metavar="NOTEBOOK", help="A file, or a name such as 02_train.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Run folder.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME VALUE", help="Override one parameter; repeatable."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Run anew; a finished run in DIR is set aside.")
    ] = False,
):
    """Execute a notebook strictly: a parameter it does not declare, or of another type, is an error.

    Example: aulib run 02_train -p method full -p steps 200 -p seed 1 --out results/scratch
    """
    from aulib.parameters import ParameterError, declared_parameters, value_from_text
    from aulib.running import notebook_path, run_notebook

    try:
        path = notebook_path(notebook)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="NOTEBOOK") from None
    declared = declared_parameters(path)
    values = {}
    for name, text in (item.split("=", 1) for item in parameter or []):
        if name not in declared:
            raise ParameterError(f"{path.name} declares no parameter {name!r}; it has {list(declared)}")
        values[name] = value_from_text(declared[name], text)
    metrics = run_notebook(path, out, values, reuse=not force, replace=force)
    for domain in ("source.", "target."):
        _print_scores(metrics, domain)
    typer.echo(f"run folder: {out}")


@app.command(short_help="Do the runs of a study that are missing.")
def study(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="YAML, see experiments/.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs with their ids and end.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Runs of this variant; repeatable.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Watch the runs, start none.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="One for each core or GPU if not given.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A standing dask cluster, tcp://host:8786.")
    ] = None,
    slurm: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, help="YAML for a SLURM cluster.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the runs; results/<study> if not given.")
    ] = None,
):
    """Do the runs of a study that are missing; the same command goes on where it stopped.

    Runs that failed before are tried again. Exit status 1 if any failed.

    Example: aulib study experiments/supervisors.yml --only full --only adld --workers 2
    """
    if scheduler is not None and slurm is not None:
        raise typer.BadParameter("give --scheduler or --slurm, not both", param_hint="--slurm")
    from aulib.study import expand, read_study, state_of
    from aulib.study_engine import connected, render_sets, run_study
    from aulib.study_table import list_of_runs, live_table, watch_states

    runs = expand(read_study(file), out, only or [])
    if dry_run:
        typer.echo(list_of_runs(runs))
        return
    if status:
        watch_states(runs)
        return
    states = {run.id: state_of(run) for run in runs}
    todo = [run for run in runs if states[run.id] != "done"]
    if todo:
        render_sets(todo)
        with live_table(runs) as tell, connected(len(todo), workers, scheduler, slurm) as client:
            states = run_study(runs, client, tell)
    _end_of_study(runs, states)


@app.command("run-one", short_help="Do one run of a study here, for job arrays.")
def run_one(
    file: Annotated[
        Path, typer.Argument(metavar="STUDY", exists=True, dir_okay=False, help="YAML, see experiments/.")
    ],
    index: Annotated[int, typer.Option(min=0, help="Which run, counted from 0 as --dry-run lists them.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the runs; results/<study> if not given.")
    ] = None,
):
    """Do one run of a study in this process: what a job of an array does.

    Example: aulib run-one experiments/supervisors.yml --index $SLURM_ARRAY_TASK_ID
    """
    from aulib.run_lock import holder
    from aulib.study import expand, read_study
    from aulib.study_engine import do_run

    runs = expand(read_study(file), out)
    if index >= len(runs):
        raise typer.BadParameter(f"{index}: the study has runs 0 to {len(runs) - 1}", param_hint="--index")
    run = runs[index]
    outcome = do_run(run, time.time(), str(Path.cwd()))
    if outcome == "held":
        raise RuntimeError(f"{run.folder} is being run by {holder(run.folder)}")
    _end_of_study([run], {run.id: outcome})


@app.command(short_help="Score a run on a labelled data set.")
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
    _one_of("--split", split, ("train", "val", "test"))
    _one_of("--read-from", read_from, ("features", "reconstruction", "both", None))
    from aulib import predicting
    from aulib.running import write_json

    scores = predicting.evaluate(run, dataset, split, read_from=read_from)
    _print_scores(scores)
    if json:
        write_json(json, scores)


@app.command(short_help="Write a table of AU probabilities.")
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
    from aulib import predicting

    predicting.predict(run, faces, out)
    typer.echo(f"predictions: {out}")


@app.command(short_help="A study's scores as a table.")
def table(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's name, YAML, folder of runs, or summary.json.")
    ],
    format: Annotated[str, typer.Option(help="md, latex (needs booktabs) or csv.")] = "md",
    per_au: Annotated[
        str, typer.Option(metavar="MEASURE", help="A column an AU, of f1, auc or f1_norm (md, latex).")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write it here, not to the terminal.")
    ] = None,
):
    """A study's scores as the table of a paper: means over seeds, best bold, second underlined.

    Where the study's runs are not on this machine, its committed summary is read, results/NAME.json.

    Example: aulib table supervisors --format latex --out table.tex
    """
    _one_of("--format", format, ("md", "latex", "csv"))
    from aulib.summaries import find_summary
    from aulib.tables import study_table

    text = study_table(find_summary(study), format, per_au=per_au)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(f"table: {out}")


@app.command(short_help="The main job, studio to wild.")
def demo(
    target: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Photographs to adapt to and predict as well.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of every method, for a quick look.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every run.")] = 0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where runs, figures and summary.json go.")] = Path(
        "results/demo"
    ),
):
    """The main job: labelled studio faces to unlabelled wild ones, five methods, one table.

    Example: aulib demo --target holiday_pictures
    """
    from aulib.demo import main as run_demo

    run_demo(target=target, out=out, steps=steps, seed=seed)


def _end_of_study(runs: list, states: dict[str, str]) -> None:
    """Say what was done, name each failure with its cause, and end with 1 if there is any."""
    from aulib.study import why_failed

    failed = [run for run in runs if states[run.id] == "failed"]
    for run in failed:
        typer.echo(f"failed: {run.id}: {why_failed(run)}", err=True)
    done = sum(state == "done" for state in states.values())
    typer.echo(f"{done} of {len(runs)} runs done: {runs[0].folder.parent}")
    if done < len(runs):
        raise typer.Exit(1)


@app.command("app", short_help="The playground in a browser.")
def playground(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="A finished run's folder.")
    ] = "results/demo/full",
    faces: Annotated[
        str, typer.Option(metavar="FOLDER", help="Dataset folder offered to the swap explorer.")
    ] = "",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where faces go that are kept.")] = Path(
        "results/playground"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it.")] = True,
):
    """Move a rendered face and see what a run reads; to this machine only, with a token.

    Example: aulib app results/demo/full
    """
    from aulib.serving import serve

    values = {"run": run, "runs_folder": str(Path(run).parent), "faces": faces}
    serve(values, out, port=port, open_browser=browser)


def _one_of(option: str, value: str | None, allowed: tuple) -> None:
    if value not in allowed:
        names = ", ".join(name for name in allowed if name)
        raise typer.BadParameter(f"{value!r} is none of {names}", param_hint=option)


def _print_scores(scores: dict, domain: str = "") -> None:
    """The means; `domain` ("target.") stands before the keys of a run, nothing before those of `evaluate`."""
    for measure in ("mean.f1", "mean.auc", "mean.f1_norm", "landmarks.nme"):
        name = domain + measure
        if isinstance(scores.get(name), float):
            low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
            interval = f"  [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
            typer.echo(f"{name:{14 + len(domain)}s} {scores[name]:.3f}{interval}")


def main(arguments: list[str] | None = None) -> None:
    """Entry point. `--debug` may stand anywhere, and `-p NAME VALUE` is read as `-p NAME=VALUE`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in words:
        words.remove("--debug")
        words.insert(0, "--debug")
    app(args=_join_parameters(words), prog_name="aulib")


def _join_parameters(words: list[str]) -> list[str]:
    """Typer's list options take one word each, a parameter is two."""
    joined, rest = [], iter(words)
    for word in rest:
        joined.append(word)
        if word in ("-p", "--parameter"):
            name, value = next(rest, None), None
            if name is not None and "=" not in name:
                value = next(rest, None)
            if name is None or ("=" not in name and value is None):
                _ended("-p needs a name and a value, as in -p steps 200", 2)
                raise SystemExit(2)
            joined.append(name if value is None else f"{name}={value}")
    return joined


if __name__ == "__main__":
    main()
