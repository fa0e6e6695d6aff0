"""Our decoder of MATLAB v5 files against scipy's, on scipy's own files written by MATLAB."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io import mat5
from nanospine.io.mat5 import mat5_names, mat5_variables

FOLDER = Path(scipy.io.__file__).parent / "matlab" / "tests" / "data"
FILES = sorted(path.name for path in FOLDER.glob("*.mat")) if FOLDER.is_dir() else []


@pytest.mark.skipif(not FILES, reason="this scipy came without its test data")
# From 1.18 on scipy announces another kind of sparse matrix, which no value here is.
@pytest.mark.filterwarnings("ignore:The default value for `spmatrix`:DeprecationWarning")
def test_numbers_and_texts_of_all_matlab_versions() -> None:
    n_numbers = 0
    for name in FILES:
        data = (FOLDER / name).read_bytes()
        if not data.startswith(b"MATLAB 5.0") or name.startswith(("bad", "corrupted", "malformed")):
            continue
        found = mat5_variables(data, None, name)
        for key, value in scipy.io.loadmat(FOLDER / name).items():
            if not isinstance(value, np.ndarray) or key.startswith("__"):
                continue
            if value.dtype.kind in "iuf":
                np.testing.assert_array_equal(found[key], value, err_msg=f"{name} {key}")
                n_numbers += 1
            elif value.dtype.kind == "U" and value.size == 1:
                assert found[key] == value[0], (name, key)
    assert n_numbers > 20


@pytest.mark.parametrize("packed", [False, True])
def test_structs_and_empty_arrays(packed: bool) -> None:
    buffer = io.BytesIO()
    content = {
        "s": {"t": "text", "deep": {"z": np.arange(24.0).reshape(2, 3, 4)}},
        "f": np.float32([1.5]),
        "nothing": np.zeros((0, 3)),
        "z": np.array([1 + 2j]),
    }
    scipy.io.savemat(buffer, content, do_compression=packed)
    found = mat5_variables(buffer.getvalue(), None, "a.mat")
    assert found["s"]["t"] == "text"
    np.testing.assert_array_equal(found["s"]["deep"]["z"], np.arange(24.0).reshape(2, 3, 4))
    assert found["f"].dtype == np.float32
    assert found["nothing"].shape == (0, 3)
    assert found["z"] is None
    assert mat5_names(buffer.getvalue()) == set(content)
    assert set(mat5_variables(buffer.getvalue(), {"f"}, "a.mat")) == {"f"}


def test_packed_bombs_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    from nanospine.io.safe_archive import Limits

    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"x": np.zeros(1_000_000)}, do_compression=True)
    monkeypatch.setattr(mat5, "LIMITS", Limits(free_bytes=1 << 20, expansion=10))
    with pytest.raises(UnsafeFileError, match="decompression bomb"):
        mat5_variables(buffer.getvalue(), None, "a.mat")


def test_every_single_damaged_word_gives_data_or_a_read_error() -> None:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"s": {"x": np.arange(5.0)}, "y": np.arange(4)})
    data = buffer.getvalue()
    for position in range(124, len(data) - 4, 4):
        for value in (0, 1, 9, 255, 2**31 - 1, 2**32 - 1):
            damaged = bytearray(data)
            struct.pack_into("<I", damaged, position, value)
            mat5_names(bytes(damaged))
            try:
                mat5_variables(bytes(damaged), None, "a.mat")
            except ReadError as error:
                assert "a.mat" in str(error)  # noqa: PT017
