"""Lesson 7: the small study, simulated luck, and a hint for each mistake."""

from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import torch
import torch.nn.functional as F

import lesson_7
import lesson_7_supervisor
from aubench.report.summaries import Summary
from aubench.study.parameters import declared_parameters
from aubench.study.plan import expand, read_study
from aulib.contrastive import Projections, info_nce
from aulib.objective import ROUND_TERMS, TERMS, StepData
from aulib.supervisors import SUPERVISORS, Supervisor
from lesson_7 import power, write_study
from lesson_7_supervisor import check_own, faces_of_noise, source_of, tried
from tried_exercises import TriedExercises


def own(outputs, project, temperature):
    face, again = project("rich", "rich_s"), project("rich", "self_s")
    return F.cross_entropy(face @ again.T / temperature, torch.arange(len(face)))


def another(outputs, project, temperature):
    return (1 - (project("rich", "rich_t") * project("rich", "self_t")).sum(-1)).mean()


class TestStudy:
    def written(self, folder, function=own, seeds=(0,)):
        return write_study(folder, {"two-and-own": function}, list(seeds), 5, "data/a", "data/b")

    def test_an_own_supervisor_becomes_a_term_of_the_objective(self, monkeypatch):
        monkeypatch.setitem(ROUND_TERMS, "own", None)  # both tables are restored after the test
        monkeypatch.setitem(TERMS, "own", None)
        name = lesson_7_supervisor.enter_supervisor(source_of(own))
        model, outputs = faces_of_noise()
        project = Projections(outputs, model.projectors)
        objective = SimpleNamespace(temperature=0.1)
        term = ROUND_TERMS[name](StepData(model, objective, outputs, {}, {}, project))
        assert term.item() == pytest.approx(own(outputs, project, 0.1).item())
        assert TERMS[name] is ROUND_TERMS[name]

    def test_another_function_makes_new_runs_of_its_variant_only(self, tmp_path):
        def keys(function) -> dict[tuple, str]:
            file = self.written(tmp_path, function, (0, 1))
            return {(run.variant, run.seed): run.key for run in expand(read_study(file), tmp_path / "runs")}

        first, second = keys(own), keys(another)
        assert len(first) == 6 and len(set(first.values())) == 6
        changed = {run for run in first if first[run] != second[run]}
        assert changed == {("two-and-own", 0), ("two-and-own", 1)}

    def test_a_function_survives_the_study_file(self, tmp_path):
        variant = read_study(self.written(tmp_path, another)).variants["two-and-own"]
        made = lesson_7_supervisor.function_in(variant["own"])
        model, outputs = faces_of_noise()
        project = Projections(outputs, model.projectors)
        assert made(outputs, project, 0.1).item() == pytest.approx(another(outputs, project, 0.1).item())

    def test_the_notebook_of_the_study_is_valid_and_explains_its_parameters(self, tmp_path):
        self.written(tmp_path)
        notebook = tmp_path / "small_train.ipynb"
        nbformat.validate(nbformat.read(notebook, as_version=4))
        declared = declared_parameters(notebook)
        assert {"source", "target", "own", "seed", "out_dir"} <= declared.keys()
        assert all(one["help"] for one in papermill.inspect_notebook(str(notebook)).values())


def study_of(two: list[float], own: list[float]) -> Summary:
    """Scores of `without` rise with the seed; those of the others differ from it by so many points."""
    rows = []
    for seed, gains in enumerate(zip(two, own, strict=True)):
        for name, gain in zip(("without", "two", "two-and-own"), (0.0, *gains), strict=True):
            rows.append((name, seed, "f1", "mean", 0.5 + 0.01 * seed + gain / 100))
    values = pd.DataFrame(rows, columns=["variant", "seed", "measure", "au", "value"])
    supervisors = {"without": (), "two": ("rich_source",), "two-and-own": ("rich_source", "own")}
    settings = {name: {"supervisors": own, "steps": 5} for name, own in supervisors.items()}
    return Summary("small", settings, values, pd.DataFrame())


def test_differences_are_taken_seed_by_seed_in_points():
    table = lesson_7.points(study_of([1, -1, 2], [0, 0, 3]))
    assert table["two"].tolist() == pytest.approx([1, -1, 2])
    assert table["two-and-own"].tolist() == pytest.approx([0, 0, 3])


def test_effects_have_a_verdict_by_sign_and_corrected_p():
    table = lesson_7.effects(study_of([1.0, 1.1, 0.9, 1.05], [-2.0, -2.1, -1.9, -2.05]))
    assert table["verdict"].to_dict() == {"two": "helps", "two-and-own": "hurts"}
    assert table.loc["two", "difference"] == pytest.approx(np.mean([1.0, 1.1, 0.9, 1.05]))
    unsure = lesson_7.effects(study_of([1, -1, 2, -2], [0.5, -1, 0, 1]))
    assert set(unsure["verdict"]) == {"undecided"}
    alone = lesson_7.effects(study_of([1], [1]))
    assert set(alone["verdict"]) == {"undecided"} and alone["low"].isna().all()


def test_effects_against_another_reference():
    table = lesson_7.effects(study_of([1.0, 1.1, 0.9], [3.0, 3.2, 2.9]), reference="two")
    assert table.loc["two-and-own", "difference"] == pytest.approx((2.0 + 2.1 + 2.0) / 3)
    assert table.loc["two-and-own", "verdict"] == "helps"


