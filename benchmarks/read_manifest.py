"""Seconds to write and to open a dataset folder of many rows; prints JSON.

python benchmarks/read_manifest.py --rows 200000
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from record import parser_of

from aulib.dataset import read_dataset, write_manifest
from aulib.labels import SYNTHETIC_AUS


def make_table(rows: int) -> pd.DataFrame:
    """A manifest with sixteen AUs (occurrence and intensity) and 68 landmarks."""
    rng = np.random.default_rng(0)
    table = {
        "image": [f"images/{row:06d}.jpg" for row in range(rows)],
        "subject": [f"subject {row // 1000}" for row in range(rows)],
        "split": ["train"] * rows,
    }
    for au in SYNTHETIC_AUS:
        intensity = (5 * rng.random(rows, dtype=np.float32)).round(2)
        table |= {f"{au}_c": (intensity >= 2).astype(np.float32), f"{au}_r": intensity}
    for point in range(68):
        x, y = (250 * rng.random((2, rows), dtype=np.float32)).round(2)
        table |= {f"x_{point}": x, f"y_{point}": y}
    return pd.DataFrame(table)


def main(rows: int) -> dict:
    table = make_table(rows)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        for image in table["image"]:
            (root / image).touch()
        start = time.perf_counter()
        manifest = write_manifest(root, table)
        written = time.perf_counter()
        dataset = read_dataset(root)
        read = time.perf_counter()
        return {
            "rows": len(dataset),
            "manifest_mb": round(manifest.stat().st_size / 1e6, 1),
            "write_s": round(written - start, 2),
            "read_s": round(read - written, 2),
        }


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    print(json.dumps(main(parser.parse_args().rows)))
