"""From the raw download of a set to a checked dataset folder: sessions in parallel, resumable, with a
report."""

import importlib
import os
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from aubench.datasets.converters import CONVERTERS
from aubench.datasets.converters.frames import Outcome, Task, convert_session, crashed
from aubench.datasets.converters.raw_session import Expected, Source
from aubench.datasets.converters.raw_tree import Tree
from aubench.datasets.converters.report import Report, cover, make_report
from aubench.datasets.crash_tolerant import crash_tolerant_map
from aubench.datasets.landmark_detector import require_detector
from aubench.datasets.photographs import split_subjects
from aulib.dataset import DatasetFolder, read_dataset, write_manifest

WITH_LANDMARKS = ("bp4d", "bp4dplus", "disfa", "ckplus")  # sets that bring landmarks of their own pictures
MARK = ".convert"
SAME_NAME = "another frame has the same picture name"
MIN_VIDEOS = 3  # fewer people are not divided


def convert(
    name: str,
    raw: str | Path,
    out: str | Path,
    keep: str = "link",
    landmarks: str = "",
    workers: int | None = None,
    progress: bool = True,
) -> tuple[DatasetFolder, Report]:
    """Turn a raw download into a dataset folder.

    `out` gets images/ (links to the raw pictures, copies, or JPEG frames of videos), manifest.csv,
    skipped.csv (frame or session, reason, frames) and conversion.json (the report). Interrupted calls go on
    when repeated; sessions whose files changed, or whose pictures are gone, are redone. Memory holds one
    session a process, and at the end the table.

    Args:
        name: one of CONVERTERS.
        keep: "link" or "copy" raw pictures.
        landmarks: "set" takes the set's own and skips frames that lack them, "detect" finds new ones, "none"
            writes
            none. "" is "set" where the set has some, else "detect".
        workers: processes; by default one for each core.

    Raises:
        ValueError: unknown name or option, pictures of a session in two folders, or no frame of use (the
            commonest reasons are named).
        FileNotFoundError: `raw` is no folder, or holds no label file of this set.
        FileExistsError: `out` holds something that was not made by this function.
        ModuleNotFoundError: the detector, or an extra that these files need, is not installed.
    """
    if name not in CONVERTERS:
        raise ValueError(f"unknown set {name!r}; there are {', '.join(CONVERTERS)}")
    landmarks = landmarks or ("set" if name in WITH_LANDMARKS else "detect")
    if keep not in ("link", "copy") or landmarks not in ("set", "detect", "none"):
        raise ValueError(
            f"keep {keep!r} and landmarks {landmarks!r}: expected link or copy; set, detect or none"
        )
    if landmarks == "set" and name not in WITH_LANDMARKS:
        raise ValueError(f"{name} has no landmarks of its own; expected landmarks detect or none")
    raw, out = Path(raw), Path(out)
    _refuse_foreign(raw, out)
    converter = importlib.import_module(f"aubench.datasets.converters.{name}")
    sources = converter.find(Tree(raw, progress))
    _refuse_doubled_names(sources)
    expected = converter.expected(sources) if hasattr(converter, "expected") else converter.EXPECTED
    if landmarks == "detect":
        require_detector()
    (out / MARK).mkdir(parents=True, exist_ok=True)
    tasks = [Task(name, source, out, keep, landmarks) for source in sources]
    if workers is None:
        workers = min(os.cpu_count() or 1, len(tasks))
    outcomes = []
    for outcome in tqdm(
        crash_tolerant_map(convert_session, tasks, workers, crashed),
        f"converting {name}", len(tasks), unit="session", disable=not progress,
    ):  # fmt: skip
        outcomes.append(outcome)
    order = {source.name: position for position, source in enumerate(sources)}
    outcomes.sort(key=lambda outcome: order[outcome.name])
    return _write_dataset(name, expected, out, outcomes)


