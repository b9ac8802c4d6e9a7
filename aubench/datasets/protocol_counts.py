"""Protocols as text, and frames of their test people in a dataset folder next to those in published lists.

A folder that has fewer or more frames than every list was converted from another tree, or with other frames
left out; scores are then not those of the same test.
"""

import pandas as pd

from aulib.protocols import BP4D_PARTS, DISFA_PARTS, PROTOCOLS, SPLITS

# Frames of the test people, counted in the lists of these code bases.
LISTED = {
    "BP4D": {
        "part1": {"ME-GraphAU": 50_631, "JAA-Net": 50_601, "FG-Net": 50_579},
        "part2": {"ME-GraphAU": 50_182, "JAA-Net": 50_166, "FG-Net": 50_157},
        "part3": {"ME-GraphAU": 46_034, "JAA-Net": 45_809, "FG-Net": 45_687},
    },
    "DISFA": {
        "part1": {"ME-GraphAU": 43_604, "FG-Net": 43_545, "JAA-Net": 43_173},
        "part2": {"ME-GraphAU": 43_605, "FG-Net": 43_605, "JAA-Net": 40_344},
        "part3": {"ME-GraphAU": 43_605, "FG-Net": 43_161, "JAA-Net": 42_627},
    },
}
WHOLE = {"BP4D": 0, "DISFA": 9 * 4_845}  # as coded in each part, where lists drop some


def count_frames(name: str, table: pd.DataFrame) -> str:
    """One line a fold of protocol `name`: people and frames that test in `table`, and what lists have.

    Args:
        table: a manifest, with the columns subject and split.
    """
    lines = []
    for fold_name, fold in PROTOCOLS[name].folds.items():
        splits = fold.splits(table["subject"].astype(str).tolist(), table["split"].tolist())
        tests = table["subject"][[split == "test" for split in splits]]
        people = f"{tests.nunique()} of {len(fold.test)} people" if fold.test else f"{tests.nunique()} people"
        lines.append(
            f"{name}/{fold_name}: {people} test, {len(tests):,} frames{_listed(fold.test, len(tests))}"
        )
    return "\n".join(lines)


def _listed(people: tuple[str, ...], found: int) -> str:
    """What the lists have of exactly these people, and whether `found` is within that."""
    for set_name, parts in (("BP4D", BP4D_PARTS), ("DISFA", DISFA_PARTS)):
        for part, names in parts.items():
            if set(names) == set(people):
                lists = LISTED[set_name][part]
                most = max(*lists.values(), WHOLE[set_name])
                odd = "" if min(lists.values()) <= found <= most else "  <- none of them"
                return f"; lists: {', '.join(f'{code} {number:,}' for code, number in lists.items())}{odd}"
    return ""


def overview() -> str:
    """One line a protocol: name, folds, number of AUs, whose it is."""
    lines = [
        f"{name:18s} {' '.join(protocol.folds)}; {len(protocol.aus)} AUs; {protocol.source}"
        for name, protocol in PROTOCOLS.items()
    ]
    return "\n".join(
        [*lines, "", "Write FOLDER#NAME/FOLD wherever a dataset is asked for: data/bp4d#bp4d-3fold/part1"]
    )


def describe(name: str) -> str:
    """AUs, threshold, and the people of each fold of one protocol."""
    protocol = PROTOCOLS[name]
    lines = [
        f"{name}: {protocol.source}",
        f"sets: {protocol.sets}",
        f"AUs: {' '.join(protocol.aus)}; intensity counts as present from {protocol.at_least:g}",
    ]
    for fold_name, fold in protocol.folds.items():
        lines.append(f"{name}/{fold_name}")
        if fold.own:
            lines.append("  the splits that the manifest has")
        elif fold.third is not None:
            lines.append("  a third of the people tests, each by a hash of the own name")
        else:
            of = {split: getattr(fold, split) for split in SPLITS}
            lines += [f"  {split:5s} {len(people):2d}  {' '.join(people)}" for split, people in of.items()]
    return "\n".join(lines)
