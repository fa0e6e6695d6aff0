"""The training set of DeepD3 (.d3set), written with h5py alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from nanospine.core.files import atomic_path

__all__ = ["write_d3set"]


def write_d3set(
    path: Path,
    stacks: Sequence[npt.NDArray[np.float32]],
    dendrites: Sequence[npt.NDArray[np.bool_]],
    spines: Sequence[npt.NDArray[np.bool_]],
    pixel_nm: Sequence[float],
) -> None:
    """Write stacks (z, y, x) with their masks as DeepD3's training set.

    The file is the one that `flammkuchen.save` gives for ``{"data": {"stacks", "dendrites",
    "spines"}, "meta": DataFrame}``, which DeepD3 reads; flammkuchen does not run with NumPy 2.

    Parameters
    ----------
    path : pathlib.Path
    stacks, dendrites, spines : sequence of ndarray, shape (nz, ny, nx)
    pixel_nm : sequence of float
        Pixel size of each stack in the plane; written in µm.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        _mark(file, CLASS="GROUP", PYTABLES_FORMAT_VERSION="2.1", TITLE="", VERSION="1.0")
        file.attrs["DEEPDISH_IO_VERSION"] = np.int64(12)
        data = _group(file, "data", "dict:3")
        for name, arrays in (("stacks", stacks), ("dendrites", dendrites), ("spines", spines)):
            group = _group(data, name, f"dict:{len(arrays)}")
            for i, array in enumerate(arrays):
                kind = np.float32 if name == "stacks" else np.uint8
                _array(group, f"x{i}", np.asarray(array, dtype=kind))
        shapes = np.array([array.shape for array in stacks], dtype=np.int64)
        _frame(
            _group(file, "meta", ""),
            {"Resolution_XY": np.asarray(pixel_nm, dtype=np.float64) / 1000.0},
            {"Width": shapes[:, 2], "Height": shapes[:, 1], "Depth": shapes[:, 0]},
        )


def _mark(node: Any, **attributes: str) -> None:
    """Write attributes as PyTables does: fixed texts, empty ones as null."""
    for name, text in attributes.items():
        if not text:
            node.attrs[name] = h5py.Empty("S1")
            continue
        # PyTables takes as text what is marked as UTF-8, and else as a pickle ("N." is None).
        kind = h5py.h5t.C_S1.copy()
        kind.set_cset(h5py.h5t.CSET_ASCII if name == "name" else h5py.h5t.CSET_UTF8)
        kind.set_size(len(text))
        kind.set_strpad(h5py.h5t.STR_NULLTERM)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        held = h5py.h5a.create(node.id, name.encode(), kind, space)
        held.write(np.array(text.encode(), dtype=f"S{len(text)}"), kind)


def _group(parent: Any, name: str, title: str) -> Any:
    group = parent.create_group(name)
    _mark(group, CLASS="GROUP", TITLE=title, VERSION="1.0")
    return group


def _array(parent: Any, name: str, values: npt.NDArray[Any]) -> Any:
    node = parent.create_dataset(name, data=values)
    _mark(node, CLASS="ARRAY", FLAVOR="numpy", TITLE="", VERSION="2.4")
    return node


def _frame(
    group: Any, real: dict[str, npt.NDArray[np.float64]], whole: dict[str, npt.NDArray[np.int64]]
) -> None:
    """Write a table as pandas' fixed HDF layout: one block of floats and one of integers."""
    _mark(group, pandas_type="frame", pandas_version="0.15.2", encoding="UTF-8", errors="strict")
    group.attrs["nblocks"], group.attrs["ndim"] = np.int64(2), np.int64(2)
    count = len(next(iter(real.values())))
    for name, items in (
        ("axis0", [*real, *whole]),
        ("axis1", None),
        ("block0_items", list(real)),
        ("block1_items", list(whole)),
    ):
        texts = None if items is None else np.array([text.encode() for text in items])
        node = _array(group, name, np.arange(count) if texts is None else texts)
        _mark(node, kind="integer" if texts is None else "string", name="N.")
        node.attrs["transposed"] = np.uint8(1)
        if texts is not None:
            _mark(node, nan_rep="")
        _mark(group, **{f"{name}_variety": "regular"})
    for name, block in (("block0_values", real), ("block1_values", whole)):
        node = _array(group, name, np.stack(list(block.values()), axis=1))
        node.attrs["transposed"] = np.uint8(1)
