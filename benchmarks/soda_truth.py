"""SODA against planted truth: error, coverage, false positives, distances, the published case.

    python benchmarks/soda_truth.py fraction --runs 60
    python benchmarks/soda_truth.py chance --runs 1000
    python benchmarks/soda_truth.py mesh --runs 60
    python benchmarks/soda_truth.py review

Patterns as in the literature: 256 x 256 (x 32) pixels of 40 nm, coupling at |N(2, 0.5)| pixels, 5
rings of a pixel; the first channel uniform, or 10 per cluster with sd 3 pixels. One thread; seconds
are of the processor.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nanospine as ns

PIXEL = 40.0
SIZE = np.array([256.0, 256.0, 32.0]) * PIXEL
RADII = np.arange(1.0, 6.0) * PIXEL


def planted(region, n, fraction, rng, *, clustered=False, mean=2 * PIXEL, std=0.5 * PIXEL):
    """Give both channels and the coupled distances; partners stand inside the region."""
    if clustered:
        centres = region.sample_nm(max(n // 10, 1), rng)
        a = np.zeros((0, region.dimension))
        while len(a) < n:
            trial = centres[rng.integers(len(centres), size=n)]
            trial = trial + rng.normal(0, 3 * PIXEL, trial.shape)
            a = np.concatenate([a, trial[region.contains(trial)]])[:n]
    else:
        a = region.sample_nm(n, rng)
    coupled = round(fraction * n)
    index = rng.permutation(n)[:coupled]
    b, todo = a[index].copy(), np.arange(coupled)
    while len(todo):
        way = rng.normal(size=(len(todo), region.dimension))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        trial = a[index[todo]] + way * np.abs(rng.normal(mean, std, (len(todo), 1)))
        inside = region.contains(trial)
        b[todo[inside]] = trial[inside]
        todo = todo[~inside]
    distance = np.linalg.norm(b - a[index], axis=1)
    return a, np.concatenate([b, region.sample_nm(n - coupled, rng)]), distance


def measure(region, n, fraction, runs, *, clustered=False, radii=RADII, legacy=0, **options):
    """Run often; give a row of what came out."""
    rows, icy, seconds = [], [], 0.0
    for run in range(runs):
        rng = np.random.default_rng([n, round(100 * fraction), clustered, region.dimension, run])
        a, b, distance = planted(region, n, fraction, rng, clustered=clustered)
        start = time.process_time()
        found = ns.soda(a, b, radii, region=region, seed=run, **options)
        seconds += time.process_time() - start
        true_mean = distance.mean() if len(distance) else np.nan
        true_std = distance.std() if len(distance) else np.nan
        rows.append(
            (
                found.coupled_fraction_b - fraction,
                found.coupled_fraction_b_low <= fraction <= found.coupled_fraction_b_high,
                found.p_value <= 0.05,
                found.mean_distance_nm / true_mean - 1,
                found.std_distance_nm / true_std - 1,
            )
        )
        if run < legacy:
            old = ns.soda(a, b, radii, region=region, legacy="icy", pixel_nm=PIXEL)
            icy.append(old.coupled_fraction_b - fraction)
    table = np.array(rows, dtype=float)
    return table, (np.mean(icy) if icy else np.nan), seconds / runs


def show(name, table, icy, seconds):
    error, covered, significant, mean, std = table.T
    print(
        f"{name}: mean error {error.mean():+.3f} (one run {error.std():.3f}), "
        f"covered {covered.mean():.1%}, p <= 0.05 in {significant.mean():.1%}, "
        f"distance {np.nanmean(mean):+.1%} +- {np.nanstd(mean):.1%}, "
        f"its sd {np.nanmean(std):+.1%}, plugin {icy:+.3f}, {seconds:.2f} s"
        if np.isfinite(mean).any()
        else f"{name}: mean error {error.mean():+.3f} (one run {error.std():.3f}), "
        f"covered {covered.mean():.1%}, p <= 0.05 in {significant.mean():.1%}, "
        f"plugin {icy:+.3f}, {seconds:.2f} s",
        flush=True,
    )


def fraction(runs, numbers):
    everything = []
    for dimension in (2, 3):
        region = ns.Box(np.zeros(dimension), SIZE[:dimension])
        for clustered in (False, True):
            for n in numbers:
                for share in (0.0, 0.5, 1.0):
                    table, icy, seconds = measure(
                        region, n, share, runs, clustered=clustered, n_simulations=99, legacy=10
                    )
                    kind = "clustered" if clustered else "uniform"
                    show(f"{dimension}-D {kind} n {n} planted {share:g}", table, icy, seconds)
                    everything.append(table[:, :2])
    found = np.array(everything)
    means = found[:, :, 0].mean(axis=1)
    print(
        f"all: largest |mean error| {np.abs(means).max():.3f}, mean of them "
        f"{np.abs(means).mean():.4f}; covered {found[:, :, 1].mean():.2%} of {found[:, :, 1].size}"
    )


def chance(runs):
    for dimension, clustered, n in (
        (2, False, 100),
        (2, True, 100),
        (2, False, 500),
        (3, True, 200),
    ):
        region = ns.Box(np.zeros(dimension), SIZE[:dimension])
        table, _, seconds = measure(region, n, 0.0, runs, clustered=clustered, n_simulations=199)
        kind = "clustered" if clustered else "uniform"
        show(f"chance {dimension}-D {kind} n {n}", table, np.nan, seconds)


def mesh(runs):
    window = ns.MeshRegion(ns.simulate.dendrite(seed=1).mesh)
    print(f"dendrite of {window.size / 1e9:.2f} um3, {len(window.mesh.faces)} faces")
    for n, clustered in ((100, False), (500, False), (500, True)):
        for share in (0.0, 0.5, 1.0):
            table, _, seconds = measure(
                window, n, share, runs, clustered=clustered, n_simulations=99,
            )  # fmt: skip
            kind = "clustered" if clustered else "uniform"
            show(f"mesh {kind} n {n} planted {share:g}", table, np.nan, seconds)


def review(runs):
    """45,000 clusters on 95 x 95 um, 60 % coupled, rings of 20 nm up to 400 nm."""
    region = ns.Box((0, 0), (95_000, 95_000))
    for name, mean, std in (("synapsin-PSD95", 107.0, 73.0), ("synapsin-Homer", 138.0, 89.0)):
        for run in range(runs):
            rng = np.random.default_rng([45, run])
            a, b, distance = planted(region, 45_000, 0.6, rng, mean=mean, std=std)
            start = time.process_time()
            found = ns.soda(a, b, np.arange(20, 401, 20), region=region, n_simulations=99)
            seconds = time.process_time() - start
            before = found.distance_parameters_nm
            print(
                f"{name} {mean:g} +- {std:g}: true {distance.mean():.1f} +- {distance.std():.1f}, "
                f"found {found.mean_distance_nm:.1f} +- {found.std_distance_nm:.1f} "
                f"({found.distance_model} {before[0]:.1f} +- {before[1]:.1f}), "
                f"fraction {found.coupled_fraction_b:.3f}, {seconds:.1f} s",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("fraction", "chance", "mesh", "review"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--numbers", type=int, nargs="+", default=[100, 500, 2000])
    options = parser.parse_args()
    if options.part == "fraction":
        fraction(options.runs, options.numbers)
    else:
        {"chance": chance, "mesh": mesh, "review": review}[options.part](options.runs)


if __name__ == "__main__":
    main()
