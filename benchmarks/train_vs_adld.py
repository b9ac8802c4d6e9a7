"""A training step compared with ADLD's: `python benchmarks/train_vs_adld.py CHECKOUT`.

CHECKOUT is a clone of github.com/ZhiwenShao/ADLD; none of its code is in this repository. Its `train.py` runs
unchanged except for what current Python refuses (peers.py), on lists that `aulib export` writes. Our side is
`train_run`, preset `paper`, method `full`, which does more. Both train on the same faces, 16 + 16 per step,
crop 176, 6 AUs, 49 landmarks. They alternate, each time in a new process; an optimiser hook times the steps.
On a machine with a GPU both use it. Writes benchmarks/results/train_speed.json and train_memory.json.
"""

import argparse
import importlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import modules_of
from record import as_promised, parser_of, record

SIDES = ("theirs", "ours")


class StepClock:
    """Seconds between the steps of the first optimiser that steps."""

    def __init__(self):
        from torch.optim.optimizer import register_optimizer_step_post_hook

        self.first, self.times = None, []
        register_optimizer_step_post_hook(self.tick)

    def tick(self, optimizer, *_) -> None:
        self.first = self.first or id(optimizer)
        if id(optimizer) == self.first:
            self.times.append(time.perf_counter())

    def seconds(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.times, self.times[1:], strict=False)]


def write_faces(folder: Path, faces: int) -> None:
    """Both domains twice: as dataset folders with ADLD's six AUs, and cut as ADLD's lists."""
    import pandas as pd

    from aubench.datasets.interchange.folders import export
    from aufaces.sets import generate_set
    from aulib.crops import ADLD_CROP
    from aulib.dataset import write_manifest
    from aulib.protocols import PROTOCOLS

    kept = [f"{au}_c" for au in PROTOCOLS["adld"].aus]
    for domain, name in (("studio", "source"), ("wild", "target")):
        set_ = Path(generate_set(domain, faces, 5, 200, folder / name))
        table = pd.read_csv(set_ / "manifest.csv")
        table = table.drop(columns=[c for c in table if re.fullmatch(r"AU\d\d_[cr]", c) and c not in kept])
        write_manifest(set_, table)
        export(set_, "jaanet", folder / "lists", unknown=999, name=name, crop=ADLD_CROP)
    for file in (folder / "lists").glob("*_path.txt"):
        images = [str(folder / "lists" / "imgs" / line) for line in file.read_text().splitlines()]
        file.write_text("\n".join(images) + "\n")


def train_theirs(checkout: Path, folder: Path, batch: int, steps: int) -> list[float]:
    from aulib.networks import define_missing_operators

    define_missing_operators()

    os.chdir(checkout)  # it reads data/list/reflect_49.txt from there
    with modules_of(checkout):
        train = importlib.import_module("train")
    said = (checkout / "train.py").read_text(encoding="utf-8")
    defaults = re.findall(r"add_argument\('--(\w+)', type=(\w+), default='?([^,')]+)", said)
    kinds = {"str": str, "int": int, "float": float}
    config = argparse.Namespace(**{name: kinds[kind](value) for name, kind, value in defaults})
    config.train_batch_size, config.num_workers, config.n_epochs, config.eval_batch_size = batch, 0, 1, batch
    for domain, name in (("src", "source"), ("tgt", "target")):
        for split in ("train", "val"):
            setattr(config, f"{domain}_{split}_path_prefix", str(folder / "lists" / f"{name}_{split}"))
    config.write_path_prefix = config.write_res_prefix = f"{folder}/theirs/"
    clock = StepClock()
    train.main(config)
    return clock.seconds()[1 : steps + 1]  # the first warms up


def train_ours(folder: Path, batch: int, steps: int) -> list[float]:
    from aulib import training
    from aulib.train_run import train_run

    # gradient shares are measured at a few of 60,000 steps, which would be half of these
    training.Recipe.measured_steps = frozenset()
    clock = StepClock()
    train_run(
        str(folder / "source"), str(folder / "target"), "full", "paper", batch_size=batch, steps=steps + 2,
        out_dir=str(folder / "ours" / str(time.time_ns())), progress=False, insides=False,
    )  # fmt: skip
    return clock.seconds()[1:]


def one_turn(side: str, arguments: argparse.Namespace, folder: Path) -> dict:
    """Seconds of each step and the peak memory of a new process."""
    command = [sys.executable, __file__, str(arguments.checkout), "--side", side, "--folder", str(folder)]
    command += ["--batch", str(arguments.batch), "--steps", str(arguments.steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--batch", type=int, default=16, help="faces of each domain in a step")
    parser.add_argument("--steps", type=int, default=4, help="timed steps a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.checkout = arguments.checkout.resolve()
    if not (arguments.checkout / "train.py").is_file():
        parser.error(f"{arguments.checkout} holds no train.py, expected a checkout of ADLD")
    if arguments.side:
        if arguments.side == "theirs":
            seconds = train_theirs(arguments.checkout, arguments.folder, arguments.batch, arguments.steps)
        else:
            seconds = train_ours(arguments.folder, arguments.batch, arguments.steps)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mb": peak}))
        return
    turns: dict[str, list[dict]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory(prefix="beside-") as name:
        write_faces(Path(name), round(arguments.batch * (arguments.steps + 2) / 0.55))
        for number in range(arguments.rounds):
            for side in SIDES:
                turns[side].append(one_turn(side, arguments, Path(name)))
                print(number, side, turns[side][-1], flush=True)
    write_result(turns, as_promised(parser, arguments, "checkout"), arguments.batch)


def write_result(turns: dict[str, list[dict]], keep: bool, batch: int) -> None:
    import torch

    steps = {side: [one for turn in turns[side] for one in turn["seconds"]] for side in SIDES}
    medians = {side: statistics.median(steps[side]) for side in SIDES}
    pairs = list(zip(turns["theirs"], turns["ours"], strict=True))
    speeds = [statistics.median(a["seconds"]) / statistics.median(b["seconds"]) for a, b in pairs]
    memories = [b["peak_mb"] / a["peak_mb"] for a, b in pairs]
    details = {"faces_of_a_domain": batch, "seconds_a_step": steps}
    if torch.cuda.is_available():
        record("train_speed_gpu", medians["theirs"] / medians["ours"], speeds, keep, **details)
        return
    record("train_speed", medians["theirs"] / medians["ours"], speeds, keep, **details)
    record(
        "train_memory",
        statistics.median(memories),
        memories,
        keep,
        peak_mb=[turn["peak_mb"] for turn in turns["ours"]],
    )


if __name__ == "__main__":
    main()
