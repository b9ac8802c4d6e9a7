"""README's pictures of faces and insides: `make figures` after `make demo`, or this with any run.

Writes to results/figures, each with the numbers behind it as CSV: first_screen (faces of both domains,
rebuilt, and where the AU is seen that the run is surest of), reconstructions (every texture with every
shape), attention (where three AUs are read, beside the region that each truly moves); or, with --beside,
switched_off (the same faces as each of several runs rebuilds them). Fits the decoders that are missing.
"""

import argparse
from pathlib import Path

import pandas as pd

from aubench import plots
from aubench.inspection.attention_study import faces_and_regions
from aubench.inspection.decoding import fit_decoder
from aubench.inspection.shown_faces import faces_from, kept_faces
from aubench.inspection.side_by_side import runs_by_name
from aubench.report.results import sample_predictions
from aulib.run import load_run

AUS = ["AU04", "AU12", "AU26"]
DPI = 100  # a picture stays well below a megabyte


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
    config = load_run(run)[0].config
    fit_decoder(run)
    kept = pd.concat(
        [sample_predictions(run, domain).assign(domain=domain) for domain in ("source", "target")]
    )
    plots.save_figure(plots.draw_first_screen(run, domain="both", count=4), out, "first_screen", kept, DPI)
    figure, table = plots.draw_texture_by_shape(run, faces_from(rendered, config, 5))
    plots.save_figure(figure, out, "reconstructions", table, DPI)
    aus = [au for au in AUS if au in config.aus]
    faces, regions = faces_and_regions(run, config, rendered, aus, per_au=12)
    figure, table = plots.draw_evidence_beside_gradients(run, faces, aus, regions, columns=5)
    plots.save_figure(figure, out, "attention", table, DPI)


def draw_beside(folder: str, out: Path) -> None:
    runs = runs_by_name([folder])
    for run in runs.values():
        fit_decoder(run)
    shown = next(iter(runs.values()))
    config = load_run(shown)[0].config
    faces = [kept_faces(shown, config, domain, 5) for domain in ("source", "target")]
    figure, table = plots.draw_runs(runs, *faces, "rich2")
    plots.save_figure(figure, out, "switched_off", table, DPI)


if __name__ == "__main__":
    main()
