"""`nanospine convert IN OUT`: from any format that can be read to any that can be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from nanospine.cli.console import progress_bar, say
from nanospine.cli.guard import EXIT_SOME_FAILED
from nanospine.cli.options import (
    FormatOption,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    given,
)
from nanospine.core.errors import ReadError, UnknownFormatError, WriteError

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="Localizations in any known format, or a folder of them."
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="The suffix says the format: .parquet keeps everything. For a folder, a folder.",
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="SUFFIX", help="Format of the files of a folder.")
    ] = ".parquet",
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
) -> None:
    """Write localizations in another format; OUT is replaced when it is there.

    A folder is converted file by file, its subfolders too; files of other kinds are left out.
    """
    from nanospine.io.registry import read, write

    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    if source.is_dir() and not _is_store(source):
        _convert_folder(source, out, _writable(to), options)
        return
    locs = read(source, **options)
    write(locs, out)
    for note in (note for step in locs.history for note in step.get("notes", ())):
        say(f"{source.name}: {note}")
    say(f"{len(locs)} localizations written to {out}")


def _writable(suffix: str) -> str:
    from nanospine.io.registry import writable_suffixes

    wanted = suffix.lower() if suffix.startswith(".") else f".{suffix.lower()}"
    known = writable_suffixes()
    if wanted not in known:
        raise typer.BadParameter(f"{suffix!r} is not written; use one of {', '.join(known)}.")
    return wanted


def _is_store(folder: Path) -> bool:
    """Tell whether a folder is one recording (a zarr store) rather than a folder of files."""
    from nanospine.io.registry import detect

    try:
        detect(folder)
    except UnknownFormatError:
        return False
    except ReadError:
        return True
    return True


def _inputs(folder: Path) -> Iterator[Path]:
    """Give the files and stores under a folder, in a fixed order; hidden ones are left out."""
    for item in sorted(folder.iterdir()):
        if item.name.startswith("."):
            continue
        if item.is_dir() and not item.is_symlink() and not _is_store(item):
            yield from _inputs(item)
        elif item.is_dir() or item.is_file():
            yield item


def _targets(sources: list[Path], folder: Path, out: Path, suffix: str) -> dict[Path, Path]:
    """Give each source its own target: a.csv and a.txt must not end in one file."""
    bare = [source.relative_to(folder).with_suffix("") for source in sources]
    counts: dict[str, int] = {}
    for item in bare:
        counts[str(item).lower()] = counts.get(str(item).lower(), 0) + 1
    targets = {}
    for source, item in zip(sources, bare, strict=True):
        unique = counts[str(item).lower()] == 1
        name = item.name if unique else source.name
        targets[source] = out / item.with_name(f"{name}{suffix}")
    return targets


def _convert_folder(folder: Path, out: Path, suffix: str, options: dict[str, Any]) -> None:
    from nanospine.io.registry import read, write

    if out.is_file() or (out.suffix and not out.is_dir() and out.suffix.lower() == suffix):
        raise typer.BadParameter(f"{folder} is a folder, so OUT must be one as well, not {out}.")
    sources = [item for item in _inputs(folder) if not item.is_relative_to(out)]
    failed: list[str] = []
    others: list[str] = []
    n_done = n_rows = 0
    targets = _targets(sources, folder, out, suffix)
    with progress_bar() as progress:
        for number, source in enumerate(sources):
            shown = str(source.relative_to(folder))
            progress(shown, number / len(sources))
            try:
                locs = read(source, **options)
                targets[source].parent.mkdir(parents=True, exist_ok=True)
                write(locs, targets[source])
            except UnknownFormatError:
                others.append(shown)
                continue
            except (ReadError, WriteError) as error:
                failed.append(f"{shown}: {str(error).removeprefix(f'{source.name}: ')}")
                continue
            for note in locs.history[-1].get("notes", ()):
                say(f"{shown}: {note}")
            n_done, n_rows = n_done + 1, n_rows + len(locs)
    if others:
        say(f"left out, no localizations were recognised in: {', '.join(others)}")
    for line in failed:
        say(f"failed: {line}")
    say(f"{n_done} of {n_done + len(failed)} files, {n_rows} localizations written to {out}")
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)
    if n_done == 0:
        raise UnknownFormatError(f"{folder}: holds no file that nanospine recognises.")
