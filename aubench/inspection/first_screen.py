"""What a run reads from the faces it keeps, for the first figure of README and of a run."""

from dataclasses import dataclass

import numpy as np
import torch

from aubench.inspection.attention import enlarged
from aubench.inspection.decoding import decode, load_decoder, shown_input
from aubench.inspection.shown_faces import as_pictures, evenly, kept_faces
from aulib.run import Run


@dataclass(frozen=True)
class FaceRead:
    """One face and its reading.

    picture: (H, H, 3).  network_input: (H, H) luminance or (H, H, 3).  rebuilt: decoded from the features
    that the AUs are read from.  probability, occurrence: (A,), the latter NaN if unknown.
    evidence: (A, H, H), at least 0; None if the run reads AUs from landmark coordinates.
    """

    domain: str
    picture: np.ndarray
    network_input: np.ndarray
    rebuilt: np.ndarray
    probability: np.ndarray
    occurrence: np.ndarray
    evidence: np.ndarray | None


@torch.no_grad()
def read_kept_faces(run: Run, domain: str = "target", count: int = 6) -> tuple[list[FaceRead], tuple]:
    """Some of the faces that a run keeps, read by it, and the run's AUs.

    The faces are those that together show the most AUs by label, whatever the run predicts; evenly spaced
    ones if there are no labels. The fitted decoder decodes them if the run has one (`fit_decoder`), else R.

    Args:
        domain: "source", "target" or "both".  count: faces of each domain.
    """
    model, decoder, read = run.model, load_decoder(run), []
    for each in ("source", "target") if domain == "both" else (domain,):
        faces = kept_faces(run, each, count=None)
        faces = faces[showing_most_aus(faces.occurrence, count)]
        pictures, read_from = faces.pictures, run.settings[f"read_{each}_from"]
        outputs = model.read(pictures, read_from)
        evidence = [None] * len(faces)
        if "evidence" in outputs:
            evidence = enlarged(outputs["evidence"], pictures.shape[-1]).clamp(min=0).numpy()
        parts = (
            as_pictures(pictures),
            shown_input(model, pictures),
            decode(model, outputs["rich" if read_from == "features" else "self"], pictures, decoder),
            outputs["au_logits"].sigmoid().numpy(),
            faces.occurrence,
            evidence,
        )
        read += [FaceRead(each, *values) for values in zip(*parts, strict=True)]
    return read, run.aus


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
