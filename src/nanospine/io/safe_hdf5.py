"""HDF5 read so that a file can give only what is stored in itself.

External and soft links, external raw storage, virtual data sets, Python objects, unknown filters
and declared sizes far beyond the file are refused (every component of a path is checked).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.hdf5_heaps import check_text_heaps, longest_text_claim
from nanospine.io.safe_files import LIMITS, Source

__all__ = ["Hdf5", "hdf5_names", "open_hdf5"]

# deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf: what HDF5 and h5py decode themselves.
_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
_FILTER_NAMES = {32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32015: "zstd", 307: "bzip2"}
# Only these attributes and strings are read as text; longer ones are not metadata.
_LONGEST_TEXT = 16 << 20
_FAULTS = (OSError, KeyError, ValueError, TypeError, RuntimeError, OverflowError, AttributeError)


class Hdf5:
    """A checked view of an HDF5 file: names, arrays, texts and attributes by path."""

    def __init__(self, file: h5py.File, source: Source) -> None:
        self._file = file
        self._source = source
        self.where = source.path.name
        self._size = source.size
        self._heaps_are_sound = False
        # Found by reading the whole file, and the same name is asked for on many groups.
        self._claims: dict[tuple[str, int], int | None] = {}

    def _check_heaps(self) -> None:
        """Refuse a damaged heap of texts, in which the HDF5 library may walk in circles."""
        if not self._heaps_are_sound:
            sizes = self._file.id.get_create_plist().get_sizes()
            if tuple(sizes) != (8, 8):
                raise ReadError(f"{self.where}: HDF5 addresses of {sizes} bytes are not read.")
            check_text_heaps(self._source)
            self._heaps_are_sound = True

    def _node(self, path: str) -> Any:
        """Walk to a path component by component through hard links only."""
        node: Any = self._file
        walked = ""
        for part in (item for item in path.split("/") if item):
            walked += f"/{part}"
            if not isinstance(node, h5py.Group):
                return None
            try:
                link = node.get(part, getlink=True)
            except _FAULTS:
                return None
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                kind = "an external link" if isinstance(link, h5py.ExternalLink) else "a soft link"
                raise UnsafeFileError(
                    f"{self.where}: {walked} is {kind}; nanospine reads only data stored in the "
                    "file itself. Copy the data into one file (h5repack, h5copy)."
                )
            try:
                node = node[part]
            except _FAULTS as error:
                raise ReadError(f"{self.where}: {walked} cannot be opened ({error}).") from None
        return node

    def names(self, path: str = "/") -> list[str]:
        """Give the names in a group; none where there is no such group."""
        node = self._node(path)
        try:
            return list(node.keys()) if isinstance(node, h5py.Group) else []
        except _FAULTS:
            return []

    def is_dataset(self, path: str) -> bool:
        """Tell whether there is a data set of this path."""
        return isinstance(self._node(path), h5py.Dataset)

    def dtype(self, path: str) -> np.dtype[Any] | None:
        """Give the type of a data set, None where there is none."""
        node = self._node(path)
        try:
            return node.dtype if isinstance(node, h5py.Dataset) else None
        except _FAULTS:
            return None

    def shape(self, path: str) -> tuple[int, ...] | None:
        """Give the shape of a data set; None where there is none or it is empty (H5S_NULL)."""
        node = self._node(path)
        return node.shape if isinstance(node, h5py.Dataset) else None

    def array(self, path: str) -> npt.NDArray[Any]:
        """Give the numbers of a data set (empty for a null data set).

        Raises
        ------
        UnsafeFileError
            When the data lie elsewhere, hold objects or declare a size beyond the limits.
        ReadError
            When there is no such data set or it is damaged.
        """
        node = self._dataset(path)
        if node.dtype.hasobject:
            raise UnsafeFileError(
                f"{self.where}: {path} holds objects or references; numbers were expected."
            )
        if not _is_plain(node.dtype) or node.dtype.itemsize != node.id.get_type().get_size():
            raise ReadError(
                f"{self.where}: {path} has a damaged or unusual type ({str(node.dtype)[:80]}); "
                "numbers of 1 to 8 bytes and short texts were expected."
            )
        if node.shape is None:
            return np.zeros(0, node.dtype)
        try:
            return np.asarray(node[()])
        except (*_FAULTS, MemoryError) as error:
            raise ReadError(
                f"{self.where}: {path} cannot be read ({error}); the file is cut short or damaged."
            ) from None

    def vectors(self, path: str, wanted: frozenset[str]) -> dict[str, npt.NDArray[Any]]:
        """Give the wanted one-dimensional number data sets of a group, all checks included.

        Stores with a group per camera frame hold some hundred thousand small data sets: this
        way takes a tenth of the time of :meth:`array`, which walks from the root each time.
        """
        node = self._node(path)
        result: dict[str, npt.NDArray[Any]] = {}
        if not isinstance(node, h5py.Group):
            return result
        group = node.id
        try:
            for raw in group:
                name = raw.decode("utf-8", "replace")
                if name not in wanted or group.links.get_info(raw).type != h5py.h5l.TYPE_HARD:
                    continue
                identity = h5py.h5o.open(group, raw)
                if not isinstance(identity, h5py.h5d.DatasetID) or len(identity.shape) != 1:
                    continue
                self._check_storage(identity, f"{path}/{name}")
                dtype = identity.dtype
                if dtype.kind in "iuf" and 0 < dtype.itemsize <= 8:
                    result[name] = np.zeros(identity.shape, dtype)
                    if result[name].size:
                        identity.read(h5py.h5s.ALL, h5py.h5s.ALL, result[name])
        except (*_FAULTS, MemoryError) as error:
            raise ReadError(f"{self.where}: {path} cannot be read ({error}).") from None
        return result

    def text(self, path: str) -> str | None:
        """Give a scalar or one-element text data set; None where there is none."""
        if not self.is_dataset(path):
            return None
        node = self._dataset(path)
        if h5py.check_string_dtype(node.dtype) is None or node.size != 1:
            return None
        self._check_heaps()
        self._check_length(node, path)
        try:
            value = node[()] if node.shape == () else node[(0,) * node.ndim]
        except _FAULTS as error:
            raise ReadError(f"{self.where}: {path} cannot be read ({error}).") from None
        return _as_text(value)

    def _check_length(self, node: Any, path: str) -> None:
        """Refuse a text of variable length that claims to be longer than the file.

        The library makes room for what the four bytes in front say, up to 4 GB, before it looks.
        """
        offset = node.id.get_offset()
        if offset is None or h5py.check_string_dtype(node.dtype).length is not None:
            return
        with self._source.open() as handle:
            handle.seek(offset)
            self._check_claim(int.from_bytes(handle.read(4), "little"), path)

    def _check_claim(self, length: int, path: str) -> None:
        if length > self._size:
            raise ReadError(
                f"{self.where}: the text at {path} claims {length} bytes in a file of "
                f"{self._size} bytes; the file is damaged. Copy it again."
            )

    def attribute(self, path: str, name: str) -> Any:
        """Give an attribute as number, text or array of these; None where there is none."""
        node = self._node(path)
        if node is None:
            return None
        try:
            if name not in node.attrs:
                return None
            held = node.attrs.get_id(name)
            if held.get_storage_size() > _LONGEST_TEXT:
                return None
            dtype = held.dtype
            if dtype.hasobject:
                if h5py.check_string_dtype(dtype) is None:
                    return None
                self._check_heaps()
                asked = (name, int(held.get_storage_size()))
                if asked not in self._claims:
                    self._claims[asked] = longest_text_claim(self._source, *asked)
                claim = self._claims[asked]
                if claim is None:
                    return None
                self._check_claim(claim, f"{path}, attribute {name!r}")
            elif not _is_plain(dtype):
                return None
            value = node.attrs[name]
        except _FAULTS:
            return None
        if isinstance(value, h5py.Empty):
            return None
        if isinstance(value, bytes | str | np.bytes_):
            return _as_text(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
            return [_as_text(item) for item in value.ravel()]
        return value

    def _dataset(self, path: str) -> Any:
        node = self._node(path)
        if not isinstance(node, h5py.Dataset):
            what = "is a group" if isinstance(node, h5py.Group) else "does not exist"
            raise ReadError(f"{self.where}: a data set was expected at {path}, which {what}.")
        try:
            self._check_storage(node.id, path)
        except _FAULTS as error:
            raise ReadError(f"{self.where}: {path} cannot be read ({error}).") from None
        return node

    def _check_storage(self, identity: Any, path: str) -> None:
        creation = identity.get_create_plist()
        if creation.get_external_count() > 0 or creation.get_layout() == h5py.h5d.VIRTUAL:
            raise UnsafeFileError(
                f"{self.where}: the data of {path} lie in other files; nanospine reads only data "
                "stored in the file itself. Copy them into one file (h5repack)."
            )
        for number in range(creation.get_nfilters()):
            code = int(creation.get_filter(number)[0])
            if code not in _FILTERS:
                name = _FILTER_NAMES.get(code, "unknown")
                raise ReadError(
                    f"{self.where}: {path} is packed with filter {code} ({name}), which plain "
                    "HDF5 does not have. Save it again with gzip (h5repack -f GZIP=4)."
                )
        declared = int(identity.get_type().get_size())
        for item in identity.shape:
            declared *= int(item)
        if declared > LIMITS.allowed(self._size):
            raise UnsafeFileError(
                f"{self.where}: {path} declares {declared} bytes in a file of {self._size} bytes; "
                "that is refused."
            )


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Tell whether a type is of plain numbers and texts whose fields do not overlap.

    A damaged type can put a number of 16 bytes into a field of 8: the HDF5 library then writes
    beyond the array, and the process dies later.
    """
    if dtype.subdtype is not None:
        return _is_plain(dtype.base)
    if dtype.names is None:
        return dtype.kind in "SV" or (dtype.kind in "iufb" and dtype.itemsize <= 8)
    fields: Mapping[str, Any] = dtype.fields or {}
    end = 0
    for name in sorted(dtype.names, key=lambda item: fields[item][1]):
        kind, offset = fields[name][0], fields[name][1]
        if offset < end or not _is_plain(kind):
            return False
        end = offset + kind.itemsize
    return end <= dtype.itemsize


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


