"""The package's detector on rendered clips: intensity over time, onsets, who is who, frames a second.

    python benchmarks/clips.py

Renders clips of both domains with known AUs (of one person and of two who cross), reads each as `aulib
predict` does, and writes results/clips.json. The seeds were used for nothing else.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from record import parser_of

from aubench.datasets.videos import Clip, synthetic_clip
from aubench.inference.clips import predict_clip
from aubench.report.agreement import matched, read_tool
from aulib import pretrained
from aulib.files import write_json

FPS, SECONDS, SIZE = 25, 8, 640


def of_one(table: pd.DataFrame, truth: pd.DataFrame) -> dict:
    """Correlation and mean absolute difference of AU12's intensity as read and as rendered, how many frames
    late its onsets are found, and the share of frames with a face."""
    both = truth.merge(table, on="frame", suffixes=("_true", ""))
    seen = both[both["success"] == 1]
    starts = np.flatnonzero(np.diff(both["AU12_c_true"].to_numpy()) == 1) + 1
    found = np.flatnonzero(np.diff(both["AU12_c"].fillna(0).to_numpy(float)) == 1) + 1
    late = [int(found[np.abs(found - start).argmin()] - start) if len(found) else None for start in starts]
    rendered, read = seen["AU12_r_true"], seen["AU12_r"]
    r = np.corrcoef(rendered, read)[0, 1] if len(seen) > 1 else np.nan
    return {
        "r": float(r),
        "error": float((rendered - read).abs().mean()),
        "onsets": late,
        "seen": float((both["success"] == 1).mean()),
    }


def of_two(read: Path, labels: Path) -> dict:
    """Whether nobody has two numbers and no number is of two people, and who is read before and after the two
    cross; frames in which less than a third of a face is hidden."""
    tool, truth = read_tool(read), read_tool(labels)
    pairs = matched(tool, truth)
    true = truth.table.loc[pairs["b"]].reset_index(drop=True)
    number = tool.table.loc[pairs["a"], "face_id"].reset_index(drop=True)
    clear = true["hidden"] < 1 / 3
    seen = pd.DataFrame({"person": true["face_id"], "number": number, "late": true["time"] > SECONDS / 2})[
        clear
    ]
    own = seen.groupby("person")
    kept = own["number"].nunique().max() == 1 and seen.groupby("number")["person"].nunique().max() == 1
    both = own["late"].nunique()
    return {"kept": bool(kept), "both_seen": bool(len(both) == 2 and (both == 2).all())}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clips", type=int, default=8, help="of each kind")
    given = parser.parse_args()
    found: dict = {}
    for domain in ("studio", "wild"):
        one, two, seconds = [], [], []
        for seed in range(2200, 2200 + given.clips):
            for people in (1, 2):
                with tempfile.TemporaryDirectory() as folder:
                    film, out = Path(folder, "clip.mp4"), Path(folder, "read.csv")
                    labels = synthetic_clip(film, domain, SECONDS, FPS, people, seed, SIZE)
                    began = time.perf_counter()
                    table = predict_clip(pretrained().path, Clip(film), out)
                    if people == 1:
                        seconds.append((time.perf_counter() - began) / (FPS * SECONDS))
                        one.append(of_one(table, pd.read_csv(labels)))
                    else:
                        two.append(of_two(out, labels))
        found[domain] = {"one": one, "two": two, "seconds_a_frame": seconds}
        summaries = {name: summary(clips) for name, clips in found.items()}
        about = {"fps": FPS, "seconds": SECONDS, "size": SIZE, "clips": given.clips}
        write_json(Path("results/clips.json"), {**about, "domains": summaries, "each": found})
        print(domain, summary(found[domain]))


def summary(found: dict) -> dict:
    """What is reported of a domain's clips."""
    r = [clip["r"] for clip in found["one"]]
    late = [frames for clip in found["one"] for frames in clip["onsets"]]
    crossings = [clip for clip in found["two"] if clip["both_seen"]]
    return {
        "r": float(np.nanmedian(r)),
        "least_r": float(np.nanmin(r)),
        "error": float(np.nanmean([clip["error"] for clip in found["one"]])),
        "onsets": len(late),
        "within_two": sum(frames is not None and abs(frames) <= 2 for frames in late) / len(late),
        "crossings": len(crossings),
        "kept": sum(clip["kept"] for clip in crossings),
        "seen": float(np.mean([clip["seen"] for clip in found["one"]])),
        "frames_a_second": 1 / float(np.median(found["seconds_a_frame"])),
        "least_frames_a_second": 1 / max(found["seconds_a_frame"]),
    }


if __name__ == "__main__":
    main()
