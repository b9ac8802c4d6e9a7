"""Tables of several tools about the same faces: how far they agree, and how right each is where labels exist.

Scales are named by the columns that a tool writes, never guessed from values: 0/1 occurrence, 0-1
probability, 0-5 intensity.
"""

import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import cohen_kappa_score

from aubench.datasets.interchange.tables import NAME_COLUMNS, OPENFACE, PROBABILITY, PYFEAT, read_rows
from aubench.datasets.landmark_tables import pair_names, without_suffix
from aubench.datasets.picture_files import is_video, list_pictures
from aubench.datasets.videos import CONDITIONS, extent
from aubench.report.results import score_text
from aulib.images import is_picture_name
from aulib.metrics import MEASURES, au_scores, icc
from aulib.tables import Rule, normal_form

SCALES = {"c": "0/1", "p": "0-1", "r": "0-5"}  # ending of a column -> scale
LONG = {  # columns of this package's table with a row for each AU, by the ending they have elsewhere
    "c": Rule("present", 0, 1, "0 or 1", whole=True),
    "p": Rule("probability", 0, 1, "a probability"),
    "r": Rule("intensity", 0, 5, "an intensity, 0 to 5"),
}
AU_COLUMN = re.compile(r"AU\d\d(_[cpr]|_side)?|au_\d+(_intensity)?")
RULES = (
    *dict.fromkeys((*OPENFACE, *PYFEAT)),  # which share some
    PROBABILITY,
    Rule(r"timestamp|approx_time|frame_time_in_ms", -1e9, 1e9, "a time"),
    Rule(r"FaceRect(X|Y|Width|Height)", -1e9, 1e9, "pixels"),
    Rule("|".join(CONDITIONS), -1e9, 1e9, "a number"),
    Rule(r"frame_idx", 0, 1e9, "a frame number", whole=True),  # of LibreFace
    Rule(r"au_\d+", 0, 1, "0 or 1", whole=True),
    Rule(r"au_\d+_intensity", 0, 5, "an intensity, 0 to 5"),
    *LONG.values(),
)
ELSEWHERE = 0.75  # of a face's size, from which two faces of a frame are not the same
SHOWN = 18  # faces on which two tools differ most
MOST = 0.9  # of a clip's frames; a table that ends before may be of a shorter clip
DRIFT = 0.03  # of a time, by which a clip's average rate may be wrong for it
BLOCK = 1.0  # seconds of a clip that the bootstrap draws together: frames next to each other are alike


@dataclass(frozen=True)
class Reading:
    """What one tool wrote.

    Attributes:
        name: of its file.
        tool: OpenFace, py-feat, LibreFace or aulib, by its columns.
        table: a row per face: `key` (frame from 1, or the picture's name), `face_id`, `time` (s), the face's
            middle `x`, `y` and `size` (pixels), AU01_c, AU01_p, AU01_r as far as the tool has them, and the
            CONDITIONS of rendered clips; NaN where unknown. Rows without a face are left out.
        unseen: how many those are.
        by_name: whether `key` is a name, with the frame where it is that of a clip.
        clip: the one clip that the table names, or "".
    """

    name: str
    tool: str
    table: pd.DataFrame
    unseen: int
    by_name: bool
    clip: str = ""

    @property
    def columns(self) -> list[str]:
        """AU01_c ... that the tool wrote."""
        return [name for name in self.table if re.fullmatch(r"AU\d\d_[cpr]", name)]


