from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from nanospine.spines.neck import measure_neck
from nanospine.spines.radius_table import radius_table
from nanospine.spines.ring import likelihood_terms
from nanospine.spines.stretch_fits import draw_profiles, fit_stretches
from nanospine.spines.tube import TubePoints, fit_tube, recentred_tube

FIRST, STEP, KNOTS = 3.0, 0.05, 40


def parabolas(middle, error):
    """Table of pieces whose log-likelihood is a parabola in log R."""
    t = FIRST + STEP * np.arange(KNOTS)[None] - np.asarray(middle)[:, None]
    value = -0.5 * (t / error) ** 2
    slope, bend = -t / error**2, np.full_like(t, -0.5 / error**2)
    return np.ascontiguousarray(np.stack([value, slope, bend, 0 * t], axis=-1))


def fitted(cubic, free, stretch, precision, expected=4.0):
    precision = np.atleast_2d(precision)
    sizes = np.array([np.count_nonzero(row) for row in precision])
    mean = np.zeros_like(precision, dtype=float)
    mean[:, 0] = expected
    return fit_stretches(cubic, FIRST, STEP, free, mean, np.array([stretch]), precision, sizes)


def test_evidence_is_the_likelihood_integrated_over_the_radius_and_the_rest_left_free():
    cubic = parabolas([4.0, 4.1, 3.9, 4.2, 5.0], 0.1)
    free = np.array([-1.0, -1.0, -1.0, -1.0, -2.0])
    evidence, theta, _ = fitted(cubic, free, (0, 4), [1.0])
    r = np.linspace(3.0, 5.0, 20001)
    log = sum(-0.5 * ((r - m) / 0.1) ** 2 for m in (4.0, 4.1, 3.9, 4.2)) - 0.5 * (r - 4.0) ** 2
    whole = np.log(np.sum(np.exp(log)) * (r[1] - r[0]) / np.sqrt(2 * np.pi)) - 2.0
    assert evidence[0, 0] == pytest.approx(whole, abs=1e-6)
    assert theta[0, 0, 0] == pytest.approx(r[log.argmax()], abs=1e-4)


def test_the_likelier_of_two_shapes_has_the_greater_evidence():
    x = np.linspace(-0.9, 0.9, 10)
    precision = np.array([[1.0, 0.0, 0.0], [1.0, 1 / 0.15**2, 0.0], [1.0, 100.0, 1 / 0.12**2]])
    for course, best in ((0 * x, 0), (0.1 * x, 1), (0.15 * (1.5 * x**2 - 0.5), 2)):
        evidence = fitted(parabolas(4.0 + course, 0.05), np.zeros(10), (0, 10), precision)[0]
        assert evidence[0].argmax() == best


def test_draws_have_the_mean_and_the_error_of_the_likelihood():
    cubic = parabolas(np.full(25, 4.0), 0.1)
    _, theta, root = fitted(cubic, np.zeros(25), (0, 25), [1e-6])
    n = 4000
    one = np.ones((n, 1))
    log_radius, log_weight = draw_profiles(
        cubic, FIRST, STEP, 4.0 * one, np.full(n, 5), np.full(n, 25), np.ones(n, int), 1e-6 * one,
        theta[0, 0] * one, root[0, 0] * one[:, :, None],
        np.random.default_rng(0).normal(size=(n, 1)),
    )  # fmt: skip
    assert np.isnan(log_radius[:, :5]).all()
    assert log_radius[:, 5:].mean() == pytest.approx(4.0, abs=1e-3)
    # Drawn for 25 pieces but weighed by the 20 of the stretch: the error is that of 20
    weight = np.exp(log_weight - log_weight.max())
    spread = np.sqrt(np.average((log_radius[:, 5] - 4.0) ** 2, weights=weight))
    assert spread == pytest.approx(0.1 / np.sqrt(20), rel=0.06)


def fitted_tube(filled=False, told=8.0):
    rng = np.random.default_rng(0)
    n = 200
    angle, rho = rng.uniform(0, 2 * np.pi, n), 50 * (np.sqrt(rng.random(n)) if filled else 1)
    uv = np.stack([rho * np.cos(angle), rho * np.sin(angle)], 1) + rng.normal(size=(n, 2)) * 8
    error = np.tile([told**2, 0.0, told**2], (n, 1))
    points = TubePoints(rng.uniform(0, 300, n), uv, error, np.full(n, 64.0), np.ones(n))
    start, reach = np.full(n, 50.0), np.full(n, 150.0)
    return fit_tube(points, 0.0, 300.0, start, np.zeros((n, 2)), reach, filled=filled)


