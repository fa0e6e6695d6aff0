"""The file beside a volume that says where its voxels are, whatever a tool does to the volume."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, ReadError
from nanospine.core.files import atomic_path, read_json
from nanospine.voxels.grid import LabelGrid, VoxelGrid

__all__ = [
    "Sidecar", "array_sha256", "read_sidecar", "save_sidecar", "sidecar_path", "write_sidecar",
]  # fmt: skip

_SUFFIX = ".nanospine.json"


@dataclass(frozen=True, eq=False)
class Sidecar:
    """Geometry of a volume, and the digest of the array that was written.

    Attributes
    ----------
    shape : tuple of int
        z, y, x.
    voxel_nm, origin_nm : ndarray, shape (3,)
        z, y, x; the origin is the centre of voxel (0, 0, 0).
    sha256 : str
        Of the written array's bytes, C order, little endian.
    roles : dict
        From label to role, for labels.
    """

    shape: tuple[int, int, int]
    voxel_nm: npt.NDArray[np.float64]
    origin_nm: npt.NDArray[np.float64]
    sha256: str
    roles: dict[int, str] = field(default_factory=dict)

    def check_shape(self, shape: tuple[int, ...], where: str) -> None:
        """Refuse an array of another shape.

        Raises
        ------
        GeometryError
            When the shape differs.
        """
        if tuple(shape) != self.shape:
            raise GeometryError(
                f"{where}: shape {self.shape} (z, y, x) was expected, as the sidecar says, found "
                f"{tuple(shape)}; the tool has cropped, resampled or turned it."
            )

    def check_geometry(self, grid: VoxelGrid, where: str, *, tolerance: float = 0.01) -> None:
        """Refuse a file whose own metadata place a corner more than `tolerance` voxels elsewhere.

        Raises
        ------
        GeometryError
            When the metadata of the file and the sidecar disagree.
        """
        last = np.array(self.shape) - 1
        for corner in (np.zeros(3), last):
            own = grid.origin_nm + corner * grid.voxel_nm
            ours = self.origin_nm + corner * self.voxel_nm
            off = np.abs(own - ours) / self.voxel_nm
            if off.max() > tolerance:
                axis = int(off.argmax())
                raise GeometryError(
                    f"{where}: its own metadata say voxels of {grid.voxel_nm.tolist()} nm from "
                    f"{grid.origin_nm.tolist()} nm (z, y, x), its sidecar {self.voxel_nm.tolist()} "
                    f"from {self.origin_nm.tolist()}: {off.max():.3g} voxels apart along "
                    f"{'zyx'[axis]}. If a tool wrote wrong metadata, read with "
                    "metadata='ignore'; if the sidecar is of another volume, remove it."
                )


def sidecar_path(path: str | Path) -> Path:
    """Give the name of the sidecar of a volume.

    Examples
    --------
    >>> sidecar_path("a/cell.ome.tif").name
    'cell.ome.tif.nanospine.json'
    """
    place = Path(path)
    return place.with_name(place.name + _SUFFIX)


def array_sha256(data: npt.NDArray[Any]) -> str:
    """Give the digest of an array: its bytes in C order, little endian.

    Examples
    --------
    >>> array_sha256(np.arange(3, dtype=np.uint8))[:8]
    'ae4b3280'
    """
    little = np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("<"))
    return hashlib.sha256(little.view(np.uint8).reshape(-1).data).hexdigest()


def write_sidecar(path: str | Path, data: npt.NDArray[Any], grid: VoxelGrid | LabelGrid) -> Path:
    """Write the sidecar of a volume that holds `data`; give its path."""
    roles = grid.roles if isinstance(grid, LabelGrid) else {}
    written = Sidecar(grid.shape, grid.voxel_nm, grid.origin_nm, array_sha256(data), roles)
    return save_sidecar(path, written, str(data.dtype))


def save_sidecar(path: str | Path, sidecar: Sidecar, dtype: str) -> Path:
    """Write a sidecar beside a volume; give its path."""
    content: dict[str, Any] = {
        "shape": list(sidecar.shape),
        "voxel_nm": sidecar.voxel_nm.tolist(),
        "origin_nm": sidecar.origin_nm.tolist(),
        "axes": "zyx",
        "dtype": dtype,
        "sha256": sidecar.sha256,
    }
    if sidecar.roles:
        content["roles"] = {str(label): role for label, role in sidecar.roles.items()}
    place = sidecar_path(path)
    with atomic_path(place) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return place


def read_sidecar(path: str | Path) -> Sidecar:
    """Read a sidecar file.

    Raises
    ------
    ReadError
        When it is missing, or is none.
    """
    place = Path(path)
    try:
        content = read_json(place)
        nz, ny, nx = (int(n) for n in content["shape"])
        voxel = np.asarray(content["voxel_nm"], dtype=np.float64)
        origin = np.asarray(content["origin_nm"], dtype=np.float64)
        roles = {int(label): str(role) for label, role in content.get("roles", {}).items()}
        digest = str(content.get("sha256", ""))
    except FileNotFoundError as error:
        raise ReadError(f"{place}: the sidecar is missing.") from error
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError,
    ) as error:  # fmt: skip
        raise ReadError(f"{place}: is no sidecar of a volume: {error}.") from error
    good = voxel.shape == origin.shape == (3,) and min(nz, ny, nx) > 0
    if not good or not (
        np.isfinite(voxel).all() and (voxel > 0).all() and np.isfinite(origin).all()
    ):
        raise ReadError(f"{place}: shape, voxel_nm and origin_nm of three numbers were expected.")
    return Sidecar((nz, ny, nx), voxel, origin, digest, roles)
