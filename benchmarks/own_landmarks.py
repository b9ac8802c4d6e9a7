"""Our landmarks on photographs against dlib's: points set by hand, contrasts, seconds.

    python benchmarks/own_landmarks.py LONDON

LONDON is the London set with its template files as one table, templates.csv: `image`, and `x_0`, `y_0` ... of
189 points set by hand on the neutral faces. Nine of them are points of iBUG's 68. dlib's points are taken in
the box of dlib's own detector, and on the faces that YuNet finds (AULIB_LANDMARKS=dlib). Writes
results/own_landmarks.json.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from landmark_table import dlibs_points
from record import parser_of

from aubench.datasets.landmark_detector import CHOICE, detect_landmarks
from aubench.datasets.london import convert_london
from aubench.inference.predict import contrast
from aulib import pretrained
from aulib.files import write_json
from aulib.images import read_picture

# Of the 68 points: the number of the same point set by hand.
BY_HAND = {36: 18, 39: 22, 42: 23, 45: 27, 48: 87, 51: 90, 54: 93, 57: 106, 8: 129}
OUTER_CORNERS = [list(BY_HAND).index(36), list(BY_HAND).index(45)]


def measured(raw: Path, by_hand: pd.DataFrame, find: Callable) -> dict[str, float]:
    """`nme` against points set by hand, `found`, `seconds` a picture."""
    errors, seconds = [], []
    for image, row in by_hand.iterrows():
        pixels = np.asarray(read_picture(next(raw.rglob(image))))
        began = time.perf_counter()
        points = find(pixels)
        seconds.append(time.perf_counter() - began)
        if points is not None:
            hand = np.array([[row[f"x_{k}"], row[f"y_{k}"]] for k in BY_HAND.values()])
            between = np.linalg.norm(np.subtract(*hand[OUTER_CORNERS]))
            errors.append(np.linalg.norm(points[list(BY_HAND)] - hand, axis=1).mean() / between)
    return {
        "nme": float(np.mean(errors)),
        "found": len(errors) / len(by_hand),
        "seconds": float(np.median(seconds)),
    }


def contrasts(raw: Path) -> dict[str, float]:
    """AUC of AUs in smiles, of the package's detector."""
    with tempfile.TemporaryDirectory() as folder:
        faces = convert_london(raw, Path(folder, "london"))
        everyone = contrast(pretrained().path, faces.root).everyone.set_index("au")
    return {f"auc.{au}": float(everyone.loc[au, "auc"]) for au in ("AU06", "AU12", "AU25")}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("london", type=Path)
    given = parser.parse_args()
    by_hand = pd.read_csv(next(given.london.rglob("templates.csv"))).set_index("image")
    found = {"dlib": measured(given.london, by_hand, dlibs_points())}
    for name, choice in {"dlib_on_yunet": "dlib", "own": "own"}.items():
        os.environ[CHOICE] = choice
        found[name] = measured(given.london, by_hand, lambda image: detect_landmarks(image)[0])
        found[name] |= contrasts(given.london)
    write_json(Path("results/own_landmarks.json"), {"faces": len(by_hand), "points": len(BY_HAND), **found})
    for name, values in found.items():
        print(name, {measure: round(value, 3) for measure, value in values.items()})


if __name__ == "__main__":
    main()