def _write_dataset(
    name: str, expected: Expected, out: Path, outcomes: list[Outcome]
) -> tuple[DatasetFolder, Report]:
    lost = [outcome for outcome in outcomes if outcome.reason]
    tables = [pd.read_parquet(outcome.rows) for outcome in outcomes if outcome.rows]
    table = (
        pd.concat([t for t in tables if len(t)], ignore_index=True)
        if any(map(len, tables))
        else pd.DataFrame()
    )
    coverage = pd.concat([cover(table) for table in tables], ignore_index=True) if tables else None
    skipped = pd.DataFrame(
        [(one.name, one.reason, one.frames) for one in lost], columns=["frame", "reason", "frames"]
    )
    used = pd.DataFrame()
    if len(table):
        left_out = table.loc[table["reason"] != "", ["frame", "reason"]].assign(frames=1)
        skipped = pd.concat([skipped, left_out], ignore_index=True)
        used = table[table["reason"] == ""].reset_index(drop=True)
        doubled = used["image"].duplicated()
        skipped = pd.concat(
            [skipped, used.loc[doubled, ["frame"]].assign(reason=SAME_NAME, frames=1)], ignore_index=True
        )
        used = used[~doubled].reset_index(drop=True)
    skipped = skipped.astype({"frames": "Int64"})  # empty where a whole session's rows cannot be counted
    skipped.to_csv(out / "skipped.csv", index=False)
    if not len(used):
        reasons = "; ".join(skipped["reason"].value_counts().index[:3])
        raise ValueError(f"no frame of {name} could be used ({reasons}); see {out / 'skipped.csv'}")
    used = used.assign(split=_splits(used))
    notes = [note for outcome in outcomes for note in outcome.notes]
    columns = ["image", "subject", "split", *(c for c in used.columns if c[:2] in ("AU", "x_", "y_"))]
    empty = [c for c in columns if c[:2] == "AU" and used[c].isna().all()]
    origin = used["source"].map(_printable).rename("meta_source")
    write_manifest(out, pd.concat([used[[c for c in columns if c not in empty]], origin], axis=1))
    del table, tables, used, origin
    data = read_dataset(out)
    report = make_report(name, data, expected, coverage, skipped, {o.name: o.reason for o in lost}, notes)
    if empty:
        report.notes.append(f"{', '.join(sorted({c[:4] for c in empty}))} unknown in every frame, left out")
    report.write(out)
    return data, report


def _splits(used: pd.DataFrame) -> list[str]:
    """The set's own splits; where it has none, people shared 80/10/10; without a val, a tenth of train's
    people."""
    subjects, given = used["subject"].tolist(), used["split"].tolist()
    if not any(given):
        shared = split_subjects(subjects)
        return [shared[subject] for subject in subjects]
    of_subject: dict[str, str] = {}
    for subject, split in zip(subjects, given, strict=True):
        of_subject[subject] = of_subject.get(subject) or split
    unnamed = sorted(subject for subject, split in of_subject.items() if not split)
    of_subject |= dict.fromkeys(unnamed, "train")
    if "val" not in of_subject.values():
        train = [subject for subject, split in of_subject.items() if split == "train"]
        if len(train) >= MIN_VIDEOS:
            of_subject |= {s: "val" for s, split in split_subjects(train).items() if split == "val"}
    return [of_subject[subject] for subject in subjects]


def _refuse_doubled_names(sources: list[Source]) -> None:
    seen: dict[str, Source] = {}
    for source in sources:
        if other := seen.get(source.name):
            raise ValueError(
                f"two label files are {source.name}: {_labels(source)} and {_labels(other)}; keep the one "
                f"that counts"
            )
        seen[source.name] = source


def _labels(source: Source) -> str:
    return str(source.files.get("labels") or next(filter(None, source.files.values()), ""))


def _refuse_foreign(raw: Path, out: Path) -> None:
    if out.resolve() == raw.resolve():
        raise FileExistsError(f"{out} is the raw download itself, expected another folder")
    if raw.resolve() in out.resolve().parents:
        raise FileExistsError(f"{out} lies in the raw download, expected a folder outside of it")
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file, expected a new folder")
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_dir():
        raise FileExistsError(f"{out} holds files not made by `aulib convert`, expected a new folder")


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
