"""Linking of blinks against Picasso: the same events, and the CPU time of both.

Given files, `link` of both is run on each for several distances and dark times, and the numbers of
events and the partitions compared (`other rows`: localizations whose event has other members);
`nearest` is the number of events by nanospine's default, which takes the nearest localization where
Picasso takes the first of the table. Simulated: molecules all over a field, on for some frames. At
the end of the table Picasso searches the whole table from an index that was never set, so that one
event may differ. Each run has a process of its own; numba compiles before the clock starts::

    python benchmarks/linking.py --picasso-python /path/to/picasso/bin/python \\
        --points 100000 1000000 --files locs.hdf5 ...
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

HARNESS = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
columns = np.load(sys.argv[1])
distance, dark = float(sys.argv[3]), int(sys.argv[4])
{setup}
work(prepare({{key: value[:500] for key, value in columns.items()}}))
data = prepare(dict(columns))
before = peak()
begin = time.process_time()
events, ids = work(data)
cpu = time.process_time() - begin
np.save(sys.argv[2], ids)
print(json.dumps({{"cpu_s": cpu, "peak_mb": peak() - before, "events": events,
                   "nearest": other(data), "version": version}}))
"""
SETUPS = {
    "nanospine": """
import nanospine as ns
version = ns.__version__
def prepare(columns):
    return ns.from_arrays(np.column_stack([columns["x"], columns["y"]]), frame=columns["frame"],
                          photons=columns["photons"], precision_nm=10.0)
def work(locs):
    merged = ns.link_localizations(locs, distance, dark_frames=dark, ambiguous="first")
    return len(merged), ns.link_ids(locs, distance, dark_frames=dark, ambiguous="first")
def other(locs):
    return int(ns.link_ids(locs, distance, dark_frames=dark).max()) + 1
""",
    "picasso": """
import picasso, pandas as pd
from picasso import postprocess
version = getattr(picasso, "__version__", "?")
def prepare(columns):
    table = pd.DataFrame({"frame": columns["frame"].astype("u4"), "x": columns["x"],
                          "y": columns["y"], "photons": columns["photons"]})
    for name in ("sx", "sy", "bg", "lpx", "lpy", "ellipticity", "net_gradient"):
        table[name] = 0.1
    return table
def work(table):
    info = [{"Frames": int(table["frame"].max()) + 1, "Width": 512, "Height": 512}]
    merged = postprocess.link(table, info, distance, dark, remove_ambiguous_lengths=False)
    ids = postprocess._get_link_groups(table["frame"].to_numpy(), table["x"].to_numpy(),
                                       table["y"].to_numpy(), distance, dark,
                                       np.zeros(len(table), dtype=np.int32))
    return len(merged), ids
def other(table):
    return 0
""",
}


def simulated(n: int, seed: int = 0) -> dict[str, npt.NDArray[np.float64]]:
    """Molecules in a field with 200 localizations in each frame, on for 4 frames on average."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(0.25, n // 4)
    places = rng.uniform(0, 25_000, (len(lengths), 2))
    start = rng.integers(0, max(n // 200, 1), len(lengths))
    blink = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(len(blink)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    frame = start[blink] + step
    order = np.argsort(frame, kind="stable")
    xy = places[blink] + rng.normal(0, 10, (len(blink), 2))
    return {
        "x": xy[order, 0],
        "y": xy[order, 1],
        "frame": frame[order],
        "photons": rng.uniform(100, 1000, len(blink)),
    }


def from_file(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """Give the columns of a file in nanometres, in the order of frames."""
    import nanospine as ns

    table = ns.read(path).table
    order = np.argsort(table["frame"].to_numpy(), kind="stable")
    names = {"x": "x_nm", "y": "y_nm", "frame": "frame", "photons": "photons"}
    return {
        key: np.asarray(table[name] if name in table else np.ones(len(table)))[order]
        for key, name in names.items()
    }


def run(
    python: str, setup: str, data: Path, folder: Path, distance: float, dark: int
) -> tuple[dict[str, float], npt.NDArray[np.int64]]:
    """Run one tool in its own process."""
    out = folder / "ids.npy"
    code = HARNESS.format(setup=setup)
    command = [python, "-c", code, str(data), str(out), str(distance), str(dark)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]), np.load(out)


def same_partition(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> int:
    """Count the rows whose group has other members in the other partition."""
    pair = np.unique(np.column_stack([a, b]), axis=0)
    lone_a = np.bincount(pair[:, 0])[a] == 1
    lone_b = np.bincount(pair[:, 1])[b] == 1
    return int((~(lone_a & lone_b)).sum())


def main() -> None:
    """Print a row for each set, distance and dark time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--picasso-python", required=True)
    parser.add_argument("--points", type=int, nargs="*", default=[])
    parser.add_argument("--files", type=Path, nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    sets = [(f"{n} simulated", lambda n=n: simulated(n)) for n in arguments.points]
    sets += [(path.name, lambda path=path: from_file(path)) for path in arguments.files]
    print(
        f"{'set':28}{'distance':>9}{'dark':>5}{'events':>10}{'picasso':>10}{'other rows':>11}"
        f"{'nearest':>9}{'cpu s':>8}{'picasso':>8}{'ratio':>7}{'MB':>7}{'picasso':>8}"
    )
    for name, make in sets:
        columns = make()
        settings = [(40.0, 1)] if "simulated" in name else [(20.0, 0), (50.0, 1), (130.0, 3)]
        for distance, dark in settings:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                np.savez(folder / "data.npz", **columns)
                times: dict[str, list[float]] = {"nanospine": [], "picasso": []}
                results = {}
                for _ in range(arguments.repeats):
                    for tool, setup in SETUPS.items():
                        python = sys.executable if tool == "nanospine" else arguments.picasso_python
                        data = folder / "data.npz"
                        results[tool] = run(python, setup, data, folder, distance, dark)
                        times[tool].append(results[tool][0]["cpu_s"])
            ours, theirs = (results[tool][0] for tool in SETUPS)
            other = same_partition(results["nanospine"][1], results["picasso"][1])
            own_s, their_s = (float(np.median(times[tool])) for tool in SETUPS)
            print(
                f"{name:28}{distance:9g}{dark:5}{ours['events']:10}{theirs['events']:10}{other:11}{ours['nearest']:9}"
                f"{own_s:8.2f}{their_s:8.2f}{their_s / own_s:7.1f}"
                f"{ours['peak_mb']:7.0f}{theirs['peak_mb']:8.0f}",
                flush=True,
            )
    print(f"nanospine {ours['version']}, picassosr {theirs['version']}")


if __name__ == "__main__":
    main()
