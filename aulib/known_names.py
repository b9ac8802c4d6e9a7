"""What the tables of the library hold, read from their source: importing them takes the time torch takes.

A study is planned, listed and watched without computing anything, and should answer at once.
"""

import ast
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


def names_in(module: str, table: str) -> tuple[str, ...]:
    """The keys of a dict, or the items of a tuple, that a module of the library assigns at its top.

    Args:
        module: "aulib.methods", say.  table: "METHODS", say.

    Raises:
        LookupError: no such literal there.
    """
    file = Path(find_spec(module).origin)
    return _names_in(str(file), table, file.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _names_in(file: str, table: str, _changed: int) -> tuple[str, ...]:
    for node in ast.parse(Path(file).read_text(encoding="utf-8"), file).body:
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == [table]:
            found = node.value.keys if isinstance(node.value, ast.Dict) else getattr(node.value, "elts", None)
            if found is not None and all(isinstance(one, ast.Constant) for one in found):
                return tuple(one.value for one in found)
    raise LookupError(f"{file} assigns no literal {table}")
