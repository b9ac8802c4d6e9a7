"""Photographs for a lesson: the reader's own, or rendered wild faces saved as plain pictures in their place.

A stand-in is a JPEG like any other: its labels and landmarks lie beside it, in a table that only the lesson
opens.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import stats

from aubench.datasets.landmark_detector import require_detector
from aubench.datasets.photographs import prepare, what_was_found
from aulib.dataset import DatasetFolder

SIZE = 160  # pixels of a stand-in: a detector needs more than the 128 of the rendered sets
EACH = 2  # pictures of one person
TRUTH = "truth.csv"


@dataclass(frozen=True)
class Photographs:
    """Where pictures lie and what is known of them.

    folder: plain pictures.  landmarks: a CSV for `prepare`, None for the detector.  truth: a row a stand-in
    with `image`, its AUs (0 or 1), its person and how far it is turned; None for the reader's own.
    """

    folder: Path
    landmarks: Path | None
    truth: pd.DataFrame | None

    @property
    def said(self) -> str:
        """Whose pictures these are and who finds the landmarks."""
        finder = (
            "dlib's detector finds the landmarks (extra `landmarks`)"
            if self.landmarks is None
            else "**the renderer itself gave the landmarks**, as the extra `landmarks` is not installed: "
            "no face is missed here, which flatters"
        )
        if self.truth is None:
            return (
                f"These are **your photographs**, in `{self.folder}`; {finder}. Nothing leaves this machine."
            )
        return (
            f"`photos` is empty, so **rendered wild faces stand in for photographs**: {len(self.truth)} "
            f"plain JPEGs of {self.truth['person'].nunique()} people, and two files without a face. "
            f"Then {finder}."
        )


def photographs(photos: str, out: str | Path, count: int, seed: int = 0) -> Photographs:
    """The folder `photos`, or, if it is empty, stand-ins rendered below `out` (once).

    Raises:
        ModuleNotFoundError: photographs are given and the extra `landmarks` is not installed.
    """
    if photos:
        require_detector()
        return Photographs(Path(photos), None, None)
    home = Path(out) / f"stand-ins-{count}-seed{seed}"
    if not (home / TRUTH).is_file():
        _render(home, count, seed)
    truth = pd.read_csv(home / TRUTH)
    try:
        require_detector()
    except ModuleNotFoundError:
        return Photographs(home / "pictures", home / "landmarks.csv", truth)
    return Photographs(home / "pictures", None, truth)


def _render(home: Path, count: int, seed: int) -> None:
    from aufaces.actions import AUS, OCCURS_AT
    from aufaces.domains import WILD, picture, sample_face
    from aufaces.renderer import FaceRenderer

    renderer, rows, points = FaceRenderer(SIZE), [], []
    every = 8 // EACH  # a set has eight faces of a person
    for index in range(count):
        sample = sample_face(WILD, seed, every * index, every * count)
        image, landmarks = picture(WILD, sample, renderer)
        name = f"person-{sample.subject:03d}/{index:04d}.jpg"
        (home / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(home / "pictures" / name, quality=92)
        person, shot = sample.face.person, sample.face.shot
        known = {"image": name, "person": sample.subject, "age": person.age, "skin": luminance(person.skin)}
        known["yaw"] = abs(np.degrees(shot.yaw))
        rows.append(known | dict(zip(AUS, (sample.face.expression.intensity >= OCCURS_AT) * 1, strict=True)))
        axes = {f"{axis}_{k}": value for axis, line in zip("xy", landmarks.T, strict=True)
                for k, value in enumerate(line.round(2))}  # fmt: skip
        points.append({"image": name} | axes)
    _no_faces(home / "pictures" / "garden", seed)
    pd.DataFrame(points).to_csv(home / "landmarks.csv", index=False)
    pd.DataFrame(rows).to_csv(home / TRUTH, index=False)  # last: what has it is complete


def _no_faces(folder: Path, seed: int) -> None:
    """A picture without a face, and a file that was cut off."""
    from aufaces.clutter import cluttered_background

    folder.mkdir(parents=True, exist_ok=True)
    ground = cluttered_background(np.random.default_rng(seed), SIZE)
    Image.fromarray(np.rint(ground.clip(0, 1) * 255).astype(np.uint8)).save(folder / "hedge.jpg")
    (folder / "half-copied.jpg").write_bytes((folder / "hedge.jpg").read_bytes()[:900])


def luminance(colour: tuple[float, float, float]) -> float:
    """Relative luminance of a linear RGB albedo (Rec. 709), in [0, 1]."""
    return float(np.dot(colour, (0.2126, 0.7152, 0.0722)))


def prepared(pictures: Photographs, out: str | Path) -> DatasetFolder:
    """The pictures as a dataset folder; done once, changes are taken up."""
    return prepare(pictures.folder, out, pictures.landmarks, workers=2, progress=False)


def said_of_prepared(pictures: Photographs, faces: DatasetFolder) -> str:
    """What was found, what was skipped and why, and, where the truth is known, who is missing."""
    skipped = pd.read_csv(faces.root / "skipped.csv")
    reasons = skipped["reason"].str.replace(r"^unreadable.*", "unreadable", regex=True).value_counts()
    said = [what_was_found(faces) + ".", ""]
    if len(reasons):
        said += ["| skipped, reason | pictures |", "|---|---:|"]
        said += [f"| {reason} | {count} |" for reason, count in reasons.items()] + [""]
    if pictures.truth is None:
        return "\n".join([*said, "Look at `skipped.csv`: whom does the detector leave out?"])
    found = pictures.truth["image"].isin(faces.table["meta_source"])
    near, far = pictures.truth["yaw"] < 15, pictures.truth["yaw"] >= 25
    if found.all() or not near.any() or not far.any():
        return "\n".join([*said, f"Found: {found.sum()} of {len(found)} faces."])
    seen = [100 * found[group].mean() for group in (near, far)]
    counts = [[int(found[group].sum()), int((~found[group]).sum())] for group in (near, far)]
    said.append(
        f"Found: {found.sum()} of {len(found)} faces; {seen[0]:.0f} % of those turned by less than 15°, "
        f"{seen[1]:.0f} % of those turned by 25° or more. "
    )
    if stats.fisher_exact(counts).pvalue < 0.05:
        said[-1] += "**Who is missing is no accident**: every number below speaks of those found only."
    else:
        said[-1] += "So few pictures cannot tell whether the turn decides who is found."
    return "\n".join(said)


def where_faces_lie(*folders: str | Path) -> pd.DataFrame:
    """Every place below the folders that holds pixels of faces: what must go when somebody withdraws consent.

    Returns:
        a row a place: place, holds, files, megabytes.
    """
    kinds = {
        "stored pictures": partial(_matching, suffixes=(".jpg", ".jpeg", ".png")),
        "crops": partial(_matching, suffixes=("images.npy",)),
        "faces that a run keeps": partial(_matching, suffixes=("samples.npz",)),
    }
    rows = []
    for folder in dict.fromkeys(map(Path, folders)):
        for kind, find in kinds.items():
            by_place: dict[Path, list[Path]] = {}
            for file in find(folder):
                place = folder if kind == "stored pictures" else file.parent
                by_place.setdefault(place, []).append(file)
            for place, files in by_place.items():
                size = sum(file.stat().st_size for file in files) / 2**20
                rows.append((place.as_posix(), kind, len(files), round(size, 1)))
    return pd.DataFrame(rows, columns=["place", "holds", "files", "megabytes"])


def said_of_places(places: pd.DataFrame) -> str:
    """The places as a table in Markdown, whole paths written out."""
    lines = ["| place | holds | files | MB |", "|---|---|---:|---:|"]
    lines += [
        f"| `{row.place}` | {row.holds} | {row.files} | {row.megabytes} |" for row in places.itertuples()
    ]
    return "\n".join(lines)


def _matching(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name.endswith(suffixes)]
