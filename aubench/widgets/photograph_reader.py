"""A photograph uploaded in the browser: its largest face, cropped and read by a run."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from aubench.datasets.face_finding import OK, FoundFace, Picture, find_face, reduction
from aubench.inspection.playground import in_picture, read_crop
from aubench.widgets import drawing
from aubench.widgets.bars import bars
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message, opened
from aulib.crops import CropSpec, crop_of
from aulib.images import read_picture

SIDE = 400  # pixels of the longer side of a photograph as shown


class PhotographReader(widgets.VBox):
    """Upload a picture: its largest face gets landmarks and AU probabilities; nothing is stored.

    Args:
        run: a run folder; without a finished run there the state says what to do.
    """

    def __init__(self, run: str | Path):
        self.run, state = opened(run)
        self.newest = NewestWins(self._work, self._show, self._fail)
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="choose a photograph", disabled=self.run is None,
            layout=widgets.Layout(width="200px"),
        ).add_class("photograph-upload")  # fmt: skip
        self.upload.observe(self._uploaded, "value")
        self.state = widgets.HTML(state or message("No photograph yet.", "It stays on this machine."))
        self.state.add_class("photograph-state")
        self.picture = widgets.Image(
            format="jpeg", layout=widgets.Layout(display="none", max_width=f"{SIDE}px")
        )
        self.picture.add_class("photograph-picture")
        self.bars = widgets.HTML(layout=widgets.Layout(flex="1 1 420px", min_width="400px"))
        self.bars.add_class("photograph-bars")
        row = widgets.Box(
            [self.picture, self.bars],
            layout=widgets.Layout(flex_flow="row wrap", display="flex", align_items="flex-start"),
        )
        super().__init__([self.upload, self.state, row])
        self.add_class("photograph-reader")

    def read(self, name: str, content: bytes) -> None:
        """Have a file read; the answer appears when it is there."""
        self.state.value = message("Looking for a face", f"in {name} ...")
        self.newest.ask((name, content))

    def _uploaded(self, change) -> None:
        for file in change["new"]:
            self.read(file["name"], bytes(file["content"]))

    def _work(self, request):
        name, content = request
        photograph, state = face_of_upload(name, content, crop_of(self.run.model.config))
        if photograph is None:
            return state, None, None
        reading = read_crop(self.run, photograph.found.crop, self.run.settings["read_target_from"])
        landmarks = in_picture(self.run, reading, photograph.matrix)
        drawn = drawing.with_landmarks(photograph.picture, landmarks, side=SIDE)
        if landmarks is None:
            state += message("Note:", "this run learned no landmarks.")
        return (
            state,
            drawing.jpeg(drawn),
            dict(zip(self.run.aus, map(float, reading.probability), strict=True)),
        )

    def _show(self, answer) -> None:
        self.state.value, picture, probability = answer
        self.picture.layout.display = "none" if picture is None else None
        if picture is not None:
            self.picture.value = picture
        self.bars.value = bars(probability, names=True) if probability else ""

    def _fail(self, error: Exception) -> None:
        cause = " ".join(str(error).split())[:300]
        self._show(
            (
                message("This picture could not be read.", f"{type(error).__name__}: {cause}", "", "fault"),
                None,
                None,
            )
        )


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
