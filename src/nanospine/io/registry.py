"""The formats that nanospine knows, recognised by what is in a file, not by its name.

A reader is a function `(Source, ReadOptions) -> ReadTable` with the decorator :func:`register`
and a recogniser that gives its confidence between 0 and 1. Each format family has its own file;
:data:`_FAMILIES` lists them, and they are imported when the first file is read.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanospine.core.errors import (
    NanospineError,
    ReadError,
    UnknownFormatError,
    UnsafeFileError,
    WriteError,
)

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.io.safe_files import Source
    from nanospine.io.table import ReadOptions, ReadTable

__all__ = [
    "Format",
    "detect",
    "formats",
    "read",
    "register",
    "register_writer",
    "writable_suffixes",
    "write",
]

_FAMILIES = (
    "thunderstorm",
    "generic",
    "parquet",
    "picasso",
    "minflux_m2205",
    "minflux_m2410",
    "minflux_containers",
    "minflux_msr",
    "minflux_pmx",
    "minflux_processed",
    "smap",
    "elyra",
    "rapidstorm",
    "decode_emitters",
    "smlm",
    "vendor_tables",
    "binary_lists",
    "plain_tables",
    "pyme",
    "locan_asdf",
    "picasso_write",
    "paraview_write",
    "nstorm",
)


@dataclass(frozen=True)
class Format:
    """A file format: what it is called, and what nanospine can do with it.

    Attributes
    ----------
    name : str
        Short name, as `read(path, format=name)` takes it.
    title : str
        Name for people.
    suffixes : tuple of str
        Usual suffixes; the first of a format that can be written is the one it is written with.
    can_read, can_write : bool
        Whether there is a reader, a writer.
    confidence : float or None
        In the answer of :func:`detect`: how sure the recogniser is, 0 to 1.
    also : tuple of str
        In the answer of :func:`detect`: other formats that fit less well.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    can_read: bool = True
    can_write: bool = False
    confidence: float | None = field(default=None, compare=False)
    also: tuple[str, ...] = field(default=(), compare=False)


ReadFunction = Callable[["Source", "ReadOptions"], "ReadTable"]
WriteFunction = Callable[["Localizations", Path], None]
Recogniser = Callable[["Source"], float]


@dataclass(frozen=True)
class _Entry:
    format: Format
    recognise: Recogniser
    read: ReadFunction


_READERS: dict[str, _Entry] = {}
_WRITERS: dict[str, tuple[str, WriteFunction]] = {}
# Two recognisers whose confidence differs by less than this fit equally well.
_TIE = 0.02


def register(
    *, name: str, title: str, suffixes: tuple[str, ...], recognise: Recogniser
) -> Callable[[ReadFunction], ReadFunction]:
    """Enter a reader into the registry.

    Parameters
    ----------
    name, title, suffixes
        As in :class:`Format`.
    recognise : callable
        Gives the confidence (0 to 1) that a source has this format; looks at content only and
        does not raise.
    """

    def enter(function: ReadFunction) -> ReadFunction:
        if name in _READERS:
            raise ValueError(f"the format {name!r} is registered twice")
        _READERS[name] = _Entry(Format(name, title, suffixes), recognise, function)
        return function

    return enter


def register_writer(*, name: str, suffix: str) -> Callable[[WriteFunction], WriteFunction]:
    """Enter a writer for files of a suffix into the registry."""

    def enter(function: WriteFunction) -> WriteFunction:
        if suffix in _WRITERS:
            raise ValueError(f"the suffix {suffix!r} has two writers")
        _WRITERS[suffix] = (name, function)
        return function

    return enter


def _load() -> None:
    for family in _FAMILIES:
        importlib.import_module(f"nanospine.io.{family}")


