"""The field's protocols as frozen lists: who trains, validates and tests, which AUs, which threshold.

A protocol is written after a dataset folder: `data/bp4d#bp4d-3fold/part1` is BP4D with the people of part 1
as test. Code bases number folds differently (ME-GraphAU's fold 1 tests part 3, FG-Net's fold 0 part 1), so
folds here are named after the people they test.

[A] marks lists of ADLD, JAA-Net, ME-GraphAU and FG-Net (they agree on who is in which part); [C] what is
ours. Those code bases have no validation people: they choose among epochs on the test people. Here every
fifth training person, in the order of the lists, validates [C].
"""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aulib.labels import binarise

if TYPE_CHECKING:
    import pandas as pd  # slow to import, and planning a study does not need it

SPLITS = ("train", "val", "test")
BP4D_PARTS = {  # [A]
    "part1": "F001 M007 F018 F008 F002 M004 F010 F009 M012 M001 F016 M014 F023 M008".split(),
    "part2": "M011 F003 M010 M002 F005 F022 M018 M017 F013 M016 F020 F011 M013 M005".split(),
    "part3": "F007 F015 F006 F019 M006 M009 F012 M003 F004 F021 F017 M015 F014".split(),
}
DISFA_PARTS = {  # [A]
    "part1": "SN002 SN010 SN001 SN026 SN027 SN032 SN030 SN009 SN016".split(),
    "part2": "SN013 SN018 SN011 SN028 SN012 SN006 SN031 SN021 SN024".split(),
    "part3": "SN003 SN029 SN023 SN025 SN008 SN005 SN007 SN017 SN004".split(),
}
BP4D_AUS = tuple("AU01 AU02 AU04 AU06 AU07 AU10 AU12 AU14 AU15 AU17 AU23 AU24".split())
DISFA_AUS = tuple("AU01 AU02 AU04 AU05 AU06 AU09 AU12 AU15 AU17 AU20 AU25 AU26".split())
DISFA_8 = tuple("AU01 AU02 AU04 AU06 AU09 AU12 AU25 AU26".split())
GFT_AUS = tuple("AU01 AU02 AU04 AU06 AU10 AU12 AU14 AU15 AU23 AU24".split())
EMOTIONET_12 = tuple("AU01 AU02 AU04 AU05 AU06 AU09 AU12 AU17 AU20 AU25 AU26 AU43".split())


@dataclass(frozen=True)
class Fold:
    """Who is in which split. People that no list names are left out.

    Attributes:
        third: 0-2 instead of lists: a hash of a person's name decides; about a third of the people test.
        own: instead of lists: the splits in the manifest.
    """

    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    third: int | None = None
    own: bool = False

    def splits(self, subjects: list[str], given: list[str]) -> list[str]:
        """train, val, test or "" (left out) for each row, from its subject and the split it has."""
        if self.own:
            return list(given)
        if self.third is not None:
            return [_by_hash(subject.upper(), self.third) for subject in subjects]
        of = {name.upper(): split for split in SPLITS for name in getattr(self, split)}
        return [of.get(subject.upper(), "") for subject in subjects]


@dataclass(frozen=True)
class Protocol:
    """AUs, threshold and folds; `sets` are the data sets it is for, `source` the code bases that use it."""

    aus: tuple[str, ...]
    folds: dict[str, Fold]
    sets: str
    source: str
    at_least: float = 2  # intensity that counts as present


def _by_hash(name: str, third: int) -> str:
    """A person's split: a third tests, a fifth of the others validates [C]; it depends on no other name."""
    digest = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    if digest % 3 == third:
        return "test"
    return "val" if digest // 3 % 5 == 0 else "train"