def test_simulated_studies_find_as_often_as_the_formula_predicts():
    for effect, seeds in ((0.0, 3), (1.0, 5), (2.0, 4)):
        studies = lesson_7.simulate(effect, 1.5, seeds, 4000, seed=1)
        found = ((studies["low"] > 0) | (studies["high"] < 0)).mean()
        assert found == pytest.approx(power(effect, 1.5, seeds), abs=0.02)
    with pytest.raises(ValueError, match="1 seed"):
        power(1.0, 1.0, 1)


def test_width_shrinks_by_root_and_by_t():
    assert lesson_7.relative_width(3, 12) == pytest.approx(0.5 * 2.200985 / 4.302653, abs=1e-6)
    assert lesson_7.relative_width(5, 5) == 1


def test_the_simulator_follows_its_sliders():
    shown = lesson_7.study_simulator()
    before = bytes(shown.picture.value)
    assert before.startswith(b"\x89PNG")
    shown.controls["effect"].value = 0.0
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before and "5%" in shown.text.value
    before = bytes(shown.picture.value)
    shown.controls["luck"].value = 1
    assert shown.newest.wait(60) and bytes(shown.picture.value) != before


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


def constant(outputs, project, temperature):
    first, second = project("rich", "rich_t"), project("rich", "self_t")
    return 0 * (first * second).sum() + 1


def two_arguments(outputs, project):
    return (project("rich", "rich_t") - project("rich", "self_t")).abs().mean()


def magnitude(outputs, project, temperature):
    return outputs["rich_t"].abs().mean() + outputs["self_t"].abs().mean()


SEEDS = pd.Series([0.5, -0.2, 1.0, 0.3, -0.1])
FEWEST = next(n for n in range(2, 99) if power(1.0, 1.5, n) >= 0.8)
EXERCISES = {
    "lone seeds": (
        lambda answer: lesson_7.check_lone_seeds(answer, SEEDS),
        [3, np.int64(3)],
        [2, 5, 9, 0.6],
    ),
    "width": (
        lambda answer: lesson_7.check_width(answer, 3, 9),
        [0.31],
        [0.577, 0.333, 1, 1 / 0.3094, 1 - 0.3094, 0.8],
    ),
    "seeds needed": (
        lambda answer: lesson_7.check_seeds_needed(answer, 1.0, 1.5),
        [FEWEST],
        [1, 3, FEWEST - 1, 40, 19.5],
    ),
    "supervisor": (
        lambda answer: lesson_7_supervisor.check_supervisor(
            Supervisor(*answer) if isinstance(answer, tuple) else answer
        ),
        [
            one
            for one in (
                Supervisor("self_t", "rich2_t", "rich", ("swapped_s", "swapped_t")),
                Supervisor("rich_t", "self_t", "rich", ["swapped_s", "swapped_t"]),
                Supervisor("rich_t", "texture_t", "rich", ("swapped_s",)),
                Supervisor("self_s", "rich_s", "rich", ("swapped_t",)),
            )
            if one not in SUPERVISORS.values()  # a row of one's own may be one of these
        ],
        [
            ("rich_s", "rich_s", "rich", ("swapped_t",)),
            ("rich_s", "F_t", "rich", ("swapped_t",)),
            ("rich_s", "self_s", "rich", ()),
            ("rich_t", "self_t", "rich", ("rich_t",)),
            ("rich_s", "rich_t", "rich", ("swapped_t",)),
            ("swapped_t", "rich_s", "rich", ("rich_t",)),
            ("self_t", "rich2_t", "rich", ("rich_t",)),
            ("rich_t", "self_t", "rich", ("rich_s",)),
            ("rich_t", "self_t", "rich", ("texture_t",)),
            ("rich_t", "texture_t", "rich", ("swapped_t",)),
            ("shape_s", "shape2_s", "rich", ("shape_t",)),
            ("self_t", "rich2_t", "F", ("swapped_t",)),
            ("rich2_s", "rich_s", "rich", ("swapped_t",)),
            ("rich_t", "self_t", "rich", "swapped_s"),
        ],
    ),
    "own supervisor": (
        check_own,
        [both_ways, with_the_library, own, another, by_distance],
        [
            pushes,
            a_number,
            a_row,
            cut_off,
            not_finite,
            of_a_global,
            of_no_feature,
            constant,
            two_arguments,
            through_the_wrong_projector,
            magnitude,
            eval("lambda outputs, project, temperature: 0"),
            3,
        ],
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
class TestExercises(TriedExercises):
    exercises, other_kinds = EXERCISES, [None, "three", [3], True, {}, object()]


def test_every_row_of_the_table_is_right_if_it_is_not_taken(monkeypatch):
    for name, row in SUPERVISORS.items():
        others = {key: value for key, value in SUPERVISORS.items() if key != name}
        monkeypatch.setattr(lesson_7_supervisor, "SUPERVISORS", others)
        assert lesson_7_supervisor.check_supervisor(row).state == "right", name


def test_a_function_by_hand_equals_the_library():
    one, other = tried(both_ways), tried(with_the_library)
    assert one.loss == pytest.approx(other.loss, abs=1e-5)
    assert one.agreed < one.stranger
    assert one.one_point == pytest.approx(np.log(6 + 2), abs=1e-3)


def test_a_right_function_is_said_to_prevent_a_collapse_or_only_to_pull():
    for function in (both_ways, with_the_library, own):
        assert "prevents" in check_own(function).message
    for function in (another, by_distance):
        assert "only pulls" in check_own(function).message
