"""Choosing one face: of those a run keeps, of a dataset folder, or of an uploaded photograph."""

from collections.abc import Callable
from functools import lru_cache, partial
from html import escape

import ipywidgets as widgets
import numpy as np

from aubench.widgets.newest import NewestWins
from aubench.widgets.photograph_reader import face_of_upload
from aubench.widgets.states import message
from aulib.crops import CropSpec, crop_face, crop_matrix, crop_of
from aulib.dataset import read_dataset
from aulib.images import read_picture
from aulib.run import Run

FOLDER, PHOTOGRAPH = "a dataset folder", "a photograph"


class FacePicker(widgets.VBox):
    """Where a face comes from and which one it is; `crop` has its pixels, or is None while there is none.

    Args:
        title: what the face is for.
        start: "source" or "target", whose faces are offered first.
        folder: dataset folder offered.
        changed: called whenever `crop` is another.
    """

    def __init__(self, run: Run, title: str, start: str, folder: str, changed: Callable[[], None]):
        self._run, self._changed = run, changed
        self._asked = 0  # an answer to an earlier question comes too late
        self.newest = NewestWins(self._work, self._take, self._fail)
        self.crop: np.ndarray | None = None
        kept = {f"the run's {domain} faces": domain for domain in run.domains_with_samples}
        options = [*kept, FOLDER, PHOTOGRAPH]
        self._kept = kept
        style = {"description_width": "50px"}

        def wide() -> widgets.Layout:  # one each, as they are hidden one by one
            return widgets.Layout(width="310px")

        first = next((name for name, domain in kept.items() if domain == start), options[0])
        self.origin = widgets.Dropdown(
            options=options, value=first, description="from", layout=wide(), style=style
        )
        self.folder = widgets.Text(
            value=folder, description="folder", placeholder="a folder with manifest.csv", layout=wide(),
            style=style, continuous_update=False,
        )  # fmt: skip
        self.number = widgets.BoundedIntText(
            value=0, min=0, max=0, description="face", layout=wide(), style=style
        )
        self.upload = widgets.FileUpload(
            accept="image/*", multiple=False, description="choose a photograph",
            layout=widgets.Layout(width="200px"),
        )  # fmt: skip
        self.said = widgets.HTML(layout=widgets.Layout(max_width="310px"))
        for control in (self.origin, self.folder, self.number):
            control.observe(lambda change: self._choose(), "value")
        self.upload.observe(self._uploaded, "value")
        super().__init__(
            [widgets.HTML(f"<b>{title}</b>"), self.origin, self.folder, self.number, self.upload, self.said]
        )
        self._choose(tell=False)

    def _choose(self, tell: bool = True) -> None:
        origin = self.origin.value
        for control, shown in (
            (self.folder, origin == FOLDER),
            (self.number, origin != PHOTOGRAPH),
            (self.upload, origin == PHOTOGRAPH),
        ):
            control.layout.display = None if shown else "none"
        if origin == PHOTOGRAPH:
            self._answer(lambda: (None, message("No photograph yet.", "It stays on this machine.")), tell)
        elif origin == FOLDER and tell:  # a set may have to be rendered first
            self._ask(lambda: self._crop_of(origin), message("Reading", f"{self.folder.value} ..."))
        else:
            self._answer(lambda: self._crop_of(origin), tell)

    def _answer(self, choose, tell: bool) -> None:
        """At once, for what is at hand."""
        self._asked += 1
        _, self.crop, self.said.value = self._work((self._asked, choose))
        if tell:
            self._changed()

    def _ask(self, choose, meanwhile: str) -> None:
        """Beside the kernel; the face that is shown stays until the answer is there."""
        self._asked += 1
        self.said.value = meanwhile
        self.newest.ask((self._asked, choose))

    def _work(self, request) -> tuple[int, np.ndarray | None, str]:
        asked, choose = request
        try:
            return asked, *choose()
        except (OSError, ValueError) as error:
            return asked, None, message("No such face.", " ".join(str(error).split())[:300], "", "fault")

    def _take(self, answer) -> None:
        asked, crop, state = answer
        if asked == self._asked:
            self.crop, self.said.value = crop, state
            self._changed()

    def _fail(self, error: Exception) -> None:
        self.said.value = message("No such face.", f"{type(error).__name__}: {error}"[:300], "", "fault")

    def _crop_of(self, origin: str) -> tuple[np.ndarray, str]:
        """The chosen face and a line about it; the number is kept within what there is."""
        if origin in self._kept:
            samples = self._run.samples(self._kept[origin])
            place = self._place(len(samples))
            return samples.images[place], f"{samples.names[place]}, {place + 1} of {len(samples)} kept"
        if not self.folder.value.strip():
            raise ValueError("name a dataset folder, or synthetic:wild for the rendered set")
        data = _dataset(self.folder.value.strip())
        place = self._place(len(data))
        crop = _crop_of_row(data, place, crop_of(self._run.config))
        return crop, f"{data.table['image'].iloc[place]}, {place + 1} of {len(data)}"

    def _place(self, available: int) -> int:
        self.number.max = max(0, available - 1)
        return min(self.number.value, available - 1)

    def _uploaded(self, change) -> None:
        for file in change["new"]:
            face_of = partial(self._face_of, file["name"], bytes(file["content"]))
            self._ask(face_of, message("Looking for a face", f"in {file['name']} ..."))

    def _face_of(self, name: str, content: bytes) -> tuple[np.ndarray | None, str]:
        photograph, state = face_of_upload(name, content, crop_of(self._run.config))
        return (photograph.found.crop if photograph else None), state or escape(name)


@lru_cache(maxsize=4)
def _dataset(folder: str):
    return read_dataset(folder)


def _crop_of_row(data, row: int, spec: CropSpec) -> np.ndarray:
    """One face of a dataset, cut as `crop_dataset` would, without cropping the whole set."""
    landmarks = data.landmarks[row] if data.num_landmarks else np.full((68, 2), np.nan)
    return crop_face(read_picture(data.image_paths[row]), crop_matrix(landmarks, spec), spec.size)
