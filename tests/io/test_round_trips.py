"""What is written is read back: Parquet exactly, ThunderSTORM csv to the last digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import nanospine as ns
from nanospine.core.errors import ReadError, WriteError

FINITE = st.floats(-1e7, 1e7, allow_nan=False).filter(lambda value: abs(value) > 1e-3)


def specimen(dimension: int = 3) -> ns.Localizations:
    random = np.random.default_rng(0)
    return ns.from_arrays(
        random.normal(0, 5000, (20, dimension)),
        precision_nm=random.uniform(2, 20, (20, dimension)),
        channel=["pre", "post"] * 10,
        region=ns.Box([-1e5] * dimension, [1e5] * dimension),
        frame=np.arange(20),
        photons=random.uniform(100, 2000, 20),
        my_own=random.normal(size=20),
    )


@pytest.mark.parametrize("dimension", [2, 3])
def test_parquet_keeps_everything(tmp_path: Path, dimension: int) -> None:
    locs = specimen(dimension)
    path = tmp_path / "a.parquet"
    ns.write(locs, path)
    back = ns.read(path)
    pd.testing.assert_frame_equal(back.table, locs.table, check_exact=True)
    assert back.region.to_dict() == locs.region.to_dict()
    assert back.history[: len(locs.history)] == locs.history
    assert back.history[-1]["operation"] == "read"


@settings(max_examples=30, deadline=None)
@given(xyz=st_numpy.arrays(np.float64, st.tuples(st.integers(0, 20), st.just(3)), elements=FINITE))
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_positions_come_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, xyz: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("trip") / f"a{suffix}"
    locs = ns.from_arrays(xyz)
    ns.write(locs, path)
    try:
        back = ns.read(path, units="nm")
    except ReadError as error:
        assert "look like metres" in str(error)  # noqa: PT017 - the range check may well speak
        return
    np.testing.assert_array_equal(back.xyz_nm, locs.xyz_nm)


def test_csv_is_thunderstorm_and_comes_back(tmp_path: Path) -> None:
    locs = specimen()
    path = tmp_path / "a.csv"
    ns.write(locs, path)
    assert path.read_text().startswith('"id","x [nm]","y [nm]","z [nm]"')
    back = ns.read(path)
    assert ns.detect(path).name == "thunderstorm"
    for name in locs.table.columns:
        if name != "channel":
            np.testing.assert_allclose(back.table[name], locs.table[name], rtol=1e-12)
    assert back.table["channel"].astype(str).tolist() == locs.table["channel"].astype(str).tolist()


def test_parquet_of_others_is_read_by_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pa_parquet.write_table(pa.table({"x [um]": [1.0, 2.0], "y [um]": [3.0, 4.0]}), path)
    assert ns.read(path).xyz_nm[0].tolist() == [1000, 3000, 0]
    pa_parquet.write_table(pa.table({"x_nm": [1.0, 900], "y_nm": [[1.0], [2.0]]}), path)
    with pytest.raises(ReadError, match='column "y_nm": numbers or text were expected'):
        ns.read(path)


@pytest.mark.parametrize("part", range(1, 10))
def test_cut_parquet_gives_a_read_error(tmp_path: Path, part: int) -> None:
    path = tmp_path / "a.parquet"
    ns.write(specimen(), path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * part // 10])
    with pytest.raises(ReadError, match=r"a\.parquet"):
        ns.read(path)


def test_writing_asks_for_a_known_suffix_and_place(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"no format is written with the suffix '\.docx'"):
        ns.write(specimen(), tmp_path / "a.docx")
    with pytest.raises(WriteError, match="does not exist"):
        ns.write(specimen(), tmp_path / "none" / "a.csv")
    assert list(tmp_path.iterdir()) == []
