"""Surfaces and points small enough for a web page."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh

__all__ = ["mesh_for_web", "points_for_web"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MOST_FACES = 300_000
_MOST_POINTS = 150_000


def mesh_for_web(
    mesh: trimesh.Trimesh, vertex_spine: IntArray
) -> tuple[dict[str, Any], str | None]:
    """Give a mesh as base64 of quantised arrays, thinned when it is large, and a note if so.

    Positions are 16-bit within the bounding box: 0.2 nm in a field of 10 µm.
    """
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    labels = np.asarray(vertex_spine, dtype=np.int64)
    note = None
    if len(faces) > _MOST_FACES:
        before = len(faces)
        vertices, faces, labels = _clustered(vertices, faces, labels)
        note = (
            f"The surface in the 3-D view is thinned from {before:,} to {len(faces):,} faces; "
            "the files hold all of it."
        )
    low, span = _frame(vertices)
    packed = np.round((vertices - low) / span * 65535).astype("<u2")
    return {
        "low": low.tolist(),
        "span": span.tolist(),
        "vertices": _base64(packed),
        "faces": _base64(faces.astype("<u4")),
        "labels": _base64(labels.astype("<i2")),
    }, note


def points_for_web(
    xyz_nm: FloatArray, label: npt.NDArray[Any] | None
) -> tuple[dict[str, Any], str | None]:
    """Give points as base64 of quantised positions and labels, every k-th when they are many."""
    step = max(int(np.ceil(len(xyz_nm) / _MOST_POINTS)), 1)
    chosen = xyz_nm[::step]
    note = None
    if step > 1:
        note = f"The 3-D view shows one in {step} of {len(xyz_nm):,} localizations."
    labels = np.full(len(xyz_nm), -1) if label is None else label
    low, span = _frame(chosen)
    packed = np.round((chosen - low) / span * 65535).astype("<u2")
    return {
        "low": low.tolist(),
        "span": span.tolist(),
        "positions": _base64(packed),
        "labels": _base64(np.asarray(labels[::step]).astype("<i2")),
    }, note


def _frame(xyz: FloatArray) -> tuple[FloatArray, FloatArray]:
    if len(xyz) == 0:
        return np.zeros(3), np.ones(3)
    low = xyz.min(axis=0)
    return low, np.maximum(xyz.max(axis=0) - low, 1e-6)


def _base64(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _clustered(
    vertices: FloatArray, faces: IntArray, labels: IntArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Merge vertices in cubes of growing size until few enough faces are left."""
    edge = float(np.median(np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1)))
    size = 1.2 * edge
    while True:
        cell = np.floor((vertices - vertices.min(axis=0)) / size).astype(np.int64)
        # Vertices of different spines are kept apart, so that colours stay sharp.
        key = np.column_stack([cell, labels])
        _, first, member = np.unique(key, axis=0, return_index=True, return_inverse=True)
        member = member.ravel()
        count = np.bincount(member)
        merged = np.stack([np.bincount(member, weights=v) / count for v in vertices.T], axis=1)
        small = member[faces]
        kept = (
            (small[:, 0] != small[:, 1])
            & (small[:, 1] != small[:, 2])
            & (small[:, 0] != small[:, 2])
        )
        if kept.sum() <= _MOST_FACES:
            return merged, small[kept], labels[first]
        size *= 1.3
