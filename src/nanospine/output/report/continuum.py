"""Fields of types behind the scatter plots of a report: what the rules say where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from nanospine.output.continuum import AXES, class_map
from nanospine.spines.classes import PRESETS

__all__ = ["PLANES", "type_fields"]

#: Planes of raw numbers that a report draws: across, upward.
PLANES = (
    ("neck_diameter_nm", "head_diameter_nm"),
    ("length_nm", "head_diameter_nm"),
    ("neck_length_nm", "neck_diameter_nm"),
)
_FINE = 80
_ROOM = 1.08


def type_fields(table: pd.DataFrame, preset: str) -> list[dict[str, Any]]:
    """Give, for each plane, the stretches of one type in each row of a fine grid.

    Parameters
    ----------
    table : pandas.DataFrame
        Of spines.
    preset : str
        Rule set; one that is not known gives no fields.

    Returns
    -------
    list of dict
        `x`, `y` names of columns, `x_most`, `y_most` ends of the axes (nm), `n` cells along each,
        `runs` as (row, first cell, end, type), `said` at which other numbers.

    Examples
    --------
    >>> table = pd.DataFrame({"neck_diameter_nm": [150.0, 200.0], "length_nm": [900.0, 1000.0],
    ...     "head_diameter_nm": [700.0, 400.0], "neck_length_nm": [400.0, 500.0]})
    >>> field = type_fields(table, "nanospine")[0]
    >>> field["x_most"], field["said"], field["runs"][-1]
    (216.0, 'length 950 nm', (79, 0, 80, 'mushroom'))
    """
    if preset not in PRESETS or len(table) < 2:
        return []
    fields = []
    for x, y in PLANES:
        most = [float(table[name].max()) * _ROOM for name in (x, y)]
        if not np.isfinite(most).all() or min(most) <= 0:
            continue
        places = [(np.arange(_FINE) + 0.5) * value / _FINE for value in most]
        kinds = class_map(table, x, y, places[0], places[1], preset)
        others = [name for name in AXES if name not in (x, y) and name != "neck_length_nm"]
        medians = {AXES[name][:-5]: float(table[name].median()) for name in others}
        said = ", ".join(f"{name} {v:.0f} nm" for name, v in medians.items() if np.isfinite(v))
        fields.append(
            {"x": x, "y": y, "x_most": most[0], "y_most": most[1], "n": _FINE,
             "runs": _runs(kinds), "said": said, "preset": preset}
        )  # fmt: skip
    return fields


def _runs(kinds: np.ndarray[Any, Any]) -> list[tuple[int, int, int, str]]:
    runs = []
    for row, line in enumerate(kinds):
        ends = [*(np.flatnonzero(line[1:] != line[:-1]) + 1).tolist(), len(line)]
        start = 0
        for end in ends:
            runs.append((row, start, int(end), str(line[start])))
            start = int(end)
    return runs
