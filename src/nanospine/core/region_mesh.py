"""A region enclosed by a triangle mesh."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.core.region_base import Region

if TYPE_CHECKING:
    import trimesh

    from nanospine.core.triangles import TriangleTree

__all__ = ["MeshRegion"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MeshRegion(Region):
    """The inside of a closed triangle mesh in nanometres: a dendrite, an envelope, a spine.

    Examples
    --------
    >>> import trimesh
    >>> region = MeshRegion(trimesh.creation.box(extents=(100, 100, 100)))
    >>> round(region.size), region.contains([[0, 0, 0], [60, 0, 0]]).tolist()
    (1000000, [True, False])
    """

    mesh: trimesh.Trimesh
    assumed: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.mesh.is_watertight:
            raise GeometryError(
                "MeshRegion: a closed mesh was expected; this one has open or shared edges. "
                "Make one with nanospine.envelope, or fill its holes first."
            )
        if self.mesh.volume <= 0:
            raise GeometryError(
                "MeshRegion: the mesh is inside out (negative volume); call mesh.invert() first."
            )

    @cached_property
    def tree(self) -> TriangleTree:
        """Search tree over the triangles."""
        from nanospine.core.triangles import TriangleTree

        return TriangleTree(self.mesh.vertices, self.mesh.faces)

    @property
    def dimension(self) -> int:
        """Always 3."""
        return 3

    @property
    def size(self) -> float:
        """Volume in nm³."""
        return float(self.mesh.volume)

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, 3)."""
        return np.asarray(self.mesh.bounds, dtype=np.float64)

    def contains(self, xyz_nm: npt.ArrayLike) -> BoolArray:
        """Tell for each point whether it lies inside the mesh."""
        return self.tree.contains(self._points(xyz_nm))

    def distance_to_boundary_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Exact distance to the nearest triangle."""
        return self.tree.closest(self._points(xyz_nm))[0]

    def to_dict(self) -> dict[str, Any]:
        """Give the mesh as plain data: vertices and faces."""
        return {
            "kind": "mesh",
            "vertices_nm": np.asarray(self.mesh.vertices).tolist(),
            "faces": np.asarray(self.mesh.faces).tolist(),
        }
