"""The outline of 2-D localizations: a polygon with the area that a disc cannot roll into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from nanospine.core.errors import GeometryError
from nanospine.core.history import HistoryEntry, entry
from nanospine.core.localizations import Localizations
from nanospine.core.region import Polygon
from nanospine.surface.alpha import CarvingDepth
from nanospine.surface.choice import choose_alpha
from nanospine.surface.delaunay import Delaunay, delaunay
from nanospine.surface.flood import widest_ways

__all__ = ["Outline", "outline"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Best overlap with projected simulated dendrites at 3 to 50 thousand localizations.
_OVER_SPACE = 1.6
_EDGES = np.array([[1, 2], [2, 0], [0, 1]])


@dataclass(frozen=True, eq=False)
class Outline:
    """A closed outline around 2-D localizations.

    Attributes
    ----------
    polygon : shapely.MultiPolygon
        One polygon for each body, the largest first, counterclockwise, without holes; nanometres.
    alpha_nm : float
        Radius of the disc that carved it.
    alpha_curve : pandas.DataFrame
        Columns `alpha_nm` and `area_nm2`: the area that carving encloses at every alpha.
    notes : tuple of str
        What a reader of the result must know.
    history : tuple of dict
        The history of the localizations and this step.
    """

    polygon: shapely.MultiPolygon
    alpha_nm: float
    alpha_curve: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = field(default=(), repr=False)

    @property
    def area_nm2(self) -> float:
        """Enclosed area."""
        return float(self.polygon.area)

    @property
    def perimeter_nm(self) -> float:
        """Length of the outline."""
        return float(self.polygon.length)

    @property
    def n_components(self) -> int:
        """Number of separate bodies."""
        return len(self.polygon.geoms)

    @property
    def regions(self) -> tuple[Polygon, ...]:
        """The bodies as regions, for :func:`nanospine.keep_region` and statistics."""
        return tuple(Polygon(np.asarray(item.exterior.coords)[:-1]) for item in self.polygon.geoms)

    def contains(self, xy_nm: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Tell which points lie inside, shape (n,)."""
        xy = np.asarray(xy_nm, dtype=np.float64)
        return np.asarray(shapely.intersects_xy(self.polygon, xy[:, 0], xy[:, 1]), dtype=np.bool_)

    def to_frame(self) -> pd.DataFrame:
        """Give the figures of the outline in one row."""
        names = ("alpha_nm", "area_nm2", "perimeter_nm", "n_components")
        return pd.DataFrame([{name: getattr(self, name) for name in names}])


