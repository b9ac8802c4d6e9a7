"""The answer says what the numbers say, and says so where they are not enough."""

import numpy as np
import pytest

from aubench.report import answers, idleness_in_words, rivals_in_words, rounds_in_words, verdicts
from aubench.report.readme import study_block
from aubench.report.summaries import summarise_runs, write_summary
from aulib.methods import ALL_SIX, RICH_TWO
from fabricated import write_run, write_small_study


def row(difference, low, high, p_holm) -> dict:
    return {"difference": difference, "low": low, "high": high, "p_holm": p_holm}


class TestVerdict:
    def test_is_decided_by_correction_sign_and_width(self):
        assert verdicts.verdict(row(0.02, 0.01, 0.03, 0.001)) == "helps"
        assert verdicts.verdict(row(-0.02, -0.03, -0.01, 0.049)) == "hurts"
        assert verdicts.verdict(row(0.02, 0.001, 0.039, 0.05)) == "not enough evidence"
        assert verdicts.verdict(row(0.001, -0.004, 0.006, 0.8)) == "no difference"
        assert verdicts.verdict(row(0.001, -0.004, 0.011, 0.8)) == "not enough evidence"

    def test_one_seed_is_never_enough(self):
        assert verdicts.verdict(row(0.3, np.nan, np.nan, np.nan)) == "not enough evidence"

    def test_points_carry_their_signs(self):
        assert verdicts.points(row(0.0123, -0.0004, 0.025, 0.5)) == "+1.2 [+0.0, +2.5]"
        assert verdicts.points(row(-0.5, np.nan, np.nan, np.nan)) == "-50.0"


@pytest.fixture
def study(tmp_path):
    """Five seeds; each supervisor has the effect on F1 that a test gives it, AU12 may have one of its own."""

    def write(effects: dict[str, float], noise: float = 0.001, on_au12: dict | None = None, **of_seed):
        rng = np.random.default_rng(0)
        sets = {"contrastive": RICH_TWO, "full": ALL_SIX}
        for name in effects:
            sets[f"contrastive+{name}"] = (*RICH_TWO, name)
            sets[f"full-{name}"] = tuple(one for one in ALL_SIX if one != name)
        for variant, supervisors in sets.items():
            for seed in range(5):
                lift = sum(effects.get(name, 0) for name in supervisors)
                aus = {au: 0.5 + 0.02 * seed + lift + rng.normal(0, noise) for au in ("AU01", "AU04", "AU12")}
                aus["AU12"] += sum((on_au12 or {}).get(name, 0) for name in supervisors)
                method = "full" if len(supervisors) > 3 else "contrastive"
                write_run(tmp_path / "s", variant, seed, aus, method, supervisors, **of_seed)
        return summarise_runs(tmp_path / "s")

    return write


