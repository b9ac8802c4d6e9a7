"""A finished run's model on disk: weights as safetensors, its configuration as JSON; nothing is unpickled."""

import json
from pathlib import Path

from safetensors.torch import load_file, save

from aulib.model import AUModel, ModelConfig

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_run(run: Path, model: AUModel, settings: dict) -> None:
    """Write weights and `config.json` {"model": ..., "settings": ...} into the run folder."""
    weights = save({name: value.contiguous() for name, value in model.state_dict().items()})
    (run / WEIGHTS).write_bytes(weights)  # `save_file` makes a file that only its owner may read
    (run / CONFIG).write_text(json.dumps({"model": model.config.as_dict(), "settings": settings}, indent=2))


def load_run(run: str | Path) -> tuple[AUModel, dict]:
    """The model of a run, in evaluation mode on the CPU, and its settings (method, read_target_from, ...).

    Raises:
        FileNotFoundError: the folder is not a finished run; says which file is missing.
    """
    run = Path(run)
    for name in (CONFIG, WEIGHTS):
        if not (run / name).is_file():
            raise FileNotFoundError(
                f"{run} is no finished run: {name} is missing (`aulib run 02_train --out {run}` makes one)"
            )
    saved = json.loads((run / CONFIG).read_text())
    model = AUModel(ModelConfig.from_dict(saved["model"] | {"pretrained": False}))
    model.load_state_dict(load_file(run / WEIGHTS))
    return model.eval(), saved["settings"]
