"""Meshes are written whole, in colour, and other readers open them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import trimesh

import nanospine as ns
from nanospine.config import RunConfig
from nanospine.core.colours import SHAFT_COLOUR, TYPE_COLOURS, rgb
from nanospine.core.errors import ConfigError, WriteError
from nanospine.output.export import MESH_SUFFIXES, vertex_colours, write_mesh
from nanospine.output.export_tables import write_spine_table
from nanospine.output.exports import write_exports
from nanospine.pipeline import run as run_pipeline


@pytest.mark.parametrize("suffix", [item for item in MESH_SUFFIXES if item != ".vtp"])
def test_every_format_opens_again(found, tmp_path, suffix):
    path = tmp_path / f"dendrite{suffix}"
    write_mesh(found, path)
    again = trimesh.load_mesh(path)
    scale = 1000 if suffix == ".glb" else 1  # GLB is in micrometres
    assert again.volume * scale**3 == pytest.approx(found.envelope.volume, rel=1e-3)
    assert again.is_watertight
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".ply", ".glb", ".obj"])
def test_colours_are_kept(found, tmp_path, suffix):
    path = tmp_path / f"dendrite{suffix}"
    write_mesh(found, path)
    if suffix == ".glb":  # linear there: the curve of sRGB put back
        part = np.unique(_glb_colours(path), axis=0) / 255
        curved = 1.055 * np.maximum(part, 1e-9) ** (1 / 2.4) - 0.055
        again = 255 * np.where(part <= 0.0031308, 12.92 * part, curved)
    else:
        again = np.unique(np.asarray(trimesh.load_mesh(path).visual.vertex_colors)[:, :3], axis=0)
    expected = [SHAFT_COLOUR, *[TYPE_COLOURS[spine.type] for spine in found.spines]]
    for colour in expected:
        distance = np.abs(again - rgb(colour) * 255).max(axis=1).min()
        assert distance <= (6 if suffix == ".glb" else 2), colour


def test_units_are_stated(found, tmp_path):
    write_mesh(found, tmp_path / "a.ply")
    assert b"unit nanometre" in (tmp_path / "a.ply").read_bytes()[:300]
    write_mesh(found, tmp_path / "a.glb")
    assert b"micrometre" in (tmp_path / "a.glb").read_bytes()


def _glb_tree(path):
    """The JSON of a GLB, as its specification says where it lies."""
    data = path.read_bytes()
    magic, version, length, size, kind = struct.unpack("<4sIIII", data[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), 0x4E4F534A)
    return json.loads(data[20 : 20 + size])


def _glb_colours(path):
    tree, data = _glb_tree(path), path.read_bytes()
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    assert accessor["componentType"] == 5121
    assert accessor["normalized"]
    start = 28 + struct.unpack("<I", data[12:16])[0]
    start += tree["bufferViews"][accessor["bufferView"]].get("byteOffset", 0)
    return np.frombuffer(data, np.uint8, 4 * accessor["count"], start).reshape(-1, 4)[:, :3]


def test_a_glb_is_dull_and_holds_its_spines(found, tmp_path):
    write_mesh(found, tmp_path / "a.glb")
    tree = _glb_tree(tmp_path / "a.glb")
    assert tree["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert {part["material"] for item in tree["meshes"] for part in item["primitives"]} == {0}
    extras = tree["meshes"][0]["extras"]
    assert extras["unit"] == "micrometre"
    assert [row["type"] for row in extras["spines"]] == found.table["type"].to_list()
    necks = [row["neck_diameter_nm"] for row in extras["spines"]]
    np.testing.assert_allclose(np.array(necks, float), found.table["neck_diameter_nm"], atol=1e-3)


_VALIDATE = """
const v = require("gltf-validator"), fs = require("fs");
v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then((r) => console.log(JSON.stringify(r)));
"""


def _validated(path):
    """What the Khronos validator says; skips where node or the npm package is not there."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=False)
    places = [os.environ.get("NODE_PATH", ""), root.stdout.strip()]
    done = subprocess.run(
        [node, "-e", _VALIDATE, str(path)], capture_output=True, text=True, check=False,
        env={**os.environ, "NODE_PATH": os.pathsep.join(filter(None, places))},
    )  # fmt: skip
    if "Cannot find module 'gltf-validator'" in done.stderr:
        pytest.skip("gltf-validator is not installed: npm install -g gltf-validator")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_khronos_validator_finds_nothing_in_a_glb(found, tmp_path):
    write_mesh(found, tmp_path / "spines.glb")
    write_mesh(found.envelope, tmp_path / "plain.glb")
    for name, count in (("spines.glb", 2), ("plain.glb", None)):
        said = _validated(tmp_path / name)
        assert said["issues"]["messages"] == [], name
        assert said["info"]["totalTriangleCount"] == len(found.envelope.faces)
        if count:
            assert said["info"]["maxAttributes"] == count  # positions and colours
    broken = bytearray((tmp_path / "spines.glb").read_bytes())
    broken[-200:-100] = b"\xff" * 100  # the test would see an error
    (tmp_path / "broken.glb").write_bytes(broken[:-4])
    assert _validated(tmp_path / "broken.glb")["issues"]["numErrors"] > 0


def test_vertex_colours_follow_the_labels(found):
    colours = vertex_colours(found)
    spine = found.spines[0]
    mine = found.vertex_spine == spine.id
    np.testing.assert_allclose(
        colours[mine], np.tile(rgb(TYPE_COLOURS[spine.type]), (mine.sum(), 1))
    )


