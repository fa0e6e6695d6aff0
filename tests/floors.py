"""Lowest versions that pyproject.toml allows, for pip: what they are, and that they suffice.

By hand, in an environment of their own::

    python tests/floors.py > floors.txt
    python3 -m venv .venv-floors && .venv-floors/bin/pip install -r floors.txt
    .venv-floors/bin/pip install --no-deps . && .venv-floors/bin/python -m pytest -q
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

EXTRAS = ("test", "cluster", "volumes", "xlsx", "mixed")
# Lowest versions of ours ask for no more than these of others, whose newest warn of them.
OTHERS = ("pyparsing<3.3",)


def floors(project: dict[str, Any]) -> list[str]:
    """Give "name==lowest" for everything that the tests need."""
    asked = list(project["dependencies"])
    for extra in EXTRAS:
        asked += project["optional-dependencies"][extra]
    found = {}
    for line in asked:
        name, lowest = re.fullmatch(r"([A-Za-z0-9_.\[\]-]+)>=([0-9.]+)(?:,.*)?", line).groups()
        found[name] = f"{name}=={lowest}"
    return [*found.values(), *OTHERS]


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent / "pyproject.toml"
    sys.stdout.write("\n".join(floors(tomllib.loads(here.read_text())["project"])) + "\n")
