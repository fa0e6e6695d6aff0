"""Lids over dendrites that the border of the field of view cuts open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from nanospine.core.errors import GeometryError
from nanospine.core.region import Box, bounding_box
from nanospine.surface.outline import outline

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations

__all__ = ["border_of", "lids"]

FloatArray = npt.NDArray[np.float64]

# Thickness of the slab at the border whose localizations are looked at, spacing of the lid's
# points, and how far the lid stays within the outline, over the distance to the sixth neighbour.
_SLAB, _SPACING, _WITHIN = 2.0, 0.5, 1.0
_SIXTH = 6
# A ring of fewer localizations is none.
_LEAST = 30
# A ring is hollow with less than this share of the localizations expected deep inside if they
# filled it, of which at least so many must be expected.
_HOLLOW, _LEAST_DEEP = 0.35, 10.0
# A membrane that crosses the slab leaves its localizations all along the ring: scattered background
# of which an outline can be drawn leaves far fewer.
_LEAST_ALONG = 0.4
# A box that nobody said ends where the localizations end. A membrane that goes on beyond fills so
# many slabs evenly, within so many typical distances around the outline: the depths stay so close
# to even ones (largest difference of the distributions). One that only touches its box does not.
_SLABS, _AROUND = 3.0, 2.0
_EVEN, _EVEN_BY_CHANCE = 0.1, 0.9
# And this share of those in the first slab lie within the same distance of the outline.
_LEAST_OUTER = 0.7
# Rings narrower than so many typical distances in radius cannot be told from what touches.
_RESOLVED = 5.0
# Rings below this share of the largest one's area are background.
_LEAST_SHARE = 0.05


def border_of(
    locs_or_xyz: Localizations | npt.ArrayLike, border: Box | Literal["auto"] | None
) -> Box | None:
    """Give the box whose faces may cut the sample; None without one.

    "auto" gives the region of the localizations, if it is a box; their own bounding box (`assumed`)
    when nobody said where they were observed; None for regions of other shapes.
    """
    if isinstance(border, str) and border == "auto":
        region = getattr(locs_or_xyz, "region", None)
        if region is None or (isinstance(region, Box) and region.assumed):
            # Not the assumed region: rows may have been cut out since.
            points = np.asarray(getattr(locs_or_xyz, "xyz_nm", locs_or_xyz), dtype=np.float64)
            return bounding_box(points) if np.isfinite(points).all() else None
        return region if isinstance(region, Box) else None
    if border is None or isinstance(border, Box):
        return border
    raise GeometryError(
        f"envelope: border must be 'auto', None or a nanospine.Box, found {border!r:.80}."
    )


def lids(points: FloatArray, box: Box) -> tuple[FloatArray, int]:
    """Give points that close the rings which a labelled membrane leaves in the faces of a box.

    A membrane that goes on beyond the field of view is open there, and whatever carves from
    outside gets in. The localizations within two typical distances (to the sixth neighbour) of a
    face of the box are outlined in its plane; where the outline is that of a ring (it encloses a
    hollow), points are laid over it in the plane, half a typical distance apart.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Localizations of a membrane, nanometres.
    box : Box
        Where the sample was observed; of two coordinates: its four walls. If it is `assumed`, only
        what fills the slab at a face evenly is cut by it.

    Returns
    -------
    added : ndarray, shape (m, 3)
        In the planes.
    count : int
        Number of rings.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> around = rng.uniform(0, 2 * np.pi, 4000)
    >>> tube = np.stack(
    ...     [rng.uniform(0, 1500, 4000), 300 * np.cos(around), 300 * np.sin(around)], axis=1)
    >>> added, count = lids(tube, Box((0, -400), (1500, 400)))
    >>> count, np.unique(added[:, 0]).tolist()
    (2, [0.0, 1500.0])
    """
    none = np.empty((0, 3))
    if len(points) < _LEAST:
        return none, 0
    some = points[:: max(len(points) // 20_000, 1)]
    typical = float(np.median(cKDTree(points).query(some, k=[_SIXTH + 1])[0]))
    if not typical > 0:
        return none, 0
    found, count = [none], 0
    for axis in range(box.dimension):
        others = [k for k in range(3) if k != axis]
        for plane in (float(box.low_nm[axis]), float(box.high_nm[axis])):
            depth = np.abs(points[:, axis] - plane) / (_SLAB * typical)
            ring = points[depth < 1][:, others]
            deeper = depth < _SLABS
            for body in _rings(ring, typical):
                if box.assumed and not _is_cut(
                    body, points[deeper][:, others], depth[deeper], typical
                ):
                    continue
                flat = _filled(body.buffer(-_WITHIN * typical), _SPACING * typical)
                if len(flat):
                    found.append(np.insert(flat, axis, plane, axis=1))
                    count += 1
    return np.concatenate(found), count


def _rings(flat: FloatArray, typical: float) -> list[Any]:
    """Polygons around the rings of points in a plane, `typical` apart on the membrane."""
    if len(flat) < _LEAST:
        return []
    try:
        found = outline(flat, label="membrane", min_component_fraction=_LEAST_SHARE)
    except GeometryError:  # on one line, or too few different ones
        return []
    if any("hollow" in note for note in found.notes):
        return []
    bodies = shapely.get_parts(found.polygon)
    return [item for item in bodies if _is_hollow(item, flat) and _is_lined(item, flat, typical)]


def _is_hollow(body: Any, flat: FloatArray) -> bool:
    """Tell whether far fewer points lie deep inside a polygon than if they filled it."""
    depth = shapely.distance(shapely.points(flat), body.exterior)
    inside = shapely.intersects_xy(body, flat[:, 0], flat[:, 1])
    size = 2.0 * body.area / body.length  # the radius, if it is round
    inner = body.buffer(-0.4 * size)
    deep = inside & (depth > 0.4 * size)
    expected = inside.sum() * inner.area / body.area
    return bool(expected >= _LEAST_DEEP and deep.sum() < _HOLLOW * expected)


def _is_lined(body: Any, flat: FloatArray, typical: float) -> bool:
    """Tell whether as many points lie along a polygon as on a membrane across the slab."""
    near = shapely.distance(shapely.points(flat), body.exterior) < _SLAB * typical
    expected = body.length * _SLAB * typical * _SIXTH / (np.pi * typical**2)
    return bool(near.sum() >= _LEAST_ALONG * expected)


def _is_cut(body: Any, flat: FloatArray, depth: FloatArray, typical: float) -> bool:
    """Tell a membrane that goes through a plane from one that touches it or ends before.

    Depths are in slabs.
    """
    if 2.0 * body.area / body.length < _RESOLVED * typical:
        return False
    reach_nm = _AROUND * typical
    mine = shapely.intersects_xy(body.buffer(reach_nm), flat[:, 0], flat[:, 1])
    flat, depth = flat[mine], depth[mine]
    outer = shapely.distance(shapely.points(flat[depth < 1]), body.exterior) < reach_nm
    if outer.mean() < _LEAST_OUTER:
        return False
    for slabs in (1.0, 2.0, _SLABS):
        some = np.sort(depth[depth < slabs]) / slabs
        even = (np.arange(len(some)) + 0.5) / len(some)
        if np.abs(some - even).max() > _EVEN + _EVEN_BY_CHANCE / np.sqrt(len(some)):
            return False
    return True


def _filled(body: Any, spacing: float) -> FloatArray:
    """Points of a triangular grid inside a polygon, shape (m, 2)."""
    if body.is_empty:
        return np.empty((0, 2))
    low_x, low_y, high_x, high_y = body.bounds
    rise = spacing * np.sqrt(3) / 2
    rows = np.arange(low_y, high_y + rise, rise)
    columns = np.arange(low_x, high_x + spacing, spacing)
    x, y = np.meshgrid(columns, rows)
    x = x + spacing / 2 * (np.arange(len(rows)) % 2)[:, None]
    inside = shapely.intersects_xy(body, x.ravel(), y.ravel())
    return np.stack([x.ravel(), y.ravel()], axis=1)[inside]
