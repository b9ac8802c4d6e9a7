"""Commands that make, check and exchange dataset folders."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from aubench.cli.cli_errors import FILE, FOLDER, argument, ended, flag, one_of, option

commands = typer.Typer()

_Out = Annotated[Path, option("DIR", "Dataset folder to write.")]
_Keep = Annotated[Literal["link", "copy"], typer.Option(help="What to do with the pictures.")]
_Workers = Annotated[int | None, typer.Option(min=1, help="Processes; all cores if not given.")]
_Pictures = Annotated[Path, option("DIR", "The pictures that the files name.", **FOLDER)]
_Table = Annotated[Path, option("CSV", "A CSV, or a folder of one CSV per picture or video.", exists=True)]
_Aus = Annotated[str, typer.Option(help="AUs of the label columns, as in 1,2,4; else their number decides.")]
_FirstPixel = Annotated[
    int, typer.Option(min=0, max=1, help="jaanet: 1 for landmarks of raw pictures, 0 of aligned ones.")
]


@commands.command(short_help="Render faces, or a clip, with AU labels.")
def synth(
    out: Annotated[Path, argument("OUT", "Folder to write; becomes a dataset folder. With --clip an MP4.")],
    domain: Annotated[
        Literal["studio", "wild", "varied"],
        typer.Option(help="varied is wild, with resting faces and expressions more like people's."),
    ] = "studio",
    n: Annotated[int, typer.Option("--n", min=1, help="How many faces.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes (CPU).")] = 0,
    size: Annotated[
        int | None, typer.Option(min=16, max=2048, help="Pixels of a side: 112, of a clip 640 wide.")
    ] = None,
    clip: Annotated[bool, flag("--clip", "A clip, and its labels in OUT.csv.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of the clip.")] = 8.0,
    fps: Annotated[float, typer.Option(min=1, help="Frames a second of the clip.")] = 25.0,
    people: Annotated[int, typer.Option(min=1, max=2, help="People in the clip; two cross.")] = 1,
):
    """Render faces with AU labels and landmarks, or a clip of one or two people.

    Example: aulib synth --domain wild --n 500 --seed 1 --size 128 faces/wild

    Example: aulib synth --clip two_people.mp4 --people 2
    """
    from aufaces.sets import generate_set

    if not clip and (seconds, fps, people) != (8.0, 25.0, 1):
        raise typer.BadParameter("--seconds, --fps and --people are of a clip", param_hint="--clip")
    if clip:
        from aubench.datasets.videos import synthetic_clip

        table = synthetic_clip(out, domain, seconds, fps, people, seed, size or 640)
        typer.echo(f"clip: {out}; labels of its frames: {table}")
    else:
        typer.echo(f"{n} faces in {generate_set(domain, n, seed, size or 112, out)}")


@commands.command(short_help="Make a dataset folder of pictures.")
def prepare(
    photos: Annotated[Path, argument("PHOTOS", "Any folder of pictures.", **FOLDER)],
    out: Annotated[Path, argument("OUT", "Dataset folder to write.")],
    landmarks: Annotated[
        Path | None,
        option("FILE", "Landmarks of an OpenFace CSV (or a folder of them), no detector.", exists=True),
    ] = None,
    split: Annotated[
        Literal["auto", "train", "val", "test"],
        typer.Option(help="For every picture; auto divides the people 80/10/10."),
    ] = "auto",
    subject: Annotated[str, option("NAME", "The one person on all pictures, as on a clip's frames.")] = "",
    about: Annotated[
        Path | None,
        option(
            "CSV",
            "What is known of the pictures: image, subject, meta_expression and other meta_ columns.",
            **FILE,
        ),
    ] = None,
    workers: _Workers = None,
):
    """Make a dataset folder of any folder of pictures. Pictures that cannot be used are listed in
    OUT/skipped.csv.

    Example: aulib prepare holiday_pictures faces/holiday
    """
    from aubench.datasets import photographs

    faces = photographs.prepare(
        photos, out, landmarks=landmarks, workers=workers, split=split, subject=subject, about=about,
        report=_on_stderr,
    )  # fmt: skip
    _print_folder(faces)


@commands.command(short_help="Make a dataset folder of a licensed set's raw download.")
def convert(
    name: Annotated[str, argument("NAME", "bp4d, bp4dplus, disfa, ...; see docs/datasets.")],
    raw: Annotated[Path, option("DIR", "The unpacked download.", **FOLDER)],
    out: _Out,
    keep: _Keep = "link",
    landmarks: Annotated[
        Literal["set", "detect", "none"] | None,
        typer.Option(help="If not given the set's own where it has some, else detect."),
    ] = None,
    workers: _Workers = None,
):
    """Make a dataset folder of the raw download of BP4D, DISFA and others, and report what is missing. Frames
    that cannot be used are listed in OUT/skipped.csv. Repeat an interrupted command to continue it.

    Example: aulib convert bp4d --raw downloads/BP4D --out faces/bp4d
    """
    from aubench.datasets.converters import CONVERTERS

    one_of("NAME", name, (*CONVERTERS, "london"))
    if name == "london":  # expressions and no AU labels
        from aubench.datasets.london import convert_london

        _print_folder(convert_london(raw, out, workers))
        return
    from aubench.datasets.converters.convert import convert as convert_raw
    from aubench.datasets.converters.report import report_text

    _, report = convert_raw(name, raw, out, keep=keep, landmarks=landmarks or "", workers=workers)
    typer.echo(report_text(report))
    typer.echo(f"dataset folder: {out}")


@commands.command(short_help="Find what is wrong with a dataset folder.")
def check(
    folder: Annotated[Path, argument("DIR", "A dataset folder.", **FOLDER)],
    published: Annotated[
        str, option("NAME", "Compare base rates with those published of bp4d, disfa, ...", "--as")
    ] = "",
    pictures: Annotated[int, typer.Option(min=0, help="How many to open at most; 0 opens none.")] = 20_000,
    sheet: Annotated[
        Path | None, option("FILE.png", "Draw the crops least like the others.", dir_okay=False)
    ] = None,
    json: Annotated[Path | None, option("FILE", "Write all findings here.", "--json", dir_okay=False)] = None,
    everything: Annotated[bool, flag("--all", "Show every finding, however many.")] = False,
):
    """Find what is wrong with a dataset folder: cells, labels, splits, pictures, duplicates, landmarks. Ends
    with status 1 if there are errors. Notebook 07_dataset_check shows the same with pictures.

    Example: aulib check faces/bp4d --sheet worst.png
    """
    if sheet and sheet.suffix.lower() != ".png":
        raise typer.BadParameter(f"{sheet} does not end with .png", param_hint="--sheet")
    from aubench.datasets.converters import CONVERTERS

    if published:
        one_of("--as", published, tuple(CONVERTERS))
    from aubench.datasets.doctor import check as doctor
    from aulib.files import refuse_other, result_file

    for path, kind in ((sheet, "sheet"), (json, "findings")):
        if path:
            refuse_other(path, kind)
    diagnosis = doctor.check(folder, published, pictures)
    typer.echo(diagnosis.text(everything))
    if json:
        diagnosis.write(json)
    if sheet and len(diagnosis.worst):
        from aubench import plots

        faces = doctor.worst_faces(diagnosis)
        title = "crops least like the set's mean crop, worst first"
        figure = plots.draw_faces(faces["images"], faces["landmarks"], faces["captions"], title=title)
        with result_file(sheet, "sheet") as partial:
            figure.savefig(partial, format="png")
        typer.echo(f"contact sheet: {sheet}")
    if errors := diagnosis.count("error"):
        raise ended(f"{errors} errors in {folder}", 1)


imports = typer.Typer(no_args_is_help=True)
commands.add_typer(
    imports,
    name="import",
    short_help="Make a dataset folder of other code's files.",
    help="Make a dataset folder of CSV files of OpenFace or py-feat, or of JAA-Net's, ADLD's or ME-GraphAU's "
    "lists. `aulib import KIND --help` shows the options of a format.\n\n"
    "Example: aulib import openface --table clip.csv --pictures frames --out faces/clip",
)


@imports.command(short_help="A CSV of OpenFace.")
def openface(table: _Table, pictures: _Pictures, out: _Out, keep: _Keep = "link"):
    """Make a dataset folder of CSV files of OpenFace 2.

    Example: aulib import openface --table clip.csv --pictures frames --out faces/clip
    """
    from aubench.datasets.interchange import folders

    _print_folder(folders.import_table("openface", table, pictures, out, keep, _on_stderr))


@imports.command(short_help="A CSV of py-feat.")
def pyfeat(table: _Table, pictures: _Pictures, out: _Out, keep: _Keep = "link"):
    """Make a dataset folder of CSV files of py-feat.

    Example: aulib import pyfeat --table faces.csv --pictures pictures --out faces/pictures
    """
    from aubench.datasets.interchange import folders

    _print_folder(folders.import_table("pyfeat", table, pictures, out, keep, _on_stderr))


@imports.command(short_help="Lists of JAA-Net or ADLD.")
def jaanet(
    pictures: _Pictures,
    out: _Out,
    train: Annotated[str, option("PREFIX", "Lists of train, without _path.txt.")] = "",
    val: Annotated[str, option("PREFIX", "Lists of val.")] = "",
    test: Annotated[str, option("PREFIX", "Lists of test.")] = "",
    aus: _Aus = "",
    first_pixel: _FirstPixel = 0,
    keep: _Keep = "link",
):
    """Make a dataset folder of the lists of JAA-Net or ADLD.

    Example: aulib import jaanet --train data/list/BP4D_combine_1_2 --test data/list/BP4D_part3 --pictures
    data/imgs --out faces/bp4d
    """
    prefixes = {split: prefix for split, prefix in (("train", train), ("val", val), ("test", test)) if prefix}
    if not prefixes:
        raise typer.BadParameter("jaanet needs --train, --val or --test", param_hint="--train")
    from aubench.datasets.interchange import folders

    _print_folder(folders.import_jaanet(prefixes, pictures, out, _named_aus(aus), first_pixel, keep))


@imports.command(short_help="Lists of ME-GraphAU.")
def megraphau(
    lists: Annotated[Path, option("DIR", "Folder of the lists.", **FOLDER)],
    pictures: _Pictures,
    out: _Out,
    dataset: Annotated[str, typer.Option(help="Start of the lists' names.")] = "BP4D",
    fold: Annotated[int, typer.Option(min=1, help="Which fold.")] = 1,
    aus: _Aus = "",
    keep: _Keep = "link",
):
    """Make a dataset folder of the lists of ME-GraphAU.

    Example: aulib import megraphau --lists data/BP4D/list --fold 2 --pictures data/BP4D/img --out faces/bp4d
    """
    from aubench.datasets.interchange import folders

    _print_folder(folders.import_megraphau(lists, dataset, fold, pictures, out, _named_aus(aus), keep))


def _on_stderr(text: str) -> None:
    typer.echo(text, err=True)


def _print_folder(data) -> None:
    import pandas as pd

    from aubench.datasets.photographs import subject_summary

    left = len(pd.read_csv(data.root / "skipped.csv"))
    typer.echo(f"dataset folder: {data.root}; {left} left out, listed in skipped.csv")
    typer.echo(subject_summary(data))


@commands.command(short_help="Write a dataset folder as other code's files.")
def export(
    dataset: Annotated[str, argument("DATASET", "Dataset folder.")],
    kind: Annotated[
        Literal["openface", "pyfeat", "jaanet", "megraphau"], typer.Option("--as", help="The other code.")
    ],
    out: Annotated[Path, option("DIR", "Where to write.")],
    unknown: Annotated[int, typer.Option(help="jaanet: code of unknown labels, 9 there, 999 in ADLD.")] = 9,
    crop: Annotated[
        Literal["adld", "jaanet"] | None,
        typer.Option(help="jaanet: also cut 200-pixel faces, as this code does."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the files' names start with; else the folder's name.")] = "",
    fold: Annotated[int, typer.Option(min=1, help="megraphau: number of the fold, in the files' names.")] = 1,
    aus: Annotated[str, typer.Option(help="AUs to write, as in 1,2,4; else all.")] = "",
    first_pixel: Annotated[
        int | None, typer.Option(min=0, max=1, help="jaanet: if not given as in the imported lists, else 0.")
    ] = None,
):
    """Write a dataset folder as a CSV of OpenFace or py-feat, or as JAA-Net's, ADLD's or ME-GraphAU's lists.

    Example: aulib export faces/bp4d#bp4d-3fold/part3 --as jaanet --crop jaanet --out jaanet/data
    """
    if crop and kind != "jaanet":
        raise typer.BadParameter("only jaanet has crops", param_hint="--crop")
    from aubench.datasets.interchange import folders
    from aulib.crops import CROPS

    spec = crop and CROPS[crop]
    for path in folders.export(
        dataset, kind, out, unknown, name, spec, first_pixel, fold, _named_aus(aus), _on_stderr
    ):
        typer.echo(str(path))


def _named_aus(text: str) -> list[str] | None:
    """["AU01", "AU12"] of "1,12" or "AU01,AU12"; None of ""."""
    from aubench.datasets.converters.label_tables import au_name
    from aulib.labels import AU_NAMES

    words = text.split(",") if text else []
    if wrong := [word.strip() for word in words if au_name(word) not in AU_NAMES]:
        raise typer.BadParameter(f"{wrong[0]!r} is no AU; use numbers, as in 1,2,4", param_hint="--aus")
    return list(map(au_name, words)) or None


@commands.command(short_help="List the field's protocols.")
def protocols(
    name: Annotated[str | None, argument("[NAME]", "Show the people of each fold of this one.")] = None,
    run: Annotated[list[Path] | None, option("RUN", "A fold's run; repeatable.", "--run", **FOLDER)] = None,
    data: Annotated[Path | None, option("DIR", "Count each fold's test frames here.", **FOLDER)] = None,
):
    """List the field's protocols, the folds of one, what a dataset folder has of them, or the mean over the
    runs of its folds.

    Example: aulib protocols bp4d-3fold --data faces/bp4d
    """
    from aubench.datasets.protocol_counts import count_frames, describe, overview
    from aulib.protocols import PROTOCOLS

    if name is None:
        if run or data:
            option = "--data" if data else "--run"
            raise typer.BadParameter(f"{option} needs the NAME of the protocol", param_hint="NAME")
        typer.echo(overview())
        return
    one_of("NAME", name, tuple(PROTOCOLS))
    if data:
        from aulib.dataset import read_dataset

        typer.echo(count_frames(name, read_dataset(data).table))
    elif run:
        from aubench.report.fold_scores import fold_table

        typer.echo(fold_table(name, run))
    else:
        typer.echo(describe(name))
