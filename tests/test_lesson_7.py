"""A study small enough for a lesson, what luck does to it, and checks with a word for each mistake."""

from dataclasses import replace
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import lesson_7
import small_study
from aubench.report.summaries import Summary
from aubench.study.parameters import declared_parameters
from aubench.study.plan import StudyError, expand, read_study
from aulib.contrastive import Projections, info_nce
from aulib.methods import SUPERVISORS, Supervisor
from aulib.objective import ROUND_TERMS, TERMS
from own_supervisor import check_own, faces_of_noise, function_in, source_of
from own_supervisor import tried as tried_function
from seeds import StudySimulator, draw_luck, power, relative_width, simulate


def own(outputs, project, temperature):
    face, again = project("rich", "rich_s"), project("rich", "self_s")
    return F.cross_entropy(face @ again.T / temperature, torch.arange(len(face)))


def another(outputs, project, temperature):
    return (1 - (project("rich", "rich_t") * project("rich", "self_t")).sum(-1)).mean()


def test_an_own_supervisor_is_a_term_until_it_is_left_out():
    name = small_study.enter_supervisor(source_of(own))
    try:
        model, outputs = faces_of_noise()
        outputs = outputs | {"projections": Projections(outputs, model.projectors)}
        objective = SimpleNamespace(temperature=0.1)
        said = ROUND_TERMS[name](model, objective, outputs, {}, {})
        assert said.item() == pytest.approx(own(outputs, outputs["projections"], 0.1).item())
        assert name in TERMS
    finally:
        small_study.leave_out_own()
    assert name not in TERMS and name not in ROUND_TERMS


def test_another_function_makes_other_runs_of_its_own_variant_only(tmp_path):
    def keys(function) -> dict[tuple, str]:
        file = small_study.write_study(tmp_path, {"two-and-own": function}, [0, 1], 5, "data/a", "data/b")
        return {(run.variant, run.seed): run.key for run in expand(read_study(file), tmp_path / "runs")}

    first = keys(own)
    assert len(first) == 6 and len(set(first.values())) == 6
    second = keys(another)
    assert {run for run in first if first[run] != second[run]} == {("two-and-own", 0), ("two-and-own", 1)}


def test_a_function_of_a_study_file_is_the_one_that_was_written(tmp_path):
    file = small_study.write_study(tmp_path, {"two-and-own": another}, [0], 5, "data/a", "data/b")
    made = function_in(read_study(file).variants["two-and-own"]["own"])
    model, outputs = faces_of_noise()
    project = Projections(outputs, model.projectors)
    assert made(outputs, project, 0.1).item() == pytest.approx(another(outputs, project, 0.1).item())


def test_the_study_trains_on_both_sets_with_every_parameter_explained(tmp_path):
    small_study.write_study(tmp_path, {"two-and-own": own}, [0], 5, "data/a", "data/b")
    notebook = tmp_path / "small_train.ipynb"
    nbformat.validate(nbformat.read(notebook, as_version=4))
    declared = declared_parameters(notebook)
    assert {"source", "target", "own", "seed", "out_dir"} <= declared.keys()
    assert all(parameter.help for parameter in declared.values())


def test_a_seed_given_twice_is_refused(tmp_path):
    file = small_study.write_study(tmp_path, {"two-and-own": own}, [0, 0], 5, "data/a", "data/b")
    with pytest.raises(StudyError, match="seeds"):
        read_study(file)


def study_of(two: list[float], own: list[float]) -> Summary:
    """Scores of `without` rise with the seed; those of the others differ by so many points."""
    rows = []
    for seed, gains in enumerate(zip(two, own, strict=True)):
        for name, gain in zip(("without", "two", "two-and-own"), (0.0, *gains), strict=True):
            rows.append((name, seed, "f1", "mean", 0.5 + 0.01 * seed + gain / 100))
    values = pd.DataFrame(rows, columns=["variant", "seed", "measure", "au", "value"])
    methods = {"without": "separation", "two": "contrastive", "two-and-own": "contrastive"}
    settings = {name: {"method": method, "steps": 5} for name, method in methods.items()}
    return Summary("small", settings, values, pd.DataFrame())


def test_differences_are_taken_seed_by_seed_in_points():
    table = lesson_7.points(study_of([1, -1, 2], [0, 0, 3]))
    assert table["two"].tolist() == pytest.approx([1, -1, 2])
    assert table["two-and-own"].tolist() == pytest.approx([0, 0, 3])


