"""How bodies, handles and volume of the carved set change with alpha, around the alpha chosen.

Strategy: the set at the lowest alpha is measured once, by its boundary; then tetrahedra are added
in the order of their depth. Each changes the Euler characteristic of its body by what is new in its
own corners, edges and facets, where corners and edges count once for every part of the set that
meets in them, as in :func:`nanospine.surface.mesh.boundary_surface`. A body without inner voids
(carving leaves none) of Euler characteristic x has 1 - x handles.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.surface.alpha import CarvingDepth
from nanospine.surface.growth import changes, grow, start
from nanospine.surface.mesh import joined_facets

__all__ = ["persistence", "stability"]

FloatArray = npt.NDArray[np.float64]

# Ratio of one alpha to the one before; ten steps are 1.25.
_STEP = 1.25**0.1
_BELOW, _ABOVE = 10, 20


def persistence(
    depth: CarvingDepth, alpha_nm: float, *, min_component_fraction: float = 0.0
) -> pd.DataFrame:
    """Measure the carved set at 31 alphas from 0.8 to 1.56 times the given one.

    Parameters
    ----------
    depth : CarvingDepth
    alpha_nm : float
        The one in row 10.
    min_component_fraction : float
        Bodies below this fraction of the largest body's volume (at the same alpha) do not count.

    Returns
    -------
    DataFrame
        `alpha_nm`; `volume_nm3`, `n_components` and `genus` (handles) of the bodies that count.
        Rows are missing where the set is empty, and all but the first where it is too entangled.

    Examples
    --------
    >>> from nanospine.surface.alpha import carving_depth
    >>> from nanospine.surface.delaunay import delaunay
    >>> ring = np.random.default_rng(0).uniform(0, 2 * np.pi, (2, 4000))
    >>> wide = 300 + 60 * np.cos(ring[1])
    >>> torus = np.stack([wide * np.cos(ring[0]), wide * np.sin(ring[0]), 60 * np.sin(ring[1])], 1)
    >>> frame = persistence(carving_depth(delaunay(torus)), 60.0, min_component_fraction=0.01)
    >>> frame["n_components"].unique().tolist(), frame["genus"].unique().tolist()
    ([1], [1])
    """
    alphas = alpha_nm * _STEP ** np.arange(-_BELOW, _ABOVE + 1)
    whole = depth.triangulation
    inside = depth.inside(alphas[0])
    own, corners, partner, _, faces, count = joined_facets(
        whole.tetrahedra, whole.neighbors, inside
    )
    parent, bodies, euler, volume = start(
        whole.points_nm, inside, own, corners, partner, faces, count
    )
    ends = np.searchsorted(depth.depth_nm, alphas, side="right", sorter=depth.order)
    change, known = changes(
        whole.tetrahedra, whole.neighbors, depth.depth_nm, alphas[0], alphas[-1]
    )
    rows = grow(
        whole.neighbors, depth.volume_nm3, change, depth.order[ends[0] : ends[-1]],
        ends - ends[0] if known else np.zeros(1, dtype=np.int64), inside, parent, bodies, euler,
        volume, float(min_component_fraction),
    )  # fmt: skip
    alphas = alphas[: len(rows)]
    frame = pd.DataFrame(
        {
            "alpha_nm": alphas,
            "volume_nm3": rows[:, 0],
            "n_components": rows[:, 1].astype(np.int64),
            "genus": rows[:, 2].astype(np.int64),
        }
    )
    return frame[frame["n_components"] > 0].reset_index(drop=True)


def stability(frame: pd.DataFrame, alpha_nm: float) -> dict[str, float]:
    """Say in four numbers how much the result depends on alpha.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`persistence`.
    alpha_nm : float
        The alpha chosen.

    Returns
    -------
    dict
        `alpha_stable_from_nm` and `alpha_stable_to_nm`: between these alphas (both looked at) the
        number of bodies and of handles is what it is at the chosen one. `volume_change_0_8_alpha`
        and `volume_change_1_25_alpha`: volume there over that at the chosen alpha, minus one. NaN
        where nothing is known.

    Examples
    --------
    >>> frame = pd.DataFrame({"alpha_nm": [8.0, 10.0, 12.5], "volume_nm3": [9e6, 1e7, 1.2e7],
    ...                       "n_components": [2, 1, 1], "genus": [0, 0, 0]})
    >>> [round(value, 3) for value in stability(frame, 10.0).values()]
    [10.0, 12.5, -0.1, 0.2]
    """
    result = dict.fromkeys(
        (
            "alpha_stable_from_nm",
            "alpha_stable_to_nm",
            "volume_change_0_8_alpha",
            "volume_change_1_25_alpha",
        ),
        np.nan,
    )
    if len(frame) == 0:
        return result
    alphas = frame["alpha_nm"].to_numpy(dtype=np.float64)
    here = np.flatnonzero(np.isclose(alphas, alpha_nm, rtol=1e-9))
    if len(here) == 0:
        return result
    row = int(here[0])
    shape = frame[["n_components", "genus"]].to_numpy()
    other = np.flatnonzero((shape != shape[row]).any(axis=1))
    low = int(other[other < row].max(initial=-1)) + 1
    high = int(other[other > row].min(initial=len(frame))) - 1
    result["alpha_stable_from_nm"], result["alpha_stable_to_nm"] = (
        float(alphas[low]),
        float(alphas[high]),
    )
    volume = frame["volume_nm3"].to_numpy()
    for name, factor in (("volume_change_0_8_alpha", 0.8), ("volume_change_1_25_alpha", 1.25)):
        at = np.flatnonzero(np.isclose(alphas, factor * alpha_nm, rtol=1e-9))
        if len(at):
            result[name] = float(volume[at[0]] / volume[row] - 1.0)
    return result
