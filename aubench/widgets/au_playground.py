"""The AU playground: sliders move a rendered face, and a run's predictions follow."""

import time
from dataclasses import asdict, fields
from pathlib import Path

import ipywidgets as widgets
from PIL import Image

from aubench.inspection.playground import Controls, Played, drawn_controls, evidence_strength, render_and_read
from aubench.widgets import drawing
from aubench.widgets.drawing import ROW
from aubench.widgets.newest import NewestWins
from aubench.widgets.states import caution, failure, opened
from aufaces.actions import AUS
from aufaces.domains import DOMAINS
from aulib.files import atomic_file, write_json
from aulib.labels import AU_NAMES
from aulib.metrics import landmark_nme
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
# Turn and light stand next to the face at every width from a notebook beside JupyterLab's sidebar upwards. A
# readout as wide as its number leaves the slider more room.
STYLE = f"""<style>
.au-playground {{ container-type: inline-size; }}
.au-playground .widget-readout {{ min-width: 38px; width: 38px; }}
.au-playground .au-parts {{ display: grid; gap: 6px 10px; align-items: start; overflow: visible;
  grid-template: "pictures pose" auto "pictures aus" auto "pictures more" 1fr / {SIDE}px minmax(0, 1fr); }}
.au-playground .au-pictures {{ grid-area: pictures; gap: 6px 10px; }}
.au-playground .au-pose {{ grid-area: pose; }}
.au-playground .au-aus {{ grid-area: aus; }}
.au-playground .au-more {{ grid-area: more; }}
@container (min-width: 1130px) {{ .au-playground .au-parts {{
  grid-template: "pictures pose aus" auto "pictures more aus" 1fr / {SIDE}px 300px minmax(0, 1fr); }} }}
@container (max-width: 760px) {{ .au-playground .au-parts {{
  grid-template: "pictures" "pose" "aus" "more" / minmax(0, 1fr); }} }}
</style>"""
WRAP = {"flex_flow": "row wrap", "display": "flex", "overflow": "visible"}


def au_sliders() -> dict[str, widgets.FloatSlider]:
    """A slider of intensity, 0 to 5, for each rendered AU; as high as a row of `drawing.bars`."""
    return {
        au: widgets.FloatSlider(
            value=0, min=0, max=5, step=0.1, description=f"{au} {AU_NAMES[au]}", readout_format=".1f",
            style={"description_width": "176px"},
            layout={"width": "324px", "height": f"{ROW}px", "margin": "0"},
        ).add_class(au)
        for au in AUS
    }  # fmt: skip


