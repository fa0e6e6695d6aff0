"""Dendrites with planted spines as smooth shapes, and what is true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import GeometryError
from nanospine.simulate.distance import Ball, Tube, smooth_union

if TYPE_CHECKING:
    import trimesh

__all__ = ["TYPES", "DendriteTruth", "Shape", "SpineSpec", "build_shape", "plant", "shifted"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TYPES = ("stubby", "thin", "mushroom", "filopodium", "branched")

_SHAFT_JOINT_NM = 60.0
_HEAD_JOINT_NM = 40.0
_STEP_NM = 10.0
# Step of differences; how much farther than the nearest a surface may be that they still see.
_SLOPE_NM, _AS_NEAR_NM = 0.5, 10.0


@dataclass(frozen=True)
class SpineSpec:
    """What is planted: one spine.

    Parameters
    ----------
    type : str
        stubby, thin, mushroom, filopodium or branched.
    position_nm : float
        Along the shaft's axis.
    azimuth_rad : float
        Around the shaft.
    neck_diameter_nm, neck_length_nm : float
        Tube between the shaft's surface and the head; for stubby spines the neck is the body
        (its diameter the head's), for filopodia the whole spine is neck.
    head_diameter_nm : float
        Ball at the end; for filopodia the diameter of the rounded tip.
    bend_nm : float
        How far the neck bows sideways in its middle.
    lean_rad : float
        Tilt of the spine along the shaft.
    second_head_diameter_nm : float
        Second head of a branched spine.
    """

    type: str
    position_nm: float
    azimuth_rad: float
    neck_diameter_nm: float
    neck_length_nm: float
    head_diameter_nm: float
    bend_nm: float = 0.0
    lean_rad: float = 0.0
    second_head_diameter_nm: float = 0.0

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise GeometryError(
                f"SpineSpec: type must be one of {', '.join(TYPES)}, found {self.type!r}."
            )
        for name in ("neck_diameter_nm", "neck_length_nm", "head_diameter_nm"):
            if not getattr(self, name) > 0:
                raise GeometryError(
                    f"SpineSpec: {name} must be positive, found {getattr(self, name)}."
                )


@dataclass(frozen=True, eq=False)
class DendriteTruth:
    """What is true of a simulated dendrite, measured on the final shape.

    Attributes
    ----------
    spines : pandas.DataFrame
        One row per spine: `spine`, `type`, `length_nm`, `neck_diameter_nm` (the constriction),
        `neck_length_nm`, `head_diameter_nm`, `head_volume_nm3`, `volume_nm3`, `n_heads`,
        `base_x_nm` ... `tip_z_nm`, and the planted parameters with the prefix `planted_`.
    centrelines_nm : tuple of ndarray, shape (k, 3)
        From the shaft's surface to the tip.
    profiles : tuple of pandas.DataFrame
        `position_nm` along the centreline and `diameter_nm` of the cross-section (of the circle
        with its area).
    shaft_axis_nm, shaft_radius_nm : ndarray, shape (m, 3), (m,)
    """

    spines: pd.DataFrame
    centrelines_nm: tuple[FloatArray, ...]
    profiles: tuple[pd.DataFrame, ...]
    shaft_axis_nm: FloatArray
    shaft_radius_nm: FloatArray


@dataclass(frozen=True, eq=False)
class PlantedSpine:
    """The bodies of one spine and its centreline from the shaft's surface to the tip."""

    spec: SpineSpec
    bodies: tuple[Tube | Ball, ...]
    centreline_nm: FloatArray
    neck_end_nm: float

    def signed_distance_nm(self, xyz_nm: FloatArray) -> FloatArray:
        """Distance to the surface of the spine alone."""
        result = self.bodies[0].signed_distance_nm(xyz_nm)
        for body in self.bodies[1:]:
            result = smooth_union(result, body.signed_distance_nm(xyz_nm), _HEAD_JOINT_NM)
        return result

    @cached_property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner."""
        bounds = np.stack([body.bounds_nm for body in self.bodies])
        return np.stack([bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)])


@dataclass(frozen=True, eq=False)
class Shape:
    """A dendrite as a signed distance, a watertight mesh, and the truth about it."""

    shaft: Tube
    planted: tuple[PlantedSpine, ...]
    voxel_nm: float = 20.0
    parameters: dict[str, Any] = field(default_factory=dict, repr=False)

    def signed_distance_nm(self, xyz_nm: npt.ArrayLike) -> FloatArray:
        """Distance to the surface, nm, shape (n,), negative inside.

        Exact beside straight parts; at joints and on curved tubes a close lower bound.
        """
        xyz = np.asarray(xyz_nm, dtype=np.float64)
        return self._joined(xyz, self._near(xyz))[0]

    def distance_and_gradient(self, xyz_nm: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Distance, and its gradient by central differences, shapes (n,) and (n, 3).

        Beside a point only spines count whose surface is about as near as the nearest one.
        """
        near = self._near(xyz_nm)
        here, own = self._joined(xyz_nm, near)
        near = [
            rows[values <= here[rows] + _AS_NEAR_NM] for rows, values in zip(near, own, strict=True)
        ]
        steps = _SLOPE_NM * np.eye(3)
        slopes = [
            self._joined(xyz_nm + step, near)[0] - self._joined(xyz_nm - step, near)[0]
            for step in steps
        ]
        return here, np.stack([slope / (2 * _SLOPE_NM) for slope in slopes], axis=1)

    def _near(self, xyz: FloatArray) -> list[IntArray]:
        """Give the points near each spine."""
        columns = np.ascontiguousarray(xyz.T)
        bounds = [spine.bounds_nm for spine in self.planted]
        return [_within(columns, low, high, 150.0) for low, high in bounds]

    def _joined(
        self, xyz: FloatArray, near: Sequence[IntArray]
    ) -> tuple[FloatArray, list[FloatArray]]:
        """Distance to the shaft and the spines near each point; that to each spine on the shaft."""
        shaft = self.shaft.signed_distance_nm(xyz)
        result = shaft.copy()
        each = []
        for spine, rows in zip(self.planted, near, strict=True):
            if len(rows) == 0:
                each.append(np.empty(0))
                continue
            part = spine.signed_distance_nm(xyz[rows])
            # Rounded into the shaft, not into neighbours: their membranes do not fuse.
            own = smooth_union(shaft[rows], part, _SHAFT_JOINT_NM)
            result[rows] = np.minimum(result[rows], own)
            each.append(own)
        return result, each

    @property
    def bounds_nm(self) -> FloatArray:
        """Lowest and highest corner, shape (2, 3)."""
        bounds = np.stack([self.shaft.bounds_nm, *[s.bounds_nm for s in self.planted]])
        return np.stack([bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)])

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """Watertight mesh of the surface; vertices lie on it to better than 1 nm."""
        from nanospine.simulate.meshing import mesh_of

        return mesh_of(self, self.voxel_nm)

    @cached_property
    def truth(self) -> DendriteTruth:
        """What is true of the shape, measured on it."""
        from nanospine.simulate.truth import truth_of

        return truth_of(self)


