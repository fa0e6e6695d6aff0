"""Results of tests against simulations: the envelope of a function, and one number for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.statistics.curve_ranks import deviations, monte_carlo_p

__all__ = ["DeviationTest", "EnvelopeTest", "Reference"]

FloatArray = npt.NDArray[np.float64]
Reference = Literal["simulations", "theory"]


@dataclass(frozen=True, eq=False)
class DeviationTest:
    """One number for how far the observed function lies from the simulated ones, and its p.

    Attributes
    ----------
    name : str
        "MAD" or "DCLF".
    statistic : float
        MAD: greatest deviation, in the unit of the function; DCLF: mean squared deviation times
        the length of the interval.
    p_value : float
        (1 + simulations at least as far) / (1 + simulations).
    simulated : ndarray, shape (s,)
        The statistic of each simulation.
    interval_nm : tuple of float
        Distances that were looked at.
    function, null : str
        What was computed, and of which null model.
    notes : tuple of str
        What a reader must know of the data.
    """

    name: str
    statistic: float
    p_value: float
    simulated: FloatArray = field(repr=False)
    interval_nm: tuple[float, float]
    function: str
    null: str
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Give one row: test, function, null model, interval, statistic, p, simulations."""
        row = {
            "test": self.name, "function": self.function, "null": self.null,
            "from_nm": self.interval_nm[0], "to_nm": self.interval_nm[1],
            "statistic": self.statistic, "p_value": self.p_value,
            "n_simulations": len(self.simulated),
        }  # fmt: skip
        return pd.DataFrame([row])


@dataclass(frozen=True, eq=False)
class EnvelopeTest:
    """A summary function in the envelope of its simulations.

    Attributes
    ----------
    function : str
        `K`, `L`, `H`, `g`, `G`, `F`, `J`, with `_cross` for two patterns, or the name of what was
        given.
    radii_nm, observed, low, high, theory, mean : ndarray, shape (m,)
        Distances; the function of the data; the band; the function of complete randomness; the
        mean of the simulations. NaN where the function is unknown.
    p_value : float
        Of the whole curve. NaN for a pointwise band, which is no test of the whole curve.
    p_pointwise : ndarray, shape (m,)
        Two-sided p at each radius by itself: for one radius that was chosen beforehand.
    kind : str
        "rank", "global" or "pointwise".
    level : float
        Share of null patterns that leave the band (pointwise: at any one radius).
    null : str
        The null model.
    n_simulations : int
        Simulations.
    simulated : ndarray, shape (s, m)
        Their curves.
    correction : str
        Edge correction.
    n_points, n_other : int
        Points of the data inside the region.
    notes : tuple of str
        What a reader must know.
    """

    function: str
    radii_nm: FloatArray
    observed: FloatArray = field(repr=False)
    low: FloatArray = field(repr=False)
    high: FloatArray = field(repr=False)
    theory: FloatArray = field(repr=False)
    mean: FloatArray = field(repr=False)
    p_value: float
    p_pointwise: FloatArray = field(repr=False)
    kind: str
    level: float
    null: str
    n_simulations: int
    simulated: FloatArray = field(repr=False)
    correction: str
    n_points: int
    n_other: int
    dimension: int
    notes: tuple[str, ...] = ()

    @property
    def outside(self) -> npt.NDArray[np.bool_]:
        """Tell at which radii the observed function lies outside the band, shape (m,)."""
        return np.asarray((self.observed < self.low) | (self.observed > self.high))

    def to_frame(self) -> pd.DataFrame:
        """Give a row per radius: `radius_nm`, `observed`, `low`, `high`, `theory`, `mean`, p."""
        return pd.DataFrame(
            {
                "radius_nm": self.radii_nm,
                "observed": self.observed,
                "low": self.low,
                "high": self.high,
                "theory": self.theory,
                "mean": self.mean,
                "p_pointwise": self.p_pointwise,
                "outside": self.outside,
            }
        )

    def mad_test(
        self,
        interval_nm: tuple[float, float] | None = None,
        reference: Reference = "simulations",
    ) -> DeviationTest:
        """Test the greatest deviation with the same simulations; see :func:`mad_test`."""
        used, own, others = self._deviations(interval_nm, reference)
        return self._deviation_test("MAD", used, np.abs(own).max(), np.abs(others).max(axis=1))

    def dclf_test(
        self,
        interval_nm: tuple[float, float] | None = None,
        reference: Reference = "simulations",
    ) -> DeviationTest:
        """Test the squared deviation with the same simulations; see :func:`dclf_test`."""
        used, own, others = self._deviations(interval_nm, reference)
        length = float(np.ptp(used)) if len(used) > 1 else 1.0
        return self._deviation_test(
            "DCLF", used, (own**2).mean() * length, (others**2).mean(axis=1) * length
        )

    def _deviations(
        self, interval_nm: tuple[float, float] | None, reference: Reference
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high = (0.0, np.inf) if interval_nm is None else interval_nm
        used = np.isfinite(self.mean) & (self.radii_nm >= low) & (self.radii_nm <= high)
        if reference == "theory":
            used &= np.isfinite(self.theory)
        elif reference != "simulations":
            raise ConfigError(
                f"reference: 'simulations' or 'theory' was expected, found {reference!r}."
            )
        if not used.any():
            raise ConfigError(
                f"interval_nm: no radius at which the function is known lies between {low:g} and "
                f"{high:g} nm; the radii reach from {self.radii_nm[0]:g} to "
                f"{self.radii_nm[-1]:g} nm."
            )
        centre = self.theory[used] if reference == "theory" else None
        own, others = deviations(self.observed[used], self.simulated[:, used], centre)
        return self.radii_nm[used], own, others

    def _deviation_test(
        self, name: str, used: FloatArray, statistic: float, simulated: FloatArray
    ) -> DeviationTest:
        return DeviationTest(
            name, float(statistic), monte_carlo_p(float(statistic), simulated), simulated,
            (float(used[0]), float(used[-1])), self.function, self.null, self.notes,
        )  # fmt: skip
