"""The numbers of a text table, decoded by pyarrow with our own column types.

Strategy: no type is guessed from the data beyond the sample, and pyarrow reads as a stream. Only
when it refuses does a slow, plain pass over the rows (:mod:`nanospine.io.text_faults`) find out
where the fault is and say what to do.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from nanospine.core.errors import Fault, ReadError, SchemaError
from nanospine.io.cells import MISSING, has_thousands, is_number
from nanospine.io.safe_files import Source
from nanospine.io.text_faults import explain
from nanospine.io.text_layout import TextTable, cells_of

__all__ = ["ParsedColumns", "parse"]

_NULLS = sorted({form for item in MISSING for form in (item, item.upper())} | {
    "NaN", "-NaN", "+NaN", "NaN(ind)", "-NaN(ind)", "Null", "None",
})  # fmt: skip


# Whole numbers decode faster as integers; below this size that is not worth a second attempt.
_LARGE_BYTES = 8 << 20
_WHOLE = re.compile(r"-?\d{1,18}")


@dataclass
class ParsedColumns:
    """Columns of a text table as arrays, in file order, and what was noticed."""

    columns: dict[str, npt.NDArray[Any]]
    notes: list[str] = field(default_factory=list)


def _column_types(table: TextTable, text_columns: frozenset[str]) -> dict[int, pa.DataType]:
    """Choose float64, int64 where the sample is whole, text where it is no number."""
    types: dict[int, pa.DataType] = {}
    for number, name in enumerate(table.names):
        cells = [row[number] for row in table.sample if len(row) > number and row[number]]
        if name in text_columns:
            types[number] = pa.string()
        elif cells and all(_WHOLE.fullmatch(cell) for cell in cells):
            types[number] = pa.int64()
        elif cells and not any(is_number(cell) or has_thousands(cell) for cell in cells):
            types[number] = pa.string()
        else:
            types[number] = pa.float64()
    return types


def _as_floats(types: dict[int, pa.DataType], table: TextTable) -> dict[int, pa.DataType]:
    """Read whole numbers as float64, but keep ids exact."""
    return {
        number: pa.float64() if kind == pa.int64() and not _is_id(table.names[number]) else kind
        for number, kind in types.items()
    }


def _is_id(name: str) -> bool:
    plain = name.lower()
    return plain in {"tid", "trace", "frame", "molecule", "index", "channel"} or bool(
        re.search(r"(^|[^a-z])id($|[^a-z])", plain)
    )


def parse(
    source: Source, table: TextTable, *, text_columns: frozenset[str] = frozenset()
) -> ParsedColumns:
    """Decode the body of a text table.

    Parameters
    ----------
    source, table
        The file and what :func:`sniff` said about it.
    text_columns : frozenset of str
        Columns whose cells are names, whatever they look like.

    Returns
    -------
    ParsedColumns
        Arrays by the labels of the file: float64, int64 for whole ids, str objects for names.

    Raises
    ------
    SchemaError
        With file, row, column, what was expected and found, and what to do.
    """
    _check_names(source, table)
    limit, notes = _usable_bytes(source, table)
    types = _column_types(table, text_columns)
    if source.size < _LARGE_BYTES:
        types = _as_floats(types, table)
    notes = [*source.notes, *table.notes, *notes]
    for _attempt in range(len(types) + 1):
        try:
            arrow = _read_arrow(source, table, types, limit)
            break
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeError) as error:
            if "invalid UTF8" in str(error) and table.encoding == "utf-8":
                table = replace(table, encoding="latin-1")
                continue
            wrong = _column_of(str(error))
            if wrong is not None and types.get(wrong) == pa.int64():
                # The sample was whole by chance, or an id is written as 1.0 or left out.
                types = _as_floats(types, table)
                types[wrong] = pa.float64()
                continue
            if wrong is not None and types.get(wrong) == pa.float64() and _is_blank(table, wrong):
                types[wrong] = pa.string()  # a column of remarks that begins with empty cells
                continue
            raise explain(source, table, types, limit, str(error)) from None
    else:
        raise ReadError(f"{source.path.name}: the table cannot be decoded.")
    return ParsedColumns(_to_numpy(arrow, table), notes)


def _is_blank(table: TextTable, number: int) -> bool:
    return not any(len(row) > number and row[number] for row in table.sample)


def _column_of(message: str) -> int | None:
    match = re.search(r"CSV column #(\d+)", message)
    return int(match[1]) if match else None


def _check_names(source: Source, table: TextTable) -> None:
    if not table.has_header:
        raise SchemaError(
            f"{source.path.name}, row 1: column names were expected, found numbers "
            f"({len(table.names)} columns). Add a header line such as x [nm],y [nm],z [nm]."
        )
    names = [name for number, name in enumerate(table.names) if number not in table.ignored]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        faults = [Fault(f'column "{name}"', f"occurs {names.count(name)} times") for name in double]
        faults[-1] = Fault(
            faults[-1].location, faults[-1].message + "; rename or remove all but one."
        )
        raise SchemaError.collect(f"{source.path.name}, header", faults)


def _usable_bytes(source: Source, table: TextTable) -> tuple[int | None, list[str]]:
    """Leave a last row out that was cut: fewer cells, or a last number shorter than the others."""
    if table.encoding == "utf-16":
        return None, []
    tail = source.tail(1 << 15)
    end = table.newline[-1].encode()
    if tail.endswith((b"\n", b"\r")) or end not in tail:
        return None, []
    start = tail.rfind(end) + 1
    line = tail[start:].decode(table.encoding, errors="replace")
    if not line.strip(" \t\x1a"):
        return source.size - len(tail) + start, []  # blanks, or the end mark of DOS
    cells = cells_of(line, table.separator)
    n_expected = len(table.names)
    cut = len(cells) < n_expected
    if not cut and cells:
        usual = [row[-1] for row in table.sample[:-1] if len(row) == n_expected]
        fewest = min((len(_decimals(cell)) for cell in usual), default=0)
        empty = not cells[-1].strip() and any(usual)
        cut = empty or not is_number(cells[-1]) or len(_decimals(cells[-1])) < fewest
    if cut:
        return source.size - len(tail) + start, [
            "the last row has no line end and is incomplete: it was left out; was the file cut?"
        ]
    return None, ["the last row has no line end; its last number may be cut"]


def _decimals(cell: str) -> str:
    return cell.replace(",", ".").partition(".")[2]


class _Limited(io.RawIOBase):
    """A handle that stops at `limit` bytes, so that pyarrow does not see what lies behind."""

    def __init__(self, handle: IO[bytes], limit: int) -> None:
        super().__init__()
        self._handle = handle
        self._left = limit

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._handle.close()
        super().close()

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._handle.read(wanted)
        self._left -= len(block)
        return block


@contextmanager
def body_handle(source: Source, table: TextTable, limit: int | None) -> Iterator[Any]:
    """Give what pyarrow reads: the table's bytes, rewritten where it could not read them as is."""
    if not table.rewrite:
        if limit is None and table.encoding == "utf-8":
            with source.open_native() as native:
                yield native
            return
        with source.open() as handle:
            yield handle if limit is None else _Limited(handle, limit)
        return
    data = source.read_bytes()[: limit if limit is not None else source.size]
    if table.encoding == "utf-8":
        data = data.replace("−".encode(), b"-")
    # Looking for runs of blanks is fifty times faster than replacing them.
    marks = (b"  ", b"\t", b" \n", b"\n ", b" \r", b"\r ")
    untidy = data.startswith(b" ") or data.endswith(b" ") or any(mark in data for mark in marks)
    if table.separator == " " and untidy:
        data = re.sub(rb"[ \t]+", b" ", data)
        data = re.sub(rb"(^|[\r\n]) ", rb"\1", data)
        data = re.sub(rb" ([\r\n]|$)", rb"\1", data)
    yield io.BytesIO(data)


