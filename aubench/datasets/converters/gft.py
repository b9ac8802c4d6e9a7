"""GFT (Sayette Group Formation Task). The tree, which is a guess: docs/datasets/gft.md."""

import pandas as pd

from aubench.datasets.converters.converter import VIDEOS, Converter
from aubench.datasets.converters.label_tables import coded_table
from aubench.datasets.converters.raw_session import Expected, Source

SUBJECT = r"(?P<subject>\d{3}[A-Z]?)"


class GFT(Converter):
    """One session per person, with pictures or a video."""

    expected = Expected(
        subjects=96,
        frames=172_800,
        slack=0.05,
        aus=("AU01", "AU02", "AU04", "AU06", "AU10", "AU12", "AU14", "AU15", "AU23", "AU24"),
        sources="subjects and frames: Girard et al. 2017, abstract; AUs: the ten of JAA-Net's network.py; no "
        "base rates are known to us",
    )
    files = {
        "labels": rf"{SUBJECT}(?:_\w+)?\.csv",
        "pictures": rf"{SUBJECT}/",
        "video": rf"{SUBJECT}(?:_\w+)?{VIDEOS}",
    }
    example = "001A.csv (a guess of ours, see docs/datasets/gft.md)"
    one_folder = False
    header = True

    def read_labels(self, source: Source) -> pd.DataFrame:
        return coded_table(source.files["labels"], (-999, 999, 9, -1))
