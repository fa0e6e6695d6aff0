"""Mutated volumes and label images: voxels with a place, or an error of nanospine.

    python tests/attacks/volumes.py --n 50000 --seed 0 --state counts.json

Labels that are read go on to `labels_to_points` and `spines_from_labels` of a few points and a
small mesh: whatever numbers stand in a label image, the answer is a result or a clear error.
"""  # fmt: skip

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from engine import command, guarded
from mangle import save

NAMES = ("a.tif", "a.ome.tif", "a.npz", "a.nrrd", "a.seg.nrrd", "a.nii", "a.nii.gz", "a.ims",
         "a.ome.zarr", "b.ome.zarr")  # fmt: skip
NEEDS = {"zarr": "zarr", "nii": "nibabel", "gz": "nibabel", "tif": "tifffile"}
MASKS = ("m.npy", "m.npz", "m.tif")


class Volumes:
    """Attack on `read_volume`, `read_labels` and what is done with labels."""

    title = "file, read as"
    result = "voxels"
    refusal = "refused by a nanospine error"

    def prepare(self) -> list[str]:
        self.samples = specimens()
        self.points = np.random.default_rng(0).uniform(-200, 900, (40, 3))
        for name, content in self.samples.items():  # imports, before the children are forked
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                whole = content if isinstance(content, dict) else {"": content}
                for inner, data in whole.items():
                    target = path / inner if inner else path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(data)
                self.open(name, path, {"spines": name == "a.npz"})
        return [*(f"{name}, {kind}" for name in self.samples for kind in ("volume", "labels"))]

    def open(self, name: str, path: Path, options: dict[str, Any]) -> str | None:
        import nanospine as ns
        from nanospine.core.region_files import read_region

        if name in MASKS:
            return None if read_region(path, voxel_nm=50.0).size >= 0 else "a negative size"
        spines = options.pop("spines", False)
        if not options.pop("labels", True):
            grid = ns.read_volume(path, **options)
            return check(grid.data, grid)
        labels = ns.read_labels(path, **options)
        fault = check(labels.labels, labels)
        given = np.asarray(ns.labels_to_points(labels, self.points))
        if len(given) != len(self.points):
            return "a label for each point was expected"
        if spines and labels.labels.size < 100_000:
            ns.spines_from_labels(labels, label="membrane", precision_nm=10.0)
        return fault

    def attack(self, number: int, seed: int, folder: Path) -> tuple[str, str, str]:
        from nanospine.core.errors import NanospineError

        random = np.random.default_rng((seed, number))
        names = sorted(self.samples)
        name = names[int(random.integers(len(names)))]
        other = self.samples[names[int(random.integers(len(names)))]]
        path = folder / name
        save(self.samples[name], path, other if isinstance(other, bytes) else b"{}", random)
        labels = bool(random.random() < 0.5)
        options: dict[str, Any] = {"labels": labels}
        if labels and random.random() < 0.1:
            options["spines"] = True
        if random.random() < 0.3:
            options["metadata"] = "ignore"
            options["voxel_nm"] = (50.0, 20.0, 20.0)
        row = f"{name}, {'labels' if labels else 'volume'}"
        return guarded(lambda: self.open(name, path, options), (NanospineError,), row)


def check(data: np.ndarray, grid: Any) -> str | None:
    """Say what is wrong with a grid."""
    if data.ndim != 3 or data.dtype.kind not in "buif":
        return f"an array of {data.ndim} axes, kind {data.dtype.kind}"
    if not (np.isfinite(grid.voxel_nm).all() and np.isfinite(grid.origin_nm).all()):
        return "a place that is not finite"
    return None if (np.asarray(grid.voxel_nm) > 0).all() else "voxels without size"


def specimens() -> dict[str, bytes | dict[str, bytes]]:
    import nanospine as ns

    random = np.random.default_rng(1)
    values = random.integers(0, 4, (4, 6, 8)).astype(np.uint8)
    grid = ns.LabelGrid(
        values, np.array([50.0, 20, 20]), np.array([5.0, -7, 1e4]),
        {0: "background", 1: "shaft", 2: "spine", 3: "spine"},
    )  # fmt: skip
    result: dict[str, bytes | dict[str, bytes]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            needed = NEEDS.get(name.rsplit(".", 1)[-1])
            if needed and importlib.util.find_spec(needed) is None:
                continue
            kind = "ome-zarr-0.4" if name.startswith("b.") else None
            path = ns.write_volume(grid, Path(folder) / name, format=kind, sidecar=False)
            result[name] = (
                {str(item.relative_to(path)): item.read_bytes()
                 for item in sorted(path.rglob("*")) if item.is_file()}
                if path.is_dir() else path.read_bytes()
            )  # fmt: skip
        np.save(Path(folder) / "m.npy", values > 1)
        np.savez_compressed(Path(folder) / "m.npz", data=values > 1, voxel_nm=[50.0, 20, 20])
        for name in MASKS[:2]:
            result[name] = (Path(folder) / name).read_bytes()
        if "a.tif" in result:
            result["m.tif"] = result["a.tif"]
    return result


if __name__ == "__main__":
    raise SystemExit(command(Volumes()))
