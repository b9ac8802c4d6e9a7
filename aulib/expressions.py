"""AUs scored where only expressions are labelled: expression contrasts.

Nobody has coded AUs on most photographs, but many show a named expression. A contrast asks whether an AU
that belongs to an expression is read as more probable on faces that show it than on neutral ones. It is no AU
label: some happy faces have no AU06, and an AU that is credited may only keep company with another. So each
contrast has an own part, what is left of it after the companions.

Imports no model.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from aulib.metrics import auc_weighted, resampled_subjects, with_interval

# Emotional FACS (Friesen & Ekman 1983), reduced to AUs that are common in the expression.
CONTRASTS = {
    "happiness": ("AU06", "AU12", "AU25"),
    "surprise": ("AU01", "AU02", "AU05", "AU25", "AU26"),
    "anger": ("AU04", "AU05", "AU07"),
    "sadness": ("AU01", "AU04", "AU15"),
    "disgust": ("AU09", "AU10"),
}
EXPRESSIONS = ("neutral", *CONTRASTS, "fear", "contempt")
# The words of FER+, RAF-DB, AffectNet and CK+, the letters of KDEF, and what people write. Numbers are
# refused: 3 is sadness in FER+, disgust in RAF-DB and CK+, surprise in AffectNet.
SYNONYMS = {
    "neutral": ("ne", "calm"),
    "happiness": ("ha", "happy", "joy", "smile", "smiling"),
    "surprise": ("su", "surprised"),
    "anger": ("an", "angry"),
    "sadness": ("sa", "sad"),
    "disgust": ("di", "disgusted"),
    "fear": ("af", "afraid", "fearful", "scared"),
    "contempt": ("contemptuous",),
}
MISSING_WORDS = ("", "na", "n/a", "nan", "none", "unknown")  # "none" is AffectNet's for none of its eight
UNLABELLED = (*MISSING_WORDS, "uncertain", "no-face", "nf", "other")
GROUPS = ("meta_age", "meta_gender", "meta_ethnicity")
OLDEST = 120
AGES = (25, 35, 50)  # years at which an age group begins (ours)
MIN_PEOPLE = 9  # a group of fewer is left out
MIN_FACES = 30  # a contrast of fewer is shown, but not part of a mean (ours)
FOLDS = 5


@dataclass(frozen=True)
class ContrastScores:
    """How a detector's AUs go with expressions.

    Attributes:
        contrasts: one row for each group, expression and AU: `group` ("all", "gender: female" ...),
            `expression`, `au`; `auc`, `own` (both in [0, 1], with `_low`, `_high`: 95 % over people), `rises`
            (share of the `pairs` people with both expressions in whom the mean probability is higher than on
            their neutral faces), `found` (share of the expression's `faces` on which the AU is called
            present).
        false_alarms: one row for each group and AU: `rate` of neutral faces on which it is called present,
            with `_low`, `_high`; `faces`, `people`.
        left_out: groups of fewer than MIN_PEOPLE people, "ethnicity: mixed (3 people)".
        unread: labelled faces that count nowhere, since no AU could be read, as without landmarks.
    """

    contrasts: pd.DataFrame
    false_alarms: pd.DataFrame
    left_out: tuple[str, ...] = ()
    unread: int = 0

    @property
    def everyone(self) -> pd.DataFrame:
        """The rows of `contrasts` that are of all people, without the column `group`."""
        return self.contrasts[self.contrasts["group"] == "all"].drop(columns="group")

    def summary(self) -> dict[str, float]:
        """`auc` and `own`, means over the contrasts of at least MIN_FACES faces; `contrasts`, their number;
        of the worst AU `false_alarm` on neutral faces, and `gap`, its largest difference between groups."""
        everyone, rates = self.everyone[self.everyone["faces"] >= MIN_FACES], self.false_alarms
        kind = rates["group"].str.partition(": ")[0]
        spread = rates[kind != "all"].groupby([kind, "au"])["rate"].agg(np.ptp)
        return {
            "contrasts": len(everyone),
            "auc": float(everyone["auc"].mean()),
            "own": float(everyone["own"].mean()),
            "false_alarm": float(rates.loc[kind == "all", "rate"].max()),
            "gap": float(spread.max()),
        }

    def as_json(self) -> dict:
        return {
            "summary": self.summary(),
            "contrasts": self.contrasts.to_dict("records"),
            "false_alarms": self.false_alarms.to_dict("records"),
            "left_out": list(self.left_out),
            "unread": self.unread,
        }


def expressions_of(cells: pd.Series) -> np.ndarray:
    """Each cell as one of EXPRESSIONS, "" where it names none.

    Raises:
        ValueError: a word that is no expression, with its row (the header is row 1).
    """
    names = {name: name for name in EXPRESSIONS} | dict.fromkeys(UNLABELLED, "")
    names |= {word: name for name, words in SYNONYMS.items() for word in words}
    words = cells.astype(object).fillna("").astype(str).str.strip().str.lower()
    if len(unknown := words[~words.isin(names)]):
        word, why = unknown.iloc[0], ""
        if re.fullmatch(r"[0-9.]+", word):
            why = "; numbers mean another expression in each data set, write the words"
        raise ValueError(
            f"meta_expression of row {words.index.get_loc(unknown.index[0]) + 2} is {word!r}, expected one "
            f"of {', '.join(EXPRESSIONS)} or an empty cell{why}"
        )
    return words.map(names).to_numpy(dtype=str)


def groups_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Everyone, and each value of the columns GROUPS: name -> (N,) bool. Ages in years become groups.

    Raises:
        ValueError: ages of which some are years and others none, with the row (the header is row 1).
    """
    groups = {"all": np.ones(len(table), dtype=bool)}
    for column in GROUPS:
        if column not in table:
            continue
        cells = table[column].astype(object).fillna("").astype(str).str.strip().str.lower()
        values = sorted(set(cells) - set(MISSING_WORDS))
        if column == "meta_age" and (years := pd.to_numeric(cells, errors="coerce")).notna().any():
            odd = cells[~years.between(0, OLDEST) & ~cells.isin(UNLABELLED)]
            if len(odd):
                row = cells.index.get_loc(odd.index[0]) + 2
                raise ValueError(
                    f"meta_age of row {row} is {odd.iloc[0]!r}, expected years from 0 to {OLDEST} as in "
                    "other rows, or an empty cell"
                )
            between = [f"{first} to {end - 1}" for first, end in pairwise(AGES)]
            values = [f"under {AGES[0]}", *between, f"{AGES[-1]} and over"]
            cells = pd.cut(years, [-np.inf, *AGES, np.inf], right=False, labels=values).astype(object)
        for value in (value for value in values if (cells == value).any()):
            groups[f"{column.removeprefix('meta_')}: {value}"] = (cells == value).to_numpy()
    return groups


