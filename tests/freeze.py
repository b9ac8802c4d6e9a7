"""What the restructuring must not change: `python tests/freeze.py [GROUP ...]` compares, `--record` writes.

Compares with tests/freeze.json, a line a group, and ends with status 1 if anything differs. Floats are
compared bit for bit, so a record holds on the kind of machine it was made on. Removed when the restructuring
is done.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".json")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SHOWN = 15  # differences of a group


# All that is imported or called by a name of the library: after a rename, edit here.


COMMAND = [sys.executable, "-m", "aubench"]
METHODS = (
    "landmarks-only", "source-only", "multitask", "dann", "separation", "adld", "contrastive", "full",
    "oracle",
)  # fmt: skip
TINY_VALUES = {
    "image_size": 32, "margin_size": 40, "channels": 8, "colour": "luminance", "num_landmarks": 68,
    "augment": "none", "au_centres": False, "average": 0.0, "separation_starts": 0.0, "ramp": 0.0,
}  # fmt: skip
RUNS = {name: {"method": name} for name in METHODS} | {
    "full, rounds from the middle": {"separation_starts": 0.5, "ramp": 0.25},
    "full, dense": {"alignment": "dense"},
    "full, l1": {"alignment": "l1"},
    "full, negatives of the batch": {"negatives": "batch"},
    "full, queue": {"negatives": "queue"},
    "full, own extraction": {"share_extraction": False},
    "full, two supervisors": {"supervisors": ["rich_source", "shape_target"], "temperature": 0.2},
    "full, other weights": {"weights": {"cycle": 2.0, "au_self": 0.0}},
    "full, like the paper's preset": {
        "colour": "rgb", "augment": "crop-flip", "au_centres": True, "num_landmarks": 49,
        "schedule": "linear", "au_weighting": True, "pos_weight_power": 0.0, "crop": "adld",
        "margin_size": 200,
    },
    "multitask, averaged": {"method": "multitask", "average": 0.9, "augment": "slight", "seed": 3},
}  # fmt: skip


def _train(source: Path, target: Path, out: Path, steps: int = 4, **changes) -> None:
    from aulib.train_run import train_run

    values = {"method": "full", "batch_size": 3, "precision": "32-true"} | TINY_VALUES | changes
    train_run(str(source), str(target), steps=steps, out_dir=str(out), progress=False, **values)


def _cli_command():
    import typer

    from aubench.cli.main import app

    return typer.main.get_command(app)


def _paired_differences(file: Path, pairs: list[tuple[str, str]], measures: list[str]) -> pd.DataFrame:
    from aubench.report.statistics import Contrast, paired_differences
    from aubench.report.summaries import read_summary

    return paired_differences(read_summary(file), [Contrast(*pair) for pair in pairs], measures)


def _effects_of_supervisors(file: Path, measures: list[str]) -> pd.DataFrame:
    from aubench.report.comparisons import effects_of_supervisors
    from aubench.report.summaries import read_summary

    return effects_of_supervisors(read_summary(file), measures)


# Tiny data sets and what is read of folders.


def face_outline(size: int) -> np.ndarray:
    """(68, 2) pixels: a frontal face drawn with arcs in iBUG order; as in conftest.py."""

    def arc(cx, cy, rx, ry, start, stop, count):
        angle = np.linspace(np.pi * start, np.pi * stop, count)
        return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], axis=1)

    parts = [
        arc(0.50, 0.45, 0.28, 0.36, 1.0, 0.0, 17),
        arc(0.38, 0.36, 0.09, 0.04, 1.0, 2.0, 5),
        arc(0.62, 0.36, 0.09, 0.04, 1.0, 2.0, 5),
        np.stack([np.full(4, 0.5), np.linspace(0.42, 0.54, 4)], axis=1),
        np.stack([np.linspace(0.45, 0.55, 5), [0.56, 0.57, 0.575, 0.57, 0.56]], axis=1),
        arc(0.39, 0.43, 0.05, 0.02, 1.0, 2.667, 6),
        arc(0.61, 0.43, 0.05, 0.02, 1.0, 2.667, 6),
        arc(0.50, 0.67, 0.10, 0.04, 1.0, 2.833, 12),
        arc(0.50, 0.67, 0.06, 0.015, 1.0, 2.75, 8),
    ]
    return np.concatenate(parts) * size


def write_tiny_set(folder: Path, n: int = 24, size: int = 64, seed: int = 0) -> Path:
    """A dataset folder of noise pictures with plausible landmarks and random labels; twelve subjects."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(n):
        picture = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{i:03d}.png")
        subject = i % 12
        points = face_outline(size) + rng.normal(0, size / 200, (68, 2))
        row = {"image": f"images/{i:03d}.png", "subject": f"s{subject:02d}"}
        row["split"] = "train" if subject < 6 else "val" if subject < 9 else "test"
        row |= {f"{au}_c": int(rng.random() < 0.4) for au in ("AU01", "AU06", "AU12", "AU26")}
        row |= {f"x_{k}": round(x, 2) for k, x in enumerate(points[:, 0])}
        row |= {f"y_{k}": round(y, 2) for k, y in enumerate(points[:, 1])}
        rows.append(row)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def aulib(*words) -> str:
    """What a command prints; its end with another status than 0 is an error."""
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"aulib {' '.join(map(str, words))}: {done.stderr[-1500:]}")
    return done.stdout


