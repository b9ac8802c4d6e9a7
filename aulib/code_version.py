"""Which library code shapes a run: what its notebook imports, read without importing it.

A run is out of date when code that it computes with has changed, and only then. So the modules are followed
import by import from where a notebook starts; comments and docstrings do not count. A notebook that trains
starts at `aulib.runs` and `aulib.folds` alone: figures can be drawn again, so an edit to a plot repeats no
training. Any other notebook starts at everything its cells import.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

PACKAGE = Path(__file__).parent
TRAINING = "aulib.runs"
FOLDS = "aulib.folds"  # trains too: each fold of a protocol
NOT_FOLLOWED = {
    "aulib",  # the map and the version
    "aulib.running",  # how a run is carried out, not what it computes (`train_run` seeds itself)
    "aulib.synthetic",  # rendered sets are cached by their version, which is part of a run's key by name
}


def code_version(notebook: Path) -> str:
    """Hash of the library modules that shape what `notebook` computes."""
    return _hash(shaping_modules(notebook))


def hash_of_modules(names: Iterable[str]) -> str:
    """Hash of library modules, "aulib.training" say, and of all they import."""
    return _hash(sorted(_followed(names)))


def shaping_modules(notebook: Path) -> list[str]:
    """Names of these modules, "aulib.runs" say, sorted."""
    first = {name for name in imports_of_notebook(notebook) if _file(name)}
    return sorted(_followed(first & {TRAINING, FOLDS} if TRAINING in first else first))


def imports_of_notebook(notebook: Path) -> list[str]:
    """Every module that a code cell imports, aulib's own and others, in the order of the cells."""
    return list(_read_cells(*_stamp(notebook)))


def code_cells(notebook: Path) -> list[str]:
    """Sources of the code cells."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def stamp_of_library() -> tuple:
    """Changes whenever a file of the library is edited; cheap."""
    return tuple(_stamp(file) for file in sorted(PACKAGE.rglob("*.py")))


def _hash(modules: list[str]) -> str:
    digest = hashlib.sha256()
    for module in modules:
        digest.update(f"{module} {_read_module(*_stamp(_file(module)))[0]}\n".encode())
    return digest.hexdigest()


def _followed(names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    ahead = [name for name in names if name not in NOT_FOLLOWED]
    while ahead:
        name = ahead.pop()
        seen.add(name)
        for found in _read_module(*_stamp(_file(name)))[1]:
            top = ".".join(found.split(".")[:2])
            if found not in seen and found not in NOT_FOLLOWED and top not in NOT_FOLLOWED and _file(found):
                ahead.append(found)
    return seen


def _file(module: str) -> Path | None:
    """The file of a module of this package; None if there is none."""
    first, *rest = module.split(".")
    if first != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*rest)
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return found[0] if found and rest else None


def _stamp(file: Path) -> tuple[str, int, int]:
    about = file.stat()
    return str(file), about.st_mtime_ns, about.st_size


@lru_cache(maxsize=1024)
def _read_module(file: str, *_stamp: int) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's code without comments and docstrings; what it imports, in functions too."""
    path = Path(file)
    tree = ast.parse(path.read_text(encoding="utf-8"), file)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.body and isinstance(node.body[0], ast.Expr) and _is_text(node.body[0].value):
                del node.body[0]
    here = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(_imported(tree, here[:-1]))


@lru_cache(maxsize=256)
def _read_cells(file: str, *_stamp: int) -> tuple[str, ...]:
    names = []
    for source in code_cells(Path(file)):
        python = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
        try:
            names += _imported(ast.parse(python), ())
        except SyntaxError:
            continue  # the run itself will say so
    return tuple(dict.fromkeys(names))


def _imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Every name that may be a module: `from a import b` gives "a" and "a.b"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:  # `import a.b.c` runs a and a.b as well
                parts = alias.name.split(".")
                yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            parts = [*above, *(node.module.split(".") if node.module else [])]
            base = ".".join(parts)
            yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
