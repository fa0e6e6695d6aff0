"""`nanospine spines FILE -o DIR`: the whole way for one file, without a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanospine.cli.options import (
    AlphaOption,
    ChannelOption,
    FormatOption,
    InputArgument,
    JsonOption,
    Label,
    LabelOption,
    OverwriteOption,
    PixelSizeOption,
    PrecisionOption,
    UnitsOption,
    ZScaleOption,
    alpha_or_auto,
    given,
    one_or_three,
)

__all__ = ["spines"]


def spines(
    file: InputArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Folder for the results [default: FILE-spines]."
        ),
    ] = None,
    label: LabelOption = Label.membrane,
    channel: ChannelOption = None,
    precision_nm: PrecisionOption = None,
    alpha_nm: AlphaOption = "auto",
    min_length_nm: Annotated[
        float | None,
        typer.Option("--min-length-nm", min=1e-3, help="What stands out less is no spine."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="For the intervals.")] = 0,
    corrections: Annotated[
        Path | None,
        typer.Option(
            "--corrections",
            metavar="FILE",
            help="Changes made by hand, saved by the napari plugin: merged and split spines are "
            "measured anew.",
        ),
    ] = None,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Find and measure the spines of one file; write tables, meshes, pictures and a report."""
    from nanospine.cli.run import execute
    from nanospine.config import RunConfig

    precision = None if precision_nm is None else list(one_or_three(precision_nm))
    folder = Path(f"{file.name}-spines") if out is None else out
    config = RunConfig.from_dict(
        {
            "input": given(
                path=str(file),
                format=format,
                units=units,
                pixel_size_nm=pixel_size_nm,
                z_scale=z_scale,
            ),
            "envelope": given(alpha_nm=alpha_or_auto(alpha_nm), label=label, channel=channel),
            "spines": given(
                precision_nm=precision,
                min_length_nm=min_length_nm,
                seed=seed,
                corrections=None if corrections is None else str(corrections),
            ),
            "output": {"folder": str(folder), "overwrite": overwrite},
        }
    )
    execute(config, json=json)
