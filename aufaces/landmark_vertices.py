"""The 68 iBUG landmarks as points on the head mesh.

A landmark is one vertex of the base mesh or a weighted mean of up to three, so it moves with the surface. The
vertices were picked on enlarged renderings of the neutral template; brow points lie on the painted brow. The
left side mirrors the right. benchmarks/landmark_table.py compares them with a 68-point detector.
"""

import numpy as np

from aufaces.heads import Head

# Base mesh vertex of each landmark, or {vertex: weight} where it lies between vertices.
LANDMARKS: tuple[int | dict[int, float], ...] = (
    # 0-16 jaw line
    718, 5182, 5177, 5206, 735, 915, 917, 918, 732, 7620, 7619, 7617, 7455, 11817, 11789, 11794, 7441,
    # 17-21 right brow
    {254: 0.01644, 212: 0.4689, 255: 0.5147}, {225: 0.5755, 206: 0.2355, 224: 0.189},
    {224: 0.201, 204: 0.4869, 222: 0.3121}, {205: 0.8925, 208: 0.02281, 233: 0.08471},
    {208: 0.4835, 209: 0.3763, 221: 0.1402},
    # 22-26 left brow
    {6983: 0.4835, 6984: 0.3763, 6995: 0.1402}, {6980: 0.8925, 6983: 0.02281, 7006: 0.08471},
    {6998: 0.201, 6979: 0.4869, 6996: 0.3121}, {6999: 0.5755, 6981: 0.2355, 6998: 0.189},
    {7023: 0.01644, 6987: 0.4689, 7024: 0.5147},
    # 27-35 nose
    132, 131, 201, 294, 286, 331, 317, 7093, 7055,
    # 36-41 right eye
    6758, {1057: 0.5, 1055: 0.5}, {1056: 0.5, 1073: 0.5}, 1078, {1070: 0.5, 1069: 0.5},
    {1068: 0.5, 1067: 0.5},
    # 42-47 left eye
    7770, {7748: 0.5, 7765: 0.5}, {7749: 0.5, 7747: 0.5}, 13354, {7760: 0.5, 7759: 0.5},
    {7762: 0.5, 7761: 0.5},
    # 48-59 outer lips
    425, 5354, 450, 455, 7210, 11956, 7185, {7235: 0.5, 7166: 0.5}, 7241, 492, 486, {480: 0.5, 406: 0.5},
    # 60-67 inner lips
    {433: 0.5, 446: 0.5}, 472, 474, 7228, {7193: 0.5, 7206: 0.5}, 7264, 523, 517,
)  # fmt: skip

# Where people mark what was picked elsewhere: the corners of the eyes where both lids meet, on the inner side
# farther in than the eyeball can be seen, on the outer side nearer than the fold ends; the bow of the upper
# lip at the lower edge of its rim. Rendered sets keep LANDMARKS, which all runs learned;
# experiments/ship_landmarks.py measures how far the two lie apart, for photographs.
_MARKED = {
    36: {6758: 0.72, 1057: 0.14, 1067: 0.14}, 45: {13354: 0.72, 7749: 0.14, 7759: 0.14},
    39: 66, 42: 6850, 51: 466,
}  # fmt: skip
ON_PHOTOGRAPHS = tuple(_MARKED.get(k, point) for k, point in enumerate(LANDMARKS))


def landmark_table(head: Head, points: tuple = LANDMARKS) -> tuple[np.ndarray, np.ndarray]:
    """(68, 3) rows of head.vertices and (68, 3) weights that sum to 1.

    Raises:
        ValueError: the head lacks a vertex of `points` because the asset or the crop of the mesh changed.
    """
    row_of = {int(base): row for row, base in enumerate(head.base_index)}
    rows, weights = np.zeros((68, 3), int), np.zeros((68, 3))
    for k, point in enumerate(points):
        vertices = point if isinstance(point, dict) else {point: 1.0}
        for j, (base, weight) in enumerate(vertices.items()):
            if base not in row_of:
                raise ValueError(f"landmark {k}: the head has no base mesh vertex {base}")
            rows[k, j], weights[k, j] = row_of[base], weight
    return rows, weights / weights.sum(1, keepdims=True)


def points_on(vertices: np.ndarray, table: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(68, 3) points of a `landmark_table` on a head with these vertices (V, 3)."""
    rows, weights = table
    return (vertices[rows] * weights[..., None]).sum(1)
