"""Meshes for other programs: coloured by spine type, their unit stated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh
from shapely.geometry import mapping

from nanospine.core.colours import BACKGROUND_COLOUR, SHAFT_COLOUR, TYPE_COLOURS, rgb
from nanospine.core.errors import WriteError
from nanospine.core.files import atomic_path
from nanospine.output.export_glb import glb_bytes
from nanospine.output.export_vtp import vtp_bytes
from nanospine.spines.model import SHAFT, Spines
from nanospine.surface.enveloped import Envelope
from nanospine.surface.outline import Outline
from nanospine.version import __version__

__all__ = ["MESH_SUFFIXES", "mesh_bytes", "vertex_colours", "write_mesh", "write_outline"]

#: Formats that meshes are written in.
MESH_SUFFIXES = (".glb", ".ply", ".stl", ".obj", ".off", ".vtp")

_ORIGIN = "as in the localizations"


def vertex_colours(spines: Spines) -> npt.NDArray[np.float64]:
    """Colour of each vertex of the envelope by the type of its spine, shape (n, 3), 0 to 1."""
    palette = [rgb(TYPE_COLOURS[spine.type]) for spine in spines.spines]
    table = np.stack([rgb(BACKGROUND_COLOUR), rgb(SHAFT_COLOUR), *palette])
    # Labels are -2 elsewhere, -1 shaft, 0 ... spines; without a shaft all is "elsewhere"
    return np.asarray(table[np.maximum(spines.vertex_spine, SHAFT - 1) + 2])


def write_mesh(thing: trimesh.Trimesh | Envelope | Spines, path: str | os.PathLike[str]) -> None:
    """Write a mesh, an envelope, or an envelope coloured by spine type.

    All but GLB are in nanometres, from the origin of the localizations, and say so: PLY, OBJ, OFF
    and VTP in a comment, STL in its header. GLB viewers expect objects of about the size of one
    unit: one unit is one micrometre there, which the file's extras state; of spines they hold type,
    length, neck and head too.

    Parameters
    ----------
    thing : trimesh.Trimesh, Envelope or Spines
        Spines give the whole envelope with a colour per vertex; STL and OFF keep no colours. VTP
        holds the number of the spine of each vertex too (-1 shaft, -2 elsewhere).
    path : path-like
        The suffix chooses the format: .glb, .ply, .stl, .obj, .off or .vtp.

    Raises
    ------
    WriteError
        When the suffix is none of these, or the place cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_mesh(trimesh.creation.icosphere(radius=100.0), f"{folder}/ball.ply")
    ...     trimesh.load_mesh(f"{folder}/ball.ply").is_watertight
    True
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise WriteError(
            f"{target}: meshes are written as {', '.join(MESH_SUFFIXES)}; found {suffix!r}."
        )
    content = mesh_bytes(thing, suffix)
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def mesh_bytes(thing: trimesh.Trimesh | Envelope | Spines, suffix: str) -> bytes:
    """Give the bytes of a mesh file with its unit and origin in it."""
    mesh = _coloured(thing)
    if suffix == ".glb":
        extras = {
            "unit": "micrometre", "origin": _ORIGIN, "generator": f"nanospine {__version__}",
        }  # fmt: skip
        return glb_bytes(mesh, extras, thing if isinstance(thing, Spines) else None)
    note = f"nanospine {__version__}; unit nanometre; origin {_ORIGIN}"
    if suffix == ".vtp":
        values: dict[str, npt.NDArray[Any]] = {}
        if not isinstance(thing, trimesh.Trimesh):
            values["colour"] = np.asarray(mesh.visual.vertex_colors, dtype=np.uint8)[:, :3]
        if isinstance(thing, Spines):
            values["spine"] = np.asarray(thing.vertex_spine, dtype=np.int64)
        return vtp_bytes(mesh, values, note)
    data = mesh.export(file_type=suffix[1:])
    content = data if isinstance(data, bytes) else str(data).encode()
    if suffix == ".ply":
        head, mark, rest = content.partition(b"\nelement vertex")
        return head + f"\ncomment {note}".encode() + mark + rest
    if suffix == ".obj":
        return f"# {note}\n".encode() + content
    if suffix == ".off":
        head, mark, rest = content.partition(b"OFF\n")
        return head + mark + f"# {note}\n".encode() + rest
    if suffix == ".stl":  # 80 bytes for whatever one likes, but "solid" at their start
        return note.encode()[:80].ljust(80) + content[80:]
    return content


def write_outline(found: Outline, path: str | os.PathLike[str]) -> None:
    """Write the outline of 2-D localizations as GeoJSON, which QuPath and GIS programs open.

    One feature per body with its area and perimeter; coordinates are nanometres, as a member
    `unit` says.

    Raises
    ------
    WriteError
        When the suffix is not .geojson or .json, or the place cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> from nanospine.surface.outline import outline
    >>> found = outline(np.random.default_rng(0).random((500, 2)) * 1000)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_outline(found, f"{folder}/cell.geojson")
    ...     json.loads(Path(f"{folder}/cell.geojson").read_text())["unit"]
    'nanometre'
    """
    target = Path(path)
    if target.suffix.lower() not in (".geojson", ".json"):
        raise WriteError(
            f"{target}: outlines of 2-D data are written as .geojson; found {target.suffix!r}."
        )
    features = [
        {
            "type": "Feature",
            "geometry": mapping(item),
            "properties": {"area_nm2": item.area, "perimeter_nm": item.length},
        }
        for item in found.polygon.geoms
    ]
    content = {
        "type": "FeatureCollection",
        "unit": "nanometre",
        "generator": f"nanospine {__version__}",
        "alpha_nm": found.alpha_nm if np.isfinite(found.alpha_nm) else None,
        "features": features,
    }
    with atomic_path(target) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def _coloured(thing: trimesh.Trimesh | Envelope | Spines) -> trimesh.Trimesh:
    """A copy of the mesh with colours where they are known."""
    if isinstance(thing, trimesh.Trimesh):
        return thing.copy()
    if isinstance(thing, Envelope):
        colours = np.tile(rgb(SHAFT_COLOUR), (len(thing.mesh.vertices), 1))
        mesh = thing.mesh
    else:
        colours = vertex_colours(thing)
        found = thing.envelope
        mesh = found if isinstance(found, trimesh.Trimesh) else found.mesh
    with_alpha = np.column_stack([colours, np.ones(len(colours))])
    return trimesh.Trimesh(
        np.array(mesh.vertices), np.array(mesh.faces), process=False,
        vertex_colors=np.round(with_alpha * 255).astype(np.uint8),
    )  # fmt: skip
