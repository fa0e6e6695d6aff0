"""Deep models on voxels: the bridge resamples, normalises, tiles and maps back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import GeometryError
from nanospine.voxels.deep_resample import resampled, restored
from nanospine.voxels.deep_spec import DeepModel, ModelSpec
from nanospine.voxels.deep_tiles import tiled
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.panoptic import from_classes, split_spines
from nanospine.voxels.segment import label_grid
from nanospine.voxels.segmenters.common import Segmentation, drop_small, foreground, parts

__all__ = ["DeepModel", "ModelSpec", "Prediction", "deep_segment", "predict"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Probabilities of each output on the voxels of the input.

    Attributes
    ----------
    grid : VoxelGrid
        The input.
    values : dict
        From the name of an output to a float32 array of the grid's shape.
    """

    grid: VoxelGrid
    values: dict[str, Float32Array] = field(repr=False)

    def __getitem__(self, name: str) -> VoxelGrid:
        return self.grid.with_data(self.values[name])


def predict(model: DeepModel, grid: VoxelGrid) -> Prediction:
    """Run a model on a grid.

    The grid is resampled to the voxels of the model, normalised, cut into overlapping tiles, run,
    blended and resampled back.

    Parameters
    ----------
    model : DeepModel
        See the adapters in :mod:`nanospine.voxels.deep_adapters`.
    grid : VoxelGrid

    Returns
    -------
    Prediction

    Raises
    ------
    GeometryError
        When values are not finite, or the model's output has another shape than its spec says.

    Examples
    --------
    >>> from nanospine.voxels.deep_adapters import CallableModel
    >>> model = CallableModel(lambda batch: batch, ModelSpec(outputs=("same",), tile=(64, 64, 64)))
    >>> grid = VoxelGrid(np.arange(60.0).reshape(3, 4, 5), 50.0, (0, 0, 0))
    >>> bool(np.allclose(predict(model, grid)["same"].data, grid.data))
    True
    """
    if not np.isfinite(np.asarray(grid.data, dtype=np.float64)).all():
        raise GeometryError("predict: the grid holds values that are not finite numbers.")
    spec = model.spec
    inner = resampled(grid, spec.voxel_nm, counts=spec.counts)
    data = np.asarray(inner.data, dtype=np.float32)
    if spec.dims == 3:
        total = _run_volume(model, normalised(data, spec))
    else:
        axes = ["zyx".index(name) for name in spec.planes_along]
        total = np.mean([_run_planes(model, data, axis) for axis in axes], axis=0)
    nearest = spec.kind == "labels"
    values = {
        name: restored(inner.with_data(total[i]), grid, nearest=nearest)
        for i, name in enumerate(spec.outputs)
    }
    return Prediction(grid, values)


def deep_segment(
    model: DeepModel,
    grid: VoxelGrid,
    *,
    threshold: float | None = None,
    spine_threshold: float | None = None,
    min_volume_nm3: float = 5e6,
    min_spine_nm3: float = 5e6,
    split_nm: float | None = None,
    near_nm: float | None = None,
) -> LabelGrid:
    """Run a model and give panoptic labels: shaft 1, spines 2 and more.

    Parameters
    ----------
    model : DeepModel
    grid : VoxelGrid
    threshold, spine_threshold : float, optional
        Of the dendrite's and the spines' probability; the spec's by default.
    min_volume_nm3, min_spine_nm3 : float
        Smaller parts are dropped; the notes count them.
    split_nm : float, optional
        See :func:`convert_labels`.
    near_nm : float, optional
        Spines that do not come this near to the dendrite are dropped; DeepD3 takes about 1000.

    Returns
    -------
    LabelGrid
    """
    result = labels_of(
        predict(model, grid), model.spec, threshold, spine_threshold, min_volume_nm3,
        min_spine_nm3, split_nm, near_nm,
    )  # fmt: skip
    return label_grid(grid, result)