def sha(content: bytes | str) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]


def files_of(root: Path) -> dict[str, str]:
    """Hash of every file below; the folder that all is made in is not part of a text."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.suffix in (".csv", ".txt"):
            content = content.replace(str(Path.cwd()).encode(), b".")
        found[path.relative_to(root).as_posix()] = sha(content)
    return found


def dataset_folder(root: Path) -> dict:
    """Pictures and manifest rows by their hash; of what was skipped which and how often, not why in words."""
    table = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    rows = table.apply(lambda row: sha("|".join(row).replace(str(Path.cwd()), ".")), axis=1)
    pictures = {name: sha((root / name).read_bytes()) for name in table["image"]}
    found = {
        "columns": " ".join(table.columns),
        "faces": {
            name: f"picture {pictures[name]} row {row}" for name, row in zip(pictures, rows, strict=True)
        },
    }
    if (root / "skipped.csv").exists():
        skipped = pd.read_csv(root / "skipped.csv", dtype=str, keep_default_na=False)
        reasons = list(dict.fromkeys(skipped["reason"]))
        skipped["reason"] = [f"reason {reasons.index(one)}" for one in skipped["reason"]]
        found["skipped"] = [" | ".join(row) for row in skipped.to_numpy()]
    return found


def numbers_in(text: str) -> list[str]:
    """The numbers of each line that has some; those in a word, as in F1, are not numbers."""
    lines = (
        re.findall(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)", line) for line in text.splitlines()
    )
    return [" ".join(line) for line in lines if line]


def run_folder(root: Path) -> dict:
    """A run's metrics without timings, and the total loss that its history logs."""
    metrics = json.loads((root / "metrics.json").read_text())
    kept = {name: repr(value) for name, value in metrics.items() if not re.search("seconds|memory", name)}
    losses = pd.read_csv(root / "history.csv", dtype=str)["total"].dropna()
    return {"metrics": kept, "losses": " ".join(losses)}


def weights(root: Path) -> str:
    """One hash of a run's tensors, whatever they are called."""
    from safetensors.numpy import load_file

    tensors = load_file(root / "model.safetensors").values()
    return sha(" ".join(sorted(sha(f"{one.shape} {one.dtype}".encode() + one.tobytes()) for one in tensors)))


def two_sets() -> list[Path]:
    return [write_tiny_set(Path.cwd() / name, seed=seed) for seed, name in enumerate(("source", "target"))]


# The groups: each runs in a process of its own, in an empty folder.


def trainings() -> dict:
    import torch

    torch.set_num_threads(1)
    sets, found = two_sets(), {}
    for number, (name, changes) in enumerate(RUNS.items()):
        _train(*sets, Path(f"run{number}"), **changes)
        found[name] = run_folder(Path(f"run{number}"))
    return found


def resume() -> dict:
    """An interrupt comes as soon as the first checkpoint is there; then the run goes on to its end."""
    import torch

    torch.set_num_threads(1)
    sets, once, twice = two_sets(), Path("once"), Path("twice")
    values = {"steps": 40, "average": 0.9, "augment": "slight", "separation_starts": 0.3, "ramp": 0.2}
    os.environ["AULIB_CACHE"] = str(Path("cache_of_once").absolute())
    _train(*sets, once, **values)
    os.environ["AULIB_CACHE"] = str(Path("cache_of_twice").absolute())

    def press() -> None:
        while not list(twice.rglob("*.ckpt")):
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    interrupted = False
    try:
        _train(*sets, twice, **values)
    except KeyboardInterrupt:
        interrupted = not (twice / "metrics.json").exists()
    _train(*sets, twice, **values)
    return {
        "was interrupted": interrupted,
        "same metrics and losses": run_folder(twice) == run_folder(once),
        "same weights": weights(twice) == weights(once),
    }


