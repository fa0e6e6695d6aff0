"""SODA against planted truth: error, coverage, false positives, distances, the published case.

    python benchmarks/soda_truth.py fraction --runs 60
    python benchmarks/soda_truth.py chance --runs 1000
    python benchmarks/soda_truth.py fraction --windows mesh --numbers 100 2000 --runs 60
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


def measure(
    region, n, fraction, runs, *, first=0, clustered=False, radii=RADII, legacy=0, **options
):
    """Run often; give a row of what came out."""
    rows, icy, seconds = [], [], 0.0
    for run in range(first, first + runs):
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
        if run - first < legacy:
            old = ns.soda(a, b, radii, region=region, legacy="icy", pixel_nm=PIXEL)
            icy.append(old.coupled_fraction_b - fraction)
    table = np.array(rows, dtype=float)
    return table, (np.mean(icy) if icy else np.nan), seconds / runs


def show(name, table, icy, seconds):
    """One line: error and coverage of the fraction, false positives, distance, seconds a run."""
    error, covered, significant, mean, std = table.T
    known = mean[np.isfinite(mean)]
    distance = ""
    if len(known):
        own = known.std() / np.sqrt(len(known))
        distance = (
            f"distance {known.mean():+.2%} (+- {own:.2%}, one run {known.std():.1%}), "
            f"its sd {np.nanmean(std):+.1%}, "
        )
    print(
        f"{name}: mean error {error.mean():+.4f} (+- {error.std() / np.sqrt(len(error)):.4f}, one "
        f"run {error.std():.3f}), covered {covered.mean():.1%} of {len(error)}, p <= 0.05 in "
        f"{significant.mean():.1%}, {distance}plugin {icy:+.3f}, {seconds:.2f} s",
        flush=True,
    )


def windows(names):
    """The windows by name; a dendrite of 5.4 cubic micrometres for "mesh"."""
    for name in names:
        if name == "mesh":
            region = ns.MeshRegion(ns.simulate.dendrite(seed=1).mesh)
            print(f"dendrite of {region.size / 1e9:.2f} um3, {len(region.mesh.faces)} faces")
        else:
            dimension = int(name[0])
            region = ns.Box(np.zeros(dimension), SIZE[:dimension])
        yield name, region


def fraction(options):
    """Planted fractions: errors and coverage."""
    everything = []
    for name, region in windows(options.windows):
        for kind in options.patterns:
            for n in options.numbers:
                for share in options.shares:
                    table, icy, seconds = measure(
                        region, n, share, options.runs, first=options.first,
                        clustered=kind == "clustered",
                        n_simulations=99, legacy=options.legacy if name != "mesh" else 0,
                    )  # fmt: skip
                    show(f"{name} {kind} n {n} planted {share:g}", table, icy, seconds)
                    everything.append(table[:, :2])
    found = np.array(everything)
    means = found[:, :, 0].mean(axis=1)
    print(
        f"all: largest |mean error| {np.abs(means).max():.3f}, mean of them "
        f"{np.abs(means).mean():.4f}; covered {found[:, :, 1].mean():.2%} of {found[:, :, 1].size}"
    )


def chance(options):
    """No coupling: how often p is at most 0.05."""
    for name, region in windows(options.windows):
        for kind in options.patterns:
            for n in options.numbers:
                table, _, seconds = measure(
                    region, n, 0.0, options.runs, first=options.first,
                    clustered=kind == "clustered",
                    n_simulations=199,
                )  # fmt: skip
                show(f"chance {name} {kind} n {n}", table, np.nan, seconds)


def review(options):
    """45,000 clusters on 95 x 95 um, 60 % coupled, rings of 20 nm up to 400 nm."""
    region = ns.Box((0, 0), (95_000, 95_000))
    for name, mean, std in (("synapsin-PSD95", 107.0, 73.0), ("synapsin-Homer", 138.0, 89.0)):
        rows = []
        for run in range(options.first, options.first + options.runs):
            rng = np.random.default_rng([45, run])
            a, b, distance = planted(region, 45_000, 0.6, rng, mean=mean, std=std)
            start = time.process_time()
            found = ns.soda(a, b, np.arange(20, 401, 20), region=region, n_simulations=99)
            seconds = time.process_time() - start
            before = found.distance_parameters_nm
            print(
                f"{name} {mean:g} +- {std:g}: true {distance.mean():.1f} +- {distance.std():.1f}, "
                f"found {found.mean_distance_nm:.1f} +- {found.std_distance_nm:.1f} "
                f"({found.distance_model} {before[0]:.1f} +- {before[1]:.1f}), interval "
                f"{found.mean_distance_nm_low:.1f} to {found.mean_distance_nm_high:.1f}, "
                f"fraction {found.coupled_fraction_b:.3f}, {seconds:.1f} s",
                flush=True,
            )
            off = found.mean_distance_nm - distance.mean()
            half = (found.mean_distance_nm_high - found.mean_distance_nm_low) / 2
            rows.append((off, found.std_distance_nm - distance.std(), half / 1.96, *before))
        off, wide, error, *before = np.array(rows).T
        print(
            f"{name}: mean {off.mean():+.2f} nm off ({off.std():.2f} in one run, it says "
            f"{error.mean():.2f}), sd {wide.mean():+.2f} ({wide.std():.2f}); before folding "
            f"{np.mean(before[0]):.1f} +- {np.mean(before[1]):.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("fraction", "chance", "review"))
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first run: its seed")
    parser.add_argument("--windows", nargs="+", default=["2-D", "3-D", "mesh"])
    parser.add_argument("--patterns", nargs="+", default=["uniform", "clustered"])
    parser.add_argument("--numbers", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.25, 0.5, 0.75, 1.0])
    parser.add_argument("--legacy", type=int, default=0, help="runs of the plugin beside")
    options = parser.parse_args()
    {"fraction": fraction, "chance": chance, "review": review}[options.part](options)


if __name__ == "__main__":
    main()
