"""Ripley's functions between all channels of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy.typing as npt

from nanospine.core.errors import ConfigError, SchemaError
from nanospine.core.localizations import Localizations
from nanospine.core.region import Region
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.pair_correlation import pair_correlation
from nanospine.statistics.ripley import ripley_h, ripley_k, ripley_l

__all__ = ["ripley_by_channel"]

_FUNCTIONS: dict[str, Callable[..., SummaryFunction]] = {
    "K": ripley_k, "L": ripley_l, "H": ripley_h, "g": pair_correlation,
}  # fmt: skip


def ripley_by_channel(
    localizations: Localizations,
    radii_nm: npt.ArrayLike,
    *,
    function: Literal["K", "L", "H", "g"] = "H",
    region: Region | None = None,
    correction: str = "translation",
    threads: int | None = None,
) -> dict[tuple[str, str], SummaryFunction]:
    """Compute K, L, H or g of each channel, and of each one around every other.

    Parameters
    ----------
    localizations : Localizations
        With a column `channel`.
    radii_nm, region, correction, threads
        As for :func:`nanospine.ripley_k`.
    function : {"H", "K", "L", "g"}
        Which one.

    Returns
    -------
    dict
        By (channel that looks, channel that is looked for); twice the same is one pattern.

    Raises
    ------
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
    """
    if function not in _FUNCTIONS:
        raise ConfigError(f"function: K, L, H or g was expected, found {function!r}.")
    if not localizations.channels:
        raise SchemaError("ripley_by_channel: a column 'channel' was expected, there is none.")
    compute = _FUNCTIONS[function]
    parts = {name: localizations.channel(name) for name in localizations.channels}
    region = localizations.region if region is None else region
    return {
        (a, b): compute(
            parts[a], radii_nm, region=region, correction=correction,
            other=None if a == b else parts[b], threads=threads,
        )
        for a in parts
        for b in parts
    }  # fmt: skip
