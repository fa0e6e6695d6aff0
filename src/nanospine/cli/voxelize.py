"""`nanospine voxelize FILE --voxel-nm 10 --out X.tif`: localizations to voxels for raster tools."""

from __future__ import annotations

from enum import StrEnum
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nanospine.core.localizations import Localizations
    from nanospine.voxels.voxelize import VoxelTile

__all__ = ["voxelize"]

# Voxels that are made in one piece, and the tiles of larger fields: 1 GB and 0.5 GB at most
_MOST_AT_ONCE = 250_000_000
_TILE = (128, 1024, 1024)


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
    asked: dict[str, Any] = {
        "mode": None if mode is None else mode.value,
        "preset": preset,
        "voxel_nm": _lengths(voxel_nm),
        "psf_nm": _lengths(psf_nm),
        "precision_nm": _lengths(precision_nm),
    }
    row = _in_tiles(locs, out, volume_format, asked)
    if row is None:
        grid = make(locs, **asked)
        place = write_volume(grid, out, format=volume_format)
        row = {
            "shape": list(grid.shape),
            "voxel_nm": grid.voxel_nm.tolist(),
            "origin_nm": grid.origin_nm.tolist(),
            "sum": float(grid.data.sum(dtype=np.float64)),
            "n_not_zero": int(np.count_nonzero(grid.data)),
            "notes": list(grid.notes),
            "file": str(place),
        }
    say(f"volume written to {row['file']}")
    if json:
        emit_json(row)
        return
    emit_pairs(
        {
            "voxels z, y, x": " x ".join(map(str, row["shape"])),
            "size z, y, x": ", ".join(f"{size:g}" for size in row["voxel_nm"]) + " nm",
            "sum of values": f"{row['sum']:.8g}",
            "voxels not 0": f"{row['n_not_zero']} of {prod(row['shape'])}",
        }
    )
    for note in row["notes"]:
        say(f"note: {note}")


def _in_tiles(
    locs: Localizations, out: Path, form: str | None, asked: dict[str, Any]
) -> dict[str, Any] | None:
    """Write a field tile by tile, where it is large and goes to OME-Zarr; None where it is not."""
    import itertools

    import numpy as np

    from nanospine.voxels.volume_tiles import write_volume_tiles
    from nanospine.voxels.voxelize import voxel_tiles

    if out.suffix.lower() != ".zarr" or form not in (None, "ome-zarr", "ome-zarr-0.4"):
        return None
    tiles = voxel_tiles(locs, tile=_TILE, **asked)
    first = next(tiles)
    if prod(first.field_shape) <= _MOST_AT_ONCE:
        return None
    row: dict[str, Any] = {
        "shape": list(first.field_shape), "voxel_nm": first.grid.voxel_nm.tolist(),
        "origin_nm": first.grid.origin_nm.tolist(), "sum": 0.0, "n_not_zero": 0,
        "notes": ["written tile by tile: the field is large"],
    }  # fmt: skip

    def counted() -> Iterator[VoxelTile]:
        for tile in itertools.chain([first], tiles):
            row["sum"] += float(tile.grid.data.sum(dtype=np.float64))
            row["n_not_zero"] += int(np.count_nonzero(tile.grid.data))
            yield tile

    version = "0.4" if form == "ome-zarr-0.4" else "0.5"
    row["file"] = str(write_volume_tiles(counted(), out, version=version))
    return row


def _lengths(text: str | None) -> Any:
    """One number, or three."""
    if text is None:
        return None
    values = one_or_three(text)
    return values if len(values) == 3 else values[0]
