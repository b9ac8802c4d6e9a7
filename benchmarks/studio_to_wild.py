"""The main job over several seeds: `python benchmarks/studio_to_wild.py --seeds 0 1 2`.

Runs every method of `aulib demo` with its steps, two runs at a time with one thread each (more work a
second on two cores than one run with two threads). Writes the source of README's table,
results/studio_to_wild.json, and its figure, results/figures/first_screen.png. Finished runs are kept, so an
interrupted call goes on.
"""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aulib.datasets import read_dataset
from aulib.demo import PRESET, SOURCE, STEPS, TARGET
from aulib.plots import draw_first_screen, save_figure
from aulib.results import read_run, summarise_seeds
from aulib.running import write_json


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
        folder = (arguments.out / f"{method}-seed{seed}").as_posix()
        values = {"source": SOURCE, "target": TARGET, "preset": PRESET, "method": method, "seed": seed}
        command = [sys.executable, "-m", "aulib.cli", "run", "02_train", "--out", folder]
        for name, value in (values | {"steps": STEPS[method]}).items():
            command += ["-p", name, str(value)]
        # a process each: one process runs one kernel at a time
        subprocess.run(
            command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
        )
        print(folder, f"target F1 {read_run(folder)['target.mean.f1']:.3f}", flush=True)
        return folder

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
    if "full" in arguments.methods:
        run_shown = folders[arguments.seeds[0], "full"]
        save_figure(draw_first_screen(run_shown), arguments.out.parent / "figures", "first_screen")


if __name__ == "__main__":
    main()
