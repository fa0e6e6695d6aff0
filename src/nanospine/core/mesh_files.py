"""Triangles from mesh files of anywhere, checked so that compiled code may follow them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nanospine.core.errors import ReadError

if TYPE_CHECKING:
    import trimesh

__all__ = ["load_triangles"]


def load_triangles(path: Path) -> trimesh.Trimesh:
    """Read the triangles of a mesh file, vertices as they are in it.

    Vertices are not merged, which breaks meshes whose sheets touch. Materials and textures, which
    an .obj names as other files, are not looked for.

    Raises
    ------
    ReadError
        When the file cannot be read, holds no triangles, or its triangles name vertices that are
        not there: compiled code would follow them out of memory.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "one.off"
    ...     _ = path.write_text("OFF\\n3 1 0\\n0 0 0\\n1 0 0\\n0 1 0\\n3 0 1 2\\n")
    ...     len(load_triangles(path).faces)
    1
    """
    import trimesh

    log = trimesh.util.log
    options = {"skip_materials": True} if path.suffix.lower() == ".obj" else {}
    was = log.disabled
    try:
        # What it tells of its own attempts, tracebacks among it, is for its authors.
        log.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mesh = trimesh.load_mesh(path, process=False, **options)
    except Exception as error:  # five parsers meet bytes that nobody foresaw
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(f"{path}: cannot be read as a mesh ({reason}).") from error
    finally:
        log.disabled = was
    if not isinstance(mesh, trimesh.Trimesh) or len(mesh.faces) == 0:
        raise ReadError(f"{path}: a mesh with triangles was expected; it holds no triangles.")
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ReadError(
            f"{path}: vertices of three coordinates and faces of three corners were "
            f"expected, found shapes {vertices.shape} and {faces.shape}."
        )
    if faces.min() < 0 or faces.max() >= len(vertices):
        worst = faces.min() if faces.min() < 0 else faces.max()
        raise ReadError(
            f"{path}: a triangle names vertex {worst} of {len(vertices)}; the file is damaged."
        )
    if not np.isfinite(vertices).all():
        raise ReadError(f"{path}: some vertices are not finite numbers.")
    return mesh
