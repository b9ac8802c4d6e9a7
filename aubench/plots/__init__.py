"""Every figure. Functions take data, return a matplotlib Figure and never show it.

style            colours of domains and methods, names of AUs, rows of names, faces as grids
faces            contact sheets, rows of faces, a run's first screen, the same faces in several runs
scores           base rates and co-occurrence, learning curves, scores per AU, methods and runs compared
contrasts        AUs scored by expressions: contrasts, false alarms on neutral faces
agreement        tools compared: where they differ most, scores by condition
clips            AUs over a clip's time; the clip with faces, bars and time line
study            a study: ladder with intervals, differences per AU, costs, losses, gradient shares
reconstructions  both rounds, several runs, out-of-distribution inputs, texture by shape
attention        maps over faces next to the true regions, deletion curves
"""

# ruff: noqa: F401
from aubench.plots.agreement import draw_conditions, draw_disagreements
from aubench.plots.attention import (
    draw_attention,
    draw_deletion_curves,
    draw_evidence_and_gradients,
    draw_landmark_responses,
    draw_mass_inside,
    draw_rollout,
)
from aubench.plots.clips import draw_timeline
from aubench.plots.contrasts import draw_contrasts, draw_false_alarms
from aubench.plots.faces import draw_face_rows, draw_faces, draw_first_screen, draw_same_faces
from aubench.plots.reconstructions import draw_ood_inputs, draw_rounds, draw_runs, draw_texture_by_shape
from aubench.plots.scores import (
    draw_au_differences,
    draw_base_rates,
    draw_cooccurrence,
    draw_history,
    draw_methods,
    draw_per_au,
    draw_run_curves,
    draw_separation,
)
from aubench.plots.study import (
    draw_costs,
    draw_differences_per_au,
    draw_gradient_shares,
    draw_ladder,
    draw_supervisor_losses,
)
from aubench.plots.style import save_figure
