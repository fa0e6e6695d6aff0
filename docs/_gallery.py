"""Pictures that tutorials write as PNG are shown below the block that wrote them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

__all__ = ["png_scraper"]


def png_scraper(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Move the PNG files of a block to where the gallery keeps its pictures."""
    folder = Path(block_vars["src_file"]).parent
    names = []
    for file in sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns):
        target = next(block_vars["image_path_iterator"])
        shutil.move(file, target)
        names.append(target)
    return str(figure_rst(names, gallery_conf["src_dir"]))
