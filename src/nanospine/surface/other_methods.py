"""Surfaces by other means than carving, brought to what an envelope promises: closed, outward."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.errors import GeometryError

__all__ = ["other_surface"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def other_surface(
    method: str,
    points: FloatArray,
    vertices: FloatArray,
    faces: IntArray,
    alpha_nm: float,
    label: str,
    noise_nm: float,
    fraction: float,
    notes: list[str],
) -> tuple[FloatArray, IntArray]:
    """Make a surface by another method and keep its closed bodies that are large enough.

    Raises
    ------
    GeometryError
        When nothing closed is left.
    """
    # Late: Open3D and scikit-image are slow to load.
    if method == "density":
        from nanospine.surface.density import density_surface

        kind = "filled" if label == "filled" else "membrane"
        found = density_surface(points, kernel_nm=alpha_nm, label=kind, noise_nm=noise_nm)  # type: ignore[arg-type]
    else:
        from nanospine.surface.open3d_surfaces import ball_pivoting_surface, poisson_surface

        make = poisson_surface if method == "poisson" else ball_pivoting_surface
        found = make(points, vertices, faces, alpha_nm=alpha_nm)
    vertices, faces, said = found
    notes += said
    bodies = trimesh.Trimesh(vertices, faces, process=False).split(only_watertight=False)
    # trimesh divides by the volume, which of an open scrap may be 0.
    closed = [
        item
        for item in bodies
        if item.is_watertight and item.is_winding_consistent and _volume_nm3(item) > 0
    ]
    if not closed:
        raise GeometryError(
            f"envelope: method {method!r} left the surface open at alpha_nm = {alpha_nm:.4g}; give "
            "another alpha_nm, or take method='carve', which always closes."
        )
    largest = max(_volume_nm3(item) for item in closed)
    kept = [
        item for item in closed if _volume_nm3(item) >= max(fraction * largest, 1e-12 * largest)
    ]
    if len(kept) < len(bodies):
        notes.append(
            f"{len(bodies) - len(kept)} separate bodies that are open or below {fraction:.3g} of "
            "the largest body's volume left out."
        )
    whole = trimesh.util.concatenate(kept)
    return (
        np.asarray(whole.vertices, dtype=np.float64),
        np.asarray(whole.faces, dtype=np.int64),
    )


def _volume_nm3(mesh: trimesh.Trimesh) -> float:
    a, b, c = (np.asarray(mesh.triangles[:, k] - mesh.centroid) for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)
