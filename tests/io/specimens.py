"""One small file of every format that can be read, with positions that are known.

Each maker gives the bytes of a file (or the files of a folder) that holds `planted(n)`. The
compliance suite and the mutation fuzzer are built on them; they are written from the description
of the formats, not with the readers' own code.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import scipy.io


@dataclass(frozen=True)
class Specimen:
    content: bytes | dict[str, bytes]
    suffix: str
    arguments: dict[str, Any] = field(default_factory=dict)
    has_z: bool = True
    tolerance_nm: float = 1e-6
    sidecars: dict[str, bytes] = field(default_factory=dict)

    def save(self, folder: Path, stem: str = "specimen") -> Path:
        path = folder / f"{stem}{self.suffix}"
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            for name, data in self.content.items():
                target = path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
        for tail, data in self.sidecars.items():
            (folder / f"{stem}{tail}").write_bytes(data)
        return path


def planted(n: int) -> np.ndarray:
    """Positions (n, 3), nm, that survive text with three decimals and float32."""
    steps = np.arange(n)
    return np.column_stack([1000 + 250 * steps, 4000 - 125.5 * steps, -300 + 62.25 * steps])


def text(header: str, rows: list[str], newline: str = "\n") -> bytes:
    return newline.join([header, *rows, ""]).encode()


def joined(n: int, pattern: str) -> list[str]:
    return [pattern.format(i=i, k=i + 1, x=x, y=y, z=z) for i, (x, y, z) in enumerate(planted(n))]


def in_hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def in_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def in_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def thunderstorm(n: int) -> Specimen:
    header = '"id","frame","x [nm]","y [nm]","z [nm]","sigma [nm]","intensity [photon]",' \
             '"offset [photon]","bkgstd [photon]","uncertainty_xy [nm]"'  # fmt: skip
    return Specimen(
        text(header, joined(n, "{k},{k}.0,{x:.3f},{y:.3f},{z:.3f},130.5,900.25,11,3,8.125")), ".csv"
    )


def table(n: int) -> Specimen:
    header = "x_nm\ty_nm\tz_nm\tframe"
    return Specimen(text(header, joined(n, "{x:.3f}\t{y:.3f}\t{z:.3f}\t{k}")), ".tsv")


def arrow(n: int) -> pa.Table:
    xyz = planted(n)
    return pa.table({"x [nm]": xyz[:, 0], "y [nm]": xyz[:, 1], "z [nm]": xyz[:, 2]})


def parquet(n: int) -> Specimen:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(arrow(n), buffer)
    return Specimen(buffer.getvalue(), ".parquet")


def feather(n: int) -> Specimen:
    buffer = io.BytesIO()
    pyarrow.feather.write_feather(arrow(n), buffer, compression="lz4")
    return Specimen(buffer.getvalue(), ".feather")


def picasso(n: int) -> Specimen:
    kind = [("frame", "u4"), ("x", "f4"), ("y", "f4"), ("photons", "f4"), ("sx", "f4"),
            ("sy", "f4"), ("bg", "f4"), ("lpx", "f4"), ("lpy", "f4"), ("z", "f4")]  # fmt: skip
    rows = np.zeros(n, kind)
    xyz = planted(n)
    rows["x"], rows["y"], rows["z"] = xyz[:, 0] / 125, xyz[:, 1] / 125, xyz[:, 2]
    rows["sx"] = rows["sy"] = 1
    rows["lpx"] = rows["lpy"] = 0.1
    return Specimen(
        in_hdf5(lambda file: file.create_dataset("locs", data=rows)), ".hdf5",
        sidecars={".yaml": b"Width: 32\nHeight: 64\n---\nPixelsize: 125\n"}, tolerance_nm=1e-3,
    )  # fmt: skip


ITERATION = [("itr", "i4"), ("tic", "u8"), ("loc", "f8", (3,)), ("lnc", "f8", (3,)), ("eco", "i4"),
             ("ecc", "i4"), ("efo", "f8"), ("efc", "f8"), ("sta", "i4"), ("cfr", "f8"),
             ("dcr", "f8"), ("fbg", "f8")]  # fmt: skip


def m2205_rows(n: int) -> np.ndarray:
    kind = [("itr", ITERATION, (4,)), ("sqi", "u4"), ("gri", "u4"), ("tim", "f8"), ("tid", "i4"),
            ("vld", "?"), ("act", "?"), ("dos", "i4"), ("sky", "i4")]  # fmt: skip
    rows = np.zeros(n, kind)
    rows["itr"]["loc"][:, :3] = np.nan
    rows["itr"]["loc"][:, 3] = planted(n) * 1e-9
    rows["itr"]["itr"] = np.arange(4)
    rows["itr"]["eco"] = 70
    rows["itr"]["efo"] = 40_000
    rows["itr"]["cfr"][:, 2] = np.linspace(0, 1, n)
    rows["tim"], rows["tid"], rows["vld"] = np.arange(n) * 0.01, np.arange(n) // 3, True
    return rows


def minflux_m2205(n: int) -> Specimen:
    return Specimen(in_npy(m2205_rows(n)), ".npy")


M2410 = [("vld", "?"), ("fnl", "?"), ("bot", "?"), ("eot", "?"), ("sta", "u1"), ("tim", "<f8"),
         ("tid", "<u4"), ("gri", "<u4"), ("thi", "u1"), ("sqi", "u1"), ("itr", "<i4"),
         ("loc", "<f8", (3,)), ("lnc", "<f8", (3,)), ("eco", "<u4"), ("ecc", "<u4"),
         ("efo", "<f4"), ("efc", "<f4"), ("fbg", "<f4"), ("cfr", "<f2"),
         ("dcr", "<f2", (2,))]  # fmt: skip


def m2410_rows(n: int) -> np.ndarray:
    rows = np.zeros(2 * n, M2410)
    rows["vld"] = True
    rows["itr"] = np.tile([3, 4], n)
    rows["fnl"] = rows["itr"] == 4
    rows["sta"] = np.tile([2, 1], n)
    rows["loc"] = np.repeat(planted(n), 2, axis=0) * 1e-9
    rows["loc"][::2] += 5e-9
    rows["tid"] = np.repeat(np.arange(n) // 2, 2)
    rows["tim"] = np.arange(2 * n) * 0.01
    rows["cfr"][::2] = np.linspace(0, 1, n)
    rows["dcr"] = [0.25, 0.75]
    return rows


def minflux_m2410(n: int) -> Specimen:
    return Specimen(in_npy(m2410_rows(n)), ".npy")


def in_mat(variables: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=True)
    return buffer.getvalue()


def minflux_mat(n: int) -> Specimen:
    rows = m2205_rows(n)
    itr = {name: rows["itr"][name] for name in rows["itr"].dtype.names or ()}
    outer = {name: rows[name][:, None] for name in ("tim", "tid", "vld", "sqi")}
    return Specimen(in_mat({"itr": itr, **outer}), ".mat")


def minflux_json(n: int) -> Specimen:
    records = [
        {"tid": int(row["tid"]), "tim": float(row["tim"]), "vld": True,
         "itr": [{"itr": k, "loc": row["itr"]["loc"][k].tolist(), "eco": 70, "cfr": 0.1 * k,
                  "efo": 4e4} for k in range(4)]}
        for row in m2205_rows(n)
    ]  # fmt: skip
    return Specimen(json.dumps(records).encode(), ".json")


def minflux_zarr(n: int) -> Specimen:
    rows = m2410_rows(n)
    size = max(len(rows), 1)
    dtype = [[name, np.dtype(kind).str, *([list(shape[0])] if shape else [])]
             for name, kind, *shape in M2410]  # fmt: skip
    meta = {"chunks": [size], "compressor": {"id": "zlib", "level": 1}, "dtype": dtype,
            "fill_value": None, "filters": None, "order": "C", "shape": [len(rows)],
            "zarr_format": 2}  # fmt: skip
    files = {".zgroup": b'{"zarr_format": 2}', "mfx/.zarray": json.dumps(meta).encode()}
    if n:
        files["mfx/0"] = zlib.compress(rows.tobytes())
    return Specimen(files, ".zarr")


def processed(n: int) -> np.ndarray:
    xyz = planted(n)
    zeros = np.zeros(n)
    return np.column_stack(
        [np.arange(n) // 3, np.arange(n) * 0.01, xyz, zeros + 4e4, zeros, zeros + 70,
         zeros + 0.5, zeros, zeros + 1]
    )  # fmt: skip


PMX_NAMES = ["tid", "tim", "x", "y", "z", "efo", "cfr", "eco", "dcr", "dwell", "fluo"]


def pmx(n: int) -> Specimen:
    def fill(file: h5py.File) -> None:
        file.attrs["file_version"] = "2.0"
        file["parameters/z_scaling_factor"] = 0.7
        data = file.create_dataset("paraview/dataframe", data=processed(n))
        data.attrs["column_names"] = PMX_NAMES
        file["raw/npy"] = m2205_rows(n)

    return Specimen(in_hdf5(fill), ".pmx")


def pmx_raw(n: int) -> Specimen:
    return Specimen(pmx(n).content, ".pmx", {"format": "pmx-raw"})


def minflux_table(n: int) -> Specimen:
    return Specimen(
        text("tid,tim,x,y,z,efo,cfr", joined(n, "{i},0.{k:03d},{x:.3f},{y:.3f},{z:.3f},4e4,0.5")),
        ".csv",
    )


def minflux_struct(n: int) -> Specimen:
    minflux = {"t": np.arange(n)[:, None] * 0.1, "id": np.arange(n)[:, None], "pos": planted(n)}
    return Specimen(in_mat({"minflux": minflux}), ".mat")


def minflux_npz(n: int) -> Specimen:
    buffer = io.BytesIO()
    xyz = planted(n) * 1e-9
    np.savez(buffer, X=xyz[:, 0], Y=xyz[:, 1], Z=xyz[:, 2], TID=np.arange(n))
    return Specimen(buffer.getvalue(), ".npz")


def smap(n: int) -> Specimen:
    xyz = planted(n)
    loc = {"xnm": xyz[:, :1], "ynm": xyz[:, 1:2], "znm": xyz[:, 2:], "frame": np.arange(n)[:, None],
           "phot": np.full((n, 1), 900.0), "locprecnm": np.full((n, 1), 8.0)}  # fmt: skip
    return Specimen(in_mat({"saveloc": {"loc": loc}, "fileformat": {"name": "sml"}}), ".mat")


def smap_csv(n: int) -> Specimen:
    return Specimen(
        text("ID,frame,xnm,ynm,znm,phot,bg,locprecnm ",
             joined(n, "{k},{k},{x:.3f},{y:.3f},{z:.3f},900,10,8.5")), ".csv"
    )  # fmt: skip


def elyra(n: int) -> Specimen:
    header = "\t".join(
        ["Index", "First Frame", "Number Frames", "Frames Missing", "Position X [nm]",
         "Position Y [nm]", "Position Z [nm]", "Precision [nm]", "Number Photons",
         "Background variance", "Chi square", "PSF half width [nm]", "Channel", "Z Slice"]
    )  # fmt: skip
    pattern = "{k}\t{k}\t1\t0\t{x:.3f}\t{y:.3f}\t{z:.3f}\t8.6\t472\t5.3\t0.28\t110.0\t1\t1"
    footer = "\x00\r\r\nVoxelSizeX : 0.097 \xb5m\r\r\nSizeX : 3200\r\r\n\r\nROI List : \r\r\n"
    return Specimen(text(header, joined(n, pattern), "\r\n") + footer.encode("latin-1"), ".txt")


def rapidstorm(n: int) -> Specimen:
    fields = "".join(
        f'<field identifier="{name}" syntax="float" semantic="s" unit="{unit}" min="0 m" />'
        for name, unit in (
            ("Position-0-0", "nanometer"), ("Position-1-0", "nanometer"),
            ("Position-2-0", "nanometer"), ("ImageNumber-0-0", "frame"),
            ("Amplitude-0-0", "A/D count"),
        )
    )  # fmt: skip
    header = f'# <localizations insequence="true">{fields}</localizations>'
    return Specimen(text(header, joined(n, "{x:.3f} {y:.3f} {z:.3f} {i} 9.2e+003")), ".txt")


def decode(n: int) -> Specimen:
    def fill(file: h5py.File) -> None:
        file["data/xyz"] = planted(n) / [100, 200, 1]
        file["data/xyz_sig"] = np.full((n, 3), 0.1)
        file.create_dataset("data/xyz_cr", data=h5py.Empty("f4"))
        file["data/frame_ix"] = np.arange(n)
        file["data/phot"] = np.full(n, 900.0)
        file["data/id"] = np.full(n, -1)
        file.create_group("meta").attrs.update({"xy_unit": "px", "px_size": [100.0, 200.0]})
        file.create_group("decode").attrs["version"] = "0.10.0"

    return Specimen(in_hdf5(fill), ".h5")


def decode_csv(n: int) -> Specimen:
    header = (
        '# DECODE EmitterSet\n# {"version": "0.10.0"}\n'
        '# {"xy_unit": "nm", "px_size": [100.0, 200.0]}\nx,y,z,phot,frame_ix,id,prob,bg'
    )
    return Specimen(text(header, joined(n, "{x:.3f},{y:.3f},{z:.3f},900,{i},-1,0.9,5")), ".csv")


def smlm(n: int) -> Specimen:
    record = np.dtype([("x", "<u4"), ("y", "<f4"), ("z", "<f4"), ("frame", "i1"),
                       ("patch", "<f4", (2, 2))])  # fmt: skip
    rows = np.zeros(n, record)
    xyz = planted(n)
    rows["x"] = xyz[:, 0] + 5000  # unsigned, shifted: the offset takes it back
    rows["y"], rows["z"] = xyz[:, 1], xyz[:, 2]
    layout = {"type": "table", "mode": "binary", "columns": "5",
              "headers": ["x", "y", "z", "frame", "patch"],
              "dtype": ["uint32", "float32", "float32", "int8", "float32"],
              "shape": ["1", 1, 1, 1, [2, 2]], "units": ["nm", "", "nm", "", ""]}  # fmt: skip
    manifest = {"format_version": "0.2", "formats": {"f": layout},
                "files": [{"name": "t.bin", "type": "table", "format": "f", "channel": "default",
                           "rows": str(n), "offset": {"x": -5000}}]}  # fmt: skip
    return Specimen(
        in_zip({"manifest.json": json.dumps(manifest).encode(), "t.bin": rows.tobytes()}), ".smlm"
    )


def oni(n: int) -> Specimen:
    header = "Channel,Frame,X (nm),Y (nm),Z (nm),X precision (nm),Y precision (nm),X (pix)," \
             "Y (pix),Photons,Background"  # fmt: skip
    return Specimen(
        text(header, joined(n, "0,{i},{x:.3f},{y:.3f},{z:.3f},9.5,10.5,1.0,2.0,500,12")), ".csv"
    )


def oni_codi(n: int) -> Specimen:
    header = (
        "x-nm,y-nm,frame,channel,duration-frames,var-x-nm2,var-y-nm2,z-nm,intensity-mean-photons"
    )
    return Specimen(text(header, joined(n, "{x:.3f},{y:.3f},{i},1,1,81,100,{z:.3f},800")), ".csv")


def vutara(n: int) -> Specimen:
    header = "image-ID,time-point,cycle,z-step,frame,accum,probe,photon-count,x,y,z,accuracy," \
             "fiducial,valid,precisionx,precisiony,precisionz"  # fmt: skip
    pattern = "{i},0,0,0,{i},0,1,900,{x:.3f},{y:.3f},{z:.3f},5,0,1,8,9,20"
    return Specimen(text(header, joined(n, pattern)), ".csv")


def abbelight(n: int) -> Specimen:
    header = '"id","frame","x [nm]","y [nm]","z [nm]","sigma [nm]","intensity [photon]",' \
             '"uncertainty_xy [nm]","ratio_demixing"'  # fmt: skip
    pattern = "{k},{k},{x:.3f},{y:.3f},{z:.3f},130,900,8,0.4"
    return Specimen(text(header, joined(n, pattern)), ".csv")


def leica_gsd(n: int) -> Specimen:
    header = "#stackID(UINT32), frameID(UINT32), eventID(UINT32), x0(float), y0(float), " \
             "z0(float), photon_count0(float), sigmaX0(float), sigmaY0(float) "  # fmt: skip
    rows = [
        f"0, {i}, {i}, {x / 100:.5f}, {y / 100:.5f}, {z:.3f}, 900, 1.3, 1.4 "
        for i, (x, y, z) in enumerate(planted(n))
    ]
    return Specimen(text(header, rows), ".ascii", {"pixel_size_nm": 100})


def nstorm(n: int) -> Specimen:
    names = (
        "Channel Name,X,Y,Xc,Yc,Height,Area,Width,Phi,Ax,BG,I,Frame,Length,Link,Valid,Z,Zc,"
        "Photons,Lateral Localization Accuracy,Xw,Yw,Xwc,Ywc,Zw,Zwc"
    )
    header = names.replace(",", "\t")
    pattern = "647\t0\t0\t1\t1\t300\t900\t260\t0\t1\t20\t5\t{k}\t1\t-1\t1\t0\t1\t800\t9.5\t2\t2\t" \
              "{x:.3f}\t{y:.3f}\t3\t{z:.3f}"  # fmt: skip
    return Specimen(text(header, joined(n, pattern), "\r\n"), ".txt")


def picasso_nis(n: int) -> Specimen:
    header = "X\tY\tZ\tChannel\tWidth\tBG\tLength\tArea\tFrame"
    pattern = "{x:.2f}\t{y:.2f}\t{z:.2f}\t104\t22.00\t1078\t{i}\t1\t1"
    return Specimen(text(header, joined(n, pattern), "\r\n"), ".txt")


def insight3(n: int) -> Specimen:
    names = ["x", "y", "xc", "yc", "h", "a", "w", "phi", "ax", "bg", "i"]
    record = np.dtype([(name, "<f4") for name in names]
                      + [(name, "<i4") for name in ("c", "fi", "fr", "tl", "lk")]
                      + [("z", "<f4"), ("zc", "<f4")])  # fmt: skip
    rows = np.zeros(n, record)
    xyz = planted(n)
    rows["xc"], rows["yc"], rows["zc"] = xyz[:, 0] / 100 + 1, xyz[:, 1] / 100 + 1, xyz[:, 2]
    rows["w"], rows["fr"], rows["tl"] = 300, np.arange(n) + 1, 1
    head = b"M425" + struct.pack("<3i", n, 6, n)
    return Specimen(head + rows.tobytes() + b"\0\0\0\0", ".bin", {"pixel_size_nm": 100},
                    tolerance_nm=1e-2)  # fmt: skip


def storm_analysis(n: int) -> Specimen:
    def fill(file: h5py.File) -> None:
        file.attrs.update({"sa_type": "localizations", "version": "0.1", "pixel_size": 100.0})
        for i, (x, y, z) in enumerate(planted(n)):
            group = file.create_group(f"fr_{i}")
            group.attrs.update({"n_locs": 1, "dx": 0.5, "dy": -0.5, "dz": 0.0})
            group["x"], group["y"], group["z"] = [x / 100 - 0.5], [y / 100 + 0.5], [z / 1000]
            group["sum"], group["xsigma"] = [900.0], [1.3]
        if n == 0:
            file.create_group("fr_0").attrs["n_locs"] = 0

    return Specimen(in_hdf5(fill), ".hdf5")


def quickpalm(n: int) -> Specimen:
    header = "\t".join(
        ["Intensity", "X (px)", "Y (px)", "X (nm)", "Y (nm)", "Z (nm)", "Left-Width(px)",
         "Right-Width (px)", "Up-Height (px)", "Down-Height (px)", "X Symmetry (%)",
         "Y Symmetry (%)", "Width minus Height (px)", "Frame Number"]
    )  # fmt: skip
    pattern = "900\t10\t20\t{x:.3f}\t{y:.3f}\t{z:.3f}\t1\t1\t1\t1\t90\t91\t0.1\t{k}"
    return Specimen(text(header, joined(n, pattern)), ".xls")


def dom(n: int) -> Specimen:
    header = "\t".join(
        ["X_(px)", "Y_(px)", "Frame_Number", "X_(nm)", "X_loc_error(nm)", "Y_(nm)",
         "Y_loc_error(nm)", "Z_(nm)", "Z_loc_error(nm)", "Amplitude_fit", "IntegratedInt"]
    )  # fmt: skip
    pattern = "1\t2\t{k}\t{x:.3f}\t9\t{y:.3f}\t10\t{z:.3f}\t20\t100\t900"
    return Specimen(text(header, joined(n, pattern)), ".txt")


def vlume(n: int) -> Specimen:
    header = "#LUME VERSION, 0.54\n#points\nframe,x,y,z,int"
    return Specimen(text(header, joined(n, "{k},{x:.3f},{y:.3f},{z:.3f},1398.4")), ".csv")


def smlm_challenge(n: int) -> Specimen:
    header = "Ground-truth,frame,xnano,ynano,znano,intensity "
    return Specimen(text(header, joined(n, "{k},{k},{x:.3f},{y:.3f},{z:.3f},900")), ".csv")


def micromanager(n: int) -> Specimen:
    header = "X(nm)\tY(nm)\tZ(nm)\tInt(photons)\tFrame\tChannel\tSlice"
    return Specimen(text(header, joined(n, "{x:.3f}\t{y:.3f}\t{z:.3f}\t900\t{k}\t1\t1")), ".txt")


def visp(n: int) -> Specimen:
    return Specimen(
        "\n".join([*joined(n, "{x:.3f}\t{y:.3f}\t{z:.3f}\t900\t{k}"), ""]).encode(), ".3d"
    )


def malk(n: int) -> Specimen:
    return Specimen(
        "\n".join([*joined(n, "{x:.3f} {y:.3f} {k} 900"), ""]).encode(), ".txt",
        {"format": "malk", "units": "nm"}, has_z=False,
    )  # fmt: skip


def pyme_h5r(n: int) -> Specimen:
    inner = [("A", "f4"), ("x0", "f8"), ("y0", "f8"), ("z0", "f8"), ("sigma", "f4")]
    rows = np.zeros(n, [("tIndex", "i4"), ("fitResults", inner), ("fitError", inner)])
    for number, axis in enumerate("xyz"):
        rows["fitResults"][f"{axis}0"] = planted(n)[:, number]
        rows["fitError"][f"{axis}0"] = 8
    return Specimen(in_hdf5(lambda file: file.create_dataset("FitResults", data=rows)), ".h5r")


def pyme_hdf(n: int) -> Specimen:
    rows = np.zeros(n, [("x", "f8"), ("y", "f8"), ("z", "f8"), ("t", "i4"), ("error_x", "f4")])
    for number, axis in enumerate("xyz"):
        rows[axis] = planted(n)[:, number]
    return Specimen(in_hdf5(lambda file: file.create_dataset("output", data=rows)), ".hdf")


def asdf(n: int) -> Specimen:
    tree = (
        "#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n"
        "--- !core/asdf-1.1.0\ncolumns: [position_x, position_y, position_z, frame]\n"
        "data: !core/ndarray-1.0.0\n  source: 0\n  datatype: float64\n  byteorder: little\n"
        f"  shape: [{n}, 4]\n  strides: [8, {8 * n}]\n"
        'meta: "{\\"unit\\": [{\\"property\\": \\"position_x\\", \\"unit\\": \\"nm\\"}, '
        '{\\"property\\": \\"position_y\\", \\"unit\\": \\"nm\\"}, '
        '{\\"property\\": \\"position_z\\", \\"unit\\": \\"nm\\"}]}"\n...\n'
    )
    data = np.column_stack([planted(n), np.arange(n)]).T.tobytes()
    block = struct.pack(">4sHI4sQQQ16s", b"\xd3BLK", 48, 0, b"\0\0\0\0", len(data), len(data),
                        len(data), bytes(16))  # fmt: skip
    return Specimen(tree.encode() + block + data, ".asdf")


def numpy_table(n: int) -> Specimen:
    return Specimen(in_npy(planted(n)), ".npy", {"units": "nm"})


def minflux_iterations(n: int) -> Specimen:
    rows = [
        f"{i // 2},{i * 0.01},True,{k},{x * 1e-9:.14e},{y * 1e-9:.14e},{z * 1e-9:.14e},0.5,0.5"
        for i, (x, y, z) in enumerate(planted(n))
        for k in (3, 4)
    ]
    return Specimen(text("tid,tim,vld,itr,loc_x,loc_y,loc_z,dcr_0,dcr_1", rows), ".csv")


def minflux_msr(n: int) -> Specimen:
    files = minflux_zarr(n).content
    assert isinstance(files, dict)
    payload = b"MFXDTA\0" + struct.pack("<II", 2, 1_700_000_000) + bytes(13)
    for name, data in {"sync": None, **files}.items():
        key = (name if data is None else f"zarr/{name}").replace("/", "\\").encode()
        payload += struct.pack("<Q", len(key)) + key
        payload += b"\1" if data is None else b"\0" + struct.pack("<Q", len(data)) + data
    packed = zlib.compress(payload + bytes(50))
    name = b"220601_minflux"
    header = struct.pack(
        "<16s2I15I15d15d5I3Q", b"OMAS_BF_STACK\n\xff\xff", 3, 1, len(payload) + 50, *[1] * 14,
        *[1.0] * 30, 1, 1, 6, len(name), 0, 0, len(packed), 0,
    )  # fmt: skip
    start = b"OMAS_BF\n\xff\xff" + struct.pack("<IQI", 1, 26, 0)
    return Specimen(start + header + name + packed, ".msr")


def minflux_headerless(n: int) -> Specimen:
    rows = joined(n, "{i},0.{k:03d},{{x}},{{y}},{{z}}")
    cells = [
        row.format(x=f"{x * 1e-9:.14e}", y=f"{y * 1e-9:.14e}", z=f"{z * 1e-9:.14e}")
        for row, (x, y, z) in zip(rows, planted(n), strict=True)
    ]
    return Specimen("\n".join([*cells, ""]).encode(), ".csv", {"format": "minflux-headerless"})


def mat_table(n: int) -> Specimen:
    x, y, z = planted(n).T
    return Specimen(in_mat({"x_nm": x, "y_nm": y, "z_nm": z}), ".mat")


def thunderstorm_json(n: int) -> Specimen:
    records = [
        {"frame": 1.0, "x [nm]": float(x), "y [nm]": float(y), "z [nm]": float(z)}
        for x, y, z in planted(n)
    ]
    return Specimen(json.dumps(records).encode(), ".json")


#: Registered name -> maker.
MAKERS: dict[str, Callable[[int], Specimen]] = {
    "thunderstorm": thunderstorm, "table": table, "parquet": parquet, "feather": feather,
    "picasso": picasso, "minflux-m2205": minflux_m2205, "minflux-m2410": minflux_m2410,
    "minflux-mat": minflux_mat, "minflux-json": minflux_json, "minflux-zarr": minflux_zarr,
    "minflux-headerless": minflux_headerless, "mat-table": mat_table,
    "thunderstorm-json": thunderstorm_json, "numpy-table": numpy_table,
    "minflux-iterations": minflux_iterations,
    "minflux-msr": minflux_msr, "pmx": pmx, "pmx-raw": pmx_raw, "minflux-table": minflux_table,
    "minflux-struct": minflux_struct, "minflux-npz": minflux_npz, "smap": smap,
    "smap-csv": smap_csv, "elyra": elyra, "rapidstorm": rapidstorm, "decode": decode,
    "decode-csv": decode_csv, "smlm": smlm, "oni": oni, "oni-codi": oni_codi, "vutara": vutara,
    "abbelight": abbelight, "leica-gsd": leica_gsd, "nstorm": nstorm, "picasso-nis": picasso_nis,
    "insight3": insight3, "storm-analysis": storm_analysis, "quickpalm": quickpalm, "dom": dom,
    "vlume": vlume, "smlm-challenge": smlm_challenge, "micromanager": micromanager, "visp": visp,
    "malk": malk, "pyme-h5r": pyme_h5r, "pyme-hdf": pyme_hdf, "asdf": asdf,
}  # fmt: skip

#: Formats without a mark of their own in the content: found by name or by suffix.
BY_NAME = frozenset({"malk", "pmx-raw"})
BY_SUFFIX = frozenset({"visp"})
