"""A check has a message for every answer."""

import pytest

from exercises import exercise, right, wrong


@exercise("a number above 2, such as 3")
def above_two(answer, limit=2):
    return right("It is.") if answer > limit else wrong(f"{answer} is not above {limit}.")


def test_an_answer_is_open_wrong_or_right():
    assert above_two(...).state == "open" and "such as 3" in above_two(...).message
    assert above_two(1).state == "wrong" and above_two(1).message == "1 is not above 2."
    assert above_two(3).state == "right" and above_two(3, limit=5).state == "wrong"


@exercise("a function that doubles")
def doubles(answer):
    return right("It does.") if float(answer(2)) == 4 else wrong("Not twice as much.")


def test_a_function_without_return_gets_its_own_message():
    def answer_1(x):
        2 * x

    assert "`answer_1` returned nothing: is `return` missing?" in doubles(answer_1).message
    assert doubles(lambda x: 2 * x).state == "right" and "Not twice" in doubles(lambda x: x).message


class Hostile:
    def __repr__(self):
        raise RuntimeError("no words")


@pytest.mark.parametrize("answer", [None, "three", [1], {}, Hostile(), float, "`x`" * 100])
def test_an_answer_of_another_kind_gets_what_was_wanted(answer):
    verdict = above_two(answer)
    assert verdict.state == "wrong" and "Wanted: a number above 2" in verdict.message
    assert len(verdict.message) < 400 and verdict.message.count("`") == 2


def test_a_verdict_reads_the_same_in_a_notebook_and_in_a_terminal():
    assert above_two(1)._repr_markdown_() == "**✗ Not yet.** 1 is not above 2."
    assert repr(above_two(1)) == "✗ Not yet. 1 is not above 2."
