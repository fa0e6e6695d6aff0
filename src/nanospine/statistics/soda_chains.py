"""Three channels and many regions: chains A-B-C of coupled objects, and coupling per spine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError
from nanospine.core.localizations import Localizations
from nanospine.statistics.soda_input import Objects, as_points
from nanospine.statistics.soda_joint import shift_p
from nanospine.statistics.soda_result import SodaResult

__all__ = ["SodaChains", "soda_by_region", "soda_chains"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SodaChains:
    """Objects of three channels that are coupled in a row.

    Attributes
    ----------
    chains : pandas.DataFrame
        A row per chain: `index_a`, `index_b`, `index_c`, `distance_ab_nm`, `distance_bc_nm`,
        `distance_ac_nm` (NaN where that pair was not measured), `probability` that both (strict:
        all three) pairs are coupled, taken as independent.
    expected : float
        Objects of `b` coupled to both sides: the sum of probabilities over the objects.
    expected_by_chance : float
        What this is on average when coupling to one side says nothing about the other.
    p_value : float
        Chance of at least as many, by shuffling which objects of `b` are coupled to `c`, or by
        moving the coupling to `c` over the objects as a whole (`test`).
    n_b : int
        Objects of `b`.
    only_ab, only_bc : ndarray of int64
        Objects of `b` that are coupled to one side only.
    single_b : ndarray of int64
        Objects of `b` coupled to none.
    strict : bool
        All three pairs are asked for.
    test : str
        "shuffle" or "shift".
    """

    chains: pd.DataFrame = field(repr=False)
    expected: float
    expected_by_chance: float
    p_value: float
    n_b: int
    only_ab: IntArray = field(repr=False)
    only_bc: IntArray = field(repr=False)
    single_b: IntArray = field(repr=False)
    strict: bool = False
    test: str = "shuffle"

    def to_frame(self) -> pd.DataFrame:
        """Give one row with the numbers."""
        return pd.DataFrame(
            [
                {
                    "n_b": self.n_b, "n_chains": len(self.chains), "expected": self.expected,
                    "expected_by_chance": self.expected_by_chance, "p_value": self.p_value,
                    "test": self.test,
                    "n_only_ab": len(self.only_ab), "n_only_bc": len(self.only_bc),
                    "n_single_b": len(self.single_b), "strict": self.strict,
                }
            ]
        )  # fmt: skip


def soda_chains(
    ab: SodaResult,
    bc: SodaResult,
    ac: SodaResult | None = None,
    *,
    b: Objects | None = None,
    strict: bool = False,
    least_probability: float = 0.0,
    n_simulations: int = 999,
    seed: int = 0,
) -> SodaChains:
    """Join the couplings of A with B and of B with C into chains A-B-C.

    Parameters
    ----------
    ab : SodaResult
        Of `soda(a, b, ...)`.
    bc : SodaResult
        Of `soda(b, c, ...)` with the same objects of `b`.
    ac : SodaResult, optional
        Of `soda(a, c, ...)`: adds the third distance; needed for `strict`.
    b : Localizations, Clusters, DataFrame or array_like, optional
        The objects of `b`, the same that both results are of: the joint test moves couplings as a
        whole instead of shuffling objects, so that parts of a cell in which everything is coupled
        do not look like chains.
    strict : bool
        A chain needs all three pairs; else the two that share an object of `b` suffice.
    least_probability : float
        Pairs below it are no coupling.
    n_simulations : int
        Shuffles or shifts for the joint test.
    seed : int
        Of these.

    Returns
    -------
    SodaChains
        The joint test asks whether objects of `b` with a partner in `a` have one in `c` more often
        than others: regions dense in all three channels make them so too.

    Raises
    ------
    ConfigError
        For `strict` without `ac`, results of different objects of `b`, or other objects in `b`.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> a, box = rng.uniform(200, 19_800, (200, 2)), ns.Box((0, 0), (20_000, 20_000))
    >>> b = np.vstack([a[:100] + [60, 0], rng.uniform(0, 20_000, (100, 2))])
    >>> c = np.vstack([b[:80] + [0, 60], rng.uniform(0, 20_000, (120, 2))])
    >>> radii = [30, 60.1, 90, 120]
    >>> found = ns.soda_chains(ns.soda(a, b, radii, region=box), ns.soda(b, c, radii, region=box))
    >>> 78 <= len(found.chains) <= 84, found.p_value
    (True, 0.001)
    """
    objects = np.sort(np.concatenate([ab.coupled_b, ab.single_b]))
    if not np.array_equal(objects, np.sort(np.concatenate([bc.coupled_a, bc.single_a]))):
        raise ConfigError(
            "soda_chains: ab = soda(a, b) and bc = soda(b, c) with the same objects of b in the "
            f"same region were expected, found {ab.n_b} and {bc.n_a} objects of b that differ."
        )
    if strict and ac is None:
        raise ConfigError("soda_chains: strict=True needs the third coupling: ac=soda(a, c, ...).")
    first = _coupled(ab, "ab", least_probability)
    second = _coupled(bc, "bc", least_probability).rename(
        columns={"index_a": "index_b", "index_b": "index_c"}
    )
    chains = first.merge(second, on="index_b")
    chains["probability"] = chains.pop("p_ab") * chains.pop("p_bc")
    if ac is None:
        chains["distance_ac_nm"] = np.nan
    else:
        third = _coupled(ac, "ac", least_probability).rename(columns={"index_b": "index_c"})
        chains = chains.merge(third, on=["index_a", "index_c"], how="left")
        weight = chains.pop("p_ac")
        if strict:
            chains["probability"] *= weight
            chains = chains[weight.notna()]
    columns = ["index_a", "index_b", "index_c", "distance_ab_nm", "distance_bc_nm",
               "distance_ac_nm", "probability"]  # fmt: skip
    to_a = _partnered(objects, first["index_b"], first["p_ab"])
    to_c = _partnered(objects, second["index_b"], second["p_bc"])
    rng = np.random.default_rng(seed)
    found = float(to_a @ to_c)
    if b is None:
        shuffled = np.array([to_a @ rng.permutation(to_c) for _ in range(n_simulations)])
        p_value = float((1 + (shuffled >= found - 1e-9).sum()) / (n_simulations + 1))
    else:
        places = _places(b, objects, ab)
        p_value = shift_p(places, to_a, to_c, ab.region, n_simulations, rng)
    return SodaChains(
        chains=chains[columns].reset_index(drop=True),
        expected=found,
        expected_by_chance=float(to_a.sum() * to_c.sum() / len(objects)),
        p_value=p_value,
        test="shuffle" if b is None else "shift",
        n_b=len(objects),
        only_ab=objects[(to_a > 0) & (to_c == 0)],
        only_bc=objects[(to_a == 0) & (to_c > 0)],
        single_b=objects[(to_a == 0) & (to_c == 0)],
        strict=strict,
    )


def _places(b: Objects, objects: IntArray, ab: SodaResult) -> FloatArray:
    """Positions of the objects of `b` that both results are of."""
    points = as_points(b, "b")
    xyz = points.xyz_nm if isinstance(points, Localizations) else points
    dimension = ab.region.dimension
    if xyz.ndim != 2 or xyz.shape[1] < dimension or len(xyz) <= objects.max():
        raise ConfigError(
            f"soda_chains: b must be the objects that ab and bc were made of, (n, {dimension}) "
            f"with n above {objects.max()}, found {xyz.shape}."
        )
    return np.ascontiguousarray(xyz[objects, :dimension])


def _coupled(result: SodaResult, name: str, least: float) -> pd.DataFrame:
    pairs = result.pairs
    kept = pairs[(pairs["probability"] > 0) & (pairs["probability"] >= least)]
    names = {"distance_nm": f"distance_{name}_nm", "probability": f"p_{name}"}
    return kept[["index_a", "index_b", "distance_nm", "probability"]].rename(columns=names)


def _partnered(objects: IntArray, index: pd.Series, probability: pd.Series) -> FloatArray:
    """Probability of each object to have at least one partner."""
    alone = np.ones(len(objects))
    np.multiply.at(alone, np.searchsorted(objects, index.to_numpy()), 1 - probability.to_numpy())
    return np.asarray(1 - alone)


def soda_by_region(
    result: SodaResult, labels_a: npt.ArrayLike, labels_b: npt.ArrayLike
) -> pd.DataFrame:
    """Sum up coupling per spine, cell or other part.

    Parameters
    ----------
    result : SodaResult
        Of the whole sample: a part alone has too few pairs to estimate from.
    labels_a, labels_b : array_like of int, shapes (n_a,), (n_b,)
        Part of each row of the *input* of `soda`; negative: of none.

    Returns
    -------
    pandas.DataFrame
        A row per part: `label`, `n_a`, `n_b` (those in the window), `coupled_pairs` (sum of the
        probabilities of the pairs that have both objects in the part), `across` (of those with one
        object elsewhere), `coupled_fraction_a`, `coupled_fraction_b`, `mean_distance_nm` (weighted
        with the probabilities), `single_a`, `single_b`.

    Raises
    ------
    ConfigError
        When there are not as many labels as rows.

    Examples
    --------
    >>> import nanospine as ns
    >>> rng = np.random.default_rng(0)
    >>> a, box = rng.uniform(200, 19_800, (200, 2)), ns.Box((0, 0), (20_000, 20_000))
    >>> b = np.vstack([a[:100] + [60, 0], rng.uniform(0, 20_000, (100, 2))])
    >>> found = ns.soda(a, b, [30, 60.1, 90, 120], region=box)
    >>> parts = np.arange(200) // 100
    >>> ns.soda_by_region(found, parts, parts)[["label", "n_b", "coupled_pairs"]].round().values
    array([[  0., 100.,  99.],
           [  1., 100.,   0.]])
    """
    sides = {}
    for side, labels in (("a", labels_a), ("b", labels_b)):
        values = np.asarray(labels)
        rows = np.concatenate(
            [getattr(result, f"coupled_{side}"), getattr(result, f"single_{side}")]
        )
        if values.ndim != 1 or values.dtype.kind not in "iu" or len(values) <= rows.max():
            raise ConfigError(
                f"soda_by_region: labels_{side} must be integers, one per row of the input of "
                f"soda, found {values.dtype} of shape {values.shape} for rows up to {rows.max()}."
            )
        sides[side] = (values.astype(np.int64), np.sort(rows))
    pairs = result.pairs
    weight = pairs["probability"].to_numpy()
    of_a = sides["a"][0][pairs["index_a"].to_numpy()]
    of_b = sides["b"][0][pairs["index_b"].to_numpy()]
    found = np.unique(np.concatenate([labels[rows] for labels, rows in sides.values()]))
    table = []
    for label in found[found >= 0]:
        n_a, n_b = (int((labels[rows] == label).sum()) for labels, rows in sides.values())
        inside = (of_a == label) & (of_b == label)
        coupled = float(weight[inside].sum())
        moment = float((weight * pairs["distance_nm"].to_numpy())[inside].sum())
        table.append(
            {
                "label": int(label),
                "n_a": n_a,
                "n_b": n_b,
                "coupled_pairs": coupled,
                "across": float(weight[(of_a == label) ^ (of_b == label)].sum()),
                "coupled_fraction_a": coupled / n_a if n_a else np.nan,
                "coupled_fraction_b": coupled / n_b if n_b else np.nan,
                "mean_distance_nm": moment / coupled if coupled > 0 else np.nan,
                "single_a": int((sides["a"][0][result.single_a] == label).sum()),
                "single_b": int((sides["b"][0][result.single_b] == label).sum()),
            }
        )
    return pd.DataFrame(table)
