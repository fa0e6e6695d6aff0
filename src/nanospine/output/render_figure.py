"""A figure for a paper: the dendrite, and one spine of each type close up."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanospine.core.colours import TYPE_COLOURS
from nanospine.core.errors import TooFewPointsError
from nanospine.core.files import atomic_path
from nanospine.output.raster import Picture, compose
from nanospine.output.raster_camera import Camera, rotation_of
from nanospine.output.render_close import lone_spine
from nanospine.output.render_marks import Pen, draw_ring, draw_scale_bar, type_handles
from nanospine.output.render_scene import stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nanospine.output.render_scene import Stage
    from nanospine.spines.model import Spine, Spines

__all__ = ["spine_picture", "spine_rotation", "type_figure"]

FloatArray = npt.NDArray[np.float64]

_DPI = 300
_WIDTH_MM = 174.0  # two columns of most journals
_MM = 1 / 25.4


def type_figure(
    spines: Spines,
    path: str | os.PathLike[str] | None = None,
    *,
    camera: str | tuple[float, float] = "across",
    width_mm: float = _WIDTH_MM,
    dpi: int = _DPI,
) -> Figure:
    """Draw the dendrite with its spines by type, and below it one spine of each type.

    The types have the colours of the field's reviews: stubby green, mushroom blue, thin red,
    branched (bifid) yellow. Each spine stands upright on its shaft, with its neck diameter and
    95 % interval. Of each type a spine is shown whose neck is measured well and whose length is
    usual for it.

    Parameters
    ----------
    spines : Spines
    path : path-like, optional
        PNG, TIFF, PDF or SVG by suffix; in PDF and SVG text stays text.
    camera : str or (float, float)
        As in :func:`nanospine.render`.
    width_mm : float
        Of the page: 174 mm are two columns.
    dpi : int
        Of what is drawn in pixels.

    Raises
    ------
    TooFewPointsError
        When there are no spines.
    """
    from matplotlib.figure import Figure

    if not len(spines):
        raise TooFewPointsError("type_figure: there are no spines to show.")
    scene = stage(spines, shaft_opacity=1.0)
    rotation = rotation_of(camera, scene.framed_nm)
    wide = round(width_mm * _MM * dpi)
    view = Camera.framing(scene.framed_nm, rotation, wide)
    chosen = _examples(spines)
    panel = wide // max(len(chosen), 4)
    line = round(10 * dpi / 72)  # of text, pixels
    total = view.height + panel + 4 * line
    figure = Figure(figsize=(wide / dpi, total / dpi), dpi=dpi)
    axes = _panel(figure, (0.0, 1 - view.height / total, 1.0, view.height / total))
    _show(axes, compose(scene.surfaces, None, view), view)
    draw_scale_bar(axes, view, _pen(8.0, dpi))
    for number, spine in enumerate(chosen):
        left = (number + 0.5) / len(chosen) - 0.5 * panel / wide
        axes = _panel(figure, (left, 4 * line / total, panel / wide, panel / total))
        _close_up(axes, spine, spines, scene, panel, dpi)
    figure.legend(handles=type_handles(spines, all_types=False), loc="lower center", ncol=6,
                  frameon=False, fontsize=7, borderaxespad=0.2)  # fmt: skip
    if path is not None:
        _save(figure, path)
    return figure


def spine_rotation(spine: Spine, spines: Spines) -> FloatArray:
    """A view in which a spine stands upright, on a shaft that lies across the page.

    A branched spine is seen with its heads side by side instead.
    """
    line = spine.centreline_nm
    up = line[-1] - line[0]
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    if spine.n_heads > 1:
        vertices = np.asarray(spine.mesh.vertices, dtype=np.float64)
        flat = vertices - vertices.mean(axis=0)
        flat -= np.outer(flat @ up, up)
        across = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    else:
        across = _shaft_direction(line[0], spines)
    across = across - (across @ up) * up
    if np.linalg.norm(across) < 0.2:
        across = np.eye(3)[int(np.argmin(np.abs(up)))]
        across = across - (across @ up) * up
    across /= np.linalg.norm(across)
    towards = np.cross(across, up)
    if towards[2] < 0:
        across, towards = -across, -towards
    return np.stack([across, up, towards])


def _shaft_direction(base: FloatArray, spines: Spines) -> FloatArray:
    """Direction of the shaft's axis where it is nearest to a place."""
    if spines.shaft is None:
        return np.array([1.0, 0.0, 0.0])
    axis = min(spines.shaft.axes_nm, key=lambda item: np.linalg.norm(item - base, axis=1).min())
    nearest = int(np.argmin(np.linalg.norm(axis - base, axis=1)))
    low, high = max(nearest - 3, 0), min(nearest + 3, len(axis) - 1)
    along = axis[high] - axis[low]
    return np.asarray(along / max(float(np.linalg.norm(along)), 1e-9))


