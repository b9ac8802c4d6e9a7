"""One finding of the doctor."""

from dataclasses import dataclass

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: which check, in one or two words.
        level: error (training would fail or lie), warning (look at it), note.
        text: what was found and what was expected.
        rows: rows of the manifest it is about, counted from 0; empty if it is about the whole set.
    """

    check: str
    level: str
    text: str
    rows: tuple[int, ...] = ()

    def line(self) -> str:
        """`row 18: ...`, rows as a spreadsheet counts them: the header is row 1."""
        if not self.rows:
            return self.text
        shown = ", ".join(str(row + 2) for row in self.rows[:5])
        more = f" and {len(self.rows) - 5} more" if len(self.rows) > 5 else ""
        return f"row{'s' if len(self.rows) > 1 else ''} {shown}{more}: {self.text}"
