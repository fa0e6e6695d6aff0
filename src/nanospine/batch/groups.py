"""Conditions compared by animals, never by spines.

Strategy: spines of one animal are alike, so a thousand spines of three animals are three
observations, not a thousand. Every measure is averaged over the spines of an animal (or culture,
or file: the *unit*), and conditions are compared by Welch's t test on these averages. How alike
the spines of a unit are, the intraclass correlation, is reported: it tells what counting spines
as independent would have done to the p values.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from nanospine.spines.classes import TYPES

__all__ = ["MEASURES", "Groups", "compare_conditions", "holm", "intraclass_correlation"]

FloatArray = npt.NDArray[np.float64]

#: Columns of the table of spines that are averaged.
SPINE_MEASURES = (
    "length_nm", "neck_diameter_nm", "neck_length_nm", "head_diameter_nm", "head_volume_nm3",
    "volume_nm3", "area_nm2",
)  # fmt: skip
#: All that is compared: these, the spines per µm of dendrite, and the share of each type.
MEASURES = (*SPINE_MEASURES, "spines_per_um", *(f"fraction_{name}" for name in TYPES))

_COMPARISON = (
    "measure", "condition_a", "condition_b", "unit", "test", "n_a", "n_b", "n_spines_a",
    "n_spines_b", "mean_a", "mean_b", "difference", "difference_low", "difference_high", "t",
    "degrees_of_freedom", "p_value", "p_holm", "hedges_g", "icc", "p_mixed_model",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Groups:
    """Statistics of conditions.

    Attributes
    ----------
    unit : str
        One independent observation: "animal", "culture" or "file".
    units : pandas.DataFrame
        One row per unit: its average of each of :data:`MEASURES`.
    conditions : pandas.DataFrame
        One row per measure and condition: mean, sd and 95 % interval over units.
    comparisons : pandas.DataFrame
        One row per measure and pair of conditions.
    notes : tuple of str
        What a reader must know.
    """

    unit: str
    units: pd.DataFrame
    conditions: pd.DataFrame
    comparisons: pd.DataFrame
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Give the comparisons as a copy that may be changed."""
        return self.comparisons.copy()


def compare_conditions(
    files: pd.DataFrame, spines: pd.DataFrame, *, unit: str | None = None, paired: bool = False
) -> Groups:
    r"""Compare conditions, with one observation per animal.

    With :math:`\bar m_i` the mean of a measure over all spines of unit i, conditions are compared
    by Welch's :math:`t = (\bar m_b - \bar m_a) / \sqrt{s_a^2/n_a + s_b^2/n_b}`, n counting units
    (paired: the t of the differences within units that are in both). P values are corrected over
    the measures and pairs of the table by Holm's method.

    Parameters
    ----------
    files, spines : pandas.DataFrame
        As :func:`nanospine.batch.tables.gather` gives them.
    unit : {"animal", "culture", "file"}, optional
        The independent observation; else the first of these that every file names.
    paired : bool
        Whether the same name in two conditions is the same animal.

    Returns
    -------
    Groups

    Notes
    -----
    A mixed model (random intercept per unit) is added as `p_mixed_model` when statsmodels is
    installed. Source of the aggregation argument: Aarts et al. 2014, Nature Neuroscience 17:491.

    Examples
    --------
    Six animals, 40 spines each; condition b is 100 nm longer.

    >>> generator = np.random.default_rng(1)
    >>> animal = np.repeat([f"m{i}" for i in range(6)], 40)
    >>> condition = np.repeat(["a", "b"], 120)
    >>> length = 1000 + 100 * (condition == "b") + generator.normal(0, 50, 240)
    >>> source = {"file": animal, "condition": condition, "animal": animal, "culture": ""}
    >>> spines = pd.DataFrame(source | {"type": "thin", "length_nm": length})
    >>> files = spines.drop_duplicates("file").assign(
    ...     status="done", shaft_length_nm=1e4, n_spines=40
    ... )
    >>> row = compare_conditions(files, spines).comparisons.set_index("measure").loc["length_nm"]
    >>> int(row.n_a), int(row.n_spines_a), round(float(row.difference), -2), row.p_value < 0.01
    (3, 120, 100.0, np.True_)
    """
    files = files[files["status"] == "done"]
    chosen, notes = _choose_unit(files, unit)
    keys, more = _keys(files, chosen, paired)
    notes += more
    units = _average(files, spines, keys, chosen)
    conditions = _summaries(units)
    rows = []
    names = list(dict.fromkeys(units["condition"]))
    of_spine = spines.assign(unit=spines["file"].map(dict(zip(files["file"], keys, strict=True))))
    for measure in MEASURES:
        for a, b in itertools.combinations(names, 2):
            row = _compare(units, measure, a, b, paired=paired)
            rows.append({"unit": chosen, **row, **_spread(of_spine, measure, a, b)})
    comparisons = pd.DataFrame(rows, columns=list(_COMPARISON))
    if len(comparisons):
        comparisons["p_holm"] = holm(comparisons["p_value"].to_numpy(dtype=np.float64))
    notes += _warnings(units, names, comparisons, chosen)
    return Groups(chosen, units, conditions, comparisons, tuple(notes))


