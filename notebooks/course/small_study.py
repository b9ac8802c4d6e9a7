"""A study small enough for a lesson: faces of 56 pixels, a hundred steps, and a supervisor of one's own.

The runs are done by the same grid runner as the large studies. A supervisor of one's own is a function; its
lines are a parameter of its variant, so that another function means other runs of that variant and of no
other.
"""

from collections.abc import Callable
from pathlib import Path

import nbformat
import yaml
from nbformat import v4

from aubench.report.summaries import Summary, summarise_runs
from aubench.study.plan import expand, read_study
from aulib.objective import ROUND_TERMS, TERMS
from own_supervisor import function_in, source_of

OWN = "own"
REFERENCE = "without"
SIZES = {"image_size": 56, "margin_size": 64, "channels": 16, "batch_size": 8}
QUESTION = "Do contrastive supervisors help to detect AUs in the wild: the plain two, and one of my own?"

PARAMETERS = """
source: str = "synthetic:studio"  # labelled faces
target: str = "synthetic:wild"  # faces adapted to
method: str = "contrastive"  # key of aulib.methods.METHODS
own: list[str] = []  # the lines of a supervisor of one's own, a function; empty for none
steps: int = 100  # optimiser steps
sizes: dict[str, int] = {}  # fields of Preset, and batch_size, in place of the preset's
seed: int = 0  # one run, one seed
out_dir: str = "results/scratch"  # the run folder
"""
TRAIN = """
from small_study import enter_supervisor
from aulib.methods import CONTRASTIVE_WEIGHT
from aubench.study.notebook_runner import start_notebook
from aulib.train_run import train_run

print(start_notebook(seed))
weights = {enter_supervisor(own): CONTRASTIVE_WEIGHT} if own else {}
given = {"weights": weights, "steps": steps, "seed": seed, "out_dir": out_dir} | sizes
metrics = train_run(source, target, method, insides=False, progress=False, **given)
"""


def enter_supervisor(lines: list[str]) -> str:
    """Enter a function (`own_supervisor`) as a term of the objective in this process; its name there."""
    own = function_in(lines)

    def term(model, objective, outputs, source, target):
        return own(outputs, outputs["projections"], objective.temperature)

    ROUND_TERMS[OWN] = TERMS[OWN] = term
    return OWN


def leave_out_own() -> None:
    """The tables as they were."""
    for table in (ROUND_TERMS, TERMS):
        table.pop(OWN, None)


def write_study(
    folder: str | Path, own: dict[str, Callable], seeds: list[int], steps: int, source: str, target: str
) -> Path:
    """Write the study of a lesson and the notebook that it runs; the study file.

    Args:
        own: variant -> the function that it has beside the two plain supervisors.

    Variants: no supervisor, the two plain ones, and those of `own`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells = [v4.new_code_cell(PARAMETERS.strip(), metadata={"tags": ["parameters"]})]
    cells.append(v4.new_code_cell(TRAIN.strip()))
    for cell, name in zip(cells, ("parameters", "train"), strict=True):
        cell["id"] = name
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=kernel), folder / "small_train.ipynb")
    with_own = {name: {"method": "contrastive", "own": source_of(one)} for name, one in own.items()}
    study = {
        "question": QUESTION,
        "notebook": "small_train.ipynb",
        "fixed": {"source": source, "target": target, "steps": steps, "sizes": SIZES},
        "variants": {
            REFERENCE: {"method": "separation"},
            "two": {"method": "contrastive"},
        }
        | with_own,
        "seeds": seeds,
    }
    file = folder / "small.yml"
    file.write_text(yaml.safe_dump(study, sort_keys=False, width=100), encoding="utf-8")
    return file


def summary_of(file: Path, out: str | Path) -> Summary:
    """The finished runs of a study as its file is now: not those of a function that stood there before."""
    study = read_study(file)
    planned = [run.id for run in expand(study, out)]
    return summarise_runs(out, order=list(study.variants), only=planned)
