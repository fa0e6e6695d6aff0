"""MATLAB files as nested dictionaries of arrays: v5/v7 through scipy, v7.3 through HDF5.

Structs become dictionaries, numeric arrays keep MATLAB's orientation, text becomes str; objects,
function handles and cells become None. Packed variables are unpacked and counted before scipy
sees them, so that a bomb is refused.
"""

from __future__ import annotations

import zlib
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import scipy.io

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.safe_files import LIMITS, Source
from nanospine.io.safe_hdf5 import Hdf5, hdf5_names, open_hdf5

__all__ = ["is_mat", "mat_names", "mat_variables", "rows_of"]

_COMPRESSED = 15
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
        try:
            with source.open() as handle:
                _count_unpacked(handle, source)
                handle.seek(0)
                found = {name for name, _shape, _kind in scipy.io.whosmat(handle)}
        except Exception:  # noqa: BLE001 - damaged in one of many ways: it is not recognised
            found = set()
        source.memo["mat_names"] = found
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
    with source.open() as handle:
        _count_unpacked(handle, source)
        handle.seek(0)
        try:
            found = scipy.io.loadmat(
                handle,
                variable_names=None if wanted is None else sorted(wanted),
                struct_as_record=True,
                squeeze_me=False,
                chars_as_strings=True,
            )
        except Exception as error:
            raise ReadError(
                f"{source.path.name}: the MATLAB file cannot be decoded ({error}); it is cut short "
                "or damaged."
            ) from error
    return {
        name: _from_scipy(value, 0) for name, value in found.items() if not name.startswith("__")
    }


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


def _count_unpacked(handle: IO[bytes], source: Source) -> None:
    """Walk the top-level elements and unpack the packed ones within the budget."""
    budget = LIMITS.allowed(source.size)
    handle.seek(126)
    order = ">" if handle.read(2) == b"MI" else "<"
    position = 128
    while position + 8 <= source.size:
        handle.seek(position)
        tag = np.frombuffer(handle.read(8), dtype=f"{order}u4")
        kind, n_bytes = int(tag[0]), int(tag[1])
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            left = min(n_bytes, source.size - position - 8)
            pending = b""
            while left > 0 or pending:
                if not pending:
                    pending = handle.read(min(left, 1 << 20))
                    left -= len(pending)
                    if not pending:
                        break
                try:
                    block = unpacker.decompress(pending, 1 << 20)
                except zlib.error as error:
                    raise ReadError(
                        f"{source.path.name}: a packed variable is damaged ({error})."
                    ) from None
                budget -= len(block)
                pending = unpacker.unconsumed_tail
                if budget < 0:
                    raise UnsafeFileError(
                        f"{source.path.name}: its packed variables grow beyond the limit; this "
                        "looks like a decompression bomb."
                    )
                if unpacker.eof:
                    break
        position += 8 + n_bytes


def _from_scipy(value: Any, depth: int) -> Any:
    if depth > _DEEPEST or not isinstance(value, np.ndarray):
        return None
    if value.dtype.names is not None:
        if value.size != 1:
            return [_struct(item, depth) for item in value.ravel()[:1000]]
        return _struct(value.ravel()[0], depth)
    if value.dtype.kind in "US":
        return str(value.ravel()[0]) if value.size else ""
    if value.dtype.kind in "iufb":
        return value
    return None


def _struct(record: Any, depth: int) -> dict[str, Any]:
    return {name: _from_scipy(record[name], depth + 1) for name in record.dtype.names or ()}


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