class TestAnswer:
    def test_names_what_helps_what_hurts_and_what_makes_no_difference(self, study):
        text = answers.answer(study({"texture_target": 0.03, "shape_source": -0.02, "shape_target": 0.0}))
        assert "`texture_target`: **helps**; F1 +3." in text or "`texture_target`: **helps**; F1 +2.9" in text
        assert "`shape_source`: **hurts**; F1 -" in text
        assert "`shape_target`: makes no difference of a point either way" in text
        assert "mean of 2 comparisons, 5 seeds" in text
        assert "At equal steps (400 each), **the four intermediate supervisors together help**" in text

    def test_says_so_where_the_evidence_is_not_enough(self, study):
        text = answers.answer(study({"texture_target": 0.001}, noise=0.05))
        assert "`texture_target`: not enough evidence" in text
        assert "whether the four intermediate supervisors together help is not decided" in text
        assert "No single AU's difference survives the correction (Holm over 3 and 3 comparisons" in text

    def test_says_which_effects_these_seeds_would_have_found(self, study):
        text = answers.answer(study({"texture_target": 0.001}, noise=0.02))
        assert "a supervisor that really adds" in text and "the four together if they add" in text

    def test_says_for_how_many_steps_the_supervisors_are_on(self, study):
        preset = {"separation_starts": 0.5, "ramp": 0.1}
        text = answers.answer(study({}, preset_values=preset, steps=320))
        assert "on in the last 160 of the 320 steps, growing to full weight over 32 of them" in text
        assert "are on in the last" not in answers.how_long({"steps": 320})
        on = [step for step in range(321) if step >= 0.3 * 321]
        assert idleness_in_words.steps_on(
            {"steps": 321, "preset_values": {"separation_starts": 0.3, "ramp": 0.0}}
        ) == (len(on), 0)

    def test_names_the_aus(self, study):
        text = answers.answer(study({"texture_target": 0.0}, on_au12={"texture_target": 0.05}))
        assert "- `texture_target`: AU12 +" in text and "- the four together: AU12 +" in text
        assert "AU01 +" not in text and "AU04 +" not in text

    def test_says_how_idle_the_supervisors_are_main_line_first(self, tmp_path):
        # log 16 at a batch of 14 with two rivals, log 14 without, log (16 + 48) positions
        ends = {"rivals": 0.05 * np.log(16), "batch": 0.05 * np.log(14), "dense": 0.4 * np.log(64)}
        for seed in (0, 1, 2):
            for variant, last in (("full", "rivals"), ("full-in-batch", "batch"), ("full-dense", "dense")):
                how = {"negatives": "batch"} if last == "batch" else {}
                how |= {"alignment": "dense"} if last == "dense" else {}
                losses = dict.fromkeys(RICH_TWO, [3.0, 2.0, ends[last]])
                f1, shares = {"AU01": 0.5 + 0.01 * seed}, {"au_source": 0.9, "rich_source": 0.1}
                write_run(tmp_path, variant, seed, f1, losses=losses, shares=shares, **how)
        text = idleness_in_words.what_they_still_do(summarise_runs(tmp_path))
        assert "In `full` the supervisors' losses end at 5.0 % of guessing (log N), all below 10 %" in text
        assert "they make 10 % of the gradient in E and G. Likewise in `full-in-batch` (5.0 %)." in text
        assert "More is left to do in `full-dense` (40.0 %); in F1 none of them is told from `full`." in text

    def test_says_whether_reconstruction_is_helped_and_whether_it_is_one(self, tmp_path):
        errors = {
            "separation": (0.9, 1.1),
            "contrastive": (1.02, 1.2),
            "full": (1.04, 1.3),
            "adld": (0.8, 0.9),
        }
        for variant, (own, second) in errors.items():
            for seed in range(5):
                metrics = {"insides.reconstruction.self": own + 0.002 * seed}
                metrics["insides.reconstruction.second"] = (
                    second + 0.001 * seed * (variant == "full") + 0.01 * seed
                )
                metrics |= {f"insides.distance.{name}": second / 10 + 0.001 * seed for name in ALL_SIX}
                write_run(tmp_path, variant, seed, {"AU01": 0.5}, variant, metrics=metrics)
        text = rounds_in_words.reconstruction(summarise_runs(tmp_path))
        assert text.startswith("**The four together hurt reconstruction**")
        assert "`full` is worse than `contrastive`, worse than `separation` and worse than `adld`" in text
        assert "`adld` is better than `separation`" in text
        assert (
            "own reconstruction of `contrastive` 102 and `full` 104 (better: `separation` 90 and `adld` 80)"
            in text
        )
        assert (
            "| `adld` minus `separation` | -10.0 [-10.0, -10.0]\\* | -20.0 [-20.0, -20.0]\\* | 6, 0 |" in text
        )
        assert "Holm over these 40 comparisons" in text and "is a term of `adld`" in text

    def test_says_nothing_of_the_mean_face_where_all_do_better(self, tmp_path):
        for variant in ("contrastive", "full"):
            for seed in range(3):
                metrics = dict.fromkeys(rounds_in_words.ERRORS, 0.9 + 0.01 * seed)
                write_run(tmp_path, variant, seed, {"AU01": 0.5}, variant, metrics=metrics)
        text = rounds_in_words.reconstruction(summarise_runs(tmp_path))
        assert "mean face's features;" not in text.split("|")[0] and "At this budget" not in text

    def test_compares_with_rivals_in_every_measure_and_names_the_best(self, tmp_path):
        for seed in range(5):
            for variant, f1, nme in (
                ("full", 0.6, 0.05),
                ("multitask", 0.5, 0.04),
                ("separation", 0.62, 0.045),
            ):
                metrics = {"target.landmarks.nme": nme + 1e-4 * seed}
                write_run(tmp_path, variant, seed, {"AU01": f1 + 0.01 * seed}, variant, metrics=metrics)
        text = rivals_in_words.the_rivals(summarise_runs(tmp_path))
        assert "behind `separation` in F1, AUC, skew-normalised F1 and NME" in text
        assert "behind `multitask` in NME; ahead of `multitask` in F1, AUC and skew-normalised F1" in text
        best = "Best mean of all rungs: `separation` in F1 (64.0), AUC (82.0) and skew-normalised F1 (64.0)"
        assert f"{best}; `multitask` in NME (4.0)." in text
        assert "| +1.00 [+1.00, +1.00]\\* |" in text and "Holm over these 8 comparisons" in text

    def test_says_what_full_gains_by_each_of_its_choices(self, tmp_path):
        for seed, f1 in enumerate((0.50, 0.52, 0.55)):
            write_run(tmp_path, "full", seed, {"AU01": f1 + 0.10 + 0.001 * seed}, "full")
            write_run(tmp_path, "full-batch", seed, {"AU01": f1}, "full", negatives="batch")
            write_run(tmp_path, "contrastive", seed, {"AU01": f1}, "contrastive")
        (line,) = [
            one for one in answers.answer(summarise_runs(tmp_path)).split("\n\n") if "one choice" in one
        ]
        assert line.count("over `") == 1 and line.endswith("over `full-batch` (ahead).")
        assert "+10.1 [" in line

    def test_says_what_was_not_tried(self, tmp_path):
        for seed in (0, 1):
            write_run(tmp_path, "adld", seed, {"AU01": 0.5}, "adld")
        text = answers.answer(summarise_runs(tmp_path))
        assert "untested" in text and "nothing can be said of single ones" in text

    def test_puts_equal_steps_beside_equal_time(self, tmp_path):
        plan = [("steps", "contrastive", 400, 0.10, 0.0), ("steps", "full", 400, 0.12, 0.1)]
        plan += [("time", "contrastive", 480, 0.10, 0.0), ("time", "full", 400, 0.12, -0.1)]
        for name, variant, steps, cost, lift in plan:
            for seed, f1 in enumerate((0.50, 0.52, 0.55)):
                f1 += lift + (0.001 * seed if lift else 0)
                write_run(tmp_path / name, variant, seed, {"AU01": f1}, variant, None, cost, steps=steps)
        text = answers.answer(summarise_runs(tmp_path / "steps"), summarise_runs(tmp_path / "time"))
        assert "At equal steps (400 each), **the four intermediate supervisors together help**" in text
        assert "At equal time (48 to 48 s a run), **the four intermediate supervisors together hurt**" in text

    def test_does_not_repeat_at_equal_time_what_was_said_at_equal_steps(self, tmp_path):
        for name in ("steps", "time"):
            for variant in ("contrastive", "full"):
                for seed, f1 in enumerate((0.50, 0.52, 0.55)):
                    write_run(tmp_path / name, variant, seed, {"AU01": f1}, variant)
        text = answers.answer(summarise_runs(tmp_path / "steps"), summarise_runs(tmp_path / "time"))
        assert text.count("`full` minus `contrastive`") == 1


class TestReadme:
    def test_shows_the_answer_and_the_ladder_of_the_committed_summary(self, tmp_path):
        write_summary(summarise_runs(write_small_study(tmp_path / "small")), tmp_path / "small.json")
        block = study_block(tmp_path / "small.json", *[tmp_path / "none.json"] * 3)
        assert "`full` minus `contrastive`" in block and "| contrastive+shape_source |" in block
        assert "equal time" not in block
        for variant, steps, cost in (("contrastive", 480, 0.10), ("full", 400, 0.12)):
            for seed, f1 in enumerate((0.50, 0.52, 0.55)):
                write_run(tmp_path / "time", variant, seed, {"AU01": f1}, variant, None, cost, steps=steps)
        write_summary(summarise_runs(tmp_path / "time"), tmp_path / "time.json")
        both = study_block(tmp_path / "small.json", tmp_path / "time.json", *[tmp_path / "none.json"] * 2)
        assert both.count("`full` minus `contrastive`") == 2 and "minus contrastive, equal time" in both

    def test_says_which_command_runs_a_study_that_has_not_been_run(self, tmp_path):
        assert "aulib study experiments/none.yml" in study_block(*[tmp_path / "none.json"] * 4)
