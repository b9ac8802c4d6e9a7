"""Convert the raw download of a set to a checked dataset folder, in parallel and resumable, with a report."""

import os
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from aubench.datasets.converters import CONVERTERS
from aubench.datasets.converters.frames import MARK, Outcome, Task, convert_session, skipped
from aubench.datasets.converters.raw_session import Expected, Source
from aubench.datasets.converters.raw_tree import Tree
from aubench.datasets.converters.report import make_report
from aubench.datasets.crash_tolerant import CRASHED, crash_tolerant_map
from aubench.datasets.landmark_detector import require_detector
from aubench.datasets.photographs import split_subjects
from aubench.datasets.picture_files import printable, write_listed
from aubench.study.run_lock import run_lock
from aulib.dataset import DatasetFolder, read_dataset, write_manifest
from aulib.files import refuse_edited, refuse_used, remembered_file, write_json

MIN_SPLIT = 3  # fewer training people give none to val


def convert(
    name: str,
    raw: str | Path,
    out: str | Path,
    keep: str = "link",
    landmarks: str = "",
    workers: int | None = None,
    progress: bool = True,
) -> tuple[DatasetFolder, dict]:
    """Turn a raw download into a dataset folder, with the report of `make_report`.

    `out` gets images/ (links to the raw pictures, copies, or JPEG frames of videos), manifest.csv,
    skipped.csv (frame or session, reason, frames), notes.csv (image, note) and conversion.json (the
    report). A repeated call continues an interrupted one: labels are read again, and pictures that are new,
    changed or gone from `out`. Memory holds one session per process, and at the end the table.

    Args:
        name: one of CONVERTERS.
        keep: "link" or "copy" raw pictures.
        landmarks: "set" takes the set's own and skips frames that lack them, "detect" finds new ones, "none"
            writes none. "" is "set" where the set has some, else "detect".
        workers: processes; one per core by default.

    Raises:
        ValueError: unknown name or option, pictures of a session in two folders, or no usable frame (the
            commonest reasons are named).
        FileNotFoundError: `raw` is no folder, or holds no label file of this set.
        FileExistsError: `out` holds something that was not made by this function, or a file that would be
            written was edited.
        RunIsHeld: another process is writing `out`.
        ModuleNotFoundError: the detector, or an extra that these files need, is not installed.
    """
    if name not in CONVERTERS:
        raise ValueError(f"unknown set {name!r}; choose one of {', '.join(CONVERTERS)}")
    converter = CONVERTERS[name]
    choices = ("set", "detect", "none") if "landmarks" in converter.files else ("detect", "none")
    landmarks = landmarks or choices[0]
    if landmarks not in choices:
        raise ValueError(f"{name} has no landmarks {landmarks!r}; choose {', '.join(choices)}")
    if keep not in ("link", "copy"):
        raise ValueError(f"unknown keep {keep!r}; choose link or copy")
    raw, out = Path(raw), Path(out)
    if Path(os.path.realpath(out)).is_relative_to(raw.resolve()):
        raise FileExistsError(f"{out} lies in the raw download, expected a folder outside of it")
    if not (out / MARK).is_dir():
        refuse_used(out)
    refuse_edited(out, "manifest.csv", "skipped.csv", "notes.csv", "conversion.json")
    with run_lock(out, patience=0, work="written"):
        tree = Tree(raw, progress)
        sources = converter.find(tree)
        _refuse_doubled_names(sources)
        if landmarks == "detect":
            require_detector()
        (out / MARK).mkdir(parents=True, exist_ok=True)
        tasks = [Task(name, source, out, keep, landmarks) for source in sources]
        if workers is None:
            workers = min(os.cpu_count() or 1, len(tasks))
        done = crash_tolerant_map(convert_session, tasks, workers, lambda task: skipped(task, CRASHED))
        bar = tqdm(done, f"converting {name}", len(tasks), unit="session", disable=not progress)
        outcomes = {outcome.name: outcome for outcome in bar}
        ordered = [outcomes[source.name] for source in sources]
        left = {printable(folder): reason for folder, reason in tree.left.items()}
        return _write_dataset(name, converter.expected_of(sources), out, ordered, left)


