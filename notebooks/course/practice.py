"""Small sets and small runs for lessons: a minute of training, done once and found again [C].

They learn from fewer faces in fewer steps than the demo's, so they are worse; what a lesson shows on them is
how things work, not how well.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from aubench.study.live_curve import LiveCurve
from aulib.files import code_version
from aulib.run import METRICS

STUDIO = "synthetic:studio?n=800&seed=0"
WILD = "synthetic:wild?n=800&seed=0"
STEPS = 240


def practice_run(
    folder: str | Path,
    method: str = "full",
    *,
    steps: int = STEPS,
    seed: int = 0,
    source: str = STUDIO,
    target: str = WILD,
    progress: bool = True,
    **changes: Any,
) -> Path:
    """The run folder of one small run below `folder`: found if it was finished, resumed or trained if not.

    Args:
        folder: lessons that name the same one share their runs.
        progress: show a bar and the loss while it trains.
        changes: anything else that `aulib.train_run.train_run` takes.

    Raises:
        ValueError: what `aulib.train_run.train_run` refuses.
    """
    values = {"method": method, "steps": steps, "seed": seed, "source": source, "target": target} | changes
    made_by = json.dumps([values, code_version()], sort_keys=True)
    run = Path(folder) / f"{method}-seed{seed}-{hashlib.sha256(made_by.encode()).hexdigest()[:8]}"
    if not (run / METRICS).is_file():
        from aulib.train_run import train_run

        watched = LiveCurve() if progress else None
        train_run(out_dir=str(run), progress=progress, insides=False, on_log=watched, **values)
    return run
