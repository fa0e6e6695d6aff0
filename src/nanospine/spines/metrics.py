"""Shape metrics of spines: those of SpineTool, orientation, contact area, electrical resistance."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh

from nanospine.core.errors import ConfigError
from nanospine.spines.centreline import arc_length_nm
from nanospine.spines.model import Shaft, Spine, Spines

__all__ = [
    "chord_lengths_nm", "closed_volume_nm3", "neck_resistance_mohm", "rim_edges", "spine_metrics",
    "surface_metrics",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]

_CHORDS = 3000
_FARTHEST = 0.05


def spine_metrics(
    spines: Spines, *, resistivity_ohm_cm: float = 150.0, chord_bins: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Measure the shape of each spine's surface, for comparison with other programs.

    Parameters
    ----------
    spines : Spines
        From :func:`nanospine.find_spines`.
    resistivity_ohm_cm : float
        Of the cytoplasm; 150 ohm cm is the usual value for dendrites, published ones range from
        70 to 300.
    chord_bins : int
        With more than 0 the distribution of chord lengths is added, `chord_0` to
        `chord_{bins - 1}`: 3000 pairs of random points of the surface, as shares of all, in
        equal bins up to the longest.
    seed : int
        For the chords.

    Returns
    -------
    pandas.DataFrame
        One row per spine, in the order of `spines.table`:

        - `open_angle_rad`: mean angle between the way from the middle of the junction to points
          of the surface and their mean direction
        - `average_distance_nm`, `cvd`: mean distance of the surface from the middle of the
          junction, and its standard deviation (ddof 1) over the mean
        - `length_top5_nm`: mean of the 5 % longest of these distances
        - `area_nm2` (without the cap over the junction), `volume_nm3` (with it),
          `junction_area_nm2` (contact area with the shaft)
        - `hull_volume_nm3`, `hull_ratio` = (hull - volume) / volume
        - `length_volume_ratio_per_nm2`, `length_area_ratio_per_nm`
        - `elongation`: of the whole spine, square root of the ratio of the largest to the middle
          moment of its surface
        - `shaft_angle_rad`: between the way from base to tip and the shaft, 0 to pi / 2
        - `shaft_distance_nm`: of the tip from the shaft's axis
        - `neck_resistance_mohm`: see :func:`neck_resistance_mohm`

    Notes
    -----
    The names and definitions follow the metrics of SpineTool (Vasiliev et al.), read from its
    documentation. Its surfaces come from image stacks and its junctions from a skeleton; values
    of the same spine agree as far as the surfaces do.

    Examples
    --------
    >>> import nanospine as ns
    >>> shape = ns.simulate.spine("mushroom", seed=1)
    >>> table = spine_metrics(ns.find_spines(shape.mesh))
    >>> bool(table["hull_ratio"][0] > 0), bool(0 < table["cvd"][0] < 1)
    (True, True)
    """
    if not resistivity_ohm_cm > 0:
        raise ConfigError(
            "spine_metrics: a positive resistivity_ohm_cm was expected, found "
            f"{resistivity_ohm_cm}."
        )
    rows = []
    for spine in spines.spines:
        row: dict[str, Any] = {"spine": spine.id, **surface_metrics(spine.mesh)}
        row |= _towards_shaft(spine, spines.shaft)
        row["neck_resistance_mohm"] = neck_resistance_mohm(
            spine, resistivity_ohm_cm=resistivity_ohm_cm
        )
        if chord_bins > 0:
            chords = chord_lengths_nm(spine.mesh, seed=seed)
            count, _ = np.histogram(chords, bins=chord_bins, range=(0.0, float(chords.max())))
            row |= {f"chord_{i}": value / len(chords) for i, value in enumerate(count)}
        rows.append(row)
    return pd.DataFrame(rows)


def neck_resistance_mohm(spine: Spine, *, resistivity_ohm_cm: float = 150.0) -> float:
    """Give the electrical resistance of a neck, megaohms.

    R = rho * integral of 4 / (pi d(s)^2) ds over the measured profile from the base to where the
    neck ends; short gaps of the profile are bridged straight.

    Returns
    -------
    float
        NaN when the neck was not measured or the profile covers less than half of it.

    Examples
    --------
    A neck of 100 nm, 1000 nm long, of 150 ohm cm has 191 megaohms:

    >>> round(150e-2 * 1e-6 / (np.pi / 4 * 1e-14) / 1e6)
    191
    """
    profile, length = spine.neck, float(spine.row["neck_length_nm"])
    if not profile.measurable or not length > 0:
        return float("nan")
    on_neck = profile.position_nm <= length
    known = on_neck & np.isfinite(profile.diameter_nm)
    if known.sum() < max(2, 0.5 * on_neck.sum()):
        return float("nan")
    s = np.linspace(0.0, length, 400)
    d = np.interp(s, profile.position_nm[known], profile.diameter_nm[known])
    per_nm = np.trapezoid(4.0 / (np.pi * d**2), s)
    return float(per_nm * 1e9 * resistivity_ohm_cm * 1e-2 / 1e6)


