"""CPU time and peak memory of DBSCAN against scikit-learn and Picasso; of Voronoi and HDBSCAN.

Half of the points lie in Gaussian clusters of standard deviation 10 nm, half are background, as
many to the area whatever the number. In the dense set clusters have 2000 points instead of 50.
Each run has a process of its own; the peak is what the call adds to the memory before it. Numba's
compilation is done before the clock starts (`--cold` leaves it in)::

    python benchmarks/clustering.py --points 100000 1000000 5000000 \\
        --picasso-python /path/to/picasso/bin/python

From `--own-only` points on (default 5 million) only nanospine runs. `agree` is the share of the
points that are in the same cluster as with nanospine's DBSCAN: border points differ, because
scikit-learn gives them to the first cluster and nanospine to the nearest core point.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

RADIUS, LEAST = 20.0, 10

HARNESS = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
xyz = np.load(sys.argv[1])
cold = sys.argv[3] == "cold"
{setup}
if not cold:
    work(prepare(xyz[:3000]))
data = prepare(xyz)
before = peak()
begin = time.process_time()
labels = work(data)
cpu = time.process_time() - begin
np.save(sys.argv[2], labels)
print(json.dumps({{"cpu_s": cpu, "peak_mb": peak() - before}}))
"""

OWN = """
import nanospine as ns
from nanospine.points.clustering import cluster
def prepare(xyz): return ns.from_arrays(xyz)
def work(locs): return cluster(locs, {arguments}).labels
"""
SETUPS = {
    "nanospine dbscan labels": """
from nanospine.points.grid_dbscan import dbscan_labels
def prepare(xyz): return xyz
def work(xyz): return dbscan_labels(xyz, RADIUS, LEAST)
""",
    "nanospine dbscan + table": OWN.format(arguments="radius_nm=RADIUS, min_points=LEAST"),
    "scikit-learn DBSCAN": """
from sklearn.cluster import DBSCAN
def prepare(xyz): return xyz
def work(xyz): return DBSCAN(eps=RADIUS, min_samples=LEAST).fit(xyz).labels_
""",
    "Picasso dbscan": """
import pandas as pd
from picasso import clusterer
def prepare(xyz):
    # in camera pixels of 100 nm, z in nm; the columns that it needs for its result
    table = pd.DataFrame(dict(zip("xy", xyz[:, :2].T / 100)))
    if xyz.shape[1] == 3: table["z"] = xyz[:, 2]
    return table.assign(row=np.arange(len(xyz)), frame=0)
def work(table):
    found, _ = clusterer.dbscan(table, RADIUS / 100, LEAST, min_locs=0, pixelsize=100)
    labels = np.full(len(table), -1)
    labels[found["row"]] = found["group"]
    return labels
""",
    "nanospine voronoi": OWN.format(arguments="method='voronoi', min_points=LEAST"),
    "nanospine hdbscan": OWN.format(arguments="method='hdbscan', min_points=LEAST"),
}


def points(n: int, dimension: int, per_cluster: int) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(0)
    side = 40_000 * np.sqrt(n / 1e6)
    size = np.array([side, side, 1000.0])[:dimension]
    k = max(n // 2 // per_cluster, 1)
    centres = rng.uniform(0, 1, (k, dimension)) * size
    spots = centres[rng.integers(0, k, n // 2)] + rng.normal(0, 10, (n // 2, dimension))
    xyz = np.concatenate([spots, rng.uniform(0, 1, (n - n // 2, dimension)) * size])
    return xyz[rng.permutation(n)]


def measure(
    python: str, setup: str, data: Path, labels: Path, cold: bool
) -> dict[str, float] | str:
    constants = f"RADIUS, LEAST = {RADIUS}, {LEAST}\n"
    code = HARNESS.format(setup=constants + setup)
    command = [python, "-c", code, str(data), str(labels), "cold" if cold else "warm"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or [f"killed ({done.returncode})"])[-1][:90]
    return json.loads(done.stdout.strip().splitlines()[-1])


def agreement(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> float:
    """Share of the points in the pairs of clusters that belong together most."""
    pair = (a + 1) * (b.max() + 2) + b + 1
    value, count = np.unique(pair, return_counts=True)
    first = value // (b.max() + 2)
    best = np.zeros(first.max() + 1, dtype=np.int64)
    np.maximum.at(best, first, count)
    return float(best.sum() / len(a))


def compare(
    n: int, dimension: int, per_cluster: int, arguments: argparse.Namespace, folder: Path
) -> None:
    data = folder / "points.npy"
    np.save(data, points(n, dimension, per_cluster))
    print(f"\n{n} points, {dimension}-D, {per_cluster} to a cluster, {RADIUS:g} nm, {LEAST} points")
    print(
        f"{'':<26}{'CPU s':>9}{'peak MB':>9}{'x CPU':>8}{'x peak':>8}{'clusters':>10}{'agree':>10}"
    )
    first: dict[str, float] | None = None
    reference = None
    for name, setup in SETUPS.items():
        own = name.startswith("nanospine")
        if not own and n >= arguments.own_only:
            continue
        if name.endswith("hdbscan") and n > 100_000:
            continue
        if name.startswith("Picasso") and not arguments.picasso_python:
            print(f"{name:<26}skipped: give --picasso-python")
            continue
        python = arguments.picasso_python if name.startswith("Picasso") else sys.executable
        path = folder / "labels.npy"
        found = measure(python, setup, data, path, arguments.cold)
        if isinstance(found, str):
            print(f"{name:<26}failed: {found}")
            continue
        labels = np.load(path).astype(np.int64)
        first = first or found
        reference = labels if reference is None else reference
        print(
            f"{name:<26}{found['cpu_s']:>9.2f}{found['peak_mb']:>9.0f}"
            f"{found['cpu_s'] / first['cpu_s']:>8.1f}"
            f"{found['peak_mb'] / max(first['peak_mb'], 1):>8.1f}{labels.max() + 1:>10}"
            f"{agreement(reference, labels):>10.5f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--picasso-python", default="")
    parser.add_argument("--own-only", type=int, default=5_000_000)
    parser.add_argument("--dense", type=int, default=100_000, help="points of the dense set; 0: no")
    parser.add_argument("--cold", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for n in arguments.points:
            for dimension in arguments.dimensions:
                compare(n, dimension, 50, arguments, Path(folder))
        if arguments.dense:
            compare(arguments.dense, 2, 2000, arguments, Path(folder))


if __name__ == "__main__":
    main()
