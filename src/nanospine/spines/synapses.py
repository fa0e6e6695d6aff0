"""Synaptic molecules on spines: which spine, which part of it, coupled with what."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh
from scipy.spatial import cKDTree

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.core.localizations import Localizations
from nanospine.core.triangles import TriangleTree
from nanospine.spines.centreline import arc_length_nm
from nanospine.spines.model import BACKGROUND, SHAFT, Spine, Spines
from nanospine.statistics.soda_chains import soda_by_region
from nanospine.statistics.soda_result import SodaResult

__all__ = ["SpineSynapses", "place_on_spines", "spine_synapses"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Points = Localizations | npt.ArrayLike

_PLACES = ("head", "neck", "shaft", "away")


@dataclass(frozen=True, eq=False)
class SpineSynapses:
    """Synaptic molecules of each spine.

    Attributes
    ----------
    table : pandas.DataFrame
        A row per spine: `spine`, `type`, `n_a`, `n_b` (objects on it), `n_a_head`, `n_a_neck`,
        `n_b_head`, `n_b_neck`, `nearest_nm` (mean distance of its objects of b to the nearest of
        a, wherever that is), and with a SODA result `coupled_pairs`, `coupled_fraction_b`,
        `mean_distance_nm`.
    pairs : pandas.DataFrame
        The pairs of the SODA result with `spine_a`, `part_a`, `position_a_nm`, and the same of b.
    a, b : pandas.DataFrame
        Each object: `spine`, `part`, `position_nm`, `distance_nm` (see :func:`place_on_spines`).
    """

    table: pd.DataFrame
    pairs: pd.DataFrame = field(repr=False)
    a: pd.DataFrame = field(repr=False)
    b: pd.DataFrame = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a copy that may be changed."""
        return self.table.copy()


def place_on_spines(spines: Spines, points: Points, *, reach_nm: float = 200.0) -> pd.DataFrame:
    """Tell where on the dendrite points are.

    Parameters
    ----------
    spines : Spines
        From :func:`nanospine.find_spines`.
    points : Localizations or array_like, shape (n, 3)
        Such as the centroids of synaptic clusters, nm.
    reach_nm : float
        Points farther outside the envelope than this are on nothing: a presynaptic molecule
        stands some 100 nm off the spine that it belongs to.

    Returns
    -------
    pandas.DataFrame
        One row per point: `spine` (-1 on the shaft, -2 away), `part` (head, neck, shaft, away; a
        spine without a neck is all head), `position_nm` (arc length along the spine's centreline
        from its base; NaN elsewhere), `distance_nm` (to the envelope, negative inside).

    Raises
    ------
    GeometryError
        When points are not of shape (n, 3).
    ConfigError
        When `reach_nm` is negative.

    Examples
    --------
    >>> import nanospine as ns
    >>> shape = ns.simulate.spine("mushroom", seed=1)
    >>> spines = ns.find_spines(shape.mesh)
    >>> tip = spines.table[["tip_x_nm", "tip_y_nm", "tip_z_nm"]].to_numpy(float)
    >>> place_on_spines(spines, tip)["part"].tolist()
    ['head']
    """
    xyz = points.xyz_nm if isinstance(points, Localizations) else np.asarray(points, dtype=float)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise GeometryError(
            f"place_on_spines: points of shape (n, 3) in nm were expected, found {xyz.shape}."
        )
    if not np.isfinite(xyz).all():
        raise GeometryError(
            f"place_on_spines: {int((~np.isfinite(xyz).all(axis=1)).sum())} of {len(xyz)} points "
            "have coordinates that are not finite; drop them first."
        )
    if not reach_nm >= 0:
        raise ConfigError(f"place_on_spines: reach_nm of 0 or more was expected, found {reach_nm}.")
    envelope = spines.envelope
    mesh = envelope if isinstance(envelope, trimesh.Trimesh) else envelope.mesh
    spine = np.full(len(xyz), BACKGROUND, dtype=np.int64)
    distance, position = np.full(len(xyz), np.nan), np.full(len(xyz), np.nan)
    part = np.full(len(xyz), _PLACES.index("away"))
    if len(xyz):
        _, nearest = cKDTree(np.asarray(mesh.vertices)).query(xyz)
        distance = TriangleTree(mesh.vertices, mesh.faces).signed_distance(xyz)
        near = distance <= reach_nm
        spine[near] = spines.vertex_spine[nearest[near]]
    part[spine == SHAFT] = _PLACES.index("shaft")
    for one in spines.spines:
        mine = np.flatnonzero(spine == one.id)
        if len(mine):
            position[mine] = _along(one, xyz[mine])
            in_head = position[mine] >= float(np.nan_to_num(one.row["neck_length_nm"]))
            part[mine] = np.where(in_head, _PLACES.index("head"), _PLACES.index("neck"))
    return pd.DataFrame(
        {
            "spine": spine,
            "part": pd.Categorical(np.array(_PLACES)[part], categories=list(_PLACES)),
            "position_nm": position,
            "distance_nm": distance,
        }
    )


