"""Instruments for notebooks and the app: one class each, displayed by naming it in a cell.

au_playground      sliders move a rendered face; a run's predictions follow
photograph_reader  predictions on a photograph, uploaded or of the camera
camera             the browser's camera
swap_explorer      two faces exchange shape and texture, in both rounds
face_picker        a face of a run, a dataset folder or an upload
clip_player        a clip with its AUs, scrubbed
run_browser        runs of a folder side by side
newest             work in a thread; the newest request wins
drawing            pictures and probability bars
states             messages when there is nothing to show
"""

from aubench.widgets.au_playground import AUPlayground
from aubench.widgets.clip_player import ClipPlayer
from aubench.widgets.photograph_reader import PhotographReader
from aubench.widgets.run_browser import RunBrowser
from aubench.widgets.swap_explorer import SwapExplorer

__all__ = ["AUPlayground", "ClipPlayer", "PhotographReader", "RunBrowser", "SwapExplorer"]
