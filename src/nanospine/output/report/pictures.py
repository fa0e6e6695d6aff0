"""Pictures for the page: the overview, and each spine upright on its shaft."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

from nanospine.output.render import picture
from nanospine.output.render_figure import spine_picture
from nanospine.output.render_marks import Pen, draw_ring, draw_scale_bar
from nanospine.output.render_scene import stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nanospine.output.render_scene import Stage
    from nanospine.spines.model import Spine, Spines

__all__ = ["MOST_PICTURES", "overview_picture", "spine_pictures"]

#: Spines that get a picture: 400 of them take about 4 MB.
MOST_PICTURES = 400
_SIDE = 260


def overview_picture(spines: Spines) -> str:
    """The overview as a data address."""
    return _address(picture(spines, width=1100), quality=88)


def spine_pictures(spines: Spines) -> list[str]:
    """A picture of each spine as a data address, as far as there are not too many."""
    if not len(spines):
        return []
    scene = stage(spines, shaft_opacity=1.0)
    return [_spine(spine, spines, scene) for spine in spines.spines[:MOST_PICTURES]]


def _spine(spine: Spine, spines: Spines, scene: Stage) -> str:
    from matplotlib.figure import Figure

    seen, camera = spine_picture(spine, spines, scene, _SIDE)
    figure = Figure(figsize=(_SIDE / 100, _SIDE / 100), dpi=100)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(seen.image, extent=(0, _SIDE, _SIDE, 0), interpolation="none")
    axes.set_axis_off()
    pen = Pen(13.0, points=0.72)
    draw_ring(axes, spine, camera, seen.depth, pen)
    draw_scale_bar(axes, camera, pen)
    axes.set_xlim(0, _SIDE)
    axes.set_ylim(_SIDE, 0)
    return _address(figure, quality=80)


def _address(figure: Figure, quality: int) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
