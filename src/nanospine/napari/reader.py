"""Files and results of runs, dropped into napari."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nanospine.core.errors import NanospineError
from nanospine.napari.layers import LayerData, localization_layer, mesh_layer

__all__ = ["get_reader", "read_file", "read_run"]

Reader = Callable[[object], list[LayerData]]


def get_reader(path: str | os.PathLike[str] | list[str]) -> Reader | None:
    """Give a reader when nanospine knows the file by its content; None leaves it to others."""
    if isinstance(path, list):
        if len(path) != 1:
            return None
        path = path[0]
    source = Path(path)
    if (source / "run.json").is_file():
        return lambda _: read_run(source)
    from nanospine.io.registry import detect

    try:
        detect(source)
    except (NanospineError, OSError):
        return None
    return lambda _: read_file(source)


def read_file(path: Path) -> list[LayerData]:
    """Read localizations of any format into a layer."""
    from nanospine.io.registry import read

    return [localization_layer(read(path), path.stem)]


def read_run(folder: Path) -> list[LayerData]:
    """Read the localizations and the coloured surface of a run."""
    from nanospine.core.mesh_files import load_triangles

    layers = []
    table = folder / "localizations.parquet"
    if table.is_file():
        layers += read_file(table)
    surface = folder / "spines.ply"
    if surface.is_file():
        mesh = load_triangles(surface)
        colours = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255.0
        layers.append(mesh_layer(mesh, f"{folder.name}: spines", colours))
    return layers
