"""What `nanospine segment` does with labels: onto localizations, into meshes and spines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from nanospine.cli.console import say

__all__ = ["label_points", "outside_labels", "roles_of", "write_spines"]


def outside_labels(path: Path, volume: Path, role: list[str]) -> Any:
    """Read the labels that another program made of a volume; its sidecar says where they are."""
    from nanospine.voxels.segment import label_grid
    from nanospine.voxels.segmenters.common import Segmentation
    from nanospine.voxels.sidecar import sidecar_path
    from nanospine.voxels.volume_files import read_labels

    beside = sidecar_path(volume)
    options = {"sidecar": beside} if beside.exists() else {}
    found = read_labels(path, roles=roles_of(role) or None, **options)
    return label_grid(found.grid, Segmentation(found.labels.astype("int32"), found.roles))


def label_points(labels: Any, locs: Any, out: Path, reach_nm: float, spines: Any) -> None:
    """Write localizations with their label, and their spine where spines were measured."""
    from nanospine.io.registry import write
    from nanospine.voxels.transfer import labels_to_points

    found = labels_to_points(labels, locs, reach_nm=reach_nm)
    table = locs.table.assign(voxel_label=found)
    if spines is not None and spines.localization_spine is not None:
        table = table.assign(spine=spines.localization_spine)
    write(locs.replace(operation="labels_to_points", table=table), out)
    say(f"{int((found < 0).sum())} of {len(found)} localizations lie outside the volume (label -1)")


def write_spines(labels: Any, locs: Any, folder: Path, label: str) -> Any:
    """Measure the spines of labels; write their table, one closed mesh each, and the whole."""
    from nanospine.output.export import write_mesh
    from nanospine.output.export_tables import write_spine_table
    from nanospine.spines.from_labels import spines_from_labels
    from nanospine.voxels.transfer import labels_to_meshes

    spines = spines_from_labels(labels, locs, label=label)
    folder.mkdir(parents=True, exist_ok=True)
    write_spine_table(spines, folder / "spines.csv")
    write_mesh(spines, folder / "spines.ply")
    for number, mesh in labels_to_meshes(labels).items():
        write_mesh(mesh, folder / f"label_{number}.ply")
    say(f"{len(spines)} spines, and closed meshes of the labels, written to {folder}")
    for note in spines.notes:
        say(f"note: {note}")
    return spines


def roles_of(pairs: list[str]) -> dict[int, str]:
    """Read LABEL=ROLE.

    Examples
    --------
    >>> roles_of(["1=shaft", "2=spine"])
    {1: 'shaft', 2: 'spine'}
    """
    found = {}
    for pair in pairs:
        label, equals, role = pair.partition("=")
        if not equals or not label.isdigit() or role not in ("shaft", "spine", "dendrite"):
            raise typer.BadParameter(
                f"LABEL=shaft, LABEL=spine or LABEL=dendrite was expected, found {pair!r}"
            )
        found[int(label)] = role
    return found
