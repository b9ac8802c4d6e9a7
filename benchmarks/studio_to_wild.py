"""The main job over several seeds: `python benchmarks/studio_to_wild.py --seeds 0 1 2`.

Runs every method of `aulib demo` with its steps, two runs at a time with one thread each (more work a
second on two cores than one run with two threads), and writes the table's source,
results/studio_to_wild.json. Finished runs are kept, so an interrupted call goes on.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the kernels

from aulib.datasets import read_dataset
from aulib.demo import PRESET, SOURCE, STEPS, TARGET
from aulib.results import summarise_seeds
from aulib.running import notebook_path, run_notebook, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/studio_to_wild"))
    arguments = parser.parse_args()
    for name in (SOURCE, TARGET):
        read_dataset(name)

    def run(job: tuple[int, str]) -> str:
        seed, method = job
        folder = arguments.out / f"{method}-seed{seed}"
        settings = {"source": SOURCE, "target": TARGET, "preset": PRESET, "method": method, "seed": seed}
        metrics = run_notebook(
            notebook_path("02_train"),
            folder,
            settings | {"steps": STEPS[method]},
            replace=True,
            progress=False,
        )
        print(folder, f"target F1 {metrics['target.mean.f1']:.3f}, {metrics['seconds']:.0f} s", flush=True)
        return folder.as_posix()

    dear_first = sorted(arguments.methods, key=lambda method: method not in ("full", "adld"))
    jobs = [(seed, method) for seed in arguments.seeds for method in dear_first]
    with ThreadPoolExecutor(arguments.workers) as pool:
        folders = dict(zip(jobs, pool.map(run, jobs), strict=True))
    in_order = [folders[seed, method] for method in arguments.methods for seed in arguments.seeds]
    summary = {
        "methods": summarise_seeds(in_order),
        "source": {name: scores["f1"] for name, scores in summarise_seeds(in_order, "source").items()},
        "settings": {
            "source": SOURCE,
            "target": TARGET,
            "preset": PRESET,
            "steps": STEPS,
            "seeds": arguments.seeds,
        },
    }
    write_json(arguments.out.with_suffix(".json"), summary)


if __name__ == "__main__":
    main()
