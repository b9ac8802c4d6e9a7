"""The main job: five methods carry AU labels from studio faces to unlabelled wild faces, on a laptop.

Each method is one run of `02_train`, as many at a time as there are cores; then `03_report` reads them all.
Finished runs are kept: the same command resumes where it stopped, and repeats a run only if its settings,
inputs or code changed.
"""

import time
from pathlib import Path

from tabulate import tabulate

from aubench.datasets.landmark_detector import require_detector
from aubench.datasets.photographs import prepare
from aubench.datasets.picture_files import list_pictures
from aubench.report.results import table_of_methods, with_intervals
from aubench.study.grid import run_study
from aubench.study.notebook_runner import NotebookFailed, notebook_path, run_notebook
from aubench.study.parameters import effective_parameters, with_library_defaults
from aubench.study.plan import PlannedRun
from aubench.study.resolved import resolve, run_key
from aubench.study.resume import is_done, why_failed
from aubench.study.status import live_table
from aubench.study.workers import connected
from aulib.dataset import read_dataset
from aulib.files import write_json
from aulib.metrics import MEASURES, REPORTED
from aulib.run import CONFIG, Run

SOURCE, TARGET, PRESET = "synthetic:studio", "synthetic:wild", "fast"

# Optimiser steps of each method: at most half of those behind README's table, see
# experiments/supervisors.yml, so that a quarter of an hour is enough. In the second half of its steps
# `adld` or `full` costs several times a step of `source-only`. The oracle learns from harder faces.
STEPS = {"landmarks-only": 330, "source-only": 530, "adld": 400, "full": 400, "oracle": 1600}
SLOWEST_FIRST = ("oracle", "full", "adld", "source-only", "landmarks-only")  # no core idles long at the end
HEADINGS = ("", *(MEASURES[name].short for name in REPORTED), "seconds", "MB")


def main(
    target: str | Path | None = None,
    out: str | Path = "results/demo",
    steps: int | None = None,
    seed: int = 0,
) -> None:
    """Train and compare the five methods; write `out`/summary.json and print the table.

    The file holds {"methods": {method: {evaluate's keys, seconds, peak_memory_mb}}, "settings": {...}}.

    Args:
        target: a folder of photographs, which the package's detector is adapted to and reads.
        steps: in place of every entry of STEPS, for a quick look.

    Raises:
        FileNotFoundError: `target` holds no picture.  ImportError: the detector is missing.
    """
    out, began = Path(out), time.monotonic()
    if target is not None:  # before anything is trained
        list_pictures(target)
        require_detector()
    for name in (SOURCE, TARGET):
        print(f"faces: {name}", flush=True)
        read_dataset(name)  # renders a synthetic set on first use, where its progress can be seen
    shared = {"source": SOURCE, "target": TARGET, "preset": PRESET, "seed": seed}
    budgets = {method: steps or budget for method, budget in STEPS.items()}
    train({out / method: shared | {"method": method, "steps": budget} for method, budget in budgets.items()})
    methods = {method: on_target(Run(out / method).metrics) for method in budgets}
    print("report", flush=True)
    runs = [(out / method).as_posix() for method in methods]
    run_notebook(notebook_path("03_report"), out / "report", {"runs": runs, "faces": TARGET}, replace=True)
    write_json(out / "summary.json", {"methods": methods, "settings": shared | {"steps": budgets}})
    print(f"\n{table(runs)}\n\nfigures: {out / 'report'}   scores: {out / 'summary.json'}", flush=True)
    if target is not None:
        read_photographs(Path(target), out)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes; what was finished before is not counted")


def train(wanted: dict[Path, dict]) -> None:
    """Runs of `02_train` by folder, several at a time; those that are finished and up to date are kept.

    Raises:
        NotebookFailed: any of them failed; the others are finished nevertheless.
    """
    notebook, runs = notebook_path("02_train"), []
    for index, (folder, values) in enumerate(wanted.items()):
        values = with_library_defaults(notebook, values)
        resolved = resolve(notebook, effective_parameters(notebook, values, folder))
        method, key = values["method"], run_key(resolved)
        run = PlannedRun(index, method, method, values["seed"], notebook, values, folder, key, resolved)
        runs.append(run)
        kept = "finished before" if is_done(run) else f"{values['steps']} steps"
        print(f"[{index + 1}/{len(wanted)}] {method}: {kept}", flush=True)
    missing = sorted((run for run in runs if not is_done(run)), key=lambda run: SLOWEST_FIRST.index(run.id))
    if missing:
        with live_table(missing) as report, connected(len(missing)) as client:
            states = run_study(missing, client, report)
        for run in missing:
            if states[run.id] != "done":
                raise NotebookFailed(f"{run.id}: {why_failed(run)} (more in {run.folder / 'error.txt'})")


def on_target(metrics: dict) -> dict:
    """A run's scores on the target's test faces, under the keys of `evaluate`, and its cost."""
    scores = {key: value for key, value in metrics.items() if not key.startswith("source.")}
    return {key.removeprefix("target."): value for key, value in scores.items()}


def read_photographs(photographs: Path, out: Path) -> None:
    """Adapt the package's detector to the photographs, predict on them, draw the strongest faces of each AU.

    Too few faces to adapt to are read as they are. The sheet is `out`/photographs/strongest_faces.png.
    """
    from aubench import plots
    from aubench.inference.adapt import MIN_FACES, adapt
    from aubench.inference.predict import predict
    from aubench.inspection.heads import strongest_faces
    from aulib import pretrained

    folder, run = out / "photographs", out / "photographs" / "run"
    print(f"photographs: {photographs}", flush=True)
    faces = prepare(photographs, folder / "faces")
    if len(faces) < MIN_FACES:
        run = pretrained().path
    elif not (run / CONFIG).is_file():
        adapt(pretrained().path, faces.root, run)
    predictions = predict(run, faces.root, folder / "predictions.csv")
    sheet = folder / "strongest_faces.png"
    title = "strongest faces of each AU; the number is the model's probability"
    figure = plots.draw_face_rows(strongest_faces(predictions, faces.root), title)
    plots.save_figure(figure, folder, sheet.stem)
    print(f"predictions: {folder / 'predictions.csv'}   strongest faces of each AU: {sheet}")


def table(runs: list[str]) -> str:
    """Methods by scores x 100, 95 % intervals over subjects in brackets; a dash where undefined."""
    shown = with_intervals(table_of_methods(runs)).drop(columns="seeds")
    return tabulate(shown, HEADINGS, "plain", disable_numparse=True, showindex=False)
