"""`nanospine envelope FILE -o OUT.ply`: the watertight surface around localizations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

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

if TYPE_CHECKING:
    from nanospine.surface.outline import Outline

__all__ = ["envelope"]


def envelope(
    file: InputArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Mesh to write: .glb or .ply (2-D: .geojson)."),
    ] = None,
    alpha_nm: AlphaOption = "auto",
    label: LabelOption = Label.membrane,
    channel: ChannelOption = None,
    edge_nm: Annotated[
        float | None,
        typer.Option("--edge-nm", help="Even triangles with edges of this length (nm)."),
    ] = None,
    adapt: Annotated[
        bool,
        typer.Option(help="Follow the density of the label and close holes in it (alpha auto)."),
    ] = True,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    json: JsonOption = False,
) -> None:
    """Wrap localizations in a watertight surface (2-D: a polygon), show its figures, write it."""
    from nanospine.io.registry import read
    from nanospine.pipeline import require_points
    from nanospine.surface.envelope import envelope as wrap

    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(file, **options)
    if channel is not None:
        locs = locs.channel(channel)
    require_points(locs)
    with progress_bar() as progress:
        found = wrap(
            locs, alpha_nm=alpha_or_auto(alpha_nm), label=label.value, edge_nm=edge_nm,
            adapt=adapt, progress=progress,
        )  # fmt: skip
    if locs.dimension == 2:
        _show_outline(cast(Any, found), out, json)
        return
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


def _show_outline(found: Outline, out: Path | None, json: bool) -> None:
    """Show the figures of the polygon of 2-D data and write it."""
    if out is not None:
        from nanospine.output.export import write_outline

        write_outline(found, out)
        say(f"outline written to {out}")
    if json:
        emit_json(records(found.to_frame())[0] | {"notes": list(found.notes)})
        return
    emit_pairs(
        {
            "alpha": f"{found.alpha_nm:.4g} nm",
            "area": f"{found.area_nm2 / 1e6:.4g} µm²",
            "perimeter": f"{found.perimeter_nm / 1e3:.4g} µm",
            "bodies": str(found.n_components),
        }
    )
    for note in found.notes:
        say(f"note: {note}")