def _read_arrow(
    source: Source, table: TextTable, types: dict[int, pa.DataType], limit: int | None
) -> pa.Table:
    names = [str(number) for number in range(len(table.names))]
    kept = [str(number) for number in range(len(table.names)) if number not in table.ignored]
    with body_handle(source, table, limit) as handle:
        return pa_csv.read_csv(
            handle,
            read_options=pa_csv.ReadOptions(
                skip_rows=table.skip_lines, column_names=names, encoding=_codec(table.encoding)
            ),
            parse_options=pa_csv.ParseOptions(delimiter=table.separator),
            convert_options=pa_csv.ConvertOptions(
                column_types={str(number): kind for number, kind in types.items()},
                include_columns=kept, null_values=_NULLS, strings_can_be_null=False,
                decimal_point=table.decimal, check_utf8=True,
            ),
        )  # fmt: skip


def _codec(encoding: str) -> str:
    return {"utf-8": "utf8"}.get(encoding, encoding)


def _to_numpy(arrow: pa.Table, table: TextTable) -> dict[str, npt.NDArray[Any]]:
    result: dict[str, npt.NDArray[Any]] = {}
    # Column by column, each released before the next: the table is never in memory twice.
    for name in list(arrow.column_names):
        column = arrow.column(name)
        arrow = arrow.drop_columns([name])
        values = column.to_numpy()
        label = table.names[int(name)]
        if pa.types.is_integer(column.type) and not _is_id(label) and values.dtype.kind == "i":
            values = values.astype(np.float64)
        result[label] = values
    return result
