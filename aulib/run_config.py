"""RunConfig: what a run trains, by name, checked before anything is read; and what the names resolve to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from aulib.methods import CONTRASTIVE_WEIGHT, METHODS, PRESETS, SEPARATIONS, Method, Preset
from aulib.supervisors import CONTRASTS, TEMPERATURE, check_alignment

PRECISIONS = ("auto", "32-true", "bf16-mixed")
NAMES = ("method", "preset")  # a run is made of their values
OF_THE_ROUNDS = ("separation", "generator_rate", "generator_betas", "adversary_rate")
OF_WHAT_BEGINS_LATER = ("separation_starts", "ramp")


@dataclass(frozen=True)
class RunConfig:
    """What a run trains, by name.

    source, target: dataset folders or `synthetic:...`. The target's AU labels are read by `oracle` only, and
        to score the finished run on its test split.
    method, preset: keys of METHODS and PRESETS.  backbone: a timm model, "" for the own encoder.
    backbone_weights: its first weights: "timm", those that timm downloads, a file of them, or "" for random
        ones. Such a backbone learns at a tenth of the rate, unless `backbone_rate` says otherwise [C].
    supervisors: None for the method's own, empty for none.
    weights: factors of terms instead of the method's own, 0 switches a term off; None for the method's own.
    separation: one of SEPARATIONS, "" for the method's own, else the preset's.
    steps, batch_size: 0 takes the preset's. batch_size is per domain.
    precision: "auto", "32-true" or "bf16-mixed". (float16 would need its gradients scaled.)
    changes: values of fields of `Preset`, instead of the preset's.
    resolved_method, resolved_preset: the method with this run's supervisors and weights, the preset with
        its changes; set by the class itself.

    Raises:
        ValueError: unknown method, preset, supervisor, alignment, negatives or precision; a term that the
            method cannot compute; weights that are empty, negative or contradict `supervisors`.
        KeyError: unknown term.  TypeError: unknown field of `Preset`.
    """

    source: str
    target: str
    method: str = "full"
    preset: str = "fast"
    backbone: str = ""
    backbone_weights: str = ""
    supervisors: Sequence[str] | None = None
    steps: int = 0
    batch_size: int = 0
    seed: int = 0
    precision: str = "auto"
    weights: dict[str, float] | None = None
    alignment: str = "global"
    negatives: str = "rivals"
    temperature: float = TEMPERATURE
    separation: str = ""
    share_extraction: bool = True
    changes: dict = field(default_factory=dict)
    resolved_method: Method = field(init=False, repr=False)
    resolved_preset: Preset = field(init=False, repr=False)

    @classmethod
    def of(cls, source: str, target: str, **settings) -> "RunConfig":
        """From flat settings: names that are no field here are fields of `Preset`."""
        own = {one.name for one in fields(cls) if one.init}
        given = {name: value for name, value in settings.items() if name in own}
        changes = {name: value for name, value in settings.items() if name not in own}
        return cls(source, target, **given, changes=changes)

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise ValueError(f"unknown preset {self.preset!r}; choose {' or '.join(PRESETS)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"unknown precision {self.precision!r}; choose one of {', '.join(PRECISIONS)}")
        if self.steps < 0 or self.batch_size < 0:
            raise ValueError(
                f"steps {self.steps} and batch_size {self.batch_size}: expected 0 (the preset's) or more"
            )
        check_alignment(self.alignment, self.negatives)
        if self.temperature <= 0:
            raise ValueError(f"temperature {self.temperature}: expected a number above 0, such as 0.1")
        method = chosen_method(self.method, self.supervisors, self.weights)
        if self.separation not in ("", *SEPARATIONS):
            raise ValueError(
                f"unknown separation {self.separation!r}; choose {' or '.join(SEPARATIONS)}, or '' for the "
                "method's or the preset's"
            )
        if self.backbone_weights and not self.backbone:
            raise ValueError("backbone_weights need a backbone, such as backbone='tf_efficientnet_lite0'")
        learned = {"backbone_rate": 0.1} if self.backbone_weights else {}
        preset = replace(PRESETS[self.preset], **learned | self.changes)
        if separation := self.separation or method.separation:
            preset = replace(preset, separation=separation)
        if preset.separation == "erasure" and "texture_flatness" in method.weights:
            if "texture_flatness" in (self.weights or {}):
                raise ValueError("texture_flatness needs separation 'adversary'; erasure has no A_lm to fool")
            kept = {name: weight for name, weight in method.weights.items() if name != "texture_flatness"}
            method = replace(method, weights=kept)
        if method.teaches and not preset.average:
            raise ValueError(
                f"au_teacher needs an average of the weights as its teacher; preset {self.preset!r} has "
                "average 0, choose one above 0 and below 1"
            )
        object.__setattr__(self, "resolved_method", method)  # the class is frozen
        object.__setattr__(self, "resolved_preset", preset)

    @property
    def schedule(self) -> tuple[int, int]:
        """Steps and batch size: this run's, else the preset's."""
        return self.steps or self.resolved_preset.steps, self.batch_size or self.resolved_preset.batch_size

    @property
    def resolved(self) -> dict:
        """All that shapes the training, as JSON: every name and default replaced by its values.

        What no part of the method reads is None: `separation`, which has no supervisors, has no alignment.
        `what_counts` of two of these says whether they are the same training.
        """
        method, (steps, batch_size) = self.resolved_method, self.schedule
        preset = asdict(self.resolved_preset)
        del preset["steps"], preset["batch_size"]  # of the preset, see `schedule`
        values = {
            "method": self.method, "supervisors": list(method.supervisors), "weights": method.weights,
            "alignment": self.alignment, "negatives": self.negatives, "temperature": self.temperature,
            "steps": steps, "batch_size": batch_size, "seed": self.seed, "preset": self.preset,
            "source": str(self.source), "target": str(self.target), "backbone": self.backbone,
            "backbone_weights": self.backbone_weights,
            "precision": self.precision, "share_extraction": self.share_extraction,
        }  # fmt: skip
        if not method.supervisors:
            values |= dict.fromkeys(("alignment", "negatives", "temperature"))
        elif self.alignment not in CONTRASTS:
            values |= dict.fromkeys(("negatives", "temperature"))
        if method.au_from_landmarks or method.weights.keys() == {"au_source"}:
            values["share_extraction"] = None  # only one of the two would be trained
        if not self.backbone:
            preset["backbone_rate"] = None
        if not method.separates:
            preset |= dict.fromkeys(OF_THE_ROUNDS)
        if not method.adapts:
            preset |= dict.fromkeys(OF_WHAT_BEGINS_LATER)
        return values | _parts(method) | {"preset_values": preset}


def what_counts(resolved: dict) -> dict:
    """What makes a resolved config another training than another: its values without their names.

    Args:
        resolved: `RunConfig.resolved`, or the settings in a run folder, also those of an earlier version.
    """
    name = resolved.get("method")
    values = _parts(METHODS[name]) if name in METHODS else {"method": name}
    values |= {key: value for key, value in resolved.items() if key not in NAMES}
    return values | {"weights": {term: value for term, value in values.get("weights", {}).items() if value}}


def _parts(method: Method) -> dict:
    """What a method is made of besides its weights."""
    named = ("summary", "weights", "separation")  # the last is among the preset's values
    return {name: value for name, value in asdict(method).items() if name not in named}


def chosen_method(name: str, supervisors: Sequence[str] | None, weights: dict[str, float] | None) -> Method:
    """A rung of METHODS with other supervisors and other weights by term, without terms of weight 0.

    Args:
        supervisors: None for its own, empty for none.  weights: None for its own.

    Raises:
        ValueError: unknown method or supervisor, a term that the method cannot compute, or weights that are
            empty, negative, leave no term, or name a supervisor that `supervisors` leaves out.
        KeyError: unknown term.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join(METHODS)}")
    method = METHODS[name]
    if supervisors is not None:
        method = method.with_supervisors(list(supervisors), CONTRASTIVE_WEIGHT)
    if weights is None:
        return method
    from aulib.objective import can_compute, check_weights  # torch, which a study is planned without

    check_weights(weights)
    chosen = replace(method, weights={t: w for t, w in (method.weights | weights).items() if w})
    if not weights or not chosen.weights:
        raise ValueError(f"weights {weights} leave nothing to train; leave them out for the method's own")
    if supervisors is not None and (added := sorted(set(chosen.supervisors) - set(method.supervisors))):
        raise ValueError(f"weights name {added}, which supervisors {list(supervisors)} leaves out")
    if impossible := sorted(
        term for term, value in weights.items() if value and not can_compute(term, method)
    ):
        raise ValueError(f"method {name!r} cannot compute the terms {impossible} given in weights")
    return chosen
