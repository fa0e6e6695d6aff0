"""Start napari with a file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["open_file"]


def open_file(path: Path) -> None:
    """Open napari with localizations or a run, in 3-D, and wait until its window is closed."""
    import napari

    from nanospine.napari.reader import get_reader, read_file

    read = get_reader(path)
    # A file that nobody knows is read all the same: the error says what is wrong with it
    layers = read_file(path) if read is None else read(path)
    viewer = napari.Viewer(title=f"nanospine: {path.name}", ndisplay=3)
    for data, options, kind in layers:
        getattr(viewer, f"add_{kind}")(data, **options)
    napari.run()
