"""HDF5 files that point elsewhere, hold objects, or claim what they do not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import nanospine as ns
from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.hdf5_heaps import longest_text_claim
from nanospine.io.safe_files import open_source
from nanospine.io.safe_hdf5 import open_hdf5

LOCS = np.array([(0, 1.0, 2.0), (1, 30.0, 40.0)], dtype=[("frame", "u4"), ("x", "f4"), ("y", "f4")])


def good(folder: Path, name: str = "good.hdf5") -> Path:
    path = folder / name
    with h5py.File(path, "w") as file:
        file["locs"] = LOCS
    return path


def external_link(folder: Path) -> Path:
    good(folder)
    path = folder / "bad.hdf5"
    with h5py.File(path, "w") as file:
        file["locs"] = h5py.ExternalLink("good.hdf5", "/locs")
    return path


def soft_link_to_external(folder: Path) -> Path:
    good(folder)
    path = folder / "bad.hdf5"
    with h5py.File(path, "w") as file:
        file["far"] = h5py.ExternalLink("good.hdf5", "/")
        file["locs"] = h5py.SoftLink("/far/locs")
    return path


def soft_link(folder: Path) -> Path:
    path = good(folder, "bad.hdf5")
    with h5py.File(path, "a") as file:
        file.move("locs", "real")
        file["locs"] = h5py.SoftLink("/real")
    return path


def external_storage(folder: Path) -> Path:
    (folder / "raw.bin").write_bytes(LOCS.tobytes())
    path = folder / "bad.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "locs", (2,), LOCS.dtype, external=[(folder / "raw.bin", 0, LOCS.nbytes)]
        )
    return path


def virtual(folder: Path) -> Path:
    layout = h5py.VirtualLayout((2,), LOCS.dtype)
    layout[:] = h5py.VirtualSource(good(folder), "locs", (2,), LOCS.dtype)
    path = folder / "bad.hdf5"
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("locs", layout)
    return path


def bomb(folder: Path) -> Path:
    path = folder / "bad.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("locs", (10**13,), LOCS.dtype, chunks=(1000,))
    return path


def objects(folder: Path) -> Path:
    path = folder / "bad.hdf5"
    kind = np.dtype([("x", "f4"), ("y", h5py.vlen_dtype(np.float64))])
    with h5py.File(path, "w") as file:
        file.create_dataset("locs", (2,), kind)
    return path


MESSAGES: dict[Callable[[Path], Path], str] = {
    external_link: "/locs is an external link; nanospine reads only data stored in the file itself",
    soft_link_to_external: "/locs is a soft link",
    soft_link: "/locs is a soft link",
    external_storage: "lie in other files",
    virtual: "lie in other files",
    bomb: "declares 120000000000000 bytes",
    objects: "objects",
}


@pytest.mark.parametrize("make", MESSAGES, ids=lambda make: make.__name__)
def test_hostile_files_are_refused(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    with pytest.raises(UnsafeFileError, match=MESSAGES[make]):
        ns.read(make(tmp_path), format="picasso", pixel_size_nm=100)


def test_the_honest_file_is_read(tmp_path: Path) -> None:
    locs = ns.read(good(tmp_path), pixel_size_nm=100)
    assert locs.xyz_nm[:, :2].tolist() == [[100, 200], [3000, 4000]]


def test_a_group_where_data_were_expected(tmp_path: Path) -> None:
    path = tmp_path / "bad.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("locs")
    with pytest.raises(ReadError, match="columns x and y were expected"):
        ns.read(path, format="picasso", pixel_size_nm=100)


@pytest.mark.parametrize("part", range(1, 10))
def test_cut_files_give_a_read_error(tmp_path: Path, part: int) -> None:
    path = good(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * part // 10])
    with pytest.raises(ReadError):
        ns.read(path, pixel_size_nm=100)


@pytest.mark.parametrize("size", [0, 8, 2**64 - 16, 2**40])
def test_a_damaged_heap_of_texts_is_refused_and_not_walked_for_ever(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "heap.hdf5"
    with h5py.File(path, "w") as file:
        file["locs"] = LOCS
        file["metadata"] = '[{"Pixelsize": 100}]'
    assert ns.read(path).xyz_nm[0, 0] == 100
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    free = data.index(b"\x00" * 8, heap + 32) // 8 * 8
    while data[free : free + 8] != bytes(8) or int.from_bytes(data[free + 8 : free + 16]) == 0:
        free += 8  # the free space: index 0, then its length
    data[free + 8 : free + 16] = size.to_bytes(8, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(ReadError, match="a heap of texts"):
        ns.read(path)


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        ([("x", "f4"), ("pos", "f8", (3,)), ("name", "S4")], True),
        ({"names": ["a", "b"], "formats": ["f16", "f8"], "offsets": [0, 8]}, False),
        ({"names": ["a", "b"], "formats": ["f8", "f8"], "offsets": [0, 4]}, False),
        ("f16", False),
        ("c16", False),
    ],
)
def test_types_that_overlap_or_outgrow_their_place_are_not_read(kind: object, plain: bool) -> None:
    from nanospine.io.safe_hdf5 import _is_plain

    assert _is_plain(np.dtype(kind)) is plain  # type: ignore[call-overload]


def test_a_text_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path: Path) -> None:
    """Found by an attack guided by coverage: 180 kB that took 3 GB before they were refused."""
    path = tmp_path / "text.hdf5"
    with h5py.File(path, "w") as file:
        file["text"] = "a text of variable length"
        offset = file["text"].id.get_offset()
    data = bytearray(path.read_bytes())
    assert int.from_bytes(data[offset : offset + 4], "little") == 25
    data[offset + 3] = 0xB0
    path.write_bytes(data)
    with open_hdf5(open_source(path)) as file, pytest.raises(ReadError, match="claims 29"):
        file.text("/text")
    data[offset + 3] = 0
    path.write_bytes(data)
    with open_hdf5(open_source(path)) as file:
        assert file.text("/text") == "a text of variable length"


@pytest.mark.parametrize("many", [False, True], ids=["in the head", "in a heap of their own"])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_an_attribute_that_claims_more_than_the_file_holds_takes_no_memory(
    tmp_path: Path, libver: str, many: bool
) -> None:
    """The library took the 2.9 GB that a file of 2 kB claims before it looked."""
    path = tmp_path / "text.hdf5"
    words = ["four", "words of", "different", "length"]
    with h5py.File(path, "w", libver=libver) as file:
        for number in range(40 if many else 0):
            file.attrs[f"other{number}"] = float(number)
        file.attrs["note"] = "some text of 29 bytes, no more"[:29]
        file.create_group("a/b").attrs["note"] = np.array(words, dtype=h5py.string_dtype())
        file["a"].attrs["note"] = 1.5
    data = bytearray(path.read_bytes())

    def claim(true: int, told: int) -> None:
        # The reference: how long, in which heap, which text of it.
        heap = data.find(b"GCOL\x01").to_bytes(8, "little")
        at = [k for k in range(len(data)) if data[k : k + 12] == true.to_bytes(4, "little") + heap]
        assert at
        changed = bytearray(data)
        for k in at:
            changed[k : k + 4] = told.to_bytes(4, "little")
        path.write_bytes(changed)

    def read(where: str) -> object:
        with open_hdf5(open_source(path)) as file:
            return file.attribute(where, "note")

    assert read("/") == "some text of 29 bytes, no more"[:29]
    assert read("/a/b") == words
    assert read("/a") == 1.5
    for true, where in ((29, "/"), (9, "/a/b")):
        claim(true, 2_900_000_000)
        assert longest_text_claim(open_source(path), "note", 64) == 2_900_000_000
        if libver == "earliest":  # in the latest format a checksum tells of the change before
            with pytest.raises(ReadError, match="attribute 'note' claims 2900000000 bytes"):
                read(where)
