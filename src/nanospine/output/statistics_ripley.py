"""The figure of a summary function: the curve, the band of its simulations, and what p is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanospine.core.files import atomic_path
from nanospine.statistics.curve import SummaryFunction
from nanospine.statistics.envelope_result import EnvelopeTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ripley_figure"]

FloatArray = npt.NDArray[np.float64]

# Blue and orange of the palette of Okabe and Ito, which the colour-blind tell apart.
_DATA, _OUTSIDE, _BAND = "#0072b2", "#d55e00", "#9aa0a6"
_KINDS = {
    "rank": "extreme rank length",
    "global": "global",
    "pointwise": "pointwise",
}
_MICROMETRE = 1000.0


def ripley_figure(
    result: EnvelopeTest | SummaryFunction,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    dpi: int = 150,
) -> Figure:
    """Draw a summary function with its envelope.

    Data are blue, orange where they leave the band; the band is grey, its mean a dotted line, the
    theory of complete randomness a dashed one. K and L, which grow whatever the points do, get a
    second panel with the difference from the theory. Distances are in nm, or in µm where they
    reach beyond 2 µm; K is in µm² or µm³.

    Parameters
    ----------
    result : EnvelopeTest or SummaryFunction
        What to draw; without simulations there is no band and no p.
    path : path-like, optional
        PNG, PDF or SVG by suffix.
    title : str
        Stands before what the test found.
    dpi : int
        Dots per inch of a PNG.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    WriteError
        When the place cannot be written to.

    Examples
    --------
    >>> import numpy as np
    >>> from nanospine.core.region import Box
    >>> from nanospine.statistics.nearest import nearest_neighbour_g
    >>> xy = np.random.default_rng(0).uniform(0, 500, (80, 2))
    >>> found = nearest_neighbour_g(xy, np.arange(5, 50, 5), region=Box((0, 0), (500, 500)))
    >>> len(ripley_figure(found).axes)
    1
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    name = result.name if isinstance(result, SummaryFunction) else result.function
    grows = name.split("_")[0] in ("K", "L")
    figure = Figure(figsize=(6.4, 6.4 if grows else 4.4), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if grows else 1, 1, sharex=True, squeeze=False)[:, 0]
    scale, unit = _length_unit(result.radii_nm)
    factor, value_unit = _value_unit(name, _dimension(result))
    _draw(panels[0], result, scale, factor)
    panels[0].set_ylabel(_label(name, value_unit))
    if grows:
        _draw(panels[1], result, scale, factor, minus_theory=True)
        panels[1].set_ylabel(_label(name, value_unit, " − theory"))
    panels[-1].set_xlabel(f"distance r ({unit})")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(left=0.0)
    # Below the panels: within them it hides the curve of some data or other.
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
        frameon=False, fontsize=8,
    )  # fmt: skip
    panels[0].set_title("\n".join(item for item in (title, _verdict(result)) if item), fontsize=10)
    if path is not None:
        with atomic_path(Path(path)) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return figure


def _draw(
    axes: Axes,
    result: EnvelopeTest | SummaryFunction,
    scale: float,
    factor: float,
    *,
    minus_theory: bool = False,
) -> None:
    radii = result.radii_nm / scale
    base = result.theory if minus_theory else np.zeros_like(radii)
    if isinstance(result, EnvelopeTest):
        kind = _KINDS[result.kind]
        axes.fill_between(
            radii, (result.low - base) / factor, (result.high - base) / factor, color=_BAND,
            alpha=0.35, linewidth=0,
            label=f"{100 * (1 - result.level):.4g} % envelope ({kind}), "
            f"{result.n_simulations} simulations: {result.null}",
        )  # fmt: skip
        axes.plot(radii, (result.mean - base) / factor, color="#5f6368", linewidth=1,
                  linestyle=":", label="mean of the simulations")  # fmt: skip
        values = result.observed
    else:
        values = result.values
    if np.isfinite(result.theory).any():
        axes.plot(radii, (result.theory - base) / factor, color="black", linewidth=1,
                  linestyle="--", label="complete randomness")  # fmt: skip
    axes.plot(radii, (values - base) / factor, color=_DATA, linewidth=1.8, label="data")
    if isinstance(result, EnvelopeTest) and result.outside.any():
        shown = np.where(result.outside, (values - base) / factor, np.nan)
        axes.plot(radii, shown, color=_OUTSIDE, linewidth=2.4, marker="o", markersize=2.5,
                  label="data outside the envelope")  # fmt: skip


def _dimension(result: EnvelopeTest | SummaryFunction) -> int:
    return result.dimension if isinstance(result, EnvelopeTest) else result.region.dimension


def _length_unit(radii_nm: FloatArray) -> tuple[float, str]:
    return (_MICROMETRE, "µm") if radii_nm[-1] > 2 * _MICROMETRE else (1.0, "nm")


def _value_unit(name: str, dimension: int) -> tuple[float, str]:
    """Give what values are divided by, and the unit they then have."""
    kind = name.split("_")[0]
    if kind == "K":
        return _MICROMETRE**dimension, "µm²" if dimension == 2 else "µm³"
    if kind in ("L", "H"):
        return 1.0, "nm"
    return 1.0, ""


def _label(name: str, unit: str, more: str = "") -> str:
    kind, _, cross = name.partition("_")
    text = f"{'cross-' if cross == 'cross' else ''}{kind}(r){more}"
    return f"{text} ({unit})" if unit else text


def _verdict(result: EnvelopeTest | SummaryFunction) -> str:
    number = f"n = {result.n_points}"
    if result.n_other:
        number += f" and {result.n_other}"
    text = f"{number}, correction {result.correction}"
    if isinstance(result, SummaryFunction) or not np.isfinite(result.p_value):
        return text
    smallest = 1 / (result.n_simulations + 1)
    sign = "≤" if result.p_value <= smallest * 1.001 else "="
    return f"{text}, p {sign} {result.p_value:.3g}"
