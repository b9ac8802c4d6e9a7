"""A notebook's parameters cell as a signature: names, types, defaults, and the values it accepts.

The cell is tagged `parameters` and has one `name: type = literal  # help` a line. A type is str, int, float,
bool, list, dict, list[...], dict[str, ...], None or a union of these with `|`. pydantic checks values in
strict mode. A value that JSON would change on its way to the notebook (tuple, set, path, NaN) is an error.
"""

import ast
import json
import re
import reprlib
from dataclasses import MISSING, dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from aubench.study.strict_yaml import parse_yaml
from aulib.files import GivenTwice, no_key_twice, read_text, reading
from aulib.methods import PRESETS, Preset
from aulib.protocols import PROTOCOLS, find_fold
from aulib.run_config import RunConfig

TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "None": None}
OF_THE_LIBRARY = {one.name: one.default for one in fields(RunConfig) if one.init and one.name != "changes"}
OF_PRESETS = {one.name for one in fields(Preset)} - OF_THE_LIBRARY.keys()
SHORT = reprlib.Repr()  # of a value in a message
SHORT.maxstring = SHORT.maxother = 200
SHORT.maxlist = SHORT.maxdict = 20
STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class ParameterError(ValueError):
    """A parameter that the notebook does not declare, or a value that does not fit its type."""

    exit_status = 2  # a command that raises it had wrong arguments


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell; `type` is the annotation as written, or the type of the default."""

    name: str
    type: str
    default: Any


def declared_parameters(notebook: str | Path, text: str | None = None) -> dict[str, Parameter]:
    """Read the parameters cell without running anything.

    Args:
        text: contents of the notebook, if they are not those of the file.

    Returns:
        parameters by name, in the order of the cell; empty if no cell is tagged `parameters`.

    Raises:
        ValueError: the file is no notebook.
        ParameterError: it is no Python, a line does not assign a literal (a derived value would not follow an
            override), or a default does not fit its type.
    """
    tagged = [cell for cell in _cells(notebook, text) if _is_tagged(cell)]
    if len(tagged) > 1:
        raise ParameterError(f"{notebook}: {len(tagged)} cells are tagged 'parameters', expected one")
    return dict(_signature("".join(tagged[0]["source"]), str(notebook))) if tagged else {}


@lru_cache
def _signature(cell: str, notebook: str) -> dict[str, Parameter]:
    """Cached: every run of a study asks for the same cell."""
    try:
        lines = ast.parse(cell).body
    except (SyntaxError, ValueError) as error:
        raise ParameterError(f"{notebook}, parameters cell: no Python: {error}") from None
    found = [_parameter(line, f"{notebook}, parameters cell, line {line.lineno}") for line in lines]
    return {parameter.name: parameter for parameter in found}


def _parameter(line: ast.stmt, where: str) -> Parameter:
    match line:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr()):
            kind = ast.unparse(annotation)
        case ast.Assign(targets=[ast.Name(id=name)]):
            kind = ""
        case _:
            found = ast.unparse(line)
            raise ParameterError(f"{where}: expected `name: type = literal  # help`, found {found!r}")
    try:
        default = ast.literal_eval(line.value)
    except ValueError:
        raise ParameterError(f"{where}: {name} must be a literal, found a derived value") from None
    parameter = Parameter(name, kind or type(default).__name__, default)
    try:
        return replace(parameter, default=fitting(parameter, default))
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from None


def fitting(parameter: Parameter, value: Any) -> Any:
    """`value` as the notebook will see it (an int for a float becomes a float).

    Raises:
        ParameterError: the type is unknown, the value does not fit it, or JSON would change the value.
    """
    try:
        fitted = _type_adapter(parameter.type).validate_python(value)
        text = json.dumps(fitted, allow_nan=False, ensure_ascii=False)
        received = json.loads(text.encode())  # an error for text that is no UTF-8
        if received == fitted and "\\u0000" not in text:
            return received
        reason = " (JSON would change it)" if received != fitted else " (it holds a NUL)"
    except ValidationError:
        reason = ""
    except (TypeError, ValueError) as error:
        reason = f" ({error})"
    raise ParameterError(
        f"parameter {parameter.name}: expected {_accepted(parameter)}, "
        f"found {SHORT.repr(value)} of type {type(value).__name__}{reason}"
    )


def _accepted(parameter: Parameter) -> str:
    """The type, and how its values are written where another way is common."""
    ways = {"bool": "true or false", "str": "text, in quotes if it looks like a number"}
    return parameter.type + (f" ({ways[parameter.type]})" if parameter.type in ways else "")


@lru_cache
def _type_adapter(annotation: str) -> TypeAdapter:
    if not re.fullmatch(r"[\w\[\], |]+", annotation) or set(re.findall(r"\w+", annotation)) - TYPES.keys():
        raise TypeError(f"a type is made of {', '.join(TYPES)}")
    return TypeAdapter(eval(annotation, {"__builtins__": {}}, TYPES), config=STRICT)


def value_from_text(parameter: Parameter, text: str) -> Any:
    """Read a value from the command line according to the declared type.

    For `str` the text is the value. For other types it is read as JSON, then as YAML (`[infonce, vicreg]`),
    then as text. No text is no value: YAML would make None of it.

    Raises:
        ParameterError: no reading fits the type.
    """
    strict_json = partial(json.loads, object_pairs_hook=no_key_twice)
    found = repr(text)
    readers = (strict_json, parse_yaml, str) if text.strip() else (str,)
    for read in (str,) if parameter.type == "str" else readers:
        try:
            return fitting(parameter, read(text))
        except GivenTwice as error:
            found += f" ({error})"
        except ValueError:
            continue
    raise ParameterError(f"parameter {parameter.name}: expected {_accepted(parameter)}, found {found}")


def effective_parameters(notebook: Path, overrides: dict[str, Any], out_dir: Path) -> dict[str, Any]:
    """The cell's defaults with `overrides`, each checked against its type and by `RunConfig`.

    Raises:
        ParameterError: unknown parameter, wrong type, or a value that `RunConfig` refuses.
    """
    declared = _declared_with(notebook, overrides)
    if "out_dir" in declared:
        overrides = overrides | {"out_dir": out_dir.as_posix()}
    values = {n: fitting(p, overrides[n]) if n in overrides else p.default for n, p in declared.items()}
    trained_config(notebook, values)
    return values


def with_library_defaults(notebook: Path, given: dict[str, Any]) -> dict[str, Any]:
    """`given`, and the library's default of every other parameter, whatever the notebook's cell says.

    Jupyter saves an edited parameters cell by itself, and a study must not follow it.

    Raises:
        ParameterError: an unknown parameter, or one that is not given and has no default in the library.
    """
    declared = _declared_with(notebook, given)
    known = library_defaults(notebook, given)
    left = {n: p.default for n, p in declared.items() if n not in {*given, *known, "seed", "out_dir"}}
    if left:
        raise ParameterError(
            f"a study takes no value from a notebook, and the library has no default for {list(left)} of "
            f"{notebook.name}; write them under `fixed`, such as {json.dumps(left)}"
        )
    return {name: known[name] for name in declared if name in known} | given


def _declared_with(notebook: Path, given: dict[str, Any]) -> dict[str, Parameter]:
    declared = declared_parameters(notebook)
    if unknown := sorted(given.keys() - declared.keys()):
        raise ParameterError(f"{notebook.name} declares no parameter {unknown}; it has {list(declared)}")
    return declared


def library_defaults(notebook: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The library's defaults of what `train_run` takes, by name; empty if the notebook does not call it."""
    if not _trains(notebook):
        return {}
    usual = PRESETS[OF_THE_LIBRARY["preset"]]
    of_preset = {name: getattr(PRESETS.get(given.get("preset"), usual), name) for name in OF_PRESETS}
    own = {name: value for name, value in OF_THE_LIBRARY.items() if value is not MISSING and name != "seed"}
    return json.loads(json.dumps(own | of_preset)) | {"protocol": ""}