@pytest.mark.parametrize("filled", [False, True])
def test_the_table_is_the_likelihood_between_its_knots_too(filled):
    tube = fitted_tube(filled)
    points, table = tube.points, radius_table(tube, 0.0, 150.0)
    for log_radius in np.log([41.3, 50.9, 62.2]):
        i = int((log_radius - table.first) / table.step)
        t = log_radius - table.first - i * table.step
        found = table.excess * (table.cubic[:, i] @ t ** np.arange(4)).sum()
        direct = likelihood_terms(
            points.uv, points.covariance, tube.centre_nm(points.position),
            np.full(len(points), np.exp(log_radius)), tube.share, tube.flat, filled,
        )[0].sum()  # fmt: skip
        assert found == pytest.approx(direct, abs=0.1)


def test_a_precision_that_is_too_good_makes_the_likelihood_flatter():
    assert radius_table(fitted_tube(), 0.0, 150.0).excess < 1.2
    assert radius_table(fitted_tube(told=5.0), 0.0, 150.0).excess > 1.5


def shaped(course, seed, n=200, sigma=(8.0, 8.0, 16.0)):
    """Membrane neck with an open end like a foot and one like a head, radius 50 nm * course."""
    rng = np.random.default_rng([17, seed])
    s = rng.uniform(0, 700, 12 * n)
    x = np.clip((s - 100) / 250 - 1, -1, 1)
    radius = 50 * course(x)
    radius += np.where(s < 100, (100 - s) ** 2 / 120, 0) + np.clip(s - 600, 0, 30) * 4
    kept = rng.random(len(s)) < radius / (12 * 50)
    s, radius = s[kept], radius[kept]
    angle = rng.uniform(0, 2 * np.pi, len(s))
    xyz = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), s])
    xyz += rng.normal(size=xyz.shape) * sigma
    return measure_neck(
        xyz, [[0, 0, 0], [0, 0, 700]], precision_nm=sigma, molecule=np.arange(len(xyz))
    ).constriction


EVEN, CONE, WAIST = (
    (lambda x: 1 + 0 * x),
    (lambda x: 1 + 0.1 * (x + 1)),
    (lambda x: 1 + 0.25 * x**2),
)


@pytest.mark.parametrize("course", [EVEN, CONE, WAIST])
def test_intervals_of_even_conical_and_waisted_necks_hold_the_constriction(course):
    n = 10
    found = [shaped(course, seed) for seed in range(n)]
    hits = sum(item.low_nm <= 100 <= item.high_nm for item in found)
    assert hits >= binom.ppf(0.001, n, 0.92)
    if course is EVEN:
        # The whole neck is used, not the piece that looks narrowest
        assert np.mean([item.n_molecules for item in found]) > 0.8 * 200 * 500 / 700
        assert np.mean([item.diameter_nm for item in found]) == pytest.approx(100, abs=1.5)


def test_a_stretch_with_a_gap_in_the_label_has_a_table():
    tube = fitted_tube()
    points = tube.points
    kept = np.abs(points.position - 150) > 60
    start, reach = 50 + 0.15 * np.abs(points.position - 150)[kept], np.full(kept.sum(), 150.0)
    gap = fit_tube(
        points.take(kept), 0.0, 300.0, start, np.zeros((kept.sum(), 2)), reach, filled=False
    )
    dip = gap.coefficients.copy()
    dip[2, 4:6] -= 1.0  # where no molecule is the spline may be anywhere
    table = radius_table(replace(gap, coefficients=dip), 0.0, 150.0)
    assert np.isfinite(table.cubic).all()
    assert table.first > np.log(25)


@pytest.mark.parametrize("end", [0, 300])
def test_the_table_is_about_the_neck_and_not_about_an_end_that_lost_its_molecules(end):
    """Seen from the axis of a far stretch, an end fell to a third of its radius: a neck of 158 nm
    was given as 96.8, with an interval of 2 nm, the upper end of the table."""
    tube = fitted_tube()
    points = tube.points
    kept = (np.abs(points.position - end) > 60) | (np.arange(len(points.position)) % 50 == 0)
    start, reach = np.full(kept.sum(), 50.0), np.full(kept.sum(), 150.0)
    thin = fit_tube(
        points.take(kept), 0.0, 300.0, start, np.zeros((kept.sum(), 2)), reach, filled=False
    )
    dip = thin.coefficients.copy()
    dip[2, slice(0, 4) if end == 0 else slice(-4, None)] -= 1.1
    assert 2.5 * replace(thin, coefficients=dip).radius_nm(np.array([float(end)]))[0] < 50
    table = radius_table(replace(thin, coefficients=dip), 0.0, 150.0)
    last = table.first + table.step * table.cubic.shape[1]
    assert table.first < np.log(50) - 0.2
    assert last > np.log(50) + 0.4


