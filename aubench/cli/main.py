"""The command `aulib`: parses, calls, prints. Each command imports what it needs, so that `--help` is quick.

Exit status: 0 done, 1 failed (one line says why; `--debug` adds the traceback), 2 bad arguments,
130 interrupted.
"""

import io
import re
import sys
from typing import Annotated, NoReturn

import typer

import aulib
from aubench.cli import data, scores, work
from aubench.cli.cli_errors import OneLineErrors, ended

app = typer.Typer(
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aulib {aulib.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
):
    """Facial action units in the wild, learnt from labelled faces of another domain.

    `aulib demo` runs everything once. Where a data set is asked for, give a folder with manifest.csv, or
    synthetic:studio or synthetic:wild.
    """
    OneLineErrors.debug = debug


for group in (work, data, scores):
    app.add_typer(group.commands)


def main(arguments: list[str] | None = None) -> None:
    """Entry point. `--debug` may stand anywhere, and `-p NAME VALUE` is read as `-p NAME=VALUE`.

    What a terminal or a pipe cannot show is printed as "?".
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if (encoding := sys.getfilesystemencoding()) != "utf-8":
        _stop(f"names of files are read as {encoding} here: unset PYTHONUTF8, or set LC_ALL=C.UTF-8", 1)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in words:
        words.remove("--debug")
        words.insert(0, "--debug")
    words = _join_parameters(words)
    for before, word in zip(["aulib", *words], words, strict=False):
        if word == "" or re.fullmatch("--[a-z-]+=", word):  # Path("") would be the current folder
            _stop(f"{word or f'what follows {before}'} is empty, expected a value (is a variable unset?)", 2)
    app(args=words, prog_name="aulib")


def _stop(line: str, status: int) -> NoReturn:
    """End before any command has begun."""
    ended(line, status)
    raise SystemExit(status)


def _join_parameters(words: list[str]) -> list[str]:
    """Typer's list options take one word each, a parameter is two."""
    joined, rest = [], iter(words)
    for word in rest:
        joined.append(word)
        if word in ("-p", "--parameter"):
            given = next(rest, "")
            if "=" not in given and (value := next(rest, None)) is not None:
                given = f"{given}={value}"
            if "=" not in given:
                _stop("-p needs a name and a value, as in -p steps 200", 2)
            joined.append(given)
    return joined


if __name__ == "__main__":
    main()
