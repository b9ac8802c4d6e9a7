"""Figures of a study show its numbers: filled marks are significant, stacked shares sum to a whole."""

import runpy

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from aubench import plots
from aubench.plots import style
from aubench.plots.style import au_label
from aubench.report import comparisons, statistics
from aubench.report.summaries import shares_of_terms, summarise_runs
from aulib.supervisors import ALL_SIX, SUPERVISORS
from fabricated import write_run, write_small_study


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return summarise_runs(write_small_study(tmp_path_factory.mktemp("plots") / "small"))


@pytest.fixture(scope="module")
def differences(summary):
    contrasts = comparisons.against(summary, "contrastive")
    return statistics.paired_differences(summary, contrasts, ["f1"])


def test_figures_are_returned_and_leave_nothing_changed(summary, differences):
    before = dict(mpl.rcParams)
    figures = [
        plots.draw_ladder(summary, differences),
        plots.draw_differences_per_au(differences),
        plots.draw_supervisor_losses(summary),
        plots.draw_gradient_shares(shares_of_terms(summary)),
        plots.draw_costs(summary),
    ]
    assert all(isinstance(figure, Figure) for figure in figures) and dict(mpl.rcParams) == before


class TestLadder:
    def test_marks_stand_at_the_differences_and_are_filled_if_significant(self, summary, differences):
        sure = differences.assign(p_holm=np.where(differences["variant"] == "full", 0.001, 0.2))
        right = plots.draw_ladder(summary, sure).axes[1]
        (marks,) = [mark for mark in right.collections if isinstance(mark, PathCollection)]
        rows = sure[sure["au"] == "mean"].set_index("variant").reindex(summary.variants)
        x, places = marks.get_offsets().filled(np.nan).T
        np.testing.assert_allclose(x, 100 * rows["difference"])
        shown = np.isfinite(x)  # the reference and the oracle have no difference
        assert places[shown].tolist() == np.flatnonzero(shown).tolist() and shown.sum() == 3
        filled = {
            variant: to_hex(colour)
            for variant, colour in zip(summary.variants, marks.get_facecolors(), strict=True)
            if to_hex(colour) != "#ffffff"
        }
        assert filled == {"full": style.ABOVE.lower()}

    def test_a_hopeless_variant_does_not_hide_the_others(self, tmp_path):
        for variant, value in (("landmarks-only", 0.2), ("source-only", 0.7), ("adld", 0.71), ("full", 0.72)):
            for seed in (0, 1):
                write_run(tmp_path, variant, seed, {"AU01": value + 0.01 * seed}, variant)
        summary = summarise_runs(tmp_path)
        contrasts = comparisons.against(summary, "source-only")
        figure = plots.draw_ladder(summary, statistics.paired_differences(summary, contrasts, ["f1"]))
        left, right = figure.axes
        assert left.get_xlim()[0] > 50 and right.get_xlim()[0] > -10
        texts = {text.get_text(): to_hex(text.get_color()) for axis in figure.axes for text in axis.texts}
        assert "← 20.5 [20.0, 21.0]" in texts
        # the same in both seeds, so significant: a filled mark in its colour
        assert texts["← ● -50.0 [-50.0, -50.0]"] == style.BELOW.lower()

    def test_no_differences_are_an_error(self, summary, differences):
        with pytest.raises(ValueError, match="no differences of 'auc'"):
            plots.draw_ladder(summary, differences, "auc")
        with pytest.raises(ValueError, match="no differences of 'auc'"):
            plots.draw_differences_per_au(differences, "auc")