def chord_lengths_nm(mesh: trimesh.Trimesh, count: int = _CHORDS, seed: int = 0) -> FloatArray:
    """Give the distances of pairs of random points of a surface, shape (count,)."""
    points, _ = trimesh.sample.sample_surface(mesh, 2 * count, seed=seed)
    points = np.asarray(points, dtype=np.float64)
    return np.asarray(np.linalg.norm(points[:count] - points[count:], axis=1))


def surface_metrics(part: trimesh.Trimesh) -> dict[str, float]:
    """Metrics of an open piece of surface whose rim is the junction with the shaft."""
    rim = rim_edges(part)
    vertices = np.asarray(part.vertices, dtype=np.float64)
    middle = _middle_of_rim(vertices, rim)
    centre = np.asarray(part.triangles_center, dtype=np.float64) - middle
    weight = np.asarray(part.area_faces, dtype=np.float64)
    weight = weight / weight.sum()
    distance = np.linalg.norm(centre, axis=1)
    mean = float(weight @ distance)
    spread = np.sqrt(weight @ (distance - mean) ** 2 * len(distance) / max(len(distance) - 1, 1))
    axis = weight @ centre
    cosine = centre @ axis / np.maximum(distance * np.linalg.norm(axis), 1e-12)
    volume = _volume_about(part, middle)
    fan = np.cross(vertices[rim[:, 0]] - middle, vertices[rim[:, 1]] - middle)
    cap = float(np.linalg.norm(fan.sum(axis=0)) / 2) if len(rim) else 0.0
    far = np.sort(distance)[-max(int(_FARTHEST * len(distance)), 1) :]
    length, area = float(far.mean()), float(part.area)
    hull = float(part.convex_hull.volume)
    moments = np.linalg.eigvalsh(np.cov(centre.T, aweights=weight))
    return {
        "open_angle_rad": float(weight @ np.arccos(np.clip(cosine, -1, 1))),
        "average_distance_nm": mean,
        "cvd": float(spread / mean),
        "length_top5_nm": length,
        "area_nm2": area,
        "volume_nm3": volume,
        "junction_area_nm2": cap,
        "hull_volume_nm3": hull,
        "hull_ratio": (hull - volume) / volume if volume > 0 else float("nan"),
        "length_volume_ratio_per_nm2": length / volume if volume > 0 else float("nan"),
        "length_area_ratio_per_nm": length / area,
        "elongation": float(np.sqrt(moments[2] / max(moments[1], 1e-12))),
    }


def closed_volume_nm3(part: trimesh.Trimesh) -> float:
    """Volume of an open piece of surface, closed by a fan from the middle of its rim."""
    if len(part.faces) == 0:  # a spine of single vertices, none of whose faces is all its own
        return 0.0
    return _volume_about(part, _middle_of_rim(np.asarray(part.vertices), rim_edges(part)))


def _middle_of_rim(vertices: FloatArray, rim: npt.NDArray[np.int64]) -> FloatArray:
    """Mean of the vertices of the rim; of all vertices where the surface is closed."""
    return np.asarray((vertices[np.unique(rim)] if len(rim) else vertices).mean(axis=0))


def _volume_about(part: trimesh.Trimesh, middle: FloatArray) -> float:
    a, b, c = np.moveaxis(np.asarray(part.triangles) - middle, 1, 0)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def rim_edges(part: trimesh.Trimesh) -> npt.NDArray[np.int64]:
    """Edges with a face on one side only, in the direction of that face, shape (m, 2)."""
    edges = np.asarray(part.edges)
    _, first, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
    )
    return np.asarray(edges[first[count == 1]], dtype=np.int64).reshape(-1, 2)


def _towards_shaft(spine: Spine, shaft: Shaft | None) -> dict[str, float]:
    """Angle to the shaft and distance of the tip from its axis."""
    if shaft is None:
        return {"shaft_angle_rad": float("nan"), "shaft_distance_nm": float("nan")}
    axis = shaft.axes_nm[int(spine.row["dendrite"])]
    tangent = np.gradient(axis, arc_length_nm(axis), axis=0)
    base, tip = spine.centreline_nm[0], spine.centreline_nm[-1]
    along = tangent[int(np.linalg.norm(axis - base, axis=1).argmin())]
    way = tip - base
    cosine = abs(float(way @ along)) / max(
        float(np.linalg.norm(way) * np.linalg.norm(along)), 1e-12
    )
    return {
        "shaft_angle_rad": float(np.arccos(min(cosine, 1.0))),
        "shaft_distance_nm": float(np.linalg.norm(axis - tip, axis=1).min()),
    }
