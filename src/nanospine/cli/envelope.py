"""`nanospine envelope FILE -o OUT.ply`: the watertight surface around localizations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanospine.cli.console import emit_json, emit_pairs, progress_bar, records, say
from nanospine.cli.options import (
    AlphaOption,
    ChannelOption,
    FormatOption,
    InputArgument,
    JsonOption,
    Label,
    LabelOption,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    alpha_or_auto,
    given,
)

__all__ = ["envelope"]


def envelope(
    file: InputArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Mesh to write: .glb or .ply.")
    ] = None,
    alpha_nm: AlphaOption = "auto",
    label: LabelOption = Label.membrane,
    channel: ChannelOption = None,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    json: JsonOption = False,
) -> None:
    """Wrap localizations in a watertight surface; show its figures and write its mesh."""
    from nanospine.io.registry import read
    from nanospine.pipeline import require_points
    from nanospine.surface.envelope import envelope as wrap

    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(file, **options)
    if channel is not None:
        locs = locs.channel(channel)
    require_points(locs)
    with progress_bar() as progress:
        found = wrap(locs, alpha_nm=alpha_or_auto(alpha_nm), label=label.value, progress=progress)
    if out is not None:
        from nanospine.output.export import write_mesh

        write_mesh(found, out)
        say(f"envelope written to {out}")
    row = records(found.to_frame())[0]
    if json:
        emit_json(row | {"notes": list(found.notes)})
        return
    emit_pairs(
        {
            "alpha": f"{found.alpha_nm:.4g} nm",
            "volume": f"{found.volume_nm3 / 1e9:.4g} µm³",
            "area": f"{found.area_nm2 / 1e6:.4g} µm²",
            "bodies": str(found.n_components),
            "vertices, faces": f"{row['n_vertices']}, {row['n_faces']}",
        }
    )
    for note in found.notes:
        say(f"note: {note}")
