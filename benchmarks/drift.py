"""Drift of planted size against Picasso: error and CPU time of RCC and AIM, in one run.

Molecules on the surface of a simulated dendrite blink over 20,000 frames (3 localizations each
time, precision 10 nm, 20 nm along z, 5 % background) while the sample drifts by 200 nm along each
axis, smoothly or like a random walk. The error is the root mean square over localizations, a
constant taken off. Each run has a process of its own; what numba compiles is not counted::

    python benchmarks/drift.py --picasso-python /path/to/picasso/bin/python \\
        --points 5000 20000 100000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

import nanospine as ns

FRAMES, SPAN, PIXEL = 20_000, 200.0, 130.0
FloatArray = npt.NDArray[np.float64]

HARNESS = """
import json, resource, sys, time, warnings, os
warnings.simplefilter("ignore")
import numpy as np
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
data = dict(np.load(sys.argv[1]))
xyz, frame = data["xyz"], data["frame"]
sys.stdout = open(os.devnull, "w")
{setup}
few = np.sort(np.random.default_rng(0).permutation(len(xyz))[:3000])
try:
    work(prepare(xyz[few], frame[few]))
except Exception:
    pass
given = prepare(xyz, frame)
before = peak()
begin, wall = time.process_time(), time.perf_counter()
drift, told = work(given)
cpu = time.process_time() - begin
sys.stdout = sys.__stdout__
np.savez(sys.argv[2], drift=drift, told=told)
print(json.dumps({{"cpu_s": cpu, "peak_mb": peak() - before, "version": version}}))
"""
OWN = """
import nanospine as ns
version = "nanospine " + ns.__version__
def prepare(xyz, frame):
    z = dict(precision_z_nm=np.full(len(xyz), 20.0)) if xyz.shape[1] == 3 else dict()
    return ns.from_arrays(xyz, frame=frame, precision_x_nm=np.full(len(xyz), 10.0),
                          precision_y_nm=np.full(len(xyz), 10.0), **z)
def work(locs):
    found = ns.estimate_drift(locs, method="{method}")
    return found.at(np.arange(20000)), np.sqrt(np.mean(found.std_nm**2, axis=0))
"""
PICASSO = """
import picasso, pandas as pd
from picasso import postprocess, aim
version = "picassosr " + getattr(picasso, "__version__", "?")
PIXEL = 130.0
def prepare(xyz, frame):
    low = xyz[:, :2].min(axis=0) - 5 * PIXEL
    table = pd.DataFrame({{"frame": frame.astype("u4"), "x": ((xyz[:, 0] - low[0]) / PIXEL),
                           "y": ((xyz[:, 1] - low[1]) / PIXEL)}}).astype(
                               {{"x": "f4", "y": "f4"}})
    if xyz.shape[1] == 3:
        table["z"] = xyz[:, 2].astype("f4")
    for name, value in (("photons", 1000.0), ("sx", 1.0), ("sy", 1.0), ("bg", 1.0),
                        ("lpx", 10 / PIXEL), ("lpy", 10 / PIXEL)):
        table[name] = np.float32(value)
    size = np.ceil((xyz[:, :2].max(axis=0) - low) / PIXEL + 5).astype(int)
    info = [{{"Frames": 20000, "Width": int(size[0]), "Height": int(size[1]),
              "Pixelsize": PIXEL}}, {{"Pixelsize": PIXEL}}]
    return table.sort_values("frame", kind="stable").reset_index(drop=True), info
def work(given):
    table, info = given
    {call}
    columns = [np.asarray(drift["x"]) * PIXEL, np.asarray(drift["y"]) * PIXEL]
    if "z" in table:
        names = list(getattr(drift, "columns", [])) or list(getattr(drift.dtype, "names", []))
        columns.append(np.asarray(drift["z"]) if "z" in names else np.zeros(len(columns[0])))
    return np.column_stack(columns), np.full(len(columns), np.nan)
