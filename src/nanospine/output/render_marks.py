"""What is written over a picture: scale bar, legend, rings at necks, lines between partners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.colours import SHAFT_COLOUR, TYPE_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from nanospine.output.raster_camera import Camera
    from nanospine.output.render_colours import PointColours
    from nanospine.spines.model import Spine, Spines

__all__ = [
    "Pen",
    "draw_pairs",
    "draw_ring",
    "draw_scale_bar",
    "is_free",
    "ring_nm",
    "show_colours",
    "type_handles",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pen:
    """How marks are drawn.

    Parameters
    ----------
    size : float
        Height of letters in pixels of the picture, about; distances follow it.
    ink, paper : str
        Colours of marks and of what is behind them.
    points : float
        Points of the figure per `size`.
    """

    size: float
    ink: str = "#111111"
    paper: str = "white"
    points: float = 1.0

    @property
    def letter(self) -> float:
        """Letter size in points."""
        return self.size * self.points


def ring_nm(spine: Spine, corners: int = 48) -> FloatArray | None:
    """The circle of the constriction's diameter around the centreline, shape (corners, 3).

    None where the neck was not measured.
    """
    found = spine.neck.constriction
    line = spine.centreline_nm
    if found is None or len(line) < 2:
        return None
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])

    def at(position: float) -> FloatArray:
        return np.array([np.interp(position, arc, line[:, i]) for i in range(3)])

    # Over a stretch of one diameter: single steps of the line waver
    reach = max(found.diameter_nm / 2, 20.0)
    along = at(found.position_nm + reach) - at(found.position_nm - reach)
    along /= max(float(np.linalg.norm(along)), 1e-9)
    side = np.cross(along, np.eye(3)[int(np.argmin(np.abs(along)))])
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * np.pi, corners)[:, None]
    circle = np.cos(angle) * side + np.sin(angle) * np.cross(along, side)
    return np.asarray(at(found.position_nm) + found.diameter_nm / 2 * circle)


def draw_ring(
    axes: Axes,
    spine: Spine,
    camera: Camera,
    depth: npt.NDArray[np.float32] | None,
    pen: Pen,
) -> None:
    """Draw the ring at a constriction, and its diameter in nm beside it.

    What lies behind something solid is drawn faintly: the ring of a neck on the far side must
    not look as if it were on the near one. Without a depth nothing is hidden.
    """
    ring = ring_nm(spine)
    found = spine.neck.constriction
    if ring is None or found is None:
        return
    from matplotlib import patheffects

    ink = pen.ink
    halo = [patheffects.withStroke(linewidth=0.22 * pen.letter, foreground=pen.paper)]
    # A little wider than the diameter: a ring on the surface itself would lie half inside it
    middle = ring.mean(axis=0)
    seen = camera.project(middle + 1.12 * (ring - middle))
    hidden = np.zeros(len(seen), dtype=bool)
    if depth is not None:
        column = np.clip(seen[:, 0].astype(int), 0, camera.width - 1)
        row = np.clip(seen[:, 1].astype(int), 0, camera.height - 1)
        hidden = depth[row, column] > seen[:, 2] + 0.3 * found.diameter_nm
    axes.plot(seen[:, 0], seen[:, 1], color=ink, linewidth=0.06 * pen.letter, alpha=0.35)
    if not hidden.all():
        open_nm = np.where(hidden[:, None], np.nan, seen)
        axes.plot(open_nm[:, 0], open_nm[:, 1], color=ink, linewidth=0.11 * pen.letter,
                  path_effects=halo)  # fmt: skip
    line = camera.project(spine.centreline_nm)
    way = line[-1, :2] - line[0, :2]
    way = way / max(float(np.linalg.norm(way)), 1e-6)
    across = np.array([-way[1], way[0]])
    # Of the two sides the upper one first
    if across[1] > 0:
        across = -across
    centre = camera.project(middle[None])[0, :2]
    reach = float(np.abs((seen[:, :2] - centre) @ across).max())
    text = f"{found.diameter_nm:.0f}"
    place = _free_place(axes, centre, across, reach, text, pen)
    if place is None:
        if hidden.all():  # over other numbers it would only make both illegible
            return
        place = _beside(centre, across, reach, pen)
    x, y = place.tolist()
    axes.text(x, y, text, fontsize=0.85 * pen.letter, ha="center", va="center", color=ink,
              path_effects=halo, alpha=0.55 if hidden.all() else 1.0)  # fmt: skip


def _beside(centre: FloatArray, across: FloatArray, reach: float, pen: Pen) -> FloatArray:
    """Where a number stands beside a ring: farther off at its side, for it is wider than high."""
    return np.asarray(centre + across * (reach + (0.75 + 0.6 * abs(across[0])) * pen.size))


def _free_place(
    axes: Axes, centre: FloatArray, across: FloatArray, reach: float, text: str, pen: Pen
) -> FloatArray | None:
    """A place on either side of a ring, or a little farther off, where no other text stands."""
    for farther in (0.0, 1.2 * pen.size):
        for side in (across, -across):
            place = _beside(centre, side, reach + farther, pen)
            if is_free(axes, place, text, pen):
                return place
    return None


def is_free(axes: Axes, place: FloatArray, text: str, pen: Pen) -> bool:
    """Whether a text, centred on a place, would touch none that stands there already."""
    return all(_apart(place, text, other, pen) for other in axes.texts)


def _apart(place: FloatArray, text: str, other: Text, pen: Pen) -> bool:
    """Whether two texts, centred on their places, do not touch; a digit is half as wide as high."""
    x, y = other.get_position()
    width = 0.32 * pen.size * (len(text) + len(other.get_text()))
    return bool(abs(place[0] - x) > width or abs(place[1] - y) > pen.size)


def draw_pairs(axes: Axes, pairs_nm: FloatArray, camera: Camera, pen: Pen) -> None:
    """Draw lines between partners, shape (k, 2, 3)."""
    from matplotlib.collections import LineCollection

    ends = camera.project(np.asarray(pairs_nm, dtype=np.float64).reshape(-1, 3))[:, :2]
    axes.add_collection(
        LineCollection(list(ends.reshape(-1, 2, 2)), colors=pen.ink, linewidths=0.09 * pen.letter)
    )


def draw_scale_bar(axes: Axes, camera: Camera, pen: Pen) -> float:
    """Draw a bar of a round length of about a fifth of the width, and give the length in nm."""
    from matplotlib import patheffects

    goal = 0.2 * camera.width * camera.nm_per_pixel
    power = 10.0 ** np.floor(np.log10(goal))
    length = float(max(step * power for step in (1, 2, 5) if step * power <= goal))
    pixels = length / camera.nm_per_pixel
    size, ink = pen.size, pen.ink
    x, y = camera.width - 1.6 * size - pixels, camera.height - 1.4 * size
    axes.plot(
        [x, x + pixels], [y, y], color=ink, linewidth=0.35 * pen.letter, solid_capstyle="butt"
    )
    # Legible on whatever lies below it
    halo = [patheffects.withStroke(linewidth=0.25 * pen.letter, foreground=pen.paper)]
    axes.text(x + pixels / 2, y - 0.6 * size, f"{length / 1000:g} µm", ha="center", va="bottom",
              fontsize=pen.letter, color=ink, path_effects=halo)  # fmt: skip
    return length


def type_handles(spines: Spines, *, all_types: bool = True) -> list[Any]:
    """Legend entries of spine types with their counts, and of the shaft."""
    from matplotlib.patches import Patch

    counts = spines.table["type"].value_counts()
    handles: list[Any] = [
        Patch(color=colour, label=f"{kind} ({int(counts.get(kind, 0))})")
        for kind, colour in TYPE_COLOURS.items()
        if all_types or kind in counts
    ]
    if spines.shaft is not None:
        handles.append(Patch(color=SHAFT_COLOUR, label="shaft"))
    return handles


def show_colours(figure: Figure, colours: PointColours, pen: Pen) -> list[Any]:
    """Draw the colour bar of localizations; where they have names, give legend entries instead."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm, Normalize
    from matplotlib.lines import Line2D

    size, ink = pen.size, pen.ink
    if colours.limits is None:
        return [
            Line2D([], [], marker="o", linestyle="", markersize=0.5 * pen.letter,
                   color=tuple(colours.table[row]), label=name)
            for row, name in enumerate(colours.names)
        ]  # fmt: skip
    log = colours.title.endswith("(log scale)")
    norm = LogNorm(*colours.limits) if log else Normalize(*colours.limits)
    width, height = figure.get_size_inches() * figure.dpi
    place = (3.0 * size / width, 3.6 * size / height, 0.22, 0.7 * size / height)
    bar = figure.colorbar(
        ScalarMappable(norm, ListedColormap(colours.table)),
        cax=figure.add_axes(place),
        orientation="horizontal",
    )
    if log:
        low, high = colours.limits
        bar.set_ticks([low, np.sqrt(low * high), high])
        bar.ax.xaxis.set_major_formatter(lambda value, _place: f"{float(f'{value:.2g}'):,.10g}")
        bar.minorticks_off()
    bar.set_label(colours.title, color=ink, fontsize=0.85 * pen.letter, loc="left")
    bar.ax.tick_params(colors=ink, labelsize=0.75 * pen.letter)
    bar.outline.set_visible(False)
    return []