def test_unknown_suffix_and_missing_folder(found, tmp_path):
    with pytest.raises(WriteError, match=r"written as \.glb, \.ply"):
        write_mesh(found, tmp_path / "a.fbx")
    with pytest.raises(WriteError, match="does not exist"):
        write_mesh(found, tmp_path / "no" / "a.ply")


def test_every_format_says_its_unit_and_origin(found, tmp_path):
    for suffix in MESH_SUFFIXES:
        write_mesh(found, tmp_path / f"a{suffix}")
        content = (tmp_path / f"a{suffix}").read_bytes()
        unit = b"micrometre" if suffix == ".glb" else b"unit nanometre"
        assert unit in content, suffix
        assert b"as in the localizations" in content, suffix
    assert not (tmp_path / "a.stl").read_bytes().startswith(b"solid")
    assert (tmp_path / "a.off").read_text().startswith("OFF\n#")


def _vtp_arrays(path):
    """What VTK's description of the format says, and nothing of the writer."""
    arrays = {}
    for item in ElementTree.parse(path).iter("DataArray"):
        raw = base64.b64decode(item.text)
        (size,) = struct.unpack("<Q", raw[:8])
        kind = {"Float64": "<f8", "Int64": "<i8", "UInt8": "u1"}[item.get("type")]
        values = np.frombuffer(raw[8:], kind)
        assert len(raw) == size + 8
        parts = int(item.get("NumberOfComponents"))
        arrays[item.get("Name")] = values.reshape(-1, parts) if parts > 1 else values
    return arrays


def test_vtp_holds_the_exact_mesh_and_the_spine_of_every_vertex(found, tmp_path):
    write_mesh(found, tmp_path / "a.vtp")
    arrays = _vtp_arrays(tmp_path / "a.vtp")
    mesh = getattr(found.envelope, "mesh", found.envelope)
    np.testing.assert_array_equal(arrays["Points"], mesh.vertices)
    np.testing.assert_array_equal(arrays["connectivity"].reshape(-1, 3), mesh.faces)
    np.testing.assert_array_equal(arrays["offsets"], 3 * np.arange(1, len(mesh.faces) + 1))
    np.testing.assert_array_equal(arrays["spine"], found.vertex_spine)
    assert np.abs(arrays["colour"] / 255 - vertex_colours(found)).max() < 0.003


def test_vtp_opens_in_vtk(found, tmp_path):
    pyvista = pytest.importorskip("pyvista", reason="pyvista is not installed")
    write_mesh(found, tmp_path / "a.vtp")
    again = pyvista.read(tmp_path / "a.vtp")
    assert again.is_manifold
    assert again.volume == pytest.approx(found.envelope.volume, rel=1e-6)
    np.testing.assert_array_equal(again.point_data["spine"], found.vertex_spine)
    assert "unit nanometre" in again.field_data["nanospine"][0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables(found, tmp_path, suffix):
    write_spine_table(found, tmp_path / f"spines{suffix}")
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    again = read(tmp_path / f"spines{suffix}")
    again["note"] = again["note"].astype(object).fillna("")
    pd.testing.assert_frame_equal(again, found.table, check_dtype=False)


def test_a_workbook_explains_itself_and_holds_no_formula(found, tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is optional and not installed")
    table = found.table.assign(note="=1+1")
    write_spine_table(replace(found, table=table), tmp_path / "spines.xlsx")
    book = openpyxl.load_workbook(tmp_path / "spines.xlsx")
    assert book.sheetnames == ["spines", "profiles", "columns", "about"]
    again = pd.read_excel(tmp_path / "spines.xlsx", keep_default_na=True)
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert all(row[-1].data_type != "f" for row in book["spines"].iter_rows())
    meaning = dict(book["columns"].iter_rows(values_only=True))
    assert "constriction" in meaning["neck_diameter_nm"]


def test_a_missing_openpyxl_is_one_sentence(found, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(WriteError, match="needs openpyxl"):
        write_spine_table(found, tmp_path / "spines.xlsx")
    with pytest.raises(WriteError, match=r"written as \.csv, \.parquet"):
        write_spine_table(found, tmp_path / "spines.ods")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".smlm"])
def test_localizations_keep_their_spine(found, locs, tmp_path, suffix):
    table = locs.table.assign(spine=found.localization_spine)
    ns.write(locs.replace(table=table, operation="find_spines"), tmp_path / f"a{suffix}")
    again = ns.read(tmp_path / f"a{suffix}").table["spine"]
    np.testing.assert_array_equal(again, found.localization_spine)


def test_further_formats_of_a_run(found, tmp_path):
    written = write_exports(found, tmp_path, ["swc", "h5", "obj", "stl", "off", "vtp", "obj"])
    names = ["dendrite.swc", "dendrite.h5", "spines.obj", "spines.stl", "spines.off", "spines.vtp"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert write_exports(replace(found, shaft=None), tmp_path, ["swc", "h5"]) == []


def test_a_format_that_cannot_be_written_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = {
        "input": {"path": "none.csv"},
        "output": {"folder": str(tmp_path / "out"), "formats": ["xlsx"]},
    }
    with pytest.raises(WriteError, match="xlsx needs openpyxl"):
        run_pipeline(RunConfig.from_dict(settings))
    settings["output"]["formats"] = ["doc"]
    with pytest.raises(ConfigError, match=r"\[output\] formats: input should be 'swc'"):
        RunConfig.from_dict(settings)
