"""Surfaces as VTK PolyData (.vtp) for ParaView: exact coordinates, colours, spine by vertex."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh

__all__ = ["vtp_bytes"]

_KINDS = {"f8": "Float64", "i8": "Int64", "u1": "UInt8"}


def vtp_bytes(mesh: trimesh.Trimesh, of_vertex: Mapping[str, npt.NDArray[Any]], note: str) -> bytes:
    """Give a mesh as the bytes of a .vtp file.

    Parameters
    ----------
    mesh : trimesh.Trimesh
        Coordinates are written as they are, as doubles.
    of_vertex : mapping
        Name -> values of each vertex, (n,) or (n, k), of type float64, int64 or uint8.
    note : str
        Unit and origin; stands in a comment and in the field `nanospine`.

    Examples
    --------
    >>> ball = trimesh.creation.icosphere(radius=100.0)
    >>> vtp_bytes(ball, {}, "unit nanometre").count(b"<DataArray")
    3
    """
    faces = np.asarray(mesh.faces, dtype="<i8")
    ends = 3 * np.arange(1, len(faces) + 1, dtype="<i8")
    values = "".join(_array(name, item) for name, item in of_vertex.items())
    text = np.frombuffer(note.encode() + b"\0", dtype="u1")
    said = (  # VTK writes the letters of a text as numbers
        '<Array type="String" Name="nanospine" NumberOfTuples="1" format="ascii">'
        + " ".join(str(int(item)) for item in text)
        + "</Array>"
    )
    lines = (
        '<?xml version="1.0"?>',
        f"<!-- {note.replace('--', '- -')} -->",
        '<VTKFile type="PolyData" version="1.0" byte_order="LittleEndian" header_type="UInt64">',
        f"<PolyData><FieldData>{said}</FieldData>",
        f'<Piece NumberOfPoints="{len(mesh.vertices)}" NumberOfVerts="0" NumberOfLines="0" '
        f'NumberOfStrips="0" NumberOfPolys="{len(faces)}">',
        f"<PointData>{values}</PointData>",
        f"<Points>{_array('Points', np.asarray(mesh.vertices, dtype=np.float64))}</Points>",
        f"<Polys>{_array('connectivity', faces.ravel())}{_array('offsets', ends)}</Polys>",
        "</Piece></PolyData></VTKFile>",
        "",
    )
    return "\n".join(lines).encode()


def _array(name: str, values: npt.NDArray[Any]) -> str:
    kind = _KINDS[values.dtype.str[1:]]
    data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    code = base64.b64encode(struct.pack("<Q", len(data)) + data).decode("ascii")
    parts = values.shape[1] if values.ndim == 2 else 1
    return (
        f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{parts}" format="binary">'
        f"{code}</DataArray>"
    )
