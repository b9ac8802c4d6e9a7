"""A parameters cell read as a signature, and the values that fit it."""

import re
from pathlib import Path

import numpy as np
import pytest

from aubench.study.parameters import Parameter, ParameterError, declared_parameters, fitting, value_from_text
from conftest import write_notebook


def notebook_with(tmp_path, cell: str) -> Path:
    return write_notebook(tmp_path / "n.ipynb", cell)


def parameter(kind: str) -> Parameter:
    return Parameter("p", kind, None)


def test_the_cell_is_read_in_its_order_with_types_and_defaults(tmp_path):
    cell = 'source: str = "a # b"  # labelled faces\nsteps: int = 800  # optimiser steps\nrate = 0.5  # free'
    read = declared_parameters(notebook_with(tmp_path, cell))
    assert list(read.values()) == [
        Parameter("source", "str", "a # b"),
        Parameter("steps", "int", 800),
        Parameter("rate", "float", 0.5),
    ]


def test_a_notebook_without_the_tag_has_no_parameters(tmp_path):
    path = notebook_with(tmp_path, "x: int = 1")
    path.write_text(path.read_text().replace("parameters", "other"))
    assert declared_parameters(path) == {}


@pytest.mark.parametrize(
    "cell, named",
    [
        ("a: int = 1\nb: int = a", "line 2: b "),
        ("a: int = 1.5", "a: expected int, found 1.5"),
        ("a = (1, 2)", "tuple"),
        ("import os", "line 1.*'import os'"),
        ("a: Path = 'x'", "Path"),
    ],
)
def test_a_line_that_an_override_could_not_replace_is_an_error(tmp_path, cell, named):
    with pytest.raises(ParameterError, match=named):
        declared_parameters(notebook_with(tmp_path, cell))


@pytest.mark.parametrize(
    "kind, value",
    [
        ("str", ""),
        ("int", -3),
        ("bool", False),
        ("list[str]", ["infonce"]),
        ("list[list[int]]", [[1], []]),
        ("dict[str, float]", {"au": 0.5}),
        ("str | None", None),
        ("list", [1, "a"]),
    ],
)
def test_a_value_of_the_declared_type_is_taken_as_it_is(kind, value):
    assert fitting(parameter(kind), value) == value


def test_a_value_arrives_as_the_plain_type_that_was_declared():
    assert type(fitting(parameter("float"), 3)) is float
    assert type(fitting(parameter("list[float]"), [3])[0]) is float
    assert type(fitting(parameter("float"), np.float64(1))) is float
    assert type(fitting(parameter("str"), np.str_("x"))) is str


@pytest.mark.parametrize(
    "kind, value",
    [
        ("int", True),
        ("float", True),
        ("bool", 1),
        ("int", 1.0),
        ("float", "1.0"),
        ("float", float("nan")),
        ("str", Path("x")),
        ("int", np.int64(1)),
        ("list[int]", (1, 2)),
        ("list", [(1, 2)]),
        ("list", [{1}]),
        ("list[str]", ["a", 1]),
        ("list[str]", "a"),
        ("dict[str, int]", {1: 1}),
        ("dict", {1: 1}),
        ("str | None", 1),
    ],
)
def test_a_value_of_another_type_or_one_that_json_would_change_is_an_error(kind, value):
    with pytest.raises(ParameterError, match=f"p: expected {re.escape(kind)}"):
        fitting(parameter(kind), value)


@pytest.mark.parametrize(
    "kind, text, value",
    [
        ("str", "123", "123"),
        ("str", "true", "true"),
        ("int", "123", 123),
        ("float", "1e-4", 1e-4),
        ("dict[str, float]", "{cycle: 1e-3}", {"cycle": 1e-3}),
        ("int", "010", 10),
        ("list[int]", "[007, 010]", [7, 10]),
        ("str", "0100", "0100"),
        ("list[str]", "[no, 12:30]", ["no", "12:30"]),
        ("float", "2", 2.0),
        ("bool", "true", True),
        ("bool", "False", False),
        ("list[str]", "[infonce, vicreg]", ["infonce", "vicreg"]),
        ("list[str]", '["a"]', ["a"]),
        ("list[str]", "[]", []),
        ("dict[str, float]", "{au: 2}", {"au": 2.0}),
        ("str | None", "null", None),
        ("str | None", "5", "5"),
    ],
)
def test_text_is_read_according_to_the_declared_type(kind, text, value):
    read = value_from_text(parameter(kind), text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    "kind, text",
    [
        ("int", "many"),
        ("int", "1.5"),
        ("list[str]", "infonce"),
        ("bool", "1"),
        ("bool", "no"),
        ("int", "1_000"),
        ("int", "1e3"),
        ("float", "nan"),
        ("float", "1,5"),
        ("list[str]", "[1, 2]"),
    ],
)
def test_text_that_does_not_fit_is_an_error_that_shows_both(kind, text):
    with pytest.raises(ParameterError) as refusal:
        value_from_text(parameter(kind), text)
    assert kind in str(refusal.value) and repr(text) in str(refusal.value)


def test_a_key_that_json_has_twice_is_named():
    with pytest.raises(ParameterError, match=r"p: expected dict.* \(key 'cycle' is given twice\)"):
        value_from_text(parameter("dict[str, float]"), '{"cycle": 1, "cycle": 10}')
    assert value_from_text(parameter("str | None"), '{"a": 1, "a": 2}') == '{"a": 1, "a": 2}'


NO_NOTEBOOKS = {
    "no JSON": b"{", "a list": b"[]", "other JSON": b"{}", "empty": b"", "cells of text": b'{"cells": ["a"]}',
    "a cell without a source": b'{"cells": [{"cell_type": "code", "metadata": {"tags": ["parameters"]}}]}',
    "Latin-1": "{'\xfc'}".encode("latin-1"), "UTF-16": '{"cells": []}'.encode("utf-16"),
    "deep": b"[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("what", NO_NOTEBOOKS)
def test_a_file_that_is_no_notebook_is_named(what, tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_bytes(NO_NOTEBOOKS[what])
    with pytest.raises(ValueError, match="n.ipynb"):
        declared_parameters(path)


@pytest.mark.parametrize("cell", ["a: int = (", "%matplotlib inline", "a = '", "  a = 1", "a = 1\n b = 2"])
def test_a_parameters_cell_that_is_no_python_is_named(cell, tmp_path):
    with pytest.raises(ParameterError, match="n.ipynb, parameters cell: no Python: .*line"):
        declared_parameters(notebook_with(tmp_path, cell))


def test_text_that_is_no_utf_8_is_refused_before_the_notebook_is_written():
    with pytest.raises(ParameterError, match="surrogates"):
        fitting(parameter("str"), "a\udcff")
    with pytest.raises(ParameterError, match="NUL"):
        fitting(parameter("list[str]"), ["a\0b"])
    assert fitting(parameter("str"), "ü 照片") == "ü 照片"
