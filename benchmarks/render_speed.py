"""Synthetic faces per second: `python benchmarks/render_speed.py`.

Two processes draw faces of 112 px at once, as `aulib synth` does, background, camera and JPEG round trip
included; the start of the processes is not counted. The target is for wild faces, which are slower to draw.
Where there is a GPU all processes draw on it, one per core, and the target is the GPU's.
Writes benchmarks/results/faces.json, or faces_gpu.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import warp as wp
from record import as_promised, parser_of, record, timed_calls

from aufaces import clutter
from aufaces.appearance import AppearanceModel
from aufaces.domains import domain_called, picture, sample_face
from aufaces.renderer import FaceRenderer, start_warp

PARTS = {  # of a face, and the functions that make them
    "drawing the head": (FaceRenderer, "_draw"),
    "new person": (AppearanceModel, "of"),
    "background": (clutter, "cluttered_background"),
    "camera": (clutter, "degrade"),
}


def seconds_of(domain_name: str, size: int, faces: int) -> dict:
    """Wall and CPU seconds for `faces` pictures in this process, after a warm-up, and those of PARTS."""
    domain = domain_called(domain_name)
    with timed_calls(PARTS, time.process_time) as parts:
        renderer = FaceRenderer(size, device=None)
        picture(domain, sample_face(domain, 1, 0, 4500), renderer)
        parts.update(dict.fromkeys(PARTS, 0.0))
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(faces):
            picture(domain, sample_face(domain, 1, index, 4500), renderer)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "parts": parts}


def faces_a_second(domain: str, size: int, faces: int, workers: int) -> tuple[float, float, dict[str, float]]:
    """Of all workers together, by the slowest of them; CPU milliseconds a face; and each part's share."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", domain, "--size", str(size), "--faces", str(faces)]
    running = [
        subprocess.Popen(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    found = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in running]
    cpu = sum(one["cpu"] for one in found)
    shares = {part: sum(one["parts"][part] for one in found) / cpu for part in PARTS}
    return faces * workers / max(one["wall"] for one in found), 1000 * cpu / (faces * workers), shares


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--faces", type=int, default=300, help="of a worker in a turn")
    parser.add_argument("--workers", type=int, help="processes at once (default: 2; with a GPU one a core)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(seconds_of(options.one, options.size, options.faces)))
        return
    start_warp()
    on_gpu = wp.is_cuda_available()
    workers = options.workers or (os.cpu_count() if on_gpu else 2)
    speeds, costs, parts = {}, {}, {}
    for _ in range(options.turns):
        for domain in ("wild", "studio"):
            speed, cost, shares = faces_a_second(domain, options.size, options.faces, workers)
            parts.setdefault(domain, []).append(shares)
            speeds.setdefault(domain, []).append(speed)
            costs.setdefault(domain, []).append(cost)
            print(f"{domain}: {speed:.0f} faces/s, {cost:.1f} ms of CPU a face", flush=True)
    record(
        "faces_gpu" if on_gpu else "faces",
        statistics.median(speeds["wild"]), speeds["wild"], as_promised(parser, options),
        studio_faces_a_second=speeds["studio"],
        cpu_milliseconds_a_face={domain: statistics.median(cost) for domain, cost in costs.items()},
        size=options.size, workers=workers,
        parts={part: statistics.median(shares[part] for shares in parts["wild"]) for part in PARTS},
    )  # fmt: skip


if __name__ == "__main__":
    main()
