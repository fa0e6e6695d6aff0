"""Every segmenter on simulated dendrites, on voxelized EM and on SpineTool's expert labels.

    python benchmarks/segmenters.py [simulated|em|spinetool ...] [--data FOLDER] [--methods a,b]

Dice of the dendrite (shaft and spines) and of the spines, F1 of single spines (matched at IoU 0.5),
and CPU seconds; means over the volumes. In SpineTool's dendrites some of the spines are marked, so
that there only those count. `filled` images are what a cytosolic dye would show (blur
60 nm, Poisson noise), `counts` are localizations of the membrane, `mask` is the true outline, which
methods that only divide a mask are also judged on. On counts of
a hollow membrane thresholds are given smoothing by 30 nm and closing by 200 nm (best of those
tried), other methods smoothing by 80 nm.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.spatial import cKDTree

import nanospine as ns
from nanospine.core.errors import NanospineError
from nanospine.output.training_volumes import count_image, simulated_pair
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.rasterize import mesh_to_mask

VOXEL_NM = 50.0
SEEDS = (1001, 1002, 1003)
EM = ("22270104", "28262836", "71185971")
SPINETOOL = ("1005-2", "1007-2", "1008-11", "1009-11")
SMOOTH: dict[str, dict[str, Any]] = {
    "otsu": {"sigma_nm": 30.0, "close_nm": 200.0},
    "multi_otsu": {"sigma_nm": 30.0, "close_nm": 200.0},
    "local": {"sigma_nm": 30.0, "close_nm": 200.0},
    "hk_means": {"sigma_nm": 80.0},
    "senpai": {"sigmas_nm": (80.0,)},
    "smrg": {"sigma_nm": 80.0},
}
PARTS = ("opening", "branches", "leaf", "ellipse", "unet", "spot_spine")


def options_for(method: str, image: str) -> dict[str, Any]:
    options: dict[str, Any] = {"hk_means": {"max_volume_nm3": 1e12}}.get(method, {})
    if image == "counts":
        options = options | SMOOTH.get(method, {})
        if method in ("opening", "branches", "leaf", "ellipse", "spot_spine", "geodesic"):
            options = options | {"binarize_options": SMOOTH["otsu"]}
    return options


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / max(float(a.sum() + b.sum()), 1.0)


def instance_f1(truth: np.ndarray, found: np.ndarray) -> float:
    """Spines matched one to one by an IoU above a half; labels 1, 2, ..."""
    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth.ravel(), found.ravel()), 1)
    union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None] - table
    hits = (table[1:, 1:] > 0.5 * union[1:, 1:]).sum()
    count = (table.sum(axis=1)[1:] > 0).sum() + (table.sum(axis=0)[1:] > 0).sum()
    return 2 * float(hits) / max(float(count), 1.0)


def images_of(mask: VoxelGrid, mesh: trimesh.Trimesh, seed: int) -> dict[str, VoxelGrid]:
    """Filled and counts images of a mesh on the voxels of its mask."""
    from scipy import ndimage

    draw = np.random.default_rng(seed)
    signal = ndimage.gaussian_filter(mask.data.astype(float), 60.0 / mask.voxel_nm)
    locs = ns.simulate.localize(
        mesh, density_per_um2=800.0, precision_xy_nm=10.0, precision_z_nm=20.0, seed=seed
    )
    return {
        "mask": mask,
        "filled": mask.with_data(draw.poisson(2.0 + 100.0 * signal).astype(np.float32)),
        "counts": mask.with_data(count_image(locs.xyz_nm, mask)),
    }


def simulated() -> list[tuple[dict[str, VoxelGrid], np.ndarray]]:
    found = []
    for seed in SEEDS:
        counts = simulated_pair(seed, voxel_nm=VOXEL_NM, length_nm=4000.0)
        filled = simulated_pair(seed, voxel_nm=VOXEL_NM, length_nm=4000.0, mode="filled")
        grids = {"mask": counts.mask, "filled": filled.image, "counts": counts.image}
        found.append((grids, counts.labels.data))
    return found


def em(folder: Path) -> list[tuple[dict[str, VoxelGrid], np.ndarray]]:
    """Real dendrites; nobody has marked their spines, so only the outline is judged."""
    found = []
    for number, name in enumerate(EM):
        mesh = trimesh.load_mesh(folder / "em_cortex" / f"{name}.ply", process=False)
        mesh.apply_scale(1000.0)
        mask = mesh_to_mask(mesh, VOXEL_NM, pad=6)
        found.append((images_of(mask, mesh, number), mask.data.astype(np.int32)))
    return found


def spinetool(folder: Path) -> list[tuple[dict[str, VoxelGrid], np.ndarray]]:
    """Light microscopy with the spines that people marked, by the nearest vertex."""
    found = []
    for number, name in enumerate(SPINETOOL):
        with np.load(folder / "spinetool" / "dendrites" / f"{name}.npz") as held:
            xyz, faces = held["vertices_um"] * 1000.0, held["faces"]
            index = held["spine_index"]
        mesh = trimesh.Trimesh(xyz, faces, process=False)
        if mesh.volume < 0:
            mesh.invert()
        mask = mesh_to_mask(mesh, 60.0, pad=6)
        where = np.argwhere(mask.data)
        _, near = cKDTree(xyz).query(mask.to_xyz_nm(where))
        truth = np.zeros(mask.shape, dtype=np.int32)
        truth[tuple(where.T)] = np.where(index[near] >= 0, index[near] + 2, 1)
        _, packed = np.unique(truth, return_inverse=True)
        found.append((images_of(mask, mesh, number), packed.reshape(mask.shape).astype(np.int32)))
    return found


def best_overlaps(truth: np.ndarray, found: np.ndarray) -> list[float]:
    """For each true spine the best IoU of any found one."""
    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth.ravel(), found.ravel()), 1)
    union = table.sum(axis=1)[:, None] + table.sum(axis=0)[None] - table
    if table.shape[1] == 1:
        return [0.0] * (len(table) - 1)
    return [float(v) for v in (table[1:, 1:] / np.maximum(union[1:, 1:], 1)).max(axis=1)]


def run_labelled(
    volumes: list[tuple[dict[str, VoxelGrid], np.ndarray]], methods: list[str]
) -> None:
    """Recall of marked spines: people marked some of the spines, so that others are no errors."""
    count = sum(int(truth.max()) - 1 for _, truth in volumes)
    print(f"\nspinetool: {len(volumes)} dendrites, {count} marked spines")
    print("| method | image | marked spines found | mean IoU | spines given | CPU s |")
    print("|---|---|---|---|---|---|")
    for method in [name for name in methods if name in PARTS]:
        for image in ("mask", "filled", "counts"):
            if (method == "unet") != (image == "counts"):
                continue
            if method == "spot_spine" and image == "mask":
                continue
            overlaps, given, spent = [], 0, 0.0
            for grids, truth in volumes:
                begun = time.process_time()
                labels = ns.segment(grids[image], method, **options_for(method, image)).labels
                spent += time.process_time() - begun
                spines = np.maximum(labels - 1, 0)
                given += int(spines.max())
                overlaps += best_overlaps(np.maximum(truth - 1, 0), spines)
            share = np.mean(np.array(overlaps) > 0.5)
            print(f"| {method} | {image} | {share:.0%} | {np.mean(overlaps):.2f} | {given} | "
                  f"{spent / len(volumes):.1f} |", flush=True)  # fmt: skip


def run(
    kind: str, volumes: list[tuple[dict[str, VoxelGrid], np.ndarray]], methods: list[str]
) -> None:
    voxels = sum(truth.size for _, truth in volumes) / 1e6
    print(f"\n{kind}: {len(volumes)} volumes, {voxels:.1f} M voxels, "
          f"{sum(max(int(t.max()) - 1, 0) for _, t in volumes)} spines")  # fmt: skip
    print("| method | image | Dice dendrite | Dice spines | F1 spines | CPU s |")
    print("|---|---|---|---|---|---|")
    for method in methods:
        for image in ("filled", "counts", "mask"):
            divides = method in ("opening", "branches", "leaf", "ellipse")
            if (image == "mask" and not divides) or (method == "unet" and image != "counts"):
                continue
            scores = defaultdict(list)
            for grids, truth in volumes:
                begun = time.process_time()
                try:
                    labels = ns.segment(grids[image], method, **options_for(method, image)).labels
                except NanospineError as error:
                    print(f"{method} {image}: {error}")
                    labels = np.zeros(truth.shape, dtype=np.int32)
                scores["s"].append(time.process_time() - begun)
                scores["dendrite"].append(dice(labels > 0, truth > 0))
                if method in PARTS and truth.max() > 1:
                    spines = np.maximum(labels - 1, 0)
                    scores["spine"].append(dice(spines > 0, truth > 1))
                    scores["f1"].append(instance_f1(np.maximum(truth - 1, 0), spines))
            mean = {name: f"{np.mean(values):.2f}" for name, values in scores.items()}
            body = "-" if image == "mask" else mean["dendrite"]
            row = (method, image, body, mean.get("spine", "-"), mean.get("f1", "-"), mean["s"])
            print("| " + " | ".join(row) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=["simulated", "em", "spinetool"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/meshes"))
    parser.add_argument("--methods", default=None)
    args = parser.parse_args()
    names = [info.name for info in ns.segmenters()]
    methods = names if args.methods is None else args.methods.split(",")
    for kind in args.kinds:
        if kind == "simulated":
            run(kind, simulated(), methods)
        elif not args.data.is_dir():
            print(f"{kind}: no data in {args.data}; --data names another folder")
        else:
            volumes = em(args.data) if kind == "em" else spinetool(args.data)
            run(kind, volumes, methods) if kind == "em" else run_labelled(volumes, methods)


if __name__ == "__main__":
    main()
