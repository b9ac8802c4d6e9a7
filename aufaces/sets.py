"""Sets of rendered faces, written as dataset folders and found again by name.

The same name and version gives the same bytes on the CPU. A CUDA card, where there is one, renders faster and
may differ in a last bit.
"""

import csv
import hashlib
import json
import os
import shutil
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
from filelock import FileLock
from joblib import Parallel, delayed, parallel_config
from PIL import Image, ImageDraw
from tqdm.auto import tqdm

from aufaces.actions import AUS, OCCURS_AT
from aufaces.files import PART, atomic_file, cache_root, publish_folder, refuse_used

VERSIONS = {"studio": 4, "wild": 4, "varied": 6}  # raise where the same seed would give other bytes
CHUNK = 25  # faces
MAX_SIZE = 2048  # pixels
IDLE_SECONDS = 10  # after which a worker without work ends
DEFAULTS = {
    "studio": dict(n=3000, seed=0, size=128),
    "wild": dict(n=4500, seed=0, size=128),
    "varied": dict(n=4500, seed=0, size=128),
}
HEADER = (
    ["image", "subject", "split"]
    + [f"{au}_c" for au in AUS]
    + [f"{au}_r" for au in AUS]
    + [f"{axis}_{k}" for axis in "xy" for k in range(68)]
)


def resolve(name: str) -> Path:
    """Folder of a named set in the user's cache, rendered on first use.

    Args:
        name: "synthetic:studio", or with parameters "synthetic:wild?n=64&seed=3&size=112".

    Raises:
        ValueError: unknown domain or parameter.
    """
    domain, parameters = _parsed(name)
    return generate_set(domain, out=folder_of(name), **parameters)


def folder_of(name: str) -> Path:
    """Where `resolve` keeps a named set, rendered or not; the folder's name holds the version."""
    domain, chosen = _parsed(name)
    folder = f"synthetic-v{VERSIONS[domain]}-{domain}-n{chosen['n']}-seed{chosen['seed']}-{chosen['size']}px"
    return cache_root() / folder


def _parsed(name: str) -> tuple[str, dict[str, int]]:
    """Domain and n, seed, size of a named set."""
    prefix, _, rest = name.partition(":")
    if prefix != "synthetic" or not rest:
        raise ValueError(
            f"{name!r} is not a named set; expected 'synthetic:studio' "
            "or 'synthetic:wild?n=64&seed=3&size=112'"
        )
    domain, _, query = rest.partition("?")
    if domain not in DEFAULTS:
        raise ValueError(f"{name!r}: unknown domain {domain!r}; choose {' or '.join(DEFAULTS)}")
    parameters = dict(DEFAULTS[domain])
    given = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    for key, value in given:
        if key not in parameters:
            raise ValueError(f"{name!r}: unknown parameter {key!r}; choose from n, seed, size")
        if [one for one, _ in given].count(key) > 1:
            raise ValueError(f"{name!r}: {key} is given twice")
        if not (value.isascii() and value.isdigit()):
            raise ValueError(f"{name!r}: {key} must be a whole number, found {value!r}")
        parameters[key] = int(value)
    return domain, parameters


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

    `workers` processes (default: one per core, at most 8) render chunks of 25 faces into a hidden folder next
    to `out`, which is renamed when it is complete. After an interruption, the next call with the same
    parameters renders only the missing chunks. A complete set with the same parameters is returned as it is.

    Raises:
        ValueError: bad parameters.
        FileExistsError: `out` holds something else.
    """
    from aufaces.domains import domain_called  # starts the renderer's compiler, which takes a second

    domain_called(domain)
    if n < 1 or not 32 <= size <= MAX_SIZE or seed < 0:
        found = f"found n={n}, size={size}, seed={seed}"
        raise ValueError(f"need n >= 1, size from 32 to {MAX_SIZE} pixels, seed >= 0; {found}")
    out = Path(out).expanduser().absolute()
    about = {"version": VERSIONS[domain], "domain": domain, "n": n, "seed": seed, "size": size}
    about["occurs_at"] = OCCURS_AT
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.with_name(f".{out.name}.lock")):  # a second process waits and then finds the set
        if out.exists() and _read_about(out) == about:
            return out
        if out.is_dir() and (other := _read_about(out)):
            raise FileExistsError(f"{out} exists and is not this set: found {other}, expected {about}")
        refuse_used(out)
        part = unfinished(out, about)
        (part / "images").mkdir(parents=True, exist_ok=True)
        (part / "chunks").mkdir(exist_ok=True)
        (part / "set.json").write_text(json.dumps(about, indent=1))
        _render_chunks(part, about, workers, progress)
        _join_chunks(part, about)
        publish_folder(part, out)
    return out


def unfinished(out: Path, about: dict) -> Path:
    """Where a set is rendered: a name that an interrupted call finds again and nobody else takes."""
    digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=4).hexdigest()
    return out.with_name(f".{out.name}.{digest}{PART}")


def _read_about(folder: Path) -> dict | None:
    try:
        return json.loads((folder / "set.json").read_text())
    except (OSError, ValueError):
        return None


def _chunk_files(part: Path, about: dict) -> list[Path]:
    return [part / "chunks" / f"{chunk:06d}.csv" for chunk in range(-(-about["n"] // CHUNK))]


def _render_chunks(part: Path, about: dict, workers: int | None, progress: bool) -> None:
    """Render the missing chunks; loky's processes do not import `__main__`, so scripts need no guard."""
    missing = [chunk for chunk, file in enumerate(_chunk_files(part, about)) if not file.exists()]
    workers = min(workers or min(os.cpu_count() or 1, 8), max(1, len(missing)))
    with (
        tqdm(total=about["n"], unit="face", desc=f"faces: {about['domain']}", disable=not progress) as bar,
        parallel_config("loky", n_jobs=workers, inner_max_num_threads=1, idle_worker_timeout=IDLE_SECONDS),
    ):
        jobs = (delayed(render_chunk)(part, about, chunk) for chunk in missing)
        bar.update(about["n"] - sum(len(_faces_of(about, chunk)) for chunk in missing))
        for rendered in Parallel(return_as="generator_unordered")(jobs):
            bar.update(rendered)


