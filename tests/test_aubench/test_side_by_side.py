"""Runs of a folder side by side."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from aubench.inspection.side_by_side import (
    curves_of_any,
    finished_below,
    kept_probabilities,
    per_au_of_runs,
    run_names,
    runs_by_name,
    same_faces,
)
from aubench.plots import draw_au_differences, draw_run_curves, draw_same_faces
from aulib.run import Run


@pytest.fixture(scope="module")
def runs(finished) -> list[str]:
    return [finished.full.as_posix(), finished.source_only.as_posix()]


def test_finished_runs_are_found_below_and_others_are_not(finished, runs, tmp_path):
    shutil.copytree(finished.full, tmp_path / "study" / "a")
    (tmp_path / "study" / "unfinished").mkdir()
    assert finished_below(tmp_path) == [(tmp_path / "study" / "a").as_posix()]
    assert finished_below(finished.full) == [runs[0]]
    assert finished_below(tmp_path / "nowhere") == []


def test_names_are_methods_and_seeds_and_the_folder_where_two_are_alike(finished, runs, tmp_path):
    twin = shutil.copytree(finished.full, tmp_path / "twin").as_posix()
    assert run_names(runs) == {runs[0]: "full, seed 0", runs[1]: "source-only, seed 0"}
    assert run_names([runs[0], twin])[twin] == "full, seed 0 (twin)"


def test_a_study_s_folder_stands_for_its_runs_by_variant(finished, runs, tmp_path):
    for name in ("all-six-seed0-0123abcd", "none-seed0-4567abcd"):
        shutil.copytree(finished.full, tmp_path / "study" / name)
    study = (tmp_path / "study").as_posix()
    assert list(runs_by_name([study]).items()) == [
        ("all-six", f"{study}/all-six-seed0-0123abcd"),
        ("none", f"{study}/none-seed0-4567abcd"),
    ]
    assert list(runs_by_name([runs[0], study, runs[0]])) == [finished.full.name, "all-six", "none"]
    shutil.copytree(finished.full, tmp_path / "study" / "none-seed1-89abcdef")
    assert list(runs_by_name([study])) == ["all-six-seed0", "none-seed0", "none-seed1"]


def test_no_run_and_two_of_one_name_are_refused(finished, runs, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        runs_by_name([(tmp_path / "nothing").as_posix()])
    shutil.copytree(finished.full, tmp_path / finished.full.name)
    with pytest.raises(ValueError, match=finished.full.name):
        runs_by_name([runs[0], tmp_path.as_posix()])


def test_the_table_has_what_the_runs_measured(runs):
    table = per_au_of_runs(runs, "auc")
    metrics = Run(runs[1]).metrics
    assert list(table.columns) == runs
    for au, value in table[runs[1]].items():
        assert value == metrics[f"target.per_au.{au}.auc"] or np.isnan(value)


def test_runs_tested_on_different_sets_are_refused(finished, runs, tmp_path):
    other = shutil.copytree(finished.full, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["settings"]["data_versions"]["target"] = "another"
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="different target sets"):
        per_au_of_runs([runs[0], str(other)])
    with pytest.raises(ValueError, match="beauty"):
        per_au_of_runs(runs, "beauty")


def test_probabilities_are_those_of_the_runs_own_tables(runs):
    assert kept_probabilities(runs, "AU43").isna().all(axis=None)  # the runs do not know it
    table = kept_probabilities(runs, "AU12")
    own = Run(runs[1]).predictions(samples_only=True).set_index("image")
    assert list(table.columns) == ["true", *runs] and len(table)
    np.testing.assert_allclose(table[runs[1]], own.loc[table.index, "AU12_p"])
    np.testing.assert_allclose(table["true"], own.loc[table.index, "AU12_true"])


def test_curves_of_any_run_are_offered(runs):
    of_one, of_both = ([Run(run).history for run in some] for some in (runs[1:], runs))
    assert "rich_source" not in curves_of_any(of_one)
    assert {"au_source", "rich_source"} < set(curves_of_any(of_both))
    assert curves_of_any(of_both)[0] == "validation_f1"


def test_every_run_is_drawn_and_says_what_it_has_not(runs):
    histories = {run: Run(run).history for run in runs}
    curves = draw_run_curves(histories, "au_source", {runs[1]: "target"})
    labels = [text.get_text() for text in curves.legends[0].get_texts()]
    assert labels == [f"{runs[0]}, source faces", f"{runs[1]}, target faces"]
    curves = draw_run_curves(histories, "rich_source")
    labels = [text.get_text() for text in curves.legends[0].get_texts()]
    assert labels == [runs[0], f"{runs[1]}: has no such curve"]
    faces = same_faces(runs, "AU12", count=3)
    figure = draw_same_faces(faces, run_names(runs), "AU12")
    assert len(figure.axes) == 3 * (len(runs) + 1) and len(faces.table) == 3
    faces.evidence[runs[1]] = None
    named = [text.get_text() for text in draw_same_faces(faces, run_names(runs), "AU12").axes[6].texts]
    assert any(text.endswith("has no map") for text in named)


def test_differences_are_drawn_at_their_values():
    table = pd.DataFrame({"a": [0.5, 0.2], "b": [0.7, np.nan]}, index=["AU01", "AU12"])
    axis = draw_au_differences(table, "a", "f1").axes[0]
    assert len(axis.collections) == 2  # one run: lines and points
    assert axis.collections[1].get_offsets()[0, 0] == pytest.approx(20)
    with pytest.raises(ValueError, match="a; choose another run"):
        draw_au_differences(table[["a"]], "a", "f1")
