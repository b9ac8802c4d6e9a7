"""README's pictures of insides: `make figures RUN=results/studio_to_wild/full-seed0`, or this with a run.

Writes results/figures/reconstructions.png (every texture with every shape) and results/figures/attention.png
(where three AUs are read, beside the region that each truly moves), from rendered test faces. Fits the run's
decoder if it has none yet.
"""

import argparse
from pathlib import Path

from aulib import plots
from aulib.attention_study import faces_and_regions
from aulib.checkpoints import load_run
from aulib.decoding import fit_decoder
from aulib.shown_faces import faces_from

AUS = ["AU04", "AU12", "AU26"]
DPI = 100  # below 500 kB a picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", default="results/studio_to_wild/full-seed0")
    parser.add_argument("--faces", default="synthetic:wild", help="a rendered set")
    parser.add_argument("--out", type=Path, default=Path("results/figures"))
    arguments = parser.parse_args()
    config = load_run(arguments.run)[0].config
    fit_decoder(arguments.run)
    figure, _ = plots.draw_texture_by_shape(arguments.run, faces_from(arguments.faces, config, 5))
    plots.save_figure(figure, arguments.out, "reconstructions", dpi=DPI)
    aus = [au for au in AUS if au in config.aus]
    faces, regions = faces_and_regions(arguments.run, config, arguments.faces, aus, per_au=12)
    figure, _ = plots.draw_evidence_beside_gradients(arguments.run, faces, aus, regions, columns=5)
    plots.save_figure(figure, arguments.out, "attention", dpi=DPI)


if __name__ == "__main__":
    main()
