"""A finished run's folder: how the model is saved, and `Run`, the one way to open such a folder.

Weights are safetensors and settings JSON, so nothing is unpickled.
"""

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from huggingface_hub import ModelHubMixin, snapshot_download
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from safetensors.torch import load_file, save

from aulib.evaluate import LOG_ODDS
from aulib.files import atomic_file, read_json, reading, refuse_used, write_json
from aulib.labels import AU_NAMES
from aulib.methods import METHODS
from aulib.model import READ_FROM, AUModel, ModelConfig
from aulib.objective import finds_landmarks

WEIGHTS, CONFIG, METRICS = "model.safetensors", "config.json", "metrics.json"
HISTORY, SAMPLES, PREDICTIONS = "history.csv", "samples.npz", "predictions_{}_test.csv"
CARD = "README.md"
FILES = (CONFIG, WEIGHTS, HISTORY, SAMPLES, METRICS)  # of every finished run, as they are written
# Settings that every reader uses.
NEEDED = {"method": str, "seed": int, "steps": int, "weights": dict, "data_versions": dict}
Level = Annotated[float, Field(ge=0, le=5)]
Weight = Annotated[float, Field(ge=-100, le=100)]


def _never_falling(values: list[float]) -> list[float]:
    if (np.diff(values) < 0).any():
        raise ValueError("it falls")
    return values


Curve = Annotated[
    list[Level],
    Field(min_length=len(LOG_ODDS), max_length=len(LOG_ODDS)),
    AfterValidator(_never_falling),
]
FITTED = {  # settings that are fitted to a finished run: their type, and in words
    "intensity_curves": (
        TypeAdapter(dict[str, Curve]),
        f"of each AU {len(LOG_ODDS)} numbers from 0 to 5 that never fall",
    ),
    "side_weights": (
        TypeAdapter(dict[str, list[list[Weight]]]),
        "of each AU rows of numbers from -100 to 100",
    ),
}


class NoFinishedRun(FileNotFoundError):
    """There is nothing to read yet; the message is one sentence that says what to run."""


@dataclass(frozen=True)
class Samples:
    """The few test faces of one domain that a run keeps.

    images: (n, S, S, 3) uint8 margin crops.  landmarks: (n, K, 2) pixels of the crops, NaN where unknown.
    occurrence: (n, A) in {0, 1}, NaN where unknown.  names: (n,) as in the dataset.
    """

    images: np.ndarray
    landmarks: np.ndarray
    occurrence: np.ndarray
    names: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


def save_model(folder: Path, model: AUModel, settings: dict) -> None:
    """Write weights and `config.json` {"model": ..., "settings": ...} into a run folder."""
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    with atomic_file(folder / WEIGHTS) as partial:
        partial.write_bytes(weights)  # `save_file` makes a file that only its owner may read
    write_json(folder / CONFIG, {"model": model.config.as_dict(), "settings": settings})


class _Settings(dict):
    """Settings of a run; a run that lacks one is of an earlier version, and said to be."""

    def __init__(self, run: "Run", values: dict):
        super().__init__(values)
        self._run = run

    def __missing__(self, name: str):
        raise self._run._outdated(f"{CONFIG} has no setting {name}")


