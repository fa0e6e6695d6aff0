"""What a file of voxels holds before anyone has judged whether its geometry can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RawVolume"]


@dataclass(frozen=True, eq=False)
class RawVolume:
    """An array (z, y, x); voxel size and origin in nm where the file has them, and roles."""

    data: npt.NDArray[Any]
    voxel_nm: npt.NDArray[np.float64] | None = None
    origin_nm: npt.NDArray[np.float64] | None = None
    roles: dict[int, str] = field(default_factory=dict)

    @property
    def geometry(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Voxel size and origin, of a volume that is to be written."""
        assert self.voxel_nm is not None
        assert self.origin_nm is not None
        return self.voxel_nm, self.origin_nm
