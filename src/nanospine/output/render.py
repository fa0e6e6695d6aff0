"""The pictures of a run: the dendrite with its spines, and the profile of each neck."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.colours import TYPE_COLOURS
from nanospine.core.files import atomic_path
from nanospine.output.export import vertex_colours
from nanospine.output.raster import Surface, compose
from nanospine.output.raster_camera import CAMERAS, Camera
from nanospine.output.raster_fill import vertex_normals
from nanospine.output.render_marks import Pen, draw_ring, draw_scale_bar, is_free, type_handles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nanospine.core.localizations import Localizations
    from nanospine.spines.model import Spine, Spines

__all__ = ["neck_profile_figure", "overview", "picture"]

FloatArray = npt.NDArray[np.float64]

_WIDTH = 1500
_MOST_POINTS = 200_000


def overview(spines: Spines, locs: Localizations | None, path: str | os.PathLike[str]) -> None:
    """Draw the envelope coloured by spine type, from above and from the side.

    Spine numbers stand at the tips, rings and diameters at the constrictions, a scale bar in
    micrometres below; the legend counts the types. Where there is no shaft, the envelope is
    drawn with the localizations over it, coloured by height.

    Parameters
    ----------
    spines : Spines
    locs : Localizations, optional
        Drawn only where no shaft was found.
    path : path-like
        PNG, SVG or PDF by suffix.
    """
    figure = picture(spines, locs)
    _save(figure, path)


def picture(spines: Spines, locs: Localizations | None = None, width: int = _WIDTH) -> Figure:
    """Give the overview as a matplotlib figure."""
    from matplotlib.figure import Figure

    mesh = spines.envelope if isinstance(spines.envelope, trimesh.Trimesh) else spines.envelope.mesh
    # The long side of the field lies across the page
    turn = _across(np.asarray(mesh.bounds))
    cameras = [
        Camera.around(np.asarray(mesh.bounds), _lying(view @ turn, mesh), width)
        for view in (CAMERAS["top"], CAMERAS["side"])
    ]
    heights = [camera.height for camera in cameras]
    legend = 110
    figure = Figure(figsize=(width / 100, (sum(heights) + legend) / 100), dpi=100)
    bottom = 1.0
    total = sum(heights) + legend
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    surface = Surface(vertices, faces, vertex_colours(spines), vertex_normals(vertices, faces))
    for camera, title in zip(cameras, ("from above", "from the side"), strict=True):
        bottom -= camera.height / total
        axes = figure.add_axes((0.0, bottom, 1.0, camera.height / total))
        drawn = compose([surface], None, camera)
        axes.imshow(drawn.image, extent=(0, camera.width, camera.height, 0), interpolation="none")
        axes.set_axis_off()
        axes.text(14, 30, title, fontsize=12, color="#444444")
        if spines.shaft is None and locs is not None:
            _draw_points(axes, locs, camera)
        for spine in spines.spines:
            _number(axes, spine, camera)
        for spine in spines.spines:
            draw_ring(axes, spine, camera, drawn.depth, Pen(12.0))
        draw_scale_bar(axes, camera, Pen(12.0))
        axes.set_xlim(0, camera.width)
        axes.set_ylim(camera.height, 0)
    _legend(figure, spines)
    return figure


def _across(bounds: FloatArray) -> FloatArray:
    span = bounds[1] - bounds[0]
    if span[1] > 1.3 * span[0]:
        return np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return np.eye(3)


def _lying(rotation: FloatArray, mesh: trimesh.Trimesh) -> FloatArray:
    """Turn a view by a right angle where the sample would stand upright on the page."""
    wide, high, _ = np.ptp(np.asarray(mesh.vertices) @ rotation.T, axis=0)
    if high > 1.3 * wide:
        return np.stack([rotation[1], -rotation[0], rotation[2]])
    return rotation


def _draw_points(axes: Axes, locs: Localizations, camera: Camera) -> None:
    xyz = locs.xyz_nm
    xyz = xyz[:: max(len(xyz) // _MOST_POINTS, 1)]
    seen = camera.project(xyz)
    axes.scatter(
        seen[:, 0], seen[:, 1], c=xyz[:, 2], s=2.0, cmap="viridis", linewidths=0, alpha=0.7
    )


def _number(axes: Axes, spine: Spine, camera: Camera) -> None:
    """Write the spine's number beside its tip."""
    from matplotlib import patheffects

    halo = [patheffects.withStroke(linewidth=3, foreground="white")]
    line = camera.project(spine.centreline_nm)
    tip, before = line[-1], line[max(len(line) // 2, 0)]
    way = tip[:2] - before[:2]
    way = way / max(float(np.linalg.norm(way)), 1e-6)
    text, across = str(spine.id), np.array([-way[1], way[0]])
    places = [tip[:2] + far * way + aside * across for far in (22, 40) for aside in (0, 24, -24)]
    x, y = next((at for at in places if is_free(axes, at, text, Pen(14.0))), places[0])
    axes.text(x, y, text, fontsize=12, ha="center", va="center", weight="bold",
              color="#222222", path_effects=halo)  # fmt: skip


def _legend(figure: Figure, spines: Spines) -> None:
    handles = type_handles(spines) if len(spines) else []
    if spines.shaft is not None:
        title = "numbers at rings: neck diameter in nm" if len(spines) else "no spine was found"
    else:
        title = "no shaft with spines was found"
    figure.legend(handles=handles, loc="lower center", ncol=max(len(handles), 1), frameon=False,
                  fontsize=12, title=title)  # fmt: skip


def neck_profile_figure(spine: Spine, path: str | os.PathLike[str]) -> None:
    """Draw the diameter along one spine with its interval, and how many molecules support it.

    Parameters
    ----------
    spine : Spine
    path : path-like
        PNG, SVG or PDF by suffix.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 5.0), dpi=100, layout="constrained")
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    neck = spine.neck
    colour = TYPE_COLOURS[spine.type]
    top.fill_between(neck.position_nm, neck.low_nm, neck.high_nm, color=colour, alpha=0.25,
                     linewidth=0, label="95 % interval")  # fmt: skip
    top.plot(neck.position_nm, neck.diameter_nm, color=colour, linewidth=2, label="diameter")
    found = neck.constriction
    if found is not None:
        interval = ""
        if np.isfinite(found.low_nm):
            low, high = found.diameter_nm - found.low_nm, found.high_nm - found.diameter_nm
            top.errorbar([found.position_nm], [found.diameter_nm], yerr=[[low], [high]],
                         fmt="o", color="black", capsize=4, zorder=5)  # fmt: skip
            interval = f" ({found.low_nm:.0f} to {found.high_nm:.0f})"
        else:
            top.plot([found.position_nm], [found.diameter_nm], "o", color="black", zorder=5)
        text = f"{found.diameter_nm:.0f} nm{interval}"
        top.annotate(text, (found.position_nm, found.diameter_nm), xytext=(8, -16),
                     textcoords="offset points", fontsize=11)  # fmt: skip
    border = float(spine.row["neck_length_nm"])
    length = float(spine.row["length_nm"])
    if 0 < border < length:
        top.axvline(border, color="#555555", linestyle="--", linewidth=1, label="neck | head")
    top.set_ylabel("diameter (nm)")
    top.set_ylim(bottom=0)
    title = f"spine {spine.id}: {spine.type}"
    if neck.reason:
        title += f"\n{neck.reason}"
    top.set_title(title, fontsize=11)
    top.legend(frameon=False, fontsize=9)
    below.step(neck.position_nm, neck.n_molecules, where="mid", color="#555555")
    below.set_ylabel("molecules")
    below.set_xlabel("distance from the shaft along the spine (nm)")
    below.set_ylim(bottom=0)
    for axes in (top, below):
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: str | os.PathLike[str]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary)
