"""SUPERVISORS, the contrastive supervisors as data, and how they may align; imports no torch.

Every supervisor is one row: a positive pair of named outputs of the model (first and second round of one
face) and the hard negatives built from the same face. To add one, add its row. The loss is in
`contrastive.py`; which methods use a supervisor is in `methods.py`. Marks as in docs/method.md: [P] paper,
[C] ours.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Supervisor:
    """One alignment of first and second round.

    first, second: keys of the model's outputs that should agree, face by face.
    projector: which of p_F, p_S, p_Z reads both.
    rivals: keys of outputs that share one half (shape or texture) with the face and so must not be
        taken for it: hard negatives "same texture with another shape" and the reverse [C].
    """

    first: str
    second: str
    projector: str
    rivals: tuple[str, ...]


SUPERVISORS = {
    # the plain contrastive loss: rich features, source and target [P]
    "rich_source": Supervisor("rich_s", "rich2_s", "rich", ("swapped_t", "swapped_s")),
    "rich_target": Supervisor("rich_t", "rich2_t", "rich", ("swapped_s", "swapped_t")),
    # the four additional intermediate supervisors [P]; what they align is our reading [C]
    "shape_source": Supervisor("shape_s", "shape2_s", "shape", ("shape_t",)),
    "shape_target": Supervisor("shape_t", "shape2_t", "shape", ("shape_s",)),
    "texture_source": Supervisor("texture_s", "texture2_s", "texture", ("texture_t",)),
    "texture_target": Supervisor("texture_t", "texture2_t", "texture", ("texture_s",)),
}
RICH_TWO = ("rich_source", "rich_target")
ALL_SIX = (*RICH_TWO, "shape_source", "shape_target", "texture_source", "texture_target")  # the paper's

NEGATIVES = ("batch", "rivals", "queue")
CONTRASTS = ("global", "dense")  # InfoNCE of faces, or of positions
ALIGNMENTS = (*CONTRASTS, "l1", "simsiam", "vicreg")
TEMPERATURE = 0.1  # of InfoNCE, the default [C]


def check_alignment(alignment: str, negatives: str) -> None:
    """Raises ValueError for an unknown alignment or negatives, or a queue without global alignment."""
    if alignment not in ALIGNMENTS:
        raise ValueError(f"unknown alignment {alignment!r}; choose one of {', '.join(ALIGNMENTS)}")
    if negatives not in NEGATIVES:
        raise ValueError(f"unknown negatives {negatives!r}; choose one of {', '.join(NEGATIVES)}")
    if negatives == "queue" and alignment != "global":
        raise ValueError(f"negatives 'queue' need alignment 'global', found {alignment!r}")
