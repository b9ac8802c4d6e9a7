"""What an instrument says when it cannot show what it is for: what is the case, and what to do."""

from html import escape
from pathlib import Path

from aubench.inspection.playground import open_run
from aubench.inspection.side_by_side import finished_below
from aulib.run import CONFIG, WEIGHTS, Run

COLOURS = {"note": "#0072B2", "fault": "#D55E00"}


def message(title: str, text: str = "", command: str = "", kind: str = "note") -> str:
    """HTML of a state: a title, a sentence, a command to copy."""
    code = f'<pre style="margin:4px 0 0;white-space:pre-wrap">{escape(command)}</pre>' if command else ""
    return (
        f'<div role="status" class="au-state" style="border-left:4px solid {COLOURS[kind]};padding:6px 12px;'
        f'margin:4px 0;max-width:720px;line-height:1.4"><b>{escape(title)}</b> {escape(text)}{code}</div>'
    )


def opened(run: str | Path) -> tuple[Run | None, str]:
    """The run, or None and the state to show instead."""
    folder = Path(run)
    if not all((folder / name).is_file() for name in (CONFIG, WEIGHTS)):
        others = finished_below(folder.parent if folder.parent != Path() else Path("results"))
        here = f"There is no finished run in {run}."
        if others:
            here += f" Finished runs nearby: {', '.join(others[:6])}; name one as `run`."
        return None, message("No run yet.", f"{here} This command makes one:", _command(run))
    try:
        return open_run(folder), ""
    except Exception as error:  # a run of other code, a truncated file
        cause = " ".join(str(error).split())[:300]
        text = f"{run} cannot be opened: {type(error).__name__}: {cause} A new run replaces it:"
        return None, message("This run cannot be read.", text, _command(run, " --force"), "fault")


def _command(run: str | Path, option: str = "") -> str:
    return f"aulib run 02_train -p method full --out {run}{option}"
