"""A name that goes still works, and the warning points at who called it."""

from __future__ import annotations

import pytest

from nanospine.core.deprecation import deprecated


def test_it_works_and_warns_where_it_is_called() -> None:
    @deprecated(since="0.4", removed_in="0.6", use="new")
    def old(a: int, *, b: int = 1) -> int:
        """Add."""
        return a + b

    with pytest.warns(FutureWarning, match=r"old goes in nanospine 0\.6 .*; use new") as told:
        assert old(1, b=2) == 3
    assert told[0].filename == __file__
    assert (old.__name__, old.__doc__) == ("old", "Add.")


def test_it_must_be_kept_for_a_while() -> None:
    with pytest.raises(ValueError, match="must come after"):
        deprecated(since="0.4", removed_in="0.4", use="new")
