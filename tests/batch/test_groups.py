"""Statistics by animal: against scipy on averages made by hand, and with nothing to find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nanospine.batch.groups import MEASURES, compare_conditions, holm, intraclass_correlation


def experiment(
    rng: np.random.Generator,
    *,
    effect_nm: float = 0.0,
    animal_sd_nm: float = 0.0,
    animals: int = 4,
    n: int = 30,
    same_animals: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, files = [], []
    for condition in ("a", "b"):
        for number in range(animals):
            animal = f"m{number}" if same_animals else f"{condition}{number}"
            level = 1000 + effect_nm * (condition == "b") + rng.normal(0, animal_sd_nm)
            for part in range(2):
                source = {"file": f"{condition}{number}_{part}.csv", "condition": condition,
                          "animal": animal, "culture": ""}  # fmt: skip
                files.append(source | {"status": "done", "n_spines": n, "shaft_length_nm": 2e4})
                values = level + rng.normal(0, 100, n)
                rows += [source | {"type": "thin", "length_nm": value} for value in values]
    return pd.DataFrame(files), pd.DataFrame(rows)


def row_of(comparisons: pd.DataFrame, measure: str = "length_nm") -> Any:
    return comparisons.set_index("measure").loc[measure]


def test_animals_are_the_observations() -> None:
    files, spines = experiment(np.random.default_rng(0), effect_nm=80, animal_sd_nm=40)
    found = compare_conditions(files, spines)
    row = row_of(found.comparisons)
    means = spines.groupby(["condition", "animal"])["length_nm"].mean()
    expected = stats.ttest_ind(means["b"], means["a"], equal_var=False)
    assert (row.n_a, row.n_b, row.n_spines_a, row.n_spines_b) == (4, 4, 240, 240)
    assert row.p_value == pytest.approx(expected.pvalue)
    assert row.difference == pytest.approx(means["b"].mean() - means["a"].mean())
    interval = expected.confidence_interval()
    assert (row.difference_low, row.difference_high) == pytest.approx(tuple(interval))
    assert row.unit == "animal"
    density = found.units["spines_per_um"]
    np.testing.assert_allclose(density, 60 / 40)
    assert set(found.conditions["measure"]) == set(MEASURES)
    assert any("n counts animals (8), not spines (480)" in note for note in found.notes)


def test_paired_animals_are_compared_with_themselves() -> None:
    rng = np.random.default_rng(1)
    files, spines = experiment(rng, effect_nm=20, same_animals=True)
    paired = row_of(compare_conditions(files, spines, paired=True).comparisons)
    means = spines.groupby(["condition", "animal"])["length_nm"].mean()
    assert paired.p_value == pytest.approx(stats.ttest_rel(means["b"], means["a"]).pvalue)
    unpaired = compare_conditions(files, spines)
    assert any("paired = true" in note for note in unpaired.notes)
    assert row_of(unpaired.comparisons).p_value != paired.p_value


def test_no_effect_is_found_as_often_as_it_should_be() -> None:
    """With animals that differ, spines as observations cry wolf; animals do not."""
    rng = np.random.default_rng(2)
    by_animal, by_spine, runs = 0, 0, 40
    for _ in range(runs):
        files, spines = experiment(rng, animal_sd_nm=100, n=20)
        by_animal += row_of(compare_conditions(files, spines).comparisons).p_value < 0.05
        groups = [group["length_nm"] for _, group in spines.groupby("condition")]
        by_spine += stats.ttest_ind(*groups).pvalue < 0.05
    assert by_animal <= stats.binom.ppf(0.999, runs, 0.05)
    assert by_spine > runs / 3


def test_intraclass_correlation_finds_what_was_planted() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(300), 10)
    values = rng.normal(0, 30, 300)[labels] + rng.normal(0, 60, 3000)
    assert intraclass_correlation(values, labels.tolist()) == pytest.approx(0.2, abs=0.03)
    assert np.isnan(intraclass_correlation(np.array([1.0, 2.0]), ["a", "b"]))
    assert np.isnan(intraclass_correlation(np.array([1.0, 2.0]), ["a", "a"]))


def test_holm_against_its_definition() -> None:
    rng = np.random.default_rng(4)
    p = rng.random(9) ** 3
    order = np.argsort(p)
    expected = np.empty(9)
    for rank, index in enumerate(order):
        expected[index] = min(1, max((9 - i) * p[order[i]] for i in range(rank + 1)))
    np.testing.assert_allclose(holm(p), expected)


def test_without_animals_files_are_the_observations_and_a_note_says_so() -> None:
    files, spines = experiment(np.random.default_rng(5))
    files["animal"] = spines["animal"] = ""
    found = compare_conditions(files, spines)
    assert found.unit == "file"
    assert row_of(found.comparisons).n_a == 8
    assert any("each file counts as one" in note for note in found.notes)
    some = files.assign(animal=["m1", *[""] * (len(files) - 1)])
    notes = compare_conditions(some, spines).notes
    assert any("15 of 16 files name no animal" in note for note in notes)


def test_one_animal_each_or_nothing_at_all_gives_no_p_value() -> None:
    files, spines = experiment(np.random.default_rng(6), animals=1)
    found = compare_conditions(files, spines)
    assert found.comparisons["p_value"].isna().all()
    assert any("next to no power" in note for note in found.notes)
    nothing = compare_conditions(files.iloc[:0], spines.iloc[:0])
    assert len(nothing.units) == len(nothing.comparisons) == 0


def test_a_mixed_model_agrees_with_averages_where_every_animal_has_as_many_spines() -> None:
    pytest.importorskip("statsmodels", reason="statsmodels is optional and not installed")
    files, spines = experiment(np.random.default_rng(7), effect_nm=150, animal_sd_nm=60, animals=8)
    row = row_of(compare_conditions(files, spines).comparisons)
    # Balanced data: the same effect over the same error; normal in place of Student's t.
    expected = 2 * stats.norm.sf(abs(row.t))
    assert row.p_mixed_model == pytest.approx(expected, rel=0.2)
