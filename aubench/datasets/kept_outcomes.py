"""What became of each picture, kept as it comes: a repeated call goes on where one was interrupted."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from aubench.datasets.face_finding import GivenFace, StoredPicture
from aulib.files import atomic_file


@contextmanager
def kept_outcomes(
    file: Path, out: Path, settings: dict
) -> Iterator[tuple[dict[str, StoredPicture], Callable[[StoredPicture], None]]]:
    """Outcomes of earlier calls by source, without those whose picture is gone; and what keeps another one.

    Args:
        file: JSON lines, the settings first.
        out: the dataset folder that the stored pictures are in.
        settings: what the outcomes depend on; those of other settings have a stamp that no file has.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    header = json.dumps(settings)
    before: dict[str, StoredPicture] = {}
    for line in lines[1:]:
        try:
            outcome = StoredPicture(**json.loads(line))
        except (ValueError, TypeError):  # cut off when the process was killed
            continue
        if not outcome.image or (out / outcome.image).is_file():
            same = lines[0] == header
            before[outcome.source] = outcome if same else replace(outcome, stamp="other settings")
    with atomic_file(file) as partial:
        records = [header, *(json.dumps(vars(outcome)) for outcome in before.values())]
        partial.write_text("\n".join(records) + "\n", encoding="utf-8")
    with open(file, "a", encoding="utf-8") as log:

        def keep(outcome: StoredPicture) -> None:
            log.write(json.dumps(vars(outcome)) + "\n")
            log.flush()

        yield before, keep


def stamp(path: Path, face: GivenFace | None = None) -> str:
    """Size and time of a file and a hash of its given face, to notice a change."""
    try:
        found = path.stat()
    except OSError:  # a dangling link, say; reading it gives the reason
        return ""
    text = f"{found.st_size}-{found.st_mtime_ns}"
    if face is None:
        return text
    landmarks, *others = face
    given = json.dumps(others).encode() + (b"" if landmarks is None else landmarks.tobytes())
    return f"{text}-{hashlib.blake2b(given, digest_size=8).hexdigest()}"
