"""BP4D+: 140 people (F001-F082, M001-M058), tasks T1, T6, T7 and T8 coded; otherwise as BP4D.

What differs: the header of `AU_OCC` names only the AUs that were coded, so columns are taken by name and not
by position; the coded frame n is the picture n - 1, `2D+3D/F001/T1/0000.jpg` being the first, and so are the
frames of `2DFeatures` (`fit.pts_2d`, lost frames empty) [a public reader of the set, checked there by
overlay; FMAE-IAT reads the mp4 of each session].
"""

from aubench.datasets.converters import bp4d
from aubench.datasets.converters.raw_session import Expected, Session, Source
from aubench.datasets.converters.raw_tree import Tree

EXPECTED = Expected(
    subjects=140, aus=bp4d.AUS, sources="subjects and AUs: FMAE-IAT; no base rates are known to us"
)
PICTURE_OFFSET = -1
TRACK_OFFSET = -1


def find(raw: Tree) -> list[Source]:
    """As `bp4d.find`."""
    return bp4d.find_sessions(raw, r"([FM]\d{3})_(T\d{1,2})\.csv")


def read(source: Source) -> Session:
    """As `bp4d.read`, with frames counted as this set does."""
    return bp4d.read_session(source, PICTURE_OFFSET, TRACK_OFFSET)
