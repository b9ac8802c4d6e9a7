"""Commands that compute: the main job, a notebook, a study, the playground."""

import time
from pathlib import Path
from typing import Annotated

import typer

from aubench.cli.cli_errors import FILE, FOLDER, argument, flag, option, print_scores

commands = typer.Typer()


@commands.command(short_help="The main job, studio to wild.")
def demo(
    target: Annotated[
        Path | None, option("FOLDER", "Photographs for the package's detector to read as well.", **FOLDER)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of every method, for a quick look.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every run.")] = 0,
    out: Annotated[Path, option("DIR", "Where runs, figures and summary.json go.")] = Path("results/demo"),
):
    """The main job: labelled studio faces to unlabelled wild ones, five methods, one table.

    Example: aulib demo --target holiday_pictures
    """
    from aubench.cli.demo import main as run_demo

    run_demo(target=target, out=out, steps=steps, seed=seed)


@commands.command(short_help="Execute a notebook strictly.")
def run(
    notebook: Annotated[str, argument("NOTEBOOK", "A file, or a name such as 02_train.")],
    out: Annotated[Path, option("DIR", "Run folder.")],
    parameter: Annotated[
        list[str] | None, option("NAME VALUE", "Override one parameter; repeatable.", "-p", "--parameter")
    ] = None,
    force: Annotated[bool, flag("--force", "Run anew; a finished run in DIR is set aside.")] = False,
):
    """Execute a notebook strictly: a parameter it does not declare, or of another type, is an error.

    Example: aulib run 02_train -p method full -p steps 200 -p seed 1 --out results/scratch
    """
    from aubench.study.notebook_runner import edits_of, notebook_path, run_notebook
    from aubench.study.parameters import ParameterError, declared_parameters, value_from_text

    try:
        path = notebook_path(notebook)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error), param_hint="NOTEBOOK") from None
    _note(edits_of(path))
    declared = declared_parameters(path)
    values = {}
    for name, text in (item.split("=", 1) for item in parameter or []):
        if name not in declared:
            raise ParameterError(f"{path.name} declares no parameter {name!r}; it has {list(declared)}")
        if name == "out_dir":
            raise ParameterError("parameter 'out_dir' is what --out says")
        if name in values:
            raise ParameterError(f"parameter {name!r} is given twice")
        values[name] = value_from_text(declared[name], text)
    metrics = run_notebook(path, out, values, reuse=not force, replace=force)
    for domain in ("source", "target"):
        print_scores(metrics, domain)
    typer.echo(f"run folder: {out}")


