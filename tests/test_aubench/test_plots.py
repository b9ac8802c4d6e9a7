"""Figures of faces and scores show the numbers of their tables and leave matplotlib's settings unchanged."""

import io
import re
from itertools import combinations, product

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from aubench import plots
from aubench.datasets import label_statistics
from aubench.inspection.attention import evidence_maps
from aubench.inspection.decoding import shown_input
from aubench.inspection.first_screen import read_kept_faces, showing_most_aus
from aubench.inspection.shown_faces import kept_faces
from aubench.plots.style import DOMAIN_COLOURS, METHOD_COLOURS, au_label, method_colour
from aubench.report import results
from aubench.report.run_values import TERM_NAMES
from aulib.dataset import read_dataset
from aulib.run import Run
from aulib.supervisors import ALL_SIX
from conftest import TINY_AUS

NOTEBOOK = 830  # pixels that an output is wide in JupyterLab at 1280, its sidebar open


@pytest.fixture(scope="module")
def domains(finished) -> dict:
    return {"source": read_dataset(finished.source), "target": read_dataset(finished.target)}


@pytest.fixture(scope="module")
def drawn(finished, domains) -> dict[str, Figure]:
    """Every figure of a run, drawn once; rcParams before and after must agree."""
    before = dict(mpl.rcParams)
    runs = [finished.full, finished.source_only]
    full = Run(finished.full)
    kept = kept_faces(full, "target", 2).pictures
    maps = evidence_maps(full.model, kept, "features")
    pairs = {name: label_statistics.cooccurrence(data) for name, data in domains.items()}
    figures = {
        "rates": plots.draw_base_rates(label_statistics.base_rates(domains)),
        "pairs": plots.draw_cooccurrence(pairs),
        "history": plots.draw_history(full.history, results.chance_of_supervisors(full.settings)),
        "separation": plots.draw_separation(full.history),
        "methods": plots.draw_methods(results.table_of_methods(runs)),
        "per_au": plots.draw_per_au(results.table_per_au(runs)),
        "attention": plots.draw_attention(shown_input(full.model, kept), *maps, full.aus),
        "first_screen": plots.draw_first_screen(*read_kept_faces(full, count=2)),
    }
    assert dict(mpl.rcParams) == before
    return figures


def test_every_figure_is_returned_and_none_is_shown(drawn):
    assert all(isinstance(figure, Figure) for figure in drawn.values())
    assert pyplot.get_fignums() == []


