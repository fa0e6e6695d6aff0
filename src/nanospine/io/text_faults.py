"""Why a text table cannot be decoded: a slow, plain pass that names row, column and remedy."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from nanospine.core.errors import SchemaError
from nanospine.io.cells import has_thousands, is_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nanospine.io.safe_files import Source
    from nanospine.io.text_layout import TextTable

__all__ = ["explain"]


def explain(
    source: Source, table: TextTable, types: dict[int, Any], limit: int | None, message: str
) -> SchemaError:
    """Find the first row that cannot be decoded and give the error that says what to do."""
    where = source.path.name
    try:
        for row, cells in _rows(source, table, limit):
            if cells and len(cells) != len(table.names):
                return SchemaError(_wrong_width(where, row, cells, table))
            fault = _bad_cell(where, row, cells, table, types)
            if fault is not None:
                return SchemaError(fault)
    except (csv.Error, UnicodeError) as error:
        return SchemaError(f"{where}: the text cannot be decoded ({error}); is it a text table?")
    return SchemaError(f"{where}: the table cannot be decoded: {message}.")


def _rows(source: Source, table: TextTable, limit: int | None) -> Iterator[tuple[int, list[str]]]:
    """Give (row number as an editor counts, cells) of the body."""
    with source.open() as handle:
        data = handle.read() if limit is None else handle.read(limit)
    text = data.decode(table.encoding, errors="replace").lstrip("\ufeff")
    for number, line in enumerate(text.split(table.newline), start=1):
        if number <= table.skip_lines or not line.strip():
            continue
        if table.separator == " ":
            yield number, line.split()
        else:
            yield number, next(csv.reader([line], delimiter=table.separator), [])


def _wrong_width(where: str, row: int, cells: list[str], table: TextTable) -> str:
    n_names = len(table.names)
    if "\x00" in "".join(cells):
        return f"{where}, row {row}: NUL bytes in the text; the file is damaged. Export it again."
    if table.separator == "," and len(cells) == 2 * n_names:
        return (
            f"{where}, row {row}: {n_names} columns per header, {len(cells)} per row. The numbers "
            'seem to use a decimal comma with "," as separator, which cannot be undone. Export '
            'again with "." or ";".'
        )
    advice = "Was the file cut, or is a separator missing?"
    if len(cells) > n_names:
        advice = (
            "Do the numbers use a decimal or thousands comma? Export again with a decimal point."
            if table.separator == ","
            else "Give every column a name in the header."
        )
    return f"{where}, row {row}: {n_names} cells were expected, found {len(cells)}. {advice}"


def _bad_cell(
    where: str, row: int, cells: list[str], table: TextTable, types: dict[int, Any]
) -> str | None:
    for number, cell in enumerate(cells[: len(table.names)]):
        if str(types.get(number)) != "double" or number in table.ignored:
            continue
        text = cell.strip().strip('"').replace("−", "-")
        comma = "," in text and table.decimal == "."
        if is_number(text) and not comma:
            continue
        place = f'{where}, row {row}, column "{table.names[number]}"'
        shown = text if len(text) <= 40 else text[:40] + "..."
        head = f'{place}: expected a number, found "{shown}".'
        if "\x00" in text:
            return f"{place}: NUL bytes in the text; the file is damaged. Export it again."
        if text.strip("\"'") == table.names[number]:
            return (
                f"{head} The header occurs twice: were two files joined? Split the file, read "
                "the parts one by one."
            )
        if has_thousands(text):
            return f"{head} Thousands separators cannot be told from decimals; export without them."
        if comma:
            return f"{head} It has a decimal comma, other numbers do not; export again."
        return f"{head} Correct or remove the row."
    return None
