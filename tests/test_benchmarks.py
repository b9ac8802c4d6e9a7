"""Benchmarks: the generated tables, the import of other checkouts, the limits of notebooks, the figures."""

import argparse
import importlib
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import notebook_times  # noqa: E402
import peers  # noqa: E402
import pictures  # noqa: E402
import record  # noqa: E402
import size  # noqa: E402


class TestTable:
    def test_the_page_shows_the_committed_results(self):
        page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
        assert record.table(BENCHMARKS / "results") in page
        assert record.where_time_goes(BENCHMARKS / "results") in page

    @pytest.mark.parametrize(
        "name, value, met",
        [
            ("feeding", 0.96, True),
            ("feeding", 0.94, False),
            ("main_job", 0.4, True),
            ("main_job", 0.6, False),
        ],
    )
    def test_a_value_meets_its_bound_or_misses_it(self, tmp_path, monkeypatch, name, value, met):
        monkeypatch.setattr(record, "HERE", tmp_path)
        record.record(name, value, [value - 0.1, value, value + 0.1])
        said = json.loads((tmp_path / "results" / f"{name}.json").read_text())
        assert said["met"] == met and said["spread"] == [value - 0.1, value + 0.1]
        assert {"what", "value", "unit", "target", "conditions"} <= said.keys()
        (row,) = [line for line in record.table(tmp_path / "results").splitlines() if said["what"] in line]
        assert ("| yes |" in row) == met and f"{value:.3g} [" in row

    def test_a_run_with_other_options_is_not_saved(self, tmp_path, monkeypatch):
        monkeypatch.setattr(record, "HERE", tmp_path)
        parser = argparse.ArgumentParser()
        parser.add_argument("photos")
        parser.add_argument("--size", type=int, default=112)
        parser.add_argument("--turns", type=int, default=3)
        asked = {"": True, "--turns 1": True, "--size 32": False}
        for options, kept in asked.items():
            arguments = parser.parse_args(["here", *options.split()])
            assert record.as_promised(parser, arguments, "photos") == kept
        record.record("feeding", 0.9, [0.9], keep=False)
        assert not (tmp_path / "results").exists()

    def test_a_target_without_results_is_marked_as_not_measured(self, tmp_path):
        assert record.table(tmp_path).count("| not measured | – |") == len(record.TARGETS)

    def test_a_missed_target_lists_its_parts_largest_first(self, tmp_path):
        said = {"met": False, "parts": {"storing": 0.1, "reading": 0.3}}
        (tmp_path / "photographs.json").write_text(json.dumps(said))
        (tmp_path / "faces.json").write_text(json.dumps(said | {"met": True}))
        rows = [line.strip("| ").split(" | ") for line in record.where_time_goes(tmp_path).splitlines()[2:]]
        assert [row[0] for row in rows] == ["`photographs`"] * 3
        assert [row[1:] for row in rows] == [["reading", "30 %"], ["storing", "10 %"], ["the rest", "60 %"]]

    def test_every_script_of_a_target_exists(self):
        named = {target.by for target in record.TARGETS.values() if target.by}
        assert named and all((BENCHMARKS / name).is_file() for name in named)

    def test_calls_are_timed_and_the_functions_restored(self):
        owner, clock = SimpleNamespace(work=lambda: 5), iter(range(10))
        original = owner.work
        with record.timed_calls({"part": (owner, "work")}, lambda: next(clock)) as seconds:
            assert owner.work() == owner.work() == 5
        assert seconds == {"part": 2} and owner.work is original


class TestPeers:
    def test_a_python_2_module_is_imported_and_then_forgotten(self, tmp_path):
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "__init__.py").write_text("")
        (tmp_path / "old" / "quiet.py").write_text("")
        (tmp_path / "old" / "loud.py").write_text(
            "from . import quiet\ndef say(it, file):\n    print>> file, '%d' % it.next()\n"
        )
        with peers.modules_of(tmp_path):
            loud = importlib.import_module("old.loud")
        out = tmp_path / "said.txt"
        with out.open("w") as file:
            loud.say(iter([3]), file)
        assert out.read_text() == "3\n"
        assert "old" not in sys.modules and "old.loud" not in sys.modules