def pixels_wide(figure: Figure) -> int:
    """As a notebook shows it: what is drawn, with its margin."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=figure.dpi, bbox_inches="tight")
    return Image.open(stream).width


def test_no_figure_is_wider_than_a_notebook_next_to_its_sidebar(drawn):
    eight = np.zeros((8, 32, 32, 3), np.uint8)
    rows = {"AU12": [(picture, "-10 -17\n+1") for picture in eight]}
    more = {"sheet": plots.draw_faces(eight), "rows": plots.draw_face_rows(rows, "eight faces")}
    wide = {name: pixels_wide(figure) for name, figure in (drawn | more).items()}
    assert {name for name, width in wide.items() if width > NOTEBOOK} == set()


def test_a_figure_is_saved_with_the_numbers_behind_it(drawn, domains, tmp_path):
    table = label_statistics.base_rates(domains)
    same = plots.save_figure(drawn["rates"], tmp_path / "new", "rates", table)
    assert same is drawn["rates"] and (tmp_path / "new" / "rates.png").stat().st_size > 1000
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "new" / "rates.csv"), table)


class TestBaseRates:
    def test_bars_are_as_long_as_the_rates_and_coloured_by_domain(self, drawn, domains):
        axis = drawn["rates"].axes[0]
        for domain, bars in zip(domains, axis.containers, strict=True):
            rates = 100 * np.nanmean(domains[domain].occurrence, axis=0)
            np.testing.assert_allclose([bar.get_width() for bar in bars], rates, rtol=1e-5)
            assert {to_hex(bar.get_facecolor()) for bar in bars} == {DOMAIN_COLOURS[domain].lower()}

    def test_aus_stand_in_facs_order_with_their_names(self, domains):
        shuffled = label_statistics.base_rates(domains).sample(frac=1, random_state=0)
        axis = plots.draw_base_rates(shuffled).axes[0]
        assert [label.get_text() for label in axis.get_yticklabels()] == [au_label(au) for au in TINY_AUS]
        assert au_label("AU12") == "AU12 lip corner puller"


class TestScores:
    def test_learning_curves_have_two_rows_and_no_legend_covers_another(self, drawn):
        figure = drawn["history"]
        assert len({axis.get_subplotspec().rowspan.start for axis in figure.axes}) == 2
        figure.draw_without_rendering()
        legends = [axis.get_legend() for axis in figure.axes if axis.get_legend()]
        boxes = [legend.get_window_extent() for legend in legends]
        assert len(boxes) >= 4 and all(box.x0 >= 0 for box in boxes)
        assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
        assert all(text.get_fontsize() >= 7 for legend in legends for text in legend.get_texts())

    def test_guessing_is_drawn_among_the_supervisors(self, drawn, finished):
        panel = next(axis for axis in drawn["history"].axes if axis.get_title(loc="left") == "supervisors")
        chance = results.chance_of_supervisors(Run(finished.full).settings)
        dashed = {round(line.get_ydata()[0], 6) for line in panel.lines if line.get_linestyle() == "--"}
        assert dashed == {round(level, 6) for level in chance.values()}

    def test_shares_of_the_gradient_are_those_of_each_kind_of_term_and_sum_to_one(self, drawn, finished):
        title = "share of the gradient"
        panel = next(axis for axis in drawn["history"].axes if axis.get_title(loc="left") == title)
        lines = {line.get_label(): np.array(line.get_ydata()) for line in panel.lines}
        assert list(lines) == ["AUs", "landmarks", "supervisors", "others"]
        measured = Run(finished.full).history.dropna(subset="share.au_source")
        assert lines["supervisors"] == pytest.approx(measured[[f"share.{n}" for n in ALL_SIX]].sum(axis=1))
        assert sum(lines.values()) == pytest.approx(np.ones(len(measured)), abs=1e-3)

    def test_every_logged_term_has_a_curve_of_its_own(self, drawn, finished):
        curves = {line.get_label() for axis in drawn["history"].axes for line in axis.lines}
        columns = set(Run(finished.full).history.columns) - {"step", "seconds", "total"}
        others = {name for name in columns if name.startswith(("share.", "insides."))}  # drawn by kind
        assert others and not others & curves
        assert {TERM_NAMES[name] for name in columns - others} <= curves

    def test_the_separation_shows_the_mean_of_both_domains_next_to_f_and_the_mean_face(self, drawn, finished):
        history = Run(finished.full).history.dropna(subset="insides.reconstruction.self")
        lines = {line.get_label(): line for axis in drawn["separation"].axes[1:2] for line in axis.lines}
        assert set(lines) == {"from F", "from Z", "mean face"}
        columns = ["insides.landmark_probe.texture.source", "insides.landmark_probe.texture.target"]
        assert list(lines["from Z"].get_ydata()) == pytest.approx(100 * history[columns].mean(axis=1))
        with pytest.raises(ValueError, match="does not separate"):
            plots.draw_separation(history[["step", "au_source"]])

    def test_a_method_keeps_its_colour_and_an_unknown_one_gets_one(self):
        assert method_colour("full", ["mine", "full"]) == METHOD_COLOURS["full"]
        assert method_colour("mine", ["full", "mine"]) not in METHOD_COLOURS.values()
        assert method_colour("mine", ["yours", "mine"]) != method_colour("yours", ["yours", "mine"])

    def test_nothing_scored_is_an_error_and_no_empty_figure(self, finished):
        table = results.table_per_au([finished.full])
        with pytest.raises(ValueError, match="f1"):
            plots.draw_per_au(table.assign(f1=np.nan))


class TestFirstScreen:
    def test_faces_are_chosen_for_the_aus_they_add(self):
        occurrence = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, np.nan, 1], [1, 1, 0, 0]])
        assert showing_most_aus(occurrence, 2) == [1, 2]
        assert showing_most_aus(np.zeros((5, 2)), 2) == [0, 4]  # evenly spaced

    def test_signs_and_colours_are_those_of_hits_false_alarms_and_misses(self, drawn, finished):
        kept = Run(finished.full).samples("target")
        table = pd.read_csv(finished.full / "predictions_target_test.csv").set_index("image")
        expected = {"✓": 0, "✗": 0, "–": 0}
        signs = {(True, True): "✓", (True, False): "✗", (False, True): "–"}
        for place, au in product(showing_most_aus(kept.occurrence, 2), TINY_AUS):
            face = table.loc[kept.names[place]]
            if sign := signs.get((face[f"{au}_c"] == 1, face[f"{au}_true"] == 1)):
                expected[sign] += 1
        written, colours = dict.fromkeys(expected, 0), {}
        for text in [text for axis in drawn["first_screen"].axes for text in axis.texts]:
            if found := re.fullmatch(r"(.) AU\d\d \d\.\d\d", text.get_text()):
                written[found[1]] += 1
                colours.setdefault(found[1], set()).add(to_hex(text.get_color()))
        assert written == expected and sum(written.values())
        assert all(len(own) == 1 for own in colours.values())
