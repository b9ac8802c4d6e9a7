"""Faces a second of a training run, preset `fast`, and the share of its time that computes.

    python benchmarks/fast_training.py

A short run of method `full` on the default faces, made as `make demo` makes it. A step is timed from one
step's end to the next one's; the first steps of both parts (multi-task alone, then the two rounds as well)
warm up and do not count. Both parts have half of the steps, so the seconds of a step are the mean of their
medians. What is not computing is the making of batches: cutting, turning and lighting the crops.
"""

import argparse
import statistics
import tempfile
import time

from record import record

from aulib import training
from aulib.methods import PRESETS
from aulib.runs import train_run

WARM = 3
FACES = 2 * PRESETS["fast"].batch_size  # of both domains, in a step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--method", default="full")
    arguments = parser.parse_args()
    feeding: list[float] = []
    ends: list[float] = []
    take, step = training._take, training.train_step

    def timed_take(*given):
        began = time.perf_counter()
        batch = take(*given)
        feeding.append(time.perf_counter() - began)
        return batch

    def timed_step(run, source, target, number, measure=False):  # gradients' shares are not measured
        logged = step(run, source, target, number)
        ends.append(time.perf_counter())
        return logged

    training._take, training.train_step = timed_take, timed_step
    speeds, shares, parts = [], [], []
    first = time.time_ns() % 10**6  # a seed used before would find the first half of its steps done
    for turn in range(arguments.turns):
        feeding.clear(), ends.clear()
        with tempfile.TemporaryDirectory() as folder:
            train_run(
                "synthetic:studio", "synthetic:wild", arguments.method, steps=arguments.steps,
                seed=first + turn, out_dir=folder, progress=False, insides=False,
            )  # fmt: skip
        half = arguments.steps // 2
        seconds = [later - earlier for earlier, later in zip(ends, ends[1:], strict=False)]
        medians = [statistics.median(part[WARM:]) for part in (seconds[:half], seconds[half:])]
        parts.append(medians)
        speeds.append(FACES / statistics.mean(medians))
        fed = statistics.median(a + b for a, b in zip(feeding[::2], feeding[1::2], strict=True))
        shares.append(1 - fed / statistics.mean(medians))
    record("fast_training", statistics.median(speeds), speeds, seconds_a_step=parts, method=arguments.method)
    record("feeding", statistics.median(shares), shares, method=arguments.method)


if __name__ == "__main__":
    main()