class Run(ModelHubMixin, library_name="aulib", tags=["facial-action-units"]):
    """A finished run. Each file is read when it is first asked for, and kept. Every member can raise.

    `save_pretrained(FOLDER)`, `push_to_hub(NAME)` and `Run.from_pretrained(FOLDER or NAME)` hand a detector
    on (Hugging Face's mixin; folders need no network): its weights, settings, scores and card.

    Raises:
        NoFinishedRun: names the missing file and the command to run.
        ValueError: an earlier version of aulib wrote the run, names the command that trains it again; or a
            file is damaged, names it and what it is.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def save_pretrained(self, save_directory: str | Path, **options) -> str | None:
        """Write what reading faces needs to a new folder; options as in ModelHubMixin.

        Raises:
            FileExistsError: `save_directory` holds something.
        """
        refuse_used(save_directory)  # the mixin would remove a config.json that is there
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        for name in (CONFIG, WEIGHTS):
            shutil.copyfile(self._file(name), save_directory / name)
        for name in (METRICS, CARD):
            if (self.path / name).is_file():
                shutil.copyfile(self.path / name, save_directory / name)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options) -> "Run":
        run = cls(model_id if Path(model_id).is_dir() else snapshot_download(model_id, **options))
        for name in (CONFIG, WEIGHTS):
            run._file(name)  # raises if it is no run
        return run

    @property
    def missing(self) -> list[str]:
        """The `FILES` that are not there, as while a training still writes them; looked up each time."""
        return [name for name in FILES if not (self.path / name).is_file()]

    @cached_property
    def settings(self) -> dict:
        """How the run was trained: method, seed, steps, weights, source, target, ..."""
        saved = self.saved.get("settings")
        settings = _Settings(self, saved if isinstance(saved, dict) else {})
        if missing := [name for name, kind in NEEDED.items() if not isinstance(settings.get(name), kind)]:
            raise self._outdated(f"{CONFIG} has no setting {', '.join(missing)}, or another type of value")
        for name in ("read_source_from", "read_target_from"):
            if settings.get(name, READ_FROM[0]) not in READ_FROM:
                found = f"{CONFIG}: {name} is {settings[name]!r}, expected {' or '.join(READ_FROM)}"
                raise self._outdated(found)
        withheld, largest = settings.get("withheld", []), settings.get("largest_entropy", 0.0)
        if not isinstance(withheld, list) or any(au not in AU_NAMES for au in withheld):
            raise self._outdated(f"{CONFIG}: withheld is {withheld!r:.60}, expected AUs such as ['AU04']")
        if not isinstance(largest, int | float) or math.isnan(largest):
            raise self._outdated(f"{CONFIG}: largest_entropy is {largest!r:.60}, expected a number")
        for name, (kind, expected) in FITTED.items():
            try:
                kind.validate_python(settings.get(name, {}))
            except ValidationError as error:
                where = ".".join(map(str, error.errors()[0]["loc"])) or "the table"
                raise self._outdated(f"{CONFIG}: {name}, {where}; expected {expected}") from None
        settings["data_versions"] = _Settings(self, settings["data_versions"])
        return settings

    @cached_property
    def config(self) -> ModelConfig:
        try:
            values = {name: value for name, value in self.saved["model"].items() if name != "pretrained"}
            config = ModelConfig.from_dict(values)
            TypeAdapter(ModelConfig).validate_json(json.dumps(values), strict=True)
            if unknown := sorted(set(config.aus) - AU_NAMES.keys()):
                raise TypeError(f"aus has {unknown}, which are no AUs")
            if not config.aus or len(set(config.aus)) < len(config.aus):
                raise TypeError(f"aus is {list(config.aus)}, expected different AUs")
            if config.num_landmarks not in (49, 68) or not 0 < config.box_enlarge < 100:
                raise TypeError(f"num_landmarks {config.num_landmarks}, box_enlarge {config.box_enlarge:g}")
            if not 0 < config.image_size <= config.margin_size <= 4096 or config.image_size % 4:
                raise TypeError(f"image_size {config.image_size}, margin_size {config.margin_size}")
            return config
        except ValidationError as error:
            first = error.errors()[0]
            found = f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}"
            raise self._outdated(f"{CONFIG}: {found}") from None
        except (KeyError, TypeError) as error:  # fields were added, removed or renamed
            raise self._outdated(f"{CONFIG}: {error}") from None

    @cached_property
    def model(self) -> AUModel:
        """The selected weights, in evaluation mode on the CPU."""
        with self._reading(WEIGHTS, "weights as safetensors") as file:
            weights = load_file(file)
        try:
            model = AUModel(self.config)
        except Exception as error:  # of sizes that cannot be
            raise self._outdated(f"{CONFIG}: {error}") from error
        expected = {name: value.shape for name, value in model.state_dict().items()}
        found = {name: value.shape for name, value in weights.items()}
        if differing := sorted(dict(expected.items() ^ found.items())):
            raise self._outdated(f"{WEIGHTS} differs from this model in {', '.join(differing[:3])}")
        if wrong := [name for name, value in weights.items() if not value.isfinite().all()]:
            raise ValueError(
                f"{self._file(WEIGHTS)}: {len(wrong)} of {len(weights)} weights are not finite, as after a "
                f"training that diverged, first {wrong[0]}; train it again"
            )
        model.load_state_dict(weights)
        return model.eval()

    @cached_property
    def metrics(self) -> dict[str, float]:
        """`target.mean.f1`, `source.mean.f1`, `seconds`, ...; NaN where undefined."""
        metrics = read_json(self._file(METRICS))
        if odd := [key for key, value in metrics.items() if isinstance(value, list | dict)]:
            raise ValueError(
                f"{self._file(METRICS)}: {odd[0]} is {metrics[odd[0]]!r:.60}, expected one value"
            )
        return {key: np.nan if value is None else value for key, value in metrics.items()}

    @cached_property
    def history(self) -> pd.DataFrame:
        """Learning curves: step, seconds, every unweighted term, total, share.*, validation_f1."""
        with self._reading(HISTORY, "a table of losses by step") as file:
            table = pd.read_csv(file)
            if "step" not in table or not all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
                raise ValueError("no column `step`, or cells that are no numbers")
            return table

    @property
    def aus(self) -> tuple[str, ...]:
        return self.config.aus

    @property
    def withheld(self) -> tuple[str, ...]:
        """AUs that did not work on real faces; `aulib predict` leaves them out unless they are asked for."""
        return tuple(au for au in self.aus if au in self.settings.get("withheld", ()))

    @property
    def largest_entropy(self) -> float:
        """Nats: `Predictions.map_entropy` above which a crop shows no face; inf if the run does not say."""
        return float(self.settings.get("largest_entropy", np.inf))

    @property
    def intensity_curves(self) -> dict[str, list[float]]:
        """AU -> intensities at `evaluate.LOG_ODDS`; without AUs whose intensity the run could not learn."""
        return self.settings.get("intensity_curves", {})

    @property
    def side_weights(self) -> dict[str, list[list[float]]]:
        """AU -> (h, w) weights of `evaluate.side_evidence` that give left minus right intensity."""
        return self.settings.get("side_weights", {})

    @property
    def labelled_domain(self) -> str:
        """The domain whose AU labels it learned from and was validated on: the target for `oracle`."""
        method = METHODS.get(self.settings["method"])
        return "target" if method is not None and method.labels_from_target else "source"

    @property
    def finds_landmarks(self) -> bool:
        return finds_landmarks(self.settings["weights"])

    def way_of_reading(self, dataset: str | Path, version: str = "") -> str:
        """`read_from` of `AUModel.read` for a set: as the run reads its source if it is that, else a target.

        Args:
            dataset: folder or `synthetic:...`; numbers after "?" do not make another domain.
            version: of the dataset, which may have moved to another folder.
        """
        domain, source = (str(name).partition("?")[0] for name in (dataset, self.settings["source"]))
        is_source = domain == source or version == self.settings["data_versions"]["source"]
        return self.settings["read_source_from" if is_source else "read_target_from"]

    @cached_property
    def domains_with_samples(self) -> list[str]:
        """Which of source and target the run keeps test faces of."""
        with self._reading(SAMPLES, "arrays") as file, np.load(file, allow_pickle=False) as kept:
            return [domain for domain in ("source", "target") if len(kept[f"{domain}_names"])]

    def samples(self, domain: str = "target") -> Samples:
        """The test faces of "source" or "target" that the run keeps.

        Raises:
            ValueError: it keeps none, because the test split was empty.
        """
        if domain not in self.domains_with_samples:
            raise ValueError(f"{self.path} keeps no faces of its {domain}: the set had no test split")
        parts = ("images", "landmarks", "occurrence", "names")
        with self._reading(SAMPLES, "arrays") as file, np.load(file, allow_pickle=False) as kept:
            return Samples(*(kept[f"{domain}_{part}"] for part in parts))

    def predictions(self, domain: str = "target", samples_only: bool = False) -> pd.DataFrame:
        """One row per test face: image, subject, and AUxx_c, AUxx_p, AUxx_true of each AU.

        Args:
            samples_only: only the faces of `samples`.
        """
        with self._reading(PREDICTIONS.format(domain), "a table") as file:
            table = pd.read_csv(file)
        if samples_only:
            table = table[table["image"].isin(self.samples(domain).names)].reset_index(drop=True)
        return table

    @cached_property
    def saved(self) -> dict:
        """`config.json` as written: {"model": ..., "settings": ...}."""
        return read_json(self._file(CONFIG))

    @contextmanager
    def _reading(self, name: str, expected: str) -> Iterator[Path]:
        file = self._file(name)
        with reading(file, expected):
            yield file

    def _file(self, name: str) -> Path:
        if not (self.path / name).is_file():
            raise NoFinishedRun(
                f"{self.path} is no finished run: {name} is missing; "
                f"`aulib run 02_train --out {self.path}` makes one, `make demo` those in results/demo."
            )
        return self.path / name

    def _outdated(self, found: str) -> ValueError:
        saved = self.saved.get("settings")
        method = saved.get("method", "full") if isinstance(saved, dict) else "full"
        return ValueError(
            f"{self.path} is a run of an earlier version of aulib ({found}); train it again: "
            f"aulib run 02_train -p method {method} --out {self.path} --force"
        )
