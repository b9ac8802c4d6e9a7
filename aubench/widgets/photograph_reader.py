"""A photograph uploaded in the browser: its largest face is cropped and read by a run."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from aubench.datasets.face_finding import OK, FoundFace, Picture, find_face, reduction
from aubench.inspection.playground import in_picture, read_crop
from aubench.widgets import drawing
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import failure, message, opened
from aulib.crops import CropSpec, crop_of
from aulib.images import read_picture

SIDE = 400  # pixels of the longer side of a photograph as shown
SHOWN_SIDE = 640  # pixels of the longer side, at most, of a photograph kept in memory


@dataclass(frozen=True)
class Photograph:
    """picture: (H, W, 3) uint8, reduced to be shown.  matrix: (2, 3) from its pixels to the crop's."""

    picture: np.ndarray
    found: FoundFace
    matrix: np.ndarray


def face_of_upload(name: str, content: bytes, spec: CropSpec) -> tuple[Photograph | None, str]:
    """The largest face of an uploaded file, or None; and HTML of a note or of what is wrong.

    Raises:
        ModuleNotFoundError: the detector is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload" + Path(name).suffix)
        path.write_bytes(content)
        found = find_face(Picture(path.parent, path.name, spec))
        if found.status == "no face found":
            text = f"in {name}. Nearly frontal faces larger than 40 pixels are found best."
            return None, message("No face found", text, kind="fault")
        if found.status != OK:
            text = f"{name}: {found.status.replace(str(path), name)}"
            return None, message("This picture cannot be used.", text, kind="fault")
        picture = read_picture(path)
    full_size = picture.size
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    to_full = np.linalg.inv(reduction(full_size, picture.size))
    photograph = Photograph(np.asarray(picture), found, found.matrix @ to_full)
    return photograph, message("Note:", found.note) if found.note else ""


def upload_button(**layout: str) -> widgets.FileUpload:
    return widgets.FileUpload(
        accept="image/*", description="choose a photograph", layout=widgets.Layout(width="200px", **layout)
    )


class PhotographReader(widgets.VBox):
    """Upload a picture: its largest face gets landmarks and AU probabilities; nothing is stored.

    Args:
        run: a run folder; without a finished run, a message names the command that trains one.
    """

    def __init__(self, run: str | Path):
        self.run, problem = opened(run)
        self.newest = NewestWins(self._work, self._show, self._fail)
        self.upload = upload_button().add_class("photograph-upload")
        self.upload.disabled = self.run is None
        self.upload.observe(self._uploaded, "value")
        self.state = widgets.HTML(problem or message("No photograph yet.", "It stays on this machine."))
        self.picture = widgets.Image(
            format="jpeg", layout=widgets.Layout(display="none", max_width=f"{SIDE}px")
        )
        self.bars = widgets.HTML(layout=widgets.Layout(flex="1 1 420px", min_width="400px"))
        row = widgets.Box(
            [self.picture.add_class("photograph-picture"), self.bars.add_class("photograph-bars")],
            layout=widgets.Layout(flex_flow="row wrap", display="flex", align_items="flex-start"),
        )
        super().__init__([self.upload, self.state.add_class("photograph-state"), row])
        self.add_class("photograph-reader")

    def _uploaded(self, change) -> None:
        for file in change["new"]:
            self.state.value = message("Looking for a face", f"in {file['name']} ...")
            self.newest.ask((file["name"], bytes(file["content"])))

    def _work(self, request: tuple[str, bytes]) -> tuple[str, bytes | None, str]:
        photograph, state = face_of_upload(*request, crop_of(self.run.config))
        if photograph is None:
            return state, None, ""
        reading = read_crop(self.run, photograph.found.crop, self.run.settings["read_target_from"])
        landmarks = in_picture(self.run, reading, photograph.matrix)
        if landmarks is None:
            state += message("Note:", "this run learned no landmarks.")
        picture = drawing.jpeg(drawing.with_landmarks(photograph.picture, landmarks, side=SIDE))
        probability = dict(zip(self.run.aus, map(float, reading.probability), strict=True))
        return state, picture, drawing.bars(probability, names=True)

    def _show(self, answer: tuple[str, bytes | None, str]) -> None:
        self.state.value, picture, self.bars.value = answer
        self.picture.layout.display = None if picture else "none"
        self.picture.value = picture or b""

    def _fail(self, error: Exception) -> None:
        self._show((failure("This picture could not be read.", error), None, ""))
