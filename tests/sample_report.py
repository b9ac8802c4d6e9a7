"""The sample report of docs/datasets/report.md: `python tests/sample_report.py` converts the miniature BP4D
tree with some faults and writes what `aulib convert` says of it."""

import re
import tempfile
from pathlib import Path

import raw_trees
from aubench.datasets.converters.convert import convert
from aubench.datasets.converters.report import report_text

PAGE = Path(__file__).resolve().parents[1] / "docs/datasets/report.md"
BEGIN, END = "<!-- report:begin -->\n```\n", "```\n<!-- report:end -->"


def sample(folder: Path) -> str:
    """The report's text, with `folder` written RAW."""
    raw = raw_trees.write_bp4d(folder / "raw")
    labels = raw / "AUCoding/AU_OCC"
    (labels / "F002_T2.csv").unlink()  # half a download
    raw_trees.text(labels / "F001_T2.csv", "0,1,2\n2440,0\n")  # a row cut short
    picture = raw / "2D+3D/M001/T1/644.jpg"
    picture.write_bytes(picture.read_bytes()[:200])
    _, report = convert("bp4d", raw, folder / "out", workers=1, progress=False)
    return report_text(report).replace(str(raw), "RAW") + "\n"


def shown() -> str:
    """What the page shows."""
    return re.search(f"{re.escape(BEGIN)}(.*?){re.escape(END)}", PAGE.read_text(), re.DOTALL)[1]


def write(text: str) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        write(sample(Path(name)))
