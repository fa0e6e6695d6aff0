"""HDF5 in the layout of morph-spines: right by its own words, and opened by other libraries."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nanospine.core.errors import GeometryError, WriteError
from nanospine.output.morph_spines import write_morph_spines
from nanospine.output.swc import write_swc
from nanospine.spines.model import Shaft


@pytest.fixture
def written(found, tmp_path):
    write_morph_spines(found, tmp_path / "dendrite.h5")
    return tmp_path / "dendrite.h5"


def test_spines_stand_up_in_their_own_frame_and_come_back_to_their_place(found, written):
    with h5py.File(written) as file:
        table = {name: data[...] for name, data in file["edges/dendrite"].items()
                 if isinstance(data, h5py.Dataset)}  # fmt: skip
        points = file["spines/skeletons/dendrite/points"][...]
        first = [*file["spines/skeletons/dendrite/structure"][:, 0], len(points)]
        mesh = {name: data[...] for name, data in file["spines/meshes/dendrite"].items()}
    for row, spine in enumerate(found.spines):
        turn = Rotation.from_quat([table[f"spine_rotation_{axis}"][row] for axis in "xyzw"])
        base = np.array([table[f"afferent_surface_{axis}"][row] for axis in "xyz"])
        local = points[first[row] : first[row + 1], :3]
        np.testing.assert_allclose(local[0], 0, atol=1e-6)
        np.testing.assert_allclose(local[-1][[0, 2]], 0, atol=1e-5)
        assert local[-1][1] > 0
        back = turn.apply(local) + base
        np.testing.assert_allclose(back[[0, -1]], spine.centreline_nm[[0, -1]] / 1e3, atol=1e-5)
        (v0, f0), (v1, f1) = mesh["offsets"][row : row + 2]
        np.testing.assert_array_equal(mesh["triangles"][f0:f1], spine.mesh.faces)
        back = turn.apply(mesh["vertices"][v0:v1]) + base
        np.testing.assert_allclose(back, spine.mesh.vertices / 1e3, atol=1e-5)
        assert table["spine_type"][row].decode() == spine.type
        assert table["spine_length"][row] == pytest.approx(spine.row["length_nm"] / 1e3)
        centre = np.array([table[f"afferent_center_{axis}"][row] for axis in "xyz"])
        axis_nm = found.shaft.axes_nm[0]
        assert np.linalg.norm(axis_nm - centre * 1e3, axis=1).min() < 30


def test_it_says_its_unit_its_origin_and_what_nanospine_measured(found, written):
    with h5py.File(written) as file:
        metadata = file["edges/dendrite/metadata"]
        assert metadata.attrs["unit"] == "micrometre"
        assert metadata.attrs["origin"] == "as in the localizations"
        rows = json.loads(metadata["nanospine_table_nm"].asstr()[()])
    assert [row["type"] for row in rows] == found.table["type"].tolist()


def test_sections_part_where_stretches_of_shaft_part(found, tmp_path):
    def line(start, end):
        return np.linspace(start, end, 40)

    axes = (line([0, 0, 0], [2000, 0, 0]), line([1000, 50, 0], [1000, 2000, 0]))
    shaft = Shaft(axes, tuple(np.full(40, 200.0) for _ in axes), found.shaft.mesh)
    write_morph_spines(replace(found, shaft=shaft), tmp_path / "y.h5")
    with h5py.File(tmp_path / "y.h5") as file:
        points = file["morphology/dendrite/points"][...]
        rows = file["morphology/dendrite/structure"][...]
    assert rows[:, 1].tolist() == [1, 3, 3, 3]
    assert rows[:, 2].tolist() == [-1, 0, 1, 1]
    ends = [*rows[1:, 0], len(points)]
    sections = [points[a:b] for a, b in zip(rows[:, 0], ends, strict=True)]
    for child in sections[2:]:
        np.testing.assert_array_equal(child[0], sections[1][-1])
    assert points[rows[1, 0] :, 3] == pytest.approx(0.4)  # diameters


def test_a_neck_that_was_not_measured_is_left_out_and_said(found, tmp_path):
    spine = found.spines[0]
    row = {**spine.row, "neck_diameter_nm": np.nan}
    spines = replace(found, spines=(replace(spine, row=row), *found.spines[1:]))
    write_morph_spines(spines, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["edges/dendrite"]
        assert "spine_neck_diameter" not in group
        assert "spine_neck_diameter" in group["metadata"].attrs["left_out"]
        for name, data in group.items():
            if isinstance(data, h5py.Dataset) and data.dtype.kind == "f":
                assert np.isfinite(data[...]).all(), name


def test_what_cannot_be_written(found, tmp_path):
    with pytest.raises(WriteError, match=r"end in \.h5"):
        write_morph_spines(found, tmp_path / "a.csv")
    with pytest.raises(GeometryError, match="dendrite with spines is needed"):
        write_morph_spines(replace(found, shaft=None), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore")
def test_morph_spines_opens_it(found, written):
    morph_spines = pytest.importorskip("morph_spines", reason="morph-spines is not installed")
    checked = morph_spines.validate_morph_with_spines_file(written, check_data_integrity=True)
    assert checked.is_valid, str(checked)
    assert not checked.warnings
    loaded = morph_spines.load_morphology_with_spines(str(written), load_meshes=True)
    assert loaded.spines.spine_count == len(found)
    for number, spine in enumerate(found.spines):
        mesh = loaded.spines.spine_mesh(number)
        np.testing.assert_allclose(mesh.bounds, spine.mesh.bounds / 1e3, atol=1e-4)
        assert loaded.spines.spine_type(number) == spine.type


@pytest.mark.filterwarnings("ignore")
def test_neurom_and_morphio_open_the_swc(found, tmp_path):
    neurom = pytest.importorskip("neurom", reason="neurom is not installed")
    morphio = pytest.importorskip("morphio", reason="morphio is not installed")
    write_swc(found, tmp_path / "dendrite.swc")
    loaded = neurom.load_morphology(tmp_path / "dendrite.swc")
    spines = morphio.Morphology(tmp_path / "dendrite.swc").sections
    kinds = [int(section.type) for section in spines]
    assert kinds.count(7) == len(found)
    least = found.shaft.length_nm + found.table["length_nm"].sum()
    assert neurom.get("total_length", loaded) * 1e3 == pytest.approx(least, rel=0.15)
