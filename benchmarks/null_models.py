"""How often each test rejects a null model that is true, at 0.05, and its power against one case.

    python benchmarks/null_models.py [runs] [word in the names of the cases]

Each run draws new data of the null model, tests them against 39 simulations, and counts p <= 0.05.
The 95 % interval of a test that keeps its level is printed above the table. The global envelope and
MAD are one test. "naive" tests clustered data that ignore each other as if the second channel were
uniform: what the other null models are for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import trimesh
from scipy.stats import binom

import nanospine as ns

FloatArray = npt.NDArray[np.float64]
Run = Callable[[int], list[float]]
N_SIMULATIONS = 39
BOX = ns.Box((0, 0), (2000, 1500))
SPACE = ns.Box((0, 0, 0), (1200, 1000, 800))
CELL = ns.Polygon([(0, 0), (2000, 0), (2000, 800), (900, 800), (900, 1800), (0, 1800)])
MASK = ns.Mask(np.hypot(*(np.indices((40, 40)) - 19.5)) < 19, (50, 50), (25, 25))
BALL = ns.MeshRegion(trimesh.creation.icosphere(radius=600, subdivisions=2))
RADII = np.arange(20.0, 201.0, 20.0)


def clustered(region: ns.Box, generator: np.random.Generator, n: int = 12) -> FloatArray:
    """Clusters of 8 with sd 20 nm that lie whole in the region, anywhere they fit."""
    members: list[FloatArray] = []
    while len(members) < n:
        centre = region.sample_nm(1, generator)
        points = centre + generator.normal(0, 20, (8, region.dimension))
        if region.contains(points).all():
            members.append(points)
    return np.concatenate(members)


def p_values(test: ns.EnvelopeTest) -> list[float]:
    """p of three tests, from the same simulations."""
    return [test.p_value, test.mad_test().p_value, test.dclf_test().p_value]


def uniform(region: ns.Box, function: str, cross: bool) -> Run:
    def run(k: int) -> list[float]:
        a = region.sample_nm(60, [k, 1])
        b = region.sample_nm(50, [k, 2]) if cross else None
        return p_values(
            ns.simulation_envelope(
                a, function, RADII, region=region, other=b, n_simulations=N_SIMULATIONS, seed=k
            )
        )

    return run


def moved(region: ns.Box, function: str, null: str) -> Run:
    def run(k: int) -> list[float]:
        generator = np.random.default_rng([k, 5])
        if null == "labelling":
            pooled = generator.permutation(clustered(region, generator, 14))
            a, b = pooled[:56], pooled[56:]
        else:
            a = clustered(region, generator)
            b = None if null == "clusters alone" else clustered(region, generator)
        labels = np.repeat(np.arange(12), 8)
        model = {"labelling": "labelling", "shift": "shift", "naive": "csr"}.get(
            null, ns.ShiftedClusters(labels)
        )
        test = ns.simulation_envelope(
            a, function, RADII, other=b, null=model, region=region, n_simulations=N_SIMULATIONS,
            seed=k,
        )  # fmt: skip
        return p_values(test)

    return run


def uneven(null: ns.UnevenRandomness | str, cross: bool) -> Run:
    """Density that falls to a fifth along x, points independent of each other."""

    def falling(region: ns.Box, n: int, generator: np.random.Generator) -> FloatArray:
        places = region.sample_nm(8 * n, generator)
        keep = generator.random(len(places)) < 1 - 0.8 * places[:, 0] / region.high_nm[0]
        return places[keep][:n]

    def run(k: int) -> list[float]:
        generator = np.random.default_rng([k, 6])
        a = falling(BOX, 100, generator)
        b = falling(BOX, 100, generator) if cross else None
        test = ns.simulation_envelope(
            a, "L", RADII, other=b, null=null, region=BOX, n_simulations=N_SIMULATIONS, seed=k
        )
        return p_values(test)

    return run


CASES = {
    "csr L rectangle": uniform(BOX, "L", False),
    "csr G rectangle": uniform(BOX, "G", False),
    "csr L box": uniform(SPACE, "L", False),
    "csr L polygon": uniform(CELL, "L", False),
    "csr L mask": uniform(MASK, "L", False),
    "csr G mesh": uniform(BALL, "G", False),
    "csr L cross rectangle": uniform(BOX, "L", True),
    "csr G cross mesh": uniform(BALL, "G", True),
    "labelling L cross rectangle": moved(BOX, "L", "labelling"),
    "shift L cross rectangle": moved(BOX, "L", "shift"),
    "shift L cross polygon": moved(CELL, "L", "shift"),
    "shift L cross mask": moved(MASK, "L", "shift"),
    "clusters L rectangle": moved(BOX, "L", "clusters alone"),
    "clusters L cross rectangle": moved(BOX, "L", "clusters"),
    "clusters L cross polygon": moved(CELL, "L", "clusters"),
    "uneven L rectangle": uneven(ns.UnevenRandomness(400.0), False),
    "uneven L cross rectangle": uneven(ns.UnevenRandomness(400.0), True),
    "naive L cross rectangle": moved(BOX, "L", "naive"),
    "naive uneven L rectangle": uneven("csr", False),
    "naive uneven L cross rectangle": uneven("csr", True),
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    low, high = (x / runs for x in binom.interval(0.95, runs, 0.05))
    print(f"{runs} runs, {N_SIMULATIONS} simulations; 95 % interval {low:.3f} to {high:.3f}")
    print(f"{'case':30s} {'rank':>6s} {'MAD':>6s} {'DCLF':>6s}  CPU s per run")
    for name, run in CASES.items():
        if word not in name:
            continue
        start = time.process_time()
        p = np.array([run(k) for k in range(runs)])
        each = (time.process_time() - start) / runs
        shares = " ".join(f"{share:6.3f}" for share in (p <= 0.05 + 1e-9).mean(axis=0))
        print(f"{name:30s} {shares}  {each:.3f}", flush=True)


if __name__ == "__main__":
    main()
