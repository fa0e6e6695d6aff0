"""Spines as points of raw numbers, with the borders that a rule set draws between types."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.colours import TYPE_COLOURS
from nanospine.core.errors import SchemaError, TooFewPointsError
from nanospine.core.files import atomic_path
from nanospine.spines.classes import classify
from nanospine.spines.model import Spines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AXES", "class_map", "continuum_figure"]

FloatArray = npt.NDArray[np.float64]

#: Raw numbers that spines are drawn by, with the words beside the axis.
AXES = {
    "neck_diameter_nm": "neck diameter (nm)",
    "neck_length_nm": "neck length (nm)",
    "head_diameter_nm": "head diameter (nm)",
    "length_nm": "length (nm)",
}
_PANELS = (
    ("neck_diameter_nm", "head_diameter_nm"),
    ("length_nm", "head_diameter_nm"),
    ("neck_length_nm", "neck_diameter_nm"),
)
# What the rules of the presets ask for
_RULED = ("length_nm", "neck_diameter_nm", "head_diameter_nm")
_FINE = 160


def class_map(
    table: pd.DataFrame, x: str, y: str, x_at: FloatArray, y_at: FloatArray, preset: str
) -> npt.NDArray[np.object_]:
    """Give the type that a rule set gives at each place of a plane of two raw numbers.

    The numbers that are not on the axes have the median of the table; one head is taken.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns :data:`AXES`.
    x, y : str
        Of :data:`AXES`.
    x_at, y_at : ndarray, shape (n,) and (m,)
        Where.
    preset : str
        Of :data:`nanospine.spines.classes.PRESETS`.

    Returns
    -------
    ndarray of str, shape (m, n)

    Examples
    --------
    >>> table = pd.DataFrame({name: [400.0] for name in AXES})
    >>> class_map(table, "neck_diameter_nm", "head_diameter_nm", np.array([150.0]),
    ...           np.array([300.0, 900.0]), "nanospine").tolist()
    [['thin'], ['mushroom']]
    """
    numbers = {name: np.full((len(y_at), len(x_at)), _usual(table[name])) for name in AXES}
    numbers[x], numbers[y] = np.meshgrid(x_at, y_at)
    return np.asarray(classify(**numbers, preset=preset), dtype=object)


def continuum_figure(
    spines: Spines | pd.DataFrame,
    path: str | os.PathLike[str] | None = None,
    *,
    preset: str = "nanospine",
    dpi: int = 150,
) -> Figure:
    """Draw spines as points of raw numbers, coloured by type, over the borders of the rules.

    Types are names on a continuum: three planes of neck diameter, head diameter, length and neck
    length show how near each spine lies to a border. The light fields are what the rule set says
    where the number that is not on the axes has its median; a spine of another size may lie on a
    field of another colour. Bars are the 95 % intervals of the necks.

    Parameters
    ----------
    spines : Spines or pandas.DataFrame
        As :func:`nanospine.find_spines` gives them, or their table, of one run or many.
    path : path-like, optional
        PNG, PDF or SVG by suffix.
    preset : str
        Rule set whose borders are drawn.
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SchemaError
        When a column is missing.
    TooFewPointsError
        When there is no spine.
    ConfigError
        For an unknown rule set.

    Examples
    --------
    >>> table = pd.DataFrame({"type": ["thin", "mushroom"], "neck_diameter_nm": [120.0, 180],
    ...     "neck_length_nm": [700.0, 400], "head_diameter_nm": [350.0, 800],
    ...     "length_nm": [1200.0, 1300]})
    >>> [axes.get_xlabel() for axes in continuum_figure(table).axes]
    ['neck diameter (nm)', 'length (nm)', 'neck length (nm)']
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    table = spines if isinstance(spines, pd.DataFrame) else spines.table
    missing = [name for name in ("type", *AXES) if name not in table]
    if missing:
        raise SchemaError(f"continuum_figure: columns missing: {', '.join(missing)}.")
    if not len(table):
        raise TooFewPointsError("continuum_figure: there are no spines to show.")
    figure = Figure(figsize=(12.0, 4.6), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (x, y) in zip(figure.subplots(1, 3), _PANELS, strict=True):
        _draw(axes, table, x, y, preset)
    _legend(figure, table, preset)
    if path is not None:
        with atomic_path(Path(path)) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return figure


def _usual(numbers: pd.Series[float]) -> float:
    """Median of those that are there; of nothing but missing ones numpy before 2.1 warns."""
    return float(numbers.median()) if numbers.notna().any() else float("nan")


def _draw(axes: Axes, table: pd.DataFrame, x: str, y: str, preset: str) -> None:
    from matplotlib.colors import ListedColormap

    names = list(TYPE_COLOURS)
    limits = [_limit(table[name]) for name in (x, y)]
    places = [(np.arange(_FINE) + 0.5) * limit / _FINE for limit in limits]
    kinds = class_map(table, x, y, places[0], places[1], preset)
    number = np.vectorize(names.index)(kinds)
    fields = ListedColormap([TYPE_COLOURS[name] for name in names])
    axes.imshow(
        number, origin="lower", extent=(0, limits[0], 0, limits[1]), aspect="auto", cmap=fields,
        vmin=-0.5, vmax=len(names) - 0.5, alpha=0.14, interpolation="none",
    )  # fmt: skip
    for index in np.unique(number)[1:]:
        axes.contour(*places, number >= index, levels=[0.5], colors="#666666", linewidths=0.8)
    for name in names:
        part = table[table["type"] == name]
        axes.plot(part[x], part[y], "o", markersize=6, markeredgecolor="white",
                  markeredgewidth=0.8, color=TYPE_COLOURS[name], zorder=3)  # fmt: skip
        _bars(axes, part, x, y, TYPE_COLOURS[name])
    axes.set_xlim(0, limits[0])
    axes.set_ylim(0, limits[1])
    axes.set_xlabel(AXES[x])
    axes.set_ylabel(AXES[y])
    others = {name: _usual(table[name]) for name in _RULED if name not in (x, y)}
    said = [f"{AXES[n][:-5]} {v:.0f} nm" for n, v in others.items() if np.isfinite(v)]
    if said:
        axes.set_title(f"borders at {', '.join(said)}", fontsize=9, color="#555555")
    axes.spines[["top", "right"]].set_visible(False)


def _limit(values: pd.Series[float]) -> float:
    most = float(values.max())
    return 1.12 * most if np.isfinite(most) and most > 0 else 1.0


def _bars(axes: Axes, part: pd.DataFrame, x: str, y: str, colour: str) -> None:
    """Intervals of the necks, where the neck is on an axis and the table has them."""
    ends = ("neck_diameter_low_nm", "neck_diameter_high_nm")
    if "neck_diameter_nm" not in (x, y) or not all(name in part for name in ends):
        return
    middle = part["neck_diameter_nm"].to_numpy(dtype=np.float64)
    error = np.abs(np.stack([middle - part[ends[0]], part[ends[1]] - middle]).astype(np.float64))
    known = np.isfinite(error).all(axis=0) & np.isfinite(middle)
    if not known.any():
        return
    on_x = x == "neck_diameter_nm"
    axes.errorbar(
        part[x].to_numpy()[known], part[y].to_numpy()[known],
        xerr=error[:, known] if on_x else None, yerr=None if on_x else error[:, known],
        fmt="none", ecolor=colour, elinewidth=1, alpha=0.7, zorder=2,
    )  # fmt: skip


def _legend(figure: Figure, table: pd.DataFrame, preset: str) -> None:
    from matplotlib.lines import Line2D

    counts = table["type"].value_counts()
    handles = [
        Line2D([], [], marker="o", linestyle="none", color=colour, label=f"{name} ({counts[name]})")
        for name, colour in TYPE_COLOURS.items()
        if name in counts
    ]
    figure.legend(handles=handles, loc="outside lower center", ncol=len(handles), frameon=False,
                  title=f"fields: rules of the preset {preset!r}", title_fontsize=9)  # fmt: skip
