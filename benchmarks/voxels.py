"""Speed of ns.voxelize: counts against a bare numba histogram and numpy, Gaussians per second.

CPU seconds, so that other programs on the machine do not change the ratios much; one run. For
Gaussians also the critical path: the CPU time of what is serial and of the slowest thread, which is
the time by the wall where every thread has a core of its own.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numba import njit

import nanospine as ns
from nanospine.voxels import splat

SHAPE = (200, 1000, 1000)


@njit(cache=True, nogil=True)
def bare(z, y, x, low, step, data):
    for i in range(len(z)):
        k = int((z[i] - low[0]) / step[0])
        j = int((y[i] - low[1]) / step[1])
        m = int((x[i] - low[2]) / step[2])
        if 0 <= k < data.shape[0] and 0 <= j < data.shape[1] and 0 <= m < data.shape[2]:
            data[k, j, m] += 1


def critical_path(function, rounds):
    """Smallest CPU time of the serial part and the slowest thread of the splatting together."""
    plain, found = splat.splat_blocks, []

    def timed(*arguments):
        start = time.thread_time()
        mass = plain(*arguments)
        threads.append(time.thread_time() - start)
        return mass

    splat.splat_blocks = timed
    for _ in range(rounds):
        threads = []
        start = time.process_time()
        result = function()
        found.append(time.process_time() - start - sum(threads) + max(threads))
        del result
    splat.splat_blocks = plain
    return min(found)


def best(function, rounds):
    times = []
    for _ in range(rounds):
        start = time.process_time(), time.perf_counter()
        result = function()
        times.append((time.process_time() - start[0], time.perf_counter() - start[1]))
        del result
    return min(t[0] for t in times), min(t[1] for t in times)


def counts(n: int, rounds: int) -> None:
    rng = np.random.default_rng(0)
    locs = ns.from_arrays(rng.uniform(0, (10_000, 10_000, 2_000), (n, 3)))
    region = ns.Box((0, 0, 0), (10_000, 10_000, 2_000))
    z, y, x = (locs.table[name].to_numpy() for name in ("z_nm", "y_nm", "x_nm"))
    low, step = np.zeros(3), np.full(3, 10.0)

    def plain():
        data = np.zeros(SHAPE, np.int32)
        bare(z, y, x, low, step, data)
        return data

    def ours():
        return ns.voxelize(locs, 10.0, region=region)

    bare(z[:9], y[:9], x[:9], low, step, np.zeros(SHAPE, np.int32))
    ns.voxelize(locs.table[["x_nm", "y_nm", "z_nm"]].to_numpy()[:9], 500.0)
    grid = ours()
    assert grid.shape == SHAPE
    assert (grid.data == plain()).all()
    del grid
    a, b = best(plain, rounds), best(ours, rounds)
    edges = [np.linspace(0, 10.0 * s, s + 1) for s in SHAPE]
    c = best(lambda: np.histogramdd((z, y, x), edges), 1)
    for name, (cpu, wall) in (("bare numba", a), ("ns.voxelize", b), ("histogramdd", c)):
        print(f"{name}: {cpu:.2f} CPU s, {wall:.2f} s")
    print(f"ns.voxelize / bare numba {b[0] / a[0]:.2f} (CPU), {b[1] / a[1]:.2f} (wall)")
    print(f"histogramdd / ns.voxelize {c[0] / b[0]:.1f} (CPU)")


def gaussians(n: int, rounds: int) -> None:
    rng = np.random.default_rng(1)
    # On the membrane of a shaft 8 um long and 600 nm wide with ten spines, and evenly in a box.
    angle = rng.uniform(0, 2 * np.pi, n)
    tube = [rng.uniform(0, 8000, n), 300 * np.cos(angle), 300 * np.sin(angle)]
    heads = rng.normal(size=(n // 3, 3))
    heads *= 250 / np.linalg.norm(heads, axis=1, keepdims=True)
    heads += np.column_stack(
        [rng.integers(0, 10, n // 3) * 800, np.full(n // 3, 900), np.zeros(n // 3)]
    )
    dendrite = np.column_stack(tube)
    dendrite[: len(heads)] = heads
    for name, xyz in (
        ("membrane of a dendrite", dendrite),
        ("even in 4 x 4 x 1 um", rng.uniform(0, (4000, 4000, 1000), (n, 3))),
        ("even in 10 x 10 x 2 um", rng.uniform(0, (10_000, 10_000, 2_000), (n, 3))),
    ):
        locs = ns.from_arrays(xyz, precision_nm=20.0)
        ns.voxelize(xyz[:9], 500.0, mode="gaussian", precision_nm=20.0)
        grid = ns.voxelize(locs, 10.0, mode="gaussian", pad=12)
        off = abs(grid.data.sum(dtype=np.float64) / n - 1)
        shape = grid.shape
        del grid

        def ours(locs=locs):
            return ns.voxelize(locs, 10.0, mode="gaussian", pad=12)

        cpu, wall = best(ours, rounds)
        path = critical_path(ours, rounds)
        rates = [f"{n / seconds / 1e6:.2f}" for seconds in (cpu, wall, path)]
        print(f"{name}, {shape}: {rates[0]} M points per CPU s, {rates[1]} M/s by the wall, "
              f"{rates[2]} M/s by the critical path; mass off by {off:.1e}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--gaussians", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.points:
        counts(given.points, given.rounds)
    gaussians(given.gaussians, given.rounds)