def _within(columns: FloatArray, low: FloatArray, high: FloatArray, reach: float) -> IntArray:
    """Points in a box and around it; axis by axis, as most fall out at the first."""
    kept = np.flatnonzero((columns[0] >= low[0] - reach) & (columns[0] <= high[0] + reach))
    for k in (1, 2):
        values = columns[k][kept]
        kept = kept[(values >= low[k] - reach) & (values <= high[k] + reach)]
    return kept


def build_shape(
    axis_nm: FloatArray,
    radius_nm: FloatArray,
    specs: tuple[SpineSpec, ...],
    *,
    voxel_nm: float = 20.0,
    parameters: dict[str, Any] | None = None,
) -> Shape:
    """Build a dendrite from its axis (even steps), its radius along it, and its spines."""
    shaft = Tube(axis_nm, radius_nm)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(axis_nm, axis=0), axis=1))])
    planted = tuple(plant(spec, axis_nm, radius_nm, arc) for spec in specs)
    return Shape(shaft, planted, voxel_nm, parameters or {})


def plant(
    spec: SpineSpec, axis_nm: FloatArray, radius_nm: FloatArray, arc: FloatArray
) -> PlantedSpine:
    """Put one spine on the shaft."""
    at = np.array([np.interp(spec.position_nm, arc, axis_nm[:, i]) for i in range(3)])
    radius = float(np.interp(spec.position_nm, arc, radius_nm))
    index = int(np.clip(np.searchsorted(arc, spec.position_nm), 1, len(arc) - 1))
    tangent = axis_nm[index] - axis_nm[index - 1]
    tangent /= np.linalg.norm(tangent)
    first = np.cross(tangent, [0.0, 0.0, 1.0])
    if np.linalg.norm(first) < 1e-6:
        first = np.array([1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    second = np.cross(tangent, first)
    out = np.cos(spec.azimuth_rad) * first + np.sin(spec.azimuth_rad) * second
    side = np.cross(tangent, out)
    up = np.cos(spec.lean_rad) * out + np.sin(spec.lean_rad) * tangent
    base = at + radius * out
    if spec.type == "branched":
        return _forked(spec, base, up, side)
    neck = _bowed(base, up, side, spec.neck_length_nm, spec.bend_nm)
    head_radius = spec.head_diameter_nm / 2
    if spec.type == "filopodium":
        body = Tube(_rooted(neck, up), np.full(len(neck) + 1, spec.neck_diameter_nm / 2))
        tip = neck[-1] + spec.neck_diameter_nm / 2 * _direction(neck)
        return PlantedSpine(spec, (body,), np.vstack([neck, tip]), spec.neck_length_nm)
    if spec.type == "stubby":
        end = max(spec.neck_length_nm - head_radius, _STEP_NM)
        body = Tube(_rooted(np.linspace(base, base + end * up, 12), up), np.full(13, head_radius))
        tip = base + (end + head_radius) * up
        return PlantedSpine(spec, (body,), np.linspace(base, tip, 60), 0.0)
    # The ball is set into the end of the neck so that the neck is as long as was asked for.
    sunk = np.sqrt(max(head_radius**2 - (spec.neck_diameter_nm / 2) ** 2, 0.0))
    way = _direction(neck)
    centre = neck[-1] + sunk * way
    inner = np.vstack([_rooted(neck, up), centre[None]])
    tube = Tube(inner, np.full(len(inner), spec.neck_diameter_nm / 2))
    line = np.vstack([neck, np.linspace(neck[-1], centre + head_radius * way, 60)[1:]])
    return PlantedSpine(spec, (tube, Ball(centre, head_radius)), line, spec.neck_length_nm)


def _forked(spec: SpineSpec, base: FloatArray, up: FloatArray, side: FloatArray) -> PlantedSpine:
    """A neck that forks after half its length into two, each with a head."""
    stem = _bowed(base, up, side, spec.neck_length_nm / 2, 0.0)
    bodies: list[Tube | Ball] = []
    lines = []
    for sign, diameter in ((1, spec.head_diameter_nm), (-1, spec.second_head_diameter_nm)):
        radius = (diameter or spec.head_diameter_nm) / 2
        way = up + sign * 0.9 * side
        way /= np.linalg.norm(way)
        # Two heads that touch would be one: the arms are long enough to hold them apart.
        arm_length = max(spec.neck_length_nm / 2, 1.15 * spec.head_diameter_nm)
        arm = np.linspace(stem[-1], stem[-1] + arm_length * way, 40)
        centre = arm[-1] + np.sqrt(max(radius**2 - (spec.neck_diameter_nm / 2) ** 2, 0)) * way
        path = np.vstack([_rooted(stem, up), arm[1:], centre[None]])
        bodies.append(Tube(path, np.full(len(path), spec.neck_diameter_nm / 2)))
        bodies.append(Ball(centre, radius))
        tail = np.linspace(arm[-1], centre + radius * way, 40)[1:]
        lines.append(np.vstack([stem, arm[1:], tail]))
    neck_length = spec.neck_length_nm / 2 + arm_length
    # The two tubes share their stem: joined first, and plainly, so that it is not thickened.
    ordered = (bodies[0], bodies[1], bodies[2], bodies[3])
    return ForkedSpine(spec, ordered, lines[0], neck_length)


class ForkedSpine(PlantedSpine):
    """A branched spine: its two tubes share a stem, which a smooth union would thicken."""

    def signed_distance_nm(self, xyz_nm: FloatArray) -> FloatArray:
        """Distance to the surface of the spine alone."""
        tube_a, ball_a, tube_b, ball_b = (body.signed_distance_nm(xyz_nm) for body in self.bodies)
        result = np.minimum(tube_a, tube_b)
        for ball in (ball_a, ball_b):
            result = smooth_union(result, ball, _HEAD_JOINT_NM)
        return result


def _bowed(
    base: FloatArray, up: FloatArray, side: FloatArray, length: float, bend: float
) -> FloatArray:
    """A path of about even steps from base, bowed sideways by `bend` in its middle."""
    count = max(int(length / _STEP_NM), 4) + 1
    t = np.linspace(0.0, 1.0, count)[:, None]
    return np.asarray(base + t * length * up + bend * np.sin(np.pi * t) * side)


def _rooted(neck: FloatArray, up: FloatArray) -> FloatArray:
    """Begin a neck inside the shaft, so that its rounded end does not show."""
    return np.vstack([neck[:1] - 60.0 * up, neck])


def _direction(path: FloatArray) -> FloatArray:
    way = path[-1] - path[-3]
    return np.asarray(way / np.linalg.norm(way))


def shifted(spec: SpineSpec, position_nm: float, azimuth_rad: float) -> SpineSpec:
    """Give the same spine at another place on the shaft."""
    return replace(spec, position_nm=position_nm, azimuth_rad=azimuth_rad)
