"""What every exercise of a lesson owes its learners, tried on right, wrong and odd answers."""

from collections.abc import Callable
from typing import Any, ClassVar

from exercises import OPEN, RIGHT, WRONG


class TriedExercises:
    """Tests for a lesson to inherit, parametrised by `name` over its exercises.

    exercises: name -> the check of one answer, answers that are right, wrong answers with a part of the hint.
    other_kinds: answers of types that no exercise of the lesson asks for.
    """

    exercises: ClassVar[dict[str, tuple[Callable, list, dict]]]
    other_kinds: ClassVar[list[Any]]

    def test_right_answers_are_right(self, name):
        check, good, _ = self.exercises[name]
        assert check(...).state == OPEN
        assert [check(answer).state for answer in good] == [RIGHT] * len(good)

    def test_each_mistake_has_its_own_hint(self, name):
        check, _, mistakes = self.exercises[name]
        assert len(mistakes) >= 4
        for answer, hint in mistakes.items():
            verdict = check(answer)
            assert verdict.state == WRONG and hint in verdict.message, (name, answer, verdict)

    def test_nonsense_gets_words(self, name):
        for answer in self.other_kinds:
            assert self.exercises[name][0](answer).state == WRONG
