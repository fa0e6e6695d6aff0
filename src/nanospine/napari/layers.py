"""Localizations, envelopes and spines as napari layers.

napari counts axes z, y, x; positions are in nanometres, and the layers say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.colours import SHAFT_COLOUR, rgb
from nanospine.output.export import vertex_colours
from nanospine.output.render_colours import point_colours
from nanospine.output.render_marks import ring_nm

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.spines.model import Spines
    from nanospine.surface.enveloped import Envelope

__all__ = [
    "KEY",
    "MOST_POINTS",
    "LayerData",
    "envelope_layer",
    "localization_layer",
    "mesh_layer",
    "spine_layers",
]

#: What napari takes for a layer: data, options, kind.
LayerData = tuple[Any, dict[str, Any], str]

#: Under this name a layer's metadata hold the object that it shows.
KEY = "nanospine"

#: Beyond this many localizations a layer of points is too slow: a volume of counts is shown.
MOST_POINTS = 1_000_000
_MOST_VOXELS = 24_000_000
_UNITS = ("nm", "nm", "nm")
_POINT_NM = 25.0


def localization_layer(locs: Localizations, name: str = "localizations") -> LayerData:
    """Localizations as points coloured by channel or depth; beyond a million as a density volume.

    The layer's features are the columns of the table, its metadata hold the localizations.

    Examples
    --------
    >>> import nanospine as ns
    >>> data, options, kind = localization_layer(ns.from_arrays([[1, 2, 3], [4, 5, 6.0]]))
    >>> kind, data[0].tolist(), options["units"]
    ('points', [3.0, 2.0, 1.0], ('nm', 'nm', 'nm'))
    """
    if len(locs) > MOST_POINTS:
        return _density_layer(locs, name)
    options: dict[str, Any] = {
        "name": name,
        "size": _POINT_NM,
        "border_width": 0,
        "features": locs.to_frame(),
        "metadata": {KEY: locs},
        "units": _UNITS,
        "shading": "spherical",
    }
    if len(locs):
        colours = point_colours(locs, "channel" if len(locs.channels) > 1 else "depth")
        options["face_color"] = colours.table[colours.shade]
    return locs.xyz_nm[:, ::-1], options, "points"


def _density_layer(locs: Localizations, name: str) -> LayerData:
    """Counts in cubes, as many as memory and graphics card bear."""
    xyz = locs.xyz_nm
    low = xyz.min(axis=0)
    span = xyz.max(axis=0) - low
    size = 10.0
    while np.prod(np.floor(span / size) + 1) > _MOST_VOXELS:
        size *= 1.25
    shape = tuple((np.floor(span / size) + 1).astype(int)[::-1])
    cell = ((xyz - low) / size).astype(np.int64)[:, ::-1]
    flat = np.ravel_multi_index(cell.T, shape)
    count = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape)
    inside = count[count > 0]
    options = {
        "name": f"{name} (density)",
        "scale": (size,) * 3,
        "translate": tuple(low[::-1] + size / 2),
        "units": _UNITS,
        "colormap": "inferno",
        "rendering": "attenuated_mip",
        "contrast_limits": (0, float(max(np.percentile(inside, 99), 1))),
        "metadata": {KEY: locs},
    }
    return count.astype(np.uint16), options, "image"


def mesh_layer(mesh: trimesh.Trimesh, name: str, colours: npt.NDArray[np.float64]) -> LayerData:
    """A mesh in nm as a surface; colours (n, 3) are those of its vertices."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64)[:, ::-1]
    # Turning the axes round turns the faces inside out; the other way round they face outward
    faces = np.asarray(mesh.faces, dtype=np.int64)[:, ::-1]
    rgba = np.column_stack([colours, np.ones(len(colours))]).astype(np.float32)
    options = {
        "name": name,
        "vertex_colors": rgba,
        "shading": "smooth",
        "units": _UNITS,
    }
    return (vertices, faces), options, "surface"


def envelope_layer(found: Envelope, name: str = "envelope") -> LayerData:
    """An envelope as a grey surface; the metadata hold it."""
    colours = np.tile(rgb(SHAFT_COLOUR), (len(found.mesh.vertices), 1))
    data, options, kind = mesh_layer(found.mesh, name, colours)
    return data, {**options, "opacity": 0.5, "metadata": {KEY: found}}, kind


def spine_layers(found: Spines, name: str = "spines") -> list[LayerData]:
    """Spines coloured by type as a surface, their necks as rings, their tips as points.

    The layer of tips carries the table: its features are the columns, and selecting a tip
    selects the spine.
    """
    mesh = found.envelope if isinstance(found.envelope, trimesh.Trimesh) else found.envelope.mesh
    data, options, kind = mesh_layer(mesh, name, vertex_colours(found))
    layers: list[LayerData] = [(data, {**options, "metadata": {KEY: found}}, kind)]
    rings = [ring for ring in map(ring_nm, found.spines) if ring is not None]
    if rings:
        marks = {
            "name": f"{name}: necks",
            "shape_type": "path",
            "edge_color": "white",
            "edge_width": 8.0,
            "units": _UNITS,
        }
        layers.append(([ring[:, ::-1] for ring in rings], marks, "shapes"))
    if len(found):
        tips = np.array([spine.centreline_nm[-1] for spine in found.spines])[:, ::-1]
        points = {
            "name": f"{name}: tips",
            "size": 60.0,
            "features": found.to_frame(),
            "text": {"string": "{spine}", "color": "white", "size": 10},
            "face_color": "white",
            "border_width": 0,
            "metadata": {KEY: found},
            "units": _UNITS,
        }
        layers.append((tips, points, "points"))
    return layers
