"""Whether what was made faster learns as well: `python benchmarks/score_after.py RUNS`.

RUNS holds the runs of `aulib study experiments/studio_to_wild.yml --only full`, of now; the table in README
(results/studio_to_wild.json) was made before the work on speed. The mean over seeds should lie within the
seeds of before: what counts is how far it is above the least of them. Writes
benchmarks/results/score_after.json.
"""

import argparse
import json
import statistics
from pathlib import Path

from record import record

from aulib.results import summarise_seeds
from aulib.side_by_side import runs_by_name

BEFORE = Path(__file__).parent.parent / "results" / "studio_to_wild.json"
METHOD = "full"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", help="the study's folder")
    arguments = parser.parse_args()
    before = json.loads(BEFORE.read_text(encoding="utf-8"))["methods"][METHOD]["f1"]["seeds"]
    folders = [str(run) for run in runs_by_name([arguments.runs]).values()]
    after = summarise_seeds(folders)[METHOD]["f1"]["seeds"]
    above = [100 * (score - min(before)) for score in after]
    record("score_after", statistics.mean(above), above, method=METHOD, before=before, after=after)


if __name__ == "__main__":
    main()
