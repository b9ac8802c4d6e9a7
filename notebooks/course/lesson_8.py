"""Lesson 8, Does it work on your photographs?: photographs and stand-ins, and the checks of the exercises.

A stand-in is a rendered wild face, saved as a JPEG like any other. Its labels are in a table that only the
lesson reads.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from aubench.datasets.landmark_detector import require_detector
from aubench.datasets.photographs import prepare, subjects_of
from aubench.inspection.heads import WIDE, face_thumbnail
from aubench.plots import draw_faces
from aufaces.actions import AUS, OCCURS_AT
from aufaces.clutter import cluttered_background
from aufaces.domains import WILD, picture, sample_face
from aufaces.people import Person, sample_person, skin_tone
from aufaces.renderer import FaceRenderer
from aulib.crops import crop_matrix
from aulib.dataset import DatasetFolder
from exercises import Verdict, exercise, hint_for, number, right, wrong

SIZE = 160  # pixels of a stand-in: a detector needs more than the 128 of the rendered sets
EACH = 2  # pictures of one person
STRONGEST = 8  # faces of an AU
LIMIT = 0.10  # alarms that exercise 4 allows
PICTURES = ("anna1.jpg", "anna2.jpg", "ben1.jpg", "ben2.jpg", "carla1.jpg")  # of exercise 1
FACE_FILES = {"stored pictures": (".jpg", ".jpeg", ".png"), "crops": ("images.npy",),
              "faces that a run keeps": ("samples.npz",)}  # fmt: skip


# photographs


@dataclass(frozen=True)
class Photographs:
    """A folder of pictures and what is known of them.

    landmarks: a CSV for `prepare`, None for the detector.  truth: one row per stand-in with `image`, its AUs
    (0 or 1), its person and its yaw (degrees, without sign); None for the user's own photographs.
    """

    folder: Path
    landmarks: Path | None
    truth: pd.DataFrame | None


def photographs(photos: str, out: str | Path, count: int, seed: int = 0) -> Photographs:
    """The folder `photos`, or, if it is empty, stand-ins rendered below `out` (once).

    Raises:
        ModuleNotFoundError: photographs are given and the extra `landmarks` is not installed.
    """
    if photos:
        require_detector()
        return Photographs(Path(photos), None, None)
    home = Path(out) / f"stand-ins-{count}-seed{seed}"
    if not (home / "truth.csv").is_file():
        _render(home, count, seed)
    try:
        require_detector()
        landmarks = None
    except ModuleNotFoundError:
        landmarks = home / "landmarks.csv"
    return Photographs(home / "pictures", landmarks, pd.read_csv(home / "truth.csv"))


def _render(home: Path, count: int, seed: int) -> None:
    renderer, rows, points = FaceRenderer(SIZE), [], []
    every = 8 // EACH  # a set has eight faces of a person
    for index in range(count):
        sample = sample_face(WILD, seed, every * index, every * count)
        image, landmarks = picture(WILD, sample, renderer)
        name = f"person-{sample.subject:03d}/{index:04d}.jpg"
        (home / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(home / "pictures" / name, quality=92)
        occurrence = (sample.face.expression.intensity >= OCCURS_AT).astype(int)
        known = {"image": name, "person": sample.subject, "yaw": abs(np.degrees(sample.face.shot.yaw))}
        rows.append(known | dict(zip(AUS, occurrence, strict=True)))
        columns = [f"{axis}_{point}" for axis in "xy" for point in range(68)]
        points.append({"image": name} | dict(zip(columns, landmarks.T.round(2).ravel(), strict=True)))
    _render_no_faces(home / "pictures" / "garden", seed)
    pd.DataFrame(points).to_csv(home / "landmarks.csv", index=False)
    pd.DataFrame(rows).to_csv(home / "truth.csv", index=False)  # last: a folder that has it is complete


def _render_no_faces(folder: Path, seed: int) -> None:
    """A picture without a face, and a truncated file."""
    folder.mkdir(parents=True, exist_ok=True)
    ground = cluttered_background(np.random.default_rng(seed), SIZE)
    Image.fromarray(np.rint(ground.clip(0, 1) * 255).astype(np.uint8)).save(folder / "hedge.jpg")
    (folder / "half-copied.jpg").write_bytes((folder / "hedge.jpg").read_bytes()[:900])


def prepared(pictures: Photographs, out: str | Path) -> DatasetFolder:
    """The pictures as a dataset folder; done once, changes are taken up."""
    return prepare(pictures.folder, out, pictures.landmarks, workers=2, progress=False)


def draw_prepared(faces: DatasetFolder, count: int = 16) -> Figure:
    """Some prepared faces, evenly spaced, with the landmarks that were found."""
    chosen = np.unique(np.linspace(0, len(faces) - 1, count).round().astype(int))
    heads, points = [], []
    for row in chosen:
        matrix = crop_matrix(faces.landmarks[row], WIDE)
        heads.append(face_thumbnail(faces.image_paths[row], matrix))
        points.append(faces.landmarks[row] @ matrix[:, :2].T + matrix[:, 2])
    title = f"{len(chosen)} of {len(faces)} prepared faces and their landmarks"
    return draw_faces(heads, np.array(points), columns=8, title=title, domain="target")


def skipped(faces: DatasetFolder) -> pd.DataFrame:
    """How many pictures were skipped for each reason."""
    reasons = pd.read_csv(faces.root / "skipped.csv")["reason"]
    return reasons.str.replace(r"^unreadable.*", "unreadable", regex=True).value_counts().reset_index()


def found_by_turn(pictures: Photographs, faces: DatasetFolder) -> pd.DataFrame:
    """Of the stand-ins, how many were found, by how far the head is turned: turn, faces, found."""
    truth = pictures.truth.assign(found=pictures.truth["image"].isin(faces.table["meta_source"]))
    turn = pd.cut(
        truth["yaw"].rename("turn"),
        [0, 15, 25, 90],
        labels=["below 15°", "15° to 25°", "above 25°"],
        right=False,
    )
    return truth.groupby(turn, observed=True)["found"].agg(faces="size", found="sum").reset_index()


def strongest(predictions: pd.DataFrame, pictures: Photographs, faces: DatasetFolder) -> pd.DataFrame:
    """Per AU: the share of faces with a prediction of 0.5 or more; for stand-ins also the share of faces that
    have the AU, and how many of the STRONGEST faces have it."""
    read = predictions[predictions["status"] == "ok"]
    aus = [name[:-2] for name in read if re.fullmatch(r"AU\d\d_p", name)]
    if pictures.truth is None:
        return pd.DataFrame({"AU": aus, "predicted": [(read[f"{au}_p"] >= 0.5).mean() for au in aus]})
    truth = pictures.truth.rename(columns={"image": "meta_source"})
    read = read.merge(faces.table[["image", "meta_source"]], on="image").merge(truth, on="meta_source")
    rows = [
        (au, (read[f"{au}_p"] >= 0.5).mean(), read[au].mean(), read.nlargest(STRONGEST, f"{au}_p")[au].sum())
        for au in aus
        if au in truth
    ]
    return pd.DataFrame(rows, columns=["AU", "predicted", "present", f"present in the {STRONGEST} strongest"])


def where_faces_are(*folders: str | Path) -> pd.DataFrame:
    """Every place below the folders that holds pixels of faces: place, holds, files, megabytes."""
    rows = [
        (str(folder if holds == "stored pictures" else file.parent), holds, file.stat().st_size / 2**20)
        for folder in dict.fromkeys(map(Path, folders))
        for holds, endings in FACE_FILES.items()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name.endswith(endings)
    ]
    table = pd.DataFrame(rows, columns=["place", "holds", "size"]).groupby(["place", "holds"], sort=False)
    return table["size"].agg(files="size", megabytes="sum").round(1).reset_index()


# checks of the exercises


@exercise('a list of five paths, such as ["album/anna1.jpg", "album/anna2.jpg", ...]')
def check_folders(answer: list[str]) -> Verdict:
    """Five pictures in folders that keep every person in one split."""
    if isinstance(answer, (str, dict)) or not all(isinstance(path, str) for path in answer):
        raise TypeError("expected a list of paths")
    paths = [str(PurePosixPath(path)) for path in answer]
    if any(path.startswith("/") or ".." in PurePosixPath(path).parts for path in paths):
        return wrong("Paths are relative to the folder of photographs: no leading slash, no `..`.")
    if sorted(PurePosixPath(path).name for path in paths) != sorted(PICTURES):
        return wrong(f"Use each of {', '.join(PICTURES)} once; choose only their folders.")
    subjects = subjects_of(paths)
    subjects_by_person: dict[str, set[str]] = {}
    for path, subject in zip(paths, subjects, strict=True):
        subjects_by_person.setdefault(PurePosixPath(path).stem[:-1], set()).add(subject)
    cut = [person for person, found in subjects_by_person.items() if len(found) > 1]
    if cut and len(set(subjects)) == len(PICTURES):
        return wrong("Pictures directly in the common folder count as one person each. Add folders.")
    if cut:
        return wrong(f"{' and '.join(cut)} would count as two people: a folder is a person, not an occasion.")
    if len(set(subjects)) < len(subjects_by_person):
        return wrong(f"`prepare` would find {len(set(subjects))} people here: some share a folder.")
    return right("Three people, each in one split. No face of the test is then known from training.")


@exercise(
    "a function of a Person and a melanin that returns a Person, such as lambda person, melanin: person"
)
def check_same_person(answer: Callable[[Person, float], Person]) -> Verdict:
    """Another skin tone and no other change."""
    for who, melanin in ((3, 0.9), (8, 0.1), (21, 0.6)):
        before = sample_person(who, (0.62, 0.85))
        after = answer(before, melanin)
        if not isinstance(after, Person):
            raise TypeError(f"expected a Person, found {type(after).__name__}")
        names = [one.name for one in fields(Person)]
        changed = {name for name in names if getattr(before, name) != getattr(after, name)}
        if not changed:
            return wrong("Nothing changes: the person that is returned is the one that was given.")
        if changed & {"seed", "changes", "gender"}:
            return wrong("That is another person: head and features changed as well. Start from `person`.")
        if "ancestry" in changed:
            return wrong("`ancestry` forms the head: bones would change with the tone.")
        if more := changed - {"skin", "lips"}:
            return wrong(f"More than the tone changes: {', '.join(sorted(more))}.")
        if not np.allclose(after.skin, skin_tone(melanin), atol=1e-6):
            return wrong("`skin` is not `skin_tone(melanin)` of the given melanin.")
        kept = np.clip(np.array(before.lips) / before.skin * after.skin, 0.02, 1)
        if "lips" not in changed:
            return wrong("The lips keep the colour of the old skin: on another tone they look painted.")
        if np.allclose(after.lips, after.skin, atol=1e-6):
            return wrong("Lips in exactly the colour of the skin: the mouth loses its outline.")
        if not np.allclose(after.lips, kept, rtol=0.02, atol=1e-3):
            return wrong("Keep the person's ratio of lips to skin, channel by channel.")
    return right("Only the tone differs. What is not held equal can be the cause.")


@exercise("a share between 0 and 1, such as 0.3")
def check_wrong_alarms(answer: float, hits: float, alarms: float, base_rate: float) -> Verdict:
    """The share of the flagged who are flagged wrongly, where the AU is rare."""
    given, flagged = number(answer), base_rate * hits + (1 - base_rate) * alarms
    truth = (1 - base_rate) * alarms / flagged
    if abs(given - truth) < 0.005:
        return right(f"{100 * truth:.0f} of 100 flagged people do not show it, only because it is rare.")
    if not 0 <= given <= 1:
        return wrong("A share lies between 0 and 1; it is not in percent.")
    mistakes = (
        (1 - truth, "That is the share flagged *rightly*."),
        (alarms, "That is the share of those *without* the AU. Take the share of the flagged."),
        (1 - hits, "That is the share it misses, who are not flagged."),
        (alarms / (alarms + hits), "Right if half of the people showed it: the base rate is missing."),
        ((1 - base_rate) * alarms, "That is a share of all people. Divide by all who are flagged."),
    )
    return hint_for(given, mistakes, "Of 10,000 people, how many are flagged rightly and how many wrongly?")


@exercise("a threshold for each age, such as {0.45: 0.5, 0.67: 0.5, 0.85: 0.5, 1.0: 0.5}")
def check_thresholds(answer: dict[float, float], absent: dict, present: dict) -> Verdict:
    """Thresholds with at most LIMIT alarms at every age, none of them higher than needed."""
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        return wrong("That is one threshold for all. Give each age its own, in a dictionary.")
    if not isinstance(answer, dict):
        raise TypeError("expected a dictionary")
    if missing := sorted(set(absent) - set(answer)):
        return wrong(f"No threshold for age {', '.join(map(str, missing))}.")
    limits = {age: float(answer[age]) for age in absent}
    if not all(np.isfinite(limit) for limit in limits.values()):
        return wrong("A threshold is a number between 0 and 1.")
    hits = {age: float((present[age] >= limit).mean()) for age, limit in limits.items()}
    alarms = {age: float((absent[age] >= limit).mean()) for age, limit in limits.items()}
    for age, share in alarms.items():
        if share > LIMIT + 1 / len(absent[age]):
            return wrong(f"At age {age:g}, {share:.0%} of the absent AUs are predicted: too many.")
    for age, share in alarms.items():
        below = absent[age][absent[age] < limits[age]]
        spare = share < LIMIT - max(0.02, 2 / len(absent[age]))
        if spare and len(below) and (absent[age] >= below.max()).mean() <= LIMIT:
            if not hits[age]:
                return wrong(f"At age {age:g} nothing is predicted at all: no alarms, and no hits.")
            return wrong(f"At age {age:g}, {share:.0%} alarms are few: a lower threshold has more hits.")
    each = ", ".join(f"{hit:.0%} at {age:g}" for age, hit in hits.items())
    return right(f"Alarms are equal, about {LIMIT:.0%}. Hits: {each}. And everybody's age must be known.")
