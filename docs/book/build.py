"""The book as a static site: `make book` -> results/book/html/index.html.

Sphinx with myst-nb; Jupyter Book 2 needs Node and makes no API reference from docstrings. Notebooks that
changed are executed by `aulib run` into results/book/notebooks; some read the runs of `make demo`.
`--as-they-are` executes none and shows those without an executed copy without outputs. Pages are gathered in
results/book/source. The build fails on a warning, a dead link within the site, or a lesson that raises;
`--external-links` also checks links to other sites.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from links import dead_links

from aubench.study.notebook_runner import NotebookFailed, run_notebook

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# Files of the checkout and their pages in the book.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "experiments/README.md": "experiments.md",
    "notebooks/README.md": "course.md",
}


class DeadLink(ValueError):
    """A page links to a missing file."""


def execute(notebooks: list[Path], out: Path) -> dict[Path, str]:
    """Run every notebook with its default parameters; returns the failed ones and why they failed."""
    left_out = {}
    for notebook in notebooks:
        print(f"running {notebook.relative_to(ROOT)}", flush=True)
        try:
            run_notebook(notebook, out / notebook.stem, replace=True)
        except NotebookFailed as failure:
            left_out[notebook] = str(failure)
    return left_out


def is_lesson(notebook: Path) -> bool:
    """Lessons need no other files, so a failing one is broken; other notebooks may lack runs."""
    return notebook.parent.name == "course"


def gather(source: Path, executed: Path, notebooks: list[Path]) -> None:
    """Write all pages below `source`: prose, executed notebooks, one API page per module."""
    shutil.rmtree(source, ignore_errors=True)
    (source / "notebooks").mkdir(parents=True)
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("book"))
    for name, page in PAGES.items():
        shutil.copy(ROOT / name, source / page)
    shutil.copytree(ROOT / "results" / "figures", source / "results" / "figures")
    shutil.copy(HERE / "conf.py", source)
    (source / "_static").mkdir()
    shutil.copy(HERE / "book.css", source / "_static")
    for page in source.rglob("*.md"):
        page.write_text(with_book_links(page.read_text(encoding="utf-8"), page, source), encoding="utf-8")
    for notebook in notebooks:
        page, copy = source / "notebooks" / notebook.name, executed / notebook.stem / "notebook.ipynb"
        original = notebook.relative_to(ROOT).as_posix()
        content = nbformat.read(copy if copy.is_file() else notebook, as_version=4)
        # the injected parameters repeat the defaults, except for paths of this machine
        content.cells = [c for c in content.cells if "injected-parameters" not in c.metadata.get("tags", [])]
        for cell in content.cells:
            if cell.cell_type == "markdown":
                cell.source = with_book_links(cell.source, page, source, original)
        nbformat.write(content, page)
    write_contents(source, notebooks)
    write_api(source / "api")


def with_book_links(text: str, page: Path, source: Path, original: str = "") -> str:
    """Rewrite a page's links for the book; `original` is its path in the checkout, if it moved.

    Raises:
        DeadLink: a link to a file that is neither a page nor in the checkout.
    """
    place = page.relative_to(source)
    moves = {new: old for old, new in PAGES.items()}
    original = original or moves.get(place.as_posix(), place.as_posix())

    def moved(found: re.Match) -> str:
        label, target = found[1], found[2]
        if re.match(r"[a-z]+:|#", target):
            return found[0]
        path, _, anchor = target.partition("#")
        at = Path(os.path.normpath(Path(original).parent / path)).as_posix()
        at = PAGES.get(at, f"notebooks/{Path(at).name}" if at.endswith(".ipynb") else at)
        at = f"{at}/README.md" if (source / at / "README.md").is_file() else at
        if not (source / at).is_file() and not at.endswith(".ipynb"):
            if not (ROOT / original).parent.joinpath(path).exists():
                raise DeadLink(f"{original}: [{label}]({target}) is not in the checkout")
            return label  # files such as LICENSE have no page
        link = os.path.relpath(at, place.parent).replace(os.sep, "/")
        return f"[{label}]({link}{'#' + anchor if anchor else ''})"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", moved, text)


def write_contents(source: Path, notebooks: list[Path]) -> None:
    """Append the table of contents to the first page, which is the README."""
    course = [f"notebooks/{n.stem}" for n in notebooks if is_lesson(n)]
    others = [f"notebooks/{n.stem}" for n in notebooks if not is_lesson(n)]
    parts = {
        "Course": ["Overview <course>", *course],
        "Notebooks": others,
        "Method and faces": [
            "docs/method",
            "docs/synthetic",
            "docs/real-faces",
            "docs/video",
            "docs/london/README",
            "docs/dataset-folder",
            "docs/limits",
        ],
        "Datasets": ["docs/datasets/README", *(f"docs/datasets/{p.stem}" for p in pages_of_datasets(source))],
        "Working on it": ["experiments", "contributing", "api/index"],
    }
    trees = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"])
        for caption, entries in parts.items()
        if entries
    ]
    index = source / "index.md"
    index.write_text(index.read_text(encoding="utf-8") + "\n\n" + "\n\n".join(trees) + "\n", encoding="utf-8")


def pages_of_datasets(source: Path) -> list[Path]:
    return sorted(page for page in (source / "docs" / "datasets").glob("*.md") if page.stem != "README")


def write_api(folder: Path) -> None:
    """One page per module, sorted by name."""
    folder.mkdir()
    modules = sorted(
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        for package in ("aulib", "aufaces", "aubench")
        for path in (ROOT / package).rglob("*.py")
    )
    for module in modules:
        line = "=" * len(module)
        text = f"{module}\n{line}\n\n.. automodule:: {module}\n"
        (folder / f"{module}.rst").write_text(text, encoding="utf-8")
    listed = "\n".join(f"   {module}" for module in modules)
    heading = (
        "API\n===\n\nMade from the docstrings; ``aulib``, ``aufaces`` and ``aubench`` each open with a map.\n"
    )
    (folder / "index.rst").write_text(
        f"{heading}\n.. toctree::\n   :maxdepth: 1\n\n{listed}\n", encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "book")
    parser.add_argument("--as-they-are", action="store_true", help="execute no notebook")
    parser.add_argument("--external-links", action="store_true", help="check links to other sites")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    notebooks = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
    notebooks += sorted((ROOT / "notebooks").glob("*.ipynb"))
    left_out = {} if arguments.as_they_are else execute(notebooks, out / "notebooks")
    try:
        gather(out / "source", out / "notebooks", notebooks)
    except DeadLink as link:
        sys.exit(str(link))
    shutil.rmtree(out / "html", ignore_errors=True)  # old pages would hide dead links
    done = sphinx("html", out / "source", out / "html")
    wrong = dead_links(out / "html")
    if arguments.external_links and not done:
        done = sphinx("linkcheck", out / "source", out / "links")
    wrong += [cause for notebook, cause in left_out.items() if is_lesson(notebook)]
    for notebook, cause in left_out.items():
        if not is_lesson(notebook):
            print(f"without outputs: {cause}")
    print(f"book: {out / 'html' / 'index.html'}")
    sys.exit("\n".join(wrong) or done)


def sphinx(builder: str, source: Path, out: Path) -> int:
    """Exit status of a build in which warnings are errors."""
    strict = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "-q", "-j", "auto"]
    return subprocess.run([*strict, "-b", builder, str(source), str(out)]).returncode


if __name__ == "__main__":
    main()
