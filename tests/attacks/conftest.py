"""The attacks are programs too: they find each other as they do when run by hand."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
