"""How voxels get their values: any part of a field, the same as in the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nanospine.voxels.sources import Source

__all__ = ["Painter", "make_painter"]

FloatArray = npt.NDArray[np.float64]
Index = tuple[int, int, int]
Painted = tuple[npt.NDArray[Any], tuple[str, ...]]

_FINE_NM = 30.0  # the filled fraction of a voxel is that of parts no larger than this
_MOST_PARTS = 6  # along an axis
_REACH = 4.0  # standard deviations of the blur


class Painter(Protocol):
    """Gives the voxels from `start` up to, without, `stop`, and notes on them."""

    def paint(self, start: Index, stop: Index) -> Painted:
        """Paint."""
        ...


@dataclass(frozen=True, eq=False)
class _Field:
    """A source, and the frame that it is painted into."""

    source: Source
    voxel_nm: FloatArray
    face_nm: FloatArray
    shape: Index


def make_painter(
    mode: str,
    source: Source,
    voxel_nm: FloatArray,
    face_nm: FloatArray,
    shape: Index,
    psf_nm: Any,
    peak: float | None,
) -> Painter:
    """Choose what paints a mode."""
    args = (source, voxel_nm, face_nm, shape)
    blur = None if psf_nm is None else np.broadcast_to(np.asarray(psf_nm, np.float64), (3,)).copy()
    if mode == "count":
        return _Counts(*args)
    if mode == "gaussian":
        return _Gaussians(*args)
    if mode == "density":
        return _Density(*args, blur_nm=blur)
    if mode == "mask":
        return _Filled(*args)
    if mode == "signed_distance":
        return _Distance(*args)
    assert blur is not None
    return _Smoothed(*args, blur_nm=blur, peak=1.0 if peak is None else float(peak))


class _Counts(_Field):
    def paint(self, start: Index, stop: Index) -> Painted:
        from nanospine.voxels.splat import count_points

        assert self.source.columns is not None
        data = np.zeros(_size(start, stop), dtype=np.int32)
        inside = count_points(
            self.source.columns, self.voxel_nm, self.face_nm, np.array(start), data
        )
        n = len(self.source.columns[0])
        return data, (f"{n - inside} of {n} localizations lie outside the grid",)


@dataclass(frozen=True, eq=False)
class _Gaussians(_Field):
    _order: list[Any] = field(default_factory=list)

    def paint(self, start: Index, stop: Index) -> Painted:
        from nanospine.voxels.splat import order_points, splat_gaussians

        columns, sigma = self.source.columns, self.source.sigma_nm
        assert columns is not None
        assert sigma is not None
        frame = (self.voxel_nm, self.face_nm)
        if not self._order:
            self._order.append(order_points(columns, *frame, self.shape))
        n = len(columns[0])
        data = np.zeros(_size(start, stop), dtype=np.float32)
        mass = splat_gaussians(
            columns, sigma, *frame, self._order[0], np.array(start, dtype=np.int64), data
        )
        outside = max(n - mass, 0.0) if n - mass > 1e-9 * n else 0.0  # else rounding
        return data, (f"{outside:.6g} of the mass of {n} localizations lies outside the grid",)


@dataclass(frozen=True, eq=False)
class _Density(_Field):
    blur_nm: FloatArray | None = None
    _painter: list[Painter] = field(default_factory=list)

    def paint(self, start: Index, stop: Index) -> Painted:
        if not self._painter:
            frame = (self.voxel_nm, self.face_nm, self.shape)
            if self.blur_nm is None:
                self._painter.append(_Counts(self.source, *frame))
            else:
                blurred = Source(self.source.columns, self.blur_nm[None])
                self._painter.append(_Gaussians(blurred, *frame))
        data, notes = self._painter[0].paint(start, stop)
        volume_um3 = float(np.prod(self.voxel_nm)) / 1e9
        return (data / np.float32(volume_um3)).astype(np.float32), notes


class _Filled(_Field):
    def paint(self, start: Index, stop: Index) -> Painted:
        from nanospine.voxels.rasterize import fill_mesh

        data = np.zeros(_size(start, stop), dtype=np.bool_)
        origin = self.face_nm + self.voxel_nm / 2
        fill_mesh(self.source.mesh, self.voxel_nm, origin, np.array(start, dtype=np.int64), data)
        return data, ()


@dataclass(frozen=True, eq=False)
class _Distance(_Field):
    _tree: list[Any] = field(default_factory=list)

    def paint(self, start: Index, stop: Index) -> Painted:
        from nanospine.core.triangles import TriangleTree

        if not self._tree:
            self._tree.append(TriangleTree(self.source.mesh.vertices, self.source.mesh.faces))
        inside, _ = _Filled(self.source, self.voxel_nm, self.face_nm, self.shape).paint(start, stop)
        data = np.empty(inside.shape, dtype=np.float32)
        axes = [
            self.face_nm[axis] + (np.arange(start[axis], stop[axis]) + 0.5) * self.voxel_nm[axis]
            for axis in range(3)
        ]
        y, x = np.meshgrid(axes[1], axes[2], indexing="ij")
        for k, z in enumerate(axes[0]):  # one plane at a time: positions take 24 bytes a voxel
            points = np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], axis=1)
            data[k] = self._tree[0].distance(points).reshape(x.shape)
        return np.where(inside, -data, data), ()


@dataclass(frozen=True, eq=False)
class _Smoothed(_Field):
    blur_nm: FloatArray = field(default_factory=lambda: np.zeros(3))
    peak: float = 1.0

    def paint(self, start: Index, stop: Index) -> Painted:
        """Fill fine voxels with a margin, blur them, and average them to the grid's."""
        from scipy.ndimage import gaussian_filter

        parts = np.clip(np.ceil(self.voxel_nm / _FINE_NM), 1, _MOST_PARTS).astype(np.int64)
        fine = self.voxel_nm / parts
        margin = np.ceil(_REACH * self.blur_nm / self.voxel_nm).astype(np.int64)
        low, high = np.array(start) - margin, np.array(stop) + margin
        size = tuple(int(n) for n in (high - low) * parts)
        frame = _Filled(self.source, fine, self.face_nm, (size[0], size[1], size[2]))
        first = tuple(int(n) for n in low * parts)
        last = tuple(int(n) for n in high * parts)
        mask, _ = frame.paint((first[0], first[1], first[2]), (last[0], last[1], last[2]))
        blurred = gaussian_filter(
            mask.astype(np.float32), self.blur_nm / fine, mode="constant", truncate=_REACH
        )
        coarse = (high - low).tolist()
        pairs = [n for size, part in zip(coarse, parts, strict=True) for n in (size, int(part))]
        mean = blurred.reshape(pairs).mean(axis=(1, 3, 5))
        inner = tuple(slice(int(m), int(n - m)) for m, n in zip(margin, coarse, strict=True))
        return np.ascontiguousarray(mean[inner] * np.float32(self.peak), dtype=np.float32), ()


def _size(start: Index, stop: Index) -> Index:
    return stop[0] - start[0], stop[1] - start[1], stop[2] - start[2]