@commands.command(short_help="Do the runs of a study that are missing.")
def study(
    file: Annotated[Path, argument("FILE", "YAML, see experiments/.", **FILE)],
    dry_run: Annotated[
        bool, flag("--dry-run", "Show what each variant resolves to and its runs, and end.")
    ] = False,
    only: Annotated[list[str] | None, option("NAME", "Runs of this variant; repeatable.")] = None,
    status: Annotated[
        bool, flag("--status", "Watch until all have ended or nothing ran for ten minutes.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="One for each core or GPU if not given.")] = None,
    scheduler: Annotated[str | None, option("ADDRESS", "A standing dask cluster, tcp://host:8786.")] = None,
    slurm: Annotated[Path | None, option("FILE", "YAML for a SLURM cluster.", exists=True)] = None,
    out: Annotated[Path | None, option("DIR", "Folder of the runs; results/<study> if not given.")] = None,
):
    """Do the runs of a study that are missing; the same command goes on where it stopped.

    Runs that failed before are tried again. Exit status 1 if any failed.

    Example: aulib study experiments/supervisors.yml --only full --only adld --workers 2
    """
    if scheduler is not None and slurm is not None:
        raise typer.BadParameter("give --scheduler or --slurm, not both", param_hint="--slurm")
    from aubench.study.notebook_runner import edits_of
    from aubench.study.plan import expand, read_study
    from aubench.study.resume import earlier_runs, states_of
    from aubench.study.status import live_table, watch_states

    runs = expand(read_study(file), out, only or [])
    _note(edits_of(runs[0].notebook, in_study=True))
    _note(earlier_runs(runs))
    states = states_of(runs)
    if dry_run:
        _print_plan(runs, states)
        return
    if status:
        watch_states(runs)
        return
    todo = [run for run in runs if states[run.id] != "done"]
    if todo:
        from aubench.study.grid import render_sets, run_study
        from aubench.study.workers import connected

        render_sets(todo)
        with live_table(runs) as report, connected(len(todo), workers, scheduler, slurm) as client:
            states = run_study(runs, client, report)
    _end_of_study(runs, states)


@commands.command("run-one", short_help="Do one run of a study here, for job arrays.")
def run_one(
    file: Annotated[Path, argument("STUDY", "YAML, see experiments/.", **FILE)],
    index: Annotated[int, typer.Option(min=0, help="Which run, counted from 0 as --dry-run lists them.")],
    out: Annotated[Path | None, option("DIR", "Folder of the runs; results/<study> if not given.")] = None,
):
    """Do one run of a study in this process: what a job of an array does.

    Example: aulib run-one experiments/supervisors.yml --index $SLURM_ARRAY_TASK_ID
    """
    from aubench.study.grid import do_run
    from aubench.study.notebook_runner import edits_of
    from aubench.study.plan import expand, read_study
    from aubench.study.run_lock import RunIsHeld, holder

    runs = expand(read_study(file), out)
    if index >= len(runs):
        raise typer.BadParameter(f"{index}: the study has runs 0 to {len(runs) - 1}", param_hint="--index")
    run = runs[index]
    _note(edits_of(run.notebook, in_study=True))
    outcome = do_run(run, time.time(), str(Path.cwd()))
    if outcome == "held":
        raise RunIsHeld(f"{run.folder} is being run by {holder(run.folder)}")
    _end_of_study([run], {run.id: outcome})


@commands.command("app", short_help="The playground in a browser.")
def playground(
    run: Annotated[
        Path | None, argument("[RUN]", "A finished run's folder; else the package's own detector.", **FOLDER)
    ] = None,
    faces: Annotated[str, option("FOLDER", "Dataset folder offered to the swap explorer.")] = "",
    out: Annotated[Path, option("DIR", "Where faces go that are kept.")] = Path("results/playground"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open it.")] = True,
):
    """Move a rendered face and see what a run reads; to this machine only, with a token.

    Example: aulib app
    """
    from aubench.app import serve

    values = {"run": str(run or ""), "runs_folder": str(run.parent if run else "results"), "faces": faces}
    serve(values, out, port=port, open_browser=browser)


def _note(text: str) -> None:
    if text:
        typer.echo(f"note: {text}", err=True)


def _print_plan(runs: list, states: dict[str, str]) -> None:
    """Each of up to ROWS variants: what it resolves to, where it differs from the first, and its runs."""
    from itertools import groupby, islice

    from aubench.study.resolved import differences, headlines
    from aubench.study.status import ROWS

    first = runs[0]
    code, notebook = (first.resolved[name][:12] for name in ("code", "notebook"))
    typer.echo(f"{first.notebook} (its code {notebook}), code of aulib {code}")
    for variant, own in islice(groupby(runs, lambda run: run.variant), ROWS):
        own = list(own)
        typer.echo(variant)
        folds = ", ".join(dict.fromkeys(run.fold for run in own))
        lines = headlines(own[0].resolved) | ({"folds": folds} if folds else {})
        for name, text in lines.items():
            typer.echo(f"    {name:24s} {text}")
        if variant != first.variant:
            typer.echo(f"  differs from {first.variant} in")
            one, two = ({**run.resolved["training"], **run.resolved["parameters"]} for run in (first, own[0]))
            for name, (before, after) in differences(one, two).items():
                typer.echo(f"    {name:24s} {before} -> {after}")
        for run in own:
            typer.echo(f"{run.index:4d}  {states[run.id]:8s}{run.id}")
    if (more := len({run.variant for run in runs}) - ROWS) > 0:
        typer.echo(f"... and {more} more variants ({len(runs)} runs in all); --only NAME shows one")


def _end_of_study(runs: list, states: dict[str, str]) -> None:
    """Print each failure with its cause and the count of finished runs; exit with 1 if any is not done."""
    from aubench.study.status import failures

    for line in failures(runs, states):
        typer.echo(line, err=True)
    done = sum(state == "done" for state in states.values())
    typer.echo(f"{done} of {len(runs)} runs done: {runs[0].folder.parent}")
    if done < len(runs):
        raise typer.Exit(1)