def holm(p_values: FloatArray) -> FloatArray:
    """Correct p values for their number by Holm's step-down method; NaN stay and do not count.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, np.nan, 0.03]))
    array([0.03, 0.06,  nan, 0.06])
    """
    result = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    result[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return result


def intraclass_correlation(values: FloatArray, labels: Sequence[Any]) -> float:
    r"""Give how alike the values of one group are: ICC(1) of one-way analysis of variance.

    .. math:: ICC = (MS_b - MS_w) / (MS_b + (n_0 - 1) MS_w)

    with n_0 the mean group size, corrected where sizes differ. 0: as different as any; 1: equal
    within groups. NaN with fewer than two groups or no repeats.

    Examples
    --------
    >>> round(intraclass_correlation(np.array([1.0, 1.1, 5.0, 5.1]), ["a", "a", "b", "b"]), 3)
    0.999
    """
    groups = [group.to_numpy() for _, group in pd.Series(values).groupby(np.asarray(labels))]
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    total, k = sizes.sum(), len(groups)
    if k < 2 or total <= k:
        return float("nan")
    means = np.array([group.mean() for group in groups])
    within = sum(float(((g - m) ** 2).sum()) for g, m in zip(groups, means, strict=True))
    within /= total - k
    between = float((sizes * (means - np.mean(values)) ** 2).sum()) / (k - 1)
    size = (total - (sizes**2).sum() / total) / (k - 1)
    below = between + (size - 1) * within
    return float((between - within) / below) if below > 0 else float("nan")


def _choose_unit(files: pd.DataFrame, asked: str | None) -> tuple[str, list[str]]:
    notes: list[str] = []
    choices = [asked] if asked else ["animal", "culture"]
    for name in choices:
        if name == "file" or (len(files) and (files[name] != "").all()):
            break
        if asked or (len(files) and (files[name] != "").any()):
            missing = int((files[name] == "").sum())
            if missing:
                notes.append(
                    f"{missing} of {len(files)} files name no {name}, so it cannot be the unit."
                )
    else:
        name = "file"
        notes.append(
            "Not every file names its animal or culture: each file counts as one independent "
            "observation. Files of one animal are not; give a sample sheet with the column animal."
        )
    if asked == "file":
        notes.append("Every file counts as one independent observation, as was asked.")
    return name, notes


def _keys(files: pd.DataFrame, unit: str, paired: bool) -> tuple[list[str], list[str]]:
    """Name the unit of every file; one name in two conditions is two animals, unless paired."""
    names = files[unit].astype(str)
    if unit == "file":
        return names.tolist(), []
    shared = files.groupby(unit)["condition"].nunique()
    twice = shared[shared > 1].index.tolist()
    notes = []
    if twice and not paired:
        notes.append(
            f"{unit} {', '.join(map(str, twice[:5]))} is in more than one condition and was taken "
            "as a different one in each. If it is the same, say [statistics] paired = true."
        )
    return names.tolist(), notes


def _average(files: pd.DataFrame, spines: pd.DataFrame, keys: list[str], unit: str) -> pd.DataFrame:
    """Average every measure over the spines of a unit."""
    files = files.assign(key=keys)
    rows = []
    for (condition, key), mine in files.groupby(["condition", "key"], sort=True):
        own = spines[spines["file"].isin(mine["file"])]
        known = mine[mine["shaft_length_nm"].notna()]
        length_um = float(known["shaft_length_nm"].sum()) / 1000.0
        row: dict[str, Any] = {"condition": condition, "unit": unit, "name": key}
        row |= {"n_files": len(mine), "n_spines": len(own)}
        for measure in SPINE_MEASURES:
            there = own[measure].astype(np.float64) if measure in own else pd.Series(dtype=float)
            row[measure] = float(there.mean()) if there.notna().any() else np.nan
        row["spines_per_um"] = float(known["n_spines"].sum()) / length_um if length_um else np.nan
        for name in TYPES:
            row[f"fraction_{name}"] = float((own["type"] == name).mean()) if len(own) else np.nan
        rows.append(row)
    columns = ["condition", "unit", "name", "n_files", "n_spines", *MEASURES]
    return pd.DataFrame(rows, columns=columns)


def _summaries(units: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for measure in MEASURES:
        for condition, group in units.groupby("condition", sort=True):
            values = group[measure].dropna().to_numpy(dtype=np.float64)
            n = len(values)
            mean = float(values.mean()) if n else np.nan
            sd = float(values.std(ddof=1)) if n > 1 else np.nan
            half = float(stats.t.ppf(0.975, n - 1) * sd / np.sqrt(n)) if n > 1 else np.nan
            rows.append(
                {
                    "measure": measure, "condition": condition, "n_units": n,
                    "n_files": int(group["n_files"].sum()),
                    "n_spines": int(group["n_spines"].sum()),
                    "mean": mean, "sd": sd, "mean_low": mean - half, "mean_high": mean + half,
                }
            )  # fmt: skip
    columns = ["measure", "condition", "n_units", "n_files", "n_spines", "mean", "sd",
               "mean_low", "mean_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _compare(units: pd.DataFrame, measure: str, a: str, b: str, *, paired: bool) -> dict[str, Any]:
    """Compare two conditions by the averages of their units."""
    sides = [
        units[units["condition"] == name].set_index("name")[measure].dropna() for name in (a, b)
    ]
    if paired:
        both = sides[0].index.intersection(sides[1].index)
        sides = [side.loc[both] for side in sides]
    first, second = (side.to_numpy(dtype=np.float64) for side in sides)
    row: dict[str, Any] = {
        "measure": measure, "condition_a": a, "condition_b": b, "n_a": len(first),
        "n_b": len(second), "test": "paired t" if paired else "Welch t",
        "mean_a": float(first.mean()) if len(first) else np.nan,
        "mean_b": float(second.mean()) if len(second) else np.nan,
    }  # fmt: skip
    row["difference"] = row["mean_b"] - row["mean_a"]
    if min(len(first), len(second)) < 2:
        return row
    varies = np.ptp(second - first) > 0 if paired else max(np.ptp(first), np.ptp(second)) > 0
    if not varies:
        return row  # nothing to judge a difference by
    test = stats.ttest_rel(second, first) if paired else (
        stats.ttest_ind(second, first, equal_var=False)
    )  # fmt: skip
    interval = test.confidence_interval(0.95)
    n = len(first) + len(second)
    pooled = np.sqrt(
        ((len(first) - 1) * first.var(ddof=1) + (len(second) - 1) * second.var(ddof=1)) / (n - 2)
    )
    small_sample = 1 - 3 / (4 * (n - 2) - 1)
    return row | {
        "t": float(test.statistic), "degrees_of_freedom": float(test.df),
        "p_value": float(test.pvalue), "difference_low": float(interval.low),
        "difference_high": float(interval.high),
        "hedges_g": float(row["difference"] / pooled * small_sample) if pooled > 0 else np.nan,
    }  # fmt: skip


def _spread(spines: pd.DataFrame, measure: str, a: str, b: str) -> dict[str, Any]:
    """How many spines there were, how alike those of a unit are, and what a mixed model says."""
    mine = spines[spines["condition"].isin([a, b])]
    if measure in mine:
        mine = mine[mine[measure].notna()]
    counts = mine["condition"].value_counts()
    row: dict[str, Any] = {
        "n_spines_a": int(counts.get(a, 0)), "n_spines_b": int(counts.get(b, 0)),
    }  # fmt: skip
    if measure not in mine or not len(mine):
        return row
    # Within conditions: the effect under test must not count as likeness.
    values = mine[measure].astype(np.float64)
    centred = values - values.groupby(mine["condition"]).transform("mean")
    group = mine["condition"].astype(str) + "\n" + mine["unit"].astype(str)
    row["icc"] = intraclass_correlation(centred.to_numpy(), group.tolist())
    row["p_mixed_model"] = _mixed_model(values, mine["condition"] == b, group)
    return row


def _mixed_model(values: pd.Series, second: pd.Series, group: pd.Series) -> float:
    """P value of the condition in a linear model with a random intercept per unit."""
    try:
        import statsmodels.api as sm
    except ImportError:
        return float("nan")
    import warnings

    sizes = group.groupby(second).nunique()
    if len(sizes) < 2 or sizes.min() < 2 or np.ptp(values) == 0:
        return float("nan")
    scaled = (values - values.mean()) / values.std()
    design = np.column_stack([np.ones(len(values)), second.to_numpy(dtype=np.float64)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = sm.MixedLM(scaled.to_numpy(), design, groups=group.to_numpy()).fit()
        except (np.linalg.LinAlgError, ValueError):
            return float("nan")
    return float(fit.pvalues[1]) if fit.converged else float("nan")


def _warnings(
    units: pd.DataFrame, names: list[str], comparisons: pd.DataFrame, unit: str
) -> list[str]:
    notes = []
    n_spines = int(units["n_spines"].sum())
    if len(units):
        notes.append(
            f"Averages are over the spines of one {unit}; n counts {unit}s ({len(units)}), not "
            f"spines ({n_spines})."
        )
    few = [name for name in names if (units["condition"] == name).sum() < 3]
    if few and len(names) > 1:
        shown = ", ".join(repr(name or "(none)") for name in few)
        notes.append(f"Fewer than three {unit}s in {shown}: a test has next to no power.")
    if len(comparisons) and comparisons["p_mixed_model"].isna().all():
        notes.append("No mixed model was fitted (statsmodels is not installed, or too few units).")
    return notes
