"""What SODA finds: how many objects are coupled, at what distance, which ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.region import Region

__all__ = ["SodaResult"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SodaResult:
    """Coupling of two channels.

    Attributes
    ----------
    coupled_fraction_a, coupled_fraction_b : float
        Coupled pairs over the points of that channel. Without bias, so that it may come out a
        little below 0 where nothing is coupled.
    coupled_fraction_a_low, coupled_fraction_a_high : float
        Ends of the interval at `level`; the same for `b`.
    coupled_pairs, coupled_pairs_se : float
        Pairs that are coupled, with their standard error.
    mean_distance_nm, std_distance_nm : float
        Of the coupled pairs, nanometres; NaN where no pairs are coupled. Each with `_low` and
        `_high`.
    distance_model : str
        "folded normal" or "gamma" where that distribution fits the coupled pairs of all rings: mean
        and standard deviation are its own, as the window leaves it, what lies beyond the last ring
        included. Else "sums":
        those of the coupled pairs inside the rings; "rings": the same with no ring below 0, where
        errors of far rings would leave no positive variance.
    distance_parameters_nm : (float, float)
        Centre and width of the normal distribution before folding, mean and standard deviation of
        the gamma distribution; NaN for the others.
    p_value : float
        Chance of so much coupling at some distance, or at all, when no point is coupled.
    rings : pandas.DataFrame
        Per ring: `low_nm`, `high_nm`, `observed` and `expected` pairs, `g` (the SODA vector G,
        nm² or nm³), `g_expected`, `coupled_pairs` with `coupled_pairs_se`, `p_value` and
        `significant` (Holm, 5 % over all rings).
    pairs : pandas.DataFrame
        All pairs nearer than the largest radius: `index_a`, `index_b` (rows of the input),
        `distance_nm`, `probability` of being coupled.
    single_a, single_b : ndarray of int64
        Rows of the input in no pair that may be coupled.
    coupled_a, coupled_b : ndarray of int64
        Rows of the input in such a pair.
    n_a, n_b : int
        Points inside the region.
    region : Region
        The window.
    level : float
        Of the intervals.
    target : str
        "sample" or "population", see :func:`nanospine.soda`.
    notes : tuple of str
        What a reader must know.
    """

    coupled_fraction_a: float
    coupled_fraction_a_low: float
    coupled_fraction_a_high: float
    coupled_fraction_b: float
    coupled_fraction_b_low: float
    coupled_fraction_b_high: float
    coupled_pairs: float
    coupled_pairs_se: float
    mean_distance_nm: float
    mean_distance_nm_low: float
    mean_distance_nm_high: float
    std_distance_nm: float
    std_distance_nm_low: float
    std_distance_nm_high: float
    p_value: float
    rings: pd.DataFrame = field(repr=False)
    pairs: pd.DataFrame = field(repr=False)
    single_a: IntArray = field(repr=False)
    single_b: IntArray = field(repr=False)
    coupled_a: IntArray = field(repr=False)
    coupled_b: IntArray = field(repr=False)
    n_a: int
    n_b: int
    region: Region = field(repr=False)
    distance_model: str = "sums"
    distance_parameters_nm: tuple[float, float] = (float("nan"), float("nan"))
    level: float = 0.95
    target: str = "sample"
    notes: tuple[str, ...] = ()

    def objects(self) -> pd.DataFrame:
        """Give a row per object: `channel`, `index`, `coupled`, and expected `partners`.

        `index` is the row of the input; `coupled` says whether it is in any pair that may be
        coupled, `partners` is the sum of the probabilities of its pairs.
        """
        frames = []
        for side in "ab":
            coupled, single = getattr(self, f"coupled_{side}"), getattr(self, f"single_{side}")
            index = np.sort(np.concatenate([coupled, single]))
            partners = self.pairs.groupby(f"index_{side}")["probability"].sum()
            frames.append(
                pd.DataFrame(
                    {
                        "channel": side,
                        "index": index,
                        "coupled": np.isin(index, coupled),
                        "partners": partners.reindex(index, fill_value=0.0).to_numpy(),
                    }
                )
            )
        return pd.concat(frames, ignore_index=True)

    def to_frame(self) -> pd.DataFrame:
        """Give one row with all numbers."""
        names = (
            "n_a", "n_b", "coupled_pairs", "coupled_pairs_se",
            *(f"coupled_fraction_{side}{end}" for side in "ab" for end in ("", "_low", "_high")),
            *(f"{what}_distance_nm{end}" for what in ("mean", "std")
              for end in ("", "_low", "_high")),
            "distance_model", "p_value", "level", "target",
        )  # fmt: skip
        return pd.DataFrame([{name: getattr(self, name) for name in names}])
