"""The 68 iBUG landmarks as points on the head mesh.

Each row: up to three vertices of the base mesh with their weights, so that a landmark moves exactly with
the surface under it. Made once on the neutral template (vertices picked on enlarged renders; brow points
where the brow is painted), the subject's right side first, the left side its mirror. Checked by
benchmarks/landmark_table.py against a 68-point detector.
"""

import numpy as np

from aufaces.heads import Head

# landmark: ((base mesh vertex, weight), ...)
LANDMARKS = (
    ((718, 1),),  # 0
    ((5182, 1),),  # 1
    ((5177, 1),),  # 2
    ((5206, 1),),  # 3
    ((735, 1),),  # 4
    ((915, 1),),  # 5
    ((917, 1),),  # 6
    ((918, 1),),  # 7
    ((732, 1),),  # 8
    ((7620, 1),),  # 9
    ((7619, 1),),  # 10
    ((7617, 1),),  # 11
    ((7455, 1),),  # 12
    ((11817, 1),),  # 13
    ((11789, 1),),  # 14
    ((11794, 1),),  # 15
    ((7441, 1),),  # 16
    (
        (254, 0.01644),
        (212, 0.4689),
        (255, 0.5147),
    ),  # 17
    (
        (225, 0.5755),
        (206, 0.2355),
        (224, 0.189),
    ),  # 18
    (
        (224, 0.201),
        (204, 0.4869),
        (222, 0.3121),
    ),  # 19
    (
        (205, 0.8925),
        (208, 0.02281),
        (233, 0.08471),
    ),  # 20
    (
        (208, 0.4835),
        (209, 0.3763),
        (221, 0.1402),
    ),  # 21
    (
        (6983, 0.4835),
        (6984, 0.3763),
        (6995, 0.1402),
    ),  # 22
    (
        (6980, 0.8925),
        (6983, 0.02281),
        (7006, 0.08471),
    ),  # 23
    (
        (6998, 0.201),
        (6979, 0.4869),
        (6996, 0.3121),
    ),  # 24
    (
        (6999, 0.5755),
        (6981, 0.2355),
        (6998, 0.189),
    ),  # 25
    (
        (7023, 0.01644),
        (6987, 0.4689),
        (7024, 0.5147),
    ),  # 26
    ((132, 1),),  # 27
    ((131, 1),),  # 28
    ((201, 1),),  # 29
    ((294, 1),),  # 30
    ((286, 1),),  # 31
    ((331, 1),),  # 32
    ((317, 1),),  # 33
    ((7093, 1),),  # 34
    ((7055, 1),),  # 35
    ((6758, 1),),  # 36
    (
        (1057, 0.5),
        (1055, 0.5),
    ),  # 37
    (
        (1056, 0.5),
        (1073, 0.5),
    ),  # 38
    ((1078, 1),),  # 39
    (
        (1070, 0.5),
        (1069, 0.5),
    ),  # 40
    (
        (1068, 0.5),
        (1067, 0.5),
    ),  # 41
    ((7770, 1),),  # 42
    (
        (7748, 0.5),
        (7765, 0.5),
    ),  # 43
    (
        (7749, 0.5),
        (7747, 0.5),
    ),  # 44
    ((13354, 1),),  # 45
    (
        (7760, 0.5),
        (7759, 0.5),
    ),  # 46
    (
        (7762, 0.5),
        (7761, 0.5),
    ),  # 47
    ((425, 1),),  # 48
    ((5354, 1),),  # 49
    ((450, 1),),  # 50
    ((455, 1),),  # 51
    ((7210, 1),),  # 52
    ((11956, 1),),  # 53
    ((7185, 1),),  # 54
    (
        (7235, 0.5),
        (7166, 0.5),
    ),  # 55
    ((7241, 1),),  # 56
    ((492, 1),),  # 57
    ((486, 1),),  # 58
    (
        (480, 0.5),
        (406, 0.5),
    ),  # 59
    (
        (433, 0.5),
        (446, 0.5),
    ),  # 60
    ((472, 1),),  # 61
    ((474, 1),),  # 62
    ((7228, 1),),  # 63
    (
        (7193, 0.5),
        (7206, 0.5),
    ),  # 64
    ((7264, 1),),  # 65
    ((523, 1),),  # 66
    ((517, 1),),  # 67
)


def landmark_table(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """(68, 3) rows of head.vertices and (68, 3) weights that sum to 1.

    ValueError if the head lacks a vertex of the table (the asset or the crop has changed).
    """
    row_of = {int(base): row for row, base in enumerate(head.base_index)}
    rows, weights = np.zeros((68, 3), int), np.zeros((68, 3))
    for k, points in enumerate(LANDMARKS):
        for j, (base, weight) in enumerate(points):
            if base not in row_of:
                raise ValueError(f"landmark {k}: the head has no base mesh vertex {base}")
            rows[k, j], weights[k, j] = row_of[base], weight
    return rows, weights / weights.sum(1, keepdims=True)
