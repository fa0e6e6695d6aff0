"""`nanospine simulate OUT`: localizations of a simulated dendrite, or of any mesh."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nanospine.cli.console import say
from nanospine.cli.options import Label, LabelOption
from nanospine.core.errors import ReadError

if TYPE_CHECKING:
    import trimesh

__all__ = ["MeshUnit", "load_mesh_nm", "simulate"]

_NM_PER = {"nm": 1.0, "um": 1e3, "mm": 1e6, "m": 1e9}
_MESH_SUFFIXES = (".ply", ".off", ".obj", ".stl", ".glb")


class Layout(StrEnum):
    """Whose training data volumes are."""

    nnunet = "nnunet"
    deepd3 = "deepd3"
    coco = "coco"


class VolumeImage(StrEnum):
    """What the volumes show."""

    counts = "counts"
    filled = "filled"


class MeshUnit(StrEnum):
    """Unit of the vertices of a mesh; mesh files do not say it."""

    nm = "nm"
    um = "um"
    mm = "mm"
    m = "m"


def simulate(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Localizations to write; .csv is ThunderSTORM.")
    ],
    mesh: Annotated[
        Path | None,
        typer.Option(
            "--mesh",
            help="Surface to label instead of a simulated dendrite: "
            + ", ".join(_MESH_SUFFIXES)
            + ". A membrane label goes on any surface, open or closed; a filled one needs a "
            "closed surface.",
        ),
    ] = None,
    mesh_unit: Annotated[
        MeshUnit | None, typer.Option("--mesh-unit", help="Unit of the mesh (files do not say it).")
    ] = None,
    label: LabelOption = Label.membrane,
    density: Annotated[
        float | None,
        typer.Option(
            "--density",
            min=0.0,
            help="Fluorophores per µm² (membrane) or µm³ (filled). [default: 1000; 4000]",
        ),
    ] = None,
    precision_xy_nm: Annotated[float, typer.Option("--precision-xy-nm", min=0.0)] = 10.0,
    precision_z_nm: Annotated[float, typer.Option("--precision-z-nm", min=0.0)] = 20.0,
    localizations_per_fluorophore: Annotated[
        float, typer.Option("--localizations-per-fluorophore", min=1.0)
    ] = 3.0,
    background: Annotated[
        float, typer.Option("--background", min=0.0, max=0.99, help="Share of the localizations.")
    ] = 0.05,
    gaps: Annotated[
        float, typer.Option("--gaps", min=0.0, max=0.99, help="Share of the surface not labelled.")
    ] = 0.0,
    length_nm: Annotated[
        float, typer.Option("--length-nm", min=1000.0, help="Of the simulated dendrite.")
    ] = 8000.0,
    types: Annotated[
        str | None,
        typer.Option(
            "--types", help="Spines of the simulated dendrite, such as mushroom,thin,stubby."
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="CSV file for the true sizes of the spines.")
    ] = None,
    volumes: Annotated[
        int | None,
        typer.Option(
            "--volumes",
            min=1,
            help="Write so many dendrites as image and label volumes into the folder OUT instead, "
            "to train a model with.",
        ),
    ] = None,
    layout: Annotated[
        Layout, typer.Option("--layout", help="Of the volumes: whose training data they are.")
    ] = Layout.nnunet,
    voxel_nm: Annotated[
        str, typer.Option("--voxel-nm", help="Of the volumes: an edge, or z,y,x.")
    ] = "40",
    image: Annotated[
        VolumeImage,
        typer.Option("--image", help="Of the volumes: counts of localizations, or a filled dye."),
    ] = VolumeImage.counts,
    seed: Annotated[int, typer.Option("--seed", help="Everything drawn is drawn from it.")] = 0,
) -> None:
    """Simulate localizations of a dendrite, or of a mesh such as one from electron microscopy."""
    from nanospine.io.registry import write
    from nanospine.simulate.labelling import localize

    if volumes is not None:
        if mesh is not None or truth is not None:
            raise typer.BadParameter("--volumes goes with neither --mesh nor --truth")
        _volumes(out, volumes, layout, _edges(voxel_nm), image, length_nm, seed)
        return
    if truth is not None and mesh is not None:
        raise typer.BadParameter("a mesh brings no truth: --truth goes with a simulated dendrite")
    shape: Any = _dendrite(length_nm, types, seed) if mesh is None else _mesh(mesh, mesh_unit)
    name = "density_per_um2" if label is Label.membrane else "density_per_um3"
    dense: dict[str, Any] = {} if density is None else {name: density}
    locs = localize(
        shape,
        label=label.value,
        precision_xy_nm=precision_xy_nm,
        precision_z_nm=precision_z_nm,
        localizations_per_fluorophore=localizations_per_fluorophore,
        background_fraction=background,
        gaps=gaps,
        seed=seed,
        **dense,
    )
    write(locs, out)
    if truth is not None:
        from nanospine.core.files import atomic_path

        with atomic_path(truth) as temporary:
            shape.truth.spines.to_csv(temporary, index=False, lineterminator="\n")
    extent = " x ".join(f"{item / 1000:.4g}" for item in np.ptp(locs.xyz_nm, axis=0))
    say(f"{len(locs)} localizations over {extent} µm written to {out}")


def _volumes(
    out: Path,
    count: int,
    layout: Layout,
    voxel_nm: tuple[float, float, float],
    image: VolumeImage,
    length_nm: float,
    seed: int,
) -> None:
    from nanospine.output.training_layouts import write_training_volumes

    table = write_training_volumes(
        out,
        count,
        layout=layout.value,
        mode=image.value,
        voxel_nm=voxel_nm,
        length_nm=length_nm,
        seed=seed,
        progress=lambda done: say(f"{done} of {count} volumes"),
    )
    say(f"{count} volumes with {table['n_spines'].sum()} spines written to {out} ({layout.value})")


def _edges(text: str) -> tuple[float, float, float]:
    """Read an edge length, or three."""
    try:
        values = [float(item) for item in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) != 3 or not all(0 < value < 1e6 for value in values):
        raise typer.BadParameter(
            f"--voxel-nm: one positive number or three (z,y,x) were expected, found {text!r}"
        )
    return values[0], values[1], values[2]


def _dendrite(length_nm: float, types: str | None, seed: int) -> Any:
    from nanospine.simulate.dendrites import dendrite

    named = None if types is None else [item.strip() for item in types.split(",")]
    return dendrite(length_nm, named, seed=seed)


def _mesh(path: Path, unit: MeshUnit | None) -> trimesh.Trimesh:
    if unit is None:
        raise typer.BadParameter("--mesh needs --mesh-unit: mesh files do not say their unit")
    mesh = load_mesh_nm(path, unit.value)
    extent = " x ".join(f"{item / 1000:.4g}" for item in mesh.extents)
    closed = "closed" if mesh.is_watertight else "not closed: only a membrane label goes on it"
    say(f"{path.name}: {len(mesh.faces)} faces, {extent} µm, {closed}")
    return mesh


def load_mesh_nm(path: Path, unit: str) -> trimesh.Trimesh:
    """Read a surface and give it in nanometres.

    Raises
    ------
    ReadError
        When the file is missing, of another kind, broken or without triangles.
    """
    from nanospine.core.mesh_files import load_triangles

    if not path.is_file():
        raise ReadError(f"{path}: there is no such file.")
    if path.suffix.lower() not in _MESH_SUFFIXES:
        known = ", ".join(_MESH_SUFFIXES)
        raise ReadError(f"{path.name}: a mesh with one of the suffixes {known} was expected.")
    mesh = load_triangles(path)
    with np.errstate(over="ignore"):
        mesh.apply_scale(_NM_PER[unit])
    if not np.isfinite(mesh.vertices).all():
        raise ReadError(f"{path.name}: is larger than numbers go; is {unit} its unit?")
    return mesh
