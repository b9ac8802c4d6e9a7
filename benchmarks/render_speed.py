"""Synthetic faces a second: `python benchmarks/render_speed.py`.

Two processes draw faces of 112 px at once, as `aulib synth` does, background, camera and JPEG round trip
included; the start of the processes is not counted. The target is held by wild faces, which are dearer.
Writes benchmarks/results/faces.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from record import record


def seconds_of(domain_name: str, size: int, faces: int) -> dict:
    """Wall and CPU seconds for `faces` pictures in this process, after a warm-up."""
    from aulib.synthetic.domains import domain_called, picture, sample_face
    from aulib.synthetic.renderer import FaceRenderer

    domain, renderer = domain_called(domain_name), FaceRenderer(size)
    picture(domain, sample_face(domain, 1, 0, 4500), renderer)
    wall, cpu = time.perf_counter(), time.process_time()
    for index in range(faces):
        picture(domain, sample_face(domain, 1, index, 4500), renderer)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def faces_a_second(domain: str, size: int, faces: int, workers: int) -> tuple[float, float]:
    """Of all workers together, by the slowest of them; and CPU milliseconds a face."""
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", domain, "--size", str(size), "--faces", str(faces)]
    running = [
        subprocess.Popen(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    found = [json.loads(worker.communicate()[0].splitlines()[-1]) for worker in running]
    cpu = sum(one["cpu"] for one in found)
    return faces * workers / max(one["wall"] for one in found), 1000 * cpu / (faces * workers)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--faces", type=int, default=300, help="of a worker in a turn")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(seconds_of(options.one, options.size, options.faces)))
        return
    speeds, costs = {}, {}
    for _ in range(options.turns):
        for domain in ("wild", "studio"):
            speed, cost = faces_a_second(domain, options.size, options.faces, options.workers)
            speeds.setdefault(domain, []).append(speed)
            costs.setdefault(domain, []).append(cost)
            print(f"{domain}: {speed:.0f} faces/s, {cost:.1f} ms of CPU a face", flush=True)
    record(
        "faces", statistics.median(speeds["wild"]), speeds["wild"], studio_faces_a_second=speeds["studio"],
        cpu_milliseconds_a_face={domain: statistics.median(cost) for domain, cost in costs.items()},
        size=options.size, workers=options.workers,
    )  # fmt: skip


if __name__ == "__main__":
    main()
