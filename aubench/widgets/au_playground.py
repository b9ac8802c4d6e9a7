"""The AU playground: sliders move a rendered face, and what a run reads from it follows."""

import json
import time
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image

from aubench.inspection.playground import Controls, Played, brightest, drawn_controls, render_and_read
from aubench.widgets import drawing
from aubench.widgets.bars import ROW, bars
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import message, opened
from aufaces.actions import AUS
from aulib.labels import AU_NAMES
from aulib.run import Run

SIDE = 240  # pixels of both pictures on the page
MOVED_LAST = "the AU moved last"
SCENE = {  # control: name, lowest, highest, step
    "yaw": ("turn, °", -45, 45, 1),
    "pitch": ("nod, °", -25, 25, 1),
    "roll": ("tilt, °", -30, 30, 1),
    "light_side": ("light from side, °", -85, 85, 1),
    "light_height": ("light from above, °", -20, 70, 1),
    "soft_light": ("soft light", 0, 1.5, 0.05),
}

# a readout as wide as its number leaves the slider more room
STYLE = "<style>.au-playground .widget-readout { min-width: 38px; width: 38px; }</style>"


class AUPlayground(widgets.VBox):
    """Sliders for sixteen AUs, pose, light, domain and seed; picture, landmarks, evidence and bars follow.

    Args:
        run: a run folder; without a finished run there the face still moves and the state says what to do.
        out_dir: where "keep this face" writes picture and numbers.
    """

    def __init__(self, run: str | Path, out_dir: str | Path = "results/playground"):
        self.run, self._at_rest = opened(run)
        self.out_dir = Path(out_dir)
        self.played: Played | None = None
        self.evidence_of = "AU12"
        self._held = False
        self.newest = NewestWins(self._work, self._show, self._fail)
        self._build_controls()
        self.state = widgets.HTML(self._at_rest).add_class("au-playground-state")
        self.said = widgets.HTML().add_class("au-said")
        super().__init__([widgets.HTML(STYLE), self.state, self._arranged(), self.said])
        self.add_class("au-playground")
        self._show(self._work(self._request()))  # the first picture is there when the cell ends

    # what the widgets are

    def _build_controls(self) -> None:
        named = {"description_width": "176px"}
        self.sliders = {
            au: widgets.FloatSlider(
                value=0, min=0, max=5, step=0.1, description=f"{au} {AU_NAMES[au]}", readout_format=".1f",
                style=named, layout=widgets.Layout(width="324px", height=f"{ROW}px", margin="0"),
                tooltip="intensity, 0 to 5",
            ).add_class(au)
            for au in AUS
        }  # fmt: skip
        start, narrow = Controls(), {"description_width": "136px"}
        self.scene = {
            name: widgets.FloatSlider(
                value=getattr(start, name), min=low, max=high, step=step, description=text, style=narrow,
                readout_format=".2f" if step < 1 else ".0f", layout=widgets.Layout(width="300px"),
            ).add_class(name)
            for name, (text, low, high, step) in SCENE.items()
        }  # fmt: skip
        wide = widgets.Layout(width="300px")
        self.domain = widgets.Dropdown(
            options=["studio", "wild"], description="domain", style=narrow, layout=wide
        ).add_class("domain")
        self.seed = widgets.BoundedIntText(
            value=1, min=1, max=9999, description="seed (who)", style=narrow, layout=wide
        ).add_class("seed")
        self.followed = widgets.Dropdown(
            options=[MOVED_LAST, *(self.run.aus if self.run else ())],
            description="evidence of", style=narrow, layout=wide,
        ).add_class("followed")  # fmt: skip
        self.truth = widgets.Checkbox(
            value=False, description="show true landmarks", indent=False, layout=widgets.Layout(width="300px")
        )
        self.neutral = widgets.Button(description="all AUs to 0", tooltip="a face at rest")
        self.frontal = widgets.Button(
            description="straight, even light", tooltip="pose and light as at first"
        )
        self.draw = widgets.Button(description="draw a face", tooltip="AUs, pose and light as the domain has")
        self.keep = widgets.Button(description="keep this face", tooltip=f"writes it to {self.out_dir}")
        for au, slider in self.sliders.items():
            slider.observe(lambda change, au=au: self._moved(au), "value")
        for control in (*self.scene.values(), self.domain, self.seed, self.followed, self.truth):
            control.observe(lambda change: self._ask(), "value")
        self.neutral.on_click(lambda button: self.set_controls(intensity=(0.0,) * len(AUS)))
        self.frontal.on_click(lambda button: self.set_controls(**{k: getattr(start, k) for k in SCENE}))
        self.draw.on_click(lambda button: self._draw_a_face())
        self.keep.on_click(lambda button: self._keep())
        self.face, self.seen = _live_picture("au-face"), _live_picture("au-seen")
        self.face_caption, self.seen_caption = widgets.HTML(), widgets.HTML()
        self.bars = widgets.HTML(layout=widgets.Layout(flex="1 1 230px", min_width="230px", margin="0"))
        self.bars.add_class("au-bars")

    def _arranged(self) -> widgets.Widget:
        """Three boxes in a row at 1280 pixels, below each other on a narrow page."""
        wrap = {"flex_flow": "row wrap", "display": "flex", "overflow": "visible"}
        pictures = widgets.Box(
            [widgets.VBox([self.face, self.face_caption]), widgets.VBox([self.seen, self.seen_caption])],
            layout=widgets.Layout(**wrap, flex=f"1 1 {SIDE + 8}px", min_width=f"{SIDE + 8}px"),
        )
        aus = widgets.HBox(
            [widgets.VBox(list(self.sliders.values()), layout=widgets.Layout(flex="0 0 324px")), self.bars],
            layout=widgets.Layout(flex="1 1 554px", min_width="554px", overflow="visible"),
        )
        buttons = widgets.Box(
            [self.neutral, self.frontal, self.draw, self.keep], layout=widgets.Layout(**wrap, width="310px")
        )
        scene = widgets.Box(
            [self.domain, self.seed, *self.scene.values(), self.followed, self.truth, buttons],
            layout=widgets.Layout(**wrap, flex="1 1 310px", min_width="310px"),
        )
        return widgets.Box([pictures, aus, scene], layout=widgets.Layout(**wrap, align_items="flex-start"))

    # from controls to answers

    @property
    def controls(self) -> Controls:
        levels = tuple(slider.value for slider in self.sliders.values())
        scene = {name: slider.value for name, slider in self.scene.items()}
        return Controls(levels, domain=self.domain.value, seed=self.seed.value, **scene)

    def set_controls(self, **values) -> None:
        """Move several controls at once (fields of Controls); one answer is asked for."""
        known = {field.name for field in fields(Controls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"no control is called {unknown}; there are {sorted(known)}")
        with self._all_at_once():
            for name, value in values.items():
                if name == "intensity":
                    for slider, level in zip(self.sliders.values(), value, strict=True):
                        slider.value = level
                else:
                    control = self.scene.get(name) or {"domain": self.domain, "seed": self.seed}[name]
                    control.value = value

    @contextmanager
    def _all_at_once(self):
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._ask()

    def _moved(self, au: str) -> None:
        if not self._held:
            self.evidence_of = au
        self._ask()

    def _ask(self) -> None:
        if not self._held:
            self.newest.ask(self._request())

    def _request(self) -> tuple[Controls, str, bool]:
        followed = self.followed.value
        return self.controls, self.evidence_of if followed == MOVED_LAST else followed, self.truth.value

    def _work(self, request):
        controls, au, truth = request
        began = time.perf_counter()
        played = render_and_read(self.run, controls)
        true = played.true_landmarks if truth else None
        face = drawing.jpeg(drawing.with_landmarks(played.picture, played.landmarks, true))
        seen = drawing.jpeg(drawing.with_evidence(played.reading.crop, strength(self.run, played, au))) if (
            played.reading
        ) else b""  # fmt: skip
        return controls, au, played, face, seen, time.perf_counter() - began

    def _show(self, answer) -> None:
        controls, au, played, face, seen, seconds = answer
        self.played, self.state.value = played, self._at_rest
        self.face.value = face
        self.face_caption.value = _caption("the face", _landmarks_said(self.run, played))
        self.seen.layout.display = None if seen else "none"
        if played.reading is not None:
            self.seen.value = seen
            probability = dict(zip(self.run.aus, map(float, played.reading.probability), strict=True))
            self.bars.value = bars(probability, controls.occurrence, AUS)
            self.seen_caption.value = _caption("what the run sees", _evidence_said(self.run, au))
            settings = self.run.settings
            self.said.value = (
                f"{settings['method']}, seed {settings['seed']}; read from {played.reading.read_from}; "
                f"{1000 * seconds:.0f} ms. Present means an intensity of 2 or more; the dashed line is 0.5."
            )

    def _fail(self, error: Exception) -> None:
        cause = " ".join(str(error).split())[:300]
        self.state.value = message(
            "This face could not be made.", f"{type(error).__name__}: {cause}", "", "fault"
        )

    def _draw_a_face(self) -> None:
        drawn = asdict(drawn_controls(self.domain.value, self.seed.value))
        for name in SCENE:  # what a domain draws may lie beyond a slider's end
            low, high = self.scene[name].min, self.scene[name].max
            drawn[name] = float(np.clip(drawn[name], low, high))
        self.set_controls(**drawn)

    def _keep(self) -> None:
        """Write the picture and the numbers of the face that is shown."""
        self.newest.wait(5)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        kept = [int(one.stem[5:]) for one in self.out_dir.glob("face-*.json") if one.stem[5:].isdigit()]
        number = 1 + max(kept, default=0)  # not their count: some may have been deleted
        file = self.out_dir / f"face-{number:03d}.json"
        record = {"controls": asdict(self.controls)}
        if self.run:
            probability = map(float, self.played.reading.probability)
            record |= {
                "run": str(self.run.path),
                "probability": dict(zip(self.run.aus, probability, strict=True)),
            }
        file.write_text(json.dumps(record, indent=1))
        Image.fromarray(self.played.picture).save(file.with_suffix(".png"))
        self.said.value = f"kept: {file.with_suffix('.png')} and {file.name}"


def strength(run: Run, played: Played, au: str) -> np.ndarray | None:
    """An AU's evidence in [0, 1], on the run's own scale for it; None if the run has no map of it."""
    if played.reading is None or played.reading.evidence is None or au not in run.aus:
        return None
    index = run.aus.index(au)
    return (played.reading.evidence[index] / brightest(run)[index]).clip(0, 1)


def _live_picture(name: str) -> widgets.Image:
    """No tooltip: an Image that has one fails to show in ipywidgets 8.1."""
    side = f"{SIDE}px"
    picture = widgets.Image(format="jpeg", layout=widgets.Layout(width=side, height=side, margin="0 8px 0 0"))
    return picture.add_class(name)


def _caption(title: str, text: str) -> str:
    return f'<div style="width:{SIDE}px;line-height:1.3;font-size:12px"><b>{title}</b><br>{text}</div>'


def _landmarks_said(run: Run | None, played: Played) -> str:
    if run is None:
        return "no run reads it"
    if played.landmarks is None:
        return "the run learned no landmarks"
    error = played.landmark_error
    return "landmarks found" + (
        f", {100 * error:.1f} % of the eye distance off" if np.isfinite(error) else ""
    )


def _evidence_said(run: Run, au: str) -> str:
    if run.config.au_from_landmarks:
        return "no map: it reads AUs from landmark coordinates"
    return f"evidence for {au}" if au in run.aus else f"the run does not know {au}"
