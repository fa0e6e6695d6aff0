"""The surface of a field from a partitioned table on disk: cost, memory, equal to serial or not.

Simulated dendrites (label on the membrane) stand beside each other until the number is reached, in
files of one million rows. `nanospine field` runs with two processes, with a dask scheduler and two
workers that are started as commands, one of which is killed when a tenth of the tiles is done, and
(`--serial`) all at once in one process. Whether a surface is closed is counted in its file, edge by
edge (`huge_field_closed.py`)::

    python benchmarks/huge_field.py --points 10000000 --serial
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from huge_field_closed import closedness

ALPHA_NM = 100.0
SERIAL = """
import json, resource, sys, time
from nanospine.output.export import write_mesh
from nanospine.surface.alpha_complex import alpha_complex
start = time.process_time()
mesh = alpha_complex(sys.argv[1], float(sys.argv[2]), points_per_tile=None).surface(
    sys.argv[1], voids="fill")
cpu = time.process_time() - start
write_mesh(mesh, sys.argv[3])
print(json.dumps({"cpu_s": cpu, "n_faces": len(mesh.faces),
                  "peaks_gb": [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]}))
"""


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--serial", action="store_true", help="all at once as well")
    parser.add_argument("--only", nargs="*", default=["processes", "dask"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="with room for 150 bytes per point")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        place = Path(name)
        planted = make_table(place / "table", arguments.points)
        size = sum(item.stat().st_size for item in (place / "table").rglob("*.parquet"))
        print(
            f"{arguments.points:,} localizations, {size / 1e9:.2f} GB of Parquet; "
            f"{planted[0]:.2f} dendrites of {planted[1] / 1e9:.3f} µm³",
            flush=True,
        )
        sums = []
        for way in arguments.only:
            run = with_processes if way == "processes" else with_dask
            sums.append(shown(way, run(place, arguments.jobs), place / way / "surface.ply"))
        if arguments.serial:
            done = subprocess.run(
                [sys.executable, "-c", SERIAL, str(place / "table"), str(ALPHA_NM),
                 str(place / "serial.ply")],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
            sums.append(shown("at once", found, place / "serial.ply"))
        if len(sums) > 1:
            print("the same bytes" if len(set(sums)) == 1 else "NOT THE SAME")
        for mesh in list(place.glob("*.ply"))[:1]:
            print(closedness(mesh), flush=True)


def make_table(folder: Path, n: int) -> tuple[float, float]:
    """Write the table; give how many dendrites are in it, and the volume of one (nm3)."""
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
    return n / len(one), float(shape.mesh.volume)


def command(place: Path, way: str, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "nanospine", "field", str(place / "table"), "-o", str(place / way),
        "--alpha-nm", str(ALPHA_NM), "--json", *more,
    ]  # fmt: skip


class Watch(threading.Thread):
    """Peak memory of a process and of each that it starts, disk in a folder, and CPU seconds."""

    def __init__(self, pid: int, folder: Path) -> None:
        super().__init__(daemon=True)
        self.pid, self.folder = pid, folder
        self.peaks_gb: dict[int, float] = {}
        self.cpu: dict[int, float] = {}
        self.disk_gb = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        """Look five times a second."""
        tick = os.sysconf("SC_CLK_TCK")
        for turn in range(10**9):
            if self.over.wait(0.2):
                return
            for item in Path("/proc").glob("[0-9]*"):
                try:
                    after = (item / "stat").read_text().rpartition(")")[2].split()
                    if int(item.name) != self.pid and int(after[1]) != self.pid:
                        continue
                    status = (item / "status").read_text()
                    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1e6
                except (OSError, IndexError, ValueError):
                    continue
                self.peaks_gb[int(item.name)] = peak
                self.cpu[int(item.name)] = (int(after[11]) + int(after[12])) / tick
            if turn % 25 == 0:
                self.disk_gb = max(self.disk_gb, disk_gb(self.folder))


def disk_gb(folder: Path) -> float:
    total = 0
    for place, _, names in os.walk(folder):  # which folders go while it looks does not stop it
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).stat().st_blocks * 512
    return total / 1e9


def with_processes(place: Path, jobs: int) -> dict[str, Any]:
    """Processes of this machine."""
    start = time.perf_counter()
    run = subprocess.Popen(
        command(place, "processes", "--jobs", f"{jobs}"), stdout=subprocess.PIPE, text=True
    )
    watch = Watch(run.pid, place / "processes")
    watch.start()
    text = run.communicate()[0]
    watch.over.set()
    if run.returncode:
        raise SystemExit(f"nanospine field ended with {run.returncode}")
    peaks = [watch.peaks_gb.pop(run.pid), *sorted(watch.peaks_gb.values(), reverse=True)[:2]]
    return {
        **json.loads(text),
        "cpu_s": sum(watch.cpu.values()),
        "parent_cpu_s": watch.cpu[run.pid],
        "wall_s": time.perf_counter() - start,
        "peaks_gb": peaks,
        "disk_gb": watch.disk_gb,
    }


def with_dask(place: Path, jobs: int) -> dict[str, Any]:
    """A scheduler and workers as commands; one worker is killed in the middle."""
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
        for _ in range(jobs):
            started.append(
                subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-nanny",
                                  "--no-dashboard"], cwd=place, **quiet)
            )  # fmt: skip
        start = time.perf_counter()
        run = subprocess.Popen(
            command(place, "dask", "--scheduler", address), stdout=subprocess.PIPE, text=True
        )
        tiles = place / "dask" / "tiles"
        while run.poll() is None and len(list(tiles.glob("*/tile-*"))) < 2:
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
    with mesh.open("rb") as file:
        total = hashlib.file_digest(file, "sha256").hexdigest()
    names = (
        "n_tiles",
        "n_parts",
        "volume_nm3",
        "tetrahedra_volume_nm3",
        "solid_volume_nm3",
        "cpu_s",
        "parent_cpu_s",
        "wall_s",
        "disk_gb",
    )
    figures = [f"{name.replace('_', ' ')} {found[name]:,.1f}" for name in names if name in found]
    figures += [f"peak {peak:.2f} GB" for peak in found.get("peaks_gb", [])]
    print(f"{way}: {found['n_faces']:,} faces, {', '.join(figures)}, SHA-256 {total[:12]}",
          flush=True)  # fmt: skip
    if mesh.parent.name == way:
        shutil.move(mesh, mesh.parent.parent / f"{way}.ply")
    return total


if __name__ == "__main__":
    main()
