"""Whether an image costs the same among 1,000 as among 200,000: `python benchmarks/growth.py`.

For each size it makes a folder of picture files (one file under many names, 128 px) with a manifest. A new
process opens the folder, crops every face into the memory-mapped array, and trains STEPS steps of a small
network on it. An image's time is its share of opening and cropping, and of a step. Memory is the process's
own, without pages of mapped files, which the system can take back; the memory of a further image is the slope
between two sizes. Then studies of a hundred and of a thousand finished runs are expanded, collected and
summarised. Writes benchmarks/results/growth_time.json, growth_memory.json and growth_study.json.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from record import as_promised, parser_of, record
from train_vs_adld import StepClock

CROP, SIDE = 64, 128  # pixels: 200,000 stored crops take 2.5 GB of disk
STEPS, BATCH = 200, 16
LINKS = 50_000  # names of one file, below what file systems allow
HELD_OUT = 40  # faces of validation and of test, whatever the size: scoring is not what grows here
SMALL = {"image_size": 56, "margin_size": CROP, "channels": 8, "batch_size": BATCH}


def write_folder(root: Path, images: int) -> None:
    """`images` names of one face's picture; landmarks that differ a little, people of 50 pictures."""
    from PIL import Image

    from aufaces.domains import STUDIO, picture, sample_face
    from aufaces.renderer import FaceRenderer
    from aulib.dataset import write_manifest

    pixels, landmarks = picture(STUDIO, sample_face(STUDIO, 0, 0, 3000), FaceRenderer(SIDE))
    (root / "images").mkdir(parents=True)
    names = [f"images/{number:06d}.jpg" for number in range(images)]
    Image.fromarray(pixels).save(root / names[0], quality=95)
    for number, name in enumerate(names[1:], 1):
        if number % LINKS:
            os.link(root / names[number - number % LINKS], root / name)
        else:
            shutil.copyfile(root / names[0], root / name)
    rng, rows = np.random.default_rng(0), np.arange(images)
    kind = np.select([rows < HELD_OUT, rows < 2 * HELD_OUT], ["val", "test"], "train")
    table = {"image": names, "subject": np.char.add(kind, (rows // 50).astype(str)), "split": kind}
    for au in (1, 2, 4, 6, 12, 17):
        table[f"AU{au:02d}_c"] = (rng.random(images) < 0.3).astype(np.float32)
    moved = landmarks.astype(np.float32) + rng.normal(0, 0.5, (images, 68, 2)).astype(np.float32)
    for axis, name in enumerate("xy"):
        table |= {f"{name}_{point}": moved[:, point, axis].round(2) for point in range(68)}
    write_manifest(root, pd.DataFrame(table))


def own_memory() -> float:
    """MiB that this process holds for itself and no file does (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 1024


class Peak:
    """The most memory seen while it is open, looked at ten times a second."""

    def __enter__(self):
        self.most, self.open = own_memory(), True
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def look(self) -> None:
        while self.open:
            self.most = max(self.most, own_memory())
            time.sleep(0.1)

    def __exit__(self, *_) -> None:
        self.open = False
        self.thread.join()


def train(root: Path, out: Path, steps: int) -> None:
    from aulib.train_run import train_run

    train_run(
        str(root),
        str(root),
        "source-only",
        steps=steps,
        out_dir=str(out),
        insides=False,
        progress=False,
        **SMALL,
    )


def use(root: Path) -> dict:
    """What a folder costs this process, which has imported and tried everything before."""
    from aulib.crops import CropSpec, crop_dataset
    from aulib.dataset import read_dataset

    with tempfile.TemporaryDirectory(prefix="growth-warm-") as name:
        write_folder(Path(name, "set"), 300)
        train(Path(name, "set"), Path(name, "run"), 4)
    before, clock = own_memory(), StepClock()
    with Peak() as peak:
        began = time.perf_counter()
        faces = read_dataset(root)
        opened = time.perf_counter()
        crop_dataset(faces, CropSpec(CROP), progress=False)
        cut = time.perf_counter()
        images = len(faces)
        del faces
        train(root, root.parent / "run", STEPS)
    step = statistics.median(clock.seconds())
    return {
        "images": images, "open_s": opened - began, "cut_s": cut - opened, "step_s": step,
        "microseconds_an_image": 1e6 * ((cut - began) / images + step / BATCH),
        "memory_mb": peak.most - before,
    }  # fmt: skip


def grown(images: int) -> dict:
    """`use` of a folder of `images`, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        write_folder(Path(name, "set"), images)
        command = [sys.executable, __file__, "--use", str(Path(name, "set"))]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{images} images: {done.stderr[-2000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def seconds_a_run(runs: int) -> float:
    """To expand a study of that many finished runs, to collect and to summarise them, for each run."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from aubench.report.summaries import summarise_runs
    from aubench.study.plan import expand, read_study
    from aubench.study.resume import metrics_of
    from aulib.labels import SYNTHETIC_AUS
    from fabricated import write_run

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="growth-study-") as name:
        folder, steps = Path(name), ", ".join(map(str, range(1, runs // 5 + 1)))
        (folder / "many.yml").write_text(
            f"question: How long?\nnotebook: 02_train\ngrid: {{steps: [{steps}]}}\nseeds: [0, 1, 2, 3, 4]\n"
        )
        for run in expand(read_study(folder / "many.yml"), folder / "runs"):
            made = write_run(
                folder / "made", run.variant, run.seed, dict.fromkeys(SYNTHETIC_AUS, rng.random())
            )
            (made / "result.json").write_text(json.dumps({"key": run.key}))
            run.folder.parent.mkdir(exist_ok=True)
            made.rename(run.folder)
        began = time.perf_counter()
        planned = expand(read_study(folder / "many.yml"), folder / "runs")
        assert sum(bool(metrics_of(run)) for run in planned) == runs
        summarise_runs(folder / "runs")
        return (time.perf_counter() - began) / runs


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, nargs=3, default=[1_000, 20_000, 200_000])
    parser.add_argument("--runs", type=int, nargs=2, default=[100, 1_000])
    parser.add_argument("--turns", type=int, default=3, help="of the studies; sizes are measured once")
    parser.add_argument("--use", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.use:
        print(json.dumps(use(arguments.use)))
        return
    few, middle, many = sizes = [grown(images) for images in arguments.images]
    for size in sizes:
        print(size, flush=True)
    time_ratio = many["microseconds_an_image"] / few["microseconds_an_image"]
    keep = as_promised(parser, arguments)
    record("growth_time", time_ratio, [time_ratio], keep, sizes=sizes)
    further = [
        1024 * (b["memory_mb"] - a["memory_mb"]) / (b["images"] - a["images"])
        for a, b in ((few, middle), (middle, many))
    ]
    record(
        "growth_memory",
        further[1] / further[0],
        [further[1] / further[0]],
        keep,
        kb_an_image=further,
        sizes=sizes,
    )
    seconds_a_run(arguments.runs[0])
    turns = [[seconds_a_run(runs) for runs in arguments.runs] for _ in range(arguments.turns)]
    ratios = [many / few for few, many in turns]
    record("growth_study", statistics.median(ratios), ratios, keep, runs=arguments.runs, seconds_a_run=turns)


if __name__ == "__main__":
    main()