def read_tool(path: str | Path) -> Reading:
    """A table of OpenFace (and what writes its columns, as pyfaceau), py-feat, LibreFace or this package.

    Frames are counted from 1, as OpenFace does; py-feat and LibreFace count from 0. Where a table has the
    frame at 0 s, its number decides, and in one that begins later its times.

    Raises:
        ValueError: none of these, a damaged table, or a face in two rows; names file and line.
    """
    path = Path(path)
    table = read_rows(path, RULES, f"{AU_COLUMN.pattern}|au", "AU01_c, AU01, au_1")
    meant = (name for name in table if re.match(r"au[ _]?\d", name, re.IGNORECASE))
    if odd := [name for name in meant if not AU_COLUMN.fullmatch(name)]:
        raise ValueError(f"{path}: column {odd[0]!r} is not read, expected names as AU01_c, AU01_p or AU01_r")
    if "au" in table:
        table = _from_long(table, path)
    if any(re.fullmatch(r"au_\d+(_intensity)?", name) for name in table):
        tool, first = "LibreFace", 0
        table = table.rename(columns=_of_libreface)
        if "frame" not in table:
            table = table.rename(columns={"frame_idx": "frame"})
    elif any(re.fullmatch(r"AU\d\d", name) for name in table):
        tool, first = "py-feat", 0
        table = table.rename(columns=lambda name: f"{name}_p" if re.fullmatch(r"AU\d\d", name) else name)
    else:
        tool, first = ("aulib" if any(re.fullmatch(r"AU\d\d_p", name) for name in table) else "OpenFace"), 1
    if len(twice := table.columns[table.columns.duplicated()]):
        raise ValueError(f"{path} has {twice[0]} in two spellings, such as AU01 and AU01_p; expected one")
    alone = "frame" not in table
    names = {one: table[one].nunique() for one in NAME_COLUMNS if one in table}
    only = next((table[one].iloc[0] for one, several in names.items() if several == 1), "")
    of_one = is_picture_name(only) and not alone and table["frame"].nunique() == 1  # picture
    named = next((one for one, several in names.items() if alone or of_one or several > 1), None)
    if not named and alone:
        raise ValueError(f"{path} has no column `frame` and no names of pictures ({', '.join(NAME_COLUMNS)})")
    time = _numbers(table, "timestamp", "approx_time", "frame_time_in_ms")
    if "frame_time_in_ms" in table and "timestamp" not in table:
        time = time / 1000
    if not alone:
        if len(empty := table.index[table["frame"].isna()]):
            raise ValueError(f"{path} line {empty[0] + 2}: frame is empty, expected a frame number")
        frame = table["frame"].astype(float)
        frame = (frame - _first_frame(frame, time, first) + 1).astype(int)
    if named:
        if len(empty := table.index[table[named] == ""]):
            raise ValueError(f"{path} line {empty[0] + 2}: {named} is empty, expected a picture's name")
        key = table[named].map(normal_form)
        if not alone:
            several = frame.groupby(key).transform("nunique").gt(1)
            if (odd := several & key.map(is_picture_name)).any():
                line = odd.idxmax()
                raise ValueError(f"{path} line {line + 2}: {key[line]} has several frames, a picture has one")
            of_clip = several | key.map(is_video)
            key = key.mask(of_clip, key.map(without_suffix) + " " + frame.astype(str))
    else:
        key = frame
    x, y, size = _places(table)
    face = _numbers(table, "face_id").fillna(0)
    found = pd.DataFrame({"key": key, "face_id": face, "time": time, "x": x, "y": y, "size": size})
    aus = table.filter(regex=r"^AU\d\d_[cpr]$").astype(float)
    seen = (table.get("success", 1.0) == 1) & aus.notna().any(axis=1)
    _refuse_twice(found[seen], "face_id" in table, path)
    conditions = table.filter(list(CONDITIONS)).astype(float)
    found = pd.concat([found, aus, conditions], axis=1)[seen].reset_index(drop=True)
    if found.empty:
        raise ValueError(f"{path} has no row with a face and an AU")
    clip = only if is_video(only) and not named else ""
    return Reading(path.stem, tool, found, int((~seen).sum()), named is not None, clip)


def joined(name: str, readings: dict[str, Reading]) -> Reading:
    """Readings of several clips or folders as one; frames and faces of each stay its own."""
    tables = [
        one.table.assign(key=f"{place} " + one.table["key"].astype(str), place=place)
        for place, one in readings.items()
    ]
    first = next(iter(readings.values()))
    unseen = sum(one.unseen for one in readings.values())
    return Reading(name, first.tool, pd.concat(tables, ignore_index=True), unseen, first.by_name)


