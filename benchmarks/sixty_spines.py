"""A million localizations on one dendrite of 60 spines: triangulation, envelope, spines, memory.

The three in one process, one after the other, after a warm-up on a small dendrite that compiles;
asked is less than three times the triangulation plus 60 s of CPU, and 3 GB::

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/sixty_spines.py [--points 1000000]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

import nanospine as ns

TYPES = ["mushroom", "thin", "stubby"]


def localized(length_nm: float, repeats: int, points: int) -> ns.Localizations:
    """Sample a dendrite to about this many localizations, 10 nm precise (20 nm in z)."""
    shape = ns.simulate.dendrite(length_nm, repeats * TYPES, seed=1)
    options = {"precision_xy_nm": 10.0, "precision_z_nm": 20.0, "seed": 1}
    some = len(ns.simulate.localize(shape, density_per_um2=100.0, **options))
    return ns.simulate.localize(shape, density_per_um2=100.0 * points / some, **options)


def main() -> None:
    """Print the CPU seconds of each step and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    given = parser.parse_args()
    small = localized(4000.0, 2, 30_000)
    ns.find_spines(ns.envelope(small), small)
    locs = localized(40_000.0, 20, given.points)
    marks = [time.process_time()]
    ns.delaunay(locs.xyz_nm)
    marks.append(time.process_time())
    surface = ns.envelope(locs)
    marks.append(time.process_time())
    spines = ns.find_spines(surface, locs)
    marks.append(time.process_time())
    triangulation, envelope, found = np.diff(marks)
    necks = int((spines.table["neck_diameter_nm"].notna()).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{len(locs):,} localizations, {len(spines.spines)} spines, {necks} necks measured")
    print(f"triangulation {triangulation:.1f} CPU s, envelope {envelope:.1f}, spines {found:.1f}")
    print(f"end to end {envelope + found:.1f} CPU s; asked {3 * triangulation + 60:.1f}")
    print(f"peak {peak:.2f} GB with the simulation; asked 3 GB")


if __name__ == "__main__":
    main()