class AUPlayground(widgets.VBox):
    """Sliders for sixteen AUs, pose, light, domain and seed; picture, landmarks, evidence and bars follow.

    Args:
        run: a run folder; without a finished run the face still moves, and a message says how to train one.
        out_dir: where "keep this face" writes picture and numbers.
    """

    def __init__(self, run: str | Path, out_dir: str | Path = "results/playground"):
        self.run, problem = opened(run)
        self._about_run = problem or caution(self.run)
        self.out_dir = Path(out_dir)
        self.played: Played | None = None
        self.moved_last = "AU12"
        self.newest = NewestWins(self._work, self._show, self._fail)
        self.sliders = au_sliders()
        self.scene = self._scene_controls()
        self.followed = widgets.Dropdown(
            options=[MOVED_LAST, *(self.run.aus if self.run else ())], description="evidence of"
        )
        self.truth = widgets.Checkbox(value=False, description="show true landmarks", indent=False)
        self.state = widgets.HTML(self._about_run).add_class("au-playground-state")
        self.face, self.seen = _live_picture("au-face"), _live_picture("au-seen")
        self.face_caption, self.seen_caption = widgets.HTML(), widgets.HTML()
        self.bars = widgets.HTML(layout={"flex": "1 1 196px", "min_width": "196px", "margin": "0"})
        self.said = widgets.HTML().add_class("au-said")
        super().__init__([widgets.HTML(STYLE), self.state, self._arranged(), self.said])
        self.add_class("au-playground")
        for au, slider in self.sliders.items():
            slider.observe(lambda change, au=au: self._moved(au), "value")
        for control in (*self.scene.values(), self.followed, self.truth):
            control.observe(lambda change: self._ask(), "value")
        self._show(self._work(self._request()))  # the first picture is there when the cell ends

    def _scene_controls(self) -> dict[str, widgets.Widget]:
        """Controls of everything but the AUs, by their field of `Controls`."""
        start = Controls()
        domain = widgets.Dropdown(options=list(DOMAINS), value=start.domain, description="domain")
        seed = widgets.BoundedIntText(start.seed, min=1, max=9999, description="seed (who)")
        sliders = {
            name: widgets.FloatSlider(
                getattr(start, name), min=low, max=high, step=step, description=text,
                readout_format=".2f" if step < 1 else ".0f",
            ).add_class(name)
            for name, (text, low, high, step) in SCENE.items()
        }  # fmt: skip
        return {"domain": domain.add_class("domain"), "seed": seed.add_class("seed")} | sliders

    def _button(self, text: str, tooltip: str, pressed) -> widgets.Button:
        button = widgets.Button(description=text, tooltip=tooltip, layout={"width": "144px"})
        button.on_click(lambda button: pressed())
        return button

    def _arranged(self) -> widgets.Widget:
        """Pictures, pose and light, AUs, and everything else; STYLE places them."""
        start = Controls()
        self.neutral = self._button(
            "all AUs to 0", "a neutral face", lambda: self.set_controls(intensity=start.intensity)
        )
        self.frontal = self._button(
            "straight, even light",
            "pose and light as at first",
            lambda: self.set_controls(**{name: getattr(start, name) for name in SCENE}),
        )
        self.draw = self._button(
            "draw a face",
            "AUs, pose and light sampled as in the domain",
            lambda: self.set_controls(**asdict(drawn_controls(self.controls.domain, self.controls.seed))),
        )
        self.keep = self._button("keep this face", f"writes it to {self.out_dir}", self._keep)
        for control in (*self.scene.values(), self.followed, self.truth):
            control.layout.width = "288px"
            control.style.description_width = "124px"
        face = widgets.VBox([self.face, self.face_caption])
        seen = widgets.VBox([self.seen, self.seen_caption])
        sliders = widgets.VBox(list(self.sliders.values()), layout={"flex": "0 0 324px"})
        aus = widgets.HBox([sliders, self.bars.add_class("au-bars")], layout={"overflow": "visible"})
        others = [control for name, control in self.scene.items() if name not in SCENE]
        buttons = widgets.Box([self.neutral, self.frontal, self.draw, self.keep], layout=WRAP)
        parts = {
            "pictures": widgets.Box([face, seen], layout=WRAP),
            "pose": widgets.Box([self.scene[name] for name in SCENE], layout=WRAP),
            "aus": aus,
            "more": widgets.Box(
                [*others, self.followed.add_class("followed"), self.truth, buttons], layout=WRAP
            ),
        }
        placed = [part.add_class(f"au-{name}") for name, part in parts.items()]
        return widgets.Box(placed).add_class("au-parts")

    @property
    def controls(self) -> Controls:
        """What all controls are set to."""
        intensity = tuple(slider.value for slider in self.sliders.values())
        return Controls(intensity, **{name: control.value for name, control in self.scene.items()})

    def set_controls(self, **values) -> None:
        """Set controls by their fields of `Controls`; values beyond a slider's end are clipped.

        Raises:
            ValueError: unknown control.
        """
        known = {field.name for field in fields(Controls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown control {', '.join(unknown)}; choose from {', '.join(sorted(known))}")
        moved_last = self.moved_last
        for name, value in values.items():
            if name == "intensity":
                for slider, level in zip(self.sliders.values(), value, strict=True):
                    slider.value = level
            else:
                self.scene[name].value = value
        self.moved_last = moved_last
        self._ask()

    def _moved(self, au: str) -> None:
        self.moved_last = au
        self._ask()

    def _ask(self) -> None:
        self.newest.ask(self._request())

    def _request(self) -> tuple[Controls, str, bool]:
        followed = self.followed.value
        return self.controls, self.moved_last if followed == MOVED_LAST else followed, self.truth.value

    def _work(self, request: tuple[Controls, str, bool]):
        controls, au, show_truth = request
        began = time.perf_counter()
        played = render_and_read(self.run, controls)
        true = played.true_landmarks if show_truth else None
        face = drawing.jpeg(drawing.with_landmarks(played.picture, played.landmarks, true))
        seen = b""
        if played.reading:
            strength = evidence_strength(self.run, played.reading, au)
            seen = drawing.jpeg(drawing.with_evidence(played.reading.crop, strength))
        return controls, au, played, face, seen, time.perf_counter() - began

    def _show(self, answer) -> None:
        controls, au, self.played, self.face.value, seen, seconds = answer
        self.state.value = self._about_run
        self.face_caption.value = _caption("the face", _about_landmarks(self.run, self.played))
        self.seen.layout.display = None if seen else "none"
        if reading := self.played.reading:
            self.seen.value = seen
            self.bars.value = drawing.bars(reading.probability, controls.occurrence, AUS)
            self.seen_caption.value = _caption("the run's input", about_evidence(self.run, au))
            settings = self.run.settings
            self.said.value = (
                f"{settings['method']}, seed {settings['seed']}; read from {reading.read_from}; "
                f"{1000 * seconds:.0f} ms. Present means an intensity of 2 or more; the dashed line is 0.5."
            )

    def _fail(self, error: Exception) -> None:
        self.state.value = failure("This face could not be rendered.", error)

    def _keep(self) -> None:
        """Write the picture and the numbers of the face that is shown."""
        self.newest.wait(5)
        kept = [int(one.stem[5:]) for one in self.out_dir.glob("face-*.*") if one.stem[5:].isdigit()]
        number = 1 + max(kept, default=0)  # not their count: some may have been deleted
        file = self.out_dir / f"face-{number:03d}.json"
        record = {"controls": asdict(self.controls)}
        if self.run:
            record |= {"run": str(self.run.path), "probability": self.played.reading.probability}
        write_json(file, record)
        with atomic_file(file.with_suffix(".png")) as partial:
            Image.fromarray(self.played.picture).save(partial)
        self.said.value = f"kept: {file.with_suffix('.png')} and {file.name}"


def _live_picture(name: str) -> widgets.Image:
    """No tooltip: an Image that has one fails to show in ipywidgets 8.1."""
    layout = {"width": f"{SIDE}px", "height": f"{SIDE}px", "margin": "0"}
    return widgets.Image(format="jpeg", layout=layout).add_class(name)


def _caption(title: str, text: str) -> str:
    return f'<div style="width:{SIDE - 4}px;line-height:1.3;font-size:12px"><b>{title}</b><br>{text}</div>'


def _about_landmarks(run: Run | None, played: Played) -> str:
    if run is None:
        return "no run"
    if played.landmarks is None:
        return "the run learned no landmarks"
    if played.landmarks.shape != played.true_landmarks.shape:  # it finds 49 of the 68
        return "predicted landmarks"
    error = float(100 * landmark_nme(played.landmarks[None], played.true_landmarks[None])[0])
    return f"predicted landmarks, error {error:.1f} % of the eye distance"


def about_evidence(run: Run, au: str) -> str:
    if run.config.au_from_landmarks:
        return "no map: it reads AUs from landmark coordinates"
    return f"evidence for {au}" if au in run.aus else f"the run does not know {au}"
