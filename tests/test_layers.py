"""Imports go one way: a package imports only from those before it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "nanospine"
# Lowest first. Modules of one name may import each other.
LAYERS = (
    "version", "core", "io", "points", "surface", "voxels", "statistics", "spines", "simulate",
    "output", "config", "pipeline", "batch", "cli", "napari", "__main__",
)  # fmt: skip
# Stricter than their place in the list: planted truth must not lean on what it tests.
ONLY = {
    "simulate": {"version", "core", "surface", "simulate"},
    "config": {"core", "points", "config"},
}
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def layer_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_layers(path: Path) -> set[str]:
    """Layers that a file imports, at its top, in its functions and for type checkers alike."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "nanospine" and len(parts) > 1 and parts[1] in LAYERS:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_file_imports_only_from_layers_below(path: Path) -> None:
    own = layer_of(path)
    assert own in LAYERS, f"{own} has no place among the layers"
    allowed = ONLY.get(own, set(LAYERS[: LAYERS.index(own) + 1]))
    assert imported_layers(path) <= allowed, f"{path} imports from above"


def test_the_rule_sees_an_import_from_above(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    from nanospine.cli import app\n    return app\n")
    assert imported_layers(file) == {"cli"}
