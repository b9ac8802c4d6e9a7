"""Make the detector that comes with the package: `python experiments/ship_weights.py RUNS PHOTOGRAPHS`.

Takes the run of experiments/weights.yml with the highest F1 on validation people of its rendered source,
shifts its logits to base rates on the photographs, and writes it to aulib/weights with weights of half
precision. Expressions of the photographs decide which AUs are given: those of which every contrast is above
0.5, its interval included.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file, save

from aubench.datasets.landmark_detector import MEAN_FACE, OFFSETS, box_finder
from aubench.inference.adapt import RARE, RATES, shift_to
from aubench.inference.predict import contrasts_of, predict
from aufaces.domains import domain_called, sample_face
from aufaces.landmark_vertices import ON_PHOTOGRAPHS, landmark_table, points_on
from aufaces.renderer import FaceRenderer
from aulib import pretrained
from aulib.crops import CropSpec, crop_matrix, crop_of
from aulib.dataset import read_dataset
from aulib.expressions import MIN_FACES
from aulib.run import METRICS, WEIGHTS, Run

# Press photographs show more smiles than EmotioNet's pictures (docs/real-faces.md).
OWN_RATES = RATES | {"AU12": 0.40}
HARD = "synthetic:wild?n=800&seed=0"
SEEN = 0.995  # share of the faces of HARD whose landmark maps count as those of a face
SHOWN_TO_BOX, MEASURED = 800, 200  # rendered faces


def mean_face_in_box(dataset: str) -> np.ndarray:
    """(68, 2) median landmarks of rendered faces in the box that dlib draws around them; 1 is its width."""
    find, places = box_finder(), []
    data = read_dataset(dataset)
    for path, points in list(zip(data.image_paths, data.landmarks, strict=True))[:SHOWN_TO_BOX]:
        boxes = find(np.array(Image.open(path).convert("RGB")), 1)
        if len(boxes) == 1:
            box = boxes[0]
            middle = (box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2
            places.append((points - middle) / (box.right() - box.left()))
    return np.median(places, axis=0)


def photograph_offsets(spec: CropSpec) -> np.ndarray:
    """(68, 2) from rendered landmarks to where people mark them, mean over faces; 1 is a crop's side."""
    domain, renderer = domain_called("studio"), FaceRenderer(224)
    table = landmark_table(renderer.head, ON_PHOTOGRAPHS)
    apart = []
    for index in range(MEASURED):
        shot = renderer.render_one(sample_face(domain, 0, index, MEASURED).face)
        marked = shot.project(points_on(shot.vertices, table))
        to_crop = crop_matrix(shot.landmarks, spec)[:, :2]
        apart.append((marked - shot.landmarks) @ to_crop.T / spec.size)
    return np.mean(apart, axis=0)


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
    np.savetxt(out / MEAN_FACE, mean_face_in_box(best.settings["source"]), "%.4f", delimiter=",")
    np.savetxt(out / OFFSETS, photograph_offsets(crop_of(best.config)), "%.4f", delimiter=",")
    weights = {name: value.half() for name, value in load_file(out / WEIGHTS).items()}
    (out / WEIGHTS).write_bytes(save(weights))
    print(f"withheld: {', '.join(withheld)}")
    print(f"{out}: {best.path.name}, validation F1 {best.metrics['validation_f1']:.3f}")


if __name__ == "__main__":
    main()
