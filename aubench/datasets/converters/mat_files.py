"""Landmarks from MATLAB files: a struct array with one face an element, or one array of points.

Files up to version 7.2 are read by SciPy, 7.3 (HDF5) by h5py of the extra `datasets`.
"""

from pathlib import Path

import numpy as np

from aulib.landmarks import POINTS_49_IN_68

HDF5, MATLAB_HEADER = b"\x89HDF\r\n\x1a\n", 512  # version 7.3 puts a header of its own before the HDF5
INSTALL = "pip install 'aulib[datasets]'"
# 66 points are 68 without the inner lip corners 60 and 64; the 49 leave out the jaw line as well.
POINTS_49_IN_66 = tuple(range(17, 66))
assert len(POINTS_49_IN_66) == len(POINTS_49_IN_68)


def read_points(path: Path, keys: tuple[str, ...] = ("pts",)) -> np.ndarray:
    """(K, 2) points of a file that holds one face, under the first of `keys` that is there.

    Raises:
        ValueError: unreadable, none of the keys, or no (K, 2) array of finite numbers.
    """
    content = _load(path)
    for key in keys:
        if key in content:
            return _as_points(content[key], path)
    raise ValueError(f"{path} has {_names(content)}, expected {' or '.join(keys)}")


def read_tracks(
    path: Path, struct: str = "fit", points: tuple[str, ...] = ("pred", "pts_2d")
) -> dict[int, np.ndarray]:
    """Frame number -> (49, 2) points of a tracked video; frames that were lost are absent.

    BP4D (7.3, `fit/pred`) and BP4D+ (`fit.pts_2d`, lost frames empty) have a struct array `fit` whose
    elements are frames, with the number in `frame`; without that field frames count from 1.

    Raises:
        ValueError: unreadable, or no such struct.
    """
    content = _load(path)
    if struct not in content:
        raise ValueError(f"{path} has {_names(content)}, expected `{struct}`")
    fields = content[struct]
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: `{struct}` is no struct, expected one with {' or '.join(points)}")
    name = next((name for name in points if name in fields), None)
    if name is None:
        raise ValueError(f"{path}: `{struct}` has fields {', '.join(fields)}, expected {' or '.join(points)}")
    numbers = fields.get("frame", [np.array([index]) for index in range(1, len(fields[name]) + 1)])
    tracks = {}
    for number, value in zip(numbers, fields[name], strict=True):
        if np.size(value) and np.size(number):
            face = _as_points(value, path)
            if np.isfinite(face).all() and np.any(face):
                tracks[int(np.ravel(number)[0])] = to_49_points(face, path)
    return tracks


def to_49_points(face: np.ndarray, path: Path) -> np.ndarray:
    """The 49-point layout of 49, 66 or 68 points."""
    if len(face) == 49:
        return face
    if len(face) == 66:
        return face[list(POINTS_49_IN_66)]
    if len(face) == 68:
        return face[list(POINTS_49_IN_68)]
    raise ValueError(f"{path} has {len(face)} landmarks, expected 49, 66 or 68")


def _as_points(value, path: Path) -> np.ndarray:
    try:
        value = np.squeeze(np.asarray(value, dtype=np.float64))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: landmarks are no numbers") from error
    if value.ndim == 2 and value.shape[0] == 2 and value.shape[1] != 2:
        value = value.T
    if value.ndim == 1 and len(value) % 2 == 0 and len(value) > 2:  # x1 y1 x2 y2 ...
        value = value.reshape(-1, 2)
    if value.ndim != 2 or value.shape[1] != 2:
        raise ValueError(f"{path}: landmarks have shape {value.shape}, expected (points, 2)")
    return value


def _names(content: dict) -> str:
    return ", ".join(sorted(content)) or "no variables"


def _load(path: Path) -> dict:
    """Variables by name; a struct array is a dict of lists, one entry an element."""
    from scipy.io import loadmat

    with open(path, "rb") as file:
        start = file.read(MATLAB_HEADER + len(HDF5))
    if start.endswith(HDF5) or start.startswith(HDF5):
        return _load_hdf5(path)
    try:
        loaded = loadmat(str(path), simplify_cells=False)
    except Exception as error:  # SciPy raises many kinds on damaged files
        raise ValueError(f"{path} is no readable .mat file: {' '.join(str(error).split())[:150]}") from error
    content = {}
    for name, value in loaded.items():
        if name.startswith("__"):
            continue
        if getattr(value, "dtype", None) is not None and value.dtype.names:
            flat = value.ravel()
            content[name] = {field: [element[field] for element in flat] for field in value.dtype.names}
        else:
            content[name] = value
    return content


def _load_hdf5(path: Path) -> dict:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} is a MATLAB 7.3 file, which needs h5py: {INSTALL}") from error

    def follow(file, data):
        """MATLAB's arrays are transposed; empty ones hold their shape and carry an attribute."""
        if data.attrs.get("MATLAB_empty", 0):
            return np.empty(0)
        value = data[()]
        if value.dtype == h5py.ref_dtype:
            return [follow(file, file[reference]) for reference in value.ravel()]
        return np.transpose(value)

    try:
        with h5py.File(path, "r") as file:
            content = {}
            for name in file:
                if name.startswith("#"):
                    continue
                entry = file[name]
                if isinstance(entry, h5py.Group):
                    content[name] = {field: _elements(follow(file, entry[field])) for field in entry}
                else:
                    content[name] = follow(file, entry)
            return content
    except (OSError, KeyError, RuntimeError, AttributeError) as error:
        raise ValueError(f"{path} is no readable .mat file: {' '.join(str(error).split())[:150]}") from error


def _elements(value) -> list:
    """A struct with one element stores its value itself, with more a list of references."""
    return value if isinstance(value, list) else [value]