def faces() -> dict:
    found = {}
    for domain in ("studio", "wild"):
        aulib("synth", "--domain", domain, "--n", 20, "--seed", 3, "--size", 64, domain)
        found[domain] = dataset_folder(Path(domain))
    return found


def converters() -> dict:
    import raw_trees

    found = {}
    for writer in sorted(name for name in vars(raw_trees) if name.startswith("write_")):
        name = writer.removeprefix("write_")
        raw = getattr(raw_trees, writer)(Path.cwd() / f"raw_{name}")
        words = ["convert", name, "--raw", raw, "--out", Path.cwd() / name, "--workers", 1]
        if name not in ("bp4d", "bp4dplus", "disfa", "ckplus"):  # the others have no landmarks of their own
            words += ["--landmarks", "none"]
        aulib(*words)
        report = json.loads((Path(name) / "conversion.json").read_text())
        counts = {key: report[key] for key in ("subjects", "frames", "without_landmarks", "unread_frames")}
        counts["skipped"] = sorted(report["skipped"].values())
        counts["aus"] = {
            au: " ".join(f"{k}={v!r}" for k, v in row.items()) for au, row in report["aus"].items()
        }
        found[name] = dataset_folder(Path(name)) | {"report": counts}
    return found


def interchange() -> dict:
    tiny, found = write_tiny_set(Path.cwd() / "tiny"), {}
    for kind, options in {
        "openface": (), "pyfeat": (), "jaanet": (), "megraphau": ("--fold", 2),
        "jaanet with adld's crops": ("--crop", "adld", "--unknown", 999),
        "jaanet of raw pictures": ("--first-pixel", 1),
        "jaanet with jaanet's crops": ("--crop", "jaanet", "--aus", "1,12"),
    }.items():  # fmt: skip
        out = Path.cwd() / kind.replace(" ", "_").replace("'", "")
        aulib("export", tiny, "--as", kind.split()[0], "--out", out, "--name", "set", *options)
        found[f"export {kind}"] = files_of(out)
    table = pd.read_csv("pyfeat/set.csv", dtype=str)  # py-feat names its pictures, exported tables do not
    table["input"] = [f"{i:03d}.png" for i in range(len(table))]
    table.to_csv("named.csv", index=False)
    lists = [word for split in ("train", "val", "test") for word in (f"--{split}", f"jaanet/set_{split}")]
    for kind, options in {
        "openface": ("--table", "openface/set.csv"), "pyfeat": ("--table", "named.csv"),
        "jaanet": (*lists, "--aus", "1,6,12,26"),
        "megraphau": ("--lists", "megraphau", "--dataset", "set", "--fold", 2, "--aus", "1,6,12,26"),
    }.items():  # fmt: skip
        pictures = tiny if kind == "openface" else tiny / "images"
        aulib("import", kind, "--pictures", pictures, "--out", Path.cwd() / f"back_{kind}", *options)
        found[f"import {kind}"] = dataset_folder(Path(f"back_{kind}"))
    return found


IMPORT_FLAGS = {
    "openface": "--table --pictures --out --keep", "pyfeat": "--table --pictures --out --keep",
    "jaanet": "--train --val --test --aus --first-pixel --pictures --out --keep",
    "megraphau": "--lists --dataset --fold --aus --pictures --out --keep",
}  # fmt: skip


def help() -> dict:
    """Options and arguments of every command; of `import` those that the old spelling must go on taking."""
    found = {}
    for name, command in _cli_command().commands.items():
        if name == "import":
            for kind, flags in IMPORT_FLAGS.items():
                inner = getattr(command, "commands", {}).get(kind, command)
                known = {flag for one in (command, inner) for param in one.params for flag in param.opts}
                found[f"import {kind}"] = {flag: flag in known for flag in flags.split()}
            continue
        found[name] = {
            " ".join(param.opts + param.secondary_opts): f"{param.param_type_name}, "
            + ("required" if param.required else f"default {param.default!r}")
            for param in command.params
            if "--help" not in param.opts
        }
    return found


