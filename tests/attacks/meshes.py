"""Mutated meshes: a surface with triangles, or an error of nanospine that says what is wrong.

    python tests/attacks/meshes.py --n 50000 --seed 0 --state counts.json
"""  # fmt: skip

from __future__ import annotations

from pathlib import Path

import numpy as np
from engine import command, guarded
from mangle import mutate

SUFFIXES = (".ply", ".off", ".obj", ".stl", ".glb")


class Meshes:
    """Attack on the two ways in which a mesh is read: as a surface, and as a region."""

    title = "file, read as"
    result = "a mesh"
    refusal = "refused by a nanospine error"

    def prepare(self) -> list[str]:
        from nanospine.cli.simulate import load_mesh_nm
        from nanospine.core.region_files import read_region

        self.openers = {
            "surface": lambda path: load_mesh_nm(path, "um"),
            "region": read_region,
        }
        self.samples = specimens()
        for kind in self.openers.values():  # everything is imported before the children are forked
            for data, suffix in self.samples.values():
                path = Path(f"/dev/shm/warm{suffix}")
                path.write_bytes(data)
                try:
                    kind(path)
                finally:
                    path.unlink()
        return [f"{name}, {kind}" for name in self.samples for kind in self.openers]

    def attack(self, number: int, seed: int, folder: Path) -> tuple[str, str, str]:
        from nanospine.core.errors import NanospineError

        random = np.random.default_rng((seed, number))
        names = sorted(self.samples)
        name = names[int(random.integers(len(names)))]
        other, _ = self.samples[names[int(random.integers(len(names)))]]
        kind = ("surface", "region")[int(random.integers(2))]
        data, suffix = self.samples[name]
        path = folder / f"case{suffix}"
        path.write_bytes(mutate(data, other, random))

        def call() -> str | None:
            found = self.openers[kind](path)
            mesh = getattr(found, "mesh", found)
            if not np.isfinite(mesh.vertices).all():
                return "vertices that are not finite"
            if len(mesh.faces) == 0 or mesh.faces.min() < 0:
                return "faces that name no vertices"
            return "faces beyond the vertices" if mesh.faces.max() >= len(mesh.vertices) else None

        return guarded(call, (NanospineError,), f"{name}, {kind}")


def specimens() -> dict[str, tuple[bytes, str]]:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=1, radius=300.0)
    painted = ball.copy()
    painted.visual.vertex_colors = np.arange(4 * len(ball.vertices)).reshape(-1, 4) % 256
    result = {
        "ply": (painted.export(file_type="ply"), ".ply"),
        "ply text": (ball.export(file_type="ply", encoding="ascii"), ".ply"),
        "stl": (ball.export(file_type="stl"), ".stl"),
        "stl text": (ball.export(file_type="stl_ascii"), ".stl"),
        "obj": (painted.export(file_type="obj"), ".obj"),
        "off": (ball.export(file_type="off"), ".off"),
        "glb": (painted.export(file_type="glb"), ".glb"),
    }
    return {
        name: (data.encode() if isinstance(data, str) else bytes(data), suffix)
        for name, (data, suffix) in result.items()
    }


if __name__ == "__main__":
    raise SystemExit(command(Meshes()))
