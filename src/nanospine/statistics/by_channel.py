"""Ripley's functions and those of nearest distances between all channels of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy.typing as npt

from nanospine.core.errors import ConfigError, SchemaError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.simulated_curves import FunctionName, named_function

__all__ = ["ripley_by_channel"]

# Functions of pairs; the others are of nearest distances, without threads.
_OF_PAIRS = ("K", "L", "H", "g")


def ripley_by_channel(
    localizations: Localizations,
    radii_nm: npt.ArrayLike,
    *,
    function: FunctionName = "H",
    region: Region | None = None,
    correction: str | None = None,
    threads: int | None = None,
) -> dict[tuple[str, str], SummaryFunction]:
    """Compute K, L, H, g, G, F or J of each channel, and of each one around every other.

    Parameters
    ----------
    localizations : Localizations
        With a column `channel`.
    radii_nm, region, threads
        As for :func:`nanospine.ripley_k`; G, F and J take one thread.
    function : {"H", "K", "L", "g", "G", "F", "J"}
        Which one. F looks from places, not from points: it has no cross form, and each channel
        one curve.
    correction : str, optional
        Default: that of the function, translation for K, L, H and g, Kaplan-Meier for G, F and J.

    Returns
    -------
    dict
        By (channel that looks, channel that is looked for); twice the same is one pattern, and for
        F all there is.

    Raises
    ------
    ConfigError
        For a function that has no such name.
    SchemaError
        When there are no channels.

    Examples
    --------
    >>> import numpy as np
    >>> import nanospine as ns
    >>> xy = np.random.default_rng(1).uniform(0, 1000, (300, 2))
    >>> locs = ns.from_arrays(xy, channel=["a", "b", "b"] * 100)
    >>> sorted(ripley_by_channel(locs, [20, 40]))
    [('a', 'a'), ('a', 'b'), ('b', 'a'), ('b', 'b')]
    >>> sorted(ripley_by_channel(locs, [20, 40], function="F"))
    [('a', 'a'), ('b', 'b')]
    """
    if not isinstance(function, str):
        raise ConfigError(f"function: a name such as 'K' was expected, found {function!r}.")
    compute = cast("Callable[..., SummaryFunction]", named_function(function))
    if not localizations.channels:
        raise SchemaError("ripley_by_channel: a column 'channel' was expected, there is none.")
    parts = {name: localizations.channel(name) for name in localizations.channels}
    options: dict[str, Any] = {"region": localizations.region if region is None else region}
    if correction is not None:
        options["correction"] = correction
    if function in _OF_PAIRS:
        options["threads"] = threads
    found: dict[tuple[str, str], SummaryFunction] = {}
    for a in parts:
        for b in parts:
            if a == b:
                found[a, b] = compute(parts[a], radii_nm, **options)
            elif function != "F":
                found[a, b] = compute(parts[a], radii_nm, other=parts[b], **options)
    return found
