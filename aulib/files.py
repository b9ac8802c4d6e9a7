"""Atomic writes, the cache folder, and the version of this code."""

import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_root() -> Path:
    """The user's cache: $AULIB_CACHE, else ~/.cache/aulib (created if missing)."""
    root = Path(os.environ.get("AULIB_CACHE") or Path.home() / ".cache" / "aulib")
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name next to `path`, renamed onto it when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")  # short: names have at most 255 bytes
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinity, which JSON lacks, become null."""
    with atomic_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(_finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def code_version() -> str:
    """Hash of aulib's source files: a run is out of date if any was edited."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
