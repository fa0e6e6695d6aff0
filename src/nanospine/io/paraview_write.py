"""Points for ParaView and mesh viewers: PLY (binary) and VTP (XML with appended binary data)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.files import atomic_path
from nanospine.core.localizations import Localizations
from nanospine.io.registry import register_writer

__all__ = ["write_ply_points", "write_vtp_points"]


def _numbers(locs: Localizations) -> dict[str, npt.NDArray[np.float32]]:
    """Give every numeric column but the positions; channels as numbers in their order."""
    result: dict[str, npt.NDArray[np.float32]] = {}
    for name in locs.table.columns:
        column = locs.table[name]
        if name in ("x_nm", "y_nm", "z_nm"):
            continue
        if name == "channel":
            result["channel"] = column.cat.codes.to_numpy().astype(np.float32)
        elif column.dtype.kind in "iufb":
            with np.errstate(over="ignore"):
                result[_plain(str(name))] = column.to_numpy().astype(np.float32)
    return result


def _plain(name: str) -> str:
    return "".join(sign if sign.isalnum() and sign.isascii() else "_" for sign in name)


@register_writer(name="ply", suffix=".ply")
def write_ply_points(locs: Localizations, path: Path) -> None:
    """Write a binary PLY of points: double x, y, z in nanometres, float for the other columns."""
    extra = _numbers(locs)
    record = np.dtype([(axis, "<f8") for axis in "xyz"] + [(name, "<f4") for name in extra])
    rows = np.zeros(len(locs), record)
    for number, axis in enumerate("xyz"):
        rows[axis] = locs.xyz_nm[:, number]
    for name, values in extra.items():
        rows[name] = values
    header = ["ply", "format binary_little_endian 1.0", "comment nanospine, nanometres"]
    header.append(f"element vertex {len(locs)}")
    header += [f"property double {axis}" for axis in "xyz"]
    header += [f"property float {name}" for name in extra]
    header.append("end_header\n")
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(header).encode("ascii"))
        file.write(rows.tobytes())


@register_writer(name="vtp", suffix=".vtp")
def write_vtp_points(locs: Localizations, path: Path) -> None:
    """Write VTK PolyData (.vtp) with one vertex per localization and all numeric columns."""
    n = len(locs)
    blocks: list[bytes] = []
    offset = 0

    def add(values: npt.NDArray[Any]) -> int:
        nonlocal offset
        data = values.tobytes()
        blocks.append(struct.pack("<Q", len(data)) + data)
        start, offset = offset, offset + 8 + len(data)
        return start

    def array(kind: str, name: str, values: npt.NDArray[Any], components: int = 1) -> str:
        return (
            f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{components}" '
            f'format="appended" offset="{add(values)}"/>'
        )

    points = array("Float64", "Points", locs.xyz_nm.astype("<f8"), 3)
    columns = "".join(
        array("Float32", name, values.astype("<f4")) for name, values in _numbers(locs).items()
    )
    ids = np.arange(n, dtype="<i8")
    verts = array("Int64", "connectivity", ids) + array("Int64", "offsets", ids + 1)
    text = (
        '<?xml version="1.0"?>\n<VTKFile type="PolyData" version="1.0" '
        'byte_order="LittleEndian" header_type="UInt64"><PolyData>'
        f'<Piece NumberOfPoints="{n}" NumberOfVerts="{n}" NumberOfLines="0" NumberOfStrips="0" '
        f'NumberOfPolys="0"><PointData>{columns}</PointData><Points>{points}</Points>'
        f"<Verts>{verts}</Verts></Piece></PolyData>"
        '<AppendedData encoding="raw">_'
    )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(text.encode("ascii"))
        for block in blocks:
            file.write(block)
        file.write(b"</AppendedData></VTKFile>\n")
