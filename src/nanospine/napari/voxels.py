"""Widget: localizations or an envelope to voxels, segmented, and the labels back on the points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit

from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report
from nanospine.napari.layers import KEY, LayerData, localization_layer
from nanospine.napari.widgets import StepWidget
from nanospine.surface.enveloped import Envelope

if TYPE_CHECKING:
    import napari

    from nanospine.voxels.grid import LabelGrid, VoxelGrid

__all__ = ["VoxelWidget", "label_layer", "volume_layer"]

_NONE = "none: voxels only"
_MODES = ("mask", "count", "gaussian", "density", "smoothed", "signed_distance")


@dataclass(frozen=True, eq=False)
class _Found:
    grid: VoxelGrid
    labels: LabelGrid | None
    labelled: Localizations | None


def volume_layer(grid: VoxelGrid, name: str = "voxels") -> LayerData:
    """Give voxels as an image that lies where they are in the sample.

    Examples
    --------
    >>> from nanospine.voxels.grid import VoxelGrid
    >>> _, options, kind = volume_layer(VoxelGrid(np.zeros((2, 3, 4)), (50, 20, 20), (5, 0, 0)))
    >>> kind, options["scale"], options["translate"]
    ('image', (50.0, 20.0, 20.0), (5.0, 0.0, 0.0))
    """
    data = grid.data.astype(np.uint8) if grid.data.dtype == bool else grid.data
    return data, {**_place(grid), "name": name, "rendering": "attenuated_mip"}, "image"


def label_layer(labels: LabelGrid, name: str = "labels") -> LayerData:
    """Give labels as a layer of labels; its features are the table, with the roles.

    Examples
    --------
    >>> from nanospine.voxels.grid import LabelGrid
    >>> labels = LabelGrid(np.ones((2, 2, 2), dtype=int), 50.0, (0, 0, 0), {1: "shaft"})
    >>> label_layer(labels)[2]
    'labels'
    """
    options = {**_place(labels.grid), "name": name, "metadata": {KEY: labels}}
    if "label" in labels.table:
        # napari counts rows of features by label: row 0 is the background
        table = labels.table.set_index("label").reindex(range(int(labels.labels.max()) + 1))
        options["features"] = table.reset_index()
    return labels.labels.astype(np.int32), options, "labels"


def _place(grid: VoxelGrid) -> dict[str, Any]:
    return {
        "scale": tuple(float(v) for v in grid.voxel_nm),
        "translate": tuple(float(v) for v in grid.origin_nm),
        "units": ("nm", "nm", "nm"),
    }


class VoxelWidget(StepWidget):
    """Voxels of localizations or an envelope, a segmenter on them, and labels of localizations."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        from nanospine.voxels.segment import segmenters

        names = [_NONE, *(info.name for info in segmenters())]
        self.voxel_nm = FloatSpinBox(label="voxel (nm)", value=40.0, min=1.0, max=5000.0)
        self.mode = ComboBox(
            label="mode", choices=list(_MODES), value="mask",
            tooltip="mask: inside of the envelope; count, gaussian: the localizations themselves",
        )  # fmt: skip
        self.method = ComboBox(label="segmenter", choices=names, value="opening")
        self.options_text = LineEdit(label="options", tooltip="sigma_nm=40 scale=all")
        self.back = CheckBox(text="label the localizations", value=True)
        self._asked: dict[str, Any] = {}
        options = [self.voxel_nm, self.mode, self.method, self.options_text, self.back]
        super().__init__(napari_viewer, (Localizations, Envelope), options, "make voxels")

    def prepared(self) -> None:
        """Read the options; what is wrong with them is said at once."""
        import typer

        from nanospine.cli.segment import _options
        from nanospine.core.errors import ConfigError

        try:
            more = _options(self.options_text.value.split())
        except typer.BadParameter as error:
            raise ConfigError(f"options: {error.message}.") from None
        method = None if self.method.value == _NONE else self.method.value
        self._asked = {
            "voxel_nm": self.voxel_nm.value, "mode": self.mode.value, "method": method,
            "options": more, "back": self.back.value,
        }  # fmt: skip

    def work(self, source: Localizations | Envelope, progress: Progress) -> _Found:
        """Make voxels, segment them, give the localizations their labels."""
        from nanospine.voxels.segment import segment
        from nanospine.voxels.transfer import labels_to_points
        from nanospine.voxels.voxelize import voxelize

        asked = self._asked
        report(progress, "making voxels", 0.0)
        grid = voxelize(source, asked["voxel_nm"], mode=asked["mode"])
        if asked["method"] is None:
            return _Found(grid, None, None)
        report(progress, "segmenting", 0.3)
        labels = segment(grid, asked["method"], **asked["options"])
        report(progress, "labelling", 0.9)
        if not asked["back"] or not isinstance(source, Localizations):
            return _Found(grid, labels, None)
        table = source.table.assign(voxel_label=labels_to_points(labels, source))
        labelled = source.replace(
            table=table, operation="labels_to_points", arguments={"method": asked["method"]}
        )
        return _Found(grid, labels, labelled)

    def layers_of(self, found: _Found) -> list[LayerData]:
        """The volume, the labels, the localizations coloured by label."""
        layers = [volume_layer(found.grid)]
        if found.labels is not None:
            layers.append(label_layer(found.labels))
        if found.labelled is not None:
            data, options, kind = localization_layer(found.labelled, "labelled")
            if kind == "points":
                label = found.labelled.table["voxel_label"].to_numpy()
                options["face_color"] = _label_colours(label)
            layers.append((data, options, kind))
        return layers

    def said(self, found: _Found) -> str:
        """How many voxels and labels, and what was dropped."""
        shape = " × ".join(str(n) for n in found.grid.shape)
        lines = [f"{shape} voxels (z, y, x).", *found.grid.notes]
        if found.labels is not None:
            counts = found.labels.table["role"].value_counts()
            lines.append(", ".join(f"{number} × {role}" for role, number in counts.items()))
            lines += [str(note) for note in found.labels.table.attrs.get("notes", [])]
        return "\n".join(lines)


def _label_colours(label: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
    """Grey outside and on the background, the shaft light, other labels in turn of ten colours."""
    from matplotlib import colormaps

    colours = colormaps["tab10"](label % 10)
    colours[label == 1] = (0.85, 0.85, 0.85, 1.0)
    colours[label <= 0] = (0.4, 0.4, 0.4, 1.0)
    return np.asarray(colours)
