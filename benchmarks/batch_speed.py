"""How much faster `nanospine batch` is on two processes than on one.

Files of simulated dendrites (4 spines each, label on the membrane, precision 10 and 20 nm, 5 %
background) are written to a temporary folder; the recipe is a filter on photons, the fitted
envelope with alpha 100 nm, spines with necks, and tables and meshes without pictures. The real
command runs with each number of processes in turns. Three ratios are printed:

wall
    What a stop-watch says; other work on the machine is in it.
critical path
    CPU of the parent plus that of the workers divided by their number: wall time on a machine
    that does nothing else and whose last files end together.
CPU of workers
    Both at once over one alone: above 1 they are in each other's way (memory, caches).

::

    python benchmarks/batch_speed.py --files 200 --points 50000 --jobs 1 2
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SETTINGS = """
[batch]
files = ["data/*.csv"]
[[filter]]
column = "photons"
min = 100
[envelope]
alpha_nm = 100.0
[output]
folder = "experiment"
pictures = false
"""
# The command itself, and what the system says that it cost.
COMMAND = """
import json, resource, sys, time
from nanospine.cli.app import main
start = time.perf_counter()
code = 0
try:
    main()
except SystemExit as end:
    code = end.code
wall = time.perf_counter() - start
own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code": code, "wall_s": wall, "parent_s": own.ru_utime + own.ru_stime,
                  "workers_s": others.ru_utime + others.ru_stime,
                  "peak_mb": others.ru_maxrss / 1e3}), file=sys.stderr)
"""
SHAPES = 8


def main() -> None:
    """Print a row for every run, then the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=1)
    arguments = parser.parse_args()
    found: dict[int, list[dict[str, float]]] = {jobs: [] for jobs in arguments.jobs}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        make_files(place, arguments.files, arguments.points)
        print("jobs   wall s   parent CPU s   workers CPU s   peak MB   load")
        for turn in range(arguments.turns):
            # There and back, so that a slow change of the load falls on both alike.
            for jobs in arguments.jobs[:: 1 if turn % 2 == 0 else -1]:
                row = measure(place, jobs)
                found[jobs].append(row)
                print(
                    f"{jobs:4} {row['wall_s']:8.1f} {row['parent_s']:14.2f} "
                    f"{row['workers_s']:15.1f} {row['peak_mb']:9.0f} {os.getloadavg()[0]:6.1f}",
                    flush=True,
                )
    first = arguments.jobs[0]
    for jobs in arguments.jobs[1:]:
        print(f"{jobs} processes over {first}: " + ", ".join(ratios(found, first, jobs)))


def make_files(place: Path, number: int, points: int) -> None:
    """Write dendrites as ThunderSTORM tables: a few shapes, localized anew for every file."""
    import nanospine as ns

    (place / "data").mkdir()
    (place / "batch.toml").write_text(SETTINGS)
    kinds = ["mushroom", "thin", "stubby", "mushroom"]
    shapes = [
        ns.simulate.dendrite(4000, kinds, seed=seed, voxel_nm=30)
        for seed in range(min(SHAPES, number))
    ]
    density = [
        1000.0 * points / len(ns.simulate.localize(shape, density_per_um2=1000.0, seed=0))
        for shape in shapes
    ]
    for item in range(number):
        which = item % len(shapes)
        locs = ns.simulate.localize(shapes[which], density_per_um2=density[which], seed=item)
        ns.write(locs, place / "data" / f"cell{item:03d}.csv")


def measure(place: Path, jobs: int) -> dict[str, float]:
    """Run the command from nothing with so many processes of one thread each."""
    shutil.rmtree(place / "experiment", ignore_errors=True)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "batch", str(place / "batch.toml"), "--jobs", str(jobs)],
        capture_output=True, text=True, check=False, env=os.environ | threads,
    )  # fmt: skip
    row: dict[str, float] = json.loads(done.stderr.strip().splitlines()[-1])
    if row["code"]:
        raise SystemExit(f"nanospine batch ended with {row['code']}:\n{done.stderr[-2000:]}")
    return row


def ratios(found: dict[int, list[dict[str, float]]], one: int, two: int) -> list[str]:
    """Give the three ratios of the middle runs as text."""

    def middle(jobs: int, name: str) -> float:
        return float(np.median([row[name] for row in found[jobs]]))

    def path(jobs: int) -> float:
        return middle(jobs, "parent_s") + middle(jobs, "workers_s") / jobs

    return [
        f"wall {middle(one, 'wall_s') / middle(two, 'wall_s'):.2f} x",
        f"critical path {path(one) / path(two):.2f} x",
        f"CPU of workers {middle(two, 'workers_s') / middle(one, 'workers_s'):.2f} x",
    ]


if __name__ == "__main__":
    main()
