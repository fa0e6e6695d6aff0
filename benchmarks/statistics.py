"""Pair counting and Ripley's K: CPU time and memory, beside scipy, Corrfunc and locan.

Points lie at random in the unit square or cube; 50 radii, equally spaced up to the one within which
a point has `--neighbours` others. Every run has a process of its own, imports and compilers are
done before the clock starts, the lowest of several repeats counts, and the counts of all are
compared. Corrfunc counts a half-open bin [r_k, r_k+1) where scipy and nanospine count d <= r: at
random the same::

    python benchmarks/statistics.py pairs --corrfunc-python /path/to/python \\
        --locan-python /path/to/python --points 100000 1000000
    python benchmarks/statistics.py threads     (wall time: needs both cores for itself)
    python benchmarks/statistics.py memory
    python benchmarks/statistics.py windows
    python benchmarks/statistics.py all         (these four, with the options of all)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HARNESS = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
points, radii, repeats = np.load(sys.argv[1]), np.load(sys.argv[2]), int(sys.argv[3])
dimension = points.shape[1]
{setup}
work(points[:200], radii)
before, cpu, wall = peak(), [], []
for _ in range(repeats):
    c, w = time.process_time(), time.perf_counter()
    found = work(points, radii)
    cpu.append(time.process_time() - c); wall.append(time.perf_counter() - w)
print(json.dumps({{"cpu_s": min(cpu), "wall_s": min(wall), "peak_mb": peak() - before,
                   "values": np.asarray(found, dtype=float).tolist(), "version": version}}))
"""
NANOSPINE = """
import nanospine
version = nanospine.__version__
from nanospine.statistics.pairs import box_translation_sums, pair_counts
from nanospine import Box, ripley_k
unit = Box(np.zeros(dimension), np.ones(dimension))
"""
SETUPS = {
    "count": NANOSPINE + "work = lambda p, r: pair_counts(p, r, threads=1)",
    "count, 2 threads": NANOSPINE + "work = lambda p, r: pair_counts(p, r, threads=2)",
    # What the wall would be with both cores free: CPU time of the calling thread outside of the
    # parallel sections, and in each of them half of all parts (or the longest part).
    "count, way through": NANOSPINE
    + """
from nanospine.statistics import cells, pairs
inside, section = [0.0], [0.0]
plain = cells.in_threads
def in_threads(work, count, threads):
    used = []
    def timed(k):
        begin = time.thread_time()
        result = work(k)
        used.append(time.thread_time() - begin)
        return result
    begin = time.thread_time()
    found = plain(timed, count, threads)
    inside[0] += time.thread_time() - begin
    section[0] += max(sum(used) / 2, max(used))
    return found
cells.in_threads = pairs.in_threads = in_threads
ways = []
def work(p, r):
    inside[0] = section[0] = 0.0
    begin = time.thread_time()
    found = pair_counts(p, r, threads=2)
    ways.append(time.thread_time() - begin - inside[0] + section[0])
    return [min(ways[1:] or ways)]
""",
    "K none": NANOSPINE
    + "work = lambda p, r: ripley_k(p, r, region=unit, correction='none', threads=1).values",
    "K translation": NANOSPINE
    + "work = lambda p, r: ripley_k(p, r, region=unit, threads=1).values",
    "K isotropic": NANOSPINE
    + "work = lambda p, r: ripley_k(p, r, region=unit, correction='isotropic', threads=1).values",
    # In turn and in one process: processes differ by some 10 % in where their memory lies.
    "in turn": NANOSPINE
    + """
turns = {
    "count": lambda p, r: pair_counts(p, r, threads=1),
    "sums": lambda p, r: box_translation_sums(p, r, np.ones(dimension), threads=1),
    "K none": lambda p, r: ripley_k(p, r, region=unit, correction="none", threads=1),
    "K translation": lambda p, r: ripley_k(p, r, region=unit, threads=1),
}
def work(p, r):
    used = {name: [] for name in turns}
    for _ in range(21 if len(p) < 500_000 else 7):
        for name, turn in turns.items():
            begin = time.process_time()
            turn(p, r)
            used[name].append(time.process_time() - begin)
    return [np.median(times) for times in used.values()]
""",
    "scipy count_neighbors": """
import scipy
from scipy.spatial import cKDTree
version = scipy.__version__
def work(p, r):
    tree = cKDTree(p)
    return tree.count_neighbors(tree, r) - len(p)
""",
    "Corrfunc DD": """
import Corrfunc
from Corrfunc.theory import DD
version = Corrfunc.__version__
def work(p, r):
    edges = np.concatenate([[r[0] * 1e-6], r])
    z = p[:, 2] if dimension == 3 else np.zeros(len(p))
    x, y, z = (np.ascontiguousarray(c) for c in (p[:, 0], p[:, 1], z))
    found = DD(1, 1, edges, x, y, z, periodic=False, isa="fastest")
    return np.cumsum(found["npairs"].astype(np.int64))
""",
    "locan RipleysK": """
import locan, pandas as pd
version = locan.__version__
def work(p, r):
    names = [f"position_{c}" for c in "xyz"[:dimension]]
    data = locan.LocData.from_dataframe(pd.DataFrame(p, columns=names))
    found = locan.RipleysKFunction(radii=r, region_measure=1.0).compute(data)
    return found.results.iloc[:, 0].to_numpy() * len(p) * (len(p) - 1)
""",
}


