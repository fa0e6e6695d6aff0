"""What the attacks found, each as a case with a name: once an error of Python, now one of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanospine.core.errors import ReadError, SchemaError
from nanospine.output.corrections import read_corrections
from nanospine.voxels.sidecar import read_sidecar

PLACE = '"voxel_nm": [1, 1, 1], "origin_nm": [0, 0, %s]'


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"shape": ' * 50_000,
        '{"shape": [1e400, 1, 1], ' + PLACE % 0 + "}",
        '{"shape": [1, 1, 1], ' + PLACE % ("1" + "0" * 400) + "}",
    ],
    ids=["deep list", "deep object", "infinite shape", "origin of 401 digits"],
)
def test_sidecar(content: str, tmp_path: Path) -> None:
    file = tmp_path / "cell.tif.nanospine.json"
    file.write_text(content)
    with pytest.raises(ReadError, match="no sidecar"):
        read_sidecar(file)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"nanospine_corrections": 1, "corrections": [{"action": "reject", "spine": 1e400}]}',
    ],
    ids=["deep list", "spine number of infinity"],
)
def test_corrections(content: str, tmp_path: Path) -> None:
    file = tmp_path / "corrections.json"
    file.write_text(content)
    with pytest.raises(SchemaError, match="corrections were expected"):
        read_corrections(file)
