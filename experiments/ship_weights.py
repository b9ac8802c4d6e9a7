"""Make the detector that comes with the package: `python experiments/ship_weights.py RUNS PHOTOGRAPHS`.

The weights in the package were made with AULIB_LANDMARKS=dlib, before the package had landmarks of its own.

Takes the run of experiments/weights.yml with the highest F1 on validation people of its rendered source,
shifts its logits to base rates on the photographs, and writes it to aulib/weights with weights of half
precision. Expressions of the photographs decide which AUs are given: those of which every contrast is above
0.5, its interval included.
"""

import argparse
from pathlib import Path

from safetensors.torch import load_file, save

from aubench.inference.adapt import RARE, RATES, shift_to
from aubench.inference.predict import contrasts_of, predict
from aulib import pretrained
from aulib.expressions import MIN_FACES
from aulib.run import METRICS, WEIGHTS, Run

# Press photographs show more smiles than EmotioNet's pictures (docs/real-faces.md).
OWN_RATES = RATES | {"AU12": 0.40}
HARD = "synthetic:wild?n=800&seed=0"
SEEN = 0.995  # share of the faces of HARD whose landmark maps count as those of a face


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder of the study's runs")
    parser.add_argument("photographs", help="dataset folder of photographs, with meta_expression")
    given = parser.parse_args()
    runs = [Run(folder.parent) for folder in sorted(given.study.glob(f"*/{METRICS}"))]
    best = max(runs, key=lambda run: run.metrics["validation_f1"])
    out = pretrained().path
    out.mkdir(exist_ok=True)
    rates = {au: OWN_RATES.get(au, RARE) for au in best.aus}
    read = predict(best.path, given.photographs, all_aus=True)
    table = contrasts_of(read, given.photographs).contrasts
    works = table[table["faces"] >= MIN_FACES].groupby("au")["auc_low"].min() > 0.5
    withheld = [au for au in best.aus if not works.get(au, False)]
    hard = float(predict(best.path, HARD)["map_entropy"].quantile(SEEN))
    shift_to(out, best, read, rates, {"withheld": withheld, "largest_entropy": hard})
    weights = {name: value.half() for name, value in load_file(out / WEIGHTS).items()}
    (out / WEIGHTS).write_bytes(save(weights))
    print(f"withheld: {', '.join(withheld)}")
    print(f"{out}: {best.path.name}, validation F1 {best.metrics['validation_f1']:.3f}")


if __name__ == "__main__":
    main()