def notebooks() -> dict:
    """Name, type and default of all in the cells tagged `parameters`, wherever the notebooks lie."""
    listed = subprocess.run(
        ["git", "ls-files", "*.ipynb"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = {}
    for path in (ROOT / line for line in listed.stdout.splitlines() if "notebooks" in line):
        cells = json.loads(path.read_text())["cells"]
        tagged = [one for one in cells if "parameters" in one["metadata"].get("tags", [])]
        found[path.stem] = {}
        for line in ast.parse("".join(tagged[0]["source"])).body if tagged else []:
            typed = isinstance(line, ast.AnnAssign)
            name = ast.unparse(line.target if typed else line.targets[0])
            value = ast.literal_eval(line.value)
            kind = ast.unparse(line.annotation) if typed else type(value).__name__
            found[path.stem][name] = f"{kind} = {value!r}"
    return found


def tables() -> dict:
    found, measures = {}, ["f1", "auc", "f1_norm", "nme"]
    for study in ("supervisors", "supervisors_equal_time"):
        file = ROOT / "results" / f"{study}.json"
        for form in ("md", "latex"):
            found[f"{study} {form}"] = numbers_in(aulib("table", file, "--format", form))
            found[f"{study} {form} by AU"] = numbers_in(
                aulib("table", file, "--format", form, "--per-au", "f1")
            )
        rows = [line.split(",", 2) for line in aulib("table", file, "--format", "csv").splitlines()[1:]]
        of_variants = {name: "\n".join(row[2] for row in rows if row[0] == name) for name, *_ in rows}
        found[f"{study} csv"] = {name: sha(text) for name, text in of_variants.items()}
        variants = json.loads(file.read_text())["variants"]
        pairs = [("full", "contrastive")]
        pairs += [(name, "contrastive") for name in variants if name.startswith("plus-")]
        pairs += [("full", name) for name in variants if name.startswith("without-")]
        compared = {"pairs": _paired_differences(file, pairs, measures)}
        compared["supervisors"] = _effects_of_supervisors(file, measures)
        for about, table in compared.items():
            for row in table[(table["au"] == "mean") | (table["measure"] == "f1")].itertuples():
                key = f"{row.variant} - {row.reference}, {row.measure} {row.au}"
                values = (row.difference, row.low, row.high, row.p_holm)
                found.setdefault(f"{study} {about}", {})[key] = " ".join(
                    repr(float(value)) for value in values
                )
    return found


GROUPS = {
    one.__name__: one for one in (trainings, resume, faces, converters, interchange, help, notebooks, tables)
}
MAY_GROW = ("help",)  # what is new is no difference


def differences(old, new, where: str, may_grow: bool) -> list[str]:
    """Each place in which two values as JSON differ, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = [f"{where}{key}: gone" for key in old if key not in new]
        found += [f"{where}{key}: new" for key in new if key not in old and not may_grow]
        for key in (key for key in old if key in new):
            found += differences(old[key], new[key], f"{where}{key}: ", may_grow)
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{where}[{i}]: ", may_grow)]
    return [] if old == new else [f"{where}{str(old)[:300]} -> {str(new)[:300]}"]


def measured(group: str) -> tuple[dict | str, float]:
    """A group's values from a process of its own in an empty folder, or why it failed; seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        paths = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))), "CUDA_VISIBLE_DEVICES": ""}
        env = os.environ | ONE_THREAD | paths
        if group != "faces":  # the renderer's compiled kernels may stay, all else starts with nothing
            env |= {"AULIB_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, __file__, "--measure", group]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
        result = Path(folder) / "measured.json"
        failed = done.returncode or not result.exists()
        values = f"failed: {done.stderr[-2500:]}" if failed else json.loads(result.read_text())
    return values, time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all if none")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name} instead")
    parser.add_argument("--measure", choices=GROUPS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        values = GROUPS[given.measure]()
        Path("measured.json").write_text(json.dumps(values))
        return 0
    if unknown := set(given.groups) - GROUPS.keys():
        parser.error(f"no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    groups = [name for name in GROUPS if name in (given.groups or GROUPS)]
    record, wrong = json.loads(RECORD.read_text()) if RECORD.exists() else {}, 0
    with ThreadPoolExecutor(2) as pool:
        for group, (values, seconds) in zip(groups, pool.map(measured, groups), strict=True):
            if isinstance(values, str):
                found = [values]
            elif given.record:
                record[group], found = values, []
            else:
                found = differences(record.get(group), values, "", group in MAY_GROW)
            wrong += bool(found)
            said = "recorded" if given.record else "as recorded"
            print(f"{group}: {f'{len(found)} differences' if found else said} ({seconds:.0f} s)", flush=True)
            for line in found[:SHOWN]:
                print(f"  {line}")
            if len(found) > SHOWN:
                print(f"  ... and {len(found) - SHOWN} more")
    if given.record:
        kept = {name: record[name] for name in GROUPS if name in record}
        RECORD.write_text(json.dumps(kept, indent=0) + "\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
