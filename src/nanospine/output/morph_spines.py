"""The dendrite with its spines as HDF5 in the layout of the morph-spines package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import GeometryError, WriteError
from nanospine.core.files import atomic_path
from nanospine.core.history import plain
from nanospine.output.swc import SWC_DENDRITE, Tree, add_shaft, spine_nodes
from nanospine.spines.model import Spine, Spines
from nanospine.version import __version__

__all__ = ["write_morph_spines"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_UM_PER_NM = 1e-3
_NAME = "dendrite"
# In the file types of sections are those of SWC; 1 is the soma, which localizations do not show.
_SOMA = 1
_TRIANGLE = np.array([[1.0, 0.0, 0.0], [-0.5, 0.75**0.5, 0.0], [-0.5, -(0.75**0.5), 0.0]])


def write_morph_spines(spines: Spines, path: str | os.PathLike[str]) -> None:
    """Write the dendrite, the skeleton, mesh and row of every spine as one HDF5 file.

    The layout is that of morph-spines 1.0 (Open Brain Institute): `/morphology/dendrite` holds the
    shaft as sections of the H5 v1 format of neuron morphologies, `/edges/dendrite` the table,
    `/spines/skeletons` and `/spines/meshes` the spines, each in a frame of its own whose origin is
    its base and whose y axis points to its tip. Lengths are micrometres; the origin is that of
    the localizations. The metadata of `/edges/dendrite` say so, and hold the table of nanospine in
    nanometres as JSON. The fourth number of a point is the diameter, as readers of that format
    take it.

    The layout knows no missing numbers: `spine_neck_diameter` is left out when a neck could not
    be measured, which the metadata say.

    Parameters
    ----------
    spines : Spines
        With a shaft and spines.
    path : path-like
        Ends in .h5 or .hdf5.

    Raises
    ------
    GeometryError
        When there is no shaft or no spine.
    WriteError
        For another suffix, or a place that cannot be written to.

    Notes
    -----
    Readers of the format ask for a cell body, which the localizations do not show: a contour of
    three points around the first end of the shaft stands in for it.
    """
    target = Path(path)
    if target.suffix.lower() not in (".h5", ".hdf5"):
        raise WriteError(f"{target}: morph-spines files end in .h5; found {target.suffix!r}.")
    if spines.shaft is None or not len(spines):
        raise GeometryError(
            "morph-spines: a dendrite with spines is needed, there are none. "
            + " ".join(spines.notes)
        )
    tree = Tree()
    add_shaft(tree, spines.shaft)
    sections = _sections(tree)
    with atomic_path(target) as temporary, h5py.File(temporary, "w") as file:
        _write_skeleton(file.create_group(f"morphology/{_NAME}"), *_dendrite(tree, sections))
        frames = [_frame(spine) for spine in spines.spines]
        _write_table(file, spines, tree, sections, frames)
        _write_spines(file, spines, frames)


def _sections(tree: Tree) -> list[list[int]]:
    """Unbranched runs of nodes; each begins with the node that it hangs on, if there is one."""
    children = np.bincount([p for p in tree.parent if p >= 0], minlength=len(tree.parent))
    section_of: dict[int, int] = {}
    sections: list[list[int]] = []
    for node, parent in enumerate(tree.parent):
        if parent >= 0 and children[parent] == 1:
            number = section_of[parent]
            sections[number].append(node)
        else:
            number = len(sections)
            sections.append([node] if parent < 0 else [parent, node])
        section_of[node] = number
    # A root from which several stretches part is the first point of each of them
    return [section for section in sections if len(section) > 1]


def _dendrite(tree: Tree, sections: list[list[int]]) -> tuple[FloatArray, IntArray]:
    """Points (x, y, z, diameter in um) and rows (first point, type, parent) of all sections."""
    place, radius = np.array(tree.place), np.array(tree.radius)
    start = sections[0][0]
    around = place[start] + radius[start] * _TRIANGLE
    points = [np.column_stack([around, np.zeros(len(around))])]
    rows = [(0, _SOMA, -1)]
    first = len(around)
    ends = {section[-1]: number for number, section in enumerate(sections, start=1)}
    for section in sections:
        points.append(np.column_stack([place[section], 2 * radius[section]]))
        rows.append((first, SWC_DENDRITE, ends.get(section[0], 0)))
        first += len(section)
    return np.concatenate(points) * _UM_PER_NM, np.array(rows, dtype=np.int64)


def _frame(spine: Spine) -> tuple[FloatArray, FloatArray]:
    """Origin (3,), nm, and axes of a spine: columns of the matrix, y towards the tip."""
    line = np.asarray(spine.centreline_nm, dtype=np.float64)
    y = line[-1] - line[0]
    y = y / max(float(np.linalg.norm(y)), 1e-9)
    x = np.cross(y, np.eye(3)[int(np.abs(y).argmin())])
    x /= np.linalg.norm(x)
    return line[0], np.column_stack([x, y, np.cross(x, y)])


def _write_skeleton(group: h5py.Group, points: FloatArray, rows: IntArray) -> None:
    metadata = group.create_group("metadata")
    metadata.attrs["cell_family"] = np.uint32(0)
    metadata.attrs["version"] = np.array([1, 3], dtype=np.uint32)
    group.create_dataset("points", data=points.astype(np.float32))
    group.create_dataset("structure", data=rows.astype(np.int32))


def _write_spines(
    file: h5py.File, spines: Spines, frames: list[tuple[FloatArray, FloatArray]]
) -> None:
    """Skeletons and meshes of the spines, each in its own frame."""
    points, rows, vertices, faces, offsets = [], [], [], [], [(0, 0)]
    first = 0
    for spine, (origin, axes) in zip(spines.spines, frames, strict=True):
        nodes, radii = spine_nodes(spine)
        local = (nodes - origin) @ axes
        points.append(np.column_stack([local, 2 * radii]) * _UM_PER_NM)
        rows.append((first, SWC_DENDRITE, -1))
        first += len(nodes)
        mesh = spine.mesh
        vertices.append((np.asarray(mesh.vertices) - origin) @ axes * _UM_PER_NM)
        faces.append(np.asarray(mesh.faces, dtype=np.int64))
        offsets.append((offsets[-1][0] + len(mesh.vertices), offsets[-1][1] + len(mesh.faces)))
    group = file.create_group(f"spines/skeletons/{_NAME}")
    _write_skeleton(group, np.concatenate(points), np.array(rows, dtype=np.int64))
    meshes = file.create_group(f"spines/meshes/{_NAME}")
    for name, data in (
        ("vertices", np.concatenate(vertices).astype(np.float32)),
        ("triangles", np.concatenate(faces).astype(np.int32)),
        ("offsets", np.array(offsets, dtype=np.int64)),
    ):
        meshes.create_dataset(name, data=data, compression="gzip")


def _write_table(
    file: h5py.File,
    spines: Spines,
    tree: Tree,
    sections: list[list[int]],
    frames: list[tuple[FloatArray, FloatArray]],
) -> None:
    from scipy.spatial.transform import Rotation

    rows = []
    for spine, (origin, axes) in zip(spines.spines, frames, strict=True):
        row: dict[str, Any] = {"spine_morphology": _NAME, "spine_id": np.uint32(spine.id)}
        row |= _named("afferent_surface", origin * _UM_PER_NM)
        row |= _on_shaft(origin, tree, sections)
        row["spine_length"] = float(spine.row["length_nm"]) * _UM_PER_NM
        row |= _named("spine_orientation_vector", axes[:, 1])
        row |= _named("spine_rotation", Rotation.from_matrix(axes).as_quat(), "xyzw")
        row["spine_volume"] = float(spine.row["volume_nm3"]) * _UM_PER_NM**3
        row["spine_neck_diameter"] = float(spine.row["neck_diameter_nm"]) * _UM_PER_NM
        row["spine_type"] = spine.type
        rows.append(row)
    table = pd.DataFrame(rows)
    left_out = [
        name for name in ("spine_volume", "spine_neck_diameter") if not (table[name] > 0).all()
    ]
    group = file.create_group(f"edges/{_NAME}")
    for name in table.columns.drop(left_out):
        values = table[name].to_numpy()
        if values.dtype.kind in "OUT":
            group.create_dataset(str(name), data=values.astype(object), dtype=h5py.string_dtype())
        else:
            group.create_dataset(str(name), data=values)
    metadata = group.create_group("metadata")
    metadata.attrs["version"] = np.array([1, 0], dtype=np.uint32)
    metadata.attrs["unit"] = "micrometre"
    metadata.attrs["origin"] = "as in the localizations"
    metadata.attrs["generator"] = f"nanospine {__version__}"
    metadata.attrs["left_out"] = (
        f"not measured for every spine: {', '.join(left_out)}" if left_out else ""
    )
    import json

    records = plain(spines.table.to_dict(orient="records"))
    metadata.create_dataset(
        "nanospine_table_nm", data=json.dumps(records), dtype=h5py.string_dtype()
    )


def _on_shaft(base: FloatArray, tree: Tree, sections: list[list[int]]) -> dict[str, Any]:
    """Section, segment and position on the axis of the shaft that are nearest to a base."""
    place = np.array(tree.place)
    best: tuple[float, dict[str, Any]] = (np.inf, {})
    for number, section in enumerate(sections, start=1):
        nodes = place[section]
        if len(nodes) < 2:
            continue
        step = np.diff(nodes, axis=0)
        size = np.maximum(np.einsum("ij,ij->i", step, step), 1e-12)
        share = np.clip(np.einsum("ij,ij->i", base - nodes[:-1], step) / size, 0.0, 1.0)
        foot = nodes[:-1] + share[:, None] * step
        far = np.linalg.norm(foot - base, axis=1)
        segment = int(far.argmin())
        if far[segment] < best[0]:
            lengths = np.sqrt(size)
            offset = float(share[segment] * lengths[segment])
            found = {
                **_named("afferent_center", foot[segment] * _UM_PER_NM),
                "afferent_section_id": np.uint32(number),
                "afferent_segment_id": np.int64(segment),
                "afferent_segment_offset": offset * _UM_PER_NM,
                "afferent_section_pos": min(
                    float((lengths[:segment].sum() + offset) / lengths.sum()), 1.0
                ),
            }
            best = (float(far[segment]), found)
    return best[1]


def _named(name: str, values: FloatArray, axes: str = "xyz") -> dict[str, float]:
    return {f"{name}_{axis}": float(value) for axis, value in zip(axes, values, strict=True)}
