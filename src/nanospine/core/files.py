"""Writing files so that nobody ever meets half of one, and naming what a file holds."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nanospine.core.errors import WriteError

__all__ = ["atomic_path", "input_sha256_of", "read_json", "sha256_of"]

_BLOCK_BYTES = 1 << 20


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` when the block ends well.

    The temporary name keeps the suffix, so that libraries which choose a format by suffix
    still do. When the block raises, the temporary file is removed and `path` is untouched.

    Raises
    ------
    WriteError
        When the folder is missing or cannot be written to, or `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_path(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     sorted(item.name for item in Path(folder).iterdir())
    ['a.txt']
    """
    target = Path(path)
    if target.is_dir():
        raise WriteError(f"{target}: is a folder; name a file to write.")
    if not target.parent.is_dir():
        raise WriteError(f"{target}: the folder {target.parent} does not exist; make it first.")
    # The name must not grow past what the file system takes when the target's is near the limit.
    temporary = target.parent / f".{secrets.token_hex(6)}.part{target.suffix[:16]}"
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        raise WriteError(f"{target}: cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Give the content of a JSON file from anywhere.

    Raises
    ------
    OSError
        When the file cannot be read.
    ValueError
        When it is not JSON in UTF-8, or is nested more deeply than can be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def input_sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file; of a folder, that of the names and sums of its files."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for item in sorted(path.rglob("*")):
        if item.is_file():
            digest.update(f"{item.relative_to(path).as_posix()} {sha256_of(item)}\n".encode())
    return digest.hexdigest()