class TestNotebookTimes:
    @pytest.fixture
    def takes(self, monkeypatch):
        """Seconds and CPU seconds of notebooks that are not run; others take one."""
        seconds: dict[str, tuple[float, float]] = {}
        monkeypatch.setattr(
            notebook_times, "seconds_of", lambda notebook, folder: seconds.get(notebook.stem, (1, 1))
        )
        monkeypatch.setattr(notebook_times, "leave_what_is_read", lambda folder: None)
        return seconds

    def run(self, monkeypatch, file: Path, *arguments: str):
        monkeypatch.setattr(sys, "argv", ["notebook_times.py", "--json", str(file), *arguments])
        with pytest.raises(SystemExit) as end:
            notebook_times.main()
        return end.value.code, json.loads(file.read_text())

    def test_every_notebook_states_a_known_duration(self):
        limits = {path.stem: notebook_times.limit_of(path) for path in notebook_times.NOTEBOOKS}
        assert limits["02_train"] == 360 and limits["03_report"] == 60 and limits["01_faces"] == 90
        assert {notebook_times.limit_of(path) for path in notebook_times.LESSONS} == {180}

    def test_parts_are_saved_with_commit_and_date_and_kept_when_not_run_again(
        self, takes, monkeypatch, tmp_path
    ):
        takes |= {"02_train": (299.6, 300), "1_action_units": (100.4, 90.2)}
        status, found = self.run(monkeypatch, tmp_path / "t.json")
        assert status == 0 and found["met"] and found["limits"]["02_train"] == 360
        assert found["parts"].keys() == {"in_order", "alone", "notebooks"}
        assert all(
            {"commit", "date", "load_before", "cores"} <= part.keys() for part in found["parts"].values()
        )
        alone = found["parts"]["alone"]
        assert [alone[name]["1_action_units"] for name in ("seconds", "cpu_seconds")] == [100, 90]
        assert found["parts"]["notebooks"]["seconds"].keys() == {p.stem for p in notebook_times.NOTEBOOKS}
        takes["1_action_units"] = (50, 50)
        _, again = self.run(monkeypatch, tmp_path / "t.json", "--parts", "in_order")
        firsts = [again["parts"][part]["seconds"]["1_action_units"] for part in ("in_order", "alone")]
        assert firsts == [50, 100]

    def test_a_slow_notebook_is_named_in_the_exit_status(self, takes, monkeypatch, tmp_path):
        """One that took long because of other work on the machine is not slow."""
        takes |= {
            "4_taking_apart": (181.0, 190.0),
            "03_report": (59.0, 80.0),
            "5_putting_together": (300, 90),
        }
        status, found = self.run(monkeypatch, tmp_path / "t.json")
        assert not found["met"] and found["missed"] == status.splitlines()
        assert len(status.splitlines()) == 2  # in order and alone
        assert all(
            "4_taking_apart" in line and "181" in line and "180" in line for line in status.splitlines()
        )

    def test_times_of_some_notebooks_cannot_replace_the_committed_file(self, takes, monkeypatch):
        monkeypatch.setattr(sys, "argv", ["notebook_times.py", "--only", "04_ablation"])
        with pytest.raises(SystemExit) as end:
            notebook_times.main()
        assert end.value.code == 2


class TestPictures:
    def test_every_picture_has_the_numbers_behind_it(self, finished, tmp_path, monkeypatch):
        run = shutil.copytree(finished.full, tmp_path / "run")
        fit = pictures.fit_decoder
        sets = [str(finished.source), str(finished.target)]
        monkeypatch.setattr(pictures, "fit_decoder", lambda run: fit(run, sets, steps=2, progress=False))
        pictures.draw_insides(run, str(finished.target), tmp_path / "out")
        names = ("attention", "first_screen", "reconstructions")
        written = sorted(file.name for file in (tmp_path / "out").iterdir())
        assert written == [f"{name}.{kind}" for name in names for kind in ("csv", "png")]
        twin = shutil.copytree(run, tmp_path / "several" / "b-seed0-01234567")
        shutil.copytree(twin, tmp_path / "several" / "a-seed0-01234567")
        pictures.draw_beside(str(tmp_path / "several"), tmp_path / "out")
        table = pd.read_csv(tmp_path / "out" / "switched_off.csv")
        assert list(table["run"].unique()) == ["a", "b"]

    def test_committed_pictures_of_faces_have_their_numbers(self):
        figures = BENCHMARKS.parent / "results" / "figures"
        pictures_of_faces = {path.stem for path in figures.glob("*.png")} - {
            path.stem for path in figures.glob("supervisors_*.png")
        }
        assert pictures_of_faces == {path.stem for path in figures.glob("*.csv")} != set()


def test_contributing_shows_the_size_of_each_package():
    page = size.PAGE.read_text(encoding="utf-8")
    for name in size.PACKAGES:
        shown = int(re.search(rf"\| `{name}` \|.*?\| ([\d,]+) \|", page)[1].replace(",", ""))
        assert shown == pytest.approx(size.lines_of(size.ROOT / name), rel=0.05), "run `make size`"
