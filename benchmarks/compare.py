"""Common work of the field, done by nanospine and by each peer in an environment of its own.

Makes (once) one virtual environment per peer with pip, gives all the same input, runs each task in
a process of its own after a small warm-up, and prints program, version, CPU time, memory beyond
that before the work, and how the results agree. A peer that does not install, or a task that fails,
is a row that says so, never a silent gap::

    python benchmarks/compare.py --environments ~/.cache/compare --points 20000

R's spatstat is run when `Rscript` is there and has it. Only peers' public functions are called.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np

HARNESS = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from pathlib import Path
place = Path(sys.argv[1])
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
{setup}
work("small")
before, start = peak(), time.process_time()
result = work("all")
cpu = time.process_time() - start
import importlib.metadata
print(json.dumps({{"cpu_s": cpu, "peak_mb": peak() - before,
                   "result": np.asarray(result, float).ravel().tolist(),
                   "version": importlib.metadata.version("{package}")}}))
"""
# Task -> program -> (package, what is run). The first program is the one others are compared with.
TASKS: dict[str, dict[str, tuple[str, str]]] = {
    "read ThunderSTORM csv": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    return ns.read(place / f"{which}.csv").xyz_nm.sum(axis=0)
"""),
        "locan": ("locan", """
import locan as lc
def work(which):
    data = lc.load_thunderstorm_file(place / f"{which}.csv")
    names = [n for n in data.data.columns if n.startswith("position_")]
    return data.data[sorted(names)].to_numpy(float).sum(axis=0)
"""),
    },
    "read MINFLUX .npy, last valid iteration": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    locs = ns.read(place / f"minflux_{which}.npy", z_scale=0.7)
    return np.append(locs.xyz_nm.sum(axis=0), len(locs))
"""),
        "pyMINFLUX": ("pyminflux", """
from pyminflux.reader import MinFluxReader
def work(which):
    reader = MinFluxReader(place / f"minflux_{which}.npy", z_scaling_factor=0.7)
    table = reader.processed_dataframe
    return np.append(table[["x", "y", "z"]].to_numpy(float).sum(axis=0), len(table))
"""),
    },
    "DBSCAN, number of clusters": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    xyz = np.load(place / f"{which}.npy")
    labels = ns.cluster(ns.from_arrays(xyz), radius_nm=40, min_points=8).labels
    return [labels.max() + 1, (labels < 0).sum()]
"""),
        "scikit-learn": ("scikit-learn", """
from sklearn.cluster import DBSCAN
def work(which):
    labels = DBSCAN(eps=40, min_samples=8).fit_predict(np.load(place / f"{which}.npy"))
    return [labels.max() + 1, (labels < 0).sum()]
"""),
        "locan": ("locan", """
import locan as lc
import pandas as pd
def work(which):
    frame = pd.DataFrame(np.load(place / f"{which}.npy"), columns=["position_" + a for a in "xyz"])
    noise, clusters = lc.cluster_dbscan(lc.LocData.from_dataframe(frame), eps=40, min_samples=8)
    return [len(clusters), len(noise)]
"""),
    },
    "Ripley's K in 2-D, translation correction": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    xy = np.load(place / f"{which}.npy")[:, :2]
    return ns.ripley_k(xy, np.arange(10, 201, 10.0), region=ns.Box([0, 0], [10000, 10000]),
                       threads=1).values
"""),
        "astropy": ("astropy", """
from astropy.stats import RipleysKEstimator
def work(which):
    xy = np.load(place / f"{which}.npy")[:3000, :2]
    k = RipleysKEstimator(area=1e8, x_min=0, x_max=1e4, y_min=0, y_max=1e4)
    return k(xy, np.arange(10, 201, 10.0), mode="translation")
"""),
        "nanospine, the same 3000": ("nanospine", """
import nanospine as ns
def work(which):
    xy = np.load(place / f"{which}.npy")[:3000, :2]
    return ns.ripley_k(xy, np.arange(10, 201, 10.0), region=ns.Box([0, 0], [10000, 10000]),
                       threads=1).values
"""),
    },
    "pairs within 10 ... 200 nm in 3-D": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    xyz = np.load(place / f"{which}.npy")
    n, box = len(xyz), ns.Box([0, 0, -600], [10000, 10000, 600])
    k = ns.ripley_k(xyz, np.arange(10, 201, 10.0), region=box, correction="none", threads=1)
    return k.values * n * (n - 1) / 1.2e11
"""),
        "scipy": ("scipy", """
from scipy.spatial import cKDTree
def work(which):
    tree = cKDTree(np.load(place / f"{which}.npy"))
    return tree.count_neighbors(tree, np.arange(10, 201, 10.0)) - tree.n
