"""A photograph, uploaded or of the browser's camera: its largest face is cropped and read by a run."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import traitlets

from aubench.datasets.face_finding import OK, FoundFace, find_face, reduction
from aubench.inspection.playground import Reading, evidence_strength, in_picture, read_crop
from aubench.widgets import drawing
from aubench.widgets.au_playground import about_evidence
from aubench.widgets.camera import Camera
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import caution, failure, message, opened
from aulib.crops import CropSpec, crop_of
from aulib.images import read_picture

SIDE = 400  # pixels of the longer side of a photograph as drawn
SHOWN_WIDTH = 320  # pixels of its width on the page, at most
MAP_SIDE = 240  # pixels of the run's input as shown
STRONGEST = "the likeliest AU"
LARGEST = 60 * 2**20  # bytes of an upload; the connection closes at `app.LARGEST_UPLOAD` without a word
KEPT_SIDE = 640  # pixels of the longer side, at most, of a photograph kept in memory


class ReadUpload(NamedTuple):
    """What is said about an uploaded file, the JPEG to show, and its reading; None without a face."""

    state: str
    picture: bytes = b""
    reading: Reading | None = None


def face_of_upload(
    name: str, content: bytes, spec: CropSpec
) -> tuple[FoundFace | None, np.ndarray | None, str]:
    """The largest face of an uploaded file, whose matrix is from the pixels of the picture that follows; that
    picture, (H, W, 3) uint8, reduced to be shown; and HTML of a note or of what is wrong. Without a face the
    first two are None.

    Raises:
        ModuleNotFoundError: the detector is not installed.
    """
    if len(content) > LARGEST:
        text = f"{name} has {len(content) / 2**20:.0f} MiB, expected at most {LARGEST / 2**20:.0f}."
        return None, None, message("This picture is too large.", text, kind="fault")
    with tempfile.TemporaryDirectory() as folder:
        suffix = Path(name).suffix
        path = Path(folder, "upload" + (suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ""))
        path.write_bytes(content)
        found = find_face(path.name, path.parent, spec)
        if found.status.startswith("no face found"):
            why = found.status.removeprefix("no face found")
            text = f"in {name}{why}. Nearly frontal faces larger than 40 pixels are found best."
            return None, None, message("No face found", text, kind="fault")
        if found.status != OK:
            text = f"{name}: {found.status.replace(str(path), name)}"
            return None, None, message("This picture cannot be used.", text, kind="fault")
        picture = read_picture(path)
    full_size = picture.size
    picture.thumbnail((KEPT_SIDE, KEPT_SIDE))
    to_full = np.linalg.inv(reduction(full_size, picture.size))
    found = replace(found, matrix=found.matrix @ to_full)
    return found, np.asarray(picture), message("Note:", found.note) if found.note else ""


def upload_button() -> widgets.FileUpload:
    return widgets.FileUpload(accept="image/*", description="choose a photograph", layout={"width": "200px"})


class PhotographReader(widgets.VBox):
    """Upload a picture, or start the camera: the largest face gets landmarks, AU probabilities and a map of
    each AU's evidence.

    Nothing is stored.

    Args:
        run: a run folder; without a finished run, a message names the command that trains one.
    """

    def __init__(self, run: str | Path):
        self.run, problem = opened(run)
        self.aus = [au for au in self.run.aus if au not in self.run.withheld] if self.run else []
        self.newest = NewestWins(self._work, self._show, self._fail)
        self._file: dict | None = None  # the last upload or picture of the camera
        self._read: tuple[dict, ReadUpload] | None = None  # the last file that was read, and its reading
        self.upload = upload_button().add_class("photograph-upload")
        self.upload.disabled = self.run is None
        self.live = widgets.ToggleButton(description="camera", icon="video-camera", disabled=self.run is None)
        self.camera = Camera(self._filmed, self._refused)
        traitlets.link((self.live, "value"), (self.camera, "on"))
        self.followed = widgets.Dropdown(
            options=[STRONGEST, *self.aus],
            description="evidence of", style={"description_width": "76px"}, layout={"width": f"{MAP_SIDE}px"},
        ).add_class("photograph-followed")  # fmt: skip
        self.state = widgets.HTML(problem or message("No photograph yet.", "It stays on this machine."))
        self.picture = widgets.Image(format="jpeg", layout={"max_width": f"{SHOWN_WIDTH}px", "margin": "2px"})
        side = f"{MAP_SIDE}px"
        self.seen = widgets.Image(format="jpeg", layout={"width": side, "height": side, "margin": "2px"})
        self.caption = widgets.HTML(layout={"width": side}).add_class("photograph-caption")
        seen = widgets.VBox([self.followed, self.seen.add_class("photograph-seen"), self.caption])
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start"}
        width = f"{SHOWN_WIDTH + 4}px"  # one below the other in a notebook beside JupyterLab's sidebar
        pictures = widgets.Box(
            [self.picture.add_class("photograph-picture"), seen],
            layout={**wrap, "display": "flex", "flex": f"1 1 {width}", "min_width": width},
        )
        self.bars = widgets.HTML(layout={"flex": "1 1 372px", "min_width": "372px"})
        self.row = widgets.Box(
            [pictures, self.bars.add_class("photograph-bars")], layout={**wrap, "display": "none"}
        )
        first = widgets.HBox([self.upload, self.live.add_class("photograph-live"), self.camera])
        super().__init__([first, self.state.add_class("photograph-state"), self.row])
        self.add_class("photograph-reader")
        self.upload.observe(self._uploaded, "value")
        self.followed.observe(lambda change: self._ask(), "value")
        self.live.observe(self._switched, "value")

    def _uploaded(self, change) -> None:
        for file in change["new"]:
            self.live.value = False
            self.state.value = message("Looking for a face", f"in {file['name']} ...")
            self._file = file
        self._ask()

    def _switched(self, change) -> None:
        if change["new"]:
            self.state.value = message("Waiting for the camera.", "Pictures go to this kernel alone.")

    def _filmed(self, picture: bytes) -> None:
        if self.live.value:
            self._file = {"name": "the camera's picture", "content": picture}
            self._ask()

    def _refused(self, why: str) -> None:
        self.state.value = message("The camera gives no picture.", why, kind="fault")

    def _ask(self) -> None:
        if self._file:
            self.newest.ask((self._file, self.followed.value))

    def _work(self, request: tuple[dict, str]) -> tuple[ReadUpload, str, bytes]:
        """The reading of a file, made once; the AU whose evidence is shown, and its map."""
        file, au = request
        if self._read is None or self._read[0] is not file:
            self._read = file, self._reading_of(file)
        read = self._read[1]
        if (reading := read.reading) is None:
            return read, "", b""
        if au == STRONGEST:
            au = max(self.aus, key=reading.probability.get)
        strength = evidence_strength(self.run, reading, au)
        return read, au, drawing.jpeg(drawing.with_evidence(reading.crop, strength, MAP_SIDE))

    def _reading_of(self, file: dict) -> ReadUpload:
        found, photograph, state = face_of_upload(
            file["name"], bytes(file["content"]), crop_of(self.run.config)
        )
        if found is None:
            return ReadUpload(state)
        reading = read_crop(self.run, found.crop, self.run.settings["read_target_from"])
        landmarks = in_picture(self.run, reading, found.matrix)
        state += caution(self.run)
        if landmarks is None:
            state += message("Note:", "this run learned no landmarks.")
        picture = drawing.jpeg(drawing.with_landmarks(photograph, landmarks, side=SIDE))
        return ReadUpload(state, picture, reading)

    def _show(self, answer: tuple[ReadUpload, str, bytes]) -> None:
        read, au, self.seen.value = answer
        self.state.value, self.picture.value, reading = read
        self.row.layout.display = "flex" if reading else "none"
        bars = text = ""
        if reading:
            bars = drawing.bars(reading.probability, aus=self.aus, names=True)
            text = f"<b>the run's input</b><br>{about_evidence(self.run, au)}"
        self.bars.value = bars
        self.caption.value = f'<div style="line-height:1.3;font-size:12px">{text}</div>'
        if self.live.value:
            self.camera.next()

    def _fail(self, error: Exception) -> None:
        self.live.value = False
        self._show((ReadUpload(failure("This picture could not be read.", error)), "", b""))
