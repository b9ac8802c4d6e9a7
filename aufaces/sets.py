"""Sets of rendered faces: written as dataset folders, whole or not at all, the same bytes for the same
seed (on the CPU; where there is a CUDA card it draws, and may differ in a last bit)."""

import contextlib
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
from PIL import Image, ImageDraw

from aufaces.actions import AUS, OCCURS_AT
from aufaces.heads import atomic_file, cache_root

VERSION = 4  # raise whenever the same seed would give other bytes
CHUNK = 25
DEFAULTS = {"studio": dict(n=3000, seed=0, size=128), "wild": dict(n=4500, seed=0, size=128)}
HEADER = (
    ["image", "subject", "split"]
    + [f"{au}_c" for au in AUS]
    + [f"{au}_r" for au in AUS]
    + [f"{axis}_{k}" for axis in "xy" for k in range(68)]
)


def default_set(domain: str) -> Path:
    """The default set of a domain, generated into the cache on first use."""
    return cached_set(domain)


def resolve(name: str) -> Path:
    """Folder of a named set: "synthetic:studio", or with parameters "synthetic:wild?n=64&seed=3&size=112".

    ValueError on an unknown domain or parameter.
    """
    domain, parameters = _parsed(name)
    return cached_set(domain, **parameters)


def folder_of(name: str) -> Path:
    """Where `resolve` keeps a named set, rendered or not; the folder's name has the set's version."""
    domain, parameters = _parsed(name)
    return _cached_folder(domain, parameters)


def _parsed(name: str) -> tuple[str, dict[str, int]]:
    prefix, _, rest = name.partition(":")
    if prefix != "synthetic" or not rest:
        raise ValueError(
            f"{name!r} is not a named set; expected 'synthetic:studio' "
            "or 'synthetic:wild?n=64&seed=3&size=112'"
        )
    domain, _, query = rest.partition("?")
    parameters = {}
    for key, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        if key not in ("n", "seed", "size"):
            raise ValueError(f"{name!r}: unknown parameter {key!r}; known: n, seed, size")
        if not value.isdigit():
            raise ValueError(f"{name!r}: {key} must be a whole number, found {value!r}")
        parameters[key] = int(value)
    return domain, parameters


def cached_set(domain: str, **parameters: int) -> Path:
    """A set in the user's cache, named by version, domain, n, seed and size."""
    out = _cached_folder(domain, parameters)
    return generate_set(domain, out=out, **{**DEFAULTS[domain], **parameters})


def _cached_folder(domain: str, parameters: dict[str, int]) -> Path:
    if domain not in DEFAULTS:
        raise ValueError(f"unknown domain {domain!r}; known: {', '.join(DEFAULTS)}")
    chosen = {**DEFAULTS[domain], **parameters}
    name = f"synthetic-v{VERSION}-{domain}-n{chosen['n']}-seed{chosen['seed']}-{chosen['size']}px"
    return cache_root() / name


