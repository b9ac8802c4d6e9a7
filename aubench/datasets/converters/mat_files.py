"""Landmarks from MATLAB files: one array of points, or a struct array with one face per element.

SciPy reads versions up to 7.2; h5py, of the extra `datasets`, reads 7.3 (HDF5).
"""

from pathlib import Path

import numpy as np

from aulib.files import reading
from aulib.landmarks import POINTS_49_IN_68

INSTALL = "pip install 'aulib[datasets]'"
# Where the 49 points are in larger layouts; 66 points are 68 without the inner lip corners 60 and 64.
POINTS_49_IN = {49: range(49), 66: range(17, 66), 68: POINTS_49_IN_68}
TRACK_FIELDS = ("pred", "pts_2d")  # of BP4D, of BP4D+


def read_points(path: Path) -> np.ndarray:
    """(49, 2) points of a file with one face, in the file's pixels.

    Raises:
        ValueError: the file cannot be read, has no variable `pts`, or that is no array of (49, 66 or 68, 2).
    """
    content = _load(path)
    if "pts" not in content:
        raise ValueError(f"{path} has {', '.join(sorted(content)) or 'no variables'}, expected pts")
    return _49_points(content["pts"], path)


def read_tracks(path: Path) -> dict[int, np.ndarray]:
    """Frame number -> (49, 2) points of a tracked video; frames where the face was lost are absent.

    BP4D (7.3, `fit.pred`) and BP4D+ (`fit.pts_2d`, empty where lost) have a struct array `fit` with one
    element per frame, its number in `frame`; without that field frames count from 1.

    Raises:
        ValueError: the file cannot be read, or has no such struct.
    """
    elements = _load(path).get("fit")
    elements = elements if isinstance(elements, list) else [elements]
    if not all(isinstance(element, dict) for element in elements):
        raise ValueError(f"{path} has no struct array `fit`")
    tracks = {}
    for position, element in enumerate(elements, 1):
        field = next((name for name in TRACK_FIELDS if name in element), None)
        if field is None:
            found = ", ".join(element)
            raise ValueError(f"{path}: `fit` has fields {found}, expected {' or '.join(TRACK_FIELDS)}")
        number, face = element.get("frame", position), element[field]
        if np.size(number) and np.size(face):
            points = _49_points(face, path)
            if np.isfinite(points).all() and points.any():
                tracks[int(np.ravel(number)[0])] = points
    return tracks


def _49_points(value, path: Path) -> np.ndarray:
    try:
        points = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: landmarks are no numbers") from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) not in POINTS_49_IN:
        raise ValueError(f"{path}: landmarks have shape {points.shape}, expected (49, 66 or 68, 2)")
    return points[list(POINTS_49_IN[len(points)])]


def _load(path: Path) -> dict:
    """Variable -> value; a struct is a dict, a struct array a list of dicts."""
    from scipy.io import loadmat
    from scipy.io.matlab import matfile_version

    with reading(path, "a .mat file"):
        if matfile_version(str(path))[0] == 2:
            return _load_hdf5(path)
        content = loadmat(str(path), simplify_cells=True)
    return {name: value for name, value in content.items() if not name.startswith("__")}


def _load_hdf5(path: Path) -> dict:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} is a MATLAB 7.3 file, which needs h5py: {INSTALL}") from error

    def value_of(data):
        """MATLAB's arrays are transposed; empty ones hold their shape and carry an attribute."""
        if isinstance(data, h5py.Group):
            fields = {name: value_of(field) for name, field in data.items()}
            if not all(isinstance(values, list) for values in fields.values()):
                return fields
            # A struct array has lists of one value per element.
            return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
        if data.attrs.get("MATLAB_empty", 0):
            return np.empty(0)
        if data.dtype == h5py.ref_dtype:
            return [value_of(data.file[reference]) for reference in data[()].ravel()]
        return data[()].T

    with h5py.File(path, "r") as file:
        return {name: value_of(data) for name, data in file.items() if not name.startswith("#")}
