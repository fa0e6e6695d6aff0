"""`python -m nanospine.napari FILE`: what `nanospine view` starts."""

from __future__ import annotations

import sys
from pathlib import Path

from nanospine.core.errors import NanospineError
from nanospine.napari.open import open_file


def main(words: list[str]) -> int:
    """Open a file in napari; give 0, or 1 when the file is at fault."""
    try:
        open_file(Path(words[0]))
    except (NanospineError, OSError) as error:
        sys.stderr.write(f"nanospine: error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
