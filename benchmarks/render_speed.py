"""How many faces a second a set takes, without the start of the workers.

    python benchmarks/render_speed.py --size 112 --workers 2 --out results/synthetic_speed.json

Wall time counts whatever else the machine does; the CPU seconds of one face (background, camera and JPEG
included) are the better number on a busy machine.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def work(size: int, faces: int) -> tuple[float, float]:
    """Wall and CPU seconds for `faces` wild pictures in this process, after a warm-up."""
    from aulib.synthetic.domains import WILD, picture, sample_face
    from aulib.synthetic.renderer import FaceRenderer

    renderer = FaceRenderer(size)
    picture(WILD, sample_face(WILD, 1, 0, 4500), renderer)
    wall, cpu = time.perf_counter(), time.process_time()
    for index in range(faces):
        picture(WILD, sample_face(WILD, 1, index, 4500), renderer)
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--faces", type=int, default=150, help="per worker")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/synthetic_speed.json"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(work(options.size, options.faces)))
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", "--size", str(options.size), "--faces", str(options.faces)]
    workers = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(options.workers)
    ]
    results = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers]
    wall, cpu = max(r[0] for r in results), sum(r[1] for r in results)
    report = {
        "size": options.size,
        "workers": options.workers,
        "faces_per_second": round(options.faces * options.workers / wall, 1),
        "cpu_milliseconds_a_face": round(1000 * cpu / (options.faces * options.workers), 1),
        "load_average": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report) + "\n")
    print(report)


if __name__ == "__main__":
    main()