def trained_config(notebook: Path, values: dict[str, Any]) -> RunConfig | None:
    """What a notebook that calls `train_run` trains with these values; None for other notebooks.

    Raises:
        ParameterError: a value that `RunConfig` refuses, or an unknown protocol.
    """
    if not _trains(notebook):
        return None
    given = {name: value for name, value in values.items() if name in {*OF_THE_LIBRARY, *OF_PRESETS}}
    protocol = values.get("protocol")
    try:
        if protocol and protocol not in PROTOCOLS:
            find_fold(protocol)
        return RunConfig.of(**({"source": "", "target": ""} | given))
    except (KeyError, ValueError) as error:
        raise ParameterError(error.args[0]) from None


def _trains(notebook: Path) -> bool:
    return any("train_run" in cell for cell in code_cells(notebook))


def code_cells(notebook: Path, text: str | None = None) -> list[str]:
    """Sources of the code cells but the parameters cell.

    Args:
        text: as in `declared_parameters`.
    """
    cells = [cell for cell in _cells(notebook, text) if not _is_tagged(cell)]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def _cells(notebook: str | Path, text: str | None) -> list[dict]:
    text = read_text(notebook) if text is None else text
    with reading(notebook, "a notebook"):
        cells = json.loads(text)["cells"]
        for cell in cells:  # what is used of them
            "".join(cell["source"]), cell["cell_type"], "parameters" in cell["metadata"].get("tags", [])
        return cells


def _is_tagged(cell: dict) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])
