"""`nanospine convert IN OUT`: from any format that can be read to any that can be written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanospine.cli.console import say
from nanospine.cli.options import (
    FormatOption,
    InputArgument,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    given,
)

__all__ = ["convert"]


def convert(
    file: InputArgument,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The suffix says the format: .parquet keeps everything."
        ),
    ],
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
) -> None:
    """Write localizations in another format; OUT is replaced when it is there."""
    from nanospine.io.registry import read, write

    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(file, **options)
    write(locs, out)
    for note in (note for step in locs.history for note in step.get("notes", ())):
        say(f"{file.name}: {note}")
    say(f"{len(locs)} localizations written to {out}")
