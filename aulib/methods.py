"""Methods and presets as data; imports no torch, so a study is planned at once.

`METHODS` is the ladder: which parts, terms and weights each method uses. A term that is not in a method's
weights is not computed. Target AU labels exist for `oracle` only.
Marks as in docs/method.md: [P] paper, [A] ADLD, [C] ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from aulib.supervisors import ALL_SIX, RICH_TWO, SUPERVISORS


@dataclass(frozen=True)
class Method:
    """One rung of the ladder.

    weights: factor of each named term; the objective is their weighted sum.
    teaches: has a mean teacher, see `training.teacher_labels`.
    uses_target: target faces are in the batch, never with AU labels.
    labels_from_target: the labelled domain is the target itself ("oracle" only).
    separation: one of SEPARATIONS where it belongs to the method, "" for the preset's.
    """

    summary: str
    weights: dict[str, float]
    uses_target: bool = True
    separates: bool = False
    labels_from_target: bool = False
    au_from_landmarks: bool = False
    adapts_by_domain: bool = False
    read_target_from: str = "features"
    read_source_from: str = "features"
    separation: str = ""

    @property
    def teaches(self) -> bool:
        return "au_teacher" in self.weights

    @property
    def adapts(self) -> bool:
        """Whether some of its terms begin later: those of the two rounds, or the mean teacher's."""
        return self.separates or self.teaches

    @property
    def supervisors(self) -> tuple[str, ...]:
        """Those that have a weight, in the order of SUPERVISORS."""
        return tuple(name for name in SUPERVISORS if self.weights.get(name))

    def with_supervisors(self, names: Sequence[str], weight: float) -> "Method":
        """The same rung with another list of supervisors; empty for none.

        Raises:
            ValueError: an unknown or repeated name, or a method that has no rounds to align.
        """
        if unknown := sorted(set(names) - SUPERVISORS.keys()):
            raise ValueError(f"unknown supervisors {unknown}; there are {list(SUPERVISORS)}")
        if len(set(names)) < len(names):
            raise ValueError(f"supervisors {list(names)} name one twice; its factor is set in weights")
        if names and not self.separates:
            raise ValueError("supervisors align two rounds of reconstruction; this method has none")
        kept = {name: value for name, value in self.weights.items() if name not in SUPERVISORS}
        return replace(self, weights=kept | {name: weight for name in SUPERVISORS if name in names})


AU = {"au_source": 1.0}
LANDMARKS = {"landmarks_source": 0.5, "landmarks_target": 0.5}
SEPARATION = {
    "au_swapped": 1.0,  # D_au(F~^t) against the source's labels [A]
    "au_self": 1.0,  # D_au of the source's own reconstruction against its labels [C]
    "landmarks_swapped": 0.5,  # both reconstructions against the landmarks of the shape they were given [A]
    "texture_flatness": 0.3,
    "feature_adversary": 0.1,
    "self_reconstruction": 3.0,
}
TEACHER = {"au_teacher": 1.0}  # target faces against a mean teacher's confident AUs
CYCLE_WEIGHT = 10.0  # ADLD's is 40, for terms on its own scale [C]; chosen with the adversary, docs/method.md
CONTRASTIVE_WEIGHT = 0.2


def _separating(
    summary: str, extra: dict[str, float], supervisors: tuple[str, ...] = (), separation: str = ""
) -> Method:
    weights = AU | LANDMARKS | SEPARATION | extra
    method = Method(summary, weights, separates=True, read_target_from="both", separation=separation)
    return method.with_supervisors(supervisors, CONTRASTIVE_WEIGHT)


