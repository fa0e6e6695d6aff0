"""Which files a batch works on, and which condition, animal and culture each comes from."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nanospine.batch.settings import BatchConfig
from nanospine.core.errors import ConfigError, Fault, SchemaError

__all__ = ["GROUP_COLUMNS", "Sample", "duplicates", "find_samples", "shown_name"]

#: Columns of a sample sheet that say where a file comes from.
GROUP_COLUMNS = ("condition", "animal", "culture")

# Names that people use for the same thing.
_ALIASES = {
    "path": "file", "filename": "file", "file_name": "file", "group": "condition",
    "treatment": "condition", "genotype": "condition", "mouse": "animal", "subject": "animal",
}  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One file of a batch.

    Attributes
    ----------
    name : str
        Of its folder of results: letters, digits and a sum, the same on every machine.
    file : str
        As the sheet or the pattern gives it, with `/`; what is not UTF-8 is written `\\xNN`.
    path : Path
        Where it is.
    condition, animal, culture : str
        Empty when the sheet does not say.
    """

    name: str
    file: str
    path: Path
    condition: str = ""
    animal: str = ""
    culture: str = ""


def shown_name(path: str | os.PathLike[str]) -> str:
    r"""Write a path so that every program can show it: bytes that are no UTF-8 become `\xNN`.

    Examples
    --------
    >>> shown_name(os.fsdecode(b"zelle_\xe4.csv"))
    'zelle_\\xe4.csv'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace(os.sep, "/")


def find_samples(config: BatchConfig) -> list[Sample]:
    """Give the samples of a batch, in the order of the sheet, or of their names.

    Raises
    ------
    ConfigError
        When the patterns match nothing.
    SchemaError
        When the sheet cannot be read, with all its faults at once.
    """
    if config.batch.sheet is not None:
        return _from_sheet(config.base_folder / Path(config.batch.sheet).expanduser())
    return _from_patterns(config)


def _from_patterns(config: BatchConfig) -> list[Sample]:
    base, result = config.base_folder, config.folder.resolve()
    found: dict[Path, Sample] = {}
    for pattern in config.batch.files:
        whole = Path(pattern).expanduser()
        anchor = Path(whole.anchor) if whole.is_absolute() else base
        relative = str(whole.relative_to(anchor)) if whole.is_absolute() else str(whole)
        matches = sorted(
            item for item in anchor.glob(relative)
            # Results of an earlier run must not become input, whatever the pattern.
            if not item.resolve().is_relative_to(result) and not item.name.startswith(".")
        )  # fmt: skip
        if not matches:
            raise ConfigError(
                f"[batch] files: nothing matches {pattern!r} in {anchor.absolute()}; patterns are "
                "relative to the configuration."
            )
        for item in matches:
            name = os.path.relpath(item, base)
            found.setdefault(item, _sample(name, item))
    return list(found.values())


def _from_sheet(sheet: Path) -> list[Sample]:
    rows, faults = _rows(sheet), []
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        where = f"row {number}"
        file = row.get("file", "")
        if not file:
            faults.append(Fault(where, "no file is named"))
            continue
        try:
            path = sheet.parent / Path(file).expanduser()
        except RuntimeError as error:
            faults.append(Fault(where, f"{shown_name(file)}: {error}"))
            continue
        if "\0" in file:
            faults.append(Fault(where, f"{file!r} holds a NUL character, as no file name does"))
            continue
        if file in seen:
            faults.append(Fault(where, f"{shown_name(file)} is already in row {seen[file]}"))
        seen.setdefault(file, number)
        samples.append(_sample(file, path, *(row.get(name, "") for name in GROUP_COLUMNS)))
    if faults:
        raise SchemaError.collect(sheet.name, faults)
    if not samples:
        raise SchemaError(f"{sheet.name}: has no rows; a sheet names one file a row.")
    return samples


def _rows(sheet: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        raw = sheet.read_bytes()
    except OSError as error:
        raise SchemaError(f"{sheet}: cannot be read: {error.strerror or error}.") from error
    # Names of files are bytes, whatever the sheet's encoding says: they must come through.
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        table = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise SchemaError(f"{sheet.name}: is not a csv table: {error}.") from error
    heading = [_column(item) for item in table[0]] if table else []
    if "file" not in heading or len(set(heading)) != len(heading):
        found = ", ".join(repr(item) for item in heading) or "nothing"
        raise SchemaError(
            f"{sheet.name}: expected the columns file, condition, animal, culture (file is "
            f"needed, none twice), found {found}."
        )
    rows, faults = [], []
    for number, cells in enumerate(table[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(heading):
            faults.append(Fault(f"row {number}", f"{len(cells)} cells, {len(heading)} columns"))
            continue
        rows.append((number, {k: c.strip() for k, c in zip(heading, cells, strict=True)}))
    if faults:
        raise SchemaError.collect(sheet.name, faults)
    return rows


def _column(heading: str) -> str:
    name = heading.strip().lower()
    return _ALIASES.get(name, name)


def _sample(file: str, path: Path, *groups: str) -> Sample:
    shown = shown_name(file)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", shown.rpartition("/")[2].partition(".")[0])[:60]
    identity = hashlib.sha256(shown.encode()).hexdigest()[:8]
    return Sample(f"{stem or 'file'}-{identity}", shown, path, *(shown_name(g) for g in groups))


def duplicates(files: Sequence[Sample], sums: Sequence[str]) -> list[str]:
    """Say which files hold the same bytes: one cell counted twice is no second cell."""
    first: dict[str, str] = {}
    notes = []
    for item, digest in zip(files, sums, strict=True):
        if digest and digest in first:
            notes.append(f"{item.file} holds the same bytes as {first[digest]}.")
        first.setdefault(digest, item.file)
    return notes
