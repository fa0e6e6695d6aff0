"""The one way in which a public name is taken away: announced, kept for a while, then gone."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["deprecated"]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def deprecated(
    *, since: str, removed_in: str, use: str
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Mark a public function that will go: it works as before and warns.

    Parameters
    ----------
    since : str
        Version that announces it.
    removed_in : str
        First version without it: two minor versions later, before 1.0; after it the next major.
    use : str
        What to call in its place.

    Raises
    ------
    ValueError
        When it would be removed in the version that announces it.

    Examples
    --------
    >>> import warnings
    >>> @deprecated(since="0.4", removed_in="0.6", use="new_name")
    ... def old_name(x: int) -> int:
    ...     return x + 1
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always")
    ...     old_name(1)
    2
    >>> print(told[0].message)
    old_name goes in nanospine 0.6 (announced in 0.4); use new_name.
    """
    if since == removed_in:
        raise ValueError(f"deprecated: removed_in must come after since, found {since!r} for both.")

    def mark(function: Callable[_P, _R]) -> Callable[_P, _R]:
        words = (
            f"{function.__name__} goes in nanospine {removed_in} (announced in {since}); use {use}."
        )

        @functools.wraps(function)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            # FutureWarning, not DeprecationWarning: that one is hidden from those who only call us.
            warnings.warn(words, FutureWarning, stacklevel=2)
            return function(*args, **kwargs)

        return wrapped

    return mark
