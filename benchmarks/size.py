"""Lines of Python in each package: `make size` prints the table and writes it into CONTRIBUTING.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"(<!-- size:begin -->\n).*(<!-- size:end -->)", re.S)
PACKAGES = {  # folder: what it holds, guide
    "aulib": ("the method: labels, crops, networks, losses, training, evaluation", 4000),
    "aufaces": ("the renderer of labelled faces", 2800),
    "aubench": ("command line, datasets, studies, reports, plots, widgets", 9500),
    "notebooks/course": ("the lessons' modules", 2800),
    "tests": ("", 12000),
}


def lines_of(folder: Path) -> int:
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py"))


def size_table() -> str:
    rows = ["| package | what | lines | guide |", "|---|---|---:|---:|"]
    for name, (what, guide) in PACKAGES.items():
        rows.append(f"| `{name}` | {what} | {lines_of(ROOT / name):,} | {guide:,} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    table = size_table()
    print(table, end="")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda block: block[1] + table + block[2], page), encoding="utf-8")