METHODS = {
    "landmarks-only": Method(
        "an MLP fitted to given landmarks, reading those that a detector trained on both domains finds",
        LANDMARKS,
        au_from_landmarks=True,
    ),
    "source-only": Method("E and D_au on labelled source faces: the lower bound", AU, uses_target=False),
    "multitask": Method("and landmark detection in both domains", AU | LANDMARKS),
    "dann": Method(
        "and a domain classifier with reversed gradient (the plain rival)",
        AU | LANDMARKS | {"domain": 0.1},
        adapts_by_domain=True,
    ),
    "mean-teacher": Method(
        "multitask, and target AUs from a mean teacher where it is confident",
        AU | LANDMARKS | TEACHER,
    ),
    "separation": _separating("and separation and reconstruction, no cycle, no alignment", {}),
    "adld": _separating(
        "with ADLD's L1 cross-cycle term and its adversary",
        {"cycle": CYCLE_WEIGHT},
        separation="adversary",
    ),
    "contrastive": _separating("with the two plain contrastive supervisors instead", {}, RICH_TWO),
    "full": _separating("and the four intermediate supervisors: the paper", {}, ALL_SIX),
    "full-mean-teacher": _separating("full, and the mean teacher", TEACHER, ALL_SIX),
    "oracle": Method(
        "source-only's network on labelled target faces: the upper bound",
        AU,
        uses_target=False,
        labels_from_target=True,
    ),
}


SEPARATIONS = ("adversary", "erasure")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Sizes, rates and weighting; `paper` is ADLD's published setting, `fast` is made for two CPU cores [C].

    backbone_rate: factor of task_rate for a timm backbone; 0.1 if its first weights were learned elsewhere.
    schedule: "linear" [A] or "one-cycle" [C].  average: decay of the averaged weights, 0 for none.
    image_size, margin_size: crop the network sees, and the larger crop it is cut from (pixels).
    crop: "smooth" averages the pixels of a face that shrinks [C]; "adld" and "jaanet" cut as that code does,
        to the pixel (`crops.CROPS`).
    channels: of the rich features.  colour: "luminance" or "rgb".  num_landmarks: 68 or 49.
    au_centres: landmarks are moved to AU centres [A].
    separation: how Z is freed of the shape: "adversary", T is trained against A_lm [A], or "erasure", what is
        linear in the shape and the AUs is taken out in closed form (`erasure.py`), without A_lm [C].
    separation_starts: share of the steps that run multi-task before the rounds, and the mean teacher, begin;
        ramp: share over which their terms then grow to full weight.
    augment: "none", "crop-flip" [A] or "slight" [C].
    pos_weight_power: a present label weighs (absent / present) to this power.
    au_weighting: AUs are weighted by inverse base rate [A].
    """

    steps: int
    batch_size: int
    task_rate: float
    generator_rate: float
    adversary_rate: float
    task_betas: tuple[float, float]
    generator_betas: tuple[float, float]
    schedule: str
    gradient_clip: float
    average: float
    backbone_rate: float = 1.0
    image_size: int
    margin_size: int
    crop: str
    channels: int
    colour: str
    num_landmarks: int
    au_centres: bool
    separation: str
    separation_starts: float
    ramp: float
    augment: str
    pos_weight_power: float
    au_weighting: bool


PRESETS = {
    "paper": Preset(
        image_size=176, margin_size=200, crop="smooth", channels=64, colour="rgb", num_landmarks=49,
        au_centres=True, steps=60_000, batch_size=16, task_rate=1e-4, generator_rate=5e-5,
        adversary_rate=5e-5, task_betas=(0.95, 0.999), generator_betas=(0.5, 0.9), schedule="linear",
        gradient_clip=5.0, average=0.0, separation="adversary", separation_starts=0.0, ramp=0.0,
        augment="crop-flip", pos_weight_power=0.0, au_weighting=True,
    ),
    "fast": Preset(
        image_size=112, margin_size=128, crop="smooth", channels=32, colour="luminance", num_landmarks=68,
        au_centres=False, steps=800, batch_size=16, task_rate=4e-3, generator_rate=4e-3,
        adversary_rate=5e-4, task_betas=(0.9, 0.99), generator_betas=(0.9, 0.99), schedule="one-cycle",
        gradient_clip=5.0, average=0.98, separation="erasure", separation_starts=0.5, ramp=0.1,
        augment="slight", pos_weight_power=0.5, au_weighting=False,
    ),
}  # fmt: skip