def _from_long(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A row for each AU -> a row for each face."""
    place = ["frame", "face_id", "timestamp"]
    if missing := sorted({*place, "probability"} - set(table)):
        raise ValueError(f"{path} has a column `au` and no {missing[0]}, expected a table of --format long")
    if (other := ~table["au"].astype(str).str.fullmatch(r"AU\d\d")).any():
        line = other.idxmax()
        raise ValueError(f"{path} line {line + 2}: au is {table['au'][line]!r}, expected as AU01")
    if (twice := table.duplicated([*place, "au"])).any():
        frame, au = table.loc[twice.idxmax(), ["frame", "au"]]
        raise ValueError(f"{path} line {twice.idxmax() + 2}: {au} of a face of frame {frame:g} twice")
    ending = {rule.columns: ending for ending, rule in LONG.items() if rule.columns in table}
    wide = table.pivot(index=place, columns="au", values=list(ending))
    wide.columns = [f"{au}_{ending[value]}" for value, au in wide.columns]
    return wide.reset_index()


def _refuse_twice(found: pd.DataFrame, numbered: bool, path: Path) -> None:
    """Raises ValueError if a face has two rows: by its number, else by its place where that is known."""
    same = ["key", "face_id"] if numbered else ["key", "x", "y", "size"]
    found = found.dropna(subset=same)
    if (twice := found.duplicated(same)).any():
        line = twice.idxmax()
        first = found.index[(found[same] == found.loc[line, same]).all(axis=1)][0]
        raise ValueError(
            f"{path} line {line + 2}: the face of {found['key'][line]} in line {first + 2} again, expected "
            "one row for each face"
        )


def _of_libreface(name: str) -> str:
    found = re.fullmatch(r"au_(\d+)(_intensity)?", name)
    return f"AU{int(found[1]):02d}_{'r' if found[2] else 'c'}" if found else name


def _numbers(table: pd.DataFrame, *names: str) -> pd.Series:
    name = next((name for name in names if name in table), None)
    return pd.Series(np.nan, table.index) if name is None else pd.to_numeric(table[name], errors="coerce")


def _first_frame(frame: pd.Series, time: pd.Series, usual: int) -> float:
    """The number of a clip's first frame: that of the frame at 0 s; in a table that begins later 0, if all
    its times agree with it."""
    starts = frame[time == 0].unique()
    if len(starts) == 1:
        return starts[0]
    step = np.ptp(time) / max(np.ptp(frame), 1)
    if frame.min() > 1 and step and (np.abs(frame - time / step) < 0.5).all():
        return 0
    return min(usual, frame.min())


def _places(table: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Middle and size of each face: by its landmarks, else by its box."""
    if {"x_0", "y_0"} <= set(table):
        x, y = (table.filter(regex=rf"^{axis}_\d+$").astype(float) for axis in "xy")
        return x.mean(axis=1), y.mean(axis=1), x.max(axis=1) - x.min(axis=1)
    box = [_numbers(table, f"FaceRect{name}") for name in ("X", "Y", "Width", "Height")]
    return box[0] + box[2] / 2, box[1] + box[3] / 2, box[2]


def matched(a: Reading, b: Reading) -> pd.DataFrame:
    """Rows of two readings that are the same face of the same frame or picture: columns `a` and `b`, places
    in their tables.

    Several faces of a frame are paired by where they lie.

    Raises:
        ValueError: one has frames and the other names, they name two clips, they share no face, or faces
            cannot be told apart.
    """
    if a.by_name != b.by_name:
        one, other = (a, b) if a.by_name else (b, a)
        raise ValueError(
            f"{one.name} names its pictures, as {one.table['key'].iloc[0]}, {other.name} counts frames, as "
            f"{other.table['key'].iloc[0]}; they cannot be paired, expected names or frames in both"
        )
    if a.clip and b.clip and not pair_names([a.clip], [b.clip], f"{a.name} and {b.name}"):
        raise ValueError(f"{a.name} is of {a.clip}, {b.name} of {b.clip}; expected tables of one clip")
    keys = [one.table["key"] for one in (a, b)]
    if a.by_name:
        other = pair_names(keys[0].unique(), keys[1].unique(), f"{a.name} and {b.name}")
        keys[0] = keys[0].map(lambda key: other.get(key, key))
    groups = [{key: rows.index.to_numpy() for key, rows in own.groupby(own)} for own in keys]
    where = [one.table[["x", "y", "size"]].to_numpy() for one in (a, b)]
    pairs = []
    for key in groups[0].keys() & groups[1].keys():
        rows = groups[0][key], groups[1][key]
        places = where[0][rows[0]], where[1][rows[1]]
        known = all(not np.isnan(place).any() for place in places)
        if not known and max(map(len, rows)) > 1:
            raise ValueError(
                f"{a.name} and {b.name}: of {'picture' if a.by_name else 'frame'} {key} there are several "
                "rows, and no landmarks or boxes to tell faces apart by"
            )
        far = np.zeros((len(rows[0]), len(rows[1])))
        if known:
            far = np.linalg.norm(places[0][:, None, :2] - places[1][None, :, :2], axis=2)
            far /= np.maximum(places[0][:, None, 2], 1e-6)
        near = [place for place in zip(*linear_sum_assignment(far), strict=True) if far[place] < ELSEWHERE]
        pairs += [(rows[0][i], rows[1][j]) for i, j in near]
    if not pairs:
        raise ValueError(
            f"{a.name} and {b.name} have no face in common: the first is of {a.table['key'].iloc[0]} ..., "
            f"the second of {b.table['key'].iloc[0]} ..."
        )
    return pd.DataFrame(sorted(pairs), columns=["a", "b"])


def apart_in_time(a: Reading, b: Reading) -> str:
    """What to ask if most pairs of two tables are of other times, by their own stamps; "" if they are not."""
    pairs = matched(a, b)
    first, second = pairs["a"].map(a.table["time"]), pairs["b"].map(b.table["time"])
    step = a.table["time"].drop_duplicates().sort_values().diff().median()
    far = (first - second).abs()
    if not far.median() > step / 2:
        return ""
    row = far.idxmax()
    when = f"at {first[row]:.2f} s in {a.name} and at {second[row]:.2f} s in {b.name}"
    return f"{a.table['key'][pairs['a'][row]]} is {when}; do both count the same frames?"


def doubts_about_labels(reading: Reading, labels: Reading) -> str:
    """How many faces are paired, if some are not; "" if all are."""
    shared, of = len(matched(reading, labels)), (len(reading.table), len(labels.table))
    found = f"{reading.name} and {labels.name} share {shared} faces, of {of[0]} and {of[1]}"
    return found if of != (shared, shared) else ""


def doubts_about_faces(reading: Reading, faces: Path) -> list[str]:
    """What to ask about a clip, or a folder of pictures, that may not be that of the table.

    Raises:
        ValueError: it is another: no picture of the table is there, or the clip ends before its last frame.
    """
    keys, about = reading.table["key"], []
    if reading.by_name:
        if not faces.is_dir():
            raise ValueError(f"{faces} is a file, expected the folder with {keys[0]} ... of {reading.name}")
        pictures = list_pictures(faces)[0]
        missing = sorted(set(keys) - set(pair_names(keys.unique(), pictures, faces)))
        if len(missing) == keys.nunique():
            found = f"found {pictures[0]} ..., expected {keys[0]} ..."
            raise ValueError(f"{faces} has none of the pictures of {reading.name}: {found}")
        if missing:
            some = f"{len(missing)} of {keys.nunique()} pictures of {reading.name}, such as {missing[0]}"
            about.append(f"{faces} lacks {some}")
        return about
    (count, rate), last = extent(faces), int(keys.max())
    if count and last > count:
        raise ValueError(f"{faces} ends at frame {count}, {reading.name} has frame {last}; name its own clip")
    if reading.clip and not pair_names([reading.clip], [faces.name], faces):
        about.append(f"{reading.name} is of {reading.clip}, not {faces.name}")
    if count and last < MOST * count:
        about.append(f"{faces} has {count} frames, {reading.name} ends at {last}; is it that clip?")
    time = reading.table["time"][keys.idxmax()]
    if rate and abs(time - (last - 1) / rate) > max(2 / rate, DRIFT * time):
        when = f"{time:.2f} s in {reading.name} and at {(last - 1) / rate:.2f} s in {faces}"
        about.append(f"frame {last} is at {when}; is it that clip?")
    return about


def common_aus(readings: list[Reading]) -> list[str]:
    """AUs of which each has a column, in FACS order."""
    return sorted(set.intersection(*({name[:4] for name in one.columns} for one in readings)))


def present(table: pd.DataFrame, au: str) -> pd.Series | None:
    """0 or 1: the tool's own occurrence, else probability at least 0.5; an intensity alone gives none."""
    if f"{au}_c" in table:
        return table[f"{au}_c"]
    if f"{au}_p" not in table:
        return None
    probability = table[f"{au}_p"]
    return (probability >= 0.5).astype(float).where(probability.notna())


def graded(table: pd.DataFrame, au: str, kinds: str = "rpc") -> tuple[pd.Series, str]:
    """The finest value of an AU and its scale: intensity, probability, else 0/1; or in another order."""
    ending = next(end for end in kinds if f"{au}_{end}" in table)
    return table[f"{au}_{ending}"], SCALES[ending]


def agreement(readings: list[Reading]) -> pd.DataFrame:
    """A row for each pair of tools and each AU that both have.

    Columns: a, b, au, n (faces that both have), of (faces of the one that has more), kappa (Cohen's, of 0/1),
    r (Pearson's, of the finest values), icc (of two intensities, or two probabilities), scales. NaN where a
    tool has no such values or nothing varies.
    """
    rows = []
    for a, b in combinations(readings, 2):
        pairs = matched(a, b)
        left = a.table.loc[pairs["a"]].reset_index(drop=True)
        right = b.table.loc[pairs["b"]].reset_index(drop=True)
        most = max(len(a.table), len(b.table))
        for au in common_aus([a, b]):
            row = {"a": a.name, "b": b.name, "au": au, "n": len(pairs), "of": most}
            row |= dict.fromkeys(("kappa", "r", "icc"), np.nan)
            calls = present(left, au), present(right, au)
            if all(call is not None for call in calls):
                both = calls[0].notna() & calls[1].notna()
                row["n"] = int(both.sum())
                if len({*calls[0][both], *calls[1][both]}) > 1:
                    row["kappa"] = cohen_kappa_score(calls[0][both].astype(int), calls[1][both].astype(int))
            (x, scale), (y, other) = graded(left, au), graded(right, au)
            row["scales"] = f"{scale} and {other}"
            if SCALES["c"] not in (scale, other):
                row["r"] = pearson(x, y)
                if scale == other:
                    row["icc"] = icc(*pd.concat([x, y], axis=1).dropna().to_numpy(float).T)
            rows.append(row)
    if not rows:
        raise ValueError(f"{', '.join(one.name for one in readings)} have no AU in common")
    return pd.DataFrame(rows)


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of the pairs without NaN; NaN if fewer than two are left, or one side does not vary."""
    x, y = np.asarray([x, y], float)[:, ~np.isnan(x) & ~np.isnan(y)]
    return float(np.corrcoef(x, y)[0, 1]) if len(x) > 1 and np.ptp(x) and np.ptp(y) else np.nan


def scales_of(readings: list[Reading]) -> pd.DataFrame:
    """What each tool wrote: tool, faces, rows without a face, and of each scale its AUs and its range."""
    rows = []
    for one in readings:
        for ending, scale in SCALES.items():
            columns = [name for name in one.columns if name.endswith(f"_{ending}")]
            if columns:
                values = one.table[columns]
                about = {"table": one.name, "tool": one.tool, "faces": len(one.table)}
                about |= {"without a face": one.unseen, "scale": scale, "AUs": len(columns)}
                rows.append(about | {"least": values.min().min(), "most": values.max().max()})
    return pd.DataFrame(rows)


def scores_of_all(readings: list[Reading], labels: Reading) -> pd.DataFrame:
    """`scores` of several tools; their means are over the AUs that all have."""
    common = set(common_aus(readings))
    return pd.concat([scores(one, labels, common=common) for one in readings], ignore_index=True)


def scores(
    reading: Reading, labels: Reading, rows: np.ndarray | None = None, common: set[str] | None = None
) -> pd.DataFrame:
    """A tool against labels (AU01_c) of the same faces: a row per AU, and `mean`.

    Columns: au, n, of (faces with labels; those that the tool lacks count in no score), present (faces with
    the AU), f1, auc, r (against AU01_r where the labels have it) and of f1 and auc the 95 % interval, by
    bootstrap over seconds of a clip, or over pictures.

    Args:
        rows: bool, of `labels.table`; the faces to score, as those of one pose. None takes all.
        common: AUs of the mean, as far as a labelled face shows them; None takes all that can be scored.
    """
    rows = np.ones(len(labels.table), bool) if rows is None else rows
    pairs = matched(reading, labels)
    pairs = pairs[rows[pairs["b"]]]
    known = {name[:4] for name in labels.columns if name.endswith("_c")}
    aus = [au for au in sorted(known) if present(reading.table, au) is not None]
    if not aus or pairs.empty:
        lack = f"{reading.name} and {labels.name} have no labelled AU of a common face"
        raise ValueError(f"{lack}; expected columns AU01_c ... in the labels")
    own = reading.table.loc[pairs["a"]].reset_index(drop=True)
    true = labels.table.loc[pairs["b"]].reset_index(drop=True)
    truth = true[[f"{au}_c" for au in aus]].to_numpy(float)
    calls = np.column_stack([present(own, au) for au in aus])
    # an intensity that follows the probability has ties; they would cost AUC
    finest = np.column_stack([graded(own, au, "prc")[0] for au in aus])
    read = ~np.isnan(calls) & ~np.isnan(finest)
    truth = np.where(read, truth, np.nan)
    second = true["time"].floordiv(BLOCK).fillna(true.index.to_series())
    place = true["place"] if "place" in true else ""
    blocks = (second.astype(str) + " " + true["face_id"].astype(str) + " " + place).to_numpy()
    shown = labels.table.loc[rows, [f"{au}_c" for au in aus]].eq(1).any().to_numpy()
    averaged = shown & [common is None or au in common for au in aus]
    scored = {}
    for measure, values in (("f1", np.nan_to_num(calls)), ("auc", np.nan_to_num(finest))):
        scored[measure] = au_scores(values, truth, blocks, aus)
        if not averaged.all():
            means = au_scores(values, np.where(averaged, truth, np.nan), blocks, aus)
            scored[measure] |= {name: value for name, value in means.items() if name.startswith("mean.")}
    found = []
    for index, au in enumerate([*aus, "mean"]):
        place = "mean" if au == "mean" else f"per_au.{au}"
        row = {"table": reading.name, "au": au, "n": len(pairs), "of": int(rows.sum())}
        if au != "mean":
            row["present"] = scored["f1"][f"{place}.support"]
            level = true[f"{au}_r"].where(read[:, index]) if f"{au}_r" in true else np.full(len(true), np.nan)
            row["r"] = pearson(level, graded(own, au)[0])
        for measure, values in scored.items():
            row |= {f"{measure}{end}": values[f"{place}.{measure}{end}"] for end in ("", "_low", "_high")}
        found.append(row)
    return pd.DataFrame(found)


def readable(scored: pd.DataFrame) -> pd.DataFrame:
    """A table of `scores` for a reader: F1 and AUC x 100 with their intervals as text."""
    table = scored[["table", "au", "n", "of", "present"]].rename(
        columns={"au": "AU", "n": "faces", "of": "of labelled", "present": "faces that show it"}
    )
    table["faces that show it"] = table["faces that show it"].astype("Int64")
    for measure in ("f1", "auc"):
        values = scored[[f"{measure}{end}" for end in ("", "_low", "_high")]].to_numpy(float)
        table[MEASURES[measure].title] = [score_text(*row) for row in values]
    return table.assign(r=scored["r"])


STRATA = (  # condition, name of a stratum, its faces of a rendered clip
    ("pose", "up to 15° aside", "abs(yaw) <= 15"),
    ("pose", "15 to 30°", "15 < abs(yaw) <= 30"),
    ("pose", "more than 30°", "abs(yaw) > 30"),
    ("light", "from the front", "light <= 45"),
    ("light", "from the side", "light > 45"),
    ("cover", "nothing", "covered + hidden <= 0.02"),
    ("cover", "glasses, a hand, people", "covered + hidden > 0.02"),
    ("skin", "light", "skin > 0.4"),
    ("skin", "medium", "0.2 <= skin <= 0.4"),
    ("skin", "dark", "skin < 0.2"),
)


def by_condition(readings: list[Reading], labels: Reading) -> pd.DataFrame:
    """Mean scores of tools for the faces of each stratum of rendered clips: condition, stratum, faces, and
    what `scores` gives for the mean. A stratum without a face is left out."""
    common = set(common_aus(readings))
    rows = []
    for condition, stratum, of in STRATA:
        chosen = labels.table.eval(of).to_numpy(bool)
        if not chosen.any():
            continue
        for one in readings:
            try:
                mean = scores(one, labels, chosen, common).iloc[-1]
            except ValueError:  # the tool sees none of these faces
                mean = pd.Series({"table": one.name, "n": 0})
            about = {"condition": condition, "stratum": stratum, "faces": int(chosen.sum())}
            rows.append(about | dict(mean))
    return pd.DataFrame(rows)


def disagreements(a: Reading, b: Reading) -> pd.DataFrame:
    """The SHOWN faces on which two tools differ most: first those on which one calls an AU present and the
    other does not, then by the difference of their values. A face and a second occur once, an AU three times.

    Columns: au, key, face_id, time, x, y, size (of `a`), a and b (what each wrote, with its scale as in
    "2.15 of 5"), apart (difference of the values as shares of their scales), differ (0 or 1: of the calls).
    """
    pairs = matched(a, b)
    left, right = a.table.loc[pairs["a"]].reset_index(drop=True), b.table.loc[pairs["b"]]
    about = left[["key", "face_id", "time", "x", "y", "size"]]
    rows = []
    for au in common_aus([a, b]):
        x, text_a, call_a = _values(left, au)
        y, text_b, call_b = _values(right, au)
        differ = (call_a != call_b) & ~np.isnan(call_a) & ~np.isnan(call_b)
        found = about.assign(au=au, a=text_a, b=text_b, apart=np.abs(x - y), differ=differ.astype(int))
        rows.append(found.dropna(subset=["apart"]))
    table = pd.concat(rows, ignore_index=True)
    table = table.sort_values(["differ", "apart"], ascending=False, kind="stable").reset_index(drop=True)
    second = table["time"].floordiv(1).fillna(table["key"].map(hash))
    table = table[~pd.DataFrame({"second": second, "face": table["face_id"]}).duplicated()]
    return table[table.groupby("au").cumcount() < 3].head(SHOWN).reset_index(drop=True)


def _values(table: pd.DataFrame, au: str) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The finest value of an AU as a share of its scale, as the tool wrote it, and whether it is present."""
    (values, scale), calls = graded(table, au), present(table, au)
    top, text = {"0/1": (1, "{:.0f}"), "0-1": (1, "{:.2f}"), "0-5": (5, "{:.2f} of 5")}[scale]
    called = np.full(len(values), np.nan) if calls is None else calls.to_numpy(float)
    return values.to_numpy(float) / top, [text.format(value) for value in values], called
