"""Tables of no particular program: csv, tsv, txt, dat and npy, units in the labels or said."""

from __future__ import annotations

from nanospine.core.errors import SchemaError
from nanospine.io.cells import is_number
from nanospine.io.names import ALIASES, map_columns, plain_name
from nanospine.io.registry import register
from nanospine.io.safe_decode import npy_dtype, npy_from, npy_shape
from nanospine.io.safe_files import Source
from nanospine.io.safe_mat import is_mat, mat_names, mat_variables, rows_of
from nanospine.io.table import ReadOptions, ReadTable
from nanospine.io.text_decode import parse
from nanospine.io.text_layout import TextTable, need_table, sniff
from nanospine.io.units import parse_label

__all__ = ["read_mat_table", "read_numpy_table", "read_text_table"]


def _recognise(source: Source) -> float:
    table = sniff(source)
    if table is None:
        return 0.0
    if not table.has_header:
        # Numbers in columns are a table all the same: its reader says what is missing.
        return 0.05 if len(table.names) >= 2 and table.sample else 0.0
    quantities = {ALIASES.get(plain_name(parse_label(name).name)) for name in table.names}
    if {"x", "y"} <= quantities:
        return 0.4
    # Prose is text as well: a table is known by its numbers.
    return 0.1 if len(table.names) >= 2 and _numeric_share(table) > 0.5 else 0.0


def _numeric_share(table: TextTable) -> float:
    cells = [cell for row in table.sample for cell in row if cell]
    return sum(is_number(cell) for cell in cells) / len(cells) if cells else 0.0


@register(
    name="table",
    title="Text table (csv, tsv, txt)",
    suffixes=(".csv", ".tsv", ".txt", ".dat"),
    recognise=_recognise,
)
def read_text_table(source: Source, options: ReadOptions) -> ReadTable:
    """Read a text table with a header; columns named x, y (z, ...) in some usual spelling.

    Raises
    ------
    FileUnitsError
        When a position has no unit in its label and the caller said none: units are not guessed.
    """
    table = need_table(source)
    parsed = parse(source, table)
    mapped = map_columns(parsed.columns, options, source.path.name)
    return ReadTable(mapped.columns, [*parsed.notes, *mapped.notes], mapped.details)


def _recognise_npy(source: Source) -> float:
    dtype = npy_dtype(source)
    if dtype is None or dtype.hasobject:
        return 0.0
    if dtype.names is not None:
        quantities = {ALIASES.get(plain_name(parse_label(name).name)) for name in dtype.names}
        return 0.4 if {"x", "y"} <= quantities else 0.0
    shape = npy_shape(source)
    return 0.3 if dtype.kind in "iuf" and len(shape) == 2 and shape[1] in (2, 3) else 0.0


@register(
    name="numpy-table",
    title="numpy table (npy)",
    suffixes=(".npy",),
    recognise=_recognise_npy,
)
def read_numpy_table(source: Source, options: ReadOptions) -> ReadTable:
    """Read an npy of shape (n, 2) or (n, 3), or with named fields; units are asked for."""
    where = source.path.name
    array = npy_from(source.read_bytes(), where)
    if array.dtype.names is not None:
        rows = array.reshape(-1)
        fields = {name: rows[name] for name in array.dtype.names if rows[name].ndim == 1}
    elif array.ndim == 2 and array.shape[1] in (2, 3):
        fields = dict(zip("xyz", array.T, strict=False))
    else:
        raise SchemaError(f"{where}: shape (n, 2) or (n, 3) was expected, found {array.shape}.")
    mapped = map_columns(fields, options, where)
    return ReadTable(mapped.columns, mapped.notes, mapped.details)


@register(
    name="mat-table",
    title="MATLAB columns (x, y, ...)",
    suffixes=(".mat",),
    recognise=lambda source: (
        0.3
        if is_mat(source)
        and {"x", "y"} <= {ALIASES.get(plain_name(parse_label(n).name)) for n in mat_names(source)}
        else 0.0
    ),
)
def read_mat_table(source: Source, options: ReadOptions) -> ReadTable:
    """Read variables of one length named x, y (z, ...) of a MATLAB file; units are asked for."""
    arrays = {name: rows_of(values) for name, values in mat_variables(source).items()}
    vectors = {name: values for name, values in arrays.items() if values is not None}
    vectors = {name: values for name, values in vectors.items() if values.ndim == 1}
    positions = [
        len(values)
        for name, values in vectors.items()
        if ALIASES.get(plain_name(parse_label(name).name)) == "x"
    ]
    n = positions[0] if positions else 0
    columns = {name: values for name, values in vectors.items() if len(values) == n}
    mapped = map_columns(columns, options, source.path.name)
    return ReadTable(mapped.columns, mapped.notes, mapped.details)
