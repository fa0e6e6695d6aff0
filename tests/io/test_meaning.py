"""What the columns of each format mean: units, corrections, filters, channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ReadError, UnitsError


def save(folder: Path, text: str, name: str = "a.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def notes(locs: ns.Localizations) -> str:
    return " | ".join(locs.history[-1].get("notes", []))


def test_elyra_half_width_and_footer(tmp_path: Path) -> None:
    header = "Index\tFirst Frame\tNumber Frames\tFrames Missing\tPosition X [nm]\tPosition Y [nm]" \
             "\tPrecision [nm]\tNumber Photons\tPSF half width [nm]\tChannel\tZ Slice"  # fmt: skip
    row = "1\t7\t3\t0\t100.5\t200.5\t9.5\t800\t117.741\t2\t1"
    footer = "\x00\r\r\nVoxelSizeX : 0.0970873786 \xb5m\r\r\nSizeX : 3200\r\r\nROI List : \r\r\n"
    path = save(tmp_path, f"{header}\r\n{row}\r\n{row}\r\n{footer}", "a.txt", "latin-1")
    locs = ns.read(path)
    assert len(locs) == 2
    row_ = locs.table.iloc[0]
    assert row_["sigma_x_nm"] == pytest.approx(100, abs=0.01)
    assert (row_["frame"], row_["n_localizations"], row_["photons"]) == (7, 3, 800)
    assert locs.channels == ("2",)
    assert locs.history[-1]["arguments"]["VoxelSizeX"] == pytest.approx(0.0970873786)
    assert locs.history[-1]["arguments"]["SizeX"] == 3200


def test_oni_codi_variances_become_precisions(tmp_path: Path) -> None:
    header = "x-nm,y-nm,frame,channel,duration-frames,var-x-nm2,var-y-nm2"
    text = f"{header}\n1,2,0,0,3,81,-1\n900,4,1,1,1,100,4\n"
    locs = ns.read(save(tmp_path, text))
    assert locs.table["precision_x_nm"].tolist() == [9, 10]
    assert np.isnan(locs.table["precision_y_nm"].iloc[0])
    assert locs.table["n_localizations"].tolist() == [3, 1]
    assert locs.channels == ("0", "1")


def test_oni_in_pixels_only_asks_for_the_size(tmp_path: Path) -> None:
    text = "Channel,Frame,X (pix),Y (pix),Photons\n0,1,10,20,500\n1,2,30,40,600\n"
    path = save(tmp_path, text)
    with pytest.raises(UnitsError, match="pixel_size_nm"):
        ns.read(path)
    assert ns.read(path, pixel_size_nm=117).xyz_nm[0, 0] == pytest.approx(1170)


def test_vutara_filters_by_valid_and_counts(tmp_path: Path) -> None:
    text = (
        "image-ID,cycle,z-step,frame,probe,photon-count,x,y,z,valid,precisionx,precisiony,precisionz\n"
        "0,0,0,0,0,900,100,200,30,1,8,9,20\n1,0,0,1,1,900,500,200,30,0,8,9,20\n"
        "2,1,0,0,1,900,900,200,35,1,8,9,20\n"
    )
    locs = ns.read(save(tmp_path, text))
    assert len(locs) == 2
    assert "1 of 3 rows left out: valid is 0" in notes(locs)
    assert locs.table["frame"].tolist() == [0, 2]
    assert locs.channels == ("0", "1")
    assert locs.precision_nm is not None
    assert locs.precision_nm[0].tolist() == [8, 9, 20]


NSTORM_A = (
    "Channel Name\tX\tY\tXc\tYc\tHeight\tArea\tWidth\tPhi\tAx\tBG\tI\tFrame\tLength\tLink\t"
    "Valid\tZ\tZc\tPhotons\tLateral Localization Accuracy"
)


def test_nstorm_prefers_corrected_positions_and_keeps_channel_names(tmp_path: Path) -> None:
    rows = [
        "647\t1\t2\t100\t200\t9\t9\t300\t0\t1\t9\t9\t5\t3\t-1\t1\t7\t70\t900\t8.5",
        "Z Rejected\t1\t2\t500\t200\t9\t9\t300\t0\t1\t9\t9\t6\t1\t-1\t1\t7\t0\t900\t8.5",
        "561 late\t1\t2\t900\t200\t9\t9\t300\t0\t1\t9\t9\t7\t1\t-1\t1\t7\t90\t900\t8.5",
    ]
    locs = ns.read(save(tmp_path, "\r\n".join([NSTORM_A, *rows, ""]), "a.txt"))
    assert locs.xyz_nm.tolist() == [[100, 200, 70], [900, 200, 90]]
    assert locs.channels == ("561 late", "647")
    assert locs.table["sigma_x_nm"].tolist() == [150, 150]
    assert "1 of 3 rows left out: Z Rejected" in notes(locs)
    assert "positions from Xc, Yc, Zc" in notes(locs)


def test_nstorm_layout_b_with_warped_positions(tmp_path: Path) -> None:
    header = (
        "ID\tX\tY\tZ\tLateral Localization Accuracy\tChannel\tFrame\tColor\tI\tWidth\tBG\tLength\t"
        "Height\tArea\tPhi\tAxis Ratio\tValid\tLink\tXc\tYc\tZc\tXw\tYw\tZw\tXwc\tYwc\tZwc"
    )
    row = (
        "1\t1\t2\t3\t8.5\tA647\t4\t0\t9\t300\t9\t2\t9\t9\t0\t1\t1\t-1\t5\t6\t7\t8\t9\t10\t"
        "{}\t12\t13"
    )
    text = "\n".join([header, row.format(1100), row.format(2100), ""])
    locs = ns.read(save(tmp_path, text, "a.txt"))
    assert locs.xyz_nm[0].tolist() == [1100, 12, 13]
    assert locs.channels == ("A647",)


def test_leica_needs_a_pixel_size_and_empties_wild_heights(tmp_path: Path) -> None:
    text = (
        "#stackID(UINT32), frameID(UINT32), eventID(UINT32), x0(float), y0(float), "
        "photon_count(float), z0(float), type(UINT32), n_raw(UINT32)\n"
        "0, 0, 1, 10.5, 20.5, 900, 50.5, 1, 1\n0, 1, 2, 30.5, 20.5, 900, 1e36, 1, 1\n"
    )
    path = save(tmp_path, text, "a.ascii")
    with pytest.raises(UnitsError, match="--pixel-size-nm"):
        ns.read(path)
    locs = ns.read(path, pixel_size_nm=100)
    assert locs.xyz_nm.tolist() == [[1050, 2050, 50.5]]
    assert "1 rows have a z beyond 0.1 mm" in notes(locs)
    assert locs.history[-1]["n_before"] == 2


def test_abbelight_keeps_the_demixing_ratio(tmp_path: Path) -> None:
    text = (
        '"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]","uncertainty_xy [nm]",'
        '"ratio_demixing"\n1,1,100,200,130,900,8,0.25\n2,2,900,200,130,900,8,0.75\n'
    )
    path = save(tmp_path, text)
    assert ns.detect(path).name == "abbelight"
    assert ns.read(path).table["ratio_demixing"].tolist() == [0.25, 0.75]


def test_smap_csv_lateral_precision_and_old_z(tmp_path: Path) -> None:
    header = "ID,frame,xnm,ynm,znm,phot,bg,locprecnm "
    text = f"{header}\n1,1,100,200,30,900,10,8\n2,2,900,200,40,900,10,9\n"
    locs = ns.read(save(tmp_path, text))
    assert locs.table["precision_y_nm"].tolist() == [8, 9]
    assert locs.dimension == 3


def test_intensity_without_a_unit_is_no_photon_count(tmp_path: Path) -> None:
    locs = ns.read(save(tmp_path, "x [nm],y [nm],intensity,bg\n1,2,900,3\n900,4,800,3\n"))
    assert "photons" not in locs.table
    assert locs.table["intensity"].tolist() == [900, 800]


def test_minflux_table_in_metres_is_caught_and_can_be_said(tmp_path: Path) -> None:
    text = "tid,tim,x,y,z\n1,0.1,1e-6,2e-6,3e-8\n1,0.2,2e-6,2e-6,4e-8\n"
    path = save(tmp_path, text)
    with pytest.raises(UnitsError, match=r"look like metres.*units='m'"):
        ns.read(path)
    np.testing.assert_allclose(ns.read(path, units="m").xyz_nm[0], [1000, 2000, 30])


def test_decode_variances_and_unequal_pixels(shared_data: Path) -> None:
    locs = ns.read(shared_data / "localizations/locan/decode_dstorm_data.h5")
    import h5py

    with h5py.File(shared_data / "localizations/locan/decode_dstorm_data.h5") as file:
        xyz = file["data/xyz"][()].astype(np.float64)
    np.testing.assert_allclose(locs.xyz_nm, xyz * [127, 117, 1])
    assert len(ns.read(shared_data / "localizations/locan/decode_dstorm_data_empty.h5")) == 0


SAMPLES = [
    ("locan/Elyra_dstorm_data.txt", 15, "elyra", {}),
    ("locan/Nanoimager_dstorm_data.csv", 14, "oni", {}),
    ("locan/SMLM_dstorm_data.smlm", 10, "smlm", {}),
    ("locan/npc_gp210.asdf", 202, "asdf", {}),
    ("locan/transform/rapidSTORM_beads_green.asdf", 100, "asdf", {"units": "nm"}),
    ("locan/transform/rapidSTORM_beads_red.asdf", 100, "asdf", {"units": "nm"}),
    ("locan/rapidSTORM_dstorm_data.txt", 14, "rapidstorm", {}),
    ("locan/rapidSTORM_dstorm_track_data.txt", 14, "rapidstorm", {}),
    ("locan/rapidSTORM_from_images.txt", 12, "rapidstorm", {}),
    ("locan/smap_dstorm_data.mat", 4884, "smap", {}),
    ("picasso_rewritten/smap_as_nis_by_picasso.txt", 4884, "picasso-nis", {}),
    ("pyme-import-tests/U2OS_microtubules_ThunderSTORM_single_RiesLab.csv", 2848, "vlume", {}),
    ("pyminflux/Fig2_U2OS_Tom70-Dreiklang_ATP5B_AB_Minflux3D.csv", 12422, "minflux-table", {}),
    ("pyminflux/two_fluorophores_df.csv", 17955, "minflux-table", {}),
    ("rfrc4minflux/nup96.json", 2261, "minflux-json", {}),
    ("m2410_reencoded/m2410.npy", 404, "minflux-m2410", {}),
    ("m2410_reencoded/m2410.mat", 404, "minflux-mat", {}),
    ("m2410_reencoded/m2410.json", 404, "minflux-json", {}),
    ("m2410_reencoded/m2410.zarr", 404, "minflux-zarr", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "n", "format_name", "arguments"), SAMPLES)
def test_sample_files(
    shared_data: Path, name: str, n: int, format_name: str, arguments: dict[str, str]
) -> None:
    path = shared_data / "localizations" / name
    assert ns.detect(path).name == format_name
    locs = ns.read(path, **arguments)
    assert len(locs) == n


def test_the_smap_export_of_picasso_agrees_with_the_original(shared_data: Path) -> None:
    folder = shared_data / "localizations"
    original = ns.read(folder / "locan/smap_dstorm_data.mat").table
    nis = ns.read(folder / "picasso_rewritten/smap_as_nis_by_picasso.txt").table
    np.testing.assert_allclose(np.sort(nis["x_nm"]), np.sort(original["x_nm"]), atol=0.02)
    np.testing.assert_allclose(np.sort(nis["photons"]), np.sort(original["photons"]), atol=1.01)


@pytest.fixture
def pmx_files(shared_data: Path, tmp_path: Path) -> dict[int, Path]:
    import zipfile

    path = shared_data / "localizations/pyminflux/pmx_format_versions.zip"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    return {version: tmp_path / f"pmx_format_v{version}.pmx" for version in (1, 2, 3)}


@pytest.mark.parametrize(("version", "n"), [(1, 1056), (2, 1056), (3, 404)])
def test_raw_and_processed_pmx_agree_in_every_column(
    pmx_files: dict[int, Path], version: int, n: int
) -> None:
    """pyMINFLUX's own numbers are the oracle of both MINFLUX readers."""
    processed = ns.read(pmx_files[version])
    raw = ns.read(pmx_files[version], format="pmx-raw")
    assert len(processed) == len(raw) == n
    for name in ("x_nm", "y_nm", "time_s", "efo_hz", "cfr", "eco", "dcr", "trace"):
        np.testing.assert_array_equal(processed.table[name], raw.table[name], err_msg=name)


