"""Running a model tile by tile: overlap, padding, blending."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from nanospine.core.errors import GeometryError
from nanospine.voxels.deep_spec import DeepModel

__all__ = ["tiled"]

Float32Array = npt.NDArray[np.float32]


def tiled(model: DeepModel, batch: Float32Array) -> Float32Array:
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
    return _activated(out, model.spec.activation)


def _activated(out: Float32Array, activation: str) -> Float32Array:
    if activation == "sigmoid":
        return np.asarray(special.expit(out), dtype=np.float32)
    return np.asarray(special.softmax(out, axis=1)) if activation == "softmax" else out


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
