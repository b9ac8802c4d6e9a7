"""The paper's table in its three forms: cells by hand, LaTeX that holds together, CSV that reads back."""

import io
import re

import pandas as pd
import pytest

from aubench.report import tables
from aubench.report.summaries import read_summary, summarise_runs, write_summary
from fabricated import write_run, write_small_study


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """Two seeds each; source-only .5, adld .6, full .7 and oracle .9; NME .04 but for full, whose is .03."""
    folder = tmp_path_factory.mktemp("table")
    means = {"source-only": 0.5, "adld": 0.6, "full": 0.7, "oracle": 0.9}
    for variant, mean in means.items():
        for seed, shift in enumerate((-0.02, 0.02)):
            nme = {"target.landmarks.nme": 0.03 if variant == "full" else 0.04}
            if variant == "source-only":
                nme = {"target.landmarks.nme": None}
            f1 = {"AU01": mean + shift, "AU12": mean + shift}
            write_run(folder, variant, seed, f1, variant, metrics=nme)
    return summarise_runs(folder)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


class TestMarkdown:
    def test_best_is_bold_second_underlined_and_the_oracle_not_ranked(self, scores):
        lines = tables.study_table(scores).splitlines()
        assert cells(lines[0])[:2] == ["variant", "F1-frame"]
        f1 = {cells(line)[0]: cells(line)[1] for line in lines[2:6]}
        assert f1 == {
            "source-only": "50.0 [48.0, 52.0]",
            "adld": "<ins>60.0 [58.0, 62.0]</ins>",
            "full": "**70.0 [68.0, 72.0]**",
            "oracle": "90.0 [88.0, 92.0]",
        }
        assert "Seeds: 2." in lines[-1]

    def test_of_landmark_errors_the_lowest_is_best_and_what_is_missing_is_a_dash(self, scores):
        lines = tables.study_table(scores).splitlines()
        nme = {cells(line)[0]: cells(line)[4] for line in lines[2:6]}
        assert nme["full"] == "**3.0 [3.0, 3.0]**" and nme["adld"].startswith("<ins>4.0")
        assert nme["source-only"] == "–"

    def test_equal_to_the_digit_shown_is_equally_good(self, tmp_path):
        for variant, value in (("adld", 0.60001), ("full", 0.60004), ("dann", 0.3)):
            write_run(tmp_path, variant, 0, {"AU01": value}, variant)
        lines = tables.study_table(summarise_runs(tmp_path)).splitlines()[2:5]
        f1 = {cells(line)[0]: cells(line)[1] for line in lines}
        assert f1 == {"adld": "**60.0**", "full": "**60.0**", "dann": "<ins>30.0</ins>"}

    def test_a_column_an_au(self, scores):
        head, _, *rows = tables.study_table(scores, per_au="f1").splitlines()
        assert cells(head) == ["variant", "AU01", "AU12", "mean"]
        assert cells(rows[0]) == ["source-only", "50.0", "50.0", "50.0"]


class TestLatex:
    def test_holds_together(self, scores):
        text = tables.study_table(scores, "latex")
        opened, closed = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
        assert opened == closed[::-1] == ["table", "tabular"]
        assert text.count("{") == text.count("}")
        rules = [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
        assert rules == sorted(rules)
        columns = re.search(r"\\begin\{tabular\}\{(l(r+))\}", text)[1]
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 1 + 4 and {row.count(" & ") for row in rows} == {len(columns) - 1}

    def test_has_a_caption_and_a_label_and_a_wide_one_spans_the_page(self, tmp_path):
        write_run(tmp_path / "my_study", "full", 0, {f"AU{number:02d}": 0.5 for number in range(1, 17)})
        summary = summarise_runs(tmp_path / "my_study")
        narrow, wide = tables.study_table(summary, "latex"), tables.study_table(summary, "latex", per_au="f1")
        assert r"\label{tab:my-study}" in narrow and r"\begin{table}[t]" in narrow
        assert r"\label{tab:my-study-f1}" in wide and r"\small" in wide
        assert r"\begin{table*}[t]" in wide and wide.endswith("\\end{table*}\n")
        for text in (narrow, wide):
            assert text.index(r"\caption{") < text.index(r"\label{") < text.index(r"\begin{tabular}")

    def test_marks_best_and_second(self, scores):
        text = tables.study_table(scores, "latex")
        assert r"full & \textbf{70.0 [68.0, 72.0]} &" in text
        assert r"adld & \underline{60.0 [58.0, 62.0]} &" in text

    def test_names_with_special_characters_are_escaped(self, tmp_path):
        write_run(tmp_path, "full+shape_source", 0, {"AU01": 0.5})
        text = tables.study_table(summarise_runs(tmp_path), "latex")
        assert r"full+shape\_source & " in text
        assert tables.escaped(r"a_b & 5 % \x") == r"a\_b \& 5 \% \textbackslash{}x"


class TestCsv:
    def test_has_a_row_a_variant_measure_and_au(self, scores):
        table = pd.read_csv(io.StringIO(tables.study_table(scores, "csv")))
        assert list(table) == ["variant", "measure", "au", "value", "low", "high", "seeds"]
        row = table.query("variant == 'full' and measure == 'f1' and au == 'AU12'").iloc[0]
        assert row[["value", "low", "high", "seeds"]].tolist() == pytest.approx([0.7, 0.68, 0.72, 2])
        assert not table.duplicated(["variant", "measure", "au"]).any()
        assert list(dict.fromkeys(table["variant"])) == scores.variants

    def test_is_the_same_from_run_folders_and_from_the_committed_summary(self, tmp_path):
        write_small_study(tmp_path / "small")
        for seed, f1 in enumerate((1 / 3, 0.123456789, 2 / 7)):
            write_run(tmp_path / "small", "dann", seed, {"AU01": f1, "AU12": f1 / 7}, "dann")
        summary = summarise_runs(tmp_path / "small")
        write_summary(summary, tmp_path / "small.json")
        again = tables.study_table(read_summary(tmp_path / "small.json"), "csv")
        assert tables.study_table(summary, "csv") == again
        measures = [line.split(",")[1] for line in again.splitlines() if line.startswith("dann,")]
        assert measures == sorted(measures) and len(set(measures)) > 3


class TestErrors:
    def test_an_unknown_format_or_measure_is_named(self, scores):
        with pytest.raises(ValueError, match="'html'.*md, latex, csv"):
            tables.study_table(scores, "html")
        with pytest.raises(ValueError, match="no measure f2; it has .*f1_norm"):
            tables.study_table(scores, per_au="f2")


class TestCommand:
    def test_prints_or_writes_the_table_of_a_folder(self, tmp_path, capsys, monkeypatch):
        from aubench.cli.main import app

        monkeypatch.chdir(tmp_path)
        write_small_study(tmp_path / "results" / "small")
        app(["table", "small", "--format", "csv"], standalone_mode=False)
        assert capsys.readouterr().out.startswith("variant,measure,au,value,low,high,seeds\n")
        app(["table", "small", "--format", "latex", "--out", "new/table.tex"], standalone_mode=False)
        assert (tmp_path / "new" / "table.tex").read_text().startswith("% needs")