def formats() -> list[Format]:
    """List the formats that can be read or written.

    Examples
    --------
    >>> [item.suffixes for item in formats() if item.name == "parquet"]
    [('.parquet',)]
    """
    _load()
    writable = {name for name, _ in _WRITERS.values()}
    listed = [replace(entry.format, can_write=name in writable) for name, entry in _READERS.items()]
    for suffix, (name, _) in _WRITERS.items():
        if name not in _READERS:
            listed.append(Format(name, f"{name} (points)", (suffix,), False, True))
    return listed


def _rank(source: Source) -> list[tuple[float, _Entry]]:
    ranked = [(float(entry.recognise(source)), entry) for entry in _READERS.values()]
    return sorted((item for item in ranked if item[0] > 0), key=lambda item: item[0], reverse=True)


def _choose(source: Source) -> tuple[_Entry, Format]:
    from nanospine.io.describe import describe

    where = source.path.name
    if source.kind == "pickle":
        raise UnsafeFileError(
            f"{where}: is a Python pickle, which can run code when it is opened; nanospine does "
            "not read it. Save the numbers with numpy.save or as csv."
        )
    ranked = _rank(source)
    if not ranked:
        raise UnknownFormatError(
            f"{where}: no reader recognises the content ({describe(source)}). Export a table with "
            "the columns x [nm], y [nm], z [nm], or name the format: read(path, format=...); "
            "`nanospine doctor` and ns.formats() list them."
        )
    best, entry = ranked[0]
    rivals = [other for confidence, other in ranked[1:] if best - confidence < _TIE]
    if rivals:
        names = " or ".join(repr(item.format.name) for item in (entry, *rivals))
        raise UnknownFormatError(
            f"{where}: the content fits two formats equally well. Say which: read(path, format="
            f"{names}) (command line: --format)."
        )
    also = tuple(other.format.name for _, other in ranked[1:])
    writable = {name for name, _ in _WRITERS.values()}
    found = replace(
        entry.format, confidence=best, also=also, can_write=entry.format.name in writable
    )
    return entry, found


def detect(path: str | os.PathLike[str]) -> Format:
    """Recognise the format of a file by its content.

    Returns
    -------
    Format
        With its `confidence`, and in `also` what else fits.

    Raises
    ------
    UnknownFormatError
        When nothing fits, or two formats fit equally well (both are named).
    ReadError, UnsafeFileError
        When the file cannot or must not be opened.
    """
    from nanospine.io.safe_files import open_source

    _load()
    with _only_read_errors(path):
        return _choose(open_source(path))[1]


def read(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    pixel_size_nm: float | tuple[float, float] | None = None,
    z_scale: float | None = None,
    units: str | None = None,
) -> Localizations:
    """Read localizations from a file of any known format, recognised by content.

    Parameters
    ----------
    path : str or path
        A file, plain or packed with gz or as the only file of a zip; for zarr stores a folder.
    format : str, optional
        Name of the format, where the content does not tell (see :func:`formats`).
    pixel_size_nm : float or (float, float), optional
        Camera pixel size in the sample (x, y), nanometres, for files in pixels that do not say.
    z_scale : float, optional
        Factor on z for the mismatch of refractive indices (MINFLUX; usual for oil objectives is
        about 0.7). 1.0 without it. Files that are scaled already are never scaled twice.
    units : {"nm", "um", "m", "px"}, optional
        Unit of positions whose column names have none.

    Returns
    -------
    Localizations
        In nanometres, seconds, photons. What was dropped, and how units were found, is in
        `history[-1]["notes"]` and `["arguments"]`.

    Raises
    ------
    ReadError
        `UnknownFormatError`, `SchemaError`, `UnsafeFileError`: what was expected, what was found,
        where, and what to do.
    UnitsError
        When a unit or the pixel size is missing, or cannot be right.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "roi.csv"
    ...     _ = path.write_text("x [nm],y [um],frame\\n100,0.25,1\\n200,0.5,2\\n")
    ...     read(path).xyz_nm.tolist()
    [[100.0, 250.0, 0.0], [200.0, 500.0, 0.0]]
    """
    said = {"pixel_size_nm": pixel_size_nm, "z_scale": z_scale, "units": units}
    return _read(path, format, _options(pixel_size_nm, z_scale, units), said)


