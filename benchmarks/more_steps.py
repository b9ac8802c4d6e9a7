"""What more steps do: `python benchmarks/more_steps.py RUN ...`, finished runs of several lengths and seeds.

Writes results/more_steps.json, which docs/synthetic.md shows: target F1 of each method by its steps.
"""

from pathlib import Path

from record import parser_of

from aulib.files import write_json
from aulib.run import Run


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path("results/more_steps.json"))
    options = parser.parse_args()
    found: dict[str, dict[int, dict[int, float]]] = {}
    for run in options.runs:
        settings = Run(run).settings
        seeds = found.setdefault(settings["method"], {}).setdefault(settings["steps"], {})
        if settings["seed"] in seeds:
            parser.error(f"{run}: {settings['method']} of {settings['steps']} steps has this seed twice")
        seeds[settings["seed"]] = Run(run).metrics["target.mean.f1"]
    write_json(
        options.out,
        {
            "f1": {
                m: {str(s): dict(sorted(own.items())) for s, own in sorted(by.items())}
                for m, by in found.items()
            }
        },
    )


if __name__ == "__main__":
    main()
