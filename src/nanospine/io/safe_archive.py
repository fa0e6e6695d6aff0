"""Unpacking gz and zip by counting what comes out, never by what the file declares."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Protocol

from nanospine.core.errors import ReadError, UnsafeFileError

__all__ = [
    "CLUTTER",
    "LIMITS",
    "Limits",
    "open_zip",
    "read_counted",
    "unpack_member",
    "zip_members",
]

# What operating systems put into archives and folders without being asked.
CLUTTER = re.compile(r"(^|/)(__MACOSX/|\.DS_Store$|Thumbs\.db$|desktop\.ini$|\._)")


class Readable(Protocol):
    """Anything that gives bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Give up to `size` bytes."""
        ...


@dataclass(frozen=True)
class Limits:
    """How much a file may ask for."""

    #: Decoded bytes that are held in memory for one file.
    decoded_bytes: int = 4 << 30
    #: A packed file may grow by this factor once it is beyond `free_bytes`.
    expansion: int = 200
    #: Decoded sizes up to this are never refused.
    free_bytes: int = 64 << 20
    #: Side files such as yaml or protocol texts.
    sidecar_bytes: int = 16 << 20
    #: Files in one archive or array store.
    members: int = 200_000

    def allowed(self, packed_bytes: int) -> int:
        """Give the largest size that `packed_bytes` may decode to."""
        grown = max(self.free_bytes, packed_bytes * self.expansion)
        return min(grown, self.decoded_bytes)


LIMITS = Limits()


def read_counted(stream: Readable, packed_bytes: int, where: str) -> bytes:
    """Read a decompressed stream to its end, one byte past the budget at most."""
    budget = LIMITS.allowed(packed_bytes)
    blocks = []
    total = 0
    try:
        while block := stream.read(min(1 << 20, budget + 1 - total)):
            blocks.append(block)
            total += len(block)
            if total > budget:
                raise UnsafeFileError(
                    f"{where}: {packed_bytes} packed bytes grow beyond {budget} bytes; this looks "
                    "like a decompression bomb. Unpack it yourself if you trust it."
                )
    except (EOFError, zlib.error, zipfile.BadZipFile, OSError) as error:
        raise ReadError(
            f"{where}: the packed data are cut short or damaged ({error}). Copy the file again."
        ) from None
    return b"".join(blocks)


def open_zip(handle: IO[bytes], where: str) -> zipfile.ZipFile:
    """Open a zip on a checked handle."""
    try:
        return zipfile.ZipFile(handle)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise ReadError(
            f"{where}: the zip is cut short or damaged ({error}). Copy the file again."
        ) from None


def zip_members(archive: zipfile.ZipFile, where: str) -> list[str]:
    """Give the names of the files in a zip; paths out of it, links and doubles are refused."""
    names: list[str] = []
    infos = archive.infolist()
    if len(infos) > LIMITS.members:
        raise UnsafeFileError(f"{where}: the zip declares {len(infos)} files; that is refused.")
    for info in infos:
        name = info.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or (parts and ":" in parts[0]):
            raise UnsafeFileError(f"{where}: the zip holds {name!r}, which points out of it.")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnsafeFileError(f"{where}: the zip holds {name!r}, a link; that is refused.")
        if info.flag_bits & 0x1:
            raise ReadError(f"{where}: the zip is encrypted; unpack it first.")
        if not info.is_dir() and not CLUTTER.search(name):
            names.append(name)
    if len(set(names)) < len(names):
        raise UnsafeFileError(f"{where}: the zip holds two files of one name; that is refused.")
    return names


def unpack_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Unpack one file within the budget."""
    info = archive.getinfo(name)
    try:
        stream = archive.open(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise ReadError(f"{where}: {name} in the zip cannot be unpacked ({error}).") from None
    with stream:
        return read_counted(stream, max(info.compress_size, 1), f"{where}/{name}")
