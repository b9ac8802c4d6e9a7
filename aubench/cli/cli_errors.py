"""What all commands share: how they end, what they refuse, how scores are printed."""

import traceback

import typer
from typer.core import TyperGroup

SAY_ENOUGH = (ValueError, OSError, ImportError)  # what bad input ends in: the message needs no class name


class OneLineErrors(TyperGroup):
    """Turns what a command raises into one line on stderr and an exit status."""

    debug = False

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise ended(
                "interrupted; what was finished is kept, the same command goes on from there", 130
            ) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # usage errors print themselves
                raise
            if OneLineErrors.debug:
                traceback.print_exc()
            status = getattr(error, "exit_status", 1)
            cause = " ".join(str(error).split())
            if not cause or not isinstance(error, SAY_ENOUGH):
                cause = f"{type(error).__name__}: {cause or 'no message; --debug shows where'}"
            raise ended(cause, status) from None


def ended(line: str, status: int) -> typer.Exit:
    typer.echo(f"aulib: {line}", err=True)
    return typer.Exit(status)


def one_of(option: str, value: str | None, allowed: tuple) -> None:
    if value not in allowed:
        names = ", ".join(name for name in allowed if name)
        raise typer.BadParameter(f"{value!r} is none of {names}", param_hint=option)


def print_scores(scores: dict, domain: str = "") -> None:
    """The means; `domain` ("target.") stands before the keys of a run, nothing before those of `evaluate`."""
    for measure in ("mean.f1", "mean.auc", "mean.f1_norm", "landmarks.nme"):
        name = domain + measure
        if isinstance(scores.get(name), float):
            low, high = scores.get(f"{name}_low"), scores.get(f"{name}_high")
            interval = f"  [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
            typer.echo(f"{name:{14 + len(domain)}s} {scores[name]:.3f}{interval}")
