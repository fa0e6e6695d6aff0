"""The surface of a field from a partitioned table on disk: cost, memory, equal to serial or not.

Simulated dendrites (label on the membrane) stand beside each other until the number is reached, in
files of one million rows. `nanospine field` runs with two processes, with a dask scheduler and two
workers that are started as commands, one of which is killed when a tenth of the tiles is done, and
(`--serial`) all at once in one process::

    python benchmarks/huge_field.py --points 10000000 --serial
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ALPHA_NM = 100.0
SERIAL = """
import hashlib, json, resource, sys, time
from pathlib import Path
import numpy as np
from nanospine.output.export import write_mesh
from nanospine.surface.alpha_complex import alpha_complex
start = time.process_time()
mesh = alpha_complex(sys.argv[1], float(sys.argv[2]), points_per_tile=None).surface(
    sys.argv[1], voids="fill")
cpu = time.process_time() - start
write_mesh(mesh, sys.argv[3])
print(json.dumps({"cpu_s": cpu, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                  "n_faces": len(mesh.faces)}))
"""


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--serial", action="store_true", help="all at once as well")
    parser.add_argument("--only", nargs="*", default=["processes", "dask"])
    parser.add_argument("--folder", type=Path, help="with room for 150 bytes per point")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        place = Path(name)
        make_table(place / "table", arguments.points)
        size = sum(item.stat().st_size for item in (place / "table").rglob("*.parquet"))
        print(f"{arguments.points:,} localizations, {size / 1e9:.2f} GB of Parquet", flush=True)
        sums = []
        for way in arguments.only:
            run = with_processes if way == "processes" else with_dask
            sums.append(shown(way, run(place), place / way / "surface.ply"))
        if arguments.serial:
            done = subprocess.run(
                [sys.executable, "-c", SERIAL, str(place / "table"), str(ALPHA_NM),
                 str(place / "serial.ply")],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
            sums.append(shown("at once", found, place / "serial.ply"))
        print("the same bytes" if len(set(sums)) == 1 else "NOT THE SAME")


def make_table(folder: Path, n: int) -> None:
    import pandas as pd

    import nanospine as ns

    shape = ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)
    locs = ns.simulate.localize(shape, density_per_um2=700, seed=2, background_fraction=0.02)
    one = locs.xyz_nm
    copies = -(-n // len(one))
    side = int(np.ceil(np.sqrt(copies)))
    span = np.ptp(one, axis=0) + 500.0
    rng = np.random.default_rng(0)
    written, parts, number = 0, [], 0
    for copy in range(copies):
        shift = np.array([copy % side * span[0], copy // side * span[1], 0.0])
        # Moved a little, so that no two dendrites are the same.
        parts.append(one + shift + rng.normal(0, 2.0, one.shape))
        held = sum(len(part) for part in parts)
        if held >= 1_000_000 or copy == copies - 1:
            rows = np.concatenate(parts)[: n - written]
            written, parts = written + len(rows), []
            place = folder / f"part={number:04d}"
            place.mkdir(parents=True)
            frame = pd.DataFrame(rows, columns=["x_nm", "y_nm", "z_nm"])
            frame.to_parquet(place / "data.parquet")
            number += 1


def command(place: Path, way: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "nanospine", "field", str(place / "table"), "-o", str(place / way),
        "--alpha-nm", str(ALPHA_NM), "--json", *more,
    ]  # fmt: skip


def with_processes(place: Path) -> dict[str, Any]:
    """Two processes of this machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        command(place, "processes", "--jobs", "2"), capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        **json.loads(done.stdout),
        "cpu_s": cpu,
        "wall_s": wall,
        "peak_mb": after.ru_maxrss / 1e3,
    }


def with_dask(place: Path) -> dict[str, Any]:
    """A scheduler and two workers as commands; one worker is killed in the middle."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([*dask, "scheduler", "--port", address.rsplit(":", 1)[1], "--no-dashboard",
                          "--host", "127.0.0.1"], cwd=place, **quiet)
    ]  # fmt: skip
    try:
        for _ in range(2):
            started.append(
                subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-nanny",
                                  "--no-dashboard"], cwd=place, **quiet)
            )  # fmt: skip
        start = time.perf_counter()
        run = subprocess.Popen(
            command(place, "dask", "--scheduler", address), stdout=subprocess.PIPE, text=True
        )
        tiles = place / "dask" / "tiles"
        while run.poll() is None and len(list(tiles.glob("*/tile-*.npz"))) < 2:
            time.sleep(0.05)
        started[1].kill()
        text = run.communicate()[0]
        if run.returncode:
            raise SystemExit(f"nanospine field ended with {run.returncode}")
        return {**json.loads(text), "wall_s": time.perf_counter() - start}
    finally:
        for process in started:
            process.kill()
            process.wait()


def shown(way: str, found: dict[str, Any], mesh: Path) -> str:
    total = hashlib.sha256(mesh.read_bytes()).hexdigest()
    tiles = f"{found['n_tiles']} tiles, " if "n_tiles" in found else ""
    figures = ", ".join(
        f"{name.replace('_', ' ')} {found[name]:.1f}"
        for name in ("cpu_s", "wall_s", "peak_mb")
        if name in found
    )
    print(f"{way}: {tiles}{found['n_faces']:,} faces, {figures}, SHA-256 {total[:12]}", flush=True)
    if mesh.parent.name == way:
        shutil.move(mesh, mesh.parent.parent / f"{way}.ply")
    return total


if __name__ == "__main__":
    main()
