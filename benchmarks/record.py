"""Targets and measured values: each script here saves its values with `record`, and

    python benchmarks/record.py

writes the tables of benchmarks/README.md from targets.yml and benchmarks/results/.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import yaml

from aubench.report.readme import with_block
from aubench.study.notebook_runner import commit_of_library
from aulib.files import write_json

HERE = Path(__file__).parent
TURNS = ("turns", "rounds", "repeat")  # options that change the precision of a value, not its meaning


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


def parser_of(docstring: str) -> argparse.ArgumentParser:
    """A parser whose help is the script's docstring, line by line."""
    return argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def as_promised(parser: argparse.ArgumentParser, arguments: argparse.Namespace, *given: str) -> bool:
    """Whether all options have their defaults, except the number of turns and the arguments `given`."""
    values = {name: value for name, value in vars(arguments).items() if name not in (*given, *TURNS)}
    return all(value == parser.get_default(name) for name, value in values.items())


def record(name: str, value: float, turns: list[float], keep: bool = True, **details) -> dict:
    """Save a value as benchmarks/results/NAME.json: what, value, unit, target, met, spread, conditions.

    Args:
        name: key of TARGETS.
        turns: the value of each turn; the smallest and the largest are the spread.
        keep: False only prints, for options that differ from those of the target.
        details: anything else to save.
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
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def in_turn(sides: dict, turns: int, repeat: int) -> dict[str, list[float]]:
    """Median seconds of each side's call in each turn. Sides alternate, so that load affects all of them.

    Args:
        sides: name -> function without arguments; each is called once to warm up.
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


@contextmanager
def timed_calls(
    calls: dict[str, tuple[object, str]], clock: Callable[[], float] = time.perf_counter
) -> Iterator[dict[str, float]]:
    """Seconds spent in functions while it is open.

    Args:
        calls: name -> (module or class, name of the function in it).
    """
    seconds = dict.fromkeys(calls, 0.0)

    def timed(name: str, call: Callable) -> Callable:
        def and_timed(*given, **named):
            began = clock()
            found = call(*given, **named)
            seconds[name] += clock() - began
            return found

        return and_timed

    with ExitStack() as patches:
        for name, (owner, attribute) in calls.items():
            patches.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        yield seconds


def table(results: Path) -> str:
    """The targets and what was measured, as Markdown."""
    lines = ["| what | target | measured | met | by |", "|---|---:|---:|---|---|"]
    for name, target in TARGETS.items():
        bound = f"{'at most' if target.at_most else 'at least'} {target.bound:g} {target.unit}"
        measured, met = "not measured", "–"
        if found := _read(results / f"{name}.json"):
            low, high = found["spread"]
            measured = f"{found['value']:.3g} [{low:.3g}, {high:.3g}]"
            met = "yes" if found["met"] else "**no**"
        by = f"`{target.by}`" if target.by else "–"
        lines.append(f"| {target.what} | {bound} | {measured} | {met} | {by} |")
    return "\n".join(lines)


def training_at_matrix_rate(found: dict) -> float:
    """Faces per second of fast_training.json if convolutions ran at the rate of large matrix products."""
    before, rounds = (statistics.median(seconds) for seconds in zip(*found["seconds_a_step"], strict=True))
    spared = found["parts"]["convolutions"] * rounds - found["seconds_at_matrix_rate"]
    return found["value"] * (before + rounds) / (before + rounds - spared)


def where_time_goes(results: Path) -> str:
    """The timed parts of each missed target, largest first, and of `feeding`, as Markdown."""
    found = {name: _read(results / f"{name}.json") for name in TARGETS}
    missed = {name: one for name, one in found.items() if one and not one["met"] and "parts" in one}
    rows = []
    for name, one in missed.items():
        parts = sorted(one["parts"].items(), key=lambda part: -part[1])
        parts.append(("the rest", 1 - sum(share for _, share in parts)))
        rows += [(name, part, f"{100 * share:.0f} %") for part, share in parts]
    if training := missed.get("fast_training"):
        step = statistics.median(rounds for _, rounds in training["seconds_a_step"])
        at_matrix_rate = training_at_matrix_rate(training)
        rows += [
            ("fast_training", "a step with both rounds", f"{step:.2f} s"),
            ("fast_training", "its convolutions", f"{training['parts']['convolutions'] * step:.2f} s"),
            ("fast_training", "the same, at matrix rate", f"{training['seconds_at_matrix_rate']:.2f} s"),
            ("fast_training", "training, at matrix rate", f"{at_matrix_rate:.0f} faces/s"),
        ]
        if job := missed.get("main_job"):
            spared = job["parts"]["training and scoring"] * (1 - training["value"] / at_matrix_rate)
            value = job["value"] * (1 - spared)
            rows.append(("main_job", "value with training at matrix rate", f"{value:.2f} of the time"))
    for side, share in missed.get("photographs", {}).get("enlarged", {}).items():
        rows.append(("photographs", f"value with pictures of {side} pixels", f"{100 * share:.0f} %"))
    if feeding := found["feeding"]:
        for half, shares in zip(("without", "with"), zip(*feeding["halves"], strict=True), strict=True):
            share = statistics.median(shares)
            rows.append(("feeding", f"computing share, half {half} rounds", f"{share:.3f} of the time"))
    rows.sort(key=lambda row: list(TARGETS).index(row[0]))
    lines = ["| result | part | measured |", "|---|---|---:|"]
    return "\n".join(lines + [f"| `{name}` | {part} | {measured} |" for name, part, measured in rows])


def _read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def main() -> None:
    page = HERE / "README.md"
    text = page.read_text(encoding="utf-8")
    for name, block in {"targets": table, "parts": where_time_goes}.items():
        text = with_block(text, name, block(HERE / "results"))
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
