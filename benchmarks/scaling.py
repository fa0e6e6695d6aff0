"""What each stage costs from 10,000 to millions of localizations, with fitted exponents.

Dendrites with two spines each (250 localizations per um2 of membrane, some 9,000 each) stand beside
each other until the number is reached: a larger field, not a denser one. Each stage runs in a
process of its own, numba compiles before the clock starts, CPU time is reported. The exponent b of
cost = a n^b is the slope through the points in log-log::

    python benchmarks/scaling.py --points 10000 30000 100000 300000 1000000 --figure scaling.png
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PREPARE = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import nanospine as ns
from pathlib import Path
place = Path(sys.argv[1])
n = int(sys.argv[2])
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
def make(n):
    one = np.load(place / "dendrite.npy")
    copies = -(-n // len(one))
    side = int(np.ceil(np.sqrt(copies)))
    span = np.ptp(one, axis=0) + 1000.0
    at = np.arange(copies)
    shift = np.column_stack([at % side * span[0], at // side * span[1], 0.0 * at])
    xyz = (one[None] + shift[:, None]).reshape(-1, 3)[:n]
    rng = np.random.default_rng(0)
    return ns.from_arrays(xyz, frame=rng.integers(0, 20_000, n), precision_nm=[8.0, 8.0, 16.0],
                          photons=rng.uniform(500, 3000, n),
                          channel=np.array(["a", "b"])[rng.integers(0, 2, n)])
"""
# Stage -> what is prepared, what is timed.
STAGES = {
    "read csv": (
        "def before(locs):\n    path = place / f'{len(locs)}.csv'\n    ns.write(locs, path)\n"
        "    return path",
        "ns.read(given)",
    ),
    "read parquet": (
        "def before(locs):\n    path = place / f'{len(locs)}.parquet'\n    ns.write(locs, path)\n"
        "    return path",
        "ns.read(given)",
    ),
    "filter": ("before = lambda locs: locs", "ns.keep_where(given, 'photons > 800')"),
    "density filter": (
        "before = lambda locs: locs",
        "ns.drop_sparse(given, 50.0, min_neighbours=3)",
    ),
    "link": (
        "before = lambda locs: locs",
        "ns.link_localizations(given, 30.0, dark_frames=2)",
    ),
    "cluster": (
        "before = lambda locs: locs",
        "ns.cluster(given, radius_nm=40, min_points=8)",
    ),
    "delaunay": ("before = lambda locs: locs.xyz_nm", "ns.delaunay(given)"),
    "ripley K": (
        "before = lambda locs: locs",
        "ns.ripley_k(given, np.arange(10, 201, 10.0), threads=1)",
    ),
    "envelope": (
        "before = lambda locs: locs",
        "ns.envelope(given, alpha_nm=120.0, fit=False)",
    ),
    "envelope, fitted": ("before = lambda locs: locs", "ns.envelope(given, alpha_nm=120.0)"),
    "spines": (
        "before = lambda locs: (ns.envelope(locs, alpha_nm=120.0, fit=False), locs)",
        "ns.find_spines(*given)",
    ),
    "voxels": (
        "before = lambda locs: locs",
        "ns.voxelize(given, 50.0, mode='count')",
    ),
}
RUN = """
def work(given): return {call}
work(before(make(9000)))
given = before(make(n))
start = time.process_time()
work(given)
print(json.dumps({{"cpu_s": time.process_time() - start, "peak_mb": peak()}}))
"""


def main() -> None:
    """Print a row for each stage, its exponent last."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--limit-s", type=float, default=600.0, help="wall time of one run")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[int, float, float]]] = {}
    print(f"{'stage':18}" + "".join(f"{n:>12,}" for n in arguments.points) + "  exponent   peak MB")
    with tempfile.TemporaryDirectory() as name:
        make_dendrite(Path(name))
        for stage in STAGES:
            if arguments.only and not any(part in stage for part in arguments.only):
                continue
            rows = found.setdefault(stage, [])
            print(f"{stage:18}", end="", flush=True)
            for n in arguments.points:
                cost = measure(stage, n, Path(name), arguments.limit_s)
                if isinstance(cost, str):
                    print(f"{cost:>12}", end="", flush=True)
                    break
                rows.append((n, *cost))
                print(f"{cost[0]:10.2f} s", end="", flush=True)
            peak = f"{rows[-1][2]:10.0f}" if rows else ""
            print(f"{exponent(rows):10.2f}{peak}", flush=True)
    if arguments.figure:
        draw(found, arguments.figure)


def make_dendrite(place: Path) -> None:
    import nanospine as ns

    shape = ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)
    locs = ns.simulate.localize(shape, density_per_um2=250, seed=2, background_fraction=0)
    np.save(place / "dendrite.npy", locs.xyz_nm)


def measure(stage: str, n: int, place: Path, limit_s: float) -> tuple[float, float] | str:
    before, call = STAGES[stage]
    code = PREPARE + before + RUN.format(call=call)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(place), str(n)],
            capture_output=True, text=True, check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "too long"
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1][:150], file=sys.stderr)
        return "failed"
    figures = json.loads(done.stdout.splitlines()[-1])
    return figures["cpu_s"], figures["peak_mb"]


def exponent(rows: list[tuple[int, float, float]]) -> float:
    """Slope of log cost on log n; runs shorter than 20 ms are noise and do not count."""
    known = [(n, cpu) for n, cpu, _ in rows if cpu >= 0.02]
    if len(known) < 2:
        return float("nan")
    n, cpu = np.log(np.array(known)).T
    return float(np.polyfit(n, cpu, 1)[0])


def draw(found: dict[str, list[tuple[int, float, float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axis = figure.subplots()
    for stage, rows in found.items():
        if rows:
            n, cpu, _ = zip(*rows, strict=True)
            axis.loglog(n, cpu, marker="o", label=f"{stage}: {exponent(rows):.2f}")
    axis.set_xlabel("localizations")
    axis.set_ylabel("CPU seconds")
    axis.legend(fontsize=7, title="exponent")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
