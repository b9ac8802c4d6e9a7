"""Faces a second of a training run, preset `fast`, and the share of its time that computes.

    python benchmarks/fast_training.py

A short run of method `full` on the default faces, made as `make demo` makes it. A step is timed from one
step's end to the next one's; the first steps of both parts (multi-task alone, then the two rounds as well)
warm up and do not count. Both parts have half of the steps, so the seconds of a step are the mean of their
medians. What is not computing is the making of batches: cutting, turning and lighting the crops. A short run
more shows where a step of the rounds spends its time, and counts its arithmetic: at the rate at which this
machine multiplies matrices, that alone would take `seconds_at_matrix_rate`.
"""

import statistics
import tempfile
import time

import torch
from record import as_promised, in_turn, parser_of, record
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from aulib import training
from aulib.methods import PRESETS
from aulib.train_run import train_run

WARM = 3
PROFILED = 20  # steps of the run that is looked into; its second half has the rounds
PARTS = {  # of a step, by what PyTorch calls its operators
    "convolutions": ("convolution",),
    "normalisation": ("batch_norm",),
    "activations": ("leaky_relu",),
    "softmax": ("softmax",),
    "matrices": ("::mm", "::addmm", "::bmm"),
    "moving": ("copy_", "::cat", "fill_", "zero_"),
}
FACES = 2 * PRESETS["fast"].batch_size  # of both domains, in a step


def look_inside(method: str, folder: str) -> dict:
    """Shares of a step's time by PARTS, its multiplications and additions, and the machine's rate of them."""
    step, found = training.train_step, {}

    def looked_at(run, source, target, number, measure=False):
        if number == PROFILED - 2:
            with FlopCounterMode(display=False) as counter:
                logged = step(run, source, target, number)
            found["gflop_a_step"] = counter.get_total_flops() / 1e9
        elif number == PROFILED - 1:
            with profile(activities=[ProfilerActivity.CPU]) as profiled:
                logged = step(run, source, target, number)
            times = {event.key: event.self_cpu_time_total for event in profiled.key_averages()}
            whole = sum(times.values())
            found["parts"] = {
                part: sum(t for key, t in times.items() if any(name in key for name in names)) / whole
                for part, names in PARTS.items()
            }
        else:
            logged = step(run, source, target, number)
        return logged

    training.train_step = looked_at
    try:
        train_run(
            "synthetic:studio", "synthetic:wild", method, steps=PROFILED,
            seed=time.time_ns() % 10**6, out_dir=folder, progress=False, insides=False,
        )  # fmt: skip
    finally:
        training.train_step = step
    side = 2048
    square = torch.rand(side, side)
    seconds = min(in_turn({"product": lambda: square @ square}, 3, 5)["product"])
    found["matrix_gflop_a_second"] = 2 * side**3 / seconds / 1e9
    found["seconds_at_matrix_rate"] = found["gflop_a_step"] / found["matrix_gflop_a_second"]
    return found


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--method", default="full")
    arguments = parser.parse_args()
    feeding: list[float] = []
    ends: list[float] = []
    take, step = training.next_batch, training.train_step

    def timed_take(*given):
        began = time.perf_counter()
        batch = take(*given)
        feeding.append(time.perf_counter() - began)
        return batch

    def timed_step(run, source, target, number, measure=False):  # gradients' shares are not measured
        logged = step(run, source, target, number)
        ends.append(time.perf_counter())
        return logged

    training.next_batch, training.train_step = timed_take, timed_step
    speeds, shares, halves, parts = [], [], [], []
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
        halves.append([1 - fed / median for median in medians])
    training.next_batch, training.train_step = take, step
    with tempfile.TemporaryDirectory() as folder:
        inside = look_inside(arguments.method, folder)
    keep = as_promised(parser, arguments)
    record(
        "fast_training", statistics.median(speeds), speeds, keep, seconds_a_step=parts,
        method=arguments.method, **inside,
    )  # fmt: skip
    record("feeding", statistics.median(shares), shares, keep, method=arguments.method, halves=halves)


if __name__ == "__main__":
    main()