def spine_synapses(
    spines: Spines,
    a: Points,
    b: Points,
    *,
    soda: SodaResult | None = None,
    reach_nm: float = 200.0,
) -> SpineSynapses:
    """Sum up two synaptic channels per spine, and place every coupled pair on it.

    Parameters
    ----------
    spines : Spines
        From :func:`nanospine.find_spines`.
    a, b : Localizations or array_like, shapes (n_a, 3), (n_b, 3)
        Such as presynaptic and postsynaptic clusters, nm.
    soda : SodaResult, optional
        Of :func:`nanospine.soda` on the same `a` and `b` over the whole field: a single spine has
        too few pairs to estimate from.
    reach_nm : float
        See :func:`place_on_spines`.

    Returns
    -------
    SpineSynapses

    Examples
    --------
    >>> import nanospine as ns
    >>> shape = ns.simulate.spine("mushroom", seed=1)
    >>> spines = ns.find_spines(shape.mesh)
    >>> b = spines.table[["tip_x_nm", "tip_y_nm", "tip_z_nm"]].to_numpy(float)
    >>> found = spine_synapses(spines, b + [0, 0, 90.0], b)
    >>> found.table[["n_a", "n_b_head", "nearest_nm"]].round(1).values.tolist()
    [[1.0, 1.0, 90.0]]
    """
    placed = {
        name: place_on_spines(spines, points, reach_nm=reach_nm)
        for name, points in (("a", a), ("b", b))
    }
    xyz_a, xyz_b = (
        points.xyz_nm if isinstance(points, Localizations) else np.asarray(points, dtype=float)
        for points in (a, b)
    )
    nearest = np.full(len(xyz_b), np.nan)
    if len(xyz_a) and len(xyz_b):
        nearest = cKDTree(xyz_a).query(xyz_b)[0]
    rows = []
    for spine in spines.spines:
        row: dict[str, object] = {"spine": spine.id, "type": spine.type}
        for name, where in placed.items():
            mine = where["spine"] == spine.id
            row[f"n_{name}"] = int(mine.sum())
            for part in ("head", "neck"):
                row[f"n_{name}_{part}"] = int((mine & (where["part"] == part)).sum())
        own = nearest[(placed["b"]["spine"] == spine.id).to_numpy()]
        row["nearest_nm"] = float(own.mean()) if len(own) else float("nan")
        rows.append(row)
    columns = ["spine", "type", *(f"n_{c}{p}" for c in "ab" for p in ("", "_head", "_neck")),
               "nearest_nm"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    pairs = pd.DataFrame()
    if soda is not None:
        summed = soda_by_region(soda, placed["a"]["spine"], placed["b"]["spine"])
        wanted = ["label", "coupled_pairs", "coupled_fraction_b", "mean_distance_nm"]
        table = table.merge(summed[wanted], left_on="spine", right_on="label", how="left")
        table = table.drop(columns="label").fillna({"coupled_pairs": 0.0})
        pairs = soda.pairs.copy()
        for name, where in placed.items():
            at = where.iloc[pairs[f"index_{name}"]].reset_index(drop=True)
            for column in ("spine", "part", "position_nm"):
                label = f"position_{name}_nm" if column == "position_nm" else f"{column}_{name}"
                pairs[label] = at[column].to_numpy()
    return SpineSynapses(table, pairs, placed["a"], placed["b"])


def _along(spine: Spine, xyz_nm: FloatArray) -> FloatArray:
    """Arc length of the nearest place of a spine's centreline, between its points too."""
    line = spine.centreline_nm
    arc = arc_length_nm(line)
    fine = np.linspace(0.0, arc[-1], max(int(arc[-1] / 5.0), 2) + 1)
    dense = np.column_stack([np.interp(fine, arc, column) for column in line.T])
    return np.asarray(fine[cKDTree(dense).query(xyz_nm)[1]])
