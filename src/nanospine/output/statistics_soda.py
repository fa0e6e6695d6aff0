"""The figure of coupling: pairs over chance, and coupled pairs per ring with their errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nanospine.core.files import atomic_path
from nanospine.statistics.soda_result import SodaResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["soda_figure"]

# Blue and orange of the palette of Okabe and Ito, which the colour-blind tell apart.
_COUPLED, _CURVE, _CHANCE = "#0072b2", "#d55e00", "#9aa0a6"


def soda_figure(
    result: SodaResult,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str = "",
    dpi: int = 150,
) -> Figure:
    """Draw what SODA found.

    Above: observed pairs of each ring over those that chance gives. Below: coupled pairs per ring
    with their 95 % errors, filled where the ring is significant, and the distribution of the
    coupled distance where one fits. Distances in nm.

    Parameters
    ----------
    result : SodaResult
        Of :func:`nanospine.soda`.
    path : path-like, optional
        PNG, PDF or SVG by suffix.
    title : str
        Stands before what was found.
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
    >>> from nanospine.core.region import Box
    >>> from nanospine.statistics.soda import soda
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.uniform(0, 5000, (2, 100, 2))
    >>> found = soda(a, b, [50, 100], region=Box((0, 0), (5000, 5000)), n_simulations=19)
    >>> len(soda_figure(found).axes)
    2
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.4), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_ratio(above, result)
    _draw_pairs(below, result)
    below.set_xlabel("distance (nm)")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0.0, float(result.rings["high_nm"].iloc[-1]))
        axes.legend(frameon=False, fontsize=8)
    above.set_title("\n".join(item for item in (title, _verdict(result)) if item), fontsize=10)
    if path is not None:
        with atomic_path(Path(path)) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return figure


def _draw_ratio(axes: Axes, result: SodaResult) -> None:
    rings = result.rings
    edges = np.append(rings["low_nm"].to_numpy(), rings["high_nm"].iloc[-1])
    expected = rings["g_expected"].to_numpy()
    ratio = np.divide(
        rings["g"].to_numpy(), expected, out=np.full(len(rings), np.nan), where=expected > 0
    )
    axes.stairs(ratio, edges, color=_COUPLED, linewidth=1.8, label="observed over expected pairs")
    axes.axhline(1.0, color="black", linewidth=1, linestyle="--", label="chance")
    axes.set_ylabel("pairs / chance")
    axes.set_ylim(bottom=0.0)


def _draw_pairs(axes: Axes, result: SodaResult) -> None:
    from scipy.special import ndtri

    rings = result.rings
    low, high = rings["low_nm"].to_numpy(), rings["high_nm"].to_numpy()
    pairs = rings["coupled_pairs"].to_numpy()
    colours = np.where(rings["significant"].to_numpy(), _COUPLED, _CHANCE)
    axes.bar(low, pairs, high - low, align="edge", color=list(colours), alpha=0.6, linewidth=0,
             label="coupled pairs (grey: not significant)")  # fmt: skip
    if "coupled_pairs_se" in rings:
        error = float(ndtri((1 + result.level) / 2)) * rings["coupled_pairs_se"].to_numpy()
        axes.errorbar((low + high) / 2, pairs, error, fmt="none", color="black", linewidth=1,
                      capsize=2, label=f"{100 * result.level:.4g} % by chance")  # fmt: skip
    if np.isfinite(result.distance_parameters_nm).all():
        from nanospine.statistics.soda_laws import distance_law

        edges = np.append(low, high[-1])
        law = distance_law(result.distance_model, *result.distance_parameters_nm)
        inside = float(law(edges[-1:])[0] - law(edges[:1])[0])
        fine = np.linspace(0.0, float(high[-1]), 200)
        width = float(np.mean(high - low))
        density = np.gradient(law(fine), fine) * width * pairs.sum() / max(inside, 1e-12)
        axes.plot(fine, density, color=_CURVE, linewidth=1.5, label=result.distance_model)
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_ylabel("coupled pairs per ring")


def _verdict(result: SodaResult) -> str:
    fraction = f"coupled: {result.coupled_fraction_b:.1%} of b"
    if np.isfinite(result.coupled_fraction_b_low):
        fraction += (
            f" ({result.coupled_fraction_b_low:.1%} to {result.coupled_fraction_b_high:.1%})"
        )
    text = f"n = {result.n_a} and {result.n_b}; {fraction}; p = {result.p_value:.3g}"
    if np.isfinite(result.mean_distance_nm):
        text += f"\ndistance {result.mean_distance_nm:.4g} ± {result.std_distance_nm:.4g} nm"
    return text
