"""Choosing one face: of those a run keeps, of a dataset folder, or of an uploaded photograph."""

from collections.abc import Callable
from functools import lru_cache
from html import escape

import ipywidgets as widgets
import numpy as np

from aubench.widgets.newest import NewestWins
from aubench.widgets.photograph_reader import face_of_upload, upload_button
from aubench.widgets.states import failure, message, readable
from aulib.crops import CropSpec, crop_face, crop_matrix, crop_of
from aulib.dataset import read_dataset
from aulib.images import read_picture
from aulib.run import Run

FOLDER, PHOTOGRAPH = "a dataset folder", "a photograph"


class FacePicker(widgets.VBox):
    """Controls that choose a face; `crop` holds its pixels, or None while there is no face.

    Args:
        run: whose kept faces are offered.
        title: above the controls.
        start: "source" or "target", whose faces are offered first.
        folder: a dataset folder to offer.
        changed: called whenever `crop` changes.
    """

    def __init__(self, run: Run, title: str, start: str, folder: str, changed: Callable[[], None]):
        self._run, self._changed = run, changed
        self._kept = {f"the run's {domain} faces": domain for domain in run.domains_with_samples}
        self.newest = NewestWins(self._work, self._take, self._fail)
        self.crop: np.ndarray | None = None
        style = {"description_width": "50px"}
        first = next((name for name, domain in self._kept.items() if domain == start), FOLDER)
        self.origin = widgets.Dropdown(
            options=[*self._kept, FOLDER, PHOTOGRAPH], value=first, description="from", style=style
        )
        self.folder = widgets.Text(
            folder,
            description="folder",
            placeholder="with manifest.csv",
            style=style,
            continuous_update=False,
        )
        self.number = widgets.BoundedIntText(0, min=0, max=0, description="face", style=style)
        self.upload = upload_button()
        self.said = widgets.HTML(layout={"max_width": "310px"})
        controls = [self.origin, self.folder, self.number, self.upload]
        for control in controls:
            control.layout.width = "310px"
        super().__init__([widgets.HTML(f"<b>{title}</b>"), *controls, self.said])
        self._show_controls()
        self._take(self._work(self._choice()), tell=False)
        for control in controls:
            control.observe(lambda change: self._choose(), "value")

    def _choice(self) -> tuple[str, str, int, tuple]:
        return self.origin.value, self.folder.value.strip(), self.number.value, self.upload.value

    def _show_controls(self) -> None:
        asked = {FOLDER: (self.folder, self.number), PHOTOGRAPH: (self.upload,)}
        for control in (self.folder, self.number, self.upload):
            shown = control in asked.get(self.origin.value, (self.number,))
            control.layout.display = None if shown else "none"

    def _choose(self) -> None:
        """Faces that the run keeps are there at once; a folder may take minutes to render or read."""
        self._show_controls()
        origin, folder, _, uploaded = choice = self._choice()
        if origin == FOLDER or (origin == PHOTOGRAPH and uploaded):
            self.said.value = message("Reading", folder if origin == FOLDER else "the photograph")
            self.newest.ask(choice)
        else:
            self._take(self._work(choice))

    def _work(self, choice: tuple) -> tuple[tuple, np.ndarray | None, str, int | None]:
        """The choice, its crop, a line about it, and the number of faces to choose from."""
        try:
            return choice, *self._face(*choice)
        except (OSError, ValueError) as error:
            return choice, None, failure("No such face.", error), None

    def _face(
        self, origin: str, folder: str, number: int, uploaded: tuple
    ) -> tuple[np.ndarray | None, str, int | None]:
        spec = crop_of(self._run.config)
        if origin == PHOTOGRAPH:
            if not uploaded:
                return None, message("No photograph yet.", "It stays on this machine."), None
            name, content = uploaded[0]["name"], bytes(uploaded[0]["content"])
            found, _, state = face_of_upload(name, content, spec)
            return (found.crop if found else None), state or escape(name), None
        if origin in self._kept:
            samples = self._run.samples(self._kept[origin])
            count, row = len(samples), min(number, len(samples) - 1)
            return samples.images[row], f"{samples.names[row]}, {row + 1} of {count} kept", count
        if not folder:
            raise ValueError("name a dataset folder, or synthetic:wild for the rendered set")
        data = _dataset(readable(folder))
        count, row = len(data), min(number, len(data) - 1)
        return _crop_of_row(data, row, spec), f"{data.table['image'].iloc[row]}, {row + 1} of {count}", count

    def _take(self, answer: tuple[tuple, np.ndarray | None, str, int | None], tell: bool = True) -> None:
        choice, crop, said, count = answer
        if choice != self._choice():  # another choice was made meanwhile
            return
        self.crop, self.said.value = crop, said
        if count:
            self.number.max = count - 1
        if tell:
            self._changed()

    def _fail(self, error: Exception) -> None:
        self.said.value = failure("No such face.", error)


_dataset = lru_cache(maxsize=4)(read_dataset)


def _crop_of_row(data, row: int, spec: CropSpec) -> np.ndarray:
    """One face of a dataset, cropped as `crop_dataset` would, without cropping the whole set."""
    landmarks = data.landmarks[row] if data.num_landmarks else np.full((68, 2), np.nan)
    return crop_face(read_picture(data.image_paths[row]), crop_matrix(landmarks, spec), spec)
