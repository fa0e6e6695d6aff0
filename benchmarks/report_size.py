"""Size and CPU time of the report of a large run: 1.5 million faces, 1 million localizations.

python benchmarks/report_size.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import trimesh
from scipy.spatial import cKDTree

import nanospine as ns
from nanospine.output.report import write_report


def main() -> None:
    n = 1_000_000
    random = np.random.default_rng(0)
    shape = ns.simulate.dendrite(8000, ["mushroom", "thin"] * 10, seed=2)
    xyz, _ = trimesh.sample.sample_surface(shape.mesh, n, seed=0)
    locs = ns.from_arrays(xyz + random.normal(size=(n, 3)) * 10)
    spines = ns.find_spines(shape.mesh)
    fine = trimesh.Trimesh(*trimesh.remesh.subdivide(shape.mesh.vertices, shape.mesh.faces))
    found = SimpleNamespace(
        mesh=fine, method="carve", alpha_nm=60.0, label="membrane", to_frame=lambda: None
    )
    labels = spines.vertex_spine[cKDTree(shape.mesh.vertices).query(fine.vertices)[1]]
    large = type(spines)(**{**vars(spines), "envelope": fine, "vertex_spine": labels})
    run = SimpleNamespace(
        config=SimpleNamespace(input_path=Path("large.csv"), model_dump=lambda **_: {}),
        input_sha256="0" * 64, localizations=locs, envelope=found, spines=large, notes=(),
        timings_s={}, versions={}, history=locs.history,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_report(run, Path(folder) / "report.html")
        seconds = time.process_time() - start
        size = (Path(folder) / "report.html").stat().st_size / 1e6
    print(
        f"{len(fine.faces):,} faces, {n:,} localizations, {len(spines)} spines: "
        f"{size:.1f} MB, {seconds:.1f} s CPU"
    )


if __name__ == "__main__":
    main()
