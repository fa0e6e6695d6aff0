"""Widget: which molecules of two channels are coupled (SODA), with the pairs drawn as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from magicgui.widgets import ComboBox, FloatSpinBox, LineEdit, SpinBox

from nanospine.cli.ripley import radii_of
from nanospine.core.errors import ConfigError
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress
from nanospine.core.region import Prism, Region, bounding_box
from nanospine.core.region_mesh import MeshRegion
from nanospine.core.region_polygon import Polygon
from nanospine.napari.layers import KEY, LayerData
from nanospine.napari.layers_coupling import coupling_layers
from nanospine.napari.widgets import StepWidget
from nanospine.surface.enveloped import Envelope

if TYPE_CHECKING:
    import napari

    from nanospine.statistics.soda_result import SodaResult

__all__ = ["SodaWidget", "layer_region"]

_ALL = "all"
_OF_DATA = "of the data"
_BOX = "box around the points"


class SodaWidget(StepWidget):
    """Coupling of two channels: fraction with its interval, distance, curve, and the pairs.

    Each channel is a layer of localizations, or one channel of a layer. The region is that which
    the data carry, a box, the inside of an envelope, or polygons drawn in a Shapes layer.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        self.viewer = napari_viewer
        self._takes = Localizations
        self.channel_a = ComboBox(label="channel", choices=self._channels_a)
        self.other = ComboBox(label="second layer", choices=self._names)
        self.channel_b = ComboBox(label="second channel", choices=self._channels_b)
        self.region = ComboBox(label="region", choices=self._regions)
        self.radii = LineEdit(
            label="radii (nm)", value="25:250:25", tooltip="start:stop:step, or 20,50,100"
        )
        self.shift_nm = FloatSpinBox(
            label="registration error (nm)", value=0.0, min=0.0, max=1000.0,
            tooltip="Uncertain shift between the channels; enters the intervals.",
        )  # fmt: skip
        self.simulations = SpinBox(label="simulations", value=999, min=0, max=100_000)
        self._asked: dict[str, Any] = {}
        self._pair: tuple[Localizations, Localizations] | None = None
        self._figure: Any = None
        options = [
            self.channel_a, self.other, self.channel_b, self.region, self.radii, self.shift_nm,
            self.simulations,
        ]  # fmt: skip
        super().__init__(napari_viewer, Localizations, options, "couple")
        self.layer.changed.connect(self._source_changed)
        self.other.changed.connect(self._source_changed)
        self._source_changed()

    def prepared(self) -> None:
        """Read the channels, the region and the radii."""
        a, b = (self._points(*pair) for pair in (
            (self.layer, self.channel_a), (self.other, self.channel_b)))  # fmt: skip
        if self.layer.value == self.other.value and self.channel_a.value == self.channel_b.value:
            raise ConfigError(
                "SODA compares two channels; the same one was chosen twice. Choose another channel "
                "or layer."
            )
        try:
            radii = radii_of(self.radii.value)
        except typer.BadParameter as error:
            raise ConfigError(f"radii: {error.message}.") from None
        self._pair = (a, b)
        self._asked = {
            "radii_nm": radii,
            "region": self._region(a, b),
            "registration_error_nm": self.shift_nm.value or None,
            "n_simulations": self.simulations.value,
        }

    def work(self, source: Localizations, progress: Progress) -> SodaResult:  # noqa: ARG002
        """Find the coupled pairs."""
        from nanospine.statistics.soda import soda

        assert self._pair is not None
        return soda(*self._pair, progress=progress, **self._asked)

    def layers_of(self, found: SodaResult) -> list[LayerData]:
        """Pairs as lines, coupled points of both channels; the curve goes below the button."""
        assert self._pair is not None
        self._show_curve(found)
        return coupling_layers(found, *self._pair)

    def said(self, found: SodaResult) -> str:
        """Both fractions with their intervals, the distance, p."""
        lines = [
            f"{name}: {_share(found, side)}"
            for side, name in (("a", "coupled of the first"), ("b", "coupled of the second"))
        ]
        if np.isfinite(found.mean_distance_nm):
            lines.append(f"distance {found.mean_distance_nm:.4g} ± {found.std_distance_nm:.4g} nm")
        lines.append(f"p = {found.p_value:.3g}; {found.n_a} and {found.n_b} points")
        return "\n".join([*lines, *found.notes])

    def _show_curve(self, found: SodaResult) -> None:
        """Put the figure of the command line into the widget."""
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg

        from nanospine.output.statistics_soda import soda_figure

        figure = soda_figure(found, dpi=80)
        if self._figure is not None:
            self.native.layout().removeWidget(self._figure)
            self._figure.deleteLater()
        self._figure = FigureCanvasQTAgg(figure)  # type: ignore[no-untyped-call]
        self._figure.setMinimumHeight(360)
        self.native.layout().addWidget(self._figure)

    # -- choices ---------------------------------------------------------------------------

    def _points(self, layer: ComboBox, channel: ComboBox) -> Localizations:
        locs = self._of(layer)
        if locs is None:
            raise ConfigError("Choose two layers of localizations, or two channels of one.")
        return locs if channel.value in (None, _ALL) else locs.channel(channel.value)

    def _of(self, layer: Any) -> Localizations | None:
        name = layer.value
        if name is None or name not in self.viewer.layers:
            return None
        held = self.viewer.layers[name].metadata.get(KEY)
        return held if isinstance(held, Localizations) else None

    def _channels_a(self, _widget: Any = None) -> list[str]:
        return self._channel_names(getattr(self, "layer", None))

    def _channels_b(self, _widget: Any = None) -> list[str]:
        return self._channel_names(getattr(self, "other", None))

    def _channel_names(self, layer: Any) -> list[str]:
        locs = None if layer is None else self._of(layer)
        return [_ALL] if locs is None else [_ALL, *locs.channels]

    def _regions(self, _widget: Any = None) -> list[str]:
        drawn = [
            layer.name
            for layer in self.viewer.layers
            if isinstance(layer.metadata.get(KEY), Envelope) or _polygons(layer)
        ]
        return [_OF_DATA, _BOX, *drawn]

    def _region(self, a: Localizations, b: Localizations) -> Region | None:
        name = self.region.value
        if name == _OF_DATA:
            return None
        dimension = min(a.dimension, b.dimension)
        both = np.concatenate([item.xyz_nm[:, :dimension] for item in (a, b)])
        if name == _BOX:
            return bounding_box(both)
        return layer_region(self.viewer.layers[name], both)

    def _source_changed(self, _value: Any = None) -> None:
        for box in (self.channel_a, self.channel_b):
            box.reset_choices()
        names = self.channel_a.choices
        if self.layer.value == self.other.value and len(names) > 2:
            self.channel_a.value, self.channel_b.value = names[1:3]

    def _layers_changed(self, event: Any = None) -> None:
        super()._layers_changed(event)
        self.other.reset_choices()
        self.region.reset_choices()
        self._source_changed()


