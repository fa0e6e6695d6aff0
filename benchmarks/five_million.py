"""Peak memory and CPU time of every step on 5 million localizations, each in its own process.

Molecules on 3-D structures blink in a field of 60 x 60 um: x, y, z, frame, photons, background,
widths, precisions, two channels, traces and MINFLUX columns, 600 MB as a table::

    python benchmarks/five_million.py [--points 5000000] [--only drift ...]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

MAKE = """
import json, resource, sys, time, warnings
import numpy as np
import nanospine as ns
def make(n, seed=0):
    rng = np.random.default_rng(seed)
    count = n // 15
    centre = rng.uniform(0, 60_000, (n // 2000, 2))
    at = rng.integers(0, len(centre), count)
    place = np.column_stack([centre[at] + rng.normal(0, 150, (count, 2)),
                             rng.uniform(-300, 300, count)])
    place[: count // 3, :2] = rng.uniform(0, 60_000, (count // 3, 2))
    which = np.repeat(rng.integers(0, count, -(-n // 3)), 3)[:n]
    frame = (rng.integers(0, 50_000, -(-n // 3))[:, None] + np.arange(3)).ravel()[:n]
    xyz = place[which] + rng.normal(0, [10, 10, 20], (n, 3))
    channel = np.array(["a", "b"])[which % 2]
    return ns.from_arrays(
        xyz, frame=frame, photons=rng.uniform(500, 3000, n), background_photons=np.full(n, 20.0),
        sigma_x_nm=np.full(n, 130.0), sigma_y_nm=np.full(n, 130.0),
        precision_x_nm=np.full(n, 10.0), precision_y_nm=np.full(n, 10.0),
        precision_z_nm=np.full(n, 20.0), channel=channel, trace=np.arange(n) // 3,
        eco=rng.uniform(50, 200, n), efo_hz=rng.normal(50_000, 5000, n),
        cfr=rng.normal(0.5, 0.1, n),
        dcr=np.where(which % 2 == 0, rng.normal(0.3, 0.05, n), rng.normal(0.6, 0.05, n)),
        time_s=np.arange(n) * 1e-3)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
def work(locs): return {call}
work(make(6000))
locs = make({n})
before = peak()
begin = time.process_time()
result = work(locs)
cpu = time.process_time() - begin
rows = len(result) if hasattr(result, "__len__") else 1
print(json.dumps({{"cpu": cpu, "peak": peak(), "before": before, "rows": rows}}))
"""
CALLS = {
    "keep_range": 'ns.keep_range(locs, "photons", low=1000)',
    "keep_where": 'ns.keep_where(locs, "photons > 1000 and precision_x_nm < 20")',
    "keep_box": "ns.keep_box(locs, [1e4, 1e4, -500], [4e4, 4e4, 500])",
    "keep_polygon": "ns.keep_polygon(locs, [[0, 0], [5e4, 1e4], [3e4, 5e4]])",
    "keep_frames": "ns.keep_frames(locs, 1000, 40000)",
    "keep_density": "ns.keep_density(locs, 50.0, low=5)",
    "drop_sparse": "ns.drop_sparse(locs, 50.0, min_neighbours=3)",
    "drop_outliers": "ns.drop_outliers(locs)",
    "drop_duplicates": "ns.drop_duplicates(locs)",
    "link_localizations": "ns.link_localizations(locs, 40.0, dark_frames=1)",
    "keep_long_traces": "ns.keep_long_traces(locs, 3)",
    "trim_traces": "ns.trim_traces(locs, 1, 1)",
    "aggregate_traces": "ns.aggregate_traces(locs)",
    "aggregate_photons": "ns.aggregate_photons(locs, 200)",
    "add_trace_precision": "ns.add_trace_precision(locs, min_length=3)",
    "add_precision": "ns.add_precision(locs, pixel_size_nm=100, overwrite=True)",
    "nena": "ns.nena(locs)",
    "fourier_correlation": "ns.fourier_correlation(locs, repeats=3)",
    "drift overlap": "ns.estimate_drift(locs)",
    "drift rcc": 'ns.estimate_drift(locs, method="rcc")',
    "correct_drift": 'ns.correct_drift(locs, method="rcc")',
    "assign_dcr": "ns.assign_dcr(locs)",
    "efo_cut": "ns.efo_cut(locs)",
    "cfr_cut": "ns.cfr_cut(locs)",
    "register": 'ns.register(locs.channel("a"), locs.channel("b"))',
    "split_channels": "ns.split_channels(locs)",
    "merge_localizations": "ns.merge_localizations([locs.channel('a'), locs.channel('b')])",
    "cluster dbscan": "ns.cluster(locs, radius_nm=40, min_points=8)",
    "cluster hdbscan": 'ns.cluster(locs, method="hdbscan", min_points=10)',
    "cluster voronoi 2-D": 'ns.cluster(ns.from_arrays(locs.xyz_nm[:, :2]), method="voronoi")',
}


def main() -> None:
    """Print a row for each function."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    print(f"{'function':24}{'CPU s':>8}{'peak GB':>9}{'table GB':>9}{'rows':>10}")
    for name, call in CALLS.items():
        if arguments.only and not any(part in name for part in arguments.only):
            continue
        code = MAKE.format(call=call, n=arguments.points)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"{name:24} failed: {done.stderr.strip().splitlines()[-1][:150]}", flush=True)
            continue
        figures = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name:24}{figures['cpu']:8.1f}{figures['peak']:9.2f}{figures['before']:9.2f}"
            f"{figures['rows']:10}",
            flush=True,
        )


if __name__ == "__main__":
    main()
