"""RAF-AU: 4,601 pictures from the web, AUs by hand, some of one side of the face only.

Tree: `RAFAU_label.txt`, lines `0001.jpg 1+4+25`, `0002.jpg L10+12` or `0003.jpg null`, some with spaces at
the end; pictures `aligned/0001_aligned.jpg` or the originals `0001.jpg` [OpenGraphAU and other public
loaders]. An AU on one side (L, R) counts as present; an AU that is not named is absent; `null` is skipped, as
OpenGraphAU does. A last line that no space or line end closes may have lost AUs and is skipped; lines that
are missing show in the report, by their number. Nobody knows which pictures show the same person, so each is
its own subject.
"""

import re
from pathlib import PurePosixPath

from aubench.datasets.converters.label_tables import occurrence_frame, read_text, refuse_doubled, rows_of
from aubench.datasets.converters.raw_session import Expected, Session, Source, known_au
from aubench.datasets.converters.raw_tree import PICTURES, Tree, pictures_in, single_folder

ROWS = 500
# Those of OpenGraphAU's list that aulib names.
CODED = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 26, 27)
EXPECTED = Expected(
    subjects=4_348,
    frames=4_348,
    aus=tuple(f"AU{number:02d}" for number in CODED),
    sources="4,601 lines of which 253 null: counted in a public repository; AUs: OpenGraphAU; no "
    "base rates are known to us",
)


def find(raw: Tree) -> list[Source]:
    """Some ROWS label lines a source; original pictures are preferred to aligned ones.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
        ValueError: two folders of originals, or two of aligned pictures.
    """
    labels = raw.label_files(r"RAF-?AU_label\.txt", "RAFAU_label.txt")
    folders = raw.with_pictures([folder for _, folder in raw.folders])
    aligned = [folder for folder in folders if "aligned" in folder.name.lower()]
    originals = [folder for folder in folders if folder not in aligned]
    kinds = [single_folder(originals, "RAF-AU (originals)"), single_folder(aligned, "RAF-AU (aligned)")]
    files = {"labels": labels[0]} | {f"pictures {i}": folder for i, folder in enumerate(filter(None, kinds))}
    num_rows = len(rows_of(labels[0], None))
    return [
        Source(f"rows-{first:04d}", "", files, rows=(first, min(first + ROWS, num_rows)))
        for first in range(0, num_rows, ROWS)
    ]


def read(source: Source) -> Session:
    """AUs as named; lines of `null` have no labels and are skipped later as not coded.

    Raises:
        ValueError: a line without a picture and AUs, an AU that is no number, a picture named twice, a first
            word that is no picture's name.
    """
    path = source.files["labels"]
    rows = rows_of(path, None)
    refuse_doubled([cells[0] for _, cells in rows], path)
    values: dict[int, list[float]] = {number: [] for number in CODED}
    names = []
    for line, cells in rows[slice(*source.rows)]:
        if len(cells) != 2:
            raise ValueError(
                f"{path} line {line}: {len(cells)} words, expected a picture and AUs such as 1+4+25"
            )
        suffix = PurePosixPath(cells[0]).suffix.lower()
        if suffix not in PICTURES or not re.fullmatch(r"\w[\w.()-]*", cells[0]):
            raise ValueError(f"{path} line {line}: {cells[0][:40]!r} is no picture, expected 0001.jpg")
        present = _present(cells[1], path, line)
        names.append(cells[0])
        for number in CODED:
            values[number].append(float("nan") if present is None else float(number in present))
    there = {}
    for key in sorted((key for key in source.files if key.startswith("pictures")), reverse=True):
        there |= {p.stem.lower().removesuffix("_aligned"): p for p in pictures_in(source.files[key])}
    cut = not read_text(path)[-1].isspace() and source.rows[1] == len(rows)
    stems = [PurePosixPath(name).stem for name in names]
    return Session(
        frames=stems,
        pictures=[there.get(stem.lower()) or there.get(stem.zfill(4).lower()) for stem in stems],
        labels=occurrence_frame({n: v for n, v in values.items() if known_au(n)}, (), path),
        subjects=stems,
        faults={len(names) - 1: f"{path.name} ends within its line: AUs may be cut off"} if cut else {},
    )


def _present(text: str, path, line: int) -> set[int] | None:
    if text.lower() == "null":
        return None
    parts = text.split("+")
    for part in parts:
        if not re.fullmatch(r"[LRlr]?[0-9]{1,2}[A-Ea-e]?", part):
            raise ValueError(f"{path} line {line}: {part[:20]!r} is no AU, expected 12, L12 or R12")
    return {int(re.sub(r"\D", "", part)) for part in parts}