def _write_dataset(
    name: str, expected: Expected, out: Path, outcomes: list[Outcome], left: dict[str, str]
) -> tuple[DatasetFolder, dict]:
    """Manifest, skipped.csv and report of what became of the sessions."""
    rows = _rows_of(outcomes)
    left_out = _left_out(rows, outcomes, left)
    write_listed(out / "skipped.csv", left_out)
    used = rows[rows["reason"] == ""].reset_index(drop=True)
    if not len(used):
        reasons = "; ".join(left_out["reason"].value_counts().index[:3])
        raise ValueError(f"no frame of {name} could be used ({reasons}); see {out / 'skipped.csv'}")
    write_listed(out / "notes.csv", used.loc[used["note"] != "", ["image", "note"]])
    labels = [column for column in rows if column[:2] == "AU"]
    unknown = [column for column in labels if used[column].isna().all()]
    used["split"] = _splits(used)
    used = used.rename(columns={"source": "meta_source"})
    used = used.drop(columns=[*unknown, "frame", "reason", "note", "session"])
    write_manifest(out, used, remember=True)
    rows = rows[["session", "subject", *labels]]
    del used
    data = read_dataset(out)
    notes = [note for outcome in outcomes for note in outcome.notes]
    if unknown:
        notes.append(f"left out, unknown in every frame: {', '.join(unknown)}")
    unreadable = left | {outcome.name: outcome.reason for outcome in outcomes if outcome.reason}
    report = make_report(name, data, expected, rows, left_out, unreadable, notes)
    with remembered_file(out, "conversion.json") as partial:
        write_json(partial, report)
    return data, report


def _rows_of(outcomes: list[Outcome]) -> pd.DataFrame:
    """The frames of all sessions that could be read; of two with one picture name the first is used."""
    tables = [one.rows.assign(session=one.name) for one in outcomes if one.rows is not None and len(one.rows)]
    if not tables:
        return pd.DataFrame(columns=["image", "frame", "reason"])
    rows = pd.concat(tables, ignore_index=True)
    usable = rows.index[rows["reason"] == ""]
    doubled = usable[rows.loc[usable, "image"].duplicated()]
    rows.loc[doubled, "reason"] = "another frame has the same picture name"
    return rows


def _left_out(rows: pd.DataFrame, outcomes: list[Outcome], left: dict[str, str]) -> pd.DataFrame:
    """skipped.csv: folders not entered, unreadable sessions, with their numbers of frames where known, and
    unusable frames."""
    sessions = [
        (folder, reason, 0 if reason.startswith("a link") else None) for folder, reason in left.items()
    ]
    sessions += [(one.name, one.reason, one.frames) for one in outcomes if one.reason]
    frames = rows.loc[rows["reason"] != "", ["frame", "reason"]].assign(frames=1)
    both = pd.concat([pd.DataFrame(sessions, columns=frames.columns), frames], ignore_index=True)
    return both.astype({"frames": "Int64"})


def _splits(used: pd.DataFrame) -> list[str]:
    """The set's own splits; without any, people in shares of 80/10/10; without a val, a tenth of train's
    people."""
    given = used[used["split"] != ""].groupby("subject")["split"].first().to_dict()
    given = given or split_subjects(used["subject"].tolist())
    of_subject = {subject: given.get(subject, "train") for subject in used["subject"]}
    train = [subject for subject, split in of_subject.items() if split == "train"]
    if "val" not in of_subject.values() and len(train) >= MIN_SPLIT:
        of_subject |= {person: "val" for person, split in split_subjects(train).items() if split == "val"}
    return used["subject"].map(of_subject).tolist()


def _refuse_doubled_names(sources: list[Source]) -> None:
    seen: dict[str, Path] = {}
    for source in sources:
        first = next(iter(source.files.values()))
        if (other := seen.setdefault(source.name, first)) is not first:
            raise ValueError(
                f"two label files are {source.name}: {other} and {first}; keep the one that counts"
            )
