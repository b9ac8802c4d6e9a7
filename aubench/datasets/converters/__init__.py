"""Raw downloads of AU datasets -> dataset folders.

convert       any set: sessions in parallel, resumable, manifest and report
converter     what all sets share: files of each session, pictures of each frame
raw_session   what a converter reads: sources, sessions, expected figures
raw_tree      files of a download, frames by number
label_tables  label files as tables of AUs; every error names file and line
mat_files     landmarks from MATLAB files
frames        one session -> pictures in place and manifest rows
report        what was found against what a whole download holds
bp4d          BP4D, BP4D+
disfa         DISFA, DISFA+
ckplus        CK+
gft           GFT
affwild2      Aff-Wild2
rafau         RAF-AU
emotionet     EmotioNet

docs/datasets/README.md says how to add a set. None of these readers has been tried on the
real files: each is built on what other public code reads, named in docs/datasets, and is tested on invented
trees.
"""

from aubench.datasets.converters.affwild2 import AffWild2
from aubench.datasets.converters.bp4d import BP4D, BP4DPlus
from aubench.datasets.converters.ckplus import CKPlus
from aubench.datasets.converters.converter import Converter
from aubench.datasets.converters.disfa import DISFA, DISFAPlus
from aubench.datasets.converters.emotionet import EmotioNet
from aubench.datasets.converters.gft import GFT
from aubench.datasets.converters.rafau import RAFAU

CONVERTERS: dict[str, Converter] = {
    "bp4d": BP4D(),
    "bp4dplus": BP4DPlus(),
    "disfa": DISFA(),
    "disfaplus": DISFAPlus(),
    "emotionet": EmotioNet(),
    "gft": GFT(),
    "affwild2": AffWild2(),
    "rafau": RAFAU(),
    "ckplus": CKPlus(),
}
