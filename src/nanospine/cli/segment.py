"""`nanospine segment VOLUME --method otsu --out LABELS.tif`: voxels to labels."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from nanospine.cli.console import emit_json, emit_pairs, records, say
from nanospine.cli.options import JsonOption, Label, LabelOption

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
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="Trained model, in place of a method: .onnx, .pt2, DeepD3's .h5, a package of "
            "bioimage.io, a folder of nnU-Net v2.",
        ),
    ] = None,
    model_spec: Annotated[
        Path | None,
        typer.Option(
            "--model-spec", help="JSON of what an .onnx or .pt2 expects; else NAME.json beside it."
        ),
    ] = None,
    trust_model: Annotated[
        bool,
        typer.Option(
            "--trust-model",
            help="A .pt2 or nnU-Net may run code that is in it when it is opened; ONNX needs no "
            "trust.",
        ),
    ] = False,
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
    reach_nm: Annotated[
        float,
        typer.Option("--reach-nm", min=0.0, help="Take the nearest label within this, for points."),
    ] = 0.0,
    labels_file: Annotated[
        Path | None,
        typer.Option(
            "--labels", help="Labels that another program made of VOLUME, in place of a method."
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="LABEL=ROLE",
            help="Of --labels, or of the classes of an nnU-Net: shaft, spine, dendrite.",
        ),
    ] = None,
    spines: Annotated[
        Path | None,
        typer.Option("--spines", metavar="DIR", help="Measure the spines; table and meshes."),
    ] = None,
    label: LabelOption = Label.membrane,
    json: JsonOption = False,
) -> None:
    """Segment a volume into labels and write them; onto points, meshes and spines, if asked."""
    import numpy as np

    from nanospine.cli.options import one_or_three
    from nanospine.cli.segment_back import label_points, outside_labels, roles_of, write_spines
    from nanospine.voxels.segment import segment as run
    from nanospine.voxels.volume_files import read_volume, write_volume

    if (points is None) != (points_out is None):
        raise typer.BadParameter("--points and --points-out go together")
    options = _options(option or [])
    given: dict[str, Any] = {}
    if voxel_nm is not None:
        given["voxel_nm"] = np.broadcast_to(one_or_three(voxel_nm), 3)
    if model is not None and labels_file is not None:
        raise typer.BadParameter("give --model or --labels, one of the two")
    if model_spec is not None and model is None:
        raise typer.BadParameter("--model-spec goes with --model")
    if labels_file is not None:
        labels = outside_labels(labels_file, volume, role or [])
    elif model is not None:
        from nanospine.voxels.deep_open import open_model

        opened = open_model(
            model, spec=model_spec, classes=roles_of(role or []) or None, trusted=trust_model
        )
        labels = run(read_volume(volume, **given), opened, **options)
    elif role:
        raise typer.BadParameter("--role goes with --labels or --model")
    else:
        labels = run(read_volume(volume, **given), method, **options)
    place = write_volume(labels, out)
    say(f"labels written to {place}")
    locs = _read_points(points)
    found = None if spines is None else write_spines(labels, locs, spines, label.value)
    if locs is not None and points_out is not None:
        label_points(labels, locs, points_out, reach_nm, found)
    rows, notes = records(labels.table), list(labels.table.attrs.get("notes", []))
    if json:
        emit_json({"labels": rows, "notes": notes, "file": str(place)})
        return
    for row in rows:
        emit_pairs({f"{row['label']} {row['role']}": f"{row['volume_nm3'] / 1e9:.4g} µm³"})
    for note in notes:
        say(f"note: {note}")


def _read_points(path: Path | None) -> Any:
    if path is None:
        return None
    from nanospine.io.registry import read

    return read(path)


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