def test_where_there_are_no_molecules_there_is_no_constriction():
    """A neck without label on its first 150 nm: a cone would go on getting narrower there."""
    rng = np.random.default_rng(4)
    s, angle = rng.uniform(150, 600, 250), rng.uniform(0, 2 * np.pi, 250)
    radius = 60 + 0.02 * (s - 150)
    xyz = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), s])
    xyz += rng.normal(size=xyz.shape) * 8
    found = measure_neck(
        xyz, [[0, 0, 0], [0, 0, 600]], precision_nm=8, molecule=np.arange(len(xyz))
    ).constriction
    assert found.position_nm > 100
    assert found.low_nm > 105


@pytest.mark.parametrize("filled", [False, True])
def test_a_centre_that_went_astray_comes_back_when_the_radius_is_told(filled):
    tube = fitted_tube(filled)
    k = tube.coefficients.shape[1]
    astray = tube.coefficients.copy()
    astray[0, k // 2 - 1 : k // 2 + 2] += 25.0
    moved, cost = recentred_tube(
        replace(tube, coefficients=astray), np.full(len(tube.points), 50.0)
    )
    at = np.linspace(20, 280, 14)
    assert np.abs(replace(tube, coefficients=astray).centre_nm(at)).max() > 15
    assert np.abs(moved.centre_nm(at) - tube.centre_nm(at)).max() < 3
    np.testing.assert_array_equal(moved.coefficients[2], tube.coefficients[2])
    stiff = tube.penalty[: 2 * k, : 2 * k]
    before, after = (
        0.5 * c[:2].ravel() @ stiff @ c[:2].ravel() for c in (astray, moved.coefficients)
    )
    assert cost == pytest.approx(after - before)
    again, more = recentred_tube(moved, np.full(len(tube.points), 50.0))
    np.testing.assert_allclose(again.centre_nm(at), moved.centre_nm(at), atol=0.1)
    assert abs(more) < 0.05


def test_few_molecules_do_not_make_an_even_neck_a_cone():
    """The centre goes after the molecules at an end, and the radius with it, unless each shape is
    judged about a centre of its own."""
    errors = []
    for seed in range(16):
        rng = np.random.default_rng([23, seed])
        s, angle = rng.uniform(0, 600, 80), rng.uniform(0, 2 * np.pi, 80)
        xyz = np.column_stack([150 * np.cos(angle), 150 * np.sin(angle), s])
        xyz += rng.normal(size=xyz.shape) * [10, 10, 20]
        found = measure_neck(
            xyz, [[0, 0, 0], [0, 0, 600]], precision_nm=[10, 10, 20], molecule=np.arange(80)
        ).constriction
        if found is not None:
            errors.append(found.diameter_nm - 300)
    assert len(errors) >= 12
    # 20 nm over the root of 80 molecules is the least that is possible.
    assert np.sqrt(np.mean(np.square(errors))) < 5
    assert np.abs(errors).max() < 15


def test_a_blurred_neck_is_not_cut_to_the_piece_that_looks_narrowest():
    used, errors = [], []
    for seed in range(16):
        rng = np.random.default_rng([29, seed])
        s = rng.uniform(0, 700, 6000)
        radius = 20 + np.where(s < 100, (100 - s) ** 2 / 120, 0) + np.clip(s - 600, 0, 60) * 3
        kept = rng.random(len(s)) < radius / 200
        s, radius = s[kept], radius[kept]
        angle = rng.uniform(0, 2 * np.pi, len(s))
        xyz = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), s])
        xyz += rng.normal(size=xyz.shape) * [16, 16, 30]
        found = measure_neck(
            xyz, [[0, 0, 0], [0, 0, 700]], precision_nm=[16, 16, 30], molecule=np.arange(len(xyz))
        ).constriction
        used.append(found.n_molecules / ((s > 100) & (s < 600)).sum())
        errors.append(found.diameter_nm - 40)
    assert np.mean(used) > 0.77
    assert abs(np.mean(errors)) < 2.5
    assert np.sqrt(np.mean(np.square(errors))) < 3.3
