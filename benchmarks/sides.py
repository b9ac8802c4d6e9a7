"""Which side of a face shows more of an AU: weights for the package's detector, and how well they do.

    python benchmarks/sides.py [--ship]

Renders faces on which half of the AUs are on one side only. On one part of them a ridge regression reads
left minus right intensity from the evidence of a side (`evaluate.side_evidence`), of AUs of paired muscles
that the detector gives. Those count that it reads, on people it was not fitted to, with a correlation of at
least LEAST_R in both domains. Other people show how well that does. Writes results/sides.json; --ship also
writes the weights into the package's detector.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from record import parser_of
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from tqdm.auto import tqdm

from aufaces.actions import AUS
from aufaces.domains import domain_called, picture, sample_face
from aufaces.renderer import FaceRenderer
from aulib import pretrained
from aulib.crops import crop_face, crop_matrix, crop_of
from aulib.evaluate import predict_crops, side_evidence
from aulib.files import read_json, write_json
from aulib.run import CONFIG

DOMAINS = ("studio", "wild")
FITTED, SCORED = 501, 502  # seeds that nothing else uses
PAIRED = ("AU01", "AU02", "AU05", "AU06", "AU07", "AU12")  # of those the detector gives; not lips and jaw
LEAST_R = 0.6
RIDGE = Ridge(alpha=10.0, fit_intercept=False)  # a face in its mirror has the opposite sides
CLEAR = 2.0  # difference of intensity, of 5, from which a side shows clearly more
EQUAL = 0.5  # and up to which both are alike
ONE_SIDE = 0.25  # how often an AU is left out on the left, and on the right
PICTURE = 224  # pixels


class Faces:
    """Rendered faces, read: `sides` (N, 16) left minus right intensity of AUS, `people` (N,), `evidence`
    (N, A, h * w), `called` (N, A) which AUs count as present."""

    def __init__(self, domain: str, seed: int, count: int):
        run, renderer, rng = pretrained(), FaceRenderer(PICTURE), np.random.default_rng(seed)
        spec, crops, sides, people = crop_of(run.config), [], [], []
        for index in tqdm(range(count), f"{domain} {seed}", unit="face"):
            sample = sample_face(domain_called(domain), seed, index, count)
            expression, where = sample.face.expression, rng.random(len(AUS))
            left = np.where(where < ONE_SIDE, 0.0, expression.left)
            right = np.where(where > 1 - ONE_SIDE, 0.0, expression.right)
            expression = replace(expression, left=tuple(left.tolist()), right=tuple(right.tolist()))
            sample = replace(sample, face=replace(sample.face, expression=expression))
            image, points = picture(domain_called(domain), sample, renderer)
            crops.append(crop_face(Image.fromarray(image), crop_matrix(points, spec), spec))
            sides.append(left - right)
            people.append(f"{domain} {sample.subject}")
        self.sides, self.people = np.array(sides), np.array(people)
        self.evidence = side_evidence(run.model, np.stack(crops))
        self.map_shape = self.evidence.shape[-2:]
        self.evidence = self.evidence.reshape(*self.evidence.shape[:2], -1)
        read = predict_crops(run.model, np.stack(crops), run.settings["read_target_from"])
        self.called = read.probability >= 0.5

    def of(self, au: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Evidence (N, h * w), left minus right (N,), called present (N,)."""
        index = pretrained().aus.index(au)
        return self.evidence[:, index], self.sides[:, AUS.index(au)], self.called[:, index]


def fitted_weights(parts: list[Faces], au: str) -> np.ndarray | None:
    """(h * w) weights, None where they read new people of a domain worse than LEAST_R."""
    evidence, sides, called = (
        np.concatenate(values) for values in zip(*(part.of(au) for part in parts), strict=True)
    )
    people = np.concatenate([part.people for part in parts])
    read = cross_val_predict(RIDGE, evidence, sides, groups=people, cv=GroupKFold(5))
    domain = np.repeat(DOMAINS, [len(part.people) for part in parts])
    rows = [called & (domain == name) for name in DOMAINS]
    if min(np.corrcoef(read[row], sides[row])[0, 1] for row in rows) < LEAST_R:
        return None
    return RIDGE.fit(evidence, sides).coef_


def scores(read: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Of faces on which the AU is called present. `error_of_none`: if no side were ever said to show more."""
    clear, alike = np.abs(true) > CLEAR, np.abs(true) < EQUAL
    return {
        "faces": len(true),
        "r": float(np.corrcoef(read, true)[0, 1]),
        "error": float(np.abs(read - true).mean()),
        "error_of_none": float(np.abs(true).mean()),
        "clear": int(clear.sum()),
        "right_side": float((np.sign(read) == np.sign(true))[clear].mean()),
        "where_alike": float(np.abs(read[alike]).mean()),
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--faces", type=int, default=1200, help="of each domain and part")
    parser.add_argument("--ship", action="store_true", help="write the weights into the package's detector")
    given = parser.parse_args()
    parts = [Faces(domain, FITTED, given.faces) for domain in DOMAINS]
    weights = {au: fitted_weights(parts, au) for au in PAIRED}
    weights = {au: values for au, values in weights.items() if values is not None}
    found = {}
    for domain in DOMAINS:
        part, found[domain] = Faces(domain, SCORED, given.faces), {}
        for au, values in weights.items():
            evidence, sides, called = part.of(au)
            found[domain][au] = scores(np.clip(evidence @ values, -5, 5)[called], sides[called])
    write_json(Path("results/sides.json"), {"faces": given.faces, "domains": found})
    if given.ship:
        saved = read_json(pretrained().path / CONFIG)
        maps = {
            au: values.astype(float).reshape(parts[0].map_shape).round(4).tolist()
            for au, values in weights.items()
        }
        saved["settings"]["side_weights"] = maps
        write_json(pretrained().path / CONFIG, saved)


if __name__ == "__main__":
    main()
