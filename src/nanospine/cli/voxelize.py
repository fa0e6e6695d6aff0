"""`nanospine voxelize FILE --voxel-nm 10 --out X.tif`: localizations to voxels for raster tools."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nanospine.cli.console import emit_json, emit_pairs, say
from nanospine.cli.options import (
    ChannelOption,
    FormatOption,
    InputArgument,
    JsonOption,
    PixelSizeOption,
    PrecisionOption,
    UnitsOption,
    ZScaleOption,
    given,
    one_or_three,
)

__all__ = ["voxelize"]


class Mode(StrEnum):
    """What a voxel holds."""

    counts = "count"
    gaussian = "gaussian"
    density = "density"
    mask = "mask"
    signed_distance = "signed_distance"
    smoothed = "smoothed"


def voxelize(
    file: InputArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Volume to write: .tif (ImageJ), .ome.tif, .npz, .ome.zarr, .nrrd, .nii.gz, .ims.",
        ),
    ],
    voxel_nm: Annotated[
        str | None,
        typer.Option("--voxel-nm", metavar="NM|Z,Y,X", help="Edge lengths: 10 or 40,10,10."),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(help="What a voxel holds; the last three are of the envelope. [count]"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Voxels that a tool was made for: deepd3, respan, spinetool ..."),
    ] = None,
    psf_nm: Annotated[
        str | None,
        typer.Option("--psf-nm", metavar="NM|Z,Y,X", help="Blur of smoothed and density."),
    ] = None,
    volume_format: Annotated[
        str | None,
        typer.Option(
            "--volume-format", help="Where the suffix does not say it: ome-zarr-0.4, nnunet ..."
        ),
    ] = None,
    precision_nm: PrecisionOption = None,
    channel: ChannelOption = None,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    json: JsonOption = False,
) -> None:
    """Make voxels of localizations or of their envelope, with a sidecar that knows their place."""
    if (voxel_nm is None) == (preset is None):
        raise typer.BadParameter("give --voxel-nm or --preset, one of the two")
    import numpy as np

    from nanospine.io.registry import read
    from nanospine.pipeline import require_points
    from nanospine.voxels.volume_files import write_volume
    from nanospine.voxels.voxelize import voxelize as make

    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(file, **options)
    if channel is not None:
        locs = locs.channel(channel)
    require_points(locs)
    grid = make(
        locs,
        mode=None if mode is None else mode.value,
        preset=preset,
        voxel_nm=_lengths(voxel_nm),
        psf_nm=_lengths(psf_nm),
        precision_nm=_lengths(precision_nm),
    )
    place = write_volume(grid, out, format=volume_format)
    say(f"volume written to {place}")
    filled = int(np.count_nonzero(grid.data))
    row = {
        "shape": list(grid.shape),
        "voxel_nm": grid.voxel_nm.tolist(),
        "origin_nm": grid.origin_nm.tolist(),
        "sum": float(grid.data.sum(dtype=np.float64)),
        "n_not_zero": filled,
        "notes": list(grid.notes),
        "file": str(place),
    }
    if json:
        emit_json(row)
        return
    emit_pairs(
        {
            "voxels z, y, x": " x ".join(map(str, grid.shape)),
            "size z, y, x": ", ".join(f"{size:g}" for size in grid.voxel_nm) + " nm",
            "sum of values": f"{row['sum']:.8g}",
            "voxels not 0": f"{filled} of {grid.data.size}",
        }
    )
    for note in grid.notes:
        say(f"note: {note}")


def _lengths(text: str | None) -> Any:
    """One number, or three."""
    if text is None:
        return None
    values = one_or_three(text)
    return values if len(values) == 3 else values[0]
