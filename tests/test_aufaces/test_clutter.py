"""Image degradations, channel by channel."""

import numpy as np

from aufaces.clutter import degrade


def test_white_balance_changes_each_channel_and_keeps_hues():
    grey = np.full((32, 32, 3), 120, np.uint8)
    red = grey.copy()
    red[..., 1:] = 40
    casts, kept = [], 0
    for seed in range(40):
        means = degrade(np.random.default_rng(seed), grey).reshape(-1, 3).mean(0)
        casts.append(np.ptp(means))
        seen = degrade(np.random.default_rng(seed), red).reshape(-1, 3).mean(0)
        kept += seen[0] > seen[1] + 20 and seen[0] > seen[2] + 20
    assert np.median(casts) > 4  # levels of 255; an eighth of all pictures are grey
    assert kept > 25
