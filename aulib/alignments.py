"""Which alignments and negatives there are, and which go together; imports no torch, as planning does not."""

NEGATIVES = ("batch", "rivals", "queue")
ALIGNMENTS = ("global", "dense", "l1")


def check_alignment(alignment: str, negatives: str) -> None:
    """Raises ValueError for an unknown alignment or negatives, or a queue of anything but whole faces."""
    if alignment not in ALIGNMENTS:
        raise ValueError(f"alignment {alignment!r} is none of {', '.join(ALIGNMENTS)}")
    if negatives not in NEGATIVES:
        raise ValueError(f"negatives {negatives!r} is none of {', '.join(NEGATIVES)}")
    if negatives == "queue" and alignment != "global":
        raise ValueError(f"negatives 'queue' need alignment 'global', found {alignment!r}")