def test_all_containers_of_m2410_agree(shared_data: Path) -> None:
    folder = shared_data / "localizations/m2410_reencoded"
    plain = ns.read(folder / "m2410.npy").table
    for name in ("m2410.mat", "m2410.json", "m2410.zarr"):
        other = ns.read(folder / name).table
        assert list(other.columns) == list(plain.columns)
        for column in plain:
            np.testing.assert_allclose(
                other[column].to_numpy(dtype=float), plain[column].to_numpy(dtype=float),
                rtol=1e-6, err_msg=f"{name} {column}",
            )  # fmt: skip


def test_processed_z_is_never_scaled_twice(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "a.pmx"
    with h5py.File(path, "w") as file:
        file["parameters/z_scaling_factor"] = 0.7
        data = file.create_dataset(
            "paraview/dataframe", data=[[1, 0.1, 0, 0, 70.0], [1, 0.2, 900, 0, 140.0]]
        )
        data.attrs["column_names"] = ["tid", "tim", "x", "y", "z"]
    assert ns.read(path).table["z_nm"].tolist() == [70, 140]
    assert ns.read(path, z_scale=0.7).table["z_nm"].tolist() == pytest.approx([70, 140])
    assert ns.read(path, z_scale=1.0).table["z_nm"].tolist() == pytest.approx([100, 200])


def test_zarr_that_asks_for_more_is_refused(tmp_path: Path) -> None:
    import json

    store = tmp_path / "a.zarr" / "mfx"
    store.mkdir(parents=True)
    meta = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": [["itr", "<i4"]],
            "compressor": None, "filters": [{"id": "pickle"}], "fill_value": None,
            "order": "C"}  # fmt: skip
    (store / ".zarray").write_text(json.dumps(meta))
    with pytest.raises(ReadError, match="filters are not run"):
        ns.read(store.parent)
    meta |= {"filters": None, "shape": [10**12], "chunks": [10**12]}
    (store / ".zarray").write_text(json.dumps(meta))
    with pytest.raises(ReadError, match="declares 1000000000000 rows"):
        ns.read(store.parent)
    (store / "0").symlink_to("/etc/passwd")
    with pytest.raises(ReadError, match="a link"):
        ns.read(store.parent)


