"""What a run costs beyond what its notebook computes: `python benchmarks/runner_overhead.py`.

The notebook has the imports of 02_train and then writes one number, which takes no time:
what is measured is all overhead. CPU seconds count runner and kernel; they hold on a busy
machine. Seconds on the clock do not, so the load is saved with them. Writes results/runner_overhead.json.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import nbformat
import psutil
from record import parser_of

from aubench.study.notebook_runner import notebook_path, run_notebook
from aubench.study.parameters import declared_parameters
from aubench.study.plan import expand, read_study
from aubench.study.resume import metrics_of
from aulib.files import write_json

PARAMETERS = 'number: int = 0  # written\nseed: int = 0  # seed\nout_dir: str = "x"  # run folder'
WORK = "from aulib.files import write_json\nwrite_json(f'{out_dir}/metrics.json', {'number': number})"
STUDY = "question: how long?\nnotebook: n.ipynb\ngrid: {number: [%s]}\nseeds: [0]\n"


def imports_of_training() -> str:
    cells = nbformat.read(notebook_path("02_train"), as_version=4).cells
    return next(cell.source for cell in cells if "train_run" in cell.source and "import" in cell.source)


def cpu_seconds() -> float:
    """Of this process, its children and what they have waited for."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:4]) for process in family)


def costs_of_runs(notebook: Path, out: Path, runs: int) -> list[dict]:
    costs = []
    for number in range(runs):
        cpu, clock = cpu_seconds(), time.perf_counter()
        run_notebook(notebook, out / str(number), {"number": number})
        elapsed = time.perf_counter() - clock
        costs.append({"cpu": round(cpu_seconds() - cpu, 2), "clock": round(elapsed, 2)})
    return costs


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--json", type=Path, default=Path("results/runner_overhead.json"))
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as workers of a study have it where runs share the cores
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        folder = Path(name)
        cells = [nbformat.v4.new_code_cell(cell) for cell in (PARAMETERS, imports_of_training(), WORK)]
        cells[0].metadata["tags"] = ["parameters"]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "n.ipynb")
        assert "number" in declared_parameters(folder / "n.ipynb")
        fresh = costs_of_runs(folder / "n.ipynb", folder, arguments.runs)
        collecting = seconds_to_collect(folder)
    medians = {what: statistics.median(cost[what] for cost in fresh) for what in ("cpu", "clock")}
    report = {
        "overhead_cpu_seconds": medians["cpu"],
        "overhead_clock_seconds": medians["clock"],
        "runs": fresh,
        "expand_and_collect_1000_runs_cpu_seconds": collecting,
        "load_average": os.getloadavg()[0],
    }
    write_json(arguments.json, report)
    print(*(f"{name}: {value}" for name, value in report.items()), sep="\n")


def seconds_to_collect(folder: Path) -> float:
    """CPU seconds to expand a study of 1,000 finished runs and to read what they measured."""
    (folder / "thousand.yml").write_text(STUDY % ", ".join(map(str, range(1000))))
    for run in expand(read_study(folder / "thousand.yml"), folder / "runs"):
        write_json(run.folder / "metrics.json", {f"target.per_au.AU{i:02d}.f1": i / 100 for i in range(100)})
        write_json(run.folder / "result.json", {"key": run.key})
    start = time.process_time()
    runs = expand(read_study(folder / "thousand.yml"), folder / "runs")
    assert all(metrics_of(run) for run in runs)
    return round(time.process_time() - start, 2)


if __name__ == "__main__":
    main()
