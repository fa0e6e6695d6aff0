"""Files that ask for more than data: refused with one clear sentence, and nothing happens."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.safe_decode import load_yaml, npy_from
from nanospine.io.safe_files import LIMITS, check_path, open_source

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes and permissions")


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    "address",
    ["http://example.org/a.csv", "https://example.org/a.csv", "file:///etc/passwd",
     "s3://bucket/a.csv", "ftp://host/a", "zip://a.zip::http://b/c"],
)  # fmt: skip
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(UnsafeFileError, match="is an address, not a file"):
        ns.read(address)


def test_missing_empty_and_nul_paths() -> None:
    for path, message in (
        ("no/such/file.csv", "no such file"),
        ("", "path is empty"),
        ("a\x00b", "NUL character"),
        ("a" * 5000, "cannot be looked at"),
    ):
        with pytest.raises(ReadError, match=message):
            ns.read(path)


def test_windows_drives_are_no_addresses(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file"):
        check_path("C:\\data\\a.csv")


@posix_only
def test_folder_pipe_and_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="a folder without files"):
        ns.read(tmp_path)
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(UnsafeFileError, match="pipe, socket or device"):
            ns.read(path)


@posix_only
def test_a_link_to_a_file_is_read_and_a_dangling_one_is_missing(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("x [nm],y [nm]\n1,2\n300,4\n")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    assert len(ns.read(link)) == 2
    target.unlink()
    with pytest.raises(ReadError, match="no such file"):
        ns.read(link)


@posix_only
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x [nm],y [nm]\n1,2\n")
    path.chmod(0)
    with pytest.raises(ReadError, match="no permission"):
        ns.read(path)


@posix_only
def test_reading_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x [nm],y [nm]\n1,2\n300,4\n")
    path.chmod(stat.S_IRUSR)
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        before = path.stat().st_mtime_ns
        assert len(ns.read(path)) == 2
        assert path.stat().st_mtime_ns == before
        assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_decompression_bombs_are_counted_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nanospine.io import safe_archive

    small = safe_archive.Limits(free_bytes=1 << 20, expansion=50)
    monkeypatch.setattr(safe_archive, "LIMITS", small)
    bomb = bytes(8 << 20)
    packed = tmp_path / "bomb.csv.gz"
    packed.write_bytes(gzip.compress(bomb))
    zipped = tmp_path / "bomb.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.csv", bomb)
    for path in (packed, zipped):
        with pytest.raises(UnsafeFileError, match="decompression bomb"):
            ns.read(path)


@pytest.mark.parametrize("name", ["../evil.csv", "/etc/evil.csv", "a/../../b.csv", "C:\\e.csv"])
def test_zip_slip_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "slip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x [nm],y [nm]\n1,2\n")
    with pytest.raises(UnsafeFileError, match="points out of it"):
        ns.read(path)


def test_zip_links_doubles_and_many_files(tmp_path: Path) -> None:
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("a.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeFileError, match="a link"):
        ns.read(link)
    double = tmp_path / "double.zip"
    with zipfile.ZipFile(double, "w") as archive:
        archive.writestr("a.csv", "x")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.csv", "y")
    with pytest.raises(UnsafeFileError, match="two files of one name"):
        ns.read(double)
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        archive.writestr("a.csv", "x [nm],y [nm]\n1,2\n")
        archive.writestr("b.csv", "x [nm],y [nm]\n1,2\n")
    with pytest.raises(ReadError, match=r"a zip with 2 files: a\.csv, b\.csv"):
        ns.read(many)


def test_encrypted_zips_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "x [nm],y [nm]\n1,2\n")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ReadError, match="encrypted"):
        ns.read(path)


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_packed_files_that_are_cut(tmp_path: Path, kind: str) -> None:
    text = "x [nm],y [nm]\n" + "".join(f"{i}.5,{i * 3}.25\n" for i in range(2000))
    path = tmp_path / f"a.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv", text)
    data = path.read_bytes()
    for part in range(1, 10):
        path.write_bytes(data[: len(data) * part // 10])
        with pytest.raises(ReadError, match=r"cut short or damaged|no reader"):
            ns.read(path)


def test_npy_with_objects_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = tmp_path / "a.npy"
    np.save(path, np.array([Trap(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(ReadError):
        ns.read(path)
    with pytest.raises(UnsafeFileError, match="could run code"):
        npy_from(path.read_bytes(), "a.npy")
    path.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(UnsafeFileError, match="is a Python pickle"):
        ns.read(path)
    assert not mark.exists()


def test_npy_that_claims_more_than_it_has() -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    with pytest.raises(ReadError, match=r"8000000000000 bytes of data expected.*found 4"):
        npy_from(buffer.getvalue() + b"1234", "a.npy")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2", "?"])
def test_npy_as_numpy_reads_it(order: str, dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype, order=order)  # type: ignore[call-overload]
    buffer = io.BytesIO()
    np.save(buffer, array)
    found = npy_from(buffer.getvalue(), "a.npy")
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_yaml_tags_give_data_and_run_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = f"""
a: !!python/object/apply:os.system ["touch {mark}"]
b: !!python/object/new:os.system ["touch {mark}"]
c: !!python/name:os.system
d: !!python/tuple [1, 2]
e: !!python/object/apply:numpy._core.multiarray.scalar
- !!python/object/apply:numpy.dtype
  args: [f8, false, true]
- !!binary AAAAAAAAYEA=
Pixelsize: 130
"""
    (document,) = load_yaml(text.encode(), "a.yaml")
    assert not mark.exists()
    assert document["d"] == (1, 2)
    assert document["e"] == 128.0
    assert document["Pixelsize"] == 130


def test_yaml_that_is_none_or_too_deep() -> None:
    with pytest.raises(ReadError, match="yaml text cannot be read"):
        load_yaml(b"a: [1, 2\nb: }", "a.yaml")
    with pytest.raises(ReadError, match="yaml text cannot be read"):
        load_yaml(b"[" * 5000, "a.yaml")


def test_yaml_alias_bombs_are_not_unfolded() -> None:
    lines = ["a0: &a0 [1,1]"]
    lines += [f"a{i}: &a{i} [*a{i - 1},*a{i - 1},*a{i - 1},*a{i - 1}]" for i in range(1, 60)]
    (document,) = load_yaml("\n".join(lines).encode(), "bomb.yaml")
    assert len(document) == 60


def test_head_size_and_tail(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x [nm],y [nm]\n1,2\n")
    source = open_source(path)
    assert (source.kind, source.size, source.tail(4)) == ("text", 18, b"1,2\n")
    assert source.sidecar("../a.csv", "missing") is None
    assert LIMITS.allowed(1) == LIMITS.free_bytes