def test_the_answer_follows_the_numbers():
    said = lesson_7.said_of_study(study_of([1.0, 1.1, 0.9, 1.05], [-2.0, -2.1, -1.9, -2.05]))
    pairing, two, own = said.splitlines()
    assert "moves by up to 3.0 points" in pairing and "3.2: here pairing buys nothing" in pairing
    assert "better than chance allows" in two and "4 of 4 seeds" in two
    assert "worse than chance allows" in own and "0 of 4 seeds" in own
    unsure = lesson_7.said_of_study(study_of([1, -1, 2, -2], [0.5, -1, 0, 1]))
    assert unsure.count("cannot be told from chance") == 2
    assert "1 seed has no interval" in lesson_7.said_of_study(study_of([1], [1]))


def test_the_sentence_about_luck_follows_the_numbers():
    nothing = simulate(0.0, 1.0, 4, 500)
    assert "not surprising" in lesson_7.said_of_luck(pd.Series([0.5, -0.4, 0.1, 0.0]), nothing)
    assert ": surprising." in lesson_7.said_of_luck(pd.Series([3.0, 3.1, 2.9, 3.0]), nothing)


def test_simulated_studies_find_as_often_as_the_formula_says():
    for effect, seeds in ((0.0, 3), (1.0, 5), (2.0, 4)):
        studies = simulate(effect, 1.5, seeds, 4000, seed=1)
        found = ((studies["low"] > 0) | (studies["high"] < 0)).mean()
        assert found == pytest.approx(power(effect, 1.5, seeds), abs=0.02)
    with pytest.raises(ValueError, match="1 seed has no spread"):
        power(1.0, 1.0, 1)


def test_width_shrinks_by_root_and_by_t():
    assert relative_width(3, 12) == pytest.approx(0.5 * 2.200985 / 4.302653, abs=1e-6)
    assert relative_width(5, 5) == 1


def test_figures_are_drawn():
    summary = study_of([1, -1, 2], [0, 0, 3])
    assert len(lesson_7.draw_study(summary).axes) == 2
    assert len(draw_luck(lesson_7.points(summary)["two"], simulate(0, 1, 3, 100), 1.0).axes) == 2


def test_the_simulator_follows_its_sliders():
    shown = StudySimulator()
    before = bytes(shown.picture.value)
    assert before.startswith(b"\x89PNG") and "right sign" in shown.said.value
    shown.effect.value = 0.0
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before
    assert "false alarm" in shown.said.value and "in the long run 5 %" in shown.said.value
    before = bytes(shown.picture.value)
    shown.again.click()
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before


SEEDS = pd.Series([0.5, -0.2, 1.0, 0.3, -0.1])


@pytest.mark.parametrize(
    "answer, hint",
    [(2, "does not help"), (5, "above zero"), (0, "above zero"), (9, "5 seeds only"), (0.6, "a count"),
     ("three", "Wanted"), (True, "Wanted"), (None, "Wanted"), ([3], "Wanted")],
)  # fmt: skip
def test_a_wrong_count_of_seeds_gets_its_hint(answer, hint):
    verdict = lesson_7.check_lone_seeds(answer, SEEDS)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize(
    "answer, hint",
    [(0.577, "Student's t, shrinks too"), (0.333, "*root*"), (1, "no use"), (1 / 0.3094, "other way round"),
     (1 - 0.3094, "what is left"), (0.8, "degrees of freedom"), ("half", "Wanted"), (None, "Wanted")],
)  # fmt: skip
def test_a_wrong_width_gets_its_hint(answer, hint):
    verdict = lesson_7.check_width(answer, 3, 9)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize(
    "answer, hint",
    [(1, "no spread"), (3, "too few"), (18, "a little low"), (40, "not the fewest"), (19.5, "whole"),
     (-4, "no spread"), ("many", "Wanted"), (float("nan"), "whole"), (None, "Wanted")],
)  # fmt: skip
def test_a_wrong_number_of_seeds_gets_its_hint(answer, hint):
    verdict = lesson_7.check_seeds_needed(answer, 1.0, 1.5)
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize(
    "row, hint",
    [
        (("rich_s", "rich_s", "rich", ("swapped_t",)), "agrees with itself"),
        (("rich_s", "F_t", "rich", ("swapped_t",)), "`F_t` is no feature"),
        (("rich_s", "self_s", "rich", ()), "at least one"),
        (("rich_t", "self_t", "rich", ("rich_t",)), "its own rivals"),
        (("rich_s", "rich_t", "rich", ("swapped_t",)), "nothing makes them the same face"),
        (("self_t", "rich2_t", "rich", ("rich_t",)), "pushed from itself"),
        (("shape_s", "rich_s", "shape", ("shape_t",)), "a map for each landmark"),
        (("shape_s", "shape2_s", "rich", ("shape_t",)), "a map for each landmark"),
        (("self_t", "rich2_t", "shape", ("swapped_t",)), "cannot read these"),
        (("self_t", "rich2_t", "F", ("swapped_t",)), "cannot read these"),
        (("rich2_s", "rich_s", "rich", ("swapped_t",)), "taken already: `rich_source`"),
        (("swapped_t", "rich_s", "rich", ("rich_t",)), "two different faces that share a half"),
        (("rich_t", "self_t", "rich", ("rich_s",)), "shares no half"),
        (("rich_t", "self_t", "rich", ("texture_t",)), "texture alone: a face would be pushed from itself"),
        (("rich_t", "texture_t", "rich", ("swapped_t",)), "all that `texture_t` does"),
        (("texture_t", "texture2_t", "texture", ("rich_s",)), "shares no half"),
        (("rich_t", "self_t", "rich", ("swapped_t", "rich_s")), "`rich_s` carries"),
        (
            ("rich_t", "self_t", "rich", "swapped_s"),
            'needs a comma, even with one rival: `rivals=("swapped_s",)`',
        ),
    ],
)
def test_a_wrong_supervisor_gets_its_hint(row, hint):
    verdict = lesson_7.check_supervisor(Supervisor(*row))
    assert verdict.state == "wrong" and hint in verdict.message


