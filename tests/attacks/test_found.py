"""What the attacks found, each as a case with a name: once an error of Python, now one of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nanospine.batch.samples import find_samples
from nanospine.batch.settings import BatchConfig
from nanospine.cli.simulate import load_mesh_nm
from nanospine.core.errors import ConfigError, ReadError, SchemaError
from nanospine.core.region_files import read_region
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


PLY = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
end_header
0 0 0
1 0 %s
0 1 0
3 0 1 %s
"""
OBJ = "v 0 0 0 1\nv 1 0 0 1\nv 0 1 0 1\nf 1 2 3\nmtllib /etc/passwd\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.ply", PLY % (0, 3), "names vertex 3 of 3"),
        ("a.ply", PLY % (0, -1), "names vertex -1 of 3"),
        ("a.ply", PLY % (0, 2**31 - 1), "names vertex 2147483647 of 3"),
        ("a.ply", PLY % ("nan", 2), "not finite"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 9\n", "names vertex 9 of 3|cannot be"),
    ],
)
@pytest.mark.parametrize("read", [lambda path: load_mesh_nm(path, "nm"), read_region])
def test_mesh(read: Callable[[Path], object], name: str, content: str, said: str,
              tmp_path: Path) -> None:  # fmt: skip
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(ReadError, match=said):
        read(file)


def test_mesh_beyond_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a.off"
    file.write_text("OFF\n3 1 0\n0 0 0\n1e306 0 0\n0 1 0\n3 0 1 2\n")
    with pytest.raises(ReadError, match="larger than numbers go"):
        load_mesh_nm(file, "um")


def test_mesh_names_no_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(OBJ.replace(" 1\nv", "\nv").replace(" 1\nf", "\nf"))
    assert len(load_mesh_nm(tmp_path / "a.obj", "nm").faces) == 1


@pytest.mark.parametrize("name", ["a\\u0000b", "~nosuchuser/a"])
@pytest.mark.parametrize(
    "text",
    ['[batch]\nsheet = "{}"', '[batch]\nfiles = ["{}"]', '[batch]\nfiles = ["a.csv"]\n[spines]\n'
     'corrections = "{}"'],
)  # fmt: skip
def test_names_that_no_file_has(text: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "batch.toml"
    file.write_text(text.format(name) + '\n[output]\nfolder = "out"\n')
    with pytest.raises(ConfigError, match=r"NUL|home directory"):
        find_samples(BatchConfig.from_toml(file))


@pytest.mark.parametrize("name", ["a\0b.csv", "~nosuchuser/a.csv"])
def test_sheet_with_names_that_no_file_has(name: str, tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text(f"file\na.csv\n{name}\n")
    values = {"batch": {"sheet": "samples.csv"}, "output": {"folder": "out"}}
    with pytest.raises(SchemaError, match="row 3"):
        find_samples(BatchConfig.from_dict(values, base_folder=tmp_path))
