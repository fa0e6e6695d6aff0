"""The only place of nanospine that opens files from elsewhere.

Strategy: a path is checked before it is opened (a regular file, not an address, pipe or device),
the opened handle is checked again, wrappings (gz, a zip with one file) are undone once and by
counting what comes out, never by trusting the sizes that the file declares. Readers get a
:class:`Source` and nothing else; decoders of npy, yaml, json and HDF5 are in
:mod:`nanospine.io.safe_decode` and :mod:`nanospine.io.safe_hdf5`.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from nanospine.core.errors import ReadError, UnsafeFileError
from nanospine.io.safe_archive import (
    CLUTTER,
    LIMITS,
    Limits,
    open_zip,
    read_counted,
    unpack_member,
    zip_members,
)

__all__ = ["LIMITS", "Limits", "Source", "check_path", "open_source"]


HEAD_BYTES = 1 << 16

_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+:(//|[^\\/].*://)")
_MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "parquet"),
    (b"ARROW1\x00\x00", "feather"),
    (b"FEA1", "feather"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gz"),
    (b"MATLAB 5.0 MAT-file", "mat5"),
    (b"MATLAB 7.3 MAT-file", "hdf5"),
    (b"#ASDF", "asdf"),
    (b"OMAS_BF\n", "msr"),
    (b"\x80\x02", "pickle"),
    (b"\x80\x03", "pickle"),
    (b"\x80\x04", "pickle"),
    (b"\x80\x05", "pickle"),
)


def kind_of(head: bytes) -> str:
    """Name the container that the first bytes announce: hdf5, npy, zip, ..., text or binary."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    # HDF5 may follow a user block of 512, 1024, ... bytes (MATLAB and others put text there).
    offset = 512
    while offset + 8 <= len(head):
        if head[offset : offset + 8] == _MAGIC[0][0]:
            return "hdf5"
        offset *= 2
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        return "text"
    sample = head[:4096].split(b"\x00", 1)[0] if b"\x00" in head[:4096] else head[:4096]
    # 0x1a is the end mark that DOS programs write.
    control = sum(byte < 32 and byte not in b"\t\n\r\x0b\x0c\x1a" for byte in sample)
    if len(sample) < min(16, len(head)) or control > 0:
        return "binary"
    return "text"


@dataclass
class Source:
    """A file that passed the checks, unwrapped from gz or zip where it was wrapped.

    Attributes
    ----------
    path : pathlib.Path
        The file as it was given.
    name : str
        Name of the content: without `.gz`, or the name inside the zip.
    kind : str
        Container by content: hdf5, npy, zip, parquet, feather, mat5, asdf, msr, text, binary,
        folder.
    size : int
        Bytes of the unwrapped content.
    head : bytes
        Its first 64 KiB.
    """

    path: Path
    name: str
    kind: str
    size: int
    head: bytes
    content: bytes | None = None
    notes: list[str] = field(default_factory=list)
    #: Files of a store that lies inside another file (kind "store").
    files: dict[str, bytes] = field(default_factory=dict)
    #: What recognisers found out, so that each thing is looked at once.
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """Lower-case suffix of the content's name."""
        return PurePosixPath(self.name).suffix.lower()

    def open(self) -> IO[bytes]:
        """Give a new handle on the unwrapped content, at its start."""
        if self.content is not None:
            return io.BytesIO(self.content)
        return _open_regular(self.path)

    @contextmanager
    def open_native(self) -> Iterator[Any]:
        """Give what pyarrow reads fastest: the checked file itself, without Python in between.

        The name is that of the checked descriptor, so a path that is swapped meanwhile changes
        nothing. Where systems have no such names the handle is given.
        """
        with self.open() as handle:
            name = f"/dev/fd/{handle.fileno()}" if self.content is None else ""
            yield name if name and Path(name).exists() else handle

    def read_bytes(self) -> bytes:
        """Give the whole unwrapped content."""
        if self.content is not None:
            return self.content
        if self.size > LIMITS.decoded_bytes:
            raise UnsafeFileError(
                f"{self.path.name}: {self.size} bytes; this format is read as a whole and the "
                f"limit for that is {LIMITS.decoded_bytes} bytes. Split the file."
            )
        with self.open() as handle:
            return handle.read(self.size)

    def tail(self, n_bytes: int) -> bytes:
        """Give the last `n_bytes` bytes of the unwrapped content."""
        start = max(0, self.size - n_bytes)
        if self.content is not None:
            return self.content[start:]
        with self.open() as handle:
            handle.seek(start)
            return handle.read(n_bytes)

    def sidecar(self, *names: str) -> tuple[str, bytes] | None:
        """Give name and bytes of the first of these files that stands beside this one."""
        for name in names:
            if PurePosixPath(name).name != name or name in (".", ".."):
                continue
            path = self.path.parent / name
            try:
                is_file = stat.S_ISREG(path.stat().st_mode)
            except (OSError, ValueError):
                continue
            if not is_file:
                continue
            with _open_regular(path) as handle:
                data = handle.read(LIMITS.sidecar_bytes + 1)
            if len(data) > LIMITS.sidecar_bytes:
                raise UnsafeFileError(
                    f"{name}: more than {LIMITS.sidecar_bytes} bytes; a side file of that size "
                    "is not read."
                )
            return name, data
        return None

    def members(self) -> list[str]:
        """Give the names in a zip, or of the files of a folder, after the safety checks."""
        if "members" not in self.memo:
            if self.kind == "folder":
                self.memo["members"] = _folder_members(self.path)
            elif self.kind == "zip":
                with self.open() as handle, open_zip(handle, self.path.name) as archive:
                    self.memo["members"] = zip_members(archive, self.path.name)
            else:
                self.memo["members"] = list(self.files)
        found: list[str] = self.memo["members"]
        return found

    def member(self, name: str) -> bytes:
        """Give the bytes of one file of a zip or folder."""
        if name not in self.members():
            raise ReadError(f"{self.path.name}: holds no file {name!r}.")
        if self.kind == "store":
            return self.files[name]
        if self.kind == "folder":
            with _open_regular(self.path / name, follow=False) as handle:
                size = os.fstat(handle.fileno()).st_size
                if size > LIMITS.decoded_bytes:
                    raise UnsafeFileError(
                        f"{self.path.name}/{name}: too large to be read as a whole."
                    )
                # As many as there are: room for all that is asked for is taken before it is read.
                return handle.read(size)
        with self.open() as handle, open_zip(handle, self.path.name) as archive:
            return unpack_member(archive, name, self.path.name)


