"""Action units: names, occurrence from intensity, weights from base rates."""

import numpy as np

# FACS order. Names after Ekman & Friesen 1978.
AU_NAMES: dict[str, str] = {
    "AU01": "inner brow raiser",
    "AU02": "outer brow raiser",
    "AU04": "brow lowerer",
    "AU05": "upper lid raiser",
    "AU06": "cheek raiser",
    "AU07": "lid tightener",
    "AU09": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU11": "nasolabial deepener",
    "AU12": "lip corner puller",
    "AU13": "sharp lip puller",
    "AU14": "dimpler",
    "AU15": "lip corner depressor",
    "AU16": "lower lip depressor",
    "AU17": "chin raiser",
    "AU18": "lip pucker",
    "AU19": "tongue show",
    "AU20": "lip stretcher",
    "AU22": "lip funneler",
    "AU23": "lip tightener",
    "AU24": "lip pressor",
    "AU25": "lips part",
    "AU26": "jaw drop",
    "AU27": "mouth stretch",
    "AU28": "lip suck",
    "AU43": "eyes closed",
    "AU45": "blink",
}

# Those that the renderer shows.
SYNTHETIC_AUS = tuple(
    "AU01 AU02 AU04 AU05 AU06 AU07 AU09 AU10 AU12 AU14 AU15 AU17 AU20 AU24 AU25 AU26".split()
)


def binarise(intensity, at_least: float = 2) -> np.ndarray:
    """Occurrence from FACS intensity: present where intensity >= `at_least`.

    The DISFA protocol takes 2 (ME-GraphAU, FMAE-IAT, py-feat); OpenGraphAU takes 1.

    Args:
        intensity: any shape, 0-5, NaN where not annotated.

    Returns:
        Same shape, float32 in {0, 1}, NaN where the intensity is NaN.
    """
    intensity = np.asarray(intensity, dtype=np.float32)
    return np.where(np.isnan(intensity), np.nan, intensity >= at_least).astype(np.float32)


def au_weights(occurrence) -> np.ndarray:
    """Weight of each AU in the loss: inverse to its base rate, normalised to sum A.

    w_i = (1 / r_i) * A / sum_j (1 / r_j), after ADLD. Ours: r_i counts annotated frames only, and an AU that
    is never present takes the rate of the rarest AU that is. If none is ever present, all weights are 1.

    Args:
        occurrence: (N, A) in {0, 1}, NaN where not annotated.

    Returns:
        (A,) float32, positive, sums to A.

    Raises:
        ValueError: if `occurrence` is not two-dimensional.
    """
    occurrence = np.asarray(occurrence, dtype=np.float32)
    if occurrence.ndim != 2:
        raise ValueError(f"occurrence has shape {occurrence.shape}, expected (N, A)")
    annotated = np.maximum((~np.isnan(occurrence)).sum(axis=0), 1)
    base_rate = np.nansum(occurrence, axis=0, dtype=np.float64) / annotated
    if not (base_rate > 0).any():
        return np.ones(occurrence.shape[1], dtype=np.float32)
    base_rate = np.maximum(base_rate, base_rate[base_rate > 0].min())
    weights = 1 / base_rate
    return (weights * len(weights) / weights.sum()).astype(np.float32)
