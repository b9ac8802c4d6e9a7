"""Instruments for the notebook and the app: a class each, displayed by naming it in a cell.

au_playground       sliders move a rendered face, a run's reading follows
photograph_reader   an uploaded photograph, read
swap_explorer       two faces exchange shape and texture, both rounds
run_browser         runs of a folder side by side
decoder_fitting     a button that fits a run's decoder, for pictures worth looking at
face_picker         a face of a run, a dataset folder or an upload
uploads             an uploaded file -> a face crop, or why not
newest              work beside the kernel, the newest request wins
drawing             pictures drawn in some milliseconds
bars                AU probabilities in HTML
states              what an instrument says when it cannot show what it is for
"""

from aubench.widgets.au_playground import AUPlayground
from aubench.widgets.photograph_reader import PhotographReader
from aubench.widgets.run_browser import RunBrowser
from aubench.widgets.swap_explorer import SwapExplorer

__all__ = ["AUPlayground", "PhotographReader", "RunBrowser", "SwapExplorer"]
