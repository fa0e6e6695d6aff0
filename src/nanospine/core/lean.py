"""Compiled helpers of inner loops, without the bookkeeping of who holds which array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.options import DefaultOptions

__all__ = ["keeping", "lean"]

# An option of numba's own, for what it compiles itself; without it `lean` is plain `njit`.
_KNOWN = hasattr(DefaultOptions, "_nrt")


def lean(function: Callable[..., Any]) -> Any:
    """Compile a helper that makes no arrays and only uses those that its caller holds.

    A compiled function counts itself among the owners of each array it is given, and takes itself
    off at its end: two locked instructions for every array and call, which take longer than the
    work of a small helper. The caller holds the arrays all the while, so nothing needs to be
    counted. What makes arrays and is called from here must be compiled with :func:`keeping`.
    """
    return njit(cache=True, _nrt=False)(function) if _KNOWN else njit(cache=True)(function)


def keeping(function: Callable[..., Any]) -> Any:
    """Compile a function that makes arrays, such that a lean one may call it."""
    return njit(cache=True, _nrt=True)(function) if _KNOWN else njit(cache=True)(function)
