"""A clip with its AUs: a slider through time moves the picture, the bars and the time lines together."""

import ipywidgets as widgets
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from aubench.datasets.videos import Clip
from aubench.plots.clips import preview_frames
from aubench.widgets.drawing import jpeg

MOST = 400  # frames that are kept, so that a long clip stays small; of longer ones each n-th is shown
WIDEST = 820  # pixels


class ClipPlayer(widgets.VBox):
    """Plays and scrubs a clip with what was read on it. Nothing leaves this machine.

    Args:
        clip: the video, or folder of frames.
        table: what `predict_clip` made of it.
    """

    def __init__(self, clip: Clip, table: pd.DataFrame):
        frames = table["frame"].nunique()
        every = -(-frames // MOST)
        shown = set(table["frame"].drop_duplicates().iloc[::every])
        self.frames: list[tuple[float, bytes]] = []
        drawn = preview_frames(clip, table, shown)
        for time, picture in tqdm(drawn, "drawing", len(shown), unit="frame", leave=False):
            small = Image.fromarray(picture)
            small.thumbnail((WIDEST, 10_000))
            self.frames.append((time, jpeg(small)))
        last = len(self.frames) - 1
        seconds = self.frames[-1][0] - self.frames[0][0]
        step = round(1000 * seconds / max(1, last)) or 40
        self.play = widgets.Play(min=0, max=last, interval=max(40, step), repeat=False)
        self.place = widgets.IntSlider(min=0, max=last, readout=False, layout={"width": "60%"})
        self.time = widgets.Label().add_class("clip-time")
        self.picture = widgets.Image(format="jpeg", layout={"max_width": "100%"}).add_class("clip-picture")
        widgets.jslink((self.play, "value"), (self.place, "value"))
        super().__init__([widgets.HBox([self.play, self.place, self.time]), self.picture])
        self.add_class("clip-player")
        self.place.observe(lambda change: self._show(), "value")
        self._show()

    def _show(self) -> None:
        time, picture = self.frames[self.place.value]
        self.picture.value = picture
        self.time.value = f"{time:.2f} s"
