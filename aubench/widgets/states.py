"""Messages of an instrument that cannot show anything: what is wrong and what to do."""

import os
from html import escape
from pathlib import Path

from aubench.inspection.playground import brightest, open_run
from aubench.inspection.side_by_side import finished_below
from aubench.report.results import not_learned
from aubench.study.notebook_runner import APP_FOLDERS
from aulib.protocols import split_name
from aulib.run import Run

COLOURS = {"note": "#0072B2", "fault": "#D55E00"}


def message(title: str, text: str = "", command: str = "", kind: str = "note") -> str:
    """HTML of a title, a sentence and a command to copy; kind: "note" or "fault"."""
    code = f'<pre style="margin:4px 0 0;white-space:pre-wrap">{escape(command)}</pre>' if command else ""
    return (
        f'<div role="status" class="au-state" style="border-left:4px solid {COLOURS[kind]};padding:6px 12px;'
        f'margin:4px 0;max-width:720px;line-height:1.4"><b>{escape(title)}</b> {escape(text)}{code}</div>'
    )


def failure(title: str, error: Exception, command: str = "") -> str:
    """HTML of an exception, on one line."""
    cause = " ".join(str(error).split())[:300]
    return message(title, f"{type(error).__name__}: {cause}", command, "fault")


def training_command(folder: str | Path) -> str:
    return f"aulib run 02_train -p method full --out {folder}"


def readable(folder: str) -> str:
    """A folder that somebody typed: any in a notebook, in the app only those that it was started with.

    Raises:
        ValueError: another folder, in the app.
    """
    offered = os.environ.get(APP_FOLDERS)
    if offered is None or folder.startswith("synthetic:"):
        return folder
    place = Path(split_name(folder)[0]).resolve()
    if not any(place.is_relative_to(Path(one).resolve()) for one in offered.split(os.pathsep) if one):
        raise ValueError(f"the app reads no folder but those it was started with: aulib app --faces {folder}")
    return folder


def opened(run: str | Path) -> tuple[Run | None, str]:
    """The run and "", or None and the message to show instead, which names the first file that is missing."""
    folder = Path(run)
    if missing := Run(folder).missing:
        others = finished_below(folder.parent if folder.parent != Path() else Path("results"))
        text = f"There is no finished run in {run}: {missing[0]} is missing."
        if others:
            text += f" Finished runs nearby: {', '.join(others[:6])}; name one as `run`."
        return None, message("No run yet.", f"{text} This command trains one:", training_command(run))
    try:
        found = open_run(folder)
        brightest(found)  # reads the faces it keeps, as every instrument will
        return found, ""
    except Exception as error:  # a run of other code, a truncated file
        title = f"{run} cannot be opened; the command below replaces it."
        return None, failure(title, error, f"{training_command(run)} --force")


def caution(run: Run | None) -> str:
    """The message that a run did not learn its AUs; "" if it did."""
    text = not_learned(run.path) if run else ""
    return message("Careful:", f"{text}; do not rely on what it reads.") if text else ""
