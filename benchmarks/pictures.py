"""README's pictures of faces and insides: `make figures` after `make demo`, or this with any run.

Writes to results/figures, each with the numbers behind it as CSV: first_screen (faces of both domains,
rebuilt, and where the AU is seen that the run is surest of), reconstructions (every texture with every
shape), attention (where three AUs are read, next to the region that each truly moves); or, with --beside,
switched_off (the same faces as each of several runs rebuilds them). Fits the decoders that are missing.
"""

from pathlib import Path

import pandas as pd
from record import parser_of

from aubench import plots
from aubench.inspection import reconstructions
from aubench.inspection.attention_study import explain, faces_and_regions, map_table
from aubench.inspection.decoding import fit_decoder
from aubench.inspection.first_screen import read_kept_faces
from aubench.inspection.shown_faces import faces_from, kept_faces
from aubench.inspection.side_by_side import runs_by_name
from aulib.run import Run

AUS = ["AU04", "AU12", "AU26"]
DPI = 100  # a picture stays well below a megabyte


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("run", nargs="?", default="results/demo/full")
    parser.add_argument("--faces", default="synthetic:wild", help="a rendered set")
    parser.add_argument(
        "--beside", help="folder of runs, such as results/switched_off; only their picture is made"
    )
    parser.add_argument("--out", type=Path, default=Path("results/figures"))
    arguments = parser.parse_args()
    if arguments.beside:
        draw_beside(arguments.beside, arguments.out)
    else:
        draw_insides(arguments.run, arguments.faces, arguments.out)


def draw_insides(run: str, rendered: str, out: Path) -> None:
    opened = Run(run)
    model, config, decoder = opened.model, opened.config, fit_decoder(run)
    kept = pd.concat(
        [
            opened.predictions(domain, samples_only=True).assign(domain=domain)
            for domain in ("source", "target")
        ]
    )
    figure = plots.draw_first_screen(*read_kept_faces(opened, "both", 4))
    plots.save_figure(figure, out, "first_screen", kept, DPI)
    five = faces_from(rendered, config, 5)
    grid, table = reconstructions.decode_texture_by_shape(model, decoder, five)
    figure = plots.draw_texture_by_shape(grid, reconstructions.as_pictures(five.pictures))
    plots.save_figure(figure, out, "reconstructions", table, DPI)
    aus = [au for au in AUS if au in config.aus]
    faces, regions = faces_and_regions(opened, rendered, aus, per_au=12)
    strongest = explain(opened, faces, aus, count=5, strongest=True)
    table = map_table(strongest, faces, regions)
    figure = plots.draw_evidence_and_gradients(strongest, table, faces, regions)
    plots.save_figure(figure, out, "attention", table, DPI)


def draw_beside(folder: str, out: Path) -> None:
    runs = runs_by_name([folder])
    for run in runs.values():
        fit_decoder(run)
    shown = next(iter(runs.values()))
    faces = [kept_faces(Run(shown), domain, 5) for domain in ("source", "target")]
    decoded, table = reconstructions.decode_runs(runs, *faces, "rich2")
    figure = plots.draw_runs(decoded, table, *faces, "rich2")
    plots.save_figure(figure, out, "switched_off", table, DPI)


if __name__ == "__main__":
    main()