def outline(
    locs_or_xy: Localizations | npt.ArrayLike,
    *,
    alpha_nm: float | Literal["auto"] = "auto",
    label: Literal["membrane", "filled"] = "filled",
    min_component_fraction: float = 0.002,
) -> Outline:
    """Draw an outline around 2-D localizations.

    A disc of radius alpha rolls in from outside, between localizations that are more than 2 alpha
    apart, over the edges of their Delaunay triangulation; what it does not reach is inside. What
    it reaches is connected to the outside, so that there are no holes. The outline passes through
    localizations: their noise pushes it outward by about one precision.

    Parameters
    ----------
    locs_or_xy : Localizations or array_like, shape (n, 2)
        Positions in nanometres; a z column is not looked at.
    alpha_nm : float or "auto"
        Radius of the disc; "auto" reads it from the gaps of the data
        (:func:`nanospine.surface.choice.choose_alpha`, with areas for volumes; for filled labels
        1.6 times that: what is thin holds few localizations in projection).
    label : {"membrane", "filled"}
        Whether the label lines the outline or fills it. A membrane seen in projection fills it.
    min_component_fraction : float
        Separate bodies below this fraction of the largest body's area are left out (and counted
        in the notes).

    Raises
    ------
    GeometryError, TooFewPointsError
        Points on one line; an alpha at which nothing is left; fewer than 3 different points.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> angle, radius = rng.uniform(0, 2 * np.pi, 4000), 300 * np.sqrt(rng.random(4000))
    >>> found = outline(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    >>> found.n_components, round(found.area_nm2 / (np.pi * 300**2), 2)
    (1, 0.97)
    """
    _check(alpha_nm, label, min_component_fraction)
    xyz = getattr(locs_or_xy, "xyz_nm", locs_or_xy)
    points = np.asarray(xyz, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise GeometryError(f"outline: points of shape (n, 2) were expected, found {points.shape}.")
    points = np.ascontiguousarray(points[:, :2])
    try:
        triangulation = delaunay(points)
    except GeometryError as error:
        raise type(error)(str(error).replace("delaunay:", "outline:", 1)) from error
    depth = _planar_depth(triangulation)
    notes: list[str] = []
    if alpha_nm == "auto":
        used, note = choose_alpha(depth, label=label, noise_nm=_noise_nm(locs_or_xy))
        if label == "filled":
            used *= _OVER_SPACE
        notes += [note] if note else []
    else:
        used = float(alpha_nm)
    inside = depth.inside(used)
    if not depth.volume_nm3[inside].sum() > 0:
        raise GeometryError(
            f"outline: at alpha_nm = {used:g} nothing is left; the points are too far apart (the "
            f"smallest alpha that leaves anything is {float(depth.depth_nm.min()):.3g} nm). Give a "
            "larger alpha_nm, or 'auto'."
        )
    bodies = _bodies(triangulation, inside)
    kept = [item for item in bodies if item.area >= min_component_fraction * bodies[0].area]
    if len(kept) < len(bodies):
        left = sum(item.area for item in bodies[len(kept) :])
        notes.append(
            f"{len(bodies) - len(kept)} separate bodies below {min_component_fraction:.3g} of the "
            f"largest body's area left out ({left / sum(item.area for item in bodies):.2%} of the "
            "area)."
        )
    alphas, areas = depth.curve()
    arguments = {
        "alpha_nm": alpha_nm, "label": label, "min_component_fraction": min_component_fraction
    }  # fmt: skip
    return Outline(
        shapely.MultiPolygon(kept),
        used,
        pd.DataFrame({"alpha_nm": alphas, "area_nm2": areas}),
        tuple(notes),
        (
            *getattr(locs_or_xy, "history", ()),
            entry("outline", arguments, n_before=len(points), notes=notes),
        ),
    )


def _check(alpha_nm: Any, label: str, fraction: float) -> None:
    if label not in ("membrane", "filled"):
        raise GeometryError(f"outline: label must be 'membrane' or 'filled', found {label!r}.")
    if alpha_nm != "auto" and not (np.isreal(alpha_nm) and alpha_nm > 0):
        raise GeometryError(
            f"outline: alpha_nm must be 'auto' or a positive number of nanometres, found "
            f"{alpha_nm!r}."
        )
    if not 0 <= fraction <= 1:
        raise GeometryError(
            f"outline: min_component_fraction must lie between 0 and 1, found {fraction!r}."
        )


def _noise_nm(locs_or_xy: Localizations | npt.ArrayLike) -> float | None:
    precision = getattr(locs_or_xy, "precision_nm", None)
    if precision is None or len(precision) == 0 or np.isnan(precision[:, :2]).all():
        return None
    return float(np.sqrt(np.mean(np.nanmedian(precision[:, :2], axis=0) ** 2)))


def _planar_depth(triangulation: Delaunay) -> CarvingDepth:
    """Radius of the largest disc that rolls from outside into each triangle."""
    points, triangles = triangulation.points_nm, triangulation.triangles
    corner = points[triangles]
    side = np.linalg.norm(corner[:, [2, 0, 1]] - corner[:, [1, 2, 0]], axis=2)
    areas = triangulation.volumes
    with np.errstate(divide="ignore", invalid="ignore"):
        radii = np.prod(side, axis=1) / (4 * areas)
    radii[~np.isfinite(radii) | (radii > 1e14 * side.max(axis=1))] = np.inf
    # An edge lets a disc of half its length pass, if no point is within the circle over the edge:
    # the corner opposite sees the edge at an acute angle.
    gates = np.empty((len(triangles), 4))
    neighbors = np.full((len(triangles), 4), -1, dtype=np.int64)
    neighbors[:, :3] = triangulation.neighbors
    acute = np.stack([_sees_acute(side, j) for j in range(3)], axis=1)
    other = triangulation.neighbors
    back = np.zeros(other.shape, dtype=np.int64)
    for j in range(3):
        there = other[np.maximum(other[:, j], 0)]
        back[:, j] = np.argmax(there == np.arange(len(triangles))[:, None], axis=1)
    beyond = np.maximum(other, 0)
    free = acute & np.where(other >= 0, acute[beyond, back], True)
    least = np.minimum(radii[:, None], np.where(other >= 0, radii[beyond], np.inf))
    gates[:, :3] = np.where(free, side / 2, least)
    gates[:, 3] = 0.0  # the fourth side that a tetrahedron has: shut
    return CarvingDepth(widest_ways(gates, neighbors), radii, areas, triangulation)


def _sees_acute(side: FloatArray, j: int) -> npt.NDArray[np.bool_]:
    """Tell whether the angle at corner j is at most a right one."""
    opposite, a, b = side[:, j], side[:, (j + 1) % 3], side[:, (j + 2) % 3]
    return np.asarray(opposite**2 <= (a**2 + b**2) * (1 + 1e-12))


def _bodies(triangulation: Delaunay, inside: npt.NDArray[np.bool_]) -> list[shapely.Polygon]:
    """Polygons of the triangles that hang together by edges, the largest first."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(inside)
    beside = triangulation.neighbors[rows]
    joined = (beside >= 0) & inside[np.maximum(beside, 0)]
    number = np.full(len(inside), -1)
    number[rows] = np.arange(len(rows))
    a = np.repeat(np.arange(len(rows)), 3)[joined.ravel()]
    b = number[beside[joined]]
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(len(rows), len(rows)))
    count, part = connected_components(graph, directed=False)
    own, edge = np.nonzero(~joined)
    ends = triangulation.triangles[rows[own][:, None], _EDGES[edge]]
    result = []
    for body in range(count):
        mine = part[own] == body
        lines = shapely.linestrings(triangulation.points_nm[ends[mine]])
        # A point where a body touches itself is passed twice: rings, the outer one counts.
        rings = shapely.get_parts(shapely.polygonize(lines))
        whole = shapely.union_all(rings)
        for item in getattr(whole, "geoms", [whole]):
            result.append(shapely.orient_polygons(shapely.Polygon(item.exterior)))
    return sorted(result, key=lambda item: -float(item.area))
