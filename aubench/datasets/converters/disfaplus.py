"""DISFA+: posed expressions of nine of DISFA's people, intensities 0-5 of twelve AUs.

Tree: `Labels/SN001/<trial>/AU1.txt`, lines `000.jpg 0`, `#` comments; `Images/SN001/<trial>/000.jpg`
[py-feat]; some copies nest the subject twice, `Labels/SN001/SN001/<trial>` [a public reader]. The set's own
landmarks (`FaceLandmarks/.../<trial>_FaceCropped.mat`) are those of crops inside the same files and fit no
picture of `Images`, so they are not used; the detector finds others.
"""

import re
from pathlib import Path

import numpy as np

from aubench.datasets.converters import disfa
from aubench.datasets.converters.label_tables import frame_values, intensity_frame
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree, pictures_in, single_folder

EXPECTED = Expected(
    subjects=9,
    frames=57_150,
    slack=0.05,
    aus=disfa.AUS,
    sources="subjects and frames: py-feat's loader and benchmark table; no base rates are known to us",
)


def find(raw: Tree) -> list[Source]:
    """One source a trial.

    Raises:
        FileNotFoundError: no label file is there, with what is there instead.
    """
    sources = []
    for trial in raw.find(r"sn\d{3}", r".*"):
        names = [name for name in raw.names_in(trial) if re.fullmatch(r"AU\d+\.txt", name, re.IGNORECASE)]
        if not names:
            continue
        labels = [trial / name for name in names]
        subject = trial.parent.name.upper()
        folders = raw.with_pictures(raw.find(subject, re.escape(trial.name)))
        pictures = single_folder(folders, f"{subject}/{trial.name}")
        files: dict[str, Path | None] = {path.stem.upper(): path for path in labels}
        sources.append(Source(f"{subject}/{trial.name}", subject, files | {"pictures": pictures}))
    if not sources:
        raw.refuse("Labels/SN001/<trial>/AU1.txt")
    return sorted(sources, key=lambda source: source.name)


def read(source: Source) -> Session:
    """Frames that any AU file names; an AU whose file leaves a frame out is unknown there."""
    coded = {
        int(key[2:]): frame_values(path, None)
        for key, path in source.files.items()
        if re.fullmatch(r"AU\d+", key)
    }
    frames = sorted(set().union(*coded.values()))
    columns = {au: [values.get(frame, np.nan) for frame in frames] for au, values in coded.items()}
    folder = source.files["pictures"]
    there = {path.name: path for path in pictures_in(folder)} if folder else {}
    return Session(
        frames=[Path(frame).stem for frame in frames],
        pictures=[there.get(frame) for frame in frames],
        labels=intensity_frame(columns, (), next(path for path in source.files.values() if path)),
    )
