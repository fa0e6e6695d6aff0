"""`nanospine segment VOLUME --method otsu --out LABELS.tif`: voxels to labels."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from nanospine.cli.console import emit_json, emit_pairs, records, say
from nanospine.cli.options import JsonOption

__all__ = ["segment"]


def segment(
    volume: Annotated[
        Path,
        typer.Argument(metavar="VOLUME", help="Voxels: .tif, .ome.tif, .npz, .zarr, .nrrd ..."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Labels to write, in any format of volumes.")
    ],
    method: Annotated[
        str, typer.Option(help="otsu, hk_means, senpai, ...; an unknown one lists all.")
    ] = "otsu",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="Of the method; lengths in nm."),
    ] = None,
    voxel_nm: Annotated[
        str | None,
        typer.Option("--voxel-nm", metavar="NM|Z,Y,X", help="For volumes that do not say it."),
    ] = None,
    points: Annotated[
        Path | None,
        typer.Option("--points", help="Localizations to label too; with --points-out."),
    ] = None,
    points_out: Annotated[
        Path | None,
        typer.Option(
            "--points-out", help="Table of localizations with their label: .csv, .parquet."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Segment a volume into labels and write them; labels of localizations too, if asked."""
    import numpy as np

    from nanospine.cli.options import one_or_three
    from nanospine.voxels.segment import segment as run
    from nanospine.voxels.volume_files import read_volume, write_volume

    if (points is None) != (points_out is None):
        raise typer.BadParameter("--points and --points-out go together")
    options = _options(option or [])
    given: dict[str, Any] = {}
    if voxel_nm is not None:
        given["voxel_nm"] = np.broadcast_to(one_or_three(voxel_nm), 3)
    grid = read_volume(volume, **given)
    labels = run(grid, method, **options)
    place = write_volume(labels, out)
    say(f"labels written to {place}")
    if points is not None and points_out is not None:
        _label_points(labels, points, points_out)
    rows, notes = records(labels.table), list(labels.table.attrs.get("notes", []))
    if json:
        emit_json({"labels": rows, "notes": notes, "file": str(place)})
        return
    for row in rows:
        emit_pairs({f"{row['label']} {row['role']}": f"{row['volume_nm3'] / 1e9:.4g} µm³"})
    for note in notes:
        say(f"note: {note}")


def _label_points(labels: Any, points: Path, out: Path) -> None:
    from nanospine.io.registry import read, write
    from nanospine.voxels.transfer import labels_to_points

    locs = read(points)
    found = labels_to_points(labels, locs)
    table = locs.table.assign(voxel_label=found)
    write(locs.replace(operation="labels_to_points", table=table), out)
    say(f"{int((found < 0).sum())} of {len(found)} localizations lie outside the volume (label -1)")


def _options(pairs: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE; values are JSON where they can be, else text.

    Examples
    --------
    >>> _options(["sigma_nm=40", "scale=all"])
    {'sigma_nm': 40, 'scale': 'all'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise typer.BadParameter(f"NAME=VALUE was expected, found {pair!r}")
        try:
            found[name] = json_text.loads(text)
        except ValueError:
            found[name] = text
    return found
