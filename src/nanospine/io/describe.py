"""What a file is that no reader recognises: a few words, with advice where it is a usual one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanospine.io.safe_files import Source

__all__ = ["describe"]


def describe(source: Source) -> str:
    """Say in a few words what a source is, whatever its suffix says."""
    if source.kind in ("zip", "folder"):
        names = source.members()
        if "xl/workbook.xml" in names:
            return "an Excel workbook: save the sheet as csv"
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        what = "a zip" if source.kind == "zip" else "a folder"
        return f"{what} with {len(names)} files: {shown}" if names else f"{what} without files"
    if source.head.startswith((b"II*\0", b"MM\0*", b"II+\0")):
        return "a TIFF image; nanospine reads localizations, not camera frames"
    if source.head.startswith(b"\xd0\xcf\x11\xe0"):
        return "an old Excel workbook: save the sheet as csv"
    named = {
        "hdf5": "an HDF5 file", "npy": "a numpy array", "mat5": "a MATLAB file",
        "text": "text", "binary": "binary data", "gz": "gzip inside gzip or zip",
    }  # fmt: skip
    return named.get(source.kind, source.kind)
