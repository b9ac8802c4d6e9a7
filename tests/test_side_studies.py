"""What stands beside the study says the numbers of its own runs."""

from aubench.report.answers import the_claim
from aubench.report.side_studies import learning_curves, over_positions
from aubench.report.summaries import summarise_runs
from fabricated import write_run

AUS = ("AU01", "AU12")


def scores(value: float) -> dict[str, float]:
    return dict.fromkeys(AUS, value)


class TestLearningCurves:
    def test_each_number_of_steps_has_a_line_with_both_methods_and_their_difference(self, tmp_path):
        for seed, luck in ((100, 0.0), (101, 0.02)):
            for steps, plain, whole in ((1000, 0.62, 0.63), (160, 0.40, 0.38)):
                for method, value in (("contrastive", plain), ("full", whole)):
                    write_run(
                        tmp_path / "s",
                        f"{method}-{steps}",
                        seed,
                        scores(value + luck),
                        method=method,
                        steps=steps,
                    )
        said = learning_curves(summarise_runs(tmp_path / "s")).splitlines()
        assert "2 seeds" in said[0]
        assert said[4].startswith("| 160 | 41.0 | 41.0 | 39.0 | 39.0 | -2.0")
        assert said[5].startswith("| 1000 | 63.0 | 63.0 | 64.0 | 64.0 | +1.0") and len(said) == 6

    def test_steps_that_only_one_method_has_have_no_line(self, tmp_path):
        write_run(tmp_path / "s", "full-80", 100, scores(0.3), method="full", steps=80)
        assert "| 80 |" not in learning_curves(summarise_runs(tmp_path / "s"))


def test_over_positions_says_how_far_the_losses_fall_and_whether_the_four_help(tmp_path):
    for seed in range(3):
        for method, value in (("contrastive", 0.5 + seed / 100), ("full", 0.56 + seed / 90)):
            losses = {"rich_source": [3.0, 1.5, 1.5]}
            write_run(
                tmp_path / "s",
                f"{method}-dense",
                seed,
                scores(value),
                method=method,
                losses=losses,
                alignment="dense",
            )
    summary = summarise_runs(tmp_path / "s")
    said = over_positions(summary, the_claim(summary))
    assert "**the four intermediate supervisors together help**" in said
    assert "`full-dense` minus `contrastive-dense` F1 +6" in said
    assert "In `full-dense` the supervisors' losses end at" in said
