"""One row per cluster: count, centroid, hull, shape, frames."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit
from scipy.spatial import ConvexHull, QhullError

from nanospine.core.errors import SchemaError
from nanospine.core.history import HistoryEntry
from nanospine.core.localizations import Localizations
from nanospine.core.region import Region

__all__ = ["Clusters", "cluster_table", "hull_sizes"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NAMES = {2: ("major", "minor"), 3: ("major", "middle", "minor")}
# A cluster flatter than this fraction of its extent has no volume that rounding leaves.
_FLAT = 1e-10


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of localizations.

    Attributes
    ----------
    labels : ndarray of int64, shape (n,)
        Cluster of each localization; -1 for none. Clusters are numbered by their first row.
    table : DataFrame
        One row per cluster: see :func:`cluster_table`.
    region : Region
        Where the sample was observed.
    history : tuple of dict
        That of the localizations and the clustering.
    notes : tuple of str
        What a reader of the result should know.
    """

    labels: IntArray
    table: pd.DataFrame
    region: Region = field(repr=False)
    history: tuple[HistoryEntry, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def to_frame(self) -> pd.DataFrame:
        """Give the table of clusters as a copy that may be changed."""
        return self.table.copy()

    @property
    def centroids_nm(self) -> FloatArray:
        """Centroids, shape (k, 2) or (k, 3), nanometres."""
        axes = [name for name in ("x_nm", "y_nm", "z_nm") if name in self.table]
        return self.table[axes].to_numpy(np.float64)

    def as_localizations(self) -> Localizations:
        """Give one localization per cluster, at its centroid, in the same region.

        All columns of the table go along (`n_localizations`, `radius_of_gyration_nm`, `channel`,
        ...), so that clusters can be filtered, and coupled as objects.

        Examples
        --------
        >>> import nanospine as ns
        >>> from nanospine.points import clustering
        >>> locs = ns.from_arrays(np.repeat([[0.0, 0], [500, 0]], 12, axis=0))
        >>> objects = clustering.cluster(locs, radius_nm=20).as_localizations()
        >>> objects.table[["x_nm", "n_localizations"]].values.tolist()
        [[0.0, 12.0], [500.0, 12.0]]
        """
        return Localizations(self.table.copy(), self.region, self.history)

    def add_to(self, localizations: Localizations) -> Localizations:
        """Give the localizations with a column `cluster` (-1 for none).

        Raises
        ------
        SchemaError
            When they are not as many as were clustered.

        Examples
        --------
        >>> import nanospine as ns
        >>> from nanospine.points import clustering
        >>> locs = ns.from_arrays(np.repeat([[0.0, 0], [500, 0]], 12, axis=0))
        >>> marked = clustering.cluster(locs, radius_nm=20).add_to(locs)
        >>> sorted(set(marked.table["cluster"])), marked.history[-1]["operation"]
        ([0, 1], 'cluster')
        """
        if len(localizations) != len(self.labels):
            raise SchemaError(
                f"clusters: the {len(self.labels)} localizations that were clustered were "
                f"expected, found {len(localizations)}."
            )
        step = self.history[-1] if self.history else {"arguments": {}}
        return localizations.replace(
            table=localizations.table.assign(cluster=self.labels),
            operation="cluster",
            arguments=step["arguments"],
            notes=self.notes,
        )


def cluster_table(localizations: Localizations, labels: IntArray) -> pd.DataFrame:
    """Describe clusters.

    Parameters
    ----------
    localizations : Localizations
        2-D or 3-D.
    labels : ndarray of int64, shape (n,)
        Cluster of each row, 0 to k - 1 without gaps; negative for none.

    Returns
    -------
    DataFrame
        One row per cluster, no value empty: `cluster`, `n_localizations`, centroid `x_nm`, `y_nm`
        (`z_nm`), `area_nm2` (2-D) or `volume_nm3` (3-D) of the convex hull (0 for fewer distinct
        points than a hull needs), `density_per_um2` or `density_per_um3` (count over hull;
        infinite for a hull of size 0), `radius_of_gyration_nm` = sqrt(mean squared distance from
        the centroid), principal standard deviations `sd_major_nm`, (`sd_middle_nm`,)
        `sd_minor_nm`, `elongation` = 1 - minor / major (0 round, 1 a line), orientation of the
        major axis `angle_deg` in x, y from -90 to 90 and (3-D) `axis_x`, `axis_y`, `axis_z`;
        `first_frame`, `last_frame` and `channel` (the most frequent) where the data have them.

        Standard deviations are roots of the eigenvalues of the covariance (divisor n - 1) minus
        the mean squared precision on its diagonal where precisions are known: localization noise
        makes clusters wider and rounder than they are. Negative differences count as 0.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0], [4, 0], [4, 3], [0, 3], [99, 99]])
    >>> table = cluster_table(locs, np.array([0, 0, 0, 0, -1]))
    >>> table[["n_localizations", "x_nm", "area_nm2", "radius_of_gyration_nm"]].values.tolist()
    [[4.0, 2.0, 12.0, 2.5]]
    """
    dimension = localizations.dimension
    axes = "xyz"[:dimension]
    k = int(labels.max()) + 1 if len(labels) else 0
    rows = np.flatnonzero(labels >= 0)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    counts = np.bincount(labels[rows], minlength=k)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    xyz = localizations.xyz_nm[:, :dimension][rows]
    centre, rest = _centred(xyz, starts, counts)
    covariance = _covariance(rest, starts)
    gyration = np.sqrt(np.trace(covariance, axis1=1, axis2=2))
    size = hull_sizes(rest, starts)
    length, unit = ("area_nm2", 1e6) if dimension == 2 else ("volume_nm3", 1e9)
    with np.errstate(divide="ignore"):
        density = counts / size * unit if k else np.zeros(0)
    data: dict[str, object] = {"cluster": np.arange(k), "n_localizations": counts}
    data |= {f"{axis}_nm": centre[:, i] for i, axis in enumerate(axes)}
    data |= {
        length: size,
        f"density_per_um{dimension}": density,
        "radius_of_gyration_nm": gyration,
    }
    unbiased = covariance * (counts / np.maximum(counts - 1, 1))[:, None, None]
    noise = _noise(localizations, rows, starts, counts)
    data |= _principal(unbiased - noise[:, :, None] * np.eye(dimension))
    data |= _frames_and_channel(localizations, rows, starts, labels[rows])
    return pd.DataFrame(data)


def _sums(values: FloatArray, starts: IntArray) -> FloatArray:
    if len(starts) == 1:
        return np.zeros((0, *values.shape[1:]))
    return np.add.reduceat(values, starts[:-1], axis=0)


def _centred(
    xyz: FloatArray, starts: IntArray, counts: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Give centroids, and positions against them without losing digits far from the origin."""
    first = xyz[starts[:-1]]
    rest = xyz - np.repeat(first, counts, axis=0)
    shift = _sums(rest, starts) / counts[:, None]
    return first + shift, rest - np.repeat(shift, counts, axis=0)


def _covariance(rest: FloatArray, starts: IntArray) -> FloatArray:
    """Covariance of each cluster, divisor n, shape (k, d, d)."""
    d = rest.shape[1]
    result = np.zeros((len(starts) - 1, d, d))
    counts = np.diff(starts)
    for i in range(d):
        for j in range(i, d):
            result[:, i, j] = result[:, j, i] = _sums(rest[:, i] * rest[:, j], starts) / counts
    return result


def _noise(
    localizations: Localizations, rows: IntArray, starts: IntArray, counts: npt.NDArray[np.int64]
) -> FloatArray:
    """Mean squared precision of each cluster and axis, 0 where it is not known."""
    precision = localizations.precision_nm
    d = localizations.dimension
    if precision is None:
        return np.zeros((len(starts) - 1, d))
    squared = precision[:, :d][rows] ** 2
    squared[~np.isfinite(squared)] = 0.0
    mean: FloatArray = _sums(squared, starts) / counts[:, None]
    return mean


def _principal(covariance: FloatArray) -> dict[str, FloatArray]:
    d = covariance.shape[1]
    value, vector = np.linalg.eigh(covariance)
    sd = np.sqrt(np.maximum(value[:, ::-1], 0.0))
    # A spread of 0 along all axes leaves an arbitrary axis: x then.
    major = np.where(sd[:, :1] > 0, vector[:, :, -1], np.eye(d)[0])
    # An axis and its opposite are one: the first coordinate that is not 0 is positive.
    significant = np.abs(major) > 1e-12
    leading = np.take_along_axis(major, significant.argmax(axis=1)[:, None], axis=1)
    major = np.where(leading < 0, -major, major)
    data = {f"sd_{name}_nm": sd[:, i] for i, name in enumerate(_NAMES[d])}
    ratio = np.divide(sd[:, -1], sd[:, 0], out=np.ones(len(sd)), where=sd[:, 0] > 0)
    data["elongation"] = 1.0 - ratio
    data["angle_deg"] = np.rad2deg(np.arctan2(major[:, 1], major[:, 0]))
    if d == 3:
        data |= {f"axis_{axis}": major[:, i] for i, axis in enumerate("xyz")}
    return data


def _frames_and_channel(
    localizations: Localizations, rows: IntArray, starts: IntArray, labels: IntArray
) -> dict[str, object]:
    table = localizations.table
    data: dict[str, object] = {}
    if "frame" in table:
        frame = table["frame"].to_numpy()[rows]
        empty = len(starts) == 1
        data["first_frame"] = frame if empty else np.minimum.reduceat(frame, starts[:-1])
        data["last_frame"] = frame if empty else np.maximum.reduceat(frame, starts[:-1])
    if "channel" in table:
        column = table["channel"].cat
        n_names = len(column.categories) + 1  # the last one counts empty cells
        code = np.asarray(column.codes, dtype=np.int64)[rows] % n_names
        votes = np.bincount(labels * n_names + code, minlength=(len(starts) - 1) * n_names)
        winner = votes.reshape(-1, n_names).argmax(axis=1)
        winner = np.where(winner == n_names - 1, -1, winner)
        data["channel"] = pd.Categorical.from_codes(winner, categories=column.categories)
    return data


def hull_sizes(xyz: FloatArray, starts: IntArray) -> FloatArray:
    """Area or volume of the convex hull of each stretch `starts[i]:starts[i + 1]` of points.

    Parameters
    ----------
    xyz : ndarray, shape (n, 2) or (n, 3)
        Best near the origin: digits are lost far from it.
    starts : ndarray of int64, shape (k + 1,)

    Returns
    -------
    ndarray, shape (k,)
        0 for points on one point, line or plane.

    Examples
    --------
    >>> hull_sizes(np.array([[0.0, 0], [2, 0], [0, 2], [5, 5]]), np.array([0, 3, 4])).tolist()
    [2.0, 0.0]
    """
    if xyz.shape[1] == 2:
        sizes: FloatArray = _hull_areas(np.ascontiguousarray(xyz), starts)
        return sizes
    return np.array(
        [_hull_volume(xyz[a:b]) for a, b in itertools.pairwise(starts)],
        dtype=np.float64,
    )


def _hull_volume(points: FloatArray) -> float:
    if len(points) < 4:
        return 0.0
    rest = points - points.mean(axis=0)
    spread = np.linalg.svd(rest, compute_uv=False) if len(rest) < 50 else _spread(rest)
    if spread[2] <= _FLAT * spread[0]:
        return 0.0
    if len(points) == 4:
        return abs(float(np.linalg.det(points[1:] - points[0]))) / 6
    try:
        return float(ConvexHull(rest).volume)
    except QhullError:  # flat within Qhull's own precision
        return 0.0


def _spread(rest: FloatArray) -> FloatArray:
    value = np.linalg.eigvalsh(rest.T @ rest)[::-1]
    return np.sqrt(np.maximum(value, 0.0))


@njit(cache=True)
def _hull_areas(xy: FloatArray, starts: IntArray) -> FloatArray:
    """Andrew's monotone chain for each stretch."""
    areas = np.zeros(len(starts) - 1)
    for cluster in range(len(areas)):
        points = xy[starts[cluster] : starts[cluster + 1]]
        n = len(points)
        if n < 3:
            continue
        # Two stable sorts: by y, then by x.
        by_y = np.argsort(points[:, 1], kind="mergesort")
        order = by_y[np.argsort(points[by_y, 0], kind="mergesort")]
        hull = np.empty(2 * n, dtype=np.int64)
        size = 0
        for turn in range(2):
            floor = size + 1 if turn == 0 else size
            for step in range(n):
                p = order[step] if turn == 0 else order[n - 1 - step]
                while size > floor:
                    a, b = hull[size - 2], hull[size - 1]
                    cross = (points[b, 0] - points[a, 0]) * (points[p, 1] - points[a, 1])
                    cross -= (points[b, 1] - points[a, 1]) * (points[p, 0] - points[a, 0])
                    if cross > 0:
                        break
                    size -= 1
                if turn == 0 or step > 0:
                    hull[size] = p
                    size += 1
        twice = 0.0
        for i in range(size - 1):
            a, b = hull[i], hull[i + 1]
            twice += points[a, 0] * points[b, 1] - points[b, 0] * points[a, 1]
        areas[cluster] = max(twice / 2, 0.0)
    return areas
