"""Everything that can be written is read back with the same positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import WriteError


def specimen(dimension: int, n: int = 30) -> ns.Localizations:
    random = np.random.default_rng(3)
    return ns.from_arrays(
        random.uniform(-3000, 9000, (n, dimension)),
        precision_nm=random.uniform(2, 20, (n, dimension)),
        channel=np.array(["pre", "post"])[np.arange(n) % 2],
        frame=np.arange(n) + 1,
        photons=random.uniform(100, 2000, n),
    )


WRITTEN = [
    (".parquet", "parquet", 0.0), (".csv", "thunderstorm", 0.0), (".smlm", "smlm", 0.0),
    (".smap.csv", "smap-csv", 0.0), (".pmx.csv", "minflux-table", 0.0), (".hdf5", "picasso", 2e-3),
]  # fmt: skip


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(("suffix", "name", "tolerance"), WRITTEN)
def test_round_trip(
    tmp_path: Path, suffix: str, name: str, tolerance: float, dimension: int
) -> None:
    locs = specimen(dimension)
    path = tmp_path / f"a{suffix}"
    ns.write(locs, path)
    assert ns.detect(path).name == name
    back = ns.read(path)
    assert back.dimension == dimension
    found, expected = back.xyz_nm, locs.xyz_nm
    if suffix == ".hdf5":  # shifted by whole pixels into the image
        found = found - (found - expected)[0].round(-2)
    if suffix == ".smlm":  # one table per channel
        order = np.argsort(np.arange(30) % 2 == 0, kind="stable")
        expected = expected[order]
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert "photons" in back.table or suffix == ".pmx.csv"
    assert set(back.channels) == ({"pre", "post"} if suffix in (".parquet", ".csv", ".smlm")
                                  else set(back.channels))  # fmt: skip


@pytest.mark.parametrize("suffix", [item[0] for item in WRITTEN])
def test_no_rows_are_written_and_read(tmp_path: Path, suffix: str) -> None:
    locs = specimen(3).select(np.zeros(30, dtype=bool))
    path = tmp_path / f"a{suffix}"
    ns.write(locs, path)
    assert len(ns.read(path)) == 0


def test_ply_and_vtp_are_what_viewers_expect(tmp_path: Path) -> None:
    locs = specimen(3)
    ns.write(locs, tmp_path / "a.ply")
    data = (tmp_path / "a.ply").read_bytes()
    header, _, body = data.partition(b"end_header\n")
    assert b"element vertex 30" in header
    n_floats = header.count(b"property float")
    assert len(body) == 30 * (3 * 8 + n_floats * 4)
    kind = np.dtype([("xyz", "<f8", (3,)), ("rest", "<f4", (n_floats,))])
    np.testing.assert_array_equal(np.frombuffer(body, kind)["xyz"], locs.xyz_nm)
    ns.write(locs, tmp_path / "a.vtp")
    text = (tmp_path / "a.vtp").read_bytes()
    assert b'NumberOfPoints="30"' in text
    start = text.index(b'encoding="raw">_') + len(b'encoding="raw">_')
    points = text.index(b'Name="Points"')
    offset = int(text[points:].split(b'offset="')[1].split(b'"')[0])
    size = int.from_bytes(text[start + offset : start + offset + 8], "little")
    xyz = np.frombuffer(text, "<f8", size // 8, start + offset + 8).reshape(-1, 3)
    np.testing.assert_array_equal(xyz, locs.xyz_nm)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    for suffix in (".parquet", ".csv", ".smlm", ".hdf5", ".ply", ".vtp", ".smap.csv"):
        with pytest.raises(WriteError):
            ns.write(specimen(3), folder / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_formats_tell_what_can_be_written() -> None:
    writable = {item.name for item in ns.formats() if item.can_write}
    assert {"parquet", "thunderstorm", "picasso", "smlm", "smap-csv", "ply", "vtp"} <= writable
