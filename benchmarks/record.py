"""What was promised, what was measured: each script here keeps its figures by `record`, and

    python benchmarks/record.py

writes benchmarks/README.md of targets.yml and of benchmarks/results/. What nobody measured says so.
"""

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from aubench.report.readme import with_block
from aubench.study.notebook_runner import commit_of_library
from aulib.files import write_json

HERE = Path(__file__).parent
TURNS = ("turns", "rounds", "repeat")  # options that change how well a figure is known, not what it is


@dataclass(frozen=True)
class Target:
    """A row of targets.yml."""

    what: str
    bound: float
    unit: str
    at_most: bool = False
    by: str = ""


TARGETS = {
    name: Target(**row) for name, row in yaml.safe_load((HERE / "targets.yml").read_text("utf-8")).items()
}


def as_promised(parser: argparse.ArgumentParser, arguments: argparse.Namespace, *given: str) -> bool:
    """Whether every option is what it is by default, but for the number of turns and what has to be given."""
    values = {name: value for name, value in vars(arguments).items() if name not in (*given, *TURNS)}
    return all(value == parser.get_default(name) for name, value in values.items())


def record(name: str, value: float, turns: list[float], keep: bool = True, **details) -> dict:
    """Keep a figure as benchmarks/results/NAME.json: what, value, unit, target, met, spread, conditions.

    Args:
        name: of TARGETS.
        turns: the same figure of each turn alone, whose least and greatest are the spread.
        keep: False only prints it: a quick look with other options is not what was promised.
        details: whatever else a reader may want.
    """
    import torch

    target, commit = TARGETS[name], commit_of_library() or {}
    met = value <= target.bound if target.at_most else value >= target.bound
    said = {
        "what": target.what, "value": value, "unit": target.unit, "target": target.bound,
        "at_most": target.at_most, "met": bool(met), "spread": [min(turns), max(turns)], **details,
        "conditions": {
            "cores": os.cpu_count(), "processor": processor(), "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
            "torch": torch.__version__, "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 1),
            "commit": commit.get("commit"), "edited": commit.get("dirty"),
        },
    }  # fmt: skip
    if keep:
        write_json(HERE / "results" / f"{name}.json", said)
    print(
        f"{target.what}: {value:.2f} {target.unit}, target {target.bound:.2f}, {'met' if met else 'missed'}"
    )
    return said


def processor() -> str:
    """The processor's name, as the system has it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def in_turn(sides: dict, turns: int, repeat: int) -> dict[str, list[float]]:
    """Median seconds of each side's call in each turn; the sides take turns, so that both meet the same load.

    Args:
        sides: name -> function without arguments, each called once before any is timed.
    """
    for call in sides.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, call in sides.items():
            each = []
            for _ in range(repeat):
                began = time.perf_counter()
                call()
                each.append(time.perf_counter() - began)
            seconds[name].append(statistics.median(each))
    return seconds


def table(results: Path) -> str:
    """The targets as Markdown, each with what was measured of it."""
    lines = ["| what | target | measured | met | by |", "|---|---:|---:|---|---|"]
    for name, target in TARGETS.items():
        bound = f"{'at most' if target.at_most else 'at least'} {target.bound:g} {target.unit}"
        measured, met = "not measured", "–"
        if (file := results / f"{name}.json").is_file():
            found = json.loads(file.read_text(encoding="utf-8"))
            low, high = found["spread"]
            measured = f"{found['value']:.3g} [{low:.3g}, {high:.3g}]"
            met = "yes" if found["met"] else "**no**"
        by = f"`{target.by}`" if target.by else "–"
        lines.append(f"| {target.what} | {bound} | {measured} | {met} | {by} |")
    return "\n".join(lines)


def training_at_matrix_rate(found: dict) -> float:
    """Faces a second of fast_training.json, were the rounds' convolutions as fast as products of matrices."""
    before, rounds = (statistics.median(seconds) for seconds in zip(*found["seconds_a_step"], strict=True))
    spared = found["parts"]["convolutions"] * rounds - found["seconds_at_matrix_rate"]
    return found["value"] * (before + rounds) / (before + rounds - spared)


def where_time_goes(results: Path) -> str:
    """Of each target missed whose parts were timed: their shares, the largest first, and what is left."""
    lines = []
    for name, target in TARGETS.items():
        file = results / f"{name}.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"met": True}
        if found["met"] or "parts" not in found:
            continue
        parts = sorted(found["parts"].items(), key=lambda part: -part[1])
        parts.append(("the rest", 1 - sum(share for _, share in parts)))
        lines.append(f"- {target.what}: " + ", ".join(f"{part} {100 * share:.0f} %" for part, share in parts))
        if "gflop_a_step" in found:
            count, ideal = found["gflop_a_step"], found["seconds_at_matrix_rate"]
            real = statistics.median(rounds for _, rounds in found["seconds_a_step"])
            convolving, reached = found["parts"]["convolutions"] * real, training_at_matrix_rate(found)
            lines[-1] += (
                f". A step of the rounds takes {real:.2f} s and its convolutions {convolving:.2f} s,"
                f" for at most {count:.0f} billion operations: a product of large matrices has as many"
                f" in {ideal:.2f} s here. Were they as fast, training would reach {reached:.0f} faces/s"
            )
        if name == "main_job" and (training := results / "fast_training.json").is_file():
            training = json.loads(training.read_text(encoding="utf-8"))
            spared = found["parts"]["training and scoring"] * (
                1 - training["value"] / training_at_matrix_rate(training)
            )
            lines[-1] += f". With training at that rate it would take {found['value'] * (1 - spared):.2f}"
        if "enlarged" in found:
            shares = [f"{100 * share:.0f} % at {side} pixels" for side, share in found["enlarged"].items()]
            lines[-1] += f". With such pictures enlarged it is {' and '.join(shares)}"
    if (feeding := results / "feeding.json").is_file():
        halves = zip(*json.loads(feeding.read_text(encoding="utf-8"))["halves"], strict=True)
        before, rounds = map(statistics.median, halves)
        lines.append(
            f"- waiting for batches: the share that computes is {before:.3f} in the half before the rounds,"
            f" whose steps are short, and {rounds:.3f} in the half with them"
        )
    return "\n".join(lines) or "Nothing missed was taken apart."


def main() -> None:
    page = HERE / "README.md"
    text = page.read_text(encoding="utf-8")
    for name, block in {"targets": table, "parts": where_time_goes}.items():
        text = with_block(text, name, block(HERE / "results"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