"""
SETUPS = {
    "nanospine overlap": OWN.format(method="overlap"),
    "nanospine rcc": OWN.format(method="rcc"),
    "Picasso RCC, 1000 frames": PICASSO.format(
        call="drift, _ = postprocess.undrift(table, info, 1000, display=False)"
    ),
    "Picasso AIM, 100 frames": PICASSO.format(
        call="_, _, drift = aim.aim(table, info, segmentation=100)"
    ),
    "Picasso AIM, 1000 frames": PICASSO.format(
        call="_, _, drift = aim.aim(table, info, segmentation=1000)"
    ),
}


def planted(dimension: int, rough: bool, seed: int) -> FloatArray:
    """A drift of 200 nm along each axis."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, FRAMES)[:, None]
    if rough:
        trace = np.cumsum(rng.normal(size=(FRAMES, dimension)), axis=0)
    else:
        trace = t * rng.normal(size=dimension)
        for wave in range(1, 6):
            phase = rng.uniform(0, 2 * np.pi, dimension)
            trace = trace + rng.normal(size=dimension) * np.sin(np.pi * wave * t + phase) / wave
    return np.asarray(trace * SPAN / np.ptp(trace, axis=0))


def movie(
    n: int, dimension: int, rough: bool, seed: int
) -> tuple[FloatArray, npt.NDArray[np.int64], FloatArray]:
    """Positions, frames and the planted drift."""
    rng = np.random.default_rng(seed + 100)
    types = ["mushroom", "thin", "stubby", "mushroom", "thin"]
    shape = ns.simulate.dendrite(8000, types, seed=seed)
    count = max(n // 15, 50)
    place = np.asarray(shape.mesh.sample(count, seed=seed))[:, :dimension]
    which = np.repeat(rng.integers(0, count, n // 3), 3)
    frame = (rng.integers(0, FRAMES - 3, n // 3)[:, None] + np.arange(3)).ravel()
    low, high = place.min(axis=0), place.max(axis=0)
    xyz = np.concatenate([place[which], rng.uniform(low, high, (n // 20, dimension))])
    frame = np.concatenate([frame, rng.integers(0, FRAMES, n // 20)])
    trace = planted(dimension, rough, seed)
    noise = rng.normal(size=xyz.shape) * np.array([10.0, 10, 20])[:dimension]
    return xyz + trace[frame] + noise, frame, trace


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--picasso-python")
    parser.add_argument("--points", type=int, nargs="*", default=[5000, 20_000, 100_000])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    versions = set()
    for n in arguments.points:
        for dimension in (2, 3):
            for rough in (False, True):
                print(f"\n{n} localizations, {dimension}-D, {'random walk' if rough else 'smooth'}")
                print(f"{'':26}{'RMS nm, each axis':>24}{'told':>20}{'CPU s':>8}{'MB':>7}")
                for name, setup in SETUPS.items():
                    if name.startswith("Picasso") and not arguments.picasso_python:
                        continue
                    python = (
                        arguments.picasso_python if name.startswith("Picasso") else sys.executable
                    )
                    errors, told, cpu, peak = [], [], [], []
                    for seed in range(arguments.seeds):
                        xyz, frame, trace = movie(n, dimension, rough, seed)
                        with tempfile.TemporaryDirectory() as folder:
                            data, out = Path(folder) / "data.npz", Path(folder) / "out.npz"
                            np.savez(data, xyz=xyz, frame=frame)
                            code = HARNESS.format(setup=setup)
                            done = subprocess.run(
                                [python, "-c", code, str(data), str(out)],
                                capture_output=True, text=True, check=False,
                            )  # fmt: skip
                            if done.returncode:
                                print(f"{name:26} failed: {done.stderr.strip().splitlines()[-1]}")
                                break
                            figures = json.loads(done.stdout.splitlines()[-1])
                            found = np.load(out)
                        error = (found["drift"] - trace)[frame]
                        errors.append(((error - error.mean(axis=0)) ** 2).mean(axis=0))
                        told.append(found["told"] ** 2)
                        cpu.append(figures["cpu_s"])
                        peak.append(figures["peak_mb"])
                        versions.add(figures["version"])
                    if errors:
                        rms, std = np.sqrt(np.mean(errors, axis=0)), np.sqrt(np.mean(told, axis=0))
                        print(
                            f"{name:26}{'  '.join(f'{item:6.2f}' for item in rms):>24}"
                            f"{'  '.join(f'{item:5.2f}' for item in std):>20}"
                            f"{np.median(cpu):8.2f}{np.median(peak):7.0f}",
                            flush=True,
                        )
    print("\n" + ", ".join(sorted(versions)))


if __name__ == "__main__":
    main()
