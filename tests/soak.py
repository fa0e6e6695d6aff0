"""Kill a batch again and again, resume it, and compare its tables with an undisturbed run.

By hand or at night, not with pytest:

    python tests/soak.py --kills 20

Every round is a new batch of small files, killed once at a random moment (the command alone or
with its workers, in turns) and then resumed. Prints one line a round and the count; exit 0 when
every table of every round has the same bytes.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTINGS = """
[batch]
sheet = "samples.csv"
[output]
folder = "experiment"
pictures = false
"""


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--files", type=int, default=4)
    asked.add_argument("--jobs", type=int, default=2)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    chance = random.Random(options.seed)
    same = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        place = Path(name)
        undisturbed = experiment(place / "undisturbed", options.files)
        start = time.monotonic()
        if run(undisturbed, options.jobs).wait():
            print("the undisturbed run failed")
            return 1
        seconds = time.monotonic() - start
        expected = tables(undisturbed)
        for number in range(options.kills):
            config = experiment(place / f"round{number}", options.files)
            moment = chance.uniform(0, seconds)
            process = run(config, options.jobs)
            killed = kill(process, moment, group=bool(number % 2))
            done = len(list((config.parent / "experiment" / "files").glob("*/batch.json")))
            code = run(config, options.jobs).wait()
            good = code == 0 and tables(config) == expected
            left = [str(item) for item in config.parent.rglob(".*.part*")]
            same += good and not left
            when = f"killed after {moment:5.2f} s" if killed else f"ended before {moment:5.2f} s"
            print(f"{number + 1:3d} {when}, {done} of {options.files} files done; resumed: "
                  f"exit {code}, {'same' if good else 'DIFFERENT'} tables, {len(left)} leftovers",
                  flush=True)  # fmt: skip
            shutil.rmtree(config.parent)
    print(f"{same} of {options.kills} rounds ended in the same tables")
    return 0 if same == options.kills else 1


def experiment(place: Path, n_files: int) -> Path:
    import trimesh

    import nanospine as ns

    (place / "data").mkdir(parents=True)
    rows = ["file,condition,animal"]
    for number in range(n_files):
        mesh = trimesh.creation.icosphere(radius=250.0 + 20 * number, subdivisions=2)
        locs = ns.simulate.localize(mesh, density_per_um2=500, background_fraction=0, seed=number)
        ns.write(locs, place / "data" / f"ball{number}.csv")
        rows.append(f"data/ball{number}.csv,{'ab'[number % 2]},m{number}")
    (place / "samples.csv").write_text("\n".join(rows) + "\n")
    (place / "batch.toml").write_text(SETTINGS)
    return place / "batch.toml"


def run(config: Path, jobs: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "nanospine", "batch", str(config), "--jobs", str(jobs)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def kill(process: subprocess.Popen[bytes], moment: float, *, group: bool) -> bool:
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        return True
    return False


def tables(config: Path) -> dict[str, str]:
    folder = config.parent / "experiment"
    names = ("spines", "files", "units", "conditions", "comparisons")
    paths = [folder / f"{name}{suffix}" for name in names for suffix in (".csv", ".parquet")]
    paths += sorted(folder.glob("files/*/spines.*"))
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file()
    }


if __name__ == "__main__":
    raise SystemExit(main())
