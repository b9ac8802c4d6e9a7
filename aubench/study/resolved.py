"""What a run resolves to, and its key: a hash of that and of nothing else.

Names and defaults are replaced by their values first, so runs that would train the same model have the same
key, whatever words ask for it.
"""

import hashlib
import json
import os
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from aubench.study.parameters import code_cells, trained_config
from aulib.files import code_version
from aulib.methods import PRESETS
from aulib.protocols import split_name
from aulib.run_config import what_counts

MANIFESTS = ("manifest.csv", "manifest.parquet")
NONE = "none"


def resolve(notebook: Path, values: dict[str, Any], library: str | None = None) -> dict:
    """All that shapes a run, as `params.json` keeps it.

    Args:
        values: from `effective_parameters`.  library: `code_version()`, if the caller has it already.

    Returns:
        training: `RunConfig.resolved`, {} for a notebook that does not call `train_run`; parameters: those
        that are not part of it, without `out_dir`; data: name -> where each dataset or run among the values
        is, with a hash of what it holds; notebook: hash of its code cells; code: `code_version()`.
    """
    values = {name: value for name, value in values.items() if name != "out_dir"}
    config = trained_config(notebook, values)
    training = config.resolved if config else {}
    taken = {*training, *training.get("preset_values", {})}
    cells = json.dumps(code_cells(notebook))
    return {
        "training": training,
        "parameters": {name: value for name, value in values.items() if name not in taken},
        "data": {name: version for name in _texts(values) if (version := _data(name))},
        "notebook": hashlib.sha256(cells.encode()).hexdigest(),
        "code": library or code_version(),
    }


def run_key(resolved: dict) -> str:
    """Hash of what `resolve` returned; a dataset counts by what it holds."""
    training = resolved["training"]
    if training:
        sets = {name: resolved["data"].get(training[name], training[name]) for name in ("source", "target")}
        training = what_counts(training) | sets
    data = sorted(resolved["data"].values())
    text = json.dumps(resolved | {"training": training, "data": data}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def headlines(resolved: dict) -> dict[str, str]:
    """The parts of `resolve` that a reader compares, each on a line; a parameter left empty has none."""
    own = {name: value for name, value in resolved["parameters"].items() if name != "seed"}
    lines = {name: _text(value) for name, value in own.items() if value not in (None, "", [], {})}
    training = resolved["training"]
    if not training:
        return lines
    how = {name: training[name] for name in ("negatives", "temperature") if training[name] is not None}
    schedule = {name: training[name] for name in ("preset", "steps", "batch_size")}
    preset, usual = training["preset_values"], asdict(PRESETS[training["preset"]])
    shown = {"separation", "crop"}
    changed = {n: value for n, value in preset.items() if n not in shown and value not in (None, usual[n])}
    network = {"backbone": training["backbone"] or "own", "share_extraction": training["share_extraction"]}
    sets = training["source"], training["target"]
    return {
        "method": training["method"],
        "supervisors": _text(training["supervisors"]),
        "weights": _text(training["weights"]),
        "alignment": ", ".join(filter(None, [_text(training["alignment"]), how and _text(how)])),
        "separation": _text(preset["separation"]),
        "network": _text({name: value for name, value in network.items() if value is not None}),
        "crop": preset["crop"],
        "schedule": _text(schedule | changed),
        "precision": training["precision"],
        "data": " to ".join(resolved["data"].get(name, f"{name} (not there)") for name in sets),
    } | lines


def differences(first: dict, other: dict) -> dict[str, tuple[str, str]]:
    """Where two resolved trainings or sets of parameters differ: name -> both values, as text."""
    one, two = _flat(first), _flat(other)
    names = [name for name in one | two if one.get(name) != two.get(name)]
    return {name: (_text(one.get(name)), _text(two.get(name))) for name in names}


def _flat(values: dict) -> dict:
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": own for key, own in value.items()}
        else:
            flat[name] = value
    return flat


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {own}" for name, own in value.items()) or NONE
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NONE
    return NONE if value in (None, "") else str(value)


def data_versions(values: dict[str, Any]) -> dict[str, str]:
    """Version of each dataset among the values: a hash as in `DatasetFolder.version`."""
    found = {name: _hashes_of(_folder_of(name), MANIFESTS)[:12] for name in _texts(values)}
    return {name: version for name, version in found.items() if version}


def _texts(values: dict[str, Any]) -> list[str]:
    """Every text among the values: each may name a folder."""
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    return list(dict.fromkeys(one for several in lists for one in several if isinstance(one, str) and one))


def _folder_of(name: str) -> Path:
    """The folder that a text would name: `data/bp4d` of `data/bp4d#bp4d-3fold/part1`."""
    if name.startswith("synthetic:"):
        from aufaces.sets import folder_of  # imports the renderer

        return folder_of(name)
    return Path(name if os.path.isdir(name) else split_name(name)[0])


def _data(name: str) -> str:
    """Where a dataset or run is, and a hash of what it holds; "" for other texts.

    A rendered set counts by the name of its folder, which contains its version, so a key can be computed
    before the set is rendered. Two names of one folder give the same text: `./data`, `data`, a link to it.
    """
    folder = _folder_of(name)
    if name.startswith("synthetic:"):
        return folder.name
    held = _hashes_of(folder, (*MANIFESTS, "result.json"))
    if not held:
        return ""
    fold = "" if os.path.isdir(name) else split_name(name)[1]
    place = os.path.relpath(whole := os.path.realpath(folder), os.path.realpath("."))
    place = whole if place.startswith("..") else place
    return f"{place}{fold and '#'}{fold}@{hashlib.sha256(held.encode()).hexdigest()[:12]}"


def _hashes_of(folder: Path, names: tuple[str, ...]) -> str:
    """Hashes of those files that are there, each computed again only when the file changed."""
    files = [folder.absolute() / name for name in names if os.path.isfile(folder / name)]
    return "".join(_hash_of_bytes(file, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


@lru_cache(maxsize=256)
def _hash_of_bytes(path: Path, *_stamp: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