def hold_out(people: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(train, val): every fifth person validates [C]; with fewer than five the last one does."""
    val = people[4::5] or people[-1:]
    return tuple(name for name in people if name not in val), tuple(val)


def _rotated(parts: dict[str, list[str]]) -> dict[str, Fold]:
    folds = {}
    for tested, people in parts.items():
        train, val = hold_out([name for part, names in parts.items() if part != tested for name in names])
        folds[tested] = Fold(train, val, tuple(people))
    return folds


def _everyone(parts: dict[str, list[str]]) -> Fold:
    train, val = hold_out([name for names in parts.values() for name in names])
    return Fold(train, val)


def _common(*lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(au for au in lists[0] if all(au in others for others in lists[1:]))


_PART3 = BP4D_PARTS["part3"]
_ADLD = Fold(  # [A] 100,767, 24,869 and 20,940 frames
    train=tuple(BP4D_PARTS["part1"] + BP4D_PARTS["part2"]), val=tuple(_PART3[6:]), test=tuple(_PART3[:6])
)
_THIRDS = {f"third{index + 1}": Fold(third=index) for index in range(3)}

PROTOCOLS: dict[str, Protocol] = {
    "bp4d-3fold": Protocol(
        BP4D_AUS, _rotated(BP4D_PARTS), "BP4D",
        "JAA-Net, ME-GraphAU, FG-Net, FMAE-IAT [A]; validation people [C]",
    ),
    "disfa-3fold": Protocol(
        DISFA_8, _rotated(DISFA_PARTS), "DISFA", "JAA-Net, ME-GraphAU, FG-Net [A]; validation people [C]"
    ),
    "disfa-3fold-12": Protocol(
        DISFA_AUS, _rotated(DISFA_PARTS), "DISFA", "the folds of disfa-3fold [A] with all twelve AUs [C]"
    ),
    "adld": Protocol(
        _common(BP4D_AUS, EMOTIONET_12), {"source": _ADLD, "target": Fold(own=True)},
        "BP4D, EmotioNet",
        "ADLD's lists [A]: source is BP4D, target EmotioNet with the splits of its lists",
    ),
    "bp4d-to-disfa": Protocol(
        _common(BP4D_AUS, DISFA_AUS), {"source": _everyone(BP4D_PARTS)} | _rotated(DISFA_PARTS),
        "BP4D, DISFA",
        "common AUs; adapt to two parts of DISFA, test on the third [C]",
    ),
    "disfa-to-bp4d": Protocol(
        _common(BP4D_AUS, DISFA_AUS), {"source": _everyone(DISFA_PARTS)} | _rotated(BP4D_PARTS),
        "DISFA, BP4D",
        "common AUs; adapt to two parts of BP4D, test on the third [C]",
    ),
    "bp4d-to-gft-hashed": Protocol(
        _common(BP4D_AUS, GFT_AUS), {"source": _everyone(BP4D_PARTS)} | _THIRDS, "BP4D, GFT",
        "common AUs; GFT's people in thirds, each by a hash of the own name [C]",
    ),
}  # fmt: skip


def split_name(name: str) -> tuple[str, str]:
    """("data/bp4d", "bp4d-3fold/part1") of "data/bp4d#bp4d-3fold/part1"; the second is "" without a #."""
    folder, _, protocol = name.rpartition("#")
    return (folder, protocol) if folder else (name, "")


def folds_of(protocol: str) -> list[str]:
    """The folds of a protocol that test people: all but a `source` that others share.

    Raises:
        ValueError: no such protocol, with those there are.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r}; there are {', '.join(PROTOCOLS)} (`aulib protocols`)")
    return [fold for fold in PROTOCOLS[protocol].folds if fold != "source"]


def find_fold(name: str) -> tuple[Protocol, Fold]:
    """The protocol and fold of `bp4d-3fold/part1`.

    Raises:
        ValueError: no such protocol or fold, with those there are.
    """
    protocol_name, _, fold = name.partition("/")
    folds_of(protocol_name)
    protocol = PROTOCOLS[protocol_name]
    if fold not in protocol.folds:
        raise ValueError(
            f"protocol {protocol_name} has no fold {fold!r}; write "
            f"{protocol_name}/{' or '.join(protocol.folds)}"
        )
    return protocol, protocol.folds[fold]


def apply_protocol(table: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """A manifest's rows of a fold: splits set, other people left out, occurrence of the protocol's AUs only.

    Raises:
        ValueError: unknown name, AUs that the set does not label, or no person left to train or to test on.
    """
    protocol, fold = find_fold(name)
    splits = np.array(fold.splits(table["subject"].tolist(), table["split"].tolist()))
    kept = table[splits != ""].reset_index(drop=True)
    kept["split"] = splits[splits != ""]
    needed = {"train"} if not (fold.test or fold.third is not None or fold.own) else {"train", "test"}
    if lacking := needed - set(kept["split"]):
        shown = ", ".join(sorted(set(table["subject"].astype(str)))[:4])
        raise ValueError(
            f"protocol {name}: no subjects for {' and '.join(sorted(lacking))}; "
            f"the set's people are {shown} ..., the protocol is for {protocol.sets}"
        )
    labels = {}
    for au in protocol.aus:
        if f"{au}_c" in kept.columns:
            labels[f"{au}_c"] = kept[f"{au}_c"]
        elif f"{au}_r" in kept.columns:
            labels[f"{au}_c"] = binarise(kept[f"{au}_r"], protocol.at_least)
    if missing := [au for au in protocol.aus if f"{au}_c" not in labels]:
        raise ValueError(f"protocol {name} needs labels of {', '.join(missing)}, which the set does not have")
    others = kept[[column for column in kept.columns if not re.fullmatch(r"AU\d\d_[cr]", column)]]
    import pandas as pd

    return pd.concat([others, pd.DataFrame(labels, index=kept.index)], axis=1)
