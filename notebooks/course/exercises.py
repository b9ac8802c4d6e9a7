"""What an exercise says to an answer: right, wrong with a hint, or not answered yet.

A check is a function of the answer (and of what the learner measured) that returns a Verdict. It tests what
the answer does, not whether it equals a stored one, and it never raises. In a notebook an exercise is a cell
`answer = ...` with its check as the last line.
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
    """A learner's function returned None, which is never an answer."""


def exercise(wanted: str) -> Callable:
    """Decorator that turns a function `(answer, ...) -> Verdict` into a check.

    Args:
        wanted: what to write, with an example. It is the message while the answer is `...`, and part of the
            message if the check raises because the answer is of another kind.
    """

    def decorate(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
        @wraps(check)
        def checked(answer: Any, *measured: Any, **named: Any) -> Verdict:
            if answer is ...:
                return Verdict(OPEN, f"Wanted: {wanted}")
            try:
                return check(_never_none(answer), *measured, **named)
            except ReturnedNothing:
                return wrong(f"`{answer.__name__}` returned nothing: is `return` missing? Wanted: {wanted}")
            except Exception as error:  # a learner's answer may be anything
                found = f"`{_short(answer)}` gave {type(error).__name__}: {_short(error)}"
                return wrong(f"{found}. Wanted: {wanted}")

        return checked

    return decorate


def _never_none(answer: Any) -> Any:
    """The answer; if it is a function, one that raises ReturnedNothing instead of returning None."""
    if not inspect.isfunction(answer):
        return answer

    @wraps(answer)
    def called(*values: Any, **named: Any) -> Any:
        if (found := answer(*values, **named)) is None:
            raise ReturnedNothing
        return found

    return called


def number(answer: Any) -> float:
    """The answer as a number.

    Raises:
        TypeError: it is a truth value or text, which `float` would accept.
    """
    if isinstance(answer, (bool, str, bytes)):
        raise TypeError("expected a number")
    return float(answer)


def hint_for(given: float, mistakes: Iterable[tuple[float, str]], otherwise: str) -> Verdict:
    """Wrong, with the hint of the known mistake that gives this number (to a hundredth), or `otherwise`."""
    return wrong(next((hint for mistake, hint in mistakes if abs(given - mistake) < 0.01), otherwise))


def _short(thing: Any) -> str:
    """At most 80 characters of a learner's answer or of an error."""
    try:
        text = str(thing) if isinstance(thing, (str, Exception)) else repr(thing)
    except Exception:
        text = type(thing).__name__
    text = " ".join(text.split()).replace("`", "'")
    return text if len(text) <= 80 else f"{text[:77]}..."
