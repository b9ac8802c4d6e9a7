"""A photograph uploaded in the browser, and what a run reads from it."""

from pathlib import Path

import ipywidgets as widgets

from aubench.inference.predict import crop_spec
from aubench.inspection.playground import in_picture, read_crop
from aubench.widgets import drawing
from aubench.widgets.bars import bars
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message, opened
from aubench.widgets.uploads import face_of_upload

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
        photograph, state = face_of_upload(name, content, crop_spec(self.run.model.config))
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