@contextmanager
def open_hdf5(source: Source) -> Iterator[Hdf5]:
    """Open an HDF5 source read-only through the handle that `safe_files` checked."""
    with source.open_native() as native:
        try:
            # Without a lock, which read-only and network folders do not give.
            file = h5py.File(native, "r", locking=False if isinstance(native, str) else None)
        except (*_FAULTS, MemoryError) as error:
            raise ReadError(
                f"{source.path.name}: the HDF5 file cannot be opened ({error}); it is cut short or "
                "damaged."
            ) from None
        try:
            yield Hdf5(file, source)
        finally:
            file.close()


def hdf5_names(source: Source) -> set[str]:
    """Give the paths of an HDF5 source down to two levels; empty for anything else.

    Used to recognise formats; links are not followed, damage gives an empty set.
    """
    if source.kind != "hdf5":
        return set()
    if "hdf5_names" not in source.memo:
        found: set[str] = set()
        try:
            with open_hdf5(source) as file:
                for name in file.names():
                    found.add(f"/{name}")
                    try:
                        below = file.names(f"/{name}")
                    except ReadError:
                        continue
                    # Frame-wise stores have a group per frame: a few thousand are enough.
                    found.update(f"/{name}/{item}" for item in below[:500])
                    if len(found) > 5000:
                        break
        except ReadError:
            pass
        source.memo["hdf5_names"] = found
    names: set[str] = source.memo["hdf5_names"]
    return names
