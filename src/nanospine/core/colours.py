"""The colours of spine types, the same in every picture and file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["BACKGROUND_COLOUR", "SHAFT_COLOUR", "TYPE_COLOURS", "rgb"]

#: Stubby green, mushroom blue, thin red, branched yellow, as the field's reviews draw them.
TYPE_COLOURS: dict[str, str] = {
    "stubby": "#2e9e41",
    "thin": "#d8372a",
    "mushroom": "#2f6fdb",
    "filopodium": "#8e44ad",
    "branched": "#e3b505",
}
SHAFT_COLOUR = "#9a9a9a"
BACKGROUND_COLOUR = "#cfd4d9"


def rgb(colour: str) -> npt.NDArray[np.float64]:
    """Red, green and blue (0 to 1) of a colour written as ``#rrggbb``.

    Examples
    --------
    >>> rgb("#ff0080").round(2).tolist()
    [1.0, 0.0, 0.5]
    """
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
