"""Whether what was made faster learns as well: `python benchmarks/score_after.py RUNS`.

RUNS holds the runs of `aulib study experiments/studio_to_wild.yml --only full`, of now; the scores before the
work on speed are those of the study as it was committed at BEFORE. The mean over seeds should lie within the
seeds of before: what counts is how far it is above the least of them. Writes
benchmarks/results/score_after.json.
"""

import json
import statistics
import subprocess
from pathlib import Path

from record import parser_of, record

from aubench.inspection.side_by_side import runs_by_name
from aubench.report.results import summarise_seeds

BEFORE = "eb00840:results/studio_to_wild.json"
METHOD = "full"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("runs", help="the study's folder")
    arguments = parser.parse_args()
    said = subprocess.check_output(["git", "show", BEFORE], cwd=Path(__file__).parent, text=True)
    before = json.loads(said)["methods"][METHOD]["f1"]["seeds"]
    folders = [str(run) for run in runs_by_name([arguments.runs]).values()]
    after = summarise_seeds(folders)[METHOD]["f1"]["seeds"]
    above = [100 * (score - min(before)) for score in after]
    record("score_after", statistics.mean(above), above, method=METHOD, before=before, after=after)


if __name__ == "__main__":
    main()