def _read(
    path: str | os.PathLike[str], name: str | None, options: ReadOptions, said: dict[str, Any]
) -> Localizations:
    import numpy as np

    from nanospine.io.safe_files import open_source
    from nanospine.io.table import to_localizations

    _load()
    # Numbers that overflow or are none are dropped and counted, not warned about.
    with _only_read_errors(path), np.errstate(all="ignore"):
        source = open_source(path)
        entry, found = _choose(source) if name is None else (_named(name), _named(name).format)
        arguments = {"path": source.path.name, "format": found.name, **said}
        return to_localizations(entry.read(source, options), source.path.name, arguments)


def _options(
    pixel_size_nm: float | tuple[float, float] | None, z_scale: float | None, units: str | None
) -> ReadOptions:
    import math

    from nanospine.io.table import ReadOptions
    from nanospine.io.units import PIXELS, FileUnitsError, nm_per

    pixel = None
    if pixel_size_nm is not None:
        pair = pixel_size_nm if isinstance(pixel_size_nm, tuple | list) else (pixel_size_nm,) * 2
        pixel = (float(pair[0]), float(pair[-1]))
        if len(pair) != 2 or not all(math.isfinite(item) and item > 0 for item in pixel):
            raise FileUnitsError(
                f"pixel_size_nm: a positive number of nanometres was expected, found "
                f"{pixel_size_nm!r}."
            )
    if z_scale is not None and not (math.isfinite(z_scale) and z_scale > 0):
        raise FileUnitsError(f"z_scale: a positive factor was expected, found {z_scale!r}.")
    if units is not None:
        units = units.strip().lower()
        if units not in PIXELS:
            nm_per(units, "units")
    return ReadOptions(pixel, z_scale, units)


def _named(name: str) -> _Entry:
    if name in _READERS:
        return _READERS[name]
    close = difflib.get_close_matches(name, _READERS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownFormatError(
        f"format {name!r} is not known.{hint} Known: {', '.join(sorted(_READERS))}."
    )


@contextmanager
def _only_read_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn whatever a decoder raises on broken bytes into a ReadError; keep the cause."""
    try:
        yield
    except NanospineError:
        raise
    # Decoders of five libraries meet bytes that nobody foresaw: whatever they raise, the file is
    # at fault, and the cause stays attached.
    except Exception as error:
        if isinstance(error, MemoryError):
            message = "the file asks for more memory than there is"
        elif isinstance(error, RecursionError):
            message = "the file is nested too deeply"
        else:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            message = f"the content cannot be decoded ({reason})"
        raise ReadError(
            f"{Path(os.fsdecode(path)).name}: {message}. It is damaged, cut short or not what it "
            "seems to be."
        ) from error


def writable_suffixes() -> tuple[str, ...]:
    """Give the suffixes of the files that :func:`write` makes."""
    _load()
    return tuple(sorted(_WRITERS))


def write(locs: Localizations, path: str | os.PathLike[str]) -> None:
    """Write localizations; the suffix names the format, the file appears whole or not at all.

    Parameters
    ----------
    locs : Localizations
        What to write.
    path : str or path
        `.parquet` keeps everything exactly (region and history too); `.csv` is ThunderSTORM.

    Raises
    ------
    WriteError
        For an unknown suffix or a place that cannot be written to.
    """
    _load()
    target = Path(path)
    # The longest suffix wins: roi.smap.csv is SMAP's, roi.csv ThunderSTORM's.
    for suffix in sorted(_WRITERS, key=len, reverse=True):
        if target.name.lower().endswith(suffix):
            _WRITERS[suffix][1](locs, target)
            return
    known = ", ".join(writable_suffixes())
    raise WriteError(
        f"{target.name}: no format is written with the suffix {target.suffix!r}; use one of "
        f"{known}."
    )
