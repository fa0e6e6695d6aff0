"""CPU time and memory of pictures: 500,000 triangles, and ten million localizations.

python benchmarks/render_speed.py mesh
python benchmarks/render_speed.py points
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import trimesh

import nanospine as ns


def wavy_tube(n_along: int, n_around: int) -> trimesh.Trimesh:
    """A tube with bumps of 2 * n_along * n_around triangles, 8 µm long."""
    along, around = np.meshgrid(np.arange(n_along), np.arange(n_around), indexing="ij")
    angle = 2 * np.pi * around / n_around
    radius = 500 + 60 * np.sin(0.02 * along) * np.cos(5 * angle) + 20 * np.sin(0.3 * along)
    xyz = np.stack([8000 * along / n_along, radius * np.cos(angle), radius * np.sin(angle)], -1)
    index = along * n_around + around
    after = along[:-1] * n_around + (around[:-1] + 1) % n_around
    quads = np.stack([index[:-1], after, after + n_around, index[1:]], -1).reshape(-1, 4)
    faces = np.vstack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return trimesh.Trimesh(xyz.reshape(-1, 3), faces, process=False)


def measured(name: str, thing: trimesh.Trimesh | None, locs: ns.Localizations | None, **options):
    ns.render(thing, None if locs is None else locs.select(np.arange(10)), width=64, **options)
    start = time.process_time()
    ns.render(thing, locs, width=1600, height=1200, **options)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{name}: {seconds:.2f} s CPU, peak of the process {peak:.2f} GB")


def main(what: str) -> None:
    if what == "mesh":
        mesh = wavy_tube(1000, 250)
        print(f"{len(mesh.faces):,} triangles, 1600 x 1200")
        measured("solid", mesh, None, camera="tilted")
        measured("translucent", mesh, None, camera="tilted", opacity=0.5)
        return
    random = np.random.default_rng(0)
    n = 10_000_000
    xyz = random.random((n, 3)) * [20_000, 15_000, 1000]
    locs = ns.from_arrays(xyz)
    del xyz
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{n:,} localizations made, peak so far {peak:.2f} GB")
    for colour_by in ("depth", "density"):
        measured(colour_by, None, locs, colour_by=colour_by)


if __name__ == "__main__":
    main(sys.argv[1])