def _faces_of(about: dict, chunk: int) -> range:
    return range(chunk * CHUNK, min((chunk + 1) * CHUNK, about["n"]))


def render_chunk(part: Path, about: dict, chunk: int) -> int:
    """Write a chunk's pictures and then, atomically, its rows; returns how many faces it has."""
    from aufaces import domains

    domain = domains.domain_called(about["domain"])
    renderer = _renderer(about["size"])
    people = domains.number_of_subjects(domain, about["n"])
    splits = domains.split_of_subjects(domain, about["seed"], people)
    rows = []
    for index in _faces_of(about, chunk):
        sample = domains.sample_face(domain, about["seed"], index, about["n"])
        image, landmarks = domains.picture(domain, sample, renderer)
        name = f"images/{index:06d}.jpg"
        Image.fromarray(image).save(part / name, quality=95, subsampling=0)
        intensity = np.round(sample.face.expression.intensity, 2)
        rows.append(
            [name, f"{domain.name}-{sample.subject:04d}", splits[sample.subject]]
            + [str(int(level >= OCCURS_AT)) for level in intensity]
            + [f"{level:.2f}" for level in intensity]
            + [f"{value:.3f}" for value in landmarks.T.ravel()]
        )
    file = _chunk_files(part, about)[chunk]
    with atomic_file(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return len(rows)


@lru_cache(maxsize=2)
def _renderer(size: int):
    """One per process: building one takes a second."""
    from aufaces.renderer import FaceRenderer

    return FaceRenderer(size, device=None)


def _join_chunks(part: Path, about: dict) -> None:
    chunks = [file.read_text() for file in _chunk_files(part, about)]
    (part / "manifest.csv").write_text(",".join(HEADER) + "\n" + "".join(chunks))
    contact_sheet(part).save(part / "contact_sheet.png")
    shutil.rmtree(part / "chunks")


def contact_sheet(folder: Path) -> Image.Image:
    """60 faces spread evenly over a set, each with the AUs that occur."""
    with open(folder / "manifest.csv", encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    columns, rows, side, caption = 10, 6, 112, 24
    table = [table[k] for k in np.unique(np.linspace(0, len(table) - 1, columns * rows).round().astype(int))]
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
