"""Only safe_files opens anything: seen in the source, not promised."""

from __future__ import annotations

import ast
from pathlib import Path

import nanospine.io

FORBIDDEN = {"open", "read_bytes", "read_text", "fromfile", "memmap", "load", "loadtxt",
             "genfromtxt", "read_hdf", "read_pickle", "eval", "exec"}  # fmt: skip


def calls(tree: ast.AST) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                found.append(("", function.id))
            elif isinstance(function, ast.Attribute):
                owner = function.value
                found.append((owner.id if isinstance(owner, ast.Name) else "?", function.attr))
    return found


def test_only_safe_files_opens() -> None:
    folder = Path(nanospine.io.__file__).parent
    for path in folder.glob("*.py"):
        if path.stem == "safe_files":
            continue
        for owner, name in calls(ast.parse(path.read_text(encoding="utf-8"))):
            # A Source opens itself; what is written goes to a name that atomic_path gave.
            if owner in ("source", "temporary", "archive", "handle") or name not in FORBIDDEN:
                continue
            if (path.stem, owner, name) == ("safe_hdf5", "?", "open"):
                continue  # h5py.h5o.open: an object inside a file that is open already
            raise AssertionError(f"{path.name}: {owner}.{name}(...) opens or runs something")


def test_no_reader_unpickles_or_follows_addresses() -> None:
    folder = Path(nanospine.io.__file__).parent
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [item.name for item in node.names]
                modules.append(getattr(node, "module", "") or "")
                for module in modules:
                    assert module.split(".")[0] not in {
                        "pickle", "marshal", "shelve", "dill", "urllib", "requests", "tables",
                    }, f"{path.name} imports {module}"  # fmt: skip
