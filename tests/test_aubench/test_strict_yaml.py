"""A study file means what it says, or is refused with its name and line."""

import math

import pytest

from aubench.study.strict_yaml import parse_yaml, read_yaml

MEANS = {
    "1e-1": 0.1, "1.5E+2": 150.0, "-2.": -2.0, ".5": 0.5, ".inf": math.inf, "1": 1, "-0": 0,
    "0100": 100, "010": 10, "009": 9, "0x1F": 31, "0o17": 15,
    "true": True, "False": False, "~": None, "null": None, "": None,
    "no": "no", "on": "on", "Yes": "Yes", "12:30": "12:30", "1_000": "1_000", "2020-01-01": "2020-01-01",
    "1,5": "1,5", "'0100'": "0100", "e1": "e1", "1e": "1e", "0b11": "0b11", "=": "=", "None": "None",
}  # fmt: skip


@pytest.mark.parametrize("text", MEANS)
def test_plain_values_are_those_of_yaml_1_2(text):
    (found,) = parse_yaml(f"key: {text}\n").values()
    assert found == MEANS[text] and type(found) is type(MEANS[text])


FAULTS = {
    "tab": (b"a: 1\nb:\n\t- 2\n", "line 3: not valid YAML: .*indent with spaces"),
    "open list": (b"a: 1\nb: [1\n", "line 3"),
    "a key twice": (b"a: 1\nb: 2\na: 3\n", "line 3: .*'a' is given twice"),
    "a number and its text as keys": (b"1: a\n'1': b\n", "line 2: .*'1' is given twice"),
    "Latin-1": ("a: 1\nb: f\xfcr\n".encode("latin-1"), r"line 2 is not UTF-8 \(byte 0xfc\)"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "is UTF-16"),
    "UTF-16 without a mark": ("a: 1\n".encode("utf-16-be"), "holds NUL bytes"),
    "empty": (b"", "is empty"),
    "control character": (b"a: \x07\n", "not valid YAML"),
    "two documents": (b"a: 1\n---\nb: 2\n", "line 2: not valid YAML"),
    "unknown anchor": (b"a: *b\n", "line 1: not valid YAML: found undefined alias 'b'"),
    "a list as a key": (b"? [1]\n: 2\n", "line 1: not valid YAML: found unhashable key"),
    "a Python object": (b"!!python/object:os.system {}\n", "line 1: not valid YAML"),
    "an integer that is none": (b"a: !!int many\n", "not valid YAML: ValueError"),
    "a date that is none": (b"a: !!timestamp never\n", "not valid YAML: AttributeError"),
    "deep": (b"[" * 20_000, "not valid YAML: RecursionError"),
    "ten thousand digits": (b"a: " + b"9" * 10_000, "not valid YAML"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_yaml_is_refused_with_file_and_line(fault, tmp_path):
    file = tmp_path / "why.yml"
    content, named = FAULTS[fault]
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"why\.yml.*{named}") as error:
        read_yaml(file)
    assert len(str(error.value)) < 500 and "\n" not in str(error.value)


def test_marks_and_line_ends_of_other_editors_change_nothing(tmp_path):
    file = tmp_path / "why.yml"
    file.write_bytes("\ufeffa: 1\r\nb: für\r\n".encode())
    assert read_yaml(file) == {"a": 1, "b": "für"}


def test_anchors_and_merges_work():
    assert parse_yaml("a: &one {x: 1}\nb: {<<: *one, y: 2}") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}
