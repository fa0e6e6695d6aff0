"""How far envelopes are from a spine of which everything is known.

A head of 300 nm radius on a neck of 60 nm radius and 500 nm length on a shaft of 500 nm radius;
precision 10 nm lateral and 25 nm axial, 5 % background; mean over seeds. Signed distances are
positive where the envelope is outside the truth.

    python benchmarks/envelope_quality.py [--points 5000 50000] [--seeds 2]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh
from skimage.measure import marching_cubes

from nanospine.core.triangles import TriangleTree
from nanospine.surface.envelope import envelope

FloatArray = npt.NDArray[np.float64]

HEAD, NECK, LENGTH, SHAFT, HALF = 300.0, 60.0, 500.0, 500.0, 1000.0
CENTRE_Z = SHAFT + LENGTH + np.sqrt(HEAD**2 - NECK**2)
LOW, HIGH = np.array([-1520.0, -520.0, -520.0]), np.array([1520.0, 520.0, CENTRE_Z + 320.0])
PRECISION = np.array([10.0, 10.0, 25.0])
BACKGROUND = 0.05


def signed_distance(xyz: FloatArray) -> FloatArray:
    """Exact outside; a lower bound of the depth inside."""
    x, y, z = xyz.T
    shaft = np.sqrt((x - np.clip(x, -HALF, HALF)) ** 2 + y**2 + z**2) - SHAFT
    head = np.sqrt(x**2 + y**2 + (z - CENTRE_Z) ** 2) - HEAD
    neck = np.sqrt(x**2 + y**2 + (z - np.clip(z, 0, CENTRE_Z)) ** 2) - NECK
    return np.minimum(np.minimum(shaft, head), neck)


def true_mesh(step: float = 8.0) -> trimesh.Trimesh:
    axes = [np.arange(a + 0.37, b + step, step) for a, b in zip(LOW, HIGH, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = signed_distance(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(step,) * 3)
    mesh = trimesh.Trimesh(vertices + LOW + 0.37, faces)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def localizations(truth: trimesh.Trimesh, label: str, n: int, seed: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    if label == "membrane":
        points = np.asarray(trimesh.sample.sample_surface(truth, n, seed=seed)[0])
    else:
        points = rng.uniform(LOW, HIGH, (6 * n, 3))
        points = points[signed_distance(points) < 0][:n]
    points = points + rng.normal(size=points.shape) * PRECISION
    low, high = points.min(axis=0) - 100, points.max(axis=0) + 100
    return np.concatenate([points, rng.uniform(low, high, (int(n * BACKGROUND), 3))])


def neck_diameter(mesh: trimesh.Trimesh) -> float:
    """Mean diameter of circles with the areas of nine cross-sections of the neck."""
    found = []
    for z in np.linspace(650, 850, 9):
        cut, face = trimesh.intersections.mesh_plane(mesh, [0, 0, 1], [0, 0, z], return_faces=True)
        if len(cut) == 0:
            return 0.0
        (ax, ay), (bx, by) = cut[:, 0, :2].T, cut[:, 1, :2].T
        outward = mesh.face_normals[face]
        side = np.sign((by - ay) * outward[:, 0] - (bx - ax) * outward[:, 1])
        near = np.hypot((ax + bx) / 2, (ay + by) / 2) < 250
        found.append(2 * np.sqrt(max((side * (ax * by - ay * bx) / 2)[near].sum(), 0) / np.pi))
    return float(np.mean(found))


def figures(mesh: trimesh.Trimesh, truth: trimesh.Trimesh) -> dict[str, float]:
    ours = np.asarray(trimesh.sample.sample_surface(mesh, 20_000, seed=1)[0])
    theirs = np.asarray(trimesh.sample.sample_surface(truth, 20_000, seed=2)[0])
    out = signed_distance(ours)
    back = TriangleTree(mesh.vertices, mesh.faces).signed_distance(theirs)
    return {
        "volume error %": 100 * (mesh.volume / truth.volume - 1),
        "mean signed nm": (out.mean() - back.mean()) / 2,
        "mean abs nm": (np.abs(out).mean() + np.abs(back).mean()) / 2,
        "Hausdorff nm": max(np.abs(out).max(), np.abs(back).max()),
        "neck diameter nm (120)": neck_diameter(mesh),
        "closed": float(mesh.is_volume),
        "genus": 1 - mesh.euler_number / 2,
    }


METHODS: dict[str, Callable[[FloatArray, str], trimesh.Trimesh]] = {
    "carved (fit=False)": lambda xyz, label: envelope(xyz, label=label, fit=False).mesh,
    "ns.envelope": lambda xyz, label: envelope(xyz, label=label).mesh,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[5000, 50_000])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    truth = true_mesh()
    for method in METHODS.values():  # compile before the clock runs
        method(localizations(truth, "membrane", 1000, 0), "membrane")
    rows = []
    for label in ("membrane", "filled"):
        for n in options.points:
            for name, method in METHODS.items():
                runs = []
                for seed in range(1, options.seeds + 1):
                    xyz = localizations(truth, label, n, seed)
                    start = time.process_time()
                    mesh = method(xyz, label)
                    seconds = time.process_time() - start
                    runs.append({"CPU s": seconds, **figures(mesh, truth)})
                rows.append({"label": label, "points": n, "method": name})
                rows[-1].update(pd.DataFrame(runs).mean().round(2).to_dict())
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
