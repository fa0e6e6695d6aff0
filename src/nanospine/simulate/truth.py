"""The truth of a simulated dendrite, measured on its final shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.simulate.distance import radii_across

if TYPE_CHECKING:
    from nanospine.simulate.shapes import DendriteTruth, PlantedSpine, Shape

__all__ = ["truth_of"]

FloatArray = npt.NDArray[np.float64]

_STEP_NM = 10.0
_VOLUME_STEP_NM = 12.0


def truth_of(shape: Shape) -> DendriteTruth:
    """Measure every planted spine on the final shape."""
    from nanospine.simulate.shapes import DendriteTruth

    rows, lines, profiles = [], [], []
    for number, spine in enumerate(shape.planted):
        line = _even(spine.centreline_nm)
        profile = _profile(shape, line)
        rows.append(_row(number, shape, spine, line, profile))
        lines.append(line)
        profiles.append(profile)
    return DendriteTruth(
        spines=pd.DataFrame(rows),
        centrelines_nm=tuple(lines),
        profiles=tuple(profiles),
        shaft_axis_nm=shape.shaft.path_nm,
        shaft_radius_nm=shape.shaft.radius_nm,
    )


def _even(path: FloatArray) -> FloatArray:
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0.0, arc[-1], max(int(arc[-1] / _STEP_NM), 8) + 1)
    return np.column_stack([np.interp(even, arc, path[:, i]) for i in range(3)])


def _profile(shape: Shape, line: FloatArray) -> pd.DataFrame:
    """Diameter of the circle with the area of the cross-section at each point of the line."""
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    radii = radii_across(shape.signed_distance_nm, line[:-1], tangent[:-1], 900.0)
    diameter = 2 * np.sqrt((radii**2).mean(axis=1))  # NaN where a plane runs along the shaft
    return pd.DataFrame({"position_nm": arc, "diameter_nm": np.append(diameter, 0.0)})


def _row(
    number: int, shape: Shape, spine: PlantedSpine, line: FloatArray, profile: pd.DataFrame
) -> dict[str, Any]:
    position = profile["position_nm"].to_numpy()
    diameter = profile["diameter_nm"].to_numpy()
    length = float(position[-1])
    neck_end = spine.neck_end_nm
    # The joint with the shaft is wider than the neck: the constriction lies beyond it.
    if neck_end > 0:
        searched = (position >= min(30.0, 0.2 * neck_end)) & (position <= neck_end)
    else:
        searched = (position >= 0.1 * length) & (position <= 0.5 * length)
    beyond = (position > max(neck_end - 1e-6, 0.3 * length)) & (position < length)
    if spine.spec.type == "filopodium":
        beyond = (position > 0.7 * length) & (position < length)
    volume, head_volume = _volumes(shape, spine)
    row: dict[str, Any] = {
        "spine": number,
        "type": spine.spec.type,
        "length_nm": length,
        # NaN where no cross-section could be measured, as between touching spines
        "neck_diameter_nm": float(np.fmin.reduce(diameter[searched], initial=np.nan)),
        "neck_length_nm": neck_end,
        "head_diameter_nm": float(np.fmax.reduce(diameter[beyond], initial=np.nan)),
        "head_volume_nm3": head_volume,
        "volume_nm3": volume,
        "n_heads": 2 if spine.spec.type == "branched" else 1,
    }
    for end, xyz in (("base", line[0]), ("tip", line[-1])):
        row |= {f"{end}_{axis}_nm": float(v) for axis, v in zip("xyz", xyz, strict=True)}
    for name in ("neck_diameter_nm", "neck_length_nm", "head_diameter_nm"):
        row[f"planted_{name}"] = float(getattr(spine.spec, name))
    row["shaft_position_nm"] = spine.spec.position_nm
    return row


def _volumes(shape: Shape, spine: PlantedSpine) -> tuple[float, float]:
    """Volume of the spine outside the shaft's tube, and of the part of it in its main ball."""
    low, high = spine.bounds_nm
    axes = [
        np.arange(a, b + _VOLUME_STEP_NM, _VOLUME_STEP_NM) for a, b in zip(low, high, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    near = grid[spine.signed_distance_nm(grid) < 60.0]
    inside = near[(shape.signed_distance_nm(near) < 0) & (shape.shaft.signed_distance_nm(near) > 0)]
    cell = _VOLUME_STEP_NM**3
    if spine.spec.type in ("stubby", "filopodium"):
        return len(inside) * cell, len(inside) * cell
    in_head = np.zeros(len(inside), dtype=bool)
    balls = [body for body in spine.bodies if hasattr(body, "centre_nm")]
    # Of a branched spine the larger head, which is planted first, is the one that is described.
    for ball in balls[:1]:
        in_head |= ball.signed_distance_nm(inside) < 0
    return len(inside) * cell, float(in_head.sum() * cell)
