"""Tests that every exercise of a lesson must pass, on right, wrong and odd answers."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from exercises import OPEN, RIGHT, WRONG


class TriedExercises:
    """Tests for a lesson to inherit, parametrised by `name` over its exercises.

    exercises: name -> the check of one answer, right answers, and typical wrong answers that need different
        hints.
    other_kinds: answers of types that no exercise of the lesson asks for.
    """

    exercises: ClassVar[dict[str, tuple[Callable, list, list]]]
    other_kinds: ClassVar[Sequence[Any]]

    def test_right_answers_are_right(self, name):
        check, good, _ = self.exercises[name]
        assert check(...).state == OPEN
        assert [check(answer).state for answer in good] == [RIGHT] * len(good)

    def test_each_mistake_has_its_own_hint(self, name):
        check, _, mistakes = self.exercises[name]
        verdicts = [check(answer) for answer in mistakes]
        assert len(verdicts) >= 4 and {verdict.state for verdict in verdicts} == {WRONG}
        hints = [verdict.message for verdict in verdicts]
        assert sorted(set(hints)) == sorted(hints)

    def test_answers_of_another_kind_are_wrong_without_an_error(self, name):
        for answer in self.other_kinds:
            assert self.exercises[name][0](answer).state == WRONG
