"""YAML 1.2 as people read it: 1e-1 is a number, 0100 is a hundred, `no` and 12:30 are text.

PyYAML reads YAML 1.1, where 1e-1 is text, 0100 is 64, `no` is False and 12:30 is 750. The core schema of
YAML 1.2.2, section 10.3.2, replaces its rules for plain values. A key that is given twice is an error.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from aulib.files import read_text

TAG = "tag:yaml.org,2002:"
CORE_SCHEMA = {  # tag: how such a value is written, and the characters that it may begin with
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}


class _CoreSchema(yaml.SafeLoader):
    yaml_implicit_resolvers: dict = {}

    def construct_mapping(self, node, deep=False):
        known = set()
        for key, _ in node.value:
            if (name := str(key.value)) in known:
                raise ConstructorError(None, None, f"{key.value!r} is given twice", key.start_mark)
            known.add(name)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node):
        text = self.construct_scalar(node)
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


for _tag, (_written, _begins) in CORE_SCHEMA.items():
    _CoreSchema.add_implicit_resolver(TAG + _tag, re.compile(f"(?:{_written})$"), _begins)
_CoreSchema.add_constructor(TAG + "int", _CoreSchema.construct_yaml_int)


def parse_yaml(text: str, path: str | Path = "") -> Any:
    """The value that a text holds.

    Raises:
        ValueError: no YAML; names `path`, if it is given, and the line.
    """
    try:
        return yaml.load(text, Loader=_CoreSchema)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, cause = f" line {mark.line + 1}" if mark else "", error.problem or error.context
    except Exception as error:  # of a value with a tag, `!!int many`, or of lists in thousands of lists
        line, cause = "", f"{type(error).__name__}: {error}"
    hint = "; indent with spaces" if "'\\t'" in cause else ""
    raise ValueError(f"{path}{line}: not valid YAML: {' '.join(cause.split())}{hint}".lstrip(": "))


def read_yaml(path: str | Path) -> Any:
    """The value that a file holds.

    Raises:
        ValueError: it is empty, not UTF-8 or no YAML; names the file and the line.
    """
    return parse_yaml(read_text(path), path)
