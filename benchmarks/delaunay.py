"""Delaunay tetrahedra of many points: CPU time, wall time and peak memory against other engines.

Each engine runs in a process of its own and gives all tetrahedra (ours and scipy also their
neighbours) as arrays. Data: uniform in a cube of 10 µm; near a surface (a wavy tube with 10, 10,
20 nm noise, far from the origin); quantised (the same rounded to 5 nm, duplicates left out).

    python benchmarks/delaunay.py --points 10000 100000 1000000 \\
        --python vtk=/path/to/python --python open3d=/path/to/python

Engines without an environment are skipped, which the table says.

`--boundary` measures instead what the boundary of the alpha complex takes beside our triangulation,
alpha 1.5 times the mean distance to the 6th neighbour: its facets (`AlphaComplex.boundary`), and
the closed surface by neighbours (`boundary_surface`); one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HARNESS = """
import json, resource, sys, time
import numpy as np
{setup}
run(np.random.default_rng(0).random((500, 3)))
points = np.load(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
best = None
for _ in range(int(sys.argv[2])):
    cpu, wall = time.process_time(), time.perf_counter()
    m = run(points)
    used = (time.process_time() - cpu, time.perf_counter() - wall)
    best = used if best is None else min(best, used)
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
print(json.dumps(dict(cpu=best[0], wall=best[1], peak=peak, m=m, version=version)))
"""
OURS = """
import nanospine as ns
version = ns.__version__
def run(points):
    return len(ns.delaunay(points, threads={threads}).tetrahedra)
"""
ENGINES = {
    "scipy": """
import scipy
from scipy.spatial import Delaunay
version = scipy.__version__
def run(points):
    result = Delaunay(points)
    return len(result.simplices)
""",
    "nanospine, 1 thread": OURS.format(threads=1),
    "nanospine, 2 threads": OURS.format(threads=2),
    "open3d": """
import open3d as o3d
version = o3d.__version__
def run(points):
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    mesh, _ = o3d.geometry.TetraMesh.create_from_point_cloud(cloud)
    return len(np.asarray(mesh.tetras))
""",
    "vtk": """
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy
version = vtk.vtkVersion.GetVTKVersion()
def run(points):
    data = vtk.vtkPolyData()
    vertices = vtk.vtkPoints()
    vertices.SetDataTypeToDouble()
    vertices.SetData(numpy_to_vtk(points, deep=True))
    data.SetPoints(vertices)
    filter = vtk.vtkDelaunay3D()
    filter.SetInputData(data)
    filter.Update()
    return len(vtk_to_numpy(filter.GetOutput().GetCells().GetConnectivityArray())) // 4
""",
}


def uniform(n: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).random((n, 3)) * 1e4


def near_surface(n: int) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(2)
    along, around = random.random(n) * 2e4, random.random(n) * 2 * np.pi
    radius = 500 + 60 * np.sin(along / 300)
    points = np.column_stack([along, radius * np.cos(around), radius * np.sin(around)])
    return points + random.normal(0, [10, 10, 20], points.shape) + [2e6, -1e6, 3e5]


def quantised(n: int) -> npt.NDArray[np.float64]:
    points = np.unique(np.round(near_surface(n) / 5) * 5, axis=0)
    return np.random.default_rng(3).permutation(points)


DATA = {"uniform": uniform, "near a surface": near_surface, "quantised": quantised}


def measure(python: str, setup: str, path: Path, repeats: int) -> dict[str, float] | str:
    """Give seconds, MB, tetrahedra and version; or why there are none."""
    code = HARNESS.replace("{setup}", setup)
    done = subprocess.run(
        [python, "-c", code, str(path), str(repeats)], capture_output=True, text=True
    )
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:80]
    return json.loads(done.stdout.strip().splitlines()[-1])


def boundary(points: npt.NDArray[np.float64]) -> str:
    """Give CPU seconds of the triangulation and of its boundary, once compiled."""
    import time

    from scipy.spatial import cKDTree

    import nanospine as ns
    from nanospine.surface.alpha_complex import _chosen, _open_facets
    from nanospine.surface.gates import radii_and_volumes
    from nanospine.surface.mesh import boundary_surface

    spent: dict[str, float] = {}

    def run(name: str, work: Callable[[], Any]) -> Any:
        begin = time.process_time()
        result = work()
        spent[name] = time.process_time() - begin
        return result

    alpha = 1.5 * float(cKDTree(points).query(points[:10_000], k=7)[0][:, 6].mean())
    own = np.ones(len(points), dtype=bool)
    for part in (points[:5000], points):
        whole = run("triangulation", lambda part=part: ns.delaunay(part, threads=1))
        four = whole.tetrahedra
        small = run("complex", lambda part=part, four=four: _chosen(part, four, own, alpha)[2])
        facets = run(
            "facets",
            lambda whole=whole, small=small: _open_facets(
                whole.tetrahedra, whole.neighbors, small, own
            ),
        )
        inside = radii_and_volumes(whole)[0] <= alpha
        run(
            "surface",
            lambda part=part, whole=whole, inside=inside: boundary_surface(
                part, whole.tetrahedra, whole.neighbors, inside
            ),
        )
    first = spent["triangulation"]
    return f"alpha {alpha:.1f} nm, {len(facets)} facets: " + ", ".join(
        f"{name} {seconds:.2f} s ({seconds / first:.1%})" for name, seconds in spent.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--boundary", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PYTHON")
    options = parser.parse_args()
    pythons = dict(item.split("=", 1) for item in options.python)
    head = f"{'engine':<24}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'x CPU':>8}{'x wall':>8}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.npy"
        for name in options.data:
            for n in options.points:
                points = DATA[name](n)
                if options.boundary:
                    print(f"{name}, {len(points)} points, {boundary(points)}", flush=True)
                    continue
                np.save(path, points)
                print(f"\n{name}, {len(points)} points\n{head}{'tetrahedra':>12}  version")
                first: dict[str, float] | None = None
                for engine in options.engines:
                    own = engine.startswith(("nanospine", "scipy"))
                    python = pythons.get(engine, sys.executable if own else "")
                    if not python:
                        print(f"{engine:<24}  skipped: give --python {engine}=...")
                        continue
                    found = measure(python, ENGINES[engine], path, options.repeats)
                    if isinstance(found, str):
                        print(f"{engine:<24}  failed: {found}")
                        continue
                    first = first or found
                    print(
                        f"{engine:<24}{found['cpu']:>9.2f}{found['wall']:>9.2f}"
                        f"{found['peak']:>9.0f}{first['cpu'] / found['cpu']:>8.1f}"
                        f"{first['wall'] / found['wall']:>8.1f}{found['m']:>12.0f}"
                        f"  {found['version']}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
