"""Deep models on voxels: the bridge resamples, normalises, tiles and maps back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.deep_resample import resampled, restored
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.panoptic import from_classes, split_spines
from nanospine.voxels.segment import label_grid
from nanospine.voxels.segmenters.common import Segmentation, foreground, parts

__all__ = ["DeepModel", "ModelSpec", "Prediction", "deep_segment", "predict"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

_NORMALISATIONS = ("none", "minmax", "minmax_signed", "zscore", "percentile", "log1p_half")


@dataclass(frozen=True)
class ModelSpec:
    """What a model expects and gives.

    Parameters
    ----------
    outputs : tuple of str
        Names of the output channels, such as ("dendrite", "spine"); for labels ("labels",).
    dims : int
        2: the model sees planes, (n, channels, y, x); 3: volumes, (n, channels, z, y, x).
    voxel_nm : tuple of float, optional
        z, y, x that the model was trained at; None, also for one axis, takes the grid as it is.
    normalisation : str
        none, minmax (to 0..1), minmax_signed (to -1..1), zscore, percentile (`percentiles` to
        0..1) or log1p_half (log1p / 2, of counts). A constant input becomes zeros, never NaN.
    percentiles : tuple of float
        See `normalisation`.
    per_plane : bool
        Normalise each plane (or volume: the whole) by itself.
    plane_offsets : tuple of int
        For planes: neighbours that are given as channels, in voxels; (0,) is the plane alone.
    planes_along : tuple of str
        For planes: axes that they are cut across; predictions are averaged.
    tile : tuple of int
        Most voxels along each axis that a model is given at once, halo included.
    halo : int
        Voxels at the edge of a tile whose output is not trusted.
    divisor : int
        Sizes are padded to multiples of it.
    fixed_tile : bool
        The model takes inputs of exactly the size `tile`.
    counts : bool
        Values are counts: sums are kept when they are resampled, as are intensities otherwise.
    kind : str
        `probabilities` or `labels` (class numbers).
    threshold : float
        Above it a probability counts.
    classes : dict, optional
        For labels: from number to role; see `from_classes`.
    """

    outputs: tuple[str, ...] = ("dendrite", "spine")
    dims: int = 3
    voxel_nm: tuple[float | None, float | None, float | None] | None = None
    normalisation: str = "none"
    percentiles: tuple[float, float] = (1.0, 99.8)
    per_plane: bool = False
    plane_offsets: tuple[int, ...] = (0,)
    planes_along: tuple[str, ...] = ("z",)
    tile: tuple[int, ...] = (512, 512)
    halo: int = 16
    divisor: int = 1
    fixed_tile: bool = False
    counts: bool = False
    kind: str = "probabilities"
    threshold: float = 0.5
    classes: dict[int, str] | None = None

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ConfigError(f"ModelSpec: dims of 2 or 3 was expected, found {self.dims}.")
        if self.normalisation not in _NORMALISATIONS:
            raise ConfigError(
                f"ModelSpec: normalisation of {', '.join(_NORMALISATIONS)} was expected, found "
                f"{self.normalisation!r}."
            )
        if self.kind not in ("probabilities", "labels"):
            raise ConfigError(
                f"ModelSpec: kind of probabilities or labels was expected, found {self.kind!r}."
            )
        if not set(self.planes_along) <= {"z", "y", "x"} or not self.planes_along:
            raise ConfigError("ModelSpec: planes_along takes z, y and x.")
        inner = [(size // self.divisor) * self.divisor - 2 * self.halo for size in self.tile]
        if self.divisor < 1 or self.halo < 0 or min(inner, default=0) < 1:
            raise ConfigError(
                "ModelSpec: tiles larger than two halos were expected, found tile "
                f"{self.tile}, halo {self.halo}, divisor {self.divisor}."
            )


@runtime_checkable
class DeepModel(Protocol):
    """What runs a model: `spec` and a call on float32 arrays, nothing else.

    Input is (n, channels, y, x) for planes and (n, 1, z, y, x) for volumes; output has the channels
    of ``spec.outputs`` in place of the input's.
    """

    @property
    def spec(self) -> ModelSpec:
        """What the model expects and gives."""
        ...

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the model."""
        ...


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
    min_spine_nm3: float = 2e6,
    split_nm: float | None = None,
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

    Returns
    -------
    LabelGrid
    """
    result = labels_of(
        predict(model, grid), model.spec, threshold, spine_threshold, min_volume_nm3,
        min_spine_nm3, split_nm,
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
) -> Segmentation:
    """Make labels of probabilities or class numbers."""
    from nanospine.voxels.segmenters.common import drop_small

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
    return parts(body & (spines == 0), spines, note, f"{small} small spines left with the shaft")


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
        result[:, here] = np.moveaxis(_tiled(model, channels), 1, 0)
    return np.moveaxis(result, 1, axis + 1)


def _run_volume(model: DeepModel, data: Float32Array) -> Float32Array:
    return _tiled(model, data[None, None])[0]


def _tiled(model: DeepModel, batch: Float32Array) -> Float32Array:
    """Run a batch tile by tile; overlapping outputs are blended by their distance to the edge."""
    spec = model.spec
    space = batch.shape[2:]
    given = len(spec.tile) >= len(space)
    tile = spec.tile[-len(space) :] if given else (spec.tile[0],) * len(space)
    size = tuple(
        t if spec.fixed_tile else min(_up(n, spec.divisor), t // spec.divisor * spec.divisor)
        for n, t in zip(space, tile, strict=True)
    )
    starts = [_starts(n, s, spec.halo, spec.divisor) for n, s in zip(space, size, strict=True)]
    shape = (batch.shape[0], len(spec.outputs), *space)
    total = np.zeros(shape, dtype=np.float32)
    weight = np.zeros(space, dtype=np.float32)
    single = math.prod(len(item) for item in starts) == 1
    for corner in _corners(starts):
        out = _run_one(model, batch, corner, size, shape)
        inner = tuple(slice(0, min(s, n - c)) for s, n, c in zip(size, space, corner, strict=True))
        where = tuple(slice(c, c + p.stop) for c, p in zip(corner, inner, strict=True))
        target, found = total[:, :, *where], out[:, :, *inner]
        trust = _trusted(corner, size, space, spec.halo)[inner]
        if single or spec.kind == "labels":
            target[...] = np.where(trust > 0, found, target)
            weight[where][trust > 0] = 1.0
            continue
        target += found * trust
        weight[where] += trust
    return np.asarray(total / np.maximum(weight, 1e-12), dtype=np.float32)


def _run_one(
    model: DeepModel,
    batch: Float32Array,
    corner: tuple[int, ...],
    size: tuple[int, ...],
    shape: tuple[int, ...],
) -> Float32Array:
    """Cut one tile, padded by reflection where it reaches beyond the data, and run it."""
    cut = batch[:, :, *[slice(c, c + s) for c, s in zip(corner, size, strict=True)]]
    missing = [s - n for s, n in zip(size, cut.shape[2:], strict=True)]
    if any(missing):
        pad = [(0, 0), (0, 0), *[(0, m) for m in missing]]
        enough = all(m < n for m, n in zip(missing, cut.shape[2:], strict=True))
        cut = np.pad(cut, pad, mode="reflect" if enough else "edge")
    out = np.asarray(model(np.ascontiguousarray(cut)), dtype=np.float32)
    wanted = (shape[0], shape[1], *size)
    if out.shape != wanted:
        raise GeometryError(
            f"predict: an output of shape {wanted} was expected from the model for an input of "
            f"shape {cut.shape}, found {out.shape}."
        )
    if not np.isfinite(out).all():
        raise GeometryError("predict: the model gave values that are not finite numbers.")
    return out


def _up(n: int, divisor: int) -> int:
    return -(-n // divisor) * divisor


def _starts(n: int, size: int, halo: int, divisor: int) -> list[int]:
    """Give corners of tiles that overlap by two halos; the last ends where the data do.

    On multiples of the divisor, so that a model with strides sees the same lattice in every tile.
    """
    if size >= n:
        return [0]
    last = _up(n, divisor) - size
    step = max((size - 2 * halo) // divisor * divisor, divisor)
    return [*range(0, last, step), last]


def _corners(starts: Sequence[list[int]]) -> list[tuple[int, ...]]:
    grid = np.meshgrid(*starts, indexing="ij")
    rows = np.stack(grid, axis=-1).reshape(-1, len(starts))
    return [tuple(int(i) for i in row) for row in rows]


def _trusted(
    corner: tuple[int, ...], size: tuple[int, ...], space: tuple[int, ...], halo: int
) -> Float32Array:
    """Weight of a tile's output: 0 in the halo (not at the edge of the data), rising inwards."""
    result = np.ones((1,) * len(size), dtype=np.float32)
    for axis, (c, s, n) in enumerate(zip(corner, size, space, strict=True)):
        at = np.arange(s)
        left = np.inf if c == 0 else at - halo + 1.0
        right = np.inf if c + s >= n else s - halo - at
        line = np.clip(np.minimum(left, right), 0.0, max(halo, 1)) / max(halo, 1)
        shape = [-1 if i == axis else 1 for i in range(len(size))]
        result = result * np.broadcast_to(line, (s,)).astype(np.float32).reshape(shape)
    return np.asarray(result, dtype=np.float32)


RunFunction = Callable[[Float32Array], Any]
