"""One spine: centreline, neck, head, volume, type."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.spatial import cKDTree

from nanospine.core.localizations import Localizations
from nanospine.core.region import Box
from nanospine.spines.centreline import arc_length_nm
from nanospine.spines.classes import classify
from nanospine.spines.head import HeadMeasures, measure_head, mesh_profile
from nanospine.spines.levels import (
    Cutter,
    bridged,
    over_gaps,
    slice_levels,
    surface_centreline_nm,
)
from nanospine.spines.lobes import is_head
from nanospine.spines.metrics import closed_volume_nm3
from nanospine.spines.model import SHAFT, Spine
from nanospine.spines.neck import measure_neck
from nanospine.spines.neck_profile import NeckProfile
from nanospine.spines.protrusion import Gap, Protrusion
from nanospine.spines.shaft import ShaftAxis
from nanospine.spines.split import heights_nm

__all__ = ["MeasureOptions", "PointsBySpine", "SpinePoints", "border_of_field", "measure_spine"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_HIGHEST_FOOT_NM = 500.0
# A surface that the field cuts ends in a lid in the plane of the border, rounded by its fit.
_AT_BORDER_NM = 30.0
# Molecules within this distance of the centreline that a neck in a gap of the envelope needs.
_REACH_NM, _FEWEST_MOLECULES = 150.0, 30
_SHAFT_REACH_NM = 300.0
# How far before and behind the crotch of a fork, which the envelope fills, two tubes are one.
_FORK_NM = (140.0, 50.0)
_CROTCH_NM = 40.0


@dataclass(frozen=True)
class MeasureOptions:
    """How spines are measured; the fields are arguments of :func:`nanospine.find_spines`."""

    label: str
    preset: str
    base_nm: float
    seed: int
    linker_nm: float = 0.0
    border: Box | None = None


@dataclass(frozen=True, eq=False)
class SpinePoints:
    """Localizations of and about one spine: positions and precision (n, 3), molecules (n,).

    The first `n_own` are the spine's, the others are the shaft's about it.
    """

    xyz_nm: FloatArray
    precision_nm: FloatArray | None
    molecule: IntArray | None
    n_own: int

    def off_forks(self, line_nm: FloatArray, forks_nm: list[float]) -> SpinePoints:
        """Leave out those at places of a line where a spine forks: no neck is a tube there."""
        arc = arc_length_nm(line_nm)
        place = arc[cKDTree(line_nm).query(self.xyz_nm)[1]]
        kept = np.ones(len(place), dtype=np.bool_)
        for fork in forks_nm:
            kept &= (place < fork - _FORK_NM[0]) | (place > fork + _FORK_NM[1])
        return SpinePoints(
            self.xyz_nm[kept],
            None if self.precision_nm is None else self.precision_nm[kept],
            None if self.molecule is None else self.molecule[kept],
            int(kept[: self.n_own].sum()),
        )


class PointsBySpine:
    """The localizations of one spine after the other, and those of the shaft about one.

    Parameters
    ----------
    locs : Localizations
    precision_nm : ndarray, shape (n, 3), or None
    spine : ndarray of int, shape (n,)
        Of each localization.
    """

    def __init__(
        self, locs: Localizations, precision_nm: FloatArray | None, spine: IntArray
    ) -> None:
        self._xyz, self._precision = locs.xyz_nm, precision_nm
        self._shaft = np.flatnonzero(spine == SHAFT)
        self._shaft_tree = cKDTree(self._xyz[self._shaft])
        self._order = np.argsort(spine, kind="stable")
        self._spine = spine[self._order]
        self._molecule = None
        for name in ("molecule", "trace"):
            if name in locs.table:
                # Those without a number (another channel's) are molecules of their own.
                self._molecule = locs.table[name].fillna(-1).to_numpy().astype(np.int64)
                break

    def count(self, number: int) -> int:
        """Give how many are of one spine."""
        return len(self._rows(number))

    def about(self, number: int, line_nm: FloatArray) -> SpinePoints:
        """Give those of one spine and those of the shaft within 300 nm of a line.

        A localization that noise has carried from the foot of a neck is given to the shaft when
        it lies nearer to it. Without these the foot seems narrower than it is.
        """
        near = self._shaft_tree.query_ball_point(line_nm, _SHAFT_REACH_NM)
        shaft = np.unique(np.concatenate([np.asarray(some, dtype=np.int64) for some in near]))
        own = self._rows(number)
        rows = np.concatenate([own, self._shaft[shaft]])
        return SpinePoints(
            self._xyz[rows],
            None if self._precision is None else self._precision[rows],
            None if self._molecule is None else self._molecule[rows],
            len(own),
        )

    def _rows(self, number: int) -> IntArray:
        """Give the rows of one spine, in the order of the table."""
        begin, end = np.searchsorted(self._spine, [number, number + 1])
        return self._order[begin:end]


@dataclass(frozen=True, eq=False)
class _Stand:
    """Where a spine stands: the stretch of shaft, the position along it, the way outward."""

    dendrite: int
    position_nm: float
    outward: FloatArray
    cut_by_border: bool


def measure_spine(
    number: int,
    surface: Cutter,
    area_nm2: FloatArray,
    protrusion: Protrusion,
    axes: tuple[ShaftAxis, ...],
    points: PointsBySpine | None,
    options: MeasureOptions,
) -> Spine:
    """Measure one protrusion of the envelope and name its type."""
    mesh = surface.mesh
    centreline, stand = _centreline(mesh, area_nm2, protrusion, axes, options.base_nm)
    way = _main_way(protrusion)
    part = surface.around(protrusion.vertices)
    main = part if way.all() else surface.around(protrusion.vertices[way])
    beside = None if points is None else points.about(number, centreline)
    xyz = np.asarray(mesh.vertices)[protrusion.vertices]
    standing = [is_head(xyz[head], protrusion.distance_nm[head]) for head in protrusion.heads]
    forks = _forks_nm(centreline, xyz, protrusion, standing)
    if beside is not None and forks:
        beside = beside.off_forks(centreline, forks)
    neck, head, notes = _neck_and_head(main, centreline, beside, options, protrusion.gaps)
    notes += [_apart(gap) for gap in protrusion.gaps]
    if beside is not None:
        notes += [f"no diameter beside its fork at {fork:.0f} nm" for fork in forks]
    others = [
        closed_volume_nm3(surface.around(protrusion.vertices[lobe]))
        for lobe in protrusion.heads[1:]
    ]
    length = float(np.linalg.norm(np.diff(centreline, axis=0), axis=1).sum())
    n_heads = max(sum(standing), 1)
    kind = str(
        classify(
            length_nm=length,
            head_diameter_nm=head.head_diameter_nm,
            neck_diameter_nm=head.neck_diameter_nm,
            n_heads=n_heads,
            neck_length_nm=head.neck_length_nm,
            preset=options.preset,
        )
    )
    if _at_border(np.asarray(mesh.vertices)[protrusion.vertices], options.border):
        notes.append("touches the border of the field: if it is cut, its sizes are lower bounds")
    elif stand.cut_by_border:
        notes.append("stands at the end of the shaft; may be cut by the border of the field")
    row: dict[str, Any] = {
        "spine": number,
        "type": kind,
        "length_nm": length,
        **_neck_columns(neck, head),
        "head_diameter_nm": head.head_diameter_nm,
        "head_volume_nm3": head.head_volume_nm3,
        "volume_nm3": head.volume_nm3 + sum(others),
        "area_nm2": float(part.area),
        "n_heads": n_heads,
        "gap_nm": float(sum(gap.length_nm for gap in protrusion.gaps)),
        "n_localizations": 0 if points is None else points.count(number),
        **_xyz("base", centreline[0]),
        **_xyz("tip", centreline[-1]),
        "shaft_position_nm": stand.position_nm,
        "dendrite": stand.dendrite,
        "quality": float(np.isfinite(neck.diameter_nm).mean()) if len(neck.diameter_nm) else 0.0,
        "note": "; ".join(notes),
    }
    return Spine(number, kind, centreline, neck, part, n_heads, row, protrusion.gaps)


def border_of_field(locs: Localizations | None) -> Box | None:
    """Give the box in which localizations were observed, where somebody said so."""
    region = None if locs is None else locs.region
    return region if isinstance(region, Box) and not region.assumed else None


def _at_border(vertices_nm: FloatArray, border: Box | None) -> bool:
    """Tell whether a spine reaches the faces of the field."""
    if border is None:
        return False
    distance = border.distance_to_boundary_nm(vertices_nm[:, : border.dimension])
    outside = ~border.contains(vertices_nm[:, : border.dimension])
    return bool((outside | (distance < _AT_BORDER_NM)).any())


def _forks_nm(
    centreline: FloatArray, xyz: FloatArray, protrusion: Protrusion, standing: list[bool]
) -> list[float]:
    """Give the places along the centreline beside which the ways to further heads part from it."""
    tree, arc = cKDTree(centreline), arc_length_nm(centreline)
    forks = []
    for head, stands in zip(protrusion.heads[1:], standing[1:], strict=True):
        if stands:
            way = protrusion.distance_nm[head]
            crotch = xyz[head][way <= way.min() + _CROTCH_NM].mean(axis=0)
            forks.append(float(arc[tree.query(crotch)[1]]))
    return forks


def _main_way(protrusion: Protrusion) -> npt.NDArray[np.bool_]:
    """Vertices on the way from the base to the main tip: all but those of other heads."""
    way = np.ones(len(protrusion.vertices), dtype=bool)
    for head in protrusion.heads[1:]:
        way[head] = False
    return way


def _centreline(
    mesh: trimesh.Trimesh,
    area_nm2: FloatArray,
    protrusion: Protrusion,
    axes: tuple[ShaftAxis, ...],
    base_nm: float,
) -> tuple[FloatArray, _Stand]:
    """Centreline of the main head's way from the shaft's surface to the tip."""
    xyz = np.asarray(mesh.vertices, dtype=np.float64)[protrusion.vertices]
    weight = area_nm2[protrusion.vertices]
    way = _main_way(protrusion)
    levels = slice_levels(xyz[way], weight[way], protrusion.distance_nm[way])
    for head in protrusion.heads[1:]:
        levels = bridged(levels, float(protrusion.distance_nm[head].min()))
    levels = over_gaps(levels, protrusion.gaps)
    farthest = np.argsort(protrusion.distance_nm[way])[-3:]
    tip = xyz[way][farthest].mean(axis=0)
    stand = _stand(levels.centre_nm[0], axes)
    # The length counts from the shaft's smooth surface, whatever foot was trimmed for the split.
    first = levels.centre_nm[:1]
    # A way over a gap begins on the surface itself, others where the height is base_nm.
    on_surface = any(gap.from_nm == 0 for gap in protrusion.gaps)
    least = 0.0 if on_surface else base_nm
    foot = float(np.clip(heights_nm(first, axes)[0], least, _HIGHEST_FOOT_NM))
    return surface_centreline_nm(levels, tip, stand.outward, foot), stand


def _stand(base: FloatArray, axes: tuple[ShaftAxis, ...]) -> _Stand:
    """Find the stretch of shaft below the base."""
    distance = [np.linalg.norm(axis.points_nm - base, axis=1).min() for axis in axes]
    number = int(np.argmin(distance))
    axis = axes[number]
    index = int(np.linalg.norm(axis.points_nm - base, axis=1).argmin())
    offset = base - axis.points_nm[index]
    offset -= (offset @ axis.tangent[index]) * axis.tangent[index]
    outward = offset / max(float(np.linalg.norm(offset)), 1e-9)
    at_end = index in (0, len(axis.points_nm) - 1)
    step = float(np.linalg.norm(axis.points_nm[1] - axis.points_nm[0]))
    return _Stand(number, index * step, outward, at_end)


def _neck_and_head(
    part: trimesh.Trimesh,
    centreline: FloatArray,
    points: SpinePoints | None,
    options: MeasureOptions,
    gaps: tuple[Gap, ...],
) -> tuple[NeckProfile, HeadMeasures, list[str]]:
    """Profile and head, from the localizations where they suffice, else from the mesh."""
    length = float(np.linalg.norm(np.diff(centreline, axis=0), axis=1).sum())
    by_mesh = mesh_profile(part, centreline)
    if points is None and gaps:
        reason = "neck not measured: the surface is interrupted there"
        return _unmeasured(by_mesh, reason), measure_head(by_mesh, length), [reason]
    if points is None:
        return by_mesh, measure_head(by_mesh, length), [by_mesh.reason]
    if points.precision_nm is None or not np.isfinite(points.precision_nm).all():
        reason = "neck not measured: the table has no localization precision on every axis"
        neck = _unmeasured(by_mesh, reason)
        head = measure_head(by_mesh, length)
        return neck, head, [reason]
    neck = measure_neck(
        points.xyz_nm,
        centreline,
        precision_nm=points.precision_nm,
        label=options.label,
        molecule=points.molecule,
        search=_across(centreline, gaps) if gaps else None,
        linker_nm=options.linker_nm,
        seed=options.seed,
    )
    if gaps and neck.measurable:
        neck = _supported(neck, points, centreline, gaps)
    notes = [neck.reason] if neck.reason else []
    if not neck.measurable:
        return neck, measure_head(by_mesh, length), [*notes, "head measured on the envelope"]
    return neck, measure_head(neck, length), notes


def _apart(gap: Gap) -> str:
    support = f"{gap.n_localizations} localizations lie" if gap.n_localizations else "nothing lies"
    return (
        f"the head lies apart: joined over a gap of {gap.length_nm:.0f} nm in the envelope, "
        f"{support} beside the way"
    )


def _supported(
    neck: NeckProfile, points: SpinePoints, centreline: FloatArray, gaps: tuple[Gap, ...]
) -> NeckProfile:
    """Refuse a constriction that is not that of the gap: what is narrowest lies there."""
    low, high = _across(centreline, gaps)
    distance, nearest = cKDTree(centreline).query(points.xyz_nm)
    arc = arc_length_nm(centreline)[nearest]
    mine = (arc > low) & (arc < high) & (distance < _REACH_NM)
    mine[points.n_own :] = False
    number = np.arange(len(mine)) if points.molecule is None else points.molecule
    count = len(np.unique(number[mine]))
    if count >= _FEWEST_MOLECULES:
        return neck
    reason = (
        f"not measurable: {count} molecules lie where the envelope is interrupted, "
        f"{_FEWEST_MOLECULES} are needed"
    )
    return replace(neck, constriction=None, measurable=False, reason=reason)


def _across(centreline: FloatArray, gaps: tuple[Gap, ...]) -> tuple[float, float]:
    """Arc lengths between which the envelope is interrupted."""
    ends = np.concatenate([gap.path_nm[[0, -1]] for gap in gaps])
    nearest = cKDTree(centreline).query(ends)[1]
    arc = arc_length_nm(centreline)[nearest]
    return float(arc.min()), float(arc.max())


def _unmeasured(by_mesh: NeckProfile, reason: str) -> NeckProfile:
    nothing = np.full(len(by_mesh.position_nm), np.nan)
    return NeckProfile(
        by_mesh.position_nm, nothing, nothing, nothing, by_mesh.n_molecules, None, False, reason
    )


def _neck_columns(neck: NeckProfile, head: HeadMeasures) -> dict[str, float]:
    """Neck columns of the table: without a measured constriction there is no number."""
    found = neck.constriction
    nothing = float("nan")
    return {
        "neck_diameter_nm": found.diameter_nm if found else nothing,
        "neck_diameter_low_nm": found.low_nm if found else nothing,
        "neck_diameter_high_nm": found.high_nm if found else nothing,
        "neck_mean_diameter_nm": head.neck_mean_diameter_nm if found else nothing,
        "neck_length_nm": head.neck_length_nm,
    }


def _xyz(name: str, point: FloatArray) -> dict[str, float]:
    return {f"{name}_{axis}_nm": float(v) for axis, v in zip("xyz", point, strict=True)}
