"""What an exercise says to an answer: right, wrong with a hint, or not answered yet.

A check is a function of the answer (and of what the learner measured) that returns a Verdict. It looks at
what the answer does, not at whether it equals a stored one, and never raises: whatever a learner types gets
words. In a notebook an exercise is a cell `answer = ...` followed by its check as the cell's last line.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any

OPEN, WRONG, RIGHT = "open", "wrong", "right"
MARKS = {OPEN: "○ Not answered yet", WRONG: "✗ Not yet", RIGHT: "✓ Right"}  # marks, not colours alone


@dataclass(frozen=True)
class Verdict:
    """state: "open", "wrong" or "right".  message: Markdown, one or two sentences."""

    state: str
    message: str

    def _repr_markdown_(self) -> str:
        return f"**{MARKS[self.state]}.** {self.message}"

    def __repr__(self) -> str:
        return f"{MARKS[self.state]}. {self.message}"


def wrong(hint: str) -> Verdict:
    return Verdict(WRONG, hint)


def right(why: str) -> Verdict:
    return Verdict(RIGHT, why)


class ReturnedNothing(Exception):
    """A learner's function gave None, which no exercise asks for."""


def _returning(answer: Any) -> Any:
    """The answer; a function raises ReturnedNothing rather than give None to a check that counts on more."""
    if not inspect.isfunction(answer):
        return answer

    @wraps(answer)
    def asked(*values: Any, **named: Any) -> Any:
        if (found := answer(*values, **named)) is None:
            raise ReturnedNothing
        return found

    return asked


def exercise(wanted: str) -> Callable:
    """Makes a check of a function `(answer, ...) -> Verdict`.

    Args:
        wanted: what to write, with an example; said as long as the answer is `...`, and again where the
            answer is of a kind that the check cannot work with (it raised).
    """

    def decorate(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
        @wraps(check)
        def checked(answer: Any, *measured: Any, **named: Any) -> Verdict:
            if answer is ...:
                return Verdict(OPEN, f"Wanted: {wanted}")
            try:
                return check(_returning(answer), *measured, **named)
            except ReturnedNothing:
                return wrong(f"`{answer.__name__}` returned nothing: is `return` missing? Wanted: {wanted}")
            except Exception as error:  # a learner's answer may be anything
                found = f"`{_short(answer)}` gave {type(error).__name__}: {_short(error)}"
                return wrong(f"{found}. Wanted: {wanted}")

        checked.wanted = wanted
        return checked

    return decorate


def number(answer: Any) -> float:
    """The answer as a number.

    Raises:
        TypeError: it is a truth value or text, which Python would take for numbers too.
    """
    if isinstance(answer, (bool, str, bytes)):
        raise TypeError("expected a number")
    return float(answer)


def hint_for(said: float, mistakes: Iterable[tuple[float, str]], otherwise: str) -> Verdict:
    """Wrong, with the hint of the known mistake that gives this number (to a hundredth), or `otherwise`."""
    return wrong(next((hint for mistake, hint in mistakes if abs(said - mistake) < 0.01), otherwise))


def _short(thing: Any) -> str:
    try:
        text = (
            thing if isinstance(thing, str) else str(thing) if isinstance(thing, Exception) else repr(thing)
        )
    except Exception:
        text = type(thing).__name__
    text = " ".join(text.split()).replace("`", "'")
    return text if len(text) <= 80 else f"{text[:77]}..."
