"""Surfaces that are larger than memory, written to PLY piece by piece."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.errors import WriteError
from nanospine.core.files import atomic_path
from nanospine.output.export import mesh_bytes

__all__ = ["write_ply_pieces"]

_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


def write_ply_pieces(
    path: str | os.PathLike[str],
    n_vertices: int,
    n_faces: int,
    vertices: Iterable[npt.NDArray[np.float64]],
    faces: Iterable[npt.NDArray[np.integer]],
) -> None:
    """Write the bytes that :func:`nanospine.write_mesh` writes, holding one piece at a time.

    Parameters
    ----------
    path : path-like
        Appears whole, when the last piece is written.
    n_vertices, n_faces : int
        Of all pieces: the head of the file says them.
    vertices : iterable of ndarray, shape (n, 3)
        Nanometres; single precision in the file.
    faces : iterable of ndarray of int, shape (n, 3)

    Raises
    ------
    WriteError
        When the place cannot be written to, the pieces are not as many as said, or there are more
        vertices than a PLY file can number (2^31).

    Examples
    --------
    >>> import tempfile
    >>> ball = trimesh.creation.icosphere()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "ball.ply"
    ...     write_ply_pieces(path, 642, 1280, np.array_split(ball.vertices, 3), [ball.faces])
    ...     path.read_bytes() == mesh_bytes(ball, ".ply")
    True
    """
    target = Path(path)
    if n_vertices >= 2**31:
        raise WriteError(
            f"{target}: a PLY file numbers up to {2**31 - 1} vertices; the surface has "
            f"{n_vertices}. Give a larger alpha, or take the field in parts."
        )
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        file.write(_head(n_vertices, n_faces))
        left = [n_vertices, n_faces]
        for piece in vertices:
            file.write(np.ascontiguousarray(piece, dtype="<f4").tobytes())
            left[0] -= len(piece)
        for corners in faces:
            rows = np.empty(len(corners), dtype=_FACE)
            rows["count"], rows["corners"] = 3, corners
            file.write(rows.tobytes())
            left[1] -= len(corners)
        if any(left):
            raise WriteError(f"{target}: {left} vertices and faces less came than were said.")


def _head(n_vertices: int, n_faces: int) -> bytes:
    """Give the head of other PLY files, with other numbers."""
    one = mesh_bytes(trimesh.Trimesh(np.eye(3), [[0, 1, 2]], process=False), ".ply")
    head, end, _ = one.partition(b"end_header\n")
    head = head.replace(b"\nelement vertex 3\n", b"\nelement vertex %d\n" % n_vertices)
    return head.replace(b"\nelement face 1\n", b"\nelement face %d\n" % n_faces) + end
