"""How far the 68 landmarks of rendered faces lie from what a trained detector says: neutral, frontal, many
people.

    python benchmarks/landmark_table.py --people 40 --out results/synthetic_landmarks.json [--sheet
    overlay.png]

The detector (dlib, extra `landmarks`; its weights are for non-commercial use) is independent of the table:
it learned from annotated photographs. NME is the mean distance over 68 points divided by the distance of
the outer eye corners.
"""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from record import parser_of

from aulib.landmarks import LAYOUT_68


def dlibs_points() -> Callable[[np.ndarray], np.ndarray | None]:
    """From a picture to the (68, 2) points of the largest face that dlib finds, None if it finds none."""
    import dlib

    models = Path(importlib.util.find_spec("face_recognition_models").origin).parent / "models"
    predictor = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
    detector = dlib.get_frontal_face_detector()

    def points_on(image: np.ndarray) -> np.ndarray | None:
        if not (found := detector(image, 0)):
            return None
        shape = predictor(image, max(found, key=lambda box: box.area()))
        return np.array([(point.x, point.y) for point in shape.parts()], float)

    return points_on


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("results/synthetic_landmarks.json"))
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()

    from aufaces.actions import Expression
    from aufaces.people import sample_person
    from aufaces.renderer import Face, FaceRenderer, Shot

    points_on = dlibs_points()
    renderer = FaceRenderer(options.size, samples=4)
    errors, offsets, tiles = [], [], []
    for seed in range(options.people):
        face = Face(sample_person(900_000 + seed, (0.5, 0.95)), Expression(), Shot(zoom=0.6))
        images, landmarks = renderer.render([face])
        found = points_on(images[0])
        if found is None:
            continue
        scale = np.linalg.norm(landmarks[0, 36] - landmarks[0, 45])
        errors.append(np.linalg.norm(found - landmarks[0], axis=1) / scale)
        offsets.append((found - landmarks[0]) / scale)
        if len(tiles) < 6:
            tiles.append(overlay(images[0], landmarks[0], found))
    errors = np.array(errors)
    report = {
        "people": options.people,
        "found_by_detector": len(errors),
        "nme": round(float(errors.mean()), 4),
        "nme_std_over_people": round(float(errors.mean(1).std()), 4),
        "nme_by_region": {
            name: round(float(errors[:, list(points)].mean()), 4) for name, points in LAYOUT_68.parts.items()
        },
        "mean_offset_of_detector": np.mean(offsets, 0).round(3).tolist(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report) + "\n")
    print({key: value for key, value in report.items() if key != "mean_offset_of_detector"})
    if options.sheet:
        Image.fromarray(np.concatenate([np.concatenate(tiles[:3], 1), np.concatenate(tiles[3:6], 1)])).save(
            options.sheet
        )


def overlay(image: np.ndarray, ours: np.ndarray, detected: np.ndarray) -> np.ndarray:
    """Our points green, the detector's red."""
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for points, colour in ((detected, (255, 0, 0)), (ours, (0, 255, 0))):
        for x, y in points:
            draw.ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=colour)
    return np.asarray(picture)


if __name__ == "__main__":
    main()
