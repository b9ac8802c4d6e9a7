"""Crops a second, made from pictures and then read in shuffled batches; prints JSON.

    python benchmarks/crop_speed.py --pictures 400 --side 350 --crops 20000 --size 112

The batches come from an array of `crops` rows on disk, as a training loop reads them, by one process.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from record import parser_of

from aulib.crops import CropSpec, crop_dataset
from aulib.dataset import read_dataset, write_manifest

FIVE = {36: (0.33, 0.4), 42: (0.57, 0.38), 30: (0.46, 0.55), 48: (0.36, 0.72), 54: (0.58, 0.71)}


def face(side: int) -> np.ndarray:
    """(68, 2) landmarks that put a face in the middle of a picture."""
    landmarks = np.full((68, 2), 0.5)
    for first, place in FIVE.items():
        landmarks[first : first + (6 if first in (36, 42) else 1)] = place
    return landmarks * side


def write_pictures(root: Path, pictures: int, side: int) -> None:
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    small = rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    images = [f"images/{row}.jpg" for row in range(pictures)]
    for image in images:
        picture.save(root / image, quality=90)
    table = {"image": images, "subject": images, "split": ["train"] * pictures}
    for point, (x, y) in enumerate(face(side)):
        table |= {f"x_{point}": [x] * pictures, f"y_{point}": [y] * pictures}
    write_manifest(root, pd.DataFrame(table))


def batches_per_second(path: Path, crops: int, size: int, batch: int) -> float:
    """Crops a second from a memory-mapped array, in shuffled batches of sorted rows."""
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(crops, size, size, 3))
    stored[:] = 1  # pages that were never written would cost nothing to read
    stored.flush()
    images = np.load(path, mmap_mode="r")
    order = np.random.default_rng(0).permutation(crops)
    start = time.perf_counter()
    for first in range(0, crops, batch):
        images[order[first : first + batch]]
    return crops / (time.perf_counter() - start)


def main(pictures: int, side: int, crops: int, size: int, batch: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_pictures(root, pictures, side)
        dataset = read_dataset(root)
        made = {}
        for workers in (1, None):
            start = time.perf_counter()
            spec = CropSpec(size, 2.8 if workers else 2.81)  # another spec, so that both are really made
            crop_dataset(dataset, spec, workers=workers, progress=False)
            name = "made_per_s_one_thread" if workers else "made_per_s"
            made[name] = round(pictures / (time.perf_counter() - start))
        return {
            "picture_side": side,
            "crop_size": size,
            **made,
            "read_per_s": round(batches_per_second(root / "crops.npy", crops, size, batch)),
        }


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--side", type=int, default=350)
    parser.add_argument("--crops", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=32)
    print(json.dumps(main(**vars(parser.parse_args()))))
