"""Bad input, for every public function of the statistics: one clear sentence, or a note."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nanospine as ns
from nanospine import _WHERE
from nanospine.core.errors import NanospineError

RADII = [20.0, 40.0, 60.0]
WINDOWS = {2: ns.Box((0, 0), (1000, 800)), 3: ns.Box((0, 0, 0), (1000, 800, 600))}

Function = Callable[..., Any]


def one(name: str, *fixed: Any, **options: Any) -> Function:
    """A function of one pattern: name(points, *fixed, region=...)."""
    return lambda points, other, radii, **region: getattr(ns, name)(
        points, *fixed or (radii,), **options, **region
    )


def cross(name: str, **options: Any) -> Function:
    """The function of a pattern and another."""
    return lambda points, other, radii, **region: getattr(ns, name)(
        other, radii, other=points, **options, **region
    )


def two(name: str, *fixed: Any, radii_too: bool = True, **options: Any) -> Function:
    """A function of two patterns: name(a, b, radii)."""
    return lambda points, other, radii, **region: getattr(ns, name)(
        other, points, *(fixed or ((radii,) if radii_too else ())), **options, **region
    )


def by_channel(points: Any, other: Any, radii: Any, **region: Any) -> Any:
    both = np.concatenate([np.asarray(points), other])
    channel = np.repeat(["x", "y"], [len(points), len(other)])
    return ns.ripley_by_channel(ns.from_arrays(both, channel=channel), radii, **region)


def enveloped(name: str, **options: Any) -> Function:
    return lambda points, other, radii, **region: getattr(ns, name)(
        points, "L", radii, n_simulations=9, **options, **region
    )


def drawn(points: Any, other: Any, radii: Any, **region: Any) -> Any:
    return next(ns.null_patterns(points, "csr", 1, **region))


def chains(points: Any, other: Any, radii: Any, **region: Any) -> Any:
    ab = ns.soda(other, points, radii, n_simulations=0, **region)
    return ns.soda_chains(ab, ns.soda(points, other, radii, n_simulations=0, **region), b=points)


def by_region(points: Any, other: Any, radii: Any, **region: Any) -> Any:
    found = ns.soda(other, points, radii, n_simulations=0, **region)
    return ns.soda_by_region(found, np.zeros(len(other), int), np.zeros(len(points), int))


def grouped(points: Any, other: Any, radii: Any, **region: Any) -> Any:
    held = [ns.from_arrays(item) for item in (points, other)]
    return ns.centroid_distances(*(ns.cluster(item, radius_nm=80, min_points=3) for item in held))


FUNCTIONS: dict[str, Function] = {
    **{name: one(name) for name in (
        "ripley_k", "ripley_l", "ripley_h", "local_k", "local_l", "pair_correlation",
        "nearest_neighbour_g", "empty_space_f", "j_function",
    )},
    **{f"{name} cross": cross(name) for name in (
        "ripley_k", "ripley_l", "ripley_h", "local_k", "local_l", "pair_correlation",
        "nearest_neighbour_g", "j_function",
    )},
    **{f"ripley_k {name}": one("ripley_k", correction=name)
       for name in ("none", "border", "isotropic", "rigid", "periodic")},
    "ripley_by_channel": by_channel,
    "clark_evans": lambda points, other, radii, **region: ns.clark_evans(points, **region),
    "kernel_intensity": one("kernel_intensity", 100.0),
    "nearest_distances": lambda points, other, radii, region=None: ns.nearest_distances(points),
    "nearest_distances cross": lambda points, other, radii, region=None: (
        ns.nearest_distances(other, points)
    ),
    "null_patterns": drawn,
    "simulation_envelope": enveloped("simulation_envelope"),
    "mad_test": enveloped("mad_test"),
    "dclf_test": enveloped("dclf_test"),
    "soda": two("soda", n_simulations=0),
    "soda icy": two("soda", legacy="icy", pixel_nm=20.0),
    "soda_chains": chains,
    "soda_by_region": by_region,
    "centroid_distances": grouped,
    "nearest_distances_test": two("nearest_distances_test", radii_too=False, n_simulations=19),
    "colocalization": lambda points, other, radii, **region: ns.colocalization(
        other, points, radii[-1], **region
    ),
    "cluster_colocalization": lambda points, other, radii, **region: ns.cluster_colocalization(
        other, points, radii[-1], **region
    ),
    "cross_correlation_fit": lambda points, other, radii, **region: ns.cross_correlation_fit(
        other, points, [*radii, *(radii[-1] + step for step in (20, 40))], **region
    ),
    "optimal_transport_curve": two("optimal_transport_curve"),
}  # fmt: skip

# Not functions of points: results, and null models, which have tests of their own.
OTHERS = {
    "ClarkEvans", "DeviationTest", "EnvelopeTest", "NearestDistances", "SodaChains", "SodaResult",
    "CompleteRandomness", "FixedPatterns", "RandomLabelling", "RandomShift", "ShiftedClusters",
    "UnevenRandomness",
}  # fmt: skip


def test_every_public_function_is_here() -> None:
    public = {name for name, module in _WHERE.items() if module.startswith("nanospine.statistics.")}
    assert public - OTHERS == {name.split()[0] for name in FUNCTIONS}


def good(dimension: int, seed: int) -> np.ndarray:
    return WINDOWS[dimension].sample_nm(40, seed)


# Functions for which one point of the second pattern is enough, or one point at all.
ONE_IS_ENOUGH = {
    *(name for name in FUNCTIONS if name.endswith("cross")), "empty_space_f", "null_patterns",
    "nearest_distances_test", "colocalization", "cluster_colocalization",
    "optimal_transport_curve",
}  # fmt: skip
# No window, no radii: nothing of these to be wrong.
NO_WINDOW = {"nearest_distances", "nearest_distances cross", "centroid_distances"}
NO_RADII = NO_WINDOW | {
    "clark_evans", "kernel_intensity", "null_patterns", "nearest_distances_test",
    "optimal_transport_curve",
}  # fmt: skip
# What these give has no place for notes.
NO_NOTES = NO_WINDOW | {"kernel_intensity", "null_patterns", "ripley_by_channel"}


def outcome(function: Function, points: Any, dimension: int, radii: Any, **region: Any) -> str:
    """The sentence of the error, else the notes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = function(points, good(dimension, 1), radii, **region)
        except NanospineError as error:
            text = str(error)
            assert "\n" not in text
            assert 30 < len(text) < 300
            return text
    return "; ".join(("result", *getattr(result, "notes", ())))


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bad_patterns(name: str, dimension: int) -> None:
    function, window = FUNCTIONS[name], {"region": WINDOWS[dimension]}
    many = good(dimension, 2)

    def of(points: Any, radii: Any = RADII, **options: Any) -> str:
        return outcome(function, points, dimension, radii, **(options or window))

    if name != "ripley_by_channel":  # a channel without points is none of the data's
        assert "found none" in of(np.zeros((0, dimension)))
    single = of(many[:1])
    assert "result" in single if name in ONE_IS_ENOUGH else "needed" in single
    holes = many.copy()
    holes[3, 0] = np.nan
    assert "finite" in of(holes)
    if name not in NO_WINDOW:
        assert "needed inside the region, found 0 of" in of(many + 5000)
    same = of(np.full((9, dimension), 300.0))
    assert name in NO_NOTES or "at one place" in same
    alone = of(np.full((9, dimension), 300.0), region=None)
    assert any(word in alone for word in ("result", "one place", "region=", "found none"))
    if name not in NO_RADII:
        far = of(many, [50.0, 5000.0, 6000.0])
        assert name in NO_NOTES or "have no value" in far or "region" in far
