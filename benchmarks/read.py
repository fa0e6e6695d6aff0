"""CPU time and peak memory of reading one ThunderSTORM table of a million rows, and MINFLUX rows.

Each reader runs in a process of its own, seven times; the least CPU time counts, because other
work on the machine only adds. Peers are run with the Python of their own environment::

    python benchmarks/read.py --rows 1000000 \\
        --python locan=/path/to/locan/bin/python --python picasso=/path/to/picasso/bin/python \\
        --python pyminflux=/path/to/pyminflux/bin/python

Readers without an environment are skipped, which the table says.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# What runs in the other process: READ gives a function of the path.
HARNESS = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
path = sys.argv[1]
{setup}
best, rows = float("inf"), 0
for _ in range(7):
    begin = time.process_time()
    result = read(path)
    best = min(best, time.process_time() - begin)
    rows = {rows}
    del result
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"cpu_s": best, "peak_mb": peak, "rows": rows}}))
"""

TABLE_READERS = {
    "pyarrow": ("import pyarrow.csv\nread = pyarrow.csv.read_csv", "len(result)"),
    "nanospine": ("import nanospine\nread = nanospine.read", "len(result)"),
    "pandas": ("import pandas\nread = pandas.read_csv", "len(result)"),
    "locan": (
        "import locan\nread = lambda path: locan.load_thunderstorm_file(path)",
        "len(result.data)",
    ),
    "picasso": (
        "from picasso import io\nread = lambda path: io.import_ts(path, 100)",
        "len(result[0])",
    ),
}
MINFLUX_READERS = {
    "nanospine": ("import nanospine\nread = nanospine.read", "len(result)"),
    "pyminflux": (
        "from pyminflux.reader import MinFluxReaderFactory\n"
        "def read(path):\n"
        "    reader, _ = MinFluxReaderFactory.get_reader(path)\n"
        "    return reader(path).processed_dataframe",
        "len(result)",
    ),
}
ITERATION = [("itr", "i4"), ("tic", "u8"), ("loc", "f8", (3,)), ("lnc", "f8", (3,)),
             ("eco", "i4"), ("ecc", "i4"), ("efo", "f8"), ("efc", "f8"), ("sta", "i4"),
             ("cfr", "f8"), ("dcr", "f8"), ("ext", "f8", (3,)), ("gvy", "f8"), ("gvx", "f8"),
             ("eoy", "f8"), ("eox", "f8"), ("dmz", "f8"), ("lcy", "f8"), ("lcx", "f8"),
             ("lcz", "f8"), ("fbg", "f8")]  # fmt: skip


def write_table(path: Path, n: int) -> None:
    """Write a ThunderSTORM csv with 13 columns, as the program writes it."""
    import pyarrow as pa
    import pyarrow.csv

    random = np.random.default_rng(0)
    columns = {
        "id": np.arange(1, n + 1),
        "frame": np.sort(random.integers(1, 50_000, n)),
        "x [nm]": random.uniform(0, 40_000, n).round(5),
        "y [nm]": random.uniform(0, 40_000, n).round(5),
        "z [nm]": random.normal(0, 300, n).round(4),
        "sigma1 [nm]": random.uniform(100, 200, n).round(1),
        "sigma2 [nm]": random.uniform(100, 200, n).round(1),
        "intensity [photon]": random.integers(500, 9000, n),
        "offset [photon]": random.integers(50, 150, n),
        "bkgstd [photon]": random.uniform(5, 20, n).round(2),
        "uncertainty_xy [nm]": random.uniform(3, 30, n).round(2),
        "uncertainty_z [nm]": random.uniform(5, 60, n).round(2),
        "detections": random.integers(1, 9, n),
    }
    header = ",".join(f'"{name}"' for name in columns) + "\n"
    with path.open("wb") as file:
        file.write(header.encode())
        options = pyarrow.csv.WriteOptions(include_header=False)
        pyarrow.csv.write_csv(pa.table(columns), file, options)


def write_minflux(path: Path, n: int) -> None:
    """Write m2205 rows of five iterations."""
    random = np.random.default_rng(0)
    kind = [("itr", ITERATION, (5,)), ("sqi", "u4"), ("gri", "u4"), ("tim", "f8"), ("tid", "i4"),
            ("vld", "?"), ("act", "?"), ("dos", "i4"), ("sky", "i4")]  # fmt: skip
    rows = np.zeros(n, kind)
    rows["itr"]["loc"][..., :2] = random.uniform(-1e-5, 1e-5, (n, 5, 2))
    for name in ("efo", "cfr", "dcr"):
        rows["itr"][name] = random.uniform(0.1, 1, (n, 5))
    rows["itr"]["eco"] = 70
    rows["tim"], rows["tid"], rows["vld"] = np.arange(n) * 1e-3, np.arange(n) // 10, True
    rows["itr"]["itr"] = np.arange(5)
    np.save(path, rows)


def measure(python: str, setup: str, rows: str, path: Path) -> dict[str, float] | str:
    """Give CPU seconds, peak MB and rows; or why there are none."""
    code = HARNESS.format(setup=setup, rows=rows)
    done = subprocess.run([python, "-c", code, str(path)], capture_output=True, text=True)
    if done.returncode != 0:
        return (done.stderr.strip().splitlines() or ["failed"])[-1][:80]
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(readers: dict[str, tuple[str, str]], pythons: dict[str, str], path: Path) -> None:
    """Print one table; the first reader is the measure of the others."""
    first: dict[str, float] | None = None
    print(f"{'reader':<12}{'CPU s':>8}{'peak MB':>9}{'rows':>10}{'x CPU':>8}{'x peak':>8}")
    for name, (setup, rows) in readers.items():
        own = name in ("pyarrow", "nanospine", "pandas")
        python = pythons.get(name, sys.executable if own else "")
        if not python:
            print(f"{name:<12}  skipped: give --python {name}=...")
            continue
        found = measure(python, setup, rows, path)
        if isinstance(found, str):
            print(f"{name:<12}  failed: {found}")
            continue
        first = first or found
        print(
            f"{name:<12}{found['cpu_s']:>8.3f}{found['peak_mb']:>9.0f}{found['rows']:>10.0f}"
            f"{found['cpu_s'] / first['cpu_s']:>8.2f}{found['peak_mb'] / first['peak_mb']:>8.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--minflux-rows", type=int, default=100_000)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PYTHON")
    options = parser.parse_args()
    pythons = dict(item.split("=", 1) for item in options.python)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        write_table(table, options.rows)
        print(f"ThunderSTORM csv, {options.rows} rows, {table.stat().st_size / 1e6:.0f} MB")
        compare(TABLE_READERS, pythons, table)
        minflux = Path(folder) / "minflux.npy"
        write_minflux(minflux, options.minflux_rows)
        print(f"\nMINFLUX npy, {options.minflux_rows} rows, {minflux.stat().st_size / 1e6:.0f} MB")
        compare(MINFLUX_READERS, pythons, minflux)


if __name__ == "__main__":
    main()
