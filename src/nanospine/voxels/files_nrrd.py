"""NRRD and seg.nrrd of 3D Slicer, written and read by the format's own specification."""

from __future__ import annotations

import gzip
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError
from nanospine.voxels.raw_volume import RawVolume, check_declared

__all__ = ["read_nrrd", "write_nrrd"]

_TYPES = {
    "|u1": "uint8", "|i1": "int8", "<u2": "uint16", "<i2": "int16", "<u4": "uint32",
    "<i4": "int32", "<u8": "uint64", "<i8": "int64", "<f4": "float", "<f8": "double",
}  # fmt: skip
_ALIASES = {
    "uchar": "uint8", "unsigned char": "uint8", "signed char": "int8", "short": "int16",
    "ushort": "uint16", "unsigned short": "uint16", "int": "int32", "uint": "uint32",
    "unsigned int": "uint32", "float": "float32", "double": "float64", "longlong": "int64",
    "ulonglong": "uint64",
}  # fmt: skip
_NM = {"nm": 1.0, "um": 1e3, "µm": 1e3, "micron": 1e3, "mm": 1e6, "": 1e3}


def write_nrrd(path: Path, volume: RawVolume, *, segments: bool = False) -> npt.NDArray[Any]:
    """Write NRRD with lengths in µm; give the array as it was stored.

    Slicer takes every length for mm: what is 1 µm here is 1 mm there. With `segments` each label
    is one of Slicer's segments, with its role as name.
    """
    data = volume.data.astype(np.uint8) if volume.data.dtype.kind == "b" else volume.data
    if data.dtype.kind == "f" and data.dtype.itemsize not in (4, 8):
        data = data.astype(np.float32)
    data = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))
    voxel, origin = (item[::-1] / 1e3 for item in volume.geometry)
    # Three columns, one axis each: index order is x, y, z, the fastest first.
    directions = " ".join(
        "(" + ",".join(repr(float(voxel[a])) if a == b else "0" for b in range(3)) + ")"
        for a in range(3)
    )
    nz, ny, nx = data.shape
    lines = [
        "NRRD0004",
        f"type: {_TYPES[data.dtype.str]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {nx} {ny} {nz}",
        f"space directions: {directions}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: ({','.join(repr(float(item)) for item in origin)})",
    ]
    if not segments:  # Slicer refuses units in a segmentation
        lines.insert(-1, 'space units: "um" "um" "um"')
    else:
        lines += _segments(data, volume.roles)
    with path.open("wb") as out:
        out.write(("\n".join(lines) + "\n\n").encode())
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=4, mtime=0) as packed:
            packed.write(data.tobytes())
    return data


def _segments(data: npt.NDArray[Any], roles: dict[int, str]) -> list[str]:
    """Fields that make Slicer show labels as named segments."""
    lines = ["Segmentation_ContainedRepresentationNames:=Binary labelmap|"]
    colours = ((0.9, 0.6, 0.0), (0.35, 0.7, 0.9), (0.0, 0.6, 0.5), (0.8, 0.4, 0.0), (0.8, 0.6, 0.7))
    present = [int(label) for label in np.unique(data) if label]
    nz, ny, nx = data.shape
    for k, label in enumerate(present):
        role = roles.get(label, "object")
        single = sum(roles.get(other, "object") == role for other in present) == 1
        colour = " ".join(f"{c:g}" for c in colours[k % len(colours)])
        lines += [
            f"Segment{k}_ID:=Segment_{label}",
            f"Segment{k}_Name:={role if single else f'{role} {label}'}",
            f"Segment{k}_LabelValue:={label}",
            f"Segment{k}_Layer:=0",
            f"Segment{k}_Color:={colour}",
            f"Segment{k}_Extent:=0 {nx - 1} 0 {ny - 1} 0 {nz - 1}",
        ]
    return lines


def read_nrrd(path: Path) -> RawVolume:
    """Read NRRD with the data in the same file; lengths without a unit are µm, as written here."""
    try:
        content = path.read_bytes()
        # Lines may end as on Windows; what follows the empty line is data and stays as it is.
        ends = [at for mark in (b"\n\n", b"\r\n\r\n") if (at := content.find(mark)) >= 0]
        cut = min(ends, default=len(content))
        body = content[cut + (2 if content[cut : cut + 2] == b"\n\n" else 4) :]
        lines = content[:cut].decode("utf-8").replace("\r\n", "\n").split("\n")
        if not lines[0].startswith("NRRD000"):
            raise ReadError(f"{path}: does not begin with NRRD.")
        fields, keys = _fields(lines[1:])
        data = _array(fields, body, path)
        voxel, origin = _place(fields)
        roles = _roles(keys)
    except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ReadError(f"{path}: cannot be read as NRRD: {error}.") from error
    return RawVolume(data, voxel, origin, roles)


def _fields(lines: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    fields, keys = {}, {}
    for line in lines:
        if ":=" in line:
            name, _, value = line.partition(":=")
            keys[name] = value
        elif not line.startswith("#") and ": " in line:
            name, _, value = line.partition(": ")
            fields[name.strip().lower()] = value.strip()
    return fields, keys


def _array(fields: dict[str, str], body: bytes, path: Path) -> npt.NDArray[Any]:
    if "data file" in fields or "datafile" in fields or fields.get("encoding") not in (
        "gzip", "gz", "raw",
    ):  # fmt: skip
        raise ReadError(f"{path}: data in the same file, raw or gzip, were expected.")
    kind = np.dtype(_ALIASES.get(fields["type"], fields["type"]))
    big = fields.get("endian", "little") == "big"
    sizes = [int(size) for size in fields["sizes"].split()]
    if len(sizes) != 3:
        raise ReadError(f"{path}: three axes were expected, found sizes {sizes}.")
    check_declared(sizes, kind.itemsize, path)
    n_bytes = math.prod(sizes) * kind.itemsize
    raw = body
    if fields["encoding"] != "raw":
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            raw = packed.read(n_bytes + 1)  # to the end: there its sum is checked
        if len(raw) != n_bytes:
            raise ValueError(f"{n_bytes} bytes were expected, found {len(raw)} or more")
    data = np.frombuffer(raw, kind.newbyteorder(">" if big else "<"), count=math.prod(sizes))
    return data.reshape(sizes[::-1]).astype(kind)


def _place(
    fields: dict[str, str],
) -> tuple[npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]:
    if "space directions" not in fields:
        return None, None
    rows = [_vector(item) for item in fields["space directions"].split(") ")]
    matrix = np.array(rows)
    if np.abs(matrix - np.diag(np.diag(matrix))).max() > 0 or (np.diag(matrix) <= 0).any():
        raise ValueError("axes that are turned or mirrored are not supported")
    unit = fields.get("space units", "").replace('"', "").split()
    scale = _NM[unit[0] if unit else ""]
    origin = _vector(fields.get("space origin", "(0,0,0)"))
    return np.diag(matrix)[::-1] * scale, np.array(origin)[::-1] * scale


def _vector(text: str) -> list[float]:
    return [float(item) for item in text.strip().strip("()").split(",")]


def _roles(keys: dict[str, str]) -> dict[int, str]:
    roles = {}
    for name, value in keys.items():
        if name.startswith("Segment") and name.endswith("_LabelValue"):
            label = int(value)
            title = keys.get(name.replace("_LabelValue", "_Name"), "object")
            roles[label] = title.removesuffix(f" {label}")
    return roles