def generate_set(
    domain: str,
    n: int,
    seed: int,
    size: int,
    out: Path | str,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Write a dataset folder of n faces (images/, manifest.csv, contact_sheet.png, set.json) and return it.

    Faces come in chunks of 25 that are rendered by `workers` processes (default: one for each core, at most
    8) into a folder beside `out`, which is renamed when complete: an interrupted call leaves no half set,
    and the next call with the same parameters goes on where it stopped. A complete set with the same
    parameters is returned as it is.

    Raises:
        ValueError: bad parameters.
        FileExistsError: `out` holds something else.
        RuntimeError: a worker failed; the message ends with its error.
    """
    from aufaces.domains import domain_called  # it draws, and takes a second to import

    domain_called(domain)
    if n < 1 or size < 32 or seed < 0:
        raise ValueError(f"need n >= 1, size >= 32 pixels, seed >= 0; found n={n}, size={size}, seed={seed}")
    out = Path(out).expanduser().absolute()
    about = {"version": VERSION, "domain": domain, "n": n, "seed": seed, "size": size, "occurs_at": OCCURS_AT}
    with _only_one(out):
        if out.exists():
            if _read_about(out) == about:
                return out
            if any(out.iterdir()):
                raise FileExistsError(
                    f"{out} exists and is not this set: found {_read_about(out)}, expected {about}"
                )
            out.rmdir()
        part = out.with_name(f".{out.name}.part")
        if part.exists() and _read_about(part) != about:
            shutil.rmtree(part)
        (part / "images").mkdir(parents=True, exist_ok=True)
        (part / "chunks").mkdir(exist_ok=True)
        (part / "set.json").write_text(json.dumps(about, indent=1))
        _render_all(part, about, workers, progress)
        _finish(part, about)
        os.replace(part, out)
    return out


def _read_about(folder: Path) -> dict | None:
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder / "set.json").read_text())
    return None


@contextlib.contextmanager
def _only_one(out: Path):
    """Two processes asking for the same set: the second waits and then finds it done."""
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # no file locks on this system: two at once would only waste work
        yield
        return
    with open(out.with_name(f".{out.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _chunk_file(part: Path, chunk: int) -> Path:
    return part / "chunks" / f"{chunk:06d}.csv"


def _render_all(part: Path, about: dict, workers: int | None, progress: bool) -> None:
    """Every chunk, in processes of their own (they import no main module, so notebooks and scripts need no
    guard)."""
    from tqdm.auto import tqdm

    chunks = -(-about["n"] // CHUNK)
    left = [k for k in range(chunks) if not _chunk_file(part, k).exists()]
    workers = min(workers or min(os.cpu_count() or 1, 8), max(1, len(left)))
    if workers == 1:
        _renderer(about["size"])  # before the bar: warp may have something to say when it starts
    bar = tqdm(total=about["n"], unit="face", desc=f"faces: {about['domain']}", disable=not progress)
    bar.update(about["n"] - sum(min(CHUNK, about["n"] - k * CHUNK) for k in left))
    with bar:
        if workers == 1:
            for chunk in left:
                render_chunk(part, about, chunk)
                bar.update(min(CHUNK, about["n"] - chunk * CHUNK))
            return
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        environment = {**os.environ, **threads, "PYTHONPATH": path}
        processes, logs = [], []
        try:
            for k in range(workers):
                logs.append(open(part / f"worker-{k}.log", "w+"))
                command = [
                    sys.executable,
                    "-m",
                    "aufaces.sets",
                    str(part),
                    str(k),
                    str(workers),
                    str(os.getpid()),
                ]
                processes.append(subprocess.Popen(command, stdout=logs[-1], stderr=logs[-1], env=environment))
            waiting = set(left)
            while waiting:
                time.sleep(0.1)
                ended = [process.poll() for process in processes]
                done = {k for k in waiting if _chunk_file(part, k).exists()}
                waiting -= done
                if done:
                    bar.update(sum(min(CHUNK, about["n"] - k * CHUNK) for k in done))
                failed = [k for k, code in enumerate(ended) if code]
                if failed or (waiting and not done and None not in ended):
                    log = logs[failed[0] if failed else 0]
                    log.seek(0)
                    raise RuntimeError(f"rendering failed in worker {failed or '?'}:\n{log.read()[-2000:]}")
        finally:
            for process in processes:
                if process.poll() is None:
                    process.terminate()
            for process in processes:
                process.wait()
            for k, log in enumerate(logs):
                log.close()
                (part / f"worker-{k}.log").unlink(missing_ok=True)


def render_chunk(part: Path, about: dict, chunk: int) -> None:
    """Pictures of one chunk and, last, its rows (so that a chunk is there whole or not)."""
    from aufaces.domains import (
        domain_called,
        number_of_subjects,
        picture,
        sample_face,
        split_of_subjects,
    )

    domain = domain_called(about["domain"])
    renderer = _renderer(about["size"])
    splits = split_of_subjects(domain, about["seed"], number_of_subjects(domain, about["n"]))
    rows = []
    for index in range(chunk * CHUNK, min((chunk + 1) * CHUNK, about["n"])):
        sample = sample_face(domain, about["seed"], index, about["n"])
        image, landmarks = picture(domain, sample, renderer)
        name = f"images/{index:06d}.jpg"
        Image.fromarray(image).save(part / name, quality=95, subsampling=0)
        intensity = np.round(sample.face.expression.intensity, 2)
        rows.append(
            [name, f"{domain.name}-{sample.subject:04d}", splits[sample.subject]]
            + [str(int(level >= OCCURS_AT)) for level in intensity]
            + [f"{level:.2f}" for level in intensity]
            + [f"{value:.3f}" for value in landmarks.T.ravel()]
        )
    with atomic_file(_chunk_file(part, chunk)) as temporary, open(temporary, "w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


_RENDERERS: dict = {}  # one per process and size: building one takes a second


def _renderer(size: int):
    from aufaces.renderer import FaceRenderer

    if size not in _RENDERERS:
        _RENDERERS[size] = FaceRenderer(size, device=None, people_kept=48)
    return _RENDERERS[size]


def _finish(part: Path, about: dict) -> None:
    chunks = -(-about["n"] // CHUNK)
    lines = [",".join(HEADER)] + [_chunk_file(part, k).read_text().rstrip("\n") for k in range(chunks)]
    (part / "manifest.csv").write_text("\n".join(lines) + "\n")
    contact_sheet(part).save(part / "contact_sheet.png")
    shutil.rmtree(part / "chunks")


def contact_sheet(folder: Path, columns: int = 10, rows: int = 6) -> Image.Image:
    """Faces spread evenly over a set, the AUs that occur written under each."""
    with open(folder / "manifest.csv", newline="") as stream:
        table = list(csv.DictReader(stream))
    table = [table[k] for k in np.unique(np.linspace(0, len(table) - 1, columns * rows).round().astype(int))]
    side, caption = 112, 24
    sheet = Image.new("RGB", (columns * side, -(-len(table) // columns) * (side + caption)), "white")
    draw = ImageDraw.Draw(sheet)
    for k, row in enumerate(table):
        x, y = k % columns * side, k // columns * (side + caption)
        with Image.open(folder / row["image"]) as face:
            sheet.paste(face.resize((side, side), Image.Resampling.LANCZOS), (x, y))
        present = [au[2:] for au in AUS if row[f"{au}_c"] == "1"]
        text = "AU " + " ".join(present) if present else "none"
        draw.text((x + 2, y + side + 1), text[:20], fill="black")
        draw.text((x + 2, y + side + 11), text[20:], fill="black")
    return sheet


def _worker(part: Path, first: int, step: int, parent: int) -> None:
    about = _read_about(part)
    chunks = -(-about["n"] // CHUNK)
    for chunk in range(first, chunks, step):
        if os.getppid() != parent:  # the caller was killed
            return
        if not _chunk_file(part, chunk).exists():
            render_chunk(part, about, chunk)


if __name__ == "__main__":
    _worker(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
