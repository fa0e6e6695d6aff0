"""What a whole run costs as localizations grow: read, filter, link, envelope, spines, tables.

`nanospine run` on a ThunderSTORM table, from the start of the command to the folder of results
(without pictures), its CPU time and the largest memory. Molecules lie on the membrane and are on
for two frames on average in a recording of 20,000. Growing in two ways:

field: dendrites of 4 um with six spines stand beside each other, 100,000 localizations each;
density: one dendrite of 40 um with sixty spines carries more and more of them.

The exponent b of cost = a n^b is the slope through the points in log-log. The cost of a start with
next to nothing to do is in every figure; `exponent` is fitted to what is left without it::

    python benchmarks/end_to_end.py --grow field --points 100000 1000000 --figure end_to_end.png
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SMALL = 3_000
UNIT = 100_000
STEPS = ("read", "filter", "envelope", "spines", "write")
CONFIG = """
[input]
path = "{path}"
[output]
folder = "{folder}"
pictures = false
[[filter]]
column = "photons"
min = 600
[[step]]
do = "link_localizations"
distance_nm = 25.0
dark_frames = 1
distance_z_nm = 60.0
"""


def main() -> None:
    """Print a row for each number of localizations, and the exponent."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--grow", choices=["field", "density"], default="field")
    parser.add_argument("--points", type=int, nargs="+", default=[10**5, 10**6])
    parser.add_argument("--folder", type=Path, help="with room for 150 bytes per localization")
    parser.add_argument("--json", type=Path, help="add the figures to this file")
    parser.add_argument("--figure", type=Path, help="draw all that the file of --json holds")
    arguments = parser.parse_args()
    rows = []
    print(
        f"{'localizations':>14}{'spines':>8}{'CPU s':>9}{'peak GB':>9}  wall s of: "
        + ", ".join(STEPS)
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        place = Path(name)
        shape = dendrite(4000 if arguments.grow == "field" else 40_000)
        start = measure(sampled(dendrite(4000), SMALL, "field"), place)["cpu_s"]
        print(f"a start, with {SMALL:,} localizations: {start:.1f} CPU s", flush=True)
        for n in arguments.points:
            row = {"grow": arguments.grow, "n": n, "start_s": start}
            row |= measure(sampled(shape, n, arguments.grow), place)
            rows.append(row)
            steps = "  ".join(f"{row['timings_s'].get(step, 0.0):.1f}" for step in STEPS)
            print(
                f"{n:14,}{row['n_spines']:8}{row['cpu_s']:9.1f}{row['peak_gb']:9.2f}  {steps}",
                flush=True,
            )
            if arguments.json:
                keep(row, arguments.json)
    print(f"exponent {exponent(rows):.2f}, with the start {exponent(rows, start=False):.2f}")
    if arguments.figure and arguments.json:
        draw(json.loads(arguments.json.read_text()), arguments.figure)


def dendrite(length_nm: float) -> Any:
    import nanospine as ns

    kinds = ["mushroom", "thin", "stubby"] * round(length_nm / 2000)
    return ns.simulate.dendrite(length_nm, kinds, seed=1)


def sampled(shape: Any, n: int, grow: str) -> Any:
    """Localizations of blinking molecules on the membrane of one dendrite, or of many."""
    import nanospine as ns

    rng = np.random.default_rng(0)
    each = UNIT if grow == "field" and n >= UNIT else n
    blinks = rng.geometric(0.5, each)
    blinks = blinks[: np.searchsorted(np.cumsum(blinks), each) + 1]
    area_um2 = shape.mesh.area / 1e6
    first = ns.simulate.localize(
        shape, density_per_um2=1.02 * len(blinks) / area_um2, seed=2, background_fraction=0,
    ).xyz_nm[: len(blinks)]  # fmt: skip
    molecule = np.repeat(np.arange(len(first)), blinks[: len(first)])[:each]
    copies = -(-n // len(molecule))
    side = int(np.ceil(np.sqrt(copies)))
    span = np.ptp(first, axis=0) + 1000.0
    xyz, frame = [], []
    for copy in range(copies):
        shift = np.array([copy % side * span[0], copy // side * span[1], 0.0])
        on = rng.integers(0, 20_000, len(first))
        step = np.arange(len(molecule)) - np.searchsorted(molecule, molecule)
        xyz.append(first[molecule] + shift + rng.normal(0, (4.0, 4.0, 8.0), (len(molecule), 3)))
        frame.append(on[molecule] + step)
    return ns.from_arrays(
        np.concatenate(xyz)[:n], frame=np.concatenate(frame)[:n],
        photons=rng.uniform(500, 3000, n), precision_nm=[8.0, 8.0, 16.0],
    )  # fmt: skip


def measure(locs: Any, place: Path) -> dict[str, Any]:
    """Run the command on a table and give what it took."""
    import nanospine as ns

    table, out, config = place / "field.csv", place / "results", place / "config.toml"
    ns.write(locs, table)
    del locs
    subprocess.run(["rm", "-rf", str(out)], check=True)
    config.write_text(CONFIG.format(path=table, folder=out))
    begin = time.perf_counter()
    # With Popen and wait4 the figures are those of this one process.
    command = [sys.executable, "-m", "nanospine", "run", str(config)]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit((place / "log").read_text()[-2000:])
    told = json.loads((out / "run.json").read_text())
    return {
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "wall_s": time.perf_counter() - begin,
        "peak_gb": usage.ru_maxrss / 1e6,
        "n_linked": told["n_localizations"],
        "n_spines": told["n_spines"],
        "timings_s": told["timings_s"],
    }


def exponent(rows: list[dict[str, Any]], *, start: bool = True) -> float:
    """Slope of log cost on log n."""
    if len(rows) < 2:
        return float("nan")
    n, cpu = values(rows, start=start)
    return float(np.polyfit(np.log(n), np.log(cpu), 1)[0])


def values(
    rows: list[dict[str, Any]], *, start: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    n = np.array([row["n"] for row in rows], dtype=np.float64)
    return n, np.array([row["cpu_s"] - (row["start_s"] if start else 0.0) for row in rows])


def keep(row: dict[str, Any], path: Path) -> None:
    rows = json.loads(path.read_text()) if path.exists() else []
    same = (row["grow"], row["n"])
    rows = [old for old in rows if (old["grow"], old["n"]) != same] + [row]
    rows.sort(key=lambda one: (one["grow"], one["n"]))
    path.write_text(json.dumps(rows, indent=1) + "\n")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    for grow, name in (("field", "more dendrites"), ("density", "more on one dendrite")):
        some = [row for row in rows if row["grow"] == grow]
        if some:
            n, cpu = values(some, start=True)
            axis.loglog(n, cpu, marker="o", label=f"{name}: exponent {exponent(some):.2f}")
    axis.set_xlabel("localizations")
    axis.set_ylabel("CPU seconds of the whole run")
    axis.legend(frameon=False)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