@pytest.mark.parametrize("answer", ["rich_s", ("rich_s", "self_s"), {"first": "rich_s"}, Supervisor, 3])
def test_what_is_no_supervisor_is_told_what_was_wanted(answer):
    verdict = lesson_7.check_supervisor(answer)
    assert verdict.state == "wrong" and "Wanted" in verdict.message


def test_right_answers_are_right_however_they_are_written():
    assert lesson_7.check_lone_seeds(3, SEEDS).state == "right"
    assert lesson_7.check_lone_seeds(np.int64(3), SEEDS).state == "right"
    assert lesson_7.check_width(0.31, 3, 9).state == "right"
    fewest = next(n for n in range(2, 99) if power(1.0, 1.5, n) >= 0.8)
    assert lesson_7.check_seeds_needed(fewest, 1.0, 1.5).state == "right"
    assert lesson_7.check_seeds_needed(2, 100.0, 0.1).state == "right"
    for row in (
        ("self_t", "rich2_t", "rich", ("swapped_s", "swapped_t")),
        ("rich_t", "self_t", "rich", ("swapped_t",)),
        ("rich_t", "self_t", "rich", ["swapped_s", "swapped_t"]),
        ("rich_t", "texture_t", "rich", ("swapped_s",)),
        ("self_s", "rich_s", "rich", ("swapped_t",)),
        ("texture_s", "texture2_s", "texture", ("texture_t",)),
    ):
        known = any({row[0], row[1]} == {one.first, one.second} for one in SUPERVISORS.values())
        assert lesson_7.check_supervisor(Supervisor(*row)).state == ("wrong" if known else "right")


def test_every_row_of_the_table_would_be_a_right_answer_if_it_were_not_taken(monkeypatch):
    for name, row in SUPERVISORS.items():
        others = {key: value for key, value in SUPERVISORS.items() if key != name}
        monkeypatch.setattr(lesson_7, "SUPERVISORS", others)
        assert lesson_7.check_supervisor(row).state == "right", name


def test_a_right_row_stays_right_once_it_is_entered():
    answer = Supervisor("self_t", "rich2_t", "rich", ("swapped_s", "swapped_t"))
    assert lesson_7.check_supervisor(answer).state == "right"
    assert lesson_7.check_supervisor(replace(answer)).state == "right"


def test_a_tried_supervisor_starts_near_guessing_and_pulls_at_the_encoder():
    loss, moves = lesson_7.tried(Supervisor("rich_s", "self_s", "rich", ("swapped_t", "swapped_s")))
    assert 0 < loss < 3 and moves > 0


def both_ways(outputs, project, temperature):
    first, second = project("rich", "self_t"), project("rich", "rich2_t")
    rivals = torch.stack([project("rich", name) for name in ("swapped_s", "swapped_t")], 1)

    def found(anchors, others):
        hard = (anchors[:, None] * rivals).sum(-1)
        candidates = torch.cat([anchors @ others.T, hard], 1) / temperature
        return F.cross_entropy(candidates, torch.arange(len(anchors)))

    return (found(first, second) + found(second, first)) / 2


def with_the_library(outputs, project, temperature):
    rivals = torch.stack([project("rich", name) for name in ("swapped_s", "swapped_t")], -2)
    return info_nce(project("rich", "self_t"), project("rich", "rich2_t"), rivals, temperature)


