"""Random dendrites of a given length, calibre and population of spines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import GeometryError
from nanospine.simulate.packing import placed
from nanospine.simulate.shapes import TYPES, Shape, SpineSpec, build_shape

__all__ = ["demo_dendrite", "dendrite", "random_spec", "spine"]

FloatArray = npt.NDArray[np.float64]

#: Ranges that parameters are drawn from, nm: well inside the borders between the types.
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "stubby": {"neck_diameter_nm": (380, 520), "neck_length_nm": (330, 420),
               "head_diameter_nm": (400, 540)},
    "thin": {"neck_diameter_nm": (80, 160), "neck_length_nm": (500, 900),
             "head_diameter_nm": (330, 460)},
    "mushroom": {"neck_diameter_nm": (120, 260), "neck_length_nm": (350, 600),
                 "head_diameter_nm": (680, 900)},
    "filopodium": {"neck_diameter_nm": (130, 220), "neck_length_nm": (2300, 2900),
                   "head_diameter_nm": (130, 220)},
    "branched": {"neck_diameter_nm": (110, 190), "neck_length_nm": (700, 900),
                 "head_diameter_nm": (380, 500)},
}  # fmt: skip

_STEP_NM = 20.0


def random_spec(
    type: str,
    generator: np.random.Generator,
    position_nm: float,
    azimuth_rad: float,
    **given: float,
) -> SpineSpec:
    """Draw the parameters of a spine of a type; those `given` are kept."""
    if type not in RANGES:
        raise GeometryError(f"type must be one of {', '.join(TYPES)}, found {type!r}.")
    values = {name: float(generator.uniform(*span)) for name, span in RANGES[type].items()}
    values["bend_nm"] = float(generator.uniform(-0.12, 0.12) * values["neck_length_nm"])
    values["lean_rad"] = float(generator.uniform(-0.3, 0.3))
    if type == "branched":
        # Clearly the smaller one: tip and head of a branched spine are those of its larger head.
        share = float(generator.uniform(0.72, 0.88))
        values["second_head_diameter_nm"] = share * values["head_diameter_nm"]
    if type in ("stubby", "branched"):
        values["bend_nm"] = 0.0
    if type == "filopodium":
        values["head_diameter_nm"] = values["neck_diameter_nm"]
    values |= {name: float(value) for name, value in given.items()}
    if type == "filopodium" and "head_diameter_nm" not in given:
        values["head_diameter_nm"] = values["neck_diameter_nm"]
    if type == "stubby":
        values["neck_diameter_nm"] = values["head_diameter_nm"]
    return SpineSpec(type, position_nm, azimuth_rad, **values)


def spine(
    type: str = "mushroom",
    *,
    neck_diameter_nm: float | None = None,
    neck_length_nm: float | None = None,
    head_diameter_nm: float | None = None,
    bend_nm: float | None = None,
    lean_rad: float = 0.0,
    shaft_diameter_nm: float = 800.0,
    shaft_length_nm: float = 3000.0,
    azimuth_rad: float = 0.0,
    voxel_nm: float = 20.0,
    seed: int = 0,
) -> Shape:
    """Simulate one spine on a short straight shaft.

    Parameters
    ----------
    type : str
        stubby, thin, mushroom, filopodium or branched.
    neck_diameter_nm, neck_length_nm, head_diameter_nm, bend_nm : float, optional
        Planted; drawn from the range of the type where not given.
    lean_rad : float
        Tilt along the shaft.
    shaft_diameter_nm, shaft_length_nm : float
        The shaft lies along x.
    azimuth_rad : float
        Around the shaft; 0 is -y.
    voxel_nm : float
        Of the mesh.
    seed : int
        For what is not given.

    Returns
    -------
    Shape
        With `.mesh`, `.signed_distance_nm` and `.truth`.

    Examples
    --------
    >>> shape = spine("thin", neck_diameter_nm=120, neck_length_nm=600, seed=1)
    >>> bool(abs(shape.truth.spines["neck_diameter_nm"][0] - 120) < 1)
    True
    """
    given = {
        name: value
        for name, value in (
            ("neck_diameter_nm", neck_diameter_nm),
            ("neck_length_nm", neck_length_nm),
            ("head_diameter_nm", head_diameter_nm),
            ("bend_nm", bend_nm),
            ("lean_rad", lean_rad),
        )
        if value is not None
    }
    generator = np.random.default_rng(seed)
    axis = np.zeros((int(shaft_length_nm / _STEP_NM) + 1, 3))
    axis[:, 0] = np.linspace(0.0, shaft_length_nm, len(axis))
    spec = random_spec(type, generator, shaft_length_nm / 2, azimuth_rad, **given)
    radius = np.full(len(axis), shaft_diameter_nm / 2)
    return build_shape(axis, radius, (spec,), voxel_nm=voxel_nm)


def dendrite(
    length_nm: float = 8000.0,
    types: Sequence[str] | None = None,
    *,
    n_spines: int | None = None,
    spines_per_um: float = 1.2,
    specs: Sequence[SpineSpec] | None = None,
    shaft_diameter_nm: float = 800.0,
    taper: float = 0.15,
    curvature_nm: float = 400.0,
    min_gap_nm: float = 150.0,
    voxel_nm: float = 20.0,
    seed: int = 0,
) -> Shape:
    """Simulate a dendrite with spines.

    Parameters
    ----------
    length_nm : float
        Along the shaft.
    types : sequence of str, optional
        The spines' types in order; drawn in equal shares where not given.
    n_spines : int, optional
        Number of spines; from `spines_per_um` where neither it nor `types` is given.
    spines_per_um : float
        Density along the shaft.
    specs : sequence of SpineSpec, optional
        Plants exactly these and draws nothing.
    shaft_diameter_nm, taper : float
        Diameter in the middle; it falls by the fraction `taper` from one end to the other.
    curvature_nm : float
        How far the axis swings sideways.
    min_gap_nm : float
        Least distance between the surfaces of two spines; when a spine does not fit after many
        tries the best place found is taken, so that high densities are crowded, not refused.
        Spines that would touch are then moved, leant and drawn anew to where they do not, as far
        as there is room.
    voxel_nm : float
        Of the mesh.
    seed : int
        Everything drawn is drawn from it.

    Returns
    -------
    Shape
        With `.mesh` (watertight), `.signed_distance_nm` and `.truth`.

    Examples
    --------
    >>> shape = dendrite(3000, ["mushroom", "stubby"], seed=2)
    >>> shape.truth.spines["type"].tolist()
    ['mushroom', 'stubby']
    """
    if not length_nm >= 4 * _STEP_NM:
        raise GeometryError(f"dendrite: length_nm must be at least 80 nm, found {length_nm}.")
    generator = np.random.default_rng(seed)
    axis = _wavy_axis(length_nm, curvature_nm, generator)
    share = np.linspace(0.5, -0.5, len(axis))
    radius = shaft_diameter_nm / 2 * (1 + taper * share)
    radius *= 1 + 0.04 * _smooth_noise(len(axis), 40, generator)
    if specs is None:
        if types is None:
            count = (
                n_spines if n_spines is not None else max(round(spines_per_um * length_nm / 1e3), 1)
            )
            cycle = [TYPES[i % len(TYPES)] for i in range(count)]
            types = [str(t) for t in generator.permutation(cycle)]
        specs = placed(
            types, length_nm, axis, radius, min_gap_nm, generator,
            lambda kind: random_spec(kind, generator, 0.0, 0.0),
        )  # fmt: skip
    parameters: dict[str, Any] = {"length_nm": length_nm, "seed": seed,
                                  "shaft_diameter_nm": shaft_diameter_nm}  # fmt: skip
    return build_shape(axis, radius, tuple(specs), voxel_nm=voxel_nm, parameters=parameters)


def demo_dendrite(seed: int = 7) -> Shape:
    """Give the dendrite of ``nanospine demo``: 7.5 µm with nine spines of all five types."""
    types = ["mushroom", "thin", "stubby", "filopodium", "branched", "thin", "mushroom",
             "stubby", "thin"]  # fmt: skip
    return dendrite(7500.0, types, seed=seed)


def _wavy_axis(length_nm: float, swing_nm: float, generator: np.random.Generator) -> FloatArray:
    count = int(length_nm / _STEP_NM) + 1
    axis = np.zeros((count, 3))
    axis[:, 0] = np.linspace(0.0, length_nm, count)
    t = axis[:, 0] / max(length_nm, 4000.0)
    for column, size in ((1, swing_nm), (2, 0.4 * swing_nm)):
        phase = generator.uniform(0, 2 * np.pi)
        axis[:, column] = size / 2 * np.sin(2 * np.pi * t + phase)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(axis, axis=0), axis=1))])
    even = np.linspace(0.0, arc[-1], count)
    return np.column_stack([np.interp(even, arc, axis[:, i]) for i in range(3)])


def _smooth_noise(count: int, sigma: float, generator: np.random.Generator) -> FloatArray:
    noise = ndimage.gaussian_filter1d(generator.normal(size=count + 8 * int(sigma)), sigma)
    noise = noise[4 * int(sigma) :][:count]
    return np.asarray(noise / max(float(np.abs(noise).max()), 1e-12))
