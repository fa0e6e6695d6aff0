"""The region of a statistic, as it is named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.core.region import Region

__all__ = ["RegionOption", "VoxelOption", "ZRangeOption", "chosen_region", "numbers"]

RegionOption = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="box|FILE",
        help="Where points could have been seen: 'box' around the points, a GeoJSON polygon, a "
        "closed mesh (.ply .stl .obj .glb), a mask (.npy .npz .tif); left out: that of the file, "
        "or a box.",
    ),
]
VoxelOption = Annotated[
    str | None,
    typer.Option("--voxel-nm", metavar="NM|Z,Y,X", help="Edge of the voxels of a mask."),
]
ZRangeOption = Annotated[
    str | None,
    typer.Option(
        "--z-range-nm", metavar="LOW,HIGH", help="Makes a prism of a polygon, for 3-D points."
    ),
]


def numbers(text: str, *counts: int) -> list[float]:
    """Read as many finite numbers with commas between as one of `counts` says.

    Examples
    --------
    >>> numbers("10,20,20", 1, 3)
    [10.0, 20.0, 20.0]
    """
    try:
        values = [float(item) for item in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in counts or not all(abs(item) < float("inf") for item in values):
        many = " or ".join(str(item) for item in counts)
        raise typer.BadParameter(f"{many} numbers with commas between were expected, not {text!r}")
    return values


def chosen_region(
    text: str | None,
    *patterns: Localizations,
    voxel_nm: str | None = None,
    z_range_nm: str | None = None,
) -> Region | None:
    """Give the region of `--region`; None for the one that the localizations carry.

    Parameters
    ----------
    text : str, optional
        What `--region` says.
    *patterns : Localizations
        Around which a box is put.
    voxel_nm, z_range_nm : str, optional
        What `--voxel-nm` and `--z-range-nm` say.
    """
    if text is None:
        return None
    if text == "box":
        import numpy as np

        from nanospine.core.region import bounding_box

        dimension = min(item.dimension for item in patterns)
        return bounding_box(np.concatenate([item.xyz_nm[:, :dimension] for item in patterns]))
    from nanospine.core.region_files import read_region

    heights = None if z_range_nm is None else numbers(z_range_nm, 2)
    return read_region(
        Path(text),
        voxel_nm=None if voxel_nm is None else numbers(voxel_nm, 1, 2, 3),
        z_range_nm=None if heights is None else (heights[0], heights[1]),
    )
