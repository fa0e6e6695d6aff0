"""Spines of real shapes: EM dendrites against a person's list, SpineTool's marked vertices.

    python benchmarks/real_shapes.py em FOLDER [--localized]
    python benchmarks/real_shapes.py spinetool FOLDER

`em`: FOLDER holds `<name>.ply` of dendrites (um); the lists of `em_spines/` were made by eye before
any detection. A spine of the list is found when its tip lies on the surface of a found spine or
within 150 nm of it; one to one. Those that the person was not sure of count neither as missed nor
as false. With `--localized` the dendrite is first sampled to localizations and wrapped again.

`spinetool`: FOLDER holds `<name>.npz` with vertices_um, faces and spine_index (-1 = not marked).
IoU of the vertices of spines: of each marked spine with the found one that covers it best; of all
marked with all found (plain); with those found that touch a marked one (others may be spines nobody
marked); and with those found that are mostly marked, as a person would accept them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

import nanospine as ns

LISTS = Path(__file__).parent / "em_spines"
REACH_NM = 150.0
FloatArray = npt.NDArray[np.float64]


def matched(spines: ns.Spines, tips_nm: FloatArray) -> list[tuple[int, int]]:
    """Pairs (listed, found); each once, nearest first."""
    if not len(spines.spines):
        return []
    far = np.array([cKDTree(s.mesh.vertices).query(tips_nm)[0] for s in spines.spines]).T
    pairs = zip(*linear_sum_assignment(np.minimum(far, 10 * REACH_NM)), strict=True)
    return [(int(i), int(j)) for i, j in pairs if far[i, j] < REACH_NM]


def em(folder: Path, localized: bool, only: list[str]) -> None:
    print("| dendrite | listed (sure) | found | F1 | missed (number in the list) | false | CPU s |")
    print("|---|---|---|---|---|---|---|")
    hits = listed = false = 0
    for path in sorted(LISTS.glob("*.csv")):
        if only and path.stem not in only:
            continue
        table = pd.read_csv(path)
        tips = table[["tip_x_um", "tip_y_um", "tip_z_um"]].to_numpy() * 1000
        mesh = trimesh.load(folder / f"{path.stem}.ply", process=False)
        mesh.apply_scale(1000.0)
        start = time.process_time()
        if localized:
            locs = ns.simulate.localize(
                mesh, density_per_um2=1000.0, precision_xy_nm=10.0, precision_z_nm=20.0, seed=1
            )
            spines = ns.find_spines(ns.envelope(locs), locs)
        else:
            spines = ns.find_spines(mesh)
        seconds = time.process_time() - start
        pairs = matched(spines, tips)
        sure = table["sure"].to_numpy() == 1
        hit = sum(sure[i] for i, _ in pairs)
        wrong = sorted(set(range(len(spines.spines))) - {j for _, j in pairs})
        missed = sorted(set(np.flatnonzero(sure)) - {i for i, _ in pairs})
        hits, listed, false = hits + hit, listed + sure.sum(), false + len(wrong)
        where = [str(np.round(spines.spines[j].centreline_nm[-1] / 1000, 1)) for j in wrong]
        print(
            f"| {path.stem} | {len(table)} ({sure.sum()}) | {len(spines.spines)} | "
            f"{2 * hit / (sure.sum() + hit + len(wrong)):.2f} | "
            f"{', '.join(str(table['spine'][i]) for i in missed)} | {' '.join(where)} | "
            f"{seconds:.0f} |",
            flush=True,
        )
    print(f"all: F1 {2 * hits / (listed + hits + false):.3f}")


def iou(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Shared over all."""
    return float((a & b).sum() / (a | b).sum())


def spinetool(folder: Path, only: list[str]) -> None:
    print(
        "| dendrite | marked | given | IoU of each marked | plain | touching | accepted | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    each: list[float] = []
    shared, whole = np.zeros(3), np.zeros(3)
    for path in sorted(folder.glob("*.npz")):
        if only and path.stem not in only:
            continue
        data = np.load(path)
        mesh = trimesh.Trimesh(data["vertices_um"] * 1000, data["faces"], process=False)
        start = time.process_time()
        spines = ns.find_spines(mesh)
        seconds = time.process_time() - start
        # the closed mesh that was measured may have lost or gained vertices
        _, nearest = cKDTree(spines.envelope.vertices).query(mesh.vertices)
        given = spines.vertex_spine[nearest]
        true = data["spine_index"]
        here = []
        for number in np.unique(true[true >= 0]):
            marked = true == number
            best = 0.0
            for other in np.unique(given[marked & (given >= 0)]):
                best = max(best, iou(marked, given == other))
            here.append(best)
        marked = true >= 0
        kinds = (
            given >= 0,
            np.isin(given, np.unique(given[marked & (given >= 0)])) & (given >= 0),
            np.isin(
                given, [n for n in np.unique(given[given >= 0]) if marked[given == n].mean() > 0.5]
            ),
        )
        shared += [(kind & marked).sum() for kind in kinds]
        whole += [(kind | marked).sum() for kind in kinds]
        each += here
        print(
            f"| {path.stem} | {len(here)} | {len(spines.spines)} | {np.mean(here):.2f} | "
            + " | ".join(f"{iou(kind, marked):.2f}" for kind in kinds)
            + f" | {seconds:.0f} |",
            flush=True,
        )
    plain, touching, accepted = shared / whole
    print(
        f"all: each {np.mean(each):.3f} (median {np.median(each):.3f}), plain {plain:.3f}, "
        f"touching {touching:.3f}, accepted {accepted:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("em", "spinetool"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--localized", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    if given.what == "em":
        em(given.folder, given.localized, given.only)
    else:
        spinetool(given.folder, given.only)


if __name__ == "__main__":
    main()