def check_path(path: str | os.PathLike[str]) -> Path:
    """Check that a path names a regular file or a folder on this computer.

    Raises
    ------
    ReadError
        When there is none, or it cannot be read.
    UnsafeFileError
        For addresses (http://, file://, s3://), pipes, devices and sockets.
    """
    text = os.fsdecode(path)
    if not text:
        raise ReadError("the path is empty; name a file.")
    if "\x00" in text:
        raise ReadError(f"{text!r}: a path cannot hold a NUL character.")
    if _URL.match(text):
        raise UnsafeFileError(
            f"{text}: is an address, not a file; nanospine reads only local files. Download it."
        )
    try:
        result = Path(text).expanduser()
    except RuntimeError as error:  # "~somebody" who is not here
        raise ReadError(f"{text}: {error}") from None
    try:
        mode = result.stat().st_mode
    except FileNotFoundError:
        raise ReadError(f"{text}: no such file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReadError(f"{text}: cannot be looked at: {reason}.") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnsafeFileError(
            f"{text}: is a pipe, socket or device; a regular file was expected. Save it first."
        )
    return result


def open_source(path: str | os.PathLike[str]) -> Source:
    """Open a file safely and look at its first bytes.

    Raises
    ------
    ReadError, UnsafeFileError
        See :func:`check_path`; also for empty files, broken or dangerous gz and zip files.
    """
    checked = check_path(path)
    if checked.is_dir():
        return Source(checked, checked.name, "folder", 0, b"")
    with _open_regular(checked) as handle:
        size = os.fstat(handle.fileno()).st_size
        head = handle.read(HEAD_BYTES)
    if not head:
        raise ReadError(f"{checked.name}: the file is empty (0 bytes).")
    source = Source(checked, checked.name, kind_of(head), size, head)
    if source.kind == "gz":
        source = _gunzip(source)
    if source.kind == "zip":
        source = _unzip_single(source)
    return source


def _open_regular(path: Path, *, follow: bool = True) -> IO[bytes]:
    """Open for reading; the handle itself is checked, so that a swapped path is noticed."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_BINARY", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        descriptor = os.open(path, flags)
    except PermissionError:
        raise ReadError(f"{path.name}: you have no permission to read it.") from None
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be opened: {error.strerror or error}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFileError(f"{path.name}: is not a regular file.")
    return os.fdopen(descriptor, "rb")


def _gunzip(source: Source) -> Source:
    with source.open() as handle, gzip.GzipFile(fileobj=handle) as stream:
        content = read_counted(stream, source.size, source.path.name)
    if not content:
        raise ReadError(f"{source.path.name}: the file inside the gz is empty.")
    name = source.name[:-3] if source.name.lower().endswith(".gz") else source.name
    head = content[:HEAD_BYTES]
    return Source(source.path, name, kind_of(head), len(content), head, content)


def _unzip_single(source: Source) -> Source:
    """Unwrap a zip that holds one file; others stay zips for the readers that know them."""
    names = source.members()
    if not names:
        raise ReadError(f"{source.path.name}: the zip is empty.")
    if len(names) > 1 or names[0].endswith(("manifest.json", ".zarray")):
        return source
    content = source.member(names[0])
    if not content:
        raise ReadError(f"{source.path.name}: {names[0]} inside the zip is empty.")
    head = content[:HEAD_BYTES]
    name = PurePosixPath(names[0]).name
    notes = [f"read from {names[0]} inside {source.path.name}"]
    return Source(source.path, name, kind_of(head), len(content), head, content, notes)


def _folder_members(folder: Path) -> list[str]:
    """Name the files below a folder; links are refused, however deep they are."""
    names: list[str] = []
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            for item in sorted(entries, key=lambda entry: entry.name):
                if item.is_symlink():
                    raise UnsafeFileError(
                        f"{folder.name}: holds a link ({item.name}); that is refused."
                    )
                if item.is_dir(follow_symlinks=False):
                    waiting.append(Path(item.path))
                elif item.is_file(follow_symlinks=False) and not CLUTTER.search(item.name):
                    names.append(Path(item.path).relative_to(folder).as_posix())
        if len(names) > LIMITS.members:
            raise UnsafeFileError(f"{folder.name}: holds more than {LIMITS.members} files.")
    return names
