"""RunConfig: what a run trains, by name, checked before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from aulib.contrastive import TEMPERATURE
from aulib.methods import CONTRASTIVE_WEIGHT, METHODS, PRESETS, Method, Preset
from aulib.objective import ROUND_TERMS, check_weights
from aulib.supervisors import check_alignment

PRECISIONS = ("auto", "32-true", "bf16-mixed")


@dataclass(frozen=True)
class RunConfig:
    """What a run trains, by name.

    source, target: dataset folders or `synthetic:...`. The target's AU labels are read by `oracle` only, and
        to score the finished run on its test split.
    method, preset: keys of METHODS and PRESETS.  backbone: a timm model, "" for the own encoder.
    supervisors: empty for the method's own.  weights: factors of terms, instead of the method's own.
    steps, batch_size: 0 takes the preset's. batch_size is per domain.
    precision: "auto", "32-true" or "bf16-mixed". (float16 would need its gradients scaled.)
    changes: values of fields of `Preset`, instead of the preset's.
    resolved_method, resolved_preset: the method with this run's supervisors and weights, the preset with
        its changes; set by the class itself.

    Raises:
        ValueError: unknown method, preset, supervisor, alignment, negatives or precision; a term that the
            method cannot compute.  KeyError: unknown term.  TypeError: unknown field of `Preset`.
    """

    source: str
    target: str
    method: str = "full"
    preset: str = "fast"
    backbone: str = ""
    supervisors: Sequence[str] = ()
    steps: int = 0
    batch_size: int = 0
    seed: int = 0
    precision: str = "auto"
    weights: dict[str, float] | None = None
    alignment: str = "global"
    negatives: str = "rivals"
    temperature: float = TEMPERATURE
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
        method = chosen_method(self.method, list(self.supervisors), self.weights or {})
        preset = replace(PRESETS[self.preset], **self.changes)
        object.__setattr__(self, "resolved_method", method)  # the class is frozen
        object.__setattr__(self, "resolved_preset", preset)

    @property
    def schedule(self) -> tuple[int, int]:
        """Steps and batch size: this run's, else the preset's."""
        return self.steps or self.resolved_preset.steps, self.batch_size or self.resolved_preset.batch_size


def chosen_method(name: str, supervisors: list[str], weights: dict[str, float]) -> Method:
    """A rung of METHODS with another list of supervisors (empty: its own) and other weights by term.

    Raises:
        ValueError: unknown method or supervisor, or a term that the method cannot compute.
        KeyError: unknown term.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join(METHODS)}")
    method = METHODS[name]
    if supervisors:
        method = method.with_supervisors(supervisors, CONTRASTIVE_WEIGHT)
    check_weights(weights)
    method = replace(method, weights=method.weights | weights)
    if impossible := sorted(
        name for name, value in weights.items() if value and not can_compute(name, method)
    ):
        raise ValueError(f"method {name!r} cannot compute the terms {impossible} given in weights")
    return method


def can_compute(term: str, method: Method) -> bool:
    """Whether the method has the parts and the faces that a term reads."""
    if term in ROUND_TERMS:
        return method.separates
    if term == "domain":
        return method.adapts_by_domain
    return method.uses_target or term != "landmarks_target"
