"""AU probabilities as bars in HTML: sharp at any size, read out by screen readers, one row beside a slider.

What a bar means is said by a word and not by colour alone.
"""

import math
from html import escape

from aulib.labels import AU_NAMES

ROW = 28  # pixels: the height of an ipywidgets slider
SEEN, WRONG, QUIET = "#0072B2", "#D55E00", "#8C8C8C"  # Okabe & Ito 2008, and grey
VERDICTS = {  # (occurs, found) -> word, colour
    (True, True): ("seen", SEEN),
    (True, False): ("missed", WRONG),
    (False, True): ("false alarm", WRONG),
    (False, False): ("", QUIET),
}

STYLE = f"""<style>
.au-row {{ height: {ROW}px; display: flex; align-items: center; gap: 8px; font-size: 13px; color: #222; }}
.au-row .name {{ width: 172px; white-space: nowrap; }}
.au-row .track {{ position: relative; flex: 1 1 90px; min-width: 70px; height: 14px; background: #EDEDED; }}
.au-row .fill {{ height: 100%; }}
.au-row .half {{ position: absolute; left: 50%; top: -3px; height: 20px; border-left: 1px dashed #555; }}
.au-row .number {{ width: 30px; text-align: right; font-variant-numeric: tabular-nums; }}
.au-row .verdict {{ width: 74px; white-space: nowrap; }}
</style>"""


def bars(
    probability: dict[str, float], occurrence: dict[str, bool] | None = None, aus=None, names: bool = False
) -> str:
    """HTML of one bar an AU, with a mark at 0.5.

    Args:
        probability: AU -> [0, 1] of those the run knows.
        occurrence: AU -> present, where it is known; adds "seen", "missed" or "false alarm".
        aus: the rows, in order; those of `probability` by default. A row the run does not know says so.
        names: write the AU before its bar (beside a slider it is written there).
    """
    rows = [_row(au, probability.get(au), (occurrence or {}).get(au), names) for au in aus or probability]
    return STYLE + "".join(rows)


def verdict(occurs: bool, probability: float) -> str:
    """ "seen", "missed", "false alarm", or "" where the run rightly finds nothing."""
    return VERDICTS[bool(occurs), probability >= 0.5][0]


def _row(au: str, probability: float | None, occurs: bool | None, names: bool) -> str:
    label = escape(f"{au} {AU_NAMES.get(au, '')}".strip())
    name = f'<span class="name">{label}</span>' if names else ""
    if probability is None or math.isnan(probability):
        return f'<div class="au-row" data-au="{au}">{name}<span>the run does not know {au}</span></div>'
    word, colour = VERDICTS[bool(occurs), probability >= 0.5] if occurs is not None else ("", "")
    colour = colour or (SEEN if probability >= 0.5 else QUIET)
    read_out = f"{probability:.2f}{', ' + word if word else ''}"
    return (
        f'<div class="au-row" data-au="{au}" role="meter" aria-label="{label}, probability"'
        f' aria-valuemin="0" aria-valuemax="1" aria-valuenow="{probability:.4f}" aria-valuetext="{read_out}">'
        f'{name}<span class="track"><div class="fill" style="width:{100 * probability:.1f}%;'
        f'background:{colour}"></div><span class="half"></span></span>'
        f'<span class="number">{probability:.2f}</span><span class="verdict">{word}</span></div>'
    )