def spine_picture(
    spine: Spine, spines: Spines, scene: Stage, pixels: int
) -> tuple[Picture, Camera]:
    """Draw one spine upright on its piece of shaft, without its neighbours; and its camera.

    The picture is square; what would stand before the spine is cut off, and the cut closed.
    """
    rotation = spine_rotation(spine, spines)
    seen = np.asarray(spine.mesh.vertices, dtype=np.float64) @ rotation.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    # Some shaft below the spine shows what it stands on
    low[1] -= 0.25 * (high[1] - low[1]) + 60.0
    wide = high[0] - low[0]
    if spine.neck.constriction is not None:  # the ring and its number stand beside the neck
        wide = max(wide, 1.5 * spine.neck.constriction.diameter_nm)
    side = 1.15 * max(1.15 * wide, high[1] - low[1], 500.0)
    centre = (low + high) / 2 @ rotation
    camera = Camera(rotation, centre, float(side / pixels), pixels, pixels)
    near = lone_spine(spine, spines, scene, camera, float(high[2] - low[2]) / 2 + 600.0)
    return compose([near], None, camera), camera


def _examples(spines: Spines) -> list[Spine]:
    """One spine of each type, in the order of the colours.

    Of the half whose necks are measured best that of the most usual length: the best alone may be
    an odd one.
    """
    chosen = []
    for kind in TYPE_COLOURS:
        of_kind = [item for item in spines.spines if item.type == kind]
        if not of_kind:
            continue
        usual = float(np.median([item.row["length_nm"] for item in of_kind]))
        order = sorted(of_kind, key=lambda item: (item.neck.measurable, item.row["quality"]))
        best = order[len(order) // 2 :]
        best = [item for item in best if item.neck.measurable] or best
        chosen.append(min(best, key=lambda item: abs(item.row["length_nm"] - usual)))
    return chosen


def _pen(points: float, dpi: int) -> Pen:
    """A pen whose letters have this size on paper."""
    return Pen(points * dpi / 72, points=72 / dpi)


def _close_up(
    axes: Axes, spine: Spine, spines: Spines, scene: Stage, pixels: int, dpi: int
) -> None:
    picture, camera = spine_picture(spine, spines, scene, pixels)
    _show(axes, picture, camera)
    draw_ring(axes, spine, camera, picture.depth, _pen(7.0, dpi))
    draw_scale_bar(axes, camera, _pen(6.0, dpi))
    name = "branched (bifid)" if spine.type == "branched" else spine.type
    found = spine.neck.constriction
    text = "neck not measured"
    if found is not None:
        text = f"neck {found.diameter_nm:.0f} nm"
        if np.isfinite(found.low_nm) and np.isfinite(found.high_nm):
            text += f" ({found.low_nm:.0f}–{found.high_nm:.0f})"
    axes.text(0.5, -0.01, name, transform=axes.transAxes, ha="center", va="top", fontsize=8,
              color=TYPE_COLOURS[spine.type], weight="bold")  # fmt: skip
    axes.text(0.5, -0.11, text, transform=axes.transAxes, ha="center", va="top", fontsize=6.5,
              color="#333333")  # fmt: skip


def _panel(figure: Figure, place: tuple[float, float, float, float]) -> Axes:
    axes = figure.add_axes(place)
    axes.set_axis_off()
    return axes


def _show(axes: Axes, picture: Picture, view: Camera) -> None:
    axes.imshow(picture.image, extent=(0, view.width, view.height, 0), interpolation="none")
    axes.set_xlim(0, view.width)
    axes.set_ylim(view.height, 0)


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with (
        atomic_path(Path(path)) as temporary,
        rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}),
    ):
        figure.savefig(temporary, dpi=figure.dpi)