def labels_of(
    prediction: Prediction,
    spec: ModelSpec,
    threshold: float | None,
    spine_threshold: float | None,
    min_volume_nm3: float,
    min_spine_nm3: float,
    split_nm: float | None,
    near_nm: float | None = None,
) -> Segmentation:
    """Make labels of probabilities or class numbers."""
    grid = prediction.grid
    if spec.kind == "labels":
        classes = spec.classes or {}
        found = from_classes(prediction[spec.outputs[0]], classes)
        body, spine = found.labels > 0, found.labels == 2
    else:
        limit = spec.threshold if threshold is None else threshold
        low = limit if spine_threshold is None else spine_threshold
        values = prediction.values
        spine = values["spine"] > low if "spine" in values else np.zeros(grid.shape, dtype=bool)
        main = "dendrite" if "dendrite" in values else spec.outputs[0]
        body = (values[main] > limit) | spine
    body, dropped = drop_small(body, grid.voxel_nm, min_volume_nm3)
    note = f"{dropped} components below {min_volume_nm3:g} nm3 dropped"
    if "spine" not in spec.outputs and spec.kind != "labels":
        return foreground(body, note)
    spines, small = split_spines(
        (spine & body).astype(np.int32),
        grid.voxel_nm,
        min_volume_nm3=min_spine_nm3,
        split_nm=split_nm,
    )
    shaft = body & (spines == 0)
    notes = [note, f"{small} small spines left with the shaft"]
    if near_nm is not None and spines.any():
        spines, far = _near(spines, shaft, grid.voxel_nm, near_nm)
        notes.append(f"{far} spines farther than {near_nm:g} nm from the dendrite dropped")
    return parts(shaft, spines, *notes)


def _near(
    spines: npt.NDArray[np.int32],
    shaft: npt.NDArray[np.bool_],
    voxel_nm: FloatArray,
    near_nm: float,
) -> tuple[npt.NDArray[np.int32], int]:
    """Keep spines that come near the shaft, and number them anew."""
    if not shaft.any():
        return np.zeros_like(spines), int(spines.max())
    away = ndimage.distance_transform_edt(~shaft, sampling=voxel_nm)
    least = np.atleast_1d(ndimage.minimum(away, spines, np.arange(1, int(spines.max()) + 1)))
    keep = least <= near_nm
    number = np.zeros(len(keep) + 1, dtype=np.int32)
    number[1:][keep] = np.arange(1, int(keep.sum()) + 1)
    return number[spines], int((~keep).sum())


def normalised(data: Float32Array, spec: ModelSpec) -> Float32Array:
    """Scale values as a model expects; what is constant becomes zeros.

    Examples
    --------
    >>> normalised(np.full((2, 2, 2), 7, np.float32), ModelSpec(normalisation="zscore")).max()
    np.float32(0.0)
    """
    axes = tuple(range(1, data.ndim)) if spec.per_plane else None
    how = spec.normalisation
    if how == "none":
        return data
    if how == "log1p_half":
        return np.asarray(np.log1p(np.maximum(data, 0)) / 2, dtype=np.float32)
    if how == "zscore":
        low = data.mean(axis=axes, keepdims=True, dtype=np.float64)
        span = data.std(axis=axes, keepdims=True, dtype=np.float64)
    elif how == "percentile":
        low, high = np.percentile(data, spec.percentiles, axis=axes, keepdims=True)
        span = high - low
    else:
        low = data.min(axis=axes, keepdims=True)
        span = data.max(axis=axes, keepdims=True) - low
    flat = span <= 1e-6 * np.maximum(np.abs(low), 1e-30)
    scaled = np.where(flat, 0.0, (data - low) / np.where(flat, 1.0, span))
    if how == "minmax_signed":
        scaled = np.where(flat, 0.0, 2 * scaled - 1)
    return np.asarray(scaled, dtype=np.float32)


def _run_planes(model: DeepModel, data: Float32Array, axis: int) -> Float32Array:
    """Run planes across an axis with their neighbours as channels; shape (outputs, z, y, x)."""
    spec = model.spec
    stack = normalised(np.moveaxis(data, axis, 0), spec)
    reach = max(abs(offset) for offset in spec.plane_offsets)
    padded = np.pad(stack, [(reach, reach), (0, 0), (0, 0)])
    result = np.zeros((len(spec.outputs), *stack.shape), dtype=np.float32)
    # A batch holds about four million voxels, whatever the size of a plane.
    size = max(int(4e6 / (stack[0].size * len(spec.plane_offsets))), 1)
    for start in range(0, len(stack), size):
        here = np.arange(start, min(start + size, len(stack)))
        channels = np.stack([padded[here + reach + o] for o in spec.plane_offsets], axis=1)
        result[:, here] = np.moveaxis(tiled(model, channels), 1, 0)
    return np.moveaxis(result, 1, axis + 1)


def _run_volume(model: DeepModel, data: Float32Array) -> Float32Array:
    return tiled(model, data[None, None])[0]
