"""The precision of each localization from its photons, width and background."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, SchemaError, UnitsError
from nanospine.core.localizations import Localizations

__all__ = ["add_precision", "gaussian_precision_nm"]

FloatArray = npt.NDArray[np.float64]
Estimator = Literal["least-squares", "mle"]


def gaussian_precision_nm(
    photons: npt.ArrayLike,
    sigma_nm: npt.ArrayLike,
    background: npt.ArrayLike,
    pixel_size_nm: float,
    *,
    estimator: Estimator = "least-squares",
    em_gain: bool = False,
) -> FloatArray:
    """Standard deviation of a position that was fitted with a Gaussian spot.

    With sa² = s² + a² / 12 (width of the spot s, pixel a), N photons, b² background photons per
    pixel (the variance of the background) and tau = 2 pi sa² b² / (N a²):

    - least squares: sa² / N (16 / 9 + 4 tau) (Mortensen et al. 2010, eq. 6; written there as
      8 pi sa² b² / (N a²));
    - maximum likelihood: sa² / N (1 + 4 tau + sqrt(2 tau / (1 + 4 tau))) (Rieger and Stallinga
      2014: an approximation of Mortensen's integral within 2 %).

    An electron-multiplying gain doubles the variance. Rows without photons or width give NaN.

    Parameters
    ----------
    photons, sigma_nm, background : array_like, shape (n,)
        Signal photons, standard deviation of the spot, background photons per pixel.
    pixel_size_nm : float
        In the sample.
    estimator : {"least-squares", "mle"}
        Of the program that fitted the spots.
    em_gain : bool
        Whether the camera multiplied electrons (EMCCD).

    Examples
    --------
    >>> gaussian_precision_nm([1000.0], [130.0], [10.0], 100.0).round(2)
    array([6.28])
    >>> gaussian_precision_nm([1000.0], [130.0], [10.0], 100.0, estimator="mle").round(2)
    array([5.71])
    """
    n, s, b = (np.asarray(item, dtype=np.float64) for item in (photons, sigma_nm, background))
    good = np.isfinite(n) & (n > 0) & np.isfinite(s) & (s > 0) & np.isfinite(b)
    n, s, b = np.where(good, n, 1.0), np.where(good, s, 1.0), np.where(good, b, 0.0)
    square = s**2 + pixel_size_nm**2 / 12
    tau = 2 * np.pi * square * np.maximum(b, 0.0) / (n * pixel_size_nm**2)
    if estimator == "mle":
        factor = 1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau))
    else:
        factor = 16 / 9 + 4 * tau
    variance = square / n * factor * (2 if em_gain else 1)
    return np.asarray(np.where(good, np.sqrt(variance), np.nan), dtype=np.float64)


def add_precision(
    localizations: Localizations,
    *,
    pixel_size_nm: float | None = None,
    background: float | None = None,
    sigma_nm: float | None = None,
    estimator: Estimator = "least-squares",
    em_gain: bool = False,
    overwrite: bool = False,
) -> Localizations:
    """Fill in lateral precisions that a file does not have (:func:`gaussian_precision_nm`).

    Rows that have one keep it. The axial precision depends on the optics that encode z and is not
    filled in.

    Parameters
    ----------
    localizations : Localizations
        With `photons`; `sigma_x_nm` and `sigma_y_nm` (or one) and `background_photons` unless
        given here.
    pixel_size_nm : float, optional
        In the sample; the one that the file was read with otherwise.
    background : float, optional
        Background photons per pixel for all rows; the column must mean the same.
    sigma_nm : float, optional
        Width of the spots for all rows.
    estimator, em_gain
        As for :func:`gaussian_precision_nm`.
    overwrite : bool
        Replace the precisions that are there.

    Raises
    ------
    SchemaError, UnitsError, ConfigError
        Without a column that is needed; without a pixel size; for values out of range.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0], [5, 5]], photons=[1000.0, 4000.0])
    >>> done = ns.add_precision(locs, pixel_size_nm=100, sigma_nm=130, background=10)
    >>> done.table["precision_x_nm"].round(2).tolist()
    [6.28, 2.89]
    """
    table = localizations.to_frame()
    if estimator not in ("least-squares", "mle"):
        raise ConfigError(
            f"add_precision: estimator 'least-squares' or 'mle' was expected, found {estimator!r}."
        )
    for name, given in (("sigma_nm", sigma_nm), ("pixel_size_nm", pixel_size_nm)):
        if given is not None and not (np.isfinite(given) and given > 0):
            raise ConfigError(f"add_precision: a positive {name} was expected, found {given!r}.")
    if background is not None and not (np.isfinite(background) and background >= 0):
        raise ConfigError(
            f"add_precision: background of 0 or more was expected, found {background!r}."
        )
    photons = _column(localizations, "photons", None)
    behind = _column(localizations, "background_photons", background, "background")
    pixel = _pixel_size(localizations, pixel_size_nm)
    filled, missing = 0, 0
    for number, axis in enumerate("xy"):
        name = f"precision_{axis}_nm"
        own = f"sigma_{axis}_nm"
        if own not in table:
            own = "sigma_y_nm" if axis == "x" else "sigma_x_nm"
        width = _column(localizations, own, sigma_nm, "sigma_nm")
        found = gaussian_precision_nm(
            photons, width, behind, pixel[number], estimator=estimator, em_gain=em_gain
        )
        if name in table and not overwrite:
            present = table[name].to_numpy(np.float64)
            known = np.isfinite(present) & (present > 0)
            found = np.where(known, present, found)
            filled = max(filled, int((~known).sum()))
        else:
            filled = len(table)
        table[name] = found
        missing = max(missing, int(np.isnan(found).sum()))
    notes = [f"precision from photons for {filled - missing} of {len(table)} localizations"]
    if missing:
        notes.append(f"{missing} localizations have no photons or no width, and no precision")
    arguments = {
        "pixel_size_nm": list(pixel), "background": background, "sigma_nm": sigma_nm,
        "estimator": estimator, "em_gain": em_gain, "overwrite": overwrite,
    }  # fmt: skip
    return localizations.replace(
        table=table, operation="add_precision", arguments=arguments, notes=notes
    )


def _column(
    localizations: Localizations, name: str, given: float | None, argument: str = ""
) -> FloatArray:
    if given is not None:
        return np.full(len(localizations), float(given))
    if name in localizations.table:
        return localizations.table[name].to_numpy(np.float64)
    known = ", ".join(str(item) for item in localizations.table.columns)
    hint = f" or {argument}=..." if argument else ""
    raise SchemaError(
        f"add_precision: a column {name!r}{hint} was expected; the columns are {known}."
    )


def _pixel_size(localizations: Localizations, given: float | None) -> tuple[float, float]:
    if given is not None:
        return float(given), float(given)
    told = [
        entry["arguments"]["pixel_size_used_nm"]
        for entry in localizations.history
        if entry["arguments"].get("pixel_size_used_nm") is not None
    ]
    if not told:
        raise UnitsError(
            "add_precision: the file does not tell the size of a camera pixel; pass "
            "pixel_size_nm=... (in the sample: of the camera over the magnification)."
        )
    size = np.broadcast_to(np.asarray(told[-1], dtype=np.float64), 2)
    return float(size[0]), float(size[1])
