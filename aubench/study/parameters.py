"""A notebook's parameters cell read as a signature: names, types, defaults, help, and values that fit.

The cell is tagged `parameters` and holds one `name: type = literal  # help` a line. Types are str, int,
float, bool, list, dict, list[...], dict[str, ...], None and unions with `|`. What JSON would change on the
way to the notebook (tuples, sets, paths, NumPy numbers, NaN) is refused here, where papermill would pass it
on as something else.
"""

import ast
import io
import json
import math
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


class ParameterError(ValueError):
    """A parameter that the notebook does not declare, or a value that its type does not admit."""

    exit_status = 2  # of a command it ends: the arguments were wrong


@dataclass(frozen=True)
class Parameter:
    """One line of a parameters cell; `type` is the annotation as written, or the default's own type."""

    name: str
    type: str
    default: Any
    help: str


def declared_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """Read the parameters cell without running anything.

    Returns:
        parameters by name in the cell's order; empty if no cell is tagged `parameters`.

    Raises:
        ParameterError: a line is no plain assignment of a literal (a derived value would not follow an
            override), or a default does not fit its own type.
    """
    about = Path(notebook).stat()
    return dict(_declared(str(notebook), about.st_mtime_ns, about.st_size))


@lru_cache(maxsize=64)
def _declared(notebook: str, *_stamp: int) -> dict[str, Parameter]:
    """Read once: a study of a thousand runs asks as often."""
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
    """Return `value` as the notebook will see it (an int given for a float becomes one), or refuse it."""
    try:
        return _fit(value, ast.parse(parameter.type, mode="eval").body)
    except TypeError as reason:
        detail = f" ({reason})" if str(reason) else ""
        raise ParameterError(
            f"parameter {parameter.name}: expected {parameter.type}, "
            f"found {value!r} of type {type(value).__name__}{detail}"
        ) from None


def value_from_text(parameter: Parameter, text: str) -> Any:
    """Read a value typed on a command line according to the declared type.

    For `str` the text is taken as it is; for anything else as JSON, then as YAML (`[infonce, vicreg]`), then
    as text.
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


def _fit(value: Any, kind: ast.expr) -> Any:
    """Match by exact type: NumPy's float64 is a subclass of float, bool one of int; neither is meant."""
    match kind:
        case ast.Constant(value=None):
            accepted = value is None
        case ast.BinOp(op=ast.BitOr()):
            for side in (kind.left, kind.right):
                try:
                    return _fit(value, side)
                except TypeError:
                    continue
            accepted = False
        case ast.Name(id="float"):
            accepted = type(value) in (int, float) and math.isfinite(value)
            value = float(value) if accepted else value
        case ast.Name(id="str" | "int" | "bool" as name):
            accepted = type(value).__name__ == name and type(value).__module__ == "builtins"
        case ast.Name(id="list") | ast.Name(id="dict"):
            accepted = type(value).__name__ == kind.id
            if accepted:
                _plain_json(value)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            accepted = type(value) is list
            value = [_fit(one, item) for one in value] if accepted else value
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), item])):
            accepted = type(value) is dict and all(type(key) is str for key in value)
            value = {key: _fit(one, item) for key, one in value.items()} if accepted else value
        case _:
            raise TypeError(f"a parameter cannot have the type {ast.unparse(kind)}")
    if not accepted:
        raise TypeError
    return value


def _plain_json(value: Any) -> None:
    """Refuse what would come back from JSON as something else."""
    try:
        same = json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError) as reason:
        raise TypeError(str(reason)) from None
    if not same:
        raise TypeError("JSON would change it")


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
