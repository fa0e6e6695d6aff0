"""The main results of a small simulated dendrite, as numbers; run by test_threads in a process.

Prints one JSON object: names to numbers, lists of numbers, or SHA-256 of tables.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

import numpy as np

import nanospine as ns


def digest(table: object) -> str:
    text = table.to_csv(index=False)  # type: ignore[attr-defined]
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    threads = int(os.environ["NUMBA_NUM_THREADS"])
    shape = ns.simulate.dendrite(2000.0, ["mushroom", "thin"], seed=3)
    locs = ns.simulate.localize(shape.mesh, density_per_um2=600, background_fraction=0.0, seed=3)
    found = ns.envelope(locs, label="membrane")
    spines = ns.find_spines(found, locs)
    points = np.random.default_rng(5).uniform(0, 1000, (2000, 3))
    other = points[:700] + np.random.default_rng(6).normal(0, 15, (700, 3))
    box = ns.Box((0, 0, 0), (1000, 1000, 1000))  # type: ignore[arg-type]
    radii = np.linspace(10, 150, 15)
    tetrahedra = ns.delaunay(points, threads=threads).tetrahedra
    soda = ns.soda(points[:700], other, radii, region=box, n_simulations=99, seed=4)
    envelope_test = ns.simulation_envelope(points[:400], "L", radii, region=box, n_simulations=19,
                                           seed=2, workers=threads)  # fmt: skip
    linked = ns.link_localizations(
        ns.from_arrays(points, frame=np.arange(2000) // 20), 60.0, dark_frames=1
    )
    grid = ns.voxelize(points, 50.0, mode="gaussian", precision_nm=20.0)
    numbers = spines.to_frame().select_dtypes("number")
    said = json.dumps({
        "threads": threads,
        "envelope volume": float(found.mesh.volume),
        "envelope faces": len(found.mesh.faces),
        "spine table": numbers.to_numpy(float).tolist(),
        "spine types": spines.to_frame()["type"].tolist(),
        "K": ns.ripley_k(points, radii, region=box, threads=threads).values.tolist(),
        "SODA coupled": [soda.coupled_fraction_a, soda.coupled_fraction_b, soda.mean_distance_nm],
        "envelope of simulations": [*envelope_test.low.tolist(), *envelope_test.high.tolist()],
        "delaunay": hashlib.sha256(
            np.ascontiguousarray(np.sort(np.sort(tetrahedra, axis=1), axis=0))
        ).hexdigest(),
        "delaunay tetrahedra": len(tetrahedra),
        "linked": digest(linked.table),
        "linked rows": len(linked),
        "voxels": float(np.asarray(grid.data, float).sum()),
        "voxels each": hashlib.sha256(np.ascontiguousarray(grid.data)).hexdigest(),
        "spine table bytes": digest(spines.to_frame()),
    })  # fmt: skip
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    sys.exit(main())
