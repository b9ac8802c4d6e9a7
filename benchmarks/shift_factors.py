"""Which part of the shift hurts: scores of finished runs on studio faces with one factor of wild at a time.

    python benchmarks/shift_factors.py RUN ... --out results/shift_factors.json

Runs of one method (over seeds) are averaged. The faces are of a seed that no default set uses.
"""

from pathlib import Path

import numpy as np
from record import parser_of

from aubench.inspection.factor_faces import CONDITIONS, SEED, faces_with
from aufaces.factors import FACTORS
from aulib.crops import crop_of
from aulib.evaluate import predict_batches, score_predictions
from aulib.files import write_json
from aulib.run import Run


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--faces", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("results/shift_factors.json"))
    options = parser.parse_args()
    runs = [Run(run) for run in options.runs]
    spec = crop_of(runs[0].config)
    if any(crop_of(run.config) != spec for run in runs):
        raise SystemExit("these runs cut their faces differently; give runs of one preset")
    scores: dict[str, dict[str, list[float]]] = {}
    for condition, factors in CONDITIONS.items():
        faces = faces_with(factors, options.faces, spec)
        for run in runs:
            reading = predict_batches(run.model, faces, run.settings["read_target_from"])
            people = np.arange(len(faces))
            f1 = score_predictions(reading, faces, people, run.aus, resamples=1)["mean.f1"]
            scores.setdefault(run.settings["method"], {}).setdefault(condition, []).append(float(f1))
        said = {method: round(np.mean(of[condition]), 3) for method, of in scores.items()}
        print(f"{condition:12s}", said, flush=True)
    write_json(options.out, {"f1": scores, "faces": options.faces, "seed": SEED, "factors": FACTORS})


if __name__ == "__main__":
    main()
