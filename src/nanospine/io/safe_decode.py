"""Decoders that build data and nothing but data: npy, yaml, json."""

from __future__ import annotations

import ast
import io
import json
import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.safe_files import Source

__all__ = ["json_from", "load_yaml", "npy_dtype", "npy_from", "npy_shape", "yaml_top_level"]

_LONGEST_NPY_HEADER = 1 << 16
LONGEST_YAML_BYTES = 1 << 19
_YAML_ENTRY = re.compile(r"^(?P<key>[A-Za-z][^:#]*):\s+(?P<value>[^\s\[{|>&*!].*)$")


def _npy_header(head: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Give shape, Fortran order, dtype and the offset of the data of a .npy file."""
    try:
        version = head[6]
        length_bytes = 2 if version == 1 else 4
        length = int.from_bytes(head[8 : 8 + length_bytes], "little")
        start = 8 + length_bytes
        if length > _LONGEST_NPY_HEADER:
            raise ValueError(f"a header of {length} bytes")
        text = head[start : start + length].decode("latin-1" if version < 3 else "utf-8")
        if len(head) < start + length:
            raise ValueError("the header is cut short")
        fields = ast.literal_eval(text.strip())
        shape = tuple(int(item) for item in fields["shape"])
        dtype = np.lib.format.descr_to_dtype(fields["descr"])
        if any(item < 0 for item in shape):
            raise ValueError(f"a negative size in {shape}")
        return shape, bool(fields["fortran_order"]), dtype, start + length
    except (
        ValueError, KeyError, TypeError, SyntaxError, IndexError, RecursionError, MemoryError,
        UnicodeError, OverflowError, AttributeError,
    ) as error:  # fmt: skip
        raise ReadError(f"{where}: the npy header cannot be read ({error}).") from None


def npy_dtype(source: Source) -> np.dtype[Any] | None:
    """Give the dtype that an npy file declares, None when it is no readable npy file."""
    if source.kind != "npy":
        return None
    try:
        return _npy_header(source.head, source.name)[2]
    except ReadError:
        return None


def npy_shape(source: Source) -> tuple[int, ...]:
    """Give the shape that an npy file declares, () when it is no readable npy file."""
    if source.kind != "npy":
        return ()
    try:
        return _npy_header(source.head, source.name)[0]
    except ReadError:
        return ()


def npy_from(data: bytes, where: str) -> npt.NDArray[Any]:
    """Decode a .npy file without ever running pickled objects.

    Raises
    ------
    UnsafeFileError
        When the array holds Python objects.
    ReadError
        When the header is broken or the data are shorter than it says.
    """
    if not data.startswith(b"\x93NUMPY"):
        raise ReadError(f"{where}: is not a npy file.")
    shape, fortran, dtype, offset = _npy_header(data, where)
    if dtype.hasobject:
        raise UnsafeFileError(
            f"{where}: holds Python objects, which could run code; nanospine reads only numbers. "
            "Save it again with numpy.save(..., allow_pickle=False)."
        )
    count = 1
    for item in shape:
        count *= item
    expected = count * dtype.itemsize
    found = len(data) - offset
    if expected > found:
        raise ReadError(
            f"{where}: {expected} bytes of data expected from the header, found {found}; the file "
            "is cut short. Copy it again."
        )
    array = np.frombuffer(data, dtype=dtype, count=count, offset=offset)
    return array.reshape(shape, order="F" if fortran else "C")


def json_from(data: bytes, where: str) -> Any:
    """Decode JSON text (UTF-8, BOM allowed; NaN and Infinity as MATLAB and Python write them)."""
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ReadError(
            f"{where}: the JSON text cannot be read: {reason}. Is the file cut short?"
        ) from None


def yaml_top_level(data: bytes) -> list[dict[str, str]]:
    r"""Give the one-line entries at the top level of each document of a long yaml text.

    PyYAML takes seconds per megabyte, and its fast C loader crashes the process on deep nesting
    (seen with 6.0.3): of long metadata only the plain entries are looked at.

    Examples
    --------
    >>> yaml_top_level(b"Width: 64\nBoxes:\n- 1\n---\nPixelsize: 130\n")
    [{'Width': '64'}, {'Pixelsize': '130'}]
    """
    documents: list[dict[str, str]] = [{}]
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("---"):
            documents.append({})
        match = _YAML_ENTRY.match(line)
        if match is not None:
            documents[-1][match["key"].strip()] = match["value"].strip()
    return documents


class _InertLoader(yaml.SafeLoader):
    """SafeLoader that takes Python tags for the data below them; nothing is ever called."""


def _inert(loader: _InertLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        # Deep, because a numpy scalar is decoded from its finished arguments.
        items = loader.construct_sequence(node, deep=True)
        if suffix.endswith("multiarray.scalar"):
            return _numpy_scalar(items)
        if suffix == "tuple":
            return tuple(items)
        if suffix.endswith(":numpy.dtype"):
            return items[0] if items else None
        return items
    if isinstance(node, yaml.MappingNode):
        mapping = loader.construct_mapping(node, deep=True)
        if suffix.endswith(":numpy.dtype"):
            arguments = mapping.get("args")
            return arguments[0] if isinstance(arguments, list) and arguments else None
        return mapping
    return None


def _numpy_scalar(items: list[Any]) -> Any:
    """Decode numpy.core.multiarray.scalar(dtype, bytes): the number that an honest file means."""
    try:
        dtype = np.dtype(str(items[0]))
        raw = items[1] if isinstance(items[1], bytes) else str(items[1]).encode("latin-1")
        if dtype.kind not in "iufb" or len(raw) != dtype.itemsize:
            return None
        return np.frombuffer(raw, dtype.newbyteorder("<"))[0].item()
    except (TypeError, ValueError, IndexError, struct.error):
        return None


_InertLoader.add_multi_constructor("tag:yaml.org,2002:python/", _inert)
_InertLoader.add_multi_constructor("!", _inert)
# Tags of other vocabularies (asdf) name a meaning; the data below them are what is wanted.
_InertLoader.add_multi_constructor("tag:", _inert)


def load_yaml(data: bytes, where: str) -> list[Any]:
    """Decode the documents of a yaml file as plain data.

    Python tags, which make `yaml.UnsafeLoader` call functions, give the data below them.

    Raises
    ------
    ReadError
        When the text is no yaml.

    Examples
    --------
    >>> load_yaml(b"a: !!python/tuple [1, 2]", "x.yaml")
    [{'a': (1, 2)}]
    >>> load_yaml(b"a: !!python/object/apply:os.system ['echo hi']", "x.yaml")
    [{'a': ['echo hi']}]
    """
    if len(data) > LONGEST_YAML_BYTES:
        raise UnsafeFileError(
            f"{where}: {len(data)} bytes of yaml are too long to be read as a whole."
        )
    try:
        return list(yaml.load_all(io.BytesIO(data), Loader=_InertLoader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ReadError(f"{where}: the yaml text cannot be read ({reason}).") from None
