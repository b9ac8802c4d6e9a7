"""A notebook's parameters cell as a signature: names, types, defaults, help, and the values it accepts.

The cell is tagged `parameters` and has one `name: type = literal  # help` a line. A type is str, int, float,
bool, list, dict, list[...], dict[str, ...], None or a union of these with `|`. pydantic checks values in
strict mode. A value that JSON would change on its way to the notebook (tuple, set, path, NaN) is an error.
"""

import ast
import io
import json
import re
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict, "None": None}
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
    help: str


def declared_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """Read the parameters cell without running anything.

    Returns:
        parameters by name, in the order of the cell; empty if no cell is tagged `parameters`.

    Raises:
        ParameterError: a line does not assign a literal (a derived value would not follow an override), or a
            default does not fit its type.
    """
    about = Path(notebook).stat()
    return dict(_declared(str(notebook), about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=64)
def _declared(notebook: str, *_stamp: int) -> dict[str, Parameter]:
    """Cached until the file changes: a study of a thousand runs asks a thousand times."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        return {}
    if len(tagged) > 1:
        raise ParameterError(f"{notebook}: {len(tagged)} cells are tagged 'parameters', expected one")
    source = "".join(tagged[0]["source"])
    comments = _comments_by_line(source)
    found = {}
    for statement in ast.parse(source).body:
        where = f"{notebook}, parameters cell, line {statement.lineno}"
        name, annotation = _assigned_name(statement, where)
        try:
            default = ast.literal_eval(statement.value)
        except ValueError:
            raise ParameterError(f"{where}: {name} must be a literal, found a derived value") from None
        if annotation is None and default is None:
            raise ParameterError(f"{where}: {name} = None needs a type, as in `{name}: str | None = None`")
        kind = annotation or type(default).__name__
        parameter = Parameter(name, kind, None, comments.get(statement.end_lineno, ""))
        found[name] = Parameter(name, kind, fitting(parameter, default), parameter.help)
    return found


def fitting(parameter: Parameter, value: Any) -> Any:
    """`value` as the notebook will see it (an int for a float becomes a float).

    Raises:
        ParameterError: the type is unknown, the value does not fit it, or JSON would change the value.
    """
    accepts = _type_adapter(parameter.type)
    if accepts is None:
        raise ParameterError(f"parameter {parameter.name} cannot have the type {parameter.type}")
    try:
        fitted = accepts.validate_python(value)
        received = json.loads(json.dumps(fitted, allow_nan=False))
        if received == fitted:
            return received
        reason = "JSON would change it"
    except ValidationError:
        reason = ""
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise ParameterError(
        f"parameter {parameter.name}: expected {parameter.type}, "
        f"found {value!r} of type {type(value).__name__}{f' ({reason})' if reason else ''}"
    )


@lru_cache
def _type_adapter(annotation: str) -> TypeAdapter | None:
    """None for an annotation that is not made of TYPES."""
    if not re.fullmatch(r"[\w\[\], |]+", annotation) or set(re.findall(r"\w+", annotation)) - TYPES.keys():
        return None
    try:
        return TypeAdapter(eval(annotation, {"__builtins__": {}}, TYPES), config=STRICT)
    except (SyntaxError, TypeError):
        return None


def value_from_text(parameter: Parameter, text: str) -> Any:
    """Read a value from the command line according to the declared type.

    For `str` the text is the value. For other types it is read as JSON, then as YAML (`[infonce, vicreg]`),
    then as text.

    Raises:
        ParameterError: no reading fits the type.
    """
    readings = [text] if parameter.type == "str" else [*_parsed(text), text]
    for reading in readings:
        try:
            return fitting(parameter, reading)
        except ParameterError:
            continue
    raise ParameterError(f"parameter {parameter.name}: expected {parameter.type}, found {text!r}")


def _parsed(text: str) -> list:
    readings = []
    for parse, error in ((json.loads, json.JSONDecodeError), (yaml.safe_load, yaml.YAMLError)):
        try:
            readings.append(parse(text))
        except error:
            continue
    return readings


def _assigned_name(statement: ast.stmt, where: str) -> tuple[str, str | None]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr()):
            return name, ast.unparse(annotation)
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name, None
    raise ParameterError(
        f"{where}: expected `name: type = literal  # help`, found {ast.unparse(statement)!r}"
    )


def _comments_by_line(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}
