"""Every figure. Functions return a matplotlib Figure and never show it; the table behind it goes in.

looks       colours of domains and methods, names of AUs, faces as grids: the house rules
faces       contact sheets, strongest faces of each AU, best and worst faces
labels      base rates and co-occurrence of a dataset's AUs
scores      learning curves, per-AU scores, methods side by side
supervision a study: ladder with intervals, differences per AU, supervisors' losses and shares, costs
side_by_side  chosen runs against each other: curves, AUs, the same faces
insides     what a run sees: reconstructions, attention, the first screen of the README
reconstructions   both rounds, runs side by side, probes, texture by shape; returns the table too
attention   maps over faces beside the true regions, curves, tables of both
"""

from aubench.plots.attention import (
    draw_curves,
    draw_evidence_beside_gradients,
    draw_landmark_responses,
    draw_mass_inside,
    draw_rollout,
)
from aubench.plots.faces import draw_best_and_worst, draw_faces, draw_strongest_faces
from aubench.plots.idleness import draw_gradient_shares, draw_supervisor_losses, shares_of_terms
from aubench.plots.insides import draw_attention, draw_first_screen, draw_reconstructions
from aubench.plots.labels import draw_base_rates, draw_cooccurrence
from aubench.plots.reconstructions import draw_probes, draw_rounds, draw_runs, draw_texture_by_shape
from aubench.plots.scores import draw_history, draw_methods, draw_per_au
from aubench.plots.style import save_figure
from aubench.plots.supervision import draw_costs, draw_differences_per_au, draw_ladder

__all__ = [
    "draw_attention",
    "draw_base_rates",
    "draw_best_and_worst",
    "draw_cooccurrence",
    "draw_costs",
    "draw_curves",
    "draw_differences_per_au",
    "draw_evidence_beside_gradients",
    "draw_faces",
    "draw_first_screen",
    "draw_gradient_shares",
    "draw_history",
    "draw_ladder",
    "draw_landmark_responses",
    "draw_mass_inside",
    "draw_methods",
    "draw_per_au",
    "draw_probes",
    "draw_reconstructions",
    "draw_rollout",
    "draw_rounds",
    "draw_runs",
    "draw_strongest_faces",
    "draw_supervisor_losses",
    "draw_texture_by_shape",
    "save_figure",
    "shares_of_terms",
]
