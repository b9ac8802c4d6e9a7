"""The cost of preparing photographs, without the detector: `python benchmarks/photographs.py PHOTOS`.

One process takes the pictures of a folder from file to crop: finding, reading, landmarks, storing, manifest,
checks, aligned crops. The whole, the detector and PARTS are timed. Cameras take larger pictures than most
collections hold, so some pictures are enlarged to ENLARGED and timed as well.
Writes benchmarks/results/photographs.json.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image
from record import as_promised, parser_of, record, timed_calls

from aubench.datasets import face_finding
from aubench.datasets.photographs import prepare
from aubench.datasets.picture_files import list_pictures
from aulib.crops import CropSpec, crop_dataset
from aulib.images import read_picture

ENLARGED, FEW = (1200, 4000), 40  # longer sides in pixels, below and above `MAX_SIDE`; how many pictures
PARTS = {"detector": "detect_landmarks", "reading": "decode", "storing": "_store"}  # of face_finding


def turn(photos: Path, out: Path) -> tuple[dict[str, float], int]:
    """Seconds of "everything", of PARTS and of "cropping" in it; and how many faces were found."""
    with timed_calls({part: (face_finding, name) for part, name in PARTS.items()}) as seconds:
        began = time.perf_counter()
        faces = prepare(photos, out, workers=1, progress=False)
        prepared = time.perf_counter()
        crop_dataset(faces, CropSpec(128), workers=1, progress=False)
        ended = time.perf_counter()
    return seconds | {"cropping": ended - prepared, "everything": ended - began}, len(faces)


def enlarge(photos: Path, out: Path, longer: int) -> None:
    """Some of the pictures, evenly taken, with `longer` pixels on the longer side."""
    found, _ = list_pictures(photos)
    for name in found[:: max(1, len(found) // FEW)][:FEW]:
        picture = read_picture(photos / name)
        size = [round(side * longer / max(picture.size)) for side in picture.size]
        path = (out / name).with_suffix(".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def without_the_detector(seconds: dict[str, float]) -> float:
    """The share of a turn that is not the detector's."""
    return 1 - seconds["detector"] / seconds["everything"]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=300, help="taken evenly from the folder")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    found, _ = list_pictures(arguments.photos)
    found = found[:: max(1, len(found) // arguments.pictures)][: arguments.pictures]
    with tempfile.TemporaryDirectory(prefix="photographs-") as name:
        folder = Path(name)
        for picture in found:
            (folder / "photos" / picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(arguments.photos / picture, folder / "photos" / picture)
        turn(folder / "photos", folder / "warm-up")
        turns = [turn(folder / "photos", folder / str(number)) for number in range(arguments.turns)]
        enlarged = {}
        for side in ENLARGED:
            enlarge(folder / "photos", folder / f"of {side}", side)
            seconds, _ = turn(folder / f"of {side}", folder / f"prepared {side}")
            enlarged[side] = without_the_detector(seconds)
    shares = [without_the_detector(seconds) for seconds, _ in turns]
    parts = {
        part: statistics.median(seconds[part] / seconds["everything"] for seconds, _ in turns)
        for part in (*PARTS, "cropping")
    }
    keep = as_promised(parser, arguments, "photos")
    record(
        "photographs", statistics.median(shares), shares, keep, pictures=len(found), faces=turns[0][1],
        seconds=[seconds["everything"] for seconds, _ in turns], parts=parts,
        enlarged=enlarged,
    )  # fmt: skip


if __name__ == "__main__":
    main()
