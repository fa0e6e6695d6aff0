"""Every body of an envelope taken apart into shafts and what stands out of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.sparse import csgraph

from nanospine.core.progress import Progress, report
from nanospine.spines.elongation import squeeze_of
from nanospine.spines.levels import part_of
from nanospine.spines.model import BACKGROUND, SHAFT
from nanospine.spines.protrusion import Protrusion
from nanospine.spines.shaft import ShaftAxis, find_axes
from nanospine.spines.solid import make_solid
from nanospine.spines.split import edge_graph, split_protrusions
from nanospine.spines.walls import Membrane

__all__ = ["MIN_SHAFT_NM", "MIN_SHAFT_WIDTHS", "Dissection", "dissect"]

IntArray = npt.NDArray[np.int64]

# A body shorter than this, or than this many of its own widths, is no stretch of dendrite.
MIN_SHAFT_NM = 1000.0
MIN_SHAFT_WIDTHS = 1.6
# Thinner ones are axons, or bundles of filaments.
_SHAFT_DIAMETER_NM = (230.0, 4000.0)


@dataclass(frozen=True, eq=False)
class Dissection:
    """Axes, protrusions and the label of every vertex of the mesh.

    `loose` are the vertices of bodies without a shaft, `rejected` says what each of them or of
    their stretches is; `continued` processes go on where a shaft ends. `squeezed` says how
    many times the most drawn out body was shortened to tell its spines from its shaft (1: not).
    """

    axes: tuple[ShaftAxis, ...]
    protrusions: tuple[Protrusion, ...]
    vertex_spine: IntArray
    loose: tuple[IntArray, ...]
    rejected: tuple[str, ...]
    continued: int
    squeezed: float


def dissect(
    mesh: trimesh.Trimesh,
    membrane: Membrane | None,
    *,
    min_length_nm: float,
    base_nm: float,
    join_nm: float,
    progress: Progress | None,
) -> Dissection:
    """Find axes and protrusions in every body of the mesh."""
    n = len(mesh.vertices)
    graph = edge_graph(mesh)
    count, body = csgraph.connected_components(graph, directed=False)
    vertex_spine = np.full(n, BACKGROUND, dtype=np.int64)
    all_axes: list[ShaftAxis] = []
    protrusions: list[Protrusion] = []
    rejected: list[str] = []
    loose: list[IntArray] = []
    continued, squeezed = 0, 1.0
    sizes = np.bincount(body, minlength=count)
    by_body = np.split(np.argsort(body, kind="stable"), np.cumsum(sizes)[:-1])
    for done, number in enumerate(np.argsort(-sizes)):
        report(progress, "finding the shaft", done / count)
        vertices = by_body[number]
        extent = np.ptp(np.asarray(mesh.vertices)[vertices], axis=0)
        if np.linalg.norm(extent) < MIN_SHAFT_NM or len(vertices) < 20:
            rejected.append(f"{np.linalg.norm(extent):.0f} nm long")
            loose.append(vertices)
            continue
        part, vertices = part_of(mesh, body[mesh.faces[:, 0]] == number)
        squeeze = squeeze_of(part)
        if squeeze is not None:
            part = trimesh.Trimesh(part.vertices @ squeeze.T, part.faces, process=False)
        axes, reasons = _accepted(find_axes(make_solid(part)))
        rejected += reasons
        if not axes:
            loose.append(vertices)
            continue
        vertex_spine[vertices] = SHAFT
        cut, ends = split_protrusions(
            part, axes, min_length_nm=min_length_nm, base_nm=base_nm, join_nm=join_nm,
            membrane=membrane if squeeze is None else None,
        )  # fmt: skip
        continued += ends
        for found in cut:
            whole = Protrusion(vertices[found.vertices], found.distance_nm, found.heads)
            vertex_spine[whole.vertices] = len(protrusions)
            protrusions.append(whole)
        if squeeze is not None:
            back = np.asarray(np.linalg.inv(squeeze), dtype=np.float64)
            axes = tuple(axis.mapped(back) for axis in axes)
            squeezed = max(squeezed, float(np.linalg.svd(squeeze)[1].min() ** -1))
        all_axes += axes
    report(progress, "finding the shaft", 1.0)
    return Dissection(
        tuple(all_axes), tuple(protrusions), vertex_spine, tuple(loose), tuple(rejected),
        continued, squeezed,
    )  # fmt: skip


def _accepted(axes: tuple[ShaftAxis, ...]) -> tuple[tuple[ShaftAxis, ...], list[str]]:
    """Keep the stretches that are long and thick enough to be dendrite; say why not the others."""
    kept, reasons = [], []
    for axis in axes:
        width = 2 * float(np.median(axis.mean_radius_nm))
        text = f"{axis.length_nm:.0f} nm long and {width:.0f} nm wide"
        low, high = _SHAFT_DIAMETER_NM
        if axis.length_nm < max(MIN_SHAFT_NM, MIN_SHAFT_WIDTHS * width) or not low < width < high:
            reasons.append(text)
        else:
            kept.append(axis)
    return tuple(kept), reasons