def run(python: str, setup: str, points: np.ndarray, radii: np.ndarray, repeats: int) -> dict:
    """Run one contender in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("points.npy", "radii.npy")]
        np.save(files[0], points)
        np.save(files[1], radii)
        done = subprocess.run(
            [python, "-c", HARNESS.format(setup=setup), *files, str(repeats)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{python}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def radii_for(n: float, dimension: int, neighbours: float) -> np.ndarray:
    """50 radii up to the one that holds so many neighbours, for n points in a unit volume."""
    unit = np.pi if dimension == 2 else 4 / 3 * np.pi
    largest = (neighbours / (n * unit)) ** (1 / dimension)
    return np.linspace(largest / 50, largest, 50)


def pairs(args: argparse.Namespace) -> None:
    """Counting and K, against the peers."""
    generator = np.random.default_rng(1)
    for dimension in (2, 3):
        for n in args.points:
            points = generator.random((n, dimension))
            radii = radii_for(n, dimension, args.neighbours)
            names = ["count", "K none", "K translation", "K isotropic", "scipy count_neighbors"]
            pythons = dict.fromkeys(names, sys.executable)
            if args.corrfunc_python:
                pythons["Corrfunc DD"] = args.corrfunc_python
            if args.locan_python and n <= 100_000 and dimension == 3:
                pythons["locan RipleysK"] = args.locan_python
            used = run(sys.executable, SETUPS["in turn"], points, radii, 1)["values"]
            of_count = ", ".join(
                f"{name} {value / used[0]:.2f}"
                for name, value in zip(("sums", "K none", "K translation"), used[1:], strict=True)
            )
            print(f"{dimension}-D n={n:>8} in turn, of the count: {of_count}", flush=True)
            ours = None
            for name, python in pythons.items():
                slow = name.startswith(("scipy", "locan")) or name == "K isotropic"
                repeats = 1 if slow and (n > 100_000 or name.startswith("locan")) else args.repeats
                found = run(python, SETUPS[name], points, radii, repeats)
                values = np.array(found["values"])
                ours = found if ours is None else ours
                same = ""
                if name.startswith(("scipy", "Corrfunc")):
                    same = f"counts equal: {bool((values == ours['values']).all())}"
                elif name.startswith("locan"):
                    same = f"counts: largest ratio {np.max(values / ours['values']):.6f}"
                print(
                    f"{dimension}-D n={n:>8} {name:<22} {found['version']:<10} cpu "
                    f"{found['cpu_s']:8.4f} s  x{found['cpu_s'] / ours['cpu_s']:8.2f}  "
                    f"+{found['peak_mb']:6.0f} MB  {same}",
                    flush=True,
                )


def threads(args: argparse.Namespace) -> None:
    """One thread and two."""
    generator = np.random.default_rng(1)
    for dimension in (2, 3):
        points = generator.random((max(args.points), dimension))
        radii = radii_for(len(points), dimension, args.neighbours)
        one = run(sys.executable, SETUPS["count"], points, radii, args.repeats)
        two = run(sys.executable, SETUPS["count, 2 threads"], points, radii, args.repeats)
        way = run(sys.executable, SETUPS["count, way through"], points, radii, args.repeats)
        print(
            f"{dimension}-D n={len(points)}: way through two threads {way['values'][0]:.3f} s CPU "
            f"({one['cpu_s'] / way['values'][0]:.2f} x); wall {one['wall_s']:.3f} s with one, "
            f"{two['wall_s']:.3f} s with two ({one['wall_s'] / two['wall_s']:.2f} x); "
            f"cpu {one['cpu_s']:.3f} and {two['cpu_s']:.3f} s; "
            f"same: {one['values'] == two['values']}"
        )


def memory(_: argparse.Namespace) -> None:
    """Ten times the pairs, the same memory."""
    points = np.random.default_rng(1).random((100_000, 3))
    for neighbours in (100, 1000):
        radii = radii_for(len(points), 3, neighbours)
        for name in ("count", "K translation"):
            found = run(sys.executable, SETUPS[name], points, radii, 1)
            number = 100_000 * neighbours
            print(f"{name}, {number:.0e} pairs: +{found['peak_mb']:.1f} MB, {found['cpu_s']:.3f} s")


def windows(args: argparse.Namespace) -> None:
    """K in a dendrite mesh of about 5,000 faces, a mask and a polygon, against the box."""
    import time

    import nanospine as ns
    from nanospine.statistics import windows as module

    shape = ns.simulate.dendrite(4000, n_spines=4, voxel_nm=86, seed=3)
    mesh = ns.MeshRegion(shape.mesh)
    side = mesh.size ** (1 / 3)
    box = ns.Box((0, 0, 0), (side, side, side))
    low, high = mesh.bounds_nm
    grid = np.stack(np.meshgrid(*[np.arange(a, b, 40.0) for a, b in zip(low, high, strict=True)],
                                indexing="ij"), axis=-1)  # fmt: skip
    inside = mesh.contains(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    mask = ns.Mask(inside.transpose(2, 1, 0), (40.0,) * 3, low[::-1])
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    ring = side / np.sqrt(np.pi) * (1 + 0.2 * np.sin(5 * angle))
    polygon = ns.Polygon(np.stack([ring * np.cos(angle), ring * np.sin(angle)], axis=1))
    square = ns.Box((0, 0), (np.sqrt(polygon.size),) * 2)
    base = {}
    cases = [("box", box), ("mesh", mesh), ("mask", mask), ("square", square), ("polygon", polygon)]
    for name, region in cases:
        points = region.sample_nm(100_000, 1)
        density = len(points) / region.size
        radii = radii_for(density, region.dimension, args.neighbours)
        for correction in ("translation", "rigid", "isotropic", "border"):
            if correction == "isotropic" and name in ("mesh", "mask") and not args.isotropic:
                continue
            cpu = []
            for _ in range(args.repeats if correction != "isotropic" else 1):
                module._KNOWN.clear()
                begin = time.process_time()
                k = ns.ripley_k(points, radii, region=region, correction=correction, threads=1)
                cpu.append(time.process_time() - begin)
            begin = time.process_time()
            ns.ripley_k(points, radii, region=region, correction=correction, threads=1)
            again = time.process_time() - begin
            key = (region.dimension, correction)
            base.setdefault(key, min(cpu))
            faces = f" {len(shape.mesh.faces)} faces" if name == "mesh" else ""
            error = np.abs(k.values / k.theory - 1)[25:].max()
            print(
                f"{name}{faces}, {correction}: {min(cpu):.3f} s CPU, once more {again:.3f} s; "
                f"x{min(cpu) / base[key]:.1f} of the box, K / theory - 1 at most {error:.4f}",
                flush=True,
            )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["all", "pairs", "threads", "memory", "windows"])
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--neighbours", type=float, default=100.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--corrfunc-python")
    parser.add_argument("--locan-python")
    parser.add_argument("--isotropic", action="store_true", help="isotropic in mesh and mask too")
    args = parser.parse_args()
    parts = {"pairs": pairs, "threads": threads, "memory": memory, "windows": windows}
    for name in parts if args.what == "all" else [args.what]:
        parts[name](args)


if __name__ == "__main__":
    main()
