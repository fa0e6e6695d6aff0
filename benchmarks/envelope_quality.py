"""How far envelopes are from a spine of which everything is known.

A head of 300 nm radius on a neck of 60 nm radius (`--neck`) and 500 nm length on a shaft of 500 nm
radius; precision 10 nm lateral and 25 nm axial (`--precision`), 5 % background; mean over seeds.
Signed distances are positive where the envelope is outside the truth.

    python benchmarks/envelope_quality.py [--points 5000 50000] [--seeds 2] [--precision 10 10 25]
        [--neck 60] [--labels membrane filled] [--methods ...] [--uneven ...] [--meshes FOLDER]

`--uneven`: labels with a hole, or denser here than there, instead of an even one.
`--meshes`: localizations on the closed .ply meshes of a folder (micrometres) instead.
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh
from skimage.measure import marching_cubes

import nanospine as ns
from nanospine.core.triangles import TriangleTree
from nanospine.surface.mesh import boundary_surface

FloatArray = npt.NDArray[np.float64]

HEAD, LENGTH, SHAFT, HALF = 300.0, 500.0, 500.0, 1000.0
BACKGROUND = 0.05


@dataclass(frozen=True)
class Spine:
    """A spine on a capsule of a shaft; nanometres."""

    neck: float = 60.0

    @property
    def centre(self) -> float:
        return float(SHAFT + LENGTH + np.sqrt(HEAD**2 - self.neck**2))

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        return (
            np.array([-1520.0, -520.0, -520.0]),
            np.array([1520.0, 520.0, self.centre + 320.0]),
        )

    def signed_distance(self, xyz: FloatArray) -> FloatArray:
        """Exact outside; a lower bound of the depth inside."""
        x, y, z = xyz.T
        shaft = np.sqrt((x - np.clip(x, -HALF, HALF)) ** 2 + y**2 + z**2) - SHAFT
        head = np.sqrt(x**2 + y**2 + (z - self.centre) ** 2) - HEAD
        neck = np.sqrt(x**2 + y**2 + (z - np.clip(z, 0, self.centre)) ** 2) - self.neck
        return np.minimum(np.minimum(shaft, head), neck)


def true_mesh(shape: Spine | None = None, step: float = 8.0) -> trimesh.Trimesh:
    shape = shape or Spine()
    low, high = shape.box
    axes = [np.arange(a + 0.37, b + step, step) for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = shape.signed_distance(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(step,) * 3)
    mesh = trimesh.Trimesh(vertices + low + 0.37, faces)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def localizations(
    truth: trimesh.Trimesh,
    label: str,
    n: int,
    seed: int,
    precision: tuple[float, float, float] = (10.0, 10.0, 25.0),
    shape: Spine | None = None,
) -> FloatArray:
    shape = shape or Spine()
    rng = np.random.default_rng(seed)
    if label == "membrane":
        points = np.asarray(trimesh.sample.sample_surface(truth, n, seed=seed)[0])
    else:
        points = rng.uniform(*shape.box, (6 * n, 3))
        points = points[shape.signed_distance(points) < 0][:n]
    points = points + rng.normal(size=points.shape) * precision
    low, high = points.min(axis=0) - 100, points.max(axis=0) + 100
    return np.concatenate([points, rng.uniform(low, high, (int(n * BACKGROUND), 3))])


def unevenly(name: str, xyz: FloatArray, shape: Spine, seed: int) -> FloatArray:
    """Keep a part of the localizations (and of the background there)."""
    rng = np.random.default_rng(seed + 1000)
    part = np.ones(len(xyz))
    if name.startswith("hole"):
        side, radius = name.split()[2], float(name.split()[1])
        middle = [-600.0, 0.0, -500.0] if side == "shaft" else [HEAD, 0.0, shape.centre]
        part[np.linalg.norm(xyz - middle, axis=1) < radius] = 0.0
    elif name == "tenfold along the shaft":
        part = 10 ** (-(xyz[:, 0] + 1500) / 3000)
    elif name == "head sparse":
        part[xyz[:, 2] > 600] = 0.15
    elif name == "head dense":
        part[xyz[:, 2] < 600] = 0.15
    elif name == "patchy":
        centres = rng.uniform([-1500, -500, -500], [1500, 500, 1700], (60, 3))
        height = rng.normal(0, 1, 60)
        square = ((xyz[:, None] - centres) ** 2).sum(axis=2)
        part = np.clip(np.exp(np.exp(-square / 2 / 200**2) @ height - 1.0), 0.05, 1.0)
    return xyz[rng.random(len(xyz)) < part]


UNEVEN = (
    "hole 150 shaft", "hole 250 shaft", "hole 100 head", "tenfold along the shaft", "head sparse",
    "head dense", "patchy",
)  # fmt: skip


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


def figures(mesh: trimesh.Trimesh, truth: trimesh.Trimesh, shape: Spine) -> dict[str, float]:
    ours = np.asarray(trimesh.sample.sample_surface(mesh, 20_000, seed=1)[0])
    theirs = np.asarray(trimesh.sample.sample_surface(truth, 20_000, seed=2)[0])
    out = shape.signed_distance(ours)
    tree, closed = TriangleTree(mesh.vertices, mesh.faces), mesh.is_watertight
    back = tree.signed_distance(theirs) if closed else tree.distance(theirs)
    return {
        "volume %": 100 * (mesh.volume / truth.volume - 1) if closed else np.nan,
        "signed nm": (out.mean() - back.mean()) / 2 if closed else out.mean(),
        "abs nm": (np.abs(out).mean() + np.abs(back).mean()) / 2,
        "Hausdorff nm": max(np.abs(out).max(), np.abs(back).max()),
        f"neck nm ({2 * shape.neck:g})": neck_diameter(mesh),
        "closed": float(closed),
        "genus": 1 - mesh.euler_number / 2 if closed else np.nan,
    }


Result = tuple[trimesh.Trimesh, "ns.Envelope | None"]


def known(xyz: FloatArray, label: str, precision: FloatArray) -> Result:
    found = ns.envelope(ns.from_arrays(xyz, precision_nm=precision), label=label)
    return found.mesh, found


def unknown(xyz: FloatArray, label: str, _precision: FloatArray) -> Result:
    found = ns.envelope(xyz, label=label)
    return found.mesh, found


def carved(xyz: FloatArray, label: str, _precision: FloatArray) -> Result:
    return ns.envelope(xyz, label=label, fit=False).mesh, None


def alpha_shape(xyz: FloatArray, _label: str, _precision: FloatArray) -> Result:
    """Boundary of the tetrahedra of small circumradius, at 1.5 x the mean distance to the 6th."""
    from scipy.spatial import cKDTree

    sixth = float(cKDTree(xyz).query(xyz, k=7)[0][:, 6].mean())
    whole = ns.delaunay(xyz)
    from nanospine.surface.gates import radii_and_volumes

    inside = radii_and_volumes(whole)[0] <= 1.5 * sixth
    vertices, faces, _ = boundary_surface(xyz, whole.tetrahedra, whole.neighbors, inside)
    return trimesh.Trimesh(vertices, faces, process=False), None


def poisson(xyz: FloatArray, _label: str, _precision: FloatArray) -> Result:
    """Open3D alone: normals from 30 neighbours, made consistent, depth 8."""
    import open3d

    cloud = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(xyz))
    cloud.estimate_normals(open3d.geometry.KDTreeSearchParamKNN(30))
    cloud.orient_normals_consistent_tangent_plane(30)
    mesh, _ = open3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=8)
    mesh = trimesh.Trimesh(np.asarray(mesh.vertices), np.asarray(mesh.triangles))
    if mesh.volume < 0:
        mesh.invert()
    return mesh, None


def one_sphere(xyz: FloatArray, label: str, precision: FloatArray) -> Result:
    found = ns.envelope(ns.from_arrays(xyz, precision_nm=precision), label=label, adapt=False)
    return found.mesh, found


METHODS: dict[str, Callable[[FloatArray, str, FloatArray], Result]] = {
    "ns.envelope": known,
    "precision-unknown": unknown,
    "one-sphere": one_sphere,
    "carved": carved,
    "alpha-shape": alpha_shape,
    "open3d-poisson": poisson,
}


def on_mesh(path: Path) -> dict[str, object]:
    """Figures of the envelope of a membrane label on a mesh in micrometres."""
    truth = trimesh.load(path, process=False)
    truth.apply_scale(1000.0)
    sample = ns.simulate.localize(truth, density_per_um2=1000.0, seed=11)
    start = time.process_time()
    found = ns.envelope(sample)
    seconds = time.process_time() - start
    ours = np.asarray(trimesh.sample.sample_surface(found.mesh, 10_000, seed=1)[0])
    theirs = np.asarray(trimesh.sample.sample_surface(truth, 10_000, seed=2)[0])
    out = TriangleTree(truth.vertices, truth.faces).signed_distance(ours)
    back = TriangleTree(found.mesh.vertices, found.mesh.faces).signed_distance(theirs)
    return {
        "mesh": path.stem,
        "points": len(sample.xyz_nm),
        "CPU s": round(seconds, 1),
        "volume %": round(100 * (found.volume_nm3 / truth.volume - 1), 2),
        "area %": round(100 * (found.area_nm2 / truth.area - 1), 2),
        "signed nm": round((out.mean() - back.mean()) / 2, 2),
        "abs nm": round((np.abs(out).mean() + np.abs(back).mean()) / 2, 2),
        "closed": found.mesh.is_watertight,
        "handles": found.genus,
        "of the mesh": int(1 - truth.euler_number / 2),
        "cuts": len(found.self_intersections),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[5000, 50_000])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--precision", type=float, nargs=3, default=[10.0, 10.0, 25.0])
    parser.add_argument("--neck", type=float, default=60.0, help="radius, nm")
    parser.add_argument("--labels", nargs="+", default=["membrane", "filled"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--uneven", nargs="*", choices=UNEVEN, help="none named: all")
    parser.add_argument("--meshes", type=Path, help="folder of closed .ply meshes, micrometres")
    options = parser.parse_args()
    if options.meshes:
        rows = [on_mesh(path) for path in sorted(options.meshes.glob("*.ply"))]
        print(pd.DataFrame(rows).to_string(index=False))
        return
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    shape, precision = Spine(options.neck), tuple(options.precision)
    truth = true_mesh(shape)
    methods = {name: METHODS[name] for name in options.methods}
    for label in options.labels:  # compile before the clock runs
        for method in methods.values():
            method(localizations(truth, label, 3000, 0), label, np.array(precision))
    cases = [""] if options.uneven is None else options.uneven or list(UNEVEN)
    rows = []
    for label, n, case in itertools.product(options.labels, options.points, cases):
        for name, method in methods.items():
            runs = []
            for seed in range(1, options.seeds + 1):
                xyz = localizations(truth, label, n, seed, precision, shape)
                xyz = unevenly(case, xyz, shape, seed) if case else xyz
                start = time.process_time()
                mesh, found = method(xyz, label, np.array(precision))
                seconds = time.process_time() - start
                runs.append({"CPU s": seconds, **figures(mesh, truth, shape)})
                if found is not None:
                    runs[-1]["cuts"] = float(len(found.self_intersections))
                    runs[-1]["alpha"] = found.alpha_nm
            rows.append({"label": label, "points": n} | ({"case": case} if case else {}))
            rows[-1] |= {"method": name, **pd.DataFrame(runs).mean().round(2).to_dict()}
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
