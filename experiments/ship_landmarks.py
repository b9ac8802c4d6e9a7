"""Make the landmark network that comes with the package: `python experiments/ship_landmarks.py RUNS`.

Takes the run of experiments/landmarks.yml that finds landmarks of its rendered source's validation faces with
the smallest error, and writes it to aulib/weights/landmarks with weights of half precision,
beside the mean face in dlib's box and where people mark what the renderer calls a landmark.
"""

import argparse
import shutil
from pathlib import Path

import dlib
import numpy as np
from PIL import Image
from safetensors.torch import load_file, save

from aubench.datasets.landmark_detector import MEAN_FACE, NETWORK, OFFSETS
from aufaces.domains import domain_called, sample_face
from aufaces.landmark_vertices import ON_PHOTOGRAPHS, landmark_table, points_on
from aufaces.renderer import FaceRenderer
from aulib import pretrained
from aulib.batches import faces_of
from aulib.crops import CropSpec, crop_dataset, crop_matrix, crop_of
from aulib.dataset import read_dataset
from aulib.evaluate import predict_batches
from aulib.metrics import landmark_nme
from aulib.run import CONFIG, METRICS, WEIGHTS, Run

SHOWN_TO_BOX, MEASURED = 800, 200  # rendered faces


def mean_face_in_box(dataset: str) -> np.ndarray:
    """(68, 2) median landmarks of rendered faces in the box that dlib draws around them; 1 is its width."""
    find, places = dlib.get_frontal_face_detector(), []
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


def validation_error(run: Run) -> float:
    """NME of the landmarks of validation faces of the run's source, its mean."""
    data = read_dataset(run.settings["source"])
    faces = faces_of(data, crop_dataset(data, crop_of(run.config)), "val", run.config)
    found = predict_batches(run.model, faces, "features").landmarks
    return float(landmark_nme(found, faces.landmarks[faces.rows]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="folder of the study's runs")
    given = parser.parse_args()
    runs = [Run(folder.parent) for folder in sorted(given.study.glob(f"*/{METRICS}"))]
    if not runs:
        parser.error(f"{given.study} has no finished run; expected those of experiments/landmarks.yml")
    errors = [validation_error(run) for run in runs]
    best = runs[int(np.argmin(errors))]
    out = pretrained().path / NETWORK
    out.mkdir(exist_ok=True)
    shutil.copy(best.path / CONFIG, out)
    weights = {name: value.half() for name, value in load_file(best.path / WEIGHTS).items()}
    (out / WEIGHTS).write_bytes(save(weights))
    np.savetxt(out / MEAN_FACE, mean_face_in_box(best.settings["source"]), "%.4f", delimiter=",")
    np.savetxt(out / OFFSETS, photograph_offsets(crop_of(best.config)), "%.4f", delimiter=",")
    print(f"{out}: {best.path.name}, validation NME {min(errors):.4f}")


if __name__ == "__main__":
    main()
