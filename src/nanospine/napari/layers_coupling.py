"""Coupled pairs of two channels as napari layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nanospine.napari.layers import KEY, LayerData

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.statistics.soda_result import SodaResult

__all__ = ["coupling_layers"]

# More lines than these take seconds to draw and hide each other; the most probable are shown.
_MOST_PAIRS = 100_000
_UNITS = ("nm", "nm", "nm")
_COLOURS = {"first": "#e69f00", "second": "#56b4e9"}


def coupling_layers(
    found: SodaResult, a: Localizations, b: Localizations, name: str = "SODA"
) -> list[LayerData]:
    """Pairs that may be coupled as lines coloured by probability, and their points.

    Parameters
    ----------
    found : SodaResult
        Of `a` and `b`.
    a, b : Localizations
        The channels.
    name : str
        Begins the names of the layers.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> xyz = rng.uniform(0, 4000, (100, 3)) * [1, 1, 0.2]
    >>> a, b = ns.from_arrays(xyz), ns.from_arrays(xyz + rng.normal(0, 15, (100, 3)))
    >>> found = ns.soda(a, b, [30, 60, 90], region=ns.Box((0, 0, 0), (4000, 4000, 800)),
    ...                 n_simulations=0)
    >>> [kind for _, _, kind in coupling_layers(found, a, b)]
    ['vectors', 'points', 'points']
    """
    pairs = found.pairs[found.pairs["probability"] > 0]
    pairs = pairs.nlargest(_MOST_PAIRS, "probability")
    layers: list[LayerData] = []
    if len(pairs):
        start = a.xyz_nm[pairs["index_a"].to_numpy()][:, ::-1]
        end = b.xyz_nm[pairs["index_b"].to_numpy()][:, ::-1]
        options: dict[str, Any] = {
            "name": f"{name}: pairs",
            "features": pairs.reset_index(drop=True),
            "edge_color": "probability",
            "edge_colormap": "plasma",
            "edge_contrast_limits": (0.0, 1.0),
            "edge_width": 6.0,
            "vector_style": "line",
            "units": _UNITS,
            "metadata": {KEY: found},
        }
        layers.append((np.stack([start, end - start], axis=1), options, "vectors"))
    for side, locs, rows in (("first", a, found.coupled_a), ("second", b, found.coupled_b)):
        if not len(rows):
            continue
        points = {
            "name": f"{name}: coupled, {side}",
            "size": 40.0,
            "face_color": _COLOURS[side],
            "border_width": 0,
            "units": _UNITS,
        }
        layers.append((locs.xyz_nm[rows][:, ::-1], points, "points"))
    return layers