def contrast_scores(
    probability: np.ndarray,
    present: np.ndarray,
    aus: list[str],
    expression: np.ndarray,
    subjects: np.ndarray,
    groups: dict[str, np.ndarray] | None = None,
    resamples: int = 500,
) -> ContrastScores:
    """Score the contrasts whose AUs are among `aus`, and the false alarms on neutral faces.

    Args:
        probability: (N, A) in [0, 1].  present: (N, A) bool, what the detector calls present.
        expression: (N,) of EXPRESSIONS, or "".  subjects: (N,); the bootstrap draws people, not faces.
        groups: name -> (N,) bool; None is all faces.

    Raises:
        ValueError: no face is neutral, or there is nothing to contrast with it.
    """
    if not (expression == "neutral").any():
        raise ValueError("no face is labelled neutral, and a contrast is against neutral faces")
    contrasts, alarms, left_out = [], [], []
    for group, members in (groups or {"all": np.ones(len(expression), dtype=bool)}).items():
        people = len(np.unique(subjects[members]))
        if group != "all" and people < MIN_PEOPLE:
            left_out.append(f"{group} ({people} people)")
            continue
        for name in CONTRASTS:
            rows = np.flatnonzero(members & np.isin(expression, ("neutral", name)))
            shown = expression[rows] == name
            if not shown.any() or shown.all():
                continue
            draws, owner = resampled_subjects(subjects[rows], resamples)
            for au in (au for au in CONTRASTS[name] if au in aus):
                companions = [aus.index(other) for other in CONTRASTS[name] if other in aus and other != au]
                score = probability[rows, aus.index(au)]
                own = own_part(score, probability[np.ix_(rows, companions)], subjects[rows])
                row = {"group": group, "expression": name, "au": au}
                for key, values in (("auc", score), ("own", own)):
                    found = auc_weighted(values, shown, draws[:, owner])
                    if np.isnan(values).any():
                        found[:] = np.nan
                    elif draws.shape[1] == 1:  # one person has no interval
                        found[1:] = np.nan
                    row |= with_interval(key, found)
                row |= _rises(score, shown, subjects[rows])
                row |= {"found": float(present[rows, aus.index(au)][shown].mean()), "faces": int(shown.sum())}
                contrasts.append(row)
        neutral = np.flatnonzero(members & (expression == "neutral"))
        if not len(neutral):
            continue
        draws, owner = resampled_subjects(subjects[neutral], resamples)
        weights = draws[:, owner]
        rates = weights @ present[neutral] / weights.sum(1, keepdims=True)
        count = {"faces": len(neutral), "people": draws.shape[1]}
        for au, rate in zip(aus, rates.T, strict=True):
            alarms.append({"group": group, "au": au} | with_interval("rate", rate) | count)
    if not contrasts:
        shown = ", ".join(sorted(set(expression) - {"", "neutral"}))
        why = (
            f"no AU of {', '.join(aus)} belongs to {shown} (see CONTRASTS)"
            if shown
            else "all labelled faces are neutral"
        )
        raise ValueError(f"nothing to contrast: {why}")
    return ContrastScores(pd.DataFrame(contrasts), pd.DataFrame(alarms), tuple(left_out))


def own_part(probability: np.ndarray, companions: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """What is left of an AU's log odds after its companions': (N,), higher is more (ours).

    A linear model from the companions' log odds to the AU's is fitted on the other people (FOLDS folds), so
    an AU that only copies its companions has residuals that know nothing of the expression.

    Args:
        probability: (N,) in [0, 1].  companions: (N, C).

    Returns:
        NaN where all faces are of one person.
    """
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict

    people = len(np.unique(subjects))
    score = log_odds(probability)
    if not companions.shape[1]:
        return score
    if people < 2:
        return np.full(len(score), np.nan)
    folds = GroupKFold(min(FOLDS, people))
    return score - cross_val_predict(
        LinearRegression(), log_odds(companions), score, groups=subjects, cv=folds
    )


def log_odds(probability: np.ndarray) -> np.ndarray:
    """log p / (1 - p), finite: probabilities are kept 1e-4 from 0 and 1, the last decimal in a table."""
    inside = np.clip(probability.astype(float), 1e-4, 1 - 1e-4)
    return np.log(inside / (1 - inside))


def _rises(score: np.ndarray, shown: np.ndarray, subjects: np.ndarray) -> dict[str, float]:
    means = pd.DataFrame({"who": subjects, "shown": shown, "score": score}).pivot_table(
        "score", "who", "shown"
    )
    both = means.dropna()
    return {"rises": float((both[True] > both[False]).mean()), "pairs": len(both)}
