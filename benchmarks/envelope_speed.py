"""Where the time of an envelope goes: CPU seconds of its stages, peak memory, and what Qhull takes.

Each size runs in a process of its own. Data: near a surface as in `benchmarks/delaunay.py` (a wavy
tube, noise of 10, 10, 20 nm); the spine of `benchmarks/envelope_quality.py` with a membrane or a
filled label. The ratios are to the triangulation alone, by our engine and by Qhull through scipy.

    python benchmarks/envelope_speed.py [--points 50000 1000000] [--data near membrane filled]
        [--scipy]
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import delaunay as engines
import envelope_quality as spine
import numpy as np
import numpy.typing as npt

from nanospine.surface import carving
from nanospine.surface.delaunay import delaunay

# the name of the module is that of its function in the package
wrapping = importlib.import_module("nanospine.surface.envelope")
FloatArray = npt.NDArray[np.float64]

# Functions that `envelope` calls, by the module that calls them, in this order; the last row is the
# rest of its time.
STAGES = (
    (carving, "scattered", "what is no label"),
    (carving, "label_scale", "density of the label"),
    (carving, "_triangulation", "triangulation"),
    (carving, "carving_depth", "gates, flood, holes"),
    (carving, "choose_alpha", "choice of alpha"),
    (carving, "inside_components", "bodies"),
    (carving, "persistence", "persistence"),
    (carving, "boundary_surface", "boundary"),
    (wrapping, "_fitted", "smoothing and fit"),
    (wrapping, "self_intersections", "self-intersections"),
)


def points_of(data: str, n: int) -> tuple[FloatArray, str]:
    if data == "near":
        return engines.near_surface(n), "membrane"
    return spine.localizations(spine.true_mesh(), data, n, 0), data


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(module: Any, name: str, spent: dict[str, float]) -> Callable[..., Any]:
    inner = getattr(module, name)

    def run(*arguments: Any, **named: Any) -> Any:
        begin = time.process_time()
        result = inner(*arguments, **named)
        spent[name] = spent.get(name, 0.0) + time.process_time() - begin
        return result

    return run


def measure(data: str, n: int, what: str) -> dict[str, Any]:
    """CPU seconds and peak memory over that of the data, after everything is compiled."""
    small, label = points_of(data, 5000)
    if what == "scipy":
        from scipy.spatial import Delaunay as Qhull

        work: Callable[[FloatArray], Any] = Qhull
    elif what == "triangulation":
        work = delaunay
    else:

        def work(xyz: FloatArray) -> Any:
            return wrapping.envelope(xyz, label=label)  # type: ignore[arg-type]

        wrapping.envelope(small, label="membrane")
    work(small)
    points, _ = points_of(data, n)
    before = peak_mb()
    spent: dict[str, float] = {}
    if what == "envelope":
        for module, name, _ in STAGES:
            setattr(module, name, timed(module, name, spent))
    begin, clock = time.process_time(), time.perf_counter()
    result = work(points)
    cpu, wall = time.process_time() - begin, time.perf_counter() - clock
    faces = len(result.mesh.faces) if what == "envelope" else 0
    return {"cpu": cpu, "wall": wall, "peak": peak_mb() - before, "faces": faces, "spent": spent}


def in_process(data: str, n: int, what: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", data, str(n), what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, nargs="+", default=[50_000, 1_000_000])
    parser.add_argument("--data", nargs="+", default=["near", "membrane", "filled"])
    parser.add_argument("--scipy", action="store_true", help="Qhull too: 100 s at a million points")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.one[2])))
        return
    for data in options.data:
        for n in options.points:
            alone = in_process(data, n, "triangulation")
            whole = in_process(data, n, "envelope")
            print(f"\n{data}, {n} points: {whole['faces']} faces")
            print(f"  {'':<22}{'CPU s':>8}{'x ours':>8}")
            rest = whole["cpu"] - sum(whole["spent"].values())
            for _, name, title in (*STAGES, (None, "", "all else")):
                seconds = whole["spent"].get(name, 0.0) if name else rest
                print(f"  {title:<22}{seconds:>8.2f}{seconds / alone['cpu']:>8.2f}")
            rows = [("envelope", whole), ("triangulation alone", alone)]
            if options.scipy:
                rows.append(("Qhull alone", in_process(data, n, "scipy")))
            print(f"  {'':<22}{'CPU s':>8}{'x ours':>8}{'wall s':>8}{'peak MB':>9}{'x ours':>8}")
            for title, found in rows:
                print(
                    f"  {title:<22}{found['cpu']:>8.2f}{found['cpu'] / alone['cpu']:>8.2f}"
                    f"{found['wall']:>8.2f}{found['peak']:>9.0f}"
                    f"{found['peak'] / max(alone['peak'], 1.0):>8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
