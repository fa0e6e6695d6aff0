"""How far one channel must be moved to become the other: the optimal transport curve."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.region import Region
from nanospine.statistics.patterns import Points, checked_radii, pattern, shared_region

__all__ = ["OptimalTransport", "optimal_transport_curve"]

FloatArray = npt.NDArray[np.float64]

# Points that are matched one to one, and routes of a general plan: beyond it takes minutes.
_MOST_POINTS = 3000
_MOST_ROUTES = 400_000


@dataclass(frozen=True, eq=False)
class OptimalTransport:
    """The share of the mass of one channel that is moved at most so far to become the other.

    Attributes
    ----------
    radii_nm : ndarray, shape (m,)
    values : ndarray, shape (m,)
        Share moved at most that far, 0 to 1.
    mean_distance_nm : float
        Of the mass (the Wasserstein distance of order `order` gives the plan its price).
    plan : pandas.DataFrame
        `distance_nm` and `mass` of each route that is used.
    notes : tuple of str
    """

    radii_nm: FloatArray
    values: FloatArray = field(repr=False)
    mean_distance_nm: float
    plan: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give a row per radius: `radius_nm`, `share`."""
        return pd.DataFrame({"radius_nm": self.radii_nm, "share": self.values})


def optimal_transport_curve(
    a: Points,
    b: Points,
    radii_nm: npt.ArrayLike,
    *,
    cell_nm: float | None = None,
    order: float = 2.0,
    region: Region | None = None,
) -> OptimalTransport:
    """Optimal transport colocalization curve (Tameling et al. 2021).

    Both channels are given mass 1. The cheapest plan that turns one into the other, at a price of
    distance to the power `order`, is found exactly; the curve is the share moved at most r.

    Parameters
    ----------
    a, b : Localizations or array_like, shape (n, 2) or (n, 3)
        Nanometres.
    radii_nm : array_like
        Distances of the curve.
    cell_nm : float, optional
        Positions are first put into cells of this size, as pixels of an image: needed for many
        points. Without it points are moved as they are: equal numbers up to 3,000, or up to
        400,000 routes.
    order : float
        Power of the distance, at least 1.
    region : Region, optional
        Points outside are left out.

    Returns
    -------
    OptimalTransport

    Raises
    ------
    ConfigError
        When there are too many routes for an exact plan.

    Examples
    --------
    >>> a = np.random.default_rng(0).uniform(0, 1000, (50, 2))
    >>> found = optimal_transport_curve(a, a + [30, 0], [20, 40])
    >>> found.values.tolist(), round(found.mean_distance_nm)
    ([0.0, 1.0], 30)
    """
    radii = checked_radii(radii_nm)
    if order < 1 or (cell_nm is not None and not cell_nm > 0):
        raise ConfigError(
            "optimal transport: order of at least 1 and cell_nm above 0 were expected, found "
            f"{order} and {cell_nm}."
        )
    window = shared_region(a, b, region)
    first, second = pattern(a, window, name="a"), pattern(b, window, name="b")
    places = [first.points_nm, second.points_nm]
    masses = [np.full(len(item), 1 / len(item)) for item in places]
    notes = list(dict.fromkeys(first.notes + second.notes))
    if cell_nm is not None:
        for side in (0, 1):
            places[side], masses[side] = _cells(places[side], cell_nm, window.bounds_nm[0])
        notes.append(f"positions are those of cells of {cell_nm:g} nm")
    from scipy.spatial.distance import cdist

    n, m = len(places[0]), len(places[1])
    matched = cell_nm is None and n == m and n <= _MOST_POINTS
    if not matched and n * m > _MOST_ROUTES:
        raise ConfigError(
            f"optimal transport: {n} and {m} {'points' if cell_nm is None else 'cells'} have more "
            f"than {_MOST_ROUTES} routes; use a larger cell_nm or a smaller region."
        )
    distance = cdist(places[0], places[1])
    if matched:
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(distance**order)
        plan = np.full(n, 1 / n)
    else:
        rows, columns, plan = _plan(distance**order, masses[0], masses[1])
    moved = distance[rows, columns]
    reach = np.searchsorted(np.sort(moved), radii * (1 + 1e-12), side="right")
    cumulated = np.concatenate([[0.0], np.cumsum(plan[np.argsort(moved)])])
    return OptimalTransport(
        radii,
        np.minimum(cumulated[reach], 1.0),
        float((plan * moved).sum()),
        pd.DataFrame({"distance_nm": moved, "mass": plan}),
        tuple(notes),
    )


def _cells(points: FloatArray, cell: float, low: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Centres of the cells that hold points, and the share of the points in each."""
    index = np.floor((points - low) / cell)
    used, counts = np.unique(index, axis=0, return_counts=True)
    return low + (used + 0.5) * cell, counts / len(points)


def _plan(
    price: FloatArray, first: FloatArray, second: FloatArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Solve the transport problem as a linear programme; give the routes that are used."""
    from scipy import sparse
    from scipy.optimize import linprog

    n, m = price.shape
    leave = sparse.kron(sparse.eye(n), np.ones((1, m)))
    arrive = sparse.kron(np.ones((1, n)), sparse.eye(m))
    # One condition follows from the others; left in, rounding could make the problem infeasible.
    conditions = sparse.vstack([leave, arrive.tocsr()[:-1]]).tocsr()
    mass = np.concatenate([first, second[:-1]])
    scale = float(price.max()) or 1.0
    found = linprog(price.ravel() / scale, A_eq=conditions, b_eq=mass, method="highs")
    if found.x is None:
        raise ConfigError(f"optimal transport: no plan was found ({found.message}).")
    used = np.flatnonzero(found.x > 1e-12)
    rows, columns = np.unravel_index(used, price.shape)
    return rows.astype(np.int64), columns.astype(np.int64), found.x[used]
