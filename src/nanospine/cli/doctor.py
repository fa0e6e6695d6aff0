"""`nanospine doctor`: what is installed, what is missing, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from typing import Any

import typer

from nanospine.cli.console import emit_json, emit_pairs, emit_table, say
from nanospine.cli.guard import EXIT_INPUT
from nanospine.cli.options import JsonOption
from nanospine.version import __version__

__all__ = ["doctor", "examine"]

# What one gains by each extra; its packages are read from the metadata of the installation.
_PURPOSES = {
    "open3d": "Poisson and ball-pivoting surfaces",
    "render": "turning movies as .mp4",
    "napari": "napari plugin and viewer",
    "volumes": "TIFF, OME-Zarr and NIfTI volumes",
    "deep": "deep segmenters (ONNX)",
    "torch": "deep segmenters in torch",
    "nnunet": "nnU-Net models",
    "xlsx": "workbooks for Excel",
    "mixed": "mixed models in statistics of groups",
    "cluster": "many machines (dask)",
}
_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+)[^;]*;.*extra\s*==\s*['"]([^'"]+)['"]""")
_NEEDED = re.compile(r"^([A-Za-z0-9._-]+)[^;]*?>=\s*([0-9.]+)[^;]*$")


def doctor(json: JsonOption = False) -> None:
    """Show versions, optional parts, free memory, and what is missing with what mends it."""
    found = examine()
    if json:
        emit_json(found)
    else:
        _show(found)
    if found["missing"] or found["too_old"]:
        raise typer.Exit(EXIT_INPUT)


def examine() -> dict[str, Any]:
    """Look at the installation; nothing heavy is imported."""
    from nanospine.io.registry import formats

    needed = _needed()
    core = {name: _version(name) for name in needed}
    listed = formats()
    return {
        "nanospine": __version__,
        "python": platform.python_version(),
        "interpreter": sys.executable,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "free_memory_bytes": _free_memory_bytes(),
        "libraries": core,
        "missing": [name for name, version in core.items() if version is None],
        "too_old": {
            name: f"{version}, at least {needed[name]} is needed"
            for name, version in core.items()
            if version is not None and _numbers(version) < _numbers(needed[name])
        },
        "extras": {
            extra: {name: _version(name) for name in names}
            for extra, names in _packages_of_extras().items()
        },
        "reads": sorted(item.name for item in listed if item.can_read),
        "writes": sorted(item.name for item in listed if item.can_write),
    }


def _needed() -> dict[str, str]:
    """Packages that nanospine cannot do without, and the lowest version of each."""
    found = (_NEEDED.match(line) for line in importlib.metadata.requires("nanospine") or [])
    return {item[1]: item[2] for item in found if item}


def _numbers(version: str) -> tuple[int, ...]:
    """Give the leading numbers of a version; of `2.0rc1` those of `2.0`, without zeros at its end.

    Examples
    --------
    >>> _numbers("2024.8.10") > _numbers("2024.8"), _numbers("2.0") == _numbers("2")
    (True, True)
    """
    plain = re.match(r"\d+(\.\d+)*", version)
    parts = [int(item) for item in plain[0].split(".")] if plain else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _packages_of_extras() -> dict[str, list[str]]:
    """Packages of each extra that users may want, as the installation itself declares them."""
    result: dict[str, list[str]] = {extra: [] for extra in _PURPOSES}
    for line in importlib.metadata.requires("nanospine") or []:
        found = _REQUIREMENT.match(line)
        if found and found[2] in result and found[1].lower() != "nanospine":
            result[found[2]].append(found[1])
    return {extra: packages for extra, packages in result.items() if packages}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _free_memory_bytes() -> int | None:
    """Memory that a program can still get; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _show(found: dict[str, Any]) -> None:
    free = found["free_memory_bytes"]
    emit_pairs(
        {
            "nanospine": found["nanospine"],
            "python": f"{found['python']} ({found['interpreter']})",
            "platform": found["platform"],
            "processors": str(found["cpus"]),
            "free memory": "unknown" if free is None else f"{free / 1e9:.1f} GB",
            "reads": ", ".join(found["reads"]),
            "writes": ", ".join(found["writes"]),
        }
    )
    rows = [[name, version or "missing"] for name, version in found["libraries"].items()]
    emit_table(["library", "version"], rows)
    rows = []
    for extra, packages in found["extras"].items():
        absent = [name for name, version in packages.items() if version is None]
        state = "installed" if not absent else f"without {', '.join(absent)}"
        fix = f"pip install 'nanospine[{extra}]'" if absent else ""
        rows.append([extra, _PURPOSES[extra], state, fix])
    emit_table(["optional part", "for", "state", "to get it"], rows)
    if found["missing"]:
        say(f"missing: {', '.join(found['missing'])}; to mend it: pip install --upgrade nanospine")
    for name, versions in found["too_old"].items():
        say(f"too old: {name} {versions}; to mend it: pip install --upgrade {name}")
