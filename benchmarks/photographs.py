"""What preparing photographs costs beside the detector: `python benchmarks/photographs.py PHOTOS`.

One process takes pictures of a folder through everything between file and crop: finding, reading, landmarks,
storing, the manifest, its checks, and the aligned crops. All of it is timed, and in it dlib. Writes
benchmarks/results/photographs.json.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from record import record

from aulib import prepared_pictures
from aulib.cropping import CropSpec, crop_dataset
from aulib.photographs import find_pictures, prepare


def turn(photos: Path, out: Path) -> tuple[float, float, int]:
    """Seconds of everything, of the detector in it, and how many faces were found."""
    detecting, detect = [], prepared_pictures.detect_landmarks

    def timed(image):
        began = time.perf_counter()
        found = detect(image)
        detecting.append(time.perf_counter() - began)
        return found

    prepared_pictures.detect_landmarks = timed
    try:
        began = time.perf_counter()
        faces = prepare(photos, out, workers=1, progress=False)
        crop_dataset(faces, CropSpec(128), workers=1, progress=False)
        return time.perf_counter() - began, sum(detecting), len(faces)
    finally:
        prepared_pictures.detect_landmarks = detect


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--pictures", type=int, default=300, help="taken evenly from the folder")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    found = find_pictures(arguments.photos)
    found = found[:: max(1, len(found) // arguments.pictures)][: arguments.pictures]
    with tempfile.TemporaryDirectory(prefix="photographs-") as name:
        folder = Path(name)
        for picture in found:
            (folder / "photos" / picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(arguments.photos / picture, folder / "photos" / picture)
        turn(folder / "photos", folder / "warm-up")
        turns = [turn(folder / "photos", folder / str(number)) for number in range(arguments.turns)]
    shares = [1 - detector / whole for whole, detector, _ in turns]
    record(
        "photographs", statistics.median(shares), shares, pictures=len(found), faces=turns[0][2],
        seconds=[whole for whole, _, _ in turns], seconds_in_the_detector=[inside for _, inside, _ in turns],
    )  # fmt: skip


if __name__ == "__main__":
    main()
