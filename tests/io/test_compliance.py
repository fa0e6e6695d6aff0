"""One suite for every reader: whatever is in the registry has to pass all of it."""

from __future__ import annotations

import gzip
import importlib.util
import os
import stat
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ReadError


def _specimens() -> ModuleType:
    path = Path(__file__).with_name("specimens.py")
    spec = importlib.util.spec_from_file_location("specimens", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


zoo = _specimens()
READERS = sorted(item.name for item in ns.formats() if item.can_read)
N = 12


def test_every_reader_has_a_specimen() -> None:
    assert set(READERS) == set(zoo.MAKERS)


@pytest.mark.parametrize("name", READERS)
def test_positions_come_back_in_nanometres(tmp_path: Path, name: str) -> None:
    specimen = zoo.MAKERS[name](N)
    locs = ns.read(specimen.save(tmp_path), **specimen.arguments)
    expected = zoo.planted(N)
    if not specimen.has_z:
        expected[:, 2] = 0
    np.testing.assert_allclose(locs.xyz_nm, expected, atol=specimen.tolerance_nm)
    assert locs.dimension == (3 if specimen.has_z else 2)
    for column in ("x_nm", "y_nm"):
        assert locs.table[column].dtype == np.float64
    assert locs.history[-1]["operation"] == "read"
    assert locs.history[-1]["arguments"]["format"] == name


@pytest.mark.parametrize("name", READERS)
def test_recognised_by_content_whatever_the_name(tmp_path: Path, name: str) -> None:
    specimen = zoo.MAKERS[name](N)
    found = ns.detect(specimen.save(tmp_path))
    if name in zoo.BY_NAME:
        assert found.name != name
        return
    assert found.name == name
    assert found.confidence is not None
    assert 0 < found.confidence <= 1
    if name in zoo.BY_SUFFIX or not isinstance(specimen.content, bytes):
        return
    names = ["wrong.csv", "wrong.hdf5", "wrong", "神経 ä.tmp", "x" * 240]
    if os.name == "posix":
        names.append("a\nb.txt")
    for wrong in names:
        other = tmp_path / wrong
        other.write_bytes(specimen.content)
        assert ns.detect(other).name == name


@pytest.mark.parametrize("name", READERS)
def test_one_row_and_none(tmp_path: Path, name: str) -> None:
    one = zoo.MAKERS[name](1)
    assert len(ns.read(one.save(tmp_path, "one"), **one.arguments)) == 1
    none = zoo.MAKERS[name](0)
    try:
        locs = ns.read(none.save(tmp_path, "none"), format=name, **without_format(none.arguments))
    except ReadError as error:
        assert "none" in str(error)  # noqa: PT017
        return
    assert len(locs) == 0
    assert locs.table["x_nm"].dtype == np.float64


def without_format(arguments: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in arguments.items() if key != "format"}


@pytest.mark.parametrize("name", READERS)
def test_cut_at_each_tenth(tmp_path: Path, name: str) -> None:
    specimen = zoo.MAKERS[name](N)
    if not isinstance(specimen.content, bytes):
        pytest.skip("a folder is not cut")
    path = specimen.save(tmp_path)
    for tenth in range(10):
        path.write_bytes(specimen.content[: len(specimen.content) * tenth // 10])
        for arguments in (specimen.arguments, {**specimen.arguments, "format": name}):
            try:
                locs = ns.read(path, **arguments)
            except ReadError as error:
                assert path.name in str(error)  # noqa: PT017
                continue
            # Rows that are whole may be given; they must be right, and be fewer.
            expected = zoo.planted(N)[: len(locs), :2]
            np.testing.assert_allclose(
                locs.xyz_nm[:, :2], expected, atol=specimen.tolerance_nm, err_msg=str(tenth)
            )


@pytest.mark.parametrize("name", READERS)
def test_another_reader_says_what_it_expected(tmp_path: Path, name: str) -> None:
    """Each reader forced on a foreign file: ReadError, never anything else."""
    for other in ("thunderstorm", "picasso", "minflux-m2205", "smap", "minflux-json", "smlm"):
        specimen = zoo.MAKERS[other](3)
        path = specimen.save(tmp_path, f"foreign_{other}")
        try:
            ns.read(path, format=name, units="nm", pixel_size_nm=100)
        except ReadError as error:
            assert path.name in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", READERS)
def test_a_read_only_file_in_a_read_only_folder_stays_as_it_is(tmp_path: Path, name: str) -> None:
    specimen = zoo.MAKERS[name](N)
    path = specimen.save(tmp_path)
    before = {item.name: item.stat().st_mtime_ns for item in tmp_path.rglob("*")}
    os.chmod(tmp_path, stat.S_IRUSR | stat.S_IXUSR)  # noqa: PTH101
    try:
        ns.read(path, **specimen.arguments)
    finally:
        os.chmod(tmp_path, stat.S_IRWXU)  # noqa: PTH101
    assert {item.name: item.stat().st_mtime_ns for item in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("name", READERS)
def test_garbage_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "garbage"
    random = np.random.default_rng(0)
    for data in (random.bytes(2000), b"\x00" * 500, b"\n" * 100, b"a" * 5000, b"{" * 3000):
        path.write_bytes(data)
        with pytest.raises(ReadError):
            ns.read(path, format=name, units="nm", pixel_size_nm=100)


@pytest.mark.parametrize("packing", ["gz", "zip"])
@pytest.mark.parametrize("name", READERS)
def test_packed_files_are_read_alike(tmp_path: Path, name: str, packing: str) -> None:
    specimen = zoo.MAKERS[name](N)
    plain = specimen.save(tmp_path)
    if packing == "gz":
        if not isinstance(specimen.content, bytes):
            pytest.skip("gz holds one file")
        path = tmp_path / f"{plain.name}.gz"
        path.write_bytes(gzip.compress(specimen.content))
    else:
        path = tmp_path / "specimen.zip"
        content = specimen.content
        files = {plain.name: content} if isinstance(content, bytes) else content
        path.write_bytes(zoo.in_zip(files))
    packed = ns.read(path, **specimen.arguments)
    np.testing.assert_array_equal(packed.xyz_nm, ns.read(plain, **specimen.arguments).xyz_nm)
