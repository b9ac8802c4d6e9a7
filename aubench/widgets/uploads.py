"""A photograph handed over in the browser -> a face crop, or a state that says why not."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aubench.datasets.face_finding import OK, FoundFace, Picture, find_face, reduction
from aubench.widgets.states import message
from aulib.crops import CropSpec
from aulib.images import read_picture

SHOWN_SIDE = 640  # pixels; a photograph is shown no larger


@dataclass(frozen=True)
class Photograph:
    """picture: (H, W, 3) uint8, reduced to be shown.  matrix: (2, 3) from its pixels to the crop's."""

    picture: np.ndarray
    found: FoundFace
    matrix: np.ndarray


def face_of_upload(name: str, content: bytes, spec: CropSpec) -> tuple[Photograph | None, str]:
    """The largest face of an uploaded file, or None and the HTML of the state to show instead."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload" + Path(name).suffix)
        path.write_bytes(content)
        try:
            found = find_face(Picture(path.parent, path.name, spec))
        except ModuleNotFoundError as error:
            return None, message("No detector.", str(error), kind="fault")
        if found.status == "no face found":
            text = f"in {name}. Faces from the front or nearly so, larger than 40 pixels, are found best."
            return None, message("No face found", text, kind="fault")
        if found.status != OK:
            return None, message(
                "This picture cannot be used.",
                f"{name}: {found.status.replace(str(path), name)}",
                kind="fault",
            )
        picture = read_picture(path)
    full_size = picture.size
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    to_full = np.linalg.inv(reduction(full_size, picture.size))
    photograph = Photograph(np.asarray(picture), found, found.matrix @ to_full)
    return photograph, message("Note:", found.note) if found.note else ""
