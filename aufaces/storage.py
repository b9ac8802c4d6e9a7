"""Where generated things live, and how they are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """The user's cache: $AULIB_CACHE, else ~/.cache/aulib (created if missing)."""
    root = Path(os.environ.get("AULIB_CACHE") or Path.home() / ".cache" / "aulib")
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed onto it when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
