"""The main job compared with an earlier version: `python benchmarks/main_job.py EARLIER`.

EARLIER is a checkout of this repository at 9a10b4d, the last commit before the work on the main job's speed:

    git worktree add ../earlier 9a10b4d

Both render the same number of faces into an empty cache, train the methods of `aulib demo` with today's
steps, preset and seed, and write the report. They alternate, each time in a new process. (The faces, and what
a step learns, have changed since; so the steps are given instead of each side's own.)
Writes benchmarks/results/main_job.json.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from record import as_promised, parser_of, record

from aubench.cli.demo import STEPS

NOW, EARLIER = Path(__file__).parent.parent, "9a10b4d"
JOB = """
import importlib, json, os, sys, time
checkout = sys.argv[1]
now = os.path.isdir(checkout + "/aubench")
demo = importlib.import_module("aubench.cli.demo" if now else "aulib.demo")
assert demo.__file__.startswith(checkout), demo.__file__
demo.STEPS.update(json.loads(sys.argv[3]))
seconds = {"drawing faces": 0.0, "training and scoring": 0.0}
def timed(part, call):
    def and_timed(*given):
        began = time.perf_counter()
        found = call(*given)
        seconds[part] += time.perf_counter() - began
        return found
    return and_timed
demo.read_dataset = timed("drawing faces", demo.read_dataset)
demo.train = timed("training and scoring", demo.train)
began = time.perf_counter()
demo.main(out=sys.argv[2])
print(json.dumps(seconds | {"whole": time.perf_counter() - began}))
"""


def run(checkout: Path, steps: dict[str, int]) -> dict[str, float]:
    """Seconds of the main job as the code in `checkout` does it: whole, and of its parts."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", JOB, str(checkout), f"{folder}/demo", json.dumps(steps)],
            env=os.environ | {"AULIB_CACHE": f"{folder}/cache", "PYTHONPATH": str(checkout)},
            cwd=checkout, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"the main job of {checkout} ended with {done.returncode}; its error stands above")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("earlier", type=Path, help="a checkout of 9a10b4d")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of every method, for a quick look; nothing is recorded")
    arguments = parser.parse_args()
    steps = {name: arguments.steps or budget for name, budget in STEPS.items()}
    asked = ["git", "-C", str(arguments.earlier), "rev-parse", "HEAD"]
    head = subprocess.run(asked, capture_output=True, text=True).stdout
    if not head.startswith(EARLIER):
        parser.error(f"{arguments.earlier} is at {head[:7] or 'no commit'}, expected a checkout of {EARLIER}")
    sides = {"earlier": arguments.earlier.resolve(), "now": NOW.resolve()}
    seconds: dict[str, list[dict]] = {side: [] for side in sides}
    for _ in range(arguments.turns):
        for side, checkout in sides.items():
            seconds[side].append(run(checkout, steps))
            print(side, {part: round(found) for part, found in seconds[side][-1].items()}, flush=True)
    turns = [now["whole"] / then["whole"] for then, now in zip(*seconds.values(), strict=True)]
    parts = {
        part: statistics.median(now[part] / now["whole"] for now in seconds["now"])
        for part in ("drawing faces", "training and scoring")
    }
    keep = as_promised(parser, arguments, "earlier")
    record("main_job", statistics.median(turns), turns, keep, steps=steps, seconds=seconds, parts=parts)


if __name__ == "__main__":
    main()