"""),
        "Corrfunc": ("corrfunc", """
from Corrfunc.theory.DD import DD
def work(which):
    x, y, z = np.load(place / f"{which}.npy").T.copy()
    found = DD(1, 1, np.concatenate([[1e-6], np.arange(10, 201, 10.0)]), x, y, z, periodic=False)
    return np.cumsum(found["npairs"])
"""),
    },
    "Delaunay: tetrahedra": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    return [len(ns.delaunay(np.load(place / f"{which}.npy")).tetrahedra)]
"""),
        "scipy": ("scipy", """
from scipy.spatial import Delaunay
def work(which):
    return [len(Delaunay(np.load(place / f"{which}.npy")).simplices)]
"""),
    },
    "alpha surface of a shell: area, volume (um)": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    found = ns.envelope(np.load(place / f"shell_{which}.npy"), alpha_nm=100.0, fit=False)
    return [found.area_nm2 / 1e6, found.volume_nm3 / 1e9]
"""),
        "open3d (alpha shape)": ("open3d", """
import open3d as o3d
def work(which):
    points = o3d.utility.Vector3dVector(np.load(place / f"shell_{which}.npy"))
    cloud = o3d.geometry.PointCloud(points)
    mesh = o3d.geometry.TriangleMesh.create_from_point_cloud_alpha_shape(cloud, 100.0)
    volume = mesh.get_volume() / 1e9 if mesh.is_watertight() else float("nan")
    return [mesh.get_surface_area() / 1e6, volume]
"""),
    },
    "linking of blinks: events": {
        "nanospine": ("nanospine", """
import nanospine as ns
def work(which):
    x, y, frame = np.load(place / f"blinks_{which}.npy")
    locs = ns.from_arrays(np.column_stack([x, y]), frame=frame.astype(int), precision_nm=10.0)
    return [ns.link_ids(locs, 60.0, dark_frames=2, ambiguous="first").max() + 1]
"""),
        "Picasso": ("picassosr", """
import pandas as pd
from picasso import postprocess
def work(which):
    x, y, frame = np.load(place / f"blinks_{which}.npy")
    table = pd.DataFrame({"frame": frame.astype("u4"), "x": x, "y": y})
    for name in ("photons", "sx", "sy", "bg", "lpx", "lpy", "ellipticity", "net_gradient"):
        table[name] = 1.0
    info = [{"Frames": int(frame.max()) + 1, "Width": 512, "Height": 512}]
    return [len(postprocess.link(table, info, 60.0, 2, remove_ambiguous_lengths=False))]
"""),
    },
}  # fmt: skip
SPATSTAT = """
suppressMessages(library(spatstat))
xy <- as.matrix(read.csv(file.path(commandArgs(TRUE)[1], "all_xy.csv")))
p <- ppp(xy[,1], xy[,2], c(0,10000), c(0,10000), check=FALSE)
t <- proc.time()[["user.self"]]
k <- Kest(p, r=seq(0,200,10), correction="translate")
cat(sprintf('{"cpu_s": %f, "peak_mb": NaN, "version": "%s", "result": [%s]}',
    proc.time()[["user.self"]]-t, packageVersion("spatstat"), paste(k$trans[-1], collapse=",")))
"""


def main() -> None:
    """Print a table of every task and program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "compare")
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", default=[], help="parts of names of tasks")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        make_input(place, arguments.points)
        print(f"{'task':44}{'program':26}{'version':10}{'CPU s':>8}{'MB':>7}  agreement")
        for task, programs in TASKS.items():
            if not arguments.only or any(part in task for part in arguments.only):
                compare(task, programs, place, arguments.environments)


