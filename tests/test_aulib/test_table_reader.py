"""One reader of tables: every mark, code and encoding is read as meant or refused by its name."""

import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from aulib.tables import INTENSITY, OCCURRENCE, PIXELS, normal_form, read_table, refuse

RULES = (OCCURRENCE, INTENSITY, PIXELS)


@pytest.fixture
def table_of(tmp_path):
    """The table and faults of a CSV with this text, or these bytes."""

    def read(text, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(path, RULES, **options)

    return read


@pytest.fixture
def refused(table_of, tmp_path):
    """The message that refuses this text."""

    def message(text):
        with pytest.raises(ValueError) as caught:
            refuse(table_of(text)[1], tmp_path / "t.csv")
        assert "t.csv" in str(caught.value)
        return str(caught.value)

    return message


NOTHING = "nan NaN -nan -nan(ind) nan(snan) 1.#QNAN -1.#IND00 1.#SNAN -NAN(IND) NA <NA> n/a #N/A None null"


@pytest.mark.parametrize("cell", ["", " ", *NOTHING.split()])
def test_a_missing_cell_has_many_names(table_of, cell):
    table, faults = table_of(f"image,AU01_c,AU02_r,x_0\na.jpg,{cell},{cell},{cell}\nb.jpg,1,2.5,-3\n")
    assert not faults and table.iloc[0, 1:].isna().all()
    assert table.iloc[1].tolist() == ["b.jpg", 1, 2.5, -3]


@pytest.mark.parametrize("code", ["9", "999", "9.0", " 999"])
def test_codes_for_unknown_labels_are_missing_and_noted(table_of, code):
    table, faults = table_of(f"image,AU01_c,AU02_r,x_0\na.jpg,{code},{code},9\nb.jpg,0,1,999\n")
    assert table["AU01_c"].isna().tolist() == table["AU02_r"].isna().tolist() == [True, False]
    assert table["x_0"].tolist() == [9, 999]  # pixels
    assert [(fault.row, fault.note) for fault in faults] == [(0, True), (0, True)]


@pytest.mark.parametrize("column", ["AU01_c", "x_0"])
@pytest.mark.parametrize("cell", ["yes", "True", "0x1", "1_0", "٣", "1 0", "--1", "9e", "1.#INF", "inf"])
def test_a_cell_that_is_no_number_is_refused_with_line_and_column(refused, cell, column):
    message = refused(f"image,{column},AU02_c\na.jpg,1,0\n\nb.jpg,{cell},0\n")  # a blank line counts
    assert f"line 4: {column} is " in message


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_separator_is_named_and_so_is_a_decimal_comma(refused, mark, decimal):
    text = f"image{mark}x_0\na.jpg{mark}1{decimal}5\n"
    message = refused(text)
    assert f"separated by {mark!r}" in message and ("decimals" in message) == (decimal == ",")
    assert "decimals" not in refused(f"image{mark}AU01_c\na.jpg{mark}1\n")


@pytest.mark.parametrize(
    "header, row",
    [
        ("image,x_0,x_1,AU01_c", "a.jpg,41,85,42,5,0"),
        ("image,x_0,x_1,AU01_c", 'a.jpg,"41,85","42,5",0'),
        ("image,subject,split,AU01_r", "a.jpg,ann,train,0,5"),
    ],
)
def test_decimal_commas_are_named(refused, header, row):
    message = refused(f"{header}\n{row}\n")
    message = message.partition("t.csv")[2]  # the folder is named as this test
    assert "line 2" in message and ("decimal point" in message or "comma" in message)


@pytest.mark.parametrize("row", ["a.jpg,1", "a.jpg,1,0,0", "a.jpg;1;0", "a.jpg\t1\t0", '"a.jpg,1,0'])
def test_a_row_of_another_length_is_refused_with_its_line(refused, row):
    message = refused(f"image,x_0,AU01_c\nz.jpg,1,0\n{row}\ny.jpg,1,0\n")
    assert "line 3: " in message
    assert "\n" not in message, "the other rows are sound"


def test_a_comma_at_the_end_of_a_row_is_named(refused):
    message = refused("image,x_0,AU01_c\na.jpg,40,0,\nb.jpg,41,1,\n")
    assert "line 2: 4 cells, the header has 3: does the row end with a comma?" in message
    assert "decimals" not in message


def test_names_are_text_and_others_as_asked(table_of):
    text = "image,subject,frame,note\n001,007,1,05\n"
    table, _ = table_of(text)
    assert (
        table["image"].tolist() == ["001"] and table["subject"].tolist() == ["007"] and table["note"][0] == 5
    )
    assert table_of(text, keep_text=True)[0]["note"].tolist() == ["05"]


ALIKE = {
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "CR": lambda data: data.replace(b"\n", b"\r"),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "spaces": lambda data: data.replace(b",", b", "),
    "blank lines": lambda data: data.replace(b"\n", b"\n\n") + b"\n \n",
    "quotes": lambda data: data.replace(b"a b", b'"a b"').replace(b"2.5", b'"2.5"'),
    "spaces and quotes": lambda data: data.replace(b",", b", ").replace(b"f", b'"f"'),
}


@pytest.mark.parametrize("change", ALIKE)
def test_line_ends_spaces_quotes_and_byte_order_marks_change_nothing(table_of, change):
    text = "image,subject,AU01_c,x_0,meta_a\na b.jpg,é,1,2.5,3\nb.jpg,f,,1e1,4\n".encode()
    clean, _ = table_of(text)
    found, faults = table_of(ALIKE[change](text))
    assert not faults
    pd.testing.assert_frame_equal(found.reset_index(drop=True), clean)


def test_doubled_and_nameless_columns_and_no_header_are_refused(refused):
    assert "`x_0` occurs twice" in refused("image,x_0, x_0\na.jpg,1,2\n")
    assert "column 2 has no name" in refused("image,,x_0\na.jpg,1,2\n")
    assert "'a.jpg'" in refused("a.jpg\nb.jpg\n")


def test_what_is_no_table_is_named(refused, tmp_path):
    assert "found an empty file" in refused("")
    assert "a pointer of Git LFS" in refused("version https://git-lfs.github.com/spec/v1\n")
    assert "a web page" in refused("<!DOCTYPE html>\n<html>a,b</html>")
    assert "first line is for Excel" in refused("sep=;\na;b\n1;2\n")
    (tmp_path / "t.xlsx").write_text("image,AU01_c")
    with pytest.raises(ValueError, match="12 bytes of text, which is no .xlsx"):
        read_table(tmp_path / "t.xlsx", RULES)


def test_a_workbook_has_one_sheet_with_names_that_differ(tmp_path):
    sheets = {"first": pd.DataFrame({"image": ["a", "b"], "AU01_c": [0, 1]}), "second": pd.DataFrame()}
    path = tmp_path / "t.xlsx"

    def write() -> None:
        with pd.ExcelWriter(path) as book:
            for name, sheet in sheets.items():
                sheet.to_excel(book, sheet_name=name, index=False)

    write()
    assert read_table(path, RULES)[0]["AU01_c"].tolist() == [0, 1]
    sheets["first"].columns = ["AU01_c", "AU01_c"]
    write()
    assert "column `AU01_c` occurs twice" in [fault.text for fault in read_table(path, RULES)[1]]
    sheets["second"] = sheets["first"]
    write()
    with pytest.raises(ValueError, match="2 sheets with cells, first, second; expected one"):
        read_table(path, RULES)


def test_a_formula_without_a_result_is_refused(tmp_path):
    path = tmp_path / "t.xlsx"
    pd.DataFrame({"image": ["a", "b"], "AU01_c": [1, "=IF(1>0,1,0)"]}).to_excel(path, index=False)
    with pytest.raises(ValueError, match="t.xlsx cell B3 is a formula without a result"):
        read_table(path, RULES)
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    head, _, tail = parts[sheet].partition(b'<c r="B3"')
    # As spreadsheets store results, of which one is an empty text.
    for kind, result, value in ((b"", b"<v>1</v>", 1), (b' t="str"', b"<v></v>", np.nan)):
        parts[sheet] = head + b'<c r="B3"' + kind + re.sub(rb"<v ?/>|<v></v>", result, tail)
        with zipfile.ZipFile(path, "w") as book:
            for name, content in parts.items():
                book.writestr(name, content)
        np.testing.assert_array_equal(read_table(path, RULES)[0]["AU01_c"], [1, value])


def test_an_index_of_a_parquet_table_is_a_column(tmp_path):
    table = pd.DataFrame({"AU01_c": [0, 1]}, index=pd.Index(["a", "b"], name="image"))
    table.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet", RULES)[0]["image"].tolist() == ["a", "b"]
    table.rename_axis(None).to_parquet(tmp_path / "t.parquet")
    ((row, text, _),) = read_table(tmp_path / "t.parquet", RULES)[1]
    assert row == -1 and "column 1 has no name, and holds 'a'" in text


def test_parquet_has_the_same_rules(tmp_path):
    cells = {
        "text": (["0", "1", "nan(ind)", "9"], [0, 1, np.nan, np.nan]),
        "boolean": (pd.array([True, False, None, True], "boolean"), [1, 0, np.nan, 1]),
        "bool": ([True, False, True, True], [1, 0, 1, 1]),
        "category": (pd.Categorical(["0", "1", None, "1"]), [0, 1, np.nan, 1]),
        "Int64": (pd.array([0, 1, None, 999], "Int64"), [0, 1, np.nan, np.nan]),
        "object": (np.array([0, "1", None, 1.0], dtype=object).astype(str), [0, 1, np.nan, 1]),
    }
    for kind, (values, expected) in cells.items():
        path = tmp_path / f"{kind}.parquet"
        pd.DataFrame({"image": list("abcd"), "AU01_c": values}).to_parquet(path)
        table, faults = read_table(path, RULES, np.float32)
        assert not [fault for fault in faults if not fault.note], kind
        np.testing.assert_array_equal(table["AU01_c"].to_numpy(), np.float32(expected), kind)
    pd.DataFrame({"image": ["a", "b"], "AU01_c": ["0", "yes"]}).to_parquet(tmp_path / "t.parquet")
    ((row, text, _),) = read_table(tmp_path / "t.parquet", RULES)[1]
    assert row == 1 and "AU01_c is 'yes'" in text


@pytest.mark.parametrize("name", ["x_05", "x_\u0665"])
def test_a_landmark_has_one_name(tmp_path, name):
    file = tmp_path / "t.csv"
    file.write_text(f"image,{name},x_6\na.jpg,1,2\n", encoding="utf-8")
    table, ((row, text, _),) = read_table(file, RULES)
    assert row == -1 and text == f"column `{name}` is no landmark, expected `x_5`"
    assert list(table) == ["image", "x_6"]


@pytest.mark.parametrize(
    "name, normal",
    [("Jose\u0301.jpg", "Jos\u00e9.jpg"), ("./a/b.jpg", "a/b.jpg"), ("a\\b.jpg", "a/b.jpg")]
    + [(" a.jpg ", "a.jpg"), ("a//b/./c.jpg", "a/b/c.jpg"), ("/a/b.jpg", "/a/b.jpg")]
    + [("001", "001"), ("../a.jpg", "../a.jpg")],
)  # fmt: skip
def test_names_have_one_normal_form(name, normal):
    assert normal_form(name) == normal == normal_form(normal)
