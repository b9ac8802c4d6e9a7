"""A detector adapted to one's own photographs without labels [ours].

Each AU gets the bias with which it is called present on as many photographs as its base rate says: on another
domain 0.5 means little, but the order of the faces carries over. If asked, the training goes on before that,
from the detector's weights, with rendered faces as labelled source and the photographs as unlabelled target.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from aubench.datasets import photographs as pictures
from aubench.datasets.converters.emotionet import RATES_BY_HAND
from aubench.datasets.picture_files import list_pictures
from aubench.inference.predict import OK, contrasts_of, has_manifest, predict
from aulib.dataset import read_dataset
from aulib.expressions import log_odds
from aulib.files import refuse_used
from aulib.networks import AUHead
from aulib.run import CONFIG, HISTORY, METRICS, SAMPLES, Run, save_model
from aulib.train_run import train_run

SOURCE = "synthetic:varied?n=1500"
RATES = RATES_BY_HAND  # of EmotioNet, pictures from the web labelled by hand
RARE = 0.05  # of an AU whose base rate is not known
OF_REAL_FACES = ("withheld", "largest_entropy")  # settings that an adapted run takes over
NEVER = 0.05  # a probability below this is not called present, however rarely the AU is read
MIN_FACES = 50  # of fewer a share of a few per cent is less than one or two faces


def adapt(
    run: str | Path,
    photographs: str | Path,
    out: str | Path,
    rates: dict[str, float] | None = None,
    steps: int = 0,
    source: str = SOURCE,
) -> dict[str, pd.DataFrame | dict]:
    """Adapt a run to photographs, and write the new run folder.

    Args:
        photographs: any folder of pictures, which are prepared into `out`/faces, or a dataset folder; none of
            its labels is read for the adaptation.
        rates: AU -> share of faces that show it, in (0, 1); for others RATES, else RARE.
        steps: of the training; 0 shifts the run as it is. On the photographs that designs were chosen on, 200
            steps did not order the faces better (docs/real-faces.md).
        source: labelled faces of the training.

    Returns:
        "rates": a row for each AU, `au`, `base_rate`, and the shares called present `before` and `after`;
        where expressions are labelled also "contrasts": `before` and `after`, each `ContrastScores.summary`.

    Raises:
        ValueError: fewer than MIN_FACES faces, a rate outside (0, 1) or of an AU that the run does not know,
            or a run that reads AUs from landmark positions.
        FileExistsError: `out` is a run already, or holds files that are of no adaptation.
    """
    opened, out = Run(run), Path(out)
    rates = rates or {}
    if unknown := sorted(set(rates) - set(opened.aus)):
        raise ValueError(f"rates name {', '.join(unknown)}; {run} reads {', '.join(opened.aus)}")
    if wrong := [f"{au} {rate:g}" for au, rate in rates.items() if not 0 < rate < 1]:
        raise ValueError(f"rate of {wrong[0]}: expected a share of faces between 0 and 1, as 0.5")
    if not isinstance(opened.model.au_head, AUHead):
        raise ValueError(f"{run} reads AUs from landmark positions, and its logits cannot be shifted")
    if (out / CONFIG).exists():
        raise FileExistsError(f"{out} is a run already; choose another folder")
    there = {path.name for path in out.iterdir() if path.name[0] != "."} if out.is_dir() else {""}
    if not there or there - {"faces", "training"}:  # which an earlier call leaves
        refuse_used(out)
    faces = Path(photographs)
    if not has_manifest(faces):
        _refuse_few(photographs, len(list_pictures(photographs)[0]), "pictures")
        faces = out / "faces"
        pictures.prepare(photographs, faces)
    before = predict(run, faces, all_aus=True)
    _refuse_few(photographs, int((before["status"] == OK).sum()), "faces")
    trained, read = opened, before
    if steps:
        names = ("method", "preset", "seed", "backbone", "weights", "batch_size", "precision")
        same = {name: opened.settings[name] for name in names}
        same |= {name: value for name, value in opened.settings["preset_values"].items() if value is not None}
        same |= {"steps": steps, "separation_starts": 0.0, "ramp": 0.0}  # both rounds from the first step on
        trained = Run(out / "training")
        train_run(source, str(faces), out_dir=str(trained.path), insides=False, begins_with=run, **same)
        read = predict(trained.path, faces, all_aus=True)
    wanted = {au: rates.get(au, RATES.get(au, RARE)) for au in opened.aus}
    of_real_faces = {name: opened.settings[name] for name in OF_REAL_FACES if name in opened.settings}
    shift_to(out, trained, read, wanted, of_real_faces)
    read = {"before": before, "after": predict(out, faces, all_aus=True)}
    shares = pd.DataFrame({"au": opened.aus, "base_rate": wanted.values()})
    for name, table in read.items():
        shares[name] = [float(table[f"{au}_c"].mean()) for au in opened.aus]
    if "meta_expression" not in read_dataset(faces).table:
        return {"rates": shares}
    contrasts = {name: contrasts_of(table, faces, opened.withheld).summary() for name, table in read.items()}
    return {"rates": shares, "contrasts": contrasts}


def _refuse_few(photographs: str | Path, number: int, what: str) -> None:
    if number < MIN_FACES:
        raise ValueError(f"{photographs} has {number} {what}, too few to adapt to; expected {MIN_FACES}")


def shift_to(out: Path, run: Run, predictions: pd.DataFrame, rates: dict[str, float], more: dict) -> None:
    """Write a run with its logits shifted: each AU is called present on as many faces as its rate says.

    Args:
        out: the new run's folder.  predictions: of `run`, with all AUs.
        rates: a share in (0, 1) for each AU of the run.  more: settings that are added.
    """
    read = predictions[predictions["status"] == OK]
    odds = log_odds(read[[f"{au}_p" for au in run.aus]].to_numpy(float))
    wanted = [rates[au] for au in run.aus]
    shift = np.array([np.quantile(column, 1 - rate) for column, rate in zip(odds.T, wanted, strict=True)])
    shift = np.maximum(shift, log_odds(np.array(NEVER)))
    with torch.no_grad():
        run.model.au_head.bias -= torch.from_numpy(shift).to(run.model.au_head.bias)
    out.mkdir(parents=True, exist_ok=True)
    for name in (HISTORY, SAMPLES, METRICS):
        shutil.copy(run.path / name, out / name)
    fitted = {"fitted_to": {"faces": len(read), "rates": rates}}
    save_model(out, run.model, dict(run.settings) | fitted | more)
