"""Several runs compared: finding and naming them, their scores per AU, the same faces."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from aubench.inspection.attention import evidence_maps
from aubench.inspection.decoding import shown_input
from aubench.inspection.playground import brightest, open_run
from aubench.inspection.shown_faces import evenly
from aulib.batches import centre_crop
from aulib.metrics import AU_MEASURES
from aulib.run import METRICS, NoFinishedRun, Run


def finished_below(folder: str | Path) -> list[str]:
    """Finished runs in a folder or up to three folders below it, sorted; none that lacks a file."""
    depths = ("", "*/", "*/*/", "*/*/*/")
    found = [path.parent for depth in depths for path in Path(folder).glob(depth + METRICS)]
    return sorted(path.as_posix() for path in found if not Run(path).missing)


def runs_by_name(entries: list[str]) -> dict[str, str]:
    """Run folders by a short name: runs, and folders such as a study's, which stand for all their runs.

    A run of a study, `without-shape-source-seed0-537ad5e2`, is called by its variant, and by its seed too
    where two would be called the same; any other run by its folder.

    Raises:
        NoFinishedRun: there is none in an entry.
        ValueError: two runs would still be called the same.
    """
    runs = []
    for entry in entries:
        if not (found := finished_below(entry)):
            raise NoFinishedRun(
                f"{entry} holds no finished run: `aulib run 02_train --out {entry}` makes one, `make demo` "
                "those in results/demo, and `aulib study experiments/NAME.yml` those in results/NAME."
            )
        runs += [run for run in found if run not in runs]
    for called in (r"\1", r"\1-seed\2", r"\g<0>"):
        names = [re.sub(r"(.+)-seed(\d+)-[0-9a-f]{8}", called, Path(run).name) for run in runs]
        if len(set(names)) == len(names):
            return dict(zip(names, runs, strict=True))
    raise ValueError(f"several runs are called {max(names, key=names.count)}; give their folders other names")


def run_names(runs: list[str]) -> dict[str, str]:
    """A short name of each run: "full, seed 0", and its folder too where two would be called the same."""
    settings = {run: Run(run).settings for run in runs}
    names = {run: f"{each['method']}, seed {each['seed']}" for run, each in settings.items()}
    taken = list(names.values())
    return {
        run: name if taken.count(name) == 1 else f"{name} ({Path(run).name})" for run, name in names.items()
    }


def per_au_of_runs(runs: list[str], measure: str = "f1") -> pd.DataFrame:
    """Scores on the target; rows are AUs in the runs' order, columns the runs; NaN without a score.

    Raises:
        ValueError: unknown measure, or runs tested on different sets.
    """
    if measure not in AU_MEASURES:
        raise ValueError(f"measure {measure!r} is none of {', '.join(AU_MEASURES)}")
    versions = {run: Run(run).settings["data_versions"]["target"] for run in runs}
    if len(set(versions.values())) > 1:
        raise ValueError(f"the runs were tested on different target sets and cannot be compared: {versions}")
    columns = {}
    for run in map(Run, runs):
        keys = {au: f"target.per_au.{au}.{measure}" for au in run.aus}
        columns[str(run.path)] = {au: run.metrics[key] for au, key in keys.items() if key in run.metrics}
    return pd.DataFrame(columns)


def curves_of_any(histories: list[pd.DataFrame]) -> list[str]:
    """The columns of any history that make sense over steps, validation_f1 first."""
    curves = [one.drop(columns=["step", "seconds"]).dropna(axis=1, how="all") for one in histories]
    return sorted(
        dict.fromkeys(name for one in curves for name in one), key=lambda name: name != "validation_f1"
    )


def kept_probabilities(runs: list[str], au: str) -> pd.DataFrame:
    """Each run's probability of one AU on the target faces that all of them keep.

    Returns:
        index: the face's name in its set; columns: `true` (0, 1, NaN unknown) and each run's probability (NaN
        if it does not know the AU); faces in the first run's order.

    Raises:
        ValueError: the runs keep no face in common.
    """
    columns = [f"{au}_true", f"{au}_p"]
    kept = {run: Run(run).predictions(samples_only=True).set_index("image") for run in runs}
    tables = {run: table.reindex(columns=columns) for run, table in kept.items()}
    table = pd.concat(tables, axis=1, join="inner").astype(float)
    if table.empty:
        raise ValueError("the runs keep no target face in common; were they tested on the same set?")
    probability = table.xs(f"{au}_p", axis=1, level=1)
    probability.insert(0, "true", table.xs(f"{au}_true", axis=1, level=1).max(axis=1))
    return probability


@dataclass(frozen=True)
class SameFaces:
    """Faces that all runs keep.

    table: their rows of `kept_probabilities`.  pictures: (n, S, S, 3) uint8.  network_input: run -> (n, H, H)
    luminance or (n, H, H, 3).  evidence: run -> (n, H, H) in units of the run's brightest evidence, None
    without a map.
    """

    table: pd.DataFrame
    pictures: np.ndarray
    network_input: dict[str, np.ndarray]
    evidence: dict[str, np.ndarray | None]


def same_faces(runs: list[str], au: str = "AU12", count: int = 5) -> SameFaces:
    """Evenly spaced target faces that all runs keep, with each run's evidence for one AU.

    Raises:
        ValueError: the runs keep no face in common.
    """
    table = kept_probabilities(runs, au)
    table = table.iloc[evenly(len(table), count)]
    network_input, evidence = {}, {}
    for run in runs:
        opened = open_run(run)
        samples = opened.samples("target")
        places = [list(samples.names).index(name) for name in table.index]
        images = samples.images[places]
        pictures, _ = centre_crop(images, samples.landmarks[places], opened.config.image_size)
        network_input[run], evidence[run] = shown_input(opened.model, pictures), None
        if not opened.config.au_from_landmarks and au in opened.aus:
            maps, _ = evidence_maps(opened.model, pictures, opened.settings["read_target_from"])
            index = opened.aus.index(au)
            evidence[run] = maps[:, index].numpy() / brightest(opened)[index]
    return SameFaces(table, images, network_input, evidence)