def by_distance(outputs, project, temperature):
    return (outputs["rich2_s"] - outputs["rich_s"]).abs().mean()


def test_a_function_by_hand_says_what_the_library_says():
    one, other = tried_function(both_ways), tried_function(with_the_library)
    assert one.loss == pytest.approx(other.loss, abs=1e-5) and one.turned == pytest.approx(one.loss, abs=1e-4)
    assert one.agreed < one.strangers and one.collapsed == pytest.approx(np.log(6 + 2), abs=1e-3)


def test_a_function_of_ones_own_is_right_and_told_what_it_lacks():
    for function, said, unsaid in (
        (both_ways, "rivals stand against a collapse", "one way only"),
        (with_the_library, "rivals stand against a collapse", "one way only"),
        (own, "one way only: with `rich_s` and `self_s`", "only pulls"),
        (another, "it only pulls", "one way only"),
        (by_distance, "it only pulls", "one way only"),
    ):
        verdict = check_own(function)
        assert verdict.state == "right", (function, verdict)
        assert said in verdict.message and unsaid not in verdict.message, (function, verdict)
    assert check_own(...).state == "open"


def pushes(outputs, project, temperature):
    return (project("rich", "rich_t") * project("rich", "self_t")).sum(-1).mean()


def a_number(outputs, project, temperature):
    return (project("rich", "rich_t") - project("rich", "self_t")).abs().mean().item()


def a_row(outputs, project, temperature):
    return 1 - (project("rich", "rich_t") * project("rich", "self_t")).sum(-1)


def cut_off(outputs, project, temperature):
    return (outputs["rich_t"].detach() - outputs["self_t"].detach()).abs().mean()


def not_finite(outputs, project, temperature):
    return (project("rich", "rich_t") - project("rich", "rich_t")).log().mean()


def of_a_global(outputs, project, temperature):
    return (project("rich", "rich_t") * MARGIN).sum()  # noqa: F821


def of_no_feature(outputs, project, temperature):
    return project("rich", "F_t").sum()


def through_the_wrong_projector(outputs, project, temperature):
    return (project("shape", "rich_t") - project("shape", "self_t")).abs().mean()


def only_projectors(outputs, project, temperature):
    first, second = project("rich", "rich_t").detach(), project("rich", "self_t")
    return 0 * (first * second).sum() + 1


def two_arguments(outputs, project):
    return (project("rich", "rich_t") - project("rich", "self_t")).abs().mean()


def magnitude(outputs, project, temperature):
    return outputs["rich_t"].abs().mean() + outputs["self_t"].abs().mean()


@pytest.mark.parametrize(
    "answer, hint",
    [
        (pushes, "The wrong way round"), (a_number, "returns a float"), (a_row, "take the mean over faces"),
        (cut_off, "does not depend on two features"), (not_finite, "not finite"),
        (of_a_global, "'MARGIN' is not defined"), (of_no_feature, "'F_t' is neither a feature"),
        (through_the_wrong_projector, "torch refuses"), (only_projectors, "does not reach the encoder"),
        (two_arguments, "takes three things"), (magnitude, "does not pull a face's own together"),
        (eval("lambda outputs, project, temperature: 0"), "source is not to be found"),
        (Supervisor("rich_t", "self_t", "rich", ("swapped_s",)), "Wanted"), (3, "Wanted"),
        ("own", "Wanted"), (Supervisor, "Wanted"), (None, "Wanted"),
    ],
)  # fmt: skip
def test_a_wrong_function_gets_its_hint(answer, hint):
    verdict = check_own(answer)
    assert verdict.state == "wrong" and hint in verdict.message, verdict


def test_the_sentence_about_ones_own_compares_with_it_and_without():
    summary = study_of([1.0, 1.1, 0.9], [3.0, 3.2, 2.9])
    assert "waits" in lesson_7.said_of_yours(summary)
    values = summary.values.replace({"variant": {"two-and-own": lesson_7.YOURS}})
    settings = {name.replace("two-and-own", lesson_7.YOURS): one for name, one in summary.settings.items()}
    said = lesson_7.said_of_yours(replace(summary, settings=settings, values=values))
    assert said.startswith(f"- **{lesson_7.YOURS}** minus without: +3.0")
    assert "minus without it (`two`): +2.0 points" in said and "helps more than chance explains" in said
    worse = values.assign(value=values["value"] - 0.1 * (values["variant"] == lesson_7.YOURS))
    assert "hurts more" in lesson_7.said_of_yours(replace(summary, settings=settings, values=worse))
