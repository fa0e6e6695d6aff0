"""What a file of voxels holds before anyone has judged whether its geometry can be believed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError

__all__ = ["RawVolume", "check_declared"]

#: Sizes up to this are read whatever the file's own size; blank images pack very well.
_FREE_BYTES = 1 << 30
#: Beyond it a file may unpack to this many times its size: twice what deflate can do.
_EXPANSION = 2000


def check_declared(shape: Iterable[int], itemsize: int, path: Path) -> None:
    """Refuse a size that a file cannot hold: memory would be filled before the damage is seen.

    Raises
    ------
    ReadError
        When an array of the shape is beyond 1 GiB and 2000 times the size of the file.
    """
    sizes = [int(n) for n in shape]
    if path.is_dir():
        held = sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    else:
        held = path.stat().st_size
    declared = math.prod(sizes) * int(itemsize)
    if min(sizes, default=0) < 0 or declared > max(_FREE_BYTES, _EXPANSION * held):
        raise ReadError(
            f"{path}: declares {declared} bytes of voxels, shape {tuple(sizes)}, in {held} bytes; "
            "it is damaged, or made to fill the memory."
        )


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
