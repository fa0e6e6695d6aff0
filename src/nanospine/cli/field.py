"""`nanospine field TABLE -o FOLDER`: the surface of more localizations than memory holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nanospine.cli.console import emit_json, emit_pairs, progress_bar, say
from nanospine.cli.options import JsonOption

__all__ = ["field"]


def field(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="A .parquet file with x_nm, y_nm, z_nm, a folder of them, or a .npy file.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the surface.")],
    alpha_nm: Annotated[float, typer.Option("--alpha-nm", help="Radius of the probe sphere (nm).")],
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Tiles worked on at a time.")
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="A dask scheduler: tcp://host:8786, or local."
        ),
    ] = None,
    points_per_tile: Annotated[
        int, typer.Option("--points-per-tile", min=1, help="Without the halo around each tile.")
    ] = 500_000,
    memory_gb: Annotated[
        float | None,
        typer.Option("--memory-gb", help="What one process may take (Linux, no scheduler)."),
    ] = None,
    min_component_fraction: Annotated[
        float,
        typer.Option(
            "--min-component-fraction",
            min=0.0,
            max=1.0,
            help="Bodies below this fraction of the largest one's volume are left out.",
        ),
    ] = 0.0,
    json: JsonOption = False,
) -> None:
    """Wrap a field of any number of localizations in a closed surface, tile by tile.

    The surface is that of all points at once, bit for bit, whatever the tiles, processes and
    machines were. Run it again after a crash: tiles that are done are not done twice.
    """
    from nanospine.batch.field import surface_of_field

    with progress_bar() as progress:
        found = surface_of_field(
            table,
            out,
            alpha_nm,
            jobs=jobs,
            scheduler=scheduler,
            memory_gb=memory_gb,
            points_per_tile=points_per_tile,
            min_component_fraction=min_component_fraction,
            progress=progress,
        )
    if json:
        emit_json(found.to_dict())
        return
    figures = found.to_dict()
    emit_pairs(
        {
            "localizations": f"{figures['n_localizations']:,}",
            "tiles": f"{figures['n_tiles']} ({figures['n_tiles_worked']} now)",
            "faces": f"{figures['n_faces']:,}",
            "area": f"{figures['area_nm2'] / 1e6:.4g} µm²",
            "volume": f"{figures['volume_nm3'] / 1e9:.4g} µm³",
        }
    )
    say(
        f"written: {found.path}; a program that reads it whole takes about "
        f"{found.memory_to_open_gb:.2g} GB"
    )
