"""MATLAB files as nested dictionaries of arrays: v5 to v7 by our own decoder, v7.3 through HDF5.

Structs become dictionaries, numeric arrays keep MATLAB's orientation, text becomes str; objects,
function handles and cells become None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.io.mat5 import mat5_names, mat5_variables
from nanospine.io.safe_files import Source
from nanospine.io.safe_hdf5 import Hdf5, hdf5_names, open_hdf5

__all__ = ["is_mat", "mat_names", "mat_variables", "rows_of"]

_DEEPEST = 8


def is_mat(source: Source) -> bool:
    """Tell whether the content is a MATLAB file of v5 or v7.3."""
    return source.kind == "mat5" or (
        source.kind == "hdf5" and source.head.startswith(b"MATLAB 7.3")
    )


def mat_names(source: Source) -> set[str]:
    """Give the names of the variables; empty for anything else or a damaged file."""
    if source.kind == "hdf5":
        return {name[1:] for name in hdf5_names(source) if name.count("/") == 1}
    if source.kind != "mat5":
        return set()
    if "mat_names" not in source.memo:
        source.memo["mat_names"] = mat5_names(source.read_bytes())
    names: set[str] = source.memo["mat_names"]
    return names


def mat_variables(
    source: Source, wanted: set[str] | None = None, *, only: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Give variables (all, or the wanted ones) as nested dictionaries of arrays.

    `only` names paths such as "saveloc/loc": of a v7.3 file nothing else is read, because such
    files may hold the raw images as well.

    Raises
    ------
    ReadError
        When the file is damaged.
    UnsafeFileError
        When packed variables unfold beyond the limits, or v7.3 data lie elsewhere.
    """
    if source.kind == "hdf5":
        with open_hdf5(source) as file:
            names = [name for name in file.names() if not name.startswith("#")]
            return {
                name: _from_hdf5(file, f"/{name}", 0, only)
                for name in names
                if wanted is None or name in wanted
            }
    return mat5_variables(source.read_bytes(), wanted, source.path.name)


def rows_of(values: Any, n: int | None = None) -> npt.NDArray[Any] | None:
    """Give numbers with the localizations along the first axis; None for anything else.

    (1, n) and (n, 1) become (n,); with `n` known, (3, n) becomes (n, 3).
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb":
        return None
    if values.ndim == 2 and 1 in values.shape:
        return values.reshape(-1)
    if n is not None and values.ndim == 2 and values.shape[0] != n and values.shape[1] == n:
        return values.T
    return values


def _from_hdf5(file: Hdf5, path: str, depth: int, only: tuple[str, ...] = ()) -> Any:
    if depth > _DEEPEST or not _is_wanted(path, only):
        return None
    if not file.is_dataset(path):
        return {
            name: _from_hdf5(file, f"{path}/{name}", depth + 1, only) for name in file.names(path)
        }
    kind = file.attribute(path, "MATLAB_class")
    dtype = file.dtype(path)
    if dtype is None or dtype.hasobject or kind in ("cell", "function_handle"):
        return None
    if file.attribute(path, "MATLAB_empty"):
        return np.zeros((0, 0))
    array = file.array(path)
    if kind == "char":
        return "".join(chr(int(code)) for code in array.T.ravel()[: 1 << 16])
    # MATLAB writes the axes in reverse.
    return array.T


def _is_wanted(path: str, only: tuple[str, ...]) -> bool:
    """Tell whether a path leads to a wanted one or lies in it."""
    here = f"{path}/"
    return not only or any(
        here.startswith(f"/{name}/") or f"/{name}/".startswith(here) for name in only
    )
