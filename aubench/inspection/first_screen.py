"""What a run reads from the faces it keeps, for the first figure of README and of a run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aubench.inspection.attention import enlarged
from aubench.inspection.decoding import (
    about_decoder,
    decode,
    decode_faces,
    load_decoder,
    shown_input,
    side_of,
)
from aubench.inspection.shown_faces import evenly
from aubench.report.results import read_samples
from aulib.batches import centre_crop
from aulib.run import load_run


@dataclass(frozen=True)
class FaceRead:
    """One face and its reading.

    picture: (H, H, 3).  seen: what the network sees, (H, H) or (H, H, 3).  rebuilt: decoded from the features
    the AUs are read from.  probability, occurrence: (A,), the latter NaN where unknown.  evidence: (A, H, H),
    at least 0; None if the run reads AUs from landmark coordinates.
    """

    domain: str
    picture: np.ndarray
    seen: np.ndarray
    rebuilt: np.ndarray
    probability: np.ndarray
    occurrence: np.ndarray
    evidence: np.ndarray | None


@torch.no_grad()
def read_kept_faces(run: str | Path, domain: str = "target", count: int = 6) -> tuple[list[FaceRead], tuple]:
    """Some of the faces that a run keeps, read by it, and the run's AUs.

    The faces are those that together show the most AUs by label, whatever the run reads from them; evenly
    spaced ones where there are no labels. They are decoded by the fitted decoder if the run has one
    (`decoding.fit_decoder`), else by its own R.

    Args:
        domain: "source", "target" or "both".  count: faces of each domain.
    """
    model, settings = load_run(run)
    decoder = load_decoder(run, model) if about_decoder(run) else None
    read = []
    for each in ("source", "target") if domain == "both" else (domain,):
        samples = read_samples(run, each)
        places = showing_most_aus(samples.occurrence, count)
        images, landmarks = samples.images[places], samples.landmarks[places]
        pictures, _ = centre_crop(images, landmarks, model.config.image_size)
        read_from = settings[f"read_{each}_from"]
        outputs = model.read(pictures, read_from)
        features = outputs["rich" if read_from == "features" else "self"]
        if decoder is None:
            rebuilt = decode(model, features, pictures)
        else:
            rebuilt = decode_faces(decoder, features, side_of(pictures)).permute(0, 2, 3, 1).numpy()
        evidence = [None] * len(places)
        if "evidence" in outputs:
            evidence = enlarged(outputs["evidence"], pictures.shape[-1]).clamp(min=0).numpy()
        parts = (
            pictures.permute(0, 2, 3, 1).numpy(), shown_input(model, pictures), rebuilt,
            outputs["au_logits"].sigmoid().numpy(), samples.occurrence[places], evidence,
        )  # fmt: skip
        read += [FaceRead(each, *values) for values in zip(*parts, strict=True)]
    return read, model.config.aus


def showing_most_aus(occurrence: np.ndarray, count: int) -> list[int]:
    """Places of `count` faces, each chosen for the AUs it adds to those before; (n, A) labels."""
    present = np.nan_to_num(occurrence) == 1
    if not present.any():
        return list(evenly(len(present), count))
    chosen: list[int] = []
    for _ in range(min(count, len(present))):
        gain = (present / (1 + present[chosen].sum(0)) ** 2).sum(1)  # an AU that is shown already counts less
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    return sorted(chosen)