def make_input(place: Path, n: int) -> None:
    """Write the same points for everybody: clusters in a box, a noisy shell, blinking molecules."""
    import nanospine as ns

    rng = np.random.default_rng(0)
    for which, count in (("small", 2000), ("all", n)):
        centre = rng.uniform([500, 500, -300], [9500, 9500, 300], (max(1, count // 200), 3))
        xyz = np.vstack([
            centre[rng.integers(0, len(centre), count // 2)] + rng.normal(0, 25, (count // 2, 3)),
            rng.uniform([0, 0, -600], [10000, 10000, 600], (count - count // 2, 3)),
        ])  # fmt: skip
        xyz = rng.permutation(xyz)
        np.save(place / f"{which}.npy", xyz)
        np.savetxt(place / f"{which}_xy.csv", xyz[:, :2], delimiter=",", header="x,y", comments="")
        ns.write(ns.from_arrays(xyz, photons=1000.0, frame=1), place / f"{which}.csv")
        np.save(place / f"minflux_{which}.npy", minflux(xyz, rng))
        shell = rng.normal(size=(count, 3))
        shell *= (1000 + rng.normal(0, 8, (count, 1))) / np.linalg.norm(shell, axis=1)[:, None]
        np.save(place / f"shell_{which}.npy", shell)
        on = rng.integers(1, 5, count // 3)
        molecule = np.repeat(np.arange(len(on)), on)
        start = rng.integers(0, 20_000, len(on))
        frame = np.concatenate([start[i] + np.arange(k) for i, k in enumerate(on)])
        spot = rng.uniform(0, 50_000, (len(on), 2))[molecule] + rng.normal(0, 10, (len(frame), 2))
        order = np.argsort(frame, kind="stable")
        np.save(place / f"blinks_{which}.npy", np.vstack([spot.T, frame])[:, order])


def minflux(xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give positions as Imspector exports a 3-D recording: ten iterations, traces of five."""
    numbers = [("itr", "<i4"), ("tic", "<u8"), ("loc", "<f8", (3,)), ("lnc", "<f8", (3,)),
               ("eco", "<i4"), ("ecc", "<i4"), ("efo", "<f8"), ("efc", "<f8"), ("sta", "<i4"),
               ("cfr", "<f8"), ("dcr", "<f8"), ("ext", "<f8", (3,)), ("gvy", "<f8"),
               ("gvx", "<f8"), ("eoy", "<f8"), ("eox", "<f8"), ("dmz", "<f8"), ("lcy", "<f8"),
               ("lcx", "<f8"), ("lcz", "<f8"), ("fbg", "<f8")]  # fmt: skip
    kind = [("itr", numbers, (10,)), ("sqi", "<u4"), ("gri", "<u4"), ("tim", "<f8"),
            ("tid", "<i4"), ("vld", "?"), ("act", "?"), ("dos", "<i4"), ("sky", "<i4"),
            ("fluo", "<u1")]  # fmt: skip
    table = np.zeros(len(xyz), kind)
    each = table["itr"]
    each["itr"] = np.arange(10)
    each["loc"] = xyz[:, None] * 1e-9 + rng.normal(0, 5e-9, (len(xyz), 10, 3))
    each["eco"], each["efo"] = 100, rng.normal(50_000, 5000, (len(xyz), 10))
    each["cfr"], each["dcr"], each["fbg"] = 0.4, rng.uniform(0.2, 0.6, (len(xyz), 10)), 5000.0
    table["tid"] = np.arange(len(xyz)) // 5
    table["tim"] = np.arange(len(xyz)) * 1e-3
    table["vld"] = rng.random(len(xyz)) < 0.9
    return table


def compare(
    task: str, programs: dict[str, tuple[str, str]], place: Path, environments: Path
) -> None:
    results: dict[str, Any] = {}
    for program, (package, setup) in programs.items():
        python = sys.executable if package == "nanospine" else environment(package, environments)
        found: Any = f"{package} does not install here"
        if python is not None:
            code = HARNESS.format(setup=setup, package=package)
            found = output_of([str(python), "-c", code, str(place)])
        results[program] = found
        show(task, program, found, results)
    if "Ripley" in task:
        found = "no Rscript here"
        if shutil.which("Rscript"):
            found = output_of(["Rscript", "-e", SPATSTAT, str(place)])
        show(task, "spatstat", found, results)


def environment(package: str, folder: Path) -> Path | None:
    """Give the interpreter of a peer's own environment, made at the first call."""
    place = folder / package
    python = place / "bin" / "python"
    ready = place / "ready"
    if ready.exists():
        return python
    if not python.exists():
        venv.create(place, with_pip=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", package], capture_output=True, check=False
    )
    if done.returncode:
        return None
    ready.touch()
    return python


def output_of(command: list[str]) -> dict[str, Any] | str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        return (done.stderr.strip().splitlines() or ["ended without a word"])[-1][:90]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def show(task: str, program: str, found: dict[str, Any] | str, results: dict[str, Any]) -> None:
    if isinstance(found, str):
        print(f"{task:44}{program:26}{found}", flush=True)
        return
    same = ""
    for other, theirs in results.items():
        if other != program and isinstance(theirs, dict):
            a, b = np.array(found["result"]), np.array(theirs["result"])
            if a.shape == b.shape:
                with np.errstate(all="ignore"):
                    far = np.nanmax(np.abs(a - b) / np.maximum(np.abs(b), 1e-300))
                same += f" {far:.1e} from {other};"
    if len(found["result"]) <= 3:
        same += " " + ", ".join(f"{value:.6g}" for value in found["result"])
    print(f"{task:44}{program:26}{found['version']:10}{found['cpu_s']:8.2f}"
          f"{found['peak_mb']:7.0f} {same}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