class TestPerAU:
    @pytest.mark.parametrize("rows", [1, 3])
    def test_the_colour_bar_and_its_name_fit_with_few_rows(self, differences, rows):
        few = list(dict.fromkeys(differences["variant"]))[:rows]
        figure = plots.draw_differences_per_au(differences[differences["variant"].isin(few)])
        figure.draw_without_rendering()
        cells, bar = figure.axes
        heights = [axis.get_tightbbox().extents for axis in (cells, bar)]
        assert (
            heights[1][3] <= heights[0][1] and heights[1][1] >= 0
        )  # below the AUs' names, inside the figure
        assert bar.get_window_extent().width > 0.1 * cells.get_window_extent().width

    def test_cells_are_the_differences_and_the_mean_stands_last(self, differences):
        axis = plots.draw_differences_per_au(differences).axes[0]
        names = [label.get_text() for label in axis.get_xticklabels()]
        assert names == [au_label("AU01"), au_label("AU12"), "mean"]
        variants = [label.get_text() for label in axis.get_yticklabels()]
        shown = pd.DataFrame(np.asarray(axis.images[0].get_array()), variants, ["AU01", "AU12", "mean"])
        for _, row in differences.iterrows():
            assert shown.loc[row["variant"], row["au"]] == pytest.approx(100 * row["difference"])

    def test_dots_survive_the_correction_and_rings_only_their_own_interval(self, differences):
        table = differences.assign(p_holm=0.5, low=-1.0, high=1.0)
        first, second = table.index[table["au"] != "mean"][:2]
        table.loc[first, "p_holm"] = 0.01
        table.loc[second, ["low", "high"]] = 0.01, 0.02
        marks = plots.draw_differences_per_au(table).axes[0].collections
        filled = [mark for mark in marks if len(mark.get_facecolor())]
        assert len(marks) == 2 and len(filled) == 1

    def test_the_column_of_the_mean_has_numbers_bold_where_they_survive(self, differences):
        table = differences.assign(p_holm=np.where(differences["variant"] == "full", 0.01, 0.5))
        axis = plots.draw_differences_per_au(table).axes[0]
        means = table[table["au"] == "mean"]
        assert [text.get_text() for text in axis.texts] == [f"{100 * d:+.1f}" for d in means["difference"]]
        bold = [text.get_weight() == "bold" for text in axis.texts]
        assert bold == list(means["variant"] == "full") and any(bold)


class TestSupervisors:
    def test_curves_are_shares_of_guessing_on_their_own_panels(self, summary):
        figure = plots.draw_supervisor_losses(summary)
        titles = [axis.get_title(loc="left") for axis in figure.axes if axis.axison]
        assert titles == list(ALL_SIX)
        rich = figure.axes[0]
        ends = [line.get_ydata()[-1] for line in rich.lines if len(line.get_xdata()) == 3]
        assert len(ends) == 3  # contrastive, one more, full
        assert ends == pytest.approx([0.3 / np.log(16)] * 3)

    def test_choices_of_full_are_named_at_the_ends_of_their_lines(self, tmp_path):
        lasts = {"full": 0.3, "full-queue": 0.32, "full-in-batch": 0.2, "plus": 0.3}
        for place, (variant, last) in enumerate(lasts.items()):
            losses = {"rich_source": [2.7, 1.0, last]}
            write_run(tmp_path, variant, 0, {"AU01": 0.5}, losses=losses, temperature=0.1 + place)
        axis = plots.draw_supervisor_losses(summarise_runs(tmp_path)).axes[0]
        heights = {text.get_text(): text.get_position()[1] for text in axis.texts}
        assert list(heights) == ["in-batch", "full", "queue"]
        assert heights["queue"] > 1.25 * heights["full"] > 1.25**2 * heights["in-batch"]

    def test_a_study_without_supervisors_is_an_error(self, tmp_path):
        write_run(tmp_path, "adld", 0, {"AU01": 0.5}, "adld")
        for draw in (plots.draw_supervisor_losses, shares_of_terms):
            with pytest.raises(ValueError, match=tmp_path.name):
                draw(summarise_runs(tmp_path))

    def test_shares_are_grouped_and_stack_to_their_sum(self, summary):
        shares = shares_of_terms(summary)
        full = shares[shares["variant"] == "full"].set_index("part")["share"]
        assert full["AU terms"] == pytest.approx(0.75) and full["shape_target"] == pytest.approx(0.05)
        axis = plots.draw_gradient_shares(shares).axes[0]
        place = list(dict.fromkeys(shares["variant"])).index("full")
        ends = [bars[place].get_x() + bars[place].get_width() for bars in axis.containers]
        assert max(ends) == pytest.approx(100 * full.sum())


def test_the_cost_is_the_least_of_the_seeds(tmp_path):
    for seed, cost in enumerate((0.1, 0.3, 0.2)):  # other work on the machine only ever adds
        write_run(tmp_path, "full", seed, {"AU01": 0.5}, seconds_per_step=cost)
    axis = plots.draw_costs(summarise_runs(tmp_path)).axes[1]
    assert [bar.get_width() for bar in axis.containers[0]] == pytest.approx([100])


def test_a_row_added_to_the_table_of_supervisors_has_a_colour(monkeypatch):
    monkeypatch.setitem(SUPERVISORS, "own", SUPERVISORS["rich_source"])
    assert "own" in runpy.run_path(style.__file__)["SUPERVISOR_COLOURS"]