def layer_region(layer: Any, xyz_nm: np.ndarray[Any, np.dtype[np.float64]]) -> Region:
    """Give the inside of an envelope, or what polygons of a Shapes layer enclose.

    Parameters
    ----------
    layer : napari.layers.Layer
        Surface with an envelope, or Shapes.
    xyz_nm : ndarray, shape (n, 2) or (n, 3)
        The points: polygons become a prism over their heights where they are 3-D.

    Raises
    ------
    GeometryError
        When the polygons cross or enclose nothing, or the surface is open.
    """
    import shapely

    held = layer.metadata.get(KEY)
    if isinstance(held, Envelope):
        return MeshRegion(held.mesh)
    rings = [[layer.data_to_world(corner) for corner in ring] for ring in _polygons(layer)]
    parts = [shapely.Polygon(np.asarray(ring)[:, [-1, -2]]) for ring in rings]
    outline = Polygon.from_shape(shapely.union_all(parts))
    if xyz_nm.shape[1] == 2:
        return outline
    return Prism(outline, float(xyz_nm[:, 2].min()), float(xyz_nm[:, 2].max()))


def _polygons(layer: Any) -> list[Any]:
    """Corners of the polygons and rectangles of a Shapes layer."""
    kinds = getattr(layer, "shape_type", None)
    if kinds is None or isinstance(kinds, str):
        return []
    closed = ("polygon", "rectangle")
    return [item for item, kind in zip(layer.data, kinds, strict=True) if kind in closed]


def _share(found: SodaResult, side: str) -> str:
    value, low, high = (
        getattr(found, f"coupled_fraction_{side}{end}") for end in ("", "_low", "_high")
    )
    text = f"{value:.1%}"
    return text if not np.isfinite(low) else f"{text} ({low:.1%} to {high:.1%})"
