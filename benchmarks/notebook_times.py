"""How long each notebook takes with its default parameters: `python benchmarks/notebook_times.py`.

in_order    the lessons one after another in an empty folder, with an empty cache of rendered faces, as a
            learner runs them: the first lesson that needs a set or a small run pays for it
alone       each lesson from nothing
notebooks   00 to 07, once the rendered sets that they need are there, and what 00 and 03 to 06 read: small
            runs where `make demo` leaves them, and the committed summary of the study

Each runs as in Jupyter, from its own folder in a copy of the checkout. A lesson may take three minutes,
another notebook what its first cell says: status 1 if one takes longer. Other work on the machine prolongs
the seconds and hardly the CPU seconds, so the smaller of the two counts.
Writes results/notebook_times.json, where a part that was not run again stays as it was.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from record import parser_of

from aubench.study.notebook_runner import commit_of_library
from aulib.files import write_json

ROOT = Path(__file__).parent.parent
LESSONS = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF_LESSON = 180  # seconds
# What the line "Takes" of another notebook may say, and how many seconds that is; the first that fits counts.
SAID = {
    "three to six minutes": 360,
    "some minutes": 300,
    "a minute or two": 120,
    "under a minute": 60,
    "a minute": 90,
    "some seconds": 30,
}
SETS = ("synthetic:studio", "synthetic:wild")
SMALL = {name: f"synthetic:{name}?n=240&seed=1" for name in ("studio", "wild")}  # for runs that are read only
READ_RUNS = ("source-only", "full", "oracle")
STEPS = 8


def limit_of(notebook: Path) -> int:
    """Seconds that a notebook may take.

    Raises:
        ValueError: its first cell does not say so in words of SAID.
    """
    if notebook.parent.name == "course":
        return OF_LESSON
    first = nbformat.read(notebook, as_version=4).cells[0].source
    takes = re.search(r"Takes: (.*?)(?: Writes:|$)", first, re.S)
    for words, seconds in SAID.items():
        if takes and words in takes[1]:
            return seconds
    raise ValueError(f"{notebook.name} takes {takes and takes[1]!r}; expected one of {list(SAID)}")


def called(folder: Path, *arguments: str) -> float:
    """Seconds of a Python command in `folder`, with the cache of rendered faces that lies in it."""
    environment = os.environ | {"AULIB_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment["OMP_WAIT_POLICY"] = "passive"  # a thread that waits for another's core burns no CPU seconds
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return time.perf_counter() - began


def executed(notebook: Path, folder: Path) -> Path:
    """Where the copy of a notebook lies in `folder`, with its outputs once it has run."""
    return folder / notebook.relative_to(ROOT)


def seconds_of(notebook: Path, folder: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of one notebook, run as in Jupyter; what it leaves stays in `folder`."""
    if not (folder / "pyproject.toml").is_file():
        shutil.copy(ROOT / "pyproject.toml", folder)
        for name in ("notebooks", "docs/london", "experiments"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = ("--inplace", "--kernel_name=python3", "--startup_timeout=300")
    seconds = called(folder, "-m", "jupyter", "execute", *options, str(executed(notebook, folder)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def leave_what_is_read(folder: Path) -> None:
    """Make what 00 to 07 read: rendered sets, small finished runs, a study's summary."""
    rendering = "import sys; from aufaces.sets import resolve; [resolve(name) for name in sys.argv[1:]]"
    called(folder, "-c", rendering, *SETS)
    for method in READ_RUNS:
        values = {"source": SMALL["studio"], "target": SMALL["wild"], "method": method, "steps": STEPS}
        given = [word for name, value in values.items() for word in ("-p", name, str(value))]
        called(folder, "-m", "aubench.cli.main", "run", "02_train", *given, "--out", f"results/demo/{method}")
    shutil.copy(ROOT / "results" / "supervisors.json", folder / "results")


def timed(part: str, notebooks: list[Path], base: Path) -> dict:
    """Seconds of each notebook, the load before it, and when and of which commit that was."""
    seconds, cpu_seconds, load = {}, {}, {}
    for notebook in notebooks:
        folder = base / part / (notebook.stem if part == "alone" else "reader")
        if not folder.is_dir():
            folder.mkdir(parents=True)
            if part == "notebooks":
                leave_what_is_read(folder)
        load[notebook.stem] = round(os.getloadavg()[0], 1)
        seconds[notebook.stem], cpu_seconds[notebook.stem] = map(round, seconds_of(notebook, folder))
        took = f"{seconds[notebook.stem]} s, {cpu_seconds[notebook.stem]} CPU s"
        print(part, notebook.stem, took, flush=True)
    commit = commit_of_library() or {}
    when = {"commit": commit.get("commit"), "edited": commit.get("dirty"), "date": time.strftime("%Y-%m-%d")}
    times = {"seconds": seconds, "cpu_seconds": cpu_seconds, "load_before": load}
    return times | {"cores": os.cpu_count()} | when


PARTS = {"in_order": LESSONS, "alone": LESSONS, "notebooks": NOTEBOOKS}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="which (default: all)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these notebooks; needs another --json")
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "notebook_times.json")
    arguments = parser.parse_args()
    if arguments.only and arguments.json == parser.get_default("json"):
        parser.error("times of some notebooks only would stand for all: choose another --json")
    kept = json.loads(arguments.json.read_text("utf-8"))["parts"] if arguments.json.is_file() else {}
    with tempfile.TemporaryDirectory(prefix="notebooks-") as name:
        for part in arguments.parts:
            chosen = [one for one in PARTS[part] if one.stem in (arguments.only or one.stem)]
            kept[part] = timed(part, chosen, Path(name))
    limits = {one.stem: limit_of(one) for one in [*LESSONS, *NOTEBOOKS]}
    missed = [
        f"{part}: {stem} took {seconds} s, {limits[stem]} are allowed"
        for part, found in kept.items()
        for stem, seconds in found["seconds"].items()
        if stem in limits and min(seconds, found.get("cpu_seconds", {}).get(stem, seconds)) > limits[stem]
    ]
    write_json(arguments.json, {"met": not missed, "missed": missed, "limits": limits, "parts": kept})
    sys.exit("\n".join(missed) or 0)


if __name__ == "__main__":
    main()
