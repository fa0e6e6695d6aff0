"""`ns.render`: a picture of surfaces and localizations, without a screen or a graphics card."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.colours import SHAFT_COLOUR, rgb
from nanospine.core.errors import ConfigError, TooFewPointsError
from nanospine.core.files import atomic_path
from nanospine.output.export import vertex_colours
from nanospine.output.raster import Dots, Picture, Surface, compose
from nanospine.output.raster_camera import Camera, rotation_of
from nanospine.output.raster_fill import vertex_normals
from nanospine.output.render_colours import PointColours, point_colours
from nanospine.output.render_marks import (
    Pen,
    draw_pairs,
    draw_ring,
    draw_scale_bar,
    show_colours,
    type_handles,
)
from nanospine.spines.model import Spines
from nanospine.surface.enveloped import Envelope

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nanospine.core.localizations import Localizations

__all__ = ["Rendering", "Stage", "camera_of", "finished", "marked", "render", "sized", "stage"]

FloatArray = npt.NDArray[np.float64]
Thing: TypeAlias = Envelope | Spines | trimesh.Trimesh | None
View: TypeAlias = str | tuple[float, float] | Camera

_DPI = 100


@dataclass(frozen=True, eq=False)
class Rendering:
    """A finished picture.

    Attributes
    ----------
    image : ndarray of uint8, shape (height, width, 3)
    camera : Camera
        From where; `camera.project` gives the pixel of a place.
    """

    image: npt.NDArray[np.uint8]
    camera: Camera


@dataclass(frozen=True, eq=False)
class Stage:
    """What stands before the camera: prepared once, drawn from any side.

    Attributes
    ----------
    surfaces : tuple of Surface
    dots : Dots or None
    colours : PointColours or None
        Of the dots.
    spines : Spines or None
    framed_nm : ndarray, shape (n, 3)
        What the camera must see.
    """

    surfaces: tuple[Surface, ...]
    dots: Dots | None
    colours: PointColours | None
    spines: Spines | None
    framed_nm: FloatArray


def render(
    thing: Thing,
    localizations: Localizations | None = None,
    *,
    colour_by: str | None = None,
    camera: View = "across",
    path: str | os.PathLike[str] | None = None,
    width: int = 1600,
    height: int | None = None,
    opacity: float | None = None,
    shaft_opacity: float | None = None,
    point_nm: float | None = None,
    pairs_nm: npt.ArrayLike | None = None,
    rings: bool = True,
    legend: bool = True,
    dark: bool = False,
) -> Rendering:
    """Draw an envelope or spines, with or without localizations.

    Spines are coloured by type (stubby green, mushroom blue, thin red, branched yellow,
    filopodium violet), the shaft is translucent, a ring with its diameter in nm marks the
    constriction of each neck, and a bar in µm gives the scale. Shape is told by light, by
    shade in clefts (ambient occlusion) and by fading with depth. Needs no extra package.

    Parameters
    ----------
    thing : Envelope, Spines, trimesh.Trimesh or None
        None draws the localizations alone.
    localizations : Localizations, optional
        Drawn as small balls; every one, ten million too.
    colour_by : str, optional
        Colour of localizations: "depth", "density", "channel", "precision" or "type". Default:
        channel where there are several, else depth.
    camera : str, (float, float) or Camera
        "across" (from above, long side across the page), "tilted", "top", "side", "end",
        "bottom", or azimuth and elevation in degrees, or a camera of your own.
    path : path-like, optional
        PNG, JPEG, TIFF, PDF or SVG by suffix; not written without.
    width, height : int
        Pixels; without a height the picture is as high as the sample asks for.
    opacity : float, optional
        Of the whole surface, 0 to 1. Default 1, and 0.25 with localizations.
    shaft_opacity : float, optional
        Of the shaft. Default 0.55, and that of the surface with localizations.
    point_nm : float, optional
        Radius of the balls; by default about a pixel and a half.
    pairs_nm : array_like, shape (k, 2, 3), optional
        Places of coupled partners, drawn as lines.
    rings, legend : bool
        Draw rings at necks; draw the legend.
    dark : bool
        White on black.

    Returns
    -------
    Rendering

    Raises
    ------
    ConfigError
        For a camera that is not known, a size below 16 pixels, or an opacity outside 0 to 1.
    SchemaError
        When localizations lack what they shall be coloured by.
    TooFewPointsError
        When there is nothing to draw.

    Examples
    --------
    >>> import trimesh
    >>> seen = render(trimesh.creation.icosphere(radius=500.0), width=200, height=150)
    >>> seen.image.shape, str(seen.image.dtype)
    ((150, 200, 3), 'uint8')
    """
    scene = stage(
        thing, localizations, colour_by=colour_by, opacity=opacity, shaft_opacity=shaft_opacity,
    )  # fmt: skip
    view = camera_of(camera, scene, width, height)
    dots = sized(scene.dots, view, point_nm)
    paper = (0.04, 0.05, 0.07) if dark else (1.0, 1.0, 1.0)
    picture = compose(scene.surfaces, dots, view, background=paper)
    figure = marked(picture, scene, view, pairs_nm=pairs_nm, rings=rings, legend=legend, dark=dark)
    return Rendering(finished(figure, path), view)


def stage(
    thing: Thing,
    localizations: Localizations | None = None,
    *,
    colour_by: str | None = None,
    opacity: float | None = None,
    shaft_opacity: float | None = None,
) -> Stage:
    """Prepare surfaces and localizations for pictures; see :func:`render` for the parameters."""
    spines = thing if isinstance(thing, Spines) else None
    with_points = localizations is not None and len(localizations) > 0
    whole = (0.25 if with_points else 1.0) if opacity is None else opacity
    shaft = shaft_opacity
    if shaft is None:
        shaft = whole if with_points or spines is None else min(0.55, whole)
    for name, value in (("opacity", whole), ("shaft_opacity", shaft)):
        if not 0 <= value <= 1:
            raise ConfigError(f"render: {name} is between 0 and 1; found {value:g}.")
    surfaces, framed = _surfaces(thing, whole, shaft)
    colours = dots = None
    if localizations is not None and with_points:
        if colour_by is None:
            colour_by = "channel" if len(localizations.channels) > 1 else "depth"
        colours = point_colours(localizations, colour_by, spines)
        xyz = localizations.xyz_nm
        dots = Dots(xyz, colours.shade, colours.table, 0.0)
        framed = xyz if framed is None else framed
    if framed is None or len(framed) == 0:
        raise TooFewPointsError("render: there is no surface and no localization to draw.")
    return Stage(surfaces, dots, colours, spines, framed)


def camera_of(camera: View, scene: Stage, width: int, height: int | None) -> Camera:
    """Give the camera that sees a stage as asked."""
    if isinstance(camera, Camera):
        return camera
    if width < 16 or (height is not None and height < 16):
        raise ConfigError(f"render: pictures have at least 16 pixels a side; found {width}.")
    rotation = rotation_of(camera, scene.framed_nm)
    return Camera.framing(scene.framed_nm, rotation, width, height)


def sized(dots: Dots | None, camera: Camera, point_nm: float | None) -> Dots | None:
    """Give the balls their radius: so large that few look like many on any scale."""
    if dots is None:
        return None
    radius = point_nm
    if radius is None:
        few = np.clip(np.sqrt(2e5 / max(len(dots.xyz_nm), 1)), 0.55, 1.0)
        radius = float(1.6 * few * camera.nm_per_pixel * camera.width / 1600)
    return Dots(dots.xyz_nm, dots.shade, dots.table, radius)


def _surfaces(
    thing: Thing, opacity: float, shaft_opacity: float
) -> tuple[tuple[Surface, ...], FloatArray | None]:
    if thing is None:
        return (), None
    found = thing.envelope if isinstance(thing, Spines) else thing
    mesh = found.mesh if isinstance(found, Envelope) else found
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    faces = np.asarray(mesh.faces, dtype=np.int64)
    normals = vertex_normals(vertices, faces)
    if not isinstance(thing, Spines) or not len(thing):
        colours = np.tile(rgb(SHAFT_COLOUR), (len(vertices), 1))
        return (Surface(vertices, faces, colours, normals, opacity),), vertices
    colours = vertex_colours(thing)
    standing = (thing.vertex_spine[faces] >= 0).sum(axis=1) >= 2
    parts = [(faces[standing], opacity), (faces[~standing], shaft_opacity)]
    surfaces = tuple(Surface(vertices, part, colours, normals, value) for part, value in parts)
    return surfaces, vertices


def marked(
    picture: Picture,
    scene: Stage,
    camera: Camera,
    *,
    pairs_nm: npt.ArrayLike | None = None,
    rings: bool = True,
    legend: bool = True,
    dark: bool = False,
) -> Figure:
    """Write bar, rings, lines and legend over a picture, as a figure of the picture's size."""
    from matplotlib.figure import Figure

    size = float(np.clip(camera.width / 80, 6.0, 22.0))
    pen = Pen(size, "#f2f2f2", "black") if dark else Pen(size)
    figure = Figure(figsize=(camera.width / _DPI, camera.height / _DPI), dpi=_DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(picture.image, extent=(0, camera.width, camera.height, 0), interpolation="none")
    axes.set_axis_off()
    if pairs_nm is not None and np.size(pairs_nm):
        draw_pairs(
            axes, np.asarray(pairs_nm), camera, replace(pen, ink="#ffd54d" if dark else "#7a1fa2")
        )
    # Among balls everything is a little hidden
    depth = picture.depth if scene.dots is None else None
    if rings and scene.spines is not None:
        for spine in scene.spines.spines:
            draw_ring(axes, spine, camera, depth, pen)
    draw_scale_bar(axes, camera, pen)
    handles = []
    if legend and scene.spines is not None:
        handles += type_handles(scene.spines, all_types=False)
    if legend and scene.colours is not None:
        by_type = scene.colours.title == "spine type" and handles
        handles += [] if by_type else show_colours(figure, scene.colours, pen)
    if handles:
        corner = _emptiest(picture.image)
        axes.legend(handles=handles, loc=corner, fontsize=0.9 * size, labelcolor=pen.ink,
                    facecolor=pen.paper, framealpha=0.7, edgecolor="none")  # fmt: skip
    axes.set_xlim(0, camera.width)
    axes.set_ylim(camera.height, 0)
    return figure


def _emptiest(image: npt.NDArray[np.float32]) -> Literal["upper left", "upper right"]:
    """The corner for the legend: the upper left where it is free, else the upper right.

    The scale bars are below.
    """
    height, width = image.shape[:2]
    upper = np.abs(image[: height // 3] - image[0, 0]).max(axis=2) > 0.05
    left, right = upper[:, : width // 5].mean(), upper[:, -(width // 5) :].mean()
    return "upper right" if right < 0.5 * left else "upper left"


def finished(figure: Figure, path: str | os.PathLike[str] | None) -> npt.NDArray[np.uint8]:
    """Draw a figure and give its pixels; write it too, where there is a path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.array(canvas.buffer_rgba())[..., :3]
    if path is not None:
        with atomic_path(Path(path)) as temporary:
            figure.savefig(temporary)
    return image
