"""PLY files that are written piece by piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from nanospine.core.errors import WriteError
from nanospine.output.export import write_mesh
from nanospine.output.export_ply import write_ply_pieces


@pytest.mark.parametrize("pieces", [1, 3])
def test_the_bytes_are_those_of_the_whole(pieces: int, tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(2, 50.0)
    write_mesh(mesh, tmp_path / "whole.ply")
    write_ply_pieces(
        tmp_path / "pieces.ply", 162, 320, np.array_split(mesh.vertices, pieces),
        np.array_split(mesh.faces, pieces),
    )  # fmt: skip
    assert (tmp_path / "pieces.ply").read_bytes() == (tmp_path / "whole.ply").read_bytes()


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    mesh = trimesh.creation.icosphere(2, 50.0)
    with pytest.raises(WriteError, match="less came"):
        write_ply_pieces(tmp_path / "a.ply", 162, 321, [mesh.vertices], [mesh.faces])
    with pytest.raises(WriteError, match="numbers up to"):
        write_ply_pieces(tmp_path / "a.ply", 2**31, 320, [mesh.vertices], [mesh.faces])
    assert not list(tmp_path.iterdir())
