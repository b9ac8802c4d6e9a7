"""The main job over several seeds, as README shows it: `python benchmarks/studio_to_wild.py`.

Collects the finished runs of experiments/studio_to_wild.yml, which `aulib study` makes with the methods and
steps of `aulib demo`. Writes the source of README's table, results/studio_to_wild.json.
"""

from pathlib import Path

from record import parser_of

from aubench.cli.demo import STEPS
from aubench.report.results import summarise_seeds
from aubench.study.plan import expand, read_study
from aubench.study.resume import is_done
from aulib.files import write_json

STUDY = Path(__file__).parent.parent / "experiments" / "studio_to_wild.yml"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/studio_to_wild"), help="the study's folder")
    arguments = parser.parse_args()
    study = read_study(STUDY)
    runs = expand(study, arguments.out)
    if missing := [run.id for run in runs if not is_done(run)]:
        parser.error(f"{len(missing)} runs are missing, {missing[0]} first: run `aulib study {STUDY}`")
    runs.sort(key=lambda run: list(STEPS).index(run.variant))  # the order of the demo's table
    folders = [run.folder.as_posix() for run in runs]
    summary = {
        "methods": summarise_seeds(folders),
        "source": {name: scores["f1"] for name, scores in summarise_seeds(folders, "source").items()},
        "settings": study.fixed
        | {"steps": {name: values["steps"] for name, values in study.variants.items()}, "seeds": study.seeds},
    }
    write_json(arguments.out.with_suffix(".json"), summary)


if __name__ == "__main__":
    main()
