"""Every figure. Functions take data, return a matplotlib Figure and never show it.

style            colours of domains and methods, names of AUs, faces as grids
faces            contact sheets, strongest faces of each AU, best and worst faces, a run's first screen
labels           base rates and co-occurrence of a dataset's AUs
scores           learning curves, scores per AU, methods compared
supervision      a study: ladder with intervals, differences per AU, costs
idleness         a study: losses and gradient shares of the supervisors
side_by_side     chosen runs compared: curves, AUs, the same faces
reconstructions  both rounds, several runs, out-of-distribution inputs, texture by shape
attention        maps over faces next to the true regions, deletion curves
"""

from aubench.plots.attention import (
    draw_attention,
    draw_deletion_curves,
    draw_evidence_and_gradients,
    draw_landmark_responses,
    draw_mass_inside,
    draw_rollout,
)
from aubench.plots.faces import (
    draw_best_and_worst,
    draw_faces,
    draw_first_screen,
    draw_strongest_faces,
)
from aubench.plots.idleness import draw_gradient_shares, draw_supervisor_losses, shares_of_terms
from aubench.plots.labels import draw_base_rates, draw_cooccurrence
from aubench.plots.reconstructions import (
    draw_ood_inputs,
    draw_rounds,
    draw_runs,
    draw_texture_by_shape,
)
from aubench.plots.scores import draw_history, draw_methods, draw_per_au
from aubench.plots.style import save_figure
from aubench.plots.supervision import draw_costs, draw_differences_per_au, draw_ladder

__all__ = [
    "draw_attention",
    "draw_base_rates",
    "draw_best_and_worst",
    "draw_cooccurrence",
    "draw_costs",
    "draw_deletion_curves",
    "draw_differences_per_au",
    "draw_evidence_and_gradients",
    "draw_faces",
    "draw_first_screen",
    "draw_gradient_shares",
    "draw_history",
    "draw_ladder",
    "draw_landmark_responses",
    "draw_mass_inside",
    "draw_methods",
    "draw_per_au",
    "draw_ood_inputs",
    "draw_rollout",
    "draw_rounds",
    "draw_runs",
    "draw_strongest_faces",
    "draw_supervisor_losses",
    "draw_texture_by_shape",
    "save_figure",
    "shares_of_terms",
]
