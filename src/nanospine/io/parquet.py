"""Parquet and Feather: the exact round trip of nanospine, and tables of others.

A file of ours carries region and history as JSON in the schema metadata; what is written is read
back bit by bit. In files of others the labels are read as in text tables.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pa_parquet

from nanospine.core.errors import ReadError, SchemaError, UnsafeFileError
from nanospine.core.files import atomic_path
from nanospine.core.history import from_json, to_json
from nanospine.core.localizations import Localizations
from nanospine.core.region import region_from_dict
from nanospine.io.names import map_columns
from nanospine.io.registry import register, register_writer
from nanospine.io.safe_decode import json_from
from nanospine.io.safe_files import LIMITS, Source
from nanospine.io.table import ReadOptions, ReadTable

__all__ = ["read_feather", "read_parquet", "write_parquet"]

_REGION = b"nanospine.region"
_HISTORY = b"nanospine.history"


@register(
    name="parquet",
    title="Parquet table",
    suffixes=(".parquet",),
    recognise=lambda source: 0.9 if source.kind == "parquet" else 0.0,
)
def read_parquet(source: Source, options: ReadOptions) -> ReadTable:
    """Read a Parquet table: one of nanospine exactly, others by their labels."""
    where = source.path.name
    with source.open() as handle:
        file = pa_parquet.ParquetFile(handle)
        declared = sum(
            file.metadata.row_group(group).total_byte_size
            for group in range(file.metadata.num_row_groups)
        )
        plain = 8 * file.metadata.num_rows * file.metadata.num_columns
        # Run-length coding packs equal values without bound, so rows are counted as well.
        if max(declared, plain) > max(LIMITS.allowed(source.size), 1 << 30):
            raise UnsafeFileError(
                f"{where}: {source.size} bytes declare {max(declared, plain)} bytes of data; that "
                "is refused."
            )
        arrow = file.read()
    return _from_arrow(arrow, where, options)


@register(
    name="feather",
    title="Feather / Arrow table",
    suffixes=(".feather", ".arrow"),
    recognise=lambda source: 0.9 if source.kind == "feather" else 0.0,
)
def read_feather(source: Source, options: ReadOptions) -> ReadTable:
    """Read a Feather (Arrow IPC) table by its labels."""
    with source.open() as handle:
        arrow = pa_feather.read_table(handle, memory_map=False)
    arrow.validate(full=True)
    return _from_arrow(arrow, source.path.name, options)


def _from_arrow(arrow: pa.Table, where: str, options: ReadOptions) -> ReadTable:
    names = list(arrow.column_names)
    if len(set(names)) < len(names):
        double = sorted({name for name in names if names.count(name) > 1})
        raise SchemaError(f"{where}: columns occur twice: {', '.join(double)}. Rename one.")
    columns = {name: _values(arrow.column(name), name, where) for name in names}
    metadata = arrow.schema.metadata or {}
    if _HISTORY in metadata:
        return _ours(columns, metadata, where)
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    mapped = map_columns(
        {name: values for name, values in arrays.items() if not name.startswith("__index_level")},
        options,
        where,
    )
    return ReadTable(mapped.columns, mapped.notes, mapped.details)


def _ours(columns: dict[str, Any], metadata: dict[bytes, bytes], where: str) -> ReadTable:
    try:
        history = from_json(metadata[_HISTORY].decode())
        region = None
        if _REGION in metadata:
            region = region_from_dict(json_from(metadata[_REGION], where))
    except (ValueError, KeyError, TypeError, AttributeError, ReadError) as error:
        raise ReadError(f"{where}: region or history cannot be read ({error}).") from None
    return ReadTable(columns, region=region, history=history, exact=True)


def _values(column: pa.ChunkedArray, name: str, where: str) -> npt.NDArray[Any] | pd.Categorical:
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = column.combine_chunks().to_pandas()
        return pd.Categorical(values)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        raise SchemaError(
            f'{where}, column "{name}": numbers or text were expected, found {kind}. Leave the '
            "column out."
        )
    result: npt.NDArray[Any] = column.to_numpy()
    return result


@register_writer(name="parquet", suffix=".parquet")
def write_parquet(locs: Localizations, path: Path) -> None:
    """Write Parquet with region and history; `read` gives the same table, region and history."""
    arrow = pa.Table.from_pandas(locs.table, preserve_index=False)
    metadata = {
        **(arrow.schema.metadata or {}),
        _REGION: json.dumps(locs.region.to_dict()).encode(),
        _HISTORY: to_json(locs.history).encode(),
    }
    with atomic_path(path) as temporary:
        pa_parquet.write_table(
            arrow.replace_schema_metadata(metadata), temporary, compression="zstd"
        )
