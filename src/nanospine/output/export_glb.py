"""GLB as viewers want it: linear colours, a dull material, the spines in the extras."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh

from nanospine.spines.model import Spines

__all__ = ["glb_bytes"]

_UNITS_PER_NM = 1e-3
_ARRAY, _INDICES = 34962, 34963


def glb_bytes(mesh: trimesh.Trimesh, extras: dict[str, Any], spines: Spines | None) -> bytes:
    """Give the bytes of a GLB file of a mesh in nanometres; one unit in it is a micrometre.

    Colours of vertices are linear in glTF, where pictures and style sheets hold them by the sRGB
    curve: as they are, viewers would show them washed out. Without a material glTF means polished
    metal, which is black where there is nothing to mirror.

    Examples
    --------
    >>> data = glb_bytes(trimesh.creation.icosphere(radius=100.0), {"unit": "micrometre"}, None)
    >>> data[:4]
    b'glTF'
    """
    mesh = mesh.copy()
    mesh.apply_scale(_UNITS_PER_NM)
    mesh.metadata = {**extras, **_of_spines(spines)}
    if mesh.visual.kind == "vertex":
        colours = np.array(mesh.visual.vertex_colors)
        colours[:, :3] = np.round(255 * _linear(colours[:, :3] / 255))
        mesh.visual.vertex_colors = colours
    generator = extras.get("generator", "nanospine")

    def mend(tree: dict[str, Any]) -> None:
        tree["asset"]["generator"] = generator
        tree["materials"] = [
            {
                "name": "surface",
                "doubleSided": True,
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8},
            }
        ]
        for item in tree["meshes"]:
            for part in item["primitives"]:
                part["material"] = 0
                for name in part["attributes"].values():
                    tree["bufferViews"][tree["accessors"][name]["bufferView"]]["target"] = _ARRAY
                index = tree["accessors"][part["indices"]]["bufferView"]
                tree["bufferViews"][index]["target"] = _INDICES

    data = mesh.export(file_type="glb", tree_postprocessor=mend)
    assert isinstance(data, bytes)
    return data


def _linear(srgb: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Undo the curve of sRGB (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _of_spines(spines: Spines | None) -> dict[str, Any]:
    """What is known of each spine, as JSON has it: no NaN."""
    if spines is None:
        return {}
    names = ["spine", "type", "length_nm", "neck_diameter_nm", "head_diameter_nm"]
    table = spines.table
    rows = table[[name for name in names if name in table]].round(3).astype(object)
    return {"spines": rows.where(rows.notna(), None).to_dict("records")}
