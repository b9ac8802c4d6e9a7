"""What all commands share: how arguments are declared, one line for each error, printed scores."""

import traceback

import typer
from typer.core import TyperGroup

from aulib.files import NO_ROOM, no_room

FOLDER = {"exists": True, "file_okay": False}  # of an argument
FILE = {"exists": True, "dir_okay": False}
BAD_INPUT = (ValueError, OSError, ImportError)  # as our errors with an `exit_status`, they need no class name


def argument(metavar: str, text: str, **more):
    return typer.Argument(metavar=metavar, help=text, **more)


def option(metavar: str, text: str, *names: str, **more):
    return typer.Option(*names, metavar=metavar, help=text, **more)


def flag(name: str, text: str):
    return typer.Option(name, help=text)


class OneLineErrors(TyperGroup):
    """Print what a command raises as one line on stderr, and set the exit status."""

    debug = False

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise ended("interrupted; finished work is kept, the same command resumes", 130) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):  # `aulib ... | head`: click then ends quietly
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's, for wrong arguments
                cause = error.format_message().replace("Value error, ", "")  # of pydantic, for a choice
                if "\n" in cause:  # the help of a group without a command
                    raise
                path = error.ctx.command_path if error.ctx else "aulib"
                raise ended(f"{cause} (`{path} -h` shows the arguments)", error.exit_code) from None
            if OneLineErrors.debug:
                traceback.print_exc()
            said = "make room" in str(error)  # by `atomic_file`
            if getattr(error, "errno", None) in NO_ROOM and not said:
                error = no_room(error, getattr(error, "filename", None) or "the disk")
            cause = " ".join(str(error).split())
            if cause.startswith("[Errno") and getattr(error, "filename", None):  # as the system says it
                cause = f"{error.filename}: {error.strerror}"
            if not cause or not (isinstance(error, BAD_INPUT) or hasattr(error, "exit_status")):
                cause = f"{type(error).__name__}: {cause or 'no message; --debug shows where'}"
            raise ended(cause, getattr(error, "exit_status", 1)) from None


def ended(line: str, status: int) -> typer.Exit:
    typer.echo(f"aulib: {line}", err=True)
    return typer.Exit(status)


def one_of(option: str, value: str, allowed: tuple) -> None:
    """Check a choice from a list that is slow to import, which `Literal` cannot."""
    if value not in allowed:
        raise typer.BadParameter(f"unknown {value!r}; choose from {', '.join(allowed)}", param_hint=option)


def print_scores(scores: dict, domain: str = "") -> None:
    """Print the mean scores of a domain, source or target; none for the keys of `evaluate`."""
    from aulib.metrics import MEASURES, REPORTED

    prefix = f"{domain}." if domain else ""
    for measure in map(MEASURES.get, REPORTED):
        value, low, high = (scores.get(f"{prefix}{measure.key}{end}") for end in ("", "_low", "_high"))
        if isinstance(value, float):
            interval = f"  [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
            typer.echo(f"{f'{domain} {measure.title}'.strip():29s} {value:.3f}{interval}")
