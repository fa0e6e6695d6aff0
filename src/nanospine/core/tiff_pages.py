"""A look at the pages of a TIFF before a library walks along them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from nanospine.core.errors import ReadError

__all__ = ["check_strips", "check_tiff_pages"]

# By the third and fourth byte: bytes of an offset, of a count of tags, of a tag, start.
_LAYOUTS = {42: (4, 2, 12, 4), 43: (8, 8, 20, 8)}


def check_tiff_pages(path: Path) -> None:
    """Refuse a TIFF whose chain of pages comes back to itself: readers would never end.

    Files that are no TIFF, or end before their pages do, are left to the reader, which says so.

    Raises
    ------
    ReadError
        When the chain runs in a circle.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "circle.tif"
    ...     _ = path.write_bytes(b"II*\\0" + b"\\x08\\0\\0\\0" + b"\\0\\0" + b"\\x08\\0\\0\\0")
    ...     check_tiff_pages(path)
    Traceback (most recent call last):
    ...
    nanospine.core.errors.ReadError: circle.tif: its chain of pages runs in a circle; it is damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        order: Literal["little", "big"] = "big" if head[:2] == b"MM" else "little"
        if head[:2] not in (b"II", b"MM") or int.from_bytes(head[2:], order) not in _LAYOUTS:
            return
        offset, counted, tag, start = _LAYOUTS[int.from_bytes(head[2:], order)]
        seen: set[int] = set()
        file.seek(start)
        while True:
            at = int.from_bytes(file.read(offset), order)
            if at == 0 or at + counted > size:
                return
            if at in seen:
                raise ReadError(f"{path.name}: its chain of pages runs in a circle; it is damaged.")
            seen.add(at)
            file.seek(at)
            count = int.from_bytes(file.read(counted), order)
            beyond = at + counted + count * tag
            if beyond + offset > size:
                return
            file.seek(beyond)


def check_strips(series: Any, path: Path) -> None:
    """Refuse images of tifffile whose strips are missing: each would be looked for.

    Raises
    ------
    ReadError
        When a page has fewer strips or tiles than its size asks for.
    """
    wanted, held = math.prod(series.keyframe.chunked), len(series.keyframe.dataoffsets)
    if held < wanted:
        raise ReadError(f"{path.name}: {wanted} strips were expected, found {held}; it is damaged.")