def in_matlab_73(path: Path, fill: object) -> Path:
    """Write an HDF5 file as MATLAB v7.3 does: a user block with its name, axes reversed."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        fill(file)  # type: ignore[operator]
    data = bytearray(path.read_bytes())
    data[:116] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116)
    path.write_bytes(bytes(data))
    return path


def test_matlab_73_of_smap_minflux_and_structs(tmp_path: Path) -> None:
    xyz = np.array([[1000.0, 2000, 30], [1500, 2500, -40], [1900, 2000, 20]])

    def smap(file: object) -> None:
        for name, values in zip(("xnm", "ynm", "znm"), xyz.T, strict=True):
            file[f"saveloc/loc/{name}"] = values[None, :]  # type: ignore[index]
        file["saveloc/loc/frame"] = [[1.0, 2.0, 3.0]]  # type: ignore[index]
        file["saveloc/file/tif"] = np.zeros((50, 50))  # type: ignore[index]
        file["fileformat/name"] = np.frombuffer(b"s\0m\0l\0", "<u2")[None, :]  # type: ignore[index]

    path = in_matlab_73(tmp_path / "a_sml.mat", smap)
    assert ns.detect(path).name == "smap"
    np.testing.assert_array_equal(ns.read(path).xyz_nm, xyz)

    def minflux(file: object) -> None:
        loc = np.full((3, 4, 3), np.nan)
        loc[:, 3] = xyz * 1e-9
        file["itr/loc"] = loc.T  # type: ignore[index]
        file["itr/efo"] = np.full((3, 4), 4e4).T  # type: ignore[index]
        for name in ("tid", "tim", "vld"):
            file[name] = np.array([[1, 1, 1]])  # type: ignore[index]

    path = in_matlab_73(tmp_path / "minflux.mat", minflux)
    assert ns.detect(path).name == "minflux-mat"
    np.testing.assert_allclose(ns.read(path).xyz_nm, xyz)

    def struct(file: object) -> None:
        file["minflux/pos"] = xyz.T  # type: ignore[index]
        file["minflux/t"] = [[0.1, 0.2, 0.3]]  # type: ignore[index]
        file["minflux/id"] = [[7, 7, 8]]  # type: ignore[index]

    path = in_matlab_73(tmp_path / "struct.mat", struct)
    assert ns.detect(path).name == "minflux-struct"
    found = ns.read(path)
    np.testing.assert_allclose(found.xyz_nm, xyz)
    assert found.table["trace"].tolist() == [7, 7, 8]


def test_headerless_minflux_is_recognised_by_metres_only(tmp_path: Path) -> None:
    rows = [f"{i // 2},{0.1 * i:.3f},{1e-6 + i * 1e-7:e},{2e-6:e},{i * 1e-8:e}" for i in range(9)]
    path = save(tmp_path, "\n".join([*rows, ""]))
    assert ns.detect(path).name == "minflux-headerless"
    np.testing.assert_allclose(ns.read(path).xyz_nm[1], [1100, 2000, 10])
    rows = [f"{i},{0.1 * i:.3f},{i * 10},{2 * i},{i}" for i in range(9)]
    with pytest.raises(ReadError, match="column names were expected"):
        ns.read(save(tmp_path, "\n".join([*rows, ""])))
