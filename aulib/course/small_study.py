"""A study small enough for a lesson: faces of 56 pixels, a hundred steps, and a supervisor of one's own.

The runs are done by the same grid runner as the large studies. A supervisor that stands in no table is
handed to them as a parameter, its row written out.
"""

from pathlib import Path

import nbformat
import yaml
from nbformat import v4

from aulib.objective import ROUND_TERMS, TERMS
from aulib.supervisors import SUPERVISORS, Supervisor, alignment_term

OWN = "own"
REFERENCE = "without"
SIZES = {"image_size": 56, "margin_size": 64, "channels": 16, "batch_size": 8}
QUESTION = "Do contrastive supervisors help to detect AUs in the wild: the plain two, and one of my own?"

PARAMETERS = """
source: str = "synthetic:studio"  # labelled faces
target: str = "synthetic:wild"  # faces adapted to
method: str = "contrastive"  # key of aulib.methods.METHODS
own: list[str] = []  # the row of a supervisor in no table: first, second, projector, rivals; empty for none
steps: int = 100  # optimiser steps
sizes: dict[str, int] = {}  # fields of Preset, and batch_size, in place of the preset's
seed: int = 0  # one run, one seed
out_dir: str = "results/scratch"  # the run folder
"""
TRAIN = """
from aulib.course.small_study import enter_supervisor
from aulib.methods import METHODS
from aulib.running import start_notebook
from aulib.runs import train_run

print(start_notebook(seed))
names = [*METHODS[method].supervisors, *([enter_supervisor(own)] if own else [])]
given = {"supervisors": names, "steps": steps, "seed": seed, "out_dir": out_dir} | sizes
metrics = train_run(source, target, method, insides=False, progress=False, **given)
"""


def enter_supervisor(row: list[str] | Supervisor) -> str:
    """Enter one's own supervisor in the tables of this process; its name there.

    Args:
        row: a Supervisor, or first, second, projector and rivals in this order.
    """
    own = row if isinstance(row, Supervisor) else Supervisor(*row[:3], tuple(row[3:]))
    SUPERVISORS[OWN] = own

    def term(model, objective, outputs, source, target):
        return alignment_term(
            own, outputs["projections"], objective.alignment, objective.negatives, objective.temperature
        )

    ROUND_TERMS[OWN] = TERMS[OWN] = term
    return OWN


def leave_out_own() -> None:
    """The tables as they were."""
    for table in (SUPERVISORS, ROUND_TERMS, TERMS):
        table.pop(OWN, None)


def write_study(
    folder: str | Path, own: Supervisor, seeds: list[int], steps: int, source: str, target: str
) -> Path:
    """Write the study of a lesson and the notebook that it runs; the study file.

    Variants: no supervisor, the two plain ones, and these with one's own.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cells = [v4.new_code_cell(PARAMETERS.strip(), metadata={"tags": ["parameters"]})]
    cells.append(v4.new_code_cell(TRAIN.strip()))
    for cell, name in zip(cells, ("parameters", "train"), strict=True):
        cell["id"] = name
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=kernel), folder / "small_train.ipynb")
    row = [own.first, own.second, own.projector, *own.rivals]
    study = {
        "question": QUESTION,
        "notebook": "small_train.ipynb",
        "fixed": {"source": source, "target": target, "steps": steps, "sizes": SIZES},
        "variants": {
            REFERENCE: {"method": "separation"},
            "two": {"method": "contrastive"},
            "two-and-own": {"method": "contrastive", "own": row},
        },
        "seeds": seeds,
    }
    file = folder / "small.yml"
    file.write_text(yaml.safe_dump(study, sort_keys=False, width=100), encoding="utf-8")
    return file
