"""Whether a PLY surface larger than memory is closed: every edge in two faces, there and back.

The directed edges of all faces are sorted into files by their lower vertex; in each of them every
edge must be there once each way. The volume is the sum over faces, about the middle of the box::

    python benchmarks/huge_field_closed.py surface.ply
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])
CHUNK = 2_000_000


def closedness(path: Path) -> dict[str, Any]:
    """Give faces, vertices, edges, edges that are not in two faces, there and back, and volume."""
    vertices, n_faces, begin = head(path)
    low, high = vertices.min(axis=0).astype(float), vertices.max(axis=0).astype(float)
    middle = (low + high) / 2
    volume, wrong, edges = 0.0, 0, 0
    used = np.zeros(len(vertices), dtype=bool)
    n_files = n_faces // 4_000_000 + 1
    width = len(vertices) // n_files + 1
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        files = [(Path(place) / f"{i}").open("w+b") for i in range(n_files)]
        for corners in faces_of(path, n_faces, begin):
            used[corners] = True
            a, b, c = (vertices[corners[:, k]] - middle for k in range(3))
            volume += float((a * np.cross(b, c)).sum()) / 6
            for k in range(3):
                start, end = corners[:, k], corners[:, (k + 1) % 3]
                lower, upper = np.minimum(start, end), np.maximum(start, end)
                key = (lower.astype(np.int64) << 32 | upper) << 1 | (start < end)
                which = lower // width
                order = np.argsort(which, kind="stable")
                ends = np.searchsorted(which[order], np.arange(n_files + 1))
                for i, file in enumerate(files):
                    file.write(key[order[ends[i] : ends[i + 1]]].tobytes())
        for file in files:
            file.seek(0)
            key = np.sort(np.fromfile(file, np.int64))
            file.close()
            # each edge backwards, then forwards, and no other of the same ends
            _, count = np.unique(key >> 1, return_counts=True)
            single = np.unique(key)
            both = np.unique(single >> 1, return_counts=True)[1] == 2
            edges += len(count)
            wrong += int((~(both & (count == 2))).sum())
    return {
        "faces": n_faces, "vertices": len(vertices), "vertices_unused": int((~used).sum()),
        "edges": edges, "edges_not_closed": wrong, "volume_nm3": volume,
    }  # fmt: skip


def head(path: Path) -> tuple[npt.NDArray[np.float32], int, int]:
    """Read the vertices; give the number of faces and where they begin."""
    with path.open("rb") as file:
        counts = {}
        while (line := file.readline()) != b"end_header\n":
            words = line.split()
            if words[0] == b"element":
                counts[words[1].decode()] = int(words[2])
        flat = np.fromfile(file, "<f4", 3 * counts["vertex"])
        return flat.reshape(-1, 3), counts["face"], file.tell()


def faces_of(path: Path, n_faces: int, begin: int) -> Iterator[npt.NDArray[np.int32]]:
    """Give the faces piece by piece."""
    with path.open("rb") as file:
        file.seek(begin)
        left = n_faces
        while left:
            rows = np.fromfile(file, FACE, min(CHUNK, left))
            if len(rows) == 0 or (rows["count"] != 3).any():
                raise SystemExit(f"{path}: is cut off, or holds more than triangles")
            left -= len(rows)
            yield rows["corners"]


if __name__ == "__main__":
    print(closedness(Path(sys.argv[1])))
