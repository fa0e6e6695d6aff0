"""Where the spines of a dendrite stand: clear of each other, as in tissue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nanospine.simulate.shapes import SpineSpec, plant, shifted

__all__ = ["disentangled", "placed"]

FloatArray = npt.NDArray[np.float64]
Draw = Callable[[str], SpineSpec]

# Between the membranes of neighbours in tissue lie some 20 nm; spines nearer than this are moved.
_LEAST_GAP_NM = 30.0
_ROUNDS = 25
_TRIES = 40


@dataclass(frozen=True, eq=False)
class _Skin:
    """Balls (x, y, z, radius) that cover a spine, shape (n, 4), and one ball around them all."""

    balls: FloatArray
    centre_nm: FloatArray
    reach_nm: float


class _Shaft:
    """An axis with its radius, on which spines are tried."""

    def __init__(self, axis_nm: FloatArray, radius_nm: FloatArray) -> None:
        self.axis_nm, self.radius_nm = axis_nm, radius_nm
        step = np.linalg.norm(np.diff(axis_nm, axis=0), axis=1)
        self.arc_nm = np.concatenate([[0.0], np.cumsum(step)])

    def skin(self, spec: SpineSpec) -> _Skin:
        """Cover a spine with balls."""
        rows = []
        for body in plant(spec, self.axis_nm, self.radius_nm, self.arc_nm).bodies:
            centre = getattr(body, "centre_nm", None)
            if centre is not None:
                rows.append(np.append(centre, body.radius_nm)[None])
            else:
                path = body.path_nm[1::5]  # type: ignore[union-attr]
                rows.append(np.column_stack([path, np.full(len(path), body.radius_nm[0])]))  # type: ignore[index]
        balls = np.concatenate(rows)
        centre_nm = (balls[:, :3].min(axis=0) + balls[:, :3].max(axis=0)) / 2
        reach = (np.linalg.norm(balls[:, :3] - centre_nm, axis=1) + balls[:, 3]).max()
        return _Skin(balls, centre_nm, float(reach))


def placed(
    types: Sequence[str],
    length_nm: float,
    axis: FloatArray,
    radius: FloatArray,
    min_gap_nm: float,
    generator: np.random.Generator,
    draw: Draw,
) -> list[SpineSpec]:
    """Find a place for each spine at which it keeps clear of those already placed.

    Parameters
    ----------
    types : sequence of str
        In the order along the shaft.
    length_nm, axis, radius
        Of the shaft, nm; (n, 3) and (n,).
    min_gap_nm : float
        Wanted between the surfaces of two spines; the best place found is taken without it.
    draw : callable
        Gives a spine of a type.
    """
    shaft = _Shaft(axis, radius)
    margin = min(600.0, length_nm / 5)
    slots = (
        np.linspace(margin, length_nm - margin, len(types)) if len(types) > 1 else [length_nm / 2]
    )
    taken: list[_Skin] = []
    specs: list[SpineSpec] = []
    width = (length_nm - 2 * margin) / max(len(types), 1)
    for slot, kind in zip(slots, types, strict=True):
        spec = replace(draw(kind), position_nm=float(slot))
        best, best_gap, best_skin = spec, -np.inf, shaft.skin(spec)
        for _ in range(_TRIES):
            position = float(np.clip(slot + generator.uniform(-0.4, 0.4) * width,
                                     margin, length_nm - margin))  # fmt: skip
            candidate = shifted(spec, position, float(generator.uniform(0, 2 * np.pi)))
            skin = shaft.skin(candidate)
            gap = _room(skin, taken)
            if gap > best_gap:
                best, best_gap, best_skin = candidate, gap, skin
            if gap >= min_gap_nm:
                break
        specs.append(best)
        taken.append(best_skin)
    return disentangled(specs, shaft, taken, margin, generator, draw)


def disentangled(
    specs: list[SpineSpec],
    shaft: _Shaft,
    taken: list[_Skin],
    margin_nm: float,
    generator: np.random.Generator,
    draw: Draw,
) -> list[SpineSpec]:
    """Move spines that touch to where they do not, as far as there is room.

    Two spines in one place are one spine to any measurement: no truth could be told of them. The
    tightest first, each is tried elsewhere, a little aside, and with another size of its type.
    """
    length = float(shaft.arc_nm[-1])
    for _ in range(_ROUNDS):
        gaps = [_room(skin, taken[:i] + taken[i + 1 :]) for i, skin in enumerate(taken)]
        tight = [i for i in np.argsort(gaps) if gaps[i] < _LEAST_GAP_NM]
        if not tight:
            break
        for i in tight:
            others = taken[:i] + taken[i + 1 :]
            best = _room(taken[i], others)
            for attempt in range(_TRIES):
                candidate = _moved(specs[i], attempt % 2 == 0, margin_nm, length, generator, draw)
                skin = shaft.skin(candidate)
                if (gap := _room(skin, others, best)) > best:
                    best, specs[i], taken[i] = gap, candidate, skin
                if best >= _LEAST_GAP_NM:
                    break
    return specs


def _moved(
    spec: SpineSpec,
    far: bool,
    margin_nm: float,
    length_nm: float,
    generator: np.random.Generator,
    draw: Draw,
) -> SpineSpec:
    """Give a spine of the same type anywhere else, or the same one a little aside."""
    if far:
        return replace(
            draw(spec.type),
            position_nm=float(generator.uniform(margin_nm, length_nm - margin_nm)),
            azimuth_rad=float(generator.uniform(0, 2 * np.pi)),
            lean_rad=float(generator.uniform(-0.6, 0.6)),
        )
    position = spec.position_nm + generator.normal(0, 80)
    return replace(
        spec,
        position_nm=float(np.clip(position, margin_nm, length_nm - margin_nm)),
        azimuth_rad=float(spec.azimuth_rad + generator.normal(0, 0.2)),
        lean_rad=float(np.clip(spec.lean_rad + generator.normal(0, 0.15), -0.6, 0.6)),
    )


def _room(skin: _Skin, others: list[_Skin], enough_nm: float = -np.inf) -> float:
    """Least distance between a spine and others; stops at less than `enough_nm`."""
    least = np.inf
    for other in others:
        apart = float(np.linalg.norm(skin.centre_nm - other.centre_nm))
        if apart - skin.reach_nm - other.reach_nm < least:
            least = min(least, _gap(skin.balls, other.balls))
            if least <= enough_nm:
                break
    return least


def _gap(a: FloatArray, b: FloatArray) -> float:
    """Least distance between two sets of balls."""
    square = (a[:, None, :3] - b[None, :, :3]) ** 2
    distance = np.sqrt(square[..., 0] + square[..., 1] + square[..., 2])
    return float((distance - a[:, None, 3] - b[None, :, 3]).min())
